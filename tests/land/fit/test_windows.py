import numpy as np
import pytest
from numpy.testing import assert_allclose

from tilth.land.emulator.equations import VARIANTS, Forcing
from tilth.land.fit.day import variant_switches, weather_table
from tilth.land.fit.ensemble import draw_members, year_normals
from tilth.land.fit.record import Goal, Pull, Record, window_pieces
from tilth.land.fit.scaling import from_unit, joint_box, parameter_box
from tilth.land.fit.windows import (
    JOINT,
    add_smoothness,
    refine_jointly,
    window_normals,
)

UNSCORED = 60


@pytest.fixture(params=["implicit", "closed"])
def joint(request, world):
    """Return the box, windows, record, goal and years of the second cell."""
    weather, truth = world(request.param)
    variant = VARIANTS[request.param]
    forcing = Forcing(*(weather[n].values[:, 1] for n in Forcing._fields))
    target = np.full((4, weather.sizes["time"]), np.nan)
    for row, name in ((0, "snow"), (1, "soil"), (3, "runoff")):
        target[row] = truth[name].values[:, 1]
    month = weather.time.dt.month.values.astype(np.int64) - 1
    year = weather.time.dt.year.values
    record = Record(weather_table(forcing, variant), target, month)
    windows = window_pieces(year, [(2001, 2002), (2003, 2004)], target)
    spread = np.where(np.isnan(target[:, 0]), 1.0, target.var(axis=1))
    goal = Goal(
        np.array([1.0, 1.0, 0.0, 1.0]),
        spread,
        2.0,
        UNSCORED,
        False,
        variant_switches(variant),
    )
    return joint_box(parameter_box(variant.closed)), windows, record, goal, year


def sums(place, box, windows, record, goal):
    value, slope = np.empty(JOINT), np.empty(JOINT)
    from_unit(place, box, value, slope)
    normals, counts = np.empty((5, JOINT + 1, JOINT + 1)), np.empty(5)
    window_normals(value, slope, windows, record, goal, normals, counts)
    return normals, counts


def somewhere(box, seed=0):
    rng = np.random.default_rng(seed)
    return np.clip(box.neutral + rng.normal(0, 0.05, JOINT), 0.05, 0.95)


def test_every_scored_day_is_counted_once(joint):
    box, windows, record, goal, _ = joint
    _, counts = sums(somewhere(box), box, windows, record, goal)
    scored = windows.length.sum() - 2 * UNSCORED
    assert counts.tolist() == [scored, scored, 0, scored, 2]


def test_normal_equations_hold_the_gradient_through_the_months_that_follow(joint):
    box, windows, record, goal, _ = joint
    place = somewhere(box)
    normals, _ = sums(place, box, windows, record, goal)
    step = 1e-6
    # Of each parameter one month, the runoff share and the first stores.
    for i in [*(12 * j + (5 * j) % 12 for j in range(15)), 180, 181, 182]:
        ends = []
        for sign in (-1, 1):
            moved = place.copy()
            moved[i] += sign * step
            ends.append(sums(moved, box, windows, record, goal)[0][:, -1, -1])
        slope = (ends[1] - ends[0]) / (2 * step)
        scale = np.abs(normals[:, :-1, -1]).max(axis=1)
        off = np.abs(2 * normals[:, i, -1] - slope)
        assert np.all(off <= 1e-5 * np.abs(slope) + 1e-6 * scale), i


def test_the_joint_fit_finds_the_world_that_is_made_of_its_equations(joint):
    box, windows, record, goal, _ = joint
    place = box.neutral.copy()
    free = np.ones(JOINT, bool)
    free[182] = goal.switches[1]
    pull = Pull(place.copy(), np.full(JOINT, 1e-5), 0.0)
    missing = refine_jointly(place, free, pull, box, windows, record, goal, 60, 1e-3)
    assert np.isnan(missing[:, 2]).all()
    fitted = [0, 1, 3]
    assert np.all(missing[1, fitted] < 0.02 * missing[0, fitted])
    assert np.all(missing[1, fitted] < 2e-3)
    assert np.all((place >= 0) & (place <= 1))
    assert (place[182] == box.neutral[182]) is not goal.switches[1]


def test_smoothness_is_the_cyclic_sum_of_squared_differences():
    rng = np.random.default_rng(1)
    place = rng.random(JOINT)
    normal = np.zeros((JOINT + 1, JOINT + 1))
    add_smoothness(normal, place, 3.0)
    months = place[:180].reshape(15, 12)
    differences = months - np.roll(months, 1, axis=1)
    assert_allclose(normal[-1, -1], 3.0 * np.sum(differences**2))
    full = normal[:-1, :-1] + np.triu(normal[:-1, :-1], 1).T
    assert_allclose(full @ place, normal[:-1, -1], atol=1e-12)


def test_a_strong_smoothness_makes_all_months_alike(joint):
    box, windows, record, goal, _ = joint
    spreads = []
    for strength in (0.0, 100.0):
        place = somewhere(box)
        pull = Pull(place.copy(), np.full(JOINT, 1e-3), strength)
        refine_jointly(
            place, np.ones(JOINT, bool), pull, box, windows, record, goal, 8, 1e-3
        )
        spreads.append(np.std(place[:180].reshape(15, 12), axis=1).max())
    assert spreads[1] < 0.03 < 0.05 < spreads[0]


def test_the_years_add_up_to_the_whole(joint):
    box, windows, record, goal, year = joint
    place = somewhere(box)
    normals, _ = sums(place, box, windows, record, goal)
    each = year_normals(place, box, windows, record, year, goal)
    assert each.shape[0] == 4
    whole = np.zeros_like(normals[0])
    for v in (0, 1, 3):
        whole += normals[v] / normals[v, -1, -1]
    assert_allclose(each.sum(axis=0), whole, rtol=2e-3, atol=1e-4)


def test_members_scatter_around_the_fit_and_stay_in_the_box(joint):
    box, windows, record, goal, year = joint
    place = somewhere(box)
    free = np.ones(JOINT, bool)
    pull = Pull(place.copy(), np.full(JOINT, 0.1), 0.0)
    arguments = (place, free, pull, box, windows, record, year, goal)
    members = draw_members(*arguments, 6, 0)
    assert members.shape == (6, JOINT)
    assert np.all((members >= 0) & (members <= 1))
    assert members.std(axis=0).max() > 1e-3
    assert_allclose(members, draw_members(*arguments, 6, 0), atol=0)
    assert not np.allclose(members, draw_members(*arguments, 6, 1))
