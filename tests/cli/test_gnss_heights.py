"""`tilth gnss snr2height` as a user calls it."""

import numpy as np
import pandas as pd
import pytest

from tilth.cli import main
from tilth.core.files import read_netcdf
from tilth.gnss.reflectometry.heights import accepted
from tilth.gnss.reflectometry.results_files import read_results
from tilth.gnss.reflectometry.snr_days import snr_day
from tilth.gnss.reflectometry.snr_files import write_snr


def run(*words):
    return main([str(word) for word in ("gnss", "snr2height", *words)])


@pytest.fixture
def file(tmp_path):
    """A file of eight passes over a plane 3 m below the antenna."""
    rng = np.random.default_rng(0)
    t = np.arange(0.0, 3900.0, 30.0)
    columns = []
    for satellite in range(1, 9):
        e = np.linspace(3, 31, t.size)
        swing = 12 * np.cos(4 * np.pi * 3.0 * np.sin(np.radians(e)) / 0.19029367)
        ratio = 20 * np.log10(150 + swing + rng.standard_normal(t.size))
        columns.append((np.full(t.size, satellite), e, 0 * t + 40, t + 7200, ratio))
    satellite, e, azimuth, second, s1 = map(np.concatenate, zip(*columns, strict=True))
    day = snr_day(
        satellite, e, azimuth, second, {"s1": s1}, station="plan", date="2024-07-01"
    )
    return write_snr(day, tmp_path)


def test_heights_are_written_and_the_reasons_counted(file, tmp_path, capsys):
    out = tmp_path / "arcs.nc"
    assert run(file, "--out", out, "--refraction", "none") == 0
    arcs = read_netcdf(out)
    np.testing.assert_allclose(accepted(arcs)["reflector_height"], 3.0, atol=0.01)
    printed = capsys.readouterr().out
    assert "GPS L1" in printed
    assert "8 of 8 arcs accepted" in printed


def test_options_change_what_is_done(file, tmp_path, capsys):
    out = tmp_path / "arcs.csv"
    words = ("--refraction", "none", "--azimuths", "100:200", "--signals", "1,20")
    assert run(file, "--out", out, *words) == 0
    table = pd.read_csv(out)
    assert (table["quality_flag"] == "azimuth_outside").all()
    assert "rejected: azimuth_outside 8" in capsys.readouterr().out


def test_thinner_air_bends_less(file, tmp_path):
    def height(*words):
        run(file, "--out", tmp_path / "a.nc", *words)
        return float(read_netcdf(tmp_path / "a.nc")["reflector_height"].mean())

    none, high = height("--refraction", "none"), height("--height", 4000)
    sea, ulich = height(), height("--refraction", "ulich")
    assert none < high < sea
    assert ulich == pytest.approx(sea, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--signals", "L1"), "write numbers by commas"),
        (("--elevations", "5-25"), "write it as 5:25"),
        (("--heights", "1:3"), "over 5 m or more"),
        (("--air", "a.txt"), "--air needs --settings"),
        (("--peak", "top"), "'parabola' or 'grid'"),
    ],
)
def test_options_that_cannot_be_are_refused(file, tmp_path, capsys, words, message):
    assert run(file, "--out", tmp_path / "a.nc", *words) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.nc").exists()


def test_an_ending_that_is_not_known_is_refused_at_once(file, tmp_path, capsys):
    assert run(file, "--out", tmp_path / "a.xlsx") == 2
    assert ".parquet or .txt" in capsys.readouterr().err


@pytest.mark.realdata
def test_three_real_files_give_the_results_of_gnssrefl(dataset, tmp_path):
    folder = dataset("mchl-reflections")
    files = sorted(folder.glob("mchl01*.snr66.gz"))
    out = tmp_path / "results.txt"
    settings = ("--settings", folder / "mchl.json", "--air", folder / "mchl_refr.txt")
    assert run(*files, *settings, "--peak", "grid", "--out", out) == 0
    ours = read_results(out)
    for doy in (10, 11):
        theirs = read_results(folder / f"expected/gps_{doy:03d}.txt")
        day = theirs["time"].values[5].astype("datetime64[D]")
        own = ours["time"].values + np.timedelta64(18, "s")
        mine = ours.isel(arc=own.astype("datetime64[D]") == day)
        assert sorted(mine["reflector_height"].values) == sorted(
            theirs["reflector_height"].values
        )
