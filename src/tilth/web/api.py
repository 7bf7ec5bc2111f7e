"""The interface for programs: what the pages show, as JSON.

Times are UTC milliseconds; they are taken as such or in ISO 8601. Values are in
physical units; what is not known is null. A refusal is ``{"error": "..."}`` with
status 400, 401, 404 or 429.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
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
    night_of,
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
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
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


async def answer(room: Room, build: Callable[[], Any]) -> Response:
    """Return what a function builds, as JSON; all of it in a worker thread."""
    return await room.read(lambda: JSONResponse(plain(build())))


async def known_device(room: Room, device: str) -> str:
    """Return the device, if the fleet has it; a page that does not exist otherwise."""
    tiles = await room.read(room.source.tiles)
    if all(tile.device != device for tile in tiles):
        raise HTTPException(404)
    return device


async def fleet(request: Request) -> Response:
    """Return every device as it is now, and how the service does."""
    room = room_of(request)
    source = room.source
    return await answer(
        room,
        lambda: {
            "now": source.clock(),
            "devices": [replace(tile, spark=()) for tile in source.tiles()],
            "health": source.health(),
        },
    )


async def device(request: Request) -> Response:
    """Return one device: its state, its boots with their watermarks, its places."""
    room = room_of(request)
    source = room.source
    name = await known_device(room, device_of(request))
    return await answer(
        room,
        lambda: {
            "device": next(tile for tile in source.tiles() if tile.device == name),
            "boots": source.boots(name),
            "placements": source.placements(name),
        },
    )


async def trace(request: Request) -> Response:
    """Return readings of a device for a screen: lowest and highest of each column."""
    room = room_of(request)
    source = room.source
    name = await known_device(room, device_of(request))
    channels = channels_of(request)
    start, end = span_of(request, source.clock())
    columns = int_of(request, "columns", 1200, 10, MOST_COLUMNS)
    return await answer(
        room,
        lambda: {
            "device": name,
            "start": start,
            "end": end,
            "traces": {
                one.channel: _trace(one)
                for one in source.traces(name, channels, start, end, columns)
            },
            "closures": source.closures(name, start, end),
        },
    )


def _trace(one: Trace) -> dict[str, Any]:
    decimals = CHANNELS[one.channel].decimals
    return {
        "t": one.t,
        "low": np.round(one.low, decimals),
        "high": np.round(one.high, decimals),
        "count": one.count,
        "units": CHANNELS[one.channel].units,
    }


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
    one = device_filter(request)
    return await answer(
        room,
        lambda: {
            "start": start,
            "end": end,
            "fluxes": room.source.cycles(start, end, one),
        },
    )


async def cycle(request: Request) -> Response:
    """Return one closure: its readings (s since closing, ppm) and the fitted curve."""
    room = room_of(request)
    name = await known_device(room, device_of(request))
    found = await room.read(
        room.source.readings, name, boot_of(request), request.path_params["seq"]
    )
    if found is None:
        raise HTTPException(404)
    return await answer(room, lambda: found)


async def variants(request: Request) -> Response:
    """Return fluxes of each variant by the hour: mean over its pots, standard error."""
    room = room_of(request)
    start, end = span_of(request, room.source.clock(), "7d")
    return await answer(
        room,
        lambda: {
            "start": start,
            "end": end,
            "variants": room.source.variants(start, end, night_of(request)),
        },
    )


async def effects(request: Request) -> Response:
    """Return each variant against its control: ratio of their fluxes, interval."""
    room = room_of(request)
    start, end = span_of(request, room.source.clock(), "7d")
    return await answer(
        room,
        lambda: {
            "start": start,
            "end": end,
            "effects": room.source.effects(start, end, night_of(request)),
        },
    )


async def ledger(request: Request) -> Response:
    """Return the ledger: what became of the records of each device on each UTC day."""
    room = room_of(request)
    first, last = days_of(request, room.source.clock())
    one = device_filter(request)
    return await answer(
        room,
        lambda: {
            "first": first,
            "last": last,
            "days": room.source.ledger(first, last, one),
        },
    )


async def alarms(request: Request) -> Response:
    """Return open alarms; with past_since also those that ended since."""
    room = room_of(request)
    text = request.query_params.get("past_since")
    since = parse_time(text) if text else None
    return await answer(room, lambda: {"alarms": room.source.alarms(since)})


async def commands(request: Request) -> Response:
    """Return the newest commands and how far they have come."""
    room = room_of(request)
    limit = int_of(request, "limit", 200, 1, 1000)
    return await answer(room, lambda: {"commands": room.source.commands(limit)})


async def firmware(request: Request) -> Response:
    """Return the firmware versions that are held, and the latest roll-outs."""
    room = room_of(request)
    return await answer(
        room,
        lambda: {
            "firmware": room.source.firmware(),
            "rollouts": room.source.rollouts.latest(),
        },
    )


async def placements(request: Request) -> Response:
    """Return where devices stood, as intervals; overruled statements are marked."""
    room = room_of(request)
    one = device_filter(request)
    return await answer(room, lambda: {"placements": room.source.placements(one)})


_SPAN = "start, end, span (3h, 24h, 3d, 7d, 30d, 90d)"

#: Every address that answers with JSON.
ENDPOINTS = (
    Endpoint("/api/fleet", fleet),
    Endpoint("/api/devices/{device}", device),
    Endpoint("/api/devices/{device}/trace", trace, f"channels, columns, {_SPAN}"),
    Endpoint("/api/devices/{device}/cycles/{boot}/{seq:int}", cycle),
    Endpoint("/api/fluxes", fluxes, f"device, {_SPAN}"),
    Endpoint("/api/variants", variants, f"light (night, all), {_SPAN}"),
    Endpoint("/api/effects", effects, f"light (night, all), {_SPAN}"),
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
