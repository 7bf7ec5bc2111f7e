"""Muskingum routing in JAX: the compiled kernel's flows, and their derivatives."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.accelerate import jax, jnp
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.muskingum import route_muskingum
from tilth.rivers.routing.muskingum_equations import simulate_muskingum

STEP, STEPS = 1800.0, 6


@pytest.fixture
def case():
    rng = np.random.default_rng(2)
    n = 23
    down = np.array([rng.integers(i + 1, min(i + 4, n)) for i in range(n - 1)] + [-1])
    down[7] = -2
    k, x = rng.uniform(3000, 9000, n), rng.uniform(0, 0.4, n)
    return down, (k, x, rng.uniform(0, 9, n), rng.exponential(2.0, (10, n)))


def test_the_product_of_doublings_is_the_sweep_of_the_kernel(case):
    down, (k, x, flow, lateral) = case
    network = RiverNetwork(xr.Dataset({"downstream": ("catchment", down)}))
    units = {"units": "m3 s-1"}
    time = pd.date_range("2000", periods=10, freq="3h")
    inflow = xr.DataArray(
        lateral,
        {"time": time, "catchment": network.ids},
        ("time", "catchment"),
        attrs=units,
    )
    start = xr.DataArray(flow, {"catchment": network.ids}, "catchment", attrs=units)
    how = {"time_step": STEP, "negative_coefficients": "accept"}
    done = route_muskingum(network, inflow, start, travel_time=k, weight=x, **how)
    end, mean = simulate_muskingum(k, x, down, flow, lateral, STEP, STEPS)
    np.testing.assert_allclose(mean, done["discharge"], rtol=1e-12)
    np.testing.assert_allclose(end, done["state_discharge"], rtol=1e-12)


def test_gradients_to_every_argument_are_those_of_differences(case):
    down, arguments = case

    @jax.jit
    def score(k, x, flow, lateral):
        end, mean = simulate_muskingum(k, x, down, flow, lateral, STEP, STEPS)
        return jnp.mean(jnp.square(mean)) + jnp.sum(jnp.sin(end))

    gradient = jax.jit(jax.grad(score, argnums=(0, 1, 2, 3)))(*arguments)
    rng = np.random.default_rng(0)
    for i, slope in enumerate(gradient):
        way = rng.normal(size=slope.shape) * 1e-5 * np.abs(arguments[i])
        ahead, behind = (
            score(*arguments[:i], arguments[i] + sign * way, *arguments[i + 1 :])
            for sign in (1, -1)
        )
        expected = float((slope * way).sum())
        assert float(ahead - behind) / 2 == pytest.approx(expected, rel=1e-6)


def test_k_and_x_are_found_again_from_the_flow_at_the_mouth():
    down = np.array([1, 2, 3, -1])
    lateral = np.zeros((40, 4))
    lateral[2:5, 0] = 30.0

    def mouth(parameters):
        k, x = jnp.exp(parameters[0]), 0.5 * jax.nn.sigmoid(parameters[1])
        spread = jnp.ones(4)
        _, mean = simulate_muskingum(
            k * spread, x * spread, down, jnp.zeros(4), lateral, STEP, STEPS
        )
        return mean[:, -1]

    true = jnp.array([jnp.log(6000.0), -0.4])
    observed = mouth(true)
    miss = jax.jit(lambda p: mouth(p) - observed)
    slope = jax.jit(jax.jacrev(miss))
    guess = jnp.array([jnp.log(4000.0), 0.6])
    for _ in range(12):
        change = jnp.linalg.lstsq(slope(guess), miss(guess))[0]
        guess = guess - jnp.clip(change, -0.3, 0.3)
    np.testing.assert_allclose(guess, true, rtol=1e-8)
