"""MIDAS: the original program's numbers, and what a median of slopes must do."""

import time

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.gnss.positions import decimal_year, read_positions, read_steps
from tilth.gnss.positions.year_slopes import (
    median_slope,
    midas,
    midas_pairs,
    midas_velocity,
    step_years,
)

STEP = 2015.5674


def read(path):
    """Return printed decimal years and positions (m) of a tenv file."""
    columns = np.genfromtxt(path, usecols=(2, 6, 7, 8))
    return columns[:, 0], columns[:, 1:]


def read_tenv3(path):
    """Return printed decimal years and positions (m) of a tenv3 file."""
    columns = np.genfromtxt(path, skip_header=1, usecols=(2, 7, 8, 9, 10, 11, 12))
    both = columns[:, 1::2] + columns[:, 2::2]
    return columns[:, 0], both - both[0]


def series(years=4.0, rate=(3.0, -2.0, 1.0), noise=0.0, seed=0):
    """Return daily positions (m) with velocities in mm yr-1."""
    days = pd.date_range("2010-01-01 12:00", periods=round(years * 365.25))
    t = decimal_year(days.values).round(4) - 2010.0
    draws = np.random.default_rng(seed).normal(size=(3, days.size))
    values = 1e-3 * (np.outer(rate, t) + noise * draws)
    names = ("east", "north", "up")
    return xr.Dataset(
        {n: ("time", v) for n, v in zip(names, values, strict=True)}, {"time": days}
    )


def in_millimetres(found):
    """Return velocities and standard errors, mm yr-1."""
    return (
        [1e3 * v.velocity for v in found],
        [1e3 * v.se for v in found],
    )


@pytest.mark.realdata
def test_with_a_step_the_numbers_of_the_original_program_come_out(dataset):
    # The release's own output for DUTC, MIDAS4 with the step of 2015-07-27.
    years, positions = read(dataset("station-positions") / "midas_dutc/DUTC.IGS08.tenv")
    found = midas(years, positions, [STEP])
    velocity, se = in_millimetres(found)
    np.testing.assert_allclose(velocity, [-6.780, -21.395, 0.573], atol=6e-4)
    np.testing.assert_allclose(se, [0.911, 1.198, 3.685], atol=6e-4)
    assert [v.pairs for v in found] == [229] * 3
    assert [round(v.trimmed, 3) for v in found] == [0.087, 0.079, 0.105]


@pytest.mark.realdata
def test_without_steps_east_and_up_are_the_original_programs(dataset):
    # North has slopes at the very edge of the trim: the release prints -22.167 +-
    # 1.052, arithmetic of other precision gives -22.177 +- 1.071.
    years, positions = read(dataset("station-positions") / "midas_dutc/DUTC.IGS08.tenv")
    found = midas(years, positions)
    velocity, se = in_millimetres(found)
    np.testing.assert_allclose(velocity[::2], [-6.972, 3.275], atol=6e-4)
    np.testing.assert_allclose(se[::2], [0.926, 3.680], atol=6e-4)
    assert velocity[1] == pytest.approx(-22.167, abs=0.02)
    assert se[1] == pytest.approx(1.052, abs=0.02)
    assert found[0].pairs == 366


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("file", "reader", "velocity", "se", "pairs"),
    [
        (
            "LHAS.tenv3",
            read_tenv3,
            [46.167, 15.845, 0.528],
            [0.260, 0.274, 0.713],
            6685,
        ),
        (
            "MPRA.IGS08.tenv.txt",
            read,
            [20.491, 16.896, -0.235],
            [0.159, 0.205, 0.557],
            11340,
        ),
    ],
)
def test_long_series_give_the_numbers_of_an_independent_program(
    dataset, file, reader, velocity, se, pairs
):
    years, positions = reader(dataset("station-positions") / file)
    found = midas(years, positions)
    ours = in_millimetres(found)
    np.testing.assert_allclose(ours[0], velocity, atol=1e-3)
    np.testing.assert_allclose(ours[1], se, atol=1e-3)
    assert found[0].pairs == pairs


@pytest.mark.realdata
def test_sixteen_years_of_days_take_less_than_twenty_milliseconds(dataset):
    years, positions = read(dataset("station-positions") / "MPRA.IGS08.tenv.txt")
    midas(years, positions)
    before = time.process_time()
    for _ in range(5):
        midas(years, positions)
    assert (time.process_time() - before) / 5 < 0.02


def test_a_gap_is_bridged_by_the_next_partner_not_used_yet():
    years = [2000.0, 2000.1, 2000.2, 2001.5, 2001.6, 2001.7]
    forward = midas_pairs(years)[:3]
    assert forward.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_no_pair_spans_a_step():
    years = np.round(np.arange(2000, 2004, 1 / 365.25), 4)
    first, second = midas_pairs(years, [2002.0]).T
    assert first.size
    assert ((years[first] < 2002.0) == (years[second] < 2002.0)).all()


def test_a_step_a_season_and_outliers_do_not_move_the_velocity():
    data = series(6.0, noise=1.0)
    t = decimal_year(data["time"].values)
    clean = midas_velocity(data)["velocity"]
    spoiled = data.copy()
    spoiled["up"] = data["up"] + 0.05 * (t > 2013.0) + 0.01 * np.sin(2 * np.pi * t)
    spoiled["up"][::40] += 0.5
    with_step = midas_velocity(spoiled, [np.datetime64("2013-01-01")])["velocity"]
    undeclared = midas_velocity(spoiled)["velocity"]
    assert abs(float(with_step[2] - clean[2])) < 2e-4
    # Without the step a sixth of the slopes is off by 50 mm yr-1, all to one side.
    assert abs(float(undeclared[2] - clean[2])) < 1e-3


def test_what_is_no_measurement_is_left_out():
    data = series(3.0)
    data["east_se"] = ("time", np.full(data.sizes["time"], 1e-3))
    data["east"][5] = 120.0
    data["north"][6] = np.nan
    data["east_se"][7] = 0.04
    found = midas_velocity(data)
    assert found.attrs["epochs"] == data.sizes["time"] - 3
    np.testing.assert_allclose(
        found["velocity"], [3e-3, -2e-3, 1e-3], rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(found["velocity_se"], 0.0, atol=1e-9)


def test_the_scatter_of_the_velocity_is_what_the_standard_error_is_built_on():
    errors = []
    for seed in range(60):
        found = midas_velocity(series(2.0, noise=2.0, seed=seed))
        truth = np.array([3.0, -2.0, 1.0]) * 1e-3
        errors.append((found["velocity"] - truth) / found["velocity_se"])
    # In two years the 365 slopes share no epoch, but each pair is found twice: the
    # formula has sqrt(730 / 4) for sqrt(365), and three times that. Trimming at two
    # standard deviations leaves 0.945 of the deviation and 0.954 of the slopes.
    expected = np.sqrt(730 / 4 / 365) / 3 / 0.945 * np.sqrt(0.954)
    assert np.std(errors) == pytest.approx(expected, abs=0.04)


@settings(deadline=None, max_examples=40)
@given(
    st.sets(st.integers(0, 1500), min_size=30, max_size=300),
    st.floats(-50.0, 50.0),
    st.sets(st.integers(200, 1300), max_size=3),
)
def test_a_straight_line_is_found_whatever_the_gaps(days, rate, steps):
    years = decimal_year(
        np.datetime64("2010-01-01") + np.array(sorted(days), "timedelta64[D]")
    ).round(4)
    at = [2010.0 + s / 365.25 for s in steps]
    pairs = midas_pairs(years, at)
    gaps = years[pairs[:, 1]] - years[pairs[:, 0]]
    assert (gaps > 1.0 - 0.0011).all()
    if pairs.size:
        (found,) = midas(years, rate * (years - 2010.0), at)
        assert found.velocity == pytest.approx(rate, abs=1e-9)


@pytest.mark.realdata
def test_a_station_read_from_its_files_gives_the_same_numbers(dataset):
    folder = dataset("station-positions") / "midas_dutc"
    positions = read_positions(folder / "DUTC.IGS08.tenv")
    steps = read_steps(folder / "DUTC.IGS08.step")
    found = midas_velocity(positions, steps["time"].values)
    np.testing.assert_allclose(
        1e3 * found["velocity"], [-6.780, -21.395, 0.573], atol=2e-3
    )
    assert (found.attrs["epochs"], found.attrs["pairs"]) == (545, 229)


def test_dates_of_steps_are_the_days_noons_to_four_digits():
    # 15JUL27 stands beside 2015.5674 in the release's file of steps.
    for moment in ("2015-07-27", "2015-07-27T23:00"):
        assert step_years([np.datetime64(moment)]).tolist() == [2015.5674]
    assert step_years([2016.0, 2015.5]).tolist() == [2015.5, 2016.0]
    with pytest.raises(InputError, match="decimal years"):
        step_years(["soon"])


def test_less_than_a_year_and_disorder_are_refused():
    with pytest.raises(InputError, match="more than a year"):
        midas_velocity(series(0.9))
    with pytest.raises(InputError, match="increase"):
        midas([2000.0, 2002.0, 2001.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="check the units"):
        midas_velocity(1e6 * series(2.0) + 1e6)
    with pytest.raises(InputError, match="as many rows"):
        midas([2000.0, 2001.0], [1.0])
    with pytest.raises(InputError, match="decimal years"):
        midas_pairs([2000.0, 2001.0], [np.nan])
    with pytest.raises(InputError, match="a year apart"):
        median_slope([])
