"""The pressure sensor BMP280 (Bosch), by its data sheet 1.26.

Compensation is the data sheet's 32-bit formula for the temperature and its 64-bit
formula for the pressure, in whole numbers: exact also where floating point is single.
"""

import struct

ADDRESS = 0x76
CHIP_ID = 0xD0
CALIBRATION = 0x88
CONTROL = 0xF4
CONFIG = 0xF5
DATA = b"\xf7"

# Oversampling 2x temperature, 16x pressure ("ultra high resolution", data sheet
# table 7), normal mode; filter off: the chamber's pulses must stay visible.
NORMAL = 0x57
# Standby 62.5 ms: a fresh value at every sample.
STANDBY = 0x20
# What a chip in sleep mode shows instead of a value.
SLEEPING = 0x80000


class Bmp280:
    """One sensor.

    Parameters
    ----------
    hw : object
        The hardware layer.
    """

    name = "bmp280"

    def __init__(self, hw):
        self.hw = hw
        self.calibration = None

    def start(self):
        """Read the calibration and measure continuously.

        Raises
        ------
        OSError
            If there is no such chip.
        """
        self.hw.i2c_write(ADDRESS, bytes((CHIP_ID,)))
        if self.hw.i2c_read(ADDRESS, 1)[0] not in (0x56, 0x57, 0x58):
            raise OSError(19)
        self.hw.i2c_write(ADDRESS, bytes((CALIBRATION,)))
        data = self.hw.i2c_read(ADDRESS, 24)
        self.calibration = struct.unpack("<HhhHhhhhhhhh", data)
        self.hw.i2c_write(ADDRESS, bytes((CONFIG, STANDBY)))
        self.hw.i2c_write(ADDRESS, bytes((CONTROL, NORMAL)))

    def read(self):
        """Read temperature in 0.01 degC and pressure in Pa.

        Raises
        ------
        OSError
            If the chip does not answer or has gone to sleep (its supply failed).
        """
        self.hw.i2c_write(ADDRESS, DATA)
        data = self.hw.i2c_read(ADDRESS, 6)
        adc_p = data[0] << 12 | data[1] << 4 | data[2] >> 4
        adc_t = data[3] << 12 | data[4] << 4 | data[5] >> 4
        if adc_p == SLEEPING:
            raise OSError(5)
        t, p = compensate(self.calibration, adc_t, adc_p)
        return t, (p + 128) >> 8


def compensate(calibration, adc_t, adc_p):
    """Temperature in 0.01 degC and pressure in 1/256 Pa of raw readings.

    Parameters
    ----------
    calibration : tuple of int
        dig_T1 to dig_T3 and dig_P1 to dig_P9.
    adc_t, adc_p : int
        Raw readings, 20 bits.

    Examples
    --------
    The data sheet's example, 25.08 degC and 100653.27 Pa (it prints 25767236; its own
    formula gives 0.01 Pa less):

    >>> t = (27504, 26435, -1000)
    >>> p = (36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000)
    >>> compensate(t + p, 519888, 415148)
    (2508, 25767233)
    """
    t1, t2, t3, p1, p2, p3, p4, p5, p6, p7, p8, p9 = calibration
    a = ((adc_t >> 3) - (t1 << 1)) * t2 >> 11
    b = (adc_t >> 4) - t1
    fine = a + ((b * b >> 12) * t3 >> 14)
    temperature = (fine * 5 + 128) >> 8
    a = fine - 128000
    b = a * a * p6 + (a * p5 << 17) + (p4 << 35)
    a = (a * a * p3 >> 8) + (a * p2 << 12)
    a = ((1 << 47) + a) * p1 >> 33
    if a == 0:
        raise OSError(5)
    p = ((1048576 - adc_p << 31) - b) * 3125 // a
    q = p >> 13
    p = (p + (p9 * q * q >> 25) + (p8 * p >> 19) >> 8) + (p7 << 4)
    return temperature, p
