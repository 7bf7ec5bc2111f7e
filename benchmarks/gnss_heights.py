"""Reflector heights of real days, beside gnssrefl 4.2.3 on the same files.

CPU time of one thread, warm: files are read and unpacked, imports and the compiling are
not counted. Then a year of files made of two real days, and the whole command with its
start. gnssrefl runs in its own environment, in the same way; its files of air are those
of its own package.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import Row, cpu_seconds
from benchmarks.peers import run_in_peer
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.gnss.reflectometry.day_cache import read_day, write_day
from tilth.gnss.reflectometry.heights import accepted, reflector_heights
from tilth.gnss.reflectometry.settings import read_settings
from tilth.gnss.reflectometry.snr_files import read_snr
from tilth.gnss.reflectometry.station import station_heights

#: Days of the year that is put together.
YEAR = 365

_CONFIGURATIONS = {"GPS": "mchl.json", "all signals": "mchl_allgnss.json"}

#: Runs the peer on one configuration: a first time to warm it, then with the clock.
_PEER = """
import contextlib, io, json, os, pathlib, shutil, time
root = pathlib.Path({root!r})
for name in ("REFL_CODE", "ORBITS", "EXE"):
    os.environ[name] = str(root)
import gnssrefl
table = pathlib.Path(gnssrefl.__file__).parent / "gpt_1wA.pickle"
shutil.copy(table, root / "input")
from gnssrefl.gnssir_cl import gnssir
def run(first, last):
    with contextlib.redirect_stdout(io.StringIO()):
        gnssir("mchl", 2025, first, doy_end=last, gzip=True, debug=True)
run(11, 11)
start = time.process_time()
for _ in range(3):
    run(11, 11)
cpu = (time.process_time() - start) / 3
rows = [line.split() for line in open(root / "2025/results/mchl/011.txt")
        if not line.startswith("%")]
print(json.dumps({{"cpu": cpu, "rows": rows}}))
"""


def run() -> list[Row]:
    """Measure and return the rows."""
    try:
        folder = locate("mchl-reflections", download=False)
    except DatasetError as error:
        print(f"  left out: {error}")
        return []
    rows: list[Row] = []
    for label, name in _CONFIGURATIONS.items():
        rows += _one_day(folder, label, name)
    rows += _read(folder)
    rows += _year(folder)
    rows += _command(folder)
    return rows


def _settings(folder: Path, name: str, **changes):
    return read_settings(folder / name, folder / "mchl_refr.txt", **changes)


def _one_day(folder: Path, label: str, name: str) -> list[Row]:
    """Time one day, its neighbours read before, and compare every arc."""
    before = read_snr(folder / "mchl0100.25.snr66.gz")
    after = read_snr(folder / "mchl0120_first2h.25.snr66.gz")
    found = {}

    def ours(peak: str) -> None:
        settings = _settings(folder, name, peak=peak)
        day = read_snr(folder / "mchl0110.25.snr66.gz")
        found[peak] = accepted(
            reflector_heights(day, previous=before, following=after, settings=settings)
        )

    fine = cpu_seconds(lambda: ours("parabola"))
    grid = cpu_seconds(lambda: ours("grid"))
    with tempfile.TemporaryDirectory() as root:
        _lay_out(folder, Path(root), name)
        peer = run_in_peer("gnss", _PEER.format(root=root))
    seconds = None if peer is None else peer["cpu"]
    beside = ("gnssrefl 4.2.3", seconds) if peer else (None, None)
    rows = [
        Row(f"a day, {label}, reading included, CPU", fine, "s", *beside),
        Row(f"a day, {label}, on gnssrefl's grid, CPU", grid, "s", *beside),
    ]
    if peer is not None:
        rows += _apart(found, peer["rows"], label)
    return rows


def _lay_out(folder: Path, root: Path, name: str) -> None:
    """Put files where the peer looks for them."""
    snr, settings = root / "2025" / "snr" / "mchl", root / "input" / "mchl"
    snr.mkdir(parents=True)
    settings.mkdir(parents=True)
    for file in folder.glob("mchl01*.gz"):
        shutil.copyfile(file, snr / file.name.replace("_first2h", ""))
    shutil.copyfile(folder / name, settings / "mchl.json")
    for place in (settings, root / "input"):
        shutil.copyfile(folder / "mchl_refr.txt", place / "mchl_refr.txt")


def _apart(found: dict, theirs: list[list[str]], label: str) -> list[Row]:
    """Return how far heights are from the peer's, and how many arcs are the same."""
    rows = []
    for peak, arcs in found.items():
        ours = {
            (int(s), int(c), int(r)): []
            for s, c, r in zip(
                arcs["satellite"].values,
                arcs["signal"].values,
                arcs["rise"].values,
                strict=True,
            )
        }
        for k in range(arcs.sizes["arc"]):
            key = tuple(int(arcs[n].values[k]) for n in ("satellite", "signal", "rise"))
            hour, height = (
                arcs["gps_hour"].values[k],
                arcs["reflector_height"].values[k],
            )
            ours[key].append((float(hour), float(height)))
        largest, same = 0.0, 0
        for row in theirs:
            key = int(row[3]), int(row[10]), int(row[11])
            near = [h for t, h in ours.get(key, []) if abs(t - float(row[4])) < 0.05]
            same += len(near) == 1
            largest = max([largest, *(abs(h - float(row[2])) for h in near)])
        what = f"{label}, {peak}: "
        both = arcs.sizes["arc"]
        rows += [
            Row(what + "arcs accepted", both, "arcs", "gnssrefl", len(theirs)),
            Row(what + "arcs that are the same", same, "arcs"),
            Row(what + "largest difference of height", 1e3 * largest, "mm"),
        ]
    return rows


def _read(folder: Path) -> list[Row]:
    """Time reading a day from its file and from the cache."""
    path = folder / "mchl0110.25.snr66.gz"
    with tempfile.TemporaryDirectory() as root:
        kept = Path(root) / "day.parquet"
        write_day(read_snr(path), kept)
        return [
            Row("reading a day, gzip, CPU", cpu_seconds(lambda: read_snr(path)), "s"),
            Row("reading a day, cache, CPU", cpu_seconds(lambda: read_day(kept)), "s"),
        ]


def _year(folder: Path) -> list[Row]:
    """Time a year on two threads, and a few of its days with two peers at once."""
    settings = _settings(folder, "mchl.json")
    with tempfile.TemporaryDirectory() as root:
        files = []
        for day in range(1, YEAR + 1):
            source = folder / f"mchl01{day % 2}0.25.snr66.gz"
            files.append(Path(root) / f"mchl{day:03d}0.25.snr66.gz")
            os.symlink(source, files[-1])
        start = time.perf_counter()
        cpu = time.process_time()
        arcs = station_heights(files, settings, threads=2)
        wall = time.perf_counter() - start
        cpu = time.process_time() - cpu
    return [
        Row(f"{YEAR} days GPS, two threads, wall", wall, "s"),
        Row(f"{YEAR} days GPS, two threads, CPU", cpu, "s"),
        Row(f"{YEAR} days GPS: arcs accepted", accepted(arcs).sizes["arc"], "arcs"),
    ]


def _command(folder: Path) -> list[Row]:
    """Time the whole command, start included, on three files."""
    with tempfile.TemporaryDirectory() as root:
        files = [str(path) for path in sorted(folder.glob("mchl01*.gz"))]
        words = [
            str(Path(sys.executable).parent / "tilth"), "gnss", "snr2height", *files,
            "--settings", str(folder / "mchl.json"),
            "--air", str(folder / "mchl_refr.txt"), "--out", f"{root}/arcs.nc",
        ]  # fmt: skip
        start = time.perf_counter()
        subprocess.run(words, check=True, capture_output=True)
        seconds = time.perf_counter() - start
    return [Row("tilth gnss snr2height, three files, wall", seconds, "s")]


if __name__ == "__main__":
    print(json.dumps([row.as_dict() for row in run()], indent=1))
