"""Several tests at once: few false alarms (Holm), or few among those raised (FDR)."""

from __future__ import annotations

from dataclasses import dataclass

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
    family = _family(p, made)
    order = np.argsort(family, kind="stable")
    raised = np.minimum((family.size - np.arange(family.size)) * family[order], 1.0)
    adjusted = np.empty_like(family)
    adjusted[order] = np.maximum.accumulate(raised)
    result = np.full(p.shape, np.nan)
    result[made] = adjusted
    return result


@dataclass(frozen=True)
class FalseDiscovery:
    """Which of many tests stay when false discoveries are held down.

    Parameters
    ----------
    significant : numpy.ndarray of bool
        Tests whose null hypothesis is rejected, in the shape given.
    adjusted : numpy.ndarray
        p-values after Benjamini and Hochberg; NaN where no test was made. Those up
        to `rate` are significant.
    threshold : float
        Highest p-value that was rejected; zero where none was.
    rate : float
        False-discovery rate that was asked for.
    tests : int
        Tests that were made.
    """

    significant: np.ndarray
    adjusted: np.ndarray
    threshold: float
    rate: float
    tests: int

    @property
    def anywhere(self) -> bool:
        """Whether the field as a whole is significant: at least one rejection."""
        return bool(self.significant.any())


def false_discovery(
    p_values: npt.ArrayLike, *, level: float = 0.05, correlated: bool = True
) -> FalseDiscovery:
    r"""Test a field of sites, leads or both, holding down the false discoveries.

    With the N p-values sorted upwards, those up to the largest that meets

    .. math:: p_{(i)} \le \frac{i}{N}\,\alpha_\mathrm{FDR}

    are rejected (Benjamini and Hochberg 1995). The share of false ones among the
    rejected is then :math:`\alpha_\mathrm{FDR}` on average, and where no null
    hypothesis is false the chance of any rejection is at most that: so one
    rejection anywhere makes the field significant. Fields of weather are smooth:
    neighbours fall together, the chance of any rejection is about half of what
    it is for independent tests, and Wilks (2016) sets
    :math:`\alpha_\mathrm{FDR} = 2 \alpha`.

    Parameters
    ----------
    p_values : array_like
        All tests that are looked at together, any shape; NaN (a test that could not
        be made) is no member of the family.
    level : float, optional
        :math:`\alpha`, the chance of any rejection where nothing is there.
    correlated : bool, optional
        Whether tests of neighbours are alike, so that twice `level` is taken.

    Returns
    -------
    FalseDiscovery
        What is rejected, and the adjusted p-values.

    Raises
    ------
    InputError
        If a p-value lies outside 0..1 or `level` outside 0..0.5.

    References
    ----------
    Benjamini & Hochberg (1995), J. R. Stat. Soc. B 57, 289-300. Wilks (2016), Bull.
    Am. Meteorol. Soc. 97, 2263-2273, eq. 3 and figure 4.

    Examples
    --------
    >>> found = false_discovery([0.01, 0.04, 0.03, 0.50], correlated=False)
    >>> found.significant.tolist(), found.threshold
    ([True, False, False, False], 0.01)
    """
    if not 0.0 < level < 0.5:
        raise InputError(f"level must lie between 0 and 0.5, got {level}")
    p = np.asarray(p_values, float)
    made = np.isfinite(p)
    family = _family(p, made)
    rate = 2.0 * level if correlated else level
    order = np.argsort(family, kind="stable")
    ranks = np.arange(1, family.size + 1)
    raised = np.minimum(family[order] * family.size / ranks, 1.0)
    lowest = np.minimum.accumulate(raised[::-1])[::-1]
    adjusted = np.full(p.shape, np.nan)
    ordered = np.empty_like(family)
    ordered[order] = lowest
    adjusted[made] = ordered
    # The rule itself, not the adjusted values: those may differ by rounding.
    below = np.flatnonzero(family[order] <= ranks * rate / max(family.size, 1))
    threshold = float(family[order][below[-1]]) if below.size else 0.0
    significant = made & (p <= threshold) if below.size else np.zeros(p.shape, bool)
    return FalseDiscovery(significant, adjusted, threshold, rate, family.size)


def _family(p: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Return the p-values of the tests that were made, if all are possible."""
    if np.any((p[made] < 0.0) | (p[made] > 1.0)):
        raise InputError(
            f"p-values must lie in 0..1, got {p[made].min()}..{p[made].max()}"
        )
    return p[made]
