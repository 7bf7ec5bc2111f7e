r"""Mass over time from daily or monthly positions, and its rate with an honest error.

Every epoch is inverted with the same sources and strength. What is uncertain in one way
at all epochs (the rate of rebound) is carried to the rate as such, and is not averaged
down by more epochs.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.core.progress import track
from tilth.loading.inversion import build_system, describe, solve, strength_of
from tilth.loading.observations import COMPONENTS, Rows, gia_modes, station_rows
from tilth.loading.penalties import Kind, penalty_matrix

#: Days of a year.
YEAR = 365.25

#: Memories from one epoch to the next, and shares of white noise, that are tried.
_MEMORIES = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.87, 0.94, 0.98])
_WHITE = np.array([0.0, 0.25, 0.5, 0.75])


def invert_series(
    moved: xr.Dataset,
    sources: xr.Dataset,
    *,
    reference: tuple[str, str],
    gia: xr.Dataset | None = None,
    origin_sd: float = 0.0,
    penalty: Kind = "size",
    strength: float | str = "likelihood",
    basins: xr.DataArray | None = None,
) -> xr.Dataset:
    """Estimate the mass of sources at every epoch.

    Parameters
    ----------
    moved : xarray.Dataset
        Any of ``east``, ``north`` and ``up`` along the stations and ``time``, in units
        of length, with ``_se``, of which the root mean square over time is taken.
        Missing values are left out, epoch by epoch.
    sources : xarray.Dataset
        Of the same stations, in their order.
    reference : tuple of str
        First and last day of the period from whose mean every station, and so the
        mass, is counted. Stations without values in it are left out.
    gia : xarray.Dataset, optional
        Rates of glacial isostatic adjustment as of `tilth.loading.station_rows`, length
        per year.
    origin_sd : float, default 0
        Of a shift shared by all stations at an epoch, in the units of `moved`.
    penalty, strength
        As of `tilth.loading.invert`; the strength is chosen from all epochs that have
        the stations most often seen together.
    basins : xarray.DataArray, optional
        Share of each source in each ``basin``.

    Returns
    -------
    xarray.Dataset
        Along ``time``: ``load``, ``mass`` (also along ``source``), ``total`` with
        ``total_se`` and ``total_se_noise``, ``recovered`` (by source),
        ``basin_mass``; and, with `gia`, ``total_gia_rate_se`` (Gt yr-1).

    Raises
    ------
    InputError
        If there is no time, or no station has values in the period of reference.
    """
    if "time" not in moved.dims:
        raise InputError("a series needs the dimension time; use invert for one epoch")
    dim = next(
        str(d) for d in sources["response"].dims if d not in ("component", "source")
    )
    present = [c for c in COMPONENTS if c in moved]
    require_variables(moved, [f"{c}_se" for c in present], "the displacement")
    moved = moved.transpose("time", dim, ...)
    years = _years(moved["time"].values)
    within = moved.sel(time=slice(*reference))
    if not within.sizes["time"]:
        raise InputError(
            f"there is no epoch from {reference[0]} to {reference[1]}: the series goes "
            f"from {moved['time'].values[0]} to {moved['time'].values[-1]}"
        )
    data, modes = moved.copy(), np.zeros((0, len(present), moved.sizes[dim]))
    middle = years[np.isin(moved["time"].values, within["time"].values)].mean()
    if gia is not None:
        units = str(moved[present[0]].attrs.get("units", "m"))
        taken, modes = gia_modes(gia, present, dim, f"{units} yr-1")
        for component, rate in zip(present, taken, strict=True):
            data[component] = moved[component].copy(
                data=moved[component].values - (years - middle)[:, None] * rate
            )
    for component in present:
        mean = data[component].sel(time=slice(*reference)).mean("time")
        data[component] = (data[component] - mean).assign_attrs(moved[component].attrs)
        spread = (moved[f"{component}_se"] ** 2).mean("time") ** 0.5
        data[f"{component}_se"] = spread.assign_attrs(moved[component].attrs)
    if not any(bool(data[c].notnull().any()) for c in present):
        raise InputError(
            f"no station has values from {reference[0]} to {reference[1]}, from which "
            "the mass is to be counted"
        )
    groups = _groups(data, present)
    matrix = penalty_matrix(sources, penalty)
    parts: list[xr.Dataset] = []
    chosen: float | None = None
    for epochs in track(groups, "epochs inverted"):
        rows, values = _rows_of(data, sources, epochs, present, dim, origin_sd)
        system = build_system([rows], sources)
        observed = scipy.linalg.solve_triangular(system.factors[0], values, lower=True)
        if chosen is None:
            chosen, _ = strength_of(system, observed, matrix, strength)
        solution = solve(system, chosen * matrix)
        part = describe(solution, system, sources, observed, basins)
        part = part.drop_vars(["nuisance", "nuisance_se"], errors="ignore")
        part = part.drop_dims("nuisance_name", errors="ignore")
        kept = np.isfinite(np.concatenate([data[c].values[epochs[0]] for c in present]))
        drift = modes.reshape(len(modes), kept.size)[:, kept].T
        if drift.shape[1]:
            white = scipy.linalg.solve_triangular(system.factors[0], drift, lower=True)
            weights = sources["mass"].values
            rate = weights @ (solution.gain[: weights.size] @ white)
            part["total_gia_rate_se"] = ((), float(np.linalg.norm(rate)))
        steady = [n for n in part.data_vars if "time" not in part[n].dims]
        for name in steady:
            part[name] = part[name].expand_dims(time=epochs.size)
        parts.append(part.assign_coords(time=data["time"].values[epochs]))
    result = xr.concat(parts, "time", data_vars="all").sortby("time")
    if "total_gia_rate_se" in result:
        result["total_gia_rate_se"].attrs["units"] = "Gt yr-1"
    return result.assign_attrs(
        penalty=penalty, strength=chosen, reference=" to ".join(reference)
    )


def mass_rate(
    series: xr.Dataset, *, name: str = "total", acceleration: bool = False
) -> xr.Dataset:
    r"""Return the rate of a series of mass, with its season and the noise's memory.

    Offset, rate, annual and semi-annual cycle (and acceleration) by generalised least
    squares; the noise is white and of memory :math:`\phi` from one epoch to the next,
    its parts found by restricted likelihood.

    Parameters
    ----------
    series : xarray.Dataset
        Of `invert_series`.
    name : str, default "total"
        A variable along ``time`` alone, Gt.
    acceleration : bool, default False
        Whether the rate changes; it is then that of the middle of the series.

    Returns
    -------
    xarray.Dataset
        ``rate``, ``rate_se`` (noise and rebound) and ``rate_se_noise``, Gt yr-1;
        ``acceleration`` with its error (Gt yr-2), ``annual`` amplitude (Gt),
        ``memory`` (of an epoch), ``white`` share of the variance, ``noise`` (Gt), and
        the ``fitted`` values. What regularisation hides is not in these errors: see
        ``recovered``, and invert rates where they are known.

    Raises
    ------
    InputError
        If there are under twelve values or under two years.
    """
    kept = series[name].dropna("time")
    if kept.dims != ("time",):
        raise InputError(f"{name} lies along {kept.dims}: give a series of time alone")
    years = _years(kept["time"].values)
    if years.size < 12 or np.ptp(years) < 2.0:
        raise InputError(
            f"a rate beside a season needs 12 values over 2 years, {name} has "
            f"{years.size} over {np.ptp(years):.1f}"
        )
    t = years - (years[0] + years[-1]) / 2.0
    design = [np.ones_like(t), t]
    for k in (1, 2):
        design += [np.cos(2 * np.pi * k * years), np.sin(2 * np.pi * k * years)]
    if acceleration:
        design.append(t**2 / 2.0)
    x = np.stack(design, axis=1)
    y = kept.values.astype(float)
    step = np.median(np.diff(years))
    lag = np.abs(years[:, None] - years) / step
    best: tuple[float, float, float, np.ndarray, np.ndarray] | None = None
    for memory in _MEMORIES:
        linked = np.where(lag == 0.0, 1.0, memory**lag) if memory else np.eye(t.size)
        for white in _WHITE if memory else _WHITE[:1]:
            correlation = white * np.eye(t.size) + (1.0 - white) * linked
            score, values, covariance = _restricted(x, y, correlation)
            if best is None or score > best[0]:
                best = (score, memory, white, values, covariance)
    assert best is not None
    _, memory, white, values, covariance = best
    noise = float(np.sqrt(covariance[1, 1]))
    drift = 0.0
    if name == "total" and "total_gia_rate_se" in series:
        drift = float(series["total_gia_rate_se"].mean())
    rate = {"units": "Gt yr-1"}
    result = xr.Dataset(
        {
            "rate": ((), float(values[1]), rate),
            "rate_se": ((), float(np.hypot(noise, drift)), rate),
            "rate_se_noise": ((), noise, rate),
            "annual": ((), float(np.hypot(values[2], values[3])), {"units": "Gt"}),
            "memory": ((), float(memory), {"units": "1"}),
            "white": ((), float(white), {"units": "1"}),
            "noise": ((), float(np.std(y - x @ values)), {"units": "Gt"}),
            "fitted": ("time", x @ values, {"units": "Gt"}),
        },
        {"time": kept["time"]},
    )
    if acceleration:
        curve = {"units": "Gt yr-2"}
        result["acceleration"] = ((), float(values[-1]), curve)
        result["acceleration_se"] = ((), float(covariance[-1, -1] ** 0.5), curve)
    return result


def _restricted(
    x: np.ndarray, y: np.ndarray, correlation: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return restricted likelihood, estimate and covariance for one correlation."""
    root = np.linalg.cholesky(correlation)
    white = scipy.linalg.solve_triangular(root, np.column_stack([x, y]), lower=True)
    basis, factor = np.linalg.qr(white[:, :-1])
    values = np.linalg.solve(factor, basis.T @ white[:, -1])
    rest = white[:, -1] - white[:, :-1] @ values
    room = y.size - x.shape[1]
    variance = max(float(rest @ rest) / room, 1e-300)
    score = -0.5 * room * np.log(variance) - np.log(np.diag(root)).sum()
    score -= np.log(np.abs(np.diag(factor))).sum()
    inverse = np.linalg.inv(factor)
    return float(score), values, variance * inverse @ inverse.T


def _groups(data: xr.Dataset, present: list[str]) -> list[np.ndarray]:
    """Return the epochs of each set of values that are there, the largest first."""
    there = np.concatenate([np.isfinite(data[c].values) for c in present], axis=1)
    sets: dict[bytes, list[int]] = {}
    for k in np.flatnonzero(there.any(axis=1)):
        sets.setdefault(there[k].tobytes(), []).append(int(k))
    ordered = sorted(sets.values(), key=len, reverse=True)
    return [np.array(epochs) for epochs in ordered]


def _rows_of(
    data: xr.Dataset,
    sources: xr.Dataset,
    epochs: np.ndarray,
    present: list[str],
    dim: str,
    origin_sd: float,
) -> tuple[Rows, np.ndarray]:
    """Return the rows of epochs that have the same stations, and their values."""
    first = data.isel(time=int(epochs[0]))
    rows = station_rows(first, sources, origin_sd=origin_sd)
    values = np.concatenate([data[c].values[epochs] for c in present], axis=1)
    return rows, values[:, np.isfinite(values[0])].T


def _years(time: np.ndarray) -> np.ndarray:
    """Return decimal years since 2000."""
    days = (time - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")
    return np.asarray(days, float) / YEAR
