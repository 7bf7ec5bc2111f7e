"""The study of warming signals: known worlds, another program's numbers, no data."""

import numpy as np
import pytest

from tilth.studies.registry import find_study
from tilth.studies.warming_signal import run, study
from tilth.studies.warming_signal.cases import (
    CANADA,
    MODEL_SPREAD,
    REAL_SPREAD,
    WARMING,
    WETTING,
    measured,
    simulated,
)
from tilth.studies.warming_signal.methods import METHODS, QUICK, Scale
from tilth.studies.warming_signal.published import XSDBA
from tilth.studies.warming_signal.signals import PROBABILITIES, measure

TINY = Scale(places=3, years=6, groups=("none", "month"))


@pytest.fixture
def absent(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTH_DATA", raising=False)
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path))


@pytest.fixture(scope="module")
def tiny():
    return study([], {"ahccd-canesm2": "there is none"}, TINY)


def test_the_simulated_model_has_the_faults_and_changes_it_is_said_to_have():
    warmth, rain = simulated(4, 10)
    change = warmth.change(warmth.before, warmth.after)
    # Standard error of a difference of two means of 3650 days: 0.06 K.
    np.testing.assert_allclose(change, WARMING, atol=0.2)
    bias = (warmth.modelled - warmth.observed).mean("time")
    np.testing.assert_allclose(bias, -3.0, atol=0.25)
    days = warmth.modelled["time"].dt.dayofyear
    spreads = [x.groupby(days).std().mean() for x in (warmth.observed, warmth.modelled)]
    # The mean of standard deviations of ten values is 0.92 of the true one.
    assert float(spreads[0] / spreads[1]) == pytest.approx(
        REAL_SPREAD / MODEL_SPREAD, rel=0.03
    )
    np.testing.assert_allclose(rain.change(rain.before, rain.after), WETTING, rtol=0.1)
    assert (rain.modelled == 0.0).mean() < (rain.observed == 0.0).mean() - 0.25


def test_methods_that_keep_changes_do_and_empirical_mapping_stretches_them():
    found = {
        (s.case.variable, s.method, s.group): s
        for s in measure(simulated(TINY.places, TINY.years), TINY)
    }
    assert {method for _, method, _ in found} == set(METHODS)
    for method in ("scaling", "QDM", "ISIMIP3"):
        assert np.abs(found["tas", method, "none"].excess).max() < 1e-6
    for method in ("DQM", "QDM", "CDF-t", "ISIMIP3"):
        assert np.abs(found["tas", method, "month"].excess).max() < 0.15
    # By the ratio of spreads, 1.6, less what leaves the range of training.
    eqm = found["tas", "EQM", "month"]
    stretched = eqm.adjusted / eqm.simulated
    assert (stretched > 1.3).all()
    assert (stretched < 1.01 * REAL_SPREAD / MODEL_SPREAD).all()
    assert (found["pr", "EQM", "none"].excess > 0.05).all()
    assert abs(found["pr", "QDM", "none"].excess.mean()) < 0.02
    # Where values leave the range of training the stretch is gone.
    assert eqm.quantiles[PROBABILITIES == 0.99] < eqm.quantiles[PROBABILITIES == 0.5]


def test_absent_data_are_noticed(absent):
    cases, why = measured()
    assert cases == []
    assert set(why) == {"ahccd-canesm2", "iberia-winters"}


def test_without_data_the_simulated_worlds_are_left_and_it_is_said(tiny):
    result = tiny
    assert result.data_source == "simulated: known truth"
    assert "nothing is a measurement" in result.summary
    assert {f.name for f in result.figures} == {"by-quantile", "by-case"}
    assert {t.name for t in result.tables} == {"signals", "truth"}
    assert any("ahccd-canesm2 is not at hand" in note for note in result.notes)
    assert not any("bit-identical" in note for note in result.notes)
    kept = [m for m in result.metrics if m.bar and "tas" in m.name]
    assert [m.holds for m in kept] == [True]


def test_the_truth_decides_which_method_errs_and_it_is_shown(tiny):
    table = next(t for t in tiny.tables if t.name == "truth").frame
    table = table.set_index(
        ["variable", "reality changes", "method", "days grouped by"]
    )["error"].abs()
    same, more = "as the model says", "in proportion to the spread"
    assert table["tas", same, "QDM", "month"] < table["tas", same, "EQM", "month"]
    assert table["tas", more, "QDM", "month"] > table["tas", more, "EQM", "month"]


@pytest.mark.realdata
def test_on_two_climate_models_every_bar_holds_and_the_defect_is_said(dataset):
    dataset("ahccd-canesm2")
    dataset("iberia-winters")
    assert find_study("warming_signal").load() is run
    cases, why = measured()
    assert why == {}
    canada = [case for case in cases if case.name == CANADA]
    for case in canada:  # the defect the notes speak of
        np.testing.assert_array_equal(case.after[0], case.after[1])
    result = study(cases, why, Scale(2, 4, QUICK.groups))
    bars = [m for m in result.metrics if m.published is not None]
    assert len(bars) == sum(len(numbers) for numbers in XSDBA.values())
    assert [m.name for m in bars if not m.holds] == []
    notes = " ".join(result.notes)
    assert "bit-identical" in notes
    assert "mostly chance" in notes
    assert "7.76 K" in result.summary
