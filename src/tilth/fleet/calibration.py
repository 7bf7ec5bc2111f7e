"""A calibration of the whole fleet: the same air, the same moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tilth.core.errors import InputError
from tilth.fleet.clock import HOUR_MS
from tilth.fleet.commands import queue_command
from tilth.fleet.control import Control

#: Concentrations the SCD30 takes as a reference, ppm (data sheet).
REFERENCE_RANGE = (400, 2000)


def queue_calibration(
    control: Control,
    at: str,
    ppm: int,
    devices: Sequence[str] | None = None,
    *,
    by: str = "",
) -> list[str]:
    """Tell chambers to set their CO2 sensors at one moment.

    Each opens its lid, runs its fan, waits for two minutes of steady readings and
    sets the reference; the event ``calibrate`` tells before and after.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    at : str
        When, ISO 8601 with a time zone.
    ppm : int
        CO2 of the air then, ppm.
    devices : sequence of str, optional
        All enabled devices by default.
    by : str
        Who wants it.

    Returns
    -------
    list of str
        Ids of the commands.

    Raises
    ------
    InputError
        If the time has passed or cannot be read, or the reference is out of range.
    """
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        raise InputError(
            f"{at!r} is no time: write it like 2026-05-04T10:00Z"
        ) from None
    if moment.tzinfo is None:
        raise InputError(f"{at!r} has no time zone: add Z for UTC")
    start = int(moment.astimezone(UTC).timestamp() * 1000)
    low, high = REFERENCE_RANGE
    if not low <= ppm <= high:
        raise InputError(f"the reference is {low} to {high} ppm, got {ppm}")
    if start <= control.clock():
        raise InputError(f"{at} has passed: chambers need the command before")
    if devices is None:
        devices = [row["device"] for row in control.devices() if row["enabled"]]
    if not devices:
        raise InputError("no device is enrolled in this fleet")
    args = {"at": start, "ppm": ppm}
    return [
        queue_command(control, name, "calibrate", args, before=start + HOUR_MS, by=by)
        for name in devices
    ]
