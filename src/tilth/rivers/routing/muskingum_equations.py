r"""Muskingum routing in JAX, for gradients to k, x, inflow and the flow at the start.

The system of a sub-step is :math:`(\mathbf{I} - C_1 N) Q = b`. Every reach flows into
one other, so each column of :math:`M = C_1 N` has one entry, and so has each column of
:math:`M^2, M^4, \dots`: where one gets by 2, 4, ... reaches down the river, and the
product of the weights on the way. Then

.. math:: (\mathbf{I} - M)^{-1} b = (\mathbf{I} + M)(\mathbf{I} + M^2)(\mathbf{I} + M^4)
          \dots b

needs one scatter for each doubling of the longest river, and no sweep.
"""

from __future__ import annotations

import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.rivers.routing.muskingum_kernel import coefficients

__all__ = ["simulate_muskingum"]

Array = jax.Array


def simulate_muskingum(
    travel_time: Array,
    weight: Array,
    downstream: np.ndarray,
    flow: Array,
    inflow: Array,
    time_step: float,
    steps: int,
) -> tuple[Array, Array]:
    """Route lateral inflow as `route_muskingum` does, without its checks.

    Sub-steps within an interval are computed anew on the way back of a reverse
    derivative: memory grows with the number of intervals, not of sub-steps.

    Parameters
    ----------
    travel_time, weight : array, shape (reach)
        k in s and x.
    downstream : numpy.ndarray of int, shape (reach)
        Position of the next reach, negative at a terminal; plain numbers, also under
        `jax.jit`.
    flow : array, shape (reach)
        Flow out of every reach at the start, m3 s-1.
    inflow : array, shape (interval, reach)
        Lateral inflow, m3 s-1.
    time_step : float
        Sub-step, s.
    steps : int
        Sub-steps in an interval.

    Returns
    -------
    array, array
        The flow after the last sub-step (reach), and the means of the flows at the
        start of the sub-steps of each interval (interval, reach), m3 s-1.
    """
    n = downstream.size
    ends = downstream < 0
    target = jnp.asarray(np.where(ends, n, downstream))
    weights = coefficients(travel_time, weight, time_step)
    jumps = _doublings(downstream)
    # Weight of the way of 1, 2, 4, ... reaches from each; none beyond the terminal.
    padded = jnp.append(weights.inflow, 0.0)
    shares = [padded[jumps[0]]] if jumps else []
    for here in jumps[:-1]:
        shares.append(shares[-1] * jnp.append(shares[-1], 0.0)[here])

    def received(flow: Array) -> Array:
        return jax.ops.segment_sum(flow, target, n + 1)[:n]

    def solve(right: Array) -> Array:
        for place, share in zip(jumps, shares, strict=True):
            right += jax.ops.segment_sum(share * right, place, n + 1)[:n]
        return right

    @jax.checkpoint
    def interval(flow: Array, external: Array) -> tuple[Array, Array]:
        lateral = weights.lateral * external

        def step(now: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
            flow, total = now
            known = weights.inflow_before * received(flow) + weights.flow * flow
            return (solve(known + lateral), total + flow), None

        start = (flow, jnp.zeros_like(flow))
        (flow, total), _ = jax.lax.scan(step, start, None, length=steps)
        return flow, total / steps

    return jax.lax.scan(interval, jnp.asarray(flow), jnp.asarray(inflow))


def _doublings(downstream: np.ndarray) -> list[np.ndarray]:
    """Return where one gets by 1, 2, 4, ... reaches; n where that is out."""
    n = downstream.size
    place = np.append(np.where(downstream < 0, n, downstream), n)
    found = []
    while (place[:n] < n).any():
        found.append(place[:n])
        place = place[place]
    return found
