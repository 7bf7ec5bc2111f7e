"""How water stands: depth, flooded share and level from storage."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.rivers.routing.fluxes import river_flow
from tilth.rivers.routing.kernel_roots import inverse_cube_root
from tilth.rivers.routing.levees import Levees
from tilth.rivers.routing.stage import stages, storage_at


def test_the_inverse_cube_root_is_right_to_two_units_in_the_last_place():
    rng = np.random.default_rng(0)
    x = 10.0 ** rng.uniform(-12.0, 12.0, 20_000)
    found = np.array([inverse_cube_root(value) for value in x])
    exact = np.power(x.astype(np.longdouble), np.longdouble(-1) / 3)
    units = np.abs((found - exact) / np.spacing(found))
    assert units.max() < 2.0


def test_a_channel_that_is_not_full_has_the_depth_of_a_box(draw_network, start_run):
    run = start_run(draw_network([-1]))
    run.state.storage[:] = 1e4 * 100.0 * 2.5
    found = run.stages
    assert found.river_depth[0] == pytest.approx(2.5, rel=1e-15)
    assert found.water_level[0] == pytest.approx(47.5, rel=1e-15)
    assert (
        found.flood_depth[0] == found.flood_fraction[0] == found.flood_storage[0] == 0
    )


def test_half_a_layer_is_flooded_at_the_storage_worked_out_by_hand(
    draw_network, start_run
):
    # Ten layers of 1000 m that rise by 1 m each; water 2.5 m over the bank reaches
    # half way into the third: 5e6 + 1e4 (100 (2.5) + 500 + 1500 + (2000 + 250) / 2).
    run = start_run(draw_network([-1]))
    held = 5e6 + 1e4 * (100.0 * 2.5 + 2.5 * 2500.0 / 2)
    run.state.storage[:] = held
    found = run.stages
    assert found.flood_depth[0] == pytest.approx(2.5, rel=1e-14)
    assert found.river_depth[0] == pytest.approx(7.5, rel=1e-14)
    assert found.flood_fraction[0] == pytest.approx(0.25, rel=1e-14)
    assert found.flood_storage[0] == pytest.approx(1e4 * 2.5 * 1250.0, rel=1e-13)


def test_above_the_last_layer_the_walls_are_vertical(draw_network, start_run):
    run = start_run(draw_network([-1]))
    top = run.geometry.layer_storage[0, -1]
    run.state.storage[:] = top + 1e4 * (100.0 + 1e4) * 3.0
    found = run.stages
    assert found.flood_depth[0] == pytest.approx(13.0, rel=1e-14)
    assert found.flood_fraction[0] == 1.0


def test_flat_layers_are_flooded_at_once_and_hold_nothing(draw_network, start_run):
    flat = [0.0, 0.0, 1.0, 1.0, 1.0, 2.0]
    run = start_run(draw_network([-1], profile=flat))
    assert (np.diff(run.geometry.layer_storage[0])[[0, 1, 3, 4]] == 0.0).all()
    bank = run.geometry.layer_storage[0, 0]
    for more, fraction in ((1e-3, 2 / 6), (1.0, 2 / 6)):
        run.state.storage[:] = bank + more
        assert run.stages.flood_fraction[0] == pytest.approx(fraction, rel=1e-6)
    run.state.storage[:] = run.geometry.layer_storage[0, 3] * (1 + 1e-12)
    assert run.stages.flood_fraction[0] == pytest.approx(5 / 6, rel=1e-6)
    assert run.stages.flood_depth[0] == pytest.approx(1.0, rel=1e-9)


heights = st.lists(st.sampled_from([0.0, 0.1, 1.0, 7.5]), min_size=1, max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(heights, st.floats(0.0, 40.0))
def test_storage_and_level_are_each_other_s_inverse(
    draw_network, start_run, rises, above
):
    run = start_run(draw_network([-1], profile=np.cumsum(rises)))
    level = run.geometry.bed + above
    run.state.storage[:] = storage_at(run.geometry, level)
    # Where a layer is very thin, a small error of storage is a large one of share,
    # but never one of level.
    np.testing.assert_allclose(run.stages.water_level, level, rtol=1e-11, atol=1e-9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(heights, st.lists(st.floats(0.0, 3e9), min_size=2, max_size=20))
def test_more_water_stands_higher_and_floods_more(
    draw_network, start_run, rises, storages
):
    storages = np.sort(storages)
    n = storages.size
    run = start_run(draw_network([*range(1, n), -1], profile=np.cumsum(rises)))
    found = stages(run.geometry, storages)
    for name in ("river_depth", "flood_depth", "flood_fraction", "flood_storage"):
        steps = np.diff(getattr(found, name))
        assert (steps >= -1e-12 * (1.0 + getattr(found, name)[1:])).all(), name
    bottom = run.geometry.length * run.geometry.width
    held = found.river_depth * bottom + found.flood_storage
    np.testing.assert_allclose(held, storages, rtol=1e-12, atol=1e-9)
    assert (found.flood_fraction <= 1.0).all()


def test_a_levee_keeps_the_floodplain_dry_up_to_its_crown(draw_network, start_run):
    network = draw_network([1, 2, -1])
    plain = start_run(network)
    dyked = start_run(network, levees=Levees([0, 1], share=0.2, crown=4.0))
    rows = dyked.geometry.levees
    between = 0.5 * (rows.base_storage[0] + rows.crown_storage[0])
    spilling = 0.5 * (rows.crown_storage[1] + rows.full_storage[1])
    storage = np.array([between, spilling, between])
    with_levee = stages(dyked.geometry, storage)
    without = stages(plain.geometry, storage)
    assert with_levee.flood_fraction[0] == pytest.approx(0.2)
    assert with_levee.flood_depth[0] > without.flood_depth[0]
    assert with_levee.protected_storage[0] == 0.0
    assert with_levee.flood_depth[1] == pytest.approx(4.0)
    assert with_levee.protected_storage[1] > 0.0
    assert with_levee.flood_fraction[1] > 0.2
    for name, values in with_levee._asdict().items():
        assert values[2] == getattr(without, name)[2], name
    drowned = rows.full_storage * 1.1
    again = stages(dyked.geometry, np.append(drowned, 0.0))
    other = stages(plain.geometry, np.append(drowned, 0.0))
    np.testing.assert_array_equal(again.water_level, other.water_level)


def test_flow_stops_where_there_is_next_to_no_water():
    assert river_flow(1e-6, 1e-6, 1e-3, 100.0, 0.03, 5.0, 3e4) == 0.0
    assert river_flow(1.0, 1e-12, 1e-3, 100.0, 0.03, 5.0, 3e4) == 0.0
    assert river_flow(1.0, 1.0, 0.0, 100.0, 0.03, 0.0, 3e4) == 0.0


def test_stages_refuse_storages_below_zero(draw_network, start_run):
    run = start_run(draw_network([1, -1]))
    with pytest.raises(InputError, match="position 1"):
        stages(run.geometry, np.array([1.0, -1.0]))
    with pytest.raises(InputError, match="shape"):
        stages(run.geometry, np.ones(3))
