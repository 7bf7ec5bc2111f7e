"""tilth gnss snow, moisture, thaw: what the heights and phases say of the surface."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import xarray as xr

    from tilth.gnss.surface.thaw import ThawFit

_HEIGHTS = "Daily heights: gnssrefl's daily averages, or NetCDF of 'tilth gnss daily'."


def snow(
    heights: Path = typer.Argument(help=_HEIGHTS),
    out: Path = typer.Option(..., "--out", metavar="NC|CSV", help="Daily snow depth."),
    bare: str = typer.Option(
        "213:258", help="Days of the year when the ground is bare."
    ),
    all_summers: bool = typer.Option(
        False,
        "--all-summers",
        help="One bare ground, the mean of all summers, not that of the summer before.",
    ),
) -> None:
    """Find the depth of snow: how much nearer it is than the bare ground."""
    from tilth.gnss.surface.records import read_daily_heights
    from tilth.gnss.surface.snow import snow_depth

    found = snow_depth(
        read_daily_heights(heights),
        bare=_days(bare, "--bare"),
        previous_summer=not all_summers,
    )
    _write(found, out)
    depth = found["snow_depth"]
    typer.echo(
        f"{out}: {int(depth.count())} of {depth.size} days, deepest "
        f"{float(depth.max()):.2f} m ± {float(found['snow_depth_se'].median()):.2f} m"
    )
    _print_reasons(found)


def moisture(
    phases: Path = typer.Argument(
        help="Daily phases: gnssrefl's text, or NetCDF with phase and amplitude."
    ),
    out: Path = typer.Option(..., "--out", metavar="NC|CSV", help="Soil moisture."),
    hemisphere: str | None = typer.Option(
        None, help="north or south: sets the dry season."
    ),
    dry: str | None = typer.Option(
        None, help="Days between which soil is driest, such as 330:45."
    ),
    driest: float = typer.Option(
        0.05, min=0.0, max=0.6, help="Moisture of the driest days, m3 m-3."
    ),
    vegetation: bool = typer.Option(
        True, "--vegetation/--no-vegetation", help="Remove the effect of plants."
    ),
) -> None:
    """Find soil moisture of the upper 5 cm by the phase of reflected signals."""
    from tilth.core.files import read_netcdf
    from tilth.gnss.surface.moisture import soil_moisture
    from tilth.gnss.surface.records import read_daily_phases

    daily = (
        read_netcdf(phases, "daily phases")
        if phases.suffix == ".nc"
        else read_daily_phases(phases)
    )
    found = soil_moisture(
        daily,
        hemisphere=hemisphere,
        dry_days=None if dry is None else _days(dry, "--dry"),
        driest=driest,
        vegetation=vegetation,
    )
    _write(found, out)
    wet = found["soil_moisture"]
    typer.echo(
        f"{out}: {wet.size} days, median {float(wet.median()):.3f} m3 m-3 "
        f"({float(wet.min()):.3f} to {float(wet.max()):.3f})"
    )


def thaw(
    heights: Path = typer.Argument(help=_HEIGHTS),
    temperature: Path = typer.Argument(
        help="Daily air temperature: NetCDF with units, or CSV of date and degC."
    ),
    out: Path = typer.Option(..., "--out", metavar="NC|CSV", help="Series and fit."),
    position: Path | None = typer.Option(
        None, help="NetCDF with up (m): where the antenna moved; else it stood still."
    ),
    amplitude: str = typer.Option(
        "shared", help="Of the subsidence: shared or yearly."
    ),
    freeze_up: bool = typer.Option(
        False, "--freeze-up", help="Days of freeze-up take part."
    ),
    noise: str = typer.Option("ar1", help="ar1, flicker or white."),
    steps: list[str] = typer.Option(
        [], "--step", metavar="DATE", help="First day with a new antenna; repeatable."
    ),
    southern: bool = typer.Option(
        False, "--southern", help="Years go from July to June."
    ),
    figure: Path | None = typer.Option(None, metavar="PNG", help="Draw the fit."),
) -> None:
    """Fit thaw settlement and the trend of the surface, with its honest interval."""
    import numpy as np

    from tilth.core import plotting
    from tilth.core.errors import InputError
    from tilth.core.files import read_netcdf
    from tilth.gnss.surface.elevation import surface_change
    from tilth.gnss.surface.plots import plot_thaw
    from tilth.gnss.surface.records import read_daily_heights
    from tilth.gnss.surface.thaw import fit_thaw

    try:
        dates = [np.datetime64(step, "D") for step in steps]
    except ValueError:
        raise InputError(
            f"--step {' '.join(steps)}: a date is written like 2010-07-01"
        ) from None
    moved = None if position is None else read_netcdf(position, "positions")
    fit = fit_thaw(
        surface_change(read_daily_heights(heights), moved),
        _temperature(temperature),
        amplitude=amplitude,
        freeze_up=freeze_up,
        noise=noise,
        steps=dates,
        southern=southern,
    )
    _write(fit.to_dataset(), out)
    if figure is not None:
        plotting.save(plot_thaw(fit), figure)
    _print_fit(fit)
    _print_reasons(fit.series)
    typer.echo(f"{out}: antenna {fit.antenna}")


def _days(text: str, option: str) -> tuple[int, int]:
    """Return the days of '213:258'."""
    from tilth.core.errors import InputError

    try:
        first, last = (int(word) for word in text.split(":"))
    except ValueError:
        raise InputError(f"{option} {text}: write it like 213:258") from None
    return first, last


def _temperature(path: Path) -> xr.DataArray:
    """Return daily air temperature of a file."""
    import pandas as pd
    import xarray as xr

    from tilth.core.errors import InputError
    from tilth.core.files import read_netcdf

    if path.suffix != ".csv":
        found = read_netcdf(path, "air temperature")
        if len(found.data_vars) != 1:
            raise InputError(
                f"{path} has the variables {', '.join(map(str, found.data_vars))}: one "
                "along time is needed"
            )
        return found[next(iter(found.data_vars))]
    try:
        rows = pd.read_csv(path, index_col=0, parse_dates=True)
        values = rows.iloc[:, 0].to_numpy(float)
        time = pd.DatetimeIndex(rows.index)
    except (OSError, ValueError, IndexError) as error:
        raise InputError(
            f"{path} cannot be read as rows of date and temperature: {error}"
        ) from error
    return xr.DataArray(
        values, {"time": time}, ("time",), "temperature", {"units": "degC"}
    )


def _write(found: xr.Dataset, out: Path) -> None:
    """Write NetCDF, or the series as CSV."""
    from tilth.core.errors import InputError
    from tilth.core.files import whole_file, write_netcdf

    if out.suffix == ".nc":
        write_netcdf(found, out)
    elif out.suffix == ".csv":
        along = [name for name in found.data_vars if found[name].dims == ("time",)]
        with whole_file(out) as half:
            found[along].to_dataframe().to_csv(half)
    else:
        raise InputError(f"cannot write {out.name}: the name ends in .nc or .csv")


def _print_fit(fit: ThawFit) -> None:
    """Print trend, subsidence and noise."""
    from tilth.cli.display import print_table

    scale = {"m yr-1": (1e3, "mm yr-1"), "m": (1e3, "mm")}
    rows = []
    for name, row in fit.parameters.iterrows():
        if str(name).startswith("level"):
            continue
        factor, unit = scale[str(row["unit"])]
        rows.append(
            (
                str(name),
                f"{factor * row['value']:.2f}",
                f"{factor * row['se']:.2f}",
                unit,
            )
        )
    columns = ("quantity", "value", "± s.e.", "unit")
    print_table(columns, rows, numeric=columns[1:3])
    if fit.trend == fit.trend:
        low, high = fit.interval()
        typer.echo(
            f"trend: {1e3 * fit.trend:.2f} mm yr-1, 95 % {1e3 * low:.2f} to "
            f"{1e3 * high:.2f} (t of {fit.degrees_of_freedom:g})"
        )
    else:
        typer.echo("trend: none, three seasons are needed")
    parts = [
        f"{name.replace('_', ' ')} {value:.1f}"
        if name.endswith("days")
        else f"{name} {1e3 * value:.1f} mm"
        for name, value in fit.noise.items()
    ]
    typer.echo(f"noise: {', '.join(parts)}")
    if fit.moisture_bias:
        typer.echo(
            f"soil that became drier or wetter may bias the trend by up to "
            f"{1e3 * fit.moisture_bias:.1f} mm yr-1"
        )


def _print_reasons(found: xr.Dataset) -> None:
    """Print how many days take no part, and why."""
    from tilth.core.flags import count_flags

    counts = count_flags(found["quality_flag"]).drop(["total", "clean"])
    some = [f"{word} {number}" for word, number in counts.items() if number]
    if some:
        typer.echo(f"left out: {', '.join(some)}")
