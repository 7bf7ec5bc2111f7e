"""Agreement of two methods: published peak-flow data and simulated truth."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.stats import bland_altman, concordance, median_ratio, within_fraction

# Peak expiratory flow, l/min, two meters (Bland & Altman 1986, table 1).
WRIGHT = "494 395 516 434 476 557 413 442 650 433 417 656 267 478 178 423 427"
MINI = "512 430 520 428 500 600 364 380 658 445 432 626 260 477 259 350 451"
WRIGHT, MINI = (np.array(line.split(), float) for line in (WRIGHT, MINI))


def test_bias_and_limits_are_those_published_for_peak_flow():
    result = bland_altman(WRIGHT, MINI)
    assert result.bias == pytest.approx(-2.1, abs=0.05)
    assert result.sd == pytest.approx(38.8, abs=0.05)
    assert result.bias_lower == pytest.approx(-22.0, abs=0.1)
    assert result.bias_upper == pytest.approx(17.8, abs=0.1)
    # They rounded 1.96 to 2 and sqrt(1/n + 1.96^2/2(n-1)) to sqrt(3/n).
    assert result.lower_limit == pytest.approx(-79.7, abs=2)
    assert result.upper_limit == pytest.approx(75.5, abs=2)
    assert result.lower_limit_interval == pytest.approx((-114.3, -45.1), abs=3)


def test_bland_altman_intervals_cover_bias_and_limits():
    generator = np.random.default_rng(0)
    hits = np.zeros(3)
    for _ in range(1000):
        result = bland_altman(generator.normal(0.3, 1.0, 40), np.zeros(40))
        hits += [
            result.bias_lower <= 0.3 <= result.bias_upper,
            result.lower_limit_interval[0]
            <= 0.3 - 1.96
            <= result.lower_limit_interval[1],
            result.upper_limit_interval[0]
            <= 0.3 + 1.96
            <= result.upper_limit_interval[1],
        ]
    assert np.all((hits / 1000 > 0.93) & (hits / 1000 < 0.975))


def test_concordance_of_peak_flow_is_the_published_value():
    assert concordance(WRIGHT, MINI).coefficient == pytest.approx(0.943, abs=5e-4)


def test_concordance_is_one_for_identity_and_falls_with_shift_and_scale():
    x = np.arange(10.0)
    assert concordance(x, x).coefficient == 1.0
    assert concordance(x, x).lower == 1.0
    shifted = concordance(x + 3.0, x)
    assert shifted.correlation == pytest.approx(1.0)
    # 2 s^2 / (2 s^2 + shift^2), s^2 = 8.25
    assert shifted.coefficient == pytest.approx(16.5 / 25.5)
    assert concordance(-x, x).coefficient < 0.0


def test_concordance_interval_covers_the_true_value():
    generator = np.random.default_rng(1)
    rho, shift, scale = 0.8, 0.4, 1.3
    truth = 2 * rho * scale / (1 + scale**2 + shift**2)
    hits = []
    for _ in range(1500):
        x, e = generator.normal(size=(2, 50))
        y = shift + scale * (rho * x + np.sqrt(1 - rho**2) * e)
        result = concordance(y, x)
        hits.append(result.lower <= truth <= result.upper)
    assert 0.93 <= np.mean(hits) <= 0.97


def test_wilson_interval_of_ten_in_a_hundred():
    values = np.where(np.arange(100) < 10, 1.0, 2.0)
    result = within_fraction(values, np.ones(100))
    assert result.fraction == 0.10
    # Newcombe (1998): Wilson limits of 10/100 are .0552 and .1744.
    assert result.lower == pytest.approx(0.0552, abs=5e-5)
    assert result.upper == pytest.approx(0.1744, abs=5e-5)


def test_the_band_is_relative_to_the_reference_and_holds_for_uptake():
    assert within_fraction([-1.14, -1.16, 0.86], [-1.0, -1.0, 1.0]).fraction == 2 / 3


def test_unpaired_or_too_few_measurements_are_refused():
    with pytest.raises(InputError, match="paired"):
        bland_altman([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="at least 3"):
        within_fraction([1, 2, np.nan], [1, 2, 3])
    with pytest.raises(InputError, match="variation"):
        concordance([1, 1, 1, 1], [1, 2, 3, 4])


def test_median_ratio_interval_covers_and_is_exact_for_few_pairs():
    generator = np.random.default_rng(2)
    hits = []
    for _ in range(1000):
        ratios = np.exp(generator.normal(0.2, 0.5, 40))
        result = median_ratio(ratios, np.ones(40))
        hits.append(result.lower <= np.exp(0.2) <= result.upper)
    assert 0.94 <= np.mean(hits) <= 0.985
    # Ten values: ranks 2 and 9 hold the median with 97.9 % (Conover 1999).
    few = median_ratio(np.arange(1.0, 11.0), np.ones(10))
    assert (few.lower, few.upper) == (2.0, 9.0)


def test_a_ratio_needs_positive_references():
    with pytest.raises(InputError, match="3 positive values"):
        median_ratio([1, 2, 3, 4], [-1, -1, 1, 1])
