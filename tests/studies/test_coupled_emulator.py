"""The study of an emulator upstream of the rivers, and what its numbers stand for."""

import numpy as np
import pytest
import xarray as xr

from tilth.studies.coupled_emulator import study
from tilth.studies.coupled_emulator.judged import mouths_of, wettest_month
from tilth.studies.coupled_emulator.world import QUICK, Scale, build_world


@pytest.fixture(scope="module")
def world():
    small = Scale(60, 3, 1.0, 4.0, 360, (2001, 2001, 2001, 2001), 2, ())
    return build_world(small)


def test_the_continent_has_nine_basins_under_one_land(world):
    assert world.network.terminals.size == 9
    share = world.regridder.covered_share
    np.testing.assert_allclose(share, 1.0, rtol=1e-12)
    cells = world.forcing.sizes["cell"]
    used = np.asarray(world.regridder.weights.sum(axis=0)).ravel() > 0.0
    assert cells == used.sum()


def test_its_climates_go_from_wet_and_warm_to_cold(world):
    mean = world.forcing.mean("time")
    warm = mean["lat"] == mean["lat"].min()
    cold = mean["lat"] == mean["lat"].max()
    assert float(mean["Tair"][warm.values].mean()) > 296.0
    assert float(mean["Tair"][cold.values].mean()) < 278.0
    assert float(mean["Snowf"][warm.values].max()) < 1e-12
    assert float(mean["Snowf"][cold.values].min()) > 0.0
    wet = world.forcing["Rainf"] + world.forcing["Snowf"]
    yearly = wet.mean("time") * 365.25 * 86400.0
    assert float(yearly[warm.values].mean()) > 1.5 * float(yearly[cold.values].mean())


def test_mouths_come_the_largest_basin_first(world):
    ids = world.network.ids
    run = xr.Dataset(
        {"discharge": (("time", "catchment"), np.zeros((2, ids.size)))},
        {"catchment": ids},
    )
    mouths = mouths_of(run, world)["catchment"].values
    drained = world.network.data["upstream_area"].sel(catchment=mouths).values
    assert mouths.size == 9
    assert (np.diff(drained) < 0.0).all()


def test_the_wettest_month_is_that_of_the_largest_flooded_area(world):
    time = np.arange("2005-01-01", "2005-07-01", dtype="M8[D]").astype("M8[ns]")
    share = np.zeros((time.size, world.network.size))
    share[40:70] = 0.1
    run = xr.Dataset(
        {"flood_fraction": (("time", "catchment"), share)},
        {"time": time, "catchment": world.network.ids},
    )
    assert wettest_month(run, world) == "2005-02"


def test_the_held_out_years_follow_the_training():
    assert QUICK.training == (QUICK.years[1] + 1, QUICK.years[2])
    assert QUICK.test[0] == QUICK.training[1] + 1


@pytest.fixture(scope="module")
def result():
    """Return the study of a handful of land cells and two training years."""
    years = (2001, 2001, 2003, 2004)
    return study(Scale(60, 3, 1.5, 12.0, 180, years, 4, ("implicit", "closed")))


def test_all_water_is_accounted_for_and_floods_give_some_of_it_back(result):
    found = {metric.name: metric for metric in result.metrics}
    ledgers = [m for name, m in found.items() if "not accounted for" in name]
    assert [m.bar for m in ledgers].count("<= 1e-9") == 4
    assert all(m.holds for m in ledgers if m.bar)
    for front in ("process model", "emulator"):
        lost = found[f"{front}: outflow lost by the way back to the land"]
        assert 0.0 < lost.value < 50.0


def test_the_emulators_rivers_follow_those_of_the_land_model(result):
    found = {metric.name: metric.value for metric in result.metrics}
    score = "implicit emulator, one way: median KGE of daily discharge at nine mouths"
    assert found[score] > 0.3
    assert found["one way: correlation of the flood maps of that month"] > 0.8
    spread = found["members: spread of the discharge over its mean"]
    assert 0.0 < spread < 1.0


def test_the_emulator_is_cheaper_than_the_land_model(result):
    found = {metric.name: metric for metric in result.metrics}
    land = found["one way: processor time of the land, process model over emulator"]
    assert land.value > 1.0
    assert land.published == 30.0


def test_tables_and_figures_are_those_the_page_shows(result):
    tables = {table.name: table.frame for table in result.tables}
    ledger = tables["ledger"].set_index(["front", "way"])
    spent = [name for name in ledger if name.endswith("%") and "within" not in name]
    spent.remove("residual, %")
    closed = ledger.loc[["process model", "closed emulator"]]
    np.testing.assert_allclose(closed[spent].sum(axis=1), 100.0, rtol=1e-9)
    assert len(tables["basins"]) == 9 * 2 * 2
    names = {"flood_maps", "hydrographs", "costs"}
    assert {figure.name for figure in result.figures} == names
    assert result.data_source.startswith("simulated")
