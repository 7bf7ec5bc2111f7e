"""CaMa-Flood's bifurcations, sea level, output and restart on a network."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network import MOUTH, RiverNetwork
from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_paths import read_bifurcations
from tilth.rivers.network.cama_runs import read_cama_output, read_cama_restart
from tilth.rivers.network.cama_sea_level import (
    read_sea_level,
    read_sea_level_stations,
)
from tilth.rivers.routing.state import state_arrays

PATHS = """\
  2  3  npath_new, nlev_new, (ix,iy), (jx,jy), length, elevtn, depth, (width1, ...)
  1  1  2  2  1500.0  55.6  -9999.00   0.0   64.0  128.0   -0.25  10.25
  2  1  1  1  1600.0  40.0      1.50  32.0    0.0   16.0   -0.25  10.75
"""


@pytest.fixture
def network():
    """Two by two cells, 0.5 degrees wide; cell 2 has no catchment."""
    variables = {
        "area": ("m2", [1e9, 2e9, 3e9]),
        "river_length": ("m", [1e4, 2e4, 4e4]),
        "river_width": ("m", [10.0, 20.0, 40.0]),
        "river_depth": ("m", [1.0, 2.0, 4.0]),
    }
    data = xr.Dataset(
        {
            "downstream": ("catchment", [1, 2, MOUTH]),
            "row": ("catchment", [0, 0, 1]),
            "column": ("catchment", [0, 1, 1]),
            **{n: ("catchment", v, {"units": u}) for n, (u, v) in variables.items()},
        },
        {
            "catchment": [0, 1, 3],
            "lat": ("catchment", [-0.25, -0.25, -0.75]),
            "lon": ("catchment", [10.25, 10.75, 10.75]),
        },
        {"grid_rows": 2, "grid_columns": 2},
    )
    return RiverNetwork(data)


def on_grid(values):
    return xr.Variable(("time", "lat", "lon"), np.asarray(values, float))


def test_the_bed_of_a_path_is_the_channels_at_level_one_then_ground_and_up(
    tmp_path, network
):
    (tmp_path / "bifprm.txt").write_text(PATHS)
    data = read_bifurcations(tmp_path / "bifprm.txt", network).data
    assert data["path_from"].values.tolist() == [0, 1]
    assert data["path_to"].values.tolist() == [2, 0]
    assert data["path_length"].values.tolist() == [1500.0, 1600.0]
    nan = np.nan
    np.testing.assert_array_equal(
        data["path_elevation"], [[nan, 55.6, 56.6], [38.5, nan, 41.0]]
    )
    np.testing.assert_array_equal(data["path_width"], [[0, 64, 128], [32, 0, 16]])
    assert data.attrs["paths_left_out"] == 0


def test_a_path_out_of_the_network_is_left_out_and_counted(tmp_path, network):
    (tmp_path / "bifprm.txt").write_text(PATHS)
    part = read_bifurcations(tmp_path / "bifprm.txt", network.subset([0, 1]))
    assert part.data["path_from"].values.tolist() == [1]
    assert part.data.attrs["paths_left_out"] == 1
    with pytest.raises(InputError, match="none of the 2 paths"):
        read_bifurcations(tmp_path / "bifprm.txt", network.subset([2]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PATHS[: PATHS.rindex("  2  1")], "announces 2 paths and holds 1"),
        (PATHS.replace("1500.0 ", "a "), "line 2 of .* needs 10 numbers"),
        (PATHS.replace("   -0.25  10.75", ""), "same number of columns"),
        (PATHS.replace("-0.25  10.75", "-0.75  10.75"), "places path 2 at lat -0.75"),
        ("no table", "does not begin with"),
    ],
)
def test_a_table_of_paths_that_is_damaged_or_of_another_map_is_told(
    tmp_path, network, text, message
):
    (tmp_path / "bifprm.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_bifurcations(tmp_path / "bifprm.txt", network)


def sea_file(path, level, **attrs):
    times = pd.date_range("2019-01-01", periods=len(level), freq="10min")
    xr.Dataset(
        {"waterlevel": (("time", "stations"), level, attrs)}, {"time": times}
    ).to_netcdf(path, engine="h5netcdf")
    return path


def test_a_mouth_gets_the_level_of_its_station_and_others_that_of_the_bank(
    tmp_path, network
):
    table = tmp_path / "stations.txt"
    table.write_text("1\n 2 2 3\n")
    stations = read_sea_level_stations(table, network)
    assert stations["catchment"].values.tolist() == [3]
    assert stations.values.tolist() == [2]
    path = sea_file(tmp_path / "sea.nc", [[1.0, 2.0, 3.5], [1.0, 2.0, -0.5]])
    level = read_sea_level(path, stations, network)
    assert level.dims == ("time", "catchment")
    assert level.values.tolist() == [[3.5], [-0.5]]
    centimetres = sea_file(tmp_path / "cm.nc", [[0.0, 0.0, 350.0]], units="cm")
    assert read_sea_level(centimetres, stations, network).values.tolist() == [[3.5]]
    two = RiverNetwork(network.data.assign(downstream=("catchment", [1, -1, -1])))
    level = read_sea_level(path, stations, two, elsewhere=0.25)
    assert level["catchment"].values.tolist() == [1, 3]
    assert level.values.tolist() == [[0.25, 3.5], [0.25, -0.5]]


def test_stations_of_cells_that_are_no_mouth_and_gaps_in_the_level_are_told(
    tmp_path, network
):
    table = tmp_path / "stations.txt"
    for text, message in (
        ("1\n 1 1 1\n", "where the network has no river mouth"),
        ("1\n 1 2 1\n", "where the network has no river mouth"),  # no catchment there
        ("2\n 2 2 1\n 2 2 2\n", "more than once"),
        ("2\n 2 2 1\n", "is no table of stations"),
        ("1\n 2 2 0\n", "stations count from 1"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=message):
            read_sea_level_stations(table, network)
    table.write_text("1\n 2 2 3\n")
    stations = read_sea_level_stations(table, network)
    path = sea_file(tmp_path / "gap.nc", [[1.0, 2.0, 3.0], [1.0, 2.0, np.nan]])
    with pytest.raises(InputError, match=r"1 gaps .* station 3 at 2019-01-01T00:10"):
        read_sea_level(path, stations, network)
    with pytest.raises(InputError, match="needs the variable height along time"):
        read_sea_level(path, stations, network, variable="height")
    few = sea_file(tmp_path / "few.nc", [[1.0, 2.0]])
    with pytest.raises(InputError, match=r"has 2 stations; .* number 3"):
        read_sea_level(few, stations, network)


def output_file(path, days):
    times = pd.date_range("2019-01-02", periods=days, freq="D")
    number = np.arange(4 * days).reshape(days, 2, 2)
    xr.Dataset(
        {"outflw": on_grid(number), "storge": on_grid(number * 1e6)},
        {"time": times},
    ).to_netcdf(path, engine="h5netcdf")
    return path


def test_labels_at_the_end_become_starts_and_cells_catchments(tmp_path, network):
    path = output_file(tmp_path / "out.nc", 3)
    output = read_cama_output(path, network)
    assert str(output["time"].values[0])[:10] == "2019-01-01"
    assert output["discharge"].values[1].tolist() == [4.0, 5.0, 7.0]
    assert output["discharge"].attrs["units"] == "m3 s-1"
    assert output["discharge"].attrs["cell_methods"] == "time: mean"
    assert output["storage"].attrs["cell_methods"] == "time: point"
    few = read_cama_output(path, network.subset([2, 0]), ["storage"])
    assert set(few.data_vars) == {"storage"}
    assert few["storage"].values[1].tolist() == [7e6, 4e6]
    with pytest.raises(InputError, match="has no flood_depth; it has discharge"):
        read_cama_output(path, network, ["flood_depth"])
    single = output_file(tmp_path / "one.nc", 1)
    with pytest.raises(InputError, match="how long its interval is"):
        read_cama_output(single, network)
    output = read_cama_output(single, network, interval="1D")
    assert str(output["time"].values[0])[:10] == "2019-01-01"


def test_output_of_another_map_is_refused(tmp_path, network):
    other = RiverNetwork(network.data.assign_attrs(grid_columns=5))
    with pytest.raises(InputError, match="2 x 2 cells, the map of the network 2 x 5"):
        read_cama_output(output_file(tmp_path / "out.nc", 3), other)


def restart_file(path, **changes):
    values = {
        "rivsto": [[1e5, 2e5], [np.nan, 3e5]],
        "fldsto": [[0.0, 1e4], [np.nan, 8e6]],
        "rivout_pre": [[5.0, 6.0], [np.nan, -7.0]],
        "fldout_pre": [[0.0, 0.5], [np.nan, -0.25]],
        "rivdph_pre": [[0.5, 2.5], [np.nan, 5.0]],
        "fldsto_pre": [[0.0, 6e5], [np.nan, 8e6]],
    } | changes
    xr.Dataset({n: on_grid([v]) for n, v in values.items() if v is not None}).to_netcdf(
        path, engine="h5netcdf"
    )
    return path


def test_a_restart_gives_storage_flows_and_the_floodplains_cross_section(
    tmp_path, network
):
    state = read_cama_restart(restart_file(tmp_path / "restart.nc"), network)
    assert state["storage"].values.tolist() == [1e5, 2.1e5, 8.3e6]
    assert state["river_flow"].values.tolist() == [5.0, 6.0, -7.0]
    assert state["floodplain_flow"].values.tolist() == [0.0, 0.5, -0.25]
    assert state["river_depth"].values.tolist() == [0.5, 2.5, 5.0]
    # 6e5 m3 over 20 km, less the 0.5 m over the channel of 20 m: 30 - 10 m2.
    assert state["flow_area"].values.tolist() == [0.0, 20.0, 160.0]
    assert state["groundwater"].values.tolist() == [0.0, 0.0, 0.0]
    begun = state_arrays(state, network)  # what the router takes
    assert begun.flow_area.tolist() == [0.0, 20.0, 160.0]
    assert begun.path_flow.size == 0


def test_a_restart_that_lacks_something_or_is_of_another_map_is_refused(
    tmp_path, network
):
    path = restart_file(tmp_path / "a.nc", rivdph_pre=None)
    with pytest.raises(InputError, match="lacks rivdph_pre"):
        read_cama_restart(path, network)
    path = restart_file(tmp_path / "b.nc", rivsto=[[1.0, np.nan], [1.0, 1.0]])
    with pytest.raises(InputError, match="no rivsto at 1 catchments"):
        read_cama_restart(path, network)


@pytest.mark.realdata
def test_the_bifurcations_of_mozambique_join_its_basins(dataset):
    folder = dataset("cama-mozambique")
    network = read_cama_map(folder / "map_moz_06min.nc")
    joined = read_bifurcations(folder / "bifprm.txt", network)
    assert joined.data.sizes["path"] == 135
    assert joined.data.sizes["path_level"] == 5
    assert joined.data.attrs["paths_left_out"] == 0
    assert np.unique(joined.component).size == 55
    first = joined.data["path_elevation"].values[1]
    np.testing.assert_allclose(first[:2], [46.6, 47.6])
    assert np.isnan(first[2:]).all()


@pytest.mark.realdata
def test_sea_level_and_restart_of_mozambique_are_complete(dataset):
    folder = dataset("cama-mozambique")
    network = read_bifurcations(
        folder / "bifprm.txt", read_cama_map(folder / "map_moz_06min.nc")
    )
    stations = read_sea_level_stations(folder / "GTSM_EVENT.txt", network)
    assert stations.size == 25
    level = read_sea_level(
        folder / "gtsm_era5_ro_20190101-20190501_moz.nc", stations, network
    )
    assert level.shape == (17281, 29)
    assert (level == 0).all("time").sum() == 4
    assert float(level.max()) == pytest.approx(5.4123, abs=1e-4)
    state = read_cama_restart(folder / "restart2019010100.nc", network)
    assert state["path_flow"].shape == (135, 5)
    assert float(state["path_flow"].max()) == pytest.approx(196.9978, abs=1e-4)
    with xr.open_dataset(
        folder / "restart2019010100.nc", engine="h5netcdf", decode_times=False
    ) as raw:
        total = float((raw["rivsto"] + raw["fldsto"]).sum())
    assert float(state["storage"].sum()) == pytest.approx(total, rel=1e-12)


@pytest.mark.realdata
def test_the_reference_output_of_mozambique_has_its_published_flows(dataset):
    folder = dataset("cama-mozambique")
    network = read_cama_map(folder / "map_moz_06min.nc")
    output = read_cama_output(folder / "cama_base_daily2019.nc", network)
    assert output["time"].values[0] == np.datetime64("2019-01-01")
    assert output.sizes["time"] == 120
    position = network.positions([28 * 35 + 27])[0]
    flow = output["discharge"].isel(catchment=position)
    assert float(flow.mean()) == pytest.approx(1155.91, abs=5e-3)
    assert float(flow.max()) == pytest.approx(22265.9, abs=5e-2)
    assert int(flow.argmax("time")) == 77
    volume = float(output["runoff"].astype(float).sum() * 86400)
    assert volume == pytest.approx(2.7808e10, rel=1e-4)
