"""A climate model's fields become predictors; its days stay its own."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust.delta import QDM
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.simulated import simulated_weather
from tilth.forcing.patterns.transfer import Transfer


@pytest.fixture(scope="module")
def worlds():
    real = simulated_weather(winters=10, places=6)
    gcm, _ = simulated_weather(winters=10, places=6, free_running=True)
    return real, gcm


@pytest.fixture(scope="module")
def model(worlds):
    return PatternDownscaling().fit(worlds[0].coarse, worlds[0].local)


def test_the_models_bias_does_not_reach_the_places(worlds, model):
    real, gcm = worlds
    bridge = Transfer.fit(gcm, real.coarse)
    moved = bridge.apply(gcm)["pr"]
    assert gcm.mean().item() > 1.35 * real.coarse.mean().item()
    assert moved.mean().item() == pytest.approx(real.coarse.mean().item(), rel=0.02)
    truth = real.local.mean("time")
    biased, unbiased = (
        model.predict(field)["corrected"].mean("time") / truth - 1.0
        for field in ({"pr": gcm}, {"pr": moved})
    )
    assert biased.mean().item() > 0.2
    assert abs(unbiased.mean().item()) < 0.08


def test_another_grid_is_brought_to_that_of_the_training(worlds, model):
    real, gcm = worlds
    lat, lon = np.linspace(34.0, 46.0, 9), np.linspace(-11.0, 5.0, 12)
    other = (
        gcm.interp(lat=lat, lon=lon, kwargs={"fill_value": "extrapolate"})
        .clip(min=0.0)
        .assign_attrs(gcm.attrs)
    )
    moved = Transfer.fit(other, real.coarse).apply(other)
    assert moved["pr"].sizes == real.coarse.sizes
    model.predict(moved)
    with pytest.raises(InputError, match=r"does not reach \d+ cells"):
        Transfer.fit(other[:, :4], real.coarse)


def test_a_change_of_the_model_comes_out_at_the_places(worlds, model):
    real, gcm = worlds
    wetter = (1.2 * gcm).assign_attrs(gcm.attrs)
    bridge = Transfer.fit(gcm, real.coarse)
    past, future = (
        model.predict(bridge.apply(field))["corrected"] for field in (gcm, wetter)
    )
    assert (future.mean("time") > past.mean("time")).all()


def test_members_are_mapped_apart_by_the_same_maps(worlds):
    real, gcm = worlds
    both = xr.concat([gcm, 0.7 * gcm], "member", join="exact").assign_attrs(gcm.attrs)
    bridge = Transfer.fit(gcm, real.coarse)
    moved = bridge.apply(both)["pr"]
    alone = bridge.apply(gcm)["pr"]
    np.testing.assert_array_equal(moved.isel(member=0).transpose(*alone.dims), alone)


def test_another_method_can_carry_a_field_over(worlds):
    real, gcm = worlds
    bridge = Transfer.fit(gcm, real.coarse, {"pr": QDM(kind="*")})
    assert type(bridge.adjusters["pr"].method).__name__ == "QDM"
    with pytest.raises(InputError, match="lacks the fields pr"):
        bridge.apply(gcm.rename("rain"))
    with pytest.raises(InputError, match="lacks the fields pr"):
        Transfer.fit(gcm.rename("rain"), real.coarse)


def test_rain_is_mapped_by_ratio_and_pressure_by_difference(worlds):
    real, _ = worlds
    fields = {
        "pr": real.coarse,
        "psl": real.coarse.rename("psl").assign_attrs(units="Pa"),
    }
    bridge = Transfer.fit(fields, fields)
    assert bridge.adjusters["pr"].method.kind == "*"
    assert bridge.adjusters["psl"].method.kind == "+"
