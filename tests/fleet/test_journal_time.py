"""Times of records: known at once, found out later, corrected, never impossible."""

import pytest
from batches_world import (
    BOOT,
    DEVICE,
    NEXT,
    NOW,
    PERIOD,
    check,
    message,
    notices,
    one,
    rows,
)

from tilth.fleet.channels import QUALITIES
from tilth.fleet.clockmap import HOLD_MS
from tilth.fleet.journal import Journal
from tilth.fleet.journal_messages import Retimed
from tilth.fleet.journal_rollups import LATE_MS

HOUR, DAY = 3_600_000, 86_400_000
DARK = {"utc": None, "src": "none"}


@pytest.fixture
def now():
    return [NOW]


@pytest.fixture
def journal(tmp_path, now):
    with Journal(tmp_path / "journal.sqlite", lambda: now[0]) as journal:
        yield journal


def sync(i, tick, utc, src="ntp"):
    """An event at the end of a batch: the clock was set."""
    body = {"tick": tick, "utc": utc, "src": src, "rtt": 31}
    return (i, i * PERIOD, "sync", body)


def times(journal, table="samples"):
    return rows(journal, f"SELECT seq, t, quality FROM {table} ORDER BY seq")


def settle(journal, rounds=5):
    for _ in range(rounds):
        journal.tend()


def test_records_before_the_first_synchronisation_get_their_time_afterwards(journal):
    for k in range(4):
        journal.commit([message(5 * k, **DARK)])
    assert {t for _, t, _ in times(journal)} == {None}
    assert one(journal, "SELECT untimed FROM boots") == 20
    assert one(journal, "SELECT count(*) FROM rollups") == 0
    journal.take()
    event = sync(4, 24 * PERIOD, NOW + 24 * PERIOD)
    journal.commit([message(20, events=[event])])
    settle(journal)
    assert [t for _, t, _ in times(journal)] == [
        NOW + seq * PERIOD for seq, _, _ in times(journal)
    ]
    assert {q for _, _, q in times(journal)[:20]} == {QUALITIES["mapped"]}
    assert one(journal, "SELECT untimed FROM boots") == 0
    assert Retimed(DEVICE, BOOT, 0, 19) in journal.take()
    check(journal)


def test_a_synchronisation_times_its_own_batch_at_once(journal):
    event = sync(4, 4 * PERIOD, NOW + 4 * PERIOD)
    journal.commit([message(0, events=[event], **DARK)])
    assert [t for _, t, _ in times(journal)] == [NOW + i * PERIOD for i in range(4)]
    assert times(journal, "events")[0][1] == NOW + 4 * PERIOD
    check(journal)


def test_a_device_that_never_finds_the_time_is_timed_by_receipt(journal, now):
    for k in range(3):
        journal.commit([message(5 * k, **DARK)])
    now[0] = NOW + HOLD_MS + 20_000
    settle(journal)
    found = times(journal)
    assert {q for _, _, q in found} == {QUALITIES["received"]}
    # A second on the way, and the last record of a batch is the newest.
    assert all(t - (NOW + seq * PERIOD) == 1_000 + PERIOD for seq, t, _ in found)
    # From then on at once.
    later = 5 * 1000
    journal.commit([message(later, **DARK)])
    assert times(journal)[-1][2] == QUALITIES["received"]
    check(journal)


def test_a_time_by_receipt_is_corrected_when_a_synchronisation_comes(journal, now):
    # Offline since it booted: what comes now is a day and a half old.
    delay = 36 * HOUR
    for k in range(3):
        recv = NOW + delay + k * 100
        journal.commit([message(5 * k, recv=recv, **DARK)])
    now[0] = NOW + delay + HOLD_MS + 20_000
    settle(journal)
    assert {q for _, _, q in times(journal)} == {QUALITIES["received"]}
    check(journal)
    journal.take()
    tick = 20 * PERIOD
    journal.commit(
        [message(15, events=[sync(4, tick, NOW + tick)], recv=now[0], **DARK)]
    )
    settle(journal)
    assert [t for _, t, _ in times(journal)] == [
        NOW + seq * PERIOD for seq, _, _ in times(journal)
    ]
    assert Retimed(DEVICE, BOOT, 0, 14) in journal.take()
    # Rollups, spans and counters have moved with them.
    check(journal)


def test_a_battery_clock_that_was_wrong_is_corrected_too(journal):
    wrong = NOW - 5 * HOUR
    for k in range(3):
        utc = wrong + 15_000 * k
        journal.commit([message(5 * k, utc=utc, src="rtc")])
    assert {q for _, _, q in times(journal)} == {QUALITIES["rtc"]}
    tick = 19 * PERIOD
    journal.commit([message(15, events=[sync(4, tick, NOW + tick)])])
    settle(journal)
    assert [t for _, t, _ in times(journal)] == [
        NOW + seq * PERIOD for seq, _, _ in times(journal)
    ]
    check(journal)


def test_what_has_begun_to_be_sealed_keeps_its_time(journal):
    import sqlite3

    wrong = NOW - 5 * HOUR
    journal.commit([message(0, utc=wrong, src="rtc")])
    with sqlite3.connect(journal.path) as other:
        other.execute("UPDATE spans SET sealed = 5")
    other.close()
    journal.commit([message(15, events=[sync(4, 19 * PERIOD, NOW + 19 * PERIOD)])])
    settle(journal)
    assert [t for _, t, _ in times(journal)][:5] == [
        wrong + i * PERIOD for i in range(5)
    ]
    check(journal)


def test_a_reset_battery_clock_dates_nothing_to_2000_or_1970(journal):
    for k, utc in enumerate((946_684_800_000, 0, 2_085_978_496_000, -5)):
        journal.commit([message(5 * k, utc=utc, src="rtc", recv=NOW + 60_000)])
    assert {t for _, t, _ in times(journal)} == {None}
    journal.commit([message(20, events=[sync(4, 24 * PERIOD, NOW + 24 * PERIOD)])])
    settle(journal)
    assert [t for _, t, _ in times(journal)] == [
        NOW + seq * PERIOD for seq, _, _ in times(journal)
    ]
    check(journal)


def test_an_impossible_synchronisation_is_noticed(journal):
    journal.commit([message(0, events=[sync(4, 5_000, 2_085_978_496_000)], **DARK)])
    assert notices(journal) == ["clock"]
    for body in ({}, {"tick": "x", "utc": NOW}, {"tick": -5, "utc": NOW}):
        journal.commit([message(5, 1, events=[(0, 0, "sync", body)], **DARK)])
    assert {t for _, t, _ in times(journal)} == {None}


def test_a_jump_of_the_device_back_by_an_hour_doubles_no_hour(journal):
    first = [sync(0, 0, NOW)]
    journal.commit([message(0, events=first)])
    for k in range(1, 10):
        shift = -HOUR if k >= 5 else 0
        journal.commit([message(5 * k, utc=NOW + 15_000 * k + shift)])
    assert [t for _, t, _ in times(journal)] == [
        NOW + seq * PERIOD for seq, _, _ in times(journal)
    ]
    check(journal)


def test_a_jump_of_the_servers_clock_does_not_move_records(journal):
    journal.commit([message(0, events=[sync(0, 0, NOW)])])
    for k, jump in enumerate((HOUR, -HOUR, DAY, -DAY, 0), start=1):
        recv = NOW + 15_000 * (k + 1) + jump
        journal.commit([message(5 * k, recv=recv)])
    assert [t for _, t, _ in times(journal)] == [
        NOW + seq * PERIOD for seq, _, _ in times(journal)
    ]
    check(journal)


def test_a_backlog_of_three_days_lands_on_its_own_days(journal):
    recv = NOW + 3 * DAY
    per_day = DAY // PERIOD
    first = [sync(0, 0, NOW)]
    journal.commit([message(0, 100, events=first, recv=recv)])
    for day in range(3):
        seq = 100 + day * per_day
        journal.commit([message(seq, 100, recv=recv + day, low=0)])
    found = rows(journal, "SELECT day, received, late FROM counters ORDER BY day")
    assert sum(n for _, n, _ in found) == 400
    assert all(n == late for _, n, late in found)
    assert [day for day, _, _ in found] == [(NOW + d * DAY) // DAY for d in range(3)]
    check(journal)


def test_a_record_is_late_ten_minutes_after_it_was_measured(journal):
    journal.commit([message(0, 1, recv=NOW + LATE_MS)])
    journal.commit([message(1, 1, recv=NOW + PERIOD + LATE_MS + 1)])
    assert one(journal, "SELECT received, late FROM counters") == (2, 1)


def test_a_batch_across_midnight_is_counted_on_both_days(journal):
    midnight = (NOW // DAY + 1) * DAY
    journal.commit([message(0, 10, start=midnight - 4 * PERIOD)])
    found = rows(journal, "SELECT day, received FROM counters ORDER BY day")
    assert found == [(NOW // DAY, 4), (NOW // DAY + 1, 6)]
    check(journal)


def test_waiting_times_survive_a_restart(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Journal(path, lambda: NOW) as journal:
        journal.commit([message(0, **DARK)])
        journal.commit([message(0, boot=NEXT, **DARK)])
    with Journal(path, lambda: NOW) as journal:
        event = sync(4, 9 * PERIOD, NOW + 9 * PERIOD)
        journal.commit([message(5, events=[event], **DARK)])
    with Journal(path, lambda: NOW) as journal:
        journal.commit([message(10, **DARK)])
        settle(journal)
        found = rows(
            journal,
            "SELECT seq, t FROM samples JOIN boots b ON b.id = samples.boot "
            "WHERE b.boot = ? ORDER BY seq",
            BOOT,
        )
        assert [t for _, t in found] == [NOW + seq * PERIOD for seq, _ in found]
        check(journal)
    # The other boot was heard of long ago, and has no clock at all.
    late = NOW + 2 * HOLD_MS
    with Journal(path, lambda: late) as journal:
        settle(journal)
        journal.commit([message(5, boot=NEXT, recv=late, **DARK)])
        settle(journal)
        assert one(journal, "SELECT count(*) FROM samples WHERE t IS NULL") == 0
        check(journal)


def test_a_boot_heard_of_before_the_last_restart_is_timed_without_a_word(tmp_path):
    path = tmp_path / "journal.sqlite"
    with Journal(path, lambda: NOW) as journal:
        journal.commit([message(0, **DARK)])
    with Journal(path, lambda: NOW + 2 * HOLD_MS) as journal:
        settle(journal)
        assert one(journal, "SELECT count(*) FROM samples WHERE t IS NULL") == 0
        check(journal)


def test_long_boots_are_timed_piece_by_piece(journal, monkeypatch):
    monkeypatch.setattr("tilth.fleet.journal_retime.WINDOW", 7)
    for k in range(0, 60, 5):
        journal.commit([message(k, **DARK)])
    journal.commit([message(2**31, low=0, tick=60 * PERIOD, **DARK)])
    journal.commit([message(60, events=[sync(4, 64 * PERIOD, NOW + 64 * PERIOD)])])
    settle(journal, 20)
    assert one(journal, "SELECT count(*) FROM samples WHERE t IS NULL") == 0
    check(journal)
