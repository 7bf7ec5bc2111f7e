"""``tilth fleet user`` and ``tilth fleet device``: who may do what."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

FOLDER = typer.Argument(metavar="DIR", help="Data folder of the fleet.")

user = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
device = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@user.callback()
def _user() -> None:
    """Accounts of people on the pages."""


@user.command("add")
def add_user(
    folder: Path = FOLDER,
    name: str = typer.Argument(help="Name of the account."),
    role: str = typer.Option("operator", help="viewer, operator or admin."),
    password_stdin: bool = typer.Option(
        False, "--password-stdin", help="Read the password from standard input."
    ),
) -> None:
    """Enter an account, or give a known one another password and role."""
    from tilth.fleet.accounts import add_user as enter
    from tilth.fleet.control import open_control

    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    with open_control(made_fleet(folder)) as control:
        enter(control, name, password, role)
    typer.echo(f"{name} may log in as {role}")


@user.command("list")
def list_users(folder: Path = FOLDER) -> None:
    """List the accounts."""
    from tilth.cli.display import print_table
    from tilth.fleet.accounts import users
    from tilth.fleet.control import open_control

    with open_control(known_fleet(folder)) as control:
        rows = [
            (row["name"], row["role"], "disabled" if row["disabled"] else "")
            for row in users(control)
        ]
    print_table(("name", "role", ""), rows)


@user.command("remove")
def remove_user(
    folder: Path = FOLDER, name: str = typer.Argument(help="Name of the account.")
) -> None:
    """Lock an account out; what it did stays on record."""
    from tilth.fleet.accounts import disable_user
    from tilth.fleet.control import open_control

    with open_control(known_fleet(folder)) as control:
        disable_user(control, name)
    typer.echo(f"{name} can no longer log in")


@device.callback()
def _device() -> None:
    """Chambers that may speak to the broker."""


@device.command("add")
def add_device(
    folder: Path = FOLDER,
    name: str = typer.Argument(metavar="MAC", help="12 hexadecimal digits."),
    host: str = typer.Option(..., help="Broker, as the chamber reaches it."),
    port: int = typer.Option(0, help="Its port; by default 8883, without TLS 1883."),
    ca: Path | None = typer.Option(
        None, metavar="PEM", help="Authority that the chamber trusts; else no TLS."
    ),
    wifi: list[str] = typer.Option(
        [], help="Name of a network; its password is asked for. May be repeated."
    ),
    ntp: str = typer.Option("pool.ntp.org", help="Time server."),
    out: Path = typer.Option(
        ..., metavar="FILE", help="The chamber's secrets: copy it there, then delete."
    ),
) -> None:
    """Enrol a chamber and write its secrets; again: a new password."""
    from tilth.fleet.control import master_secret, open_control
    from tilth.fleet.credentials import (
        Credentials,
        authority_file,
        provisioning,
        write_provisioning,
    )
    from tilth.fleet.releases import KEY_SETTING

    networks = {
        net: typer.prompt(f"Password of {net}", hide_input=True, default="")
        for net in wifi
    }
    with open_control(made_fleet(folder)) as control:
        given = Credentials(control, master_secret(folder)).enrol(name)
        firmware_key = control.setting(KEY_SETTING, "")
    trusted = ca.read_text("ascii") if ca else ""
    content = provisioning(
        given,
        host,
        port=port or (8883 if ca else 1883),
        tls=ca is not None,
        ca=trusted,
        wifi=networks,
        ntp_host=ntp,
        firmware_key=firmware_key,
    )
    write_provisioning(out, content)
    typer.echo(f"{name} is enrolled; its secrets: {out}")
    if trusted:
        authority = out.with_name("ca.der")
        authority.write_bytes(authority_file(trusted))
        typer.echo(f"what it trusts: {authority}")
    if ca is None:
        typer.echo("note: without --ca it speaks without TLS", err=True)


@device.command("list")
def list_devices(folder: Path = FOLDER) -> None:
    """List the enrolled chambers."""
    from tilth.cli.display import print_table
    from tilth.fleet.clock import iso
    from tilth.fleet.control import open_control

    with open_control(known_fleet(folder)) as control:
        rows = [
            (
                row["device"],
                row["name"],
                iso(row["enrolled_at"]),
                "" if row["enabled"] else "locked out",
            )
            for row in control.devices()
        ]
    print_table(("device", "name", "enrolled", ""), rows)


@device.command("revoke")
def revoke_device(
    folder: Path = FOLDER,
    name: str = typer.Argument(metavar="MAC", help="12 hexadecimal digits."),
) -> None:
    """Lock a chamber out, also where it is connected; its data stays."""
    from tilth.fleet.control import master_secret, open_control
    from tilth.fleet.credentials import Credentials

    with open_control(known_fleet(folder)) as control:
        Credentials(control, master_secret(folder)).revoke(name)
    typer.echo(f"{name} is locked out")


def made_fleet(folder: Path) -> Path:
    """Make the data folder, for its owner alone."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def known_fleet(folder: Path) -> Path:
    """Refuse a folder in which there is no fleet, before a file is made in it."""
    from tilth.core.errors import InputError

    if not any((folder / f"{n}.sqlite").exists() for n in ("journal", "control")):
        raise InputError(
            f"{folder} is no data folder of a fleet (no journal.sqlite in it): "
            "tilth serve or tilth fleet simulate make one"
        )
    return folder
