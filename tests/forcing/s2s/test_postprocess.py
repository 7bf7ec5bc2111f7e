"""Post-processing: honest probabilities from biased ensembles, by hand and by truth."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from tilth.core.errors import InputError
from tilth.forcing.s2s import (
    METHODS,
    MemberCount,
    NormalRegression,
    QuantileMapping,
    Training,
    blend_forecast,
    lead_windows,
    map_quantiles,
    normal_categories,
    normal_members,
    predictive_normal,
    score_terciles,
    simulated_hindcasts,
    start_groups,
    tercile_edges,
    tercile_forecast,
)
from tilth.stats.scores import crps

WINDOWS = {"week 1": (0, 7), "weeks 3-4": (14, 28), "weeks 5-6": (28, 42)}


def weeks(**options):
    """Simulated hindcasts and observations of three periods."""
    data = simulated_hindcasts(**{"cells": 4, "seed": 3, **options})
    return (lead_windows(data[name], WINDOWS) for name in ("hindcast", "observed"))


@pytest.fixture(scope="module")
def warm():
    return tuple(weeks())


@pytest.fixture(scope="module")
def wet():
    return tuple(weeks(variable="precipitation"))


def test_the_simulated_members_correlate_as_they_were_made_to():
    data = simulated_hindcasts(
        years=range(1900, 2000), leads=15, cells=2, bias=0, drift=0, spread=1, seed=1
    )
    for day in (0, 7, 14):
        wanted = np.exp(-(day + 0.5) / 12.0)
        one = data.isel(lead=day)
        member, other = (one["hindcast"].isel(member=k) for k in (0, 1))
        for pair in ((member, one["observed"]), (member, other)):
            found = np.corrcoef(*(x.values.ravel() for x in pair))[0, 1]
            assert found == pytest.approx(wanted, abs=0.05)


def test_the_regression_is_least_squares_on_the_other_years(warm):
    model, truth = (x.isel(cell=[0]) for x in warm)
    plain = NormalRegression(shrink=False)
    found = predictive_normal(model, truth, settings=plain, window=10)
    groups = start_groups(model["start"], window=10)
    for target in (0, 100, 239):
        members = groups.of(target)
        for k in range(3):
            mean = model.mean("member").values[:, k, 0]
            slope, level = np.polyfit(mean[members], truth.values[members, k, 0], 1)
            one = found.isel(start=target, lead=k, cell=0)
            assert float(one["slope"]) == pytest.approx(max(slope, 0.0), rel=1e-9)
            if slope > 0:
                wanted = level + slope * mean[target]
                assert float(one["mean"]) == pytest.approx(wanted, rel=1e-12)


def test_shrinking_takes_one_over_f_off_the_slope(warm):
    model, truth = warm
    free, drawn = (
        predictive_normal(model, truth, settings=NormalRegression(shrink=shrink))
        for shrink in (False, True)
    )
    ratio = drawn["slope"] / free["slope"]
    assert float(ratio.sel(lead="week 1").min()) > 0.99
    assert float(ratio.sel(lead="weeks 5-6").mean()) < 0.9
    members = start_groups(model["start"]).of(5)
    mean = model.mean("member").isel(cell=1, lead=2).values[members]
    seen = truth.isel(cell=1, lead=2).values[members]
    square = np.corrcoef(mean, seen)[0, 1] ** 2
    f = square * (members.size - 2) / (1 - square)
    wanted = max(0.0, 1 - 1 / f)
    assert float(ratio.isel(cell=1, lead=2, start=5)) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("spread", [0.4, 1.0, 1.6])
def test_the_predicted_spread_is_that_of_the_errors_however_sure_the_model_is(spread):
    model, truth = weeks(spread=spread, bias=3.0)
    found = predictive_normal(model, truth)
    error = (truth - found["mean"]) / found["sd"]
    scale = np.sqrt((error**2).mean(["start", "cell"])).values
    np.testing.assert_allclose(scale, 1.0, atol=0.06)
    raw = (truth - model.mean("member")) / model.std("member")
    assert (np.sqrt((raw**2).mean(["start", "cell"])) > 1.2).all()


def test_members_of_the_regression_score_better_and_keep_their_order(warm):
    model, truth = warm
    settings_ = NormalRegression()
    found = predictive_normal(model, truth, settings=settings_)
    members = normal_members(found, model, settings_)
    assert members.dims == model.dims
    np.testing.assert_array_equal(
        members.argsort(axis=model.dims.index("member")),
        model.argsort(axis=model.dims.index("member")),
    )
    before, after = (float(crps(x, truth).mean()) for x in (model, members))
    assert after < 0.6 * before
    middle = members.median("member")
    np.testing.assert_allclose(middle, found["mean"].transpose(*middle.dims))


def test_precipitation_of_the_regression_is_never_negative(wet):
    model, truth = wet
    root = NormalRegression("cube root")
    found = predictive_normal(model, truth, settings=root)
    members = normal_members(found, model, root)
    assert float(members.min()) >= 0.0
    assert members.attrs["units"] == "mm day-1"


@given(st.floats(-3, 3), st.floats(0.05, 3), st.floats(-2, 2), st.floats(0.0, 2.0))
def test_categories_of_a_normal_are_its_distribution_function(mean, sd, low, width):
    predictive = xr.Dataset({"mean": mean, "sd": sd})
    edges = xr.DataArray([low, low + width], dims="edge")
    found = normal_categories(predictive, edges, NormalRegression()).values
    below = norm.cdf([low, low + width], mean, sd)
    np.testing.assert_allclose(
        found, [below[0], below[1] - below[0], 1 - below[1]], atol=1e-12
    )


def test_mapping_takes_every_quantile_of_the_model_to_the_observed():
    draws = np.random.default_rng(5)
    model, truth = weeks(years=range(1900, 2000), skill_days=0.0, starts_per_year=4)
    truth = truth + 0.3 * draws.normal(size=truth.shape) ** 2
    found = map_quantiles(model, truth, settings=QuantileMapping("+", 50))
    for p in (0.05, 0.33, 0.5, 0.67, 0.95):
        ours = found.quantile(p, ["start", "member", "cell"])
        theirs = truth.quantile(p, ["start", "cell"])
        np.testing.assert_allclose(ours, theirs, atol=0.15)
        raw = model.quantile(p, ["start", "member", "cell"])
        assert (abs(raw - theirs) > 1.0).all()


def test_mapping_by_hand():
    # Three other years: model 10, 20, 30, observed 11, 22, 33; one node, the median.
    start = np.array([f"200{k}-01-05" for k in range(1, 5)], "datetime64[ns]")
    model = xr.DataArray(
        [[99.0], [10.0], [20.0], [30.0]], {"start": start}, ("start", "member")
    )
    truth = xr.DataArray([0.0, 11.0, 22.0, 33.0], {"start": start})
    added = map_quantiles(model, truth, settings=QuantileMapping("+", 1))
    assert added.values[0, 0] == pytest.approx(99.0 + 2.0)
    times = map_quantiles(model, truth, settings=QuantileMapping("*", 1))
    assert times.values[0, 0] == pytest.approx(99.0 * 1.1)


def test_ratios_stop_at_their_cap():
    start = np.array([f"200{k}-01-05" for k in range(1, 6)], "datetime64[ns]")
    model = xr.DataArray(
        np.array([[1.0], [0.0], [1e-9], [0.0], [1e-9]]),
        {"start": start},
        ("start", "member"),
    )
    truth = xr.DataArray([1.0, 5.0, 5.0, 5.0, 5.0], {"start": start})
    found = map_quantiles(model, truth, settings=QuantileMapping("*", 4, ratio_cap=3.0))
    assert np.isfinite(found.values).all()
    assert found.values[0, 0] == pytest.approx(3.0)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_gives_probabilities_that_are_the_same_on_dask(name, wet):
    model, truth = (x.isel(start=slice(0, 96)) for x in wet)
    model = model.where(model["start"] != model["start"][7])  # one start is missing
    training = Training(window=10)
    found = tercile_forecast(model, truth, method=METHODS[name], training=training)
    shares = found["probability"]
    assert shares.dims == ("start", "lead", "cell", "category")
    missing = shares.isnull().all(["lead", "cell", "category"]).values
    assert np.flatnonzero(missing).tolist() == [7]
    total = shares.sum("category", skipna=False).values
    np.testing.assert_allclose(total[~missing], 1.0, atol=1e-12)
    lazy = tercile_forecast(
        model.chunk(start=50, cell=1),
        truth.chunk(cell=2, lead=1),
        method=METHODS[name],
        training=training,
    )
    xr.testing.assert_equal(found, lazy.compute())


def test_no_method_uses_the_observations_of_the_year_it_foretells(warm):
    model, truth = warm
    own = (truth["start"].dt.year == 2007).values
    changed = truth.copy(deep=True)
    changed[own] += 50.0
    for name in ("model-edges", "mapping", "regression"):
        before, after = (
            tercile_forecast(model, x, method=METHODS[name])["probability"].values
            for x in (truth, changed)
        )
        np.testing.assert_array_equal(before[own], after[own])
        if name == "regression":
            assert (before[~own] != after[~own]).any()


def test_a_biased_model_fails_by_the_observed_edges_and_not_by_its_own(warm):
    skill = {
        name: score_terciles(
            tercile_forecast(*warm, method=METHODS[name]),
            dim=("start", "cell"),
            members=11,
        )["rpss"].values
        for name in ("raw", "model-edges", "mapping", "regression")
    }
    assert (skill["raw"] < -0.5).all()
    for name in ("model-edges", "mapping"):
        assert skill[name][0] > 0.4
        assert skill[name][2] < 0.0  # eleven members without skill lose 4/99/(4/9)
    assert (skill["regression"] > skill["model-edges"]).all()
    assert skill["regression"][2] > -0.01


def test_the_ensemble_size_explains_what_counting_loses_without_skill():
    model, truth = weeks(skill_days=0.0, cells=8, years=range(1960, 2020))
    found = score_terciles(
        tercile_forecast(model, truth), dim=("start", "cell", "lead"), members=11
    )
    assert float(found["rpss"]) == pytest.approx(-1 / 11, abs=0.015)
    assert float(found["rpss_d"]) == pytest.approx(0.0, abs=0.015)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000))
def test_a_blend_is_not_worse_than_climatology_whatever_the_model(seed):
    model, truth = weeks(seed=seed, skill_days=0.0)
    counted = tercile_forecast(model, truth)
    found = score_terciles(
        blend_forecast(counted, pool=("cell",)), dim=("start", "cell", "lead")
    )
    assert float(found["rpss"]) > -0.01


def test_a_real_time_forecast_learns_from_hindcasts_and_is_not_scored(warm):
    model, truth = warm
    past, year = model["start"].dt.year < 2019, model["start"].dt.year == 2019
    now = model.sel(start=year).isel(member=slice(0, 5))
    for name in ("raw", "model-edges", "mapping", "regression"):
        options = {"method": METHODS[name]}
        found = tercile_forecast(
            model.sel(start=past), truth.sel(start=past), now, **options
        )
        assert found.attrs["members"] == 5
        hindcasts = tercile_forecast(
            model.sel(start=past), truth.sel(start=past), **options
        )
        final = blend_forecast(hindcasts, found, pool=("cell",))
        assert final["weight"].dims == ("lead", "start")
        assert final.attrs["method"].endswith("blended")
        with pytest.raises(InputError, match="real time"):
            score_terciles(found)
    # The same as leaving the year out, where members and years are the same.
    whole = tercile_forecast(model, truth, method=NormalRegression())
    apart = tercile_forecast(
        model.sel(start=past),
        truth.sel(start=past),
        model.sel(start=year),
        NormalRegression(),
    )
    np.testing.assert_allclose(
        apart["probability"], whole["probability"].sel(start=year), rtol=1e-12
    )


def test_other_units_and_strange_settings_are_refused(warm):
    model, truth = warm
    with pytest.raises(InputError, match="convert them to the same units"):
        tercile_forecast(model, (truth - 273.15).assign_attrs(units="degC"))
    with pytest.raises(InputError, match='"model" or "observed"'):
        MemberCount("mine")
    with pytest.raises(InputError, match='"none" or "cube root"'):
        NormalRegression("log")
    with pytest.raises(InputError, match='kind is "\\+" or "\\*"'):
        QuantileMapping("ratio")
    with pytest.raises(InputError, match="at least one quantile"):
        QuantileMapping("+", 0)
    with pytest.raises(InputError, match="cap of ratios"):
        QuantileMapping("*", ratio_cap=0.5)
    with pytest.raises(InputError, match='"temperature" or "precipitation"'):
        simulated_hindcasts(variable="wind")


def test_model_edges_say_nothing_where_the_observations_have_none(warm):
    model, truth = warm
    sea = truth.where(truth["cell"] != 2)
    found = tercile_forecast(model, sea)["probability"]
    assert found.isel(cell=2).isnull().all()
    assert found.isel(cell=1).notnull().all()
    assert tercile_edges(sea).isel(cell=2).isnull().all()
