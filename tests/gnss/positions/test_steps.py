"""Undeclared steps: found in flicker noise, and no more than there are."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.positions.noise import NoiseValues, simulate_noise
from tilth.gnss.positions.steps import (
    antenna_changes,
    find_steps,
    undeclared,
    warn_of_steps,
)
from tilth.gnss.positions.trajectory import Trajectory

COUNT, DAY = 1300, 700
TIME = np.datetime64("2005-01-01T12", "ns") + np.arange(COUNT) * np.timedelta64(1, "D")
WHEN = pd.Timestamp(TIME[DAY]).floor("D")


def station(seed, step=0.0):
    """Return positions in white and flicker noise; the step is in the horizontal."""
    data = xr.Dataset({"time": TIME}, attrs={"station": "SIMU"})
    t = np.arange(COUNT) / 365.25
    for k, (name, factor) in enumerate((("east", 1.0), ("north", 1.0), ("up", 3.0))):
        noise = NoiseValues(white=1e-3 * factor, amplitude=[3e-3 * factor], index=[1.0])
        values = simulate_noise(noise, COUNT, seed=10 * seed + k)
        values += 3e-3 * np.cos(2 * np.pi * t) + 0.01 * t
        if name != "up":
            values[DAY:] += step
        data[name] = ("time", values)
    return data


def test_series_without_steps_show_none_but_for_the_chance_allowed():
    # One in a hundred if the noise were a random walk; it is flicker noise.
    alarms = sum(len(find_steps(station(seed))) > 0 for seed in range(8))
    assert alarms <= 1


def test_a_step_of_six_millimetres_is_found_on_its_day_with_its_size():
    for seed in (20, 21, 22):
        found = find_steps(station(seed, step=6e-3))
        assert WHEN in set(found["time"])
        row = found.set_index("time").loc[WHEN]
        assert abs(row["east"] - 6e-3) < 3.5 * row["east_se"]
        assert abs(row["north"] - 6e-3) < 3.5 * row["north_se"]
        assert abs(row["up"]) < 3.5 * row["up_se"]
        assert row["chance"] < 0.01
        assert not row["antenna_changed"]


def test_the_days_beside_a_large_step_are_no_outliers():
    found = find_steps(station(23, step=0.1))
    assert WHEN in set(found["time"])


def test_a_declared_step_is_not_found_again():
    known = Trajectory(steps=[WHEN])
    assert WHEN not in set(find_steps(station(20, step=8e-3), known)["time"])


def test_a_changed_height_of_the_antenna_is_seen_and_warned_of():
    data = station(1)
    heights = np.where(np.arange(COUNT) < DAY, 0.0083, 0.0)
    heights[3] = np.nan
    data["antenna_height"] = ("time", heights)
    assert antenna_changes(data) == [WHEN]
    with pytest.warns(UserWarning, match=f"SIMU changes its height on {WHEN:%Y-%m-%d}"):
        warn_of_steps(data)
    warn_of_steps(data, [WHEN + pd.Timedelta(days=3)])  # declared: no warning
    assert antenna_changes(station(1)) == []


def test_a_found_step_knows_of_the_antenna():
    data = station(20, step=8e-3)
    data["antenna_height"] = ("time", np.where(np.arange(COUNT) < DAY + 4, 0.1, 0.2))
    row = find_steps(data).set_index("time").loc[WHEN]
    assert row["antenna_changed"]


def test_declared_steps_take_in_what_is_found_within_ten_days():
    days = [WHEN, WHEN + pd.Timedelta(days=40)]
    assert undeclared(days, [WHEN + pd.Timedelta(days=9)]) == days[1:]
    assert undeclared(days, []) == days


def test_a_chance_is_between_none_and_one():
    with pytest.raises(InputError, match="between 0 and 1"):
        find_steps(station(1), false_alarm=0.0)
