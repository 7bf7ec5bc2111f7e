"""One event or not: Brier and the curve of hits against false alarms."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, KernelError
from tilth.stats.scores import brier, roc


def values(*numbers):
    return xr.DataArray(np.array(numbers, float), dims="case")


def test_brier_by_hand_and_with_something_missing():
    found = brier(values(0.8, 0.4, np.nan, 0.5), values(1, 0, 1, np.nan))
    np.testing.assert_allclose(found[:2], [0.04, 0.16])
    assert np.isnan(found[2:]).all()


def test_brier_takes_true_and_false():
    event = xr.DataArray([True, False], dims="case")
    np.testing.assert_allclose(brier(values(0.8, 0.4), event), [0.04, 0.16])


def test_the_fair_brier_score_of_few_members_has_the_mean_of_many():
    rng = np.random.default_rng(0)
    n, size, chance = 200_000, 4, 0.3
    share = values(*(rng.binomial(size, chance, n) / size))
    event = values(*rng.binomial(1, chance, n))
    fair = brier(share, event, members=size)
    # The chance itself scores p (1 - p).
    slack = 3 * float(fair.std()) / np.sqrt(n)
    assert float(fair.mean()) == pytest.approx(0.21, abs=slack)
    plain = float(brier(share, event).mean())
    assert plain == pytest.approx(0.21 * (1 + 1 / size), abs=slack)


def test_the_area_is_the_chance_that_the_event_had_the_higher_forecast():
    rng = np.random.default_rng(1)
    p, o = rng.integers(0, 11, 300) / 10, rng.integers(0, 2, 300)
    higher = p[o == 1][:, None] - p[o == 0][None, :]
    expected = (higher > 0).mean() + (higher == 0).mean() / 2
    found = roc(values(*p), values(*o))
    assert float(found["area"]) == pytest.approx(expected, rel=1e-12)
    assert int(found["events"]) == o.sum()
    assert int(found["cases"]) == 300
    # Every forecast is a threshold, so the curve holds the same area.
    under = np.trapezoid(found["hit_rate"][::-1], found["false_alarm_rate"][::-1])
    assert under == pytest.approx(expected, rel=1e-12)


def test_the_curve_goes_from_always_to_never_warning():
    found = roc(values(0.1, 0.7, 0.7, 0.9), values(0, 1, 0, 1))
    assert found["threshold"].values.tolist() == [0, 0.1, 0.7, 0.9, np.inf]
    assert found["hit_rate"].values.tolist() == [1, 1, 1, 0.5, 0]
    assert found["false_alarm_rate"].values.tolist() == [1, 1, 0.5, 0, 0]


def test_thresholds_change_the_points_of_the_curve_but_not_the_area():
    rng = np.random.default_rng(2)
    p = rng.uniform(size=3000)
    o = (rng.uniform(size=3000) < p).astype(float)
    many, few = roc(values(*p), values(*o)), roc(values(*p), values(*o), thresholds=0.5)
    assert many.sizes["threshold"] == 102  # hundredths and never
    assert float(many["area"]) == float(few["area"])
    # Probabilities uniform and right: the area is 5/6.
    assert float(few["area"]) == pytest.approx(5 / 6, abs=0.03)


def test_a_case_with_either_missing_is_left_out():
    whole = roc(values(0.1, 0.7, 0.9), values(0, 0, 1))
    gaps = roc(values(0.1, 0.7, 0.9, np.nan, 0.2), values(0, 0, 1, 1, np.nan))
    for name in ("area", "events", "cases"):
        assert float(gaps[name]) == float(whole[name])


def test_places_pooled_have_area_for_knowing_the_climate_only():
    rng = np.random.default_rng(3)
    chance = np.array([0.1, 0.9])
    p = xr.DataArray(np.broadcast_to(chance, (4000, 2)), dims=("time", "place"))
    o = xr.DataArray(rng.binomial(1, p.values), dims=p.dims)
    assert float(roc(p, o)["area"]) > 0.85
    np.testing.assert_array_equal(roc(p, o, dim="time")["area"], [0.5, 0.5])


def test_weights_count_cases_more_than_once():
    p, o = values(0.1, 0.8, 0.6, 0.9), values(0, 0, 1, 1)
    twice = roc(values(0.1, 0.8, 0.8, 0.6, 0.9), values(0, 0, 0, 1, 1))
    found = roc(p, o, weights=values(1, 2, 1, 1))
    assert float(found["area"]) == pytest.approx(float(twice["area"]))


def test_lazy_arrays_give_the_same_curve():
    rng = np.random.default_rng(4)
    p = values(*(rng.integers(0, 5, 60) / 4))
    o = values(*rng.integers(0, 2, 60))
    xr.testing.assert_allclose(roc(p.chunk(case=7), o.chunk(case=9)), roc(p, o))


def test_without_an_event_there_is_no_area():
    assert np.isnan(roc(values(0.1, 0.2), values(0, 0))["area"])


def test_mistakes_are_named():
    with pytest.raises(InputError, match="not percent"):
        roc(values(30, 40), values(0, 1))
    with pytest.raises(InputError, match="1, 0 or missing"):
        roc(values(0.3, 0.4), values(0, 2))
    with pytest.raises(InputError, match="must rise between 0 and 1"):
        roc(values(0.3, 0.4), values(0, 1), thresholds=[0.5, 0.2])
    with pytest.raises(InputError, match="no dimension week"):
        roc(values(0.3, 0.4), values(0, 1), dim="week")
    with pytest.raises(KernelError, match="not percent"):
        brier(values(30), values(1))
    with pytest.raises(InputError, match="two members or more"):
        brier(values(0.3), values(1), members=1)
    here, there = values(0.5).assign_coords(case=[1]), values(1).assign_coords(case=[2])
    with pytest.raises(InputError, match="different cases"):
        roc(here, there)
