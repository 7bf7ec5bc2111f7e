"""Commands: sent signed, one for each device, and followed to their end."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.core.errors import InputError
from tilth.fleet.clock import HOUR_MS
from tilth.web.auth import Session, changes, done, text_of
from tilth.web.model import Tile, in_place
from tilth.web.query import device_filter, parse_time
from tilth.web.render import page
from tilth.web.room import room_of, said

#: A command not taken up by then is void, ms.
VALID_MS = HOUR_MS

#: Longest spread of a broadcast, s.
LONGEST_SPREAD_S = 3600

#: A calibration is announced so long before, ms: devices that are offline for a
#: moment still hear of it, and two minutes of fresh air go before it.
CALIBRATE_AHEAD_MS = 5 * 60_000


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of command: what it is called and who may send it."""

    name: str
    title: str
    about: str
    role: str = "operator"
    restarts: bool = False


#: The commands that people send from the page; updates go through roll-outs.
KINDS = {
    kind.name: kind
    for kind in (
        Kind("identify", "Identify", "The display shows which one it is."),
        Kind("report", "Report", "It says how it does: queue, clock, sensors, memory."),
        Kind("open", "Open the lid", "At once, even in the middle of a closure."),
        Kind("servo_test", "Test the servo", "Two sweeps, once the lid is open."),
        Kind(
            "calibrate",
            "Calibrate to fresh air",
            "All at the same moment: lid open, fan on, reference set.",
        ),
        Kind("label", "Set the label", "The location its display shows and it sends."),
        Kind("reboot", "Reboot", "When nothing is lost by it.", restarts=True),
        Kind("config", "Change settings", "Measurement settings, as JSON.", "admin"),
    )
}


async def commands(request: Request) -> Response:
    """Show the form and what became of the commands before."""
    room = room_of(request)
    tiles = await room.read(room.source.tiles)
    session: Session | None = request.state.session
    return page(
        request,
        "commands.html",
        notice=said(request),
        commands=await room.read(room.source.commands),
        tiles=in_place(tiles),
        tables=sorted({tile.loc.partition(".")[0] for tile in tiles if tile.loc}),
        kinds=[kind for kind in KINDS.values() if session and session.may(kind.role)],
        chosen=device_filter(request),
        may_change=bool(session and session.may("operator")),
    )


@changes("operator")
async def send(request: Request, session: Session, form: FormData) -> Response:
    """Send a command to one device or many."""
    room = room_of(request)
    kind = KINDS.get(text_of(form, "cmd", 40))
    if kind is None or not session.may(kind.role):
        raise InputError(f"a command is one of {', '.join(KINDS)}")
    tiles = await room.read(room.source.tiles)
    devices = devices_of(text_of(form, "to", 40), tiles)
    now = room.source.clock()
    args, not_after = arguments(kind.name, form, now, len(devices))
    spread = _whole(text_of(form, "spread", 10) or "0", "spread", LONGEST_SPREAD_S)
    if kind.restarts and len(devices) > 1 and spread < len(devices):
        # Devices that restart together join the network together, all at once.
        spread = min(max(spread, 5 * len(devices)), LONGEST_SPREAD_S)
    for device, delay in zip(devices, delays(len(devices), spread), strict=True):
        await room.read(
            room.source.send,
            device,
            kind.name,
            args,
            now + delay if delay else 0,
            not_after + delay,
            session.user,
        )
    return done(request, "/commands", "sent")


def devices_of(to: str, tiles: Sequence[Tile]) -> list[str]:
    """Return the devices a form names: ``all``, ``table:5`` or one of them.

    Raises
    ------
    InputError
        If there is none.
    """
    if to == "all":
        found = [tile.device for tile in tiles]
    elif to.startswith("table:"):
        table = to.removeprefix("table:")
        found = [t.device for t in tiles if t.loc.partition(".")[0] == table]
    else:
        found = [tile.device for tile in tiles if tile.device == to]
    if not found:
        raise InputError(f"no device fits {to[:40]!r}")
    return sorted(found)


def arguments(
    cmd: str, form: FormData, now: int, devices: int
) -> tuple[dict[str, Any], int]:
    """Return the arguments of a command and until when it may be taken up.

    Raises
    ------
    InputError
        If a field is missing or makes no sense.
    """
    if cmd == "calibrate":
        ppm = _number(text_of(form, "ppm", 10), "ppm", 400, 2000)
        at = (
            parse_time(text_of(form, "at", 40))
            if form.get("at")
            else now + CALIBRATE_AHEAD_MS
        )
        if not now <= at <= now + 24 * HOUR_MS:
            raise InputError("a calibration is within the next 24 hours")
        return {"at": at, "ppm": round(ppm)}, at + VALID_MS
    if cmd == "label":
        from tilth.fleet.channels import parse_location

        loc = text_of(form, "loc", 12)
        parse_location(loc)
        if devices > 1:
            raise InputError("one location is for one device")
        return {"loc": loc}, now + VALID_MS
    if cmd == "config":
        return _config(text_of(form, "config", 2000)), now + VALID_MS
    return {}, now + VALID_MS


def _config(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text or "{}")
    except (ValueError, RecursionError):
        raise InputError(
            'settings are JSON such as {"closed_ms": 180000}, in milliseconds'
        ) from None
    if not isinstance(content, Mapping) or not content:
        raise InputError("settings are a JSON object with at least one entry")
    for name, value in content.items():
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise InputError(f"the setting {name[:40]!r} is a whole number or text")
    return {"id": secrets.token_hex(4), **content}


def delays(devices: int, spread_s: int) -> list[int]:
    """Return when each device of a broadcast acts, ms from now.

    Evenly spread, each with a draw of its own within its part: no two together, and
    no device always the last.
    """
    if devices == 1 or spread_s == 0:
        return [0] * devices
    part = spread_s * 1000 // devices
    return [i * part + secrets.randbelow(max(part, 1)) for i in range(devices)]


def _whole(text: str, name: str, most: int) -> int:
    return round(_number(text, name, 0, most))


def _number(text: str, name: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise InputError(f"{name} is a number from {low:g} to {high:g}, got {text!r}")
    return value


ROUTES = [
    Route("/commands", commands),
    Route("/commands", send, methods=["POST"]),
]
