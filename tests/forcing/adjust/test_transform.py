"""CDF-t: the observed distribution without a change, the model's own if it is right."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.forcing.adjust.adjuster import read_adjuster
from tilth.forcing.adjust.quantiles import node_probabilities
from tilth.forcing.adjust.transform import (
    CDFt,
    scatter_zeros,
    smallest_positive,
    transformed_nodes,
)

N = 3000


def series(values, units="degC", first="1981-01-01", calendar="noleap"):
    days = xr.date_range(
        first, periods=values.shape[-1], calendar=calendar, use_cftime=True
    )
    place = {"place": np.arange(len(values)), "time": days}
    return xr.DataArray(values, place, ("place", "time"), attrs={"units": units})


def normal(seed, mean=0.0, spread=1.0, places=2):
    draws = np.random.default_rng(seed)
    return mean + spread * draws.standard_normal((places, N))


def rain(seed, wet, scale, places=2):
    draws = np.random.default_rng(seed)
    amount = draws.gamma(0.8, scale, (places, N))
    return np.where(draws.random((places, N)) < wet, amount, 0.0)


def test_a_model_that_does_not_change_gets_the_observed_distribution():
    observed, modelled = series(normal(1, 10.0, 3.0)), series(normal(2, 6.0, 2.0))
    found = CDFt().fit(observed, modelled).apply(modelled)
    p = node_probabilities(100)
    np.testing.assert_allclose(
        np.quantile(found, p, axis=-1), np.quantile(observed, p, axis=-1), atol=0.02
    )


def test_a_model_with_the_observed_distribution_is_left_alone():
    observed = series(normal(1, 10.0, 3.0))
    target = series(normal(3, 12.0, 3.5))
    found = CDFt().fit(observed, observed).apply(target)
    # Beyond the outermost of 100 nodes the correction of the node is kept, none.
    np.testing.assert_allclose(found, target, atol=1e-9)


def test_a_shift_of_the_model_shifts_the_result_by_as_much():
    observed, modelled = series(normal(1, 10.0, 3.0)), series(normal(2, 6.0, 3.0))
    adjuster = CDFt().fit(observed, modelled)
    warmer = adjuster.apply(modelled + 2.0)
    change = (warmer - adjuster.apply(modelled)).mean("time")
    np.testing.assert_allclose(change, 2.0, atol=0.02)


def test_dry_days_are_transformed_like_any_other_quantile():
    observed = series(rain(1, 0.4, 8.0), "mm day-1")
    modelled = series(rain(2, 0.7, 4.0), "mm day-1")
    adjuster = CDFt(kind="*").fit(observed, modelled)
    same = adjuster.apply(modelled)
    dry = [float((x == 0.0).mean()) for x in (observed, modelled, same)]
    assert dry[1] < dry[0] - 0.2
    # The edge of the dry days lies between two of 100 nodes, of observations and of
    # the correction: 1 % of the days each. With 1000 nodes it is ten times sharper.
    assert dry[2] == pytest.approx(dry[0], abs=0.02)
    fine = CDFt(kind="*", quantiles=1000).fit(observed, modelled).apply(modelled)
    assert float((fine == 0.0).mean()) == pytest.approx(dry[0], abs=0.002)
    assert (same >= 0.0).all()
    assert float(same.mean()) == pytest.approx(float(observed.mean()), rel=0.02)
    # A model that becomes drier: dry are as many days as observed up to the amount
    # that the scaled model exceeded in training as often as it is wet now.
    target = series(rain(3, 0.56, 4.0), "mm day-1")
    drier = CDFt(kind="*", quantiles=1000).fit(observed, modelled).apply(target)
    for o, h, s, found in zip(
        *(x.values for x in (observed, modelled, target, drier)), strict=True
    ):
        amount = np.quantile(h * o.mean() / h.mean(), (s == 0.0).mean())
        assert (found == 0.0).mean() == pytest.approx((o < amount).mean(), abs=0.01)


def test_zeros_are_replaced_below_the_smallest_positive_value_and_nothing_else():
    rows = np.array([[0.0, 2.0, 0.5, np.nan], [0.0, 0.0, 0.0, 3.0]])
    smallest = smallest_positive(rows, np.array([[0.7], [0.1]]))
    assert smallest.tolist() == [0.5, 0.1]
    found = scatter_zeros(rows, smallest, np.array([3, 4], np.uint64), 0, 0)
    assert found[0, 1:3].tolist() == [2.0, 0.5]
    assert np.isnan(found[0, 3])
    assert 0.0 < found[0, 0] <= 0.5
    assert (np.diff(np.sort(found[1])) > 0.0).all()
    assert smallest_positive(np.zeros((1, 3))).tolist() == [0.0]


def test_a_place_that_is_always_dry_stays_dry():
    dry = series(np.zeros((1, 400)), "mm day-1")
    found = CDFt(kind="*").fit(dry, dry).apply(dry)
    assert found.values.tolist() == dry.values.tolist()


def test_draws_belong_to_the_place_and_chunks_change_nothing(tmp_path):
    observed = series(rain(1, 0.4, 8.0, places=5), "mm day-1")
    modelled = series(rain(2, 0.7, 4.0, places=5), "mm day-1")
    method = CDFt(kind="*", group="31 days", quantiles=20)
    adjuster = method.fit(observed, modelled)
    whole = adjuster.apply(modelled)
    cut = [x.chunk({"place": 2, "time": 500}) for x in (observed, modelled)]
    xr.testing.assert_identical(method.fit(*cut).apply(cut[1]).compute(), whole)
    part = slice(3, 5)
    alone = method.fit(observed[part], modelled[part]).apply(modelled[part])
    xr.testing.assert_identical(alone, whole[part])
    adjuster.save(tmp_path / "cdft.nc")
    xr.testing.assert_identical(
        read_adjuster(tmp_path / "cdft.nc").apply(modelled), whole
    )
    other = CDFt(kind="*", group="31 days", quantiles=20, seed=1)
    assert not other.fit(observed, modelled).apply(modelled).equals(whole)


def test_a_gap_stays_a_gap_and_touches_no_other_day():
    observed, modelled = series(normal(1, 10.0)), series(normal(2, 6.0))
    holes = modelled.copy(deep=True)
    holes[0, 7] = np.nan
    adjuster = CDFt(quantiles=10).fit(observed, modelled)
    whole, found = adjuster.apply(modelled), adjuster.apply(holes)
    assert np.isnan(found.values[0, 7])
    assert int(found.isnull().sum()) == 1
    # One value of 3000 less: ranks of the others move by less than 1/2000.
    others = np.delete(found.values[0] - whole.values[0], 7)
    assert np.abs(others).max() < 0.02
    np.testing.assert_array_equal(found[1], whole[1])


numbers = st.lists(st.floats(-50.0, 50.0), min_size=5, max_size=5)


@settings(deadline=None, max_examples=60)
@given(numbers, numbers, numbers)
def test_nodes_rise_as_their_probabilities_do(observed, modelled, target):
    o, h, s = (np.sort(np.array(x)) for x in (observed, modelled, target))
    found = s + transformed_nodes(o, h, s, "+", 10.0)
    assert (np.diff(found) >= -1e-9).all()


def test_settings_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match="quantiles must be 2 or more, got 1"):
        CDFt(quantiles=1)
    with pytest.raises(InputError, match="stochastic_zeros are for ratios"):
        CDFt(kind="+", stochastic_zeros=True)
    assert CDFt(kind="*").stochastic_zeros is True
    assert CDFt().stochastic_zeros is False
