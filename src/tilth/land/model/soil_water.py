"""Water in the soil: Richards' equation, implicit, with roots, ice and a closed ledger.

The state is the water content, so that what a layer gains is what its faces let in, to
rounding, after every iterate. One iterate is the linearised implicit step of a land
model; more of them solve the nonlinear equation. See `richards`.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.land.model import tridiagonal

__all__ = ["WaterStep", "curves_with_ice", "richards"]

#: Least share of the pores that ice leaves open, so that saturation stays defined.
_LEAST_PORES = 1e-3


class WaterStep(NamedTuple):
    """What `richards` returns."""

    #: All water, ice included, after the step (layer, ...), m3 m-3.
    water: Any
    #: Downward through the top, the faces and the bottom (layer + 1, ...), m s-1.
    fluxes: Any
    #: What the sink really took (layer, ...), m s-1.
    sink: Any
    #: What the full column could not hold (...), m s-1.
    overflow: Any


class _Faces(NamedTuple):
    """Downward fluxes and their slopes by the water above and below, m s-1."""

    flux: Any
    by_above: Any
    by_below: Any


def _column(values: Any, like: Any) -> Any:
    """Give values per layer the shape of the whole column."""
    values = jnp.asarray(values, float)
    missing = max(jnp.ndim(like) - values.ndim, 0)
    return jnp.broadcast_to(
        values.reshape(values.shape + (1,) * missing), jnp.shape(like)
    )


def _with_slope(function: Any, x: Any) -> tuple[Any, Any]:
    return jax.jvp(function, (x,), (jnp.ones_like(x),))


def curves_with_ice(hydraulics: Any, ice: Any) -> Any:
    """Return the curves of a soil whose ice has taken its place from the pores.

    Parameters
    ----------
    hydraulics : ClappHornberger or VanGenuchten
        Of the soil without ice.
    ice : array (layer, ...)
        As liquid equivalent, in m3 m-3.

    Returns
    -------
    same type as `hydraulics`
        With ``saturation`` less by the ice: for the liquid water content.
    """
    pores = jnp.maximum(
        hydraulics.saturation - ice, hydraulics.least_water + _LEAST_PORES
    )
    return dataclasses.replace(hydraulics, saturation=pores)


def _impedance(curves: Any, water: Any, ice: Any, ice_impedance: Any) -> Any:
    """Reduction of the conductivity of the faces between layers by ice."""
    if isinstance(ice_impedance, str):
        passing = jnp.clip(1.0 - ice / curves.saturation, 0.0, 1.0)
        return passing[:-1] * passing[1:]
    mobile = jnp.maximum(water - curves.least_water, _LEAST_PORES)
    share = jnp.clip(ice / mobile, 0.0, 1.0)
    return 10.0 ** (-ice_impedance * 0.5 * (share[:-1] + share[1:]))


def _inner_faces(
    head: tuple, conductivity: tuple, degree: Any, gap: Any, factor: Any, mean: str
) -> _Faces:
    """Darcy's fluxes between layers, linearised."""
    (psi, by_psi), (k, by_k) = head, conductivity
    wetter = jnp.where(degree[:-1] >= degree[1:], 1.0, 0.0)
    share = wetter if mean == "wetter" else 0.5 * jnp.ones_like(wetter)
    other = 1.0 - share
    face_k = factor * (share * k[:-1] + other * k[1:])
    gradient = (psi[:-1] - psi[1:]) / gap + 1.0
    by_above = face_k * by_psi[:-1] / gap + factor * share * by_k[:-1] * gradient
    by_below = -face_k * by_psi[1:] / gap + factor * other * by_k[1:] * gradient
    # Where gravity and suction oppose each other a slope can have the wrong sign. Left
    # out, the system stays diagonally dominant; the fluxes themselves are untouched.
    return _Faces(
        face_k * gradient, jnp.maximum(by_above, 0.0), jnp.minimum(by_below, 0.0)
    )


def _top_face(
    head: tuple, k: Any, hydraulics: Any, boundary: Any, thickness: Any
) -> _Faces:
    """Flux into the first layer from a surface held at a head."""
    psi, by_psi = head
    surface = hydraulics.conductivity(hydraulics.content(boundary))
    face_k = 0.5 * (surface + k)
    flux = face_k * ((boundary - psi) / (0.5 * thickness) + 1.0)
    slope = -face_k * by_psi / (0.5 * thickness)
    return _Faces(flux, jnp.zeros_like(flux), slope)


def _bottom_face(head: tuple, k: tuple, bottom: Any, thickness: Any) -> _Faces:
    """Flux out of the last layer."""
    (psi, by_psi), (value, slope) = head, k
    none = jnp.zeros_like(value)
    if isinstance(bottom, str):
        if bottom == "closed":
            return _Faces(none, none, none)
        return _Faces(value, slope, none)
    gap = 0.5 * thickness
    gradient = (psi - bottom) / gap + 1.0
    by_above = jnp.maximum(value * by_psi / gap + slope * gradient, 0.0)
    return _Faces(value * gradient, by_above, none)


def _hand_on(excess_of: Any, theta: Any, fluxes: Any, layers: tuple, dt: Any) -> tuple:
    """Hand each layer's excess down, and what the last one cannot take, up.

    ``excess_of(theta, low, high)`` is negative where a layer is short. `layers` holds
    thickness, low and high. Returns water, fluxes, and the excess that is left above
    the first layer, m s-1.
    """
    dz = layers[0]

    def step(carry, layer):
        theta, dz, low, high = layer
        theta = theta + carry / dz
        excess = excess_of(theta, low, high)
        return excess * dz, (theta - excess, excess * dz)

    none = jnp.zeros_like(theta[0])
    left, (theta, given) = tridiagonal.sweep(step, none, (theta, *layers))
    fluxes = fluxes.at[1:-1].add(given[:-1] / dt)
    theta = theta.at[-1].add(left / dz[-1])
    left, (theta, given) = tridiagonal.sweep(step, none, (theta, *layers), upward=True)
    return theta, fluxes.at[1:-1].add(-given[1:] / dt), left / dt


def richards(
    water: Any,
    ice: Any,
    hydraulics: Any,
    thickness: Any,
    dt: Any,
    *,
    top_flux: Any = None,
    top_head: Any = None,
    bottom: Any = "closed",
    sink: Any = None,
    iterations: int = 1,
    conductivity_mean: str = "wetter",
    ice_impedance: Any = "pore_space",
    ponding: Any = 0.0,
) -> WaterStep:
    r"""Move the liquid water of a column of soil for one step, implicitly.

    .. math:: \Delta z_k \frac{\theta_k^{new}-\theta_k}{\Delta t} =
       q_{k-1/2}-q_{k+1/2}-s_k, \quad q_{k+1/2} = f_i K_{k+1/2} \left(
       \frac{\psi_k-\psi_{k+1}}{\Delta z_{k+1/2}} + 1 \right) ,

    with q downward. Each iterate linearises q about the last one, solves for the
    change of all layers, and takes the new water from the linearised fluxes. Ice does
    not move. Afterwards a layer with less than its least liquid takes from the layer
    below, or else above; one with more than its pores gives to the layer below (all
    but the first), then above; the fluxes returned include this, so that

    .. math:: \sum \Delta z\,(\theta^{new}-\theta) = \Delta t\,
       (q_{top}-q_{bottom}-\textstyle\sum s - q_{overflow})

    holds to rounding.

    Parameters
    ----------
    water, ice : array (layer, ...)
        All water, and the frozen part of it as liquid equivalent, in m3 m-3.
    hydraulics : ClappHornberger or VanGenuchten
        Fields that broadcast with `water`.
    thickness : array (layer,) or (layer, ...)
        In m.
    dt : float
        Step, in s.
    top_flux : array (...), optional
        Water into the top (infiltration less evaporation), in m s-1.
    top_head : array (...), optional
        Head at the surface instead, in m.
    bottom : "closed", "free" or array (...), optional
        No flow, drainage by gravity, or a head at the bottom in m.
    sink : array (layer, ...), optional
        Water taken out of each layer (roots, base flow), in m s-1, not negative. It is
        cut to the liquid that is there: see the result's ``sink``.
    iterations : int, optional
        Newton iterates; 1 is the usual step of land models.
    conductivity_mean : "wetter" or "arithmetic", optional
        Of two layers, the conductivity of the wetter one (MATSIRO), or their mean
        (Celia et al. 1990).
    ice_impedance : "pore_space" or float, optional
        How ice hinders the flow. ``"pore_space"``: ice takes its place from the pores,
        W = (theta - ice) / (saturation - ice), and K is multiplied by (1 - Wi) of both
        layers, Wi = ice / (saturation - ice). A number Omega: the liquid is as tightly
        bound as in soil without ice (cryosuction, if it froze along the same curve),
        and K is multiplied by 10 to the power -Omega Q, Q the share of ice.
    ponding : float, optional
        Depth of water that may stand on the first layer, counted in it, in m.

    Returns
    -------
    WaterStep
        water, fluxes, sink, overflow.

    Raises
    ------
    InputError
        If not just one of `top_flux` and `top_head` is given, or an option is unknown.

    References
    ----------
    Celia, Bouloutas & Zarba (1990), Water Resour. Res. 26, 1483-1496. Takata, Emori &
    Watanabe (2003), Glob. Planet. Change 38, 209-222 (ice in the pores, supersaturation
    by layers). Lundin (1990), J. Hydrol. 118, 289-310, and Hansson et al. (2004),
    Vadose Zone J. 3, 693-704 (impedance; 7 in their Mizoguchi case).
    """
    _check(top_flux, top_head, bottom, conductivity_mean, ice_impedance)
    start = jnp.asarray(water, float)
    ice = _column(ice, start)
    dz = _column(thickness, start)
    gap = 0.5 * (dz[:-1] + dz[1:])
    hydraulics = jax.tree.map(lambda field: _column(field, start), hydraulics)
    in_pores = isinstance(ice_impedance, str)
    curves = curves_with_ice(hydraulics, ice) if in_pores else hydraulics
    first = jax.tree.map(lambda field: field[0], curves)
    least = ice + curves.least_water
    most = hydraulics.saturation
    taken = _limited(sink, start, least, dz, dt)

    def iterate(theta):
        liquid = theta - ice
        head = _with_slope(curves.head, liquid)
        k = _with_slope(curves.conductivity, liquid)
        degree = curves.saturation_degree(liquid)
        factor = _impedance(curves, theta, ice, ice_impedance)
        inner = _inner_faces(head, k, degree, gap, factor, conductivity_mean)
        if top_head is None:
            into = jnp.broadcast_to(jnp.asarray(top_flux, float), start[0].shape)
            top = _Faces(into, jnp.zeros_like(into), jnp.zeros_like(into))
        else:
            top = _top_face(_row(head, 0), k[0][0], first, top_head, dz[0])
        last = _bottom_face(_row(head, -1), _row(k, -1), bottom, dz[-1])
        faces = _Faces(
            *(
                jnp.concatenate([a[None], b, c[None]])
                for a, b, c in zip(top, inner, last, strict=True)
            )
        )
        return _solve(theta, start, faces, taken, dz, dt)

    if iterations == 1:
        theta, fluxes = iterate(start)
    else:
        state = (start, jnp.zeros((len(start) + 1, *start.shape[1:])))
        theta, fluxes = jax.lax.fori_loop(
            0, iterations, lambda _, state: iterate(state[0]), state
        )
    return _within_bounds(theta, fluxes, taken, least, most, dz, dt, ponding)


def _check(
    top_flux: Any, top_head: Any, bottom: Any, mean: str, ice_impedance: Any
) -> None:
    if (top_flux is None) == (top_head is None):
        raise InputError(
            "the top of a soil column needs a flux or a head: give one of top_flux "
            f"and top_head, not {'neither' if top_flux is None else 'both'}"
        )
    for name, value, known in (
        ("bottom", bottom, ("closed", "free")),
        ("conductivity_mean", mean, ("wetter", "arithmetic")),
        ("ice_impedance", ice_impedance, ("pore_space",)),
    ):
        if isinstance(value, str) and value not in known:
            number = "" if name == "conductivity_mean" else " or a number"
            raise InputError(
                f"{name}={value!r} is not known: give {' or '.join(known)}{number}"
            )


def _row(pair: tuple, k: int) -> tuple:
    return pair[0][k], pair[1][k]


def _limited(sink: Any, water: Any, least: Any, dz: Any, dt: Any) -> Any:
    """Cut a sink to the liquid of each layer."""
    if sink is None:
        return jnp.zeros_like(water)
    available = jnp.maximum(water - least, 0.0) * dz / dt
    return jnp.minimum(jnp.asarray(sink, float), available)


def _solve(theta: Any, start: Any, faces: _Faces, sink: Any, dz: Any, dt: Any) -> tuple:
    """Take one Newton step; new water and the linearised fluxes it came from."""
    flux, by_above, by_below = faces
    lower = -by_above[:-1]
    diagonal = dz / dt + by_above[1:] - by_below[:-1]
    upper = by_below[1:]
    right = flux[:-1] - flux[1:] - sink - dz / dt * (theta - start)
    change = tridiagonal.solve(lower, diagonal, upper, right)
    edge = jnp.zeros_like(change[:1])
    above = jnp.concatenate([edge, change])
    below = jnp.concatenate([change, edge])
    flux = flux + by_above * above + by_below * below
    return start + dt / dz * (flux[:-1] - flux[1:] - sink), flux


def _within_bounds(
    theta: Any,
    fluxes: Any,
    sink: Any,
    least: Any,
    most: Any,
    dz: Any,
    dt: Any,
    ponding: Any,
) -> WaterStep:
    """Even out layers with too little or too much water, and keep the ledger."""
    # The first layer gives nothing down: its excess stands on it, and runs off.
    bounds = most.at[0].set(jnp.inf)

    def excess(theta, low, high):
        return jnp.minimum(theta - low, 0.0) + jnp.maximum(theta - high, 0.0)

    theta, fluxes, short = _hand_on(excess, theta, fluxes, (dz, least, bounds), dt)
    theta = theta.at[0].add(short * dt / dz[0])  # more was taken than there is
    brim = most[0] + ponding / dz[0]
    overflow = jnp.maximum(theta[0] - brim, 0.0) * dz[0] / dt
    theta = theta.at[0].add(-overflow * dt / dz[0])
    return WaterStep(theta, fluxes, sink, overflow)
