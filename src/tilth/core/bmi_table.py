"""What a model shows through the Basic Model Interface: variables, grids, clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilth.core.errors import InputError

#: Roles of a variable: set from outside, read from outside, or both (a state).
ROLES = ("input", "output", "state")


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable that others may read or set while a model steps.

    Parameters
    ----------
    values : numpy.ndarray
        The model's own array, in C order: what is written to it the model sees.
    units : str
        As UDUNITS spells them; ``"1"`` for a pure number.
    role : {"input", "output", "state"}
        Set from outside, read from outside, or both.
    grid : int
        Number of its grid in the model's table.
    aliases : tuple of str
        Other names it answers to.
    check : callable, optional
        Called with values that someone sets; raises what is wrong with them.

    Raises
    ------
    InputError
        If the role is unknown, or the array is not in C order.
    """

    values: np.ndarray
    units: str
    role: str
    grid: int = 0
    aliases: tuple[str, ...] = ()
    check: Callable[[np.ndarray], Any] | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise InputError(
                f"role={self.role!r} is not known: choose {', '.join(ROLES)}"
            )
        if not self.values.flags.c_contiguous:
            raise InputError("a variable's array must be in C order to be shared")

    @property
    def flat(self) -> np.ndarray:
        """The model's array in one dimension, not a copy."""
        return self.values.reshape(-1)


@dataclass(frozen=True, eq=False)
class Grid:
    """Where values are: one of the kinds of grids that the interface knows.

    Parameters
    ----------
    kind : {"scalar", "points", "rectilinear", "unstructured"}
        See `scalar`, `points`, `rectilinear` and `channels`, which make them.
    shape : tuple of int
        Number of values along each axis, the slowest first.
    x, y, z : numpy.ndarray, optional
        Coordinates: of every node, or along the axes of a rectilinear grid.
    edges : numpy.ndarray of int, optional
        Pairs of nodes that are joined, shape (edge, 2).
    """

    kind: str
    shape: tuple[int, ...]
    x: np.ndarray | None = None
    y: np.ndarray | None = None
    z: np.ndarray | None = None
    edges: np.ndarray | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def faces(self) -> int:
        """Number of faces: none, nodes stand for whole cells or catchments."""
        return 0

    @property
    def rank(self) -> int:
        """Number of dimensions in space."""
        if self.kind == "scalar":
            return 0
        if self.kind == "rectilinear":
            return len(self.shape)
        return 2 if self.z is None else 3


def scalar() -> Grid:
    """Return the grid of a single number.

    Returns
    -------
    Grid
        Of rank 0 and size 1.
    """
    return Grid("scalar", ())


def points(x: np.ndarray, y: np.ndarray, layers: np.ndarray | None = None) -> Grid:
    """Return places that nothing joins.

    Parameters
    ----------
    x, y : array (n,)
        Longitude and latitude, degrees.
    layers : array (layer,), optional
        Height of layers under each place, m (negative below ground); the values lie
        layer by layer.

    Returns
    -------
    Grid
        Of n nodes, or n for each layer.
    """
    east, north = np.array(x, float), np.array(y, float)
    if layers is None:
        return Grid("points", east.shape, east, north)
    count, heights = east.size, np.array(layers, float)
    return Grid(
        "points",
        (heights.size, count),
        np.tile(east, heights.size),
        np.tile(north, heights.size),
        np.repeat(heights, count),
    )


def rectilinear(x: np.ndarray, y: np.ndarray, layers: np.ndarray | None = None) -> Grid:
    """Return a grid of rows and columns.

    Parameters
    ----------
    x, y : array
        Longitude of the columns and latitude of the rows, degrees.
    layers : array (layer,), optional
        Height of layers, m (negative below ground), the slowest axis.

    Returns
    -------
    Grid
        Of shape (row, column) or (layer, row, column).
    """
    columns, rows = np.array(x, float), np.array(y, float)
    if layers is None:
        return Grid("rectilinear", (rows.size, columns.size), columns, rows)
    heights = np.array(layers, float)
    shape = (heights.size, rows.size, columns.size)
    return Grid("rectilinear", shape, columns, rows, heights)


def channels(
    downstream: np.ndarray, x: np.ndarray | None = None, y: np.ndarray | None = None
) -> Grid:
    """Return a river network: its nodes are catchments, its edges lead downstream.

    Parameters
    ----------
    downstream : array of int (n,)
        Position of the next node; negative where a river ends.
    x, y : array (n,), optional
        Longitude and latitude, degrees, where they are known.

    Returns
    -------
    Grid
        Unstructured, without faces.
    """
    next_ones = np.asarray(downstream, np.int64)
    upper = np.flatnonzero(next_ones >= 0)
    return Grid(
        "unstructured",
        next_ones.shape,
        None if x is None else np.array(x, float),
        None if y is None else np.array(y, float),
        edges=np.stack([upper, next_ones[upper]], axis=1),
    )


@dataclass(frozen=True)
class Clock:
    """When a model runs.

    Parameters
    ----------
    start : str
        Date and time, UTC, such as ``"2001-01-01 00:00:00"``.
    step : float
        Length of a step, s.
    steps : int, optional
        How many there are; without it a model goes on as long as one likes.
    """

    start: str
    step: float
    steps: int | None = None

    @property
    def units(self) -> str:
        """Units of time, as CF writes them."""
        return f"seconds since {self.start}"

    @property
    def end(self) -> float:
        """Time at which there is nothing more to run, s; the largest number if none."""
        if self.steps is None:
            return float(np.finfo(float).max)
        return self.at(self.steps)

    def at(self, number: int) -> float:
        """Return the time before the step of that number, s; the first is 0."""
        return self.step * number
