"""tilth gnss snr2height: signal-to-noise ratios to heights above the reflector."""

from __future__ import annotations

from pathlib import Path

import typer


def snr2height(
    files: list[Path] = typer.Argument(help="SNR files of one station, in any order."),
) -> None:
    """Find the height of the antenna above what reflects, per arc."""
