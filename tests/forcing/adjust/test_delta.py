"""Quantile delta mapping keeps the model's change, to the last digit where it must."""

import numpy as np
import pytest

from tilth.forcing.adjust import DQM, EQM, QDM
from tilth.forcing.adjust.quantiles import node_probabilities


def pair(series, kind):
    rng = np.random.default_rng(3)
    if kind == "+":
        return series(rng.normal(0, 3, 2190)), series(rng.normal(5, 1, 2190))
    units = {"units": "mm day-1"}
    return (
        series(rng.gamma(2.0, 3.0, 2190), **units),
        series(rng.gamma(1.0, 2.0, 2190), **units),
    )


@pytest.mark.parametrize("group", ["none", "month", "31 days"])
def test_a_warming_of_all_days_alike_comes_out_as_it_is(series, group):
    observed, modelled = pair(series, "+")
    adjuster = QDM(group=group).fit(observed, modelled)
    warmer = (modelled + 2.5).assign_attrs(modelled.attrs)
    change = adjuster.apply(warmer) - adjuster.apply(modelled)
    np.testing.assert_allclose(change, 2.5, atol=1e-9)


@pytest.mark.parametrize("group", ["none", "month", "31 days"])
def test_an_increase_of_all_amounts_alike_comes_out_as_it_is(series, group):
    observed, modelled = pair(series, "*")
    adjuster = QDM("*", group=group, ratio_cap=1e9).fit(observed, modelled)
    wetter = (modelled * 1.3).assign_attrs(modelled.attrs)
    ratio = adjuster.apply(wetter) / adjuster.apply(modelled)
    np.testing.assert_allclose(ratio, 1.3, rtol=1e-9)


def test_every_quantile_keeps_its_own_change(series):
    """Additive: no matter how the distribution changes, each node moves alike."""
    observed, modelled = pair(series, "+")
    target = series(np.random.default_rng(9).normal(8, 4, 2190), "2050-01-01")
    adjuster = QDM().fit(observed, modelled)
    inside = node_probabilities(50)[1:-1]
    found, o, h, s = (
        np.quantile(x, inside)
        for x in (adjuster.apply(target), observed, modelled, target)
    )
    np.testing.assert_allclose(found, o + s - h, atol=0.02)
    np.testing.assert_allclose(found - o, s - h, atol=0.02)


def test_quantile_mapping_does_not_keep_it(series):
    observed, modelled = pair(series, "+")
    warmer = (modelled + 2.5).assign_attrs(modelled.attrs)
    kept = {}
    for method in (EQM, DQM, QDM):
        adjuster = method().fit(observed, modelled)
        kept[method] = float(
            adjuster.apply(warmer).mean() - adjuster.apply(modelled).mean()
        )
    assert kept[QDM] == pytest.approx(2.5, abs=1e-9)
    assert kept[DQM] == pytest.approx(2.5, abs=1e-9)
    # Beyond the training period the factor is constant: less than 2.5 sd ratios of 3.
    assert kept[EQM] > 5.0


def test_an_almost_dry_model_cannot_make_floods(series):
    units = {"units": "mm day-1"}
    observed = series(np.full(400, 5.0), **units)
    modelled = series(np.linspace(0.0, 1e-6, 400), **units)
    target = series(np.linspace(0.0, 1.0, 400), **units)
    adjusted = QDM("*", ratio_cap=4.0).fit(observed, modelled).apply(target)
    assert np.isfinite(adjusted).all()
    assert adjusted.max().item() == pytest.approx(4.0)
