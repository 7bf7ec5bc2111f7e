"""Alarms: what is wrong, who knows of it, and when not to say so."""

from __future__ import annotations

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tilth.core.errors import InputError
from tilth.fleet.channels import parse_location
from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.fleet.wire import is_device
from tilth.web.auth import Session, changes, done, text_of
from tilth.web.model import SEVERITIES
from tilth.web.query import parse_time
from tilth.web.render import page
from tilth.web.room import room_of, said

#: Spans an alarm can be snoozed for.
SNOOZES = {"1 h": HOUR_MS, "4 h": 4 * HOUR_MS, "1 d": DAY_MS, "7 d": 7 * DAY_MS}

#: Days of past alarms on the page.
_PAST_DAYS = 7

#: Longest maintenance, ms: whoever needs more forgot to end it.
_LONGEST_MAINTENANCE = 31 * DAY_MS


async def alarms(request: Request) -> Response:
    """Show open alarms, those of the last days, and maintenance."""
    room = room_of(request)
    now = room.source.clock()
    rows = await room.read(room.source.alarms, now - _PAST_DAYS * DAY_MS)
    windows = await room.read(room.source.maintenance)
    return page(
        request,
        "alarms.html",
        notice=said(request),
        open_alarms=sorted(
            (alarm for alarm in rows if alarm.until is None),
            key=lambda alarm: (
                alarm.state in ("acknowledged", "snoozed"),
                -SEVERITIES[alarm.severity],
                -alarm.since,
            ),
        ),
        past=[alarm for alarm in rows if alarm.until is not None][:100],
        windows=[window for window in windows if window.end > now],
        past_days=_PAST_DAYS,
        snoozes=list(SNOOZES),
        may_change=bool(
            request.state.session and request.state.session.may("operator")
        ),
    )


@changes("operator")
async def acknowledge(request: Request, session: Session, form: FormData) -> Response:
    """Note that someone knows of an alarm."""
    room = room_of(request)
    alarm = text_of(form, "alarm", 40)
    note = text_of(form, "note")
    await room.read(room.source.acknowledge, alarm, session.user, note)
    await room.note(session.user, "acknowledge", {"alarm": alarm, "note": note})
    return done(request, "/alarms", "acknowledged")


@changes("operator")
async def snooze(request: Request, session: Session, form: FormData) -> Response:
    """Keep an alarm quiet for a while."""
    room = room_of(request)
    alarm, span = text_of(form, "alarm", 40), text_of(form, "span", 20)
    if span not in SNOOZES:
        raise InputError(f"an alarm is snoozed for one of {', '.join(SNOOZES)}")
    until = room.source.clock() + SNOOZES[span]
    await room.read(room.source.snooze, alarm, until, session.user)
    await room.note(session.user, "snooze", {"alarm": alarm, "until": until})
    return done(request, "/alarms", "snoozed")


@changes("operator")
async def add_maintenance(
    request: Request, session: Session, form: FormData
) -> Response:
    """Keep the alarms of a part of the fleet quiet for a time."""
    room = room_of(request)
    scope = text_of(form, "scope", 20) or "*"
    check_scope(scope)
    now = room.source.clock()
    start = parse_time(text_of(form, "start", 40)) if form.get("start") else now
    end = parse_time(text_of(form, "end", 40))
    if not 0 < end - start <= _LONGEST_MAINTENANCE or end <= now:
        raise InputError("maintenance ends after now and lasts at most 31 days")
    reason = text_of(form, "reason")
    await room.read(
        room.source.add_maintenance, scope, start, end, reason, session.user
    )
    await room.note(
        session.user, "maintenance", {"scope": scope, "start": start, "end": end}
    )
    return done(request, "/alarms", "maintenance")


def check_scope(scope: str) -> None:
    """Raise unless a scope is ``*``, a table, a variant, a location or a device.

    Raises
    ------
    InputError
        If it is none of them.
    """
    if scope == "*" or is_device(scope):
        return
    parts = scope.split(".")
    try:
        parse_location(".".join([*parts, *["0", "A"][len(parts) - 1 :]]))
    except InputError:
        raise InputError(
            "a part of the fleet is * (all), a table (5), a variant (5.10), a "
            "location (5.10.A) or a device"
        ) from None


@changes("operator")
async def end_maintenance(
    request: Request, session: Session, form: FormData
) -> Response:
    """End a maintenance window now."""
    room = room_of(request)
    window = text_of(form, "window", 40)
    await room.read(room.source.end_maintenance, window, session.user)
    await room.note(session.user, "end maintenance", {"window": window})
    return done(request, "/alarms", "ended")


ROUTES = [
    Route("/alarms", alarms),
    Route("/alarms/acknowledge", acknowledge, methods=["POST"]),
    Route("/alarms/snooze", snooze, methods=["POST"]),
    Route("/maintenance", add_maintenance, methods=["POST"]),
    Route("/maintenance/end", end_maintenance, methods=["POST"]),
]
