"""Terciles: the quantile rule, the side of an edge, and whose edges they are."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tilth.core.errors import InputError
from tilth.forcing.s2s import tercile_edges
from tilth.forcing.s2s.terciles import QUANTILE_RULES
from tilth.stats.scores import category_probabilities, observed_category, rps, rpss


def yearly(values, first=2001):
    """One start a year with these values."""
    dates = pd.to_datetime([f"{first + k}-01-05" for k in range(len(values))])
    return xr.DataArray(values, {"start": dates}, name="pr")


@pytest.mark.parametrize("rule", sorted(QUANTILE_RULES))
@settings(deadline=None, max_examples=40)  # the first call compiles
@given(
    hnp.arrays(
        float, st.integers(3, 40), elements=st.floats(-1e3, 1e3, allow_subnormal=False)
    )
)
def test_edges_are_those_of_numpy_for_each_rule(rule, values):
    found = tercile_edges(yearly(values), leave_out="none", rule=rule).values[0]
    wanted = np.quantile(values, [1 / 3, 2 / 3], method=rule)
    np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-9)


def test_each_start_has_edges_without_its_own_year():
    values = np.array([5.0, 1.0, 9.0, 2.0, 7.0, 3.0, 8.0])
    found = tercile_edges(yearly(values)).values
    for k in range(values.size):
        wanted = np.quantile(np.delete(values, k), [1 / 3, 2 / 3])
        np.testing.assert_allclose(found[k], wanted, rtol=1e-12)


@pytest.mark.parametrize("n", [4, 7, 10, 22, 31, 94, 301])
def test_edges_that_are_values_are_those_values_to_the_last_bit(n):
    # (n - 1)/3 is whole: an edge less by one part in 1e16 would move a case.
    values = np.random.default_rng(n).normal(size=n)
    low, high = tercile_edges(yearly(values, 1700), leave_out="none").values[0]
    ordered = np.sort(values)
    assert low == ordered[(n - 1) // 3]
    assert high == ordered[2 * (n - 1) // 3]


@pytest.mark.parametrize(
    ("n", "counts"), [(9, [3, 3, 3]), (10, [3, 3, 4]), (20, [7, 6, 7])]
)
def test_categories_are_equally_full_only_where_n_allows_it(n, counts):
    data = yearly(np.arange(float(n)))
    edges = tercile_edges(data, leave_out="none").drop_vars("edge")
    category = observed_category(data, edges)
    assert np.bincount(category.values.astype(int)).tolist() == counts
    thirds = xr.DataArray([1 / 3] * 3, dims="category")
    usual = float(rps(thirds, category).mean())
    # 5/9 at the ends, 2/9 in the middle.
    assert usual == pytest.approx((5 * (n - counts[1]) + 2 * counts[1]) / 9 / n)


def test_too_few_values_have_no_edges_and_a_strange_rule_is_refused():
    data = yearly(np.array([1.0, np.nan, np.nan, 2.0, 3.0]))
    assert np.isnan(tercile_edges(data).values[0]).all()
    assert np.isfinite(tercile_edges(data).values[1]).all()
    with pytest.raises(InputError, match="no quantile rule 'nearest'"):
        tercile_edges(data, rule="nearest")


def test_the_edges_say_how_they_were_made():
    attrs = tercile_edges(yearly(np.arange(6.0)), window=10).attrs
    assert attrs["quantile_rule"] == "linear"
    assert attrs["edge_belongs_to"] == "the category above it"
    assert "within 10 days" in attrs["climatology"]


def test_edges_of_pooled_members_do_not_depend_on_chunks_or_order():
    draws = np.random.default_rng(4)
    data = yearly(np.zeros(8)).expand_dims(member=3, cell=5)
    data = data + draws.normal(size=(3, 5, 8))
    found = tercile_edges(data, member_dim="member")
    lazy = tercile_edges(
        data.chunk(cell=2, start=3).isel(member=[2, 0, 1]), member_dim="member"
    )
    xr.testing.assert_identical(found, lazy.compute())


#: Winters -> RPS of the climatology; RPS and RPSS with the observed edges; with the
#: model's own; computed apart from this code (linear quantiles, in sample, cos(lat)).
IBERIA = {
    1984: (0.44444, 0.73562, -0.65515, 0.39801, 0.10447),
    1983: (0.45556, 0.68876, -0.51192, 0.44423, 0.02486),
}


@pytest.mark.realdata
@pytest.mark.parametrize("first", sorted(IBERIA))
def test_nine_real_members_score_with_their_own_edges_and_fail_with_the_observed(
    iberia, first
):
    usual, *wanted = IBERIA[first]
    model, observed = (
        x.sel(start=slice(f"{first - 1}-12-01", "1991-12-01")) for x in iberia
    )
    assert model.sizes["cell"] == 19
    assert model.sizes["start"] == 1993 - first
    ours = tercile_edges(observed, leave_out="none").drop_vars("edge")
    theirs = tercile_edges(model, leave_out="none", member_dim="member")
    category = observed_category(observed, ours)
    area = np.cos(np.deg2rad(model["lat"]))
    thirds = xr.DataArray([1 / 3] * 3, dims="category")
    reference = rps(thirds, category)
    found = []
    for edges in (ours, theirs.drop_vars("edge")):
        shares = category_probabilities(model, edges)
        skill = rpss(rps(shares, category), reference, weights=area, members=9)
        assert float(skill.rps_reference) == pytest.approx(usual, abs=6e-6)
        found += [float(skill.rps), float(skill.rpss)]
    assert found == pytest.approx(wanted, abs=6e-6)
    if first == 1984:
        # D = 4/(9 x 9) = .04938.
        assert float(skill.rpss_d) == pytest.approx(0.19402, abs=6e-6)


@pytest.mark.realdata
def test_skill_in_sample_is_not_skill_without_the_year(iberia):
    model, observed = iberia
    area = np.cos(np.deg2rad(model["lat"]))
    skill = {}
    for left in ("none", "year"):
        ours = tercile_edges(observed, leave_out=left).drop_vars("edge")
        theirs = tercile_edges(model, leave_out=left, member_dim="member")
        category = observed_category(observed, ours)
        score = rps(category_probabilities(model, theirs.drop_vars("edge")), category)
        usual = rps(xr.DataArray([1 / 3] * 3, dims="category"), category)
        skill[left] = float(rpss(score, usual, weights=area).rpss)
    assert abs(skill["none"] - skill["year"]) > 0.01
