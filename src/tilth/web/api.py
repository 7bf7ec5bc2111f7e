"""The interface for programs: what the pages show, as JSON.

Times are UTC milliseconds; they are taken as such or in ISO 8601. Values are in
physical units; what is not known is null. A refusal is ``{"error": "..."}`` with
status 400, 401, 404 or 429.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tilth.core.errors import InputError
from tilth.web.decimate import MOST_COLUMNS
from tilth.web.model import CHANNELS, Trace
from tilth.web.query import (
    boot_of,
    days_of,
    device_filter,
    device_of,
    int_of,
    parse_time,
    span_of,
)
from tilth.web.render import page
from tilth.web.room import Room, room_of


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of the interface and what it takes."""

    path: str
    handler: Callable[[Request], Awaitable[Response]]
    query: str = ""

    @property
    def about(self) -> str:
        """What it answers: the docstring of its handler."""
        text = " ".join((self.handler.__doc__ or "").split()).removeprefix("Return ")
        return text[:1].upper() + text[1:]


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: NaN and infinity become null.

    Examples
    --------
    >>> plain({"flux": float("nan"), "t": np.array([1, 2])})
    {'flux': None, 't': [1, 2]}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


async def known_device(room: Room, device: str) -> str:
    """Return the device, if the fleet has it; a page that does not exist otherwise."""
    tiles = await room.read(room.source.tiles)
    if all(tile.device != device for tile in tiles):
        raise HTTPException(404)
    return device


async def fleet(request: Request) -> Response:
    """Return every device as it is now, and how the service does."""
    room = room_of(request)
    tiles = await room.read(room.source.tiles)
    health = await room.read(room.source.health)
    devices = [
        {key: value for key, value in plain(tile).items() if key != "spark"}
        for tile in tiles
    ]
    return JSONResponse(
        {"now": room.source.clock(), "devices": devices, "health": plain(health)}
    )


async def device(request: Request) -> Response:
    """Return one device: its state, its boots with their watermarks, its places."""
    room = room_of(request)
    name = await known_device(room, device_of(request))
    tiles = await room.read(room.source.tiles)
    return JSONResponse(
        plain(
            {
                "device": next(tile for tile in tiles if tile.device == name),
                "boots": list(await room.read(room.source.boots, name)),
                "placements": list(await room.read(room.source.placements, name)),
            }
        )
    )


async def trace(request: Request) -> Response:
    """Return readings of a device for a screen: lowest and highest of each column."""
    room = room_of(request)
    name = await known_device(room, device_of(request))
    channels = channels_of(request)
    start, end = span_of(request, room.source.clock())
    columns = int_of(request, "columns", 1200, 10, MOST_COLUMNS)
    traces = await room.read(room.source.traces, name, channels, start, end, columns)
    closures = await room.read(room.source.closures, name, start, end)
    return JSONResponse(
        {
            "device": name,
            "start": start,
            "end": end,
            "traces": {one.channel: _trace(one) for one in traces},
            "closures": plain(list(closures)),
        }
    )


def _trace(one: Trace) -> dict[str, Any]:
    decimals = CHANNELS[one.channel].decimals
    return plain(
        {
            "t": one.t,
            "low": np.round(one.low, decimals),
            "high": np.round(one.high, decimals),
            "count": one.count,
            "units": CHANNELS[one.channel].units,
        }
    )


def channels_of(request: Request) -> Sequence[str]:
    """Return the channels a query names; CO2 where it names none.

    Raises
    ------
    InputError
        If one does not exist.
    """
    names = [n for n in request.query_params.get("channels", "co2").split(",") if n]
    for name in names:
        if name not in CHANNELS:
            raise InputError(
                f"no channel {name[:40]!r}; there are {', '.join(CHANNELS)}"
            )
    return list(dict.fromkeys(names))


async def fluxes(request: Request) -> Response:
    """Return fluxes of all closures in a span, or of one device, newest first."""
    room = room_of(request)
    start, end = span_of(request, room.source.clock())
    cycles = await room.read(room.source.cycles, start, end, device_filter(request))
    return JSONResponse({"start": start, "end": end, "fluxes": plain(list(cycles))})


async def cycle(request: Request) -> Response:
    """Return one closure: its readings (s since closing, ppm) and the fitted curve."""
    room = room_of(request)
    name = await known_device(room, device_of(request))
    found = await room.read(
        room.source.readings, name, boot_of(request), request.path_params["seq"]
    )
    if found is None:
        raise HTTPException(404)
    return JSONResponse(plain({**asdict(found), "facts": dict(found.facts)}))


async def variants(request: Request) -> Response:
    """Return fluxes of each variant by the hour: mean over its pots, standard error."""
    room = room_of(request)
    start, end = span_of(request, room.source.clock(), "7d")
    found = await room.read(room.source.variants, start, end)
    return JSONResponse({"start": start, "end": end, "variants": plain(list(found))})


async def effects(request: Request) -> Response:
    """Return each variant against its control: ratio of their fluxes, interval."""
    room = room_of(request)
    start, end = span_of(request, room.source.clock(), "7d")
    found = await room.read(room.source.effects, start, end)
    return JSONResponse({"start": start, "end": end, "effects": plain(list(found))})


async def ledger(request: Request) -> Response:
    """Return the ledger: what became of the records of each device on each UTC day."""
    room = room_of(request)
    first, last = days_of(request, room.source.clock())
    rows = await room.read(room.source.ledger, first, last, device_filter(request))
    return JSONResponse({"first": first, "last": last, "days": plain(list(rows))})


async def alarms(request: Request) -> Response:
    """Return open alarms; with past_since also those that ended since."""
    room = room_of(request)
    since = request.query_params.get("past_since")
    rows = await room.read(room.source.alarms, parse_time(since) if since else None)
    return JSONResponse({"alarms": plain(list(rows))})


async def commands(request: Request) -> Response:
    """Return the newest commands and how far they have come."""
    room = room_of(request)
    rows = await room.read(room.source.commands, int_of(request, "limit", 200, 1, 1000))
    return JSONResponse({"commands": plain(list(rows))})


async def firmware(request: Request) -> Response:
    """Return the firmware versions that are held."""
    room = room_of(request)
    return JSONResponse(
        {"firmware": plain(list(await room.read(room.source.firmware)))}
    )


async def placements(request: Request) -> Response:
    """Return where devices stood, as intervals; overruled statements are marked."""
    room = room_of(request)
    rows = await room.read(room.source.placements, device_filter(request))
    return JSONResponse({"placements": plain(list(rows))})


_SPAN = "start, end, span (3h, 24h, 3d, 7d, 30d, 90d)"

#: Every address that answers with JSON.
ENDPOINTS = (
    Endpoint("/api/fleet", fleet),
    Endpoint("/api/devices/{device}", device),
    Endpoint("/api/devices/{device}/trace", trace, f"channels, columns, {_SPAN}"),
    Endpoint("/api/devices/{device}/cycles/{boot}/{seq:int}", cycle),
    Endpoint("/api/fluxes", fluxes, f"device, {_SPAN}"),
    Endpoint("/api/variants", variants, _SPAN),
    Endpoint("/api/effects", effects, _SPAN),
    Endpoint("/api/ledger", ledger, "first, last (days), device"),
    Endpoint("/api/alarms", alarms, "past_since"),
    Endpoint("/api/commands", commands, "limit"),
    Endpoint("/api/firmware", firmware),
    Endpoint("/api/placements", placements, "device"),
)


async def contents(request: Request) -> Response:
    """List what there is."""
    if request.headers.get("accept", "").startswith("application/json"):
        return JSONResponse(
            {
                one.path.replace(":int", ""): {"query": one.query, "about": one.about}
                for one in ENDPOINTS
            }
        )
    return page(request, "api.html", endpoints=ENDPOINTS)


ROUTES = [
    Route("/api/", contents),
    *(Route(one.path, one.handler) for one in ENDPOINTS),
]
