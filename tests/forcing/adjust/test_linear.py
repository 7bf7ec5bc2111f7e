"""Scaling of means, and of wet days and their intensity."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust import LOCI, Scaling


def test_scaling_gives_the_training_period_the_observed_mean(series):
    rng = np.random.default_rng(0)
    observed, modelled = series(rng.normal(3, 2, 700)), series(rng.normal(7, 1, 900))
    adjusted = Scaling().fit(observed, modelled).apply(modelled)
    assert adjusted.mean().item() == pytest.approx(observed.mean().item(), abs=1e-12)
    assert adjusted.std().item() == pytest.approx(modelled.std().item(), rel=1e-12)


def test_scaling_by_ratio_gives_the_observed_mean_and_keeps_dry_days(series, rain):
    observed = series(rain(700, 1), units="mm day-1")
    modelled = series(rain(700, 2, scale=9.0), units="mm day-1")
    adjusted = Scaling("*").fit(observed, modelled).apply(modelled)
    assert adjusted.mean().item() == pytest.approx(observed.mean().item(), rel=1e-12)
    np.testing.assert_array_equal(adjusted == 0, modelled == 0)


def test_means_are_those_of_the_months_and_change_linearly_between_them(series):
    observed = series(np.zeros(730))
    modelled = observed + observed["time"].dt.month
    modelled.attrs = observed.attrs
    adjuster = Scaling(group="month").fit(observed, modelled)
    np.testing.assert_array_equal(adjuster.table["modelled_mean"], np.arange(1, 13))
    shift = (adjuster.apply(modelled) - modelled).values
    assert shift[15] == -1.0  # 16 January at noon is the middle of it
    assert shift[30] == pytest.approx(-1.0 - (0.5 - 0.5 / 31))
    assert shift[31] == pytest.approx(-2.0 + (0.5 - 0.5 / 28))


def test_missing_values_stay_missing_and_do_not_count(series):
    values = np.array([1.0, np.nan, 3.0])
    adjusted = (
        Scaling().fit(series([0.0, np.nan, 2.0]), series(values)).apply(series(values))
    )
    np.testing.assert_array_equal(adjusted, [0.0, np.nan, 2.0])


def test_a_place_without_observations_stays_missing(series):
    modelled = series(np.ones((2, 5)), cell=[1, 2])
    observed = series([[np.nan] * 5, [3.0] * 5], cell=[1, 2])
    adjusted = Scaling().fit(observed, modelled).apply(modelled)
    np.testing.assert_array_equal(adjusted, [[np.nan] * 5, [3.0] * 5])


def wet(data):
    return data.values[data.values >= 1.0]


@pytest.mark.parametrize("dry", [0.2, 0.5])
def test_loci_gives_the_model_as_many_wet_days_with_the_observed_mean(
    series, rain, dry
):
    observed = series(rain(2000, 1, dry=0.6), units="mm day-1")
    modelled = series(rain(2000, 2, dry=dry, scale=2.0), units="mm day-1")
    adjusted = LOCI().fit(observed, modelled).apply(modelled)
    assert wet(adjusted).size == wet(observed).size
    assert wet(adjusted).mean() == pytest.approx(wet(observed).mean(), rel=1e-12)
    assert (adjusted >= 0).all()


def test_loci_does_not_make_rain_of_days_without_any(series, rain):
    observed = series(rain(1000, 1, dry=0.2), units="mm day-1")
    modelled = series(rain(1000, 2, dry=0.7), units="mm day-1")
    adjusted = LOCI().fit(observed, modelled).apply(modelled)
    assert (adjusted.values[modelled.values == 0] == 0).all()


def test_where_no_day_is_wet_loci_leaves_none_wet(series, rain):
    observed = series(np.full(300, 0.3), units="mm day-1")
    modelled = series(rain(300, 2), units="mm day-1")
    adjusted = LOCI().fit(observed, modelled).apply(modelled)
    assert adjusted.max().item() < 1.0


@pytest.mark.parametrize("method", [Scaling, LOCI])
def test_a_cap_below_one_is_refused(method):
    with pytest.raises(InputError, match=r"ratio_cap must be at least 1, got 0\.5"):
        method(ratio_cap=0.5)


def test_loci_needs_a_positive_threshold():
    with pytest.raises(InputError, match="wet_from"):
        LOCI(wet_from=0.0)


def test_loci_by_windows_follows_the_season(series, rain):
    days = np.arange(365 * 6) % 365
    season = 1.0 + 0.9 * np.sin(2 * np.pi * days / 365)
    observed = series(rain(days.size, 1) * season, units="mm day-1")
    modelled = series(rain(days.size, 2), units="mm day-1")
    adjusted = LOCI(group="31 days").fit(observed, modelled).apply(modelled)
    monthly = xr.merge(
        [
            data.groupby("time.month").mean().rename(name)
            for name, data in (("o", observed), ("a", adjusted), ("h", modelled))
        ]
    )
    assert np.corrcoef(monthly["o"], monthly["a"])[0, 1] > 0.97
    assert np.corrcoef(monthly["o"], monthly["h"])[0, 1] < 0.5
