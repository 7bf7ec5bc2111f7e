"""The published form against plain Python, number by number.

`run` below is written from the equations in Olson, Nitta & Yoshimura (2024) alone, one
day of one column at a time; slow on purpose.
"""

import math

import numpy as np
import pytest

from tilth.land.emulator import kernel
from tilth.land.emulator.equations import State, simulate
from tilth.land.emulator.variants import VARIANTS, Forcing


def saturation(temperature, pressure):
    es = 611.2 * math.exp(17.67 * (temperature - 273.15) / (temperature - 29.65))
    return 0.622 * es / (pressure - 0.378 * es)


def logistic(slope, distance):
    return 1.0 / (1.0 + math.exp(min(max(slope * distance, -30.0), 30.0)))


def day(stores, weather, theta, alpha):
    """Return the stores (S, y, W) a day later, runoff and evaporation."""
    s, y, wet = stores
    p_rain, p_snow, t, q, p = weather
    a, b, t_c, chi, c, d, omega, g, e, y_0, h, k_1, y_s, k_2, p_s = theta

    a_snow = min(math.sqrt(s / 100.0), 1.0)
    arrival = a * (p_snow + a_snow * p_rain)
    melt = b * (t - t_c) ** chi if t > t_c else 0.0
    if melt > s + arrival:
        melt = s + arrival

    p_in = c * melt + d * (1.0 - a_snow) * p_rain + omega * wet
    f = logistic(k_1, y - y_s) * logistic(k_2, p_in - p_s) if t > 273.15 else 0.0
    evaporation = g * (saturation(t, p) - q) if s < 1e-3 else 0.0

    s_new = s + arrival - melt
    y_new = y + f * p_in - evaporation - e * (y - y_0)
    wet_new = wet + (1.0 - alpha) * (1.0 - f) * p_in - omega * wet
    runoff = alpha * (1.0 - f) * p_in + h
    return (s_new, y_new, wet_new), runoff, evaporation


def run(stores, weather, months, theta, alpha):
    """Return rows of (S, y, W, R, E), one per day; theta[month] has 15 numbers."""
    rows = []
    for today, month in zip(weather, months, strict=True):
        stores, runoff, evaporation = day(stores, today, theta[month], alpha)
        rows.append((*stores, runoff, evaporation))
    return rows


@pytest.fixture(scope="module")
def case(made_up_weather, random_parameters):
    """Return weather of three years, months, parameters and a start of four cells."""
    weather, month = made_up_weather(3 * 365, 4, seed=5)
    start = np.array([[0.0, 40, 900, 5], [3.0, -20, 10, 0], [0, 30, 2, 9], [0] * 4])
    return weather, month, random_parameters(4, seed=7), start


@pytest.fixture(scope="module")
def by_hand(case):
    weather, month, theta, start = case
    cells = [
        run(
            tuple(start[:3, i]),
            list(zip(*(field[:, i] for field in weather), strict=True)),
            month,
            theta[:, :, i].T,
            0.1 + 0.2 * i,
        )
        for i in range(4)
    ]
    return np.moveaxis(np.array(cells), 0, 1)  # day, cell, quantity


ALPHA = 0.1 + 0.2 * np.arange(4)


def test_the_weather_of_the_case_turns_every_switch_on_and_off(case, by_hand):
    snow, evaporation = by_hand[:, :, 0], by_hand[:, :, 4]
    assert (snow < 1e-3).any()
    assert (snow > 100).any()
    assert (evaporation == 0).any()
    assert (evaporation > 1).any()
    assert (evaporation < 0).any()  # dew: the published form has it


def test_the_compiled_kernel_equals_the_published_equations(case, by_hand):
    weather, month, theta, start = case
    done = kernel.simulate(
        weather,
        month,
        theta,
        ALPHA,
        0.0,
        start,
        VARIANTS["published"],
        evaporation=True,
    )
    ours = (done.snow, done.soil, done.wetland, done.runoff)
    for i, values in enumerate(ours):
        np.testing.assert_allclose(values, by_hand[:, :, i], rtol=1e-12, atol=1e-10)


def test_the_jax_form_equals_the_published_equations(case, by_hand):
    weather, month, theta, start = case
    _, states, fluxes = simulate(
        State(*start), Forcing(*weather), month, theta, ALPHA, VARIANTS["published"]
    )
    runoff = fluxes.surface_runoff + fluxes.base_runoff
    ours = (states.snow, states.soil, states.wetland, runoff, fluxes.evaporation)
    for i, values in enumerate(ours):
        np.testing.assert_allclose(values, by_hand[:, :, i], rtol=1e-12, atol=1e-10)
