"""The method on a made-up climate whose reasons are known, and its promises."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr
from sklearn.kernel_approximation import Nystroem as SklearnNystroem
from sklearn.linear_model import Ridge as SklearnRidge

from tilth.core.errors import InputError
from tilth.core.regrid import bilinear
from tilth.forcing.patterns.downscaling import METHOD, PatternDownscaling
from tilth.forcing.patterns.learners import Ridge, fit_out_of_fold, row_product
from tilth.forcing.patterns.learners_nonlinear import Nystroem, RandomForest
from tilth.forcing.patterns.seasons import season_labels
from tilth.forcing.patterns.simulated import simulated_weather


@pytest.fixture(scope="module")
def weather():
    return simulated_weather(winters=10, places=8)


@pytest.fixture(scope="module")
def split(weather):
    late = season_labels(weather.local.time) > 1989
    return weather.coarse[~late], weather.local[~late], weather.coarse[late], late


@pytest.fixture(scope="module")
def model(split):
    return PatternDownscaling().fit(split[0], split[1])


@pytest.fixture(scope="module")
def result(model, split):
    return model.predict(split[2])


def rank_correlation(values, observed):
    pairs = zip(values.T, observed.T, strict=True)
    return np.mean([spearmanr(a, b)[0] for a, b in pairs])


def test_the_pattern_knows_what_the_nearest_cells_do_not(weather, split, result):
    truth = weather.local[split[3]].values
    near = bilinear(weather.coarse, weather.local).apply(split[2]).values
    assert rank_correlation(result["corrected"].values, truth) > 0.6
    assert rank_correlation(near, truth) < 0.45


def test_the_rank_step_gives_back_the_distribution(weather, split, result):
    learnt, truth = split[1], weather.local[split[3]]
    assert (result["conditional"].std() / learnt.std()).item() < 0.7
    assert 0.85 < (result["corrected"].std() / learnt.std()).item() < 1.15
    wet = [float((x >= 1.0).mean()) for x in (result["corrected"], truth)]
    assert wet[0] == pytest.approx(wet[1], abs=0.02)


def test_the_conditional_estimate_errs_least_on_the_scale_of_learning(
    weather, split, result
):
    truth = np.cbrt(weather.local[split[3]].values)
    errors = [
        ((np.cbrt(result[name].values) - truth) ** 2).mean()
        for name in ("conditional", "corrected")
    ]
    assert errors[0] < 0.9 * errors[1]


def test_the_spread_is_that_of_errors_on_winters_never_seen(weather, split, result):
    error = (result["conditional"] - weather.local[split[3]]).values
    spread = result["conditional_spread"].values
    order = np.argsort(spread, axis=None)
    low, high = np.array_split(order, 2)
    for half in (low, high):
        ratio = np.sqrt(
            (error.ravel()[half] ** 2).mean() / (spread.ravel()[half] ** 2).mean()
        )
        assert 0.75 < ratio < 1.35
    assert (error.ravel()[high] ** 2).mean() > 4 * (error.ravel()[low] ** 2).mean()


def test_pure_noise_is_given_the_climate_and_no_skill(weather, split):
    noise = weather.local.copy(
        data=np.random.default_rng(0).gamma(0.3, 5.0, weather.local.shape)
    )
    with pytest.warns(UserWarning, match="does not follow"):
        model = PatternDownscaling().fit(split[0], noise[~split[3]], guards="warn")
    found = model.predict(split[2])
    truth = noise[split[3]].values
    assert abs(rank_correlation(found["corrected"].values, truth)) < 0.08
    wet = (truth >= 1.0).mean()
    assert (found["corrected"] >= 1.0).mean().item() == pytest.approx(wet, abs=0.05)
    assert found["conditional"].std().item() < 0.3 * truth.std()


def test_members_stay_apart_and_equal_those_predicted_alone(model, split):
    coarse = split[2][:60]
    both = xr.concat([coarse, 0.5 * coarse], "member", join="exact").assign_attrs(
        coarse.attrs
    )
    together = model.predict(both)
    assert together["corrected"].dims == ("time", "member", "place")
    for k, field in enumerate((coarse, 0.5 * coarse)):
        alone = model.predict(field.assign_attrs(coarse.attrs))
        xr.testing.assert_identical(
            together["corrected"].isel(member=k), alone["corrected"]
        )
    with pytest.raises(InputError, match=r"select one, such as isel\(member=0\)"):
        PatternDownscaling().fit(both, split[1])


@pytest.mark.parametrize("learner", [Ridge(), Nystroem(landmarks=60)])
def test_chunks_do_not_change_a_bit(split, learner):
    model = PatternDownscaling(learner).fit(split[0], split[1])
    whole = model.predict(split[2])
    for size in (7, 50):
        lazy = model.predict(split[2].chunk(time=size))
        assert lazy["corrected"].chunks is not None
        xr.testing.assert_identical(lazy.compute(), whole)


def test_a_missing_cell_is_a_missing_day_and_no_other(model, split, result):
    holed = split[2].copy()
    holed[3, 0, 0] = np.nan
    found = model.predict(holed)
    assert found["corrected"][3].isnull().all()
    keep = np.arange(holed.sizes["time"]) != 3
    xr.testing.assert_identical(found["corrected"][keep], result["corrected"][keep])


def test_targets_with_gaps_equal_targets_learnt_alone(split):
    observed = split[1].copy()
    observed[10:60, 1] = np.nan
    observed[:, 2] = np.nan
    observed[40:, 3] = np.nan
    together = PatternDownscaling().fit(split[0], observed)
    found = together.predict(split[2])
    assert together.training_days.tolist()[:4] == [630, 580, 0, 0]
    assert found["corrected"][:, 2:4].isnull().all()
    for place in (0, 1, 5):
        alone = PatternDownscaling().fit(split[0], observed[:, [place]])
        np.testing.assert_allclose(
            alone.predict(split[2])["corrected"][:, 0],
            found["corrected"][:, place],
            atol=1e-9,
        )
    with pytest.raises(InputError, match="none of 2 targets has 50 days"):
        PatternDownscaling().fit(split[0], observed[:, 2:4])


def test_ridge_is_scikit_learns_and_so_are_its_folds():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(200, 6)), generator.normal(size=(200, 3))
    fold = np.arange(200) // 7 % 4
    fitted, held_out = fit_out_of_fold(Ridge(2.0), x, y, fold)
    peer = SklearnRidge(alpha=2.0).fit(x, y)
    np.testing.assert_allclose(fitted.predict(x), peer.predict(x), atol=1e-10)
    for k in range(4):
        peer = SklearnRidge(alpha=2.0).fit(x[fold != k], y[fold != k])
        np.testing.assert_allclose(
            held_out[fold == k], peer.predict(x[fold == k]), atol=1e-10
        )


def test_nystroem_is_scikit_learns_map_and_ridge():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(300, 5)), generator.normal(size=(300, 2))
    ours = Nystroem(landmarks=50, gamma=0.5, alpha=1.0, seed=3).fit(x, y).predict(x)
    mapped = SklearnNystroem(gamma=0.1, n_components=50, random_state=3)
    peer = SklearnRidge(alpha=1.0).fit(mapped.fit_transform(x), y)
    np.testing.assert_allclose(ours, peer.predict(mapped.transform(x)), atol=1e-8)


def test_a_row_of_a_product_does_not_depend_on_the_others():
    generator = np.random.default_rng(0)
    x, w = generator.normal(size=(40, 9)), generator.normal(size=(9, 700))
    whole = row_product(x, w)
    np.testing.assert_allclose(whole, x @ w, atol=1e-12)
    assert (row_product(x[13:14], w)[0] == whole[13]).all()


def test_a_forest_fits_through_the_same_door(split):
    learner = RandomForest(trees=10, jobs=2)
    model = PatternDownscaling(learner, folds=2).fit(split[0], split[1][:, :2])
    found = model.predict(split[2])
    truth = split[2].time.size
    assert found["corrected"].shape == (truth, 2)
    assert found["corrected"].notnull().all()


def test_more_fields_on_other_grids_are_used(weather, split):
    wind = (
        weather.coarse[:, ::2, ::2].rename("wind").assign_attrs(units="m s-1")
        * 0.0
        + np.random.default_rng(0).normal(size=(900, 3, 4))
    ).assign_attrs(units="m s-1")  # fmt: skip
    wind_late, wind_early = wind[split[3]], wind[~split[3]]
    model = PatternDownscaling().fit({"pr": split[0], "wind": wind_early}, split[1])
    assert [field.size for field in model.fields] == [48, 12]
    assert [field.same_quantity for field in model.fields] == [True, False]
    model.predict({"wind": wind_late, "pr": split[2]})
    with pytest.raises(InputError, match="wind was learnt from and is missing"):
        model.predict(split[2])


def test_other_grids_are_refused_when_predicting(model, split):
    with pytest.raises(InputError, match="lies on other cells"):
        model.predict(split[2].assign_coords(lon=split[2].lon + 1.0))
    with pytest.raises(InputError, match="learnt from with 6 values of lat"):
        model.predict(split[2][:, :4])


def test_gridded_targets_come_back_as_a_grid(weather):
    fine = weather.local.isel(place=slice(0, 6))
    grid = xr.DataArray(
        fine.values.reshape(-1, 2, 3),
        {"time": fine.time, "lat": [40.0, 41.0], "lon": [-3.0, -2.0, -1.0]},
        ("time", "lat", "lon"),
        attrs=fine.attrs,
    )
    found = (
        PatternDownscaling(window=1)
        .fit(weather.coarse, grid)
        .predict(weather.coarse[:5])
    )
    assert found["corrected"].dims == ("time", "lat", "lon")
    assert found["training_days"].dims == ("lat", "lon")
    np.testing.assert_array_equal(found["lat"], grid["lat"])


def test_amounts_beyond_all_training_are_capped_or_carried_on(split):
    wet = 4.0 * split[2]
    wet.attrs = split[2].attrs
    outputs = {
        rule: PatternDownscaling(extrapolation=rule).fit(split[0], split[1])
        for rule in ("constant", "delta")
    }
    capped, carried = (model.predict(wet)["corrected"] for model in outputs.values())
    ceiling = split[1].max("time")
    assert (capped <= ceiling + 1e-9).all()
    assert (carried >= capped - 1e-9).all()
    assert (carried > ceiling).any()


def test_the_output_says_what_it_is(result):
    assert result.attrs["downscaling_method"] == METHOD
    assert '"alpha": 10.0' in result.attrs["downscaling_settings"]
    for name in ("conditional", "corrected", "conditional_spread"):
        assert result[name].attrs["units"] == "mm day-1"
        assert result[name].attrs["training_periods"].startswith("1982-12-01")


@pytest.mark.parametrize(
    "wrong",
    [{"transform": "log"}, {"extrapolation": "linear"}, {"window": "big"}],
)
def test_settings_that_are_none_are_refused(wrong):
    with pytest.raises(InputError, match=str(next(iter(wrong.values())))):
        PatternDownscaling(**wrong)
    with pytest.raises(InputError, match="alpha must be positive"):
        Ridge(alpha=0.0)
