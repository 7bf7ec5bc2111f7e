"""What holds of every run: water is kept, restarts and parts change no bit."""

import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.rivers.routing.arrays import (
    State,
    empty_ledger,
    empty_state,
    empty_totals,
    filled_state,
    forcing_of,
)
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.kernel import _advance, advance
from tilth.rivers.routing.kernel_edition import edition_of
from tilth.rivers.routing.levees import Levees
from tilth.rivers.routing.reservoirs import Reservoirs
from tilth.rivers.routing.settings import Settings


def _random_network(draw_network, rng, n):
    """Return a forest of n catchments in order, with paths, thin and flat land."""
    downstream = np.full(n, -1)
    for i in range(n - 1):
        if rng.random() < 0.85:
            downstream[i] = rng.integers(i + 1, n)
        elif rng.random() < 0.3:
            downstream[i] = -2
    count = int(rng.integers(0, 4)) if n > 1 else 0
    ends = np.array([rng.choice(n, 2, replace=False) for _ in range(count)])
    elevation = rng.uniform(20.0, 60.0, n)
    paths = None
    if count:
        bed = np.maximum(*elevation[ends.T])
        paths = (
            ends[:, 0],
            ends[:, 1],
            rng.uniform(1e3, 2e4, count),
            rng.uniform(1.0, 500.0, (count, 2)) * [[1.0, rng.integers(0, 2)]],
            np.stack([bed - 3.0, bed + 1.0], axis=1),
        )
    steps = rng.choice([0.0, 0.1, 1.0, 20.0], (n, 5))
    return draw_network(
        downstream,
        area=10.0 ** rng.uniform(6.0, 9.0, n),
        river_length=10.0 ** rng.uniform(3.0, 4.5, n),
        river_width=10.0 ** rng.uniform(0.5, 3.0, n),
        river_depth=rng.uniform(0.1, 10.0, n),
        downstream_distance=10.0 ** rng.uniform(3.0, 4.5, n),
        elevation=elevation,
        profile=np.cumsum(steps, axis=1),
        paths=paths,
    ).sorted()


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=60,
)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(1, 25),
    flow=st.sampled_from(["inertial", "inertial", "kinematic"]),
    time_step=st.sampled_from([600.0, 3600.0, 21600.0]),
    delay=st.sampled_from([0.0, 5e4]),
    tables=st.booleans(),
)
def test_no_storage_falls_below_zero_and_no_water_is_made_or_lost(
    draw_network, start_run, seed, n, flow, time_step, delay, tables
):
    rng = np.random.default_rng(seed)
    network = _random_network(draw_network, rng, n)
    built = {}
    if tables:
        built = {
            "reservoirs": Reservoirs([0], 1e8, normal_flow=20.0, flood_flow=90.0),
            "levees": Levees([n - 1], share=0.3, crown=2.0),
        }
    run = start_run(
        network, flow=flow, time_step=time_step, groundwater_delay=delay, **built
    )
    terminals = (run.geometry.downstream < 0).sum()
    for day in range(12):
        raining = day < 6
        rain = rng.gamma(0.3, 2000.0, n) * raining
        sea = rng.uniform(-5.0, 5.0) * np.sin(np.arange(24.0))[:, None]
        run.advance(
            rain,
            86400.0,
            base_runoff=0.3 * rain,
            evaporation=rng.uniform(0.0, 1e-6, n),
            infiltration=rng.uniform(0.0, 1e-6, n),
            sea_level=np.broadcast_to(sea, (24, terminals)),
        )
        book = run.ledger
        assert book.residual.max() < 1e-12
        assert book.clipped.sum() <= 1e-12 * (book.before + book.runoff).sum()
        assert (book.shortfall == 0.0).all()
        assert run.balance < 1e-12
        held = run.state.storage.sum() + run.state.groundwater.sum()
        assert book.after.sum() == pytest.approx(held, rel=1e-12)
        assert run.totals.path.sum() == pytest.approx(
            0.0, abs=1e-9 * (1.0 + np.abs(run.totals.path).max())
        )
        for name in ("evaporation", "infiltration"):
            taken = getattr(run.totals, name)
            assert (taken >= 0.0).all()
            assert taken.sum() * 86400.0 == pytest.approx(
                getattr(book, name).sum(), rel=1e-9, abs=1e-9
            )
        out = (run.totals.river + run.totals.floodplain)[run.geometry.downstream < 0]
        assert out.sum() * 86400.0 == pytest.approx(
            book.outflow.sum(), rel=1e-6, abs=1e-9 * (1.0 + np.abs(out).max() * 86400)
        )


@pytest.fixture
def delta(draw_network):
    """Return a network of several basins, some joined by paths."""
    return _random_network(draw_network, np.random.default_rng(27), 40)


def _copy(state):
    return State(*(values.copy() for values in state))


def _same(one, other):
    for name, values in one._asdict().items():
        np.testing.assert_array_equal(values, getattr(other, name), err_msg=name)


@pytest.mark.parametrize("flow", ["inertial", "kinematic"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(
    delta, start_run, draw_network, flow
):
    rain = np.random.default_rng(1).gamma(0.5, 400.0, (6, 40))
    tables = {
        "reservoirs": Reservoirs([5], 1e8, normal_flow=20.0, flood_flow=90.0),
        "levees": Levees([3, 30], share=0.3, crown=2.0),
    }
    whole = start_run(delta, flow=flow, groundwater_delay=1e5, **tables)
    for day in range(3):
        whole.advance(rain[day], 86400.0, base_runoff=rain[day])
    again = start_run(delta, flow=flow, groundwater_delay=1e5, **tables)
    again.state = _copy(whole.state)
    for day in range(3, 6):
        one = whole.advance(rain[day], 86400.0, base_runoff=rain[day])
        two = again.advance(rain[day], 86400.0, base_runoff=rain[day])
        _same(one, two)
        _same(whole.ledger, again.ledger)
    _same(whole.state, again.state)


def test_one_long_interval_is_many_short_ones_to_the_bit(draw_network, start_run):
    # Beds just below sea level: their last digits are finer than those of the depth.
    rng = np.random.default_rng(6)
    network = draw_network(
        [*range(1, 30), -1],
        elevation=0.5 - np.sort(rng.uniform(1e-3, 3e-3, 30)),
        river_depth=0.5,
        river_length=rng.uniform(5e3, 2e4, 30),
    )
    one, many = start_run(network), start_run(network)
    one.fill_to(3.9995)
    many.fill_to(3.9995)
    rain = rng.gamma(0.5, 0.1, 30)
    one.advance(rain, 48 * 3600.0, sea_level=np.array([3.5]))
    for _ in range(48):
        many.advance(rain, 3600.0, sea_level=np.array([3.5]))
    _same(one.state, many.state)


def test_components_side_by_side_and_alone_are_the_same_bits(delta, start_run):
    rain = np.random.default_rng(2).gamma(0.5, 400.0, 40)
    run = start_run(delta)
    run.advance(rain, 86400.0)
    geometry, chosen = run.geometry, run.settings
    count = geometry.first.size - 1
    assert count >= 4
    state, totals = empty_state(geometry), empty_totals(geometry)
    ledger = empty_ledger(geometry, 86400.0, chosen)
    threads = [
        threading.Thread(
            target=advance,
            args=(
                geometry,
                state,
                forcing_of(geometry, rain),
                86400.0,
                chosen,
                totals,
                ledger,
            ),
            kwargs={"components": (c, c + 1)},
        )
        for c in range(count)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _same(state, run.state)
    _same(totals, run.totals)
    _same(ledger, run.ledger)
    for c in range(count):
        part = slice(geometry.first[c], geometry.first[c + 1])
        alone = start_run(delta.subset(np.arange(40)[part]))
        alone.advance(rain[part], 86400.0)
        np.testing.assert_array_equal(alone.state.storage, state.storage[part])


def test_one_number_of_sub_steps_for_all_is_the_largest_of_the_basins(delta, start_run):
    rain = np.random.default_rng(4).gamma(0.5, 4000.0, 40)
    own, one = start_run(delta), start_run(delta, steps_by="globe")
    own.advance(rain, 86400.0)
    one.advance(rain, 86400.0)
    assert one.ledger.substeps.shape == (1, 24)
    assert own.ledger.substeps.shape[0] > 3
    largest = own.ledger.substeps.max(axis=0)
    assert (np.abs(one.ledger.substeps[0] - largest) <= 1).all()
    assert own.ledger.substeps.min() < largest.max()


def test_sub_steps_are_as_many_as_the_courant_number_asks(draw_network, start_run):
    # 0.7 * 1000 m / sqrt(9.8 * 4.9 m) = 101.02 s: int(3600 / 101.02 - 0.01) + 1 = 36.
    run = start_run(draw_network([1, -1], downstream_distance=1000.0))
    run.fill_to(run.geometry.bed + 4.9)
    run.advance(0.0, 3600.0)
    assert run.ledger.substeps.tolist() == [[36]]


def test_the_number_of_sub_steps_can_be_given(draw_network, start_run):
    run = start_run(draw_network([1, -1]))
    run.advance(5.0, 7200.0, substeps=np.array([3, 7]))
    assert run.ledger.substeps.tolist() == [[3, 7]]
    for wrong in ([3], [3, 0], [1, 2, 3]):
        with pytest.raises(InputError, match="2 numbers above zero"):
            run.advance(5.0, 7200.0, substeps=np.array(wrong))


def test_evaporation_and_infiltration_take_no_more_than_the_floodplain_holds(
    draw_network, start_run
):
    run = start_run(draw_network([-1]), floodplain_flow=False)
    run.state.storage[:] = 0.9 * run.geometry.layer_storage[0, 0]
    run.advance(0.0, evaporation=1e-3, infiltration=1e-3, sea_level=np.array([-0.5]))
    assert run.ledger.evaporation[0] == run.ledger.infiltration[0] == 0.0
    level = run.geometry.bed + 5.0 + 1.0
    run.fill_to(level)
    flooded = run.stages.flood_storage[0]
    run.advance(
        0.0, 600.0, evaporation=1e-7, infiltration=3e-7, sea_level=np.array([1.0])
    )
    # A tenth of the catchment is flooded when the water stands 1 m over the bank.
    assert run.ledger.evaporation[0] == pytest.approx(1e-7 * 1e7 * 600.0, rel=1e-9)
    assert run.ledger.infiltration[0] == pytest.approx(3e-7 * 1e7 * 600.0, rel=1e-9)
    run.fill_to(level)
    run.advance(0.0, 600.0, evaporation=1.0, substeps=[1], sea_level=np.array([1.0]))
    assert run.ledger.evaporation[0] == pytest.approx(flooded, rel=1e-9)
    assert run.balance < 1e-14


def test_groundwater_delays_runoff_as_a_linear_store(draw_network, start_run):
    run = start_run(draw_network([-1]), groundwater_delay=86400.0)
    found = []
    for hour in range(240):
        run.advance(0.0, 3600.0, base_runoff=10.0 if hour == 0 else 0.0, substeps=[4])
        found.append(run.state.groundwater[0])
        assert run.ledger.residual[0] < 1e-13
    # Implicit steps of 900 s: each keeps 1 / (1 + 900 / 86400) of the store.
    keep = 1.0 / (1.0 + 900.0 / 86400.0)
    first = 9000.0 * keep * (1 + keep + keep**2 + keep**3)
    expected = first * keep ** (4.0 * np.arange(240))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_negative_runoff_takes_what_there_is_and_the_rest_is_a_shortfall(
    draw_network, start_run
):
    run = start_run(draw_network([-1]), flow="kinematic")
    run.state.storage[:] = 1000.0
    run.advance(-1.0, 3600.0, substeps=[1])
    assert run.state.storage[0] == 0.0
    book = run.ledger
    assert book.shortfall[0] == pytest.approx(3600.0 - (1000.0 - book.outflow[0]))
    assert book.runoff[0] == pytest.approx(-(1000.0 - book.outflow[0]))
    assert book.residual[0] < 1e-12


def test_the_sea_fills_channels_as_far_as_they_lie_below_it(draw_network):
    network = draw_network([1, 2, -1], elevation=[58.0, 52.0, 50.0])
    geometry = geometry_of(network, Settings())
    state = filled_state(geometry)
    np.testing.assert_allclose(state.river_depth, [0.0, 3.0, 5.0])
    np.testing.assert_allclose(state.storage, [0.0, 3e6, 5e6])
    low = filled_state(geometry, np.array([-4.0]))
    np.testing.assert_allclose(low.river_depth, [0.0, 0.0, 1.0])


def test_a_reservoir_releases_by_its_rule_and_pushes_nothing_back(
    draw_network, start_run
):
    network = draw_network([1, 2, -1], elevation=[60.0, 55.0, 50.0])
    dam = Reservoirs([1], 5e7, normal_flow=20.0, flood_flow=200.0)
    run = start_run(network, reservoirs=dam)
    run.state.storage[1] = 4.4e7
    assert run.stages.water_level[1] > run.stages.water_level[0]
    for _ in range(30):
        run.advance([50.0, 0.0, 0.0], 86400.0)
        assert run.totals.river[0] >= 0.0
        assert run.balance < 1e-13
    # Between the mean flow and a flood: what comes in leaves in the end.
    assert run.totals.river[0] == pytest.approx(50.0, rel=1e-6)
    assert run.totals.river[1] == pytest.approx(50.0, rel=0.02)
    assert run.state.storage[1] < 5e7


def test_arrays_that_do_not_belong_together_are_refused(draw_network):
    chosen = Settings()
    geometry = geometry_of(draw_network([2, 2, -1]), chosen)
    state, totals = empty_state(geometry), empty_totals(geometry)
    ledger = empty_ledger(geometry, 7200.0, chosen)
    forcing = forcing_of(geometry, np.zeros(3))
    with pytest.raises(InputError, match="room for"):
        advance(geometry, state, forcing, 3600.0, chosen, totals, ledger)
    with pytest.raises(InputError, match="components 0 to 2"):
        advance(
            geometry, state, forcing, 7200.0, chosen, totals, ledger, components=(0, 2)
        )
    with pytest.raises(InputError, match="length above zero"):
        advance(geometry, state, forcing, 0.0, chosen, totals, ledger)
    other = empty_state(geometry_of(draw_network([-1]), chosen))
    with pytest.raises(InputError, match="1 catchments"):
        advance(geometry, other, forcing, 7200.0, chosen, totals, ledger)
    fixed = State(*(values.copy() for values in state))
    fixed.storage.flags.writeable = False
    with pytest.raises(InputError, match="storage of the state"):
        advance(geometry, fixed, forcing, 7200.0, chosen, totals, ledger)
    with pytest.raises(InputError, match="1 terminals"):
        filled_state(geometry, np.zeros(3))
    with pytest.raises(InputError, match="runoff has the shape"):
        forcing_of(geometry, np.zeros(2))
    with pytest.raises(InputError, match="1 terminals"):
        forcing_of(geometry, np.zeros(3), sea_level=np.zeros(2))
    with pytest.raises(InputError, match=r"network\.sorted"):
        geometry_of(draw_network([-1, 0]), chosen)
    gap = ([0], [1], [1e3], [[5.0, 5.0]], [[3.0, np.nan]])
    with pytest.raises(InputError, match="path 0 has a gap"):
        geometry_of(draw_network([2, 2, -1], paths=gap), chosen)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("flow", "diffusive", "flow must be one of"),
        ("steps_by", "cell", "steps_by must be one of"),
        ("courant", 1.2, "at most 1"),
        ("time_step", 0.0, "above zero"),
        ("river_manning", float("nan"), "above zero"),
        ("groundwater_delay", -1.0, "zero or a time"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, value, text):
    with pytest.raises(InputError, match=text):
        Settings(**{name: value})


def test_an_interval_is_cut_into_equal_outer_steps_not_longer_than_asked():
    chosen = Settings(time_step=3600.0)
    assert chosen.outer_steps(86400.0) == 24
    assert chosen.outer_steps(5400.0) == 2
    assert chosen.outer_steps(60.0) == 1
    assert Settings(time_step=0.1).outer_steps(0.3) == 3


def test_compiled_code_is_told_apart_by_the_sources_it_was_made_of():
    whole = edition_of("fluxes", "stage")
    assert whole != edition_of("stage") != edition_of("fluxes")
    assert whole == edition_of("fluxes", "stage") < 2**60
    enclosed = [cell.cell_contents for cell in _advance.py_func.__closure__]
    called = ("fluxes", "kernel_paths", "kernel_roots", "kernel_step", "levees")
    assert enclosed == [edition_of(*called, "reservoirs", "stage")]
    with pytest.raises(InputError, match="no module water"):
        edition_of("water")
