"""tilth gnss velocity: positions of stations to velocities with honest errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

#: Ways to a velocity on the command line.
METHODS = ("midas", "noise", "transient")

_SUFFIXES = (".csv", ".parquet")


def velocity(
    files: list[Path] = typer.Argument(
        help="Daily positions, a file per station: tenv3, tenv, PBO .pos, JPL .series."
    ),
    method: list[str] = typer.Option(
        ["midas"],
        "--method",
        help="midas (median of slopes), noise (trajectory in coloured noise) or "
        "transient (state space); repeatable.",
    ),
    steps: Path | None = typer.Option(
        None, "--steps", metavar="TXT", help="Known steps, as NGL lists them."
    ),
    find: bool = typer.Option(
        False, "--find-steps", help="Look for steps nobody declared, and use them."
    ),
    noise: str = typer.Option(
        "power law", help="Noise of the method noise, such as flicker or power law."
    ),
    out: Path | None = typer.Option(
        None, "--out", metavar="CSV|PARQUET", help="Table of all velocities."
    ),
) -> None:
    """Find the velocities of stations, in mm per year, with standard errors.

    Without --find-steps, a changed antenna without a declared step is warned of.
    """
    import pandas as pd

    from tilth.cli.display import print_table
    from tilth.core.errors import InputError
    from tilth.core.progress import track
    from tilth.gnss.positions import read_positions

    unknown = [name for name in method if name not in METHODS]
    if unknown:
        raise InputError(f"no method {unknown[0]!r}; known: {', '.join(METHODS)}")
    if out is not None and out.suffix not in _SUFFIXES:
        raise InputError(f"cannot write {out.name}: the name ends in .csv or .parquet")
    rows = []
    for path in track(files, "velocities"):
        positions = read_positions(path)
        days = _steps(positions, steps, find)
        rows += [
            _with_method(positions, name, days, noise) for name in dict.fromkeys(method)
        ]
    table = pd.concat(rows, ignore_index=True)
    if out is not None and out.suffix == ".parquet":
        table.to_parquet(out, index=False)
    elif out is not None:
        table.to_csv(out, index=False, float_format="%.6g")
    numeric = ["velocity", "s.e."]
    print_table(
        ["station", "component", "method", *numeric, "unit", "steps"],
        [
            (
                str(row["station"]),
                str(row["component"]),
                str(row["method"]),
                f"{row['velocity']:.3f}",
                f"{row['velocity_se']:.3f}",
                "mm yr-1",
                str(row["steps"]),
            )
            for row in table.to_dict("records")
        ],
        numeric=[*numeric, "steps"],
    )


def _steps(positions: xr.Dataset, path: Path | None, find: bool) -> list[pd.Timestamp]:
    """Return the days of known steps and of those found; say what was found."""
    import warnings

    import pandas as pd

    from tilth.gnss.positions.readers.steps import read_steps
    from tilth.gnss.positions.series import usable
    from tilth.gnss.positions.steps import find_steps, warn_of_steps
    from tilth.gnss.positions.trajectory import Trajectory

    station = str(positions.attrs.get("station", ""))
    known = [] if path is None else list(read_steps(path, station)["time"])
    time = pd.DatetimeIndex(usable(positions)["time"].values)
    # A step before the first position or after the last says nothing of the series.
    known = [pd.Timestamp(t) for t in known if time[0] < pd.Timestamp(t) <= time[-1]]
    if not find:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warn_of_steps(positions, known)
        for warning in caught:
            typer.echo(f"warning: {warning.message}", err=True)
        return known
    found = find_steps(positions, Trajectory(steps=known))
    for row in found.to_dict("records"):
        sizes = ", ".join(
            f"{name} {1e3 * row[name]:.1f} ± {1e3 * row[f'{name}_se']:.1f}"
            for name in ("east", "north", "up")
        )
        antenna = ", antenna changed" if row["antenna_changed"] else ""
        typer.echo(
            f"{station}: step on {row['time']:%Y-%m-%d}: {sizes} mm (chance "
            f"{row['chance']:.1g}{antenna})",
            err=True,
        )
    return sorted([*known, *found["time"]])


def _with_method(
    positions: xr.Dataset, method: str, days: list[pd.Timestamp], noise: str
) -> pd.DataFrame:
    """Return the velocities of the components, mm per year."""
    import numpy as np
    import pandas as pd

    from tilth.gnss.positions.fit import fit_positions
    from tilth.gnss.positions.series import COMPONENTS
    from tilth.gnss.positions.trajectory import Trajectory
    from tilth.gnss.positions.transients import separate_positions
    from tilth.gnss.positions.year_slopes import midas_velocity

    moments = np.array(days, "datetime64[ns]")
    trajectory = Trajectory(steps=list(moments))
    if method == "midas":
        found = midas_velocity(positions, moments)
        value, se = found["velocity"].values, found["velocity_se"].values
    elif method == "noise":
        fits = fit_positions(positions, trajectory, noise).values()
        value = np.array([fit.parameters.loc["rate", "value"] for fit in fits])
        se = np.array([fit.parameters.loc["rate", "se"] for fit in fits])
    else:
        parts = separate_positions(positions, trajectory).sel(parameter="rate")
        value, se = parts["estimate"].values, parts["estimate_se"].values
    return pd.DataFrame(
        {
            "station": positions.attrs.get("station", ""),
            "component": list(COMPONENTS),
            "method": method,
            "velocity": 1e3 * value,
            "velocity_se": 1e3 * se,
            "steps": len(days),
        }
    )
