"""Settings of the web application."""

from __future__ import annotations

from dataclasses import dataclass

#: Names a browser on the same machine uses.
LOCAL_HOSTS = ("localhost", "127.0.0.1", "[::1]")

#: Greatest body of a request that changes something, bytes.
FORM_LIMIT = 64 * 1024

#: Greatest firmware upload, bytes: a device takes 512 KiB at most.
UPLOAD_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How the web application is offered.

    Parameters
    ----------
    hosts : tuple of str
        Names and addresses under which it may be asked for; a request with another
        ``Host`` is refused, so that no foreign name can be bound to it. ``"*"``
        permits all.
    read_needs_login : bool
        Whether reading, too, is for those who have logged in.
    read_token : str or None
        Lets programs (Grafana, Prometheus) read without a log-in: sent as
        ``Authorization: Bearer ...``. Never shown, never logged.
    https : bool
        Whether browsers reach it by HTTPS (own certificate or a proxy): cookies then
        travel encrypted only.
    session_hours : float
        Hours until a log-in ends.
    max_live_clients : int
        Live streams served at a time; the next one is told to come back.
    title : str
        Name of the fleet, on every page.
    """

    hosts: tuple[str, ...] = LOCAL_HOSTS
    read_needs_login: bool = False
    read_token: str | None = None
    https: bool = False
    session_hours: float = 12.0
    max_live_clients: int = 64
    title: str = "Chamber fleet"

    def __repr__(self) -> str:
        """Show everything but the token."""
        return (
            f"WebSettings(hosts={self.hosts!r}, "
            f"read_needs_login={self.read_needs_login}, "
            f"read_token={'set' if self.read_token else None}, https={self.https}, "
            f"session_hours={self.session_hours}, "
            f"max_live_clients={self.max_live_clients}, title={self.title!r})"
        )
