"""The page of one device: its readings, fluxes, boots, ledger and events."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.fleet.clock import DAY_MS, day_name, day_of
from tilth.web.api import known_device
from tilth.web.model import CHANNELS
from tilth.web.query import SPANS, device_of, span_name, span_of
from tilth.web.render import page
from tilth.web.room import room_of, said

#: Days of the ledger and closures that the page lists; other pages have all.
_LEDGER_DAYS = 7
_CYCLES = 12
_EVENTS = 20


async def device(request: Request) -> Response:
    """Show one device."""
    room = room_of(request)
    source = room.source
    name = await known_device(room, device_of(request))
    now = source.clock()
    start, end = span_of(request, now)
    tiles = await room.read(source.tiles)
    today = day_of(now)
    ledger = await room.read(
        source.ledger, day_name(today - _LEDGER_DAYS + 1), day_name(today), name
    )
    cycles = await room.read(source.cycles, max(start, end - 7 * DAY_MS), end, name)
    alarms = await room.read(source.alarms)
    events = await room.read(source.events, name, start, end)
    return page(
        request,
        "device.html",
        notice=said(request),
        tile=next(tile for tile in tiles if tile.device == name),
        boots=await room.read(source.boots, name),
        ledger=list(reversed(ledger)),
        cycles=cycles[:_CYCLES],
        alarms=[alarm for alarm in alarms if alarm.device == name],
        events=events[:_EVENTS],
        placements=(await room.read(source.placements, name))[:6],
        start=start,
        end=end,
        following=not request.query_params.get("end"),
        span=span_name(request),
        spans=[key for key in SPANS if key != "90d"],
        channel_list=list(CHANNELS.values()),
    )


ROUTES = [Route("/devices/{device}", device)]
