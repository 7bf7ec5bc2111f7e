"""The firmware on the chip, from the moment the loader has chosen it."""

from . import settings as all_settings
from .app import App
from .update import Trial, Updater

JITTER_MS = 30_000
# Nothing wakes the loop when a message arrives, so it looks this often.
NAP_MS = 20


class Machine:
    """The chamber with what changes its firmware, as one thing that is woken.

    Parameters
    ----------
    hw : object
        The hardware layer.
    slots : object
        The loader's slots.
    boot : int
        Version of the loader.
    settings : dict, optional
        As for `App`.
    """

    def __init__(self, hw, slots, boot, settings=None):
        hw.slot, hw.on_trial = slots.running, slots.on_trial()
        settings = all_settings.load(hw.fs) if settings is None else settings
        self.app = App(hw, settings)
        self._hw = hw
        emit = self.app.emit
        self.updater = Updater(hw, slots, settings, boot, emit, self._restart)
        self.app.updater = self.updater
        self.trial = Trial(slots, self.app, hw.ticks_ms())

    def _restart(self):
        """Restart in open air, a little apart from the others."""
        now = self._hw.ticks_ms()
        at = now + self._hw.random32() % JITTER_MS
        self.app.chamber.restart(at, "update", True)

    def step(self, now):
        """Do what is due; return the tick by which to call again."""
        wake = self.app.step(now)
        return min(wake, self.updater.step(now), self.trial.step(now))


def run(slots, boot):
    """Run until something raises; called by the loader."""
    import time

    from .board_core2 import Core2, Flash

    settings = all_settings.load(Flash())
    hw = Core2(settings)
    machine = Machine(hw, slots, boot, settings)
    while True:
        wait = machine.step(hw.ticks_ms()) - hw.ticks_ms()
        if wait > 0:
            time.sleep_ms(min(wait, NAP_MS))
