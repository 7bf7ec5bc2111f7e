"""Figures of floods say in words what they show, and refuse what they cannot."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.rivers.floods import (
    plot_discharge,
    plot_flow_duration,
    plot_retention,
    plot_return_levels,
    retention_curve,
    return_levels,
)


@pytest.fixture
def flow():
    """Discharge of two places over 200 days."""
    rng = np.random.default_rng(0)
    return xr.DataArray(
        rng.gamma(1.0, 100.0, (200, 2)),
        dims=("time", "place"),
        coords={"time": pd.date_range("2019-01-01", periods=200)},
        attrs={"units": "m3 s-1"},
    )


def drawn(found):
    """Tell that an image is there and not blank."""
    assert found.png.startswith(b"\x89PNG")
    assert len(found.png) > 10_000
    return found.alt


def test_hydrographs_of_places_stand_over_each_other(flow):
    alt = drawn(plot_discharge(flow, {"ours": flow * 0.9}, ["Kuma", "Idai"]))
    assert alt == "2 hydrographs, ours over reference."
    with pytest.raises(InputError, match="one title per place"):
        plot_discharge(flow, {}, ["Kuma"])
    with pytest.raises(InputError, match="ours has the shape"):
        plot_discharge(flow, {"ours": flow[1:]}, ["Kuma", "Idai"])


def test_hydrographs_of_a_model_calendar_have_an_axis_of_years(flow):
    time = xr.date_range("2001-01-01", periods=200, calendar="noleap", use_cftime=True)
    drawn(plot_discharge(flow.assign_coords(time=time), {"a": flow}, ["x", "y"]))


def test_flow_durations_say_their_range(flow):
    alt = drawn(plot_flow_duration({"gauge": flow[:, 0], "model": flow[:, 1]}))
    assert f"{float(flow.max()):.3g} to" in alt
    with pytest.raises(InputError, match="needs a positive flow"):
        plot_flow_duration({"dry": 0.0 * flow[:, 0]})


def test_return_levels_are_of_one_river():
    maxima = xr.DataArray(
        np.random.default_rng(1).gumbel(100.0, 30.0, (2, 30)), dims=("river", "year")
    )
    levels = return_levels(maxima, [1.5, 2, 10, 100], draws=50)
    assert "30 maxima" in drawn(plot_return_levels(maxima[0], levels.isel(river=0)))
    with pytest.raises(InputError, match="shows one river"):
        plot_return_levels(maxima, levels)


def test_retention_is_drawn_with_its_curve():
    rng = np.random.default_rng(2)
    size = xr.DataArray(rng.uniform(1.0, 9.0, 60), dims="flood")
    saved = 0.05 * size
    curve = retention_curve(size, saved, classes=3)
    alt = drawn(plot_retention(size, saved, curve, label="return period (years)"))
    assert alt.startswith("Cloud of 60 floods")
