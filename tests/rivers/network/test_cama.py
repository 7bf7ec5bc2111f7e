"""CaMa-Flood maps: binaries and NetCDF give one network, and wrong ones are told."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network import INLAND, MOUTH
from tilth.rivers.network.cama import clipped_terminals, read_cama_map
from tilth.rivers.network.cama_binary import read_binary_grid

# Three rows of four cells, 0.5 degrees wide; (x, y) of the next cell, counted from 1.
#   a b c .      a -> b -> c -> g -> sea; e -> b; f ends inland
#   e f g h      h -> g; i -> f
#   i . . .
NEXT_X = np.array([[2, 3, 3, -9999], [2, -10, -9, 3], [2, -9999, -9999, -9999]])
NEXT_Y = np.array([[1, 1, 2, -9999], [1, -10, -9, 2], [2, -9999, -9999, -9999]])
THERE = NEXT_X != -9999
PARAMS = """\
 4   grid number (east-west)
 3   grid number (north-south)
 2   floodplain layers
 0.5 grid size  [deg]
 10.0 west  edge [deg]
 12.0 east  edge [deg]
 -1.5 south edge [deg]
 0.0 north edge [deg]
"""
LEVELS = {
    "ctmare": 2.5e9,
    "elevtn": 100.0,
    "nxtdst": 50e3,
    "rivlen": 60e3,
    "rivwth": 5.0,
    "rivwth_gwdlr": 80.0,
    "rivhgt": 2.0,
    "rivman": 0.03,
    "uparea": 9e9,
}


def maps():
    """The arrays of a small map; every cell with data has its own number."""
    number = np.arange(12).reshape(3, 4)
    found = {
        name: np.where(THERE, level * (1 + number / 100), -9999).astype("f4")
        for name, level in LEVELS.items()
    }
    heights = np.stack([np.full((3, 4), 1.5), 3.0 + number])
    found["fldhgt"] = np.where(THERE, heights, -9999).astype("f4")
    found["nextxy"] = np.stack([NEXT_X, NEXT_Y]).astype("i4")
    return found


def write(folder, arrays, order="<", params=PARAMS):
    folder.mkdir(parents=True, exist_ok=True)
    for name, values in arrays.items():
        values.astype(f"{order}{values.dtype.kind}4").tofile(folder / f"{name}.bin")
    (folder / "params.txt").write_text(params)
    return folder


def write_netcdf(path, arrays, **encoding):
    data = xr.Dataset(
        {
            name: (("lev", "lat", "lon")[-values.ndim :], values)
            for name, values in arrays.items()
            if name != "nextxy"
        },
        {"lat": [-0.25, -0.75, -1.25], "lon": [10.25, 10.75, 11.25, 11.75]},
    )
    data["nextx"] = ("lat", "lon"), arrays["nextxy"][0]
    data["nexty"] = ("lat", "lon"), arrays["nextxy"][1]
    data.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    return path


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "map", maps())


def test_indices_from_one_and_codes_become_positions_mouths_and_inland_ends(folder):
    network = read_cama_map(folder)
    ids = network.ids.tolist()
    assert ids == [0, 1, 2, 4, 5, 6, 7, 8]  # row times columns plus column
    after = {
        i: ids[d] if d >= 0 else d for i, d in zip(ids, network.downstream, strict=True)
    }
    assert after == {0: 1, 1: 2, 2: 6, 4: 1, 5: INLAND, 6: MOUTH, 7: 6, 8: 5}
    assert network.data["row"].values.tolist() == [0, 0, 0, 1, 1, 1, 1, 2]
    assert network.data["column"].values.tolist() == [0, 1, 2, 0, 1, 2, 3, 0]
    assert network.data["lat"].sel(catchment=8) == -1.25
    assert network.data["lon"].sel(catchment=8) == 10.25


def test_variables_are_those_of_the_cell_in_si_units(folder):
    data = read_cama_map(folder).data.sel(catchment=6)
    f4 = np.float32
    assert data["area"] == f4(2.5e9 * 1.06)
    assert data["elevation"] == f4(100.0 * 1.06)
    assert data["river_depth"] == f4(2.0 * 1.06)
    assert data["river_manning"] == f4(0.03 * 1.06)
    assert data["floodplain_height"].values.tolist() == [1.5, 9.0]
    assert data["area"].attrs["units"] == "m2"


def test_the_width_corrected_by_satellites_is_taken_where_there_is_one(folder):
    assert read_cama_map(folder).data["river_width"][0] == 80.0
    assert read_cama_map(folder, width="rivwth").data["river_width"][0] == 5.0
    (folder / "rivwth_gwdlr.bin").unlink()
    assert read_cama_map(folder).data["river_width"][0] == 5.0
    with pytest.raises(InputError, match="that of channels is rivwth_gwdlr"):
        read_cama_map(folder, width="width")
    (folder / "rivwth.bin").unlink()
    with pytest.raises(InputError, match="no width of channels"):
        read_cama_map(folder)


def test_big_endian_maps_are_read_when_asked_for_and_told_when_not(tmp_path, folder):
    big = write(tmp_path / "big", maps(), ">")
    xr.testing.assert_equal(
        read_cama_map(big, byte_order="big").data, read_cama_map(folder).data
    )
    with pytest.raises(InputError, match="give byte_order='big'"):
        read_cama_map(big)
    with pytest.raises(InputError, match="give byte_order='little'"):
        read_cama_map(folder, byte_order="big")
    with pytest.raises(InputError, match="'little' or 'big', not 'middle'"):
        read_cama_map(folder, byte_order="middle")


def test_one_file_in_the_other_byte_order_is_named(folder):
    values = maps()["rivlen"]
    values.astype(">f4").tofile(folder / "rivlen.bin")
    with pytest.raises(InputError, match=r"rivlen\.bin was written in big-endian"):
        read_cama_map(folder)
    (np.full(12, 7e30)).astype("<f4").tofile(folder / "rivlen.bin")
    with pytest.raises(InputError, match="in either byte order"):
        read_cama_map(folder)


def test_netcdf_and_binaries_give_the_same_network(tmp_path, folder):
    binary = read_cama_map(folder).data
    path = write_netcdf(tmp_path / "map.nc", maps())
    xr.testing.assert_equal(read_cama_map(path).data, binary)
    # CaMa-Flood keeps channels in a file of their own, and fills of -9999 read as NaN.
    arrays = maps()
    channels = {n: arrays[n] for n in ("rivwth_gwdlr", "rivhgt", "rivman")}
    rest = {n: v for n, v in arrays.items() if n not in channels and n != "rivwth"}
    fill = {"_FillValue": -9999}
    a = write_netcdf(tmp_path / "rivclim.nc", rest, nextx=fill, nexty=fill, elevtn=fill)
    b = write_netcdf(tmp_path / "rivpar.nc", {**channels, "nextxy": arrays["nextxy"]})
    both = read_cama_map([a, b])
    xr.testing.assert_equal(both.data, binary)
    assert both.data.attrs["source"] == "rivclim.nc, rivpar.nc"
    sums = both.data.attrs["source_sha256"].splitlines()
    assert [line.split(":")[0] for line in sums] == ["rivclim.nc", "rivpar.nc"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m["nextxy"].__setitem__((0, 0, 0), 5), "drain out of the map of 4"),
        (lambda m: m["nextxy"].__setitem__((0, 0, 0), 0), "were these counted from 0"),
        (lambda m: m["nextxy"].__setitem__((0, 0, 0), -7), "codes are -9 .sea., -10"),
        (lambda m: m["nextxy"].__setitem__((1, 1, 3), 3), "into cells without data"),
        (lambda m: m["rivlen"].__setitem__((1, 1), -9999), "rivlen has no number at 1"),
        (lambda m: m["rivlen"].__setitem__((1, 1), 0), "river_length .* above zero"),
        (lambda m: m["fldhgt"].__setitem__((1, 1, 1), 1), "must not decrease"),
        (lambda m: m.pop("elevtn"), "lacks elevtn"),
    ],
)
def test_a_map_that_cannot_be_is_told_where(tmp_path, change, message):
    arrays = maps()
    change(arrays)
    with pytest.raises(InputError, match=message):
        read_cama_map(write(tmp_path / "map", arrays))


def test_catchments_in_a_circle_are_named_by_their_cells(tmp_path):
    arrays = maps()
    arrays["nextxy"][:, 0, 2] = 1, 1  # c -> a
    with pytest.raises(InputError, match="circle: 0 -> 1 -> 2 -> 0"):
        read_cama_map(write(tmp_path / "map", arrays))


def test_rows_upside_down_are_told_for_indices_and_for_any_other_map(tmp_path):
    # A long river from south to north in the first column; indices as in the true map.
    rows = 12
    arrays = {n: np.full((rows, 2), v, "f4") for n, v in LEVELS.items()}
    x = np.ones((rows, 2), "i4")
    y = np.tile(np.arange(rows)[:, None], (1, 2)).astype("i4")
    x[0] = y[0] = -9
    arrays["nextxy"] = np.stack([x, y])
    arrays["fldhgt"] = np.full((2, rows, 2), 1.0, "f4")
    lines = PARAMS.replace(" 4 ", " 2 ").replace(" 3 ", " 12 ")
    lines = lines.replace("12.0", "11.0").replace("-1.5", "-6.0")
    assert read_cama_map(write(tmp_path / "right", arrays, params=lines)).size == 24
    turned = {**arrays, "nextxy": arrays["nextxy"][:, ::-1]}
    with pytest.raises(InputError, match="rows stand upside down against nexty"):
        read_cama_map(write(tmp_path / "turned", turned, params=lines))
    arrays = maps()
    arrays["elevtn"] = arrays["elevtn"][::-1]
    with pytest.raises(InputError, match="elevtn has gaps that would fill with its"):
        read_cama_map(write(tmp_path / "one", arrays))


def test_a_file_cut_short_says_how_many_bytes_it_should_have(folder):
    path = folder / "nxtdst.bin"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match=r"has 45 bytes; 3 x 4 numbers .* are 48"):
        read_cama_map(folder)
    maps()["nxtdst"].astype("f8").tofile(path)
    with pytest.raises(InputError, match="are its numbers of 8 bytes"):
        read_cama_map(folder)


def test_the_grid_comes_from_params_and_contradictions_are_told(tmp_path, folder):
    grid = read_binary_grid(folder / "params.txt")
    assert (grid.columns, grid.rows, grid.layers) == (4, 3, 2)
    assert grid.latitude.tolist() == [-0.25, -0.75, -1.25]
    elsewhere = tmp_path / "grid.txt"
    elsewhere.write_text((folder / "params.txt").read_text())
    (folder / "params.txt").unlink()
    with pytest.raises(InputError, match="say where it is"):
        read_cama_map(folder)
    assert read_cama_map(folder, params=elsewhere).size == 8
    elsewhere.write_text(PARAMS.replace("12.0", "13.0"))
    with pytest.raises(InputError, match=r"4 columns of 0\.5 degrees do not fill 3"):
        read_binary_grid(elsewhere)
    elsewhere.write_text(PARAMS[:60])
    with pytest.raises(InputError, match="holds 2 numbers"):
        read_binary_grid(elsewhere)


def test_a_damaged_netcdf_map_and_files_of_two_grids_are_told(tmp_path):
    path = write_netcdf(tmp_path / "map.nc", maps())
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="was not copied to its end"):
        read_cama_map(path)
    with pytest.raises(InputError, match="there is no"):
        read_cama_map(tmp_path / "none.nc")
    path.write_bytes(whole)
    with xr.open_dataset(path, engine="h5netcdf") as found:
        other = found.load().assign_coords(lat=[1.0, 2.0, 3.0])
    other.to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(InputError, match="another grid"):
        read_cama_map([path, tmp_path / "other.nc"])


def test_a_map_without_a_catchment_is_refused(tmp_path):
    arrays = {name: np.full_like(values, -9999) for name, values in maps().items()}
    with pytest.raises(InputError, match="has no catchment"):
        read_cama_map(write(tmp_path / "sea", arrays))


def test_terminals_that_drain_more_than_the_map_holds_are_found(folder):
    # a to g drain 2.5e9 m2 each, all upstream areas say about 9e9.
    network = read_cama_map(folder)
    assert network.ids[clipped_terminals(network)].tolist() == [5]
    assert clipped_terminals(network, tolerance=1.0).size == 0


@pytest.mark.realdata
def test_the_map_of_mozambique_is_the_same_from_binaries_bit_for_bit(dataset):
    folder = dataset("cama-mozambique")
    netcdf = read_cama_map(folder / "map_moz_06min.nc").data
    binary = read_cama_map(folder / "raw", params=folder / "params.txt").data
    assert set(binary.variables) == set(netcdf.variables)
    for name in binary.variables:
        if name in ("lat", "lon"):  # from edges and written centres: rounding
            np.testing.assert_allclose(binary[name], netcdf[name], rtol=1e-15)
        else:
            assert binary[name].values.tobytes() == netcdf[name].values.tobytes()


@pytest.mark.realdata
def test_the_map_of_mozambique_has_its_catchments_mouths_and_inland_ends(dataset):
    network = read_cama_map(dataset("cama-mozambique") / "map_moz_06min.nc")
    assert network.size == 1475
    assert (network.downstream == MOUTH).sum() == 29
    assert (network.downstream == INLAND).sum() == 39
    flat = (np.diff(network.data["floodplain_height"], prepend=0.0, axis=1) == 0).sum()
    assert flat == 30
    # The map is a clip: the Zambezi leaves at (8, 34) with all of its area upstream.
    cut = network.data.isel(catchment=clipped_terminals(network))
    assert (8, 34) in zip(cut["row"].values, cut["column"].values, strict=True)
    assert float(cut["upstream_area"].max()) > 1.3e12
