"""The ledger: every number is somewhere, and what is lost is called lost."""

import pytest
from batches_world import BOOT, DEVICE, NEXT, NOW, OTHER, PERIOD, hello, message

from tilth.fleet.journal import Journal
from tilth.fleet.journal_group import GRACE_MS
from tilth.fleet.ledger import device_days, ledger_frame, prove, recount
from tilth.fleet.protocol import Status

DAY = 86_400_000
MIDNIGHT = (NOW // DAY + 1) * DAY


@pytest.fixture
def now():
    return [NOW]


@pytest.fixture
def journal(tmp_path, now):
    with Journal(tmp_path / "journal.sqlite", lambda: now[0]) as journal:
        yield journal


@pytest.fixture
def reader(journal):
    reader = journal.reader()
    yield reader
    reader.close()


def proof(reader, device=DEVICE, boot=BOOT):
    (one,) = prove(reader, device, boot)
    return one


def counts(one):
    return (one.stored, one.dropped, one.quarantined, one.lost, one.outstanding)


def test_all_numbers_stored_is_a_proof_of_completeness(journal, reader):
    journal.commit([message(0), message(5, 20), message(25)])
    one = proof(reader)
    assert (one.known, one.watermark) == (29, 29)
    assert counts(one) == (30, 0, 0, 0, 0)
    assert one.settled
    assert one.complete
    assert recount(reader, {}) == []


def test_a_gap_is_outstanding_while_the_device_holds_it(journal, reader):
    journal.commit([message(0), message(10)])
    one = proof(reader)
    assert counts(one) == (10, 0, 0, 0, 5)
    assert one.missing == ((5, 9),)
    assert not one.settled


def test_a_tail_the_device_told_of_is_outstanding_not_lost(journal, reader):
    journal.commit([message(0)])
    journal.commit([hello(Status(True, BOOT, pending=[(BOOT, 5, 40)]))])
    one = proof(reader)
    assert one.known == 40
    assert counts(one) == (5, 0, 0, 0, 36)


def test_a_boot_nothing_came_from_is_known_from_the_hello(journal, reader):
    journal.commit([hello(Status(True, NEXT, pending=[(BOOT, 0, 99), (NEXT, 0, 2)]))])
    assert counts(proof(reader)) == (0, 0, 0, 0, 100)
    assert counts(proof(reader, boot=NEXT)) == (0, 0, 0, 0, 3)


def test_what_the_device_no_longer_holds_is_lost(journal, reader, now):
    journal.commit([message(0), message(20, low=15)])
    # At once, before anybody has given it up.
    assert counts(proof(reader)) == (10, 0, 0, 10, 5)
    now[0] += 10 * GRACE_MS
    journal.tend()
    one = proof(reader)
    assert counts(one) == (10, 0, 0, 10, 5)
    journal.commit([message(15)])
    one = proof(reader)
    assert counts(one) == (15, 0, 0, 10, 0)
    assert one.settled
    assert not one.complete


def test_what_a_device_does_not_mention_any_more_is_lost(journal, reader):
    journal.commit([message(0), message(10)])
    journal.commit([hello(Status(True, NEXT, pending=[(NEXT, 0, 2)]))])
    one = proof(reader)
    assert counts(one) == (10, 0, 0, 5, 0)
    assert not one.settled
    # Until it comes after all.
    journal.commit([message(5)])
    assert proof(reader).complete


def test_what_the_device_reported_is_dropped_and_poison_is_quarantined(journal, reader):
    body = {"boot": BOOT, "first": 5, "last": 9, "reason": "overflow"}
    bad = message(11)._replace(
        payload=message(11, events=[(0, 0, "x", {"a": [[[1]]]})]).payload
    )
    journal.commit([message(0), message(10, 1, events=[(0, 0, "dropped", body)]), bad])
    one = proof(reader)
    assert counts(one) == (6, 5, 5, 0, 0)
    assert one.settled
    assert not one.complete


def test_the_proof_holds_after_the_rows_were_sealed(journal, reader):
    import sqlite3

    journal.commit([message(0, 100), message(110, 90)])
    before = proof(reader)
    with sqlite3.connect(journal.path) as other:
        other.execute("DELETE FROM samples WHERE seq < 150")
        other.execute("UPDATE spans SET sealed = n")
    other.close()
    assert proof(reader) == before
    assert recount(reader, {(DEVICE, BOOT): 140}) == []
    # A row too few or too many does not go unnoticed.
    for rows in (139, 141):
        (sentence,) = recount(reader, {(DEVICE, BOOT): rows})
        assert BOOT in sentence
        assert str(rows) in sentence


def test_a_journal_whose_counts_disagree_is_not_called_settled(journal, reader):
    import sqlite3

    journal.commit([message(0, 100)])
    with sqlite3.connect(journal.path) as other:
        other.execute("UPDATE spans SET n = n - 1")
    other.close()
    assert not proof(reader).settled
    assert not proof(reader).complete


def test_each_day_of_each_device_has_a_line(journal, reader):
    start = MIDNIGHT - 10 * PERIOD
    journal.commit([message(0, 25, start=start), message(0, 7, device=OTHER)])
    lines = {(d.device, d.day): d for d in device_days(reader)}
    day = MIDNIGHT // DAY
    assert set(lines) == {(DEVICE, day - 1), (DEVICE, day), (OTHER, NOW // DAY)}
    assert lines[DEVICE, day - 1].received == 10
    assert lines[DEVICE, day].received == 15
    assert lines[DEVICE, day].expected == 15
    assert lines[DEVICE, day].completeness == 1.0
    assert lines[DEVICE, day].hours == 1
    assert len(device_days(reader, first_day=day)) == 1
    assert len(device_days(reader, last_day=day - 1, device=DEVICE)) == 1


def test_a_gap_across_midnight_is_parted_between_the_days(journal, reader):
    start = MIDNIGHT - 100 * PERIOD
    journal.commit([message(0, 50, start=start), message(150, 50, start=start)])
    first, second = device_days(reader)
    # 50..99 were given before midnight, 100..149 after it.
    assert (first.outstanding, second.outstanding) == (50, 50)
    assert first.expected == second.expected == 100
    assert first.completeness == 0.5


def test_a_tail_is_put_where_its_pace_says_but_never_after_it_was_told(journal, reader):
    start = MIDNIGHT - 100 * PERIOD
    journal.commit([message(0, 50, start=start)])
    status = Status(True, BOOT, pending=[(BOOT, 50, 199)])
    journal.commit([hello(status, recv=start + 200 * PERIOD)])
    first, second = device_days(reader)
    assert (first.outstanding, second.outstanding) == (50, 100)
    # Told of before midnight, so generated before it.
    journal.commit([message(0, 50, device=OTHER, start=start)])
    early = hello(status, device=OTHER, recv=MIDNIGHT - 1)
    journal.commit([early])
    (line,) = device_days(reader, device=OTHER)
    assert line.outstanding == 150


def test_late_and_duplicate_records_have_their_columns(journal, reader):
    late = message(0, 10, recv=NOW + DAY)
    journal.commit([late, late])
    (line,) = device_days(reader)
    assert (line.received, line.late, line.duplicate) == (10, 10, 10)
    assert line.expected == 10


def test_records_without_a_time_are_in_the_ledger_too(journal, reader):
    journal.commit([message(0, 10, utc=None, src="none")])
    (line,) = device_days(reader)
    assert (line.received, line.expected) == (10, 10)
    assert proof(reader).complete


def test_numbers_beyond_all_reason_do_not_hang_the_ledger(journal, reader):
    journal.commit([message(0, 5), message(2**32 - 10, 10, low=0, tick=10**7)])
    (line,) = device_days(reader)
    assert line.expected == 2**32
    journal.commit([hello(Status(True, NEXT, pending=[(NEXT, 0, 2**32 - 1)]))])
    assert sum(d.expected for d in device_days(reader)) == 2**33


def test_the_ledger_as_a_table(journal, reader):
    journal.commit([message(0, 10), message(20, 10)])
    table = ledger_frame(device_days(reader))
    assert list(table["device"]) == [DEVICE]
    assert table["day"].dt.strftime("%Y-%m-%d").tolist() == ["2025-07-20"]
    assert table["completeness"].tolist() == [pytest.approx(2 / 3)]
    assert table["outstanding"].tolist() == [10]
    empty = ledger_frame([])
    assert len(empty) == 0
    assert list(empty.columns) == list(table.columns)
