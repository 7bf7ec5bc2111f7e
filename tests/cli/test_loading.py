"""`tilth loading` as a user calls it: responses, grids and inversion for mass."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.loading import (
    disc_response,
    disc_sources,
    green_functions,
    grid_displacement,
    point_response,
    read_love_numbers,
)
from tilth.loading.simulated import made_up_earth

DISCS = pd.DataFrame(
    {"name": ["one", "two"], "lat": [69.2, 69.7], "lon": [-49.6, -49.9]}
).assign(radius_km=[15.0, 20.0])
LOAD = np.array([-3.0, 1.0])


@pytest.fixture
def run(tmp_path, capsys):
    earth = made_up_earth()
    n = np.arange(1, earth.h.size)
    numbers = np.stack([n, earth.h[1:], earth.l[1:], earth.k[1:]], axis=1)
    np.savetxt(tmp_path / "love.txt", numbers, fmt="%.17g")

    def call(*words, code=0):
        line = [str(w) for w in ("loading", *words, "--love", tmp_path / "love.txt")]
        assert main(line) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return call


@pytest.fixture
def green(run, tmp_path):
    love = read_love_numbers(tmp_path / "love.txt").in_frame("CF")
    return green_functions(love)


@pytest.fixture
def stations(tmp_path, green):
    random = np.random.default_rng(3)
    at = xr.Dataset(
        {
            "lat": ("station", random.uniform(69.0, 70.0, 6)),
            "lon": ("station", random.uniform(-51.0, -48.5, 6)),
        },
        {"station": [f"{k:04d}" for k in range(6)]},
    )
    sources = disc_sources(DISCS.lat, DISCS.lon, 1e3 * DISCS.radius_km, at, green)
    moved = 1e3 * sources["response"].values[:3] @ LOAD
    table = at.to_dataframe().reset_index()
    for k, name in enumerate(("east", "north", "up")):
        table[name], table[f"{name}_se"] = moved[k], 0.2 if k < 2 else 0.6
    table.to_csv(tmp_path / "stations.csv", index=False)
    DISCS.to_csv(tmp_path / "discs.csv", index=False)
    return tmp_path / "stations.csv"


def test_a_disc_and_a_kilogram_are_those_of_the_library(run, green, tmp_path):
    out = tmp_path / "disc.csv"
    run("disc", "--radius", 20, "--water", -2, "--distance", 40, "--out", out)
    row = pd.read_csv(out).iloc[0]
    one = disc_response(green, 40 / 6371, 20 / 6371)
    assert row["up_mm"] == pytest.approx(-2e6 * float(one.up), rel=1e-9)
    assert row["up_mm"] > 0 < row["away_mm"]  # lost: up, and away from it
    assert row["ratio"] == pytest.approx(abs(float(one.away / one.up)), rel=1e-9)
    said = run("green", "--angle", 1.0)
    value = float(point_response(green, 2 * np.sin(np.radians(0.5))))
    expected = value * 1e12 * 6.371e6 * np.radians(1.0)
    assert float(said.split()[5]) == pytest.approx(expected, abs=6e-5)
    assert "is above 0 km" in run("disc", "--radius", 0, code=2)
    assert "one of CE, CM, CF" in run("green", "--frame", "XX", code=2)


def test_a_gridded_load_moves_stations_as_in_the_library(
    run, green, stations, tmp_path
):
    lat, lon = np.arange(60.5, 80, 1.0), np.arange(-60.5, -30, 1.0)
    load = xr.DataArray(
        np.random.default_rng(0).normal(size=(3, lat.size, lon.size)),
        {"time": [0, 1, 2], "lat": lat, "lon": lon},
        ("time", "lat", "lon"),
        attrs={"units": "kg m-2"},
    )
    sea = xr.zeros_like(load[0]) + (load["lon"] > -45.0)
    data = xr.Dataset({"water": load, "sea": sea})
    data.to_netcdf(tmp_path / "load.nc", engine="h5netcdf")
    words = ("grid", tmp_path / "load.nc", "--stations", stations)
    out = tmp_path / "moved.nc"
    said = run(*words, "--variable", "water", "--out", out)
    assert "6 stations, frame CF" in said
    at = pd.read_csv(stations, dtype={"station": str}).set_index("station")
    expected = grid_displacement(load, at[["lat", "lon"]].to_xarray(), green)
    with xr.open_dataset(out, engine="h5netcdf") as found:
        np.testing.assert_allclose(found["up"], expected["up"], rtol=1e-7)
    run(*words, "--variable", "water", "--ocean", "sea", "--out", out)
    with xr.open_dataset(out, engine="h5netcdf") as balanced:
        assert not np.allclose(balanced["up"], expected["up"], rtol=1e-3)
    assert "choose one by --variable" in run(*words, "--out", out, code=2)


def test_discs_are_weighed(run, stations, tmp_path):
    out, figure = tmp_path / "mass.nc", tmp_path / "map.png"
    said = run(
        "invert", stations, "--sources", tmp_path / "discs.csv", "--strength", 0,
        "--out", out, "--figure", figure,
    )  # fmt: skip
    with xr.open_dataset(out, engine="h5netcdf") as found:
        np.testing.assert_allclose(found["load"], LOAD, rtol=1e-6)
        total = float(found["total"])
        assert found["total"].attrs["units"] == "Gt yr-1"
    assert f"total {total:.3f} ±" in said
    assert "  one: " in said
    assert figure.read_bytes().startswith(b"\x89PNG")


def test_gravity_rebound_and_radar_join(run, stations, green, tmp_path):
    table = pd.read_csv(stations, dtype={"station": str})
    rebound = table[["station", "lat", "lon"]].copy()
    for name in ("east", "north", "up"):
        rebound[name], rebound[f"{name}_se"] = -1.0, 0.1
        table[name] -= 1.0
    table.iloc[::-1].to_csv(stations, index=False)
    rebound.to_csv(tmp_path / "gia.csv", index=False)
    mass = LOAD * np.pi * np.array([15e3, 20e3]) ** 2 * 1e-9
    gravity = pd.DataFrame(
        {"basin": ["a"], "mass": [mass[0]], "mass_se": [0.001], "members": ["one"]}
    )
    gravity.to_csv(tmp_path / "gravity.csv", index=False)
    random = np.random.default_rng(5)
    pixels = pd.DataFrame(
        {"lat": random.uniform(69, 70, 9), "lon": random.uniform(-51, -50, 9)}
    )
    at = pixels.rename_axis("pixel").to_xarray()
    sources = disc_sources(DISCS.lat, DISCS.lon, 1e3 * DISCS.radius_km, at, green)
    up = sources["response"].values[2] @ LOAD
    pixels = pixels.assign(displacement=1e3 * up + 4.0, displacement_se=1.0)
    pixels = pixels.assign(los_east=0.0, los_north=0.0, los_up=1.0)
    pixels.to_csv(tmp_path / "pixels.csv", index=False)
    out = tmp_path / "mass.nc"
    run(
        "invert", stations, "--sources", tmp_path / "discs.csv", "--strength", 0,
        "--gia", tmp_path / "gia.csv", "--gravity", tmp_path / "gravity.csv",
        "--line-of-sight", tmp_path / "pixels.csv", "--ramp", 0,
        "--correlation-length", 5, "--out", out,
    )  # fmt: skip
    with xr.open_dataset(out, engine="h5netcdf") as found:
        np.testing.assert_allclose(found["load"], LOAD, rtol=1e-3)
        assert float(found["mass_se"][0]) < 0.0011
        level = found["nuisance"].sel(nuisance_name="line of sight x0y0")
        assert float(level) == pytest.approx(4.0, abs=1e-3)
        assert set(found["kind"].values) == {"stations", "gravity", "line of sight"}


def test_outlines_cells_and_patterns_are_sources_too(run, stations, tmp_path):
    ring = [[-50, 69], [-49, 69], [-49, 69.8], [-50, 69.8], [-50, 69]]
    feature = {
        "type": "Feature",
        "properties": {"name": "ice"},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }
    outline = tmp_path / "ice.geojson"
    outline.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    lat, lon = np.arange(69.1, 69.75, 0.2), np.arange(-49.75, -49.0, 0.5)
    cells = xr.DataArray(np.ones((4, 2)), {"lat": lat, "lon": lon}, ("lat", "lon"))
    cells.to_dataset(name="mask").to_netcdf(tmp_path / "cells.nc", engine="h5netcdf")
    pattern = cells.expand_dims(basin=["ice"]).assign_attrs(units="m")
    pattern.to_dataset(name="dh").to_netcdf(tmp_path / "dh.nc", engine="h5netcdf")
    totals = [
        run("invert", stations, "--sources", path, "--strength", "0").splitlines()[1]
        for path in (outline, tmp_path / "dh.nc")
    ]
    # One layer over the same box, however it is written.
    first, second = (float(t.split()[1]) for t in totals)
    assert first == pytest.approx(second, rel=1e-3)
    said = run(
        "invert", stations, "--sources", tmp_path / "cells.nc", "--penalty",
        "roughness", "--sign", "loss",
    )  # fmt: skip
    low, high = (
        float(x) for x in said.split(" % from ")[1].split("\n")[0].split(" to ")
    )
    assert low < high <= 0.0


def test_wrong_words_are_answered(run, stations, tmp_path):
    words = ("invert", stations, "--sources", tmp_path / "discs.csv")
    assert "size or roughness" in run(*words, "--penalty", "x", code=2)
    assert "loss or gain" in run(*words, "--sign", "x", code=2)
    assert "or a number" in run(*words, "--strength", "1x", code=2)
    assert "lacks" in run("invert", tmp_path / "discs.csv", "--sources",
                          tmp_path / "discs.csv", code=2)  # fmt: skip
