"""Trajectory of a station: trend, steps, seasons and the decay after earthquakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from tilth.core.errors import InputError
from tilth.gnss.positions.series import DAYS_PER_YEAR, decimal_year

#: A moment: datetime64, a date as text ("2011-03-11"), or what pandas reads as one.
Moment = Any

#: Periods of the seasons, days: a year and half of it.
SEASONS = (365.25, 182.625)

#: Columns are told apart if what is left of each, beside the others, is this share.
_LEAST_SHARE = 1e-7


@dataclass(frozen=True)
class Decay:
    r"""Motion after an earthquake, from its moment on.

    ``logarithm``: :math:`\log_{10}(1 + (t - t_i)/T)`, afterslip; ``exponential``:
    :math:`1 - e^{-(t - t_i)/T}`, relaxation.

    Parameters
    ----------
    start : datetime64 or str
        t_i.
    kind : {"logarithm", "exponential"}
        The law.
    time_scale : float
        T, years of 365.25 days; Bevis & Brown (2014) find that one year serves most
        stations, and that fits hardly improve when it is estimated.
    """

    start: Moment
    kind: Literal["logarithm", "exponential"] = "logarithm"
    time_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in ("logarithm", "exponential"):
            raise InputError(f"a decay is a logarithm or an exponential: {self.kind!r}")
        if not self.time_scale > 0:
            raise InputError(f"the time scale of a decay is {self.time_scale} years")


@dataclass(frozen=True)
class Trajectory:
    r"""How a station moves.

    .. math:: x(t) = p_0 + p_1 (t - t_0) + \tfrac12 p_2 (t - t_0)^2
       + \sum_j b_j H(t - t_j) + \sum_j r_j\,[\min(t, e_j) - s_j]_+
       + \sum_k c_k \cos\omega_k t + s_k \sin\omega_k t + \sum_i a_i\,d_i(t)

    with t in years of 365.25 days, in the seasons counted from noon of 1 January 2000.

    Parameters
    ----------
    degree : {0, 1, 2}
        Of the trend: constant, rate, acceleration.
    periods : sequence of float
        Of the seasons, days.
    steps : sequence of datetime64 or str
        t_j: observations at or after it have the step.
    rate_changes : sequence of (datetime64 or str, datetime64, str or None)
        From s_j to e_j (None: to the end) the rate differs by r_j.
    decays : sequence of Decay
        Motion after earthquakes.
    reference : datetime64 or str, optional
        t_0; by default the first observation.

    References
    ----------
    Bevis & Brown (2014), J. Geodesy 88, 283-311.
    """

    degree: int = 1
    periods: Sequence[float] = SEASONS
    steps: Sequence[Moment] = ()
    rate_changes: Sequence[tuple[Moment, Moment | None]] = ()
    decays: Sequence[Decay] = ()
    reference: Moment | None = None

    def __post_init__(self) -> None:
        if self.degree not in (0, 1, 2):
            raise InputError(
                f"the degree of the trend is {self.degree}: 0 is a constant, 1 a rate, "
                "2 an acceleration"
            )
        wrong = [period for period in self.periods if not period > 0]
        if wrong:
            raise InputError(f"a period is {wrong[0]} days: it must be positive")


@dataclass(frozen=True)
class Design:
    """Columns of a linear model, named.

    Parameters
    ----------
    matrix : numpy.ndarray, shape (observation, parameter)
        Derivative of the position to each parameter.
    names : tuple of str
        Of the parameters.
    units : tuple of str
        Of the parameters, for positions in m.
    """

    matrix: np.ndarray
    names: tuple[str, ...]
    units: tuple[str, ...]


_TREND = (("intercept", "m"), ("rate", "m yr-1"), ("acceleration", "m yr-2"))


def design_matrix(time: Any, trajectory: Trajectory) -> Design:
    """Return the columns of a trajectory at given times.

    Parameters
    ----------
    time : array_like of datetime64, shape (observation)
        Rising.
    trajectory : Trajectory
        The model.

    Returns
    -------
    Design
        Matrix, names and units: "intercept", "rate", "acceleration", "step <date>",
        "rate change <date>", "cosine <period> d", "sine <period> d", "logarithm
        <date>" and "exponential <date>".

    Raises
    ------
    InputError
        If the observations cannot tell a parameter from the others: a step without
        observations on both sides, a season longer than the series, a decay after its
        end; names it.
    """
    when = np.asarray(time, "datetime64[ns]")
    reference = (
        when[0] if trajectory.reference is None else moment(trajectory.reference)
    )
    years = _years(when - reference)
    columns = [(1.0, years, years**2 / 2.0)[i] * np.ones(when.size) for i in range(3)]
    terms = [
        (name, unit, columns[i])
        for i, (name, unit) in enumerate(_TREND[: trajectory.degree + 1])
    ]
    for step in trajectory.steps:
        after = when >= moment(step)
        if after.all() or not after.any():
            raise InputError(
                f"the step at {_day(step)} has no observation "
                f"{'before' if after.all() else 'after'} it: leave it out"
            )
        terms.append((f"step {_day(step)}", "m", after.astype(float)))
    for start, end in trajectory.rate_changes:
        passed = np.maximum(_years(when - moment(start)), 0.0)
        if end is not None:
            passed = np.minimum(passed, _years(moment(end) - moment(start)))
        terms.append((f"rate change {_day(start)}", "m yr-1", passed))
    span = float(years[-1] - years[0]) * DAYS_PER_YEAR
    phase = 2.0 * np.pi * DAYS_PER_YEAR * (decimal_year(when) - 2000.0)
    for period in trajectory.periods:
        if span < period:
            raise InputError(
                f"the series spans {span:.0f} days, less than the period of {period:g} "
                "days: the season cannot be told from the trend: leave it out"
            )
        terms.append((f"cosine {period:g} d", "m", np.cos(phase / period)))
        terms.append((f"sine {period:g} d", "m", np.sin(phase / period)))
    for decay in trajectory.decays:
        passed = np.maximum(_years(when - moment(decay.start)), 0.0) / decay.time_scale
        shape = np.log10(1.0 + passed)
        if decay.kind == "exponential":
            shape = -np.expm1(-passed)
        terms.append((f"{decay.kind} {_day(decay.start)}", "m", shape))
    names, units, values = zip(*terms, strict=True)
    matrix = np.array(values).T
    _check_told_apart(matrix, names)
    return Design(matrix, names, units)


def moment(when: Moment) -> np.datetime64:
    """Return a moment as datetime64.

    Parameters
    ----------
    when : datetime64, str or what pandas reads as a time
        UTC.

    Returns
    -------
    numpy.datetime64
        In ns.

    Raises
    ------
    InputError
        If it is no time. A number is none: a decimal year could be counted in several
        ways.
    """
    if isinstance(when, (int, float, np.number)):
        raise InputError(
            f"{when} is a number, not a moment: give a date such as '2011-03-11'"
        )
    try:
        return np.datetime64(pd.Timestamp(when), "ns")
    except (ValueError, TypeError) as error:
        raise InputError(f"{when!r} is no moment: give a date, '2011-03-11'") from error


def _years(duration: np.ndarray | np.timedelta64) -> Any:
    """Return durations in years of 365.25 days."""
    return duration / np.timedelta64(1, "D") / DAYS_PER_YEAR


def _day(when: Moment) -> str:
    """Return the day of a moment; with the time of day unless it is midnight."""
    text = str(moment(when).astype("datetime64[m]"))
    return text.removesuffix("T00:00")


def _check_told_apart(matrix: np.ndarray, names: Sequence[str]) -> None:
    """Raise if a column is a combination of the ones before it."""
    if matrix.shape[0] <= matrix.shape[1]:
        raise InputError(
            f"{matrix.shape[0]} observations for {matrix.shape[1]} parameters: a "
            "longer series or a shorter trajectory is needed"
        )
    size = np.linalg.norm(matrix, axis=0)
    zero = [name for name, length in zip(names, size, strict=True) if length == 0]
    if zero:
        raise InputError(f"no observation depends on the {zero[0]}: leave it out")
    left = np.abs(np.diag(np.linalg.qr(matrix / size, mode="r")))
    if (left < _LEAST_SHARE).any():
        name = names[int(np.argmax(left < _LEAST_SHARE))]
        raise InputError(
            f"the observations cannot tell the {name} from the parameters before it "
            f"({', '.join(names)}): leave one of them out"
        )
