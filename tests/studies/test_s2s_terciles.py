"""The study of terciles: published numbers come back; without data it says so."""

import pytest

from tilth.core.errors import DatasetError
from tilth.studies import s2s_terciles
from tilth.studies.s2s_terciles import cases


@pytest.fixture
def absent(monkeypatch):
    """Take the datasets away."""

    def nowhere(name, download=True):
        raise DatasetError(f"{name} is not here")

    monkeypatch.setattr(cases, "locate", nowhere)


def test_without_data_the_study_stands_on_simulated_worlds_and_says_so(absent):
    result = s2s_terciles.run()
    assert "rmm1-hindcasts is not here" in result.summary
    assert "Iberia score" not in result.summary
    assert result.data_source == "simulated: known truth"
    assert not any("RMM1" in metric.name for metric in result.metrics)
    barred = [metric for metric in result.metrics if metric.bar]
    assert len(barred) == 5 + 8 + 2  # sizes, blends, challenge
    assert all(metric.holds for metric in barred)
    assert {table.name for table in result.tables} == {
        "size_penalty",
        "blends",
        "leaderboard",
    }
    assert {figure.name for figure in result.figures} == {"size_penalty", "known_skill"}
    assert any("eighth of nine" in note for note in result.notes)


@pytest.mark.realdata
def test_real_hindcasts_give_the_published_numbers_and_no_blend_loses(dataset):
    iberia = cases.read_iberia(dataset("iberia-winters"))
    rmm1 = cases.read_rmm1(dataset("rmm1-hindcasts"))
    parts = (s2s_terciles.edges.measure(iberia), s2s_terciles.leads.measure(rmm1))
    metrics = {metric.name: metric for part in parts for metric in part.metrics}
    published = [metric for metric in metrics.values() if metric.published is not None]
    assert len(published) == 7 + 21
    missed = [metric.name for metric in metrics.values() if metric.holds is False]
    assert missed == []
    blends = [metric for name, metric in metrics.items() if name.endswith("blended")]
    assert len(blends) == 16 + 1
    # Ten winters are too few to fit a blend on: the note says so, and this is how far.
    winters = metrics["RPSS, ten winters, model-edges, own winter left out, blended"]
    assert -0.02 < winters.value < 0.0
    assert "too few" in parts[0].notes[0]
