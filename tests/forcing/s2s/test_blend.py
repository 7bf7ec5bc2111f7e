"""The blend with climatology: it believes what other years bear out, and no more."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.forcing.s2s import blend_weights, blended
from tilth.stats.scores import rps


def cases(seed, years=10, per_year=6, cells=3, skill=0.0):
    """Probabilities and what came; `skill` is the share of cases foretold surely."""
    draws = np.random.default_rng(seed)
    days = [
        pd.Timestamp(2001 + y, 1, 2) + pd.Timedelta(days=7 * k)
        for y in range(years)
        for k in range(per_year)
    ]
    came = draws.integers(0, 3, (len(days), cells))
    random = draws.dirichlet([1.0, 1.0, 1.0], came.shape)
    sure = np.eye(3)[came]
    known = draws.random(came.shape)[..., None] < skill
    coords = {"start": np.array(days, "datetime64[ns]")}
    shares = xr.DataArray(
        np.where(known, sure, random), coords, ("start", "cell", "category")
    )
    return shares, xr.DataArray(came.astype(float), coords, ("start", "cell"))


@settings(deadline=None, max_examples=30)  # the first call compiles
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.2, 0.7, 1.0]))
def test_in_its_own_sample_no_blend_is_worse_than_climatology_or_the_forecast(
    seed, skill
):
    shares, came = cases(seed, years=4, skill=skill)
    weight = blend_weights(shares, came, leave_out="none", caution=0.0)
    thirds = xr.full_like(shares, 1 / 3)
    ours = rps(blended(shares, weight), came).mean("start")
    assert (ours <= rps(thirds, came).mean("start") + 1e-12).all()
    assert (ours <= rps(shares, came).mean("start") + 1e-12).all()
    assert ((weight >= 0.0) & (weight <= 1.0)).all()


def test_the_weight_is_the_lowest_point_of_the_score_found_by_search():
    shares, came = cases(7, skill=0.3, cells=1)
    found = float(blend_weights(shares, came, leave_out="none", caution=0.0)[0, 0])
    tried = xr.DataArray(np.linspace(0.0, 1.0, 2001), dims="weight")
    scores = rps(blended(shares.expand_dims(weight=2001), tried), came)
    best = tried[int(scores.mean(["start", "cell"]).argmin("weight"))]
    assert found == pytest.approx(float(best), abs=6e-4)


def test_the_error_of_the_weight_is_that_of_years_drawn_again():
    shares, came = cases(8, years=40, per_year=4, skill=0.3, cells=1)
    free = float(blend_weights(shares, came, leave_out="none", caution=0.0)[0, 0])
    careful = float(blend_weights(shares, came, leave_out="none", caution=1.0)[0, 0])
    # The parabola's two parts by hand, year by year; then years drawn 4000 times.
    ahead = shares.values[:, 0].cumsum(-1)[:, :2] - [1 / 3, 2 / 3]
    step = (came.values <= [0, 1]) - np.array([1 / 3, 2 / 3])
    top, bottom = ((x.sum(-1).reshape(40, 4).sum(-1)) for x in (ahead * step, ahead**2))
    assert free == pytest.approx(top.sum() / bottom.sum(), rel=1e-12)
    drawn = np.random.default_rng(1).integers(0, 40, (4000, 40))
    spread = (top[drawn].sum(-1) / bottom[drawn].sum(-1)).std()
    assert free - careful == pytest.approx(spread, rel=0.1)


def test_a_start_does_not_change_its_own_weight():
    shares, came = cases(9, skill=0.3)
    before = blend_weights(shares, came, pool=["cell"])
    own = (shares["start"].dt.year == 2003).values
    changed = came.copy(deep=True)
    changed[own] = 2.0 - changed[own]
    after = blend_weights(shares, changed, pool=["cell"])
    np.testing.assert_array_equal(before.values[own], after.values[own])
    assert (before.values[~own] != after.values[~own]).all()


def test_without_skill_the_blend_stays_at_climatology_and_with_it_gains():
    thirds = xr.DataArray([1 / 3] * 3, dims="category")
    for skill, low, high in ((0.0, -0.003, 0.001), (0.5, 0.2, 0.6)):
        gains = []
        for seed in range(12):
            shares, came = cases(seed, skill=skill)
            weight = blend_weights(shares, came, pool=["cell"])
            score = float(rps(blended(shares, weight), came).mean())
            gains.append(1.0 - score / float(rps(thirds, came).mean()))
        assert low < np.mean(gains) < high, skill


def test_perfect_probabilities_keep_their_weight_and_wrong_ones_lose_it():
    shares, came = cases(3, skill=1.0)
    assert blend_weights(shares, came).values.min() == 1.0
    backwards = shares.isel(category=[2, 1, 0])
    assert blend_weights(backwards, came, pool=["cell"]).values.max() == 0.0


def test_pooled_cells_share_a_weight_and_a_cell_without_weight_has_no_say():
    shares, came = cases(4, skill=0.4)
    area = xr.DataArray([1.0, 1.0, 0.0], dims="cell")
    pooled = blend_weights(shares, came, pool=["cell"], weights=area)
    first = blend_weights(
        shares.isel(cell=[0, 1]), came.isel(cell=[0, 1]), pool=["cell"]
    )
    assert pooled.dims == ("start",)
    np.testing.assert_allclose(pooled.values, first.values, rtol=1e-12)


def test_missing_cases_are_left_out_and_nothing_known_means_climatology():
    shares, came = cases(5, skill=0.4)
    gap = came.where(came["start"].dt.year != 2004)
    years = came["start"].dt.year.values != 2004
    target = came["start"][:6]  # 2001
    with_gap = blend_weights(shares, gap, target)
    without = blend_weights(shares.isel(start=years), came.isel(start=years), target)
    np.testing.assert_allclose(with_gap.values, without.values, rtol=1e-12)
    nothing = blend_weights(shares, xr.full_like(came, np.nan))
    assert (nothing.values == 0.0).all()


def test_one_year_of_training_and_strange_settings_are_refused():
    shares, came = cases(6, years=2)
    with pytest.raises(InputError, match="two years or more"):
        blend_weights(shares, came)
    with pytest.raises(InputError, match="caution is not negative"):
        blend_weights(shares, came, caution=-1.0)
    with pytest.raises(InputError, match="three categories"):
        blend_weights(shares.isel(category=[0, 1]), came)


def test_weights_are_the_same_on_dask():
    shares, came = cases(11, skill=0.3)
    area = xr.DataArray([1.0, 2.0, 0.5], dims="cell")
    chunked = shares.chunk(start=7, cell=1), came.chunk(start=20, cell=2)
    for options in ({}, {"pool": ["cell"], "weights": area}):
        plain = blend_weights(shares, came, **options)
        lazy = blend_weights(*chunked, **options)
        assert lazy.chunks is not None
        np.testing.assert_allclose(lazy.compute(), plain, rtol=1e-12)
    each = blend_weights(shares, came)
    np.testing.assert_array_equal(blend_weights(*chunked).values, each.values)
