"""Simulated weather is weather: what can be and cannot be, and what was asked for."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.land.model.forcing import check_forcing
from tilth.land.simulate import simulated_weather
from tilth.physics import moist_air


@pytest.fixture(scope="module")
def weather():
    return simulated_weather((2001, 2010), rain=1100.0, sites=2, seed=3)


def test_the_model_takes_it_as_it_is(weather):
    assert set(check_forcing(weather).data_vars) >= {"Rainf", "Snowf", "Tair"}


def test_the_climate_is_the_one_asked_for(weather):
    total = (weather["Rainf"] + weather["Snowf"]).mean("time") * 86400 * 365.25
    # Exponential amounts on 140 wet days a year: 3 % of ten years' rain, two sites.
    np.testing.assert_allclose(total, 1100.0, rtol=0.12)
    months = weather["Tair"].groupby("time.month").mean().mean("cell")
    assert abs(float(weather["Tair"].mean()) - 283.0) < 0.5
    assert float(months.max() - months.min()) == pytest.approx(22.0, abs=3.0)
    assert int(months.values.argmax()) in (6, 7)


def test_air_is_never_above_saturation_and_nights_are_dark(weather):
    saturated = moist_air.saturation_specific_humidity(
        weather["Tair"].values, weather["PSurf"].values
    )
    assert (weather["Qair"].values <= np.asarray(saturated) * (1 + 1e-12)).all()
    night = weather["SWdown"].where(weather["time.hour"] == 0, drop=True)
    assert float(night.max()) == 0.0
    assert 700.0 < float(weather["SWdown"].max()) < 1100.0


def test_rain_falls_under_clouds(weather):
    daily = weather.resample(time="1D").mean()
    july = daily.sel(time=daily["time.month"] == 7)
    wet = july["Rainf"] > 0
    assert float(july["SWdown"].where(wet).mean()) < 0.7 * float(
        july["SWdown"].where(~wet).mean()
    )


def test_a_site_does_not_depend_on_how_many_there_are():
    one = simulated_weather(sites=1, seed=5).squeeze("cell")
    three = simulated_weather(sites=3, seed=5).isel(cell=0)
    xr.testing.assert_equal(one.drop_attrs(), three.drop_attrs())


def test_the_south_has_its_summer_in_january():
    south = simulated_weather(latitude=-35.0, seed=1)["Tair"]
    assert int(south.groupby("time.month").mean().values.argmax()) in (0, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"years": (2002, 2001)}, "before"), ({"step_minutes": 7}, "divide")],
)
def test_what_makes_no_calendar_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        simulated_weather(**arguments)
