"""What every handler needs: the fleet, its control file, settings and live stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.requests import Request

from tilth.fleet.control import Control
from tilth.web.auth import LoginLimiter, hashing_limiter
from tilth.web.live import LiveHub
from tilth.web.settings import WebSettings
from tilth.web.source import FleetSource

T = TypeVar("T")

#: Reads of the stores at a time: more would only queue at the same two cores.
_READERS = 8

#: What a page says after a change, by the key in its address: text that comes from an
#: address is never shown.
SAID = {
    "acknowledged": "Acknowledged.",
    "snoozed": "Snoozed.",
    "maintenance": "Maintenance noted.",
    "ended": "Maintenance ended.",
    "sent": "Sent. The devices' answers appear below.",
    "uploaded": "The signature is right; the version is kept.",
    "started": "The roll-out has begun.",
    "halted": "The roll-out is halted.",
    "resumed": "The roll-out goes on.",
    "cancelled": "The roll-out is cancelled.",
    "placed": "Noted as a new statement; what was said before stays readable.",
}


class Room:
    """The web room of one fleet.

    Parameters
    ----------
    source : FleetSource
        The fleet as the pages read it.
    control : Control
        Accounts and the record of changes.
    settings : WebSettings
        How it is offered.
    """

    def __init__(
        self, source: FleetSource, control: Control, settings: WebSettings
    ) -> None:
        self.source = source
        self.control = control
        self.settings = settings
        self.hub = LiveHub(source.subscribe, max_clients=settings.max_live_clients)
        self.limiter = LoginLimiter(source.clock)
        self.hashing: CapacityLimiter = hashing_limiter()
        self.readers = CapacityLimiter(_READERS)
        self.exports = 0

    async def read(self, function: Callable[..., T], *values: Any) -> T:
        """Call something that blocks, in a worker thread."""
        return await run_sync(function, *values, limiter=self.readers)

    async def note(self, user: str, action: str, body: Mapping[str, Any]) -> None:
        """Record who changed what."""
        await self.read(self.control.note, user, action, dict(body))


def room_of(request: Request) -> Room:
    """Return the room a request is for."""
    return request.app.state.room


def said(request: Request) -> str | None:
    """Return what the page says about the change just made."""
    return SAID.get(request.query_params.get("said", ""))
