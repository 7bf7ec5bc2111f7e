"""A web server with one file, for `FakeNet.peers`, with the faults of such servers."""


class FakeWeb:
    """Serves `body` at every path.

    Attributes
    ----------
    fault : str or None
        "truncated", "longer", "other_size", "no_size", "missing", "redirect", "silent",
        "garbage", "flipped" or "endless_head".
    faults : int
        So many answers have the fault; then all is well.
    requests : list of bytes
        What was asked.
    """

    def __init__(self, body, fault=None, faults=10**9):
        self.body, self.fault, self.faults = body, fault, faults
        self.requests = []

    def __call__(self):
        """Make the peer of a new connection."""
        return self

    def received(self, conn, data):
        """Answer a request."""
        if not hasattr(conn, "request"):
            conn.request = b""
        conn.request += data
        if not conn.request.endswith(b"\r\n\r\n"):
            return
        self.requests.append(conn.request)
        fault = self.fault if self.faults > 0 else None
        self.faults -= 1
        body = bytearray(self.body)
        head = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: %d\r\n\r\n" % len(body)
        if fault == "truncated":
            body = body[: len(body) // 2]
        elif fault == "longer":
            body += b"x"
        elif fault == "other_size":
            head = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
        elif fault == "no_size":
            head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        elif fault == "missing":
            head, body = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n", b"no"
        elif fault == "redirect":
            head, body = b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n", b""
        elif fault == "silent":
            return
        elif fault == "garbage":
            head, body = b"\0\xff" * 50, b"\r\n\r\n"
        elif fault == "flipped":
            body[len(body) // 2] ^= 1
        elif fault == "endless_head":
            head, body = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2000, b""
        data = bytes(head) + bytes(body)
        for at in range(0, len(data), 1400):
            conn.deliver(data[at : at + 1400])
        if fault in ("truncated", "longer"):
            conn.hang_up()
