"""Detrended mapping: trends come through, deviations take the observed shape."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust import DQM, EQM
from tilth.forcing.adjust.groups import DayWindow, group_times
from tilth.forcing.adjust.trends import decimal_years, group_trends


def test_a_trend_comes_out_as_steep_as_it_is(series):
    rng = np.random.default_rng(0)
    observed, modelled = series(rng.normal(0, 3, 3650)), series(rng.normal(4, 1, 3650))
    years = decimal_years(modelled["time"])
    rise = 0.2 * (years - years[0])
    target = (modelled + rise).assign_attrs(modelled.attrs)
    slopes = {
        method: np.polyfit(years, method().fit(observed, modelled).apply(target), 1)[0]
        - np.polyfit(years, method().fit(observed, modelled).apply(modelled), 1)[0]
        for method in (DQM, EQM)
    }
    assert slopes[DQM] == pytest.approx(0.2, abs=0.005)
    assert slopes[EQM] > 0.4  # three times as much spread, three times the trend


def test_deviations_get_the_observed_spread(series):
    rng = np.random.default_rng(1)
    observed, modelled = series(rng.normal(9, 3, 3650)), series(rng.normal(4, 1, 3650))
    adjusted = DQM().fit(observed, modelled).apply(modelled)
    assert adjusted.std().item() == pytest.approx(observed.std().item(), rel=0.02)
    assert adjusted.mean().item() == pytest.approx(observed.mean().item(), abs=0.02)


@pytest.mark.parametrize("group", ["none", "month", "31 days"])
def test_amounts_stay_finite_and_positive_however_they_fall(series, rain, group):
    observed = series(rain(2190, 1), units="mm day-1")
    modelled = series(rain(2190, 2), units="mm day-1")
    drying = modelled * np.linspace(2.0, 0.0, 2190)
    drying.attrs = modelled.attrs
    adjusted = DQM("*", group=group).fit(observed, modelled).apply(drying)
    assert np.isfinite(adjusted).all()
    assert (adjusted >= 0).all()
    half = 1095
    assert adjusted[half:].mean() < 0.5 * adjusted[:half].mean()


def test_a_dry_desert_stays_dry(series):
    dry = series(np.zeros(800), units="mm day-1")
    np.testing.assert_array_equal(DQM("*").fit(dry, dry).apply(dry), 0.0)


@pytest.mark.parametrize("calendar", ["noleap", "standard", "360_day"])
def test_lines_of_groups_are_those_of_polyfit(calendar):
    index = xr.date_range(
        "2001-01-01", periods=1500, calendar=calendar, use_cftime=True
    )
    times = xr.DataArray(index, dims="time")
    years = decimal_years(times)
    rows = np.random.default_rng(2).normal(size=(2, 1500)) + years
    rows[0, ::7] = np.nan
    groups = group_times(times, DayWindow(91))
    line, mean = group_trends(rows, years, groups)
    start, stop = groups.window[200]
    window, own = groups.order[start:stop], groups.order[slice(*groups.own[200])]
    for row in (0, 1):
        steps = window[np.isfinite(rows[row, window])]
        fit = np.polyfit(years[steps] - 2000, rows[row, steps], 1)
        np.testing.assert_allclose(line[row, own], np.polyval(fit, years[own] - 2000))
        np.testing.assert_allclose(mean[row, own], rows[row, steps].mean())


def test_settings_out_of_range_are_refused():
    with pytest.raises(InputError, match="quantiles"):
        DQM(quantiles=1)
    with pytest.raises(InputError, match="ratio_cap"):
        DQM(ratio_cap=0.0)
