"""``tilth study``: list the studies and run one of them."""

from __future__ import annotations

from pathlib import Path

import typer

from tilth.cli.options import FULL, REPORTS

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def study() -> None:
    """Run one study and check its numbers against their bars."""


def _names(incomplete: str) -> list[tuple[str, str]]:
    """Offer the studies' names to the shell."""
    from tilth.studies.registry import STUDIES

    return [
        (s.name, s.title) for s in STUDIES.values() if s.name.startswith(incomplete)
    ]


@app.command("list")
def list_studies() -> None:
    """List the studies."""
    from tilth.cli.display import print_table
    from tilth.studies.registry import STUDIES

    print_table(("name", "what it asks"), [(s.name, s.title) for s in STUDIES.values()])


@app.command()
def run(
    name: str = typer.Argument(help="Name of the study.", autocompletion=_names),
    full: bool = FULL,
    out: Path = REPORTS,
) -> None:
    """Run one, print its numbers; exit 1 if a bar does not hold."""
    from tilth.cli import MISSED
    from tilth.cli.display import print_metrics
    from tilth.studies.runner import run_study

    done = run_study(name, out, full=full)
    print_metrics(done.section.title, done.metrics)
    typer.echo(f"The report is at:\n{done.page}")
    if done.missed:
        raise typer.Exit(MISSED)
