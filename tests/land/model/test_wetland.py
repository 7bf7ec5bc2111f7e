"""The wetland store: balance, residence time, and what steep land does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.land.model.wetland import residence_time, wetland_step

DAY = 86400.0


@settings(deadline=None)
@given(
    store=st.floats(0, 500, allow_subnormal=False),
    runoff=st.floats(0, 1e-2, allow_subnormal=False),
    spread=st.floats(0, 1000),
    dt=st.sampled_from([1800.0, 3600.0, DAY]),
)
def test_store_outflow_and_river_balance(store, runoff, spread, dt):
    new, to_soil, to_river = wetland_step(store, runoff, spread, dt)
    gain = dt * (runoff - float(to_soil) - float(to_river))
    assert float(new) - store == pytest.approx(
        gain, abs=1e-15 * (store + dt * runoff) + 1e-300
    )
    assert float(new) >= 0
    assert float(to_soil) >= 0


def test_flat_land_holds_water_a_month_and_steep_land_not_at_all():
    np.testing.assert_allclose(
        residence_time(np.array([0.0, 100.0, 200.0, 900.0]), 3600.0),
        [30 * DAY, 15 * DAY, 3600.0, 3600.0],
    )


def test_a_wetland_without_inflow_empties_exponentially():
    store = jnp.array([100.0])
    for _ in range(24 * 30):
        store, _, _ = wetland_step(store, 0.0, np.array([0.0]), 3600.0)
    # implicit steps of beta / 720 lag a little
    assert float(store[0]) == pytest.approx(100 / np.e, rel=1e-3)


def test_a_steady_inflow_fills_it_to_inflow_times_residence():
    store = jnp.array([0.0])
    runoff = 1e-5
    step = jax.jit(lambda s: wetland_step(s, runoff, jnp.array([150.0]), DAY)[0])
    for _ in range(300):
        store = step(store)
    assert float(store[0]) == pytest.approx(0.9 * runoff * 7.5 * DAY, rel=1e-6)


def test_a_tenth_of_the_runoff_reaches_the_river_at_once():
    _, _, to_river = wetland_step(0.0, 1e-4, 0.0, 3600.0)
    assert float(to_river) == pytest.approx(1e-5)
    _, _, all_of_it = wetland_step(0.0, 1e-4, 0.0, 3600.0, direct=1.0)
    assert float(all_of_it) == pytest.approx(1e-4)


def test_derivatives_match_differences():
    inputs = jnp.array([50.0, 1e-4, 80.0])

    def score(x):
        store, to_soil, to_river = wetland_step(x[0], x[1], x[2], 3600.0)
        return store + 1e5 * (to_soil + 2 * to_river)

    slope = jax.grad(score)(inputs)
    for k in range(3):
        step = jnp.zeros(3).at[k].set(1e-6 * inputs[k])
        difference = (score(inputs + step) - score(inputs - step)) / (2 * step[k])
        assert float(slope[k]) == pytest.approx(float(difference), rel=1e-5)
