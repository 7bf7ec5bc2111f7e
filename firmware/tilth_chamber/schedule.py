"""Time by whole numbers: ticks that never wrap, a sampling grid, cycles of the day."""

import binascii


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


class Grid:
    """Sampling times start + step * k, without drift.

    Parameters
    ----------
    start, step : int
        ms.

    Attributes
    ----------
    due : int
        The next time.
    missed : int
        Times that went by without a sample because somebody was late.
    """

    def __init__(self, start, step):
        self.start = start
        self.step = step
        self.due = start
        self.missed = 0

    def take(self, now):
        """Account for the sample taken `now`; return the number k of its time."""
        k = (now - self.start) // self.step
        self.missed += k - (self.due - self.start) // self.step
        self.due = self.start + (k + 1) * self.step
        return k

    def refit(self, step):
        """Go on with another step from the next time."""
        self.start = self.due
        self.step = step

    def after(self, tick):
        """First time of the grid that is not before `tick`."""
        return tick + (self.start - tick) % self.step


def slot(utc, period, half):
    """Return the number of the cycle that begins next to `utc`, and the time since.

    Cycles begin at multiples of the period since 1970, each at the sampling time
    next to it, which may be `half` a sampling step early.

    Examples
    --------
    >>> slot(1_753_000_199_000, 600_000, 1500), slot(1_753_000_198_400, 600_000, 1500)
    ((2921667, 500), (2921666, 599900))
    """
    utc += half
    return utc // period, utc % period


def jitter(mac, span):
    """Return a delay in 0 to `span` - 1 ms of a device's own, always the same."""
    return binascii.crc32(mac.encode()) % span if span > 0 else 0


def unix_ms(year, month, day, hour, minute, second):
    """UTC in ms since 1970 of a date of the Gregorian calendar.

    Examples
    --------
    >>> unix_ms(2000, 1, 1, 0, 0, 0)
    946684800000
    """
    y = year - (month <= 2)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return ((days * 24 + hour) * 60 + minute) * 60000 + second * 1000


def calendar(utc_ms):
    """Year, month, day, hour, minute, second of a time in ms since 1970, UTC."""
    seconds = utc_ms // 1000
    days, seconds = seconds // 86400 + 719468, seconds % 86400
    era = days // 146097
    d = days - era * 146097
    y = (d - d // 1460 + d // 36524 - d // 146096) // 365
    d -= 365 * y + y // 4 - y // 100
    m = (5 * d + 2) // 153
    month = m + (3 if m < 10 else -9)
    year = y + era * 400 + (month <= 2)
    return (
        year,
        month,
        d - (153 * m + 2) // 5 + 1,
        seconds // 3600,
        seconds % 3600 // 60,
        seconds % 60,
    )
