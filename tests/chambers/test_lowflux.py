import numpy as np
import pytest
import xarray as xr
from scipy.optimize import minimize
from scipy.stats import norm

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.quality.lowflux import (
    censored_mean,
    flag_low_flux,
    mean_with_low_fluxes,
)
from tilth.core.errors import InputError
from tilth.core.flags import is_flagged


def winter(seed, n=400, median=0.12, sigma=0.6):
    """Low lognormal fluxes and their true mean, umol m-2 s-1."""
    rng = np.random.default_rng(seed)
    return median * np.exp(sigma * rng.standard_normal(n)), median * np.exp(
        sigma**2 / 2
    )


def test_dropping_low_fluxes_raises_the_mean_and_the_censored_mean_undoes_it():
    tables = []
    for seed in range(60):
        flux, truth = winter(seed)
        tables.append(mean_with_low_fluxes(flux)["mean"] / truth)
    ratio = np.mean(tables, axis=0)
    full, above, censored = ratio
    assert full == pytest.approx(1.0, abs=0.02)
    assert above > 1.25
    assert censored == pytest.approx(1.0, abs=0.03)


def test_the_standard_error_of_the_censored_mean_covers_the_truth():
    inside = []
    for seed in range(200):
        flux, truth = winter(seed, n=200)
        mean, se = censored_mean(flux)
        inside.append(abs(mean - truth) < 1.96 * se)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)


def test_noise_about_a_low_mean_is_a_normal_and_its_mean_is_found():
    truth, ratios = 0.15, []
    for seed in range(40):
        flux = truth + 0.1 * np.random.default_rng(seed).standard_normal(300)
        table = mean_with_low_fluxes(flux, distribution="normal")
        ratios.append(table["mean"] / truth)
    full, above, censored = np.mean(ratios, axis=0)
    assert full == pytest.approx(1.0, abs=0.02)
    assert above > 1.2
    assert censored == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("distribution", ["normal", "lognormal"])
def test_it_is_the_maximum_of_the_likelihood_found_by_brute_force(distribution):
    flux, _ = winter(3, n=60)
    seen, missed = flux[flux >= 0.1], (flux < 0.1).sum()
    y, bound = (
        (np.log(seen), np.log(0.1)) if distribution == "lognormal" else (seen, 0.1)
    )

    def unlikely(theta):
        mu, log_sigma = theta
        sigma = np.exp(log_sigma)
        return -(
            norm.logpdf(y, mu, sigma).sum() + missed * norm.logcdf(bound, mu, sigma)
        )

    best = minimize(
        unlikely,
        [y.mean(), np.log(y.std())],
        method="Nelder-Mead",
        options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 10_000},
    ).x
    expected = best[0]
    if distribution == "lognormal":
        expected = np.exp(best[0] + np.exp(2 * best[1]) / 2)
    mean, _ = censored_mean(flux, distribution=distribution)
    assert mean == pytest.approx(expected, rel=1e-6)


def test_without_low_fluxes_the_normal_mean_is_the_plain_one():
    flux = np.random.default_rng(1).normal(1.0, 0.1, 100)
    mean, se = censored_mean(flux, distribution="normal")
    assert mean == pytest.approx(flux.mean(), rel=1e-9)
    assert se == pytest.approx(flux.std() / 10, rel=1e-6)
    table = mean_with_low_fluxes(flux, distribution="normal")
    assert table.loc["all", "mean"] == table.loc["above_limit", "mean"]
    assert (table["n_below"] == 0).all()


def test_the_unit_does_not_matter():
    flux, _ = winter(2)
    one = np.array(censored_mean(flux))
    other = np.array(censored_mean(1e4 * flux, limit=1e3))
    np.testing.assert_allclose(other, 1e4 * one, rtol=1e-8)


def test_nearly_all_below_still_converges_and_all_below_gives_nothing():
    flux = np.r_[np.full(95, 0.01), 0.11, 0.12, 0.15, 0.2, 0.3]
    mean, se = censored_mean(flux)
    assert 0 < mean < 0.1
    assert se > 0
    assert np.isnan(censored_mean(np.full(50, 0.01))).all()
    assert np.isnan(censored_mean([0.3, 0.3, 0.3])).all()
    assert np.isnan(mean_with_low_fluxes([])["mean"]).all()


def test_blocks_widen_the_standard_error_of_fluxes_that_hang_together():
    rng = np.random.default_rng(4)
    night = np.repeat(np.arange(20), 50)
    flux = 0.3 * np.exp(0.5 * rng.standard_normal(20)[night])
    flux = flux * np.exp(0.1 * rng.standard_normal(1000))
    alone = mean_with_low_fluxes(flux)["se"]
    together = mean_with_low_fluxes(flux, blocks=night)["se"]
    assert (together > 3 * alone).all()
    expected = np.array([flux[night == n].mean() for n in range(20)]).std(ddof=1)
    assert together["all"] == pytest.approx(expected / 20**0.5, rel=1e-6)


def test_missing_fluxes_are_left_out_and_counts_are_told():
    table = mean_with_low_fluxes([np.nan, 0.05, 0.2, 0.4, 0.6])
    assert table["n"].tolist() == [4, 3, 3]
    assert (table["n_below"] == 1).all()


def test_impossible_requests_are_refused():
    with pytest.raises(InputError, match="positive limit"):
        censored_mean([1.0, 2.0, 3.0], limit=0.0)
    with pytest.raises(InputError, match="no distribution"):
        censored_mean([1.0], distribution="gamma")


def test_the_plain_rule_flags_below_its_limit_and_keeps_the_limit():
    fluxes = xr.Dataset(
        {
            "flux": ("closure", [0.0999, 0.1, -0.3, 2.0], {"units": "umol m-2 s-1"}),
            "closure_flag": ("closure", np.zeros(4, "int32"), CLOSURE_FLAGS.attrs()),
        }
    )
    flagged = flag_low_flux(fluxes)
    found = is_flagged(flagged["closure_flag"], "low_flux").values
    assert found.tolist() == [True, False, True, False]
    nano = fluxes.assign(flux=fluxes["flux"] * 1000)
    nano["flux"].attrs["units"] = "nmol m-2 s-1"
    found = is_flagged(flag_low_flux(nano)["closure_flag"], "low_flux").values
    assert found.tolist() == [True, False, True, False]
