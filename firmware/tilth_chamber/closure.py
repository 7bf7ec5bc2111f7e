"""How long the lid stays closed: longer where little CO2 has gathered.

Whole numbers only; CO2 in 0.001 ppm, so that no rounding moves the limit.
"""


class Closure:
    """The CO2 of one closure, and what it says about opening.

    ====================  =================================
    time since closing    the lid stays closed
    ====================  =================================
    below `closed_ms`     yes
    up to `extend_ms`     while the change is below `enough`
    longer
    ====================  =================================

    Rule "raw": change is this sample less the first one. Rule "median": median of the
    last `width` samples less the median of the first `width` from the end of the
    dead-band. A missing sample is no reason to open; a median with one is missing.

    Parameters
    ----------
    settings : dict
        `rule`, `closed_ms`, `extend_ms`, `enough` (0.1 ppm), `dead_band_ms`, `width`.

    Attributes
    ----------
    change : int or None
        0.001 ppm, at the last sample.
    first : int or None
        CO2 the change counts from, 0.001 ppm.
    extended : bool
        Whether the rule has asked for more time.
    """

    def __init__(self, settings):
        self.rule = settings["rule"]
        raw = self.rule == "raw"
        self._width = 1 if raw else settings["width"]
        self._dead_band = 0 if raw else settings["dead_band_ms"]
        self._normal = settings["closed_ms"]
        self._longest = settings["closed_ms"] + settings["extend_ms"]
        self._enough = settings["enough"] * 100
        self._early = []
        self._late = []
        self.change = None
        self.first = None
        self.extended = False

    def sample(self, elapsed, co2):
        """Take one sample.

        Parameters
        ----------
        elapsed : int
            ms since closing.
        co2 : int or None
            0.001 ppm.

        Returns
        -------
        str or None
            None: stay closed. "little": stay closed beyond the normal time. "normal",
            "enough", "longest": open, after the normal time, because enough has
            gathered, or because it never will.
        """
        width = self._width
        if co2 is not None and elapsed >= self._dead_band and len(self._early) < width:
            self._early.append(co2)
            if len(self._early) == width:
                self.first = twice_median(self._early) // 2
        late = self._late
        late.append(co2)
        if len(late) > width:
            late.pop(0)
        if elapsed < self._normal:
            return None
        twice = None
        if len(self._early) == width == len(late) and None not in late:
            twice = twice_median(late) - twice_median(self._early)
            self.change = twice // 2
        else:
            self.change = None
        if elapsed >= self._longest:
            return "longest" if self.extended else "normal"
        if twice is not None and abs(twice) >= 2 * self._enough:
            return "enough" if self.extended else "normal"
        self.extended = True
        return "little"


def twice_median(values):
    """Two times the median, which is a whole number also of an even count."""
    ordered = sorted(values)
    n = len(ordered)
    return ordered[(n - 1) // 2] + ordered[n // 2]
