"""A store of surface water that gives runoff back to the soil: snow-fed wetlands."""

from __future__ import annotations

from typing import Any

from tilth.core.accelerate import jnp
from tilth.core.constants import SECONDS_PER_DAY

__all__ = ["residence_time", "wetland_step"]


def residence_time(
    elevation_spread: Any,
    dt: Any,
    *,
    longest: float = 30.0 * SECONDS_PER_DAY,
    steep: float = 200.0,
) -> Any:
    r"""Time that water stays in the wetlands of a cell.

    .. math:: \beta = \max[\beta_0 (1 - \min(\sigma_z, 200) / 200), \Delta t] .

    Parameters
    ----------
    elevation_spread : array_like
        Standard deviation of the elevation within the cell, in m.
    dt : float
        Step, in s.
    longest : float, optional
        In flat land, in s; 30 days.
    steep : float, optional
        Spread from which on no water stays, in m.

    Returns
    -------
    array
        In s.

    References
    ----------
    Nitta et al. (2017), J. Hydrometeorol. 18, 2923-2936.
    """
    flat = 1.0 - jnp.minimum(elevation_spread, steep) / steep
    return jnp.maximum(longest * flat, dt)


def wetland_step(
    store: Any,
    surface_runoff: Any,
    elevation_spread: Any,
    dt: Any,
    *,
    direct: Any = 0.1,
    longest: float = 30.0 * SECONDS_PER_DAY,
    steep: float = 200.0,
) -> tuple[Any, Any, Any]:
    r"""Let surface runoff pass a wetland for one step, implicitly.

    .. math:: \frac{dS}{dt} = (1 - \alpha) R_s - \frac{S}{\beta} ;

    the outflow wets the soil of the next step, the rest reaches the river at once.

    Parameters
    ----------
    store : array (cell,)
        Water in the wetland S, in kg m-2.
    surface_runoff : array (cell,)
        Rs, in kg m-2 s-1.
    elevation_spread : array (cell,)
        Standard deviation of the elevation within the cell, in m.
    dt : float
        Step, in s.
    direct : float, optional
        Share of the runoff that misses the wetland, alpha.
    longest, steep : float, optional
        See `residence_time`.

    Returns
    -------
    store : array (cell,)
        In kg m-2.
    to_soil : array (cell,)
        Outflow, in kg m-2 s-1.
    to_river : array (cell,)
        In kg m-2 s-1. Store, outflow and river balance to rounding.

    References
    ----------
    Nitta et al. (2017), J. Hydrometeorol. 18, 2923-2936.
    """
    beta = residence_time(elevation_spread, dt, longest=longest, steep=steep)
    to_river = direct * surface_runoff
    filled = store + dt * (surface_runoff - to_river)
    to_soil = filled / (beta + dt)
    return filled - dt * to_soil, to_soil, to_river
