"""The river router through the Basic Model Interface."""

import bmipy
import numpy as np
import pytest
import xarray as xr
import yaml

from tilth.core.bmi import NotServedError
from tilth.core.errors import InputError
from tilth.rivers.bmi import RouterBmi
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.network.synthetic import synthetic_network
from tilth.rivers.routing.output import LEDGER, VARIABLES
from tilth.rivers.routing.router import Router
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.state import final_state, save_state

DAYS = 12


@pytest.fixture(scope="module")
def network():
    return synthetic_network(40, basins=3, seed=5)


@pytest.fixture(scope="module")
def runoff(network):
    days = np.arange("2019-03-01", "2019-03-13", dtype="datetime64[D]")
    wet = np.random.default_rng(2).gamma(0.4, 60.0, (DAYS, network.size))
    return xr.DataArray(
        wet,
        {"time": days.astype("M8[ns]"), "catchment": network.ids},
        ("time", "catchment"),
        name="runoff",
        attrs={"units": "mm day-1"},
    )


@pytest.fixture
def folder(tmp_path, network, runoff):
    network.to_netcdf(tmp_path / "network.nc")
    runoff.to_dataset().to_netcdf(tmp_path / "runoff.nc", engine="h5netcdf")
    return tmp_path


def started(folder, **content):
    path = folder / "rivers.yaml"
    path.write_text(yaml.safe_dump({"network": "network.nc", **content}))
    model = RouterBmi()
    model.initialize(str(path))
    return model


def test_a_run_through_the_interface_is_the_run_to_the_last_bit(
    folder, network, runoff
):
    model = started(folder, runoff="runoff.nc", settings={"time_step": 7200.0})
    expected = route(network, runoff, settings=model._router.settings)
    assert model.get_time_units() == "seconds since 2019-03-01"
    assert model.get_end_time() == DAYS * 86400.0
    for day in range(DAYS):
        model.update()
        for name in (*VARIABLES, *LEDGER):
            theirs = np.ravel(expected[name].isel(time=day).values)
            np.testing.assert_array_equal(
                model.get_value_ptr(name), theirs, err_msg=name
            )
    end = final_state(expected)
    for name in ("storage", "river_flow", "flow_area"):
        np.testing.assert_array_equal(model.get_value_ptr(f"state_{name}"), end[name])
    assert model.get_value_ptr("flood_fraction").max() > 0.0


def test_a_run_goes_on_from_a_state_in_a_file(folder, network, runoff):
    half = route(network, runoff.isel(time=slice(0, 5)))
    save_state(final_state(half), folder / "state.nc")
    rest = runoff.isel(time=slice(5, None))
    rest.to_dataset().to_netcdf(folder / "runoff.nc", engine="h5netcdf")
    model = started(folder, runoff="runoff.nc", state="state.nc")
    model.update_until(model.get_end_time())
    whole = route(network, runoff)
    np.testing.assert_array_equal(
        model.get_value_ptr("discharge"), whole["discharge"].isel(time=-1)
    )


def test_runoff_that_is_set_drives_every_step_until_it_is_set_anew(folder, network):
    model = started(folder, time_step=21600, start="2020-01-01")
    router = Router(network)
    flow = np.linspace(0.0, 50.0, network.size)
    model.set_value("runoff", flow)
    for _ in range(3):
        model.update()
        expected = router.advance(flow, 21600.0)
    np.testing.assert_array_equal(
        model.get_value_ptr("discharge"), expected.means["discharge"]
    )
    assert model.get_end_time() == np.finfo(float).max
    model.set_value("runoff", np.zeros(network.size))
    model.update()
    assert model.get_value_ptr("runoff_volume")[0] == 0.0


def test_water_put_into_a_catchment_by_pointer_flows_on(folder, network):
    model = started(folder, time_step=86400, start="2020-01-01")
    head = int(np.flatnonzero(network.accumulate(np.ones(network.size)) == 1)[0])
    model.get_value_ptr("state_storage")[head] = 1e6
    model.update()
    stored = model.get_value_ptr("storage")
    left = model.get_value_ptr("outflow_volume")[0]
    assert stored.sum() + left == pytest.approx(1e6, rel=1e-12)
    assert stored[head] < 0.999e6
    flow = model.get_value_ptr("discharge")[head]
    assert flow * 86400.0 == pytest.approx(1e6 - stored[head], rel=1e-9)
    np.testing.assert_array_equal(stored, model.get_value_ptr("state_storage"))


def test_a_sea_that_rises_holds_the_rivers_back(folder, network):
    outflow = {}
    for level in (-1.0, 3.0):
        model = started(folder, time_step=3600, start="2020-01-01")
        assert model.get_grid_size(model.get_var_grid("sea_level")) == 3
        model.set_value("sea_level", np.full(3, level))
        model.set_value("state_storage", np.full(network.size, 1e6))
        model.update()
        outflow[level] = model.get_value_ptr("outflow_volume")[0]
    assert outflow[3.0] < 0.0 < outflow[-1.0]


def test_the_network_is_a_grid_of_nodes_and_edges(folder, network):
    model = started(folder, runoff="runoff.nc")
    assert model.get_grid_type(0) == "unstructured"
    assert model.get_grid_size(0) == 40
    count = model.get_grid_edge_count(0)
    assert count == 37
    edges = model.get_grid_edge_nodes(0, np.empty(2 * count, int)).reshape(-1, 2)
    assert (network.downstream[edges[:, 0]] == edges[:, 1]).all()
    lat = model.get_grid_y(0, np.empty(40))
    np.testing.assert_array_equal(lat, network.data["lat"])
    assert model.get_var_location("discharge") == "node"
    assert model.get_var_location("water_residual") == "none"


def test_a_network_without_places_says_that_they_are_not_known(folder, network):
    bare = RiverNetwork(network.data.drop_vars(["lat", "lon"]))
    bare.to_netcdf(folder / "network.nc")
    model = started(folder, runoff="runoff.nc")
    with pytest.raises(NotServedError, match="the x of grid 0"):
        model.get_grid_x(0, np.empty(40))


def test_every_variable_has_units_and_fits_its_grid(folder):
    class Standard(RouterBmi, bmipy.Bmi):
        pass

    assert isinstance(Standard(), bmipy.Bmi)
    model = started(folder, runoff="runoff.nc")
    names = {*model.get_input_var_names(), *model.get_output_var_names()}
    assert "water_volume_transport_in_river_channel" in names
    csdms = "channel_water_x-section__volume_flow_rate"
    assert model.get_var_units(csdms) == "m3 s-1"
    for name in names:
        size = model.get_grid_size(model.get_var_grid(name))
        assert model.get_value_ptr(name).size == size, name
        assert model.get_var_units(name)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({}, "needs time_step, start"),
        ({"runoff": "runoff.nc", "time_step": 5.0}, "time_step beside runoff"),
        ({"runoff": "none.nc"}, "relative to the configuration"),
        ({"runoff": "network.nc"}, "has no variable runoff"),
        ({"runoff": "runoff.nc", "settings": {"speed": 1}}, "with some of flow"),
        ({"runoff": "runoff.nc", "state": "none.nc"}, "there is no .*none.nc"),
    ],
)
def test_a_configuration_that_does_not_fit_says_why(folder, content, says):
    with pytest.raises(InputError, match=says):
        started(folder, **content)


def test_losses_below_zero_are_refused(folder):
    model = started(folder, runoff="runoff.nc")
    with pytest.raises(InputError, match="0 or more"):
        model.set_value("evaporation_rate", np.full(40, -1e-9))
    with pytest.raises(InputError, match="0 or more"):
        model.set_value("state_storage", np.full(40, -1.0))
