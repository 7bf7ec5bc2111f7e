"""The firmware's rule of closing is the one the science room analyses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tilth_chamber.closure import Closure, twice_median
from tilth_chamber.settings import defaults

from tilth.chambers.quality.cycle import closing_time, keep_closed

# Concentrations of an extension's size around 5 ppm, in 0.001 ppm, some missing.
reading = st.one_of(st.none(), st.integers(-9_000, 9_000))
STEP = 3_000


def settled(**changes):
    return {**defaults(), **changes}


def play(values, **changes):
    """Time and reason of opening, ms, or (None, None) if the series ends closed."""
    closure = Closure(settled(**changes))
    for i, value in enumerate(values):
        verdict = closure.sample(i * STEP, value)
        if verdict not in (None, "little"):
            return i * STEP, verdict
    return None, None


@settings(max_examples=60)
@given(st.lists(reading, min_size=101, max_size=101), st.integers(1, 120))
def test_the_raw_rule_decides_every_sample_as_keep_closed_does(values, enough):
    closure = Closure(settled(enough=enough))
    first = None
    for i, value in enumerate(values):
        if first is None:
            first = value
        change = None if None in (first, value) else value - first
        stays = keep_closed(i * STEP, change, enough_change=enough * 100)
        verdict = closure.sample(i * STEP, value)
        assert stays == (verdict in (None, "little"))
        if not stays:
            break


@settings(max_examples=60)
@given(
    values=st.lists(reading, min_size=101, max_size=101),
    enough=st.integers(1, 120),
    width=st.integers(1, 9),
    dead_band=st.integers(0, 20),
    normal=st.integers(40, 70),
    extra=st.integers(0, 30),
)
def test_medians_open_when_the_analysis_says(
    values, enough, width, dead_band, normal, extra
):
    when, why = play(
        values,
        rule="median",
        enough=enough,
        width=width,
        dead_band_ms=dead_band * STEP,
        closed_ms=normal * STEP,
        extend_ms=extra * STEP,
    )
    seconds = np.arange(101) * 3.0
    ppm = np.array([[np.nan if v is None else v / 1000 for v in values]])
    # In thousandths, so that both compare whole numbers.
    expected = closing_time(
        seconds,
        np.round(ppm * 1000),
        enough_change=enough * 100,
        normal=normal * 3.0,
        longest=(normal + extra) * 3.0,
        dead_band=dead_band * 3.0,
        width=width,
    )[0]
    assert when == expected * 1000
    assert (why == "longest") == (when == (normal + extra) * STEP and extra > 0) or (
        why == "enough"
    )


@settings(max_examples=40)
@given(
    slope=st.integers(-300, 300),
    noise=st.lists(st.integers(-3_000, 3_000), min_size=101, max_size=101),
    rule=st.sampled_from(["raw", "median"]),
)
def test_noisy_lines_open_when_the_analysis_says(slope, noise, rule):
    values = [420_000 + slope * i + e for i, e in enumerate(noise)]
    median = rule == "median"
    expected = closing_time(
        np.arange(101) * 3.0,
        np.array([values], float),
        enough_change=5_000,
        dead_band=15.0 if median else 0.0,
        width=5 if median else 1,
    )[0]
    when, _ = play(values, rule=rule)
    assert when == expected * 1000


def test_exactly_five_ppm_are_enough_and_a_thousandth_less_is_not():
    assert play([0] * 60 + [5_000] * 41)[0] == 180_000
    assert play([0] * 60 + [4_999] * 41)[0] == 300_000
    assert play([0] * 60 + [-5_000] * 41)[0] == 180_000


def test_medians_of_an_even_count_are_not_rounded():
    assert twice_median([1, 2]) == 3
    assert twice_median([5, 1, 2]) == 4
    # 5.0005 ppm between medians of two are enough for 5.0005 and 5.000, not 5.001.
    values = [0] * 99 + [5_000, 5_001]
    assert play([*values, 5_001], rule="median", width=2)[1] == "longest"


@pytest.mark.parametrize("width", [1, 5, 9])
def test_one_spike_ends_a_raw_closure_but_not_a_median_one(width):
    values = [0] * 101
    values[61] = 40_000
    assert play(values)[0] == 183_000
    when = play(values, rule="median", width=width)[0]
    assert when == (183_000 if width == 1 else 300_000)
