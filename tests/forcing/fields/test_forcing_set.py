import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.adjust import QDM, Scaling
from tilth.forcing.fields.alma import NEEDED, to_alma
from tilth.forcing.fields.consistency import saturation
from tilth.forcing.fields.forcing_set import adjust_days, build_forcing, default_method
from tilth.forcing.fields.sunlight import top_of_atmosphere
from tilth.forcing.split import check_not_trained_on
from tilth.forcing.variables import VARIABLES, as_variable

ALMA = {"Tair", "Rainf", "Snowf", "Qair", "PSurf", "SWdown", "LWdown", "Wind"}
UNITS = {name: VARIABLES[name].units for name in (*NEEDED, "tasmin", "tasmax")}
MONTHLY = {
    name: QDM(kind=VARIABLES[name].kind, group="month", quantiles=20)
    for name in (*NEEDED, "tasrange", "tasskew")
}
TRAINING = ("2001-01-01", "2003-12-31")


def climate(first=2001, years=3, calendar="standard", seed=0, warming=0.0):
    rng = np.random.default_rng(seed)
    time = xr.date_range(
        f"{first}-01-01", f"{first + years - 1}-12-30", calendar=calendar, freq="D"
    )
    shape = (time.size, 2)
    clock = xr.DataArray(time, dims="time").dt.dayofyear.values[:, None]
    season = np.cos(2 * np.pi * (clock - 200) / 365.0)
    tas = 281.0 + warming + 9.0 * season + rng.normal(0.0, 3.0, shape)
    places = {"lat": ("cell", [46.0, 52.0]), "lon": ("cell", [8.0, 13.0])}
    data = xr.Dataset(
        {
            "tas": (("time", "cell"), tas),
            "tasmin": (("time", "cell"), tas - rng.uniform(2.0, 7.0, shape)),
            "tasmax": (("time", "cell"), tas + rng.uniform(2.0, 7.0, shape)),
            "pr": (
                ("time", "cell"),
                rng.gamma(0.7, 8.0, shape) * (rng.random(shape) < 0.45) / 86400.0,
            ),
            "ps": (("time", "cell"), rng.normal(96000.0, 700.0, shape)),
            "rlds": (
                ("time", "cell"),
                300.0 + 40.0 * season + rng.normal(0, 20, shape),
            ),
            "sfcWind": (("time", "cell"), rng.weibull(2.0, shape) * 4.0),
        },
        coords={"time": time, **places},
    )
    data["huss"] = saturation(data["tas"], data["ps"]) * rng.uniform(0.4, 0.95, shape)
    sun = top_of_atmosphere(data["time"], data["lat"], data["lon"], 86400.0)
    data["rsds"] = sun.transpose("time", "cell") * rng.uniform(0.15, 0.75, shape)
    for name, units in UNITS.items():
        data[name].attrs["units"] = units
    return data


def biased(data):
    """Return a model's view of the same climate: warmer, drizzling, too bright."""
    model = data.copy()
    model["tas"] = data["tas"] + 3.0
    model["tasmin"] = data["tasmin"] + 4.0
    model["tasmax"] = data["tasmax"] + 2.5
    # Drizzle of up to 0.6 mm every day, of no two days alike.
    drizzle = 0.6 * abs(np.sin(1e4 * data["tas"]))
    model["pr"] = 0.6 * data["pr"] + drizzle / 86400.0
    model["huss"] = data["huss"] * 1.25
    model["ps"] = data["ps"] - 2500.0
    model["rsds"] = data["rsds"] * 1.2
    model["rlds"] = data["rlds"] - 15.0
    model["sfcWind"] = data["sfcWind"] * 1.4
    for name, units in UNITS.items():
        model[name].attrs["units"] = units
    return model


def test_a_raw_model_becomes_a_complete_forcing_of_hours():
    model = biased(climate(2001, 5, seed=1))
    forcing = build_forcing(
        model,
        climate(),
        training=TRAINING,
        application=("2005-01-01", "2005-02-28"),
        methods=MONTHLY,
    )
    assert set(forcing.data_vars) == ALMA
    assert forcing["Tair"].dims == ("time", "cell")
    assert forcing.sizes["time"] == 59 * 24
    assert not any(bool(np.isnan(forcing[name]).any()) for name in ALMA)
    most = saturation(forcing["Tair"], forcing["PSurf"])
    assert bool((forcing["Qair"] <= most * (1 + 1e-9)).all())
    sun = top_of_atmosphere(forcing["time"], forcing["lat"], forcing["lon"], 3600.0)
    assert bool((forcing["SWdown"] <= sun.transpose("time", "cell") + 1e-9).all())
    assert forcing.attrs["split_training"] == "2001-01-01/2003-12-31"
    assert forcing.attrs["split_application"] == "2005-01-01/2005-02-28"
    assert "QDM" in forcing["Rainf"].attrs["adjustment"]


def test_the_whole_of_the_last_year_learnt_from_is_kept_from_scores():
    days = adjust_days(
        biased(climate()), climate(), training=("2001", "2003"), methods=MONTHLY
    )
    forcing = to_alma(days)
    assert forcing.attrs["training_periods"] == (
        "2001-01-01T00:00:00/2003-12-30T00:00:00"
    )
    with pytest.raises(InputError, match="30 of 30 times were learnt from"):
        check_not_trained_on(forcing, forcing["time"].sel(time="2003-12"))
    outside = forcing["time"] + np.timedelta64(4 * 366, "D")
    check_not_trained_on(forcing, outside)


def test_every_bias_is_taken_out_of_other_years_too():
    truth = climate(2001, 6, seed=2)
    found = adjust_days(
        biased(truth),
        climate(seed=5),
        training=TRAINING,
        application=("2004-01-01", "2006-12-30"),
    )
    expected = truth.sel(time=slice("2004-01-01", None))
    # Three years against three others of one climate: twice the error of such a mean.
    for name, bound in (
        ("tas", 0.4),
        ("tasmin", 0.5),
        ("tasmax", 0.5),
        ("ps", 120.0),
        ("rlds", 3.0),
    ):
        assert abs(float((found[name] - expected[name]).mean())) < bound, name
    for name in ("pr", "huss", "rsds", "sfcWind"):
        ratio = float(found[name].mean() / expected[name].mean())
        assert abs(ratio - 1.0) < 0.12, name
    wet = [float((x["pr"] > 1.0 / 86400.0).mean()) for x in (found, expected)]
    np.testing.assert_allclose(*wet, atol=0.03)
    assert bool((found["tasmin"] <= found["tas"]).all())
    assert bool((found["tas"] <= found["tasmax"]).all())


def test_the_models_warming_is_kept():
    model = biased(climate(2001, 3, seed=3))
    warm = biased(climate(2051, 3, seed=3, warming=4.0))
    both = xr.concat([model, warm], "time")
    signal = []
    for period in (TRAINING, ("2051-01-01", "2053-12-30")):
        days = adjust_days(
            both, climate(), training=TRAINING, application=period, methods=MONTHLY
        )
        signal.append(float(days["tas"].mean()))
    np.testing.assert_allclose(signal[1] - signal[0], 4.0, atol=0.02)


def test_a_model_in_another_calendar_and_at_noon_keeps_its_days():
    model = biased(climate(2001, 3, calendar="noleap", seed=1))
    noon = model["time"].values + np.timedelta64(12, "h").item()
    days = adjust_days(
        model.assign_coords(time=noon), climate(), training=TRAINING, methods=MONTHLY
    )
    assert days["time"].dt.calendar == "noleap"
    assert int(days["time"].dt.hour.max()) == 0
    assert days.sizes["time"] == 3 * 365 - 1


def test_what_is_not_observed_is_the_models_own_and_says_so():
    model = biased(climate(seed=1))
    observed = climate()[["tas", "pr"]]
    days = adjust_days(model, observed, training=TRAINING, methods={"tas": Scaling()})
    np.testing.assert_array_equal(days["sfcWind"], model["sfcWind"])
    assert days["sfcWind"].attrs["adjustment"] == "none: not observed"
    assert days["tas"].attrs["adjustment"].startswith("Scaling")
    # Extremes follow the mean: their distance from it is the model's.
    np.testing.assert_allclose(
        days["tas"] - days["tasmin"], model["tas"] - model["tasmin"], atol=1e-9
    )


def test_humidity_and_pressure_are_found_under_other_forms():
    model = climate(seed=1)
    relative = 100.0 * model["huss"] / saturation(model["tas"], model["ps"])
    other = model.drop_vars(["huss", "ps"])
    other["hurs"] = relative.assign_attrs(units="%")
    other["psl"] = model["ps"].assign_attrs(units="Pa")
    sea = xr.DataArray([0.0, 0.0], dims="cell")
    days = adjust_days(
        other, model[["tas"]], training=TRAINING, altitude=sea, methods={}
    )
    np.testing.assert_allclose(days["ps"], model["ps"], rtol=1e-12)
    # e / e_s and q / q_s differ by up to 1 %.
    np.testing.assert_allclose(days["huss"], model["huss"], rtol=0.012)


def test_a_rise_moves_the_model_before_it_is_adjusted():
    model = climate(seed=1)
    rise = xr.DataArray([1000.0, 0.0], dims="cell")
    days = adjust_days(model, climate()[["pr"]], training=TRAINING, rise=rise)
    np.testing.assert_allclose(days["tas"] - model["tas"], [[-6.5, 0.0]] * 1094)
    assert float((days["ps"] - model["ps"]).isel(cell=0).max()) < -10000.0
    assert days["tas"].attrs["adjustment"] == "none: not observed; moved in height"


def test_members_stay_apart():
    members = [biased(climate(seed=n)) for n in (1, 2)]
    model = xr.concat(members, "member")
    model = model.assign_coords(member=[0, 1])
    days = adjust_days(model, climate(), training=TRAINING, methods=MONTHLY)
    alone = adjust_days(members[1], climate(), training=TRAINING, methods=MONTHLY)
    assert set(days["tas"].dims) == {"member", "time", "cell"}
    np.testing.assert_allclose(
        days["tas"].sel(member=1).transpose("time", "cell"), alone["tas"], atol=1e-9
    )


def test_chunks_do_not_change_the_days():
    model, observed = biased(climate(seed=1)), climate()
    whole = adjust_days(model, observed, training=TRAINING)
    lazy = adjust_days(model.chunk(cell=1), observed.chunk(cell=1), training=TRAINING)
    assert lazy["pr"].chunks is not None
    xr.testing.assert_equal(lazy.compute(), whole)


def test_what_cannot_be_built_is_refused_with_the_way_out():
    model, observed = climate(), climate()
    with pytest.raises(InputError, match="lacks rlds"):
        adjust_days(model.drop_vars("rlds"), observed, training=TRAINING)
    with pytest.raises(InputError, match="no day from 1900"):
        adjust_days(model, observed, training=("1900-01-01", "1910-01-01"))
    with pytest.raises(InputError, match="methods names tdps"):
        adjust_days(model, observed, training=TRAINING, methods={"tdps": Scaling()})
    with pytest.raises(InputError, match="lack lat"):
        adjust_days(model, observed.drop_vars("lat"), training=TRAINING)
    with pytest.raises(InputError, match="tilth forcing regrid"):
        adjust_days(model.isel(cell=0), observed, training=TRAINING)
    with pytest.raises(InputError, match="stand for tas"):
        adjust_days(model.assign(t2m=model["tas"]), observed, training=TRAINING)
    with pytest.raises(InputError, match="huss"):
        to_alma(model.drop_vars("huss"))


def test_rain_and_snow_add_up_and_snow_falls_in_the_cold():
    weather = climate()
    alma = to_alma(weather)
    np.testing.assert_allclose(
        (alma["Rainf"] + alma["Snowf"]).values, weather["pr"].values, rtol=1e-12
    )
    assert float(alma["Snowf"].where(weather["tas"] > 285.0).max()) < 1e-7
    cold = weather["tas"] < 268.0
    assert float(alma["Rainf"].where(cold).max()) < 1e-9


def test_a_ratio_is_the_default_where_there_is_a_zero():
    kinds = {name: default_method(name).kind for name in NEEDED}
    assert kinds == {
        "tas": "+",
        "pr": "*",
        "huss": "*",
        "ps": "+",
        "rsds": "*",
        "rlds": "+",
        "sfcWind": "*",
    }


@pytest.mark.realdata
def test_the_cities_of_era5_get_their_weather_back(dataset):
    folder = dataset("era5-canadian-cities")
    file = xr.open_dataset(next(folder.glob("*.nc")), engine="h5netcdf").load()
    truth = xr.Dataset({name: as_variable(file[name]) for name in UNITS})
    training = ("1990-01-01", "1991-12-31")
    application = ("1992-01-01", "1993-12-31")
    days = adjust_days(
        biased(truth),
        truth.sel(time=slice(*training)),
        training=training,
        application=application,
        methods=MONTHLY,
    )
    expected = truth.sel(time=slice(*application))
    raw = biased(truth).sel(time=slice(*application))
    for name in ("tas", "pr", "huss", "ps", "rsds", "rlds", "sfcWind"):
        before = abs(raw[name] - expected[name]).mean()
        after = abs(days[name] - expected[name]).mean()
        # Two years of training; a bias of the model that does not change is found.
        assert float(after) < 0.25 * float(before), name
    forcing = to_alma(days)
    assert set(forcing.data_vars) == ALMA
    # Snow by the wet bulb of the day is a fifth more than ERA5's own, 1990-93.
    ratio = float(to_alma(truth)["Snowf"].sum() / as_variable(file["prsn"]).sum())
    np.testing.assert_allclose(ratio, 1.215, atol=0.002)
