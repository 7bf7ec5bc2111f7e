"""Signals of navigation satellites: carrier, column of the SNR file, who sends them.

Satellites and signals carry the numbers of the program gnssrefl, so that files and
tables can be exchanged: GPS satellites are 1-99, GLONASS 100 + slot, Galileo 200 + PRN,
BeiDou 300 + PRN.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

from tilth.core.errors import InputError

#: Speed of light, m s-1. CODATA 2018 (exact).
SPEED_OF_LIGHT = 299792458.0

#: Constellation by the hundreds of a satellite's or a signal's number.
CONSTELLATIONS = ("GPS", "GLONASS", "Galileo", "BeiDou")

#: Columns of signal-to-noise ratio, in the order of an SNR file.
BANDS = ("s6", "s1", "s2", "s5", "s7", "s8")


@dataclass(frozen=True)
class Signal:
    """A signal that a constellation sends.

    Parameters
    ----------
    code : int
        Its number; the hundreds tell the constellation.
    name : str
        Constellation and signal, such as ``"GPS L2C"``.
    band : str
        Column of signal-to-noise ratio that holds it, one of `BANDS`.
    frequency : float
        Carrier, Hz; of GLONASS that of channel 0.
    spacing : float
        Hz from one channel to the next; zero but for GLONASS.
    """

    code: int
    name: str
    band: str
    frequency: float
    spacing: float = 0.0

    @property
    def constellation(self) -> int:
        """0 GPS, 1 GLONASS, 2 Galileo, 3 BeiDou."""
        return self.code // 100


#: Code -> signal. Interface control documents IS-GPS-200 and -705, GLONASS ICD 5.1,
#: Galileo OS SIS ICD 2.1, BDS-SIS-ICD. E6 is 1278.75 MHz there; gnssrefl has 1278.70,
#: which makes heights 0.004 % larger.
SIGNALS: Mapping[int, Signal] = {
    signal.code: signal
    for signal in (
        Signal(1, "GPS L1", "s1", 1575.42e6),
        Signal(2, "GPS L2", "s2", 1227.60e6),
        Signal(20, "GPS L2C", "s2", 1227.60e6),
        Signal(5, "GPS L5", "s5", 1176.45e6),
        Signal(101, "GLONASS L1", "s1", 1602.0e6, 0.5625e6),
        Signal(102, "GLONASS L2", "s2", 1246.0e6, 0.4375e6),
        Signal(201, "Galileo E1", "s1", 1575.42e6),
        Signal(205, "Galileo E5a", "s5", 1176.45e6),
        Signal(206, "Galileo E6", "s6", 1278.75e6),
        Signal(207, "Galileo E5b", "s7", 1207.14e6),
        Signal(208, "Galileo E5", "s8", 1191.795e6),
        Signal(301, "BeiDou B1C", "s1", 1575.42e6),
        Signal(302, "BeiDou B1I", "s2", 1561.098e6),
        Signal(305, "BeiDou B2a", "s5", 1176.45e6),
        Signal(306, "BeiDou B3I", "s6", 1268.52e6),
        Signal(307, "BeiDou B2b", "s7", 1207.14e6),
        Signal(308, "BeiDou B2", "s8", 1191.795e6),
    )
}

#: GPS satellite -> launch of the first one under that number that sends L2C (blocks
#: IIR-M, IIF and III). United States Coast Guard Navigation Center, constellation.
_L2C_SINCE = {
    17: "2005-09-26", 31: "2006-09-25", 12: "2006-11-17", 15: "2007-10-17",
    29: "2007-12-20", 7: "2008-03-15", 5: "2009-08-17", 25: "2010-05-28",
    1: "2011-07-16", 24: "2012-10-04", 27: "2013-05-15", 30: "2014-02-21",
    6: "2014-05-17", 9: "2014-08-02", 3: "2014-10-29", 26: "2015-03-25",
    8: "2015-07-15", 10: "2015-10-31", 32: "2016-02-05", 4: "2018-12-23",
    18: "2019-08-22", 23: "2020-06-30", 14: "2020-11-05", 11: "2021-06-17",
    28: "2023-01-18", 21: "2025-05-30",
}  # fmt: skip

#: Of those, the ones of block IIR-M, which do not send L5.
_WITHOUT_L5 = frozenset({5, 7, 12, 15, 17, 29, 31})

#: BeiDou satellites in geostationary and inclined geosynchronous orbits: their arcs
#: are hours long or none at all, so they are not used.
_BEIDOU_HIGH = frozenset({*range(1, 11), 13, 38, 39, 40, 59, 60, 61})

#: Channel of GLONASS slots 1 to 28, as most often in use. Channels change when a
#: satellite is replaced: those of a day's own file go first.
GLONASS_CHANNELS: Mapping[int, int] = dict(
    enumerate(
        (
            1, -4, 5, 6, 1, -4, 5, 6, -2, -7, 0, -1, -2, -7,
            0, -1, 4, -3, 3, 2, 4, -3, 3, 2, 3, -6, -5, 7,
        ),
        start=1,
    )
)  # fmt: skip


def signal_of(code: int) -> Signal:
    """Return a signal by its number.

    Parameters
    ----------
    code : int
        Such as 1 (GPS L1), 20 (GPS L2C) or 205 (Galileo E5a).

    Returns
    -------
    Signal
        The signal.

    Raises
    ------
    InputError
        If there is none of this number.
    """
    try:
        return SIGNALS[code]
    except KeyError:
        known = ", ".join(f"{one.code} {one.name}" for one in SIGNALS.values())
        raise InputError(
            f"no signal has the number {code}; there are {known}"
        ) from None


def satellite_name(satellite: int) -> str:
    """Return a satellite's name as RINEX writes it, such as ``"E05"`` for 205.

    Parameters
    ----------
    satellite : int
        Its number.

    Returns
    -------
    str
        Letter of the constellation and number within it.

    Raises
    ------
    InputError
        If the number is of no constellation.
    """
    group, number = divmod(satellite, 100)
    if not (0 <= group < len(CONSTELLATIONS) and number > 0):
        raise InputError(
            f"{satellite} is no satellite: GPS has 1-99, GLONASS 101-199, Galileo "
            "201-299, BeiDou 301-399"
        )
    return f"{'GREC'[group]}{number:02d}"


def satellite_number(name: str) -> int:
    """Return the number of a satellite named as RINEX does, 205 for ``"E05"``.

    Parameters
    ----------
    name : str
        Letter of the constellation (G or blank, R, E, C) and number.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    InputError
        If the constellation is none of the four.
    """
    letter = name[:1].replace(" ", "G")
    if letter not in "GREC" or not name[1:].strip().isdigit():
        raise InputError(
            f"no satellite {name!r}: G (GPS), R (GLONASS), E (Galileo) or C (BeiDou) "
            "and a number are known"
        )
    return 100 * "GREC".index(letter) + int(name[1:])


def sends(satellite: int, signal: int, date: datetime.date) -> bool:
    """Tell whether a satellite's column of SNR holds this signal on a day.

    The second GPS band holds L2C of newer satellites and L2 P(Y) of older ones, whose
    heights differ: each satellite is taken for the one or for the other. BeiDou
    satellites in high orbits are never used.

    Parameters
    ----------
    satellite, signal : int
        Their numbers.
    date : datetime.date
        The day.

    Returns
    -------
    bool
        True where it does.
    """
    found = signal_of(signal)
    group, number = divmod(satellite, 100)
    if found.constellation != group:
        return False
    if group == 3:
        return number not in _BEIDOU_HIGH
    if signal not in (2, 20, 5):
        return True
    since = _L2C_SINCE.get(number)
    modern = since is not None and date.isoformat() >= since
    if signal == 2:
        return not modern
    return modern and (signal == 20 or number not in _WITHOUT_L5)


def wavelength(
    satellite: int, signal: int, channels: Mapping[int, int] | None = None
) -> float | None:
    """Return the length of the wave that a satellite sends.

    Parameters
    ----------
    satellite, signal : int
        Their numbers.
    channels : mapping of int to int, optional
        GLONASS slot -> channel on that day; `GLONASS_CHANNELS` where it says nothing.

    Returns
    -------
    float or None
        m; None for a GLONASS satellite in a slot whose channel is not known.

    Examples
    --------
    >>> round(wavelength(25, 20), 4), round(wavelength(102, 101), 4)
    (0.2442, 0.1874)
    """
    found = signal_of(signal)
    frequency = found.frequency
    if found.spacing:
        slot = satellite % 100
        channel = (channels or {}).get(slot, GLONASS_CHANNELS.get(slot))
        if channel is None:
            return None
        frequency += channel * found.spacing
    return SPEED_OF_LIGHT / frequency
