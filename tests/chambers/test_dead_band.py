"""The dead-band rule."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.chambers.closures import make_closures
from tilth.chambers.readers.dead_band import auto_dead_band
from tilth.core.errors import InputError


def closures(*series, dt=1.0):
    names = [f"c{i}" for i in range(len(series))]
    times = [np.arange(len(s)) * dt for s in series]
    return make_closures(names, {"elapsed": times, "co2": list(series)})


def mixing(dead, n=180):
    """A straight rise that begins only after a flat start of `dead` seconds."""
    t = np.arange(float(n))
    return 420 + 0.1 * np.maximum(t - dead, 0)


def brute_force(t, c, min_gain):
    """The rule written out for one closure."""
    best, best_r2, before = None, -1.0, None
    for d in range(0, 61, 10):
        inside = (t >= d) & (t <= 90)
        r2 = round(np.corrcoef(t[inside], c[inside])[0, 1] ** 2, 12)
        if (before is None or r2 - before >= min_gain) and r2 > best_r2:
            best, best_r2 = d, r2
        before = r2
    return best


def test_the_first_candidate_after_the_disturbance_is_chosen():
    result = auto_dead_band(closures(mixing(25), mixing(8), mixing(40)))
    assert result.values.tolist() == [30.0, 10.0, 40.0]
    assert result.attrs["units"] == "s"


def test_a_straight_closure_needs_no_dead_band():
    assert auto_dead_band(closures(mixing(0))).item() == 0.0


def test_a_falling_concentration_is_treated_alike():
    assert auto_dead_band(closures(900 - mixing(25))).item() == 30.0


def test_a_gain_too_small_to_give_up_data_is_not_taken():
    t = np.arange(90.0)
    bent = closures(400 + t - 0.002 * t**2)
    assert auto_dead_band(bent).item() > 0
    assert auto_dead_band(bent, min_gain=0.01).item() == 0.0


def test_closures_without_enough_samples_or_change_have_no_dead_band():
    result = auto_dead_band(closures(np.array([400.0, 401.0]), np.full(100, 400.0)))
    assert np.isnan(result.values).all()


def test_samples_before_closing_and_missing_ones_do_not_count():
    clean = mixing(25)
    data = closures(clean)
    data["co2"][0, 40] = np.nan
    data["elapsed"][0, 0] = -5.0
    data["co2"][0, 0] = 9999.0
    assert auto_dead_band(data).item() == 30.0


def test_chunks_give_the_same_as_memory():
    data = closures(mixing(25), mixing(8), mixing(40))
    lazy = auto_dead_band(data.chunk(closure=1))
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy, auto_dead_band(data))


def test_a_window_that_ends_before_the_candidates_is_refused():
    with pytest.raises(InputError, match="window_end=50"):
        auto_dead_band(closures(mixing(0)), window_end=50.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), min_gain=st.sampled_from([0.0, 0.001, 0.02]))
def test_all_closures_at_once_equal_the_rule_written_out_for_each(seed, min_gain):
    rng = np.random.default_rng(seed)
    series = [mixing(rng.uniform(0, 60)) + rng.normal(0, 0.5, 180) for _ in range(4)]
    result = auto_dead_band(closures(*series), min_gain=min_gain)
    t = np.arange(180.0)
    assert result.values.tolist() == [brute_force(t, c, min_gain) for c in series]
