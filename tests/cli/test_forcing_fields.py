"""`tilth forcing fields`: raw climate fields in, a forcing of the land model out."""

import numpy as np
import pytest
import xarray as xr

from tilth.cli import main
from tilth.forcing.fields.consistency import saturation
from tilth.forcing.fields.sunlight import top_of_atmosphere
from tilth.forcing.files import write_forcing
from tilth.land.model.forcing import check_forcing

UNITS = {
    "tas": "K", "tasmin": "K", "tasmax": "K", "pr": "mm day-1", "hurs": "%",
    "psl": "Pa", "rsds": "W m-2", "rlds": "W m-2", "sfcWind": "m s-1",
}  # fmt: skip


def run(*words):
    return main([str(word) for word in words])


def weather(years, bias, seed):
    rng = np.random.default_rng(seed)
    first, last = years
    time = xr.date_range(f"{first}-01-01", f"{last}-12-31", calendar="noleap")
    shape = (time.size, 2)
    season = np.cos(2 * np.pi * (np.arange(time.size)[:, None] - 200) / 365.0)
    tas = 279.0 + bias + 10.0 * season + rng.normal(0.0, 3.0, shape)
    wet = rng.random(shape) < 0.4
    data = xr.Dataset(
        coords={
            "time": time,
            "lat": ("cell", [46.0, 52.0]),
            "lon": ("cell", [8.0, 13.0]),
        },
    )
    values = {
        "tas": tas,
        "tasmin": tas - rng.uniform(2.0, 6.0, shape),
        "tasmax": tas + rng.uniform(2.0, 6.0, shape),
        "pr": rng.gamma(0.8, 6.0, shape) * wet,
        "hurs": rng.uniform(40.0, 100.0, shape),
        "psl": rng.normal(101500.0, 700.0, shape),
        "rlds": 290.0 + 40.0 * season + rng.normal(0.0, 15.0, shape),
        "sfcWind": rng.weibull(2.0, shape) * 4.0,
    }
    for name, array in values.items():
        data[name] = (("time", "cell"), array)
    sun = top_of_atmosphere(data["time"], data["lat"], data["lon"], 86400.0)
    data["rsds"] = sun.transpose("time", "cell") * rng.uniform(0.2, 0.7, shape)
    for name, units in UNITS.items():
        data[name].attrs["units"] = units
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("fields")
    model = weather((2001, 2004), 2.5, 0)
    write_forcing(model[["tas", "tasmin", "tasmax"]], path / "t.nc", step="made up")
    write_forcing(
        model.drop_vars(["tas", "tasmin", "tasmax"]), path / "o.zarr", step=""
    )
    observed = weather((2001, 2003), 0.0, 1)
    write_forcing(
        observed[["tas", "tasmin", "tasmax", "pr"]], path / "obs.nc", step="made up"
    )
    heights = {"places": [400.0, 50.0], "model": [250.0, 90.0]}
    for name, values in heights.items():
        orog = xr.DataArray(values, dims="cell", name="orog", attrs={"units": "m"})
        write_forcing(orog, path / f"{name}.nc", step="made up")
    return path


def make(folder, out, *words):
    return run(
        "forcing", "fields", folder / "t.nc", folder / "o.zarr",
        "--observed", folder / "obs.nc", "--train", "2001:2003",
        "--elevation", folder / "places.nc", "--out", out, *words,
    )  # fmt: skip


def test_the_land_model_accepts_what_the_command_makes_as_it_is(folder, capsys):
    out = folder / "forcing.nc"
    assert make(folder, out, "--apply", "2004", "--hours", "6") == 0
    said = capsys.readouterr().out
    assert "1460 steps of 6 h at 2 places, trained on 2001:2003" in said
    with xr.open_dataset(out, engine="h5netcdf") as forcing:
        assert forcing.attrs["split_training"] == "2001:2003"
        assert "t.nc: " in forcing.attrs["source_sha256"]
        assert "read o.zarr" in forcing.attrs["history"]
        checked = check_forcing(forcing.load())
    most = saturation(forcing["Tair"], forcing["PSurf"])
    assert float((forcing["Qair"] / most).max()) <= 1.0 + 1e-9
    for name in ("Tair", "Rainf", "Snowf", "Qair", "SWdown", "LWdown", "Wind"):
        np.testing.assert_allclose(checked[name], forcing[name], rtol=1e-12)


def test_days_can_stay_days_and_the_model_can_be_moved(folder):
    words = ("--hours", "24", "--apply", "2004")
    assert make(folder, folder / "days.zarr", *words) == 0
    moved = ("--model-elevation", folder / "model.nc")
    assert make(folder, folder / "moved.zarr", *words, *moved) == 0
    days, higher = (
        xr.open_dataset(folder / f"{name}.zarr", engine="zarr", consolidated=False)
        for name in ("days", "moved")
    )
    assert days.sizes["time"] == 365
    # Longwave is the model's own: 150 m up, it goes with the fourth power of tas.
    ratio = (higher["LWdown"] / days["LWdown"]).mean("time").values
    assert 0.983 < ratio[0] < 0.988
    assert ratio[1] > 1.0


def test_hours_can_be_lent_by_observed_rain(folder):
    time = xr.date_range("2001-01-01", "2001-12-31 18:00", freq="6h", calendar="noleap")
    rng = np.random.default_rng(0)
    values = np.zeros((time.size, 1))
    values[1::4] = rng.exponential(1.0, (time.size // 4, 1))
    rain = xr.DataArray(
        values, dims=("time", "cell"), coords={"time": time}, name="pr",
        attrs={"units": "mm h-1"},
    )  # fmt: skip
    write_forcing(rain, folder / "rain.nc", step="made up")
    out = folder / "lent.nc"
    words = ("--hours", "6", "--apply", "2004", "--hourly-rain", folder / "rain.nc")
    assert make(folder, out, *words) == 0
    with xr.open_dataset(out, engine="h5netcdf") as forcing:
        total = (forcing["Rainf"] + forcing["Snowf"]).groupby("time.hour").sum("time")
    shares = (total / total.sum("hour")).values
    np.testing.assert_allclose(shares[1], 1.0, atol=1e-9)


def test_a_height_without_the_other_and_a_wrong_file_are_refused(folder, capsys):
    code = run(
        "forcing", "fields", folder / "t.nc", "--observed", folder / "obs.nc",
        "--train", "2001:2003", "--out", folder / "x.nc",
        "--model-elevation", folder / "model.nc",
    )  # fmt: skip
    assert code == 2
    assert "needs --elevation" in capsys.readouterr().err
    assert make(folder, folder / "x.nc", "--elevation", folder / "obs.nc") == 2
    assert "orog" in capsys.readouterr().err
    code = run(
        "forcing", "fields", folder / "t.nc", "--observed", folder / "obs.nc",
        "--train", "2001:2003", "--out", folder / "x.nc",
    )  # fmt: skip
    assert code == 2
    assert "the model lacks pr, huss" in capsys.readouterr().err
    assert not (folder / "x.nc").exists()
