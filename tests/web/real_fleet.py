"""A running service, filled with the records of a few chambers."""

import numpy as np

from tilth.chambers.air import air_moles_per_area
from tilth.fleet.batches import Batch, Event, Sample, encode_batch
from tilth.fleet.messages import Status, encode_status

#: Cycles begin here, 2026-07-06 00:00 UTC.
START = 1_783_296_000_000
HOURS = 3
NOW = START + HOURS * 3_600_000 + 5_000
CYCLE_MS, CLOSED_MS, SAMPLE_MS = 600_000, 180_000, 3_000
BOOT = "2a-9f3c1d77"

#: Device -> its place and its flux, umol m-2 s-1.
POTS = {
    "a4cf12000001": ("5.0.A", 0.60),
    "a4cf12000002": ("5.0.B", 0.66),
    "a4cf12000003": ("5.10.A", 1.00),
    "a4cf12000004": ("5.10.B", 1.10),
}


def records(device, hours, seed=0):
    """Return the records of a device: (tick, sample columns or event)."""
    loc, flux = POTS[device]
    rng = np.random.default_rng([seed, int(device, 16) % 1000])
    tick = np.arange(0, hours * 3_600_000, SAMPLE_MS)
    phase = tick % CYCLE_MS
    closed = phase <= CLOSED_MS
    slope = flux / air_moles_per_area(0.165, 1.0, 97_200, 18.0, 0.012)
    lagged = phase / 1000 - 20 * (1 - np.exp(-phase / 20_000))
    rise = np.where(closed, slope * lagged, 0.0)
    after = np.exp(-(phase - CLOSED_MS) / 20_000.0)
    peak = slope * (CLOSED_MS / 1000 - 20)
    co2 = 430 + np.where(closed, rise, peak * after) + rng.normal(0, 1.5, len(tick))
    out = [(0, Event(0, 0, "boot", {"reason": "power", "fw": "1.0.0"}))]
    for i, t in enumerate(tick):
        state = 5 if closed[i] else 9
        light = 4_000 if (t // 3_600_000) % 24 > 6 else 0
        out.append(
            (int(t) + 1, Sample(0, 0, round(10 * co2[i]), 1950, 5500, 1800, 97_200,
                                light, 4980, state, 0))
        )  # fmt: skip
        if phase[i] == CLOSED_MS:
            close = int(t - CLOSED_MS)
            body = {"cycle": (START + close) // CYCLE_MS, "close": close + 1,
                    "open": int(t) + 1, "why": "normal", "rule": "raw",
                    "mixed": False, "sweeps": 2, "loc": loc}  # fmt: skip
            out.append((int(t) + 2, Event(0, 0, "cycle", body)))
    return out


def batches(device, hours, size=200):
    """Yield the messages of a device, as it sends them."""
    rows = records(device, hours)
    for first in range(0, len(rows), size):
        part = rows[first : first + size]
        tick = part[0][0]
        samples, events = [], []
        for i, (t, what) in enumerate(part):
            moved = what._replace(i=i, dt=t - tick)
            (samples if isinstance(what, Sample) else events).append(moved)
        batch = Batch(
            boot=BOOT, seq=first, n=len(part), low=first, tick=tick, utc=START + tick,
            src="ntp", loc=POTS[device][0], fw="1.0.0", queued=0, dropped=0,
            samples=samples, events=events,
        )  # fmt: skip
        yield f"tilth/v1/{device}/d", encode_batch(batch)


def fill(service, hours=3):
    """Send the records of all devices and wait until they are fluxes."""
    for device, (loc, _) in POTS.items():
        service.control.enrol(device, mqtt_hash=None)
        hello = Status(True, BOOT, "1.0.0", loc, pending=[(BOOT, 0, 0)], queued=0,
                       dropped=0)  # fmt: skip
        service.ingest.put(f"tilth/v1/{device}/s", encode_status(hello), True)
        for topic, payload in batches(device, hours):
            assert service.ingest.put(topic, payload)
