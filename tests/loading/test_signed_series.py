"""Mass of one sign, and mass over time: limits and rates that hold the truth."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.loading import (
    basin_table,
    cell_sources,
    disc_sources,
    green_functions,
    invert,
    invert_series,
    invert_signed,
    mass_rate,
    station_rows,
)
from tilth.loading.simulated import made_up_earth

NAMES = ("east", "north", "up")
SE = np.array([0.2e-3, 0.2e-3, 0.6e-3])


@pytest.fixture(scope="module")
def stations():
    random = np.random.default_rng(8)
    return xr.Dataset(
        {
            "lat": ("station", random.uniform(68.9, 69.9, 8)),
            "lon": ("station", random.uniform(-51.0, -50.1, 8)),
        },
        {"station": [f"S{k}" for k in range(8)]},
    )


@pytest.fixture(scope="module")
def cells(stations):
    lat, lon = np.arange(69.05, 69.7, 0.1), np.arange(-50.0, -49.0, 0.25)
    grid = xr.DataArray(
        np.ones((lat.size, lon.size), bool), {"lat": lat, "lon": lon}, ("lat", "lon")
    )
    return cell_sources(grid, stations, green_functions(made_up_earth()))


@pytest.fixture(scope="module")
def disc(stations):
    green = green_functions(made_up_earth())
    return disc_sources(69.4, -49.6, 20e3, stations, green)


def observed(sources, load, stations, errors):
    values = sources["response"].values[:3] @ load + SE[:, None] * errors
    data = stations.copy()
    for k, name in enumerate(NAMES):
        data[name] = ("station", values[k], {"units": "m"})
        data[f"{name}_se"] = ("station", np.full(8, SE[k]))
    return data


def thinning(cells):
    far = np.hypot(
        cells["source_lat"].values - 69.3, (cells["source_lon"].values + 50) * 0.35
    )
    return -4.0 * np.exp(-far / 0.15) - 0.05


def test_the_limits_of_a_loss_hold_the_truth_as_often_as_they_say(cells, stations):
    truth = thinning(cells)
    total = truth @ cells["mass"].values
    random = np.random.default_rng(2)
    held, outside = 0, 0
    for _ in range(60):
        data = observed(cells, truth, stations, random.standard_normal((3, 8)))
        found = invert_signed(
            [station_rows(data, cells)], cells, "loss", strength=0.3, level=0.9
        )
        assert (found["load"] <= 0.0).all()
        held += float(found["total_lower"]) <= total <= float(found["total_upper"])
        outside += not (
            float(found["total_lower"]) <= found["total"] <= float(found["total_upper"])
        )
    # Of 60, 90 % are 54 +- 2.3; limits by sign alone are wider than they need be.
    assert held >= 49
    assert outside <= 30


def test_the_sign_narrows_the_limits_to_both_sides(cells, stations):
    data = observed(cells, thinning(cells), stations, np.zeros((3, 8)))
    rows = [station_rows(data, cells)]
    basins = basin_table(cells, ["south"] * 12 + ["north"] * 16)
    loss = invert_signed(rows, cells, "loss", strength=0.1, basins=basins)
    total = thinning(cells) @ cells["mass"].values
    assert float(loss["total_lower"]) < total < float(loss["total_upper"]) < 0.0
    parts = loss["basin_mass_upper"] - loss["basin_mass_lower"]
    assert (parts > 0.0).all()
    # What one basin gains in doubt the other loses: the sum is known better.
    whole = float(loss["total_upper"] - loss["total_lower"])
    assert whole < float(parts.sum())
    # The mirror image gives the mirror image.
    for name in NAMES:
        data[name] = -data[name].assign_attrs(units="m")
        data[name].attrs["units"] = "m"
    gain = invert_signed(
        [station_rows(data, cells)], cells, "gain", strength=0.1, basins=basins
    )
    assert float(gain["total_upper"]) == pytest.approx(
        -float(loss["total_lower"]), 1e-4
    )
    np.testing.assert_allclose(gain["load"], -loss["load"], atol=1e-6)


def test_a_bound_that_is_not_met_changes_nothing(disc, stations):
    data = observed(disc, [-2.0], stations, np.zeros((3, 8)))
    rows = [station_rows(data, disc)]
    free = invert(rows, disc, strength=0.0)
    signed = invert_signed(rows, disc, "loss", strength=0.0, level=0.95)
    assert float(signed["total"]) == pytest.approx(float(free["total"]), rel=1e-6)
    width = 1.959964 * float(free["total_se"])
    assert float(signed["total_upper"]) == pytest.approx(
        float(free["total"]) + width, rel=1e-4
    )
    other = invert_signed(rows, disc, "gain", strength=0.0)
    assert float(other["total"]) == 0.0
    with pytest.raises(InputError, match="loss or gain"):
        invert_signed(rows, disc, "none")
    with pytest.raises(InputError, match="between 0 and 1"):
        invert_signed(rows, disc, "loss", level=95.0)


def series_of(disc, stations, random, months=96, rate=-2.0, memory=0.6):
    """Monthly displacements under a disc that thins, with errors that go on."""
    time = np.datetime64("2010-01-15") + np.arange(months) * np.timedelta64(30, "D")
    years = np.arange(months) * 30 / 365.25
    load = rate * years + 0.4 * np.cos(2 * np.pi * years)
    noise = np.zeros((months, 3, 8))
    noise[0] = random.standard_normal((3, 8))
    for k in range(1, months):
        fresh = np.sqrt(1 - memory**2) * random.standard_normal((3, 8))
        noise[k] = memory * noise[k - 1] + fresh
    clean = np.einsum("cs,t->tcs", disc["response"].values[:3, :, 0], load)
    values = clean + noise * (10 * SE)[:, None]
    data = stations.assign_coords(time=time)
    for k, name in enumerate(NAMES):
        data[name] = (("time", "station"), values[:, k], {"units": "m"})
        full = np.full((months, 8), 10 * SE[k])
        data[f"{name}_se"] = (("time", "station"), full)
    return data


WHOLE = ("2010-01-01", "2018-12-31")


def test_the_rate_of_a_series_is_right_within_its_error_as_often_as_said(
    disc, stations
):
    truth = -2.0 * float(disc["mass"][0])
    random = np.random.default_rng(4)
    off = []
    for _ in range(40):
        found = invert_series(
            series_of(disc, stations, random), disc, reference=WHOLE, strength=0.0
        )
        rate = mass_rate(found)
        off.append((float(rate["rate"]) - truth) / float(rate["rate_se"]))
    held = np.mean(np.abs(off) < 1.96)
    # 95 % of 40 are 38 +- 1.4.
    assert held >= 0.85
    assert abs(np.mean(off)) < 0.5
    # White noise would have been believed twice as much as is right.
    assert 0.7 < np.std(off) < 1.4


def test_stations_that_come_and_go_leave_no_steps(disc, stations):
    data = series_of(disc, stations, np.random.default_rng(0), months=60)
    data["up"][10:20, :4] = np.nan
    data["east"][30:, 2] = np.nan
    found = invert_series(
        data, disc, reference=("2010-01-01", "2010-12-31"), strength=0.0
    )
    assert found.sizes["time"] == 60
    assert bool((found["time"].diff("time") > np.timedelta64(0)).all())
    years = np.arange(60) * 30 / 365.25
    truth = -2.0 * years + 0.4 * np.cos(2 * np.pi * years)
    first = truth[:12].mean()
    expected = (truth - first) * float(disc["mass"][0])
    off = found["total"].values - expected
    assert np.abs(off / found["total_se"]).max() < 4.5
    # Fewer values, larger errors: of one disc, by hand.
    weight = (disc["response"].values[:3, :, 0] / (10 * SE[:, None])) ** 2
    for epoch, lost in ((5, 0.0), (15, weight[2, :4].sum()), (40, weight[0, 2])):
        se = float(disc["mass"][0]) / np.sqrt(weight.sum() - lost)
        assert float(found["total_se"][epoch]) == pytest.approx(se, rel=1e-6)


def test_what_is_unknown_of_rebound_is_not_averaged_down_by_more_epochs(disc, stations):
    gia = xr.Dataset()
    for name in NAMES:
        gia[name] = ("station", np.zeros(8), {"units": "m yr-1"})
        gia[f"{name}_se"] = ("station", np.full(8, 1e-3 * (name == "up")))
    errors = []
    for months in (48, 192):
        data = series_of(disc, stations, np.random.default_rng(0), months=months)
        whole = ("2010-01-01", "2030-01-01")
        found = invert_series(data, disc, reference=whole, gia=gia, strength=0.0)
        rate = mass_rate(found)
        errors.append(float(found["total_gia_rate_se"][0]))
        assert float(rate["rate_se"]) == pytest.approx(
            np.hypot(errors[-1], float(rate["rate_se_noise"]))
        )
    assert errors[0] == pytest.approx(errors[1])
    up = disc["response"].values[:3, :, 0] / SE[:, None]
    gain = up.ravel() @ np.repeat([0.0, 0.0, 1e-3 / SE[2]], 8) / (up**2).sum()
    assert errors[0] == pytest.approx(abs(gain) * float(disc["mass"][0]), rel=1e-6)


def test_an_acceleration_is_found_and_short_series_are_refused(disc, stations):
    random = np.random.default_rng(6)
    data = series_of(disc, stations, random, rate=0.0)
    years = (np.arange(96) - 47.5) * 30 / 365.25
    bend = np.einsum("cs,t->tcs", disc["response"].values[:3, :, 0], -0.5 * years**2)
    for k, name in enumerate(NAMES):
        data[name] = (data[name] + bend[:, k]).assign_attrs(units="m")
    found = invert_series(data, disc, reference=WHOLE, strength=0.0)
    rate = mass_rate(found, acceleration=True)
    truth = -1.0 * float(disc["mass"][0])
    off = (float(rate["acceleration"]) - truth) / float(rate["acceleration_se"])
    assert abs(off) < 3.5
    assert float(rate["annual"]) == pytest.approx(0.4 * float(disc["mass"][0]), rel=0.3)
    with pytest.raises(InputError, match="12 values over 2 years"):
        mass_rate(found.isel(time=slice(0, 8)))
    with pytest.raises(InputError, match="no epoch from 1990"):
        invert_series(data, disc, reference=("1990-01-01", "1991-01-01"))
    with pytest.raises(InputError, match="dimension time"):
        invert_series(data.isel(time=0), disc, reference=WHOLE)
