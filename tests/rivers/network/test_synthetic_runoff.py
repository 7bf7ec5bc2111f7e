"""Made-up runoff: never negative, the same again, in the season it says."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.rivers.network import RiverNetwork, made_up_runoff, synthetic_network


@pytest.fixture(scope="module")
def network():
    return synthetic_network(300, basins=3, seed=1)


def test_runoff_is_water_and_wetter_in_the_middle_of_the_year(network):
    runoff = made_up_runoff(network, days=730, seed=2)
    assert (runoff >= 0).all()
    assert runoff.attrs["units"] == "mm day-1"
    yearly = float(runoff.sum("time").mean()) / 2
    assert 50 < yearly < 2000
    month = runoff["time"].dt.month
    summer = runoff.where(month.isin([6, 7, 8]), drop=True).mean()
    winter = runoff.where(month.isin([12, 1, 2]), drop=True).mean()
    assert summer > 2 * winter


def test_neighbours_are_wet_together(network):
    runoff = made_up_runoff(network, days=200, seed=3).values
    near = np.corrcoef(runoff[:, 0], runoff[:, 1])[0, 1]
    far = np.corrcoef(runoff[:, 0], runoff[:, -1])[0, 1]
    assert near > 0.9
    assert near > far


def test_a_seed_is_a_season(network):
    a, b, c = (made_up_runoff(network, days=30, seed=s).values for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_catchments_without_a_place_are_refused(network):
    bare = RiverNetwork(network.data.drop_vars(["lat", "lon"]))
    with pytest.raises(InputError, match="lacks lat and lon"):
        made_up_runoff(bare)
    with pytest.raises(InputError, match="one at least"):
        made_up_runoff(network, days=0)
