"""From ticks to UTC: what a boot says of its clock, and what is believed of it."""

import pytest
from batches_world import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.fleet.channels import QUALITIES
from tilth.fleet.clockmap import FAR_MS, MAX_POINTS, BootClock, SyncPoint, is_plausible

HOUR = 3_600_000
DAY = 24 * HOUR


def clock_of(*points, source="ntp", lag=500):
    """A clock told of (tick, utc) pairs, each heard `lag` ms later."""
    clock = BootClock()
    for tick, utc in points:
        assert clock.observe(SyncPoint(tick, utc, source, utc + lag)) == []
    return clock


def test_one_synchronisation_times_what_was_before_and_what_comes_after():
    clock = clock_of((60_000, NOW))
    assert clock.at(0) == NOW - 60_000
    assert clock.at(60_000) == NOW
    assert clock.at(10 * DAY) == NOW + 10 * DAY - 60_000


@pytest.mark.parametrize("ppm", [-300, -20, 0, 5, 300])
def test_the_rate_of_a_crystal_is_learned_from_two_hours_of_synchronisations(ppm):
    def utc(tick):
        return NOW + tick + tick * ppm // 1_000_000

    clock = clock_of(*((tick, utc(tick)) for tick in range(0, 2 * HOUR + 1, HOUR // 2)))
    assert abs(clock.rate_ppb - 1000 * ppm) <= 1000
    assert abs(clock.at(5 * HOUR) - utc(5 * HOUR)) <= 20
    assert abs(clock.at(HOUR // 3) - utc(HOUR // 3)) <= 2


def test_a_rate_beyond_500_ppm_is_not_a_rate():
    clock = clock_of((0, NOW), (HOUR, NOW + HOUR + 3_600))  # 1000 ppm
    assert abs(clock.rate_ppb) <= 500_000


def test_one_wrong_synchronisation_among_several_is_outvoted():
    good = [(tick, NOW + tick) for tick in range(0, 6 * HOUR, HOUR)]
    clock = clock_of(*good, (6 * HOUR + 5, NOW + 5 * HOUR), lag=10_000)
    assert clock.at(7 * HOUR) == NOW + 7 * HOUR


def test_of_two_contradicting_clocks_the_one_that_is_live_is_right():
    clock = BootClock()
    # First an hour slow, then corrected: only the latter makes its messages live.
    clock.observe(SyncPoint(0, NOW - HOUR, "ntp", NOW + 1_000))
    clock.observe(SyncPoint(600_000, NOW + 600_000, "ntp", NOW + 601_000))
    assert clock.at(0) == NOW
    # And the other way round: a jump back is not followed.
    clock = clock_of((0, NOW), lag=1_000)
    clock.observe(SyncPoint(600_000, NOW - HOUR, "ntp", NOW + 601_000))
    assert clock.at(600_000) == NOW + 600_000


def test_a_better_kind_of_clock_replaces_a_worse_one():
    clock = BootClock()
    assert clock.time(0, NOW - 90_000, "rtc", NOW) == (NOW - 90_000, QUALITIES["rtc"])
    assert clock.source == "rtc"
    clock.observe(SyncPoint(60_000, NOW + 60_000, "ntp", NOW + 61_000))
    assert clock.source == "ntp"
    assert clock.at(0) == NOW
    # The battery clock is not asked again.
    assert clock.time(120_000, NOW + 30_000, "rtc", NOW + 121_000) == (
        NOW + 120_000,
        QUALITIES["mapped"],
    )


@pytest.mark.parametrize(
    "utc",
    [
        0,  # 1970
        946_684_800_000,  # 2000, an RTC that was reset
        2_085_978_496_000,  # 2036, the next era of NTP
        NOW + FAR_MS + 1,
        -1,
        1_577_836_799_999,
    ],
)
def test_impossible_dates_are_never_used(utc):
    clock = BootClock()
    assert len(clock.observe(SyncPoint(5_000, utc, "ntp", NOW))) == 1
    assert clock.time(5_000, utc, "ntp", NOW) == (None, QUALITIES["unknown"])
    assert not clock.known
    clock.hear(5_000, NOW)
    assert clock.settle()
    assert clock.at(5_000) == NOW


def test_a_backlog_of_three_days_is_believed_with_a_synchronisation_only():
    then = NOW - 3 * DAY
    clock = BootClock()
    clock.hear(5_000, NOW)
    assert clock.time(5_000, then, "ntp", NOW) == (None, QUALITIES["unknown"])
    clock.observe(SyncPoint(2_000, then - 3_000, "ntp", NOW))
    assert clock.time(5_000, then, "ntp", NOW) == (then, QUALITIES["ntp"])
    # Without one, its own word is still better than the time of receipt.
    alone = BootClock()
    alone.hear(5_000, NOW)
    alone.time(5_000, then, "ntp", NOW)
    assert alone.settle()
    assert alone.at(5_000) == then


def test_a_jump_of_the_device_does_not_move_its_records():
    clock = clock_of((0, NOW), (HOUR, NOW + HOUR))
    for jump in (-HOUR, HOUR, 30_000, -86_400_000):
        tick = 2 * HOUR
        t, quality = clock.time(tick, NOW + tick + jump, "ntp", NOW + tick + 1_000)
        assert (t, quality) == (NOW + tick, QUALITIES["mapped"])
    # A leap second, smeared or not, is within what clocks differ by.
    t, quality = clock.time(2 * HOUR, NOW + 2 * HOUR + 1_000, "ntp", NOW + 2 * HOUR)
    assert (t, quality) == (NOW + 2 * HOUR + 1_000, QUALITIES["ntp"])


def test_a_device_without_any_clock_is_timed_by_its_fastest_message():
    clock = BootClock()
    for tick, lag in ((0, 9_000), (15_000, 120), (30_000, 4_000)):
        clock.hear(tick, NOW + tick + lag)
    assert clock.time(30_000, None, "none", NOW) == (None, QUALITIES["unknown"])
    assert clock.settle()
    assert clock.source == "received"
    assert clock.time(30_000, None, "none", NOW) == (
        NOW + 30_120,
        QUALITIES["received"],
    )


def test_a_clock_remembers_a_bounded_number_of_synchronisations():
    clock = BootClock()
    last = 24 * 6 - 1
    for hour in range(last + 1):
        tick = hour * HOUR
        clock.observe(SyncPoint(tick, NOW + tick + hour, "ntp", NOW + tick + 100))
    assert len(clock.points) <= MAX_POINTS
    # Both ends are kept, and what is between lies on the line.
    for hour in (0, 3, 77, last):
        assert abs(clock.at(hour * HOUR) - NOW - hour * HOUR - hour) <= 2


def test_a_clock_is_the_same_after_being_stored_and_read():
    clock = clock_of(
        (0, NOW), (HOUR, NOW + HOUR + 40), (5 * HOUR, NOW + 5 * HOUR + 200)
    )
    again = BootClock(list(clock.points), clock.heard)
    assert [again.at(t) for t in range(0, DAY, HOUR)] == [
        clock.at(t) for t in range(0, DAY, HOUR)
    ]


@settings(max_examples=30, deadline=None)
@given(
    ppm=st.integers(-400, 400),
    ticks=st.lists(st.integers(0, 30 * DAY), min_size=1, max_size=12, unique=True),
    noise=st.lists(st.integers(-80, 80), min_size=12, max_size=12),
    asked=st.integers(0, 30 * DAY),
)
def test_mapped_times_stay_within_what_the_crystal_can_drift(ppm, ticks, noise, asked):
    def utc(tick):
        return NOW + tick + tick * ppm // 1_000_000

    clock = clock_of(*((t, utc(t) + n) for t, n in zip(ticks, noise, strict=False)))
    away = min(abs(asked - tick) for tick in ticks)
    assert abs(clock.at(asked) - utc(asked)) <= 1_200 + away * 1e-3


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**53 - 1),
            st.integers(-(2**53), 2**53),
            st.sampled_from(["ntp", "rtc", "none"]),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_no_record_ever_gets_an_impossible_date(told):
    clock = BootClock()
    for tick, utc, src, event in told:
        clock.hear(tick, NOW)
        if event:
            clock.observe(SyncPoint(tick, utc, "ntp" if src == "ntp" else "rtc", NOW))
        t, quality = clock.time(tick, utc, src, NOW)
        assert (t is None) == (quality == QUALITIES["unknown"])
        assert t is None or is_plausible(t, NOW)
        assert len(clock.points) <= MAX_POINTS
