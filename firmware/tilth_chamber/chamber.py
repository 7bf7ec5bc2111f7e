"""The chamber's cycle as a table of states and events.

One cycle: two sweeps of the servo, lid closed for three minutes (five where little
CO2 gathers), lid open, fan at full speed, open air until the next cycle. Whatever goes
wrong, the lid is commanded open before anything else happens.
"""

from . import fan as fans
from .closure import Closure
from .schedule import slot
from .states import (
    AMBIENT,
    BOOT,
    CLOSED,
    CLOSING,
    EXERCISE,
    EXTENDED,
    FAULT,
    FLUSH,
    IN_CYCLE,
    NAMES,
    OPEN_AIR,
    OPENING,
    REBOOT,
    RESTING,
    SERVICE,
    SHUT,
    TABLE,
)

# A closure ends by its samples; this long after the longest, it ends without them.
GUARD_MS = 1_000
# A cycle begins at its time, or this much later at most (the clock may have jumped).
LATE_MS = 30_000
# Open air between two cycles, at least.
REST_MS = 30_000
# The planned restart comes early in the open time, so that no cycle is missed.
REBOOT_WITHIN_MS = 60_000
REBOOT_RETRY_MS = 5_000
REBOOT_PATIENCE_MS = 60_000
REBOOT_LATER_MS = 600_000
FAULT_REST_MS = 60_000
NEVER = 1 << 62


class Chamber:
    """The state machine.

    `step` does what time demands, `sampled` what the newest sample demands.

    Parameters
    ----------
    settings : dict
        See `settings.MEASURING`.
    grid : Grid
        The sampling grid.
    servo, fan : Servo, Fan
        What moves.
    world : object
        The application: `emit(kind, body)`, `utc(now)`, `loc()`, `may_start(now)`,
        `open_air(now)` (called once when open air begins) and `try_reset()`
        (resets if nothing would be lost, else returns).

    Attributes
    ----------
    state : int
        One of `NAMES`' indices.
    before : int
        The state before it.
    since : int
        Tick at which it began.
    due : int
        Tick at which `step` has something to do.
    cycle : int or None
        Number of the cycle under way: UTC divided by the period, or below zero a
        number of this boot while the time of day is not known.
    """

    def __init__(self, settings, grid, servo, fan, world):
        self.settings = settings
        self.grid = grid
        self.servo = servo
        self.fan = fan
        self.world = world
        self.state = BOOT
        self.before = BOOT
        self.since = 0
        self.due = NEVER
        self.cycle = None
        self.closed_at = None
        self.closure = None
        self.sweeps = 0
        self.mixed = False
        self.hold_until = 0
        self.first_local = grid.start + settings["first_ms"]
        self.reboot_at = NEVER
        self.reboot_why = ""
        self.reboot_now = False
        self.reboot_interrupts = False
        self._last_slot = None
        self._legs = []
        self._loc = ""

    # --- what happens to the chamber

    def step(self, now):
        """Do what is due; return the tick of the next thing."""
        while now >= self.due:
            self._timer(now)
        if now >= self.reboot_at:
            self._reboot(now)
        return self.due

    def sampled(self, now, co2):
        """Take note of a sample: the rule of the closure, the start of a cycle.

        Parameters
        ----------
        now : int
            Tick of the sample.
        co2 : int or None
            0.001 ppm.
        """
        state = self.state
        if state in SHUT:
            # Whole grid steps: a sample some milliseconds late decides alike.
            step = self.grid.step
            elapsed = (now - self.closed_at + (step >> 1)) // step * step
            verdict = self.closure.sample(elapsed, co2)
            if verdict is not None and (state == CLOSED or verdict != "little"):
                self.fire(verdict, now)
        elif state in OPEN_AIR and now >= self.hold_until:
            self._begin(now)

    def fire(self, event, now, why=None):
        """Follow the table; False if the event means nothing in this state."""
        after = FAULT if event == "exception" else TABLE[self.state].get(event)
        if after is None:
            return False
        before = self.state
        self.before = before
        self.state = after
        self.since = now
        self.due = NEVER
        why = why or event
        self._ENTER[after](self, now)
        body = {"to": NAMES[after], "cycle": self.cycle, "why": why}
        self.world.emit("state", body)
        if self.cycle is not None and after not in IN_CYCLE:
            self._finish(now, before, why)
        return True

    def relabel(self):
        """Take note that the place's code has changed."""
        if self.cycle is not None:
            self.mixed = True

    def hold_open(self, now, until, why):
        """Stop: open the lid if a cycle or test is on, and keep it open for a time."""
        self.hold_until = until
        if not self.fire("stop", now, why):
            self.servo.open()

    def restart(self, at, why, at_once, interrupt=False):
        """Ask for a reset at a tick.

        Parameters
        ----------
        at : int
            Tick; `NEVER` takes the wish back.
        why : str
            For the record.
        at_once : bool
            True: in open air whenever that is; False: early in the open time, so
            that no cycle is missed.
        interrupt : bool
            Do not wait for open air: open the lid.
        """
        self.reboot_at = at
        self.reboot_why = why
        self.reboot_now = at_once or interrupt
        self.reboot_interrupts = interrupt

    # --- entering a state: hardware first

    def _enter_config(self, now):
        self.fan.set(fans.PULSES, now)

    def _enter_idle(self, now):
        self.fan.set(fans.PULSES, now)

    def _enter_exercise(self, now):
        self.fan.set(fans.OFF, now)
        self.sweeps = 0
        self.mixed = False
        self.closed_at = None
        self.closure = None
        self._loc = self.world.loc()
        self._legs = self.servo.sweep()
        self._leg(now)

    def _enter_closing(self, now):
        self.servo.close()
        # Closed at a sampling time: the first sample is that of closing.
        self.due = self.grid.after(now + self.settings["leg_ms"])

    def _enter_closed(self, now):
        self.fan.set(fans.PULSES, now)
        s = self.settings
        self.closed_at = now
        self.closure = Closure(s)
        self.due = now + s["closed_ms"] + s["extend_ms"] + GUARD_MS

    def _enter_extended(self, now):
        s = self.settings
        self.due = self.closed_at + s["closed_ms"] + s["extend_ms"] + GUARD_MS

    def _enter_opening(self, now):
        self.servo.open()
        self.fan.set(fans.OFF, now)
        self.due = now + self.settings["leg_ms"]

    def _enter_flush(self, now):
        self.fan.set(fans.FULL, now)
        self.due = now + self.settings["flush_ms"]

    def _enter_ambient(self, now):
        self.fan.set(fans.PULSES, now)
        self.world.open_air(now)

    def _enter_calibrate(self, now):
        self.servo.open()
        self.fan.set(fans.FULL, now)

    def _enter_service(self, now):
        self.fan.set(fans.OFF, now)
        self.sweeps = 0
        self._legs = self.servo.sweep()
        self._leg(now)

    def _enter_fault(self, now):
        self.servo.open()
        self.fan.set(fans.PULSES, now)
        self.due = now + FAULT_REST_MS

    def _enter_reboot(self, now):
        self.servo.open()
        self.fan.set(fans.OFF, now)
        self.due = now

    _ENTER = (
        None,
        _enter_config,
        _enter_idle,
        _enter_exercise,
        _enter_closing,
        _enter_closed,
        _enter_extended,
        _enter_opening,
        _enter_flush,
        _enter_ambient,
        _enter_calibrate,
        _enter_service,
        _enter_fault,
        _enter_reboot,
    )

    # --- what time demands

    def _timer(self, now):
        self.due = NEVER
        state = self.state
        if state in (EXERCISE, SERVICE):
            self._leg(now)
        elif state == CLOSING:
            self.fire("shut", now)
        elif state in SHUT:
            self.fire("longest", now)
        elif state == OPENING:
            if self.reboot_interrupts and now >= self.reboot_at:
                self.fire("reboot", now, self.reboot_why)
            else:
                self.fire("opened", now)
        elif state == FLUSH:
            self.fire("flushed", now)
        elif state == FAULT:
            self.servo.locked = False
            self.servo.open()
            self.fire("labelled" if self.world.loc() else "unlabelled", now)
        elif state == REBOOT:
            self.world.try_reset()
            # Still here: something would be lost.
            if now - self.since < REBOOT_PATIENCE_MS:
                self.due = now + REBOOT_RETRY_MS
            else:
                self.restart(now + REBOOT_LATER_MS, self.reboot_why, False)
                self.fire("unsafe", now)

    def _leg(self, now):
        """Command the next leg of the sweeps, or end them."""
        legs = self._legs
        if legs:
            self.servo.move(legs.pop(0))
            self.due = now + self.settings["leg_ms"]
            if len(legs) % 2 == 0:
                self.sweeps += 1
        elif self.state == EXERCISE:
            self.fire("swept", now)
        else:
            self.fire("served", now)

    def _begin(self, now):
        """Begin the cycle whose time has come, if one has."""
        if self.state == AMBIENT and now - self.since < REST_MS:
            return
        period = self.settings["period_ms"]
        utc = self.world.utc(now)
        if utc is not None:
            number, late = slot(utc, period, self.grid.step >> 1)
        elif now < self.first_local:
            return
        else:
            number, late = divmod(now - self.first_local, period)
            number = -1 - number
        if late >= LATE_MS or number == self._last_slot:
            return
        if not self.world.loc() or not self.world.may_start(now):
            return
        self._last_slot = number
        self.cycle = number
        self.fire("slot", now)

    def _reboot(self, now):
        if self.state == AMBIENT:
            if self.reboot_now or now - self.since < REBOOT_WITHIN_MS:
                self.fire("reboot", now, self.reboot_why)
        elif self.state in RESTING:
            self.fire("reboot", now, self.reboot_why)
        elif self.reboot_interrupts and self.state in IN_CYCLE:
            self.fire("stop", now, "reboot")

    def _finish(self, now, before, why):
        """Report the cycle that has just ended, from its closing to its opening."""
        if why not in ("normal", "enough", "longest", "reboot", "stop"):
            why = "fault"
        closure = self.closure
        change = None if closure is None else closure.change
        first = None if closure is None else closure.first
        body = {
            "cycle": self.cycle,
            "close": self.closed_at,
            "open": now,
            "why": why,
            "rule": self.settings["rule"],
            "mixed": self.mixed,
            "sweeps": self.sweeps,
            "loc": self._loc,
            "change": None if change is None else (change + 50) // 100,
            "first": None if first is None else (first + 50) // 100,
            "extended": before == EXTENDED,
        }
        self.cycle = None
        self.world.emit("cycle", body)
