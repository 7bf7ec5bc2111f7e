"""tilth rivers flood map | levels | events: where, how high and how often."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tilth.cli.options import SCHEDULER

if TYPE_CHECKING:
    import xarray as xr

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_RUN = typer.Argument(help="Run, of 'tilth rivers route'.")
_VARIABLE = typer.Option("discharge", help="Variable of the run.")

#: Water shallower than that is not counted as flooded in what is printed, m.
_WET = 0.01


@app.callback()
def flood() -> None:
    """Map floods on fine terrain; estimate return levels; count events."""


@app.command("map")
def map_(
    network: Path = typer.Argument(help="Network, of 'tilth rivers build'."),
    run: Path = _RUN,
    labels: Path = typer.Option(
        ..., "--labels", help="Raster of catchments, of 'tilth rivers build terrain'."
    ),
    out: Path = typer.Option(..., "--out", metavar="NC", help="The map, NetCDF."),
    elevation: Path | None = typer.Option(
        None, "--elevation", help="Fine elevation, m: takes the run's water_level."
    ),
    height: Path | None = typer.Option(
        None,
        "--height",
        help="Or height above the nearest river, m: takes the run's flood_depth.",
    ),
    day: str | None = typer.Option(
        None, "--day", help="Interval to map, 2019-03-17; by default the most flooded."
    ),
    conserve: bool = typer.Option(
        True,
        "--conserve/--as-levelled",
        help="Move levels until pixels hold the run's water, or take them as they are.",
    ),
) -> None:
    """Spread the water of catchments over the pixels of a fine raster."""
    import numpy as np

    from tilth.cli.rivers_inputs import open_series
    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.core.model import require_variables
    from tilth.core.regrid_cells import latlon_grid
    from tilth.rivers.floods import downscale_depth, flood_extent
    from tilth.rivers.network import RiverNetwork
    from tilth.rivers.network.build import read_raster

    if (elevation is None) == (height is None):
        raise InputError("give --elevation or --height, one of the two")
    rivers = RiverNetwork.open(network)
    raster = elevation if elevation is not None else height
    assert raster is not None
    ground = read_raster(raster).astype(float)
    ground.attrs.setdefault("units", "m")
    marked = _same_raster(read_raster(labels), ground)
    data = open_series([run], "a run")
    level_name = "water_level" if elevation is not None else "flood_depth"
    require_variables(data, ["time", level_name, "flood_depth"], f"the run {run}")
    at = _one_time(data, day)
    here = data.isel(time=at).load().sel(catchment=rivers.ids)
    volume = None
    if conserve:
        volume = flood_extent(rivers, here["flood_depth"])["flood_volume"]
    area = ground.copy(data=latlon_grid(ground).area(), deep=False)
    mapped = downscale_depth(
        here[level_name], marked, ground, pixel_area=area, volume=volume
    )
    write_netcdf(mapped, out)
    depth = mapped["flood_depth"].values
    wet = np.nan_to_num(depth) > _WET
    typer.echo(
        f"{out}: {str(data['time'].values[at])[:10]}, "
        f"{float(area.values[wet].sum()) / 1e6:.4g} km2 of pixels deeper than "
        f"{_WET * 100:g} cm, at most {np.nanmax(depth):.3g} m"
    )


@app.command()
def levels(
    run: Path = _RUN,
    out: Path = typer.Option(..., "--out", metavar="NC", help="The levels, NetCDF."),
    variable: str = _VARIABLE,
    periods: list[float] = typer.Option(
        [2.0, 5.0, 10.0, 20.0, 50.0, 100.0], "--period", help="Years; repeatable."
    ),
    method: str = typer.Option("l_moments", help="l_moments or likelihood."),
    first_month: int = typer.Option(
        1, "--first-month", min=1, max=12, help="Month that a year begins with."
    ),
    interval: float = typer.Option(0.9, help="Probability of the intervals."),
    draws: int = typer.Option(500, min=0, help="Draws for the intervals; 0 for none."),
    seed: int = typer.Option(0, help="Of the draws."),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Fit yearly maxima (GEV) and give the levels they return to."""
    import numpy as np

    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.core.parallel import scheduler as workers
    from tilth.rivers.floods import annual_maxima, return_levels

    if method not in ("l_moments", "likelihood"):
        raise InputError(f"--method is l_moments or likelihood, not {method}")
    values = _variable(run, variable)
    if scheduler is not None:
        values = values.chunk({"catchment": "auto", "time": -1})
    with workers(scheduler):
        maxima = annual_maxima(values, first_month=first_month).compute()
        found = return_levels(
            maxima,
            periods,
            method=method,
            level=interval,
            draws=draws,
            seed=seed,
        ).compute()
    write_netcdf(found, out)
    fitted = int(np.isfinite(found["location"]).sum())
    typer.echo(
        f"{out}: {variable} of {fitted} of {values.sizes['catchment']} catchments, "
        f"{maxima.sizes['year']} years"
    )


@app.command()
def events(
    run: Path = _RUN,
    out: Path = typer.Option(..., "--out", metavar="NC", help="The events, NetCDF."),
    variable: str = _VARIABLE,
    threshold: str | None = typer.Option(
        None, "--threshold", help="Level of an event: '500 m3 s-1'; or --share."
    ),
    share: float | None = typer.Option(
        None,
        "--share",
        min=0.0,
        max=1.0,
        help="Or what each catchment exceeds in this share of the time.",
    ),
    separation: float = typer.Option(
        5.0, "--separation", help="Days below it after which an event is over."
    ),
) -> None:
    """Count independent events above a threshold, and their rate."""
    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.core.units import parse_quantity
    from tilth.rivers.floods import event_frequency

    if (threshold is None) == (share is None):
        raise InputError("give --threshold or --share, one of the two")
    values = _variable(run, variable)
    if threshold is not None:
        limit = parse_quantity(threshold, str(values.attrs.get("units", "1")))
        found = event_frequency(values, limit, separation_days=separation)
    else:
        assert share is not None
        each = values.quantile(1.0 - share, "time").drop_vars("quantile")
        found = event_frequency(values, each, separation_days=separation)
        found["threshold"] = each.assign_attrs(values.attrs)
    write_netcdf(found, out)
    typer.echo(
        f"{out}: {int(found['events'].sum())} events in "
        f"{int((found['events'] > 0).sum())} of {values.sizes['catchment']} catchments"
    )


def _variable(run: Path, name: str) -> xr.DataArray:
    """Return a variable of a run along time and catchment."""
    from tilth.cli.rivers_inputs import open_series
    from tilth.core.model import require_variables

    data = open_series([run], "a run")
    require_variables(data, ["time", "catchment", name], f"the run {run}")
    return data[name].load()


def _same_raster(labels: xr.DataArray, ground: xr.DataArray) -> xr.DataArray:
    """Return labels as whole numbers; raise unless they lie on the terrain."""
    import numpy as np

    from tilth.core.errors import InputError

    if labels.dims != ground.dims or labels.shape != ground.shape:
        raise InputError(
            f"labels {dict(labels.sizes)} and terrain {dict(ground.sizes)} are not one "
            "raster: build the network from this terrain, or resample it to the labels"
        )
    for dim in labels.dims:
        here, there = labels[dim].values, ground[dim].values
        step = abs(float(here[1] - here[0]))
        if not np.allclose(here, there, rtol=0.0, atol=1e-3 * step):
            raise InputError(
                f"labels and terrain lie apart: {dim} goes from {here[0]:g} to "
                f"{here[-1]:g}, and from {there[0]:g} to {there[-1]:g}"
            )
    return labels.copy(data=np.nan_to_num(labels.values).astype(np.int64))


def _one_time(data: xr.Dataset, day: str | None) -> int:
    """Return which interval to map."""
    from tilth.core.errors import InputError

    if day is None:
        name = "flooded_area" if "flooded_area" in data else "flood_depth"
        return int(data[name].sum("catchment").argmax("time"))
    starts = [i for i, t in enumerate(data["time"].values) if str(t).startswith(day)]
    if not starts:
        raise InputError(
            f"no interval begins on {day}: the run goes from {data['time'].values[0]} "
            f"to {data['time'].values[-1]}"
        )
    return starts[0]
