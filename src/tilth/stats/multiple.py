"""Several tests at once: p-values that keep the chance of any false alarm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError


def holm(p_values: npt.ArrayLike) -> np.ndarray:
    r"""Adjust the p-values of one family of tests by Holm's method.

    With the m p-values sorted upwards, the k-th becomes

    .. math:: \tilde p_{(k)} = \max_{j \le k} \min\{(m - j + 1)\,p_{(j)},\ 1\} ,

    which keeps the probability of one or more false rejections below the level,
    whatever the dependence between the tests.

    Parameters
    ----------
    p_values : array_like
        p-values of the family, any shape. NaN (a test that could not be made) stays
        NaN and does not count as a member.

    Returns
    -------
    numpy.ndarray
        Adjusted p-values, in the order and shape given.

    Raises
    ------
    InputError
        If a p-value lies outside 0..1.

    References
    ----------
    Holm (1979), Scand. J. Stat. 6, 65-70.

    Examples
    --------
    >>> [float(p) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, float)
    made = np.isfinite(p)
    if np.any((p[made] < 0.0) | (p[made] > 1.0)):
        raise InputError(
            f"p-values must lie in 0..1, got {p[made].min()}..{p[made].max()}"
        )
    family = p[made]
    order = np.argsort(family, kind="stable")
    raised = np.minimum((family.size - np.arange(family.size)) * family[order], 1.0)
    adjusted = np.empty_like(family)
    adjusted[order] = np.maximum.accumulate(raised)
    result = np.full(p.shape, np.nan)
    result[made] = adjusted
    return result
