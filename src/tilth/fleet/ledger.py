"""The ledger: what became of every number a device ever gave to a record.

Numbers are given when a record is generated, so they prove what there should be:
each is stored, or has a tombstone that says why not, or is missing. What is missing
is *outstanding* while the device holds it (or may), and *lost* once it does not.

=================  ================================================================
``expected``       numbers given, as far as the device has told
``received``       records stored, in the journal or since sealed in the archive
``late``           of these, more than ten minutes after they were measured
``duplicate``      records that came again, not stored twice
``dropped``        given up by the device, which said so (overflow, poison, corrupt)
``quarantined``    came unreadable; their messages are kept
``lost``           neither stored nor on the device: forgotten by a restored journal,
                   destroyed in it, or given up without a word
``outstanding``    still on the device, or on their way
=================  ================================================================

Expected is the sum of received, dropped, quarantined, lost and outstanding. Rows may
be sealed and deleted: ranges and hourly spans stay, and with them the proof.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tilth.fleet.clock import DAY_MS, day_name
from tilth.fleet.journal_ranges import RangeSet

if TYPE_CHECKING:
    import pandas as pd

#: Reason of a tombstone -> column of the ledger.
_COLUMN = {
    "overflow": "dropped",
    "poison": "dropped",
    "corrupt": "dropped",
    "dropped": "dropped",
    "quarantined": "quarantined",
    "forgotten": "lost",
    "destroyed": "lost",
}

#: Boots of which not every number is a stored record with a time.
_INCOMPLETE = (
    "(b.untimed > 0 OR EXISTS (SELECT 1 FROM tombstones WHERE boot = b.id) OR "
    "NOT EXISTS (SELECT 1 FROM ranges WHERE boot = b.id AND first = 0 "
    "AND last >= max(b.known, b.seq_last)))"
)

#: Time between records where nothing else tells it, ms: one sample in 3 s.
_USUAL_STEP_MS = 3_000
#: No device runs longer without a reboot, ms.
_LONGEST_BOOT_MS = 400 * DAY_MS


@dataclass(frozen=True)
class Proof:
    """What became of the numbers ``0 .. known`` of one boot.

    Attributes
    ----------
    device, boot : str
        Whose numbers.
    known : int
        Highest number the device has told of; -1 if none.
    watermark : int
        All up to here are settled.
    stored, dropped, quarantined, lost, outstanding : int
        How many; their sum is ``known + 1``.
    missing : tuple of (int, int)
        Ranges that are neither stored nor have a tombstone.
    counted : int
        Records counted when they were stored, hour by hour; equal to `stored` unless
        the journal is damaged.
    """

    device: str
    boot: str
    known: int
    watermark: int
    stored: int
    dropped: int
    quarantined: int
    lost: int
    outstanding: int
    missing: tuple[tuple[int, int], ...]
    counted: int

    @property
    def settled(self) -> bool:
        """Whether every number is accounted for, and the counts agree."""
        return not self.missing and self.stored == self.counted

    @property
    def complete(self) -> bool:
        """Whether every number is a stored record: nothing was lost anywhere."""
        return self.settled and self.stored == self.known + 1


@dataclass
class DeviceDay:
    """One line of the ledger; see the table above."""

    device: str
    day: int
    expected: int = 0
    received: int = 0
    late: int = 0
    duplicate: int = 0
    dropped: int = 0
    quarantined: int = 0
    lost: int = 0
    outstanding: int = 0
    hours: int = 0

    @property
    def completeness(self) -> float:
        """Share of what was generated that is stored; 1 if nothing was."""
        return self.received / self.expected if self.expected else 1.0


@dataclass
class _Account:
    """A boot's numbers: where each kind lies, and when."""

    key: int
    device: str
    boot: str
    known: int
    low: int
    recv: int
    untimed: int
    last_recv: int
    held: int
    ranges: RangeSet = field(default_factory=RangeSet)
    stones: list[tuple[int, int, str]] = field(default_factory=list)
    anchors: list[tuple[int, int]] = field(default_factory=list)
    counted: int = 0

    def missing(self) -> Iterator[tuple[int, int, str]]:
        """Yield the gaps, parted into lost and outstanding."""
        for first, last in self.ranges.missing(0, self.known):
            if not self.held:
                yield first, last, "lost"
                continue
            if first < self.low:
                yield first, min(last, self.low - 1), "lost"
            if last >= self.low:
                yield max(first, self.low), last, "outstanding"

    def without_record(self) -> Iterator[tuple[int, int, str]]:
        """Yield every range that is not stored, and the column it belongs to."""
        for first, last, reason in self.stones:
            yield first, last, _COLUMN.get(reason, "lost")
        yield from self.missing()


def prove(
    connection: sqlite3.Connection,
    device: str | None = None,
    boot: str | None = None,
) -> list[Proof]:
    """Return for each boot what became of its numbers.

    Parameters
    ----------
    connection : sqlite3.Connection
        A reader of the journal.
    device, boot : str, optional
        Only these.

    Returns
    -------
    list of Proof
        By device, then in the order in which the boots were heard of.
    """
    return [_prove(one) for one in _accounts(connection, device, boot)]


def _prove(one: _Account) -> Proof:
    counts: Counter[str] = Counter()
    for first, last, column in one.without_record():
        counts[column] += last - first + 1
    stones = sum(last - first + 1 for first, last, _ in one.stones)
    return Proof(
        one.device,
        one.boot,
        one.known,
        one.ranges.watermark,
        one.ranges.count() - stones,
        counts["dropped"],
        counts["quarantined"],
        counts["lost"],
        counts["outstanding"],
        tuple(one.ranges.missing(0, one.known)),
        one.counted + one.untimed,
    )


def device_days(
    connection: sqlite3.Connection,
    first_day: int | None = None,
    last_day: int | None = None,
    device: str | None = None,
) -> list[DeviceDay]:
    """Return the ledger: one line per device and UTC day.

    Numbers without a record are put on the day on which their neighbours say they
    were generated; a boot's tail, on the days that follow at its usual pace.

    Parameters
    ----------
    connection : sqlite3.Connection
        A reader of the journal.
    first_day, last_day : int, optional
        Days since 1970-01-01, both included.
    device : str, optional
        Only this one.

    Returns
    -------
    list of DeviceDay
        By device and day.
    """
    lines: dict[tuple[str, int], DeviceDay] = {}

    def line(name: str, day: int) -> DeviceDay:
        return lines.setdefault((name, day), DeviceDay(name, day))

    days = (
        -(2**62) if first_day is None else first_day,
        2**62 if last_day is None else last_day,
    )
    of = "JOIN devices d ON d.id = x.device WHERE (?3 IS NULL OR d.name = ?3)"
    for name, day, received, duplicate, late in connection.execute(
        f"SELECT d.name, day, received, duplicate, late FROM counters x {of} "
        "AND day BETWEEN ?1 AND ?2",
        (*days, device),
    ):
        one = line(name, day)
        one.received, one.duplicate, one.late = received, duplicate, late
    for name, day, hours in connection.execute(
        "SELECT d.name, s.hour / 24, count(DISTINCT s.hour) FROM spans s "
        f"JOIN boots x ON x.id = s.boot {of} "
        "AND s.hour BETWEEN ?1 AND ?2 GROUP BY d.name, s.hour / 24",
        (max(days[0], -(2**50)) * 24, min(days[1], 2**50) * 24 + 23, device),
    ):
        line(name, day).hours = hours
    for account in _accounts(connection, device, condition=_INCOMPLETE):
        _find_anchors(connection, account)
        if account.untimed:
            line(account.device, account.recv // DAY_MS).received += account.untimed
        for first, last, column in account.without_record():
            for day, count in _by_day(account, first, last):
                one = line(account.device, day)
                setattr(one, column, getattr(one, column) + count)
    for one in lines.values():
        one.expected = (
            one.received + one.dropped + one.quarantined + one.lost + one.outstanding
        )
    return [lines[key] for key in sorted(lines) if days[0] <= key[1] <= days[1]]


def ledger_frame(lines: Iterable[DeviceDay]) -> pd.DataFrame:
    """Return the ledger as a table.

    Parameters
    ----------
    lines : iterable of DeviceDay
        From `device_days`.

    Returns
    -------
    pandas.DataFrame
        One row each, ``day`` as a date, with ``completeness``.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = [
        {**asdict(one), "day": day_name(one.day), "completeness": one.completeness}
        for one in lines
    ]
    columns = [*DeviceDay.__dataclass_fields__, "completeness"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(day=pd.to_datetime(table["day"], utc=True))


def recount(
    connection: sqlite3.Connection, archived: Mapping[tuple[str, str], int]
) -> list[str]:
    """Count the rows themselves: the proof that does not trust the counts.

    Parameters
    ----------
    connection : sqlite3.Connection
        A reader of the journal.
    archived : mapping of (str, str) to int
        Device and boot -> rows in the archive, samples and events.

    Returns
    -------
    list of str
        A sentence for each boot whose rows are not as many as the ledger says;
        empty if all is well.
    """
    wrong = []
    for account in _accounts(connection):
        held = sum(
            connection.execute(
                f"SELECT count(*) FROM hot_{table} WHERE boot = ?", (account.key,)
            ).fetchone()[0]
            for table in ("samples", "events")
        )
        sealed = archived.get((account.device, account.boot), 0)
        stored = _prove(account).stored
        if held + sealed != stored:
            wrong.append(
                f"boot {account.boot} of {account.device}: the ledger says {stored} "
                f"records, there are {held} in the journal and {sealed} in the archive"
            )
    return wrong


def _accounts(
    connection: sqlite3.Connection,
    device: str | None = None,
    boot: str | None = None,
    condition: str = "1",
) -> list[_Account]:
    """Read what is known of the numbers of each boot that meets a condition."""
    run = connection.execute
    clauses, values = [condition], []
    for clause, value in (("d.name = ?", device), ("b.boot = ?", boot)):
        if value is not None:
            clauses.append(clause)
            values.append(value)
    where = f"WHERE {' AND '.join(clauses)}"
    accounts = {
        row[0]: _Account(*row)
        for row in run(
            "SELECT b.id, d.name, b.boot, max(b.known, b.seq_last), b.low, "
            "b.first_recv, b.untimed, b.last_recv, b.held FROM boots b "
            f"JOIN devices d ON d.id = b.device {where} ORDER BY d.name, b.id",
            values,
        )
    }
    of = f"JOIN boots b ON b.id = x.boot JOIN devices d ON d.id = b.device {where}"
    for key, first, last in run(
        f"SELECT x.boot, x.first, x.last FROM ranges x {of}", values
    ):
        accounts[key].ranges.add(first, last)
    for key, *stone in run(
        f"SELECT x.boot, x.first, x.last, x.reason FROM tombstones x {of}", values
    ):
        accounts[key].stones.append(tuple(stone))
    for key, count in run(
        f"SELECT x.boot, sum(x.n) FROM spans x {of} GROUP BY x.boot", values
    ):
        accounts[key].counted = count
    return list(accounts.values())


def _find_anchors(connection: sqlite3.Connection, account: _Account) -> None:
    """Read when some of a boot's numbers were given."""
    for seq_first, seq_last, t_first, t_last in connection.execute(
        "SELECT seq_first, seq_last, t_first, t_last FROM spans WHERE boot = ?",
        (account.key,),
    ):
        account.anchors += [(seq_first, t_first), (seq_last, t_last)]
    account.anchors.sort()


def _by_day(one: _Account, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield on how many of the numbers ``first .. last`` fell on each day."""
    while first <= last:
        day = _time_of(one, first) // DAY_MS
        # The last number of this day, by bisection: time does not go back.
        low, high = first, last
        while low < high:
            middle = (low + high + 1) // 2
            if _time_of(one, middle) // DAY_MS <= day:
                low = middle
            else:
                high = middle - 1
        yield day, low - first + 1
        first = low + 1


def _time_of(one: _Account, seq: int) -> int:
    """Return when a number was given, ms: between the neighbours that are known."""
    anchors = one.anchors
    if not anchors:
        return one.recv
    k = bisect_left(anchors, (seq, -1))
    if 0 < k < len(anchors):
        (left, begin), (right, end) = anchors[k - 1], anchors[k]
        span = max(right - left, 1)
        return begin + max(end - begin, 0) * (seq - left) // span
    (left, begin), (right, end) = anchors[0], anchors[-1]
    step = (end - begin) // (right - left) if right > left else _USUAL_STEP_MS
    step = max(step, 1)
    if k == 0:
        return max(begin - (left - seq) * step, begin - _LONGEST_BOOT_MS)
    # It was told of, so it was given before that.
    return min(end + (seq - right) * step, max(one.last_recv, end))
