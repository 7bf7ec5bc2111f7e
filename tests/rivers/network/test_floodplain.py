"""Floodplain profiles: exact on cells that can be counted by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tilth.core.errors import InputError
from tilth.rivers.network.floodplain import floodplain_profile, height_above_river


def test_ten_cells_of_equal_area_are_the_ten_layers_in_order():
    height = np.array([7.0, 0.0, 3.5, 1.0, 9.0, 2.0, 0.5, 20.0, 0.0, 4.0])
    profile = floodplain_profile(height, np.zeros(10, int), np.full(10, 1e6 / 3), 1)
    assert profile.tolist() == [sorted(height)]


def test_areas_weigh():
    # A tenth of the area at 0 m, the half at 1 m, the rest at 8 m.
    profile = floodplain_profile([8.0, 0.0, 1.0], [0, 0, 0], [4.0, 1.0, 5.0], 1)
    assert profile.tolist() == [[0.0] + [1.0] * 5 + [8.0] * 4]


def test_each_catchment_has_its_own_cells_and_cells_of_none_are_left_out():
    height = [5.0, 1.0, 99.0, 2.0, np.nan, 3.0]
    catchment = [1, 0, -1, 1, -1, 0]
    profile = floodplain_profile(height, catchment, np.ones(6), 2, layers=4)
    assert profile.tolist() == [[1.0, 1.0, 3.0, 3.0], [2.0, 2.0, 5.0, 5.0]]


def test_ground_below_the_bank_counts_as_at_the_bank():
    profile = floodplain_profile([-3.0, 2.0], [0, 0], [1.0, 1.0], 1, layers=2)
    assert profile.tolist() == [[0.0, 2.0]]


@settings(max_examples=50, deadline=None)
@given(
    cells=hnp.arrays(
        float, st.tuples(st.integers(1, 40), st.just(2)), elements=st.floats(0.1, 500)
    ),
    layers=st.integers(1, 12),
)
def test_every_layer_is_the_lowest_height_with_its_share_below(cells, layers):
    height, area = cells.T
    profile = floodplain_profile(height, np.zeros(len(cells)), area, 1, layers)[0]
    assert (np.diff(profile) >= 0).all()
    assert profile[-1] == height.max()
    for k, level in enumerate(profile, start=1):
        share = k / layers * area.sum()
        assert area[height <= level].sum() >= share * (1 - 1e-9)
        assert area[height < level].sum() < share * (1 + 1e-9)


def test_a_large_case_agrees_with_quantiles_by_numpy():
    rng = np.random.default_rng(0)
    height, catchment = rng.gamma(2.0, 10.0, 60_000), rng.integers(0, 60, 60_000)
    profile = floodplain_profile(height, catchment, np.ones(height.size), 60)
    shares = np.arange(1, 11) / 10
    for i in range(60):
        expected = np.quantile(
            height[catchment == i], shares - 1e-12, method="inverted_cdf"
        )
        assert np.array_equal(profile[i], expected)


def test_heights_are_above_the_river_that_the_water_comes_to():
    # 0 -> 1 -> 2 (river) -> 3 (river, outlet); 4 -> 2; 5 -> 5 has no river; 6 outside.
    down = np.array([1, 2, 3, 3, 2, 5, -1])
    order = np.array([3, 2, 1, 0, 4, 5])
    river = np.array([0, 0, 1, 1, 0, 0, 0], bool)
    elevation = np.array([30.0, 20.0, 5.0, 4.0, 3.0, 8.0, 50.0])
    height = height_above_river(down, order, river, elevation)
    assert np.array_equal(height[:6], [25.0, 15.0, 0.0, 0.0, -2.0, 0.0])
    assert np.isnan(height[6])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (([1.0], [0, 0], [1.0], 1), "do not belong together"),
        (([1.0], [0], [1.0], 2), "1 of 2 catchments have no cell, the first is 1"),
        (([1.0], [3], [1.0], 2), "count from 0 to 1, one cell has 3"),
        (([np.nan, 1.0], [0, 0], [1.0, 1.0], 1), "no height .* first is cell 0"),
        (([1.0, 1.0], [0, 0], [1.0, 0.0], 1), "no area; the first is cell 1"),
        (([1.0], [0], [1.0], 1, 0), "at least one layer"),
    ],
)
def test_cells_that_make_no_profile_are_refused(given, said):
    with pytest.raises(InputError, match=said):
        floodplain_profile(*given)
