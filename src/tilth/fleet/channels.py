"""What a chamber measures: the channels, states, flags and location codes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from tilth.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Channel:
    """One measured quantity and the integer it travels as.

    Parameters
    ----------
    name : str
        Name in the protocol and in the tables of the store.
    units : str
        Units of the quantity itself.
    scale : float
        Value of one count: quantity = scale * count.
    low, high : int
        Counts the sensor can deliver in good order. Beyond them a value is kept
        and doubted, never refused.
    long_name : str
        What it is.
    """

    name: str
    units: str
    scale: float
    low: int
    high: int
    long_name: str


#: Channels in the order of a sample row. Ranges: data sheets of the SCD30 (CO2
#: 0-40,000 ppm, -40-70 degC, 0-100 %), BMP280/QMP6988 (300-1100 hPa, -40-85 degC),
#: BH1750 (65,535 counts / 1.2) and the supply of the Core2 (battery to USB).
CHANNELS = (
    Channel("co2", "ppm", 0.1, 0, 400_000, "CO2 mole fraction"),
    Channel("st", "degC", 0.01, -4_000, 7_000, "temperature of the CO2 sensor"),
    Channel("rh", "%", 0.01, 0, 10_000, "relative humidity"),
    Channel("at", "degC", 0.01, -4_000, 8_500, "air temperature"),
    Channel("p", "Pa", 1.0, 30_000, 110_000, "air pressure"),
    Channel("lux", "lux", 1.0, 0, 121_556, "illuminance"),
    Channel("mv", "mV", 1.0, 2_500, 6_000, "supply voltage"),
)

#: Names of the channels, in the order of a sample row.
CHANNEL_NAMES = tuple(channel.name for channel in CHANNELS)

#: State of the chamber -> its code.
STATES = {
    "boot": 0,
    "config": 1,
    "idle": 2,
    "exercise": 3,
    "closing": 4,
    "closed": 5,
    "extended": 6,
    "opening": 7,
    "flush": 8,
    "ambient": 9,
    "calibrate": 10,
    "service": 11,
    "fault": 12,
    "reboot_pending": 13,
}

#: Code -> state of the chamber.
STATE_NAMES = {code: name for name, code in STATES.items()}

#: Remark on a sample -> its bit.
FLAGS = {
    "co2_repeated": 1,
    "co2_crc": 2,
    "co2_missing": 4,
    "warmup": 8,
    "pressure_error": 16,
    "light_error": 32,
    "lid_moving": 64,
    "low_supply": 128,
    "fan_on": 256,
}

#: How the time of a record is known -> code in the column ``quality``.
QUALITIES = {
    "ntp": 0,
    "rtc": 1,
    "mapped": 2,
    "received": 3,
    "unknown": 4,
}

_LOCATION = re.compile(r"(\d{1,2})\.(\d{1,3})\.([A-Z])", re.ASCII)


class Location(NamedTuple):
    """Where a chamber stands: three texts, because 5.10 is not 5.1."""

    table: str
    variant: str
    replica: str

    @property
    def code(self) -> str:
        """The code as it is written on the pot."""
        return ".".join(self)


def parse_location(code: str) -> Location:
    """Read a location code ``table.variant.replica``.

    Parameters
    ----------
    code : str
        One or two digits, one to three digits, one capital letter.

    Returns
    -------
    Location
        The three parts, as text.

    Raises
    ------
    InputError
        If it is not text, or not such a code.

    Examples
    --------
    >>> parse_location("5.10.A")
    Location(table='5', variant='10', replica='A')
    >>> parse_location("5.1.A") == parse_location("5.10.A")
    False
    """
    if not isinstance(code, str):
        raise InputError(
            f"a location code is text, not the {type(code).__name__} {code!r}: as a "
            "number 5.10 turns into 5.1, which is another pot"
        )
    found = _LOCATION.fullmatch(code)
    if not found:
        raise InputError(
            f"{code!r} is no location code: table (1-2 digits), variant (1-3 digits) "
            "and replica (a capital letter) joined by points, such as 5.10.A"
        )
    return Location(*found.groups())
