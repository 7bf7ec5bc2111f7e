"""The fan: short pulses that never meet a reading of the sensors, or full speed."""

OFF = 0
PULSES = 1
FULL = 2

# Readings of the sensors take up to 0.2 s (the CO2 sensor may stretch the bus's
# clock); a pulse keeps this distance after a sample, and half of it before the next.
AFTER_MS = 400
BEFORE_MS = 100
NEVER = 1 << 62


class Fan:
    """The fan, switched by `step`.

    Pulses of `fan_pulse_ms` come every `fan_period_ms`, phase-locked to the
    sampling grid. One that would meet a sample comes right after it instead.

    Parameters
    ----------
    hw : object
        The hardware layer.
    settings : dict
        `fan_pulse_ms`, `fan_period_ms`.
    grid : Grid
        The sampling grid.
    """

    def __init__(self, hw, settings, grid):
        self.hw = hw
        self.settings = settings
        self.grid = grid
        self.mode = OFF
        self.on = False
        self.wake = NEVER
        hw.fan(False)

    def set(self, mode, now):
        """Change between OFF, PULSES and FULL."""
        self.mode = mode
        self._switch(mode == FULL)
        self.wake = self._next(now) if mode == PULSES else NEVER

    def step(self, now):
        """Do what is due; call it at `wake`."""
        if now < self.wake:
            return
        if self.on:
            self._switch(False)
            self.wake = self._next(now)
        else:
            self._switch(True)
            self.wake = now + self.settings["fan_pulse_ms"]

    def _switch(self, on):
        self.on = on
        self.hw.fan(on)

    def _next(self, now):
        """Start of the first pulse that is not before `now`."""
        grid = self.grid
        period = self.settings["fan_period_ms"]
        first = grid.start + AFTER_MS
        start = now + (first - now) % period
        phase = (start - grid.start) % grid.step
        if phase < AFTER_MS:
            return start - phase + AFTER_MS
        if phase + self.settings["fan_pulse_ms"] + BEFORE_MS > grid.step:
            return start - phase + grid.step + AFTER_MS
        return start
