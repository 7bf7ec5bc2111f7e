"""Scores of ensembles of a number or of several: CRPS and energy score.

The CRPS is a kernel of our own: it sorts each row once (NumPy's sort uses vector
instructions), takes both estimators from the same two sums and skips members that are
missing. It costs a third of scoringrules' fastest estimator, for which a row with one
missing member is NaN. Tests hold it against scoringrules and scores.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import xarray as xr
from numba import njit

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.parallel import apply_kernel

#: Rows sorted at a time: as many as stay in a core's cache.
_ROWS = 4096


def crps(
    ensemble: xr.DataArray,
    observed: xr.DataArray,
    *,
    member_dim: str = "member",
    estimator: Literal["standard", "fair"] = "standard",
) -> xr.DataArray:
    r"""Continuous ranked probability score of an ensemble.

    .. math::

        \mathrm{CRPS} = \frac{1}{M} \sum_i |x_i - y| -
        \frac{1}{2 M^2} \sum_i \sum_j |x_i - x_j|

    of the members :math:`x_i` and the observation :math:`y`; the fair form divides the
    second sum by :math:`2 M (M - 1)`. The standard form is the score of these members
    as they are; it punishes small ensembles, by a share 1/M of the spread. The fair
    one has the mean of an ensemble without end of the same distribution: compare
    ensembles of different size with it, and say which one a number is.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Values of the members along `member_dim`. Members that are missing do not count,
        so M may differ from case to case.
    observed : xarray.DataArray
        Same units; it must share the coordinates.
    member_dim : str, optional
        Name of the dimension of the members.
    estimator : {"standard", "fair"}
        Which of the two; `crps_both` gives them in one pass.

    Returns
    -------
    xarray.DataArray
        In the units of the ensemble, without `member_dim`; 0 is perfect. NaN where the
        observation or every member is missing, and for the fair form where there is
        only one.

    Raises
    ------
    InputError
        If the estimator is another one, a dimension is missing or coordinates differ.

    References
    ----------
    Gneiting & Raftery (2007), J. Am. Stat. Assoc. 102, 359-378, eq. 21. Ferro (2014),
    Q. J. R. Meteorol. Soc. 140, 1917-1923.

    Examples
    --------
    >>> import xarray as xr
    >>> members = xr.DataArray([0.0, 2.0], dims="member")
    >>> float(crps(members, xr.DataArray(1.0)))
    0.5
    >>> float(crps(members, xr.DataArray(1.0), estimator="fair"))
    0.0
    """
    _check_estimator(estimator)
    both = crps_both(ensemble, observed, member_dim=member_dim)
    return both["crps" if estimator == "standard" else "crps_fair"]


def crps_both(
    ensemble: xr.DataArray, observed: xr.DataArray, *, member_dim: str = "member"
) -> xr.Dataset:
    """Return the CRPS in its standard and its fair form, and the size of the ensemble.

    Parameters
    ----------
    ensemble, observed, member_dim
        As in `crps`.

    Returns
    -------
    xarray.Dataset
        ``crps`` and ``crps_fair`` in the units of the ensemble, ``members``, how many
        were there.

    Raises
    ------
    InputError
        If a dimension is missing or coordinates differ.
    """
    standard, fair, members = apply_kernel(
        _crps,
        ensemble,
        observed,
        core_dims=[[member_dim], []],
        output_dims=((), (), ()),
        output_dtypes=(float, float, np.int64),
    )
    units = {"units": ensemble.attrs["units"]} if "units" in ensemble.attrs else {}
    return xr.Dataset(
        {
            "crps": standard.assign_attrs(units),
            "crps_fair": fair.assign_attrs(units),
            "members": members,
        }
    )


def energy_score(
    ensemble: xr.DataArray,
    observed: xr.DataArray,
    *,
    variable_dim: str,
    member_dim: str = "member",
    estimator: Literal["standard", "fair"] = "standard",
) -> xr.DataArray:
    r"""Energy score: the CRPS of several numbers forecast together.

    .. math::

        \mathrm{ES} = \frac{1}{M} \sum_i \lVert x_i - y \rVert -
        \frac{1}{2 M^2} \sum_i \sum_j \lVert x_i - x_j \rVert

    with Euclidean distances over `variable_dim`; the fair form divides the second sum
    by :math:`2 M (M - 1)`. By scoringrules.

    Parameters
    ----------
    ensemble : xarray.DataArray
        Values along `member_dim` and `variable_dim`. The variables are added up as they
        are: divide each by its spread first where their units differ.
    observed : xarray.DataArray
        Values along `variable_dim`.
    variable_dim : str
        The dimension of what is forecast together: variables, places, lead times.
    member_dim : str, optional
        Name of the dimension of the members.
    estimator : {"standard", "fair"}
        As in `crps`.

    Returns
    -------
    xarray.DataArray
        0 is perfect; NaN where any member or the observation lacks a variable.

    Raises
    ------
    InputError
        If the estimator is another one, a dimension is missing, coordinates differ or
        the fair form is asked of one member.
    MissingDependencyError
        If scoringrules is not installed.

    References
    ----------
    Gneiting, Stanberry, Grimit, Held & Johnson (2008), TEST 17, 211-235, eq. 3.

    Examples
    --------
    >>> import xarray as xr
    >>> members = xr.DataArray([[0.0, 0.0], [6.0, 8.0]], dims=("member", "variable"))
    >>> seen = xr.DataArray([0.0, 0.0], dims="variable")
    >>> float(energy_score(members, seen, variable_dim="variable"))
    2.5
    """
    _check_estimator(estimator)
    if estimator == "fair" and ensemble.sizes.get(member_dim) == 1:
        raise InputError("the fair energy score needs two members or more, got 1")
    return apply_kernel(
        _energy,
        ensemble,
        observed,
        core_dims=[[member_dim, variable_dim], [variable_dim]],
        options={"estimator": "fair" if estimator == "fair" else "nrg"},
    ).rename("energy_score")


def _check_estimator(estimator: str) -> None:
    if estimator not in ("standard", "fair"):
        raise InputError(f"there is no estimator {estimator!r}: 'standard' or 'fair'")


def _energy(
    ensemble: np.ndarray, observed: np.ndarray, *, estimator: str
) -> np.ndarray:
    """Kernel of `energy_score`."""
    scoringrules = load("scoringrules", "forcing")
    return scoringrules.es_ensemble(
        np.asarray(observed, float),
        np.asarray(ensemble, float),
        estimator=estimator,
        backend="numba",
    )


def _crps(ensemble: np.ndarray, observed: np.ndarray) -> tuple:
    """Kernel of `crps_both`."""
    size = ensemble.shape[-1]
    rows = np.ascontiguousarray(ensemble, float).reshape(-1, size)
    seen = np.ascontiguousarray(observed, float).ravel()
    standard, fair = np.empty(seen.size), np.empty(seen.size)
    members = np.empty(seen.size, np.int64)
    for start in range(0, seen.size, _ROWS):
        part = slice(start, start + _ROWS)
        _crps_rows(
            np.sort(rows[part], axis=-1),  # missing members come last
            seen[part],
            standard[part],
            fair[part],
            members[part],
        )
    shape = observed.shape
    return standard.reshape(shape), fair.reshape(shape), members.reshape(shape)


@njit(cache=True, nogil=True, error_model="numpy")
def _crps_rows(rows, observed, standard, fair, members):  # pragma: no cover - compiled
    """Write both scores and the number of members of rows that are sorted."""
    size = rows.shape[1]
    for i in range(rows.shape[0]):
        m = size
        while m > 0 and np.isnan(rows[i, m - 1]):
            m -= 1
        members[i] = m
        if m == 0 or np.isnan(observed[i]):
            standard[i] = fair[i] = np.nan
            continue
        error, spread = 0.0, 0.0
        for k in range(m):
            error += abs(rows[i, k] - observed[i])
            # Differences of all pairs, by how often each sorted value is above others.
            # Around the observation the sum loses no digit to a large level.
            spread += (2 * k + 1 - m) * (rows[i, k] - observed[i])
        standard[i] = error / m - spread / m**2
        fair[i] = error / m - spread / (m * (m - 1)) if m > 1 else np.nan
