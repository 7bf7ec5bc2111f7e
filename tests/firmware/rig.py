"""A chamber on a bench: the real application, with what it says written down.

Queue, clock and link are exchanged for plain ones, so that a test of the chamber
tests the chamber; the whole is tested where it talks to a server.
"""

import hashlib
import hmac
import json

from fakes import ClosedAir, FakeHardware, run
from tilth_chamber import keep, settings, states
from tilth_chamber.app import App

KEY = bytes(range(32))
SHUT = ("closed", "extended")


class NotedQueue:
    """Writes down what is appended, on the rig; nothing is ever sent."""

    def __init__(self, rig, fs):
        self.rig, self.fs = rig, fs
        self.safe = True
        self.dropped = 0

    def append_sample(self, row, tick, loc):
        rig = self.rig
        rig.samples.append((rig.hw.true_ms, tick, row, loc))

    def append_event(self, kind, body, tick, loc):
        rig = self.rig
        json.dumps(body)
        rig.events.append((rig.hw.true_ms, tick, kind, dict(body), loc))

    def spill(self):
        self.rig.spills += 1

    def all_safe(self):
        return self.rig.safe

    def depth(self):
        return 0


class TruthClock:
    """The true time of day, plus an error, or unknown; both set on the rig."""

    def __init__(self, rig):
        self.rig = rig

    def step(self, now):
        return now + 10**6

    def utc(self, tick):
        rig, hw = self.rig, self.rig.hw
        if not rig.clock_known:
            return None
        return hw.utc_ms() - hw.ticks_ms() + tick + rig.clock_error

    def source(self):
        return "ntp" if self.rig.clock_known else "none"


class NoLink:
    """Nobody at the other end."""

    on_command = None

    def __init__(self, *_):
        pass

    def step(self, now):
        return now + 10**6


class Rig:
    """One chamber, its hardware and its log.

    Parameters
    ----------
    flux : float or None
        Of the soil under it, umol m-2 s-1.
    label : str
        Code in its flash; "" for none.
    clock_known : bool
        Whether it knows the time of day.
    changes : dict
        Settings other than the defaults.
    **hardware
        For `FakeHardware`.

    Attributes
    ----------
    samples : list of (true_ms, tick, row, loc)
    events : list of (true_ms, tick, kind, body, loc)
    plan : list of (true_ms, callable)
        Called with the rig once that time has come, in order.
    """

    def __init__(
        self, flux=None, label="5.10.A", clock_known=True, changes=None, **hardware
    ):
        self.hw = FakeHardware(**hardware)
        if flux is not None:
            self.hw.air = ClosedAir(self.hw, flux)
        self.samples, self.events, self.plan = [], [], []
        self.spills = 0
        self.safe = True
        self.clock_known, self.clock_error = clock_known, 0
        self.changes = {"command_key": KEY.hex(), **(changes or {})}
        self.app = None
        self.checks = []
        # What is planned wakes the chamber as a message of the network does.
        self.hw.net.next_arrival = lambda: self.plan[0][0] if self.plan else None
        self._commands = 0
        keep.save(self.hw.fs, "/state/label.json", label)

    def make(self):
        """Start the firmware."""
        rig = self

        class Bench(App):
            Queue = staticmethod(lambda fs, root, s, hw: NotedQueue(rig, fs))
            Clock = staticmethod(lambda hw, s: TruthClock(rig))
            Link = NoLink

        values = settings.load(self.hw.fs)
        values.update(self.changes)
        self.app = Bench(self.hw, values)
        return self.app

    def run(self, until_ms, **how):
        """Run until a true time."""
        self.app = run(
            self.hw, self.make, until_ms, app=self.app, on_step=self._on_step, **how
        )
        return self

    def _on_step(self, app):
        for check in self.checks:
            check(app)
        happened = False
        while self.plan and self.hw.true_ms >= self.plan[0][0]:
            self.plan.pop(0)[1](self)
            happened = True
        return happened

    # --- looking at the log

    def of(self, kind):
        """Bodies of the events of a kind."""
        return [body for _, _, k, body, _ in self.events if k == kind]

    def states(self):
        """(true_ms, state) of every transition."""
        return [(t, b["to"]) for t, _, k, b, _ in self.events if k == "state"]

    def state_at(self, true_ms):
        """State the chamber said it was in at a true time."""
        last = "boot"
        for t, state in self.states():
            if t > true_ms:
                break
            last = state
        return last

    def fan_stretches(self):
        """(from, to) of every time the fan ran."""
        out, began = [], None
        for t, on in self.hw.fan_log:
            if on:
                began = t
            elif began is not None:
                out.append((began, t))
                began = None
        return out

    # --- commanding

    def command(self, cmd, args=None, after=0, before=None, key=KEY, name=None):
        """Bytes of a signed command of this moment."""
        if name is None:
            self._commands += 1
            name = f"c-{self._commands:016x}"
        if before is None:
            before = self.hw.utc_ms() + 600_000
        body = {"v": 1, "id": name, "cmd": cmd, "args": args or {}}
        body.update(after=after, before=before)
        text = json.dumps(body, separators=(",", ":")).encode()[:-1]
        signature = hmac.new(key, text, hashlib.sha256).hexdigest()
        return text + b',"sig":"' + signature.encode() + b'"}'

    def send(self, cmd, args=None, **more):
        """Give the chamber a command now."""
        raw = self.command(cmd, args, **more)
        self.app.commands.receive(None, raw)
        return raw


def state_name(app):
    """Name of the state an application is in."""
    return states.NAMES[app.chamber.state]
