"""Reading a day of RINEX and putting its satellites in the sky.

The peer is the reader of gnssrefl 4.2.3, of the same file, unpacked, all observables;
it is run as a program and never imported.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, cpu_seconds
from benchmarks.peers import run_in_peer
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.gnss.rinex.observations import read_observations
from tilth.gnss.rinex.orbits import look_angles, open_orbits
from tilth.gnss.rinex.snr import rinex_to_snr
from tilth.gnss.rinex.sp3 import read_sp3
from tilth.gnss.rinex.texts import read_text
from tilth.gnss.rinex.times import gps_seconds

_DAY = "CEBR00ESP_R_20182000000_01D_30S_MO.crx.gz"

_PEER = """
import json, os, sys, time, warnings
warnings.simplefilter("ignore")
from gnssrefl import rinpy
out, sys.stdout = sys.stdout, open(os.devnull, "w")
times = []
for _ in range(3):
    start = time.process_time()
    rinpy.processrinexfile({path!r})
    times.append(time.process_time() - start)
sys.stdout = out
print(json.dumps({{"cpu_s": sorted(times)[1]}}))
"""


def run() -> list[Row]:
    """Measure and return the rows."""
    try:
        folder = locate("rinex-examples", download=False)
    except DatasetError as error:
        print(f"  left out: {error}")
        return []
    packed = folder / _DAY
    with tempfile.TemporaryDirectory() as where:
        plain = Path(where) / "CEBR00ESP_R_20182000000_01D_30S_MO.rnx"
        plain.write_bytes(read_text(packed))
        size = plain.stat().st_size / 1e6
        found = run_in_peer("gnss", _PEER.format(path=str(plain)))
        peer = None if found is None else found["cpu_s"]
        name = None if found is None else "gnssrefl 4.2.3"
        every = "CLDS"
        rows = [
            Row(
                f"{what}, day of {size:.0f} MB, CPU time",
                cpu_seconds(partial(read_observations, path, names)),
                "s",
                name if compared else None,
                peer if compared else None,
            )
            for what, path, names, compared in (
                ("plain, all observables", plain, every, True),
                ("plain, signal strengths", plain, "S", True),
                ("Hatanaka and gzip, signal strengths", packed, "S", False),
            )
        ]
    return [*rows, *_angles(folder, packed)]


def _angles(folder: Path, packed: Path) -> list[Row]:
    """Time the sky over the station: orbits of another day, moved to this one."""
    day = read_observations(packed)
    # No orbits of that day are at hand: those of another are moved by whole days.
    moved = np.datetime64("2017-02-14") - np.datetime64("2018-07-19")
    day["time"] = day["time"] + moved
    day = day.isel(observation=np.flatnonzero(day["satellite"].values < 100))
    orbits = open_orbits([folder / "igs19362.sp3c"])
    time = gps_seconds(day["time"].values)
    place, satellite = day.attrs["position"], day["satellite"].values
    seen = cpu_seconds(lambda: look_angles(orbits, place, satellite, time))
    rows = [
        ("reading an SP3 day of 32 satellites, CPU time",
         cpu_seconds(lambda: read_sp3(folder / "igs19362.sp3c"))),
        (f"elevation, azimuth and rate, {time.size} directions, CPU time", seen),
        ("observations in memory to a day of SNR, CPU time",
         cpu_seconds(lambda: rinex_to_snr(day, orbits))),
    ]  # fmt: skip
    return [Row(name, seconds, "s") for name, seconds in rows]
