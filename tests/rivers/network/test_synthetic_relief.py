"""Terrain made up: a continent whose large rivers are as many as asked for."""

import numpy as np
import pyflwdir
import pytest
from scipy import ndimage

from tilth.core.errors import InputError
from tilth.rivers.network.synthetic_relief import synthetic_terrain


def basins_of(elevation):
    """Return the number of cells of each basin, the largest first."""
    flow = pyflwdir.from_dem(elevation.values, nodata=np.nan)
    return np.sort(np.bincount(flow.basins().ravel())[1:])[::-1], flow


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nine_basins_hold_most_of_the_land_and_the_ninth_is_no_creek(seed):
    elevation = synthetic_terrain(seed=seed)
    sizes, _ = basins_of(elevation)
    assert sizes[:9].sum() > 0.5 * sizes.sum()
    assert sizes[8] > 0.012 * sizes.sum()
    assert sizes[0] < 0.4 * sizes.sum()


def test_the_land_is_one_piece_in_a_frame_of_sea_without_depressions():
    elevation = synthetic_terrain((120, 100), basins=4, seed=3)
    land = np.isfinite(elevation.values)
    _, count = ndimage.label(land)
    assert count == 1
    assert 0.35 < land.mean() < 0.46
    assert not land[[0, -1]].any()
    assert not land[:, [0, -1]].any()
    filled, _ = pyflwdir.dem.fill_depressions(elevation.values, nodata=np.nan)
    assert np.nanmax(filled - elevation.values) < 1e-6 * 3000


def test_rivers_are_concave_steeper_where_less_drains_through_them():
    elevation = synthetic_terrain(seed=4)
    _, flow = basins_of(elevation)
    area = flow.upstream_area().ravel()
    down = flow.idxs_ds
    fall = elevation.values.ravel() - elevation.values.ravel()[down]
    inner = (area >= 20) & (down != np.arange(down.size))
    slopes = [
        np.median(fall[inner & (area >= low) & (area < 4 * low)])
        for low in (20, 80, 320, 1280)
    ]
    assert (np.diff(slopes) < 0).all()
    assert slopes[0] > 3 * slopes[-1]


def test_relief_and_resolution_are_those_asked_for():
    elevation = synthetic_terrain(
        (60, 80), basins=3, seed=1, resolution=0.5, relief=800.0
    )
    assert elevation.shape == (60, 80)
    assert elevation.max() == pytest.approx(802.0)
    assert elevation.min() == 2.0
    assert np.allclose(np.diff(elevation["lat"]), -0.5)
    assert np.allclose(np.diff(elevation["lon"]), 0.5)
    assert elevation.attrs["units"] == "m"
    assert elevation.attrs["seed"] == 1


def test_the_same_seed_gives_the_same_terrain():
    one, two = (synthetic_terrain((40, 40), basins=2, seed=7) for _ in range(2))
    assert one.equals(two)
    assert not one.equals(synthetic_terrain((40, 40), basins=2, seed=8))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shape": (10, 40)}, "at least 16 rows"),
        ({"resolution": 1.0}, "place on the globe"),
        ({"relief": -1.0}, "relief and resolution"),
        ({"shape": (20, 20), "basins": 50}, "room for 1 to"),
    ],
)
def test_what_cannot_be_a_continent_is_refused(options, said):
    with pytest.raises(InputError, match=said):
        synthetic_terrain(**options)
