"""The periodogram: against plain least squares, astropy's rule, and pure waves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.arcs import detrend
from tilth.gnss.reflectometry.periodogram import (
    amplitude_spectrum,
    fine_peak,
    grid_of,
    grid_peak,
)

WAVE = 0.1903


def an_arc(height, seed=0, n=100, noise=0.0):
    rng = np.random.default_rng(seed)
    e = np.sort(rng.uniform(5, 25, n))
    x = 2 * np.sin(np.radians(e)) / WAVE
    y = 10 * np.cos(2 * np.pi * height * x + rng.uniform(0, 6.28))
    return e, x, y + noise * rng.standard_normal(n)


@settings(max_examples=40, deadline=None)
@given(height=st.floats(0.3, 8.0), seed=st.integers(0, 10**6))
def test_amplitude_is_what_least_squares_explain(height, seed):
    e, x, y = an_arc(2.0, seed, noise=5.0)
    found = amplitude_spectrum(e, y, WAVE, [height, height + 0.01])[0]
    angle = 2 * np.pi * height * x
    table = np.column_stack([np.ones(x.size), np.cos(angle), np.sin(angle)])
    rest = y - table @ np.linalg.lstsq(table, y, rcond=None)[0]
    total = y - y.mean()
    power = 0.5 * (total @ total - rest @ rest)  # astropy's normalisation "psd"
    assert found == pytest.approx(2 * np.sqrt(power / x.size), rel=1e-7, abs=1e-7)


def test_angles_turned_sixteen_hundred_times_are_as_good_as_new():
    e, _, y = an_arc(2.0, noise=5.0)
    grid = np.linspace(0.005, 8.0, 1600)
    whole = amplitude_spectrum(e, y, WAVE, grid)
    for k in (400, 1000, 1590):
        alone = amplitude_spectrum(e, y, WAVE, grid[k : k + 2])[0]
        assert whole[k] == pytest.approx(alone, rel=1e-9)


def test_a_mean_that_is_added_changes_nothing_in_the_floating_periodogram():
    e, _, y = an_arc(1.0, noise=3.0)
    grid = np.linspace(0.5, 8, 500)
    np.testing.assert_allclose(
        amplitude_spectrum(e, y + 1e3, WAVE, grid),
        amplitude_spectrum(e, y, WAVE, grid),
        atol=1e-8,
    )


@settings(max_examples=60, deadline=None)
@given(height=st.floats(1.0, 7.5), seed=st.integers(0, 10**6))
def test_the_height_of_a_pure_wave_is_found_far_below_a_step(height, seed):
    _, x, y = an_arc(height, seed)
    found, _, _ = fine_peak(x, y - y.mean(), 0.5, 8.0, 0.005, 0.5, 8.0)
    # A fiftieth of a step: what the peak has of a cubic.
    assert found == pytest.approx(height, abs=1e-4)


def test_the_amplitude_of_whole_waves_sampled_evenly_is_exact():
    x = np.arange(120) / 120 * 4.0  # eight waves of a reflector at 2 m
    y = 7.0 * np.cos(2 * np.pi * 2.0 * x + 1.0)
    e = np.degrees(np.arcsin(x * 0.01 / 2))
    assert amplitude_spectrum(e, y, 0.01, [2.0, 2.1])[0] == pytest.approx(7.0, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(height=st.floats(0.7, 7.8), seed=st.integers(0, 10**6))
def test_the_fine_search_and_the_grid_agree_within_half_a_step(height, seed):
    _, x, y = an_arc(height, seed, noise=6.0)
    y -= y.mean()
    fine = fine_peak(x, y, 0.5, 8.0, 0.005, 0.5, 8.0)
    grid = grid_peak(x, y, 0.5, 8.0, 0.005, 0.5, 8.0)
    assert fine[0] == pytest.approx(grid[0], abs=0.0027)
    assert fine[1] == pytest.approx(grid[1], rel=1e-3)
    assert fine[1] / fine[2] == pytest.approx(grid[1] / grid[2], abs=0.03)


def test_the_grid_has_1599_or_1600_heights_by_the_last_bit():
    rng = np.random.default_rng(0)
    counts = []
    for n in rng.integers(60, 140, 200):
        width = rng.uniform(2.5, 3.6)
        first, last, count = grid_of(width, int(n), 8.0, 0.005)
        assert first == pytest.approx(0.005, rel=1e-12)
        assert last == pytest.approx(8.0, rel=1e-12)
        counts.append(count)
    assert set(counts) == {1599, 1600}


def test_a_polynomial_is_taken_away_whatever_its_domain():
    rng = np.random.default_rng(3)
    z = np.sort(rng.uniform(5, 30, 120))
    y = rng.standard_normal(120) + 3 * z**2 - 0.1 * z**3
    expected = y - np.polynomial.Polynomial.fit(z, y, 4)(z)
    got = y.copy()
    assert detrend(z, got, 4)
    np.testing.assert_allclose(got, expected, atol=1e-9)
    few = np.repeat([5.0, 6.0, 7.0], 40)
    kept = y.copy()
    assert not detrend(few, kept, 4)
    np.testing.assert_array_equal(kept, y)


def test_heights_that_are_uneven_are_refused():
    e, _, y = an_arc(2.0)
    for grid, message in (
        ([1.0, 2.0, 4.0], "not evenly spaced"),
        ([2.0], "at least two"),
    ):
        with pytest.raises(InputError, match=message):
            amplitude_spectrum(e, y, WAVE, grid)
    with pytest.raises(InputError, match="an elevation per residual"):
        amplitude_spectrum(e, y[:-1], WAVE, [1.0, 2.0])
