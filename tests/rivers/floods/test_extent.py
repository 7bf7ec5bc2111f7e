"""Flooded share, area, volume and depth follow from the profile of the floodplain."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.rivers.floods import depth_exceeded, flood_extent, fraction_deeper
from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_runs import read_cama_output
from tilth.rivers.network.model import RiverNetwork


def network(profile, area=1e6):
    profile = np.atleast_2d(np.asarray(profile, float))
    n = len(profile)
    return RiverNetwork(
        xr.Dataset(
            {
                "downstream": ("catchment", np.r_[np.arange(1, n), -1]),
                "area": ("catchment", np.full(n, area), {"units": "m2"}),
                "floodplain_height": (
                    ("catchment", "layer"),
                    profile,
                    {"units": "m"},
                ),
            }
        )
    )


def depth(*values):
    return xr.DataArray(np.array(values), dims="catchment", attrs={"units": "m"})


def test_a_plane_floods_in_proportion_to_the_depth():
    plane = network([[1.0, 2.0, 3.0, 4.0]] * 3)
    found = flood_extent(plane, depth(1.0, 2.5, 6.0))
    np.testing.assert_allclose(found["flood_fraction"], [0.25, 0.625, 1.0])
    np.testing.assert_allclose(found["flooded_area"], [2.5e5, 6.25e5, 1e6])
    # A wedge holds half its depth; above the plane, a full column lies on it.
    np.testing.assert_allclose(found["mean_flood_depth"], [0.5, 1.25, 4.0])
    np.testing.assert_allclose(found["flood_volume"], [1.25e5, 7.8125e5, 4e6])
    assert found["flooded_area"].attrs["units"] == "m2"


def test_a_flat_layer_is_dry_at_its_height_and_wet_above():
    step = network([[0.0, 0.0, 3.0, 3.0]] * 4)
    found = flood_extent(step, depth(0.0, 1e-9, 3.0, 3.5))
    np.testing.assert_allclose(
        found["flood_fraction"], [0.0, 0.5, 0.75, 1.0], atol=1e-8
    )
    np.testing.assert_allclose(
        found["flood_volume"], [0.0, 5e-4, 1.875e6, 2.375e6], rtol=1e-6
    )


def test_a_river_within_its_bed_floods_nothing_and_a_gap_stays_one():
    found = flood_extent(network([[1.0, 2.0]] * 2), depth(0.0, np.nan))
    assert found["flood_fraction"].values[0] == found["flood_volume"].values[0] == 0.0
    assert np.isnan(found["mean_flood_depth"].values[0])
    assert all(np.isnan(found[name].values[1]) for name in found)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0.0, 30.0), min_size=1, max_size=10),
    st.floats(0.01, 40.0),
)
def test_the_volume_is_the_integral_of_the_area_over_the_depth(heights, top):
    river = network([sorted(heights)])
    levels = np.linspace(0.0, top, 4001)
    depths = xr.DataArray(
        levels[:, None], dims=("time", "catchment"), attrs={"units": "m"}
    )
    found = flood_extent(river, depths)
    area = found["flooded_area"].values[:, 0]
    # Trapezoids: off by at most half a step of every jump in area.
    integral = np.trapezoid(area, levels)
    assert found["flood_volume"].values[-1, 0] == pytest.approx(
        integral, abs=1e6 * top / 4000
    )
    assert (np.diff(found["flood_volume"].values[:, 0]) >= 0.0).all()


def test_shares_and_depths_within_the_flood_agree_with_each_other():
    river = network([[0.5, 1.0, 4.0, 4.0, 9.0]] * 3)
    water = depth(3.0, 6.0, 12.0)
    extent = flood_extent(river, water)
    for share in (0.0, 0.2, 0.5, 0.9):
        deep = depth_exceeded(river, water, share)
        for i in range(3):
            wet = fraction_deeper(river, water, float(deep[i]) + 1e-9)
            expected = share * float(extent["flood_fraction"][i])
            assert float(wet[i]) <= expected + 1e-6
    np.testing.assert_allclose(depth_exceeded(river, water, 0.0), water)
    np.testing.assert_allclose(
        fraction_deeper(river, water, 0.0), extent["flood_fraction"]
    )
    # By hand: 12 m above the bank, the plane from 4 to 9 m begins at 4/5 of the area.
    assert float(fraction_deeper(river, water, 5.5)[2]) == pytest.approx(
        0.8 + 0.2 * 0.5
    )
    assert float(depth_exceeded(river, water, 0.9)[2]) == pytest.approx(5.5)


def test_the_mean_depth_is_the_mean_of_the_depths_exceeded():
    river = network([[0.5, 1.0, 4.0, 4.0, 9.0]])
    shares = (np.arange(2000) + 0.5) / 2000
    deep = [float(depth_exceeded(river, depth(7.0), s)[0]) for s in shares[50::100]]
    mean = float(flood_extent(river, depth(7.0))["mean_flood_depth"][0])
    assert np.mean(deep) == pytest.approx(mean, rel=0.01)


def test_chunks_of_time_do_not_change_a_bit():
    river = network([[0.5, 1.0, 4.0], [1.0, 2.0, 3.0]])
    water = xr.DataArray(
        np.random.default_rng(0).uniform(0, 6, (12, 2)),
        dims=("time", "catchment"),
        attrs={"units": "m", "cell_methods": "time: point"},
    )
    whole, parts = flood_extent(river, water), flood_extent(river, water.chunk(time=5))
    assert parts["flood_volume"].chunks is not None
    xr.testing.assert_identical(parts.compute(), whole)
    assert whole["flood_volume"].attrs["cell_methods"] == "time: point"


def test_units_are_converted():
    river = network([[1.0, 2.0]])
    cm = xr.DataArray([50.0], dims="catchment", attrs={"units": "cm"})
    assert float(flood_extent(river, cm)["flood_fraction"][0]) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda r: flood_extent(r, depth(1.0)), "2 catchments"),
        (
            lambda r: flood_extent(r, depth(1.0, 1.0).assign_coords(catchment=[1, 0])),
            "another order",
        ),
        (
            lambda r: flood_extent(r, xr.DataArray([1.0, 2.0], dims="catchment")),
            "no units",
        ),
        (lambda r: fraction_deeper(r, depth(1.0, 1.0), -1.0), "0 m or more"),
        (lambda r: depth_exceeded(r, depth(1.0, 1.0), 50.0), "between 0 and 1"),
        (
            lambda r: flood_extent(
                RiverNetwork(r.data.drop_vars("floodplain_height")), depth(1.0, 1.0)
            ),
            "lacks floodplain_height",
        ),
    ],
)
def test_a_depth_that_does_not_belong_to_the_network_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call(network([[1.0, 2.0]] * 2))


@pytest.mark.realdata
def test_depths_of_cama_flood_give_its_flooded_share_and_its_storage(dataset):
    folder = dataset("cama-mozambique")
    river = read_cama_map(folder / "map_moz_06min.nc")
    cama = read_cama_output(folder / "cama_base_daily2019.nc", river)
    days = cama.isel(time=[40, 76, 100])  # the second in the flood of Idai
    found = flood_extent(river, days["flood_depth"])
    flooded = (days["flood_depth"] > 0.01).values
    assert flooded[1].sum() > 300
    np.testing.assert_allclose(
        found["flood_fraction"].values[flooded],
        days["flood_fraction"].values[flooded],
        atol=2e-6,
    )
    shape = river.data["river_width"] * river.data["river_length"]
    stored = found["flood_volume"] + days["river_depth"] * shape
    np.testing.assert_allclose(
        stored.values[flooded], days["storage"].values[flooded], rtol=2e-5
    )
    # As much as the water covers on the day of the largest flood.
    area = float(found["flooded_area"][1].sum()) / 1e6
    assert 2000.0 < area < 5119.0
