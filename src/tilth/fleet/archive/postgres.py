"""The archive in PostgreSQL: the same questions, for those who run a database.

Sealed records are copied into tables that are partitioned by month (or into
TimescaleDB's hypertables, where that extension is at hand), each with the number of
the seal it came with. The journal lets go of its rows only after PostgreSQL has
committed them with ``synchronous_commit = on``.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pc

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.fleet.archive.files import SCHEMAS, ArchiveError, plain
from tilth.fleet.archive.postgres_schema import SCHEMA_VERSION, TABLES, VIEWS
from tilth.fleet.archive.store import SUM_COLUMNS, sums_query, tidy_sums
from tilth.fleet.clock import DAY_MS
from tilth.fleet.placement import Placement

if TYPE_CHECKING:
    import pandas as pd

#: Columns that are numbers of other tables there, and the tables' names.
_NAMED = {"device": "devices", "boot": "boots"}


class PostgresStore:
    """Sealed records in a PostgreSQL database.

    A file's name is ``samples/<token>``; its rows carry the number the table
    ``seals`` gives it.

    Parameters
    ----------
    conninfo : str
        ``postgresql://user@host/database`` or ``host=... dbname=...``. The password
        belongs in a password file (``~/.pgpass``), not in here.
    schema : str, default "tilth"
        Schema of the tables, made when absent.

    Raises
    ------
    ArchiveError
        If the database cannot be reached or was made by a newer Tilth.
    """

    def __init__(self, conninfo: str, schema: str = "tilth") -> None:
        if not schema.isidentifier() or not schema.isascii():
            raise InputError(f"{schema!r} is no name of a schema: letters, digits, _")
        self._psycopg = load("psycopg", "postgres")
        self._conninfo = conninfo
        self._schema = schema
        self._connection: Any = None
        try:
            with self._transaction() as run:
                self._make_tables(run)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # What a store does

    def write(self, kind: str, day: int, token: str, table: pa.Table) -> str:
        """Copy records in and return their name, once PostgreSQL has committed."""
        name = f"{kind}/{token}"
        begin, end = _month(day)
        with self._transaction() as run:
            self._make_partition(run, kind, begin, end)
        with self._transaction() as run:
            run("SET LOCAL synchronous_commit = on")
            self._delete(run, kind, [name])
            (number,) = run(
                "INSERT INTO seals(file, kind, day, rows) VALUES (%s, %s, %s, %s)"
                " RETURNING number",
                (name, kind, day, len(table)),
            ).fetchone()
            coded = self._coded(run, plain(table))
            columns = [*coded.column_names, "seal"]
            coded = coded.append_column("seal", pa.array([number] * len(table)))
            quoted = ", ".join(f'"{column}"' for column in columns)
            with self._connection.cursor().copy(
                f"COPY {kind} ({quoted}) FROM STDIN (FORMAT csv)"
            ) as copy:
                for part in coded.to_batches(max_chunksize=65_536):
                    copy.write(_as_csv(part))
        return name

    def discard(self, kind: str, day: int, token: str) -> None:
        """Remove what a writing that was broken off may have left."""
        self.remove([f"{kind}/{token}"])

    def remove(self, files: Sequence[str]) -> None:
        """Remove the rows of files that no longer count."""
        with self._transaction() as run:
            for kind in SCHEMAS:
                names = [name for name in files if name.startswith(f"{kind}/")]
                self._delete(run, kind, names)

    def present(self) -> list[str]:
        """Return the files that are in the database."""
        with self._transaction() as run:
            found = run("SELECT file FROM seals WHERE NOT aside ORDER BY number")
            return [name for (name,) in found]

    def load(self, file: str) -> tuple[str, int, pa.Table] | None:
        """Return kind, UTC day and records (text plain) of a file."""
        with self._transaction() as run:
            found = run("SELECT kind, day FROM seals WHERE file = %s", (file,))
            row = found.fetchone()
        if row is None:
            return None
        kind, day = row
        columns = SCHEMAS[kind].names
        times = (day * DAY_MS, (day + 1) * DAY_MS)
        return kind, day, self.read(kind, [file], *times, None, columns)

    def set_aside(self, files: Sequence[str]) -> None:
        """Take files out of the views, without deleting them."""
        with self._transaction() as run:
            run("UPDATE seals SET aside = true WHERE file = ANY(%s)", (list(files),))

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
        schema = pa.schema([_uncoded(SCHEMAS[kind].field(name)) for name in columns])
        if not files:
            return schema.empty_table()
        chosen = ", ".join(
            f'{name}s.name AS "{name}"' if name in _NAMED else f'r."{name}"'
            for name in columns
        )
        condition, values = self._which(files, t_from, t_to, devices)
        query = (
            f"COPY (SELECT {chosen} FROM {kind} r JOIN devices ON devices.id = r.device"
            f" JOIN boots ON boots.id = r.boot WHERE {condition})"
            " TO STDOUT (FORMAT csv)"
        )
        buffer = io.BytesIO()
        with self._transaction(), self._connection.cursor().copy(query, values) as copy:
            for part in copy:
                buffer.write(part)
        return _from_csv(buffer, schema)

    def sums(
        self,
        files: Sequence[str],
        t_from: int,
        t_to: int,
        placed: pd.DataFrame,
        devices: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return counts and sums of the samples of each location and hour."""
        import pandas as pd

        names = ["loc", "hour", "n", *SUM_COLUMNS]
        if not files:
            return tidy_sums(pd.DataFrame(columns=names))
        condition, values = self._which(files, t_from, t_to, devices)
        source = (
            "(SELECT d.name AS device, r.loc, r.t, r.flags, "
            + ", ".join(f'r."{name}"' for name in _channels())
            + f" FROM samples r JOIN devices d ON d.id = r.device WHERE {condition})"
        )
        placements = (
            "unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[])"
            " AS p(device, loc, t_from, t_to)"
        )
        query = sums_query(source, placements, "/", "true").replace(" p ON ", " ON ")
        arrays = [placed[c].tolist() for c in ("device", "loc", "t_from", "t_to")]
        with self._transaction() as run:
            rows = run(query, [*values, *arrays]).fetchall()
        return tidy_sums(pd.DataFrame(rows, columns=names))

    # For those who look at the database itself

    def mirror(self, placements: Sequence[Placement]) -> None:
        """Copy the placements there, so that its views know the places too."""
        with self._transaction() as run:
            run("DELETE FROM placements")
            with self._connection.cursor().copy(
                "COPY placements(device, loc, t_from, t_to) FROM STDIN"
            ) as copy:
                for p in placements:
                    copy.write_row((p.device, p.loc, p.t_from, p.end))

    # Inside

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """Give a function that runs SQL, all of it in one transaction."""
        try:
            if self._connection is None:
                self._connection = self._psycopg.connect(
                    self._conninfo,
                    autocommit=True,
                    options=f"-c search_path={self._schema},public",
                    application_name="tilth",
                )
            with self._connection.transaction():
                yield self._connection.execute
        except self._psycopg.OperationalError as error:
            self.close()
            raise ArchiveError(
                f"PostgreSQL cannot be reached or gave up: {error}; nothing was taken "
                "from the journal, the next attempt goes on"
            ) from error
        except self._psycopg.Error as error:
            raise ArchiveError(f"PostgreSQL refused: {error}") from error

    def _make_tables(self, run: Any) -> None:
        run("SELECT pg_advisory_xact_lock(hashtext('tilth'))")  # one at a time
        run(f"CREATE SCHEMA IF NOT EXISTS {self._schema}")
        run("CREATE TABLE IF NOT EXISTS meta(key text PRIMARY KEY, value text)")
        found = run("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        version = int(found[0]) if found else 0
        if version > SCHEMA_VERSION:
            raise ArchiveError(
                f"the database is of schema {version}, written by a newer Tilth; this "
                f"one knows up to {SCHEMA_VERSION}: upgrade Tilth"
            )
        if version == SCHEMA_VERSION:
            return
        timescale = has_timescale(run)
        parted = "" if timescale else " PARTITION BY RANGE (t)"
        for statement in TABLES:
            run(statement.replace(" PARTED", parted))
        if timescale:
            for kind in SCHEMAS:
                run(
                    "SELECT create_hypertable(%s::regclass, 't',"
                    " chunk_time_interval => %s::bigint)",
                    (f"{self._schema}.{kind}", 7 * DAY_MS),
                )
        for statement in VIEWS:
            run(statement)
        run("INSERT INTO meta VALUES ('schema', %s)", (str(SCHEMA_VERSION),))
        run("INSERT INTO meta VALUES ('timescale', %s)", (str(timescale),))

    def _make_partition(self, run: Any, kind: str, begin: int, end: int) -> None:
        (timescale,) = run("SELECT value FROM meta WHERE key = 'timescale'").fetchone()
        if timescale == "True":
            return
        month = datetime.fromtimestamp(begin / 1000, UTC)
        run(
            f"CREATE TABLE IF NOT EXISTS {kind}_{month:%Y_%m} PARTITION OF {kind}"
            f" FOR VALUES FROM ({begin}) TO ({end})"
        )

    def _delete(self, run: Any, kind: str, names: Sequence[str]) -> None:
        found = run(
            "DELETE FROM seals WHERE file = ANY(%s) RETURNING number, day",
            (list(names),),
        ).fetchall()
        for number, day in found:
            run(
                f"DELETE FROM {kind} WHERE seal = %s AND t >= %s AND t < %s",
                (number, day * DAY_MS, (day + 1) * DAY_MS),
            )

    def _coded(self, run: Any, table: pa.Table) -> pa.Table:
        """Return a table with the numbers of devices and boots for their names."""
        for column, names in _NAMED.items():
            words = table[column].combine_chunks().dictionary_encode()
            known = words.dictionary.to_pylist()
            run(
                f"INSERT INTO {names}(name) SELECT unnest(%s::text[])"
                " ON CONFLICT (name) DO NOTHING",
                (known,),
            )
            found = dict(
                run(
                    f"SELECT name, id FROM {names} WHERE name = ANY(%s)", (known,)
                ).fetchall()
            )
            numbers = pa.array([found[word] for word in known], pa.int32())
            place = table.column_names.index(column)
            coded = numbers.take(words.indices)
            table = table.set_column(place, column, coded)
        return table

    def _which(
        self,
        files: Sequence[str],
        t_from: int,
        t_to: int,
        devices: Sequence[str] | None,
    ) -> tuple[str, list[Any]]:
        """Return the condition on rows ``r`` and its values."""
        condition = (
            "r.t >= %s AND r.t < %s AND r.seal = ANY(ARRAY("
            "SELECT number FROM seals WHERE file = ANY(%s)))"
        )
        values: list[Any] = [t_from, t_to, list(files)]
        if devices is not None:
            condition += (
                " AND r.device = ANY(ARRAY(SELECT id FROM devices"
                " WHERE name = ANY(%s)))"
            )
            values.append(list(devices))
        return condition, values


def has_timescale(run: Any) -> bool:
    """Tell whether TimescaleDB is switched on in a database."""
    (found,) = run(
        "SELECT count(*) FROM pg_proc WHERE proname = 'create_hypertable'"
    ).fetchone()
    return bool(found)


def _channels() -> list[str]:
    from tilth.fleet.channels import CHANNEL_NAMES

    return list(CHANNEL_NAMES)


def _month(day: int) -> tuple[int, int]:
    """Return begin and end of the month of a UTC day, utc ms."""
    first = datetime.fromtimestamp(day * 86_400, UTC).replace(day=1)
    year, month = divmod(first.year * 12 + first.month, 12)
    after = first.replace(year=year, month=month + 1)
    return int(first.timestamp()) * 1000, int(after.timestamp()) * 1000


def _as_csv(batch: pa.RecordBatch) -> bytes:
    """Return rows as PostgreSQL reads them: quoted text, nothing for NULL."""
    buffer = io.BytesIO()
    options = pc.WriteOptions(include_header=False, quoting_style="needed")
    pc.write_csv(batch, buffer, options)
    return buffer.getvalue()


def _from_csv(buffer: io.BytesIO, schema: pa.Schema) -> pa.Table:
    """Read rows as PostgreSQL writes them."""
    if not buffer.tell():
        return schema.empty_table()
    buffer.seek(0)
    return pc.read_csv(
        buffer,
        read_options=pc.ReadOptions(column_names=schema.names),
        parse_options=pc.ParseOptions(newlines_in_values=True),
        convert_options=pc.ConvertOptions(
            column_types=schema,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )


def _uncoded(field: pa.Field) -> pa.Field:
    if isinstance(field.type, pa.DictionaryType):
        return pa.field(field.name, pa.string())
    return field
