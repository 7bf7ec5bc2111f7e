r"""Mass of one sign: where it is known that ice is only lost, or only gained.

Without a bound, loss in one cell and gain in the next cancel at every station, and a
total is as uncertain as the penalty lets it be. With one, the observations alone limit
the total: its interval holds every total that some load of that sign explains as well,
and needs no prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy.linalg
import scipy.optimize
import xarray as xr
from scipy import special

from tilth.core.errors import InputError
from tilth.core.progress import track
from tilth.loading.inversion import build_system, strength_of, without_nuisances
from tilth.loading.observations import Rows
from tilth.loading.penalties import Kind, penalty_matrix

#: Weight of the row that holds a total at a value, over the errors of observation.
_HOLD = 1e4

#: Doublings in search of the end of an interval.
_DOUBLINGS = 40


def invert_signed(
    rows: Sequence[Rows],
    sources: xr.Dataset,
    sign: Literal["loss", "gain"],
    *,
    penalty: Kind = "size",
    strength: float | str = "likelihood",
    basins: xr.DataArray | None = None,
    level: float = 0.95,
) -> xr.Dataset:
    r"""Estimate the mass of sources none of which may gain, or none lose.

    .. math::

        \hat m = \arg\min_{m \le 0} |A m - d|^2 + \lambda^2 |L m|^2, \qquad
        q(M) = \min_{m \le 0,\; a^T m = M} |A m - d|^2,

    with A and d over the errors, nuisances counted among them. The interval of a total
    M holds where :math:`q(M) \le \min q + \chi^2_1`: the penalty has no part in it.

    Parameters
    ----------
    rows : sequence of Rows
        As of `tilth.loading.invert`.
    sources : xarray.Dataset
        The same for all; the mass of a unit must be positive.
    sign : {"loss", "gain"}
        No source above zero, or none below.
    penalty : {"size", "roughness"}
        As of `tilth.loading.penalty_matrix`; of the map alone.
    strength : float or {"likelihood", "gcv", "l-curve"}
        Chosen, if asked, without the bound.
    basins : xarray.DataArray, optional
        Share of each source in each ``basin``.
    level : float, default 0.95
        Probability of the intervals.

    Returns
    -------
    xarray.Dataset
        ``load`` and ``mass`` along ``source``; ``total`` of that map with
        ``total_lower`` and ``total_upper`` (Gt), and ``basin_mass`` in the same way. A
        total of the map outside its interval says that the penalty is too strong.

    Raises
    ------
    InputError
        If there is no such sign, a unit weighs nothing or less, or the level is none.

    References
    ----------
    Rust & O'Leary (1994), Computational Statistics and Data Analysis 17, 43-62; Lawson
    & Hanson (1974), Solving Least Squares Problems, chapter 23.
    """
    if sign not in ("loss", "gain"):
        raise InputError(f"sign is loss or gain, got {sign!r}")
    if not 0.0 < level < 1.0:
        raise InputError(f"level is between 0 and 1, got {level:g}")
    mass = sources["mass"].values
    if not (mass > 0.0).all():
        raise InputError(
            "the bound is on the load: a source whose unit weighs nothing or less has "
            "no sign of its mass"
        )
    turn = -1.0 if sign == "loss" else 1.0
    system = build_system(rows, sources)
    matrix = penalty_matrix(sources, penalty)
    chosen, _ = strength_of(system, system.observed, matrix, strength)
    response, data = without_nuisances(system, system.observed)
    response, data = _compressed(turn * response, data)
    zero = np.zeros(mass.size)
    best, _ = _least(
        np.vstack([response, chosen * matrix]), np.concatenate([data, zero])
    )
    tables = [("total", np.ones((1, mass.size)))]
    if basins is not None:
        tables.append(("basin_mass", basins.transpose("basin", "source").values))
    unit = {"units": sources.attrs.get("unit", "1")}
    coords = {n: c for n, c in sources.coords.items() if c.dims == ("source",)}
    if basins is not None:
        coords["basin"] = basins["basin"]
    result = xr.Dataset(
        {
            "load": ("source", turn * best, unit),
            "mass": ("source", turn * best * mass, {"units": "Gt"}),
        },
        coords,
        {"strength": chosen, "sign": sign, "level": level, "penalty": penalty},
    )
    rise = float(special.chdtri(1, 1.0 - level))
    for name, table in tables:
        dims = ("basin",) if name == "basin_mass" else ()
        ends = [
            _interval(response, data, weights * mass, rise)
            for weights in track(table, "limits of mass")
        ]
        low, high = np.sort(turn * np.array(ends), axis=1).T
        values = [turn * table @ (best * mass), low, high]
        for suffix, value in zip(("", "_lower", "_upper"), values, strict=True):
            held = value if dims else value[0]
            result[f"{name}{suffix}"] = (dims, held, {"units": "Gt"})
    return result


def _compressed(
    response: np.ndarray, data: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return fewer rows with the same misfit of every load but for a constant."""
    if response.shape[0] <= response.shape[1]:
        return response, data
    basis, factor = scipy.linalg.qr(response, mode="economic")
    return factor, basis.T @ data


def _interval(
    response: np.ndarray, data: np.ndarray, weights: np.ndarray, rise: float
) -> tuple[float, float]:
    """Return the least and the largest total that loads not below zero explain."""
    free, least = _least(response, data)
    at = float(weights @ free)
    hold = _HOLD * float(np.linalg.norm(response) / np.linalg.norm(weights))
    held = np.vstack([response, hold * weights])

    def beyond(total: float) -> float:
        target = np.append(data, hold * total)
        load, _ = _least(held, target)
        return float(np.sum((response @ load - data) ** 2)) - least - rise

    low = 0.0
    if at > 0.0 and beyond(0.0) > 0.0:
        low = scipy.optimize.brentq(beyond, 0.0, at, rtol=1e-5)
    step = max(0.1 * at, 1e-6 * float(weights.sum()))
    for _ in range(_DOUBLINGS):
        if beyond(at + step) > 0.0:
            high = scipy.optimize.brentq(beyond, at, at + step, rtol=1e-5)
            return float(low), float(high)
        step *= 2.0
    return float(low), np.inf


def _least(matrix: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the load not below zero of the least misfit, and that misfit."""
    size = np.maximum(np.linalg.norm(matrix, axis=0), 1e-300)
    load, norm = scipy.optimize.nnls(
        matrix / size, target, maxiter=30 * matrix.shape[1]
    )
    return load / size, norm**2
