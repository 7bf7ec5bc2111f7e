"""The interface for programs: what the pages show, as JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, is_dataclass
from typing import Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tilth.web.room import room_of


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: NaN and infinity become null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


async def fleet(request: Request) -> Response:
    """Every device as it is now, and how the service does."""
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


ROUTES = [Route("/api/fleet", fleet)]
