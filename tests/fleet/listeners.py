"""Small servers that hear what alarms say: one for HTTP, one for mail."""

import http.server
import json
import socketserver
import threading
from contextlib import contextmanager


class _Http(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.heard.append((self.path, dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status in (301, 302, 307):
            self.send_header("Location", f"{self.server.url}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *args):
        pass


class _Mail(socketserver.StreamRequestHandler):
    def handle(self):
        def say(line):
            self.wfile.write(f"{line}\r\n".encode())

        say("220 here")
        lines, letter = None, {"to": []}
        while line := self.rfile.readline():
            text = line.decode().rstrip("\r\n")
            word = text.upper()
            if lines is not None:
                if text == ".":
                    letter["text"] = "\n".join(lines)
                    self.server.heard.append(letter)
                    lines, letter = None, {"to": []}
                    say("250 taken")
                else:
                    lines.append(text[1:] if text.startswith("..") else text)
            elif word.startswith(("EHLO", "HELO")):
                say("250-here")
                say("250 AUTH PLAIN")
            elif word.startswith("AUTH"):
                self.server.logins.append(text)
                refused = self.server.answers and self.server.answers.pop(0) == 535
                say(f"535 no {text}" if refused else "235 in")
            elif word.startswith("MAIL"):
                letter["from"] = text.split(":", 1)[1]
                say("250 ok")
            elif word.startswith("RCPT"):
                letter["to"].append(text.split(":", 1)[1].split(" ")[0])
                say("250 ok")
            elif word == "DATA":
                lines = []
                say("354 go on")
            elif word == "QUIT":
                say("221 bye")
                return
            else:
                say("250 ok")


@contextmanager
def _serving(server):
    server.heard, server.logins, server.answers = [], [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def http_server():
    """A server that remembers posts (`heard`) and answers as told (`answers`)."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Http)
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    server.bodies = lambda: [json.loads(body) for _, _, body in server.heard]
    with _serving(server):
        yield server


@contextmanager
def mail_server():
    """A server that remembers mails (`heard`)."""
    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)) as server:
        server.port = server.server_address[1]
        yield server
