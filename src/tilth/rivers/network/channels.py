"""Width and depth of channels from mean discharge: empirical laws."""

from __future__ import annotations

from typing import Any

import numpy as np

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.errors import InputError

#: Days of a mean Gregorian year.
DAYS_PER_YEAR = 365.2425

#: Mean annual runoff of the land, mm per year, where nothing better is known: 300 is
#: 45 thousand km3 per year (Oki & Kanae 2006, Science 313, fig. 1) over the 149
#: million km2 of land, rounded.
MEAN_RUNOFF = 300.0


def channel_width(
    discharge: Any,
    *,
    coefficient: float = 2.5,
    exponent: float = 0.6,
    least: float = 5.0,
) -> Any:
    r"""Width of a channel of a given mean annual discharge.

    .. math:: W = \max(W_0, a Q^b)

    Parameters
    ----------
    discharge : array_like or xarray.DataArray
        Mean annual discharge, m3 s-1.
    coefficient, exponent, least : float
        :math:`a` and :math:`b` for `discharge` in m3 s-1, and :math:`W_0` in m. The
        defaults are those of CaMa-Flood v4's map preparation.

    Returns
    -------
    same type as `discharge`
        Width in m.

    Raises
    ------
    InputError
        If a discharge is negative or a coefficient cannot be.

    References
    ----------
    Leopold & Maddock (1953), USGS Professional Paper 252, for the form; Yamazaki et
    al. (2011), Water Resources Research 47, W04501, for its use in CaMa-Flood.

    Examples
    --------
    >>> import numpy as np
    >>> channel_width(np.array([1.0, 100.0, 10_000.0])).round(1)
    array([  5. ,  39.6, 628. ])
    """
    return _power_law("width", discharge, coefficient, exponent, least)


def channel_depth(
    discharge: Any,
    *,
    coefficient: float = 0.1,
    exponent: float = 0.5,
    least: float = 1.0,
) -> Any:
    r"""Bank-full depth of a channel of a given mean annual discharge.

    .. math:: H = \max(H_0, a Q^b)

    Parameters
    ----------
    discharge : array_like or xarray.DataArray
        Mean annual discharge, m3 s-1.
    coefficient, exponent, least : float
        :math:`a` and :math:`b` for `discharge` in m3 s-1, and :math:`H_0` in m. The
        defaults are those of CaMa-Flood v4's map preparation.

    Returns
    -------
    same type as `discharge`
        Depth in m from the bank to the bed.

    Raises
    ------
    InputError
        If a discharge is negative or a coefficient cannot be.

    References
    ----------
    As for `channel_width`.

    Examples
    --------
    >>> import numpy as np
    >>> channel_depth(np.array([1.0, 100.0, 10_000.0]))
    array([ 1.,  1., 10.])
    """
    return _power_law("depth", discharge, coefficient, exponent, least)


def runoff_volume(area: Any, runoff: Any) -> Any:
    """Mean water that an area gives to its river.

    Parameters
    ----------
    area : array_like
        Area, m2.
    runoff : array_like
        Mean annual runoff, mm per year.

    Returns
    -------
    same type as `area`
        Volume, m3 s-1.

    Raises
    ------
    InputError
        If an area or a runoff is negative or not a number.

    Examples
    --------
    >>> round(runoff_volume(1e9, 365.2425), 9) == round(1e6 / 86400, 9)
    True
    """
    for name, values in (("area", area), ("runoff", runoff)):
        wrong = ~(np.asarray(values) >= 0)
        if wrong.any():
            raise InputError(
                f"{name} must not be negative, and a number everywhere: "
                f"{int(wrong.sum())} of {wrong.size} values are not"
            )
    return area * (runoff * (1e-3 / (DAYS_PER_YEAR * SECONDS_PER_DAY)))


def _power_law(
    name: str, discharge: Any, coefficient: float, exponent: float, least: float
) -> Any:
    """Return ``max(least, coefficient * discharge**exponent)``."""
    if not (coefficient > 0 and exponent > 0 and least > 0):
        raise InputError(
            f"the law of a channel's {name} needs a positive coefficient, exponent and "
            f"least {name}, got {coefficient}, {exponent} and {least}"
        )
    negative = np.asarray(discharge) < 0
    if negative.any():
        raise InputError(
            f"mean discharge must not be negative: {int(negative.sum())} of "
            f"{negative.size} values are; give the mean over years, not an anomaly"
        )
    return np.maximum(least, coefficient * discharge**exponent)
