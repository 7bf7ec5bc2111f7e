"""Thaw settlement: seasons, surface change, trend with an error that holds, traps."""

import functools
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.gnss.surface import (
    ThawSite,
    annual_trend,
    degree_days,
    fit_thaw,
    simulated_air,
    simulated_thaw,
    surface_change,
)
from tilth.gnss.surface.memory import correlated_fit, flicker_covariance
from tilth.physics import active_layer_depth, pore_ice_subsidence

#: A site without errors: what is fitted must be what was put in.
QUIET = ThawSite(white=0.0, memory=0.0, years=0.0)


def daily(values, first="2001-01-01", units="degC"):
    time = pd.date_range(first, periods=len(values)) + pd.Timedelta("12h")
    return xr.DataArray(
        np.asarray(values, float), {"time": time}, ("time",), attrs={"units": units}
    )


@functools.cache
def simulated(site, seed=0):
    return simulated_thaw(site, seed)


# --- seasons


def block_year():
    """Return a year: frost, three warm days, frost, 100 days of 5 degrees, frost."""
    values = np.full(365, -10.0)
    values[60:63] = 4.0
    values[150:250] = 5.0
    return values


def test_the_index_counts_from_the_season_and_not_from_a_warm_spell_before_it():
    found = degree_days(daily(block_year()))
    assert found["thaw_total"].item() == pytest.approx(500.0)
    assert str(found["thaw_onset"].values[0])[:10] == "2001-05-31"
    assert str(found["freeze_onset"].values[0])[:10] == "2001-09-08"
    assert float(found["thaw_index"][149]) == 0.0
    assert float(found["thaw_index"][150]) == pytest.approx(5.0)
    assert float(found["freeze_index"][249]) == 0.0
    assert float(found["freeze_index"][250]) == pytest.approx(10.0)


def test_units_of_temperature_do_not_matter():
    celsius = degree_days(daily(block_year()))
    kelvin = degree_days(daily(block_year() + 273.15, units="K"))
    xr.testing.assert_allclose(celsius, kelvin)


def test_southern_years_go_from_july_to_june():
    north = degree_days(daily(np.tile(block_year(), 2)))
    shifted = daily(np.tile(block_year(), 2), first="2000-07-01")
    south = degree_days(shifted, southern=True)
    np.testing.assert_allclose(south["thaw_total"], north["thaw_total"])
    assert south["year"].values.tolist() == [2001, 2002]


def test_a_record_that_begins_in_summer_has_no_season_then():
    values = np.tile(block_year(), 2)[200:]
    found = degree_days(daily(values, first="2001-07-20"))
    assert found["year"].values.tolist() == [2002]
    assert (found["season"].values[:165] == 0).all()


@pytest.mark.parametrize("how", ["gap", "nan"])
def test_a_missing_day_of_temperature_is_named(how):
    air = daily(block_year())
    if how == "gap":
        air = air.isel(time=np.arange(365) != 170)
    else:
        air[170] = np.nan
    with pytest.raises(InputError, match="2001-06-"):
        degree_days(air)


def test_a_place_that_never_thaws_is_refused():
    with pytest.raises(InputError, match="no year of the record has a thaw season"):
        degree_days(daily(np.full(365, -5.0)))


# --- surface change


def test_the_surface_rises_with_the_antenna_and_sinks_with_the_height():
    time = pd.date_range("2010-07-01", periods=4) + pd.Timedelta("12h")
    heights = xr.Dataset(
        {
            "reflector_height": ("time", [2.0, 2.01, 2.01, np.nan]),
            "reflector_height_se": ("time", np.full(4, 0.003)),
        },
        {"time": time},
    )
    position = xr.Dataset(
        {
            "up": ("time", [0.0, 0.0, 0.02]),
            "up_se": ("time", np.full(3, 0.004)),
        },
        {"time": time[:3]},
    )
    found = surface_change(heights, position)
    z = found["surface_change"].values
    np.testing.assert_allclose(np.diff(z[:3]), [-0.01, 0.02])
    assert found["surface_change_se"].values[0] == pytest.approx(0.005)
    assert bool(is_flagged(found["quality_flag"], "no_height")[3])
    assert bool(is_flagged(found["quality_flag"], "no_position")[3])
    assert "still" in surface_change(heights).attrs["antenna"]


def test_a_monument_that_sinks_hides_the_trend_unless_its_position_is_known():
    site = replace(QUIET, monument=-0.004)
    drawn = simulated(site)
    alone = fit_thaw(surface_change(drawn.heights), drawn.temperature)
    both = fit_thaw(surface_change(drawn.heights, drawn.position), drawn.temperature)
    assert alone.trend == pytest.approx(site.trend - site.monument, abs=2e-5)
    assert both.trend == pytest.approx(site.trend, abs=4 * both.trend_se)
    assert both.trend_se < 5e-4


# --- fit


def test_without_errors_trend_and_subsidence_are_what_was_put_in():
    drawn = simulated(QUIET)
    fit = fit_thaw(surface_change(drawn.heights), drawn.temperature)
    assert fit.trend == pytest.approx(-0.0026, abs=1e-6)
    np.testing.assert_allclose(fit.years["subsidence"], drawn.truth["subsidence"], 1e-3)


def test_the_subsidence_is_that_of_stefans_layer_of_pore_ice():
    drawn = simulated(QUIET)
    fit = fit_thaw(surface_change(drawn.heights), drawn.temperature, amplitude="yearly")
    total = fit.years["thaw_total"].values * 86400.0
    depth = active_layer_depth(total, 0.8, 0.6 * 917.0)
    expected = np.asarray(pore_ice_subsidence(depth, 0.6))
    np.testing.assert_allclose(fit.years["subsidence"], expected, rtol=2e-3)


def test_freeze_up_lifts_the_surface_by_the_ratio_of_conductivities():
    site = replace(QUIET, days=(152, 320), conductivity=(0.8, 1.6))
    drawn = simulated(site)
    fit = fit_thaw(
        surface_change(drawn.heights), drawn.temperature, freeze_up=True, refrozen=0.5
    )
    ratio = fit.parameters["value"]["heave"] / fit.parameters["value"]["subsidence"]
    assert ratio == pytest.approx(np.sqrt(1.6 / 0.8), rel=0.01)
    flag = fit.series["quality_flag"]
    assert int(is_flagged(flag, "refrozen").sum()) > 100
    assert int(is_flagged(flag, "not_thawing").sum()) > 0
    assert fit.trend == pytest.approx(site.trend, abs=2e-5)


def test_one_season_has_subsidence_and_no_trend():
    site = replace(QUIET, first_year=2010, last_year=2010, trend=0.0)
    drawn = simulated(site)
    fit = fit_thaw(surface_change(drawn.heights), drawn.temperature)
    assert np.isnan(fit.trend)
    assert fit.years["subsidence"].item() == pytest.approx(
        drawn.truth["subsidence"].item(), rel=0.01
    )


def test_a_new_antenna_is_no_trend():
    site = replace(QUIET, white=0.002)
    drawn = simulated(site, 1)
    heights = drawn.heights.copy(deep=True)
    raised = heights["time"] >= np.datetime64("2010-01-01")
    heights["reflector_height"] = heights["reflector_height"] + 0.05 * raised
    change = surface_change(heights)
    wrong = fit_thaw(change, drawn.temperature)
    right = fit_thaw(change, drawn.temperature, steps=["2010-01-01"])
    assert abs(wrong.trend - site.trend) > 0.004
    assert right.trend == pytest.approx(site.trend, abs=4 * right.trend_se)
    assert right.parameters["value"]["step_2010-01-01"] == pytest.approx(
        -0.05, abs=2e-3
    )


def test_days_with_snow_and_days_far_off_are_left_out_and_say_why():
    drawn = simulated(replace(QUIET, white=0.003), 2)
    heights = drawn.heights.copy(deep=True)
    heights["reflector_height"][[5, 300]] -= 0.3
    snow = xr.zeros_like(heights["reflector_height"], bool)
    snow[5] = True
    fit = fit_thaw(surface_change(heights), drawn.temperature, snow=snow)
    flag = fit.series["quality_flag"]
    assert bool(is_flagged(flag, "snow")[5])
    assert bool(is_flagged(flag, "outlier")[300])
    assert int(is_flagged(flag, "outlier").sum()) < 4
    assert fit.trend == pytest.approx(-0.0026, abs=4 * fit.trend_se)


def test_drying_soil_biases_the_trend_unless_moisture_takes_part():
    site = replace(QUIET, white=0.003, moisture_effect=0.08)
    drawn = simulated(site, 3)
    # Soil that dries by 0.10 in eleven years lowers the apparent surface.
    years = (drawn.moisture["time"] - drawn.moisture["time"][0]) / np.timedelta64(
        1, "D"
    )
    drying = 0.10 * years / years[-1]
    moisture = drawn.moisture - drying
    heights = drawn.heights.copy(deep=True)
    shift = site.moisture_effect * drying.sel(time=heights["time"])
    heights["reflector_height"] = heights["reflector_height"] + shift
    change = surface_change(heights)
    without = fit_thaw(change, drawn.temperature)
    given = fit_thaw(change, drawn.temperature, moisture=moisture)
    assert without.trend - site.trend == pytest.approx(-0.008 / 12, abs=2e-4)
    assert abs(without.trend - site.trend) < without.moisture_bias
    assert given.moisture_bias == 0.0
    assert given.trend == pytest.approx(site.trend, abs=4 * given.trend_se)
    effect = given.parameters.loc["moisture_effect"]
    assert effect["value"] == pytest.approx(0.08, abs=4 * effect["se"])


def test_the_trend_does_not_depend_on_units_or_the_choice_of_zero():
    drawn = simulated(ThawSite(), 4)
    change = surface_change(drawn.heights)
    moved = change.assign(surface_change=change["surface_change"] + 5.0)
    first = fit_thaw(change, drawn.temperature)
    second = fit_thaw(moved, drawn.temperature)
    assert second.trend == pytest.approx(first.trend, abs=1e-7)
    assert second.trend_se == pytest.approx(first.trend_se, rel=1e-3)


def test_heights_of_other_years_than_the_temperature_are_refused():
    drawn = simulated(QUIET)
    air = simulated_air(1990, 1995)
    with pytest.raises(InputError, match="do they cover the same years"):
        fit_thaw(surface_change(drawn.heights), air)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"amplitude": "some"}, "amplitude is 'shared' or 'yearly'"),
        ({"noise": "pink"}, "noise is one of"),
        ({"refrozen": 0.0}, "refrozen is 0.0"),
        ({"steps": ["1990-01-01"]}, "do not tell"),
    ],
)
def test_what_cannot_be_is_refused(options, words):
    drawn = simulated(QUIET)
    with pytest.raises(InputError, match=words):
        fit_thaw(surface_change(drawn.heights), drawn.temperature, **options)


def test_everything_goes_into_one_file(tmp_path):
    drawn = simulated(ThawSite(), 4)
    fit = fit_thaw(surface_change(drawn.heights), drawn.temperature)
    found = fit.to_dataset()
    found.to_netcdf(tmp_path / "fit.nc", engine="h5netcdf")
    assert found.attrs["trend"] == fit.trend
    assert found.attrs["trend_units"] == "m yr-1"
    assert set(found.dims) == {"time", "year"}


# --- errors


def test_the_interval_of_the_trend_holds_the_truth_as_often_as_it_says():
    site = ThawSite(first_year=2006)
    inside, naive, scaled = [], [], []
    for seed in range(40):
        drawn = simulated_thaw(site, seed)
        change = surface_change(drawn.heights)
        fit = fit_thaw(change, drawn.temperature)
        low, high = fit.interval(0.95)
        inside.append(low <= site.trend <= high)
        scaled.append((fit.trend - site.trend) / fit.trend_se)
        trend, se = annual_trend(change)
        naive.append(abs(trend - site.trend) < 1.96 * se)
    # Forty records: 95 % +- 7 % (two sigma).
    assert np.mean(inside) >= 0.88
    assert 0.75 < np.std(scaled) < 1.35
    # Means of seasons with errors of independent days are far too sure.
    assert np.mean(naive) < 0.75


def test_flicker_noise_is_found_and_the_interval_holds():
    site = replace(QUIET, first_year=2012, last_year=2015, white=0.003, flicker=0.015)
    found, inside = [], []
    for seed in range(5):
        drawn = simulated_thaw(site, seed)
        change = surface_change(drawn.heights)
        fit = fit_thaw(change, drawn.temperature, noise="flicker")
        found.append(fit.noise["flicker"])
        low, high = fit.interval()
        inside.append(low <= site.trend <= high)
    assert np.mean(found) == pytest.approx(0.015, rel=0.25)
    assert sum(inside) >= 4


def test_the_filter_is_the_dense_likelihood():
    rng = np.random.default_rng(0)
    days = np.sort(rng.choice(np.arange(900.0), 120, replace=False))
    groups = (days // 300).astype(int)
    columns = np.column_stack([np.ones(120), days / 365.25])
    y = rng.normal(size=120) + 0.5 * groups
    fit = correlated_fit(y, columns, days, groups, np.ones(120))
    white, memory, tau, years = fit.noise.values()
    covariance = (
        white**2 * np.eye(120)
        + memory**2 * np.exp(-np.abs(np.subtract.outer(days, days)) / tau)
        + years**2 * np.equal.outer(groups, groups)
    )
    inverse = np.linalg.inv(covariance)
    dense = np.linalg.inv(columns.T @ inverse @ columns)
    np.testing.assert_allclose(fit.covariance, dense, rtol=1e-8)
    np.testing.assert_allclose(
        fit.coefficients, dense @ columns.T @ inverse @ y, rtol=1e-8
    )
    left = y - columns @ fit.coefficients
    likelihood = -0.5 * (
        np.linalg.slogdet(covariance)[1]
        - np.linalg.slogdet(dense)[1]
        + left @ inverse @ left
        + 118 * np.log(2 * np.pi)
    )
    assert fit.log_likelihood == pytest.approx(likelihood, abs=1e-8)


def test_white_errors_are_those_of_ordinary_least_squares():
    rng = np.random.default_rng(1)
    days = np.arange(50.0)
    columns = np.column_stack([np.ones(50), days])
    y = rng.normal(size=50)
    fit = correlated_fit(y, columns, days, np.zeros(50), np.ones(50), "white")
    expected, left, *_ = np.linalg.lstsq(columns, y)
    np.testing.assert_allclose(fit.coefficients, expected)
    covariance = left[0] / 48 * np.linalg.inv(columns.T @ columns)
    np.testing.assert_allclose(fit.covariance, covariance)


def test_flicker_noise_on_some_days_is_that_of_all_days_with_some_taken():
    every = flicker_covariance(np.arange(40.0))
    some = np.array([0, 3, 4, 17, 39])
    np.testing.assert_allclose(
        flicker_covariance(some.astype(float)), every[np.ix_(some, some)]
    )
    # The first weights are 1, 1/2, 3/8 (Hosking 1981, d = 1/2).
    assert every[0, 2] == pytest.approx(3 / 8)
    assert every[1, 1] == pytest.approx(1.25)
