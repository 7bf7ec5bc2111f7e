"""Read the journal's records into columns, quickly and beside its writer."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from tilth.fleet.archive.files import SCHEMAS, make_table
from tilth.fleet.archive.store import SUM_COLUMNS, sum_columns, tidy_sums
from tilth.fleet.clock import HOUR_MS
from tilth.fleet.placement import Placement

#: Stands for NULL while rows travel as plain integers; no value of the wire is so low.
_NULL = -(2**63)

#: A span knows the numbers of its hour to within a batch of 200 records.
_SLACK = 200

#: Small numbers that travel as one, for each number costs as much as any; with them
#: goes a bit that says whether the label is another one than at first.
_PACKED = ("flags", "state", "quality")

#: Columns of text in the journal's tables; the others hold whole numbers.
_TEXT = {"samples": ("loc",), "events": ("loc", "kind", "body")}


class Piece(NamedTuple):
    """Where in the journal records of one boot lie: numbers ``first`` to ``last``."""

    boot: int
    device: str
    name: str
    first: int
    last: int


@contextlib.contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Let every query of a block see the journal as it was at the first of them."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")


def pieces(
    connection: sqlite3.Connection,
    t_from: int,
    t_to: int,
    devices: Sequence[str] | None = None,
) -> list[Piece]:
    """Return which numbers of which boots may lie between two times.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the journal.
    t_from, t_to : int
        utc ms; the end does not belong to it.
    devices : sequence of str, optional
        Only these.

    Returns
    -------
    list of Piece
        By device, then boot; may reach beyond the times, for spans are hours.
    """
    wanted = "" if devices is None else f"AND d.name IN ({_marks(devices)})"
    found = connection.execute(
        "SELECT s.boot, d.name, b.boot, min(s.seq_first), max(s.seq_last)"
        " FROM spans s JOIN boots b ON b.id = s.boot JOIN devices d ON d.id = b.device"
        f" WHERE s.hour BETWEEN ? AND ? {wanted}"
        " GROUP BY s.boot ORDER BY d.name, s.boot",
        (t_from // HOUR_MS, (t_to - 1) // HOUR_MS, *(devices or ())),
    )
    return [
        Piece(boot, device, name, max(first - _SLACK, 0), last + _SLACK)
        for boot, device, name, first, last in found
    ]


def read(
    connection: sqlite3.Connection,
    kind: str,
    where: Sequence[Piece],
    t_from: int,
    t_to: int,
    *,
    columns: Sequence[str] | None = None,
    condition: str = "1",
) -> pa.Table:
    """Return records of the journal as a table with the columns of the archive.

    Parameters
    ----------
    connection : sqlite3.Connection
        Of the journal.
    kind : str
        ``samples`` or ``events``.
    where : sequence of Piece
        From `pieces`.
    t_from, t_to : int
        utc ms; the end does not belong to it.
    columns : sequence of str, optional
        Besides ``device`` and ``t``; default all.
    condition : str
        SQL that rows must meet besides.

    Returns
    -------
    pyarrow.Table
        In the order of `where`, and of the numbers within a boot.
    """
    names = [n for n in SCHEMAS[kind].names if columns is None or n in columns]
    names = list(dict.fromkeys(["device", "t", *names]))
    text = [n for n in names if n in _TEXT[kind]]
    whole = [n for n in names if n not in (*text, "device", "boot")]
    clause = (
        f"FROM hot_{kind} WHERE boot = ? AND seq BETWEEN ? AND ?"
        f" AND t >= ? AND t < ? AND {condition} ORDER BY seq"
    )
    packed = {*_PACKED, "loc"} <= set(names)
    cells = [n for n in whole if not packed or n not in _PACKED]
    marked = [f"ifnull({name}, {_NULL})" for name in cells]
    if packed:
        marked.append("(flags << 12) | (state << 4) | (quality << 1) | (loc <> ?)")
    blocks: list[np.ndarray] = []
    words: dict[str, list[str]] = {name: [] for name in text}
    for piece in where:
        span = (piece.boot, piece.first, piece.last, t_from, t_to)
        label = connection.execute(f"SELECT loc {clause} LIMIT 1", span).fetchone()
        if label is None:
            blocks.append(np.empty((0, len(marked)), np.int64))
            continue
        given = (*(label if packed else ()), *span)
        rows = connection.execute(f"SELECT {', '.join(marked)} {clause}", given)
        # Three times as quick as a list of tuples turned into an array.
        block = np.fromiter(chain.from_iterable(rows), np.int64)
        blocks.append(block.reshape(-1, len(marked)))
        for name in text:
            if packed and name == "loc" and not (blocks[-1][:, -1] & 1).any():
                words[name] += label * len(blocks[-1])
            else:
                rows = connection.execute(f"SELECT {name} {clause}", span)
                words[name] += chain.from_iterable(rows)
    sizes = [len(block) for block in blocks]
    table = np.concatenate(blocks) if blocks else np.empty((0, len(marked)), np.int64)
    made: dict[str, object] = {
        name: pa.array(table[:, i], mask=table[:, i] == _NULL)
        for i, name in enumerate(cells)
    }
    if packed:
        last = table[:, -1]
        made |= {
            "flags": last >> 12,
            "state": last >> 4 & 255,
            "quality": last >> 1 & 7,
        }
    made |= {name: pa.array(words[name], pa.string()) for name in text}
    for name, values in (
        ("device", [piece.device for piece in where]),
        ("boot", [piece.name for piece in where]),
    ):
        made[name] = _repeated(values, sizes)
    return make_table(kind, made)


def sums(
    connection: sqlite3.Connection,
    where: Sequence[Piece],
    t_from: int,
    t_to: int,
    placements: Sequence[Placement],
) -> pd.DataFrame:
    """Return counts and sums of the samples of each location and hour.

    Parameters
    ----------
    connection, where, t_from, t_to
        As for `read`.
    placements : sequence of Placement
        Without overlaps for one device.

    Returns
    -------
    pandas.DataFrame
        As `tilth.fleet.archive.store.Store.sums`.
    """
    rows: list[tuple] = []
    for piece in where:
        held = [p for p in placements if p.device == piece.device]
        edges = {t for p in held for t in (p.t_from, p.end) if t_from < t < t_to}
        times = [t_from, *sorted(edges), t_to]
        for begin, end in pairwise(times):
            loc = next((p.loc for p in held if p.t_from <= begin < p.end), None)
            rows += connection.execute(
                f"SELECT ifnull(?, loc), t / {HOUR_MS} AS hour, {sum_columns('')}"
                " FROM hot_samples WHERE boot = ? AND seq BETWEEN ? AND ?"
                " AND t >= ? AND t < ? GROUP BY 1, 2",
                (loc, piece.boot, piece.first, piece.last, begin, end),
            )
    frame = pd.DataFrame(rows, columns=["loc", "hour", "n", *SUM_COLUMNS])
    return tidy_sums(frame)


def _repeated(values: list[str], sizes: list[int]) -> pa.Array:
    """Return each word as often as its block has rows."""
    known = {word: i for i, word in enumerate(dict.fromkeys(values))}
    codes = np.repeat([known[word] for word in values], sizes).astype(np.int32)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(known), pa.string()))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
