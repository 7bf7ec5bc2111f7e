"""Tridiagonal systems along the layer axis: unrolled for few layers, scanned for many.

The layers are the first axis; everything behind it (tiles, cells) is solved side by
side. Elimination runs from the bottom up, because the top row that it leaves is what
a surface energy balance needs: see `top_row`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tilth.core.accelerate import jax, jnp

__all__ = ["solve", "sweep", "top_row"]

#: Up to this many layers a loop is written out. Conducting heat through 6 layers then
#: takes half the time of a scan; at 12 layers the gain is gone, at 40 compiling takes
#: ten times as long (one core, 1 and 1000 cells).
_FEW_LAYERS = 10


def sweep(step: Callable, carry: Any, layers: Any, *, upward: bool = False) -> Any:
    """Carry something from layer to layer, and keep what each layer makes of it.

    Parameters
    ----------
    step : callable
        ``step(carry, layer) -> (carry, result)``, as for `jax.lax.scan`.
    carry : pytree
        What enters the first layer that is visited.
    layers : pytree of arrays (layer, ...)
        One slice goes to each step.
    upward : bool, optional
        From the last layer to the first.

    Returns
    -------
    carry, results
        What leaves the last layer visited; the results, stacked in layer order.
    """
    count = jax.tree.leaves(layers)[0].shape[0]
    if count > _FEW_LAYERS:
        return jax.lax.scan(step, carry, layers, reverse=upward)
    order = range(count - 1, -1, -1) if upward else range(count)
    results: list = [None] * count
    for k in order:
        layer = jax.tree.map(lambda x, k=k: x[k], layers)
        carry, results[k] = step(carry, layer)
    return carry, jax.tree.map(lambda *rows: jnp.stack(rows), *results)


def _eliminated(lower: Any, diagonal: Any, upper: Any, right: Any) -> tuple:
    """Eliminate the upper diagonal from the bottom up; pivots and right-hand sides."""
    # What the row below would put into this one: lower[k+1] multiplies x[k] there.
    below = jnp.concatenate([lower[1:], jnp.zeros_like(lower[:1])])
    no_upper = jnp.concatenate([upper[:-1], jnp.zeros_like(upper[:1])])

    def step(carry, row):
        pivot, reduced = carry
        from_below, d, u, r = row
        factor = u / pivot
        pivot = d - factor * from_below
        reduced = r - factor * reduced
        return (pivot, reduced), (pivot, reduced)

    start = (jnp.ones_like(diagonal[0]), jnp.zeros_like(right[0]))
    _, (pivots, reduced) = sweep(
        step, start, (below, diagonal, no_upper, right), upward=True
    )
    return pivots, reduced


def solve(lower: Any, diagonal: Any, upper: Any, right: Any) -> Any:
    r"""Solve a tridiagonal system along the first axis (Thomas's algorithm).

    .. math:: a_k x_{k-1} + b_k x_k + c_k x_{k+1} = d_k .

    No pivoting: meant for diagonally dominant rows, which diffusion always gives.

    Parameters
    ----------
    lower, diagonal, upper, right : array (layer, ...)
        a, b, c, d; the first of `lower` and the last of `upper` are not used. All of
        one shape.

    Returns
    -------
    array (layer, ...)
        x.

    References
    ----------
    Press et al. (2007), Numerical Recipes, section 2.4.

    Examples
    --------
    >>> import numpy as np
    >>> a, b, c = np.full(3, -1.0), np.full(3, 2.0), np.full(3, -1.0)
    >>> print(solve(a, b, c, np.array([1.0, 0.0, 1.0])))
    [1. 1. 1.]
    """
    lower, diagonal, upper, right = jnp.broadcast_arrays(lower, diagonal, upper, right)
    pivots, reduced = _eliminated(lower, diagonal, upper, right)
    first = jnp.concatenate([jnp.zeros_like(lower[:1]), lower[1:]])

    def step(above, row):
        a, pivot, r = row
        x = (r - a * above) / pivot
        return x, x

    return sweep(step, jnp.zeros_like(right[0]), (first, pivots, reduced))[1]


def top_row(lower: Any, diagonal: Any, upper: Any, right: Any) -> tuple[Any, Any]:
    """Reduce a tridiagonal system to one equation for its first unknown.

    Parameters
    ----------
    lower, diagonal, upper, right : array (layer, ...)
        As for `solve`.

    Returns
    -------
    pivot, right : array (...)
        ``pivot * x[0] = right``; what is added to ``right[0]`` of the system adds to
        `right` unchanged.
    """
    lower, diagonal, upper, right = jnp.broadcast_arrays(lower, diagonal, upper, right)
    pivots, reduced = _eliminated(lower, diagonal, upper, right)
    return pivots[0], reduced[0]
