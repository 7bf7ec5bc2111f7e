"""The queue in flash: what was kept is read back or reported, whatever happens."""

import json
import os
import random

import pytest
from fakes_flash import FakeFlash, PowerCut
from hypothesis import given, settings
from hypothesis import strategies as st
from tilth_chamber.queue import Queue
from tilth_chamber.records import SAMPLE, pack_record, record_at, scan
from tilth_chamber.segments import name_of, parse_name
from tilth_chamber.wire import plain

FULL = bool(os.environ.get("TILTH_FULL"))
ROW = (4391, 2724, 4881, 2561, 100653, 312, 4987, 5, 0)
SMALL = {"segment_bytes": 1024, "reserve_bytes": 0}


class Chip:
    """The part of the hardware a queue asks for."""

    def __init__(self, seed=0):
        self._random = random.Random(seed)

    def random32(self):
        return self._random.getrandbits(32)

    def ticks_ms(self):
        return 777


def make(fs, chip=None, **change):
    return Queue(fs, "/data", dict(SMALL, **change), chip or Chip())


def drain(queue, boot, most=200):
    """All records of a boot as a server would get them."""
    out, seq = [], 0
    while True:
        records = queue.read(boot, seq, most, 40000)
        if not records:
            return out
        out += records
        seq = records[-1][0] + 1


def fill(queue, n, loc="5.10.A", start=0):
    for i in range(n):
        queue.append_sample((start + i,) + ROW[1:], 3000 * i, loc)


def drops(records):
    """The ranges given up, from the dropped events among records."""
    found = []
    for record in records:
        if record[3].startswith('"dropped",'):
            body = json.loads(record[3][10:])
            found.append((body["boot"], body["first"], body["last"], body["reason"]))
    return found


def test_a_record_comes_back_as_it_was_given():
    queue = make(FakeFlash())
    queue.append_sample(
        (4391, None, 4881, None, 100653, -1, 4987, 5, 4), 1 << 40, "1.1.A"
    )
    queue.append_event("state", {"to": "closed", "cycle": 7}, (1 << 40) + 5, "1.1.A")
    records = queue.read(queue.boot, 0, 200, 10000)
    assert records[0][:2] == (0, 1 << 40)
    assert records[0][3] == "4391,null,4881,null,100653,-1,4987,5,4"
    kind, body = json.loads("[" + records[1][3] + "]")
    assert (kind, body) == ("state", {"to": "closed", "cycle": 7})


def test_everything_returned_for_survives_a_restart_in_order():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip)
    fill(queue, 300)
    boot = queue.boot
    fs.power_cycle()
    after = make(fs, chip)
    assert after.boot != boot
    assert after.pending()[0] == [boot, 0, 299]
    records = drain(after, boot)
    assert [r[0] for r in records] == list(range(300))
    assert [int(r[3].split(",")[0]) for r in records] == list(range(300))
    assert {r[4] for r in records} == {"5.10.A"}


def test_only_an_acknowledgement_deletes_and_only_what_it_covers():
    fs = FakeFlash()
    queue = make(fs)
    fill(queue, 100)
    assert queue.ack(queue.boot, 40) == "progress"
    assert [r[0] for r in drain(queue, queue.boot)] == list(range(41, 100))
    assert queue.low(queue.boot) == 41
    assert queue.depth() == 59
    assert queue.ack(queue.boot, 30) == "old"
    assert queue.ack(queue.boot, 99) == "progress"
    assert drain(queue, queue.boot) == []
    assert queue.depth() == 0
    assert len(fs.listdir("/data/q")) <= 1


def test_acknowledgements_of_strangers_and_of_numbers_never_given_delete_nothing():
    queue = make(FakeFlash())
    fill(queue, 10)
    assert queue.ack("99-00000000", 5) == "unknown"
    assert queue.ack(queue.boot, 10) == "beyond"
    assert len(drain(queue, queue.boot)) == 10


def test_an_acknowledgement_of_one_boot_leaves_the_others():
    fs, chip = FakeFlash(), Chip()
    boots = []
    for _ in range(3):
        queue = make(fs, chip)
        boots.append(queue.boot)
        fill(queue, 40)
    queue = make(fs, chip)
    assert queue.boots() == boots + [queue.boot]
    assert queue.ack(boots[1], 39) == "progress"
    assert queue.ack(boots[1], 39) == "done"
    assert queue.boots() == [boots[0], boots[2], queue.boot]
    assert len(drain(queue, boots[0])) == len(drain(queue, boots[2])) == 40


def test_an_old_boot_whose_end_was_never_written_takes_any_acknowledgement():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip, flush_records=5)
    fill(queue, 13)
    boot = queue.boot
    fs.power_cycle()
    after = make(fs, chip)
    assert after.pending()[0] == [boot, 0, 9]
    assert after.ack(boot, 12) == "progress"
    assert after.boots() == [after.boot]


def test_with_flush_records_n_at_most_n_less_one_samples_are_lost():
    for n in (1, 2, 5, 20):
        for count in range(1, 45, 3):
            fs, chip = FakeFlash(), Chip()
            queue = make(fs, chip, flush_records=n)
            fill(queue, count)
            boot = queue.boot
            fs.power_cycle()
            kept = len(drain(make(fs, chip), boot))
            assert count - kept <= n - 1


def test_spilling_makes_all_safe_and_events_are_safe_at_once():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip, flush_records=50)
    fill(queue, 7)
    assert not queue.all_safe()
    queue.append_event("cycle", {"cycle": 1}, 21000, "5.10.A")
    assert queue.all_safe()
    fill(queue, 7)
    assert queue.spill()
    boot = queue.boot
    fs.power_cycle()
    assert len(drain(make(fs, chip), boot)) == 15


def test_a_change_of_location_splits_batches_and_survives_a_restart():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip)
    fill(queue, 3, "5.1.A")
    fill(queue, 3, "5.10.A")
    fill(queue, 3, "5.1.A")
    boot = queue.boot
    for held in (queue, make(fs, chip)):
        assert [len(held.read(boot, s, 200, 9999)) for s in (0, 3, 6)] == [3, 3, 3]
        assert [held.read(boot, s, 200, 9999)[0][4] for s in (0, 3, 6)] == [
            "5.1.A",
            "5.10.A",
            "5.1.A",
        ]


def test_a_full_queue_drops_the_oldest_and_says_so():
    fs = FakeFlash()
    queue = make(fs, queue_bytes=64 * 1024)
    fill(queue, 3000)
    records = drain(queue, queue.boot)
    given_up = drops(records)
    assert given_up
    assert all(reason == "overflow" for *_, reason in given_up)
    covered = {r[0] for r in records}
    for _, first, last, _ in given_up:
        covered.update(range(first, last + 1))
    assert covered == set(range(queue.next))
    assert queue.dropped == records[0][0]
    assert sum(len(fs.read("/data/q/" + n)) for n in fs.listdir("/data/q")) <= 66 * 1024


def test_low_waits_until_the_report_of_a_drop_is_acknowledged():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip, queue_bytes=64 * 1024)
    n = 0
    while not queue.dropped:
        fill(queue, 1)
        n += 1
    first_held = queue.read(queue.boot, 0, 1, 9999)[0][0]
    assert first_held > 0
    assert queue.low(queue.boot) == 0
    queue.ack(queue.boot, queue.next - 1)
    assert queue.low(queue.boot) == queue.next


def test_flash_full_keeps_measuring_and_drops_the_oldest():
    fs = FakeFlash(capacity=40_000)
    queue = make(fs)
    fill(queue, 2000)
    assert queue.all_safe()
    records = drain(queue, queue.boot)
    assert records[-1][0] == queue.next - 1
    assert drops(records)


@pytest.mark.parametrize("fault", ["read_only", "full"])
def test_a_flash_that_refuses_leaves_the_records_in_memory(fault):
    fs = FakeFlash()
    queue = make(fs, ram_records=64, ram_most=128)
    fill(queue, 5)
    if fault == "read_only":
        fs.read_only = True
    else:
        fs.capacity = 0
    fill(queue, 50)
    assert not queue.all_safe()
    assert not queue.spill()
    assert [r[0] for r in drain(queue, queue.boot)] == list(range(55))
    fs.read_only, fs.capacity = False, 10**6
    assert queue.spill()
    boot = queue.boot
    fs.power_cycle()
    assert len(drain(make(fs), boot)) == 55


def test_a_refusing_flash_and_no_server_bound_the_memory_and_report_the_loss():
    fs = FakeFlash()
    fs.put("/data/boots", b"")
    fs.read_only = True
    queue = make(fs, ram_records=32, ram_most=100)
    fill(queue, 1000)
    records = drain(queue, queue.boot)
    assert len(records) <= 133
    covered = {r[0] for r in records}
    lost = drops(records)
    assert lost
    for _, first, last, _ in lost:
        covered.update(range(first, last + 1))
    assert set(range(records[0][0], queue.next)) <= covered


def test_a_bad_block_costs_no_record():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip)
    fill(queue, 3)
    fs.bad.add("/data/q/" + name_of(queue.boot, 0, 0))
    fill(queue, 60)
    assert queue.all_safe()
    records = drain(queue, queue.boot)
    assert [r[0] for r in records][-1] == queue.next - 1
    fs.bad.clear()
    boot = queue.boot
    fs.power_cycle()
    assert [r[0] for r in drain(make(fs, chip), boot)] == list(range(63))


def test_every_single_flipped_bit_is_found_and_only_its_record_is_given_up():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip)
    fill(queue, 6)
    boot = queue.boot
    name = "/data/q/" + fs.listdir("/data/q")[0]
    clean = fs.read(name)
    good = {r[0]: r for r in drain(queue, boot)}
    for bit in range(8 * len(clean)):
        fs.put(name, clean)
        fs.flip(name, bit)
        after = make(fs, chip)
        records = drain(after, boot)
        assert all(r[:4] == good[r[0]][:4] for r in records)
        assert {r[4] for r in records} == {"5.10.A"}
        lost = set(good) - {r[0] for r in records}
        told = drops(drain(after, after.boot))
        assert len(lost) <= 1
        assert all(b == boot and why == "corrupt" for b, _, _, why in told)
        assert lost <= {n for _, a, b, _ in told for n in range(a, b + 1)}
        if not lost:
            assert bit < 8 * 2 * len(pack_record(0, 0, 0, "")) + 8 * 200
        for leftover in fs.listdir("/data/q"):
            if parse_name(leftover)[0] == after.boot:
                fs.remove("/data/q/" + leftover)


def test_bit_rot_in_the_middle_of_the_queue_does_not_stop_what_follows():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip)
    fill(queue, 100)
    boot = queue.boot
    names = fs.listdir("/data/q")
    fs.put("/data/q/" + names[1], b"\xff" * 900)
    after = make(fs, chip)
    records = drain(after, boot)
    given_up = drops(drain(after, after.boot))
    first, second = parse_name(names[1])[1], parse_name(names[2])[1]
    assert given_up == [(boot, first, second - 1, "corrupt")]
    assert [r[0] for r in records] == list(range(first)) + list(range(second, 100))


def test_a_hundred_brownouts_keep_a_hundred_boots_apart():
    fs, chip = FakeFlash(), Chip()
    boots = []
    for i in range(100):
        queue = make(fs, chip)
        queue.append_event("boot", {"reason": "brownout", "i": i}, 0, "")
        boots.append(queue.boot)
        fs.power_cycle()
    queue = make(fs, chip)
    assert len(set(boots)) == 100
    assert queue.boots()[:-1] == boots
    for i, boot in enumerate(boots):
        [record] = drain(queue, boot)
        assert json.loads("[" + record[3] + "]")[1]["i"] == i
        queue.ack(boot, 0)
    assert queue.boots() == [queue.boot]
    assert fs.listdir("/data/q") == []


def test_numbers_run_out_into_a_new_boot():
    fs, chip = FakeFlash(), Chip()
    queue = make(fs, chip)
    queue.next = 2**32 - 3
    boot = queue.boot
    fill(queue, 6)
    assert queue.boot != boot
    assert queue.next == 3
    assert [r[0] for r in drain(queue, boot)] == [2**32 - 3, 2**32 - 2, 2**32 - 1]
    assert [r[0] for r in drain(queue, queue.boot)] == [0, 1, 2]


def test_event_bodies_are_made_harmless():
    queue = make(FakeFlash())
    nest = {"a": {"b": {"c": {"d": {"e": 1}}}}}
    for body in (
        {"x": float("nan"), "y": 1.6, "z": 1e300},
        nest,
        {"b": b"\xff", "o": object()},
        {"long": "x" * 5000},
        [1, 2],
        None,
        {1: 2},
    ):
        queue.append_event("odd", body, 0, "")
    texts = [r[3] for r in drain(queue, queue.boot)]
    bodies = [json.loads("[" + t + "]")[1] for t in texts]
    assert not any("NaN" in t or "Infinity" in t for t in texts)
    assert bodies[0] == {"x": None, "y": 2, "z": None}
    assert bodies[3] == {"left_out": 5012}
    assert all(len(t) < 2100 for t in texts)
    assert plain((1, 2.4), 1) == [1, 2]


# --- power cuts


class Server:
    """Takes what it gets and acknowledges the contiguous part; never forgets."""

    def __init__(self):
        self.got = {}
        self.dropped = {}

    def take(self, boot, records):
        for record in records:
            kept = self.got.setdefault(boot, {}).setdefault(record[0], record[1:4])
            assert kept == record[1:4], "one number, two contents"
        for name, first, last, _ in drops(records):
            self.dropped.setdefault(name, set()).update(range(first, last + 1))

    def mark(self, boot):
        settled = set(self.got.get(boot, {})) | self.dropped.get(boot, set())
        seq = -1
        while seq + 1 in settled:
            seq += 1
        return seq


def live_through(seed, crash_at, torn):
    """A random life with one power cut at the k-th change of the flash.

    Returns whether the cut came, after checking that each record returned for
    has reached the server, in the end, or is reported dropped.
    """
    rng = random.Random(seed)
    fs, chip, server = FakeFlash(capacity=30_000, seed=seed), Chip(seed), Server()
    fs.torn = torn
    limits = {
        "segment_bytes": 400,
        "ram_records": rng.choice([4, 64]),
        "queue_bytes": rng.choice([64 * 1024, 10**6]),
    }
    kept = {}
    cut = False
    for _ in range(4):
        fs.crash_at = None if cut else crash_at
        try:
            queue = make(fs, chip, **limits)
            for _ in range(rng.randrange(10, 40)):
                deed = rng.random()
                if deed < 0.75:
                    row = (rng.randrange(10**5),) + ROW[1:]
                    boot = queue.boot
                    seq = queue.append_sample(row, rng.randrange(10**9), "1.1.A")
                    kept.setdefault(boot, {})[seq] = row[0]
                elif deed < 0.85:
                    queue.append_event("state", {"to": "open"}, 5, "1.1.B")
                else:
                    boot = rng.choice(queue.boots())
                    server.take(boot, queue.read(boot, server.mark(boot) + 1, 9, 9999))
                    if rng.random() < 0.7:
                        queue.ack(boot, server.mark(boot))
        except PowerCut:
            cut = True
        fs.power_cycle()
    queue = make(fs, chip, **limits)
    for boot in queue.boots():
        server.take(boot, drain(queue, boot))
    server.take(queue.boot, drain(queue, queue.boot))
    for boot, rows in kept.items():
        for seq, value in rows.items():
            if seq in server.dropped.get(boot, ()):
                continue
            assert int(server.got[boot][seq][2].split(",")[0]) == value
    for boot in queue.boots():
        queue.ack(boot, queue.last(boot))
    assert queue.depth() == 0
    return cut


@pytest.mark.parametrize("torn", ["none", "prefix", "garbage"])
def test_a_power_cut_at_any_change_of_the_flash_loses_nothing_returned_for(torn):
    for seed in range(50 if FULL else 2):
        k, cut = 1, True
        while cut:
            cut = live_through(seed, k, torn)
            k += 1 if FULL else 5
        assert k > 80


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=600), st.integers(0, 2**32 - 1))
def test_scanning_any_bytes_ends_and_gives_only_what_the_checksum_vouches_for(
    data, first
):
    assert isinstance(scan(data, first)[2], str)
    whole = pack_record(first, SAMPLE, 5, "1,2")
    records = scan(data + whole, first)[0]
    assert (first, 5, SAMPLE, "1,2") in records
    assert record_at(whole, 0)[:4] == (first, 5, SAMPLE, "1,2")


def test_names_of_segments_sort_as_time_does_and_fit_the_file_system():
    names = [
        name_of(boot, first, 0)
        for boot in ("9-ffffffff", "a-00000000", "100-12345678")
        for first in (0, 255, 4096)
    ]
    assert names == sorted(names)
    assert all(len(name) <= 32 for name in names)
    assert [parse_name(n) for n in names][3] == ("a-00000000", 0)
    assert parse_name("nvs.a") is None
