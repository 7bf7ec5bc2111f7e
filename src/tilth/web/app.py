"""The web application of a fleet: pages, the interface for programs, live updates."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from tilth.core.errors import InputError
from tilth.fleet.control import Control
from tilth.web import api, auth, metrics
from tilth.web.live import live
from tilth.web.pages import ROUTES as PAGE_ROUTES
from tilth.web.render import STATIC, page
from tilth.web.room import Room
from tilth.web.security import Guard
from tilth.web.settings import WebSettings
from tilth.web.source import FleetSource


class _StaticFiles(StaticFiles):
    """Files of ours: their address changes with them, so browsers may keep them."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if response.status_code == 200 and b"v=" in scope.get("query_string", b""):
            response.headers["cache-control"] = "public, max-age=31536000, immutable"
        return response


def build_app(service: Any, settings: WebSettings | None = None) -> Starlette:
    """Return the web application of a running fleet.

    Parameters
    ----------
    service : tilth.fleet.service.FleetService
        The running service.
    settings : WebSettings, optional
        How it is offered; on this machine only by default.

    Returns
    -------
    starlette.applications.Starlette
        An ASGI application; `tilth.web.server.WebServer` runs it.
    """
    from tilth.web.adapter import ServiceSource

    return make_app(ServiceSource(service), service.control, settings)


def make_app(
    source: FleetSource, control: Control, settings: WebSettings | None = None
) -> Starlette:
    """Return the web application over any source of what the pages show."""
    settings = settings or WebSettings()
    room = Room(source, control, settings)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        room.hub.start()
        try:
            yield
        finally:
            await room.read(room.hub.close)

    app = Starlette(
        routes=[
            *PAGE_ROUTES,
            Route("/login", auth.login_page),
            Route("/login", auth.log_in, methods=["POST"]),
            Route("/logout", auth.log_out, methods=["POST"]),
            Route("/api/live", live),
            *api.ROUTES,
            *metrics.ROUTES,
            Route("/healthz", healthz),
            Route("/favicon.ico", favicon),
            Mount("/static", _StaticFiles(directory=STATIC)),
        ],
        middleware=[
            Middleware(Guard, settings=settings),
            Middleware(GZipMiddleware, minimum_size=600, compresslevel=6),
            Middleware(auth.SessionGate),
        ],
        exception_handlers={
            InputError: _refused,
            HTTPException: _http_error,
        },
        lifespan=lifespan,
    )
    app.state.room = room
    return app


async def healthz(request: Request) -> Response:
    """Say whether the service works, for a watchdog: 200 or 503."""
    room: Room = request.app.state.room
    problems = list((await room.read(room.source.health)).problems)
    status = 503 if problems else 200
    return JSONResponse({"ok": not problems, "problems": problems}, status)


async def favicon(request: Request) -> Response:
    """Give the icon to browsers that ask for it by its old name."""
    return FileResponse(STATIC / "icon.svg")


def _is_program(request: Request) -> bool:
    return request.url.path.startswith("/api/") or auth.wants_json(request)


async def _refused(request: Request, error: Exception) -> Response:
    if _is_program(request):
        return JSONResponse({"error": str(error)}, 400)
    return page(
        request, "message.html", 400, heading="That does not work", text=str(error)
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    texts = {
        404: ("Not here", "There is no such page, device or closure."),
        405: ("Not like this", "This address does not take that kind of request."),
    }
    heading, text = texts.get(error.status_code, ("Not done", error.detail))
    if _is_program(request):
        return JSONResponse({"error": text}, error.status_code, error.headers)
    if not hasattr(request.state, "session"):
        return PlainTextResponse(f"{text}\n", error.status_code)
    return page(request, "message.html", error.status_code, heading=heading, text=text)
