"""Whatever happens, the lid opens first, and data and cycles go on."""

import itertools
import os

import pytest
from fakes import PowerCut, Reset
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from rig import SHUT, Rig
from tilth_chamber import states
from tilth_chamber.schedule import jitter
from tilth_chamber.states import TABLE

FIRST = 200_000  # start of the first cycle of the fake's time of day
CLOSED_AT = FIRST + 9_000
HOUR = 3_600_000
FULL = bool(os.environ.get("TILTH_FULL"))


def boom(rig):
    """Let the next sample raise what nobody expects."""
    sensors, app = rig.app.sensors, rig.app
    whole = sensors.sample

    def raises():
        sensors.sample = whole
        app.servo.log_from = len(rig.hw.servo_log)
        raise MemoryError("no memory for it")

    sensors.sample = raises


# --- exceptions


@pytest.mark.parametrize("when", [1_000, 4_000, 7_500, 60_000, 200_000, 236_000])
def test_an_exception_in_any_state_opens_the_lid_before_anything_else(when):
    rig = Rig(flux=0.15)
    rig.plan = [(FIRST + when, boom)]
    rig.run(FIRST + 600_000)
    (alarm,) = [a for a in rig.of("alarm") if a["what"] == "exception"]
    assert (alarm["kind"], alarm["text"]) == ("MemoryError", "no memory for it")
    (failed,) = [t for t, s in rig.states() if s == "fault"]
    # The lid's order stands before the record of the fault, and nothing between.
    after = rig.hw.servo_log[rig.app.servo.log_from]
    assert after == (failed, 500)
    assert rig.hw.lid_us == 500
    assert not any(a < failed + 1 < b for a, b in rig.fan_stretches())


def test_a_cycle_that_fails_is_reported_as_such_and_the_next_one_runs():
    rig = Rig(flux=0.15)
    rig.plan = [(FIRST + 100_000, boom)]
    rig.run(FIRST + 1_200_000)
    first, second = rig.of("cycle")
    assert (first["why"], second["why"]) == ("fault", "enough")
    assert second["cycle"] == first["cycle"] + 1
    gaps = {b[1] - a[1] for a, b in itertools.pairwise(rig.samples)}
    assert gaps <= {3_000, 6_000}  # the one sample that raised is lost


def test_five_exceptions_within_an_hour_lead_to_a_restart_with_everything_saved():
    rig = Rig(flux=0.78)
    rig.plan = [(FIRST + 100_000 * i, boom) for i in range(5)]
    rig.run(FIRST + 900_000)
    assert [cause for _, cause in rig.hw.resets] == ["power", "soft"]
    assert rig.spills > 0
    assert rig.of("state")[-1]["to"] != "fault"


def test_a_fault_that_never_ends_is_a_restart_a_minute_and_an_open_lid():
    rig = Rig(flux=0.78)

    def always(rig):
        rig.app.sensors.sample = lambda: 1 // 0

    make, started = rig.make, []

    def broken():
        app = make()
        started.append(rig.hw.true_ms)
        always(rig)
        return app

    rig.make = broken
    rig.run(HOUR)
    assert rig.hw.lid_us == 500
    assert all(us in (0, 500) for _, us in rig.hw.servo_log)
    gaps = [b - a for a, b in itertools.pairwise(started)]
    assert min(gaps) > 10_000


def test_when_even_the_servo_raises_the_chip_is_reset():
    rig = Rig(flux=0.78)

    def broken(rig):
        def servo_us(us):
            raise OSError(5)

        rig.hw.servo_us = servo_us
        boom(rig)

    rig.plan = [(CLOSED_AT + 50_000, broken)]
    start = rig.make

    def make():
        rig.hw.__dict__.pop("servo_us", None)
        return start()

    rig.make = make
    rig.run(FIRST + 300_000)
    assert [cause for _, cause in rig.hw.resets] == ["power", "soft"]
    assert rig.hw.lid_us == 500


# --- restarts of every kind


@pytest.mark.parametrize("cause", ["wdt", "soft", "power", "brownout"])
@pytest.mark.parametrize("after", [500, 9_500, 150_000, 200_000])
def test_whatever_restarts_the_chip_in_a_cycle_the_lid_opens_at_once(cause, after):
    rig = Rig(flux=0.15)

    def strike(rig):
        raise Reset(cause)

    rig.plan = [(FIRST + after, strike)]
    rig.run(FIRST + 600_000)
    struck = rig.hw.resets[1][0]
    first_order = next((t, us) for t, us in rig.hw.servo_log if t > struck)
    assert first_order == (struck + 500, 500)
    boots = [(t, tick, b) for t, tick, k, b, _ in rig.events if k == "boot"]
    assert (boots[1][1], boots[1][2]["reason"]) == (500, cause)


def test_a_loop_that_hangs_while_closed_is_bitten_and_the_lid_opens():
    rig = Rig(flux=0.15)
    rig.plan = [(CLOSED_AT + 295_000 - 100_000, lambda rig: None)]

    def hang(app):
        if app.chamber.state == states.EXTENDED and len(rig.hw.resets) == 1:
            app.step = lambda now: now + 10**9

    rig.checks.append(hang)
    rig.run(FIRST + 600_000)
    assert [cause for _, cause in rig.hw.resets] == ["power", "wdt"]
    closed = next(t for t, us in rig.hw.servo_log if us == 1167)
    opened = next(t for t, us in rig.hw.servo_log if us == 500 and t > closed)
    assert opened - closed < 313_000


# --- brown-outs


def test_brown_out_after_brown_out_wears_nothing_out_and_leaves_the_lid_alone():
    rig = Rig(flux=0.78)
    rig.hw.servo_fault = "brownout"
    # A hundred of them in the long version.
    hours = 130 if FULL else 24
    rig.run(hours * HOUR)
    causes = [cause for _, cause in rig.hw.resets]
    # Three at once, then after a minute, two, four and so on up to an hour.
    assert 0.5 * hours < causes.count("brownout") < 1.5 * hours + 12
    assert {"what": "brownouts", "n": 3} in rig.of("alarm")
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(rig.hw.resets)]
    assert max(gaps) > HOUR
    # It measures on: a sample each 3 s but for the starts and what they lose.
    assert len(rig.samples) > 0.98 * hours * HOUR / 3_000
    assert rig.hw.fs.writes < 20 * hours


def test_a_lid_left_closed_by_a_brown_out_is_opened_as_soon_as_the_supply_holds():
    rig = Rig(flux=0.15)

    def weaken(rig):
        rig.hw.servo_fault = "brownout"

    def mend(rig):
        rig.hw.servo_fault = None

    rig.plan = [(CLOSED_AT + 100_000, weaken), (CLOSED_AT + 1_000_000, mend)]
    rig.run(FIRST + 3 * HOUR)
    assert rig.hw.lid_us in (500, 1167)
    opened = next(
        t for t, us in rig.hw.servo_log if us == 500 and t > CLOSED_AT + 1_000_000
    )
    assert opened < CLOSED_AT + 1_000_000 + HOUR
    assert rig.of("cycle")[-1]["why"] in ("normal", "enough", "longest")
    # A whole cycle clears the count.
    rig.hw.servo_fault = "brownout"
    before = len(rig.hw.resets)
    rig.run(rig.hw.true_ms + 1_300_000)
    fresh = rig.hw.resets[before:]
    assert len(fresh) >= 2
    assert fresh[1][0] - fresh[0][0] < 700_000


# --- planned restarts


def test_every_six_hours_the_chip_restarts_in_open_air_after_a_delay_of_its_own():
    for mac in ("a4cf12000001", "a4cf12000002"):
        rig = Rig(flux=0.78, mac=mac).run(13 * HOUR)
        due = 6 * HOUR + jitter(mac, 600_000)
        (_, _), (t1, c1), (t2, c2) = rig.hw.resets
        assert (c1, c2) == ("soft", "soft")
        assert due <= t1 < due + 660_000
        assert due <= t2 - t1 < due + 660_000
        for t in (t1, t2):
            assert rig.state_at(t) == "reboot_pending"
            assert rig.hw.lid_us == 500
        # No cycle is missed for it.
        numbers = [c["cycle"] for c in rig.of("cycle")]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_eighty_five_chambers_restart_spread_over_ten_minutes():
    delays = sorted(jitter(f"a4cf1200{i:04x}", 600_000) for i in range(85))
    assert delays[-1] - delays[0] > 500_000
    assert max(b - a for a, b in itertools.pairwise(delays)) < 60_000


def test_nobody_restarts_with_records_that_only_memory_holds():
    rig = Rig(flux=0.78)
    rig.safe = False
    rig.run(9 * HOUR)
    assert len(rig.hw.resets) == 1
    pending = [t for t, s in rig.states() if s == "reboot_pending"]
    assert len(pending) > 5
    assert all(b - a > 500_000 for a, b in itertools.pairwise(pending))
    numbers = [c["cycle"] for c in rig.of("cycle")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    rig.safe = True
    rig.run(9 * HOUR + 1_400_000)
    assert len(rig.hw.resets) == 2


def test_a_restart_set_to_never_does_not_come():
    rig = Rig(flux=0.78, changes={"reboot_ms": 0}).run(8 * HOUR)
    assert len(rig.hw.resets) == 1


# --- the table


def test_every_state_can_be_left_and_every_event_leads_to_a_known_state():
    for state in range(len(states.NAMES)):
        assert TABLE[state]
        assert set(TABLE[state].values()) <= set(range(len(states.NAMES)))
    reached = {states.BOOT, states.FAULT}
    for _ in TABLE:
        for state in list(reached):
            reached.update(TABLE[state].values())
    assert len(reached) == len(states.NAMES)


def test_closing_is_the_only_way_to_closed_and_opening_the_only_way_out():
    for state, ways in TABLE.items():
        for event, after in ways.items():
            if after == states.CLOSED:
                assert (state, event) == (states.CLOSING, "shut")
            if state in states.SHUT:
                assert after in (states.EXTENDED, states.OPENING)


# --- everything at once


def hit(what, size, rig):
    """Let one thing of a plan happen."""
    hw, app = rig.hw, rig.app
    if what == "exception":
        boom(rig)
    elif what == "hang":
        hw.advance(size % 7_900)
    elif what == "wdt":
        hw.advance(8_000)
        raise Reset("wdt")
    elif what == "power":
        raise PowerCut
    elif what == "jump":
        rig.clock_error += (size - 50_000) * 97
    elif what == "clock":
        rig.clock_known = not rig.clock_known
    elif what == "stuck":
        hw.bus.stuck_clocks = size % 60
    elif what == "nak":
        hw.bus.nak[(0x61, 0x76, 0x23)[size % 3]] = size % 400
    elif what == "crc":
        hw.bus.corrupt[0x61] = size % 30
    elif what == "lid":
        hw.servo_fault = (None, "stuck")[size % 2]
    elif what == "brownout":
        hw.servo_fault = None if hw.servo_fault else "brownout"
    elif what == "label":
        app.relabel(f"1.{size % 999}.A", "touch", hw.ticks_ms())
    elif what == "unsafe":
        rig.safe = not rig.safe
    elif what == "config":
        rule = ("raw", "median")[size % 2]
        rig.send("config", {"rule": rule, "enough": 1 + size % 100})
    elif what == "calibrate":
        rig.send("calibrate", {"at": hw.utc_ms() + size * 10, "ppm": 420})
    else:
        rig.send(what, {"jitter_ms": size % 5_000} if what == "reboot" else {})


WHAT = [
    "exception hang wdt power jump clock stuck nak crc lid brownout label unsafe",
    "config calibrate reboot open servo_test report identify",
]
plans = st.lists(
    st.tuples(
        st.integers(2_000, 2_700_000),
        st.sampled_from(" ".join(WHAT).split()),
        st.integers(0, 100_000),
    ),
    max_size=14,
)


class Watch:
    """What must hold at every step whatever happens."""

    def __init__(self, rig):
        self.rig = rig
        self.entered = None

    def __call__(self, app):
        now, c = self.rig.hw.true_ms, app.chamber
        if c.state in states.SHUT:
            if self.entered is None or self.entered[0] is not app:
                self.entered = (app, now)
            assert now - self.entered[1] <= 310_000, "closed too long"
        else:
            self.entered = None
        if c.state in (*states.RESTING, states.FLUSH, states.REBOOT):
            assert app.servo.us == 500 or app.servo.locked, "not commanded open"
        if c.state in states.SHUT:
            assert app.fan.mode == 1, "fan at full speed while closed"
        if c.state in (states.EXERCISE, states.CLOSING, states.OPENING):
            assert not self.rig.hw.fan_on, "fan while the servo moves"


# Not shrunk: each example is fifty minutes of a chamber, and shrinking takes hours.
@settings(
    max_examples=2_000 if FULL else 40,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
@given(
    plan=plans,
    flux=st.sampled_from([0.0, 0.05, 0.15, 0.78, -0.3]),
    known=st.booleans(),
    skew=st.sampled_from([0, 300, -300]),
    bits=st.sampled_from([None, 30]),
)
def test_no_sequence_of_mishaps_breaks_what_must_hold(plan, flux, known, skew, bits):
    rig = Rig(
        flux=flux,
        clock_known=known,
        skew_ppm=skew,
        ticks_bits=bits,
        ticks_start=(1 << 30) - 1_000_000,
    )
    rig.checks.append(Watch(rig))
    rig.plan = [
        (t, lambda rig, w=what, n=size: hit(w, n, rig))
        for t, what, size in sorted(plan)
    ]
    rig.run(3_000_000)
    # Grid: within each boot, samples are whole steps apart but where the loop hung.
    kinds = {what for _, what, _ in plan}
    for (t0, a, *_), (t1, b, *_) in itertools.pairwise(rig.samples):
        rebooted = any(t0 <= t <= t1 for t, _ in rig.hw.resets)
        if not rebooted and not kinds & {"hang", "exception"}:
            assert abs(b - a - 3_000) <= (skew != 0)
        assert rebooted or b > a
    for cycle in rig.of("cycle"):
        if cycle["close"] is not None:
            assert cycle["sweeps"] == 2
            assert 0 <= cycle["open"] - cycle["close"] <= 310_000
        if cycle["why"] in ("normal", "enough", "longest"):
            # To the nearest sample where the loop hung.
            assert cycle["open"] - cycle["close"] >= 180_000 - 1_500
    # Pulses while closed are half a second, or as long as the loop hung.
    for begin, end in rig.fan_stretches():
        if rig.state_at(begin) in SHUT and not kinds & {"hang", "wdt"}:
            assert end - begin <= 501
    # After every start the first order to the servo is to open.
    for t, _ in rig.hw.resets:
        orders = [us for at, us in rig.hw.servo_log if (at > t or t == 0) and us]
        assert not orders or orders[0] == 500
    # Two cycles are never lost in a row to a planned restart: none came in this time.
    assert rig.hw.lid_us in (500, 1167, 2500)
