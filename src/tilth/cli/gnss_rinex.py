"""tilth gnss rinex2snr: observations and orbits to days of signal-to-noise ratios."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import xarray as xr


def rinex2snr(
    files: list[Path] = typer.Argument(
        help="RINEX 2.11, 3 or 4 observations, a day each; .gz, .Z, .crx, .15d too."
    ),
    orbits: list[Path] = typer.Option(
        ...,
        "--orbits",
        help="SP3 or RINEX navigation messages of those days; repeatable. SP3 goes "
        "first, messages fill the rest.",
    ),
    out: Path = typer.Option(..., "--out", metavar="DIR", help="Folder of SNR files."),
    kind: int = typer.Option(
        66, help="Elevations kept: 66 to 30 degrees, 99 from 5 to 30, 88 all, 50 to 10."
    ),
    station: str | None = typer.Option(
        None, help="Four characters; by default those of the file's marker."
    ),
    position: str | None = typer.Option(
        None, help="x,y,z of the antenna, m; by default those of the file."
    ),
    date: str | None = typer.Option(
        None, help="Day of GPS time, 2018-07-19, of a file of several."
    ),
) -> None:
    """Make SNR files, as gnssrefl has them, of a receiver's observations.

    What was rounded, which observable made each band, and satellites without an orbit
    are printed.
    """
    from tilth.core.errors import InputError
    from tilth.core.progress import track
    from tilth.gnss.reflectometry.snr_files import KINDS, write_snr
    from tilth.gnss.rinex.observations import read_observations
    from tilth.gnss.rinex.orbits import open_orbits
    from tilth.gnss.rinex.snr import rinex_to_snr

    if kind not in KINDS:
        raise InputError(f"--kind is one of {', '.join(map(str, KINDS))}, got {kind}")
    place = None if position is None else _place(position)
    sky = open_orbits(orbits)
    out.mkdir(parents=True, exist_ok=True)
    made: dict[Path, Path] = {}
    for path in track(files, "converting days"):
        try:
            day = rinex_to_snr(
                read_observations(path), sky, position=place, station=station, date=date
            )
        except InputError as error:
            if str(path) in str(error):
                raise
            raise InputError(f"{path}: {error}") from error
        name = (str(day.attrs["station"]), str(day.attrs["date"]))
        target = out / "-".join(name)
        if target in made:
            raise InputError(
                f"{made[target]} and {path} are of the same station and day, "
                f"{' '.join(name)}: join them to one file first"
            )
        made[target] = path
        _print(day, write_snr(day, out, kind))


def _place(text: str) -> list[float]:
    """Return the numbers of 'x,y,z'."""
    from tilth.core.errors import InputError

    try:
        x, y, z = (float(word) for word in text.split(","))
    except ValueError:
        raise InputError(
            f"--position {text}: write it as x,y,z in m, such as "
            "-2364338,4870281,-3360810"
        ) from None
    return [x, y, z]


def _print(day: xr.Dataset, path: Path) -> None:
    """Print what a day became."""
    from tilth.core.flags import count_flags

    lines = [f"{path}: {day.sizes['observation']} rows with an orbit"]
    lines.append(f"  {day.attrs['observables']}")
    if day.attrs["without_orbit"]:
        lines.append(f"  rows without an orbit: {day.attrs['without_orbit']}")
    if day.attrs["other_days"]:
        lines.append(f"  rows of other days: {day.attrs['other_days']}")
    flags = count_flags(day["quality_flag"]).drop(["total", "clean"])
    lines += [f"  {name}: {count} rows" for name, count in flags.items() if count]
    typer.echo("\n".join(lines))
