"""``tilth land``: any land model's emulator fitted, run and judged."""

from __future__ import annotations

import typer

from tilth.cli.land_emulate import app as emulate

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(emulate, name="emulate")


@app.callback()
def land() -> None:
    """Imitate land models, and run one."""
