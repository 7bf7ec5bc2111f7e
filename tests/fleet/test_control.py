"""The control file: durable, secret where it must be, and safe to upgrade."""

import logging
import pickle
import sqlite3
import stat
import threading

import pytest

from tilth.core.errors import InputError
from tilth.fleet import accounts
from tilth.fleet.control import SECRET_FILE, Control, master_secret
from tilth.fleet.database import Database, read_only

A = "0123456789ab"


class Clock:
    now = 1_753_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True)
def _quick_hashes(monkeypatch):
    """Hash as always, but at a cost that tests can bear."""
    monkeypatch.setattr(accounts, "_N", 16)


@pytest.fixture
def control(tmp_path, clock):
    with Control(tmp_path / "control.sqlite", clock) as opened:
        yield opened


def test_every_commit_is_forced_to_disk(control):
    assert control.row("PRAGMA journal_mode")["journal_mode"] == "wal"
    assert control.row("PRAGMA synchronous")["synchronous"] == 2


def test_only_the_owner_may_read_the_control_file_and_the_secret(control, tmp_path):
    master_secret(tmp_path)
    control.enrol(A, mqtt_hash="x")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


def test_the_secret_is_made_once_and_never_shown(tmp_path, caplog):
    secret = master_secret(tmp_path)
    assert len(secret.reveal()) == 32
    assert master_secret(tmp_path).reveal() == secret.reveal()
    logging.getLogger("tilth").warning("%s %r %s", secret, secret, [secret])
    shown = f"{secret}{secret!r}{vars(type(secret))}" + caplog.text
    assert secret.reveal().hex() not in shown
    assert repr(secret.reveal()) not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    master_secret(tmp_path)
    (tmp_path / SECRET_FILE).chmod(0o644)
    with pytest.raises(InputError, match="chmod 600"):
        master_secret(tmp_path)


def test_a_damaged_secret_is_never_replaced(tmp_path):
    path = tmp_path / SECRET_FILE
    path.touch(mode=0o600)
    path.chmod(0o600)
    with pytest.raises(InputError, match="restore it from a backup"):
        master_secret(tmp_path)
    assert path.read_bytes() == b""


def test_two_processes_that_start_together_agree_on_the_secret(tmp_path):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(master_secret(tmp_path).reveal()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [SECRET_FILE]


def test_a_device_that_is_enrolled_again_gets_a_new_password_and_is_let_in(control):
    control.enrol(A, mqtt_hash="first", name="north")
    control.set_enabled(A, False)
    control.enrol(A, mqtt_hash="second")
    device = control.device(A)
    assert (device["mqtt_hash"], device["enabled"], device["name"]) == (
        "second",
        1,
        "north",
    )
    with pytest.raises(InputError, match="is enrolled"):
        control.set_enabled("ffffffffffff", False)


def test_a_command_that_has_ended_stays_ended(control, clock):
    control.add_command(
        "c-1", A, "reboot", {}, after=0, before=clock.now + 60_000, by="anna"
    )
    assert control.set_command_state("c-1", "sent")
    assert control.set_command_state("c-1", "done", {"after_ms": 12})
    assert not control.set_command_state("c-1", "running")
    assert not control.set_command_state("c-2", "done")
    command = control.command("c-1")
    assert (command["state"], command["sent"]) == ("done", 1)
    assert command["result"] == {"after_ms": 12}
    assert control.commands(open_only=True) == []
    events = control.rows("SELECT state FROM command_events ORDER BY id")
    assert [e["state"] for e in events] == ["queued", "sent", "done"]


def test_open_commands_are_listed_newest_first(control, clock):
    for i in range(3):
        clock.now += 1
        control.add_command(f"c-{i}", A, "open", {"n": i}, after=0, before=0, by="x")
    assert [c["id"] for c in control.commands(A, open_only=True)] == [
        "c-2",
        "c-1",
        "c-0",
    ]
    assert control.commands("ffffffffffff") == []


def test_settings_keep_any_json(control):
    control.set_setting("fleet", {"loc": "5.10.A", "n": None}, by="anna")
    assert control.setting("fleet") == {"loc": "5.10.A", "n": None}
    assert control.setting("other", 7) == 7
    with pytest.raises(ValueError, match="JSON compliant"):
        control.set_setting("bad", float("nan"))


def test_a_password_is_checked_and_kept_only_as_a_hash(control, tmp_path):
    accounts.add_user(control, "anna", "correct horse battery", "admin")
    assert accounts.log_in(control, "anna", "wrong horse battery") is None
    assert accounts.log_in(control, "nobody", "correct horse battery") is None
    token, csrf = accounts.log_in(control, "anna", "correct horse battery")
    found = accounts.login(control, token)
    assert found == {"user": "anna", "role": "admin", "csrf": csrf}
    raw = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"correct horse" not in raw
    assert token.encode() not in raw


def test_a_login_ends_by_itself_by_logging_out_and_with_a_new_password(control, clock):
    accounts.add_user(control, "anna", "correct horse battery", "viewer")

    def log_in():
        return accounts.log_in(control, "anna", "correct horse battery")[0]

    token = log_in()
    clock.now += accounts.IDLE_MS - 1
    assert accounts.login(control, token)
    clock.now += accounts.IDLE_MS - 1
    assert accounts.login(control, token)  # its use had kept it open
    clock.now += accounts.IDLE_MS + 1
    assert accounts.login(control, token) is None
    token = log_in()
    accounts.log_out(control, token)
    assert accounts.login(control, token) is None
    token = log_in()
    accounts.add_user(control, "anna", "another good password", "viewer")
    assert accounts.login(control, token) is None


def test_a_disabled_account_cannot_log_in(control):
    accounts.add_user(control, "anna", "correct horse battery", "viewer")
    token, _ = accounts.log_in(control, "anna", "correct horse battery")
    accounts.disable_user(control, "anna")
    assert accounts.login(control, token) is None
    assert accounts.log_in(control, "anna", "correct horse battery") is None
    with pytest.raises(InputError, match="no user"):
        accounts.disable_user(control, "bob")


def test_both_spellings_of_an_accent_are_one_password(control):
    accounts.add_user(control, "anna", "caf\u00e9 caf\u00e9 caf\u00e9", "viewer")
    assert accounts.log_in(control, "anna", "cafe\u0301 cafe\u0301 cafe\u0301")


@pytest.mark.parametrize(
    ("name", "password", "role", "says"),
    [
        ("anna", "short", "viewer", "characters"),
        ("an na", "correct horse battery", "viewer", "no user name"),
        ("anna", "correct horse battery", "king", "no role"),
    ],
)
def test_an_account_that_will_not_do_is_refused(control, name, password, role, says):
    with pytest.raises(InputError, match=says):
        accounts.add_user(control, name, password, role)


def test_a_damaged_hash_lets_nobody_in():
    for stored in ("", "scrypt$1$2", "md5$1$2$3$aa$bb", "scrypt$a$b$c$d$e"):
        assert not accounts.password_matches("anything", stored)


ONE = "CREATE TABLE a(x);\nINSERT INTO a VALUES (1);\n"
TWO = "ALTER TABLE a ADD COLUMN y DEFAULT 2;\nUPDATE a SET x = x + 1;\n"


def test_a_schema_is_brought_up_to_date_once(tmp_path):
    Database(tmp_path / "x", [ONE], "a file").close()
    for _ in range(2):
        with Database(tmp_path / "x", [ONE, TWO], "a file") as db:
            assert tuple(db.row("SELECT * FROM a")) == (2, 2)
            assert db.meta("schema") == "2"


def test_a_migration_that_crashes_at_any_statement_leaves_the_old_schema(tmp_path):
    for broken in ("SELECT no_such();\n" + TWO, TWO + "SELECT no_such();\n"):
        path = tmp_path / str(len(broken) + broken.startswith("S"))
        Database(path, [ONE], "a file").close()
        with pytest.raises(sqlite3.OperationalError):
            Database(path, [ONE, broken], "a file")
        with Database(path, [ONE], "a file") as db:
            assert tuple(db.row("SELECT * FROM a")) == (1,)
            assert db.meta("schema") == "1"
        with Database(path, [ONE, TWO], "a file") as db:
            assert tuple(db.row("SELECT * FROM a")) == (2, 2)


def test_a_file_of_a_newer_version_is_refused_and_left_alone(tmp_path):
    Database(tmp_path / "x", [ONE, TWO], "a file").close()
    before = (tmp_path / "x").read_bytes()
    with pytest.raises(InputError, match="newer Tilth"):
        Database(tmp_path / "x", [ONE], "a file")
    assert (tmp_path / "x").read_bytes() == before


def test_what_is_no_database_is_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"not a database at all, but long enough" * 100)
    with pytest.raises(InputError, match="is not a file"):
        Database(tmp_path / "x", [ONE], "a file")


def test_a_transaction_that_fails_leaves_nothing_behind(control):
    def half():
        with control.transaction():
            control.set_setting("a", 1)
            with control.transaction():
                control.set_setting("b", 2)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        half()
    assert control.rows("SELECT * FROM settings") == []
    control.set_setting("a", 3)
    assert control.setting("a") == 3


def test_a_reader_cannot_write(control):
    control.set_setting("a", 1)
    reader = read_only(control.database.path)
    try:
        assert reader.execute("SELECT value FROM settings").fetchone()[0] == "1"
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM settings")
    finally:
        reader.close()


def test_threads_share_the_file_without_losing_a_change(control):
    control.set_setting("n", 0)

    def add():
        for _ in range(25):
            with control.transaction():
                control.set_setting("n", control.setting("n") + 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert control.setting("n") == 100
