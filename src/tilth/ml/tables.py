"""Errors of predictions by the value of something else, with the number of rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from tilth.core.errors import InputError

__all__ = ["binned_errors"]


def binned_errors(
    predicted: npt.ArrayLike,
    observed: npt.ArrayLike,
    by: npt.ArrayLike,
    edges: npt.ArrayLike,
) -> pd.DataFrame:
    """Tabulate root-mean-square error and bias by the bins of a third quantity.

    Parameters
    ----------
    predicted : array_like, shape (n)
        Out-of-fold predictions, or the table says how well rows were memorised. Rows
        that are NaN are left out.
    observed : array_like, shape (n)
        The truth.
    by : array_like, shape (n)
        What the rows are sorted by.
    edges : array_like
        Rising; a bin holds its lower edge. The first and the last bin are open.

    Returns
    -------
    pandas.DataFrame
        ``low``, ``high``, ``n``, ``rmse``, ``bias`` (predicted less observed) and
        ``rmse_se``, the standard error of the first if errors are independent; NaN
        where there are no rows, and no standard error of one row.

    Examples
    --------
    >>> binned_errors([1.0, 2.0], [0.0, 2.0], [-1.0, 1.0], [0.0])[["n", "rmse"]]
       n  rmse
    0  1   1.0
    1  1   0.0
    """
    limits = np.asarray(edges, float)
    if limits.ndim != 1 or not limits.size or not (np.diff(limits) > 0).all():
        raise InputError(f"edges must increase: {limits}")
    values = np.array([predicted, observed, by], float)
    values = values[:, np.isfinite(values).all(axis=0)]
    error = values[0] - values[1]
    place = np.searchsorted(limits, values[2], side="right")
    rows = []
    ends = np.concatenate([[-np.inf], limits, [np.inf]])
    for k in range(limits.size + 1):
        some = error[place == k]
        square = some**2
        rmse = np.sqrt(square.mean()) if some.size else np.nan
        known = some.size > 1 and rmse > 0
        # Of the mean square, carried through the root.
        se = square.std(ddof=1) / np.sqrt(some.size) / (2 * rmse) if known else np.nan
        bias = some.mean() if some.size else np.nan
        rows.append((ends[k], ends[k + 1], some.size, rmse, se, bias))
    return pd.DataFrame(rows, columns=["low", "high", "n", "rmse", "rmse_se", "bias"])
