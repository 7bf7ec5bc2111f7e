"""InfluxDB line protocol: samples for InfluxDB, VictoriaMetrics, Telegraf and others.

Those systems take two points of one series and time for the same point and keep the
last, silently. So times have nanoseconds whose last six digits, below the millisecond
that chambers count, are made from boot and number of the sample: two samples of one
device never share a time, whatever its clock did.
"""

from __future__ import annotations

import gzip
import math
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import pandas as pd

from tilth.core.errors import InputError, TilthError
from tilth.core.files import whole_file
from tilth.fleet.channels import CHANNEL_NAMES

#: Tags of a sample, in the order of their names, as the receivers like them.
TAGS = ("device", "location", "replica", "table", "variant")

_NS_PER_MS = 1_000_000

#: Answers after which it makes sense to try again.
_PASSING = (429, 500, 502, 503, 504)


class SinkError(TilthError):
    """A receiver that cannot be reached or refuses the points; the text says why."""


def line(
    measurement: str,
    tags: Mapping[str, str],
    fields: Mapping[str, float | int | bool | str | None],
    t_ns: int,
) -> str:
    r"""Write one point.

    Parameters
    ----------
    measurement : str
        Name of the measurement.
    tags : mapping of str to str
        Empty ones are left out, for the format has no empty tag.
    fields : mapping of str to float, int, bool, str or None
        None and NaN are left out, for the format has no missing value.
    t_ns : int
        Time, ns since 1970 UTC.

    Returns
    -------
    str
        Without newline; empty if no field has a value.

    Examples
    --------
    >>> line("air", {"location": "5.10.A", "note": "a b"}, {"co2": 439.1, "n": 2}, 7)
    'air,location=5.10.A,note=a\\ b co2=439.1,n=2i 7'
    """
    values = ",".join(
        f"{_key(name)}={text}"
        for name, value in fields.items()
        if (text := _value(value)) is not None
    )
    if not values:
        return ""
    named = "".join(
        f",{_key(name)}={_key(value)}" for name, value in sorted(tags.items()) if value
    )
    head = measurement.replace("\n", " ").replace(",", "\\,").replace(" ", "\\ ")
    return f"{head}{named} {values} {t_ns:d}"


def _key(text: str) -> str:
    """Escape a tag's key or value or a field's key."""
    text = " ".join(text.splitlines())
    # A backslash at the end would escape what follows; there is no way to write it.
    text = text.rstrip("\\")
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _value(value: float | int | bool | str | None) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        text = " ".join(value.splitlines())  # a newline would begin another point
        text = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value}i"
    return repr(float(value)) if math.isfinite(value) else None


def sample_lines(frame: pd.DataFrame, measurement: str = "chamber") -> Iterator[str]:
    """Write samples as points, no two with the same series and time.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `tilth.fleet.archive.query.Archive.frame`.
    measurement : str, default "chamber"
        Name of the measurement.

    Yields
    ------
    str
        A point for each sample with a value: the tags `TAGS`, the channels in
        physical units, ``state``, ``flag`` and ``seq`` as fields.
    """
    channels = [name for name in CHANNEL_NAMES if name in frame]
    tags = [name for name in TAGS if name in frame]
    used: set[tuple[str, int]] = set()
    salts: dict[str, int] = {}
    names = [*tags, "boot", *channels, "state", "flag", "seq", "t"]
    columns = [frame[name].tolist() for name in names]
    for row in zip(*columns, strict=True):
        sample = dict(zip(names, row, strict=True))
        boot, seq = str(sample["boot"]), int(sample["seq"])
        salt = salts.setdefault(boot, crc32(boot.encode()))
        below = (seq + salt) % _NS_PER_MS
        t_ns = int(sample["t"]) * _NS_PER_MS
        series = str(sample["device"])
        # Two boots could still meet: then the next free nanosecond.
        while (series, t_ns + below) in used:
            below = (below + 1) % _NS_PER_MS
        used.add((series, t_ns + below))
        fields: dict[str, Any] = {name: sample[name] for name in channels}
        if all(value is None or value != value for value in fields.values()):
            continue
        fields |= {
            "state": str(sample["state"]),
            "flag": int(sample["flag"]),
            "seq": seq,
        }
        yield line(
            *(measurement, {name: str(sample[name]) for name in tags}, fields),
            t_ns + below,
        )


def write_file(path: str | os.PathLike[str], lines: Iterable[str]) -> int:
    """Write points to a file (compressed if its name ends in ``.gz``); return how many.

    The file appears under its name when it is complete.
    """
    path = Path(path)
    count = 0
    opener: Any = gzip.open if path.suffix == ".gz" else open
    with (
        whole_file(path) as half,
        opener(half, "wt", encoding="utf-8", newline="\n") as stream,
    ):
        for text in lines:
            stream.write(text + "\n")
            count += 1
    return count


def post(
    url: str,
    lines: Iterable[str],
    *,
    token: str | None = None,
    batch: int = 5_000,
    tries: int = 6,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Send points to a receiver; return how many.

    A batch that fails for a passing reason is sent again: the same points at the
    same times are the same points there, so nothing is doubled.

    Parameters
    ----------
    url : str
        Its write address, such as ``http://host:8086/api/v2/write?org=a&bucket=b``
        (InfluxDB 2), ``http://host:8086/write?db=a`` (InfluxDB 1, VictoriaMetrics at
        port 8428). ``precision=ns`` is added.
    lines : iterable of str
        From `sample_lines`.
    token : str, optional
        Sent as ``Authorization: Token ...``; it never appears in a message.
    batch : int, default 5000
        Points of one request.
    tries : int, default 6
        Attempts of one batch, with pauses of 1, 2, 4 ... s.
    sleep : callable
        For tests.

    Raises
    ------
    InputError
        If the address is not http(s).
    SinkError
        If the receiver refuses the points or stays away; the text has its words and
        how many points it had taken.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{_shown(url)} is no address such as http://host:8086/write")
    query = dict(urllib.parse.parse_qsl(parts.query)) | {"precision": "ns"}
    address = parts._replace(query=urllib.parse.urlencode(query)).geturl()
    headers = {"Content-Type": "text/plain; charset=utf-8", "Content-Encoding": "gzip"}
    if token:
        headers["Authorization"] = f"Token {token}"
    source, sent = iter(lines), 0
    while part := list(islice(source, batch)):
        body = gzip.compress(("\n".join(part) + "\n").encode(), 1)
        request = urllib.request.Request(address, body, headers, method="POST")
        _send(request, tries, sleep, sent)
        sent += len(part)
    return sent


def _send(
    request: urllib.request.Request,
    tries: int,
    sleep: Callable[[float], object],
    sent: int,
) -> None:
    for attempt in range(tries):
        try:
            with urllib.request.urlopen(request, timeout=60):
                return
        except urllib.error.HTTPError as error:
            with error:
                reason = f"{error.code}: {error.read(500).decode('utf-8', 'replace')}"
            passing = error.code in _PASSING
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason, passing = str(error), True
        if not passing or attempt + 1 == tries:
            raise SinkError(
                f"{_shown(request.full_url)} took {sent} points, then said {reason}"
            )
        sleep(2.0**attempt)


def _shown(url: str) -> str:
    """Return an address without what may be secret in it."""
    parts = urllib.parse.urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
