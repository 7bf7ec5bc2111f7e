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
    observed: Path | None = typer.Option(
        None, "--observed", help="Stations or a fine grid: NetCDF or Zarr."
    ),
    out: Path = typer.Option(..., "--out", help="Output, NetCDF, or Zarr by .zarr."),
    train: str | None = typer.Option(
        None, "--train", help="Years to learn from, 1983:1988; a winter by its January."
    ),
    apply: str | None = typer.Option(
        None, "--apply", help="Years to write; by default all others."
    ),
    save: Path | None = typer.Option(
        None, "--save", metavar="NC", help="What was learnt, for --fitted."
    ),
    fitted: Path | None = typer.Option(
        None,
        "--fitted",
        metavar="NC",
        help="What --save wrote, in place of --observed and all settings of learning; "
        "--train is then needed with --model only.",
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
    from tilth.forcing.patterns.saved import read_patterns
    from tilth.forcing.patterns.transfer import Transfer

    if fitted is None:
        if observed is None or train is None:
            raise InputError(
                "learning needs --observed and --train; what was learnt before is "
                "applied by --fitted"
            )
    elif observed is not None or save is not None:
        raise InputError("--fitted was learnt: leave out --observed and --save")
    elif model and train is None:
        raise InputError("--model is mapped over the years of --train: give them")
    years = None if train is None else year_range(train)
    period = None if apply is None else year_range(apply)
    if fitted is None:
        names = [variable, *extra]
    else:
        pattern = read_patterns(fitted)
        names = [field.name for field in pattern.fields]
    fields = used = _fields(predictors, names)
    early = (
        {name: _within(field, years).load() for name, field in fields.items()}
        if years and (model or fitted is None)
        else {}
    )
    if observed is not None and years is not None:
        target = _variable(open_forcing(observed), variable, observed).load()
        settings = PatternDownscaling(
            _learner(learner),
            window="all" if window == "all" else _whole(window),
            transform=transform or ("cube_root" if variable == "pr" else "none"),
            folds=folds,
            extrapolation=extrapolation,
        )
        pattern = settings.fit(
            early, _within(target, years), guards="warn" if warn else "raise"
        )
        if save is not None:
            pattern.save(save)
    if model and years is not None:
        theirs = _fields(model, names)
        bridge = Transfer.fit(
            {name: _within(field, years) for name, field in theirs.items()}, early
        )
        used = bridge.apply(theirs)
    wanted = {
        name: _within(field, period)
        if period
        else field
        if model
        else _not_learnt_from(field, years, pattern.periods)
        for name, field in used.items()
    }
    if not all(field.sizes["time"] for field in wanted.values()):
        raise InputError(
            "there is no time to write: all of the predictors were learnt from; give "
            "others, or --apply"
        )
    result = pattern.predict(wanted)
    kind = type(pattern.settings.learner).__name__
    split = {"training": pattern.periods, "method": kind}
    if train is not None:
        split["years"] = train
    write_forcing(
        result,
        out,
        step=f"tilth forcing downscale: {names[0]}, {kind}, window "
        f"{pattern.settings.window}",
        sources=[*predictors, *[p for p in (observed, fitted) if p], *model],
        split=split,
    )
    learnt = pattern.training_days
    typer.echo(
        f"{out}: {result.sizes['time']} times of {learnt.size} targets, learnt from up "
        f"to {int(learnt.max())} times of {train or fitted}"
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


def _within(data: xr.DataArray, years: tuple[int, int]) -> xr.DataArray:
    """Return the seasons that end in these years."""
    from tilth.core.errors import InputError
    from tilth.forcing.patterns.seasons import season_labels

    label = season_labels(data["time"])
    within = (label >= years[0]) & (label <= years[1])
    if not within.any():
        have = f"{label.min()} to {label.max()}" if label.size else "none"
        raise InputError(
            f"{data.name} has no season or year of {years[0]}:{years[1]}; it has {have}"
        )
    return data.isel(time=within)


def _not_learnt_from(
    data: xr.DataArray, years: tuple[int, int] | None, periods: str
) -> xr.DataArray:
    """Return other seasons than those learnt from; without years, other days."""
    from tilth.forcing.patterns.seasons import season_labels
    from tilth.forcing.split import days_learnt_from

    if years is None:
        return data.isel(time=~days_learnt_from(periods, data["time"]))
    label = season_labels(data["time"])
    return data.isel(time=(label < years[0]) | (label > years[1]))


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
