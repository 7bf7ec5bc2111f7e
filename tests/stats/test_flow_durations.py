"""Flow-duration curves: exact ranks, and biases that mean what they say."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.stats import flow_duration, flow_duration_bias, flow_duration_intervals


@pytest.fixture
def flows():
    """Six years of lognormal daily discharge, m3 s-1."""
    return np.exp(np.random.default_rng(1).normal(3.0, 1.0, 2190))


def test_the_flow_of_each_rank_is_exceeded_by_its_share():
    found = flow_duration([1.0, 4.0, 2.0, 3.0, np.nan], [0.0, 0.2, 0.4, 0.5, 0.8, 1.0])
    assert found.tolist() == [4.0, 4.0, 3.0, 2.5, 1.0, 1.0]


def test_the_curve_of_a_known_distribution_is_its_quantile_function(flows):
    found = flow_duration(flows, [0.1, 0.5, 0.9])
    expected = np.exp(3.0 + np.array([1.2816, 0.0, -1.2816]))
    np.testing.assert_allclose(found, expected, rtol=0.08)


def test_the_same_water_in_another_order_has_no_bias(flows):
    shuffled = np.random.default_rng(0).permutation(flows)
    for value in flow_duration_bias(shuffled, flows).values():
        assert value == pytest.approx(0.0, abs=1e-12)


def test_biases_by_hand():
    # 99 flows 1, 2, 4, ..., exceeded in 1, 2, ... 99 %.
    observed = 2.0 ** np.arange(99)
    doubled_top = observed.copy()
    doubled_top[98] *= 2.0
    found = flow_duration_bias(doubled_top, observed)
    assert found["high"] == pytest.approx(1.0)
    assert found["middle_slope"] == found["low"] == 0.0
    # Powers: logarithms, and with them slope and low segment, grow by one half.
    steeper = flow_duration_bias(observed**1.5, observed)
    assert steeper["middle_slope"] == pytest.approx(0.5)
    assert steeper["low"] == pytest.approx(-0.5)
    # The low volume is too small where the recession is steeper; a factor is no bias
    # of slope or recession.
    scaled = flow_duration_bias(3.0 * observed, observed)
    assert scaled["high"] == pytest.approx(2.0)
    assert scaled["middle_slope"] == pytest.approx(0.0, abs=1e-12)
    assert scaled["low"] == pytest.approx(0.0, abs=1e-12)


def test_a_segment_without_flows_or_logarithms_is_missing():
    short = flow_duration_bias(np.arange(1.0, 11.0), np.arange(1.0, 11.0))
    assert np.isnan(short["high"])
    assert short["low"] == 0.0
    dry = np.r_[np.zeros(40), np.arange(1.0, 61.0)]
    found = flow_duration_bias(dry, dry)
    assert found["high"] == 0.0
    assert np.isnan(found["middle_slope"])
    assert np.isnan(found["low"])
    still = flow_duration_bias(np.full(60, 2.0), np.full(60, 3.0))
    assert np.isnan(still["middle_slope"])
    assert np.isnan(still["low"])
    gone = flow_duration_bias(np.full(60, np.nan), np.full(60, 3.0))
    assert all(np.isnan(value) for value in gone.values())


def test_rows_are_treated_one_by_one_and_gaps_leave_pairs_out(flows):
    simulated = np.stack([1.1 * flows, flows])
    observed = np.stack([flows, flows])
    observed[1, 7] = np.nan
    simulated[1, 7] = 1e9
    found = flow_duration_bias(simulated, observed)
    np.testing.assert_allclose(found["high"], [0.1, 0.0], atol=1e-12)


def test_intervals_hold_the_estimate_and_shrink_with_the_record(flows):
    rng = np.random.default_rng(3)
    simulated = flows * np.exp(rng.normal(0.0, 0.3, flows.size))
    week = np.arange(flows.size) // 7
    long = flow_duration_intervals(simulated, flows, week, draws=100)
    short = flow_duration_intervals(simulated[:420], flows[:420], week[:420], draws=100)
    bias = flow_duration_bias(simulated, flows)
    for name, result in long.items():
        assert result.estimate == pytest.approx(float(bias[name]))
        assert result.lower <= result.estimate <= result.upper
    for name in ("high", "middle_slope"):  # the low one hangs on a single day
        assert short[name].se > 1.5 * long[name].se > 0.0


def test_what_is_no_share_or_no_pair_is_refused():
    with pytest.raises(InputError, match="between 0 and 1"):
        flow_duration([1.0], [20.0])
    with pytest.raises(InputError, match="differ in shape"):
        flow_duration_bias([1.0, 2.0], [1.0])
