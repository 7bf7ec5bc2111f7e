"""Stomatal conductance: three closures, each with the air at the leaf surface given.

A closure says how far stomata open for the carbon they admit. Conductances are for
water vapour, in mol m-2 s-1 of leaf. `tilth.physics.gas_exchange` solves a closure
together with photosynthesis and the leaf boundary layer.
"""

from __future__ import annotations

from typing import Any

from tilth.core.accelerate import jnp

Array = Any

#: Diffusivity of water vapour over that of CO2 in stomata (molecular diffusion).
#: Collatz et al. (1991); Medlyn et al. (2011).
RATIO_STOMATA = 1.6

#: Leaf-to-air vapour pressure deficit below which Medlyn's closure is not fitted, Pa.
#: Half of the 0.1 kPa of fitting practice; CLM5 (Lawrence et al. 2019) takes 50 Pa.
SMALLEST_DEFICIT = 50.0


def ball_berry(
    assimilation: Array,
    surface_co2: Array,
    relative_humidity: Array,
    *,
    slope: Array,
    intercept: Array,
) -> Array:
    r"""Stomatal conductance after Ball, Woodrow and Berry.

    .. math:: g_s = g_0 + m \frac{A\,h_s}{C_s}

    Parameters
    ----------
    assimilation : array_like
        Net assimilation in mol m-2 s-1; stomata do not follow a negative one.
    surface_co2 : array_like
        CO2 at the leaf surface, mol mol-1.
    relative_humidity : array_like
        Humidity at the leaf surface relative to saturation at leaf temperature, 0-1.
    slope : array_like
        m, dimensionless; about 9 for C3 and 4 for C4 plants.
    intercept : array_like
        g0, mol m-2 s-1.

    Returns
    -------
    jax.Array
        mol m-2 s-1, for water vapour.

    References
    ----------
    Ball, Woodrow & Berry (1987), Progress in Photosynthesis Research IV, 221-224.
    """
    carbon = jnp.maximum(assimilation, 0.0) / surface_co2
    return intercept + slope * carbon * relative_humidity


def leuning(
    assimilation: Array,
    surface_co2: Array,
    deficit: Array,
    *,
    slope: Array,
    intercept: Array,
    compensation: Array = 0.0,
    deficit_scale: Array = 1500.0,
) -> Array:
    r"""Stomatal conductance after Leuning.

    .. math:: g_s = g_0 + \frac{a_1 A}{(C_s - \Gamma)(1 + D_s/D_0)}

    Parameters
    ----------
    assimilation : array_like
        Net assimilation in mol m-2 s-1; stomata do not follow a negative one.
    surface_co2 : array_like
        CO2 at the leaf surface, mol mol-1.
    deficit : array_like
        Vapour pressure deficit at the leaf surface, Pa.
    slope : array_like
        a1, dimensionless.
    intercept : array_like
        g0, mol m-2 s-1.
    compensation : array_like
        CO2 compensation point, mol mol-1.
    deficit_scale : array_like
        D0, Pa; 1500 in CABLE (Kowalczyk et al. 2006).

    Returns
    -------
    jax.Array
        mol m-2 s-1, for water vapour.

    References
    ----------
    Leuning (1995), Plant Cell Environ. 18, 339-355.
    """
    carbon = jnp.maximum(assimilation, 0.0) / (surface_co2 - compensation)
    return intercept + slope * carbon / (1.0 + jnp.asarray(deficit) / deficit_scale)


def medlyn(
    assimilation: Array,
    surface_co2: Array,
    deficit: Array,
    *,
    slope: Array,
    intercept: Array,
    exponent: Array = 0.5,
) -> Array:
    r"""Stomatal conductance after Medlyn et al., the full form.

    .. math:: g_s = g_0 + 1.6 \left(1 + \frac{g_1}{D^{1-k}}\right) \frac{A}{C_a}

    Parameters
    ----------
    assimilation : array_like
        Net assimilation in mol m-2 s-1; stomata do not follow a negative one.
    surface_co2 : array_like
        CO2 at the leaf surface, mol mol-1.
    deficit : array_like
        Leaf-to-air vapour pressure deficit, Pa; less than 50 counts as 50.
    slope : array_like
        g1 in kPa^(1-k), as the literature prints it (the deficit is converted).
    intercept : array_like
        g0, mol m-2 s-1.
    exponent : array_like
        k, 0.5 for the optimal stomata of the paper.

    Returns
    -------
    jax.Array
        mol m-2 s-1, for water vapour.

    References
    ----------
    Medlyn et al. (2011), Global Change Biol. 17, 2134-2144, eq. 11; the exponent of
    Duursma et al. (2013), Agric. For. Meteorol. 182-183, 204-214.
    """
    kilopascal = jnp.maximum(deficit, SMALLEST_DEFICIT) / 1000.0
    opening = 1.0 + slope / kilopascal ** (1.0 - jnp.asarray(exponent))
    carbon = jnp.maximum(assimilation, 0.0) / surface_co2
    return intercept + RATIO_STOMATA * opening * carbon
