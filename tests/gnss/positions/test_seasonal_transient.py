"""Seasons and transients that channels share, on simulated displacement."""

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.gnss.positions.seasonal_transient import seasons_and_transients

WEIGHTS = np.array([1.0, 0.6, -0.8])


def channels(seed=0, noise=3.0, days=2700, signal=1.0):
    """Return daily channels (mm) with a growing season and a slip in the middle."""
    draws = np.random.default_rng(seed)
    t = np.arange(days) / 365.25
    parts = signal * (_slip(t) + _season(t))
    values = np.outer(parts, WEIGHTS) + 5.0 * t[:, None]
    values = values + noise * draws.normal(size=values.shape)
    values[draws.random(values.shape) < 0.1] = np.nan
    values[1000:1060, 1] = np.nan
    time = np.datetime64("2005-01-01", "ns") + np.arange(days) * np.timedelta64(1, "D")
    return xr.DataArray(
        values,
        dims=("time", "channel"),
        coords={"time": time, "channel": ["east", "north", "up"]},
        attrs={"units": "mm"},
    )


def _slip(t):
    """Return a slow slip of 8 mm."""
    return 8.0 / (1.0 + np.exp(-(t - 3.7) / 0.3))


def _season(t):
    """Return a season that grows."""
    return (3.0 + 0.3 * t) * np.cos(2 * np.pi * t)


@pytest.fixture(scope="module")
def found():
    return seasons_and_transients(channels())


def test_a_growing_season_and_a_slip_are_found_with_their_errors(found):
    t = (np.arange(found.sizes["time"]) + 0.5) * 7 / 365.25
    for k, weight in enumerate(WEIGHTS):
        season = found["season"].values[:, k] - weight * _season(t)
        rms, se = np.sqrt(np.mean(season**2)), found["season_se"].values[:, k].mean()
        assert rms < 0.12 * abs(weight) * 4.0
        assert 0.3 * rms < se < 3.0 * rms
        # A straight part of the slip belongs to the rate.
        error = found["transient"].values[:, k] - weight * _slip(t)
        error -= np.polyval(np.polyfit(t, error, 1), t)
        se = found["transient_se"].values[:, k].mean()
        assert error.std() < 0.1 * abs(weight) * 8.0
        assert 0.3 * error.std() < se < 3.0 * error.std()


def test_the_leading_patterns_are_a_pair_of_the_year_and_the_slip(found):
    assert found["kind"].values[:3].tolist() == ["season", "season", "transient"]
    np.testing.assert_allclose(found["frequency"][:2], 1.0, atol=0.1)
    assert (found["chance"][:3] < 0.05).all()


def test_observed_bins_are_line_season_transient_and_residual(found):
    t = np.arange(found.sizes["time"]) * 7 / 365.25
    line = found["offset"].values + np.outer(t, found["rate"].values)
    whole = line + found["season"] + found["transient"] + found["residual"]
    means = channels().values[:7].copy()
    np.testing.assert_allclose(whole[0], np.nanmean(means, axis=0), atol=1e-9)
    # 60 days without a value are eight bins or nine.
    assert 7 <= int(found["filled"][:, 1].sum()) <= 10
    assert (found["residual"].isnull() == found["filled"]).all()


def test_noise_alone_has_neither_season_nor_transient():
    hits = 0
    for seed in range(3):
        alone = seasons_and_transients(channels(seed, signal=0.0))
        hits += bool((alone["kind"] != "noise").any())
    # Each with a chance of five percent, of slow patterns still less.
    assert hits <= 1


def test_a_series_of_less_than_two_windows_is_refused():
    with pytest.raises(InputError, match="two windows"):
        seasons_and_transients(channels(days=1000))
    with pytest.raises(InputError, match="increase"):
        seasons_and_transients(channels()[::-1])
