"""``tilth fleet broker``: certificates, Mosquitto's passwords, programs that listen."""

from __future__ import annotations

from pathlib import Path

import typer

from tilth.cli.fleet_people import FOLDER, known_fleet, made_fleet

broker = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@broker.callback()
def _broker() -> None:
    """Certificates and log-ins of the broker, ours or Mosquitto."""


@broker.command()
def certificates(
    out: Path = typer.Argument(metavar="FOLDER", help="Of the authority's files."),
    hosts: list[str] = typer.Argument(
        metavar="HOSTS...", help="Names and addresses as chambers use them."
    ),
) -> None:
    """Make a server certificate, and the authority that signs it if there is none."""
    from tilth.fleet.certificates import create_authority, issue_server

    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (out / "ca.pem").exists():
        create_authority(out)
    path = issue_server(out, hosts)
    typer.echo(f"server: {path}   chambers trust: {out / 'ca.pem'}")


@broker.command()
def passwords(
    folder: Path = FOLDER,
    out: Path = typer.Option(..., metavar="FILE", help="Mosquitto's password_file."),
) -> None:
    """Write Mosquitto's password file; then have it read again: kill -HUP."""
    from tilth.fleet.control import master_secret, open_control
    from tilth.fleet.credentials import Credentials

    with open_control(known_fleet(folder)) as control:
        log_ins = Credentials(control, master_secret(folder))
        count = log_ins.write_mosquitto_passwords(out)
    typer.echo(f"{count} may log in: {out}")


@broker.command()
def program(
    folder: Path = FOLDER,
    name: str = typer.Argument(help="Letters, digits and _."),
    role: str = typer.Option(
        "reader", help="reader (listens) or server (an ingest elsewhere)."
    ),
    out: Path = typer.Option(..., metavar="FILE", help="Its password goes here."),
) -> None:
    """Let a program log in to the broker, or give it another password."""
    from tilth.fleet.control import master_secret, open_control
    from tilth.fleet.credentials import Credentials, write_private

    with open_control(made_fleet(folder)) as control:
        log_ins = Credentials(control, master_secret(folder))
        write_private(out, log_ins.add_user(name, role, by="command line") + "\n")
    typer.echo(f"{name} may log in as {role}; its password: {out}")
