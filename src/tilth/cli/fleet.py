"""``tilth fleet``: simulate, look after, back up and steer a fleet of chambers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tilth.cli.fleet_people import FOLDER, device, known_fleet, user

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(user, name="user")
app.add_typer(device, name="device")


@app.callback()
def fleet() -> None:
    """Simulate, look after, back up and steer a fleet of chambers."""


@app.command()
def status(folder: Path = FOLDER) -> None:
    """Show every chamber: connected, where, how old its news, what it holds."""
    from tilth.cli.display import print_table
    from tilth.fleet.summary import device_rows

    rows = device_rows(known_fleet(folder))
    columns = ("device", "place", "state", "heard", "firmware", "waiting", "dropped")
    print_table(columns, rows, numeric=("waiting", "dropped"))


@app.command()
def ledger(
    folder: Path = FOLDER,
    name: str | None = typer.Option(
        None, "--device", metavar="MAC", help="Only this one."
    ),
    days: int = typer.Option(7, help="UTC days back from the last one with data."),
    out: Path | None = typer.Option(None, metavar="CSV", help="Write the table here."),
    recount: bool = typer.Option(
        False, "--recount", help="Count the rows themselves too, journal and archive."
    ),
) -> None:
    """Show what came, per chamber and day, and prove what is complete.

    Exits with 1 where something was lost.
    """
    from tilth.cli import MISSED
    from tilth.cli.display import print_table
    from tilth.fleet.summary import completeness, recounted

    table, proofs = completeness(known_fleet(folder), name, days)
    if out is not None:
        table.to_csv(out, index=False)
        typer.echo(f"{len(table)} device-days: {out}")
    else:
        columns = list(table.columns)
        print_table(columns, _texts(table), numeric=columns[2:])
    complete = sum(proof.complete for proof in proofs)
    lost = sum(proof.lost for proof in proofs)
    outstanding = sum(proof.outstanding for proof in proofs)
    typer.echo(
        f"{complete} of {len(proofs)} boots are complete to their last record; "
        f"{lost} records lost, {outstanding} still on their chambers"
    )
    problems = recounted(folder) if recount else []
    for problem in problems:
        typer.echo(problem, err=True)
    if lost or problems:
        raise typer.Exit(MISSED)


@app.command()
def calibrate(
    folder: Path = FOLDER,
    at: str = typer.Option(..., help="When, UTC, such as 2026-05-04T10:00Z."),
    ppm: int = typer.Option(420, min=400, max=2000, help="CO2 of the air then, ppm."),
    only: list[str] = typer.Option(
        [], "--device", metavar="MAC", help="Only these; may be repeated."
    ),
) -> None:
    """Have all chambers set their CO2 sensors to the same air at the same time."""
    from tilth.fleet.calibration import queue_calibration
    from tilth.fleet.control import open_control

    with open_control(known_fleet(folder)) as control:
        queued = queue_calibration(control, at, ppm, only or None, by="command line")
    typer.echo(f"{len(queued)} chambers will be set to {ppm} ppm at {at}")


def _texts(table: pd.DataFrame) -> list[list[str]]:
    """Return the cells of a table as text."""
    return [
        [f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in table.itertuples(index=False)
    ]
