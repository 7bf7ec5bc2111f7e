"""The whole chamber: one object that is woken, does what is due, and says when next.

    app = App(hw)
    while True:
        wake = app.step(hw.ticks_ms())
        # sleep until hw.ticks_ms() >= wake

Nothing blocks. What the chamber measures does not depend on the network, the clock or
the flash; whatever fails, the lid is commanded open first.
"""

import gc

from . import __version__, fan, keep
from . import settings as all_settings
from .calibrate import Calibration
from .chamber import Chamber
from .clock import Clock
from .commands import Commands
from .label import Label
from .link import Link
from .orders import Orders
from .queue import Queue
from .schedule import Grid, jitter
from .sensors import FAN_ON, LID_MOVING, Sensors
from .servo import Servo
from .states import CONFIG, FLUSH, IDLE, MOVING, NAMES

STATE = "/state"
HEALTH = "/state/health.json"
DATA = "/data"

# The CO2 sensor answers two seconds after its supply (data sheet), and the lid is open
# and at rest by then.
FIRST_SAMPLE_MS = 2_000
# Starts after brown-outs in a row from which the servo gets a rest, and its length,
# doubled at each further one.
WEAK = 3
WEAK_REST_MS = 60_000
WEAK_REST_MOST_MS = 3_600_000
# Exceptions within an hour: a restart in open air, and one without asking.
PANICS_RESTART = 5
PANICS_RESET = 20
HOUR_MS = 3_600_000
TOUCH_MS = 100
SCREEN_SAMPLES = 10
NEVER = 1 << 62


class App:
    """One chamber.

    Parameters
    ----------
    hw : object
        The hardware layer.
    settings : dict, optional
        Defaults overridden; read from flash by default.

    Attributes
    ----------
    chamber, sensors, queue, link, clock, commands, orders, calibration, label
        The parts.
    updater : object or None
        `begin(manifest, on_end)`: starts the change to another firmware, ValueError if
        it is refused; calls `on_end(state, body)` if it fails later.
    """

    # What a test bench exchanges.
    Queue = Queue
    Clock = Clock
    Link = Link

    def __init__(self, hw, settings=None):
        self.hw = hw
        self.settings = s = all_settings.load(hw.fs) if settings is None else settings
        cause = hw.cause()
        self.servo = Servo(hw, s)
        if cause != "brownout":
            self.servo.open()
        hw.fan(False)
        keep.folder(hw.fs, STATE)
        self.weak = self._count_brownouts(cause)
        if cause == "brownout":
            # The motor's current has pulled the supply down: again and again, if it
            # were moved at once each time.
            self.servo.locked = self.weak >= WEAK
            self.servo.open()
        hw.wdt_feed()
        self.queue = self.Queue(hw.fs, DATA, s, hw)
        self.clock = self.Clock(hw, s)
        self.label = Label(hw)
        self.now = now = hw.ticks_ms()
        utc = self.clock.utc(now)
        first = now + FIRST_SAMPLE_MS
        if utc is not None:
            # Chambers that know the time sample together.
            first += -(utc + FIRST_SAMPLE_MS) % s["sample_ms"]
        self.grid = Grid(first, s["sample_ms"])
        self.fan = fan.Fan(hw, s, self.grid)
        self.sensors = Sensors(hw, s, self.emit)
        self.chamber = Chamber(s, self.grid, self.servo, self.fan, self)
        self.calibration = Calibration(hw, self)
        self.orders = Orders(hw, self)
        self.commands = Commands(hw, s, self)
        self.link = self.Link(hw, self.queue, self.clock, s)
        self.link.on_command = self.commands.receive
        self.updater = None
        self._panics = []
        self._missed = 0
        self._link_wake = now
        self._clock_wake = now
        self._screen_in = 0
        self._begin(cause)

    def step(self, now):
        """Do what is due.

        Parameters
        ----------
        now : int
            `hw.ticks_ms()`.

        Returns
        -------
        int
            Tick by which to call again.
        """
        try:
            wake = self._step(now)
            self.hw.wdt_feed()
            return wake
        except Exception as error:
            return self._panic(error, now)

    # --- what the parts ask of the application

    def emit(self, kind, body):
        """Queue an event of this moment."""
        self.queue.append_event(kind, body, self.now, self.label.loc)
        if kind == "state":
            self._screen_in = 0

    def utc(self, now):
        """Return UTC ms at a tick, or None."""
        return self.clock.utc(now)

    def loc(self):
        """Return the place's code, or ""."""
        return self.label.loc

    def may_start(self, now):
        """Tell whether a cycle may begin now."""
        s = self.settings
        needed = s["closed_ms"] + s["extend_ms"] + s["flush_ms"] + 8 * s["leg_ms"]
        return self.calibration.leaves_time(now, needed)

    def open_air(self, now):
        """Do what waits for open air, once per cycle."""
        if self.weak and self.chamber.before == FLUSH:
            # The servo has moved through a whole cycle, and the supply held.
            self.weak = 0
            keep.save(self.hw.fs, HEALTH, {"brownouts": 0})
        self.sensors.between_closures()
        if self.grid.missed > self._missed:
            missed = self.grid.missed - self._missed
            self._missed = self.grid.missed
            self.emit("alarm", {"what": "late", "missed": missed})
        if hasattr(gc, "mem_free"):  # on the chip
            gc.collect()

    def try_reset(self):
        """Reset if no record would be lost; else return."""
        self.queue.spill()
        if self.queue.all_safe():
            self.hw.reset()

    def calibrated(self, command_id, state, body):
        """Take note of how a recalibration went."""
        self.commands.finish(command_id, state, body)

    # --- the start

    def _count_brownouts(self, cause):
        """Return how many starts in a row were brown-outs, this one included."""
        health = keep.load(self.hw.fs, HEALTH, {})
        before = health.get("brownouts", 0) if isinstance(health, dict) else 0
        count = before + 1 if cause == "brownout" else 0
        if count != before:
            keep.save(self.hw.fs, HEALTH, {"brownouts": count})
        return count

    def _begin(self, cause):
        now = self.now
        body = {"reason": cause, "fw": __version__, "hw": self.hw.mac()}
        body["slot"] = getattr(self.hw, "slot", "")
        self.emit("boot", body)
        self.sensors.start()
        plan = self.calibration.plan
        self.commands.resume([plan["id"]] if plan else [])
        if self.weak >= WEAK:
            self.emit("alarm", {"what": "brownouts", "n": self.weak})
            self.chamber.fire("weak", now)
            rest = min(WEAK_REST_MS << (self.weak - WEAK), WEAK_REST_MOST_MS)
            self.chamber.due = now + rest
        else:
            self.chamber.fire("labelled" if self.label.loc else "unlabelled", now)
        self._plan_restart(now)
        self.orders.begin(now)
        if not self.label.loc:
            self.label.open(now)

    def _plan_restart(self, now):
        every = self.settings["reboot_ms"]
        if every:
            every += jitter(self.hw.mac(), self.settings["reboot_jitter_ms"])
            self.chamber.restart(max(now, every), "planned", False)
        else:
            self.chamber.restart(NEVER, "", False)

    def refit(self, changes, now):
        """Let changed settings hold; everything else reads them where it needs them."""
        if self.settings["sample_ms"] != self.grid.step:
            self.grid.refit(self.settings["sample_ms"])
        if "co2_interval_s" in changes:
            self.sensors.start()
        planned = self.chamber.reboot_why in ("planned", "")
        if planned and ("reboot_ms" in changes or "reboot_jitter_ms" in changes):
            self._plan_restart(now)

    # --- the round

    def _step(self, now):
        self.now = now
        chamber = self.chamber
        if now >= chamber.due or now >= chamber.reboot_at:
            chamber.step(now)
        if now >= self.grid.due:
            self._sample(now)
        if now >= self.fan.wake:
            self.fan.step(now)
        key = self.hw.touch()
        if key is not None:
            self._touched(key, now)
        clock_wake = self.clock.step(now)
        wake = self.link.step(now)
        for other in (clock_wake, self.grid.due, chamber.due, self.fan.wake):
            if other < wake:
                wake = other
        if self.label.typing:
            if self.label.idle(now):
                self.show(now)
            wake = min(wake, now + TOUCH_MS)
        return wake

    def _sample(self, now):
        self.grid.take(now)
        chamber = self.chamber
        values, flags = self.sensors.sample()
        if chamber.state in MOVING:
            flags |= LID_MOVING
        if self.fan.on:
            flags |= FAN_ON
        self.queue.append_sample(values + (chamber.state, flags), now, self.label.loc)
        if chamber.state in (CONFIG, IDLE) and not self.sensors.scd30.mbar:
            self.sensors.between_closures()  # the pressure, before the first closure
        co2 = self.sensors.co2
        chamber.sampled(now, co2)
        if self.calibration.plan is not None:
            self.calibration.sample(now, co2)
            self.calibration.step(now)
        self.commands.step(now)
        self.orders.sampled(now)
        self._screen_in -= 1
        if self._screen_in < 0 and not self.label.typing:
            self.show(now)

    def _touched(self, key, now):
        code = self.label.touch(key, now)
        if code is not None:
            self.relabel(code, "touch", now)
            self.show(now)

    def relabel(self, code, source, now):
        """Take a new place; ValueError if the code is none."""
        before = self.label.set(code)
        if code != before:
            self.emit("loc", {"from": before, "to": code, "source": source})
            self.chamber.relabel()
        if self.chamber.state == CONFIG:
            self.chamber.fire("labelled", now)
            self.label.typing = False

    def show(self, now):
        """Show how the chamber is."""
        self._screen_in = SCREEN_SAMPLES
        loc = self.label.loc or "no place"
        if now < self.orders.identify_until:
            self.hw.show(["> > >", loc, "< < <"])
            return
        co2 = self.sensors.co2
        lines = [
            loc + "  " + NAMES[self.chamber.state],
            "CO2 -" if co2 is None else "CO2 %d ppm" % ((co2 + 500) // 1000),
            "clock " + self.clock.source(),
            "waiting %d" % self.queue.depth(),
            "firmware " + __version__,
        ]
        self.hw.show(lines)

    def _panic(self, error, now):
        """Open the lid; then say what happened and carry on, or restart."""
        try:
            self.servo.open()
            self.hw.fan(False)
        except Exception:
            self.hw.reset()
        try:
            self._panics = [t for t in self._panics if now - t < HOUR_MS] + [now]
            body = {"what": "exception", "kind": type(error).__name__}
            body["text"] = str(error)[:80]
            body["state"] = NAMES[self.chamber.state]
            self.chamber.fire("exception", now)
            self.emit("alarm", body)
            if len(self._panics) >= PANICS_RESET:
                self.queue.spill()
                self.hw.reset()
            if len(self._panics) >= PANICS_RESTART:
                self.chamber.restart(now, "exceptions", True)
        except Exception:
            self.hw.reset()
        return now + 1000
