"""Groups of days: every calendar on one year, windows over its turn, months mixed."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.forcing.adjust.groups import (
    DayWindow,
    as_grouping,
    day_of_common_year,
    group_times,
)

CALENDARS = [
    "standard",
    "proleptic_gregorian",
    "noleap",
    "all_leap",
    "360_day",
    "julian",
]


def days(start, periods, calendar="standard"):
    index = xr.date_range(start, periods=periods, calendar=calendar, use_cftime=True)
    return xr.DataArray(index, dims="time", name="time")


def members(groups, group):
    """Time steps of a group's window."""
    start, stop = groups.window[group]
    return groups.order[start:stop]


def test_the_29th_of_february_is_adjusted_with_the_28th():
    leap = day_of_common_year(days("2000-02-27", 4))
    common = day_of_common_year(days("2001-02-27", 3))
    assert leap.tolist() == [57, 58, 58, 59]
    assert common.tolist() == [57, 58, 59]


def test_a_date_has_one_number_in_all_calendars_that_have_months_as_ours():
    for calendar in set(CALENDARS) - {"360_day"}:
        times = days("2001-01-01", 4 * 365, calendar)
        first = times.dt.strftime("%m-%d").values == "03-01"
        assert set(day_of_common_year(times)[first]) == {59}


def test_the_days_of_a_year_of_360_are_spread_over_365():
    numbers = day_of_common_year(days("2001-01-01", 360, "360_day"))
    assert (np.diff(numbers) >= 1).all()
    assert (np.diff(numbers) <= 2).all()
    assert numbers[[0, 179, 180, 359]].tolist() == [0, 181, 183, 364]


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("grouping", ["none", "month", DayWindow(31), DayWindow(1)])
def test_every_step_is_adjusted_in_just_one_group(calendar, grouping):
    groups = group_times(days("1999-05-17", 1500, calendar), grouping)
    own = np.concatenate([groups.order[a:b] for a, b in groups.own])
    assert np.sort(own).tolist() == list(range(1500))
    for group, (start, stop) in enumerate(groups.own):
        assert (groups.first[groups.order[start:stop]] == group).all()


@given(
    width=st.integers(0, 182).map(lambda half: 2 * half + 1),
    start=st.integers(0, 364),
    n=st.integers(1, 900),
)
def test_a_window_holds_all_days_at_most_half_its_width_away(width, start, n):
    times = days("2001-01-01", 365 * 4, "noleap")[start : start + n]
    number = day_of_common_year(times)
    groups = group_times(times, DayWindow(width))
    for group in (0, 1, 180, 363, 364):
        away = np.abs(number - group)
        inside = np.minimum(away, 365 - away) <= width // 2
        assert (
            np.sort(members(groups, group)).tolist() == np.flatnonzero(inside).tolist()
        )


def test_a_month_mixes_with_the_next_towards_its_end():
    groups = group_times(days("2001-01-01", 365, "noleap"), "month")
    assert groups.labels.tolist() == list(range(1, 13))
    middle, end, beginning = 15, 30, 31  # 16 January, 31 January, 1 February
    assert groups.weight[middle] == pytest.approx(0.0, abs=1e-12)
    assert groups.weight[end] == pytest.approx(0.5 - 0.5 / 31)
    assert groups.second[end] == 1
    assert groups.weight[beginning] == pytest.approx(0.5 - 0.5 / 28)
    assert groups.second[beginning] == 0
    assert groups.second[0] == 11  # 1 January mixes with December


def test_order_of_times_does_not_matter():
    times = days("2001-01-01", 730, "noleap")
    shuffled = np.random.default_rng(0).permutation(730)
    straight, mixed = (group_times(t, DayWindow(31)) for t in (times, times[shuffled]))
    for group in (0, 100, 364):
        assert set(shuffled[members(mixed, group)]) == set(members(straight, group))


def test_winters_alone_leave_the_other_groups_empty():
    times = days("2001-12-01", 90, "noleap")
    assert (group_times(times, "month").sizes > 0).nonzero()[0].tolist() == [0, 1, 11]


def test_groupings_have_a_text_of_their_own():
    for grouping in ("none", "month", DayWindow(91)):
        assert as_grouping(str(grouping)) == grouping


@pytest.mark.parametrize("wrong", ["weeks", "31", "x days", "30 days", "367 days", 31])
def test_what_is_no_grouping_is_refused(wrong):
    with pytest.raises(InputError):
        group_times(days("2001-01-01", 10), wrong)


@pytest.mark.parametrize("width", [0, 30, 366, -1])
def test_a_window_has_a_middle_day_and_fits_into_a_year(width):
    with pytest.raises(InputError, match="middle day"):
        DayWindow(width)


def test_numbers_are_no_dates():
    numbers = xr.DataArray(np.arange(5), dims="time", name="time")
    with pytest.raises(InputError, match="not dates"):
        group_times(numbers, "month")
