"""The CO2 sensor SCD30 (Sensirion), by its I2C interface description 1.0.

The chip stretches the clock for up to 30 ms, and once a day for 150 ms when it
calibrates itself: the bus has to wait 200 ms (MicroPython's default is 50 ms),
and run at 50 kHz. It wants 3 ms between a command and the reading of its answer.
"""

from .crc8 import checked, word_crc

ADDRESS = 0x61

START = 0x0010
STOP = 0x0104
INTERVAL = 0x4600
READY = 0x0202
READ = 0x0300
SELF_CALIBRATION = 0x5306
RECALIBRATE = 0x5204
TEMPERATURE_OFFSET = 0x5403
FIRMWARE = 0xD100
SOFT_RESET = 0xD304

_READY = b"\x02\x02"
_READ = b"\x03\x00"

# Values after a start that are not measurements: the first is zero, the next may
# be low.
WARMUP = 2


def command(code, argument=None):
    """Bytes of a command, with the argument's CRC."""
    if argument is None:
        return bytes((code >> 8, code & 255))
    high, low = argument >> 8, argument & 255
    return bytes((code >> 8, code & 255, high, low, word_crc(high, low)))


def thousandths(bits):
    """1000 times an IEEE single, rounded to the nearest whole number.

    Without floating point: the chip's Python has single precision only, and
    arithmetic with it would differ from the same on a computer.

    Parameters
    ----------
    bits : int
        The 32 bits of the number.

    Returns
    -------
    int or None
        None for infinities and what is not a number.
    """
    exponent = bits >> 23 & 255
    if exponent == 0:
        return 0
    if exponent == 255:
        return None
    value = ((bits & 0x7FFFFF) | 0x800000) * 1000
    shift = 150 - exponent
    if shift > 0:
        value = (value + (1 << (shift - 1))) >> shift
    else:
        value <<= -shift
    return -value if bits >> 31 else value


class Scd30:
    """One sensor.

    Parameters
    ----------
    hw : object
        The hardware layer.

    Attributes
    ----------
    mbar : int
        Pressure the sensor compensates for; 0 for none.
    warmup : int
        Values still to be dropped after a start.
    frame : bytes
        The last 18 bytes read, to see a sensor that repeats itself.
    """

    def __init__(self, hw):
        self.hw = hw
        self.mbar = 0
        self.warmup = 0
        self.frame = b""

    def send(self, code, argument=None):
        """Send a command."""
        self.hw.i2c_write(ADDRESS, command(code, argument))

    def ask(self, code):
        """Return the 16-bit answer to a command."""
        self.hw.i2c_write(ADDRESS, command(code))
        data = checked(self.hw.i2c_read(ADDRESS, 3), 3)
        return data[0] << 8 | data[1]

    def start(self, interval_s=2, mbar=None):
        """Set up and measure continuously.

        The self-calibration is switched off: it takes the lowest value of a week
        for fresh air, which a chamber over soil does not offer.
        """
        self.send(SELF_CALIBRATION, 0)
        self.send(INTERVAL, interval_s)
        if mbar is not None:
            self.mbar = mbar
        self.send(START, self.mbar)
        self.warmup = WARMUP

    def compensate(self, mbar):
        """Set the ambient pressure; between closures only, for it steps the CO2.

        Parameters
        ----------
        mbar : int
            700 to 1400 hPa.
        """
        mbar = min(max(mbar, 700), 1400)
        if mbar != self.mbar:
            self.send(START, mbar)
            self.mbar = mbar

    def ready(self):
        """Whether there is a value not read yet."""
        self.hw.i2c_write(ADDRESS, _READY)
        data = checked(self.hw.i2c_read(ADDRESS, 3), 3)
        return data[1] == 1

    def read(self):
        """Read CO2 in 0.001 ppm, temperature in 0.001 degC, humidity in 0.001 %.

        Raises
        ------
        CrcError
            If the bytes came over broken.
        OSError
            If the sensor does not answer.
        """
        self.hw.i2c_write(ADDRESS, _READ)
        frame = self.hw.i2c_read(ADDRESS, 18)
        data = checked(frame, 18)
        self.frame = frame
        return (
            thousandths(int.from_bytes(data[0:4], "big")),
            thousandths(int.from_bytes(data[4:8], "big")),
            thousandths(int.from_bytes(data[8:12], "big")),
        )

    def recalibrate(self, ppm):
        """Force a recalibration: the air is of `ppm` (400 to 2000) now.

        It is stored only once the sensor has measured twice after it.
        """
        self.send(RECALIBRATE, ppm)

    def reset(self):
        """Restart the chip; it goes on as it was set up."""
        self.send(SOFT_RESET)
        self.warmup = WARMUP
