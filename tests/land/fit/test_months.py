import numpy as np
import pytest
from numpy.testing import assert_allclose

from tilth.core.accelerate import jax, jnp
from tilth.land.emulator.equations import VARIANTS, Forcing, State, simulate
from tilth.land.emulator.parameters import bounds
from tilth.land.fit.day import variant_switches, weather_table
from tilth.land.fit.evolution import evolve_month
from tilth.land.fit.months import (
    FITTED,
    month_loss,
    month_normal,
    refine_month,
    search_month,
)
from tilth.land.fit.record import Goal, Pull, Record, month_pieces, window_pieces
from tilth.land.fit.scaling import from_unit, parameter_box

YEARS = np.arange(2001, 2005)
APRIL = 3


@pytest.fixture(params=["implicit", "closed"])
def april(request, world):
    """Return what a fit of April in the first cell looks at, and the weather."""
    weather, truth = world(request.param)
    variant = VARIANTS[request.param]
    forcing = Forcing(*(weather[n].values[:, 0] for n in Forcing._fields))
    target = np.full((4, weather.sizes["time"]), np.nan)
    for row, name in enumerate(("snow", "soil", "wetland", "runoff")):
        target[row] = truth[name].values[:, 0]
    month = weather.time.dt.month.values.astype(np.int64) - 1
    record = Record(weather_table(forcing, variant), target, month)
    pieces = month_pieces(month, weather.time.dt.year.values, YEARS, target)[APRIL]
    goal = Goal(
        np.array([0.02, 0.01, 0.0, 0.3]),
        np.ones(4),
        0.0,
        0,
        False,
        variant_switches(variant),
    )
    return variant, record, pieces, goal, forcing


def no_pull(strength=0.0):
    return Pull(np.full(FITTED, 0.5), np.full(FITTED, strength), 0.0)


def place_of(seed, box):
    place = np.random.default_rng(seed).uniform(0.2, 0.8, FITTED)
    value, slope = np.empty(FITTED), np.empty(FITTED)
    from_unit(place, box, value, slope)
    return place, value, slope


def test_the_loss_is_the_published_sum_over_years_of_weighted_squares(april):
    variant, record, pieces, goal, forcing = april
    _, value, _ = place_of(1, parameter_box(variant.closed))
    expected = 0.0
    for start, length in zip(*pieces, strict=True):
        days = slice(start, start + length)
        eve = record.target[:, start - 1]
        first = State(*(jnp.array([v]) for v in (eve[0], eve[1], *value[16:])))
        if not variant.closed:
            first = first._replace(deep=jnp.zeros(1))
        _, states, fluxes = simulate(
            first,
            Forcing(*(f[days, None] for f in forcing)),
            jnp.zeros(length, int),
            jnp.repeat(value[:15, None, None], 12, axis=1),
            value[15],
            variant,
        )
        runoff = fluxes.surface_runoff + fluxes.base_runoff
        for row, got in ((0, states.snow), (1, states.soil), (3, runoff)):
            off = np.asarray(got)[:, 0] - record.target[row, days]
            expected += goal.weight[row] * np.sum(off**2)
    assert len(pieces.start) == 4
    assert_allclose(month_loss(value, pieces, record, goal, np.inf), expected)


def test_a_loss_above_the_limit_is_given_up_and_below_it_is_exact(april):
    variant, record, pieces, goal, _ = april
    _, value, _ = place_of(2, parameter_box(variant.closed))
    whole = month_loss(value, pieces, record, goal, np.inf)
    assert month_loss(value, pieces, record, goal, whole * 1.01) == whole
    assert whole / 10 < month_loss(value, pieces, record, goal, whole / 10) < whole


def test_days_without_a_target_do_not_count(april):
    variant, record, pieces, goal, _ = april
    _, value, _ = place_of(3, parameter_box(variant.closed))
    target = record.target.copy()
    target[3] = np.nan
    without = month_loss(value, pieces, record._replace(target=target), goal, np.inf)
    weight = goal.weight * [1, 1, 1, 0]
    unweighted = month_loss(value, pieces, record, goal._replace(weight=weight), np.inf)
    assert 0 < without < month_loss(value, pieces, record, goal, np.inf)
    assert_allclose(without, unweighted, rtol=1e-12)


def test_the_normal_equations_hold_the_gradient_of_the_loss(april):
    variant, record, pieces, goal, _ = april
    box = parameter_box(variant.closed)
    place, value, slope = place_of(4, box)
    normal = month_normal(value, slope, pieces, record, goal)
    assert_allclose(
        normal[-1, -1], month_loss(value, pieces, record, goal, np.inf), rtol=1e-12
    )
    step = 1e-6
    for i in range(FITTED):
        ends = []
        for sign in (-1, 1):
            moved = place.copy()
            moved[i] += sign * step
            from_unit(moved, box, value, np.empty(FITTED))
            ends.append(month_loss(value, pieces, record, goal, np.inf))
        slope_i = (ends[1] - ends[0]) / (2 * step)
        scale = abs(normal[:-1, -1]).max()
        assert_allclose(2 * normal[i, -1], slope_i, rtol=1e-5, atol=1e-6 * scale)


def free_of(variant):
    free = np.ones(FITTED, bool)
    free[15], free[17] = False, variant.closed
    return free


def test_refinement_finds_a_month_that_is_made_of_its_equations(april):
    variant, record, pieces, goal, _ = april
    goal = goal._replace(given_wetland=True, weight=np.array([0.02, 0.01, 0.1, 0.3]))
    box = parameter_box(variant.closed)
    place = box.neutral.copy()
    place[15] = (0.25 - box.lower[15]) / box.span[15]
    value = np.empty(FITTED)
    from_unit(place, box, value, np.empty(FITTED))
    before = month_loss(value, pieces, record, goal, np.inf)
    after = refine_month(
        place, free_of(variant), no_pull(1e-9), box, pieces, record, goal, 200, 1e-6
    )
    # The deep store of the closed variant is not the same on the eve of every April,
    # its fitted value is.
    assert after < (1e-2 if variant.closed else 1e-5) * before


def test_more_starts_never_end_worse(april):
    variant, record, pieces, goal, _ = april
    box = parameter_box(variant.closed)
    free = free_of(variant)
    rng = np.random.default_rng(5)
    places = np.where(free, rng.random((12, FITTED)), box.neutral)
    one, few = (
        search_month(
            places, keep, free, no_pull(1e-6), box, pieces, record, goal, 30, 1e-4
        )
        for keep in (1, 4)
    )
    assert few[1].shape == (4,)
    assert np.all(np.diff(few[1]) >= 0)
    assert few[1][0] <= one[1][0]
    assert np.all((few[0] >= 0) & (few[0] <= 1))


def test_evolution_without_derivatives_ends_in_the_same_valley(april):
    variant, record, pieces, goal, _ = april
    box = parameter_box(variant.closed)
    free = free_of(variant)
    arguments = (free, no_pull(1e-3), box, pieces, record, goal)
    place, loss, generations = evolve_month(
        np.random.default_rng(1), box.neutral[None], *arguments, 150
    )
    again = evolve_month(np.random.default_rng(1), box.neutral[None], *arguments, 150)
    assert generations > 20
    assert loss == again[1]
    assert_allclose(place, again[0], atol=0)
    assert_allclose(place[~free], box.neutral[~free], atol=0)
    start = box.neutral.copy()
    first = refine_month(start.copy(), *arguments, 0, 1e-6)
    refined = refine_month(start, *arguments, 100, 1e-6)
    assert refine_month(place, *arguments, 100, 1e-6) < 1.1 * refined
    assert loss < 0.2 * first


def test_months_start_from_a_known_eve_and_repeat_with_their_year(world):
    weather, truth = world("implicit")
    month = weather.time.dt.month.values - 1
    year = weather.time.dt.year.values
    target = np.full((4, month.size), np.nan)
    target[0], target[1] = truth.snow.values[:, 0], truth.soil.values[:, 0]
    eve_of_may_2003 = np.flatnonzero((year == 2003) & (month == 4))[0] - 1
    target[1, eve_of_may_2003] = np.nan
    pieces = month_pieces(month, year, np.array([2001, 2002, 2002, 2003]), target)
    assert [p.start.size for p in pieces] == [3, 4, 4, 4, 3, 4, 4, 4, 4, 4, 4, 4]
    assert set(pieces[1].length) == {28}
    windows = window_pieces(year, [(2001, 2002), (2003, 2003)], target)
    assert windows.start.tolist() == [1, 730]  # the first day has no eve
    assert windows.length.tolist() == [729, 365]


def test_the_unit_box_spans_the_bounds_and_its_slopes_are_exact():
    box = parameter_box(True)
    rng = np.random.default_rng(6)
    place = rng.random(FITTED)
    value, slope = np.empty(FITTED), np.empty(FITTED)
    from_unit(place, box, value, slope)
    gradient = jax.jacfwd(
        lambda p: jnp.where(
            box.logarithmic,
            jnp.exp(box.lower + box.span * p),
            box.lower + box.span * p,
        )
    )(place)
    assert_allclose(slope, np.diag(gradient), rtol=1e-12)
    low, high = bounds(True)
    for corner, bound in ((np.zeros(FITTED), low), (np.ones(FITTED), high)):
        from_unit(corner, box, value, slope)
        assert_allclose(value[:15], bound, rtol=1e-12)
    from_unit(box.neutral, box, value, slope)
    assert_allclose(value[2], 273.15)  # melt sets in at 0 degC
