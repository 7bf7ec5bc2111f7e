"""Singular spectra: parts add up, oscillations come in pairs, gaps are filled."""

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.gnss.positions.ssa import analyse, fill_gaps

EPOCHS = 300
TIME = np.arange(EPOCHS)


def waves(noise=0.0, seed=0):
    """Return two channels that share an oscillation of 25 epochs."""
    draws = np.random.default_rng(seed)
    both = np.column_stack(
        [np.sin(2 * np.pi * TIME / 25), 0.5 * np.cos(2 * np.pi * TIME / 25)]
    )
    return both + noise * draws.normal(size=both.shape)


def test_all_parts_add_up_to_the_series():
    values = waves(noise=0.5)
    found = analyse(values, 40)
    np.testing.assert_allclose(found.parts.sum(axis=0), values, atol=1e-10)
    assert found.share.sum() == pytest.approx(1.0)
    assert (np.diff(found.share) <= 1e-12).all()


def test_patterns_are_orthonormal():
    found = analyse(waves(noise=0.5), 40)
    flat = found.patterns.reshape(len(found.patterns), -1)
    np.testing.assert_allclose(flat @ flat.T, np.eye(len(flat)), atol=1e-10)


def test_an_oscillation_is_a_pair_and_holds_all_channels():
    values = waves()
    found = analyse(values, 50, 4)
    assert found.share[:2].sum() == pytest.approx(1.0, abs=1e-9)
    assert found.share[0] == pytest.approx(found.share[1], rel=0.05)
    np.testing.assert_allclose(found.parts[:2].sum(axis=0), values, atol=1e-6)


def test_one_channel_may_come_without_a_second_dimension():
    one = analyse(waves()[:, 0], 50, 2)
    assert one.parts.shape == (2, EPOCHS, 1)


def test_gaps_in_an_oscillation_are_filled_to_the_noise():
    truth, values = waves(), waves(noise=0.2, seed=3)
    values[100:112, 0] = np.nan
    values[200:230, 1] = np.nan
    gaps = np.isnan(values)
    filled = fill_gaps(values, 50)
    assert (filled.values[~gaps] == values[~gaps]).all()
    error = np.sqrt(np.mean((filled.values - truth)[gaps] ** 2))
    assert error < 0.15  # a quarter of the oscillation would be left by the mean
    # Against noisy values held out: the noise itself, and a little more.
    assert (filled.se > 0.15).all()
    assert (filled.se < 0.3).all()
    assert filled.patterns >= 2


def test_filling_is_repeatable_and_leaves_whole_series_alone():
    values = waves(noise=0.3)
    assert (fill_gaps(values, 50).values == values).all()
    values[50:60] = np.nan
    first, second = (fill_gaps(values, 50).values for _ in range(2))
    assert (first == second).all()


def test_what_cannot_be_analysed_is_refused():
    values = waves()
    with pytest.raises(InputError, match="at most half"):
        analyse(values, 200)
    with pytest.raises(InputError, match="two dimensions"):
        analyse(values[None], 20)
    values[3] = np.nan
    with pytest.raises(InputError, match="fill the gaps"):
        analyse(values, 20)
    values[100:] = np.nan
    with pytest.raises(InputError, match="less than half"):
        fill_gaps(values, 20)
