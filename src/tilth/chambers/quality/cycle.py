"""How long a chamber stays closed: longer where little CO2 has gathered.

The rule itself, `keep_closed`, is plain Python without a library, so that a
controller can run it as it stands.
"""

# Version 6 of the fleet's firmware (Paessler et al. 2024): closed for three minutes;
# below 5 ppm of change then, for up to two more minutes or until there is more.
NORMAL_MS = 180_000
LONGEST_MS = 300_000
ENOUGH_CHANGE = 5


def keep_closed(
    elapsed_ms,
    change,
    enough_change=ENOUGH_CHANGE,
    normal_ms=NORMAL_MS,
    longest_ms=LONGEST_MS,
):
    r"""Decide at one sample whether the chamber stays closed.

    ====================  =====================================
    time since closing    the chamber stays closed
    ====================  =====================================
    below zero            no: the clock is wrong, open is safe
    0 to `normal_ms`      yes
    up to `longest_ms`    while \|change\| < `enough_change`
    `longest_ms` or more  no, whatever the sensor says
    ====================  =====================================

    Exactly `enough_change` is enough, exactly `normal_ms` is the first moment to
    open. Integers suffice: give `change` and `enough_change` in the same unit,
    for example tenths of a ppm.

    Parameters
    ----------
    elapsed_ms : int
        Time since closing by a monotonic clock, ms.
    change : int, float or None
        Concentration now minus that at closing. None, or not a number, is a
        missing reading: no reason to open early.
    enough_change : int or float
        Change in either direction that ends the extension, ppm by default.
    normal_ms, longest_ms : int
        Normal and longest time closed, ms.

    Returns
    -------
    bool
        True to stay closed, False to open.

    Examples
    --------
    >>> keep_closed(180_000, 4.9), keep_closed(180_000, 5), keep_closed(300_000, 0)
    (True, False, False)
    >>> keep_closed(200_000, 49, enough_change=50)  # tenths of a ppm
    True
    """
    if elapsed_ms < 0 or elapsed_ms >= longest_ms:
        return False
    if elapsed_ms < normal_ms or change is None:
        return True
    # Written so that a change that is not a number keeps the chamber closed.
    return not (change >= enough_change or -change >= enough_change)


def closing_time(
    elapsed,
    concentration,
    *,
    enough_change=5.0,
    normal=180.0,
    longest=300.0,
    dead_band=0.0,
    width=1,
):
    """Time at which the rule opens each of many recorded chambers.

    The change is that of the median of the last `width` readings against the
    median of the first `width` readings from the end of the dead-band; one reading
    and no dead-band give the firmware's raw difference. A median of several
    readings is calmer and opens later: it spans less time.

    Parameters
    ----------
    elapsed : array_like
        Time since closing, s, shape (sample,) or (closure, sample), rising; NaN
        where there is no sample.
    concentration : array_like
        ppm, shape (closure, sample) or (sample,).
    enough_change : float
        ppm.
    normal, longest : float
        s.
    dead_band : float
        Time after closing without use for the first median, s.
    width : int
        Readings in each median.

    Returns
    -------
    numpy.ndarray
        Seconds, shape (closure,): the time of the first sample at which
        `keep_closed` is false. Without one (the record ends earlier) NaN.

    Examples
    --------
    >>> import numpy as np
    >>> t = np.arange(0.0, 331.0, 3.0)
    >>> closing_time(t, 450.0 + np.outer([0.1, 0.02, 0.001], t))
    array([180., 252., 300.])
    """
    import numpy as np

    c = np.atleast_2d(np.asarray(concentration, float))
    t = np.broadcast_to(np.asarray(elapsed, float), c.shape)
    usable = (t >= dead_band) & np.isfinite(c)
    early = usable & (np.cumsum(usable, axis=1) <= width)
    known = usable.sum(axis=1) >= width
    first = np.full(len(c), np.nan)
    first[known] = np.median(c[known][early[known]].reshape(-1, width), axis=1)
    last = c
    if width > 1:
        padded = np.concatenate([np.full((len(c), width - 1), np.nan), c], axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)
        last = np.median(windows, axis=2)
    enough = np.abs(last - first[:, None]) >= enough_change
    opens = (t >= longest) | ((t >= normal) & enough)
    when = np.where(opens, t, np.inf).min(axis=1, initial=np.inf)
    return np.where(np.isfinite(when), when, np.nan)
