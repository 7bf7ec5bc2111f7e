"""The root of a scalar equation in every cell at once, with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tilth.core.accelerate import jax, jnp

Array = Any


def bracketed_root(
    function: Callable[[Array], Array],
    lower: Array,
    upper: Array,
    *,
    tolerance: Array,
    iterations: int = 60,
) -> Array:
    r"""Root of an element-wise function between two bounds, by Chandrupatla's method.

    Inverse quadratic interpolation where the three last points allow it, bisection
    elsewhere: it converges like the first and fails like the second. The loop ends
    when every cell has converged. The derivative comes from the implicit function
    theorem, :math:`dx = -(\partial f/\partial x)^{-1}\,\partial f/\partial\theta\,
    d\theta`, and not from the iterations.

    Parameters
    ----------
    function : callable
        Maps an array to an array of the same shape, cell by cell; may close over
        traced values.
    lower, upper : array_like
        Bounds between which the function changes sign; of one shape.
    tolerance : array_like
        A cell has converged when the absolute value of the function is at most this.
    iterations : int
        Evaluations after which the loop ends in any case; 60 bisections shrink the
        bracket to rounding.

    Returns
    -------
    jax.Array
        The root. Where the function has one sign, the bound where it is smaller.

    References
    ----------
    Chandrupatla (1997), Advances in Engineering Software 28, 145-149.

    Examples
    --------
    >>> import jax.numpy as jnp
    >>> square_root = lambda a: bracketed_root(
    ...     lambda x: x * x - a, jnp.zeros(()), jnp.maximum(a, 1.0), tolerance=1e-14
    ... )
    >>> round(float(square_root(jnp.asarray(2.0))), 12)
    1.414213562373
    """
    lower, upper = jnp.broadcast_arrays(
        jnp.asarray(lower, float), jnp.asarray(upper, float)
    )

    def solve(f: Callable[[Array], Array], guess: Array) -> Array:
        return _chandrupatla(f, guess, upper, tolerance, iterations)

    return jax.lax.custom_root(
        function, lower, solve, lambda g, y: y / _safe_slope(g(jnp.ones_like(y)))
    )


def _safe_slope(slope: Array) -> Array:
    """Keep a flat function's derivative finite: such a root has no derivative."""
    return jnp.where(slope == 0.0, jnp.inf, slope)


def _chandrupatla(
    f: Callable[[Array], Array],
    lower: Array,
    upper: Array,
    tolerance: Array,
    iterations: int,
) -> Array:
    """Newest point a, bracket a-b, point before them c; t is where to look in a-b.

    The bounds are the first two points of the same loop: the function is compiled
    once, which is most of the cost of a program that is run a few times.
    """

    def best(fa: Array, fb: Array) -> Array:
        return jnp.minimum(jnp.abs(fa), jnp.abs(fb))

    def unfinished(state: tuple[Array, ...]) -> Array:
        count, a, b, fa, fb, _ = state
        # Neighbours in floating point: nothing lies between them.
        wide = jnp.abs(a - b) > 4e-16 * jnp.maximum(jnp.abs(a), jnp.abs(b))
        going = jnp.any(wide & (best(fa, fb) > tolerance))
        return (count < 2) | ((count < iterations) & going)

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        count, a, b, fa, fb, t = state
        x = jnp.where(count == 0, upper, jnp.where(count == 1, lower, a + t * (b - a)))
        fx = f(x)
        same = (jnp.sign(fx) == jnp.sign(fa)) & (count != 1)
        c, fc = jnp.where(same, a, b), jnp.where(same, fa, fb)
        b, fb = jnp.where(same, b, a), jnp.where(same, fb, fa)
        # Bounds of one sign bracket nothing: the better one is all there is to give.
        stuck = (count == 1) & (jnp.sign(fx) == jnp.sign(fb))
        worse = stuck & (jnp.abs(fx) > jnp.abs(fb))
        x, fx = jnp.where(worse, b, x), jnp.where(worse, fb, fx)
        b, fb = jnp.where(stuck, x, b), jnp.where(stuck, fx, fb)
        secant = jnp.clip(_ratio(fx, fx - fb), 0.05, 0.95)
        t = jnp.where(count == 1, secant, _where_next(x, b, c, fx, fb, fc))
        # A cell that has converged stays where it is, whatever its neighbours need.
        t = jnp.where(best(fx, fb) <= tolerance, 0.0, t)
        return count + 1, x, b, fx, fb, t

    unset = jnp.ones_like(lower)
    start = (0, upper, upper, unset, unset, unset)
    _, a, b, fa, fb, _ = jax.lax.while_loop(unfinished, step, start)
    return jnp.where(jnp.abs(fa) <= jnp.abs(fb), a, b)


def _ratio(x: Array, y: Array) -> Array:
    return x / jnp.where(y == 0.0, 1.0, y)


def _where_next(a: Array, b: Array, c: Array, fa: Array, fb: Array, fc: Array) -> Array:
    """Return the place of the next look between a (0) and b (1)."""
    xi, phi = _ratio(a - b, c - b), _ratio(fa - fb, fc - fb)
    quadratic = (phi**2 < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
    look = _ratio(fa, fb - fa) * _ratio(fc, fb - fc) + _ratio(c - a, b - a) * _ratio(
        fa, fc - fa
    ) * _ratio(fb, fc - fb)
    return jnp.where(quadratic, jnp.clip(look, 1e-9, 1.0 - 1e-9), 0.5)
