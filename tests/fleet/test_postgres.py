"""PostgreSQL behind the same interface: a real server, started for these tests."""

import os
import pwd
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from archive_world import DAY, T0, World, found

from tilth.core.errors import InputError
from tilth.fleet.archive.files import ArchiveError
from tilth.fleet.archive.postgres import PostgresStore, has_timescale
from tilth.fleet.archive.query import Archive
from tilth.fleet.archive.seal import Sealer
from tilth.fleet.control import open_control
from tilth.fleet.placement import intervals, place

psycopg = pytest.importorskip("psycopg")

A, B = "0123456789ab", "ba9876543210"
LATER = T0 + 60 * DAY


def programs():
    """Return the folder of PostgreSQL's programs, or skip with the way out."""
    found_ = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in [Path(found_).parent] * bool(found_) + folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    reason = "PostgreSQL's server is not installed: apt-get install postgresql"
    if os.environ.get("TILTH_REQUIRE_DATA"):
        pytest.fail(reason)
    pytest.skip(reason)


class Server:
    """A server of our own: in a temporary folder, reached by its socket only."""

    def __init__(self):
        self.bin = programs()
        self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.user = "tilth"
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres"]
            self.prefix += ["--clear-groups"]
        else:
            self.prefix = []
        self.call(
            *("initdb", "-D", self.folder / "data", "-U", self.user),
            *("-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"),
        )
        self.start()

    def call(self, program, *arguments):
        command = [*self.prefix, self.bin / program, *arguments]
        done = subprocess.run(
            list(map(str, command)), capture_output=True, text=True, cwd=self.folder
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self):
        options = f"-k {self.folder} -c listen_addresses= -c max_connections=20"
        self.call(
            *("pg_ctl", "-D", self.folder / "data", "-w", "-l", self.folder / "log"),
            *("-o", options, "start"),
        )

    def stop(self, mode="fast"):
        self.call("pg_ctl", "-D", self.folder / "data", "-m", mode, "-w", "stop")

    def address(self, database="postgres"):
        return f"host={self.folder} user={self.user} dbname={database}"

    def run(self, sql, database="postgres"):
        with psycopg.connect(self.address(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else None

    def remove(self):
        self.stop("immediate")
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def server():
    made = Server()
    yield made
    made.remove()


@pytest.fixture
def address(server):
    """Return the address of an empty database."""
    name = f"t{os.urandom(4).hex()}"
    server.run(f"CREATE DATABASE {name}")
    yield server.address(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def store(address):
    made = PostgresStore(address)
    yield made
    made.close()


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def sealer(world, store, **options):
    return Sealer(world.folder, store, clock=lambda: LATER, **options)


def whole(world, store):
    with Archive(world.folder, store) as archive:
        records, doubles = found(archive)
    assert doubles == []
    assert records == world.truth


def rows(world):
    (n,) = world.journal.execute("SELECT count(*) FROM samples").fetchone()
    return n


def test_it_answers_as_the_files_do(world, store):
    world.days([A, B], 2, step=300_000)
    world.add(A, "f-0000000a", 0, range(T0 + 20 * DAY, T0 + 21 * DAY, 7_200_000))
    with open_control(world.folder) as control:
        place(control, A, "3.7.A", T0 + DAY + 1_234_567, source="web")
    with Archive(world.folder) as archive:
        before = archive.frame(None, T0, T0 + 30 * DAY)
        means = archive.hourly_means(T0, T0 + 30 * DAY, from_raw=True)
        events = archive.events(T0, T0 + 30 * DAY, A)
    with sealer(world, store) as work:
        work.seal_pending()
        assert work.seal_pending() == []
    assert rows(world) == 0
    whole(world, store)
    with Archive(world.folder, store) as archive:
        pd.testing.assert_frame_equal(before, archive.frame(None, T0, T0 + 30 * DAY))
        assert means.drop_attrs().identical(
            archive.hourly_means(T0, T0 + 30 * DAY, from_raw=True).drop_attrs()
        )
        pd.testing.assert_frame_equal(events, archive.events(T0, T0 + 30 * DAY, A))
        assert len(archive.frame(B, T0, T0 + DAY, ["co2"])) == 1440 // 5 - 12


def test_late_records_and_a_new_month_find_their_place(world, store):
    with sealer(world, store) as work:
        for i in range(6):
            begin = T0 + 10 * i * DAY
            world.add(A, "1-0000000a", 100 * i, range(begin, begin + 50_000, 1000))
            world.add(A, "2-0000000a", 10 * i, range(T0 + i, T0 + 3000, 1000))
            work.seal_pending()
    whole(world, store)


def test_a_seal_that_is_written_twice_is_there_once(world, store):
    world.days([A], 1)
    with Archive(world.folder) as archive:
        table = archive.records("samples", T0, T0 + DAY)
    for _ in range(2):
        name = store.write("samples", T0 // DAY, "abc", table)
    back = store.read("samples", [name], T0, T0 + DAY, None, table.column_names)
    assert sorted(back.to_pylist(), key=str) == sorted(table.to_pylist(), key=str)


class PowerCut(BaseException):
    pass


@pytest.mark.parametrize("moment", ["before the copy", "after the commit", "marked"])
def test_a_crash_at_the_edges_of_the_commit_doubles_nothing(
    world, store, address, monkeypatch, moment
):
    world.days([A], 1)
    work = sealer(world, store)
    real = store.write

    def write(*args):
        if moment == "before the copy":
            raise PowerCut
        real(*args)
        raise PowerCut

    def purge():
        raise PowerCut

    if moment == "marked":
        work.purge = purge
    else:
        monkeypatch.setattr(store, "write", write)
    work._clear()
    with pytest.raises(PowerCut):
        work.seal_pending()
    work.close()
    monkeypatch.undo()
    whole(world, store)
    with sealer(world, store) as work:
        work.seal_pending()
    whole(world, store)
    assert rows(world) == 0
    with psycopg.connect(address) as connection:
        for name, kind in (("readings", 17), ("happenings", 14)):
            count = connection.execute(f"SELECT count(*) FROM tilth.{name}").fetchone()
            expected = sum(len(r) < 14 if kind == 14 else len(r) == 14
                           for r in world.truth.values())  # fmt: skip
            assert count == (expected,), name


def test_a_server_that_dies_takes_nothing_from_the_journal(world, server, store):
    world.days([A], 1)
    full = rows(world)
    with sealer(world, store) as work:
        server.stop("immediate")
        try:
            with pytest.raises(ArchiveError, match="nothing was taken"):
                work.seal_pending()
            assert rows(world) == full
        finally:
            server.start()
        assert sum(done.rows for done in work.seal_pending()) == len(world.truth)
    assert rows(world) == 0
    whole(world, store)


def test_the_views_give_time_place_and_physical_units(world, store, address):
    world.add(A, "1-0000000a", 1, [T0, T0 + 1000], "5.1.A")
    with open_control(world.folder) as control:
        place(control, A, "5.10.A", T0 + 1000, source="web")
        store.mirror(intervals(control))
        store.mirror(intervals(control))
    with sealer(world, store) as work:
        work.seal_pending()
    with psycopg.connect(address, options="-c timezone=UTC") as connection:
        first, second = connection.execute(
            "SELECT time::text, location, co2, state FROM tilth.readings ORDER BY time"
        ).fetchall()
    counts = world.truth[A, "1-0000000a", 1][4]
    assert first[:2] == ("2025-07-20 00:00:00+00", "5.1.A")
    assert second[:2] == ("2025-07-20 00:00:01+00", "5.10.A")
    assert first[2] == pytest.approx(counts / 10)
    assert first[3] == "ambient"


def test_codes_stay_text(world, store):
    world.add(A, "1-0000000a", 0, [T0], "5.10.A")
    world.add(B, "1-0000000b", 0, [T0], "5.1.A")
    world.add("c" * 12, "1-0000000c", 0, [T0], "")
    with sealer(world, store) as work:
        work.seal_pending()
    with Archive(world.folder, store) as archive:
        assert list(archive.frame(None, T0, T0 + 1)["label"]) == ["5.10.A", "5.1.A", ""]


def test_awkward_text_comes_back_as_it_was(world, store):
    body = '{"text":"a,\\"b\\"\\n\\u0000 \\\\N","more":"ä\\t|"}'
    number, _ = world.boot(A, "1-0000000a")
    event = (number, 0, T0, 5, T0, 'a "b", c', "state", body, 0)
    world.insert(A, "1-0000000a", [], [event])
    with sealer(world, store) as work:
        work.seal_pending()
    whole(world, store)


def test_a_database_of_a_newer_version_is_refused(store, address):
    with psycopg.connect(address) as connection:
        connection.execute("UPDATE tilth.meta SET value = '99' WHERE key = 'schema'")
    with pytest.raises(ArchiveError, match="newer Tilth"):
        PostgresStore(address)


def test_a_database_that_is_not_there_is_said_so():
    with pytest.raises(ArchiveError, match="cannot be reached"):
        PostgresStore("host=/nowhere dbname=x connect_timeout=2")


def test_a_schema_must_be_a_plain_name():
    with pytest.raises(InputError, match="no name of a schema"):
        PostgresStore("host=/nowhere", schema='x"; DROP TABLE y')


def test_timescale_is_used_where_it_is_switched_on(world, address):
    """The extension itself is not in Debian: a function stands in for it."""
    with psycopg.connect(address, autocommit=True) as connection:
        assert not has_timescale(connection.execute)
        connection.execute("CREATE TABLE calls(name text, step bigint)")
        connection.execute(
            "CREATE FUNCTION create_hypertable(r regclass, c name,"
            " chunk_time_interval bigint) RETURNS void LANGUAGE sql AS"
            " $$INSERT INTO public.calls VALUES (r::text || '.' || c,"
            " chunk_time_interval)$$"
        )
        store = PostgresStore(address)
        calls = connection.execute("SELECT * FROM calls ORDER BY 1").fetchall()
    assert calls == [("events.t", 7 * DAY), ("samples.t", 7 * DAY)]
    world.days([A], 1)
    with sealer(world, store) as work:
        work.seal_pending()
    whole(world, store)
    store.close()


def test_a_restored_journal_takes_back_what_the_database_has_since(
    world, store, tmp_path
):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 20_000, 1000))
    with sqlite3.connect(tmp_path / "copy") as copy:
        world.journal.backup(copy)
    copy.close()
    world.add(A, "2-0000000a", 0, range(T0 + 50_000, T0 + 70_000, 1000), events={1})
    with sealer(world, store) as work:
        work.seal_pending()
    world.journal.close()
    for path in world.folder.glob("journal.sqlite*"):
        path.unlink()
    (tmp_path / "copy").rename(world.path)
    world.journal = sqlite3.connect(world.path, isolation_level=None)
    with sealer(world, store) as work:
        whole(world, store)
        work.seal_pending()
    whole(world, store)
    assert rows(world) == 0


def test_two_seals_of_one_number_of_a_clone_stay_apart(world, store):
    """Two devices may use the same boot id: copied flash does."""
    for device in (A, B):
        world.add(device, "1-0000000a", 0, range(T0, T0 + 5000, 1000))
    with sealer(world, store) as work:
        work.seal_pending()
    whole(world, store)
