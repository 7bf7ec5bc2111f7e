"""Results of blocks of cells, kept under a name made of all that they depend on."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from tilth import __version__
from tilth.core.errors import InputError
from tilth.core.files import whole_file


def fingerprint(options: object, arrays: list[np.ndarray]) -> str:
    """Return the name of a result: a hash of Tilth's version, options and inputs.

    Parameters
    ----------
    options : object
        Settings, by their ``repr``.
    arrays : list of ndarray
        Inputs, by their bytes.

    Returns
    -------
    str
        Forty hexadecimal digits.
    """
    digest = hashlib.sha256(f"{__version__} {options!r}".encode())
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()[:40]


def remember(
    folder: str | os.PathLike[str] | None,
    name: str,
    compute: Callable[[], Mapping[str, np.ndarray]],
) -> Mapping[str, np.ndarray]:
    """Return a result from its file, or compute it and write the file.

    The file appears when it is whole, so that a run may be killed at any moment and
    started again: what is there is read, the rest is computed, and the outcome is the
    same to the last bit.

    Parameters
    ----------
    folder : path or None
        Where the files are; made where absent. None keeps nothing.
    name : str
        Of `fingerprint`.
    compute : callable
        Gives the result, named arrays.

    Returns
    -------
    mapping of str to ndarray
        The result.

    Raises
    ------
    InputError
        If the file is there and is not such a result.
    """
    if folder is None:
        return compute()
    path = Path(folder) / f"{name}.npz"
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as stored:
                return {key: stored[key] for key in stored.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(
                f"the checkpoint {path} cannot be read ({error}): delete it, and its "
                "cells are fitted again"
            ) from error
    result = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as half:
        np.savez(half, **result)  # type: ignore[arg-type]
    return result
