"""Time of day on the device: from where, how well, and what it never believes."""

import itertools

import pytest
from fakes import FakeHardware
from hypothesis import given, settings
from hypothesis import strategies as st
from tilth_chamber import clock as clocks
from tilth_chamber.clock import BUILD_MS, SPAN_MS, Clock, milliseconds, read_reply

HOUR = 3_600_000
NOW = BUILD_MS + 200 * 86_400_000
NONCE = b"12345678"


def make(**options):
    hw = FakeHardware(utc=NOW, **options)
    hw.net.serve_ntp()
    return hw, Clock(hw, {"ntp_host": "ntp"})


def run(hw, clock, ms):
    end = hw.true_ms + ms
    while hw.true_ms < end:
        wake = clock.step(hw.ticks_ms())
        hw.true_ms = min(max(hw.true_of(wake), hw.true_ms + 1), end)


def error(hw, clock):
    return clock.utc(hw.ticks_ms()) - hw.utc_ms()


def reply(
    utc=NOW, first=0x24, stratum=2, delay=0, dispersion=0, nonce=NONCE, late=0, size=48
):
    """Bytes of an answer; utc of its transmit time in ms, `late` of its receipt."""
    data = bytearray(size)
    data[0], data[1] = first, stratum
    data[4:8] = delay.to_bytes(4, "big")
    data[8:12] = dispersion.to_bytes(4, "big")
    data[24:32] = nonce
    for at, ms in ((32, utc - late), (40, utc)):
        seconds = (ms // 1000 + 2208988800) % 2**32
        data[at : at + 4] = seconds.to_bytes(4, "big")
        data[at + 4 : at + 8] = ((ms % 1000 << 32) // 1000 + 1).to_bytes(4, "big")
    return bytes(data[:size])


def test_the_time_is_right_to_half_the_round_trip():
    for latency in (0, 20, 200):
        hw, clock = make(rtc=False)
        hw.net.latency_ms = latency
        run(hw, clock, 20_000)
        assert clock.source() == "ntp"
        assert abs(error(hw, clock)) <= 6


def test_without_network_and_clock_chip_there_is_no_time():
    hw, clock = make(rtc=False)
    hw.net.online = False
    run(hw, clock, HOUR)
    assert clock.utc(hw.ticks_ms()) is None
    assert clock.source() == "none"
    assert clock.syncs == []


def test_the_clock_chip_serves_until_the_network_answers_and_is_then_set():
    hw, _ = make()
    hw.rtc_write(NOW - 90_000)
    clock = Clock(hw, {"ntp_host": "ntp"})
    assert clock.source() == "rtc"
    assert clock.utc(hw.ticks_ms()) == NOW - 90_000
    run(hw, clock, 20_000)
    assert clock.source() == "ntp"
    assert abs(error(hw, clock)) < 10
    assert abs(hw.rtc_read() - hw.utc_ms()) <= 1000
    sources = [body["src"] for _, body in clock.syncs]
    assert sources == ["rtc", "ntp"]
    tick, body = clock.syncs[1]
    assert body["tick"] == tick
    assert body["utc"] == clock.utc(tick)


@pytest.mark.parametrize(
    "utc",
    [
        0,
        946_684_800_000,  # 2000
        2_085_978_496_000,  # 2036: NTP seconds are zero again
        -2_208_988_800_000,  # 1900
        BUILD_MS - 10**6,
        BUILD_MS + SPAN_MS,
    ],
)
def test_implausible_dates_are_never_shown_wherever_they_come_from(utc):
    hw, _ = make()
    hw.rtc_write(utc)
    clock = Clock(hw, {"ntp_host": "ntp"})
    assert clock.utc(hw.ticks_ms()) is None
    hw.net.serve_ntp(offset_ms=utc - NOW)
    run(hw, clock, 300_000)
    shown = clock.utc(hw.ticks_ms())
    assert shown is None


def test_seconds_of_the_next_era_are_read_as_such():
    end = 2**32 * 1000 - 2208988800 * 1000  # 2036-02-07T06:28:16Z
    for utc in (end - 1000, end, end + 1500):
        data = reply(utc)
        assert milliseconds(data, 40) == utc


@pytest.mark.parametrize("skew", [-300, -20, 0, 20, 300])
def test_a_crystal_that_is_off_is_learned_and_the_time_stays_right(skew):
    hw, clock = make(skew_ppm=skew, rtc=False)
    run(hw, clock, 3 * HOUR)
    worst = 0
    for _ in range(60):
        run(hw, clock, 600_000)
        worst = max(worst, abs(error(hw, clock)))
    assert worst < 60
    hw.net.online = False
    run(hw, clock, 24 * HOUR)
    assert abs(error(hw, clock)) < 400  # 300 ppm would be 26 s


def test_one_wrong_answer_moves_nothing():
    hw, clock = make(rtc=False)
    run(hw, clock, 10_000)
    wrong = [HOUR, 0, 0]
    hw.net.serve_ntp(offset_ms=lambda: wrong.pop(0) if wrong else 0)
    for _ in range(30):
        run(hw, clock, 10 * 60_000)
        assert abs(error(hw, clock)) < 60
    assert not any("what" in body for _, body in clock.syncs)


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_jump_is_followed_once_confirmed_and_reported(jump):
    hw, clock = make(rtc=False)
    run(hw, clock, 10_000)
    clock.syncs.clear()
    hw.net.serve_ntp(offset_ms=jump)
    run(hw, clock, 2 * HOUR)
    assert abs(error(hw, clock) - jump) < 60
    alarms = [body for _, body in clock.syncs if "what" in body]
    assert [a["what"] for a in alarms] == ["clock_jump"]
    assert abs(alarms[0]["ms"] - jump) < 60


def test_a_leap_second_is_neither_a_jump_nor_a_rate():
    hw, clock = make(rtc=False)
    run(hw, clock, 4 * HOUR)
    hw.net.serve_ntp(offset_ms=-1000)
    run(hw, clock, 6 * HOUR)
    assert not any("what" in body for _, body in clock.syncs)
    assert abs(error(hw, clock) + 1000) < 300


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"nonce": b"87654321"}, "stranger"),
        ({"size": 47}, "stranger"),
        ({"first": 0x23}, "mode"),
        ({"first": 0x25}, "mode"),
        ({"first": 0x04}, "mode"),
        ({"first": 0xE4}, "unsynchronised"),
        ({"stratum": 0}, "kiss"),
        ({"stratum": 16}, "unsynchronised"),
        ({"dispersion": 2 << 16}, "dispersion"),
        ({"delay": 3 << 16}, "dispersion"),
        ({"utc": NOW, "late": -50}, "stamps"),
        ({"late": 500}, "late"),
        ({"utc": 946_684_800_000}, "date"),
    ],
)
def test_answers_that_must_not_be_used_say_why(change, reason):
    good = read_reply(reply(), NONCE, 1000, 1040)
    assert good == (NOW + 20, 40)
    assert read_reply(reply(**change), NONCE, 1000, 1040) == (None, reason)


def test_an_answer_after_a_long_way_is_not_used():
    assert read_reply(reply(), NONCE, 0, 1500) == (None, "late")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80), st.integers(0, 10**6))
def test_any_answer_is_read_without_raising(data, now):
    utc, _ = read_reply(data, NONCE, 0, now)
    assert utc is None
    utc, _ = read_reply(data[:24] + NONCE + data[24:], NONCE, 0, now)
    assert utc is None or BUILD_MS <= utc < BUILD_MS + SPAN_MS


def test_a_server_that_says_go_away_is_left_alone_for_a_quarter_of_an_hour():
    hw, clock = make(rtc=False)
    asked = []

    def kiss(data, now):
        asked.append(now)
        return reply(stratum=0, nonce=data[40:48])

    hw.net.udp_peers[("ntp", 123)] = kiss
    run(hw, clock, HOUR)
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert 2 <= len(asked) <= 4
    assert min(gaps) >= 900_000


def test_a_silent_server_is_asked_less_and_less():
    hw, clock = make(rtc=False)
    asked = []
    hw.net.udp_peers[("ntp", 123)] = lambda data, now: asked.append(now)
    run(hw, clock, HOUR)
    assert 35 <= len(asked) <= 80
    hw.net.serve_ntp()
    run(hw, clock, 120_000)
    assert clock.source() == "ntp"


def test_it_asks_again_every_hour_with_jitter():
    times = []
    for seed in range(4):
        hw, clock = make(rtc=False, seed=seed)
        run(hw, clock, 10 * HOUR)
        ticks = [tick for tick, body in clock.syncs]
        gaps = [b - a for a, b in itertools.pairwise(ticks)]
        assert all(0.94 * HOUR < gap < 1.06 * HOUR for gap in gaps)
        times.append(tuple(ticks))
    assert len(set(times)) == 4


@pytest.mark.parametrize("start", [0, 2**30 - 5000])
def test_thirty_days_over_a_wrap_of_the_counter_keep_the_time(start):
    hw, clock = make(rtc=False, ticks_bits=30, ticks_start=start)
    run(hw, clock, 30 * 24 * HOUR)
    assert abs(error(hw, clock)) < 10
    assert clocks.is_plausible(clock.utc(hw.ticks_ms()))


def test_the_question_tells_nothing_of_this_clock():
    hw, clock = make(rtc=False)
    seen = []
    hw.net.udp_peers[("ntp", 123)] = lambda data, now: seen.append(data)
    run(hw, clock, 200_000)
    assert all(len(q) == 48 and q[0] == 0x23 for q in seen)
    assert all(q[1:40] == bytes(39) for q in seen)
    assert len({q[40:] for q in seen}) == len(seen) > 3
