"""The study of Idai: the same flood as CaMa-Flood's; without the map, no word of it."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import DatasetError
from tilth.studies import idai_flood
from tilth.studies.idai_flood import cases, comparison, figures, floodplain, options


@pytest.fixture
def absent(monkeypatch):
    """Take the dataset away."""

    def nowhere(name, download=True):
        raise DatasetError(f"{name} is not here")

    monkeypatch.setattr(idai_flood, "locate", nowhere)


def test_without_the_map_the_study_says_so_and_closes_the_books(absent):
    result = idai_flood.run(full=False)
    assert "cama-mozambique is not here" in result.summary
    assert "nothing about Mozambique" in result.summary
    assert result.data_source.startswith("simulated")
    assert result.seed == 2019
    assert not any("CaMa" in metric.name for metric in result.metrics)
    barred = [metric for metric in result.metrics if metric.bar]
    assert len(barred) == 2
    assert all(metric.holds for metric in barred)
    drawn = {figure.name for figure in result.figures}
    assert {"peak_flood", "flood_animation", "retention"} <= drawn


def test_the_storm_made_up_floods_and_is_the_same_every_time():
    case, again = cases.made_up(), cases.made_up()
    xr.testing.assert_identical(case.runoff, again.runoff)
    result, seconds = comparison.timed_run(case, cases.SETTINGS, 1)
    assert seconds > 0.0
    share = result["flood_fraction"].max("time")
    assert float(share.max()) > 0.05
    total = float(case.runoff.sum()) * 86400.0
    assert float(result["runoff_volume"].sum()) == pytest.approx(total, rel=1e-12)


def test_options_of_a_made_up_case_are_the_simpler_equation_only():
    part = options.compared(cases.made_up())
    assert part.tables[0].frame["run"].tolist() == ["base", "kinematic wave"]
    assert part.tables[0].frame["median NSE"][0] == 1.0
    assert 0.9 < part.tables[0].frame["median NSE"][1] < 1.0 - 1e-6
    assert all(metric.holds for metric in part.metrics)


def test_finer_runoff_is_the_same_water():
    case = cases.made_up()
    fine = floodplain._finer(case.runoff)
    assert fine.sizes["time"] == 8 * case.runoff.sizes["time"]
    daily = fine.resample(time="1D").mean()
    np.testing.assert_allclose(daily.values, case.runoff.values, rtol=1e-14)
    assert fine.attrs["units"] == "m3 s-1"


def test_walls_make_the_flood_higher_and_earlier():
    part = floodplain.held_back(cases.made_up())
    table = part.tables[0].frame
    assert (table["peak between walls"] > 1.02 * table["peak"]).all()
    assert (table["delay of the water"] > 0.0).all()
    assert (table["held back"] > 0.0).all()
    assert all(metric.holds is not False for metric in part.metrics)


def test_the_peaks_of_two_series_are_compared():
    day = np.arange(40.0)
    theirs = np.stack([np.exp(-(((day - top) / 4) ** 2)) for top in (12.0, 25.0)])
    ours = np.stack([1.1 * theirs[0], np.roll(theirs[1], 2)])
    size, late = comparison._peaks(ours, theirs)
    assert size == pytest.approx(0.1)
    assert late == 1


def test_the_figure_says_how_good_the_worst_river_is():
    mean = np.array([6.0, 60.0, 600.0])
    drawn = figures.efficiency(mean, np.ones(3), np.array([0.995, 1.0, 0.999]))
    assert "lowest efficiency is 0.995000" in drawn.alt
    assert len(drawn.png) > 10_000


@pytest.mark.realdata
def test_the_first_month_of_mozambique_is_cama_floods(dataset, monkeypatch):
    dataset("cama-mozambique")
    monkeypatch.setattr(idai_flood, "QUICK_DAYS", 30)
    result = idai_flood.run(full=False)
    assert result.data_source == "cama-mozambique"
    values = {metric.name: metric.value for metric in result.metrics}
    assert values["daily NSE against CaMa-Flood, the lowest of these rivers"] > 1 - 1e-9
    assert values["rivers whose peak is on another day"] == 0
    final = "final storage where CaMa-Flood's is given, relative error"
    assert values[final] < 1e-6
    for metric in result.metrics:
        if "time of one" not in metric.name:  # the machine may be busy
            assert metric.holds is not False, metric.name
    places = next(t for t in result.tables if t.name == "places").frame
    np.testing.assert_allclose(places["peak"], places["peak of CaMa-Flood"], rtol=1e-6)


@pytest.mark.realdata
def test_options_of_mozambique_go_through_paths_and_by_the_sea(dataset):
    case = cases.mozambique(dataset("cama-mozambique"), 6)
    table = options.compared(case).tables[0].frame.set_index("run")
    assert table.loc["base", "through paths"] == 0.0
    assert table.loc["bifurcations", "through paths"] > 0.0
    flooded = table["largest flooded area"]
    assert flooded["sea level"] != flooded["base"]
    assert set(table.index) == {
        "base",
        "kinematic wave",
        "bifurcations",
        "sea level",
        "bifurcations and sea level",
    }
