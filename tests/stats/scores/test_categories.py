"""Classes: the rule of the edges, exact small cases, what a small ensemble costs."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError, KernelError
from tilth.stats.scores import (
    category_probabilities,
    ensemble_penalty,
    observed_category,
    rps,
    rpss,
)

EDGES = xr.DataArray([1.0, 3.0], dims="edge")


def values(*numbers, dim="case"):
    return xr.DataArray(np.array(numbers, float), dims=dim)


def forecast(*rows):
    return xr.DataArray(np.array(rows, float), dims=("case", "category"))


def test_a_value_on_an_edge_belongs_to_the_class_above_it():
    found = observed_category(values(0.99, 1.0, 2.99, 3.0, 99.0), EDGES)
    assert found.values.tolist() == [0, 1, 1, 2, 2]
    members = xr.DataArray([1.0, 3.0, 3.0, 0.0], dims="member")
    shares = category_probabilities(members, EDGES)
    assert shares.values.tolist() == [0.25, 0.25, 0.5]


def test_nothing_observed_is_no_class_and_no_edge_is_none_either():
    assert np.isnan(observed_category(values(np.nan), EDGES)).all()
    edges = xr.DataArray([np.nan, 3.0], dims="edge")
    assert np.isnan(observed_category(values(5.0), edges)).all()
    members = xr.DataArray([0.0, 5.0], dims="member")
    assert np.isnan(category_probabilities(members, edges)).all()


def test_missing_members_do_not_count():
    members = xr.DataArray([[0.0, np.nan, 5.0], [np.nan] * 3], dims=("case", "member"))
    found = category_probabilities(members, EDGES)
    assert found.values[0].tolist() == [0.5, 0.0, 0.5]
    assert np.isnan(found.values[1]).all()


def test_edges_may_differ_from_cell_to_cell():
    members = xr.DataArray([[2.0, 4.0], [2.0, 4.0]], dims=("cell", "member"))
    edges = xr.DataArray([[1.0, 3.0], [5.0, 6.0]], dims=("cell", "edge"))
    assert category_probabilities(members, edges).values.tolist() == [
        [0.0, 0.5, 0.5],
        [1.0, 0.0, 0.0],
    ]


def test_edges_that_fall_are_refused():
    with pytest.raises(KernelError, match="must rise"):
        observed_category(values(1.0), xr.DataArray([3.0, 1.0], dims="edge"))


def test_rps_of_the_climate_of_certain_and_of_wrong_forecasts():
    thirds = xr.DataArray([1 / 3] * 3, dims="category")
    found = rps(thirds, values(0, 1, 2))
    np.testing.assert_allclose(found, [5 / 9, 2 / 9, 5 / 9], rtol=1e-15)
    certain = forecast([1, 0, 0], [1, 0, 0], [1, 0, 0])
    assert rps(certain, values(0, 1, 2)).values.tolist() == [0.0, 1.0, 2.0]


def test_an_observation_may_be_given_as_a_one_among_zeros():
    given = forecast([0.2, 0.3, 0.5], [0.2, 0.3, 0.5])
    ones = forecast([0, 0, 1], [0, 1, 0])
    np.testing.assert_array_equal(rps(given, ones), rps(given, values(2, 1)))


def test_a_masked_cell_scores_nothing_rather_than_14_ninths():
    # All zeros and NaN are what comparing a missing value with edges leaves. Sums that
    # skip what is missing would give 1/9 + 4/9 + 1 = 1.556.
    thirds = forecast(*[[1 / 3] * 3] * 3)
    ones = forecast([0, 0, 0], [np.nan] * 3, [0, 1, 0])
    assert np.isnan(rps(thirds, ones)).values.tolist() == [True, True, False]
    assert np.isnan(rps(thirds, values(np.nan, 1, 2))).values.tolist() == [1, 0, 0]
    gap = forecast([np.nan, 0.5, 0.5], [0.5, 0.5, np.nan], [0.2, 0.3, 0.5])
    assert np.isnan(rps(gap, values(1, 1, 1))).values.tolist() == [1, 1, 0]


def test_a_missing_case_is_left_out_of_both_means():
    ours, climate = values(0.0, np.nan, 0.4), values(0.5, 9.0, 0.5)
    found = rpss(ours, climate)
    assert float(found["rpss"]) == pytest.approx(1 - 0.2 / 0.5)
    assert int(found["cases"]) == 2


def test_climate_has_no_skill_and_a_perfect_forecast_has_all():
    climate = values(5 / 9, 2 / 9, 5 / 9)
    assert float(rpss(climate, climate)["rpss"]) == 0.0
    assert float(rpss(0 * climate, climate)["rpss"]) == 1.0
    assert np.isnan(rpss(climate, 0 * climate)["rpss"])


def test_the_ratio_of_the_means_is_taken_over_the_dimensions_asked_for():
    ours = xr.DataArray([[0.1, 0.3], [0.2, 0.2]], dims=("time", "cell"))
    theirs = xr.DataArray([[0.4, 0.4], [0.4, 0.2]], dims=("time", "cell"))
    each = rpss(ours, theirs, dim="time")["rpss"]
    np.testing.assert_allclose(each, [1 - 0.15 / 0.4, 1 - 0.25 / 0.3])
    weights = xr.DataArray([3.0, 1.0], dims="cell")
    whole = rpss(ours, theirs, weights=weights)
    expected = 1 - (3 * 0.3 + 0.5) / (3 * 0.8 + 0.6)
    assert float(whole["rpss"]) == pytest.approx(expected)


def test_without_members_no_correction_is_made_up():
    found = rpss(values(0.3), values(0.4))
    assert np.isnan(found["rpss_d"])
    assert np.isnan(found["members"])


def test_the_penalty_of_three_classes_is_four_ninths_of_a_member():
    assert ensemble_penalty(9) == pytest.approx(4 / 81)
    assert ensemble_penalty(51) == pytest.approx(4 / (9 * 51))
    # (K^2 - 1) / (6 K M), Mueller et al. (2005).
    assert ensemble_penalty(10, 5) == pytest.approx(24 / 300)
    assert ensemble_penalty(4, [0.1, 0.9]) == pytest.approx(0.09 / 4)


def test_rps_of_the_climate_is_not_four_ninths_when_the_classes_are_not_equally_full():
    # Counts 7, 6, 7 of twenty years: 82/180.
    shares = xr.DataArray([1 / 3] * 3, dims="category")
    seen = values(*[0] * 7, *[1] * 6, *[2] * 7)
    assert float(rps(shares, seen).mean()) == pytest.approx(82 / 180)


@pytest.mark.parametrize("members", [2, 9])
def test_members_of_the_climate_lose_exactly_the_penalty(members):
    rng = np.random.default_rng(members)
    n = 200_000
    drawn = xr.DataArray(rng.uniform(size=(n, members)), dims=("case", "member"))
    seen = xr.DataArray(rng.uniform(size=n), dims="case")
    edges = xr.DataArray([1 / 3, 2 / 3], dims="edge")
    shares = category_probabilities(drawn, edges)
    category = observed_category(seen, edges)
    ours = rps(shares, category)
    climate = rps(xr.DataArray([1 / 3] * 3, dims="category"), category)
    found = rpss(ours, climate, members=members)
    # Standard error of the mean difference of two scores, three times.
    slack = 3 * float((ours - climate).std()) / np.sqrt(n)
    lost = float(found["rps"] - found["rps_reference"])
    assert lost == pytest.approx(ensemble_penalty(members), abs=slack)
    assert float(found["rpss_d"]) == pytest.approx(0.0, abs=slack / 0.4)
    fair = rps(shares, category, members=members)
    assert float((fair - climate).mean()) == pytest.approx(0.0, abs=slack)


@given(
    data=st.lists(
        st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda p: sum(p) > 0),
        min_size=1,
        max_size=5,
    ),
    seen=st.integers(0, 3),
)
def test_rps_is_the_sum_of_the_brier_scores_of_not_more_than_each_class(data, seen):
    shares = np.array(data) / np.sum(data, axis=1, keepdims=True)
    found = rps(forecast(*shares), xr.full_like(forecast(*shares)[:, 0], seen))
    events = (np.arange(3) >= seen).astype(float)
    expected = ((np.cumsum(shares, axis=1)[:, :-1] - events) ** 2).sum(axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert (found >= 0).all()
    assert (found <= 3 + 1e-12).all()


def test_scoringrules_finds_the_same_sum():
    import scoringrules

    rng = np.random.default_rng(8)
    shares, seen = rng.dirichlet([1, 1, 1, 1], size=100), rng.integers(0, 4, 100)
    theirs = scoringrules.rps_score(seen + 1, shares)  # classes from one
    np.testing.assert_allclose(rps(forecast(*shares), values(*seen)), theirs)


def test_chunks_change_nothing():
    rng = np.random.default_rng(5)
    members = xr.DataArray(rng.normal(size=(40, 6, 9)), dims=("time", "cell", "member"))
    seen = xr.DataArray(rng.normal(size=(40, 6)), dims=("time", "cell"))
    edges = xr.DataArray(np.sort(rng.normal(size=(6, 2))), dims=("cell", "edge"))

    def work(members, seen):
        shares = category_probabilities(members, edges)
        return rps(shares, observed_category(seen, edges))

    lazy = work(members.chunk(time=7, cell=2, member=4), seen.chunk(time=9))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy, work(members, seen))


def test_the_order_of_the_dimensions_changes_nothing():
    rng = np.random.default_rng(6)
    shares = xr.DataArray(
        rng.dirichlet([1, 1, 1], size=(5, 4)), dims=("time", "cell", "category")
    )
    seen = xr.DataArray(rng.integers(0, 3, (5, 4)), dims=("time", "cell"))
    turned = rps(shares.transpose("category", "cell", "time"), seen.T)
    xr.testing.assert_identical(turned.transpose("time", "cell"), rps(shares, seen))


def test_percentages_and_classes_that_do_not_exist_are_refused():
    with pytest.raises(KernelError, match="not percent"):
        rps(forecast([30, 30, 40]), values(1))
    with pytest.raises(KernelError, match="whole number from 0 to 2"):
        rps(forecast([0.3, 0.3, 0.4]), values(3))
    with pytest.raises(KernelError, match="not percent"):
        rps(forecast([-0.5, 0.5, 1.0]), values(1))
    with pytest.raises(KernelError, match="one in the place of one class"):
        rps(forecast([0.3, 0.3, 0.4]), forecast([0.5, 0.5, 0.0]))


def test_mistakes_are_named():
    with pytest.raises(InputError, match="no dimension 'category'"):
        rps(values(0.5, 0.5), values(1))
    with pytest.raises(InputError, match="two members or more"):
        rps(forecast([0.3, 0.3, 0.4]), values(1), members=1)
    with pytest.raises(InputError, match="no dimension week"):
        rpss(values(1), values(1), dim="week")
    with pytest.raises(InputError, match="at least one member"):
        ensemble_penalty(0)
    with pytest.raises(InputError, match="add up to one"):
        ensemble_penalty(5, [0.5, 0.4])
    with pytest.raises(InputError, match="two or more"):
        ensemble_penalty(5, 1)
    ours = values(1, 2).assign_coords(case=[1, 2])
    with pytest.raises(InputError, match="different cases"):
        rpss(ours, ours.assign_coords(case=[2, 3]))
    labelled = forecast([0.3, 0.3, 0.4]).assign_coords(category=["a", "b", "c"])
    with pytest.raises(InputError, match="category"):
        rps(labelled, labelled.assign_coords(category=["c", "b", "a"]).round())
