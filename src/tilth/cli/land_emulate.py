"""``tilth land emulate``: fit an emulator, run it, judge it on years not fitted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.options import SCHEDULER, year_range

if TYPE_CHECKING:
    import xarray as xr

    from tilth.land.readers import ModelOutput

#: Cells in one piece of work for a cluster: a minute or so of fitting.
_PIECE = 16

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_FILES = typer.Argument(help="NetCDF files and Zarr stores of the land model.")
_MODEL = typer.Option(
    None,
    help="How the files name things: vic, noahmp, ecland, matsiro, tilth, alma, "
    "era5-land, or a column map of your own (.yaml); by default as at the fit.",
)
_CELLS = typer.Option(
    None, metavar="LIST", help="Positions of the cells to take: 0,3,5:9."
)


@app.callback()
def emulate() -> None:
    """Imitate any land model by three stores and fifteen parameters per month."""


@app.command()
def fit(
    files: list[Path] = _FILES,
    model: str = typer.Option(
        ...,
        help="How the files name things: vic, noahmp, ecland, matsiro, tilth, alma, "
        "era5-land, or a column map of your own (.yaml).",
    ),
    train: str = typer.Option(
        ..., metavar="YEARS", help="First and last year of the fit: 1961:2000."
    ),
    out: Path = typer.Option(..., metavar="FILE", help="The emulator: .nc or .zarr."),
    variant: str = typer.Option(
        "implicit", help="Form of the equations: published, smooth, implicit, closed."
    ),
    months_only: bool = typer.Option(
        False, "--months-only", help="The published recipe: no joint fit of the months."
    ),
    cells: str | None = _CELLS,
    soil_depth: float | None = typer.Option(
        None, help="Depth of the soil water, m; needs the layers' thickness."
    ),
    soil_layers: int | None = typer.Option(
        None, help="Or that of so many topmost layers."
    ),
    keep: Path | None = typer.Option(
        None, metavar="DIR", help="Keep finished cells here, to go on after a stop."
    ),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Fit an emulator to a land model's output, cell by cell."""
    import json

    from tilth.core.flags import count_flags
    from tilth.core.parallel import scheduler as workers
    from tilth.land.emulator import Emulator
    from tilth.land.fit import FitSettings, fit_emulator
    from tilth.land.readers import column_map

    columns = column_map(model)
    soil = {"soil_depth": soil_depth, "soil_layers": soil_layers}
    with workers(scheduler):
        chunks = None if scheduler is None else {"cell": _PIECE}
        forcing, targets = _read(files, columns, cells, soil, chunks)
        fitted = fit_emulator(
            forcing,
            targets,
            years=year_range(train),
            variant=variant,
            settings=FitSettings(joint=not months_only),
            folder=keep,
        )
    fitted.attrs |= {
        "imitates": columns.name,
        "column_map": json.dumps(columns.settings()),
        "soil_water": json.dumps({k: v for k, v in soil.items() if v is not None}),
    }
    emulator = Emulator(fitted)
    write = emulator.to_netcdf if out.suffix == ".nc" else emulator.to_zarr
    write(out)
    typer.echo(f"{fitted.sizes['cell']} cells fitted to {train}: {out}")
    for meaning, count in count_flags(fitted["fit_flag"]).items():
        if meaning not in ("total", "clean") and count:
            typer.echo(f"{count:>10}  {str(meaning).replace('_', ' ')}")


@app.command()
def run(
    emulator: Path = typer.Argument(help="Emulator, as 'fit' wrote it."),
    files: list[Path] = typer.Argument(
        help="NetCDF files and Zarr stores of the weather."
    ),
    out: Path = typer.Option(..., metavar="NC", help="The run, NetCDF."),
    model: str | None = _MODEL,
    cells: str | None = _CELLS,
    after: Path | None = typer.Option(
        None, metavar="NC", help="Go on after this run, to the last bit."
    ),
    evaporation: bool = typer.Option(
        False, "--evaporation", help="Write evaporation as well."
    ),
    grid: bool = typer.Option(
        False, "--grid", help="Write on the grid the cells came from."
    ),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Run an emulator freely through daily weather.

    It starts from the stores at the end of the fit where the weather begins on the next
    day, else from empty stores and mean soil water, unless another run is named.
    """
    import xarray as xr

    from tilth.core.files import write_netcdf
    from tilth.core.parallel import scheduler as workers
    from tilth.land.cells import unstack_cells
    from tilth.land.emulator import Emulator
    from tilth.land.readers import read_forcing

    fitted = Emulator.open(emulator)
    weather = read_forcing(files, _columns(fitted, model), cells=_positions(cells))
    state, told = None, "empty stores and mean soil water"
    if after is not None:
        with xr.open_dataset(after, engine="h5netcdf") as before:
            _follows(before, weather, after)
            state, told = before["state"].load(), f"the end of {after.name}"
    elif _is_next_day(fitted.fitted.attrs.get("last_day"), weather):
        state, told = fitted.initial_state(), "the end of the fit"
    if scheduler is not None:
        weather = weather.chunk(cell=_PIECE * _PIECE)
    with workers(scheduler):
        done = fitted.run(weather, state, evaporation=evaporation).compute()
    typer.echo(f"{weather.sizes['time']} days from {told}: {out}")
    if grid:
        done = unstack_cells(done)
    write_netcdf(done, out)


@app.command()
def score(
    emulator: Path = typer.Argument(help="Emulator, as 'fit' wrote it."),
    files: list[Path] = typer.Argument(
        help="Files of the land model: training years, for their climatology, and the "
        "years to judge."
    ),
    test: str = typer.Option(
        ..., metavar="YEARS", help="Years to judge, none of them fitted: 2001:2005."
    ),
    model: str | None = _MODEL,
    cells: str | None = _CELLS,
    out: Path | None = typer.Option(None, metavar="NC", help="The card, NetCDF."),
    html: Path | None = typer.Option(
        None, metavar="HTML", help="The card as a page with figures."
    ),
    seed: int = typer.Option(0, help="Of the intervals."),
) -> None:
    """Judge a free run over years not fitted; exit code 1 where it is not accepted."""
    import json

    from tilth.core.files import write_netcdf
    from tilth.land.emulator import Emulator
    from tilth.land.free_runs import free_run
    from tilth.land.skill import skill_card
    from tilth.land.skill_report import all_accepted, card_text, write_card

    fitted = Emulator.open(emulator)
    soil = json.loads(fitted.fitted.attrs.get("soil_water", "{}"))
    forcing, targets = _read(files, _columns(fitted, model), cells, soil)
    train_targets = _training(fitted, targets)
    first, last = year_range(test)
    days = slice(str(first), str(last))
    truth = targets.sel(time=days)
    output = free_run(fitted.fitted, forcing, targets, days)
    card = skill_card(output, truth, train_targets, seed=seed)
    typer.echo(card_text(card))
    if out is not None:
        write_netcdf(card, out)
        typer.echo(f"card: {out}")
    if html is not None:
        write_card(card, html, _figures(card, output, truth, train_targets))
        typer.echo(f"page: {html}")
    if not all_accepted(card):
        raise typer.Exit(1)


def _figures(
    card: xr.Dataset, output: xr.Dataset, truth: xr.Dataset, train: xr.Dataset
) -> list[Any]:
    """Draw the card, the worst cell over time, and all days."""
    import numpy as np

    from tilth.land.skill_plots import plot_hydrographs, plot_scatter, plot_skill

    lowest = card["nse"].min("variable").values
    worst = int(np.nanargmin(lowest)) if np.isfinite(lowest).any() else 0
    return [
        plot_skill(card),
        plot_hydrographs(output, truth, train, cell=worst),
        plot_scatter(output, truth),
    ]


def _read(
    files: list[Path],
    columns: Any,
    cells: str | None,
    soil: dict[str, Any],
    chunks: dict[str, int] | None = None,
) -> ModelOutput:
    """Read the land model's files, where asked for in chunks of cells."""
    from tilth.land.readers import ModelOutput, read_land_model

    lazy: dict[str, int] | None = None if chunks is None else {}
    found = read_land_model(
        files, columns, cells=_positions(cells), chunks=lazy, **soil
    )
    return found if chunks is None else ModelOutput(*(x.chunk(chunks) for x in found))


def _columns(emulator: Any, model: str | None) -> Any:
    """Return the column map asked for, else that of the fit."""
    import json

    from tilth.core.errors import InputError
    from tilth.land.readers import column_map, parse_map

    if model is not None:
        return column_map(model)
    kept = emulator.fitted.attrs.get("column_map")
    if kept is None:
        raise InputError(
            "the emulator does not say how files name things: give --model"
        )
    return parse_map(json.loads(kept))


def _training(emulator: Any, targets: xr.Dataset) -> xr.Dataset:
    """Return the targets of the years of the fit."""
    import numpy as np

    from tilth.core.errors import InputError

    years = np.atleast_1d(emulator.fitted.attrs["training_years"])
    there = np.isin(targets["time"].dt.year.values, years)
    absent = sorted(set(years.tolist()) - set(targets["time"].dt.year.values.tolist()))
    if absent:
        raise InputError(
            f"the files lack the training years {absent[0]} to {absent[-1]}: the "
            "climatology to beat comes from them, give their files as well"
        )
    return targets.isel(time=there)


def _positions(text: str | None) -> list[int] | None:
    """Return the positions of '0,3,5:9'; the end of a stretch is not in it."""
    from tilth.core.errors import InputError

    if text is None:
        return None
    found: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition(":")
            found += range(int(first), int(last)) if last else [int(first)]
    except ValueError:
        found = []
    if not found:
        raise InputError(f"cells are written like 0,3,5:9, got {text!r}")
    return found


def _is_next_day(day: str | None, weather: xr.Dataset) -> bool:
    """Tell whether the weather begins on the day after."""
    if day is None:
        return False
    time = weather["time"]
    before = time.values[0] - (time.values[1] - time.values[0])
    return str(before)[:10] == day


def _follows(before: xr.Dataset, weather: xr.Dataset, path: Path) -> None:
    """Refuse to go on after a run that ends on another day than the eve."""
    from tilth.core.errors import InputError

    if "state" not in before:
        raise InputError(f"{path.name} is not a run: it keeps no state to go on from")
    if not _is_next_day(str(before["time"].values[-1])[:10], weather):
        raise InputError(
            f"{path.name} ends on {str(before['time'].values[-1])[:10]}, the weather "
            f"begins on {str(weather['time'].values[0])[:10]}: a day apart is needed"
        )
