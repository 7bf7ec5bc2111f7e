"""What drives the rivers, as files hold it: runoff, sea, losses, tables of dams."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import xarray as xr

    from tilth.rivers.network import RiverNetwork
    from tilth.rivers.routing.settings import Settings

T = TypeVar("T")

#: Names that models give to all runoff, and the two parts where they are apart (ALMA).
_RUNOFF = ("runoff", "Qtot", "mrro", "ro", "RUNOFF", "Qext")
_PARTS = ("Qs", "Qsb")

_ROWS = {"lat", "latitude", "y"}


def open_series(paths: list[Path], what: str, on_dask: bool = False) -> xr.Dataset:
    """Open NetCDF files and Zarr stores, one or many along time, lazily.

    Parameters
    ----------
    paths : list of path
        The files.
    what : str
        What they hold, for messages.
    on_dask : bool, default False
        As Dask arrays, in the chunks of the files.

    Returns
    -------
    xarray.Dataset
        In order of time, if they are sorted by name.

    Raises
    ------
    InputError
        If one cannot be read.
    """
    import xarray as xr

    from tilth.core.errors import InputError

    parts = []
    for path in sorted(paths):
        if not path.exists():
            raise InputError(f"there is no {path}")
        engine = "zarr" if path.is_dir() else "h5netcdf"
        try:
            chunks: dict[str, int] | None = {} if on_dask else None
            parts.append(xr.open_dataset(path, engine=engine, chunks=chunks))
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"cannot read {path} as {what}: it is damaged, was not copied to its "
                f"end, or is something else ({error})"
            ) from error
    if len(parts) == 1:
        return parts[0]
    return xr.concat(parts, "time", data_vars="minimal")


def within(data: Any, first: str | None, last: str | None) -> Any:
    """Return the times from a first to a last day.

    Parameters
    ----------
    data : xarray.Dataset or xarray.DataArray
        Along ``time``.
    first, last : str, optional
        Such as "2019-03-01"; the last day belongs to it.

    Returns
    -------
    same type as `data`
        Its part.

    Raises
    ------
    InputError
        If nothing is left, or a date is none.
    """
    from tilth.core.errors import InputError

    if first is None and last is None:
        return data
    try:
        part = data.sel(time=slice(first, last))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"--first {first} --last {last}: write days as 2019-03-01 ({error})"
        ) from error
    if not part.sizes["time"]:
        raise InputError(
            f"no time lies between --first {first} and --last {last}: the file goes "
            f"from {data['time'].values[0]} to {data['time'].values[-1]}"
        )
    return part


def runoff_of(data: xr.Dataset, name: str | None, units: str | None) -> xr.DataArray:
    """Return the runoff of a file.

    Parameters
    ----------
    data : xarray.Dataset
        What was opened.
    name : str, optional
        The variable; by default one of the usual names, or ``Qs`` and ``Qsb``
        together.
    units : str, optional
        In place of those the file names, or where it names none.

    Returns
    -------
    xarray.DataArray
        With ``units`` where they are known.

    Raises
    ------
    InputError
        If it is not there.
    """
    from tilth.core.errors import InputError

    found = [known for known in _RUNOFF if known in data]
    if name is not None:
        if name not in data:
            raise InputError(
                f"the file has no {name}; it has {', '.join(map(str, data.data_vars))}"
            )
        runoff = data[name]
    elif found:
        runoff = data[found[0]]
    elif set(_PARTS) <= set(data.data_vars):
        surface, base = (data[part] for part in _PARTS)
        if surface.attrs.get("units") != base.attrs.get("units"):
            raise InputError(
                f"Qs is in {surface.attrs.get('units')}, Qsb in "
                f"{base.attrs.get('units')}: give one of them with --runoff"
            )
        runoff = (surface + base).rename("runoff").assign_attrs(surface.attrs)
    else:
        raise InputError(
            f"none of {', '.join(map(str, data.data_vars)) or 'nothing'} is known as "
            f"runoff ({', '.join(_RUNOFF)}, or Qs and Qsb): name it with --runoff"
        )
    if "rivid" in runoff.dims:  # RAPID's name for the reach
        runoff = runoff.rename(rivid="catchment")
    return runoff if units is None else runoff.assign_attrs(units=units)


def is_grid(runoff: xr.DataArray) -> bool:
    """Tell whether values lie on a grid.

    Parameters
    ----------
    runoff : xarray.DataArray
        Along rows and columns, or along ``catchment``.

    Returns
    -------
    bool
        True where a dimension is called lat, latitude or y.
    """
    return any(str(dim).lower() in _ROWS for dim in runoff.dims)


def begin_state(
    path: Path | None, filled: bool, network: RiverNetwork, settings: Settings
) -> xr.Dataset | None:
    """Return where to begin: a state of a run, or a restart of CaMa-Flood.

    Parameters
    ----------
    path : path, optional
        NetCDF.
    filled : bool
        Begin with channels that the sea has filled instead.
    network : RiverNetwork
        Of the run.
    settings : Settings
        Of the run.

    Returns
    -------
    xarray.Dataset or None
        The state; None where neither is asked for.

    Raises
    ------
    InputError
        If both are, or the file is no state.
    """
    from tilth.core.errors import InputError
    from tilth.rivers.network.cama_runs import read_cama_restart
    from tilth.rivers.routing.state import filled_channels, open_state

    if path is None:
        return filled_channels(network, settings) if filled else None
    if filled:
        raise InputError("begin with --state or --filled, not with both")
    if "rivsto" in open_series([path], "a state"):
        return read_cama_restart(path, network)
    return open_state(path)


def sea_level_of(
    given: str, stations: Path | None, network: RiverNetwork, runoff: xr.DataArray
) -> Any:
    """Return the sea level that is given as a number or a file.

    Parameters
    ----------
    given : str
        "0.4 m", or a NetCDF file: of ``sea_level`` along time and catchment, or of
        stations.
    stations : path, optional
        Which station each mouth belongs to.
    network : RiverNetwork
        Its mouths.
    runoff : xarray.DataArray
        The sea is given from its first step to its last.

    Returns
    -------
    float or xarray.DataArray
        For `tilth.rivers.routing.route`.

    Raises
    ------
    InputError
        If it is neither.
    """
    from tilth.core.errors import InputError
    from tilth.core.units import parse_quantity
    from tilth.rivers.network.cama_sea_level import (
        read_sea_level,
        read_sea_level_stations,
    )

    if not Path(given).exists():
        if Path(given).suffix:
            _missing(given)
        return parse_quantity(given, "m")
    if stations is not None:
        table = read_sea_level_stations(stations, network)
        level = read_sea_level(given, table, network)
    else:
        data = open_series([Path(given)], "sea level")
        if "sea_level" not in data:
            raise InputError(
                f"{given} has no sea_level; if it holds stations, say which mouth "
                "belongs to which with --stations"
            )
        level = data["sea_level"].load()
    if "time" not in level.dims:
        return level
    times = runoff["time"].values
    after = times[-1] + (times[-1] - times[-2]) if times.size > 1 else times[-1]
    inside = (level["time"].values >= times[0]) & (level["time"].values < after)
    return level.isel(time=inside)


def loss_of(given: str, name: str, first: str | None, last: str | None) -> Any:
    """Return evaporation or infiltration that is given as a number or a file.

    Parameters
    ----------
    given : str
        "3 mm day-1", or a NetCDF file with a variable of that name.
    name : {"evaporation", "infiltration"}
        What it is.
    first, last : str, optional
        Days to take.

    Returns
    -------
    xarray.DataArray
        With units.

    Raises
    ------
    InputError
        If it is neither.
    """
    import xarray as xr

    from tilth.core.errors import InputError
    from tilth.core.units import parse_quantity

    if not Path(given).exists():
        if Path(given).suffix in (".nc", ".nc4", ".zarr"):
            _missing(given)
        rate = parse_quantity(given, "mm day-1")
        return xr.DataArray(rate, attrs={"units": "mm day-1"}, name=name)
    data = open_series([Path(given)], name)
    if name not in data:
        raise InputError(
            f"{given} has no {name}; it has {', '.join(map(str, data.data_vars))}"
        )
    values = data[name]
    return within(values, first, last) if "time" in values.dims else values


def read_rows(path: Path, kind: type[T]) -> T:
    """Read a table of reservoirs or levees.

    Parameters
    ----------
    path : path
        CSV with a heading: ``catchment`` and the numbers of `kind`, SI units.
    kind : type
        `tilth.rivers.routing.reservoirs.Reservoirs` or
        `tilth.rivers.routing.levees.Levees`.

    Returns
    -------
    instance of `kind`
        Checked.

    Raises
    ------
    InputError
        If columns lack or are not known.
    """
    import dataclasses

    import pandas as pd

    from tilth.core.errors import InputError

    if not path.is_file():
        _missing(str(path))
    try:
        table = pd.read_csv(path)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as a table: {error}") from error
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    needed = [
        name for name, f in fields.items() if f.default is dataclasses.MISSING
    ]  # fmt: skip
    absent = [name for name in needed if name not in table]
    strange = [name for name in table if name not in fields]
    if absent or strange:
        raise InputError(
            f"{path} needs the columns {', '.join(fields)}"
            + (f"; it lacks {', '.join(absent)}" * bool(absent))
            + (f"; not known: {', '.join(map(str, strange))}" * bool(strange))
        )
    return kind(**{str(name): table[name].to_numpy() for name in table})


def _missing(path: str) -> None:
    from tilth.core.errors import InputError

    raise InputError(f"there is no {path}")
