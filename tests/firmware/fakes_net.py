"""A network in memory: non-blocking connections to a peer written in the test.

A peer is any object with `opened(conn)`, `received(conn, data)` and
`closed(conn)` (each optional); it answers with `conn.deliver(data)` and hangs up
with `conn.hang_up()`.
"""


class FakeNet:
    """What `hw.net` offers, with the faults of a real link.

    Attributes
    ----------
    online : bool
        False: `up()` is false, connects fail, nothing flows.
    peers : dict
        (host, port) to a peer, or to a callable that makes one per connection.
    udp_peers : dict
        (host, port) to a callable(data, now_ms) that returns an answer or None.
    latency_ms : int
        Each way, also of the connect.
    segment : int or None
        Most bytes a `send` takes or a `recv` returns at once (1: byte by byte).
    blackhole : bool
        Half-open: sends succeed and go nowhere, nothing arrives, nobody says so.
    drop_up, drop_down : bool
        Swallow one direction only.
    """

    def __init__(self, hw):
        self.hw = hw
        self.online = True
        self.peers = {}
        self.udp_peers = {}
        self.latency_ms = 0
        self.segment = None
        self.blackhole = False
        self.drop_up = False
        self.drop_down = False
        self.connections = []

    def up(self):
        """Whether the device has joined the network."""
        return self.online

    def connect(self, host, port, tls=None):
        """Begin a connection; `ready()` says when it stands."""
        if not self.online:
            raise OSError(113)
        conn = FakeConn(self, host, port, tls)
        self.connections.append(conn)
        return conn

    def udp(self, host, port):
        """A datagram socket to one host."""
        if not self.online:
            raise OSError(113)
        return FakeUdp(self, host, port)

    def cut(self):
        """Break every standing connection, as an access point does that restarts."""
        for conn in self.connections:
            conn.broken = True
        self.connections = []

    def next_arrival(self):
        """True time at which something in flight arrives, or None (for runners)."""
        times = [c.inbox[0][0] for c in self.connections if c.inbox]
        return min(times) if times else None

    def serve_ntp(self, host="ntp", port=123, offset_ms=0, stratum=2):
        """Answer SNTP as the true time plus `offset_ms` (int or callable)."""

        def answer(data, _now):
            ms = self.hw.utc_ms() + self.latency_ms
            ms += offset_ms() if callable(offset_ms) else offset_ms
            stamp = (((ms // 1000 + 2208988800) % 2**32) << 32) + (
                ((ms % 1000) << 32) // 1000
            )
            reply = bytearray(48)
            reply[0] = 0x24
            reply[1] = stratum
            reply[24:32] = data[40:48]
            for at in (16, 32, 40):
                reply[at : at + 8] = stamp.to_bytes(8, "big")
            return bytes(reply)

        self.udp_peers[(host, port)] = answer


class FakeConn:
    """One stream connection, seen from the device."""

    def __init__(self, net, host, port, tls):
        self.net, self.host, self.port, self.tls = net, host, port, tls
        self.opens_at = net.hw.true_ms + net.latency_ms
        self.peer = None
        self.broken = False
        self.ended = False
        self.inbox = []
        self.sent = 0

    # --- what the firmware calls

    def ready(self):
        """True once connected; raises OSError when refused or broken."""
        if self.broken or not self.net.online:
            raise OSError(104)
        if self.peer is None:
            if self.net.blackhole or self.net.hw.true_ms < self.opens_at:
                return False
            peer = self.net.peers.get((self.host, self.port))
            if peer is None:
                raise OSError(111)
            self.peer = peer() if callable(peer) else peer
            if hasattr(self.peer, "opened"):
                self.peer.opened(self)
        return True

    def send(self, data):
        """Bytes taken, 0 if the buffer is full."""
        if self.broken or self.ended:
            raise OSError(104)
        if not self.ready():
            return 0
        net = self.net
        n = len(data) if net.segment is None else min(len(data), net.segment)
        self.sent += n
        if not (net.blackhole or net.drop_up):
            self.peer.received(self, bytes(data[:n]))
        return n

    def recv(self, n):
        """Bytes, None if nothing is there yet, b"" if the peer has closed."""
        net = self.net
        if self.broken:
            raise OSError(104)
        if not net.online or net.blackhole:
            return None
        now = net.hw.true_ms
        if not self.inbox:
            return b"" if self.ended else None
        when, data = self.inbox[0]
        if when > now:
            return None
        n = n if net.segment is None else min(n, net.segment)
        part, rest = data[:n], data[n:]
        if rest:
            self.inbox[0] = (when, rest)
        else:
            self.inbox.pop(0)
        return part

    def close(self):
        """Close from the device's side."""
        if self in self.net.connections:
            self.net.connections.remove(self)
        if not self.broken and self.peer is not None and hasattr(self.peer, "closed"):
            self.peer.closed(self)
        self.broken = True

    # --- what the peer calls

    def deliver(self, data):
        """Send to the device."""
        if not (self.net.drop_down or self.net.blackhole or self.broken):
            self.inbox.append((self.net.hw.true_ms + self.net.latency_ms, bytes(data)))

    def hang_up(self):
        """Close from the peer's side."""
        self.ended = True


class FakeUdp:
    """A datagram socket, seen from the device."""

    def __init__(self, net, host, port):
        self.net, self.address = net, (host, port)
        self.inbox = []

    def ready(self):
        """Always."""
        return True

    def send(self, data):
        """Send one datagram; lost ones are sent all the same."""
        net = self.net
        peer = net.udp_peers.get(self.address)
        if peer and net.online and not (net.blackhole or net.drop_up):
            answer = peer(bytes(data), net.hw.true_ms)
            if answer is not None and not net.drop_down:
                self.inbox.append((net.hw.true_ms + 2 * net.latency_ms, answer))
        return len(data)

    def recv(self, n):
        """One datagram, or None."""
        if self.inbox and self.inbox[0][0] <= self.net.hw.true_ms:
            return self.inbox.pop(0)[1][:n]
        return None

    def close(self):
        """Forget it."""
        self.inbox = []
