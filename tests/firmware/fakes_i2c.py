"""Chips on an I2C bus, answering byte by byte as their data sheets say.

They share no code with the drivers: compensation is inverted here from the
data sheets' real-valued formulas.
"""

import math
import struct

ENODEV, ETIMEDOUT, EIO = 19, 110, 5

_CRC8 = []
for _byte in range(256):
    for _ in range(8):
        _byte = ((_byte << 1) ^ 0x31 if _byte & 0x80 else _byte << 1) & 0xFF
    _CRC8.append(_byte)


def crc8(a, b):
    """CRC-8 of one 16-bit word given as two bytes (polynomial 0x31, start 0xFF)."""
    return _CRC8[_CRC8[0xFF ^ a] ^ b]


def words(data):
    """`data` with a CRC byte after every two bytes."""
    out = bytearray()
    for i in range(0, len(data), 2):
        a, b = data[i], data[i + 1]
        out += bytes((a, b, _CRC8[_CRC8[0xFF ^ a] ^ b]))
    return bytes(out)


class FakeBus:
    """The bus of Port A.

    Attributes
    ----------
    chips : dict
        Address to chip.
    stuck_clocks : int
        Clock pulses the bus still needs before a chip lets go of SDA; while above
        zero every transfer times out. `recover()` gives nine.
    nak : dict
        Address to the number of coming transfers that are not acknowledged
        (-1: for ever, as with the plug pulled).
    corrupt : dict
        Address to the number of coming reads in which one bit flips.
    log : list or None
        With a list: (true_ms, "r"|"w", address, bytes) of every transfer.
    """

    def __init__(self, hw):
        self.hw = hw
        self.chips = {}
        self.stuck_clocks = 0
        self.nak = {}
        self.corrupt = {}
        self.recoveries = 0
        self.transfers = 0
        self.log = None

    def write(self, address, data):
        """Write `data` to a chip."""
        chip = self._reach(address)
        if self.log is not None:
            self.log.append((self.hw.true_ms, "w", address, bytes(data)))
        chip.write(bytes(data))

    def read(self, address, n):
        """Read `n` bytes from a chip."""
        data = self._reach(address).read(n)
        if self.corrupt and self.corrupt.get(address):
            self.corrupt[address] -= 1
            bit = self.hw.random.randrange(len(data) * 8)
            broken = bytearray(data)
            broken[bit // 8] ^= 1 << (bit % 8)
            data = bytes(broken)
        if self.log is not None:
            self.log.append((self.hw.true_ms, "r", address, data))
        return data

    def recover(self):
        """Nine clock pulses and a stop."""
        self.recoveries += 1
        self.stuck_clocks = max(0, self.stuck_clocks - 9)

    def _reach(self, address):
        self.transfers += 1
        if self.hw.on_bus is not None:
            self.hw.on_bus(address)
        if self.stuck_clocks:
            raise OSError(ETIMEDOUT)
        if self.nak:
            left = self.nak.get(address, 0)
            if left:
                self.nak[address] = left - 1 if left > 0 else left
                raise OSError(ENODEV)
        chip = self.chips.get(address)
        if chip is None:
            raise OSError(ENODEV)
        return chip


class FakeScd30:
    """The CO2 sensor at 0x61.

    Attributes
    ----------
    instant : bool
        True (default): every poll finds a new value of the air of this moment.
        False: a value every `interval` s, and none in between (data not ready).
    first_zero : int
        Readings of 0 ppm after each start of measuring.
    frozen : bool
        Repeat the last value for ever, ready all the same.
    offset, gain : float
        Of the sensor: shown = gain * true + offset. FRC sets `offset`.
    frc_pending : int or None
        Reference of a recalibration that is not stored yet; it is stored by the
        second reading after it and lost by a reset before.
    """

    ADDRESS = 0x61

    def __init__(self, hw):
        self.hw = hw
        self.instant = True
        self.first_zero = 1
        self.frozen = False
        self.offset, self.gain = 0.0, 1.0
        self.noise = 0.0
        self.self_heat = 1.5
        self.interval = 2
        self.measuring = False
        self.pressure = 0
        self.asc = 1
        self.frc = 400
        self.frc_pending = None
        self.temperature_offset = 0
        self.commands = []
        self._since_frc = 0
        self._offset_before = 0.0
        self._started = 0
        self._reads = 0
        self._taken = -1
        self._reply = b""
        self._last = None

    def power_up(self):
        """State after the supply returns: settings of the chip's flash stay."""
        if self.frc_pending is not None:
            self._forget_frc()
        self._reply = b""
        self._begin()

    def _begin(self):
        self._started = self.hw.true_ms
        self._reads = 0
        self._taken = -1

    def _forget_frc(self):
        self.offset = self._offset_before
        self.frc_pending = None

    def write(self, data):
        """A command, with its argument if it has one."""
        code = data[0] << 8 | data[1]
        value = None
        if len(data) == 5:
            if crc8(data[2], data[3]) != data[4]:
                raise OSError(EIO)
            value = data[2] << 8 | data[3]
        if code not in (0x0202, 0x0300):
            self.commands.append((self.hw.true_ms, code, value))
        if code == 0x0300:
            self._reply = self._measurement()
        elif code == 0x0202:
            self._reply = words(bytes((0, 1 if self._ready() else 0)))
        elif code == 0x0010:
            self.pressure = value
            if not self.measuring:
                self.measuring = True
                self._begin()
        elif code == 0x0104:
            self.measuring = False
        elif code == 0x4600:
            if value is None:
                self._reply = words(struct.pack(">H", self.interval))
            else:
                self.interval = value
        elif code == 0x5306:
            if value is None:
                self._reply = words(struct.pack(">H", self.asc))
            else:
                self.asc = value
        elif code == 0x5204:
            if value is None:
                self._reply = words(struct.pack(">H", self.frc))
            elif 400 <= value <= 2000:
                self._offset_before = self.offset
                true = self.hw.air.co2_at(self.hw.true_ms)
                self.offset = value - self.gain * true
                self.frc, self.frc_pending, self._since_frc = value, value, 0
        elif code == 0x5403:
            if value is None:
                self._reply = words(struct.pack(">H", self.temperature_offset))
            else:
                self.temperature_offset = value
        elif code == 0xD100:
            self._reply = words(bytes((3, 66)))
        elif code == 0xD304:
            self.power_up()
        else:
            raise OSError(EIO)

    def read(self, n):
        """The reply of the last command."""
        reply = self._reply
        if not reply:
            raise OSError(ENODEV)
        return reply[:n] + b"\xff" * (n - len(reply))

    def _number(self):
        return (self.hw.true_ms - self._started) // (self.interval * 1000)

    def _ready(self):
        if not self.measuring:
            return False
        if self.instant:
            return True
        return self._number() > max(self._taken, 0)

    def _measurement(self):
        self._reads += 1
        if not self.instant:
            self._taken = self._number()
        if self._reads <= self.first_zero:
            return words(bytes(12))
        if self.frozen and self._last is not None:
            return self._last
        when = self.hw.true_ms
        if not self.instant:
            when = self._started + self._taken * self.interval * 1000
        co2, temperature, humidity = self.hw.air.at(when)[:3]
        co2 = self.gain * co2 + self.offset
        if self.noise:
            co2 += self.hw.random.gauss(0.0, self.noise)
        if self.frc_pending is not None:
            self._since_frc += 1
            if self._since_frc >= 2:
                self.frc_pending = None
        self._last = words(
            struct.pack(">fff", co2, temperature + self.self_heat, humidity)
        )
        return self._last


class FakeBmp280:
    """The pressure sensor at 0x76, with the calibration of Bosch's example."""

    ADDRESS = 0x76
    T = (27504, 26435, -1000)
    P = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)

    def __init__(self, hw):
        self.hw = hw
        self.fixed = None
        self._register = 0
        self._memory = bytearray(256)
        self._memory[0xD0] = 0x58
        self._memory[0x88:0xA0] = struct.pack("<Hhh", *self.T) + struct.pack(
            "<Hhhhhhhhh", *self.P
        )
        self._key = self._data = None

    def power_up(self):
        """Sleep mode."""
        self._memory[0xF4] = self._memory[0xF5] = 0

    def write(self, data):
        """A register number, or (register, value) pairs."""
        self._register = data[0]
        for i in range(0, len(data) - 1, 2):
            self._memory[data[i]] = data[i + 1]

    def read(self, n):
        """Registers from the one last written."""
        at = self._register
        if at == 0xF7:
            return self._sample()[:n]
        return bytes(self._memory[at : at + n])

    def _sample(self):
        if not self._memory[0xF4] & 3:
            return b"\x80\x00\x00\x80\x00\x00"
        if self.fixed is not None:
            adc_t, adc_p = self.fixed
        else:
            _, temperature, _, pressure = self.hw.air.at(self.hw.true_ms)[:4]
            if self._key == (temperature, pressure):
                return self._data
            adc_t, adc_p = self.invert(temperature, pressure)
            self._key = temperature, pressure
        raw = (adc_p << 4).to_bytes(3, "big") + (adc_t << 4).to_bytes(3, "big")
        self._data = raw
        return raw

    def invert(self, temperature, pressure):
        """Raw readings at a temperature, degC, and a pressure, Pa."""
        t1, t2, t3 = self.T
        p1, p2, p3, p4, p5, p6, p7, p8, p9 = self.P
        fine = temperature * 5120.0
        a = t3 / 64.0
        y = (-t2 + math.sqrt(t2 * t2 + 4.0 * a * fine)) / (2.0 * a)
        adc_t = round((y + t1 / 1024.0) * 16384.0)
        y = adc_t / 16384.0 - t1 / 1024.0
        fine = y * t2 + y * y / 64.0 * t3
        v1 = fine / 2.0 - 64000.0
        v2 = v1 * v1 * p6 / 32768.0 + v1 * p5 * 2.0
        v2 = v2 / 4.0 + p4 * 65536.0
        v1 = (p3 * v1 * v1 / 524288.0 + p2 * v1) / 524288.0
        v1 = (1.0 + v1 / 32768.0) * p1
        a, b, c = p9 / 2147483648.0 / 16.0, 1.0 + p8 / 32768.0 / 16.0, p7 / 16.0
        p = (-b + math.sqrt(b * b - 4.0 * a * (c - pressure))) / (2.0 * a)
        adc_p = round(1048576.0 - v2 / 4096.0 - p * v1 / 6250.0)
        return adc_t, adc_p


# Coefficient = first + second * (16-bit trimming value) / 32767.
_QMP_SCALES = {
    "a1": (-6.30e-3, 4.30e-4),
    "a2": (-1.90e-11, 1.20e-10),
    "bt1": (1.00e-1, 9.10e-2),
    "bt2": (1.20e-8, 1.20e-6),
    "bp1": (3.30e-2, 1.90e-2),
    "b11": (2.10e-7, 1.40e-7),
    "bp2": (-6.30e-10, 3.50e-10),
    "b12": (2.90e-13, 7.60e-13),
    "b21": (2.10e-15, 1.20e-14),
    "bp3": (1.30e-16, 7.90e-17),
}


class FakeQmp6988:
    """The other pressure sensor, at 0x70, with plausible trimming values."""

    ADDRESS = 0x70
    ORDER = ("bt1", "bt2", "bp1", "b11", "bp2", "b12", "b21", "bp3")

    def __init__(self, hw):
        self.hw = hw
        # Raw trimming values, of the size public dumps of such chips have.
        self.raw = {"a0": -12000, "b00": 1_300_000 - (1 << 20), "a1": -3500}
        self.raw.update(a2=1200, bt1=-2200, bt2=900, bp1=1500, b11=-600)
        self.raw.update(bp2=-1800, b12=1000, b21=400, bp3=-250)
        self.fixed = None
        self._register = 0
        self._memory = bytearray(256)
        self._memory[0xD1] = 0x5C
        self.store()

    def store(self):
        """Write `raw` into the chip's memory."""
        raw, a0, b00 = self.raw, self.raw["a0"] & 0xFFFFF, self.raw["b00"] & 0xFFFFF
        otp = bytearray(struct.pack(">H", b00 >> 4))
        otp += b"".join(struct.pack(">h", raw[name]) for name in self.ORDER)
        otp += struct.pack(">Hhh", a0 >> 4, raw["a1"], raw["a2"])
        otp.append((b00 & 15) << 4 | (a0 & 15))
        self._memory[0xA0 : 0xA0 + 25] = otp
        self._key = self._data = None

    def coefficients(self):
        """Real-valued coefficients by name."""
        k = {
            name: a + s * self.raw[name] / 32767 for name, (a, s) in _QMP_SCALES.items()
        }
        k["a0"], k["b00"] = self.raw["a0"] / 16, self.raw["b00"] / 16
        return k

    def power_up(self):
        """Sleep mode."""
        self._memory[0xF4] = 0

    def write(self, data):
        """A register number, with a value to write it."""
        self._register = data[0]
        for i in range(0, len(data) - 1, 2):
            self._memory[data[i]] = data[i + 1]

    def read(self, n):
        """Registers from the one last written."""
        at = self._register
        if at == 0xF7:
            return self._sample()[:n]
        return bytes(self._memory[at : at + n])

    def compensate(self, dt, dp):
        """Temperature, degC, and pressure, Pa, of the differences from 2^23."""
        k = self.coefficients()
        tr = k["a0"] + k["a1"] * dt + k["a2"] * dt * dt
        p = k["b00"] + k["bt1"] * tr + k["bp1"] * dp + k["b11"] * dp * tr
        p += k["bt2"] * tr * tr + k["bp2"] * dp * dp + k["b12"] * dp * tr * tr
        p += k["b21"] * dp * dp * tr + k["bp3"] * dp**3
        return tr / 256.0, p

    def _sample(self):
        if not self._memory[0xF4] & 3:
            return b"\x80\x00\x00\x80\x00\x00"
        if self.fixed is not None:
            dt, dp = self.fixed
        else:
            _, temperature, _, pressure = self.hw.air.at(self.hw.true_ms)[:4]
            if self._key == (temperature, pressure):
                return self._data
            dt = _bisect(lambda x: self.compensate(x, 0)[0], temperature)
            dp = _bisect(lambda x: self.compensate(dt, x)[1], pressure)
            self._key = temperature, pressure
        self._data = (dp + (1 << 23)).to_bytes(3, "big") + (dt + (1 << 23)).to_bytes(
            3, "big"
        )
        return self._data


class FakeBh1750:
    """The light sensor at 0x23."""

    ADDRESS = 0x23

    def __init__(self, hw):
        self.hw = hw
        self.mode = None

    def power_up(self):
        """Powered down."""
        self.mode = None

    def write(self, data):
        """A mode."""
        self.mode = data[0]

    def read(self, n):
        """Light in steps of 1/1.2 lx; zero without a mode."""
        if self.mode != 0x10:
            return b"\x00\x00"
        raw = round(self.hw.air.at(self.hw.true_ms)[4] * 1.2)
        return min(max(raw, 0), 65535).to_bytes(2, "big")


def _bisect(function, target, low=-(1 << 23), high=(1 << 23) - 1):
    rising = function(high) > function(low)
    while high - low > 1:
        middle = (low + high) // 2
        if (function(middle) < target) == rising:
            low = middle
        else:
            high = middle
    return min(low, high, key=lambda x: abs(function(x) - target))
