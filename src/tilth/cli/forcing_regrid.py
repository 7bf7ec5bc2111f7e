"""tilth forcing regrid: fields on another grid, or at stations."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.options import SCHEDULER

if TYPE_CHECKING:
    import xarray as xr

    from tilth.core.regrid import Regridder

_METHODS = ("conservative", "bilinear", "nearest", "inverse-distance")

#: Cells of one block of a Zarr store: with a year of days a few megabytes, and whole
#: series of a few cells can be read without the rest.
_CELLS = 1_000

#: Attributes that speak of the grid that values came from.
_OF_THE_SOURCE = ("grid_mapping", "cell_measures", "coordinates")


def regrid(
    fields: list[Path] = typer.Argument(
        help="Fields: NetCDF or Zarr, one or many that follow each other in time."
    ),
    out: Path = typer.Option(..., "--out", help="Output, NetCDF, or Zarr by .zarr."),
    method: str = typer.Option(
        ...,
        "--method",
        help="conservative (keeps totals: rain, fluxes), bilinear (smooth: temperature,"
        " pressure), nearest, inverse-distance (from bent grids and stations).",
    ),
    like: Path | None = typer.Option(
        None, "--like", help="NetCDF or Zarr on the grid, or at the stations, wanted."
    ),
    stations: Path | None = typer.Option(
        None, "--stations", help="CSV of stations: station, lat, lon; others are kept."
    ),
    step: float | None = typer.Option(
        None, "--step", help="Regular grid of this step over the fields, degrees."
    ),
    variables: list[str] = typer.Option(
        [], "--variable", help="Variable; repeatable; by default all on the grid."
    ),
    least_share: float = typer.Option(
        0.5, "--least-share", help="Share of the weights that must fall on values."
    ),
    gaps: str = typer.Option(
        "skip", "--gaps", help="Gaps are skipped, or count as zero: skip or zero."
    ),
    reach: float = typer.Option(
        0.5, "--reach", help="Of bilinear: cells beyond the outermost centres; inf."
    ),
    within: float | None = typer.Option(
        None, "--within", help="Of nearest and inverse-distance: at most so far, km."
    ),
    neighbours: int = typer.Option(
        4, "--neighbours", min=1, help="Of inverse-distance."
    ),
    power: float = typer.Option(2.0, "--power", help="Of inverse-distance."),
    among: Path | None = typer.Option(
        None,
        "--among",
        help="Of nearest and inverse-distance: NetCDF with one variable on the fields' "
        "grid; only cells where it is above one half are used (land).",
    ),
    steps_together: int = typer.Option(
        365, "--steps-together", min=1, help="Time steps in memory at once."
    ),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Bring fields to another grid, or to stations.

    Seams of the longitudes, poles and rows that go south are taken care of; NaN is no
    value. How many places of the target the fields do not cover is printed.
    """
    from tilth.core.errors import InputError
    from tilth.core.parallel import scheduler as workers
    from tilth.forcing.files import open_forcing, write_forcing

    if method not in _METHODS:
        raise InputError(f"--method is one of {', '.join(_METHODS)}, got {method!r}")
    if sum(option is not None for option in (like, stations, step)) != 1:
        raise InputError("give one of --like, --stations and --step: the target")
    distance: dict[str, Any] = {} if within is None else {"within": within * 1e3}
    if among is not None:
        distance["among"] = _mask(among)
    if distance and method not in ("nearest", "inverse-distance"):
        raise InputError(
            f"--within and --among are for nearest and inverse-distance, not {method}"
        )
    with warnings.catch_warnings():
        # Blocks that cut chunks of the file read those at the cut twice: so be it.
        warnings.filterwarnings("ignore", message="The specified chunks separate")
        source = open_forcing(fields, chunks={"time": steps_together})
    target = _target(source, like, stations, step)
    regridder = _regridder(method, source, target, reach, distance, neighbours, power)
    names = _chosen(source, regridder, variables)
    done = source.drop_vars(_left_behind(source, regridder, names))
    done = done.drop_dims([d for d in regridder.source.dims if d in done.dims])
    said = f"{method}, least share {least_share:g}, gaps {gaps}"
    if method == "bilinear":
        said += f", reach {reach:g}"
    for name in names:
        result = regridder.apply(source[name], least_share=least_share, gaps=gaps)
        if source[name].dtype.itemsize <= 4:
            result = result.astype("float32")
        if out.suffix == ".zarr":
            dims = regridder.target.dims
            result = result.chunk(dict.fromkeys(dims, int(_CELLS ** (1 / len(dims)))))
        done[name] = result.assign_attrs(regridding=said)
        for attribute in _OF_THE_SOURCE:
            done[name].attrs.pop(attribute, None)
    with workers(scheduler):
        write_forcing(done, out, step=f"tilth forcing regrid: {said}", sources=fields)
    typer.echo(repr(regridder))
    uncovered = int((regridder.covered_share < least_share).sum())
    typer.echo(
        f"{out}: {', '.join(names)}; {uncovered} of "
        f"{regridder.covered_share.size} places are not covered"
    )


def _target(
    source: xr.Dataset, like: Path | None, stations: Path | None, step: float | None
) -> xr.Dataset:
    """Return where values are wanted."""
    from tilth.forcing.files import open_forcing

    if like is not None:
        return open_forcing(like)
    if stations is not None:
        return _stations(stations)
    assert step is not None
    return _regular(source, step)


def _regridder(
    method: str,
    source: xr.Dataset,
    target: xr.Dataset,
    reach: float,
    distance: dict[str, Any],
    neighbours: int,
    power: float,
) -> Regridder:
    """Return the weights of the method."""
    from tilth.core import regrid as ways

    if method == "conservative":
        return ways.conservative(source, target)
    if method == "bilinear":
        return ways.bilinear(source, target, reach=reach)
    if method == "nearest":
        return ways.nearest(source, target, **distance)
    return ways.inverse_distance(
        source, target, neighbours=neighbours, power=power, **distance
    )


def _stations(path: Path) -> xr.Dataset:
    """Return the stations of a table."""
    import pandas as pd

    from tilth.core.errors import InputError

    if not path.exists():
        raise InputError(f"there is no {path}")
    table = pd.read_csv(path, dtype={"station": str})
    missing = {"station", "lat", "lon"} - set(table.columns)
    if missing:
        raise InputError(
            f"{path} needs the columns station, lat, lon; it lacks "
            f"{', '.join(sorted(missing))} and has {', '.join(table.columns)}"
        )
    twice = table["station"][table["station"].duplicated()]
    if len(twice):
        raise InputError(f"{path} has the station {twice.iloc[0]} twice")
    data = table.set_index("station").to_xarray()
    return data.set_coords(list(data.data_vars))


def _regular(source: xr.Dataset, step: float) -> xr.Dataset:
    """Return a grid whose cells begin at multiples of the step, over the fields."""
    import numpy as np
    import xarray as xr

    from tilth.core.errors import InputError

    if not 0.0 < step <= 90.0:
        raise InputError(f"--step is from 0 to 90 degrees, got {step:g}")
    centres = []
    for first, last in _extent(source):
        low, high = np.floor(first / step + 1e-6), np.ceil(last / step - 1e-6)
        if last - first > 360.0 - step / 2:  # round the globe, and no farther
            high = low + np.round(360.0 / step)
        centres.append((np.arange(low, high) + 0.5) * step)
    lat, lon = centres
    grid = xr.Dataset(coords={"lat": lat[np.abs(lat) <= 90.0], "lon": lon})
    grid["lat"].attrs = {"units": "degrees_north", "standard_name": "latitude"}
    grid["lon"].attrs = {"units": "degrees_east", "standard_name": "longitude"}
    return grid


def _extent(source: xr.Dataset) -> list[tuple[float, float]]:
    """Return the range of latitudes and of longitudes that fields are in."""
    import numpy as np

    from tilth.core.regrid_cells import latlon_grid
    from tilth.core.regrid_places import positions

    places = positions(source)
    if places.rectilinear:
        grid = latlon_grid(source)
        axes = (grid.lat, grid.lon)
        return [(float(a.low.min()), float(a.high.max())) for a in axes]
    lat, lon = places.all()
    # Away from the seam: to either side of the middle of all.
    middle = np.degrees(np.angle(np.nansum(np.exp(1j * np.radians(lon)))))
    lon = (lon - middle + 180.0) % 360.0 - 180.0 + middle
    return [(float(np.nanmin(a)), float(np.nanmax(a))) for a in (lat, lon)]


def _mask(path: Path) -> xr.DataArray:
    """Return where the one variable of a file is above one half."""
    from tilth.core.errors import InputError
    from tilth.forcing.files import open_forcing

    data = open_forcing(path)
    if len(data.data_vars) != 1:
        raise InputError(
            f"{path} must have one variable, it has {', '.join(map(str, data))}"
        )
    (mask,) = data.data_vars.values()
    return mask > 0.5


def _chosen(source: xr.Dataset, regridder: Regridder, wanted: list[str]) -> list[str]:
    """Return the variables to bring over."""
    from tilth.core.errors import InputError

    dims = set(regridder.source.dims)
    absent = [name for name in wanted if name not in source.data_vars]
    on_grid = [
        str(name)
        for name, array in source.data_vars.items()
        if dims <= set(array.dims) and array.dtype.kind in "fiu"
    ]
    if absent or not on_grid:
        raise InputError(
            f"the fields have no {', '.join(absent) or 'variable on their grid'}; they "
            f"have {', '.join(map(str, source.data_vars))}"
        )
    return wanted or on_grid


def _left_behind(
    source: xr.Dataset, regridder: Regridder, names: list[str]
) -> list[str]:
    """Return what is not kept as it is: all on the grid, and what describes it."""
    dims = set(regridder.source.dims)
    mappings = {source[name].attrs.get("grid_mapping") for name in names}
    mappings |= {source[name].encoding.get("grid_mapping") for name in names}
    return [
        str(name)
        for name, array in source.variables.items()
        if set(array.dims) & dims or name in mappings
    ]
