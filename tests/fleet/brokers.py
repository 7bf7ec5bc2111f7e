"""Real brokers for the tests: Mosquitto as deployed, Mosquitto as it comes."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

DEPLOY = Path(__file__).parents[2] / "deploy" / "mosquitto"

#: As Debian installs it, but on a port of ours and for anybody.
STOCK = """
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/data/
user {user}
"""


#: The same with the limits of deploy/mosquitto.
ROOMY = f"{STOCK}max_inflight_messages 1000\nmax_queued_messages 20000\n"

_USER = pwd.getpwuid(os.getuid()).pw_name


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def find_mosquitto() -> str | None:
    """Return the path of the server, which is often not on a user's PATH."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Mosquitto:
    """A Mosquitto of our own in a folder of its own.

    Parameters
    ----------
    folder : Path
        For its configuration and data.
    config : str
        Text of the configuration; ``{port}`` and ``{folder}`` are filled in.
    """

    def __init__(self, folder: Path, config: str = STOCK) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True, exist_ok=True)
        self.port, self.tls_port, self.certificate_port = (
            free_port() for _ in range(3)
        )
        self._config = config
        self._process: subprocess.Popen | None = None

    @classmethod
    def deployed(cls, folder: Path) -> Mosquitto:
        """Return one with the configuration of deploy/mosquitto, moved to a folder.

        Passwords, certificates and rules are expected in the folder as the
        configuration names them.
        """
        text = (DEPLOY / "mosquitto.conf").read_text()
        shutil.copy(DEPLOY / "acl", folder / "acl")
        (folder / "acl").chmod(0o600)
        for old, new in (
            ("/etc/mosquitto/tilth", "{folder}"),
            ("/var/lib/mosquitto", "{folder}/data"),
            ("listener 8883", "listener {tls_port} 127.0.0.1"),
            ("listener 8884", "listener {certificate_port} 127.0.0.1"),
            ("listener 1883", "listener {port}"),
            ("user mosquitto", "user {user}"),
        ):
            assert text.count(old), f"deploy/mosquitto/mosquitto.conf has no {old}"
            text = text.replace(old, new)
        return cls(folder, text)

    def start(self) -> Mosquitto:
        """Start it; returns when it accepts connections."""
        text = self._config.format(
            port=self.port,
            tls_port=self.tls_port,
            certificate_port=self.certificate_port,
            folder=self.folder,
            user=_USER,
        )
        path = self.folder / "mosquitto.conf"
        path.write_text(text)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_mosquitto(), "-c", str(path)], stdout=log, stderr=log
            )
        for _ in range(500):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError(f"Mosquitto does not start:\n{self.log()}")

    def log(self) -> str:
        """Return all it has logged."""
        return (self.folder / "log").read_text(errors="replace")

    def reload(self) -> None:
        """Let it read its files again."""
        self._process.send_signal(signal.SIGHUP)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it, and wait until it has ended."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def wipe(self) -> None:
        """Delete what it has kept."""
        shutil.rmtree(self.folder / "data")
        (self.folder / "data").mkdir()

    def __enter__(self) -> Mosquitto:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()
