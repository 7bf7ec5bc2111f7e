"""What every message of the protocol shares: limits, topics, strict JSON, errors."""

from __future__ import annotations

import json
import math
import re
from itertools import chain
from typing import Any, NamedTuple, NoReturn

from tilth.core.errors import InputError

#: Version of the protocol, the ``v`` of every message.
VERSION = 1
#: Largest payload, bytes.
MAX_PAYLOAD = 64 * 1024
#: Most records in one batch.
MAX_RECORDS = 200
#: Deepest nesting of a payload.
MAX_DEPTH = 6
#: Sequence numbers are below this.
SEQ_END = 2**32
#: Ticks and times are below this (the largest whole number every JSON reader keeps).
TIME_END = 2**53

_PREFIX = "tilth/v1/"
_DEVICE = re.compile(r"[0-9a-f]{12}", re.ASCII)
_BOOT = re.compile(r"[0-9a-f]{1,8}-[0-9a-f]{8}", re.ASCII)
_LEAVES = frozenset({"d", "s", "cmd", "ack"})


class Header(NamedTuple):
    """The numbers a batch covers: ``seq .. seq+n-1`` of `boot`."""

    boot: str
    seq: int
    n: int


class ProtocolError(InputError):
    """A message that breaks the protocol.

    Parameters
    ----------
    reason : str
        One word: ``topic``, ``size``, ``crc``, ``utf8``, ``json``, ``version``,
        ``member``, ``range``, ``count``, ``cover``, ``depth``, ``signature``...
    sentence : str
        What is wrong, with the value and the limit.
    header : Header, optional
        The numbers it covers, where they can be trusted: the checksum is right and
        boot, seq and n make sense.
    """

    def __init__(
        self, reason: str, sentence: str, header: Header | None = None
    ) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.header = header


def topic_of(device: str, leaf: str) -> str:
    """Return the topic of a device: leaf ``d``, ``s``, ``cmd`` or ``ack``.

    Examples
    --------
    >>> topic_of("a0b765112233", "d")
    'tilth/v1/a0b765112233/d'
    """
    if not is_device(device) or leaf not in _LEAVES:
        raise ProtocolError("topic", f"no topic {leaf!r} of a device {device!r}")
    return f"{_PREFIX}{device}/{leaf}"


def parse_topic(topic: str) -> tuple[str, str]:
    """Split a topic into device and leaf.

    Raises
    ------
    ProtocolError
        Reason ``topic``, if it is none of this protocol.

    Examples
    --------
    >>> parse_topic("tilth/v1/a0b765112233/d")
    ('a0b765112233', 'd')
    """
    device, leaf = topic[9:21], topic[22:]
    if (
        topic[:9] != _PREFIX
        or topic[21:22] != "/"
        or leaf not in _LEAVES
        or not _DEVICE.fullmatch(device)
    ):
        raise ProtocolError(
            "topic",
            f"{topic[:80]!r} is no topic of protocol 1: tilth/v1/<12 hexadecimal "
            "digits>/ and one of d, s, cmd, ack",
        )
    return device, leaf


def is_device(name: object) -> bool:
    """Tell whether this is the name of a device: 12 lower-case hexadecimal digits."""
    return isinstance(name, str) and _DEVICE.fullmatch(name) is not None


def is_boot(boot: object) -> bool:
    """Tell whether this is a boot id such as ``2a-9f3c1d77``."""
    return isinstance(boot, str) and _BOOT.fullmatch(boot) is not None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:40]} is too large for a number")
    return value


_STRICT = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
_SCAN = _STRICT.scan_once  # type: ignore[attr-defined]
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


def read_json(payload: bytes, header: Header | None = None) -> dict[str, Any]:
    """Read a payload as a JSON object, strictly.

    Raises
    ------
    ProtocolError
        Reason ``size``, ``utf8``, ``json`` (also for NaN and Infinity) or ``member``
        (not an object).
    """
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError(
            "size", f"payload of {len(payload)} bytes; the limit is {MAX_PAYLOAD}"
        )
    try:
        text = str(payload, "utf-8")
        message, end = _SCAN(text, 0)
        if end != len(text):
            raise ValueError(f"something follows the object at {end}")
    except UnicodeDecodeError as error:
        raise ProtocolError("utf8", f"no UTF-8: {error}", header) from None
    except RecursionError:
        raise ProtocolError("depth", "nested too deeply", header) from None
    except StopIteration:
        raise ProtocolError("json", "no JSON object at the begin", header) from None
    except ValueError as error:
        raise ProtocolError("json", f"no JSON: {error}"[:200], header) from None
    if type(message) is not dict:
        raise ProtocolError("member", "a payload is one JSON object", header)
    return message


def write_json(message: object) -> str:
    """Write a message as compact ASCII JSON; refuses NaN."""
    return _ENCODER.encode(message)


def is_label(text: object) -> bool:
    """Tell whether this is a text of at most 32 printable characters."""
    return isinstance(text, str) and len(text) <= 32 and text.isprintable()


def depth(value: object) -> int:
    """Return how deep objects and lists nest in a value; 0 for a number or text."""
    deepest = 0
    layer = [value]
    while layer:
        inner: list[Any] = []
        for item in layer:
            if type(item) is dict:
                inner.append(item.values())
            elif type(item) is list:
                inner.append(item)
        deepest += bool(inner)
        layer = list(chain.from_iterable(inner))
    return deepest
