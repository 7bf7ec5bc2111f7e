import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.forcing.fields.day_course import capped_course, smooth_course
from tilth.forcing.fields.rain_analogs import observed_courses
from tilth.forcing.fields.rain_cascade import (
    RainCascade,
    fit_cascade,
    mixed_uniform,
    place_keys,
)


def keys(cells=1, seed=0):
    return place_keys(
        np.linspace(0.0, 50.0, cells), np.zeros(cells), np.zeros(cells, int), seed
    )


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 48), st.floats(0.0, 1.0), st.floats(0.05, 20.0), st.integers(0, 9)
)
def test_whatever_the_cascade_the_total_is_kept(steps, one_sided, concentration, seed):
    rain = RainCascade((24.0,), (one_sided,), (concentration,))
    total = np.array([[0.0, 3.0, np.nan, 40.0, 1e-9]])
    found = rain.split(total, keys(seed=seed), np.arange(5), steps)
    found = found.reshape(1, 5, steps)
    np.testing.assert_allclose(found.mean(axis=-1), total, rtol=1e-12)
    assert (found[0, [0, 1, 3, 4]] >= 0.0).all()


def test_a_cascade_of_only_one_side_rains_in_one_hour_and_any_as_likely():
    rain = RainCascade((24.0,), (1.0,), (1.0,))
    found = rain.split(np.ones((1, 4800)), keys(), np.arange(4800), 24)
    hours = found.reshape(4800, 24)
    assert ((hours > 0.0).sum(axis=1) == 1).all()
    counts = (hours > 0.0).sum(axis=0)
    # Binomial with mean 200 and standard deviation 13.8: five of them.
    assert (np.abs(counts - 200) < 70).all()


def test_a_very_even_cascade_rains_all_day():
    rain = RainCascade((24.0,), (0.0,), (1e6,))
    found = rain.split(np.ones((1, 10)), keys(), np.arange(10), 24)
    np.testing.assert_allclose(found, 1.0, atol=0.02)


def test_a_fit_finds_the_cascade_that_made_the_rain():
    truth = RainCascade((24.0, 2.0), (0.6, 0.3), (1.0, 3.0))
    rng = np.random.default_rng(0)
    days = 6000
    total = rng.exponential(10.0, (1, days)) * (rng.random((1, days)) < 0.7)
    hourly = truth.split(total, keys(), np.arange(days), 24).ravel()
    rain = xr.DataArray(
        hourly,
        coords={"time": pd.date_range("1990", periods=24 * days, freq="h")},
        attrs={"units": "mm day-1"},
    )
    found = fit_cascade(rain)
    assert found.hours == (24.0, 12.0, 6.0, 3.0, 2.0)
    for hours, p, a in zip(
        found.hours, found.one_sided, found.concentration, strict=True
    ):
        expected_p, expected_a = truth.at(hours)
        # Small amounts are left out, which costs a little; about 4000 splits each.
        np.testing.assert_allclose(p, expected_p, atol=0.03)
        np.testing.assert_allclose(a, expected_a, rtol=0.12)


@pytest.mark.realdata
def test_the_default_cascade_is_that_of_a_year_at_bondville(dataset):
    from tilth.land.readers import read_bondville

    folder = dataset("noahmp-bondville")
    rain = read_bondville(folder / "bondville.dat.gz")["Rainf"]
    hourly = rain.sel(time=slice("1998-01-02", None)).resample(time="1h").mean()
    whole = hourly.sizes["time"] // 24 * 24
    found = fit_cascade(
        hourly.isel(time=slice(0, whole)).assign_attrs(units="kg m-2 s-1")
    )
    default = RainCascade()
    assert found.hours == default.hours
    np.testing.assert_allclose(found.one_sided, default.one_sided, atol=0.005)
    np.testing.assert_allclose(found.concentration, default.concentration, atol=0.05)


def test_random_numbers_of_places_and_days_are_even_and_independent():
    draws = mixed_uniform(keys(200), np.arange(500))
    np.testing.assert_allclose(draws.mean(), 0.5, atol=0.005)
    np.testing.assert_allclose(draws.var(), 1.0 / 12.0, atol=0.002)
    for other in (draws[1:, 1:], draws[:-1, 1:], draws[1:, :-1]):
        assert abs(np.corrcoef(draws[:-1, :-1].ravel(), other.ravel())[0, 1]) < 0.015


def test_a_place_from_two_files_draws_the_same():
    near = place_keys(np.array([45.3]), np.array([-0.0]), np.array([0]), 1)
    same = place_keys(np.array([np.float32(45.3)]), np.array([0.0]), np.array([0]), 1)
    other = place_keys(np.array([45.301]), np.array([0.0]), np.array([0]), 1)
    assert near == same
    assert near != other


def test_settings_that_are_no_cascade_are_refused():
    for wrong in (
        ((24.0,), (0.5, 0.5), (1.0,)),
        ((12.0, 24.0), (0.5, 0.5), (1.0, 1.0)),
        ((24.0,), (1.5,), (1.0,)),
        ((24.0,), (0.5,), (0.0,)),
    ):
        with pytest.raises(InputError):
            RainCascade(*wrong)


def hourly_rain(values, start="2000-07-01"):
    time = pd.date_range(start, periods=values.shape[-1], freq="h")
    return xr.DataArray(
        values,
        dims=("cell", "time"),
        coords={"time": time},
        attrs={"units": "mm h-1"},
    )


def test_a_fit_refuses_what_it_cannot_use():
    rain = hourly_rain(np.ones((1, 240)))
    with pytest.raises(InputError, match="30 are needed"):
        fit_cascade(rain)
    with pytest.raises(InputError, match="midnight"):
        fit_cascade(rain.isel(time=slice(3, None)))
    with pytest.raises(InputError, match="divide a day"):
        fit_cascade(rain.isel(time=slice(None, None, 5)))


def test_a_day_gets_the_course_of_the_observed_day_most_like_it():
    values = np.zeros((1, 72))
    values[0, 3] = 2.0  # 2 mm in one hour
    values[0, 24 + 10 : 24 + 14] = 5.0  # 20 mm in four
    analogs = observed_courses(hourly_rain(values), nearest=1)
    found = analogs.split(
        np.array([[18.0, 1.0, 0.0, np.nan]]),
        keys(),
        np.arange(4),
        np.array([0]),
        np.array([184, 184, 184, 184]),
    ).reshape(4, 24)
    np.testing.assert_allclose(found[0, 10:14], 18.0 * 6)
    np.testing.assert_allclose(found[1, 3], 24.0)
    np.testing.assert_allclose(found.mean(axis=1), [18.0, 1.0, 0.0, np.nan])


def test_a_day_out_of_season_rains_evenly():
    values = np.zeros((1, 24))
    values[0, 3] = 2.0
    analogs = observed_courses(hourly_rain(values))
    found = analogs.split(
        np.array([[2.0, 2.0]]),
        keys(),
        np.arange(2),
        np.array([0]),
        np.array([15, 190]),
    ).reshape(2, 24)
    np.testing.assert_allclose(found[0], 2.0)
    assert found[1, 3] == 48.0


def test_observations_without_rain_or_with_wrong_steps_are_refused():
    with pytest.raises(InputError, match="no day"):
        observed_courses(hourly_rain(np.zeros((1, 48))))
    with pytest.raises(InputError, match="midnight"):
        observed_courses(hourly_rain(np.ones((1, 48))).isel(time=slice(5, None)))
    with pytest.raises(InputError, match="window"):
        observed_courses(hourly_rain(np.ones((1, 48))), window=300)


@given(
    st.lists(st.floats(0.0, 100.0), min_size=1, max_size=8),
    st.integers(1, 25),
)
def test_smooth_days_are_never_negative_and_keep_their_means(means, steps):
    mean = np.array(means)
    found = smooth_course(mean, steps)
    assert (found >= 0.0).all()
    np.testing.assert_allclose(
        found.reshape(mean.size, steps).mean(axis=1), mean, rtol=1e-9, atol=1e-12
    )


@settings(deadline=None)
@given(
    st.lists(st.floats(0.0, 10.0), min_size=2, max_size=12),
    st.lists(st.floats(0.01, 10.0), min_size=12, max_size=12),
)
def test_what_a_cap_takes_is_given_to_other_steps(course, most):
    course, most = np.array(course), np.array(most[: len(course)])
    mean = course.mean(keepdims=True)
    found, beyond = capped_course(mean, course, most)
    assert (found <= most * (1 + 1e-12)).all()
    assert (found >= np.minimum(course, most)).all()
    expected = most.mean() if beyond[0] else mean[0]
    np.testing.assert_allclose(found.mean(), expected, rtol=1e-9)
