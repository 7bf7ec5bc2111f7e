"""Retention: what two hydrographs say about the storage between them."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.floods import (
    retention,
    retention_by_period,
    retention_curve,
    walled,
)
from tilth.rivers.network.model import RiverNetwork

HOUR = 3600.0


def flood(values, units="m3 s-1"):
    values = np.asarray(values, float)
    time = pd.date_range("2019-03-01", periods=len(values), freq="h")
    dims = ("time", "catchment")[: values.ndim]
    return xr.DataArray(
        values, dims=dims, coords={"time": time}, attrs={"units": units}
    )


def through_a_lake(inflow, hours):
    """Return the outflow of a linear reservoir: Hayami's simplest relative."""
    out, stored = np.zeros_like(inflow), 0.0
    for i, q in enumerate(inflow):
        stored += q
        out[i] = stored / (hours + 1.0)
        stored -= out[i]
    return out


def test_a_reservoir_lowers_and_delays_as_its_time_constant_says():
    hour = np.arange(2000.0)
    inflow = 1000.0 * np.exp(-(((hour - 100.0) / 10.0) ** 2))
    outflow = through_a_lake(inflow, 24.0)
    found = retention(flood(outflow), flood(inflow))
    # The mean delay of a linear reservoir is its time constant.
    assert float(found["centroid_delay"]) == pytest.approx(24.0 * HOUR, rel=1e-6)
    assert float(found["peak_reduction"]) == pytest.approx(
        1.0 - outflow.max() / inflow.max()
    )
    delay = np.argmax(outflow) - np.argmax(inflow)
    assert float(found["peak_delay"]) == delay * HOUR > 0.0
    # The most it holds is what has come in and not gone out by then.
    stored = np.cumsum(inflow - outflow).max() * HOUR
    assert float(found["held_volume"]) == pytest.approx(stored)
    assert float(found["held_share"]) == pytest.approx(stored / inflow.sum() / HOUR)
    # At its highest outflow a linear reservoir holds the outflow times its constant.
    assert stored == pytest.approx(24.0 * HOUR * outflow.max(), rel=0.01)


def test_the_same_flow_is_not_retained():
    wave = flood([1.0, 5.0, 9.0, 3.0])
    found = retention(wave, wave)
    for name in ("peak_reduction", "peak_delay", "centroid_delay", "held_volume"):
        assert float(found[name]) == 0.0


def test_a_trickle_has_no_retention_but_its_peak():
    found = retention(
        flood([[0.1, 10.0], [0.2, 30.0]]), flood([[0.1, 10.0], [0.4, 40.0]])
    )
    assert np.isnan(found["peak_reduction"].values[0])
    assert float(found["peak_reduction"][1]) == pytest.approx(0.25)
    np.testing.assert_allclose(found["peak_without"], [0.4, 40.0])


def test_units_are_converted_and_runs_of_other_days_refused():
    wave = flood([1.0, 5.0, 9.0, 3.0])
    litres = (1000.0 * wave).assign_attrs(units="L s-1")
    assert float(retention(litres, wave)["peak_reduction"]) == pytest.approx(0.0)
    with pytest.raises(InputError, match="other times"):
        retention(wave[1:], wave)
    with pytest.raises(InputError, match="no units"):
        retention(wave.drop_attrs(), wave)
    with pytest.raises(InputError, match="equal steps"):
        retention(wave[[0, 1, 3]], wave[[0, 1, 3]])


def test_rarer_floods_have_the_longer_period():
    years = {"year": [2001, 2002, 2003]}
    without = xr.DataArray([100.0, 300.0, 200.0], dims="year", coords=years)
    found = retention_by_period(0.9 * without, without)
    np.testing.assert_allclose(found["peak_reduction"], 0.1)
    assert found["return_period"].argsort().values.tolist() == [0, 2, 1]
    with pytest.raises(InputError, match="other years"):
        retention_by_period(without[1:], without)


def test_the_curve_finds_the_reduction_that_grows_with_the_flood():
    rng = np.random.default_rng(0)
    size = xr.DataArray(rng.uniform(1.0, 11.0, 400), dims="flood")
    reduction = 0.02 * size + rng.normal(0.0, 0.01, 400)
    curve = retention_curve(size, reduction, classes=5)
    assert curve["floods"].tolist() == [80] * 5
    np.testing.assert_allclose(curve["reduction"], 0.02 * curve["size"], atol=0.005)
    assert (curve["lower"] < curve["reduction"]).all()
    assert (curve["upper"] - curve["lower"]).max() < 0.01 * 2
    with pytest.raises(InputError, match="3 floods do not fill 2 classes"):
        retention_curve(size[:3], reduction[:3], classes=2)


def test_walls_stand_beside_every_channel_and_change_nothing_else():
    units = {"units": "m"}
    network = RiverNetwork(
        xr.Dataset(
            {
                "downstream": ("catchment", [1, -1]),
                "river_width": ("catchment", [10.0, 20.0], units),
                "floodplain_height": (
                    ("catchment", "layer"),
                    [[0.0, 1], [2, 3]],
                    units,
                ),
            }
        )
    )
    high = walled(network)
    assert (high.data["floodplain_height"] >= 1e6).all()
    xr.testing.assert_identical(
        high.data.drop_vars("floodplain_height"),
        network.data.drop_vars("floodplain_height"),
    )
    with pytest.raises(InputError, match="lacks floodplain_height"):
        walled(RiverNetwork(network.data.drop_vars("floodplain_height")))
