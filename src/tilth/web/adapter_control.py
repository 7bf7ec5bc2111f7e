"""What people decided, as pages show it: read from and written to the control file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet import placement
from tilth.fleet.alarms.rules import Rule, read_rules
from tilth.fleet.commands import queue_command
from tilth.fleet.control import Control
from tilth.fleet.wire import is_device
from tilth.web.model import Alarm, Command, Firmware, Maintenance, Placement

#: Severity of an alarm row the pages do not know is shown as this.
_UNKNOWN_SEVERITY = "warning"


class ControlPart:
    """The half of a fleet source that the control file holds.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    """

    def __init__(self, control: Control) -> None:
        self.control = control
        self._rules: Mapping[str, Rule] | None = None

    # Alarms

    def alarms(self, past_since: int | None = None) -> Sequence[Alarm]:
        """Return open alarms and, if asked, those that ended since."""
        rows = self.control.rows(
            "SELECT * FROM alarms WHERE (resolved IS NULL AND state <> 'pending')"
            " OR (?1 IS NOT NULL AND fired IS NOT NULL AND resolved >= ?1)"
            " ORDER BY resolved IS NOT NULL, coalesce(fired, opened) DESC LIMIT 1000",
            past_since,
        )
        places, rules = self.places(), self.rules()
        return [self._alarm(row, places, rules) for row in rows]

    def rules(self) -> Mapping[str, Rule]:
        """Return the alarm rules in force: the built-in ones."""
        if self._rules is None:
            self._rules = read_rules()
        return self._rules

    def _alarm(
        self, row: dict[str, Any], places: Mapping[str, str], rules: Mapping[str, Rule]
    ) -> Alarm:
        rule = rules.get(row["rule"])
        now = self.control.clock()
        state = "open"
        if row["resolved"] is not None:
            state = "over"
        elif row["snoozed_until"] and row["snoozed_until"] > now:
            state = "snoozed"
        elif row["acked_at"] is not None:
            state = "acknowledged"
        elif row["state"] == "no_data":
            state = "no data"
        elif quiet := json.loads(row["body"]).get("quiet"):
            state = f"open, quiet: {quiet}"
        severity = row["severity"]
        subject = row["subject"]
        return Alarm(
            id=str(row["id"]),
            rule=row["rule"],
            severity=severity if severity in _SEVERITIES else _UNKNOWN_SEVERITY,
            state=state,
            device=subject if is_device(subject) else "",
            loc=places.get(subject, "") if is_device(subject) else subject,
            since=row["fired"] or row["opened"],
            until=row["resolved"],
            text=row["message"],
            by=row["acked_by"] or "",
            snoozed_until=row["snoozed_until"],
            about=rule.about if rule else "",
            action=rule.action if rule else "",
        )

    def places(self) -> dict[str, str]:
        """Return where each device stands now, as far as it was stated."""
        now = self.control.clock()
        return {
            held.device: held.loc
            for held in placement.intervals(self.control)
            if held.t_from <= now < held.end
        }

    def maintenance(self) -> Sequence[Maintenance]:
        """Return maintenance windows, the latest first."""
        rows = self.control.rows(
            "SELECT * FROM maintenance ORDER BY t_from DESC LIMIT 50"
        )
        return [
            Maintenance(
                str(row["id"]),
                row["scope"],
                row["t_from"],
                min(row["t_to"], row["cancelled"] or row["t_to"]),
                row["reason"],
                row["entered_by"],
            )
            for row in rows
        ]

    def treatments(self) -> Mapping[str, str]:
        """Return what each variant is, as far as somebody said."""
        rows = self.control.rows("SELECT variant, treatment, control FROM variants")
        controls = {row["control"]: "control" for row in rows if row["control"]}
        named = {row["variant"]: row["treatment"] for row in rows if row["treatment"]}
        return controls | named

    def controls(self) -> dict[str, str]:
        """Return the control of each variant, as far as somebody said."""
        rows = self.control.rows("SELECT variant, control FROM variants")
        return {row["variant"]: row["control"] for row in rows if row["control"]}

    def add_maintenance(
        self, scope: str, start: int, end: int, reason: str, by: str
    ) -> None:
        """Keep the alarms of a device, a table or all (``*``) quiet for a time."""
        self.control.write(
            "INSERT INTO maintenance(scope, t_from, t_to, reason, entered_by,"
            " entered_at) VALUES (?, ?, ?, ?, ?, ?)",
            *(scope, start, end, reason, by, self.control.clock()),
        )

    def end_maintenance(self, window: str, by: str) -> None:
        """End a maintenance window now."""
        if not self.control.write(
            "UPDATE maintenance SET cancelled = ? WHERE id = ? AND cancelled IS NULL",
            *(self.control.clock(), window),
        ):
            raise InputError(f"there is no maintenance {window[:20]!r} to end")

    # Commands

    def commands(self, limit: int = 200) -> Sequence[Command]:
        """Return the newest commands."""
        places = self.places()
        return [
            Command(
                id=row["id"],
                device=row["device"],
                loc=places.get(row["device"], ""),
                cmd=row["cmd"],
                args=row["args"],
                sent=row["sent_at"] or row["created"],
                not_before=row["after"],
                not_after=row["before"],
                state=row["state"],
                by=row["created_by"],
                result=_result_text(row["result"]),
            )
            for row in self.control.commands(limit=limit)
        ]

    def send(
        self,
        device: str,
        cmd: str,
        args: Mapping[str, Any],
        not_before: int,
        not_after: int,
        by: str,
    ) -> str:
        """Queue a command: the service signs and sends it; return its id."""
        return queue_command(
            self.control,
            device,
            cmd,
            args,
            after=not_before,
            before=not_after,
            by=by,
        )

    # Firmware

    def firmware(self) -> Sequence[Firmware]:
        """Return the versions that are held, the newest first."""
        rows = self.control.rows(
            "SELECT * FROM firmware WHERE withdrawn IS NULL ORDER BY added DESC"
        )
        return [
            Firmware(
                row["version"],
                row["size"],
                row["sha256"],
                row["added"],
                row["added_by"],
                note=row["note"],
            )
            for row in rows
        ]

    # Placement

    def placements(self, device: str | None = None) -> Sequence[Placement]:
        """Return where devices stood: what holds and, marked, what was overruled."""
        held = placement.intervals(self.control, device)
        rows = [_placement(interval) for interval in held]
        in_force = {(interval.device, interval.statement) for interval in held}
        rows += [
            _placement(said, overruled=True)
            for said in placement.statements(self.control, device)
            if (said.device, said.statement) not in in_force
        ]
        return sorted(rows, key=lambda row: (row.start, row.recorded), reverse=True)

    def place(
        self, device: str, loc: str, start: int, end: int | None, by: str, note: str
    ) -> None:
        """Say where a device stood; the rows before stay as they were."""
        placement.place(
            self.control,
            device,
            loc,
            start,
            t_to=end,
            source="web",
            by=by,
            note=note,
        )


_SEVERITIES = ("info", "warning", "critical")


def _placement(said: placement.Placement, overruled: bool = False) -> Placement:
    return Placement(
        str(said.statement),
        said.device,
        said.loc,
        said.t_from,
        said.t_to,
        said.source,
        said.entered_by,
        said.note,
        said.entered_at,
        overruled,
    )


def _result_text(result: Mapping[str, Any]) -> str:
    """Return what a device answered as one short line."""
    shown = {
        key: value
        for key, value in result.items()
        if key not in ("id", "cmd", "state") and value not in (None, "", {}, [])
    }
    if not shown:
        return ""
    text = ", ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in shown.items()
    )
    return text if len(text) <= 300 else f"{text[:297]}..."


def require_device(known: Sequence[str], device: str) -> str:
    """Return the device if the fleet has it.

    Raises
    ------
    InputError
        If it does not.
    """
    if device not in known:
        raise InputError(f"no device {device[:40]!r} has ever reported to this fleet")
    return device
