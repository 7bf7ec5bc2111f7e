"""``tilth serve``: a fleet's service and its pages, in one process."""

from __future__ import annotations

from pathlib import Path

import typer

app = typer.Typer(rich_markup_mode=None)


@app.command()
def serve(
    folder: Path = typer.Argument(
        metavar="DIR", help="Data folder of the fleet; made when absent."
    ),
    port: int | None = typer.Option(
        None, help="Port of the pages; 0 takes a free one."
    ),
    mqtt_port: int | None = typer.Option(None, help="Port of the embedded broker."),
    broker: str | None = typer.Option(
        None, metavar="ADDRESS", help="Another broker, such as mqtts://host:8883."
    ),
) -> None:
    """Run a fleet: broker, ingest, fluxes, alarms and pages; Ctrl-C ends it.

    Settings are in DIR/tilth.yaml; what is given here holds for this run.
    """
    import signal
    import threading
    from dataclasses import replace

    from tilth.fleet.config import read_config
    from tilth.fleet.service import FleetService
    from tilth.web.app import build_app
    from tilth.web.server import WebServer
    from tilth.web.settings import LOCAL_HOSTS, WebSettings

    config = read_config(folder)
    if port is not None:
        config = replace(config, web_port=port)
    if mqtt_port is not None:
        config = replace(config, mqtt_port=mqtt_port)
    if broker is not None:
        config = replace(config, broker=broker)
    token = None
    if config.read_token_file:
        token = Path(config.read_token_file).read_text("utf-8").strip()
    pages = WebSettings(
        hosts=(*LOCAL_HOSTS, *config.web_names),
        read_needs_login=config.read_needs_login,
        read_token=token,
        https=config.public_url.startswith("https:"),
        title=config.title,
    )
    done = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: done.set())
    with FleetService(folder, config) as service:
        web = WebServer(
            build_app(service, pages),
            config.web_host,
            config.web_port,
            behind_proxy=bool(config.public_url),
        )
        with web:
            heard = (
                f"chambers: {config.listen}:{service.mqtt_port}"
                if config.embedded
                else f"chambers by {config.broker}"
            )
            typer.echo(f"pages: {web.url}   {heard}   data: {folder}")
            done.wait()
            typer.echo("stopping: what was received is being stored", err=True)
