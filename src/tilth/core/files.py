"""Files that appear under their name when they are complete, or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tilth.core.errors import InputError


@contextlib.contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file to write that takes its place when the block ends well.

    An error leaves what was there as it was. For secrets and for what must outlast a
    power cut more is needed; this is for results.

    Parameters
    ----------
    path : path
        Where the file shall be; its folder exists.

    Yields
    ------
    pathlib.Path
        An empty file beside it with the same ending.

    Raises
    ------
    InputError
        If the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise InputError(f"the folder {path.parent} does not exist")
    handle, name = tempfile.mkstemp(
        prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent
    )
    os.close(handle)
    half = Path(name)
    try:
        yield half
        # mkstemp makes the file private; give it the usual permissions.
        mask = os.umask(0)
        os.umask(mask)
        half.chmod(0o666 & ~mask)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)
