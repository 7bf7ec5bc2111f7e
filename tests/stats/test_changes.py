"""Change from one period to another: exact cases, and how often intervals hold."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats as reference

from tilth.core.errors import InputError
from tilth.stats import period_change, signal_to_noise, yearly_means

PAST, RECENT = (1952, 1981), (1982, 2011)


def with_memory(worlds, lag1, generator, n=30):
    noise = generator.normal(size=(worlds, n + 40))
    x = np.zeros_like(noise)
    for k in range(1, n + 40):
        x[:, k] = lag1 * x[:, k - 1] + np.sqrt(1.0 - lag1**2) * noise[:, k]
    return x[:, 40:]


def two_periods(worlds=400, lag1=0.0, step=1.0, seed=0):
    generator = np.random.default_rng(seed)
    parts = [
        level + with_memory(worlds, lag1, generator) for level in (10.0, 10.0 + step)
    ]
    return xr.DataArray(
        np.concatenate(parts, axis=1),
        {"year": np.arange(1952, 2012)},
        ("cell", "year"),
        attrs={"units": "mm day-1"},
    )


@pytest.mark.parametrize("kind", ["difference", "ratio"])
def test_the_change_is_that_of_the_two_means(kind):
    x = two_periods(worlds=3)
    found = period_change(x, PAST, RECENT, kind=kind)
    past, recent = x.values[:, :30].mean(1), x.values[:, 30:].mean(1)
    expected = recent - past if kind == "difference" else recent / past
    np.testing.assert_allclose(found["change"], expected, rtol=1e-12)
    assert found["past"].attrs["units"] == "mm day-1"
    assert found["change"].attrs["units"] == ("mm day-1" if kind != "ratio" else "1")
    assert found.attrs["seed"] == 0
    assert "blocks of 4" in found.attrs["method"]


@pytest.mark.parametrize(
    ("lag1", "least", "most"),
    [(0.0, 0.92, 0.975), (0.3, 0.89, 0.96), (0.5, 0.85, 0.93)],
)
@pytest.mark.parametrize(("kind", "truth"), [("difference", 1.0), ("ratio", 1.1)])
def test_intervals_hold_the_truth_as_often_as_documented(
    kind, truth, lag1, least, most
):
    x = two_periods(worlds=1200, lag1=lag1, seed=1)
    found = period_change(x, PAST, RECENT, kind=kind, draws=600)
    inside = (found["lower"] < truth) & (found["upper"] > truth)
    assert least < float(inside.mean()) < most


def test_single_years_would_be_too_sure_where_years_follow_each_other():
    x = two_periods(worlds=800, lag1=0.5, seed=2)
    found = period_change(x, PAST, RECENT, block=1, draws=600)
    inside = (found["lower"] < 1.0) & (found["upper"] > 1.0)
    assert float(inside.mean()) < 0.8


def test_of_independent_years_the_interval_is_about_that_of_welch():
    x = two_periods(worlds=100, seed=3)
    found = period_change(x, PAST, RECENT, block=1)
    welch = reference.ttest_ind(
        x.values[:, 30:], x.values[:, :30], axis=1, equal_var=False
    ).confidence_interval(0.95)
    width = float((found["upper"] - found["lower"]).mean())
    assert width == pytest.approx(float(np.mean(welch.high - welch.low)), rel=0.03)


def test_on_dask_and_cell_by_cell_the_limits_are_the_same():
    x = two_periods(worlds=6, lag1=0.3)
    whole = period_change(x, PAST, RECENT)
    on_dask = period_change(x.chunk(cell=4, year=17), PAST, RECENT)
    assert on_dask["lower"].chunks is not None
    xr.testing.assert_identical(whole, on_dask.compute())
    alone = period_change(x.isel(cell=3), PAST, RECENT)
    assert float(alone["upper"]) == float(whole["upper"][3])


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_days_of_any_calendar_become_years(calendar):
    time = xr.date_range("1990-01-01", "1999-12-30", calendar=calendar, use_cftime=True)
    days = xr.DataArray(time.year.astype(float), {"time": time}, ("time",))
    yearly = yearly_means(days)
    assert yearly["year"].values.tolist() == list(range(1990, 2000))
    np.testing.assert_allclose(yearly, np.arange(1990, 2000), rtol=1e-12)


def test_a_year_with_too_few_days_does_not_count():
    time = xr.date_range("1990-01-01", "1993-12-31")
    x = xr.DataArray(np.ones(time.size), {"time": time}, ("time",))
    x[x["time"].dt.year == 1991] = 100.0
    x = x.where((x["time"].dt.year != 1991) | (x["time"].dt.dayofyear > 100))
    yearly = yearly_means(x)
    assert np.isnan(yearly.sel(year=1991))
    assert yearly.sel(year=1992) == 1.0


def test_missing_years_leave_a_change_and_missing_periods_do_not():
    x = two_periods(worlds=2)
    x[0, 5:9] = np.nan
    x[1, :25] = np.nan
    found = period_change(x, PAST, RECENT)
    assert float(found["past"][0]) == pytest.approx(float(np.nanmean(x[0, :30])))
    assert np.isfinite(found["lower"][0])
    assert np.isnan(found["lower"][1])


def test_signal_and_noise_of_members_of_known_truth():
    generator = np.random.default_rng(4)
    change = xr.DataArray(
        generator.normal(0.5, 1.0, size=(2000, 50)), dims=("cell", "member")
    )
    found = signal_to_noise(change)
    inside = (found["lower"] < 0.5) & (found["upper"] > 0.5)
    assert float(inside.mean()) == pytest.approx(0.95, abs=0.015)
    assert float(found["ratio"].mean()) == pytest.approx(0.5, abs=0.02)
    # A normal change of half its spread has its sign in Phi(0.5) of the members.
    assert float(found["same_sign"].mean()) == pytest.approx(0.6915, abs=0.01)
    assert (found["members"] == 50).all()


def test_members_that_are_missing_do_not_count():
    change = xr.DataArray([[1.0, 3.0, np.nan], [1.0, np.nan, np.nan]],
                          dims=("cell", "member"))  # fmt: skip
    found = signal_to_noise(change)
    assert found["signal"].values.tolist() == [2.0, 1.0]
    assert found["members"].values.tolist() == [2, 1]
    assert found["ratio"][0] == pytest.approx(np.sqrt(2.0))
    assert np.isnan(found["lower"][1])
    assert np.isnan(found["ratio"][1])


def test_what_cannot_be_compared_is_refused():
    x = two_periods(worlds=1)
    with pytest.raises(InputError, match="overlap"):
        period_change(x, (1952, 1985), RECENT)
    with pytest.raises(InputError, match="at least 8"):
        period_change(x, (1952, 1958), RECENT)
    with pytest.raises(InputError, match="difference"):
        period_change(x, PAST, RECENT, kind="percent")
    with pytest.raises(InputError, match="time or year"):
        yearly_means(x.rename(year="step"))
    with pytest.raises(InputError, match="two members"):
        signal_to_noise(x)
