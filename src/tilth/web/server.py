"""Runs the web application beside the other parts of a service."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn
from starlette.applications import Starlette

from tilth.core.errors import TilthError

#: Seconds that answers under way may still take when the server stops.
_GRACE_S = 3


class WebServer:
    """A web server in a thread of its own.

    Parameters
    ----------
    app : starlette.applications.Starlette
        Of `tilth.web.app.build_app`.
    host : str, optional
        Address to listen on; this machine only by default.
    port : int, optional
        Port; 0 takes a free one.
    certificate, key : str, optional
        Files for HTTPS.
    behind_proxy : bool, optional
        Whether a proxy on this machine tells the address of the browser.

    Examples
    --------
    Start it, look at ``url``, stop it::

        with WebServer(build_app(service), port=8080) as server:
            print(server.url)
    """

    def __init__(
        self,
        app: Starlette,
        host: str = "127.0.0.1",
        port: int = 8080,
        *,
        certificate: str | None = None,
        key: str | None = None,
        behind_proxy: bool = False,
    ) -> None:
        self._app = app
        self._secure = certificate is not None
        self.host = host
        self.port = port
        options: dict[str, Any] = {}
        if certificate is not None:
            options.update(ssl_certfile=certificate, ssl_keyfile=key)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                proxy_headers=behind_proxy,
                timeout_graceful_shutdown=_GRACE_S,
                timeout_keep_alive=20,
                limit_concurrency=512,
                h11_max_incomplete_event_size=64 * 1024,
                lifespan="on",
                **options,
            )
        )
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None

    @property
    def url(self) -> str:
        """Address of the first page."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        shown = "127.0.0.1" if host in ("0.0.0.0", "[::]") else host
        return f"{'https' if self._secure else 'http'}://{shown}:{self.port}"

    def start(self, timeout: float = 15.0) -> None:
        """Listen; return once pages are served.

        Raises
        ------
        TilthError
            If the address is taken or may not be used.
        """
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
        except OSError as error:
            listening.close()
            raise TilthError(
                f"the web pages cannot be served at {self.host}:{self.port} "
                f"({error.strerror}): give another port or address"
            ) from None
        self.port = listening.getsockname()[1]
        self._socket = listening
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._thread.start()
        waited = threading.Event()
        for _ in range(int(timeout / 0.02)):
            if self._server.started or not self._thread.is_alive():
                break
            waited.wait(0.02)
        if not self._server.started:
            self.stop()
            raise TilthError("the web server did not start; its log says why")

    def _run(self) -> None:
        assert self._socket is not None
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Stop listening and end all answers."""
        # Live streams never end by themselves and would use up the grace.
        self._app.state.room.hub.close()
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_GRACE_S + 5)
            self._thread = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def __enter__(self) -> WebServer:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()
