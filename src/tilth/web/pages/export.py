"""Export: readings and fluxes as files for other programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

from starlette.concurrency import iterate_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from tilth.core.errors import InputError
from tilth.fleet.clock import iso
from tilth.fleet.wire import is_device
from tilth.web.export import csv_chunks, parquet_chunks
from tilth.web.model import in_place
from tilth.web.query import SPANS, device_filter, parse_time, span_of
from tilth.web.render import page
from tilth.web.room import Room, room_of

#: Exports under way at a time; each reads and packs as fast as it is fetched.
_MOST = 3

#: Bytes sent at a time.
_PIECE = 64 * 1024

_FORMATS: dict[str, tuple[str, Callable]] = {
    "csv": ("text/csv; charset=utf-8", csv_chunks),
    "parquet": ("application/vnd.apache.parquet", parquet_chunks),
}


async def form(request: Request) -> Response:
    """Show what can be exported."""
    room = room_of(request)
    now = room.source.clock()
    start, end = span_of(request, now)
    what = request.query_params.get("what", "samples")
    tiles = await room.read(room.source.tiles)
    return page(
        request,
        "export.html",
        tiles=in_place(tiles),
        device=device_filter(request),
        what=what if what in ("samples", "fluxes") else "samples",
        start=start,
        end=end,
        first=iso(start)[:16],
        last=iso(end)[:16],
        spans=SPANS,
    )


async def export(request: Request) -> Response:
    """Stream a file."""
    room = room_of(request)
    what, kind = request.path_params["what"], request.path_params["kind"]
    if what not in ("samples", "fluxes") or kind not in _FORMATS:
        raise HTTPException(404)
    query = request.query_params
    end = parse_time(query["end"]) if query.get("end") else room.source.clock()
    start = parse_time(query["start"]) if query.get("start") else end - SPANS["24h"]
    if start >= end:
        raise InputError("the span of time is empty: its start is not before its end")
    devices = [device for device in query.getlist("device") if device]
    for device in devices:
        if not is_device(device):
            raise InputError("a device is written as 12 lower-case hexadecimal digits")
    if room.exports >= _MOST:
        return PlainTextResponse(
            "Enough exports are under way; try again in a minute.\n",
            429,
            {"retry-after": "60"},
        )
    source = room.source
    batches = source.sample_batches if what == "samples" else source.flux_batches
    media, chunks = _FORMATS[kind]
    name = f"tilth-{what}-{iso(start)[:10]}-{iso(end)[:10]}.{kind}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    if kind == "parquet":
        headers["content-encoding"] = "identity"  # it is compressed already
    return StreamingResponse(
        _counted(room, chunks(batches(start, end, devices or None))),
        media_type=media,
        headers=headers,
    )


async def _counted(room: Room, chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    room.exports += 1
    try:
        async for chunk in iterate_in_threadpool(chunks):
            # In pieces: packing a large one would hold up all other answers.
            for at in range(0, len(chunk), _PIECE):
                yield chunk[at : at + _PIECE]
    finally:
        room.exports -= 1


ROUTES = [
    Route("/export", form),
    Route("/export/{what}.{kind}", export),
]
