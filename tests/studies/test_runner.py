"""A study leaves everything or nothing, and a report tells of every study."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from tilth.core.errors import InputError
from tilth.core.plotting import figure
from tilth.studies.registry import find_study
from tilth.studies.result import Figure, Metric, StudyResult, Table
from tilth.studies.runner import run_report, run_study


def a_result(value=0.78):
    drawn, ax = figure()
    ax.plot([0, 1], [value, 1])
    frame = pd.DataFrame({"variant": ["5.10"], "flux": [value]})
    return StudyResult(
        "A toy study",
        "It measures a flux.",
        [Metric("flux", value, 0.01, "umol m-2 s-1", 0.78, "within 5 %")],
        tables=[Table("fluxes", frame, "Fluxes.", units={"flux": "umol m-2 s-1"})],
        figures=[Figure.draw("line", drawn, "A line.", "A rising line.")],
        seed=7,
        data_source="made by hand",
    )


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def test_a_run_leaves_numbers_tables_figures_and_a_page(tmp_path, register):
    register("toy", lambda full: a_result())
    run = run_study("toy", tmp_path)
    files = contents(tmp_path / "toy")
    assert set(files) == {"index.html", "metrics.json", "fluxes.csv", "line.png"}
    assert json.loads(files["metrics.json"]) == [
        {
            "name": "flux",
            "value": 0.78,
            "se": 0.01,
            "unit": "umol m-2 s-1",
            "published": 0.78,
            "bar": "within 5 %",
            "holds": True,
        }
    ]
    assert files["fluxes.csv"].decode() == "variant,flux [umol m-2 s-1]\n5.10,0.78\n"
    assert run.page == tmp_path / "toy" / "index.html"
    assert "made by hand" in files["index.html"].decode()
    assert run.missed == []


@pytest.mark.parametrize("full", [False, True])
def test_the_study_is_told_whether_to_do_the_real_experiment(tmp_path, register, full):
    asked = []

    def run(full):
        asked.append(full)
        return a_result()

    register("toy", run)
    run_study("toy", tmp_path, full=full)
    assert asked == [full]
    page = (tmp_path / "toy" / "index.html").read_text()
    assert ("<dd>full</dd>" in page) is full


def test_a_study_that_fails_leaves_the_folder_of_its_last_run_untouched(
    tmp_path, register
):
    register("toy", lambda full: a_result())
    run_study("toy", tmp_path)
    before = contents(tmp_path / "toy")

    def fail(full):
        raise RuntimeError("no power")

    register("toy", fail)
    with pytest.raises(RuntimeError, match="no power"):
        run_study("toy", tmp_path)
    assert contents(tmp_path / "toy") == before
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


@pytest.mark.parametrize("broken", ["write_bytes", "rename"])
def test_a_disk_that_fails_while_writing_leaves_the_last_run_and_no_rest(
    tmp_path, register, monkeypatch, broken
):
    from pathlib import Path

    register("toy", lambda full: a_result())
    run_study("toy", tmp_path)
    before = contents(tmp_path / "toy")
    register("toy", lambda full: a_result(0.9))
    right = getattr(Path, broken)
    calls = []

    def fail(self, *arguments):
        calls.append(self)
        # The second renaming moves the new folder into place.
        if broken == "write_bytes" or len(calls) == 2:
            raise OSError("disk full")
        return right(self, *arguments)

    monkeypatch.setattr(Path, broken, fail)
    with pytest.raises(OSError, match="disk full"):
        run_study("toy", tmp_path)
    assert contents(tmp_path / "toy") == before
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_a_new_run_takes_the_place_of_the_old_one_wholly(tmp_path, register):
    register("toy", lambda full: a_result())
    run_study("toy", tmp_path)
    register("toy", lambda full: StudyResult("T", "S", [Metric("other", 1)]))
    run_study("toy", tmp_path)
    assert set(contents(tmp_path / "toy")) == {"index.html", "metrics.json"}
    assert [p.name for p in tmp_path.iterdir()] == ["toy"]


def test_a_folder_that_no_study_wrote_is_never_replaced(tmp_path, register):
    register("toy", lambda full: a_result())
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a study's folder"):
        run_study("toy", tmp_path)
    assert contents(tmp_path / "toy") == {"thesis.txt": b"years of work"}


def test_others_may_read_what_a_study_wrote(tmp_path, register):
    register("toy", lambda full: a_result())
    (tmp_path / "plain").mkdir()
    run_study("toy", tmp_path)
    modes = {(tmp_path / name).stat().st_mode for name in ("toy", "plain")}
    assert len(modes) == 1


def test_a_study_must_return_a_result(tmp_path, register):
    register("toy", lambda full: {"flux": 1.0})
    with pytest.raises(InputError, match="must return a StudyResult, got dict"):
        run_study("toy", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_study_is_refused_with_the_names_there_are(register):
    register("toy", lambda full: a_result())
    with pytest.raises(InputError, match="no study 'tay'; there are: toy"):
        find_study("tay")


def test_the_report_goes_on_when_a_study_fails_and_shows_its_error(tmp_path, register):
    def fail(full):
        raise InputError("the workbook has no sheet 'fluxes'")

    register("bad", fail, title="The bad one")
    register("good", lambda full: a_result(), title="The good one")
    page, runs = run_report(tmp_path)
    assert page == tmp_path / "index.html"
    text = page.read_text()
    assert "the workbook has no sheet &#39;fluxes&#39;" in text
    assert "The bad one" in text
    assert [bool(run.error) for run in runs] == [True, False]
    assert {p.name for p in tmp_path.iterdir()} == {"index.html", "good"}


def test_every_file_the_report_links_to_is_there(tmp_path, register):
    import re

    register("good", lambda full: a_result())
    register("other", lambda full: a_result())
    page, _ = run_report(tmp_path)
    own = tmp_path / "good" / "index.html"
    for start in (page, own):
        links = re.findall(r'href="([^"#:]+)"', start.read_text())
        assert links
        assert all((start.parent / link).is_file() for link in links)


def test_listing_the_studies_imports_none_of_them():
    code = (
        "import sys; from tilth.studies.registry import STUDIES; "
        "print(any(s.target.split(':')[0] in sys.modules for s in STUDIES.values()), "
        "'numpy' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False"]
