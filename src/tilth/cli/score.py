"""tilth score: forecasts against observations by lead, and which gains are chance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import xarray as xr

app = typer.Typer(rich_markup_mode=None)

#: How the tests of `--against` are called in the table.
_COMPARED = {
    "crps_fair": "fair CRPS",
    "kge": "KGE",
    "correlation": "correlation",
    "rmse": "RMSE",
}


@app.command()
def score(
    forecast: Path = typer.Argument(
        help="Forecasts, NetCDF or Zarr: along start, lead, member and places."
    ),
    observed: Path = typer.Argument(
        help="Daily observations along time at the same places."
    ),
    against: Path | None = typer.Option(
        None, "--against", help="Another forecast, tested on the cases both have."
    ),
    variable: str | None = typer.Option(
        None, help="Variable to score, where a file has several."
    ),
    observed_variable: str | None = typer.Option(
        None, "--observed-variable", help="That of the observations, if another."
    ),
    units: str | None = typer.Option(None, help="Of files that state none."),
    clusters: str | None = typer.Option(
        None,
        "--clusters",
        help="Coordinate of the sites, such as basin: what is independent.",
    ),
    window: float = typer.Option(
        15.0, min=0.0, help="Days around a date whose other years are its climatology."
    ),
    level: float = typer.Option(
        0.05,
        min=1e-6,
        max=0.499,
        help="Chance of a false alarm; intervals hold the rest.",
    ),
    training_days: str = typer.Option(
        "refuse",
        "--training-days",
        help="Days the forecast's record says it learnt from: refuse, drop, or keep.",
    ),
    sites: bool = typer.Option(False, "--sites", help="Print every site too."),
    out: Path | None = typer.Option(
        None, "--out", metavar="NC", help="All scores of every lead and site, NetCDF."
    ),
    seed: int = typer.Option(0, help="Of the intervals."),
) -> None:
    """Score forecasts by lead: CRPS standard and fair with M, skill, KGE, tests."""
    import numpy as np
    import xarray as xr

    from tilth.cli import score_tables as tables
    from tilth.cli.score_inputs import (
        at_common_places,
        clusters_of,
        read_forecast,
        read_observed,
        without_training,
    )
    from tilth.core.errors import InputError
    from tilth.core.files import write_netcdf
    from tilth.forcing.s2s.alignment import align_observations

    given = read_forecast(forecast, variable, units)
    ours, daily = at_common_places(
        given, read_observed(observed, observed_variable or variable, units)
    )
    alone = given[0, 0, 0].size - ours.sizes["site"] if given.size else 0
    other = None
    if against is not None:
        other, ours = at_common_places(read_forecast(against, variable, units), ours)
        _, daily = at_common_places(ours, daily)
        both = xr.align(ours, other, join="inner", exclude=["member"])
        if not both[0].size:
            raise InputError(
                f"{forecast} and {against} have no start and lead in common"
            )
        ours, other = both
    ours, daily = ours.load(), daily.load()
    laid = align_observations(daily, ours["start"], ours["lead"])
    ours, learnt = without_training(ours, laid, training_days, str(forecast))
    scored = tables.cases(ours, laid)
    if other is not None:
        other, more = without_training(other.load(), laid, training_days, str(against))
        learnt = max(learnt, more)
        theirs = tables.cases(other, laid)
        shared = scored["crps"].notnull() & theirs["crps"].notnull()
        scored, theirs = scored.where(shared), theirs.where(shared)
    reference, words = _climatology(daily, ours, window)
    found = tables.by_site(scored, ours, reference)
    if reference is not None:
        skill = tables.skill_by_lead(scored, reference, level=1 - level, seed=seed)
        for name in skill:
            found[f"{name}_of_lead"] = skill[name]
    found = found.assign_attrs(
        climatology=words, level=level, seed=seed, pairs_of_training=learnt
    )
    if learnt:
        found.attrs["training_days"] = training_days
    _print_leads(found, ours)
    typer.echo(f"climatology: {words}")
    if alone:
        typer.echo(f"places of the forecasts that were not observed: {alone}")
    if learnt:
        fate = "left out" if training_days == "drop" else "scored ALL THE SAME"
        typer.echo(f"pairs of start and lead that were learnt from, {fate}: {learnt}")
    if sites:
        _print_sites(found)
    if other is not None:
        labels = None if clusters is None else clusters_of(clusters, ours, daily).values
        tests = tables.compared(
            scored,
            theirs,
            (found, tables.by_site(theirs, other, None)),
            labels,
            level=level,
            seed=seed,
        )
        _print_tests(tests, against.name if against else "", labels is not None, level)
        for name, test in tests.items():
            for part in test:
                kind = (
                    test[part].astype(np.int8) if part == "significant" else test[part]
                )
                found[f"{name}_{part}"] = kind
    if out is not None:
        write_netcdf(found, out)
        typer.echo(f"scores: {out}")


def _climatology(
    daily: xr.DataArray, forecast: xr.DataArray, window: float
) -> tuple[xr.DataArray | None, str]:
    """Return the score of the climatology and what it is, or why there is none."""
    from tilth.cli.score_tables import climatology
    from tilth.core.errors import InputError

    try:
        return climatology(daily, forecast["start"], forecast["lead"], window)
    except InputError as error:
        return None, f"none ({error})"


def _print_leads(found: xr.Dataset, forecast: xr.DataArray) -> None:
    """Print one row per lead, means over the sites."""
    import numpy as np

    from tilth.cli.display import print_table
    from tilth.forcing.s2s.alignment import lead_days

    shown = {
        "CRPS": "crps",
        "fair": "crps_fair",
        "climatology": "crps_climatology",
        "CRPSS": "crpss_of_lead",
        "fair CRPSS": "crpss_fair_of_lead",
        "correlation": "correlation",
        "KGE": "kge",
        "RMSE": "rmse",
        "spread/error": "spread_error",
    }
    shown = {label: name for label, name in shown.items() if name in found}
    rows = []
    for i, lead in enumerate(lead_days(found["lead"])):
        one = found.isel(lead=i)
        cells = [f"{lead:g}", str(int(one["cases"].sum())), _m(one)]
        # One member has no fair score: the interval is that of the other.
        bracketed = "fair CRPSS" if one["crps_fair"].notnull().any() else "CRPSS"
        for label, name in shown.items():
            values = np.atleast_1d(one[name].values)
            known = values[np.isfinite(values)]
            # KGE has no lower end: one hopeless site would be its mean.
            middle = np.median if name == "kge" else np.mean
            text = f"{middle(known):.4g}" if known.size else "–"
            if label == bracketed and np.isfinite(one["lower_of_lead"]):
                low, high = (float(one[f"{x}_of_lead"]) for x in ("lower", "upper"))
                text += f" ({low:.3f} ... {high:.3f})"
            cells.append(text)
        rows.append(tuple(cells))
    unit = forecast.attrs.get("units")
    percent = 100 * (1 - found.attrs["level"])
    title = (
        f"{found.sizes['site']} sites, {forecast.sizes['start']} starts"
        + (f", {unit}" if unit else "")
        + f"; means over sites, KGE the median; in brackets {percent:g} % by months"
    )
    columns = ("lead, d", "cases", "M", *shown)
    print_table(columns, rows, title=title, numeric=columns)


def _m(one: xr.Dataset) -> str:
    """Return how many members there were."""
    import numpy as np

    values = one["members"].values
    known = values[np.isfinite(values)]
    if not known.size:
        return "–"
    low, high = known.min(), known.max()
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


def _print_sites(found: xr.Dataset) -> None:
    """Print every site and lead."""
    from tilth.cli.display import print_table
    from tilth.forcing.s2s.alignment import lead_days

    names = [n for n in ("crps", "crps_fair", "crps_climatology", "correlation", "kge",
                         "rmse") if n in found]  # fmt: skip
    rows = []
    for k, site in enumerate(found["site"].values):
        for i, lead in enumerate(lead_days(found["lead"])):
            one = found.isel(lead=i, site=k)
            cells = [f"{float(one[name]):.4g}" for name in names]
            rows.append((str(site), f"{lead:g}", str(int(one["cases"])), *cells))
    columns = ("site", "lead, d", "cases", *names)
    print_table(columns, rows, title="every site", numeric=columns[1:])


def _print_tests(
    tests: dict[str, xr.Dataset], name: str, clustered: bool, level: float
) -> None:
    """Print one row per score and lead of a forecast against another."""
    import numpy as np

    from tilth.cli.display import print_table
    from tilth.forcing.s2s.alignment import lead_days

    def text(value: float) -> str:
        return f"{value:.3g}" if np.isfinite(value) else "–"

    rows = []
    for score_name, test in tests.items():
        for i, lead in enumerate(lead_days(test["lead"])):
            one = test.isel(lead=i)
            limits = (
                f"{text(float(one['difference']))} ({text(float(one['lower']))} ... "
                f"{text(float(one['upper']))})"
            )
            rest = [
                text(float(one[key])) if key in one else "–"
                for key in ("p_paired_t", "p_clusters", "p_starts", "sites_significant")
            ]
            verdict = "yes" if bool(one["significant"]) else "no"
            rows.append((_COMPARED[score_name], f"{lead:g}", limits, *rest, verdict))
    columns = (
        "score", "lead, d", "difference", "p paired t", "p clusters", "p starts",
        "sites", "significant",
    )  # fmt: skip
    of = "clusters" if clustered else "sites as if independent (give --clusters)"
    print_table(
        columns,
        rows,
        title=f"less {name}; interval and verdict by {of}",
        numeric=columns[1:],
    )
    typer.echo(
        f"significant: false discoveries among leads held at {level:g}; sites: share "
        f"whose CRPS differs, among sites and leads together held at {2 * level:g}"
    )
