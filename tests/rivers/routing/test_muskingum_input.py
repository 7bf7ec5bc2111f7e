"""What Muskingum routing refuses, and what it says."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.muskingum import route_muskingum


@pytest.fixture
def network():
    data = xr.Dataset(
        {
            "downstream": ("catchment", [2, 2, -1]),
            "muskingum_time": ("catchment", [3000.0, 9000.0, 4000.0], {"units": "s"}),
            "muskingum_weight": ("catchment", [0.1, 0.1, 0.1], {"units": "1"}),
        },
        {"catchment": [71, 72, 73]},
    )
    return RiverNetwork(data)


@pytest.fixture
def inflow(network):
    return xr.DataArray(
        np.ones((4, 3)),
        {"time": pd.date_range("2001", periods=4, freq="6h"), "catchment": network.ids},
        ("time", "catchment"),
        attrs={"units": "m3 s-1"},
    )


def refused(network, inflow, *arguments, match, error=InputError, **options):
    with pytest.raises(error, match=match):
        route_muskingum(network, inflow, *arguments, **{"time_step": 1800.0, **options})


def test_the_case_without_a_fault_is_routed(network, inflow):
    done = route_muskingum(network, inflow, time_step=1800.0)
    assert float(done["discharge"][-1, 2]) == pytest.approx(3.0, rel=0.05)


def test_a_sub_step_too_long_names_the_reaches_and_the_step_needed(network, inflow):
    refused(network, inflow, time_step=7200.0, match="2k\\(1-x\\) = 5400 s.*reach 71")
    message = "Take a time_step from 1800 to 5400 s"
    refused(network, inflow, time_step=7200.0, match=message)


def test_a_sub_step_too_short_names_the_reaches_and_the_step_needed(network, inflow):
    refused(network, inflow, time_step=900.0, match="2kx = 1800 s.*reach 72\\. Take")


def test_where_no_sub_step_suits_all_reaches_that_is_said(network, inflow):
    refused(network, inflow, weight=[0.1, 0.5, 0.1], match="No one time_step suits all")


def test_negative_coefficients_can_be_accepted(network, inflow):
    how = {"negative_coefficients": "accept", "weight": 0.5}
    done = route_muskingum(network, inflow, time_step=900.0, **how)
    assert np.abs(done["water_residual"]).max() < 1e-13
    refused(network, inflow, negative_coefficients="maybe", match="'maybe'")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (
            {"travel_time": [0.0, 1.0, 1.0]},
            "time must be above 0 s.*reach 71",
        ),
        ({"travel_time": np.nan}, "muskingum_time must be above 0 s"),
        ({"weight": 0.51}, "from 0 to 0.5; it is 0.51 in reach 71, 72, 73"),
        ({"weight": [0.1, -0.1, 0.1]}, "it is -0.1 in reach 72"),
        ({"weight": [0.1, 0.1]}, "does not belong to 3 reaches"),
        ({"time_step": 0.0}, "above 0 s, got 0"),
        ({"time_step": 2000.0}, "21600 s\\) must be a multiple of time_step \\(2000 s"),
        ({"output": "9h"}, "multiple of the interval of the inflow"),
        ({"output": "18h"}, "leave out the last 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused(network, inflow, options, match):
    refused(network, inflow, match=match, **options)


def test_a_network_without_k_says_what_it_lacks(network, inflow):
    bare = RiverNetwork(network.data.drop_vars("muskingum_time"))
    refused(bare, inflow, match="lacks muskingum_time \\(travel time")


def test_gaps_and_infinities_are_named_by_place_and_time(network, inflow):
    inflow[2, 1] = np.nan
    refused(network, inflow, match="nan in reach 72 at 2001-01-01T12")


def test_inflow_without_units_or_in_other_units_is_refused(network, inflow):
    refused(network, inflow.drop_attrs(), match="no 'units'", error=UnitsError)
    wrong = inflow.assign_attrs(units="mm day-1")
    refused(network, wrong, match="mm day-1", error=UnitsError)


def test_inflow_of_other_reaches_is_refused(network, inflow):
    other = inflow.assign_coords(catchment=[71, 72, 74])
    refused(network, other, match="lacks reach 73")
    refused(network, inflow[:, :2], match="3 reaches; it has 2")
    refused(network, inflow.rename(catchment="reach"), match="time and catchment")
    refused(network, inflow.values, match="ndarray")


def test_times_that_are_not_even_dates_are_refused(network, inflow):
    refused(network, inflow[[0, 1, 3]], match="21600 s at first, 43200 s after 2001")
    refused(network, inflow[:1], match="two times or more")
    refused(network, inflow[::-1], match="in order")
    numbers = inflow.assign_coords(time=[0, 1, 2, 3])
    refused(network, numbers, match="decode")


def test_a_calendar_of_360_days_is_routed(network, inflow):
    months = xr.date_range(
        "2001-02-28", periods=4, freq="6h", calendar="360_day", use_cftime=True
    )
    done = route_muskingum(network, inflow.assign_coords(time=months), time_step=1800.0)
    assert (done["time"].values == months.values).all()


def test_a_state_of_something_else_is_refused(network, inflow):
    units = {"units": "m3 s-1"}
    two_times = inflow[:2]
    refused(network, inflow, two_times, match="take one time")
    refused(network, inflow, xr.Dataset({"flow": two_times}), match="state_discharge")
    gap = xr.DataArray([1.0, np.inf, 1.0], {"catchment": [71, 72, 73]}, attrs=units)
    refused(network, inflow, gap, match="not a number in reach 72")
