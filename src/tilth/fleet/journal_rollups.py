"""Hourly spans and rollups of what a transaction brings, summed before it is written.

The statistics of a channel are over the values that were measured: null is left
out, and so are CO2, temperature and humidity of the CO2 sensor while it warms up or
after a failed checksum (it then says 0, or anything).
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from tilth.fleet.channels import CHANNEL_NAMES, FLAGS
from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.fleet.journal_schema import STATISTICS

#: A record received this long after it was measured is late, ms: one cycle.
LATE_MS = 600_000

#: Remarks under which the CO2 sensor's values stay out of the statistics.
DOUBTED = FLAGS["co2_crc"] | FLAGS["co2_missing"] | FLAGS["warmup"]
_OF_CO2_SENSOR = ("co2", "st", "rh")
_DOUBTED_COLUMNS = [CHANNEL_NAMES.index(name) for name in _OF_CO2_SENSOR]

# Positions in a row of the table samples.
_T, _LOC, _CHANNELS, _FLAGS = 2, 5, slice(6, 13), 14

_COLUMNS = [f"{channel}_{what}" for channel in CHANNEL_NAMES for what in STATISTICS]


def _merge(column: str) -> str:
    """Say how a statistic is joined with the one that is there."""
    if column.endswith(("_n", "_sum")):
        return f"{column} = ifnull({column}, 0) + ifnull(excluded.{column}, 0)"
    which = column[-3:]
    return (
        f"{column} = ifnull({which}({column}, excluded.{column}), "
        f"ifnull({column}, excluded.{column}))"
    )


_ADD_ROLLUP = (
    f"INSERT INTO rollups(device, hour, boot, loc, n, {', '.join(_COLUMNS)}) "
    f"VALUES({', '.join('?' * (5 + len(_COLUMNS)))}) "
    "ON CONFLICT(device, hour, boot, loc) DO UPDATE SET n = n + excluded.n, "
    + ", ".join(map(_merge, _COLUMNS))
)

_ADD_SPAN = (
    "INSERT INTO spans(boot, hour, n, seq_first, seq_last, t_first, t_last) "
    "VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(boot, hour) DO UPDATE SET "
    "n = n + excluded.n, seq_first = min(seq_first, excluded.seq_first), "
    "seq_last = max(seq_last, excluded.seq_last), "
    "t_first = min(t_first, excluded.t_first), t_last = max(t_last, excluded.t_last)"
)

_ADD_COUNTER = (
    "INSERT INTO counters(device, day, received, duplicate, late) "
    "VALUES(?, ?, ?, ?, ?) ON CONFLICT(device, day) DO UPDATE SET "
    "received = received + excluded.received, "
    "duplicate = duplicate + excluded.duplicate, late = late + excluded.late"
)


class Rollups:
    """What one transaction adds to the hourly tables and the counters."""

    def __init__(self) -> None:
        self._spans: dict[tuple[int, int], list[int]] = {}
        self._received: Counter[tuple[int, int]] = Counter()
        self._duplicate: Counter[tuple[int, int]] = Counter()
        self._late: Counter[tuple[int, int]] = Counter()
        self._groups: dict[tuple[int, int, int, str], int] = {}
        self._group_of: list[int] = []
        self._group_rows: list[int] = []
        self._rows: list[tuple] = []

    def live(
        self, boot: int, device: int, n: int, first: int, last: int, low: int, high: int
    ) -> None:
        """Count `n` records of one hour, not late.

        Parameters
        ----------
        boot, device : int
            Keys in the journal.
        n : int
            How many.
        first, last : int
            Lowest and highest sequence number.
        low, high : int
            Earliest and latest time, ms.
        """
        hour = low // HOUR_MS
        self._span(boot, hour, n, first, last, low, high)
        self._received[device, hour // 24] += n

    def records(
        self, boot: int, device: int, times: Sequence[tuple[int, int]], recv: int
    ) -> None:
        """Count records, given as (number, time), wherever their times lie."""
        for seq, t in times:
            self._span(boot, t // HOUR_MS, 1, seq, seq, t, t)
            self._received[device, t // DAY_MS] += 1
            if recv - t > LATE_MS:
                self._late[device, t // DAY_MS] += 1

    def respan(self, boot: int, times: Sequence[tuple[int, int]]) -> None:
        """Count records that were counted before, at another time."""
        for seq, t in times:
            self._span(boot, t // HOUR_MS, 1, seq, seq, t, t)

    def duplicates(self, device: int, t: int, n: int) -> None:
        """Count `n` records that were there already."""
        self._duplicate[device, t // DAY_MS] += n

    def samples(self, device: int, boot: int, rows: Sequence[tuple]) -> None:
        """Add rows of one boot and label, as in the table ``samples``, all timed."""
        hours = [row[_T] // HOUR_MS for row in rows]
        for hour in sorted(set(hours)):
            part = [row for row, h in zip(rows, hours, strict=True) if h == hour]
            self.hour(device, hour, boot, part)

    def hour(self, device: int, hour: int, boot: int, rows: Sequence[tuple]) -> None:
        """Add rows that all are of one hour, at least one."""
        key = (device, hour, boot, rows[0][_LOC])
        group = self._groups.setdefault(key, len(self._groups))
        self._group_of.append(group)
        self._group_rows.append(len(rows))
        self._rows += rows

    def _span(
        self, boot: int, hour: int, n: int, first: int, last: int, low: int, high: int
    ) -> None:
        span = self._spans.get((boot, hour))
        if span is None:
            self._spans[boot, hour] = [n, first, last, low, high]
            return
        span[0] += n
        if first < span[1]:
            span[1] = first
        if last > span[2]:
            span[2] = last
        if low < span[3]:
            span[3] = low
        if high > span[4]:
            span[4] = high

    def write(self, connection: sqlite3.Connection) -> None:
        """Add it all to the tables, within the transaction."""
        many = connection.executemany
        many(_ADD_SPAN, [(*key, *span) for key, span in self._spans.items()])
        keys = set(self._received) | set(self._duplicate) | set(self._late)
        many(
            _ADD_COUNTER,
            [(*k, self._received[k], self._duplicate[k], self._late[k]) for k in keys],
        )
        if self._rows:
            many(_ADD_ROLLUP, self._rollups())

    def _rollups(self) -> Iterable[tuple]:
        group = np.repeat(self._group_of, self._group_rows)
        order = np.argsort(group, kind="stable")
        values = np.array([row[_CHANNELS] for row in self._rows], dtype=float)
        flags = np.array([row[_FLAGS] for row in self._rows], dtype=np.int64)
        doubted = flags & DOUBTED != 0
        if doubted.any():
            values[np.ix_(doubted, _DOUBTED_COLUMNS)] = np.nan
        starts, statistics = grouped_statistics(values[order], group[order])
        rows = np.diff(np.append(starts, len(group)))
        for k, key in enumerate(self._groups):
            yield (*key, int(rows[k]), *statistics[k])


def grouped_statistics(
    values: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, list[list[int | None]]]:
    """Return count, sum, least and greatest of each column, group by group.

    Parameters
    ----------
    values : ndarray, shape (row, channel)
        Whole numbers, NaN where nothing was measured.
    group : ndarray, shape (row,)
        Ascending group of each row.

    Returns
    -------
    starts : ndarray, shape (group,)
        First row of each group.
    statistics : list of list
        For each group, the four statistics of each channel in turn; None where no
        value was measured.

    Examples
    --------
    >>> values = np.array([[1.0, np.nan], [3.0, np.nan], [5.0, 6.0]])
    >>> grouped_statistics(values, np.array([0, 0, 1]))[1]
    [[2, 4, 1, 3, 0, 0, None, None], [1, 5, 5, 5, 1, 6, 6, 6]]
    """
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(np.int64), starts)
    total = np.add.reduceat(np.where(known, values, 0.0), starts)
    least = np.fmin.reduceat(values, starts)
    greatest = np.fmax.reduceat(values, starts)
    columns = np.stack([count, total, least, greatest], axis=-1)
    flat = columns.reshape(len(starts), -1).tolist()
    return starts, [
        [None if x != x else int(x) for x in row]  # NaN is not itself
        for row in flat
    ]
