r"""Mass from displacement: the linear inversion, and how far to believe it.

With observations d, the responses of sources G and of nuisances N, and the covariance
of errors C, it minimises

.. math::

    (d - G m - N b)^T C^{-1} (d - G m - N b) + \lambda^2 |L m|^2
        + \sum_k (b_k / \sigma_k)^2 .

Two errors are given. ``_se`` is that of the estimate if the load was drawn from the
prior that the penalty stands for: it includes what regularisation hides. ``_se_noise``
is the scatter by errors of observation alone: it goes to zero as the penalty grows, and
must not be taken for the error. ``recovered`` is the share of a source's mass that the
total would show: its distance from 1 is the bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy.linalg
import xarray as xr

from tilth.core.errors import InputError
from tilth.loading.observations import Rows
from tilth.loading.penalties import Kind, choose_strength, penalty_matrix

#: Reciprocal condition below which a system counts as undetermined.
_LEAST = 1e-15


class System(NamedTuple):
    """Rows of all kinds over their errors, with the nuisances.

    Parameters
    ----------
    response : numpy.ndarray, shape (rows, sources)
        Of the sources.
    nuisance : numpy.ndarray, shape (rows, nuisances)
        Of the nuisances.
    nuisance_sd : numpy.ndarray, shape (nuisances,)
        Infinite where nothing is known.
    names : tuple of str
        Of the nuisances.
    observed : numpy.ndarray, shape (rows,)
        The values.
    factors : tuple of numpy.ndarray
        Lower triangular root of each kind's covariance.
    """

    response: np.ndarray
    nuisance: np.ndarray
    nuisance_sd: np.ndarray
    names: tuple[str, ...]
    observed: np.ndarray
    factors: tuple[np.ndarray, ...]


class Solution(NamedTuple):
    """The linear estimator of one system and penalty.

    Parameters
    ----------
    gain : numpy.ndarray, shape (sources + nuisances, rows)
        Times observations over their errors: the estimate.
    covariance : numpy.ndarray, shape (sources + nuisances, ...)
        Under the prior.
    noise : numpy.ndarray
        Of the same shape: by errors of observation alone.
    resolution : numpy.ndarray, shape (sources, sources)
        What the estimate would be of a unit at each source.
    """

    gain: np.ndarray
    covariance: np.ndarray
    noise: np.ndarray
    resolution: np.ndarray


def invert(
    rows: Sequence[Rows],
    sources: xr.Dataset,
    *,
    penalty: Kind = "size",
    strength: float | str = "likelihood",
    basins: xr.DataArray | None = None,
) -> xr.Dataset:
    """Estimate the mass of sources from all observations together.

    Parameters
    ----------
    rows : sequence of Rows
        Of stations, gravity, lines of sight.
    sources : xarray.Dataset
        The same for all; of patterns or few discs ``strength`` may be 0.
    penalty : {"size", "roughness"}
        As of `tilth.loading.penalty_matrix`.
    strength : float or {"likelihood", "gcv", "l-curve"}
        Of the penalty, or how to choose it; 0 is plain weighted least squares.
    basins : xarray.DataArray, optional
        Share of each source in each ``basin``; their masses are given, too.

    Returns
    -------
    xarray.Dataset
        Along ``source`` ``load`` (units of the source, per time of the observations),
        ``load_se``, ``load_se_noise``, ``mass`` (Gt), ``mass_se`` and ``recovered``;
        ``total`` with its errors, ``basin_mass``; ``nuisance`` with ``nuisance_se``;
        ``fitted``, ``residual`` (over the errors) along ``observation``; ``misfit``
        (their squares' sum), ``freedom`` and, where the strength was chosen, the table
        it was chosen by, along ``strength``.

    Raises
    ------
    InputError
        If there is nothing observed, or the observations leave sources undetermined and
        the strength is 0.
    """
    system = build_system(rows, sources)
    matrix = penalty_matrix(sources, penalty)
    chosen, table = strength_of(system, system.observed, matrix, strength)
    solution = solve(system, chosen * matrix)
    result = describe(solution, system, sources, system.observed, basins)
    result = result.merge(_fit(rows, system, result))
    per = _per(rows)
    for name in result.data_vars:
        if result[name].attrs.get("units") == "Gt":
            result[name].attrs["units"] = f"Gt{per}"
    if table is not None:
        result = result.merge(
            table.rename(misfit="misfit_curve", freedom="freedom_curve")
        )
    result["freedom"] = float(np.trace(solution.resolution))
    result.attrs |= {
        "penalty": penalty,
        "strength": chosen,
        "strength_by": strength if isinstance(strength, str) else "given",
        "observations": ", ".join(f"{r.name}: {r.values.size}" for r in rows),
    }
    return result


def build_system(rows: Sequence[Rows], sources: xr.Dataset) -> System:
    """Put rows of all kinds over their errors, and join what they share.

    Parameters
    ----------
    rows : sequence of Rows
        Of all kinds.
    sources : xarray.Dataset
        The sources of all of them.

    Returns
    -------
    System
        Stacked.

    Raises
    ------
    InputError
        If there are none, two have one name, a covariance is none, or kinds disagree on
        a nuisance or on what is per time.
    """
    if not rows:
        raise InputError("there is nothing to invert: give rows of some observation")
    names = [r.name for r in rows]
    if len(set(names)) < len(names):
        raise InputError(f"rows share a name ({', '.join(names)}): name them apart")
    _per(rows)
    count = sources.sizes["source"]
    known: dict[str, float] = {}
    for r in rows:
        if r.matrix.shape[1] != count:
            raise InputError(
                f"the rows of {r.name} are of {r.matrix.shape[1]} sources, not {count}"
            )
        for name, nuisance in r.nuisances.items():
            if known.setdefault(name, nuisance.sd) != nuisance.sd:
                raise InputError(f"rows disagree on how large {name!r} may be")
    order = list(known)
    factors, responses, columns, values = [], [], [], []
    for r in rows:
        try:
            factor = np.linalg.cholesky(r.covariance)
        except np.linalg.LinAlgError as error:
            raise InputError(
                f"the covariance of {r.name} is not positive definite: are "
                "correlations beyond 1, or two pixels in one place?"
            ) from error
        own = np.zeros((r.values.size, len(order)))
        for name, nuisance in r.nuisances.items():
            own[:, order.index(name)] = nuisance.column
        whole = np.column_stack([r.matrix, own, r.values])
        white = scipy.linalg.solve_triangular(factor, whole, lower=True)
        responses.append(white[:, :count])
        columns.append(white[:, count:-1])
        values.append(white[:, -1])
        factors.append(factor)
    return System(
        np.concatenate(responses),
        np.concatenate(columns),
        np.array([known[name] for name in order], float),
        tuple(order),
        np.concatenate(values),
        tuple(factors),
    )


def strength_of(
    system: System, observed: np.ndarray, penalty: np.ndarray, strength: float | str
) -> tuple[float, xr.Dataset | None]:
    """Return the strength of a penalty, chosen if asked for, with the table of choice.

    Parameters
    ----------
    system : System
        The observations.
    observed : numpy.ndarray, shape (rows,) or (rows, times)
        Over their errors.
    penalty : numpy.ndarray, shape (sources, sources)
        The matrix.
    strength : float or str
        As of `invert`.

    Returns
    -------
    tuple of float and xarray.Dataset or None
        The strength; what it was chosen from.

    Raises
    ------
    InputError
        If a strength is negative or no such rule exists.
    """
    if not isinstance(strength, str):
        if not (np.isfinite(strength) and strength >= 0.0):
            raise InputError(f"a strength is not negative, got {strength}")
        return float(strength), None
    response, data = without_nuisances(system, observed)
    found = choose_strength(response, data, penalty, strength)
    return found.value, found.table


def without_nuisances(
    system: System, observed: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return response and observations with nuisances made part of the errors.

    Parameters
    ----------
    system : System
        The observations.
    observed : numpy.ndarray, shape (rows,) or (rows, times)
        Over their errors.

    Returns
    -------
    tuple of numpy.ndarray
        Fewer rows by those nuisances of which nothing is known.
    """
    whole = np.column_stack([system.response, observed])
    free = ~np.isfinite(system.nuisance_sd)
    bounded = system.nuisance[:, ~free] * system.nuisance_sd[~free]
    if bounded.shape[1]:
        factor = np.linalg.cholesky(np.eye(len(whole)) + bounded @ bounded.T)
        whole = scipy.linalg.solve_triangular(factor, whole, lower=True)
        rest = scipy.linalg.solve_triangular(
            factor, system.nuisance[:, free], lower=True
        )
    else:
        rest = system.nuisance[:, free]
    if rest.shape[1]:
        basis, _ = scipy.linalg.qr(rest)
        whole = basis[:, rest.shape[1] :].T @ whole
    count = system.response.shape[1]
    data = whole[:, count:]
    return whole[:, :count], data[:, 0] if observed.ndim == 1 else data


def solve(system: System, penalty: np.ndarray) -> Solution:
    """Return the linear estimator, its covariances and its resolution.

    Parameters
    ----------
    system : System
        The observations.
    penalty : numpy.ndarray, shape (sources, sources)
        Matrix times strength; zero for none.

    Returns
    -------
    Solution
        Of sources, then nuisances.

    Raises
    ------
    InputError
        If something is left undetermined.
    """
    count = system.response.shape[1]
    design = np.column_stack([system.response, system.nuisance])
    prior = np.zeros((design.shape[1],) * 2)
    prior[:count, :count] = penalty.T @ penalty
    every = np.arange(count, design.shape[1])
    prior[every, every] = 1.0 / system.nuisance_sd**2
    precision = design.T @ design + prior
    # Columns of like size: units of sources and nuisances differ by many powers of ten.
    scale = 1.0 / np.sqrt(np.maximum(np.diag(precision), 1e-300))
    even = precision * scale * scale[:, None]
    try:
        root = scipy.linalg.cholesky(even)
        loss = (
            scipy.linalg.lapack.dpocon(root, np.abs(even).sum(axis=0).max())[0] < _LEAST
        )
    except np.linalg.LinAlgError:
        loss = True
    if loss:
        raise InputError(
            "the observations leave some sources or nuisances undetermined: use a "
            "penalty (strength above 0), fewer sources, or a ramp of lower degree"
        )
    covariance = scipy.linalg.cho_solve((root, False), np.eye(len(even)))
    covariance = covariance * scale * scale[:, None]
    gain = covariance @ design.T
    shared = covariance[:, count:] / system.nuisance_sd
    return Solution(
        gain,
        covariance,
        gain @ gain.T + shared @ shared.T,  # a sum of squares: never below zero
        gain[:count] @ system.response,
    )


def describe(
    solution: Solution,
    system: System,
    sources: xr.Dataset,
    observed: np.ndarray,
    basins: xr.DataArray | None = None,
) -> xr.Dataset:
    """Return the estimate of an estimator as data, with its errors.

    Parameters
    ----------
    solution : Solution
        The estimator.
    system : System
        The observations.
    sources : xarray.Dataset
        The sources.
    observed : numpy.ndarray, shape (rows,) or (rows, times)
        Over their errors.
    basins : xarray.DataArray, optional
        Share of each source in each ``basin``.

    Returns
    -------
    xarray.Dataset
        As of `invert`, without fit; along ``time`` where there are times.
    """
    count = sources.sizes["source"]
    estimate = solution.gain @ observed
    over = () if observed.ndim == 1 else ("time",)
    mass = sources["mass"].values
    unit = sources.attrs.get("unit", "1")
    load = estimate[:count]
    se, se_noise = (
        np.sqrt(np.diag(c)[:count]) for c in (solution.covariance, solution.noise)
    )
    result: dict[str, tuple] = {
        "load": (("source", *over), load, {"units": unit}),
        "load_se": ("source", se, {"units": unit}),
        "load_se_noise": ("source", se_noise, {"units": unit}),
        "mass": (("source", *over), (load.T * mass).T, {"units": "Gt"}),
        "mass_se": ("source", se * np.abs(mass), {"units": "Gt"}),
        "recovered": (
            "source",
            mass @ solution.resolution / np.where(mass == 0.0, np.nan, mass),
            {"units": "1", "long_name": "share of a source's mass in the total"},
        ),
    }
    tables = [("total", np.ones((1, count)))]
    if basins is not None:
        tables.append(("basin_mass", basins.transpose("basin", "source").values))
    for name, table in tables:
        weights = table * mass
        dims = ("basin",) if name == "basin_mass" else ()
        values = weights @ load
        errors = [
            np.sqrt(np.einsum("bi,ij,bj->b", weights, c[:count, :count], weights))
            for c in (solution.covariance, solution.noise)
        ]
        if not dims:
            values, errors = values[0], [e[0] for e in errors]
        result[name] = ((*dims, *over), values, {"units": "Gt"})
        for suffix, error in zip(("se", "se_noise"), errors, strict=True):
            result[f"{name}_{suffix}"] = (dims, error, {"units": "Gt"})
    if system.names:
        result["nuisance"] = (("nuisance_name", *over), estimate[count:])
        spread = np.sqrt(np.diag(solution.covariance)[count:])
        result["nuisance_se"] = ("nuisance_name", spread)
    coords = {name: c for name, c in sources.coords.items() if c.dims == ("source",)}
    coords["nuisance_name"] = list(system.names)
    if basins is not None:
        coords["basin"] = basins["basin"]
    return xr.Dataset(result, coords)


def _fit(rows: Sequence[Rows], system: System, result: xr.Dataset) -> xr.Dataset:
    """Return what the estimate makes of the observations."""
    parts = [system.response @ result["load"].values]
    if system.names:
        parts.append(system.nuisance @ result["nuisance"].values)
    white = sum(parts)
    residual = system.observed - white
    fitted, first = [], 0
    for r, factor in zip(rows, system.factors, strict=True):
        fitted.append(factor @ white[first : first + r.values.size])
        first += r.values.size
    along = "observation"
    return xr.Dataset(
        {
            "observed": (along, np.concatenate([r.values for r in rows])),
            "fitted": (along, np.concatenate(fitted)),
            "residual": (along, residual, {"units": "1"}),
            "misfit": ((), float(residual @ residual), {"units": "1"}),
        },
        {
            "kind": (along, [r.name for r in rows for _ in r.labels]),
            "label": (along, [label for r in rows for label in r.labels]),
        },
    )


def _per(rows: Sequence[Rows]) -> str:
    """Return what all observations are per, such as " yr-1"; empty for amounts."""
    tails = {}
    for r in rows:
        words = r.units.replace("/", " /").split()[1:]
        tail = " ".join(words).replace("/ ", "/")
        tail = {"/yr": "yr-1", "/year": "yr-1", "year-1": "yr-1", "a-1": "yr-1"}.get(
            tail, tail
        )
        tails[r.name] = f" {tail}" if tail else ""
    if len(set(tails.values())) > 1:
        said = ", ".join(f"{r.name} in {r.units}" for r in rows)
        raise InputError(f"rows must be all amounts or all rates ({said})")
    return next(iter(tails.values()))
