"""What the sealer and the queries ask of a place that keeps sealed records.

Two classes do this: `tilth.fleet.archive.parquet.ParquetStore` (files, the default)
and `tilth.fleet.archive.postgres.PostgresStore`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import pyarrow as pa

from tilth.fleet.channels import CHANNEL_NAMES
from tilth.fleet.journal_rollups import DOUBTED

if TYPE_CHECKING:
    import pandas as pd

#: Columns of `Store.sums` besides ``loc``, ``hour`` and ``n``: of each channel the
#: count and the sum of its values.
SUM_COLUMNS = tuple(f"{name}_{what}" for name in CHANNEL_NAMES for what in ("n", "sum"))

#: Channels of the CO2 sensor, not counted while it warms up or fails.
_DOUBTED_CHANNELS = ("co2", "st", "rh")


class Store(Protocol):
    """Keeps sealed records; each file is written once and then never changed.

    A *file* is a name the store chose; the journal's table ``seals`` holds the names
    that count. What is in the store but not there does not exist for a query.
    """

    def write(self, kind: str, day: int, token: str, table: pa.Table) -> str:
        """Keep records and return the name of their file, once they are durable.

        Parameters
        ----------
        kind : str
            ``samples`` or ``events``.
        day : int
            UTC day number of all of them.
        token : str
            Unique; writing the same token again replaces what is there.
        table : pyarrow.Table
            From `tilth.fleet.archive.files.make_table`, in order.
        """
        ...

    def discard(self, kind: str, day: int, token: str) -> None:
        """Remove what a writing that was broken off may have left."""
        ...

    def remove(self, files: Sequence[str]) -> None:
        """Remove files that no longer count."""
        ...

    def present(self) -> list[str]:
        """Return the files that are in the store."""
        ...

    def load(self, file: str) -> tuple[str, int, pa.Table] | None:
        """Return kind, UTC day and records (text plain) of a file, if it is sound."""
        ...

    def set_aside(self, files: Sequence[str]) -> None:
        """Put files away that the journal does not know, without deleting them."""
        ...

    def read(
        self,
        kind: str,
        files: Sequence[str],
        t_from: int,
        t_to: int,
        devices: Sequence[str] | None,
        columns: Sequence[str],
    ) -> pa.Table:
        """Return records of files between two times (utc ms), in any order."""
        ...

    def sums(
        self,
        files: Sequence[str],
        t_from: int,
        t_to: int,
        placed: pd.DataFrame,
        devices: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return counts and sums of the samples of each location and hour.

        Parameters
        ----------
        files : sequence of str
            Of samples.
        t_from, t_to : int
            utc ms; the end does not belong to it.
        placed : pandas.DataFrame
            Columns ``device``, ``loc``, ``t_from``, ``t_to`` without overlaps; the
            label as sent counts where none holds.
        devices : sequence of str, optional
            Only these.

        Returns
        -------
        pandas.DataFrame
            Columns ``loc``, ``hour`` (since 1970 UTC), ``n`` and `SUM_COLUMNS`.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


@runtime_checkable
class MergingStore(Store, Protocol):
    """A store that many small files slow down, so that they are better merged."""

    def merge(self, kind: str, day: int, token: str, files: Sequence[str]) -> str:
        """Write the records of several files as one; return its name."""
        ...


def sums_query(source: str, placed: str, divide: str, between: str) -> str:
    """Return the SQL of `Store.sums`, which both dialects share but for details.

    Parameters
    ----------
    source, placed : str
        What to read samples and placements from.
    divide : str
        Operator of the division of whole numbers.
    between : str
        Condition on the time of samples ``s``.
    """
    return (
        f"SELECT coalesce(p.loc, s.loc) AS loc, s.t {divide} 3600000 AS hour,"
        f" {sum_columns('s.')} FROM {source} s LEFT JOIN {placed} p"
        " ON s.device = p.device AND s.t >= p.t_from AND s.t < p.t_to"
        f" WHERE {between} GROUP BY 1, 2"
    )


def sum_columns(prefix: str) -> str:
    """Return the SQL of the columns ``n`` and `SUM_COLUMNS`."""
    sound = {
        name: f'CASE WHEN {prefix}flags & {DOUBTED} = 0 THEN {prefix}"{name}" END'
        if name in _DOUBTED_CHANNELS
        else f'{prefix}"{name}"'
        for name in CHANNEL_NAMES
    }
    return "count(*) AS n, " + ", ".join(
        f"count({value}) AS {name}_n, sum({value}) AS {name}_sum"
        for name, value in sound.items()
    )


def tidy_sums(frame: pd.DataFrame) -> pd.DataFrame:
    """Return sums of any source with the same types; the sum of no values is 0."""
    words = frame[["loc"]].astype("object")
    numbers = ["hour", "n", *SUM_COLUMNS]
    return words.join(frame[numbers].astype("float64").fillna(0.0).astype("int64"))
