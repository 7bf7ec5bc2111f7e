"""tilth forcing downscale: local weather learnt from the pattern around it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.options import year_range

if TYPE_CHECKING:
    import xarray as xr

#: Learner -> where it is.
_LEARNERS = {
    "ridge": "learners:Ridge",
    "nystroem": "learners_nonlinear:Nystroem",
    "svr": "learners_nonlinear:SupportVectors",
    "forest": "learners_nonlinear:RandomForest",
}


def downscale(
    predictors: list[Path] = typer.Argument(
        help="Coarse fields of the real weather (reanalysis): NetCDF or Zarr; several "
        "may hold several variables."
    ),
    observed: Path = typer.Option(
        ..., "--observed", help="Stations or a fine grid: NetCDF or Zarr."
    ),
    out: Path = typer.Option(..., "--out", help="Output, NetCDF, or Zarr by .zarr."),
    train: str = typer.Option(
        ..., "--train", help="Years to learn from, 1983:1988; a winter by its January."
    ),
    apply: str | None = typer.Option(
        None, "--apply", help="Years to write; by default all others."
    ),
    variable: str = typer.Option("pr", "--variable", help="What is downscaled."),
    extra: list[str] = typer.Option(
        [], "--extra", help="Other variable to learn from, such as psl; repeatable."
    ),
    model: list[Path] = typer.Option(
        [],
        "--model",
        help="Fields of a climate model to be downscaled instead, mapped onto the "
        "predictors over the years of training; repeatable.",
    ),
    learner: str = typer.Option("ridge", help="ridge, nystroem, svr or forest."),
    window: str = typer.Option(
        "all", help="Cells each side of the nearest (1: three by three), or all."
    ),
    transform: str | None = typer.Option(
        None, help="cube_root or none; by default cube_root for precipitation."
    ),
    folds: int = typer.Option(4, min=2, help="Of whole seasons, for the rank step."),
    extrapolation: str = typer.Option(
        "constant", help="Beyond all of the training: constant or delta."
    ),
    warn: bool = typer.Option(
        False, "--warn", help="Let guards warn, and go on all the same."
    ),
) -> None:
    """Learn how local weather follows the wide-area pattern, and apply it.

    Writes the conditional estimate and the distribution-corrected output side by side,
    and what was learnt from when. Predictors that do not follow the observed weather
    day by day, such as a free-running climate model, are refused; downscale those with
    --model.
    """
    from tilth.core.errors import InputError
    from tilth.forcing.files import open_forcing, write_forcing
    from tilth.forcing.patterns.downscaling import PatternDownscaling
    from tilth.forcing.patterns.transfer import Transfer

    fields = _fields(predictors, [variable, *extra])
    target = _variable(open_forcing(observed), variable, observed).load()
    years, period = year_range(train), None if apply is None else year_range(apply)
    settings = PatternDownscaling(
        _learner(learner),
        window="all" if window == "all" else _whole(window),
        transform=transform or ("cube_root" if variable == "pr" else "none"),
        folds=folds,
        extrapolation=extrapolation,
    )
    early = {name: _within(field, years).load() for name, field in fields.items()}
    fitted = settings.fit(
        early, _within(target, years), guards="warn" if warn else "raise"
    )
    used = fields
    if model:
        theirs = _fields(model, [variable, *extra])
        bridge = Transfer.fit(
            {name: _within(field, years) for name, field in theirs.items()}, early
        )
        used = bridge.apply(theirs)
    wanted = {
        name: _within(field, period)
        if period
        else field
        if model
        else _within(field, years, inside=False)
        for name, field in used.items()
    }
    if not all(field.sizes["time"] for field in wanted.values()):
        raise InputError(
            f"there is no time to write: --train {train}"
            + (f", --apply {apply}" if apply else " takes all of the predictors")
        )
    result = fitted.predict(wanted)
    split = {"training": fitted.periods, "years": train, "method": learner}
    write_forcing(
        result,
        out,
        step=f"tilth forcing downscale: {variable}, {learner}, window {window}",
        sources=[*predictors, observed, *model],
        split=split,
    )
    learnt = fitted.training_days
    typer.echo(
        f"{out}: {result.sizes['time']} times of {learnt.size} targets, learnt from up "
        f"to {int(learnt.max())} times of {train}"
    )
    if (learnt == 0).any():
        typer.echo(f"{int((learnt == 0).sum())} targets had too few times to be learnt")


def _fields(paths: list[Path], names: list[str]) -> dict[str, xr.DataArray]:
    """Return the variables, each from the file that has it."""
    from tilth.core.errors import InputError
    from tilth.forcing.files import open_forcing

    found: dict[str, Any] = {}
    data = [open_forcing(path, chunks={}) for path in paths]
    for name in names:
        holders = [i for i, one in enumerate(data) if name in one.data_vars]
        if len(holders) != 1:
            there = sorted({str(v) for one in data for v in one.data_vars})
            raise InputError(
                f"{len(holders)} of the files have {name}, one is needed; there are "
                f"{', '.join(there)}"
            )
        found[name] = data[holders[0]][name]
    return found


def _variable(data: xr.Dataset, name: str, path: Path) -> xr.DataArray:
    """Return one variable."""
    from tilth.core.errors import InputError

    if name not in data.data_vars:
        raise InputError(
            f"{path} has no {name}; it has {', '.join(map(str, data.data_vars))}"
        )
    return data[name]


def _within(
    data: xr.DataArray, years: tuple[int, int], inside: bool = True
) -> xr.DataArray:
    """Return the seasons that end in these years, or all others."""
    from tilth.forcing.patterns.seasons import season_labels

    label = season_labels(data["time"])
    within = (label >= years[0]) & (label <= years[1])
    return data.isel(time=within == inside)


def _learner(name: str) -> Any:
    """Return the learner of that name with its default settings."""
    import importlib

    from tilth.core.errors import InputError

    if name not in _LEARNERS:
        raise InputError(f"--learner is one of {', '.join(_LEARNERS)}, got {name!r}")
    module, _, kind = _LEARNERS[name].partition(":")
    return getattr(importlib.import_module(f"tilth.forcing.patterns.{module}"), kind)()


def _whole(text: str) -> int:
    """Return a number of cells."""
    from tilth.core.errors import InputError

    if not text.isdigit():
        raise InputError(f"--window is all or a number of cells, got {text!r}")
    return int(text)
