"""tilth gnss daily: heights of arcs to a daily series."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import xarray as xr


def daily(
    files: list[Path] = typer.Argument(
        help="Arcs of one station: NetCDF of 'tilth gnss snr2height', or gnssrefl's "
        "text of results; one or many."
    ),
    out: Path = typer.Option(..., "--out", metavar="NC|CSV", help="The daily series."),
    within: float = typer.Option(
        0.25, help="Arcs this close to the median of their day count, m."
    ),
    fewest: int = typer.Option(10, min=1, help="Fewest arcs of a day."),
    by_signal: bool = typer.Option(
        False, "--by-signal", help="A series of each signal."
    ),
    offsets: str = typer.Option(
        "none",
        help="Removed before: none, signals, or tracks (of signals and of tracks).",
    ),
    reference: int | None = typer.Option(
        None, help="Signal that offsets are relative to; by default the most frequent."
    ),
    plot: Path | None = typer.Option(None, metavar="PNG", help="Figure of the series."),
) -> None:
    """Average heights day by day, with standard errors.

    Offsets matter where the mixture of signals or satellites changes over the years.
    """
    from tilth.core.errors import InputError
    from tilth.core.files import whole_file, write_netcdf
    from tilth.gnss.reflectometry.bias import remove_offsets, signal_offsets
    from tilth.gnss.reflectometry.daily import daily_heights

    if out.suffix not in (".nc", ".csv"):
        raise InputError(f"cannot write {out.name}: the name ends in .nc or .csv")
    if offsets not in ("none", "signals", "tracks"):
        raise InputError(f"--offsets is none, signals or tracks, got {offsets!r}")
    arcs = _arcs(files)
    if offsets != "none":
        found = signal_offsets(arcs, reference=reference, tracks=offsets == "tracks")
        arcs = remove_offsets(arcs, found)
        _print_offsets(found)
    series = daily_heights(arcs, within=within, fewest=fewest, by_signal=by_signal)
    if out.suffix == ".nc":
        write_netcdf(series, out)
    else:
        rows = series.to_dataframe().reset_index()
        with whole_file(out) as half:
            rows.to_csv(half, index=False, float_format="%.6g")
    if plot is not None:
        from tilth.core.plotting import save
        from tilth.gnss.reflectometry.plots import plot_daily_heights

        save(plot_daily_heights(series), plot)
    whole = series["reflector_height"].notnull()
    typer.echo(
        f"{out}: {int(whole.any([d for d in whole.dims if d != 'time']).sum())} of "
        f"{series.sizes['time']} days have a height; median standard error "
        f"{1e3 * float(series['reflector_height_se'].median()):.1f} mm"
    )


def _arcs(files: list[Path]) -> xr.Dataset:
    """Return the arcs of all files."""
    import xarray as xr

    from tilth.core.errors import InputError
    from tilth.core.files import read_netcdf
    from tilth.gnss.reflectometry.results_files import read_results

    tables = [
        read_netcdf(path, "a table of arcs")
        if path.suffix == ".nc"
        else read_results(path)
        for path in files
    ]
    stations = {str(t.attrs["station"]) for t in tables if t.attrs.get("station")}
    if len(stations) > 1:
        raise InputError(
            f"the files are of several stations, {', '.join(sorted(stations))}: a "
            "series is of one"
        )
    return xr.concat(tables, "arc", combine_attrs="drop_conflicts")


def _print_offsets(offsets: xr.Dataset) -> None:
    """Print how far each signal is from the reference."""
    from tilth.cli.display import print_table

    rows = [
        (
            str(name),
            f"{1e3 * float(offset):.1f}",
            f"{1e3 * float(error):.1f}",
            str(int(count)),
        )
        for name, offset, error, count in zip(
            offsets["signal_name"].values,
            offsets["signal_offset"].values,
            offsets["signal_offset_se"].values,
            offsets["signal_count"].values,
            strict=True,
        )
    ]
    names = ("offset (mm)", "standard error", "arcs")
    print_table(("signal", *names), rows, numeric=names)
