r"""One day of the emulator and its exact derivatives, compiled for the fits.

The equations are those of `tilth.land.emulator.equations`, for one column and in plain
numbers. `differentiate_day` gives, beside the new state, the Jacobian of

.. math:: (S', y', W', D', R)
          \quad\text{by}\quad (S, y, W, D) \quad\text{and}\quad \theta ,

written out by hand: the four exponentials of a day serve its value and all of its
nineteen derivatives, which is what makes a Gauss-Newton step cost two runs and not
twenty. What does not depend on parameters (thawed share, saturation deficit) is
computed once per series by `weather_table`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

from tilth.core.accelerate import jnp
from tilth.core.constants import ZERO_CELSIUS
from tilth.land.emulator.equations import (
    FULL_COVER,
    LOGISTIC_LIMIT,
    NO_SNOW,
    Forcing,
    Variant,
    saturation_humidity,
)

#: Columns of the weather table.
RAIN, SNOWFALL, TEMPERATURE, THAWED, DEFICIT = range(5)

#: Rows of the local Jacobian.
SNOW, SOIL, WETLAND, DEEP, RUNOFF = range(5)

# Two derivatives grow without limit at the edge of their switch: that of the snow
# cover at no snow and that of the melt at its threshold. One such day would rule the
# step of a whole month, so they are held at their value this far from the edge.
_LEAST_SNOW = 1e-4  # mm
_LEAST_EXCESS = 0.02  # K

#: How the kernels are compiled: multiply-add in one step, nothing else relaxed, so
#: that a result depends neither on the machine's load nor on how cells are grouped.
COMPILED: dict[str, Any] = {
    "cache": True,
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"contract"},
}


def weather_table(forcing: Forcing, variant: Variant) -> np.ndarray:
    """Return what the equations need of the weather, shape (..., time, 5).

    Parameters
    ----------
    forcing : Forcing
        Fields (..., time), units of `tilth.land.emulator.equations.Forcing`.
    variant : Variant
        Form of the equations.

    Returns
    -------
    ndarray
        Rain and snowfall (mm day-1), temperature (K), thawed share (0 to 1) and
        saturation deficit (kg kg-1), in the order of the column constants.
    """
    fields = [np.asarray(field, float) for field in forcing]
    rain, snowfall, temperature, humidity, pressure = fields
    saturated = saturation_humidity(jnp.asarray(temperature), jnp.asarray(pressure))
    deficit = np.asarray(saturated) - humidity
    if variant.snow_depth:
        deficit = np.maximum(deficit, 0.0)
    celsius = temperature - ZERO_CELSIUS
    if variant.frost_width:
        thawed = 1.0 / (1.0 + np.exp(-celsius / variant.frost_width))
    else:
        thawed = np.where(celsius > 0.0, 1.0, 0.0)
    return np.ascontiguousarray(
        np.stack([rain, snowfall, temperature, thawed, deficit], axis=-1)
    )


def variant_switches(variant: Variant) -> tuple[bool, bool, float]:
    """Return what the compiled functions need to know of a variant."""
    return variant.implicit, variant.closed, variant.snow_depth


@njit(inline="always", **COMPILED)
def _growth(exponent):
    """Return exp of an exponent cut at the limit, and whether it was not cut."""
    if exponent > LOGISTIC_LIMIT:
        return math.exp(LOGISTIC_LIMIT), 0.0
    if exponent < -LOGISTIC_LIMIT:
        return math.exp(-LOGISTIC_LIMIT), 0.0
    return math.exp(exponent), 1.0


@njit(inline="always", **COMPILED)
def advance_day(snow, soil, wetland, deep, weather, theta, share, switches):
    """Return snow, soil, wetland, deep store and total runoff after one day."""
    implicit, closed, snow_depth = switches
    rain, snowfall, temperature = weather[RAIN], weather[SNOWFALL], weather[TEMPERATURE]
    cover = 0.0
    if snow > 0.0:
        cover = min(math.sqrt(snow / FULL_COVER), 1.0)
    available = snow + theta[0] * (snowfall + cover * rain)
    melt = 0.0
    if temperature > theta[2] and available > 0.0:
        melt = min(theta[1] * (temperature - theta[2]) ** theta[3], available)

    release = theta[6] * wetland
    if implicit:
        release /= 1.0 + theta[6]
    supply = theta[4] * melt + theta[5] * (1.0 - cover) * rain + release

    evaporation = 0.0
    if snow_depth > 0.0:
        if snow < 40.0 * snow_depth:
            evaporation = theta[7] * weather[DEFICIT] * math.exp(-snow / snow_depth)
    elif snow < NO_SNOW:
        evaporation = theta[7] * weather[DEFICIT]

    filling, _ = _growth(theta[11] * (soil - theta[12]))
    heavy, _ = _growth(theta[13] * (supply - theta[14]))
    taken = weather[THAWED] / ((1.0 + filling) * (1.0 + heavy))
    drainage = theta[8] * (soil - theta[9])
    if implicit:
        slope = -theta[11] * filling / (1.0 + filling) * taken
        change = (taken * supply - evaporation - drainage) / (
            1.0 + theta[8] - slope * supply
        )
        taken = min(max(taken + slope * change, 0.0), 1.0)
        drainage = theta[8] * (soil + change - theta[9])
    infiltration = taken * supply
    base = theta[10]
    if closed:
        drainage = max(drainage, -deep)
        base = (deep + drainage) / (theta[10] + 1.0)
        deep = deep + drainage - base
    refused = supply - infiltration
    return (
        available - melt,
        soil + infiltration - evaporation - drainage,
        wetland - release + (1.0 - share) * refused,
        deep,
        share * refused + base,
    )


@njit(**COMPILED)
def differentiate_day(
    snow, soil, wetland, deep, weather, theta, share, switches, by_state, by_theta
):
    """Advance by one day and fill the local Jacobian.

    Parameters
    ----------
    snow, soil, wetland, deep : float
        State at the start, mm.
    weather : ndarray, shape (5,)
        Row of the weather table.
    theta : ndarray, shape (15,)
        Parameters of the month.
    share : float
        Runoff share alpha.
    switches : tuple
        Of `variant_switches`.
    by_state : ndarray, shape (5, 4)
        Filled with d(S', y', W', D', R) / d(S, y, W, D).
    by_theta : ndarray, shape (5, 16)
        Filled with the derivatives by the parameters and, last, by alpha.

    Returns
    -------
    tuple of float
        As `advance_day`.
    """
    implicit, closed, snow_depth = switches
    rain, snowfall, temperature = weather[RAIN], weather[SNOWFALL], weather[TEMPERATURE]
    k_1, y_star, k_2, p_star = theta[11], theta[12], theta[13], theta[14]
    e, h = theta[8], theta[10]

    # Snow: available water, melt, and what is left.
    cover, cover_s = 0.0, 0.0
    if snow > 0.0:
        cover = math.sqrt(snow / FULL_COVER)
        if cover < 1.0:
            cover_s = 0.5 / math.sqrt(max(snow, _LEAST_SNOW) * FULL_COVER)
        else:
            cover = 1.0
    fallen = snowfall + cover * rain
    available = snow + theta[0] * fallen
    available_s = 1.0 + theta[0] * rain * cover_s
    melt, melt_s, melt_a, melt_b, melt_t, melt_x = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if temperature > theta[2] and available > 0.0:
        excess = temperature - theta[2]
        logarithm = math.log(excess)
        power = math.exp(theta[3] * logarithm)
        melt = theta[1] * power
        if melt < available:
            melt_b = power
            melt_t = -melt * theta[3] / max(excess, _LEAST_EXCESS)
            melt_x = melt * logarithm
        else:
            melt, melt_s, melt_a = available, available_s, fallen

    # Supply: melt, rain on bare ground and release of the wetland.
    rate, rate_omega = theta[6], 1.0
    if implicit:
        rate_omega = 1.0 / ((1.0 + theta[6]) * (1.0 + theta[6]))
        rate = theta[6] / (1.0 + theta[6])
    release, release_omega = rate * wetland, rate_omega * wetland
    bare_rain = (1.0 - cover) * rain
    supply = theta[4] * melt + theta[5] * bare_rain + release
    supply_s = theta[4] * melt_s - theta[5] * cover_s * rain

    evaporation, evaporation_s, demand = 0.0, 0.0, 0.0
    if snow_depth > 0.0:
        if snow < 40.0 * snow_depth:
            demand = weather[DEFICIT] * math.exp(-snow / snow_depth)
            evaporation = theta[7] * demand
            evaporation_s = -evaporation / snow_depth
    elif snow < NO_SNOW:
        demand = weather[DEFICIT]
        evaporation = theta[7] * demand

    # Infiltration and drainage, and their derivatives by supply u, soil y,
    # evaporation v and k_1, y_star, k_2, p_star, e, y_0.
    filling, live_1 = _growth(k_1 * (soil - y_star))
    heavy, live_2 = _growth(k_2 * (supply - p_star))
    full, flood = filling / (1.0 + filling), heavy / (1.0 + heavy)
    taken = weather[THAWED] / ((1.0 + filling) * (1.0 + heavy))
    by_1 = -taken * full * live_1  # d taken / d exponent 1
    by_2 = -taken * flood * live_2
    drainage = e * (soil - theta[9])
    if implicit:
        slope = -k_1 * full * taken
        slope_1 = -k_1 * full * taken * (1.0 - 2.0 * full) * live_1
        slope_2 = -k_1 * full * by_2
        below = 1.0 / (1.0 + e - slope * supply)
        change = (taken * supply - evaporation - drainage) * below
        # d change = below [supply dtaken + (taken + change slope) du - dv - de (y - y0)
        #                   - e dy + e dy0 - change de + change supply dslope]
        c_1 = below * supply * (by_1 + change * slope_1)
        c_2 = below * supply * (by_2 + change * slope_2)
        c_u = below * (taken + change * slope)
        c_k = below * supply * change * (-full * taken)
        raw = taken + slope * change
        inside = 1.0 if 0.0 < raw < 1.0 else 0.0
        raw_1 = inside * (by_1 + slope_1 * change + slope * c_1)
        raw_2 = inside * (by_2 + slope_2 * change + slope * c_2)
        raw_u = inside * slope * c_u
        raw_k = inside * (-full * taken * change + slope * c_k)
        raw_v = -inside * slope * below
        c_e = -below * (soil - theta[9] + change)
        taken = min(max(raw, 0.0), 1.0)
        i_u = taken + supply * (raw_u + raw_2 * k_2)
        i_y = supply * (raw_1 * k_1 + raw_v * e)
        i_v = supply * raw_v
        i_k1 = supply * (raw_1 * (soil - y_star) + raw_k)
        i_ys = -supply * raw_1 * k_1
        i_k2 = supply * raw_2 * (supply - p_star)
        i_ps = -supply * raw_2 * k_2
        i_e = supply * inside * slope * c_e
        i_y0 = -supply * raw_v * e
        drainage = e * (soil + change - theta[9])
        d_u = e * (c_u + c_2 * k_2)
        d_y = e * (1.0 + c_1 * k_1 - below * e)
        d_v = -e * below
        d_k1 = e * (c_1 * (soil - y_star) + c_k)
        d_ys = -e * c_1 * k_1
        d_k2 = e * c_2 * (supply - p_star)
        d_ps = -e * c_2 * k_2
        d_e = soil + change - theta[9] + e * c_e
        d_y0 = e * (below * e - 1.0)
    else:
        i_u = taken + supply * by_2 * k_2
        i_y = supply * by_1 * k_1
        i_k1 = supply * by_1 * (soil - y_star)
        i_ys = -i_y
        i_k2 = supply * by_2 * (supply - p_star)
        i_ps = -supply * by_2 * k_2
        i_v, i_e, i_y0 = 0.0, 0.0, 0.0
        d_u, d_v, d_k1, d_ys, d_k2, d_ps = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        d_y, d_e, d_y0 = e, soil - theta[9], -e
    infiltration = taken * supply

    base, base_d, base_deep, base_h, d_deep = h, 0.0, 0.0, 1.0, 0.0
    deep_end, deep_d, deep_deep, deep_h = deep, 0.0, 1.0, 0.0
    if closed:
        if drainage < -deep:
            drainage, d_deep = -deep, -1.0
            d_u, d_y, d_v, d_k1, d_ys = 0.0, 0.0, 0.0, 0.0, 0.0
            d_k2, d_ps, d_e, d_y0 = 0.0, 0.0, 0.0, 0.0
        base_d = 1.0 / (h + 1.0)
        base = (deep + drainage) * base_d
        base_deep, base_h = base_d, -base * base_d
        deep_end = deep + drainage - base
        deep_d, deep_deep, deep_h = 1.0 - base_d, 1.0 - base_d, -base_h
    refused = supply - infiltration

    # One column per direct cause: how it changes snow, supply u, evaporation v,
    # infiltration and drainage; the stores follow from these.
    for j in range(20):
        s, u, v, i, d, r = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
        if j == 0:  # snow
            s, u, v = available_s - melt_s, supply_s, evaporation_s
        elif j == 1:  # soil
            i, d = i_y, d_y
        elif j == 2:  # wetland
            u, r = rate, rate
        elif j == 3:  # deep
            d = d_deep
        elif j == 4:
            s, u = fallen - melt_a, theta[4] * melt_a
        elif j == 5:
            s, u = -melt_b, theta[4] * melt_b
        elif j == 6:
            s, u = -melt_t, theta[4] * melt_t
        elif j == 7:
            s, u = -melt_x, theta[4] * melt_x
        elif j == 8:
            u = melt
        elif j == 9:
            u = bare_rain
        elif j == 10:
            u, r = release_omega, release_omega
        elif j == 11:
            v = demand
        elif j == 12:
            i, d = i_e, d_e
        elif j == 13:
            i, d = i_y0, d_y0
        elif j == 15:
            i, d = i_k1, d_k1
        elif j == 16:
            i, d = i_ys, d_ys
        elif j == 17:
            i, d = i_k2, d_k2
        elif j == 18:
            i, d = i_ps, d_ps
        i += i_u * u + i_v * v
        d += d_u * u + d_v * v
        y = i - v - d
        w = (1.0 - share) * (u - i) - r
        p = deep_d * d
        q = share * (u - i) + base_d * d
        if j == 1:
            y += 1.0
        elif j == 2:
            w += 1.0
        elif j == 3:
            p += deep_deep
            q += base_deep
        elif j == 14:
            p += deep_h
            q += base_h
        elif j == 19:
            w -= refused
            q += refused
        out, k = (by_state, j) if j < 4 else (by_theta, j - 4)
        out[SNOW, k], out[SOIL, k], out[WETLAND, k] = s, y, w
        out[DEEP, k], out[RUNOFF, k] = p, q
    return (
        available - melt,
        soil + infiltration - evaporation - drainage,
        wetland - release + (1.0 - share) * refused,
        deep_end,
        share * refused + base,
    )
