"""Tells people: what is to be said to whom, until it has been said.

What was delivered is kept with each alarm, and what is to be delivered follows from
the alarm as it is. So nothing is forgotten by a restart or a dead mail server, and
nothing is told twice. Every output has its own thread and its own patience: a slow
one delays neither the engine nor the others.
"""

from __future__ import annotations

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tilth.fleet.alarms.engine import Alarm
from tilth.fleet.alarms.outputs import Item, Notice, Output, OutputError
from tilth.fleet.alarms.rules import SEVERITIES, Rule, Subjects

_log = logging.getLogger(__name__)

#: How long the first alarm of a group waits for others, ms.
GROUP_MS = 15_000

#: Pause after a failed delivery, doubled up to the longest, ms.
_FIRST_PAUSE_MS, _LONGEST_PAUSE_MS = 5_000, 600_000

#: The end of an alarm that nobody could be told for this long is not told any more, ms.
_STALE_MS = 86_400_000


@dataclass
class _Post:
    """An output with what it is doing."""

    output: Output
    busy: bool = False
    failures: int = 0
    not_before: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class Delivery:
    """What was said: the alarms it was about then get a note of it."""

    output: str
    status: str
    alarms: tuple[Alarm, ...]
    at: int
    #: When each of them was given, so that a later alarm is not taken for told.
    fired: tuple[int | None, ...] = field(default=())


class Notifier:
    """Delivers alarms to outputs.

    Parameters
    ----------
    outputs : sequence of Output
        Where to.
    url : str
        Address of the alarm page, for the texts.
    run : callable, optional
        Runs a delivery; by default in a thread of its own. Tests run it at once.
    """

    def __init__(
        self,
        outputs: Sequence[Output],
        url: str = "",
        run: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._posts = [_Post(output) for output in outputs]
        self._url = url
        self._run = run or _in_thread
        self._done: deque[Delivery] = deque()

    @property
    def troubles(self) -> dict[str, str]:
        """Outputs that fail at present, with the reason."""
        return {p.output.name: p.trouble for p in self._posts if p.trouble}

    def step(
        self,
        now: int,
        alarms: Iterable[Alarm],
        rules: Mapping[str, Rule],
        subjects: Subjects,
    ) -> list[Alarm]:
        """Begin what is to be delivered; return the alarms of which one was told.

        Parameters
        ----------
        now : int
            utc ms.
        alarms : iterable of Alarm
            All that are given, or were until a short while ago.
        rules : mapping of str to Rule
            For texts and repetitions.
        subjects : Subjects
            Places of the devices.
        """
        told = self._settle()
        listed = list(alarms)
        for post in self._posts:
            if post.busy or now < post.not_before:
                continue
            group = _next_group(post.output, listed, rules, now)
            if group:
                notice = self._notice(group, rules, subjects)
                self._begin(post, notice, group, now)
        return told

    def _settle(self) -> list[Alarm]:
        """Note with the alarms what has been delivered."""
        told = []
        while self._done:
            one = self._done.popleft()
            for alarm, fired in zip(one.alarms, one.fired, strict=True):
                if alarm.fired == fired:
                    alarm.sent[one.output] = [one.status, one.at]
                    told.append(alarm)
        return told

    def _begin(self, post: _Post, notice: Notice, group: list[Alarm], now: int) -> None:
        delivery = Delivery(
            post.output.name,
            notice.status,
            tuple(group),
            now,
            tuple(alarm.fired for alarm in group),
        )
        post.busy = True

        def deliver() -> None:
            try:
                post.output.send(notice)
            except OutputError as error:
                self._failed(post, str(error), now)
            except Exception as error:
                # Not its text: it may hold an address or a password.
                name = type(error).__name__
                self._failed(post, f"output {post.output.name} failed: {name}", now)
            else:
                post.failures, post.trouble = 0, ""
                self._done.append(delivery)
            post.busy = False

        self._run(deliver)

    @staticmethod
    def _failed(post: _Post, reason: str, now: int) -> None:
        post.failures += 1
        pause = min(_FIRST_PAUSE_MS * 2 ** (post.failures - 1), _LONGEST_PAUSE_MS)
        post.not_before = now + int(pause * (1.0 + 0.2 * random.random()))
        if post.trouble != reason:
            _log.warning("%s; trying again", reason)
        post.trouble = reason

    def _notice(
        self, group: list[Alarm], rules: Mapping[str, Rule], subjects: Subjects
    ) -> Notice:
        items = []
        for alarm in group:
            rule = rules.get(alarm.rule)
            detail = f"{rule.about} {rule.action}".strip() if rule else ""
            items.append(
                Item(
                    alarm.rule,
                    alarm.severity,
                    alarm.subject,
                    subjects.places.get(alarm.subject, ""),
                    alarm.message,
                    alarm.fired or alarm.opened,
                    alarm.resolved,
                    detail,
                )
            )
        first = group[0]
        status = "firing" if first.active else "resolved"
        return Notice(
            status, first.rule, first.group, first.severity, tuple(items), self._url
        )


def _next_group(
    output: Output, alarms: list[Alarm], rules: Mapping[str, Rule], now: int
) -> list[Alarm]:
    """Return the alarms that are to be told next, the gravest first; empty if none."""
    groups: dict[tuple[str, str, str], list[Alarm]] = {}
    for alarm in alarms:
        if _is_due(output, alarm, rules.get(alarm.rule), now):
            status = "firing" if alarm.active else "resolved"
            groups.setdefault((status, alarm.rule, alarm.group), []).append(alarm)
    ready = [
        group
        for group in groups.values()
        if now - min(a.fired or a.opened for a in group) >= GROUP_MS
    ]
    ready.sort(key=lambda g: (-SEVERITIES.index(g[0].severity), g[0].fired or 0))
    return ready[0] if ready else []


def _is_due(output: Output, alarm: Alarm, rule: Rule | None, now: int) -> bool:
    """Tell whether an output has to say something about an alarm."""
    status, at = alarm.sent.get(output.name, (None, 0))
    if alarm.state == "resolved":
        fresh = now - (alarm.resolved or now) < _STALE_MS
        return status == "firing" and output.resolved and fresh
    if not alarm.active or alarm.quiet:
        return False
    if SEVERITIES.index(alarm.severity) < SEVERITIES.index(output.min_severity):
        return False
    if alarm.acked_at is not None:
        return False
    if status != "firing":
        return True
    if alarm.snoozed_until is not None and at < alarm.snoozed_until <= now:
        return True  # it is still there after the pause
    return rule is not None and rule.repeat_ms > 0 and now - at >= rule.repeat_ms


def _in_thread(job: Callable[[], None]) -> None:
    threading.Thread(target=job, name="alarm-output", daemon=True).start()
