"""How much an emulator's skill depends on the years it was fitted to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from tilth.land.skill import days_of_year, skill_card

#: Fits to the first two and runs freely over the weather of the third; may start from
#: the last day of the training targets.
Imitate = Callable[[xr.Dataset, xr.Dataset, xr.Dataset], xr.Dataset]


def training_effect(
    imitate: Imitate,
    forcing: xr.Dataset,
    targets: xr.Dataset,
    periods: Mapping[str, slice],
    test: slice,
    **settings: Any,
) -> xr.Dataset:
    """Refit with other training years and score the same test years.

    Parameters
    ----------
    imitate : callable
        ``imitate(forcing, targets, test_forcing)`` returns a run over the test years.
    forcing, targets : xarray.Dataset
        Over all years.
    periods : mapping of str to slice
        Name -> training days, as labels of ``time``; see `last_years`.
    test : slice
        Days to score.
    **settings
        Of `skill_card`.

    Returns
    -------
    xarray.Dataset
        Skill cards along ``training``, each against the climatology of its own
        training years, with ``years`` (training).
    """
    cards = []
    for train in periods.values():
        past = {"time": train}
        run = imitate(forcing.sel(past), targets.sel(past), forcing.sel(time=test))
        card = skill_card(run, targets.sel(time=test), targets.sel(past), **settings)
        cards.append(card.assign(years=card.attrs["train_years"]))
    together = xr.concat(
        cards, dim="training", combine_attrs="drop_conflicts", join="override",
        coords="minimal", compat="override", data_vars="all",
    )  # fmt: skip
    return together.assign_coords(training=np.array(list(periods), dtype=object))


def last_years(
    targets: xr.Dataset, end: str, lengths: Sequence[int]
) -> dict[str, slice]:
    """Return training periods of several lengths that end on the same day.

    Parameters
    ----------
    targets : xarray.Dataset
        Over all years.
    end : str
        Last day of the training, such as ``"2000-12-31"``.
    lengths : sequence of int
        Years.

    Returns
    -------
    dict of str to slice
        ``"10 years"`` -> days; lengths that the record does not hold are left out.
    """
    days = targets["time"].sel(time=slice(None, end))
    number = (days.dt.year * 10000 + days.dt.month * 100 + days.dt.day).values
    length, periods = days_of_year(days), {}
    for years in lengths:
        # The day after the same date, so many years before.
        begin = int(np.searchsorted(number, number[-1] - 10000 * years, side="right"))
        # Leap days make so many years longer or shorter than their mean by a day.
        if number.size - begin > years * length - 2:
            name = f"{years} year{'s' * (years != 1)}"
            periods[name] = slice(days.values[begin], days.values[-1])
    return periods
