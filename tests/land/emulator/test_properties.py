"""What must hold for any parameters within their bounds and any weather."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.land.emulator import kernel
from tilth.land.emulator.variants import VARIANTS, Forcing, Variant

DAYS, CELLS = 800, 8

seeds = st.integers(0, 2**32 - 1)


def any_run(seed, variant, parameters_of, kind=np.float64):
    """Run weather of any climate, from any stores, with any parameters."""
    rng = np.random.default_rng(seed)
    mean, swing = rng.uniform(230, 310), rng.uniform(0, 35)
    day = np.arange(DAYS)[:, None]
    t = mean + swing * np.sin(day / 58) + rng.normal(0, 5, (DAYS, CELLS))
    t = np.clip(t, 180, 330)
    water = rng.exponential(rng.uniform(0, 60), (DAYS, CELLS))
    water *= rng.random((DAYS, CELLS)) < rng.random()
    share = rng.random((DAYS, CELLS))
    p = rng.uniform(4e4, 1.05e5, (DAYS, CELLS))
    q = rng.uniform(0, 0.03, (DAYS, CELLS))
    weather = [f.astype(kind) for f in (water * share, water * (1 - share), t, q, p)]
    start = rng.uniform(0, 1, (4, CELLS)) * np.array([[3000], [200], [300], [300]])
    start[1] -= 100
    parameters = parameters_of(CELLS, variant.closed, seed)
    month = (np.arange(DAYS) // 30) % 12
    done = kernel.simulate(
        Forcing(*weather),
        month,
        parameters,
        rng.uniform(0.02, 0.98, CELLS),
        0.0,
        start,
        variant,
        evaporation=True,
    )
    return done, water, start


FORMS = st.sampled_from([
    *VARIANTS.values(),
    Variant(frost_width=0.0, snow_depth=0.0),
    Variant(closed=True, frost_width=0.0, snow_depth=0.0),
])  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(seed=seeds, variant=FORMS, single=st.booleans())
def test_snow_and_wetland_are_never_negative(random_parameters, seed, variant, single):
    kind = np.float32 if single else np.float64
    done, _, _ = any_run(seed, variant, random_parameters, kind)
    assert done.snow.min() >= 0
    assert done.wetland.min() >= 0
    assert np.isfinite(done.runoff).all()
    assert np.isfinite(done.soil).all()


@settings(max_examples=40, deadline=None)
@given(seed=seeds, sharp=st.booleans())
def test_the_closed_variant_keeps_every_drop(random_parameters, seed, sharp):
    width = 0.0 if sharp else 0.5
    variant = Variant(closed=True, frost_width=width, snow_depth=width)
    done, water, start = any_run(seed, variant, random_parameters)
    came = water.sum(axis=0)
    left = (done.runoff + done.evaporation).sum(axis=0)
    gained = (done.state - start).sum(axis=0)
    turnover = came + np.abs(done.evaporation).sum(axis=0) + np.abs(start).sum(axis=0)
    assert (np.abs(came - left - gained) < 1e-9 * turnover).all()
    assert (np.abs(done.residual) < 1e-9 * turnover).all()
    assert done.state[3].min() >= 0
    assert done.runoff.min() >= 0


@settings(max_examples=40, deadline=None)
@given(seed=seeds, sharp=st.booleans())
def test_the_implicit_scheme_is_stable_for_any_parameters(
    random_parameters, seed, sharp
):
    width = 0.0 if sharp else 0.5
    variant = Variant(frost_width=width, snow_depth=width)
    rng = np.random.default_rng(seed)

    def harder(cells, closed, seed):
        parameters = random_parameters(cells, closed, seed)
        parameters[6] = rng.uniform(0.0, 50.0, (12, cells))  # wetlands empty in minutes
        parameters[8] = rng.uniform(0.001, 50.0, (12, cells))  # so does the soil
        return parameters

    done, water, start = any_run(seed, variant, harder)
    # No store can leave the range of what drives it: the level the soil relaxes to,
    # what it receives, and what it loses until drainage makes up for it.
    received = water.sum(axis=0) + start[2] + start[0]
    assert (done.soil <= np.maximum(start[1], 60.0) + 1.2 * received + 1e-6).all()
    taken = np.abs(done.evaporation).sum(axis=0)
    assert (done.soil >= np.minimum(start[1], -20.0) - taken - received - 1e-6).all()
    assert (done.wetland <= start[2] + 1.2 * received + 1e-6).all()


def test_the_explicit_scheme_is_not_stable_where_the_implicit_one_is(random_parameters):
    def stiff(cells, closed, seed):
        parameters = random_parameters(cells, closed, seed)
        parameters[8] = 2.5  # drainage: more than 2 a day overshoots
        return parameters

    wild, _, _ = any_run(3, VARIANTS["smooth"], stiff)
    calm, _, _ = any_run(3, VARIANTS["implicit"], stiff)
    assert np.abs(wild.soil).max() > 1e6
    assert np.abs(calm.soil).max() < 1e4


@pytest.mark.parametrize("name", ["implicit", "closed"])
def test_more_rain_never_means_less_water_in_the_cell_and_the_river(
    name, made_up_weather, random_parameters
):
    weather, month = made_up_weather(365, 40)
    fixed = (
        random_parameters(40, name == "closed"),
        np.full(40, 0.3),
        0.0,
        np.zeros((4, 40)),
    )
    dry = kernel.simulate(weather, month, *fixed, VARIANTS[name])
    wet = kernel.simulate(
        weather._replace(rain=weather.rain * 1.3), month, *fixed, VARIANTS[name]
    )
    assert (wet.snow >= dry.snow - 1e-9).all()
    gained = (wet.runoff - dry.runoff).sum(axis=0) + (wet.state - dry.state).sum(axis=0)
    assert (gained > -1e-6).all()
