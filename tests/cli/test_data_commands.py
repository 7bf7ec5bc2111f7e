"""`tilth data` shows the terms of every dataset, at hand or not."""

import pytest

from tilth.cli import main
from tilth.core import datasets


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No data at hand."""
    monkeypatch.delenv("TILTH_DATA", raising=False)
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path))


def test_the_list_shows_every_dataset_with_its_licence(nowhere, capsys):
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name in datasets.names():
        (row,) = [line for line in lines if line.split()[:1] == [name]]
        assert datasets.info(name).licence in row
        assert " no " in row


def test_a_dataset_that_is_not_at_hand_still_tells_its_terms(nowhere, capsys):
    assert main(["data", "info", "carbdown-xxl"]) == 0
    out = capsys.readouterr().out
    about = datasets.info("carbdown-xxl")
    assert about.licence in out
    assert " ".join(about.citation.split()) in out
    assert "not at hand" in out
    assert all(file.path in out for file in about.files)


def test_what_is_not_at_hand_cannot_be_verified_and_the_line_says_how_to_get_it(
    nowhere, capsys
):
    assert main(["data", "verify", "carbdown-xxl"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "carbdown-xxl is not at hand" in line
    assert "CC-BY-4.0" in line


def test_an_unknown_dataset_is_refused_in_one_line(nowhere, capsys):
    assert main(["data", "info", "carbdown-xx"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no dataset 'carbdown-xx'" in line
    assert "carbdown-xxl" in line


@pytest.mark.realdata
def test_a_dataset_at_hand_is_verified_and_fetching_it_prints_its_folder(
    dataset, capsys
):
    folder = dataset("carbdown-xxl")
    assert main(["data", "verify", "carbdown-xxl"]) == 0
    assert str(folder) in capsys.readouterr().out
    assert main(["data", "fetch", "carbdown-xxl"]) == 0
    told = capsys.readouterr()
    assert told.out == f"{folder}\n"
    assert "CC-BY-4.0" in told.err
