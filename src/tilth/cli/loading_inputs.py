"""What the commands of loading share: the Earth, stations and tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from tilth.loading import GreenFunctions

LOVE = typer.Option(
    None,
    "--love",
    metavar="FILE",
    help="Table of load Love numbers n, h, l, k; by default that of PREM.",
)

FRAME = typer.Option(
    "CF", "--frame", help="Origin: CF (figure), CM (all mass) or CE (solid Earth)."
)


def earth(love: Path | None, frame: str) -> GreenFunctions:
    """Return the Green's functions of an Earth in a frame.

    Parameters
    ----------
    love : path or None
        Table of Love numbers.
    frame : str
        CE, CM or CF.

    Returns
    -------
    GreenFunctions
        For all that follows.
    """
    from tilth.core.errors import InputError
    from tilth.loading import green_functions, read_love_numbers
    from tilth.loading.love import FRAMES, Frame

    known: dict[str, Frame] = {name: name for name in FRAMES}
    if frame.upper() not in known:
        raise InputError(f"--frame is one of {', '.join(FRAMES)}, got {frame!r}")
    return green_functions(read_love_numbers(love).in_frame(known[frame.upper()]))


def read_table(path: Path, columns: tuple[str, ...], what: str) -> pd.DataFrame:
    """Return a CSV table that has some columns.

    Parameters
    ----------
    path : path
        The file; lines that begin with # are passed over.
    columns : tuple of str
        That must be there.
    what : str
        What the table is, for messages.

    Returns
    -------
    pandas.DataFrame
        ``station``, where there is one, as text.
    """
    import pandas as pd

    from tilth.core.errors import InputError

    if not path.exists():
        raise InputError(f"there is no {path}")
    table = pd.read_csv(path, comment="#", dtype={"station": str, "basin": str})
    missing = [name for name in columns if name not in table]
    if missing:
        raise InputError(
            f"{what} needs the columns {', '.join(columns)}; {path} lacks "
            f"{', '.join(missing)} and has {', '.join(table.columns)}"
        )
    return table


def read_stations(path: Path, units: str | None = None) -> xr.Dataset:
    """Return the stations of a CSV table, with all its columns.

    Parameters
    ----------
    path : path
        ``station``, ``lat``, ``lon`` and any others.
    units : str, optional
        Of ``east``, ``north`` and ``up``.

    Returns
    -------
    xarray.Dataset
        Along ``station``.
    """
    from tilth.core.errors import InputError

    table = read_table(path, ("station", "lat", "lon"), "the table of stations")
    twice = table["station"][table["station"].duplicated()]
    if len(twice):
        raise InputError(f"{path} has the station {twice.iloc[0]} twice")
    data = table.set_index("station").to_xarray()
    for name in ("east", "north", "up"):
        if name in data and units is not None:
            data[name].attrs["units"] = units
    return data
