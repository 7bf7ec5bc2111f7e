"""MQTT packets on their way: cut out of the stream, and what a device waits for."""

from __future__ import annotations

import json
import re
from typing import Any

_PENDING = re.compile(rb'\["([0-9a-f-]{3,17})",-?\d+,-?\d+\]')
_HEAD = re.compile(rb'"boot":"([0-9a-f-]{3,17})","seq":(\d+),"n":(\d+)')


class Packets:
    """Cuts a byte stream into MQTT packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the packets that are complete."""
        data = self._rest + data if self._rest else bytes(data)
        out, at, size = [], 0, len(data)
        while at + 2 <= size:
            length, shift, start = 0, 0, at + 1
            while start < size:
                byte = data[start]
                length |= (byte & 127) << shift
                start += 1
                shift += 7
                if not byte & 128:
                    break
            else:
                break
            if start + length > size:
                break
            out.append(data[at : start + length])
            at = start + length
        self._rest = data[at:]
        return out


class Waiting:
    """What a device waits for, since when."""

    def __init__(self) -> None:
        # By what is missing: (3, packet id), (boot, last number) or ("greeting", 0).
        self._since: dict[tuple[Any, int], int] = {}
        self.deaf = False

    def since(self) -> int | None:
        """Return since when the oldest answer is missing, None if none is."""
        return next(iter(self._since.values())) if self._since else None

    def give_up(self) -> None:
        """Stop waiting; acknowledgements are waited for again once one has come."""
        self._since.clear()
        self.deaf = True

    def clear(self) -> None:
        """Forget everything: the connection is gone."""
        self._since.clear()

    def dialled(self, t: int) -> None:
        """Note that a connection is being made."""
        self._since["connection", 0] = t

    def sent(self, packet: bytes, t: int) -> None:
        """Note a packet that goes out."""
        kind = packet[0] >> 4
        if kind == 3:
            topic, number, payload = published(packet)
            if number is not None:
                self._since[3, number] = t
            if topic.endswith(b"/d"):
                found = _HEAD.search(payload, 0, 120)
                if found and not self.deaf:
                    boot, seq, n = found.groups()
                    self._since[boot, int(seq) + int(n) - 1] = t
            elif topic.endswith(b"/s") and not self.deaf:
                # Any acknowledgement of a boot answers that it was mentioned.
                for name in _PENDING.findall(payload):
                    self._since[name, -1] = t
        elif kind == 1:
            self._since.pop(("connection", 0), None)
            self._since["greeting", 0] = t
        elif kind == 8:
            self._since["subscription", 0] = t
        elif kind == 12:
            self._since["ping", 0] = t

    def received(self, packet: bytes) -> None:
        """Note a packet that has come."""
        kind = packet[0] >> 4
        if kind == 4:
            self._since.pop((3, packet[2] << 8 | packet[3]), None)
        elif kind == 3:
            topic, _, payload = published(packet)
            if topic.endswith(b"/ack"):
                self.deaf = False
                self._acknowledged(payload)
        elif kind == 2:
            self._since.pop(("greeting", 0), None)
        elif kind == 9:
            self._since.pop(("subscription", 0), None)
        elif kind == 13:
            self._since.pop(("ping", 0), None)

    def _acknowledged(self, payload: bytes) -> None:
        try:
            ack = json.loads(payload)
            boot, seq, have = ack["boot"].encode(), ack["seq"], ack.get("have", [])
        except (ValueError, KeyError, AttributeError):
            return
        mine = [key for key in self._since if key[0] == boot]
        settled = [
            key
            for key in mine
            if key[1] <= seq or any(low <= key[1] <= high for low, high in have)
        ]
        # An answer that settles none is one all the same: something before is missing.
        for key in settled or mine[:1]:
            del self._since[key]


def is_batch(packet: bytes) -> bool:
    """Tell whether a packet publishes a batch."""
    return packet[0] >> 4 == 3 and published(packet)[0].endswith(b"/d")


def published(packet: bytes) -> tuple[bytes, int | None, bytes]:
    """Return topic, packet id and payload of a PUBLISH."""
    at = 1
    while packet[at] & 128:
        at += 1
    at += 1
    end = at + 2 + (packet[at] << 8 | packet[at + 1])
    topic = packet[at + 2 : end]
    if packet[0] & 6:
        return topic, packet[end] << 8 | packet[end + 1], packet[end + 2 :]
    return topic, None, packet[end:]
