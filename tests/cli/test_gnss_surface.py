"""`tilth gnss snow`, `moisture` and `thaw` as a user calls them."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.gnss.surface import ThawSite, simulated_thaw


def run(*words):
    return main([str(word) for word in ("gnss", *words)])


def open_all(path):
    with xr.open_dataset(path, engine="h5netcdf") as found:
        return found.load()


def gnssrefl_text(path, series):
    """Write daily heights as gnssrefl does."""
    lines = ["% year doy   RH    numval month day RH-sigma"]
    lines += [
        f"{t.year} {t.day_of_year} {x:.4f} 40 {t.month} {t.day} 0.04"
        for t, x in series.items()
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def site():
    return simulated_thaw(ThawSite(first_year=2010), 1)


def test_snow_depth_of_daily_heights(tmp_path, capsys):
    days = pd.date_range("2010-01-01", "2011-12-31")
    winter = (days.month < 5) | (days.month > 10)
    series = pd.Series(np.where(winter, 2.2, 3.0), days)
    text = gnssrefl_text(tmp_path / "daily.txt", series)
    out = tmp_path / "snow.nc"
    assert run("snow", text, "--out", out) == 0
    found = open_all(out)
    np.testing.assert_allclose(found["snow_depth"].sel(time="2010-12"), 0.8)
    told = capsys.readouterr().out
    assert "deepest 0.80 m" in told
    assert "no_bare_height" in told
    assert run("snow", text, "--out", tmp_path / "snow.csv", "--all-summers") == 0
    rows = pd.read_csv(tmp_path / "snow.csv")
    assert len(rows) == days.size
    assert run("snow", text, "--out", out, "--bare", "summer") != 0
    assert "write it like 213:258" in capsys.readouterr().err


def test_soil_moisture_needs_its_hemisphere(tmp_path, capsys):
    days = pd.date_range("2017-01-01", "2017-12-31")
    wet = 8.0 + 6.0 * np.cos(2 * np.pi * days.day_of_year / 365)
    lines = [
        f"{t.year} {t.day_of_year} {p:.2f} 4.0 1.0 0.0 {t.month} {t.day}"
        for t, p in zip(days, wet, strict=True)
    ]
    text = tmp_path / "phase.txt"
    text.write_text("% Year DOY Ph Phsig NormA MM DD\n" + "\n".join(lines))
    out = tmp_path / "moisture.nc"
    assert run("moisture", text, "--out", out) != 0
    assert "hemisphere='north' or 'south'" in capsys.readouterr().err
    assert run("moisture", text, "--out", out, "--hemisphere", "north") == 0
    found = open_all(out)["soil_moisture"]
    # Lowest at midsummer, by 12 degrees of 1.48 % each.
    assert float(found.max() - found.min()) == pytest.approx(0.1776, abs=1e-3)
    assert float(found.min()) == pytest.approx(0.05, abs=0.005)


def test_thaw_tells_trend_noise_and_reasons_and_draws_them(tmp_path, capsys, site):
    site.heights.to_netcdf(tmp_path / "heights.nc", engine="h5netcdf")
    celsius = site.temperature.to_series()
    celsius.index = celsius.index.strftime("%Y-%m-%d")
    celsius.to_csv(tmp_path / "air.csv")
    out, drawn = tmp_path / "fit.nc", tmp_path / "fit.png"
    words = ("thaw", tmp_path / "heights.nc", tmp_path / "air.csv", "--out", out)
    assert run(*words, "--figure", drawn) == 0
    told = capsys.readouterr().out
    assert "trend: " in told
    assert "95 %" in told
    assert "bias the trend by up to" in told
    assert "taken to stand still" in told
    found = open_all(out)
    assert f"{1e3 * found.attrs['trend']:.2f} mm yr-1" in told
    assert {"fitted", "subsidence", "quality_flag"} <= set(found.data_vars)
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_thaw_refuses_temperature_with_a_gap(tmp_path, capsys, site):
    site.heights.to_netcdf(tmp_path / "heights.nc", engine="h5netcdf")
    air = site.temperature.isel(time=np.arange(site.temperature.size) != 500)
    air.to_netcdf(tmp_path / "air.nc", engine="h5netcdf")
    out = tmp_path / "fit.nc"
    assert run("thaw", tmp_path / "heights.nc", tmp_path / "air.nc", "--out", out) != 0
    assert "degree-days need one mean for every day" in capsys.readouterr().err
    assert not out.exists()
