"""The state machine of alarms, step by step in virtual time."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.fleet.alarms.engine import Engine, Window
from tilth.fleet.alarms.rules import Reading, Rule, Subjects, built_in_rules

T0 = 1_753_000_000_000
DEVICE = "a0b765000001"
RULE = Rule(
    "hot", "air", "{place} at {value}", above=40.0, clear_above=38.0,
    hold_ms=60_000, clear_ms=60_000, flaps=3, flap_ms=3_600_000,
)  # fmt: skip
PLACES = Subjects({DEVICE: "5.10.A"})


class Run:
    """An engine of one rule, and one device, fed value by value every ten seconds."""

    def __init__(self, rule=RULE, **more):
        self.engine, self.now = Engine({rule.name: rule, **more}), T0
        self.key = (rule.name, DEVICE)
        self.log = []

    def feed(self, value, seconds=0, step=10, windows=(), places=PLACES, **facts):
        """Look once, and again until so many seconds are over."""
        end = self.now + 1000 * seconds
        while True:
            given = {"air": {DEVICE: Reading(value)}} | facts
            changes = self.engine.step(self.now, given, places, windows)
            said = [(c.kind, self.now - T0) for c in changes if c.kind != "timer"]
            self.log += said
            self.now += 1000 * step
            if self.now > end:
                return [kind for kind, _ in said]

    @property
    def alarm(self):
        return self.engine.alarms.get(self.key)

    @property
    def state(self):
        return self.alarm.state if self.alarm else None


def test_an_alarm_is_given_when_its_condition_has_lasted():
    run = Run()
    run.feed(41, 50)
    assert run.state == "pending"
    run.feed(41, 10)
    assert run.state == "firing"
    assert run.log == [("opened", 0), ("fired", 60_000)]
    assert run.alarm.message == "5.10.A at 41"
    assert run.alarm.group == "table 5"


def test_a_moment_is_no_alarm():
    run = Run()
    run.feed(41, 40)
    run.feed(39, 0)
    assert run.state is None
    assert run.log[-1][0] == "dropped"


def test_a_rule_without_duration_fires_at_once():
    run = Run(replace(RULE, hold_ms=0))
    assert run.feed(41) == ["fired"]


def test_between_the_two_limits_nothing_changes():
    run = Run()
    run.feed(39, 600)
    assert run.state is None
    run.feed(41, 70)
    run.feed(39, 3600)
    assert run.state == "firing"
    run.feed(37, 70)
    assert run.state == "resolved"


def test_it_must_be_over_for_a_while():
    run = Run()
    run.feed(41, 70)
    for _ in range(5):
        run.feed(37, 40)
        run.feed(39)
    assert run.state == "firing"


def test_the_limit_itself_is_no_alarm():
    run = Run()
    run.feed(40.0, 600)
    assert run.state is None
    run.feed(41, 70)
    run.feed(38.0, 70)
    assert run.state == "resolved"


def test_a_rule_can_have_two_sides():
    rule = Rule("off", "air", "x", above=4, below=0.5, clear_above=3.7, clear_below=0.7,
                clear_ms=0)  # fmt: skip
    run = Run(rule)
    assert run.feed(2.0) == []
    assert run.feed(0.4) == ["fired"]
    assert run.feed(0.6) == []
    assert run.feed(5.0) == []
    assert run.feed(3.8) == []
    assert run.feed(2.0) == ["resolved"]


@pytest.mark.parametrize("value", [None, float("nan")])
def test_no_data_keeps_an_alarm_as_it_is(value):
    run = Run()
    run.feed(value, 3600)
    assert run.state is None
    run.feed(41, 70)
    run.feed(value, 86_400, step=50)
    assert run.state == "firing"
    assert "no data" in run.alarm.message


def test_no_data_can_end_an_alarm_after_its_own_time():
    run = Run(replace(RULE, no_data="clear", no_data_ms=300_000))
    run.feed(41, 70)
    run.feed(None, 290)
    assert run.state == "firing"
    run.feed(None, 20)
    assert run.state == "resolved"


def test_no_data_can_be_the_alarm_after_its_own_time():
    run = Run(replace(RULE, no_data="alarm", no_data_ms=300_000))
    run.feed(None, 290)
    assert run.state == "pending"
    run.feed(None, 20)
    assert run.state == "no_data"
    assert run.alarm.active
    run.feed(20, 0)
    assert run.state == "no_data"
    run.feed(20, 60)
    assert run.state == "resolved"


def test_a_gap_in_the_data_does_not_flap_the_no_data_alarm():
    run = Run(replace(RULE, no_data="alarm", no_data_ms=300_000))
    for _ in range(20):
        run.feed(None, 200)
        run.feed(20)
    assert {kind for kind, _ in run.log} <= {"opened", "dropped"}


def test_an_alarm_without_data_that_then_exceeds_is_the_same_alarm():
    run = Run(replace(RULE, no_data="alarm", no_data_ms=60_000))
    run.feed(None, 70)
    alarm = run.alarm
    run.feed(45)
    assert run.state == "firing"
    assert run.alarm is alarm


def test_what_comes_back_soon_is_the_same_alarm_and_is_damped():
    run = Run()
    for _ in range(6):
        run.feed(41, 70)
        run.feed(37, 70)
    kinds = [kind for kind, _ in run.log]
    assert kinds.count("fired") == 1
    assert kinds.count("refired") == 2
    assert run.state == "firing"
    assert run.alarm.flaps == 2
    run.feed(37, 3700)
    assert run.state == "resolved"


def test_what_comes_back_late_is_a_new_alarm():
    run = Run()
    run.feed(41, 70)
    run.feed(37, 7200)
    assert run.alarm is None
    run.feed(41, 70)
    assert [k for k, _ in run.log].count("fired") == 2


def test_a_pause_of_the_engine_counts_for_no_duration():
    run = Run(replace(RULE, hold_ms=3_600_000))
    run.feed(41, 60)
    run.now += 86_400_000
    run.feed(41, 60)
    assert run.state == "pending"
    run.feed(41, 3600)
    assert run.state == "firing"
    run.feed(37, 20)
    run.now += 86_400_000
    run.feed(37)
    assert run.state == "resolved"  # a minute of the pause is believed


@pytest.mark.parametrize("jump", [-3_600_000, 3_600_000])
def test_a_jump_of_the_clock_neither_fires_nor_ends(jump):
    run = Run(replace(RULE, hold_ms=600_000, clear_ms=600_000))
    run.feed(41, 100)
    run.now += jump
    run.feed(41, 100)
    assert run.state == "pending"
    run.feed(41, 600)
    assert run.state == "firing"
    run.feed(37, 100)
    run.now += jump
    run.feed(37, 100)
    assert run.state == "firing"


def test_a_restart_neither_forgets_nor_fires_again():
    first = Run()
    first.feed(41, 70)
    second = Run()
    second.engine = Engine({"hot": RULE}, [first.alarm], first.engine.last_step)
    second.now = first.now
    assert second.feed(41, 600) == []
    assert second.log == []
    assert second.state == "firing"


def test_an_acknowledged_alarm_stays_one():
    run = Run()
    run.feed(41, 70)
    run.engine.acknowledge(run.key, "ida", run.now)
    run.feed(41, 600)
    assert (run.alarm.acked_by, run.state) == ("ida", "firing")
    with pytest.raises(InputError, match="no alarm"):
        run.engine.acknowledge(("hot", "other"), "ida", run.now)


def test_a_snoozed_alarm_is_quiet_until_its_time():
    run = Run()
    run.feed(41, 70)
    run.engine.snooze(run.key, run.now + 3_600_000)
    run.feed(41, 60)
    assert run.alarm.quiet == "snoozed"
    run.feed(41, 3600)
    assert run.alarm.quiet == ""


@pytest.mark.parametrize(
    ("scope", "quiet"),
    [("*", True), ("5", True), ("5.10", True), ("5.10.A", True), (DEVICE, True),
     ("5.1", False), ("51", False), ("6", False)],
)  # fmt: skip
def test_maintenance_covers_what_its_scope_says(scope, quiet):
    run = Run()
    window = Window(scope, T0, T0 + 600_000)
    run.feed(41, 70, windows=[window])
    assert run.state == "firing"
    assert run.alarm.quiet == ("maintenance" if quiet else "")
    run.now = T0 + 600_000
    run.feed(41, windows=[window])
    assert run.alarm.quiet == ""


def test_a_wider_alarm_keeps_the_narrow_one_quiet():
    wide = Rule("all_hot", "share", "all", above=0.5, clear_ms=0)
    run = Run(replace(RULE, inhibited_by=("all_hot",)), all_hot=wide)
    run.feed(41, 70, share={"service": Reading(0.9)})
    assert run.alarm.quiet == "inhibited"
    run.feed(41, share={"service": Reading(0.1)})
    assert run.alarm.quiet == ""


def test_alarms_of_what_is_no_longer_watched_end():
    run = Run()
    run.feed(41, 70)
    run.engine.step(run.now, {"air": {}}, Subjects())
    assert run.state == "resolved"
    run = Run()
    run.feed(41, 70)
    run.engine.rules = {}
    run.feed(41)
    assert run.alarm is None or run.state == "resolved"


def test_severity_follows_the_rule_when_it_is_changed():
    run = Run()
    run.feed(41, 70)
    run.engine.rules["hot"] = replace(RULE, severity="critical")
    run.feed(41)
    assert run.alarm.severity == "critical"


@given(
    st.lists(
        st.tuples(
            st.sampled_from([None, 20.0, 37.0, 39.0, 41.0, 60.0]),
            st.integers(1, 400),
        ),
        max_size=60,
    ),
    st.sampled_from(["keep", "clear", "alarm"]),
)
@settings(max_examples=150, deadline=None)
def test_no_sequence_gives_an_alarm_before_its_time(sequence, no_data):
    rule = replace(RULE, no_data=no_data, no_data_ms=120_000)
    run = Run(rule)
    above_for = unknown_for = 0
    for value, step in sequence:
        step = min(step, 55)
        before = run.state
        run.feed(value, 0, step=step)
        if run.state == "firing" and before in (None, "pending", "resolved"):
            assert above_for >= rule.hold_ms
        if run.state == "no_data" and before != "no_data":
            assert unknown_for >= rule.no_data_ms
        if before in ("firing", "no_data") and run.state == "resolved":
            assert value != 60.0
        known = value is not None
        above_for = above_for + 1000 * step if value is None or value > 40 else 0
        unknown_for = 0 if known else unknown_for + 1000 * step
        if run.alarm and run.alarm.resolved:
            assert run.alarm.resolved >= run.alarm.opened


def test_85_devices_are_judged_in_a_few_milliseconds():
    import time

    rules = built_in_rules()
    names = [f"{i:012x}" for i in range(85)]
    places = Subjects({name: f"{i % 9}.{i}.A" for i, name in enumerate(names)})
    facts = {
        rule.fact: {name: Reading((rule.threshold(None) or 0) + i % 2) for i, name in
                    enumerate(names)}
        for rule in rules.values()
    }  # fmt: skip
    engine = Engine(rules)
    for i in range(20):
        engine.step(T0 + 10_000 * i, facts, places)
    begin = time.perf_counter()
    for i in range(20, 30):
        engine.step(T0 + 10_000 * i, facts, places)
    assert (time.perf_counter() - begin) / 10 < 0.05
