"""Where live fluxes are kept: one row per cycle, written again as often as needed.

Everything in it can be computed again from the journal and the archive, so the file
is never the only copy of anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

import pandas as pd

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.core.flags import FlagTable
from tilth.fleet.clock import HOUR_MS
from tilth.fleet.database import Database, read_only
from tilth.fleet.detection_names import SIGNS, VERDICTS

#: What is peculiar to a live cycle, per row (``live_flag``); append, never insert.
LIVE_FLAGS = FlagTable(
    {
        "mixed": "location or configuration changed within the cycle: not averaged",
        "incomplete": "samples of the closure have not arrived yet",
        "late": "arrived more than ten minutes after the lid opened",
        "time_unknown": "the clock of this boot has never been set",
        "location_unknown": "no location was ever entered for the device",
        "fleet_pressure": "no pressure of its own: median of the fleet",
        "sensor_temperature": "no air temperature: that of the CO2 sensor less 1.5 K",
        "not_computed": "the flux could not be computed: see note",
        "cut_short": "the lid opened for a reason other than the rule",
        "lost_samples": "samples of the closure were reported lost for ever",
        "assumed_humidity": "no humidity was measured: 50 % taken",
    }
)

#: Columns of the table of fluxes, in order, with their SQL types.
COLUMNS: dict[str, str] = {
    "device": "TEXT NOT NULL",
    "boot": "TEXT NOT NULL",
    "cycle_seq": "INTEGER NOT NULL",
    "t": "INTEGER",
    "t_open": "INTEGER",
    "t_event": "INTEGER",
    "close_tick": "INTEGER NOT NULL",
    "open_tick": "INTEGER NOT NULL",
    "cycle": "INTEGER",
    "loc": "TEXT NOT NULL",
    "loc_sent": "TEXT NOT NULL",
    "why": "TEXT",
    "rule": "TEXT",
    "sweeps": "INTEGER",
    "flux": "REAL",
    "se": "REAL",
    "se_total": "REAL",
    "mdf": "REAL",
    "model": "TEXT",
    "reason": "TEXT",
    "flux_linear": "REAL",
    "se_linear": "REAL",
    "flux_hm": "REAL",
    "se_hm": "REAL",
    "c0": "REAL",
    "c_inf": "REAL",
    "kappa": "REAL",
    "amount": "REAL",
    "n": "INTEGER",
    "co2_start": "REAL",
    "co2_end": "REAL",
    "temperature": "REAL",
    "humidity": "REAL",
    "pressure": "REAL",
    "light": "REAL",
    "night": "INTEGER",
    "closure_flag": "INTEGER NOT NULL",
    "flux_flag": "INTEGER NOT NULL",
    "live_flag": "INTEGER NOT NULL",
    "note": "TEXT NOT NULL",
    "settings": "TEXT NOT NULL",
    "recv": "INTEGER",
    "computed": "INTEGER NOT NULL",
}

_T = list(COLUMNS).index("t")

#: A cycle is known by its device, the boot id it sent and the number of its record.
KEY = ("device", "boot", "cycle_seq")
Key = tuple[str, str, int]

#: One script per schema version: append, never change.
MIGRATIONS = (
    "CREATE TABLE fluxes(\n"
    + ",\n".join(f"  {name} {kind}" for name, kind in COLUMNS.items())
    + f",\n  PRIMARY KEY({', '.join(KEY)})) STRICT, WITHOUT ROWID;\n"
    + """
CREATE INDEX fluxes_t ON fluxes(t);
CREATE INDEX fluxes_device_t ON fluxes(device, t);
-- How the rows were computed: id in fluxes.settings -> JSON.
CREATE TABLE settings(id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
""",
    # What a cycle shows of its chamber, and what is made of it.
    "CREATE TABLE signs(\n  device TEXT NOT NULL,\n  boot TEXT NOT NULL,\n"
    "  cycle_seq INTEGER NOT NULL,\n  t INTEGER,\n"
    + "".join(f"  {name} REAL,\n" for name in (*SIGNS, *VERDICTS))
    + "  state TEXT,\n"
    f"  PRIMARY KEY({', '.join(KEY)})) STRICT, WITHOUT ROWID;\n"
    "CREATE INDEX signs_t ON signs(t);\n",
)

#: Bits of ``closure_flag`` that the detection sets: computing a flux again keeps them.
DETECTED = sum(
    CLOSURE_FLAGS.bit(name)
    for name in ("stuck_open", "stuck_closed", "clogged_pot", "open_or_clogged")
)


_PUT = (
    f"INSERT INTO fluxes({', '.join(COLUMNS)}) "
    f"VALUES({', '.join('?' * len(COLUMNS))}) "
    f"ON CONFLICT({', '.join(KEY)}) DO UPDATE SET "
    + ", ".join(
        f"{name} = excluded.{name}"
        for name in COLUMNS
        if name not in (*KEY, "closure_flag")
    )
    + f", closure_flag = excluded.closure_flag | (closure_flag & {DETECTED})"
)


class FluxStore:
    """The file ``fluxes.sqlite``.

    Parameters
    ----------
    path : path
        File; made if absent. One process writes it, any number read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._database = Database(path, MIGRATIONS, "the fleet's file of fluxes")
        self.path = self._database.path
        self._watchers: list[Callable[[int, int], object]] = []

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._database.close()

    def watch(self, changed: Callable[[int, int], object]) -> None:
        """Have a function called with the span of time (utc ms) in which rows changed.

        It is called by whoever writes, so it should only take note.
        """
        self._watchers.append(changed)

    def _tell(self, times: Iterable[int | None]) -> None:
        known = [t for t in times if t is not None]
        for changed in self._watchers if known else ():
            changed(min(known), max(known))

    def put(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Write rows, each in place of what was there under its key."""
        values = [tuple(row[name] for name in COLUMNS) for row in rows]
        with self._database.transaction() as connection:
            connection.executemany(_PUT, values)
        self._tell(value[_T] for value in values)
        return len(values)

    def amend(self, changes: Iterable[tuple[Key, Mapping[str, Any]]]) -> int:
        """Change some columns of rows that are there."""
        count = 0
        with self._database.transaction() as connection:
            for key, change in changes:
                names = ", ".join(f"{name} = ?" for name in change)
                found = connection.execute(
                    f"UPDATE fluxes SET {names} "
                    f"WHERE {' AND '.join(f'{k} = ?' for k in KEY)}",
                    (*change.values(), *key),
                )
                count += found.rowcount
        if count:
            self._tell((0, 1 << 62))
        return count

    def keep_settings(self, identifier: str, body: str) -> None:
        """Keep what the rows of this settings identifier were computed with."""
        self._database.write(
            "INSERT OR IGNORE INTO settings(id, body) VALUES(?, ?)", identifier, body
        )

    def settings(self) -> dict[str, str]:
        """Return every settings identifier with its JSON."""
        rows = self._database.rows("SELECT id, body FROM settings")
        return {row["id"]: row["body"] for row in rows}

    def rows(
        self,
        where: str = "1",
        parameters: Sequence[Any] = (),
        columns: Sequence[str] = tuple(COLUMNS),
    ) -> list[tuple[Any, ...]]:
        """Return rows as tuples, in the order of time.

        Parameters
        ----------
        where : str
            Condition in SQL, with question marks for `parameters`.
        parameters : sequence
            Their values.
        columns : sequence of str
            What to return.
        """
        # A connection of its own: a long answer does not hold up the writer.
        with closing(read_only(self.path)) as connection:
            return connection.execute(
                f"SELECT {', '.join(columns)} FROM fluxes WHERE {where} "
                "ORDER BY t, device, boot, cycle_seq",
                tuple(parameters),
            ).fetchall()

    def table(
        self,
        where: str = "1",
        parameters: Sequence[Any] = (),
        columns: Sequence[str] = tuple(COLUMNS),
    ) -> pd.DataFrame:
        """Return the same as a table."""
        rows = self.rows(where, parameters, columns)
        table = pd.DataFrame.from_records(rows, columns=list(columns))
        for name in table.columns:
            if COLUMNS[name] == "REAL":
                table[name] = table[name].astype(float)
        return table

    def hourly(
        self, t_from: int, t_to: int, unusable: int, doubts: int, night: bool
    ) -> list[tuple[str, int, float, int]]:
        """Return the mean flux of each location and hour: code, hour, flux, cycles.

        Parameters
        ----------
        t_from, t_to : int
            utc ms.
        unusable, doubts : int
            Bits of ``live_flag`` and ``closure_flag`` that keep a cycle out.
        night : bool
            Only cycles in the dark.
        """
        with closing(read_only(self.path)) as connection:
            return connection.execute(
                f"SELECT loc, t / {HOUR_MS}, avg(flux), count(*) FROM fluxes "
                "WHERE t >= ? AND t < ? AND flux IS NOT NULL AND live_flag & ? = 0 "
                "AND closure_flag & ? = 0 AND (night = 1 OR NOT ?) GROUP BY 1, 2",
                (t_from, t_to, unusable, doubts, night),
            ).fetchall()

    def times(self) -> dict[Key, int | None]:
        """Return every cycle that has a row, with the time its record had then."""
        with closing(read_only(self.path)) as connection:
            rows = connection.execute(f"SELECT {', '.join(KEY)}, t_event FROM fluxes")
            return {(device, boot, seq): t for device, boot, seq, t in rows}

    def incomplete(self) -> list[Key]:
        """Return the cycles of which samples may still arrive."""
        with closing(read_only(self.path)) as connection:
            return connection.execute(
                f"SELECT {', '.join(KEY)} FROM fluxes WHERE live_flag & ? != 0",
                (LIVE_FLAGS.bit("incomplete"),),
            ).fetchall()

    def put_signs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write the signs of cycles; what was made of them before stays."""
        names = (*KEY, "t", *SIGNS)
        with self._database.transaction() as connection:
            connection.executemany(
                f"INSERT INTO signs({', '.join(names)}) "
                f"VALUES({', '.join('?' * len(names))}) "
                f"ON CONFLICT({', '.join(KEY)}) DO UPDATE SET "
                + ", ".join(f"{n} = excluded.{n}" for n in ("t", *SIGNS)),
                [tuple(row[name] for name in names) for row in rows],
            )

    def put_verdicts(
        self, verdicts: Iterable[Mapping[str, Any]], flags: Iterable[tuple[Key, int]]
    ) -> None:
        """Write what is made of cycles, and the flags that follow for their fluxes.

        Parameters
        ----------
        verdicts : iterable of mapping
            With the keys of a row, `VERDICTS` and ``state``.
        flags : iterable of (key, int)
            Bits of `DETECTED` that hold for a cycle.
        """
        verdicts, flags = list(verdicts), list(flags)
        names = (*VERDICTS, "state")
        of_row = " AND ".join(f"{name} = ?" for name in KEY)
        with self._database.transaction() as connection:
            connection.executemany(
                f"UPDATE signs SET {', '.join(f'{n} = ?' for n in names)} "
                f"WHERE {of_row}",
                [tuple(row[name] for name in (*names, *KEY)) for row in verdicts],
            )
            connection.executemany(
                f"UPDATE fluxes SET closure_flag = (closure_flag & ~{DETECTED}) | ? "
                f"WHERE {of_row}",
                [(bits, *key) for key, bits in flags],
            )
        self._tell(row.get("t") for row in verdicts)

    def signs(self, t_from: int, t_to: int) -> pd.DataFrame:
        """Return signs and verdicts of the cycles of a span of time (utc ms)."""
        names = (*KEY, "t", *SIGNS, *VERDICTS, "state")
        with closing(read_only(self.path)) as connection:
            rows = connection.execute(
                f"SELECT {', '.join(names)} FROM signs WHERE t >= ? AND t < ? "
                "ORDER BY device, t",
                (t_from, t_to),
            ).fetchall()
        table = pd.DataFrame.from_records(rows, columns=list(names))
        numbers = [*SIGNS, *VERDICTS]
        table[numbers] = table[numbers].astype(float)
        return table

    def newest_sign(self) -> int | None:
        """Return when the newest cycle with signs closed, utc ms."""
        with closing(read_only(self.path)) as connection:
            found: int | None = connection.execute(
                "SELECT max(t) FROM signs"
            ).fetchone()[0]
            return found

    def without_signs(self) -> list[Key]:
        """Return cycles that have a row but no signs yet."""
        with closing(read_only(self.path)) as connection:
            return connection.execute(
                f"SELECT {', '.join(KEY)} FROM fluxes EXCEPT "
                f"SELECT {', '.join(KEY)} FROM signs"
            ).fetchall()

    def cycles_of(
        self, device: str, boot: str, first: int, last: int
    ) -> list[tuple[int, int, int, int | None]]:
        """Return cycles of a boot: number, ticks of closing and opening, time.

        Those from `first` to `last`, the one before and the one after, in order.
        """
        columns = "cycle_seq, close_tick, open_tick, t"
        where = "device = ? AND boot = ? AND cycle_seq"
        ask = f"SELECT {columns} FROM fluxes WHERE {where}"
        with closing(read_only(self.path)) as connection:
            parts = [
                connection.execute(
                    f"{ask} {limit} ", (device, boot, *bounds)
                ).fetchall()
                for limit, bounds in (
                    ("< ? ORDER BY cycle_seq DESC LIMIT 1", (first,)),
                    ("BETWEEN ? AND ? ORDER BY cycle_seq", (first, last)),
                    ("> ? ORDER BY cycle_seq LIMIT 1", (last,)),
                )
            ]
        rows = [row for part in parts for row in part]
        # A record that makes no sense is no closure to look at.
        return [row for row in rows if row[2] > row[1]]

    def boot_before(self, device: str, boot: str) -> tuple[str, int] | None:
        """Return the boot before this one with the number of its last cycle."""
        with closing(read_only(self.path)) as connection:
            found: tuple[str, int] | None = connection.execute(
                "SELECT boot, cycle_seq FROM fluxes WHERE device = ?1 AND boot <> ?2 "
                "AND t < (SELECT min(t) FROM fluxes WHERE device = ?1 AND boot = ?2) "
                "ORDER BY t DESC LIMIT 1",
                (device, boot),
            ).fetchone()
            return found
