"""Paths beside the network: splits, levels, limits, and nothing lost on the way."""

import numpy as np
import pytest


def _fork(draw_network, **path):
    """Return a catchment that drains into one, and by a path of the same shape."""
    given = {"width": [[100.0]], "elevation": [[55.0]], "length": [1e4]} | path
    return draw_network(
        [2, 2, -1, -1],
        elevation=[61.0, 60.0, 55.0, 55.0],
        river_manning=0.03,
        paths=([1], [3], given["length"], given["width"], given["elevation"]),
    )


def test_a_path_like_the_river_takes_half(draw_network, start_run):
    # Steps so short that the limit of a path's flow does not act in the end.
    run = start_run(_fork(draw_network), time_step=600.0)
    run.state.storage[2:] = 1e4
    for _ in range(60):
        run.advance([0.0, 100.0, 0.0, 0.0], 86400.0, sea_level=np.array([-2.0, -2.0]))
        assert run.balance < 1e-14
    assert run.totals.river[1] == pytest.approx(50.0, rel=1e-8)
    assert run.totals.path[1] == pytest.approx(50.0, rel=1e-8)
    assert run.totals.path[3] == pytest.approx(-50.0, rel=1e-8)
    np.testing.assert_allclose(run.totals.river[2:], 50.0, rtol=1e-8)
    assert run.stages.river_depth[2] == pytest.approx(
        run.stages.river_depth[3], rel=1e-9
    )
    assert run.geometry.first.tolist() == [0, 4]


def test_what_a_path_carries_leaves_one_end_and_reaches_the_other(
    draw_network, start_run
):
    run = start_run(_fork(draw_network))
    rng = np.random.default_rng(8)
    for _ in range(20):
        run.advance(rng.gamma(0.5, 300.0, 4), 43200.0)
        assert run.totals.path[1] == -run.totals.path[3] != 0.0
        assert (run.totals.path[[0, 2]] == 0.0).all()
        assert run.balance < 1e-14


def test_levels_of_a_path_begin_to_flow_one_after_the_other(draw_network, start_run):
    # Two lakes beside each other, joined by a path whose levels lie 2 m apart.
    network = draw_network(
        [-1, -1],
        elevation=70.0,
        river_depth=30.0,
        paths=([0], [1], [5e3], [[20.0, 40.0, 80.0]], [[45.0, 47.0, 49.0]]),
    )
    for level, flowing in ((44.9, 0), (46.0, 1), (48.0, 2), (50.0, 3)):
        run = start_run(network)
        run.fill_to([level, level - 0.05])
        run.advance(0.0, 60.0, sea_level=np.array([level - 70.0, level - 70.05]))
        flow = run.state.path_flow[0]
        assert (flow > 0.0).tolist() == [True] * flowing + [False] * (3 - flowing)
    # Deeper and wider levels carry more; the first has the channel's roughness.
    assert run.geometry.paths.manning.tolist() == [0.03, 0.1, 0.1]


def test_a_level_of_no_width_carries_nothing(draw_network, start_run):
    network = _fork(draw_network, width=[[0.0, 50.0]], elevation=[[np.nan, 57.0]])
    run = start_run(network)
    for _ in range(20):
        run.advance([0.0, 300.0, 50.0, 50.0], 86400.0)
    assert run.state.path_flow[0, 0] == 0.0
    assert run.state.path_flow[0, 1] > 0.0


def test_a_path_carries_at_most_a_twentieth_of_the_smaller_storage_in_a_sub_step(
    draw_network, start_run
):
    network = draw_network(
        [-1, -1],
        elevation=60.0,
        river_depth=20.0,
        paths=([1], [0], [500.0], [[2000.0]], [[40.0]]),
    )
    run = start_run(network)
    run.fill_to([42.0, 58.0])
    smaller = run.state.storage[0]
    # The sea is as high as each lake: nothing leaves by the river.
    run.advance(0.0, 600.0, substeps=[1], sea_level=np.array([-18.0, -2.0]))
    moved = run.totals.path[1] * 600.0
    assert moved == pytest.approx(0.05 * smaller, rel=1e-12)
    assert run.state.path_flow[0, 0] == pytest.approx(moved / 600.0, rel=1e-12)


def test_a_path_brings_nothing_to_where_there_is_no_water(draw_network, start_run):
    # The limit is a share of the smaller storage: that of a dry catchment is none.
    run = start_run(_fork(draw_network))
    run.advance([0.0, 100.0, 0.0, 0.0], 864000.0)
    assert run.state.storage[2] > 0.0
    assert run.state.storage[3] == 0.0
    run.advance([0.0, 100.0, 0.0, 1.0], 864000.0)
    assert run.totals.path[1] > 1.0


def test_lakes_joined_by_a_path_come_to_one_level_and_rest(draw_network, start_run):
    network = draw_network(
        [-2, -2],
        elevation=60.0,
        river_depth=20.0,
        river_width=[100.0, 700.0],
        paths=([0], [1], [5e3], [[50.0]], [[41.0]]),
    )
    run = start_run(network)
    run.fill_to([50.0, 44.0])
    for _ in range(100):
        # The outlets are closed: the sea is as high as the lakes are.
        run.advance(0.0, 3600.0, sea_level=run.stages.water_level - 60.0)
    low, high = np.sort(run.stages.water_level)
    assert high - low < 1e-3
    assert 44.0 < low < 50.0


def test_a_path_flows_back_when_its_end_stands_higher(draw_network, start_run):
    run = start_run(_fork(draw_network, elevation=[[51.0]]))
    run.fill_to(58.0)
    sea = np.array([0.0, 4.5])
    for _ in range(40):
        run.advance(0.0, 21600.0, sea_level=sea)
        assert run.balance < 1e-14
    assert run.totals.path[3] > 0.0 > run.totals.path[1]
    assert run.ledger.outflow[0] == pytest.approx(0.0, abs=0.02 * run.ledger.after[0])


def test_kinematic_rivers_have_no_paths(draw_network, start_run):
    run = start_run(_fork(draw_network), flow="kinematic")
    run.state.path_flow[:] = 1e4  # of a run that had them
    for _ in range(10):
        run.advance([0.0, 500.0, 0.0, 0.0], 86400.0)
    assert (run.state.path_flow == 0.0).all()
    assert (run.totals.path == 0.0).all()
