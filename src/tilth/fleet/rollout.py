"""Roll-outs of firmware: to one chamber, then five, then all, halting by themselves.

A roll-out is a row in the control file and one row for each of its devices; a step
looks at what the devices say and decides what to send next. Nothing is kept in memory,
so a service that restarts goes on where it was.

=========  ==================================================================
state      a device is in it
=========  ==================================================================
waiting    until its stage has come and it is connected
sent       from the command on, until the device answers
running    from its answer on
trial      from the first message of the new version on
confirmed  once the new version has lasted for `CONFIRM_MS`
failed     when it says so, returns to another version, or is late
excused    when it had failed and a person let the roll-out go on
=========  ==================================================================
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet.clock import Clock, now_ms
from tilth.fleet.control import Control

#: Devices of the stages; None: all that are left.
STAGES: tuple[int | None, ...] = (1, 5, None)

#: Share of failures among the devices that have finished above which nothing more is
#: sent.
HALT_ABOVE = 0.10

#: The new version must last so long: the device's own test of it takes five minutes,
#: and a device that fails it returns to the old version.
CONFIRM_MS = 6 * 60_000

#: From the command to the confirmation; a slow link fetches a bundle in minutes.
LATE_MS = 45 * 60_000

#: A device takes the command up so long after it was sent; it may be in a cycle.
COMMAND_MS = 30 * 60_000

#: Devices of the last stage under way at a time: this share of the fleet, at least 5.
#: Otherwise all would have got a bad version before the first could fail.
UNDER_WAY = 0.10

FINISHED = ("confirmed", "failed", "excused")
UNDER_WAY_STATES = ("sent", "running", "trial")

#: Sends a command: device, name, arguments, not before, not after (utc ms), by whom;
#: returns the command's id.
Send = Callable[[str, str, Mapping[str, Any], int, int, str], str]


@dataclass(frozen=True, slots=True)
class DeviceNow:
    """What a roll-out must know of a device.

    Parameters
    ----------
    fw : str
        Version it last named.
    online : bool
        Whether it is connected.
    """

    fw: str
    online: bool


@dataclass(frozen=True, slots=True)
class RolloutDevice:
    """One device of a roll-out."""

    device: str
    stage: int
    state: str
    command: str | None
    updated: int
    detail: str


@dataclass(frozen=True, slots=True)
class Rollout:
    """A roll-out and how far it has come.

    ``state`` is ``running``, ``halted``, ``done`` or ``cancelled``.
    """

    id: int
    version: str
    state: str
    stage: int
    stages: tuple[int | None, ...]
    halt_above: float
    created: int
    created_by: str
    updated: int
    reason: str
    devices: tuple[RolloutDevice, ...]

    def count(self, *states: str) -> int:
        """Return how many devices are in one of the states."""
        return sum(one.state in states for one in self.devices)

    @property
    def failure_share(self) -> float:
        """Share of failures among the devices that have finished."""
        finished = self.count("confirmed", "failed")
        return self.count("failed") / finished if finished else 0.0


class Rollouts:
    """Starts, moves on, halts and resumes roll-outs.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    send : callable
        See `Send`.
    devices : callable
        Gives device -> `DeviceNow` for every device of the fleet.
    clock : callable, optional
        Gives utc ms.
    """

    def __init__(
        self,
        control: Control,
        send: Send,
        devices: Callable[[], Mapping[str, DeviceNow]],
        clock: Clock = now_ms,
    ) -> None:
        self._control = control
        self._send = send
        self._devices = devices
        self._clock = clock

    # What people do

    def start(
        self,
        version: str,
        by: str,
        *,
        stages: Sequence[int | None] = STAGES,
        halt_above: float = HALT_ABOVE,
        devices: Sequence[str] | None = None,
    ) -> int:
        """Begin a roll-out and return its number.

        Devices that run the version already are left out. Those that are connected
        come first, so that the first stage is not waiting for one that is away.

        Raises
        ------
        InputError
            If the version is not held, another roll-out is under way, or no device
            needs it.
        """
        _check_stages(stages)
        if not 0 <= halt_above < 1:
            raise InputError(
                f"halt_above is a share from 0 to below 1, got {halt_above}"
            )
        if self._manifest(version) is None:
            raise InputError(
                f"the version {version!r} is not held here: add its bundle first"
            )
        known = self._devices()
        wanted = sorted(known if devices is None else devices)
        unknown = [device for device in wanted if device not in known]
        if unknown:
            raise InputError(f"no device {unknown[0]!r} has reported to this fleet")
        todo = [device for device in wanted if known[device].fw != version]
        if not todo:
            raise InputError(f"every device runs {version} already")
        todo.sort(key=lambda device: (not known[device].online, device))
        now = self._clock()
        with self._control.transaction() as connection:
            running = connection.execute(
                "SELECT id, version FROM rollouts WHERE state IN ('running', 'halted')"
            ).fetchone()
            if running:
                raise InputError(
                    f"the roll-out of {running['version']} is not over: cancel it first"
                )
            cursor = connection.execute(
                "INSERT INTO rollouts(version, state, stage, stages, halt_above,"
                " created, created_by, updated)"
                " VALUES (?, 'running', 0, ?, ?, ?, ?, ?)",
                (version, json.dumps(list(stages)), halt_above, now, by, now),
            )
            rollout = int(cursor.lastrowid or 0)
            connection.executemany(
                "INSERT INTO rollout_devices(rollout, device, stage, state, updated)"
                " VALUES (?, ?, ?, 'waiting', ?)",
                [
                    (rollout, device, stage, now)
                    for device, stage in zip(
                        todo, _stage_numbers(len(todo), stages), strict=True
                    )
                ],
            )
        return rollout

    def halt(self, rollout: int, reason: str) -> None:
        """Send nothing more until somebody resumes it."""
        self._change(rollout, ("running",), "halted", reason)

    def resume(self, rollout: int) -> None:
        """Go on, with the failures so far excused."""
        self._change(rollout, ("halted",), "running", "")
        self._control.write(
            "UPDATE rollout_devices SET state = 'excused' WHERE rollout = ?"
            " AND state = 'failed'",
            rollout,
        )

    def cancel(self, rollout: int) -> None:
        """End it; devices that have the version keep it."""
        self._change(rollout, ("running", "halted"), "cancelled", "")

    def _change(
        self, rollout: int, before: tuple[str, ...], after: str, reason: str
    ) -> None:
        marks = ",".join("?" * len(before))
        if not self._control.write(
            "UPDATE rollouts SET state = ?, reason = ?, updated = ?"
            f" WHERE id = ? AND state IN ({marks})",
            *(after, reason[:300], self._clock(), rollout, *before),
        ):
            raise InputError(f"no roll-out {rollout} that is {' or '.join(before)}")

    # What it shows

    def latest(self, limit: int = 20) -> Sequence[Rollout]:
        """Return the latest roll-outs, the newest first."""
        rows = self._control.rows(
            "SELECT * FROM rollouts ORDER BY id DESC LIMIT ?", limit
        )
        return [self._rollout(row) for row in rows]

    def _rollout(self, row: Mapping[str, Any]) -> Rollout:
        devices = self._control.rows(
            "SELECT device, stage, state, command, updated, detail FROM rollout_devices"
            " WHERE rollout = ? ORDER BY stage, device",
            row["id"],
        )
        return Rollout(
            **{key: row[key] for key in row if key != "stages"},
            stages=tuple(json.loads(row["stages"])),
            devices=tuple(RolloutDevice(**device) for device in devices),
        )

    # What it does

    def step(self) -> bool:
        """Look once at every roll-out under way; return whether anything changed."""
        changed = False
        for row in self._control.rows(
            "SELECT * FROM rollouts WHERE state IN ('running', 'halted')"
        ):
            changed |= self._step(self._rollout(row))
        return changed

    def _step(self, rollout: Rollout) -> bool:
        known = self._devices()
        changed = False
        for one in rollout.devices:
            state, detail = self._judge(rollout, one, known.get(one.device))
            if state != one.state:
                changed = True
                self._set(rollout.id, one.device, state, detail)
        now_is = self._again(rollout) if changed else rollout
        if now_is.state != "running":
            return changed
        if now_is.failure_share > now_is.halt_above:
            failed, over = now_is.count("failed"), now_is.count("confirmed", "failed")
            self.halt(
                now_is.id,
                f"{failed} of {over} devices failed, more than "
                f"{now_is.halt_above:.0%} of them",
            )
            return True
        return self._go_on(now_is, known) or changed

    def _judge(
        self, rollout: Rollout, one: RolloutDevice, device: DeviceNow | None
    ) -> tuple[str, str]:
        """Return the state of a device, and what to say of it."""
        if one.state in FINISHED:
            return one.state, one.detail
        now = self._clock()
        has_it = device is not None and device.fw == rollout.version
        if one.state == "waiting":
            return ("trial", "had it already") if has_it else (one.state, one.detail)
        if one.state == "trial":
            if not has_it and device is not None:
                return "failed", f"went back to {device.fw or 'another version'}"
            if now - one.updated >= CONFIRM_MS:
                return "confirmed", ""
            return one.state, one.detail
        if has_it:
            return "trial", ""
        command = self._control.command(one.command) if one.command else None
        state = command["state"] if command else "failed"
        if state in ("failed", "refused", "expired"):
            result = command["result"] if command else {}
            why = result.get("why") or result.get("reason") or ""
            return "failed", f"{state}: {why}" if why else state
        sent_at = command["created"] if command else one.updated
        if now - sent_at >= LATE_MS:
            return "failed", f"no {rollout.version} within {LATE_MS // 60_000} min"
        if one.state == "sent" and state in ("accepted", "running"):
            return "running", ""
        return one.state, one.detail

    def _go_on(self, rollout: Rollout, known: Mapping[str, DeviceNow]) -> bool:
        """Move to the next stage, or send to the next devices."""
        here = [one for one in rollout.devices if one.stage == rollout.stage]
        if all(one.state in FINISHED for one in here):
            if rollout.stage + 1 >= len(rollout.stages) or not any(
                one.stage > rollout.stage for one in rollout.devices
            ):
                self._change(rollout.id, ("running",), "done", "")
            else:
                self._control.write(
                    "UPDATE rollouts SET stage = stage + 1, updated = ? WHERE id = ?",
                    *(self._clock(), rollout.id),
                )
            return True
        if self._exchange(rollout, known):
            return True
        room = max(5, math.ceil(UNDER_WAY * len(rollout.devices)))
        room -= rollout.count(*UNDER_WAY_STATES)
        manifest = self._manifest(rollout.version)
        sent = False
        for one in here:
            device = known.get(one.device)
            if room <= 0 or one.state != "waiting" or not device or not device.online:
                continue
            now = self._clock()
            command = self._send(
                one.device, "update", manifest or {}, 0, now + COMMAND_MS,
                rollout.created_by,
            )  # fmt: skip
            self._set(rollout.id, one.device, "sent", "", command)
            room -= 1
            sent = True
        return sent

    def _exchange(self, rollout: Rollout, known: Mapping[str, DeviceNow]) -> bool:
        """Put a connected device in the place of one of this stage that is away."""

        def waiting(later: bool, online: bool) -> list[RolloutDevice]:
            return [
                one
                for one in rollout.devices
                if one.state == "waiting"
                and (one.stage > rollout.stage) == later
                and one.stage >= rollout.stage
                and (one.device in known and known[one.device].online) == online
            ]

        pairs = list(zip(waiting(False, False), waiting(True, True), strict=False))
        for away, there in pairs:
            for device, stage in ((away, there.stage), (there, away.stage)):
                self._control.write(
                    "UPDATE rollout_devices SET stage = ? WHERE rollout = ?"
                    " AND device = ?",
                    *(stage, rollout.id, device.device),
                )
        return bool(pairs)

    def _set(
        self,
        rollout: int,
        device: str,
        state: str,
        detail: str,
        command: str | None = None,
    ) -> None:
        self._control.write(
            "UPDATE rollout_devices SET state = ?, detail = ?, updated = ?,"
            " command = coalesce(?, command) WHERE rollout = ? AND device = ?",
            *(state, detail[:300], self._clock(), command, rollout, device),
        )

    def _again(self, rollout: Rollout) -> Rollout:
        row = self._control.row("SELECT * FROM rollouts WHERE id = ?", rollout.id)
        assert row is not None
        return self._rollout(row)

    def _manifest(self, version: str) -> dict[str, Any] | None:
        row = self._control.row(
            "SELECT manifest FROM firmware WHERE version = ? AND withdrawn IS NULL",
            version,
        )
        return None if row is None else json.loads(row["manifest"])


def _check_stages(stages: Sequence[int | None]) -> None:
    counts = list(stages[:-1])
    if (
        not stages
        or stages[-1] is not None
        or any(not isinstance(count, int) or count < 1 for count in counts)
    ):
        raise InputError(
            "stages are numbers of devices, the last of them None for all that are "
            f"left, such as (1, 5, None); got {tuple(stages)}"
        )


def _stage_numbers(devices: int, stages: Sequence[int | None]) -> Sequence[int]:
    """Return the stage of each device, in their order.

    Examples
    --------
    >>> _stage_numbers(9, (1, 5, None))
    [0, 1, 1, 1, 1, 1, 2, 2, 2]
    """
    numbers: list[int] = []
    for stage, count in enumerate(stages):
        numbers += [stage] * (devices if count is None else count)
    return numbers[:devices]
