"""Forcing of the rivers: what is aligned, and what is refused with its place."""

import logging

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.forcing import (
    check_values,
    loss_input,
    runoff_input,
    sea_input,
)
from tilth.rivers.routing.times import end_time, period_steps, step_length


@pytest.fixture
def network():
    """Two basins: 40 -> 30 -> sea, 20 -> inland; areas 1 to 3 km2."""
    return RiverNetwork(
        xr.Dataset(
            {
                "downstream": ("catchment", [1, -1, -2]),
                "area": ("catchment", [1e6, 2e6, 3e6], {"units": "m2"}),
            },
            {"catchment": [40, 30, 20]},
        )
    )


def days(count, start="2019-03-01"):
    return xr.date_range(start, periods=count, freq="1D")


def given(network, values, units, time=None):
    values = np.asarray(values, float)
    return xr.DataArray(
        values,
        coords={
            "time": days(len(values)) if time is None else time,
            "catchment": network.ids,
        },
        dims=("time", "catchment"),
        attrs={"units": units},
    )


def test_runoff_per_area_becomes_volumes(network):
    for units, value in (
        ("kg m-2 s-1", 1e-3),
        ("mm day-1", 86.4),
        ("m s-1", 1e-6),
        ("mm s-1", 1e-3),
    ):
        taken = runoff_input(given(network, [[value] * 3] * 2, units), network)
        np.testing.assert_allclose(taken.at(0), [1.0, 2.0, 3.0], rtol=1e-12)
    volume = runoff_input(given(network, [[1.0, 2.0, 3.0]] * 2, "m3 s-1"), network)
    np.testing.assert_array_equal(volume.at(1), [1.0, 2.0, 3.0])
    litres = runoff_input(given(network, [[1.0, 2.0, 3.0]] * 2, "L s-1"), network)
    np.testing.assert_allclose(litres.at(1), [1e-3, 2e-3, 3e-3])


def test_catchments_are_told_by_their_identifiers_in_any_order(network):
    runoff = given(network, [[4.0, 3.0, 2.0]] * 2, "m3 s-1")
    for order in ([2, 1, 0], [1, 2, 0]):
        mixed = runoff.isel(catchment=order).transpose("catchment", "time")
        np.testing.assert_array_equal(
            runoff_input(mixed, network).at(0), [4.0, 3.0, 2.0]
        )


def test_missing_and_unknown_catchments_are_named(network):
    runoff = given(network, [[4.0, 3.0, 2.0]] * 2, "m3 s-1")
    with pytest.raises(InputError, match="lacks 1 of 3 catchments: 30"):
        runoff_input(runoff.sel(catchment=[40, 20]), network)
    more = xr.concat(
        [runoff, runoff.isel(catchment=[0]).assign_coords(catchment=[99])], "catchment"
    )
    with pytest.raises(InputError, match=r"1 catchments .*: 99; leave them out"):
        runoff_input(more, network)
    twice = runoff.isel(catchment=[0, 1, 2, 2])
    with pytest.raises(InputError, match="catchment 20 more than once"):
        runoff_input(twice, network)
    with pytest.raises(InputError, match="no coordinate catchment"):
        runoff_input(runoff.drop_vars("catchment"), network)


def test_what_is_no_array_over_time_and_catchment_is_refused(network):
    runoff = given(network, [[4.0, 3.0, 2.0]] * 2, "m3 s-1")
    with pytest.raises(InputError, match="got ndarray"):
        runoff_input(runoff.values, network)
    with pytest.raises(InputError, match="choose one member"):
        runoff_input(runoff.expand_dims(member=2), network)


def test_runoff_of_a_network_without_areas_must_be_a_volume(network):
    bare = RiverNetwork(network.data.drop_vars("area"))
    rate = given(bare, [[1.0] * 3] * 2, "mm day-1")
    with pytest.raises(InputError, match="lacks area"):
        runoff_input(rate, bare)
    volume = runoff_input(rate.assign_attrs(units="m3 s-1"), bare)
    check_values(volume)
    np.testing.assert_array_equal(volume.at(0), [1.0, 1.0, 1.0])


def test_gaps_are_counted_and_the_first_is_named(network):
    values = np.ones((4, 3))
    values[2, 1] = values[3, 0] = np.nan
    with pytest.raises(
        InputError, match="2 gaps of 12 values, the first at catchment 30 at 2019-03-03"
    ):
        check_values(runoff_input(given(network, values, "mm day-1"), network))


def test_a_gap_far_into_a_long_run_is_found(network):
    values = np.ones((300, 3))
    values[250, 2] = np.nan
    with pytest.raises(InputError, match="catchment 20 at 2019-11-06"):
        check_values(runoff_input(given(network, values, "mm day-1"), network))


@pytest.mark.parametrize(
    ("value", "units", "words"),
    [
        (40.0, "kg m-2 s-1", "values in mm day-1, but the units say 'kg m-2 s-1'"),
        (400.0, "kg m-2 s-1", "values in mm day-1"),
        (1e20, "mm day-1", "look for a fill value"),
        (-9999.0, "mm day-1", "is its sign or a fill value wrong"),
        (-30.0, "mm day-1", "runoff below zero is at most some dew"),
        (np.inf, "mm day-1", "inf"),
        (2e6, "m3 s-1", r"credible is -0.6 to 1e\+06: look for a fill value"),
        (-1.0, "m3 s-1", "runoff below zero is at most some dew"),
        (40.0, "kg m-2 s-1", "is 40 kg m-2 s-1 .* credible is -0.0002 to 0.15"),
        (
            5e4,
            "mm day-1",
            r"is 50000 mm day-1 .* credible is -17.3 to 1.3e\+04",
        ),
    ],
)
def test_runoff_that_cannot_be_is_refused_with_the_likely_reason(
    network, value, units, words
):
    values = np.ones((2, 3)) * (1e-6 if "kg" in units else 1.0)
    values[1, 2] = value
    with pytest.raises(InputError, match=words) as caught:
        check_values(runoff_input(given(network, values, units), network))
    assert "at catchment 20 at 2019-03-02" in str(caught.value)


def test_a_river_from_beyond_the_map_may_flow_in(network):
    inflow = given(network, [[2e5, 0.0, 0.0]] * 2, "m3 s-1")
    check_values(runoff_input(inflow, network))


def test_heavy_rain_and_dew_are_not_refused(network):
    for value in (1500.0, -5.0, 0.0):
        check_values(
            runoff_input(given(network, [[value] * 3] * 2, "mm day-1"), network)
        )


def test_runoff_drier_than_any_desert_is_pointed_out(network, caplog):
    slight = given(network, [[1e-5] * 3] * 2, "mm day-1")
    with caplog.at_level(logging.WARNING):
        check_values(runoff_input(slight, network))
    assert "drier than any desert" in caplog.text
    assert "86400 times" in caplog.text


def test_losses_are_rates_and_may_lack_time_or_catchment(network):
    time = xr.DataArray(days(2), dims="time", name="time")
    full = given(network, [[8.64] * 3] * 2, "mm day-1")
    for loss in (full, full.isel(time=0), full.isel(catchment=0), full[0, 0]):
        taken = loss_input(loss, network, time, "evaporation")
        check_values(taken)
        np.testing.assert_allclose(taken.at(1), [1e-7] * 3, rtol=1e-12)
    mass = loss_input(
        full.copy(data=np.full((2, 3), 1e-4)).assign_attrs(units="kg m-2 s-1"),
        network,
        time,
        "infiltration",
    )
    np.testing.assert_allclose(mass.at(0), [1e-7] * 3)


def test_losses_of_wrong_units_times_or_size_are_refused(network):
    time = xr.DataArray(days(2), dims="time", name="time")
    loss = given(network, [[5.0] * 3] * 2, "mm day-1")
    with pytest.raises(UnitsError, match="'W m-2', it must be a rate"):
        loss_input(loss.assign_attrs(units="W m-2"), network, time, "evaporation")
    with pytest.raises(InputError, match="evaporation is given from 2019-04-01"):
        loss_input(
            loss.assign_coords(time=days(2, "2019-04-01")), network, time, "evaporation"
        )
    with pytest.raises(InputError, match="has the dimension layer"):
        loss_input(loss.expand_dims(layer=2), network, time, "infiltration")
    cold = loss_input(
        -loss.assign_attrs(units="mm day-1"), network, time, "evaporation"
    )
    cold = loss_input(
        (-loss).assign_attrs(units="mm day-1"), network, time, "evaporation"
    )
    with pytest.raises(InputError, match="condensation on water belongs to the runoff"):
        check_values(cold)
    hot = loss_input(
        loss.assign_attrs(units="kg m-2 s-1"), network, time, "evaporation"
    )
    with pytest.raises(InputError, match="values in mm day-1, but the units say"):
        check_values(hot)


def test_the_sea_is_given_to_mouths_and_never_inland(network):
    time = xr.DataArray(days(2), dims="time", name="time")
    levels, pieces = sea_input(-1.5, network, time)
    np.testing.assert_array_equal(levels, [[-1.5, 0.0]] * 2)  # 30 is a mouth, 20 not
    assert pieces == 1
    tide = xr.DataArray(
        np.arange(20.0)[:, None],
        coords={"time": xr.date_range("2019-02-28", periods=20, freq="6h"),
                "catchment": [30]},
        dims=("time", "catchment"),
        attrs={"units": "cm"},
    )  # fmt: skip
    levels, pieces = sea_input(tide, network, time)
    assert pieces == 4
    np.testing.assert_allclose(levels[:, 0], np.arange(4, 12) / 100)
    np.testing.assert_array_equal(levels[:, 1], 0.0)


def test_a_sea_with_gaps_or_without_a_mouth_or_beside_the_time_is_refused(network):
    time = xr.DataArray(days(2), dims="time", name="time")
    sea = xr.DataArray(
        [[0.1], [np.nan]],
        coords={"time": days(2), "catchment": [30]},
        dims=("time", "catchment"),
        attrs={"units": "m"},
    )
    with pytest.raises(InputError, match="catchment 30 at 2019-03-02 has a gap"):
        sea_input(sea, network, time)
    with pytest.raises(InputError, match="lacks 1 of 1 catchments: 30"):
        sea_input(sea.assign_coords(catchment=[31]), network, time)
    with pytest.raises(InputError, match="is 120 m, credible is -50 to 50: mm or cm"):
        sea_input(sea.fillna(120.0).assign_attrs(units="m"), network, time)
    with pytest.raises(UnitsError):
        sea_input(sea.assign_attrs(units="hPa"), network, time)
    late = sea.assign_coords(time=days(2, "2020-01-01"))
    with pytest.raises(InputError, match="0 times within the run"):
        sea_input(late, network, time)
    odd = xr.DataArray(
        np.zeros(3),
        coords={"time": xr.date_range("2019-03-01", periods=3, freq="18h")},
        dims="time",
        attrs={"units": "m"},
    )
    with pytest.raises(InputError, match="in steps that divide the runoff's"):
        sea_input(odd, network, time)


@pytest.mark.parametrize("calendar", ["standard", "noleap", "360_day"])
def test_steps_are_found_in_every_calendar(calendar):
    time = xr.date_range(
        "2020-02-27", periods=5, freq="1D", calendar=calendar, use_cftime=True
    )
    array = xr.DataArray(time, dims="time")
    assert step_length(array) == 86400.0
    assert (
        str(end_time(array))
        == {
            "standard": "2020-03-03 00:00:00",
            "noleap": "2020-03-04 00:00:00",
            "360_day": "2020-03-02 00:00:00",
        }[calendar]
    )


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ([0, 1, 2, 4, 5], r"from 2019-03-03 to 2019-03-05: 1 steps are missing"),
        ([0, 1, 2, 2, 3], "comes twice: 2019-03-03 follows 2019-03-03"),
        ([0, 1, 3, 2, 4], "goes back: 2019-03-03 follows 2019-03-04"),
        ([4, 3, 2, 1], "runs backwards"),
        ([3], "has 1 times"),
    ],
)
def test_time_that_is_not_regular_is_refused_with_its_place(chosen, words):
    time = xr.DataArray(days(6).values[chosen], dims="time")
    with pytest.raises(InputError, match=words):
        step_length(time)


def test_a_leap_day_missing_from_real_dates_is_found():
    time = xr.date_range("2020-02-27", periods=5, freq="1D", calendar="noleap",
                         use_cftime=True)  # fmt: skip
    real = xr.DataArray(np.array([str(t)[:10] for t in time], "M8[ns]"), dims="time")
    with pytest.raises(InputError, match="from 2020-02-28 to 2020-03-01: 1 steps"):
        step_length(real)


def test_months_are_no_steps():
    time = xr.DataArray(xr.date_range("2019-01-01", periods=6, freq="MS"), dims="time")
    with pytest.raises(InputError, match="resample them to days first"):
        step_length(time)


def test_output_intervals_are_whole_numbers_of_steps():
    assert period_steps(3600.0, 48, "1D") == 24
    assert period_steps(3600.0, 48, "step") == 1
    assert period_steps(600.0, 36, "3h") == 18
