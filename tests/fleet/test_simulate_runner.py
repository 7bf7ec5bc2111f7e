"""The firmware in the loop: in step with the vectorised simulator, and without loss."""

import random
import socket
import threading

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.fleet.channels import STATES
from tilth.fleet.config import FleetConfig
from tilth.fleet.service import FleetService
from tilth.fleet.simulate import (
    NULL,
    Endpoint,
    FleetRunner,
    draw_world,
    run_fleet,
    simulate_fleet_records,
)
from tilth.fleet.simulate.faults import FAULT_KINDS
from tilth.fleet.simulate.firmware import firmware_module
from tilth.fleet.simulate.plan import HOUR_MS, MINUTE_MS, utc_ms

START = utc_ms("2026-07-06")
COLUMNS = ("co2", "st", "rh", "at", "p", "lux", "mv", "state", "flags")


def stored(endpoint, device, boot):
    """Numbers the endpoint holds of one boot, or will never get."""
    known = endpoint.stored.get((device, boot))
    return set() if known is None else {*known.samples, *known.events, *known.gone}


def check_nothing_lost(endpoint, devices):
    """Deleted is stored; stored was generated; what is neither still waits."""
    generated = 0
    for device in devices:
        device.note()
        for boot, known in device.boots.items():
            held = stored(endpoint, device.twin.name, boot)
            numbers = set(range(known.generated))
            assert set(range(known.deleted + 1)) <= held, device.twin.name
            if not device.clone:
                assert held <= numbers, device.twin.name
            generated += len(numbers)
        missing = sum(
            len(set(range(known.generated)) - stored(endpoint, device.twin.name, boot))
            for boot, known in device.boots.items()
        )
        # What a device that is gone still held, went with it.
        assert device.stopped or missing <= device.pending()
    return generated


def matrix(rows):
    return np.array([[NULL if v is None else v for v in row] for row in rows])


@pytest.fixture(scope="module")
def both():
    """The same seven hours of one device in both modes, with a restart in between."""
    plan = {
        "episodes": [
            {"device": 0, "kind": "stuck_open", "from": START + HOUR_MS, "hours": 1},
            {"device": 0, "kind": "zero_ppm", "from": START + 3 * HOUR_MS,
             "hours": 0.5},
            {"device": 0, "kind": "frozen", "from": START + 4 * HOUR_MS, "hours": 0.2},
            {"device": 0, "kind": "clock_skew", "from": START + 5 * HOUR_MS,
             "hours": 1, "size": 200},
        ]
    }  # fmt: skip
    endpoint = Endpoint()
    run = run_fleet(1, 7 / 24, plan, broker=endpoint, seed=9, keep_records=True)
    (block,) = simulate_fleet_records(1, 7 / 24, plan, seed=9)
    boots = []
    for known, number in zip(
        run.devices[0].boots.values(), sorted(block.boots), strict=True
    ):
        own = block.values["boot"] == number
        ticks = [tick for tick, _ in known.rows.values()]
        rows = matrix([row for _, row in known.rows.values()])
        values = np.stack([block.values[name][own] for name in COLUMNS], axis=1)
        boots.append((np.array(ticks), rows, block.times["tick"][own], values))
    return run, endpoint, block, boots


def test_the_vectorised_cycle_is_that_of_the_firmware_tick_by_tick(both):
    *_, boots = both
    assert len(boots) == 2
    for ticks, rows, expected, values in boots:
        assert len(ticks) == len(expected)
        np.testing.assert_array_equal(ticks, expected)
        for name in ("state", "flags"):
            at = COLUMNS.index(name)
            np.testing.assert_array_equal(rows[:, at], values[:, at])
        for at in range(7):
            np.testing.assert_array_equal(rows[:, at] == NULL, values[:, at] == NULL)


@pytest.mark.parametrize(
    ("name", "within"),
    [("co2", 5), ("st", 2), ("rh", 4), ("at", 2), ("p", 2), ("lux", 1), ("mv", 1)],
)
def test_both_modes_measure_the_same_air(both, name, within):
    *_, boots = both
    at = COLUMNS.index(name)
    rows = np.concatenate([b[1][:, at] for b in boots])
    values = np.concatenate([b[3][:, at] for b in boots])
    known = rows != NULL
    off = abs(rows[known] - values[known])
    # A beat of the sensor within the millisecond of a sample counts here or there.
    assert (off <= within).mean() > 0.97
    assert np.median(off) <= 1


def test_the_firmware_reports_the_cycles_the_records_hold(both):
    _, endpoint, block, _ = both
    told = [
        event.body
        for known in endpoint.stored.values()
        for _, event in known.events.values()
        if event.kind == "cycle"
    ]
    truth = {int(c["cycle"]): c for c in block.cycles}
    assert len(told) >= 40
    for body in told:
        cycle = truth[body["cycle"]]
        assert (body["close"], body["open"]) == (
            cycle["close_tick"],
            cycle["open_tick"],
        )


def test_lock_step_repeats_nothing_and_the_endpoint_refuses_nothing(both):
    run, endpoint, _, _ = both
    assert endpoint.duplicates == 0
    assert endpoint.refused == []
    generated = check_nothing_lost(endpoint, run.devices)
    assert generated > 8_000
    assert run.ledger().generated.sum() == generated
    assert run.waited_s < 1
    assert run.speed > 100


def test_the_firmware_sees_faults_as_the_plan_has_them(both):
    run, endpoint, _, boots = both
    sensors = [
        event.body["what"]
        for known in endpoint.stored.values()
        for _, event in known.events.values()
        if event.kind == "sensor"
    ]
    assert "frozen" in sensors
    co2 = boots[0][1][:, COLUMNS.index("co2")]
    assert (co2 == NULL).sum() == pytest.approx(603, abs=4)
    lids = [t for t, lid in run.devices[0].twin.lid_log if lid == 1]
    stuck = (START + HOUR_MS + 10_000, START + 2 * HOUR_MS)
    assert not [t for t in lids if stuck[0] < t < stuck[1]]
    assert [t for t in lids if t > stuck[1]]


LINK_AND_DEVICE = [
    kind
    for kind in FAULT_KINDS.values()
    if kind.name
    in {
        "servo_stall", "crc_errors", "i2c_hang", "light_error", "wifi_loss", "no_rtc",
        "year_2036", "duplicate", "reordered", "late", "seq_reset", "cloned",
        "wrong_location", "brownout_loop", "flash_full", "flash_corrupt",
    }
]  # fmt: skip


@pytest.fixture(scope="module")
def troubled():
    """One device for each fault, nine minutes of it."""
    episodes = [
        {"device": n, "kind": kind.name, "from": START + 5 * MINUTE_MS, "hours": 0.15}
        for n, kind in enumerate(LINK_AND_DEVICE)
    ]
    world = draw_world(
        len(episodes), 1 / 24, {"episodes": episodes}, mode="loop", start=START, seed=2
    )
    endpoint = Endpoint()
    with FleetRunner(world, endpoint) as runner:
        runner.run_until(world.start + 16 * MINUTE_MS)
        assert runner.drain()
        runner.settle()
    return endpoint, runner


def test_no_fault_loses_a_record(troubled):
    endpoint, runner = troubled
    check_nothing_lost(endpoint, runner.devices)
    assert endpoint.refused == []
    assert endpoint.duplicates > 0
    for device in runner.devices:
        if not device.clone:
            assert device.pending() <= 25


@pytest.mark.parametrize(
    ("kind", "event", "member", "value"),
    [
        ("servo_stall", "boot", "reason", "brownout"),
        ("brownout_loop", "alarm", "what", "brownouts"),
        ("i2c_hang", "sensor", "what", "lost"),
        ("light_error", "sensor", "chip", "light"),
        ("wrong_location", "loc", "source", "touch"),
        ("no_rtc", "sync", "src", "ntp"),
        ("seq_reset", "boot", "reason", "brownout"),
    ],
)
def test_a_fault_in_the_loop_shows_in_what_the_firmware_reports(
    troubled, kind, event, member, value
):
    endpoint, runner = troubled
    number = [k.name for k in LINK_AND_DEVICE].index(kind)
    name = runner.devices[number].twin.name
    told = [
        e.body.get(member)
        for (device, _), known in endpoint.stored.items()
        if device == name
        for _, e in known.events.values()
        if e.kind == event
    ]
    assert value in told


def test_a_clone_is_a_second_boot_under_the_same_name(troubled):
    endpoint, runner = troubled
    clones = [device for device in runner.devices if device.clone]
    assert len(clones) == 1
    # It vanishes when the episode is over.
    assert clones[0].stopped
    assert clones[0].app is None
    name = clones[0].twin.name
    boots = {boot for device, boot in endpoint.stored if device == name}
    assert len(boots) >= 2


def test_a_counter_of_starts_that_is_lost_still_gives_another_boot(troubled):
    endpoint, runner = troubled
    number = [k.name for k in LINK_AND_DEVICE].index("seq_reset")
    name = runner.devices[number].twin.name
    boots = [boot for device, boot in endpoint.stored if device == name]
    assert len(boots) == 2
    assert {boot.split("-")[0] for boot in boots} == {"1"}


def test_power_cuts_at_any_moment_lose_nothing():
    world = draw_world(2, 0.1, mode="loop", start=START, seed=4)
    endpoint, rng = Endpoint(), random.Random(7)
    with FleetRunner(world, endpoint) as runner:
        t = world.start + 60_000
        for _ in range(12):
            t += rng.randrange(20_000, 200_000)
            runner.run_until(t)
            runner.power_cut(0)
        assert runner.drain()
    assert len(runner.devices[0].boots) == 13
    assert len(runner.devices[1].boots) == 1
    check_nothing_lost(endpoint, runner.devices)


@pytest.mark.parametrize("fault", ["deaf", "mute"])
def test_a_server_that_hears_or_answers_nothing_for_a_while_misses_nothing(fault):
    world = draw_world(1, 0.1, mode="loop", start=START, seed=4)
    endpoint = Endpoint()
    with FleetRunner(world, endpoint, patience_s=0.05) as runner:
        runner.run_until(world.start + 5 * MINUTE_MS)
        setattr(endpoint, fault, True)
        runner.run_until(world.start + 15 * MINUTE_MS)
        assert runner.devices[0].pending() > 150
        setattr(endpoint, fault, False)
        assert runner.drain()
    check_nothing_lost(endpoint, runner.devices)


def test_a_device_switched_off_stays_off():
    world = draw_world(2, 0.1, mode="loop", start=START, seed=4)
    with FleetRunner(world, Endpoint()) as runner:
        runner.run_until(world.start + 5 * MINUTE_MS)
        runner.switch_off(0)
        steps = runner.devices[0].steps
        runner.run_until(world.start + 10 * MINUTE_MS)
        assert runner.devices[0].steps == steps
        assert runner.devices[1].steps > steps


def test_virtual_time_is_a_clock_that_never_goes_back():
    seen = []
    run = run_fleet(
        1, 0.1, broker=Endpoint(), on_hour=lambda runner: seen.append(runner.clock())
    )
    assert seen == [START + HOUR_MS, START + 2 * HOUR_MS, run.world.end]


def test_settings_reach_the_firmware_and_wrong_ones_are_refused():
    messages = []
    endpoint = Endpoint(lambda topic, _: messages.append(topic))
    world = draw_world(1, 0.1, mode="loop", start=START, seed=4)
    with FleetRunner(world, endpoint, settings={"batch_ms": 60_000}) as runner:
        runner.run_until(world.start + 30 * MINUTE_MS)
    assert 25 < len([t for t in messages if t.endswith("/d")]) < 50
    with pytest.raises(InputError, match="refuses its settings: batch_ms: 3000 to"):
        FleetRunner(world, endpoint, settings={"batch_ms": 1})
    with pytest.raises(InputError, match="before it was made"):
        run_fleet(1, 0.1, broker=endpoint, start="2023-07-03")


def test_devices_without_a_broker_measure_on_and_keep_everything():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        world = draw_world(1, 0.1, mode="loop", start=START, seed=4)
        with FleetRunner(world, taken.getsockname()) as runner:
            runner.run_until(world.start + 20 * MINUTE_MS)
            device = runner.devices[0]
            device.note()
            (known,) = device.boots.values()
            assert known.generated > 390
            assert known.deleted == -1
            assert device.pending() == known.generated
            assert "network" in device.app.link.reason()


def test_the_firmware_runs_over_the_real_broker_into_the_real_journal(tmp_path):
    box = []
    threads = threading.active_count()

    def clock():
        return box[0].clock() if box else START

    with FleetService(tmp_path / "fleet", FleetConfig(mqtt_port=0), clock) as service:

        def secrets(name):
            enrolment = service.credentials.enrol(name)
            return {
                "mqtt_password": enrolment.password,
                "command_key": enrolment.command_key,
            }

        run = run_fleet(
            3,
            0.5 / 24,
            broker=("127.0.0.1", service.mqtt_port),
            credentials=secrets,
            seed=5,
            keep_records=True,
            on_start=box.append,
        )
        ledger = run.ledger()
        assert (ledger.generated - ledger.deleted <= 26).all()
        with service.journal.reader() as reader:
            rows = reader.execute(
                "SELECT d.name, b.boot, s.seq, s.tick, s.t, s.co2, s.state, s.recv"
                " FROM samples s JOIN boots b ON b.id = s.boot"
                " JOIN devices d ON d.id = b.device"
            ).fetchall()
            (refused,) = reader.execute("SELECT count(*) FROM quarantine").fetchone()
            (again,) = reader.execute(
                "SELECT coalesce(sum(duplicate), 0) FROM counters"
            ).fetchone()
    assert refused == 0
    # On a busy machine an answer may take longer than the real patience.
    assert again < 60
    generated = {
        (d.twin.name, boot, seq): row
        for d in run.devices
        for boot, known in d.boots.items()
        for seq, row in known.rows.items()
    }
    assert len(rows) > len(generated) - 3 * 26
    for name, boot, seq, tick, t, co2, state, recv in rows:
        was, values = generated[name, boot, seq]
        assert (tick, co2, state) == (was, values[0], values[7])
        # True time to within the battery clock's second.
        assert START <= t <= run.world.end + 1_000
        assert START <= recv <= run.world.end + 60_000
    assert threading.active_count() <= threads + 1


def test_states_of_the_twin_and_the_protocol_have_one_numbering():
    chamber = firmware_module("chamber")
    assert {name: code for code, name in enumerate(chamber.NAMES)} == STATES
