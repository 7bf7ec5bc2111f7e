import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, KernelError
from tilth.land.model.forcing import VARIABLES as FORCING
from tilth.land.model.output import VARIABLES
from tilth.land.model.parameters import parameter_dataset
from tilth.land.model.runs import final_state, run
from tilth.land.model.settings import Settings
from tilth.land.model.state import open_state, save_state

HEAT = ["SWnet", "LWnet", "Qle", "Qh", "Qg"]
SHOWN = ["Qle", "Qh", "SWE", "SoilMoist", "Evap", "Qs", "Qsb", "EnergyResidual"]


def forcing(days=4, cells=None):
    """Half-hourly weather at the edge of frost with rain and snow."""
    hours = 0.5 * np.arange(48 * days)
    sun = np.maximum(np.sin(2.0 * np.pi * (hours - 6.0) / 24.0), 0.0)
    wet = (hours % 24.0 > 14.0) & (hours % 24.0 < 18.0)
    warm = 274.0 + 6.0 * np.sin(2.0 * np.pi * (hours - 9.0) / 24.0)
    values = {
        "Rainf": np.where(wet & (warm > 274.0), 2e-4, 0.0),
        "Snowf": np.where(wet & (warm <= 274.0), 2e-4, 0.0),
        "Tair": warm,
        "Qair": np.full(hours.size, 0.0021),
        "PSurf": np.full(hours.size, 95000.0),
        "SWdown": 400.0 * sun,
        "LWdown": np.full(hours.size, 260.0),
        "Wind": 3.0 + np.sin(hours),
    }
    time = np.datetime64("2001-03-01", "ns") + np.arange(hours.size) * np.timedelta64(
        30, "m"
    )
    site = xr.Dataset(
        {k: ("time", v, {"units": FORCING[k][0]}) for k, v in values.items()},
        coords={"time": time, "lat": 47.0, "lon": 0.0},
    )
    if cells is None:
        return site
    place = xr.DataArray(np.arange(cells), dims="site")
    moved = site.assign({"Tair": site["Tair"] + 0.3 * place})
    moved["Tair"].attrs = site["Tair"].attrs
    return moved.transpose("time", ...).assign_coords(
        lat=("site", np.linspace(30.0, 60.0, cells)), lon=("site", np.zeros(cells))
    )


def parameters(cells=None):
    if cells is None:
        return parameter_dataset("tundra", "loam")
    names = ["crop", "tundra", "needleleaf_evergreen"]
    classes = xr.DataArray([names[i % 3] for i in range(cells)], dims="site")
    return parameter_dataset(classes, "silt loam")


@pytest.fixture(scope="module")
def spun_up():
    """State after a day, so that runs of any length begin alike."""
    return final_state(run(forcing(1), parameters(), variables=["Qle"]))


def test_a_restarted_run_equals_an_uninterrupted_one_to_the_last_bit(spun_up, tmp_path):
    weather, site = forcing(), parameters()
    whole = run(weather, site, spun_up, variables=SHOWN)
    first = run(weather.isel(time=slice(0, 96)), site, spun_up, variables=SHOWN)
    save_state(final_state(first), tmp_path / "state.nc")
    second = run(
        weather.isel(time=slice(96, None)),
        site,
        open_state(tmp_path / "state.nc"),
        variables=SHOWN,
    )
    joined = xr.concat([first[SHOWN], second[SHOWN]], "time")
    for name in SHOWN:
        np.testing.assert_array_equal(whole[name].values, joined[name].values)
    end, other = final_state(whole), final_state(second)
    for name in end.data_vars:
        np.testing.assert_array_equal(end[name].values, other[name].values)


def test_a_run_closes_its_books_and_shows_them(spun_up):
    weather = forcing()
    result = run(weather, parameters(), spun_up)
    assert float(result["SurfaceResidual"].max()) < 1e-6
    assert float(result["EnergyResidual"].max()) < 1e-6
    assert float(result["WaterResidual"].max()) < 1e-9
    # The output alone closes the water of the run.
    stores = result[["SWE", "CanopInt", "SurfStor"]].to_array().sum("variable")
    stores = stores + result["SoilMoist"].sum("layer")
    rate = result["Rainf"] + result["Snowf"] - result["Evap"]
    rate = rate - result["Qs"] - result["Qsb"]
    np.testing.assert_allclose(
        stores.diff("time"), 86400.0 * rate[1:], rtol=0, atol=1e-8
    )


def test_the_result_does_not_depend_on_the_chunks():
    pytest.importorskip("dask")
    weather, sites = forcing(2, cells=5), parameters(5)
    plain = run(weather, sites)
    for size in (1, 2, 4):
        lazy = run(weather.chunk(site=size), sites.chunk(site=size))
        assert lazy["Qle"].chunks is not None
        again = lazy.compute(scheduler="synchronous")
        for name in plain.data_vars:
            a, b = plain[name], again[name].transpose(*plain[name].dims)
            np.testing.assert_array_equal(a.values, b.values, err_msg=str(name))


def test_a_site_alone_runs_as_it_does_among_others():
    weather, sites = forcing(2, cells=3), parameters(3)
    together = run(weather, sites, variables=SHOWN)
    alone = run(weather.isel(site=1), sites.isel(site=1), variables=SHOWN)
    for name in SHOWN:
        np.testing.assert_array_equal(
            together[name].isel(site=1).values, alone[name].values
        )


def test_a_grid_keeps_its_dimensions_and_coordinates():
    weather = forcing(1).drop_vars(["lat", "lon"])
    grid = weather.expand_dims(lat=[40.0, 60.0], lon=[0.0, 90.0, 180.0])
    grid = grid.transpose("time", "lat", "lon")
    result = run(grid, parameters(), variables=["SWnet", "SoilMoist"])
    assert dict(result["SWnet"].sizes) == {"time": 1, "lat": 2, "lon": 3}
    assert result["SoilMoist"].sizes["layer"] == 6
    np.testing.assert_array_equal(result["lat"], [40.0, 60.0])


def test_intervals_are_means_of_the_steps_and_stores_their_last_value(spun_up):
    weather, site = forcing(2), parameters()
    steps = run(weather, site, spun_up, output="step", variables=SHOWN)
    days = run(weather, site, spun_up, output="1D", variables=SHOWN)
    for name in ("Qle", "Evap"):
        mean = steps[name].values.reshape(2, 48).mean(axis=1)
        np.testing.assert_allclose(days[name], mean, rtol=1e-12, atol=1e-18)
    np.testing.assert_array_equal(days["SWE"], steps["SWE"][47::48])
    np.testing.assert_array_equal(days["SoilMoist"], steps["SoilMoist"][47::48])


def test_output_is_labelled_for_other_programs(spun_up):
    result = run(forcing(1), parameters(), spun_up)
    for name, variable in VARIABLES.items():
        attributes = result[name].attrs
        assert attributes["units"] == variable.units
        assert attributes["cell_methods"].startswith("time: ")
    assert result["Qle"].attrs["standard_name"] == "surface_upward_latent_heat_flux"
    assert result.attrs["Conventions"].startswith("CF-")
    assert "ball_berry" in result.attrs["history"]


def test_signs_follow_alma(spun_up):
    """By day the sun heats the ground and the ground the air; melt feeds runoff."""
    steps = run(forcing(2), parameters(), spun_up, output="step", variables=HEAT)
    result = steps[HEAT].coarsen(time=6).mean()
    noon = result.isel(time=4)
    assert float(noon["SWnet"]) > 0.0
    assert float(noon["Qg"]) > 0.0
    night = result.isel(time=1)
    assert float(night["LWnet"]) < 0.0
    assert float(night["Qg"]) < 0.0
    balance = result["SWnet"] + result["LWnet"] - result["Qle"] - result["Qh"]
    residual = balance - result["Qg"]
    # What is left thaws or freezes what is on the leaves: a fraction of a mm.
    np.testing.assert_allclose(residual, 0.0, atol=30.0)


def test_states_and_forcing_that_do_not_fit_are_refused(spun_up):
    with pytest.raises(InputError, match="soil layers of"):
        run(forcing(1), parameters(), spun_up, settings=Settings(layers=(0.1, 1.0)))
    with pytest.raises(InputError, match="no whole number"):
        run(forcing(1).isel(time=slice(0, 47)), parameters(), spun_up)
    with pytest.raises(InputError, match=r"no output variable LE;.*Qle"):
        run(forcing(1), parameters(), spun_up, variables=["LE"])
    with pytest.raises(InputError, match="same coordinates"):
        run(
            forcing(1, cells=3).assign_coords(site=[0, 1, 2]),
            parameters(3).assign_coords(site=[1, 2, 3]),
        )


def test_faulty_values_on_dask_are_refused_when_computed():
    pytest.importorskip("dask")
    broken = forcing(1, cells=2)
    broken["LWdown"] = broken["LWdown"] * 0.1
    broken["LWdown"].attrs["units"] = "W m-2"
    lazy = run(broken.chunk(site=1), parameters(2).chunk(site=1), variables=["Qle"])
    with pytest.raises((InputError, KernelError), match="LWdown reaches"):
        lazy.compute(scheduler="synchronous")
