"""Ensembles: the CRPS by hand, by other libraries and on real hindcasts."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.stats.scores import crps, crps_both, energy_score

NUMBER = st.floats(-1e3, 1e3)


def members(*rows, **attrs):
    return xr.DataArray(np.array(rows, float), dims=("case", "member"), attrs=attrs)


def values(*numbers):
    return xr.DataArray(np.array(numbers, float), dims="case")


def by_pairs(row, seen):
    """Return the standard and the fair CRPS straight from their definitions."""
    size = len(row)
    error = np.abs(row - seen).mean()
    pairs = np.abs(row[:, None] - row[None, :]).sum() / 2
    fair = error - pairs / (size * (size - 1)) if size > 1 else np.nan
    return error - pairs / size**2, fair


def test_crps_by_hand():
    # Members 0, 1, 5, observation 2: errors 2, 1, 3; pairs 1, 5, 4.
    found = crps_both(members([5, 0, 1]), values(2))
    assert float(found["crps"][0]) == pytest.approx(2 - 10 / 9)
    assert float(found["crps_fair"][0]) == pytest.approx(2 - 10 / 6)
    assert int(found["members"][0]) == 3


def test_one_member_scores_its_error_and_has_no_fair_score():
    found = crps_both(members([3.0]), values(1.0))
    assert float(found["crps"][0]) == 2.0
    assert np.isnan(found["crps_fair"][0])


def test_a_missing_member_leaves_the_score_of_the_others():
    found = crps_both(members([5, np.nan, 0, 1], [np.nan] * 4), values(2, 2))
    whole = crps_both(members([5, 0, 1]), values(2))
    for name in ("crps", "crps_fair", "members"):
        assert float(found[name][0]) == float(whole[name][0])
    assert np.isnan(found["crps"][1])
    assert int(found["members"][1]) == 0


def test_without_an_observation_there_is_no_score():
    assert np.isnan(crps(members([1, 2]), values(np.nan))).all()


def test_the_score_has_the_units_of_the_ensemble():
    assert crps(members([1, 2], units="mm day-1"), values(1)).attrs == {
        "units": "mm day-1"
    }


@given(row=st.lists(NUMBER, min_size=2, max_size=12), seen=NUMBER)
def test_crps_is_its_definition(row, seen):
    standard, fair = by_pairs(np.array(row), seen)
    found = crps_both(members(row), values(seen))
    assert float(found["crps"][0]) == pytest.approx(standard, abs=1e-9)
    assert float(found["crps_fair"][0]) == pytest.approx(fair, abs=1e-9)
    # The relation of the two: the fair one takes off 1/(M-1) of the spread term.
    error = np.abs(np.array(row) - seen).mean()
    taken = (error - standard) / (len(row) - 1)
    assert fair == pytest.approx(standard - taken, abs=1e-9)


def test_a_large_level_does_not_eat_the_digits():
    rng = np.random.default_rng(0)
    low = members(*rng.normal(size=(20, 51)))
    seen = values(*rng.normal(size=20))
    level = 2.0**40  # added without rounding to numbers that are multiples of 2**-12
    low, seen = np.round(low * 4096) / 4096, np.round(seen * 4096) / 4096
    np.testing.assert_array_equal(crps(low + level, seen + level), crps(low, seen))


def test_scoringrules_and_scores_find_the_same():
    import scoringrules
    from scores.probability import crps_for_ensemble

    rng = np.random.default_rng(1)
    ensemble = members(*rng.gamma(0.5, size=(300, 11)))
    seen = values(*rng.gamma(0.5, size=300))
    found = crps_both(ensemble, seen)
    for name, estimator, method in (
        ("crps", "nrg", "ecdf"),
        ("crps_fair", "fair", "fair"),
    ):
        theirs = scoringrules.crps_ensemble(
            seen.values, ensemble.values, estimator=estimator, backend="numpy"
        )
        np.testing.assert_allclose(found[name], theirs, atol=1e-13)
        others = crps_for_ensemble(
            ensemble, seen, "member", method=method, preserve_dims="all"
        )
        np.testing.assert_allclose(found[name], others, atol=1e-13)


def test_the_fair_score_of_few_members_has_the_mean_of_many():
    rng = np.random.default_rng(2)
    seen = values(*rng.normal(size=40_000))
    few = members(*rng.normal(size=(40_000, 3)))
    # Members and truth from N(0, 1): the mean CRPS is 1/sqrt(pi), and 1 + 1/M times it
    # in the standard form (Ferro et al. 2008).
    fair, standard = crps(few, seen, estimator="fair"), crps(few, seen)
    error = 3 * float(fair.std()) / 200
    assert float(fair.mean()) == pytest.approx(1 / np.sqrt(np.pi), abs=error)
    assert float(standard.mean()) == pytest.approx(4 / 3 / np.sqrt(np.pi), abs=error)


def test_chunks_and_the_order_of_dimensions_change_nothing():
    rng = np.random.default_rng(3)
    ensemble = xr.DataArray(
        rng.normal(size=(30, 5, 7)), dims=("time", "cell", "member")
    )
    seen = xr.DataArray(rng.normal(size=(30, 5)), dims=("time", "cell"))
    whole = crps(ensemble, seen)
    lazy = crps(ensemble.chunk(time=7, member=3), seen.chunk(cell=2))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy, whole)
    turned = crps(ensemble.transpose("member", "cell", "time"), seen.T)
    np.testing.assert_array_equal(turned.transpose("time", "cell"), whole)


def test_mistakes_are_named():
    with pytest.raises(InputError, match="'standard' or 'fair'"):
        crps(members([1, 2]), values(1), estimator="qd")
    with pytest.raises(InputError, match="lacks the dimension member"):
        crps(values(1, 2), values(1, 2))
    with pytest.raises(InputError, match="same coordinates"):
        crps(members([1, 2]).assign_coords(case=[1]), values(1).assign_coords(case=[2]))


def test_the_energy_score_of_one_variable_is_the_crps():
    rng = np.random.default_rng(4)
    ensemble = members(*rng.normal(size=(30, 8)))
    seen = values(*rng.normal(size=30))
    for estimator in ("standard", "fair"):
        found = energy_score(
            ensemble.expand_dims("variable", -1),
            seen.expand_dims("variable", -1),
            variable_dim="variable",
            estimator=estimator,
        )
        expected = crps(ensemble, seen, estimator=estimator)
        np.testing.assert_allclose(found, expected, atol=1e-13)


def test_the_energy_score_by_hand():
    # Distances 5 and 16.3 to the observation, 12 between the members.
    ensemble = xr.DataArray([[3.0, 4.0], [3.0, 4.0]], dims=("member", "variable"))
    ensemble[1] = [3.0, 4.0 + 12.0]
    seen = xr.DataArray([0.0, 0.0], dims="variable")
    far = np.hypot(3, 16)
    for estimator, divisor in (("standard", 4), ("fair", 2)):
        found = energy_score(
            ensemble, seen, variable_dim="variable", estimator=estimator
        )
        assert float(found) == pytest.approx((5 + far) / 2 - 12 / divisor)


def test_the_energy_score_needs_every_variable():
    ensemble = xr.DataArray(np.ones((2, 3, 2)), dims=("case", "member", "variable"))
    ensemble[0, 1, 0] = np.nan
    seen = xr.DataArray(np.zeros((2, 2)), dims=("case", "variable"))
    found = energy_score(ensemble, seen, variable_dim="variable")
    assert np.isnan(found).values.tolist() == [True, False]
    assert float(found[1]) == pytest.approx(np.sqrt(2))
    with pytest.raises(InputError, match="two members"):
        energy_score(ensemble[:, :1], seen, variable_dim="variable", estimator="fair")
