"""Answers from 100 million points: a day of one device, a week of all variants.

20 million rows of 50 chambers over 13.9 days, one in 3 s, five channels asked for. The
newest day lies in the journal, as in a running fleet; the others are sealed. *Cold* is
the first question of a fresh process whose files are not in memory, without the time
Python takes to start and import; *warm* the median of those that follow, with the CPU
time of both threads for machines that have other work. Peers are the
same rows and the same questions in stores without rollups, on two such cores.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.measure import Row, in_fresh_process
from tilth.fleet.archive.files import KINDS, make_table
from tilth.fleet.archive.parquet import ParquetStore
from tilth.fleet.archive.seal import Sealer
from tilth.fleet.channels import CHANNEL_NAMES
from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.fleet.control import open_control
from tilth.fleet.journal import Journal
from tilth.fleet.journal_rollups import Rollups, grouped_statistics
from tilth.fleet.journal_schema import SAMPLE_COLUMNS, STATISTICS
from tilth.fleet.placement import place

DEVICES = 50
PERIOD_MS = 3_000
#: 13.9 days, the last of them not over: 20 million rows.
ROWS_PER_DEVICE = 400_000
FIRST_DAY = 20_289
BEGIN = FIRST_DAY * DAY_MS
END = BEGIN + ROWS_PER_DEVICE * PERIOD_MS
#: First moment that is still in the journal: the day before the last, and the last.
HOT = (END // DAY_MS - 1) * DAY_MS

#: Five channels of 20 million rows are 100 million points.
CHANNELS = ["co2", "st", "rh", "at", "p"]

#: Hourly means of 7 days of the same rows without rollups, and 24 h of one device, ms.
POSTGRES_MS, SQLITE_MS, POSTGRES_DAY_MS = 7_700.0, 21_000.0, 75.0


def device(number: int) -> str:
    """Return the address of a chamber."""
    return f"{number:012x}"


def columns(number: int, t_from: int, t_to: int) -> dict[str, np.ndarray]:
    """Return plausible samples of one chamber; the same for the same arguments."""
    t = np.arange(t_from, t_to, PERIOD_MS)
    rng = np.random.default_rng([number, t_from // DAY_MS])
    in_cycle = (t // 1000) % 600
    closed = in_cycle < 180
    hour = (t / HOUR_MS) % 24
    day = np.sin((hour - 8) / 24 * 2 * np.pi)
    noise = rng.normal(0, 1, (4, t.size))
    slope = 0.3 + 0.1 * (number % 10)
    values = {
        "co2": 4300
        + 400 * -day
        + np.where(closed, slope * in_cycle, 0)
        + 30 * noise[0],
        "st": 2000 + 600 * day + 3 * noise[1],
        "rh": 6000 - 1500 * day + 10 * noise[2],
        "at": 1850 + 600 * day + 2 * noise[1],
        "p": 98_000 + 300 * np.sin(t / (3 * DAY_MS)) + 3 * noise[3],
        "lux": np.maximum(0, 9000 * day),
        "mv": 4950 + 5 * noise[3],
    }
    made = {name: np.rint(value).astype(np.int64) for name, value in values.items()}
    made["t"] = t
    made["seq"] = (t - BEGIN) // PERIOD_MS
    made["tick"] = t - BEGIN
    made["recv"] = t + 7_000 + number
    made["state"] = np.where(closed, 5, 9)
    made["flags"] = np.where(in_cycle % 5 == 0, 256, 0)
    made["quality"] = np.zeros(t.size, np.int64)
    return made


def build(folder: Path) -> dict[str, float]:
    """Make the fleet's data folder; return what sealing its first hot day cost."""
    with open_control(folder, clock=lambda: END) as control:
        for i in range(DEVICES):
            code = f"{i // 10 + 1}.{i % 10 + 1}.A"
            place(control, device(i), code, BEGIN, source="touch")
    Journal(folder / "journal.sqlite").close()
    journal = sqlite3.connect(folder / "journal.sqlite", isolation_level=None)
    journal.execute("PRAGMA synchronous = OFF")
    for i in range(DEVICES):
        journal.execute("INSERT INTO devices VALUES (?, ?, 0, 0)", (i, device(i)))
        journal.execute(
            "INSERT INTO boots(id, device, boot, first_recv, last_recv)"
            " VALUES (?, ?, ?, 0, 0)",
            (i, i, f"1-{i:08x}"),
        )
    store = ParquetStore(folder / "archive")
    for begin in range(BEGIN, END, DAY_MS):
        end = min(begin + DAY_MS, END)
        if begin < HOT:
            _sealed_day(journal, store, begin, end)
        else:
            _hot_day(journal, begin, end)
    store.close()
    journal.close()
    rows = DEVICES * DAY_MS // PERIOD_MS
    start, cpu = time.perf_counter(), time.process_time()
    with Sealer(folder, clock=lambda: HOT + DAY_MS, keep_days=0) as work:
        moved = sum(done.rows for done in work.seal_pending())
    if moved != rows:
        raise RuntimeError(f"sealed {moved} of {rows} rows")
    return {
        "wall_s": time.perf_counter() - start,
        "cpu_s": time.process_time() - cpu,
    }


def _sealed_day(
    journal: sqlite3.Connection, store: ParquetStore, begin: int, end: int
) -> None:
    """Write a day to the archive, eight devices a file, and its rollups."""
    day = begin // DAY_MS
    for first in range(0, DEVICES, 8):
        members = range(first, min(first + 8, DEVICES))
        parts = [columns(i, begin, end) for i in members]
        size = len(parts[0]["t"])
        merged = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}

        def words(names: list[str], size: int = size) -> pa.Array:
            codes = np.repeat(np.arange(len(names), dtype=np.int32), size)
            return pa.DictionaryArray.from_arrays(codes, names)

        table = make_table(
            "samples",
            merged
            | {
                "device": words([device(i) for i in members]),
                "boot": words([f"1-{i:08x}" for i in members]),
                "loc": words(["" for _ in members]),
            },
        )
        name = store.write(KINDS[0], day, f"{day}-{first}", table)
        journal.execute(
            "INSERT INTO seals(day, file, rows, state, created)"
            " VALUES (?, ?, ?, 'sealed', 0)",
            (day, name, table.num_rows),
        )
        for i, part in zip(members, parts, strict=True):
            _rollups(journal, i, part)


def _rollups(journal: sqlite3.Connection, number: int, part: dict) -> None:
    hours = part["t"] // HOUR_MS
    values = np.stack([part[name] for name in CHANNEL_NAMES], axis=1).astype(float)
    starts, statistics = grouped_statistics(values, hours)
    sizes = np.diff(np.append(starts, len(hours)))
    marks = ", ".join("?" * (5 + len(CHANNEL_NAMES) * len(STATISTICS)))
    journal.executemany(
        f"INSERT INTO rollups VALUES ({marks})",
        [
            (number, int(hours[start]), number, "", int(size), *row)
            for start, size, row in zip(starts, sizes, statistics, strict=True)
        ],
    )


def _hot_day(journal: sqlite3.Connection, begin: int, end: int) -> None:
    """Write a day to the journal, as the ingest would."""
    marks = ", ".join("?" * len(SAMPLE_COLUMNS))
    for i in range(DEVICES):
        part = columns(i, begin, end)
        part["boot"] = np.full(len(part["t"]), i)
        lists = [
            part[name].tolist() if name != "loc" else [""] * len(part["t"])
            for name in SAMPLE_COLUMNS
        ]
        journal.execute("BEGIN")
        journal.executemany(
            f"INSERT INTO samples VALUES ({marks})", zip(*lists, strict=True)
        )
        hours = part["t"] // HOUR_MS
        rollups = Rollups()
        for hour in np.unique(hours):
            inside = np.flatnonzero(hours == hour)
            numbers, times = part["seq"][inside].tolist(), part["t"][inside].tolist()
            rows = list(zip(numbers, times, strict=True))
            rollups.records(i, i, rows, rows[-1][1])
        rollups.write(journal)
        _rollups(journal, i, part)
        journal.execute("COMMIT")


def forget(folder: Path) -> None:
    """Ask the system to drop the files from memory."""
    os.sync()
    for path in folder.rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


QUESTIONS = {
    "24 h of one device, in the archive": (
        f"archive.samples('{device(17)}', {HOT - DAY_MS}, {HOT}, {CHANNELS})"
    ),
    "last 24 h of one device, archive and journal": (
        f"archive.samples('{device(17)}', {END - DAY_MS}, {END}, {CHANNELS})"
    ),
    "hourly means by variant, 7 days, from rollups": (
        f"archive.hourly_means({END // HOUR_MS * HOUR_MS - 7 * DAY_MS},"
        f" {END // HOUR_MS * HOUR_MS})"
    ),
    "hourly means by variant, 7 sealed days, from the samples": (
        f"archive.hourly_means({HOT - 6 * DAY_MS}, {HOT + DAY_MS}, from_raw=True)"
    ),
}


def ask(folder: Path, question: str) -> dict[str, float]:
    """Return milliseconds of a question, cold and warm."""
    forget(folder)
    code = f"""
import tilth.fleet.archive.query as q, statistics, xarray
xarray.Dataset({{'x': ('y', [1.0])}})  # loads what xarray loads late
def one(archive):
    begin = time.perf_counter()
    answer = {question}
    assert answer.sizes.get('sample', 28_800) == 28_800, answer.sizes
    assert answer.sizes.get('variant', 50) == 50, answer.sizes
    return 1e3 * (time.perf_counter() - begin)
begin = time.perf_counter()
archive = q.Archive({str(folder)!r})
opened = 1e3 * (time.perf_counter() - begin)
cold = opened + one(archive)
spent = time.process_time()
warm = statistics.median(one(archive) for _ in range(7))
spent = 1e3 * (time.process_time() - spent) / 7
archive.close()
print(json.dumps({{'cold': cold, 'warm': warm, 'warm, CPU time': spent}}))
"""
    return in_fresh_process(code)


def run() -> list[Row]:
    """Measure and return the rows."""
    folder = Path(tempfile.mkdtemp(prefix="tilth-query-"))
    try:
        seal = build(folder)
        size = sum(p.stat().st_size for p in (folder / "archive").rglob("*.parquet"))
        times = {name: ask(folder, question) for name, question in QUESTIONS.items()}
    finally:
        shutil.rmtree(folder)
    sealed = DEVICES * (ROWS_PER_DEVICE - (END - HOT - DAY_MS) // PERIOD_MS)
    peers = {
        "24 h of one device, in the archive": ("PostgreSQL 15", POSTGRES_DAY_MS),
        "hourly means by variant, 7 sealed days, from the samples": (
            "PostgreSQL 15",
            POSTGRES_MS,
        ),
        "hourly means by variant, 7 days, from rollups": ("SQLite", SQLITE_MS),
    }
    out = []
    for name, cost in times.items():
        for how in ("cold", "warm", "warm, CPU time"):
            peer = peers.get(name, (None, None)) if how == "warm" else (None, None)
            out.append(Row(f"{name}, {how}", cost[how], "ms", *peer))
    rows = DEVICES * DAY_MS // PERIOD_MS
    return [
        *out,
        Row("archive, per row of 7 channels", size / sealed, "B",
            "PostgreSQL 15, 5 channels", 108.0),
        Row("sealing a day of 1.44 million rows, wall", seal["wall_s"], "s",
            "through Python tuples", 11.8),
        Row("sealing, rows per CPU second", rows / seal["cpu_s"], "s-1"),
    ]  # fmt: skip
