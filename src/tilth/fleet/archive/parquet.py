"""The archive as Parquet files: a folder for each UTC day, read with DuckDB."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa

from tilth.fleet.archive.files import (
    KINDS,
    SCHEMAS,
    day_of_folder,
    in_order,
    is_sound,
    make_table,
    plain,
    remove_files,
    remove_token,
    write_file,
)
from tilth.fleet.archive.store import sums_query, tidy_sums

if TYPE_CHECKING:
    import pandas as pd


class ParquetStore:
    """Sealed records as Parquet files under one folder.

    A file's name is its path under that folder, such as
    ``samples/day=2025-07-20/000012-9f3c1d77.0123456789abcdef.parquet``.

    Parameters
    ----------
    root : pathlib.Path
        Folder of the archive; made when needed.
    threads : int, default 2
        Threads of DuckDB.
    """

    def __init__(self, root: Path, threads: int = 2) -> None:
        self.root = Path(root)
        self._engine = duckdb.connect()
        self._engine.execute(f"SET threads = {int(threads)}")
        self._engine.execute("SET enable_progress_bar = false")
        # Footers are read once: sealed files never change.
        self._engine.execute("SET parquet_metadata_cache = true")

    def close(self) -> None:
        """Close DuckDB."""
        self._engine.close()

    def write(self, kind: str, day: int, token: str, table: pa.Table) -> str:
        """Keep records in a new file; it is on disk when this returns."""
        remove_token(self.root, kind, day, token)
        return write_file(self.root, kind, day, token, table)

    def discard(self, kind: str, day: int, token: str) -> None:
        """Remove what a writing that was broken off may have left."""
        remove_token(self.root, kind, day, token)

    def merge(self, kind: str, day: int, token: str, files: Sequence[str]) -> str:
        """Write the records of several files as one; return its name."""
        parts = [self._table(kind, name) for name in files]
        whole = pa.concat_tables(parts).unify_dictionaries()
        columns = {name: whole[name].combine_chunks() for name in whole.column_names}
        return self.write(kind, day, token, in_order(make_table(kind, columns)))

    def _table(self, kind: str, name: str) -> pa.Table:
        import pyarrow.parquet as pq

        # From one open file: pyarrow would take "day=..." of the path for a column.
        with (self.root / name).open("rb") as stream:
            return pq.read_table(stream, schema=SCHEMAS[kind])

    def remove(self, files: Sequence[str]) -> None:
        """Remove files that no longer count."""
        remove_files(self.root, files)

    def present(self) -> list[str]:
        """Return the files that are in the folder."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for kind in KINDS
            for path in (self.root / kind).glob("day=*/*")
        )

    def load(self, file: str) -> tuple[str, int, pa.Table] | None:
        """Return kind, UTC day and records (text plain) of a file, if it is sound."""
        path = self.root / file
        kind = file.partition("/")[0]
        if kind not in KINDS or not is_sound(path):
            return None
        return kind, day_of_folder(path.parent), plain(self._table(kind, file))

    def set_aside(self, files: Sequence[str]) -> None:
        """Move files to the folder ``aside``, keeping their paths."""
        for name in files:
            target = self.root / "aside" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).rename(target)

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
        if not files:
            return pa.schema(
                [SCHEMAS[kind].field(name) for name in columns]
            ).empty_table()
        wanted = "" if devices is None else "AND list_contains(?, device)"
        if devices is not None and len(devices) == 1:
            # Compared with a constant, whole row groups of other devices are skipped.
            wanted = "AND device = ?"
        values = (
            () if devices is None else (devices[0] if len(devices) == 1 else devices)
        )
        quoted = ", ".join(f'"{name}"' for name in columns)  # "at" is a word of SQL
        query = (
            f"SELECT {quoted} FROM read_parquet(?, hive_partitioning=false)"
            f" WHERE t >= ? AND t < ? {wanted}"
        )
        given: list[object] = [self._paths(files), t_from, t_to]
        if devices is not None:
            given.append(values)
        with self._engine.cursor() as cursor:
            return cursor.sql(query, params=given).to_arrow_table()

    def sums(
        self,
        files: Sequence[str],
        t_from: int,
        t_to: int,
        placed: pd.DataFrame,
        devices: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return counts and sums of the samples of each location and hour."""
        source = "read_parquet(?, hive_partitioning=false)" if files else "nothing"
        values: list[object] = [self._paths(files)] if files else []
        condition = "s.t >= ? AND s.t < ?"
        values += [t_from, t_to]
        if devices is not None:
            condition += " AND list_contains(?, s.device)"
            values.append(list(devices))
        with self._engine.cursor() as cursor:
            cursor.register("placed", placed)
            cursor.register("nothing", SCHEMAS["samples"].empty_table())
            query = sums_query(source, "placed", "//", condition)
            return tidy_sums(cursor.sql(query, params=values).df())

    def _paths(self, files: Sequence[str]) -> list[str]:
        # Brackets and stars of the folder's own name are no patterns here.
        return [re.sub(r"([\[*?])", r"[\1]", str(self.root / name)) for name in files]
