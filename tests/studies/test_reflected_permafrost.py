"""The study of reflected signals: every bar on real data, and without them."""

import pytest

from tilth.core.errors import DatasetError
from tilth.studies import reflected_permafrost as study
from tilth.studies.reflected_permafrost import in_situ, settlement, station


@pytest.mark.realdata
def test_arcs_of_the_station_are_those_of_gnssrefl_and_the_control_is_not(dataset):
    part = station.measure(dataset("mchl-reflections"))
    assert all(metric.holds for metric in part.metrics)
    names = [metric.name for metric in part.metrics]
    assert "negative control: largest difference of amplitude" in names
    assert part.tables[0].frame["arcs"].sum() == 214


@pytest.mark.realdata
def test_records_meet_their_bars_beside_those_in_situ(dataset):
    part = in_situ.measure(dataset("reflection-records"))
    assert all(metric.holds for metric in part.metrics)
    assert {figure.name for figure in part.figures} == {"snow", "lake"}


def test_without_data_the_thaw_site_alone_speaks(monkeypatch):
    def nowhere(name):
        raise DatasetError(f"{name} is not at hand")

    monkeypatch.setattr(study, "locate", nowhere)
    result = study.study(5)
    assert "not at hand" in result.summary
    assert any("Not done" in note for note in result.notes)
    assert [figure.name for figure in result.figures] == ["thaw"]
    values = {metric.name: metric.value for metric in result.metrics}
    # The antenna on a monument that heaves is corrected by its position.
    for site in settlement.SITES:
        found = values[f"thaw, {site}: mean trend found"]
        assert found == pytest.approx(100 * settlement.SITE.trend, abs=0.1)
