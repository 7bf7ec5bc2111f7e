"""A whole chamber in virtual time: what the firmware sees of the world, faked.

    hw = FakeHardware()
    hw.air = ClosedAir(hw, flux=0.78)
    run(hw, lambda: App(hw, settings), until_ms=3_600_000)

Time moves only by `hw.advance(ms)` or `run`. True time is `hw.true_ms`, ms since
the start of the test; `hw.utc_ms()` is the true time of day; `hw.ticks_ms()` is
what the chip believes, from its last start on, with its own rate error.
Faults are attributes of the parts: `hw.bus`, `hw.scd30`, `hw.fs`, `hw.net`,
`hw.servo_fault`.
"""

import random

from fakes_flash import FakeFlash, PowerCut
from fakes_i2c import FakeBh1750, FakeBmp280, FakeBus, FakeQmp6988, FakeScd30, crc8
from fakes_net import FakeNet

__all__ = [
    "Air",
    "ClosedAir",
    "FakeHardware",
    "PowerCut",
    "Reset",
    "crc8",
    "run",
]

# 2026-05-28T20:26:40Z, a multiple of 100 s but not of 600 s.
START_UTC_MS = 1_780_000_000_000


class Reset(BaseException):
    """The firmware has reset the chip, or its watchdog has."""

    def __init__(self, cause="soft"):
        super().__init__(cause)
        self.cause = cause


class Air:
    """Constant air. Set the attributes, or overload `at`."""

    def __init__(self, co2=420.0, temperature=25.0, humidity=50.0, pressure=101300.0):
        self.co2, self.temperature = co2, temperature
        self.humidity, self.pressure = humidity, pressure
        self.lux = 1000.0

    def at(self, true_ms):
        """CO2 in ppm, degC, %, Pa, lx at a true time."""
        return self.co2, self.temperature, self.humidity, self.pressure, self.lux

    def co2_at(self, true_ms):
        """CO2 in ppm."""
        return self.at(true_ms)[0]


class ClosedAir(Air):
    """Air of a chamber over soil: CO2 rises linearly while the lid is closed.

    Parameters
    ----------
    hw : FakeHardware
        Its servo says when the lid is closed.
    flux : float
        umol m-2 s-1.
    height : float
        Volume over area of the chamber, m.
    """

    def __init__(self, hw, flux, height=0.165, **air):
        super().__init__(**air)
        moles = self.pressure / (8.314462618 * (273.15 + self.temperature))
        self.hw = hw
        self.ppm_per_ms = flux / (moles * height) / 1000.0

    def at(self, true_ms):
        """The air, richer by the time since the lid closed."""
        since = self.hw.lid_closed_since
        co2 = self.co2
        if since is not None:
            co2 += self.ppm_per_ms * (true_ms - since)
        return co2, self.temperature, self.humidity, self.pressure, self.lux


class FakeHardware:
    """The hardware layer `hw` of the firmware, in virtual time.

    Parameters
    ----------
    mac : str
        12 hex digits.
    seed : int
        Of everything random.
    utc : int
        True time of day at the start, ms since 1970.
    pressure_chip : {"bmp280", "qmp6988", None}
        Which pressure sensor hangs on the bus.
    skew_ppm : int
        Rate error of the chip's clock.
    ticks_bits : int or None
        30: ticks come from a counter that wraps as the ESP32's does, through the
        firmware's own extension to 64 bits. None: they never wrap.
    ticks_start : int
        Value of that counter at each start (put it just below the wrap).
    rtc : bool
        Whether a clock chip keeps time over power cuts (if it was ever set).

    Attributes
    ----------
    servo_log, fan_log : list of (true_ms, value)
        Every command given.
    lid_closed_since : int or None
        True time since when the lid has been closed.
    servo_fault : None, "stuck" or "brownout"
        "stuck": the lid stays where it is. "brownout": the supply fails at each
        move, `PowerCut` is raised.
    screen : list of str
        What the display shows.
    keys : list of str
        Touches to come; `tap("5.10.A")` appends them.
    supply : int or None
        Supply voltage, mV.
    on_bus : callable or None
        Called with the address before each transfer.
    """

    def __init__(
        self,
        mac="a4cf12000001",
        seed=1,
        utc=START_UTC_MS,
        pressure_chip="bmp280",
        skew_ppm=0,
        ticks_bits=None,
        ticks_start=0,
        rtc=True,
    ):
        self._mac = mac
        self.random = random.Random(seed)
        self.start_utc = utc
        self.true_ms = 0
        self.skew_ppm = skew_ppm
        self.ticks_bits, self.ticks_start = ticks_bits, ticks_start
        self.has_rtc = rtc
        self.rtc_offset = None
        self.air = Air()
        self.on_bus = None
        self.bus = FakeBus(self)
        self.scd30, self.bh1750 = FakeScd30(self), FakeBh1750(self)
        self.bmp280, self.qmp6988 = FakeBmp280(self), FakeQmp6988(self)
        chips = [self.scd30, self.bh1750]
        if pressure_chip:
            chips.append(getattr(self, pressure_chip))
        for chip in chips:
            self.bus.chips[chip.ADDRESS] = chip
        self.i2c_write, self.i2c_read = self.bus.write, self.bus.read
        self.i2c_recover = self.bus.recover
        self.fs = FakeFlash(seed=seed)
        self.net = FakeNet(self)
        self.servo_log, self.fan_log = [], []
        self.servo_fault = None
        self.lid_closed_us, self.lid_open_us = 1167, 500
        self.lid_us = self.lid_open_us
        self.lid_closed_since = None
        self.fan_on = False
        self.supply = 5050
        self.screen = []
        self.keys = []
        self.resets = []
        self.feeds = 0
        self.fed_at = 0
        self.boot("power")

    # --- what the firmware calls

    def ticks_ms(self):
        """Milliseconds since the start, by the chip's own clock."""
        ticks = self.true_ms - self._booted_at
        if self.skew_ppm:
            ticks += ticks * self.skew_ppm // 1_000_000
        if self._ticks64 is not None:
            return self._ticks64.extend((ticks + self.ticks_start) & self._mask)
        return ticks

    def mac(self):
        """12 hex digits."""
        return self._mac

    def random32(self):
        """32 random bits."""
        return self.random.getrandbits(32)

    def rtc_read(self):
        """UTC ms of the clock chip (whole seconds), or None."""
        if not self.has_rtc or self.rtc_offset is None:
            return None
        return (self.utc_ms() + self.rtc_offset) // 1000 * 1000

    def rtc_write(self, utc_ms):
        """Set the clock chip."""
        self.rtc_offset = utc_ms - self.utc_ms()

    def cause(self):
        """Why the chip started."""
        return self._cause

    def servo_us(self, us):
        """Command the servo; 0 takes the pulses away."""
        self.servo_log.append((self.true_ms, us))
        if us == 0:
            return
        if self.servo_fault == "brownout":
            if us != self.lid_us:
                raise PowerCut("servo inrush")
        elif self.servo_fault != "stuck":
            self.lid_us = us
        if abs(self.lid_us - self.lid_closed_us) > 10:
            self.lid_closed_since = None
        elif self.lid_closed_since is None:
            self.lid_closed_since = self.true_ms

    def fan(self, on):
        """Switch the fan."""
        if on != self.fan_on:
            self.fan_log.append((self.true_ms, bool(on)))
            self.fan_on = bool(on)

    def supply_mv(self):
        """Supply voltage, mV."""
        return self.supply

    def wdt_feed(self):
        """Feed the watchdog."""
        self.feeds += 1
        self.fed_at = self.true_ms

    def reset(self):
        """Reset the chip; does not return."""
        raise Reset("soft")

    def show(self, lines):
        """Show lines of text."""
        self.screen = list(lines)

    def touch(self):
        """The next touched key, or None."""
        return self.keys.pop(0) if self.keys else None

    # --- what the test calls

    def utc_ms(self):
        """True time of day."""
        return self.start_utc + self.true_ms

    def advance(self, ms):
        """Let time pass."""
        self.true_ms += ms

    def true_of(self, ticks):
        """First true time at which the chip's clock shows `ticks`."""
        true = ticks
        if self.skew_ppm:
            true = ticks * 1_000_000 // (1_000_000 + self.skew_ppm)
            while true + true * self.skew_ppm // 1_000_000 < ticks:
                true += 1
        return self._booted_at + true

    def tap(self, keys):
        """Touch the keys of a code: characters one by one, or a list of keys."""
        self.keys.extend(keys)

    def boot(self, cause):
        """Start the chip: ticks from zero, outputs off, sensors keep their power.

        After "power" and "brownout" the sensors and the flash lose theirs too.
        """
        self._cause = cause
        self._booted_at = self.fed_at = self.true_ms
        self.resets.append((self.true_ms, cause))
        self._ticks64 = None
        if self.ticks_bits is not None:
            from tilth_chamber.schedule import Ticks64

            self._mask = (1 << self.ticks_bits) - 1
            self._ticks64 = Ticks64(self.ticks_bits, self.ticks_start)
        self.fan(False)
        if cause in ("power", "brownout"):
            for chip in self.bus.chips.values():
                chip.power_up()
            self.scd30.measuring = False
        # A file not synchronised is lost by every kind of restart.
        self.fs.power_cycle()
        self.net.cut()


def run(hw, make_app, until_ms, app=None, wdt_ms=8_000, on_step=None, boot_ms=500):
    """Drive an application in virtual time until a true time.

    It is woken at the ticks it asks for, or when something arrives over the
    network, whichever is first, and rebuilt by `make_app()` after each reset,
    power cut or watchdog bite, `boot_ms` later.

    Parameters
    ----------
    hw : FakeHardware
        The hardware.
    make_app : callable
        Returns an object with `step(now_ms) -> next wake tick`.
    until_ms : int
        True time at which to stop.
    app : object, optional
        A running application to go on with.
    wdt_ms : int
        The watchdog: a longer sleep without feeding raises `Reset("wdt")`.
    on_step : callable, optional
        Called with the application after each step; true if it did something to it,
        so that it is to be stepped once more.

    Returns
    -------
    object
        The application, still running.
    """
    while hw.true_ms < until_ms:
        try:
            if app is None:
                app = make_app()
            while hw.true_ms < until_ms:
                now = hw.ticks_ms()
                wake = app.step(now)
                if on_step is not None and on_step(app):
                    wake = app.step(now)
                when = max(hw.true_of(max(wake, now + 1)), hw.true_ms + 1)
                arrival = hw.net.next_arrival()
                if arrival is not None:
                    when = min(when, max(arrival, hw.true_ms + 1))
                if when - hw.fed_at > wdt_ms:
                    hw.true_ms = hw.fed_at + wdt_ms
                    raise Reset("wdt")
                hw.true_ms = min(when, until_ms)
        except Reset as reset:
            app = None
            hw.boot(reset.cause)
        except PowerCut:
            app = None
            hw.boot("brownout" if hw.servo_fault == "brownout" else "power")
        if app is None:
            hw.true_ms += boot_ms
    return app
