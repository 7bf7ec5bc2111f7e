"""The device's side of the protocol's published test vectors."""

import json
from pathlib import Path

import pytest
from fakes import FakeHardware
from tilth_chamber import sign, wire
from tilth_chamber.boots import Held
from tilth_chamber.clock import Clock
from tilth_chamber.link import Link
from tilth_chamber.queue import Queue

from tilth.fleet.protocol import decode_batch

VECTORS = json.loads(
    (Path(__file__).parents[2] / "docs" / "fleet" / "vectors.json").read_text()
)
ROW = (4391, 2724, 4881, 2561, 100653, 312, 4987, 5, 0)


def cases(kind):
    return pytest.mark.parametrize("case", VECTORS[kind], ids=lambda c: c["name"])


def device_that_holds(ranges):
    """A queue and its link, with these numbers of these boots; the last boot runs."""
    hw = FakeHardware()
    *olds, (boot, (first, last)) = ranges.items()
    queue = Queue(hw.fs, "/data", {}, hw)
    queue.boot = queue._now.boot = boot
    queue.next, queue._now.acked = first, first - 1
    for _ in range(first, last + 1):
        queue.append_sample(ROW, 0, "")
    for name, (low, high) in olds:
        queue._folder.close()
        other = Queue(hw.fs, "/other", {}, hw)
        other.boot = other._now.boot = name
        other.next = low
        for _ in range(low, high + 1):
            other.append_sample(ROW, 0, "")
        for segment in other._folder.segments:
            content = hw.fs.read("/other/q/" + segment.name)
            hw.fs.put("/data/q/" + segment.name, content)
        queue._folder.segments[:0] = other._folder.segments
        queue._boots.olds.append(Held(name, low - 1, high))
    settings = {"mqtt_user": "", "mqtt_password": "", "ntp_host": "", "batch_ms": 15000}
    return queue, Link(hw, queue, Clock(hw, settings), settings)


def held(queue, boot):
    """The numbers of a boot a queue still has."""
    numbers, seq = [], 0
    while True:
        records = queue.read(boot, seq, 200, 10**6)
        if not records:
            return set(numbers)
        numbers += [r[0] for r in records if '"alarm"' not in r[3]]
        seq = records[-1][0] + 1


@cases("acks")
def test_an_acknowledgement_deletes_what_the_vectors_say(case):
    queue, link = device_that_holds(case["held"])
    before = {boot: held(queue, boot) for boot in case["held"]}
    for boot, (first, last) in case["held"].items():
        assert before[boot] == set(range(first, last + 1))
    link._arrived(link._ack, case["payload"].encode(), False)
    deleted = {boot: before[boot] - held(queue, boot) for boot in before}
    wanted = {
        boot: set(range(first, last + 1))
        for boot, (first, last) in case["deletes"].items()
    }
    assert {boot: numbers for boot, numbers in deleted.items() if numbers} == wanted
    assert ("forged_ack" in link._alarmed) == case["alarm"]


@cases("commands")
def test_a_command_is_taken_or_refused_as_the_vectors_say(case):
    key = bytes.fromhex(VECTORS["command_key_hex"])
    payload = case["payload"].encode()
    signed = sign.is_signed(payload, key)
    if not signed:
        assert case["state"] == "refused"
        return
    try:
        command = wire.read_command(payload)
    except wire.Refused:
        assert case["state"] == "refused"
        return
    late = case["utc"] is not None and case["utc"] > command["before"]
    assert late == (case["state"] == "expired")


def test_the_example_of_the_specification_is_written_byte_for_byte():
    payload = VECTORS["batches"][0]["payload"].encode()
    batch = decode_batch(payload)
    rows = {
        sample.i: (1, sample.dt, ",".join(map(str, sample[2:])))
        for sample in batch.samples
    }
    for event in batch.events:
        body = json.dumps(event.body, separators=(",", ":"))
        rows[event.i] = (2, event.dt, f'"{event.kind}",{body}')
    records = [
        (batch.seq + i, batch.tick + rows[i][1], rows[i][0], rows[i][2], batch.loc)
        for i in sorted(rows)
    ]
    written = wire.batch(
        batch.boot,
        records,
        batch.low,
        lambda tick: batch.utc,
        batch.src,
        batch.fw,
        batch.queued,
        batch.dropped,
    )
    assert written == payload
