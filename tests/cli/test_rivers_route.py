"""`tilth rivers route` as a user calls it: runoff in, discharge and books out."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.rivers.network import RiverNetwork
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.settings import Settings

DAYS = pd.date_range("2001-03-01", periods=6)


def run(*words):
    return main([str(word) for word in ("rivers", *words)])


def open_all(path):
    with xr.open_dataset(path, engine="h5netcdf") as found:
        return found.load()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A synthetic network with labels, and six days of runoff, in many forms."""
    path = tmp_path_factory.mktemp("rivers")
    words = ("--catchments", 40, "--basins", 2, "--seed", 1)
    labels = ("--labels", path / "labels.nc")
    assert run("build", "synthetic", *words, *labels, "--out", path / "n.nc") == 0
    ids = RiverNetwork.open(path / "n.nc").ids
    rng = np.random.default_rng(0)
    rates = xr.DataArray(
        rng.gamma(1.0, 20.0, (6, ids.size)),
        {"time": DAYS, "catchment": ids},
        ("time", "catchment"),
        "runoff",
        {"units": "mm day-1"},
    )

    def write(data, name):
        data.to_netcdf(path / name, engine="h5netcdf")

    write(rates, "runoff.nc")
    write(rates[:3], "first.nc")
    write(rates[3:], "second.nc")
    write(rates.where(rates["catchment"] != ids[4]), "gaps.nc")
    write(rates.drop_isel(time=3), "missing.nc")
    write(rates.assign_attrs(units="K"), "kelvin.nc")
    write(rates.assign_attrs(units="kg m-2 s-1"), "million.nc")
    write((rates / 4).rename("Qs").to_dataset().assign(Qsb=rates * 0.75), "parts.nc")
    write(rates.rename("rain"), "rain.nc")
    (path / "cut.nc").write_bytes((path / "runoff.nc").read_bytes()[:2000])
    return path


def test_the_output_is_that_of_the_library_and_the_books_are_printed(folder, capsys):
    out = folder / "out.nc"
    words = ("--variable", "discharge", "--variable", "storage", "--out", out)
    assert run("route", folder / "n.nc", folder / "runoff.nc", *words) == 0
    told = capsys.readouterr().out
    assert "runoff that came" in told
    assert "6 intervals of 40 catchments" in told
    assert "largest residual of a step" in told
    found = open_all(out)
    assert {"discharge", "storage", "water_residual"} <= set(found.data_vars)
    assert not any(str(name).startswith("state_") for name in found)
    assert "flood_depth" not in found
    expected = route(
        RiverNetwork.open(folder / "n.nc"), open_all(folder / "runoff.nc")["runoff"]
    )
    for name in ("discharge", "storage"):
        np.testing.assert_array_equal(found[name], expected[name])
    balance = found["runoff_volume"] - found["outflow_volume"] - found["storage_change"]
    assert float(abs(balance).max()) < 1e-9 * float(found["runoff_volume"].sum())


def test_a_run_in_two_halves_is_the_run(folder):
    def go(name, out, *words):
        assert run("route", folder / "n.nc", folder / name, "--out", out, *words) == 0

    go("runoff.nc", folder / "whole.nc")
    go("first.nc", folder / "a.nc", "--save-state", folder / "middle.nc")
    go("second.nc", folder / "b.nc", "--state", folder / "middle.nc")
    whole, a, b = (open_all(folder / name) for name in ("whole.nc", "a.nc", "b.nc"))
    for name in ("discharge", "flood_depth", "storage"):
        np.testing.assert_array_equal(
            xr.concat([a[name], b[name]], "time"), whole[name]
        )


def test_files_along_time_parts_of_runoff_and_days_are_put_together(folder):
    def go(out, *words):
        assert run("route", folder / "n.nc", *words, "--out", folder / out) == 0
        return open_all(folder / out)["discharge"]

    whole = go("w.nc", folder / "runoff.nc")
    two = go("t.nc", folder / "second.nc", folder / "first.nc")
    np.testing.assert_array_equal(two, whole)
    parts = go("p.nc", folder / "parts.nc")
    np.testing.assert_allclose(parts, whole, rtol=1e-9)
    named = go("n1.nc", folder / "rain.nc", "--runoff", "rain")
    np.testing.assert_array_equal(named, whole)
    days = go("d.nc", folder / "runoff.nc", "--last", "2001-03-03")
    np.testing.assert_array_equal(days, whole[:3])


def test_runoff_on_a_grid_reaches_catchments_by_their_labels(folder, tmp_path):
    labels = open_all(folder / "labels.nc")["catchment"]
    values = np.full((2, *labels.shape), 12.0)
    xr.DataArray(
        values,
        {"time": DAYS[:2], "lat": labels["lat"], "lon": labels["lon"]},
        ("time", "lat", "lon"),
        "runoff",
        {"units": "mm day-1"},
    ).to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    out = tmp_path / "out.nc"
    words = ("route", folder / "n.nc", tmp_path / "grid.nc", "--out", out)
    assert run(*words, "--labels", folder / "labels.nc") == 0
    area = RiverNetwork.open(folder / "n.nc").data["area"].values
    assert float(open_all(out)["runoff_volume"][0]) == pytest.approx(
        area.sum() * 0.012, rel=1e-9
    )


def test_an_input_matrix_needs_runoff_on_its_grid(folder, tmp_path, capsys):
    grid = xr.DataArray(
        np.ones((2, 2, 3)), {"time": DAYS[:2]}, ("time", "lat", "lon"), "runoff"
    )
    grid.attrs["units"] = "mm day-1"
    grid.to_netcdf(tmp_path / "grid.nc", engine="h5netcdf")
    words = ("route", folder / "n.nc", tmp_path / "grid.nc", "--out", tmp_path / "o.nc")
    assert run(*words) == 2
    assert "--input-matrix with --dimensions, or --labels" in capsys.readouterr().err
    assert run(*words, "--input-matrix", "m.bin") == 2
    assert "needs its text with --dimensions" in capsys.readouterr().err


def test_base_runoff_comes_by_way_of_the_groundwater(folder):
    out = folder / "base.nc"
    parts = ("--runoff", "Qs", "--base-runoff", "Qsb")
    delay = ("--set", "groundwater_delay=864000", "--out", out)
    assert run("route", folder / "n.nc", folder / "parts.nc", *parts, *delay) == 0
    data = open_all(folder / "parts.nc")
    expected = route(
        RiverNetwork.open(folder / "n.nc"),
        data["Qs"],
        base_runoff=data["Qsb"],
        settings=Settings(groundwater_delay=864000.0),
    )
    found = open_all(out)
    np.testing.assert_array_equal(found["discharge"], expected["discharge"])
    assert run("route", folder / "n.nc", folder / "parts.nc", *parts[2:], *delay) == 2


def test_settings_of_the_options_are_those_of_the_run(folder):
    out = folder / "s.nc"
    words = (
        "--flow", "kinematic", "--time-step", 1800, "--no-floodplain-flow",
        "--set", "floodplain_manning=0.2", "--output", "step", "--out", out,
    )  # fmt: skip
    assert run("route", folder / "n.nc", folder / "runoff.nc", *words) == 0
    settings = Settings(
        flow="kinematic",
        time_step=1800.0,
        floodplain_flow=False,
        floodplain_manning=0.2,
    )
    expected = route(
        RiverNetwork.open(folder / "n.nc"),
        open_all(folder / "runoff.nc")["runoff"],
        settings=settings,
        output="step",
    )
    np.testing.assert_array_equal(open_all(out)["discharge"], expected["discharge"])


def test_blocks_on_dask_give_the_same_in_the_order_of_the_network(folder):
    words = ("route", folder / "n.nc", folder / "runoff.nc")
    assert run(*words, "--out", folder / "one.nc") == 0
    assert run(*words, "--blocks", 2, "--out", folder / "two.nc") == 0
    one, two = (open_all(folder / name) for name in ("one.nc", "two.nc"))
    np.testing.assert_array_equal(one["catchment"], two["catchment"])
    np.testing.assert_array_equal(one["discharge"], two["discharge"])


def test_the_sea_evaporation_dams_and_levees_change_a_run_and_its_books(folder):
    network = RiverNetwork.open(folder / "n.nc")
    largest = network.ids[np.argmax(network.accumulate(np.ones(network.size)))]
    (folder / "dams.csv").write_text(
        f"catchment,capacity,normal_flow,flood_flow\n{largest},1e9,100,500\n"
    )
    (folder / "levees.csv").write_text(f"catchment,share,crown\n{network.ids[0]},0,9\n")

    def go(*words):
        out = folder / "o.nc"
        files = (folder / "n.nc", folder / "runoff.nc")
        assert run("route", *files, "--out", out, *words) == 0
        return open_all(out)

    plain = go()
    full = go("--filled")
    assert float(full["storage"][0].sum()) > float(plain["storage"][0].sum())
    high = go("--sea-level", "3 m")
    assert float(high["outflow_volume"].sum()) < float(plain["outflow_volume"].sum())
    dry = go("--evaporation", "10 mm day-1", "--infiltration", "5 mm day-1")
    assert float(dry["evaporation_volume"].sum()) > 0
    ratio = dry["infiltration_volume"].sum() / dry["evaporation_volume"].sum()
    assert float(ratio) == pytest.approx(0.5, rel=1e-6)
    dammed = go("--reservoirs", folder / "dams.csv", "--levees", folder / "levees.csv")
    assert not np.array_equal(dammed["discharge"], plain["discharge"])
    for found in (high, dry, dammed):
        assert float(found["water_residual"].max()) < 1e-12


def test_a_file_of_the_sea_is_given_at_every_mouth_and_may_be_finer(folder):
    network = RiverNetwork.open(folder / "n.nc")
    mouths = network.ids[network.terminals]
    times = pd.date_range("2001-02-28", periods=24 * 9, freq="h")
    tide = np.sin(np.arange(times.size) / 12.42 * 2 * np.pi)[:, None]
    level = xr.DataArray(
        tide * np.ones(mouths.size),
        {"time": times, "catchment": mouths},
        ("time", "catchment"),
        "sea_level",
        {"units": "m"},
    )
    level.to_netcdf(folder / "sea.nc", engine="h5netcdf")
    out = folder / "tide.nc"
    words = ("route", folder / "n.nc", folder / "runoff.nc", "--out", out)
    assert run(*words, "--sea-level", folder / "sea.nc") == 0
    expected = route(
        network,
        open_all(folder / "runoff.nc")["runoff"],
        sea_level=level.sel(time=slice("2001-03-01", "2001-03-06")),
    )
    np.testing.assert_array_equal(open_all(out)["discharge"], expected["discharge"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("n.nc", "none.nc"), "there is no none.nc"),
        (("none.nc", "runoff.nc"), "there is no none.nc"),
        (("n.nc", "cut.nc"), "cannot read cut.nc as runoff"),
        (("runoff.nc", "runoff.nc"), "needs the variable downstream"),
        (("n.nc", "kelvin.nc"), "'K'"),
        (("n.nc", "million.nc"), "mm day-1"),
        (("n.nc", "gaps.nc"), "6 gaps"),
        (("n.nc", "missing.nc"), "1 steps are missing"),
        (("n.nc", "rain.nc"), "name it with --runoff"),
        (("n.nc", "runoff.nc", "--runoff", "rain"), "the file has no rain"),
        (("n.nc", "runoff.nc", "--labels", "labels.nc"), "belongs to runoff on a grid"),
        (("n.nc", "runoff.nc", "--set", "gravity"), "write it as name=number"),
        (("n.nc", "runoff.nc", "--set", "depth=1"), "the numbers to set are"),
        (("n.nc", "runoff.nc", "--flow", "wave"), "flow must be one of"),
        (("n.nc", "runoff.nc", "--first", "2002-01-01"), "no time lies between"),
        (("n.nc", "runoff.nc", "--output", "7h"), "no multiple"),
        (("n.nc", "runoff.nc", "--variable", "flow"), "flow"),
        (("n.nc", "runoff.nc", "--sea-level", "high"), "not a number with units"),
        (("n.nc", "runoff.nc", "--sea-level", "s.nc1"), "there is no s.nc1"),
        (("n.nc", "runoff.nc", "--state", "labels.nc"), "needs the variable"),
        (("n.nc", "runoff.nc", "--state", "n.nc", "--filled"), "not with both"),
        (("n.nc", "runoff.nc", "--evaporation", "3"), "not a number with units"),
        (("n.nc", "runoff.nc", "--levees", "bad.csv"), "it lacks share"),
    ],
)
def test_what_cannot_be_routed_is_one_clear_line(
    folder, words, message, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    (folder / "bad.csv").write_text("catchment,crown,colour\n1,2,3\n")
    assert run("route", *words, "--out", "bad.nc") == 2
    told = capsys.readouterr().err
    assert message in told
    assert "Traceback" not in told
    assert not (folder / "bad.nc").exists()
