"""Land and rivers together: no water is lost, and a run can be cut anywhere."""

import numpy as np
import pytest
import xarray as xr
from scipy import sparse

from tilth.core.errors import InputError
from tilth.core.regrid import conservative_regions
from tilth.land.emulator import Emulator, fitted_dataset, to_daily
from tilth.land.emulator.parameters import bounds
from tilth.land.model import parameter_dataset, run
from tilth.land.model.settings import Settings
from tilth.land.simulate import simulated_weather
from tilth.physics import moist_air
from tilth.rivers.network.synthetic import catchment_labels, synthetic_network
from tilth.studies.coupled import (
    EmulatorFront,
    Exchange,
    LandSimulator,
    ProcessFront,
    final_state,
    flood_share,
    ledger_table,
    open_state,
    open_water_evaporation,
    run_members,
    save_state,
)

LAT, LON = np.array([0.75, -0.75]), np.array([-1.0, 0.0, 1.0])
DAYS = 24

#: Four metres of soil, as in the study: one compiled program for both.
SETTINGS = Settings(layers=(0.05, 0.20, 0.75, 1.0, 2.0))


@pytest.fixture(scope="module")
def network():
    return synthetic_network(40, basins=2, seed=2)


@pytest.fixture(scope="module")
def regridder(network):
    grid = xr.Dataset(coords={"lat": LAT, "lon": LON})
    return conservative_regions(grid, catchment_labels(network), network.ids)


@pytest.fixture(scope="module")
def weather():
    """Return three-hourly weather of six wet and warm cells."""
    cells = [
        simulated_weather(
            (2001, 2001), latitude=lat, longitude=lon, mean_temperature=296.0,
            seasonal_range=4.0, rain=6000.0, seed=10 * i + j, step_minutes=180,
        ).isel(cell=0, time=slice(0, 8 * DAYS))
        for i, lat in enumerate(LAT)
        for j, lon in enumerate(LON)
    ]  # fmt: skip
    return xr.concat(cells, "cell").transpose("time", "cell")


@pytest.fixture(scope="module")
def process(weather):
    parameters = parameter_dataset(
        "broadleaf_evergreen",
        "silt loam",
        latitude=xr.DataArray(weather["lat"].values, dims="cell"),
        relief=50.0,
    )
    return ProcessFront(parameters, SETTINGS, wetness=0.97)


@pytest.fixture(scope="module")
def daily(weather):
    return to_daily(weather).transpose("time", "cell")


def emulator(variant, cells=6, members=1, seed=1):
    low, high = bounds(variant == "closed")
    share = np.random.default_rng(seed).uniform(0.3, 0.6, (members, 15, 1, 1))
    values = low[:, None, None] + share * (high - low)[:, None, None]
    values = np.broadcast_to(values, (members, 15, 12, cells))
    values = values if members > 1 else values[0]
    fitted = fitted_dataset(values, 0.5, 300.0, variant)
    return Emulator(fitted)


@pytest.fixture(scope="module")
def coupled(process, network, regridder, weather):
    return LandSimulator(process, network, regridder).run(weather)


def residual(result):
    return abs(float(result["water_residual"].sum()))


def precipitation(result):
    return float(result["precipitation_volume"].sum())


# The whole system


def test_all_water_of_the_process_model_and_the_rivers_is_accounted_for(coupled):
    assert residual(coupled) < 1e-12 * precipitation(coupled)
    worst = np.abs(coupled["water_residual"]).max()
    assert worst < 1e-9 * float(coupled["precipitation_volume"].max())
    assert coupled.attrs["relative_water_residual"] < 1e-12
    assert coupled.attrs["largest_routing_residual"] < 1e-12
    # Every way the water can take was taken.
    for name in ("flood_evaporation_volume", "infiltration_volume", "outflow_volume"):
        assert float(coupled[name].sum()) > 1e-4 * precipitation(coupled), name


def test_the_ledgers_sums_are_those_of_the_fields(coupled, regridder, network):
    areas = np.asarray(regridder.weights.sum(axis=0)).ravel()
    seconds = 86400.0
    runoff = (coupled["runoff"].values @ areas).sum() * seconds / 1000.0
    assert float(coupled["runoff_volume"].sum()) == pytest.approx(runoff, rel=1e-12)
    mouths = coupled["discharge"].isel(catchment=network.terminals)
    outflow = float(mouths.sum()) * seconds
    assert float(coupled["outflow_volume"].sum()) == pytest.approx(outflow, rel=1e-9)
    stored = coupled["land_storage"].values @ areas / 1000.0
    change = coupled["land_storage_change"].values[1:]
    np.testing.assert_allclose(np.diff(stored), change, rtol=1e-6, atol=1.0)


def test_the_ledger_is_printed_with_all_its_rows(coupled):
    text = ledger_table(coupled)
    assert "100.000000 %" in text
    for words in ("evaporation of the land", "left at the rivers' ends", "within"):
        assert words in text


def test_one_way_the_land_is_that_of_its_own_run_to_the_last_bit(
    process, network, regridder, weather
):
    simulator = LandSimulator(process, network, regridder)
    alone = run(weather, process.parameters, settings=SETTINGS, wetness=0.97).transpose(
        "time", ...
    )
    result = simulator.run(weather, feedback=False)
    np.testing.assert_array_equal(result["runoff"], alone["Qs"] + alone["Qsb"])
    np.testing.assert_array_equal(result["evaporation"], alone["Evap"])
    assert float(result["infiltration_volume"].sum()) == 0.0
    assert residual(result) < 1e-12 * precipitation(result)


def test_floods_that_soak_in_and_evaporate_leave_less_for_the_mouths(
    process, network, regridder, weather, coupled
):
    alone = LandSimulator(process, network, regridder).run(weather, feedback=False)
    assert float(coupled["outflow_volume"].sum()) < float(alone["outflow_volume"].sum())
    land = "land_storage_change"
    assert float(coupled[land].sum()) > float(alone[land].sum())
    assert float(coupled["flood_fraction"].max()) > 0.01
    assert float(coupled["cell_flood_fraction"].max()) <= 1.0


def test_a_run_cut_in_two_through_a_file_is_the_run_to_the_last_bit(
    tmp_path, process, network, regridder, weather
):
    simulator = LandSimulator(process, network, regridder)
    first = simulator.run(weather.isel(time=slice(0, 8 * 8)))
    rest = weather.isel(time=slice(8 * 8, None))
    whole = simulator.run(rest, final_state(first))
    half = simulator.run(rest.isel(time=slice(0, 8 * 6)), final_state(first))
    save_state(final_state(half), tmp_path / "state.nc")
    again = simulator.run(
        rest.isel(time=slice(8 * 6, None)), open_state(tmp_path / "state.nc")
    )
    for name in ("discharge", "flood_fraction", "storage", "runoff", "land_storage"):
        np.testing.assert_array_equal(
            again[name].values, whole[name].values[6:], err_msg=name
        )
    ends = final_state(whole)
    for name in ends:
        np.testing.assert_array_equal(ends[name], final_state(again)[name])


@pytest.mark.parametrize("feedback", [True, False])
def test_the_closed_emulator_accounts_for_all_water(
    network, regridder, daily, feedback
):
    front = EmulatorFront(emulator("closed"))
    result = LandSimulator(front, network, regridder).run(daily, feedback=feedback)
    assert front.conserves
    assert residual(result) < 1e-9 * precipitation(result)
    assert float(result["runoff_volume"].sum()) > 0.05 * precipitation(result)
    if feedback:
        assert float(result["infiltration_volume"].sum()) > 0.0


def test_an_emulator_that_makes_water_says_so(network, regridder, daily):
    front = EmulatorFront(emulator("implicit"))
    result = LandSimulator(front, network, regridder).run(daily)
    assert not front.conserves
    assert residual(result) > 1e-6 * precipitation(result)
    # The rivers themselves close, whatever the land does.
    rivers = result["runoff_volume"] - result["outflow_volume"]
    rivers = rivers - result["flood_evaporation_volume"] - result["infiltration_volume"]
    rivers = float((rivers - result["river_storage_change"]).sum())
    assert abs(rivers) < 1e-9 * float(result["runoff_volume"].sum())


def test_the_emulator_in_front_is_its_own_run_and_can_be_cut(network, regridder, daily):
    fit = emulator("closed")
    simulator = LandSimulator(EmulatorFront(fit), network, regridder)
    alone = fit.run(daily, dtype="float64", evaporation=True)
    one_way = simulator.run(daily, feedback=False)
    np.testing.assert_array_equal(one_way["runoff"], alone["Qtot"])
    whole = simulator.run(daily)
    half = simulator.run(daily.isel(time=slice(0, 9)))
    rest = simulator.run(daily.isel(time=slice(9, None)), final_state(half))
    np.testing.assert_array_equal(rest["discharge"], whole["discharge"][9:])
    np.testing.assert_array_equal(rest["land_storage"], whole["land_storage"][9:])


def test_longer_exchange_intervals_move_the_same_water(network, regridder, daily):
    front = EmulatorFront(emulator("closed"))
    day = LandSimulator(front, network, regridder).run(daily, feedback=False)
    week = LandSimulator(front, network, regridder, exchange="8D").run(
        daily, feedback=False
    )
    assert week.sizes["time"] == DAYS // 8
    assert residual(week) < 1e-9 * precipitation(week)
    total = float(day["runoff_volume"].sum())
    assert float(week["runoff_volume"].sum()) == pytest.approx(total, rel=1e-12)
    with pytest.raises(InputError, match="the emulator steps by days"):
        LandSimulator(front, network, regridder, exchange="6h").run(daily)
    with pytest.raises(InputError, match="no whole number of exchange"):
        LandSimulator(front, network, regridder, exchange="7D").run(daily)


def test_members_differ_as_their_parameters_do(network, regridder, daily):
    fit = emulator("closed", members=3)
    mouths = network.ids[network.terminals]
    spread = run_members(
        fit, network, regridder, daily, catchments=mouths, feedback=False
    )
    assert spread["discharge"].sizes == {"member": 3, "time": DAYS, "catchment": 2}
    one = Emulator(fit.fitted.isel(member=1, drop=True))
    alone = LandSimulator(EmulatorFront(one), network, regridder).run(
        daily, feedback=False
    )
    np.testing.assert_array_equal(
        spread["discharge"].isel(member=1), alone["discharge"].sel(catchment=mouths)
    )
    assert float(spread["discharge"].std("member").max()) > 0.0
    with pytest.raises(InputError, match="3 members"):
        EmulatorFront(fit)


def test_soil_that_is_full_takes_no_flood_water(network, regridder, daily):
    fit = emulator("closed")
    cells = xr.DataArray(np.ones(6), dims="cell")
    full, empty = (
        LandSimulator(
            EmulatorFront(fit, soil_full=depth * cells), network, regridder
        ).run(daily)
        for depth in (-1e3, 1e3)
    )
    assert float(full["infiltration_volume"].sum()) == 0.0
    assert float(empty["infiltration_volume"].sum()) > 0.0
    assert residual(empty) < 1e-9 * precipitation(empty)


def test_floods_of_an_emulator_evaporate_as_was_learned_of_its_model(
    network, regridder, daily, weather, process
):
    truth = run(weather, process.parameters, settings=SETTINGS, wetness=0.97)
    share = flood_share(daily, truth["Evap"])
    assert share.sizes == {"month": 12, "cell": 6}
    assert float(share.sel(month=1).min()) > 0.0
    assert float(share.sel(month=slice(2, 12)).max()) == 0.0
    lost = {}
    for name, part in (("learned", share), ("none", 0.0 * share)):
        front = EmulatorFront(emulator("closed"), flood_share=part)
        result = LandSimulator(front, network, regridder).run(daily)
        lost[name] = float(result["flood_evaporation_volume"].sum())
    assert lost["learned"] > lost["none"] == 0.0


def test_the_share_of_a_flood_is_what_it_evaporates_beyond_the_land(daily):
    dry = xr.zeros_like(daily["Tair"])
    share = flood_share(daily, dry)
    np.testing.assert_allclose(share.sel(month=1), 1.0)
    assert float(flood_share(daily, dry + 1.0).max()) == 0.0


# Ways between land and rivers


def test_what_cells_lose_catchments_gain_and_back():
    areas = sparse.csr_matrix(np.array([[4.0, 1.0, 0.0], [0.0, 2.0, 3.0], [0, 0, 0]]))
    ways = Exchange(areas)
    assert ways.cell_area.tolist() == [4, 3, 3]
    runoff = np.array([1.0, 2.0, 5.0])
    inflow = ways.inflow(runoff)
    assert inflow.tolist() == [6e-3, 19e-3, 0.0]
    assert inflow.sum() == ways.volume(runoff)
    assert ways.mean(runoff).tolist() == [1.2, 3.8, 0.0]
    assert ways.back(np.array([5.0, 10.0, 0.0])).tolist() == [4.0, 5.0, 6.0]


def test_a_cell_outside_the_network_does_not_count(network, regridder, weather):
    land = weather[["lat", "lon"]].isel(cell=[0, 1, 2])
    ways = Exchange.of(regridder, network, land)
    whole = Exchange.of(regridder, network, weather)
    assert ways.cell_area.tolist() == whole.cell_area[:3].tolist()
    assert ways.catchment_area.sum() < whole.catchment_area.sum()


def test_areas_that_belong_to_others_are_refused(network, regridder, weather):
    with pytest.raises(InputError, match="none of the grid"):
        Exchange.of(regridder, network, weather.assign_coords(lat=weather["lat"] + 0.4))
    fewer = network.subset(np.arange(39))
    with pytest.raises(InputError, match="conservative_regions"):
        Exchange.of(regridder, fewer, weather)
    with pytest.raises(InputError, match="do not join 40 catchments and 6 cells"):
        Exchange.of(sparse.eye(4), network, weather)
    with pytest.raises(InputError, match="0 m2 or more"):
        Exchange(np.array([[-1.0]]))
    with pytest.raises(InputError, match="no area in common"):
        Exchange(np.zeros((2, 2)))


# Open water


def test_open_water_evaporates_as_in_the_handbook():
    """Example with saturated air: radiation alone, at equilibrium."""
    temperature = np.array([293.15])
    vapour = moist_air.saturation_vapour_pressure(temperature)
    humid = np.asarray(moist_air.specific_humidity(vapour, 101325.0))
    longwave = np.array([5.670374419e-8 * 293.15**4])
    flux = open_water_evaporation(
        temperature, humid, np.array([101325.0]), np.array([200.0]), longwave,
        np.array([3.0]),
    )  # fmt: skip
    # FAO-56, table 2.4 and 2.2: slope 0.1447 kPa K-1, gamma 0.0674 kPa K-1 at 20 degC.
    expected = 0.1447 / (0.1447 + 0.0674) * 0.92 * 200.0 / 2.454e6
    assert flux[0] == pytest.approx(expected, rel=0.01)


def test_dry_wind_evaporates_more_and_frozen_water_not_at_all():
    def flux(temperature, humidity, wind):
        return open_water_evaporation(
            np.array([temperature]), np.array([humidity]), np.array([1e5]),
            np.array([150.0]), np.array([330.0]), np.array([wind]),
        )[0]  # fmt: skip

    assert flux(295.0, 0.006, 4.0) > flux(295.0, 0.010, 4.0) > flux(295.0, 0.010, 1.0)
    assert flux(272.0, 0.002, 4.0) == 0.0
    # Some 5 mm a day under a dry summer sky.
    assert 3.0 < flux(298.0, 0.008, 2.0) * 86400.0 < 9.0


# Refusals


def test_feedback_needs_radiation_and_says_how_to_do_without(network, regridder, daily):
    simulator = LandSimulator(EmulatorFront(emulator("closed")), network, regridder)
    bare = daily.drop_vars(["SWdown", "LWdown", "Wind"])
    with pytest.raises(InputError, match="feedback=False"):
        simulator.run(bare)
    simulator.run(bare.isel(time=slice(0, 2)), feedback=False)


def test_wrong_requests_are_told(network, regridder, daily, coupled):
    front = EmulatorFront(emulator("closed"))
    with pytest.raises(InputError, match="no interval"):
        LandSimulator(front, network, regridder, exchange="daily")
    simulator = LandSimulator(front, network, regridder)
    with pytest.raises(InputError, match="no output variable flow; there are disch"):
        simulator.run(daily, variables=["flow"])
    with pytest.raises(InputError, match="give final_state of a run"):
        simulator.run(daily, coupled[["discharge"]])
