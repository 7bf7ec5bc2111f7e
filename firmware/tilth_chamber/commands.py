"""Commands from the fleet: signed, in time, each carried out at most once.

Only "reboot" and "open" interrupt a closed chamber; the others wait for open air. The
result of every command is an event, so it arrives however long the link is down.
"""

from . import __version__, keep, sign, wire
from .states import RESTING

PATH = "/state/commands.json"

# Ids remembered, so that a command that comes again is not carried out again.
REMEMBERED = 32
# A longer result is reported once and not kept in flash.
REMEMBERED_MEMBERS = 4
# Commands with a wrong signature that are answered, per hour; more are an attack on
# the queue.
ANSWERED = 10
HOUR_MS = 3_600_000
# Carried out whatever the chamber does.
AT_ONCE = ("reboot", "open", "label", "report", "identify")
KNOWN = AT_ONCE + ("servo_test", "calibrate", "config", "update")
# They end this run of the firmware.
RESTARTS = ("reboot", "update")
FINAL = ("done", "failed", "expired", "refused")


class Commands:
    """What was commanded, and what became of it.

    Parameters
    ----------
    hw : object
        The hardware layer.
    settings : dict
        `command_key`, hex.
    app : object
        The application: `orders`, `chamber`, `utc(now)` and `emit(kind, body)`.
    """

    def __init__(self, hw, settings, app):
        self.hw = hw
        self.app = app
        try:
            self.key = bytes.fromhex(settings["command_key"])
        except (ValueError, TypeError):
            self.key = b""
        book = keep.load(hw.fs, PATH, [])
        self._book = [e for e in book if isinstance(e, list) and len(e) == 4]
        self._waiting = []
        self._strange = 0
        self._strange_from = 0

    def resume(self, planned):
        """Report what a restart ended; `planned` ids go on."""
        for entry in self._book:
            if entry[2] not in FINAL and entry[0] not in planned:
                if entry[1] == "update" and getattr(self.hw, "on_trial", False):
                    continue  # done once this firmware has proved itself
                if entry[1] == "reboot":
                    self.finish(entry[0], "done", {})
                elif entry[1] != "update":
                    self.finish(entry[0], "failed", {"why": "restarted"})
                elif entry[3].get("version") == __version__:
                    self.finish(entry[0], "done", entry[3])
                else:
                    self.finish(entry[0], "failed", {"why": "still " + __version__})

    def confirmed(self):
        """Report the update that has brought this firmware, which is good."""
        for entry in self._book:
            if entry[1] == "update" and entry[2] not in FINAL:
                self.finish(entry[0], "done", entry[3])

    def receive(self, command, raw):
        """Take one message of the command topic; never raises.

        Parameters
        ----------
        command : object
            The message as JSON. What counts is the signed part of `raw`, which is
            parsed here again: nothing unsigned can hide behind the signature.
        raw : bytes
            The message as it came.
        """
        now = self.hw.ticks_ms()
        raw = bytes(raw)
        try:
            if sign.is_signed(raw, self.key):
                signed = raw[: raw.rfind(b',"sig":')] + b"}"
                self._receive(wire.read_command(signed), now)
            else:
                command = wire.read_command(raw)
                body = {"id": command["id"], "cmd": command["cmd"], "state": "refused"}
                body["why"] = "signature"
                self._answer_stranger(now, "result", body)
        except wire.Refused as error:
            body = {"what": "bad_command", "why": str(error)}
            self._answer_stranger(now, "alarm", body)

    def _receive(self, command, now):
        command_id, name, before = command["id"], command["cmd"], command["before"]
        known = self._find(command_id)
        if known is not None:
            self._report(known, {"again": True})
            return
        utc = self.app.utc(now)
        if name not in KNOWN:
            self._note(command_id, name, "refused", {"why": "unknown"})
        elif utc is None:
            # Without the time an old command cannot be told from a new one.
            self._note(command_id, name, "refused", {"why": "no_clock"})
        elif utc > before:
            self._note(command_id, name, "expired", {})
        elif not self._note(command_id, name, "accepted", {}) and name in RESTARTS:
            # Not remembered, it would be carried out again after every restart.
            self.finish(command_id, "refused", {"why": "flash"})
        else:
            self._waiting.append(command)
            self.step(now)

    def step(self, now):
        """Carry out what waits and may be done now; call it at every sample."""
        for command in self._waiting[:]:
            name = command["cmd"]
            utc = self.app.utc(now)
            if utc is None or utc < command["after"]:
                continue
            if utc > command["before"]:
                self._waiting.remove(command)
                self.finish(command["id"], "expired", {})
            elif name in AT_ONCE or self.app.chamber.state in RESTING:
                self._waiting.remove(command)
                self._carry_out(command["id"], name, command["args"], now)

    def finish(self, command_id, state, body):
        """Set a command's state and report it."""
        entry = self._find(command_id)
        if entry is None:
            return
        entry[2] = state
        entry[3] = body if len(body) <= REMEMBERED_MEMBERS else {}
        self._save()
        self._report(entry, body)

    def _carry_out(self, command_id, name, args, now):
        if name in ("reboot", "servo_test", "calibrate", "config"):
            self.finish(command_id, "running", {})
        try:
            body = getattr(self.app.orders, name)(command_id, args, now)
        except (ValueError, KeyError, TypeError, OSError) as error:
            self.finish(command_id, "failed", {"why": str(error)[:80]})
            return
        if body is not None:
            self.finish(command_id, "done", body)

    def _find(self, command_id):
        for entry in self._book:
            if entry[0] == command_id:
                return entry
        return None

    def _note(self, command_id, name, state, body):
        """Remember and report a new command; False if flash did not take it."""
        entry = [command_id, name, state, body]
        self._book.append(entry)
        while len(self._book) > REMEMBERED:
            self._book.pop(0)
        kept = self._save()
        self._report(entry, {})
        return kept

    def _save(self):
        return keep.save(self.hw.fs, PATH, self._book)

    def _report(self, entry, more):
        body = dict(entry[3])
        body.update(more)
        body.update({"id": entry[0], "cmd": entry[1], "state": entry[2]})
        self.app.emit("result", body)

    def _answer_stranger(self, now, kind, body):
        """Report a message nobody of the fleet has signed, but not without end."""
        if now - self._strange_from > HOUR_MS:
            self._strange_from = now
            self._strange = 0
        self._strange += 1
        if self._strange <= ANSWERED:
            self.app.emit(kind, body)
