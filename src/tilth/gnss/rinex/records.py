"""The records of an observation file, read by compiled code from its bytes.

A record is what one satellite has at one epoch: fields of 16 characters, of which the
first 14 are a number. In RINEX 3 and 4 it is one line; in RINEX 2 five fields fill a
line, and the satellites are listed on the line of the epoch.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: What `read_records` stopped for.
END, EVENT, NO_EPOCH, NO_NUMBER, CUT, NO_SATELLITE = range(6)

#: Characters of a field, and of the number in it.
_FIELD, _NUMBER = 16, 14

#: Constellations by the hundreds of their satellites' numbers, and all others.
_OTHER = 4

#: Fields of a line, and satellites listed on a line, in RINEX 2.
_FIELDS_OF_A_LINE, _LISTED = 5, 12


@njit(cache=True)
def read_records(
    text, begin, version_3, system, fields, columns, first, satellite, day, second, out
):  # pragma: no cover - compiled
    """Read records until the text or the rows end, or an event changes the rules.

    Parameters
    ----------
    text : numpy.ndarray of uint8
        The file.
    begin : int
        Where to begin: at the line of an epoch.
    version_3 : bool
        RINEX 3 or 4 rather than 2.
    system : int
        Constellation of satellites without a letter: 0 GPS, 1 GLONASS, 2 Galileo,
        3 BeiDou.
    fields : numpy.ndarray of int, shape (5)
        Fields of a record of each constellation, and of all others.
    columns : numpy.ndarray of int, shape (5, most fields)
        Field -> column of `out`, -1 where it is not wanted.
    first : int
        Row to begin with.
    satellite, day, second : numpy.ndarray, shape (row)
        Filled: number of the satellite, days since 1970, second of the day.
    out : numpy.ndarray, shape (row, column)
        Filled: values, NaN where there is none (blank or zero).

    Returns
    -------
    status, row, position, lines : int
        What it stopped for, rows filled, where; of an event the lines that follow it.
    """
    at, row = begin, first
    size = text.size
    listed = np.empty(1000, np.int64)
    while at < size:
        end = _line_end(text, at)
        if _blank(text, at, end):
            at = end + 1
            continue
        if version_3:
            if text[at] != 62:  # >
                return NO_EPOCH, row, at, 0
            date, flags = at + 2, at + 31
        else:
            date, flags = at, at + 28
        flag, fine = _integer(text, flags, min(flags + 1, end))
        count, good = _integer(text, flags + 1, min(flags + 4, end))
        if not (fine and good) or flag > 6:
            return NO_EPOCH, row, at, 0
        if 2 <= flag <= 5:
            return EVENT, row, end + 1, count
        moment, clock, fine = _epoch(text, date, end, version_3)
        if not fine:
            return NO_EPOCH, row, at, 0
        if not version_3:
            if count > listed.size:
                return NO_EPOCH, row, at, 0
            for i in range(count):
                if i and i % _LISTED == 0:
                    at = end + 1
                    if at >= size:
                        return CUT, row, at, 0
                    end = _line_end(text, at)
                place = at + 32 + 3 * (i % _LISTED)
                if place + 3 > end:
                    return NO_SATELLITE, row, at, 0
                listed[i] = _satellite(text, place, system)
                if listed[i] < 0:
                    return NO_SATELLITE, row, at, 0
        at = end + 1
        for i in range(count):
            if at >= size:
                return CUT, row, at, 0
            start = at
            if version_3:
                end = _line_end(text, at)
                if end - at < 3:
                    return NO_SATELLITE, row, at, 0
                number = _satellite(text, at, system)
                if number < 0:
                    return NO_SATELLITE, row, at, 0
                at = end + 1
            else:
                number = listed[i]
            group = min(number // 100, _OTHER)
            wanted = group < _OTHER and flag < 6
            if wanted:
                for k in range(out.shape[1]):
                    out[row, k] = np.nan
            found = False
            if version_3:
                if wanted:
                    fine, found = _fields(
                        text, start + 3, end, 0, fields[group], columns[group], out[row]
                    )
                    if not fine:
                        return NO_NUMBER, row, start, 0
            else:
                lines = (fields[group] + _FIELDS_OF_A_LINE - 1) // _FIELDS_OF_A_LINE
                for line in range(lines):
                    if at >= size:
                        return CUT, row, at, 0
                    end = _line_end(text, at)
                    if wanted:
                        low = line * _FIELDS_OF_A_LINE
                        high = min(low + _FIELDS_OF_A_LINE, fields[group])
                        fine, some = _fields(
                            text, at, end, low, high, columns[group], out[row]
                        )
                        if not fine:
                            return NO_NUMBER, row, at, 0
                        found |= some
                    at = end + 1
            if wanted and found:
                satellite[row] = number
                day[row] = moment
                second[row] = clock
                row += 1
    return END, row, at, 0


@njit(cache=True)
def _fields(text, start, end, low, high, columns, out):  # pragma: no cover - compiled
    """Read fields low to high of a line; tell if all are numbers, and if any is."""
    found = False
    for k in range(low, high):
        column = columns[k]
        if column < 0:
            continue
        place = start + _FIELD * (k - low)
        if place >= end:
            break
        value, fine = _decimal(text, place, min(place + _NUMBER, end))
        if not fine:
            return False, found
        # A zero stands for no observation, as a blank does (RINEX 3.05, section 6.7).
        if value != 0.0:
            out[column] = value
            found = True
    return True, found


@njit(cache=True)
def _line_end(text, at):  # pragma: no cover - compiled
    """Return where a line ends: its line feed, a carriage return, or the text."""
    size = text.size
    while at < size and text[at] != 10:
        at += 1
    return at


@njit(cache=True)
def _blank(text, at, end):  # pragma: no cover - compiled
    """Tell whether there is nothing but blanks."""
    while at < end and text[at] <= 32:
        at += 1
    return at == end


@njit(cache=True)
def _integer(text, at, end):  # pragma: no cover - compiled
    """Return a whole number, 0 for blanks, and whether it is one."""
    value = 0
    for i in range(at, end):
        c = text[i]
        if 48 <= c <= 57:
            value = 10 * value + c - 48
        elif c > 32:
            return 0, False
    return value, True


@njit(cache=True)
def _decimal(text, at, end):  # pragma: no cover - compiled
    """Return a decimal number, 0 for blanks, and whether it is one."""
    value = 0
    scale = 1.0
    negative = False
    point = False
    for i in range(at, end):
        c = text[i]
        if 48 <= c <= 57:
            value = 10 * value + c - 48
            if point:
                scale *= 10.0
        elif c == 46 and not point:
            point = True
        elif c == 45 and value == 0 and not point:
            negative = True
        elif c > 32:
            return 0.0, False
    result = value / scale
    return (-result if negative else result), True


@njit(cache=True)
def _satellite(text, at, system):  # pragma: no cover - compiled
    """Return the number of a satellite, 400 and more of other constellations, or -1."""
    letter = text[at]
    if letter == 71:  # G
        group = 0
    elif letter == 82:  # R
        group = 1
    elif letter == 69:  # E
        group = 2
    elif letter == 67:  # C
        group = 3
    elif letter == 32:
        group = system
    elif 65 <= letter <= 90:
        group = _OTHER
    else:
        return -1
    number, fine = _integer(text, at + 1, at + 3)
    if not fine or number == 0:
        return -1
    return 100 * group + number


@njit(cache=True)
def _epoch(text, at, end, version_3):  # pragma: no cover - compiled
    """Return days since 1970 and second of the day of an epoch, and if it is one."""
    if version_3:
        year, a = _integer(text, at, at + 4)
        at += 4
    else:
        year, a = _integer(text, at + 1, at + 3)
        year += 1900 if year >= 80 else 2000
        at += 3
    month, b = _integer(text, at, at + 3)
    date, c = _integer(text, at + 3, at + 6)
    hour, d = _integer(text, at + 6, at + 9)
    minute, e = _integer(text, at + 9, at + 12)
    second, f = _decimal(text, at + 12, min(at + 23, end))
    fine = a and b and c and d and e and f
    fine = fine and 1 <= month <= 12 and 1 <= date <= 31
    fine = fine and hour < 25 and minute < 60 and second < 61.0
    # Days since 1970 of the Gregorian calendar; the year begins in March.
    years = year - (1 if month <= 2 else 0)
    months = (month + 9) % 12
    days = 365 * years + years // 4 - years // 100 + years // 400
    days += (153 * months + 2) // 5 + date - 1 - 719468
    return days, 3600.0 * hour + 60.0 * minute + second, fine
