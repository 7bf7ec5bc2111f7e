"""``tilth gnss``: what reflected signals and positions of GNSS stations tell."""

from __future__ import annotations

from collections.abc import Callable

import typer

from tilth.cli.gnss_daily import daily
from tilth.cli.gnss_heights import snr2height
from tilth.cli.gnss_rinex import rinex2snr
from tilth.cli.gnss_surface import moisture, snow, thaw
from tilth.cli.gnss_velocity import velocity

#: One import above and one row here per command.
COMMANDS: tuple[Callable[..., None], ...] = (
    rinex2snr,
    snr2height,
    daily,
    snow,
    moisture,
    thaw,
    velocity,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
for command in COMMANDS:
    app.command()(command)


@app.callback()
def gnss() -> None:
    """Weigh the ground, snow and water with reflected signals and positions."""
