"""Simple benchmarks of a flux: what a straight line in the weather would say.

A land model that knows soil, snow and plants should beat a regression that knows none
of them (Best et al. 2015, J. Hydrometeorol. 16, 1425-1442).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

#: Benchmark -> variables of the forcing it is linear in.
PREDICTORS = {
    "line in sunshine": ("SWdown",),
    "plane in sunshine, temperature, humidity": ("SWdown", "Tair", "Qair"),
}


def predict(
    forcing: xr.Dataset, target: np.ndarray, predictors: tuple[str, ...]
) -> np.ndarray:
    """Return the regression's prediction of every step from steps it was not fitted to.

    Even weeks are predicted by a fit to odd weeks and the other way round.

    Parameters
    ----------
    forcing : xarray.Dataset
        With the predictors over ``time``.
    target : numpy.ndarray, shape (time)
        The flux, W m-2; missing steps are left out of the fit.
    predictors : tuple of str
        Names of variables.

    Returns
    -------
    numpy.ndarray, shape (time)
        The prediction, in the units of the target.
    """
    time = pd.DatetimeIndex(forcing["time"].values)
    week = ((time - time[0]).days // 7).to_numpy() % 2
    table = np.stack(
        [np.ones(time.size), *(forcing[name].values.ravel() for name in predictors)], 1
    )
    result = np.full(time.size, np.nan)
    for held_out in (0, 1):
        known = (week != held_out) & np.isfinite(target)
        weights, *_ = np.linalg.lstsq(table[known], target[known], rcond=None)
        result[week == held_out] = table[week == held_out] @ weights
    return result
