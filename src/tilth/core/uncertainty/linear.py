"""First-order propagation of uncertainty, and what is left of it in an average."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilth.core.errors import InputError
from tilth.core.uncertainty.inputs import Input, correlation_matrix

# Five-point stencil of the first derivative. A step of 1 % of the standard uncertainty
# leaves 3e-10 of the fifth-order term, and 3e-11 of rounding where the input moves the
# result by 0.1 %.
_STEP = 0.01
_STENCIL = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))


@dataclass(frozen=True)
class LinearResult:
    """A value with its first-order standard error and the parts of it.

    Parameters
    ----------
    value, se : float or array
        Of the function, in its units.
    contributions : dict of str to float or array
        Input -> the standard error if it alone were uncertain. Without covariance
        their squares add up to that of `se`.
    levels : dict of str to float or array
        Level -> the standard error of all inputs of that level together.
    """

    value: Any
    se: Any
    contributions: dict[str, Any]
    levels: dict[str, Any]


def propagate_linear(
    function: Callable[..., Any],
    inputs: Mapping[str, Input],
    covariance: Any = None,
) -> LinearResult:
    r"""Propagate the uncertainty of inputs through a function, to first order.

    .. math:: u^2(y) = \sum_{ij} c_i\,c_j\,u(x_i, x_j), \quad
              c_i = \partial f / \partial x_i ,

    with derivatives from central differences of fourth order.

    Parameters
    ----------
    function : callable
        Called with the values of `inputs` by name. With arrays it must work element
        by element: the error is that of each element, not of their average.
    inputs : mapping of str to Input
        By argument name. Values and uncertainties are numbers, arrays or DataArrays
        that broadcast.
    covariance : array_like, shape (k, k), optional
        Covariance of the k inputs in their order, the same for every element; its
        diagonal must be the squares of their ``sd``. By default they are independent.
        Inputs of different levels cannot be correlated.

    Returns
    -------
    LinearResult
        Value, standard error, contributions by input and by level.

    Raises
    ------
    InputError
        If the covariance does not fit the inputs or is not one.

    References
    ----------
    JCGM 100:2008 (GUM), eqs. 10 and 13.

    Examples
    --------
    >>> area = propagate_linear(
    ...     lambda width, length: width * length,
    ...     {"width": Input(2.0, 0.03), "length": Input(5.0, 0.1)},
    ... )
    >>> area.value, round(float(area.se), 6)
    (10.0, 0.25)
    """
    if not inputs:
        raise InputError("nothing to propagate: give at least one input")
    values = {name: x.value for name, x in inputs.items()}
    # Change of the function for one standard uncertainty of each input, c_i u_i.
    effects = {
        name: sum(
            weight * function(**{**values, name: x.value + step * _STEP * x.sd})
            for step, weight in _STENCIL
        )
        / _STEP
        for name, x in inputs.items()
    }
    correlation = correlation_matrix(inputs, covariance)

    def combined(chosen: list[str]) -> Any:
        rows = [list(inputs).index(name) for name in chosen]
        variance = sum(
            correlation[i, j] * effects[a] * effects[b]
            for i, a in zip(rows, chosen, strict=True)
            for j, b in zip(rows, chosen, strict=True)
            if correlation[i, j] != 0.0
        )
        # Rounding can leave a tiny negative variance where errors cancel.
        return np.sqrt(np.maximum(variance, 0.0))

    members: dict[str, list[str]] = {}
    for name, x in inputs.items():
        members.setdefault(x.level, []).append(name)
    return LinearResult(
        value=function(**values),
        se=combined(list(inputs)),
        contributions={name: abs(effect) for name, effect in effects.items()},
        levels={level: combined(chosen) for level, chosen in members.items()},
    )


def average_se(
    levels: Mapping[str, Any], counts: Mapping[str, int | float]
) -> dict[str, Any]:
    r"""Return the standard error of an average, and what each level leaves of it.

    Of the variance of one element, the part of level l is divided by the number
    :math:`n_l` of independent errors of that level in the average,

    .. math:: u^2(\bar y) = \sum_l u_l^2 / n_l , \quad n_{common} = 1 ,

    so that more cycles of one device reduce the part of the cycles alone.

    Parameters
    ----------
    levels : mapping of str to float or array
        Level -> standard error of one element, as `LinearResult.levels`.
    counts : mapping of str to number
        Level -> how many groups of it the average holds: all its cycles, its devices.
        Each group has the same share of the average. ``"common"`` is always one.

    Returns
    -------
    dict of str to float or array
        Level -> standard error of the average from it; ``"total"``: all together.

    Raises
    ------
    InputError
        If the count of a level is missing or less than one.

    References
    ----------
    Independent and shared parts as in JCGM 100:2008 (GUM), 5.2 and F.1.2.3.

    Examples
    --------
    >>> one = {"cycle": 0.20, "device": 0.05}
    >>> round(float(average_se(one, {"cycle": 100, "device": 1})["total"]), 4)
    0.0539
    """
    groups = {"common": 1, **counts}
    parts = {}
    for level, se in levels.items():
        if level not in groups:
            raise InputError(
                f"how many errors of level {level!r} are in the average? "
                f"counts has {', '.join(counts) or 'nothing'}"
            )
        if not groups[level] >= 1 or (level == "common" and groups[level] != 1):
            raise InputError(f"the count of {level} cannot be {groups[level]}")
        parts[level] = se / math.sqrt(groups[level])
    return {**parts, "total": np.sqrt(sum(part**2 for part in parts.values()))}
