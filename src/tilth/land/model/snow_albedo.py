"""Albedo of snow: it darkens as it ages, and fresh snow makes it bright again."""

from __future__ import annotations

import numpy as np

from tilth.core.accelerate import jnp
from tilth.core.constants import ZERO_CELSIUS

#: Albedo of fresh snow in visible, near-infrared and thermal light (MATSIRO6).
FRESH = np.array([0.9, 0.7, 0.01])

#: Albedo of old snow in the same bands (MATSIRO6; the first version had 0.4 in the
#: visible).
OLD = np.array([0.65, 0.2, 0.1])

#: Rate of ageing by dirt and soot, against grain growth at the melting point.
DIRT = 0.3

#: The same on an ice sheet.
DIRT_ICE_SHEET = 0.01

#: Snowfall that makes the surface new, kg m-2 (BATS: Dickinson et al. 1993; Yang et
#: al. 1997).
REFRESH = 10.0

#: Time scale of ageing, s, and temperature scale of vapour between grains, K.
_AGEING_TIME = 1e6
_AGEING_TEMPERATURE = 5000.0

#: Oldest snow, as a share of the way from fresh to old.
_OLDEST = 0.999


def age(
    albedo,
    temperature,
    mass,
    snowfall,
    dt,
    *,
    fresh=FRESH,
    old=OLD,
    dirt=DIRT,
    refresh=REFRESH,
):
    r"""Albedo of snow after one step of ageing and snowfall.

    The albedo in the visible tells the age G, by :math:`x = G / (1 + G)` on the way x
    from fresh to old. It grows with the vapour between the grains, with melt water
    and with dirt,

    .. math::

        \frac{dG}{dt} = \frac{f + f^{10} + r}{\tau}, \quad
        f = \exp\left[5000 \left(\frac{1}{T_0} - \frac{1}{T}\right)\right] ,

    and all bands move to the new x; then snowfall P moves them towards fresh snow by
    the share :math:`\min[P \Delta t / \min(P_c, S), 1]`: snow S that has just fallen
    on bare ground is fresh, however thin, and so is the albedo kept where there is
    none.

    Parameters
    ----------
    albedo : array_like
        Of the snow in the three bands; shape (3, n).
    temperature : array_like
        Of the top layer of the snow, in K; shape (n,).
    mass : array_like
        Snow mass S after the step, in kg m-2; shape (n,).
    snowfall : array_like
        In the step, in kg m-2 s-1, same area as `mass`; shape (n,).
    dt : float
        Time step, in s.
    fresh, old : array_like, optional
        Albedo of fresh and old snow; shape (3,).
    dirt : float or array_like, optional
        Ageing r by dirt; `DIRT_ICE_SHEET` on an ice sheet.
    refresh : float, optional
        Snowfall P_c that makes the surface new, in kg m-2.

    Returns
    -------
    jax.Array
        Albedo; shape (3, n).

    References
    ----------
    Yang et al. (1997), Journal of Climate 10, 353-373; Wiscombe & Warren (1980),
    Journal of the Atmospheric Sciences 37, 2712-2733.
    """
    albedo = jnp.asarray(albedo)
    fresh, old = (jnp.asarray(band)[:, None] for band in (fresh, old))
    way = (albedo[0] - fresh[0]) / (old[0] - fresh[0])
    way = jnp.clip(way, 0.0, _OLDEST)
    # Snow is never warmer than melting; a tile without snow may carry anything.
    warmth = 1.0 / ZERO_CELSIUS - 1.0 / jnp.clip(temperature, 100.0, ZERO_CELSIUS)
    growth = jnp.exp(_AGEING_TEMPERATURE * warmth)
    years = way / (1.0 - way) + (growth + growth**10 + dirt) * dt / _AGEING_TIME
    aged = fresh + years / (1.0 + years) * (old - fresh)
    there = jnp.asarray(mass) > 0.0
    enough = jnp.minimum(refresh, jnp.where(there, mass, 1.0))
    renewed = jnp.minimum(jnp.asarray(snowfall) * dt / enough, 1.0)
    renewed = jnp.where(there, renewed, 1.0)
    return aged + renewed * (fresh - aged)
