"""Alarms in the control file: a restart neither forgets one nor gives it again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from tilth.fleet.alarms.engine import Alarm, Change, Window
from tilth.fleet.control import Control

#: Key in the table ``meta`` of when the engine last looked: its heartbeat.
HEARTBEAT = "alarms_watched"

#: Over for longer than this an alarm is history, and no longer read at a start, ms.
_RECENT_MS = 86_400_000

#: What of an alarm is kept as JSON.
_BODY = ("detail", "over_since", "unknown_since", "fires", "quiet", "sent")

#: Changes that are written into the history of an alarm.
_EVENTS = ("fired", "refired", "no_data", "resolved")


class AlarmStore:
    """Alarms of a fleet, kept in its control file.

    Parameters
    ----------
    control : Control
        The control file.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    def load(self, now: int) -> tuple[list[Alarm], int | None]:
        """Return the alarms that matter at a start, and when they were last looked at.

        Parameters
        ----------
        now : int
            utc ms.
        """
        rows = self._control.rows(
            "SELECT * FROM alarms WHERE resolved IS NULL OR resolved >= ? ORDER BY id",
            now - _RECENT_MS,
        )
        # Of several alarms of one rule and subject the newest is the one.
        alarms = {alarm.key: alarm for alarm in map(_alarm, rows)}
        found = self._control.database.meta(HEARTBEAT)
        return list(alarms.values()), None if found is None else int(found)

    def windows(self, now: int) -> list[Window]:
        """Return the maintenance windows that are not over."""
        rows = self._control.rows(
            "SELECT scope, t_from, coalesce(cancelled, t_to) AS t_to FROM maintenance "
            "WHERE coalesce(cancelled, t_to) > ?",
            now,
        )
        return [Window(row["scope"], row["t_from"], row["t_to"]) for row in rows]

    def save(self, changes: Iterable[Change], now: int) -> None:
        """Write what changed, and that somebody looked, in one transaction."""
        with self._control.transaction() as connection:
            for change in changes:
                self._save(connection, change, now)
            self._control.database.set_meta(HEARTBEAT, str(now))

    def _save(self, connection: sqlite3.Connection, change: Change, now: int) -> None:
        alarm = change.alarm
        if change.kind == "dropped" and not alarm.fires:
            if alarm.id is not None:
                connection.execute("DELETE FROM alarms WHERE id = ?", (alarm.id,))
            return
        values = _values(alarm, now)
        if alarm.id is None:
            names = ", ".join(values)
            marks = ", ".join("?" * len(values))
            alarm.id = connection.execute(
                f"INSERT INTO alarms({names}) VALUES({marks})", tuple(values.values())
            ).lastrowid
        else:
            pairs = ", ".join(f"{name} = ?" for name in values)
            connection.execute(
                f"UPDATE alarms SET {pairs} WHERE id = ?", (*values.values(), alarm.id)
            )
        if change.kind in _EVENTS:
            self.note(alarm, change.kind, now, body={"message": alarm.message})

    def note(
        self,
        alarm: Alarm,
        kind: str,
        now: int,
        by: str = "",
        body: dict[str, Any] | None = None,
    ) -> None:
        """Add a line to the history of an alarm."""
        self._control.write(
            "INSERT INTO alarm_events(alarm, t, kind, by, body) VALUES(?, ?, ?, ?, ?)",
            *(alarm.id, now, kind, by, json.dumps(body or {})),
        )


def _values(alarm: Alarm, now: int) -> dict[str, Any]:
    """Return the columns of an alarm."""
    told = [at for status, at in alarm.sent.values() if status == "firing"]
    return {
        "rule": alarm.rule,
        "subject": alarm.subject,
        "grouping": alarm.group,
        "severity": alarm.severity,
        "state": alarm.state,
        "opened": alarm.opened,
        "fired": alarm.fired,
        "resolved": alarm.resolved,
        "updated": now,
        "value": None if alarm.value is None else float(alarm.value),
        "message": alarm.message,
        "acked_at": alarm.acked_at,
        "acked_by": alarm.acked_by,
        "snoozed_until": alarm.snoozed_until,
        "flaps": alarm.flaps,
        "notified": max(told, default=None),
        "body": json.dumps({name: getattr(alarm, name) for name in _BODY}),
    }


def _alarm(row: dict[str, Any]) -> Alarm:
    """Return an alarm from its row."""
    body = json.loads(row["body"])
    alarm = Alarm(
        row["rule"],
        row["subject"],
        row["grouping"],
        row["severity"],
        row["state"],
        row["opened"],
        **{
            name: row[name]
            for name in ("fired", "resolved", "value", "message", "acked_at",
                         "acked_by", "snoozed_until", "id")
        },
    )  # fmt: skip
    for name in _BODY:
        if name in body:
            setattr(alarm, name, body[name])
    return alarm
