"""Trees of drainage that grow inland from river mouths on a lattice."""

from __future__ import annotations

import numpy as np
from numba import njit

#: Of a cell that no river has reached.
UNREACHED = -2

#: Share of chances of a diagonal step: its length is the square root of two.
_DIAGONAL = 0.5**0.5


def island(cells: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a lattice with an island on it, and its coast.

    The coast is a circle with bays: five harmonics of random size and phase.

    Parameters
    ----------
    cells : int
        Number of cells of the island.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    inside : numpy.ndarray of bool, shape (row, column)
        The island, in a frame of sea one cell wide; connected.
    coast : numpy.ndarray of int64
        Flat indices of the cells beside the sea, in their order around the island.
    """
    half = int(1.6 * np.sqrt(cells / np.pi)) + 3
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    angle = np.arctan2(y, x)
    reach = np.ones_like(angle)
    for k in range(1, 6):
        # The slopes of all harmonics together stay below one, so that a step towards
        # the middle never leaves the island: it is one piece.
        size, phase = rng.uniform(0.0, 0.2 / k), rng.uniform(0.0, 2.0 * np.pi)
        reach += size * np.cos(k * angle + phase)
    inside = np.zeros(angle.size, bool)
    distance = (np.hypot(x, y) / reach).ravel()
    inside[np.argpartition(distance, cells - 1)[:cells]] = True
    inside = inside.reshape(angle.shape)
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    window = np.s_[rows[0] - 1 : rows[-1] + 2, columns[0] - 1 : columns[-1] + 2]
    inside, angle = np.ascontiguousarray(inside[window]), angle[window]
    inner = inside.copy()
    for axis in (0, 1):
        for step in (-1, 1):
            inner &= np.roll(inside, step, axis)
    coast = np.flatnonzero(inside & ~inner)
    return inside, coast[np.argsort(angle.ravel()[coast], kind="stable")]


def grow(
    inside: np.ndarray, mouths: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Let rivers grow inland, cell by cell, until they drain the whole island.

    One of the pairs of a drained and an undrained neighbour is drawn at a time, and
    the second then flows into the first (the growth of Eden 1961, kept as a tree).
    Eight neighbours count; rivers never cross.

    Parameters
    ----------
    inside : numpy.ndarray of bool, shape (row, column)
        The island; connected, and not at the edge of the lattice.
    mouths : numpy.ndarray of int64
        Flat indices of the cells that flow into the sea.
    rng : numpy.random.Generator
        Source of chance.

    Returns
    -------
    downstream : numpy.ndarray of int64
        Flat index of the next cell for every cell of the lattice; -1 at mouths,
        `UNREACHED` in the sea.
    order : numpy.ndarray of int64
        Flat indices of the island's cells, each after the one it flows into.

    Notes
    -----
    The paths of such a tree are those of fastest growth, which wander sideways as
    length**(2/3) (Huse & Henley 1985, Physical Review Letters 54, 2708). A basin of
    length L therefore has the area L**(5/3): Hack's exponent is 3/5, and the share of
    points with more than the area A upstream falls as A**(-2/5) (Dodds & Rothman 1999,
    Physical Review E 59, 4865, eq. for tau = 2 - h). Rivers have 0.57-0.60 (Hack 1957)
    and 0.43 +- 0.02 (Rodriguez-Iturbe et al. 1992, Water Resources Research 28, 1095).
    """
    columns = inside.shape[1]
    steps = np.array([1, -1, columns, -columns])
    diagonal = np.array([columns + 1, columns - 1, 1 - columns, -columns - 1])
    around = np.concatenate([steps, diagonal])
    return _grow(inside.ravel(), columns, np.asarray(mouths, np.int64), around, rng)


@njit(cache=True, nogil=True)
def _grow(inside, columns, mouths, around, rng):
    """Grow the trees; see `grow`."""
    cells = np.count_nonzero(inside)
    downstream = np.full(inside.size, UNREACHED, np.int64)
    order = np.empty(cells, np.int64)
    pair_from = np.empty(8 * cells, np.int32)
    pair_to = np.empty(8 * cells, np.int32)
    reached = looked = pairs = 0
    for mouth in mouths:
        downstream[mouth] = -1
        order[reached] = mouth
        reached += 1
    while True:
        while looked < reached:
            cell = order[looked]
            looked += 1
            for step in around:
                other = cell + step
                if inside[other] and downstream[other] == UNREACHED:
                    pair_from[pairs] = cell
                    pair_to[pairs] = other
                    pairs += 1
        if pairs == 0:
            break
        k = int(rng.random() * pairs)
        a, b = pair_from[k], pair_to[k]
        distance = abs(a - b)
        diagonal = distance != 1 and distance != columns
        if diagonal and downstream[b] == UNREACHED and rng.random() > _DIAGONAL:
            continue
        pairs -= 1
        pair_from[k] = pair_from[pairs]
        pair_to[k] = pair_to[pairs]
        if downstream[b] != UNREACHED:
            continue
        if diagonal:
            # The other two corners of this square of four cells.
            c = a // columns * columns + b % columns
            d = b // columns * columns + a % columns
            if downstream[c] == d or downstream[d] == c:
                continue
        downstream[b] = a
        order[reached] = b
        reached += 1
    return downstream, order[:reached]
