"""A small fleet's journal for tests of the archive: filled quickly, with the truth."""

import itertools
import sqlite3

import numpy as np

from tilth.fleet.archive.files import JOURNAL_FILE
from tilth.fleet.channels import CHANNEL_NAMES
from tilth.fleet.database import migrate
from tilth.fleet.journal_ranges import RangeSet
from tilth.fleet.journal_rollups import Rollups
from tilth.fleet.journal_schema import (
    APPLICATION_ID,
    EVENT_COLUMNS,
    MIGRATIONS,
    SAMPLE_COLUMNS,
)

DAY = 86_400_000
#: Midnight of a day in July 2025.
T0 = 20_289 * DAY


class World:
    """Writes records as the ingest would; `truth` has all of them."""

    def __init__(self, folder):
        self.folder = folder
        self.path = folder / JOURNAL_FILE
        self.journal = sqlite3.connect(self.path, isolation_level=None, timeout=30)
        self.journal.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        self.journal.execute("PRAGMA journal_mode = WAL")
        self.journal.execute("PRAGMA synchronous = OFF")  # tests of speed elsewhere
        migrate(self.journal, MIGRATIONS, "a journal", self.path)
        self.truth = {}
        self._boots = {}

    def close(self):
        self.journal.close()

    def boot(self, device, boot):
        """Return the key of a boot, and of its device."""
        if (device, boot) not in self._boots:
            run = self.journal.execute
            run(
                "INSERT OR IGNORE INTO devices(name, first_recv, last_recv)"
                " VALUES (?, 0, 0)",
                (device,),
            )
            (key,) = run("SELECT id FROM devices WHERE name = ?", (device,)).fetchone()
            run(
                "INSERT INTO boots(device, boot, first_recv, last_recv)"
                " VALUES (?, ?, 0, 0)",
                (key, boot),
            )
            (number,) = run("SELECT max(id) FROM boots").fetchone()
            self._boots[device, boot] = number, key
        return self._boots[device, boot]

    def add(
        self, device, boot, first, times, loc="5.10.A", *, events=(), seed=0, **all_
    ):
        """Add a record for each time, numbered from `first`.

        `events` holds the positions that are events, not samples.
        """
        number, _ = self.boot(device, boot)
        rng = np.random.default_rng([seed, first, int(device, 16) % 2**31])
        samples, notes = [], []
        for i, t in enumerate(times):
            seq, tick = first + i, t - T0 + 10**9
            head = (number, seq, t, tick, all_.get("recv", t + 5_000), loc)
            if i in events:
                body = f'{{"to":"closed","cycle":{seq}}}'
                notes.append((*head, "state", body, all_.get("quality", 0)))
            else:
                values = rng.integers(1000, 9000, len(CHANNEL_NAMES)).tolist()
                values[5] = None if seq % 7 == 0 else values[5]
                flags = 8 if seq % 11 == 0 else 0
                tail = (*values, 9, flags, all_.get("quality", 0))
                samples.append((*head, *tail))
        self.insert(device, boot, samples, notes)
        return samples, notes

    def insert(self, device, boot, samples, notes):
        number, key = self.boot(device, boot)
        rollups = Rollups()
        rows = sorted([(r[1], r[2]) for r in (*samples, *notes)])
        rollups.records(number, key, rows, max(t for _, t in rows) + 5_000)
        rollups.samples(key, number, samples)
        with_marks = ", ".join("?" * len(SAMPLE_COLUMNS))
        self.journal.execute("BEGIN IMMEDIATE")
        self.journal.executemany(f"INSERT INTO samples VALUES ({with_marks})", samples)
        with_marks = ", ".join("?" * len(EVENT_COLUMNS))
        self.journal.executemany(f"INSERT INTO events VALUES ({with_marks})", notes)
        rollups.write(self.journal)
        self._settle(number, [row[1] for row in (*samples, *notes)])
        self.journal.execute("COMMIT")
        for row in itertools.chain(samples, notes):
            self.truth[device, boot, row[1]] = row[2:]

    def _settle(self, boot, numbers):
        run = self.journal.execute
        ranges = RangeSet(run("SELECT first, last FROM ranges WHERE boot = ?", (boot,)))
        for n in numbers:
            ranges.add(n, n)
        run("DELETE FROM ranges WHERE boot = ?", (boot,))
        self.journal.executemany(
            "INSERT INTO ranges VALUES (?, ?, ?)",
            [(boot, first, last) for first, last in ranges],
        )

    def days(self, devices, days, step=60_000, replica="A"):
        """Fill whole days of some devices, a boot each 6 h."""
        for d, device in enumerate(devices):
            loc = f"5.{d + 1}.{replica}"
            for day in range(days):
                for quarter in range(4):
                    start = T0 + day * DAY + quarter * DAY // 4
                    times = range(start, start + DAY // 4, step)
                    boot = f"{day * 4 + quarter:x}-{d:08x}"
                    self.add(device, boot, 0, times, loc, events={0, 7, len(times) - 1})


def found(archive, t_from=T0 - 10 * DAY, t_to=T0 + 100 * DAY):
    """Return everything an archive gives, in the shape of `World.truth`, and twice."""
    records, doubles = {}, []
    for kind, names in (("samples", SAMPLE_COLUMNS), ("events", EVENT_COLUMNS)):
        table = archive.records(kind, t_from, t_to)
        columns = [table[name].to_pylist() for name in names[2:]]
        keys = zip(
            *(table[name].to_pylist() for name in ("device", "boot", "seq")),
            strict=True,
        )
        for key, *row in zip(keys, *columns, strict=True):
            if key in records:
                doubles.append(key)
            records[key] = tuple(row)
    return records, doubles
