"""``tilth chambers``: fluxes from files, their pages, effects and agreement."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tilth.cli.requests import FluxRequest, ReadRequest, takes

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from tilth.chambers.fits.settings import FluxSettings

#: Closures in one piece of work for a cluster: a second or so of computing.
_PIECE = 5000

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def chambers() -> None:
    """Compute gas fluxes from closed chambers, and what they show."""


@app.command()
@takes(FluxRequest)
def flux(
    asked: FluxRequest,
    out: Path = typer.Option(
        ..., metavar="FILE", help="Result: .nc, .csv or .parquet."
    ),
) -> None:
    """Compute the flux of every closure, with errors, limits and flags."""
    from tilth.chambers.output import write_fluxes

    tally = _Tally()
    counts = write_fluxes((tally.see(fluxes) for _, fluxes in _fluxes(asked)), out)
    typer.echo(f"{counts['closures']} closures, {counts['fluxes']} fluxes: {out}")
    tally.show()


@app.command()
@takes(FluxRequest)
def plot(
    asked: FluxRequest,
    out: Path = typer.Option(
        ..., metavar="PDF", help="One page per closure: fits, residuals, flags."
    ),
) -> None:
    """Draw every closure on a page: readings, curves, residuals, flags."""
    from tilth.chambers.plots import plot_pages

    count = plot_pages(_fluxes(asked), out, asked.gas)
    typer.echo(f"{count} pages: {out}")


@app.command()
def effects(
    file: Path = typer.Argument(help="Fluxes: .nc, .csv or .parquet."),
    out: Path | None = typer.Option(None, metavar="CSV", help="Write the table here."),
    method: str = typer.Option(
        "paired", help="paired (hours), pots (Welch, Mann-Whitney) or mixed."
    ),
    control: str | None = typer.Option(
        None, help="Control variant; by default x.0 of each table (paired only)."
    ),
    value: str = typer.Option("flux", help="Column of the flux."),
    variant: str = typer.Option("variant", help="Column of the treatment."),
    pot: str = typer.Option("pot", help="Column of the replicate."),
) -> None:
    """Compare treatments with their controls; the replicate is the pot."""
    from tilth.chambers.effects import compare_pots, mixed_effects, paired_effects

    names = {value: "flux", variant: "variant", pot: "pot"}
    table = _table(file, text=(variant, pot))
    taken = [new for old, new in names.items() if old != new and old in table]
    table = table.drop(columns=taken, errors="ignore").rename(columns=names)
    table = _without_flagged(table)
    if method == "paired":
        controls = None
        if control is not None:
            others = sorted(set(table["variant"]) - {control})
            controls = dict.fromkeys(others, control)
        result = paired_effects(table, controls)
    elif method in ("pots", "mixed"):
        if control is None:
            from tilth.core.errors import InputError

            raise InputError(f"--method {method} needs --control: the variant's name")
        if method == "pots":
            result = compare_pots(table, control)
        else:
            mixed = mixed_effects(table, control)
            result = mixed.table
            for note in mixed.notes:
                typer.echo(f"note: {note}", err=True)
    else:
        from tilth.core.errors import InputError

        raise InputError(f"no method {method!r}: paired, pots or mixed")
    _show(result.reset_index(), out)


@app.command()
def compare(
    file: Path = typer.Argument(help="Table of paired fluxes: .csv or .parquet."),
    ours: str = typer.Option(..., help="Column of the fluxes to judge."),
    reference: str = typer.Option(..., help="Column of the reference."),
    tolerance: float = typer.Option(0.15, help="Half-width of the band, relative."),
) -> None:
    """Judge agreement with a reference instrument, in numbers and in words."""
    from tilth.chambers.sensors.agreement import compare_with_reference
    from tilth.core.errors import InputError

    table = _table(file)
    for name in (ours, reference):
        if name not in table:
            known = ", ".join(map(str, table))
            raise InputError(f"{file.name} has no column {name!r}; it has {known}")
    report = compare_with_reference(
        table[ours].to_numpy(float),
        table[reference].to_numpy(float),
        tolerance=tolerance,
    )
    typer.echo(report.verdict)
    _show(report.table().reset_index(), None)


@app.command()
@takes(ReadRequest)
def checklist(
    asked: ReadRequest,
    answers: Path | None = typer.Option(
        None, metavar="YAML", help="What the files do not tell: item: value."
    ),
    limits: Path | None = typer.Option(
        None, metavar="YAML", help="Your own items and limits over the package's."
    ),
) -> None:
    """Check the measurement against a guideline's items: pass, warn, missing."""
    import yaml

    from tilth.chambers.quality.checklist import check_guidelines

    data = next(_closures(asked))
    known = yaml.safe_load(answers.read_text("utf-8")) if answers else None
    _show(check_guidelines(data, answers=known, limits=limits).reset_index(), None)


def _closures(asked: ReadRequest) -> Iterator[xr.Dataset]:
    """Read the files of a command into closures with geometry and quality flags."""
    import numpy as np

    from tilth.chambers.closures import UNITS
    from tilth.chambers.geometry import apply_geometry, read_geometry
    from tilth.chambers.quality.filters import flag_closures
    from tilth.chambers.readers.opening import ReadOptions, name_apart, open_closures
    from tilth.core.progress import track
    from tilth.core.units import parse_quantity

    options = ReadOptions(
        columns=asked.columns,
        timezone=asked.timezone,
        closures=asked.closures,
        detect=asked.detect,
        period=asked.period,
        year=asked.year,
    )
    sizes = read_geometry(asked.geometry) if asked.geometry else None
    told = {"pressure": asked.pressure, "temperature": asked.temperature}
    air = {n: parse_quantity(text, UNITS[n]) for n, text in told.items() if text}
    for path in track(asked.files, "reading files", total=len(asked.files)):
        for closures in open_closures(path, asked.gas, options):
            named = name_apart(closures, path.name, prefix=len(asked.files) > 1)
            if sizes is not None:
                named = apply_geometry(named, sizes)
            for name, value in air.items():
                if name not in named:
                    one = np.full(named.sizes["closure"], value)
                    named[name] = ("closure", one, {"units": UNITS[name]})
            yield flag_closures(named) if asked.quality else named


def _fluxes(asked: FluxRequest) -> Iterator[tuple[xr.Dataset, xr.Dataset]]:
    """Read closures and compute their fluxes, block by block."""
    from tilth.chambers.air import as_fitted
    from tilth.chambers.fits.flux import fluxes
    from tilth.chambers.fits.pooling import share_kappa
    from tilth.chambers.readers.dead_band import auto_dead_band
    from tilth.core.parallel import scheduler as workers

    settings = _settings(asked)
    for closures in _closures(asked):
        dry = as_fitted(closures, asked.gas)
        if asked.dead_band == "auto":
            dry = dry.assign(dead_band=auto_dead_band(dry, asked.gas))
        if asked.pool is not None:
            dry = share_kappa(dry, asked.gas, by=asked.pool, settings=settings)
        # One block at a time goes out to the workers, in pieces, and comes back.
        if asked.scheduler is not None:
            dry = dry.chunk(closure=_PIECE)
        with workers(asked.scheduler):
            done = fluxes(dry, asked.gas, settings).compute()
        yield dry, done


def _settings(asked: FluxRequest) -> FluxSettings:
    """Turn the options of a command into flux settings."""
    from tilth.chambers.fits.settings import FluxSettings
    from tilth.core.errors import InputError

    models = [m.strip() for m in asked.models.split(",") if m.strip()]
    chosen: dict[str, Any] = {"select": asked.select}
    if asked.pool is not None:
        models.append("pooled")
        if asked.select == "aicc":
            chosen["select"] = "pooled"
    if asked.dead_band not in (None, "auto"):
        try:
            chosen["dead_band"] = float(asked.dead_band or 0.0)
        except ValueError:
            raise InputError(
                f"--dead-band takes seconds or 'auto', got {asked.dead_band!r}"
            ) from None
    if asked.gas_constant is not None:
        chosen["r_gas"] = asked.gas_constant
    return FluxSettings(
        models=tuple(models),
        fit_end=asked.fit_end,
        response=asked.response,
        precision=asked.precision,
        **chosen,
    )


class _Tally:
    """Count the flags of the blocks that pass by, for the summary at the end."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def see(self, fluxes: xr.Dataset) -> xr.Dataset:
        """Count one block and pass it on."""
        from tilth.core.flags import count_flags

        for name in ("closure_flag", "flux_flag"):
            for meaning, count in count_flags(fluxes[name]).items():
                if meaning not in ("total", "clean") and count:
                    key = str(meaning).replace("_", " ")
                    self.counts[key] = self.counts.get(key, 0) + int(count)
        return fluxes

    def show(self) -> None:
        """Print what was flagged, the commonest first."""
        for meaning, count in sorted(self.counts.items(), key=lambda x: -x[1]):
            typer.echo(f"{count:>10}  {meaning}")


def _table(file: Path, text: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a table of fluxes with identifiers as text and time in UTC."""
    import pandas as pd
    import xarray as xr

    from tilth.core.errors import InputError

    labels = ("closure", "table", "variant", "pot", "replica", "device", "label")
    if file.suffix == ".nc":
        from tilth.chambers.output import flux_table

        with xr.open_dataset(file, engine="h5netcdf") as data:
            return flux_table(data.load())
    if file.suffix == ".parquet":
        return pd.read_parquet(file)
    if file.suffix != ".csv":
        raise InputError(f"{file.name} must be a .nc, .csv or .parquet file")
    header = pd.read_csv(file, nrows=0).columns
    kinds = {name: str for name in (*labels, *text) if name in header}
    table = pd.read_csv(file, dtype=kinds)
    if "time" in table:
        table["time"] = pd.to_datetime(table["time"], utc=True).dt.tz_localize(None)
    return table


def _without_flagged(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out the closures a filter flagged, and say how many."""
    if "closure_flag" not in table or table["closure_flag"].dtype.kind in "if":
        return table
    from tilth.chambers.flags import REMARKS

    words = table["closure_flag"].fillna("").str.split(";")
    clean = words.map(lambda raised: set(raised) <= {"", *REMARKS})
    if not clean.all():
        typer.echo(
            f"{int((~clean).sum())} of {len(table)} fluxes left out: their closures "
            "are in doubt",
            err=True,
        )
    return table[clean]


def _show(table: pd.DataFrame, out: Path | None) -> None:
    """Print a table, and write it where asked."""
    from tilth.cli.display import print_table
    from tilth.core.typeset import column_text

    numeric = [str(c) for c in table if table[c].dtype.kind in "if"]
    cells = [column_text(table[c]) for c in table]
    rows = list(zip(*cells, strict=True))
    print_table([str(c) for c in table], rows, numeric=numeric)
    if out is not None:
        table.to_csv(out, index=False)
        typer.echo(f"table: {out}")
