"""Order, basins, components and sums hold on any forest of rivers."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tilth.rivers.network import INLAND, RiverNetwork
from tilth.rivers.network.topology import (
    accumulate,
    basins,
    components,
    find_cycle,
    upstream_first,
)

#: Machines that do other things beside are slow at times.
several = settings(max_examples=60, deadline=None)


@st.composite
def forests(draw, largest=40):
    """Downstream positions of a random forest, its catchments in random order."""
    n = draw(st.integers(1, largest))
    after = [draw(st.integers(-2, i - 1)) for i in range(n)]  # no cycle: only back
    shuffled = np.array(draw(st.permutations(range(n))))
    downstream = np.empty(n, np.int64)
    for i, d in enumerate(after):
        downstream[shuffled[i]] = shuffled[d] if d >= 0 else d
    return downstream


def terminal_of(downstream, i):
    while downstream[i] >= 0:
        i = downstream[i]
    return i


@several
@given(forests())
def test_the_order_names_everyone_once_and_upstream_before_downstream(downstream):
    order = upstream_first(downstream)
    assert sorted(order) == list(range(downstream.size))
    place = np.argsort(order)
    inside = downstream >= 0
    assert (place[inside] < place[downstream[inside]]).all()


@several
@given(forests())
def test_basins_lie_together_in_the_order_of_their_terminals(downstream):
    order = upstream_first(downstream)
    basin = basins(downstream, order)
    assert (np.diff(basin[order]) >= 0).all()
    terminals = np.flatnonzero(downstream < 0).tolist()
    for i in range(downstream.size):
        assert terminals[basin[i]] == terminal_of(downstream, i)


@several
@given(forests(), st.data())
def test_sums_are_those_of_a_walk_down_from_every_catchment(downstream, data):
    n = downstream.size
    values = data.draw(
        npst.arrays(float, (2, n), elements=st.integers(-1000, 1000).map(float))
    )
    expected = np.zeros((2, n))
    for i in range(n):
        j = i
        while j >= 0:
            expected[:, j] += values[:, i]
            j = downstream[j]
    before = values.copy()
    sums = accumulate(downstream, upstream_first(downstream), values)
    np.testing.assert_array_equal(sums, expected)
    np.testing.assert_array_equal(values, before)  # the input is left alone


@several
@given(forests(), st.data())
def test_nothing_is_lost_on_the_way_to_the_terminals(downstream, data):
    values = np.array(
        data.draw(
            st.lists(
                st.integers(0, 10**6),
                min_size=downstream.size,
                max_size=downstream.size,
            )
        ),
        float,
    )
    sums = accumulate(downstream, upstream_first(downstream), values)
    assert sums[downstream < 0].sum() == values.sum()


@several
@given(forests(), st.data())
def test_components_are_basins_joined_by_paths_and_no_others(downstream, data):
    n = downstream.size
    ends = data.draw(
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=8)
    )
    basin = basins(downstream, upstream_first(downstream))
    a, b = (np.array([e[k] for e in ends], np.int64) for k in (0, 1))
    component = components(basin, a, b)
    # A plain search of what basins reach each other.
    group = {int(k): {int(k)} for k in basin}
    for x, y in zip(basin[a].tolist(), basin[b].tolist(), strict=True):
        joined = group[x] | group[y]
        for k in joined:
            group[k] = joined
    for i in range(n):
        for j in range(n):
            same = int(basin[j]) in group[int(basin[i])]
            assert (component[i] == component[j]) == same
    numbers = np.unique(component)
    assert numbers.tolist() == list(range(numbers.size))


@several
@given(forests())
def test_a_forest_has_no_cycle(downstream):
    assert find_cycle(downstream).size == 0


@several
@given(forests(largest=20), st.integers(1, 6), st.data())
def test_a_cycle_is_found_and_followed_around(downstream, length, data):
    # A ring beside the forest, into which some terminals of the forest now drain.
    n = downstream.size
    ring = n + np.roll(np.arange(length), -1)
    into = data.draw(npst.arrays(bool, n, elements=st.booleans()))
    drained = np.where((downstream < 0) & into, n, downstream)
    cycle = find_cycle(np.concatenate([drained, ring]))
    assert sorted(cycle) == list(range(n, n + length))
    whole = np.concatenate([drained, ring])
    np.testing.assert_array_equal(whole[cycle], np.roll(cycle, -1))
    assert cycle[0] == n


def test_a_catchment_that_drains_into_itself_is_a_cycle_of_one():
    assert find_cycle([1, 1, -1]).tolist() == [1]


def test_order_and_sums_are_found_in_a_river_of_a_hundred_thousand_catchments():
    n = 100_000  # deeper than any stack of calls
    downstream = np.arange(-1, n - 1)
    order = upstream_first(downstream)
    assert order[0] == n - 1
    assert order[-1] == 0
    assert accumulate(downstream, order, np.ones(n))[0] == n


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 4, 3)])
def test_sums_keep_the_shape_of_what_is_summed(shape):
    sums = accumulate([2, 2, -1], [0, 1, 2], np.ones(shape))
    assert sums.shape == shape
    assert (sums[..., 2] == 3).all()


@several
@given(forests(), st.data())
def test_a_part_of_a_network_drains_as_the_whole_or_ends_inland(downstream, data):
    whole = RiverNetwork(
        xr.Dataset(
            {"downstream": ("catchment", downstream)},
            {"catchment": np.arange(downstream.size) * 3 + 5},
        )
    )
    chosen = data.draw(
        st.lists(
            st.integers(0, downstream.size - 1), min_size=1, max_size=20, unique=True
        )
    )
    part = whole.subset(chosen)
    assert part.ids.tolist() == whole.ids[chosen].tolist()
    for i, position in enumerate(chosen):
        after = downstream[position]
        if after < 0:
            assert part.downstream[i] == after
        elif after in chosen:
            assert part.ids[part.downstream[i]] == whole.ids[after]
        else:
            assert part.downstream[i] == INLAND


@several
@given(forests(), st.data())
def test_sorting_keeps_sums_and_leads_back(downstream, data):
    n = downstream.size
    ends = data.draw(
        st.lists(
            st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)),
            min_size=1,
            max_size=4,
        )
    )
    given = RiverNetwork(
        xr.Dataset(
            {
                "downstream": ("catchment", downstream),
                "path_from": ("path", [e[0] for e in ends]),
                "path_to": ("path", [e[1] for e in ends]),
            },
            {"catchment": np.arange(n) + 100},
        )
    )
    ordered = given.sorted()
    inside = ordered.downstream >= 0
    assert (ordered.downstream[inside] > np.flatnonzero(inside)).all()
    assert (np.diff(ordered.component) >= 0).all()
    back = np.argsort(ordered.data["given_position"].values)
    np.testing.assert_array_equal(ordered.ids[back], given.ids)
    values = np.arange(n, dtype=float) ** 2
    sums = ordered.accumulate(values[ordered.data["given_position"].values])
    np.testing.assert_array_equal(sums[back], given.accumulate(values))
    for name in ("path_from", "path_to"):
        np.testing.assert_array_equal(
            ordered.ids[ordered.data[name].values], given.ids[given.data[name].values]
        )
    again = ordered.subset(back)
    np.testing.assert_array_equal(again.downstream, given.downstream)
