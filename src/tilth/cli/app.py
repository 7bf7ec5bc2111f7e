"""The commands there are, each imported only when it is called."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

#: Command -> where its typer app lives and what ``tilth --help`` says of it.
COMMANDS = {
    "chambers": (
        "tilth.cli.chambers:app",
        "Gas fluxes from closed chambers, and what they show.",
    ),
    "data": (
        "tilth.cli.data:app",
        "Registered datasets: their terms, and getting them.",
    ),
    "fleet": (
        "tilth.cli.fleet:app",
        "Fleets of chambers: simulate, look after, back up, steer.",
    ),
    "forcing": (
        "tilth.cli.forcing:app",
        "Climate fields adjusted, brought to a place, and made complete.",
    ),
    "gnss": (
        "tilth.cli.gnss:app",
        "Reflected signals and positions: ground, snow, water, velocities.",
    ),
    "land": (
        "tilth.cli.land:app",
        "A land surface model, and a fast emulator of any.",
    ),
    "loading": (
        "tilth.cli.loading:app",
        "Displacement by loads of ice and water, and the mass it tells.",
    ),
    "report": (
        "tilth.cli.report:app",
        "Run every study and write one HTML page.",
    ),
    "rivers": (
        "tilth.cli.rivers:app",
        "River networks, discharge, floods, and scores against gauges.",
    ),
    "score": (
        "tilth.cli.score:app",
        "Forecasts against observations, by lead, with what is chance.",
    ),
    "serve": (
        "tilth.cli.serve:app",
        "Run a fleet: broker, ingest, fluxes, alarms and pages.",
    ),
    "stomata": (
        "tilth.cli.stomata:app",
        "Stomatal closures fitted to leaves; what conductance follows.",
    ),
    "study": (
        "tilth.cli.study:app",
        "Run one study and check its numbers against their bars.",
    ),
}


class DeferredCommand(TyperGroup):
    """A command that is known by name and help, and imported when it is called.

    Parameters
    ----------
    name : str
        Word on the command line.
    target : str
        ``module:attribute`` of a `typer.Typer`.
    help : str
        One line for the list of commands.
    """

    def __init__(self, name: str, target: str, help: str) -> None:
        super().__init__(name=name, help=help)
        self.target = target

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Import the command and let it parse its own words."""
        module, _, attribute = self.target.partition(":")
        app = getattr(importlib.import_module(module), attribute)
        app._add_completion = False  # the options to install it are tilth's own
        command = typer.main.get_command(app)
        return command.make_context(info_name, args, parent, **extra)


def _print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from tilth import __version__

        typer.echo(f"tilth {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version and stop.",
    ),
    debug: bool = typer.Option(
        False,
        "--debug",
        help="Show the traceback of an error; may stand anywhere on the line.",
    ),
) -> None:
    """Turn raw land-surface signals into calibrated quantities with uncertainty."""


def build() -> TyperGroup:
    """Build the ``tilth`` command with its completion options."""
    # Without rich the help is there in a third of the time.
    app = typer.Typer(
        name="tilth",
        no_args_is_help=True,
        rich_markup_mode=None,
        epilog="Exit codes: 0 all well, 1 a bar does not hold, 2 an error.",
    )
    app.callback()(_options)
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    for name, (target, text) in COMMANDS.items():
        group.add_command(DeferredCommand(name, target, text))
    return group
