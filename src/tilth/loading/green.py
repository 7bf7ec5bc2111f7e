r"""Green's functions of surface loads, exact in the near field, from Love numbers.

The sums over degrees converge slowly, because the Love numbers tend to constants. What
the constants add up to is known in closed form, so that only the rest is summed
(Kummer's acceleration), once, into a table over the logarithm of
:math:`\tan(\gamma/4)`, in which it is smooth from the load to its antipode. Distances
are given as the chord :math:`c = 2\sin(\gamma/2)`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numba
import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError

if TYPE_CHECKING:
    from tilth.loading.love import LoveNumbers

Component = Literal["vertical", "horizontal", "geoid"]
COMPONENTS: tuple[Component, ...] = ("vertical", "horizontal", "geoid")

#: Shortest distance of the table, rad: 0.6 m.
SHORTEST = 1e-7

#: Intervals of the table; cubic interpolation between them errs by 1e-9 of the value
#: near the load and 1e-7 across the globe.
_INTERVALS = 2048

#: Nodes and weights of the quadrature within an interval.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)


class GreenFunctions(NamedTuple):
    r"""Displacement by a unit mass, and by a cap around the place, for one Earth.

    Made by `green_functions`; an immutable tree of arrays, so that compiled functions
    take it as an argument.

    Parameters
    ----------
    point : array, shape (3, nodes)
        What is left of vertical, horizontal and geoid for a point mass beside its
        closed form; the horizontal over the sine of the distance.
    cap : array, shape (3, nodes)
        What is left of their integrals from the point out to the chord, over
        :math:`c^2/2`, :math:`c^3/3` and :math:`c^2/2`.
    limits : array, shape (3,)
        :math:`h_\infty`, :math:`(n l)_\infty`, :math:`(n k)_\infty`.
    degree_zero : array, shape ()
        :math:`h_0`.
    radius, mass : array, shape ()
        Of the Earth, m and kg.
    """

    point: Any
    cap: Any
    limits: Any
    degree_zero: Any
    radius: Any
    mass: Any


def green_functions(love: LoveNumbers) -> GreenFunctions:
    """Sum up the Green's functions of an Earth.

    Parameters
    ----------
    love : LoveNumbers
        Of the Earth, in the frame that displacements are wanted in.

    Returns
    -------
    GreenFunctions
        Tables for `point_response` and `cap_response`.

    References
    ----------
    Farrell (1972), Reviews of Geophysics 10, 761-797, section 3 and appendix 3.
    """
    degree = np.arange(love.highest_degree + 1)
    one = np.maximum(degree, 1)
    limits = np.array([love.h[-1], (degree * love.l)[-1], (degree * love.k)[-1]])
    rest = np.stack(
        [
            love.h - limits[0],
            (degree * love.l - limits[1]) / one,
            (degree * love.k - limits[2]) / one,
        ]
    )
    rest[1:, 0] = 0.0  # no horizontal motion of degree 0, no change of the potential
    edges = _nodes()
    width = edges[1] - edges[0]
    inner = (edges[:-1, None] + width * (_NODES + 1.0) / 2.0).ravel()
    chord, _ = _chord(edges)
    point = _rest_sums(chord, rest)
    within_chord, within_sine = _chord(inner)
    within = _rest_sums(within_chord, rest)
    within[1] *= within_sine
    # sin(gamma) d(gamma) = c sin(gamma) dx, since dx = d(gamma) / c.
    area = within_chord * within_sine * np.tile(_WEIGHTS, edges.size - 1) * width / 2.0
    pieces = (within * area).reshape(3, edges.size - 1, _NODES.size).sum(axis=-1)
    powers = np.stack([chord**2 / 2.0, chord**3 / 3.0, chord**2 / 2.0])
    begin = point[:, :1] * powers[:, :1]
    cap = np.concatenate([begin, begin + np.cumsum(pieces, axis=1)], axis=1) / powers
    return GreenFunctions(
        point, cap, limits, np.asarray(love.h[0]), *map(np.asarray, _size(love))
    )


@functools.partial(jax.jit, static_argnames="component")
def point_response(
    green: GreenFunctions, chord: Any, component: Component = "vertical"
) -> Any:
    r"""Return the displacement by a mass of 1 kg at some distance.

    .. math::

        u &= \frac{a}{M} \sum_n h_n P_n(\cos\gamma)
           = \frac{a}{M} \Big[\frac{h_\infty}{c}
             + \sum_n (h_n - h_\infty) P_n\Big] \\
        v &= \frac{a}{M} \Big[-(n l)_\infty
             \frac{\cos(\gamma/2)(1 + c)}{c (1 + c/2)}
             + \sum_n \frac{n l_n - (n l)_\infty}{n} \frac{dP_n}{d\gamma}\Big]

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth.
    chord : array_like
        Straight distance :math:`c = 2 \sin(\gamma/2)` in radii of the Earth, above 0.
    component : {"vertical", "horizontal", "geoid"}
        Up; away from the load; up, of the equipotential surface.

    Returns
    -------
    JAX array of the shape of `chord`
        m kg-1.

    Raises
    ------
    InputError
        If there is no such component.
    """
    which = _index(component)
    c = jnp.asarray(chord)
    limit = green.limits[which]
    rest = _look_up(green.point[which], c)
    if component == "vertical":
        value = limit / c + rest
    elif component == "horizontal":
        value = -limit * _half_cosine(c) * (1 + c) / (
            c * (1 + c / 2)
        ) + rest * c * _half_cosine(c)
    else:
        value = 1.0 / c - limit * jnp.log(c / 2 * (1 + c / 2)) + rest
    return value * green.radius / green.mass


@functools.partial(jax.jit, static_argnames="component")
def cap_response(
    green: GreenFunctions, chord: Any, component: Component = "vertical"
) -> Any:
    r"""Return the integral of a Green's function out to some distance.

    With :math:`g` of `point_response`,

    .. math:: F(c) = \int_0^\gamma g(\gamma') \sin\gamma' \, d\gamma' ,

    so that a load of surface density 1 kg m-2 over any region moves a place by
    :math:`a^2 \oint F \, d\varphi` (times the cosine of the azimuth for the horizontal)
    around the region's border, :math:`\varphi` being the azimuth under which the place
    sees it: no singular point is left, wherever the place is.

    Parameters
    ----------
    green : GreenFunctions
        Of the Earth.
    chord : array_like
        :math:`c = 2 \sin(\gamma/2)`, not negative.
    component : {"vertical", "horizontal", "geoid"}
        As of `point_response`.

    Returns
    -------
    JAX array of the shape of `chord`
        m kg-1 (times the solid angle, per radian of azimuth).

    Raises
    ------
    InputError
        If there is no such component.
    """
    which = _index(component)
    c = jnp.asarray(chord)
    s = c / 2.0
    limit = green.limits[which]
    rest = _look_up(green.cap[which], c)
    if component == "vertical":
        value = limit * c + rest * c**2 / 2.0
    elif component == "horizontal":
        half = _half_cosine(c)
        # 2 cos(g/2) - 2 - sin(g), without the difference of two numbers near 2
        closed = -2.0 * s**2 / (1.0 + half) - c * half
        value = limit * closed + rest * c**3 / 3.0
    else:
        safe = jnp.where(s > 0.0, s, 1.0)
        logs = s**2 * jnp.log(safe) + (s**2 - 1.0) * jnp.log1p(s) - s**2 + s
        value = c - 2.0 * limit * logs + rest * c**2 / 2.0
    return value * green.radius / green.mass


def _size(love: LoveNumbers) -> tuple[float, float]:
    """Return radius and mass."""
    return love.radius, love.mass


def _index(component: str) -> int:
    """Return the row of a component."""
    if component not in COMPONENTS:
        raise InputError(
            f"a component is one of {', '.join(COMPONENTS)}, got {component!r}"
        )
    return COMPONENTS.index(component)


def _half_cosine(chord: Any) -> Any:
    """Return the cosine of half the angle of a chord."""
    square = 1.0 - chord**2 / 4.0
    safe = jnp.where(square > 0.0, square, 1.0)  # finite gradients at the antipode
    return jnp.where(square > 0.0, jnp.sqrt(safe), 0.0)


@functools.cache
def _nodes() -> np.ndarray:
    """Return ln(tan(gamma / 4)) of the nodes of the table."""
    return np.linspace(np.log(SHORTEST / 4.0), 0.0, _INTERVALS + 1)


def _chord(nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the chord and the sine of the angle at some nodes."""
    quarter = np.arctan(np.exp(nodes))
    return 2.0 * np.sin(2.0 * quarter), np.sin(4.0 * quarter)


def _look_up(table: Any, chord: Any) -> Any:
    """Return a table's values by cubic interpolation."""
    nodes = _nodes()
    step = nodes[1] - nodes[0]
    safe = jnp.clip(chord, SHORTEST, 2.0)
    tangent = safe / 2.0 / (1.0 + _half_cosine(safe))
    position = (jnp.log(tangent) - nodes[0]) / step
    i = jnp.clip(jnp.floor(position).astype(int), 1, _INTERVALS - 2)
    t = position - i
    a, b, c, d = (jnp.asarray(table)[i + k] for k in (-1, 0, 1, 2))
    return (
        -a * t * (t - 1) * (t - 2) / 6
        + b * (t + 1) * (t - 1) * (t - 2) / 2
        - c * (t + 1) * t * (t - 2) / 2
        + d * (t + 1) * t * (t - 1) / 6
    )


@numba.njit(cache=True)
def _rest_sums(chord: np.ndarray, rest: np.ndarray) -> np.ndarray:
    """Return sums over degrees of what is left, times P_n, -dP_n/dx and P_n."""
    sums = np.zeros((3, chord.size))
    degrees = rest.shape[1]
    for i in range(chord.size):
        c = chord[i]
        short = c * c / 2.0  # 1 - x: the recursions in it lose no digits near the load
        before, value = 1.0, 1.0 - short
        slope = 1.0  # dP/dx
        vertical = rest[0, 0] + rest[0, 1] * value
        horizontal = -rest[1, 1] * slope
        geoid = rest[2, 1] * value
        for n in range(2, degrees):
            x_slope = slope - short * slope
            following = value + (n - 1) / n * (value - before)
            following -= (2 * n - 1) / n * short * value
            slope = n * value + x_slope
            before, value = value, following
            vertical += rest[0, n] * value
            horizontal -= rest[1, n] * slope
            geoid += rest[2, n] * value
        sums[0, i], sums[1, i], sums[2, i] = vertical, horizontal, geoid
    return sums
