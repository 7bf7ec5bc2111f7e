"""Steps that nobody declared: found in the series, and told by the antenna's height.

An unknown step spoils a velocity, and no residual plot shows it among coloured noise as
clearly as a likelihood does. The state space of the series (white noise, a random walk,
wandering seasons) gives, in one run of its smoother, the step of greatest likelihood on
every day beside its error; over three components the squares add up to a chi-squared
with three degrees of freedom, since antennas move in all of them. The largest is taken
into the trajectory, and the rest is asked again.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import chi2

from tilth.core.errors import InputError
from tilth.core.progress import progress
from tilth.gnss.positions.series import COMPONENTS, usable
from tilth.gnss.positions.trajectory import Trajectory, moment
from tilth.gnss.positions.transient_model import SeriesModel, TransientSettings
from tilth.gnss.positions.transients import daily_grid

#: Chance that a series without steps shows one.
FALSE_ALARM = 0.01

#: A step needs this many positions on either side, also of the next step, days.
_APART = 30

#: A step found this near to a declared one is that one, days.
NEAR = 10

#: Heights of antennas are written to 0.1 mm.
_SAME_HEIGHT = 5e-4

_COLUMNS = ["time", "chi_squared", "chance", "antenna_changed"]


def find_steps(
    positions: xr.Dataset,
    trajectory: Trajectory | None = None,
    *,
    false_alarm: float = FALSE_ALARM,
    most: int = 20,
) -> pd.DataFrame:
    """Find steps in all components that the trajectory does not have.

    Parameters
    ----------
    positions : xarray.Dataset
        As `tilth.gnss.positions.position_series` returns them.
    trajectory : Trajectory, optional
        With the steps that are known; by default a rate and seasons.
    false_alarm : float
        Chance that a series without a step shows one, all days together.
    most : int
        Stop after as many.

    Returns
    -------
    pandas.DataFrame
        By time: ``time`` (start of the first day after the step), ``chi_squared`` (3
        degrees of freedom), ``chance`` (that some day of a series without steps shows
        as much), ``antenna_changed`` (the file's height of the antenna changes within
        ten days), and ``east``, ``east_se``, ... in m.

    Raises
    ------
    InputError
        If `false_alarm` is not between 0 and 1, or the series is too short.

    Notes
    -----
    A random walk stands for all coloured noise. Steps smaller than what it does in some
    weeks cannot be found by anybody (Gazeaux et al. 2013).
    """
    if not 0.0 < false_alarm < 1.0:
        raise InputError(f"false_alarm is a chance between 0 and 1, got {false_alarm}")
    rows = usable(positions)
    known = trajectory or Trajectory()
    found: list[np.datetime64] = []
    told: list[tuple[float, float]] = []
    with progress("looking for steps") as work:
        while True:
            models = _models(rows, replace(known, steps=[*known.steps, *found]))
            # With a step left in them the variances are too large: what is found in
            # spite of it is there.
            pushes = [model.smooth(best) for model, best in models]
            work.advance()
            told_on = np.all([p.push_information[:, -1] > 0 for p in pushes], axis=0)
            told_on &= _allowed(models[0][0])
            score = np.zeros(told_on.size)
            for p in pushes:
                push, information = p.push[told_on, -1], p.push_information[told_on, -1]
                score[told_on] += push**2 / information
            day = int(np.argmax(score))
            chance = float(min(1.0, chi2.sf(score[day], 3) * told_on.sum()))
            if chance > false_alarm or len(found) == most:
                break
            found.append(models[0][0].time[day].astype("datetime64[D]"))
            told.append((float(score[day]), chance))
    return _table(rows, models, found, told)


def _models(
    rows: xr.Dataset, trajectory: Trajectory
) -> list[tuple[SeriesModel, np.ndarray]]:
    """Return the state space of each component and its best variances."""
    days, at = daily_grid(rows["time"].values)
    models: list[tuple[SeriesModel, np.ndarray]] = []
    for name in COMPONENTS:
        values, formal = np.full(days.size, np.nan), np.full(days.size, np.nan)
        values[at] = rows[name].values
        given = f"{name}_se" in rows
        if given:
            formal[at] = rows[f"{name}_se"].values
        model = SeriesModel(
            days,
            values,
            trajectory,
            formal=formal if given else None,
            settings=TransientSettings(),
        )
        best = model.best()
        far = model.outliers(model.smooth(best))
        model.values = np.where(far, np.nan, model.values)
        models.append((model, best))
    return models


def _allowed(model: SeriesModel) -> np.ndarray:
    """Return on which days a new step could be told from what is there."""
    there = np.isfinite(model.values)
    seen = np.cumsum(there)
    allowed = there & (seen > _APART) & (seen <= seen[-1] - _APART)
    for step in model.trajectory.steps:
        at = int(np.searchsorted(model.time, moment(step)))
        allowed &= np.abs(seen - seen[min(at, seen.size - 1)]) > _APART
    return np.asarray(allowed)


def _table(
    rows: xr.Dataset,
    models: list[tuple[SeriesModel, np.ndarray]],
    found: list[np.datetime64],
    told: list[tuple[float, float]],
) -> pd.DataFrame:
    """Return the steps with their sizes, all estimated together."""
    changes = antenna_changes(rows)
    table = pd.DataFrame(told, columns=["chi_squared", "chance"])
    table.insert(0, "time", pd.to_datetime(np.array(found, "datetime64[ns]")))
    table["antenna_changed"] = [
        any(abs(change - when) <= pd.Timedelta(days=NEAR) for change in changes)
        for when in table["time"]
    ]
    table = table[_COLUMNS]
    for name, (model, best) in zip(COMPONENTS, models, strict=True):
        fit = model.regress(best)
        steps = [i for i, n in enumerate(model.names) if n.startswith("step")]
        # Those found were added after those known.
        own = steps[len(steps) - len(found) :]
        table[name] = fit.coefficients[own]
        table[f"{name}_se"] = np.sqrt(np.diag(fit.covariance)[own])
    return table.sort_values("time").reset_index(drop=True)


def antenna_changes(positions: xr.Dataset) -> list[pd.Timestamp]:
    """Return the days on which a file's height of the antenna becomes another one.

    Parameters
    ----------
    positions : xarray.Dataset
        With ``antenna_height`` where the file gives it.

    Returns
    -------
    list of pandas.Timestamp
        Start of the first day with the new height; empty without heights.
    """
    if "antenna_height" not in positions:
        return []
    heights = positions["antenna_height"].dropna("time")
    jumps = np.flatnonzero(np.abs(np.diff(heights.values)) > _SAME_HEIGHT) + 1
    return [pd.Timestamp(t).floor("D") for t in heights["time"].values[jumps]]


def undeclared(found: list[Any], declared: list[Any]) -> list[pd.Timestamp]:
    """Return the days found that no declared step is near to.

    Parameters
    ----------
    found, declared : list of datetime64
        Days of steps.

    Returns
    -------
    list of pandas.Timestamp
        Those of `found` with no declared step within ten days.
    """
    near = pd.Timedelta(days=NEAR)
    known = [pd.Timestamp(when) for when in declared]
    return [
        when
        for when in map(pd.Timestamp, found)
        if not any(abs(when - other) <= near for other in known)
    ]


def warn_of_steps(positions: xr.Dataset, declared: list[Any] | None = None) -> None:
    """Warn of a changed antenna that no declared step accounts for.

    Parameters
    ----------
    positions : xarray.Dataset
        With ``antenna_height`` where the file gives it.
    declared : list of datetime64, optional
        Steps that are known.

    Warns
    -----
    UserWarning
        With the days, if there are any.
    """
    days = undeclared(antenna_changes(positions), declared or [])
    if days:
        station = positions.attrs.get("station", "the station")
        warnings.warn(
            f"the antenna of {station} changes its height on "
            f"{', '.join(f'{day:%Y-%m-%d}' for day in days)}, and no step is declared "
            "within ten days: an undeclared step spoils the velocity",
            UserWarning,
            stacklevel=2,
        )
