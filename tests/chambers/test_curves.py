"""NDFE, Zhao and the quadratic: simulated truth and published numbers."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import erfcx

from tilth.chambers.fits.curves import fit_ndfe, fit_quadratic, fit_zhao
from tilth.core.errors import InputError

T = np.arange(60) * 3.0


def test_ndfe_recovers_the_flux_of_its_own_diffusion_curve():
    tau, s0 = 400.0, 0.5
    x = np.sqrt(T / tau)
    c = 400 + s0 * tau * (2 / np.sqrt(np.pi) * x + erfcx(x) - 1)
    fit = fit_ndfe(T[None], c[None])
    assert fit.slope[0] == pytest.approx(s0, rel=1e-5)
    assert fit.parameters[0, 2] == pytest.approx(tau, rel=1e-3)


def test_zhao_recovers_slope_where_the_curve_passes_the_initial_value():
    a, b, cm, cz = 0.05, 0.02, 450.0, 420.0
    c = cm + a * T + (cz - cm) * np.exp(-b * T)
    fit = fit_zhao(T[None], c[None], window=1.0)  # one point: C at closing itself
    assert fit.parameters[0] == pytest.approx([cm, a, cz - cm, b], rel=1e-4)
    assert fit.slope[0] == pytest.approx(a + b * (cm - cz), rel=1e-4)


def test_quadratic_slope_and_error_are_those_of_ordinary_least_squares():
    rng = np.random.default_rng(0)
    c = 400 + 0.3 * T - 4e-4 * T**2 + rng.normal(0, 1, T.size)
    fit = fit_quadratic(T[None], c[None])
    beta, covariance = np.polyfit(T, c, 2, cov=True)
    assert fit.slope[0] == pytest.approx(beta[1], rel=1e-9)
    assert fit.slope_se[0] == pytest.approx(np.sqrt(covariance[1, 1]), rel=1e-6)


def test_missing_points_are_left_out_and_short_series_give_no_slope():
    c = 400 + 0.3 * T - 4e-4 * T**2
    gappy = c.copy()
    gappy[10:20] = np.nan
    short = np.full_like(c, np.nan)
    short[:2] = c[:2]
    fit = fit_quadratic(np.stack([T, T]), np.stack([gappy, short]))
    assert fit.slope[0] == pytest.approx(0.3, rel=1e-9)
    assert np.isnan(fit.slope[1])


def test_bounds_that_are_not_increasing_are_refused():
    with pytest.raises(InputError, match="increasing"):
        fit_zhao(T[None], T[None], b_bounds=(1.0, 0.1))


def test_the_error_of_ndfe_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    x = np.sqrt(T / 200.0)
    truth = 400 + 0.5 * 200.0 * (2 / np.sqrt(np.pi) * x + erfcx(x) - 1)
    noisy = truth + rng.normal(0, 0.5, (400, T.size))
    fit = fit_ndfe(np.broadcast_to(T, noisy.shape), noisy)
    inside = np.abs(fit.slope - 0.5) < 2.0 * fit.slope_se
    assert 0.90 < inside.mean() < 0.99


@pytest.mark.realdata
def test_fluxible_quadratic_slopes_are_met_to_their_printed_digits(dataset):
    # Snapshots of fluxible 1.3.4's own tests; three printed digits.
    folder = dataset("fluxible-reference")
    data = pd.read_csv(
        folder / "co2_conc.csv",
        parse_dates=["datetime", "f_start"],
        dtype={"f_fluxid": str},
    )
    expected = pd.read_csv(
        folder / "fluxible_expected_slopes.csv", dtype={"f_fluxid": str}
    )
    expected = expected[expected.case == "quadratic"].set_index("f_fluxid")
    for name, one in data.groupby("f_fluxid"):
        t = (one.datetime - one.f_start).dt.total_seconds().to_numpy()
        slope = fit_quadratic(t[None], one.conc.to_numpy()[None]).slope[0]
        printed = expected.loc[name, "f_slope_ppm_per_s"]
        assert slope == pytest.approx(printed, abs=0.0051 if printed > 1 else 0.00051)


@pytest.mark.realdata
def test_ndfe_of_gasfluxes_is_met_on_every_series_it_fitted(dataset):
    # gasfluxes 0.7 in R: 115 series. Same residual error to 1e-8; the flux to the
    # tolerance at which its nls stops.
    folder = dataset("gasfluxes-reference")
    reference = pd.read_csv(
        folder / "fluxMeas_reference_R_gasfluxes0.7_fdetect0.031.csv"
    ).set_index("serie")
    reference = reference[reference["NDFE.f0"].notna()]
    data = pd.read_csv(folder / "fluxMeas_input.csv")
    groups = dict(iter(data.groupby("serie")))
    t, c = np.full((2, len(reference), 6), np.nan)
    for i, name in enumerate(reference.index):
        one = groups[name]
        t[i, : len(one)], c[i, : len(one)] = one.time, one.C
    h = np.array([groups[name].V.iloc[0] for name in reference.index])
    fit = fit_ndfe(t, c)
    rse = np.sqrt(fit.rss / (np.isfinite(t).sum(1) - 3))
    assert len(reference) == 115
    np.testing.assert_allclose(rse, reference["NDFE.RSE"], rtol=1e-8)
    np.testing.assert_allclose(fit.slope * h, reference["NDFE.f0"], rtol=3e-4)
