"""Who is told what and when, in virtual time."""

import itertools
import logging
import threading
import time
from dataclasses import replace

import pytest

from tilth.fleet.alarms.engine import Alarm
from tilth.fleet.alarms.notify import GROUP_MS, Notifier
from tilth.fleet.alarms.outputs import OutputError
from tilth.fleet.alarms.rules import Rule, Subjects

T0 = 1_753_000_000_000
RULE = Rule("hot", "air", "x", above=40.0, repeat_ms=3_600_000, about="Heat.")
MILD = Rule("warm", "air", "x", above=30.0, severity="info")


class Ear:
    """An output that remembers, and fails as long as it is told to."""

    def __init__(self, name="ear", min_severity="warning", resolved=True):
        self.name, self.min_severity, self.resolved = name, min_severity, resolved
        self.heard, self.failing = [], 0

    def send(self, notice):
        if self.failing:
            self.failing -= 1
            raise OutputError("output ear: no answer")
        devices = [item.device for item in notice.items]
        self.heard.append((notice.status, notice.rule, devices))


class Talk:
    def __init__(self, *outputs, rules=(RULE, MILD)):
        self.outputs = outputs or (Ear(),)
        self.rules = {rule.name: rule for rule in rules}
        self.alarms, self.now = [], T0
        self.restart()

    def restart(self):
        self.notifier = Notifier(self.outputs, run=lambda job: job())

    @property
    def heard(self):
        return self.outputs[0].heard

    def fire(self, device, rule=RULE, group="table 5"):
        alarm = Alarm(rule.name, device, group, rule.severity, "firing", self.now,
                      fired=self.now, fires=[self.now])  # fmt: skip
        self.alarms.append(alarm)
        return alarm

    def wait(self, seconds=0, step=10):
        end = self.now + 1000 * seconds
        while True:
            self.notifier.step(self.now, self.alarms, self.rules, Subjects())
            self.now += 1000 * step
            if self.now > end:
                break


def test_an_alarm_is_told_once():
    talk = Talk()
    talk.fire("a")
    talk.wait(1800)
    assert talk.heard == [("firing", "hot", ["a"])]
    assert talk.alarms[0].sent["ear"][0] == "firing"


def test_alarms_of_a_table_are_told_together():
    talk = Talk()
    for name in "abc":
        talk.fire(name)
        talk.now += 2_000
    talk.fire("z", group="table 6")
    talk.wait(120)
    assert sorted(talk.heard) == [
        ("firing", "hot", ["a", "b", "c"]),
        ("firing", "hot", ["z"]),
    ]


def test_the_first_of_a_group_waits_for_the_others():
    talk = Talk()
    talk.fire("a")
    talk.wait()
    assert not talk.heard
    talk.now = T0 + GROUP_MS
    talk.wait()
    assert talk.heard


def test_the_end_is_told_to_those_who_heard_the_beginning():
    talk = Talk()
    alarm = talk.fire("a")
    talk.wait(60)
    alarm.state, alarm.resolved = "resolved", talk.now
    talk.wait(60)
    assert [status for status, *_ in talk.heard] == ["firing", "resolved"]
    other = talk.fire("b")
    other.state, other.resolved = "resolved", talk.now
    talk.wait(60)
    assert len(talk.heard) == 2


def test_an_output_can_spare_people_the_end():
    talk = Talk(Ear(resolved=False))
    alarm = talk.fire("a")
    talk.wait(60)
    alarm.state, alarm.resolved = "resolved", talk.now
    talk.wait(600)
    assert len(talk.heard) == 1


def test_mild_alarms_are_not_sent_to_those_who_want_grave_ones():
    talk = Talk(Ear("a", "warning"), Ear("b", "info"))
    talk.fire("x", MILD)
    talk.wait(60)
    assert (len(talk.outputs[0].heard), len(talk.outputs[1].heard)) == (0, 1)


def test_it_is_repeated_until_somebody_acknowledges_it():
    talk = Talk()
    alarm = talk.fire("a")
    talk.wait(2 * 3600 + 60, step=30)
    assert len(talk.heard) == 3
    alarm.acked_at = talk.now
    talk.wait(3 * 3600, step=30)
    assert len(talk.heard) == 3


@pytest.mark.parametrize("quiet", ["maintenance", "inhibited", "snoozed"])
def test_a_quiet_alarm_is_told_when_it_is_quiet_no_more(quiet):
    talk = Talk()
    alarm = talk.fire("a")
    alarm.quiet = quiet
    talk.wait(600)
    assert not talk.heard
    alarm.quiet = ""
    talk.wait(60)
    assert len(talk.heard) == 1


def test_after_a_snooze_it_is_told_again():
    talk = Talk(rules=(replace(RULE, repeat_ms=0),))
    alarm = talk.fire("a")
    talk.wait(60)
    alarm.snoozed_until, alarm.quiet = talk.now + 600_000, "snoozed"
    talk.wait(590)
    assert len(talk.heard) == 1
    talk.now, alarm.quiet = alarm.snoozed_until, ""
    talk.wait(600)
    assert len(talk.heard) == 2


def test_a_failed_delivery_is_tried_again_ever_more_seldom(caplog):
    talk = Talk()
    talk.outputs[0].failing = 6
    talk.fire("a")
    tries = []
    for _ in range(200):
        before = talk.outputs[0].failing
        talk.wait()
        if talk.outputs[0].failing < before:
            tries.append(talk.now)
    assert talk.heard == [("firing", "hot", ["a"])]
    pauses = [b - a for a, b in itertools.pairwise(tries)]
    assert pauses == sorted(pauses)
    assert pauses[-1] > 4 * pauses[0]
    # Said once, not at every try.
    assert len(caplog.records) == 1
    assert not talk.notifier.troubles


def test_a_restart_forgets_no_message_and_repeats_none():
    talk = Talk()
    talk.outputs[0].failing = 1
    talk.fire("a")
    talk.wait(20)
    talk.restart()
    talk.wait(60)
    assert len(talk.heard) == 1
    talk.restart()
    talk.wait(600)
    assert len(talk.heard) == 1


def test_the_end_of_an_alarm_nobody_could_be_told_for_a_day_is_let_go():
    talk = Talk()
    alarm = talk.fire("a")
    talk.wait(60)
    alarm.state, alarm.resolved = "resolved", talk.now
    talk.outputs[0].failing = 10**6
    talk.wait(2 * 86_400, step=3600)
    talk.outputs[0].failing = 0
    talk.wait(3600)
    assert len(talk.heard) == 1


def test_grave_alarms_go_first():
    grave = replace(RULE, name="lost", severity="critical")
    talk = Talk(rules=(RULE, grave))
    talk.fire("a")
    talk.fire("b", grave)
    talk.now += GROUP_MS
    talk.wait()
    assert talk.heard[0][1] == "lost"


def test_one_slow_output_holds_up_neither_the_engine_nor_the_others():
    release, entered = threading.Event(), threading.Event()

    class Slow(Ear):
        def send(self, notice):
            entered.set()
            release.wait(10)
            super().send(notice)

    slow, quick = Slow("slow"), Ear("quick")
    notifier = Notifier([slow, quick])
    alarm = Alarm("hot", "a", "table 5", "warning", "firing", T0, fired=T0)
    begin = time.perf_counter()
    for i in range(20):
        notifier.step(T0 + GROUP_MS + 1000 * i, [alarm], {"hot": RULE}, Subjects())
    assert time.perf_counter() - begin < 5.0
    assert entered.wait(10)
    until = time.monotonic() + 10
    while not quick.heard and time.monotonic() < until:
        time.sleep(0.01)
    assert quick.heard
    assert not slow.heard
    release.set()
    while not slow.heard and time.monotonic() < until:
        time.sleep(0.01)
    for i in range(100):
        notifier.step(T0 + 60_000 + i, [alarm], {"hot": RULE}, Subjects())
        if set(alarm.sent) == {"slow", "quick"}:
            break
        time.sleep(0.05)
    assert len(slow.heard) == len(quick.heard) == 1


def test_an_output_that_fails_unexpectedly_shows_no_secret(caplog):
    class Broken(Ear):
        def send(self, notice):
            raise RuntimeError("password s3cret")

    caplog.set_level(logging.DEBUG)
    talk = Talk(Broken())
    talk.fire("a")
    talk.wait(60)
    assert talk.notifier.troubles == {"ear": "output ear failed: RuntimeError"}
    assert "s3cret" not in caplog.text


def test_a_message_about_an_older_alarm_does_not_count_for_a_newer():
    jobs = []
    talk = Talk()
    talk.notifier = Notifier(talk.outputs, run=jobs.append)
    alarm = talk.fire("a")
    talk.now += GROUP_MS
    talk.wait()
    alarm.fired = talk.now
    jobs.pop()()
    talk.wait()
    assert "ear" not in alarm.sent
