"""The kinematic option: Manning's law on the fall of the land, and no backwater."""

import numpy as np
import pytest

from tilth.rivers.routing.fluxes import kinematic_floodplain_flow, kinematic_flow


def _valley(draw_network, **values):
    return draw_network(
        [*range(1, 8), -1], elevation=100.0 - 5.0 * np.arange(8.0), **values
    )


def test_the_law_is_manning_s():
    expected = 80.0 * 2.5 / 0.03 * np.sqrt(4e-4) * 2.5 ** (2 / 3)
    assert kinematic_flow(2.5, 4e-4, 80.0, 0.03) == pytest.approx(expected, rel=1e-14)
    expected = 900.0 / 0.1 * np.sqrt(4e-4) * 1.5 ** (2 / 3)
    found = kinematic_floodplain_flow(1.5, 900.0, 4e-4, 0.1)
    assert found == pytest.approx(expected, rel=1e-14)
    assert kinematic_flow(0.0, 4e-4, 80.0, 0.03) == 0.0
    assert kinematic_floodplain_flow(0.0, 0.0, 4e-4, 0.1) == 0.0


def test_a_steady_flow_has_manning_s_depth(draw_network, start_run):
    run = start_run(_valley(draw_network, river_manning=0.04), flow="kinematic")
    for _ in range(60):
        run.advance([200.0] + [0.0] * 7, 86400.0)
        assert run.balance < 1e-14
    slope = np.full(8, 5.0 / 1e4)
    slope[-1] = 1e-5  # at a mouth there is no fall: the least slope
    depth = (0.04 * 200.0 / (100.0 * np.sqrt(slope))) ** 0.6
    np.testing.assert_allclose(run.totals.river[:7], 200.0, rtol=1e-9)
    np.testing.assert_allclose(run.stages.river_depth[:7], depth[:7], rtol=1e-9)
    assert run.stages.flood_depth[7] > 0.0


def test_what_lies_downstream_does_not_matter(draw_network, start_run):
    one, other = (start_run(_valley(draw_network), flow="kinematic") for _ in range(2))
    other.state.storage[4:] = 3e8
    rain = np.array([300.0, 20.0, 0.0, 5.0, 0.0, 0.0, 0.0, 0.0])
    for _ in range(10):
        one.advance(rain, 43200.0, substeps=np.full(12, 4))
        other.advance(rain, 43200.0, substeps=np.full(12, 4), sea_level=np.array([8.0]))
    np.testing.assert_array_equal(one.totals.river[:4], other.totals.river[:4])
    assert (other.totals.river > 0.0).all()
    assert other.state.storage[7] > one.state.storage[7]


def test_land_that_rises_downstream_counts_as_the_least_slope(draw_network, start_run):
    network = draw_network([1, 2, -1], elevation=[50.0, 58.0, 40.0])
    run = start_run(network, flow="kinematic", least_slope=2e-5)
    np.testing.assert_allclose(run.geometry.channel_slope, [2e-5, 1.8e-3, 2e-5])
    for _ in range(30):
        run.advance([20.0, 0.0, 0.0], 86400.0)
    assert run.totals.river[1] == pytest.approx(20.0, rel=1e-6)


def test_more_than_the_channel_holds_never_leaves(draw_network, start_run):
    run = start_run(_valley(draw_network), flow="kinematic", time_step=86400.0)
    run.state.storage[:] = 1e4
    run.advance(0.0, 86400.0, substeps=[1])
    assert (run.totals.river * 86400.0 <= 1e4 * (1 + 1e-15)).all()
    assert run.ledger.clipped[0] <= 1e-9


def test_on_steep_land_it_is_the_inertial_law_s_flow(draw_network, start_run):
    n = 8
    steep = draw_network(
        [*range(1, n), -1], elevation=500.0 - 30.0 * np.arange(n), river_depth=9.0
    )
    rain = np.full(n, 20.0)
    found = {}
    for flow in ("inertial", "kinematic"):
        run = start_run(steep, flow=flow)
        for _ in range(20):
            run.advance(rain, 86400.0, sea_level=np.array([-5.0]))
        found[flow] = run.stages.river_depth[: n - 2]
    np.testing.assert_allclose(found["kinematic"], found["inertial"], rtol=0.02)
