"""Water in the soil: a closed ledger, bounds that hold, and Celia's infiltration."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.land.model.soil_water import curves_with_ice, richards
from tilth.physics.soil_hydraulics import ClappHornberger, VanGenuchten, texture

LAYERS = np.array([0.05, 0.20, 0.75, 1.0, 2.0, 10.0])
LOAM = texture("loam")
CELIA = VanGenuchten(0.102, 0.368, 3.35, 2.0, 9.22e-5)
SOILS = {"sand": texture("sand"), "clay": texture("clay"), "celia": CELIA}

HOUR = {
    (name, impedance): jax.jit(
        lambda water, ice, top, sink, soil=soil, impedance=impedance: richards(
            water,
            ice,
            soil,
            LAYERS,
            3600.0,
            top_flux=top,
            sink=sink,
            ice_impedance=impedance,
            ponding=1e-3,
        )
    )
    for name, soil in SOILS.items()
    for impedance in ("pore_space", 7.0)
}


def column(seed, soil, cells=20):
    """Any state with rain or evaporation, roots and ice."""
    rng = np.random.default_rng(seed)
    least = float(soil.least_water)
    water = least + (soil.saturation - least) * rng.uniform(0.01, 1, (6, cells))
    water[:, : cells // 4] = soil.saturation  # some are full
    ice = (water - least) * rng.uniform(0, 1, (6, cells))
    ice *= rng.uniform(size=cells) < 0.5
    top = rng.choice([-1e-7, 0.0, 1e-6, 3e-5], cells)  # up to 108 mm an hour
    sink = rng.uniform(0, 1e-6, (6, cells))
    return water, ice, top, sink


@pytest.mark.parametrize(("name", "impedance"), HOUR)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_the_ledger_closes_to_rounding(name, impedance, seed):
    water, ice, top, sink = column(seed, SOILS[name])
    new = HOUR[name, impedance](water, ice, top, sink)
    stored = np.sum(LAYERS[:, None] * water, axis=0)
    gain = np.sum(LAYERS[:, None] * (new.water - water), axis=0)
    flows = new.fluxes[0] - new.fluxes[-1] - new.sink.sum(axis=0) - new.overflow
    np.testing.assert_allclose(gain, 3600 * flows, atol=1e-15 * stored.max())
    # and layer by layer, but for the water that stands on the first one
    each = LAYERS[1:, None] * (new.water - water)[1:]
    inflow = new.fluxes[1:-1] - new.fluxes[2:] - new.sink[1:]
    np.testing.assert_allclose(each, 3600 * inflow, atol=1e-15 * stored.max())


@pytest.mark.parametrize(("name", "impedance"), HOUR)
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_no_layer_runs_dry_or_overfull(name, impedance, seed):
    soil = SOILS[name]
    water, ice, top, sink = column(seed, soil)
    new = HOUR[name, impedance](water, ice, np.maximum(top, 0), sink)
    liquid = new.water - ice
    assert np.all(liquid >= float(soil.least_water) - 1e-14)
    assert np.all(new.water[1:] <= soil.saturation + 1e-14)
    assert np.all(new.water[0] <= soil.saturation + 1e-3 / 0.05 + 1e-14)
    assert np.all(new.overflow >= 0)
    assert np.all(new.sink <= sink)


def test_roots_get_what_liquid_there_is_and_no_ice():
    water = np.full((6, 1), 0.3)
    ice = np.full((6, 1), 0.3)
    ice[1] = 0.299
    greedy = np.full((6, 1), 1e-5)
    new = richards(water, ice, LOAM, LAYERS, 3600.0, top_flux=0.0, sink=greedy)
    expected = np.zeros(6)
    expected[1] = 0.001 * 0.20 / 3600
    np.testing.assert_allclose(new.sink[:, 0], expected, rtol=1e-9, atol=1e-20)
    np.testing.assert_allclose(new.water[1, 0], 0.299, rtol=1e-12)


def test_evaporation_beyond_the_top_layers_water_is_drawn_from_below():
    water = np.full((6, 1), 0.3)
    water[0] = 0.002
    new = richards(water, 0 * water, texture("sand"), LAYERS, 60.0, top_flux=-1e-5)
    assert float(new.water[0, 0]) >= 0
    gain = float(np.sum(LAYERS * (new.water - water)[:, 0]))
    assert gain == pytest.approx(-1e-5 * 60, rel=1e-9)
    assert float(new.fluxes[1, 0]) < 0  # upward


def test_a_full_column_turns_all_rain_into_overflow():
    water = np.full((6, 1), LOAM.saturation)
    new = richards(water, 0 * water, LOAM, LAYERS, 3600.0, top_flux=1e-6)
    np.testing.assert_allclose(new.overflow, 1e-6, rtol=1e-9)
    np.testing.assert_allclose(new.water, LOAM.saturation, rtol=1e-13)
    ponded = richards(
        water, 0 * water, LOAM, LAYERS, 900.0, top_flux=1e-6, ponding=1e-3
    )
    assert float(ponded.overflow[0]) == 0.0  # 0.9 mm stand
    assert float(ponded.water[0, 0]) == pytest.approx(LOAM.saturation + 0.9e-3 / 0.05)


def test_too_much_water_below_is_pushed_down_first_then_up():
    water = np.full((6, 1), 0.2)
    water[2] = LOAM.saturation + 0.08
    new = richards(water, 0 * water, LOAM, LAYERS, 1e-6, top_flux=0.0)
    np.testing.assert_allclose(new.water[2], LOAM.saturation, rtol=1e-9)
    np.testing.assert_allclose(new.water[3], 0.2 + 0.08 * 0.75 / 1.0, rtol=1e-6)
    np.testing.assert_allclose(new.water[1], 0.2, rtol=1e-6)
    water[3:] = LOAM.saturation
    new = richards(water, 0 * water, LOAM, LAYERS, 1e-6, top_flux=0.0)
    np.testing.assert_allclose(new.water[2:], LOAM.saturation, rtol=1e-9)
    # the layer above takes 0.239 * 0.20 m of the 0.06 m, the first one the rest
    np.testing.assert_allclose(new.water[1], LOAM.saturation, rtol=1e-9)
    rest = 0.08 * 0.75 - (LOAM.saturation - 0.2) * 0.20
    np.testing.assert_allclose(new.water[0], LOAM.saturation, rtol=1e-9)
    over = rest - (LOAM.saturation - 0.2) * 0.05
    np.testing.assert_allclose(new.overflow * 1e-6, over, rtol=1e-6)


@pytest.mark.parametrize("mean", ["wetter", "arithmetic"])
@pytest.mark.parametrize("name", SOILS)
def test_water_at_rest_stays_at_rest(name, mean):
    soil = SOILS[name]
    middle = np.cumsum(LAYERS) - LAYERS / 2
    head = middle - 20.0  # water table at 20 m, below the column
    water = np.asarray(soil.content(head))[:, None]
    new = richards(
        water, 0 * water, soil, LAYERS, 86400.0, top_flux=0.0, conductivity_mean=mean
    )
    np.testing.assert_allclose(new.water, water, rtol=1e-8)
    # uniform water is not at rest: it drains
    even = np.full((6, 1), float(water.mean()))
    assert (
        float(
            richards(even, 0 * even, soil, LAYERS, 86400.0, top_flux=0.0).fluxes[2, 0]
        )
        > 0
    )


def test_steady_rain_drains_through_at_the_rate_at_which_it_falls():
    rain = 1e-7
    water = jnp.full((6, 1), 0.2)

    def step(_, water):
        return richards(
            water, 0 * water, LOAM, LAYERS, 86400.0, top_flux=rain, bottom="free"
        ).water

    water = jax.jit(lambda w: jax.lax.fori_loop(0, 20000, step, w))(water)
    new = richards(
        water, 0 * water, LOAM, LAYERS, 86400.0, top_flux=rain, bottom="free"
    )
    np.testing.assert_allclose(new.fluxes[:, 0], rain, rtol=1e-9)
    # deep down suction is even: K alone carries the rain
    assert float(LOAM.conductivity(water[-1, 0])) == pytest.approx(rain, rel=1e-9)


def test_one_iterate_an_hour_is_near_the_solution_and_more_or_shorter_ones_nearer():
    rng = np.random.default_rng(0)
    water = jnp.asarray(rng.uniform(0.1, 0.35, (6, 50)))
    none = 0 * water

    def day(dt, iterations):
        def step(_, w):
            return richards(
                w, none, LOAM, LAYERS, dt, top_flux=3e-7, iterations=iterations
            ).water

        return jax.jit(lambda w: jax.lax.fori_loop(0, round(86400 / dt), step, w))(
            water
        )

    exact = day(30.0, 3)

    def error(dt, iterations):
        return float(jnp.sqrt(jnp.mean((day(dt, iterations) - exact) ** 2)))

    hour = error(3600.0, 1)
    assert hour < 0.002  # of water that moves by up to 0.22; measured 0.0015
    assert error(3600.0, 6) < 0.6 * hour
    assert error(900.0, 1) < 0.3 * hour
    # the nonlinear solution of a step is left unchanged by further iterates
    step = [
        richards(water, none, LOAM, LAYERS, 3600.0, top_flux=3e-7, iterations=n).water
        for n in (12, 13)
    ]
    np.testing.assert_allclose(step[0], step[1], rtol=1e-12)


@pytest.mark.parametrize("impedance", ["pore_space", 7.0])
def test_ice_holds_the_water_up(impedance):
    water = np.full((6, 1), 0.35)
    fluxes = [
        richards(
            water,
            share * water,
            LOAM,
            LAYERS,
            60.0,
            top_flux=0.0,
            ice_impedance=impedance,
        ).fluxes[2, 0]
        for share in (0.0, 0.2, 0.4)
    ]
    assert float(fluxes[0]) > float(fluxes[1]) > float(fluxes[2]) >= 0


def test_frost_draws_water_to_it_from_below():
    water = np.full((6, 1), 0.3)
    ice = np.zeros((6, 1))
    ice[1] = 0.15
    for impedance in ("pore_space", 7.0):
        new = richards(
            water, ice, LOAM, LAYERS, 3600.0, top_flux=0.0, ice_impedance=impedance
        )
        assert float(new.fluxes[2, 0]) < 0
        assert float(new.water[1, 0]) > 0.3


def test_ice_takes_its_place_from_the_pores():
    curves = curves_with_ice(LOAM, np.array([0.0, 0.2, 0.5]))
    np.testing.assert_allclose(curves.saturation, [0.439, 0.239, 1e-3])


@pytest.mark.parametrize(("impedance", "iterations"), [("pore_space", 1), (7.0, 3)])
def test_derivatives_match_differences(impedance, iterations):
    rng = np.random.default_rng(2)
    water = jnp.asarray(rng.uniform(0.15, 0.35, (6, 1)))
    ice = 0.2 * water
    soil = jax.tree.map(jnp.asarray, LOAM)
    sink = jnp.full((6, 1), 1e-8)
    inputs = (water, ice, soil, jnp.asarray(LAYERS), jnp.array([2e-7]), sink)

    @jax.jit
    def score(inputs):
        water, ice, soil, thickness, top, sink = inputs
        new = richards(
            water,
            ice,
            soil,
            thickness,
            3600.0,
            top_flux=top,
            sink=sink,
            iterations=iterations,
            ice_impedance=impedance,
        )
        return jnp.sum(jnp.sin(new.water)) + 1e6 * jnp.sum(new.fluxes)

    values, tree = jax.tree.flatten(inputs)
    slopes = jax.tree.leaves(jax.jit(jax.grad(score))(inputs))
    for k, slope in enumerate(slopes):
        way = 1e-5 * rng.uniform(0.5, 1.5, slope.shape) * np.abs(values[k])
        ends = [
            score(
                jax.tree.unflatten(
                    tree, [v + s * way if i == k else v for i, v in enumerate(values)]
                )
            )
            for s in (1, -1)
        ]
        difference = float((ends[0] - ends[1]) / 2)
        assert float(jnp.sum(slope * way)) == pytest.approx(
            difference, rel=1e-4, abs=1e-12
        )


@pytest.mark.parametrize("name", ["clay", "celia"])
def test_slopes_are_finite_where_soil_is_full_dry_or_frozen(name):
    water, ice, top, sink = column(4, SOILS[name])
    water[3, 5:10] = float(SOILS[name].least_water)
    ice[3, 5:10] = 0.0
    ice[4, 10:] = water[4, 10:] - float(SOILS[name].least_water)
    slopes = jax.jit(
        jax.grad(lambda *x: jnp.sum(HOUR[name, "pore_space"](*x).water), (0, 1, 2, 3))
    )(*map(jnp.asarray, (water, ice, top, sink)))
    for slope in slopes:
        assert np.all(np.isfinite(slope))


def infiltration(layers, dt, iterations=5):
    """Celia, Bouloutas & Zarba (1990), eq. 13 soil, 100 cm; one day."""
    thickness = np.full(layers, 1.0 / layers)
    start = jnp.full((layers, 1), CELIA.content(-10.0))

    def step(water, _):
        new = richards(
            water,
            0 * water,
            CELIA,
            thickness,
            dt,
            top_head=jnp.array([-0.75]),
            bottom=jnp.array([-10.0]),
            iterations=iterations,
            conductivity_mean="arithmetic",
        )
        return new.water, new.fluxes[jnp.array([0, -1]), 0]

    run = jax.jit(lambda w: jax.lax.scan(step, w, None, length=round(86400 / dt)))
    water, ends = run(start)
    depth = 100 * (np.cumsum(thickness) - thickness / 2)
    head = 100 * np.asarray(CELIA.head(water))[:, 0]
    gain = float(np.sum(thickness * np.asarray(water - start)[:, 0]))
    flows = dt * np.asarray(ends).sum(axis=0)
    return depth, head, gain, flows


@pytest.mark.realdata
def test_celias_infiltration_is_that_of_a_fine_grid(dataset):
    """At 1 cm and 60 s: heads and inflow within 1 %, the front within 1 cm."""
    table = dataset("celia-infiltration") / "celia1990_fine_grid.csv"
    at, expected = np.loadtxt(table, delimiter=",", skiprows=2).T
    wet = at <= 50
    depth, head, gain, flows = infiltration(100, 60.0)
    np.testing.assert_allclose(
        np.interp(at[wet], depth, head), expected[wet], rtol=0.01
    )  # measured 0.54 % at most
    # The front and the inflow of the converged solution: 56.5 cm and 4.11 cm.
    past = int(np.argmax(head < -500))
    front = np.interp(-500, head[[past, past - 1]], depth[[past, past - 1]])
    assert front == pytest.approx(56.5, abs=1.0)
    assert 100 * flows[0] == pytest.approx(4.11, rel=0.01)
    assert abs(gain - (flows[0] - flows[1])) < 1e-13


def test_a_finer_grid_brings_celias_front_nearer_to_the_converged_one():
    errors = []
    for layers in (25, 50, 100):
        depth, head, _, _ = infiltration(layers, 120.0)
        past = int(np.argmax(head < -500))
        front = np.interp(-500, head[[past, past - 1]], depth[[past, past - 1]])
        errors.append(abs(front - 56.5))
    assert errors[0] > 1.8 * errors[1] > 1.8**2 * errors[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neither"),
        ({"top_flux": 0.0, "top_head": 0.0}, "both"),
        ({"top_flux": 0.0, "bottom": "open"}, "closed or free or a number"),
        ({"top_flux": 0.0, "conductivity_mean": "geometric"}, "wetter or arithmetic"),
        ({"top_flux": 0.0, "ice_impedance": "none"}, "pore_space or a number"),
    ],
)
def test_options_that_are_not_known_are_refused_with_those_that_are(options, message):
    water = np.full((6, 1), 0.2)
    with pytest.raises(InputError, match=message):
        richards(water, 0 * water, LOAM, LAYERS, 60.0, **options)


def test_soils_may_differ_from_layer_to_layer():
    sand, clay = texture("sand"), texture("clay")
    pick = [sand, sand, clay, clay, clay, clay]
    mixed = ClappHornberger(
        *(
            jnp.array([[getattr(soil, field)] for soil in pick])
            for field in (
                "saturation",
                "psi_saturated",
                "conductivity_saturated",
                "exponent",
            )
        )
    )
    water = np.full((6, 1), 0.3)
    new = richards(water, 0 * water, mixed, LAYERS, 3600.0, top_flux=0.0)
    assert float(new.fluxes[2, 0]) > 0  # clay draws water out of sand
