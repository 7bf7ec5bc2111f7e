"""The journal on a disk that fails: nothing is acknowledged that is not stored."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from batches_world import BOOT, DEVICE, NOW, check, message, notices, one, rows

from tilth.fleet import database, journal_open, journal_schema
from tilth.fleet.journal import Journal
from tilth.fleet.journal_files import JournalError, StorageError
from tilth.fleet.journal_messages import Notice
from tilth.fleet.journal_wal import inspect_wal, repair_wal, wal_checksum
from tilth.fleet.ledger import recount
from tilth.fleet.protocol import Ack

FULL = bool(os.environ.get("TILTH_FULL"))


def open_journal(path, **options):
    return Journal(path, lambda: NOW, **options)


def crashed_copy(journal, folder):
    """Copy a journal that is open, log and all: what a kill leaves behind."""
    folder.mkdir()
    for end in ("", "-wal"):
        shutil.copyfile(f"{journal.path}{end}", folder / f"journal.sqlite{end}")
    return folder / "journal.sqlite"


def stored(journal):
    return [seq for (seq,) in rows(journal, "SELECT seq FROM samples ORDER BY seq")]


# F9: the disk is full


def test_a_full_disk_acknowledges_nothing_and_recovers_when_freed(tmp_path):
    with open_journal(tmp_path / "journal.sqlite") as journal:
        journal.commit([message(0)])
        limit = journal._connection.execute("PRAGMA page_count").fetchone()[0] + 1
        journal._connection.execute(f"PRAGMA max_page_count = {limit}")
        acked, failed, kinds = 4, 0, set()
        for seq in range(5, 5_000, 200):
            try:
                (ack,) = journal.commit([message(seq, 200)])
                acked = ack.seq
            except StorageError as error:
                kinds.add(error.kind)
                failed += 1
                # What was acknowledged, and nothing else, is there.
                assert stored(journal) == list(range(acked + 1))
                if failed == 3:
                    break
        assert failed == 3
        assert kinds == {"full"}
        check(journal)
        journal._connection.execute("PRAGMA max_page_count = 1000000")
        (ack,) = journal.commit([message(acked + 1, 150)])
        assert ack.seq == acked + 150
        check(journal)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_really_full_disk_loses_nothing(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", disk],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    try:
        with open_journal(disk / "journal.sqlite") as journal:
            acked, seq = -1, 0
            kinds = set()
            while len(kinds) == 0 or seq < 400:
                try:
                    (ack,) = journal.commit([message(seq, 200)])
                    acked, seq = ack.seq, ack.seq + 1
                except StorageError as error:
                    kinds.add(error.kind)
                    break
            assert kinds <= {"full", "io"}
            # Others use the rest up, so that not even the index of the log fits.
            with contextlib.suppress(OSError), open(disk / "filler", "wb") as filler:
                while filler.write(b"x" * 4096):
                    filler.flush()
            for _ in range(3):
                with pytest.raises(StorageError):
                    journal.commit([message(seq, 200)])
            subprocess.run(["mount", "-o", "remount,size=20m", disk], check=True)
            (ack,) = journal.commit([message(seq, 200)])
            assert ack.seq == acked + 200
            assert stored(journal) == list(range(acked + 201))
            check(journal)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


# F10: the disk reports an error when flushing


SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
/* Fails the flush of any file while the file named by EIO_WHEN exists. */
static int fails(void) {
    const char *when = getenv("EIO_WHEN");
    struct stat s;
    if (when && stat(when, &s) == 0) { errno = EIO; return 1; }
    return 0;
}
int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fsync");
    return fails() ? -1 : real(fd);
}
int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = dlsym(RTLD_NEXT, "fdatasync");
    return fails() ? -1 : real(fd);
}
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="the shim is compiled with gcc")
def test_an_error_when_flushing_is_fatal_for_the_connection_and_never_acked(tmp_path):
    source, shim, when = (tmp_path / n for n in ("shim.c", "shim.so", "fail"))
    source.write_text(SHIM)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source, "-ldl"], check=True)
    script = f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from batches_world import NOW, check, message, one
        from tilth.fleet.journal import Journal
        from tilth.fleet.journal_files import StorageError
        when = Path({str(when)!r})
        with Journal({str(tmp_path / "journal.sqlite")!r}, lambda: NOW) as journal:
            (ack,) = journal.commit([message(0)])
            before = journal._connection
            when.touch()
            for k in range(4):
                try:
                    acks = journal.commit([message(5)])
                    raise SystemExit(f"acknowledged: {{acks}}")
                except StorageError as error:
                    assert error.kind == "io", error.kind
                    assert journal._connection is None
            when.unlink()
            (ack,) = journal.commit([message(5)])
            assert ack.seq == 9, ack
            assert journal._connection is not before
            assert one(journal, "SELECT count(*) FROM samples") == 10
            check(journal)
        print("well")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"LD_PRELOAD": str(shim), "EIO_WHEN": str(when)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "well\n", done.stderr


# F11: bits flipped


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    """The files of a journal of 30 groups whose server was killed."""
    folder = tmp_path_factory.mktemp("crashed")
    with open_journal(folder / "journal.sqlite") as journal:
        for k in range(30):
            journal.commit([message(5 * k)])
        path = crashed_copy(journal, folder / "copy")
    return path


def copy_of(crashed, folder):
    for end in ("", "-wal"):
        shutil.copyfile(f"{crashed}{end}", folder / f"journal.sqlite{end}")
    return folder / "journal.sqlite", folder / "journal.sqlite-wal"


def flip(path, byte, bit):
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def test_the_checksum_of_the_log_is_that_of_sqlite(crashed):
    report = inspect_wal(Path(f"{crashed}-wal"))
    assert report.commits >= 30
    assert not report.damaged
    assert not report.torn

    def slow(words):
        s0 = s1 = 7
        for k in range(0, len(words), 2):
            s0 = (s0 + words[k] + s1) % 2**32
            s1 = (s1 + words[k + 1] + s0) % 2**32
        return s0, s1

    words = [random.Random(k).getrandbits(32) for k in range(64)]
    data = b"".join(word.to_bytes(4, "big") for word in words)
    assert wal_checksum((7, 7), data, ">") == slow(words)


def test_without_looking_sqlite_would_drop_acknowledged_commits_in_silence(
    crashed, tmp_path
):
    path, wal = copy_of(crashed, tmp_path)
    flip(wal, wal.stat().st_size // 2, 3)
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT count(*) FROM samples").fetchone()[0]
    connection.close()
    assert found < 150


@pytest.mark.parametrize("seed", range(120 if FULL else 5))
def test_a_flipped_bit_in_the_log_is_mended_or_noticed(crashed, tmp_path, seed):
    rng = random.Random(seed)
    path, wal = copy_of(crashed, tmp_path)
    good = wal.read_bytes()
    # Up to the last two transactions: a torn end looks the same.
    flip(wal, rng.randrange(32, len(good) * 3 // 4), rng.randrange(8))
    damaged = wal.read_bytes()
    with open_journal(path) as journal:
        heard = [n for n in journal.take() if isinstance(n, Notice)]
        assert [n.what for n in heard] == ["journal_log_damaged"]
        assert notices(journal) == ["journal_log_damaged"]
        body = heard[0].body
        # The damaged log is kept beside.
        assert (tmp_path / body["copy"]).read_bytes() == damaged
        lost = 150 - len(stored(journal))
        assert stored(journal) == list(range(150 - lost))
        assert (lost == 0) == bool(body["repaired"])
        assert (lost > 0) == (body["lost_commits"] > 0)
        check(journal)


def test_most_flipped_bits_are_flipped_back(crashed, tmp_path):
    wal = tmp_path / "log"
    good = Path(f"{crashed}-wal").read_bytes()
    rng = random.Random(0)
    mended = 0
    for _ in range(20):
        content = bytearray(good)
        content[rng.randrange(32, len(good) * 3 // 4)] ^= 1 << rng.randrange(8)
        wal.write_bytes(content)
        assert inspect_wal(wal).damaged
        mended += not repair_wal(wal).damaged
    assert mended >= 15


def test_a_log_cut_by_a_power_failure_is_no_damage(crashed, tmp_path):
    path, wal = copy_of(crashed, tmp_path)
    good = wal.read_bytes()
    wal.write_bytes(good[:-5000])
    report = inspect_wal(wal)
    assert not report.damaged
    with open_journal(path) as journal:
        assert notices(journal) == []
        assert stored(journal) in (list(range(145)), list(range(150)))
        check(journal)


def test_a_log_of_nothing_or_of_noise_is_no_log(tmp_path):
    wal = tmp_path / "log"
    assert inspect_wal(wal).frames == 0
    for content in (b"", b"x" * 10_000, b"\x37\x7f\x06\x82" + bytes(5_000)):
        wal.write_bytes(content)
        assert inspect_wal(wal) == repair_wal(wal)
        assert not inspect_wal(wal).damaged


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A journal of some hundred pages, closed in good order."""
    folder = tmp_path_factory.mktemp("large")
    with open_journal(folder / "journal.sqlite") as journal:
        for k in range(40):
            journal.commit([message(200 * k, 200)])
    return folder / "journal.sqlite"


@pytest.mark.parametrize("seed", range(60 if FULL else 4))
def test_a_journal_with_ruined_pages_is_put_aside_and_salvaged(large, tmp_path, seed):
    rng = random.Random(seed)
    path = tmp_path / "journal.sqlite"
    shutil.copyfile(large, path)
    content = bytearray(path.read_bytes())
    for page in rng.sample(range(1, len(content) // 8192), 3):
        content[page * 8192 : page * 8192 + 200] = rng.randbytes(200)
    path.write_bytes(content)
    Path(f"{path}-wal").write_bytes(b"x")  # as after an unclean end
    with open_journal(path) as journal:
        (ack,) = journal.commit([message(8_000)])
        if "journal_damaged" not in notices(journal):
            # Only free pages or an index were hit, and the check is content.
            return
        assert (tmp_path / f"journal.sqlite.corrupt-{NOW}").read_bytes() == content
        kept = stored(journal)
        # A page holds some hundred records; three pages were ruined.
        stones = one(journal, "SELECT ifnull(sum(last - first + 1), 0) FROM tombstones")
        assert len(kept) + stones >= 8_005 or ack.seq < 8_004
        for seq, co2 in rows(journal, "SELECT seq, co2 FROM samples WHERE seq < 8000"):
            assert co2 == 4000 + seq % 977
        assert journal._connection.execute("PRAGMA integrity_check").fetchall() == [
            ("ok",)
        ]


@pytest.mark.parametrize("table", ["devices", "boots", "ranges", "spans", "rollups"])
def test_a_table_that_is_gone_altogether_takes_no_other_with_it(large, tmp_path, table):
    path = tmp_path / "journal.sqlite"
    shutil.copyfile(large, path)
    connection = sqlite3.connect(path)
    roots = [
        root
        for (root,) in connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE tbl_name = ?", (table,)
        )
    ]
    connection.close()
    content = bytearray(path.read_bytes())
    for page in roots:  # its indexes too
        content[(page - 1) * 8192 : (page - 1) * 8192 + 300] = b"\xff" * 300
    path.write_bytes(content)
    Path(f"{path}-wal").write_bytes(b"x")
    with open_journal(path) as journal:
        assert notices(journal) == ["journal_damaged"]
        assert stored(journal) == list(range(8_000))
        # A boot that is new to it is not taken for one it has forgotten.
        again = journal.commit([message(0, 200), message(0, 200, boot="7-00000007")])
        assert [ack.seq for ack in again][1] == 199
        assert one(journal, "SELECT count(*) FROM samples") in (8_200, 8_400)
        assert recount(journal.reader(), {}) == []


def test_the_names_of_devices_are_read_from_their_index(large, tmp_path):
    path = tmp_path / "journal.sqlite"
    shutil.copyfile(large, path)
    connection = sqlite3.connect(path)
    roots = [
        root
        for (root,) in connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE type = 'table' "
            "AND name IN ('devices', 'boots')"
        )
    ]
    connection.close()
    content = bytearray(path.read_bytes())
    for page in roots:
        content[(page - 1) * 8192 : (page - 1) * 8192 + 300] = b"\xff" * 300
    path.write_bytes(content)
    Path(f"{path}-wal").write_bytes(b"x")
    with open_journal(path) as journal:
        assert one(journal, "SELECT name FROM devices") == DEVICE
        assert one(journal, "SELECT boot FROM boots") == BOOT
        assert journal.commit([message(8_000)]) == [Ack(DEVICE, BOOT, 8_004)]


def test_a_file_that_was_overwritten_is_put_aside_and_the_fleet_goes_on(tmp_path):
    path = tmp_path / "journal.sqlite"
    with open_journal(path) as journal:
        journal.commit([message(0)])
    noise = random.Random(0).randbytes(50_000)
    path.write_bytes(noise)
    with open_journal(path) as journal:
        assert notices(journal) == ["journal_damaged"]
        assert (tmp_path / f"journal.sqlite.corrupt-{NOW}").read_bytes() == noise
        assert journal.commit([message(5, low=5)]) == [Ack(DEVICE, BOOT, -1, [(5, 9)])]


def test_damage_found_while_running_is_survived(tmp_path):
    path = tmp_path / "journal.sqlite"
    with open_journal(path) as journal:
        for k in range(40):
            journal.commit([message(200 * k, 200)])
        journal._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        journal._connection.execute("PRAGMA cache_size = 0")
        journal._connection.execute("PRAGMA shrink_memory")
        content = bytearray(path.read_bytes())
        for page in range(2, len(content) // 8192):
            content[page * 8192 : page * 8192 + 16] = b"\xff" * 16
        path.write_bytes(content)
        seen, kinds = None, set()
        for _ in range(3):
            try:
                seen = journal.commit([message(8_000), message(5)])
                break
            except StorageError as error:
                kinds.add(error.kind)
        assert kinds <= {"corrupt", "io"}
        assert seen
        assert "journal_damaged" in notices(journal)


# F12: a reader that stays


def test_a_reader_that_stays_does_not_make_the_log_grow_for_ever(tmp_path):
    limit = 300_000
    with open_journal(tmp_path / "journal.sqlite", wal_limit=limit) as journal:
        journal.commit([message(0, 200), message(200, 200), message(400, 200)])
        slow = journal.reader()
        cursor = slow.execute("SELECT * FROM samples")
        cursor.fetchone()  # and now it goes for a coffee
        quick = journal.reader()
        quick.execute("SELECT * FROM boots").fetchall()
        largest = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tilth.fleet.journal.CHECKPOINT_BYTES", 50_000)
            patch.setattr("tilth.fleet.journal.PATIENCE_S", 0.0)
            for k in range(3, 60):
                journal.commit([message(200 * k, 200)])
                largest = max(largest, journal.sizes()["log"])
        assert largest < limit + 300_000
        with pytest.raises(JournalError, match="cut off"):
            cursor.fetchall()
        slow.close()
        # One that has read all it asked for stands in nobody's way.
        assert quick.execute("SELECT count(*) FROM samples").fetchone() == (12_000,)
        quick.close()
        assert "reader_cut_off" in notices(journal)
        check(journal)


def test_a_reader_of_another_process_that_stays_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr("tilth.fleet.journal.CHECKPOINT_BYTES", 50_000)
    with open_journal(tmp_path / "journal.sqlite", wal_limit=200_000) as journal:
        journal.commit([message(0, 200)])
        foreign = sqlite3.connect(journal.path, isolation_level=None)
        foreign.execute("BEGIN")
        foreign.execute("SELECT count(*) FROM samples").fetchall()
        for k in range(1, 12):
            journal.commit([message(200 * k, 200)])
        assert notices(journal) == ["log_not_shrinking"]
        foreign.close()
        for k in range(12, 16):
            journal.commit([message(200 * k, 200)])
        size = journal.sizes()["log"]
        for k in range(16, 30):
            journal.commit([message(200 * k, 200)])
        assert journal.sizes()["log"] == size
        check(journal)


def test_readers_see_whole_groups_while_the_writer_goes_on(tmp_path):
    with open_journal(tmp_path / "journal.sqlite") as journal:
        reader = journal.reader()
        for k in range(20):
            journal.commit([message(10 * k, 5), message(10 * k + 5, 5)])
            count, settled = reader.execute(
                "SELECT (SELECT count(*) FROM samples), "
                "(SELECT sum(last - first + 1) FROM ranges)"
            ).fetchone()
            assert count == settled == 10 * (k + 1)
        assert list(reader.execute("SELECT 1 UNION SELECT 2")) == [(1,), (2,)]
        assert reader.execute("SELECT 1").fetchmany(5) == [(1,)]
        reader.close()


def test_another_process_that_writes_delays_but_loses_nothing(tmp_path):
    path = tmp_path / "journal.sqlite"
    with open_journal(path) as journal:
        journal._connection.execute("PRAGMA busy_timeout = 20")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError) as caught:
            journal.commit([message(0)])
        assert caught.value.kind == "busy"
        other.execute("ROLLBACK")
        other.close()
        assert journal.commit([message(0)]) == [Ack(DEVICE, BOOT, 4)]
        check(journal)


# F22: upgrades


NEXT_SCHEMA = """
ALTER TABLE boots ADD COLUMN remark TEXT;
CREATE TABLE remarks(id INTEGER PRIMARY KEY, text TEXT);
INSERT INTO remarks(text) SELECT boot FROM boots;
CREATE INDEX remarks_text ON remarks(text);
UPDATE boots SET remark = 'old';
"""


def schema_of(path):
    connection = sqlite3.connect(path)
    schema = connection.execute(
        "SELECT sql FROM sqlite_schema ORDER BY name"
    ).fetchall()
    version = connection.execute(
        "SELECT value FROM meta WHERE key = 'schema'"
    ).fetchone()
    connection.close()
    return version, schema


def test_an_upgrade_cut_off_at_any_statement_leaves_the_journal_usable(
    tmp_path, monkeypatch
):
    path = tmp_path / "journal.sqlite"
    with open_journal(path) as journal:
        journal.commit([message(0)])
    before = schema_of(path)
    newer = (*journal_schema.MIGRATIONS, NEXT_SCHEMA)
    whole = database.statements
    for cut in range(6):

        def cut_off(script, cut=cut):
            for k, statement in enumerate(whole(script)):
                if k == cut:
                    raise KeyboardInterrupt
                yield statement
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(journal_open, "MIGRATIONS", newer)
            patch.setattr(database, "statements", cut_off)
            with pytest.raises(KeyboardInterrupt):
                open_journal(path)
        assert schema_of(path) == before
        with open_journal(path) as journal:  # the old version goes on
            assert journal.commit([message(5 * cut + 5)])[0].seq == 5 * cut + 9
            check(journal)
    with monkeypatch.context() as patch:
        patch.setattr(journal_open, "MIGRATIONS", newer)
        with open_journal(path) as journal:
            assert one(journal, "SELECT remark FROM boots") == "old"
            assert journal.commit([message(35)])[0].seq == 39
    assert schema_of(path)[0] != before[0]


def test_an_upgrade_killed_at_any_moment_leaves_the_journal_usable(tmp_path):
    script = f"""
        import os, signal, sqlite3, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from batches_world import NOW
        from tilth.fleet import journal_open, journal_schema
        from tilth.fleet.journal import Journal
        journal_open.MIGRATIONS = (*journal_schema.MIGRATIONS, {NEXT_SCHEMA!r})
        cut, count = int(sys.argv[2]), 0
        real = sqlite3.connect
        def connect(*args, **named):
            connection = real(*args, **named)
            def step(statement):
                global count
                count += 1
                if count == cut:
                    os.kill(os.getpid(), signal.SIGKILL)
            connection.set_trace_callback(step)
            return connection
        sqlite3.connect = connect
        Journal(sys.argv[1], lambda: NOW).close()
    """
    cuts = range(1, 45) if FULL else (14, 24)
    for cut in cuts:
        path = tmp_path / str(cut) / "journal.sqlite"
        with open_journal(path) as journal:
            journal.commit([message(0)])
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), path, str(cut)],
            check=False,
        )
        assert done.returncode in (-signal.SIGKILL, 0)
        assert schema_of(path)[0][0] in ("1", "2")
        connection = sqlite3.connect(path)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM samples").fetchone() == (5,)
        connection.close()


def test_a_journal_of_a_newer_version_is_refused_and_left_alone(tmp_path, monkeypatch):
    path = tmp_path / "journal.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(
            journal_open, "MIGRATIONS", (*journal_schema.MIGRATIONS, NEXT_SCHEMA)
        )
        with open_journal(path) as journal:
            journal.commit([message(0)])
    before = schema_of(path)
    with pytest.raises(JournalError, match="newer Tilth"):
        open_journal(path)
    assert schema_of(path) == before
