"""The journal: what is acknowledged is stored, once, and the rest is accounted for."""

import json
import sqlite3
from itertools import pairwise

import pytest
from batches_world import (
    BOOT,
    DEVICE,
    NEXT,
    NOW,
    OTHER,
    PERIOD,
    batch,
    check,
    hello,
    message,
    notices,
    one,
    rows,
)

from tilth.fleet.journal import Journal, Message
from tilth.fleet.journal_files import JournalError
from tilth.fleet.journal_group import GRACE_MS
from tilth.fleet.journal_messages import Committed, Notice, Reported
from tilth.fleet.protocol import Ack, Status, add_crc, encode_batch, topic_of


@pytest.fixture
def now():
    """The time of the journal's clock, in a list so that a test can move it."""
    return [NOW]


@pytest.fixture
def journal(tmp_path, now):
    with Journal(tmp_path / "journal.sqlite", lambda: now[0]) as journal:
        yield journal


# Storing and answering


def test_a_batch_is_stored_as_sent_and_acknowledged(journal):
    event = (
        4,
        4 * PERIOD + 7,
        "state",
        {"to": "closed", "cycle": 2921, "why": "swept"},
    )
    acks = journal.commit([message(0, 6, events=[event], loc="5.10.A")])
    assert acks == [Ack(DEVICE, BOOT, 5)]
    stored = rows(journal, "SELECT * FROM samples ORDER BY seq")
    assert [row[1] for row in stored] == [0, 1, 2, 3, 5]
    assert stored[1][2:] == (
        NOW + PERIOD, PERIOD, NOW + 6 * PERIOD + 1_000, "5.10.A",
        4001, 2724, 4881, 2561, 100_653, 312, 4987, 5, 0, 0,
    )  # fmt: skip
    kept = one(journal, "SELECT seq, t, tick, kind, body, quality FROM events")
    assert kept[:4] == (4, NOW + 4 * PERIOD + 7, 4 * PERIOD + 7, "state")
    assert json.loads(kept[4]) == event[3]
    check(journal)


def test_a_group_has_one_answer_per_boot_of_a_device(journal):
    acks = journal.commit(
        [message(0), message(5), message(0, device=OTHER), message(0, boot=NEXT)]
    )
    assert acks == [Ack(DEVICE, BOOT, 9), Ack(OTHER, BOOT, 4), Ack(DEVICE, NEXT, 4)]
    check(journal)


def test_the_watermark_waits_for_what_is_missing_and_says_what_it_has(journal):
    assert journal.commit([message(10)]) == [Ack(DEVICE, BOOT, -1, [(10, 14)])]
    assert journal.commit([message(0)]) == [Ack(DEVICE, BOOT, 4, [(10, 14)])]
    for seq in (20, 30, 40, 50, 60):
        (ack,) = journal.commit([message(seq)])
    # The lowest three, and the newest.
    assert ack.have == [(10, 14), (20, 24), (30, 34), (60, 64)]
    assert journal.commit([message(5)]) == [
        Ack(DEVICE, BOOT, 14, [(20, 24), (30, 34), (40, 44), (60, 64)])
    ]
    check(journal)


def test_a_duplicate_is_answered_again_and_stored_once(journal):
    journal.commit([message(0), message(5)])
    for again in (message(0), message(5)):
        assert journal.commit([again]) == [Ack(DEVICE, BOOT, 9)]
    # Within one group too.
    assert journal.commit([message(10), message(10)]) == [Ack(DEVICE, BOOT, 14)]
    assert one(journal, "SELECT sum(duplicate) FROM counters") == 15
    assert notices(journal) == []
    check(journal)


@pytest.mark.parametrize("cuts", [[0, 20], [0, 7, 20], [3, 4, 5, 20], [0, 1, 19, 20]])
def test_records_framed_differently_are_the_same_records(journal, cuts):
    journal.commit([message(4, 6), message(12, 3)])
    for first, last in pairwise(cuts):
        journal.commit([message(first, last - first)])
    (ack,) = journal.commit([message(0, 20)])
    assert ack.seq == 19
    assert notices(journal) == []
    assert [
        r[0] for r in rows(journal, "SELECT seq FROM samples ORDER BY seq")
    ] == list(range(20))
    check(journal)


def test_of_two_different_records_with_one_number_the_first_is_kept(journal):
    journal.commit([message(0)])
    other = batch(0)
    other.samples[2] = other.samples[2]._replace(co2=9999)
    other.samples[4] = other.samples[4]._replace(co2=None)
    again = message(0)._replace(payload=encode_batch(other))
    assert journal.commit([again]) == [Ack(DEVICE, BOOT, 4)]
    kept = rows(journal, "SELECT seq, kept, refused FROM conflicts ORDER BY seq")
    assert [seq for seq, _, _ in kept] == [2, 4]
    assert json.loads(kept[0][1])[2] == 4002
    assert json.loads(kept[0][2])[2] == 9999
    assert one(journal, "SELECT co2 FROM samples WHERE seq = 2") == 4002
    assert notices(journal) == ["conflict"]
    # Said once, however often it comes.
    journal.commit([again])
    assert one(journal, "SELECT count(*) FROM conflicts") == 2
    check(journal)


def test_an_event_where_a_sample_was_is_a_conflict(journal):
    journal.commit([message(0, 2)])
    journal.commit([message(0, 2, events=[(1, PERIOD, "state", {})])])
    assert one(journal, "SELECT seq FROM conflicts") == 1
    assert one(journal, "SELECT count(*) FROM events") == 0
    check(journal)


def test_a_better_clock_or_another_queue_make_no_conflict(journal):
    journal.commit([message(0, utc=None, src="none")])
    journal.commit([message(0, queued=77, fw="1.0.0", low=0)])
    assert one(journal, "SELECT count(*) FROM conflicts") == 0


def test_records_that_were_sealed_are_duplicates_when_they_come_again(journal):
    journal.commit([message(0, 10)])
    with sqlite3.connect(journal.path) as other:
        other.execute("DELETE FROM samples WHERE seq < 5")
    other.close()
    changed = batch(0, 10)
    changed.samples[1] = changed.samples[1]._replace(co2=1)
    again = message(0, 10)._replace(payload=encode_batch(changed))
    assert journal.commit([again]) == [Ack(DEVICE, BOOT, 9)]
    # It can no longer be compared, and must not come back.
    assert one(journal, "SELECT count(*) FROM samples") == 5
    assert one(journal, "SELECT count(*) FROM conflicts") == 0
    assert one(journal, "SELECT duplicate FROM counters") == 10


def test_numbers_up_to_the_last_are_taken(journal):
    last = 2**32 - 1
    tick = 2**53 - 10**9
    far = message(last - 4, 5, tick=tick, utc=NOW, low=last - 4, recv=NOW + 1)
    (ack,) = journal.commit([far])
    assert ack.have == [(last - 4, last)]
    assert one(journal, "SELECT max(seq) FROM samples") == last
    check(journal)


def test_ticks_beyond_30_and_32_bits_are_whole_numbers_like_others(journal):
    for k, tick in enumerate((2**30 - 6_000, 2**32 - 6_000, 2**40)):
        journal.commit([message(5 * k, 5, tick=tick, utc=NOW + 15_000 * k)])
    ticks = [r[0] for r in rows(journal, "SELECT tick FROM samples ORDER BY seq")]
    assert ticks[:5] == [2**30 - 6_000 + 3_000 * i for i in range(5)]
    assert ticks[10] == 2**40
    check(journal)


def test_the_journal_goes_on_where_it_was_after_being_closed(tmp_path):
    path = tmp_path / "deep" / "journal.sqlite"
    for seq in range(0, 50, 5):
        with Journal(path, lambda: NOW) as journal:
            assert journal.commit([message(seq)]) == [Ack(DEVICE, BOOT, seq + 4)]
            check(journal)
    assert not path.with_name("journal.sqlite-wal").exists()


# What will never come


def test_what_a_device_dropped_counts_as_settled(journal):
    body = {"boot": BOOT, "first": 5, "last": 9, "reason": "overflow"}
    journal.commit([message(0)])
    acks = journal.commit([message(10, 5, events=[(0, 0, "dropped", body)])])
    assert acks == [Ack(DEVICE, BOOT, 14)]
    assert rows(journal, "SELECT first, last, reason FROM tombstones") == [
        (5, 9, "overflow")
    ]
    check(journal)


def test_a_report_of_dropped_records_leaves_those_that_did_arrive(journal):
    body = {"boot": BOOT, "first": 3, "last": 12, "reason": "corrupt"}
    journal.commit([message(0), message(8, 2)])
    (ack,) = journal.commit([message(13, 2, events=[(1, 0, "dropped", body)])])
    assert ack.seq == 14
    assert rows(journal, "SELECT first, last FROM tombstones") == [(5, 7), (10, 12)]
    check(journal)


def test_a_report_about_an_earlier_boot_is_answered_for_that_boot(journal):
    journal.commit([message(0, 10)])
    body = {"boot": BOOT, "first": 10, "last": 20, "reason": "overflow"}
    acks = journal.commit([message(0, 5, boot=NEXT, events=[(0, 0, "dropped", body)])])
    assert sorted((a.boot, a.seq) for a in acks) == [(BOOT, 20), (NEXT, 4)]
    # Also of a boot nothing ever came from.
    body = {"boot": "1-00000000", "first": 0, "last": 3, "reason": "poison"}
    acks = journal.commit([message(5, 5, boot=NEXT, events=[(0, 0, "dropped", body)])])
    assert Ack(DEVICE, "1-00000000", 3) in acks
    check(journal)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"boot": BOOT},
        {"boot": BOOT, "first": 5, "last": 3},
        {"boot": BOOT, "first": -1, "last": 3},
        {"boot": "x", "first": 0, "last": 3},
        {"boot": BOOT, "first": 0, "last": 2**32},
        {"boot": BOOT, "first": True, "last": 3},
        {"boot": BOOT, "first": 20, "last": 200},  # what is not there yet
    ],
)
def test_a_report_that_makes_no_sense_is_kept_and_not_followed(journal, body):
    (ack,) = journal.commit([message(0, 5, events=[(4, 0, "dropped", body)])])
    assert ack.seq == 4
    assert rows(journal, "SELECT * FROM tombstones") == []
    assert json.loads(one(journal, "SELECT body FROM events")) == body


def test_a_record_that_comes_after_all_takes_its_tombstone_away(journal):
    body = {"boot": BOOT, "first": 5, "last": 14, "reason": "overflow"}
    journal.commit([message(0), message(15, 5, events=[(0, 0, "dropped", body)])])
    (ack,) = journal.commit([message(8, 3)])
    assert ack.seq == 19
    assert rows(journal, "SELECT first, last FROM tombstones ORDER BY first") == [
        (5, 7), (11, 14),
    ]  # fmt: skip
    assert one(journal, "SELECT count(*) FROM samples WHERE seq BETWEEN 8 AND 10") == 3
    check(journal)


def test_what_a_restored_journal_has_forgotten_does_not_stop_the_watermark(journal):
    journal.commit([message(0)])
    later = NOW + 600_000
    # The device was told that all below 100 is stored; this journal lost it.
    (ack,) = journal.commit([message(100, low=100, recv=later)])
    assert ack.seq == 4
    # A report that it was dropped may still be under way: not at once.
    (ack,) = journal.commit([message(105, low=100, recv=later + GRACE_MS - 1)])
    assert ack.seq == 4
    (ack,) = journal.commit([message(110, low=100, recv=later + GRACE_MS)])
    assert ack.seq == 114
    assert rows(journal, "SELECT first, last, reason FROM tombstones") == [
        (5, 99, "forgotten")
    ]
    assert notices(journal) == ["forgotten"]
    check(journal)


def test_a_report_that_comes_late_explains_what_seemed_forgotten(journal, now):
    journal.commit([message(0)])
    journal.commit([message(100, low=100, recv=NOW + 400_000)])
    now[0] = NOW + 400_000 + GRACE_MS
    (ack,) = journal.tend()
    assert ack.seq == 104
    body = {"boot": BOOT, "first": 50, "last": 99, "reason": "overflow"}
    journal.commit([message(105, low=100, events=[(0, 0, "dropped", body)])])
    assert rows(journal, "SELECT first, last, reason FROM tombstones") == [
        (5, 49, "forgotten"), (50, 99, "overflow"),
    ]  # fmt: skip
    check(journal)


def test_a_gap_that_is_filled_in_time_is_not_forgotten(journal, now):
    journal.commit([message(0), message(10, low=10)])
    journal.commit([message(5, low=5)])
    now[0] += 10 * GRACE_MS
    assert journal.tend() == []
    assert rows(journal, "SELECT * FROM tombstones") == []


# Status


def test_a_hello_is_answered_for_each_pending_boot(journal):
    journal.commit([message(0)])
    status = Status(
        True, NEXT, pending=[(BOOT, 3, 20), (NEXT, 0, 4), ("1-00000000", 0, 9)]
    )
    acks = journal.commit([hello(status)])
    assert acks == [
        Ack(DEVICE, BOOT, 4), Ack(DEVICE, NEXT, -1), Ack(DEVICE, "1-00000000", -1),
    ]  # fmt: skip
    online, boot, body = one(journal, "SELECT online, boot, body FROM status")
    assert (online, boot, json.loads(body)["pending"][0]) == (1, NEXT, [BOOT, 3, 20])
    journal.commit([hello(Status(False, NEXT))])
    assert one(journal, "SELECT online FROM status") == 0


def test_a_boot_the_hello_does_not_mention_is_missing_but_not_settled(journal, now):
    journal.commit([message(0), message(10)])
    # It holds nothing of the first boot any more, yet 5..9 never came.
    journal.commit([hello(Status(True, NEXT, pending=[(NEXT, 0, 2)]))])
    assert notices(journal) == ["missing"]
    now[0] += 10 * GRACE_MS
    # Were it a clone that spoke, the other must not be told to delete them.
    assert journal.tend() == []
    assert rows(journal, "SELECT * FROM tombstones") == []
    (ack,) = journal.commit([message(15, low=5)])
    assert ack == Ack(DEVICE, BOOT, 4, [(10, 19)])
    assert journal.commit([message(5)]) == [Ack(DEVICE, BOOT, 19)]
    check(journal)


def test_a_hello_of_very_many_boots_may_not_mention_all(journal):
    journal.commit([message(0), message(10)])
    many = [(f"{k:x}-00000000", 0, 0) for k in range(150)]
    journal.commit([hello(Status(True, NEXT, pending=many))])
    assert notices(journal) == []
    assert one(journal, "SELECT held FROM boots WHERE boot = ?", BOOT) == 1


def test_a_retained_hello_is_old_and_proves_no_loss(journal):
    journal.commit([message(0), message(10)])
    status = Status(True, NEXT, pending=[(NEXT, 0, 2)])
    journal.commit([hello(status, retained=True)])
    assert notices(journal) == []


# Poison


def test_poison_with_a_header_goes_aside_and_counts_as_handled(journal):
    journal.commit([message(0)])
    bad = encode_batch(batch(5)).replace(b'"loc":"5.10.A"', b'"loc":5.1')
    bad = add_crc(bad[: bad.rfind(b',"crc"')])
    poison = message(5)._replace(payload=bad)
    assert journal.commit([poison]) == [Ack(DEVICE, BOOT, 9)]
    kept = one(journal, "SELECT reason, boot, seq, n, payload, times FROM quarantine")
    assert kept == ("range", BOOT, 5, 5, bad, 1)
    assert rows(journal, "SELECT first, last, reason FROM tombstones") == [
        (5, 9, "quarantined")
    ]
    journal.commit([poison, poison])
    assert one(journal, "SELECT times FROM quarantine") == 3
    # Mended by hand and sent again, it is stored after all.
    assert journal.commit([message(5)]) == [Ack(DEVICE, BOOT, 9)]
    assert rows(journal, "SELECT * FROM tombstones") == []
    check(journal)


def test_poison_without_a_header_stops_nobody(journal):
    bad = [
        Message(topic_of(DEVICE, "d"), payload, NOW)
        for payload in (b"", b"{}", b"\xff\xfe", b"[" * 100_000, b"x" * 1_000_000)
    ]
    acks = journal.commit([message(0), *bad, message(5)])
    assert acks == [Ack(DEVICE, BOOT, 9)]
    kept = rows(journal, "SELECT size, length(payload) FROM quarantine ORDER BY size")
    assert kept[-1] == (1_000_000, 65_536)
    assert len(kept) == 5
    check(journal)


@pytest.mark.parametrize(
    "topic",
    ["", "x", "tilth/v1/+/d", f"tilth/v1/{DEVICE}/ack", f"tilth/v1/{DEVICE}/cmd",
     f"tilth/v1/{DEVICE.upper()}/d", "\ud800", "\0", "x" * 70_000],
)  # fmt: skip
def test_a_message_on_a_foreign_topic_goes_aside(journal, topic):
    assert journal.commit([message(0)._replace(topic=topic)]) == []
    assert one(journal, "SELECT reason FROM quarantine") == "topic"
    assert one(journal, "SELECT count(*) FROM samples") == 0


def test_a_retained_batch_goes_aside_and_settles_nothing(journal):
    assert journal.commit([message(0)._replace(retained=True)]) == []
    assert one(journal, "SELECT reason FROM quarantine") == "retained"
    assert rows(journal, "SELECT * FROM ranges") == []


def test_a_device_that_sends_only_poison_does_not_fill_the_disk(journal):
    garbage = [
        Message(topic_of(DEVICE, "d"), b"%05d" % k + b"x" * 60_000, NOW + k)
        for k in range(400)
    ]
    journal.commit(garbage)
    assert one(journal, "SELECT count(*) FROM quarantine") == 400
    kept = one(journal, "SELECT sum(length(payload)) FROM quarantine")
    assert kept < 201 * 60_005 + 200 * 300
    assert len(notices(journal)) == 1


def test_a_message_this_program_cannot_store_does_not_stop_the_others(
    journal, monkeypatch
):
    from tilth.fleet.journal_group import Group

    store = Group._store

    def fails(self, boot, samples, *rest):
        if any(s.co2 == 666 for s in samples):
            raise ZeroDivisionError("a fault")
        store(self, boot, samples, *rest)

    monkeypatch.setattr(Group, "_store", fails)
    bad = batch(5)
    bad.samples[0] = bad.samples[0]._replace(co2=666)
    acks = journal.commit(
        [message(0), message(5)._replace(payload=encode_batch(bad)), message(10)]
    )
    assert acks[-1] == Ack(DEVICE, BOOT, 4, [(10, 14)])
    assert one(journal, "SELECT reason FROM quarantine") == "server"
    monkeypatch.undo()
    assert journal.commit([message(5)]) == [Ack(DEVICE, BOOT, 14)]
    check(journal)


# Notices and those who listen


def test_what_was_committed_can_be_listened_to(journal):
    journal.commit([message(0), message(0), hello(Status(True, BOOT))])
    journal.commit([message(3, 6)])
    heard = journal.take()
    assert [type(h) for h in heard] == [Committed, Reported, Committed]
    assert (heard[0].device, heard[0].boot, heard[0].new) == (DEVICE, BOOT, ((0, 4),))
    assert heard[0].t == NOW
    assert heard[2].new == ((5, 8),)
    assert journal.take() == []


def test_two_boots_of_one_device_alive_at_once_are_noticed(journal):
    for k in range(8):
        journal.commit([message(5 * k)])
        journal.commit([message(5 * k, boot=NEXT, start=NOW + 5_000)])
    assert notices(journal) == ["clone"]
    assert any(isinstance(h, Notice) and h.what == "clone" for h in journal.take())
    # Each has its own numbers: nothing crosses.
    assert {a.boot: a.seq for a in journal.commit([message(40)])} == {BOOT: 44}
    check(journal)


def test_a_reboot_with_a_backlog_is_no_clone(journal):
    for k in range(4):
        journal.commit([message(5 * k)])
    restart = NOW + 4 * 15_000 + 20_000
    journal.commit([message(0, boot=NEXT, start=restart)])
    for k in (4, 5):  # the rest of the first boot, after the reboot
        late = message(5 * k, start=NOW - 30_000, recv=restart + 20_000)
        journal.commit([late])
    journal.commit([message(5, boot=NEXT, start=restart)])
    assert notices(journal) == []


def test_many_boots_fit_in_a_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr("tilth.fleet.journal_boots.MAX_BOOTS", 8)
    with Journal(tmp_path / "journal.sqlite", lambda: NOW) as journal:
        for round_ in range(3):
            for k in range(40):
                acks = journal.commit([message(5 * round_, boot=f"{k:x}-00000000")])
                assert acks[0].seq == 5 * round_ + 4
        assert len(list(journal._boots)) <= 8
        check(journal)


# Opening


def test_a_second_server_is_turned_away(tmp_path):
    path = tmp_path / "journal.sqlite"
    with (
        Journal(path, lambda: NOW),
        pytest.raises(JournalError, match="another server"),
    ):
        Journal(path, lambda: NOW)
    Journal(path, lambda: NOW).close()


def test_a_file_that_is_something_else_is_left_alone(tmp_path):
    path = tmp_path / "journal.sqlite"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE holidays(x)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(JournalError, match="not the journal"):
        Journal(path, lambda: NOW)
    assert path.read_bytes() == before


def test_a_journal_on_a_network_file_system_is_refused(tmp_path):
    from tilth.fleet.journal_files import file_system, refuse_network

    table = tmp_path / "mountinfo"
    table.write_text(
        "22 1 0:20 / / rw - ext4 /dev/sda rw\n"
        f"30 22 0:30 / {tmp_path}/my\\040share rw shared:1 - nfs4 nas:/x rw\n"
        "nonsense\n"
    )
    share = tmp_path / "my share"
    share.mkdir()
    assert file_system(tmp_path, table) == "ext4"
    assert file_system(share, table) == "nfs4"
    refuse_network(tmp_path, table)
    with pytest.raises(JournalError, match="network file system"):
        refuse_network(share, table)
    assert file_system(share, tmp_path / "absent") == ""
    refuse_network(share, tmp_path / "absent")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="no folder"):
        Journal(tmp_path / "file" / "journal.sqlite")
    (tmp_path / "journal.sqlite").mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        Journal(tmp_path / "journal.sqlite")
    (tmp_path / "other.sqlite.lock").mkdir()
    with pytest.raises(JournalError, match="cannot be written"):
        Journal(tmp_path / "other.sqlite")


def test_a_closed_journal_says_so(tmp_path):
    journal = Journal(tmp_path / "journal.sqlite", lambda: NOW)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="closed"):
        journal.commit([message(0)])


def test_a_reader_cannot_write(journal):
    reader = journal.reader()
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM samples")
    reader.close()
