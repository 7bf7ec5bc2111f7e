"""Pages from templates: escaped by default, numbers and times as people read them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

import tilth
from tilth.core.typeset import (
    NOTHING,
    bytes_text,
    measurement_text,
    number_text,
    units_text,
)
from tilth.web import svg
from tilth.web.model import CHANNELS

STATIC = Path(__file__).parent / "static"

#: The pages of the navigation: path, name, and who may see it in the bar.
PAGES = (
    ("/", "Fleet"),
    ("/variants", "Variants"),
    ("/cycles", "Cycles"),
    ("/alarms", "Alarms"),
    ("/ledger", "Completeness"),
    ("/placement", "Placement"),
    ("/commands", "Commands"),
    ("/firmware", "Firmware"),
    ("/export", "Export"),
)

FLUX_UNITS = units_text("umol m-2 s-1").replace(" ", "\u00a0")


def utc_text(t: int | None, seconds: bool = False) -> str:
    """Return a time as it is printed, in UTC.

    Examples
    --------
    >>> utc_text(1_753_000_000_000), utc_text(None)
    ('2025-07-20 08:26', '–')
    """
    if t is None:
        return NOTHING
    try:
        moment = datetime.fromtimestamp(t / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return NOTHING
    return moment.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def age_text(milliseconds: float | None) -> str:
    """Return a span of time in its largest fitting unit.

    Examples
    --------
    >>> [age_text(ms) for ms in (4_000, 200_000, 7_300_000, 3 * 86_400_000)]
    ['4 s', '3 min', '2 h', '3 d']
    """
    if milliseconds is None:
        return NOTHING
    seconds = max(milliseconds, 0.0) / 1000
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size * (1.5 if unit == "min" else 2 if unit == "d" else 1):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def time_tag(t: int | None, seconds: bool = False) -> Markup:
    """Return a time as an HTML element that machines can read, too."""
    text = utc_text(t, seconds)
    if t is None or text == NOTHING:
        return Markup(NOTHING)
    stamp = datetime.fromtimestamp(t / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}">{}</time>').format(stamp, text)


def age_tag(t: int | None, now: int) -> Markup:
    """Return how long ago something was; the page keeps it up to date."""
    if t is None:
        return Markup('<time data-t="">{}</time>').format(NOTHING)
    return Markup('<time data-t="{}">{}</time>').format(t, age_text(now - t))


def flux_text(value: float | None, se: float | None) -> str:
    """Return a flux with its standard error, rounded to the error's two digits.

    Examples
    --------
    >>> flux_text(0.7812, 0.0531), flux_text(0.78, None), flux_text(None, None)
    ('0.781 ± 0.053', '0.78', '–')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    number, error = measurement_text(value, se)
    return f"{number} ± {error}" if error else number


def percent_text(share: float | None) -> str:
    """Return a share in percent; 100 only if it is whole.

    Examples
    --------
    >>> percent_text(1.0), percent_text(0.999996), percent_text(0.5), percent_text(0.9)
    ('100 %', '99.999 %', '50 %', '90 %')
    """
    if share is None or not math.isfinite(share):
        return NOTHING
    if share in (0.0, 1.0):
        return f"{share:.0%}".replace("%", " %")
    missing = abs(1 - share)
    digits = 0 if missing >= 0.095 else min(3, math.ceil(-math.log10(missing)) - 1)
    # Rounded towards what is missing: nearly complete is not complete.
    scaled = math.floor(share * 10 ** (digits + 2)) / 10**digits
    return f"{scaled:.{digits}f} %"


def args_text(args: Mapping[str, Any]) -> str:
    """Return the arguments of a command in one line, none longer than 60 signs.

    Examples
    --------
    >>> args_text({"at": 1_753_000_000_000, "ppm": 420})
    'at 2025-07-20 08:26, ppm 420'
    """
    parts = []
    for name, value in args.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if name == "at" and isinstance(value, int):
            text = utc_text(value)
        parts.append(f"{name} {text if len(text) <= 60 else text[:57] + '...'}")
    return ", ".join(parts)


def body_text(body: str) -> str:
    """Return what an event says as a line of words; as it is if it is no JSON object.

    Examples
    --------
    >>> body_text('{"to":"ambient","cycle":null,"why":"flushed"}')
    'to ambient, why flushed'
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return body[:300]
    if not isinstance(content, dict):
        return body[:300]
    parts = [
        f"{name} {value if isinstance(value, str) else json.dumps(value)}"
        for name, value in content.items()
        if value is not None
    ]
    text = ", ".join(parts)
    return text if len(text) <= 300 else f"{text[:297]}..."


@lru_cache(maxsize=256)
def static_url(name: str) -> str:
    """Return the address of a file of ours; it changes when the file does."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]
    return f"/static/{name}?v={digest}"


def json_block(value: Any) -> Markup:
    """Return data for a script, safe inside a ``<script type=application/json>``."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, escape)
    return Markup(text)


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the templates, with what they may use."""
    jinja = Environment(
        loader=PackageLoader("tilth.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    jinja.globals.update(
        pages=PAGES,
        static=static_url,
        svg=svg,
        flux_units=FLUX_UNITS,
        channels=CHANNELS,
        version=tilth.__version__,
    )
    jinja.filters.update(
        utc=time_tag,
        utc_text=utc_text,
        age=age_tag,
        span=age_text,
        flux=flux_text,
        number=number_text,
        percent=percent_text,
        bytes=bytes_text,
        block=json_block,
        args=args_text,
        body=body_text,
    )
    return jinja


def page(
    request: Request, template: str, status: int = 200, **values: Any
) -> HTMLResponse:
    """Return a page.

    Parameters
    ----------
    request : starlette.requests.Request
        What asked for it; its state holds the session, its application the settings.
    template : str
        Name of the template.
    status : int, optional
        Status of the answer.
    **values
        What the template shows.
    """
    room = request.app.state.room
    theme = request.cookies.get("theme", "")
    text = (
        environment()
        .get_template(template)
        .render(
            path=request.url.path,
            session=request.state.session,
            csrf=request.state.csrf,
            notice=values.pop("notice", None),
            fleet_title=room.settings.title,
            theme=theme if theme in ("light", "dark") else "",
            now=room.source.clock(),
            **values,
        )
    )
    return HTMLResponse(text, status)
