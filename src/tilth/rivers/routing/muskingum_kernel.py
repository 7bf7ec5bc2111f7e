r"""Muskingum routing compiled: the network swept once per sub-step, upstream first.

With the inflow from upstream :math:`I = N Q` (:math:`N` has a one at [downstream,
upstream]) and lateral inflow :math:`q`, a reach that stores
:math:`S = k [x I + (1 - x) Q]` obeys :math:`\dot S = I + q - Q`. The trapezoidal rule
over a sub-step gives

.. math::

    Q_1 = C_1 I_1 + C_2 I_0 + C_3 Q_0 + (C_1 + C_2) q,

which is RAPID's :math:`(\mathbf{I} - C_1 N) Q_1 = C_1 q + C_2 (N Q_0 + q) + C_3 Q_0`.
The matrix is triangular with the reaches in the order of the flow, so one sweep solves
it. Written this way the water of lateral inflow enters at the rate it is given and the
ledger closes across jumps of it too.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from tilth.rivers.network.model import RiverNetwork

#: Flow below which a reach is dry, m3 s-1: a flow that decays for months would else
#: end in numbers so small that processors handle them a hundred times slower.
DRY = 1e-200

#: Reaches of a block of whole basins: their arrays, about 70 bytes a reach, stay in
#: a core's own cache for all sub-steps of an interval.
BLOCK = 4096


class Coefficients(NamedTuple):
    """Weights of a sub-step, per reach: see `coefficients`.

    ``inflow`` :math:`C_1`, ``inflow_before`` :math:`C_2`, ``flow`` :math:`C_3`,
    ``lateral`` :math:`C_1 + C_2`; arrays of NumPy or of JAX.
    """

    inflow: Any
    inflow_before: Any
    flow: Any
    lateral: Any


class Sweep(NamedTuple):
    """Reaches in the order they are gone through.

    ``place`` (reach): position in the network of the i-th reach gone through;
    ``downstream`` (reach): where in this order the next reach is, -1 at a terminal;
    ``starts`` (block + 1): where blocks of whole basins begin.
    """

    place: np.ndarray
    downstream: np.ndarray
    starts: np.ndarray


def coefficients(travel_time: Any, weight: Any, time_step: float) -> Coefficients:
    r"""Return the weights of Muskingum routing.

    :math:`C_1 = (\Delta t / 2 - k x) / D`, :math:`C_2 = (\Delta t / 2 + k x) / D`,
    :math:`C_3 = (k (1 - x) - \Delta t / 2) / D` with
    :math:`D = k (1 - x) + \Delta t / 2`.

    Parameters
    ----------
    travel_time : array, shape (reach)
        :math:`k`, s; positive.
    weight : array, shape (reach)
        :math:`x`, 0 to 0.5.
    time_step : float
        Sub-step :math:`\Delta t`, s.

    Returns
    -------
    Coefficients
        The first three add up to one.

    References
    ----------
    McCarthy (1938); David et al. (2011), J. Hydrometeorol. 12, eqs. 3-4.

    Examples
    --------
    >>> [float(c) for c in coefficients(np.float64(9000), np.float64(0.25), 900.0)]
    [-0.25, 0.375, 0.875, 0.125]
    """
    half = 0.5 * time_step
    below = travel_time * (1.0 - weight) + half
    return Coefficients(
        (half - travel_time * weight) / below,
        (half + travel_time * weight) / below,
        (travel_time * (1.0 - weight) - half) / below,
        time_step / below,
    )


def sweep_of(network: RiverNetwork) -> Sweep:
    """Return the order in which reaches are gone through, basin after basin.

    Parameters
    ----------
    network : RiverNetwork
        Whose `order` goes through one basin after the other.

    Returns
    -------
    Sweep
        With blocks of whole basins of `BLOCK` reaches or little more; a larger basin
        is a block of its own.
    """
    place = network.order
    rank = np.empty(place.size, np.int64)
    rank[place] = np.arange(place.size)
    following = network.downstream[place]
    local = np.where(following >= 0, rank[np.maximum(following, 0)], -1)
    ends = np.flatnonzero(local < 0) + 1  # a terminal is the last reach of its basin
    marks = np.arange(BLOCK, place.size, BLOCK)
    cuts = ends[np.searchsorted(ends, marks)]
    return Sweep(place, local, np.unique([0, *cuts, place.size]))


@njit(nogil=True, cache=True, error_model="numpy")
def fill_upstream(downstream, flow, upstream):
    """Sum the flow that reaches receive from the reaches above, compiled.

    All in the order of the sweep; ``upstream`` (reach) is overwritten. The additions
    are those of `sweep_block`, so that a run continues to the last bit.
    """
    upstream[:] = 0.0
    for i in range(flow.size):
        j = downstream[i]
        if j >= 0:
            upstream[j] += flow[i]


@njit(nogil=True, cache=True, error_model="numpy")
def sweep_block(
    first, last, place, downstream, travel_time, weight, weights, inflow, seconds,
    steps, intervals, flow, upstream, room, mean, ledger,
):  # fmt: skip
    """Route a block of whole basins through all intervals of the inflow, compiled.

    Arrays without a time are in the order of the sweep; ``inflow`` and ``mean``
    (interval, reach) in the order of the network. ``steps`` sub-steps of ``seconds``
    make an interval of the inflow, ``intervals`` of those one of the output. ``flow``
    and ``upstream``, the flow received from the reaches above, are advanced in place;
    ``room`` (3, reach) is overwritten. ``mean`` receives the mean of the flows at the
    start of the sub-steps, and the rows of ``ledger`` (interval, 4) the block's inflow,
    outflow, storage at the start and at the end, m3.
    """
    now, before, keep, side = weights
    arriving, lateral, total = room
    for i in range(first, last):
        arriving[i] = 0.0
    for t in range(mean.shape[0]):
        entered = 0.0
        left = 0.0
        stored = 0.0
        for i in range(first, last):
            stored += travel_time[i] * (
                weight[i] * upstream[i] + (1.0 - weight[i]) * flow[i]
            )
            total[i] = 0.0
        ledger[t, 2] = stored
        for part in range(t * intervals, (t + 1) * intervals):
            for i in range(first, last):
                external = inflow[part, place[i]]
                entered += external
                lateral[i] = side[i] * external
            for _ in range(steps):
                for i in range(first, last):
                    start = flow[i]
                    received = arriving[i]
                    arriving[i] = 0.0
                    end = (
                        now[i] * received
                        + before[i] * upstream[i]
                        + keep[i] * start
                        + lateral[i]
                    )
                    if abs(end) < DRY:
                        end = 0.0
                    upstream[i] = received
                    flow[i] = end
                    total[i] += start
                    j = downstream[i]
                    if j >= 0:
                        arriving[j] += end
                    else:
                        left += 0.5 * (start + end)
        stored = 0.0
        for i in range(first, last):
            mean[t, place[i]] = total[i] / (steps * intervals)
            stored += travel_time[i] * (
                weight[i] * upstream[i] + (1.0 - weight[i]) * flow[i]
            )
        ledger[t, 0] = entered * steps * seconds
        ledger[t, 1] = left * seconds
        ledger[t, 3] = stored
