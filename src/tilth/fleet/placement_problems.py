"""Labels that cannot all be right, and lists of placements taken over as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from tilth.core.errors import InputError
from tilth.fleet.channels import parse_location
from tilth.fleet.clock import iso
from tilth.fleet.control import Control
from tilth.fleet.placement import FOREVER, Placement, intervals, place


@dataclass(frozen=True, slots=True)
class Problem:
    """Something about the labels that a person should look at.

    Attributes
    ----------
    kind : str
        ``two_devices_one_code``, ``one_device_two_codes``, ``unknown_code`` or
        ``illegal_code``.
    devices : tuple of str
        Whom it concerns.
    loc : str
        The code; two are joined by a blank.
    t_from, t_to : int, int or None
        When it holds, utc ms.
    text : str
        A sentence for people.
    """

    kind: str
    devices: tuple[str, ...]
    loc: str
    t_from: int
    t_to: int | None
    text: str


def problems(
    placements: Iterable[Placement], known: frozenset[str] = frozenset()
) -> list[Problem]:
    """Find labels that cannot all be right.

    Parameters
    ----------
    placements : iterable of Placement
        Of any devices, in any order; they may overlap.
    known : frozenset of str
        The codes that exist; empty: every legal one may.

    Returns
    -------
    list of Problem
        By time.
    """
    rows = [p for p in placements if p.loc]
    found = [p for row in rows for p in _code_problem(row, known)]
    found += _overlaps(rows, "loc")
    found += _overlaps(rows, "device")
    return sorted(found, key=lambda p: (p.t_from, p.kind, p.loc, p.devices))


def _code_problem(row: Placement, known: frozenset[str]) -> list[Problem]:
    try:
        parse_location(row.loc)
    except InputError as error:
        kind, text = "illegal_code", f"{row.device} is labelled {row.loc!r}: {error}"
    else:
        if not known or row.loc in known:
            return []
        kind = "unknown_code"
        text = f"{row.device} is labelled {row.loc}, which is not among the known codes"
    return [Problem(kind, (row.device,), row.loc, row.t_from, row.t_to, text)]


def _overlaps(rows: list[Placement], same: str) -> list[Problem]:
    """Find pairs with the same code (or device) at a time, but not the other."""
    other = "device" if same == "loc" else "loc"
    found = []
    rows = sorted(rows, key=lambda p: (getattr(p, same), p.t_from, p.end))
    for _, group in groupby(rows, key=lambda p: getattr(p, same)):
        running: list[Placement] = []
        for row in group:
            running = [p for p in running if p.end > row.t_from]
            for held in running:
                if getattr(held, other) != getattr(row, other):
                    found.append(_overlap(held, row, same))
            running.append(row)
    return found


def _overlap(a: Placement, b: Placement, same: str) -> Problem:
    t_to = min(a.end, b.end)
    until = "now" if t_to == FOREVER else iso(t_to)
    when = f"from {iso(b.t_from)} to {until}"
    if same == "loc":
        kind, loc = "two_devices_one_code", a.loc
        devices: tuple[str, ...] = tuple(sorted((a.device, b.device)))
        text = f"{' and '.join(devices)} are both labelled {loc} {when}"
    else:
        kind, loc = "one_device_two_codes", " ".join(sorted((a.loc, b.loc)))
        devices = (a.device,)
        text = f"{a.device} is labelled both {a.loc} and {b.loc} {when}"
    return Problem(
        kind, devices, loc, b.t_from, None if t_to == FOREVER else t_to, text
    )


def known_codes(control: Control) -> frozenset[str]:
    """Return the codes that exist; none: every legal one may."""
    return frozenset(row["loc"] for row in control.rows("SELECT loc FROM locations"))


def set_known_codes(control: Control, codes: Iterable[str]) -> None:
    """Say which codes exist, so that others are reported."""
    wanted = sorted({parse_location(code).code for code in codes})
    with control.transaction() as connection:
        connection.execute("DELETE FROM locations")
        connection.executemany(
            "INSERT INTO locations(loc) VALUES (?)", [(code,) for code in wanted]
        )


def place_many(
    control: Control, placements: Iterable[Placement], by: str = ""
) -> list[Problem]:
    """Enter a list of placements, such as one kept in a spreadsheet: all or none.

    Returns
    -------
    list of Problem
        What a person should look at afterwards (two devices on one code, codes that
        are not known).

    Raises
    ------
    InputError
        If a code is illegal or the list puts one device on two codes at a time.
    """
    wanted = list(placements)
    wrong = [p for p in problems(wanted) if p.kind != "two_devices_one_code"]
    if wrong:
        raise InputError(
            "the list contradicts itself, nothing was entered: "
            + "; ".join(p.text for p in wrong[:5])
        )
    with control.transaction():
        for p in sorted(wanted, key=lambda p: p.t_from):
            place(
                *(control, p.device, p.loc, p.t_from),
                t_to=p.t_to,
                source="import",
                by=by,
                firmware=p.firmware,
                note=p.note,
            )
    devices = {p.device for p in wanted}
    found = problems(intervals(control), known_codes(control))
    return [p for p in found if devices & set(p.devices)]
