"""Guards: predictors of other days, series that are one, places and units."""

import warnings

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.guards import (
    check_amounts,
    check_distinct,
    check_places,
    identical_series,
)
from tilth.forcing.patterns.seasons import season_labels
from tilth.forcing.patterns.simulated import simulated_weather
from tilth.forcing.patterns.synchrony import synchrony_test


@pytest.fixture(scope="module")
def weather():
    return simulated_weather(winters=6, places=6)


def test_a_free_running_model_is_refused(weather):
    other, _ = simulated_weather(winters=6, places=6, free_running=True)
    with pytest.raises(InputError, match="does not follow the weather"):
        PatternDownscaling().fit(other, weather.local)


def test_a_warning_takes_the_place_of_a_refusal_where_it_is_asked_for(weather):
    other, _ = simulated_weather(winters=6, places=6, free_running=True)
    with pytest.warns(UserWarning, match="free-running model"):
        PatternDownscaling().fit(other, weather.local, guards="warn")
    with pytest.raises(InputError, match='"raise" or "warn"'):
        PatternDownscaling().fit(weather.coarse, weather.local, guards="ignore")


@pytest.mark.realdata
def test_a_real_climate_model_and_seasonal_hindcasts_are_refused(iberia):
    with pytest.raises(InputError, match="does not follow the weather"):
        PatternDownscaling().fit(iberia.gcm, iberia.stations)
    for observed in (iberia.stations, iberia.cells):
        labels = season_labels(observed.time)
        roots = np.cbrt(observed.values)
        for member in iberia.seasonal:
            cells = np.cbrt(member.values).reshape(len(roots), -1)
            assert not synchrony_test(cells, roots, labels).synchronous


@pytest.mark.realdata
def test_a_real_reanalysis_is_let_through_without_a_word(iberia):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PatternDownscaling().fit(iberia.predictors["pr"], iberia.stations)
    assert model.training_days.min() > 800


@pytest.mark.realdata
def test_the_defective_climate_model_is_found_out(dataset):
    """Vancouver and Amos are 3,700 km apart and have one series (SOURCES, xclim)."""
    path = dataset("ahccd-canesm2") / "CanESM2_1950-2100.nc"
    with xr.open_dataset(path, engine="h5netcdf") as data:
        rain, warmth = data.pr.load(), data.tasmax.load()
    for field in (rain, warmth):
        assert identical_series(field) == [[("Vancouver",), ("Amos",)]]
        with pytest.raises(InputError, match=r"Vancouver = Amos.*-180\.\.180"):
            check_distinct(field)


def test_a_common_annual_cycle_is_not_taken_for_synchrony():
    generator = np.random.default_rng(1)
    day = np.arange(365 * 8)
    cycle = 3.0 * np.sin(2 * np.pi * day / 365)
    labels = day // 365
    free = cycle + generator.normal(size=day.size)
    observed = (cycle + generator.normal(size=day.size))[:, None]
    assert np.corrcoef(free, observed[:, 0])[0, 1] > 0.7
    assert not synchrony_test(free[:, None], observed, labels).synchronous
    follows = observed[:, 0] + generator.normal(size=day.size)
    assert synchrony_test(follows[:, None], observed, labels).synchronous


def test_free_running_series_pass_about_once_in_five_hundred():
    generator = np.random.default_rng(2)
    labels = np.repeat(np.arange(8), 90)
    passed = 0
    for _ in range(150):
        both = generator.normal(size=(2, labels.size))
        for day in range(1, labels.size):
            both[:, day] += 0.6 * both[:, day - 1]
        passed += synchrony_test(both[:1].T, both[1:].T, labels).synchronous
    assert passed <= 3  # chance of more, at 1 in 500: 0.0003


def test_days_labelled_one_off_are_remarked_on(weather):
    late = weather.coarse.shift(time=1).fillna(0.0)
    with pytest.warns(UserWarning, match="moved by 1 time steps"):
        PatternDownscaling().fit(late, weather.local)


def test_few_seasons_are_cut_into_blocks():
    generator = np.random.default_rng(3)
    observed = generator.normal(size=(600, 1))
    follows = observed[:, 0] + generator.normal(size=600)
    labels = np.repeat([2001, 2002], 300)
    assert synchrony_test(follows[:, None], observed, labels).synchronous
    with pytest.raises(InputError, match="too few to see"):
        synchrony_test(follows[:100, None], observed[:100], labels[:100])


def test_series_that_never_change_are_not_called_identical():
    sea = xr.DataArray(np.zeros((5, 3)), dims=("time", "cell"))
    assert identical_series(sea) == []


def test_targets_elsewhere_are_refused_in_either_convention_of_longitude(weather):
    lat, lon = np.array([40.0]), np.array([-3.0])
    check_places(weather.coarse, lat, lon)
    check_places(weather.coarse, lat, lon + 360.0)
    east = weather.coarse.assign_coords(lon=weather.coarse.lon + 360.0)
    check_places(east, lat, lon)
    with pytest.raises(InputError, match="outside of pr, which covers 34 to 46"):
        check_places(weather.coarse, lat, np.array([-123.0]))
    far = weather.local.assign_coords(lat=weather.local.lat + 30.0)
    with pytest.raises(InputError, match="give predictors of where the targets are"):
        PatternDownscaling().fit(weather.coarse, far)


def test_a_wrong_unit_is_named(weather):
    wrong = (weather.coarse / 86400.0).assign_attrs(units="mm day-1")
    with pytest.raises(InputError, match="a factor of 86400 would explain it"):
        PatternDownscaling().fit(wrong, weather.local)
    assert check_amounts(np.ones(3), np.full(3, 4.5), "mm day-1") is not None
    assert check_amounts(np.ones(3), np.full(3, 2.0), "mm day-1") is None
    assert check_amounts(np.zeros(3), np.ones(3), "mm day-1") is None


def test_units_that_are_absent_are_asked_for(weather):
    with pytest.raises(UnitsError, match="the predictor pr has no units"):
        PatternDownscaling().fit(weather.coarse.drop_attrs(), weather.local)
    with pytest.raises(UnitsError, match="has no units"):
        PatternDownscaling().fit(weather.coarse, weather.local.drop_attrs())


def test_a_flux_in_kilograms_gives_the_same_as_millimetres(weather):
    flux = (weather.coarse / 86400.0).assign_attrs(units="kg m-2 s-1")
    first, second = (
        PatternDownscaling().fit(field, weather.local).predict(field)["corrected"]
        for field in (weather.coarse, flux)
    )
    np.testing.assert_allclose(first, second, atol=1e-8)


def test_places_that_are_one_are_named_and_so_are_cells(weather):
    local = weather.local.assign_coords(place=list("abcdef"))
    twice = local.copy()
    twice[:, 4] = local[:, 1]
    with pytest.raises(InputError, match=r"2 places have the series.*\(b = e\)"):
        PatternDownscaling().fit(weather.coarse, twice)
    cells = weather.coarse.copy()
    cells[:, 0, 1] = cells[:, 0, 0]
    lat, lon = float(cells.lat[0]), float(cells.lon[0])
    with pytest.raises(InputError, match=rf"\({lat}/{lon} = "):
        PatternDownscaling().fit(cells, local)


@pytest.mark.parametrize("window", ["all", 1])
def test_cells_without_any_value_are_not_learnt_from(weather, window):
    """A field of the land has no values at sea."""
    settings = PatternDownscaling(window=window)
    masked = weather.coarse.copy()
    masked[:, :2, :2] = np.nan
    model = settings.fit(masked, weather.local)
    assert (model.training_days == weather.local.sizes["time"]).all()
    found = model.predict(masked)["corrected"]
    assert found.notnull().all()
    # What lies there later is not looked at.
    xr.testing.assert_identical(model.predict(weather.coarse)["corrected"], found)


def test_a_target_with_nothing_but_masked_cells_around_is_not_learnt(weather):
    masked = weather.coarse.copy()
    nearest = [
        int(
            np.abs(weather.coarse[name].values - weather.local[name].values[0]).argmin()
        )
        for name in ("lat", "lon")
    ]
    masked[:, nearest[0], nearest[1]] = np.nan
    model = PatternDownscaling(window=0).fit(masked, weather.local)
    assert model.training_days[0] == 0
    assert (model.training_days > 0).any()


def test_too_few_seasons_or_none_in_common_say_what_is_needed(weather):
    one = season_labels(weather.local.time) == 1983
    with pytest.raises(InputError, match="give 4 seasons, or 252 times"):
        PatternDownscaling().fit(weather.coarse[one], weather.local[one])
    with pytest.raises(InputError, match="have no day in common"):
        PatternDownscaling().fit(weather.coarse[one], weather.local[~one])
    with pytest.raises(InputError, match="the observed have no times"):
        PatternDownscaling().fit(weather.coarse, weather.local[:0])


def test_nothing_observed_is_said_without_a_warning_of_numpy(weather):
    with pytest.raises(InputError, match="none of 6 targets has 50 days"):
        PatternDownscaling().fit(weather.coarse, weather.local * np.nan)


def test_a_region_around_greenwich_from_0_to_360_is_told_how_to_go_on(weather):
    around = weather.coarse.assign_coords(lon=weather.coarse.lon % 360).sortby("lon")
    with pytest.raises(InputError, match=r"\(data.lon \+ 180\) % 360 - 180"):
        PatternDownscaling().fit(around, weather.local)
