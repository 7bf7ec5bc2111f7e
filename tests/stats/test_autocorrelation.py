"""Correlated noise: simulated truth, noise laws and one published Allan table."""

import numpy as np
import pandas as pd
import pytest
from scipy import signal

from tilth.core.errors import InputError
from tilth.stats import (
    allan_deviation,
    effective_sample_size,
    lag1_autocorrelation,
    se_inflation,
)


def ar1(generator, rho, shape):
    """AR(1) series along the last axis, after its start is forgotten."""
    noise = generator.normal(size=(*shape[:-1], shape[-1] + 200))
    return signal.lfilter([1.0], [1.0, -rho], noise, axis=-1)[..., 200:]


@pytest.mark.parametrize("rho", [-0.3, 0.0, 0.3, 0.6])
@pytest.mark.parametrize("coefficients", [1, 2, 4])
def test_the_correction_removes_the_bias_of_detrending(rho, coefficients):
    x = ar1(np.random.default_rng(0), rho, (6000, 60))
    basis, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, 60), coefficients))
    residuals = x - (x @ basis) @ basis.T
    result = lag1_autocorrelation(residuals, coefficients)
    assert result.value.mean() == pytest.approx(rho, abs=0.03)
    assert result.uncorrected.mean() < result.value.mean()
    assert result.se.mean() == pytest.approx(result.value.std(), rel=0.16)


def test_lost_readings_do_not_read_as_independence():
    x = ar1(np.random.default_rng(1), 0.6, (400, 200))
    x[:, ::5] = np.nan
    assert lag1_autocorrelation(x).value.mean() == pytest.approx(0.6, abs=0.03)


def test_an_all_missing_series_is_nan_among_others():
    x = np.stack([np.full(30, np.nan), ar1(np.random.default_rng(2), 0.0, (30,))])
    value = lag1_autocorrelation(x).value
    assert np.isnan(value[0])
    assert np.isfinite(value[1])


def test_measured_residual_autocorrelation_doubles_the_standard_error():
    assert se_inflation(0.6) == pytest.approx(2.0)
    assert effective_sample_size(85, 0.6) == pytest.approx(85 / 4)
    assert effective_sample_size(85, 0.0) == 85


def test_inflation_covers_the_mean_and_the_slope_of_correlated_series():
    generator = np.random.default_rng(3)
    x = ar1(generator, 0.6, (3000, 300))
    time = np.arange(300.0) - 149.5
    mean, slope = x.mean(axis=1), x @ time / (time @ time)
    sd = x.std(axis=1).mean()
    assert mean.std() == pytest.approx(sd / np.sqrt(300) * se_inflation(0.6), rel=0.05)
    white = sd / np.sqrt(time @ time)
    assert slope.std() == pytest.approx(white * se_inflation(0.6), rel=0.05)


def test_white_noise_falls_with_the_root_of_the_averaging_time():
    x = np.random.default_rng(4).normal(0, 10, 20000)
    table = allan_deviation(x, 2.0, [1, 4, 16, 64, 256])
    np.testing.assert_allclose(table["tau"], [2, 8, 32, 128, 512])
    np.testing.assert_allclose(
        table["deviation"], 10 / np.sqrt(table["tau"] / 2), rtol=0.15
    )


def test_a_pure_drift_rises_in_proportion_to_the_averaging_time():
    table = allan_deviation(0.5 * np.arange(1000), 1.0, [1, 10, 100])
    np.testing.assert_allclose(table["deviation"], 0.5 * table["tau"] / np.sqrt(2))


def test_allan_intervals_cover_white_noise():
    generator = np.random.default_rng(5)
    hits = np.zeros(4)
    for _ in range(500):
        table = allan_deviation(generator.normal(size=400), 1.0, [1, 5, 20, 100])
        truth = 1 / np.sqrt(table["tau"])
        hits += (table["lower"] <= truth) & (truth <= table["upper"])
    assert np.all((hits / 500 > 0.92) & (hits / 500 < 0.985))


@pytest.mark.realdata
def test_the_published_allan_table_of_the_k30_is_reproduced(dataset):
    folder = dataset("fluxbot")
    test = pd.read_csv(folder / "kitchen_test_2020-02-01.csv", skipinitialspace=True)
    expected = pd.read_csv(folder / "allan_variance_results.csv")
    # The published table used the quiet part of the test, found by comparison.
    readings = test["Raw CO2 PPM"].to_numpy()[75:324]
    ours = allan_deviation(readings, 1.0, expected["tau (sec)"])
    np.testing.assert_allclose(ours["deviation"], expected["std (ppm)"], rtol=1e-12)
    at = ours.set_index("tau")["deviation"]
    assert at[[1, 10, 20, 120]].round(1).tolist() == [69.3, 25.4, 12.4, 2.4]


def test_gaps_and_impossible_factors_are_refused():
    with pytest.raises(InputError, match="without gaps"):
        allan_deviation([1.0, np.nan, 2.0, 3.0, 4.0], 1.0)
    with pytest.raises(InputError, match="averaging factors"):
        allan_deviation(np.arange(10.0), 1.0, [6])
    with pytest.raises(InputError, match="at least 5"):
        lag1_autocorrelation([1.0, 2.0, 3.0])
