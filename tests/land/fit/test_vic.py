"""The emulator of VIC 5 on mountain cells, in free runs over years it did not see."""

import os

import numpy as np
import pytest
import xarray as xr

from tilth.land.emulator.equations import VARIANTS, Forcing, State, simulate
from tilth.land.fit import fit_emulator

STEHEKIN = "vic5_stehekin_daily_1961_2005.nc"
FINDLEY = "vic5_findley_daily_1970_1975.nc"
TARGETS = ("snow", "soil", "runoff")


def stehekin(folder, cells):
    data = xr.open_dataset(folder / STEHEKIN).isel(cell=cells).load().drop_attrs()
    data = data.assign_coords(cell=cells).transpose("time", "cell")
    forcing = xr.Dataset(
        {
            "rain": data.OUT_RAINF,
            "snowfall": data.OUT_SNOWF,
            "temperature": data.OUT_AIR_TEMP + 273.15,
            "humidity": data.OUT_QAIR,
            "pressure": data.OUT_PRESSURE * 1000.0,
        }
    )
    targets = xr.Dataset(
        {
            "snow": data.OUT_SWE,
            "soil": data.OUT_SOIL_MOIST_0 + data.OUT_SOIL_MOIST_1,
            "runoff": data.OUT_RUNOFF + data.OUT_BASEFLOW,
        }
    )
    return forcing, targets


def findley(folder):
    data = xr.open_dataset(folder / FINDLEY).load().drop_attrs().astype(float)
    air = data.OUT_AIR_TEMP
    vapour, pressure = data.f_vp_kPa * 1000.0, data.f_p_kPa * 1000.0
    # The phase of precipitation is not in the file.
    snowing = (0.5 - air).clip(0.0, 1.0)
    forcing = xr.Dataset(
        {
            "rain": data.f_prec_mm * (1.0 - snowing),
            "snowfall": data.f_prec_mm * snowing,
            "temperature": air + 273.15,
            "humidity": 0.622 * vapour / (pressure - 0.378 * vapour),
            "pressure": pressure,
        }
    )
    targets = xr.Dataset(
        {
            "snow": data.OUT_SWE,
            "soil": data.OUT_SOIL_MOIST.isel(nlayer=[0, 1]).sum("nlayer"),
            "runoff": data.OUT_RUNOFF + data.OUT_BASEFLOW,
        }
    )
    return (each.expand_dims(cell=[0], axis=1) for each in (forcing, targets))


def efficiency(observed, simulated):
    off = ((simulated - observed) ** 2).mean("time")
    return 1.0 - off / observed.var("time")


def climatology(targets, first, last, test):
    """Return the efficiency of the mean of each day of the year."""
    training = targets.sel(time=slice(str(first), str(last)))
    mean = training.groupby("time.dayofyear").mean()
    after = targets.sel(time=test)
    return efficiency(after, mean.sel(dayofyear=after.time.dt.dayofyear))


def scores(fitted, forcing, targets, test):
    """Return the efficiency of a free run from the end of the training years."""
    weather, after = forcing.sel(time=test), targets.sel(time=test)
    _, states, fluxes = simulate(
        State(*(fitted[f"initial_{store}"].values for store in State._fields)),
        Forcing(*(weather[name].values for name in Forcing._fields)),
        weather.time.dt.month.values - 1,
        fitted.parameters.values,
        fitted.runoff_share.values,
        VARIANTS[fitted.attrs["variant"]],
    )
    run = xr.Dataset(
        {
            "snow": (after.snow.dims, np.asarray(states.snow)),
            "soil": (after.soil.dims, np.asarray(states.soil)),
            "runoff": (
                after.runoff.dims,
                np.asarray(fluxes.surface_runoff + fluxes.base_runoff),
            ),
        },
        after.coords,
    )
    run["soil"] = run["soil"] + fitted.soil_reference
    return efficiency(after, run)


def check_stehekin(folder, cells, variant="implicit"):
    forcing, targets = stehekin(folder, cells)
    fitted = fit_emulator(forcing, targets, years=(1961, 2000), variant=variant)
    test = slice("2001", "2005")
    got = scores(fitted, forcing, targets, test)
    assert np.all(got.snow >= 0.95), got.snow.values
    assert np.all(got.soil >= 0.85), got.soil.values
    assert got.runoff.median() >= 0.75, got.runoff.values
    base = climatology(targets, 1961, 2000, test)
    for name in TARGETS:
        assert np.all(got[name] > base[name]), name


@pytest.mark.realdata
def test_a_mountain_cell_of_vic_is_emulated_over_five_unseen_years(dataset):
    check_stehekin(dataset("vic-stehekin"), [0])


@pytest.mark.realdata
@pytest.mark.skipif(not os.environ.get("TILTH_FULL"), reason="set TILTH_FULL=1")
@pytest.mark.parametrize("variant", ["implicit", "smooth"])
def test_nine_mountain_cells_of_vic_are_emulated_with_one_set_of_settings(
    dataset, variant
):
    check_stehekin(dataset("vic-stehekin"), list(range(9)), variant)


@pytest.mark.realdata
def test_four_training_years_suffice_to_beat_climatology(dataset):
    forcing, targets = findley(dataset("vic-findley"))
    fitted = fit_emulator(forcing, targets, years=(1970, 1973))
    test = slice("1974", "1975")
    got = scores(fitted, forcing, targets, test)
    base = climatology(targets, 1970, 1973, test)
    # Day-of-year climatology of the four years, .796, .172 and .244.
    np.testing.assert_allclose(
        [base[name].item() for name in TARGETS], [0.796, 0.172, 0.244], atol=0.001
    )
    for name in TARGETS:
        assert np.all(got[name] > base[name]), name
    assert got.snow > 0.95
    assert got.soil > 0.6
    assert got.runoff > 0.6
