"""Hindcasts of known skill: made up, with a bias, a drift and too little spread."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError

__all__ = ["simulated_hindcasts"]

#: Day-to-day memory of the weather: the decorrelation time is about three days.
_MEMORY = 0.7


def simulated_hindcasts(
    *,
    years: range = range(2000, 2020),
    starts_per_year: int = 12,
    leads: int = 42,
    members: int = 11,
    cells: int = 6,
    skill_days: float = 12.0,
    bias: float = 1.5,
    drift: float = 0.05,
    spread: float = 0.7,
    variable: str = "temperature",
    seed: int = 0,
) -> xr.Dataset:
    r"""Return made-up daily hindcasts and observations with known skill.

    Standardised, an observed day y and the members have the signal S in common,

    .. math::

        y = S + \sqrt{1 - r}\,\epsilon, \qquad x_m = S + \sqrt{1 - r}\,\epsilon_m,
        \qquad \operatorname{var} S = r = e^{-l / \tau} ,

    so that before they are spoilt the members are a reliable ensemble and each
    correlates with the observations by r. Then the model's climate is made another
    one: its deviations from S are multiplied by `spread`, and `bias` and `drift` per
    day are added.

    Parameters
    ----------
    years : range
        Years of the starts.
    starts_per_year : int, default 12
        Starts a week apart from 2 January.
    leads, members, cells : int
        Days ahead, members, and cells (from the equator to 60 N).
    skill_days : float, default 12
        :math:`\tau`, days; 0 for a model without any skill.
    bias, drift : float
        Added to the model, in standard deviations, and such per day.
    spread : float, default 0.7
        Factor of the members' deviations: below 1 the ensemble is too sure.
    variable : {"temperature", "precipitation"}
        Kelvin around 283 with deviations of 3 K; or mm per day, skewed, with zeros.
    seed : int
        Of all draws.

    Returns
    -------
    xarray.Dataset
        ``hindcast`` (start, lead, member, cell) and ``observed`` (start, lead, cell),
        each start with weather of its own, ``signal`` as standardised, and ``lat`` of
        the cells. Leads are in the middle of days, 0.5 the first.

    Raises
    ------
    InputError
        If the variable is another one.
    """
    if variable not in ("temperature", "precipitation"):
        raise InputError(
            f'the variable is "temperature" or "precipitation", got {variable!r}'
        )
    draws = np.random.default_rng(seed)
    first = [pd.Timestamp(year, 1, 2) for year in years]
    weeks = [pd.Timedelta(days=7 * k) for k in range(starts_per_year)]
    start = np.array([day + week for day in first for week in weeks], "datetime64[ns]")
    lead = np.arange(leads) + 0.5
    shape = (start.size, leads, cells)
    known = np.exp(-lead / skill_days) if skill_days > 0 else np.zeros(leads)
    known = known[:, None]
    signal = np.sqrt(known) * _weather(draws, shape)
    left = np.sqrt(1.0 - known)
    truth = signal + left * _weather(draws, shape)
    each = np.stack([_weather(draws, shape) for _ in range(members)], axis=2)
    model = signal[:, :, None] + spread * left[:, None] * each
    model += bias + drift * lead[:, None, None]
    coords = {
        "start": start,
        "lead": ("lead", lead, {"units": "days"}),
        "member": np.arange(members),
        "cell": np.arange(cells),
        "lat": ("cell", np.linspace(0.0, 60.0, cells), {"units": "degrees_north"}),
    }
    units = {"units": "K" if variable == "temperature" else "mm day-1"}
    return xr.Dataset(
        {
            "hindcast": (
                ("start", "lead", "member", "cell"),
                _in_units(model, variable),
                units,
            ),
            "observed": (("start", "lead", "cell"), _in_units(truth, variable), units),
            "signal": (("start", "lead", "cell"), signal, {"units": "1"}),
        },
        coords=coords,
        attrs={"title": "simulated hindcasts: known truth", "seed": seed},
    )


def _weather(draws: np.random.Generator, shape: tuple[int, int, int]) -> np.ndarray:
    """Return standard normal series with memory along the lead."""
    fresh = draws.standard_normal(shape)
    for day in range(1, shape[1]):
        fresh[:, day] *= np.sqrt(1.0 - _MEMORY**2)
        fresh[:, day] += _MEMORY * fresh[:, day - 1]
    return fresh


def _in_units(standard: np.ndarray, variable: str) -> np.ndarray:
    """Return standardised values as temperature or rain."""
    if variable == "temperature":
        return 283.0 + 3.0 * standard
    return np.maximum(0.8 + standard, 0.0) ** 3
