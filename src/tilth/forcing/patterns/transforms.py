"""Scales on which amounts are learnt: the cube root for rain, none for the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tilth.core.errors import InputError

__all__ = ["TRANSFORMS", "Transform", "find_transform"]


@dataclass(frozen=True)
class Transform:
    """A scale and the way back.

    Parameters
    ----------
    name : str
        As in the settings.
    forward, inverse : callable
        Of arrays of any shape; NaN stays NaN.
    lowest : float
        Smallest value that the way back can give.
    """

    name: str
    forward: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[[np.ndarray], np.ndarray]
    lowest: float


def _root(values: np.ndarray) -> np.ndarray:
    """Cube root; what is below zero is taken for zero."""
    return np.cbrt(np.maximum(values, 0.0))


def _cube(values: np.ndarray) -> np.ndarray:
    """Cube; zero below zero."""
    return np.maximum(values, 0.0) ** 3


def _same(values: np.ndarray) -> np.ndarray:
    """Return the values."""
    return values


#: Daily rain is close to normal on the scale of its cube root (Stidd 1953, Trans. AGU
#: 34, 31-35). Reanalyses hold tiny negative precipitation: it counts as none.
TRANSFORMS = {
    found.name: found
    for found in (
        Transform("cube_root", _root, _cube, 0.0),
        Transform("none", _same, _same, -np.inf),
    )
}


def find_transform(name: str) -> Transform:
    """Return the transform of that name.

    Parameters
    ----------
    name : {"cube_root", "none"}
        Which.

    Returns
    -------
    Transform
        With both ways.

    Raises
    ------
    InputError
        If there is none.

    Examples
    --------
    >>> find_transform("cube_root").forward(np.array([-0.1, 8.0]))
    array([0., 2.])
    """
    try:
        return TRANSFORMS[name]
    except KeyError:
        raise InputError(
            f"no transform {name!r}; there are {', '.join(TRANSFORMS)}"
        ) from None
