"""Event frequency: exact intervals, floods of several days, and coverage."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats as reference

from tilth.core.errors import InputError
from tilth.stats import event_frequency, frequency_change, observed_threshold

TIME = xr.date_range("1982-01-01", "2011-12-31", use_cftime=False)


def daily(values, time=TIME):
    return xr.DataArray(values, {"time": time}, ("time",), attrs={"units": "m3 s-1"})


def floods(per_year, length, worlds, seed=0, years=30):
    """Floods that begin independently, each `length` days above one."""
    generator = np.random.default_rng(seed)
    time = xr.date_range("1982-01-01", periods=365 * years, calendar="noleap",
                         use_cftime=True)  # fmt: skip
    begins = generator.random((worlds, time.size)) < per_year / 365.0
    high = begins.copy()
    for lag in range(1, length):
        high[:, lag:] |= begins[:, :-lag]
    return xr.DataArray(high * 2.0, {"time": time}, ("cell", "time"))


def test_the_interval_is_that_of_garwood():
    values = np.zeros(TIME.size)
    values[100 * np.arange(1, 8)] = 5.0
    found = event_frequency(daily(values), 1.0, level=0.9)
    assert float(found["events"]) == 7.0
    assert float(found["years"]) == pytest.approx(30.0, rel=1e-3)
    years = float(found["years"])
    # Table of Garwood (1936) for seven events at 90 %: 3.285 and 13.148.
    assert float(found["lower"]) * years == pytest.approx(3.285, abs=5e-4)
    assert float(found["upper"]) * years == pytest.approx(13.148, abs=5e-4)


def test_no_event_still_has_an_upper_limit():
    found = event_frequency(daily(np.zeros(TIME.size)), 1.0)
    assert float(found["rate"]) == float(found["lower"]) == 0.0
    # Minus the logarithm of 0.025.
    assert float(found["upper"] * found["years"]) == pytest.approx(3.689, abs=5e-4)
    assert float(found["years_with_upper"]) == pytest.approx(
        reference.beta.ppf(0.975, 1, 30)
    )
    assert np.isnan(found["dispersion"])


def test_a_value_at_the_threshold_is_no_event_and_a_run_is_one():
    values = np.zeros(TIME.size)
    values[10:14] = [1.0, 3.0, 3.0, 1.0]
    values[[16, 18]] = 3.0
    series = daily(values)
    count = {
        gap: float(event_frequency(series, 1.0, separation=gap)["events"])
        for gap in (1, 2, 4)
    }
    assert count == {1: 3.0, 2: 2.0, 4: 1.0}


@pytest.mark.parametrize("per_year", [0.1, 1.0, 6.0])
def test_intervals_of_independent_events_hold_the_truth_at_least_as_often(per_year):
    found = event_frequency(floods(per_year, 1, worlds=600), 1.0)
    inside = (found["lower"] <= per_year) & (found["upper"] >= per_year)
    assert float(inside.mean()) > 0.94
    if per_year == 1.0:
        assert float(found["dispersion"].mean()) == pytest.approx(1.0, abs=0.05)


def test_floods_that_break_up_into_days_need_a_separation():
    generator = np.random.default_rng(1)
    high = floods(2.0, 12, worlds=500, seed=2)
    # Every third day the flow falls below the threshold for a day.
    broken = high * (generator.random(high.shape) > 0.33)
    naive = event_frequency(broken, 1.0)
    parted = event_frequency(broken, 1.0, separation=8)
    # Two floods a year, a few less where they overlap.
    assert float(naive["rate"].mean()) > 5.0
    assert float(naive["dispersion"].mean()) > 3.0
    assert float(parted["dispersion"].mean()) < 1.1
    truth = float(parted["rate"].mean())
    assert truth == pytest.approx(2.0, abs=0.25)
    inside = (parted["lower"] <= truth) & (parted["upper"] >= truth)
    assert float(inside.mean()) > 0.93
    mean = float(naive["rate"].mean())
    covered = (naive["lower"] <= mean) & (naive["upper"] >= mean)
    assert float(covered.mean()) < 0.8


def test_days_without_a_value_are_no_exposure():
    series = daily(np.zeros(TIME.size))
    series = series.where(series["time"].dt.year >= 1997)
    found = event_frequency(series, 1.0)
    assert float(found["years"]) == pytest.approx(15.0, rel=2e-3)
    winters = daily(np.zeros(TIME.size)).isel(time=TIME.month <= 2)
    assert float(event_frequency(winters, 1.0)["years"]) == pytest.approx(
        30.0, rel=0.02
    )


def test_the_threshold_is_of_the_observed_and_not_of_each_model():
    generator = np.random.default_rng(3)
    observed = daily(generator.gamma(2.0, 300.0, TIME.size))
    wet = 1.3 * observed
    limit = observed_threshold(observed, 0.95, (1982, 2011))
    assert float(limit) == pytest.approx(np.quantile(observed, 0.95))
    assert limit.attrs["units"] == "m3 s-1"
    assert "0.95" in limit.attrs["threshold"]
    ours = float(event_frequency(observed, limit)["rate"])
    theirs = float(event_frequency(wet, limit)["rate"])
    own = float(event_frequency(wet, observed_threshold(wet, 0.95))["rate"])
    assert own == ours
    assert theirs > 1.8 * ours


def test_frequencies_of_two_periods_are_compared_exactly():
    past = event_frequency(floods(1.0, 1, worlds=800, seed=4), 1.0)
    recent = event_frequency(floods(1.5, 1, worlds=800, seed=5), 1.0)
    found = frequency_change(past, recent)
    inside = (found["lower"] <= 1.5) & (found["upper"] >= 1.5)
    assert float(inside.mean()) > 0.945
    k, n = int(recent["events"][0]), int(recent["events"][0] + past["events"][0])
    exact = reference.binomtest(k, n).proportion_ci(0.95)
    assert float(found["upper"][0]) == pytest.approx(exact.high / (1 - exact.high))
    assert float(found["lower"][0]) == pytest.approx(exact.low / (1 - exact.low))
    same = event_frequency(floods(1.0, 1, worlds=800, seed=6), 1.0)
    assert float((frequency_change(past, same)["p_value"] < 0.05).mean()) < 0.05


def test_the_p_value_of_even_shares_is_that_of_the_binomial_test():
    for k, n in ((12, 15), (3, 20), (7, 14), (0, 5)):
        past, recent = (
            xr.Dataset({"events": float(c), "years": 30.0}) for c in (n - k, k)
        )
        found = frequency_change(past, recent)
        assert float(found["p_value"]) == pytest.approx(
            reference.binomtest(k, n).pvalue, rel=1e-9
        )


def test_periods_without_any_event_cannot_be_compared():
    quiet = event_frequency(daily(np.zeros(TIME.size)), 1.0)
    found = frequency_change(quiet, quiet)
    assert all(np.isnan(found[name]) for name in found)


def test_many_cells_on_dask_are_each_as_if_alone():
    x = floods(2.0, 3, worlds=5)
    whole = event_frequency(x, 1.0, (1985, 1999), separation=2)
    on_dask = event_frequency(x.chunk(cell=2), 1.0, (1985, 1999), separation=2)
    xr.testing.assert_identical(whole, on_dask.compute())
    alone = event_frequency(x.isel(cell=4), 1.0, (1985, 1999), separation=2)
    assert float(alone["upper"]) == float(whole["upper"][4])
    assert float(whole["years"][0]) == 15.0


def test_years_without_data_quantiles_and_separations_that_are_none_are_refused():
    series = daily(np.zeros(TIME.size))
    with pytest.raises(InputError, match="1982-2011"):
        event_frequency(series, 1.0, (2050, 2080))
    with pytest.raises(InputError, match="between 0 and 1"):
        observed_threshold(series, 95)
    with pytest.raises(InputError, match="separation"):
        event_frequency(series, 1.0, separation=0)
