"""Files of any length, made while they are sent: CSV and Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = r"^[=+\-@\t\r]"

#: Rows of a row group of Parquet: some ten MB in memory.
_GROUP = 200_000


def csv_chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Yield batches as CSV.

    Text is quoted, so that a location stays text. What a device sent may begin like a
    formula, which a spreadsheet would execute: an apostrophe goes before it. A value
    that is not known is empty.
    """
    first = True
    for batch in batches:
        sink = io.BytesIO()
        options = pacsv.WriteOptions(include_header=first)
        pacsv.write_csv(_for_spreadsheets(batch), sink, options)
        first = False
        yield sink.getvalue()


def _for_spreadsheets(batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = []
    for column in batch.columns:
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            quoted = pc.binary_join_element_wise("'", column, "")
            risky = pc.match_substring_regex(column, _FORMULA)
            column = pc.if_else(risky, quoted, column)
        elif pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


class _Pipe(io.RawIOBase):
    """A file that is only written, and emptied in between."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        block = bytes(data)
        self.parts.append(block)
        self.size += len(block)
        return len(block)

    def tell(self) -> int:
        return self.size

    def drain(self) -> bytes:
        """Return what was written since the last time."""
        parts, self.parts = self.parts, []
        return b"".join(parts)


def parquet_chunks(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema | None = None
) -> Iterator[bytes]:
    """Yield batches as one Parquet file; `schema` is that of an empty one."""
    pipe = _Pipe()
    writer: pq.ParquetWriter | None = None
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        if writer is None:
            writer = pq.ParquetWriter(pipe, batch.schema, compression="zstd")
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= _GROUP:
            writer.write_table(pa.Table.from_batches(waiting))
            waiting, rows = [], 0
            yield pipe.drain()
    if writer is None:
        writer = pq.ParquetWriter(pipe, schema or pa.schema([]), compression="zstd")
    if rows:
        writer.write_table(pa.Table.from_batches(waiting))
    writer.close()
    yield pipe.drain()
