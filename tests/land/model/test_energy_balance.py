import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import (
    HEAT_CAPACITY_AIR,
    LATENT_HEAT_FUSION,
    LATENT_HEAT_VAPORIZATION,
    STEFAN_BOLTZMANN,
    ZERO_CELSIUS,
)
from tilth.land.model import turbulence
from tilth.land.model.energy_balance import Surface, saturation, series, settle, solve

solve_compiled = jax.jit(solve)


def surface(**changes):
    one = jnp.ones((2, 1))
    values = {
        "ground_temperature": 288.0 * one,
        "canopy_temperature": 288.0 * one,
        "ground_shortwave": 100.0 * one,
        "canopy_shortwave": 200.0 * one,
        "longwave": 320.0 * one,
        "longwave_transmissivity": 0.3 * one,
        "longwave_albedo": 0.04 * one,
        "air_temperature": 289.0 * one,
        "air_humidity": 0.007 * one,
        "air_density": 1.2 * one,
        "pressure": 1e5 * one,
        "ground_conductance": 2e-3 * one,
        "canopy_conductance": 2e-2 * one,
        "soil_resistance": 200.0 * one,
        "ground_humidity": 0.98 * one,
        "stomatal_conductance": 8e-3 * one,
        "wet_fraction": 0.1 * one,
        "ground_ice": 0.0 * one,
        "canopy_ice_share": 0.0 * one,
        "conductance": 20.0 * one,
        "deep_temperature": 287.0 * one,
        "snow": jnp.zeros((2, 1), bool),
        "ground_limit": 1.0 * one,
        "canopy_limit": 1.0 * one,
        "transpiration_limit": 1.0 * one,
        "canopy_ice": 0.0 * one,
        "canopy_liquid": 0.1 / 1800.0 * one,
        "time_step": 1800.0,
    }
    for name, value in changes.items():
        values[name] = value * one if name != "snow" else jnp.full((2, 1), value)
    return Surface(**values)


def closes(balance):
    assert float(jnp.max(jnp.abs(balance.ground_residual))) < 1e-9
    assert float(jnp.max(jnp.abs(balance.canopy_residual))) < 1e-9


@settings(max_examples=60, deadline=None)
@given(
    st.floats(240.0, 315.0),
    st.floats(-20.0, 20.0),
    st.floats(0.0, 900.0),
    st.floats(0.05, 1.2),
    st.floats(1e-4, 5e-2),
    st.floats(0.0, 1.0),
    st.floats(0.0, 2e-4),
    st.booleans(),
)
def test_the_balance_closes_whatever_the_weather(
    temperature, inversion, sun, humidity, conductance, cover, store, snow
):
    q, _ = saturation(temperature, 1e5)
    balance = solve_compiled(
        surface(
            ground_temperature=min(temperature, 273.15) if snow else temperature,
            canopy_temperature=temperature + 1.0,
            air_temperature=temperature + inversion,
            deep_temperature=temperature,
            ground_shortwave=0.5 * sun,
            canopy_shortwave=0.5 * sun * cover,
            longwave_transmissivity=1.0 - 0.9 * cover,
            air_humidity=humidity * q,
            ground_conductance=0.3 * conductance,
            canopy_conductance=conductance * cover,
            canopy_limit=store,
            ground_limit=store,
            canopy_ice=0.5 * store,
            canopy_liquid=0.5 * store,
            canopy_ice_share=0.5,
            wet_fraction=0.3,
            snow=snow,
        )
    )
    closes(balance)
    assert float(balance.canopy_evaporation.max()) <= store
    assert float(balance.ground_evaporation.max()) <= store
    if snow:
        assert float(balance.ground_temperature.max()) <= ZERO_CELSIUS


def test_radiation_of_both_surfaces_and_the_sky_adds_up():
    b = solve(surface())
    np.testing.assert_allclose(
        b.ground_longwave + b.canopy_longwave, 320.0 - b.longwave_up, rtol=1e-12
    )


def test_a_surface_in_balance_stays_as_it_is():
    """No sun, the sky and all else at one temperature, air saturated: no fluxes."""
    t = 290.0
    q, _ = saturation(t, 1e5)
    b = solve(
        surface(
            ground_temperature=t,
            canopy_temperature=t,
            air_temperature=t,
            deep_temperature=t,
            longwave=STEFAN_BOLTZMANN * t**4,
            air_humidity=q,
            ground_humidity=1.0,
            ground_shortwave=0.0,
            canopy_shortwave=0.0,
        )
    )
    np.testing.assert_allclose(b.ground_temperature, t, rtol=1e-13)
    np.testing.assert_allclose(b.canopy_temperature, t, rtol=1e-13)
    for flux in (b.ground_sensible, b.canopy_latent, b.ground_heat, b.ground_longwave):
        np.testing.assert_allclose(flux, 0.0, atol=1e-9)


def test_fluxes_are_those_of_the_new_temperatures_to_first_order():
    """Linear fluxes (sensible, conducted) are exact, evaporation and light nearly."""
    s = surface()
    b = solve(s)
    exact = 1.2 * HEAT_CAPACITY_AIR * 2e-2 * (b.canopy_temperature - 289.0)
    np.testing.assert_allclose(b.canopy_sensible, exact, rtol=1e-6)
    np.testing.assert_allclose(b.ground_heat, 20.0 * (b.ground_temperature - 287.0))
    q, _ = saturation(b.ground_temperature, 1e5)
    exact = 1.2 / (500.0 + 200.0) * (0.98 * q - 0.007)
    np.testing.assert_allclose(b.ground_evaporation, exact, rtol=0.02)


def test_stomata_act_in_series_with_the_air():
    assert float(series(2.0, 2.0)) == 1.0
    assert float(series(0.0, 0.0)) == 0.0
    assert float(series(3.0, 0.0)) == 0.0
    assert np.isfinite(float(jax.grad(series)(0.0, 0.0)))
    shut, open_ = (solve(surface(stomatal_conductance=g)) for g in (0.0, 1e9))
    assert float(shut.transpiration.max()) == 0.0
    wet = solve(surface(wet_fraction=1.0))
    np.testing.assert_allclose(
        open_.transpiration + open_.canopy_evaporation,
        wet.canopy_evaporation,
        rtol=1e-6,
    )


def test_neither_soil_nor_stomata_resist_dew():
    b = solve(
        surface(
            ground_temperature=280.0,
            canopy_temperature=280.0,
            deep_temperature=280.0,
            ground_shortwave=0.0,
            canopy_shortwave=0.0,
            longwave=250.0,
            air_temperature=284.0,
            air_humidity=0.0075,
        )
    )
    assert float(b.transpiration.max()) == 0.0
    assert float(b.canopy_evaporation.max()) < 0.0
    assert float(b.ground_evaporation.max()) < 0.0
    resisted = solve(
        surface(
            ground_temperature=280.0,
            canopy_temperature=280.0,
            deep_temperature=280.0,
            ground_shortwave=0.0,
            canopy_shortwave=0.0,
            longwave=250.0,
            air_temperature=284.0,
            air_humidity=0.0075,
            soil_resistance=5000.0,
        )
    )
    np.testing.assert_array_equal(b.ground_evaporation, resisted.ground_evaporation)
    closes(b)


def test_a_store_that_runs_dry_leaves_its_heat_to_the_leaves():
    free = solve(surface(wet_fraction=1.0, canopy_limit=1.0))
    dry = solve(surface(wet_fraction=1.0, canopy_limit=1e-6))
    np.testing.assert_allclose(dry.canopy_evaporation, 1e-6)
    assert float(dry.canopy_temperature[0, 0]) > float(free.canopy_temperature[0, 0])
    assert float(dry.canopy_sensible[0, 0]) > float(free.canopy_sensible[0, 0])
    closes(dry)


def cold(**changes):
    return surface(
        **{
            "ground_temperature": 272.0,
            "canopy_temperature": 272.0,
            "air_temperature": 275.0,
            "deep_temperature": 272.5,
            "air_humidity": 0.003,
            "ground_humidity": 1.0,
            "soil_resistance": 0.0,
            "ground_ice": 1.0,
            "snow": True,
            **changes,
        }
    )


def test_melting_snow_stays_at_zero_and_melts_with_what_is_left():
    without, clamped = solve(cold(snow=False)), solve(cold())
    assert float(without.ground_temperature[0, 0]) > ZERO_CELSIUS
    assert float(clamped.ground_temperature[0, 0]) == ZERO_CELSIUS
    assert float(clamped.melt_heat[0, 0]) > 0.0
    assert float(without.melt_heat[0, 0]) == 0.0
    closes(clamped)


def test_snow_below_zero_does_not_melt():
    b = solve(cold(ground_shortwave=0.0, canopy_shortwave=0.0, air_temperature=265.0))
    assert float(b.ground_temperature[0, 0]) < ZERO_CELSIUS
    assert float(b.melt_heat[0, 0]) == 0.0


def test_ice_on_leaves_melts_before_they_warm():
    rate = 0.2 / 1800.0
    much = solve(cold(canopy_ice=10.0 * rate, canopy_liquid=0.0))
    np.testing.assert_allclose(much.canopy_temperature, ZERO_CELSIUS, rtol=1e-12)
    assert 0.0 < float(much.canopy_melt[0, 0]) < 10.0 * rate
    little = solve(cold(canopy_ice=0.01 * rate, canopy_liquid=0.0, wet_fraction=0.0))
    assert float(little.canopy_temperature[0, 0]) > ZERO_CELSIUS
    np.testing.assert_allclose(little.canopy_melt, 0.01 * rate, rtol=1e-6)
    closes(much)
    closes(little)


def test_water_on_leaves_freezes_before_they_cool():
    night = {
        "ground_shortwave": 0.0,
        "canopy_shortwave": 0.0,
        "air_temperature": 270.0,
        "longwave": 220.0,
    }
    b = solve(cold(canopy_liquid=1.0 / 1800.0, canopy_ice=0.0, **night))
    np.testing.assert_allclose(b.canopy_temperature, ZERO_CELSIUS, rtol=1e-12)
    power = LATENT_HEAT_FUSION * b.canopy_melt
    assert float(power[0, 0]) < -10.0
    closes(b)


def test_ice_takes_the_heat_of_sublimation():
    water, ice = (solve(surface(ground_ice=share)) for share in (0.0, 1.0))
    np.testing.assert_allclose(
        water.ground_latent, LATENT_HEAT_VAPORIZATION * water.ground_evaporation
    )
    np.testing.assert_allclose(
        ice.ground_latent,
        (LATENT_HEAT_VAPORIZATION + LATENT_HEAT_FUSION) * ice.ground_evaporation,
    )


def test_a_canopy_without_leaves_takes_no_part():
    b = solve(
        surface(
            longwave_transmissivity=1.0,
            canopy_shortwave=0.0,
            canopy_conductance=0.0,
            stomatal_conductance=0.0,
            wet_fraction=0.0,
            canopy_liquid=0.0,
        )
    )
    np.testing.assert_allclose(b.canopy_temperature, 289.0, rtol=1e-9)
    assert float(abs(b.canopy_longwave).max()) == 0.0
    np.testing.assert_allclose(b.canopy_sensible, 0.0, atol=1e-9)


@pytest.mark.parametrize("temperature", [250.0, 273.0, 273.15, 274.0, 300.0])
def test_saturation_is_over_ice_below_zero_and_continuous(temperature):
    q, slope = saturation(temperature, 1e5)
    up, down = saturation(temperature + 1e-4, 1e5)[0], saturation(temperature, 1e5)[0]
    np.testing.assert_allclose(slope, (up - down) / 1e-4, rtol=1e-3)
    assert 0.0 < float(q) < 0.03


def stands(ground, canopy, *, leaf_area=3.0, height=18.0, **air):
    """The exchange of plants with the air 10 m above them, and what it starts from."""
    shape = turbulence.roughness(leaf_area, height, 0.05, 0.005, 0.2, 0.02)

    def exchange_of(ground, canopy):
        return turbulence.exchange(
            shape,
            leaf_area=leaf_area,
            ground_temperature=ground,
            canopy_temperature=canopy,
            reference_height=height + 10.0,
            **air,
        )

    first = exchange_of(jnp.asarray(ground), jnp.asarray(canopy))
    return exchange_of, {
        "ground_temperature": ground,
        "canopy_temperature": canopy,
        "air_temperature": air["air_temperature"],
        "ground_conductance": first.ground,
        "canopy_conductance": first.canopy,
    }


def sunrise(air, wet):
    """A stand at 12 degC, wet from dew, below calm, warmer air; then the sun is up."""
    exchange_of, begin = stands(
        jnp.full((2, 1), 285.15),
        jnp.full((2, 1), 285.15),
        wind=1.2,
        air_temperature=air,
    )
    store = 0.6 / 1800.0
    return exchange_of, surface(
        canopy_shortwave=630.0,
        ground_shortwave=70.0,
        longwave=300.0,
        longwave_transmissivity=0.2,
        air_humidity=0.9 * saturation(air, 1e5)[0],
        wet_fraction=wet,
        canopy_limit=store,
        canopy_liquid=store,
        deep_temperature=285.15,
        stomatal_conductance=5e-3,
        **begin,
    )


def within_bounds(balance, absorbed, air):
    """Whether the fluxes can be fed by the light, and the leaves are near the air."""
    latent = balance.canopy_latent + balance.ground_latent
    sensible = balance.canopy_sensible + balance.ground_sensible
    most = absorbed + 100.0
    near = jnp.abs(balance.canopy_temperature - air) < 15.0
    ok = near & (jnp.abs(latent) < most) & (jnp.abs(sensible) < most)
    return bool(jnp.all(ok))


@pytest.mark.parametrize("wet", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("air", [287.0, 290.0, 292.0])
def test_a_still_cold_stand_struck_by_the_sun_stays_within_what_can_be(air, wet):
    exchange_of, s = sunrise(air, wet)
    settled = settle(s, exchange_of)
    closes(settled)
    assert within_bounds(settled, 700.0, air)
    assert float((settled.canopy_latent + settled.ground_latent).min()) > 0.0

    # One solution with the calm of dawn: leaves like a stove. The step after it, with
    # an exchange to match, then condenses water under full sun.
    hot = solve(s)
    closes(hot)
    assert not within_bounds(hot, 700.0, air)
    assert float((hot.canopy_temperature - air).min()) > 35.0
    fresh = exchange_of(hot.ground_temperature, hot.canopy_temperature)
    after = solve(
        s._replace(
            ground_temperature=hot.ground_temperature,
            canopy_temperature=hot.canopy_temperature,
            ground_conductance=fresh.ground,
            canopy_conductance=fresh.canopy,
        )
    )
    assert float((after.canopy_latent + after.ground_latent).max()) < -300.0


@pytest.fixture(scope="module")
def anywhere():
    """Two thousand stands and snowfields in all kinds of weather, far from balance."""
    rng = np.random.default_rng(7)
    n = (2, 1000)
    air = rng.uniform(255.0, 308.0, n)
    snow = (rng.random(n) < 0.3) & (air < 280.0)
    ground = air + rng.uniform(-6.0, 6.0, n)
    ground = np.where(snow, np.minimum(ground, ZERO_CELSIUS), ground)
    leaf_area = rng.uniform(0.2, 6.0, n)
    exchange_of, begin = stands(
        ground,
        air + rng.uniform(-6.0, 6.0, n),
        leaf_area=leaf_area,
        height=rng.choice([0.1, 0.5, 2.0, 18.0, 30.0], n),
        wind=rng.uniform(0.3, 8.0, n),
        air_temperature=air,
    )
    sky = np.exp(-0.8 * leaf_area)
    sun = rng.uniform(0.0, 900.0, n) * (rng.random(n) < 0.7)
    store = 0.2 * leaf_area * np.maximum(rng.uniform(-1.0, 1.0, n), 0.0) / 1800.0
    ice = (begin["canopy_temperature"] < ZERO_CELSIUS) * store
    s = surface()._replace(
        ground_shortwave=0.8 * sun * sky,
        canopy_shortwave=0.85 * sun * (1.0 - sky),
        longwave=rng.uniform(0.65, 1.0, n) * STEFAN_BOLTZMANN * air**4,
        longwave_transmissivity=sky,
        air_humidity=rng.uniform(0.2, 1.0, n) * saturation(air, 1e5)[0],
        soil_resistance=np.where(snow, 0.0, rng.uniform(0.0, 2000.0, n)),
        ground_humidity=np.where(snow, 1.0, rng.uniform(0.5, 1.0, n)),
        stomatal_conductance=rng.uniform(0.0, 0.015, n),
        wet_fraction=store / (0.2 * leaf_area / 1800.0),
        ground_ice=np.where(snow, 1.0, 0.0),
        canopy_ice_share=np.where(ice > 0.0, 1.0, 0.0),
        conductance=rng.uniform(3.0, 40.0, n),
        deep_temperature=ground + rng.uniform(-3.0, 3.0, n),
        snow=snow,
        canopy_limit=0.999 * store,
        canopy_ice=ice,
        canopy_liquid=store - ice,
        **begin,
    )
    return exchange_of, s


def fluxes(balance):
    return np.stack(
        [
            balance.canopy_latent,
            balance.canopy_sensible,
            balance.ground_latent,
            balance.ground_sensible,
        ]
    )


def test_a_settled_balance_closes_and_keeps_its_limits_anywhere(anywhere):
    exchange_of, s = anywhere
    balance = jax.jit(lambda s: settle(s, exchange_of))(s)
    closes(balance)
    assert np.all(balance.canopy_evaporation <= s.canopy_limit)
    assert np.all(balance.ground_temperature[s.snow] <= ZERO_CELSIUS)
    assert np.all(np.abs(fluxes(balance)) < 2000.0)


def test_a_settled_balance_is_close_to_that_of_many_passes(anywhere):
    exchange_of, s = anywhere
    compiled = jax.jit(lambda s, n: settle(s, exchange_of, n), static_argnums=1)
    many = fluxes(compiled(s, 100))
    off = {n: np.abs(fluxes(compiled(s, n)) - many).max(axis=0) for n in (1, 5)}
    assert np.median(off[5]) < 0.5
    assert np.quantile(off[5], 0.95) < 10.0
    # One pass is what the others cure.
    assert np.median(off[1]) > 5.0
    assert np.quantile(off[1], 0.95) > 50.0


def test_many_passes_find_the_exchange_that_belongs_to_their_temperatures():
    """Then sensible heat is the conductance at the new temperatures times them."""
    exchange_of, s = sunrise(290.0, 0.3)
    found = settle(s, exchange_of, 60)
    fresh = exchange_of(found.ground_temperature, found.canopy_temperature)
    heat = 1.2 * HEAT_CAPACITY_AIR
    np.testing.assert_allclose(
        found.canopy_sensible,
        heat * fresh.canopy * (found.canopy_temperature - 290.0),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        found.ground_sensible,
        heat * fresh.ground * (found.ground_temperature - 290.0),
        rtol=1e-6,
    )
    vapour = 1.2 * fresh.canopy * 0.3
    q, _ = saturation(found.canopy_temperature, 1e5)
    np.testing.assert_allclose(
        found.canopy_evaporation, vapour * (q - s.air_humidity), rtol=1e-6
    )
