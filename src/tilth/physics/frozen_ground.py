"""Freezing ground: what stays liquid below 0 degC, and how deep the frost goes."""

from __future__ import annotations

from typing import Any, NamedTuple

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import GRAVITY, LATENT_HEAT_FUSION, ZERO_CELSIUS
from tilth.core.errors import InputError

__all__ = [
    "NeumannSolution",
    "freezing_head",
    "freezing_temperature",
    "neumann_solution",
    "stefan_depth",
    "unfrozen_water",
]

#: Suction per degree below 0 degC, m K-1.
_HEAD_PER_KELVIN = LATENT_HEAT_FUSION / (GRAVITY * ZERO_CELSIUS)

#: Halvings of the bracket of Neumann's constant: 60 reach the last bit of a double.
_HALVINGS = 60


def freezing_head(temperature: Any) -> Any:
    r"""Head of the water that is in balance with ice.

    .. math:: \psi = \frac{L_f}{g} \frac{T - T_0}{T_0} \quad (T < T_0),

    the Clapeyron equation for ice at atmospheric pressure, linear about T0: 124.6 m of
    suction per degree. Zero above T0.

    Parameters
    ----------
    temperature : array_like
        In K.

    Returns
    -------
    array
        In m, negative below freezing.

    References
    ----------
    Williams & Smith (1989), The Frozen Earth, chapter 7. Dall'Amico et al.
    (2011), Cryosphere 5, 469-484.

    Examples
    --------
    >>> print(f"{float(freezing_head(272.15)):.1f} m")
    -124.6 m
    """
    return _HEAD_PER_KELVIN * jnp.minimum(temperature - ZERO_CELSIUS, 0.0)


def freezing_temperature(head: Any) -> Any:
    """Temperature at which water of a given head starts to freeze, K.

    Parameters
    ----------
    head : array_like
        In m; negative in unsaturated soil.

    Returns
    -------
    array
        The inverse of `freezing_head`, in K; never above 273.15.
    """
    return ZERO_CELSIUS + jnp.minimum(head, 0.0) / _HEAD_PER_KELVIN


def unfrozen_water(temperature: Any, hydraulics: Any) -> Any:
    r"""Greatest liquid water content that a soil can hold at a temperature.

    .. math:: \theta_l = \theta(\psi(T)) ,

    the retention curve at `freezing_head`: freezing dries a soil as evaporation does.

    Parameters
    ----------
    temperature : array_like
        In K.
    hydraulics : ClappHornberger or VanGenuchten
        The soil's curves.

    Returns
    -------
    array
        In m3 m-3.

    References
    ----------
    Spaans & Baker (1996), Soil Sci. Soc. Am. J. 60, 13-19. Niu & Yang (2006), J.
    Hydrometeorol. 7, 937-952 (with Clapp-Hornberger curves).
    """
    return hydraulics.content(freezing_head(temperature))


def stefan_depth(index: Any, conductivity: Any, water: Any) -> Any:
    r"""Depth of frost, or of thaw, of a ground at 0 degC.

    .. math:: z = \sqrt{2 k I / L_f m_w} .

    Parameters
    ----------
    index : array_like
        Degrees below (above) 0 degC at the surface, summed over time, in K s.
    conductivity : float
        Of the layer that has frozen (thawed), in W m-1 K-1.
    water : float
        Mass of the water that changes phase, in kg m-3.

    Returns
    -------
    array
        In m; zero where the index is not positive.

    Raises
    ------
    InputError
        If the conductivity or the water is not positive.

    References
    ----------
    Stefan (1891), Ann. Phys. 278, 269-286.

    Examples
    --------
    >>> print(f"{float(stefan_depth(100 * 86400.0, 2.0, 300.0)):.3f} m")
    0.588 m
    """
    if not (conductivity > 0 and water > 0):
        raise InputError(
            "Stefan's depth needs a positive conductivity and water content, got "
            f"{conductivity} W m-1 K-1 and {water} kg m-3"
        )
    index = jnp.asarray(index, float)
    positive = index > 0.0
    safe = jnp.where(positive, index, 1.0)
    depth = jnp.sqrt(2.0 * conductivity * safe / (water * LATENT_HEAT_FUSION))
    return jnp.where(positive, depth, 0.0)


class NeumannSolution(NamedTuple):
    """What `neumann_solution` returns."""

    #: Depth of the frost, m.
    depth: Any
    #: Temperature at the depths asked for, K.
    temperature: Any
    #: Neumann's constant: depth / (2 sqrt(frozen diffusivity * time)).
    constant: Any


def neumann_solution(
    depth: Any,
    time: Any,
    *,
    surface: float,
    initial: float,
    water: float,
    conductivity: tuple[float, float],
    heat_capacity: tuple[float, float],
) -> NeumannSolution:
    r"""Frost that enters a half-space whose surface is suddenly held below 0 degC.

    The front is at :math:`X = 2 \lambda \sqrt{\kappa_f t}`; heat balances there where

    .. math:: \frac{k_f (T_0 - T_s)}{\sqrt{\kappa_f}}
       \frac{e^{-\lambda^2}}{\mathrm{erf}\,\lambda}
       - \frac{k_u (T_i - T_0)}{\sqrt{\kappa_u}}
       \frac{e^{-\lambda^2 r^2}}{\mathrm{erfc}(\lambda r)}
       = \sqrt{\pi} L_f m_w \lambda \sqrt{\kappa_f}, \quad
       r = \sqrt{\kappa_f / \kappa_u} ,

    which has one root.

    Parameters
    ----------
    depth : array_like
        Where the temperature is wanted, in m.
    time : float
        Since the surface was cooled, in s.
    surface, initial : float
        Temperature of the surface (below 273.15) and of the ground (not below), in K.
    water : float
        Mass of the water that freezes, all of it at 273.15 K, in kg m-3.
    conductivity : tuple of float
        Of frozen and unfrozen ground, in W m-1 K-1.
    heat_capacity : tuple of float
        Of frozen and unfrozen ground, in J m-3 K-1.

    Returns
    -------
    NeumannSolution
        Depth of the front, temperature at `depth`, Neumann's constant.

    Raises
    ------
    InputError
        If the surface is not below 273.15 K, or the ground is below it.

    References
    ----------
    Carslaw & Jaeger (1959), Conduction of Heat in Solids, section 11.2.
    """
    if not surface < ZERO_CELSIUS <= initial:
        raise InputError(
            f"Neumann's solution freezes a thawed ground ({ZERO_CELSIUS} K or warmer) "
            f"from a surface below {ZERO_CELSIUS} K; got a ground of {initial} K under "
            f"a surface of {surface} K"
        )
    erf, erfc = jax.scipy.special.erf, jax.scipy.special.erfc
    (k_f, k_u), (c_f, c_u) = conductivity, heat_capacity
    kappa_f, kappa_u = k_f / c_f, k_u / c_u
    ratio = jnp.sqrt(kappa_f / kappa_u)
    cold, warm = ZERO_CELSIUS - surface, initial - ZERO_CELSIUS
    latent = LATENT_HEAT_FUSION * water

    def excess(x):
        """Heat drawn out of the front, less heat brought to it and set free there."""
        out = k_f * cold / jnp.sqrt(kappa_f) * jnp.exp(-(x**2)) / erf(x)
        y = x * ratio
        brought = k_u * warm / jnp.sqrt(kappa_u) * jnp.exp(-(y**2)) / erfc(y)
        return out - brought - jnp.sqrt(jnp.pi) * latent * x * jnp.sqrt(kappa_f)

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        more = excess(middle) > 0.0
        return jnp.where(more, middle, low), jnp.where(more, high, middle)

    # erfc must stay above zero at the upper end; the root of a soil is far below.
    highest = jnp.minimum(5.0, 20.0 / ratio)
    low, high = jax.lax.fori_loop(0, _HALVINGS, halve, (1e-12 * highest, highest))
    root = 0.5 * (low + high)
    front = 2.0 * root * jnp.sqrt(kappa_f * time)
    depth = jnp.asarray(depth, float)
    spread = depth / (2.0 * jnp.sqrt(kappa_f * time))
    frozen = surface + cold * erf(spread) / erf(root)
    thawed = initial - warm * erfc(spread * ratio) / erfc(root * ratio)
    return NeumannSolution(front, jnp.where(depth < front, frozen, thawed), root)
