"""The emulator as an object: on any grid, in chunks, in parts, as an ensemble."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError, KernelError, UnitsError
from tilth.land.emulator import Emulator, as_targets, fitted_dataset, kernel
from tilth.land.emulator.variants import VARIANTS, Forcing

ROWS, COLUMNS = 3, 5
COORDS = {"lat": [48.0, 47.0, 46.0], "lon": [7.0, 8.0, 9.0, 10.0, 11.0]}
UNITS = {"Rainf": "kg m-2 s-1", "Snowf": "kg m-2 s-1", "Tair": "K", "Qair": "kg kg-1",
         "PSurf": "Pa"}  # fmt: skip
STORES = ("SWE", "SoilMoist", "SurfStor")


@pytest.fixture
def weather(made_up_weather):
    return made_up_weather(400, ROWS * COLUMNS, seed=8)[0]


@pytest.fixture
def forcing(weather):
    """Return 400 days from 1 January 2003 in ALMA's names and units on a grid."""
    fields = zip(UNITS.items(), weather, strict=True)
    data = {
        name: (
            ("time", "lat", "lon"),
            (field / (86400 if units.endswith("s-1") else 1))
            .astype("float32")
            .reshape(400, ROWS, COLUMNS),
            {"units": units},
        )
        for (name, units), field in fields
    }
    time = pd.date_range("2003-01-01", periods=400)
    return xr.Dataset(data, {"time": time, **COORDS})


@pytest.fixture
def parameters(random_parameters):
    grid = random_parameters(ROWS * COLUMNS).reshape(15, 12, ROWS, COLUMNS)
    grid[:, :, 1, 2] = np.nan  # a lake
    return grid


def emulator(parameters, variant="implicit", **kwargs):
    return Emulator(
        fitted_dataset(
            parameters,
            0.2,
            150.0,
            variant,
            dims=("lat", "lon"),
            coords=COORDS,
            **kwargs,
        )
    )


def assert_same(first, second):
    """Compare two outputs to the last bit."""
    assert set(first.data_vars) == set(second.data_vars)
    for name in first.data_vars:
        a, b = first[name], second[name]
        assert a.dims == b.dims
        assert a.dtype == b.dtype
        assert np.array_equal(a.values, b.values, equal_nan=True), name


def test_a_run_is_the_kernels_with_names_units_and_places(forcing, parameters, weather):
    output = emulator(parameters).run(forcing, dtype="float64", evaporation=True)
    assert output["SWE"].dims == ("time", "lat", "lon")
    assert output["SWE"].attrs["standard_name"] == "surface_snow_amount"
    assert output["Qtot"].attrs["units"] == "kg m-2 s-1"
    assert output["lat"].values.tolist() == COORDS["lat"]
    single = Forcing(*(field.astype("float32").astype(float) for field in weather))
    done = kernel.simulate(
        single,
        forcing["time"].dt.month.values - 1,
        parameters.reshape(15, 12, -1),
        0.2,
        150.0,
        np.zeros((4, 15)),
        VARIANTS["implicit"],
        evaporation=True,
    )
    pairs = zip(
        (*STORES, "Qtot", "Evap"),
        ("snow", "soil", "wetland", "runoff", "evaporation"),
        strict=True,
    )
    for ours, theirs in pairs:
        values = output[ours].values.reshape(400, -1)
        if ours in ("Qtot", "Evap"):
            values = values * 86400
        expected = getattr(done, theirs)
        # Rain was rounded to single precision per second here and per day there.
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-3)
    assert bool(output["SWE"].isel(lat=1, lon=2).isnull().all())
    assert int(output["Qtot"].isnull().sum()) == 400


def test_a_run_goes_back_to_the_names_of_the_targets(forcing, parameters):
    output = emulator(parameters).run(forcing)
    targets = as_targets(output)
    assert list(targets) == ["snow", "soil", "wetland", "runoff"]
    assert targets["runoff"].attrs["units"] == "mm day-1"
    days = output["Qtot"] * 86400
    xr.testing.assert_allclose(targets["runoff"], days)
    with pytest.raises(InputError, match="SWE"):
        as_targets(targets)


def test_names_units_and_order_of_dimensions_do_not_matter(forcing, parameters):
    usual = emulator(parameters).run(forcing, dtype="float64")
    other = forcing.transpose("lon", "lat", "time").rename(
        Rainf="rain", Snowf="snowfall", Tair="temperature", Qair="humidity",
        PSurf="pressure",
    ).astype(float)  # fmt: skip
    other["rain"] = (other["rain"] * 86400).assign_attrs(units="mm day-1")
    other["snowfall"] = (other["snowfall"] * 3600).assign_attrs(units="kg m-2 h-1")
    other["temperature"] = (other["temperature"] - 273.15).assign_attrs(units="degC")
    other["humidity"] = (other["humidity"] * 1e3).assign_attrs(units="g kg-1")
    other["pressure"] = (other["pressure"] / 100).assign_attrs(units="hPa")
    same = emulator(parameters).run(other, dtype="float64")
    for name in (*STORES, "Qtot"):
        np.testing.assert_allclose(same[name], usual[name], rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize(
    "chunks", [{"lat": 1}, {"lon": 2, "time": 77}, {"lat": 2, "lon": 3}]
)
@pytest.mark.parametrize("members", [0, 3])
def test_chunks_change_nothing_to_the_last_bit(chunks, members, forcing, parameters):
    if members:
        parameters = np.stack([parameters * (1 + 0.01 * k) for k in range(members)])
    model = emulator(parameters)
    whole = model.run(forcing, evaporation=True)
    lazy = model.run(forcing.chunk(chunks), evaporation=True)
    assert lazy["SWE"].chunks is not None
    assert_same(whole, lazy.compute())


@pytest.mark.parametrize("members", [0, 2])
@pytest.mark.parametrize("method", ["kernel", "jax"])
def test_a_run_goes_on_where_another_ended(method, members, forcing, parameters):
    if members:
        parameters = np.stack([parameters * (1 + 0.01 * k) for k in range(members)])
    model = emulator(parameters, "closed")
    whole = model.run(forcing, method=method)
    first = model.run(forcing.isel(time=slice(0, 200)), method=method)
    second = model.run(
        forcing.isel(time=slice(200, None)), first["state"], method=method
    )
    for name in (*STORES, "Qtot"):
        joined = xr.concat([first[name], second[name]], "time")
        assert np.array_equal(joined.values, whole[name].values, equal_nan=True)
    assert np.array_equal(second["state"], whole["state"], equal_nan=True)


def test_kernel_and_jax_are_the_same_emulator(forcing, parameters):
    model = emulator(parameters, "closed")
    runs = [
        model.run(forcing, method=m, dtype="float64", evaporation=True)
        for m in ("kernel", "jax")
    ]
    for name in runs[0].data_vars:
        np.testing.assert_allclose(
            runs[0][name].values, runs[1][name].values, rtol=1e-9, atol=1e-8
        )


def test_an_ensemble_gives_mean_and_spread_of_its_members(forcing, parameters):
    fits = np.stack([parameters, parameters * 1.02, parameters * 0.97])
    together = emulator(fits).run(forcing, dtype="float64")
    alone = [emulator(fit).run(forcing, dtype="float64") for fit in fits]
    assert together["state"].dims == ("member", "store", "lat", "lon")
    for name in (*STORES, "Qtot"):
        values = np.stack([run[name].values for run in alone])
        np.testing.assert_allclose(together[name], values.mean(axis=0), rtol=1e-12)
        spread = together[f"{name}_spread"]
        np.testing.assert_allclose(
            spread, values.std(axis=0, ddof=1), rtol=1e-6, atol=1e-10
        )
        assert spread.attrs["units"] == together[name].attrs["units"]
        assert "standard_name" not in spread.attrs


def test_members_that_are_kept_beside_the_fit_do_not_run(forcing, parameters):
    model = emulator(parameters)
    beside = model.fitted["parameters"].expand_dims(member=4)
    both = Emulator(model.fitted.assign(member_parameters=beside))
    assert both.members == 1
    assert_same(model.run(forcing), both.run(forcing))


def test_the_closed_variant_keeps_its_water_and_the_others_say_what_they_lose(
    forcing, parameters
):
    kept = emulator(parameters, "closed").run(forcing, dtype="float64")
    assert float(np.abs(kept["water_residual"]).max()) < 1e-9
    lost = emulator(parameters).run(forcing, dtype="float64", evaporation=True)
    water = (forcing["Rainf"] + forcing["Snowf"]).astype(float)
    out = lost["Qtot"] + lost["Evap"]
    stores = lost["state"].sum("store", skipna=False)
    expected = (water - out).sum("time", skipna=False) * 86400 - stores
    np.testing.assert_allclose(lost["water_residual"], expected, rtol=1e-6, atol=1e-6)
    assert float(np.abs(expected).max()) > 100
    assert float(lost.attrs["largest_water_residual"].split()[0]) > 100


@pytest.mark.parametrize("name", ["parameters.nc", "parameters.zarr"])
def test_an_emulator_survives_a_file(name, tmp_path, forcing, parameters):
    model = emulator(parameters, training_years=[1961, 1962], imitates="VIC")
    write = model.to_netcdf if name.endswith(".nc") else model.to_zarr
    again = Emulator.open(write(tmp_path / name))
    output = again.run(forcing)
    assert_same(model.run(forcing), output)
    assert output.attrs["imitates"] == "VIC"
    assert again.fitted["parameter"].values.tolist()[0] == "snow_gain"


def test_files_that_are_not_there_or_in_the_way_are_named(tmp_path, parameters):
    with pytest.raises(InputError, match=r"there is no .*lost\.nc"):
        Emulator.open(tmp_path / "lost.nc")
    model = emulator(parameters)
    model.to_zarr(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="exists"):
        model.to_zarr(tmp_path / "a.zarr")
    with pytest.raises(InputError, match=r"ends in \.nc"):
        model.to_netcdf(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="NetCDF"):
        model.to_zarr(tmp_path / "a.nc")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_that_was_not_copied_to_its_end_is_named(share, tmp_path, parameters):
    path = emulator(parameters).to_netcdf(tmp_path / "torn.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"torn\.nc cannot be read.*damaged"):
        Emulator.open(path)


def test_what_is_no_emulator_is_named(tmp_path, parameters):
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="folder cannot be read as a Zarr store"):
        Emulator.open(tmp_path / "folder")
    shutil.copy(emulator(parameters).to_netcdf(tmp_path / "a.nc"), tmp_path / "a.dat")
    with pytest.raises(InputError, match=r"a\.dat cannot be read as a Zarr store"):
        Emulator.open(tmp_path / "a.dat")


def test_the_order_of_dimensions_changes_nothing(forcing, parameters):
    rng = np.random.default_rng(3)
    share, reference = rng.random((2, ROWS, COLUMNS))
    fitted = emulator(parameters).fitted
    fitted = fitted.assign(
        runoff_share=fitted["runoff_share"].copy(data=share),
        soil_reference=fitted["soil_reference"].copy(data=100.0 + 100.0 * reference),
    )
    start = Emulator(fitted).run(forcing)["state"]
    usual = Emulator(fitted).run(forcing, start)
    turned = fitted.transpose("lon", "lat", "month", "parameter")
    for given in (forcing, forcing.chunk(lat=2, lon=2)):
        output = Emulator(turned).run(
            given.transpose("lon", "time", "lat"),
            start.transpose("lon", "store", "lat"),
        )
        for name in (*STORES, "Qtot", "state"):
            again = output[name].transpose(*usual[name].dims)
            assert np.array_equal(again, usual[name], equal_nan=True), name


@pytest.mark.parametrize("name", ["runoff_share", "soil_reference"])
def test_a_value_for_some_cells_only_is_refused(name, parameters):
    fitted = emulator(parameters).fitted
    with pytest.raises(InputError, match=f"{name} lacks the dimension lon"):
        Emulator(fitted.assign({name: fitted[name].isel(lon=0, drop=True)}))


def test_the_state_of_a_fit_is_a_state_to_start_from(forcing, parameters):
    model = emulator(parameters)
    with pytest.raises(InputError, match="initial_snow"):
        model.initial_state()
    stores = {
        f"initial_{store}": xr.full_like(model.fitted["soil_reference"], value)
        for store, value in zip(
            ("snow", "soil", "wetland", "deep"), (80, 5, 9, 0), strict=True
        )
    }
    model = Emulator(model.fitted.assign(stores))
    output = model.run(forcing, model.initial_state())
    assert float(output["SWE"][0].min()) > 40
    empty = model.run(forcing)
    assert float(empty["SWE"][0].max()) < 40


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (lambda s: s.rename("x").isel(store=0), "dimension store"),
        (lambda s: s.isel(store=[1, 0, 2, 3]), "snow, soil, wetland, deep"),
        (lambda s: s.where(s["lat"] > 46.5), "not a number in 5 of 14 cells"),
        (lambda s: s.isel(lat=[0, 1]), "same cells"),
        (lambda s: s.isel(lat=0), "the dimensions store, lon; it needs store, lat"),
    ],
)
def test_a_state_that_cannot_be_continued_is_refused(state, words, forcing, parameters):
    model = emulator(parameters)
    end = model.run(forcing)["state"]
    with pytest.raises(InputError, match=words):
        model.run(forcing, state(end))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("PSurf", 101.3, "kPa"),
        ("PSurf", 950.0, "hPa"),
        ("Tair", 12.0, "degC, not K"),
        ("Qair", 7.0, "g kg-1"),
        ("Qair", 80.0, "percent"),
        ("Qair", -1e-4, "clip"),
        ("Rainf", -1e-6, "cannot be negative"),
        ("Snowf", 12.0, "mm per day or hour"),
        ("Tair", np.nan, "not a number on 2003-07-20 in cell 13"),
        ("Tair", 140.0, "has not been seen"),
    ],
)
@pytest.mark.parametrize("method", ["kernel", "jax", "dask"])
def test_values_that_contradict_their_units_are_refused(
    method, field, value, words, forcing, parameters
):
    forcing[field][200, 2, 3] = value
    model = emulator(parameters)
    if method == "dask":
        lazy = model.run(forcing.chunk(lat=3, lon=5))
        with pytest.raises(KernelError, match=words):
            lazy.compute()
        return
    with pytest.raises(InputError, match=words):
        model.run(forcing, method=method)


def test_weather_over_a_cell_without_parameters_may_be_anything(forcing, parameters):
    usual = emulator(parameters).run(forcing)
    forcing["PSurf"][:, 1, 2] = -1.0
    forcing["Tair"][:, 1, 2] = np.nan
    for method in ("kernel", "jax"):
        output = emulator(parameters).run(forcing, method=method)
        assert output["SWE"].isel(lat=1, lon=2).isnull().all()
        np.testing.assert_allclose(output["SWE"], usual["SWE"], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda f: f.drop_vars("Qair"), InputError, r"Qair \(humidity\)"),
        (lambda f: f.drop_vars(["Qair", "PSurf"]), InputError, r"Qair.*PSurf"),
        (lambda f: f.drop_vars("Snowf"), InputError, "snow_temperatures"),
        (lambda f: f.drop_attrs(deep=True), UnitsError, "units"),
        (lambda f: f.isel(lat=[0, 2]), InputError, "same cells"),
        (lambda f: f.isel(lat=0), InputError, "time, lat, lon"),
        (lambda f: f.isel(time=[0, 1, 3]), InputError, "a day is missing"),
        (lambda f: f.isel(time=[]), InputError, "not one day"),
        (lambda f: f.assign_coords(lat=[1.0, 2, 3]), InputError, "same cells"),
        (
            lambda f: f.assign(Rainf=f["Rainf"].assign_attrs(units="kg m-2")),
            UnitsError,
            "rate of water",
        ),
    ],
)
def test_forcing_that_is_not_what_it_should_be_is_refused(
    change, error, words, forcing, parameters
):
    with pytest.raises(error, match=words):
        emulator(parameters).run(change(forcing))


def test_unknown_settings_are_named(forcing, parameters):
    with pytest.raises(InputError, match="float32 or float64"):
        emulator(parameters).run(forcing, dtype="int32")
    with pytest.raises(InputError, match="kernel, jax"):
        emulator(parameters).run(forcing, method="fortran")


def test_precipitation_is_split_only_when_told_how(forcing, parameters):
    model = emulator(parameters)
    total = forcing.rename(Rainf="Precip").drop_vars("Snowf")
    total["Precip"] = (forcing["Rainf"] + forcing["Snowf"]).assign_attrs(
        units="kg m-2 s-1"
    )
    with pytest.raises(InputError, match=r"snow_temperatures=\(-0.5, 0.5\)"):
        model.run(total)
    with pytest.raises(InputError, match="leave out"):
        model.run(forcing, snow_temperatures=(0, 1))
    with pytest.raises(InputError, match="first lower"):
        model.run(total, snow_temperatures=(1, 0))
    # The made-up weather was split so: all snow at 272.5 K, all rain at 274.5 K.
    limits = (272.5 - 273.15, 274.5 - 273.15)
    output = model.run(total, snow_temperatures=limits, dtype="float64")
    usual = model.run(forcing, dtype="float64")
    np.testing.assert_allclose(output["SWE"], usual["SWE"], rtol=1e-3, atol=1e-2)


def test_one_column_needs_no_dimension_for_it(forcing, parameters):
    place = {"lat": 0, "lon": 1}
    alone = fitted_dataset(parameters[:, :, 0, 1], 0.2, 150.0, "implicit", dims=())
    output = Emulator(alone).run(forcing.isel(place).drop_vars(["lat", "lon"]))
    whole = emulator(parameters).run(forcing).isel(place)
    assert output["SWE"].dims == ("time",)
    assert np.array_equal(output["SWE"], whole["SWE"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: f.drop_vars("runoff_share"), "runoff_share"),
        (
            lambda f: f.assign_attrs(variant="best"),
            "published, smooth, implicit, closed",
        ),
        (lambda f: f.isel(parameter=slice(0, 14)), "15"),
        (lambda f: f.isel(parameter=slice(None, None, -1)), "in this order"),
        (lambda f: f.assign_attrs(variant="closed"), "deep_residence"),
        (lambda f: f.isel(month=slice(None, None, -1)), "1 to 12"),
        (lambda f: f.assign(runoff_share=f["runoff_share"] * 10), "0 to 1"),
        (
            lambda f: f.assign(runoff_share=f["runoff_share"].expand_dims(tile=2)),
            "tile",
        ),
    ],
)
def test_a_fit_that_is_not_whole_is_refused(change, words, parameters):
    with pytest.raises(InputError, match=words):
        Emulator(change(emulator(parameters).fitted))
