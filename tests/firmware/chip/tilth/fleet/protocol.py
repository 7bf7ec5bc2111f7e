"""The part of the server's protocol the fake server uses, in plain Python."""

import json
from binascii import crc32


class ProtocolError(Exception):
    """A message that breaks the protocol."""


class Fields:
    """A thing with attributes."""

    def __init__(self, **fields):
        for name in fields:
            setattr(self, name, fields[name])


class Row(tuple):
    """A sample or event: offset, ticks after the batch's, values."""

    @property
    def i(self):
        return self[0]

    @property
    def dt(self):
        return self[1]

    @property
    def kind(self):
        return self[2]

    @property
    def body(self):
        return self[3]


def Ack(device, boot, seq, have=()):
    """Return an acknowledgement."""
    return Fields(device=device, boot=boot, seq=seq, have=list(have))


def encode_ack(ack):
    """Write an acknowledgement."""
    have = [list(pair) for pair in ack.have]
    return json.dumps({"v": 1, "boot": ack.boot, "seq": ack.seq, "have": have}).encode()


def decode_batch(payload):
    """Read a batch and check its checksum and that it covers what it says."""
    cut = payload.rfind(b',"crc":')
    if crc32(payload[:cut]) != int(payload[cut + 7 : -1]):
        raise ProtocolError("crc")
    m = json.loads(payload.decode())
    samples = [Row(row) for row in m["s"]]
    events = [Row(row) for row in m["e"]]
    if sorted([r.i for r in samples + events]) != list(range(m["n"])):
        raise ProtocolError("cover")
    return Fields(
        boot=m["boot"],
        seq=m["seq"],
        n=m["n"],
        low=m["low"],
        tick=m["t"],
        utc=m["utc"],
        src=m["src"],
        loc=m["loc"],
        samples=samples,
        events=events,
    )


def decode_status(payload):
    """Read a status."""
    m = json.loads(payload.decode())
    pending = [tuple(entry) for entry in m.get("pending", [])]
    return Fields(
        online=m["online"],
        boot=m["boot"],
        loc=m.get("loc", ""),
        cfg=m.get("cfg", ""),
        pending=pending,
    )


def as_ranges(numbers):
    """Gather numbers into closed ranges."""
    ranges = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
