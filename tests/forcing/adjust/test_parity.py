"""Numerical parity with xsdba 0.7.0 on the AHCCD/CanESM2 pair.

The reference numbers were computed with xsdba 0.7.0 (nquantiles=50, interp='linear',
extrapolation='constant', no jitter): trained on 1950-1981, applied to 1982-2013.

The model file has one and the same series under both names, and not the climate of
either place: this is arithmetic, no evidence of skill.
"""

import numpy as np
import pytest
import xarray as xr

from tilth.forcing.adjust import DQM, EQM, QDM

pytestmark = pytest.mark.realdata

TRAINING, TARGET, FUTURE = (
    slice("1950", "1981"), slice("1982", "2013"), slice("2069", "2100")
)  # fmt: skip

#: Mean, 95 % and 99 % quantile at Vancouver, then Amos.
TEMPERATURE = {
    (EQM, "none"): [(14.3303, 24.9058, 28.655), (7.7498, 27.1972, 31.455)],
    (QDM, "none"): [(14.3722, 25.3281, 28.6558), (6.9435, 27.5281, 31.4554)],
    (EQM, "month"): [(14.2028, 24.8316, 27.8542), (7.5813, 27.2586, 30.8673)],
    (QDM, "month"): [(14.3446, 25.5618, 28.4718), (7.0686, 27.5838, 31.4843)],
    (DQM, "month"): [(14.3493, 25.4471, 28.4282), (6.9599, 27.5521, 31.4507)],
}
RAIN = {
    (EQM, "none"): [(3.2021, 16.5164, 29.2489), (2.4739, 12.871, 24.8655)],
    (QDM, "none"): [(3.2001, 16.5235, 29.244), (2.4803, 12.8588, 24.8993)],
    (QDM, "month"): [(3.2806, 16.4342, 29.9293), (2.467, 12.2234, 24.1058)],
}


@pytest.fixture
def pair(dataset):
    """Return a function that gives observations and model of a variable."""
    folder = dataset("ahccd-canesm2")

    def read(variable):
        return [
            xr.open_dataset(folder / name, engine="h5netcdf")[variable]
            .transpose("location", "time")
            .load()
            for name in ("ahccd_1950-2013.nc", "CanESM2_1950-2100.nc")
        ]

    return read


def adjusted(pair, variable, method, group):
    """Return the adjusted target and future periods, and the raw ones."""
    observed, modelled = pair(variable)
    kind = "+" if variable == "tasmax" else "*"
    adjuster = method(kind=kind, group=group).fit(
        observed.sel(time=TRAINING), modelled.sel(time=TRAINING)
    )
    raw = [modelled.sel(time=TARGET), modelled.sel(time=FUTURE)]
    return [adjuster.apply(period) for period in raw], raw


def statistics(data):
    values = data.values.astype(float)
    return np.column_stack(
        [values.mean(axis=1), *np.quantile(values, [0.95, 0.99], axis=1)]
    )


@pytest.mark.parametrize(("method", "group"), TEMPERATURE)
def test_temperatures_agree_with_xsdba(pair, method, group):
    (found, _), _ = adjusted(pair, "tasmax", method, group)
    expected = np.array(TEMPERATURE[method, group])
    if group == "none":
        np.testing.assert_allclose(statistics(found), expected, atol=1.1e-4)
    else:  # xsdba interpolates on a surface of value and month
        np.testing.assert_allclose(statistics(found)[:, 0], expected[:, 0], atol=0.005)
        np.testing.assert_allclose(statistics(found), expected, atol=0.06)


@pytest.mark.parametrize(("method", "group"), RAIN)
def test_amounts_agree_with_xsdba(pair, method, group):
    (found, _), _ = adjusted(pair, "pr", method, group)
    expected = np.array(RAIN[method, group])
    if group == "none":
        np.testing.assert_allclose(statistics(found), expected, atol=1.1e-4)
    else:
        np.testing.assert_allclose(statistics(found)[:, 0], expected[:, 0], atol=0.005)
        np.testing.assert_allclose(statistics(found), expected, rtol=0.015)


def test_no_ratio_by_month_is_missing_where_xsdba_divides_zero_by_zero(pair):
    # xsdba: 3.3 % of the output NaN at both places.
    (found, future), _ = adjusted(pair, "pr", EQM, "month")
    assert found.notnull().all()
    assert future.notnull().all()


SIGNALS = {
    (EQM, "none"): (4.323, 7.760),
    (QDM, "none"): (4.918, 4.918),
    (EQM, "month"): (3.838, 6.590),
    (QDM, "month"): (4.909, 4.912),
}


@pytest.mark.parametrize(("method", "group"), SIGNALS)
def test_warming_to_the_end_of_the_century_agrees_with_xsdba(pair, method, group):
    (now, later), raw = adjusted(pair, "tasmax", method, group)
    change = (later.mean("time") - now.mean("time")).values
    tolerance = 0.001 if group == "none" else 0.012
    np.testing.assert_allclose(change, SIGNALS[method, group], atol=tolerance)
    of_model = (raw[1].mean("time") - raw[0].mean("time")).values
    np.testing.assert_allclose(of_model, 4.918, atol=0.001)
    if method is QDM:
        np.testing.assert_allclose(change, of_model, atol=0.01)


def test_wetting_to_the_end_of_the_century_agrees_with_xsdba(pair):
    for method, expected in ((EQM, (1.026, 1.043)), (QDM, (1.038, 1.045))):
        (now, later), _ = adjusted(pair, "pr", method, "none")
        ratio = later.mean("time") / now.mean("time")
        np.testing.assert_allclose(ratio, expected, atol=6e-4)


@pytest.mark.parametrize("method", [EQM, QDM, DQM])
def test_windows_of_days_beat_no_grouping_at_the_monthly_climate(pair, method):
    """xsdba: RMSE of monthly means falls from 1.6-1.7 to 0.73-0.75 degC."""
    observed = pair("tasmax")[0].sel(time=TARGET).groupby("time.month").mean()
    errors = {}
    for group in ("none", "31 days"):
        (found, _), _ = adjusted(pair, "tasmax", method, group)
        wrong = found.groupby("time.month").mean() - observed
        errors[group] = float(np.sqrt((wrong**2).mean("month")).mean())
    assert errors["31 days"] < 0.80
    assert errors["none"] > 1.5


def test_another_program_puts_the_means_where_windows_put_them(pair):
    """ClimateTools.jl 0.22: rain of 1950-2009 adjusted by 31-day windows.

    Its printed means are 3.3965 and 2.8186 mm/day, from 2.5535 of the model; its
    treatment of extremes and gaps is its own, so the two agree no closer than 10 %.
    """
    observed, modelled = (x.sel(time=slice("1950", "2009")) for x in pair("pr"))
    found = EQM("*", group="31 days").fit(observed, modelled).apply(modelled)
    means = found.mean("time").values
    np.testing.assert_allclose(means, [3.3965, 2.8186], rtol=0.1)
    assert modelled.mean().item() * 86400 == pytest.approx(2.5535, abs=1e-3)
