"""The pressure sensor QMP6988 (QST) of M5Stack's newer barometric units.

The data sheet's polynomial, evaluated in whole numbers with 80 binary places: no
rounding worth speaking of, and the same on every machine.
"""

import struct

ADDRESS = 0x70
CHIP_ID = 0xD1
FILTER = 0xF1
CONTROL = 0xF4
CALIBRATION = 0xA0
DATA = b"\xf7"

# Oversampling 2x temperature, 16x pressure, normal mode.
NORMAL = 2 << 5 | 5 << 2 | 3
SLEEPING = 0x800000
PLACES = 80

# Data sheet table "compensation coefficients": coefficient = first + second * raw /
# 32767, both as (digits, decimal exponent).
SCALES = (
    ("bt1", (100, -3), (91, -3)),
    ("bt2", (120, -10), (120, -8)),
    ("bp1", (33, -3), (19, -3)),
    ("b11", (210, -9), (140, -9)),
    ("bp2", (-630, -12), (350, -12)),
    ("b12", (290, -15), (760, -15)),
    ("b21", (210, -17), (120, -16)),
    ("bp3", (130, -18), (79, -18)),
    ("a1", (-630, -5), (430, -6)),
    ("a2", (-190, -13), (120, -12)),
)


def coefficients(data):
    """Turn the 25 bytes of the chip's memory into scaled whole numbers.

    Parameters
    ----------
    data : bytes
        Registers 0xA0 to 0xB8.

    Returns
    -------
    dict
        Name to coefficient times 2**80.
    """
    raw = struct.unpack(">8h", data[2:18]) + struct.unpack(">2h", data[20:24])
    out = {}
    for (name, first, second), value in zip(SCALES, raw):  # noqa: B905
        number = _scaled(first, 32767) + _scaled(second, value)
        out[name] = number // 32767
    last = data[24]
    out["b00"] = _signed20(data[0] << 12 | data[1] << 4 | last >> 4) << (PLACES - 4)
    out["a0"] = _signed20(data[18] << 12 | data[19] << 4 | last & 15) << (PLACES - 4)
    return out


def _scaled(number, factor):
    digits, exponent = number
    return (digits * factor << PLACES) // 10**-exponent


def _signed20(value):
    return value - (1 << 20) if value >> 19 else value


def compensate(k, dt, dp):
    """Temperature in 0.01 degC and pressure in Pa of raw differences from 2**23.

    .. code-block:: text

        Tr = a0 + a1 Dt + a2 Dt^2                 (1/256 degC)
        P = b00 + bt1 Tr + bp1 Dp + b11 Dp Tr + bt2 Tr^2 + bp2 Dp^2
            + b12 Dp Tr^2 + b21 Dp^2 Tr + bp3 Dp^3
    """
    tr = k["a0"] + dt * (k["a1"] + dt * k["a2"])
    # 16 binary places are 1/65536 of 1/256 degC.
    t = tr >> (PLACES - 16)
    p = k["bp2"] + (k["b21"] * t >> 16) + k["bp3"] * dp
    p = k["bp1"] + (t * (k["b11"] + (k["b12"] * t >> 16)) >> 16) + p * dp
    p = k["b00"] + (t * (k["bt1"] + (k["bt2"] * t >> 16)) >> 16) + p * dp
    return (t * 100 + (1 << 23)) >> 24, (p + (1 << (PLACES - 1))) >> PLACES


class Qmp6988:
    """One sensor, used like `Bmp280`.

    Parameters
    ----------
    hw : object
        The hardware layer.
    """

    name = "qmp6988"

    def __init__(self, hw):
        self.hw = hw
        self.k = None

    def start(self):
        """Read the calibration and measure continuously.

        Raises
        ------
        OSError
            If there is no such chip.
        """
        self.hw.i2c_write(ADDRESS, bytes((CHIP_ID,)))
        if self.hw.i2c_read(ADDRESS, 1)[0] != 0x5C:
            raise OSError(19)
        self.hw.i2c_write(ADDRESS, bytes((CALIBRATION,)))
        self.k = coefficients(self.hw.i2c_read(ADDRESS, 25))
        self.hw.i2c_write(ADDRESS, bytes((FILTER, 0)))
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
        raw_p = data[0] << 16 | data[1] << 8 | data[2]
        raw_t = data[3] << 16 | data[4] << 8 | data[5]
        if raw_p == SLEEPING and raw_t in (0, SLEEPING):
            raise OSError(5)
        return compensate(self.k, raw_t - 8388608, raw_p - 8388608)
