import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.chambers.air import air_moles_per_area
from tilth.chambers.quality.cycle import closing_time, keep_closed

#: Slope per flux of the fleet's chamber, ppm s-1 per umol m-2 s-1.
SLOPE = 1.0 / air_moles_per_area(0.165, 1.0, 101_300.0, 25.0)
SECONDS = np.arange(0.0, 601.0, 3.0)


@pytest.mark.parametrize(
    ("elapsed_ms", "change", "closed"),
    [
        (0, 1000, True),
        (179_999, 1000, True),
        (180_000, 1000, False),
        (180_000, 5, False),
        (180_000, 4, True),
        (180_000, 4.999, True),
        (180_000, -5, False),
        (180_000, -4, True),
        (240_000, 0, True),
        (240_000, 5, False),
        (299_999, 0, True),
        (300_000, 0, False),
        (300_001, 0, False),
        (10**9, 0, False),
    ],
)
def test_the_rule_at_its_edges(elapsed_ms, change, closed):
    assert keep_closed(elapsed_ms, change) is closed


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_without_a_reading_the_chamber_stays_closed_but_not_for_ever(missing):
    assert keep_closed(180_000, missing)
    assert keep_closed(299_999, missing)
    assert not keep_closed(300_000, missing)


def test_a_clock_that_runs_backwards_opens_the_chamber():
    assert not keep_closed(-1, 0)


def test_tenths_of_a_ppm_as_integers_decide_alike():
    for change in range(-70, 71):
        tenths = keep_closed(200_000, change, enough_change=50)
        assert tenths == keep_closed(200_000, change / 10)


@given(
    st.integers(-(10**7), 10**7),
    st.one_of(st.none(), st.integers(-(10**6), 10**6), st.floats(allow_nan=True)),
)
def test_a_chamber_is_never_closed_beyond_five_minutes_nor_opened_before_three(
    elapsed_ms, change
):
    closed = keep_closed(elapsed_ms, change)
    if elapsed_ms >= 300_000:
        assert not closed
    if 0 <= elapsed_ms < 180_000:
        assert closed


def test_the_rule_needs_no_library():
    code = (
        "import sys, runpy; "
        "names = runpy.run_path(sys.argv[1]); "
        "assert names['keep_closed'](180_000, 4) is True; "
        "assert 'numpy' not in sys.modules"
    )
    from tilth.chambers.quality import cycle

    subprocess.run([sys.executable, "-c", code, cycle.__file__], check=True)


@pytest.mark.parametrize(
    ("flux", "raw", "median"),
    [(0.78, 180.0, 180.0), (0.15, 225.0, 252.0), (0.05, 300.0, 300.0)],
)
def test_noise_free_traces_open_when_the_fleet_note_says(flux, raw, median):
    co2 = 450.0 + flux * SLOPE * SECONDS
    assert closing_time(SECONDS, co2) == [raw]
    assert closing_time(SECONDS, co2, dead_band=15.0, width=5) == [median]


@pytest.mark.parametrize(
    ("flux", "options", "opens"),
    [
        (0.188, {}, 180.0),
        (0.186, {}, 183.0),
        (0.221, {"dead_band": 15.0, "width": 5}, 180.0),
        (0.219, {"dead_band": 15.0, "width": 5}, 183.0),
    ],
)
def test_the_smallest_flux_without_extension(flux, options, opens):
    co2 = 450.0 + flux * SLOPE * SECONDS
    assert closing_time(SECONDS, co2, **options) == [opens]


def test_the_vectorised_rule_is_the_pure_rule_sample_by_sample():
    rng = np.random.default_rng(1)
    co2 = 450 + rng.uniform(-0.05, 0.05, 200)[:, None] * SECONDS
    co2 += rng.normal(0, 2, co2.shape)
    for row, opens in zip(co2, closing_time(SECONDS, co2), strict=True):
        step = 0
        while keep_closed(int(1000 * SECONDS[step]), row[step] - row[0]):
            step += 1
        assert SECONDS[step] == opens


def test_uptake_ends_the_extension_as_release_does():
    up, down = 450 + 0.02 * SECONDS, 450 - 0.02 * SECONDS
    assert closing_time(SECONDS, up) == closing_time(SECONDS, down) == [252.0]


def test_missing_samples_never_open_early_and_a_short_record_gives_nan():
    co2 = 450 + 0.1 * SECONDS
    co2[(SECONDS >= 180) & (SECONDS < 198)] = np.nan
    assert closing_time(SECONDS, co2) == [198.0]
    assert np.isnan(closing_time(SECONDS[:50], co2[:50])).all()
    assert closing_time(SECONDS, np.full(len(SECONDS), np.nan)) == [300.0]


def test_samples_before_closing_are_not_the_start():
    t = np.arange(-30.0, 301.0, 3.0)
    co2 = np.where(t < 0, 900.0, 450.0 + 0.001 * t)
    assert closing_time(t, co2) == [300.0]
