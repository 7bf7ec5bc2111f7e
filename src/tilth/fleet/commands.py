"""Commands on their way: queued by people, signed, sent, sent again, answered.

A command is a row in the control file before anything is sent, so whoever enters it
(the pages, the command line, a roll-out) need not be the process that runs the
broker. A device answers through its queue, so an answer may come hours later; it
carries out each id once, so sending again does no harm.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from tilth.core.errors import InputError
from tilth.fleet.clock import Clock, now_ms
from tilth.fleet.control import Control, Secret
from tilth.fleet.messages import Command, derive_command_key, encode_command
from tilth.fleet.wire import ProtocolError, is_device, topic_of

_log = logging.getLogger(__name__)

#: What a device can be told.
COMMANDS = (
    "reboot", "open", "servo_test", "calibrate", "config", "label", "update",
    "report", "identify",
)  # fmt: skip

#: States in which the device has not answered yet.
UNANSWERED = ("queued", "sent")

#: An unanswered command is sent again after this long, ms.
AGAIN_MS = 60_000

#: A device that was offline may answer until this long after a command's end: its
#: answer comes through its queue. Then the command counts as expired, ms.
GRACE_MS = 3_600_000


def queue_command(
    control: Control,
    device: str,
    cmd: str,
    args: Mapping[str, Any] | None = None,
    *,
    after: int = 0,
    before: int | None = None,
    by: str = "",
) -> str:
    """Enter a command; whoever runs the fleet sends it.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    device : str
        An enrolled device.
    cmd : str
        One of `COMMANDS`.
    args : mapping, optional
        As the protocol says.
    after, before : int
        When it may be carried out, utc ms; until ten minutes from now by default.
    by : str
        Who wants it.

    Returns
    -------
    str
        Its id.

    Raises
    ------
    InputError
        If the device is not enrolled, the command is none, or its time has passed.
    """
    if not is_device(device) or control.device(device) is None:
        raise InputError(f"no device {device!r} is enrolled in this fleet")
    if cmd not in COMMANDS:
        raise InputError(f"no command {cmd!r}; there are {', '.join(COMMANDS)}")
    now = control.clock()
    until = now + 600_000 if before is None else before
    if until <= max(now, after):
        raise InputError(f"the command {cmd} would have expired before it is sent")
    name = f"c-{secrets.token_hex(8)}"
    trial = Command(name, cmd, dict(args or {}), after, until)
    try:
        encode_command(b"\0" * 32, trial)
    except ProtocolError as error:
        raise InputError(f"the command {cmd} cannot be sent: {error}") from None
    control.add_command(name, device, cmd, trial.args, after=after, before=until, by=by)
    control.note(by, f"command {cmd}", {"device": device, "id": name})
    return name


class Dispatcher:
    """Sends what is queued, and notes what devices answer.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    secret : Secret
        The fleet's secret; devices' keys derive from it.
    publish : callable
        ``publish(topic, payload)`` at QoS 1, never retained.
    clock : callable
        Gives utc ms.
    """

    def __init__(
        self,
        control: Control,
        secret: Secret,
        publish: Callable[[str, bytes], None],
        clock: Clock = now_ms,
    ) -> None:
        self._control, self._secret = control, secret
        self._publish, self._clock = publish, clock

    def step(self) -> int:
        """Send what is due, end what has expired; return how many were sent."""
        now = self._clock()
        rows = self._control.commands(open_only=True, limit=10_000)
        sent = 0
        for row in reversed(rows):
            if now > row["before"]:
                if now > row["before"] + GRACE_MS or row["state"] == "queued":
                    body = {"why": "no answer in time"}
                    self._control.set_command_state(row["id"], "expired", body)
                continue
            due = row["state"] == "queued" or (
                row["state"] == "sent" and now - (row["sent_at"] or 0) >= AGAIN_MS
            )
            if due:
                self._send(row)
                sent += 1
        return sent

    def hello(self, device: str) -> None:
        """Send a device that has just connected what it has not answered."""
        now = self._clock()
        for row in reversed(self._control.commands(device, open_only=True)):
            if row["state"] in UNANSWERED and now <= row["before"]:
                self._send(row)

    def result(self, device: str, body: Mapping[str, Any]) -> bool:
        """Note a device's answer; False if it is to no command of this device."""
        name, state = body.get("id"), body.get("state")
        row = self._control.command(str(name))
        if row is None or row["device"] != device or not isinstance(state, str):
            return False
        more = {k: v for k, v in body.items() if k not in ("id", "cmd", "state")}
        return self._control.set_command_state(row["id"], state, more)

    def _send(self, row: Mapping[str, Any]) -> None:
        key = derive_command_key(self._secret.reveal(), row["device"])
        command = Command(
            row["id"], row["cmd"], row["args"], row["after"], row["before"]
        )
        self._control.set_command_state(row["id"], "sent")
        self._publish(topic_of(row["device"], "cmd"), encode_command(key, command))
        _log.info("command %s %s sent to %s", row["cmd"], row["id"], row["device"])
