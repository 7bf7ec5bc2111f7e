"""Where each chamber stood, and when: intervals that join the data at query time.

A label is a statement ("from 14:05 on, this chamber is on 5.10.A"). It comes from the
chamber's touch screen, from a person at the web page, or from an import. A wrong one
is corrected by a later statement about the same time; samples are never rewritten,
and what was believed before stays readable (`intervals` with ``known_at``).

Two rules decide what holds at a time:

1. An open statement holds until the next one begins.
2. A statement with an end holds for all its time. Touches that fall inside it, on
   time or late, come to hold after its end; only a person can overrule it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from itertools import groupby

import numpy as np
import pandas as pd

from tilth.core.errors import InputError
from tilth.fleet.channels import parse_location
from tilth.fleet.clock import iso
from tilth.fleet.control import Control

#: Where a statement can come from; ``touch`` is whatever the device itself says.
SOURCES = ("touch", "web", "import")

#: End of an open interval in arrays, ms.
FOREVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True)
class Placement:
    """A chamber stands on a location from `t_from` until just before `t_to`.

    Attributes
    ----------
    device : str
        12 hexadecimal digits.
    loc : str
        Location code ("5.10.A"); empty for nowhere.
    t_from, t_to : int, int or None
        utc ms; no end means until the next statement, or until now.
    source : str
        One of `SOURCES`.
    firmware : str
        Version the device ran, where known.
    entered_at, entered_by : int, str
        When (utc ms) and by whom.
    note : str
        Free text.
    statement : int
        Number of the statement it follows from, in order of entry.
    """

    device: str
    loc: str
    t_from: int
    t_to: int | None
    source: str = "web"
    firmware: str = ""
    entered_at: int = 0
    entered_by: str = ""
    note: str = ""
    statement: int = 0

    @property
    def end(self) -> int:
        """End as a number, for comparisons."""
        return FOREVER if self.t_to is None else self.t_to


_FIELDS = (
    "device, loc, t_from, t_to, source, firmware, entered_at, entered_by, note,"
    " statement"
)


def place(
    control: Control,
    device: str,
    loc: str,
    t_from: int,
    *,
    t_to: int | None = None,
    source: str,
    by: str = "",
    firmware: str = "",
    note: str = "",
) -> bool:
    """State where a device stood.

    Saying the same again changes nothing, so a repeated event does no harm.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    device : str
        12 lower-case hexadecimal digits.
    loc : str
        Location code; empty: it was taken away. An illegal code is refused from
        people but kept from a device (`problems` reports it).
    t_from, t_to : int, int or None
        utc ms; without end it holds until the next statement about that device.
    source : str
        One of `SOURCES`.
    by, firmware, note : str
        Who says so, firmware of the device, free text.

    Returns
    -------
    bool
        False if this had been said before.

    Raises
    ------
    InputError
        If a person gives an illegal code, or the interval is empty.
    """
    new = Placement(
        *(device, loc, t_from, t_to, source, firmware),
        *(control.clock(), by, note),
    )
    _check(new)
    with control.transaction() as connection:
        said = statements(control, device)
        if _said_before(said, new):
            return False
        cursor = connection.execute(
            "INSERT INTO placement_log(device, loc, t_from, t_to, source, firmware,"
            " entered_at, entered_by, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            astuple(new)[:9],
        )
        said.append(replace(new, statement=int(cursor.lastrowid or 0)))
        before = {_key(p) for p in intervals(control, device)}
        after = {_key(p): p for p in resolve(said)}
        connection.executemany(
            "UPDATE placements SET superseded = ? WHERE superseded IS NULL"
            " AND device = ? AND statement = ? AND t_from = ? AND t_to IS ?",
            [
                (new.entered_at, device, *key)
                for key in sorted(before - set(after), key=lambda key: key[:2])
            ],
        )
        connection.executemany(
            f"INSERT INTO placements({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (*(row := astuple(p))[:6], new.entered_at, *row[7:])
                for key, p in after.items()
                if key not in before
            ],
        )
    return True


def _check(new: Placement) -> None:
    if new.source not in SOURCES:
        raise InputError(
            f"a label comes from {', '.join(SOURCES)}, not from {new.source!r}"
        )
    if not isinstance(new.loc, str) or (new.loc and new.source != "touch"):
        parse_location(new.loc)
    if new.t_to is not None and new.t_to <= new.t_from:
        raise InputError(
            f"the label {new.loc} of {new.device} would end ({iso(new.t_to)}) before "
            f"it begins ({iso(new.t_from)})"
        )


def _said_before(said: Sequence[Placement], new: Placement) -> bool:
    # A person who repeats an older statement means it again; a device merely sent
    # its event twice.
    earlier = said if new.source == "touch" else said[-1:]
    return any(
        (p.loc, p.t_from, p.t_to, p.source)
        == (new.loc, new.t_from, new.t_to, new.source)
        for p in earlier
    )


def _key(placement: Placement) -> tuple[int, int, int | None]:
    return placement.statement, placement.t_from, placement.t_to


def place_event(
    control: Control,
    device: str,
    t: int | None,
    body: dict[str, object],
    firmware: str = "",
) -> bool:
    """Take over a ``loc`` event of a device; False if it says nothing (new).

    An event whose time is not known yet says nothing so far: the samples carry the
    label as sent, and the event counts once its boot has a clock.
    """
    loc = body.get("to")
    if t is None or not isinstance(loc, str) or len(loc) > 64:
        return False
    return place(control, device, loc, t, source="touch", firmware=firmware)


def place_retimed(
    control: Control,
    journal: sqlite3.Connection,
    device: str,
    boot: str,
    first: int,
    last: int,
) -> int:
    """Take over ``loc`` events whose time has become known; return how many were new.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    journal : sqlite3.Connection
        A reader of the journal.
    device, boot : str
        Whose events.
    first, last : int
        Their sequence numbers lie between these.
    """
    found = journal.execute(
        "SELECT e.t, e.body, b.fw FROM events e JOIN boots b ON b.id = e.boot"
        " JOIN devices d ON d.id = b.device WHERE d.name = ? AND b.boot = ?"
        " AND e.seq BETWEEN ? AND ? AND e.kind = 'loc' ORDER BY e.seq",
        (device, boot, first, last),
    ).fetchall()
    return sum(
        place_event(control, device, t, json.loads(body), fw) for t, body, fw in found
    )


def statements(control: Control, device: str | None = None) -> list[Placement]:
    """Return every statement that was made, in the order of entry."""
    found = control.rows(
        f"SELECT {_FIELDS.replace('statement', 'id AS statement')} FROM placement_log"
        " WHERE ?1 IS NULL OR device = ?1 ORDER BY id",
        device,
    )
    return [Placement(**row) for row in found]


def intervals(
    control: Control, device: str | None = None, *, known_at: int | None = None
) -> list[Placement]:
    """Return where devices stood, without overlaps for one device.

    Parameters
    ----------
    control : Control
        The fleet's control file.
    device : str, optional
        Only this one.
    known_at : int, optional
        As it was believed at this time (utc ms); default as it is known now.

    Returns
    -------
    list of Placement
        By device, then time.
    """
    found = control.rows(
        f"SELECT {_FIELDS} FROM placements WHERE (?1 IS NULL OR device = ?1) AND"
        " CASE WHEN ?2 IS NULL THEN superseded IS NULL ELSE entered_at <= ?2"
        " AND (superseded IS NULL OR superseded > ?2) END ORDER BY device, t_from",
        *(device, known_at),
    )
    return [Placement(**row) for row in found]


def resolve(said: Sequence[Placement]) -> list[Placement]:
    """Work out what holds when, from all statements about one device.

    Parameters
    ----------
    said : sequence of Placement
        In the order of entry. The result does not depend on the order in which
        touches arrived, unless two name the same moment.

    Returns
    -------
    list of Placement
        Intervals in order of time that do not overlap.

    Examples
    --------
    >>> said = [Placement("d", "5.1.A", 0, None, "touch", statement=1),
    ...         Placement("d", "5.10.A", 10, 20, "web", statement=2)]
    >>> [(p.loc, p.t_from, p.t_to) for p in resolve(said)]
    [('5.1.A', 0, 10), ('5.10.A', 10, 20), ('5.1.A', 20, None)]
    """
    edges = sorted({t for p in said for t in (p.t_from, p.t_to) if t is not None})
    out: list[Placement] = []
    for start, stop in zip(edges, [*edges, None][1:], strict=True):
        holds = _holding(said, start)
        if holds is None:
            continue
        row = list(astuple(holds))
        row[2:4] = start, stop
        last = out[-1] if out else None
        if last and last.statement == holds.statement and last.t_to == start:
            row[2] = out.pop().t_from
        out.append(Placement(*row))
    return out


def _holding(said: Sequence[Placement], t: int) -> Placement | None:
    """Return the statement that holds at a time."""
    running = [p for p in said if p.t_to is None and p.t_from <= t]
    closed = [p for p in said if p.t_to is not None and p.t_from <= t < p.t_to]
    base = max(
        running,
        key=lambda p: (p.t_from, p.source != "touch", p.statement),
        default=None,
    )
    if not closed:
        return base
    over = max(closed, key=lambda p: (p.source != "touch", p.statement))
    if base and base.source != "touch" and base.statement > over.statement:
        return base
    return over


def locate(
    placements: Sequence[Placement],
    device: np.ndarray,
    t: np.ndarray,
    label: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each sample was taken.

    Parameters
    ----------
    placements : sequence of Placement
        Without overlaps for one device (from `intervals`).
    device, t : numpy.ndarray
        Device (object) and time (int64, utc ms) of each sample; same shape.
    label : numpy.ndarray of object, optional
        The label as the device sent it, for times no placement covers.

    Returns
    -------
    loc, placed : numpy.ndarray of object, of bool
        Code, and whether it is from a placement (otherwise the label as sent).
    """
    t = np.asarray(t, np.int64)
    loc = np.full(t.shape, "", object) if label is None else np.array(label, object)
    placed = np.zeros(t.shape, bool)
    rows = sorted(placements, key=lambda p: (p.device, p.t_from))
    for name, group in groupby(rows, key=lambda p: p.device):
        held = list(group)
        mine = np.flatnonzero(device == name)
        at = held_at(held, t[mine])
        codes = np.array([p.loc for p in held], object)
        loc[mine[at >= 0]] = codes[at[at >= 0]]
        placed[mine[at >= 0]] = True
    return loc, placed


def held_at(placements: Sequence[Placement], t: np.ndarray) -> np.ndarray:
    """Return which placement of one device holds at each time; -1 for none.

    Parameters
    ----------
    placements : sequence of Placement
        In order of time, without overlaps.
    t : numpy.ndarray of int64
        utc ms.
    """
    if not placements:
        return np.full(len(t), -1)
    starts = np.array([p.t_from for p in placements], np.int64)
    ends = np.array([p.end for p in placements], np.int64)
    at = np.searchsorted(starts, t, side="right") - 1
    return np.where((at >= 0) & (t < ends[at]), at, -1)


def as_frame(placements: Iterable[Placement]) -> pd.DataFrame:
    """Return placements as a table: codes text, ends nullable whole numbers."""
    names = list(Placement.__slots__)
    frame = pd.DataFrame([astuple(p) for p in placements], columns=names)
    text = [n for n in names if n not in ("t_from", "t_to", "entered_at", "statement")]
    whole = dict.fromkeys(("t_from", "entered_at", "statement"), "int64")
    return frame.astype(dict.fromkeys(text, "str") | whole | {"t_to": "Int64"})
