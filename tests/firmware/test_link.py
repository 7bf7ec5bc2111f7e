"""The device's half of the protocol: all that was kept arrives, whatever breaks."""

import itertools
import os
import random

import pytest
from fakes import FakeHardware, PowerCut
from fakes_broker import FakeBroker, FakeServer
from tilth_chamber import link as links
from tilth_chamber import queue as queues
from tilth_chamber.clock import Clock
from tilth_chamber.link import Link
from tilth_chamber.queue import Queue

from tilth.fleet.protocol import Ack, encode_ack

FULL = bool(os.environ.get("TILTH_FULL"))
ROW = (4391, 2724, 4881, 2561, 100653, 312, 4987, 5, 0)
SETTINGS = {
    "mqtt_host": "broker",
    "mqtt_port": 8883,
    "mqtt_tls": True,
    "mqtt_user": "",
    "mqtt_password": "secret",
    "ntp_host": "ntp",
    "batch_ms": 15_000,
    "cfg": "c1",
}
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


class Bench:
    """A device that samples every 3 s, its broker and its server."""

    def __init__(self, seed=1, **change):
        self.hw = FakeHardware(seed=seed)
        self.hw.fs.capacity = 16 * 1024 * 1024
        self.hw.net.latency_ms = 20
        self.broker = FakeBroker(self.hw, seed)
        self.hw.net.peers[("broker", 8883)] = self.broker
        self.hw.net.serve_ntp()
        self.server = FakeServer(self.broker)
        self.settings = dict(SETTINGS, **change)
        self.generated = {}
        self.steps = 0
        self.commands = []
        self.start()

    def start(self):
        """Boot the device."""
        self.queue = Queue(self.hw.fs, "/data", self.settings, self.hw)
        self.clock = Clock(self.hw, self.settings)
        self.link = Link(self.hw, self.queue, self.clock, self.settings)
        self.link.on_command = lambda command, raw: self.commands.append(raw)
        self.sample_due = self.hw.ticks_ms() + 1000
        self.value = 0
        self.loc = "5.10.A"

    def restart(self, cause="power"):
        """Cut the power and boot again."""
        self.hw.boot(cause)
        self.hw.true_ms += 500
        self.start()

    def run(self, ms, wake_most=10**9):
        """Let time pass."""
        hw = self.hw
        end = hw.true_ms + ms
        while hw.true_ms < end:
            now = hw.ticks_ms()
            if now >= self.sample_due:
                self.sample_due += 3000
                self.value += 1
                seq = self.queue.append_sample((self.value,) + ROW[1:], now, self.loc)
                boot = self.queue.boot
                self.generated[boot, seq] = (now, self.value)
            wake = min(self.clock.step(now), self.link.step(now), self.sample_due)
            self.steps += 1
            when = max(hw.true_of(max(wake, now + 1)), hw.true_ms + 1)
            arrival = hw.net.next_arrival()
            if arrival is not None:
                when = min(when, max(arrival, hw.true_ms + 1))
            hw.true_ms = min(when, end)

    def settle(self, most=10 * MINUTE):
        """Run until the queue is all but empty."""
        end = self.hw.true_ms + most
        while self.hw.true_ms < end and self.queue.depth() > 5:
            self.run(2000)

    def check(self, lost=0):
        """Compare what was generated with what the server has."""
        missing = 0
        for (boot, seq), (tick, value) in self.generated.items():
            got = self.server.records.get(boot, {}).get(seq)
            if got is None:
                held = self.queue.read(boot, seq, 1, 999)
                assert (held and held[0][0] == seq) or seq in self.server.gone[boot]
                missing += not (held and held[0][0] == seq)
            else:
                assert got[0] == tick
                assert got[1][0] == value
        assert missing == lost
        for boot in self.server.records:
            assert self.queue.acked(boot) <= self.server.ack(boot).seq
        return missing


def test_live_batches_go_every_15_s_and_the_queue_stays_all_but_empty():
    bench = Bench()
    bench.run(HOUR)
    bench.check()
    assert bench.queue.depth() <= 6
    assert bench.server.duplicates == 0
    times = [t for t, batch in bench.server.log if batch.samples]
    gaps = [b - a for a, b in itertools.pairwise(times[2:])]
    assert set(gaps) <= {15_000, 14_999, 15_001}
    assert all(len(b.samples) == 5 for _, b in bench.server.log[3:] if b.samples)


def test_batches_carry_the_time_once_it_is_known():
    bench = Bench()
    bench.run(5 * MINUTE)
    batch = bench.server.log[-1][1]
    assert batch.src == "ntp"
    assert abs(batch.utc - bench.hw.start_utc - batch.tick) < 30
    kinds = [kind for kind, _ in bench.server.events]
    assert "sync" in kinds


def test_the_status_says_who_and_what_is_pending_and_comes_hourly():
    bench = Bench()
    bench.run(HOUR + MINUTE)
    assert len(bench.server.statuses) == 2
    status = bench.server.statuses[0]
    assert status.online
    assert status.boot == bench.queue.boot
    assert status.cfg == "c1"
    assert bench.server.statuses[1].loc == "5.10.A"
    assert status.pending[-1][0] == bench.queue.boot
    [session] = bench.broker.sessions
    assert b'"online": false' in session.will[1] or b'"online":false' in session.will[1]


def test_an_urgent_event_is_sent_at_once():
    bench = Bench()
    bench.run(5 * MINUTE + 4000)
    for kind in ("cycle", "result", "loc", "calibrate"):
        bench.run(7000)
        start = bench.hw.true_ms
        bench.queue.append_event(kind, {"n": 1}, bench.hw.ticks_ms(), "5.10.A")
        bench.run(100)
        assert bench.server.events[-1] == (kind, {"n": 1})
        assert bench.server.log[-1][0] - start <= 50


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("loss", [(0.3, 0.0), (0.0, 0.3), (0.4, 0.4)])
def test_a_broker_that_forgets_messages_costs_time_only(loss, qos):
    bench = Bench(qos=qos)
    bench.broker.loss_up, bench.broker.loss_down = loss
    bench.run(HOUR // 2)
    bench.broker.loss_up = bench.broker.loss_down = 0
    bench.run(5 * MINUTE)
    bench.check()
    assert bench.queue.depth() <= 6
    assert not any(kind == "dropped" for kind, _ in bench.server.events)


def test_acknowledgements_lost_for_hours_cost_nothing_but_repetition():
    bench = Bench()
    bench.run(10 * MINUTE)
    bench.broker.loss_down = 1.0
    bench.run(HOUR)
    assert bench.queue.depth() > 1100
    repeated = bench.server.duplicates
    assert repeated < 15_000
    bench.broker.loss_down = 0.0
    bench.run(10 * MINUTE)
    bench.check()
    assert bench.queue.depth() <= 6


def test_a_link_down_for_days_is_caught_up_and_live_records_do_not_wait():
    bench = Bench()
    bench.run(10 * MINUTE)
    bench.hw.net.online = False
    bench.hw.net.cut()
    span = 3 * DAY if FULL else 8 * HOUR
    bench.run(span)
    assert bench.queue.depth() > 0.99 * span / 3000
    bench.hw.net.online = True
    bench.run(90_000)  # until it tries again, at most
    back = bench.hw.true_ms
    bench.run(MINUTE)
    ages = [
        t - batch.tick - batch.samples[-1].dt
        for t, batch in bench.server.log
        if t > back and batch.samples and batch.tick > back - 5 * MINUTE
    ]
    assert len(ages) >= 4
    assert max(ages) < 20_000
    bench.settle()
    bench.check()
    assert bench.hw.true_ms - back < 10 * MINUTE
    assert bench.queue.depth() <= 6
    assert bench.server.duplicates < 1000


def test_a_server_away_for_hours_behind_a_working_broker():
    bench = Bench()
    bench.run(10 * MINUTE)
    bench.server.running = False
    packets = len(bench.broker.packets)
    bench.run(DAY if FULL else 3 * HOUR)
    assert len(bench.broker.packets) - packets < 5_000
    bench.server.running = True
    bench.run(75_000)
    bench.settle()
    bench.check()
    assert bench.queue.depth() <= 6


def test_power_cuts_while_offline_leave_boots_that_all_arrive():
    bench = Bench()
    bench.hw.net.online = False
    for _ in range(20):
        bench.run(7 * MINUTE)
        bench.restart()
    bench.hw.net.online = True
    bench.run(2 * MINUTE)
    bench.settle()
    bench.check()
    assert len({boot for boot, _ in bench.generated}) == 21
    assert bench.queue.boots() == [bench.queue.boot]
    assert bench.server.duplicates == 0


def test_a_restart_in_the_middle_of_a_backfill_repeats_little():
    bench = Bench()
    bench.hw.net.online = False
    bench.run(6 * HOUR)
    bench.hw.net.online = True
    for _ in range(8):
        bench.run(1500)
        bench.restart("soft")
    bench.settle()
    bench.check()
    assert bench.server.duplicates < 9 * 4 * 200 + 9 * 600


def misfortune(bench, rng):
    """One thing that goes wrong, or right again."""
    deed = rng.randrange(9)
    if deed == 0:
        bench.broker.kick()
    elif deed == 1:
        bench.server.running = not bench.server.running
    elif deed == 2:
        bench.hw.net.blackhole = not bench.hw.net.blackhole
    elif deed == 3:
        bench.restart(rng.choice(["power", "wdt", "soft", "brownout"]))
    elif deed == 4:
        bench.broker.loss_down = rng.choice([0.0, 0.5, 1.0])
    elif deed == 5:
        bench.hw.net.segment = rng.choice([None, 1, 100])
    elif deed == 6:
        bench.hw.net.online = not bench.hw.net.online
        bench.hw.net.cut()
    elif deed == 7:
        bench.hw.fs.crash_at = bench.hw.fs.writes + rng.randrange(1, 60)
    else:
        bench.loc = rng.choice(["5.10.A", "5.1.A"])


@pytest.mark.parametrize("seed", range(500 if FULL else 3))
def test_whatever_goes_wrong_nothing_is_deleted_before_the_server_has_it(seed):
    bench = Bench(seed, segment_bytes=1500)
    rng = random.Random(seed)
    bench.hw.fs.torn = rng.choice(["none", "prefix", "garbage"])
    for _ in range(50):
        misfortune(bench, rng)
        try:
            bench.run(rng.randrange(1000, 400_000))
        except PowerCut:
            bench.restart()
        for boot in bench.queue.boots():
            assert bench.queue.acked(boot) <= bench.server.ack(boot).seq
    bench.hw.fs.crash_at = None
    bench.server.running, bench.hw.net.blackhole = True, False
    bench.broker.loss_down, bench.hw.net.segment = 0.0, None
    bench.hw.net.online = True
    bench.run(10 * MINUTE)
    bench.settle()
    bench.check()
    assert bench.queue.depth() <= 6
    reasons = {why for gone in bench.server.gone.values() for why in gone.values()}
    assert reasons <= {"corrupt"}  # a write torn by a power cut, at most


# --- poison


def test_a_record_the_server_cannot_take_is_singled_out_and_reported():
    bench = Bench()
    bench.run(MINUTE)
    boot = bench.queue.boot
    bench.server.poison = {(boot, bench.queue.next + 3)}
    bad = bench.queue.next + 3
    bench.run(20 * MINUTE)
    dropped = [body for kind, body in bench.server.events if kind == "dropped"]
    assert dropped == [{"boot": boot, "first": bad, "last": bad, "reason": "poison"}]
    assert bench.queue.depth() <= 6
    bench.check(lost=1)


def test_poison_in_the_backlog_of_an_earlier_boot_does_not_stop_it():
    bench = Bench()
    bench.hw.net.online = False
    bench.run(HOUR)
    boot = bench.queue.boot
    bench.restart()
    bench.server.poison = {(boot, 7), (boot, 700)}
    bench.hw.net.online = True
    bench.run(40 * MINUTE)
    dropped = [body["first"] for kind, body in bench.server.events if kind == "dropped"]
    assert sorted(dropped) == [7, 700]
    assert bench.queue.depth() <= 6
    bench.check(lost=2)


def test_a_slow_or_absent_server_makes_no_poison():
    bench = Bench()
    bench.run(MINUTE)
    rng = random.Random(1)
    for _ in range(200):
        bench.server.running = rng.random() < 0.3
        bench.run(rng.randrange(1000, 60_000))
    bench.server.running = True
    bench.run(5 * MINUTE)
    assert bench.queue.dropped == 0
    bench.check()


# --- what strangers send


def ack(bench, boot, seq, have=(), retain=False):
    payload = encode_ack(Ack("", boot, seq, list(have)))
    bench.broker.send(f"tilth/v1/{bench.hw.mac()}/ack", payload, retain=retain)
    bench.run(100)


def alarms(bench):
    bench.run(120_000)
    return [body["what"] for kind, body in bench.server.events if kind == "alarm"]


def test_a_forged_acknowledgement_deletes_nothing_and_is_reported_once():
    bench = Bench()
    bench.run(MINUTE)
    bench.server.running = False
    bench.run(5 * MINUTE)
    depth = bench.queue.depth()
    for seq in (bench.queue.next, 10**6, 2**32 - 1):
        ack(bench, bench.queue.boot, seq)
    ack(bench, "77-deadbeef", 5)
    ack(bench, bench.queue.boot, -1, [(0, 10**6)])
    assert bench.queue.depth() >= depth
    bench.server.running = True
    assert alarms(bench) == ["forged_ack"]
    bench.run(MINUTE)
    bench.check()


def test_a_retained_or_malformed_acknowledgement_is_ignored_and_reported():
    bench = Bench()
    bench.run(MINUTE)
    bench.server.running = False
    bench.run(MINUTE)
    depth = bench.queue.depth()
    ack(bench, bench.queue.boot, bench.queue.next - 1, retain=True)
    bench.broker.send(f"tilth/v1/{bench.hw.mac()}/ack", b'{"v":1,"seq":NaN}')
    bench.run(100)
    assert bench.queue.depth() >= depth
    bench.server.running = True
    assert sorted(alarms(bench)) == ["bad_ack", "retained_ack"]


def test_a_hint_alone_deletes_nothing_and_a_lying_one_only_delays():
    bench = Bench()
    bench.run(MINUTE)
    bench.server.running = False
    bench.run(5 * MINUTE)
    depth, mark = bench.queue.depth(), bench.queue.acked(bench.queue.boot)
    ack(bench, bench.queue.boot, mark, [(mark + 2, bench.queue.next - 1)])
    assert bench.queue.depth() >= depth
    bench.server.running = True
    bench.run(15 * MINUTE)
    bench.check()
    assert bench.queue.depth() <= 6


def test_a_server_restored_from_an_older_backup_gets_what_is_still_here():
    bench = Bench()
    bench.run(10 * MINUTE)
    boot = bench.queue.boot
    bench.server.poison = {(boot, bench.queue.next + 1)}  # holds the watermark
    bench.run(2 * MINUTE)
    held = bench.queue.acked(boot)
    numbers = [n for n in bench.server.records[boot] if n > held - 50]
    bench.server.forget(boot, numbers)
    bench.server.poison = set()
    bench.run(15 * MINUTE)
    gone = bench.server.gone[boot]
    assert set(gone.values()) == {"forgotten"}
    assert set(gone) == set(range(held - 49, held + 1))
    assert bench.queue.depth() <= 6


def test_commands_are_handed_up_unless_retained():
    bench = Bench()
    bench.run(MINUTE)
    topic = f"tilth/v1/{bench.hw.mac()}/cmd"
    bench.broker.send(topic, b"one", qos=1)
    bench.broker.send(topic, b"two", qos=1, retain=True)
    bench.run(1000)
    assert bench.commands == [b"one"]
    assert alarms(bench) == ["retained_command"]


def test_two_devices_of_one_name_do_not_delete_each_others_records():
    one, two = Bench(seed=1), Bench(seed=2)
    two.hw.true_ms = one.hw.true_ms
    one.run(MINUTE)
    two.run(MINUTE)
    assert one.queue.boot != two.queue.boot
    one.server.running = False
    one.run(5 * MINUTE)
    depth = one.queue.depth()
    ack(one, two.queue.boot, two.queue.next - 1)
    assert one.queue.depth() >= depth
    one.server.running = True
    assert alarms(one) == ["forged_ack"]


# --- memory, flash, speed


def test_no_memory_for_a_batch_makes_smaller_ones():
    bench = Bench()
    bench.hw.net.online = False
    bench.run(HOUR)
    bench.hw.net.online = True
    write = links.wire.batch

    def scarce(boot, records, *rest):
        if len(records) > 20:
            raise MemoryError
        return write(boot, records, *rest)

    links.wire.batch = scarce
    try:
        bench.run(2 * MINUTE)
        bench.settle()
    finally:
        links.wire.batch = write
    bench.check()
    assert max(batch.n for _, batch in bench.server.log) <= 20
    assert bench.queue.depth() <= 6


def test_a_flash_that_refuses_does_not_stop_delivery():
    bench = Bench()
    bench.run(MINUTE)
    bench.hw.fs.read_only = True
    bench.run(HOUR)
    assert bench.queue.depth() <= 6
    bench.check()


def test_a_full_queue_and_a_dead_link_leave_no_unexplained_gap():
    bench = Bench(queue_bytes=100_000)
    bench.run(10 * MINUTE)
    bench.hw.net.online = False
    bench.hw.net.cut()
    bench.run(6 * HOUR)
    bench.hw.net.online = True
    bench.run(10 * MINUTE)
    boot = bench.queue.boot
    assert bench.queue.depth() <= 6
    settled = bench.server.settled(boot)
    assert set(range(bench.queue.next - 6)) <= settled
    assert set(bench.server.gone[boot].values()) == {"overflow"}
    lost = len(bench.server.gone[boot])
    assert 4000 < lost < 7200


def test_numbers_that_run_out_go_on_under_a_new_boot_without_a_restart():
    end = queues.SEQ_END
    queues.SEQ_END = 300
    try:
        bench = Bench()
        bench.run(20 * MINUTE)
        bench.hw.net.online = False
        bench.hw.net.cut()
        bench.run(40 * MINUTE)
        bench.hw.net.online = True
        bench.run(5 * MINUTE)
    finally:
        queues.SEQ_END = end
    assert len(bench.server.records) == 5
    assert all(max(rows) < 300 for rows in bench.server.records.values())
    bench.check()
    assert bench.queue.depth() <= 6


def test_a_new_location_begins_a_new_batch():
    bench = Bench()
    bench.run(MINUTE + 7000)
    bench.loc = "5.1.A"
    bench.run(MINUTE)
    boot = bench.queue.boot
    locs = [bench.server.locs[boot, n] for n in sorted(bench.server.records[boot])]
    change = locs.index("5.1.A")
    assert set(locs[:change]) <= {"", "5.10.A"}
    assert set(locs[change:]) == {"5.1.A"}


def test_an_idle_link_is_woken_seldom():
    bench = Bench()
    bench.run(10 * MINUTE)
    steps = bench.steps
    bench.run(HOUR)
    assert bench.steps - steps < 1200 + 5 * 240
