"""``tilth fleet firmware``: keys, bundles, releases and roll-outs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import typer

from tilth.cli.fleet_people import FOLDER, known_fleet

firmware = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@firmware.callback()
def _firmware() -> None:
    """Firmware of the chambers: signed bundles and their roll-out."""


@firmware.command()
def keys(
    file: Path = typer.Argument(
        metavar="KEY", help="New private key; keep it off line."
    ),
) -> None:
    """Make a key that firmware is signed with, and print its public half."""
    from tilth.core.errors import InputError
    from tilth.fleet.credentials import write_private

    if file.exists():
        raise InputError(f"{file} exists: a key is never overwritten")
    build = _build()
    key = build.new_key()
    write_private(file, key)
    typer.echo(build.public_key(key))


@firmware.command()
def trust(
    folder: Path = FOLDER,
    key: str = typer.Argument(help="Public key, 64 hexadecimal digits."),
) -> None:
    """Say whose firmware this fleet takes; before chambers are enrolled."""
    from tilth.fleet.control import open_control
    from tilth.fleet.releases import trust as take

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open_control(folder) as control:
        take(control, key, by="command line")


@firmware.command()
def build(
    key: Path = typer.Option(..., metavar="KEY", help="Private key to sign with."),
    serial: int = typer.Option(..., help="Higher than that of all bundles before."),
    out: Path = typer.Option(Path("."), metavar="FOLDER", help="Where to write."),
    source: Path | None = typer.Option(
        None, metavar="FOLDER", help="Package of the firmware; ours by default."
    ),
    downgrade: bool = typer.Option(
        False, "--downgrade", help="Pin an older version on purpose."
    ),
) -> None:
    """Make a signed bundle of the firmware."""
    import json

    maker = _build()
    package = source or maker.FOLDER
    version = maker.version_of(package)
    bundle = maker.make_bundle(package)
    manifest = maker.make_manifest(
        bundle, version, serial, key.read_text("ascii"), downgrade=downgrade
    )
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"tilth-{version}.bundle"
    path.write_bytes(bundle)
    path.with_suffix(".json").write_text(json.dumps(manifest, indent=1))
    typer.echo(f"version {version}, {len(bundle)} bytes: {path} and its .json")


@firmware.command()
def add(
    folder: Path = FOLDER,
    bundle: Path = typer.Argument(metavar="BUNDLE", help="Its .json lies beside it."),
    url: str = typer.Option(
        "", help="Address of the pages as chambers reach it; public_url by default."
    ),
) -> None:
    """Check a bundle as a chamber would, and hold it for a roll-out."""
    from tilth.core.errors import InputError
    from tilth.fleet.config import read_config
    from tilth.fleet.control import open_control
    from tilth.fleet.releases import add_release

    address = url or read_config(known_fleet(folder)).public_url
    if not address:
        raise InputError("chambers fetch the bundle from the pages: give --url")
    with open_control(folder) as control:
        held = add_release(
            control,
            bundle.read_bytes(),
            bundle.with_suffix(".json").read_bytes(),
            address,
            by="command line",
        )
    typer.echo(f"version {held['version']} is held: {held['url']}")


@firmware.command()
def rollout(
    folder: Path = FOLDER,
    version: str = typer.Argument(help="A version that is held."),
) -> None:
    """Begin a roll-out: one chamber, then five, then all; the service goes on."""
    from tilth.fleet.control import open_control
    from tilth.fleet.rollout import Rollouts
    from tilth.fleet.summary import devices_now

    known = known_fleet(folder)
    with open_control(known) as control:
        rollouts = Rollouts(control, _never, lambda: devices_now(known), control.clock)
        number = rollouts.start(version, "command line")
    typer.echo(
        f"roll-out {number} of {version} begins with the next look of the service"
    )


def _never(*_: object) -> str:
    """Stand in for sending, which is the service's."""
    raise AssertionError("the command line sends nothing")


def _build() -> ModuleType:
    """Import the maker of bundles that comes with the firmware."""
    import importlib.util

    from tilth.fleet.simulate.firmware import firmware_path

    path = firmware_path() / "boot" / "build.py"
    spec = importlib.util.spec_from_file_location("tilth_firmware_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
