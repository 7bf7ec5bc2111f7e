"""Column maps on files as they come: units, signs, amounts, layers and calendars."""

import cftime
import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.land.cells import stack_cells, unstack_cells
from tilth.land.readers import MODELS, column_map, parse_map, read_land_model, read_map
from tilth.land.readers.days import rates, to_days
from tilth.land.readers.soil import overlap, sum_layers

DAYS = 4


def alma(hours=24, days=DAYS, start="2001-01-01"):
    """Make a run with ALMA names whose daily values are known, end-stamped or not."""
    n = days * 24 // hours
    time = pd.date_range(start, periods=n, freq=f"{hours}h").as_unit("ns")
    ramp = np.arange(n, dtype=float)[:, None] * np.array([1.0, 2.0])

    def field(values, units):
        return (("time", "x"), values, {"units": units})

    layers = np.stack([20 + 0 * ramp, 60 + ramp, 200 + 0 * ramp], axis=1)
    return xr.Dataset(
        {
            "Rainf": field((1 + 0 * ramp) / 86400, "kg m-2 s-1"),
            "Snowf": field((2 + 0 * ramp) / 86400, "kg m-2 s-1"),
            "Tair": field(270 + 0 * ramp, "K"),
            "Qair": field(0.003 + 0 * ramp, "kg/kg"),
            "PSurf": field(90000 + 0 * ramp, "Pa"),
            "SWE": field(100 + ramp, "kg m-2"),
            "SoilMoist": (("time", "soil_layer", "x"), layers, {"units": "kg m-2"}),
            "Qs": field((3 + 0 * ramp) / 86400, "kg m-2 s-1"),
            "Qsb": field((0.5 + ramp) / 86400, "kg m-2 s-1"),
        },
        coords={"time": time},
    )


@pytest.fixture
def written(tmp_path):
    """Return a function that writes a dataset and gives its path."""

    def write(data, name="run.nc"):
        path = tmp_path / name
        if name.endswith(".zarr"):
            data.to_zarr(path, zarr_format=2)
        else:
            data.to_netcdf(path, engine="h5netcdf")
        return path

    return write


def test_alma_output_becomes_forcing_and_targets_in_our_units(written):
    forcing, targets = read_land_model(written(alma()), "alma")
    assert list(forcing) == ["rain", "snowfall", "temperature", "humidity", "pressure"]
    assert list(targets) == ["snow", "soil", "runoff"]
    assert forcing["rain"].dims == ("time", "cell")
    np.testing.assert_allclose(forcing["rain"], 1.0)
    np.testing.assert_allclose(targets["runoff"][:, 1], 3.5 + 2 * np.arange(4))
    # Two topmost layers where their thickness is not known.
    np.testing.assert_allclose(targets["soil"][:, 1], 80 + 2 * np.arange(4))
    assert targets["soil"].attrs["units"] == "mm"


def test_a_zarr_store_and_several_files_give_the_same(written):
    data = alma()
    whole = read_land_model(written(data, "run.zarr"), "alma")
    weather = ["Rainf", "Snowf", "Tair", "Qair", "PSurf"]
    paths = [
        written(data[weather].isel(time=slice(2, 4)), "w2.nc"),
        written(data[weather].isel(time=slice(0, 2)), "w1.nc"),
        written(data.drop_vars(weather), "out.nc"),
    ]
    parts = read_land_model(paths, "alma")
    for a, b in zip(whole, parts, strict=True):
        xr.testing.assert_allclose(a, b)


def test_hours_become_days_rates_as_means_and_states_at_the_end(written):
    data = alma(hours=6)
    _, targets = read_land_model(written(data), "alma")
    assert targets.sizes["time"] == DAYS
    # Of cell 0: subsurface runoff 0.5 + (0, 1, 2, 3); snow after the fourth step.
    assert float(targets["runoff"][0, 0]) == pytest.approx(3.5 + 1.5)
    assert float(targets["snow"][0, 0]) == pytest.approx(103.0)


def test_a_stamp_at_the_end_puts_midnight_into_the_day_before(written):
    data = alma(hours=6)
    data = data.assign_coords(time=data["time"] + np.timedelta64(6, "h"))
    columns = {"like": "alma", "stamp": "end"}
    _, shifted = read_land_model(written(data, "end.nc"), columns)
    _, plain = read_land_model(written(alma(hours=6)), "alma")
    xr.testing.assert_allclose(shifted, plain)
    # Taken as starts, the first and the last day are not whole.
    _, cut = read_land_model(written(data, "end2.nc"), "alma")
    assert cut.sizes["time"] == DAYS - 1


def test_a_gap_in_time_is_named(written):
    data = alma().isel(time=[0, 1, 3])
    with pytest.raises(InputError, match="a file is missing"):
        read_land_model(written(data), "alma")


def test_files_that_overlap_are_refused(written):
    a, b = alma().isel(time=slice(0, 3)), alma().isel(time=slice(1, 4))
    with pytest.raises(InputError, match="overlap"):
        read_land_model([written(a, "a.nc"), written(b, "b.nc")], "alma")


def test_monthly_output_is_refused(written):
    data = alma()
    data = data.assign_coords(time=pd.date_range("2001-01-01", periods=4, freq="30D"))
    with pytest.raises(InputError, match="steps of 30 days"):
        read_land_model(written(data), "alma")


def test_a_missing_variable_is_named_with_what_the_file_has(written):
    with pytest.raises(InputError, match=r"no snow .SWE or") as caught:
        read_land_model(written(alma().drop_vars("SWE")), "alma")
    assert "they hold Rainf, Snowf, Tair" in str(caught.value)


def test_kilopascals_under_the_name_of_pascals_are_refused_and_the_map_mends_it(
    written,
):
    data = alma()
    data["PSurf"] = (data["PSurf"] / 1000).assign_attrs(units="Pa")
    path = written(data)
    with pytest.raises(InputError, match=r"pressure .PSurf. runs from 90 to 90 Pa"):
        read_land_model(path, "alma")
    mended = {"like": "alma", "pressure": {"variable": "PSurf", "units": "kPa"}}
    forcing, _ = read_land_model(path, mended)
    np.testing.assert_allclose(forcing["pressure"], 90000.0)


def test_an_amount_needs_a_word_for_over_which_time(written):
    data = alma(hours=6)
    data["Rainf"] = (data["Rainf"] * 6 * 3600).assign_attrs(units="mm")
    path = written(data)
    with pytest.raises(UnitsError, match="an amount and no rate"):
        read_land_model(path, "alma")
    told = {"like": "alma", "rain": {"variable": "Rainf", "amount": "step"}}
    forcing, _ = read_land_model(path, told)
    np.testing.assert_allclose(forcing["rain"], 1.0)


def test_inches_per_step_are_millimetres_per_day(written):
    data = alma(hours=6)
    data["Rainf"] = (data["Rainf"] * 6 * 3600 / 25.4).assign_attrs(units="inch")
    told = {"like": "alma", "rain": {"variable": "Rainf", "amount": "step"}}
    forcing, _ = read_land_model(written(data), told)
    np.testing.assert_allclose(forcing["rain"], 1.0)


def test_what_leaves_as_negative_needs_the_word_scale(written):
    data = alma()
    for name in ("Qs", "Qsb"):
        data[name] = -data[name].assign_attrs(units="kg m-2 s-1")
        data[name].attrs["units"] = "kg m-2 s-1"
    path = written(data)
    with pytest.raises(InputError, match="scale: -1"):
        read_land_model(path, "alma")
    # ecLand counts so, and closes its intervals with the stamp.
    columns = MODELS["ecland"].changed(stamp="start", thickness=[0.1, 0.3, 1.5])
    _, targets = read_land_model(path, columns)
    np.testing.assert_allclose(targets["runoff"][:, 0], 3.5 + np.arange(4))


def test_a_missing_attribute_of_units_is_an_error_and_not_a_guess(written):
    data = alma()
    del data["Tair"].attrs["units"]
    with pytest.raises(UnitsError, match="Tair has no 'units'"):
        read_land_model(written(data), "alma")


def test_unmarked_fill_values_become_missing_only_where_the_map_says_so(written):
    data = alma()
    data["SWE"][2, 0] = -9999.0
    path = written(data)
    with pytest.raises(InputError, match="list it under missing"):
        read_land_model(path, "alma")
    _, targets = read_land_model(path, {"like": "alma", "missing": [-9999]})
    assert np.isnan(targets["snow"][2, 0])
    assert int(targets["snow"].isnull().sum()) == 1


def test_variables_are_found_by_their_alma_name_one_file_each(written):
    # The Integrated Land Simulator writes short names of its own.
    data = alma()
    paths = []
    for i, name in enumerate(data):
        one = data[[name]].rename({name: f"gl{i}"})
        one[f"gl{i}"].attrs["alma_name"] = name
        paths.append(written(one, f"{i}.nc"))
    columns = MODELS["matsiro"].changed(stamp="start")
    _, targets = read_land_model(paths, columns, soil_layers=2)
    np.testing.assert_allclose(targets["soil"][:, 0], 80 + np.arange(4))


def test_precipitation_is_parted_only_at_temperatures_that_are_told(written):
    data = alma()
    data["Precip"] = (data["Rainf"] + data["Snowf"]).assign_attrs(units="kg m-2 s-1")
    data = data.drop_vars(["Rainf", "Snowf"])
    data["Tair"] = data["Tair"] * 0 + xr.DataArray(
        [270.0, 273.15, 273.4, 280], dims="time"
    )
    data["Tair"].attrs["units"] = "K"
    path = written(data)
    with pytest.raises(InputError, match="snow_temperatures"):
        read_land_model(path, "alma")
    forcing, _ = read_land_model(
        path, {"like": "alma", "snow_temperatures": [-0.5, 0.5]}
    )
    np.testing.assert_allclose(forcing["snowfall"][:, 0], [3, 1.5, 0.75, 0], atol=1e-9)
    np.testing.assert_allclose(forcing["rain"] + forcing["snowfall"], 3.0)
    assert {forcing[n].attrs["units"] for n in ("rain", "snowfall")} == {"mm day-1"}


@pytest.mark.parametrize("lacking", ["Rainf", "Snowf"])
def test_the_other_phase_is_what_is_left_of_precipitation(written, lacking):
    data = alma()
    data["Precip"] = (data["Rainf"] + data["Snowf"]).assign_attrs(units="kg m-2 s-1")
    forcing, _ = read_land_model(written(data.drop_vars(lacking)), "alma")
    np.testing.assert_allclose(forcing["rain"], 1.0)
    np.testing.assert_allclose(forcing["snowfall"], 2.0)
    assert {field.attrs["units"] for field in forcing.values()} == {
        "mm day-1", "K", "kg kg-1", "Pa",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "values", "units", "line"),
    [
        ("e", 0.4336, "kPa", {"vapour_pressure": "e"}),
        ("td", 268.15, "K", {"dewpoint": "td"}),
        ("rh", 86.0, "%", {"relative_humidity": "rh"}),
        ("vpd", 0.7, "hPa", {"vapour_pressure_deficit": "vpd"}),
    ],
)
def test_humidity_comes_from_any_measure_of_vapour(
    written, variable, values, units, line
):
    data = alma()
    data["Tair"] = (data["Tair"] * 0 + 270.15).assign_attrs(units="K")
    data[variable] = (data["Qair"] * 0 + values).assign_attrs(units=units)
    data = data.drop_vars("Qair")
    forcing, _ = read_land_model(written(data), {"like": "alma", **line})
    # At -3 degC saturation is 4.90 hPa; all four stand for about 4.2 hPa at 900 hPa.
    q = float(forcing["humidity"].mean())
    assert q == pytest.approx(0.622 * 4.2 / 900, rel=0.05)


def test_growing_amounts_are_differenced_and_a_restart_starts_anew():
    time = pd.date_range("2001-01-01T06:00", periods=9, freq="6h").as_unit("ns")
    grown = xr.DataArray(
        [1, 3, 3, 6, 7, 2, 2.5, 2.5, 4], coords={"time": time}, dims="time"
    )
    got = rates(grown, "run", 21600.0, "end") / 4
    np.testing.assert_allclose(got[1:], [2, 0, 3, 1, 2, 0.5, 0, 1.5])
    assert np.isnan(got[0])


def test_amounts_from_midnight_start_each_day_even_where_they_do_not_fall():
    # Day one ends with 1 mm; the first hours of day two bring 3 mm.
    time = pd.date_range("2001-01-01T06:00", periods=8, freq="6h").as_unit("ns")
    grown = xr.DataArray([0, 0, 1, 1, 3, 3, 3, 5.0], coords={"time": time}, dims="time")
    per_step = rates(grown, "day", 21600.0, "end") / 4
    np.testing.assert_allclose(per_step, [0, 0, 1, 0, 3, 0, 0, 2])
    days = to_days(per_step * 4, "end", state=False)
    np.testing.assert_allclose(days, [1, 5])
    assert str(days["time"].values[0])[:10] == "2001-01-01"


def test_a_layer_across_the_depth_counts_by_its_part():
    np.testing.assert_allclose(overlap([0.1, 0.3, 1.5], 0.25), [0.1, 0.15, 0.0])
    theta = xr.DataArray([[0.2, 0.3, 0.4]], dims=("time", "layer"))
    water = sum_layers(
        theta, "layer", volumetric=True, thickness=[0.1, 0.3, 1.5], depth=0.25
    )
    assert float(water[0]) == pytest.approx(1000 * (0.1 * 0.2 + 0.15 * 0.3))
    mm = sum_layers(
        theta * xr.DataArray([100.0, 300, 1500], dims="layer"), "layer",
        volumetric=False, thickness=[0.1, 0.3, 1.5], depth=0.25,
    )  # fmt: skip
    assert float(mm[0]) == pytest.approx(float(water[0]))


def test_a_layer_below_the_depth_may_be_missing():
    theta = xr.DataArray([[0.2, np.nan]], dims=("time", "layer"))
    water = sum_layers(theta, "layer", volumetric=True, thickness=[0.1, 1.0], depth=0.1)
    assert float(water[0]) == pytest.approx(20.0)


def test_shares_of_soil_water_need_the_thickness(written):
    data = alma()
    data["SoilMoist"] = (0.3 + 0 * data["SoilMoist"]).assign_attrs(units="m3/m3")
    path = written(data)
    with pytest.raises(InputError, match="thickness"):
        read_land_model(path, "alma")
    columns = {"like": "alma", "thickness": [0.1, 0.3, 1.5]}
    _, targets = read_land_model(path, columns)
    np.testing.assert_allclose(targets["soil"], 120.0)  # 0.3 of 0.4 m
    with pytest.raises(InputError, match=r"1\.9 m deep"):
        read_land_model(path, columns, soil_depth=2.5)


def grid():
    """Make the same run on a grid of 2 rows and 3 columns, one of them sea."""
    flat = alma().isel(x=0, drop=True)
    factor = xr.DataArray(
        [[1.0, 2.0, 3.0], [4.0, np.nan, 6.0]],
        dims=("latitude", "longitude"),
        coords={"latitude": [10.0, 10.5], "longitude": [5.0, 5.5, 6.0]},
    )
    gridded = flat * (factor * 0 + 1)
    gridded["SWE"] = flat["SWE"] * factor
    for name in flat:
        gridded[name].attrs = flat[name].attrs
    return gridded


def test_a_grid_is_put_in_a_row_without_the_sea_and_back(written):
    _, targets = read_land_model(written(grid()), "alma")
    assert targets.sizes["cell"] == 5
    assert targets["cell"].values.tolist() == [0, 1, 2, 3, 5]
    assert targets["lat"].values.tolist() == [10, 10, 10, 10.5, 10.5]
    assert targets["lon"].values.tolist() == [5, 5.5, 6, 5, 6]
    np.testing.assert_allclose(targets["snow"][0], [100, 200, 300, 400, 600])
    back = unstack_cells(targets)
    assert dict(back.sizes) == {"time": 4, "lat": 2, "lon": 3}
    expected = grid()["SWE"].transpose("time", "latitude", "longitude")
    np.testing.assert_allclose(back["snow"], expected)
    np.testing.assert_allclose(back["lon"], [5, 5.5, 6])


def test_a_grid_off_the_axes_goes_back_to_rows_and_columns():
    values = xr.DataArray(
        np.arange(8.0).reshape(2, 2, 2),
        dims=("time", "south_north", "west_east"),
        coords={
            "XLAT": (("south_north", "west_east"), [[10.0, 10.1], [11.0, 11.1]]),
            "XLONG": (("south_north", "west_east"), [[5.0, 6.0], [5.1, 6.1]]),
        },
    )
    flat = stack_cells(values)
    assert flat["lat"].values.tolist() == [10.0, 10.1, 11.0, 11.1]
    back = unstack_cells(flat.to_dataset(name="v"))
    assert back["v"].dims == ("time", "row", "column")
    np.testing.assert_allclose(back["v"], values)
    with pytest.raises(InputError, match="did not come from a grid"):
        unstack_cells(xr.Dataset({"v": ("cell", [1.0])}))


def test_a_member_must_be_chosen_first():
    data = xr.DataArray(np.zeros((2, 2, 2, 2)), dims=("time", "member", "lat", "lon"))
    with pytest.raises(InputError, match="choose one member"):
        stack_cells(data)


def test_chosen_cells_keep_their_numbers(written):
    forcing, targets = read_land_model(written(alma()), "alma", cells=[1])
    assert forcing["cell"].values.tolist() == targets["cell"].values.tolist() == [1]
    with pytest.raises(InputError, match="there are 2 cells"):
        read_land_model(written(alma(), "b.nc"), "alma", cells=[7])


@pytest.mark.parametrize("calendar", ["360_day", "noleap"])
def test_a_models_own_calendar_is_kept(written, calendar):
    data = alma(hours=12, days=30)
    start = cftime.datetime(2001, 2, 1, calendar=calendar)
    data = data.assign_coords(
        time=xr.date_range(
            str(start)[:10], periods=60, freq="12h", calendar=calendar, use_cftime=True
        )
    )
    _, targets = read_land_model(written(data), "alma")
    assert targets.sizes["time"] == 30
    last = targets["time"].values[-1]
    assert (last.month, last.day) == ((2, 30) if calendar == "360_day" else (3, 2))


def test_times_as_text_are_read_as_hrldas_writes_them(tmp_path):
    data = alma().drop_vars("time").rename(time="Time")
    stamps = [f"2001-01-0{i + 2}_00:00:00".encode() for i in range(4)]
    data["Times"] = ("Time", np.array(stamps, "S19"))
    path = tmp_path / "hrldas.nc"
    data.to_netcdf(path, engine="h5netcdf")
    forcing, _ = read_land_model(path, {"like": "alma", "stamp": "end"})
    assert str(forcing["time"].values[0])[:10] == "2001-01-01"


def test_a_map_says_which_word_it_does_not_know(tmp_path):
    with pytest.raises(InputError, match="no 'rainfall'; quantities are rain"):
        parse_map({"rainfall": "x"})
    with pytest.raises(InputError, match="exactly one of"):
        parse_map({"rain": {"units": "mm"}})
    with pytest.raises(InputError, match="no word unit"):
        parse_map({"rain": {"variable": "x", "unit": "mm"}})
    with pytest.raises(InputError, match="no amount 'month'"):
        parse_map({"rain": {"variable": "x", "amount": "month"}})
    with pytest.raises(InputError, match="no map 'clm'"):
        column_map({"like": "clm"})
    with pytest.raises(InputError, match="take one of alma, tilth, vic"):
        column_map("jules")
    path = tmp_path / "mine.yaml"
    path.write_text("like: vic\nstamp: middle\n")
    with pytest.raises(InputError, match=r"mine\.yaml: stamp is"):
        read_map(path, MODELS)


def test_a_yaml_map_is_the_dictionary_it_holds(tmp_path, written):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "like: alma\n"
        "rain: [NOT_THERE, {variable: Rainf, scale: 2}]\n"
        "runoff: {sum: [Qs, Qsb]}\n"
        "thickness: [0.1, 0.3, 1.5]\n"
    )
    forcing, targets = read_land_model(written(alma()), path, soil_depth=0.25)
    np.testing.assert_allclose(forcing["rain"], 2.0)
    np.testing.assert_allclose(targets["soil"][0], 20 + 60 / 2)
    assert "mine" in forcing.attrs["history"]


@pytest.mark.realdata
def test_noah_mps_growing_runoff_gives_its_totals(dataset, tmp_path):
    folder = dataset("noahmp-bondville")
    file = folder / "noahmp_bondville_1998_3h.nc"
    data = xr.open_dataset(file, engine="h5netcdf")
    n = data.sizes["Time"]
    # The weather is not in LDASOUT; what is tested here is what is.
    weather = {"T2D": (280.0, "K"), "Q2D": (0.005, "kg/kg"), "PSFC": (98000.0, "Pa")}
    weather["RAINRATE"] = (1e-5, "kg m-2 s-1")
    other = xr.Dataset(
        {k: ("Time", np.full(n, v), {"units": u}) for k, (v, u) in weather.items()},
        coords={"Time": data["Time"]},
    )
    path = tmp_path / "ldasin.nc"
    other.to_netcdf(path, engine="h5netcdf")
    columns = MODELS["noahmp"].changed(snow_temperatures=[0, 2])
    _, targets = read_land_model([path, file], columns)
    # From the first whole day, 7 January, to the end: 149.2 + 29.6 mm from the 6th.
    total = float(targets["runoff"].sum())
    grown = data["SFCRNOFF"] + data["UGDRNOFF"]
    first = grown.sel(Time="1998-01-07T00:00")
    assert total == pytest.approx(float(grown[-1] - first), rel=1e-4)
    assert total < 149.2 + 29.6
    assert float(targets["snow"].max()) <= 8.61
    # 0.1 m and 0.3 m of silt loam between wilting and saturation.
    assert 40.0 < float(targets["soil"].mean()) < 190.0


def test_the_steps_of_a_model_cannot_be_known(written):
    data = alma()
    data["Rainf"].attrs["units"] = "mm/timestep"
    with pytest.raises(UnitsError, match="how long a step of the model is"):
        read_land_model(written(data), "alma")


@pytest.mark.parametrize("model", list(MODELS))
def test_a_map_comes_back_whole_from_its_dictionary(model):
    import json

    told = json.loads(json.dumps(MODELS[model].settings()))
    assert parse_map(told) == MODELS[model]


def test_rain_and_snowfall_come_from_the_same_file(written):
    # A forcing file whose rain is all precipitation, given first.
    data = alma()
    weather = data[["Tair", "Qair", "PSurf"]]
    weather["Rainf"] = (data["Rainf"] + data["Snowf"]).assign_attrs(units="kg m-2 s-1")
    output = data.drop_vars(["Tair", "Qair", "PSurf"])
    paths = [written(weather, "forcing.nc"), written(output, "output.nc")]
    forcing, _ = read_land_model(paths, "alma")
    np.testing.assert_allclose(forcing["rain"], 1.0)
    np.testing.assert_allclose(forcing["snowfall"], 2.0)


@pytest.mark.parametrize(("hour", "day"), [(0, 1), (12, 1), (11, 1), (13, 2), (23, 2)])
def test_a_daily_mean_belongs_to_the_day_that_holds_most_of_it(written, hour, day):
    data = alma()
    data = data.assign_coords(time=data["time"] + np.timedelta64(hour, "h"))
    forcing, _ = read_land_model(written(data), "alma")
    assert str(forcing["time"].values[0])[:10] == f"2001-01-0{day}"


def test_what_is_open_already_is_read_like_a_file(written):
    data = alma()
    for a, b in zip(
        read_land_model(data, "alma"),
        read_land_model(written(data), "alma"),
        strict=True,
    ):
        xr.testing.assert_equal(a, b)
