"""Channels from mean discharge: the laws at values that can be worked out by hand."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network.channels import (
    channel_depth,
    channel_width,
    runoff_volume,
)


def test_small_rivers_have_the_least_width_and_depth():
    # 2.5 Q**0.6 = 5 at Q = 2**(5/3), 0.1 Q**0.5 = 1 at Q = 100.
    assert channel_width(np.array([0.0, 2 ** (5 / 3) - 1e-9])).tolist() == [5.0, 5.0]
    assert channel_width(2 ** (5 / 3) * 1.01) > 5.0
    assert channel_depth(np.array([0.0, 100.0])).tolist() == [1.0, 1.0]
    assert channel_depth(101.0) > 1.0


def test_the_width_grows_by_four_and_the_depth_by_three_per_decade():
    q = np.array([1e3, 1e4, 1e5])
    assert channel_width(q)[1:] / channel_width(q)[:-1] == pytest.approx(10**0.6)
    assert channel_depth(q)[1:] / channel_depth(q)[:-1] == pytest.approx(10**0.5)
    assert channel_width(1e5) == pytest.approx(2500.0)  # 2.5 * 10**3
    assert channel_depth(1e4) == pytest.approx(10.0)


def test_coefficients_can_be_those_of_another_region():
    # Yamazaki et al. (2011): W = max(10, 0.40 Q**0.75), H = max(2, 0.14 Q**0.40).
    wide = channel_width(1e4, coefficient=0.4, exponent=0.75, least=10.0)
    assert wide == pytest.approx(400.0)
    deep = channel_depth(1e5, coefficient=0.14, exponent=0.4, least=2.0)
    assert deep == pytest.approx(14.0)


def test_gaps_stay_gaps_and_names_stay():
    q = xr.DataArray([1e4, np.nan], dims="catchment", name="discharge")
    depth = channel_depth(q)
    assert depth.dims == ("catchment",)
    assert depth[0] == pytest.approx(10.0)
    assert np.isnan(depth[1])


def test_a_metre_a_year_from_a_million_km2_is_thirty_two_thousand_m3_per_second():
    assert runoff_volume(1e12, 1000.0) == pytest.approx(1e12 / 31_556_952, rel=1e-14)


def test_what_no_river_has_is_refused():
    with pytest.raises(InputError, match="1 of 2 values are; give the mean over years"):
        channel_width(np.array([3.0, -1.0]))
    with pytest.raises(InputError, match="positive coefficient"):
        channel_depth(3.0, coefficient=0.0)
    with pytest.raises(InputError, match="area must not be negative"):
        runoff_volume(np.array([-1.0]), 100.0)
    with pytest.raises(InputError, match=r"runoff .* 1 of 1"):
        runoff_volume(1.0, np.nan)


@pytest.mark.realdata
def test_a_map_of_cama_flood_has_channels_of_the_same_laws(dataset):
    # Its discharge is not in the map: width and depth are brought to the same one.
    with xr.open_dataset(dataset("cama-mozambique") / "map_moz_06min.nc") as found:
        width, depth = found["rivwth"].values, found["rivhgt"].values
    assert np.nanmin(width[width > 0]) == 5.0
    assert np.nanmin(depth[depth > 0]) == 1.0
    free = (width > 5.0) & (depth > 1.0) & (width < 1e5)
    discharge = (depth[free].astype(float) / 0.1) ** 2
    assert free.sum() == 17
    assert channel_depth(discharge) == pytest.approx(depth[free], rel=1e-6)
    assert channel_width(discharge) == pytest.approx(width[free], rel=1e-6)
