"""What an operator should know, and messages that nobody can read."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from tilth.fleet.clock import DAY_MS
from tilth.fleet.journal_boots import Boot
from tilth.fleet.journal_messages import Happening, Message, Notice
from tilth.fleet.wire import MAX_PAYLOAD, ProtocolError

#: The same is not said again for so long, ms.
_QUIET_MS = 60_000

#: Payloads of one device without a header kept whole in a day; then the begin.
WHOLE_PAYLOADS = 200
_PAYLOAD_BEGIN = 256
#: Beyond these, what settles nothing is only counted.
MOST_POISON = 5_000


@dataclass
class Memory:
    """What outlives a transaction but not the process."""

    #: Device -> UTC of the begin of its latest boot, and that boot.
    newest: dict[str, tuple[int, str]] = field(default_factory=dict)
    #: Topic -> day, and poisonous payloads on it.
    poison: dict[str, tuple[int, int]] = field(default_factory=dict)
    #: Notices given lately: what it was about -> when.
    noticed: dict[tuple[str, ...], int] = field(default_factory=dict)
    #: Boots whose device no longer holds what is missing here.
    gaps: set[tuple[str, str]] = field(default_factory=set)


class Notices:
    """Leaves notices in the table and with those who listen.

    Parameters
    ----------
    connection : sqlite3.Connection
        The writer's, inside a transaction.
    memory : Memory
        What was said lately.
    happenings : list of Happening
        Where they are added.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        memory: Memory,
        happenings: list[Happening],
    ) -> None:
        self._connection = connection
        self._noticed = memory.noticed
        self._happenings = happenings

    def about(self, boot: Boot, what: str, recv: int, body: dict[str, Any]) -> None:
        """Leave a notice about a boot."""
        self.give(recv, boot.device, boot.boot, what, body)

    def give(
        self, recv: int, device: str, boot: str, what: str, body: dict[str, Any]
    ) -> None:
        """Leave a notice, unless the same was said within a minute.

        What was forgotten is said each time: each time it is something else.
        """
        key = (device, boot, what)
        since = recv - self._noticed.get(key, recv - _QUIET_MS)
        if 0 <= since < _QUIET_MS and what != "forgotten":
            return
        if len(self._noticed) > 10_000:
            self._noticed.clear()
        self._noticed[key] = recv
        self._connection.execute(
            "INSERT INTO notices(recv, device, boot, what, body) VALUES(?, ?, ?, ?, ?)",
            (recv, device, boot, what, json.dumps(body)),
        )
        self._happenings.append(Notice(recv, device, boot, what, body))


def keep_poison(
    connection: sqlite3.Connection,
    memory: Memory,
    device: str,
    error: ProtocolError,
    message: Message,
) -> None:
    """Put a message that cannot be read aside, within a transaction.

    The same message again only raises a count, and a device that sends nothing else
    does not fill the disk.
    """
    recv, topic, payload = message.recv, message.topic, message.payload
    day = recv // DAY_MS
    since, times = memory.poison.get(topic, (day, 0))
    times = times + 1 if since == day else 1
    if len(memory.poison) > 100_000:
        memory.poison.clear()
    memory.poison[topic] = (day, times)
    if times > MOST_POISON and error.header is None:
        return
    # What counts as handled is kept whole, always: the device will delete it.
    whole = error.header is not None or times <= WHOLE_PAYLOADS
    kept = MAX_PAYLOAD if whole else _PAYLOAD_BEGIN
    connection.execute(
        "INSERT INTO quarantine(recv, last_recv, topic, device, reason, detail, "
        "boot, seq, n, size, digest, payload) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT(topic, digest) DO UPDATE SET times = times + 1, "
        "last_recv = excluded.last_recv",
        (
            recv,
            recv,
            topic.encode("utf-8", "replace").decode()[:256],
            device,
            error.reason,
            str(error).encode("utf-8", "replace").decode()[:500],
            *(error.header or (None, None, None)),
            len(payload),
            hashlib.sha256(payload).digest()[:16],
            bytes(payload[:kept]),
        ),
    )
