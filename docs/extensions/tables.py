"""Parts of the manual that are read from the package when it is built.

A page holds an empty fence such as ``{datasets-table}`` where one belongs; it is
replaced by Markdown before the page is parsed.
"""

import importlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from sphinx.application import Sphinx

_BENCHMARKS = Path(__file__).parents[2] / "benchmarks" / "results"
_FENCE = re.compile(r"^```\{([a-z-]+)\} *(\S*)\n```$", re.MULTILINE)


def table(header: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """Yield a Markdown table."""
    yield from ("", "| " + " | ".join(header) + " |", "|---" * len(header) + "|")
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


def datasets(_: str) -> Iterator[str]:
    """Yield the registered datasets and their terms."""
    from tilth.core import datasets
    from tilth.core.typeset import bytes_text

    rows = []
    for name in datasets.names():
        about = datasets.info(name)
        size = bytes_text(about.size) if about.size else "–"
        title = " ".join(about.title.split())
        rows.append([f"`{name}`", title, about.licence, size])
    yield from table(["name", "what", "licence", "size"], rows)


def studies(_: str) -> Iterator[str]:
    """Yield the registered studies."""
    from tilth.studies.registry import STUDIES

    rows = [[f"`{study.name}`", study.title] for study in STUDIES.values()]
    yield from table(["name", "what it asks"], rows)


def benchmarks(_: str) -> Iterator[str]:
    """Yield the last results of ``make bench``, a section per benchmark."""
    from tilth.core.typeset import units_text

    def number(value: float | None) -> str:
        if value is None:
            return ""
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

    for path in sorted(_BENCHMARKS.glob("*.json")):
        yield f"## {path.stem}"
        rows = [
            [
                row["name"],
                number(row["value"]),
                units_text(row["unit"]),
                row["peer"] or "",
                number(row["peer_value"]),
                number(row["ratio"]),
            ]
            for row in json.loads(path.read_text(encoding="utf-8"))
        ]
        header = ["what", "Tilth", "unit", "peer", "peer's", "Tilth / peer"]
        yield from table(header, rows)


def flags(target: str) -> Iterator[str]:
    """Yield the reasons of a flag table: word, mask, sentence."""
    module, _, name = target.rpartition(".")
    reasons = getattr(importlib.import_module(module), name)
    rows = [
        [f"`{word}`", str(reasons.bit(word)), text]
        for word, text in reasons.descriptions.items()
    ]
    yield from table(["meaning", "mask", "what it says"], rows)


def commands(_: str) -> Iterator[str]:
    """Yield every command of ``tilth`` with the help it prints."""
    from tilth.cli.app import build

    def walk(context, depth: int) -> Iterator[str]:
        command = context.command
        yield from (f"{'#' * depth} {context.command_path}", "", "```text")
        yield from command.get_help(context).splitlines()
        yield from ("```", "")
        for name in getattr(command, "list_commands", lambda _: [])(context):
            child = command.get_command(context, name)
            # A group that is loaded late stands behind the context it makes.
            below = child.make_context(
                name, [], parent=context, resilient_parsing=True, terminal_width=78
            )
            yield from walk(below, min(depth + 1, 3))

    yield from walk(
        build().make_context("tilth", [], resilient_parsing=True, terminal_width=78), 2
    )


#: Name of the fence -> what takes its place.
PARTS = {
    "datasets-table": datasets,
    "studies-table": studies,
    "benchmark-tables": benchmarks,
    "flag-table": flags,
    "command-help": commands,
}


def expand(text: str) -> str:
    """Replace the fences of a page that name one of `PARTS`."""

    def replace(fence: re.Match[str]) -> str:
        part = PARTS.get(fence[1])
        return "\n".join(part(fence[2])) if part else fence[0]

    return _FENCE.sub(replace, text)


def _read(_app: Sphinx, _docname: str, source: list[str]) -> None:
    source[0] = expand(source[0])


def setup(app: Sphinx) -> dict:
    """Expand every page as it is read."""
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
