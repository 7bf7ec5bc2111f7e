"""``tilth forcing``: climate fields adjusted, brought to a place, and made complete."""

from __future__ import annotations

from collections.abc import Callable

import typer

from tilth.cli.forcing_adjust import adjust
from tilth.cli.forcing_downscale import downscale
from tilth.cli.forcing_fields import fields
from tilth.cli.forcing_regrid import regrid
from tilth.cli.forcing_s2s import s2s

#: One import above and one row here per command.
COMMANDS: tuple[Callable[..., None], ...] = (
    adjust,
    downscale,
    fields,
    regrid,
    s2s,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
for command in COMMANDS:
    app.command()(command)


@app.callback()
def forcing() -> None:
    """Adjust climate fields, bring them to a place, and make them complete."""
