"""What each command does to the chamber."""

import gc

from . import __version__, keep
from . import settings as all_settings
from .schedule import jitter
from .states import NAMES, SERVICE

HOLD = "/state/hold.json"

IDENTIFY_MS = 60_000
# Chambers told to reboot together do it within this time, each at its own.
REBOOT_WITHIN_MS = 60_000
HOUR_MS = 3_600_000


class Orders:
    """One method for each command of `commands.KNOWN`.

    Each takes the command's id, its arguments and the tick; it returns the members of
    the result "done", or None when the result comes later, or raises ValueError.

    Parameters
    ----------
    hw : object
        The hardware layer.
    app : App
        The chamber.

    Attributes
    ----------
    identify_until : int
        Tick until which the screen says where this chamber is.
    """

    def __init__(self, hw, app):
        self.hw = hw
        self.app = app
        self.identify_until = 0
        self._held = False
        self._testing = None

    def begin(self, now):
        """Hold the lid open if an emergency stop before the start said so."""
        kept = keep.load(self.hw.fs, HOLD, None)
        if isinstance(kept, list) and len(kept) == 2:
            utc = self.app.utc(now)
            left = kept[1] if utc is None else min(kept[0] - utc, kept[1])
            self.app.chamber.hold_until = now + left
            self._held = True

    def sampled(self, now):
        """Follow what takes time; call it at every sample."""
        if self._testing is not None:
            self._watch_test()
        if self._held and now >= self.app.chamber.hold_until:
            self._held = False
            keep.save(self.hw.fs, HOLD, None)

    def reboot(self, command_id, args, now):
        """Reset soon, each chamber after a delay of its own; open the lid for it."""
        span = args.get("jitter_ms", REBOOT_WITHIN_MS)
        whole = isinstance(span, int) and not isinstance(span, bool)
        if not whole or not 0 <= span < HOUR_MS:
            raise ValueError("jitter_ms: 0 to 3599999")
        at = now + jitter(self.hw.mac(), span)
        self.app.chamber.restart(at, "command", True, True)

    def open(self, command_id, args, now):
        """Emergency stop: open the lid and keep it open."""
        app = self.app
        hold = args.get("hold_ms", app.settings["hold_ms"])
        why = all_settings.problem_of("hold_ms", hold)
        if why is not None:
            raise ValueError(why)
        was = NAMES[app.chamber.state]
        app.chamber.hold_open(now, now + hold, "stop")
        self._held = hold > 0
        # Somebody may have a hand in the chamber: a restart is no reason to close it.
        utc = app.utc(now)
        keep.save(self.hw.fs, HOLD, [utc + hold, hold] if self._held else None)
        return {"was": was, "hold_ms": hold}

    def label(self, command_id, args, now):
        """Set the place's code."""
        before = self.app.label.loc
        self.app.relabel(args["loc"], "command", now)
        return {"from": before, "to": self.app.label.loc}

    def config(self, command_id, args, now):
        """Change settings, all or none."""
        app = self.app
        changes = dict(args)
        cfg = changes.pop("id", "")
        if not isinstance(cfg, str) or len(cfg) > 40:
            raise ValueError("id: a text")
        changed = all_settings.change(app.settings, changes)
        changed["cfg"] = cfg
        app.settings.update(changed)
        kept = all_settings.save(self.hw.fs, app.settings)
        app.refit(changes, now)
        body = {"id": cfg, "kept": kept}
        body.update(changes)
        app.emit("config", body)
        return {"kept": kept}

    def servo_test(self, command_id, args, now):
        """Sweep twice in open air and report the lowest supply voltage."""
        chamber = self.app.chamber
        if not chamber.fire("service", now, "command"):
            raise ValueError("not now: " + NAMES[chamber.state])
        self._testing = [command_id, self.app.sensors.supply]

    def _watch_test(self):
        command_id, lowest = self._testing
        supply = self.app.sensors.supply
        if supply is not None and (lowest is None or supply < lowest):
            self._testing[1] = supply
        chamber = self.app.chamber
        if chamber.state != SERVICE:
            self._testing = None
            body = {"sweeps": chamber.sweeps, "supply": lowest}
            self.app.commands.finish(command_id, "done", body)

    def calibrate(self, command_id, args, now):
        """Plan a recalibration."""
        app = self.app
        app.calibration.set(command_id, args["at"], args["ppm"], app.utc(now))

    def report(self, command_id, args, now):
        """Report the device's health."""
        app = self.app
        return {
            "fw": __version__,
            "up_ms": now,
            "chamber": NAMES[app.chamber.state],
            "loc": app.label.loc,
            "clock": app.clock.source(),
            "queue": [app.queue.depth(), app.queue.dropped],
            "flash_free": self.hw.fs.free(),
            "supply": app.sensors.supply,
            "missed": app.grid.missed,
            "memory_free": gc.mem_free() if hasattr(gc, "mem_free") else None,
        }

    def identify(self, command_id, args, now):
        """Show on the screen which chamber this is."""
        self.identify_until = now + IDENTIFY_MS
        self.app.show(now)
        return {}

    def update(self, command_id, args, now):
        """Change to another firmware."""
        if self.app.updater is None:
            raise ValueError("no updater")
        finish = self.app.commands.finish
        finish(command_id, "running", {"version": args["version"]})
        self.app.updater.begin(args, lambda how, body: finish(command_id, how, body))
