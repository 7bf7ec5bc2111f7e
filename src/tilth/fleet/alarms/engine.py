"""The alarm engine: a state machine over facts and a clock, and nothing else.

For every rule and subject:

========  =====================================  ==================================
state     goes to                                when
========  =====================================  ==================================
(none)    pending                                the condition holds
pending   firing                                 it has held for ``for``
pending   (none)                                 it does not hold
firing    resolved                               it has been over for ``clear_for``
firing    no_data (rules that say so)            the fact is unknown too long
no_data   firing, resolved                       the fact is known again
resolved  firing, the same alarm                 it comes back within ``flap_within``
========  =====================================  ==================================

Between the limit of an alarm and the limit at which it is over nothing changes. Time
in which nobody looked (a restart, a jump of the clock) counts for no duration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tilth.fleet.alarms.rules import Facts, Reading, Rule, Subjects, describe

#: Longest time between two looks that still counts as watching, ms.
LONGEST_STEP_MS = 60_000

#: States in which an alarm is given.
ACTIVE = ("firing", "no_data")

_UNKNOWN = Reading(None)


@dataclass
class Alarm:
    """One alarm of one rule about one subject, from its first sign to its end.

    Attributes
    ----------
    rule, subject, group, severity : str
        What it is about.
    state : str
        ``pending``, ``firing``, ``no_data`` or ``resolved``.
    opened, fired, resolved : int or None
        utc ms: first sign; given; over.
    value, detail, message
        What was last known.
    over_since, unknown_since : int or None
        Since when the condition is over, or the fact unknown.
    fires : list of int
        When it was given, within the flap time.
    acked_at, acked_by, snoozed_until
        What people said.
    quiet : str
        Why nobody is told: ``inhibited``, ``maintenance``, ``snoozed``; or empty.
    sent : dict of str to list
        Output -> [status that was last delivered, when].
    id : int or None
        Number in the store.
    """

    rule: str
    subject: str
    group: str
    severity: str
    state: str
    opened: int
    fired: int | None = None
    resolved: int | None = None
    value: float | None = None
    detail: str = ""
    message: str = ""
    over_since: int | None = None
    unknown_since: int | None = None
    fires: list[int] = field(default_factory=list)
    acked_at: int | None = None
    acked_by: str | None = None
    snoozed_until: int | None = None
    quiet: str = ""
    sent: dict[str, list] = field(default_factory=dict)
    id: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Rule and subject."""
        return (self.rule, self.subject)

    @property
    def active(self) -> bool:
        """Whether the alarm is given."""
        return self.state in ACTIVE

    @property
    def flaps(self) -> int:
        """How often it came back."""
        return max(len(self.fires) - 1, 0)


@dataclass(frozen=True)
class Change:
    """Something that happened to an alarm.

    Attributes
    ----------
    kind : str
        ``opened``, ``dropped``, ``fired``, ``refired``, ``no_data``, ``resolved``,
        ``quiet`` (or no longer), or ``timer`` (only worth remembering).
    alarm : Alarm
        The alarm as it is now.
    """

    kind: str
    alarm: Alarm


@dataclass(frozen=True)
class Window:
    """A time in which alarms about a scope are kept quiet.

    Attributes
    ----------
    scope : str
        ``*``, a table ("5"), a variant ("5.10"), a location or a device.
    t_from, t_to : int
        utc ms.
    """

    scope: str
    t_from: int
    t_to: int

    def covers(self, now: int, subject: str, place: str) -> bool:
        """Whether a subject is within it now."""
        if not self.t_from <= now < self.t_to:
            return False
        return self.scope in ("*", subject, place) or (
            bool(place) and place.startswith(f"{self.scope}.")
        )


class Engine:
    """Decides about every rule and subject.

    Parameters
    ----------
    rules : mapping of str to Rule
        Rules in force.
    alarms : iterable of Alarm
        What was so at the last stop.
    last_step : int, optional
        When the engine last looked (utc ms); None if never.
    """

    def __init__(
        self,
        rules: Mapping[str, Rule],
        alarms: Iterable[Alarm] = (),
        last_step: int | None = None,
    ) -> None:
        self.rules = dict(rules)
        self.alarms = {alarm.key: alarm for alarm in alarms}
        self.last_step = last_step

    def step(
        self,
        now: int,
        facts: Facts,
        subjects: Subjects,
        windows: Iterable[Window] = (),
    ) -> list[Change]:
        """Look once.

        Parameters
        ----------
        now : int
            utc ms.
        facts : mapping
            Fact -> subject -> reading. A subject that is watched but of which the
            fact is not known is there with the value None.
        subjects : Subjects
            Devices with their places.
        windows : iterable of Window
            Maintenance.

        Returns
        -------
        list of Change
            What changed, in the order of the rules.
        """
        self._skip_unwatched(now)
        changes: list[Change] = []
        for name, rule in self.rules.items():
            readings = facts.get(rule.fact, {})
            for subject, reading in readings.items():
                alarm = self.alarms.get((name, subject))
                if alarm is None and not self._begins(rule, reading):
                    continue
                changes += self._judge(now, rule, subject, reading, subjects)
        changes += self._forget(now, facts)
        changes += self._hush(now, subjects, list(windows))
        self.last_step = now
        return changes

    def _skip_unwatched(self, now: int) -> None:
        """Let no duration run while nobody looked, or while the clock jumped."""
        if self.last_step is None:
            return
        gap = now - self.last_step
        shift = gap - LONGEST_STEP_MS if gap > LONGEST_STEP_MS else min(gap, 0)
        if not shift:
            return
        for alarm in self.alarms.values():
            if alarm.state == "pending":
                alarm.opened += shift
            if alarm.over_since is not None:
                alarm.over_since += shift
            if alarm.unknown_since is not None:
                alarm.unknown_since += shift

    @staticmethod
    def _begins(rule: Rule, reading: Reading) -> bool:
        """Whether a subject without an alarm needs a closer look."""
        if reading.value is None or reading.value != reading.value:
            return rule.no_data == "alarm"
        return rule.exceeds(reading.value)

    def _judge(
        self, now: int, rule: Rule, subject: str, reading: Reading, subjects: Subjects
    ) -> list[Change]:
        """Move one alarm on by one step."""
        alarm = self.alarms.get((rule.name, subject))
        value = reading.value
        if value is not None and value != value:
            value = None
        if alarm is None or alarm.state == "resolved":
            return self._begin(now, rule, subject, value, reading, subjects)
        remembered = (alarm.over_since, alarm.unknown_since)
        if value is None:
            kind = self._unknown(now, rule, alarm)
        else:
            alarm.unknown_since = None
            alarm.value, alarm.detail = value, reading.detail
            kind = self._known(now, rule, alarm, value)
        if kind != "dropped":
            self._tell(rule, alarm, subjects)
        if kind:
            return [Change(kind, alarm)]
        if remembered != (alarm.over_since, alarm.unknown_since):
            return [Change("timer", alarm)]
        return []

    def _begin(
        self,
        now: int,
        rule: Rule,
        subject: str,
        value: float | None,
        reading: Reading,
        subjects: Subjects,
    ) -> list[Change]:
        """Open an alarm, or the one again that ended a moment ago."""
        if not self._begins(rule, reading):
            return []
        before = self.alarms.get((rule.name, subject))
        unknown = value is None
        alarm = Alarm(
            rule.name,
            subject,
            subjects.group(rule, subject),
            rule.severity,
            "pending",
            now,
            value=value,
            detail=reading.detail,
            unknown_since=now if unknown else None,
        )
        if before is not None:
            recent = [t for t in before.fires if now - t < rule.flap_ms]
            if recent and before.resolved is not None:
                alarm.fires, alarm.id, alarm.sent = recent, before.id, before.sent
        self.alarms[alarm.key] = alarm
        wait = rule.no_data_ms if unknown else rule.hold_ms
        kind = "opened"
        if wait == 0:
            kind = self._fire(now, alarm, "no_data" if unknown else "firing")
        self._tell(rule, alarm, subjects)
        return [Change(kind, alarm)]

    def _known(self, now: int, rule: Rule, alarm: Alarm, value: float) -> str:
        """Move on an alarm whose fact is known; return what happened."""
        if alarm.state == "pending":
            if not rule.exceeds(value):
                return self._drop(alarm)
            if now - alarm.opened >= rule.hold_ms:
                return self._fire(now, alarm, "firing")
            return ""
        if not rule.is_over(value):
            alarm.over_since = None
            if alarm.state == "no_data":
                alarm.state = "firing"
                return "fired"
            return ""
        if alarm.over_since is None:
            alarm.over_since = now
        damped = len(alarm.fires) >= rule.flaps > 0
        wait = max(rule.clear_ms, rule.flap_ms) if damped else rule.clear_ms
        if now - alarm.over_since < wait:
            return ""
        return self._resolve(now, alarm)

    def _unknown(self, now: int, rule: Rule, alarm: Alarm) -> str:
        """Move on an alarm whose fact is not known; return what happened."""
        alarm.over_since = None
        if alarm.unknown_since is None:
            alarm.unknown_since = now
        lasted = now - alarm.unknown_since
        if rule.no_data == "keep" or lasted < rule.no_data_ms:
            return ""
        if rule.no_data == "clear":
            if alarm.state == "pending":
                return self._drop(alarm)
            return self._resolve(now, alarm)
        if alarm.state == "pending":
            return self._fire(now, alarm, "no_data")
        if alarm.state == "firing":
            alarm.state = "no_data"
            return "no_data"
        return ""

    @staticmethod
    def _fire(now: int, alarm: Alarm, state: str) -> str:
        again = bool(alarm.fires)
        alarm.state, alarm.fired, alarm.resolved = state, now, None
        alarm.over_since = None
        alarm.fires.append(now)
        if state == "no_data":
            return "no_data"
        return "refired" if again else "fired"

    def _drop(self, alarm: Alarm) -> str:
        """Forget an alarm that was never given (again)."""
        if alarm.fires:
            # It was given a while ago: that stays on record, and in the count.
            alarm.state, alarm.resolved = "resolved", alarm.fires[-1]
        else:
            del self.alarms[alarm.key]
        return "dropped"

    @staticmethod
    def _resolve(now: int, alarm: Alarm) -> str:
        alarm.state, alarm.resolved = "resolved", now
        alarm.over_since = alarm.unknown_since = None
        alarm.snoozed_until, alarm.quiet = None, ""
        return "resolved"

    @staticmethod
    def _tell(rule: Rule, alarm: Alarm, subjects: Subjects) -> None:
        """Bring severity, group and message up to date."""
        place = subjects.places.get(alarm.subject, "")
        alarm.severity = rule.severity
        alarm.group = subjects.group(rule, alarm.subject)
        message = describe(rule, alarm.subject, place, alarm.value, alarm.detail)
        if alarm.state == "no_data" or (alarm.active and alarm.unknown_since):
            message += " (no data since)"
        alarm.message = message

    def _forget(self, now: int, facts: Facts) -> list[Change]:
        """End alarms of rules and subjects that are gone; forget those long over."""
        changes = []
        for key, alarm in list(self.alarms.items()):
            rule = self.rules.get(alarm.rule)
            gone = rule is None or alarm.subject not in facts.get(rule.fact, {})
            if alarm.state == "resolved":
                kept = 0 if rule is None else rule.flap_ms
                delivered = all(sent[0] == "resolved" for sent in alarm.sent.values())
                if delivered and now - (alarm.resolved or now) >= kept:
                    del self.alarms[key]
            elif gone:
                alarm.detail = "no longer watched"
                if alarm.state == "pending":
                    changes.append(Change(self._drop(alarm), alarm))
                else:
                    changes.append(Change(self._resolve(now, alarm), alarm))
        return changes

    def _hush(
        self, now: int, subjects: Subjects, windows: list[Window]
    ) -> list[Change]:
        """Say of every alarm whether somebody is to be told of it now."""
        given = {alarm.key for alarm in self.alarms.values() if alarm.active}
        changes = []
        for alarm in self.alarms.values():
            if not alarm.active:
                continue
            place = subjects.places.get(alarm.subject, "")
            rule = self.rules[alarm.rule]
            quiet = ""
            if any(window.covers(now, alarm.subject, place) for window in windows):
                quiet = "maintenance"
            elif any(
                (other, about) in given
                for other in rule.inhibited_by
                for about in (alarm.subject, "service")
            ):
                quiet = "inhibited"
            elif alarm.snoozed_until is not None and now < alarm.snoozed_until:
                quiet = "snoozed"
            if quiet != alarm.quiet:
                alarm.quiet = quiet
                changes.append(Change("quiet", alarm))
        return changes

    # What people say

    def acknowledge(self, key: tuple[str, str], by: str, now: int) -> Alarm:
        """Note that somebody has seen an alarm: it is not sent again."""
        alarm = self._given(key)
        alarm.acked_at, alarm.acked_by = now, by
        return alarm

    def snooze(self, key: tuple[str, str], until: int) -> Alarm:
        """Keep an alarm quiet until a time (utc ms); it is sent again after it."""
        alarm = self._given(key)
        alarm.snoozed_until = until
        return alarm

    def _given(self, key: tuple[str, str]) -> Alarm:
        from tilth.core.errors import InputError

        alarm = self.alarms.get(key)
        if alarm is None or not alarm.active:
            raise InputError(f"there is no alarm {key[0]} about {key[1]} now")
        return alarm
