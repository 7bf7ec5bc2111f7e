"""Firmware: signed versions, and roll-outs that halt by themselves."""

from __future__ import annotations

import re

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from tilth.core.errors import InputError
from tilth.fleet.rollout import Rollout, RolloutDevice
from tilth.web.auth import Session, changes, done, text_of
from tilth.web.render import page
from tilth.web.room import room_of, said
from tilth.web.settings import UPLOAD_LIMIT

#: A version as it may stand in an address; no way out of the folder.
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,31}")

#: Greatest manifest, bytes.
_MANIFEST_LIMIT = 16 * 1024


async def firmware(request: Request) -> Response:
    """Show versions and roll-outs."""
    room = room_of(request)
    tiles = await room.read(room.source.tiles)
    running: dict[str, int] = {}
    for tile in tiles:
        running[tile.fw or "unknown"] = running.get(tile.fw or "unknown", 0) + 1
    rollouts = await room.read(room.source.rollouts.latest, 10)
    session: Session | None = request.state.session
    current = next((r for r in rollouts if r.state in ("running", "halted")), None)
    return page(
        request,
        "firmware.html",
        notice=said(request),
        versions=await room.read(room.source.firmware),
        running=sorted(running.items(), key=lambda item: -item[1]),
        count=len(tiles),
        rollouts=rollouts,
        current=current,
        begun=_begun(current),
        places={tile.device: tile.loc for tile in tiles},
        may_change=bool(session and session.may("admin")),
    )


#: Order in which the devices of a roll-out are listed: what needs eyes comes first.
_STATES = ("failed", "trial", "running", "sent", "confirmed", "excused")


def _begun(rollout: Rollout | None) -> list[RolloutDevice]:
    """Return the devices of a roll-out that no longer wait."""
    begun = [one for one in rollout.devices if one.state in _STATES] if rollout else []
    return sorted(begun, key=lambda one: (_STATES.index(one.state), one.device))


@changes("admin")
async def upload(request: Request, session: Session, form: FormData) -> Response:
    """Take a signed bundle; it is kept only if its signature is right."""
    room = room_of(request)
    bundle = await _file(form, "bundle", UPLOAD_LIMIT)
    manifest = await _file(form, "manifest", _MANIFEST_LIMIT)
    if not bundle or not manifest:
        raise InputError(
            "choose the bundle and its manifest: firmware/boot/build.py makes both"
        )
    address = str(request.base_url).rstrip("/")
    await room.read(room.source.add_firmware, bundle, manifest, session.user, address)
    return done(request, "/firmware", "uploaded")


async def _file(form: FormData, name: str, limit: int) -> bytes:
    value = form.get(name)
    if not isinstance(value, UploadFile):
        return b""
    content = await value.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"the {name} is larger than {limit} bytes")
    return content


@changes("admin")
async def rollout(request: Request, session: Session, form: FormData) -> Response:
    """Start, halt, resume or cancel a roll-out."""
    room = room_of(request)
    rollouts = room.source.rollouts
    action = text_of(form, "action", 20)
    if action == "start":
        version = text_of(form, "version", 32)
        number = await room.read(rollouts.start, version, session.user)
        await room.note(session.user, "rollout", {"version": version, "id": number})
        return done(request, "/firmware", "started")
    text = text_of(form, "rollout", 12)
    if not text.isdecimal():
        raise InputError("no such roll-out")
    number = int(text)
    if action == "halt":
        await room.read(rollouts.halt, number, f"halted by {session.user}")
    elif action == "resume":
        await room.read(rollouts.resume, number)
    elif action == "cancel":
        await room.read(rollouts.cancel, number)
    else:
        raise InputError("a roll-out is started, halted, resumed or cancelled")
    await room.note(session.user, f"rollout {action}", {"id": number})
    keys = {"halt": "halted", "resume": "resumed", "cancel": "cancelled"}
    return done(request, "/firmware", keys[action])


async def bundle(request: Request) -> Response:
    """Give a bundle to a device. It is signed and holds no secret: open to all."""
    room = room_of(request)
    version = request.path_params["version"]
    if not VERSION.fullmatch(version) or ".." in version:
        raise HTTPException(404)
    path = await room.read(room.source.bundle, version)
    if path is None or not path.is_file():
        raise HTTPException(404)
    return FileResponse(
        path,
        media_type="application/octet-stream",
        headers={"content-encoding": "identity"},
    )


ROUTES = [
    Route("/firmware", firmware),
    Route("/firmware", upload, methods=["POST"]),
    Route("/firmware/rollout", rollout, methods=["POST"]),
    Route("/firmware/{version}.bundle", bundle),
]
