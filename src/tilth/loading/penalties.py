r"""What is expected of a load before anything is observed, and how strongly.

A penalty is a matrix L, :math:`|L m|^2` being what an inversion keeps small beside the
misfit. It stands for a prior: :math:`\lambda L m` of variance one.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.loading.sources import PATTERN

Kind = Literal["size", "roughness"]

#: Strengths tried, relative to the largest singular value of the standard form.
_TRIED = np.logspace(-5.0, 2.0, 141)


def penalty_matrix(sources: xr.Dataset, kind: Kind = "size") -> np.ndarray:
    r"""Return the matrix whose product with a load an inversion keeps small.

    Of the size (Tikhonov): every source by the square root of its share of the area, so
    that a region cut into more pieces is not punished more. Of the roughness: the
    Laplacian on the cells of a grid,

    .. math:: (\nabla^2 m)_j = \frac{h^2}{a_j} \sum_{k} \frac{w_{jk}}{d_{jk}}
              (m_k - m_j) ,

    over the four neighbours, sides w and distances d, h being the mean size of a cell;
    beyond the cells that may hold mass there is none, so that a layer of constant
    thickness counts as rough at its border.

    Parameters
    ----------
    sources : xarray.Dataset
        Of any kind; of the roughness: cells.
    kind : {"size", "roughness"}
        Which.

    Returns
    -------
    numpy.ndarray, shape (sources, sources)
        Without units, and invertible.

    Raises
    ------
    InputError
        If there is no such penalty, or no grid to be rough on.
    """
    count = sources.sizes["source"]
    if kind == "size":
        if sources.attrs.get("unit") == PATTERN:
            return np.eye(count)
        area = sources["area"].values
        return np.diag(np.sqrt(area / area.mean()))
    if kind != "roughness":
        raise InputError(f"a penalty is of the size or the roughness, got {kind!r}")
    if "row" not in sources.coords:
        raise InputError(
            "only cells of a grid have neighbours to differ from: use cell_sources, or "
            "the penalty of the size"
        )
    return _laplacian(sources)


class Strength(NamedTuple):
    r"""How strong a penalty is, and how that was found.

    Parameters
    ----------
    value : float
        :math:`\lambda`, per unit of source.
    table : xarray.Dataset
        Along ``strength``: ``misfit`` and ``size`` (of the penalty), ``curvature`` of
        the one over the other in logarithms, ``gcv``, ``log_likelihood`` and
        ``freedom`` (parameters that the observations determine).
    """

    value: float
    table: xr.Dataset


def choose_strength(
    response: np.ndarray,
    observed: np.ndarray,
    penalty: np.ndarray,
    how: str = "likelihood",
) -> Strength:
    r"""Choose the strength of a penalty from the observations themselves.

    With :math:`A L^{-1} = U S V^T`, filters :math:`f_i = s_i^2 / (s_i^2+\lambda^2)`
    and :math:`\beta = U^T d`:

    * ``likelihood``: the largest restricted likelihood of the observations under the
      prior, :math:`-\frac12 \sum_i [\beta_i^2 (1 - f_i) - \ln(1 - f_i)]`; the one whose
      standard errors mean what they say, if the covariance of the errors is right.
    * ``gcv``: generalised cross-validation, the least of
      :math:`n |r|^2 / (n - \sum_i f_i)^2`; right also if the covariance is known but
      for a factor.
    * ``l-curve``: the corner of :math:`\ln |L m|` over :math:`\ln |r|`.

    Parameters
    ----------
    response : numpy.ndarray, shape (rows, sources)
        Over the errors (whitened), without the nuisances.
    observed : numpy.ndarray, shape (rows,) or (rows, times)
        In the same way; times share one strength.
    penalty : numpy.ndarray, shape (sources, sources)
        Invertible.
    how : {"likelihood", "gcv", "l-curve"}
        Which rule.

    Returns
    -------
    Strength
        The choice among 141 values, refined between its neighbours.

    Raises
    ------
    InputError
        If there is no such rule, or the sources do not move what was observed.

    References
    ----------
    Hansen (1992), SIAM Review 34, 561-580; Golub, Heath & Wahba (1979), Technometrics
    21, 215-223; Xu, Shen, Fukuda & Liu (2006), Journal of Geodesy 80, 69-81.
    """
    columns = {"likelihood": "log_likelihood", "gcv": "gcv", "l-curve": "curvature"}
    if how not in columns:
        raise InputError(f"a strength is chosen by {', '.join(columns)}; got {how!r}")
    data = observed.reshape(observed.shape[0], -1)
    left, s, _ = np.linalg.svd(
        np.linalg.solve(penalty.T, response.T).T, full_matrices=False
    )
    if not s[0] > 0.0:
        raise InputError("no source moves anything that was observed")
    beta = left.T @ data
    beyond = np.maximum((data**2).sum(axis=0) - (beta**2).sum(axis=0), 0.0).sum()
    count = data.shape
    tried = s[0] * _TRIED
    table = _curves(tried, s, beta, beyond, count)
    sign = -1.0 if how == "gcv" else 1.0
    score = sign * table[columns[how]].values
    score[~np.isfinite(score)] = -np.inf
    best = int(np.argmax(score))
    low, high = tried[max(best - 1, 0)], tried[min(best + 1, tried.size - 1)]
    finer = np.geomspace(low, high, 41)
    within = sign * _curves(finer, s, beta, beyond, count)[columns[how]].values
    within[~np.isfinite(within)] = -np.inf
    value = float(finer[np.argmax(within)])
    if how == "l-curve":  # its curvature is a difference: finer ones are noise
        value = float(tried[best])
    return Strength(value, table)


def _curves(
    tried: np.ndarray,
    s: np.ndarray,
    beta: np.ndarray,
    beyond: float,
    count: tuple[int, ...],
) -> xr.Dataset:
    """Return what each strength leaves."""
    rows, times = count
    keep = (s**2)[:, None] / (s[:, None] ** 2 + tried**2)
    power = (beta**2).sum(axis=1)[:, None]
    misfit = ((1.0 - keep) ** 2 * power).sum(axis=0) + beyond
    tiny = np.maximum(s, s[0] * 1e-150)[:, None]
    size = (keep**2 * power / tiny**2).sum(axis=0)
    freedom = keep.sum(axis=0)
    left = 1.0 - keep
    safe = np.maximum(left, 1e-300)
    likelihood = -0.5 * (
        (left * power).sum(axis=0) + beyond - times * np.log(safe).sum(axis=0)
    )
    room = rows - freedom
    gcv = np.where(room > 1e-9, rows * misfit / np.maximum(room, 1e-9) ** 2, np.inf)
    t = np.log(tried)
    x, y = (0.5 * np.log(np.maximum(v, 1e-300)) for v in (misfit, size))
    x1, y1 = np.gradient(x, t), np.gradient(y, t)
    x2, y2 = np.gradient(x1, t), np.gradient(y1, t)
    speed = (x1**2 + y1**2) ** 1.5
    bend = np.where(
        speed > 1e-12, (x1 * y2 - y1 * x2) / np.maximum(speed, 1e-12), -np.inf
    )
    names = {
        "misfit": misfit,
        "size": size,
        "curvature": bend,
        "gcv": gcv,
        "log_likelihood": likelihood,
        "freedom": freedom,
    }
    return xr.Dataset(
        {name: ("strength", v) for name, v in names.items()}, {"strength": tried}
    )


def _laplacian(sources: xr.Dataset) -> np.ndarray:
    """Return the Laplacian on cells, none beyond them."""
    row, column = sources["row"].values, sources["column"].values
    lat = np.radians(sources["source_lat"].values)
    area = sources["area"].values / 6.371e6**2
    index = {cell: k for k, cell in enumerate(zip(row, column, strict=True))}
    size = np.sqrt(area.mean())
    # Steps of the grid from any two neighbours; a lone cell is as wide as high.
    high = _step(lat, row, np.sqrt(area))
    matrix = np.zeros((area.size, area.size))
    for (i, j), k in index.items():
        wide = area[k] / high[k]
        sides = [(-1, 0, wide, high[k]), (1, 0, wide, high[k])]
        sides += [(0, -1, high[k], wide), (0, 1, high[k], wide)]
        for down, right, side, apart in sides:
            weight = size**2 / area[k] * side / apart
            matrix[k, k] += weight
            other = index.get((i + down, j + right))
            if other is not None:
                matrix[k, other] -= weight
    return matrix


def _step(lat: np.ndarray, row: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """Return the height of each cell, rad."""
    rows, first = np.unique(row, return_index=True)
    if rows.size < 2:
        return otherwise
    slope = np.abs(np.diff(lat[first]) / np.diff(rows))
    return np.interp(row, (rows[1:] + rows[:-1]) / 2.0, slope)
