"""`tilth forcing adjust` as a user calls it: observations and a model in, and out."""

import re
import warnings

import numpy as np
import pytest
import xarray as xr

from tilth.cli import main
from tilth.forcing.adjust.adjuster import read_adjuster
from tilth.forcing.adjust.delta import QDM
from tilth.forcing.adjust.transform import CDFt


def run(*words):
    return main([str(word) for word in ("forcing", "adjust", *words)])


def open_all(path):
    with xr.open_dataset(path, engine="h5netcdf") as found:
        return found.load()


def days(first, last, calendar="noleap"):
    return xr.date_range(
        first, last, calendar=calendar, use_cftime=calendar != "standard"
    )


def temperature(seed, times, mean, spread):
    draws = np.random.default_rng(seed)
    day = np.arange(times.size)
    values = mean - 10.0 * np.cos(2.0 * np.pi * day / 365.0)[:, None]
    values = values + spread * draws.standard_normal((times.size, 2))
    return xr.DataArray(
        values, {"time": times, "station": ["a", "b"]}, ("time", "station")
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six years of stations in degC, twelve of a model in K that is 3 K too cold."""
    path = tmp_path_factory.mktemp("adjust")
    seen = temperature(1, days("1981-01-01", "1986-12-31", "standard"), 12.0, 3.0)
    seen[5, 0] = np.nan
    seen.rename("tas").assign_attrs(units="degC").to_netcdf(
        path / "stations.nc", engine="h5netcdf"
    )
    model = temperature(2, days("1981-01-01", "1992-12-31"), 282.15, 2.0)
    warmer = model + xr.where(model["time"].dt.year > 1986, 1.5, 0.0)
    whole = warmer.rename("tas").assign_attrs(units="K").to_dataset()
    for part, years in (("a", slice("1981", "1986")), ("b", slice("1987", "1992"))):
        whole.sel(time=years).to_netcdf(path / f"model_{part}.nc", engine="h5netcdf")
    return path


def files(folder):
    return folder / "stations.nc", folder / "model_a.nc", folder / "model_b.nc"


def test_the_default_keeps_the_simulated_warming_and_notes_the_split(folder, capsys):
    out, saved = folder / "adjusted.nc", folder / "fitted.nc"
    words = ("--train", "1981:1986", "--years", 6, "--out", out, "--save", saved)
    assert run(*files(folder), *words) == 0
    told = capsys.readouterr().out
    assert "4380 time steps of 2 places; QDM, trained on 1981:1986" in told
    assert "observed, in training" in told
    found = open_all(out)
    assert found.attrs["split_training"] == "1981:1986"
    assert found.attrs["split_method"] == "QDM"
    assert "model_b.nc" in found.attrs["source_sha256"]
    tas = found["tas"]
    assert tas.attrs["units"] == "K"
    assert tas["time"].dt.calendar == "noleap"
    before, after = (
        tas.sel(time=slice(*y)) for y in (("1981", "1986"), ("1987", "1992"))
    )
    # 12 degC, and a model of its own noise that is 1.5 K warmer after 1986.
    raw = xr.concat([open_all(f)["tas"] for f in files(folder)[1:]], "time")
    warming = (
        raw.sel(time=slice("1987", None)).mean()
        - raw.sel(time=slice(None, "1986")).mean()
    )
    assert float(after.mean() - before.mean()) == pytest.approx(
        float(warming), abs=0.05
    )
    adjuster = read_adjuster(saved)
    assert adjuster.method == QDM()
    late = raw.sel(time=slice("1987", None))
    np.testing.assert_allclose(adjuster.apply(late), after)
    assert run(*files(folder), *words[:2], "--years", 0, "--out", out) == 0
    # Ranked among all twelve years, the warm ones get more: the warming is inflated.
    whole = open_all(out)["tas"]
    np.testing.assert_allclose(adjuster.apply(raw), whole)
    inflated = (
        whole.sel(time=slice("1987", None)).mean()
        - whole.sel(time=slice(None, "1986")).mean()
    )
    assert float(inflated) > 1.1 * float(warming)


def test_settings_groups_and_years_reach_the_method(folder):
    out = folder / "cdft.nc"
    words = (
        "--train", "1981:1985", "--apply", "1990:1992", "--method", "cdft",
        "--group", "month", "--set", "quantiles=30", "--in-units", "degC",
        "--out", out,
    )  # fmt: skip
    assert run(*files(folder), *words) == 0
    found = open_all(out)["tas"]
    assert found.attrs["units"] == "degC"
    assert set(found["time"].dt.year.values) == {1990, 1991, 1992}
    assert "years 1981-1985" in found.attrs["training_modelled"]
    assert '"quantiles": 30' in found.attrs["adjustment_settings"]
    assert '"group": "month"' in found.attrs["adjustment_settings"]
    assert found.attrs["adjustment_method"] == CDFt.__name__


def test_on_dask_the_numbers_are_the_same(folder):
    words = ("--train", "1981:1986", "--years", "6", "--group", "31 days")
    for name, more in (("here.nc", ()), ("dask.nc", ("--scheduler", "threads"))):
        assert run(*files(folder), *words, *more, "--out", folder / name) == 0
    here, there = (open_all(folder / name)["tas"] for name in ("here.nc", "dask.nc"))
    xr.testing.assert_identical(here, there)


def test_isimip_takes_its_settings_from_the_variable(folder):
    out = folder / "isimip.nc"
    words = ("--train", "1981:1986", "--apply", "1987:1992", "--method", "isimip3")
    assert run(*files(folder), *words, "--group", "month", "--out", out) == 0
    found = open_all(out)["tas"]
    assert '"variable": "tas"' in found.attrs["adjustment_settings"]
    assert float(found.mean()) == pytest.approx(285.15 + 1.5, abs=0.2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--train", "1950:1960"), "tas has the years 1981 to 1986"),
        (("--train", "1981:1986", "--method", "magic"), "--method is one of scaling"),
        (("--train", "1981:1986", "--set", "depth=3"), "the settings of qdm are"),
        (("--train", "1981:1986", "--set", "seed=x"), "write it as name=value"),
        (("--train", "1981:1986", "--kind", "x"), r"kind must be '\+' or '\*'"),
        (("--train", "1981:1986", "--variable", "pr"), "0 variables fit pr"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    folder, capsys, words, said
):
    out = folder / "nothing.nc"
    assert run(*files(folder), *words, "--out", out) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not out.exists()


@pytest.mark.realdata
def test_series_of_the_model_that_are_one_are_warned_of_in_a_line(
    dataset, tmp_path, capsys
):
    folder, out = dataset("ahccd-canesm2"), tmp_path / "out.nc"
    files = (folder / "ahccd_1950-2013.nc", folder / "CanESM2_1950-2100.nc")
    words = ("--variable", "pr", "--train", "1950:1960", "--apply", "1961:1965")
    with pytest.warns(
        UserWarning, match=r"2 places.*\(Vancouver = Amos\): right where"
    ):
        assert run(*files, *words, "--out", out) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        show = warnings.showwarning
        warnings.showwarning = lambda *a: print(warnings.formatwarning(*a[:4]), end="")
        try:
            assert run(*files, *words, "--out", out) == 0
        finally:
            warnings.showwarning = show
    told = capsys.readouterr().out.splitlines()
    assert [line for line in told if line.startswith("tilth: warning: pr: 2 places")]


@pytest.mark.realdata
def test_a_model_on_its_grid_is_sent_to_regridding_first(dataset, tmp_path, capsys):
    winters, out = dataset("iberia-winters"), tmp_path / "out.nc"
    files = (winters / "VALUE_Iberia_pr.nc", winters / "CMIP5_Iberia_pr.nc")
    assert run(*files, "--train", "1983:1987", "--out", out) == 2
    told = capsys.readouterr().err
    assert "lat (8), lon (11), the observations station (7)" in told
    assert "tilth forcing regrid" in told
    assert not out.exists()
