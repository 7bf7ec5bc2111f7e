"""Files that appear when they are complete, and are read whole or refused."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tilth.core.errors import InputError

if TYPE_CHECKING:
    import xarray as xr


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


def read_netcdf(path: str | os.PathLike[str], what: str = "NetCDF") -> xr.Dataset:
    """Read a NetCDF file into memory.

    Parameters
    ----------
    path : path
        The file.
    what : str
        What it should be, for the message ("a state of the rivers").

    Returns
    -------
    xarray.Dataset
        All of it.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged or something else.
    """
    import xarray as xr

    if not Path(path).exists():
        raise InputError(f"there is no {path}")
    try:
        return xr.load_dataset(path, engine="h5netcdf")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} cannot be read as {what}: it is damaged, was not copied to its "
            f"end, or is something else ({reason})"
        ) from error


def write_netcdf(
    data: xr.Dataset | xr.DataArray,
    path: str | os.PathLike[str],
    encoding: Mapping[Any, Mapping[str, Any]] | None = None,
) -> None:
    """Write a NetCDF file that appears when it is complete.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        What is written.
    path : path
        Where; what was there stays as it was if writing fails.
    encoding : mapping, optional
        Of variables, as xarray has it.

    Raises
    ------
    InputError
        If the folder does not exist.
    """
    with whole_file(path) as half:
        data.to_netcdf(half, engine="h5netcdf", encoding=encoding)
