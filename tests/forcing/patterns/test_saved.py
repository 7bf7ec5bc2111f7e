"""Fitted patterns written and read again predict the same to the last bit."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import write_netcdf
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.learners import Ridge
from tilth.forcing.patterns.learners_nonlinear import Nystroem, RandomForest
from tilth.forcing.patterns.saved import read_patterns
from tilth.forcing.patterns.simulated import simulated_weather
from tilth.forcing.split import check_not_trained_on


@pytest.fixture(scope="module")
def weather():
    return simulated_weather(winters=6, places=5)


@pytest.mark.parametrize(
    "settings",
    [
        PatternDownscaling(),
        PatternDownscaling(Ridge(3.0), window=1, folds=3, extrapolation="delta"),
        PatternDownscaling(Nystroem(landmarks=40, seed=2), window=1),
    ],
)
def test_what_is_read_predicts_what_was_saved(weather, settings, tmp_path):
    coarse, local = weather.coarse, weather.local.copy()
    local[20:80, 1] = np.nan  # days of its own, and so a group of its own
    local[:, 3] = np.nan  # not learnt
    local = local.assign_coords(name=("place", list("abcde")))
    model = settings.fit(coarse, local)
    assert len(model.groups) > 1
    model.save(tmp_path / "fitted.nc")
    again = read_patterns(tmp_path / "fitted.nc")
    assert again.settings == settings
    assert again.periods == model.periods
    xr.testing.assert_identical(again.predict(coarse), model.predict(coarse))
    with pytest.raises(InputError, match="times were learnt from"):
        check_not_trained_on(again.predict(coarse))


def test_a_series_alone_and_several_fields_are_read_again(weather, tmp_path):
    wind = (weather.coarse * 0.0 + 1.0).rename("wind").assign_attrs(units="m s-1")
    wind = wind + np.random.default_rng(0).normal(size=wind.shape)
    fields = {"pr": weather.coarse, "wind": wind.assign_attrs(units="m s-1")}
    model = PatternDownscaling().fit(fields, weather.local[:, 0])
    model.save(tmp_path / "fitted.nc")
    again = read_patterns(tmp_path / "fitted.nc")
    xr.testing.assert_identical(again.predict(fields), model.predict(fields))
    with pytest.raises(InputError, match="wind was learnt from and is missing"):
        again.predict(weather.coarse)


def test_a_forest_is_not_saved_and_other_files_are_refused(weather, tmp_path):
    learner = RandomForest(trees=2)
    model = PatternDownscaling(learner, folds=2).fit(
        weather.coarse, weather.local[:, :1]
    )
    with pytest.raises(InputError, match=r"RandomForest is not saved.*Ridge or Nystr"):
        model.save(tmp_path / "fitted.nc")
    assert not (tmp_path / "fitted.nc").exists()
    write_netcdf(weather.coarse.to_dataset(name="pr"), tmp_path / "pr.nc")
    with pytest.raises(InputError, match="holds no fitted pattern"):
        read_patterns(tmp_path / "pr.nc")
