"""A chamber that fails is told within a cycle, and its fluxes are flagged."""

import pytest
from live_world import NIGHT, World, device_name

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.fleet.live import LiveFluxes

FLEET, SICK = 5, device_name(0)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def live(world):
    live = LiveFluxes(world.folder, clock=world.clock)
    yield live
    live.stop()


def run(world, live, cycles, stuck=None, first=0, tell=True):
    """Let the fleet go through some cycles, the first device with a fault."""
    for index in range(first, first + cycles):
        for number in range(FLEET):
            fault = stuck if number == 0 else None
            said = world.cycle(device_name(number), index, stuck=fault, seed=number)
            if tell:
                live.notify(*said)
        world.now = NIGHT + 600_000 * (index + 1)
    live.work()
    live.detection.work()


def flags_of(live, device=SICK):
    table = live.fluxes(0, 1 << 62)
    return table.loc[table["device"] == device, "closure_flag"].to_numpy()


@pytest.mark.parametrize(
    ("stuck", "names"),
    # In the still air of this small world nothing tells the lid from the soil.
    [("open", ("stuck_open", "clogged_pot", "open_or_clogged")),
     ("clogged", ("stuck_open", "clogged_pot", "open_or_clogged")),
     ("closed", ("stuck_closed",))],
)  # fmt: skip
def test_a_fault_is_told_and_its_fluxes_flagged(world, live, stuck, names):
    run(world, live, 12)
    assert not flags_of(live).any()
    run(world, live, 4, stuck=stuck, first=12)
    bits = sum(CLOSURE_FLAGS.bit(name) for name in names)
    assert (flags_of(live)[-3:] & bits).all()
    assert not flags_of(live)[:11].any()
    latest = live.detection.latest(0)
    assert latest.loc[SICK, "p_ok"] < 0.1
    assert (latest.drop(SICK)["p_ok"] > 0.9).all()
    for number in range(1, FLEET):
        assert not flags_of(live, device_name(number)).any()


def test_computing_a_flux_again_keeps_what_detection_found(world, live):
    run(world, live, 8)
    run(world, live, 3, stuck="open", first=8)
    before = flags_of(live)
    assert before[-1]
    live.recompute(0, 1 << 62)
    while live.work():
        pass
    assert (flags_of(live) == before).all()


def test_what_was_not_looked_at_is_looked_at_by_the_next_start(world, live):
    run(world, live, 4)
    again = LiveFluxes(world.folder, clock=world.clock)
    assert again.detection.search() == 0
    again.stop()
    world.cycle(SICK, 4)
    live.search()
    live.work()
    again = LiveFluxes(world.folder, clock=world.clock)
    assert again.detection.search() == 1
    assert again.detection.work()
    assert len(again.store.signs(0, 1 << 62)) == 4 * FLEET + 1
    again.stop()


def test_a_new_boot_completes_the_last_cycle_of_the_old_one(world, live):
    run(world, live, 3)
    assert live.detection.latest(0).loc[SICK, "open_seconds"] < 400
    live.notify(*world.cycle(SICK, 3, boot="2-00000002"))
    world.now += 600_000
    live.work()
    live.detection.work()
    table = live.store.signs(0, 1 << 62)
    own = table[table["device"] == SICK].sort_values("t")
    assert own["boot"].tolist() == ["1-00000001"] * 3 + ["2-00000002"]
    assert own["later"].notna().all()


def test_judging_waits_for_the_rest_of_the_fleet(world, live):
    run(world, live, 1)
    live.notify(*world.cycle(SICK, 1))
    live.work()
    world.now += 30_000
    assert live.detection.work()
    live.notify(*world.cycle(device_name(1), 1))
    live.work()
    assert not live.detection.work()
    world.now += 30_000
    assert live.detection.work()
    assert not live.detection.work()
