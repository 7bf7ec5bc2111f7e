"""Closures of stomatal conductance: exact numbers, limits and slopes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax
from tilth.physics import conductance as cd


def test_the_closures_give_their_textbook_numbers():
    # 10 umol m-2 s-1 at 400 ppm: A/C = 0.025 mol m-2 s-1.
    ball = cd.ball_berry(10e-6, 400e-6, 0.7, slope=9.0, intercept=0.01)
    assert float(ball) == pytest.approx(0.01 + 9 * 0.025 * 0.7, rel=1e-14)
    # At D = D0 Leuning's opening is halved; 50 ppm of compensation.
    leuning = cd.leuning(
        10e-6,
        400e-6,
        1500.0,
        slope=8.0,
        intercept=0.0,
        compensation=50e-6,
        deficit_scale=1500.0,
    )
    assert float(leuning) == pytest.approx(0.5 * 8 * 10 / 350, rel=1e-14)
    # At 1 kPa Medlyn's opening is 1 + g1, at 4 kPa 1 + g1/2.
    for deficit, opening in [(1000.0, 1 + 3.5), (4000.0, 1 + 1.75)]:
        medlyn = cd.medlyn(10e-6, 400e-6, deficit, slope=3.5, intercept=0.02)
        assert float(medlyn) == pytest.approx(0.02 + 1.6 * opening * 0.025, rel=1e-14)


def test_the_exponent_of_the_full_medlyn_form():
    value = cd.medlyn(10e-6, 400e-6, 3000.0, slope=2.0, intercept=0.0, exponent=0.3)
    assert float(value) == pytest.approx(1.6 * (1 + 2 / 3**0.7) * 0.025, rel=1e-14)


CALLS = {
    "ball_berry": lambda a, c, x: cd.ball_berry(a, c, x, slope=9.0, intercept=0.01),
    "leuning": lambda a, c, x: cd.leuning(
        a, c, 4e3 * (1 - x), slope=9.0, intercept=0.01
    ),
    "medlyn": lambda a, c, x: cd.medlyn(a, c, 4e3 * (1 - x), slope=4.0, intercept=0.01),
}


@pytest.mark.parametrize("scheme", CALLS)
@settings(max_examples=60, deadline=None)
@given(a=st.floats(0.0, 5e-5), c=st.floats(1e-4, 1e-3), humid=st.floats(0.0, 1.0))
def test_stomata_open_with_carbon_and_humidity_and_close_with_co2(scheme, a, c, humid):
    g = CALLS[scheme]
    here = float(g(a, c, humid))
    assert np.isfinite(here)
    assert here >= 0.01
    assert float(g(a + 1e-6, c, humid)) >= here
    assert float(g(a, c * 1.1, humid)) <= here
    assert float(g(a, c, 0.9 * humid)) <= here + 1e-15


@pytest.mark.parametrize("scheme", CALLS)
def test_a_leaf_that_loses_carbon_keeps_its_residual_opening(scheme):
    assert float(CALLS[scheme](-1e-6, 4e-4, 0.5)) == 0.01
    slope = jax.grad(CALLS[scheme], argnums=(0, 1, 2))(-1e-6, 4e-4, 0.5)
    assert np.all(np.asarray(slope) == 0.0)


def test_air_near_saturation_does_not_open_medlyns_stomata_without_end():
    wet = cd.medlyn(10e-6, 400e-6, 0.0, slope=4.0, intercept=0.0)
    assert float(wet) == pytest.approx(1.6 * (1 + 4 / np.sqrt(0.05)) * 0.025)
    slope = jax.grad(lambda d: cd.medlyn(10e-6, 400e-6, d, slope=4.0, intercept=0.0))
    assert float(slope(0.0)) == 0.0
