"""Labels of exported columns, taken apart: place, sensor, channel, notes of people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LOCATION = r"\d{1,2}\.\d{1,3}\.[A-Z]"

#: A pot of the lysimeters: dose and replica ("000.A"), or the word for a grain size.
_POT = r"\d{3}\.[A-Z]|(?:FINE|MIXED)-?(?:\d{3})?(?:\.[A-Z])?"

_LEADING = re.compile(
    rf"^(?P<place>{_LOCATION})\.(?P<sensor>[^.]+)(?:\.(?P<rest>.+))?$"
)
_TRAILING = re.compile(
    rf"^(?P<sensor>[A-Za-z][\w-]*?)(?:\.(?P<depth>\d{{2}}))?\.(?P<place>{_POT})$"
)
_FORMERLY = re.compile(rf"\(was (?P<place>{_LOCATION}) in (?P<year>\d{{4}})\)")
_ALIAS = re.compile(r"\(aka (?P<place>[\w.-]+)\)")


@dataclass(frozen=True, slots=True)
class Label:
    """What a label says.

    Attributes
    ----------
    text : str
        As published, without blanks around it and without the channel's digit.
    place : str
        Location code ("5.10.A") or pot ("000.A"), as text; empty if it names none.
    sensor : str
        Its word for the sensor ("Moisture", "EC", "temp_SOIL").
    channel : int
        1 for the label itself, 2 and up for its suffixed siblings.
    depth : str
        Depth in cm as text; empty if not given.
    treatment : str
        What was spread on the pot ("Steel.40").
    alias : str
        Another name of the same place ("aka 000.E").
    former, until : str
        Where the sensor stood before ("8.0.A"), to the end of which year ("2023").
    """

    text: str
    place: str = ""
    sensor: str = ""
    channel: int = 1
    depth: str = ""
    treatment: str = ""
    alias: str = ""
    former: str = ""
    until: str = ""

    @property
    def is_location(self) -> bool:
        """Whether the place is a code table.variant.replica."""
        return re.fullmatch(_LOCATION, self.place) is not None


def parse_labels(texts: Iterable[str]) -> list[Label]:
    """Take the labels of one file apart.

    A label that only adds a digit to another one of the file is another channel of
    the same sensor; alone, its digit belongs to it ("LUX.2").

    Parameters
    ----------
    texts : iterable of str
        Headers of the columns that hold values.

    Returns
    -------
    list of Label
        In the same order.

    Examples
    --------
    >>> first, second = parse_labels(["5.10.A.pH.Steel.40", "5.10.A.pH.Steel.402"])
    >>> first.place, first.treatment, second.channel
    ('5.10.A', 'Steel.40', 2)
    """
    stripped = [text.strip() for text in texts]
    known = set(stripped)
    labels = []
    for text in stripped:
        base, digit = text[:-1], text[-1:]
        if digit in "23456789" and digit and base in known:
            labels.append(_parse(base, int(digit)))
        else:
            labels.append(_parse(text, 1))
    return labels


def _parse(text: str, channel: int) -> Label:
    former, alias = _FORMERLY.search(text), _ALIAS.search(text)
    plain = re.sub(r"\([^)]*\)", "", text).strip()
    found = _LEADING.match(plain) or _TRAILING.match(plain)
    parts = found.groupdict() if found else {}
    return Label(
        text,
        place=parts.get("place") or "",
        sensor=parts.get("sensor") or plain,
        channel=channel,
        depth=parts.get("depth") or "",
        treatment=parts.get("rest") or "",
        alias=alias["place"] if alias else "",
        former=former["place"] if former else "",
        until=former["year"] if former else "",
    )
