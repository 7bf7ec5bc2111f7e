r"""Members of a fit: what it might have been, had the years come out differently.

The training years are drawn with replacement, and from the optimum one Gauss-Newton
step is made to that of the drawn years (the one-step bootstrap of Davidson & MacKinnon
1999). The runs are not repeated: normal equations are kept for each year, and a member
is a sum of them and one solution,

.. math:: x_k = x - \Big(\sum_{b \in B_k} J_b^T J_b + P\Big)^{-1}
                \Big(\sum_{b \in B_k} J_b^T r_b + P (x - x_0)\Big) ,

with the penalties P of the fit, inside the unit box. Whole years are drawn, so that
errors that last for weeks do not count as many.

The spread is a lower bound. It is that of the parameters for these equations: that
the equations are not the land model's, it does not know, nor what the penalties pull.
In a world that is made of the equations, with errors of 15 % that last for ten days
(AR(1), .9 a day), nine tenths of the members held 61 % of the true days of snow, 81 %
of soil water and 83 % of runoff after a fit to 20 years, and 59, 90 and 87 % after 40.
"""

from __future__ import annotations

import numpy as np

from tilth.land.fit.levenberg import add_pull, propose_step
from tilth.land.fit.record import Goal, Pieces, Pull, Record
from tilth.land.fit.scaling import Box, from_unit
from tilth.land.fit.windows import JOINT, PERFECT, add_smoothness, window_normals

#: Damping of a member's step: enough to hold what no year says anything about.
_DAMPING = 1e-4


def draw_members(
    place: np.ndarray,
    free: np.ndarray,
    pull: Pull,
    box: Box,
    windows: Pieces,
    record: Record,
    year: np.ndarray,
    goal: Goal,
    members: int,
    seed: int,
) -> np.ndarray:
    """Return places of members of a joint fit, shape (members, 183).

    Parameters
    ----------
    place : ndarray, shape (183,)
        The fit, in the unit box.
    free, pull, box, windows, record, goal
        As it was fitted with, see `tilth.land.fit.windows.refine_jointly`.
    year : ndarray of int, shape (time)
        Year of each day.
    members : int
        How many.
    seed : int
        Of the draws. All cells draw the same years, so that a member is one history
        for the whole map.

    Returns
    -------
    ndarray
        Places in the unit box.
    """
    normals = year_normals(place, box, windows, record, year, goal)
    generator = np.random.default_rng([seed, 1])
    found = np.empty((members, JOINT))
    for k in range(members):
        drawn = generator.integers(0, len(normals), len(normals))
        normal = normals[drawn].sum(axis=0)
        add_pull(normal, place, pull)
        add_smoothness(normal, place, pull.smoothness)
        propose_step(normal, place, free, _DAMPING, found[k])
    return found


def year_normals(
    place: np.ndarray,
    box: Box,
    windows: Pieces,
    record: Record,
    year: np.ndarray,
    goal: Goal,
) -> np.ndarray:
    """Return the normal equations of every year, weighted as at the optimum.

    Parameters
    ----------
    place, box, windows, record, year, goal
        As `draw_members`.

    Returns
    -------
    ndarray, shape (years, 184, 184)
        Upper triangles; their sum is that of the whole fit but for penalties.
    """
    value, slope = np.empty(JOINT), np.empty(JOINT)
    from_unit(place, box, value, slope)
    plain, counts = [], []
    for start, length in zip(*windows, strict=True):
        ends = np.flatnonzero(np.diff(year[start : start + length])) + 1
        begin = goal.unscored
        for end in [*ends.tolist(), int(length)]:
            if end <= begin:
                continue
            normals, count = np.empty((5, JOINT + 1, JOINT + 1)), np.empty(5)
            piece = Pieces(np.array([start]), np.array([end]))
            window_normals(
                value,
                slope,
                piece,
                record,
                goal._replace(unscored=begin, volume_weight=0.0),
                normals,
                count,
            )
            plain.append(normals[:4])
            counts.append(count[:4])
            begin = end
    each, count = np.stack(plain), np.sum(counts, axis=0)
    scale = goal.variance * np.maximum(count, 1.0)
    missing = each[:, :, JOINT, JOINT].sum(axis=0) / scale + PERFECT
    weight = np.where(count > 0, goal.weight / (missing * scale), 0.0)
    return np.einsum("v,bvij->bij", weight, each)
