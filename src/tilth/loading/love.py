"""Load Love numbers: how an elastic Earth answers to a load, degree by degree."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from tilth.core.datasets import locate
from tilth.core.errors import InputError

#: Origins that displacements can be counted from; see `LoveNumbers.in_frame`.
Frame = Literal["CE", "CM", "CF"]
FRAMES: tuple[Frame, ...] = ("CE", "CM", "CF")

#: Mean radius of the Earth, m, and its mass, kg: of PREM, to which the numbers belong.
EARTH_RADIUS = 6.371e6
EARTH_MASS = 5.9722e24

#: h of degree 0 of PREM, that the table of Wang et al. (2012) leaves out: the mean
#: subsidence under a load whose mass is not taken from elsewhere. Of the same Earth in
#: the tables that came with Bevis et al. (2016).
DEGREE_ZERO_PREM = -0.13218


@dataclass(frozen=True)
class LoveNumbers:
    r"""Load Love numbers of an elastic, spherically layered Earth.

    A mass :math:`m` on the surface moves the ground by

    .. math::

        u = \frac{a m}{M} \sum_n h_n P_n(\cos\gamma), \qquad
        v = \frac{a m}{M} \sum_n l_n \frac{dP_n}{d\gamma} ,

    and the equipotential surface by the first of these with :math:`1 + k_n`. Beyond
    the last degree, :math:`h_n`, :math:`n l_n` and :math:`n k_n` stay what they are
    there, which is their limit.

    Parameters
    ----------
    h, l, k : numpy.ndarray, shape (degrees,)
        From degree 0 on.
    frame : {"CE", "CM", "CF"}
        Origin that the numbers of degree 1 refer to.
    source : str
        Where they are from.
    radius, mass : float
        Of this Earth, m and kg.

    Raises
    ------
    InputError
        If the numbers differ in length, are too few or are not finite.
    """

    h: np.ndarray
    l: np.ndarray  # noqa: E741 - the name of this number since Farrell (1972)
    k: np.ndarray
    frame: Frame
    source: str
    radius: float = EARTH_RADIUS
    mass: float = EARTH_MASS

    def __post_init__(self) -> None:
        for name in ("h", "l", "k"):
            values = np.asarray(getattr(self, name), float)
            object.__setattr__(self, name, values)
            if values.ndim != 1 or values.size != np.size(self.h) or values.size < 3:
                raise InputError(
                    f"{name} has the shape {values.shape}: Love numbers are one per "
                    "degree from 0 on, as many of h, l and k, and at least three"
                )
            if not np.isfinite(values).all():
                degree = int(np.flatnonzero(~np.isfinite(values))[0])
                raise InputError(f"{name} of degree {degree} is not a number")
        _check_frame(self.frame)

    @property
    def highest_degree(self) -> int:
        """Highest degree there is a number of its own for."""
        return self.h.size - 1

    def in_frame(self, frame: Frame) -> LoveNumbers:
        r"""Return the numbers that count displacements from another origin.

        .. math:: h_1' = h_1 - \alpha,\quad l_1' = l_1 - \alpha,\quad k_1' = k_1-\alpha

        with, counted from the centre of mass of the solid Earth (CE), :math:`\alpha`
        of 0 for CE, 1 for the centre of mass of Earth and load (CM) and
        :math:`(h_1 + 2 l_1) / 3` for the centre of figure of the surface (CF).

        Parameters
        ----------
        frame : {"CE", "CM", "CF"}
            The origin wanted.

        Returns
        -------
        LoveNumbers
            The same but for degree 1.

        Raises
        ------
        InputError
            If there is no such frame.

        References
        ----------
        Blewitt (2003), Journal of Geophysical Research 108, 2103, section 4.
        """
        _check_frame(frame)
        # k of degree 1 is 0 where the origin is CE: its load potential has none there.
        h, l, k = (x[1] - self.k[1] for x in (self.h, self.l, self.k))  # noqa: E741
        shift = {"CE": 0.0, "CM": 1.0, "CF": (h + 2.0 * l) / 3.0}[frame]
        moved = {}
        for name, value in (("h", h), ("l", l), ("k", k)):
            moved[name] = getattr(self, name).copy()
            moved[name][1] = value - shift
        return replace(self, frame=frame, **moved)


def read_love_numbers(
    path: str | os.PathLike[str] | None = None,
    *,
    degree_zero: float = DEGREE_ZERO_PREM,
) -> LoveNumbers:
    """Read a table of load Love numbers.

    The first column is the degree. The others are told by the header (h, l, k in any
    order; more are passed over); without one they are taken as h, l, k. Numbers may
    have Fortran's D as exponent, and the file may be compressed (.gz). The frame is
    that in which k of degree 1 belongs: 0 for CE, -1 for CM.

    Parameters
    ----------
    path : path, optional
        The table; by default that of Wang et al. (2012) for PREM, the registered
        dataset ``load-love-numbers``.
    degree_zero : float, default -0.13218
        h of degree 0 where the table begins with degree 1.

    Returns
    -------
    LoveNumbers
        In the frame of the table.

    Raises
    ------
    InputError
        If the table has no such columns, a degree is missing or stands twice, or k of
        degree 1 is neither.
    DatasetError
        If the default table is not at hand and cannot be had.

    References
    ----------
    Wang, Xiang, Jia, Jiang & Shen (2012), Computers & Geosciences 49, 190-199.
    """
    if path is None:
        path = locate("load-love-numbers") / "PREM-LLNs-truncated.dat"
    path = Path(path)
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    lines = content.decode("ascii", errors="replace").splitlines()
    columns = ["n", "h", "l", "k"]
    rows = []
    for line in lines:
        words = [word.strip("'\"|,") for word in line.lower().split()]
        values = _numbers(words)
        if values is not None and len(values) >= len(columns):
            rows.append(values[: len(columns)])
        elif not rows and {"h", "l", "k"} <= set(plain := _plain(words)):
            columns = plain
    if not rows:
        raise InputError(f"{path.name} has no rows of numbers n, h, l and k")
    table = np.array(rows)
    degree = table[:, columns.index("n")]
    first = int(degree[0])
    if first not in (0, 1) or not np.array_equal(
        degree, np.arange(first, first + degree.size)
    ):
        raise InputError(
            f"the degrees of {path.name} must begin with 0 or 1 and go up by one; they "
            f"go from {degree[0]:g} to {degree[-1]:g} in {degree.size} rows"
        )
    numbers = {name: table[:, columns.index(name)] for name in ("h", "l", "k")}
    if first == 1:
        zero = {"h": degree_zero, "l": 0.0, "k": 0.0}
        numbers = {name: np.append(zero[name], x) for name, x in numbers.items()}
    return LoveNumbers(
        numbers["h"],
        numbers["l"],
        numbers["k"],
        frame=_frame_of(numbers["k"][1], path.name),
        source=path.name,
    )


def _plain(words: list[str]) -> list[str]:
    """Return column names as they are known here: the first is the degree."""
    return ["n", *(word.strip("#'") for word in words[1:])]


def _numbers(words: list[str]) -> list[float] | None:
    """Return the numbers of a line, or None if it has anything else."""
    try:
        return [float(word.replace("d", "e")) for word in words] or None
    except ValueError:
        return None


def _frame_of(k: float, name: str) -> Frame:
    """Return the frame that a k of degree 1 belongs to."""
    known: dict[Frame, float] = {"CE": 0.0, "CM": -1.0}
    for frame, value in known.items():
        if abs(k - value) < 1e-6:
            return frame
    raise InputError(
        f"k of degree 1 of {name} is {k:g}: it is 0 counted from the centre of mass of "
        "the solid Earth (CE) and -1 from that of Earth and load (CM); build "
        "LoveNumbers yourself for another frame"
    )


def _check_frame(frame: str) -> None:
    """Raise unless there is such a frame."""
    if frame not in FRAMES:
        raise InputError(f"a frame is one of {', '.join(FRAMES)}, got {frame!r}")
