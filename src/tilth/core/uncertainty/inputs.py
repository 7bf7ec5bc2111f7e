"""Inputs of a propagation: value, uncertainty, distribution and who shares it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilth.core.errors import InputError

#: Standard deviation over half-width. JCGM 100:2008 (GUM), 4.3.7 and 4.3.9.
HALF_WIDTH_SD = {"rectangular": 1 / math.sqrt(3), "triangular": 1 / math.sqrt(6)}

DISTRIBUTIONS = ("normal", "rectangular", "triangular", "lognormal")


@dataclass(frozen=True)
class Input:
    """A quantity that is known with an uncertainty.

    Parameters
    ----------
    value : float or array
        Best estimate.
    sd : float or array
        Standard uncertainty, in the units of `value`.
    distribution : {"normal", "rectangular", "triangular", "lognormal"}
        Shape. For ``"lognormal"`` `value` is the mean, which must be positive.
    level : str, default "cycle"
        Who shares the error; see `tilth.core.uncertainty`.

    Raises
    ------
    InputError
        If the distribution is unknown, `sd` is negative, or a lognormal value is not
        positive.

    Examples
    --------
    >>> round(Input.from_half_width(97.2, 3.9, level="common").sd, 4)  # kPa
    2.2517
    """

    value: Any
    sd: Any
    distribution: str = "normal"
    level: str = "cycle"

    def __post_init__(self) -> None:
        if self.distribution not in DISTRIBUTIONS:
            raise InputError(
                f"no distribution {self.distribution!r}; known: "
                f"{', '.join(DISTRIBUTIONS)}"
            )
        if np.any(np.asarray(self.sd) < 0):
            raise InputError(
                f"a standard uncertainty cannot be negative, got {np.min(self.sd):g}"
            )
        if self.distribution == "lognormal" and np.any(np.asarray(self.value) <= 0):
            raise InputError(
                "a lognormal quantity is positive, "
                f"got the value {np.min(self.value):g}: use another distribution"
            )

    @classmethod
    def from_half_width(
        cls,
        value: Any,
        half_width: Any,
        distribution: str = "rectangular",
        level: str = "cycle",
    ) -> Input:
        r"""Make an input from limits, such as "within 3 %" of a data sheet.

        The standard uncertainty is :math:`a/\sqrt3` for a rectangular and
        :math:`a/\sqrt6` for a triangular distribution of half-width :math:`a`.

        Parameters
        ----------
        value, half_width : float or array
            Centre and half-width of the interval.
        distribution : {"rectangular", "triangular"}
            Shape.
        level : str, default "cycle"
            Who shares the error.

        Returns
        -------
        Input

        Raises
        ------
        InputError
            If the distribution has no limits.

        References
        ----------
        JCGM 100:2008 (GUM), 4.3.7 and 4.3.9.
        """
        if distribution not in HALF_WIDTH_SD:
            raise InputError(
                f"a {distribution} distribution has no half-width: give its sd, or "
                f"one of {', '.join(HALF_WIDTH_SD)}"
            )
        return cls(value, half_width * HALF_WIDTH_SD[distribution], distribution, level)


def correlation_matrix(inputs: Mapping[str, Input], covariance: Any) -> np.ndarray:
    """Return the correlation matrix of the inputs after checking the covariance.

    Parameters
    ----------
    inputs : mapping of str to Input
        The k inputs.
    covariance : array_like, shape (k, k), or None
        Their covariance; None stands for independence.

    Returns
    -------
    array, shape (k, k)
        With a diagonal of ones.

    Raises
    ------
    InputError
        If the matrix does not fit the inputs, is not symmetric or not positive, or
        correlates inputs of different levels.
    """
    k = len(inputs)
    if covariance is None:
        return np.eye(k)
    matrix = np.asarray(covariance, float)
    if matrix.shape != (k, k):
        raise InputError(
            f"the covariance of {k} inputs has the shape ({k}, {k}), got {matrix.shape}"
        )
    names = list(inputs)
    if any(np.ndim(x.sd) for x in inputs.values()):
        raise InputError(
            "with a covariance every sd must be one number: the matrix holds for all "
            "elements alike"
        )
    sd = np.array([float(x.sd) for x in inputs.values()])
    wrong = np.flatnonzero(~np.isclose(np.diag(matrix), sd**2, rtol=1e-6, atol=0))
    if wrong.size:
        i = int(wrong[0])
        raise InputError(
            f"the covariance gives {names[i]} the variance {matrix[i, i]:g}, its sd "
            f"of {sd[i]:g} says {sd[i] ** 2:g}"
        )
    scale = np.where(sd > 0, sd, 1.0)
    correlation = matrix / np.outer(scale, scale)
    np.fill_diagonal(correlation, 1.0)
    if not np.allclose(correlation, correlation.T, atol=1e-9):
        raise InputError("a covariance matrix is symmetric, this one is not")
    if np.linalg.eigvalsh(correlation)[0] < -1e-9:
        raise InputError(
            "this is no covariance matrix: some combination of the inputs would have "
            "a negative variance"
        )
    levels = [x.level for x in inputs.values()]
    for i, j in np.argwhere(np.triu(correlation, 1) != 0):
        if levels[i] != levels[j]:
            raise InputError(
                f"{names[i]} and {names[j]} are correlated, so they must share a "
                f"level; they have {levels[i]!r} and {levels[j]!r}"
            )
    return correlation
