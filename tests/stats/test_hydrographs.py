"""Peaks and scores of hydrographs: exact small cases, and reasons for no score."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.stats import (
    block_peaks,
    hydrograph_scores,
    independent_peaks,
    kge,
    log_nse,
    nse,
    peak_errors,
    peak_intervals,
)
from tilth.stats.hydrographs import REASONS
from tilth.stats.scores import SCORES


def wave(delay=0.0, height=1.0):
    """Return 400 days of a base flow with peaks of 50 to 90 every 80 days."""
    day = np.arange(400.0)
    tops = [(40 + 80 * i + delay, 50.0 + 10 * i) for i in range(5)]
    return 10.0 + sum(
        height * size * np.exp(-(((day - top) / 6.0) ** 2)) for top, size in tops
    )


def test_a_peak_counts_once_however_many_days_it_exceeds():
    assert independent_peaks(wave(), 30.0).tolist() == [40, 120, 200, 280, 360]
    assert independent_peaks(wave(), 85.0).tolist() == [280, 360]


def test_of_two_near_peaks_the_higher_is_kept():
    series = [0, 4, 3, 6, 0, 0, 0, 5, 0]
    assert independent_peaks(series, 1.0, 1).tolist() == [1, 3, 7]
    assert independent_peaks(series, 1.0, 3).tolist() == [3, 7]
    assert independent_peaks(series, 1.0, 6).tolist() == [3]


def test_a_flat_top_is_one_peak_and_a_short_series_has_none():
    assert independent_peaks([0, 5, 5, 5, 1, 2, 2, 3, 0], 0.0).tolist() == [2, 7]
    assert independent_peaks([4, 4, 4, 4], 0.0).size == 0
    assert independent_peaks([1, 2], 0.0).size == independent_peaks([], 0.0).size == 0
    assert independent_peaks([0, 3, 0, np.nan, np.nan, 0, 4, 0], 0).tolist() == [1, 6]


def test_the_flank_beside_a_gap_or_an_end_is_no_peak():
    assert independent_peaks([9, 1, 2, 1, 7, 8, np.nan, 3, 1, 9], 0.0).tolist() == [2]


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=3, max_size=60), st.integers(1, 9))
def test_peaks_keep_their_distance_and_reach_the_threshold(flows, separation):
    found = independent_peaks(flows, 4.0, separation)
    assert (np.diff(found) >= separation).all()
    assert all(flows[i] >= 4 for i in found)


def test_each_block_has_its_maximum_and_an_empty_one_none():
    flows = [1.0, 4.0, np.nan, np.nan, 7.0, 7.0]
    assert block_peaks(flows, [1, 1, 2, 2, 3, 3]).tolist() == [1, 4]


def test_a_delayed_and_lowered_wave_shows_its_delay_and_size():
    observed = wave()
    simulated = np.roll(observed, 3) * 0.8
    found = peak_errors(simulated, observed, independent_peaks(observed, 30.0), 10)
    np.testing.assert_array_equal(found.delay, 3.0)
    np.testing.assert_allclose(found.relative_size, -0.2)
    assert found.missed == 0
    intervals = peak_intervals(found)
    assert intervals["delay"].estimate == intervals["delay"].lower == 3.0
    assert intervals["relative_size"].upper == pytest.approx(-0.2)


def test_a_peak_outside_of_the_window_is_missed():
    observed = wave()
    at = independent_peaks(observed, 30.0)
    assert peak_errors(wave(delay=8.0), observed, at, 7).missed == 5
    assert peak_errors(wave(delay=8.0), observed, at, 8).missed == 0


def test_a_flow_that_only_rises_through_the_window_has_missed_the_peak():
    found = peak_errors(np.arange(9.0), [0, 0, 0, 0, 5, 0, 0, 0, 0], [4], window=2)
    assert found.missed == 1
    assert np.isnan(found.delay[0])


def test_of_equally_high_simulated_peaks_the_nearest_is_taken():
    simulated = [0, 7, 0, 0, 7, 0, 0]
    assert peak_errors(simulated, [0, 0, 0, 9, 0, 0, 0], [3], 3).delay.tolist() == [1.0]


def test_the_interval_of_peaks_holds_their_true_mean_as_often_as_it_says():
    rng = np.random.default_rng(5)
    held = 0
    for trial in range(200):
        observed = np.zeros(25 * 20)
        at = 10 + 20 * np.arange(25)
        observed[at] = 100.0
        simulated = np.zeros_like(observed)
        simulated[at] = 100.0 * (1 + rng.normal(0.1, 0.2, 25))
        result = peak_intervals(
            peak_errors(simulated, observed, at, 3), draws=300, level=0.9, seed=trial
        )["relative_size"]
        held += result.lower <= 0.1 <= result.upper
    assert 0.82 <= held / 200 <= 0.95


def test_log_nse_is_the_efficiency_of_logarithms():
    simulated, observed = np.array([1.0, 3.0, 9.0]), np.array([1.0, 4.0, 8.0])
    expected = nse(np.log(simulated), np.log(observed))
    assert log_nse(simulated, observed, offset=0.0) == pytest.approx(expected)
    shift = 0.01 * observed.mean()
    expected = nse(np.log(simulated + shift), np.log(observed + shift))
    assert log_nse(simulated, observed) == pytest.approx(expected)


def test_a_dry_day_has_a_logarithm_and_a_reversed_flow_has_none():
    assert np.isfinite(log_nse([0.0, 1.0, 5.0], [0.0, 2.0, 4.0]))
    assert np.isnan(log_nse([0.0, 1.0, 5.0], [0.0, 2.0, 4.0], offset=0.0))
    assert np.isnan(log_nse([-3.0, 1.0, 5.0], [0.1, 2.0, 4.0]))


def test_scores_are_those_of_the_room_where_the_river_varies():
    rng = np.random.default_rng(2)
    observed = 1e4 + rng.gamma(2.0, 500.0, (2, 200))
    simulated = observed + rng.normal(0.0, 100.0, observed.shape)
    found = hydrograph_scores(simulated, observed)
    assert set(found) == {*SCORES, "log_nse", "reason"}
    np.testing.assert_array_equal(found["reason"], REASONS["scored"])
    np.testing.assert_allclose(found["nse"], nse(simulated, observed), rtol=1e-12)
    np.testing.assert_allclose(found["kge"], kge(simulated, observed), rtol=1e-12)
    np.testing.assert_allclose(found["log_nse"], log_nse(simulated, observed))


def test_a_series_without_a_score_says_why():
    day = np.arange(30.0)
    observed = np.stack([np.zeros(30), 100.0 + 0.1 * np.sin(day), day, day])
    observed[2, 5:] = np.nan
    simulated = observed + 1.0
    found = hydrograph_scores(simulated, observed)
    names = ["no_flow", "hardly_varies", "too_few_pairs", "scored"]
    assert found["reason"].tolist() == [REASONS[name] for name in names]
    for name in ("nse", "kge", "kge_2009", "correlation", "log_nse"):
        assert np.isfinite(found[name]).tolist() == [False, False, False, True]
    # The bias of a still river is as good a number as any.
    np.testing.assert_allclose(found["bias"], 1.0)
    # What the efficiency would have been: worse than any that says something.
    assert nse(simulated[1], observed[1]) < -100


@settings(max_examples=30, deadline=None)
@given(st.floats(0.01, 1e6))
def test_scores_do_not_depend_on_the_unit(factor):
    rng = np.random.default_rng(0)
    observed = rng.gamma(1.0, 3.0, 60)
    simulated = observed * rng.uniform(0.7, 1.3, 60)
    a = hydrograph_scores(simulated, observed)
    b = hydrograph_scores(factor * simulated, factor * observed)
    for name in ("nse", "kge", "log_nse", "reason", "relative_bias"):
        np.testing.assert_allclose(b[name], a[name], rtol=1e-8)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: independent_peaks([[1, 2]], 0.0), "one series"),
        (lambda: independent_peaks([1, 2, 1], 0.0, 0), "at least 1 step"),
        (lambda: block_peaks([1, 2], [1]), "one label per value"),
        (lambda: peak_errors([1, 2], [1, 2, 3], [1], 1), "differ in length: 2 and 3"),
        (lambda: peak_errors([1, 2], [1, 2], [0], -1), "cannot be negative"),
        (lambda: peak_errors([1, 2], [1, 2], [5], 1), "do not lie within 2"),
        (
            lambda: peak_intervals(peak_errors([0, 1, 0], [0, 1, 0], [1], 1)),
            "1 of 1 peaks",
        ),
        (lambda: log_nse([1, 2], [1]), "differ in shape"),
        (lambda: hydrograph_scores([1, 2], [1]), "differ in shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()
