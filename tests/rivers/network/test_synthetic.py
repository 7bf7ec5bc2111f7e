"""Networks made up: as rivers are, wherever chance has a say."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.core.regrid import EARTH_RADIUS
from tilth.rivers.network.channels import channel_depth, channel_width
from tilth.rivers.network.model import MOUTH, RiverNetwork
from tilth.rivers.network.synthetic import (
    LEAST_SLOPE,
    catchment_labels,
    synthetic_network,
)


@pytest.fixture(scope="module")
def large():
    return synthetic_network(200_000, basins=5, seed=3)


@numba.njit
def longest_paths(down, order, row, column):
    """Return the length of the longest river above each catchment, cells' sides."""
    length = np.zeros(down.size)
    for i in order:
        j = down[i]
        if j >= 0:
            step = np.hypot(row[i] - row[j], column[i] - column[j])
            length[j] = max(length[j], length[i] + step)
    return length


@numba.njit
def strahler(down, upstream_first):
    """Return the Strahler order of each catchment."""
    order = np.zeros(down.size, np.int64)
    highest, twins = np.zeros_like(order), np.zeros_like(order)
    for i in upstream_first:
        order[i] = max(1, highest[i] + (twins[i] > 1))
        j = down[i]
        if j >= 0 and order[i] > highest[j]:
            highest[j], twins[j] = order[i], 1
        elif j >= 0 and order[i] == highest[j]:
            twins[j] += 1
    return order


def test_hacks_exponent_is_that_of_rivers(large):
    area = large.accumulate(np.ones(large.size))
    place = large.data["row"].values, large.data["column"].values
    length = longest_paths(large.downstream, large.order, *place)
    edges = np.geomspace(20, 2_000, 11)  # between the cell and the island
    bins = np.digitize(area, edges)
    means = [
        (np.log(area[bins == k]).mean(), np.log(length[bins == k]).mean())
        for k in range(1, 11)
    ]
    exponent = np.polyfit(*np.transpose(means), 1)[0]
    assert exponent == pytest.approx(0.60, abs=0.04)


def test_the_share_of_points_with_larger_areas_falls_as_along_rivers(large):
    area = large.accumulate(np.ones(large.size))
    edges = np.geomspace(9, 300, 9)  # further up, the size of the island tells
    share = [(area >= edge).mean() for edge in edges]
    exponent = -np.polyfit(np.log(edges), np.log(share), 1)[0]
    assert exponent == pytest.approx(0.43, abs=0.03)


def test_streams_of_each_order_are_three_to_six_times_those_of_the_next(large):
    order = strahler(large.downstream, large.order)
    down = large.downstream
    ends = (down < 0) | (order[down] != order)
    counts = np.bincount(order[ends])[1:]
    assert counts.size >= 7
    ratios = counts[:5] / counts[1:6]
    assert ((ratios > 3.0) & (ratios < 6.0)).all()


@settings(max_examples=40, deadline=None)
@given(
    catchments=st.integers(1, 400), seed=st.integers(0, 2**32), share=st.floats(0, 1)
)
def test_every_catchment_drains_to_a_neighbour_and_out_at_a_mouth(
    catchments, seed, share
):
    basins = 1 + int(share * (catchments**0.5 - 1))
    network = synthetic_network(catchments, basins=basins, seed=seed)
    down = network.downstream
    assert network.size == catchments
    assert (down < 0).sum() == basins
    assert (down[down < 0] == MOUTH).all()
    assert network.order.size == catchments
    row, column = network.data["row"].values, network.data["column"].values
    inner = down >= 0
    steps = np.stack([row - row[down], column - column[down]])[:, inner]
    assert (np.abs(steps).max(axis=0, initial=1) == 1).all()
    grid = catchment_labels(network).values
    assert sorted(grid[grid > 0]) == list(range(1, catchments + 1))
    r, c = row[~inner], column[~inner]
    beside = [grid[r - 1, c], grid[r + 1, c], grid[r, c - 1], grid[r, c + 1]]
    assert (np.min(beside, axis=0) == 0).all()  # the sea


def test_rivers_do_not_cross(large):
    row, column = large.data["row"].values, large.data["column"].values
    down = large.downstream
    here = np.flatnonzero(down >= 0)
    diagonal = here[
        (row[here] != row[down[here]]) & (column[here] != column[down[here]])
    ]
    # A diagonal step is known by the middle of its square: no two share one.
    middles = np.stack(
        [row[diagonal] + row[down[diagonal]], column[diagonal] + column[down[diagonal]]]
    )
    assert np.unique(middles, axis=1).shape == middles.shape
    assert diagonal.size > 0.2 * large.size


def test_the_same_seed_gives_the_same_bits_and_another_seed_does_not():
    one, two = (synthetic_network(300, seed=5).data for _ in range(2))
    assert one.drop_attrs().identical(two.drop_attrs())
    other = synthetic_network(300, seed=6).data
    assert not np.array_equal(one["downstream"], other["downstream"])


def test_areas_are_those_of_the_cells_on_the_sphere():
    network = synthetic_network(2_000, resolution=1.0, seed=1)
    labels = catchment_labels(network)
    lat = labels["lat"].values
    bands = np.sin(np.radians(lat + 0.5)) - np.sin(np.radians(lat - 0.5))
    cell = EARTH_RADIUS**2 * np.radians(1.0) * bands
    expected = (cell[:, None] * (labels.values > 0)).sum()
    assert network.data["area"].sum().item() == pytest.approx(expected, rel=1e-12)
    assert (np.diff(lat) == -1.0).all()
    where = labels.stack(cell=("lat", "lon"))
    where = where[where > 0].sortby(where[where > 0])
    assert np.array_equal(where["lat"], network.data["lat"])
    assert np.array_equal(where["lon"], network.data["lon"])


def test_channels_follow_the_laws_and_discharge_the_runoff():
    network = synthetic_network(2_000, seed=1, runoff=730.485)  # 2 mm per day
    data = network.data
    discharge = data["mean_discharge"]
    assert np.allclose(
        discharge, data["upstream_area"] * 2e-3 / 86400, rtol=1e-12, atol=0
    )
    assert np.array_equal(data["river_width"], channel_width(discharge))
    assert np.array_equal(data["river_depth"], channel_depth(discharge))


def test_banks_and_beds_fall_downstream_no_less_than_the_least_slope(large):
    down = large.downstream
    inner = down >= 0
    distance = large.data["downstream_distance"].values[inner]
    for height in (large.data["elevation"].values, large.bed):
        slope = (height[inner] - height[down[inner]]) / distance
        assert slope.min() > LEAST_SLOPE * (1 - 1e-6)
    assert (large.data["elevation"].values[~inner] == 2.0).all()


def test_larger_rivers_are_flatter(large):
    down = large.downstream
    inner = down >= 0
    fall = large.data["elevation"].values[inner] - large.data["elevation"].values[
        down[inner]
    ]  # fmt: skip
    slope = fall / large.data["downstream_distance"].values[inner]
    area = large.data["upstream_area"].values[inner]
    exponent = np.polyfit(np.log(area), np.log(slope), 1)[0]
    assert exponent == pytest.approx(-0.45, abs=0.02)


def test_a_network_is_written_and_a_part_of_it_keeps_its_place(tmp_path):
    network = synthetic_network(100, basins=2, seed=1)
    back = RiverNetwork.open(network.to_netcdf(tmp_path / "network.nc"))
    assert back.data.identical(network.data)
    part = network.subset(network.basin == 1)
    grid, whole = catchment_labels(part), catchment_labels(network)
    assert set(np.unique(grid)) == {0, *part.ids}
    aligned = whole.reindex_like(grid, method="nearest", tolerance=1e-9)
    assert (aligned.values[grid > 0] == grid.values[grid > 0]).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"catchments": 0}, "at least one catchment"),
        ({"catchments": 5, "basins": 6}, "6 basins"),
        ({"catchments": 10_000, "basins": 2_000}, "coast of .* too short"),
        ({"catchments": 100, "runoff": 0.0}, "runoff must be above zero"),
        ({"catchments": 10_000, "resolution": 2.0}, "does not fit on the globe"),
        ({"catchments": 100, "resolution": -1.0}, "above zero"),
    ],
)
def test_what_cannot_be_a_continent_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        synthetic_network(**options)


def test_labels_need_a_network_that_lies_on_a_grid():
    network = synthetic_network(20, basins=1)
    with pytest.raises(InputError, match="resolution of its grid"):
        catchment_labels(RiverNetwork(network.data.drop_attrs(deep=False)))
    with pytest.raises(InputError, match="lacks row"):
        catchment_labels(RiverNetwork(network.data.drop_vars("row")))
