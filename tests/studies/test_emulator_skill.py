"""The study of an emulator's skill: its simulated truth, and its verdicts on VIC."""

import numpy as np
import pytest

from tilth.land.skill import skill_card
from tilth.studies.emulator_skill import fits, run, speed
from tilth.studies.emulator_skill.data import load
from tilth.studies.emulator_skill.simulated import CELLS, hbv, simulated_output, weather
from tilth.studies.part import Part


def values(metrics):
    return {metric.name: metric for metric in metrics}


@pytest.fixture(scope="module")
def simulated():
    return simulated_output((1998, 2001))


def test_the_simulated_land_model_closes_its_water(simulated):
    forcing, truth = simulated
    after = slice(1, None)
    gained = (forcing["rain"] + forcing["snowfall"])[after].sum("time")
    left = (truth["runoff"] + truth["evaporation"])[after].sum("time")
    store = truth["snow"] + truth["soil"] + truth["groundwater"]
    np.testing.assert_allclose(gained - left, store[-1] - store[0], atol=1e-6)


def test_the_simulated_weather_is_cooler_and_wetter_higher_up():
    forcing = weather((1986, 2005))
    yearly = (forcing["rain"] + forcing["snowfall"]).mean("time") * 365.25
    np.testing.assert_allclose(yearly, [p for _, p in CELLS], rtol=0.1)
    lapse = float((forcing["temperature"][:, 0] - forcing["temperature"][:, 1]).mean())
    assert lapse == pytest.approx(0.0065 * (CELLS[1][0] - CELLS[0][0]), abs=0.05)
    assert forcing.sizes["time"] == 7305
    assert not weather((1986, 1986), seed=1).equals(weather((1986, 1986)))


def test_snow_of_the_simulated_model_comes_and_goes(simulated):
    snow = simulated[1]["snow"]
    assert (snow.sel(time=slice("1999-08-01", "1999-08-31")) < 1.0).all()
    assert (snow.max("time") > 100.0).all()
    warm = simulated[0].copy(deep=True)
    warm["temperature"] += 3.0
    assert (hbv(warm)["snow"].sum("time") < snow.sum("time")).all()


@pytest.fixture
def absent(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTH_DATA", raising=False)
    monkeypatch.setenv("TILTH_CACHE", str(tmp_path))


def test_without_vic_the_study_runs_on_a_simulated_model_and_says_so(absent):
    result = run()
    assert result.data_source == "simulated: known truth"
    assert "VIC's output is not at hand" in result.summary
    assert "Nothing here is a measurement" in result.summary
    found = values(result.metrics)
    assert not [name for name, m in found.items() if m.holds is False]
    soil = "stage {}: median NSE of soil"
    assert found[soil.format(2)].value > found[soil.format(1)].value
    assert abs(found["closed: water made or lost by the run, largest"].value) < 1e-6
    assert abs(found["stage 2: water made or lost by the run, largest"].value) > 1.0
    assert {f.name for f in result.figures} >= {"stages", "scatter", "training"}


def test_a_cell_below_climatology_misses_the_bar_of_the_study(simulated):
    _, targets = simulated
    train, test = targets.sel(time="1998"), targets.sel(time=slice("1999", "2001"))
    run_of_test = test.copy(deep=True)
    run_of_test["soil"][:, 1] += 60.0
    card = skill_card(run_of_test, test, train, draws=20)
    part = Part()
    fits._bars(part, card, True)
    found = values(part.metrics)
    assert found["stage 2: cells where snow beats climatology"].holds
    soil = found["stage 2: cells where soil beats climatology"]
    assert (soil.value, soil.holds) == (1, False)
    assert not found["stage 2: lowest NSE of soil water over the cells"].holds


def test_the_speed_is_that_of_the_kernel_and_scaled_to_the_globe():
    found = values(speed.measure(False).metrics)
    one = found["one cell and day on one core"].value
    assert 1.0 < one < 2000.0
    core = found["a model year of 60 000 cells, core time"]
    assert core.value == pytest.approx(one * 1e-9 * 60_000 * 365)
    assert core.published == pytest.approx(7.2)


@pytest.mark.realdata
def test_two_cells_of_vic_beat_climatology_in_years_not_fitted(dataset):
    dataset("vic-stehekin")
    case = load(False)
    assert case.cells == 2
    assert case.why == ""
    part, fitted = fits.two_stages(case)
    found = values(part.metrics)
    assert not [name for name, m in found.items() if m.holds is False]
    soil = "stage {}: median NSE of soil"
    assert found[soil.format(2)].value > found[soil.format(1)].value
    assert fitted.sizes["cell"] == 2
