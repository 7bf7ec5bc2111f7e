"""The small messages of the protocol: status, acknowledgement, command."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tilth.fleet.wire import (
    SEQ_END,
    TIME_END,
    VERSION,
    ProtocolError,
    is_boot,
    is_device,
    is_label,
    read_json,
    write_json,
)

#: Most ranges an acknowledgement mentions above its watermark.
MAX_HAVE = 4
#: Most boots a status can list as pending.
MAX_PENDING = 1000

_ID = re.compile(r"c-[0-9a-f]{16}", re.ASCII)
_CMD = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)


@dataclass(slots=True)
class Status:
    """What a device says of itself when it connects, hourly, and as its last will.

    Parameters
    ----------
    online : bool
        False in the last will only.
    boot : str
        Its boot id.
    fw, loc, ip, cfg : str
        Firmware, location code, address, id of its configuration; ``""`` if unsaid.
    pending : list of (str, int, int)
        For each boot with unacknowledged records: boot id, first and last sequence
        number held (last = first - 1 if there is none).
    queued, dropped : int or None
        Records waiting, and given up since it booted.
    """

    online: bool
    boot: str
    fw: str = ""
    loc: str = ""
    ip: str = ""
    cfg: str = ""
    pending: list[tuple[str, int, int]] = field(default_factory=list)
    queued: int | None = None
    dropped: int | None = None


@dataclass(slots=True)
class Ack:
    """Everything of `boot` up to `seq` is kept for ever; so are the ranges `have`.

    Parameters
    ----------
    device : str
        To whom (the topic, not the payload, carries it).
    boot : str
        Whose numbers.
    seq : int
        Highest number such that all from 0 to it are settled; -1 if none is.
    have : list of (int, int)
        At most four ranges above it that are settled too: a hint not to resend.
    """

    device: str
    boot: str
    seq: int
    have: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Command:
    """An order to a device, valid from `after` to `before` (ms since 1970 UTC)."""

    id: str
    cmd: str
    args: dict[str, Any]
    after: int
    before: int


def encode_status(status: Status) -> bytes:
    """Write a status as a device does."""
    message: dict[str, Any] = {
        "v": VERSION,
        "online": status.online,
        "boot": status.boot,
    }
    if status.online:
        message |= {
            "fw": status.fw,
            "loc": status.loc,
            "ip": status.ip,
            "pending": [list(entry) for entry in status.pending],
            "q": [status.queued or 0, status.dropped or 0],
            "cfg": status.cfg,
        }
    return write_json(message).encode()


def decode_status(payload: bytes) -> Status:
    """Read and check a status.

    Raises
    ------
    ProtocolError
        With the reason.
    """
    message = read_json(payload)
    _check_version(message)
    online, boot = message.get("online"), message.get("boot")
    if type(online) is not bool:
        raise ProtocolError("member", f"online = {online!r:.40} is not true or false")
    if not isinstance(boot, str) or not is_boot(boot):
        raise ProtocolError("range", f"boot = {boot!r:.40} is no boot id")
    labels = {name: message.get(name, "") for name in ("fw", "loc", "ip", "cfg")}
    for name, text in labels.items():
        if not is_label(text) and not (name == "ip" and _is_address(text)):
            raise ProtocolError(
                "range", f"{name} = {text!r:.80} is not a short printable text"
            )
    pending = message.get("pending", [])
    if type(pending) is not list or len(pending) > MAX_PENDING:
        raise ProtocolError("member", "pending is a list of [boot, first, last]")
    queue = message.get("q", [None, None])
    if (
        type(queue) is not list
        or len(queue) != 2
        or not all(x is None or (type(x) is int and 0 <= x < TIME_END) for x in queue)
    ):
        raise ProtocolError("range", f"q = {queue!r:.80} is not [queued, dropped]")
    return Status(
        online,
        boot,
        **labels,
        pending=[_pending(entry) for entry in pending],
        queued=queue[0],
        dropped=queue[1],
    )


def _is_address(text: object) -> bool:
    """Tell whether this may be an IPv6 address, longer than a label may be."""
    return isinstance(text, str) and len(text) <= 64 and text.isprintable()


def _pending(entry: Any) -> tuple[str, int, int]:
    """Check one entry of a status' list of pending boots."""
    if type(entry) is not list or len(entry) != 3:
        raise ProtocolError("member", "pending is a list of [boot, first, last]")
    boot, first, last = entry
    if not is_boot(boot):
        raise ProtocolError("range", f"boot = {boot!r:.40} is no boot id")
    if type(first) is not int or type(last) is not int:
        raise ProtocolError("member", "first and last of a pending boot are numbers")
    if not (0 <= first <= last + 1 <= SEQ_END):
        raise ProtocolError(
            "range", f"pending {first}..{last} of boot {boot} is no range"
        )
    return boot, first, last


def encode_ack(ack: Ack) -> bytes:
    """Write an acknowledgement.

    Parameters
    ----------
    ack : Ack
        What is settled.

    Returns
    -------
    bytes
        Payload for the topic ``ack``.

    Examples
    --------
    >>> encode_ack(Ack("a0b765112233", "2a-9f3c1d77", 1180, [(1190, 1199)]))
    b'{"v":1,"boot":"2a-9f3c1d77","seq":1180,"have":[[1190,1199]]}'
    """
    have = ",".join([f"[{first},{last}]" for first, last in ack.have[:MAX_HAVE]])
    return b'{"v":1,"boot":"%s","seq":%d,"have":[%s]}' % (
        ack.boot.encode(),
        ack.seq,
        have.encode(),
    )


def decode_ack(payload: bytes, device: str = "") -> Ack:
    """Read and check an acknowledgement, as a device does.

    Parameters
    ----------
    payload : bytes
        As received on the device's topic ``ack``.
    device : str
        The device, from the topic.

    Raises
    ------
    ProtocolError
        With the reason.
    """
    message = read_json(payload)
    _check_version(message)
    boot, seq, have = message.get("boot"), message.get("seq"), message.get("have")
    if not isinstance(boot, str) or not is_boot(boot):
        raise ProtocolError("range", f"boot = {boot!r:.40} is no boot id")
    if type(seq) is not int or not -1 <= seq < SEQ_END:
        raise ProtocolError("range", f"seq = {seq!r:.40} is no sequence number")
    if type(have) is not list or len(have) > MAX_HAVE:
        raise ProtocolError("member", f"have is a list of at most {MAX_HAVE} ranges")
    for pair in have:
        if (
            type(pair) is not list
            or len(pair) != 2
            or not all(type(x) is int for x in pair)
            or not seq < pair[0] <= pair[1] < SEQ_END
        ):
            raise ProtocolError("range", f"have {pair!r:.40} is no range above {seq}")
    return Ack(device, boot, seq, [(first, last) for first, last in have])


def derive_command_key(master: bytes, device: str) -> bytes:
    """Return the key that signs the commands of one device.

    .. math:: key = HMAC_{SHA256}(master, "command:" + device)

    Parameters
    ----------
    master : bytes
        Secret of the fleet, at least 32 bytes.
    device : str
        Name of the device.

    Returns
    -------
    bytes
        32 bytes, stored on the device when it is set up.

    References
    ----------
    Krawczyk, Bellare & Canetti (1997), RFC 2104.
    """
    if len(master) < 32:
        raise ProtocolError(
            "signature", f"a fleet secret of {len(master)} bytes; it takes at least 32"
        )
    if not is_device(device):
        raise ProtocolError("topic", f"{device!r} is not the name of a device")
    return hmac.digest(master, b"command:" + device.encode(), "sha256")


def encode_command(key: bytes, command: Command) -> bytes:
    """Write and sign a command.

    Parameters
    ----------
    key : bytes
        Of the device, see `derive_command_key`.
    command : Command
        What to do.

    Returns
    -------
    bytes
        Payload for the topic ``cmd``; its signature is over all bytes before
        ``,"sig":``.

    Raises
    ------
    ProtocolError
        If the command itself is malformed.
    """
    _check_command(command)
    body = write_json(
        {
            "v": VERSION,
            "id": command.id,
            "cmd": command.cmd,
            "args": command.args,
            "after": command.after,
            "before": command.before,
        }
    )
    opened = body[:-1].encode()
    return b'%s,"sig":"%s"}' % (opened, sign(key, opened).encode())


def sign(key: bytes, text: bytes) -> str:
    """Return the signature of a text, 64 hexadecimal digits."""
    return hmac.digest(key, text, "sha256").hex()


def decode_command(key: bytes, payload: bytes) -> Command:
    """Verify and read a command, as a device does; its times are not judged.

    Raises
    ------
    ProtocolError
        Reason ``signature`` if it was not signed with this key; others if it is
        malformed.
    """
    cut = payload.rfind(b',"sig":"')
    given = payload[cut + 8 : -2]
    if (
        cut < 0
        or payload[-2:] != b'"}'
        or not hmac.compare_digest(sign(key, payload[:cut]).encode(), given)
    ):
        raise ProtocolError(
            "signature", "a command that was not signed for this device"
        )
    message = read_json(payload)
    _check_version(message)
    try:
        command = Command(
            message["id"],
            message["cmd"],
            message["args"],
            message["after"],
            message["before"],
        )
    except KeyError as error:
        raise ProtocolError("member", f"no member {error} in a command") from None
    _check_command(command)
    return command


def _check_command(command: Command) -> None:
    if not isinstance(command.id, str) or not _ID.fullmatch(command.id):
        raise ProtocolError(
            "range", f"id = {command.id!r:.40} is not c-<16 hex digits>"
        )
    if not isinstance(command.cmd, str) or not _CMD.fullmatch(command.cmd):
        raise ProtocolError("range", f"cmd = {command.cmd!r:.40} is no lower-case word")
    if type(command.args) is not dict:
        raise ProtocolError("member", "args of a command is an object")
    for name in ("after", "before"):
        value = getattr(command, name)
        if type(value) is not int or not 0 <= value < TIME_END:
            raise ProtocolError("range", f"{name} = {value!r:.40} is not ms since 1970")


def _check_version(message: dict[str, Any]) -> None:
    version = message.get("v")
    if version != VERSION or type(version) is not int:
        raise ProtocolError("version", f"version {version!r:.40}; this side knows 1")


def as_ranges(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Gather numbers into closed ranges.

    Examples
    --------
    >>> as_ranges([3, 1, 2, 7])
    [(1, 3), (7, 7)]
    """
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(numbers)):
        if ranges and ranges[-1][1] == number - 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return ranges
