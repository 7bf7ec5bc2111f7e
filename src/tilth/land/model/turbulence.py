r"""Turbulent exchange of a canopy and its ground with the air (Watanabe 1994).

Watanabe fitted bulk formulae to a canopy of many layers (Kondo & Watanabe 1992): the
roughness of the stand, its displacement height, and the shares of the heat that leave
from the leaves and from the ground below them, all from the leaf area and the height.

Arrays may have any shape that broadcasts; the model uses ``(tile, cell)``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jnp
from tilth.core.constants import GRAVITY, HEAT_CAPACITY_AIR, VON_KARMAN

#: The formulae hold for plants well above the roughness of the ground; lower plants are
#: taken as this many roughness lengths high. A leafless canopy has the roughness of its
#: ground whatever its height, so that the limit has no effect where nothing grows.
MINIMUM_HEIGHT = 3.0

#: Displacement stays below this share of the reference height (MATSIRO).
MAXIMUM_DISPLACEMENT = 0.5

#: Lowest wind speed in the exchange, m s-1: convection stirs calm air (CLM5, Lawrence
#: et al. 2019, technical note, section 2.5).
MINIMUM_WIND = 1.0

#: Range of the stability parameter over which the profile functions were observed.
_STABILITY_RANGE = (-10.0, 10.0)

#: Of the heat exchange of a canopy of leaf area one, this much is always with the
#: leaves, so that canopy temperature stays defined under a much hotter ground.
_LEAST_CANOPY_SHARE = 1e-2

#: Reference height over roughness length is taken as at least 2, and free convection
#: may not take more than this share of the logarithm away.
_LEAST_LOGARITHM = 0.7
_LEAST_SHARE = 0.2


class Roughness(NamedTuple):
    """Aerodynamic geometry of a stand.

    Roughness lengths are kept as logarithms: that of the ground below a dense stand
    is too small for a number.

    Parameters
    ----------
    log_momentum : array
        Natural logarithm of the roughness length for momentum in m.
    log_heat : array
        The same for heat, of leaves and ground together.
    log_ground_heat : array
        The same for heat, as if the leaves exchanged none.
    displacement : array
        Zero-plane displacement height, m.
    """

    log_momentum: Any
    log_heat: Any
    log_ground_heat: Any
    displacement: Any


class Exchange(NamedTuple):
    """Conductances of the air between surface and reference height, in m s-1.

    Parameters
    ----------
    momentum : array
        ``C_M V``, for momentum.
    ground : array
        ``C_Hs V``, for heat from the ground.
    canopy : array
        ``C_Hc V``, for heat from the leaves.
    """

    momentum: Any
    ground: Any
    canopy: Any


def snow_roughness(
    depth: Any,
    ground_momentum: Any,
    ground_heat: Any,
    snow_momentum: Any,
    snow_heat: Any,
) -> tuple[Any, Any]:
    """Return the roughness lengths of ground that snow fills up.

    They shrink in proportion to the roughness left uncovered, down to that of snow.

    Parameters
    ----------
    depth : array
        Snow depth, m.
    ground_momentum, ground_heat : array
        Roughness lengths of the bare ground, m.
    snow_momentum, snow_heat : array
        Roughness lengths of deep snow, m.

    Returns
    -------
    array, array
        For momentum and heat, m.
    """
    uncovered = 1.0 - depth / ground_momentum
    return (
        jnp.maximum(uncovered * ground_momentum, snow_momentum),
        jnp.maximum(uncovered * ground_heat, snow_heat),
    )


def roughness(
    leaf_area: Any,
    height: Any,
    ground_momentum: Any,
    ground_heat: Any,
    leaf_drag: Any,
    leaf_heat: Any,
) -> Roughness:
    r"""Return the roughness lengths and the displacement of a stand.

    With :math:`A = c_d L / 2 k^2` and :math:`F = c_h / c_d`,

    .. math::

        h - d &= h (1 - e^{-A}) / A \\
        [\ln \tfrac{h-d}{z_0}]^{-1} &= [1 - e^{-A}
            + (-\ln \tfrac{z_{0s}}{h})^{-1/0.45} e^{-2A}]^{0.45} \\
        [\ln \tfrac{h-d}{z_T^\dagger}]^{-1} &= (-\ln \tfrac{z_{Ts}}{h})^{-1}
            [P_1 / (P_1 + A e^A)]^{P_2} \\
        [\ln \tfrac{h-d}{z_0}]^{-1} [\ln \tfrac{h-d}{z_T}]^{-1} &= C_\infty
            [1 - e^{-P_3 A} + (C_0 / C_\infty)^{1/0.9} e^{-P_4 A}]^{0.9} .

    Parameters
    ----------
    leaf_area : array
        Leaf area index above the snow, m2 m-2.
    height : array
        Height of the plants above the snow, m.
    ground_momentum, ground_heat : array
        Roughness lengths of the ground below, m.
    leaf_drag, leaf_heat : array
        Exchange coefficients of a leaf for momentum and heat, c_d and c_h.

    Returns
    -------
    Roughness
        Roughness lengths and displacement.

    References
    ----------
    Watanabe (1994), Journal of the Agricultural Meteorology 49; Watanabe & Kondo (1990)
    for the limits; MATSIRO (Takata et al. 2003, section 4.1).
    """
    height = jnp.maximum(height, MINIMUM_HEIGHT * ground_momentum)
    # The coefficient of the theory, 1 / (2 k^2).
    density = leaf_drag * leaf_area / (2.0 * VON_KARMAN**2)
    thin = density < 1e-6
    safe = jnp.where(thin, 1.0, density)
    above = height * jnp.where(thin, 1.0 - 0.5 * density, -jnp.expm1(-safe) / safe)
    log_momentum = jnp.log(height / ground_momentum)
    log_heat = jnp.log(height / ground_heat)
    ratio = leaf_heat / leaf_drag
    fraction = jnp.exp(-0.11 * log_heat)  # (z_Ts / h)^0.11
    p1 = 0.0115 * jnp.exp(5.0 * fraction**2 - 0.1 * log_heat)
    p2 = 0.55 * jnp.exp(-0.58 * jnp.exp(-0.35 * log_heat))
    p3 = (ratio + 0.084 * jnp.exp(-15.0 * ratio)) ** 0.15
    p4 = 2.0 * ratio**1.1
    drag = (
        -jnp.expm1(-density) + log_momentum ** (-1.0 / 0.45) * jnp.exp(-2.0 * density)
    ) ** 0.45
    sheltered = (p1 / (p1 + density * jnp.exp(density))) ** p2 / log_heat
    dense = 0.5 * (-1.0 + jnp.sqrt(1.0 + 8.0 * ratio))
    bare = drag * sheltered
    both = (
        dense
        * (
            -jnp.expm1(-p3 * density)
            + (bare / dense) ** (1.0 / 0.9) * jnp.exp(-p4 * density)
        )
        ** 0.9
    )
    log_above = jnp.log(above)
    return Roughness(
        log_momentum=log_above - 1.0 / drag,
        log_heat=log_above - drag / both,
        log_ground_heat=log_above - 1.0 / sheltered,
        displacement=height - above,
    )


def profile_functions(stability: Any) -> tuple[Any, Any]:
    r"""Return the integrated profile functions :math:`\psi_m, \psi_h` of z / L.

    Unstable air: Dyer (1974) as integrated by Paulson (1970); stable air: Beljaars &
    Holtslag (1991), which keeps some exchange in very stable nights.

    Parameters
    ----------
    stability : array
        z / L, negative in unstable air.

    Returns
    -------
    array, array
        For momentum and heat; subtracted from ln(z / z0).
    """
    low, high = _STABILITY_RANGE
    stable = jnp.clip(stability, 0.0, high)
    unstable = jnp.clip(stability, low, 0.0)
    a, b, c, d = 1.0, 2.0 / 3.0, 5.0, 0.35
    common = b * (stable - c / d) * jnp.exp(-d * stable) + b * c / d
    stable_momentum = -(a * stable + common)
    bent = 1.0 + 2.0 / 3.0 * a * stable
    stable_heat = -(bent * jnp.sqrt(bent) - 1.0 + common)
    x2 = jnp.sqrt(1.0 - 16.0 * unstable)
    x = jnp.sqrt(x2)
    half, half_squared = 0.5 * (1.0 + x), 0.5 * (1.0 + x2)
    unstable_momentum = (
        jnp.log(half**2 * half_squared) - 2.0 * jnp.arctan(x) + 0.5 * jnp.pi
    )
    unstable_heat = 2.0 * jnp.log(half_squared)
    return stable_momentum + unstable_momentum, stable_heat + unstable_heat


def exchange(
    shape: Roughness,
    *,
    leaf_area: Any,
    wind: Any,
    air_temperature: Any,
    ground_temperature: Any,
    canopy_temperature: Any,
    reference_height: Any,
    snow_depth: Any = 0.0,
    iterations: int = 2,
) -> Exchange:
    r"""Return the conductances for momentum and for heat from ground and leaves.

    .. math::

        C_M &= k^2 [\ln \tfrac{z_a-d}{z_0} - \psi_m(\zeta)]^{-2} \\
        C_H &= k^2 [\ln \tfrac{z_a-d}{z_0} - \psi_m(\zeta)]^{-1}
               [\ln \tfrac{z_a-d}{z_T} - \psi_h(\zeta)]^{-1} \\
        C_{Hs} &= \text{the same with } z_T^\dagger \text{ and } \zeta_g, \quad
        C_{Hc} = C_H - C_{Hs} \\
        \zeta &= -\frac{(z_a-d) k g [C_{Hs}(T_s-\theta_a) + C_{Hc}(T_c-\theta_a)]}
               {\theta_a C_M^{3/2} V^2}, \quad
        \zeta_g = \text{the same with the ground's share alone.}

    Stability starts from neutral and is improved `iterations` times.

    Parameters
    ----------
    shape : Roughness
        Of the stand.
    leaf_area : array
        Leaf area index, m2 m-2; leaves keep a share of the exchange in proportion.
    wind : array
        Wind speed at the reference height, m s-1.
    air_temperature : array
        Potential temperature of the air relative to the surface, K.
    ground_temperature, canopy_temperature : array
        Of the step before, K.
    reference_height : array
        Height of the wind and the temperature above the ground, m.
    snow_depth : array, default 0
        Added to the displacement, m.
    iterations : int, default 2
        Rounds of stability.

    Returns
    -------
    Exchange
        Conductances, m s-1.
    """
    displacement = jnp.minimum(
        shape.displacement + snow_depth, MAXIMUM_DISPLACEMENT * reference_height
    )
    above = reference_height - displacement
    log_above = jnp.log(above)
    # Where the reference height is inside the stand, the logarithms stay positive.
    log_momentum = jnp.maximum(log_above - shape.log_momentum, _LEAST_LOGARITHM)
    log_heat = jnp.maximum(log_above - shape.log_heat, _LEAST_LOGARITHM)
    log_ground = jnp.maximum(log_above - shape.log_ground_heat, _LEAST_LOGARITHM)
    speed = jnp.maximum(wind, MINIMUM_WIND)
    scale = -above * VON_KARMAN * GRAVITY / (air_temperature * speed**2)
    k2 = VON_KARMAN**2
    least = _LEAST_CANOPY_SHARE * jnp.minimum(leaf_area, 1.0)

    def coefficients(stability: Any, ground_stability: Any) -> tuple[Any, Any, Any]:
        psi_m, psi_h = profile_functions(stability)
        ground_m, ground_h = profile_functions(ground_stability)
        momentum = jnp.maximum(log_momentum - psi_m, _LEAST_SHARE * log_momentum)
        heat = jnp.maximum(log_heat - psi_h, _LEAST_SHARE * log_heat)
        c_h = k2 / (momentum * heat)
        c_ground = k2 / (
            jnp.maximum(log_momentum - ground_m, _LEAST_SHARE * log_momentum)
            * jnp.maximum(log_ground - ground_h, _LEAST_SHARE * log_ground)
        )
        return k2 / momentum**2, c_ground, jnp.maximum(c_h - c_ground, least * c_h)

    c_m, c_ground, c_canopy = coefficients(0.0, 0.0)
    for _ in range(iterations):
        ground = c_ground * (ground_temperature - air_temperature)
        canopy = c_canopy * (canopy_temperature - air_temperature)
        factor = scale / (c_m * jnp.sqrt(c_m))
        c_m, c_ground, c_canopy = coefficients(
            factor * (ground + canopy), factor * ground
        )
    return Exchange(c_m * speed, c_ground * speed, c_canopy * speed)


def potential_temperature(air_temperature: Any, reference_height: Any) -> Any:
    """Return the temperature the air would have if brought down to the surface, K.

    Parameters
    ----------
    air_temperature : array
        At the reference height, K.
    reference_height : array
        In m.

    Returns
    -------
    array
        Air temperature plus the dry adiabatic rate times the height, K.
    """
    return air_temperature + GRAVITY / HEAT_CAPACITY_AIR * reference_height
