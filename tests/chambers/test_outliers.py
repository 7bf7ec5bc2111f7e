import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.quality.outliers import flag_outliers, outlier_score, outliers
from tilth.core.errors import InputError
from tilth.core.flags import is_flagged


def nights(n_days=20, level=0.6, spread=0.2, seed=0):
    """Nine values a night, lognormal."""
    days = pd.date_range("2023-09-01 20:00", periods=n_days)
    time = np.concatenate([d + pd.to_timedelta(np.arange(9), "h") for d in days])
    rng = np.random.default_rng(seed)
    return time, level * np.exp(spread * rng.standard_normal(len(time)))


@pytest.mark.realdata
def test_every_known_outlier_of_the_published_hours_is_caught(dataset):
    hourly = pd.read_csv(
        dataset("carbdown-greenhouse") / "efflux_2023_hourly_per_variant.csv",
        dtype={"expid": str},
    )
    known = [
        ("3.1", "2023-07-03 12"),
        ("3.9", "2023-12-11 17"),
        ("3.9", "2023-12-11 18"),
        ("3.9", "2023-12-11 19"),
        ("3.9", "2023-12-11 22"),
        ("3.0", "2023-09-08 19"),
        ("2.7", "2023-12-15 19"),
    ]
    time, group = hourly["first_received_utc"], hourly["expid"]
    found = outliers(time, group, hourly["flux_published"])
    for expid, hour in known:
        row = (group == expid) & time.str.startswith(hour)
        assert found[row].tolist() == [True], (expid, hour)
    # The rest is not cut to pieces: hours with the light sensor's error code are
    # single cycles in daylight, most of the others go no further than the known.
    night = hourly["light_lux"] >= 0
    assert found.mean() < 0.01
    assert found[night].mean() < 0.005
    assert found[~night].mean() > 0.7
    # Published or repaired units make no difference.
    np.testing.assert_array_equal(
        found, outliers(time, group, hourly["flux_published"] / 3)
    )


def test_a_spike_is_found_and_its_neighbours_are_left_alone():
    time, value = nights()
    value[80] = 6.0
    assert np.flatnonzero(outliers(time, ["a"] * len(value), value)).tolist() == [80]


def test_an_evening_of_spikes_is_outvoted_by_other_nights():
    time, value = nights()
    value[[90, 91, 92, 95]] *= 6.0
    found = outliers(time, ["a"] * len(value), value)
    assert np.flatnonzero(found).tolist() == [90, 91, 92, 95]


def test_a_season_is_no_outlier():
    time, value = nights(n_days=120)
    value = value * np.linspace(3.0, 0.3, len(value))
    assert outliers(time, ["a"] * len(value), value).mean() < 0.002


def test_uptake_far_below_is_an_outlier_too():
    time, value = nights()
    value[50] = -4.0
    score = outlier_score(time, ["a"] * len(value), value)
    assert score[50] < -5
    assert outliers(time, ["a"] * len(value), value)[50]


def test_groups_do_not_judge_each_other():
    time, low = nights(level=0.3)
    _, high = nights(level=6.0, seed=1)
    group = ["5.1"] * len(low) + ["5.10"] * len(high)
    found = outliers(np.r_[time, time], group, np.r_[low, high])
    assert found.mean() < 0.01
    assert outliers(np.r_[time, time], ["5.1"] * len(group), np.r_[low, high]).any()


def test_nearly_equal_values_make_no_outlier_of_a_small_difference():
    time, _ = nights()
    value = np.full(len(time), 0.5)
    value[40] = 0.6
    assert not outliers(time, ["a"] * len(value), value).any()
    value[40] = 1.5
    assert outliers(time, ["a"] * len(value), value)[40]


def test_few_neighbours_zeros_and_missing_values_are_not_judged():
    time, value = nights(n_days=1)
    short = slice(0, 8)
    assert np.isnan(outlier_score(time[short], ["a"] * 8, value[short])).all()
    assert np.isnan(outlier_score(time, ["a"] * 9, np.zeros(9))).all()
    value[3] = np.nan
    score = outlier_score(time, ["a"] * 9, value)
    assert np.isnan(score).all()
    assert not outliers(time, ["a"] * 9, value).any()


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 100))
def test_neither_the_unit_nor_the_order_of_the_rows_matters(scale, seed):
    time, value = nights(n_days=6, seed=seed)
    group = np.array(["a", "b"], object)[np.arange(len(value)) % 2]
    score = outlier_score(time, group, value)
    shuffle = np.random.default_rng(seed).permutation(len(value))
    other = outlier_score(time[shuffle], group[shuffle], scale * value[shuffle])
    np.testing.assert_allclose(other, score[shuffle], rtol=1e-6, atol=1e-9)


def test_the_score_is_that_of_the_formula():
    time, value = nights(n_days=2)
    i = 4
    near = np.delete(value, i)
    scale = 2 * np.median(near)
    y = np.arcsinh(near / scale)
    mad = 1.4826 * np.median(np.abs(y - np.median(y)))
    expected = (np.arcsinh(value[i] / scale) - np.median(y)) / max(mad, 0.1 / 5**0.5)
    assert outlier_score(time, ["a"] * 18, value)[i] == pytest.approx(expected)


def test_wrong_lengths_and_windows_are_refused():
    time, value = nights(n_days=2)
    with pytest.raises(InputError, match="one length"):
        outlier_score(time, ["a"], value)
    with pytest.raises(InputError, match="window"):
        outlier_score(time, ["a"] * 18, value, window_days=0)


def test_doubted_fluxes_are_neither_judged_nor_judges():
    time, value = nights()
    value[80], value[81] = 6.0, 6.0
    fluxes = xr.Dataset(
        {
            "flux": ("closure", value),
            "closure_flag": (
                "closure",
                np.where(np.arange(len(value)) == 80, 1, 0).astype("int32"),
                CLOSURE_FLAGS.attrs(),
            ),
        },
        coords={
            "closure": [f"c{i}" for i in range(len(value))],
            "time": ("closure", time),
            "pot": ("closure", np.array(["9.2.B"] * len(value), object)),
        },
    )
    flagged = flag_outliers(fluxes)
    found = is_flagged(flagged["closure_flag"], "outlier").values
    assert np.flatnonzero(found).tolist() == [81]
    assert flagged["closure_flag"].values[80] == 1
