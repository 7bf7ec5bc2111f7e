"""tilth gnss velocity: files of positions to a table of velocities."""

import numpy as np
import pandas as pd
import pytest

from tilth.cli import main

DAYS = np.datetime64("2010-01-01") + np.arange(900)


@pytest.fixture
def station(tmp_path):
    """Write a tenv file of 10, -5 and 2 mm per year; the antenna changes."""
    draws = np.random.default_rng(0)
    years = np.arange(900) / 365.25
    lines = []
    for k, day in enumerate(DAYS):
        moved = 1e-3 * (np.array([10.0, -5.0, 2.0]) * years[k] + draws.normal(size=3))
        moved += (k >= 500) * np.array([0.01, 0.02, 0.0])
        count = int((day - np.datetime64("2000-01-01")).astype(int))
        date = pd.Timestamp(day).strftime("%y%b%d").upper()
        lines.append(
            f"SIMU {date} {2000 + count / 365.25:.4f} {51544 + count} 1564 5 "
            f"{moved[0]:10.6f} {moved[1]:10.6f} {moved[2]:10.6f} "
            f"{0.0083 if k < 500 else 0.1:.4f} 0.000500 0.000600 0.001900 0 0 0"
        )
    path = tmp_path / "SIMU.tenv"
    path.write_text("\n".join(lines) + "\n")
    steps = tmp_path / "steps.txt"
    steps.write_text(pd.Timestamp(DAYS[500]).strftime("SIMU %y%b%d 1\n").upper())
    return tmp_path


def test_velocities_are_printed_and_written_in_millimetres(station, capsys):
    out = station / "velocities.csv"
    words = [str(station / "SIMU.tenv"), "--steps", str(station / "steps.txt")]
    assert main(["gnss", "velocity", *words, "--out", str(out)]) == 0
    text = capsys.readouterr()
    assert "warning" not in text.err
    assert "mm yr-1" in text.out
    table = pd.read_csv(out)
    assert table["component"].tolist() == ["east", "north", "up"]
    far = (table["velocity"] - [10.0, -5.0, 2.0]) / table["velocity_se"]
    assert (far.abs() < 2.0).all()
    assert (table["steps"] == 1).all()


def test_a_changed_antenna_without_a_step_is_warned_of(station, capsys):
    assert main(["gnss", "velocity", str(station / "SIMU.tenv")]) == 0
    warned = capsys.readouterr().err
    assert "warning: the antenna of SIMU changes its height on 2011-05-16" in warned


def test_steps_are_found_and_used_by_every_method(station, capsys):
    out = station / "velocities.parquet"
    words = ["--find-steps", "--method", "midas", "--method", "transient"]
    words += [str(station / "SIMU.tenv"), "--out", str(out)]
    assert main(["gnss", "velocity", *words]) == 0
    said = capsys.readouterr().err
    assert "SIMU: step on 2011-05-16: east 1" in said
    assert "antenna changed" in said
    table = pd.read_parquet(out)
    assert table["method"].tolist() == ["midas"] * 3 + ["transient"] * 3
    far = (table["velocity"] - 2 * [10.0, -5.0, 2.0]) / table["velocity_se"]
    assert (far.abs() < 3.0).all()


def test_what_cannot_be_done_is_said_in_a_line(station, capsys):
    path = str(station / "SIMU.tenv")
    assert main(["gnss", "velocity", path, "--method", "hector"]) == 2
    assert "midas, noise, transient" in capsys.readouterr().err
    assert main(["gnss", "velocity", path, "--out", "table.xlsx"]) == 2
    assert ".csv or .parquet" in capsys.readouterr().err
    assert main(["gnss", "velocity", str(station / "none.tenv")]) == 2
