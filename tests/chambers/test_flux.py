"""Fluxes: what must hold by physics, and what published programs computed."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.optimize import least_squares
from scipy.stats import t as t_distribution

from tilth.chambers.closures import make_closures
from tilth.chambers.fits.closing import at_closing
from tilth.chambers.fits.flux import FluxSettings, fluxes
from tilth.chambers.fits.selection import MODELS, REASONS
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.core.errors import InputError, UnitsError
from tilth.core.flags import is_flagged

T = np.arange(61) * 3.0


def closures(concentration, **replace):
    """Closures of a pot chamber (16.5 cm, 972 hPa, 20 degC) around given series."""
    rows = np.atleast_2d(concentration)
    n = len(rows)
    values = {
        "pressure": np.full(n, 97200.0),
        "temperature": np.full(n, 20.0),
        "area": np.full(n, 0.05),
        "volume": np.full(n, 0.05 * 0.165),
    } | replace
    return make_closures(
        [f"c{i}" for i in range(n)],
        {"elapsed": [T[: len(row)] for row in rows], "co2": list(rows)},
        per_closure=values,
    )


def saturating(slope, k, noise=0.0, n=1, seed=0):
    c = 450 + slope * -np.expm1(-k * T) / k
    return c + np.random.default_rng(seed).normal(0, noise, (n, T.size)) * (noise > 0)


def chosen(result):
    return [MODELS[i] for i in result["model"].values]


def reasons(result):
    return [list(REASONS)[i] for i in result["model_reason"].values]


# Physics


def test_flux_is_slope_times_the_amount_of_air():
    result = fluxes(closures(450 + 0.1 * T))
    assert result["flux_linear"].item() == pytest.approx(
        0.1 * 0.165 * 97200 / (8.31446261815324 * 293.15), rel=1e-12
    )
    assert result["flux"].attrs["units"] == "umol m-2 s-1"


def test_flux_doubles_with_the_volume_and_halves_with_the_area():
    base = fluxes(closures(saturating(0.3, 0.004)))["flux"].item()
    bigger = fluxes(closures(saturating(0.3, 0.004), volume=np.array([0.0165])))
    wider = fluxes(closures(saturating(0.3, 0.004), area=np.array([0.1])))
    assert bigger["flux"].item() == pytest.approx(2 * base, rel=1e-12)
    assert wider["flux"].item() == pytest.approx(base / 2, rel=1e-12)


@pytest.mark.parametrize(
    ("kt", "ratio"),
    [(0.05, 0.975), (0.1, 0.951), (0.2, 0.906), (0.5, 0.784), (1.0, 0.622)],
)
def test_the_line_underestimates_a_saturating_flux_by_the_known_factor(kt, ratio):
    # Slope of the line over the true one, by hand; the exponential has no such bias.
    result = fluxes(closures(saturating(0.3, kt / 180.0)))
    true = 0.3 * result["amount"].item()
    assert result["flux_linear"].item() / true == pytest.approx(ratio, abs=0.0015)
    assert result["flux_hm"].item() == pytest.approx(true, rel=1e-6)
    assert result["flux_licor"].item() == pytest.approx(true, rel=0.02 + 0.05 * kt)


def test_units_are_converted_not_assumed():
    plain = closures(saturating(0.3, 0.004, 1.0))
    other = plain.copy(deep=True)
    for name, factor, units in (
        ("pressure", 1e-2, "hPa"),
        ("volume", 1e6, "cm3"),
        ("area", 1e4, "cm2"),
        ("co2", 1e-6, "mol mol-1"),
        ("elapsed", 1 / 60, "min"),
    ):
        attrs = other[name].attrs
        other[name] = other[name] * factor
        other[name].attrs = {**attrs, "units": units}
    a, b = fluxes(plain), fluxes(other)
    for name in ("flux", "flux_se", "flux_linear", "mdf"):
        np.testing.assert_allclose(b[name], a[name], rtol=1e-6)


def test_a_wet_gas_is_dried_point_by_point():
    # A constant dry mole fraction in rising vapour: no flux, but an apparent one.
    w = 0.010 + 5e-6 * T
    wet = 450.0 * (1 - w)
    data = closures(wet)
    data["h2o"] = (("closure", "sample"), w[None] * 1e3, {"units": "mmol mol-1"})
    data["co2"].attrs["basis"] = "wet"
    corrected = fluxes(data, "co2", FluxSettings(select="linear"))
    assert corrected["flux"].item() == pytest.approx(0.0, abs=1e-9)
    data["co2"].attrs["basis"] = "dry"  # the mistake
    biased = fluxes(data, "co2", FluxSettings(select="linear"))
    assert biased["flux"].item() == pytest.approx(-0.015, abs=0.001)


def test_water_vapour_flux_carries_the_factor_of_the_moist_column():
    w = 10.0 + 0.01 * T  # mmol mol-1
    data = closures(np.full(T.size, 450.0))
    data["h2o"] = (("closure", "sample"), w[None], {"units": "mmol mol-1"})
    with_term = fluxes(data, "h2o")
    without = fluxes(data, "h2o", FluxSettings(water_term=False))
    moist = 0.165 * 97200 / (8.31446261815324 * 293.15)
    assert without["flux_linear"].item() == pytest.approx(0.01 * moist, rel=1e-9)
    assert with_term["flux_linear"] / without["flux_linear"] == pytest.approx(
        1 / (1 - 0.010), rel=1e-9
    )
    assert with_term["flux"].attrs["units"] == "mmol m-2 s-1"


def test_a_mass_concentration_gives_a_mass_flux_without_any_pressure():
    t = np.array([0, 1 / 3, 2 / 3, 1]) * 3600.0
    data = make_closures(
        ["gc"],
        {"elapsed": [t], "n2o": [np.array([320.0, 341, 352, 359])]},
        per_closure={"volume": [0.3], "area": [1.0]},
        units={"n2o": "mg m-3"},
    )
    result = fluxes(data, "n2o", FluxSettings(autocorrelation=False))
    # gasfluxes' unit test: f0 11.52, se 2.02849698 per hour.
    assert result["flux_linear"].item() * 3600 == pytest.approx(11.52, rel=1e-9)
    assert result["flux_linear_se"].item() * 3600 == pytest.approx(2.02849698, rel=1e-8)
    assert result["flux"].attrs["units"] == "mg m-2 s-1"
    # p .0296345 and AIC 27.5179 of the same unit test follow from these numbers.
    ratio = result["flux_linear"].item() / result["flux_linear_se"].item()
    assert 2 * t_distribution.sf(ratio, df=2) == pytest.approx(0.0296345, rel=1e-5)
    mean_square = result["rmse_linear"].item() ** 2
    aic = 4 * (np.log(2 * np.pi * mean_square) + 1) + 2 * 3
    assert aic == pytest.approx(27.5179, abs=5e-5)


def test_the_published_robust_flux_is_met():
    # gasfluxes' unit test with the second point spoilt: 10.36519998.
    t = np.array([0, 1 / 3, 2 / 3, 1]) * 3600.0
    data = make_closures(
        ["gc"],
        {"elapsed": [t], "n2o": [np.array([320.0, 400, 352, 359])]},
        per_closure={"volume": [0.3], "area": [1.0]},
        units={"n2o": "mg m-3"},
    )
    result = fluxes(data, "n2o", FluxSettings(models=("robust",), select="robust"))
    assert result["flux"].item() * 3600 == pytest.approx(10.36519998, rel=1e-8)


# The choice of the curve and its reasons


def test_clear_curvature_chooses_the_exponential_and_says_why():
    result = fluxes(closures(saturating(0.5, 0.006, 0.5)))
    assert (chosen(result), reasons(result)) == (["hm"], ["aicc"])


def test_noise_around_a_line_mostly_chooses_the_line():
    noisy = 450 + 0.1 * T + np.random.default_rng(0).normal(0, 1, (400, T.size))
    result = fluxes(closures(noisy))
    # AICc with one parameter too many errs in about one case of six.
    assert np.mean(np.array(chosen(result)) == "linear") > 0.8
    assert set(reasons(result)) <= {
        "aicc",
        "aicc_not_lower",
        "no_curvature",
        "g_factor",
    }


def test_the_line_is_the_answer_where_there_is_no_curvature():
    result = fluxes(closures(400 + 0.1 * T + 0.0005 * T**2))
    assert (chosen(result), reasons(result)) == (["linear"], ["no_curvature"])
    assert is_flagged(result["flux_flag"], "no_curvature").item()
    assert result["flux_hm"].item() == pytest.approx(
        result["flux_linear"].item(), rel=1e-3
    )
    # No curvature was found, but it was looked for.
    assert result["flux_hm_se"].item() > 2 * result["flux_linear_se"].item()


def test_curvature_beyond_kappa_max_is_not_believed():
    # 0.03 ppm/s against a precision of 10 ppm supports k up to 0.003 s-1 only.
    rows = saturating(0.3, 0.05, 0.2)
    free = fluxes(closures(rows))
    strict = fluxes(closures(rows), "co2", FluxSettings(precision=10.0))
    assert is_flagged(strict["flux_flag"], "k_above_kappa_max").item()
    assert strict["kappa"].item() == pytest.approx(strict["kappa_max"].item(), rel=1e-9)
    assert strict["kappa"].item() < free["kappa"].item()
    assert reasons(strict) == ["kappa_above_max"]


def test_kappa_max_treats_uptake_like_efflux():
    # gasfluxes uses the signed flux: there an uptake is never curved.
    efflux = saturating(0.3, 0.02, 0.0)
    uptake = 900.0 - efflux
    both = fluxes(
        closures(np.vstack([efflux, uptake])), "co2", FluxSettings(precision=1.0)
    )
    a, b = both["flux"].values
    assert b == pytest.approx(-a, rel=1e-6)
    assert both["kappa_max"].values[0] == pytest.approx(both["kappa_max"].values[1])


def test_an_exaggerated_curve_is_refused_by_its_g_factor():
    step = 450 + 5 * (T > 3) + 0.02 * T
    result = fluxes(closures(step))
    assert abs(result["g_factor"].item()) > 2
    assert (chosen(result), reasons(result)) == (["linear"], ["g_factor"])
    assert is_flagged(result["flux_flag"], "g_factor").item()


def test_a_model_asked_for_by_name_is_given():
    for model in ("linear", "hm", "licor", "quadratic", "ndfe", "zhao", "robust"):
        settings = FluxSettings(models=(model,), select=model)
        result = fluxes(closures(saturating(0.3, 0.006, 0.5)), "co2", settings)
        assert result["flux"].item() == result[f"flux_{model}"].item()
        assert reasons(result) == ["by_setting"]


# Uncertainty


def coverage(result, truth):
    inside = np.abs(result["flux_hm"] - truth) < 1.96 * result["flux_hm_se"]
    return float(inside.mean())


def ar1(n, rho, sigma, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, sigma, (n, T.size))
    for i in range(1, T.size):
        x[:, i] = rho * x[:, i - 1] + np.sqrt(1 - rho**2) * x[:, i]
    return x


def test_standard_errors_cover_the_truth_for_white_noise():
    rows = saturating(0.4, 0.005, 1.0, n=2000, seed=1)
    result = fluxes(closures(rows), "co2", FluxSettings(select="hm"))
    truth = 0.4 * result["amount"]
    assert 0.93 < coverage(result, truth) < 0.98
    linear = 450 + 0.4 * T + np.random.default_rng(2).normal(0, 1, (2000, T.size))
    result = fluxes(closures(linear))
    inside = np.abs(result["flux_linear"] - 0.4 * result["amount"]) < (
        1.96 * result["flux_linear_se"]
    )
    assert 0.93 < float(inside.mean()) < 0.98


def test_standard_errors_cover_the_truth_when_residuals_are_correlated():
    # Lag-1 autocorrelation 0.6 as measured on 100 LI-8100 observations: independent
    # residuals would claim errors half as large and miss the truth every third time.
    rows = saturating(0.4, 0.005) + ar1(2000, 0.6, 1.0, 3)
    honest = fluxes(closures(rows), "co2", FluxSettings(select="hm"))
    naive = fluxes(closures(rows), "co2", FluxSettings(autocorrelation=False))
    truth = 0.4 * honest["amount"]
    assert coverage(honest, truth) > 0.90
    assert coverage(naive, truth) < 0.75
    assert is_flagged(honest["flux_flag"], "autocorrelated").mean() > 0.9
    ratio = (honest["flux_hm_se"] / naive["flux_hm_se"]).median().item()
    assert ratio == pytest.approx(2.0, abs=0.25)


def test_repeated_sensor_values_do_not_shrink_the_standard_error():
    # A sensor that renews every third reading: a third of the points is information.
    # The slope is gentle, so that the steps themselves add little scatter.
    rng = np.random.default_rng(4)
    fresh = 450 + 0.1 * T[::3] + rng.normal(0, 1, (1500, T[::3].size))
    held = np.repeat(fresh, 3, axis=1)[:, : T.size]
    result = fluxes(closures(held), "co2", FluxSettings(select="linear"))
    error = result["flux_linear"] - 0.1 * result["amount"]
    # The staircase lags the line by a constant; only the scatter counts here.
    spread = float((error - error.mean()).std())
    claimed = float(np.sqrt((result["flux_linear_se"] ** 2).mean()))
    assert 0.9 < claimed / spread < 1.35
    assert (result["n_independent"] == 21).all()
    assert is_flagged(result["flux_flag"], "repeated_values").all()


def delayed(slope, k, tau):
    """A saturating curve as a first-order sensor shows it, integrated step by step."""
    fine = np.arange(0.0, T[-1] + 0.005, 0.01)
    true = slope * -np.expm1(-k * fine) / k
    seen = np.zeros_like(fine)
    for i in range(1, fine.size):
        middle = 0.5 * (true[i] + true[i - 1])
        seen[i] = middle + (seen[i - 1] - middle) * np.exp(-0.01 / tau)
    return 450 + seen[:: round(3.0 / 0.01)]


def test_the_delay_of_a_slow_sensor_is_part_of_the_fit():
    row = delayed(0.3, 0.004, tau=20.0)
    with_delay = fluxes(closures(row), "co2", FluxSettings(response=20.0))
    without = fluxes(closures(row), "co2", FluxSettings(dead_band=24.0))
    true = 0.3 * with_delay["amount"].item()
    assert with_delay["flux_hm"].item() == pytest.approx(true, rel=1e-4)
    assert with_delay["flux_licor"].item() == pytest.approx(true, rel=0.05)
    assert without["flux_hm"].item() < 0.95 * true


def test_a_slow_sensor_sees_a_straight_line_without_bias_from_the_first_second():
    row = delayed(0.3, 1e-9, tau=20.0)
    result = fluxes(closures(row), "co2", FluxSettings(response=20.0))
    true = 0.3 * result["amount"].item()
    assert result["flux_linear"].item() == pytest.approx(true, rel=1e-5)
    biased = fluxes(closures(row), "co2")["flux_linear"].item()
    assert biased < 0.97 * true


@pytest.mark.parametrize(
    ("kt", "noise"), [(0.02, 2.0), (0.15, 1.0), (0.15, 2.0), (0.3, 2.0), (1.0, 4.0)]
)
def test_the_error_of_the_choice_covers_the_truth_where_the_data_cannot_choose(
    kt, noise
):
    # Between kT 0.1 and 1 a line often cannot be refused and is 5 to 40 % too low.
    rows = saturating(0.3, kt / 180, noise, n=3000, seed=6)
    result = fluxes(closures(rows))
    error = np.abs(result["flux"] - 0.3 * result["amount"])
    assert float((error < 1.96 * result["flux_se"]).mean()) > 0.87


def test_the_plain_error_of_a_chosen_line_would_miss_the_truth():
    result = fluxes(closures(saturating(0.3, 0.15 / 180, 2.0, n=3000, seed=6)))
    line = result["model"] == MODELS.index("linear")
    error = np.abs(result["flux"] - 0.3 * result["amount"])
    assert line.mean() > 0.5
    assert (error < 1.96 * result["flux_linear_se"]).where(line).mean() < 0.1


def test_detection_limit_of_a_noisy_sensor_is_shorter_with_a_longer_closure():
    # By hand: sigma 10 ppm, 180 s: 0.32 at 95 %; 300 s: 0.147.
    short, long = np.arange(60) * 3.0, np.arange(100) * 3.0
    data = make_closures(
        ["3 min", "5 min"],
        {"elapsed": [short, long], "co2": [450 + 0.1 * short, 450 + 0.1 * long]},
        per_closure={
            "pressure": [97200.0] * 2,
            "temperature": [20.0] * 2,
            "area": [0.05] * 2,
            "volume": [0.05 * 0.165 * 6.48 / 6.5798] * 2,
        },
    )
    mdf = fluxes(data, "co2", FluxSettings(precision=10.0))["mdf"].values
    assert mdf[0] == pytest.approx(0.32, abs=0.01)
    assert mdf[1] == pytest.approx(0.147, abs=0.004)


def test_noise_alone_is_below_the_detection_limit_as_often_as_the_level_says():
    noise = 450 + np.random.default_rng(5).normal(0, 2, (3000, T.size))
    settings = FluxSettings(precision=2.0, select="linear")
    flag = fluxes(closures(noise), "co2", settings)["flux_flag"]
    assert is_flagged(flag, "below_mdf").mean() == pytest.approx(0.95, abs=0.015)


# Bad input: a flag or a teaching error, never a silent number


def test_a_damaged_closure_gets_no_flux_but_a_reason():
    data = closures(np.vstack([saturating(0.3, 0.004)] * 2))
    data["closure_flag"][1] = CLOSURE_FLAGS.bit("truncated")
    result = fluxes(data)
    assert np.isfinite(result["flux"].values[0])
    assert np.isnan(result["flux"].values[1])
    assert is_flagged(result["flux_flag"], "closure_rejected").values.tolist() == [
        False,
        True,
    ]
    assert is_flagged(result["closure_flag"], "truncated").values[1]
    assert reasons(result)[1] == "no_fit"


def test_two_points_are_too_few():
    row = np.full(T.size, np.nan)
    row[:2] = 450, 451
    result = fluxes(closures(row))
    assert np.isnan(result["flux"].item())
    assert is_flagged(result["flux_flag"], "too_few_points").item()


def test_a_constant_series_has_zero_flux_and_a_flag_not_a_crash():
    result = fluxes(closures(np.full(T.size, 450.0)))
    assert result["flux"].item() == 0.0
    assert is_flagged(result["flux_flag"], "constant_concentration").item()


def test_a_few_repeated_stamps_are_left_out_and_many_reject_the_closure():
    data = closures(np.vstack([saturating(0.3, 0.004)] * 2))
    data["elapsed"][0, 7] = data["elapsed"].values[0, 6]
    data["elapsed"][1, 30:50] = data["elapsed"].values[1, 29]
    result = fluxes(data)
    assert is_flagged(result["flux_flag"], "repeated_times").all()
    assert result["flux"].values[0] == pytest.approx(
        0.3 * result["amount"].values[0], rel=1e-2
    )
    assert np.isnan(result["flux"].values[1])


def test_missing_samples_are_flagged_and_do_not_hurt():
    row = saturating(0.3, 0.004)[0].copy()
    row[[5, 20, 21]] = np.nan
    result = fluxes(closures(row))
    assert is_flagged(result["flux_flag"], "missing_values").item()
    assert result["n_points"].item() == 58
    assert result["flux"].item() == pytest.approx(
        0.3 * result["amount"].item(), rel=1e-5
    )


@pytest.mark.parametrize(
    ("name", "factor"), [("volume", 1e6), ("area", 1e4), ("pressure", 1e-3)]
)
def test_a_geometry_in_the_wrong_unit_is_refused_with_the_number(name, factor):
    data = closures(saturating(0.3, 0.004))
    attrs = data[name].attrs
    data[name] = (data[name] * factor).assign_attrs(attrs)
    with pytest.raises(InputError, match="check the units"):
        fluxes(data)


def test_one_bad_volume_costs_one_flux():
    rows = np.vstack([saturating(0.3, 0.004)] * 3)
    result = fluxes(closures(rows, volume=np.array([0.00825, 8250.0, 0.00825])))
    assert np.isnan(result["flux"].values[1])
    assert is_flagged(result["flux_flag"], "bad_geometry").values.tolist() == [
        False,
        True,
        False,
    ]
    assert np.isfinite(result["flux"].values[[0, 2]]).all()


def test_no_standard_atmosphere_is_assumed():
    with pytest.raises(InputError, match="no standard atmosphere"):
        fluxes(closures(saturating(0.3, 0.004)).drop_vars("pressure"))


def test_a_gas_without_units_or_with_foreign_ones_is_refused():
    data = closures(saturating(0.3, 0.004))
    del data["co2"].attrs["units"]
    with pytest.raises(InputError, match="units"):
        fluxes(data)
    data["co2"].attrs["units"] = "m s-1"
    with pytest.raises(InputError, match="mole fraction"):
        fluxes(data)
    data["co2"].attrs["units"] = "ppm"
    data["pressure"].attrs["units"] = "mm"
    with pytest.raises(UnitsError, match="pressure"):
        fluxes(data)


def test_settings_that_make_no_sense_are_refused():
    for wrong in (
        {"select": "best"},
        {"models": ("spline",)},
        {"precision": 0.0},
        {"dead_band": -1.0},
        {"initial": "mean"},
        {"select": "ndfe"},
        {"response": -1.0},
        {"dead_band": float("nan")},
        {"fit_end": float("nan")},
        {"confidence": 95.0},
        {"g_factor_limit": 0.5},
        {"models": ("none",)},
        {"response": 20.0, "models": ("zhao",)},
    ):
        with pytest.raises(InputError):
            FluxSettings(**wrong)


def test_values_at_closing_are_the_intercept_of_the_first_ten_seconds():
    data = closures(saturating(0.3, 0.004))
    data["pressure"] = (("closure", "sample"), (97200 + 2 * T)[None], {"units": "Pa"})
    assert at_closing(data, "pressure", "kPa").item() == pytest.approx(97.2)
    data["initial_pressure"] = ("closure", [98.0], {"units": "kPa"})
    assert at_closing(data, "pressure", "Pa").item() == 98000.0


def test_chunked_closures_give_bitwise_the_same_fluxes():
    data = closures(saturating(0.3, 0.006, 1.0, n=50))
    data["pressure"] = (
        ("closure", "sample"),
        np.full((50, T.size), 97200.0),
        {"units": "Pa"},
    )
    whole = fluxes(data)
    pieces = fluxes(data.chunk(closure=7))
    assert pieces["flux"].chunks is not None
    xr.testing.assert_identical(
        whole.drop_attrs(deep=False), pieces.compute().drop_attrs(deep=False)
    )


def test_results_survive_a_netcdf_file(tmp_path):
    result = fluxes(closures(saturating(0.3, 0.006, 1.0, n=3)))
    result.to_netcdf(tmp_path / "fluxes.nc", engine="h5netcdf")
    back = xr.open_dataset(tmp_path / "fluxes.nc", engine="h5netcdf")
    np.testing.assert_array_equal(back["flux"], result["flux"])
    assert is_flagged(back["flux_flag"]).dims == ("closure",)
    assert "flux_se" in back["flux"].attrs["ancillary_variables"]


# Published programs on real data


GOFLUX_FILES = {
    "manID.UGGA": "manID_UGGA_input.csv",
    "manID.G2201i(Area314.16,V5.5,P101.325,T20)": "manID_G2201i_input.csv",
    "imp.LI6400": "imp_LI6400_input.csv",
    "imp.LI8200": "imp_LI8200_input.csv",
}
GOFLUX_GASES = {
    "CO2dry_ppm": ("co2", "ppm", 1.0),
    "CH4dry_ppb": ("ch4", "ppb", 1.0),
    "H2O_ppm": ("h2o", "ppm", 1e-3),
}


def goflux_case(folder, row):
    """Return our flux Dataset for one row of the goFlux reference."""
    data = pd.read_csv(folder / GOFLUX_FILES[row.dataset])
    one = data[(data.UniqueID == row.UniqueID) & (data.flag == 1)]
    name, unit, scale = GOFLUX_GASES[row.gas]
    first = one.iloc[0]
    fixed = "G2201i" in row.dataset
    area = 314.16 if fixed else first.Area
    litres = 5.5 if fixed else first.Vtot if "Vtot" in one else first.Vcham
    litres = litres / 1000 if "LI8200" in row.dataset else litres
    samples = {
        "elapsed": [one.Etime.to_numpy(float)],
        name: [one[row.gas].to_numpy(float)],
        "pressure": [np.full(len(one), 101.325) if fixed else one.Pcham.to_numpy()],
        "temperature": [np.full(len(one), 20.0) if fixed else one.Tcham.to_numpy()],
        "h2o": [one.H2O_ppm.to_numpy(float)],
    }
    built = make_closures(
        [row.UniqueID],
        samples,
        per_closure={"area": [area], "volume": [litres]},
        units={
            name: unit,
            "h2o": "ppm",
            "pressure": "kPa",
            "area": "cm2",
            "volume": "L",
        },
    )
    settings = FluxSettings(
        precision=row.prec * scale,
        autocorrelation=False,
        initial="first",
        water_term=False,
        r_gas=8.314,
    )
    return fluxes(built, name, settings), scale


# Where goFlux stopped short of the optimum it was looking for.
def goflux_stopped_short(row):
    return row.dataset == "imp.LI8200" or (
        row.dataset == "manID.UGGA" and row.gas == "CH4dry_ppb"
    )


@pytest.mark.realdata
def test_goflux_reference_fluxes_are_met(dataset):
    folder = dataset("goflux-reference")
    reference = pd.read_csv(folder / "goflux_reference_fluxes.csv")
    assert len(reference) == 23
    converged = 0
    for row in reference.itertuples(index=False):
        row = pd.Series(row, index=reference.columns)
        ours, scale = goflux_case(folder, row)
        label = f"{row.dataset} {row.gas} {row.UniqueID}"
        linear = ours["flux_linear"].item() / scale
        assert linear == pytest.approx(row["LM.flux"], rel=1e-10), label
        assert ours["flux_linear_se"].item() / scale == pytest.approx(
            row["LM.SE"], rel=1e-6
        ), label
        assert ours["n_points"].item() == row["nb.obs"]
        assert ours["kappa_max"].item() == pytest.approx(row["k.max"], rel=1e-9), label
        rmse = ours["rmse_hm"].item() / scale
        assert rmse <= row["HM.RMSE"] + 1e-9, label
        hm = ours["flux_hm"].item() / scale
        if goflux_stopped_short(row):
            assert hm == pytest.approx(row["HM.flux"], rel=0.013), label
        else:
            converged += 1
            assert hm == pytest.approx(row["HM.flux"], rel=1e-4), label
            assert ours["kappa"].item() == pytest.approx(row["HM.k"], rel=1e-3), label
    assert converged == 16


@pytest.fixture
def gas_chromatograph(dataset):
    """All 700 N2O series of gasfluxes' example, the invalid ones included."""
    folder = dataset("gasfluxes-reference")
    data = pd.read_csv(folder / "fluxMeas_input.csv")
    groups = dict(iter(data.groupby("serie", sort=False)))
    closures = make_closures(
        list(groups),
        {
            "elapsed": [g.time.to_numpy() * 3600 for g in groups.values()],
            "n2o": [g.C.to_numpy() for g in groups.values()],
        },
        per_closure={
            "volume": [g.V.iloc[0] for g in groups.values()],
            "area": [g.A.iloc[0] for g in groups.values()],
        },
        units={"n2o": "mg m-3"},
    )
    return folder, closures


@pytest.mark.realdata
def test_gasfluxes_table_is_met_and_no_series_stops_it(gas_chromatograph):
    folder, data = gas_chromatograph
    reference = pd.read_csv(
        folder / "fluxMeas_reference_R_gasfluxes0.7_fdetect0.031.csv"
    ).set_index("serie")
    settings = FluxSettings(
        models=("robust",), select="kappa_max", autocorrelation=False, nonnegative=False
    )
    result = fluxes(data, "n2o", settings)
    assert result.sizes["closure"] == 700
    invalid = ["ID280", "ID556", "ID580", "ID581", "ID582", "ID614"]
    assert np.isnan(result["flux"].sel(closure=invalid)).all()
    assert is_flagged(
        result["flux_flag"].sel(closure=invalid),
        "too_few_points",
        "closure_rejected",
    ).all()
    ours = result.sel(closure=reference.index.to_numpy())
    np.testing.assert_allclose(
        ours["flux_linear"] * 3600, reference["linear.f0"], rtol=1e-8, atol=1e-12
    )
    np.testing.assert_allclose(
        ours["flux_linear_se"] * 3600, reference["linear.f0.se"], rtol=1e-8
    )
    robust = reference["robust.linear.f0"].to_numpy()
    known = np.isfinite(robust)
    np.testing.assert_allclose(
        (ours["flux_robust"] * 3600).values[known], robust[known], rtol=1e-6, atol=1e-10
    )


@pytest.mark.realdata
def test_gasfluxes_hmr_iterated_to_its_end_is_our_optimum(gas_chromatograph):
    # gasfluxes stops nls at a relative offset of 1e-5 with the scale offset 1 (in
    # mg m-3): on residuals of 0.01 that is short of the optimum, k is off by 1e-3 in
    # the median and by up to 6 %. Started from its own values and iterated to
    # convergence, its problem has our solution.
    folder, data = gas_chromatograph
    reference = pd.read_csv(
        folder / "fluxMeas_reference_R_gasfluxes0.7_fdetect0.031.csv"
    ).set_index("serie")
    reference = reference[reference["HMR.f0"].notna()]
    settings = FluxSettings(autocorrelation=False, nonnegative=False)
    ours = fluxes(data.sel(closure=reference.index.to_numpy()), "n2o", settings)
    compared, stopped_short = 0, 0
    for i, row in enumerate(reference.itertuples()):
        row = reference.iloc[i]
        one = data.sel(closure=reference.index[i]).dropna("sample")
        t, c = one["elapsed"].values / 3600, one["n2o"].values
        height = (one["volume"] / one["area"]).item()
        rss = ours["rmse_hm"].values[i] ** 2 * len(t)
        bound = is_flagged(ours["flux_flag"], "k_at_upper_bound", "no_curvature")
        if bound.values[i]:
            continue  # beyond a curve that four points can hold
        theirs = row["HMR.RSE"] ** 2 * (len(t) - 3)
        assert rss <= theirs * (1 + 1e-9) + 1e-24

        def residual(p, t=t, c=c, h=height):
            k = np.exp(p[2])
            return p[0] + p[1] / h * -np.expm1(-k * t) / k - c

        start = row["HMR.phi"] - row["HMR.f0"] / (row["HMR.kappa"] * height)
        end = least_squares(
            residual,
            [start, row["HMR.f0"], np.log(row["HMR.kappa"])],
            method="lm",
            x_scale="jac",
            xtol=1e-14,
            ftol=1e-14,
            gtol=1e-14,
        )
        flux = ours["flux_hm"].values[i] * 3600
        assert flux == pytest.approx(end.x[1], rel=1e-4, abs=1e-7), reference.index[i]
        compared += 1
        stopped_short += abs(row["HMR.f0"] / flux - 1) > 1e-4
    assert compared > 280
    assert stopped_short > 250


@pytest.mark.realdata
def test_hmr_program_is_met_to_its_four_printed_digits(gas_chromatograph):
    folder, data = gas_chromatograph
    reference = pd.read_csv(
        folder / "fluxMeas_first300_reference_R_HMR1.0.5_FollowHMR.csv"
    ).set_index("Series")
    for method, variable in (("HMR", "flux_hm"), ("LR", "flux_linear")):
        rows = reference[reference.Method == method]
        settings = FluxSettings(autocorrelation=False)
        ours = fluxes(data.sel(closure=rows.index.to_numpy()), "n2o", settings)
        np.testing.assert_allclose(
            ours[variable] * 3600, rows["f0"].astype(float), rtol=6e-4, atol=1e-9
        )
        np.testing.assert_allclose(
            ours[f"{variable}_se"] * 3600,
            rows["f0.se"].astype(float),
            rtol=6e-4,
            atol=1e-9,
        )
