"""``tilth report``: every study on one HTML page."""

from __future__ import annotations

from pathlib import Path

import typer

from tilth.cli.options import FULL, REPORTS

app = typer.Typer(rich_markup_mode=None)


@app.command()
def report(
    out: Path = REPORTS,
    full: bool = FULL,
) -> None:
    """Run every study and write one HTML page; print where it is."""
    from tilth.cli import MISSED
    from tilth.cli.display import print_table
    from tilth.studies.runner import run_report

    page, runs = run_report(out, full=full)
    rows = []
    for run in runs:
        held = f"{run.section.held} of {run.section.barred}"
        missed = "; ".join(metric.name for metric in run.missed)
        remark = run.error or (missed and f"does not hold: {missed}")
        rows.append((run.study.name, "–" if run.error else held, remark))
    print_table(("study", "bars that hold", ""), rows, numeric=("bars that hold",))
    typer.echo(f"The report is at:\n{page}")
    if any(run.error or run.missed for run in runs):
        raise typer.Exit(MISSED)
