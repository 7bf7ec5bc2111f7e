"""Sealing: every record is in the journal or in one file, at every moment."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time

import pytest
from archive_world import DAY, T0, World, found

from tilth.core.errors import InputError
from tilth.fleet.archive import files, seal
from tilth.fleet.archive.query import Archive
from tilth.fleet.archive.seal import Sealer

A, B = "0123456789ab", "ba9876543210"
LATER = T0 + 10 * DAY


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def sealer(world, **options):
    return Sealer(world.folder, clock=lambda: LATER, **options)


def whole(world):
    """Raise unless the archive gives every record exactly once."""
    with Archive(world.folder) as archive:
        records, doubles = found(archive)
    assert doubles == []
    assert records == world.truth


def rows_left(world):
    return [
        world.journal.execute(f"SELECT count(*) FROM {kind}").fetchone()[0]
        for kind in files.KINDS
    ]


def test_a_sealed_day_leaves_the_journal_and_stays_readable(world):
    world.days([A, B], 2)
    with sealer(world) as work:
        done = work.seal_pending()
    assert sum(s.rows for s in done) == len(world.truth)
    assert rows_left(world) == [0, 0]
    assert [f for s in done for f in s.files if f.startswith("samples/day=2025-07-2")]
    whole(world)


def test_only_days_that_ended_long_enough_ago_are_sealed(world):
    world.days([A], 3)
    with Sealer(world.folder, clock=lambda: T0 + 3 * DAY - 1, keep_days=1) as work:
        assert {s.day for s in work.seal_pending()} == {T0 // DAY}
    whole(world)


def test_late_records_of_a_sealed_day_go_into_a_file_beside_the_others(world):
    world.add(A, "1-0000000a", 0, range(T0, T0 + DAY, 600_000))
    with sealer(world) as work:
        work.seal_pending()
        # Three days late: the other half of the numbers, and another device.
        world.add(A, "1-0000000a", 500, range(T0 + 300_000, T0 + DAY, 600_000))
        world.add(B, "1-0000000b", 0, range(T0, T0 + DAY, 600_000))
        whole(world)
        (late,) = work.seal_pending()
        assert late.day == T0 // DAY
        assert work.seal_pending() == []
    assert rows_left(world) == [0, 0]
    whole(world)


def test_a_record_that_fills_a_gap_while_its_neighbours_are_sealed_is_kept(world):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 100_000, 1000))
    world.add(A, "1-0000000a", 200, range(T0 + 200_000, T0 + 300_000, 1000))
    with sealer(world) as work:
        real = work.store.write

        def write(*args):
            name = real(*args)
            if len(world.truth) == 200:
                world.add(A, "1-0000000a", 100, range(T0 + 100_000, T0 + 200_000, 1000))
            return name

        work.store.write = write
        work.seal_pending()
        work.seal_pending()
    assert len(world.truth) == 300
    assert rows_left(world) == [0, 0]
    whole(world)


def test_a_record_that_changes_while_it_is_sealed_is_sealed_as_it_is_now(world):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 100_000, 1000))
    with sealer(world) as work:
        real = work.store.write
        moved = []

        def write(*args):
            name = real(*args)
            if not moved:
                world.journal.execute("UPDATE samples SET t = t + 5 WHERE seq = 50")
                row = world.truth[A, "1-0000000a", 50]
                world.truth[A, "1-0000000a", 50] = (row[0] + 5, *row[1:])
                moved.append(1)
            return name

        work.store.write = write
        work.seal_pending()
    assert rows_left(world) == [0, 0]
    whole(world)


def test_a_time_that_may_still_be_bettered_waits_in_the_journal(world):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 50_000, 1000), quality=3)
    with sealer(world) as work:
        assert sum(s.rows for s in work.seal_pending()) == 0
    assert rows_left(world) == [50, 0]
    with Sealer(world.folder, clock=lambda: T0 + 15 * DAY) as work:
        assert sum(s.rows for s in work.seal_pending()) == 50
    whole(world)


def test_a_big_day_is_sealed_in_files_of_whole_boots(world):
    world.days([A, B], 1)
    with sealer(world, most_rows=900) as work:
        done = work.seal_pending()
    assert len(done) == 4
    assert max(s.rows for s in done) <= 900
    whole(world)


def test_many_small_files_of_a_day_are_merged_into_one(world):
    with sealer(world) as work:
        for i in range(7):
            world.add(A, "1-0000000a", 100 * i, range(T0 + i, T0 + 50_000, 1000))
            work.seal_pending()
            whole(world)
        names = world.journal.execute("SELECT file FROM seals").fetchall()
        assert len(names) < 7
    on_disk = list((world.folder / "archive").glob("*/day=*/*.parquet"))
    assert len(on_disk) == len(names)
    assert (
        files.check_files(world.folder / "archive", [name for (name,) in names]) == []
    )
    whole(world)


def test_a_query_that_meets_a_merge_starts_again(world):
    with sealer(world) as work, Archive(world.folder) as archive:
        for i in range(4):
            world.add(A, "1-0000000a", 100 * i, range(T0 + i, T0 + 50_000, 1000))
            work.seal_pending()
        real = archive.store.read
        met = []

        def read(*args):
            if not met:
                met.append(1)
                world.add(A, "1-0000000a", 900, range(T0 + 9, T0 + 50_000, 1000))
                work.seal_pending()  # makes the fifth file, and merges
            return real(*args)

        archive.store.read = read
        records, doubles = found(archive)
    assert met
    assert doubles == []
    assert records == world.truth


class PowerCut(BaseException):
    """Not an Exception: nothing may catch it on its way out."""


class Cut:
    """Counts what changes the disk or the journal, and fails at the n-th."""

    def __init__(self, at):
        self.left = at

    def step(self):
        self.left -= 1
        if self.left < 0:
            raise PowerCut

    def around(self, function):
        def wrapped(*args, **kwargs):
            self.step()
            return function(*args, **kwargs)

        return wrapped


class CutConnection:
    """A connection that fails at a counted statement, before it is run."""

    def __init__(self, connection, cut):
        self._connection, self._cut = connection, cut

    def __getattr__(self, name):
        found = getattr(self._connection, name)
        if name in ("execute", "executemany"):
            return self._cut.around(found)
        return found


def crash(monkeypatch, world, at, *, reopen=True):
    """Seal with a power cut at the n-th step; tell whether it came to that."""
    with monkeypatch.context() as patched:
        work = sealer(world, most_rows=60)
        try:
            cut = Cut(at)
            work._journal = CutConnection(work._journal, cut)
            patched.setattr(files.pq, "write_table", cut.around(files.pq.write_table))
            patched.setattr(os, "fsync", cut.around(os.fsync))
            patched.setattr(files.Path, "rename", cut.around(files.Path.rename))
            patched.setattr(files.Path, "unlink", cut.around(files.Path.unlink))
            patched.setattr(files, "sync_folder", cut.around(files.sync_folder))
            patched.setattr(seal.time, "sleep", lambda s: None)
            work.start()
            work.seal_pending()
        except PowerCut:
            return True
        finally:
            work.close()  # rolls back, as the next opening would
    return False


def test_a_power_cut_at_any_step_loses_and_doubles_nothing(monkeypatch, tmp_path):
    full = bool(os.environ.get("TILTH_FULL"))
    at, rng = 0, random.Random(1)
    while True:
        folder = tmp_path / str(at)
        folder.mkdir()
        world = World(folder)
        # A day with files to come, and one whose five small files will be merged.
        world.add(A, "1-0000000a", 0, range(T0 + DAY, T0 + DAY + 50_000, 1000))
        world.add(B, "1-0000000b", 0, range(T0 + DAY, T0 + DAY + 30_000, 1000))
        for i in range(5):
            world.add(A, "2-0000000a", 10 * i, range(T0 + i, T0 + 3000, 1000))
            if i < 4:
                with sealer(world, most_rows=60) as work:
                    work.seal_pending()
        crashed = crash(monkeypatch, world, at)
        whole(world)
        # Perhaps once more in the clearing up, then in peace.
        crash(monkeypatch, world, rng.randrange(12))
        whole(world)
        with sealer(world, most_rows=60) as work:
            work.seal_pending()
        whole(world)
        assert rows_left(world) == [0, 0]
        listed = {f for (f,) in world.journal.execute("SELECT file FROM seals")}
        on_disk = {
            path.relative_to(folder / "archive").as_posix()
            for path in (folder / "archive").glob("*/day=*/*")
        }
        assert on_disk == listed
        world.close()
        if not crashed:
            break
        at += 1 if full else 3 + at // 2
    assert at > 20


def test_files_the_journal_does_not_know_are_set_aside_not_deleted(world):
    world.days([A], 1)
    with sealer(world) as work:
        work.seal_pending()
    other = world.folder / "archive" / "samples" / "day=2025-07-20" / "mine.parquet"
    other.write_bytes(b"from somewhere")
    work = sealer(world)
    try:
        assert work.start() == ["samples/day=2025-07-20/mine.parquet"]
    finally:
        work.close()
    assert not other.exists()
    assert [
        p.read_bytes() for p in (world.folder / "archive").glob("aside/**/mine.parquet")
    ] == [b"from somewhere"]
    whole(world)


def copy_of(world, folder):
    """Return the journal as a backup of this moment."""
    with sqlite3.connect(folder / "copy.sqlite") as copy:
        world.journal.backup(copy)
    copy.close()
    return folder / "copy.sqlite"


def put_back(world, copy):
    """Restore the journal, but not the archive beside it."""
    world.journal.close()
    for path in world.folder.glob("journal.sqlite*"):
        path.unlink()
    copy.rename(world.path)
    world.journal = sqlite3.connect(world.path, isolation_level=None)


@pytest.mark.parametrize("merged", [False, True])
def test_an_older_journal_takes_back_what_was_sealed_since(world, tmp_path, merged):
    """The archive is newer than the journal: nothing is lost, nothing doubled."""
    world.add(A, "1-0000000a", 0, range(T0, T0 + 40_000, 1000), events={3})
    with sealer(world) as work:
        work.seal_pending()
        # Sealed after the backup; half of it is in the backup's journal.
        world.add(A, "1-0000000a", 40, range(T0 + 40_000, T0 + 60_000, 1000))
        copy = copy_of(world, tmp_path)
        for i in range(5 if merged else 1):
            begin, first = T0 + 60_000 + 1000 * i, 60 + 10 * i
            times = range(begin, begin + 10_000, 1000)
            world.add(A, "2-0000000a", first, times, events={0})
            work.seal_pending()
    put_back(world, copy)
    with sealer(world) as work:
        assert work.start() == []
        whole(world)
        work.seal_pending()
    whole(world)
    assert rows_left(world) == [0, 0]
    boots = world.journal.execute(
        "SELECT boot, first, last FROM ranges WHERE boot > 1"
    ).fetchall()
    assert boots == ([(2, 60, 109)] if merged else [(2, 60, 69)])
    with Archive(world.folder) as archive:
        hour = T0 // 3_600_000 * 3_600_000
        rolled, raw = (
            archive.hourly_means(hour, hour + 3_600_000, from_raw=raw)
            for raw in (False, True)
        )
    assert rolled.drop_attrs().identical(raw.drop_attrs())


def test_a_copy_of_a_file_that_counts_is_set_aside(world):
    world.days([A], 1)
    with sealer(world) as work:
        (done,) = work.seal_pending()
    path = world.folder / "archive" / done.files[0]
    token, rest = path.name.split(".", 1)
    (path.parent / f"{token}a.{rest}").write_bytes(path.read_bytes())
    work = sealer(world)
    try:
        assert len(work.start()) == 1
    finally:
        work.close()
    whole(world)


def test_two_sealers_never_work_on_one_folder(world):
    with sealer(world), pytest.raises(InputError, match="another process seals"):
        sealer(world)


def test_a_file_that_was_damaged_is_found_by_its_name(world):
    world.days([A], 1)
    with sealer(world) as work:
        (done,) = work.seal_pending()
    root = world.folder / "archive"
    assert files.check_files(root, done.files) == []
    path = root / done.files[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    (root / done.files[1]).unlink()
    wrong = files.check_files(root, done.files)
    assert "has changed" in wrong[0]
    assert "is missing" in wrong[1]


def test_a_disk_that_writes_something_else_stops_the_sealing(world, monkeypatch):
    world.days([A], 1)
    real = files.pq.write_table

    def write(table, path, **options):
        real(table.slice(1), path, **options)

    monkeypatch.setattr(files.pq, "write_table", write)
    with sealer(world) as work, pytest.raises(files.ArchiveError, match="read back"):
        work.seal_pending()
    assert sum(rows_left(world)) == len(world.truth)
    whole(world)


def test_a_full_disk_stops_the_sealing_until_there_is_room(world, monkeypatch):
    world.days([A], 1)

    def full(*args, **options):
        raise OSError(28, "No space left on device")

    with sealer(world) as work:
        with monkeypatch.context() as patched:
            patched.setattr(files.pq, "write_table", full)
            for _ in range(2):
                with pytest.raises(OSError, match="No space"):
                    work.seal_pending()
        whole(world)
        work.seal_pending()
    whole(world)
    assert rows_left(world) == [0, 0]
    assert world.journal.execute("SELECT DISTINCT state FROM seals").fetchall() == [
        ("sealed",)
    ]


def test_a_journal_that_was_replaced_is_noticed(world, tmp_path):
    """A damaged journal is put aside while the service runs."""
    world.days([A], 1)
    with sealer(world) as work:
        put_back(world, copy_of(world, tmp_path))
        work.seal_pending()
        assert rows_left(world) == [0, 0]
    whole(world)


def test_the_lock_is_held_only_briefly_while_much_is_purged(world, monkeypatch):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 3_000_000, 1000))
    rests = []
    monkeypatch.setattr(seal.time, "sleep", rests.append)
    monkeypatch.setattr(seal, "_ROWS_PER_PURGE", 250)
    with sealer(world) as work:
        work.seal_pending()
    assert len(rests) >= 3_000 // 250
    whole(world)


CHILD = textwrap.dedent("""
    import json, pathlib, sys
    from tilth.fleet.archive.seal import Sealer
    folder, now = pathlib.Path(sys.argv[1]), int(sys.argv[2])
    print("up", flush=True)
    with Sealer(folder, clock=lambda: now, most_rows=300) as work:
        print(sum(s.rows for s in work.seal_pending()), flush=True)
""")


def test_killed_at_random_moments_it_loses_and_doubles_nothing(world):
    """A process is killed, not an exception raised: nothing is cleaned up."""
    world.days([A, B], 2)
    rng = random.Random(3)
    kills = 40 if os.environ.get("TILTH_FULL") else 2
    survived = 0
    for _ in range(kills):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(world.folder), str(LATER)],
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            assert child.stdout.readline() == "up\n"
            time.sleep(rng.uniform(0, 0.15))
            child.send_signal(signal.SIGKILL)
            survived += bool(child.stdout.readline())
        whole(world)
    with sealer(world) as work:
        work.seal_pending()
    whole(world)
    assert rows_left(world) == [0, 0]
    assert survived < kills


def test_a_label_that_changes_within_a_boot_is_kept_row_by_row(world):
    for i, loc in enumerate(("5.1.A", "5.10.A", "5.1.A", "")):
        world.add(A, "1-0000000a", 10 * i, range(T0 + 9 * i, T0 + 9 * i + 9), loc)
    whole(world)
    with sealer(world) as work:
        work.seal_pending()
    whole(world)


def test_extreme_values_survive_sealing(world):
    number, _ = world.boot(A, "1-0000000a")
    top, low = 2**31 - 1, -(2**31)
    rows = [
        (number, 2**32 - 1, T0, 2**53 - 1, T0, "x" * 32, *[top] * 7, 255, top, 2),
        (number, 0, T0 + DAY - 1, 0, T0, "", *[low] * 7, 0, 0, 0),
        (number, 1, T0 + 1, 0, T0, "", *[None] * 7, 13, 1, 1),
    ]
    world.insert(A, "1-0000000a", rows, [])
    whole(world)
    with sealer(world) as work:
        work.seal_pending()
    whole(world)
    assert rows_left(world) == [0, 0]


def test_any_mixture_of_work_loses_and_doubles_nothing(monkeypatch, tmp_path):
    """Records early and late, sealing, crashes, new times: in any order."""
    runs = 60 if os.environ.get("TILTH_FULL") else 1
    for run in range(runs):
        rng = random.Random(run)
        folder = tmp_path / str(run)
        folder.mkdir()
        world = World(folder)
        now = T0 + DAY
        for _ in range(15):
            what = rng.random()
            if what < 0.5:
                device, boot = rng.choice([A, B]), f"{rng.randrange(3):x}-0000000a"
                free = [n for n in range(300) if (device, boot, n) not in world.truth]
                first, count = rng.choice(free), rng.randrange(1, 30)
                while any(
                    (device, boot, first + i) in world.truth for i in range(count)
                ):
                    count -= 1
                t = now - rng.choice([0, 1, 2, 5]) * DAY - rng.randrange(DAY)
                events = {i for i in range(count) if rng.random() < 0.1}
                times = range(t, t + 900_000 * count, 900_000)
                world.add(device, boot, first, times, seed=run, events=events)
            elif what < 0.6:
                now += rng.randrange(DAY)
            elif what < 0.85:
                with Sealer(folder, clock=lambda now=now: now, most_rows=40) as work:
                    work.seal_pending()
            else:
                crash(monkeypatch, world, rng.randrange(60))
            whole(world)
        world.close()


def test_events_keep_their_json(world):
    world.days([A], 1)
    with sealer(world) as work:
        work.seal_pending()
    with Archive(world.folder) as archive:
        events = archive.events(T0, T0 + DAY, A, "state")
    assert len(events) == 12
    assert all(body["to"] == "closed" for body in events["body"])
    assert json.loads('{"to":1}') == {"to": 1}
