"""tilth forcing s2s: probabilities of terciles from hindcasts, and their skill."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.options import SCHEDULER

if TYPE_CHECKING:
    import xarray as xr


def s2s(
    hindcast: Path = typer.Argument(
        help="Hindcasts along start, lead and member (or S, L, M; forecast_time, "
        "lead_time, realization; init, lead, number): NetCDF or Zarr."
    ),
    observed: Path = typer.Argument(
        help="Daily observations along time, on the same cells."
    ),
    out: Path = typer.Option(
        ..., "--out", help="Probabilities, edges and weights; Zarr by .zarr."
    ),
    variable: str = typer.Option(..., "--variable", help="Variable of the hindcasts."),
    observed_variable: str | None = typer.Option(
        None, "--observed-variable", help="Of the observations, where it differs."
    ),
    forecast: Path | None = typer.Option(
        None,
        "--forecast",
        help="Forecasts of real time; without, the hindcasts, each by other years.",
    ),
    units: str | None = typer.Option(
        None, "--units", help="Of files that do not state any."
    ),
    windows: str = typer.Option(
        "weeks 3-4=14:28,weeks 5-6=28:42",
        "--windows",
        help="Periods: name=first day:day before which it ends; or 'none': each lead.",
    ),
    aggregate: str = typer.Option(
        "mean",
        "--aggregate",
        help="Of the days of a period: mean, sum, or accumulated (totals since the "
        "start; the observations are summed).",
    ),
    method: str = typer.Option(
        "regression",
        "--method",
        help="raw, model-edges, mapping, mapping-ratio, regression, regression-root "
        "(precipitation).",
    ),
    window: float | None = typer.Option(
        None, "--window", help="Days around the date to learn from; by default any."
    ),
    leave_out: str = typer.Option(
        "year", "--leave-out", help="Left out of training: year or 'half year'."
    ),
    rule: str = typer.Option("linear", "--rule", help="Quantile rule of the edges."),
    blend: bool = typer.Option(
        True, "--blend/--no-blend", help="Draw towards climatology as other years ask."
    ),
    pool: str = typer.Option(
        "all",
        "--pool",
        help="Dimensions that share a weight, by commas; 'all' cells; 'none'.",
    ),
    caution: float = typer.Option(
        1.0, "--caution", min=0.0, help="Standard errors a weight is lowered by."
    ),
    seed: int = typer.Option(0, "--seed", help="Of the intervals."),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Make tercile forecasts that are no worse than climatology, and say how good.

    Every start is learnt from starts of other years. The skill printed is that of the
    hindcasts, with what the size of the ensemble costs beside it.
    """
    from tilth.core.errors import InputError
    from tilth.core.parallel import scheduler as workers
    from tilth.forcing.files import write_forcing
    from tilth.forcing.s2s import (
        METHODS,
        NormalRegression,
        Training,
        align_observations,
        blend_forecast,
        lead_windows,
        tercile_forecast,
    )

    if method not in METHODS:
        raise InputError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if leave_out == "none":
        raise InputError(
            "a forecast that has learnt from its own year has no skill to speak of: "
            "leave out year or 'half year'"
        )
    periods = _windows(windows)
    how = METHODS[method]
    training = Training(window=window, leave_out=leave_out, rule=rule)
    past = _archive(hindcast, variable, units)
    truth = _variable(observed, observed_variable or variable, units)
    truth = _same_units(truth, past, aggregate)
    sources = [hindcast, observed]
    with workers(scheduler):
        laid = align_observations(truth, past["start"], _days(past, periods))
        missing = laid.attrs.pop("pairs_not_observed")
        model, laid = _aggregated(past, laid, periods, aggregate)
        made = tercile_forecast(model, laid, method=how, training=training).compute()
        counted = None if isinstance(how, NormalRegression) else past.sizes["member"]
        shared = _pooled(made["probability"], pool)
        area = _area(made) if shared else None
        options: dict[str, Any] = {
            "training": training,
            "pool": shared,
            "weights": area,
            "caution": caution,
        }
        final = blend_forecast(made, **options) if blend else made
        written = final
        if forecast is not None:
            now = _archive(forecast, variable, units)
            if periods is not None:
                now = lead_windows(now, periods, method=aggregate)
            written = tercile_forecast(model, laid, now, how, training=training)
            written = written.compute()
            if blend:
                written = blend_forecast(made, written, **options)
            sources.append(forecast)
    split = {
        "training": final.attrs["training"],
        "training_years": _years(past),
        "method": written.attrs["method"],
    }
    write_forcing(
        written,
        out,
        step=f"forcing s2s --method {method} --windows {windows!r}",
        sources=sources,
        split=split,
    )
    _print(made, final if blend else None, counted, seed)
    if missing:
        typer.echo(f"pairs of start and lead without an observation: {missing}")
    typer.echo(f"climatology: {made.attrs['training']}; quantile rule: {rule}")
    typer.echo(f"probabilities: {out}")


def _windows(text: str) -> dict[str, tuple[float, float]] | None:
    """Return the periods of 'weeks 3-4=14:28,weeks 5-6=28:42'."""
    from tilth.core.errors import InputError

    if text == "none":
        return None
    found = {}
    for part in text.split(","):
        name, _, days = part.partition("=")
        first, _, last = days.partition(":")
        try:
            found[name.strip()] = (float(first), float(last))
        except ValueError:
            raise InputError(
                f"periods are written like 'weeks 3-4=14:28', got {part!r}"
            ) from None
    return found


def _days(past: xr.DataArray, periods: dict[str, Any] | None) -> xr.DataArray:
    """Return the leads of the observed days that are needed: every day of a period."""
    import numpy as np
    import xarray as xr

    if periods is None:
        return past["lead"]
    # Totals since the start come with few leads; what fell between them is daily.
    last = max(end for _, end in periods.values())
    days = np.arange(np.ceil(last)) + 0.5
    return xr.DataArray(days, dims="lead", attrs={"units": "days"}, name="lead")


def _variable(path: Path, name: str, units: str | None) -> xr.DataArray:
    """Return a variable of a file, with units where they are given."""
    from tilth.core.errors import InputError
    from tilth.forcing.files import open_forcing

    data = open_forcing(path, chunks={})
    if name not in data.data_vars:
        raise InputError(
            f"{path} has no {name}; it has {', '.join(map(str, data.data_vars))}"
        )
    array = data[name]
    if units is not None and "units" not in array.attrs:
        array = array.assign_attrs(units=units)
    return array


def _archive(path: Path, name: str, units: str | None) -> xr.DataArray:
    """Return forecasts along start, lead and member."""
    from tilth.forcing.s2s import as_forecast

    return as_forecast(_variable(path, name, units))


def _same_units(
    truth: xr.DataArray, model: xr.DataArray, aggregate: str
) -> xr.DataArray:
    """Return observations in the units of the model."""
    from tilth.core.errors import InputError
    from tilth.forcing.variables import convert_forcing

    ours, theirs = truth.attrs.get("units"), model.attrs.get("units")
    if ours == theirs:
        return truth
    if ours is None or theirs is None:
        which = "observations" if ours is None else "hindcasts"
        raise InputError(
            f"the {which} state no units and the others {ours or theirs!r}: say which "
            "with --units"
        )
    if aggregate == "accumulated":
        # Totals since the start in mm are made of days in mm day-1.
        converted = convert_forcing(truth, f"{theirs} day-1")
        return converted.assign_attrs(units=theirs)
    return convert_forcing(truth, theirs)


def _aggregated(
    model: xr.DataArray,
    truth: xr.DataArray,
    periods: dict[str, tuple[float, float]] | None,
    aggregate: str,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return both for the periods."""
    from tilth.forcing.s2s import lead_windows

    if periods is None:
        return model, truth.drop_vars("valid_time")
    days = "sum" if aggregate == "accumulated" else aggregate
    ours = lead_windows(truth, periods, method=days)
    theirs = lead_windows(model, periods, method=aggregate)
    return theirs, ours.assign_attrs(units=theirs.attrs.get("units", "1"))


def _pooled(probability: xr.DataArray, pool: str) -> tuple[str, ...]:
    """Return the dimensions that share a weight."""
    from tilth.core.errors import InputError

    cells = tuple(
        str(name)
        for name in probability.dims
        if name not in ("start", "lead", "category")
    )
    if pool in ("all", "none"):
        return cells if pool == "all" else ()
    wanted = tuple(name.strip() for name in pool.split(","))
    absent = [name for name in wanted if name not in cells]
    if absent:
        raise InputError(
            f"there is no dimension {absent[0]} to pool; there are "
            f"{', '.join(cells) or 'none'}"
        )
    return wanted


def _area(data: xr.Dataset) -> xr.DataArray | None:
    """Return the weight of cells by latitude, where it is known."""
    import numpy as np

    for name in ("lat", "latitude"):
        if name in data.coords:
            latitude = data[name]
            return latitude.copy(data=np.cos(np.deg2rad(latitude.values)))
    return None


def _years(past: xr.DataArray) -> str:
    """Return first and last year of the hindcasts."""
    years = past["start"].dt.year.values
    return f"{years.min()}-{years.max()}"


def _print(
    made: xr.Dataset, blended: xr.Dataset | None, members: int | None, seed: int
) -> None:
    """Print the skill by lead, before and after the blend."""
    from tilth.cli.display import print_table
    from tilth.forcing.s2s import score_terciles, skill_interval

    over = tuple(str(name) for name in made["observed_category"].dims if name != "lead")
    area = _area(made)
    plain = score_terciles(made, dim=over, weights=area, members=members)
    chosen = made if blended is None else blended
    limits = skill_interval(chosen, dim=over, weights=area, seed=seed)
    after = score_terciles(chosen, dim=over, weights=area)
    columns = ["lead", "cases", "M", "RPSS", "RPSS_D"]
    if blended is not None:
        columns += ["weight", "RPSS blended"]
    columns += ["90 % by years"]
    rows = []
    for k, lead in enumerate(made["lead"].values):
        one = plain.isel(lead=k)
        cells = [
            lead if isinstance(lead, str) else f"{lead}",
            str(int(one["cases"])),
            "-" if members is None else str(members),
            f"{float(one['rpss']):+.3f}",
            "-" if members is None else f"{float(one['rpss_d']):+.3f}",
        ]
        if blended is not None:
            weight = float(blended["weight"].isel(lead=k).mean())
            cells += [f"{weight:.2f}", f"{float(after['rpss'][k]):+.3f}"]
        low, high = (float(limits[name][k]) for name in ("lower", "upper"))
        rows.append((*cells, f"{low:+.3f} ... {high:+.3f}"))
    title = f"{made.attrs['method']}; hindcasts of {limits.attrs['years']} years"
    print_table(columns, rows, title=title, numeric=columns[1:])
