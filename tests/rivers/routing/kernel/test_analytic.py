"""Flow with solutions on paper: normal depth, rest, waves, pulses, pools."""

import numpy as np
import pytest

WIDTH, SLOPE, MANNING, FLOW = 100.0, 1e-4, 0.03, 500.0

#: n Q / (W sqrt S) to the power 0.6: depth of a steady, uniform flow, m.
NORMAL = (MANNING * FLOW / (WIDTH * np.sqrt(SLOPE))) ** 0.6

#: Speed of the water and of a long wave, m s-1, and diffusivity of the wave, m2 s-1.
SPEED = FLOW / (WIDTH * NORMAL)
CELERITY = 5.0 / 3.0 * SPEED
DIFFUSIVITY = FLOW / (2.0 * WIDTH * SLOPE)


def _canal(draw_network, start_run, n, step, **settings):
    """Return a run of a long canal that already flows at normal depth."""
    fall = SLOPE * step * np.arange(n, 0, -1.0)
    network = draw_network(
        [*range(1, n), -1],
        river_length=step,
        downstream_distance=step,
        river_width=WIDTH,
        river_depth=20.0,
        elevation=100.0 + fall,
        river_manning=MANNING,
    )
    run = start_run(network, mouth_distance=step, **settings)
    run.state.storage[:] = step * WIDTH * NORMAL
    run.state.river_depth[:] = NORMAL
    run.state.river_flow[:] = FLOW
    # The sea stands where the canal would go on: at normal depth, one step further.
    run.sea = np.array([NORMAL - 20.0 - SLOPE * step])
    return run


def test_a_steady_flow_has_the_normal_depth(draw_network, start_run):
    assert pytest.approx(5.078, abs=5e-4) == NORMAL
    run = _canal(draw_network, start_run, 60, 5000.0)
    run.state.storage[:] = 0.0
    run.state.river_depth[:] = run.state.river_flow[:] = 0.0
    supply = np.zeros(60)
    supply[0] = FLOW
    for _ in range(60):
        run.advance(supply, 86400.0, sea_level=run.sea)
    np.testing.assert_allclose(run.stages.river_depth, NORMAL, rtol=1e-9)
    np.testing.assert_allclose(run.totals.river, FLOW, rtol=1e-9)


@pytest.mark.parametrize("flow", ["inertial", "kinematic"])
def test_a_wave_travels_at_five_thirds_of_the_water_s_speed(
    draw_network, start_run, flow
):
    mean, variance, _, dt = _pulse(draw_network, start_run, 1000.0, flow=flow)
    assert mean == pytest.approx(1e5 / CELERITY, rel=2e-3)
    if flow == "kinematic":
        # A row of 100 stores, each emptied at the rate p = celerity / distance in
        # steps of dt: the variance of each is (1 - p dt) / p2.
        p = CELERITY / 1000.0
        assert variance == pytest.approx(100 * (1.0 - p * dt) / p**2, rel=2e-3)


@pytest.mark.parametrize("step", [500.0, 1000.0])
def test_a_pulse_spreads_as_hayami_s(draw_network, start_run, step):
    mean, variance, far, _ = _pulse(draw_network, start_run, step)
    assert mean == pytest.approx(far / CELERITY, rel=2e-3)
    # Hayami: variance 2 D L / c3. Inertia takes the share c2 / (g h) off the
    # diffusivity; the depth of the upstream catchment adds half a step times c.
    inertia = CELERITY**2 / (9.8 * NORMAL)
    diffusivity = DIFFUSIVITY * (1.0 - inertia) + CELERITY * step / 2.0
    assert variance == pytest.approx(2 * diffusivity * far / CELERITY**3, rel=0.01)
    assert variance == pytest.approx(2 * DIFFUSIVITY * far / CELERITY**3, rel=0.06)


def _pulse(draw_network, start_run, step, **settings):
    """Return a small pulse's mean travel time, its variance, the way, the sub-step."""
    n = int(4e5 / step)
    run = _canal(draw_network, start_run, n, step, **settings)
    near, away = int(5e4 / step), int(1.5e5 / step)
    dt, found = 1800.0, []
    for k in range(800):
        supply = np.zeros(n)
        supply[0] = FLOW + (0.5 if k < 2 else 0.0)
        run.advance(supply, dt, sea_level=run.sea)
        found.append(run.totals.river[[near, away]] - FLOW)
    found = np.array(found)
    time = (np.arange(len(found)) + 0.5) * dt
    share = found / found.sum(axis=0)
    mean = time @ share
    variance = time**2 @ share - mean**2
    substep = dt / run.ledger.substeps[0, 0]
    return np.diff(mean)[0], np.diff(variance)[0], (away - near) * step, substep


def test_a_lake_stays_at_rest_over_an_uneven_bed(draw_network, start_run):
    rng = np.random.default_rng(3)
    n = 12
    elevation = 50.0 + rng.uniform(-3.0, 3.0, n)
    downstream = np.array([4, 4, 5, 5, 6, 6, 8, 8, 10, 10, 11, -1])
    paths = (
        [0, 3, 7],
        [2, 6, 9],
        [8e3, 1.2e4, 9e3],
        [[30.0, 200.0], [10.0, 0.0], [50.0, 400.0]],
        [[46.0, 50.0], [44.0, np.nan], [40.0, 54.0]],
    )
    network = draw_network(
        downstream,
        elevation=elevation,
        river_depth=rng.uniform(4.0, 9.0, n),
        river_width=rng.uniform(5.0, 900.0, n),
        profile=np.cumsum(rng.uniform(0.0, 2.0, (n, 10)), axis=1),
        paths=paths,
    )
    run = start_run(network)
    run.fill_to(51.0)
    assert (run.stages.flood_fraction > 0.0).sum() >= 5
    assert (run.stages.flood_fraction == 0.0).any()
    for _ in range(20):
        run.advance(0.0, 86400.0, sea_level=np.array([51.0 - elevation[-1]]))
    river_speed = run.state.river_flow / (run.geometry.width * run.stages.river_depth)
    assert np.abs(river_speed).max() < 1e-12
    beside = run.state.flow_area > 0.0
    flood_speed = run.state.floodplain_flow[beside] / run.state.flow_area[beside]
    assert np.abs(flood_speed).max() < 1e-12
    assert np.abs(run.state.path_flow / 1000.0).max() < 1e-12
    np.testing.assert_allclose(run.stages.water_level, 51.0, rtol=1e-14)


def test_a_pool_behind_a_sill_keeps_what_cannot_flow_over(draw_network, start_run):
    # The bed rises from 45 m to 48 m and falls to 40 m.
    network = draw_network([1, 2, -1], elevation=[50.0, 53.0, 45.0])
    low = start_run(network)
    low.fill_to([47.9, 0.0, 0.0])
    full = low.state.storage[0]
    for _ in range(10):
        low.advance(0.0, 86400.0, sea_level=np.array([-5.0]))
    assert low.state.storage[0] == full
    assert (low.state.storage[1:] == 0.0).all()
    high = start_run(network)
    high.fill_to([52.0, 0.0, 0.0])
    for _ in range(200):
        high.advance(0.0, 86400.0, sea_level=np.array([-5.0]))
        assert high.balance < 1e-13
    assert 48.0 < high.stages.water_level[0] < 48.2
    assert high.ledger.outflow[0] >= 0.0


def test_a_dry_river_stays_dry_until_it_rains(draw_network, start_run):
    run = start_run(draw_network([2, 2, 3, -2], elevation=[60.0, 58.0, 55.0, 50.0]))
    run.advance(0.0, 86400.0)
    assert (run.state.storage == 0.0).all()
    assert (run.totals.river == 0.0).all()
    assert run.ledger.residual[0] == 0.0
    run.advance([10.0, 0.0, 0.0, 0.0], 86400.0)
    assert run.state.storage[0] > 0.0
    assert run.state.storage[1] == 0.0
    assert run.balance < 1e-14


def test_flow_over_floodplains_is_manning_s_when_steady(draw_network, start_run):
    # A canal so full that the water stands 1 m over the bank, 10 km wide and level.
    n, step, slope = 60, 5000.0, 1e-4
    network = draw_network(
        [*range(1, n), -1],
        river_length=step,
        downstream_distance=step,
        area=step * 1e4,
        elevation=100.0 + slope * step * np.arange(n, 0, -1.0),
        profile=[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 20.0],
    )
    run = start_run(network, mouth_distance=step)
    river = 100.0 / 0.03 * 6.0 ** (5 / 3) * np.sqrt(slope)
    # Of the cross-section beside the channel, 100 m times the depth come off again.
    over = 1.0
    wide = 9000.0 + 0.5 * over / 20.0 * 1000.0
    area = wide * over - 100.0 * over
    flood = area / 0.1 * over ** (2 / 3) * np.sqrt(slope)
    supply = np.zeros(n)
    supply[0] = river + flood
    run.fill_to(run.geometry.elevation + over)
    sea = np.array([over - slope * step])
    for _ in range(120):
        run.advance(supply, 86400.0, sea_level=sea)
    np.testing.assert_allclose(run.stages.flood_depth, over, rtol=1e-6)
    np.testing.assert_allclose(run.totals.river, river, rtol=1e-6)
    np.testing.assert_allclose(run.totals.floodplain, flood, rtol=1e-6)


def test_a_flood_drains_away_and_all_of_it_is_accounted_for(draw_network, start_run):
    n = 15
    network = draw_network(
        [*range(1, n), -1], elevation=200.0 - 8.0 * np.arange(n), river_depth=3.0
    )
    run = start_run(network)
    run.fill_to(run.geometry.elevation + 2.0)
    begin, gone = run.state.storage.sum(), 0.0
    for _ in range(60):
        run.advance(0.0, 5 * 86400.0, sea_level=np.array([-3.5]))
        gone += run.ledger.outflow[0]
        assert run.ledger.residual[0] < 1e-13
        assert run.ledger.clipped[0] <= 1e-13 * begin
    assert run.state.storage.sum() < 1e-3 * begin
    assert gone + run.state.storage.sum() == pytest.approx(begin, rel=1e-12)
    assert (run.stages.river_depth < 0.1).all()
