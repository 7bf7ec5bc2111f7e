"""How likely a cycle is in every state a chamber can be in."""

from __future__ import annotations

import numpy as np

from tilth.fleet.detection_habits import DetectionSettings, Seen
from tilth.fleet.detection_names import STATES

_OK, _SHUT, _OPEN, _CLOGGED, _LEAKY, _STILL = range(len(STATES))


def likelihoods(seen: Seen, s: DetectionSettings) -> np.ndarray:
    """Return log likelihoods: (cycle, while closed or after opening, state)."""
    logs = np.zeros((len(seen.rise), 2, len(STATES)))
    with np.errstate(all="ignore"):
        _while_closed(logs[:, 0], seen, s)
        _after_opening(logs[:, 1], seen, s)
    return logs


def _while_closed(logs: np.ndarray, seen: Seen, s: DetectionSettings) -> None:
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
    drift_width = s.water_drift + 0.006 * seen.deficit
    add((_OK,), wet, seen.usual_wet, _length(own, s.usual_spread * usual, 0.015))
    # A small leak, or seldom a wide one that is hardly closed any more.
    losses = [
        np.log(share)
        + _strayed(
            wet - kept * seen.usual_wet, _length(own, spread * usual, 0.015), s.stray
        )
        for share, kept, spread in s.leaks
    ]
    logs[:, _LEAKY] += np.logaddexp.reduce(losses)
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


def _after_opening(logs: np.ndarray, seen: Seen, s: DetectionSettings) -> None:
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
    # The missing share of the soil speaks for a clogged pot, but its absence not
    # against it: how fast open air is exchanged nobody has measured. The 0.3 is what
    # the better of two explains by chance.
    without_soil = back(-s.mixing, 0.5 * s.mixing)
    logs[:, _CLOGGED] += np.maximum(usual_air, without_soil) - 0.3
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
