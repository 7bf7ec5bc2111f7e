"""Time by whole numbers: ticks that never wrap, a sampling grid, the day's cycles."""


class Ticks64:
    """Milliseconds since the start from a counter of few bits.

    The ESP32's `ticks_ms` wraps after 2**30 ms (12.4 days). `extend` has to be
    called at least once in that time.

    Parameters
    ----------
    bits : int
        Width of the counter.
    first : int
        Its value at the start, which becomes zero.
    """

    def __init__(self, bits, first):
        self._mask = (1 << bits) - 1
        self._last = first & self._mask
        self._total = 0

    def extend(self, raw):
        """Ticks since the start, of the counter's present value."""
        self._total += (raw - self._last) & self._mask
        self._last = raw
        return self._total
