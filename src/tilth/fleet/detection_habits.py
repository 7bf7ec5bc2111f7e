"""What a cycle should look like: the habits of each pot, and the air of the room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from tilth.chambers.air import saturation_vapour_pressure
from tilth.fleet.detection_names import SIGNS

#: Length of the blocks in which the offset of a sensor is taken, ms.
_BLOCK_MS = 12 * 3_600_000

#: Fewer devices than this are no fleet; fewer good cycles no habit.
_FLEET, _HABIT = 3, 5

#: Where the light (lux) divides the habits of a pot: night, dusk, clouds, sun.
_LIGHTS = (10.0, 1000.0, 8000.0)


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
        Of three kinds of leaks: how often, the share of the usual rise that is held,
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
    water_drift: float = 0.02
    usual_spread: float = 0.10
    flux_spread: float = 0.35
    leaks: tuple[tuple[float, float, float], ...] = (
        (0.8, 0.77, 0.1),
        (0.15, 0.45, 0.13),
        (0.05, 0.18, 0.08),
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


def breathing(rows: pd.DataFrame, usable: np.ndarray) -> np.ndarray:
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


class Seen:
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
            ratio = _within_the_others(ratio, habit)
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


def _within_the_others(ratio: np.ndarray, habit: np.ndarray) -> np.ndarray:
    """Hold the habit of a pot within three deviations of those of the others.

    A lid that has been leaking since the beginning must not pass for a habit; how
    much pots may differ (plants, soils) the fleet itself tells.
    """
    _, one = np.unique(habit, return_index=True)
    each = ratio[one][np.isfinite(ratio[one])]
    if len(each) < 2 * _FLEET:
        return ratio
    middle = np.median(each)
    width = 3.0 * max(1.4826 * np.median(np.abs(each - middle)), 0.07)
    return np.clip(ratio, middle - width, middle + width)


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
