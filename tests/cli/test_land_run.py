"""`tilth land run` as a user calls it: weather in, balanced books out."""

import numpy as np
import pytest
import xarray as xr

from tilth.cli import main

SITE = ("--land-class", "crop", "--texture", "loam")


def run(*words):
    return main([str(word) for word in ("land", *words)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve days of two sites, whole and in two halves."""
    path = tmp_path_factory.mktemp("land")
    assert run("weather", path / "year.nc", "--sites", 2, "--seed", 3) == 0
    with xr.open_dataset(path / "year.nc", engine="h5netcdf") as year:
        days = year.isel(time=slice(24 * 100, 24 * 112)).load()
    days.to_netcdf(path / "whole.nc", engine="h5netcdf")
    days.isel(time=slice(0, 144)).to_netcdf(path / "first.nc", engine="h5netcdf")
    days.isel(time=slice(144, None)).to_netcdf(path / "second.nc", engine="h5netcdf")
    return path


def test_a_run_in_two_halves_is_the_run(folder, capsys):
    def go(name, out, *words):
        assert run("run", folder / name, *SITE, "--out", folder / out, *words) == 0

    # Without a state a run begins at the mean temperature of its own weather.
    go("first.nc", "before.nc", "--save-state", folder / "begin.nc")
    assert "largest residual of a step: energy" in capsys.readouterr().out
    begin = ("--state", folder / "begin.nc")
    go("whole.nc", "out.nc", *begin)
    go("first.nc", "a.nc", *begin, "--save-state", folder / "middle.nc")
    go("second.nc", "b.nc", "--state", folder / "middle.nc")
    whole, a, b = (
        xr.open_dataset(folder / name, engine="h5netcdf").load()
        for name in ("out.nc", "a.nc", "b.nc")
    )
    assert whole.sizes["time"] == 12
    np.testing.assert_array_equal(xr.concat([a["Qle"], b["Qle"]], "time"), whole["Qle"])


def test_wanted_variables_and_the_books_are_written(folder):
    out = folder / "few.nc"
    words = ("--variable", "Qle", "--output", "3h", "--out", out)
    assert run("run", folder / "first.nc", *SITE, *words) == 0
    with xr.open_dataset(out, engine="h5netcdf") as few:
        assert {"Qle", "EnergyResidual", "WaterResidual"} <= set(few.data_vars)
        assert "Qh" not in few
        assert few.sizes["time"] == 48


def test_parameters_are_a_table_and_a_file(folder, capsys):
    out = folder / "site.nc"
    assert run("parameters", *SITE, "--set", "root_depth=1.3", "--out", out) == 0
    assert "Sellers" in capsys.readouterr().out or out.exists()
    assert (
        run("run", folder / "first.nc", "--parameters", out, "--out", folder / "p.nc")
        == 0
    )
    with xr.open_dataset(out, engine="h5netcdf") as numbers:
        assert float(numbers["root_depth"]) == 1.3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "whole.nc", "--out", "x.nc"), "--land-class and --texture"),
        (("run", "whole.nc", *SITE, "--set", "root", "--out", "x.nc"), "name=number"),
        (("run", "state.txt", *SITE, "--out", "x.nc"), "cannot read"),
        (("run", "empty.nc", *SITE, "--out", "x.nc"), "needs the variable"),
        (("weather", "x.nc", "--years", "2001-2002"), "years are written like"),
        (("weather", "x.nc", "--temperature", "10"), "not a number with units"),
    ],
)
def test_what_cannot_be_is_one_clear_line(folder, words, message, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "state.txt").write_text("nothing")
    xr.Dataset({"a": ("time", [1.0])}).to_netcdf(folder / "empty.nc", engine="h5netcdf")
    assert run(*words) == 2
    assert message in capsys.readouterr().err
    assert not (folder / "x.nc").exists()
