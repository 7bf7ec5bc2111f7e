"""``tilth rivers``: networks, discharge, floods, and scores against gauges."""

from __future__ import annotations

import typer

from tilth.cli.rivers_build import app as build
from tilth.cli.rivers_flood import app as flood
from tilth.cli.rivers_route import route
from tilth.cli.rivers_score import score

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(build, name="build")
app.add_typer(flood, name="flood")
for command in (route, score):
    app.command()(command)


@app.callback()
def rivers() -> None:
    """Route runoff down rivers; map floods; compare with gauges."""
