"""The land model and its emulator through the Basic Model Interface."""

import bmipy
import numpy as np
import pytest
import xarray as xr
import yaml

from tilth.core.errors import InputError
from tilth.land.bmi import EmulatorBmi, ProcessModelBmi
from tilth.land.emulator import Emulator, fitted_dataset, to_daily
from tilth.land.emulator.parameters import bounds
from tilth.land.model import final_state, parameter_dataset, run, save_state
from tilth.land.model.output import VARIABLES
from tilth.land.model.state import names
from tilth.land.simulate import simulated_weather


@pytest.fixture(scope="module")
def weather():
    return simulated_weather((2001, 2001), step_minutes=180, sites=3, seed=4).isel(
        time=slice(0, 80)
    )


@pytest.fixture(scope="module")
def parameters(weather):
    return parameter_dataset(
        xr.DataArray(["crop", "tundra", "crop"], dims="cell"),
        "silt loam",
        latitude=weather["lat"],
    )


def configured(folder, name, **content):
    path = folder / name
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture
def land(tmp_path, weather, parameters):
    """Return a folder with the files of a run."""
    weather.to_netcdf(tmp_path / "weather.nc", engine="h5netcdf")
    parameters.to_netcdf(tmp_path / "parameters.nc", engine="h5netcdf")
    return tmp_path


def process_model(folder, **more):
    model = ProcessModelBmi()
    files = {"forcing": "weather.nc", "parameters": "parameters.nc"}
    model.initialize(configured(folder, "land.yaml", **files, **more))
    return model


def test_a_run_through_the_interface_is_the_run_to_the_last_bit(
    land, weather, parameters
):
    model = process_model(land, wetness=0.8)
    expected = run(weather, parameters, wetness=0.8, output="step")
    for step in range(weather.sizes["time"]):
        model.update()
        for name in set(VARIABLES) - {"Rainf", "Snowf"}:
            ours = model.get_value_ptr(name)
            theirs = expected[name].isel(time=step).transpose(..., "cell")
            np.testing.assert_array_equal(ours, theirs.values.ravel(), err_msg=name)
    end = final_state(expected)
    for name in names():
        ours = model.get_value_ptr(f"state_{name}")
        theirs = end[name].transpose(..., "cell").values.ravel()
        np.testing.assert_array_equal(ours, theirs, err_msg=name)
    assert model.get_current_time() == model.get_end_time() == 80 * 10800.0


def test_a_run_goes_on_from_a_state_in_a_file(land, weather, parameters):
    begun = run(weather.isel(time=slice(0, 40)), parameters, output="step")
    save_state(final_state(begun), land / "state.nc")
    weather.isel(time=slice(40, 80)).to_netcdf(land / "rest.nc", engine="h5netcdf")
    model = ProcessModelBmi()
    files = {"forcing": "rest.nc", "parameters": "parameters.nc", "state": "state.nc"}
    model.initialize(configured(land, "rest.yaml", **files))
    assert model.get_time_units() == "seconds since 2001-01-06 00:00:00"
    model.update_until(model.get_end_time())
    rest = run(
        weather.isel(time=slice(40, 80)), parameters, final_state(begun), output="step"
    )
    np.testing.assert_array_equal(
        model.get_value_ptr("Qle"), rest["Qle"].isel(time=-1).values
    )


def test_rain_that_is_set_wets_the_soil_of_that_step_only(land):
    dry, wet = process_model(land), process_model(land)
    assert wet.get_var_units("rainfall_flux") == "kg m-2 s-1"
    amount = np.array([0.002, 0.0, 0.0])
    wet.set_value("rainfall_flux", wet.get_value_ptr("Rainf") + amount)
    before = wet.get_value("Rainf", np.empty(3))
    dry.update()
    wet.update()
    assert (wet.get_value_ptr("Rainf") != before).any()
    np.testing.assert_array_equal(
        wet.get_value_ptr("Rainf"), dry.get_value_ptr("Rainf")
    )
    gained = 1000 * (wet.get_value_ptr("SoilMoist") - dry.get_value_ptr("SoilMoist"))
    stored = gained.reshape(-1, 3).sum(axis=0)
    assert stored[0] > 0
    assert (stored[1:] == 0).all()


def test_water_put_into_the_state_by_its_pointer_stays_in_the_column(land):
    plain, changed = process_model(land), process_model(land)
    soil = changed.get_value_ptr("state_soil_water")
    assert changed.get_var_nbytes("state_soil_water") == 8 * 6 * 3
    soil.reshape(6, 3)[4, 1] += 0.01
    plain.update()
    changed.update()
    deep = np.subtract(
        changed.get_value_ptr("SoilMoist"), plain.get_value_ptr("SoilMoist")
    ).reshape(6, 3)
    assert deep[:, 1].sum() == pytest.approx(0.01 * 2000.0, rel=1e-6)
    assert (deep[:, [0, 2]] == 0).all()


def test_places_are_points_with_layers_below_ground(land):
    model = process_model(land)
    grid = model.get_var_grid("soil_temperature")
    assert model.get_grid_type(0) == "points"
    assert model.get_grid_size(grid) == 18
    assert model.get_grid_y(0, np.empty(3)).tolist() == [45.0] * 3
    depths = model.get_grid_z(grid, np.empty(18))
    np.testing.assert_allclose(depths[::3], [-0.025, -0.15, -0.625, -1.5, -3, -9])
    assert model.get_grid_size(model.get_var_grid("state_surface_temperature")) == 6


def test_a_grid_in_rows_and_columns_is_served_as_one(land, weather):
    place = {"lat": ("lat", [40.0]), "lon": ("lon", [0.0, 1.0, 2.0])}
    rows = weather.drop_vars(["lat", "lon"]).rename(cell="lon").expand_dims("lat")
    rows.assign_coords(place).to_netcdf(land / "weather.nc", engine="h5netcdf")
    parameter_dataset("crop", "silt loam", latitude=40.0).to_netcdf(
        land / "parameters.nc", engine="h5netcdf"
    )
    model = process_model(land)
    assert model.get_grid_type(0) == "rectilinear"
    assert model.get_grid_shape(0, np.empty(2, int)).tolist() == [1, 3]
    assert model.get_grid_x(0, np.empty(3)).tolist() == [0.0, 1.0, 2.0]
    model.update()
    assert np.isfinite(model.get_value_ptr("Qle")).all()


def test_the_land_model_passes_the_standards_check(land):
    class Standard(ProcessModelBmi, bmipy.Bmi):
        pass

    assert isinstance(Standard(), bmipy.Bmi)
    model = process_model(land)
    inputs, outputs = model.get_input_var_names(), model.get_output_var_names()
    assert "air_temperature" in inputs
    assert "atmosphere_bottom_air__temperature" not in inputs
    assert model.get_var_units("atmosphere_bottom_air__temperature") == "K"
    assert "surface_runoff_flux" in outputs
    assert "rainfall_flux" not in outputs
    for name in {*inputs, *outputs}:
        size = model.get_grid_size(model.get_var_grid(name))
        assert model.get_value_ptr(name).size == size, name


def test_settings_and_files_that_are_not_there_are_told(land):
    with pytest.raises(InputError, match="with some of snow_cover"):
        process_model(land, settings={"snow": "deep"})
    with pytest.raises(InputError, match="relative to the configuration"):
        process_model(land, state="none.nc")
    model = process_model(land, settings={"snow_cover": "ssnowd"})
    with pytest.raises(InputError, match="Tair is set to 20 K"):
        model.set_value("Tair", np.full(3, 20.0))


# The emulator


def emulator_of(members):
    low, high = bounds(True)
    rng = np.random.default_rng(1)
    shape = (15, 12, 3) if members == 1 else (members, 15, 12, 3)
    share = rng.uniform(0.2, 0.5, shape)
    middle = (low + share.swapaxes(-1, -3) * (high - low)).swapaxes(-1, -3)
    return Emulator(fitted_dataset(middle, 0.3, 400.0, "closed"))


@pytest.fixture(scope="module")
def daily():
    hourly = simulated_weather((2001, 2001), step_minutes=360, sites=3, seed=4)
    return to_daily(hourly.isel(time=slice(0, 160))).transpose("time", "cell")


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_emulator_through_the_interface_is_its_run_to_the_last_bit(
    tmp_path, daily, members, precision
):
    emulator = emulator_of(members)
    emulator.to_netcdf(tmp_path / "fit.nc")
    daily.to_netcdf(tmp_path / "daily.nc", engine="h5netcdf")
    files = {"emulator": "fit.nc", "forcing": "daily.nc", "precision": precision}
    model = EmulatorBmi()
    model.initialize(configured(tmp_path, "emulator.yaml", **files))
    expected = emulator.run(daily, dtype=precision, evaporation=True)
    series = [str(n) for n in expected if "time" in expected[n].dims]
    assert len(series) == (5 if members == 1 else 10)
    assert model.get_var_type("runoff_flux") == precision
    for day in range(daily.sizes["time"]):
        model.update()
        for name in series:
            np.testing.assert_array_equal(
                model.get_value_ptr(name), expected[name].isel(time=day), err_msg=name
            )
    end = expected["state"]
    for store in ("snow", "soil", "wetland", "deep"):
        ours = model.get_value_ptr(f"state_{store}")
        theirs = end.sel(store=store).transpose(..., "cell").values.ravel()
        np.testing.assert_array_equal(ours, theirs)


def test_the_emulator_goes_on_from_the_state_of_an_earlier_run(tmp_path, daily):
    emulator = emulator_of(1)
    first, second = daily.isel(time=slice(0, 25)), daily.isel(time=slice(25, 40))
    begun = emulator.run(first, dtype="float64")
    begun[["state"]].to_netcdf(tmp_path / "state.nc", engine="h5netcdf")
    emulator.to_netcdf(tmp_path / "fit.nc")
    second.to_netcdf(tmp_path / "daily.nc", engine="h5netcdf")
    files = {"emulator": "fit.nc", "forcing": "daily.nc", "state": "state.nc"}
    model = EmulatorBmi()
    model.initialize(configured(tmp_path, "emulator.yaml", **files))
    model.update_until(model.get_end_time())
    rest = emulator.run(second, begun["state"], dtype="float64")
    np.testing.assert_array_equal(
        model.get_value_ptr("runoff_flux"), rest["Qtot"].isel(time=-1)
    )
    assert model.get_value_ptr("runoff_flux").max() > 0


def test_snow_set_into_the_emulator_is_its_snow(tmp_path, daily):
    emulator_of(1).to_netcdf(tmp_path / "fit.nc")
    daily.to_netcdf(tmp_path / "daily.nc", engine="h5netcdf")
    model = EmulatorBmi()
    files = {"emulator": "fit.nc", "forcing": "daily.nc"}
    model.initialize(configured(tmp_path, "emulator.yaml", **files))
    assert model.get_grid_type(0) == "points"
    model.set_value("state_snow", np.array([0.0, 80.0, 0.0]))
    model.set_value("air_temperature", np.full(3, 250.0))
    model.set_value("snowfall_flux", np.zeros(3))
    model.set_value("rainfall_flux", np.zeros(3))
    model.update()
    assert model.get_value_ptr("SWE").tolist() == [0.0, 80.0, 0.0]
    with pytest.raises(InputError, match="Rainf is set to 1 kg m-2 s-1"):
        model.set_value("rainfall_flux", np.ones(3))
