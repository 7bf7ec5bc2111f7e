"""Log-in: who may read, who may change, and how often a password may be tried."""

from __future__ import annotations

import functools
import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.datastructures import FormData, Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tilth.core.errors import InputError
from tilth.fleet import accounts
from tilth.web.render import page
from tilth.web.security import is_bundle

SESSION_COOKIE = "tilth_session"
#: Binds the log-in form to the browser it was given to.
VISIT_COOKIE = "tilth_visit"

#: What anyone may fetch, whatever the settings: without it nobody could log in, no
#: device could update, no watchdog could look.
OPEN_PATHS = ("/login", "/static/", "/healthz")

#: Tries before waiting begins: of one name from one address, of one address, of one
#: name. A mistyped password costs a person nothing; a guesser gets nowhere.
FREE_TRIES = {"pair": 5, "address": 20, "name": 40}

#: First wait after the free tries, then doubled up to the longest, ms.
FIRST_WAIT_MS = 30_000
LONGEST_WAIT_MS = 15 * 60_000

#: Most keys the limiter remembers; the oldest are forgotten first.
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Session:
    """Someone who has logged in."""

    user: str
    role: str
    csrf: str

    def may(self, role: str) -> bool:
        """Return whether this person may do what needs a role."""
        return accounts.may(self.role, role)


class LoginLimiter:
    """Count failed log-ins and say how long to wait.

    Parameters
    ----------
    clock : callable
        Gives utc ms.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_ms(self, name: str, address: str) -> int:
        """Return how long the next try must wait; 0 if it need not."""
        now = self._clock()
        with self._lock:
            until = [
                self._failures[key][1]
                for key in self._keys(name, address)
                if key in self._failures
            ]
        return max([0, *(moment - now for moment in until)])

    def failed(self, name: str, address: str) -> None:
        """Count a wrong password."""
        now = self._clock()
        with self._lock:
            for key in self._keys(name, address):
                count = self._failures.pop(key, (0, 0))[0] + 1
                beyond = count - FREE_TRIES[key[0]]
                wait = FIRST_WAIT_MS << min(beyond, 10) if beyond >= 0 else 0
                self._failures[key] = count, now + min(wait, LONGEST_WAIT_MS)
            while len(self._failures) > _REMEMBERED:
                self._failures.popitem(last=False)

    def succeeded(self, name: str, address: str) -> None:
        """Forget the failures of this name from this address, and take this try back.

        Other failures of the address or of the name stay counted: a guesser with an
        account of his own must not wash himself clean with it.
        """
        with self._lock:
            pair, *others = self._keys(name, address)
            self._failures.pop(pair, None)
            for key in others:
                count, until = self._failures.pop(key, (1, 0))
                if count > 1:
                    still = until if count > FREE_TRIES[key[0]] else 0
                    self._failures[key] = count - 1, still

    @staticmethod
    def _keys(name: str, address: str) -> list[tuple[str, str]]:
        return [
            ("pair", f"{name}\0{address}"),
            ("address", address),
            ("name", name),
        ]


class SessionGate:
    """Find out who asks; turn away who may not even read."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        room = connection.app.state.room
        path = scope["path"]
        session = None
        token = connection.cookies.get(SESSION_COOKIE)
        if token and not path.startswith("/static/"):
            found = await run_sync(accounts.login, room.control, token)
            session = Session(**found) if found else None
        state = scope.setdefault("state", {})
        state["session"] = session
        state["csrf"] = session.csrf if session else ""
        if session is None and room.settings.read_needs_login:
            refusal = _refuse_reading(path, connection.headers, room.settings)
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _refuse_reading(path: str, headers: Headers, settings: Any) -> Response | None:
    if path.startswith(OPEN_PATHS) or is_bundle(path):
        return None
    if settings.read_token:
        given = headers.get("authorization", "").encode()
        wanted = f"Bearer {settings.read_token}".encode()
        if hmac.compare_digest(given, wanted):
            return None
    if path.startswith(("/api/", "/metrics")):
        return JSONResponse(
            {"error": "reading needs a log-in or a token here"},
            401,
            {"www-authenticate": "Bearer"},
        )
    return RedirectResponse(f"/login?next={quote(path)}", 303)


Change = Callable[[Request, Session, FormData], Awaitable[Response]]


def changes(role: str) -> Callable[[Change], Callable[[Request], Awaitable[Response]]]:
    """Make a handler of a form that changes something: checks person, role, token.

    Parameters
    ----------
    role : str
        Least role that may do it.

    Returns
    -------
    callable
        A decorator of ``handler(request, session, form)``. An `InputError` it raises
        is told to the person, status 400.
    """

    def decorate(handler: Change) -> Callable[[Request], Awaitable[Response]]:
        @functools.wraps(handler)
        async def endpoint(request: Request) -> Response:
            session: Session | None = request.state.session
            if session is None:
                return refused(request, "Log in to change anything.", 401)
            if not session.may(role):
                return refused(
                    request,
                    f"This needs the role {role}; yours is {session.role}.",
                    403,
                )
            async with request.form(max_files=2, max_fields=300) as form:
                token = form.get("csrf")
                if not isinstance(token, str) or not hmac.compare_digest(
                    token.encode(), session.csrf.encode()
                ):
                    return refused(
                        request,
                        "This page is from an earlier log-in: load it again.",
                        403,
                    )
                try:
                    return await handler(request, session, form)
                except InputError as error:
                    return refused(request, str(error), 400)

        endpoint.role = role  # type: ignore[attr-defined]
        return endpoint

    return decorate


def wants_json(request: Request) -> bool:
    """Return whether a script asks, not a person's browser."""
    return request.headers.get("accept", "").startswith("application/json")


def refused(request: Request, text: str, status: int) -> Response:
    """Say no, in the form that was asked for."""
    if wants_json(request):
        return JSONResponse({"error": text}, status)
    return page(request, "message.html", status, heading="Not done", text=text)


def done(request: Request, where: str, said: str) -> Response:
    """Say that it is done: send the person to a page that says so.

    Parameters
    ----------
    request : starlette.requests.Request
        The request that asked for it.
    where : str
        Path of the page to show, without a query.
    said : str
        Key of what the page says.
    """
    address = f"{where}?said={said}"
    if wants_json(request):
        return JSONResponse({"location": address})
    return RedirectResponse(address, 303)


def text_of(form: FormData, name: str, longest: int = 200) -> str:
    """Return a text field of a form, without blanks around it.

    Raises
    ------
    InputError
        If it is too long, not text or holds control characters.
    """
    value = form.get(name, "")
    if not isinstance(value, str) or len(value) > longest:
        raise InputError(f"the field {name!r} takes text of at most {longest} signs")
    if any(ord(sign) < 32 and sign not in "\r\n\t" for sign in value):
        raise InputError(f"the field {name!r} holds signs that cannot be printed")
    return value.strip()


# Log-in and log-out

#: scrypt takes 16 MiB and a tenth of a second: two at a time, whatever comes.
_HASHING = 2


async def login_page(request: Request) -> Response:
    """Show the form."""
    return _login_form(request, "", 200)


def _login_form(request: Request, problem: str, status: int) -> Response:
    visit = request.cookies.get(VISIT_COOKIE) or secrets.token_urlsafe(24)
    answer = page(
        request,
        "login.html",
        status,
        problem=problem,
        next=safe_path(request.query_params.get("next", "/")),
        visit=_visit_token(visit),
    )
    _set_cookie(request, answer, VISIT_COOKIE, visit, 3600)
    return answer


async def log_in(request: Request) -> Response:
    """Check name and password; open a session."""
    room = request.app.state.room
    async with request.form(max_files=0, max_fields=10) as form:
        name, password, target, token = (
            str(form.get(key, "")) for key in ("user", "password", "next", "visit")
        )
    visit = request.cookies.get(VISIT_COOKIE, "")
    if not visit or not hmac.compare_digest(
        token.encode(), _visit_token(visit).encode()
    ):
        return _login_form(request, "The page was too old. Please try again.", 403)
    address = request.client.host if request.client else ""
    wait = room.limiter.wait_ms(name, address)
    if wait > 0:
        answer = _login_form(
            request, f"Too many tries. Wait {max(1, wait // 1000)} s.", 429
        )
        answer.headers["retry-after"] = str(max(1, wait // 1000))
        return answer
    # Counted before it is checked: parallel tries cannot slip through.
    room.limiter.failed(name, address)
    found = await run_sync(
        accounts.log_in,
        room.control,
        name,
        password,
        request.headers.get("user-agent", "")[:200],
        limiter=room.hashing,
    )
    if found is None:
        return _login_form(request, "Name or password is not right.", 401)
    room.limiter.succeeded(name, address)
    answer = RedirectResponse(safe_path(target), 303)
    _set_cookie(
        request,
        answer,
        SESSION_COOKIE,
        found[0],
        int(room.settings.session_hours * 3600),
    )
    return answer


async def log_out(request: Request) -> Response:
    """End the session. Needs its token, as every change does."""
    token = request.cookies.get(SESSION_COOKIE)
    session: Session | None = request.state.session
    async with request.form(max_files=0, max_fields=10) as form:
        given = str(form.get("csrf", ""))
    if token and session and hmac.compare_digest(given.encode(), session.csrf.encode()):
        await run_sync(accounts.log_out, request.app.state.room.control, token)
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(SESSION_COOKIE)
    return answer


def hashing_limiter() -> CapacityLimiter:
    """Return what keeps password checks from taking the whole machine."""
    return CapacityLimiter(_HASHING)


def safe_path(target: str) -> str:
    """Return a path on this server; anything else becomes the first page.

    Examples
    --------
    >>> safe_path("/alarms"), safe_path("//evil.example"), safe_path("https://x")
    ('/alarms', '/', '/')
    """
    plain = target.startswith("/") and not target.startswith(("//", "/\\"))
    if not plain or any(ord(sign) < 33 for sign in target) or "\\" in target:
        return "/"
    return target


def _visit_token(visit: str) -> str:
    return hashlib.sha256(b"visit:" + visit.encode()).hexdigest()


def _set_cookie(
    request: Request, answer: Response, name: str, value: str, seconds: int
) -> None:
    answer.set_cookie(
        name,
        value,
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=request.app.state.room.settings.https,
    )
