"""The router: intervals of one's own, the same numbers as a run, bad input."""

import itertools
import threading

import numpy as np
import pytest

from tilth.core.errors import InputError, KernelError
from tilth.rivers.routing import router as module
from tilth.rivers.routing.output import LEDGER, VARIABLES
from tilth.rivers.routing.router import Router
from tilth.rivers.routing.runs import route


@pytest.fixture(scope="module")
def network(made_up_rivers):
    return made_up_rivers(200, 10)


def test_intervals_one_by_one_are_the_run(network, made_up_runoff):
    runoff = made_up_runoff(network, steps=4)
    result = route(network, runoff, output="step")
    router = Router(network)
    volume = runoff.values / 86400e3 * network.data["area"].values
    for step in range(4):
        interval = router.advance(volume[step], 6 * 3600.0)
        assert interval.means.keys() | interval.ends.keys() == set(VARIABLES)
        assert set(interval.ledger) == set(LEDGER)
        for name, values in (interval.means | interval.ends).items():
            # Runoff was multiplied in another order: the last bits may differ.
            np.testing.assert_allclose(
                values, result[name][step], rtol=1e-9, atol=1e-9, err_msg=name
            )
    np.testing.assert_allclose(router.arrays.storage, result["storage"][-1])


def test_a_router_goes_on_from_its_own_state(network):
    rng = np.random.default_rng(2)
    runoff = rng.gamma(0.5, 30.0, (6, network.size))
    whole, first = Router(network), Router(network)
    for step in range(3):
        whole.advance(runoff[step], 7200.0)
        first.advance(runoff[step], 7200.0)
    second = Router(network, state=first.state)
    for step in range(3, 6):
        one = whole.advance(runoff[step], 7200.0)
        two = second.advance(runoff[step], 7200.0)
        for name in VARIABLES:
            np.testing.assert_array_equal(
                (one.means | one.ends)[name], (two.means | two.ends)[name]
            )
        assert one.ledger == two.ledger


def test_the_state_given_out_is_a_copy(network):
    router = Router(network)
    router.advance(np.full(network.size, 10.0), 3600.0)
    before = router.state
    router.arrays.storage[:] = 0.0
    router.state["storage"][:] = 0.0
    np.testing.assert_array_equal(router.state["storage"], before["storage"])
    router.advance(np.full(network.size, 10.0), 3600.0)
    assert float(before["storage"].sum()) < float(router.state["storage"].sum())


def test_threads_really_share_the_work_and_change_no_bit(network, monkeypatch):
    seen = set()
    plain = module.advance

    def watched(*args, **options):
        seen.add((threading.get_ident(), options["components"]))
        plain(*args, **options)

    monkeypatch.setattr(module, "advance", watched)
    runoff = np.random.default_rng(3).gamma(0.5, 30.0, network.size)
    results = []
    for threads in (1, 3):
        seen.clear()
        router = Router(network, threads=threads)
        results.append([router.advance(runoff, 43200.0) for _ in range(2)][1])
        spans = sorted({span for _, span in seen})
        assert len(spans) == (1 if threads == 1 else len(router._groups))
        # Every component once: the ranges join without a gap.
        assert spans[0][0] == 0
        assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
    assert len({span for _, span in seen}) > 3
    for name in VARIABLES:
        one, two = ((r.means | r.ends)[name] for r in results)
        np.testing.assert_array_equal(one, two)
    assert results[0].ledger == results[1].ledger


def test_a_failure_in_a_thread_is_raised(network, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("a basin is lost")

    monkeypatch.setattr(module, "advance", broken)
    router = Router(network, threads=2)
    with pytest.raises(RuntimeError, match="a basin is lost"):
        router.advance(np.zeros(network.size), 3600.0)


def test_water_that_is_no_number_is_not_passed_on(network, monkeypatch):
    plain = module.advance

    def unstable(geometry, state, forcing, seconds, settings, totals, ledger, **rest):
        plain(geometry, state, forcing, seconds, settings, totals, ledger, **rest)
        state.storage[40:43] = np.nan
        ledger.after[2] = np.nan

    monkeypatch.setattr(module, "advance", unstable)
    router = Router(network)
    first = min(router._order[40:43])
    with pytest.raises(
        KernelError, match=f"3 catchments .* first is {network.ids[first]}: .*courant"
    ):
        router.advance(np.zeros(network.size), 3600.0)


def test_the_sea_may_be_one_number_one_for_each_end_or_pieces_of_the_interval(network):
    runoff = np.full(network.size, 5.0)
    ends = network.terminals.size

    def after(level, **options):
        router = Router(network, **options)
        return router.advance(runoff, 21600.0, sea_level=level).ends["storage"]

    high = after(2.0)
    np.testing.assert_array_equal(high, after(np.full(ends, 2.0)))
    np.testing.assert_array_equal(high, after(np.full((3, ends), 2.0)))
    np.testing.assert_array_equal(high, after(None, sea_level=2.0))
    assert not np.array_equal(high, after(None))
    tide = np.linspace(-1.0, 3.0, 6)[:, None] * np.ones(ends)
    assert not np.array_equal(high, after(tide))


def test_the_sea_reaches_the_basin_it_is_given_for(network):
    runoff = np.full(network.size, 5.0)
    still = np.full(network.terminals.size, -3.0)
    high = still.copy()
    high[4] = 3.0
    stored = [
        Router(network).advance(runoff, 21600.0, sea_level=level).ends["storage"]
        for level in (still, high)
    ]
    changed = np.flatnonzero(stored[0] != stored[1])
    assert network.terminals[4] in changed
    joined = network.component[network.terminals[4]]
    assert set(network.component[changed]) == {joined}


def test_groups_hold_every_component_once_the_largest_first(network):
    geometry = Router(network).geometry
    for threads in (1, 2, 7, None):
        groups = module._groups(geometry, threads)
        spans = sorted(groups)
        assert spans[0][0] == 0
        assert spans[-1][1] == geometry.first.size - 1
        assert all(a[1] == b[0] for a, b in itertools.pairwise(spans))
        sizes = [geometry.first[b] - geometry.first[a] for a, b in groups]
        assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"runoff": np.zeros(3)}, r"runoff has the shape \(3,\), the network 200"),
        ({"runoff": np.full(200, np.nan)}, "runoff is nan at catchment 1"),
        ({"evaporation": np.full(200, -1e-8)}, "evaporation is -1e-08 at catchment 1"),
        ({"infiltration": np.zeros((1, 200))}, "infiltration has the shape"),
        ({"seconds": -60.0}, "length above zero"),
        ({"sea_level": np.zeros(3)}, r"sea_level has the shape \(3,\); give one"),
        ({"sea_level": np.nan}, "gaps"),
    ],
)
def test_wrong_input_is_refused_before_any_water_moves(network, call, words):
    router = Router(network)
    given = {"runoff": np.ones(200), "seconds": 3600.0} | call
    with pytest.raises(InputError, match=words):
        router.advance(given.pop("runoff"), given.pop("seconds"), **given)
    assert float(router.state["storage"].sum()) == 0.0
