"""Metrics of the pages themselves, beside those of the service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.fleet.metrics import exposition

if TYPE_CHECKING:
    from tilth.web.room import Room

#: Metric -> what it is.
WEB_METRICS = {
    "tilth_web_live_clients": "Live streams that are open.",
    "tilth_web_live_missed_total": "Updates that slow browsers did not get.",
    "tilth_web_exports": "Exports under way.",
}


class RoomCollector(Collector):
    """Reads the state of the web room at each scrape."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        room = self._room
        for name, value in (
            ("tilth_web_live_clients", room.hub.clients),
            ("tilth_web_exports", room.exports),
        ):
            yield GaugeMetricFamily(name, WEB_METRICS[name], value)
        name = "tilth_web_live_missed"
        about = WEB_METRICS[f"{name}_total"]
        yield CounterMetricFamily(name, about, room.hub.skipped)


async def metrics(request: Request) -> Response:
    """Answer a scrape of Prometheus."""
    room: Room = request.app.state.room
    own = CollectorRegistry(auto_describe=False)
    own.register(RoomCollector(room))
    text = await room.read(exposition, room.source.registry, own)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


ROUTES = [Route("/metrics", metrics)]
