"""tilth loading disc and green: what a disc, or a kilogram, does to the ground."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tilth.cli.loading_inputs import FRAME, LOVE, earth

if TYPE_CHECKING:
    import pandas as pd


def disc(
    radius: float = typer.Option(..., "--radius", help="Of the disc, km."),
    water: float = typer.Option(
        1.0, "--water", help="Layer on it, m of water; negative if taken away."
    ),
    distance: list[float] = typer.Option(
        [], "--distance", help="From the centre, km; repeatable; by default 0 to 10 R."
    ),
    compensated: bool = typer.Option(
        False, "--compensated", help="Take the mass evenly from the rest of the globe."
    ),
    out: Path | None = typer.Option(None, "--out", help="CSV; by default the screen."),
    frame: str = FRAME,
    love: Path | None = LOVE,
) -> None:
    """Displacement by a disc of water: up, away from the centre, geoid (mm), ratio."""
    import numpy as np
    import pandas as pd

    from tilth.core.errors import InputError
    from tilth.loading import disc_response

    if not radius > 0.0:
        raise InputError(f"--radius is above 0 km, got {radius:g}")
    green = earth(love, frame)
    factors = [0.0, 0.5, 0.9, 0.99, 1.01, 1.1, 1.5, 2.0, 3.0, 5.0, 10.0]
    far = np.array(distance or [radius * f for f in factors])
    scale = float(green.radius) / 1e3
    moved = disc_response(green, far / scale, radius / scale, compensated=compensated)
    up, away, geoid = (1e6 * water * np.asarray(x) for x in moved)
    table = pd.DataFrame(
        {
            "distance_km": far,
            "up_mm": up,
            "away_mm": away,
            "geoid_mm": geoid,
            "ratio": np.abs(away / up),
        }
    )
    _write(table, out, 5)


def green(
    angle: list[float] = typer.Option(
        [], "--angle", help="Degrees; repeatable; by default from 0.001 to 180."
    ),
    out: Path | None = typer.Option(None, "--out", help="CSV; by default the screen."),
    frame: str = FRAME,
    love: Path | None = LOVE,
) -> None:
    """Green's functions: displacement by 1 kg times 1e12 a theta, as Farrell has it."""
    import numpy as np
    import pandas as pd

    from tilth.core.errors import InputError
    from tilth.loading import point_response

    functions = earth(love, frame)
    steps = [x * 10.0**k for k in (-3, -2, -1, 0, 1) for x in (1, 2, 5)]
    degrees = np.array(angle or [*steps, 90.0, 120.0, 180.0])
    if not ((degrees > 0.0) & (degrees <= 180.0)).all():
        raise InputError("--angle is above 0 and at most 180 degrees")
    chord = 2.0 * np.sin(np.radians(degrees) / 2.0)
    scale = 1e12 * float(functions.radius) * np.radians(degrees)
    table = pd.DataFrame({"degrees": degrees})
    for name in ("vertical", "horizontal", "geoid"):
        table[name] = np.asarray(point_response(functions, chord, name)) * scale
    _write(table, out, 4)


def _write(table: pd.DataFrame, out: Path | None, decimals: int) -> None:
    """Print a table, or write it."""
    if out is None:
        typer.echo(table.round(decimals).to_string(index=False))
    else:
        table.to_csv(out, index=False)
        typer.echo(f"{out}: {len(table)} rows")
