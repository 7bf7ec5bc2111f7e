"""The router in JAX does what the compiled kernel does, sub-step by sub-step."""

import numpy as np
import pytest

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_runs import read_cama_output
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing.arrays import (
    LeveeRows,
    ReservoirRows,
    State,
    empty_ledger,
    empty_state,
    empty_totals,
    forcing_of,
)
from tilth.rivers.routing.equations import simulate, substeps_of
from tilth.rivers.routing.equations_shape import SHAPE, reshaped
from tilth.rivers.routing.equations_stage import inverse_cube_root, standing
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.kernel import advance
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.stage import stages

SECONDS = 21600.0
FIELDS = ("river", "floodplain", "path", "evaporation", "infiltration")


def by_kernel(geometry, state, runoff, settings, **forcing):
    """Run the kernel through all intervals; return its last state and its means."""
    now = State(*(values.copy() for values in state))
    totals = empty_totals(geometry)
    found = {name: [] for name in (*FIELDS, "storage")}
    for t, row in enumerate(runoff):
        given = forcing_of(geometry, row, **{k: v[t] for k, v in forcing.items()})
        ledger = empty_ledger(geometry, SECONDS, settings)
        advance(geometry, now, given, SECONDS, settings, totals, ledger)
        for name in FIELDS:
            found[name].append(getattr(totals, name).copy())
        found["storage"].append(now.storage.copy())
    return now, {name: np.array(values) for name, values in found.items()}


def assert_alike(done, expected, tolerance):
    """Raise unless runs agree, relative to the largest of each quantity."""
    (end, means), (now, found) = done, expected
    for name, values in found.items():
        scale = np.abs(values).max(initial=0.0)
        np.testing.assert_allclose(
            getattr(means, name), values, rtol=0, atol=tolerance * scale, err_msg=name
        )
    for name, one, two in zip(State._fields, end, now, strict=True):
        scale = np.abs(two).max(initial=0.0)
        np.testing.assert_allclose(
            one, two, rtol=0, atol=tolerance * scale, err_msg=name
        )


def half_full(geometry, seed):
    rng = np.random.default_rng(seed)
    bank = geometry.layer_storage[:, 0]
    return empty_state(geometry)._replace(storage=bank * rng.uniform(0, 1.6, bank.size))


def storms(n, intervals, seed):
    rng = np.random.default_rng(seed)
    falls = rng.random((intervals, 1)) < 0.5
    return rng.exponential(60.0, (intervals, n)) * falls


def test_all_that_can_act_on_water_acts_as_in_the_kernel(made_up_rivers):
    network = made_up_rivers(60, basins=4, seed=3, paths=5).sorted()
    settings = Settings(time_step=7200.0, groundwater_delay=1e5)
    geometry = geometry_of(network, settings)
    assert geometry.paths.start.size == 5
    assert geometry.first.size > 2  # components with sub-steps of their own
    state, runoff = half_full(geometry, 1), storms(60, 12, 2)
    state = state._replace(groundwater=np.full(60, 1e5))
    terminals = int((geometry.downstream < 0).sum())
    tide = 2.0 * np.sin(0.7 * np.arange(36)).reshape(12, 3, 1)
    forcing = {
        "base_runoff": 0.3 * runoff,
        "evaporation": np.full(runoff.shape, 2e-7),
        "infiltration": np.linspace(0, 3e-7, 12)[:, None] * np.ones(60),
        "sea_level": tide * np.ones(terminals),
    }
    expected = by_kernel(geometry, state, runoff, settings, **forcing)
    for name in FIELDS:
        assert expected[1][name].any(), name
    assert (expected[1]["river"] < 0).any()
    steps = substeps_of(geometry, state, runoff, SECONDS, settings, **forcing)
    assert steps.shape == (12, geometry.first.size - 1, 3)
    assert steps.min() < steps.max()

    @jax.jit
    def run(geometry, state, runoff, forcing):
        return simulate(geometry, state, runoff, steps, SECONDS, settings, **forcing)

    assert_alike(run(geometry, state, runoff, forcing), expected, 1e-11)


def test_the_kinematic_wave_is_the_kernels(made_up_rivers):
    network = made_up_rivers(30, basins=2, seed=4, paths=0).sorted()
    settings = Settings(flow="kinematic", time_step=7200.0, steps_by="globe")
    geometry = geometry_of(network, settings)
    state, runoff = half_full(geometry, 5), storms(30, 10, 6)
    steps = substeps_of(geometry, state, runoff, SECONDS, settings)
    done = simulate(geometry, state, runoff, steps, SECONDS, settings)
    expected = by_kernel(geometry, state, runoff, settings)
    assert expected[1]["floodplain"].any()
    assert_alike(done, expected, 1e-11)


@pytest.mark.realdata
def test_a_storm_week_in_mozambique_is_the_kernels(dataset):
    folder = dataset("cama-mozambique")
    network = read_cama_map(folder / "map_moz_06min.nc")
    output = read_cama_output(folder / "cama_base_daily2019.nc", network, ["runoff"])
    network = network.sorted()
    runoff = output["runoff"].sel(catchment=network.ids).values.astype(float)[68:75]
    runoff = np.repeat(runoff, 4, axis=0)
    settings = Settings()
    geometry = geometry_of(network, settings)
    state = half_full(geometry, 0)
    steps = substeps_of(geometry, state, runoff, SECONDS, settings)
    done = simulate(geometry, state, runoff, steps, SECONDS, settings)
    expected = by_kernel(geometry, state, runoff, settings)
    assert expected[1]["river"].max() > 5000.0
    assert_alike(done, expected, 1e-11)
    flow = expected[1]["river"] + expected[1]["floodplain"]
    np.testing.assert_allclose(
        done[1].river + done[1].floodplain, flow, rtol=1e-7, atol=1e-4
    )


@pytest.fixture(scope="module")
def small(made_up_rivers):
    """Return a small case: geometry, state, runoff, sub-steps and settings."""
    network = made_up_rivers(12, basins=1, seed=2, paths=0).sorted()
    settings = Settings(time_step=SECONDS, steps_by="globe")
    geometry = geometry_of(network, settings)
    state, runoff = half_full(geometry, 8), storms(12, 10, 9)
    steps = substeps_of(geometry, state, runoff, SECONDS, settings)
    return network, geometry, state, runoff, steps, settings


@pytest.fixture(scope="module")
def small_run(small):
    """Return the last state and the means of the small case."""
    _, geometry, state, runoff, steps, settings = small
    return simulate(geometry, state, runoff, steps, SECONDS, settings, block=1)


def test_blocks_and_idle_sub_steps_change_nothing(small, small_run):
    _, geometry, state, runoff, steps, settings = small
    flat = steps[:, 0, 0]
    more = {"block": 4, "most": int(flat.max()) + 2}  # 10 intervals: 2 are filled up
    two = simulate(geometry, state, runoff, flat, SECONDS, settings, **more)
    for a, b in zip(jax.tree.leaves(small_run), jax.tree.leaves(two), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


def test_water_is_kept(small, small_run):
    _, geometry, state, runoff, *_ = small
    end, means = small_run
    last = geometry.downstream < 0
    left = (means.river + means.floodplain)[:, last].sum() * SECONDS
    gained = end.storage.sum() - state.storage.sum()
    entered = runoff.sum() * SECONDS
    assert float(gained + left) == pytest.approx(entered, rel=1e-12)
    np.testing.assert_array_equal(means.storage[-1], end.storage)


def test_water_stands_as_in_the_kernel_also_on_edges_and_flat_layers(small):
    _, geometry, *_ = small
    flat = geometry.layer_height.copy()
    flat[:, 3] = flat[:, 2]
    flat[::2, 1] = 0.0
    settings = Settings()
    uneven = reshaped(geometry, settings, layer_height=flat)
    uneven = jax.tree.map(np.array, uneven)
    for column in range(flat.shape[1]):
        for factor in (0.0, 0.5, 1.0, 1.0 + 1e-12, 1.3):
            storage = uneven.layer_storage[:, column] * factor
            found, expected = standing(storage, uneven), stages(uneven, storage)
            for name in found._fields:
                one, two = getattr(found, name), getattr(expected, name)
                scale = max(np.abs(two).max(), 1e-9)
                np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-12 * scale)


def test_a_reshaped_geometry_is_that_of_the_reshaped_network(small):
    network, geometry, *_, settings = small
    same = reshaped(geometry, settings, **{k: getattr(geometry, k) for k in SHAPE})
    for one, two in zip(jax.tree.leaves(same), jax.tree.leaves(geometry), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-15)
    data = network.data
    wider = data.assign(
        river_width=1.5 * data["river_width"].assign_attrs(units="m"),
        river_depth=0.8 * data["river_depth"],
        elevation=data["elevation"] + np.linspace(3, 0, network.size),
    )
    for name, units in (("river_width", "m"), ("river_depth", "m"), ("elevation", "m")):
        wider[name].attrs["units"] = units
    expected = geometry_of(RiverNetwork(wider), settings)
    changed = {name: getattr(expected, name) for name in ("width", "depth")}
    found = reshaped(geometry, settings, elevation=expected.elevation, **changed)
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-14)


def test_the_inverse_cube_root_and_its_slope_are_exact_to_the_last_digits():
    x = jnp.asarray(np.geomspace(1e-12, 1e12, 2001))
    np.testing.assert_allclose(inverse_cube_root(x), np.asarray(x) ** (-1 / 3), 2e-15)
    slope = jax.vmap(jax.grad(inverse_cube_root))(x)
    np.testing.assert_allclose(slope, -(np.asarray(x) ** (-4 / 3)) / 3, 4e-15)


def test_what_the_equations_do_not_know_is_refused(small):
    _, geometry, state, runoff, steps, settings = small
    rest = (state, runoff, steps, SECONDS, settings)
    row = np.zeros(12, np.int64)
    dammed = geometry._replace(reservoirs=ReservoirRows(row, *(np.ones(1),) * 4))
    with pytest.raises(InputError, match="knows no reservoirs"):
        simulate(dammed, *rest)
    walled = geometry._replace(levees=LeveeRows(row, *(np.ones(1),) * 6))
    with pytest.raises(InputError, match="knows no levees"):
        simulate(walled, *rest)
    with pytest.raises(InputError, match="depth_of_bank is not among"):
        reshaped(geometry, settings, depth_of_bank=geometry.depth)
    with pytest.raises(InputError, match="width has the shape \\(3,\\)"):
        reshaped(geometry, settings, width=np.ones(3))


def test_arrays_that_do_not_fit_are_refused(small):
    _, geometry, state, runoff, steps, settings = small

    def refused(match, runoff=runoff, steps=steps, **options):
        with pytest.raises(InputError, match=match):
            simulate(geometry, state, runoff, steps, SECONDS, settings, **options)

    refused("interval, 12 catchments\\), got \\(10, 11\\)", runoff=runoff[:, 1:])
    refused("got \\(0, 12\\)", runoff=runoff[:0])
    refused("evaporation has the shape \\(12,\\)", evaporation=np.zeros(12))
    refused("10 intervals, piece, terminal", sea_level=np.zeros((9, 1, 1)))
    refused("10 intervals, 1 components, outer", steps=steps[1:])
    refused("from 1 to any number, got 0", steps=np.zeros(10, int))
    refused("from 1 to 2, got", most=2, steps=np.full(10, 3))
    with pytest.raises(InputError, match="interval, catchment"):
        substeps_of(geometry, state, runoff[0], SECONDS, settings)
    compiled = jax.jit(
        lambda steps: simulate(geometry, state, runoff, steps, SECONDS, settings)
    )
    with pytest.raises(InputError, match="give most"):
        compiled(steps)
