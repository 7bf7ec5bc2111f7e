"""What the pages show: plain records in physical units, times in UTC milliseconds.

The pages know these records and nothing of stores; `tilth.web.source.FleetSource`
gives them. Text that devices supply (labels, bodies of events) is hostile: it is
escaped where it is printed, never trusted here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tilth.core.errors import InputError
from tilth.fleet.channels import parse_location

#: Severity of the worst alarm of a device -> its rank.
SEVERITIES = {"none": 0, "info": 1, "warning": 2, "critical": 3}


def place_order(loc: str) -> tuple:
    """Return what orders locations: 5.2.A before 5.10.A, what is none of them last.

    Examples
    --------
    >>> sorted(["5.10.A", "?", "5.2.B", "5.2.A"], key=place_order)
    ['5.2.A', '5.2.B', '5.10.A', '?']
    """
    try:
        place = parse_location(loc)
    except InputError:
        return 1_000, 0, loc
    return int(place.table), int(place.variant), place.replica


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity: what it is called and how it is printed."""

    name: str
    title: str
    units: str
    decimals: int


#: The channels of a chamber, in the order they are shown.
CHANNELS = {
    channel.name: channel
    for channel in (
        Channel("co2", "CO₂ in the chamber", "ppm", 1),
        Channel("at", "Air temperature", "°C", 2),
        Channel("st", "Temperature in the CO₂ sensor", "°C", 2),
        Channel("rh", "Relative humidity", "%", 1),
        Channel("p", "Air pressure", "hPa", 2),
        Channel("lux", "Light", "lx", 0),
        Channel("mv", "Supply", "V", 2),
    )
}


@dataclass(frozen=True, slots=True)
class Tile:
    """A device as the fleet page shows it.

    Parameters
    ----------
    device : str
        Twelve hexadecimal digits.
    loc : str
        Where it stands, "table.variant.replica"; empty if unknown.
    co2 : float or None
        Last CO2, ppm.
    co2_t : int or None
        When that was measured.
    state : str
        State of the chamber, such as "closed".
    online : bool
        Whether the broker holds its connection.
    seen : int or None
        When something of it was last received.
    flux, flux_se : float or None
        Last flux and its standard error, umol m-2 s-1.
    flux_t : int or None
        When that closure began.
    severity : str
        Of its worst open alarm; see `SEVERITIES`.
    alarms : int
        Open alarms.
    queued : int or None
        Records it holds that are not acknowledged.
    fw : str
        Version of its firmware.
    spark : tuple of float or None
        Mean flux of each of the last 24 hours, oldest first.
    """

    device: str
    loc: str = ""
    co2: float | None = None
    co2_t: int | None = None
    state: str = ""
    online: bool = False
    seen: int | None = None
    flux: float | None = None
    flux_se: float | None = None
    flux_t: int | None = None
    severity: str = "none"
    alarms: int = 0
    queued: int | None = None
    fw: str = ""
    spark: tuple[float | None, ...] = ()


def in_place(tiles: Sequence[Tile]) -> Sequence[Tile]:
    """Return tiles in the order of their places."""
    return sorted(tiles, key=lambda tile: (place_order(tile.loc), tile.device))


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of a device, from boot to boot."""

    boot: str
    first: int | None
    last: int | None
    fw: str
    reason: str
    clock_source: str
    clock_ppm: float | None
    watermark: int
    highest: int
    missing: int


@dataclass(frozen=True, slots=True)
class Event:
    """Something a device reported."""

    t: int | None
    device: str
    boot: str
    seq: int
    kind: str
    body: str


@dataclass(frozen=True, slots=True)
class Trace:
    """A channel drawn to the width of a screen: the range within each column."""

    channel: str
    t: np.ndarray
    low: np.ndarray
    high: np.ndarray
    count: int


@dataclass(frozen=True, slots=True)
class LedgerDay:
    """What became of the records of one device on one UTC day.

    ``lost`` is what no record, tombstone or report explains; None while the day or
    the device's queue is still open and nothing can be said yet.
    """

    device: str
    loc: str
    day: str
    expected: int
    received: int
    late: int
    duplicate: int
    dropped: int
    pending: int
    lost: int | None
    proof: str = ""

    @property
    def share(self) -> float:
        """Share of the expected records that is in the store, 0 to 1."""
        return self.received / self.expected if self.expected else 0.0


@dataclass(frozen=True, slots=True)
class Cycle:
    """One closure and the flux it gave."""

    device: str
    boot: str
    seq: int
    t: int
    loc: str
    flux: float | None
    flux_se: float | None
    mdf: float | None
    model: str
    why: str
    closed_s: float
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CycleReadings:
    """The readings of one closure with the fitted curve, times in s since closing."""

    cycle: Cycle
    elapsed: np.ndarray
    co2: np.ndarray
    used: np.ndarray
    fit_elapsed: np.ndarray
    fit_co2: np.ndarray
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VariantSeries:
    """Fluxes of one variant by the hour: mean over its pots and standard error."""

    variant: str
    pots: int
    cycles: int
    mean: float | None
    se: float | None
    t: np.ndarray
    flux: np.ndarray
    flux_se: np.ndarray


@dataclass(frozen=True, slots=True)
class Effect:
    """What a variant does against its control: a ratio of fluxes with its intervals.

    ``lower`` to ``upper`` is how steady the ratio of these pots is from day to day;
    ``pots_lower`` to ``pots_upper`` what may be said of the treatment, one value per
    pot.
    """

    variant: str
    control: str
    ratio: float | None
    lower: float | None
    upper: float | None
    pairs: int
    pots: int
    note: str = ""
    pots_lower: float | None = None
    pots_upper: float | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm, open or past."""

    id: str
    rule: str
    severity: str
    state: str
    device: str
    loc: str
    since: int
    until: int | None
    text: str
    by: str = ""
    snoozed_until: int | None = None
    about: str = ""
    action: str = ""


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A time in which alarms of a part of the fleet stay quiet."""

    id: str
    scope: str
    start: int
    end: int
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Command:
    """A signed command and how far it has come."""

    id: str
    device: str
    loc: str
    cmd: str
    args: Mapping[str, Any]
    sent: int | None
    not_before: int
    not_after: int
    state: str
    by: str = ""
    result: str = ""


@dataclass(frozen=True, slots=True)
class Firmware:
    """A firmware version that can be given to devices."""

    version: str
    size: int
    sha256: str
    uploaded: int
    by: str
    devices: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a device stood, as an interval; a later row overrules an earlier one."""

    id: str
    device: str
    loc: str
    start: int
    end: int | None
    source: str
    by: str
    note: str
    recorded: int
    overruled: bool = False


@dataclass(frozen=True, slots=True)
class Health:
    """How the service itself does: what an operator must know first."""

    started: int
    queue_depth: int
    commit_p99_ms: float | None
    received: int
    duplicates: int
    quarantined: int
    conflicts: int
    problems: Sequence[str] = ()
