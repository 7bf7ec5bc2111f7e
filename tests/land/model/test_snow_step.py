"""One step of the snow: both ledgers to rounding, melt-out, layers, limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tilth.core.accelerate import jax, jnp
from tilth.core.constants import HEAT_CAPACITY_ICE, LATENT_HEAT_FUSION, ZERO_CELSIUS
from tilth.core.errors import InputError
from tilth.land.model import snow_cover
from tilth.land.model.snow_layers import masses, per_covered_area
from tilth.land.model.snow_step import (
    MOST_SNOW,
    layer_ice,
    snow_heat_content,
    snow_step,
)

DT = 3600.0
COVERS = {
    "simple": snow_cover.simple,
    "ssnowd": lambda mass: snow_cover.ssnowd(mass, 300.0, 0.6).cover,
}
QUIET = {
    "snowfall": 0.0,
    "snowfall_temperature": 268.0,
    "rain": 0.0,
    "sublimation": 0.0,
    "surface_flux": 0.0,
    "melt_energy": 0.0,
    "ground_temperature": ZERO_CELSIUS,
    "ground_conductance": 10.0,
}


def _compiled(drain, cover):
    return jax.jit(
        lambda mass, kelvin, liquid, area, weather: snow_step(
            mass,
            kelvin,
            liquid,
            area,
            DT,
            cover_of=COVERS[cover],
            drain=drain,
            **weather,
        )
    )


STEPS = {(d, c): _compiled(d, c) for d in ("instant", "gravity") for c in COVERS}


def _state(mass, cold, wetness=0.0, cover="simple"):
    """Snow state with layers at given degrees and water as a share of each layer."""
    mass = np.atleast_1d(np.asarray(mass, float))
    area = COVERS[cover](mass)
    layers = masses(per_covered_area(mass, area))
    cold = np.broadcast_to(np.asarray(cold, float), (3, mass.size))
    kelvin = jnp.where(layers > 0.0, ZERO_CELSIUS + cold, ZERO_CELSIUS)
    return mass, kelvin, layers * wetness, area


def _weather(n, **changes):
    return {k: jnp.full(n, float(v)) for k, v in (QUIET | changes).items()}


def _ledgers(before, weather, new):
    """Residuals of mass (kg m-2) and heat (J m-2) of one step."""
    mass, _, _, area = before
    gain = weather["snowfall"] + new.rain_on_snow - new.sublimation
    water = new.mass - mass - DT * (gain - new.outflow - new.glacier_runoff)
    heat = snow_heat_content(new.mass, new.temperature, new.liquid, new.cover)
    power = area * (weather["surface_flux"] + weather["melt_energy"])
    power += new.snowfall_heat - new.sublimation_heat
    power -= new.glacier_heat + new.soil_flux
    return np.asarray(water), np.asarray(heat - snow_heat_content(*before) - DT * power)


N = 4


def _cells(low, high):
    return arrays(np.float64, (N,), elements=st.floats(low, high))


SNOW = arrays(
    np.float64,
    (N,),
    elements=st.one_of(st.just(0.0), st.floats(1e-9, 30.0), st.floats(30.0, 1300.0)),
)
WEATHER = st.fixed_dictionaries(
    {
        "snowfall": _cells(0.0, 5e-3),
        "snowfall_temperature": _cells(240.0, 280.0),
        "rain": _cells(0.0, 5e-3),
        "sublimation": _cells(-1e-4, 1e-2),
        "surface_flux": _cells(-500.0, 500.0),
        "melt_energy": _cells(0.0, 2000.0),
        "ground_temperature": _cells(250.0, 290.0),
        "ground_conductance": _cells(0.5, 60.0),
    }
)


@pytest.mark.parametrize(("drain", "cover"), list(STEPS))
@settings(max_examples=60, deadline=None)
@given(
    SNOW,
    arrays(np.float64, (3, N), elements=st.floats(-30.0, 0.0)),
    st.floats(0.0, 0.3),
    WEATHER,
)
def test_a_step_closes_the_ledgers_of_mass_and_heat(
    drain, cover, mass, cold, wetness, weather
):
    before = _state(mass, cold, wetness if drain == "gravity" else 0.0, cover)
    new = STEPS[drain, cover](*before, weather)
    water, heat = _ledgers(before, weather, new)
    # Everything that was in play: snow, precipitation, and heat to melt it.
    size = mass + DT * (weather["snowfall"] + weather["rain"]) + 40.0
    assert (np.abs(water) <= 1e-14 * size).all()
    power = np.abs(weather["surface_flux"]) + weather["melt_energy"] + 60.0 * 30.0
    assert (np.abs(heat) <= 3e-15 * (LATENT_HEAT_FUSION * size + DT * power)).all()
    assert float(jnp.max(new.temperature)) <= ZERO_CELSIUS
    for amount in (new.mass, new.liquid, new.outflow, new.melt, new.refreeze):
        assert float(jnp.min(amount)) >= 0.0
    assert float(jnp.max(new.mass)) <= MOST_SNOW
    if drain == "instant":
        assert float(jnp.max(new.liquid)) == 0.0


@pytest.mark.parametrize("drain", ["instant", "gravity"])
def test_ledgers_close_over_a_winter_that_comes_and_goes(drain):
    steps, n = 3000, 8
    rng = np.random.default_rng(11)
    season = np.cos(2 * np.pi * np.arange(steps) / steps)[:, None]
    weather = {
        "snowfall": rng.exponential(3e-4, (steps, n)) * (season > -0.2),
        "snowfall_temperature": 268.0 + rng.normal(0, 3, (steps, n)),
        "rain": rng.exponential(2e-4, (steps, n)) * (rng.random((steps, n)) > 0.8),
        "sublimation": rng.normal(5e-6, 1e-5, (steps, n)),
        "surface_flux": rng.normal(0, 30, (steps, n)) - 10.0 * season,
        "melt_energy": rng.exponential(120.0, (steps, n)) * (season < 0.3),
        "ground_temperature": 272.0 - 3.0 * season + rng.normal(0, 1, (steps, n)),
        "ground_conductance": np.full((steps, n), 15.0),
    }

    def one(state, now):
        new = snow_step(*state, DT, cover_of=snow_cover.simple, drain=drain, **now)
        power = state[3] * (now["surface_flux"] + now["melt_energy"])
        power += new.snowfall_heat - new.sublimation_heat
        power -= new.glacier_heat + new.soil_flux
        gain = now["snowfall"] + new.rain_on_snow - new.sublimation
        gain -= new.outflow + new.glacier_runoff
        kept = (new.mass, new.temperature, new.liquid, new.cover)
        return kept, (gain * DT, power * DT, new.mass)

    start = _state(np.linspace(0.0, 1200.0, n), -5.0)
    run = jax.jit(lambda x, w: jax.lax.scan(one, x, w))
    end, (gains, powers, mass) = run(start, weather)
    assert float(jnp.min(jnp.sum(mass == 0.0, axis=0)[:4])) > 0  # the snow goes
    assert float(jnp.max(mass)) > 100.0
    gained = gains.sum(axis=0) - (end[0] - start[0])
    assert float(jnp.max(jnp.abs(gained))) < 1e-10
    heat = powers.sum(axis=0) - (snow_heat_content(*end) - snow_heat_content(*start))
    assert float(jnp.max(jnp.abs(heat))) < 1e-12 * LATENT_HEAT_FUSION * 2000.0


def test_snow_that_melts_out_leaves_nothing_and_gives_the_soil_the_rest():
    before = _state([0.5, 30.0], -3.0)
    weather = _weather(2, melt_energy=5e4)
    new = STEPS["instant", "simple"](*before, weather)
    for gone in (new.mass, new.cover, new.liquid):
        assert not np.asarray(gone).any()
    np.testing.assert_allclose(new.outflow * DT, before[0], rtol=1e-14)
    # All heat that came, less what the snow took to melt from -3 degC.
    price = LATENT_HEAT_FUSION + 3.0 * HEAT_CAPACITY_ICE
    expected = before[3] * 5e4 - before[0] * price / DT
    np.testing.assert_allclose(new.soil_flux, expected, rtol=1e-13)


def test_heat_at_the_melting_point_melts_at_its_own_rate():
    before = _state([250.0], 0.0)
    new = STEPS["instant", "simple"](*before, _weather(1, melt_energy=200.0))
    assert float(new.melt[0]) == pytest.approx(200.0 / LATENT_HEAT_FUSION, rel=1e-12)
    assert float(new.outflow[0]) == pytest.approx(float(new.melt[0]), rel=1e-12)
    assert float(new.soil_flux[0]) == pytest.approx(0.0, abs=1e-9)


def test_snow_on_bare_ground_has_the_temperature_it_fell_with():
    before = _state([0.0], 0.0)
    weather = _weather(1, snowfall=2e-3, snowfall_temperature=264.0)
    new = STEPS["instant", "simple"](*before, weather)
    assert float(new.mass[0]) == pytest.approx(7.2)
    assert float(new.temperature[0, 0]) == pytest.approx(264.0, rel=1e-12)
    warm = _weather(1, snowfall=2e-3, snowfall_temperature=274.0)
    new = STEPS["instant", "simple"](*before, warm)
    assert float(new.temperature[0, 0]) == ZERO_CELSIUS


@pytest.mark.parametrize("mass", [19.9, 39.9, 59.9, 99.9])
def test_layers_that_appear_and_vanish_keep_the_heat(mass):
    # Up over a border by snowfall at the snow's own temperature, down by sublimation:
    # the snow must stay isothermal and its mass exact.
    kelvin = ZERO_CELSIUS - 6.0
    whole = {"snowfall_temperature": kelvin, "ground_temperature": kelvin}
    before = (
        jnp.array([mass]),
        jnp.full((3, 1), kelvin),
        jnp.zeros((3, 1)),
        jnp.ones(1),
    )
    steps = jax.jit(
        lambda state, weather: snow_step(
            *state, DT, cover_of=lambda m: jnp.where(m > 0.0, 1.0, 0.0), **weather
        )
    )
    up = steps(before, _weather(1, snowfall=0.2 / DT, **whole))
    state = (up.mass, up.temperature, up.liquid, up.cover)
    down = steps(state, _weather(1, sublimation=0.2 / DT, **whole))
    for new, amount in ((up, mass + 0.2), (down, mass)):
        assert float(new.mass[0]) == pytest.approx(amount, rel=1e-14)
        present = np.asarray(masses(new.mass))[:, 0] > 0.0
        np.testing.assert_allclose(new.temperature[present, 0], kelvin, rtol=1e-14)


def test_snow_above_the_limit_leaves_from_the_bottom():
    cold = np.array([[-20.0], [-10.0], [-2.0]])
    before = _state([MOST_SNOW], cold)
    weather = _weather(1, snowfall=5.0 / DT, ground_temperature=271.15)
    new = STEPS["instant", "simple"](*before, weather)
    assert float(new.mass[0]) == MOST_SNOW
    assert float(new.glacier_runoff[0]) * DT == pytest.approx(5.0, rel=1e-12)
    warm = float(new.glacier_heat[0] / new.glacier_runoff[0]) + LATENT_HEAT_FUSION
    assert warm == pytest.approx(-2.0 * HEAT_CAPACITY_ICE, rel=0.05)


def test_rain_falls_on_snow_in_proportion_to_its_cover():
    before = _state([25.0], 0.0)
    new = STEPS["instant", "simple"](*before, _weather(1, rain=1e-3))
    area = float(before[3][0])
    assert area == pytest.approx(0.5, rel=1e-4)
    assert float(new.rain_on_snow[0]) == pytest.approx(area * 1e-3)
    assert float(new.outflow[0]) == pytest.approx(area * 1e-3)


def test_more_sublimation_than_ice_takes_the_ice_and_says_so():
    before = _state([4.0], -5.0)
    new = STEPS["instant", "simple"](*before, _weather(1, sublimation=1.0))
    assert float(new.mass[0]) == 0.0
    assert float(new.sublimation[0]) * DT == pytest.approx(4.0, rel=1e-14)


def test_gravity_holds_melt_water_that_drains_at_once_otherwise():
    before = _state([200.0], 0.0)
    weather = _weather(1, melt_energy=100.0)
    held = STEPS["gravity", "simple"](*before, weather)
    gone = STEPS["instant", "simple"](*before, weather)
    assert float(gone.outflow[0]) > 0.0
    assert float(held.outflow[0]) == 0.0  # less than capillarity holds back
    assert float(jnp.sum(held.liquid)) * float(held.cover[0]) == pytest.approx(
        float(held.melt[0]) * DT, rel=1e-12
    )
    ice = layer_ice(held.mass, held.liquid, held.cover)
    total = held.cover * jnp.sum(ice + held.liquid, axis=0)
    np.testing.assert_allclose(total, held.mass, rtol=1e-14)


def test_a_cell_without_snow_and_weather_stays_without():
    new = STEPS["instant", "simple"](*_state([0.0], 0.0), _weather(1))
    for name, value in new._asdict().items():
        expected = ZERO_CELSIUS if name == "temperature" else 0.0
        assert (np.asarray(value) == expected).all(), name


def test_an_unknown_drain_is_refused():
    with pytest.raises(InputError, match="drain='never'"):
        snow_step(
            *_state([1.0], 0.0),
            DT,
            cover_of=snow_cover.simple,
            drain="never",
            **_weather(1),
        )


NAMES = tuple(QUIET)


def _everything(drain, cover):
    """Weighted sum of all results of a one-cell step, from one vector of inputs."""

    def total(x):
        mass = x[:1]
        area = COVERS[cover](mass)
        layers = masses(per_covered_area(mass, area))
        weather = {name: x[7 + k : 8 + k] for k, name in enumerate(NAMES)}
        new = snow_step(
            mass,
            x[1:4, None],
            layers * x[4:7, None],
            area,
            DT,
            cover_of=COVERS[cover],
            drain=drain,
            **weather,
        )
        scale = {"outflow": DT, "melt": DT, "glacier_runoff": DT, "refreeze": DT}
        return sum(
            jnp.sum(value) * scale.get(name, 1.0) * (1.0 + 0.1 * k)
            for k, (name, value) in enumerate(new._asdict().items())
        )

    return jax.jit(total), jax.jit(jax.grad(total))


GRADIENTS = {key: _everything(*key) for key in STEPS}


@pytest.mark.parametrize(("drain", "cover"), list(GRADIENTS))
@pytest.mark.parametrize(
    "case",
    [
        # mass, temperatures, wetness, then the weather in the order of QUIET
        [90, 265, 269, 272, 0, 0, 0, 1e-4, 266, 1e-4, 1e-5, -20, 0, 270, 12],
        [50, 272, 272.5, 273, 0.02, 0.05, 0.03, 0, 266, 3e-4, 0, 10, 150, 271, 12],
        [5, 272, 273, 273, 0.01, 0, 0, 1e-4, 270, 1e-4, 1e-5, 5, 20, 276, 20],
    ],
)
def test_gradients_of_a_step_are_those_of_finite_differences(drain, cover, case):
    total, slopes = GRADIENTS[drain, cover]
    x = np.array(case, float)
    if drain == "instant":
        x[4:7] = 0.0
    steps = np.array([1e-4] + [1e-4] * 3 + [1e-6] * 3 + [1e-8, 1e-4, 1e-8, 1e-9])
    steps = np.concatenate([steps, [1e-3, 1e-3, 1e-4, 1e-4]])
    got = np.asarray(slopes(x))
    for k, step in enumerate(steps):
        shift = np.zeros_like(x)
        shift[k] = step
        # At the dry edge the wetness has a right-hand derivative only.
        low = x if k in (4, 5, 6) and x[k] == 0.0 else x - shift
        numeric = float(total(x + shift) - total(low)) / (x + shift - low)[k]
        noise = 1e-12 * abs(float(total(x))) / step
        assert got[k] == pytest.approx(numeric, rel=3e-5, abs=noise + 1e-6), k


@pytest.mark.parametrize(("drain", "cover"), list(GRADIENTS))
@pytest.mark.parametrize("mass", [0.0, 1e-10, 1e-3, 20.0, 60.0, 1000.0])
@pytest.mark.parametrize("wet", [0.0, 0.5])
def test_gradients_of_a_step_are_finite_on_every_kink(drain, cover, mass, wet):
    slopes = GRADIENTS[drain, cover][1]
    for quiet in (0.0, 1.0):
        rain = 1e-4 * quiet
        weather = [rain, ZERO_CELSIUS, rain, 0.0, 0.0, 0.0, ZERO_CELSIUS, 10.0]
        x = np.array([mass, *[ZERO_CELSIUS] * 3, *[wet] * 3, *weather])
        assert np.isfinite(slopes(x)).all()
