"""Dry days: made wet as often as observed, drawn the same however data are cut."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from tilth.forcing.adjust import EQM, QDM
from tilth.forcing.adjust.draws import (
    MODELLED,
    OBSERVED,
    cell_identities,
    uniform_draws,
)
from tilth.forcing.adjust.frequency import DryDays, dry_surplus, spread_dry
from tilth.forcing.adjust.groups import group_times

DRY = 0.05


def all_days(n):
    return group_times(xr.DataArray(np.arange(n), dims="time"), "none")


def test_draws_are_uniform_and_independent_of_each_other():
    cells = np.array([1, 2, 3], np.uint64)
    first = uniform_draws(0, cells, 20_000, OBSERVED)
    for row in first:
        assert stats.kstest(row, "uniform").pvalue > 1e-3
    assert first.min() > 0
    assert first.max() < 1
    others = [
        uniform_draws(1, cells, 20_000, OBSERVED),
        uniform_draws(0, cells, 20_000, MODELLED),
        uniform_draws(0, cells, 20_000, OBSERVED, which=1),
        uniform_draws(0, cells + np.uint64(1), 20_000, OBSERVED),
        np.roll(first, 1, axis=1),
        np.roll(first, 1, axis=0),
    ]
    for other in others:
        for one, two in zip(first, other, strict=True):
            # Five standard errors of a correlation of independent numbers.
            assert abs(np.corrcoef(one, two)[0, 1]) < 5 / np.sqrt(20_000)


def test_draws_of_a_place_do_not_depend_on_other_places():
    cells = np.array([7, 8], np.uint64)
    both = uniform_draws(3, cells, 50, OBSERVED)
    np.testing.assert_array_equal(uniform_draws(3, cells[1:], 50, OBSERVED), both[1:])


def test_a_place_keeps_its_identity_in_a_selection_and_in_any_order_of_dimensions():
    data = xr.DataArray(
        np.zeros((3, 4, 5)),
        {"lat": [10.0, 20.0, 30.0], "name": list("abcd")},
        ("lat", "name", "time"),
    )
    whole = cell_identities(data)
    assert len(np.unique(whole)) == 12
    part = cell_identities(data.isel(lat=[2, 0], name=slice(1, 3)).transpose())
    np.testing.assert_array_equal(
        part.transpose("lat", "name"), whole.isel(lat=[2, 0], name=slice(1, 3))
    )


def test_a_place_is_not_its_mirror_image():
    same = [1.0, 2.0]
    data = xr.DataArray(np.zeros((2, 2, 1)), {"x": same, "y": same}, ("x", "y", "time"))
    assert len(np.unique(cell_identities(data))) == 4


def test_dry_values_are_spread_below_the_threshold_and_wet_ones_left():
    rows = np.array([[0.0, 0.04, 0.05, 7.0, np.nan]])
    found = spread_dry(rows, np.zeros(1, np.uint64), DryDays(DRY, False, 0), OBSERVED)
    assert (found[0, :2] > 0).all()
    assert (found[0, :2] < DRY).all()
    np.testing.assert_array_equal(found[0, 2:], rows[0, 2:])


def test_the_surplus_is_the_share_of_dry_days_that_are_too_many():
    observed = np.array([[0.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, np.nan, np.nan]])
    modelled = np.array([[0.0] * 6 + [1.0, 2.0] + [np.nan] * 2])
    groups = (all_days(10), all_days(10))
    share, limit = dry_surplus(observed, modelled, groups, DRY)
    # Dry: 2 of 8 observed, 6 of 8 modelled; so 4 of the 6 are too many.
    assert share.item() == pytest.approx(4 / 6)
    assert limit.item() == pytest.approx(np.quantile(observed[0, :8], 6 / 8))
    wetter, _ = dry_surplus(modelled, observed, groups, DRY)
    assert wetter.item() == 0.0


@pytest.mark.parametrize("method", [EQM, QDM])
@pytest.mark.parametrize("group", ["none", "month", "31 days"])
def test_a_model_too_dry_becomes_wet_as_often_as_observed(series, rain, method, group):
    units = {"units": "mm day-1"}
    observed = series(rain(3650, 1, dry=0.4), **units)
    modelled = series(rain(3650, 2, dry=0.8), **units)
    settings = {"dry_below": DRY, "adapt_frequency": True}
    adjuster = method("*", group=group, **settings).fit(observed, modelled)
    adjusted = adjuster.apply(modelled)
    wanted = (observed >= DRY).mean().item()
    # Half of 2,900 dry days are chosen one by one: four standard errors are 0.03.
    assert (adjusted >= DRY).mean().item() == pytest.approx(wanted, abs=0.03)
    mean = observed.mean().item()
    assert adjusted.mean().item() == pytest.approx(mean, rel=0.05)


def test_a_model_too_wet_becomes_dry_as_often_as_observed(series, rain):
    units = {"units": "mm day-1"}
    observed = series(rain(3650, 1, dry=0.7), **units)
    modelled = series(rain(3650, 2, dry=0.1), **units)
    adjusted = QDM("*", dry_below=DRY).fit(observed, modelled).apply(modelled)
    dry = float((adjusted == 0).mean())
    assert dry == pytest.approx(float((observed < DRY).mean()), abs=0.02)
    assert not ((adjusted > 0) & (adjusted < DRY)).any()


def test_a_place_gets_the_same_draws_alone_as_among_others(series, rain):
    units = {"units": "mm day-1"}
    values = np.stack([rain(730, seed, dry=0.7) for seed in range(40)])
    modelled = series(values, cell=np.arange(40) * 10, **units)
    observed = series(np.flip(values), cell=np.arange(40) * 10, **units)
    method = QDM("*", group="month", dry_below=DRY, adapt_frequency=True)
    whole = method.fit(observed, modelled).apply(modelled)
    some = {"cell": [39, 3, 17]}
    alone = method.fit(observed.isel(some), modelled.isel(some)).apply(
        modelled.isel(some)
    )
    np.testing.assert_array_equal(alone, whole.isel(some))


def test_another_seed_draws_other_days(series, rain):
    units = {"units": "mm day-1"}
    observed = series(rain(730, 1, dry=0.3), **units)
    modelled = series(rain(730, 2, dry=0.7), **units)
    results = [
        QDM("*", dry_below=DRY, adapt_frequency=True, seed=seed)
        .fit(observed, modelled)
        .apply(modelled)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    assert ((results[0] > 0) != (results[2] > 0)).sum() > 50
