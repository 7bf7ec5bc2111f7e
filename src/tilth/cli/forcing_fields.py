"""tilth forcing fields: a complete forcing of a land model from raw climate fields."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tilth.cli.options import SCHEDULER, year_range

if TYPE_CHECKING:
    import xarray as xr

#: Names of the height of the ground in files.
_HEIGHTS = ("orog", "elevation", "altitude", "height", "z")


def fields(
    modelled: list[Path] = typer.Argument(
        help="Daily fields of the model at the places: NetCDF or Zarr, of one or more "
        "variables each, one or many along time."
    ),
    observed: list[Path] = typer.Option(
        ..., "--observed", help="Daily observations at the places; repeatable."
    ),
    out: Path = typer.Option(..., "--out", help="Output, NetCDF, or Zarr by .zarr."),
    train: str = typer.Option(
        ..., "--train", metavar="YEARS", help="Years to learn from: 1981:2010."
    ),
    apply: str | None = typer.Option(
        None, "--apply", metavar="YEARS", help="Years of the forcing; all by default."
    ),
    hours: float = typer.Option(
        1.0, "--hours", help="Length of a step: 1, 3, 6; 24 leaves days."
    ),
    elevation: Path | None = typer.Option(
        None, "--elevation", help="Height of the places, NetCDF, m."
    ),
    model_elevation: Path | None = typer.Option(
        None,
        "--model-elevation",
        help="Height of the model's ground there, NetCDF, m: the model is moved to "
        "--elevation first.",
    ),
    hourly_rain: Path | None = typer.Option(
        None,
        "--hourly-rain",
        help="Observed precipitation in steps of --hours, whose days lend theirs to "
        "the model's; by default a random cascade.",
    ),
    seed: int = typer.Option(0, "--seed", help="Of the random numbers."),
    scheduler: str | None = SCHEDULER,
) -> None:
    """Make the forcing that 'tilth land run' reads from a raw model and observations.

    Every variable that both have is adjusted by the default method; what was not
    observed is the model's own. The result keeps the bounds of physics, and how often
    they had to be imposed is printed. Needed of the model: temperature, precipitation,
    humidity, pressure, shortwave and longwave radiation, wind; for hours also lowest
    and highest temperature.
    """
    from tilth.cli.display import print_table
    from tilth.core.errors import InputError
    from tilth.core.parallel import scheduler as workers
    from tilth.forcing.fields.alma import to_alma
    from tilth.forcing.fields.consistency import changes_made
    from tilth.forcing.fields.disaggregation import to_hours
    from tilth.forcing.fields.forcing_set import adjust_days
    from tilth.forcing.fields.rain_analogs import observed_courses
    from tilth.forcing.files import open_forcing, open_variables, pick, write_forcing

    if model_elevation is not None and elevation is None:
        raise InputError("--model-elevation needs --elevation: the places' own height")
    chunks: dict[str, int] | None = None if scheduler is None else {}
    altitude = None if elevation is None else _height(elevation)
    rise = None
    if model_elevation is not None and altitude is not None:
        rise = altitude - _height(model_elevation)
    days = adjust_days(
        open_variables(modelled, chunks=chunks),
        open_variables(observed, chunks=chunks),
        training=_period(train),
        application=None if apply is None else _period(apply),
        rise=rise,
        altitude=altitude,
        seed=seed,
    )
    rain = None
    if hourly_rain is not None:
        rain = observed_courses(pick(open_forcing(hourly_rain), "pr"))
    whole = days if hours == 24.0 else to_hours(days, hours=hours, rain=rain, seed=seed)
    forcing = to_alma(whole)
    with workers(scheduler):
        counts = changes_made(days)
        write_forcing(
            forcing,
            out,
            step=f"tilth forcing fields: trained on {train}, seed {seed}",
            sources=[*modelled, *observed],
            split={"training": train, "application": days.attrs["split_application"]},
        )
    rows = [(str(name), str(int(count))) for name, count in counts.items() if count]
    print_table(
        ("of the days and places", "number"), rows, numeric=("number",),
        title="What the bounds of physics changed",
    )  # fmt: skip
    places = forcing["Tair"].size // forcing.sizes["time"]
    typer.echo(
        f"{out}: {forcing.sizes['time']} steps of {hours:g} h at {places} places, "
        f"trained on {train}"
    )


def _period(text: str) -> tuple[str, str]:
    """Return the first and last day of years such as 1981:2010, in any calendar."""
    first, last = year_range(text)
    return f"{first:04d}", f"{last:04d}"


def _height(path: Path) -> xr.DataArray:
    """Return the height of a file, in m."""
    from tilth.core.errors import InputError
    from tilth.core.units import convert
    from tilth.forcing.files import open_forcing

    data = open_forcing(path)
    names = [name for name in _HEIGHTS if name in data.variables]
    if len(names) != 1:
        raise InputError(
            f"{path} should have one of {', '.join(_HEIGHTS)}; it has "
            f"{', '.join(map(str, data.variables))}"
        )
    height = data[names[0]].load()
    if "time" in height.dims:
        height = height.isel(time=0, drop=True)
    return convert(height, "m").reset_coords(drop=True)
