import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.land.model.state import (
    LAYERS,
    VARIABLES,
    check_state,
    from_blocks,
    initial_state,
    names,
    open_state,
    save_state,
    to_blocks,
)


def dataset(cells=2):
    state = initial_state(np.full(cells, 0.45), np.linspace(270.0, 290.0, cells))
    arrays = {
        name: (("cell", *VARIABLES[name][0]), block)
        for name, block in zip(names(), to_blocks(state, (cells,)), strict=True)
    }
    result = xr.Dataset(arrays)
    result["layer_thickness"] = ("layer", np.asarray(LAYERS))
    return result


def test_the_table_describes_every_variable_of_the_state():
    assert list(VARIABLES) == names()


def test_cold_ground_begins_frozen_and_warm_ground_does_not():
    state = initial_state(np.array([0.4, 0.4]), np.array([265.0, 285.0]), wetness=0.5)
    np.testing.assert_array_equal(state.soil_ice[:, 0], 0.2)
    np.testing.assert_array_equal(state.soil_ice[:, 1], 0.0)
    assert float(state.snow_temperature.max()) <= 273.15
    assert float(state.snow_mass.max()) == 0.0


def test_cells_first_and_back_is_the_same_state():
    state = initial_state(np.linspace(0.3, 0.5, 6), np.linspace(260.0, 300.0, 6))
    back = from_blocks(to_blocks(state, (2, 3)), 2)
    for name in names():
        np.testing.assert_array_equal(getattr(state, name), getattr(back, name))


def test_a_state_comes_back_from_its_file_to_the_last_bit(tmp_path):
    state = dataset()
    rng = np.random.default_rng(1)
    state["soil_water"] = state["soil_water"] + rng.normal(0, 1e-3, (2, len(LAYERS)))
    save_state(state, tmp_path / "state.nc")
    back = open_state(tmp_path / "state.nc")
    for name in names():
        np.testing.assert_array_equal(state[name].values, back[name].values)


def test_a_state_of_other_layers_is_refused():
    with pytest.raises(InputError, match=r"soil layers of .* give settings"):
        check_state(dataset(), (0.1, 0.3, 0.6))


def test_a_state_with_gaps_or_without_a_variable_is_refused():
    broken = dataset()
    broken["wetland"] = broken["wetland"].where([True, False])
    with pytest.raises(InputError, match="wetland of the state has gaps"):
        check_state(broken, LAYERS)
    with pytest.raises(InputError, match="needs the variable snow_cover"):
        check_state(dataset().drop_vars("snow_cover"), LAYERS)
