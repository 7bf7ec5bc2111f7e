"""The study of local weather: reference numbers, both halves, and without data."""

import numpy as np
import pytest

from tilth.studies.local_weather import study
from tilth.studies.local_weather.cases import load, made_up
from tilth.studies.local_weather.published import REFERENCE
from tilth.studies.local_weather.validation import (
    BASELINE,
    CONTENDERS,
    DEFAULT,
    contenders,
    interpolate,
)


def values(result):
    return {metric.name: metric.value for metric in result.metrics}


@pytest.fixture(scope="module")
def simulated():
    return study(made_up("none is there", winters=10, places=8))


@pytest.mark.realdata
def test_every_bar_holds_on_the_measured_winters(dataset):
    dataset("iberia-winters")
    result = study(load())
    wrong = [m.name for m in result.metrics if m.holds is False]
    assert not wrong
    barred = [m for m in result.metrics if m.bar is not None]
    assert len(barred) > 45
    found = values(result)
    # Both halves: mapping mends the map and not the days, the pattern mends the days.
    assert found[f"correlation of the map of means, {BASELINE}"] > 0.9
    assert (
        found[f"correlation in time, {BASELINE}"]
        < found["correlation in time, bilinear"]
    )
    assert found[f"correlation in time, {DEFAULT}"] > 0.72
    assert {figure.name for figure in result.figures} == {"maps", "gains", "quantiles"}


def test_without_data_a_made_up_climate_says_that_it_is_one(simulated):
    assert simulated.data_source == "simulated: known truth"
    assert "none is there" in simulated.summary
    assert "nothing is a measurement" in simulated.summary
    found = values(simulated)
    gain = found[f"places: gain of rank correlation over {BASELINE}"]
    assert gain > 0.2
    assert found["guard: reanalysis let through"] == 1
    assert found["guard: members of other days let through"] == 0


def test_reference_names_are_those_of_contenders():
    for methods in REFERENCE.values():
        assert set(methods) <= {BASELINE, *CONTENDERS}


def test_the_quick_study_leaves_out_slow_learners_and_the_full_has_all():
    case = made_up("x", winters=5, places=2)
    assert set(contenders(case, full=False)) == {"ridge", "ridge, 3 x 3"}
    assert "support vectors" in contenders(case, full=True)
    assert "ridge, with dynamics" not in contenders(case, full=True)


def test_the_baseline_is_learnt_without_the_days_it_is_scored_on():
    case = made_up("x", winters=5, places=3)
    observed = case.observed["places"]
    held = np.arange(observed.sizes["time"]) >= 360
    changed = observed.copy()
    changed[360:] = 1000.0
    first, second = (interpolate(case.coarse, o, held) for o in (observed, changed))
    np.testing.assert_array_equal(first["corrected"], second["corrected"])
    assert first["corrected"].max() <= observed[:360].max()
