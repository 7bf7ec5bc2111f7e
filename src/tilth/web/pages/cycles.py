"""Closures: a list of them, and one of them with the curve fitted to its readings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.web.api import known_device, plain
from tilth.web.model import Cycle, CycleReadings, in_place
from tilth.web.query import SPANS, boot_of, device_filter, device_of, span_name, span_of
from tilth.web.render import page
from tilth.web.room import room_of

#: Closures on a page; further ones by its span.
_LISTED = 300


async def cycles(request: Request) -> Response:
    """List closures, of one chamber or of all."""
    room = room_of(request)
    device = device_filter(request)
    default = "24h" if device else "3h"
    start, end = span_of(request, room.source.clock(), default)
    found = await room.read(room.source.cycles, start, end, device)
    tiles = await room.read(room.source.tiles)
    return page(
        request,
        "cycles.html",
        cycles=found[:_LISTED],
        count=len(found),
        doubted=sum(bool(cycle.flags) for cycle in found),
        device=device,
        tiles=in_place(tiles),
        start=start,
        end=end,
        span=span_name(request, default),
        spans=[name for name in SPANS if SPANS[name] <= (30 if device else 1) * DAY_MS],
    )


async def cycle(request: Request) -> Response:
    """Show one closure."""
    room = room_of(request)
    device = await known_device(room, device_of(request))
    found = await room.read(
        room.source.readings, device, boot_of(request), request.path_params["seq"]
    )
    if found is None:
        raise HTTPException(404)
    shown = found.cycle
    around = await room.read(
        room.source.cycles, shown.t - 3 * HOUR_MS, shown.t + 3 * HOUR_MS, device
    )
    before, after = neighbours(around, shown)
    return page(
        request,
        "cycle.html",
        cycle=shown,
        facts=found.facts,
        before=before,
        after=after,
        around=list(reversed(around)),
        data=_drawn(found),
    )


def neighbours(
    cycles: Sequence[Cycle], shown: Cycle
) -> tuple[Cycle | None, Cycle | None]:
    """Return the closure before and the one after, of the same device."""
    before = [cycle for cycle in cycles if cycle.t < shown.t]
    after = [cycle for cycle in cycles if cycle.t > shown.t]
    return (
        max(before, key=lambda cycle: cycle.t, default=None),
        min(after, key=lambda cycle: cycle.t, default=None),
    )


def _drawn(found: CycleReadings) -> dict:
    """Return the readings, the curve and the residuals as the figure takes them."""
    fit_at = (
        np.interp(
            found.elapsed, found.fit_elapsed, found.fit_co2, left=np.nan, right=np.nan
        )
        if len(found.fit_elapsed)
        else np.full(len(found.elapsed), np.nan)
    )
    return plain(
        {
            "elapsed": np.round(found.elapsed, 3),
            "co2": np.round(found.co2, 2),
            "used": found.used.astype(int),
            "residual": np.round(found.co2 - fit_at, 2),
            "fit_elapsed": np.round(found.fit_elapsed, 2),
            "fit_co2": np.round(found.fit_co2, 2),
        }
    )


ROUTES = [
    Route("/cycles", cycles),
    Route("/cycles/{device}/{boot}/{seq:int}", cycle),
]
