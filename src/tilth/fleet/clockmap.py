r"""From ticks to UTC: one clock for each boot of a device.

A device counts milliseconds since it booted and never corrects that count. What UTC
a tick was is settled here, from what the device says of its clock,

.. math:: utc = tick + offset(tick),

where the offset is interpolated between the synchronisations the boot went through
and carried on beyond them at the rate they show, at most 500 ppm. The best of these
kinds of evidence that a boot has is used, the others only where it is absent:

1. ``ntp``: synchronisation events of the device with a time server,
2. ``header``: the UTC its batches carry, if that stems from a time server,
3. ``rtc``: its battery clock, in events or batches,
4. ``received``: the earliest time at which the server can have heard of a tick.

Dates before 2020 or more than 48 h ahead of the server are errors of the device
(an RTC that was reset says 2000, NTP of another era 2036) and are never used; a UTC
more than 48 h in the past needs a synchronisation that says the same.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from itertools import combinations

from tilth.fleet.channels import QUALITIES
from tilth.fleet.clock import HOUR_MS

#: No record is older: 2020-01-01, ms.
EARLIEST_MS = 1_577_836_800_000
#: A UTC this far from the time of receipt needs a better reason, ms.
FAR_MS = 48 * HOUR_MS
#: A boot without a clock is timed by receipt after this long, ms: a device that has
#: come online usually reaches a time server within seconds.
HOLD_MS = 10 * 60_000
#: Largest rate error of a device's crystal, parts per billion. Crystals are within
#: 20 ppm; without one, an ESP32 counts by its RC oscillator.
MAX_RATE_PPB = 500_000
#: Synchronisations kept for one boot.
MAX_POINTS = 24

#: Evidence, the best first.
SOURCES = ("ntp", "header", "rtc", "received")

_NTP, _HEADER, _RTC, _RECEIVED = range(4)
#: Two synchronisations this far apart still agree, ms (RTCs count whole seconds).
_TOLERANCE_MS = (1_000, 2_000, 3_000, 0)
#: Points closer than this say nothing about the rate, ms.
_RATE_SPAN_MS = 20 * 60_000
#: Lag of a live message, ms: a batch is sent within seconds of its last record.
_LIVE_LAG_MS = (-60_000, 120_000)
_NTP_QUALITY, _RTC_QUALITY = QUALITIES["ntp"], QUALITIES["rtc"]
_MAPPED, _RECEIVED_QUALITY = QUALITIES["mapped"], QUALITIES["received"]
_UNKNOWN = QUALITIES["unknown"]


@dataclass(frozen=True, slots=True, order=True)
class SyncPoint:
    """A tick whose UTC the device told, and when the server heard of it (all ms)."""

    tick: int
    utc: int
    source: str
    recv: int


class BootClock:
    """The clock of one boot.

    Parameters
    ----------
    points : iterable of SyncPoint
        What is known of it.
    heard : int, optional
        Smallest difference of time of receipt and tick so far, ms.

    Attributes
    ----------
    source : str
        Evidence in use, one of `SOURCES`; ``""`` if there is none.
    rate_ppb : int
        By how much UTC runs faster than ticks, parts per billion.

    Examples
    --------
    >>> clock = BootClock()
    >>> noon = 1_753_012_800_000
    >>> clock.observe(SyncPoint(60_000, noon, "ntp", noon + 2_000))
    []
    >>> clock.at(30_000) - noon
    -30000
    """

    __slots__ = ("_offsets", "_ticks", "heard", "points", "rate_ppb", "source")

    def __init__(
        self, points: list[SyncPoint] | None = None, heard: int | None = None
    ) -> None:
        self.points: list[SyncPoint] = sorted(points or [])
        self.heard = heard
        self.source = ""
        self.rate_ppb = 0
        self._ticks: list[int] = []
        self._offsets: list[int] = []
        if self.points:
            self.fit()

    def observe(self, *points: SyncPoint) -> list[SyncPoint]:
        """Take note of synchronisations, and set the clock by them.

        Returns
        -------
        list of SyncPoint
            Those that cannot be one, because of their dates; they are not used.
        """
        refused = [p for p in points if not is_plausible(p.utc, p.recv)]
        for point in points:
            if point in refused:
                continue
            self.points = [p for p in self.points if p.tick != point.tick]
            insort(self.points, point)
            if len(self.points) > MAX_POINTS:
                self._thin()
        if len(refused) < len(points):
            self.fit()
        return refused

    def hear(self, tick: int, recv: int) -> None:
        """Take note that a record of `tick` was received at `recv`."""
        if self.heard is None or recv - tick < self.heard:
            self.heard = recv - tick

    def settle(self) -> bool:
        """Time this boot by the best there is, if it is still without a clock.

        Returns
        -------
        bool
            Whether it has one now.
        """
        if not self._ticks:
            self.fit(far=True)
        if not self._ticks and self.heard is not None:
            self._ticks, self._offsets = [0], [self.heard]
            self.source = "received"
        return bool(self._ticks)

    @property
    def known(self) -> bool:
        """Whether ticks can be turned into UTC."""
        return bool(self._ticks)

    def at(self, tick: int) -> int:
        """Return the UTC of a tick, ms; the clock must be known."""
        ticks, offsets = self._ticks, self._offsets
        k = bisect_left(ticks, tick)
        if k == 0:
            near = 0
        elif k == len(ticks):
            near = k - 1
        else:
            past, span = tick - ticks[k - 1], ticks[k] - ticks[k - 1]
            return tick + offsets[k - 1] + (offsets[k] - offsets[k - 1]) * past // span
        drift = (tick - ticks[near]) * self.rate_ppb // 1_000_000_000
        return tick + offsets[near] + drift

    def time(
        self, tick: int, utc: int | None, src: str, recv: int, span: int = 0
    ) -> tuple[int | None, int]:
        """Return the UTC of a batch's tick, and how well it is known.

        The device's own UTC is taken where the clock of this boot confirms it; where
        they differ the clock is right, because a device corrects its UTC by jumps.

        Parameters
        ----------
        tick : int
            Tick base of a batch.
        utc, src : int or None, str
            As in the batch.
        recv : int
            When it was received.
        span : int
            How long after the tick its last record is, ms.

        Returns
        -------
        t : int or None
            UTC of the tick; None if nothing tells it yet.
        quality : int
            As in `QUALITIES`.
        """
        if (
            utc is None
            or src == "none"
            or not is_plausible(utc, recv)
            or not is_plausible(utc + span, recv)
        ):
            return self._mapped(tick, recv, span)
        own = _NTP_QUALITY if src == "ntp" else _RTC_QUALITY
        point = SyncPoint(tick, utc, "header" if src == "ntp" else "rtc", recv)
        if self.source in ("", "received"):
            self.observe(point)
            if self.source in ("header", "rtc"):
                return utc, own
            return self._mapped(tick, recv, span)
        if self.source == "rtc" and src == "ntp":
            self.observe(point)
            return utc, own
        away = abs(utc - self.at(tick))
        if away <= 1_000 or away <= self._tolerance(tick):
            return utc, own
        if self.source != "ntp" and self._distance(tick) > HOUR_MS // 12:
            # Perhaps it is the device that is right, now: let it be counted.
            self.observe(point)
        return self._mapped(tick, recv, span)

    def _mapped(self, tick: int, recv: int, span: int) -> tuple[int | None, int]:
        if not self._ticks:
            return None, _UNKNOWN
        t = self.at(tick)
        if not (is_plausible(t, recv) and is_plausible(t + span, recv)):
            return None, _UNKNOWN
        return t, _RECEIVED_QUALITY if self.source == "received" else _MAPPED

    def _distance(self, tick: int) -> int:
        """Return the ticks to the nearest synchronisation."""
        k = bisect_left(self._ticks, tick)
        return min(abs(tick - near) for near in self._ticks[max(k - 1, 0) : k + 1])

    def _tolerance(self, tick: int) -> int:
        drift = self._distance(tick) * MAX_RATE_PPB // 1_000_000_000
        return _TOLERANCE_MS[SOURCES.index(self.source)] + drift

    def fit(self, far: bool = False) -> None:
        """Set the clock from its synchronisations.

        Those that agree with each other within 500 ppm are a party. The party that
        says a live message was live wins; among equals the larger, then the earlier:
        a jump of the device's clock leaves it as it was until the larger part of
        what is known says otherwise.

        Parameters
        ----------
        far : bool
            Whether to believe a UTC far in the past that no synchronisation
            confirms.
        """
        for kind in (_NTP, _HEADER, _RTC):
            points = [
                p
                for p in self.points
                if p.source == SOURCES[kind]
                and (far or kind == _NTP or p.recv - p.utc <= FAR_MS)
            ]
            if points:
                party = _largest_party(points, _TOLERANCE_MS[kind])
                self._ticks = [p.tick for p in party]
                self._offsets = [p.utc - p.tick for p in party]
                self.rate_ppb = _rate(party)
                self.source = SOURCES[kind]
                return

    def _thin(self) -> None:
        """Leave out the point that is best known without it: the most crowded one.

        The worse kinds go first, and the first and last stay.
        """
        worst = max(SOURCES.index(p.source) for p in self.points)
        crowded = [
            (self.points[k + 1].tick - self.points[k - 1].tick, k)
            for k in range(1, len(self.points) - 1)
            if SOURCES.index(self.points[k].source) == worst
        ]
        del self.points[min(crowded)[1] if crowded else 0]


def is_plausible(utc: int, recv: int) -> bool:
    """Tell whether a record received at `recv` can be of `utc` (both ms)."""
    return EARLIEST_MS <= utc <= recv + FAR_MS


def _largest_party(points: list[SyncPoint], tolerance: int) -> list[SyncPoint]:
    """Return the points that agree with the one that most agree with."""

    def agree(one: SyncPoint, other: SyncPoint) -> bool:
        span = one.tick - other.tick
        drift = abs(span) * MAX_RATE_PPB // 1_000_000_000
        return abs(one.utc - other.utc - span) <= tolerance + drift

    def standing(party: list[SyncPoint]) -> tuple[bool, int]:
        early, late = _LIVE_LAG_MS
        return any(early <= p.recv - p.utc <= late for p in party), len(party)

    parties = [[other for other in points if agree(one, other)] for one in points]
    return max(parties, key=standing)


def _rate(points: list[SyncPoint]) -> int:
    """Return the median rate between synchronisations, ppb; 0 if too close.

    References
    ----------
    Sen (1968), Journal of the American Statistical Association 63.
    """
    rates = sorted(
        (late.utc - late.tick - early.utc + early.tick)
        * 1_000_000_000
        // (late.tick - early.tick)
        for early, late in combinations(points, 2)
        if late.tick - early.tick >= _RATE_SPAN_MS
    )
    if not rates:
        return 0
    return max(-MAX_RATE_PPB, min(MAX_RATE_PPB, rates[len(rates) // 2]))
