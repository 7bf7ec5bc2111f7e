"""The state space of a station's series: its design, its processes, its likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from tilth.core.errors import InputError
from tilth.gnss.positions.series import DAYS_PER_YEAR
from tilth.gnss.positions.state_space import (
    Process,
    Regression,
    Smoothed,
    regress,
    smooth,
)
from tilth.gnss.positions.trajectory import Trajectory, design_matrix

#: Bounds of variances relative to that of an observation: of a random walk in a year,
#: of a Gauss-Markov process as a whole, of an amplitude's walk in a year.
_RATIO_BOUNDS = (1e-7, 1e6)
_SEASON_BOUNDS = (1e-7, 1e2)

#: Shortest time of a Gauss-Markov process, yr; the longest is the series' length.
_SHORTEST = 3.0 / DAYS_PER_YEAR

KINDS = ("random_walk", "gauss_markov")


@dataclass(frozen=True)
class TransientSettings:
    """What the state holds.

    Parameters
    ----------
    transient : {"random_walk", "gauss_markov"}
        Process of the transient.
    wandering : bool
        Whether amplitudes of the seasons change in time.
    outlier : float
        Positions this many standard errors away from what all others say are left
        out.

    Raises
    ------
    InputError
        If a setting is not one of those, or `outlier` is not above 2.
    """

    transient: str = "random_walk"
    wandering: bool = True
    outlier: float = 5.0

    def __post_init__(self) -> None:
        if self.transient not in KINDS:
            raise InputError(
                f"no transient {self.transient!r}; known: {', '.join(KINDS)}"
            )
        if not self.outlier > 2.0:
            raise InputError(
                f"outlier is a number of standard errors above 2, got {self.outlier}"
            )


class SeriesModel:
    """A series on every day with its trajectory: what a likelihood is asked of.

    Parameters
    ----------
    time : array_like of datetime64, shape (day,)
        Every day, at one time of the day.
    values : array_like, shape (day,)
        Positions; NaN where there is none.
    trajectory : Trajectory
        Trend, steps, decays, and the seasons that may wander.
    formal : array_like, shape (day,), optional
        Formal standard errors: their ratio counts, not their size.
    settings : TransientSettings, optional
        What the state holds.

    Raises
    ------
    InputError
        If shapes do not fit, days are left out, or the observations cannot tell the
        terms of the trajectory apart.
    """

    def __init__(
        self,
        time: np.ndarray,
        values: np.ndarray,
        trajectory: Trajectory,
        *,
        formal: np.ndarray | None = None,
        settings: TransientSettings | None = None,
    ) -> None:
        self.time = np.asarray(time, "datetime64[ns]")
        self.values = np.array(values, float)
        self.settings = settings or TransientSettings()
        if self.values.shape != self.time.shape or self.values.ndim != 1:
            raise InputError(
                f"{self.time.shape} days need as many positions, got the shape "
                f"{self.values.shape}"
            )
        if not (np.diff(self.time) == np.timedelta64(1, "D")).all():
            raise InputError(
                "the state space needs every day: put NaN where there is no position"
            )
        self.weights = _weights(self.values, formal)
        self.trajectory = trajectory
        there = np.isfinite(self.values)
        if there.any() and trajectory.reference is None:
            # So that dropping the first position moves no term.
            self.trajectory = replace(trajectory, reference=self.time[there][0])
        # Terms must be told apart where there are observations.
        design_matrix(self.time[there], self.trajectory)
        design = design_matrix(self.time, self.trajectory)
        self.design, self.names, self.units = design.matrix, design.names, design.units
        self.seasons = np.flatnonzero(
            [name.startswith(("cosine", "sine")) for name in self.names]
        )

    @property
    def wandering(self) -> bool:
        """Whether there is a variance of the seasons to find."""
        return self.settings.wandering and self.seasons.size > 0

    @property
    def timed(self) -> slice:
        """Where the logarithm of the Gauss-Markov time stands; empty without."""
        count = 1 + self.wandering
        return slice(count, count + (self.settings.transient == "gauss_markov"))

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Bounds of the logarithms that the likelihood depends on."""
        bounds = [_RATIO_BOUNDS]
        if self.wandering:
            bounds.append(_SEASON_BOUNDS)
        if self.settings.transient == "gauss_markov":
            bounds.append(
                (_SHORTEST, max(self.time.size / DAYS_PER_YEAR, 2 * _SHORTEST))
            )
        return [(float(np.log(low)), float(np.log(high))) for low, high in bounds]

    def process(self, logarithms: np.ndarray) -> Process:
        """Return the process: the transient, then amplitudes, then a constant.

        Parameters
        ----------
        logarithms : array_like
            Of the ratio of variances of the transient, that of the seasons (if they
            wander), and the time in yr (if Gauss-Markov).

        Returns
        -------
        Process
            The last element has no variance: a push of it is a step.
        """
        given = list(np.exp(np.asarray(logarithms, float)))
        ratio = given.pop(0)
        waves = self.seasons.size if self.wandering else 0
        season = given.pop(0) if waves else 0.0
        noise, start, decay = ratio / DAYS_PER_YEAR, 0.0, 1.0
        if self.settings.transient == "gauss_markov":
            decay = float(np.exp(-1.0 / (DAYS_PER_YEAR * given.pop(0))))
            noise, start = ratio * (1.0 - decay**2), ratio
        ones = np.ones((self.values.size, 1))
        seen = [ones, self.design[:, self.seasons], ones] if waves else [ones, ones]
        return Process(
            np.ascontiguousarray(np.hstack(seen)),
            np.array([decay] + [1.0] * (waves + 1)),
            np.array([noise] + [season / DAYS_PER_YEAR] * waves + [0.0]),
            np.array([start] + [0.0] * (waves + 1)),
        )

    def regress(self, logarithms: np.ndarray) -> Regression:
        """Return the regression at given logarithms, as `state_space.regress`."""
        process = self.process(logarithms)
        # The constant has no variance: it is there for pushes, not for likelihoods.
        bare = Process(
            np.ascontiguousarray(process.seen[:, :-1]),
            process.decay[:-1],
            process.noise[:-1],
            process.start[:-1],
        )
        return regress(self.values, self.design, self.weights, bare)

    def smooth(self, logarithms: np.ndarray) -> Smoothed:
        """Return the state at given logarithms, as `state_space.smooth`."""
        return smooth(self.values, self.design, self.weights, self.process(logarithms))

    def outliers(self, smoothed: Smoothed) -> np.ndarray:
        """Return which positions lie far from what all others say.

        The last day before a step and the first after it do too; where a step explains
        a day better than an error of that day, it is no outlier.

        Parameters
        ----------
        smoothed : Smoothed
            The state at the best logarithms.

        Returns
        -------
        numpy.ndarray of bool, shape (day,)
        """
        far = np.abs(smoothed.residual) / smoothed.residual_se
        information = smoothed.push_information[:, -1]
        known = information > 0
        step = np.zeros(far.size)
        step[known] = np.abs(smoothed.push[known, -1]) / np.sqrt(information[known])
        beside = np.maximum(step, np.append(step[1:], 0.0))
        return np.asarray((far > self.settings.outlier) & (far > beside))

    def best(self) -> np.ndarray:
        """Return the logarithms of greatest restricted likelihood."""
        bounds = self.bounds

        def cost(logarithms: np.ndarray) -> float:
            return -self.regress(logarithms).log_likelihood

        # A walk between a tenth and ten times the white noise in a year; a time of a
        # month or of a year; seasons that hardly wander: the likelihood of each tells
        # where to begin.
        middle = [0.5 * (low + high) for low, high in bounds]
        starts = []
        for ratio in (0.01, 1.0, 100.0):
            start = [float(np.log(ratio))]
            if self.wandering:
                start.append(float(np.log(0.01)))
            if self.settings.transient == "gauss_markov":
                starts += [[*start, float(np.log(t))] for t in (0.08, 1.0)]
            else:
                starts.append(start)
        starts = [
            [float(np.clip(x, *b)) for x, b in zip(s, bounds, strict=True)]
            for s in [*starts, middle]
        ]
        first = min(starts, key=lambda start: cost(np.array(start)))
        found = minimize(
            cost,
            first,
            method="Nelder-Mead",
            bounds=bounds,
            options={
                "xatol": 0.01,
                "fatol": 0.005,
                "initial_simplex": _simplex(first, bounds),
            },
        )
        return np.asarray(found.x)


def _simplex(start: Sequence[float], bounds: list[tuple[float, float]]) -> np.ndarray:
    """Return corners a factor of e apart from a start, within bounds."""
    corners = [list(start)]
    for k, (low, high) in enumerate(bounds):
        corner = list(start)
        corner[k] += 1.0 if corner[k] + 1.0 <= high else -1.0
        corner[k] = max(corner[k], low)
        corners.append(corner)
    return np.array(corners)


def _weights(values: np.ndarray, formal: np.ndarray | None) -> np.ndarray:
    """Return variances relative to that of the median formal error."""
    if formal is None:
        return np.ones(values.size)
    errors = np.asarray(formal, float)
    there = np.isfinite(values)
    if errors.shape != values.shape or not (errors[there] > 0).all():
        raise InputError(
            "formal errors need one positive value for every position; leave them out "
            "to weigh all days alike"
        )
    relative = np.ones(values.size)
    relative[there] = (errors[there] / np.median(errors[there])) ** 2
    return relative
