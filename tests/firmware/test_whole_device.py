"""The whole firmware against a server: what was measured arrives."""

import os
import random

import pytest
from fakes import PowerCut
from whole import Whole

FULL = bool(os.environ.get("TILTH_FULL"))
MINUTE = 60_000


def settle(bench, most=30 * MINUTE):
    """Run until all but the newest has arrived."""
    end = bench.hw.true_ms + most
    while bench.hw.true_ms < end:
        bench.run(5_000)
        if bench.app is not None and bench.app.queue.depth() <= 6:
            return


def unexplained(bench):
    """Numbers the server knows were given and neither has nor was told of."""
    missing = []
    for boot in bench.server.records:
        numbers = bench.server.settled(boot)
        missing += [(boot, n) for n in set(range(max(numbers) + 1)) - numbers]
    return missing


def days_samples(bench):
    """True times of all samples at the server."""
    times = []
    for boot, rows in bench.server.records.items():
        start = bench.starts[boot]
        for tick, values in rows.values():
            if len(values) == 9:
                times.append(start + tick)
    return sorted(times)


class Diary(Whole):
    """A device of which the true time of each start is known."""

    def __init__(self, **options):
        super().__init__(**options)
        self.starts = {}

    def run(self, ms):
        """Let time pass in hours at most, noting the boots."""
        end = self.hw.true_ms + ms
        while self.hw.true_ms < end:
            super().run(min(30 * MINUTE, end - self.hw.true_ms))
            if self.app is not None:
                self.starts[self.app.queue.boot] = self.hw._booted_at
        return self.app


def test_a_planned_restart_without_a_network_keeps_the_records():
    bench = Diary()
    bench.run(20 * MINUTE)
    bench.hw.net.online = False
    bench.hw.net.cut()
    bench.run(420 * MINUTE)
    assert len(bench.starts) == 2
    assert len(bench.app.queue.boots()) == 2
    bench.hw.net.online = True
    settle(bench)
    assert unexplained(bench) == []
    assert len(days_samples(bench)) > 0.999 * 440 * MINUTE / 3000


def test_a_hundred_brownouts_in_a_row_keep_what_was_measured():
    bench = Diary()
    bench.run(5 * MINUTE)
    bench.hw.net.online = False
    bench.hw.net.cut()
    for _ in range(100):
        bench.app = None
        bench.hw.boot("brownout")
        bench.run(20_000)
    bench.hw.net.online = True
    bench.app = None
    bench.hw.boot("power")
    bench.run(2 * MINUTE)
    settle(bench)
    assert len(bench.server.records) == 102
    assert unexplained(bench) == []
    assert len(days_samples(bench)) > 100 * 5


@pytest.mark.parametrize("seed", range(100 if FULL else 2))
def test_power_cuts_and_dead_links_at_random_leave_nothing_unexplained(seed):
    rng = random.Random(seed)
    bench = Diary(seed=seed)
    bench.hw.fs.torn = rng.choice(["none", "prefix", "garbage"])
    for _ in range(12):
        deed = rng.randrange(5)
        if deed == 0:
            bench.hw.fs.crash_at = bench.hw.fs.writes + rng.randrange(1, 300)
        elif deed == 1:
            bench.hw.net.online = not bench.hw.net.online
            bench.hw.net.cut()
        elif deed == 2:
            bench.server.running = not bench.server.running
        elif deed == 3:
            bench.broker.kick()
        else:
            bench.broker.loss_down = rng.choice([0, 0.5])
        try:
            bench.run(rng.randrange(1, 30) * MINUTE)
        except PowerCut:
            pytest.fail("the runner boots again")
    bench.hw.net.online = bench.server.running = True
    bench.broker.loss_down = 0
    bench.run(2 * MINUTE)
    settle(bench)
    assert unexplained(bench) == []
    reasons = {why for gone in bench.server.gone.values() for why in gone.values()}
    assert reasons <= {"corrupt"}


@pytest.mark.parametrize("rtc", [False, True])
def test_records_before_the_first_time_carry_none_and_no_date_is_wrong(rtc):
    bench = Diary(rtc=rtc)
    bench.hw.net.udp_peers.clear()
    bench.run(10 * MINUTE)
    assert {batch.src for _, batch in bench.server.log} == {"none"}
    assert {batch.utc for _, batch in bench.server.log} == {None}
    bench.hw.net.serve_ntp()
    bench.run(10 * MINUTE)
    timed = [batch for _, batch in bench.server.log if batch.utc is not None]
    assert timed
    for batch in timed:
        true = bench.hw.start_utc + batch.tick
        assert abs(batch.utc - true) < 100
    [sync] = [body for kind, body in bench.server.events if kind == "sync"][:1]
    assert abs(sync["utc"] - sync["tick"] - bench.hw.start_utc) < 100
