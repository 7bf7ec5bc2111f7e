r"""Photosynthesis of C3 and C4 leaves: what enzymes, light and the sink allow.

The gross rate is the smooth minimum of three limits (Collatz et al. 1991, 1992) with
the temperature responses of SiB2 (Sellers et al. 1996). Partial pressures are in Pa
and rates in mol m-2 s-1 of leaf; light is in mol of photons.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp

Array = Any

#: Photons of photosynthetically active light per energy, mol J-1. Sellers et al.
#: (1996); McCree (1972) measured 4.57e-6 for sunlight.
PHOTONS_PER_JOULE = 4.6e-6

#: Mole fraction of oxygen: 20900 Pa at 1e5 Pa. Collatz et al. (1991).
_OXYGEN = 0.209

#: Reference of the temperature responses, K. Collatz et al. (1991).
_REFERENCE_TEMPERATURE = 298.0

#: Enzymes are held at their rate here beyond these leaf temperatures, K: none is
#: active there, and the exponentials stay finite for a bad iterate of a solver.
_COLDEST, _HOTTEST = 200.0, 350.0

#: Steepness of inhibition by heat (s1), cold (s3) and of respiration by heat (s5) in
#: K-1, and half-inhibition of respiration (s6) in K. Sellers et al. (1996).
_HEAT_STEEPNESS, _COLD_STEEPNESS = 0.3, 0.2
_RESPIRATION_STEEPNESS, _RESPIRATION_HALF = 1.3, 328.0

#: Respiration per Rubisco capacity, C3 and C4. Collatz et al. (1991, 1992).
RESPIRATION_FRACTION = {"C3": 0.015, "C4": 0.025}

#: Co-limitation of Rubisco and light, C3 and C4, and of both with the sink.
#: Sellers et al. (1996).
CURVATURE_LIGHT = {"C3": 0.98, "C4": 0.80}
CURVATURE_SINK = 0.95

#: Slope of the CO2-limited rate of C4 leaves per Rubisco capacity, mol mol-1 of air.
#: Sellers et al. (1996); the 0.7 over 39e-6 of Collatz et al. (1992) is 1.8e4.
_C4_SLOPE = 2.0e4


#: A rate that counts as none, mol m-2 s-1: no molecule in the age of the Earth.
_NOTHING = 1e-60


class RubiscoKinetics(NamedTuple):
    """Affinities of Rubisco at one temperature.

    Parameters
    ----------
    michaelis : jax.Array
        Effective Michaelis constant for CO2 in air, Kc (1 + O2/Ko), Pa.
    compensation : jax.Array
        CO2 compensation point without respiration, O2/(2 S), Pa.
    """

    michaelis: Array
    compensation: Array


class Biochemistry(NamedTuple):
    """What limits photosynthesis in a leaf whose internal CO2 is still unknown.

    Parameters
    ----------
    rubisco : jax.Array
        Rubisco capacity at leaf temperature, mol m-2 s-1.
    light : jax.Array
        Absorbed light times quantum efficiency, mol m-2 s-1.
    sink : jax.Array
        C3: capacity to use the products, mol m-2 s-1; C4: slope of the CO2-limited
        rate, mol m-2 s-1 Pa-1.
    respiration : jax.Array
        Leaf respiration in the light and dark, mol m-2 s-1.
    michaelis, compensation : jax.Array
        Of `RubiscoKinetics`, Pa.
    is_c4 : jax.Array
        Mask of C4 leaves.
    """

    rubisco: Array
    light: Array
    sink: Array
    respiration: Array
    michaelis: Array
    compensation: Array
    is_c4: Array


def _tens_of_kelvin(temperature: Array) -> Array:
    bounded = jnp.clip(temperature, _COLDEST, _HOTTEST)
    return 0.1 * (bounded - _REFERENCE_TEMPERATURE)


def rubisco_kinetics(temperature: Array, pressure: Array) -> RubiscoKinetics:
    r"""Affinities of Rubisco for CO2 and oxygen.

    .. math::
        K_c = 30 \cdot 2.1^{Q},\quad K_o = 30000 \cdot 1.2^{Q},\quad
        S = 2600 \cdot 0.57^{Q},\quad Q = (T - 298)/10

    with Kc and Ko in Pa; S is a ratio of two ratios of pressures, without unit.

    Parameters
    ----------
    temperature : array_like
        Leaf temperature in K.
    pressure : array_like
        Air pressure in Pa, of which oxygen is 20.9 percent.

    Returns
    -------
    RubiscoKinetics
        Pa.

    References
    ----------
    Collatz et al. (1991), Agric. For. Meteorol. 54, 107-136; Sellers et al.
    (1996), J. Climate 9, 676-705.
    """
    q = _tens_of_kelvin(temperature)
    oxygen = _OXYGEN * jnp.asarray(pressure)
    half = 30.0 * 2.1**q * (1.0 + oxygen / (30000.0 * 1.2**q))
    return RubiscoKinetics(half, 0.5 * oxygen / (2600.0 * 0.57**q))


def biochemistry(
    temperature: Array,
    pressure: Array,
    light: Array,
    capacity: Array,
    *,
    quantum_efficiency: Array,
    half_heat: Array,
    half_cold: Array,
    is_c4: Array,
) -> Biochemistry:
    r"""Limits of photosynthesis at a leaf temperature and light.

    .. math::
        V_c &= V\,2.1^Q h(T)\ (C_3),\quad V\,2.1^Q h(T)\,c(T)\ (C_4) \\
        V_s &= \tfrac12 V\,1.8^Q c(T)\ (C_3),\quad
               2\times10^4\,V\,1.8^Q/p\ (C_4) \\
        R_d &= f_d V\,2^Q / \{1 + \exp[1.3 (T - 328)]\}

    with :math:`h = 1/\{1+\exp[0.3 (T - s_2)]\}` and
    :math:`c = 1/\{1+\exp[0.2 (s_4 - T)]\}`.

    Parameters
    ----------
    temperature : array_like
        Leaf temperature in K.
    pressure : array_like
        Air pressure in Pa.
    light : array_like
        Absorbed photosynthetically active photons, mol m-2 s-1 of leaf; less than
        zero counts as dark.
    capacity : array_like
        Rubisco capacity at 298 K (Vmax, times soil moisture stress), mol m-2 s-1.
    quantum_efficiency : array_like
        CO2 fixed per photon; 0.08 for C3, 0.05 for C4 leaves in SiB2.
    half_heat, half_cold : array_like
        Temperatures at which heat (s2) and cold (s4) halve the rates, K.
    is_c4 : array_like of bool
        Mask of C4 leaves.

    Returns
    -------
    Biochemistry
        What `gross_assimilation` needs.

    References
    ----------
    Collatz et al. (1991, 1992); Sellers et al. (1996), J. Climate 9, 676-705.

    Notes
    -----
    The CO2-limited rate of C4 leaves is 2e4 V times the mole fraction ci/p. The form
    V ci/5 with ci in Pa, also met, is the same at 1e5 Pa only.
    """
    q = _tens_of_kelvin(temperature)
    bounded = jnp.clip(temperature, _COLDEST, _HOTTEST)
    c4 = jnp.asarray(is_c4, bool)
    heat = jax.nn.sigmoid(_HEAT_STEEPNESS * (half_heat - bounded))
    cold = jax.nn.sigmoid(_COLD_STEEPNESS * (bounded - half_cold))
    warmth = jax.nn.sigmoid(_RESPIRATION_STEEPNESS * (_RESPIRATION_HALF - bounded))
    fraction = jnp.where(c4, RESPIRATION_FRACTION["C4"], RESPIRATION_FRACTION["C3"])
    export = capacity * 1.8**q
    kinetics = rubisco_kinetics(temperature, pressure)
    shape = jnp.broadcast_shapes(
        *(
            jnp.shape(x)
            for x in (q, pressure, light, capacity, quantum_efficiency, heat, cold, c4)
        )
    )
    parts = (
        capacity * 2.1**q * heat * jnp.where(c4, cold, 1.0),
        jnp.maximum(light, 0.0) * quantum_efficiency,
        jnp.where(c4, _C4_SLOPE * export / pressure, 0.5 * export * cold),
        fraction * capacity * 2.0**q * warmth,
        kinetics.michaelis,
        kinetics.compensation,
        c4,
    )
    return Biochemistry(*(jnp.broadcast_to(part, shape) for part in parts))


def smooth_minimum(first: Array, second: Array, curvature: Array) -> Array:
    r"""Smaller root x of :math:`\theta x^2 - (a + b) x + a b = 0`.

    Below the smaller of a and b, and equal to it where the other is much larger or
    the curvature is 1.

    Parameters
    ----------
    first, second : array_like
        The two limits a and b; at most one of them negative. Less than 1e-60 in sum
        counts as zero.
    curvature : array_like
        Theta, above 0 and at most 1.

    Returns
    -------
    jax.Array
        In the unit of the limits.

    References
    ----------
    Collatz et al. (1991), Agric. For. Meteorol. 54, 107-136, appendix.

    Examples
    --------
    >>> round(float(smooth_minimum(1.0, 3.0, 1.0)), 12)
    1.0
    """
    # Soil dry beyond measure leaves capacities whose squares underflow: none at all.
    alive = jnp.abs(first) + jnp.abs(second) > _NOTHING
    a, b = jnp.where(alive, first, 0.0), jnp.where(alive, second, 0.0)
    total, product = a + b, a * b
    square = total**2 - 4.0 * curvature * product
    positive = square > 0.0
    root = jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1.0)), 0.0)
    # Two forms of one root: each is free of cancellation on its side.
    rising = total >= 0.0
    below = jnp.where(rising & (total + root > 0.0), total + root, 1.0)
    return jnp.where(rising, 2.0 * product / below, (total - root) / (2.0 * curvature))


def gross_assimilation(internal_co2: Array, leaf: Biochemistry) -> Array:
    r"""Gross photosynthesis at a given internal CO2.

    .. math::
        w_c &= V_c \frac{c_i - \Gamma}{c_i + K},\quad
        w_e = \varepsilon I \frac{c_i - \Gamma}{c_i + 2\Gamma},\quad
        w_s = V_s && (C_3) \\
        w_c &= V_c,\quad w_e = \varepsilon I,\quad w_s = V_s c_i && (C_4)

    and A = min(min(wc, we), ws), both minima smooth. Negative below the compensation
    point, where photorespiration wins.

    Parameters
    ----------
    internal_co2 : array_like
        Partial pressure of CO2 in the leaf, Pa.
    leaf : Biochemistry
        From `biochemistry`.

    Returns
    -------
    jax.Array
        mol m-2 s-1, increasing with `internal_co2`.

    References
    ----------
    Collatz et al. (1991), Agric. For. Meteorol. 54, 107-136; Collatz et al. (1992),
    Aust. J. Plant Physiol. 19, 519-538; Sellers et al. (1996), J. Climate 9, 676-705.
    """
    ci, c4 = jnp.asarray(internal_co2), leaf.is_c4
    # The common factor ci - compensation stays outside the first minimum, so that
    # the rate passes smoothly through zero. Below -compensation (an iterate, never a
    # solution) the affinities are held.
    held = jnp.maximum(ci, -leaf.compensation)
    first = smooth_minimum(
        leaf.rubisco / jnp.where(c4, 1.0, held + leaf.michaelis),
        leaf.light / jnp.where(c4, 1.0, held + 2.0 * leaf.compensation),
        jnp.where(c4, CURVATURE_LIGHT["C4"], CURVATURE_LIGHT["C3"]),
    )
    return smooth_minimum(
        first * jnp.where(c4, 1.0, ci - leaf.compensation),
        leaf.sink * jnp.where(c4, ci, 1.0),
        CURVATURE_SINK,
    )


def net_assimilation(internal_co2: Array, leaf: Biochemistry) -> Array:
    """Gross photosynthesis less leaf respiration, mol m-2 s-1.

    Parameters
    ----------
    internal_co2 : array_like
        Partial pressure of CO2 in the leaf, Pa.
    leaf : Biochemistry
        From `biochemistry`.

    Returns
    -------
    jax.Array
        mol m-2 s-1.
    """
    return gross_assimilation(internal_co2, leaf) - leaf.respiration
