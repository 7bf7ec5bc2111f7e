"""Thawing ground: degree-days, depth of thaw, and subsidence of its pore ice."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax
from tilth.core.errors import InputError
from tilth.physics import (
    active_layer_depth,
    freeze_index,
    pore_ice_subsidence,
    stefan_depth,
    thaw_index,
)

DAY = 86400.0


def test_only_warmth_counts_for_thaw_and_only_cold_for_frost():
    temperature = 273.15 + np.array([-5.0, 2.0, 0.0, 3.0, -1.0])
    np.testing.assert_allclose(thaw_index(temperature) / DAY, [0, 2, 2, 5, 5])
    np.testing.assert_allclose(freeze_index(temperature) / DAY, [5, 5, 5, 5, 6])


@settings(deadline=None)
@given(st.lists(st.floats(230.0, 310.0), min_size=1, max_size=50))
def test_thaw_less_frost_is_the_sum_of_the_temperature(values):
    temperature = np.array(values)
    difference = thaw_index(temperature) - freeze_index(temperature)
    total = np.cumsum(temperature - 273.15) * DAY
    np.testing.assert_allclose(difference, total, atol=1e-3 * DAY)


def test_shorter_intervals_of_the_same_weather_give_the_same_index():
    daily = thaw_index([280.0, 284.0])[-1]
    hourly = thaw_index(np.repeat([280.0, 284.0], 24), 3600.0)[-1]
    assert float(hourly) == pytest.approx(float(daily))


def test_thaw_is_twice_as_deep_after_four_times_the_warmth():
    depth = active_layer_depth(np.array([100.0, 400.0]) * DAY, 0.8, 300.0)
    assert depth[1] == pytest.approx(2 * depth[0])


def test_the_n_factor_scales_the_index_of_stefans_depth():
    assert float(active_layer_depth(4e7, 0.8, 300.0, 0.5)) == pytest.approx(
        float(stefan_depth(2e7, 0.8, 300.0))
    )
    with pytest.raises(InputError, match="n-factor is 0"):
        active_layer_depth(4e7, 0.8, 300.0, 0.0)


def test_saturated_pores_sink_by_nine_percent_of_their_ice():
    # Liu et al. (2012): D = 0.09 P S ALT.
    assert float(pore_ice_subsidence(0.4, 0.5, 0.9)) == pytest.approx(
        0.0905 * 0.5 * 0.9 * 0.4, rel=1e-3
    )


def test_layers_of_the_same_porosity_are_one_layer():
    depth = np.array([0.0, 0.05, 0.3, 2.0])
    layered = pore_ice_subsidence(depth, [0.6, 0.6, 0.6], 0.8, layers=[0.1, 0.2, 0.5])
    np.testing.assert_allclose(layered, pore_ice_subsidence(depth, 0.6, 0.8))


def test_peat_above_mineral_soil_sinks_layer_by_layer():
    sunk = pore_ice_subsidence(0.5, [0.9, 0.4], [1.0, 0.5], layers=[0.2, 1.0])
    expected = 83.0 / 917.0 * (0.9 * 0.2 + 0.4 * 0.5 * 0.3)
    assert float(sunk) == pytest.approx(expected)


def test_the_surface_sinks_faster_where_pores_hold_more_ice_at_the_front():
    slope = jax.grad(
        lambda depth: pore_ice_subsidence(depth, [0.9, 0.4], layers=[0.2, 1.0])
    )
    assert slope(0.1) == pytest.approx(83.0 / 917.0 * 0.9)
    assert slope(0.6) == pytest.approx(83.0 / 917.0 * 0.4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"porosity": 1.2}, "porosity is a share"),
        ({"porosity": float("nan")}, "porosity is a share"),
        ({"porosity": 0.5, "saturation": -0.1}, "saturation is a share"),
        ({"porosity": [0.5, 0.4]}, "need their lower ends"),
        ({"porosity": [0.5, 0.4], "layers": [0.2, 0.1]}, "rise from the surface"),
        ({"porosity": [0.5, 0.4, 0.3], "layers": [0.1, 0.2]}, "2 layers need as many"),
    ],
)
def test_a_ground_that_cannot_be_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        pore_ice_subsidence(0.5, **arguments)
