r"""What is wrong with a chamber, as probabilities, from the signs of its cycles.

Every state of a chamber says what a cycle should look like; the likelihoods of what
was seen are put together over the cycles of a device, because faults last hours:

==============  =====================================================================
state           what a cycle looks like
==============  =====================================================================
``ok``          CO2 and water vapour rise (or fall) as they usually do in this pot
``stuck_closed``  after "opening" the air does not return to that of the room but
                goes on as if closed
``stuck_open``  while "closed" CO2 and vapour follow the air of the room; by day the
                light shows no lid
``clogged``     the lid works, but neither CO2 nor vapour comes out of the soil;
                open, the air is that of the room without the soil's share
``leaky``       the lid works, but less of both is held than usual in this pot
``still_air``   the lid works, but open air returns slowly, and what rises is seen
                late: the fan does not turn
==============  =====================================================================

"As usual" is what the pot did in its good cycles, by day and by night apart, and what
the other pots do in the same minutes. The air of the room is the median of the fleet.

Where the physics does not tell two states apart (a clogged pot and a lid that is
stuck open, at night, in dry air), their probabilities stay divided, and their sum is
what to go by: ``no_exchange``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numba import njit

from tilth.chambers.air import saturation_vapour_pressure
from tilth.core.errors import InputError
from tilth.fleet.detection_signs import SIGNS

#: States of a chamber, in the order of the probabilities.
STATES = ("ok", "stuck_closed", "stuck_open", "clogged", "leaky", "still_air")

_OK, _SHUT, _OPEN, _CLOGGED, _LEAKY, _STILL = range(len(STATES))


@dataclass(frozen=True)
class DetectionSettings:
    """What is taken for granted of chambers, sensors and faults.

    The widths are those of a fleet of SCD30 in a greenhouse, set on simulated
    training fleets; they are generous, since a real room is less orderly.

    Attributes
    ----------
    faults_per_day : float
        Episodes of each fault per device and day.
    hours : float
        Mean length of an episode (article: hours up to days), h.
    co2_width, water_width : float
        Standard deviation between a chamber that is open and the fleet, beyond its
        usual offset: ppm; mmol mol-1, which grows by a hundredth of the deficit.
    lone_width : float
        What is added to the first where there is no fleet, ppm: the air of the room
        changes in ten minutes.
    room_drift : float
        How far the air of the room at one chamber departs from that of the fleet
        during a closure, ppm.
    water_drift : float
        The same of water vapour, mmol mol-1.
    usual_spread : float
        Relative spread of a pot's own water vapour flux from cycle to cycle.
    flux_spread : float
        Relative spread of its CO2 flux.
    leaks : tuple of tuple of float
        Of two kinds of leaks: how often, the share of the usual rise that is held,
        and its spread.
    mixing, still_mixing : float
        Time in which the air of an open chamber is exchanged, and how much longer
        it takes without a fan, s.
    still_share : float
        Share of cycles without a fan.
    light_width : float
        Standard deviation of the logarithm of the light lost behind the lid.
    least_light, least_shade : float
        Light (lux) from which on, and loss (logarithm) from which on the lid can be
        seen by its shadow.
    frozen : int
        Identical raw values in a row that are no accident.
    most_offset, most_wet_offset : float
        Largest lasting difference of a sensor from the fleet that is believed, ppm
        and mmol mol-1.
    stray : float
        Share of cycles that something else disturbed (a visitor, a watering).
    """

    faults_per_day: float = 0.02
    hours: float = 8.0
    co2_width: float = 6.0
    water_width: float = 0.02
    lone_width: float = 12.0
    room_drift: float = 2.5
    water_drift: float = 0.03
    usual_spread: float = 0.10
    flux_spread: float = 0.35
    leaks: tuple[tuple[float, float, float], ...] = (
        (0.8, 0.77, 0.1),
        (0.2, 0.42, 0.15),
    )
    mixing: float = 75.0
    still_mixing: float = 130.0
    still_share: float = 0.03
    light_width: float = 0.03
    least_light: float = 50.0
    least_shade: float = 0.04
    frozen: int = 10
    most_offset: float = 100.0
    most_wet_offset: float = 1.0
    stray: float = 0.01


#: Passes over the data: the first knows no good cycles yet.
_PASSES = 3

#: Length of the blocks in which the offset of a sensor is taken, ms.
_BLOCK_MS = 12 * 3_600_000

#: Fewer devices than this are no fleet; fewer good cycles no habit.
_FLEET, _HABIT = 3, 5

#: Where the light (lux) divides the habits of a pot: night, dusk, clouds, sun.
_LIGHTS = (10.0, 1000.0, 8000.0)


def judge(
    cycles: pd.DataFrame, settings: DetectionSettings | None = None
) -> pd.DataFrame:
    """Return the probabilities of what is wrong, for every cycle of every device.

    Parameters
    ----------
    cycles : pandas.DataFrame
        One row per cycle: ``device`` (text), ``t`` (closing, utc ms) and the columns
        `SIGNS`. All devices of a greenhouse together; a week or more of cycles
        tells what is usual.
    settings : DetectionSettings, optional
        What is taken for granted.

    Returns
    -------
    pandas.DataFrame
        On the index of `cycles`: ``p_ok``, ``p_stuck_closed``, ``p_stuck_open``,
        ``p_clogged``, ``p_leaky``, ``p_still_air`` from all cycles before and
        after (they sum to one), the same with ``now_`` instead of ``p_`` from the
        cycles up to this one, ``p_no_exchange`` (stuck open or clogged),
        ``p_frozen`` and ``state``, the likeliest (``frozen`` goes before all,
        ``no_exchange`` where stuck open and clogged together are likelier than
        anything but neither is clear).
    """
    settings = settings or DetectionSettings()
    missing = {"device", "t", *SIGNS} - set(cycles)
    if missing:
        raise InputError(
            f"a table of cycles needs the columns {', '.join(sorted(missing))}"
        )
    rows = cycles.sort_values(["device", "t"], kind="stable")
    device, _ = pd.factorize(rows["device"])
    t = rows["t"].to_numpy(np.int64)
    frozen = rows["same"].to_numpy(float) >= settings.frozen
    good = _breathing(rows, ~frozen)
    smoothed = filtered = np.empty((0, 2, len(STATES)))
    for _ in range(_PASSES):
        seen = _Seen(rows, device, good & ~frozen, settings)
        logs = _likelihoods(seen, settings)
        # A sensor that repeats itself says nothing of lid or pot.
        logs[frozen] = 0.0
        smoothed, filtered = _smooth(
            logs, device, t, settings.faults_per_day, settings.hours
        )
        good = smoothed[:, :, _OK].min(axis=1) > 0.5
    result = pd.DataFrame(index=rows.index)
    whole = _of_cycle(smoothed)
    for prefix, probability in (("p", whole), ("now", _of_cycle(filtered))):
        for i, name in enumerate(STATES):
            result[f"{prefix}_{name}"] = probability[:, i]
    result["p_no_exchange"] = whole[:, _OPEN] + whole[:, _CLOGGED]
    result["p_frozen"] = frozen.astype(float)
    result["state"] = _names(whole, frozen)
    return result.reindex(cycles.index)


def _breathing(rows: pd.DataFrame, usable: np.ndarray) -> np.ndarray:
    """Return the cycles that are good at first sight: water vapour rises as in others.

    A first guess that needs no habit of the device: from a wrong one, such as an
    offset learnt while the lid was shut, the passes would not find out again.
    """
    slot, _ = pd.factorize(_slot(rows))
    saturated = saturation_vapour_pressure(rows["warm_before"].to_numpy(float))
    with np.errstate(all="ignore"):
        room = _median_by(slot, rows["wet_before"].to_numpy(float), usable, _FLEET)
        deficit = 1000.0 * saturated / rows["pressure"].to_numpy(float) - room
        pace = rows["wet_slope"].to_numpy(float) / np.maximum(deficit, 0.1)
        share = pace / _median_by(slot, pace, usable, _FLEET)
        return usable & ~((share < 0.4) | (share > 2.5))


def _slot(rows: pd.DataFrame) -> np.ndarray:
    """Return the period each cycle belongs to; the fleet's begin together."""
    return (rows["t"].to_numpy(np.int64) + 60_000) // 600_000


def _of_cycle(halves: np.ndarray) -> np.ndarray:
    """Return the state of a cycle: that of its closure, or a lid that then sticks."""
    shut = halves[:, :, _SHUT].max(axis=1)
    closure = halves[:, 0].copy()
    rest = 1.0 - closure[:, _SHUT]
    closure *= ((1.0 - shut) / np.where(rest > 0.0, rest, 1.0))[:, None]
    closure[:, _SHUT] = shut
    return closure


def _names(probability: np.ndarray, frozen: np.ndarray) -> np.ndarray:
    """Return the likeliest state, or that it is one of two."""
    names = np.array([*STATES, "no_exchange", "frozen"], object)
    best = probability.argmax(axis=1)
    either = probability[:, _OPEN] + probability[:, _CLOGGED]
    rest = np.delete(probability, [_OPEN, _CLOGGED], axis=1).max(axis=1, initial=0.0)
    clear = probability[:, [_OPEN, _CLOGGED]].max(axis=1, initial=0.0) > 0.8 * either
    best = np.where((either > rest) & ~clear, len(STATES), best)
    best = np.where(
        (either > rest) & clear,
        np.where(probability[:, _OPEN] > probability[:, _CLOGGED], _OPEN, _CLOGGED),
        best,
    )
    return names[np.where(frozen, len(STATES) + 1, best)]


class _Seen:
    """What was seen beside what was to be expected, one value per cycle."""

    def __init__(
        self,
        rows: pd.DataFrame,
        device: np.ndarray,
        good: np.ndarray,
        settings: DetectionSettings,
    ) -> None:
        r = {name: rows[name].to_numpy(float) for name in SIGNS}
        group = _Groups(device, _slot(rows), rows["t"].to_numpy(np.int64), good)
        seconds = r["seconds"]
        with np.errstate(all="ignore"):
            warm, pressure = (
                np.where(np.isfinite(r[name]), r[name], group.of_fleet(r[name]))
                for name in ("warm_before", "pressure")
            )
            saturated = 1000.0 * saturation_vapour_pressure(warm) / pressure
            # What a pot does follows the light: the dark, dusk, clouds and sun.
            light = np.digitize(np.nan_to_num(r["light_before"]), _LIGHTS)
            habit = device * (len(_LIGHTS) + 1) + light

            # The air of the room, and how this chamber's sensor differs from it; a
            # chamber without a fleet has only its own air before closing.
            room, room_wet = (group.of_fleet(r[n]) for n in ("before", "wet_before"))
            room_later, wet_later = (
                group.of_fleet(r[n]) for n in ("later", "wet_later")
            )
            offset = group.lately(r["before"] - room, settings.most_offset)
            wet_offset = group.lately(
                r["wet_before"] - room_wet, settings.most_wet_offset
            )
            between = seconds + r["open_seconds"] - 45.0
            self.room_change = (room_later - room) / between * seconds
            self.wet_change = (wet_later - room_wet) / between * seconds
            self.alone = ~np.isfinite(room + room_later)
            room_later = np.where(self.alone, r["before"], room_later + offset)
            lone = ~np.isfinite(room_wet + wet_later)
            wet_later = np.where(lone, r["wet_before"], wet_later + wet_offset)
            room_wet = np.where(np.isfinite(room_wet), room_wet, r["wet_before"])
            # How much drier the room is than the soil: what drives evaporation.
            deficit = np.maximum(saturated - room_wet, 0.1)

            # While closed.
            self.seconds = seconds
            self.rise, self.rise_se = r["slope"] * seconds, r["slope_se"] * seconds
            self.wet = r["wet_slope"] * seconds
            self.wet_se = r["wet_se"] * seconds
            pace = r["wet_slope"] / deficit
            fleet_pace = group.of_fleet(pace)
            fleet_pace = np.where(
                np.isfinite(fleet_pace), fleet_pace, group.usual(pace, habit)
            )
            ratio = group.usual(np.log(np.maximum(pace / fleet_pace, 0.05)), habit)
            self.usual_pace = fleet_pace * np.exp(np.nan_to_num(ratio))
            self.usual_wet = self.usual_pace * deficit * seconds
            # The fleet tells what this hour does to the flux, the pot how it differs.
            fleet_rise = group.of_fleet(r["slope"])
            now = fleet_rise + np.nan_to_num(
                group.usual(r["slope"] - fleet_rise, habit)
            )
            for other in (
                group.usual(r["slope"], habit),
                group.usual(r["slope"], light),
            ):
                now = np.where(np.isfinite(now), now, other)
            self.usual_rise = seconds * now
            self.deficit = deficit

            # After opening: what is left of the closure, and what it would be if
            # the lid had stayed where it was.
            self.left = r["later"] - room_later
            self.wet_left = r["wet_later"] - wet_later
            self.held = r["end"] - room_later
            held_wet = r["wet_before"] + self.wet - wet_later
            open_s = r["open_seconds"]
            self.on_rise = 0.6 * r["slope"] * open_s
            self.if_shut = self.held + self.on_rise
            dry = np.maximum(saturated + wet_offset - r["wet_before"], 0.0)
            self.shut_wet = np.nan_to_num(self.usual_pace) * dry * seconds
            dry = np.maximum(dry - self.wet, 0.0)
            self.on_wet = dry * -np.expm1(-np.nan_to_num(self.usual_pace) * open_s)
            self.wet_if_shut = held_wet + self.on_wet
            self.held_wet = held_wet

            # The shadow of the lid.
            around = 0.5 * (np.log(r["light_before"]) + np.log(r["light_after"]))
            lost = np.log(r["light_closed"]) - around
            bright = np.minimum(r["light_before"], r["light_after"])
            lost = np.where(bright > settings.least_light, lost, np.nan)
            usual_loss = group.of_fleet(lost)
            own_loss = group.usual(lost, device)
            usual_loss = np.where(np.isfinite(usual_loss), usual_loss, own_loss)
            self.shadow = lost - usual_loss
            self.shade = np.where(
                -usual_loss > settings.least_shade, -usual_loss, np.nan
            )


class _Groups:
    """Medians over the good cycles of the fleet at one time, or of one device."""

    def __init__(
        self, device: np.ndarray, slot: np.ndarray, t: np.ndarray, good: np.ndarray
    ) -> None:
        self._device, self._t, self._good = device, t, good
        self._slot, _ = pd.factorize(slot)

    def of_fleet(self, values: np.ndarray) -> np.ndarray:
        """Return the median of the fleet in the same minutes; NaN without a fleet."""
        return _median_by(self._slot, values, self._good, _FLEET)

    def usual(self, values: np.ndarray, by: np.ndarray) -> np.ndarray:
        """Return the median of the good cycles of the same kind."""
        return _median_by(by, values, self._good, _HABIT)

    def lately(self, values: np.ndarray, most: float) -> np.ndarray:
        """Return the median of a device's good cycles of the hours around each.

        From half day to half day, and in a straight line between their middles:
        sensors drift. No offset is larger than `most`; without a good cycle it is 0.
        """
        local = np.zeros(len(values))
        if not len(local):
            return local
        block = self._t // _BLOCK_MS
        first, count = int(block.min()), int(np.ptp(block)) + 1
        key = self._device * count + (block - first)
        medians = _median_by(key, values, self._good, _HABIT)
        for begin, end in _runs(self._device):
            known, at = np.unique(key[begin:end], return_index=True)
            level = medians[begin:end][at]
            sure = np.isfinite(level)
            if sure.any():
                middle = (known[sure] % count + first + 0.5) * _BLOCK_MS
                local[begin:end] = np.interp(self._t[begin:end], middle, level[sure])
        return np.clip(local, -most, most)


def _runs(device: np.ndarray) -> list[tuple[int, int]]:
    """Return begin and end of the rows of each device."""
    edges = np.flatnonzero(np.diff(device, prepend=-1, append=-1))
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def _median_by(
    key: np.ndarray, values: np.ndarray, good: np.ndarray, least: int
) -> np.ndarray:
    """Return for every row the median of the good rows with its key."""
    use = good & np.isfinite(values)
    count = int(key.max(initial=-1)) + 1
    order = np.lexsort((values[use], key[use]))
    keys, ordered = key[use][order], values[use][order]
    begin = np.searchsorted(keys, np.arange(count), "left")
    n = np.searchsorted(keys, np.arange(count), "right") - begin
    medians = np.full(count, np.nan)
    enough = n >= least
    low = begin[enough] + (n[enough] - 1) // 2
    high = begin[enough] + n[enough] // 2
    medians[enough] = 0.5 * (ordered[low] + ordered[high])
    return medians[key]


def _likelihoods(seen: _Seen, s: DetectionSettings) -> np.ndarray:
    """Return log likelihoods: (cycle, while closed or after opening, state)."""
    logs = np.zeros((len(seen.rise), 2, len(STATES)))
    with np.errstate(all="ignore"):
        _while_closed(logs[:, 0], seen, s)
        _after_opening(logs[:, 1], seen, s)
    return logs


def _while_closed(logs: np.ndarray, seen: _Seen, s: DetectionSettings) -> None:
    """Add what the closure says: water vapour, CO2 and the shadow of the lid."""

    def add(states: tuple[int, ...], value, expected, width) -> None:
        term = _strayed(value - expected, width, s.stray)
        for state in states:
            logs[:, state] += term

    # Water vapour while closed.
    usual, own = np.abs(seen.usual_wet), np.hypot(seen.wet_se, 0.01)
    known = np.isfinite(seen.wet + usual)
    wet = np.where(known, seen.wet, np.nan)
    drift = np.nan_to_num(seen.wet_change)
    drift_width = s.water_drift + 0.012 * seen.deficit
    add((_OK,), wet, seen.usual_wet, _length(own, s.usual_spread * usual, 0.015))
    # A small leak, or seldom a wide one, hardly closed any more.
    losses = [
        np.log(share)
        + _strayed(
            wet - kept * seen.usual_wet, _length(own, spread * usual, 0.015), s.stray
        )
        for share, kept, spread in s.leaks
    ]
    logs[:, _LEAKY] += np.logaddexp(*losses)
    add((_CLOGGED,), wet, 0.03 * seen.usual_wet, _length(own, 0.03 * usual, 0.01))
    add((_OPEN,), wet, drift, _length(own, drift_width, 0.3 * drift))
    shut = seen.shut_wet
    add((_SHUT,), wet, shut, _length(own, 0.06, 0.01 * seen.deficit, 0.4 * shut))
    add((_STILL,), wet, 0.89 * seen.usual_wet, _length(own, 0.08 * usual, 0.015))

    # CO2 while closed.
    size = np.abs(seen.usual_rise)
    room = np.nan_to_num(seen.room_change)
    rise = np.where(np.isfinite(seen.usual_rise), seen.rise, np.nan)
    wide = _length(seen.rise_se, 3.0, s.flux_spread * size)
    add((_OK,), rise, seen.usual_rise, wide)
    add((_LEAKY, _STILL), rise, 0.75 * seen.usual_rise, wide)
    add((_CLOGGED,), rise, 0.0, _length(seen.rise_se, 1.0, 0.04 * size))
    add((_OPEN,), rise, room, _length(seen.rise_se, s.room_drift, 0.3 * room))
    add((_SHUT,), rise, 0.3 * seen.usual_rise, _length(6.0, 0.5 * size))

    # The shadow of the lid, by day.
    shadow = np.where(np.isfinite(seen.shade), seen.shadow, np.nan)
    add((_OK, _CLOGGED, _LEAKY, _STILL), shadow, 0.0, s.light_width)
    add((_SHUT, _OPEN), shadow, seen.shade, s.light_width)


def _after_opening(logs: np.ndarray, seen: _Seen, s: DetectionSettings) -> None:
    """Add what is left of the closure some minutes after the lid should have opened."""
    # What is left after opening: the soil's share of the air in an open chamber
    # grows where the fan stands still.
    pace = np.nan_to_num(seen.usual_pace) * seen.deficit
    slope = np.nan_to_num(seen.usual_rise / seen.seconds)
    known = np.isfinite(seen.left + seen.if_shut)
    left = np.where(known, seen.left, np.nan)
    known = np.isfinite(seen.wet_left + seen.wet_if_shut)
    wet_left = np.where(known, seen.wet_left, np.nan)
    lone = np.where(seen.alone, s.lone_width, 0.0)
    width = _length(s.co2_width, lone, 0.15 * seen.held)
    wet_width = _length(s.water_width, 0.01 * seen.deficit, 0.15 * seen.held_wet)

    def back(seconds: float, sure: float) -> np.ndarray:
        """Likelihood of open air with the soil's flux of so many more seconds."""
        return _strayed(
            left - seconds * slope, _length(width, sure * slope), s.stray
        ) + _strayed(
            wet_left - seconds * pace, _length(wet_width, sure * pace), s.stray
        )

    usual_air = back(0.0, 0.0)
    still_air = back(s.still_mixing, 0.4 * s.still_mixing)
    term = np.logaddexp(
        np.log1p(-s.still_share) + usual_air, np.log(s.still_share) + still_air
    )
    logs[:, _OPEN] += term
    for state, air in ((_OK, usual_air), (_LEAKY, usual_air), (_STILL, still_air)):
        logs[:, state] += air
    logs[:, _CLOGGED] += back(-s.mixing, 0.5 * s.mixing)
    width = _length(10.0, 0.5 * seen.on_rise)
    logs[:, _SHUT] += _strayed(left - seen.if_shut, width, s.stray)
    width = _length(0.06, 0.035 * seen.deficit, 0.3 * seen.on_wet)
    logs[:, _SHUT] += _strayed(wet_left - seen.wet_if_shut, width, s.stray)


def _length(*parts) -> np.ndarray:
    """Return the root of the sum of squares."""
    return np.sqrt(sum(np.square(part) for part in parts))


def _strayed(error: np.ndarray, width, stray: float) -> np.ndarray:
    """Log density of an error that is now and then twenty times as large; 0 if NaN."""
    z2 = np.square(error / width)
    near = np.log1p(-stray) - 0.5 * z2
    far = np.log(stray / 20.0) - 0.5 * z2 / 400.0
    logs = np.logaddexp(near, far) - np.log(width)
    return np.where(np.isfinite(logs), logs, 0.0)


def _smooth(
    logs: np.ndarray, device: np.ndarray, t: np.ndarray, per_day: float, hours: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return smoothed and filtered probabilities, shaped as the likelihoods."""
    n, _, m = logs.shape
    # The second half of a cycle is taken to be some minutes later.
    half = t + 300_000
    times = np.column_stack([t, half]).ravel()
    out = _forward_backward(
        np.ascontiguousarray(logs.reshape(2 * n, m)),
        np.repeat(device, 2),
        times,
        per_day,
        hours,
    )
    return out[0].reshape(logs.shape), out[1].reshape(logs.shape)


@njit(cache=True, nogil=True)
def _forward_backward(logs, device, t, per_day, hours):
    """Forward-backward over the cycles of each device: smoothed and filtered."""
    n, m = logs.shape
    filtered = np.empty((n, m))
    smoothed = np.empty((n, m))
    forward = np.empty(m)
    message = np.empty(m)
    begin = 0
    while begin < n:
        end = begin
        while end < n and device[end] == device[begin]:
            end += 1
        for i in range(begin, end):
            if i == begin:
                forward[0] = 0.96
                forward[1:] = 0.04 / (m - 1)
            else:
                _step(
                    filtered[i - 1],
                    forward,
                    max(t[i] - t[i - 1], 0),
                    per_day,
                    hours,
                    False,
                )
            top = logs[i].max()
            for j in range(m):
                forward[j] *= np.exp(logs[i, j] - top)
            # No state is ever ruled out: a later cycle may say otherwise.
            filtered[i] = (forward / forward.sum() + 1e-12) / (1.0 + m * 1e-12)
        message[:] = 1.0
        for i in range(end - 1, begin - 1, -1):
            smoothed[i] = filtered[i] * message
            smoothed[i] /= smoothed[i].sum()
            if i > begin:
                top = logs[i].max()
                for j in range(m):
                    forward[j] = message[j] * np.exp(logs[i, j] - top) + 1e-12
                _step(forward, message, max(t[i] - t[i - 1], 0), per_day, hours, True)
                message /= message.max()
        begin = end
    return smoothed, filtered


@njit(cache=True, nogil=True)
def _step(before, after, dt, per_day, hours, back):
    """Carry probabilities over the time between two cycles (ms)."""
    m = before.size
    stay = np.exp(-dt / 3.6e6 / hours)
    healthy = np.exp(-dt / 8.64e7 * per_day * (m - 1))
    if back:
        faults = before[1:].sum() / (m - 1)
        after[0] = healthy * before[0] + (1.0 - healthy) * faults
        for j in range(1, m):
            after[j] = stay * before[j] + (1.0 - stay) * before[0]
        return
    after[0] = healthy * before[0]
    for j in range(1, m):
        after[j] = stay * before[j] + (1.0 - healthy) * before[0] / (m - 1)
        after[0] += (1.0 - stay) * before[j]


def scores(
    truth: np.ndarray, found: np.ndarray, states: Mapping[str, tuple[str, ...]]
) -> pd.DataFrame:
    """Return recall and precision per cycle of groups of states.

    Parameters
    ----------
    truth, found : array_like of str
        True and found state of every cycle.
    states : mapping of str to tuple of str
        Name of a group to the states that belong to it.

    Returns
    -------
    pandas.DataFrame
        Index: groups; columns ``recall``, ``precision``, ``cycles``.
    """
    rows = {}
    for name, members in states.items():
        is_true, is_found = np.isin(truth, members), np.isin(found, members)
        hits = int((is_true & is_found).sum())
        rows[name] = {
            "recall": hits / max(int(is_true.sum()), 1),
            "precision": hits / max(int(is_found.sum()), 1),
            "cycles": int(is_true.sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
