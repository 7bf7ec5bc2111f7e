"""A reference device: numbered records whose content can be checked, and their queue.

It follows the protocol by the letter and knows nothing of the server's code: a number
is deleted only when an acknowledgement of its own boot covers it. What a record holds
follows from device, boot and number, so that whatever the server stored can be compared
with what was generated, record by record.
"""

from __future__ import annotations

import json
import random
import time
import zlib
from collections import deque
from pathlib import Path

#: Every such record is an event, the others are samples.
EVENT_EVERY = 40
PERIOD_MS = 3000


def salt_of(device: str, boot: str) -> int:
    """Return what makes the records of one boot different from all others."""
    return zlib.crc32(f"{device}/{boot}".encode())


def sample_of(salt: int, seq: int) -> tuple[int, ...]:
    """Return co2, st, rh, at, p, lux, mv, state, flags of a record."""
    h = (seq * 0x9E3779B1 + salt) & 0xFFFFFFFF
    return (
        4000 + h % 6007,
        1500 + (h >> 8) % 1501,
        3000 + (h >> 4) % 5003,
        1400 + (h >> 9) % 1499,
        98000 + (h >> 5) % 5009,
        (h >> 7) % 30011,
        4800 + (h >> 11) % 401,
        2 if seq % 200 > 60 else 5,
        0,
    )


def event_of(salt: int, seq: int, utc0: int) -> tuple[str, dict]:
    """Return kind and body of a record that is an event."""
    if seq == 0:
        return "boot", {"reason": "power", "fw": "1.0.0", "slot": "a", "hw": "core2"}
    if seq % 400 == EVENT_EVERY:
        tick = seq * PERIOD_MS
        return "sync", {"tick": tick, "utc": utc0 + tick, "src": "ntp", "rtt": 12}
    h = (seq * 0x85EBCA6B + salt) & 0xFFFFFFFF
    return "state", {"to": "closed", "cycle": h % 100_000, "why": "swept"}


def is_event(seq: int) -> bool:
    """Tell whether a number is an event's."""
    return seq % EVENT_EVERY == 0


def batch_of(
    device: str, boot: str, seq: int, n: int, low: int, utc0: int, loc: str = "5.10.A"
) -> bytes:
    """Return the payload of records seq .. seq+n-1."""
    salt = salt_of(device, boot)
    samples, events = [], []
    for i in range(n):
        number = seq + i
        if number % EVENT_EVERY:
            row = (i, i * PERIOD_MS, *sample_of(salt, number))
            samples.append(f"[{','.join(map(str, row))}]")
        else:
            kind, body = event_of(salt, number, utc0)
            text = json.dumps(body, separators=(",", ":"))
            events.append(f'[{i},{i * PERIOD_MS},"{kind}",{text}]')
    opened = (
        f'{{"v":1,"boot":"{boot}","seq":{seq},"n":{n},"low":{low},'
        f'"t":{seq * PERIOD_MS},"utc":{utc0 + seq * PERIOD_MS},"src":"ntp",'
        f'"loc":"{loc}","fw":"1.0.0","q":[{n},0],"s":[{",".join(samples)}],'
        f'"e":[{",".join(events)}]'
    ).encode()
    return opened + b',"crc":%d}' % zlib.crc32(opened)


class Boot:
    """One boot's numbers: held from `low` to before `next`."""

    def __init__(self, name: str, utc0: int) -> None:
        self.name = name
        self.utc0 = utc0
        self.low = 0
        self.next = 0


class Device:
    """A device without its network: what it holds and what it would send now.

    Parameters
    ----------
    name : str
        Twelve hexadecimal digits.
    path : path, optional
        File of its queue: with it, `Device(name, path)` goes on where the last one
        was cut.
    live, most : int
        Records of a live batch, and of one from the backlog.
    window : int
        Batches that may be unacknowledged at a time.
    retry : float
        Time without progress before a batch is sent again, s; doubles up to a minute.
    seed : int
        For the nonces of its boots.
    """

    def __init__(
        self,
        name: str,
        path: Path | None = None,
        *,
        live: int = 5,
        most: int = 200,
        window: int = 4,
        retry: float = 5.0,
        seed: int = 0,
    ) -> None:
        self.name = name
        self.live, self.most, self.window, self.retry = live, most, window, retry
        self.boots: dict[str, Boot] = {}
        self.current: Boot | None = None
        self.forged = self.resent = self.batches = 0
        self.latencies: list[float] = []
        self._random = random.Random(f"{name}/{seed}")
        self._grouped = 0
        self._fresh: deque[tuple[str, int, int, float]] = deque()
        self._old: deque[tuple[str, int, int, float]] = deque()
        #: (boot, first, n) -> [when sent, when generated, how often sent]
        self.flying: dict[tuple[str, int, int], list[float]] = {}
        self._stalled_since: float | None = None
        self._log = None
        if path is not None:
            self._restore(path)
            self._log = path.open("ab", buffering=0)

    # The queue

    def _restore(self, path: Path) -> None:
        for line in path.read_bytes().split(b"\n")[:-1] if path.exists() else []:
            kind, boot, number = line.decode().split()
            if kind == "b":
                self.boots[boot] = Boot(boot, int(number))
            elif kind == "g":
                self.boots[boot].next = int(number)
            else:
                self.boots[boot].low = int(number)

    def _note(self, kind: str, boot: str, number: int) -> None:
        if self._log is not None:
            self._log.write(f"{kind} {boot} {number}\n".encode())

    def close(self) -> None:
        """Close the file of the queue."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def power_on(self, utc0: int | None = None) -> Boot:
        """Boot: a new boot id, numbers from 0; what earlier boots hold stays.

        Its time goes faster than the real one, and begins an hour ago.
        """
        if utc0 is None:
            last = self.current
            utc0 = time.time_ns() // 1_000_000 - 3_600_000
            if last is not None:
                utc0 = max(utc0, last.utc0 + last.next * PERIOD_MS + 60_000)
        name = f"{len(self.boots) + 1:x}-{self._random.getrandbits(32):08x}"
        self.current = self.boots[name] = Boot(name, utc0)
        self._note("b", name, utc0)
        self._grouped = 0
        self.reconnected()
        return self.current

    def generate(self, n: int = 1, now: float = 0.0) -> None:
        """Measure: `n` more records; full live batches are ready to go."""
        boot = self.current
        boot.next += n
        self._note("g", boot.name, boot.next)
        while boot.next - self._grouped >= self.live:
            size = min(self.most, boot.next - self._grouped)
            self._fresh.append((boot.name, self._grouped, size, now))
            self._grouped += size

    def acknowledge(self, payload: bytes, now: float = 0.0) -> int:
        """Take an acknowledgement; return how many records were deleted."""
        ack = json.loads(payload)
        boot = self.boots.get(ack["boot"])
        seq = ack["seq"]
        if boot is None or seq >= boot.next:
            self.forged += 1
            return 0
        have = ack["have"]
        for key in list(self.flying):
            name, first, n = key
            if name != boot.name:
                continue
            last = first + n - 1
            if last <= seq or any(a <= first and last <= b for a, b in have):
                sent = self.flying.pop(key)
                if sent[1] >= 0:
                    self.latencies.append(now - sent[1])
        gone = seq + 1 - boot.low
        if gone <= 0:
            return 0
        boot.low = seq + 1
        self._note("a", boot.name, boot.low)
        self._stalled_since = None
        return gone

    @property
    def held(self) -> int:
        """Records generated and not yet deleted."""
        return sum(boot.next - boot.low for boot in self.boots.values())

    # What to send

    def reconnected(self) -> None:
        """Forget what was under way: all that is held is backlog now."""
        self.flying.clear()
        self._fresh.clear()
        self._old.clear()
        for boot in self.boots.values():
            self._old.extend(
                (boot.name, first, min(self.most, boot.next - first), -1.0)
                for first in range(boot.low, boot.next, self.most)
            )
        if self.current is not None:
            self._grouped = self.current.next
        self._stalled_since = None

    def due(self, now: float) -> list[bytes]:
        """Return the batches to publish now: repeated ones, live ones, older ones."""
        out = []
        for key, sent in self.flying.items():
            if now - sent[0] >= min(60.0, self.retry * 2 ** (sent[2] - 1)):
                sent[0] = now
                sent[2] += 1
                self.resent += 1
                out.append(self._payload(*key))
        while len(self.flying) < self.window and (self._fresh or self._old):
            lane = self._fresh or self._old
            # One place of the window stays free for what is live.
            if lane is self._old and self.window > 1 and self._busy():
                break
            name, first, n, born = lane.popleft()
            boot = self.boots[name]
            if first + n <= boot.low or (name, first, n) in self.flying:
                continue
            self.flying[name, first, n] = [now, born, 1]
            out.append(self._payload(name, first, n))
        if not (self.flying or self._fresh or self._old) and self.held:
            # The server hinted that it has all, but some may have been forgotten.
            if self._stalled_since is None:
                self._stalled_since = now
            elif now - self._stalled_since >= self.retry:
                self.reconnected()
        self.batches += len(out)
        return out

    def _busy(self) -> bool:
        return len(self.flying) >= self.window - 1

    def _payload(self, name: str, first: int, n: int) -> bytes:
        boot = self.boots[name]
        return batch_of(self.name, name, first, n, min(boot.low, first), boot.utc0)

    def hello(self) -> bytes:
        """Return the status sent on every connection."""
        pending = [
            [boot.name, boot.low, boot.next - 1]
            for boot in self.boots.values()
            if boot.next > boot.low or boot is self.current
        ]
        return json.dumps(
            {
                "v": 1,
                "online": True,
                "boot": self.current.name,
                "fw": "1.0.0",
                "loc": "5.10.A",
                "ip": "192.0.2.1",
                "pending": pending,
                "q": [self.held, 0],
                "cfg": "",
            },
            separators=(",", ":"),
        ).encode()

    def farewell(self) -> bytes:
        """Return the last will."""
        return b'{"v":1,"online":false,"boot":"%s"}' % self.current.name.encode()


def names(n: int, start: int = 0xA0B765000000) -> list[str]:
    """Return `n` device names."""
    return [f"{start + i:012x}" for i in range(n)]
