"""The chips of a simulated chamber, answering byte by byte as their data sheets say.

They take what they measure from a `readings` object: ``fresh(t)`` tells whether the
CO2 sensor has a new value, ``co2(t)`` returns CO2 (ppm), temperature (degC) and
humidity (%) as this sensor sees them, ``air(t)`` temperature (degC) and pressure (Pa)
as the barometer does, ``light(t)`` lux.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Protocol

ENODEV, ETIMEDOUT, EIO = 19, 110, 5


class Chip(Protocol):
    """What a bus needs of a chip."""

    def power_up(self) -> None:
        """Forget what a chip forgets without supply."""

    def write(self, data: bytes, t: int) -> None:
        """Take bytes."""

    def read(self, n: int, t: int) -> bytes:
        """Return bytes."""


class Bus:
    """The I2C bus of Port A.

    Attributes
    ----------
    hung : bool
        Fault: a chip holds the line; no clock pulses help.
    """

    def __init__(self, chips: dict[int, Chip]) -> None:
        self.chips = chips
        self.hung = False
        self.away: set[int] = set()

    def write(self, address: int, data: bytes, t: int) -> None:
        """Write to a chip."""
        self._reach(address).write(data, t)

    def read(self, address: int, n: int, t: int) -> bytes:
        """Read from a chip."""
        return self._reach(address).read(n, t)

    def power_up(self) -> None:
        """Give all chips their supply back."""
        for chip in self.chips.values():
            chip.power_up()

    def _reach(self, address: int) -> Chip:
        if self.hung:
            raise OSError(ETIMEDOUT)
        if address in self.away or address not in self.chips:
            raise OSError(ENODEV)
        return self.chips[address]


class Scd30:
    """The CO2 sensor at 0x61 (Sensirion, interface description 1.0).

    Parameters
    ----------
    readings : object
        See the module.
    random : random.Random
        Of the damaged bits.

    Attributes
    ----------
    damaged : float
        Fault: share of readings of which one bit flips on the way.
    frozen, zero : bool
        Faults: the last value for ever; 0 ppm.
    shift : float
        What forced recalibration adds to the readings, ppm.
    """

    ADDRESS = 0x61

    def __init__(self, readings: Any, random: Any) -> None:
        self.readings, self.random = readings, random
        self.damaged = 0.0
        self.frozen = self.zero = False
        self.shift = 0.0
        self.measuring = False
        self.pressure = 0
        self.settings = {0x4600: 2, 0x5306: 1, 0x5204: 400, 0x5403: 0, 0x5102: 0}
        self._warming = 1
        self._shift_before: float | None = None
        self._values_since = 0
        self._reply = b""
        self._last = b""

    def power_up(self) -> None:
        """Measure on, as set; a recalibration not followed by two values is lost."""
        if self._shift_before is not None:
            self.shift, self._shift_before = self._shift_before, None
        self._warming = 1
        self._reply = b""

    def write(self, data: bytes, t: int) -> None:
        """Take a command, with its argument if it has one."""
        code = data[0] << 8 | data[1]
        if code == 0x0202:
            ready = self.measuring and self.readings.fresh(t)
            self._reply = b"\x00\x01\xb0" if ready else b"\x00\x00\x81"
        elif code == 0x0300:
            self._reply = self._measurement(t)
        elif len(data) == 5:
            if _crc(data[2], data[3]) != data[4]:
                raise OSError(EIO)
            self._set(code, data[2] << 8 | data[3], t)
        elif code in self.settings:
            self._reply = _words(struct.pack(">H", self.settings[code]))
        elif code == 0xD100:
            self._reply = _words(b"\x03\x42")
        elif code == 0xD304:
            self.power_up()
        elif code == 0x0104:
            self.measuring = False
        else:
            raise OSError(EIO)

    def read(self, n: int, t: int) -> bytes:
        """Return the answer to the last command."""
        if not self._reply:
            raise OSError(ENODEV)
        data = self._reply[:n]
        if self.damaged and n == 18 and self.random.random() < self.damaged:
            broken = bytearray(data)
            bit = self.random.randrange(8 * len(broken))
            broken[bit // 8] ^= 1 << (bit % 8)
            return bytes(broken)
        return data

    def _set(self, code: int, value: int, t: int) -> None:
        if code == 0x0010:
            if not self.measuring:
                self.measuring, self._warming = True, 1
            self.pressure = value
        elif code == 0x5204:
            if 400 <= value <= 2000:
                self._shift_before, self._values_since = self.shift, 0
                self.shift = value - self.readings.co2(t)[0]
                self.settings[code] = value
        elif code in self.settings:
            self.settings[code] = value
        else:
            raise OSError(EIO)

    def _measurement(self, t: int) -> bytes:
        if self._warming:
            self._warming -= 1
            self.readings.co2(t)
            return b"\x00\x00\x81" * 6
        if self.frozen and self._last:
            self.readings.co2(t)
            return self._last
        co2, temperature, humidity = self.readings.co2(t)
        if self._shift_before is not None:
            self._values_since += 1
            if self._values_since >= 2:
                self._shift_before = None
        co2 = 0.0 if self.zero else max(co2 + self.shift, 0.001)
        self._last = _words(struct.pack(">fff", co2, temperature, humidity))
        return self._last


class Bmp280:
    """The barometer at 0x76 (Bosch, data sheet 1.26), as calibrated in its example."""

    ADDRESS = 0x76
    _T = (27504, 26435, -1000)
    _P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)

    def __init__(self, readings: Any) -> None:
        self.readings = readings
        self._register = 0
        self._memory = bytearray(256)
        self._memory[0xD0] = 0x58
        self._memory[0x88:0xA0] = struct.pack("<HhhHhhhhhhhh", *self._T, *self._P)

    def power_up(self) -> None:
        """Go to sleep."""
        self._memory[0xF4] = self._memory[0xF5] = 0

    def write(self, data: bytes, t: int) -> None:
        """Take a register's number, or pairs of number and value."""
        self._register = data[0]
        for i in range(0, len(data) - 1, 2):
            self._memory[data[i]] = data[i + 1]

    def read(self, n: int, t: int) -> bytes:
        """Return registers from the one last named."""
        at = self._register
        if at != 0xF7:
            return bytes(self._memory[at : at + n])
        if not self._memory[0xF4] & 3:
            return b"\x80\x00\x00\x80\x00\x00"[:n]
        raw_t, raw_p = self._counts(*self.readings.air(t))
        packed = (raw_p << 28) | (raw_t << 4)
        return packed.to_bytes(6, "big")[:n]

    def _counts(self, temperature: float, pressure: float) -> tuple[int, int]:
        """Invert the data sheet's formulas in floating point."""
        t1, t2, t3 = self._T
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self._P
        # fine = y t2 + y^2 t3 / 64, with y = adc / 16384 - t1 / 1024
        a = t3 / 64.0
        y = (-t2 + math.sqrt(t2 * t2 + 20480.0 * a * temperature)) / (2.0 * a)
        raw_t = int((y + t1 / 1024.0) * 16384.0 + 0.5)
        y = raw_t / 16384.0 - t1 / 1024.0
        v = (y * t2 + a * y * y) / 2.0 - 64000.0
        w = (v * v * p6 / 32768.0 + 2.0 * v * p5) / 4.0 + 65536.0 * p4
        u = (1.0 + (p3 * v * v / 524288.0 + p2 * v) / 524288.0 / 32768.0) * p1
        # p + (p9 p^2 / 2^31 + p8 p / 32768 + p7) / 16 = pressure
        a, b, c = p9 / 34359738368.0, 1.0 + p8 / 524288.0, p7 / 16.0 - pressure
        p = (-b + math.sqrt(b * b - 4.0 * a * c)) / (2.0 * a)
        raw_p = int(1048576.0 - w / 4096.0 - p * u / 6250.0 + 0.5)
        return raw_t, min(max(raw_p, 0), 0xFFFFF)


class Bh1750:
    """The light sensor at 0x23 (ROHM)."""

    ADDRESS = 0x23

    def __init__(self, readings: Any) -> None:
        self.readings = readings
        self.saturated = False
        self._on = False

    def power_up(self) -> None:
        """Switch off."""
        self._on = False

    def write(self, data: bytes, t: int) -> None:
        """Take a mode."""
        self._on = data[0] == 0x10

    def read(self, n: int, t: int) -> bytes:
        """Return light in steps of 1/1.2 lux; zero while it is off."""
        if not self._on:
            return b"\x00\x00"
        if self.saturated:
            return b"\xff\xff"
        raw = int(self.readings.light(t) * 1.2)
        return min(max(raw, 0), 65535).to_bytes(2, "big")


_CRC = []
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = ((_value << 1) ^ 0x31 if _value & 0x80 else _value << 1) & 0xFF
    _CRC.append(_value)


def _crc(high: int, low: int) -> int:
    """Return the CRC-8 of a word: polynomial 0x31, start 0xFF."""
    return _CRC[_CRC[0xFF ^ high] ^ low]


def _words(data: bytes) -> bytes:
    """Return data with a CRC after every two bytes."""
    table, out = _CRC, bytearray()
    for i in range(0, len(data), 2):
        a, b = data[i], data[i + 1]
        out += bytes((a, b, table[table[0xFF ^ a] ^ b]))
    return bytes(out)
