"""The compiled kernel: the same days as in JAX, fast, and the same on any machine."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tilth.core.accelerate import jax
from tilth.core.errors import InputError
from tilth.land.emulator import kernel
from tilth.land.emulator.equations import Forcing, State, simulate
from tilth.land.emulator.kernel_math import FAST, exponential, power
from tilth.land.emulator.variants import VARIANTS, Variant

STORES = ("snow", "soil", "wetland", "runoff")


def by_jax(weather, month, parameters, share, start, variant):
    """Return snow, soil, wetland, runoff, evaporation with losses; the last state."""
    last, states, fluxes = jax.jit(
        lambda *fields: simulate(*fields[:2], month, *fields[2:], variant)
    )(State(*start), weather, parameters, share)
    runoff = fluxes.surface_runoff + fluxes.base_runoff
    lost = fluxes.evaporation + fluxes.losses
    rows = (states.snow, states.soil, states.wetland, runoff, lost)
    return [np.asarray(row) for row in rows], np.stack(last)


def rows_of(done):
    return [done.snow, done.soil, done.wetland, done.runoff, done.evaporation]


def distance(ours, theirs):
    """Return the largest difference, relative to the size of the other's values."""
    return np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1.0)


def test_the_exponential_and_the_power_are_right_to_the_last_places():
    import numba

    @numba.njit(fastmath=FAST, error_model="numpy")
    def fill(x, y, z, powers, exponentials):
        for i in range(x.size):
            powers[i] = power(x[i], y[i])
            exponentials[i] = exponential(z[i])

    rng = np.random.default_rng(0)
    for kind in (np.float32, np.float64):
        x = np.exp(rng.uniform(-14, 6, 100_000)).astype(kind)
        y = rng.uniform(0.3, 2, x.size).astype(kind)
        ours, grown = np.empty_like(x), np.empty_like(x)
        z = rng.uniform(-60, 60, x.size).astype(kind)
        fill(x, y, z, ours, grown)
        exact = x.astype(np.longdouble) ** y.astype(np.longdouble)
        units = np.abs(ours / exact - 1) / np.finfo(kind).eps
        assert (units < 1 + np.abs(y * np.log(x))).all()
        off = np.abs(grown / np.exp(z.astype(np.longdouble)) - 1).max()
        assert off < 1.5 * np.finfo(kind).eps
        assert exponential(1.0) == pytest.approx(np.e)
        assert power(2.0, 0.5) == pytest.approx(np.sqrt(2))


#: Largest difference, relative to the largest value of the variable. The explicit
#: scheme is not stable for every set of parameters and amplifies a rounding error.
ROUNDING = {"published": 1e-10, "smooth": 1e-10, "implicit": 1e-12, "closed": 1e-11}

#: Single precision: largest share of the variance of a variable that a cell loses.
SINGLE = {"published": 1e-6, "smooth": 1e-3, "implicit": 1e-10, "closed": 1e-4}


@pytest.fixture
def many_cells(vic, random_parameters):
    """Return a function of a variant: VIC's weather of 45 years, eight fits a cell."""
    weather, month = vic

    def case(variant):
        share = np.linspace(0.02, 0.98, 72)
        start = np.zeros((4, 72))
        start[0], start[1] = 120.0, 5.0
        parameters = random_parameters(72, variant.closed)
        tiled = (np.tile(field, 8) for field in weather)
        return Forcing(*tiled), month, parameters, share, start

    return case


@pytest.mark.realdata
@pytest.mark.parametrize("name", VARIANTS)
def test_forty_years_agree_with_jax_to_rounding(name, many_cells):
    variant = VARIANTS[name]
    weather, month, parameters, share, start = many_cells(variant)
    theirs, last = by_jax(weather, month, parameters, share, start, variant)
    done = kernel.simulate(
        weather, month, parameters, share, 0.0, start, variant, evaporation=True
    )
    for ours, other in zip(rows_of(done), theirs, strict=True):
        assert distance(ours, other) < ROUNDING[name]
    assert distance(done.state, last) < ROUNDING[name]


@pytest.mark.realdata
@pytest.mark.parametrize("name", VARIANTS)
def test_single_precision_stays_with_double_for_decades(name, many_cells):
    variant = VARIANTS[name]
    weather, month, *rest = many_cells(variant)
    single = [np.asarray(values, np.float32) for values in (*weather, *rest)]
    double = [values.astype(float) for values in single]
    runs = [
        kernel.simulate(
            Forcing(*values[:5]), month, values[5], values[6], 0.0, values[7], variant,
            evaporation=True,
        )
        for values in (single, double)
    ]  # fmt: skip
    for ours, exact in zip(*map(rows_of, runs), strict=True):
        assert ours.dtype == np.float32
        lost = ((ours - exact) ** 2).mean(axis=0) / np.maximum(exact.var(axis=0), 1e-6)
        assert lost.max() < SINGLE[name]
        if name == "implicit":  # every day of 45 years, those after a new month too
            assert np.abs(ours - exact).max() < 0.01


@pytest.fixture
def case(made_up_weather, random_parameters):
    """Return a year of 1,300 cells in single precision."""
    weather, month = made_up_weather(365, 1300, seed=3)
    weather = Forcing(*(field.astype(np.float32) for field in weather))
    start = np.random.default_rng(2).uniform(0, 50, (4, 1300))
    return weather, month, random_parameters(1300), np.full(1300, 0.3), 0.0, start


def part(case, cells):
    """Return the case with some of its cells."""
    weather, month, parameters, share, reference, start = case
    fields = (np.ascontiguousarray(field[:, cells]) for field in weather)
    return (
        Forcing(*fields), month, parameters[:, :, cells], share[cells], reference,
        start[:, cells],
    )  # fmt: skip


VARIANT = VARIANTS["implicit"]


def test_a_cell_does_not_feel_its_block_its_lane_or_the_threads(case):
    whole = kernel.simulate(*case, VARIANT, evaporation=True, threads=1)
    everywhere = slice(None)
    others = [
        (everywhere, kernel.simulate(*case, VARIANT, evaporation=True, threads=2))
    ]
    for cells in (slice(700, 701), slice(509, 530), slice(None, None, -1)):
        few = kernel.simulate(*part(case, cells), VARIANT, evaporation=True)
        others.append((cells, few))
    for cells, other in others:
        for ours, theirs in zip(rows_of(whole), rows_of(other), strict=True):
            assert np.array_equal(ours[:, cells], theirs)
        assert np.array_equal(whole.state[:, cells], other.state)
        assert np.array_equal(whole.residual[cells], other.residual)


def test_sea_is_left_out_and_land_does_not_feel_it(case):
    weather, month, parameters, *rest = case
    sea = np.random.default_rng(4).random(1300) < 0.7
    parameters = np.where(sea, np.nan, parameters)
    fields = [field.copy() for field in weather]
    for field in fields:
        field[:, sea] = np.nan
    done = kernel.simulate(Forcing(*fields), month, parameters, *rest, VARIANT)
    land = kernel.simulate(*part(case, ~sea), VARIANT)
    for name in STORES:
        values = getattr(done, name)
        assert np.isnan(values[:, sea]).all()
        assert np.array_equal(values[:, ~sea], getattr(land, name))
    assert not done.strange.any()
    nothing = kernel.simulate(weather, month, parameters * np.nan, *rest, VARIANT)
    assert np.isnan(nothing.runoff).all()


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_run_in_two_parts_is_the_run_in_one_to_the_last_bit(name, kind, case):
    weather, month, parameters, share, reference, start = part(case, slice(0, 70))
    weather = Forcing(*(field.astype(kind) for field in weather))
    fixed = (parameters, share, reference)
    whole = kernel.simulate(weather, month, *fixed, start, VARIANTS[name])
    cut = 133  # within a month
    first = kernel.simulate(
        Forcing(*(f[:cut] for f in weather)), month[:cut], *fixed, start, VARIANTS[name]
    )
    second = kernel.simulate(
        Forcing(*(f[cut:] for f in weather)),
        month[cut:],
        *fixed,
        first.state,
        VARIANTS[name],
    )
    for field in STORES:
        joined = np.concatenate([getattr(first, field), getattr(second, field)])
        assert np.array_equal(getattr(whole, field), joined)
    assert np.array_equal(whole.state, second.state)


def test_parameters_change_on_the_first_day_of_a_month(case):
    weather, month, parameters, share, reference, start = part(case, slice(0, 70))
    whole = kernel.simulate(
        weather, month, parameters, share, reference, start, VARIANT
    )
    for days in (slice(0, 31), slice(31, 59)):
        # Parameters of the month in all months: the same days come out.
        constant = np.repeat(parameters[:, [month[days.start]]], 12, axis=1)
        piece = kernel.simulate(
            Forcing(*(f[days] for f in weather)),
            np.zeros(days.stop - days.start, int),
            constant,
            share,
            reference,
            start,
            VARIANT,
        )
        assert np.array_equal(piece.runoff, whole.runoff[days])
        start = piece.state


def test_water_per_second_and_per_day_are_the_same_run(case):
    weather, *rest = part(case, slice(0, 70))
    weather = Forcing(*(field.astype(float) for field in weather))
    day = kernel.simulate(weather, *rest, VARIANT, evaporation=True)
    rates = weather._replace(
        rain=weather.rain / 86400, snowfall=weather.snowfall / 86400
    )
    second = kernel.simulate(
        rates, *rest, VARIANT, seconds=1.0, output_seconds=1.0, evaporation=True
    )
    np.testing.assert_allclose(second.snow, day.snow, rtol=1e-10, atol=1e-9)
    np.testing.assert_allclose(second.runoff * 86400, day.runoff, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        second.evaporation * 86400, day.evaporation, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [("rain", -1e-3), ("rain", 2500), ("snowfall", np.nan), ("temperature", 12),
     ("humidity", 0.5), ("humidity", np.nan), ("pressure", 101.3)],
)  # fmt: skip
def test_weather_that_cannot_be_marks_its_cell(field, value, case):
    weather, *rest = part(case, slice(0, 70))
    getattr(weather, field)[200, 17] = value
    done = kernel.simulate(weather, *rest, VARIANT)
    assert done.strange.tolist() == [cell == 17 for cell in range(70)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda c: (c[0]._replace(rain=c[0].rain[:, ::2]), *c[1:]),
            "C order",
        ),
        (lambda c: (c[0]._replace(rain=c[0].rain.astype("f8")), *c[1:]), "float32"),
        (lambda c: (c[0], c[1] + 1, *c[2:]), "0 to 11"),
        (lambda c: (c[0], c[1][:-1], *c[2:]), "month has the shape"),
        (lambda c: (*c[:2], c[2][:14], *c[3:]), "parameters has the shape"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, words, case):
    with pytest.raises(InputError, match=words):
        kernel.simulate(*change(case), VARIANT)


def test_the_closed_variant_cannot_be_explicit():
    with pytest.raises(InputError, match="implicit"):
        Variant(implicit=False, closed=True)


def test_the_kernel_needs_no_jax():
    code = (
        "import sys, numpy as np\n"
        "from tilth.land.emulator import Emulator, fitted_dataset\n"
        "Emulator(fitted_dataset(np.ones((15, 12, 2)), 0.1, 0.0, 'implicit'))\n"
        "from tilth.land.emulator import kernel\n"
        "print('jax' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


@pytest.mark.realdata
def test_a_site_runs_through_forty_one_years_and_keeps_its_water(
    dataset, random_parameters
):
    path = dataset("fluxnet-sites") / "US-Bi1_ERA5_DD_1981-2021.csv.gz"
    table = pd.read_csv(path)
    celsius, p = table["TA_ERA"].to_numpy(), table["PA_ERA"].to_numpy() * 1e3
    saturated = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    vapour = saturated - table["VPD_ERA"].to_numpy() * 100  # hPa, unlike PA
    water = table["P_ERA"].to_numpy()
    frozen = np.clip(0.5 - celsius, 0, 1)
    fields = (
        water * (1 - frozen), water * frozen, celsius + 273.15,
        0.622 * vapour / (p - 0.378 * vapour), p,
    )  # fmt: skip
    assert celsius.size == 14_975
    month = pd.to_datetime(table["TIMESTAMP"].astype(str)).dt.month.to_numpy() - 1
    weather = Forcing(*(np.repeat(field[:, None], 100, axis=1) for field in fields))
    done = kernel.simulate(
        weather,
        month,
        random_parameters(100, closed=True),
        np.full(100, 0.1),
        0.0,
        np.zeros((4, 100)),
        VARIANTS["closed"],
        evaporation=True,
    )
    assert not done.strange.any()
    assert np.abs(done.residual).max() < 1e-9 * water.sum()
    assert done.snow.max() < 100  # California's delta
    left = (done.runoff + done.evaporation).sum(axis=0) + done.state.sum(axis=0)
    np.testing.assert_allclose(left, water.sum(), rtol=1e-9)
