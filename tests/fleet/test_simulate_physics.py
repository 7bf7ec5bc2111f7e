"""The air of a simulated chamber against closed forms and published numbers."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from tilth.chambers.air import air_moles_per_area
from tilth.fleet.simulate.air import advance, beat, catch_up, exchange, move
from tilth.fleet.simulate.layouts import FULL, MINUTE, PULSES, STATE, STILL
from tilth.fleet.simulate.physics import balance, decay, follow, relax
from tilth.fleet.simulate.pots import DEVICE

#: mol m-2 of the air under a bucket of 16.5 cm at 25 degC and 101.3 kPa.
MOLES = air_moles_per_area(0.165, 1.0, 101_300.0, 25.0)


def chamber(flux=0.0, *, lid=1, **minute):
    """A chamber in steady air of 450 ppm: device, state and minute records."""
    device, state, now = np.zeros(1, DEVICE), np.zeros(1, STATE), np.zeros(1, MINUTE)
    for name, value in {"response": 20.0, "gain": 1.0, "beat": 2000.0}.items():
        device[0][name] = value
    for name, value in {"flush": 0.1, "pulses": 1 / 60, "still": 1 / 135}.items():
        device[0][name] = value
    settings = {
        "ambient": 450.0, "source": flux / MOLES, "moles": MOLES, "slower": 1.0,
        "temperature": 25.0, "pressure": 101_300.0, "vapour": 0.01, "saturated": 0.03,
    } | minute  # fmt: skip
    for name, value in settings.items():
        now[0][name] = value
    for name in ("co2", "seen", "pores"):
        state[0][name] = 450.0
    state[0]["vapour"] = state[0]["damp"] = 0.01
    state[0]["lid"] = lid
    state[0]["beat"] = 1e18
    return device, state, now


def after(seconds, device, state, now, steps=1):
    """CO2 in the chamber some seconds later."""
    begin = int(state["t"][0])
    for k in range(1, steps + 1):
        t = begin + round(1000 * seconds * k / steps)
        advance(state[0], device[0], now[0], t)
    return float(state["co2"][0])


def test_one_micromole_is_0_148_ppm_per_second():
    assert pytest.approx(0.148, abs=0.0005) == 1.0 / MOLES
    rise = after(1.0, *chamber(1.0)) - 450.0
    assert rise == pytest.approx(0.148, abs=0.0005)


def test_the_fleets_mean_flux_raises_20_8_ppm_in_three_minutes():
    assert after(180.0, *chamber(0.78)) - 450.0 == pytest.approx(20.8, abs=0.05)


@pytest.mark.parametrize(("flux", "seconds"), [(0.187, 180.0), (0.112, 300.0)])
def test_five_ppm_are_just_reached_by_the_published_fluxes(flux, seconds):
    rise = after(seconds, *chamber(flux)) - 450.0
    assert rise == pytest.approx(5.0, abs=0.02)


@pytest.mark.parametrize(("sigma", "error"), [(3.0, 0.050), (10.0, 0.168)])
def test_noise_gives_the_slope_the_published_standard_error(sigma, error):
    n, step = 60, 3.0
    exact = sigma / (step * math.sqrt(n * (n * n - 1) / 12)) * MOLES
    assert exact == pytest.approx(error, abs=0.0005)
    # The sensor of the simulator: white noise alone, a value every three seconds.
    device, state, now = chamber(0.78, lid=1)
    device[0]["noise"], device[0]["beat"] = sigma, 3000.0
    rng = np.random.default_rng(1)
    slopes = []
    t = np.arange(n) * step
    for _ in range(400):
        state[0]["beat"] = float(state["t"][0])
        state[0]["co2"] = state[0]["seen"] = 450.0
        draws, used, read = rng.standard_normal((n + 1, 2)).astype(np.float32), 0, []
        for k in range(n):
            until = int(state["t"][0]) if k == 0 else int(state["t"][0]) + 3000
            used = catch_up(state, device, now, 0, until, draws, used)
            read.append(float(state["reading"][0]))
        slopes.append(np.polyfit(t, read, 1)[0] * MOLES)
    assert np.std(slopes) == pytest.approx(error, rel=0.1)


def test_decay_is_the_exponential_function():
    x = np.concatenate([np.linspace(0, 0.1, 400), np.geomspace(0.1, 50, 50)])
    ours = np.array([decay(v) for v in x])
    np.testing.assert_allclose(ours, np.exp(-x), rtol=1.1e-12)


def test_balance_is_where_nothing_changes():
    target, rate = balance(0.1, 0.002, 450.0, 4e-4, 470.0, 1e-3)
    left = 0.1 + 0.002 * (450 - target) + 4e-4 * (470 - target) - 1e-3 * target
    assert left == pytest.approx(0.0, abs=1e-12)
    assert rate == pytest.approx(0.0034)


def test_without_any_exchange_the_rise_is_a_straight_line():
    device, state, now = chamber(0.5)
    steps = [after(600.0, device, state, now) for _ in range(5)]
    rises = np.diff([450.0, *steps])
    np.testing.assert_allclose(rises, 0.5 / MOLES * 600.0, rtol=1e-5)


def test_many_small_steps_and_one_large_step_agree():
    settings = {"leak": 2e-4, "feedback": 4e-4, "conductance": 8e-5, "uptake": 1e-4}
    one = after(300.0, *chamber(0.7, **settings))
    many = after(300.0, *chamber(0.7, **settings), steps=977)
    assert many == pytest.approx(one, rel=1e-10)


@pytest.mark.parametrize("rate", [0.0, 1e-4, 0.05, 0.1, 0.3])
def test_the_sensor_follows_as_the_differential_equation_says(rate):
    # 0.05 s-1 is the rate of the sensor itself, where the closed form has a gap.
    def slope(_, y):
        return [rate * (600.0 - y[0]), (y[0] - y[1]) / 20.0]

    solved = solve_ivp(slope, (0, 40), [450.0, 440.0], rtol=1e-10, atol=1e-10)
    seen, value = follow(440.0, 450.0, 600.0, rate, 20.0, 40.0)
    assert value == pytest.approx(solved.y[0, -1], rel=1e-7)
    assert seen == pytest.approx(solved.y[1, -1], rel=1e-7)
    assert relax(450.0, 600.0, rate, 40.0) == pytest.approx(value, rel=1e-14)


def test_on_a_steady_rise_the_sensor_is_behind_by_its_time_constant():
    device, state, now = chamber(1.0)
    after(400.0, device, state, now, steps=200)
    behind = float(state["co2"][0] - state["seen"][0]) / (1.0 / MOLES)
    assert behind == pytest.approx(20.0, rel=1e-3)


@pytest.mark.parametrize(
    ("draught", "tau"), [(FULL, 10.0), (PULSES, 60.0), (STILL, 135.0)]
)
def test_an_open_chamber_airs_out_with_the_time_constant_of_its_fan(draught, tau):
    device, state, now = chamber(lid=0)
    state[0]["draught"] = draught
    state[0]["co2"] = 650.0
    assert after(tau, device, state, now) - 450.0 == pytest.approx(200 / math.e)


def test_pulses_of_a_tenth_of_the_time_air_out_as_the_mean_of_both():
    device, state, now = chamber(lid=0)
    full, still = chamber(lid=0)[0][0]["flush"], chamber(lid=0)[0][0]["still"]
    mean = 0.1 * full + 0.9 * still
    assert mean == pytest.approx(1 / 60, rel=0.01)
    for name, value in (("draught", PULSES),):
        state[0][name] = value
    assert exchange(state[0], device[0], now[0]) == pytest.approx(mean, rel=0.01)


def test_a_dead_fan_mixes_so_many_times_slower():
    device, state, now = chamber(lid=0, slower=4.0)
    state[0]["draught"] = FULL
    state[0]["co2"] = 650.0
    assert after(40.0, device, state, now) - 450.0 == pytest.approx(200 / math.e)


def test_vapour_in_a_closed_chamber_rises_towards_saturation():
    device, state, now = chamber(moistening=6e-4)
    after(1e5, device, state, now)
    assert float(state["vapour"][0]) == pytest.approx(0.03, rel=1e-6)


def test_a_lid_that_cannot_move_does_not():
    _, state, now = chamber(lid=1)
    now[0]["lid"] = 1
    move(state[0], now[0], 0)
    assert (state["lid"][0], state["wanted"][0]) == (1, 0)
    now[0]["lid"] = 2
    move(state[0], now[0], 0)
    assert state["lid"][0] == 0
    move(state[0], now[0], 1)
    assert state["lid"][0] == 0


def test_a_reading_holds_offset_gain_warmth_and_water_vapour():
    device, state, now = chamber()
    for name, value in {
        "offset": 12.0, "gain": 1.02, "per_kelvin": 2.5, "heating": 1.5, "ar": 0.8
    }.items():  # fmt: skip
        device[0][name] = value
    now[0]["offset"], now[0]["gain"] = 3.0, 0.01
    beat(state[0], device[0], now[0], 5.0, 0.0)
    expected = 12 + 3 + 2.5 * 1.5 + 1.02 * 1.01 * 450.0 * 0.99
    assert float(state["reading"][0]) == pytest.approx(expected)
