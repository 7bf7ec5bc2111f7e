"""Derivatives of whole runs: finite everywhere, and those that differences show."""

import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.land.emulator.equations import simulate, step
from tilth.land.emulator.variants import VARIANTS, Forcing, State

DAYS = 420


@pytest.fixture
def case(made_up_weather, random_parameters):
    """Return a function of a variant: a scalar of a run as a function of parameters."""
    weather, month = made_up_weather(DAYS, 3, seed=11)
    start = State(*np.array([[30.0, 0, 0], [5, 0, -20], [2, 0, 9], [1, 0, 4]]))

    def of(variant):
        @jax.jit
        def score(parameters, share, start):
            _, states, fluxes = simulate(
                start, Forcing(*weather), month, parameters, share, variant
            )
            runoff = fluxes.surface_runoff + fluxes.base_runoff
            return (
                jnp.mean(states.snow) + jnp.mean(states.soil) + jnp.mean(states.wetland)
                + jnp.mean(jnp.square(runoff))
            )  # fmt: skip

        parameters = jnp.asarray(random_parameters(3, variant.closed, seed=12))
        return score, (parameters, jnp.full(3, 0.3), start)

    return of


@pytest.mark.parametrize("name", ["smooth", "implicit", "closed"])
def test_a_gradient_through_a_year_is_that_of_differences(name, case):
    score, arguments = case(VARIANTS[name])
    gradient = jax.grad(score, argnums=(0, 1, 2))(*arguments)
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))
    rng = np.random.default_rng(0)
    leaves, tree = jax.tree.flatten(arguments)
    flat = jax.tree.leaves(gradient)
    for _ in range(4):
        way = [rng.normal(size=x.shape) * 1e-6 * (1 + np.abs(x)) for x in leaves]
        ahead, behind = (
            score(
                *tree.unflatten(
                    [x + sign * w for x, w in zip(leaves, way, strict=True)]
                )
            )
            for sign in (1, -1)
        )
        expected = sum(float((g * w).sum()) for g, w in zip(flat, way, strict=True))
        assert (ahead - behind) / 2 == pytest.approx(expected, rel=2e-3, abs=1e-9)


@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_are_finite_on_every_edge_of_the_equations(name, random_parameters):
    variant = VARIANTS[name]
    parameters = jnp.asarray(random_parameters(6, variant.closed)[:, 0])
    edge = float(parameters[2, 1])
    weather = Forcing(
        rain=jnp.array([0.0, 5, 0, 300, 0, 0]),
        snowfall=jnp.array([0.0, 0, 9, 0, 0, 0]),
        temperature=jnp.array([273.15, edge, 200, 330, 273.15, 290]),
        humidity=jnp.array([0.0, 0.01, 0, 0.02, 0, 0.09]),
        pressure=jnp.array([9e4, 9e4, 3e4, 1e5, 9e4, 9e4]),
    )
    none = jnp.zeros(6)
    start = State(none, none + jnp.array([0, 1e5, -1e5, 0, 0, 0]), none, none)

    def total(start, weather, parameters, share):
        end, fluxes = step(start, weather, parameters, share, variant)
        return sum(jnp.sum(x) for x in (*end, *fluxes))

    gradient = jax.grad(total, argnums=(0, 1, 2, 3))(
        start, weather, parameters, jnp.full(6, 0.1)
    )
    assert all(bool(jnp.isfinite(g).all()) for g in jax.tree.leaves(gradient))


def test_a_traced_calendar_is_refused_with_the_way_out(
    made_up_weather, random_parameters
):
    weather, month = made_up_weather(40, 2)
    start = State(*np.zeros((4, 2)))

    def run(month):
        arguments = (random_parameters(2), 0.1, VARIANTS["implicit"])
        return simulate(start, Forcing(*weather), month, *arguments)

    with pytest.raises(InputError, match="close over it"):
        jax.jit(run)(month)
