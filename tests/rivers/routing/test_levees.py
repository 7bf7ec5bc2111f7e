"""How water stands at a levee: volumes, continuity, limits, and none at all."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.rivers.routing.levees import (
    Levees,
    levee_marks,
    levee_stage,
    plain_volume,
)

LENGTH, WIDTH = 5000.0, 80.0
CUTS = 100_000


def floodplain(heights, layer_width):
    """Return the layers' upper edges and the storages at them, by trapezoids."""
    edges = np.concatenate(([0.0], heights))
    middle = WIDTH + layer_width * (np.arange(len(heights)) + 0.5)
    storages = LENGTH * WIDTH * 4.0 + np.concatenate(
        ([0.0], np.cumsum(LENGTH * middle * np.diff(edges)))
    )
    return (LENGTH, WIDTH, layer_width, np.asarray(heights, float), storages)


def ground(place, plain):
    """Return the height of the ground at these distances from the channel."""
    _, _, layer_width, heights, _ = plain
    edges = np.arange(heights.size + 1) * layer_width
    return np.interp(place, edges, np.concatenate(([0.0], heights)))


def volume(depth, level, share, plain):
    """Return the water over a finely cut cross-section: an independent count."""
    _, _, layer_width, heights, storages = plain
    across = layer_width * heights.size
    cuts = (np.arange(CUTS) + 0.5) / CUTS * across
    protected = cuts > share * across
    deep = np.where(protected, level, depth) - ground(cuts, plain)
    water = np.clip(deep, 0.0, None).mean() * across
    return storages[0] + LENGTH * (WIDTH * depth + water)


layers = st.lists(st.floats(0.0, 3.0), min_size=2, max_size=10).map(np.cumsum)
shares = st.floats(0.0, 1.0)
crowns = st.floats(0.0, 12.0)
PLAIN = floodplain([1.0, 2.0, 4.0, 4.0, 7.0], 200.0)


def stage(storage, share, crown, plain):
    base, crown, low, top, _ = levee_marks(share, crown, *plain)
    return levee_stage(storage, share, base, crown, low, top, *plain)


def test_marks_of_a_levee_on_a_wedge_are_exact():
    wedge = floodplain([2.0], 1000.0)
    base, crown, low, top, full = levee_marks(0.25, 1.5, *wedge)
    river = LENGTH * WIDTH * 4.0
    assert (base, crown) == (0.5, 1.5)
    assert low == pytest.approx(river + LENGTH * 0.5 * (WIDTH + 125.0))
    assert top == pytest.approx(low + LENGTH * 1.0 * (WIDTH + 250.0))
    assert full == pytest.approx(river + LENGTH * 1.5 * (WIDTH + 375.0))


def test_the_river_side_fills_to_the_crown_before_the_protected_side_gets_any():
    base, crown, low, top, _ = levee_marks(0.3, 3.0, *PLAIN)
    half = 0.5 * (low + top)
    depth, fraction, protected, level = stage(half, 0.3, 3.0, PLAIN)
    assert depth == pytest.approx(0.5 * (base + crown))
    assert (fraction, protected, level) == (0.3, 0.0, base)
    depth, fraction, protected, level = stage(top + 1e5, 0.3, 3.0, PLAIN)
    assert depth == crown
    assert protected == pytest.approx(1e5)
    assert base < level < crown
    assert fraction > 0.3


@given(layers, shares, crowns, st.floats(0.001, 0.999))
def test_the_water_behind_the_stage_is_the_storage(heights, share, crown, part):
    plain = floodplain(heights, 150.0)
    base, crown, low, top, full = levee_marks(share, crown, *plain)
    assume(full - low > 1e-3)
    storage = low + part * (full - low)
    depth, fraction, protected, level = stage(storage, share, crown, plain)
    assert base <= depth <= crown
    assert base <= level <= crown
    assert share <= fraction <= 1.0
    assert protected == pytest.approx(max(storage - top, 0.0))
    # Cut into many pieces, the levee stands up to one piece off.
    error = LENGTH * 150.0 * len(heights) / CUTS * max(crown - base, 1e-9)
    assert volume(depth, level, share, plain) == pytest.approx(
        storage, rel=1e-9, abs=2 * error
    )


@given(layers, shares, crowns, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_depth_level_and_flooded_share_grow_with_storage(
    heights, share, crown, one, two
):
    plain = floodplain(heights, 150.0)
    _, _, low, _, full = levee_marks(share, crown, *plain)
    assume(full - low > 1e-3)
    lower, upper = (low + part * (full - low) for part in sorted((one, two)))
    for small, large in zip(
        stage(lower, share, crown, plain),
        stage(upper, share, crown, plain),
        strict=True,
    ):
        assert large >= small * (1 - 1e-9)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.2, 0.55, 0.7, 0.8])
@pytest.mark.parametrize("crown", [4.5, 7.0, 9.0])
def test_the_stage_has_no_jump_at_crown_base_and_drowning(share, crown):
    base, crest, low, top, full = levee_marks(share, crown, *PLAIN)
    for mark in (low, top, full):
        below = stage(max(mark - 1.0, low), share, crown, PLAIN)
        above = stage(min(mark + 1.0, full), share, crown, PLAIN)
        # A litre moves the level beside a levee on a flat by its root.
        assert above[0] == pytest.approx(below[0], abs=1e-4)
        assert above[3] == pytest.approx(below[3], abs=0.01)
    depth, _, _, level = stage(full, share, crown, PLAIN)
    assert depth == crest
    assert level == pytest.approx(crest, abs=1e-9)
    assert stage(low, share, crown, PLAIN)[0] == pytest.approx(base, abs=1e-12)


@given(layers, shares)
def test_a_levee_below_its_ground_changes_nothing(heights, share):
    plain = floodplain(heights, 150.0)
    base, crown, low, top, full = levee_marks(share, 0.0, *plain)
    assert crown == base
    assert low == top == full
    assert full == pytest.approx(plain_volume(base, *plain))


@given(layers, st.floats(0.0, 15.0))
def test_the_plain_volume_is_that_of_the_cross_section(heights, depth):
    plain = floodplain(heights, 150.0)
    cells = LENGTH * 150.0 * len(heights) / CUTS
    assert plain_volume(depth, *plain) == pytest.approx(
        volume(depth, depth, 1.0, plain), rel=1e-9, abs=cells
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"share": 20.0}, "share of the floodplain, not of 100"),
        ({"crown": 432.0}, "minus the elevation of the bank"),
        ({"crown": -1.0}, "crown of catchment 4 is -1"),
        ({"catchment": [4, 4]}, "more than one levee"),
    ],
)
def test_impossible_levees_are_refused_by_name(change, words):
    table = {"catchment": [4, 9], "share": 0.2, "crown": 3.0}
    Levees(**table)
    with pytest.raises(InputError, match=words):
        Levees(**(table | change))
