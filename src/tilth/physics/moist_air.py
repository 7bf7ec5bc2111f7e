"""Moist air: saturation, humidity, density and the wet bulb."""

from __future__ import annotations

from typing import Any, Literal

from tilth.core.accelerate import jnp
from tilth.core.constants import (
    GAS_CONSTANT_DRY_AIR,
    GAS_CONSTANT_WATER_VAPOUR,
    HEAT_CAPACITY_AIR,
    LATENT_HEAT_VAPORIZATION,
    ZERO_CELSIUS,
)

Array = Any

#: Ratio of the molar masses of water and dry air, from the two gas constants.
MASS_RATIO = GAS_CONSTANT_DRY_AIR / GAS_CONSTANT_WATER_VAPOUR

#: Saturation vapour pressure at 0 degC of Magnus' formula, Pa. WMO-No. 8 (2018).
_AT_ZERO = 611.2

#: Factor and offset (degC) of Magnus' formula. WMO-No. 8 (2018), annex 4.B.
_MAGNUS = {"water": (17.62, 243.12), "ice": (22.46, 272.62)}

#: Fall of the latent heat of vaporization with temperature, J kg-1 K-1. Stull (1988).
_LATENT_HEAT_SLOPE = 2370.0

#: The formula has a pole far below any air temperature: it is held constant beyond
#: these limits, degC, so that a bad iterate of a solver cannot reach it.
_COLDEST, _HOTTEST = -150.0, 150.0


def _celsius(temperature: Array) -> Array:
    return jnp.clip(jnp.asarray(temperature) - ZERO_CELSIUS, _COLDEST, _HOTTEST)


def saturation_vapour_pressure(
    temperature: Array, *, over: Literal["water", "ice"] = "water"
) -> Array:
    r"""Saturation vapour pressure over a plane of pure water or ice.

    .. math:: e_s = 611.2 \exp\frac{a\,t}{b + t},

    with a = 17.62, b = 243.12 degC over water and a = 22.46, b = 272.62 degC over
    ice: both give 611.2 Pa at 0 degC, so that nothing jumps at the freezing point.

    Parameters
    ----------
    temperature : array_like
        Temperature in K; -45 to 60 degC over water, -65 to 0 degC over ice.
    over : {"water", "ice"}
        The phase.

    Returns
    -------
    jax.Array
        Pa.

    References
    ----------
    WMO-No. 8 (2018), Guide to Instruments and Methods of Observation, annex 4.B.

    Examples
    --------
    >>> round(float(saturation_vapour_pressure(293.15)), 1)
    2332.6
    """
    factor, offset = _MAGNUS[over]
    t = _celsius(temperature)
    return _AT_ZERO * jnp.exp(factor * t / (offset + t))


def _vapour_pressure_slope(temperature: Array, over: Literal["water", "ice"]) -> Array:
    factor, offset = _MAGNUS[over]
    t = _celsius(temperature)
    return saturation_vapour_pressure(temperature, over=over) * (
        factor * offset / (offset + t) ** 2
    )


def specific_humidity(vapour_pressure: Array, pressure: Array) -> Array:
    r"""Specific humidity of air that holds a given vapour pressure.

    .. math:: q = \frac{\varepsilon e}{p - (1 - \varepsilon) e}

    Parameters
    ----------
    vapour_pressure, pressure : array_like
        Pa; a vapour pressure above `pressure` counts as `pressure` (boiling).

    Returns
    -------
    jax.Array
        kg of vapour per kg of moist air.
    """
    e = jnp.minimum(vapour_pressure, pressure)
    return MASS_RATIO * e / (pressure - (1.0 - MASS_RATIO) * e)


def vapour_pressure(specific_humidity: Array, pressure: Array) -> Array:
    r"""Vapour pressure of air: the inverse of `specific_humidity`.

    .. math:: e = \frac{p\,q}{\varepsilon + (1 - \varepsilon) q}

    Parameters
    ----------
    specific_humidity : array_like
        kg kg-1.
    pressure : array_like
        Pa.

    Returns
    -------
    jax.Array
        Pa.
    """
    q = jnp.asarray(specific_humidity)
    return pressure * q / (MASS_RATIO + (1.0 - MASS_RATIO) * q)


def saturation_specific_humidity(
    temperature: Array, pressure: Array, *, over: Literal["water", "ice"] = "water"
) -> Array:
    """Specific humidity of saturated air.

    Parameters
    ----------
    temperature : array_like
        K.
    pressure : array_like
        Pa.
    over : {"water", "ice"}
        The phase.

    Returns
    -------
    jax.Array
        kg kg-1.

    Examples
    --------
    >>> round(float(saturation_specific_humidity(293.15, 101325.0)), 5)
    0.01444
    """
    return specific_humidity(
        saturation_vapour_pressure(temperature, over=over), pressure
    )


def saturation_slope(
    temperature: Array, pressure: Array, *, over: Literal["water", "ice"] = "water"
) -> Array:
    r"""Slope of the saturation specific humidity with temperature.

    .. math::
        \frac{dq^*}{dT} = \frac{\varepsilon p}{[p - (1 - \varepsilon) e_s]^2}
        \frac{de_s}{dT}

    Parameters
    ----------
    temperature : array_like
        K.
    pressure : array_like
        Pa.
    over : {"water", "ice"}
        The phase.

    Returns
    -------
    jax.Array
        kg kg-1 K-1; zero where the water would boil.
    """
    e = saturation_vapour_pressure(temperature, over=over)
    boils = e >= pressure
    room = pressure - (1.0 - MASS_RATIO) * jnp.where(boils, 0.0, e)
    slope = MASS_RATIO * pressure / room**2 * _vapour_pressure_slope(temperature, over)
    return jnp.where(boils, 0.0, slope)


def dew_point(vapour_pressure: Array) -> Array:
    r"""Temperature at which air of a given vapour pressure is saturated over water.

    .. math:: t_d = \frac{b \ln(e/611.2)}{a - \ln(e/611.2)}

    Parameters
    ----------
    vapour_pressure : array_like
        Pa; at least 1e-6, which stands for dry air.

    Returns
    -------
    jax.Array
        K.
    """
    factor, offset = _MAGNUS["water"]
    logarithm = jnp.log(jnp.maximum(vapour_pressure, 1e-6) / _AT_ZERO)
    return ZERO_CELSIUS + offset * logarithm / (factor - logarithm)


def air_density(
    temperature: Array, pressure: Array, specific_humidity: Array = 0.0
) -> Array:
    r"""Density of moist air, as an ideal gas.

    .. math:: \rho = \frac{p}{R_d T [1 + (1/\varepsilon - 1) q]}

    Parameters
    ----------
    temperature : array_like
        K.
    pressure : array_like
        Pa.
    specific_humidity : array_like
        kg kg-1.

    Returns
    -------
    jax.Array
        kg m-3.

    Examples
    --------
    >>> round(float(air_density(288.15, 101325.0)), 3)
    1.225
    """
    virtual = jnp.asarray(temperature) * (
        1.0 + (1.0 / MASS_RATIO - 1.0) * jnp.asarray(specific_humidity)
    )
    return pressure / (GAS_CONSTANT_DRY_AIR * virtual)


def latent_heat_of_vaporization(temperature: Array) -> Array:
    r"""Latent heat of vaporization, falling with temperature as Kirchhoff's law asks.

    .. math:: L = 2.501\times10^6 - 2370\,t

    Models that move water of 0 degC only use the constant
    `tilth.core.constants.LATENT_HEAT_VAPORIZATION` instead, so that energy closes.

    Parameters
    ----------
    temperature : array_like
        K.

    Returns
    -------
    jax.Array
        J kg-1.

    References
    ----------
    Stull (1988), An Introduction to Boundary Layer Meteorology, appendix C.
    """
    return LATENT_HEAT_VAPORIZATION - _LATENT_HEAT_SLOPE * _celsius(temperature)


def psychrometric_constant(
    pressure: Array, latent_heat: Array = LATENT_HEAT_VAPORIZATION
) -> Array:
    r"""Vapour pressure that balances a kelvin of a ventilated wet bulb.

    .. math:: \gamma = \frac{c_p\,p}{\varepsilon L}

    Parameters
    ----------
    pressure : array_like
        Pa.
    latent_heat : array_like
        J kg-1; of sublimation over ice.

    Returns
    -------
    jax.Array
        Pa K-1.
    """
    return HEAT_CAPACITY_AIR * jnp.asarray(pressure) / (MASS_RATIO * latent_heat)


def wet_bulb_temperature(
    temperature: Array, specific_humidity: Array, pressure: Array
) -> Array:
    r"""Temperature of a ventilated wet bulb over liquid water.

    Solves :math:`c_p (T - T_w) = L [q^*(T_w) - q]` by Newton's method. The difference
    of the two sides is monotone and convex in T_w, so the iteration approaches the
    root from the air temperature without passing it.

    Parameters
    ----------
    temperature : array_like
        Air temperature in K.
    specific_humidity : array_like
        kg kg-1; above saturation counts as saturation.
    pressure : array_like
        Pa.

    Returns
    -------
    jax.Array
        K, to 1e-6 K below 45 degC; never above the air temperature.

    References
    ----------
    Stull (2000), Meteorology for Scientists and Engineers, ch. 5.
    """
    air = jnp.asarray(temperature)
    saturated = saturation_specific_humidity(air, pressure)
    q = jnp.minimum(specific_humidity, saturated)
    ratio = LATENT_HEAT_VAPORIZATION / HEAT_CAPACITY_AIR
    wet = air
    for _ in range(6):
        excess = wet - air + ratio * (saturation_specific_humidity(wet, pressure) - q)
        wet = wet - excess / (1.0 + ratio * saturation_slope(wet, pressure))
    return wet
