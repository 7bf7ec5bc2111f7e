"""TOPMODEL on a hillslope: the table, its base flow, the wet part, the ledger."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from tilth.core.accelerate import jax, jnp
from tilth.land.model import topmodel
from tilth.physics.soil_hydraulics import VanGenuchten, texture

LAYERS = np.array([0.05, 0.20, 0.75, 1.0, 2.0, 10.0])
END = np.cumsum(LAYERS)
TOP = END - LAYERS
LOAM = texture("loam")
TABLE = jax.jit(lambda water, ice: topmodel.water_table_depth(water, ice, LOAM, LAYERS))


def resting(depth, soil=LOAM):
    """Water content of layers whose tops are at rest above a table."""
    water = np.asarray(soil.content(TOP - depth), float)
    return np.where(depth >= END, water, soil.saturation)[:, None]


@pytest.mark.parametrize("depth", [1.5, 3.0, 6.0, 10.0])
def test_the_table_of_a_column_at_rest_is_where_it_was_put(depth):
    # the lowest unsaturated layer's top is at rest above the table
    k = int(np.argmax(depth < END))
    water = np.full(6, LOAM.saturation)
    water[:k] = LOAM.content(TOP[:k] - depth)
    water[k] = LOAM.content(TOP[k] - depth)
    table = TABLE(water[:, None], np.zeros((6, 1)))
    assert float(table.depth[0, 0]) == pytest.approx(depth, rel=1e-6)
    assert float(table.uppermost[0]) == float(table.depth[0, 0])
    np.testing.assert_array_equal(table.layer[0, :, 0], np.arange(6) == k)


def test_a_dry_column_has_no_table_and_no_base_flow():
    water = np.full((6, 1), 0.15)
    table = TABLE(water, 0 * water)
    assert float(table.depth[0, 0]) == END[-1]
    assert float(topmodel.base_flow(table, 1e-3, 0.1, 500.0).sum()) == 0.0
    assert float(topmodel.saturated_fraction(table.uppermost)[0]) == 0.0


def test_base_flow_never_grows_as_the_ground_dries():
    shares = np.linspace(1.0, 0.3, 300)
    water = LOAM.saturation * np.minimum(
        1.0, np.array([0.9, 0.95, 1.0, 1.05, 1.1, 1.4])[:, None] * shares
    )
    table = TABLE(water, 0 * water)
    flow = topmodel.base_flow(table, 1e-3, 0.1, 500.0).sum(axis=0)
    assert np.all(np.diff(flow) <= 1e-18)
    assert float(flow[0]) > 0


def test_base_flow_takes_from_the_layer_of_the_table():
    water = resting(3.0)
    table = TABLE(water, 0 * water)
    flow = topmodel.base_flow(table, 1e-3, 0.1, 500.0)
    assert np.count_nonzero(flow) == 1
    assert float(flow[4, 0]) > 0


def test_base_flow_is_the_water_that_moves_down_the_slope():
    """All recharge of a straight slope leaves at its foot: K0/f tan(b) exp(-f z(L))."""
    f, k0, slope, length = 3.0, 1e-3, 0.1, 500.0
    for depth in (0.6, 1.0, 2.0):
        table = topmodel.WaterTable(
            jnp.array([[depth], [0.0]]),
            jnp.array([[50.0], [0.0]]),
            jnp.ones((2, 1, 1)),
            jnp.array([depth]),
        )
        recharge = float(topmodel.base_flow(table, k0, slope, length)[0, 0])

        # z(x) from continuity at x, averaged over the slope, gives the mean back
        def table_at(x, recharge=recharge):
            return -np.log(f * x * recharge / (k0 * slope)) / f

        mean, _ = quad(table_at, 0, length)
        assert mean / length == pytest.approx(depth, rel=1e-6)
        # and where the table meets the surface the ground is saturated
        wet = float(topmodel.saturated_fraction(depth))
        if wet > 0:
            assert table_at(length * (1 - wet)) == pytest.approx(0.0, abs=1e-9)
        else:
            assert table_at(length) >= 0


def test_the_saturated_part_vanishes_below_the_decay_depth():
    fraction = topmodel.saturated_fraction(np.array([0.0, 0.1, 1 / 3, 1.0]))
    np.testing.assert_allclose(
        fraction, [1 - np.exp(-1), 1 - np.exp(-0.7), 0.0, 0.0], atol=1e-15
    )


def test_frozen_ground_bears_a_table_of_its_own_and_cuts_base_flow():
    water = np.full((6, 1), LOAM.saturation)
    thawed = TABLE(water, 0 * water)
    ice = 0 * water
    ice[3] = 0.9 * water[3]
    frozen = TABLE(water, ice)
    assert float(frozen.base[0, 0]) == pytest.approx(1.0)  # top of the frozen layer
    assert float(frozen.depth[0, 0]) == pytest.approx(float(thawed.depth[0, 0]))
    assert float(frozen.depth[1, 0]) >= 2.0  # the body below the frost
    whole, cut = (
        float(topmodel.base_flow(t, 1e-3, 0.1, 500.0).sum()) for t in (thawed, frozen)
    )
    z = float(thawed.depth[0, 0])
    scale = 1e-3 * 0.1 / (3.0 * 500.0)
    above = scale * (np.exp(1 - 3 * z) - np.exp(1 - 3 * 1.0))
    below = scale * np.exp(1 - 3 * float(frozen.depth[1, 0]))
    assert cut == pytest.approx(above + below, rel=1e-9)
    assert cut < whole


def test_under_a_frozen_surface_the_deep_table_still_feeds_the_river():
    water = resting(2.5)
    ice = np.zeros((6, 1))
    ice[:2] = 0.9 * water[:2]
    table = TABLE(water, ice)
    flow = topmodel.base_flow(table, 1e-3, 0.1, 500.0)
    assert float(flow[4, 0]) > 0
    assert float(table.uppermost[0]) == float(table.depth[1, 0])


def test_thawed_dry_ground_above_frost_is_not_saturated():
    water = np.full((6, 1), 0.3)
    water[0] = 0.1
    ice = 0.95 * water
    ice[0] = 0.0
    table = TABLE(water, ice)
    assert float(topmodel.saturated_fraction(table.uppermost)[0]) == 0.0
    assert float(topmodel.base_flow(table, 1e-3, 0.1, 500.0).sum()) == 0.0


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_any_column_gives_a_table_within_it_and_a_flow_from_one_layer(seed):
    rng = np.random.default_rng(seed)
    water = LOAM.saturation * rng.choice([0.3, 0.8, 0.99, 1.0, 1.01], (6, 40))
    ice = water * rng.choice([0.0, 0.3, 0.9], (6, 40), p=[0.7, 0.2, 0.1])
    table = TABLE(water, ice)
    flow = np.asarray(topmodel.base_flow(table, 1e-3, 0.1, 500.0))
    assert np.all(np.asarray(table.depth) >= 0)
    assert np.all(np.asarray(table.depth) <= np.asarray(table.base) + 1e-12)
    assert np.all(flow >= 0)
    assert np.all((flow > 0).sum(axis=0) <= 2)  # above and below the frost
    assert np.all(flow[ice > 0.5 * water] == 0)


@settings(deadline=None)
@given(
    convective=st.floats(0, 1e-4),
    stratiform=st.floats(0, 1e-4),
    saturated=st.floats(0, 0.64),
    capacity=st.floats(1e-7, 1e-4),
)
def test_rain_runs_off_or_enters_the_ground(
    convective, stratiform, saturated, capacity
):
    parts = topmodel.surface_runoff(convective, stratiform, saturated, capacity)
    total = convective + stratiform
    assert float(sum(parts)) == pytest.approx(total, rel=1e-12, abs=1e-20)
    assert min(map(float, parts)) >= -1e-15 * total
    # no more than the capacity enters the unsaturated ground
    assert float(parts.infiltration) <= (1 - saturated) * capacity * (1 + 1e-9) + 1e-19


def test_showers_run_off_where_the_same_rain_spread_out_would_enter():
    shower = topmodel.surface_runoff(2e-6, 0.0, 0.0, 5e-6)
    spread = topmodel.surface_runoff(0.0, 2e-6, 0.0, 5e-6)
    # 20e-6 on a tenth of the cell, of which 5e-6 enter
    assert float(shower.infiltration_excess) == pytest.approx(1.5e-6)
    assert float(spread.infiltration_excess) == 0.0


def test_a_sawtooth_of_the_slopes_length_has_the_elevation_spread_it_came_from():
    length = float(topmodel.slope_length(150.0, 0.2))
    height = np.linspace(0, 0.2 * length, 100001)
    assert np.std(height) == pytest.approx(150.0, rel=1e-4)


def test_the_surface_conducts_so_that_the_soils_own_value_is_met_at_two_metres():
    surface = float(topmodel.surface_conductivity(3e-6))
    assert surface * np.exp(-3.0 * 2.0) == pytest.approx(3e-6)
    assert float(topmodel.surface_conductivity(3e-6, enhancement=10.0)) == (
        pytest.approx(10 * surface)
    )


def test_derivatives_match_differences():
    # The table is in the fifth layer; the sixth is beyond the kink at saturation.
    share = jnp.array([0.6, 0.7, 0.8, 0.9, 0.98, 1.01])[:, None]
    water = LOAM.saturation * share
    soil = jax.tree.map(jnp.asarray, LOAM)

    @jax.jit
    def score(inputs):
        water, soil, conductivity, slope = inputs
        table = topmodel.water_table_depth(water, 0.1 * water, soil, LAYERS)
        flow = topmodel.base_flow(table, conductivity, slope, 500.0)
        return jnp.log(flow.sum()) + topmodel.saturated_fraction(table.depth[0, 0] / 20)

    inputs = (water, soil, jnp.asarray(1e-3), jnp.asarray(0.1))
    values, tree = jax.tree.flatten(inputs)
    for k, slope in enumerate(jax.tree.leaves(jax.jit(jax.grad(score))(inputs))):
        way = 1e-6 * values[k]
        ends = [
            score(
                jax.tree.unflatten(
                    tree, [v + s * way if i == k else v for i, v in enumerate(values)]
                )
            )
            for s in (1, -1)
        ]
        assert float(jnp.sum(slope * way)) == pytest.approx(
            float((ends[0] - ends[1]) / 2), rel=1e-4, abs=1e-11
        )


def test_van_genuchten_soils_have_tables_too():
    soil = VanGenuchten(0.05, 0.45, 1.5, 1.6, 3e-6)
    water = np.array(soil.content(TOP - 3.0))
    water[5] = 0.45
    table = topmodel.water_table_depth(water[:, None], np.zeros((6, 1)), soil, LAYERS)
    assert float(table.depth[0, 0]) == pytest.approx(3.0, rel=1e-6)
