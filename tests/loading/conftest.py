"""The Earths that the tests of loading stand on."""

from dataclasses import replace

import pytest

from tilth.loading import read_love_numbers

#: Of the program that computed the disc tables: g 9.8046961 m s-2, a 6371 km and
#: G 6.6740831e-11, which together are this mass (kg).
DISC_MASS = 9.8046961 * 6.371e6**2 / 6.6740831e-11


@pytest.fixture
def prem(dataset):
    """PREM after Wang et al. (2012), in the frame CE."""
    return read_love_numbers(dataset("load-love-numbers") / "PREM-LLNs-truncated.dat")


@pytest.fixture
def reference(dataset):
    """The model REF, to degree 40000, in the frame CM, with the disc tables' mass."""
    folder = dataset("loading-references")
    love = read_love_numbers(folder / "REF_6371_loading_love_numbers_0_40000.txt.gz")
    return replace(love, mass=DISC_MASS)
