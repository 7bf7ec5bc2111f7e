"""Servers to be killed: forked from a process that has imported everything already.

As a program this file is the zygote: it reads one line of JSON per server, forks it,
and answers with its process number; the server itself writes a line when devices can
connect. As a module it gives `Zygote`, which a test holds.

A server is broker, ingest and journal in one process, as ``tilth serve`` runs them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path


class Zygote:
    """Starts servers in a few milliseconds each.

    Parameters
    ----------
    environment : dict, optional
        Added to the environment of the zygote and so of its servers.
    whole : bool
        Prepare for servers that are the whole service.
    """

    def __init__(
        self, environment: dict[str, str] | None = None, *, whole: bool = False
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, *(["whole"] if whole else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
        self._buffer = b""
        assert self._line(120.0) == {"zygote": True}

    def _line(self, timeout: float = 30.0) -> dict:
        out = self._process.stdout
        end = time.monotonic() + timeout
        while b"\n" not in self._buffer:
            left = end - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise TimeoutError("the zygote does not answer")
            data = os.read(out.fileno(), 65536)
            if not data:
                raise RuntimeError("the zygote has died")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return json.loads(line)

    def spawn(self, folder: Path, port: int, **options) -> int:
        """Fork a server; return its process number at once.

        Options
        -------
        remote : [port]
            Use the broker on this port of this machine instead of the embedded one.
        die : str
            Where it kills itself: ``opening``, ``before_commit``,
            ``after_commit``, ``between_acks``.
        after : int
            How often it passes there before.
        disk : str
            Log all it does to its files (`disk.c` must be preloaded).
        die_at, torn : int, bool
            Die right before this change of a file, or in the middle of it.
        checkpoint : int
            Write the log back into the file when it is longer, bytes.
        group_ms : int
            As in `Ingest`.
        version : int
            As in `MqttLink`.
        whole : bool
            All of ``tilth serve`` but the pages, with real credentials.
        """
        request = {"folder": str(folder), "port": port, **options}
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        answer = self._line()
        while "pid" not in answer:  # a line of a server killed meanwhile
            answer = self._line()
        return answer["pid"]

    def ready(self, pid: int, timeout: float = 30.0) -> None:
        """Wait until a server takes connections."""
        while self._line(timeout).get("ready") != pid:
            pass

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send a server a signal; it may have killed itself before."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def wait(self, pid: int, timeout: float = 10.0) -> None:
        """Wait until a server has ended."""
        end = time.monotonic() + timeout
        while is_alive(pid):
            if time.monotonic() > end:
                raise TimeoutError(f"server {pid} does not end")
            time.sleep(0.0005)

    def close(self) -> None:
        """End the zygote."""
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (one that has ended but is not reaped does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class LetIn:
    """Lets every device in whose password is "pw"."""

    def log_in(self, user, password):
        """Return who it is."""
        from tilth.fleet.broker_rules import Principal

        return Principal(user, "device") if password == "pw" else None

    def log_in_certified(self, name):
        """Certificates are not used."""

    def stamps(self):
        """Return a table in which everybody is."""
        return _Everybody()


class _Everybody(dict):
    def get(self, key, default=None):
        return "1"


def main() -> None:
    """Fork a server for every line; reap those that ended."""
    import sqlite3  # noqa: F401

    import tilth.fleet.broker
    import tilth.fleet.ingest
    import tilth.fleet.journal
    import tilth.fleet.mqtt  # noqa: F401

    if "whole" in sys.argv:
        # It imports as it goes and compiles; what is forked has done so already.
        from tilth.fleet.config import FleetConfig
        from tilth.fleet.service import FleetService

        with tempfile.TemporaryDirectory() as folder:
            service = FleetService(folder, FleetConfig(mqtt_port=0))
            service.start()
            service.stop()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _say(zygote=True)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        pid = os.fork()
        if pid:
            _say(pid=pid)
            continue
        try:
            (serve_whole if request.pop("whole", False) else serve)(**request)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)


def _say(**line) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


def serve(
    folder: str,
    port: int,
    remote: int | None = None,
    die: str = "",
    after: int = 0,
    disk: str = "",
    die_at: int = 0,
    torn: bool = False,
    checkpoint: int = 0,
    group_ms: int = 5,
    version: int | None = None,
) -> None:
    """Run a server until SIGTERM (or worse)."""
    import tilth.fleet.journal
    from tilth.fleet.broker import BrokerSettings, EmbeddedBroker
    from tilth.fleet.ingest import Ingest
    from tilth.fleet.journal import Journal
    from tilth.fleet.mqtt import MqttLink

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stop = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(stop[1], b"x"))
    left = after

    def pass_by(place: str) -> None:
        nonlocal left
        if place == die:
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
                time.sleep(10)
            left -= 1

    random.seed()
    if checkpoint:
        tilth.fleet.journal.CHECKPOINT_BYTES = checkpoint
    if disk:
        begin = ctypes.CDLL(None).disk_begin
        begin.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_int)
        assert begin(folder.encode(), disk.encode(), die_at, torn) >= 0
    pass_by("opening")
    journal = _wait_for_lock(lambda: Journal(Path(folder) / "journal.sqlite"))
    commit = journal.commit

    def guarded(messages):
        pass_by("before_commit")
        acks = commit(messages)
        pass_by("after_commit")
        return acks

    journal.commit = guarded
    link = broker = None

    def publish(topic: str, payload: bytes) -> None:
        (link or broker).publish(topic, payload)
        pass_by("between_acks")

    if remote is None:
        ingest = Ingest(journal, publish, group_ms=group_ms)
        settings = BrokerSettings(port=port)
        broker = EmbeddedBroker(settings, LetIn(), ingest.put)
        broker.start()
    else:
        ingest = Ingest(
            journal, publish, group_ms=group_ms, settled=lambda t: link.settle(t)
        )
        link = MqttLink(
            ingest.put,
            "127.0.0.1",
            remote,
            user="tilth",
            password="pw",
            version=version,
        )
        link.start()
        while not link.connected:
            time.sleep(0.002)
    _say(ready=os.getpid())
    os.read(stop[0], 1)
    ingest.close()
    (link.close if link else broker.stop)()
    journal.close()


def serve_whole(folder: str, port: int) -> None:
    """Run the service as ``tilth serve`` does until SIGTERM (or worse)."""
    from tilth.fleet.config import FleetConfig
    from tilth.fleet.service import FleetService

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    stop = os.pipe()
    signal.signal(signal.SIGTERM, lambda *_: os.write(stop[1], b"x"))
    service = FleetService(folder, FleetConfig(mqtt_port=port))
    _wait_for_lock(service.start)
    _say(ready=os.getpid())
    os.read(stop[0], 1)
    service.stop()


def _wait_for_lock(make):
    """Open the journal; the one who was killed may hold it for another moment."""
    from tilth.fleet.journal import JournalError

    for _ in range(200):
        try:
            return make()
        except JournalError:
            time.sleep(0.005)
    return make()


if __name__ == "__main__":
    main()
