"""Weather and parameters for the emulator's tests: made up, and of VIC's cells."""

import numpy as np
import pytest
import xarray as xr

from tilth.land.emulator.parameters import bounds
from tilth.land.emulator.variants import Forcing


def _weather(days, cells, seed=0):
    """Return mid-latitude weather with a cold winter, float64, and months 0 to 11."""
    rng = np.random.default_rng(seed)
    day = np.arange(days)[:, None]
    t = (
        278
        + 14 * np.sin(2 * np.pi * (day - 110) / 365)
        + rng.normal(0, 4, (days, cells))
    )
    wet = rng.random((days, cells)) < 0.4
    rain = np.where(wet, rng.exponential(8.0, (days, cells)), 0.0)
    frozen = np.clip((274.5 - t) / 2, 0, 1)
    p = np.full((days, cells), 9e4)
    es = 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65))
    q = 0.622 * es / (p - 0.378 * es) * rng.uniform(0.4, 1.05, (days, cells))
    lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    month = np.resize(np.repeat(np.arange(12), lengths), days)
    return Forcing(rain * (1 - frozen), rain * frozen, t, q, p), month


def _parameters(cells, closed=False, seed=1):
    """Return parameters anywhere within their bounds, shape (15, 12, cell)."""
    low, high = (limit[:, None, None] for limit in bounds(closed))
    return low + (high - low) * np.random.default_rng(seed).random((15, 12, cells))


@pytest.fixture(scope="session")
def made_up_weather():
    return _weather


@pytest.fixture(scope="session")
def random_parameters():
    return _parameters


@pytest.fixture
def vic(dataset):
    """Return the nine cells' weather of 1961-2005 in the kernel's units, and months."""
    folder = dataset("vic-stehekin")
    with xr.open_dataset(folder / "vic5_stehekin_daily_1961_2005.nc") as data:
        data = data.transpose("time", "cell")
        rows = Forcing(
            rain=data["OUT_RAINF"].values,
            snowfall=data["OUT_SNOWF"].values,
            temperature=data["OUT_AIR_TEMP"].values + 273.15,
            humidity=data["OUT_QAIR"].values,
            pressure=data["OUT_PRESSURE"].values * 1e3,
        )
        return rows, data["time"].dt.month.values - 1
