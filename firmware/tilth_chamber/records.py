"""How one record lies in flash, and how records are found again past every damage.

A record is a header of fixed size (checksum, sequence number, length, kind, tick)
and its text. A segment file begins with the same description twice, as records of
kind `ABOUT`, then holds samples and events with rising numbers.
"""

import json
import struct
from binascii import crc32

HEAD = "<IIHBq"  # crc32 of all that follows, seq, length, kind, tick in ms
HEAD_SIZE = 19
MAX_TEXT = 4096
ABOUT, SAMPLE, EVENT = 0, 1, 2


def pack_record(seq, kind, tick, text):
    """Return the bytes of one record.

    Parameters
    ----------
    seq : int
        Sequence number, 0 <= seq < 2**32.
    kind : int
        ABOUT, SAMPLE or EVENT.
    tick : int
        Milliseconds since boot.
    text : str
        What is kept, at most `MAX_TEXT` bytes.
    """
    data = text.encode()
    body = struct.pack("<IHBq", seq, len(data), kind, tick) + data
    return struct.pack("<I", crc32(body)) + body


def pack_about(boot, loc, first, tick):
    """Return the first bytes of a segment: twice its description."""
    text = json.dumps({"v": 1, "boot": boot, "loc": loc})
    return 2 * pack_record(first, ABOUT, tick, text)


def record_at(data, at):
    """Return (seq, tick, kind, text, end) of the record at a place, or None.

    None stands for anything that is not a whole record with a right checksum.
    """
    if at + HEAD_SIZE > len(data):
        return None
    crc, seq, length, kind, tick = struct.unpack_from(HEAD, data, at)
    end = at + HEAD_SIZE + length
    if length > MAX_TEXT or end > len(data) or crc32(data[at + 4 : end]) != crc:
        return None
    try:
        text = data[at + HEAD_SIZE : end].decode()
    except Exception:
        return None
    return seq, tick, kind, text, end


def scan(data, first):
    """Read a segment.

    Parameters
    ----------
    data : bytes
        Content of the file.
    first : int
        Sequence number its name says it begins with.

    Returns
    -------
    records : list of (seq, tick, kind, text)
        The sound samples and events, in order.
    holes : list of (first, last)
        Numbers whose records are damaged; last is None where the damage reaches
        the end of the file (a torn last write looks the same as bit rot there).
    loc : str
        Location code of the records, ``""`` if both descriptions are lost.
    """
    records, holes, loc = [], [], ""
    at, expected = 0, first
    while at < len(data):
        found = record_at(data, at)
        if found is None:
            found = _next_sound(data, at + 1, expected)
            if found is None:
                holes.append((expected, None))
                break
            if found[2] != ABOUT and found[0] > expected:
                holes.append((expected, found[0] - 1))
        seq, tick, kind, text, at = found
        if kind == ABOUT:
            loc = _loc_of(text)
        elif seq >= expected:
            records.append((seq, tick, kind, text))
            expected = seq + 1
    return records, holes, loc


def alike(records, most, size):
    """Return the leading records without a gap and of one location, within bounds."""
    out = []
    for record in records:
        if out and (record[0] != out[-1][0] + 1 or record[4] != out[0][4]):
            break
        size -= len(record[3]) + 24
        if len(out) >= most or (out and size < 0):
            break
        out.append(record)
    return out


def _next_sound(data, at, expected):
    """Find the next whole record behind a damage, None if there is none."""
    end = len(data) - HEAD_SIZE
    while at <= end:
        seq, length, kind = struct.unpack_from("<IHB", data, at + 4)
        if kind <= EVENT and length <= MAX_TEXT and 0 <= seq - expected < 65536:
            found = record_at(data, at)
            if found:
                return found
        at += 1
    return None


def _loc_of(text):
    try:
        return json.loads(text)["loc"]
    except Exception:
        return ""
