"""Free runs start from the land model's state and are never restarted."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.land.emulator import bounds, fitted_dataset
from tilth.land.free_runs import eve_state, free_run


def case(calendar="standard", cells=2):
    """Make two years of weather, a land model's stores, and an emulator of it."""
    time = xr.date_range(
        "2001-01-01", "2002-12-30", calendar=calendar, use_cftime=calendar != "standard"
    )
    n = len(time)
    season = np.cos(2 * np.pi * (np.arange(n) - 200) / 365.25)
    ones = np.ones((n, cells))
    temperature = (278 + 12 * season)[:, None] * ones
    cold = temperature < 273.15
    fields = {
        "rain": (np.where(cold, 0.0, 3.0), "mm day-1"),
        "snowfall": (np.where(cold, 3.0, 0.0), "mm day-1"),
        "temperature": (temperature, "K"),
        "humidity": (0.003 * ones, "kg kg-1"),
        "pressure": (90000 * ones, "Pa"),
    }
    coords = {"time": time, "cell": np.arange(cells)}
    forcing = xr.Dataset(
        {k: (("time", "cell"), v, {"units": u}) for k, (v, u) in fields.items()}, coords
    )
    targets = xr.Dataset(
        {
            "snow": (("time", "cell"), np.arange(n)[:, None] * ones, {"units": "mm"}),
            "soil": (("time", "cell"), 80 * ones, {"units": "mm"}),
        },
        coords,
    )
    low, high = bounds()
    middle = np.tile((low + 0.3 * (high - low))[:, None, None], (1, 12, cells))
    fitted = fitted_dataset(
        middle,
        0.2,
        70.0 * np.ones(cells),
        "implicit",
        coords={"cell": np.arange(cells)},
    )
    return forcing, targets, fitted.assign(initial_deep=("cell", np.zeros(cells)))


def test_the_first_day_goes_on_from_the_eve():
    forcing, targets, fitted = case()
    # On the eve of 5 January there are 3 mm of snow; 3 mm fall on a frozen day.
    run = free_run(fitted, forcing, targets, slice("2001-01-05", "2001-02-28"))
    gain = float(fitted["parameters"].sel(parameter="snow_gain", month=1)[0])
    assert float(run["snow"][0, 0]) == pytest.approx(3 + 3 * gain)
    later = free_run(fitted, forcing, targets, slice("2001-01-25", "2001-02-28"))
    assert float(later["snow"][0, 0]) == pytest.approx(23 + 3 * gain)
    assert run["runoff"].attrs["units"] == "mm day-1"


def test_soil_water_is_relative_to_its_reference_inside_only():
    _, targets, fitted = case()
    state = eve_state(fitted, targets.isel(time=0))
    assert state.sel(store="soil").values.tolist() == [10.0, 10.0]
    assert state.sel(store="wetland").values.tolist() == [0.0, 0.0]
    with_store = targets.assign(wetland=targets["snow"] * 0 + 7.0)
    state = eve_state(fitted, with_store.isel(time=0))
    assert state.sel(store="wetland").values.tolist() == [7.0, 7.0]


def test_the_land_model_has_no_say_after_the_eve():
    forcing, targets, fitted = case()
    days = slice("2001-03-01", None)
    one = free_run(fitted, forcing, targets, days)
    targets["snow"][60:] = 5000.0
    targets["soil"][60:] = 0.0
    other = free_run(fitted, forcing, targets, days)
    for name in ("snow", "soil", "runoff"):
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("calendar", ["360_day", "noleap"])
def test_months_follow_the_models_calendar(calendar):
    forcing, targets, fitted = case(calendar)
    fitted["parameters"].loc[{"parameter": "base_runoff"}] = 0.0
    fitted["parameters"].loc[{"parameter": "base_runoff", "month": 2}] = 2.0
    run = free_run(fitted, forcing, targets, slice("2001-01-02", None))
    base = run["runoff"].min("cell")
    february = base["time"].dt.month == 2
    assert (base[february] >= 2.0).all()
    first = (base["time"].dt.month == 1) & (base["time"].dt.year == 2001)
    assert (base[first] < 1e-9).all()  # frozen, and no wetland has filled yet
    assert int(february.sum()) == 2 * (30 if calendar == "360_day" else 28)


def test_the_residual_is_what_the_books_say():
    from tilth.land.skill import water_residual

    forcing, targets, fitted = case()
    days = slice("2001-01-02", None)
    run = free_run(fitted, forcing, targets, days)
    assert run["water_residual"].attrs["units"] == "mm year-1"
    # Counted from the first day's end, by the stores that are written.
    own = water_residual(run.drop_vars("water_residual"), forcing.sel(time=days))
    np.testing.assert_allclose(run["water_residual"], own, rtol=0.02)


def test_a_run_needs_an_eve_and_weather():
    forcing, targets, fitted = case()
    with pytest.raises(InputError, match="the targets begin on 2001-01-01"):
        free_run(fitted, forcing, targets, slice("2001-01-01", None))
    with pytest.raises(InputError, match="no weather from 2010"):
        free_run(fitted, forcing, targets, slice("2010", "2011"))
    targets["snow"][10] = np.nan
    with pytest.raises(InputError, match="is missing"):
        free_run(fitted, forcing, targets, slice("2001-01-12", None))
