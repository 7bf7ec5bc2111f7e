"""The messages of protocol 1 as the device writes and reads them.

Whole numbers only. What is read is checked member by member: nothing a stranger
sends can do more than be refused.
"""

import json
from binascii import crc32

MAX_RECORDS = 200
MAX_READ = 16 * 1024
SEQ_END = 2**32
TIME_END = 2**53
SAMPLE = 1


class Refused(Exception):
    """A message that breaks the protocol; its text is the reason."""


def topic(device, leaf):
    """Return the topic of a device; leaf ``d``, ``s``, ``cmd`` or ``ack``."""
    return "tilth/v1/" + device + "/" + leaf


def batch(boot, records, low, utc, src, fw, queued, dropped):
    """Write a batch.

    Parameters
    ----------
    boot : str
        Boot id of the records.
    records : list of (seq, tick, kind, text, loc)
        At most 200, without a gap and of one location, as the queue reads them.
    low : int
        Lowest number of this boot still held.
    utc : callable
        Gives the UTC of a tick in ms since 1970, or None.
    src : str
        Where that comes from: ``ntp``, ``rtc`` or ``none``.
    fw : str
        Version of this firmware.
    queued, dropped : int
        Records waiting, and given up since boot.

    Returns
    -------
    bytes
        Payload, checksum last.
    """
    seq = records[0][0]
    start = min([record[1] for record in records])
    samples, events = [], []
    for number, tick, kind, text, _ in records:
        row = f"[{number - seq},{tick - start},{text}]"
        if kind == SAMPLE:
            samples.append(row)
        else:
            events.append(row)
    when = utc(start)
    when, src = ("null", "none") if when is None else (when, src)
    head = f'{{"v":1,"boot":"{boot}","seq":{seq},"n":{len(records)},"low":{low},'
    head += f'"t":{start},"utc":{when},"src":"{src}","loc":{json.dumps(records[0][4])},'
    head += f'"fw":{json.dumps(fw)},"q":[{queued},{dropped}],"s":['
    body = (head + ",".join(samples) + '],"e":[' + ",".join(events) + "]").encode()
    return body + f',"crc":{crc32(body)}}}'.encode()


def plain(value, depth):
    """Return a value with nothing in it that the protocol does not allow."""
    if (
        value is None
        or value is True
        or value is False
        or isinstance(value, (int, str))
    ):
        return value
    if isinstance(value, float):
        return round(value) if -9e15 < value < 9e15 else None
    if depth and isinstance(value, dict):
        return {str(name): plain(value[name], depth - 1) for name in value}
    if depth and isinstance(value, (list, tuple)):
        return [plain(item, depth - 1) for item in value]
    return str(value)


def hello(boot, fw, loc, ip, pending, queued, dropped, cfg):
    """Write the status sent on every connect; `pending` as `Queue.pending` gives it."""
    message = {
        "v": 1,
        "online": True,
        "boot": boot,
        "fw": fw,
        "loc": loc,
        "ip": ip,
        "pending": pending,
        "q": [queued, dropped],
        "cfg": cfg,
    }
    return json.dumps(message).encode()


def will(boot):
    """Write what the broker says of this device when it is gone."""
    return json.dumps({"v": 1, "online": False, "boot": boot}).encode()


def is_boot(text):
    """Tell whether this is a boot id such as ``2a-9f3c1d77``."""
    if not isinstance(text, str):
        return False
    counter, dash, nonce = text.partition("-")
    if not dash or not 1 <= len(counter) <= 8 or len(nonce) != 8:
        return False
    return all(letter in "0123456789abcdef" for letter in counter + nonce)


def _is_int(value, low, high):
    return (
        isinstance(value, int) and not isinstance(value, bool) and low <= value < high
    )


def _read(payload):
    """Return the members of a message, Refused if it is not one of version 1."""
    if len(payload) > MAX_READ:
        raise Refused("size")
    try:
        message = json.loads(bytes(payload).decode())
    except MemoryError:
        raise
    except Exception:
        message = None
    if not isinstance(message, dict):
        raise Refused("json")
    if not _is_int(message.get("v"), 1, 2):
        raise Refused("version")
    return message


def read_ack(payload):
    """Read an acknowledgement.

    Parameters
    ----------
    payload : bytes
        As it came.

    Returns
    -------
    boot : str
        Boot id.
    seq : int
        All up to this number are on the server's disk; -1 if none is.
    have : list of (first, last)
        At most four ranges above it that are there too.

    Raises
    ------
    Refused
        It is no acknowledgement.
    """
    message = _read(payload)
    boot, seq, have = message.get("boot"), message.get("seq"), message.get("have")
    if not is_boot(boot) or not _is_int(seq, -1, SEQ_END):
        raise Refused("range")
    if not isinstance(have, list) or len(have) > 4:
        raise Refused("have")
    ranges = []
    for pair in have:
        if not isinstance(pair, list) or len(pair) != 2:
            raise Refused("have")
        first, last = pair
        if not _is_int(first, seq + 1, SEQ_END) or not _is_int(last, first, SEQ_END):
            raise Refused("have")
        ranges.append((first, last))
    return boot, seq, ranges


def read_command(payload):
    """Read a command whose signature has been checked (see `sign.is_signed`).

    Returns
    -------
    dict
        Members id, cmd, args (a dict), after and before (ms since 1970 UTC).

    Raises
    ------
    Refused
        It is no command.
    """
    message = _read(payload)
    name, cmd, args = message.get("id"), message.get("cmd"), message.get("args")
    if not _is_word(name, 18, "0123456789abcdef", "c-"):
        raise Refused("id")
    if not isinstance(cmd, str) or not 1 <= len(cmd) <= 32:
        raise Refused("cmd")
    if not isinstance(args, dict):
        raise Refused("args")
    for member in ("after", "before"):
        if not _is_int(message.get(member), 0, TIME_END):
            raise Refused(member)
    return message


def _is_word(text, length, letters, front):
    return (
        isinstance(text, str)
        and len(text) == length
        and text.startswith(front)
        and all(letter in letters for letter in text[len(front) :])
    )
