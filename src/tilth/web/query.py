"""What an address asks for: spans of time, days, numbers, devices."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request

from tilth.core.errors import InputError
from tilth.fleet.clock import DAY_MS, HOUR_MS, day_name, day_of
from tilth.fleet.wire import is_boot, is_device

#: Spans the pages offer, ms.
SPANS = {
    "3h": 3 * HOUR_MS,
    "24h": DAY_MS,
    "3d": 3 * DAY_MS,
    "7d": 7 * DAY_MS,
    "30d": 30 * DAY_MS,
    "90d": 90 * DAY_MS,
}

#: Longest span a single answer covers, ms: more is a matter for an export.
LONGEST_SPAN = 400 * DAY_MS

#: 1970 to 9999, utc ms: what a date can be written for.
_TIME_END = 253_402_300_800_000


def parse_time(text: str) -> int:
    """Read a time: utc ms, or ISO 8601 (UTC where it names no zone).

    Raises
    ------
    InputError
        If it is neither.

    Examples
    --------
    >>> parse_time("1753000000000") == parse_time("2025-07-20T08:26:40Z")
    True
    >>> parse_time("2025-07-20") == parse_time("2025-07-20 00:00")
    True
    """
    if re.fullmatch(r"\d{1,15}", text, re.ASCII):
        t = int(text)
    else:
        try:
            moment = datetime.fromisoformat(text[:40])
        except ValueError:
            raise InputError(
                f"{text[:40]!r} is no time: write 2025-07-20T08:00Z, or milliseconds "
                "since 1970"
            ) from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        t = round(moment.timestamp() * 1000)
    if not 0 <= t < _TIME_END:
        raise InputError(f"the time {text[:40]!r} is outside 1970 to 9999")
    return t


def span_of(request: Request, now: int, default: str = "24h") -> tuple[int, int]:
    """Return the span a query asks for: ``start`` and ``end``, or ``span`` back.

    Raises
    ------
    InputError
        If it is empty, longer than `LONGEST_SPAN` or not written as times.
    """
    query = request.query_params
    end = parse_time(query["end"]) if query.get("end") else now
    if query.get("start"):
        start = parse_time(query["start"])
    else:
        start = end - SPANS.get(query.get("span", default), SPANS[default])
    if start >= end:
        raise InputError("the span of time is empty: its start is not before its end")
    if end - start > LONGEST_SPAN:
        raise InputError("at most 400 days at a time; take an export for more")
    return max(start, 0), end


def span_name(request: Request, default: str = "24h") -> str:
    """Return the name of the span that is shown, or an empty text for another."""
    if request.query_params.get("start"):
        return ""
    name = request.query_params.get("span", default)
    return name if name in SPANS else default


def days_of(request: Request, now: int, days: int = 14) -> tuple[str, str]:
    """Return the first and last UTC day a query asks for, at most 92 of them.

    Raises
    ------
    InputError
        If one is no date, or they are in the wrong order.
    """
    query = request.query_params
    last = (
        _date(query["last"])
        if query.get("last")
        else date.fromisoformat(day_name(day_of(now)))
    )
    if query.get("first"):
        first = _date(query["first"])
    else:
        first = date.fromordinal(last.toordinal() - days + 1)
    if not 0 <= (last - first).days < 92:
        raise InputError("between 1 and 92 days at a time, the first before the last")
    return first.isoformat(), last.isoformat()


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise InputError(f"{text[:20]!r} is no date: write 2025-07-20") from None


def int_of(request: Request, name: str, default: int, low: int, high: int) -> int:
    """Return a whole number of the query, held within its bounds.

    Raises
    ------
    InputError
        If it is no whole number.
    """
    text = request.query_params.get(name)
    if not text:
        return default
    if not re.fullmatch(r"-?\d{1,15}", text, re.ASCII):
        raise InputError(f"{name} is a whole number, got {text[:40]!r}")
    return min(max(int(text), low), high)


def night_of(request: Request) -> bool:
    """Return whether a query is about fluxes of the night only (``light=night``).

    Raises
    ------
    InputError
        If ``light`` is neither ``night`` nor ``all``.
    """
    light = request.query_params.get("light") or "night"
    if light not in ("night", "all"):
        raise InputError("light is night (the default) or all")
    return light == "night"


def device_of(request: Request) -> str:
    """Return the device of the path; a page that does not exist otherwise."""
    device = request.path_params["device"]
    if not is_device(device):
        raise HTTPException(404)
    return device


def boot_of(request: Request) -> str:
    """Return the boot of the path; a page that does not exist otherwise."""
    boot = request.path_params["boot"]
    if not is_boot(boot):
        raise HTTPException(404)
    return boot


def device_filter(request: Request) -> str | None:
    """Return the device a query is limited to, if any.

    Raises
    ------
    InputError
        If it is no name of a device.
    """
    device = request.query_params.get("device")
    if device and not is_device(device):
        raise InputError("a device is written as 12 lower-case hexadecimal digits")
    return device or None
