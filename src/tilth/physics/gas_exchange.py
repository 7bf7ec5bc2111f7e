r"""A leaf in air: photosynthesis, stomata and boundary layer solved together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from tilth.core.accelerate import jnp
from tilth.core.errors import InputError
from tilth.physics.conductance import RATIO_STOMATA, SMALLEST_DEFICIT
from tilth.physics.photosynthesis import Biochemistry, net_assimilation
from tilth.physics.roots import bracketed_root

Array = Any
Scheme = Literal["ball_berry", "leuning", "medlyn"]

#: Diffusivity of water vapour over that of CO2 through a laminar boundary layer: the
#: molecular ratio 1.6 to the power 2/3 is 1.37. Collatz et al. (1991) round to 1.4.
RATIO_BOUNDARY = 1.4

#: Stomata and boundary layer pass at least this, mol m-2 s-1: a closed leaf must lose
#: its respired CO2. Cuticles measured so far pass 1e-4 and more (Duursma et al. 2019).
SMALLEST_CONDUCTANCE = 1e-6

#: CO2 at the leaf surface is at least this in the closures, Pa: iterates go below,
#: solutions stay above.
_SMALLEST_SURFACE_CO2 = 1e-9


class LeafExchange(NamedTuple):
    """Gas exchange of a leaf.

    Parameters
    ----------
    assimilation : jax.Array
        Net assimilation, mol m-2 s-1.
    conductance : jax.Array
        Stomatal conductance for water vapour, mol m-2 s-1.
    internal_co2, surface_co2 : jax.Array
        Partial pressure of CO2 inside and at the surface of the leaf, Pa.
    surface_vapour_pressure : jax.Array
        Vapour pressure at the surface of the leaf, Pa.
    """

    assimilation: Array
    conductance: Array
    internal_co2: Array
    surface_co2: Array
    surface_vapour_pressure: Array


def _larger_root(linear: Array, constant: Array) -> Array:
    """Larger root of x^2 + linear x - constant = 0, for a positive constant."""
    root = jnp.sqrt(linear**2 + 4.0 * constant)
    falling = linear <= 0.0
    return jnp.where(
        falling,
        0.5 * (root - linear),
        2.0 * constant / jnp.where(falling, 1.0, root + linear),
    )


def _ball_berry_in_air(
    carbon: Array, slope: Array, intercept: Array, boundary: Array, humidity: Array
) -> Array:
    """Solve gs = g0 + m c (gs + gb h)/(gs + gb): humidity at the surface."""
    uptake = slope * carbon
    return _larger_root(
        boundary - intercept - uptake, boundary * (intercept + uptake * humidity)
    )


def _leuning_in_air(
    uptake: Array, intercept: Array, boundary: Array, relative_deficit: Array
) -> Array:
    """Solve gs = g0 + u (gs + gb)/(gs + gb + e), e = gb D/D0, for gs + gb."""
    e = boundary * relative_deficit
    both = _larger_root(e - boundary - intercept - uptake, (boundary + intercept) * e)
    return intercept + uptake * both / (both + e)


def _medlyn_in_air(
    carbon: Array, slope: Array, intercept: Array, boundary: Array, kilopascal: Array
) -> Array:
    """Solve gs = g0 + u + u k r with r = sqrt(gs + gb), k = g1/sqrt(gb D) for r."""
    uptake = RATIO_STOMATA * carbon
    steep = uptake * slope / jnp.sqrt(boundary * kilopascal)
    root = _larger_root(-steep, boundary + intercept + uptake)
    return intercept + uptake + steep * root


def leaf_gas_exchange(
    leaf: Biochemistry,
    *,
    co2: Array,
    vapour_pressure: Array,
    saturation: Array,
    pressure: Array,
    boundary_conductance: Array,
    slope: Array,
    intercept: Array,
    scheme: Scheme = "ball_berry",
    deficit_scale: Array = 1500.0,
) -> LeafExchange:
    r"""Photosynthesis, stomata and boundary layer of a leaf, solved together.

    .. math::
        A = A(c_i),\quad c_s = c_a - \frac{1.4\,p A}{g_b},\quad
        c_i = c_s - \frac{1.6\,p A}{g_s},\quad g_s (e_i - e_s) = g_b (e_s - e_a)

    and the closure for gs. The closures are solved for gs in closed form (Ball-Berry,
    Leuning and Medlyn each give a quadratic equation once the surface humidity is
    eliminated), which leaves one equation in A. It is bracketed: a leaf that would
    gain (or lose) carbon at the CO2 of the air gains (or loses), but less.

    Parameters
    ----------
    leaf : Biochemistry
        Limits of photosynthesis.
    co2 : array_like
        Partial pressure of CO2 in the air, Pa.
    vapour_pressure : array_like
        Of the air, Pa; held between zero and `saturation` (no stomata under dew).
    saturation : array_like
        Saturation vapour pressure at leaf temperature, Pa.
    pressure : array_like
        Air pressure, Pa.
    boundary_conductance : array_like
        Of the leaf boundary layer, for water vapour, mol m-2 s-1.
    slope, intercept : array_like
        Of the closure; Medlyn's slope in kPa^0.5.
    scheme : {"ball_berry", "leuning", "medlyn"}
        The closure.
    deficit_scale : array_like
        D0 of Leuning's closure, Pa.

    Returns
    -------
    LeafExchange
        The solution; the equations hold to rounding.

    Raises
    ------
    InputError
        If the scheme is not one of the three.

    References
    ----------
    Collatz et al. (1991), Agric. For. Meteorol. 54, 107-136; Sellers et al.
    (1996), J. Climate 9, 676-705.
    """
    boundary = jnp.maximum(boundary_conductance, SMALLEST_CONDUCTANCE)
    least = jnp.maximum(intercept, SMALLEST_CONDUCTANCE)
    inside = jnp.asarray(saturation)
    outside = jnp.clip(vapour_pressure, 0.0, inside)
    air = jnp.asarray(co2)

    def conductance(assimilation: Array, surface: Array) -> Array:
        gain = jnp.maximum(assimilation, 0.0) * pressure
        surface = jnp.maximum(surface, _SMALLEST_SURFACE_CO2)
        if scheme == "ball_berry":
            return _ball_berry_in_air(
                gain / surface, slope, least, boundary, outside / inside
            )
        if scheme == "medlyn":
            deficit = jnp.maximum(inside - outside, SMALLEST_DEFICIT) / 1000.0
            return _medlyn_in_air(gain / surface, slope, least, boundary, deficit)
        if scheme == "leuning":
            room = surface - jnp.where(leaf.is_c4, 0.0, leaf.compensation)
            room = jnp.maximum(room, _SMALLEST_SURFACE_CO2)
            deficit = (inside - outside) / deficit_scale
            return _leuning_in_air(slope * gain / room, least, boundary, deficit)
        raise InputError(
            f"unknown stomatal closure {scheme!r}: choose 'ball_berry', 'leuning' or "
            "'medlyn'"
        )

    def at(assimilation: Array) -> tuple[Array, Array, Array]:
        drawn = assimilation * pressure
        surface = air - RATIO_BOUNDARY * drawn / boundary
        opening = conductance(assimilation, surface)
        return opening, surface, surface - RATIO_STOMATA * drawn / opening

    def mismatch(assimilation: Array) -> Array:
        return assimilation - net_assimilation(at(assimilation)[2], leaf)

    assimilation = _solve(mismatch, leaf, air, pressure, boundary)
    opening, surface, internal = at(assimilation)
    vapour = (opening * inside + boundary * outside) / (opening + boundary)
    return LeafExchange(assimilation, opening, internal, surface, vapour)


def _solve(
    mismatch: Callable[[Array], Array],
    leaf: Biochemistry,
    air: Array,
    pressure: Array,
    boundary: Array,
) -> Array:
    """Net assimilation, bracketed on its side of zero (the closures bend at zero)."""
    gain = net_assimilation(air, leaf)
    # No leaf draws more than the boundary layer passes to a surface without CO2.
    most = jnp.minimum(gain, air * boundary / (RATIO_BOUNDARY * pressure))
    gains = gain > 0.0
    lower = jnp.where(gains, 0.0, gain)
    upper = jnp.where(gains, most, 0.0)
    shape = jnp.shape(mismatch(lower))
    return bracketed_root(
        mismatch,
        jnp.broadcast_to(lower, shape),
        jnp.broadcast_to(upper, shape),
        tolerance=1e-13 * (jnp.abs(gain) + leaf.respiration),
    )
