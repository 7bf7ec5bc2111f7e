"""The network of a simulated chamber: real or in-process connections, with outages.

What a chamber sends is looked at packet by packet (MQTT 3.1.1), for two reasons: the
runner has to know what a device waits for, so that virtual time stands still
meanwhile; and batches are repeated, held back or swapped on the way where the plan of
faults says so.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol

from tilth.fleet.simulate.packets import Packets, Waiting, is_batch
from tilth.fleet.simulate.plan import Episode

ECONNRESET, ECONNREFUSED, EHOSTUNREACH = 104, 111, 113

#: A reordered batch waits for the next one, or so long, ms.
OVERTAKEN_MS = 10_000
_SINCE_1900 = 2_208_988_800


class Transport(Protocol):
    """A byte stream to a broker."""

    readable: bool

    def ready(self) -> bool:
        """Tell whether it is connected; OSError if it never will be."""

    def send(self, data: bytes) -> int:
        """Send what fits; return how much."""

    def recv(self) -> bytes | None:
        """Return bytes, None if there are none yet, b"" at the end."""

    def close(self) -> None:
        """Close."""


class SocketTransport:
    """A non-blocking TCP connection."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.readable = False
        self.connected = False
        self.on_close: Callable[[], None] | None = None
        self.socket.connect_ex((host, port))

    def ready(self) -> bool:
        """Tell whether the connection stands."""
        if not self.connected:
            error = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error:
                raise OSError(error)
            try:
                self.socket.getpeername()
            except OSError:
                return False
            self.connected = True
        return True

    def send(self, data: bytes) -> int:
        """Send what the kernel takes."""
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def recv(self) -> bytes | None:
        """Return what the kernel holds."""
        self.readable = False
        try:
            return self.socket.recv(65_536)
        except BlockingIOError:
            return None

    def close(self) -> None:
        """Close."""
        if self.on_close is not None:
            self.on_close()
            self.on_close = None
        self.socket.close()


class Net:
    """What a chamber's firmware knows as `hw.net`.

    Parameters
    ----------
    twin : object
        The chamber; its ``now`` is the true time, UTC ms.
    dial : callable
        Called with host and port; returns a `Transport`.
    episodes : list of Episode
        Faults of this device, among them those of the link.
    random : random.Random
        Which batches are hit.
    """

    #: From the start of the chip to its joining the network, ms.
    JOIN_MS = 2_500

    def __init__(
        self,
        twin: Any,
        dial: Callable[[str, int], Transport],
        episodes: list[Episode],
        random: Any,
    ) -> None:
        self.twin, self.dial, self.random = twin, dial, random
        self.waiting = Waiting()
        self.conn: Conn | None = None
        self.joins_at = 0
        self.faults = [e for e in episodes if e.kind in _LINK]
        self._edge = 0
        self._now_on: dict[str, Episode] = {}

    def booted(self) -> None:
        """Begin to join the network."""
        self.joins_at = self.twin.now + self.JOIN_MS
        self.drop()

    def up(self) -> bool:
        """Tell whether the device has joined the network."""
        return self.twin.now >= self.joins_at and not self._cut()

    def ip(self) -> str:
        """Return an address."""
        return "10.0.0." + str(self.twin.device % 250 + 1)

    def connect(self, host: str, port: int, tls: bool = False) -> Conn:
        """Begin a connection to the broker."""
        self._look()
        if not self.up():
            raise OSError(EHOSTUNREACH)
        if "dns_failure" in self._now_on:
            raise OSError(-2)
        if "broker_down" in self._now_on:
            raise OSError(ECONNREFUSED)
        self.drop()
        self.waiting.dialled(self.twin.now)
        self.conn = Conn(self, self.dial(host, port))
        return self.conn

    def udp(self, host: str, port: int) -> TimeServer:
        """Return a datagram connection: the time server is the only one there is."""
        if not self.up():
            raise OSError(EHOSTUNREACH)
        return TimeServer(self)

    def drop(self) -> None:
        """Break the connection, as a network that goes away does."""
        if self.conn is not None:
            self.conn.cut()
            self.conn = None
        self.waiting.clear()

    def fault(self, kind: str) -> Episode | None:
        """Return the episode of a kind that is on, if one is."""
        self._look()
        return self._now_on.get(kind)

    def _cut(self) -> bool:
        self._look()
        if "wifi_loss" in self._now_on:
            return True
        flap = self._now_on.get("ap_flap")
        if flap is None:
            return False
        return (self.twin.now - flap.t_from) % 60_000 < 1000 * min(flap.size, 55.0)

    def _look(self) -> None:
        """Note which faults have begun or ended."""
        now = self.twin.now
        if now < self._edge:
            return
        self._now_on = {e.kind: e for e in self.faults if e.t_from <= now < e.t_to}
        edges = [t for e in self.faults for t in (e.t_from, e.t_to) if t > now]
        self._edge = min(edges, default=1 << 62)
        if "ap_flap" in self._now_on:
            self._edge = min(self._edge, now + 1000)
        if self.conn is not None and (self._cut() or "broker_down" in self._now_on):
            self.drop()


#: Faults of the link.
_LINK = frozenset(
    ("wifi_loss", "ap_flap", "dns_failure", "broker_down", "ntp_jump", "duplicate",
     "reordered", "late")
)  # fmt: skip


class Conn:
    """One connection, as the firmware sees it."""

    def __init__(self, net: Net, transport: Transport) -> None:
        self.net, self.transport = net, transport
        self.broken = False
        self._up, self._down = Packets(), Packets()
        self._out = b""
        self._in = b""
        self._held: list[tuple[int, bytes]] = []

    # --- what the firmware calls

    def ready(self) -> bool:
        """Tell whether it stands."""
        self._check()
        return self.transport.ready()

    def send(self, data: bytes) -> int:
        """Take bytes; 0 while those before have not gone."""
        self._check()
        if self._out:
            self._flush()
            if len(self._out) > 65_536:
                return 0
        now = self.net.twin.now
        for packet in self._up.feed(data):
            if self.net.faults and is_batch(packet):
                self._meddle(packet, now)
            else:
                self._put(packet, now)
        self._flush()
        return len(data)

    def recv(self, n: int) -> bytes | None:
        """Return bytes, None if nothing is there, b"" once the broker has closed."""
        if self.broken:
            raise OSError(ECONNRESET)
        if self._held or self.net.faults:
            self._check()
            self._release(self.net.twin.now)
        if not self._in:
            if not self.transport.readable:
                return None
            data = self.transport.recv()
            if not data:
                return data
            for packet in self._down.feed(data):
                self.net.waiting.received(packet)
            self._in = data
        part, self._in = self._in[:n], self._in[n:]
        return part

    def close(self) -> None:
        """Close from the device's side."""
        self.cut()
        if self.net.conn is self:
            self.net.conn = None
            self.net.waiting.clear()

    # --- what the network does

    def cut(self) -> None:
        """Break it."""
        if not self.broken:
            self.broken = True
            self.transport.close()

    def _check(self) -> None:
        if self.broken:
            raise OSError(ECONNRESET)
        self.net._look()
        if self.broken:
            raise OSError(ECONNRESET)

    def _flush(self) -> None:
        if self._out:
            n = self.transport.send(self._out)
            self._out = self._out[n:]

    def _meddle(self, packet: bytes, now: int) -> None:
        """Send a batch as the faults of the link let it."""
        net = self.net
        late = net.fault("late")
        swapped = net.fault("reordered")
        again = net.fault("duplicate")
        if late is not None:
            self._held.append((now + int(1000 * abs(late.size)), packet))
            return
        if swapped is not None and net.random.random() < swapped.size:
            self._held.append((now + OVERTAKEN_MS, packet))
            return
        self._put(packet, now)
        if again is not None and net.random.random() < again.size:
            self._out += bytes((packet[0] | 8,)) + packet[1:]
        # What has been overtaken follows.
        held, self._held = self._held, []
        for when, other in held:
            if when - now <= OVERTAKEN_MS:
                self._put(other, now)
            else:
                self._held.append((when, other))

    def _release(self, now: int) -> None:
        """Send what has been held back long enough."""
        held, self._held = self._held, []
        for when, packet in held:
            if when <= now:
                self._put(packet, now)
            else:
                self._held.append((when, packet))
        self._flush()

    def _put(self, packet: bytes, now: int) -> None:
        """Let a packet go out: from now on its answer is waited for."""
        self.net.waiting.sent(packet, now)
        self._out += packet


class TimeServer:
    """The NTP server, reached over the virtual network without delay."""

    def __init__(self, net: Net) -> None:
        self.net = net
        self._answer: bytes | None = None

    def ready(self) -> bool:
        """Answer at once."""
        return True

    def send(self, data: bytes) -> int:
        """Take a question; it is lost while the network is."""
        if self.net.up():
            utc = self.net.twin.now
            jump = self.net.fault("ntp_jump")
            if jump is not None:
                utc += int(1000 * jump.size)
            stamp = (((utc // 1000 + _SINCE_1900) % 2**32) << 32) + (
                ((utc % 1000) << 32) // 1000 + 1
            )
            packed = stamp.to_bytes(8, "big")
            head = bytes((0x24, 2, 6, 0xEC)) + bytes(12)
            self._answer = head + packed + bytes(data[40:48]) + packed + packed
        return len(data)

    def recv(self, n: int) -> bytes | None:
        """Return the answer."""
        answer, self._answer = self._answer, None
        return answer

    def close(self) -> None:
        """Forget the question."""
        self._answer = None
