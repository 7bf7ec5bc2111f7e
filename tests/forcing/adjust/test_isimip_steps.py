"""The steps of ISIMIP3 one by one: fits, trends, thresholds, changes carried over."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from tilth.core.errors import InputError
from tilth.forcing.adjust.isimip_fits import FITS
from tilth.forcing.adjust.isimip_steps import (
    Sample,
    VariableSettings,
    adjust_window,
    annual_trend,
    bounded_change,
    carried_over,
    spread_beyond,
    upper_bound_cycle,
)

RAIN = VariableSettings(
    "mm day-1", "mixed", "gamma", lower_bound=0.0, lower_threshold=0.1
)
SHARE = VariableSettings(
    "1", "bounded", lower_bound=0.0, lower_threshold=1e-4, upper_bound=1.0,
    upper_threshold=0.9999,
)  # fmt: skip
WARMTH = VariableSettings("K", "additive", "normal", detrend=True)


@pytest.mark.parametrize(
    ("name", "law", "shape"),
    [
        ("gamma", stats.gamma(0.7, loc=0.1, scale=5.0), lambda p: p),
        ("weibull", stats.weibull_min(2.1, loc=0.1, scale=5.0), lambda p: p),
        ("rice", stats.rice(1.7, loc=0.1, scale=3.0), lambda p: (p[0] * p[1], p[1])),
        ("normal", stats.norm(4.0, 3.0), lambda p: p),
    ],
)
def test_fits_are_those_of_maximum_likelihood(name, law, shape):
    values = law.rvs(900, random_state=1)
    found = FITS[name](values, 0.1)
    fixed = {} if name == "normal" else {"floc": 0.1}
    by_scipy = law.dist.fit(values, **fixed)
    expected = by_scipy if name == "normal" else (by_scipy[0], by_scipy[2])
    # Scipy searches the maximum to about four digits.
    np.testing.assert_allclose(found.parameters, shape(expected), rtol=3e-4)
    p = np.array([0.001, 0.3, 0.9, 0.999])
    np.testing.assert_allclose(found.cdf(found.quantile(p)), p, rtol=1e-8)
    distance = stats.kstest(values, found.cdf).statistic
    assert found.distance(values) == pytest.approx(distance, rel=1e-12)
    assert FITS[name](np.full(30, 2.0), 0.1) is None


def test_only_a_significant_trend_is_taken_out_and_the_mean_stays():
    years = np.repeat(np.arange(1981, 2011), 31)
    draws = np.random.default_rng(0)
    noise = draws.standard_normal(years.size)
    trend = annual_trend(Sample(noise + 0.05 * (years - 1981), years))
    assert trend.mean() == pytest.approx(0.0, abs=1e-12)
    slope = np.polyfit(years, trend, 1)[0]
    # Standard error of the slope: sd of annual means 31**-0.5 over 47.4 years.
    assert slope == pytest.approx(0.05, abs=3 * 31**-0.5 / 47.4)
    assert not annual_trend(Sample(noise, years)).any()
    assert not annual_trend(Sample(noise[:62], years[:62])).any()


def test_trends_of_noise_are_taken_for_real_once_in_twenty_times():
    years = np.repeat(np.arange(30), 4)
    draws = np.random.default_rng(1)
    found = [
        annual_trend(Sample(draws.standard_normal(years.size), years)).any()
        for _ in range(1000)
    ]
    # Binomial with p = 0.05: standard deviation 0.007.
    assert np.mean(found) == pytest.approx(0.05, abs=0.02)


def test_values_beyond_thresholds_are_spread_in_their_order():
    values = np.array([0.02, 5.0, 0.0, 0.1, 0.05, 0.0])
    found = spread_beyond(values, RAIN, np.random.default_rng(0))
    assert found[1] == 5.0
    dry = [5, 2, 0, 4, 3]
    assert ((found[dry] > 0.0) & (found[dry] < 0.1)).all()
    assert found[[0, 4, 3]].tolist() == sorted(found[[0, 4, 3]])
    assert max(found[[2, 5]]) < found[0]
    top = spread_beyond(np.array([0.5, 1.0, 1.0]), SHARE, np.random.default_rng(0))
    assert top[0] == 0.5
    assert (top[1:] > 0.9999).all()


unit = st.floats(0.0, 1.0)


@settings(deadline=None)
@example(0.0888885137750113, 0.0, 4.6e-195)  # less than rounding
@given(unit, unit, unit)
def test_a_bounded_change_stays_between_its_bounds_and_has_the_sign_simulated(o, h, s):
    found = float(bounded_change(o, h, s, 0.0, 1.0))
    assert 0.0 <= found <= 1.0
    assert (found - o) * (s - h) >= 0.0
    if s == h:
        assert found == o
    if o == h:
        assert found == pytest.approx(s)


def test_a_mixed_change_is_a_ratio_then_a_difference_the_drier_the_model():
    observed = np.array([1.0, 2.0, 10.0, 18.0, 50.0])
    before, after = np.full(5, 2.0), np.full(5, 3.0)
    found = carried_over(observed, before, after, RAIN)
    # o / h is 1/2, 1, 5, 9 and 25: ratio, ratio, half of each, difference, difference.
    expected = [1.5, 3.0, (15.0 + 11.0) / 2.0, 19.0, 51.0]
    np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(
        carried_over(observed, np.zeros(5), after, RAIN), observed + 3.0
    )


def test_the_upper_bound_has_the_cycle_of_the_largest_values():
    day = np.tile(np.arange(365), 8)
    top = 300.0 - 100.0 * np.cos(2.0 * np.pi * day / 365.0)
    values = top * np.random.default_rng(0).uniform(0.2, 1.0, day.size)
    cycle = upper_bound_cycle(values, day)
    assert cycle.shape == (365,)
    # The largest in 31 days of eight years, whose bound changes by 13 W m-2 in half.
    assert np.abs(cycle - top[:365]).max() < 26.0
    values[day == 3] = np.nan
    assert np.isfinite(upper_bound_cycle(values, day)).all()
    # The same window around the turn of the year.
    assert np.isnan(upper_bound_cycle(np.where(day < 100, values, np.nan), day)[200])


def window(values, years=30):
    values = np.asarray(values)
    return Sample(values, np.arange(values.size) % years + 1981)


def test_a_window_without_change_gets_the_observed_distribution_and_dry_days():
    draws = np.random.default_rng(2)
    observed = np.where(draws.random(930) < 0.5, draws.gamma(0.7, 6.0, 930), 0.0)
    modelled = np.where(draws.random(930) < 0.8, draws.gamma(0.9, 3.0, 930), 0.0)
    found = adjust_window(
        (window(observed), window(modelled), window(modelled)),
        np.arange(930), RAIN, np.random.default_rng(0),
    )  # fmt: skip
    assert (found == 0.0).sum() == (observed <= 0.1).sum()
    assert found.mean() == pytest.approx(observed.mean(), rel=0.03)
    assert not ((found > 0.0) & (found <= 0.1)).any()
    # Monotonic: the order of wet days is kept.
    wet = (found > 0.0) & (modelled > 0.1)
    order = np.argsort(modelled[wet])
    assert (np.diff(found[wet][order]) >= 0.0).all()


def test_bias_spread_and_trend_of_a_window_are_right_at_the_same_time():
    draws = np.random.default_rng(3)
    noise = draws.standard_normal((3, 930))
    years = np.arange(930) % 30
    observed, modelled = 10.0 + 3.0 * noise[0], 7.0 + 2.0 * noise[1]
    target = 9.0 + 2.0 * noise[2] + 0.1 * (years - 14.5)
    found = adjust_window(
        (window(observed), window(modelled), window(target)),
        np.arange(930), WARMTH, np.random.default_rng(0),
    )  # fmt: skip
    change = target.mean() - modelled.mean()
    assert found.mean() - observed.mean() == pytest.approx(change, abs=0.01)
    assert np.polyfit(years, found, 1)[0] == pytest.approx(
        np.polyfit(years, target, 1)[0], abs=0.015
    )
    rest = found - np.polyval(np.polyfit(years, found, 1), years)
    # The spread is the observed one, changed as simulated: by chance, here.
    detrended = target - np.polyval(np.polyfit(years, target, 1), years)
    expected = observed.std() + detrended.std() - modelled.std()
    assert rest.std() == pytest.approx(expected, abs=0.02)


def test_a_distribution_that_does_not_fit_gives_way_to_the_empirical_one():
    draws = np.random.default_rng(4)
    two_humps = np.where(draws.random(600) < 0.5, -8.0, 8.0)
    two_humps = two_humps + 0.1 * draws.standard_normal(600)
    plain = VariableSettings("K", "additive", "normal")
    modelled = draws.standard_normal(600)
    found = adjust_window(
        (window(two_humps), window(modelled), window(modelled)),
        np.arange(600), plain, np.random.default_rng(0),
    )  # fmt: skip
    np.testing.assert_allclose(np.sort(found), np.sort(two_humps))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"change": "random"}, "change is one of additive, mixed, bounded"),
        ({"distribution": "cauchy"}, "distribution is one of normal"),
        ({"lower_threshold": None}, "lower_bound and lower_threshold belong together"),
        ({"lower_threshold": -1.0}, "must lie inside lower_bound"),
        ({"change": "bounded"}, "needs a lower and an upper bound"),
    ],
)
def test_settings_that_contradict_themselves_are_refused(changed, said):
    given = {
        "units": "mm day-1", "change": "mixed", "lower_bound": 0.0,
        "lower_threshold": 0.1,
    }  # fmt: skip
    with pytest.raises(InputError, match=said):
        VariableSettings(**{**given, **changed})
