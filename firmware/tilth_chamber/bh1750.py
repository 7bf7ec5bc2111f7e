"""The light sensor BH1750 (ROHM) of the DLight unit: lux, not PAR."""

ADDRESS = 0x23
CONTINUOUS = b"\x10"
# The chip's highest count; 54,612 lx.
SATURATED = 65535


class Bh1750:
    """One sensor.

    Parameters
    ----------
    hw : object
        The hardware layer.
    """

    def __init__(self, hw):
        self.hw = hw
        self._dark = 0

    def start(self):
        """Measure continuously with 1 lx resolution, every 120 ms."""
        self.hw.i2c_write(ADDRESS, CONTINUOUS)
        self._dark = 0

    def read(self):
        """Read lux and whether the sensor is saturated.

        A chip that has lost its supply shows zero: after ten of them it is told
        to measure again, which does no harm at night.
        """
        data = self.hw.i2c_read(ADDRESS, 2)
        raw = data[0] << 8 | data[1]
        if raw:
            self._dark = 0
        else:
            self._dark += 1
            if self._dark >= 10:
                self.start()
        return (raw * 10 + 6) // 12, raw == SATURATED
