"""Derivatives through floods, backwater and drying: those that differences show."""

from dataclasses import replace

import numpy as np
import pytest

from tilth.core.accelerate import jax
from tilth.rivers.routing.arrays import State, empty_state
from tilth.rivers.routing.equations import simulate, substeps_of
from tilth.rivers.routing.equations_shape import SHAPE, reshaped
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.settings import Settings

SECONDS, INTERVALS, N = 10800.0, 16, 14


class Case:
    """A run as a function of all that is a real number, and a weighted sum of it."""

    def __init__(self, network, settings):
        geometry = geometry_of(network, settings)
        rng = np.random.default_rng(1)
        bank = geometry.layer_storage[:, 0]
        empty = empty_state(geometry)
        # Two storms on half-full rivers, then nothing: floods that rise and dry out.
        runoff = rng.exponential(400.0, (INTERVALS, N))
        runoff *= np.isin(np.arange(INTERVALS), (0, 1, 2, 7))[:, None]
        sea = np.full((INTERVALS, 1, int((geometry.downstream < 0).sum())), 1.0)
        begun = empty._replace(storage=bank * rng.uniform(0.1, 1.4, N))
        warm = substeps_of(geometry, begun, runoff, SECONDS, settings)
        # Begun anew after three hours, so that every number of the state counts.
        begun, _ = simulate(geometry, begun, runoff[:1], warm[:1], SECONDS, settings)
        self.state = State(*(np.array(values) for values in begun))
        self.geometry, self.settings, self.runoff = geometry, settings, runoff
        self.steps = substeps_of(geometry, self.state, runoff, SECONDS, settings)
        self.shape = {name: np.array(getattr(geometry, name)) for name in SHAPE}
        self.arguments = (self.shape, self.state, runoff, sea)
        self.run = jax.jit(self._run)
        self.score = jax.jit(self._score)
        self.gradient = jax.jit(jax.grad(self._score, argnums=(0, 1, 2, 3)))

    def _run(self, shape, state, runoff, sea):
        end, means = simulate(
            reshaped(self.geometry, self.settings, **shape), state, runoff,
            self.steps, SECONDS, self.settings, sea_level=sea, block=1,
        )  # fmt: skip
        through = means.river + means.floodplain
        return through, means.path, end.storage

    def _score(self, shape, state, runoff, sea, weights):
        found = self._run(shape, state, runoff, sea)
        return sum((w * x).sum() for w, x in zip(weights, found, strict=True))


def _case(made_up_rivers, flow, paths):
    network = made_up_rivers(N, basins=2, seed=6, paths=paths).sorted()
    return Case(network, Settings(flow=flow, time_step=SECONDS, steps_by="globe"))


@pytest.fixture(scope="module")
def inertial(made_up_rivers):
    return _case(made_up_rivers, "inertial", 2)


@pytest.fixture(scope="module")
def kinematic(made_up_rivers):
    return _case(made_up_rivers, "kinematic", 0)


def assert_differences(case, names, tolerance):
    """Raise unless derivatives along a random way are those of central differences."""
    rng = np.random.default_rng(2)
    weights = (
        rng.normal(size=(INTERVALS, N)),
        rng.normal(size=(INTERVALS, N)),
        1e-5 * rng.normal(size=N),
    )
    gradient = case.gradient(*case.arguments, weights)
    leaves, tree = jax.tree.flatten_with_path(case.arguments)
    slopes = jax.tree.leaves(gradient)
    checked = set()
    for i, ((path, values), slope) in enumerate(zip(leaves, slopes, strict=True)):
        assert np.isfinite(slope).all(), path
        name = jax.tree_util.keystr(path)
        if not any(part in name for part in names):
            continue
        assert np.any(slope), f"{name} does not matter in this case"
        way = rng.normal(size=np.shape(values)) * np.abs(values)
        gaps = []
        for size in (1e-5, 1e-6, 1e-7):  # one of them crosses no kink of the limits
            ends = []
            for sign in (1, -1):
                moved = [x for _, x in leaves]
                moved[i] = values + sign * size * way
                ends.append(float(case.score(*tree.unflatten(moved), weights)))
            expected = float((slope * way).sum())
            gaps.append(abs((ends[0] - ends[1]) / (2 * size) / expected - 1))
        assert min(gaps) < tolerance, (name, gaps)
        checked.add(name)
    assert len(checked) == len(names)


def test_inertial_derivatives_are_those_of_differences(inertial):
    through, path, _ = inertial.run(*inertial.arguments)
    assert (through < 0).any()  # backwater
    assert np.any(path)
    shape = [f"['{name}']" for name in SHAPE]
    state = [f".{name}" for name in State._fields if name != "groundwater"]
    assert_differences(inertial, [*shape, *state, "[2]", "[3]"], 1e-5)


def test_kinematic_derivatives_are_those_of_differences(kinematic):
    shape = [f"['{name}']" for name in SHAPE]
    assert_differences(kinematic, [*shape, ".storage", "[2]"], 1e-5)


def test_every_drop_of_runoff_ends_in_storage_or_outflow(inertial):
    last = inertial.geometry.downstream < 0
    weights = (
        np.broadcast_to(SECONDS * last, (INTERVALS, N)),
        np.zeros((INTERVALS, N)),
        np.ones(N),
    )
    shape, state, runoff, sea = inertial.gradient(*inertial.arguments, weights)
    np.testing.assert_allclose(runoff, SECONDS, rtol=1e-9)
    np.testing.assert_allclose(state.storage, 1.0, rtol=1e-9)
    total = float(inertial.score(*inertial.arguments, weights))
    for values, slope in zip(
        jax.tree.leaves((inertial.shape, inertial.arguments[3])),
        jax.tree.leaves((shape, sea)),
        strict=True,
    ):
        assert np.abs(values * slope).max() < 1e-9 * total


def test_derivatives_are_finite_where_there_is_no_water_and_on_every_edge(inertial):
    shape, state, runoff, sea = inertial.arguments
    rng = np.random.default_rng(4)
    weights = (np.ones((INTERVALS, N)), np.ones((INTERVALS, N)), np.ones(N))
    held = inertial.geometry.layer_storage
    flat = dict(shape, layer_height=np.repeat(shape["layer_height"][:, :1], 11, 1))
    starts = [
        (shape, np.zeros(N), 0.0 * runoff),
        (shape, held[:, 0], 0.0 * runoff),
        (shape, held[np.arange(N), rng.integers(0, 11, N)], runoff),
        (shape, np.full(N, 1e-200), runoff),
        (flat, 2.0 * held[:, 0], runoff),
    ]
    still = State(*(np.zeros_like(values) for values in state))
    for form, storage, rain in starts:
        begun = still._replace(storage=storage)
        found = inertial.gradient(form, begun, rain, sea, weights)
        for path, slope in jax.tree.leaves_with_path(found):
            assert np.isfinite(slope).all(), jax.tree_util.keystr(path)


def test_roughness_is_found_again_from_the_flow_at_one_gauge(kinematic):
    shape, *rest = kinematic.arguments
    gauge = int(np.argmax(kinematic.run(*kinematic.arguments)[0].sum(axis=0)))

    def flow(manning):
        rough = dict(shape, manning=np.full(N, manning))
        return rough, np.asarray(kinematic.run(rough, *rest)[0])[:, gauge]

    _, observed = flow(0.045)

    def slope(manning):
        rough, found = flow(manning)
        weights = np.zeros((INTERVALS, N))
        weights[:, gauge] = 2 * (found - observed)
        given = (weights, np.zeros((INTERVALS, N)), np.zeros(N))
        return float(kinematic.gradient(rough, *rest, given)[0]["manning"].sum())

    before, guess = 0.04, 0.041
    was = slope(before)
    for _ in range(8):
        now = slope(guess)
        if now == was:
            break
        before, guess, was = guess, guess - now * (guess - before) / (now - was), now
    assert guess == pytest.approx(0.045, rel=1e-7)


def test_memory_of_a_derivative_grows_as_the_root_of_the_intervals(kinematic):
    settings = replace(kinematic.settings, floodplain_flow=False)
    count = 10_000

    def memory(block):
        def held(storage, runoff):
            begun = kinematic.state._replace(storage=storage)
            steps = np.full(count, 3)
            end, _ = simulate(
                kinematic.geometry, begun, runoff, steps, SECONDS, settings, block=block
            )
            return end.storage.sum()

        given = (kinematic.state.storage, np.ones((count, N)))
        program = jax.jit(jax.grad(held)).lower(*given).compile()
        return program.memory_analysis().temp_size_in_bytes

    storages = 8 * N * count  # of the state, all that a kinematic wave needs
    every, root = memory(1), memory(None)
    assert every > storages
    assert root < storages / 5
