"""The compiled kernel: the same days as in JAX, fast, and the same on any machine."""

import numpy as np
import pytest

from tilth.core.accelerate import jax
from tilth.land.emulator import kernel
from tilth.land.emulator.equations import Forcing, State, simulate
from tilth.land.emulator.kernel_math import FAST, exponential, power
from tilth.land.emulator.variants import VARIANTS

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
        assert np.abs(grown / np.exp(z.astype(np.longdouble)) - 1).max() < 1.5 * np.finfo(kind).eps
        assert exponential(1.0) == pytest.approx(np.e)
        assert power(2.0, 0.5) == pytest.approx(np.sqrt(2))


@pytest.mark.realdata
@pytest.mark.parametrize("name", VARIANTS)
def test_forty_years_agree_with_jax_to_rounding(name, vic, random_parameters):
    weather, month = vic
    variant = VARIANTS[name]
    # Eight sets of parameters anywhere in their bounds for each of the nine cells.
    weather = Forcing(*(np.tile(field, 8) for field in weather))
    parameters = random_parameters(72, variant.closed)
    share = np.linspace(0.02, 0.98, 72)
    start = np.stack([np.full(72, 120.0), np.full(72, 5.0), np.zeros(72), np.zeros(72)])
    theirs, last = by_jax(weather, month, parameters, share, start, variant)
    done = kernel.simulate(
        weather, month, parameters, share, 0.0, start, variant, evaporation=True
    )
    for ours, other in zip(rows_of(done), theirs, strict=True):
        assert distance(ours, other) < TOLERANCE[name]
    assert distance(done.state, last) < TOLERANCE[name]


TOLERANCE = {"published": 1e-9, "smooth": 1e-9, "implicit": 1e-9, "closed": 1e-9}
