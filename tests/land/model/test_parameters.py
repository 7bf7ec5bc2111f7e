import dataclasses

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.units import parse_units
from tilth.land.model.land_classes import CLASSES, LEAF_AREA, land_class
from tilth.land.model.parameters import (
    DIMENSIONS,
    LandParameters,
    from_dataset,
    parameter_arrays,
    parameter_dataset,
    table,
)
from tilth.physics.soil_hydraulics import TEXTURES


def test_the_table_and_the_arrays_have_the_same_names_in_the_same_order():
    fields = [field.name for field in dataclasses.fields(LandParameters)]
    assert fields == [*table(), "c4"]


def test_every_row_says_what_it_is_and_where_its_number_comes_from():
    for name, row in table().items():
        assert row.meaning, name
        assert row.source, name
        assert row.lower < row.upper, name
        parse_units(row.units)
        if row.default is not None:
            assert np.all(np.asarray(row.default) >= row.lower), name
            assert np.all(np.asarray(row.default) <= row.upper), name


@pytest.mark.parametrize("name", CLASSES)
@pytest.mark.parametrize("texture", ["sand", "silt loam", "clay"])
def test_every_class_and_texture_lies_within_the_bounds(name, texture):
    site = parameter_dataset(name, texture)
    assert set(site) == {*table(), "c4"}
    assert site["leaf_area"].sizes == {"month": 12}


def test_the_crop_is_that_of_sib2_and_the_soil_that_of_cosby():
    site = parameter_dataset("crop", "silty clay loam")
    assert float(site["carboxylation"]) == 100.0
    assert float(site["height"]) == 1.0
    assert float(site["exponent"]) == 8.72
    assert float(site["head_saturated"]) == -0.617
    assert float(site["leaf_area"].max()) == 3.0
    np.testing.assert_array_equal(site["leaf_reflectance"], [0.105, 0.58])


def test_dry_conductivity_follows_johansen():
    """Sand of 1.6 Mg m-3: (0.135 x 1600 + 64.7) / (2700 - 0.947 x 1600) = 0.237."""
    porosity = 1.0 - 1600.0 / 2700.0
    _, table_porosity, _, _ = TEXTURES["sand"]
    bulk = 2700.0 * (1.0 - table_porosity)
    expected = (0.135 * bulk + 64.7) / (2700.0 - 0.947 * bulk)
    site = parameter_dataset("crop", "sand")
    np.testing.assert_allclose(site["dry_conductivity"], expected)
    bulk = 2700.0 * (1.0 - porosity)
    np.testing.assert_allclose(
        (0.135 * bulk + 64.7) / (2700.0 - 0.947 * bulk), 0.237, atol=1e-3
    )


def test_leaves_of_the_south_are_half_a_year_later():
    north = parameter_dataset("crop", "loam", latitude=40.0)["leaf_area"]
    south = parameter_dataset("crop", "loam", latitude=-40.0)["leaf_area"]
    np.testing.assert_array_equal(south, np.roll(north, 6))
    np.testing.assert_array_equal(north, LEAF_AREA["crop"])


def test_a_grid_becomes_one_axis_of_cells_behind_bands_and_months():
    classes = xr.DataArray(
        [["crop", "c4_grass"], ["tundra", "bare"]], dims=("lat", "lon")
    )
    grid = parameter_dataset(classes, xr.DataArray(["clay", "sand"], dims="lat"))
    arrays = from_dataset(grid, ("lat", "lon"))
    assert arrays.leaf_area.shape == (12, 4)
    assert arrays.soil_albedo.shape == (2, 4)
    assert arrays.snow_albedo_new.shape == (3, 4)
    assert arrays.slope.shape == (4,)
    np.testing.assert_array_equal(arrays.height, [1.0, 1.0, 0.6, 0.5])
    np.testing.assert_array_equal(arrays.exponent, [11.55, 11.55, 2.79, 2.79])
    np.testing.assert_array_equal(arrays.c4, [False, True, False, False])


def test_a_number_of_ones_own_takes_the_place_of_the_default():
    site = parameter_dataset("crop", "loam", root_depth=1.7, soil_albedo=[0.1, 0.2])
    assert float(site["root_depth"]) == 1.7
    np.testing.assert_array_equal(site["soil_albedo"], [0.1, 0.2])


def test_a_number_out_of_bounds_is_refused_with_its_bounds_and_units():
    with pytest.raises(InputError, match=r"root_depth = 170 m .* 0.1 to 5"):
        parameter_dataset("crop", "loam", root_depth=170.0)


def test_unknown_names_are_refused_with_those_there_are():
    with pytest.raises(InputError, match=r"no land class 'corn'.*crop"):
        parameter_dataset("corn", "loam")
    with pytest.raises(InputError, match=r"no soil texture mud.*loam"):
        parameter_dataset("crop", "mud")
    with pytest.raises(InputError, match=r"no parameter rootdepth.*root_depth"):
        parameter_dataset("crop", "loam", rootdepth=1.0)
    with pytest.raises(InputError, match="no land class"):
        land_class("9")


def test_parameters_that_lack_one_are_refused():
    site = parameter_dataset("crop", "loam").drop_vars("slope")
    with pytest.raises(InputError, match=r"lack slope.*parameter_dataset"):
        parameter_arrays(site)


def test_bands_need_their_dimension():
    with pytest.raises(InputError, match="soil_albedo needs the dimension band"):
        parameter_dataset("crop", "loam", soil_albedo=0.2)
    assert DIMENSIONS["band"] == 2


def test_the_weather_is_ten_metres_above_the_canopy_unless_told():
    classes = xr.DataArray(["crop", "needleleaf_evergreen"], dims="cell")
    numbers = parameter_dataset(classes, "loam")
    np.testing.assert_allclose(numbers["reference_height"], numbers["height"] + 10.0)


def test_weather_inside_the_canopy_is_refused():
    with pytest.raises(InputError, match="inside a canopy of 17 m"):
        parameter_dataset("needleleaf_evergreen", "loam", reference_height=10.0)
