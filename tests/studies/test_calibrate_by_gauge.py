"""The calibration by gauge: its rivers, its chain and gradient, its judgement."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.land.emulator.parameters import bounds, table
from tilth.rivers.network import MOUTH
from tilth.rivers.routing.muskingum_equations import simulate_muskingum
from tilth.stats.scores import kge
from tilth.studies import calibrate_by_gauge as study
from tilth.studies.calibrate_by_gauge import chain, fitting, inertial, judge, members
from tilth.studies.calibrate_by_gauge.experiment import Effort
from tilth.studies.calibrate_by_gauge.problem import (
    SPLITS,
    Column,
    Problem,
    Split,
    budyko_runoff,
    lay_out,
)
from tilth.studies.calibrate_by_gauge.tree import (
    basin_network,
    main_river,
    stem_and_tributaries,
)
from tilth.studies.calibrate_by_gauge.values import (
    FREE,
    NAMES,
    SEASONAL,
    SIZE,
    monthly,
    unfold,
)

DAY = np.timedelta64(1, "D")


def basin_of(rain, discharge, *, area=150e6, slope=0.03, first="2000-01-01"):
    """Return a basin of plain weather with the given rain, mm day-1."""
    days = np.size(rain)
    time = (np.datetime64(first) + np.arange(days) * DAY).astype("datetime64[ns]")
    season = np.cos(2 * np.pi * (np.arange(days) - 200) / 365.25)
    fields = {
        "rain": rain,
        "snowfall": np.zeros(days),
        "temperature": 284.0 + 9.0 * season,
        "humidity": 0.006 + 0.003 * season,
        "pressure": np.full(days, 97e3),
        "discharge": discharge,
    }
    basin = xr.Dataset(
        {name: ("time", np.asarray(values, float)) for name, values in fields.items()},
        coords={"time": time},
    )
    basin["area"], basin["mean_slope"] = area, slope
    basin["precipitation_mean"], basin["demand_mean"] = 3.0, 2.0
    return basin


@pytest.fixture(scope="module")
def basin():
    rng = np.random.default_rng(1)
    rain = np.where(rng.random(1096) < 0.3, rng.exponential(9.0, 1096), 0.0)
    return basin_of(rain, 2.0 + rng.gamma(1.0, 1.0, 1096))


@pytest.fixture(scope="module")
def short(basin):
    """Return a problem of twelve days after eighty, to differentiate quickly."""
    whole = lay_out([basin], SPLITS[:1])
    days, spin_up = 12, 80
    return replace(
        whole,
        weather=type(whole.weather)(*(f[: spin_up + days] for f in whole.weather)),
        month=whole.month[: spin_up + days],
        spin_up=spin_up,
        time=whole.time[:days],
        observed=whole.observed[:days],
        fitted=whole.fitted[:days],
        tested=whole.tested[:days],
    )


# --- rivers


def test_the_main_river_is_as_long_as_hacks_law_in_miles_says():
    assert main_river(100 * 1609.344**2) / 1609.344 == pytest.approx(1.4 * 100**0.6)


@pytest.mark.parametrize(("reaches", "size"), [(1, 1), (3, 4), (5, 9), (7, 17)])
def test_rivers_take_up_tributaries_half_as_long_as_what_is_above(reaches, size):
    down = stem_and_tributaries(reaches)
    assert down.size == size
    assert down[0] == MOUTH
    assert (down[1:] < np.arange(1, size)).all()
    depth = np.zeros(size, int)
    for i in range(1, size):
        depth[i] = depth[down[i]] + 1
    assert depth.max() == reaches - 1
    assert np.bincount(down[1:], minlength=size).max(initial=0) <= 2


@settings(deadline=None, max_examples=25)
@given(
    area=st.floats(50e6, 5e9),
    slope=st.floats(0.001, 0.1),
)
def test_a_drawn_network_gathers_the_whole_basin_at_its_gauge(area, slope):
    network = basin_network(area, slope)
    share = network.data["runoff_share"].values
    gauge = network.size - 2
    assert network.accumulate(share)[gauge] == pytest.approx(1.0)
    assert share[-1] == 0.0
    assert network.downstream[gauge] == network.size - 1
    elevation, down = network.data["elevation"].values, network.downstream
    inside = down >= 0
    assert (elevation[inside] > elevation[down[inside]]).all()
    steep = network.data["channel_slope"].values
    assert (steep[inside] >= steep[down[inside]]).all()
    width = network.data["river_width"].values
    assert width[gauge] == pytest.approx(2.70 * (area / 1e6) ** 0.352)


def test_a_basin_without_a_slope_has_no_rivers():
    with pytest.raises(InputError, match="a slope above zero"):
        basin_network(1e8, 0.0)


def test_budykos_curve_runs_from_all_water_to_none():
    assert budyko_runoff(3.0, 1e-6) == pytest.approx(3.0, rel=1e-2)
    assert budyko_runoff(3.0, 300.0) == pytest.approx(0.0, abs=0.02)
    assert 0.0 < budyko_runoff(3.0, 4.0) < budyko_runoff(3.0, 2.0) < 3.0


# --- values


def test_coefficients_of_zero_are_the_defaults_in_every_month():
    values = np.asarray(monthly(np.zeros((SIZE, 1))))
    default = np.array([row.default for row in FREE])
    np.testing.assert_allclose(values[..., 0], np.repeat(default[:, None], 12, 1))


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 30.0))
def test_values_stay_within_their_bounds_and_those_of_the_emulator(seed, spread):
    rng = np.random.default_rng(seed)
    values = unfold(spread * rng.standard_normal((SIZE, 3)))
    low, high = bounds(closed=True)
    inside = np.asarray(values.emulator)
    slack = 1e-9 * (high - low)[:, None, None]
    assert (inside >= low[:, None, None] - slack).all()
    assert (inside <= high[:, None, None] + slack).all()
    assert (values.manning >= 0.015 - 1e-12).all()
    assert (values.width_factor <= 3.0 + 1e-9).all()


def test_only_seasonal_values_have_a_yearly_cycle_and_it_is_centred():
    place = np.zeros((SIZE, 1))
    place[len(FREE) :] = 0.5
    values = np.asarray(monthly(place))[..., 0]
    moving = np.ptp(values, axis=1) > 1e-9
    assert [NAMES[i] for i in np.flatnonzero(moving)] == list(SEASONAL)
    row = FREE[NAMES.index("soil_capacity")]
    odds = (values[NAMES.index("soil_capacity")] - row.lower) / (row.upper - row.lower)
    start = (row.default - row.lower) / (row.upper - row.lower)
    mean = np.log(odds / (1.0 - odds)).mean()
    assert mean == pytest.approx(np.log(start / (1.0 - start)))


def test_the_emulators_rows_are_where_the_emulator_looks_for_them():
    place = np.zeros((SIZE, 1))
    place[NAMES.index("deep_residence")] = 1.0
    changed = np.asarray(unfold(place).emulator != unfold(0.0 * place).emulator)
    names = [row.name for row in table(closed=True)]
    assert [names[i] for i in np.flatnonzero(changed.any(axis=(1, 2)))] == [
        "deep_residence"
    ]


# --- chain


@settings(deadline=None, max_examples=25)
@given(st.floats(0.05, 5.0), st.lists(st.floats(0.0, 50.0), min_size=20, max_size=20))
def test_the_hillslope_keeps_water_and_never_makes_any(days, series):
    inflow = np.array(series)[:, None]
    outflow = np.asarray(chain.delay(inflow, np.array([days])))
    assert (outflow >= -1e-9).all()
    first = inflow[0, 0] * days
    assert outflow.sum() <= inflow.sum() + first + 1e-6


def test_the_hillslope_drains_exponentially_as_its_equation_says():
    inflow = np.zeros((6, 1))
    inflow[1] = 8.0
    out = np.asarray(chain.delay(inflow, np.array([2.0])))[:, 0]
    kept = np.exp(-0.5)
    store = 8.0 * 2.0 * (1.0 - kept)
    np.testing.assert_allclose(out[1], 8.0 - store)
    np.testing.assert_allclose(out[2:], store * (1 - kept) * kept ** np.arange(4))


def test_rough_and_wide_rivers_are_slower_and_lose_no_water(basin):
    problem = lay_out([basin], SPLITS[:1], 3)
    place = np.zeros((SIZE, 3))
    place[NAMES.index("manning"), 1] = 3.0
    place[NAMES.index("width_factor"), 2] = 3.0
    response = np.asarray(
        chain.gauge_response(unfold(place), chain.reaches_of(problem))
    )
    np.testing.assert_allclose(response.sum(axis=0), 1.0, atol=1e-4)
    assert (response > -1e-6).all()
    centre = (np.arange(len(response))[:, None] * response).sum(axis=0)
    assert centre[1] > 1.2 * centre[0]
    assert centre[2] > 1.1 * centre[0]


def test_the_sum_over_days_before_is_what_muskingum_routing_gives(basin):
    problem = lay_out([basin], SPLITS[:1])
    reaches = chain.reaches_of(problem)
    values = unfold(np.zeros((SIZE, 1)))
    water = np.random.default_rng(0).gamma(0.3, 10.0, 40)
    response = np.asarray(chain.gauge_response(values, reaches))[:, 0]
    summed = np.convolve(water, response)[:40]
    depth = (0.03 * reaches.flow / (reaches.width * np.sqrt(reaches.slope))) ** 0.6
    celerity = 5 / 3 * reaches.flow / (reaches.width * depth)
    time = reaches.length / celerity
    weight = np.clip(
        0.5 * (1 - 0.6 * depth / (reaches.slope * reaches.length)), 0, 0.45
    )
    weight = np.minimum(weight, 900.0 / time)
    _, mean = simulate_muskingum(
        time, weight, reaches.downstream, np.zeros(time.size),
        water[:, None] * reaches.share, 1800.0, 48,
    )  # fmt: skip
    np.testing.assert_allclose(mean[:, reaches.gauge[0]], summed, atol=1e-3)


def test_what_falls_on_steady_days_arrives_at_the_gauge():
    # Cold and dry air: no evaporation, and rain that does not freeze.
    steady = basin_of(np.full(1096, 4.0), np.ones(1096))
    steady["temperature"][:] = 285.0
    steady["humidity"][:] = 0.0088
    problem = lay_out([steady], SPLITS[:1])
    place = np.zeros((SIZE, 1))
    place[NAMES.index("rain_gain")] = 20.0
    place[NAMES.index("evaporation_factor")] = -20.0
    flow = chain.compiled_linear(problem, chain.reaches_of(problem))(place)
    depth = np.asarray(flow)[-1, 0] / (problem.area[0] * 1e-3 / 86400.0)
    assert depth == pytest.approx(4.0, rel=0.02)


def gradient_agrees(run, tolerance):
    """Assert that a gradient is that of finite differences; return the discharge."""
    weight = jnp.asarray(np.random.default_rng(3).random((12, 1)))

    @jax.jit
    def total(place):
        def one(place):
            flow = run(place)
            return (weight * flow).sum(), flow

        return jax.value_and_grad(one, has_aux=True)(place)

    place = jnp.asarray(PLACE)
    (_, flow), slope = total(place)
    assert np.isfinite(slope).all()
    step = 1e-4
    for name in DIRECTIONS:
        i = NAMES.index(name)
        (high, _), _ = total(place.at[i].add(step))
        (low, _), _ = total(place.at[i].add(-step))
        difference = float(high - low) / (2 * step)
        assert abs(difference) > 1e-6, name
        assert float(slope[i, 0]) == pytest.approx(difference, rel=tolerance), name
    return np.asarray(flow)


PLACE = 0.3 * np.random.default_rng(4).standard_normal((SIZE, 1))

DIRECTIONS = (
    "rain_gain", "wetland_release", "drainage_rate", "deep_residence", "soil_capacity",
    "runoff_share", "hillslope_delay", "manning", "width_factor",
)  # fmt: skip


def test_the_gradient_through_linear_rivers_is_that_of_finite_differences(short):
    reaches = chain.reaches_of(short)
    gradient_agrees(chain.compiled_linear(short, reaches), 1e-5)


def test_the_gradient_of_the_whole_chain_is_that_of_finite_differences(short):
    rivers = inertial.rivers_of(short, chain.reaches_of(short))
    substeps = inertial.plan_substeps(PLACE, short, rivers)

    def run(place):
        return inertial.inertial_discharge(place, short, rivers, substeps)

    flow = gradient_agrees(run, 1e-4)
    kernel = inertial.kernel_discharge(PLACE, short, rivers)
    np.testing.assert_allclose(flow, kernel, rtol=1e-8)


# --- fit


def test_the_kge_with_a_gradient_is_the_score():
    rng = np.random.default_rng(0)
    truth = rng.gamma(1.0, 3.0, (200, 2))
    flow = truth * rng.lognormal(0.0, 0.4, truth.shape) + 0.3
    counted = rng.random(truth.shape) < 0.8
    ours = fitting.weighted_kge(flow, truth, counted.astype(float))
    for j in range(2):
        days = counted[:, j]
        assert ours[j] == pytest.approx(kge(flow[days, j], truth[days, j]))


def test_a_perfect_hydrograph_at_the_defaults_has_no_loss():
    truth = np.random.default_rng(0).gamma(1.0, 3.0, (50, 1))
    ones = np.ones_like(truth)
    none = np.zeros((SIZE, 1))
    assert fitting.losses(truth, truth, ones, none)[0] == pytest.approx(0.0, abs=1e-12)
    assert fitting.losses(truth, truth, ones, none + 1.0)[0] == pytest.approx(
        fitting.PRIOR_WEIGHT
    )


def test_the_held_out_year_takes_no_part_in_the_fit_nor_in_the_climatology(basin):
    spoilt = basin.copy(deep=True)
    spoilt["discharge"][spoilt["time"].dt.year.values == 2002] = 77.0
    problem = lay_out([basin, spoilt], SPLITS[:1])
    fit = fitting.fit_linear(problem, 2, 0).coefficients
    np.testing.assert_allclose(fit[:, 0], fit[:, 1], rtol=1e-10, atol=1e-12)
    assert np.abs(fit).max() > 0.05
    usual = judge.climatology(problem)
    np.testing.assert_array_equal(usual[:, 0], usual[:, 1])


def test_the_descent_goes_down_and_keeps_its_best_step(basin):
    problem = lay_out([basin], SPLITS[:1], 2)
    target = np.array([[1.0], [-2.0]])

    def bowl(place):
        miss = ((place[:2] - target) ** 2).sum(0)
        return jnp.asarray(problem.observed) * (1.0 + miss)

    start = fitting.first_coefficients(problem, 0)
    assert (start[:, 0] == 0.0).all()
    assert (start[:, 1] != 0.0).all()
    fit = fitting.descend(bowl, problem, start, 150, rate=0.1)
    assert (fit.loss <= fit.path.min(axis=0)).all()
    assert (fit.loss < 0.2 * fit.path[0]).all()
    np.testing.assert_allclose(fit.coefficients[:2], np.tile(target, 2), atol=0.3)


def test_the_best_start_is_chosen_within_each_basin_and_split(basin):
    problem = lay_out([basin, basin], SPLITS, 3)
    loss = np.array([3.0, 1.0, 2.0, 5.0, 6.0, 4.0, 0.5, 0.7, 0.6, 9.0, 8.0, 7.0])
    assert fitting.best_starts(problem, loss).tolist() == [1, 5, 6, 11]


def test_spin_up_has_the_training_weather_and_all_columns_the_same_days(basin):
    problem = lay_out([basin], SPLITS)
    assert problem.spin_up == 730
    assert problem.month.size == 730 + 1096
    rain = basin["rain"].sel(time="2002").values
    np.testing.assert_array_equal(problem.weather.rain[365:730, 1], rain)
    years = problem.time.astype("datetime64[Y]").astype(int) + 1970
    assert set(years[problem.fitted[:, 0]]) == {2000, 2001}
    assert set(years[problem.tested[:, 0]]) == {2002}
    assert set(years[problem.fitted[:, 1]]) == {2001, 2002}
    assert not (problem.fitted & problem.tested).any()


# --- judgement


def two_years(flow):
    """Return a problem of one column with this discharge, to be judged."""
    time = np.arange("2000-01-01", "2003-01-01", dtype="datetime64[D]")
    years = time.astype("datetime64[Y]").astype(int) + 1970
    return Problem(
        columns=(Column(0, SPLITS[0], 0),), weather=None, month=None, spin_up=0,
        time=time, observed=flow[:, None], fitted=(years < 2002)[:, None],
        tested=(years == 2002)[:, None], area=None, mean_runoff=None, networks=(),
    )  # fmt: skip


def test_the_climatology_is_the_smoothed_mean_of_the_training_years():
    time = np.arange("2000-01-01", "2003-01-01", dtype="datetime64[D]")
    years = time.astype("datetime64[Y]").astype(int) + 1970
    flow = np.where(years == 2000, 1.0, np.where(years == 2001, 3.0, 50.0))
    usual = judge.climatology(two_years(flow))[:, 0]
    # 29 February has but one year; its window leans towards 2000.
    np.testing.assert_allclose(usual, 2.0, atol=1.0 / 31)
    pulse = np.zeros(1096)
    pulse[(time == np.datetime64("2001-07-01"))] = 62.0
    usual = judge.climatology(two_years(pulse))[:, 0]
    wet = time[(usual > 0) & (years == 2002)]
    assert str(wet[0]) == "2002-06-16"
    assert str(wet[-1]) == "2002-07-16"
    np.testing.assert_allclose(usual[usual > 0], 1.0)


def test_coverage_counts_days_between_the_limits():
    low, high = np.zeros((4, 1)), np.full((4, 1), 2.0)
    truth = np.array([[1.0], [3.0], [2.0], [np.nan]])
    days = np.array([[True], [True], [True], [False]])
    assert members.coverage(low, high, truth, days)[0] == pytest.approx(2 / 3)


def test_bands_hold_the_members_and_errors_like_those_of_the_training_years():
    rng = np.random.default_rng(0)
    best = 2.0 + rng.gamma(2.0, 2.0, (1096, 1))
    truth = (best**0.2 + 0.05 * rng.standard_normal(best.shape)) ** 5
    problem = two_years(truth[:, 0])
    flows = best * np.linspace(0.99, 1.01, 30)[:, None, None]
    limits = members.bands(best, flows, problem, 0)
    assert (limits.low >= 0.0).all()
    assert (limits.low < limits.parameter_low).all()
    assert (limits.high > limits.parameter_high).all()
    days = problem.tested
    assert 0.84 < members.coverage(limits.low, limits.high, truth, days)[0] < 0.96


def test_members_spread_where_discharge_says_nothing_and_little_where_it_does(basin):
    problem = lay_out([basin], SPLITS[:1])
    level = np.linspace(1.0, 4.0, 1096)[:, None]
    rng = np.random.default_rng(0)
    own = replace(problem, observed=level * rng.lognormal(0.0, 0.05, level.shape))

    def flow(place):
        return level * jnp.exp(place[:1])

    drawn = members.draw_members(flow, own, np.zeros((SIZE, 1)), 200, 0)
    spread = drawn.std(axis=0)[:, 0]
    assert spread[0] < 0.01
    np.testing.assert_allclose(spread[1:], 1.0, atol=0.2)


# --- the study


def values_of(result):
    return {metric.name: metric for metric in result.metrics}


def test_without_the_basins_the_study_is_simulated_and_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("TILTH_DATA", raising=False)
    monkeypatch.setattr("tilth.core.datasets.cache_folder", lambda: tmp_path)
    monkeypatch.setattr(study, "QUICK", Effort(1, 30, 0, 4))
    result = study.run()
    assert result.data_source == "simulated: known truth"
    assert "Nothing here is a measurement" in result.summary
    found = values_of(result)
    assert not [name for name, m in found.items() if m.holds is False]
    assert {f.name for f in result.figures} == {
        "hydrographs",
        "scores",
        "flow_duration",
    }
    assert "truth" in {t.name for t in result.tables}


@pytest.mark.realdata
def test_the_smallest_basin_is_better_for_being_calibrated(dataset):
    dataset("camels-four-basins")
    result = study.run()
    found = values_of(result)
    assert "CAMELS-US" in result.summary
    assert not [name for name, m in found.items() if m.holds is False]
    river = "KGE of {}, Marsh Creek, PA"
    for split in SPLITS:
        before, after = (
            found[f"{split.name}: " + river.format(name)].value
            for name in ("uncalibrated", "calibrated")
        )
        assert after > before + 0.1


def test_a_split_may_train_on_one_year(basin):
    one = lay_out([basin], [Split("fit 2001", (2001,), 2000)])
    rain = basin["rain"].sel(time="2001").values
    np.testing.assert_array_equal(one.weather.rain[:365, 0], rain)
    np.testing.assert_array_equal(one.weather.rain[365:730, 0], rain)
