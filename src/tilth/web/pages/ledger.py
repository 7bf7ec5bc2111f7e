"""The completeness ledger: what came, what did not, and how that is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.web.model import LedgerDay, place_order
from tilth.web.pages.fleet import completeness
from tilth.web.query import days_of, device_filter
from tilth.web.render import page, percent_text
from tilth.web.room import room_of


@dataclass(frozen=True, slots=True)
class Cell:
    """A day of a device as one square: its kind (a shape, too) and its words."""

    kind: str
    text: str


def cell(day: LedgerDay | None) -> Cell:
    """Return how a day of a device is drawn."""
    if day is None or not day.expected:
        return Cell("none", "nothing was due")
    if day.lost:
        return Cell("lost", f"{day.lost} records lost")
    share = percent_text(day.share)
    if day.dropped:
        return Cell("dropped", f"{share}, {day.dropped} reported as given up")
    if day.pending:
        return Cell("pending", f"{share}, {day.pending} still on the chamber")
    if day.lost is None:
        return Cell("open", f"{share} so far, the day is not over")
    if day.received < day.expected:
        return Cell("pending", share)
    return Cell("full", "proven complete")


Row = tuple[str, str, list[Cell]]


def matrix(
    days: Sequence[LedgerDay], names: Sequence[str]
) -> list[tuple[str, list[Row]]]:
    """Return a block for each table, with one row per device: place, device, days."""
    latest: dict[str, LedgerDay] = {}
    found: dict[tuple[str, str], LedgerDay] = {}
    for day in sorted(days, key=lambda day: day.day):
        latest[day.device] = day
        found[day.device, day.day] = day
    rows: dict[str, list[Row]] = {}
    for last in sorted(
        latest.values(), key=lambda day: (place_order(day.loc), day.device)
    ):
        table = last.loc.partition(".")[0] if place_order(last.loc)[0] < 1_000 else ""
        cells = [cell(found.get((last.device, name))) for name in names]
        rows.setdefault(table, []).append((last.loc, last.device, cells))
    return list(rows.items())


async def ledger(request: Request) -> Response:
    """Show the ledger of the fleet, or of one device with its proofs."""
    room = room_of(request)
    first, last = days_of(request, room.source.clock())
    device = device_filter(request)
    days = list(await room.read(room.source.ledger, first, last, device))
    names = [
        date.fromordinal(n).isoformat()
        for n in range(
            date.fromisoformat(first).toordinal(),
            date.fromisoformat(last).toordinal() + 1,
        )
    ]
    return page(
        request,
        "ledger.html",
        device=device,
        first=first,
        last=last,
        names=names,
        tables=matrix(days, names),
        days=sorted(days, key=lambda day: day.day, reverse=True),
        boots=await room.read(room.source.boots, device) if device else [],
        share=completeness(days),
        total={
            name: sum(getattr(day, name) or 0 for day in days)
            for name in (
                *("expected", "received", "late", "duplicate"),
                *("dropped", "pending", "lost"),
            )
        },
    )


ROUTES = [Route("/ledger", ledger)]
