"""`tilth rivers flood` as a user calls it: maps, return levels, events."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.core.regrid_cells import latlon_grid
from tilth.rivers.floods import flood_extent
from tilth.rivers.network import MOUTH, RiverNetwork


def run(*words):
    return main([str(word) for word in ("rivers", "flood", *words)])


def open_all(path):
    with xr.open_dataset(path, engine="h5netcdf") as found:
        return found.load()


@pytest.fixture
def folder(tmp_path):
    """Two catchments on four by four pixels; three days, the second flooded most."""
    shape, coords = (4, 4), {"lat": [0.3, 0.2, 0.1, 0.0], "lon": [5.0, 5.1, 5.2, 5.3]}
    labels = np.full(shape, 20)
    labels[:, :2] = 10
    labels[0, 0] = 0
    ground = 100.0 + np.arange(16.0).reshape(shape)

    def write(values, name, variable, **attrs):
        array = xr.DataArray(values, coords, ("lat", "lon"), variable, attrs)
        array.to_netcdf(tmp_path / name, engine="h5netcdf")
        return array

    raster = write(labels, "labels.nc", "catchment")
    write(ground, "dem.nc", "elevation", units="m")
    write(ground - 100.0, "hand.nc", "height", units="m")
    area = latlon_grid(raster).area()
    variables = {
        "area": ("m2", [area[labels == 10].sum(), area[labels == 20].sum()]),
        "floodplain_height": ("m", [[1.0, 20.0], [1.0, 20.0]]),
    }
    data = xr.Dataset({"downstream": ("catchment", [1, MOUTH])})
    data = data.assign_coords(catchment=[10, 20])
    for name, (units, values) in variables.items():
        values = np.array(values)
        dims = ("catchment", "layer")[: values.ndim]
        data[name] = dims, values, {"units": units}
    RiverNetwork(data).to_netcdf(tmp_path / "n.nc")
    depth = np.array([[0.0, 0.0], [2.0, 1.0], [0.5, 0.0]])
    xr.Dataset(
        {
            "flood_depth": (("time", "catchment"), depth, {"units": "m"}),
            "water_level": (("time", "catchment"), 104.0 + depth, {"units": "m"}),
            "flooded_area": (("time", "catchment"), depth, {"units": "m2"}),
        },
        # In another order than the network's.
        {"time": pd.date_range("2019-03-16", periods=3), "catchment": [10, 20]},
    ).isel(catchment=[1, 0]).to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    return tmp_path


def map_words(folder, *words):
    files = (folder / "n.nc", folder / "run.nc", "--labels", folder / "labels.nc")
    return ("map", *files, "--out", folder / "map.nc", *words)


def test_the_day_flooded_most_is_mapped_by_its_levels(folder, capsys):
    words = map_words(folder, "--elevation", folder / "dem.nc", "--as-levelled")
    assert run(*words) == 0
    assert "2019-03-17" in capsys.readouterr().out
    depth = open_all(folder / "map.nc")["flood_depth"].values
    expected = np.maximum(
        [
            [np.nan, 5.0, 3.0, 2.0],
            [2.0, 1.0, -1.0, -2.0],
            [-2.0, -3.0, -5.0, -6.0],
            [-6.0, -7.0, -9.0, -10.0],
        ],
        0.0,
    )
    np.testing.assert_allclose(depth, expected, rtol=1e-12)


def test_height_above_the_river_takes_the_depth_and_a_day_is_chosen(folder):
    words = ("--height", folder / "hand.nc", "--as-levelled", "--day", "2019-03-18")
    assert run(*map_words(folder, *words)) == 0
    depth = open_all(folder / "map.nc")["flood_depth"].values
    assert np.isnan(depth[0, 0])
    assert np.nansum(depth) == 0.0  # 0.5 m reach none of the pixels, all higher


def test_pixels_hold_the_water_of_the_run_unless_told_otherwise(folder):
    assert run(*map_words(folder, "--elevation", folder / "dem.nc")) == 0
    found = open_all(folder / "map.nc")
    network = RiverNetwork.open(folder / "n.nc")
    depth = open_all(folder / "run.nc")["flood_depth"].isel(time=1)
    volume = flood_extent(network, depth.sel(catchment=network.ids))["flood_volume"]
    np.testing.assert_allclose(found["fine_volume"], volume, rtol=1e-9)
    assert found["catchment"].values.tolist() == [10, 20]
    area = latlon_grid(found["flood_depth"]).area()
    total = float(np.nansum(found["flood_depth"].values * area))
    assert total == pytest.approx(float(volume.sum()), rel=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give --elevation or --height"),
        (("--elevation", "dem.nc", "--height", "hand.nc"), "one of the two"),
        (("--elevation", "none.nc"), "there is no none.nc"),
        (("--elevation", "small.nc"), "are not one raster"),
        (("--elevation", "apart.nc"), "lie apart: lat goes from 0.3"),
        (("--elevation", "dem.nc", "--day", "2020-01-01"), "no interval begins on"),
        (("--elevation", "dem.nc", "--labels", "strange.nc"), "are no catchments"),
    ],
)
def test_what_cannot_be_mapped_is_one_clear_line(
    folder, words, message, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    dem = open_all(folder / "dem.nc")
    dem.isel(lat=slice(0, 3)).to_netcdf("small.nc", engine="h5netcdf")
    dem.assign_coords(lat=dem["lat"] + 1).to_netcdf("apart.nc", engine="h5netcdf")
    strange = open_all(folder / "labels.nc") * 0 + 3
    strange.to_netcdf("strange.nc", engine="h5netcdf")
    assert run(*map_words(folder, *words)) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "map.nc").exists()


@pytest.fixture
def years(tmp_path):
    """Thirty years of daily discharge of two catchments, one with a flood a year."""
    time = pd.date_range("1981-01-01", "2010-12-31")
    rng = np.random.default_rng(2)
    peak = rng.gumbel(100.0, 20.0, 30)
    flow = np.ones((time.size, 2))
    first_of_june = np.flatnonzero((time.month == 6) & (time.day == 1))
    flow[first_of_june, 0] = peak
    flow[first_of_june, 1] = 2 * peak
    xr.Dataset(
        {"discharge": (("time", "catchment"), flow, {"units": "m3 s-1"})},
        {"time": time, "catchment": [7, 8]},
    ).to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    return tmp_path


def test_return_levels_of_twice_the_floods_are_twice_as_high(years, capsys):
    out = years / "levels.nc"
    words = ("--period", 2, "--period", 10, "--draws", 50, "--seed", 4)
    assert run("levels", years / "run.nc", "--out", out, *words) == 0
    assert "discharge of 2 of 2 catchments, 30 years" in capsys.readouterr().out
    found = open_all(out)
    assert found["period"].values.tolist() == [2.0, 10.0]
    level = found["return_level"].transpose("catchment", "period").values
    np.testing.assert_allclose(level[1], 2 * level[0], rtol=1e-9)
    # Median and nine-tenths of a Gumbel distribution, within what 30 years tell.
    np.testing.assert_allclose(level[0], [107.3, 145.0], atol=15.0)
    lower, upper = (
        found[name].transpose("catchment", "period") for name in ("lower", "upper")
    )
    assert (lower.values < level).all()
    assert (upper.values > level).all()


def test_events_above_a_threshold_are_counted(years, capsys):
    out = years / "events.nc"
    words = ("--threshold", "0.05 km3 day-1", "--out", out)  # 579 m3 s-1: none
    assert run("events", years / "run.nc", *words) == 0
    assert "0 events in 0 of 2 catchments" in capsys.readouterr().out
    assert (
        run("events", years / "run.nc", "--threshold", "50 m3 s-1", "--out", out) == 0
    )
    found = open_all(out)
    assert found["events"].values.tolist() == [30, 30]
    assert run("events", years / "run.nc", "--share", 0.001, "--out", out) == 0
    share = open_all(out)
    assert share["threshold"].sizes == {"catchment": 2}
    assert share["events"].values.tolist() == [11, 11]  # of 10 957 days


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("levels", "--variable", "storage"), "needs the variable storage"),
        (("levels", "--method", "moments"), "l_moments or likelihood"),
        (("events",), "--threshold or --share"),
        (("events", "--threshold", "5 m"), "not the same kind"),
    ],
)
def test_what_cannot_be_estimated_is_one_clear_line(years, words, message, capsys):
    first, *rest = words
    out = years / "bad.nc"
    assert run(first, years / "run.nc", *rest, "--out", out) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()
