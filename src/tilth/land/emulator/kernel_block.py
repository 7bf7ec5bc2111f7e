"""Blocks of cells run through their days, as short loops for a compiler.

The equations are those of `tilth.land.emulator.equations.step`, and so is their order.
Each loop goes over the lanes of a block, one cell in each, and does one step of the day
with no call and no branch inside, so that it becomes vector instructions. All that is
compiled is in this file and in `kernel_math`, since numba's cache of a function is
renewed when the text of its own file changes, and only then: after a change in
`kernel_math`, change this file too.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from tilth.core.constants import ZERO_CELSIUS
from tilth.land.emulator.kernel_math import FAST, exponential, power
from tilth.land.emulator.parameters import PARAMETERS
from tilth.land.emulator.variants import FULL_COVER, LOGISTIC_LIMIT, NO_SNOW

#: Cells per block; one row of a block's memory.
LANES = 512

#: A block's cells are filled up to a multiple of this, so that no loop has a
#: remainder that would be computed by other instructions.
FULL = 64

#: Stores below this are empty, mm: they would decay into numbers that are too small
#: for the processor's fast path.
EMPTY = 1e-15

# Rows of a block's memory. All of it is one array with known distances between rows:
# then the compiler sees that no row overlaps another, and needs no test for it.
A, B, TC, CHI, C, D, OMEGA, G, E, Y0, H, K1, YS, K2, PS = (
    row * LANES for row in range(15)
)
RAIN, SNOWFALL, TEMPERATURE, HUMIDITY, PRESSURE = (row * LANES for row in range(15, 20))
SNOW, SOIL, WETLAND, DEEP = (row * LANES for row in range(20, 24))
(
    SHARE,
    REFERENCE,
    EVAPORATION,
    LOSSES,
    SUPPLY,
    THAW,
    INFILTRATION,
    DRAINAGE,
    BASE,
    RUNOFF,
    BALANCE,
    RESIDUAL,
    TOTAL_SOIL,
    STRANGE,
) = (row * LANES for row in range(24, 38))
ROWS = 38
N_PARAMETERS = len(PARAMETERS)

_compiled = njit(cache=True, nogil=True, fastmath=FAST, error_model="numpy")


@_compiled
def _bring(w, row, values, cells, factor):
    """Copy cells into a row."""
    size, first = cells.size, cells[0]
    lanes = w[row : row + size]
    if cells[size - 1] - first == size - 1:  # neighbours: no need to look each up
        together = values[first : first + size]
        for i in range(size):
            lanes[i] = together[i] * factor
    else:
        for i in range(size):
            lanes[i] = values[cells[i]] * factor


@_compiled
def _take(w, row, values, cells, factor):
    """Copy a row out to cells."""
    size, first = cells.size, cells[0]
    lanes = w[row : row + size]
    if cells[size - 1] - first == size - 1:
        together = values[first : first + size]
        for i in range(size):
            together[i] = lanes[i] * factor
    else:
        for i in range(size):
            values[cells[i]] = lanes[i] * factor


@_compiled
def _look(w, n, limits):
    """Mark the cells whose weather does not lie between its limits."""
    zero, one = w.dtype.type(0.0), w.dtype.type(1.0)
    low_rain, high_rain = limits[0, 0], limits[0, 1]
    low_snowfall, high_snowfall = limits[1, 0], limits[1, 1]
    low_t, high_t = limits[2, 0], limits[2, 1]
    low_q, high_q = limits[3, 0], limits[3, 1]
    low_p, high_p = limits[4, 0], limits[4, 1]
    for i in range(n):
        # What is not a number is not between two others either.
        fine = (w[i + RAIN] >= low_rain) & (w[i + RAIN] <= high_rain)
        fine &= (w[i + SNOWFALL] >= low_snowfall) & (w[i + SNOWFALL] <= high_snowfall)
        fine &= (w[i + TEMPERATURE] >= low_t) & (w[i + TEMPERATURE] <= high_t)
        fine &= (w[i + HUMIDITY] >= low_q) & (w[i + HUMIDITY] <= high_q)
        fine &= (w[i + PRESSURE] >= low_p) & (w[i + PRESSURE] <= high_p)
        w[i + STRANGE] += zero if fine else one


@_compiled
def _evaporate(w, n, snow_depth):
    """Evaporation of the day under the snow that the day began with."""
    real = w.dtype.type
    zero, melting, pole = real(0.0), real(ZERO_CELSIUS), real(ZERO_CELSIUS - 243.5)
    bolton, slope, ratio, rest = real(611.2), real(17.67), real(0.622), real(0.378)
    for i in range(n):
        t = w[i + TEMPERATURE]
        es = bolton * exponential(slope * (t - melting) / (t - pole))
        saturated = ratio * es / (w[i + PRESSURE] - rest * es)
        w[i + EVAPORATION] = w[i + G] * (saturated - w[i + HUMIDITY])
    if snow_depth > zero:
        deepest = real(60.0)  # depths of snow that hold back all but 1e-26
        for i in range(n):
            depth = w[i + SNOW] / snow_depth
            depth = depth if depth < deepest else deepest
            possible = w[i + EVAPORATION]
            possible = possible if possible > zero else zero
            w[i + EVAPORATION] = possible * exponential(-depth)
    else:
        trace = real(NO_SNOW)
        for i in range(n):
            bare = w[i + SNOW] < trace
            w[i + EVAPORATION] = w[i + EVAPORATION] if bare else zero


@_compiled
def _melt(w, n):
    """Snow at the end of the day, and what rain and melt bring to the soil."""
    real = w.dtype.type
    zero, one, full = real(0.0), real(1.0), real(1.0 / FULL_COVER)
    for i in range(n):
        excess = w[i + TEMPERATURE] - w[i + TC]
        warm = excess > zero
        melt = w[i + B] * power(excess if warm else one, w[i + CHI])
        w[i + SUPPLY] = melt if warm else zero
    for i in range(n):
        snow, rain, a = w[i + SNOW], w[i + RAIN], w[i + A]
        cover = np.sqrt(snow * full)
        cover = cover if cover < one else one
        fallen = w[i + SNOWFALL] + cover * rain
        present = snow + a * fallen
        melt = w[i + SUPPLY]
        melt = melt if melt < present else present
        bare_rain = (one - cover) * rain
        losses = (
            (one - a) * fallen + (one - w[i + C]) * melt + (one - w[i + D]) * bare_rain
        )
        w[i + SNOW] = present - melt
        w[i + SUPPLY] = w[i + C] * melt + w[i + D] * bare_rain
        w[i + LOSSES] = losses
        w[i + BALANCE] = rain + w[i + SNOWFALL] - losses - (w[i + SNOW] - snow)


@_compiled
def _thaw(w, n, frost_width):
    """Share of the ground that takes water because it is not frozen."""
    real = w.dtype.type
    zero, one, melting = real(0.0), real(1.0), real(ZERO_CELSIUS)
    if frost_width > zero:
        # Beyond this the share is 2e-9 or 4e-18: nothing in either precision.
        end = real(20.0) if w.itemsize == 4 else real(40.0)
        for i in range(n):
            x = (melting - w[i + TEMPERATURE]) / frost_width
            x = x if x < end else end
            x = x if x > -end else -end
            w[i + THAW] = one / (one + exponential(x))
    else:
        for i in range(n):
            w[i + THAW] = one if w[i + TEMPERATURE] > melting else zero


@_compiled
def _growth(x, end):
    """Return exp(x), x cut to -end ... end."""
    x = x if x < end else end
    x = x if x > -end else -end
    return exponential(x)


@_compiled
def _infiltrate(w, n, implicit):
    """Empty the wetland, and part the supply into infiltration and what is refused."""
    real = w.dtype.type
    zero, one, end = real(0.0), real(1.0), real(LOGISTIC_LIMIT)
    damped = one if implicit else zero
    for i in range(n):
        release = w[i + OMEGA] * w[i + WETLAND]
        release = release / (one + damped * w[i + OMEGA])
        w[i + WETLAND] -= release
        w[i + BALANCE] += release
        w[i + SUPPLY] += release
    for i in range(n):
        x = w[i + K2] * (w[i + SUPPLY] - w[i + PS])
        w[i + THAW] = w[i + THAW] / (one + _growth(x, end))
    if implicit:
        for i in range(n):
            soil, supply, e = w[i + SOIL], w[i + SUPPLY], w[i + E]
            k_1, y_0 = w[i + K1], w[i + Y0]
            filling = _growth(k_1 * (soil - w[i + YS]), end)
            share = w[i + THAW] / (one + filling)
            slope = -k_1 * filling / (one + filling) * share
            change = (share * supply - w[i + EVAPORATION] - e * (soil - y_0)) / (
                one + e - slope * supply
            )
            taken = share + slope * change
            taken = taken if taken > zero else zero
            taken = taken if taken < one else one
            w[i + INFILTRATION] = taken * supply
            w[i + DRAINAGE] = e * (soil + change - y_0)
    else:
        for i in range(n):
            soil = w[i + SOIL]
            filling = _growth(w[i + K1] * (soil - w[i + YS]), end)
            w[i + INFILTRATION] = w[i + THAW] / (one + filling) * w[i + SUPPLY]
            w[i + DRAINAGE] = w[i + E] * (soil - w[i + Y0])


@_compiled
def _drain(w, n, closed):
    """Take base runoff out of the deep store where there is one."""
    real = w.dtype.type
    one, empty = real(1.0), real(EMPTY)
    if closed:
        for i in range(n):
            deep, h, drainage = w[i + DEEP], w[i + H], w[i + DRAINAGE]
            drainage = drainage if drainage > -deep else -deep
            left = (deep + drainage) * h / (h + one)
            left = left if left > empty else real(0.0)
            w[i + DRAINAGE] = drainage
            w[i + BASE] = deep + drainage - left
            w[i + DEEP] = left
            w[i + BALANCE] -= left - deep
    else:
        for i in range(n):
            w[i + BASE] = w[i + H]


@_compiled
def _settle(w, n):
    """Soil, wetland and runoff at the end of the day; the day's ledger."""
    real = w.dtype.type
    zero, one, empty = real(0.0), real(1.0), real(EMPTY)
    for i in range(n):
        evaporation = w[i + EVAPORATION]
        refused = w[i + SUPPLY] - w[i + INFILTRATION]
        soil = w[i + SOIL]
        w[i + SOIL] = soil + w[i + INFILTRATION] - evaporation - w[i + DRAINAGE]
        wetland = w[i + WETLAND]
        filled = wetland + (one - w[i + SHARE]) * refused
        filled = filled if filled > empty else zero
        w[i + WETLAND] = filled
        w[i + RUNOFF] = w[i + SHARE] * refused + w[i + BASE]
        w[i + EVAPORATION] = evaporation + w[i + LOSSES]
        change = (w[i + SOIL] - soil) + (filled - wetland)
        w[i + RESIDUAL] += w[i + BALANCE] - evaporation - w[i + RUNOFF] - change
        w[i + TOTAL_SOIL] = w[i + SOIL] + w[i + REFERENCE]


@_compiled
def run_blocks(
    first_block,
    last_block,
    active,
    weather,
    per_day,
    per_unit,
    limits,
    months,
    parameters,
    share,
    reference,
    implicit,
    closed,
    frost_width,
    snow_depth,
    state,
    outputs,
    residual,
    strange,
):
    """Run some blocks of the active cells through all days; see `kernel.simulate`.

    The rows of `months` are stretches of days of one month: first day, day after the
    last, month.
    """
    rain, snowfall, temperature, humidity, pressure = weather
    snow, soil, wetland, runoff, evaporation = outputs
    real = state.dtype.type
    one = real(1.0)
    for block in range(first_block, last_block):
        cells = active[block * LANES : (block + 1) * LANES]
        n = (cells.size + FULL - 1) // FULL * FULL
        w = np.zeros(ROWS * LANES, state.dtype)
        w[TEMPERATURE : TEMPERATURE + LANES] = real(280.0)
        w[PRESSURE : PRESSURE + LANES] = real(1e5)
        for store in range(4):
            _bring(w, SNOW + store * LANES, state[store], cells, one)
        _bring(w, SHARE, share, cells, one)
        _bring(w, REFERENCE, reference, cells, one)
        for k in range(months.shape[0]):
            for p in range(N_PARAMETERS):
                _bring(w, p * LANES, parameters[p, months[k, 2]], cells, one)
            for day in range(months[k, 0], months[k, 1]):
                _bring(w, RAIN, rain[day], cells, per_day)
                _bring(w, SNOWFALL, snowfall[day], cells, per_day)
                _bring(w, TEMPERATURE, temperature[day], cells, one)
                _bring(w, HUMIDITY, humidity[day], cells, one)
                _bring(w, PRESSURE, pressure[day], cells, one)
                _look(w, n, limits)
                _evaporate(w, n, snow_depth)
                _melt(w, n)
                _thaw(w, n, frost_width)
                _infiltrate(w, n, implicit)
                _drain(w, n, closed)
                _settle(w, n)
                _take(w, SNOW, snow[day], cells, one)
                _take(w, TOTAL_SOIL, soil[day], cells, one)
                _take(w, WETLAND, wetland[day], cells, one)
                _take(w, RUNOFF, runoff[day], cells, per_unit)
                if evaporation.shape[0]:
                    _take(w, EVAPORATION, evaporation[day], cells, per_unit)
        for store in range(4):
            _take(w, SNOW + store * LANES, state[store], cells, one)
        _take(w, RESIDUAL, residual, cells, one)
        _take(w, STRANGE, strange, cells, one)
