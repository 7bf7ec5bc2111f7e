"""State of the rivers: kept to the last bit, and refused where it does not belong."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.router import Router
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.state import (
    VARIABLES,
    filled_channels,
    final_state,
    fingerprint,
    open_state,
    save_state,
    state_arrays,
)


@pytest.fixture(scope="module")
def network(made_up_rivers):
    return made_up_rivers(60, 3)


@pytest.fixture(scope="module")
def state(network):
    router = Router(network)
    router.advance(np.full(network.size, 20.0), 86400.0)
    return router.state


def test_the_state_describes_itself(state, network):
    assert list(state.data_vars) == list(VARIABLES)
    for name, (dims, units, _) in VARIABLES.items():
        assert state[name].dims == dims
        assert state[name].attrs["units"] == units
    assert float(abs(state["path_flow"]).max()) > 0.0


def test_a_state_comes_back_from_its_file_to_the_last_bit(state, tmp_path):
    save_state(state, tmp_path / "state.nc")
    back = open_state(tmp_path / "state.nc")
    for name in VARIABLES:
        np.testing.assert_array_equal(state[name].values, back[name].values)
    assert back.attrs["network"] == state.attrs["network"]
    assert "state saved" in back.attrs["history"]


def test_a_state_in_another_order_is_brought_to_the_networks(state, network):
    mixed = state.isel(catchment=np.random.default_rng(0).permutation(network.size))
    for one, two in zip(
        state_arrays(state, network), state_arrays(mixed, network), strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_a_network_without_paths_has_a_state_without_them(made_up_rivers, tmp_path):
    plain = made_up_rivers(60, 3, paths=0)
    state = Router(plain).state
    assert "path_flow" not in state
    save_state(state, tmp_path / "state.nc")
    assert state_arrays(open_state(tmp_path / "state.nc"), plain).path_flow.size == 0


def test_a_state_of_other_catchments_is_refused(state, network, made_up_rivers):
    with pytest.raises(InputError, match=r"another network: .*60 catchments, the net"):
        Router(made_up_rivers(61, 3), state=state)
    renamed = state.assign_coords(catchment=state["catchment"].values + 500)
    with pytest.raises(InputError, match="it lacks catchment 1 "):
        Router(network, state=renamed)


def test_a_state_of_a_network_that_drains_elsewhere_is_refused(state, network):
    ends = network.terminals
    down = network.downstream.copy()
    down[ends[0]] = ends[1]  # a basin flows into its neighbour now
    other = RiverNetwork(network.data.assign(downstream=("catchment", down)))
    with pytest.raises(InputError, match="drain elsewhere"):
        Router(other, state=state)


def test_the_fingerprint_knows_catchments_not_their_order_or_width(network):
    turned = network.subset(np.arange(network.size)[::-1])
    assert fingerprint(turned) == fingerprint(network)
    wider = RiverNetwork(
        network.data.assign(
            river_width=(network.data["river_width"] * 2).assign_attrs(units="m")
        )
    )
    assert fingerprint(wider) == fingerprint(network)
    renamed = network.data.assign_coords(catchment=network.ids + 1)
    assert fingerprint(RiverNetwork(renamed)) != fingerprint(network)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("storage", -1.0, "storage of the state is -1 at catchment 6"),
        ("storage", np.nan, "storage of the state is nan at catchment 6"),
        ("river_flow", np.inf, "river_flow of the state is inf"),
    ],
)
def test_a_state_that_cannot_be_is_refused(state, network, name, value, words):
    wrong = state.copy(deep=True)
    wrong[name][5] = value
    with pytest.raises(InputError, match=words):
        Router(network, state=wrong)


def test_an_incomplete_state_is_refused(state, network):
    with pytest.raises(InputError, match="needs the variable flow_area"):
        Router(network, state=state.drop_vars("flow_area"))
    with pytest.raises(InputError, match="needs the variable path_flow"):
        Router(network, state=state.drop_vars("path_flow"))
    with pytest.raises(InputError, match="paths and levels"):
        Router(network, state=state.isel(path=slice(2)))
    with pytest.raises(InputError, match="needs the variables storage"):
        save_state(xr.Dataset(), "nowhere.nc")


def test_damaged_and_foreign_files_are_named(state, tmp_path):
    path = tmp_path / "rivers.nc"
    save_state(state, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(
        InputError,
        match=r"rivers\.nc cannot be read as a state of the rivers: it is damaged",
    ):
        open_state(path)
    path.write_bytes(b"not a file of numbers")
    with pytest.raises(InputError, match=r"rivers\.nc cannot be read"):
        open_state(path)
    with pytest.raises(InputError, match="there is no "):
        open_state(tmp_path / "none.nc")
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(InputError, match=r"the state .*rivers\.nc needs the variables"):
        open_state(path)


def test_one_flipped_bit_of_the_water_is_noticed(state, tmp_path):
    path = tmp_path / "rivers.nc"
    save_state(state, path)
    content = bytearray(path.read_bytes())
    place = content.find(state["storage"].values.astype("<f8").tobytes())
    assert place > 0
    content[place + 3] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(
        InputError,
        match=r"rivers\.nc cannot be read as a state of the rivers: it is damaged",
    ):
        open_state(path)


def test_channels_that_the_sea_has_filled_are_at_rest(network, made_up_runoff):
    state = filled_channels(network)
    bank = network.data["elevation"].values
    level = network.bed + state["river_depth"].values
    np.testing.assert_allclose(level[network.terminals], bank[network.terminals])
    held = state["storage"] / (
        network.data["river_length"] * network.data["river_width"]
    )
    np.testing.assert_allclose(held, state["river_depth"], rtol=1e-12)
    assert (level <= bank + 1e-9).all()
    assert int((state["storage"] > 0).sum()) > 0
    none = 0.0 * made_up_runoff(network, steps=4).assign_attrs(units="m3 s-1")
    result = route(network, none.assign_attrs(units="m3 s-1"), state)
    assert float(abs(result["discharge"]).max()) < 1e-9
    lower = filled_channels(network, sea_level=-0.5)
    assert float(lower["storage"].sum()) < float(state["storage"].sum())


def test_a_result_gives_the_state_at_its_end(network, made_up_runoff):
    result = route(network, made_up_runoff(network))
    state = final_state(result)
    np.testing.assert_array_equal(state["storage"], result["storage"][-1])
    assert state.attrs["date"] == result.attrs["end"]
    with pytest.raises(InputError, match="the result of a routing run needs"):
        final_state(result.drop_vars("state_storage"))
