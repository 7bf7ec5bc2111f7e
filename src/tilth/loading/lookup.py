"""Distances that compiled tables are made for, and how a value is found between them.

Tables lie evenly over ln(tan(gamma / 4)), in which responses are smooth from beside the
load to its antipode; between nodes they are cubic, with an error below 1e-7.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numba
import numpy as np

from tilth.loading.green import SHORTEST

#: Nodes of a table.
_COUNT = 4096

_FIRST = float(np.log(SHORTEST / 4.0))
_STEP = -_FIRST / (_COUNT - 1)


def half_angles() -> np.ndarray:
    """Return half the distance at every node, rad, from 0.3 m to a right angle."""
    return 2.0 * np.arctan(np.exp(np.linspace(_FIRST, 0.0, _COUNT)))


def stacked(columns: Iterable[Any]) -> np.ndarray:
    """Return columns of a table side by side, as compiled code takes them."""
    return np.ascontiguousarray(np.stack([np.asarray(c) for c in columns], axis=1))


@numba.njit(cache=True, inline="always", fastmath={"contract", "arcp"})
def cubic_weights(chord):
    """Return the node before a chord, and the weights of it and its neighbours."""
    half = np.sqrt(max(0.0, 1.0 - chord * chord / 4.0))
    position = (np.log(chord / 2.0 / (1.0 + half)) - _FIRST) / _STEP
    i = min(max(int(position), 1), _COUNT - 3)
    t = position - i
    return (
        i,
        -t * (t - 1.0) * (t - 2.0) / 6.0,
        (t + 1.0) * (t - 1.0) * (t - 2.0) / 2.0,
        -(t + 1.0) * t * (t - 2.0) / 2.0,
        (t + 1.0) * t * (t - 1.0) / 6.0,
    )
