"""Series that the tests of adjustment share."""

import numpy as np
import pytest
import xarray as xr


@pytest.fixture
def series():
    """Return a function that makes daily series, a row per cell or one alone."""

    def make(values, start="1981-01-01", units="degC", calendar="noleap", **coords):
        values = np.asarray(values)
        index = xr.date_range(
            start, periods=values.shape[-1], calendar=calendar, use_cftime=True
        )
        dims = (*coords, "time")
        return xr.DataArray(
            values, {**coords, "time": index}, dims, "series", {"units": units}
        )

    return make


@pytest.fixture
def rain():
    """Return a function that makes daily amounts in mm/day, dry on a share of days."""

    def make(n, seed, dry=0.5, scale=5.0):
        rng = np.random.default_rng(seed)
        amounts = rng.gamma(0.7, scale, size=n)
        return np.where(rng.random(n) < dry, 0.0, amounts)

    return make
