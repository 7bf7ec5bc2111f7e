import dataclasses

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

import tilth.land.fit.driver as driver
from tilth.core.errors import InputError, TilthError, UnitsError
from tilth.core.flags import is_flagged
from tilth.land.emulator.equations import VARIANTS, Forcing, State, simulate
from tilth.land.fit import FIT_FLAGS, FitSettings, as_members, fit_emulator

QUICK = FitSettings(
    starts=2,
    candidates=4,
    month_iterations=8,
    joint_iterations=6,
    window_years=2,
    window_step=2,
)
YEARS = (2001, 2003)


@pytest.fixture(scope="module")
def fitted(world):
    weather, truth = world("implicit")
    return fit_emulator(
        weather, truth.drop_vars("wetland"), years=YEARS, settings=QUICK
    )


def test_a_fit_is_described_and_runs_freely_beyond_its_years(world, fitted):
    weather, truth = world("implicit")
    assert fitted.parameters.dims == ("parameter", "month", "cell")
    assert fitted.month.values.tolist() == list(range(1, 13))
    assert fitted.parameter.values[0] == "snow_gain"
    assert fitted.attrs["variant"] == "implicit"
    assert fitted.attrs["last_day"] == "2003-12-31"
    assert not is_flagged(fitted.fit_flag).any()
    test = weather.sel(time="2004")
    _, states, fluxes = simulate(
        State(*(fitted[f"initial_{s}"].values for s in State._fields)),
        Forcing(*(test[name].values for name in Forcing._fields)),
        test.time.dt.month.values - 1,
        fitted.parameters.values,
        fitted.runoff_share.values,
        VARIANTS["implicit"],
    )
    soil = np.asarray(states.soil) + fitted.soil_reference.values
    runoff = np.asarray(fluxes.surface_runoff + fluxes.base_runoff)
    for name, got in (("snow", states.snow), ("soil", soil), ("runoff", runoff)):
        expected = truth[name].sel(time="2004").values
        missing = np.mean((np.asarray(got) - expected) ** 2, axis=0)
        assert np.all(missing < 0.1 * expected.var(axis=0)), name


def test_the_joint_fit_improves_the_free_runs_of_the_training_years(fitted):
    gain = fitted.efficiency.sel(stage="joint") - fitted.efficiency.sel(stage="months")
    assert np.all(gain.sel(target=["snow", "soil", "runoff"]).sum("target") > 0)
    assert np.isnan(fitted.efficiency.sel(target="wetland")).all()


def test_the_state_at_the_end_is_that_of_the_land_model_where_it_has_one(world, fitted):
    _, truth = world("implicit")
    end = truth.sel(time="2003-12-31")
    assert_allclose(fitted.initial_snow, end.snow)
    assert_allclose(fitted.initial_soil + fitted.soil_reference, end.soil, rtol=1e-12)
    assert np.all(fitted.initial_wetland > 0)


def test_cells_in_chunks_are_fitted_to_the_same_bits(world, fitted):
    weather, truth = world("implicit")
    chunked = fit_emulator(
        weather.chunk(cell=1),
        truth.drop_vars("wetland").chunk(cell=1),
        years=YEARS,
        settings=QUICK,
    )
    xr.testing.assert_identical(chunked, fitted)


def test_a_stopped_run_goes_on_to_the_same_bits(world, fitted, tmp_path, monkeypatch):
    weather, truth = world("implicit")
    monkeypatch.setattr(driver, "BLOCK", 1)
    fit_cell, calls = driver.fit_cell, []

    def stopped(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit_cell(*arguments)

    monkeypatch.setattr(driver, "fit_cell", stopped)
    arguments = (weather, truth.drop_vars("wetland"))
    options = {"years": YEARS, "settings": QUICK, "folder": tmp_path / "kept"}
    with pytest.raises(KeyboardInterrupt):
        fit_emulator(*arguments, **options)
    assert len(list((tmp_path / "kept").iterdir())) == 1
    resumed = fit_emulator(*arguments, **options)
    assert len(calls) == 3  # the first cell was not fitted again
    xr.testing.assert_identical(resumed, fitted)
    fit_emulator(*arguments, **options)
    assert len(calls) == 3
    other = options | {"settings": dataclasses.replace(QUICK, seed=1)}
    fit_emulator(*arguments, **other)
    assert len(calls) == 5  # other settings, other results


def test_a_checkpoint_that_is_not_one_is_named(world, tmp_path):
    weather, truth = world("implicit")
    options = {"years": YEARS, "settings": QUICK, "folder": tmp_path}
    fit_emulator(weather.isel(cell=[0]), truth.isel(cell=[0]), **options)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"torn")
    with pytest.raises(TilthError, match=f"{file.name}.*delete it"):
        fit_emulator(weather.isel(cell=[0]), truth.isel(cell=[0]), **options)


def test_what_cannot_be_fitted_is_flagged_and_disturbs_no_other_cell(world, fitted):
    weather, truth = world("implicit")
    weather = xr.concat([weather, weather, weather], "cell").assign_coords(
        cell=np.arange(6)
    )
    truth = xr.concat([truth, truth, truth], "cell").assign_coords(cell=np.arange(6))
    truth = truth.drop_vars("wetland").copy(deep=True)
    weather = weather.copy(deep=True)
    weather.rain[100, 1] = np.nan
    for name in ("snow", "soil", "runoff"):
        truth[name][:, 2] = 0.0  # a desert
    truth["soil"][:, 3] = np.nan
    truth["snow"][:, 4] = 0.0  # no snow, but runoff
    feb = truth.time.dt.month == 2
    eve = np.flatnonzero(feb.values[1:] & ~feb.values[:-1])
    truth["snow"][eve, 5] = np.nan
    result = fit_emulator(weather, truth, years=YEARS, settings=QUICK)
    expected = [
        0,
        FIT_FLAGS.bit("missing_weather"),
        FIT_FLAGS.bit("desert"),
        FIT_FLAGS.bit("missing_target"),
        FIT_FLAGS.bit("snow_constant"),
        FIT_FLAGS.bit("no_start"),
    ]
    assert result.fit_flag.values.tolist() == expected
    known = np.isfinite(result.parameters).all(["parameter", "month"]).values
    assert known.tolist() == [True, False, False, False, True, False]
    xr.testing.assert_identical(
        result.parameters[..., 0].drop_vars("cell"),
        fitted.parameters[..., 0].drop_vars("cell"),
    )


def test_stores_known_once_a_month_are_enough(world):
    weather, truth = world("implicit")
    truth = truth.drop_vars("wetland").isel(cell=[0]).copy(deep=True)
    month_ends = truth.time.dt.is_month_end
    for name in ("snow", "soil"):
        truth[name] = truth[name].where(month_ends)
    result = fit_emulator(weather.isel(cell=[0]), truth, years=YEARS, settings=QUICK)
    assert result.fit_flag.item() == 0
    assert result.efficiency.sel(stage="joint", target="soil").item() > 0.8


def test_a_calendar_of_its_own_is_followed(world):
    weather, truth = world("implicit")
    no_leap = xr.date_range("2001-01-01", "2003-12-31", calendar="noleap")
    noon = xr.date_range(
        "2001-01-01T12:00", "2003-12-31T12:00", calendar="noleap", use_cftime=True
    )
    days = slice(0, no_leap.size)
    first, other = (
        fit_emulator(
            weather.isel(time=days, cell=[0]).assign_coords(time=time),
            truth.drop_vars("wetland")
            .isel(time=days, cell=[0])
            .assign_coords(time=time),
            years=YEARS,
            settings=QUICK,
        )
        for time in (noon, weather.time.values[days])
    )
    xr.testing.assert_identical(first, other)


def test_where_the_joint_fit_fails_the_months_remain(world, monkeypatch):
    from tilth.land.fit import cell

    weather, truth = world("implicit")
    arguments = (weather.isel(cell=[0]), truth.drop_vars("wetland").isel(cell=[0]))
    months = fit_emulator(
        *arguments, years=YEARS, settings=dataclasses.replace(QUICK, joint=False)
    )

    def failing(place, *_):
        return place * 0.0, np.full((2, 4), np.nan), np.empty((0, place.size))

    monkeypatch.setattr(cell, "fit_jointly", failing)
    failed = fit_emulator(*arguments, years=YEARS, settings=QUICK)
    assert failed.fit_flag.item() == FIT_FLAGS.bit("months_only")
    assert_allclose(failed.parameters, months.parameters, atol=0)


def test_a_known_wetland_is_part_of_the_fit(world):
    weather, truth = world("implicit")
    result = fit_emulator(
        weather.isel(cell=[0]), truth.isel(cell=[0]), years=YEARS, settings=QUICK
    )
    assert result.efficiency.sel(stage="joint", target="wetland").item() > 0.5
    assert_allclose(
        result.initial_wetland, truth.wetland.sel(time="2003-12-31").values[:1]
    )


def test_members_are_drawn_and_take_the_place_of_the_fit(world, fitted):
    weather, truth = world("implicit")
    settings = dataclasses.replace(QUICK, members=3)
    result = fit_emulator(
        weather.isel(cell=[0]),
        truth.drop_vars("wetland").isel(cell=[0]),
        years=YEARS,
        settings=settings,
    )
    assert_allclose(result.parameters, fitted.parameters[..., :1], atol=0)
    members = as_members(result)
    assert members.parameters.dims == ("member", "parameter", "month", "cell")
    assert members.runoff_share.dims == ("member", "cell")
    assert np.all(members.runoff_share.std("member") > 0)
    with pytest.raises(InputError, match="no members"):
        as_members(fitted)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"years": (2001, 2001)}, "1 training year is too few"),
        ({"years": (1999, 2002)}, "training years 1999, 2000 are not in the data"),
        ({"variant": "best"}, "no variant 'best'.*implicit"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(world, change, words):
    weather, truth = world("implicit")
    with pytest.raises(InputError, match=words):
        fit_emulator(weather, truth, **({"years": YEARS} | change))


def test_days_that_do_not_follow_each_other_are_refused(world):
    weather, truth = world("implicit")
    days = np.delete(np.arange(weather.sizes["time"]), 500)
    with pytest.raises(InputError, match=r"2002-05-17.*follows 2002-05-15"):
        fit_emulator(weather.isel(time=days), truth.isel(time=days), years=YEARS)


def test_other_units_are_converted_and_wrong_ones_refused(world):
    weather, truth = world("implicit")
    weather = weather.isel(cell=[0])
    truth = truth.drop_vars("wetland").isel(cell=[0])
    other = weather.copy()
    other["temperature"] = (weather.temperature - 273.15).assign_attrs(units="degC")
    other["pressure"] = (weather.pressure / 100.0).assign_attrs(units="hPa")
    other["rain"] = (weather.rain / 86400.0).assign_attrs(units="kg m-2 s-1")
    metres = truth.copy()
    metres["snow"] = (truth.snow / 1000.0).assign_attrs(units="m")
    options = {"years": YEARS, "settings": dataclasses.replace(QUICK, joint=False)}
    first = fit_emulator(weather, truth, **options)
    second = fit_emulator(other, metres, **options)
    assert_allclose(second.month_loss, first.month_loss, rtol=1e-3)
    other["rain"].attrs["units"] = "mm"
    with pytest.raises(UnitsError, match="rain"):
        fit_emulator(other, metres, **options)


def test_arrays_without_cells_are_refused(world):
    weather, truth = world("implicit")
    with pytest.raises(InputError, match="needs the dimensions time and cell"):
        fit_emulator(weather.isel(cell=0), truth.isel(cell=0), years=YEARS)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"method": "luck"}, "no method 'luck'"),
        ({"starts": 0}, "starts must be at least 1"),
        ({"joint_pull": -1.0}, "joint_pull must not be negative"),
        ({"unscored": 400, "window_years": 1}, "over before day 400"),
        ({"weights": {"rain": 1.0}}, "weights are factors"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, words):
    with pytest.raises(InputError, match=words):
        FitSettings(**settings)
