"""tilth forcing adjust: a model's variable, adjusted to observations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.options import SCHEDULER, year_range

if TYPE_CHECKING:
    import xarray as xr

    from tilth.forcing.adjust.adjuster import Method

#: Word on the command line -> module and class below `tilth.forcing.adjust`.
_METHODS = {
    "scaling": ("linear", "Scaling"),
    "loci": ("linear", "LOCI"),
    "eqm": ("mapping", "EQM"),
    "dqm": ("detrended", "DQM"),
    "qdm": ("delta", "QDM"),
    "cdft": ("transform", "CDFt"),
    "isimip3": ("isimip", "ISIMIP3"),
}


def adjust(
    observed: Path = typer.Argument(help="Observations, NetCDF or Zarr."),
    modelled: list[Path] = typer.Argument(
        help="Model at the same places: NetCDF or Zarr, one or many that follow each "
        "other in time."
    ),
    out: Path = typer.Option(..., "--out", help="Output, NetCDF, or Zarr by .zarr."),
    train: str = typer.Option(
        ..., "--train", metavar="YEARS", help="Years to learn from: 1981:2010."
    ),
    apply: str | None = typer.Option(
        None, "--apply", metavar="YEARS", help="Years to adjust; all by default."
    ),
    variable: str | None = typer.Option(
        None, "--variable", help="Such as tas or pr; needed where a file has several."
    ),
    method: str | None = typer.Option(
        None,
        "--method",
        help=f"{', '.join(_METHODS)}; by default that of the variable.",
    ),
    kind: str | None = typer.Option(
        None, "--kind", help="'+' or '*'; by default that of the variable."
    ),
    group: str | None = typer.Option(
        None, "--group", help="none, month, or a window such as '31 days'."
    ),
    changes: list[str] = typer.Option(
        [],
        "--set",
        metavar="NAME=VALUE",
        help="Another setting of the method, such as quantiles=100 or seed=1; "
        "repeatable.",
    ),
    years: int = typer.Option(
        30,
        "--years",
        min=0,
        help="Adjust periods of so many years and keep the middle ten of each, for "
        "methods that keep changes rank values within their period; 0: all as one.",
    ),
    observed_units: str | None = typer.Option(
        None, "--observed-units", help="Where the file names none or wrong ones."
    ),
    modelled_units: str | None = typer.Option(
        None, "--modelled-units", help="Where the files name none or wrong ones."
    ),
    in_units: str | None = typer.Option(
        None,
        "--in-units",
        help="Units of the result and of thresholds, such as 'mm day-1'; by default "
        "those of CMIP.",
    ),
    save: Path | None = typer.Option(
        None,
        "--save",
        metavar="NC",
        help="What was learnt, for tilth.forcing.adjust.read_adjuster.",
    ),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Adjust a variable of a model to observations at the same places.

    The training years are noted in the result. Days need not match: only
    distributions are compared. With --scheduler ('threads' for this machine) nothing
    is read before it is needed.
    """
    from tilth.core.parallel import scheduler as workers
    from tilth.forcing.adjust.periods import apply_by_periods
    from tilth.forcing.files import open_forcing, pick, write_forcing
    from tilth.forcing.variables import convert_forcing, find_variable

    chunks: dict[str, int] | None = None if scheduler is None else {}
    seen = pick(open_forcing(observed, chunks=chunks), variable, units=observed_units)
    name = variable or str(seen.name)
    model = pick(open_forcing(modelled, chunks=chunks), name, units=modelled_units)
    known = find_variable(str(seen.name))
    if in_units is not None:
        seen = convert_forcing(seen, in_units)
    chosen = _method(
        method or known.method, known.name, kind or known.kind, group, changes
    )
    training = [_years(data, train, "--train") for data in (seen, model)]
    _warn_of_identical(training[1])
    target = model if apply is None else _years(model, apply, "--apply")
    adjuster = chosen.fit(*training)
    if years:
        found = apply_by_periods(adjuster, target, years=years, step=min(10, years))
    else:
        found = adjuster.apply(target)
    said = f"{type(chosen).__name__}, trained on {train}"
    with workers(scheduler):
        if save is not None:
            adjuster.save(save)
        write_forcing(
            found,
            out,
            step=f"tilth forcing adjust: {said}",
            sources=[observed, *modelled],
            split={"training": train, "method": type(chosen).__name__},
        )
    if scheduler is None:
        _print_means(training, target, found)
    places = found.size // found.sizes["time"]
    typer.echo(
        f"{out}: {known.name} in {found.attrs['units']}, {found.sizes['time']} time "
        f"steps of {places} places; {said} "
        f"({adjuster.table.attrs['training_modelled']})"
    )


def _method(
    word: str, variable: str, kind: str, group: str | None, changes: list[str]
) -> Method:
    """Return the method with its settings."""
    import dataclasses
    import importlib
    import json

    from tilth.core.errors import InputError

    if word not in _METHODS:
        raise InputError(
            f"{variable} is not adjusted by itself: it follows from other variables"
            if word == "none"
            else f"--method is one of {', '.join(_METHODS)}, got {word!r}"
        )
    module, name = _METHODS[word]
    found = getattr(importlib.import_module(f"tilth.forcing.adjust.{module}"), name)
    fields = {field.name for field in dataclasses.fields(found)}
    settings: dict[str, Any] = {
        key: value
        for key, value in (("variable", variable), ("kind", kind), ("group", group))
        if key in fields and value is not None
    }
    others = sorted(fields - {"variable", "kind", "group"})
    for change in changes:
        key, _, text = change.partition("=")
        if key not in others:
            raise InputError(
                f"--set {change}: the settings of {word} are {', '.join(others)}"
            )
        try:
            settings[key] = json.loads(text)
        except ValueError:
            raise InputError(
                f"--set {change}: write it as name=value, where the value is a "
                "number, true or false"
            ) from None
    return found(**settings)


def _years(data: xr.DataArray, text: str, option: str) -> xr.DataArray:
    """Return the years of a text such as 1981:2010."""
    from tilth.core.errors import InputError

    first, last = year_range(text)
    year = data["time"].dt.year
    part = data.isel(time=((year >= first) & (year <= last)).values)
    if not part.sizes["time"]:
        raise InputError(
            f"{option} {text}: {data.name} has the years {int(year.min())} to "
            f"{int(year.max())}"
        )
    return part


def _warn_of_identical(model: xr.DataArray) -> None:
    """Warn if places have one series; fields on Dask are not looked at."""
    import warnings

    from tilth.forcing.patterns.guards import identical_series

    groups = [] if model.chunks is not None else identical_series(model)
    if groups:
        said = " = ".join("/".join(map(str, place)) for place in groups[0][:4])
        warnings.warn(
            f"{model.name}: {sum(map(len, groups))} places of the model have the "
            f"series of another to the last bit ({said}): right where they lie in one "
            "cell; otherwise they were cut from a grid with longitudes of the other "
            "convention (-180..180, 0..360)",
            UserWarning,
            stacklevel=2,
        )


def _print_means(
    training: list[xr.DataArray], target: xr.DataArray, found: xr.DataArray
) -> None:
    """Print the means of all places, before and after."""
    from tilth.cli.display import print_table
    from tilth.forcing.variables import convert_forcing

    units = str(found.attrs["units"])
    rows = []
    for what, data in (
        ("observed, in training", training[0]),
        ("modelled, in training", training[1]),
        ("modelled, to adjust", target),
        ("adjusted", found),
    ):
        values = convert_forcing(data, units)
        missing = float(values.isnull().mean())
        mean, spread = float(values.mean()), float(values.std())
        rows.append((what, f"{mean:.5g}", f"{spread:.5g}", f"{100 * missing:.3g}"))
    columns = ("series", f"mean ({units})", "standard deviation", "missing (%)")
    print_table(columns, rows, numeric=columns[1:])
