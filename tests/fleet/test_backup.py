"""Backups: consistent while everything writes, checked when used, and healing after."""

import json
import sqlite3
import stat
import tarfile
import threading

import pytest
from archive_world import DAY, T0, World, found

from tilth.core.errors import InputError
from tilth.fleet import backup
from tilth.fleet.archive.files import JOURNAL_FILE
from tilth.fleet.archive.query import Archive
from tilth.fleet.archive.seal import Sealer
from tilth.fleet.backup import BackupError, check_backup, make_backup, restore_backup
from tilth.fleet.control import master_secret, open_control
from tilth.fleet.journal import Journal, Message
from tilth.fleet.placement import intervals, place
from tilth.fleet.protocol import Batch, Sample, encode_batch

A = "0123456789ab"
NOW = T0 + 9 * DAY


@pytest.fixture
def world(tmp_path):
    (tmp_path / "data").mkdir()
    made = World(tmp_path / "data")
    made.days([A], 2, step=600_000)
    with Sealer(made.folder, clock=lambda: T0 + 2 * DAY, keep_days=1) as work:
        work.seal_pending()
    yield made
    made.close()


def message(seq, n=10, low=None):
    batch = Batch(
        boot="1-0000000a", seq=seq, n=n, low=seq if low is None else low,
        tick=3000 * seq, utc=T0 + 3000 * seq, src="ntp", loc="5.10.A", fw="1.0.0",
        queued=n, dropped=0, events=[],
        samples=[
            Sample(i, 3000 * i, 4000 + i, 2500, 5000, 2400, 101_300, 5, 4900, 9, 0)
            for i in range(n)
        ],
    )  # fmt: skip
    return Message(f"tilth/v1/{A}/d", encode_batch(batch), T0 + 3000 * (seq + n))


def restored(folder):
    with Archive(folder) as archive:
        return found(archive)


@pytest.mark.parametrize("name", ["copy", "copy.tar", "copy.tar.gz"])
def test_a_backup_gives_everything_back(world, tmp_path, name):
    secret = master_secret(world.folder).reveal()
    (world.folder / "tilth.yaml").write_text("keep_days: 3\n")
    (world.folder / "firmware").mkdir()
    (world.folder / "firmware" / "1.0.0.bin").write_bytes(b"\0\1")
    with open_control(world.folder) as control:
        place(control, A, "5.10.A", T0, source="web")
    made = make_backup(world.folder, tmp_path / name, clock=lambda: NOW)
    assert made["created"] == NOW
    new = tmp_path / "new" / "data"
    assert restore_backup(tmp_path / name, new) == made
    assert restored(new) == (world.truth, [])
    assert master_secret(new).reveal() == secret
    assert (new / "tilth.yaml").read_text() == "keep_days: 3\n"
    assert (new / "firmware" / "1.0.0.bin").read_bytes() == b"\0\1"
    with open_control(new) as control:
        assert [p.loc for p in intervals(control)] == ["5.10.A"]
    with Sealer(new, clock=lambda: NOW) as work:
        assert work.start() == []
        work.seal_pending()
    assert restored(new) == (world.truth, [])


def test_a_backup_taken_while_writing_and_sealing_is_a_consistent_prefix(tmp_path):
    """Each backup holds the first k records in the order they were acknowledged."""
    folder = tmp_path / "data"
    stop, acked = threading.Event(), [-1]
    with Journal(folder / JOURNAL_FILE, clock=lambda: T0 + DAY) as journal:

        def ingest():
            seq = 0
            while not stop.is_set():
                (ack,) = journal.commit([message(seq)])
                acked[0] = ack.seq
                seq += 10

        def seal():
            with Sealer(folder, clock=lambda: T0 + 40 * DAY, keep_days=0) as work:
                while not stop.is_set():
                    work.seal_pending()

        journal.commit([message(0)])
        threads = [threading.Thread(target=work) for work in (ingest, seal)]
        for thread in threads:
            thread.start()
        sizes = []
        try:
            for i in range(4):
                before = acked[0]
                make_backup(folder, tmp_path / str(i))
                sizes.append((before, acked[0]))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    for i, (before, after) in enumerate(sizes):
        new = tmp_path / f"new{i}"
        restore_backup(tmp_path / str(i), new)
        records, doubles = restored(new)
        numbers = sorted(seq for _, _, seq in records)
        assert doubles == []
        assert numbers == list(range(len(numbers)))
        assert before <= numbers[-1] <= after
        with sqlite3.connect(new / JOURNAL_FILE) as connection:
            (ranges,) = connection.execute("SELECT first, last FROM ranges").fetchall()
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()
        assert ranges == (0, numbers[-1])


def test_what_was_forgotten_is_told_by_the_devices_and_heals(tmp_path):
    folder, now = tmp_path / "data", [T0 + DAY]
    with Journal(folder / JOURNAL_FILE, clock=lambda: now[0]) as journal:
        journal.commit([message(0)])
        make_backup(folder, tmp_path / "copy")
        assert journal.commit([message(10, low=0)])[0].seq == 19
    new = tmp_path / "new"
    restore_backup(tmp_path / "copy", new)
    with Journal(new / JOURNAL_FILE, clock=lambda: now[0]) as journal:
        # The device has deleted 10..19, for they were acknowledged.
        (ack,) = journal.commit([message(20, low=20)])
        for _ in range(10):
            if ack.seq == 29:
                break
            now[0] += 60_000
            acks = journal.tend() or journal.commit([message(20, low=20)])
            ack = acks[0]
        assert ack.seq == 29
        (tombstone,) = (
            journal.reader()
            .execute("SELECT first, last, reason FROM tombstones")
            .fetchall()
        )
        assert tombstone == (10, 19, "forgotten")
    assert sorted(seq for _, _, seq in restored(new)[0]) == [*range(10), *range(20, 30)]


def test_a_damaged_backup_restores_nothing(world, tmp_path):
    make_backup(world.folder, tmp_path / "copy")
    path = tmp_path / "copy" / JOURNAL_FILE
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    next((tmp_path / "copy" / "archive").rglob("*.parquet")).unlink()
    with pytest.raises(BackupError, match=r"has changed.*is missing"):
        restore_backup(tmp_path / "copy", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_tar_that_was_cut_short_is_refused(world, tmp_path, kind):
    make_backup(world.folder, tmp_path / f"copy.{kind}")
    content = (tmp_path / f"copy.{kind}").read_bytes()
    for part in (0.3, 0.9):
        (tmp_path / "cut.tar").write_bytes(content[: int(len(content) * part)])
        with pytest.raises(BackupError, match=r"cut short|is missing|has changed"):
            restore_backup(tmp_path / "cut.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(world, tmp_path):
    make_backup(world.folder, tmp_path / "copy")
    with pytest.raises(InputError, match="exists"):
        make_backup(world.folder, tmp_path / "copy")
    with pytest.raises(InputError, match="not empty"):
        restore_backup(tmp_path / "copy", world.folder)
    with pytest.raises(InputError, match="elsewhere"):
        make_backup(world.folder, world.folder / "copy")
    with pytest.raises(InputError, match="no fleet's data"):
        make_backup(tmp_path, tmp_path / "other")


def test_only_the_owner_can_read_a_backup(world, tmp_path):
    master_secret(world.folder)
    make_backup(world.folder, tmp_path / "copy")
    make_backup(world.folder, tmp_path / "copy.tar")
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "copy.tar").stat().st_mode) == 0o600


def test_sealed_files_are_shared_with_the_previous_backup(world, tmp_path):
    make_backup(world.folder, tmp_path / "first")
    make_backup(world.folder, tmp_path / "second", previous=tmp_path / "first")
    files = list((tmp_path / "second" / "archive").rglob("*.parquet"))
    assert files
    assert all(path.stat().st_nlink == 2 for path in files)
    check_backup(tmp_path / "second")


def test_a_backup_waits_for_files_that_are_merged_meanwhile(
    world, tmp_path, monkeypatch
):
    real, broken = backup._link, []

    def link(*args):
        if not broken:
            broken.append(1)
            raise FileNotFoundError(2, "gone", args[-1])
        return real(*args)

    monkeypatch.setattr(backup, "_link", link)
    make_backup(world.folder, tmp_path / "copy")
    check_backup(tmp_path / "copy")


def test_a_file_the_archive_has_lost_stops_the_backup(world, tmp_path):
    next((world.folder / "archive").rglob("*.parquet")).unlink()
    with pytest.raises(BackupError, match="the archive lacks"):
        make_backup(world.folder, tmp_path / "copy")
    assert list(tmp_path.iterdir()) == [world.folder]


def test_a_manifest_cannot_lead_out_of_the_folder(world, tmp_path):
    make_backup(world.folder, tmp_path / "copy")
    path = tmp_path / "copy" / backup.MANIFEST
    manifest = json.loads(path.read_text())
    manifest["files"]["../evil"] = {"size": 0, "sha256": ""}
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="outside of it"):
        restore_backup(tmp_path / "copy", tmp_path / "new")


def test_what_is_no_backup_is_refused(tmp_path):
    with pytest.raises(InputError, match="is no backup"):
        check_backup(tmp_path)
    (tmp_path / "x.tar").write_bytes(b"nothing")
    with pytest.raises(InputError, match="is no backup"):
        check_backup(tmp_path / "x.tar")
    with tarfile.open(tmp_path / "y.tar", "w"):
        pass
    with pytest.raises(InputError, match="is no backup"):
        check_backup(tmp_path / "y.tar")


def test_a_backup_of_a_newer_version_is_refused(world, tmp_path):
    make_backup(world.folder, tmp_path / "copy")
    path = tmp_path / "copy" / backup.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(InputError, match="newer than"):
        check_backup(tmp_path / "copy")
