"""Columns of a trajectory: exact values, and refusals that name the parameter."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.gnss.positions import Decay, Trajectory, design_matrix

DAYS = np.arange("2010-01-01T12", "2014-01-01T12", 24, dtype="datetime64[h]")


def column(trajectory, name, days=DAYS):
    design = design_matrix(days, trajectory)
    return design.matrix[:, design.names.index(name)]


def test_rates_are_per_365_25_days_from_the_first_observation():
    rate = column(Trajectory(), "rate")
    assert rate[0] == 0.0
    assert rate[1461 - 1] == pytest.approx(1460 / 365.25, abs=1e-12)


def test_acceleration_is_half_the_square_of_time():
    trajectory = Trajectory(2, reference="2011-01-01T12:00")
    rate, acceleration = (column(trajectory, n) for n in ("rate", "acceleration"))
    np.testing.assert_allclose(acceleration, rate**2 / 2)


def test_a_step_is_there_on_its_own_day():
    step = column(Trajectory(steps=["2011-03-11"]), "step 2011-03-11")
    at = int(np.flatnonzero(np.datetime64("2011-03-11T12") == DAYS)[0])
    assert step[at - 1 : at + 1].tolist() == [0.0, 1.0]
    at_noon = column(Trajectory(steps=["2011-03-11T12:00"]), "step 2011-03-11T12:00")
    np.testing.assert_array_equal(step, at_noon)


def test_seasons_count_from_the_year_2000():
    j2000 = np.datetime64("2000-01-01T12", "h")
    days = j2000 + np.arange(800) * np.timedelta64(24, "h")
    cosine = column(Trajectory(), "cosine 365.25 d", days)
    assert cosine[0] == pytest.approx(1.0)
    half = column(Trajectory(), "sine 182.625 d", days)
    assert half[400] == pytest.approx(np.sin(4 * np.pi * 400 / 365.25), abs=1e-9)


def test_decays_begin_at_their_moment_with_the_laws_given():
    decays = [
        Decay("2011-03-11T12:00", time_scale=0.5),
        Decay("2012-03-11T12:00", "exponential", 2.0),
    ]
    trajectory = Trajectory(decays=decays)
    slow = column(trajectory, "logarithm 2011-03-11T12:00")
    years = (
        (DAYS - np.datetime64("2011-03-11T12", "h")) / np.timedelta64(24, "h") / 365.25
    )
    expected = np.where(years > 0, np.log10(1 + np.maximum(years, 0) / 0.5), 0)
    np.testing.assert_allclose(slow, expected, atol=1e-12)
    fast = column(trajectory, "exponential 2012-03-11T12:00")
    assert fast[-1] == pytest.approx(1 - np.exp(-(660 / 365.25) / 2.0))


def test_a_changed_rate_ends_when_it_is_told_to():
    trajectory = Trajectory(rate_changes=[("2011-01-01T12:00", "2012-01-01T12:00")])
    change = column(trajectory, "rate change 2011-01-01T12:00")
    assert change[0] == 0
    assert change.max() == change[-1] == pytest.approx(365 / 365.25)


@pytest.mark.parametrize(
    ("trajectory", "message"),
    [
        (
            Trajectory(steps=["2009-01-01"]),
            "step at 2009-01-01 has no observation before",
        ),
        (
            Trajectory(steps=["2019-01-01"]),
            "step at 2019-01-01 has no observation after",
        ),
        (Trajectory(steps=["2011-01-01", "2011-01-01"]), "cannot tell the step 2011"),
        (Trajectory(periods=[4000.0]), "less than the period of 4000 days"),
        (
            Trajectory(decays=[Decay("2019-01-01")]),
            "depends on the logarithm 2019-01-01",
        ),
        (Trajectory(steps=[2011.19]), "2011.19 is a number, not a moment"),
        (Trajectory(steps=["soon"]), "'soon' is no moment"),
    ],
)
def test_what_observations_cannot_tell_is_refused_by_name(trajectory, message):
    with pytest.raises(InputError, match=message):
        design_matrix(DAYS, trajectory)


def test_two_steps_within_one_gap_are_refused():
    days = np.concatenate([DAYS[:500], DAYS[600:]])
    steps = [DAYS[520], DAYS[560]]
    with pytest.raises(InputError, match="cannot tell the step"):
        design_matrix(days, Trajectory(steps=steps))


def test_impossible_trajectories_are_refused():
    with pytest.raises(InputError, match="degree of the trend is 3"):
        Trajectory(3)
    with pytest.raises(InputError, match="must be positive"):
        Trajectory(periods=[0.0])
    with pytest.raises(InputError, match="logarithm or an exponential"):
        Decay("2011-03-11", "power")
    with pytest.raises(InputError, match="time scale"):
        Decay("2011-03-11", time_scale=0.0)
    with pytest.raises(InputError, match="longer series or a shorter"):
        design_matrix(DAYS[::400], Trajectory())
