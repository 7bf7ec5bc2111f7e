"""All devices return after three days: fair, within memory, live data go first."""

import asyncio
import time
from pathlib import Path

import pytest
from devices import PERIOD_MS
from lives import FULL, World
from radios import percentile
from zygote import Zygote

#: The article's fleet and its weekend, or a part of both.
DEVICES, HOURS = (85, 72) if FULL else (20, 5)
RECORDS = HOURS * 3_600_000 // PERIOD_MS

#: Largest memory of the server, MiB: what waits is bounded by the ingest (64 MiB of
#: payloads, four times that as records) and by the journal's cache (64 MiB).
MEMORY = 600


@pytest.fixture(scope="module")
def zygote():
    with Zygote() as zygote:
        yield zygote


def peak(pid):
    """Return the largest memory a process had, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmHWM")


def test_all_devices_return_after_days_without_a_network(
    zygote, tmp_path, record_property
):
    world = World(tmp_path, zygote, devices=DEVICES, seed=41, retry=5.0, rate=0)
    ago = time.time_ns() // 1_000_000 - RECORDS * PERIOD_MS
    for device in world.devices:
        device.boots.clear()
        device.power_on(ago)
        device.generate(RECORDS)
        device.reconnected()
    # While the backlog goes in, each device measures on: a batch of five every 3 s.
    world.fleet.rate = 5 / 3 if FULL else 25.0
    backlog = DEVICES * RECORDS
    seen = {}

    async def story():
        pid = await world.start()
        begin = time.monotonic()
        while True:
            await asyncio.sleep(0.05)
            left = [max(0, RECORDS - d.current.low) for d in world.devices]
            done = 1 - sum(left) / backlog
            if "half" not in seen and done > 0.5:
                seen["half"] = [1 - k / RECORDS for k in left]
            if not any(left):
                break
            assert time.monotonic() - begin < 3600
        seen["seconds"] = time.monotonic() - begin
        seen["peak"] = peak(pid)
        await world.kill(pid, 15)

    assert asyncio.run(world.live(story, drain=60))
    count = world.verify()
    assert count.deleted == count.stored == count.generated > backlog
    live = [x for d in world.devices for x in d.latencies]
    summary = {
        "devices": DEVICES,
        "records": backlog,
        "seconds": round(seen["seconds"], 1),
        "records_per_s": round(backlog / seen["seconds"]),
        "peak_mib": round(seen["peak"]),
        "live_p50_s": round(percentile(live, 0.5), 2),
        "live_p99_s": round(percentile(live, 0.99), 2),
        "least_at_half": round(min(seen["half"]), 2),
        "resent": sum(d.resent for d in world.devices),
    }
    record_property("summary", str(summary))
    print(summary)
    assert seen["peak"] < MEMORY
    assert summary["least_at_half"] > 0.2, "nobody waits for the others to finish"
    assert len(live) > DEVICES
    assert summary["live_p99_s"] < 15, "live data go before the backlog"
