"""Which cells a target learns from."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.patterns.predictors import (
    describe_fields,
    feature_table,
    windows_of,
)
from tilth.forcing.patterns.transforms import find_transform


def field(lat, lon):
    values = np.arange(2 * lat.size * lon.size, dtype=float)
    return xr.DataArray(
        values.reshape(2, lat.size, lon.size),
        {"time": [0, 1], "lat": lat, "lon": lon},
        ("time", "lat", "lon"),
        name="pr",
        attrs={"units": "mm day-1"},
    )


def window(array, half, lat, lon):
    fields = describe_fields(array, REGION)
    number, columns = windows_of(
        fields, array, half, np.atleast_1d(lat), np.atleast_1d(lon), np.size(lat)
    )
    chosen = [columns[n] for n in number]
    rows, places = np.unravel_index(chosen, (array.lat.size, array.lon.size))
    return array.lat.values[rows], array.lon.values[places]


REGION = field(np.linspace(50.0, 30.0, 5), np.linspace(-10.0, 10.0, 5))


def test_a_window_lies_around_the_nearest_cell():
    lat, lon = window(REGION, 1, 41.0, 4.0)
    assert set(lat[0]) == {45.0, 40.0, 35.0}
    assert set(lon[0]) == {0.0, 5.0, 10.0}


def test_a_window_is_moved_inwards_at_the_border():
    lat, lon = window(REGION, 1, [29.0, 51.0], [-12.0, 12.0])
    assert [set(lat[0]), set(lon[0])] == [{40.0, 35.0, 30.0}, {-10.0, -5.0, 0.0}]
    assert [set(lat[1]), set(lon[1])] == [{50.0, 45.0, 40.0}, {0.0, 5.0, 10.0}]


def test_a_window_goes_around_the_globe_in_any_convention():
    globe = field(np.linspace(-80.0, 80.0, 9), np.arange(0.0, 360.0, 20.0))
    for longitude in (-1.0, 359.0):
        _, lon = window(globe, 1, 0.0, longitude)
        assert set(lon[0]) == {340.0, 0.0, 20.0}


def test_a_window_too_large_or_without_places_is_refused():
    fields = describe_fields(REGION, REGION)
    with pytest.raises(InputError, match="a window of 7 by 7 cells does not fit"):
        window(REGION, 3, 40.0, 0.0)
    with pytest.raises(InputError, match="where the targets are"):
        windows_of(fields, REGION, 1, None, None, 3)
    with pytest.raises(InputError, match="got -1"):
        window(REGION, -1, 40.0, 0.0)


def test_targets_of_one_cell_share_their_window():
    fields = describe_fields(REGION, REGION)
    lat, lon = np.array([40.1, 39.9, 45.0]), np.array([0.1, -0.2, 0.0])
    number, columns = windows_of(fields, REGION, 0, lat, lon, 3)
    assert number[0] == number[1] != number[2]
    assert len(columns) == 2


def test_rain_is_learnt_as_its_cube_root_and_tiny_negatives_are_none():
    rain = REGION.copy(data=np.full(REGION.shape, 27.0))
    rain[0, 0, 0] = -1e-5
    pressure = REGION.rename("psl").assign_attrs(units="Pa")
    both = {"pr": rain, "psl": pressure}
    table = feature_table(
        both, describe_fields(both, REGION), find_transform("cube_root")
    )
    assert table.shape == (2, 50)
    np.testing.assert_allclose(table[0, :3], [0.0, 3.0, 3.0])
    np.testing.assert_array_equal(table[:, 25:], pressure.values.reshape(2, 25))


def test_fields_of_other_times_are_refused():
    later = REGION.rename("psl").assign_attrs(units="Pa").assign_coords(time=[1, 2])
    both = {"pr": REGION, "psl": later}
    with pytest.raises(InputError, match="do not share their times"):
        feature_table(both, describe_fields(both, REGION), find_transform("none"))
    with pytest.raises(InputError, match="needs time and at least one dimension"):
        describe_fields(REGION[0], REGION)
    with pytest.raises(InputError, match="there is no predictor"):
        describe_fields({}, REGION)


def test_a_wind_is_not_taken_for_rain_although_its_units_convert():
    wind = REGION.rename("wind").assign_attrs(units="m s-1")
    flux = REGION.rename("precipitation").assign_attrs(units="kg m-2 s-1")
    unknown = REGION.rename("rain").assign_attrs(units="mm day-1")
    found = describe_fields({"u": wind, "pr": flux, "rain": unknown}, REGION)
    assert [field.same_quantity for field in found] == [False, True, True]
    assert [field.units for field in found] == ["m s-1", "mm day-1", "mm day-1"]
