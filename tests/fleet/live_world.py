"""Cycles of devices with known fluxes, written into a journal."""

import json
import sqlite3

import numpy as np

from tilth.chambers.air import air_moles_per_area, saturation_vapour_pressure
from tilth.chambers.simulate.fleet import hutchinson_mosier

#: 2025-07-20T20:00:00Z, a night cycle.
NIGHT = 1_753_041_600_000
CYCLE_MS, STEP_MS = 600_000, 3_000

SCHEMA = """
CREATE TABLE devices(id INTEGER PRIMARY KEY, name TEXT UNIQUE, first_recv, last_recv);
CREATE TABLE boots(id INTEGER PRIMARY KEY, device INTEGER, boot TEXT, first_recv,
  last_recv, fw TEXT, tick_last INTEGER, seq_last INTEGER, clock_a, clock_b,
  clock_source TEXT, UNIQUE(device, boot));
CREATE TABLE samples(boot INTEGER, seq INTEGER, t INTEGER, tick INTEGER, recv INTEGER,
  loc TEXT, co2, st, rh, at, p, lux, mv, state, flags INTEGER, quality INTEGER,
  PRIMARY KEY(boot, seq)) WITHOUT ROWID;
CREATE TABLE events(boot, seq, t, tick, recv, loc, kind TEXT, body TEXT, quality,
  PRIMARY KEY(boot, seq)) WITHOUT ROWID;
CREATE INDEX events_kind ON events(kind, t);
CREATE TABLE ranges(boot, first, last, PRIMARY KEY(boot, first)) WITHOUT ROWID;
CREATE TABLE tombstones(boot, first, last, reason, recv);
"""


def device_name(number):
    return f"{0xA0B765000000 + number:012x}"


class World:
    """A journal that is filled cycle by cycle, as ingest would fill it."""

    def __init__(self, folder, start=NIGHT):
        self.folder, self.start, self.now = folder, start, start
        self.connection = sqlite3.connect(
            folder / "journal.sqlite", isolation_level=None, check_same_thread=False
        )
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.executescript(SCHEMA)
        self.next_seq = {}

    def clock(self):
        return self.now

    def close(self):
        self.connection.close()

    def boot(self, device, boot="1-00000001"):
        run = self.connection.execute
        run("INSERT OR IGNORE INTO devices(name) VALUES(?)", (device,))
        number = run("SELECT id FROM devices WHERE name = ?", (device,)).fetchone()[0]
        run("INSERT OR IGNORE INTO boots(device, boot) VALUES(?, ?)", (number, boot))
        found = run(
            "SELECT id FROM boots WHERE device = ? AND boot = ?", (number, boot)
        )
        return found.fetchone()[0]

    def cycle(self, device, index=0, flux=0.8, **how):
        """Write one cycle; return (device, boot, first seq, last seq)."""
        how = {
            "boot": "1-00000001", "loc": "5.10.A", "lux": 0, "noise": 1.5, "seed": 0,
            "closed_ms": 180_000, "body": {}, "t": True, "columns": {}, "write": True,
            "stuck": None,
        } | how  # fmt: skip
        boot = self.boot(device, how["boot"])
        rng = np.random.default_rng([how["seed"], index, int(device, 16) % 1000])
        close = index * CYCLE_MS + 10_000
        opened = close + how["closed_ms"]
        ticks = np.arange(close - 60_000, opened + 330_000, STEP_MS) + 1_000
        seq = self.next_seq.setdefault(boot, 0)
        pressure, temperature, humidity = 97_200, 18.0, 60.0
        phi = air_moles_per_area(0.165, 1.0, pressure, temperature, 0.012)
        co2, vapour = self.air(ticks, close, opened, flux / phi, how["stuck"])
        co2 = co2 + how["noise"] * rng.standard_normal(len(co2))
        own = temperature + 1.5
        saturated = float(saturation_vapour_pressure(own))
        rh = 100.0 * (humidity / 100.0 * float(saturation_vapour_pressure(temperature))
                      + vapour) / saturated  # fmt: skip
        rh = rh + 0.05 * rng.standard_normal(len(rh))
        values = {
            "co2": np.round(10 * co2).astype(int), "st": round(100 * own),
            "rh": np.round(100 * rh).astype(int), "at": round(100 * temperature),
            "p": pressure,
            "lux": how["lux"], "mv": 4987, "flags": 0,
        } | how["columns"]  # fmt: skip

        def one(name, i):
            value = values[name]
            value = value[i] if isinstance(value, list | np.ndarray) else value
            return None if value is None else int(value)

        opens_at = int(np.searchsorted(ticks, opened, "right"))
        rows, event = [], None
        for i, tick in enumerate(ticks):
            if i == opens_at:
                event = (seq, opened + 500)
                seq += 1
            state = 5 if close <= tick <= opened else 9
            t = self.start + int(tick) if how["t"] else None
            measured = (one(n, i) for n in ("co2", "st", "rh", "at", "p", "lux", "mv"))
            head = (boot, seq, t, int(tick), self.now, how["loc"])
            rows.append((*head, *measured, state, one("flags", i), 0))
            seq += 1
        body = {
            "cycle": (self.start + close) // CYCLE_MS, "close": close, "open": opened,
            "why": "normal", "rule": "raw", "mixed": False, "sweeps": 2,
            "loc": how["loc"],
        } | how["body"]  # fmt: skip
        first = self.next_seq[boot]
        self.next_seq[boot] = seq
        t = self.start + event[1] if how["t"] else None
        record = (boot, event[0], t, event[1], self.now, how["loc"], "cycle")
        if how["write"]:
            self.commit(boot, rows, [(*record, json.dumps(body), 0)], first, seq - 1)
        self.last_rows, self.last_event = rows, (*record, json.dumps(body), 0)
        return device, how["boot"], first, seq - 1

    @staticmethod
    def air(ticks, close, opened, slope, stuck):
        """CO2 (ppm) and vapour above that of the room (Pa) of one cycle."""
        room = 450.0
        shut_for = np.clip(ticks - close, 0, opened - close) / 1000.0
        open_for = np.maximum(ticks - opened, 0) / 1000.0
        rise = hutchinson_mosier(slope, 5e-4, shut_for)
        wet = 800.0 * -np.expm1(-5e-4 * shut_for)
        if stuck == "open":
            rise, wet = 0.0 * rise, 0.0 * wet
        elif stuck == "clogged":
            rise, wet = 0.02 * rise, 0.02 * wet
        if stuck == "closed":
            long = 600.0 + (ticks - ticks[0]) / 1000.0
            rise = hutchinson_mosier(slope, 5e-4, long)
            wet = 800.0 * -np.expm1(-5e-4 * long)
        else:
            rise = rise * np.exp(-open_for / 30.0)
            wet = wet * np.exp(-open_for / 30.0)
        # The sensor's own delay, as a filter of first order.
        co2, keep = room + rise, np.exp(-STEP_MS / 20_000.0)
        slow = co2.copy()
        for i in range(1, len(co2)):
            slow[i] = keep * slow[i - 1] + (1 - keep) * 0.5 * (co2[i] + co2[i - 1])
        return slow, wet

    def commit(self, boot, rows, events, first, last):
        """Write records and the range they cover, in one transaction."""
        run = self.connection
        run.execute("BEGIN")
        run.executemany(
            f"INSERT OR IGNORE INTO samples VALUES({', '.join('?' * 16)})", rows
        )
        run.executemany(
            f"INSERT OR IGNORE INTO events VALUES({', '.join('?' * 9)})", events
        )
        ranges = run.execute(
            "SELECT first, last FROM ranges WHERE boot = ?", (boot,)
        ).fetchall()
        run.execute("DELETE FROM ranges WHERE boot = ?", (boot,))
        merged = []
        for low, high in sorted([*ranges, (first, last)]):
            if merged and low <= merged[-1][1] + 1:
                merged[-1][1] = max(high, merged[-1][1])
            else:
                merged.append([low, high])
        run.executemany(
            "INSERT INTO ranges VALUES(?, ?, ?)", [(boot, *r) for r in merged]
        )
        run.execute("COMMIT")
