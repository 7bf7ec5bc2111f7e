"""A month of 85 simulated chambers, and how fast their own firmware runs in the loop.

Bars: 85 devices x 30 days at one sample in three seconds in less than 60 s on two
cores, everything a user waits for included; firmware in the loop at 2,000 times real
time and more. Nobody else publishes such a simulator, so there is no peer; the bars
stand in its place.
"""

from __future__ import annotations

import tempfile

from benchmarks.measure import Row, in_fresh_process

DEVICES, DAYS = 85, 30
BAR_SECONDS, BAR_SPEED = 60.0, 2_000.0

_MONTH = """
import json, os
{cache}
from tilth.fleet.simulate import simulate_fleet_records
samples = cycles = 0
for block in simulate_fleet_records({devices}, {days}, "default", seed=1):
    samples += len(block)
    cycles += len(block.cycles)
print(json.dumps({{"samples": samples, "cycles": cycles}}))
"""

_ARCHIVE = """
import json, tempfile
from tilth.fleet.simulate import simulate_fleet_records, write_archive
with tempfile.TemporaryDirectory() as folder:
    write_archive(simulate_fleet_records({devices}, {days}, seed=1), folder + "/a")
print(json.dumps({{}}))
"""

_LOOP = """
import json
from tilth.fleet.simulate import Endpoint, run_fleet
endpoint = Endpoint()
run = run_fleet(10, 0.15, "default", broker=endpoint, seed=1)
lost = sum(
    seq not in endpoint.stored[device.twin.name, boot].samples
    and seq not in endpoint.stored[device.twin.name, boot].events
    and seq not in endpoint.stored[device.twin.name, boot].gone
    for device in run.devices
    for boot, known in device.boots.items()
    for seq in range(known.deleted + 1)
)
print(json.dumps({"speed": run.speed, "lost": lost}))
"""

_BROKER = """
import json, tempfile
from tilth.fleet.config import FleetConfig
from tilth.fleet.service import FleetService
from tilth.fleet.simulate import run_fleet
box = []
with tempfile.TemporaryDirectory() as folder:
    clock = lambda: box[0].clock() if box else 1_783_296_000_000
    with FleetService(folder + "/fleet", FleetConfig(mqtt_port=0), clock) as service:
        def secrets(name):
            enrolment = service.credentials.enrol(name)
            return {"mqtt_password": enrolment.password}
        run = run_fleet(
            10, 0.06, broker=("127.0.0.1", service.mqtt_port), credentials=secrets,
            seed=1, on_start=box.append,
        )
        with service.journal.reader() as reader:
            stored = reader.execute("SELECT count(*) FROM samples").fetchone()[0]
            stored += reader.execute("SELECT count(*) FROM events").fetchone()[0]
ledger = run.ledger()
print(json.dumps({
    "speed": run.speed, "waited": run.waited_s / run.wall_s,
    "missing": int((ledger.deleted + 1).sum()) - stored,
}))
"""


def run() -> list[Row]:
    """Measure and return the rows."""
    size = {"devices": DEVICES, "days": DAYS}
    with tempfile.TemporaryDirectory() as cache:
        first = f"os.environ['NUMBA_CACHE_DIR'] = {cache!r}"
        cold = in_fresh_process(_MONTH.format(cache=first, **size))
    # The first run of this checkout fills the ordinary cache.
    in_fresh_process(_MONTH.format(cache="", devices=1, days=0.1))
    warm = in_fresh_process(_MONTH.format(cache="", **size))
    archive = in_fresh_process(_ARCHIVE.format(devices=DEVICES, days=3))
    loop = in_fresh_process(_LOOP)
    broker = in_fresh_process(_BROKER)
    bar = f"bar for {DEVICES} devices x {DAYS} days"
    return [
        Row("samples simulated", warm["samples"], "1"),
        Row("closings with their truth", warm["cycles"], "1"),
        Row("first time, compilation included: wall", cold["wall_s"], "s", bar,
            BAR_SECONDS),
        Row("again: wall", warm["wall_s"], "s", bar, BAR_SECONDS),
        Row("again: CPU time", warm["cpu_s"], "s"),
        Row("again: samples per CPU second", warm["samples"] / warm["cpu_s"], "s-1"),
        Row("again: peak memory", warm["peak_mib"], "MiB"),
        Row("3 days into Parquet files, read back and checked: wall",
            archive["wall_s"], "s"),
        Row("firmware in the loop, endpoint in the process: times real time",
            loop["speed"], "1", "bar", BAR_SPEED),
        Row("records deleted by devices and not at the endpoint", loop["lost"], "1"),
        Row("firmware over the embedded broker into the journal: times real time",
            broker["speed"], "1", "bar", BAR_SPEED),
        Row("share of it spent waiting for answers", broker["waited"], "1"),
        Row("records deleted by devices and not in the journal", broker["missing"],
            "1"),
    ]  # fmt: skip
