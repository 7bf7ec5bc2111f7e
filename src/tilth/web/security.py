"""What guards every request: host, size, origin and the headers of the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tilth.web.settings import FORM_LIMIT, UPLOAD_LIMIT, WebSettings

#: Everything from this server, nothing inline, no frames: text that a device sends
#: cannot run even where escaping should fail.
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)

#: Headers of every answer.
HEADERS = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

#: Paths with their own greatest body, bytes.
BODY_LIMITS = {"/firmware": UPLOAD_LIMIT}


class Guard:
    """Refuse what should never reach a page; add the headers to every answer.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    settings : WebSettings
        The hosts that are known, and whether it is HTTPS.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        self.app = app
        self.hosts = {host.lower() for host in settings.hosts}
        self.headers = dict(HEADERS)
        if settings.https:
            self.headers["strict-transport-security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        send = self._with_headers(scope, send)
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        limit = BODY_LIMITS.get(scope["path"], FORM_LIMIT)
        try:
            await _limited(self.app, limit)(scope, receive, send)
        except Exception:
            # What went wrong may name a path or hold a value: it goes to the log of
            # the server, which hears of it by the exception, not to the page.
            if not scope["state"].get("answered"):
                await _broken(scope)(scope, receive, send)
            raise

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        state = scope.setdefault("state", {})

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                state["answered"] = True
                headers = MutableHeaders(scope=message)
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        return sending

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        # Devices fetch firmware under whatever address they were told; it is signed
        # and open to all, so a foreign name wins nothing.
        open_to_all = is_bundle(scope["path"])
        known = "*" in self.hosts or host_name(host) in self.hosts
        if not known and not open_to_all:
            return PlainTextResponse(
                "This name is not one of the service's own. Add it to the setting "
                "web.hosts, or use another address.\n",
                421,
            )
        if scope["method"] not in SAFE_METHODS and not is_same_origin(headers):
            return PlainTextResponse(
                "A page of another site may not change anything here.\n", 403
            )
        return None


def _broken(scope: Scope) -> Response:
    text = "Something went wrong here; the log of the service says what."
    if scope["path"].startswith("/api/"):
        return JSONResponse({"error": text}, 500)
    return PlainTextResponse(f"{text}\n", 500)


def is_bundle(path: str) -> bool:
    """Return whether a path is that of a firmware bundle."""
    return path.startswith("/firmware/") and path.endswith(".bundle")


def host_name(host: str) -> str:
    """Return a ``Host`` header without its port, in lower case.

    Examples
    --------
    >>> host_name("Tilth.example:8080"), host_name("[::1]:8080"), host_name("[::1]")
    ('tilth.example', '[::1]', '[::1]')
    """
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def is_same_origin(headers: Headers) -> bool:
    """Return whether a request comes from one of our own pages (or no page).

    Browsers say so in ``Sec-Fetch-Site``, older ones in ``Origin``. A program sends
    neither and has no cookies that another site could misuse.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


class _TooLarge(Exception):
    """The body of a request went over its limit."""


def _limited(app: ASGIApp, limit: int) -> Callable[..., Any]:
    """Return an application that reads at most `limit` bytes of a request."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        length = Headers(scope=scope).get("content-length", "0")
        too_large = PlainTextResponse(
            f"Too large: at most {limit} bytes are taken here.\n", 413
        )
        if not length.isdecimal() or int(length) > limit:
            await too_large(scope, receive, send)
            return
        total = 0
        started = False

        async def receiving() -> Message:
            nonlocal total
            message = await receive()
            total += len(message.get("body", b""))
            if total > limit:
                raise _TooLarge
            return message

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await app(scope, receiving, sending)
        except _TooLarge:
            if not started:
                await too_large(scope, receive, send)

    return limited
