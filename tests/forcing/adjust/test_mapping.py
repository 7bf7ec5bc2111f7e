"""Empirical quantile mapping: what it must do to any data, and its settings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.forcing.adjust import EQM, QDM
from tilth.forcing.adjust.quantiles import (
    correction,
    factors_by_value,
    node_probabilities,
)

GROUPS = ["none", "month", "31 days"]


def normal(seed, n=1100, mean=0.0, sd=1.0):
    return np.random.default_rng(seed).normal(mean, sd, n)


@pytest.mark.parametrize("method", [EQM, QDM])
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("kind", ["+", "*"])
def test_a_perfect_model_stays_as_it_is(series, method, group, kind):
    data = series(np.abs(normal(0, mean=5.0)), units="W m-2")
    adjusted = method(kind=kind, group=group).fit(data, data).apply(data)
    np.testing.assert_allclose(adjusted, data, rtol=1e-12)


@pytest.mark.parametrize("method", [EQM, QDM])
def test_the_training_period_gets_the_observed_quantiles(series, method):
    observed, modelled = series(normal(1, 3000, 3, 2)), series(normal(2, 3000))
    adjusted = method().fit(observed, modelled).apply(modelled)
    inside = node_probabilities(50)
    np.testing.assert_allclose(
        np.quantile(adjusted, inside), np.quantile(observed, inside), atol=1e-3
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), sd=st.floats(0.5, 5.0), shift=st.floats(-50, 50))
def test_a_constant_bias_of_the_model_does_not_matter(seed, sd, shift):
    rng = np.random.default_rng(seed)
    modelled, observed = np.sort(rng.normal(size=(2, 1, 1, 20)) * sd, axis=-1)
    values = rng.normal(size=(1, 30)) * sd
    steps = np.zeros(30, int)
    results = [
        values + by
        + factors_by_value(
            values + by, modelled + by, correction(observed, modelled + by, "+", 10.0),
            steps, steps, np.zeros(30),
        )
        for by in (0.0, shift)
    ]  # fmt: skip
    np.testing.assert_allclose(*results, atol=1e-9)


@pytest.mark.parametrize("method", [EQM, QDM])
@pytest.mark.parametrize("group", GROUPS)
def test_units_of_the_model_do_not_matter(series, rain, method, group):
    observed = series(rain(1100, 1), units="mm day-1")
    modelled = series(rain(1100, 2), units="mm day-1")
    flux = (modelled / 86400).assign_attrs(units="kg m-2 s-1")
    settings_ = {"kind": "*", "group": group}
    expected = method(**settings_).fit(observed, modelled).apply(modelled)
    found = method(**settings_).fit(observed, flux).apply(flux)
    assert found.attrs["units"] == "mm day-1"
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_quantile_mapping_stretches_a_warming_as_it_stretches_the_spread(series):
    observed, modelled = series(normal(1, 4000, sd=2.0)), series(normal(2, 4000))
    warmer = modelled + 0.5
    warmer.attrs = modelled.attrs
    adjuster = EQM().fit(observed, modelled)
    change = (adjuster.apply(warmer) - adjuster.apply(modelled)).mean().item()
    assert change == pytest.approx(2 * 0.5, rel=0.05)


def test_values_beyond_the_training_period_get_the_outermost_factor(series):
    adjuster = EQM(quantiles=2).fit(series([10.0, 11.0, 12.0]), series([0.0, 1.0, 2.0]))
    far = series([-100.0, 100.0])
    np.testing.assert_allclose(adjuster.apply(far) - far, [10.0, 10.0])


def test_each_window_is_adjusted_as_a_series_of_its_own_days(series):
    """A window adjusts a day as an ungrouped mapping of the days around it does."""
    o, h = series(normal(1, 730)), series(normal(2, 730))
    windowed = EQM(group="31 days").fit(o, h).apply(h)
    day = 100
    around = np.abs(h["time"].dt.dayofyear.values - 1 - day) <= 15
    alone = EQM().fit(o[around], h[around]).apply(h[around])
    own = np.flatnonzero(h["time"].dt.dayofyear.values - 1 == day)
    np.testing.assert_allclose(
        windowed.values[own], alone.values[np.searchsorted(np.flatnonzero(around), own)]
    )


def test_amounts_just_below_zero_are_none(series, rain):
    amounts = rain(800, 3)
    modelled = series(amounts, units="mm day-1")
    rounded = series(np.where(amounts == 0, -1e-5, amounts), units="mm day-1")
    observed = series(rain(800, 4), units="mm day-1")
    adjuster = QDM("*").fit(observed, modelled)
    np.testing.assert_array_equal(adjuster.apply(rounded), adjuster.apply(modelled))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"quantiles": 1}, "quantiles"),
        ({"ratio_cap": 0.5}, "ratio_cap"),
        ({"ratio_cap": np.nan}, "ratio_cap"),
        ({"adapt_frequency": True}, "dry_below"),
        ({"dry_below": 0.1}, "kind"),
        ({"kind": "*", "dry_below": 0.0}, "positive"),
        ({"group": "weeks"}, "grouping"),
    ],
)
def test_settings_out_of_range_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        EQM(**wrong)
