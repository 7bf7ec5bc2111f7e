"""``tilth stomata``: closures fitted to leaves, and what conductance is learnt from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tilth.cli.stomata_experiment import experiment
from tilth.cli.stomata_inputs import COLUMNS, ENCODING, FILE, IGNORED

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import xarray as xr

    from tilth.stomata.fits import StomatalFit

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.command()(experiment)

#: Closure -> its equation, as it is printed.
_CLOSURES = {
    "medlyn": "gs = g0 + 1.6 (1 + g1 / D^{power:g}) A / Cs",
    "ball_berry": "gs = g0 + g1 A hs / Cs",
    "leuning": "gs = g0 + a1 A / ((Cs - G) (1 + D / D0))",
}


@app.callback()
def stomata() -> None:
    """Fit stomatal closures to leaves; ask what their conductance follows."""


@app.command()
def fit(
    file: Path = FILE,
    columns: Path | None = COLUMNS,
    by: str | None = typer.Option(
        None, help="One fit for each plant, species, curve or day; several by commas."
    ),
    closure: str = typer.Option("medlyn", help="medlyn, ball_berry or leuning."),
    g0: float | None = typer.Option(
        None, help="Fixed, mol m-2 s-1; fitted by default. Not of leuning."
    ),
    gk: float = typer.Option(0.5, help="Of the exponent of the deficit, of medlyn."),
    compensation: float = typer.Option(
        42.75, help="CO2 compensation point G of leuning, umol mol-1."
    ),
    out: Path | None = typer.Option(
        None,
        metavar="CSV|DIR",
        help="Table of the parameters; or a new folder for it and for the flagged "
        "and fitted observations.",
    ),
    ignore: list[str] = IGNORED,
    encoding: str = ENCODING,
) -> None:
    """Fit Medlyn's, Ball-Berry's or Leuning's closure, with standard errors."""
    import pandas as pd

    from tilth.cli.stomata_inputs import read_leaves, usable_rows
    from tilth.core.errors import InputError

    if closure not in _CLOSURES:
        raise InputError(f"no closure {closure!r}; there are {', '.join(_CLOSURES)}")
    if closure == "leuning" and g0 is not None:
        raise InputError("--g0 is for medlyn and ball_berry: leuning fits all three")
    leaves = read_leaves(file, columns, encoding)
    used = usable_rows(leaves, ignore)
    labels = [] if by is None else [word.strip() for word in by.split(",")]
    fitted = {}
    refused = []
    for name, rows in _parts(used, labels):
        try:
            fitted[name] = rows, _fit(rows, closure, g0, gk, compensation)
        except InputError as error:
            if not labels:
                raise
            refused.append(f"{' '.join(name)} is left out: {error}")
    for line in refused:
        typer.echo(line, err=True)
    if not fitted:
        raise InputError(f"none of {len(refused)} groups could be fitted to {closure}")
    tables = [_table(name, labels, found) for name, (_, found) in fitted.items()]
    table = pd.concat(tables, ignore_index=True)
    _print(table, labels, _CLOSURES[closure].format(power=1 - gk))
    if out is None:
        return
    if out.suffix == ".csv":
        _write_csv(table, out)
    else:
        out.mkdir(exist_ok=True)
        _write_csv(table, out / "parameters.csv")
        _write_rows(leaves, fitted, out / "observations.nc")
    typer.echo(f"{len(fitted)} {'fit' if len(fitted) == 1 else 'fits'}: {out}")


def _parts(
    observations: xr.Dataset, labels: list[str]
) -> Iterator[tuple[tuple[str, ...], xr.Dataset]]:
    """Give the rows of each group, in the order of the table."""
    import numpy as np
    import pandas as pd

    from tilth.core.errors import InputError

    absent = [name for name in labels if name not in observations.coords]
    if absent:
        there = [str(n) for n in observations.coords if n != "observation"]
        raise InputError(
            f"the rows have no {', '.join(absent)}; they have "
            f"{', '.join(there) or 'no labels'}: name the column in --columns"
        )
    if not labels:
        yield (), observations
        return
    groups = pd.DataFrame({name: observations[name].values for name in labels})
    for name, rows in groups.groupby(labels, sort=False).indices.items():
        words = name if isinstance(name, tuple) else (name,)
        part = observations.isel(observation=np.sort(rows))
        yield tuple(map(str, words)), part


def _fit(
    rows: xr.Dataset,
    closure: str,
    g0: float | None,
    gk: float,
    compensation: float,
) -> StomatalFit:
    """Fit one group."""
    from tilth.stomata.fits import fit_ball_berry, fit_leuning, fit_medlyn

    gs, a, cs = (
        rows[name].values for name in ("conductance", "assimilation", "surface_co2")
    )
    driver = _driver(rows, closure)
    if closure == "medlyn":
        return fit_medlyn(gs, a, cs, driver, g0=g0, gk=gk)
    if closure == "ball_berry":
        return fit_ball_berry(gs, a, cs, driver, g0=g0)
    return fit_leuning(gs, a, cs, driver, compensation=compensation)


def _driver(rows: xr.Dataset, closure: str) -> np.ndarray:
    """Return what a closure takes for the dryness of the air."""
    from tilth.core.errors import InputError

    name = "surface_humidity" if closure == "ball_berry" else "deficit"
    if name not in rows:
        raise InputError(
            "ball_berry needs the humidity at the leaf surface: name surface_humidity, "
            "or chamber_water, transpiration, boundary_conductance, leaf_temperature "
            "and pressure, of which it follows"
        )
    return rows[name].values


def _table(
    name: tuple[str, ...], labels: list[str], found: StomatalFit
) -> pd.DataFrame:
    """Return the parameters of one fit, with its group in front."""
    table = found.table()
    for place, (label, word) in enumerate(zip(labels, name, strict=True)):
        table.insert(place, label, word)
    table["rows"] = found.rows
    table["r_squared"] = found.r_squared
    table["rmse"] = found.rmse
    table["closure"] = found.closure
    return table


def _print(table: pd.DataFrame, labels: list[str], equation: str) -> None:
    """Print a row per fit: parameters, errors, and how close it comes."""
    from tilth.cli.display import print_table
    from tilth.core.typeset import measurement_text, units_text

    names = list(dict.fromkeys(table["parameter"]))
    units = dict(zip(table["parameter"], table["units"], strict=True))
    heads = [f"{n}, {units_text(units[n])}".rstrip(", ") for n in names]
    lines = []
    for start in range(0, len(table), len(names)):
        one = table.iloc[start : start + len(names)]
        cells = [str(one[label].iloc[0]) for label in labels]
        cells.append(str(one["rows"].iloc[0]))
        for value, error in zip(one["value"], one["se"], strict=True):
            known, se = measurement_text(value, error)
            cells.append(f"{known} ± {se}" if se else f"{known} fixed")
        r_squared, rmse = one["r_squared"].iloc[0], one["rmse"].iloc[0]
        lines.append((*cells, f"{r_squared:.3f}", f"{rmse:.4f}"))
    numeric = ("rows", *heads, "R²", "RMSE, mol m⁻² s⁻¹")
    title = f"{equation}; ± standard error"
    print_table((*labels, *numeric), lines, title=title, numeric=numeric)


def _write_csv(table: pd.DataFrame, path: Path) -> None:
    from tilth.core.files import whole_file

    with whole_file(path) as half:
        table.to_csv(half, index=False)


def _write_rows(
    leaves: xr.Dataset,
    fitted: dict[tuple[str, ...], tuple[xr.Dataset, StomatalFit]],
    path: Path,
) -> None:
    """Write every observation with its flags, and the fit beside those fitted."""
    import numpy as np

    from tilth.core.files import write_netcdf

    values = np.full(leaves.sizes["observation"], np.nan)
    for rows, found in fitted.values():
        uptake, co2 = rows["assimilation"].values, rows["surface_co2"].values
        values[rows["observation"].values] = found.predict(
            uptake, co2, _driver(rows, found.closure)
        )
    about = {"units": "mol m-2 s-1", "long_name": "conductance of the closure"}
    result = leaves.assign(fitted_conductance=("observation", values, about))
    write_netcdf(result, path)
