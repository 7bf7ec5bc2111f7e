"""`tilth rivers build` as a user calls it: maps and tables in, networks out."""

import numpy as np
import pytest
import xarray as xr

from tilth.cli import main
from tilth.rivers.network import MOUTH, RiverNetwork

PARAMS = """\
 3   grid number (east-west)
 2   grid number (north-south)
 1   floodplain layers
 0.5 grid size  [deg]
 10.0 west  edge [deg]
 11.5 east  edge [deg]
 -1.0 south edge [deg]
 0.0 north edge [deg]
"""
#   a -> b -> c -> sea; d -> a; e and f are the sea
NEXT = [[[2, 3, -9], [1, -9999, -9999]], [[1, 1, -9], [1, -9999, -9999]]]
PATHS = """\
  2  2  npath, nlev, ...
  1  1  3  1  1500.0  55.6  1.0  32.0  64.0
  1  1  2  2  1500.0  55.6  1.0  32.0  64.0
"""


def run(*words):
    return main([str(word) for word in ("rivers", *words)])


@pytest.fixture
def folder(tmp_path):
    """A CaMa-Flood map of four catchments, RAPID's tables and a table of reaches."""
    map_folder = tmp_path / "map"
    map_folder.mkdir()
    (map_folder / "params.txt").write_text(PARAMS)
    np.array(NEXT, "<i4").tofile(map_folder / "nextxy.bin")
    there = np.array(NEXT[0]) != -9999
    for name, value in {
        "ctmare": 2.5e9,
        "elevtn": 100.0,
        "nxtdst": 50e3,
        "rivlen": 60e3,
        "rivwth": 50.0,
        "rivhgt": 2.0,
        "fldhgt": 3.0,
        "uparea": 3e9,
    }.items():
        values = np.where(there, value, -9999).astype("<f4")
        values.tofile(map_folder / f"{name}.bin")
    (tmp_path / "bifprm.txt").write_text(PATHS)
    (tmp_path / "connect.csv").write_text("4,9\n7,9\n9,0\n")
    (tmp_path / "k.csv").write_text("400\n700\n900\n")
    (tmp_path / "x.csv").write_text("0.1\n0.2\n0.3\n")
    (tmp_path / "reaches.csv").write_text(
        "COMID,to,LENGTHKM,So,TopWdth\n5,6,1.5,0.0,20\n6,0,2.5,0.001,30\n"
    )
    return tmp_path


def test_a_cama_flood_map_becomes_a_network(folder, capsys):
    out = folder / "network.nc"
    assert run("build", "cama", folder / "map", "--out", out) == 0
    told = capsys.readouterr().out
    assert "4 catchments, 1 river mouths, 0 inland ends" in told
    assert "clipped" not in told
    network = RiverNetwork.open(out)
    assert network.ids.tolist() == [0, 1, 2, 3]
    assert network.downstream.tolist() == [1, 2, MOUTH, 0]


def test_a_clipped_map_is_noted_with_the_catchment_where_it_is_cut(folder, capsys):
    values = np.fromfile(folder / "map" / "uparea.bin", "<f4")
    values[2] = 5e11
    values.tofile(folder / "map" / "uparea.bin")
    assert run("build", "cama", folder / "map", "--out", folder / "n.nc") == 0
    told = capsys.readouterr().out
    assert "note: the map is clipped: at 1 of 1 terminals" in told
    assert "most at catchment 2" in told


def test_bifurcations_are_added_and_those_out_of_the_map_counted(folder, capsys):
    words = ("--bifurcations", folder / "bifprm.txt", "--out", folder / "n.nc")
    assert run("build", "cama", folder / "map", *words) == 0
    told = capsys.readouterr().out
    assert "1 bifurcations" in told
    assert "1 bifurcations lead out of the map" in told
    assert RiverNetwork.open(folder / "n.nc").data["path_to"].values.tolist() == [2]


def test_rapids_tables_become_a_network(folder):
    out = folder / "rapid.nc"
    tables = ("--travel-time", folder / "k.csv", "--weight", folder / "x.csv")
    assert run("build", "rapid", folder / "connect.csv", *tables, "--out", out) == 0
    network = RiverNetwork.open(out)
    assert network.downstream.tolist() == [2, 2, MOUTH]
    assert network.data["muskingum_time"].values.tolist() == [400.0, 700.0, 900.0]


def test_a_table_of_reaches_takes_names_units_and_a_least_slope(folder, capsys):
    words = (
        "build", "reaches", folder / "reaches.csv", "--out", folder / "n.nc",
        "--column", "catchment=COMID", "--column", "river_length=LENGTHKM",
        "--units", "river_length=km",
    )  # fmt: skip
    assert run(*words) == 2
    assert "do not fall; the first is 5" in capsys.readouterr().err
    assert run(*words, "--least-slope", "1e-5") == 0
    network = RiverNetwork.open(folder / "n.nc")
    assert network.data["river_length"].values.tolist() == [1500.0, 2500.0]
    assert network.data["river_width"].values.tolist() == [20.0, 30.0]


def test_terrain_becomes_a_network_and_labels_of_its_catchments(tmp_path, capsys):
    # A plane that falls to the east, into the sea in the last column.
    lon = 0.05 * np.arange(16)
    height = np.broadcast_to(400.0 - 20.0 * np.arange(16), (12, 16)).copy()
    height[:, -1] = np.nan
    xr.DataArray(
        height,
        {"lat": 0.05 * np.arange(12)[::-1], "lon": lon},
        ("lat", "lon"),
        "elevation",
        {"units": "m"},
    ).to_netcdf(tmp_path / "dem.nc", engine="h5netcdf")
    words = ("--labels", tmp_path / "labels.nc", "--out", tmp_path / "n.nc")
    elevation = ("--elevation", tmp_path / "dem.nc")
    assert run("build", "terrain", *elevation, "--factor", 4, *words) == 0
    network = RiverNetwork.open(tmp_path / "n.nc")
    with xr.open_dataset(tmp_path / "labels.nc", engine="h5netcdf") as found:
        labels = found["catchment"].values
    assert set(np.unique(labels)) == {0, *network.ids.tolist()}
    assert (labels[:, -1] == 0).all()
    assert (network.downstream[network.terminals] == MOUTH).all()
    capsys.readouterr()
    assert run("build", "terrain", *elevation, "--runoff", "lots", *words) == 2
    assert "--runoff lots: there is no such file" in capsys.readouterr().err


def test_a_network_is_made_up_from_a_seed(tmp_path, capsys):
    words = ("--catchments", 60, "--basins", 3, "--seed", 5)
    for name in ("a.nc", "b.nc"):
        assert run("build", "synthetic", *words, "--out", tmp_path / name) == 0
    assert "60 catchments, 3 river mouths" in capsys.readouterr().out
    one, other = (RiverNetwork.open(tmp_path / name) for name in ("a.nc", "b.nc"))
    np.testing.assert_array_equal(one.downstream, other.downstream)


def test_made_up_runoff_goes_with_its_network(tmp_path):
    out, runoff = tmp_path / "a.nc", tmp_path / "runoff.nc"
    words = ("--catchments", 60, "--basins", 3, "--runoff", runoff, "--days", 5)
    assert run("build", "synthetic", *words, "--out", out) == 0
    with xr.open_dataarray(runoff, engine="h5netcdf") as made:
        assert made.sizes == {"time": 5, "catchment": 60}
    assert run("route", out, runoff, "--out", tmp_path / "rivers.nc") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("cama", "nothing"), "there is no nothing"),
        (("cama", "map", "--byte-order", "big"), "give byte_order='little'"),
        (("cama", "map", "--width", "width"), "that of channels is rivwth_gwdlr"),
        (("cama", "map", "--bifurcations", "k.csv"), "does not begin with"),
        (("rapid", "x.csv"), "line 1 of x.csv needs 2 numbers"),
        (("rapid", "circle.csv"), "circle: 4 -> 7 -> 4"),
        (("reaches", "reaches.csv"), "no column link"),
        (("reaches", "reaches.csv", "--column", "catchment"), "write it as name=text"),
        (("terrain",), "give --elevation, --flow-direction or both"),
        (("terrain", "--elevation", "none.tif", "--factor", "2"), "there is no none"),
    ],
)
def test_what_cannot_be_built_is_one_clear_line(
    folder, words, message, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    (folder / "circle.csv").write_text("4,7\n7,4\n")
    assert run("build", *words, "--out", "n.nc") == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1
    assert not (folder / "n.nc").exists()


def test_a_truncated_file_of_a_map_leaves_no_network(folder, capsys):
    path = folder / "map" / "rivlen.bin"
    path.write_bytes(path.read_bytes()[:20])
    assert run("build", "cama", folder / "map", "--out", folder / "n.nc") == 2
    assert "has 20 bytes; 2 x 3 numbers of 4 bytes are 24" in capsys.readouterr().err
    assert not (folder / "n.nc").exists()
