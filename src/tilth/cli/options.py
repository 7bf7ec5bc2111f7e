"""Options that several commands share."""

import typer

#: For every command that computes with Dask; see `tilth.core.parallel.scheduler`.
SCHEDULER = typer.Option(
    None,
    "--scheduler",
    metavar="ADDRESS",
    help="Compute on a running Dask scheduler, such as tcp://10.0.0.5:8786.",
)

#: Folder of the studies' folders and of the report.
REPORTS = typer.Option(
    "reports", "--out", metavar="DIR", help="Folder of the pages, numbers and figures."
)

#: The real experiment or the quick one.
FULL = typer.Option(
    False, "--full", help="The real experiment instead of the quick one."
)


def year_range(text: str) -> tuple[int, int]:
    """Return the years of '1961:2000' or '1961'."""
    from tilth.core.errors import InputError

    parts = text.split(":")
    try:
        first, last = int(parts[0]), int(parts[-1])
    except ValueError:
        first, last = 1, 0
    if len(parts) > 2 or last < first:
        raise InputError(f"years are written like 1961:2000, got {text!r}")
    return first, last
