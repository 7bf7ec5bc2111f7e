"""The study of velocities: other programs' numbers, and intervals on known truth."""

import numpy as np
import pytest

from tilth.studies.registry import find_study
from tilth.studies.station_velocity.coverage import (
    METHODS,
    RATE,
    STEP,
    coverage,
    station,
)
from tilth.studies.station_velocity.stations import measured


def test_a_simulated_station_has_the_velocity_and_the_step_it_is_said_to_have():
    time, values, step = station(3, 4.0)
    after = time >= step
    days = (time - time[0]) / np.timedelta64(1, "D")
    design = np.column_stack([np.ones_like(days), days / 365.25, after])
    found = np.linalg.lstsq(design, 1e3 * values, rcond=None)[0]
    # The noise of two years leaves about a millimetre to each.
    assert found[1] == pytest.approx(RATE, abs=3.0)
    assert found[2] == pytest.approx(STEP, abs=4.0)


def test_coloured_noise_breaks_the_line_and_not_the_others():
    part = coverage(6, years=3.0)
    held = dict(zip(METHODS, (m.value for m in part.metrics), strict=True))
    assert held[METHODS[0]] <= 70.0
    # Two misses of six are chance once in thirty times, three once in 450.
    for method in METHODS[1:]:
        assert held[method] >= 66.0
    frame = part.tables[0].frame.set_index("method")
    assert (
        frame.loc[METHODS[0], "median s.e."]
        < 0.5 * frame.loc[METHODS[2], "median s.e."]
    )


@pytest.mark.realdata
def test_velocities_of_real_stations_are_those_of_the_original_programs(dataset):
    dataset("station-positions")
    part, absent = measured(full=False)
    assert absent == []
    assert len(part.metrics) == 9
    assert all(metric.holds for metric in part.metrics)


def test_without_data_it_is_said(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTH_DATA", raising=False)
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path))
    part, absent = measured(full=True)
    assert part.metrics == []
    assert len(absent) == 2


def test_the_study_is_registered():
    assert callable(find_study("station_velocity").load())
