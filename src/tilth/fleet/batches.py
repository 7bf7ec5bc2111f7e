"""The batch of records a device sends: written, read and checked.

A batch covers exactly the sequence numbers ``seq .. seq+n-1`` of one boot; each of
them is one sample or one event. Values travel as whole numbers (see `CHANNELS`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, NamedTuple, NoReturn
from zlib import crc32

from tilth.fleet.wire import (
    MAX_DEPTH,
    MAX_PAYLOAD,
    MAX_RECORDS,
    SEQ_END,
    TIME_END,
    VERSION,
    Header,
    ProtocolError,
    depth,
    is_label,
    read_json,
    write_json,
)

_INT32 = 2**31
_WIDTH = 11
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_HEAD = re.compile(
    rb'\{"v":1,"boot":"([0-9a-f]{1,8}-[0-9a-f]{8})","seq":(\d{1,10}),"n":(\d{1,3}),'
)
_SOURCES = frozenset({"ntp", "rtc", "none"})
_CELLS = frozenset({int, type(None)})

_HEAD_MEMBERS = {"v", "boot", "seq", "n", "low", "t", "utc", "src"}
_MEMBERS = frozenset(_HEAD_MEMBERS | {"loc", "fw", "q", "s", "e", "crc"})


class Sample(NamedTuple):
    """One row of measurements; None where nothing was measured.

    `i` is the offset from the batch's seq, `dt` ms after its tick. Channels as in
    `CHANNELS`; `state` as in `STATES`; `flags` as in `FLAGS`.
    """

    i: int
    dt: int
    co2: int | None
    st: int | None
    rh: int | None
    at: int | None
    p: int | None
    lux: int | None
    mv: int | None
    state: int
    flags: int


class Event(NamedTuple):
    """Something that happened: offset `i`, `dt` ms after the batch's tick."""

    i: int
    dt: int
    kind: str
    body: dict[str, Any]


@dataclass(slots=True)
class Batch:
    """Records ``seq .. seq+n-1`` of one boot of one device.

    Parameters
    ----------
    boot : str
        Boot id, ``counter-nonce`` in hexadecimal digits.
    seq, n : int
        First sequence number, and how many.
    low : int
        Lowest sequence number of this boot the device still holds.
    tick : int
        Tick base, ms since boot.
    utc : int or None
        The device's own UTC of the tick base, ms since 1970.
    src : str
        Where its clock comes from: ``ntp``, ``rtc`` or ``none``.
    loc : str
        Location code the device shows, ``""`` if it has none.
    fw : str
        Version of its firmware.
    queued, dropped : int
        Records waiting on the device, and given up since it booted.
    samples : list of Sample
        Measurements.
    events : list of Event
        What happened.
    """

    boot: str
    seq: int
    n: int
    low: int
    tick: int
    utc: int | None
    src: str
    loc: str
    fw: str
    queued: int
    dropped: int
    samples: list[Sample]
    events: list[Event]

    @property
    def header(self) -> Header:
        """The numbers it covers."""
        return Header(self.boot, self.seq, self.n)


_make_sample = partial(tuple.__new__, Sample)
_make_event = partial(tuple.__new__, Event)


def encode_batch(batch: Batch) -> bytes:
    """Write a batch as a device does, checksum last.

    Parameters
    ----------
    batch : Batch
        What to send; not validated.

    Returns
    -------
    bytes
        Payload for the topic ``d``.
    """
    body = write_json(
        {
            "v": VERSION,
            "boot": batch.boot,
            "seq": batch.seq,
            "n": batch.n,
            "low": batch.low,
            "t": batch.tick,
            "utc": batch.utc,
            "src": batch.src,
            "loc": batch.loc,
            "fw": batch.fw,
            "q": [batch.queued, batch.dropped],
            "s": batch.samples,
            "e": batch.events,
        }
    )
    return add_crc(body[:-1].encode())


def add_crc(opened: bytes) -> bytes:
    """Close an object, given without its last brace, with its checksum.

    Examples
    --------
    >>> add_crc(b'{"v":1')
    b'{"v":1,"crc":1791791944}'
    """
    return b'%s,"crc":%d}' % (opened, crc32(opened))


def decode_batch(payload: bytes) -> Batch:
    """Read and check a batch.

    Nothing is repaired: a batch is as the protocol says or it is refused. A value
    outside what its sensor can deliver is not an error here (it is data).

    Parameters
    ----------
    payload : bytes
        As received on a topic ``d``.

    Returns
    -------
    Batch
        Its records.

    Raises
    ------
    ProtocolError
        With the reason, and with the header if that can be trusted.
    """
    cut = _check_crc(payload)
    header = _read_header(payload)
    message = read_json(payload, header)
    try:
        return _build(message, header, payload, cut)
    except KeyError as error:
        raise ProtocolError("member", f"no member {error} in a batch", header) from None


def _check_crc(payload: bytes) -> int:
    """Return where the checksum begins, or raise if it is wrong."""
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError(
            "size", f"payload of {len(payload)} bytes; the limit is {MAX_PAYLOAD}"
        )
    cut = payload.rfind(b',"crc":')
    digits = payload[cut + 7 : -1]
    if cut < 0 or payload[-1:] != b"}" or not digits.isdigit() or len(digits) > 10:
        raise ProtocolError("crc", "a batch ends with its checksum: it was cut short")
    found = crc32(memoryview(payload)[:cut])
    if found != int(digits):
        raise ProtocolError(
            "crc", f"checksum {found}, but the batch says {int(digits)}: damaged"
        )
    return cut


def _read_header(payload: bytes) -> Header | None:
    """Read the numbers covered from the text itself, whatever follows."""
    found = _HEAD.match(payload)
    if found is None:
        return None
    seq, n = int(found[2]), int(found[3])
    if not 1 <= n <= MAX_RECORDS or seq + n > SEQ_END:
        return None
    return Header(found[1].decode(), seq, n)


def _build(
    message: dict[str, Any], header: Header | None, payload: bytes, cut: int
) -> Batch:
    """Check every member and make the batch."""

    def refuse(reason: str, sentence: str) -> NoReturn:
        raise ProtocolError(reason, sentence, header)

    if message["v"] != VERSION or type(message["v"]) is not int:
        raise ProtocolError("version", f"version {message['v']!r}; this server knows 1")
    if header is None:
        refuse("member", "a batch begins with v, boot, seq and n, each in its range")
    boot, seq, n = header
    if (message["boot"], message["seq"], message["n"]) != header:
        raise ProtocolError("member", "boot, seq or n is given twice")
    low, tick, utc = message["low"], message["t"], message["utc"]
    if type(low) is not int or not 0 <= low <= seq:
        refuse("range", f"low = {low!r} is not a number from 0 to seq = {seq}")
    if type(tick) is not int or not 0 <= tick < TIME_END:
        refuse("range", f"t = {tick!r} is not ms since boot")
    if utc is not None and (type(utc) is not int or not abs(utc) < TIME_END):
        refuse("range", f"utc = {utc!r} is neither null nor ms since 1970")
    src, loc, fw, queue = message["src"], message["loc"], message["fw"], message["q"]
    if type(src) is not str or src not in _SOURCES:
        refuse("range", f"src = {src!r} is none of ntp, rtc, none")
    if not is_label(loc):
        refuse("range", f"loc = {loc!r:.80} is not a short printable text")
    if not is_label(fw):
        refuse("range", f"fw = {fw!r:.80} is not a short printable text")
    if (
        type(queue) is not list
        or len(queue) != 2
        or not all(type(x) is int and 0 <= x < TIME_END for x in queue)
    ):
        refuse("range", f"q = {queue!r:.80} is not [queued, dropped]")
    samples, events = message["s"], message["e"]
    if type(samples) is not list or type(events) is not list:
        refuse("member", "s and e are lists")
    offsets = _check_samples(samples, refuse)
    offsets += _check_events(events, refuse)
    if len(offsets) != n:
        refuse("count", f"{len(offsets)} records in a batch that says n = {n}")
    if sorted(offsets) != list(range(n)):
        refuse("cover", f"the offsets do not cover 0..{n - 1} once each")
    if len(message) > len(_MEMBERS) and any(
        depth(value) >= MAX_DEPTH
        for name, value in message.items()
        if name not in _MEMBERS
    ):
        refuse("depth", f"nested deeper than {MAX_DEPTH}")
    return Batch(
        boot,
        seq,
        n,
        low,
        tick,
        utc,
        src,
        loc,
        fw,
        queue[0],
        queue[1],
        list(map(_make_sample, samples)),
        list(map(_make_event, events)),
    )


def _check_samples(rows: list[Any], refuse: Any) -> list[int]:
    """Check the sample rows and return their offsets.

    All cells are looked at in one go, not one by one: this runs for every message.
    """
    if not rows:
        return []
    if set(map(type, rows)) != {list} or set(map(len, rows)) != {_WIDTH}:
        refuse("member", f"a sample is a row of {_WIDTH} numbers")
    cells = list(chain.from_iterable(rows))
    if not _CELLS.issuperset(map(type, cells)):
        refuse("member", "a sample holds whole numbers and null only")
    offsets, later = cells[::_WIDTH], cells[1::_WIDTH]
    states, flags = cells[9::_WIDTH], cells[10::_WIDTH]
    if None in cells:
        if None in offsets or None in later or None in states or None in flags:
            refuse("member", "offset, dt, state and flags of a sample are never null")
        cells = [cell for cell in cells if cell is not None]
    if min(cells) < -_INT32 or max(cells) >= _INT32:
        refuse("range", "a value of a sample does not fit in 32 bits")
    if min(offsets) < 0 or max(offsets) >= MAX_RECORDS:
        refuse("cover", "the offset of a sample is outside the batch")
    if min(later) < 0:
        refuse("range", "dt of a sample is before t")
    if min(states) < 0 or max(states) > 255 or min(flags) < 0:
        refuse("range", "state of a sample is not 0..255, or its flags are negative")
    return offsets


def _check_events(rows: list[Any], refuse: Any) -> list[int]:
    """Check the event rows and return their offsets."""
    for row in rows:
        if type(row) is not list or len(row) != 4:
            refuse("member", "an event is [i, dt, kind, body]")
        i, dt, kind, body = row
        if type(i) is not int or not 0 <= i < MAX_RECORDS:
            refuse("cover", f"offset {i!r:.40} of an event is outside the batch")
        if type(dt) is not int or not 0 <= dt < _INT32:
            refuse("range", f"dt = {dt!r:.40} of an event is not ms from t")
        if type(kind) is not str or not _KIND.fullmatch(kind):
            refuse("range", f"kind {kind!r:.60} of an event is not a lower-case word")
        if type(body) is not dict:
            refuse("member", f"the body of an event {kind!r} is an object")
        if depth(body) > MAX_DEPTH - 3:  # within payload, list and row
            refuse("depth", f"nested deeper than {MAX_DEPTH}")
    return [row[0] for row in rows]
