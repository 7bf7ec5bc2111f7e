"""Fetching one file of known size over HTTP, a piece per step."""

READ = 1024
MAX_HEAD = 4096
SILENT_MS = 30_000


class Failed(Exception):
    """It did not come; the text is the reason."""


def split(url):
    """Return (tls, host, port, path) of an address; Failed if it is none."""
    scheme, slashes, rest = url.partition("://")
    place, _, path = rest.partition("/")
    host, colon, port = place.partition(":")
    if scheme not in ("http", "https") or not slashes or not host or len(url) > 500:
        raise Failed("url")
    for letter in url:
        if not " " < letter < "\x7f":
            raise Failed("url")
    default = 443 if scheme == "https" else 80
    try:
        return scheme == "https", host, int(port) if colon else default, "/" + path
    except ValueError:
        raise Failed("url")


class Fetch:
    """One download.

    Parameters
    ----------
    net : object
        The hardware's network.
    url : str
        Where it is.
    size : int
        Bytes it must have.
    take : callable
        Called with each piece.
    now : int
        Ticks, ms.
    """

    def __init__(self, net, url, size, take, now):
        tls, host, port, path = split(url)
        place = url.split("/")[2]
        self._size = size
        self._take = take
        self._head = b""
        self._in_head = True
        self._got = 0
        self._heard = now
        request = f"GET {path} HTTP/1.1\r\nHost: {place}\r\nAccept: */*\r\n"
        self._out = (request + "Connection: close\r\n\r\n").encode()
        self._conn = net.connect(host, port, tls)

    def step(self, now):
        """Move on; True when all is there.

        Raises
        ------
        Failed, OSError
            It will not come this time.
        """
        if now - self._heard > SILENT_MS:
            raise Failed("silent")
        if not self._conn.ready():
            return False
        if self._out:
            n = self._conn.send(self._out)
            self._out = self._out[n:]
            return False
        data = self._conn.recv(READ)
        if data is None:
            return False
        if not data:
            raise Failed("closed early")
        self._heard = now
        if self._in_head:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                if len(self._head) > MAX_HEAD:
                    raise Failed("head")
                return False
            self._read_head(self._head[:end])
            self._in_head = False
            data = self._head[end + 4 :]
            self._head = b""
        self._got += len(data)
        if self._got > self._size:
            raise Failed("too long")
        if data:
            self._take(data)
        return self._got == self._size

    def _read_head(self, head):
        lines = head.split(b"\r\n")
        words = lines[0].split(b" ")
        if len(words) < 2 or not words[0].startswith(b"HTTP/1."):
            raise Failed("no answer of HTTP")
        if words[1] != b"200":
            raise Failed("status " + "".join([chr(c) for c in words[1][:3]]))
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                if value.strip() != str(self._size).encode():
                    raise Failed("another size")
                return
        raise Failed("no size")

    def close(self):
        """Hang up."""
        try:
            self._conn.close()
        except OSError:
            pass
