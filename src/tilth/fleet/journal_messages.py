"""What goes into the journal, and what those who listen hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from tilth.fleet.batches import Batch, decode_batch
from tilth.fleet.messages import Status, decode_status
from tilth.fleet.wire import ProtocolError, parse_topic


class Message(NamedTuple):
    """What came over the broker: `recv` is when, ms since 1970 UTC."""

    topic: str
    payload: bytes
    recv: int
    retained: bool = False
    qos: int = 1


class Committed(NamedTuple):
    """A batch that is on disk, with what was new in it.

    `t` is the UTC of the batch's tick (a record's time is ``t + dt``), or None if it
    is not known yet; `new` are the closed ranges of numbers that were not there.
    """

    device: str
    boot: str
    recv: int
    batch: Batch
    t: int | None
    quality: int
    new: tuple[tuple[int, int], ...]


class Retimed(NamedTuple):
    """Records ``first .. last`` of a boot have another time, or one at last."""

    device: str
    boot: str
    first: int
    last: int


class Reported(NamedTuple):
    """A status of a device is on disk."""

    device: str
    recv: int
    status: Status


class Notice(NamedTuple):
    """Something an operator should know, also in the table ``notices``."""

    recv: int
    device: str
    boot: str
    what: str
    body: dict[str, Any]


#: What a commit brought, for those who listen.
Happening = Committed | Retimed | Reported | Notice

#: A message and what it says.
Read = tuple[Message, str, Batch | Status | ProtocolError]


def read_message(message: Message) -> Read:
    """Decode a message; never raises."""
    device = ""
    try:
        device, leaf = parse_topic(message.topic)
        if leaf == "d":
            if message.retained:
                raise ProtocolError("retained", "a batch is never retained")
            return message, device, decode_batch(message.payload)
        if leaf == "s":
            return message, device, decode_status(message.payload)
        raise ProtocolError("topic", f"{leaf!r} is for the server to publish")
    except ProtocolError as error:
        return message, device, error


@dataclass
class Tally:
    """What the journal counts while it runs."""

    messages: int = 0
    batches: int = 0
    records: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    forgotten: int = 0
    statuses: int = 0

    def add(self, other: Tally) -> None:
        """Add the counts of a transaction that was committed."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
