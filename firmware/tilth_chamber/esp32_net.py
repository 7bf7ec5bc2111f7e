"""Sockets of the ESP32 that never block: names, connections, TLS.

Runs on the chip only. Names are resolved in a thread of their own, because the chip's
`getaddrinfo` may take ten seconds and the watchdog bites after eight.
"""

import _thread
import select
import socket
import ssl

import network

IN_PROGRESS = 115
WOULD_BLOCK = 11
NAME_LASTS_MS = 3_600_000
# Time to join before the radio is switched off and on again.
JOIN_MS = 30_000


class Net:
    """The network of one device.

    Parameters
    ----------
    ticks_ms : callable
        The hardware's ticks.
    settings : dict
        `wifi`: list of [name, password], tried in turn; `mqtt_ca`: path of the
        authority's certificate in DER.
    """

    def __init__(self, ticks_ms, settings):
        self.ticks_ms = ticks_ms
        self.settings = settings
        self._station = network.WLAN(network.STA_IF)
        self._joining = -1
        self._since = 0
        self._names = {}
        self._context = None

    def up(self):
        """Tell whether the network is joined; join it if not."""
        if self._station.isconnected():
            return True
        known = self.settings["wifi"]
        now = self.ticks_ms()
        if known and (self._joining < 0 or now - self._since > JOIN_MS):
            self._joining = (self._joining + 1) % len(known)
            self._since = now
            self._station.active(False)
            self._station.active(True)
            self._station.connect(*known[self._joining])
        return False

    def ip(self):
        """Return this device's address."""
        return self._station.ifconfig()[0] if self._station.isconnected() else ""

    def connect(self, host, port, tls):
        """Begin a stream connection."""
        return Connection(self, host, port, self._tls() if tls else None)

    def udp(self, host, port):
        """Return a datagram socket to one host."""
        return Connection(self, host, port, None, socket.SOCK_DGRAM)

    def _tls(self):
        if self._context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.verify_mode = ssl.CERT_REQUIRED
            with open(self.settings.get("mqtt_ca", "/ca.der"), "rb") as f:
                context.load_verify_locations(cadata=f.read())
            self._context = context
        return self._context

    def address(self, host):
        """Return the address of a name, or None while it is being looked up.

        Raises
        ------
        OSError
            If the name has no address; the next call looks again.
        """
        found = self._names.get(host)
        now = self.ticks_ms()
        if found is None or (found[0] and now - found[1] > NAME_LASTS_MS):
            found = self._names[host] = [None, now, None]
            _thread.start_new_thread(_look_up, (host, found))
        if found[2] is not None:
            del self._names[host]
            raise found[2]
        return found[0]


def _look_up(host, found):
    try:
        found[0] = socket.getaddrinfo(host, 0)[0][-1][0]
    except OSError as error:
        found[2] = error


class Connection:
    """A stream or datagram connection that never waits."""

    def __init__(self, net, host, port, context, kind=socket.SOCK_STREAM):
        self._net, self._host, self._port = net, host, port
        self._context = context
        self._kind = kind
        self._socket = self._stream = None

    def ready(self):
        """Tell whether it stands; OSError if it never will."""
        if self._stream is not None:
            return True
        if self._socket is None:
            address = self._net.address(self._host)
            if address is None:
                return False
            self._socket = socket.socket(socket.AF_INET, self._kind)
            self._socket.setblocking(False)
            try:
                self._socket.connect(socket.getaddrinfo(address, self._port)[0][-1])
            except OSError as error:
                if error.args[0] not in (IN_PROGRESS, WOULD_BLOCK):
                    raise
        poll = select.poll()
        poll.register(self._socket, select.POLLOUT)
        events = poll.poll(0)
        if not events:
            return False
        if events[0][1] & (select.POLLERR | select.POLLHUP):
            raise OSError(104)
        self._stream = self._socket
        if self._context is not None:
            # The handshake goes on in the first sends and receives.
            self._stream = self._context.wrap_socket(
                self._socket, server_hostname=self._host, do_handshake_on_connect=False
            )
        return True

    def send(self, data):
        """Return how many bytes were taken, 0 if none just now."""
        if not self.ready():
            return 0
        return self._stream.write(data) or 0

    def recv(self, n):
        """Return bytes, None if none came yet, b"" if the other side has closed."""
        if not self.ready():
            return None
        if self._kind == socket.SOCK_STREAM:
            return self._stream.read(n)
        try:
            return self._socket.recv(n)
        except OSError as error:
            if error.args[0] == WOULD_BLOCK:
                return None
            raise

    def close(self):
        """Close it."""
        for thing in (self._stream, self._socket):
            if thing is not None:
                try:
                    thing.close()
                except OSError:
                    pass
