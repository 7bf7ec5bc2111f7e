r"""Loads on discs: a uniform layer within some angular distance of a centre.

Seen from a place, the border of a disc is a circle in stereographic projection, and the
displacement an integral along it (`tilth.loading.green.cap_response`). The integral is
smooth but where the place is near the border; there the nodes gather.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.loading.green import GreenFunctions, cap_response

if TYPE_CHECKING:
    from tilth.loading.love import LoveNumbers

#: Nodes along half the border.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)

#: Least distance from the border that nodes gather to, radii of the disc.
_NEAREST = 1e-9


class DiscResponse(NamedTuple):
    """What a place does under the load of a disc.

    Parameters
    ----------
    up, away, geoid : array
        Displacement upward and away from the disc's centre, and of the equipotential
        surface upward, m per kg m-2.
    """

    up: Any
    away: Any
    geoid: Any


def disc_response(
    green: GreenFunctions, distance: Any, radius: Any, *, compensated: bool = False
) -> DiscResponse:
    r"""Return the displacement by a disc of surface density 1 kg m-2.

    .. math::

        u(\theta) = a^2 \int_{disc} g_u \, d\Omega = a^2 \oint F_u(c) \, d\varphi ,
        \qquad v(\theta) = a^2 \oint F_v(c) \cos\varphi \, d\varphi ,

    exact but for rounding and the quadrature (1e-7), without the oscillations of a sum
    that ends. Differentiable in all arguments but at the border, where the vertical
    has a kink of infinite slope.

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth.
    distance : array_like
        Angular distance :math:`\theta` of the place from the centre, rad, 0 to pi.
    radius : array_like
        Angular radius :math:`\alpha` of the disc, rad, above 0 and below pi.
    compensated : bool, default False
        Take the mass evenly from the rest of the sphere, so that none is added.

    Returns
    -------
    DiscResponse
        Arrays of the common shape.

    Raises
    ------
    InputError
        If a distance or radius known now is out of its range.

    References
    ----------
    Bevis, Melini & Spada (2016), Geophysical Journal International 205, 1804-1812,
    for the sum; Farrell (1972), Reviews of Geophysics 10, 761-797.
    """
    _check(distance, "a distance from a disc", 0.0, np.pi)
    _check(radius, "the radius of a disc", 1e-12, np.pi * (1.0 - 1e-12))
    return _response(green, distance, radius, compensated)


@functools.partial(jax.jit, static_argnames="compensated")
def _response(
    green: GreenFunctions, distance: Any, radius: Any, compensated: bool
) -> DiscResponse:
    """Return the response to discs of any size, with or without a layer elsewhere."""
    theta, alpha = jnp.broadcast_arrays(
        jnp.asarray(distance, float), jnp.asarray(radius, float)
    )
    # A disc that holds the antipode is the sphere without the disc opposite.
    inverse = theta + alpha > np.pi
    seen = jnp.where(inverse, np.pi - theta, theta)
    size = jnp.where(inverse, np.pi - alpha, alpha)
    up, away, geoid = _border_integrals(green, seen, size)
    whole = [
        2.0 * np.pi * cap_response(green, 2.0, name) for name in ("vertical", "geoid")
    ]
    square = green.radius**2
    up = square * jnp.where(inverse, whole[0] - up, up)
    away = square * away
    geoid = square * jnp.where(inverse, whole[1] - geoid, geoid)
    if not compensated:
        return DiscResponse(up, away, geoid)
    # Of degree 0 nothing is left; the layer taken elsewhere adds to all the others.
    share = jnp.sin(alpha / 2.0) ** 2 * 4.0 * np.pi * square * green.radius / green.mass
    factor = 1.0 / jnp.cos(alpha / 2.0) ** 2
    return DiscResponse(
        factor * (up - green.degree_zero * share),
        factor * away,
        factor * (geoid - share),
    )


def _border_integrals(
    green: GreenFunctions, theta: Any, alpha: Any
) -> tuple[Any, Any, Any]:
    """Return the integrals around the border of discs without the antipode."""
    theta, alpha = theta[..., None], alpha[..., None]
    # The border in stereographic projection from the place: a circle about a centre,
    # reached from its nearest point on.
    near = 2.0 * jnp.tan((theta - alpha) / 2.0)
    far = 2.0 * jnp.tan((theta + alpha) / 2.0)
    centre, reach = (near + far) / 2.0, (far - near) / 2.0
    gap = jnp.maximum(jnp.abs(near) / reach, _NEAREST)
    spread = jnp.arcsinh(np.pi / gap)
    share = (_NODES + 1.0) / 2.0
    turn = gap * jnp.sinh(spread * share)
    step = gap * spread * jnp.cosh(spread * share) * _WEIGHTS / 2.0
    rise = 2.0 * jnp.sin(turn / 2.0) ** 2  # 1 - cos(turn)
    x, y = near + reach * rise, reach * jnp.sin(turn)
    square = x**2 + y**2
    azimuth = reach * (centre * rise - near) / square * step  # its change
    chord = 2.0 * jnp.sqrt(square / (4.0 + square))
    toward = x / jnp.sqrt(square)
    up, away, geoid = (
        cap_response(green, chord, name) * azimuth
        for name in ("vertical", "horizontal", "geoid")
    )
    return (
        2.0 * up.sum(axis=-1),
        2.0 * (away * toward).sum(axis=-1),
        2.0 * geoid.sum(axis=-1),
    )


def disc_sum(
    love: LoveNumbers, distance: Any, radius: Any, *, highest_degree: int = 40_000
) -> DiscResponse:
    r"""Return the same by the plain sum over degrees, up to one of them.

    .. math::

        u = \frac{2 \pi a^3}{M} \sum_{n=0}^{N} h_n
            \frac{P_{n-1}(\cos\alpha) - P_{n+1}(\cos\alpha)}{2 n + 1}
            P_n(\cos\theta)

    It overshoots around the border and needs N well beyond 2 x 360 deg / radius: for
    comparison with programs that sum.

    Parameters
    ----------
    love : LoveNumbers
        Of the Earth.
    distance, radius : array_like
        As of `disc_response`, plain numbers.
    highest_degree : int, default 40000
        Last degree of the sum; beyond the table the Love numbers go on as their limits.

    Returns
    -------
    DiscResponse
        NumPy arrays, m per kg m-2.

    References
    ----------
    Bevis, Melini & Spada (2016), Geophysical Journal International 205, 1804-1812.
    """
    theta, alpha = np.broadcast_arrays(
        np.asarray(distance, float), np.asarray(radius, float)
    )
    numbers = np.stack(_continued(love, highest_degree))
    sums = _sums(theta.ravel(), alpha.ravel(), numbers)
    scaled = 2.0 * np.pi * love.radius**3 / love.mass * sums
    return DiscResponse(*scaled.reshape(3, *theta.shape))


def _continued(love: LoveNumbers, highest: int) -> tuple[np.ndarray, ...]:
    """Return h, l and 1 + k up to a degree, beyond the table by their limits."""
    n = np.arange(highest + 1)
    here = n <= love.highest_degree
    last = love.highest_degree
    known = np.minimum(n, last)
    decay = np.where(here, 1.0, last / np.maximum(n, 1))
    return love.h[known], love.l[known] * decay, 1.0 + love.k[known] * decay


@numba.njit(cache=True)
def _sums(theta: np.ndarray, alpha: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the sums over degrees, each with its lost digits kept (Kahan)."""
    result = np.zeros((3, theta.size))
    for i in range(theta.size):
        x, sine = np.cos(theta[i]), np.sin(theta[i])
        edge = np.cos(alpha[i])
        before, value, slope = 1.0, x, 1.0
        edge_before, edge_value = 1.0, edge
        total, lost = np.zeros(3), np.zeros(3)
        term = np.zeros(3)
        area = 1.0 - edge
        total[0], total[2] = numbers[0, 0] * area, numbers[2, 0] * area
        for n in range(1, numbers.shape[1]):
            edge_next = ((2 * n + 1) * edge * edge_value - n * edge_before) / (n + 1)
            area = (edge_before - edge_next) / (2 * n + 1)
            term[0] = numbers[0, n] * area * value
            term[1] = -numbers[1, n] * area * sine * slope
            term[2] = numbers[2, n] * area * value
            for k in range(3):
                corrected = term[k] - lost[k]
                raised = total[k] + corrected
                lost[k] = (raised - total[k]) - corrected
                total[k] = raised
            following = ((2 * n + 1) * x * value - n * before) / (n + 1)
            slope = (n + 1) * value + x * slope
            before, value = value, following
            edge_before, edge_value = edge_value, edge_next
        result[:, i] = total
    return result


def _check(values: Any, what: str, low: float, high: float) -> None:
    """Raise where a plain value is out of range; a traced one cannot be looked at."""
    if isinstance(values, jax.core.Tracer):
        return
    plain = np.asarray(values, float)
    bad = ~((plain >= low) & (plain <= high))
    if bad.any():
        raise InputError(
            f"{what} is an angle from {low:g} to {high:.6g} rad, got "
            f"{plain[bad].ravel()[0]:g}"
        )
