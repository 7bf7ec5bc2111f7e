"""Fixtures every room shares: real data from the datasets registry."""

import os

import pytest


@pytest.fixture
def dataset():
    """Return a function that gives the folder of a registered dataset.

    Skips with the reason where the data cannot be had, unless
    ``TILTH_REQUIRE_DATA`` is set: then it fails, so that CI cannot skip in silence.
    """
    from tilth.core.datasets import locate
    from tilth.core.errors import DatasetError

    def find(name):
        try:
            return locate(name, download=False)
        except DatasetError as error:
            if os.environ.get("TILTH_REQUIRE_DATA"):
                raise
            pytest.skip(str(error))

    return find
