"""The sea at the mouth: tides run up the river, turn its flow and fade."""

import numpy as np
import pytest

PERIOD = 12.42 * 3600.0


def _estuary(draw_network, n=24, rise=2.0):
    return draw_network(
        [*range(1, n), -1],
        river_length=5e3,
        downstream_distance=5e3,
        river_width=800.0,
        river_depth=12.0,
        elevation=np.linspace(rise, 0.0, n),
        profile=np.linspace(5.0, 30.0, 10),
    )


def _tide(run, hours, first=0, mean=-3.0):
    """Advance hour by hour under a tide of 1 m in six pieces; levels and flows."""
    levels, flows = [], []
    for hour in range(first, first + hours):
        time = (hour + np.arange(6) / 6.0) * 3600.0
        sea = mean + np.sin(2.0 * np.pi * time / PERIOD)
        run.advance([400.0] + [0.0] * 39, 3600.0, sea_level=sea[:, None])
        assert run.balance < 1e-13
        levels.append(run.stages.water_level)
        flows.append(run.totals.river.copy())
    return np.array(levels), np.array(flows)


def test_the_tide_runs_up_the_river_and_fades(draw_network, start_run):
    run = start_run(_estuary(draw_network, 40, rise=15.0))
    run.fill_to(np.maximum(run.geometry.bed + 0.5, -3.0))
    _tide(run, 400)
    levels, flows = _tide(run, 149, first=400)  # twelve tides
    swing = np.ptp(levels, axis=0)
    assert 1.0 < swing[-1] < 2.0
    assert (np.diff(swing[15:]) > 0.0).all()
    assert swing[15] < 0.05 * swing[-1]
    assert flows[:, -1].min() < -1000.0
    assert flows[:, -1].max() > 1000.0
    # High water comes later the farther it is from the sea.
    wave = np.exp(-2j * np.pi * np.arange(149) * 3600.0 / PERIOD)
    lag = -np.unwrap(np.angle((levels - levels.mean(axis=0)).T @ wave)[::-1])[::-1]
    assert (np.diff(lag[25:]) < 0.0).all()
    # What comes in at the top leaves at the mouth, on the mean of whole tides.
    assert flows[:, -1].mean() == pytest.approx(400.0, rel=0.1)


def test_pieces_of_the_sea_level_act_one_after_the_other(draw_network, start_run):
    network = _estuary(draw_network)
    whole, parts = (start_run(network, time_step=600.0) for _ in range(2))
    sea = -3.0 + np.sin(np.arange(6.0))
    whole.fill_to(-2.5)
    parts.fill_to(-2.5)
    whole.advance(0.0, 3600.0, sea_level=sea[:, None])
    for piece in sea:
        parts.advance(0.0, 600.0, sea_level=np.array([piece]))
    np.testing.assert_array_equal(whole.state.storage, parts.state.storage)
    np.testing.assert_array_equal(whole.state.river_flow, parts.state.river_flow)


def test_a_sea_above_the_bank_floods_the_land_to_its_level(draw_network, start_run):
    run = start_run(_estuary(draw_network, 6))
    run.fill_to(-3.0)
    for _ in range(60):
        run.advance(0.0, 86400.0, sea_level=np.array([6.0]))
        assert run.balance < 1e-12
    assert run.ledger.outflow[0] <= 0.0
    np.testing.assert_allclose(run.stages.water_level, 6.0, atol=1e-2)
    assert (run.stages.flood_fraction > 0.0).all()


def test_water_from_the_sea_is_entered_in_the_account(draw_network, start_run):
    run = start_run(_estuary(draw_network, 6))
    run.fill_to(-3.0)
    before = run.state.storage.sum()
    run.advance(0.0, 86400.0, sea_level=np.array([1.0]))
    gained = run.state.storage.sum() - before
    assert gained > 1e6
    assert run.ledger.outflow[0] == pytest.approx(-gained, rel=1e-9)
    assert run.totals.river[-1] * 86400.0 == pytest.approx(-gained, rel=0.05)


def test_flow_from_downstream_brings_at_most_a_twentieth_of_the_own_storage(
    draw_network, start_run
):
    run = start_run(_estuary(draw_network, 6))
    run.fill_to([-9.5, -9.5, -9.5, 1.0, 1.0, 1.0])
    small = run.state.storage[2]
    run.advance(0.0, 300.0, substeps=[1])
    assert run.state.river_flow[2] * 300.0 == pytest.approx(-0.05 * small, rel=1e-12)


def test_each_mouth_has_its_own_sea(draw_network, start_run):
    network = draw_network([-1, -1, -2], elevation=5.0)
    run = start_run(network)
    run.fill_to(3.0)
    for _ in range(30):
        run.advance(0.0, 86400.0, sea_level=np.array([-1.0, -3.0, -5.0]))
    np.testing.assert_allclose(run.stages.water_level, [4.0, 2.0, 0.0], atol=0.05)
