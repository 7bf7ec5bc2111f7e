"""The plain text of a RINEX or SP3 file, however it was compressed."""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from tilth.core.errors import InputError

#: First bytes of gzip, Unix compress, bzip2 and zip.
_PACKED = (b"\x1f\x8b", b"\x1f\x9d", b"BZh", b"PK\x03\x04")

#: Label that the first line of a file in Hatanaka's compression has.
_HATANAKA = b"CRINEX VERS   / TYPE"


def read_text(path: str | os.PathLike[str]) -> bytes:
    """Return the text of a file, unpacked.

    Parameters
    ----------
    path : path
        Plain, ``.gz``, ``.Z``, ``.bz2`` or ``.zip``, and within that Hatanaka's
        compression (``.crx``, ``.15d``) or none; the content tells, not the name.

    Returns
    -------
    bytes
        All of it, as lines.

    Raises
    ------
    InputError
        If there is no such file, or it is empty, damaged or cut.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    content = path.read_bytes()
    if not content.strip():
        raise InputError(f"{path} is empty")
    if not (content.startswith(_PACKED) or _HATANAKA in content[:80]):
        return content
    import hatanaka

    try:
        return hatanaka.decompress(content)
    except (ValueError, OSError, EOFError, RuntimeError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be unpacked: it is damaged or was not copied to its end "
            f"({str(error).strip() or type(error).__name__})"
        ) from error
