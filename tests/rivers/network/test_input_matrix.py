"""Runoff from a grid reaches catchments by area, and only as much as there is."""

import numpy as np
import pytest
import xarray as xr
from scipy import sparse

from tilth.core.errors import InputError, UnitsError
from tilth.rivers.network import MOUTH, RiverNetwork
from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_runs import read_cama_output
from tilth.rivers.network.input_matrix import (
    InputMatrix,
    read_input_matrix,
    runoff_to_catchments,
)

AREAS = [[1e6, 2e6, 0, 0, 0, 0], [0, 0, 0, 5e6, 0, 4e6]]


@pytest.fixture
def matrix():
    """Two catchments on a grid of two rows and three columns."""
    return InputMatrix(
        sparse.csr_array(AREAS), 2, 3, np.array([7, 9]), np.array([0.5, -0.5])
    )


def grid(values, units="m s-1", lat=(0.5, -0.5)):
    return xr.DataArray(
        np.asarray(values, float),
        {"lat": list(lat)},
        ("time", "lat", "lon"),
        "runoff",
        {"units": units},
    )


RATES = [[[1e-6, 2e-6, 3e-6], [4e-6, 5e-6, 6e-6]]]


def test_runoff_is_the_sum_of_area_times_depth(matrix):
    flow = runoff_to_catchments(matrix, grid(RATES))
    np.testing.assert_allclose(flow, [[5.0, 44.0]], rtol=1e-14)
    assert flow.attrs["units"] == "m3 s-1"
    assert flow["catchment"].values.tolist() == [7, 9]
    assert matrix.area.tolist() == [3e6, 9e6]


@pytest.mark.parametrize(
    ("units", "factor"),
    [("mm day-1", 8.64e7), ("kg m-2 s-1", 1e3), ("m day-1", 86400.0)],
)
def test_units_of_depth_and_of_mass_give_the_same_flow(matrix, units, factor):
    flow = runoff_to_catchments(matrix, grid(np.array(RATES) * factor, units))
    np.testing.assert_allclose(flow, [[5.0, 44.0]], rtol=1e-13)
    bare = grid(np.array(RATES) * factor)
    bare.attrs = {}
    np.testing.assert_allclose(
        runoff_to_catchments(matrix, bare, units), flow, rtol=1e-14
    )
    with pytest.raises(UnitsError, match="has no 'units' attribute"):
        runoff_to_catchments(matrix, bare)


def test_amounts_without_time_and_temperatures_are_refused(matrix):
    for units in ("mm", "K", "kg m-2"):
        with pytest.raises(UnitsError, match="is no runoff: that is a depth"):
            runoff_to_catchments(matrix, grid(RATES, units))


def test_negative_sums_stay_unless_zero_is_asked_for(matrix):
    rates = grid([[[-4e-6, 1e-6, 0], [4e-6, 0, 6e-6]]])
    np.testing.assert_allclose(runoff_to_catchments(matrix, rates), [[-2.0, 44.0]])
    clipped = runoff_to_catchments(matrix, rates, negative="zero")
    np.testing.assert_allclose(clipped, [[0.0, 44.0]])
    with pytest.raises(InputError, match="'keep' or 'zero'"):
        runoff_to_catchments(matrix, rates, negative="clip")


def test_a_missing_cell_spoils_only_what_it_feeds(matrix):
    rates = grid([[[1e-6, np.nan, np.nan], [4e-6, np.nan, 6e-6]]])
    flow = runoff_to_catchments(matrix, rates).values
    assert np.isnan(flow[0, 0])
    assert flow[0, 1] == pytest.approx(44.0)
    filled = runoff_to_catchments(matrix, rates, missing=0.0)
    np.testing.assert_allclose(filled, [[1.0, 44.0]])


def test_other_grids_and_rows_the_other_way_round_are_refused(matrix):
    with pytest.raises(InputError, match="2 rows and 2 columns, the input matrix"):
        runoff_to_catchments(matrix, grid(RATES).isel(lon=slice(0, 2)))
    with pytest.raises(InputError, match="stand the other way round"):
        runoff_to_catchments(matrix, grid(RATES, lat=(-0.5, 0.5)))
    with pytest.raises(InputError, match="needs a dimension lat"):
        runoff_to_catchments(matrix, grid(RATES).rename(lat="north"))
    with pytest.raises(InputError, match="do not join 2 catchments with 3 x 3"):
        InputMatrix(sparse.csr_array(AREAS), 3, 3, np.array([7, 9]))


def test_lazy_runoff_stays_lazy_and_gives_the_same(matrix):
    rates = grid(np.concatenate([RATES, RATES, RATES]))
    lazy = runoff_to_catchments(matrix, rates.chunk({"time": 1, "lon": 2}))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy.compute(), runoff_to_catchments(matrix, rates))


def write_matrix(folder, x, y, area):
    blocks = [np.asarray(b).astype("<i4") for b in (x, y)]
    blocks.append(np.asarray(area).astype("<f4").view("<i4"))
    np.stack(blocks).tofile(folder / "inpmat.bin")
    (folder / "diminfo.txt").write_text("2\n1\n10\n3\n2\n2\ninpmat.bin\n  10.0  !! w\n")
    return folder / "inpmat.bin", folder / "diminfo.txt"


@pytest.fixture
def network():
    """One row of two cells; the second drains into the first."""
    return RiverNetwork(
        xr.Dataset(
            {
                "downstream": ("catchment", [MOUTH, 0]),
                "row": ("catchment", [0, 0]),
                "column": ("catchment", [0, 1]),
            },
            {"catchment": [0, 1]},
            {"grid_rows": 1, "grid_columns": 2},
        )
    )


X, Y = [[[1, 1]], [[2, 3]]], [[[1, 2]], [[1, 2]]]
AREA = [[[1e6, 5e6]], [[2e6, 4e6]]]


def test_an_input_matrix_file_gives_areas_by_cell(tmp_path, network):
    found = read_input_matrix(*write_matrix(tmp_path, X, Y, AREA), network)
    np.testing.assert_array_equal(found.areas.toarray(), AREAS)
    assert (found.rows, found.columns) == (2, 3)
    turned = read_input_matrix(
        tmp_path / "inpmat.bin", tmp_path / "diminfo.txt", network.subset([1])
    )
    np.testing.assert_array_equal(turned.areas.toarray(), AREAS[1:])


def test_a_matrix_in_the_other_byte_order_is_the_same(tmp_path, network):
    path, text = write_matrix(tmp_path, X, Y, AREA)
    np.fromfile(path, "<i4").astype(">i4").tofile(path)
    found = read_input_matrix(path, text, network, byte_order="big")
    np.testing.assert_array_equal(found.areas.toarray(), AREAS)


def test_unused_places_in_a_matrix_feed_nothing(tmp_path, network):
    files = write_matrix(tmp_path, [[[1, 0]], [[2, 0]]], Y, AREA)
    found = read_input_matrix(*files, network)
    assert found.area.tolist() == [3e6, 0.0]


def test_an_input_matrix_of_another_map_grid_or_byte_order_is_told(tmp_path, network):
    files = write_matrix(tmp_path, [[[1, 1]], [[2, 4]]], Y, AREA)
    with pytest.raises(InputError, match="outside of an input grid of 3 columns"):
        read_input_matrix(*files, network)
    with pytest.raises(InputError, match="outside of an input grid"):
        read_input_matrix(*files, network, byte_order="big")
    files = write_matrix(tmp_path, X, Y, [[[1e6, -5e6]], [[2e6, 4e6]]])
    with pytest.raises(InputError, match="areas are negative"):
        read_input_matrix(*files, network)
    wide = RiverNetwork(network.data.assign_attrs(grid_columns=3))
    with pytest.raises(InputError, match="map of 1 rows and 2 columns"):
        read_input_matrix(*files, wide)
    files[0].write_bytes(files[0].read_bytes()[:-4])
    with pytest.raises(InputError, match="has 44 bytes"):
        read_input_matrix(*files, network)
    files[1].write_text("2\n1\n10\n")
    with pytest.raises(InputError, match="six whole numbers"):
        read_input_matrix(*files, network)


@pytest.mark.realdata
def test_era5_runoff_of_mozambique_is_what_cama_flood_was_driven_with(dataset):
    folder = dataset("cama-mozambique")
    network = read_cama_map(folder / "map_moz_06min.nc")
    matrix = read_input_matrix(
        folder / "raw/inpmat_ERA5_ro_moz.bin",
        folder / "raw/diminfo_ERA5_ro_moz.txt",
        network,
    )
    path = folder / "era5_ro_20190101-20190501_daily_moz.nc"
    with xr.open_dataset(path, engine="h5netcdf") as era5:
        rates = era5["ro"].isel(time=slice(120)).load()
    ours = runoff_to_catchments(matrix, rates, "m day-1", negative="zero")
    theirs = read_cama_output(folder / "cama_base_daily2019.nc", network, ["runoff"])[
        "runoff"
    ]
    assert not theirs.isnull().any()
    np.testing.assert_array_equal(ours["time"], theirs["time"])
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    # Areas of a catchment do not add up to its own.
    ratio = matrix.area / network.data["area"].values
    assert ratio.min() == pytest.approx(0.34, abs=0.005)
    assert ratio.max() == pytest.approx(1.49, abs=0.005)
