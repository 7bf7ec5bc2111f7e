"""Phases of arcs and soil moisture, beside the results that others published."""

import io
import re
import tarfile

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.arcs import cut_arcs
from tilth.gnss.reflectometry.settings import read_settings
from tilth.gnss.reflectometry.snr_files import read_snr
from tilth.gnss.surface import (
    Tracks,
    arc_phases,
    daily_phases,
    fit_phase,
    read_daily_phases,
    read_tracks,
    soil_moisture,
    track_heights,
    vegetation_phase,
)

L2 = 299792458.0 / 1227.60e6


def signal(elevation, height, amplitude, phase):
    x = 4 * np.pi * height / L2 * np.sin(np.radians(elevation))
    return amplitude * np.sin(x + np.radians(phase))


@settings(deadline=None, max_examples=40)
@given(
    height=st.floats(0.8, 6.0),
    amplitude=st.floats(0.5, 40.0),
    phase=st.floats(0.0, 359.9),
)
def test_a_pure_oscillation_gives_back_its_amplitude_and_phase(
    height, amplitude, phase
):
    elevation = np.linspace(5.0, 25.0, 110)
    y = signal(elevation, height, amplitude, phase)
    a, found, se = fit_phase(elevation, y, height, L2)
    assert a == pytest.approx(amplitude, rel=1e-9)
    assert abs((found - phase + 180.0) % 360.0 - 180.0) < 1e-6
    assert se < 1e-5


def test_the_error_of_a_phase_covers_the_truth():
    rng = np.random.default_rng(0)
    elevation = np.linspace(5.0, 25.0, 110)
    clean = signal(elevation, 1.7, 10.0, 40.0)
    z = []
    for _ in range(400):
        noisy = clean + rng.normal(0.0, 3.0, clean.size)
        _, phase, se = fit_phase(elevation, noisy, 1.7, L2)
        z.append((phase - 40.0) / se)
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=0.03)


def test_few_samples_give_no_phase():
    with pytest.raises(InputError, match="four samples"):
        fit_phase([5.0, 6.0, 7.0], [1.0, 2.0, 3.0], 1.7, L2)


def test_an_arc_belongs_to_the_nearest_track_across_north():
    tracks = Tracks(np.array([5, 5, 7]), np.array([359.0, 90.0, 1.0]), np.full(3, 2.0))
    assert tracks.find(5, 1.5) == 0
    assert tracks.find(5, 3.0) is None
    assert tracks.find(5, 92.9) == 1
    assert tracks.find(8, 90.0) is None


def test_tracks_are_found_with_their_mean_heights_even_across_north():
    rng = np.random.default_rng(1)
    azimuth = np.concatenate(
        [rng.normal(0.0, 1.0, 60) % 360.0, rng.normal(120.0, 1.0, 50), [240.0] * 5]
    )
    height = np.concatenate([np.full(60, 1.7), np.full(50, 1.8), np.full(5, 9.0)])
    arcs = xr.Dataset(
        {
            "satellite": ("arc", np.full(115, 12)),
            "azimuth": ("arc", azimuth),
            "reflector_height": ("arc", height),
        }
    )
    tracks = track_heights(arcs)
    assert sorted(tracks.height) == pytest.approx([1.7, 1.8])
    assert tracks.find(12, 359.5) is not None
    assert tracks.find(12, 120.0) is not None
    with pytest.raises(InputError, match="months of data"):
        track_heights(arcs, fewest=80)


def test_bare_soil_has_no_effect_of_plants_and_loss_of_amplitude_lowers_the_phase():
    np.testing.assert_allclose(vegetation_phase(np.ones(40)), 0.0, atol=1e-12)
    np.testing.assert_allclose(
        vegetation_phase(np.full(40, 0.8)), -0.2 * 50.25 / 1.48, rtol=1e-12
    )
    with pytest.raises(InputError, match="30 days"):
        vegetation_phase(np.ones(29))


def test_the_window_of_amplitudes_holds_fifteen_days_before_and_fourteen_after():
    amplitude = np.ones(101)
    amplitude[50] = 2.0
    smooth = vegetation_phase(amplitude) * 1.48 / 50.25 + 1.0
    raised = np.flatnonzero(smooth > 1.0 + 1e-9)
    assert (raised.min(), raised.max()) == (50 - 14, 50 + 15)
    np.testing.assert_allclose(smooth[raised], 1.0 + 1.0 / 30.0)


def phases_of_year(moisture, tracks=14, noise=0.0):
    """Return phases of tracks over soil of known moisture (percent of volume)."""
    rng = np.random.default_rng(2)
    days = pd.date_range("2021-01-01", periods=moisture.size)
    rows = []
    for track in range(tracks):
        base = rng.uniform(60.0, 300.0)
        phase = base - moisture / 1.48 + noise * rng.normal(size=moisture.size)
        time = (days + pd.Timedelta(hours=int(rng.integers(24)))).to_numpy()
        rows.append((time, np.full(moisture.size, track), phase % 360.0))
    time, track, phase = (np.concatenate(x) for x in zip(*rows, strict=True))
    return xr.Dataset(
        {
            "time": ("arc", time),
            "track": ("arc", track),
            "phase": ("arc", phase),
            "amplitude": ("arc", np.full(time.size, 12.0)),
        }
    )


@pytest.fixture
def wetting():
    day = np.arange(365)
    return 20.0 + 12.0 * np.cos(2 * np.pi * (day - 20) / 365)


def test_moisture_of_soil_is_found_again_from_its_phases(wetting):
    daily = daily_phases(phases_of_year(wetting, noise=2.0))
    found = soil_moisture(daily, hemisphere="north", driest=0.08)
    truth = wetting / 100.0
    error = found["soil_moisture"].values - (truth - truth.min() + 0.08)
    assert np.abs(error).max() < 0.03
    assert float(found["soil_moisture_se"].median()) == pytest.approx(
        1.48 * 2.0 / 14**0.5 / 100.0, rel=0.1
    )


def test_two_days_are_no_months(wetting):
    with pytest.raises(InputError, match="months of data"):
        daily_phases(phases_of_year(wetting[:20]))


def test_the_dry_season_must_be_said_and_the_wrong_one_shifts_the_level(wetting):
    daily = daily_phases(phases_of_year(wetting))
    with pytest.raises(InputError, match="wrong one shifts"):
        soil_moisture(daily)
    north = soil_moisture(daily, hemisphere="north")["soil_moisture"]
    south = soil_moisture(daily, hemisphere="south")["soil_moisture"]
    shift = (north - south).values
    np.testing.assert_allclose(shift, shift[0])
    assert shift[0] > 0.1


def test_the_level_of_many_years_does_not_swing():
    days = pd.date_range("2005-01-01", "2018-12-31") + pd.Timedelta("12h")
    rng = np.random.default_rng(3)
    phase = 10.0 + 6.0 * np.cos(2 * np.pi * days.day_of_year / 365.25)
    phase = phase + rng.normal(0.0, 1.0, days.size)
    daily = xr.Dataset(
        {"phase": ("time", phase), "amplitude": ("time", np.ones(days.size))},
        {"time": days.to_numpy()},
    )
    found = soil_moisture(daily, hemisphere="north")
    assert float(np.ptp(found["level"].values)) < 0.01


@pytest.mark.realdata
def test_moisture_of_mitchell_is_the_published_one(dataset):
    folder = dataset("reflection-records")
    daily = read_daily_phases(folder / "mchl_phase.txt")
    found = soil_moisture(daily, hemisphere="south")
    moisture = found["soil_moisture"].values
    published = np.loadtxt(folder / "mchl_vwc_anomaly.txt", comments="%")[:, 3]
    assert published.size == moisture.size == 355
    assert np.abs(moisture - np.median(moisture) - published).max() <= 0.001
    north = soil_moisture(daily, hemisphere="north")["soil_moisture"].values
    assert abs(np.median(north - moisture)) > 0.02


@pytest.mark.realdata
def test_phases_of_mitchell_are_those_of_gnssrefl(dataset):
    folder = dataset("mchl-reflections")
    expected = np.loadtxt(folder / "expected/phase_L2C_011.txt", comments="%")
    arcs = []
    with tarfile.open(folder / "expected/arcs_011.tar.gz") as archive:
        for name in archive.getnames():
            if "L2C" in name and "fail" not in name:
                text = archive.extractfile(name).read().decode()
                rows = np.loadtxt(io.StringIO(text), comments="%")
                arcs.append((int(re.search(r"sat(\d+)", name)[1]), rows))
    tracks = read_tracks(folder / "mchl_phaseRH_L2.txt")
    assert expected.shape[0] == 35
    for row in expected:
        hour, phase, count, azimuth, satellite, amplitude = row[2:8]
        own = [
            rows
            for number, rows in arcs
            if number == satellite and abs(rows[:, 2].mean() / 3600 - hour) < 0.05
        ]
        assert len(own) == 1
        assert own[0].shape[0] == count
        track = tracks.find(int(satellite), azimuth)
        assert tracks.height[track] == pytest.approx(row[11], abs=5e-4)
        a, found, _ = fit_phase(own[0][:, 0], own[0][:, 1], tracks.height[track], L2)
        assert abs((found - phase + 180.0) % 360.0 - 180.0) < 0.5
        assert a == pytest.approx(amplitude, abs=0.05)


@pytest.mark.realdata
def test_phases_from_the_file_of_the_day_are_those_of_gnssrefl(dataset):
    folder = dataset("mchl-reflections")
    day, before = (read_snr(folder / f"mchl0{d}0.25.snr66.gz") for d in (11, 10))
    after = read_snr(
        folder / "mchl0120_first2h.25.snr66.gz", station="mchl", date="2025-01-12"
    )
    settings = read_settings(folder / "mchl.json", folder / "mchl_refr.txt")
    arcs = cut_arcs(day, settings, previous=before, following=after)
    tracks = read_tracks(folder / "mchl_phaseRH_L2.txt")
    found = arc_phases(arcs, tracks, np.datetime64("2025-01-11"), 20)
    ours = found.to_dataframe()
    expected = np.loadtxt(folder / "expected/phase_L2C_011.txt", comments="%")
    gps = pd.Timestamp("2025-01-11") - pd.Timedelta("18s")
    for row in expected:
        hour = (ours["time"] - gps) / pd.Timedelta("1h")
        near = (ours["satellite"] == row[6]) & ((hour - row[2]).abs() < 0.05)
        assert near.sum() == 1
        one = ours[near].iloc[0]
        assert abs((one["phase"] - row[3] + 180.0) % 360.0 - 180.0) < 0.5
        assert one["amplitude"] == pytest.approx(row[7], abs=0.05)
        assert one["observations"] == row[4]
