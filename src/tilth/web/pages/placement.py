"""Placement: which chamber stood on which pot, and its correction."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.core.errors import InputError
from tilth.web.auth import Session, changes, done, text_of
from tilth.web.model import Placement, in_place, place_order
from tilth.web.query import device_filter, parse_time
from tilth.web.render import page
from tilth.web.room import room_of, said

#: Past statements on the page; that of one device has all of its.
_LISTED = 400


async def placement(request: Request) -> Response:
    """Show where devices stood."""
    room = room_of(request)
    device = device_filter(request)
    tiles = await room.read(room.source.tiles)
    rows = list(await room.read(room.source.placements, device))
    session: Session | None = request.state.session
    return page(
        request,
        "placement.html",
        notice=said(request),
        parts=_parts(rows),
        device=device,
        tiles=in_place(tiles),
        may_change=bool(session and session.may("operator")),
    )


def _parts(rows: Sequence[Placement]) -> list[tuple[str, Sequence[Placement]]]:
    """Part statements into those that hold now, by place, and all others."""
    now = [row for row in rows if row.end is None and not row.overruled]
    before = [row for row in rows if row.end is not None or row.overruled]
    now.sort(key=lambda row: (place_order(row.loc), row.device))
    return [("Now", now), ("Before", before[:_LISTED])]


@changes("operator")
async def place(request: Request, session: Session, form: FormData) -> Response:
    """Note a statement: a device stood on a location for a time."""
    room = room_of(request)
    device = text_of(form, "device", 12)
    tiles = await room.read(room.source.tiles)
    if all(tile.device != device for tile in tiles):
        raise InputError(f"no device {device[:40]!r} has reported to this fleet")
    loc = text_of(form, "loc", 12)
    if not form.get("start"):
        raise InputError("a statement needs the time from which on it holds")
    start = parse_time(text_of(form, "start", 40))
    end = parse_time(text_of(form, "end", 40)) if form.get("end") else None
    note = text_of(form, "note")
    await room.read(room.source.place, device, loc, start, end, session.user, note)
    await room.note(
        session.user,
        "place",
        {"device": device, "loc": loc, "start": start, "end": end, "note": note},
    )
    return done(request, "/placement", "placed")


ROUTES = [
    Route("/placement", placement),
    Route("/placement", place, methods=["POST"]),
]
