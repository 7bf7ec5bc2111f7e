"""The firmware's queue against the server's journal: power cuts on either side."""

import json
import random
import sqlite3

import pytest
from fakes import FakeHardware, PowerCut
from fakes_broker import FakeBroker
from lives import FULL
from tilth_chamber.clock import Clock
from tilth_chamber.link import Link
from tilth_chamber.queue import Queue

from tilth.fleet.journal import Journal
from tilth.fleet.journal_messages import Message
from tilth.fleet.messages import encode_ack
from tilth.fleet.wire import topic_of

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
    "segment_bytes": 1500,
    "reserve_bytes": 0,
}


class Chamber:
    """The firmware's queue, clock and link in virtual time, before a real journal."""

    def __init__(self, folder, seed):
        self.path = folder / "journal.sqlite"
        self.hw = FakeHardware(seed=seed)
        self.hw.fs.capacity = 8 * 1024 * 1024
        self.broker = FakeBroker(self.hw, seed)
        self.broker.listeners.append(self.receive)
        self.hw.net.peers[("broker", 8883)] = self.broker
        self.hw.net.serve_ntp()
        self.journal = Journal(self.path, self.hw.utc_ms)
        self.generated = {}
        self.acked = {}
        self.value = self.cuts = 0
        self.boot()

    def receive(self, topic, payload, retained):
        """Commit one message and answer, as the ingest does."""
        message = Message(topic, payload, self.hw.utc_ms(), False)
        for ack in self.journal.commit([message]):
            self.broker.send(topic_of(ack.device, "ack"), encode_ack(ack))

    def restart_server(self):
        """End the server; another opens what it left."""
        self.journal.close()
        self.broker.kick()
        self.journal = Journal(self.path, self.hw.utc_ms)

    def boot(self):
        """Start the firmware; the power may fail while it starts."""
        while True:
            try:
                self.queue = Queue(self.hw.fs, "/data", SETTINGS, self.hw)
                self.clock = Clock(self.hw, SETTINGS)
                self.link = Link(self.hw, self.queue, self.clock, SETTINGS)
                self.due = self.hw.ticks_ms() + 1000
                return
            except PowerCut:
                self.power_cut()

    def power_cut(self):
        """Cut the power of the device."""
        self.cuts += 1
        self.hw.boot("power")
        self.hw.true_ms += 500

    def run(self, ms):
        """Let time pass; the power may fail at a write."""
        end = self.hw.true_ms + ms
        while self.hw.true_ms < end:
            try:
                self._step(end)
            except PowerCut:
                self.power_cut()
                self.boot()
            for boot in self.queue.boots():
                known = self.acked.get(boot, -1)
                self.acked[boot] = max(known, self.queue.acked(boot))

    def _step(self, end):
        hw, now = self.hw, self.hw.ticks_ms()
        if now >= self.due:
            self.due += 3000
            self.value += 1
            row = (self.value, *ROW[1:])
            seq = self.queue.append_sample(row, now, "5.10.A")
            # Only now that it has returned is the record promised.
            self.generated[self.queue.boot, seq] = (now, self.value)
        wake = min(self.clock.step(now), self.link.step(now), self.due)
        when = max(hw.true_of(max(wake, now + 1)), hw.true_ms + 1)
        arrival = hw.net.next_arrival()
        if arrival is not None:
            when = min(when, max(arrival, hw.true_ms + 1))
        hw.true_ms = min(when, end)

    def held(self, boot):
        """Return all records of a boot that the device holds."""
        found, seq = [], 0
        # One location at a time, as they go into batches.
        while records := self.queue.read(boot, seq, 200, 40_000):
            found += records
            seq = records[-1][0] + 1
        return found

    def finish(self):
        """Empty the device, then compare it with the journal."""
        self.hw.fs.crash_at = None
        end = self.hw.true_ms + 3_600_000
        while self.queue.depth() > 5 and self.hw.true_ms < end:
            self.run(5000)
        assert self.queue.depth() <= 6
        self.journal.close()
        connection = sqlite3.connect(self.path)
        rows = connection.execute(
            "SELECT boots.boot, seq, tick, co2 FROM samples"
            " JOIN boots ON boots.id = samples.boot ORDER BY boots.id, seq"
        ).fetchall()
        gone = {
            (boot, n)
            for boot, first, last, reason in connection.execute(
                "SELECT boots.boot, first, last, reason FROM tombstones"
                " JOIN boots ON boots.id = tombstones.boot"
            )
            for n in range(first, last + 1)
            # A record whose write the power cut in the middle was never returned for.
            if reason == "corrupt" or pytest.fail(f"{boot} {first}-{last}: {reason}")
        }
        conflicts = connection.execute("SELECT count(*) FROM conflicts").fetchone()[0]
        poison = connection.execute("SELECT count(*) FROM quarantine").fetchone()[0]
        connection.close()
        assert (conflicts, poison) == (0, 0)
        stored = {(boot, seq): (tick, co2) for boot, seq, tick, co2 in rows}
        assert len(stored) == len(rows), "a record is there twice"
        held = {
            (boot, record[0]): (record[1], int(record[3].split(",")[0]))
            for boot in self.queue.boots()
            for record in self.held(boot)
            if not record[3].startswith('"')
        }
        for key, value in self.generated.items():
            if key in stored:
                assert stored[key] == value
            else:
                assert held.get(key) == value, f"{key} is nowhere"
                assert key not in gone
                assert key[1] > self.acked.get(key[0], -1)
        last = {}
        for boot, _, _, co2 in rows:
            assert co2 > last.get(boot, 0), "out of order"
            last[boot] = co2


@pytest.mark.parametrize("torn", ["none", "prefix", "garbage"])
def test_the_power_of_the_device_may_fail_at_any_write_of_its_queue(tmp_path, torn):
    """The next cut comes 1, 2, 3, ... changes of the flash after the last one."""
    chamber = Chamber(tmp_path, seed=31)
    chamber.hw.fs.torn = torn
    for k in range(1, 400) if FULL else [*range(1, 30, 2), 50, 80]:
        chamber.hw.fs.crash_at = chamber.hw.fs.writes + k
        cuts = chamber.cuts
        while chamber.cuts == cuts:
            chamber.run(5000)
    chamber.run(60_000)
    chamber.finish()
    assert chamber.cuts >= 15


@pytest.mark.parametrize("seed", range(60 if FULL else 3))
def test_device_server_and_link_may_fail_in_any_order(tmp_path, seed):
    chamber = Chamber(tmp_path, seed)
    chance = random.Random(seed)
    chamber.hw.fs.torn = chance.choice(["none", "prefix", "garbage"])
    for _ in range(40):
        deed = chance.randrange(6)
        if deed == 0:
            chamber.hw.fs.crash_at = chamber.hw.fs.writes + chance.randrange(1, 60)
        elif deed == 1:
            chamber.restart_server()
        elif deed == 2:
            chamber.broker.kick()
        elif deed == 3:
            chamber.broker.loss_up = chance.choice([0.0, 0.0, 0.5])
        elif deed == 4:
            chamber.broker.loss_down = chance.choice([0.0, 0.0, 0.5, 1.0])
        else:
            chamber.hw.net.online = not chamber.hw.net.online
            chamber.hw.net.cut()
        chamber.run(chance.randrange(1000, 120_000))
    chamber.broker.loss_up = chamber.broker.loss_down = 0.0
    chamber.hw.net.online = True
    chamber.finish()


def test_what_the_firmware_sends_is_what_the_journal_keeps(tmp_path):
    """Ten minutes without any fault: every record, its time to the millisecond."""
    chamber = Chamber(tmp_path, seed=1)
    chamber.run(600_000)
    chamber.finish()
    connection = sqlite3.connect(chamber.path)
    rows = connection.execute("SELECT t, tick, quality FROM samples").fetchall()
    kinds = connection.execute("SELECT kind, body FROM events").fetchall()
    connection.close()
    assert len(rows) >= 195
    offsets = {t - tick for t, tick, quality in rows if quality == 0}
    assert max(offsets) - min(offsets) <= 20
    assert all(isinstance(json.loads(body), dict) for _, body in kinds)
