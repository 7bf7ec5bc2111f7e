"""``tilth fleet``: simulate, look after, back up and steer a fleet of chambers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tilth.cli.fleet_broker import broker
from tilth.cli.fleet_firmware import firmware
from tilth.cli.fleet_people import FOLDER, device, known_fleet, user

if TYPE_CHECKING:
    import pandas as pd

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(user, name="user")
app.add_typer(device, name="device")
app.add_typer(firmware, name="firmware")
app.add_typer(broker, name="broker")


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


@app.command()
def simulate(
    out: Path = typer.Option(..., metavar="DIR", help="New data folder."),
    devices: int = typer.Option(50, min=1, help="Number of chambers."),
    days: float = typer.Option(7.0, help="Days, up to now."),
    faults: Path | None = typer.Option(
        None, metavar="YAML", help="Plan of what fails; nothing by default."
    ),
    seed: int = typer.Option(0, help="Same seed, same fleet."),
    in_loop: bool = typer.Option(
        False,
        "--firmware",
        help="Run the chambers' own firmware over the broker: true, and slower.",
    ),
) -> None:
    """Simulate a fleet into a data folder, with the truth beside it."""
    from tilth.cli.display import print_table
    from tilth.fleet.clock import iso, now_ms
    from tilth.fleet.summary import completeness

    minute = 60_000
    start = iso(int(now_ms() - days * 86_400_000) // minute * minute)
    if in_loop:
        from tilth.fleet.trial import run_trial

        run_trial(out, devices, days, faults, start=start, seed=seed)
    else:
        from tilth.fleet.fill import fill_simulated

        fill_simulated(out, devices, days, faults, start=start, seed=seed)
    table, proofs = completeness(out, days=10_000)
    totals = table[["expected", "received", "late", "duplicate", "lost"]].sum()
    print_table(
        ("device-days", *totals.index),
        [(str(len(table)), *(f"{n:,}" for n in totals))],
        numeric=("device-days", *totals.index),
    )
    complete = sum(proof.complete for proof in proofs)
    typer.echo(f"{complete} of {len(proofs)} boots complete. To see it:")
    typer.echo(f"tilth serve {out}")


@app.command()
def replay(
    source: Path = typer.Argument(metavar="FROM", help="Data folder to read."),
    target: Path = typer.Argument(metavar="TO", help="Data folder to fill."),
) -> None:
    """Send what one data folder holds through the protocol into another."""
    from tilth.fleet.fill import compute_fluxes
    from tilth.fleet.fill import replay as send

    told = send(source, target)
    fluxes = compute_fluxes(target)
    typer.echo(
        f"{told['records']} new records, {told['duplicates']} were there already, "
        f"{told['quarantined']} messages could not be read; {fluxes} fluxes"
    )


@app.command()
def backup(
    folder: Path = FOLDER,
    target: Path = typer.Argument(
        metavar="TARGET", help="New folder, .tar or .tar.gz."
    ),
    previous: Path | None = typer.Option(
        None, metavar="BACKUP", help="Earlier backup folder; what it has is linked."
    ),
) -> None:
    """Back up a data folder, whether its service runs or not."""
    from tilth.fleet.backup import make_backup

    manifest = make_backup(folder, target, previous=previous)
    typer.echo(f"{len(manifest['files'])} files, checked: {target}")


@app.command()
def restore(
    source: Path = typer.Argument(metavar="BACKUP", help="From tilth fleet backup."),
    folder: Path = typer.Argument(metavar="DIR", help="New data folder."),
) -> None:
    """Make a data folder from a backup: all of it, or nothing."""
    from tilth.fleet.backup import restore_backup

    manifest = restore_backup(source, folder)
    typer.echo(f"{len(manifest['files'])} files, checked: {folder}")


@app.command("import")
def import_(
    files: list[Path] = typer.Argument(
        metavar="FILES...", help="Exports of this fleet (ThingsBoard) or of fluxbots."
    ),
    out: Path = typer.Option(..., metavar="FILE", help="Result: .nc or .csv."),
    quantity: str | None = typer.Option(
        None, help="What labels that do not tell hold, such as soil_co2."
    ),
    repair: bool = typer.Option(
        False,
        "--repair",
        help="Correct the known defects of the published hourly fluxes.",
    ),
) -> None:
    """Read exports with all their traps: flagged, never cleaned; show what is in."""
    from tilth.cli.display import print_table
    from tilth.core.errors import InputError
    from tilth.core.files import whole_file
    from tilth.fleet.importers.opening import describe, import_files

    if out.suffix not in (".nc", ".csv"):
        raise InputError(f"{out.name}: the result is a .nc or a .csv file")
    data = import_files(files, quantity, repair=repair)
    with whole_file(out) as half:
        if out.suffix == ".nc":
            data.to_netcdf(half, engine="h5netcdf")
        else:
            data.to_dataframe().to_csv(half)
    table = describe(data).reset_index(names="variable")
    columns = list(table.columns)
    print_table(columns, _texts(table), numeric=columns[2:6])
    typer.echo(f"{dict(data.sizes)}: {out}")


@app.command()
def export(
    folder: Path = FOLDER,
    out: Path = typer.Option(
        ..., metavar="FILE", help="Samples: .csv, .parquet or .lp (line protocol)."
    ),
    days: float = typer.Option(1.0, help="Days back from the last sample."),
    only: list[str] = typer.Option(
        [], "--device", metavar="MAC", help="Only these; may be repeated."
    ),
) -> None:
    """Write samples in physical units, with places and flags."""
    from tilth.core.errors import InputError
    from tilth.core.files import whole_file
    from tilth.fleet.archive.query import Archive
    from tilth.fleet.lineprotocol import sample_lines, write_file
    from tilth.fleet.summary import last_sample

    if out.suffix not in (".csv", ".parquet", ".lp"):
        raise InputError(f"{out.name}: samples go to .csv, .parquet or .lp")
    end = last_sample(known_fleet(folder)) + 1
    with Archive(folder) as archive:
        frame = archive.frame(only or None, end - int(days * 86_400_000), end)
    if out.suffix == ".lp":
        write_file(out, sample_lines(frame))
    else:
        with whole_file(out) as half:
            if out.suffix == ".csv":
                frame.to_csv(half, index=False)
            else:
                frame.to_parquet(half, index=False)
    typer.echo(f"{len(frame):,} samples: {out}")


def _texts(table: pd.DataFrame) -> list[list[str]]:
    """Return the cells of a table as text."""
    return [
        [f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row]
        for row in table.itertuples(index=False)
    ]
