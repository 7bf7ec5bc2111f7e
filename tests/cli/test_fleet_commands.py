"""``tilth fleet``: from a simulated data folder to its ledger, copies and people."""

import json

import pytest

from tilth.cli import main


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """A quarter of an hour of two simulated chambers."""
    folder = tmp_path_factory.mktemp("cli") / "fleet"
    words = ["simulate", "--out", folder, "--devices", 2, "--days", 0.02, "--seed", 3]
    assert main(["fleet", *map(str, words)]) == 0
    return folder


def run(capsys, *words):
    """Run a command of the fleet; return its exit code, output and errors."""
    capsys.readouterr()
    code = main(["fleet", *map(str, words)])
    told = capsys.readouterr()
    return code, told.out, told.err


def test_a_simulated_fleet_has_its_truth_beside_it(fleet):
    names = sorted(path.name for path in (fleet / "truth").iterdir())
    assert names == ["cycles.csv", "devices.csv", "episodes.csv"]


def test_a_fleet_is_not_simulated_over_another(fleet, capsys):
    code, _, err = run(capsys, "simulate", "--out", fleet, "--devices", 1)
    assert code == 2
    assert "holds a fleet already" in err


def test_the_ledger_proves_and_recounts_what_was_simulated(fleet, capsys, tmp_path):
    code, out, _ = run(capsys, "ledger", fleet, "--recount")
    assert code == 0
    assert "0 records lost" in out
    code, out, _ = run(capsys, "ledger", fleet, "--out", tmp_path / "ledger.csv")
    assert code == 0
    assert (tmp_path / "ledger.csv").read_text().startswith("device,day,expected")


def test_the_ledger_exits_with_one_where_something_is_lost(fleet, capsys, tmp_path):
    import sqlite3
    from contextlib import closing

    assert run(capsys, "backup", fleet, tmp_path / "b")[0] == 0
    assert run(capsys, "restore", tmp_path / "b", tmp_path / "f")[0] == 0
    with closing(sqlite3.connect(tmp_path / "f" / "journal.sqlite")) as journal:
        # A hole in the numbers that nothing explains, below what the device holds.
        boot, first, last = journal.execute(
            "SELECT boot, first, last FROM ranges ORDER BY last DESC"
        ).fetchone()
        with journal:
            journal.execute(
                "UPDATE ranges SET last = ? WHERE boot = ? AND first = ?",
                (first + 9, boot, first),
            )
            journal.execute(
                "INSERT INTO ranges VALUES (?, ?, ?)", (boot, first + 20, last)
            )
            journal.execute("UPDATE boots SET low = ? WHERE id = ?", (last, boot))
    code, out, _ = run(capsys, "ledger", tmp_path / "f")
    assert code == 1
    assert "10 records lost" in out


def test_status_names_place_and_firmware_of_every_chamber(fleet, capsys):
    code, out, _ = run(capsys, "status", fleet)
    assert code == 0
    assert out.count("1.0.0") == 2
    assert "5." in out


def test_a_copy_made_by_replay_is_the_same_and_again_changes_nothing(
    fleet, capsys, tmp_path
):
    code, out, _ = run(capsys, "replay", fleet, tmp_path / "copy")
    assert code == 0
    assert "0 were there already" in out
    assert not out.startswith("0 new")
    code, out, _ = run(capsys, "replay", fleet, tmp_path / "copy")
    assert code == 0
    assert out.startswith("0 new records")
    assert run(capsys, "ledger", tmp_path / "copy", "--recount")[0] == 0
    code, _, err = run(capsys, "replay", fleet, fleet)
    assert code == 2
    assert "same folder" in err


def test_a_chamber_is_enrolled_once_readable_and_its_secret_not_shown(capsys, tmp_path):
    folder, file = tmp_path / "fleet", tmp_path / "c.json"
    words = ["device", "add", folder, "0123456789ab", "--host", "h", "--out", file]
    code, out, err = run(capsys, *words)
    assert code == 0
    given = json.loads(file.read_text())
    assert file.stat().st_mode & 0o077 == 0
    assert given["mqtt_password"] not in out + err
    assert run(capsys, "device", "revoke", folder, "0123456789ab")[0] == 0
    assert "locked out" in run(capsys, "device", "list", folder)[1]
    code, _, err = run(capsys, "device", "add", folder, "nonsense", *words[4:])
    assert code == 2
    assert "12 hexadecimal digits" in err


def test_a_calibration_needs_a_time_to_come_and_chambers(capsys, tmp_path):
    folder = tmp_path / "fleet"
    run(capsys, "firmware", "trust", folder, "a" * 64)
    for at, told in (
        ("2001-01-01T00:00Z", "has passed"),
        ("soon", "is no time"),
        ("2099-01-01T00:00", "no time zone"),
        ("2099-01-01T00:00Z", "no device is enrolled"),
    ):
        code, _, err = run(capsys, "calibrate", folder, "--at", at)
        assert code == 2
        assert told in err


def test_firmware_is_held_only_if_it_was_signed_by_the_trusted_key(capsys, tmp_path):
    folder, out = tmp_path / "fleet", tmp_path / "bundles"
    keys = []
    for name in ("ours", "theirs"):
        code, public, _ = run(capsys, "firmware", "keys", tmp_path / name)
        assert code == 0
        keys.append(public.strip())
    run(capsys, "firmware", "trust", folder, keys[0])
    for name in ("ours", "theirs"):
        words = ["--key", tmp_path / name, "--serial", 5, "--out", out / name]
        assert run(capsys, "firmware", "build", *words)[0] == 0
    bundles = {p.parent.name: p for p in out.rglob("*.bundle")}
    address = ["--url", "http://10.0.0.2:8000"]
    code, _, err = run(capsys, "firmware", "add", folder, bundles["theirs"], *address)
    assert code == 2
    assert "refused: signature" in err
    code, told, _ = run(capsys, "firmware", "add", folder, bundles["ours"], *address)
    assert code == 0
    assert "http://10.0.0.2:8000/firmware/" in told
    bundles["ours"].write_bytes(b"something else")
    code, _, err = run(capsys, "firmware", "add", folder, bundles["ours"], *address)
    assert code == 2
    assert "not the one its manifest describes" in err


@pytest.mark.parametrize("kind", ["csv", "parquet", "lp"])
def test_samples_are_exported_in_physical_units(fleet, capsys, tmp_path, kind):
    out = tmp_path / f"samples.{kind}"
    code, told, _ = run(capsys, "export", fleet, "--out", out)
    assert code == 0
    count = int(told.split()[0].replace(",", ""))
    assert count > 800
    if kind == "csv":
        import pandas as pd

        table = pd.read_csv(out, dtype={"loc": str})
        assert len(table) == count
        assert 300 < table["co2"].median() < 900
    if kind == "lp":
        assert out.read_text().startswith("chamber,device=")


def test_an_export_of_another_kind_of_file_is_refused(fleet, capsys, tmp_path):
    code, _, err = run(capsys, "export", fleet, "--out", tmp_path / "a.xlsx")
    assert code == 2
    assert "samples go to .csv" in err
    assert not list(tmp_path.iterdir())


def test_a_file_no_reader_knows_is_refused_and_nothing_is_written(capsys, tmp_path):
    strange = tmp_path / "strange.csv"
    strange.write_text("a,b\n1,2\n")
    code, _, err = run(capsys, "import", strange, "--out", tmp_path / "a.nc")
    assert code == 2
    assert "strange.csv is not known" in err
    assert not (tmp_path / "a.nc").exists()


def test_a_broker_elsewhere_is_given_certificates_and_passwords(capsys, tmp_path):
    folder, tls = tmp_path / "fleet", tmp_path / "tls"
    code, told, _ = run(capsys, "broker", "certificates", tls, "10.0.0.2", "h.example")
    assert code == 0
    assert (tls / "server.key").stat().st_mode & 0o077 == 0
    assert "ca.pem" in told
    secret = tmp_path / "p"
    words = ["broker", "program", folder, "ingest", "--role", "server", "--out", secret]
    code, told, err = run(capsys, *words)
    assert code == 0
    assert secret.read_text().strip() not in told + err
    chamber = tmp_path / "c.json"
    words = ["device", "add", folder, "0123456789ab", "--host", "10.0.0.2"]
    assert run(capsys, *words, "--ca", tls / "ca.pem", "--out", chamber)[0] == 0
    assert (tmp_path / "ca.der").read_bytes()[0] == 0x30
    file = tmp_path / "passwords"
    code, told, _ = run(capsys, "broker", "passwords", folder, "--out", file)
    assert code == 0
    assert [x.split(":")[0] for x in file.read_text().split()] == [
        "0123456789ab",
        "ingest",
    ]
