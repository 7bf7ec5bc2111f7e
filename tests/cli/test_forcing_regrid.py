"""`tilth forcing regrid` as a user calls it: grids, stations, masks, stores."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.core.regrid import bilinear, conservative, nearest

LAT, LON = np.arange(44.5, 36, -1.0), np.arange(350.5, 360, 1.0)


def run(*words):
    return main([str(word) for word in ("forcing", "regrid", *words)])


def open_all(path):
    if path.is_dir():
        return xr.open_dataset(path, engine="zarr", consolidated=False).load()
    with xr.open_dataset(path, engine="h5netcdf") as found:
        return found.load()


@pytest.fixture
def fields():
    """A month of rain and warmth in a calendar without leap days, rows going south."""
    times = xr.date_range("2001-02-01", periods=30, calendar="noleap", use_cftime=True)
    rng = np.random.default_rng(5)
    shape = (30, LAT.size, LON.size)
    dims = ("time", "lat", "lon")
    rain = rng.gamma(0.4, 5.0, shape).astype("float32")
    rain[:, :2, :3] = np.nan
    return xr.Dataset(
        {
            "pr": (dims, rain, {"units": "mm day-1", "cell_measures": "area: areac"}),
            "tas": (dims, rng.normal(280.0, 5.0, shape), {"units": "K"}),
            "orography": (("lat", "lon"), rng.random(shape[1:]), {"units": "m"}),
            "time_bnds": (("time", "nv"), np.arange(60.0).reshape(30, 2)),
            "lat_bnds": (("lat", "nv"), np.stack([LAT - 0.5, LAT + 0.5], 1)),
        },
        {"time": times, "lat": LAT, "lon": LON},
    )


@pytest.fixture
def folder(tmp_path, fields):
    chunks = {name: {"chunksizes": (8, 9, 10)} for name in ("pr", "tas")}
    fields.to_netcdf(tmp_path / "fields.nc", engine="h5netcdf", encoding=chunks)
    table = "station,lat,lon,altitude\n0012,41.2,-3.7,700\n0031,43.0,-8.0,20\n"
    (tmp_path / "sites.csv").write_text(table + "0040,50.0,-8.0,5\n")
    grid = xr.Dataset(coords={"lat": np.arange(37.0, 45, 2), "lon": [-8.0, -6, -4, -2]})
    grid.to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    return tmp_path


def test_stations_of_a_table_get_the_values_that_the_library_gives(
    folder, fields, capsys
):
    out = folder / "sites.nc"
    words = ("--stations", folder / "sites.csv", "--out", out, "--method", "bilinear")
    assert run(folder / "fields.nc", *words, "--steps-together", 7) == 0
    found = open_all(out)
    table = pd.read_csv(folder / "sites.csv", dtype={"station": str})
    at = table.set_index("station").to_xarray().set_coords(["lat", "lon", "altitude"])
    regridder = bilinear(fields, at)
    for name in ("pr", "tas", "orography"):
        expected = regridder.apply(fields[name]).astype(found[name].dtype)
        assert np.array_equal(found[name], expected, equal_nan=True)
    assert found["pr"].dtype == np.float32
    assert found["tas"].dtype == np.float64
    assert found["pr"].dims == ("time", "station")
    assert list(found["station"].values) == ["0012", "0031", "0040"]
    assert list(found["altitude"].values) == [700, 20, 5]
    assert found["time"].dt.calendar == "noleap"
    assert "time_bnds" in found
    assert "lat_bnds" not in found
    assert found["pr"].attrs["units"] == "mm day-1"
    assert "cell_measures" not in found["pr"].attrs
    assert "bilinear" in found["pr"].attrs["regridding"]
    assert "tilth forcing regrid" in found.attrs["history"]
    printed = capsys.readouterr().out
    assert "1 of 3 places are not covered" in printed
    assert "pr, tas, orography" in printed


def test_a_grid_like_another_keeps_totals_where_asked(folder, fields):
    out = folder / "coarse.zarr"
    words = ("--like", folder / "grid.nc", "--out", out, "--method", "conservative")
    assert run(folder / "fields.nc", *words, "--variable", "pr") == 0
    found = open_all(out)
    grid = open_all(folder / "grid.nc")
    expected = conservative(fields, grid).apply(fields["pr"]).astype("float32")
    assert np.array_equal(found["pr"], expected, equal_nan=True)
    assert "tas" not in found
    both = folder / "zero.nc"
    assert run(folder / "fields.nc", *words[:2], "--out", both, *words[4:],
               "--gaps", "zero") == 0  # fmt: skip
    assert not open_all(both)["pr"].isnull().any()


def test_a_store_holds_blocks_of_few_cells_for_whole_series(folder, monkeypatch):
    from tilth.cli import forcing_regrid

    monkeypatch.setattr(forcing_regrid, "_CELLS", 4)
    stores = [folder / f"{name}.zarr" for name in ("grid", "sites")]
    targets = (("--like", folder / "grid.nc"), ("--stations", folder / "sites.csv"))
    for store, target in zip(stores, targets, strict=True):
        words = (*target, "--out", store, "--method", "bilinear")
        assert run(folder / "fields.nc", *words, "--steps-together", 12) == 0
    grid, sites = (open_all(store)["pr"] for store in stores)
    assert grid.encoding["chunks"] == (12, 2, 2)
    assert sites.encoding["chunks"] == (12, 3)
    assert list(sites["station"].values) == ["0012", "0031", "0040"]


def test_a_regular_grid_covers_the_fields_and_begins_at_multiples_of_its_step(folder):
    out = folder / "half.nc"
    words = ("--step", 2, "--out", out, "--method", "conservative")
    assert run(folder / "fields.nc", *words, "--variable", "orography") == 0
    found = open_all(out)
    assert list(found["lat"].values) == [37.0, 39.0, 41.0, 43.0, 45.0]
    assert list(found["lon"].values) == [351.0, 353.0, 355.0, 357.0, 359.0]
    globe = xr.Dataset(
        {"t": (("lat", "lon"), np.ones((18, 36)))},
        {"lat": np.arange(-85.0, 90, 10), "lon": np.arange(-180.0, 180, 10)},
    )
    globe.to_netcdf(folder / "globe.nc", engine="h5netcdf")
    for step, shape in ((3, (60, 120)), (7, (26, 51))):
        words = ("--step", step, "--out", out, "--method", "bilinear")
        assert run(folder / "globe.nc", *words) == 0
        values = open_all(out)["t"]
        assert values.shape == shape
        assert np.allclose(values, 1.0, rtol=1e-14, atol=0)


def test_from_a_bent_grid_by_distance_and_only_from_land(folder):
    lat, lon = np.meshgrid(np.arange(36.0, 45), np.arange(-9.0, 0), indexing="ij")
    both = ("y", "x")
    bent = xr.Dataset(
        {
            "tas": (both, lat + 0.1 * lon, {"units": "degC", "grid_mapping": "turned"}),
            "turned": ((), 0),
        },
        {"lat": (both, lat), "lon": (both, lon)},
    )
    bent.to_netcdf(folder / "bent.nc", engine="h5netcdf")
    land = bent[["tas"]].rename(tas="land") * 0.0
    land["land"][5, 5] = 1.0
    land.to_netcdf(folder / "land.nc", engine="h5netcdf")
    out = folder / "sites.nc"
    common = ("--stations", folder / "sites.csv", "--out", out, "--method")
    assert run(folder / "bent.nc", *common, "inverse-distance") == 0
    found = open_all(out)
    assert found["tas"][0] == pytest.approx(41.2 - 0.37, abs=0.1)
    assert np.isnan(found["tas"][2])
    assert "turned" not in found
    assert "grid_mapping" not in found["tas"].attrs
    words = ("nearest", "--among", folder / "land.nc", "--within", 2000)
    assert run(folder / "bent.nc", *common, *words) == 0
    assert open_all(out)["tas"].values == pytest.approx([41.0 - 0.4] * 3)
    words = ("--step", 1, "--out", out, "--method", "inverse-distance")
    assert run(folder / "bent.nc", *words) == 0
    assert open_all(out)["tas"].shape == (8, 8)


def test_the_nearest_cell_is_the_one_of_the_library(folder, fields):
    out = folder / "near.nc"
    words = ("--like", folder / "grid.nc", "--out", out, "--method", "nearest")
    assert run(folder / "fields.nc", *words) == 0
    expected = nearest(fields, open_all(folder / "grid.nc")).apply(fields["tas"])
    assert np.array_equal(open_all(out)["tas"], expected)


def test_what_cannot_be_done_says_why_and_writes_nothing(folder, capsys):
    fields, sites = folder / "fields.nc", folder / "sites.csv"
    out = folder / "never.nc"
    (folder / "odd.csv").write_text("name,lat,lon\na,1,2\n")
    (folder / "twice.csv").write_text("station,lat,lon\na,1,2\na,1,2\n")
    cases = [
        (("--stations", sites, "--method", "cubic"), "--method is one of"),
        (("--method", "bilinear"), "one of --like, --stations and --step"),
        (("--method", "bilinear", "--stations", sites, "--step", 1), "one of --like"),
        (("--method", "bilinear", "--step", 0), "from 0 to 90"),
        (("--method", "conservative", "--stations", sites), "follow parallels"),
        (("--method", "bilinear", "--stations", folder / "odd.csv"), "lacks station"),
        (("--method", "bilinear", "--stations", folder / "twice.csv"), "station a twi"),
        (("--method", "bilinear", "--stations", folder / "no.csv"), "there is no"),
        (("--method", "bilinear", "--step", 1, "--variable", "hus"), "have no hus"),
        (("--method", "bilinear", "--step", 1, "--within", 5), "are for nearest"),
        (("--method", "nearest", "--step", 1, "--among", fields), "one variable"),
        (("--method", "bilinear", "--step", 1, "--gaps", "no"), 'gaps is "skip"'),
    ]
    for words, said in cases:
        assert run(fields, *words, "--out", out) == 2
        assert said in " ".join(capsys.readouterr().err.split())
        assert not out.exists()
