"""The air of one chamber and what its sensors make of it, compiled.

The vectorised simulator and the twin that the firmware runs on share these steps:
`state` carries one chamber (`STATE`), `device` is what stays with it (`DEVICE`),
`minute` what drives it (`MINUTE`).
"""

from __future__ import annotations

from math import exp

import numpy as np

from tilth.fleet.simulate.layouts import FULL, PULSES
from tilth.fleet.simulate.physics import PORES, balance, compiled, follow, relax

#: Time constant of the humidity sensor (data sheet of the SCD30), s.
_HUMIDITY_RESPONSE = 8.0
#: Rate at which a sunlit chamber warms, s-1, and how far, K per lux.
_WARMING = 0.01
_PER_LUX = 1.0 / 30_000.0
#: Temperature at which the CO2 sensors were set, degC.
_SET_AT = 25.0
#: Steps of the light sensor per lux, and its highest value, lux.
_STEPS = 1.2
_SATURATED = 54_612.0


@compiled
def exchange(s, d, m):
    """Return how fast the air in the chamber is exchanged, s-1."""
    if s.lid == 1:
        return m.leak
    rate = d.still
    if s.draught == FULL:
        rate = d.flush
    elif s.draught == PULSES:
        rate = d.pulses
    return m.leak + rate / m.slower


@compiled
def advance(s, d, m, t):
    """Let the air and the lag of the sensors go on until `t`, UTC ms."""
    if t <= s.t:
        return
    seconds = (t - s.t) / 1000.0
    outside = exchange(s, d, m)
    target, rate = balance(
        m.source, outside + m.conductance, m.ambient, m.feedback, s.pores, m.uptake
    )
    lag = d.response * m.slower
    s.seen, s.co2 = follow(s.seen, s.co2, target, rate, lag, seconds)
    wet, moist = balance(0.0, outside, m.vapour, m.moistening, m.saturated, 0.0)
    s.damp, s.vapour = follow(s.damp, s.vapour, wet, moist, _HUMIDITY_RESPONSE, seconds)
    hot = _WARMING * _PER_LUX * m.light / (outside + _WARMING)
    s.warm = relax(s.warm, hot, outside + _WARMING, seconds)
    s.t = t


@compiled
def new_minute(s, m):
    """Take over what a new minute brings besides the weather."""
    s.pores = relax(s.pores, s.co2, PORES, 60.0)
    if m.lid == 0 and s.lid != s.wanted:
        # Repaired: the lid goes where it should be.
        s.lid = s.wanted


@compiled
def move(s, m, closed):
    """Tell the lid to close (1) or open (0); it does unless it cannot."""
    s.wanted = closed
    if closed == 1 and m.lid != 2:
        s.lid = 1
    elif closed == 0 and m.lid != 1:
        s.lid = 0


@compiled
def beat(s, d, m, white, shock):
    """Let the CO2 sensor take a new value."""
    s.ar = d.ar * s.ar + d.ar_noise * (1.0 - d.ar * d.ar) ** 0.5 * shock
    own = m.temperature + s.warm + d.heating
    wet = s.seen * (1.0 - s.vapour)
    s.reading = (
        d.offset
        + m.offset
        + d.per_kelvin * (own - _SET_AT)
        + d.gain * (1.0 + m.gain) * wet
        + d.noise * white
        + s.ar
    )
    s.beat += d.beat


@compiled
def catch_up(state, device, minutes, begin, until, beats, n_beat):
    """Let the chamber go on until a moment, through minutes and the sensor's beats.

    Parameters
    ----------
    state, device : numpy.ndarray
        One record of `STATE`, which is changed, and of `DEVICE`.
    minutes : numpy.ndarray
        `MINUTE`, the first beginning at `begin`.
    begin, until : int
        UTC ms.
    beats : numpy.ndarray
        Normal draws, (beat, 2).
    n_beat : int
        How many of them are used.

    Returns
    -------
    int
        How many of the draws are used now.
    """
    s, d = state[0], device[0]
    while True:
        at = min((s.t - begin) // 60_000, len(minutes) - 1)
        m = minutes[at]
        change = begin + (at + 1) * 60_000
        if at + 1 == len(minutes):
            # Beyond the record the weather stays as it was.
            change = until + 1
        beat_at = np.int64(s.beat)
        t = min(change, min(beat_at, until))
        advance(s, d, m, t)
        if t == change:
            new_minute(s, minutes[at + 1])
        elif t == beat_at:
            beat(s, d, m, beats[n_beat, 0], beats[n_beat, 1])
            n_beat += 1
        if t >= until and np.int64(s.beat) > until:
            return n_beat


@compiled
def sense_gas(s, d, m, z, w):
    """Return CO2 (ppm), temperature (degC) and humidity (%) as the CO2 sensor does.

    `z` and `w` are normal draws.
    """
    own = m.temperature + s.warm + d.heating
    full = 611.2 * exp(17.62 * own / (243.12 + own))
    damp = 100.0 * s.damp * m.pressure / full + d.humidity_noise * w
    return max(s.reading, 0.001), own + 0.02 * z, min(max(damp, 0.0), 100.0)


@compiled
def sense_air(s, d, m, z, w):
    """Return temperature (degC) and pressure (Pa) as the barometer does."""
    warm = m.temperature + s.warm
    return (
        warm + d.temperature_offset + d.temperature_noise * z,
        m.pressure + d.pressure_offset + d.pressure_noise * w,
    )


@compiled
def sense_light(s, d, m, z):
    """Return light as its sensor does, lux in whole steps."""
    light = m.light * d.light_gain * (1.0 + 0.01 * z)
    if s.lid == 1:
        light *= d.transmission
    return min(np.floor(max(light, 0.0) * _STEPS) / _STEPS, _SATURATED)


@compiled
def supply_mv(d, m, z, moving, blowing):
    """Return the supply, mV: the servo and the fan pull it down, a weak one sags."""
    mv = d.supply + 5.0 * z
    if moving:
        mv -= 180.0
    if blowing:
        mv -= 60.0
    if m.restart > 0:
        mv -= 1200.0
    return np.int64(mv)


@compiled
def sense(state, device, minutes, at, noise, n, out):
    """Read all sensors of a chamber.

    Parameters
    ----------
    state, device : numpy.ndarray
        One record of `STATE` and of `DEVICE`.
    minutes : numpy.ndarray
        `MINUTE`.
    at : int
        The minute that holds.
    noise : numpy.ndarray
        Normal draws, (sample, 6).
    n : int
        Number of the sample.
    out : numpy.ndarray
        float64 (6,): CO2 (ppm), temperature (degC) and humidity (%) of its sensor, air
        temperature (degC), pressure (Pa), light (lux).
    """
    s, d, m = state[0], device[0], minutes[at]
    out[0], out[1], out[2] = sense_gas(s, d, m, noise[n, 0], noise[n, 1])
    out[3], out[4] = sense_air(s, d, m, noise[n, 2], noise[n, 3])
    out[5] = sense_light(s, d, m, noise[n, 4])


@compiled
def move_lid(state, minutes, at, closed):
    """Tell the lid to close (1) or open (0); see `move`."""
    move(state[0], minutes[at], closed)


@compiled
def supply(device, minutes, at, z, moving, blowing):
    """Return the supply, mV; see `supply_mv`."""
    return supply_mv(device[0], minutes[at], z, moving, blowing)
