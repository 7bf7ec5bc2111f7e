"""Water on the canopy: both phases to rounding, interception and drip."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilth.core.accelerate import jax, jnp
from tilth.land.model.canopy_water import (
    CAPACITY,
    DRIP_GROWTH,
    DRIP_RATE,
    capacity,
    intercept,
    wet_fraction,
)

DT = 1800.0
N = 4

#: Drip in a step from a store of up to 0.2 mm, twice that of an empty one, kg m-2.
SLOW = 2.1 * 1000.0 * DRIP_RATE * DT

_intercept = jax.jit(intercept, static_argnames="convective_fraction")


def _cells(low, high, shape=(N,)):
    return arrays(np.float64, shape, elements=st.floats(low, high))


def _one(
    water=0.0, ice=0.0, *, rain=0.0, snow=0.0, lai=3.0, vegetated=1.0, showers=0.0
):
    """One cell for one step."""
    each = (np.array([x]) for x in (water, ice, rain, snow, lai, vegetated))
    new = _intercept(*each, DT, convective_rain=np.array([showers]))
    return {name: float(value[0]) for name, value in new._asdict().items()}


@settings(max_examples=100, deadline=None)
@given(
    _cells(0.0, 4.0, (2, N)),
    _cells(0.0, 1e-2, (2, N)),
    _cells(0.0, 8.0),
    _cells(0.0, 1.0),
    _cells(0.0, 1e-2),
)
def test_interception_keeps_each_phase_for_itself(held, falls, lai, vegetated, showers):
    new = _intercept(*held, *falls, lai, vegetated, DT, convective_rain=showers)
    scale = held + DT * falls + 1.0
    rain = held[0] + DT * (falls[0] - new.rain) - new.water
    snow = held[1] + DT * (falls[1] - new.snow) - new.ice
    assert (np.abs(rain) <= 2e-15 * scale[0]).all()
    assert (np.abs(snow) <= 2e-15 * scale[1]).all()
    assert min(float(jnp.min(part)) for part in new) >= 0.0
    assert (np.asarray(new.convective_rain) <= np.asarray(new.rain) + 1e-18).all()
    # Both phases, on the dry and the wet part, hold at most the capacity.
    assert (np.asarray(new.water) <= CAPACITY * lai + 1e-12).all()
    assert (np.asarray(new.ice) <= CAPACITY * lai + 1e-12).all()


def test_a_dense_canopy_catches_all_rain_until_it_is_full():
    new = _one(rain=1e-4, lai=3.0)  # 0.18 mm onto 0.6 mm of room
    assert new["water"] == pytest.approx(0.18, abs=SLOW)
    assert new["rain"] * DT == pytest.approx(0.18 - new["water"], abs=1e-12)
    full = _one(rain=1e-3, lai=3.0)  # 1.8 mm
    assert full["water"] == pytest.approx(0.6, abs=10 * SLOW)
    assert full["rain"] * DT == pytest.approx(1.2, abs=10 * SLOW)


def test_a_thin_canopy_lets_rain_through_in_proportion():
    new = _one(rain=1e-5, lai=0.4)
    assert new["rain"] == pytest.approx(0.6e-5, abs=SLOW / DT)
    # Clumped: two leaf layers on a fifth of the ground catch a fifth.
    clumped = _one(rain=1e-5, lai=0.4, vegetated=0.2)
    assert clumped["rain"] == pytest.approx(0.8e-5, abs=SLOW / DT)


def test_bare_ground_takes_everything_as_it_falls():
    for bare in ({"lai": 0.0}, {"vegetated": 0.0}):
        new = _one(rain=2e-4, snow=1e-4, showers=1e-4, **bare)
        assert (new["water"], new["ice"], new["snow"]) == (0.0, 0.0, 1e-4)
        assert new["rain"] == pytest.approx(2e-4, rel=1e-15)
        assert new["convective_rain"] == pytest.approx(1e-4, rel=1e-12)


def test_a_full_canopy_drips_by_the_exponential_law():
    lai = 4.0
    store = CAPACITY * lai
    new = _one(store, lai=lai)
    rate = 1000.0 * DRIP_RATE * np.exp(DRIP_GROWTH * store / 1000.0)
    assert new["rain"] == pytest.approx(rate, rel=1e-12)
    assert store - new["water"] == pytest.approx(rate * DT, rel=1e-6)


def test_showers_overfill_the_leaves_where_they_fall():
    even = _one(rain=2e-4, lai=3.0)
    shower = _one(rain=2e-4, lai=3.0, showers=2e-4)
    # 3.6 mm on a tenth of the cell, of which 0.6 mm stay there.
    assert shower["water"] == pytest.approx(0.06, abs=SLOW)
    assert shower["rain"] * DT == pytest.approx(0.3, abs=SLOW)
    assert shower["convective_rain"] == pytest.approx(shower["rain"], rel=1e-4)
    assert even["water"] > 5.0 * shower["water"]


def test_snow_stays_on_the_leaves_as_snow_until_they_are_full():
    new = _one(snow=1e-4)
    assert new["ice"] == pytest.approx(0.18, abs=SLOW)
    assert new["water"] < SLOW
    full = _one(ice=0.5, snow=1e-3)
    assert full["ice"] == pytest.approx(0.6, abs=10 * SLOW)
    assert full["snow"] * DT == pytest.approx(1.7, abs=10 * SLOW)
    # Full of snow, the leaves still take rain: each phase has room of its own.
    assert _one(ice=0.6, rain=1e-4)["water"] == pytest.approx(0.18, abs=SLOW)


def test_wet_share_is_store_over_capacity_and_zero_without_leaves():
    np.testing.assert_allclose(
        wet_fraction(np.array([0.3, 5.0, 0.0]), np.array([3.0, 3.0, 0.0])),
        [0.5, 1.0, 0.0],
    )
    assert float(capacity(3.0)) == pytest.approx(0.6)


@jax.jit
def _everything(x):
    water, ice, rain, snow, lai, vegetated, showers = x[:, None]
    new = intercept(water, ice, rain, snow, lai, vegetated, DT, convective_rain=showers)
    weights = [1.0, 2.0, 3e3, 4e3, 5e3]
    return sum(jnp.sum(w * part) for w, part in zip(weights, new, strict=True))


_slopes = jax.jit(jax.grad(_everything))


@pytest.mark.parametrize(
    "case",
    [
        [0.15, 0.05, 1e-4, 2e-5, 3.0, 0.8, 3e-5],
        [0.3, 0.2, 3e-3, 1e-3, 0.5, 0.9, 1e-3],
    ],
)
def test_gradients_are_those_of_finite_differences(case):
    x = np.array(case)
    steps = [1e-6, 1e-6, 1e-9, 1e-9, 1e-6, 1e-6, 1e-9]
    numeric = [
        (_everything(x + shift) - _everything(x - shift)) / (2 * shift.max())
        for shift in np.diag(steps)
    ]
    np.testing.assert_allclose(_slopes(x), numeric, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("lai", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("vegetated", [0.0, 1.0])
def test_gradients_are_finite_without_leaves_water_or_rain(lai, vegetated):
    x = [0.0, 0.0, 0.0, 0.0, lai, vegetated, 0.0]
    assert np.isfinite(_slopes(np.array(x))).all()
