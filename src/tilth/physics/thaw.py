"""Thawing ground: degree-days, the layer they thaw, and how far its surface sinks."""

from __future__ import annotations

from typing import Any

from tilth.core.accelerate import jnp
from tilth.core.constants import (
    ICE_DENSITY,
    SECONDS_PER_DAY,
    WATER_DENSITY,
    ZERO_CELSIUS,
)
from tilth.core.errors import InputError
from tilth.physics.frozen_ground import stefan_depth

__all__ = [
    "active_layer_depth",
    "freeze_index",
    "pore_ice_subsidence",
    "thaw_index",
]

#: What water gains in volume as it freezes: 0.0905.
EXPANSION = (WATER_DENSITY - ICE_DENSITY) / ICE_DENSITY


def thaw_index(temperature: Any, interval: float = SECONDS_PER_DAY) -> Any:
    r"""Warmth above 0 degC since the first value.

    .. math:: I_t(t) = \int_0^t \max(T - T_0, 0)\, dt

    Parameters
    ----------
    temperature : array_like
        Of the air or the ground's surface, means of equal intervals along the first
        axis, in K.
    interval : float
        Length of an interval, in s; a day by default.

    Returns
    -------
    array
        At the end of every interval, in K s; 86400 of these are a degree-day.

    References
    ----------
    Andersland & Ladanyi (2004), Frozen Ground Engineering, section 3.2.

    Examples
    --------
    >>> print((thaw_index([271.15, 275.15, 278.15]) / 86400).round(6))
    [0. 2. 7.]
    """
    above = jnp.maximum(jnp.asarray(temperature, float) - ZERO_CELSIUS, 0.0)
    return jnp.cumsum(above, axis=0) * interval


def freeze_index(temperature: Any, interval: float = SECONDS_PER_DAY) -> Any:
    r"""Cold below 0 degC since the first value.

    .. math:: I_f(t) = \int_0^t \max(T_0 - T, 0)\, dt

    Parameters
    ----------
    temperature : array_like
        As for `thaw_index`, in K.
    interval : float
        Length of an interval, in s; a day by default.

    Returns
    -------
    array
        At the end of every interval, in K s.
    """
    below = jnp.maximum(ZERO_CELSIUS - jnp.asarray(temperature, float), 0.0)
    return jnp.cumsum(below, axis=0) * interval


def active_layer_depth(
    index: Any, conductivity: float, water: float, n_factor: float = 1.0
) -> Any:
    r"""Depth to which a ground of permafrost has thawed: Stefan's solution.

    .. math:: z = \sqrt{2 k n I_t / (L_f m_w)} = E \sqrt{I_t}

    The edaphic factor E is this depth at an index of one.

    Parameters
    ----------
    index : array_like
        Thaw index of the air, in K s.
    conductivity : float
        Of the thawed ground, in W m-1 K-1.
    water : float
        Mass of the ice that melts, in kg m-3.
    n_factor : float
        Thaw index of the ground's surface over that of the air, in 1.

    Returns
    -------
    array
        In m.

    Raises
    ------
    InputError
        If conductivity, water or factor are not positive.

    References
    ----------
    Lunardini (1978), Third International Conference on Permafrost, 40-46 (factor n).
    Nelson et al. (1997), Arct. Alp. Res. 29, 367-378 (factor E).

    Examples
    --------
    >>> print(f"{float(active_layer_depth(400 * 86400.0, 0.8, 300.0)):.3f} m")
    0.743 m
    """
    if not n_factor > 0:
        raise InputError(
            f"the n-factor is {n_factor}: it is the thaw index of the surface over "
            "that of the air, and positive"
        )
    return stefan_depth(n_factor * jnp.asarray(index, float), conductivity, water)


def pore_ice_subsidence(
    depth: Any, porosity: Any, saturation: Any = 1.0, *, layers: Any = None
) -> Any:
    r"""How far the surface sinks as the ice in the pores of a layer melts.

    .. math:: D = \frac{\rho_w - \rho_i}{\rho_i}
       \int_0^z P(z')\, S(z')\, dz' .

    Water takes 8.3 % less room than the ice it was; the ground follows. Ice in excess
    of the pores is not counted: where it melts, the surface sinks by all of it.

    Parameters
    ----------
    depth : array_like
        Thawed depth z, in m.
    porosity, saturation : float or array_like, shape (layer,)
        Share of pores in the ground, and of water in the pores, in 1.
    layers : array_like, shape (layer,), optional
        Lower ends of the layers, in m, increasing; the last reaches as deep as needed.
        Without these the ground is uniform.

    Returns
    -------
    array
        In m, shaped as `depth`; positive downward.

    Raises
    ------
    InputError
        If a share is not between 0 and 1, or layers do not fit.

    References
    ----------
    Liu, Schaefer, Zhang & Wahr (2012), J. Geophys. Res. 117, F01005.

    Examples
    --------
    >>> print(f"{1000 * float(pore_ice_subsidence(0.5, 0.5)):.1f} mm")
    22.6 mm
    """
    depth = jnp.asarray(depth, float)
    shares = {"porosity": porosity, "saturation": saturation}
    for name, value in shares.items():
        share = jnp.asarray(value, float)
        if not bool(jnp.all((share >= 0.0) & (share <= 1.0))):
            raise InputError(f"the {name} is a share between 0 and 1, got {value}")
    water = jnp.asarray(porosity, float) * jnp.asarray(saturation, float)
    if layers is None:
        if water.ndim:
            raise InputError("porosity or saturation by layers need their lower ends")
        return EXPANSION * water * depth
    ends = jnp.asarray(layers, float)
    if ends.ndim != 1 or not bool(jnp.all(jnp.diff(ends, prepend=0.0) > 0.0)):
        raise InputError(f"lower ends of layers rise from the surface, got {layers}")
    if water.shape not in ((), ends.shape):
        raise InputError(
            f"{ends.size} layers need as many porosities, got shape {water.shape}"
        )
    tops = jnp.concatenate([jnp.zeros(1), ends[:-1]])
    below = ends.at[-1].set(jnp.inf)
    thick = jnp.clip(depth[..., None], tops, below) - tops
    return EXPANSION * (water * thick).sum(axis=-1)
