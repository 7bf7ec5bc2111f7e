"""Every level against a reference: Welch and Mann-Whitney tests, Holm, effect in %."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from tilth.core.errors import InputError
from tilth.stats.multiple import holm

#: Columns of the table, in their order.
_COLUMNS = [
    "window",
    "level",
    "n_reference",
    "n",
    "mean_reference",
    "mean",
    "difference",
    "difference_se",
    "difference_lower",
    "difference_upper",
    "effect_percent",
    "effect_lower",
    "effect_upper",
    "p_welch",
    "p_welch_holm",
    "p_mann_whitney",
    "p_mann_whitney_holm",
    "note",
]


def compare_levels(
    values: npt.ArrayLike,
    factor: npt.ArrayLike,
    reference: str,
    *,
    window: npt.ArrayLike | None = None,
    log: bool = False,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Compare each level of a factor with a reference level, window by window.

    One value is one independent unit (a pot): means over repeated measurements have
    to be taken before. Welch's test allows unequal variances; the Mann-Whitney test
    is exact for small samples without ties. Holm's adjustment takes the levels of one
    window as a family.

    The effect in percent of plain values is the ratio of means :math:`R`, with the
    interval of its logarithm,

    .. math:: u^2(\ln R) = \frac{s_1^2}{n_1 \bar x_1^2} + \frac{s_0^2}{n_0 \bar x_0^2},

    of values that are logarithms :math:`100(e^{d} - 1)` with the interval of their
    difference d; both with Student's t at Welch's degrees of freedom.

    Parameters
    ----------
    values : array_like
        One value per unit (and window), shape (n,); missing ones are left out.
    factor : array_like
        Level of each value, as text.
    reference : str
        Level the others are compared with.
    window : array_like, optional
        Period, or variable, of each value; one window by default.
    log : bool, optional
        Whether `values` are natural logarithms.
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        One row per window and level: ``window``, ``level``, ``n_reference``, ``n``,
        ``mean_reference``, ``mean``, ``difference``, ``difference_se``,
        ``difference_lower``, ``difference_upper``, ``effect_percent``,
        ``effect_lower``, ``effect_upper``, ``p_welch``, ``p_welch_holm``,
        ``p_mann_whitney``, ``p_mann_whitney_holm`` and ``note``. Where a sample has
        fewer than two units there is no test: NaN, and the note says so.

    Raises
    ------
    InputError
        If shapes differ or the reference is not among the levels.

    References
    ----------
    Welch (1947), Biometrika 34, 28-35. Hedges, Gurevitch & Curtis (1999), Ecology 80,
    1150-1156 (logarithm of the ratio of means).
    """
    table = _table(values, factor, window)
    if reference not in set(table["level"]):
        known = sorted(table["level"].unique())
        raise InputError(f"no value of the reference {reference!r}; levels: {known}")
    rows = []
    for name, part in table.groupby("window", sort=True):
        samples = {k: g.to_numpy() for k, g in part.groupby("level")["value"]}
        control = samples.pop(reference, np.empty(0))
        rows += [
            {"window": name, "level": k, **_compare(sample, control, log, level)}
            for k, sample in samples.items()
        ]
    result = pd.DataFrame(rows, columns=_COLUMNS)
    for test in ("p_welch", "p_mann_whitney"):
        families = result.groupby("window")[test]
        result[f"{test}_holm"] = families.transform(lambda p: holm(p))
    return result


def _table(
    values: npt.ArrayLike, factor: npt.ArrayLike, window: npt.ArrayLike | None
) -> pd.DataFrame:
    value, level = np.asarray(values, float), np.asarray(factor, object)
    period = np.full(value.shape, "all") if window is None else np.asarray(window)
    if not value.shape == level.shape == period.shape or value.ndim != 1:
        raise InputError(
            "values, factor and window need one entry per unit, got shapes "
            f"{value.shape}, {level.shape}, {period.shape}"
        )
    table = pd.DataFrame({"value": value, "level": level, "window": period})
    return table[np.isfinite(value)]


def _compare(
    sample: np.ndarray, control: np.ndarray, log: bool, level: float
) -> dict[str, Any]:
    """Return one row: a sample against the control."""
    n1, n0 = sample.size, control.size
    row: dict[str, Any] = dict.fromkeys(_COLUMNS[2:-1], np.nan)
    row.update(n_reference=n0, n=n1, note="")
    row["mean_reference"] = control.mean() if n0 else np.nan
    row["mean"] = sample.mean() if n1 else np.nan
    row["difference"] = row["mean"] - row["mean_reference"]
    if min(n1, n0) < 2:
        row["note"] = f"no test: {n1} unit(s) against {n0}, two of each are needed"
        return row
    v1, v0 = sample.var(ddof=1) / n1, control.var(ddof=1) / n0
    if v1 + v0 == 0.0:
        row["note"] = "no test: the units do not differ among themselves"
        return row
    half = _half_width(v1, v0, n1, n0, level)
    row["difference_se"] = np.sqrt(v1 + v0)
    row["difference_lower"] = row["difference"] - half
    row["difference_upper"] = row["difference"] + half
    row["p_welch"] = float(stats.ttest_ind(sample, control, equal_var=False).pvalue)
    row["p_mann_whitney"] = float(stats.mannwhitneyu(sample, control).pvalue)
    center = row["difference"]
    if not log:
        m1, m0 = row["mean"], row["mean_reference"]
        if m1 <= 0.0 or m0 <= 0.0:
            row["note"] = "no effect in %: it needs positive means"
            return row
        center = np.log(m1 / m0)
        half = _half_width(v1 / m1**2, v0 / m0**2, n1, n0, level)
    limits = 100.0 * np.expm1([center, center - half, center + half])
    row["effect_percent"], row["effect_lower"], row["effect_upper"] = limits
    return row


def _half_width(v1: float, v0: float, n1: int, n0: int, level: float) -> float:
    """Return the half-width of Welch's interval from the variances of two means."""
    freedom = (v1 + v0) ** 2 / (v1**2 / (n1 - 1) + v0**2 / (n0 - 1))
    return float(stats.t.ppf((1.0 + level) / 2.0, freedom) * np.sqrt(v1 + v0))
