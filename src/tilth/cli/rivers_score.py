"""tilth rivers score: simulated discharge against that of gauges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import xarray as xr

#: So many catchments are printed one by one, with intervals; of more, the spread.
_EACH = 30

#: Shares of the time in which the flows of the written curves are exceeded.
_EXCEEDED = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)

#: Units and meaning of what is written for every catchment.
_MEANING = {
    "count": ("1", "values of which both are there"),
    "nse": ("1", "Nash-Sutcliffe efficiency"),
    "kge": ("1", "Kling-Gupta efficiency, 2012"),
    "kge_2009": ("1", "Kling-Gupta efficiency, 2009"),
    "log_nse": ("1", "Nash-Sutcliffe efficiency of logarithms"),
    "correlation": ("1", "correlation"),
    "bias": ("m3 s-1", "simulated less observed mean"),
    "relative_bias": ("1", "simulated less observed mean over the observed"),
    "rmse": ("m3 s-1", "root mean square difference"),
    "peaks": ("1", "observed peaks looked at"),
    "missed_peaks": ("1", "observed peaks without a simulated one"),
    "peak_size_error": ("1", "simulated less observed height over it, mean of peaks"),
    "peak_delay": ("day", "simulated after observed peak, mean"),
    "high_flow_bias": ("1", "flow-duration curve, exceeded in less than 2 %"),
    "middle_slope_bias": ("1", "slope of the flow-duration curve, 20 to 70 %"),
    "low_flow_bias": ("1", "flow-duration curve, exceeded in more than 70 %"),
}


def score(
    simulated: Path = typer.Argument(help="Run, of 'tilth rivers route'."),
    observed: Path = typer.Argument(
        help="Gauges: NetCDF with discharge, CSV of a time and a column per catchment, "
        "or daily USGS text."
    ),
    variable: str = typer.Option("discharge", help="Variable of the run."),
    catchment: list[str] = typer.Option(
        [],
        "--catchment",
        help="Catchment of the gauge, where the file names none; or those to score.",
    ),
    units: str = typer.Option(
        "m3 s-1", "--units", help="Of a CSV, and of NetCDF without units."
    ),
    first: str | None = typer.Option(None, help="First day to compare, 2001-01-01."),
    last: str | None = typer.Option(None, help="Last day to compare."),
    peak_share: float = typer.Option(
        0.02,
        "--peak-share",
        min=0.0,
        max=1.0,
        help="Peaks are above the flow that is exceeded in this share of the time.",
    ),
    separation: float = typer.Option(
        7.0, min=0.0, help="Least days between two peaks; half of it is looked at."
    ),
    out: Path | None = typer.Option(
        None, "--out", metavar="NC", help="Scores and flow-duration curves, NetCDF."
    ),
    seed: int = typer.Option(0, help="Of the intervals."),
) -> None:
    """Score simulated discharge: NSE, KGE, bias, peaks, flow-duration curve."""
    from tilth.cli.rivers_inputs import open_series, within
    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.core.units import convert

    run = open_series([simulated], "a run")
    if variable not in run or "catchment" not in run[variable].dims:
        raise InputError(
            f"{simulated} has no {variable} of catchments; it has "
            f"{', '.join(map(str, run.data_vars)) or 'nothing'}"
        )
    theirs = _observed(observed, variable, catchment, units, run[variable])
    ours = convert(run[variable], "m3 s-1")
    ours, theirs = _paired(
        within(ours, first, last), within(theirs, first, last), catchment
    )
    scores = _scores(ours, theirs, peak_share, separation)
    if out is not None:
        write_netcdf(scores, out)
    _print(scores, ours, theirs, seed)
    if out is not None:
        typer.echo(f"scores: {out}")


def _observed(
    path: Path, variable: str, named: list[str], units: str, run: xr.DataArray
) -> xr.DataArray:
    """Return observed discharge along time and catchment, m3 s-1."""
    from tilth.cli.rivers_inputs import open_series
    from tilth.core.errors import InputError
    from tilth.core.units import convert
    from tilth.rivers.readers.usgs import read_usgs_daily

    if not path.exists():
        raise InputError(f"there is no {path}")
    if path.suffix == ".csv":
        found = _from_csv(path, units, run)
    elif path.suffix in (".txt", ".gz"):
        found = read_usgs_daily(path)["discharge"].drop_vars("gauge")
    else:
        data = open_series([path], "discharge of gauges")
        if variable not in data:
            there = ", ".join(map(str, data.data_vars)) or "nothing"
            raise InputError(f"{path} has no {variable}; it has {there}")
        found = data[variable]
        if "units" not in found.attrs:
            found = found.assign_attrs(units=units)
    if "catchment" not in found.dims:
        if len(named) != 1:
            raise InputError(
                f"{path} is of one gauge and does not say which catchment it stands "
                "in: give --catchment once"
            )
        identifier = _same_kind(named, run)[0]
        found = found.drop_vars("catchment", errors="ignore").expand_dims(
            catchment=[identifier]
        )
    if "time" not in found.dims:
        raise InputError(f"{path} needs discharge along time; it has {found.dims}")
    return convert(found.transpose("time", "catchment").load(), "m3 s-1")


def _from_csv(path: Path, units: str, run: xr.DataArray) -> xr.DataArray:
    """Return the columns of a CSV, one per catchment, beside its first: the time."""
    import pandas as pd
    import xarray as xr

    from tilth.core.errors import InputError

    try:
        table = pd.read_csv(path, index_col=0)
        times = pd.to_datetime(table.index, format="ISO8601", utc=True)
        values = table.to_numpy(float)
    except (ValueError, UnicodeDecodeError) as error:
        raise InputError(
            f"cannot read {path} as discharge: its first column is a time such as "
            f"2001-01-31, the others are numbers, with catchments as heading ({error})"
        ) from error
    ids = _same_kind([str(name) for name in table.columns], run)
    return xr.DataArray(
        values,
        # Times with a zone are taken in UTC; those of runs have none.
        {"time": times.tz_localize(None).to_numpy(), "catchment": ids},
        ("time", "catchment"),
        attrs={"units": units},
    )


def _same_kind(words: list[str], run: xr.DataArray) -> list[Any]:
    """Return identifiers as numbers where those of the run are."""
    from tilth.core.errors import InputError

    if run["catchment"].dtype.kind not in "iu":
        return list(words)
    try:
        return [int(word) for word in words]
    except ValueError as error:
        raise InputError(
            f"catchments of the run are whole numbers: {', '.join(words[:8])}"
        ) from error


def _paired(
    ours: xr.DataArray, theirs: xr.DataArray, named: list[str]
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return both at their common times and catchments, in memory."""
    import numpy as np

    from tilth.core.errors import InputError

    ids = [i for i in theirs["catchment"].values if i in ours.indexes["catchment"]]
    if named:
        wanted = set(_same_kind(named, ours))
        ids = [i for i in ids if i in wanted]
    if not ids:
        raise InputError(
            "no catchment is both in the run and among the gauges: the run has "
            f"{_few(ours)}, the gauges {_few(theirs)}"
        )
    steps = [_step(values) for values in (ours, theirs)]
    if abs(steps[0] - steps[1]) > 1e-3:
        raise InputError(
            f"the run has steps of {steps[0]:g} s, the gauges of {steps[1]:g} s: route "
            "with --output of the gauges' interval, or resample them"
        )
    times = np.intersect1d(ours["time"].values, theirs["time"].values)
    if not times.size:
        spans = [_span(values) for values in (ours, theirs)]
        raise InputError(
            f"no time is common: the run has {spans[0]}, the gauges {spans[1]} (both "
            "labelled with the beginning of an interval)"
        )
    place = {"time": times, "catchment": ids}
    return ours.sel(place).load(), theirs.sel(place)


def _step(values: xr.DataArray) -> float:
    """Return the usual distance of the times, s."""
    import numpy as np

    from tilth.core.errors import InputError

    if values.sizes["time"] < 2:
        raise InputError("one time alone cannot be scored")
    gaps = np.diff(values["time"].values) / np.timedelta64(1, "s")
    return float(np.median(gaps))


def _span(values: xr.DataArray) -> str:
    """Return the first and the last time as text."""
    times = values["time"].values
    return f"{times[0]} to {times[-1]}"


def _few(values: xr.DataArray) -> str:
    """Return some identifiers as text."""
    ids = values["catchment"].values
    return ", ".join(map(str, ids[:5])) + (" ..." if ids.size > 5 else "")


def _scores(
    ours: xr.DataArray, theirs: xr.DataArray, peak_share: float, separation: float
) -> xr.Dataset:
    """Return every score of every catchment, and both flow-duration curves."""
    import numpy as np
    import xarray as xr

    from tilth.stats import flow_duration, flow_duration_bias, hydrograph_scores

    s, o = (np.asarray(x.values, float).T for x in (ours, theirs))
    both = np.isfinite(s) & np.isfinite(o)
    s, o = np.where(both, s, np.nan), np.where(both, o, np.nan)
    found = dict(hydrograph_scores(s, o))
    curve = flow_duration_bias(s, o)
    found |= {
        "count": both.sum(axis=1),
        "high_flow_bias": curve["high"],
        "middle_slope_bias": curve["middle_slope"],
        "low_flow_bias": curve["low"],
    } | _peaks(s, o, peak_share, separation, _step(ours) / 86400.0)
    result = xr.Dataset(coords={"catchment": ours["catchment"].values})
    for name, (units, meaning) in _MEANING.items():
        attrs = {"units": units, "long_name": meaning}
        result[name] = "catchment", np.asarray(found[name]), attrs
    result["reason"] = "catchment", found["reason"], _reasons()
    result = result.assign_coords(
        exceeded=("exceeded", list(_EXCEEDED), {"units": "1"})
    )
    for name, values in (("simulated_duration", s), ("observed_duration", o)):
        flows = flow_duration(values, _EXCEEDED)
        result[name] = ("catchment", "exceeded"), flows, {"units": "m3 s-1"}
    first, last = (str(ours["time"].values[i])[:10] for i in (0, -1))
    return result.assign_attrs(first_day=first, last_day=last)


def _reasons() -> dict[str, Any]:
    """Return the attributes of ``reason``: why a catchment has no efficiency."""
    import numpy as np

    from tilth.stats.hydrographs import REASONS

    return {
        "long_name": "why there is no efficiency",
        "flag_values": np.array(list(REASONS.values()), np.int8),
        "flag_meanings": " ".join(REASONS),
    }


def _peaks(
    s: Any, o: Any, share: float, separation: float, step: float
) -> dict[str, list[float]]:
    """Return number, misses, mean size and mean delay of the peaks of every row."""
    import numpy as np

    from tilth.stats import flow_duration, independent_peaks, peak_errors

    apart = max(1, round(separation / step))
    names = ("peaks", "missed_peaks", "peak_size_error", "peak_delay")
    table: dict[str, list[float]] = {name: [] for name in names}
    for ours, theirs in zip(s, o, strict=True):
        threshold = flow_duration(theirs, [share])[0]
        at = (
            independent_peaks(theirs, threshold, apart)
            if threshold > 0
            else np.array([], int)
        )
        errors = peak_errors(ours, theirs, at, window=max(1, apart // 2))
        matched = np.isfinite(errors.simulated)
        size = errors.relative_size[matched].mean() if matched.any() else np.nan
        delay = errors.delay[matched].mean() * step if matched.any() else np.nan
        row = (at.size, errors.missed, float(size), float(delay))
        for name, value in zip(names, row, strict=True):
            table[name].append(value)
    return table


def _print(
    scores: xr.Dataset, ours: xr.DataArray, theirs: xr.DataArray, seed: int
) -> None:
    """Print the scores: each catchment, or the spread over many."""
    import numpy as np

    from tilth.cli.display import print_table

    days = f"{scores.attrs['first_day']} to {scores.attrs['last_day']}"
    shown = {
        "NSE": "nse",
        "KGE": "kge",
        "bias": "relative_bias",
        "peak size": "peak_size_error",
        "peak delay, d": "peak_delay",
        "high flow": "high_flow_bias",
        "low flow": "low_flow_bias",
    }
    if scores.sizes["catchment"] > _EACH:
        rows: list[tuple[str, ...]] = []
        for label, name in shown.items():
            values = scores[name].values
            known = values[np.isfinite(values)]
            if known.size:
                spread = np.quantile(known, [0.0, 0.05, 0.5, 0.95, 1.0])
                rows.append((label, str(known.size), *(f"{x:.3g}" for x in spread)))
        spread_of = ("score", "catchments", "least", "5 %", "median", "95 %", "most")
        title = f"{scores.sizes['catchment']} catchments, {days}"
        print_table(spread_of, rows, title=title, numeric=spread_of[1:])
        return
    intervals = _intervals(ours, theirs, scores, seed)
    rows = []
    for i, identifier in enumerate(scores["catchment"].values):
        one = scores.isel(catchment=i)
        cells = [str(identifier), str(int(one["count"]))]
        for label, name in shown.items():
            value = float(one[name])
            text = "–" if np.isnan(value) else f"{value:.3f}"
            cells.append(text + intervals.get((label, i), ""))
        rows.append(tuple(cells))
    columns = ("catchment", "values", *shown)
    title = f"{days}; in brackets 90 % by months; biases and sizes are shares"
    print_table(columns, rows, title=title, numeric=columns[1:])


def _intervals(
    ours: xr.DataArray, theirs: xr.DataArray, scores: xr.Dataset, seed: int
) -> dict[tuple[str, int], str]:
    """Return the interval of NSE and KGE of each catchment that has them, as text."""
    import numpy as np

    from tilth.stats import score_intervals

    months = ours["time"].dt.strftime("%Y-%m").values
    found: dict[tuple[str, int], str] = {}
    if np.unique(months).size < 2:
        return found
    for i in np.flatnonzero(scores["reason"].values == 0):
        s, o = (x.isel(catchment=i).values.astype(float) for x in (ours, theirs))
        known = np.isfinite(s) & np.isfinite(o)
        if np.unique(months[known]).size < 2:
            continue
        by = score_intervals(s[known], o[known], months[known], seed=seed)
        for label, name in (("NSE", "nse"), ("KGE", "kge")):
            low, high = float(by[name].lower), float(by[name].upper)
            if np.isfinite([low, high]).all():
                found[label, int(i)] = f" ({low:.2f} ... {high:.2f})"
    return found
