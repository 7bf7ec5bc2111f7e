"""Events over a threshold: declustered, counted, and with an exact interval."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import chi2

from tilth.core.errors import InputError
from tilth.rivers.floods import event_frequency, poisson_interval


def series(values, dims=("time",), **options):
    values = np.asarray(values, float)
    time = pd.date_range("2001-01-01", periods=values.shape[-1], **options)
    return xr.DataArray(
        values, dims=dims, coords={"time": time}, attrs={"units": "m3 s-1"}
    )


def test_days_apart_by_less_than_the_separation_are_one_event():
    flow = [9, 9, 1, 1, 9, 1, 1, 1, 9, 1]
    for days, events in ((1, 3), (2, 3), (3, 2), (4, 1)):
        found = event_frequency(series(flow), 5.0, separation_days=days)
        assert int(found["events"]) == events


def test_an_event_has_its_length_and_its_peak():
    found = event_frequency(
        series([6, 9, 1, 7, 0, 0, 0, 0, 8, 0]), 5.0, separation_days=3
    )
    assert int(found["events"]) == 2
    assert float(found["mean_peak"]) == 8.5
    assert float(found["mean_duration"]) == 2.0
    assert float(found["time_above"]) == pytest.approx(0.4)
    assert found["mean_peak"].attrs["units"] == "m3 s-1"


def test_separation_is_in_days_whatever_the_step():
    daily = [9, 0, 0, 0, 9, 0, 0, 9]
    coarse = event_frequency(series(daily), 5.0, separation_days=3)
    fine = event_frequency(
        series(np.repeat(daily, 8), freq="3h"), 5.0, separation_days=3
    )
    assert int(coarse["events"]) == int(fine["events"]) == 2
    for name in ("rate", "time_above", "mean_duration"):
        assert float(fine[name]) == pytest.approx(float(coarse[name]))


def test_the_rate_is_per_observed_year_and_a_threshold_is_to_be_exceeded():
    flow = np.zeros(3653)
    flow[100::365] = 5.0
    flow[200::365] = 4.0
    found = event_frequency(series(flow), 4.0)
    assert int(found["events"]) == 10
    assert float(found["rate"]) == pytest.approx(1.0, rel=1e-3)
    flow[:1826] = np.nan
    half = event_frequency(series(flow), 4.0)
    assert float(half["years"]) == pytest.approx(5.0, rel=1e-3)
    assert float(half["rate"]) == pytest.approx(1.0, rel=1e-3)


def test_the_interval_is_the_exact_one_of_a_poisson_count():
    n = np.array([0, 1, 7, 120])
    low, high = poisson_interval(xr.DataArray(n), 0.9)
    expected = np.where(n > 0, chi2.ppf(0.05, 2 * np.maximum(n, 1)) / 2, 0.0)
    np.testing.assert_allclose(low, expected)
    np.testing.assert_allclose(high, chi2.ppf(0.95, 2 * n + 2) / 2)


def test_the_interval_holds_the_true_rate_at_least_as_often_as_it_says():
    rng = np.random.default_rng(4)
    years = 20
    flow = np.zeros((500, years * 365))
    rate = 1.5
    for row in flow:
        # Storms at random moments; two within the separation would be one event,
        # which at this rate happens to one in fifty.
        row[rng.integers(0, row.size, rng.poisson(rate * years))] = 10.0
    found = event_frequency(
        series(flow, ("river", "time")), 5.0, separation_days=1.0, level=0.90
    )
    held = (found["rate_lower"] <= rate) & (rate <= found["rate_upper"])
    assert 0.89 <= float(held.mean()) <= 0.97
    assert float(found["rate"].mean()) == pytest.approx(rate, rel=0.03)


def test_each_river_has_its_threshold_and_chunks_change_nothing():
    rng = np.random.default_rng(0)
    flow = series(rng.gamma(1.0, 100.0, (6, 800)), ("river", "time"))
    threshold = flow.quantile(0.95, "time").drop_vars("quantile")
    whole = event_frequency(flow, threshold)
    assert ((whole["time_above"] * 800).round() == 40).all()
    parts = event_frequency(flow.chunk(river=2), threshold)
    assert parts["rate_upper"].chunks is not None
    xr.testing.assert_identical(parts.compute(), whole)


def test_a_river_that_never_rises_has_no_event_but_a_bound_on_the_rate():
    found = event_frequency(series(np.zeros(3653)), 5.0, level=0.90)
    assert int(found["events"]) == 0
    assert np.isnan(found["mean_peak"])
    assert float(found["rate_lower"]) == 0.0
    # 95 % of Poisson counts with this mean are above none.
    assert float(found["rate_upper"]) == pytest.approx(-np.log(0.05) / 10, rel=1e-3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: event_frequency(xr.DataArray([1.0], dims="x"), 1.0), "dimension time"),
        (lambda: event_frequency(series([1.0, 2.0])[:1], 1.0), "more than one time"),
        (lambda: event_frequency(series(np.ones(9))[[0, 1, 4]], 1.0), "equal steps"),
        (
            lambda: event_frequency(series([1.0, 2.0]), 1.0, separation_days=0),
            "above 0",
        ),
        (lambda: event_frequency(series([1.0, 2.0]), 1.0, level=90), "between 0 and 1"),
    ],
)
def test_series_without_a_clock_are_refused(call, says):
    with pytest.raises(InputError, match=says):
        call()
