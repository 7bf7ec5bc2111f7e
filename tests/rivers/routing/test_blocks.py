"""Blocks of whole basins on Dask: equal sizes, the same bits, bounded work."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.core.parallel import scheduler
from tilth.rivers.routing import blocks as module
from tilth.rivers.routing.blocks import cut
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import final_state

pytest.importorskip("dask")

SLOW_GROUND = Settings(groundwater_delay=2 * 86400.0)


@pytest.fixture(scope="module")
def network(made_up_rivers):
    return made_up_rivers()


@pytest.fixture(scope="module")
def runoff(network, made_up_runoff):
    return made_up_runoff(network)


def same_bits(one, two):
    assert set(one.data_vars) == set(two.data_vars)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, two[name].values, err_msg=name)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=200), st.integers(1, 40))
def test_blocks_are_whole_components_each_catchment_once(numbers, count):
    component = np.unique(numbers, return_inverse=True)[1]
    parts = cut(component, count)
    assert len(parts) == min(count, component.max() + 1)
    np.testing.assert_array_equal(
        np.sort(np.concatenate(parts)), np.arange(component.size)
    )
    owners = [set(component[part]) for part in parts]
    assert sum(map(len, owners)) == len(set().union(*owners))
    for part in parts:
        assert (np.diff(part) > 0).all()


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(1, 8))
def test_blocks_are_about_equal(sizes, count):
    parts = cut(np.repeat(np.arange(len(sizes)), sizes), count)
    # Longest first is within 4/3 of the best there is (Graham 1969), and the best is
    # no smaller than the mean, the largest, or two of the middle ones together.
    best = max(sum(sizes) / count, max(sizes))
    ordered = sorted(sizes, reverse=True)
    if len(sizes) > count:
        best = max(best, ordered[count - 1] + ordered[count])
    assert max(part.size for part in parts) <= best * (4 / 3 - 1 / (3 * count)) + 1e-9


@pytest.mark.parametrize("count", [1, 3, 100])
def test_blocks_give_the_same_bits_with_everything_on_them(
    network, runoff, everything, count
):
    acting = everything(network, runoff) | {"settings": SLOW_GROUND, "output": "6h"}
    state = final_state(route(network, runoff, settings=SLOW_GROUND, output="6h"))
    whole = route(network, runoff, state, **acting)
    lazy = route(network, runoff, state, blocks=count, **acting)
    assert all(array.chunks is not None for array in lazy.data_vars.values())
    with scheduler("threads", n_workers=2):
        done = lazy.compute()
    same_bits(whole, done.sel(catchment=network.ids))
    assert done.attrs["network"] == whole.attrs["network"]
    assert final_state(done).attrs == final_state(whole).attrs


@pytest.mark.parametrize("chunks", [{"catchment": 70}, {"catchment": 300, "time": 3}])
def test_runoff_on_dask_gives_a_lazy_result_with_the_same_bits(network, runoff, chunks):
    mixed = runoff.isel(catchment=np.random.default_rng(1).permutation(network.size))
    lazy = route(network, mixed.chunk(chunks))
    assert lazy["discharge"].chunks is not None
    same_bits(route(network, runoff), lazy.compute().sel(catchment=network.ids))


def test_a_lazy_state_begins_the_next_run_and_is_computed_once(
    network, runoff, monkeypatch
):
    first, second = runoff.isel(time=slice(4)), runoff.isel(time=slice(4, 8))
    plain = route(network, second, final_state(route(network, first)))
    routed = []
    walk = module.walk

    def watched(plan, **options):
        routed.append(plan.network.size)
        return walk(plan, **options)

    monkeypatch.setattr(module, "walk", watched)
    lazy = route(network, first, blocks=3)
    again = route(network, second, final_state(lazy), blocks=2)
    assert sum(routed) == network.size
    same_bits(plain, again.compute().sel(catchment=network.ids))


def test_blocks_on_a_cluster_give_the_same_bits(network, runoff):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=False,
            dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster),
    ):
        done = route(network, runoff, blocks=4).compute()
    same_bits(route(network, runoff), done.sel(catchment=network.ids))


def test_only_the_blocks_asked_for_are_routed(network, runoff, monkeypatch):
    routed = []
    plain = module.walk

    def watched(plan, **options):
        routed.append(plan.network.ids)
        return plain(plan, **options)

    monkeypatch.setattr(module, "walk", watched)
    lazy = route(network, runoff, blocks=4)
    assert not routed
    chosen = network.ids[network.terminals[0]]
    lazy["discharge"].sel(catchment=chosen).compute()
    assert len(routed) == 1
    assert chosen in routed[0]


def test_values_that_cannot_be_are_refused_when_they_are_met(network, runoff):
    broken = runoff.copy(deep=True)
    broken[5, 17] = np.nan
    lazy = route(network, broken.chunk(catchment=50))
    with pytest.raises(
        InputError, match="the first at catchment 18 at 2019-03-02 06:00:00"
    ):
        lazy.compute()


def test_a_globe_with_one_step_for_all_is_no_blocks(network, runoff):
    with pytest.raises(InputError, match="use steps_by='basin', or runoff in memory"):
        route(network, runoff, settings=Settings(steps_by="globe"), blocks=2)


def test_blocks_are_as_large_as_the_chunks_of_the_runoff(
    made_up_rivers, made_up_runoff
):
    network = made_up_rivers(2000, 100, paths=0)
    runoff = made_up_runoff(network, steps=4)
    lazy = route(network, runoff.chunk(catchment=400), variables=["discharge"])
    sizes = lazy["discharge"].chunks[1]
    assert len(sizes) == 5
    assert max(sizes) < 1.1 * min(sizes)


def test_twenty_thousand_catchments_in_blocks_are_those_in_memory(made_up_rivers):
    network = made_up_rivers(20_000, 150, seed=2, paths=0)
    time = xr.date_range("2019-03-01", periods=2, freq="6h")
    rain = xr.DataArray(
        np.random.default_rng(0).gamma(0.3, 20.0, (2, network.size)),
        coords={"time": time, "catchment": network.ids},
        dims=("time", "catchment"),
        attrs={"units": "mm day-1"},
    )
    names = ["discharge", "flood_fraction"]
    whole = route(network, rain, output="6h", variables=names)
    lazy = route(network, rain.chunk(catchment=2500), output="6h", variables=names)
    same_bits(whole, lazy.compute().sel(catchment=network.ids))
    assert float(whole["water_residual"].max()) < 1e-9
