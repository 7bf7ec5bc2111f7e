"""Gradients of a run with respect to every parameter, against central differences."""

import equinox as eqx
import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.land.model.parameters import table
from tilth.land.model.runs import advance
from tilth.land.model.settings import Settings

#: Weights that bring the outputs to like size, so that none hides another.
WEIGHTS = {
    "SWnet": 0.8,
    "Qle": 1.0,
    "Qh": 1.1,
    "Qg": 0.9,
    "AvgSurfT": 1.3,
    "SoilTemp": 3.0,
    "SoilMoist": 0.7,
    "SWE": 2.0,
    "SurfStor": 10.0,
    "CanopInt": 10.0,
    "GPP": 1e9,
    "Qs": 1e6,
    "Qsb": 1e9,
}

#: Relative steps of the differences, the likeliest first; the best counts: rounding
#: spoils the small ones, curvature the large.
STEPS = (1e-4, 1e-5, 1e-3, 1e-6)

#: Relative difference that passes.
CLOSE = 1e-4


@pytest.fixture(scope="module")
def two_day_run(land):
    """Return the varying parameters, a score per column, and its gradient."""
    parameters, state = land.columns()
    varying, fixed = eqx.partition(parameters, eqx.is_inexact_array)
    weather = jax.tree.map(lambda x: x.reshape(2, 48, *x.shape[1:]), land.weather())

    # State and weather are arguments: as constants they would be compiled in.
    def score(varying, state, weather):
        _, means = advance(
            state,
            eqx.combine(varying, fixed),
            weather,
            jnp.ones(2, bool),
            time_step=land.step,
            settings=Settings(),
        )
        total = 0.0
        for name, weight in WEIGHTS.items():
            rows = means[name].reshape(-1, 4)
            # Days and layers count differently, so that none cancels another.
            turn = jnp.cos(jnp.arange(len(rows)))[:, None]
            total = total + weight * jnp.sum(turn * rows, axis=0)
        return total

    # Without fusion the programs compile in half the time; they run a little slower.
    quick = {"xla_cpu_use_fusion_emitters": False}
    gradient = jax.jit(
        jax.grad(lambda *arguments: score(*arguments).sum()), compiler_options=quick
    )
    scores = jax.jit(score, compiler_options=quick)
    return (
        varying,
        lambda varying: scores(varying, state, weather),
        gradient(varying, state, weather),
    )


def test_gradients_equal_central_differences_for_every_parameter(two_day_run):
    """Summer crop, thawing conifers, frozen tundra under snow, wet C4 grass."""
    varying, score, gradient = two_day_run
    base = np.abs(np.asarray(score(varying)))
    worst = {}
    for name, row in table().items():
        value = getattr(varying, name)
        places = [()] if value.ndim == 1 else [(i,) for i in range(len(value))]
        for place in places:
            here = np.asarray(value[place] if place else value)
            exact = np.asarray(getattr(gradient, name))[place or ...]
            assert np.all(np.isfinite(exact)), name
            error = np.full(here.size, np.inf)
            for relative in STEPS:
                size = relative * np.maximum(
                    np.abs(here), 0.01 * (row.upper - row.lower)
                )
                scores = [
                    np.asarray(
                        score(
                            eqx.tree_at(
                                lambda p, name=name: getattr(p, name),
                                varying,
                                value.at[place or ...].set(here + sign * size),
                            )
                        )
                    )
                    for sign in (1.0, -1.0)
                ]
                difference = (scores[0] - scores[1]) / (2.0 * size)
                # Below this a difference of scores is their rounding.
                floor = 1e-12 * base / size
                scale = np.maximum(np.abs(exact), np.abs(difference))
                off = np.maximum(np.abs(difference - exact) - floor, 0.0)
                error = np.minimum(error, off / np.maximum(scale, 1e-300))
                if error.max() <= CLOSE:
                    break
            else:
                worst[name, place] = error.max()
    assert not worst


def test_each_group_of_parameters_matters_somewhere(two_day_run):
    """Otherwise a gradient of zero would pass for a gradient."""
    _, _, gradient = two_day_run
    matters = {
        name
        for name in table()
        if float(jnp.max(jnp.abs(getattr(gradient, name)))) > 0.0
    }
    silent = set(table()) - matters
    # Medlyn's slope and the lognormal snow belong to choices that are off here.
    assert silent <= {"medlyn_slope", "snow_variation"}
