"""Runs the Python of a page when the manual is built and shows what it prints.

For pages that hold a line ``% outputs``. The blocks share one namespace, from top to
bottom, in a folder of their own; a PNG that a block writes is shown below it.
"""

import base64
import contextlib
import io
import re
import tempfile
from pathlib import Path

from sphinx.application import Sphinx

_MARK = re.compile(r"^% outputs$", re.MULTILINE)
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def with_outputs(text: str) -> str:
    """Return a page with the output of each of its Python blocks below it.

    Parameters
    ----------
    text : str
        Markdown; every fence marked ``python`` is run.
    """
    names = {"__name__": "__main__"}

    def run(block: re.Match[str]) -> str:
        before = set(Path().glob("*.png"))
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(block[1], names)
        parts = [block[0]]
        if printed.getvalue().strip():
            text = printed.getvalue().rstrip()
            parts.append(f"```{{code-block}} text\n:class: output\n\n{text}\n```")
        for image in sorted(set(Path().glob("*.png")) - before):
            data = base64.b64encode(image.read_bytes()).decode()
            parts.append(f'<img alt="{image.stem}" src="data:image/png;base64,{data}">')
        return "\n\n".join(parts)

    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return _BLOCK.sub(run, text)


def _read(_app: Sphinx, _docname: str, source: list[str]) -> None:
    if _MARK.search(source[0]):
        source[0] = with_outputs(source[0])


def setup(app: Sphinx) -> dict:
    """Run the pages as they are read."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
