"""Water on a fine raster: pixel by pixel, no drop lost where none may be."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError, KernelError
from tilth.rivers.floods import downscale_depth, flood_extent
from tilth.rivers.network.floodplain import floodplain_profile
from tilth.rivers.network.model import RiverNetwork

PIXEL = 900.0


def raster(values, **attrs):
    return xr.DataArray(np.asarray(values), dims=("y", "x"), attrs=attrs)


def levels(values, dims=("catchment",)):
    return xr.DataArray(np.asarray(values, float), dims=dims, attrs={"units": "m"})


def volumes(values, dims=("catchment",)):
    return xr.DataArray(np.asarray(values, float), dims=dims, attrs={"units": "m3"})


@pytest.fixture
def terrain():
    """Rough ground of 60 x 80 pixels in six catchments, a border without any."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:60, :80]
    labels = (y // 20) * 2 + x // 40
    labels[:, :3] = -1
    ground = 100.0 + 0.1 * y + rng.gamma(2.0, 2.0, y.shape)
    ground[10, 10] = np.nan
    return raster(labels), raster(ground, units="m")


def test_a_pixel_stands_as_deep_as_the_level_is_above_it():
    found = downscale_depth(
        levels([10.0, 20.0]),
        raster([[0, 0, 1], [1, -1, 0]]),
        raster([[8.0, 12.0, 19.5], [25.0, 0.0, np.nan]], units="m"),
    )
    expected = [[2.0, 0.0, 0.5], [0.0, np.nan, np.nan]]
    np.testing.assert_array_equal(found["flood_depth"], expected)
    assert found["flood_depth"].attrs["units"] == "m"


def test_the_volume_of_the_pixels_is_reported_beside_that_of_the_catchment():
    found = downscale_depth(
        levels([10.0, 20.0]),
        raster([[0, 0, 1]]),
        raster([[8.0, 9.0, 30.0]], units="m"),
        pixel_area=PIXEL,
    )
    np.testing.assert_allclose(found["fine_volume"], [3 * PIXEL, 0.0])


def test_levels_move_to_where_pixels_hold_the_water_there_is():
    # 900 m2 each at 8, 9 and 12 m: 2700 m3 stand 2 m and 1 m deep, up to 10 m.
    found = downscale_depth(
        levels([55.0]),
        raster([[0, 0, 0]]),
        raster([[8.0, 9.0, 12.0]], units="m"),
        pixel_area=PIXEL,
        volume=volumes([2700.0]),
    )
    assert float(found["level"][0]) == pytest.approx(10.0)
    np.testing.assert_allclose(found["flood_depth"], [[2.0, 1.0, 0.0]])
    assert float(found["volume_difference"][0]) == pytest.approx(0.0, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-50.0, 500.0), min_size=1, max_size=30),
    st.floats(1.0, 1e7),
    st.floats(-100.0, 1000.0),
)
def test_any_volume_is_held_by_any_ground_from_any_first_level(ground, volume, start):
    found = downscale_depth(
        levels([start]),
        raster(np.zeros((1, len(ground)), int)),
        raster([ground], units="m"),
        pixel_area=PIXEL,
        volume=volumes([volume]),
    )
    assert abs(float(found["volume_difference"][0])) < 1e-7
    depth = found["flood_depth"].values
    assert depth.sum() * PIXEL == pytest.approx(volume, rel=1e-6)


def test_each_day_and_catchment_keeps_its_own_water(terrain):
    labels, ground = terrain
    rng = np.random.default_rng(1)
    dims = ("time", "catchment")
    water = volumes(rng.uniform(0, 2e6, (3, 6)), dims)
    water[1, 2] = 0.0
    found = downscale_depth(
        levels(rng.uniform(95, 115, (3, 6)), dims),
        labels,
        ground,
        pixel_area=PIXEL,
        volume=water,
    )
    assert found["flood_depth"].dims == ("time", "y", "x")
    assert float(abs(found["volume_difference"]).max()) < 1e-9
    assert float(found["flood_depth"][1].where(labels == 2).max()) == 0.0
    total = (found["flood_depth"] * PIXEL).sum(("y", "x"))
    np.testing.assert_allclose(total, water.sum("catchment"), rtol=1e-9)


def test_chunks_of_the_raster_do_not_change_the_water(terrain):
    labels, ground = terrain
    given = {
        "level": levels(np.linspace(101, 109, 6)),
        "pixel_area": raster(np.full(labels.shape, PIXEL)),
        "volume": volumes(np.linspace(0, 1e6, 6)),
    }
    whole = downscale_depth(labels=labels, ground=ground, **given)
    chunks = {"y": 17, "x": 33}
    parts = downscale_depth(
        labels=labels.chunk(chunks), ground=ground.chunk(chunks), **given
    )
    assert parts["flood_depth"].chunks is not None
    np.testing.assert_allclose(parts["flood_depth"], whole["flood_depth"], atol=1e-9)
    plain = given["level"]
    a = downscale_depth(plain, labels, ground)["flood_depth"]
    b = downscale_depth(plain, labels.chunk(chunks), ground.chunk(chunks))
    xr.testing.assert_identical(b["flood_depth"].compute(), a)


def test_labels_are_the_identifiers_of_the_catchments_in_any_order():
    named = levels([10.0, 20.0, 30.0]).assign_coords(catchment=[7, 3, 12])
    labels = raster([[12, 3, 7, 0, -9]])
    ground = raster([[0.0] * 5], units="m")
    expected = [[30.0, 20.0, 10.0, np.nan, np.nan]]
    for a, b in ((labels, ground), (labels.chunk(x=2), ground.chunk(x=2))):
        np.testing.assert_array_equal(
            downscale_depth(named, a, b)["flood_depth"], expected
        )
    # A map that counts from 0 has a catchment of that name.
    first = levels([4.0, 5.0]).assign_coords(catchment=[0, 1])
    found = downscale_depth(first, raster([[0, 1, -1]]), ground[:, :3])
    np.testing.assert_array_equal(found["flood_depth"], [[4.0, 5.0, np.nan]])
    with pytest.raises(InputError, match="catchments are called 'upper'"):
        downscale_depth(
            first.assign_coords(catchment=["upper", "lower"]), labels, ground
        )


def test_single_precision_ground_gives_single_precision_depth(terrain):
    labels, ground = terrain
    single = ground.astype(np.float32)
    found = downscale_depth(levels(np.full(6, 105.0)), labels, single)
    assert found["flood_depth"].dtype == np.float32


def test_a_catchment_without_a_pixel_shows_that_its_water_is_missing():
    found = downscale_depth(
        levels([10.0, 10.0]),
        raster([[0]]),
        raster([[8.0]], units="m"),
        pixel_area=PIXEL,
        volume=volumes([900.0, 900.0]),
    )
    np.testing.assert_allclose(found["volume_difference"], [0.0, -1.0], atol=1e-9)


def test_a_catchment_without_a_level_has_no_depth_and_disturbs_no_other():
    found = downscale_depth(
        levels([np.nan, 10.0]),
        raster([[0, 1]]),
        raster([[8.0, 8.0]], units="m"),
        pixel_area=PIXEL,
        volume=volumes([np.nan, 900.0]),
    )
    np.testing.assert_allclose(found["flood_depth"], [[np.nan, 1.0]])


ONE = raster([[0]])
GROUND = raster([[8.0]], units="m")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: downscale_depth(levels([1.0], ("cell",)), ONE, GROUND), "catchment"),
        (
            lambda: downscale_depth(levels([1.0]), ONE, raster([[1.0, 2.0]])),
            "must be one raster",
        ),
        (lambda: downscale_depth(levels([1.0]), GROUND, GROUND), "whole numbers"),
        (lambda: downscale_depth(levels([1.0]), ONE + 7, GROUND), "the first is 7"),
        (
            lambda: downscale_depth(levels([1.0]), ONE, raster([[8.0]], units="ft")),
            "ground must be in m, its units are 'ft'",
        ),
        (
            lambda: downscale_depth(levels([1.0]), ONE, GROUND, volume=volumes([1.0])),
            "needs pixel_area",
        ),
        (
            lambda: downscale_depth(
                levels([1.0]), ONE, GROUND, pixel_area=PIXEL, volume=levels([1.0])
            ),
            "volume must be in m3",
        ),
        (
            lambda: downscale_depth(
                levels([1.0]), ONE, GROUND, pixel_area=raster([[1.0, 2.0]])
            ),
            "pixel_area",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()


def test_a_lazy_label_that_leads_nowhere_is_found_when_computed():
    found = downscale_depth(levels([1.0]), (ONE + 7).chunk(), GROUND.chunk())
    with pytest.raises(KernelError, match="no catchments, the first is 7"):
        found["flood_depth"].compute()


def test_a_profile_made_of_the_pixels_holds_nearly_their_water():
    rng = np.random.default_rng(2)
    pixels = np.repeat(np.arange(4), 3000)
    heights = 20.0 * rng.random(pixels.size) ** np.array([1.0, 1.5, 2.0, 3.0])[pixels]
    profile = floodplain_profile(
        heights, pixels, np.full(pixels.size, PIXEL), 4, layers=10
    )
    river = RiverNetwork(
        xr.Dataset(
            {
                "downstream": ("catchment", [1, 2, 3, -1]),
                "area": ("catchment", [3000 * PIXEL] * 4, {"units": "m2"}),
                "floodplain_height": (
                    ("catchment", "layer"),
                    profile,
                    {"units": "m"},
                ),
            }
        )
    )
    depth = levels([1.0, 4.0, 9.0, 15.0])
    volume = flood_extent(river, depth)["flood_volume"]
    fine = {
        "labels": raster(pixels.reshape(40, 300)),
        "ground": raster(heights.reshape(40, 300), units="m"),
        "pixel_area": PIXEL,
    }
    plain = downscale_depth(depth, **fine)
    # Ten layers under a curved ground: a few per cent of the water.
    np.testing.assert_allclose(plain["fine_volume"], volume, rtol=0.06)
    assert float(abs(plain["fine_volume"] / volume - 1.0).max()) > 1e-3
    moved = downscale_depth(depth, volume=volume, **fine)
    np.testing.assert_allclose(moved["fine_volume"], volume, rtol=1e-9)
    assert float(abs(moved["level"] - depth).max()) < 0.4
