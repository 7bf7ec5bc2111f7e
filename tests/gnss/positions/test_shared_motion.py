"""The error that stations share, found and taken away."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.positions.shared_motion import common_mode

RESPONSE = np.array([1.0, 1.3, 0.7, 1.1, 0.9])
NOISE = np.array([1.0, 2.0, 1.0, 0.5, 1.0])


def residuals(seed=0, response=RESPONSE, days=800, gaps=0.2):
    """Return residuals (mm) and the mode in them."""
    draws = np.random.default_rng(seed)
    mode = 2.0 * draws.normal(size=days)
    values = np.outer(mode, response) + NOISE * draws.normal(size=(days, 5))
    values[draws.random(values.shape) < gaps] = np.nan
    time = np.datetime64("2010-01-01T12", "ns") + np.arange(days) * np.timedelta64(
        1, "D"
    )
    rows = xr.DataArray(
        values,
        dims=("time", "station"),
        coords={"time": time, "station": list("abcde")},
        attrs={"units": "mm"},
    )
    return rows, mode


def test_mode_responses_and_noise_are_found_through_gaps():
    rows, mode = residuals()
    found = common_mode(rows)
    np.testing.assert_allclose(found["response"], RESPONSE / RESPONSE.mean(), atol=0.06)
    np.testing.assert_allclose(found["noise"], NOISE, rtol=0.12)
    z = (found["mode"] - mode * RESPONSE.mean()) / found["mode_se"]
    assert float(z.std()) == pytest.approx(1.0, abs=0.1)
    assert found["mode"].attrs["units"] == "mm"


def test_a_stack_is_the_mode_where_all_respond_alike():
    rows, mode = residuals(response=np.ones(5))
    found = common_mode(rows, "stack")
    np.testing.assert_allclose(found["response"], 1.0)
    z = (found["mode"] - mode) / found["mode_se"]
    assert float(z.std()) == pytest.approx(1.0, abs=0.1)


def test_filtering_leaves_each_stations_own_noise():
    rows, _ = residuals(gaps=0.0)
    found = common_mode(rows)
    left = found["filtered"].std("time")
    # The mode takes along what of a station's noise it is made of: its leverage.
    expected = found["noise"] * np.sqrt(1.0 - found["leverage"])
    np.testing.assert_allclose(left.values, expected.values, rtol=0.05)
    assert (found["share"] > 0.5).all()
    assert float(found["leverage"].sum()) == pytest.approx(1.0, abs=1e-9)
    # The station of least noise makes most of the mode.
    assert int(np.argmax(found["leverage"].values)) == 3


def test_days_with_one_station_have_no_mode():
    rows, _ = residuals()
    rows[5] = np.nan
    rows[6] = [1.0, np.nan, np.nan, np.nan, np.nan]
    found = common_mode(rows)
    assert found["mode"].isnull().values.nonzero()[0].tolist()[:2] == [5, 6]


def test_a_scale_of_all_residuals_scales_the_mode():
    rows, _ = residuals()
    one, ten = common_mode(rows), common_mode(10.0 * rows)
    np.testing.assert_allclose(ten["mode"], 10.0 * one["mode"], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(ten["response"], one["response"], rtol=1e-4)


def test_what_has_no_common_mode_is_refused():
    rows, _ = residuals()
    with pytest.raises(InputError, match="three stations"):
        common_mode(rows[:, :2])
    with pytest.raises(InputError, match="component, stack"):
        common_mode(rows, "mean")
    with pytest.raises(InputError, match="all zero"):
        common_mode(rows.where(rows["station"] != "a", 0.0))
    opposite, _ = residuals(response=np.array([1.0, -1.0, 1.0, -1.0, 0.0]))
    with pytest.raises(InputError, match="cancel"):
        common_mode(opposite)
