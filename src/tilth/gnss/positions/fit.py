"""A trajectory fitted in coloured noise: estimates, standard errors, intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from tilth.core.errors import InputError
from tilth.core.progress import track
from tilth.core.units import convert
from tilth.gnss.positions.covariance import ObservedEpochs
from tilth.gnss.positions.likelihood import NoiseShape, ShapeLikelihood
from tilth.gnss.positions.maximum import Maximum, maximise
from tilth.gnss.positions.noise import NoiseModel, NoiseValues, noise_model
from tilth.gnss.positions.series import COMPONENTS, usable
from tilth.gnss.positions.trajectory import Design, Trajectory, design_matrix

#: Fewest observations of which a spectrum of noise is estimated.
_FEWEST = 50


@dataclass(frozen=True)
class TrajectoryFit:
    """A fitted trajectory and its noise.

    Parameters
    ----------
    parameters : pandas.DataFrame
        Index: names of the trajectory's parameters. Columns ``value``, ``se``,
        ``lower``, ``upper`` (interval of `level`), ``freedom`` and ``units``.
    noise : pandas.DataFrame
        Index: "white", "<noise> amplitude", "<noise> index", "<noise> damping" of
        what was estimated. Columns ``value``, ``se`` and ``units``; the standard error
        is NaN where the estimate is at the end of its range, such as no white noise.
    series : xarray.Dataset
        Along ``time``: ``observed``, ``modelled`` and ``residual``, m.
    covariance : xarray.DataArray
        Of the parameters' errors, (parameter, parameter_2).
    model : NoiseModel
        Which noises, and how they are summed.
    values : NoiseValues
        Their numbers, fixed ones included.
    log_likelihood : float
        Of the observations.
    aic, bic : float
        Akaike's and the Bayesian information criterion; smaller is better. Compare
        fits to the same observations.
    observations : int
        Their number.
    interval : float
        Between epochs, days.
    restricted : bool
        Whether the noise is that of restricted maximum likelihood.
    level : float
        Of the intervals.
    """

    parameters: pd.DataFrame
    noise: pd.DataFrame
    series: xr.Dataset
    covariance: xr.DataArray
    model: NoiseModel
    values: NoiseValues
    log_likelihood: float
    aic: float
    bic: float
    observations: int
    interval: float
    restricted: bool
    level: float

    def __str__(self) -> str:
        """Return the tables as text, lengths in mm."""
        head = (
            f"{self.observations} observations, noise in {self.model.combination} "
            f"form, log likelihood {self.log_likelihood:.3f}, AIC {self.aic:.2f}, "
            f"BIC {self.bic:.2f}"
        )
        return "\n".join([head, *(_in_mm(t) for t in (self.parameters, self.noise))])


def _in_mm(table: pd.DataFrame) -> str:
    """Return a table as text with metres shown as millimetres."""
    metres = table["units"].str.split().str[0] == "m"
    shown = table.copy()
    columns = [c for c in ("value", "se", "lower", "upper") if c in table]
    shown.loc[metres, columns] *= 1e3
    shown.loc[metres, "units"] = "m" + shown.loc[metres, "units"]
    return shown.to_string(float_format=lambda value: f"{value:.4g}")


def fit_trajectory(
    position: xr.DataArray,
    trajectory: Trajectory | None = None,
    noise: str | NoiseModel = "power law",
    *,
    restricted: bool = True,
    interval: float = 1.0,
    level: float = 0.95,
) -> TrajectoryFit:
    r"""Fit a trajectory and the noise around it by maximum likelihood.

    Observations are normal around the trajectory with the covariance C of the noise,

    .. math:: \ln L = -\tfrac12 \big[ \ln|C| + r^T C^{-1} r + n \ln 2\pi \big] .

    For each shape of the noise the trajectory's parameters are those of generalised
    least squares and the size of the noise is known; the rest is searched. Nothing is
    approximated: gaps stay gaps, and covariances are exact.

    Standard errors of the trajectory are those of generalised least squares; those of
    the noise come from the curvature of the likelihood, correlations included. The
    variance of a rate depends on the noise, of which a series tells only so much:
    intervals are those of Student's t, with as many degrees of freedom as a variance
    of that uncertainty has (Satterthwaite's rule, by the delta method).

    Parameters
    ----------
    position : xarray.DataArray
        One component along ``time``, with units of length; NaN is a gap. Times in
        strictly rising order, at most one in each interval.
    trajectory : Trajectory, optional
        By default a rate, a year and half of it.
    noise : str or NoiseModel
        Name as of `noise_model` (in quadrature), or a model.
    restricted : bool, default True
        Estimate the noise from what the trajectory leaves over (restricted maximum
        likelihood, Patterson & Thompson 1971). Full maximum likelihood, as other
        programs have it, takes the trajectory as if it were known and finds too little
        noise: use it to compare likelihoods.
    interval : float, default 1
        Between epochs, days.
    level : float, default 0.95
        Of the intervals.

    Returns
    -------
    TrajectoryFit
        Tables of parameters and noise, the series, and criteria. Log likelihood, AIC
        and BIC count all free parameters, of trajectory and noise, in the full
        likelihood at the estimates; with `restricted` these are not quite its maximum.

    Raises
    ------
    InputError
        If there are fewer than 50 observations, two in an interval, times that do not
        rise, or parameters that the observations cannot tell apart.
    UnitsError
        If `position` has no units of length.

    References
    ----------
    Langbein (2004), J. Geophys. Res. 109, B04406; Bos et al. (2013), J. Geodesy 87,
    351-360; Langbein (2017), J. Geodesy 91, 985-994; Patterson & Thompson (1971),
    Biometrika 58, 545-554; Kenward & Roger (1997), Biometrics 53, 983-997.
    """
    if not 0 < level < 1:
        raise InputError(f"the level of the intervals is {level}: between 0 and 1")
    model = noise_model(noise) if isinstance(noise, str) else noise
    time, values = _observations(position)
    epochs = _epochs(time, interval)
    design = design_matrix(time, trajectory or Trajectory())
    offset = float(values.mean())  # small numbers keep their digits
    shape = NoiseShape(model, interval)
    likelihood = ShapeLikelihood(
        epochs, design.matrix, values - offset, shape, restricted
    )
    best = maximise(likelihood)
    log_likelihood = likelihood.log_likelihood(best.terms, best.scale)
    free = len(design.names) + 1 + shape.size
    modelled = design.matrix @ best.terms.estimate + offset
    covariance = best.scale**2 * best.terms.inverse_normal
    about = {"units": "m"}
    estimate = best.terms.estimate + offset * (np.arange(len(design.names)) == 0)
    return TrajectoryFit(
        _parameter_table(design, estimate, covariance, best.freedom, level),
        _noise_table(model, best),
        xr.Dataset(
            {
                "observed": ("time", values, about),
                "modelled": ("time", modelled, about),
                "residual": ("time", values - modelled, about),
            },
            {"time": time},
            attrs={"component": str(position.name or "")},
        ),
        xr.DataArray(
            covariance,
            dims=("parameter", "parameter_2"),
            coords={n: list(design.names) for n in ("parameter", "parameter_2")},
        ),
        model,
        _values(shape, best),
        log_likelihood,
        2.0 * free - 2.0 * log_likelihood,
        float(free * np.log(values.size) - 2.0 * log_likelihood),
        values.size,
        interval,
        restricted,
        level,
    )


def fit_positions(
    positions: xr.Dataset,
    trajectory: Trajectory | None = None,
    noise: str | NoiseModel = "power law",
    *,
    restricted: bool = True,
    interval: float = 1.0,
    level: float = 0.95,
) -> dict[str, TrajectoryFit]:
    """Fit the same trajectory to east, north and up, each with noise of its own.

    Parameters
    ----------
    positions : xarray.Dataset
        As of `read_positions`; flagged rows are left out.
    trajectory, noise, restricted, interval, level
        As of `fit_trajectory`.

    Returns
    -------
    dict of str to TrajectoryFit
        "east", "north" and "up".

    Raises
    ------
    InputError
        As of `fit_trajectory`, and if a component is missing.
    """
    good = usable(positions)
    options = {"restricted": restricted, "interval": interval, "level": level}
    return {
        name: fit_trajectory(good[name], trajectory, noise, **options)  # type: ignore[arg-type]
        for name in track(COMPONENTS, "fitting trajectories")
    }


def compare_noise(
    position: xr.DataArray,
    trajectory: Trajectory | None = None,
    noises: Sequence[str | NoiseModel] = ("white", "flicker", "power law"),
    *,
    interval: float = 1.0,
) -> pd.DataFrame:
    """Fit several noise models by full maximum likelihood, the likeliest first.

    Parameters
    ----------
    position : xarray.DataArray
        As of `fit_trajectory`.
    trajectory : Trajectory, optional
        The same for all.
    noises : sequence of str or NoiseModel
        What is compared.
    interval : float, default 1
        Between epochs, days.

    Returns
    -------
    pandas.DataFrame
        Index: the model. Columns ``log_likelihood``, ``aic``, ``bic``, ``rate`` and
        ``rate_se`` (m yr-1; NaN without a rate); sorted by ``bic``.

    Raises
    ------
    InputError
        As of `fit_trajectory`.
    """
    rows = {}
    for noise in track(noises, "fitting noise models"):
        fit = fit_trajectory(
            position, trajectory, noise, restricted=False, interval=interval
        )
        names = " + ".join(c.name for c in fit.model.coloured) or "white"
        rate = fit.parameters.reindex(["rate"]).iloc[0]
        rows[f"{names} ({fit.model.combination})"] = {
            "log_likelihood": fit.log_likelihood,
            "aic": fit.aic,
            "bic": fit.bic,
            "rate": rate["value"],
            "rate_se": rate["se"],
        }
    return pd.DataFrame.from_dict(rows, orient="index").sort_values("bic")


def _observations(position: xr.DataArray) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values that are there, checked."""
    if position.dims != ("time",):
        raise InputError(
            f"a position has the one dimension time, this one has {position.dims}: "
            "choose a component, such as usable(positions)['up']"
        )
    values = convert(position, "m").values.astype(float)
    there = np.isfinite(values)
    time = np.asarray(position["time"].values, "datetime64[ns]")[there]
    if time.size < _FEWEST:
        raise InputError(
            f"{time.size} observations: the noise is estimated from at least {_FEWEST}"
        )
    if (np.diff(time) <= np.timedelta64(0)).any():
        raise InputError(
            "times do not rise strictly: tilth.gnss.positions.usable leaves out "
            "repeated epochs, sortby('time') orders them"
        )
    return time, values[there]


def _epochs(time: np.ndarray, interval: float) -> ObservedEpochs:
    """Return the numbers of the intervals that hold observations."""
    if not interval > 0:
        raise InputError(f"the interval is {interval} days: it must be positive")
    start = time[0].astype("datetime64[D]") if interval >= 1 else time[0]
    # Half a thousandth of an interval, so that rounded times do not fall below.
    number = (time - start) / np.timedelta64(1, "D") / interval
    epochs = np.floor(number + 5e-4).astype(np.int64)
    twice = np.flatnonzero(np.diff(epochs) == 0)
    if twice.size:
        raise InputError(
            f"{twice.size} intervals of {interval:g} days hold several observations, "
            f"first at {str(time[twice[0]])[:16]}: average them, or give the interval "
            "of the series"
        )
    return ObservedEpochs(epochs - epochs[0])


def _parameter_table(
    design: Design,
    estimate: np.ndarray,
    covariance: np.ndarray,
    freedom: np.ndarray,
    level: float,
) -> pd.DataFrame:
    """Return estimates with standard errors and intervals."""
    se = np.sqrt(np.diag(covariance))
    freedom = np.maximum(freedom, 1.0)
    half = stats.t.ppf(0.5 + level / 2.0, freedom) * se
    return pd.DataFrame(
        {
            "value": estimate,
            "se": se,
            "lower": estimate - half,
            "upper": estimate + half,
            "freedom": freedom,
            "units": design.units,
        },
        index=pd.Index(design.names, name="parameter"),
    )


def _noise_table(model: NoiseModel, best: Maximum) -> pd.DataFrame:
    """Return the estimated numbers of the noise with standard errors."""
    names, units = ["white"], ["m"]
    for noise in model.coloured:
        names.append(f"{noise.name} amplitude")
        power = "k" if noise.index is None else f"{noise.index:g}"
        units.append(f"m yr^(-{power}/4)")
    names += [f"{noise.name} index" for noise in model.coloured if noise.index is None]
    units += ["1"] * (len(names) - len(units))
    names += [
        f"{noise.name} damping" for noise in model.coloured if noise.damping is None
    ]
    units += ["rad yr-1"] * (len(names) - len(units))
    return pd.DataFrame(
        {"value": best.natural, "se": best.natural_se, "units": units},
        index=pd.Index(names, name="noise"),
    )


def _values(shape: NoiseShape, best: Maximum) -> NoiseValues:
    """Return all numbers of the noise, fixed ones included."""
    count = shape.angles
    return NoiseValues(
        float(best.natural[0]),
        tuple(map(float, best.natural[1 : 1 + count])),
        tuple(map(float, shape.indices(best.x))),
        tuple(map(float, shape.dampings(best.x))),
    )
