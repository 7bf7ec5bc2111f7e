"""Ingest: committed first, answered then, from any thread, whatever the disk does."""

import logging
import os
import threading
import time

import pytest
from batches_world import BOOT, DEVICE, NOW, check, message, one

from tilth.fleet import ingest as ingest_module
from tilth.fleet.ingest import Ingest
from tilth.fleet.journal import Journal
from tilth.fleet.journal_files import StorageError
from tilth.fleet.journal_messages import Committed
from tilth.fleet.protocol import decode_ack, parse_topic


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal.sqlite", lambda: NOW) as journal:
        yield journal


class Wire:
    """Collects answers, and knows what was on disk when each was sent."""

    def __init__(self, journal):
        self.journal = journal
        self.acks = []
        self.broken = False

    def publish(self, topic, payload):
        if self.broken:
            raise ConnectionError("no broker")
        device, leaf = parse_topic(topic)
        assert leaf == "ack"
        ack = decode_ack(payload, device)
        # The row is visible to others before the answer leaves.
        settled = one(
            self.journal, "SELECT ifnull(max(last), -1) FROM ranges WHERE first = 0"
        )
        assert settled >= ack.seq
        self.acks.append(ack)


@pytest.fixture
def wire(journal):
    return Wire(journal)


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def put(ingest, seq, n=5, **more):
    topic, payload, *_ = message(seq, n)
    return ingest.put(topic, payload, **more)


def test_what_is_put_is_stored_then_answered(journal, wire):
    settled = []
    with Ingest(journal, wire.publish, lambda: NOW, settled=settled.extend) as ingest:
        for k in range(40):
            assert put(ingest, 5 * k, token=k)
        until(lambda: wire.acks and wire.acks[-1].seq == 199)
    assert settled == list(range(40))
    stats = ingest.stats()
    assert stats["received"] == stats["committed"] == 40
    assert stats["groups"] < 40  # several share a flush
    assert stats["acks"] == len(wire.acks)
    assert sum(stats["latency_ms"].values()) == 40
    assert 0 < ingest.latency_quantile(0.5) <= 10_000
    check(journal)


def test_many_threads_may_put_at_once(journal, wire):
    with Ingest(journal, wire.publish, lambda: NOW) as ingest:

        def work(part):
            for k in range(part, 200, 4):
                put(ingest, 5 * k)

        threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert one(journal, "SELECT count(*) FROM samples") == 1000
    assert wire.acks[-1].seq == 999
    check(journal)


def test_closing_answers_what_waits(journal, wire):
    ingest = Ingest(journal, wire.publish, lambda: NOW, group_ms=10_000)
    for k in range(10):
        put(ingest, 5 * k)
    ingest.close()
    ingest.close()
    assert wire.acks[-1].seq == 49
    assert not put(ingest, 50)
    assert ingest.stats()["dropped"] == 1


def test_too_much_is_dropped_and_counted_not_kept(journal, wire, monkeypatch):
    gate = threading.Event()
    commit = journal.commit

    def slow(messages):
        gate.wait(10)
        return commit(messages)

    monkeypatch.setattr(journal, "commit", slow)
    with Ingest(journal, wire.publish, lambda: NOW, max_waiting=10) as ingest:
        put(ingest, 0)
        until(lambda: ingest.stats()["waiting"] == 0)
        taken = [put(ingest, 5 * k) for k in range(1, 21)]
        assert taken == [True] * 10 + [False] * 10
        gate.set()
    assert ingest.stats()["dropped"] == 10
    assert one(journal, "SELECT count(*) FROM samples") == 55


def test_bytes_that_wait_are_bounded_too(journal, wire, monkeypatch):
    gate = threading.Event()
    commit = journal.commit

    def slow(messages):
        gate.wait(10)
        return commit(messages)

    monkeypatch.setattr(journal, "commit", slow)
    ingest = Ingest(journal, wire.publish, lambda: NOW, max_waiting_bytes=1_000_000)
    put(ingest, 0)
    until(lambda: ingest.stats()["waiting"] == 0)
    taken = [ingest.put("x", bytes(60_000)) for _ in range(30)]
    assert sum(taken) == 16
    gate.set()
    ingest.close()
    assert ingest.stats()["waiting_bytes"] == 0


@pytest.mark.parametrize("kind", ["full", "io", "busy", "corrupt"])
def test_a_disk_that_fails_twice_is_not_answered_twice(
    journal, wire, monkeypatch, caplog, kind
):
    commit = journal.commit
    failures = 2

    def fails(messages):
        nonlocal failures
        if failures:
            failures -= 1
            assert wire.acks == []
            raise StorageError(kind, "the disk is on fire")
        return commit(messages)

    monkeypatch.setattr(journal, "commit", fails)
    monkeypatch.setattr(ingest_module, "_FIRST_PAUSE", 0.02)
    settled = []
    with (
        caplog.at_level(logging.ERROR),
        Ingest(journal, wire.publish, lambda: NOW, settled=settled.extend) as ingest,
    ):
        put(ingest, 0, token="a")
        until(lambda: ingest.trouble is not None)
        assert settled == []
        until(lambda: wire.acks)
        until(lambda: ingest.trouble is None)
    assert [a.seq for a in wire.acks] == [4]
    assert settled == ["a"]
    assert ingest.stats()["storage_errors"] == 2
    # Once, not at each attempt.
    assert caplog.text.count("the disk is on fire") == 1


def test_closing_does_not_wait_for_a_disk_that_never_comes_back(
    journal, wire, monkeypatch
):
    def fails(messages):
        raise StorageError("full", "no space")

    monkeypatch.setattr(journal, "commit", fails)
    ingest = Ingest(journal, wire.publish, lambda: NOW)
    put(ingest, 0)
    until(lambda: ingest.trouble is not None)
    begun = time.monotonic()
    ingest.close()
    assert time.monotonic() - begun < 5
    assert wire.acks == []


def test_an_answer_that_cannot_be_sent_harms_nobody(journal, wire):
    wire.broken = True
    with Ingest(journal, wire.publish, lambda: NOW) as ingest:
        put(ingest, 0)
        until(lambda: ingest.stats()["acks_failed"] == 1)
        wire.broken = False
        put(ingest, 0)  # the device asks again
        until(lambda: wire.acks)
    assert wire.acks[0].seq == 4


def test_a_fault_of_the_program_does_not_end_the_writer(
    journal, wire, monkeypatch, caplog
):
    commit = journal.commit
    faults = 1

    def fails(messages):
        nonlocal faults
        if faults:
            faults -= 1
            raise ZeroDivisionError
        return commit(messages)

    monkeypatch.setattr(journal, "commit", fails)
    with Ingest(journal, wire.publish, lambda: NOW) as ingest:
        put(ingest, 0)
        until(lambda: not faults)
        put(ingest, 5)
        until(lambda: wire.acks)
    assert wire.acks[0].have == [(5, 9)]  # the device sends the first again
    assert "goes on after an error" in caplog.text


def test_listeners_hear_in_order_and_never_hold_up_the_writer(journal, wire, caplog):
    heard, gate = [], threading.Event()

    def slow(happenings):
        gate.wait(10)
        heard.extend(happenings)

    def faulty(happenings):
        raise ValueError("a fault of a listener")

    with Ingest(journal, wire.publish, lambda: NOW) as ingest:
        listener = ingest.on_committed(slow, limit=3)
        ingest.on_committed(faulty)
        for k in range(10):
            put(ingest, 5 * k)
            until(lambda k=k: wire.acks and wire.acks[-1].seq == 5 * k + 4)
        gate.set()
    assert all(isinstance(h, Committed) for h in heard)
    assert listener.missed + len(heard) == 10
    assert listener.missed >= 5
    assert heard[-1].new == ((45, 49),)
    assert "a listener failed" in caplog.text
    assert ingest.stats()["missed"] == listener.missed


def test_what_is_due_is_done_without_a_message(journal, wire, monkeypatch):
    tended = threading.Event()
    monkeypatch.setattr(journal, "tend", lambda: tended.set() or [])
    with Ingest(journal, wire.publish, lambda: NOW):
        assert tended.wait(5)


def test_memory_stays_flat_over_a_long_load(journal, wire):
    """Ten times the messages must not take more memory."""
    import tracemalloc

    rounds = 12 if os.environ.get("TILTH_FULL") else 4

    def load(ingest, first):
        for k in range(first, first + 400):
            put(ingest, 5 * k)
        until(lambda: wire.acks and wire.acks[-1].seq == 5 * (first + 400) - 1)
        wire.acks.clear()

    with Ingest(journal, wire.publish, lambda: NOW) as ingest:
        load(ingest, 0)
        tracemalloc.start()
        try:
            load(ingest, 400)
            before = tracemalloc.get_traced_memory()[0]
            for round_ in range(2, rounds):
                load(ingest, 400 * round_)
            after = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
    assert after - before < 400_000
    assert wire.acks == []
    assert one(journal, "SELECT name FROM devices") == DEVICE
    assert one(journal, "SELECT boot FROM boots") == BOOT
