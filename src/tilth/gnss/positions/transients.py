r"""Velocity, transient and seasons of a series, told apart by a state space.

A daily position is

.. math::

    y_t = a + v t + \sum_j b_j H(t - t_j)
        + \sum_k (c_k + \gamma_{k,t}) \cos 2\pi k t + (s_k + \sigma_{k,t}) \sin 2\pi k t
        + T_t + e_t

with steps :math:`b_j`, yearly and half-yearly seasons whose amplitudes wander as random
walks, a transient T that is a random walk or a first-order Gauss-Markov process of time
:math:`\tau`, and white noise e in proportion to the formal errors (Ji & Herring 2013;
wandering seasons as Davis et al. 2012). The variances are not known either: values and
errors are averages over what the restricted likelihood leaves open of them, every
standard deviation being as likely as any other beforehand (Hamilton 1986).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri
from scipy.stats import qmc

from tilth.core.errors import InputError
from tilth.core.flags import FlagTable
from tilth.core.progress import track
from tilth.gnss.positions.series import COMPONENTS, usable
from tilth.gnss.positions.state_space import Regression, Smoothed
from tilth.gnss.positions.trajectory import Trajectory
from tilth.gnss.positions.transient_model import SeriesModel, TransientSettings

#: Sets of variances drawn to weigh (a power of two), and sets whose states are found.
_DRAWS, _STATES = 128, 16

#: Of the drawing: the answer is the same in every run.
SEED = 2013

#: Draws are this much wider than the likelihood, so that none of it is missed.
_WIDER = 1.5

#: Rounds of leaving out what lies far off.
_ROUNDS = 4

#: A year and its seasons cannot be told from a rate in less, days.
_LEAST_DAYS = 366

#: A drop of the log-likelihood by this much is one standard deviation away.
_ONE_SIGMA = 0.5


#: Epochs that `separate` leaves out.
SEPARATION_FLAGS = FlagTable(
    {"outlier": "farther from what all other positions say than is allowed"}
)


def separate(
    time: np.ndarray,
    values: np.ndarray,
    trajectory: Trajectory | None = None,
    *,
    formal: np.ndarray | None = None,
    settings: TransientSettings | None = None,
    units: str = "m",
) -> xr.Dataset:
    """Tell trend, seasons and transient of a daily series apart.

    Parameters
    ----------
    time : array_like of datetime64, shape (epoch,)
        Increasing, one on a day at most.
    values : array_like, shape (epoch,)
        Positions; NaN where there is none.
    trajectory : Trajectory, optional
        By default a rate and yearly and half-yearly seasons; give it the known steps.
    formal : array_like, shape (epoch,), optional
        Formal standard errors: their ratio counts, not their size.
    settings : TransientSettings, optional
        What the state holds.
    units : str
        Of the positions.

    Returns
    -------
    xarray.Dataset
        On every day along ``time``: ``transient`` (zero on the first day if a random
        walk), ``season``, ``motion`` (trend and transient together, better known than
        either) and their standard errors (``transient_se``, ...), ``trend`` (all terms
        of the trajectory but the seasons), ``residual`` (NaN without a position) and
        ``quality_flag``. Along ``parameter``, the terms of the trajectory:
        ``estimate`` and ``estimate_se``, seasons with their amplitudes at the start of
        the walk. Along ``process``: ``deviation`` and ``deviation_se``, in the
        units of the positions, and ``time_scale`` in years.

    Raises
    ------
    InputError
        If there is less than a year of positions, two are on one day, or the
        positions cannot tell the terms of the trajectory apart.

    References
    ----------
    Ji & Herring (2013), Geophys. J. Int. 193, 171-186.
    """
    days, at = daily_grid(time)
    on_days = np.full((2, days.size), np.nan)
    on_days[0, at] = values
    if formal is not None:
        on_days[1, at] = formal
    model = SeriesModel(
        days,
        on_days[0],
        trajectory or Trajectory(),
        formal=None if formal is None else on_days[1],
        settings=settings,
    )
    original = model.values
    for _ in range(_ROUNDS):
        best = model.best()
        far = model.outliers(model.smooth(best))
        if not far.any():
            break
        model.values = np.where(far, np.nan, model.values)
    draws = _draws(model, best)
    found = _averaged(model, draws, original, units)
    return found.merge(_variances(model, best, draws, units))


def separate_positions(
    positions: xr.Dataset,
    trajectory: Trajectory | None = None,
    *,
    settings: TransientSettings | None = None,
) -> xr.Dataset:
    """Tell trend, seasons and transient of a station apart, component by component.

    Parameters
    ----------
    positions : xarray.Dataset
        As `tilth.gnss.positions.position_series` returns them; flagged rows are left
        out.
    trajectory, settings
        As for `separate`.

    Returns
    -------
    xarray.Dataset
        As `separate` returns it, with the dimension ``component``.

    Raises
    ------
    InputError
        As `separate` does.
    """
    rows = usable(positions)
    parts = [
        separate(
            rows["time"].values,
            rows[name].values,
            trajectory,
            formal=rows[f"{name}_se"].values if f"{name}_se" in rows else None,
            settings=settings,
        )
        for name in track(COMPONENTS, "separating transients")
    ]
    joined = xr.concat(parts, pd.Index(COMPONENTS, name="component"))
    joined["parameter_units"] = parts[0]["parameter_units"]
    return joined.assign_attrs(station=rows.attrs.get("station", ""))


def daily_grid(time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every day from the first to the last epoch, and where the epochs are.

    Parameters
    ----------
    time : array_like of datetime64, shape (epoch,)
        Increasing, one on a day at most.

    Returns
    -------
    numpy.ndarray of datetime64, shape (day,)
        Noons.
    numpy.ndarray of int, shape (epoch,)
        Position of each epoch's day.

    Raises
    ------
    InputError
        If two epochs are on one day, are in disorder, or span less than a year.
    """
    days = np.asarray(time).astype("datetime64[D]")
    if days.size < 2 or not (np.diff(days) > np.timedelta64(0, "D")).all():
        raise InputError(
            "a daily series needs at most one position a day, in the order of time: "
            "average or flag the others"
        )
    at = (days - days[0]).astype(int)
    if at[-1] < _LEAST_DAYS:
        raise InputError(
            f"a velocity beside yearly seasons needs more than a year, got {at[-1]} "
            "days"
        )
    grid = days[0] + np.arange(at[-1] + 1)
    return (grid + np.timedelta64(12, "h")).astype("datetime64[ns]"), at


@dataclass(frozen=True)
class _Draw:
    """Variances that may be, how likely they are, and the regression with them."""

    logarithms: np.ndarray
    weight: float
    fit: Regression


def _draws(model: SeriesModel, best: np.ndarray) -> list[_Draw]:
    """Draw variances and weigh them by their likelihood.

    Coordinates are standard deviations, relative to that of an observation, and the
    logarithm of the time. A likelihood does not know the sign of a standard deviation:
    so those near zero are drawn from both sides, and zero is no border.
    """
    bounds = model.bounds
    deviations = np.ones(best.size, bool)
    deviations[model.timed] = False
    at = model.regress(best)

    def logarithms(place: np.ndarray) -> np.ndarray:
        turned = place.copy()
        turned[deviations] = 2.0 * np.log(np.abs(place[deviations]) + 1e-12)
        return np.array(
            [max(x, low) for x, (low, _) in zip(turned, bounds, strict=True)]
        )

    centre = np.where(deviations, np.exp(0.5 * best), best)
    widths = np.empty(best.size)
    for k in range(best.size):

        def drop(by: float, k: int = k) -> float:
            place = centre.copy()
            place[k] += by
            found = model.regress(logarithms(place))
            return at.log_likelihood - found.log_likelihood

        widths[k] = _width(drop, 0.3 * centre[k] + 1e-3 if deviations[k] else 0.3)
    normal = ndtri(qmc.Sobol(best.size, rng=np.random.default_rng(SEED)).random(_DRAWS))
    found = []
    for point in normal:
        place = logarithms(centre + _WIDER * widths * point)
        if all(low <= x <= high for x, (low, high) in zip(place, bounds, strict=True)):
            fit = model.regress(place)
            gain = fit.log_likelihood - at.log_likelihood + 0.5 * point @ point
            found.append((place, gain, fit))
    largest = max(gain for _, gain, _ in found)
    raw = np.exp([gain - largest for _, gain, _ in found])
    weights = raw / raw.sum()
    return [
        _Draw(place, float(weight), fit)
        for (place, _, fit), weight in zip(found, weights, strict=True)
    ]


def _width(drop: Callable[[float], float], first: float) -> float:
    """Return how far to go until the log-likelihood has dropped by a half."""
    by = first
    for _ in range(12):
        lost = drop(by)
        if lost > 2.0:
            by *= 0.5
        elif lost < 0.1:
            by *= 2.0
        else:
            return by * float(np.sqrt(_ONE_SIGMA / lost))
    return by


def _spread(values: np.ndarray, weights: np.ndarray, middle: float) -> float:
    """Return the weighted root mean square distance from the middle."""
    return float(np.sqrt(weights @ (values - middle) ** 2))


def _variances(
    model: SeriesModel, best: np.ndarray, draws: list[_Draw], units: str
) -> xr.Dataset:
    """Return the processes where the likelihood is greatest, with their errors."""
    at = model.regress(best)
    weights = np.array([draw.weight for draw in draws])
    places = np.array([draw.logarithms for draw in draws])
    each = np.sqrt([draw.fit.variance for draw in draws])
    white = float(np.sqrt(at.variance))
    freedom = at.observations - at.coefficients.size
    names = ["white", "transient", "season"][: 2 + model.wandering]
    values = [white]
    errors = [np.hypot(_spread(each, weights, white), white / np.sqrt(2 * freedom))]
    for k in range(len(names) - 1):
        values.append(white * float(np.exp(0.5 * best[k])))
        errors.append(_spread(each * np.exp(0.5 * places[:, k]), weights, values[-1]))
    scale, scale_se = np.inf, np.nan
    if model.settings.transient == "gauss_markov":
        scale = float(np.exp(best[-1]))
        scale_se = _spread(np.exp(places[:, -1]), weights, scale)
    about = {
        "units": units,
        "long_name": "white noise of a day of median formal error; transient (of its "
        "walk in a year, or as a whole); walk of a season's amplitude in a year",
    }
    return xr.Dataset(
        {
            "deviation": ("process", values, about),
            "deviation_se": ("process", errors, {"units": units}),
            "time_scale": ((), scale, {"units": "year"}),
            "time_scale_se": ((), scale_se, {"units": "year"}),
            "log_likelihood": ((), at.log_likelihood, {"units": "1"}),
        },
        {"process": names},
    )


@dataclass(frozen=True)
class _Parts:
    """Transient, season and motion of one smoothing, with variances."""

    transient: np.ndarray
    transient_variance: np.ndarray
    season: np.ndarray
    season_variance: np.ndarray
    motion: np.ndarray
    motion_variance: np.ndarray


def _parts(model: SeriesModel, smoothed: Smoothed) -> _Parts:
    """Return the parts of a series at one set of variances."""
    fit, waves = smoothed.regression, model.design[:, model.seasons]
    season = waves @ fit.coefficients[model.seasons]
    constant = fit.covariance[np.ix_(model.seasons, model.seasons)]
    variance = np.einsum("ti,ij,tj->t", waves, constant, waves)
    if model.wandering:
        inner = slice(1, 1 + waves.shape[1])
        season = season + (waves * smoothed.state[:, inner]).sum(axis=1)
        wander = smoothed.covariance[:, inner, inner]
        both = smoothed.cross[:, inner, model.seasons]
        variance = variance + np.einsum(
            "ti,tij,tj->t", waves, wander + 2.0 * both, waves
        )
    transient = smoothed.state[:, 0]
    transient_variance = smoothed.covariance[:, 0, 0]
    fixed = _fixed(model)
    terms = model.design[:, fixed]
    moved = np.einsum("ti,ij,tj->t", terms, fit.covariance[np.ix_(fixed, fixed)], terms)
    moved = moved + 2.0 * np.einsum("ti,ti->t", terms, smoothed.cross[:, 0, fixed])
    return _Parts(
        transient,
        np.maximum(transient_variance, 0.0),
        season,
        np.maximum(variance, 0.0),
        terms @ fit.coefficients[fixed] + transient,
        np.maximum(moved + transient_variance, 0.0),
    )


def _fixed(model: SeriesModel) -> np.ndarray:
    """Return which terms of the trajectory are no seasons."""
    return np.delete(np.arange(len(model.names)), model.seasons)


def _averaged(
    model: SeriesModel,
    draws: list[_Draw],
    original: np.ndarray,
    units: str,
) -> xr.Dataset:
    """Return values and errors averaged over the variances that may be."""
    weights = np.array([draw.weight for draw in draws])
    each = np.array([draw.fit.coefficients for draw in draws])
    own = np.array([np.diag(draw.fit.covariance) for draw in draws])
    coefficients = weights @ each
    errors = np.sqrt(weights @ (own + (each - coefficients) ** 2))
    # Evenly along the weights: as many of each draw as its share of the states.
    places = (np.arange(_STATES) + 0.5) / _STATES
    picked, copies = np.unique(
        np.searchsorted(np.cumsum(weights), places), return_counts=True
    )
    picked = np.minimum(picked, len(draws) - 1)
    parts = [_parts(model, model.smooth(draws[k].logarithms)) for k in picked]
    share = copies / copies.sum()

    def average(name: str) -> tuple[np.ndarray, np.ndarray]:
        values = np.array([getattr(part, name) for part in parts])
        variance = np.array([getattr(part, f"{name}_variance") for part in parts])
        mean = share @ values
        return mean, np.sqrt(share @ (variance + (values - mean) ** 2))

    fixed = _fixed(model)
    trend = model.design[:, fixed] @ coefficients[fixed]
    about = {"units": units}
    found: dict[str, tuple[str, np.ndarray, dict[str, object]]] = {}
    for name in ("transient", "season", "motion"):
        mean, se = average(name)
        found[name] = ("time", mean, {**about})
        found[f"{name}_se"] = ("time", se, {**about})
    modelled = trend + found["transient"][1] + found["season"][1]
    outlier = np.isfinite(original) & ~np.isfinite(model.values)
    flag = SEPARATION_FLAGS.variable({"outlier": outlier}, outlier.shape)
    return xr.Dataset(
        {
            **found,
            "trend": ("time", trend, {**about}),
            "residual": ("time", original - modelled, {**about}),
            "quality_flag": ("time", flag, SEPARATION_FLAGS.attrs()),
            "estimate": ("parameter", coefficients),
            "estimate_se": ("parameter", errors),
        },
        {
            "time": model.time,
            "parameter": list(model.names),
            "parameter_units": (
                "parameter",
                [unit.replace("m", units, 1) for unit in model.units],
            ),
        },
        {"transient": model.settings.transient, "seed": SEED},
    )
