"""A world whose land model is the emulator itself, so that the truth is known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.land.emulator.equations import VARIANTS, Forcing
from tilth.land.fit.day import advance_day, variant_switches, weather_table

#: Mild parameters of a snowy column, in the order of the table.
TRUTH = np.array(
    [1.0, 3.0, 273.5, 1.1, 0.9, 0.85, 0.05, 600.0, 0.03, 5.0, 0.3, 0.05, 10.0, 0.03, 30]
)
SHARE = 0.25


def seasons(month, amplitude=0.2):
    """Return parameters (15, 12) that swing with the year."""
    swing = 1.0 + amplitude * np.cos(2 * np.pi * month / 12)
    theta = np.repeat(TRUTH[:, None], 12, axis=1)
    for j in (1, 6, 7, 8, 10, 13):
        theta[j] *= swing
    return theta


def make_weather(years, cells, seed=0, first=2001):
    """Return daily weather of a temperate mountain, (time, cell)."""
    rng = np.random.default_rng(seed)
    time = pd.date_range(f"{first}-01-01", f"{first + years - 1}-12-31")
    shape = (time.size, cells)
    season = np.cos(2 * np.pi * (time.day_of_year.values - 20) / 365.25)[:, None]
    noise = np.zeros(shape)
    for k in range(1, time.size):
        noise[k] = 0.8 * noise[k - 1] + rng.normal(0, 2.0, cells)
    temperature = 278.0 - 10.0 * season + noise + np.linspace(-2, 2, cells)
    wet = rng.gamma(0.5, 9.0, shape) * (rng.random(shape) < 0.45)
    snow_share = np.clip((274.65 - temperature) / 2.0, 0.0, 1.0)
    fields = {
        "rain": wet * (1 - snow_share),
        "snowfall": wet * snow_share,
        "temperature": temperature,
        "humidity": 0.004 + 0.002 * -season * np.ones(shape),
        "pressure": np.full(shape, 85e3),
    }
    return xr.Dataset(
        {name: (("time", "cell"), values) for name, values in fields.items()},
        {"time": time, "cell": np.arange(cells)},
    )


def run_truth(weather, theta, variant="implicit", share=SHARE):
    """Return what the emulator makes of the weather: snow, soil, wetland, runoff."""
    form = VARIANTS[variant]
    table = weather_table(
        Forcing(*(weather[name].values.T for name in Forcing._fields)), form
    )
    month = weather.time.dt.month.values - 1
    out = np.empty((4, *weather.rain.shape))
    for cell in range(weather.sizes["cell"]):
        state = (0.0, 0.0, 10.0, 20.0 if form.closed else 0.0)
        for k in range(month.size):
            *state, runoff = advance_day(
                *state,
                table[cell, k],
                np.ascontiguousarray(theta[:, month[k]]),
                share,
                variant_switches(form),
            )
            out[:, k, cell] = (*state[:3], runoff)
    names = ("snow", "soil", "wetland", "runoff")
    return xr.Dataset(
        {n: (("time", "cell"), v) for n, v in zip(names, out, strict=True)},
        weather.coords,
    )


def deep_seasons(theta):
    """Return parameters whose base runoff comes out of a deep store, in 60 days."""
    theta = theta.copy()
    theta[10] = 60.0
    return theta


@pytest.fixture(scope="session")
def world():
    """Return a function: variant -> weather and truth of four years and two cells."""
    weather = make_weather(4, 2)
    theta = seasons(np.arange(12))
    truths = {
        "implicit": run_truth(weather, theta),
        "closed": run_truth(weather, deep_seasons(theta), "closed"),
    }
    return lambda variant: (weather, truths[variant])


@pytest.fixture(scope="session")
def long_world():
    """Return weather and truth of fourteen years and three cells."""
    weather = make_weather(14, 3, seed=4)
    return weather, run_truth(weather, seasons(np.arange(12), 0.3))
