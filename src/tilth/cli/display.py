"""Tables in the terminal: as wide as it is, or as wide as needed in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tilth.core.typeset import measurement_text, published_text, units_text

if TYPE_CHECKING:
    from tilth.studies.result import Metric

_PIPE_WIDTH = 1000  # a file has no edge to wrap at


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str | None = None,
    numeric: Sequence[str] = (),
) -> None:
    """Print a table on standard output.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : iterable of sequence of str
        One text per column.
    title : str, optional
        Line above the table.
    numeric : sequence of str, optional
        Headings of the columns that stand on the right.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells = [tuple(row) for row in rows]
    table = Table(
        box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False
    )
    for i, column in enumerate(columns):
        right = column in numeric
        # Numbers and names stay whole; only prose is wrapped.
        whole = right or not any(" " in row[i] for row in cells)
        table.add_column(
            column, justify="right" if right else "left", no_wrap=whole, overflow="fold"
        )
    for row in cells:
        table.add_row(*(Text(cell, style=_STYLES.get(cell, "")) for cell in row))
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    Console(width=width).print(table)


_STYLES = {"holds": "green", "does not hold": "bold red"}
_VERDICTS = {None: "no bar", True: "holds", False: "does not hold"}


def print_metrics(title: str, metrics: Iterable[Metric]) -> None:
    """Print a study's numbers beside the published ones.

    Parameters
    ----------
    title : str
        Line above the table.
    metrics : iterable of Metric
        The numbers.
    """
    rows = []
    for metric in metrics:
        value, se = measurement_text(metric.value, metric.se)
        rows.append(
            (
                metric.name,
                value,
                se and f"± {se}",
                units_text(metric.unit),
                published_text(metric.published),
                metric.bar or "",
                _VERDICTS[metric.holds],
            )
        )
    columns = ("quantity", "ours", "± s.e.", "unit", "published", "bar", "verdict")
    print_table(columns, rows, title=title, numeric=("ours", "published", "bar"))
