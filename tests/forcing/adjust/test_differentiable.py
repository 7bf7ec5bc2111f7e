"""Differentiable QDM: the numbers of the compiled one, and gradients that are right."""

import numpy as np
import pytest
import xarray as xr

pytest.importorskip("jax")

from jax.test_util import check_grads

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.forcing.adjust.delta import QDM
from tilth.forcing.adjust.differentiable import (
    apply_nodes,
    node_quantiles,
    quantile_delta,
    ranks,
)


def series(values, units):
    days = xr.date_range("1981-01-01", periods=values.shape[-1])
    return xr.DataArray(
        values, {"time": days}, ("place", "time"), attrs={"units": units}
    )


def compiled(kind, units, *samples):
    observed, modelled, target = (series(x, units) for x in samples)
    return QDM(kind=kind).fit(observed, modelled).apply(target).values


def samples(kind, seed=0, n=200):
    draws = np.random.default_rng(seed)
    normal = [draws.standard_normal((2, n + extra)) for extra in (0, 40, 80)]
    if kind == "+":
        return [10.0 + k + (1.0 + k / 3.0) * x for k, x in enumerate(normal)]
    return [np.exp(x + k / 3.0) for k, x in enumerate(normal)]


@pytest.mark.parametrize(("kind", "units"), [("+", "degC"), ("*", "mm day-1")])
def test_it_agrees_with_the_compiled_mapping_to_rounding(kind, units):
    given = samples(kind)
    np.testing.assert_allclose(
        quantile_delta(*given, kind=kind), compiled(kind, units, *given), rtol=1e-12
    )


def test_it_agrees_where_days_are_dry_and_equal():
    given = [np.where(x < 1.2, 0.0, x.round(1)) for x in samples("*")]
    given[1][1] = np.where(given[1][1] < 4.0, 0.0, given[1][1])
    expected = compiled("*", "mm day-1", *given)
    np.testing.assert_allclose(quantile_delta(*given, kind="*"), expected, rtol=1e-12)
    assert (expected == 0.0).any()


@pytest.mark.realdata
@pytest.mark.parametrize(("name", "kind"), [("tasmax", "+"), ("pr", "*")])
def test_it_agrees_on_a_century_of_a_climate_model(dataset, name, kind):
    folder = dataset("ahccd-canesm2")
    with xr.open_dataset(folder / "CanESM2_1950-2100.nc", engine="h5netcdf") as data:
        model = data[name].transpose("location", "time").load()
    with xr.open_dataset(folder / "ahccd_1950-2013.nc", engine="h5netcdf") as data:
        seen = data[name].transpose("location", "time").load()
    model = model - 273.15 if kind == "+" else model * 86400.0
    units = "degC" if kind == "+" else "mm day-1"
    train, far = slice("1950", "1981"), slice("2069", "2100")
    # The gaps of either place are left out at both.
    gaps = seen.sel(time=train).isnull().any("location").values
    given = [
        seen.sel(time=train).values[:, ~gaps],
        model.sel(time=train).values,
        model.sel(time=far).values,
    ]
    given = [x.astype(float) for x in given]
    found = quantile_delta(*given, kind=kind)
    np.testing.assert_allclose(found, compiled(kind, units, *given), atol=1e-5)


@pytest.mark.parametrize("kind", ["+", "*"])
@pytest.mark.parametrize("temperature", [None, 0.3])
def test_gradients_are_those_of_finite_differences(kind, temperature):
    given = [x[:, :30] for x in samples(kind, seed=3)]

    @jax.jit
    def loss(observed, modelled, target):
        found = quantile_delta(
            observed, modelled, target, kind, 10, temperature=temperature
        )
        return (found**2).mean()

    check_grads(loss, given, order=1, modes=["rev"], atol=1e-5, rtol=1e-5, eps=1e-6)


def test_a_difference_moves_with_its_value_and_with_the_observed_mean():
    given = samples("+")
    total = jax.jit(jax.grad(lambda *x: quantile_delta(*x).sum(), argnums=(0, 1, 2)))
    observed, modelled, target = total(*map(jnp.asarray, given))
    np.testing.assert_allclose(target, 1.0)
    # All observations one warmer: every adjusted value is one warmer.
    n = given[2].shape[-1]
    np.testing.assert_allclose(observed.sum(axis=-1), n)
    np.testing.assert_allclose(modelled.sum(axis=-1), -n)


def test_a_dry_model_has_gradients_that_are_numbers():
    given = [x[:, :40] for x in samples("*")]
    given[1][:] = 0.0
    given[2][:, ::2] = 0.0
    total = jax.grad(lambda *x: quantile_delta(*x, kind="*").sum(), argnums=(0, 1, 2))
    found = jax.jit(total)(*map(jnp.asarray, given))
    assert all(np.isfinite(g).all() for g in found)
    # The ratio is at its cap of 10 where the model has nothing.
    np.testing.assert_allclose(found[2][:, 1::2], 10.0)


def test_smooth_ranks_become_the_steps_as_the_temperature_falls():
    values = samples("+")[0]
    hard = ranks(values)
    # Thirty temperatures apart, two values are told apart to exp(-30).
    closest = np.diff(np.sort(values, axis=-1), axis=-1).min()
    errors = [
        np.abs(ranks(values, t) - hard).max() for t in (0.1, 0.01, closest / 30.0)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-12
    order = np.argsort(values, axis=-1)
    for t in (None, 0.1):
        rising = np.take_along_axis(np.asarray(ranks(values, t)), order, axis=-1)
        assert (np.diff(rising, axis=-1) > 0.0).all()
        assert rising[:, 0].tolist() == [0.0, 0.0]
        assert rising[:, -1].tolist() == [1.0, 1.0]


def test_only_smooth_ranks_have_a_gradient():
    values = jnp.asarray(samples("+")[0][0])
    weights = jnp.arange(values.size) / values.size
    assert not jax.grad(lambda x: (weights * ranks(x)).sum())(values).any()
    smooth = jax.grad(lambda x: (weights * ranks(x, 0.5)).sum())(values)
    assert (smooth != 0.0).all()
    # Ranks do not change when all values move together.
    assert abs(float(smooth.sum())) < 1e-12


def test_quantiles_can_be_trained_by_gradient_to_take_out_a_bias():
    draws = np.random.default_rng(5)
    modelled = jnp.asarray(draws.standard_normal(300))
    truth = 2.0 + 1.5 * modelled  # a series the adjusted one should be, day by day
    nodes = node_quantiles(modelled, 10)

    def loss(observed):
        return ((apply_nodes(modelled, observed, nodes) - truth) ** 2).mean()

    step = jax.jit(jax.value_and_grad(loss))
    learnt = nodes
    first = float(step(learnt)[0])
    for _ in range(400):
        learnt = learnt - 2.0 * step(learnt)[1]
    # What is left is in the tails, beyond the outermost of ten nodes.
    assert float(step(learnt)[0]) < 0.01 * first
    np.testing.assert_allclose(learnt[2:-2], 2.0 + 1.5 * nodes[2:-2], atol=0.1)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(InputError, match="at least 2, got 1"):
        node_quantiles(np.arange(3.0), 1)
    with pytest.raises(InputError, match="must be positive, got 0"):
        ranks(np.arange(3.0), 0.0)
    with pytest.raises(InputError, match="kind must be"):
        apply_nodes(np.arange(3.0), np.arange(3.0), np.arange(3.0), kind="x")
