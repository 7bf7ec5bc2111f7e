"""``tilth loading``: how ice and water bend the Earth, and what that weighs."""

from __future__ import annotations

from collections.abc import Callable

import typer

from tilth.cli.loading_grid import grid
from tilth.cli.loading_invert import invert
from tilth.cli.loading_responses import disc, green

#: One import above and one row here per command.
COMMANDS: tuple[Callable[..., None], ...] = (disc, green, grid, invert)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
for command in COMMANDS:
    app.command()(command)


@app.callback()
def loading() -> None:
    """Displacement by loads of ice and water, and the mass that displacement tells."""
