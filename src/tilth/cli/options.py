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
