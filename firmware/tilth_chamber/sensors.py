"""One sample of everything the chamber measures, however badly the chips behave."""

from .bh1750 import Bh1750
from .bmp280 import Bmp280
from .crc8 import CrcError
from .qmp6988 import Qmp6988
from .scd30 import RECALIBRATE, Scd30

REPEATED = 1
CRC = 2
MISSING = 4
WARMUP = 8
PRESSURE_ERROR = 16
LIGHT_ERROR = 32
LID_MOVING = 64
LOW_SUPPLY = 128
FAN_ON = 256

# A living sensor's noise never repeats 18 bytes ten times.
FROZEN = 10
# After a whole cycle of that the sensor is restarted, between closures.
FROZEN_RESTART = 200
# Samples in a row without an answer, a value or a whole frame before a restart.
GIVE_UP = 10

CO2, AIR, LIGHT = 0, 1, 2
NAMES = ("co2", "pressure", "light")


class Sensors:
    """All sensors of one chamber.

    A chip that does not answer is asked once more after nine clock pulses (which
    free a bus that a chip holds down), and set up anew while it stays away; the
    others are read all the same.

    Parameters
    ----------
    hw : object
        The hardware layer.
    settings : dict
        `co2_interval_s`, `low_mv`.
    emit : callable
        Called with (kind, body) for what deserves an event.

    Attributes
    ----------
    co2 : int or None
        The newest CO2 in 0.001 ppm; None if this sample has none.
    pressure : int or None
        The last good pressure, Pa.
    supply : int or None
        Supply voltage, mV.
    """

    def __init__(self, hw, settings, emit):
        self.hw = hw
        self.settings = settings
        self.emit = emit
        self.scd30 = Scd30(hw)
        self.light = Bh1750(hw)
        self.barometer = None
        self.co2 = None
        self.pressure = None
        self.supply = None
        self.low = False
        self._away = [0, 0, 0]
        self._same = 0
        self._frame = b""
        self._useless = 0
        self._values = (None, None, None)

    def start(self):
        """Set up every chip that answers."""
        for chip in (CO2, AIR, LIGHT):
            try:
                self._start(chip)
            except (OSError, CrcError):
                self._lost(chip)

    def sample(self):
        """Read everything once.

        Returns
        -------
        tuple
            co2 (0.1 ppm), its sensor's temperature (0.01 degC) and humidity (0.01 %),
            air temperature (0.01 degC), pressure (Pa), light (lx), supply (mV), each
            an int or None; and the flags.
        """
        flags = 0
        t = p = lux = None
        away = 0
        try:
            flags = self._read_co2()
        except OSError:
            away = 1
        try:
            t, p = self.barometer.read()
        except (OSError, AttributeError):
            away |= 2
        try:
            lux, bright = self.light.read()
            if bright:
                flags |= LIGHT_ERROR
        except OSError:
            away |= 4
        if away:
            more, air, lx = self._second_try(away)
            flags |= more
            if away & 2:
                t, p = air
            if away & 4:
                lux = lx
        if self._away != [0, 0, 0]:
            self._returned(flags, p, lux)
        if p is not None:
            self.pressure = p
        co2, st, rh = self._values
        self.supply = mv = self.hw.supply_mv()
        if mv is not None:
            if mv < self.settings["low_mv"]:
                flags |= LOW_SUPPLY
            self._watch_supply(mv)
        return (co2, st, rh, t, p, lux, mv), flags

    def between_closures(self):
        """Do what would disturb a closure: compensation, restart of a frozen sensor."""
        try:
            if self._same >= FROZEN_RESTART:
                self.scd30.reset()
                self._same = 0
                self.emit("sensor", {"what": "restarted", "chip": "co2"})
            if self.pressure is not None:
                mbar = (self.pressure + 50) // 100
                if mbar != self.scd30.mbar:
                    self.scd30.compensate(mbar)
                    self.emit("sensor", {"what": "compensated", "mbar": mbar})
        except OSError:
            pass  # the next sample notices it too, and says so

    def reference(self):
        """Return the reference the CO2 sensor was last calibrated to, ppm, or None."""
        try:
            return self.scd30.ask(RECALIBRATE)
        except (OSError, CrcError):
            return None

    # --- parts of a sample

    def _read_co2(self):
        """Read the CO2 sensor into `co2` and `_values`; return flags."""
        self.co2 = None
        self._values = (None, None, None)
        scd30 = self.scd30
        try:
            if not scd30.ready():
                return self._useless_value(REPEATED)
            co2, t, rh = scd30.read()
        except CrcError:
            return self._useless_value(CRC)
        if scd30.warmup:
            # The last of them follows the last zero, however many there are.
            if co2 or scd30.warmup > 1:
                scd30.warmup -= 1
            return WARMUP
        if co2 is None or t is None or rh is None:
            return self._useless_value(MISSING)
        self._useless = 0
        if scd30.frame == self._frame:
            self._same += 1
            if self._same == FROZEN - 1:
                self.emit("sensor", {"what": "frozen", "chip": "co2", "n": FROZEN})
        else:
            self._same = 0
            self._frame = scd30.frame
        if co2 <= 0:
            # What the sensor shows while it has not measured: it has just started,
            # by itself perhaps, and its next value may be low.
            scd30.warmup = 1
            self._values = (None, (t + 5) // 10, (rh + 5) // 10)
            return MISSING
        self.co2 = co2
        self._values = ((co2 + 50) // 100, (t + 5) // 10, (rh + 5) // 10)
        return 0

    def _useless_value(self, flag):
        self._useless += 1
        if self._useless >= GIVE_UP:
            self._useless = 0
            self.emit("sensor", {"what": "restarted", "chip": "co2", "flag": flag})
            self.hw.i2c_recover()
            self._start(CO2)
        return flag

    def _second_try(self, away):
        """Free the bus and ask the chips that did not answer once more."""
        self.hw.i2c_recover()
        flags, t, p, lux = 0, None, None, None
        if away & 1:
            try:
                # A sensor that stays away has perhaps lost its supply.
                if self._away[CO2] % 3 == 2:
                    self._start(CO2)
                flags |= self._read_co2()
            except (OSError, CrcError):
                flags |= MISSING
                self._lost(CO2)
        if away & 2:
            try:
                self._start(AIR)
                t, p = self.barometer.read()
            except OSError:
                flags |= PRESSURE_ERROR
                self._lost(AIR)
        if away & 4:
            try:
                self._start(LIGHT)
                lux, _ = self.light.read()
            except OSError:
                flags |= LIGHT_ERROR
                self._lost(LIGHT)
        return flags, (t, p), lux

    def _start(self, chip):
        if chip == CO2:
            self.scd30.start(self.settings["co2_interval_s"])
        elif chip == LIGHT:
            self.light.start()
        else:
            self._start_barometer()

    def _start_barometer(self):
        """Find out which of the two pressure sensors is there."""
        kinds = (Bmp280, Qmp6988)
        if isinstance(self.barometer, Qmp6988):
            kinds = (Qmp6988, Bmp280)
        for kind in kinds:
            barometer = kind(self.hw)
            try:
                barometer.start()
            except OSError:
                continue
            self.barometer = barometer
            return
        raise OSError(19)

    def _lost(self, chip):
        self._away[chip] += 1
        if self._away[chip] == 1:
            self.emit("sensor", {"what": "lost", "chip": NAMES[chip]})

    def _returned(self, flags, p, lux):
        here = (not flags & MISSING, p is not None, lux is not None)
        for chip in (CO2, AIR, LIGHT):
            if here[chip] and self._away[chip]:
                body = {"what": "returned", "chip": NAMES[chip], "n": self._away[chip]}
                self.emit("sensor", body)
                self._away[chip] = 0

    def _watch_supply(self, mv):
        low = self.settings["low_mv"]
        # Back to good only 100 mV above, so that a limit is not crossed at each pulse.
        if self.low != (mv < (low + 100 if self.low else low)):
            self.low = not self.low
            self.emit("supply", {"mv": mv, "low": self.low})
