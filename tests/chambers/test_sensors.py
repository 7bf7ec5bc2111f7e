"""Fleet calibration: simulated sensors whose errors are known."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import signal

from tilth.chambers.sensors.calibration import (
    apply_calibration,
    calibrate_fleet,
    gain_spread,
)
from tilth.chambers.sensors.checks import (
    baseline_suspects,
    settling,
    spread_versus_concentration,
)
from tilth.core.errors import InputError
from tilth.core.flags import is_flagged


def fleet(
    generator, devices=20, minutes=400, gain_sd=0.02, offset_sd=15.0, noise=5.0, rho=0.0
):
    """One gas release after another in shared air, and what each sensor shows."""
    time = pd.date_range("2023-06-01", periods=minutes, freq="min").as_unit("ns")
    phase = np.linspace(0.0, 6.0, minutes)
    names = np.array([f"SCD{i:02d}" for i in range(devices)], dtype=object)
    values = {
        "truth": 450.0 + 1400.0 * np.sin(phase) ** 2,
        "temperature": 20.0 + 3.0 * np.sin(1.8 * phase),
        "pressure": 97000.0 + 300.0 * np.cos(0.7 * phase),
    }
    units = {"truth": "ppm", "temperature": "degC", "pressure": "Pa"}
    shared = {
        name: xr.DataArray(v, {"time": time}, ["time"], name, {"units": units[name]})
        for name, v in values.items()
    }
    truth = {
        "offset": generator.normal(0, offset_sd, devices),
        "gain": generator.normal(1, gain_sd, devices),
        "temperature_coefficient": generator.normal(0, 1.0, devices),
        "pressure_coefficient": generator.normal(0, 0.01, devices),
    }
    white = generator.normal(size=(devices, minutes + 60))
    error = signal.lfilter([np.sqrt(1 - rho**2)], [1, -rho], white, axis=1)[:, 60:]
    shown = (
        truth["offset"][:, None]
        + truth["gain"][:, None] * values["truth"]
        + noise * error
    )
    for name in ("temperature", "pressure"):
        away = values[name] - values[name].mean()
        shown = shown + truth[f"{name}_coefficient"][:, None] * away
    readings = xr.DataArray(
        shown,
        {"device": names, "time": time},
        ["device", "time"],
        "co2",
        {"units": "umol mol-1"},
    )
    return readings, shared, truth


def calibrate(readings, shared, reference=True):
    return calibrate_fleet(
        readings,
        shared["truth"] if reference else None,
        temperature=shared["temperature"],
        pressure=shared["pressure"],
    )


@pytest.mark.parametrize("rho", [0.0, 0.8])
def test_standard_errors_cover_every_coefficient_also_in_correlated_noise(rho):
    generator = np.random.default_rng(0)
    hits = {}
    for _ in range(12):
        readings, shared, truth = fleet(generator, rho=rho)
        result = calibrate(readings, shared)
        for name, values in truth.items():
            error = np.abs(result[name].values - values)
            hits.setdefault(name, []).append(error < 1.96 * result[f"{name}_se"].values)
    for name, inside in hits.items():
        assert 0.90 <= np.mean(inside) <= 0.99, name


def test_against_its_own_median_a_fleet_finds_its_relative_gains():
    generator = np.random.default_rng(1)
    inside, common = [], []
    for _ in range(25):
        readings, shared, truth = fleet(generator)
        result = calibrate(readings, shared, reference=False)
        gain = result["gain"].values
        relative = gain / gain.mean() - truth["gain"] / truth["gain"].mean()
        inside.append(np.abs(relative) < 1.96 * result["gain_se"].values)
        away = gain.mean() / truth["gain"].mean() - 1
        common.append(abs(away) < 1.96 * float(result["reference_gain_se"]))
    assert 0.90 <= np.mean(inside) <= 0.99
    assert np.mean(common) >= 0.80


def test_a_broken_sensor_does_not_bend_the_fleet_median():
    readings, shared, _ = fleet(np.random.default_rng(2))
    before = calibrate(readings, shared, reference=False)["gain"]
    readings[0] = 10_000.0
    after = calibrate(readings, shared, reference=False)
    moved = (after["gain"] / before - 1).isel(device=slice(1, None))
    assert float(abs(moved).max()) < 0.01
    assert is_flagged(after["calibration_flag"], "implausible_gain").values[0]


def test_calibrated_readings_are_the_truth_within_their_errors():
    readings, shared, _ = fleet(np.random.default_rng(3), noise=2.0)
    calibration = calibrate(readings, shared)
    later = slice(100, 110)
    corrected = apply_calibration(
        readings.isel(time=later),
        calibration,
        temperature=shared["temperature"],
        pressure=shared["pressure"],
    )
    assert corrected["co2"].sizes == {"device": 20, "time": 10}
    error = (corrected["co2"] - shared["truth"].isel(time=later)).mean("time")
    expected = np.sqrt(corrected["co2_se"].mean("time") ** 2 + 2.0**2 / 10)
    assert float(abs(error / expected).max()) < 3.5
    raw = (readings - shared["truth"]).isel(time=later).mean("time")
    assert float(error.std()) < 0.1 * float(raw.std())


def test_the_error_of_a_calibration_grows_outside_its_range():
    readings, shared, _ = fleet(np.random.default_rng(4))
    calibration = calibrate_fleet(readings, shared["truth"])
    air = xr.full_like(readings.isel(time=slice(0, 2)), 1000.0)
    air[:, 1] = 5000.0
    se = apply_calibration(air, calibration)["co2_se"]
    assert (se.isel(time=1) > 3 * se.isel(time=0)).all()


def test_the_spread_of_gains_is_freed_from_their_own_errors():
    generator = np.random.default_rng(5)
    hits, raw = [], []
    for _ in range(60):
        readings, shared, _ = fleet(generator, minutes=120, noise=60.0)
        calibration = calibrate_fleet(readings, shared["truth"])
        spread = gain_spread(calibration)
        hits.append(spread.lower <= 0.02 <= spread.upper)
        raw.append(float(calibration["gain"].std()) > 0.02)
    assert np.mean(hits) >= 0.88
    assert np.mean(raw) > 0.5


def test_too_short_or_inseparable_records_are_flagged_per_device():
    readings, shared, _ = fleet(np.random.default_rng(6))
    readings[0, 25:] = np.nan
    result = calibrate(readings, shared)
    assert is_flagged(result["calibration_flag"], "too_few_readings").values[0]
    assert np.isnan(result["gain"].values[0])
    assert np.isfinite(result["gain"].values[1:]).all()
    twin = shared["temperature"].copy(data=shared["truth"].values / 100.0)
    twin.attrs["units"] = "degC"
    flat = calibrate_fleet(readings, shared["truth"], temperature=twin)
    assert is_flagged(flat["calibration_flag"], "not_separable").values[1:].all()


def test_what_cannot_be_calibrated_is_refused():
    readings, shared, _ = fleet(np.random.default_rng(7), devices=4)
    with pytest.raises(InputError, match="at least 5 devices"):
        calibrate_fleet(readings)
    numbered = readings.assign_coords(device=np.arange(4))
    with pytest.raises(InputError, match="read the column as text"):
        calibrate_fleet(numbered, shared["truth"])
    calibration = calibrate(readings, shared)
    with pytest.raises(InputError, match="give the temperature"):
        apply_calibration(readings, calibration)
    other = readings.assign_coords(device=np.array(list("abcd"), dtype=object))
    with pytest.raises(InputError, match="no calibration for the devices"):
        apply_calibration(other, calibration)


def test_constant_and_proportional_spread_are_told_apart():
    generator = np.random.default_rng(8)
    hits = []
    for _ in range(30):
        readings, *_ = fleet(generator, devices=85, minutes=60)
        fit = spread_versus_concentration(readings, draws=200)
        hits.append(
            (
                fit.offset_sd_lower <= 15.8 <= fit.offset_sd_upper,
                fit.gain_sd_lower <= 0.02 <= fit.gain_sd_upper,
            )
        )
    assert np.all(np.mean(hits, axis=0) >= 0.8)
    np.testing.assert_allclose(fit.at(0.0), fit.offset_sd)


def test_the_articles_relative_spreads_are_one_offset_and_one_gain():
    # 4.8 % at 500 ppm and 2.3 % at 1800 ppm: SD^2 = 21.9^2 + (0.0195 C)^2.
    concentrations = np.linspace(500.0, 1800.0, 14)
    deviation = np.random.default_rng(9).normal(size=(2, 85))
    deviation -= deviation.mean(axis=1, keepdims=True)
    basis, _ = np.linalg.qr(deviation.T)
    a, b = basis.T * np.sqrt(84)  # uncorrelated, of unit variance
    shown = concentrations + np.outer(a, 0 * concentrations + 21.9)
    shown = shown + np.outer(b, 0.0195 * concentrations)
    readings = xr.DataArray(
        shown, dims=["device", "time"], attrs={"units": "ppm"}, name="co2"
    )
    fit = spread_versus_concentration(readings)
    assert fit.offset_sd == pytest.approx(21.9, rel=1e-3)
    assert fit.gain_sd == pytest.approx(0.0195, rel=1e-3)
    relative = fit.at(np.array([500.0, 1800.0])) / [500, 1800]
    np.testing.assert_allclose(relative, [0.048, 0.023], atol=5e-4)


def test_one_concentration_cannot_tell_offset_from_gain():
    readings, *_ = fleet(np.random.default_rng(10))
    with pytest.raises(InputError, match="needed is a factor"):
        spread_versus_concentration(readings.isel(time=slice(0, 20)))


def release(generator, settle=300.0, devices=30):
    """Two releases of gas that reaches the sensors one after another."""
    time = pd.date_range("2023-06-01", periods=180, freq="20s").as_unit("ns")
    seconds = 20.0 * np.arange(180)
    gain = generator.normal(1, 0.02, devices)[:, None]
    delay = generator.uniform(0.05, 1.0, devices)[:, None] * settle / 3.0
    shown = np.full((devices, 180), 500.0)
    for start in (600.0, 2000.0):
        arrived = 1 - np.exp(-(seconds - start).clip(0) / delay)
        shown = shown + 600.0 * arrived
    shown = gain * shown + generator.normal(0, 3, shown.shape)
    readings = xr.DataArray(
        shown,
        {"device": np.arange(devices).astype(str).astype(object), "time": time},
        ["device", "time"],
        "co2",
        {"units": "ppm"},
    )
    return readings, time[[30, 100]]


def test_readings_before_the_gas_has_spread_are_not_used():
    readings, starts = release(np.random.default_rng(11))
    result = settling(readings, starts)
    assert np.all((result["settling_time"] > 60) & (result["settling_time"] < 600))
    settled = result["settled"].values
    assert settled[:30].all()
    assert not settled[30:33].any()
    assert settled[85:100].all()
    usable = readings.where(result["settled"])
    assert int(np.isfinite(usable).all("device").sum()) == settled.sum()


def test_a_release_that_never_settles_is_missing_not_zero():
    readings, starts = release(np.random.default_rng(12), settle=20_000.0)
    result = settling(readings, starts[:1])
    assert np.isnan(result["settling_time"].values[0])
    assert not result["settled"].values[30:].any()


def test_a_release_at_the_first_reading_has_nothing_to_compare_with():
    readings, _ = release(np.random.default_rng(16))
    with pytest.raises(InputError, match="before the first release"):
        settling(readings, readings["time"].values[:1])


def test_a_release_outside_the_record_is_refused():
    readings, starts = release(np.random.default_rng(13))
    with pytest.raises(InputError, match="within the record"):
        settling(readings, starts + pd.Timedelta(days=1))


def greenhouse(generator, weeks=6):
    """A greenhouse never below 500 ppm, and three sensors: ASC off, on, and broken."""
    time = pd.date_range("2023-06-05", periods=weeks * 7 * 24, freq="h").as_unit("ns")
    air = 500.0 + 300.0 * np.sin(np.arange(time.size) * np.pi / 24) ** 2
    air += 8.0 * np.arange(time.size) / 24  # the season
    week = np.arange(time.size) // (7 * 24)
    lowest = pd.Series(air).groupby(week).transform("min").to_numpy()
    shown = np.stack(
        [air, air - lowest + 400.0, air + generator.normal(0, 5, air.size)]
    )
    coords = {"device": np.array(["off", "on", "noisy"], object), "time": time}
    readings = xr.DataArray(shown, coords, ["device", "time"], "co2", {"units": "ppm"})
    truth = xr.DataArray(air, {"time": time}, ["time"], "air", {"units": "ppm"})
    return readings, truth


def test_a_sensor_that_pulls_its_minimum_to_400_ppm_is_suspected():
    readings, truth = greenhouse(np.random.default_rng(14))
    result = baseline_suspects(readings, truth)
    assert list(result.index[result["suspect"]]) == ["on"]
    assert result.loc["on", "excess"] > 100.0
    assert abs(result.loc["noisy", "excess"]) < 30.0


def test_fresh_air_tells_nothing_about_automatic_baselines():
    readings, truth = greenhouse(np.random.default_rng(15))
    result = baseline_suspects(readings, 405.0)
    assert not result["suspect"].any()
    assert (result["note"] != "").all()
    assert (result["weeks"] == 0).all()
    assert baseline_suspects(readings, truth)["weeks"].eq(6).all()
