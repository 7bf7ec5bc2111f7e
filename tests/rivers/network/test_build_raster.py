"""Rasters of terrain from files and memory: read as they are, refused with a reason."""

import numpy as np
import pytest
import rasterio
import xarray as xr
from rasterio.transform import Affine

from tilth.core.errors import InputError
from tilth.core.regrid import EARTH_RADIUS
from tilth.rivers.network.build import build_network
from tilth.rivers.network.build_raster import (
    direction_raster,
    elevation_raster,
    read_raster,
)

HILL = np.array([[5.0, 4.0, 3.0], [6.0, 5.0, 2.0]])


def write_tiff(path, values, crs="EPSG:4326", transform=None, nodata=None, bands=1):
    transform = transform or Affine(0.5, 0.0, 10.0, 0.0, -0.25, 50.0)
    with rasterio.open(
        path, "w", driver="GTiff", height=values.shape[0], width=values.shape[1],
        count=bands, dtype=values.dtype, crs=crs, transform=transform, nodata=nodata,
    ) as file:  # fmt: skip
        for band in range(bands):
            file.write(values, band + 1)
    return path


def metres(values, dy=-100.0, dx=100.0, units="m"):
    rows, columns = np.shape(values)
    coords = {"y": np.arange(rows) * dy, "x": np.arange(columns) * dx}
    made = xr.DataArray(values, coords, ("y", "x"))
    for name in ("y", "x"):
        made[name].attrs["units"] = units
    return made


def test_a_geotiff_in_degrees_has_its_cells_where_they_are(tmp_path):
    path = write_tiff(tmp_path / "hill.tif", HILL.astype("float32"), nodata=6.0)
    raster = read_raster(path)
    assert raster.dims == ("lat", "lon")
    assert raster["lat"].values.tolist() == [49.875, 49.625]
    assert raster["lon"].values.tolist() == [10.25, 10.75, 11.25]
    assert np.isnan(raster.values[1, 0])
    assert raster.values[0].tolist() == [5.0, 4.0, 3.0]
    terrain = elevation_raster(raster)
    assert terrain.geographic
    assert terrain.valid.sum() == 5
    assert terrain.height == pytest.approx(EARTH_RADIUS * np.radians(0.25))
    assert terrain.width == pytest.approx(
        EARTH_RADIUS * np.radians(0.5) * np.cos(np.radians([49.875, 49.625]))
    )


def test_zero_can_stand_for_no_data(tmp_path):
    path = write_tiff(tmp_path / "a.tif", HILL - 2.0, nodata=0.0)
    assert np.isnan(read_raster(path).values[1, 2])


def test_a_projected_geotiff_in_feet_is_brought_to_metres(tmp_path):
    # New York, US survey feet: 1200 / 3937 m.
    path = write_tiff(
        tmp_path / "feet.tif", HILL, crs="EPSG:2263",
        transform=Affine(10.0, 0.0, 1000.0, 0.0, -10.0, 500.0),
    )  # fmt: skip
    raster = read_raster(path)
    assert raster.dims == ("y", "x")
    assert raster["x"].values == pytest.approx(np.array([1005, 1015, 1025]) * 0.3048006)
    assert elevation_raster(raster).area == pytest.approx(9.2903412, rel=1e-6)


def test_codes_of_a_geotiff_stay_whole_numbers_with_their_code_of_no_data(tmp_path):
    codes = np.array([[1, 1, 247], [64, 64, 247]], np.uint8)
    raster = read_raster(write_tiff(tmp_path / "codes.tif", codes, nodata=247))
    assert raster.dtype == np.uint8
    network, labels = build_network(flow_direction=raster, factor=1)
    assert network.size == 4
    assert labels.values.tolist() == [[1, 2, 0], [3, 4, 0]]


def test_a_netcdf_file_gives_its_raster_by_name(tmp_path):
    path = tmp_path / "hill.nc"
    hill = metres(HILL)
    xr.Dataset({"hill": hill}).to_netcdf(path, engine="h5netcdf")
    assert read_raster(path).equals(hill)
    both = tmp_path / "both.nc"
    xr.Dataset({"hill": hill, "slope": hill * 0}).to_netcdf(both, engine="h5netcdf")
    assert read_raster(both, "slope").equals(hill * 0)
    with pytest.raises(InputError, match="rasters hill, slope: say which"):
        read_raster(both)
    with pytest.raises(InputError, match="not 'height'"):
        read_raster(both, "height")


def test_files_that_are_no_rasters_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no"):
        read_raster(tmp_path / "none.tif")
    (tmp_path / "text.txt").write_text("5 4 3")
    with pytest.raises(InputError, match=r"GeoTIFF .* or NetCDF"):
        read_raster(tmp_path / "text.txt")
    for name, said in (("bad.tif", "as a GeoTIFF"), ("bad.nc", "as NetCDF")):
        (tmp_path / name).write_bytes(b"nothing of the kind" * 9)
        with pytest.raises(InputError, match=said):
            read_raster(tmp_path / name)
    two = write_tiff(tmp_path / "two.tif", HILL, bands=2)
    with pytest.raises(InputError, match="has 2 bands"):
        read_raster(two)
    turned = Affine(0.5, 0.1, 10.0, 0.1, -0.5, 50.0)
    with pytest.raises(InputError, match="is rotated"):
        read_raster(write_tiff(tmp_path / "turned.tif", HILL, transform=turned))
    nowhere = write_tiff(tmp_path / "nowhere.tif", HILL, crs=None)
    with pytest.raises(InputError, match="no coordinate reference system"):
        read_raster(nowhere)


def test_elevations_in_other_units_are_converted_and_codes_of_no_data_left_out():
    feet = metres(HILL * 1000).assign_attrs(units="ft")
    assert elevation_raster(feet).values == pytest.approx(HILL * 304.8)
    whole = metres((HILL * 10).astype("int16")).assign_attrs(nodata=60)
    raster = elevation_raster(whole)
    assert raster.valid.sum() == 5
    assert np.isnan(raster.values[1, 0])


def test_a_raster_comes_back_in_the_order_it_was_given():
    given = metres(HILL, dy=100.0, dx=-100.0)
    raster = elevation_raster(given)
    assert raster.values.tolist() == HILL[::-1, ::-1].tolist()
    assert raster.located(raster.values, "hill").values.tolist() == HILL.tolist()


@pytest.mark.parametrize(
    ("raster", "said"),
    [
        (HILL, "must be a DataArray, got ndarray"),
        (metres(HILL)[0], "two dimensions"),
        (metres(HILL * np.nan), "no data anywhere"),
        (metres(HILL > 3), "must hold numbers, not bool"),
        (metres(HILL - 32768.0), "values like -3276. m, which no ground has"),
        (metres(HILL, dx=50.0), "must be square, they are 50 m wide and 100 m high"),
        (metres(HILL, units="degrees"), "must be in m, its units are 'degrees'"),
        (metres(HILL).drop_vars("x"), "no coordinate x"),
        (metres(HILL).assign_coords(x=("x", [0.0, 1, 5], {"units": "m"})), "even"),
        (metres(HILL).rename(y="a", x="b"), "one coordinate of latitude"),
    ],
)
def test_what_is_no_raster_of_elevations_is_refused(raster, said):
    with pytest.raises(InputError, match=said):
        elevation_raster(raster)


def codes(*rows, dtype=np.uint8, **attrs):
    return metres(np.array(rows, dtype)).assign_attrs(attrs)


def test_encodings_are_recognised_and_translated():
    esri = direction_raster(codes([1, 128, 247], [255, 0, 64]))
    assert esri.values.tolist() == [[1, 128, 247], [255, 0, 64]]
    ldd = direction_raster(codes([6, 9, 255], [5, 1, 7]))
    assert ldd.values.tolist() == [[1, 128, 247], [0, 8, 32]]
    floats = metres(np.array([[6.0, 9.0, np.nan], [5.0, 1.0, 7.0]]))
    assert np.array_equal(direction_raster(floats).values, ldd.values)
    either = codes([1, 2, 4], [8, 1, 2])
    assert direction_raster(either, "esri").values.tolist() == [[1, 2, 4], [8, 1, 2]]
    assert direction_raster(either, "ldd").values.tolist() == [[8, 4, 16], [64, 8, 4]]


@pytest.mark.parametrize(
    ("raster", "encoding", "said"),
    [
        (codes([1, 2, 4], [8, 1, 2]), None, "both ESRI and LDD have: say which"),
        (codes([1, 2, 3], [8, 64, 2]), None, "1, 2, 3, 8, 64, which neither"),
        (codes([1, 2, 3], [8, 64, 2]), "esri", "codes 3, which esri does not have"),
        (codes([-1, 2, 3], [8, 4, 2], dtype=np.int16), "ldd", "codes -1, which ldd"),
        (codes([1.5, 2, 3], [8, 4, 2], dtype=float), "ldd", "whole codes, one is 1.5"),
        (codes([1, 2, 4], [8, 4, 2]), "d8", "encoding is one of esri, ldd"),
        (codes([255, 255, 255], [255, 255, 255]), "ldd", "no data anywhere"),
        (codes([9, 9, 9], [9, 9, 9], nodata=9), None, "no data anywhere"),
    ],
)
def test_codes_that_are_no_directions_are_refused(raster, encoding, said):
    with pytest.raises(InputError, match=said):
        direction_raster(raster, encoding)
