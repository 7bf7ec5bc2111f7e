"""What `tilth study` and `tilth report` print, and when they say that a bar broke."""

import pandas as pd
import pytest

from tilth.cli import main
from tilth.studies.result import Metric, StudyResult, Table


def toy(*metrics):
    frame = pd.DataFrame({"x": [1.0]})
    return lambda full: StudyResult(
        "A toy study", "Summary.", list(metrics), tables=[Table("t", frame, "T.")]
    )


HELD = Metric("mean flux", 0.784, 0.012, "umol m-2 s-1", 0.78, "within 3 %")
MISSED = Metric("largest difference", 0.0061, bar="<= 0.0051")


def test_a_run_prints_ours_beside_the_published_and_ends_with_the_page(
    register, tmp_path, capsys
):
    register("toy", toy(HELD))
    assert main(["study", "run", "toy", "--out", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if "mean flux" in line]
    words = " ".join(row.split())
    assert words == "mean flux 0.784 ± 0.012 µmol m⁻² s⁻¹ 0.78 within 3 % holds"
    assert lines[-1] == str(tmp_path / "toy" / "index.html")


def test_a_bar_that_does_not_hold_ends_with_exit_code_1_and_all_is_written(
    register, tmp_path, capsys
):
    register("toy", toy(HELD, MISSED))
    assert main(["study", "run", "toy", "--out", str(tmp_path)]) == 1
    assert "does not hold" in capsys.readouterr().out
    assert (tmp_path / "toy" / "metrics.json").is_file()


def test_the_studies_are_listed_with_what_they_ask(register, capsys):
    register("toy", toy(HELD), title="Does it hold?")
    assert main(["study", "list"]) == 0
    out = capsys.readouterr().out
    assert "toy" in out
    assert "Does it hold?" in out


def test_the_report_ends_with_its_path_and_code_0_where_all_holds(
    register, tmp_path, capsys
):
    register("one", toy(HELD))
    register("two", toy(HELD))
    assert main(["report", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(tmp_path / "index.html")


@pytest.mark.parametrize("reason", ["fails", "misses"])
def test_the_report_ends_with_its_path_and_code_1_where_something_does_not(
    register, tmp_path, capsys, reason
):
    def fail(full):
        raise ValueError("no sheet")

    register("bad", fail if reason == "fails" else toy(MISSED))
    register("good", toy(HELD))
    assert main(["report", "--out", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert ("no sheet" if reason == "fails" else "largest difference") in out
    assert out.splitlines()[-1] == str(tmp_path / "index.html")


def test_a_place_that_cannot_be_written_to_is_told_before_the_study_runs(
    register, tmp_path, capsys
):
    asked = []

    def run(full):
        asked.append(full)

    register("toy", run)
    (tmp_path / "file").write_text("not a folder")
    assert main(["study", "run", "toy", "--out", str(tmp_path / "file")]) == 2
    assert asked == []
    assert len(capsys.readouterr().err.splitlines()) == 1
