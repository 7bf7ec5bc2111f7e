"""tilth gnss snr2height: signal-to-noise ratios to heights above the reflector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import xarray as xr

    from tilth.gnss.reflectometry.refraction import Air
    from tilth.gnss.reflectometry.settings import Settings


def snr2height(
    files: list[Path] = typer.Argument(
        help="SNR files of one station as gnssrefl names them (mchl0110.25.snr66.gz), "
        "one per day; each is the neighbour of the days beside it."
    ),
    out: Path = typer.Option(
        ...,
        "--out",
        metavar="NC|CSV|PARQUET|TXT",
        help="All arcs with their flags; as .txt the accepted ones as gnssrefl's "
        "results.",
    ),
    settings: Path | None = typer.Option(
        None, "--settings", metavar="JSON", help="gnssrefl's settings of the station."
    ),
    air: Path | None = typer.Option(
        None, "--air", metavar="TXT", help="gnssrefl's air of the station, with JSON."
    ),
    signals: str | None = typer.Option(
        None, help="Numbers of signals by commas, or 'all'; default 1,20,5."
    ),
    elevations: str | None = typer.Option(
        None, help="Of the periodogram, degrees; default 5:25."
    ),
    heights: str | None = typer.Option(None, help="Searched, m; default 0.5:8."),
    azimuths: list[str] = typer.Option(
        [],
        "--azimuths",
        help="Clockwise, degrees, such as 300:420; repeatable; all by default.",
    ),
    amplitude: float | None = typer.Option(
        None, min=0.0, help="Least amplitude, V/V; default 5."
    ),
    peak_to_noise: float | None = typer.Option(
        None, "--peak-to-noise", min=0.0, help="Least amplitude over noise; 2.8."
    ),
    longest: float | None = typer.Option(
        None, min=0.0, help="An arc is shorter, minutes; default 75."
    ),
    interval: float | None = typer.Option(
        None, min=0.0, help="Use only seconds that are multiples of it."
    ),
    refraction: str | None = typer.Option(
        None, help="bennett, ulich or none; default bennett."
    ),
    pressure: float | None = typer.Option(None, help="At the antenna, hPa."),
    temperature: float | None = typer.Option(None, help="At the antenna, degC."),
    height: float | None = typer.Option(
        None, help="Of the station above the sea, m: standard atmosphere there."
    ),
    peak: str | None = typer.Option(
        None, help="parabola (between the steps) or grid (gnssrefl's numbers)."
    ),
    cache: Path | None = typer.Option(
        None, metavar="DIR", help="Keep days here as Parquet; the next run is faster."
    ),
    threads: int | None = typer.Option(None, min=1, help="One per processor."),
) -> None:
    """Find the height of the antenna above what reflects, for every arc.

    Arcs that are rejected stay in the table with their reasons, which are counted.
    """
    from tilth.core.errors import InputError
    from tilth.gnss.reflectometry.results_files import write_arcs
    from tilth.gnss.reflectometry.station import station_heights

    if out.suffix not in (".nc", ".csv", ".parquet", ".txt"):
        raise InputError(
            f"cannot write {out.name}: the name ends in .nc, .csv, .parquet or .txt"
        )
    changes: dict[str, Any] = {
        "signals": None if signals is None else _codes(signals),
        "elevations": _pair(elevations, "--elevations"),
        "azimuths": tuple(_pair(text, "--azimuths") for text in azimuths) or None,
        "required_amplitude": amplitude,
        "peak_to_noise": peak_to_noise,
        "max_duration": longest,
        "interval": interval,
        "peak": peak,
    }
    searched = _pair(heights, "--heights")
    if searched is not None:
        # The noise of JSON settings belongs to the heights that are searched there.
        changes |= {"min_height": searched[0], "max_height": searched[1]}
        changes["noise_heights"] = searched
    known = {name: value for name, value in changes.items() if value is not None}
    given = _air(pressure, temperature, height)
    chosen = _settings(settings, air, given, refraction, known)
    arcs = station_heights(files, chosen, cache=cache, threads=threads)
    write_arcs(arcs, out)
    _print(arcs, out)


def _settings(
    path: Path | None,
    nodes: Path | None,
    given: Air | None,
    model: str | None,
    changes: dict[str, Any],
) -> Settings:
    """Return the settings of a file, of the options, or of both."""
    import dataclasses

    from tilth.core.errors import InputError
    from tilth.gnss.reflectometry.refraction import Air, Refraction
    from tilth.gnss.reflectometry.settings import Settings, read_settings

    if path is not None:
        if nodes is not None and given is not None:
            raise InputError("the air comes from --air or from numbers, not from both")
        found = read_settings(path, given or nodes, **changes)
        if model is None:
            return found
        bent = dataclasses.replace(found.refraction, model=model)
        return dataclasses.replace(found, refraction=bent)
    if nodes is not None:
        raise InputError("--air needs --settings, which tell where the station is")
    bent = Refraction(model or "bennett", given or Air())
    return Settings(**changes, refraction=bent)


def _air(
    pressure: float | None, temperature: float | None, height: float | None
) -> Air | None:
    """Return the air the options tell of, None where they do not."""
    import dataclasses

    from tilth.gnss.reflectometry.refraction import Air

    if pressure is None and temperature is None and height is None:
        return None
    air = Air() if height is None else Air.standard(height)
    if pressure is not None:
        air = dataclasses.replace(air, pressure=pressure)
    if temperature is not None:
        air = dataclasses.replace(air, temperature=temperature)
    return air


def _codes(text: str) -> tuple[int, ...]:
    """Return the signals of '1,20,5' or 'all', where GPS L2 is L2C or P, not both."""
    from tilth.core.errors import InputError
    from tilth.gnss.reflectometry.signals import SIGNALS

    if text == "all":
        return tuple(SIGNALS)
    try:
        return tuple(int(word) for word in text.split(","))
    except ValueError:
        raise InputError(
            f"--signals {text}: write numbers by commas, such as 1,20,5, or all"
        ) from None


def _pair(text: str | None, option: str) -> tuple[float, float] | None:
    """Return the numbers of '5:25'."""
    from tilth.core.errors import InputError

    if text is None:
        return None
    try:
        low, high = (float(word) for word in text.split(":"))
    except ValueError:
        raise InputError(f"{option} {text}: write it as 5:25") from None
    return low, high


def _print(arcs: xr.Dataset, out: Path) -> None:
    """Print what each signal gave, and why arcs gave nothing."""
    import numpy as np

    from tilth.cli.display import print_table
    from tilth.core.flags import count_flags
    from tilth.gnss.reflectometry.heights import accepted

    good = accepted(arcs)
    rows = []
    for name in dict.fromkeys(arcs["signal_name"].values[np.argsort(arcs["signal"])]):
        all_ = int((arcs["signal_name"].values == name).sum())
        one = good.isel(arc=np.flatnonzero(good["signal_name"].values == name))
        cells = [str(name), str(all_), str(one.sizes["arc"])]
        if one.sizes["arc"]:
            height = one["reflector_height"].values
            cells += [
                f"{np.median(height):.3f}",
                f"{height.std():.3f}",
                f"{np.median(one['reflector_height_se']):.3f}",
                f"{one['amplitude'].values.mean():.1f}",
            ]
        else:
            cells += [""] * 4
        rows.append(cells)
    columns = (
        "signal", "arcs", "accepted", "median height, m", "scatter, m",
        "median error, m", "amplitude, V/V",
    )  # fmt: skip
    print_table(columns, rows, numeric=columns[1:])
    for flag, what in (("quality_flag", "rejected"), ("warning_flag", "warned of")):
        counts = count_flags(arcs[flag]).drop(["total", "clean"])
        some = [f"{word} {number}" for word, number in counts.items() if number]
        if some:
            typer.echo(f"{what}: {', '.join(some)}")
    typer.echo(f"{out}: {good.sizes['arc']} of {arcs.sizes['arc']} arcs accepted")
