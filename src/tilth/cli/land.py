"""``tilth land``: the process model, and any land model's emulator."""

from __future__ import annotations

import typer

from tilth.cli.land_emulate import app as emulate
from tilth.cli.land_run import parameters, run, weather

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(emulate, name="emulate")
for command in (run, parameters, weather):
    app.command()(command)


@app.callback()
def land() -> None:
    """Run the land model; imitate any."""
