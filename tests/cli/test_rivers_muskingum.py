"""`tilth rivers route --flow muskingum`, and all of `tilth rivers` on real data."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.rivers.network import RiverNetwork
from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_runs import read_cama_output
from tilth.rivers.routing.muskingum import route_muskingum


def run(*words):
    return main([str(word) for word in ("rivers", *words)])


def open_all(path):
    with xr.open_dataset(path, engine="h5netcdf") as found:
        return found.load()


@pytest.fixture
def folder(tmp_path):
    """Three reaches and four days of inflow every three hours."""
    (tmp_path / "connect.csv").write_text("4,9\n7,9\n9,0\n")
    (tmp_path / "k.csv").write_text("5000\n7000\n9000\n")
    (tmp_path / "x.csv").write_text("0.05\n0.06\n0.07\n")
    tables = ("--travel-time", tmp_path / "k.csv", "--weight", tmp_path / "x.csv")
    words = (*tables, "--out", tmp_path / "n.nc")
    assert run("build", "rapid", tmp_path / "connect.csv", *words) == 0
    inflow = xr.DataArray(
        np.random.default_rng(0).gamma(1.0, 20.0, (32, 3)),
        {
            "time": pd.date_range("2001-01-01", periods=32, freq="3h"),
            "rivid": [9, 4, 7],
        },
        ("time", "rivid"),
        "Qext",
        {"units": "m3 s-1"},
    )
    inflow.to_netcdf(tmp_path / "q.nc", engine="h5netcdf")
    inflow[:16].to_netcdf(tmp_path / "first.nc", engine="h5netcdf")
    inflow[16:].to_netcdf(tmp_path / "second.nc", engine="h5netcdf")
    return tmp_path


def go(folder, name, out, *words):
    files = ("route", folder / "n.nc", folder / name, "--flow", "muskingum")
    return run(*files, "--time-step", 1800, "--out", folder / out, *words)


def test_rapids_inflow_is_routed_as_by_the_library_and_in_halves(folder, capsys):
    assert go(folder, "q.nc", "out.nc") == 0
    assert "4 intervals of 3 reaches" in capsys.readouterr().out
    found = open_all(folder / "out.nc")
    inflow = open_all(folder / "q.nc")["Qext"].rename(rivid="catchment")
    network = RiverNetwork.open(folder / "n.nc")
    expected = route_muskingum(network, inflow, time_step=1800.0, output="1D")
    np.testing.assert_array_equal(found["discharge"], expected["discharge"])
    assert go(folder, "first.nc", "a.nc", "--save-state", folder / "s.nc") == 0
    assert go(folder, "second.nc", "b.nc", "--state", folder / "s.nc") == 0
    halves = xr.concat(
        [open_all(folder / name)["discharge"] for name in ("a.nc", "b.nc")], "time"
    )
    np.testing.assert_array_equal(halves, found["discharge"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--sea-level", "1 m", "--variable", "storage"), "no --sea-level, --variable"),
        (("--time-step", "600"), "must be at least 2kx"),
        (("--state", "n.nc"), "is no state of a muskingum run"),
        (("--negative-coefficients", "maybe", "--time-step", "600"), "negative_coef"),
    ],
)
def test_what_muskingum_does_not_know_is_one_clear_line(
    folder, words, message, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    assert go(folder, "q.nc", "bad.nc", *words) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "bad.nc").exists()


def test_reaches_without_floodplains_are_sent_to_muskingum(folder, capsys):
    files = ("route", folder / "n.nc", folder / "q.nc", "--out", folder / "out.nc")
    assert run(*files) == 2
    assert "give --flow muskingum" in capsys.readouterr().err
    assert not (folder / "out.nc").exists()


@pytest.mark.realdata
def test_the_five_reaches_of_rapid_give_its_discharge(dataset, tmp_path):
    data = dataset("rapid-five-reaches")
    tables = ("--travel-time", data / "k.csv", "--weight", data / "x.csv")
    words = ("build", "rapid", data / "rapid_connect.csv", *tables)
    assert run(*words, "--out", tmp_path / "n.nc") == 0
    words = ("route", tmp_path / "n.nc", data / "qext_19700101_19700110.nc")
    rapid = ("--flow", "muskingum", "--negative-coefficients", "accept")
    state = ("--state", data / "qinit.nc", "--output", "step")
    assert run(*words, *rapid, *state, "--out", tmp_path / "out.nc") == 0
    flow = open_all(tmp_path / "out.nc")["discharge"]
    np.testing.assert_allclose(
        flow[:2],
        [
            [9.935223, 9.935223, 28.294682, 19.870445, 65.38851],
            [10.785536, 10.785536, 31.133135, 21.571072, 71.03832],
        ],
        rtol=1e-6,
    )


@pytest.mark.realdata
def test_a_week_of_mozambique_is_cama_floods(dataset, tmp_path, capsys):
    data = dataset("cama-mozambique")
    source = (data / "raw", "--params", data / "params.txt")
    assert run("build", "cama", *source, "--out", tmp_path / "n.nc") == 0
    told = capsys.readouterr().out
    assert "1475 catchments, 29 river mouths, 39 inland ends" in told
    assert "at 7 of 68 terminals more drains in the source map" in told
    matrix = (
        "--input-matrix", data / "raw/inpmat_ERA5_ro_moz.bin",
        "--dimensions", data / "raw/diminfo_ERA5_ro_moz.txt",
        "--units", "m day-1", "--negative-as-zero",
    )  # fmt: skip
    runoff = data / "era5_ro_20190101-20190501_daily_moz.nc"
    words = ("--time-step", 600, "--steps-by", "globe", "--filled")
    words = (*words, "--last", "2019-01-07")
    words = (*words, "--out", tmp_path / "out.nc")
    assert run("route", tmp_path / "n.nc", runoff, *matrix, *words) == 0
    network = read_cama_map(data / "map_moz_06min.nc")
    theirs = read_cama_output(
        data / "cama_base_daily2019.nc", network, ["discharge", "storage"]
    )
    big = theirs["discharge"].mean("time") > 5.0
    theirs = theirs.isel(time=slice(7))
    theirs.isel(catchment=big.values).to_netcdf(
        tmp_path / "theirs.nc", engine="h5netcdf"
    )
    words = (tmp_path / "out.nc", tmp_path / "theirs.nc", "--out", tmp_path / "s.nc")
    capsys.readouterr()
    assert run("score", *words) == 0
    assert "435 catchments, 2019-01-01 to 2019-01-07" in capsys.readouterr().out
    ours = open_all(tmp_path / "out.nc")
    known = np.isfinite(theirs["storage"])
    # The reference is written in single precision.
    for name in ("storage", "discharge"):
        scale = float(abs(theirs[name]).max())
        difference = abs(ours[name] - theirs[name]).where(known)
        assert float(difference.max()) < 1e-6 * scale
    assert float(ours["water_residual"].max()) < 1e-12


@pytest.mark.realdata
def test_all_options_of_mozambique_close_their_books(dataset, tmp_path):
    data = dataset("cama-mozambique")
    source = (data / "map_moz_06min.nc", "--bifurcations", data / "bifprm.txt")
    assert run("build", "cama", *source, "--out", tmp_path / "n.nc") == 0
    words = (
        "--units", "m day-1", "--last", "2019-01-03",
        "--input-matrix", data / "raw/inpmat_ERA5_ro_moz.bin",
        "--dimensions", data / "raw/diminfo_ERA5_ro_moz.txt",
        "--state", data / "restart2019010100.nc",
        "--sea-level", data / "gtsm_era5_ro_20190101-20190501_moz.nc",
        "--stations", data / "GTSM_EVENT.txt",
        "--evaporation", "4 mm day-1",
        "--save-state", tmp_path / "state.nc", "--out", tmp_path / "out.nc",
    )  # fmt: skip
    runoff = data / "era5_ro_20190101-20190501_daily_moz.nc"
    assert run("route", tmp_path / "n.nc", runoff, *words) == 0
    found = open_all(tmp_path / "out.nc")
    assert float(found["water_residual"].max()) < 1e-12
    assert float(abs(found["path_discharge"]).max()) > 1.0
    begun = open_all(data / "restart2019010100.nc")
    stored = float((begun["rivsto"] + begun["fldsto"]).sum())
    grown = stored + float(found["storage_change"].sum())
    ended = float(open_all(tmp_path / "state.nc")["storage"].sum())
    assert ended == pytest.approx(grown, rel=1e-9)
