"""Water on the canopy: both ledgers to rounding, interception, drip and phase."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import LATENT_HEAT_FUSION, ZERO_CELSIUS
from tilth.land.model.canopy_water import (
    CAPACITY,
    DRIP_GROWTH,
    DRIP_RATE,
    canopy_step,
    capacity,
    frozen_fraction,
    intercept,
    wet_fraction,
)

DT = 1800.0
N = 4

#: Drip in a step from a store of up to 0.2 mm, twice that of an empty one, kg m-2.
SLOW = 2.1 * 1000.0 * DRIP_RATE * DT
WARM, COLD = ZERO_CELSIUS + 5.0, ZERO_CELSIUS - 5.0

_intercept = jax.jit(intercept, static_argnames="convective_fraction")
_step = jax.jit(canopy_step, static_argnames="convective_fraction")


def _cells(low, high, shape=(N,)):
    return arrays(np.float64, shape, elements=st.floats(low, high))


def _one(store=0.0, *, rain=0.0, snow=0.0, lai=3.0, vegetated=1.0, **changes):
    """One cell for one step; warm, without snow on the ground unless told."""
    settings = {
        "evaporation": 0.0,
        "kelvin": WARM,
        "cover": 0.0,
        "frozen_before": 0.0,
        "convective_rain": 0.0,
    } | changes
    pair = np.ones((2, 1))
    new = _step(
        np.array([store]),
        np.array([rain]),
        np.array([snow]),
        np.array([lai]),
        np.array([vegetated]),
        settings["evaporation"] * pair,
        np.broadcast_to(np.reshape(settings["kelvin"], (-1, 1)), (2, 1)),
        DT,
        cover=np.array([settings["cover"]]),
        frozen_before=np.array([settings["frozen_before"]]),
        convective_rain=np.array([settings["convective_rain"]]),
    )
    return {name: float(value[0]) for name, value in new._asdict().items()}


@settings(max_examples=100, deadline=None)
@given(
    _cells(0.0, 4.0),
    _cells(0.0, 1e-2),
    _cells(0.0, 5e-3),
    _cells(0.0, 8.0),
    _cells(0.0, 1.0),
    _cells(-1e-4, 1.0, (2, N)),
    _cells(ZERO_CELSIUS - 2.0, ZERO_CELSIUS + 2.0, (2, N)),
    _cells(0.0, 1.0),
    _cells(0.0, 1.0),
    _cells(0.0, 1e-2),
)
def test_water_and_ice_of_the_canopy_close_to_rounding(
    store, rain, snow, lai, vegetated, share, kelvin, cover, frozen, showers
):
    # Evaporation up to all of the store from both tiles, or dew.
    evaporation = np.where(share > 0.0, share * store / DT, share)
    new = _step(
        store,
        rain,
        snow,
        lai,
        vegetated,
        evaporation,
        kelvin,
        DT,
        cover=cover,
        frozen_before=frozen,
        convective_rain=showers,
    )
    falls = rain + snow - new.rain - new.snow - new.evaporation
    size = store + DT * (rain + snow) + 1.0
    assert (np.abs(store + DT * falls - new.store) <= 2e-15 * size).all()
    tiles = np.stack([1.0 - cover, cover])
    from_ice = (tiles * evaporation * (kelvin < ZERO_CELSIUS)).sum(axis=0)
    ice = store * frozen + DT * (snow - new.snow - from_ice)
    ice = ice + DT * new.freezing_heat / LATENT_HEAT_FUSION
    assert (np.abs(ice - new.store * new.frozen) <= 4e-15 * size).all()
    asked = (tiles * evaporation).sum(axis=0)
    np.testing.assert_allclose(new.evaporation, asked, rtol=1e-12, atol=1e-15)
    for part in (new.store, new.rain, new.snow):
        assert float(jnp.min(part)) >= 0.0
    # Both phases, on the dry and the wet part, hold at most the capacity.
    assert (np.asarray(new.store) <= 2.0 * CAPACITY * lai + 1e-12).all()


@settings(max_examples=60, deadline=None)
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
    assert min(float(jnp.min(part)) for part in new[:3]) >= 0.0
    assert (np.asarray(new.convective_rain) <= np.asarray(new.rain) + 1e-18).all()


def test_a_dense_canopy_catches_all_rain_until_it_is_full():
    new = _one(rain=1e-4, lai=3.0)  # 0.18 mm onto 0.6 mm of room
    assert new["store"] == pytest.approx(0.18, abs=SLOW)
    assert new["rain"] * DT == pytest.approx(0.18 - new["store"], abs=1e-12)
    full = _one(rain=1e-3, lai=3.0)  # 1.8 mm
    assert full["store"] == pytest.approx(0.6, abs=10 * SLOW)
    assert full["rain"] * DT == pytest.approx(1.2, abs=10 * SLOW)


def test_a_thin_canopy_lets_rain_through_in_proportion():
    new = _one(rain=1e-5, lai=0.4)
    assert new["rain"] == pytest.approx(0.6e-5, abs=SLOW / DT)
    # Clumped: two leaf layers on a fifth of the ground catch a fifth.
    clumped = _one(rain=1e-5, lai=0.4, vegetated=0.2)
    assert clumped["rain"] == pytest.approx(0.8e-5, abs=SLOW / DT)


def test_bare_ground_takes_everything_as_it_falls():
    for bare in ({"lai": 0.0}, {"vegetated": 0.0}):
        new = _one(rain=2e-4, snow=1e-4, convective_rain=1e-4, **bare)
        assert (new["store"], new["snow"]) == (0.0, 1e-4)
        assert new["rain"] == pytest.approx(2e-4, rel=1e-15)
        assert new["convective_rain"] == pytest.approx(1e-4, rel=1e-12)


def test_a_full_canopy_drips_by_the_exponential_law():
    lai = 4.0
    store = CAPACITY * lai
    new = _one(store, lai=lai)
    rate = 1000.0 * DRIP_RATE * np.exp(DRIP_GROWTH * store / 1000.0)
    assert new["rain"] == pytest.approx(rate, rel=1e-12)
    assert store - new["store"] == pytest.approx(rate * DT, rel=1e-6)


def test_showers_overfill_the_leaves_where_they_fall():
    even = _one(rain=2e-4, lai=3.0)
    shower = _one(rain=2e-4, lai=3.0, convective_rain=2e-4)
    # 3.6 mm on a tenth of the cell, of which 0.6 mm stay there.
    assert shower["store"] == pytest.approx(0.06, abs=SLOW)
    assert shower["rain"] * DT == pytest.approx(0.3, abs=SLOW)
    assert shower["convective_rain"] == pytest.approx(shower["rain"], rel=1e-4)
    assert even["store"] > 5.0 * shower["store"]


def test_snow_on_a_cold_canopy_stays_and_freezes_nothing():
    new = _one(snow=1e-4, kelvin=COLD, frozen_before=1.0)
    assert new["store"] == pytest.approx(0.18, abs=SLOW)
    assert (new["frozen"], new["rain"]) == (1.0, 0.0)
    assert new["freezing_heat"] == pytest.approx(0.0, abs=1e-12)


def test_thaw_on_the_leaves_takes_its_heat_from_the_ground():
    thaw = _one(0.5, kelvin=WARM, frozen_before=1.0)
    left = thaw["store"] + DT * thaw["snow"]  # a little ice drips as ice
    assert left == pytest.approx(0.5, rel=1e-12)
    expected = -thaw["store"] * LATENT_HEAT_FUSION / DT
    assert thaw["freezing_heat"] == pytest.approx(expected, rel=1e-12)
    freeze = _one(0.5, kelvin=COLD, frozen_before=0.0)
    assert freeze["freezing_heat"] == pytest.approx(-expected, rel=1e-6)


def test_the_frozen_share_is_the_area_of_the_cold_tiles():
    kelvin = np.array([[WARM, COLD, WARM, COLD], [WARM, WARM, COLD, COLD]])
    got = frozen_fraction(kelvin, np.full(4, 0.3))
    np.testing.assert_allclose(got, [0.0, 0.7, 0.3, 1.0])


def test_vapour_of_ice_comes_from_the_ice():
    # Covered tile cold, open tile warm; each loses its share of the evaporation.
    new = _one(0.4, evaporation=1e-5, kelvin=[WARM, COLD], cover=0.5, frozen_before=0.5)
    assert new["frozen"] == 0.5
    assert new["evaporation"] == pytest.approx(1e-5)
    assert new["freezing_heat"] == pytest.approx(0.0, abs=1e-9)


def test_more_evaporation_than_water_empties_the_store_and_says_so():
    new = _one(0.1, evaporation=1.0)
    assert new["store"] == 0.0
    assert new["evaporation"] * DT == pytest.approx(0.1)


def test_wet_share_is_store_over_capacity_and_zero_without_leaves():
    np.testing.assert_allclose(
        wet_fraction(np.array([0.3, 5.0, 0.0]), np.array([3.0, 3.0, 0.0])),
        [0.5, 1.0, 0.0],
    )
    assert float(capacity(3.0)) == pytest.approx(0.6)


@jax.jit
def _everything(x):
    new = canopy_step(
        x[:1],
        x[1:2],
        x[2:3],
        x[3:4],
        x[4:5],
        x[5:7, None],
        x[7:9, None],
        DT,
        cover=x[9:10],
        frozen_before=x[10:11],
        convective_rain=x[11:12],
    )
    weights = [1.0, 2.0, 3e3, 4e3, 5e3, 6e3, 1e-2]
    return sum(jnp.sum(w * part) for w, part in zip(weights, new, strict=True))


_slopes = jax.jit(jax.grad(_everything))


@pytest.mark.parametrize(
    "case",
    [
        [0.2, 1e-4, 2e-5, 3.0, 0.8, 1e-6, 2e-6, WARM, COLD, 0.4, 0.3, 3e-5],
        [0.5, 3e-3, 1e-3, 0.5, 0.9, -1e-6, 2e-6, COLD, COLD, 0.4, 0.6, 1e-3],
    ],
)
def test_gradients_are_those_of_finite_differences(case):
    x = np.array(case)
    steps = [1e-6, 1e-9, 1e-9, 1e-6, 1e-6, 1e-10, 1e-10, 1e-3, 1e-3, 1e-6, 1e-6, 1e-9]
    numeric = [
        (_everything(x + shift) - _everything(x - shift)) / (2 * shift.max())
        for shift in np.diag(steps)
    ]
    np.testing.assert_allclose(_slopes(x), numeric, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("lai", [0.0, 1.0, 8.0])
@pytest.mark.parametrize("vegetated", [0.0, 1.0])
@pytest.mark.parametrize("kelvin", [ZERO_CELSIUS, COLD])
def test_gradients_are_finite_without_leaves_water_or_rain(lai, vegetated, kelvin):
    x = [0.0, 0.0, 0.0, lai, vegetated, 0.0, 0.0, kelvin, kelvin, 0.0, 0.0, 0.0]
    assert np.isfinite(_slopes(np.array(x))).all()
