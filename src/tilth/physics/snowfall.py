"""Snow or rain: which share of precipitation reaches the ground frozen."""

from __future__ import annotations

from typing import Any

from tilth.core.accelerate import jnp
from tilth.core.constants import ZERO_CELSIUS
from tilth.physics.moist_air import wet_bulb_temperature

Array = Any


def snow_share(temperature: Array, specific_humidity: Array, pressure: Array) -> Array:
    r"""Share of snow in precipitation, by the wet-bulb temperature.

    .. math:: f_{snow} = [1 + 6.99 \times 10^{-5} e^{2.0 (T_w + 3.97)}]^{-1},
        \quad T_w \text{ in °C}.

    Parameters
    ----------
    temperature, specific_humidity, pressure : array_like
        K, kg kg-1 and Pa.

    Returns
    -------
    jax.Array
        Between 0 and 1.

    References
    ----------
    Wang et al. (2019), Geophysical Research Letters 46, 13825-13835, eq. 1.

    Examples
    --------
    >>> snow_share([260.0, 300.0], [1e-3, 1e-3], 1e5).round(3).tolist()
    [1.0, 0.0]
    """
    wet_bulb = wet_bulb_temperature(
        jnp.asarray(temperature), jnp.asarray(specific_humidity), jnp.asarray(pressure)
    )
    degrees = jnp.clip(wet_bulb - ZERO_CELSIUS, -30.0, 30.0)
    return 1.0 / (1.0 + 6.99e-5 * jnp.exp(2.0 * (degrees + 3.97)))
