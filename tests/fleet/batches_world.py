"""Batches, messages and a naive model of a store, for tests of protocol and journal."""

from tilth.fleet.journal import Message
from tilth.fleet.protocol import (
    Batch,
    Event,
    Sample,
    encode_batch,
    encode_status,
    topic_of,
)

DEVICE, OTHER = "a0b765112233", "a0b765445566"
BOOT, NEXT = "2a-9f3c1d77", "2b-11223344"
#: 2025-07-20T08:26:40Z, and a whole hour before.
NOW = 1_753_000_000_000
PERIOD = 3_000


def sample(i, co2=4391, **values):
    row = {
        "dt": i * PERIOD, "co2": co2, "st": 2724, "rh": 4881, "at": 2561,
        "p": 100_653, "lux": 312, "mv": 4987, "state": 5, "flags": 0,
    } | values  # fmt: skip
    return Sample(i, *(row[name] for name in Sample._fields[1:]))


def batch(seq=0, n=5, *, boot=BOOT, start=NOW, events=(), **values):
    """A live batch: record k of the boot was measured at start + k * 3 s."""
    events = [Event(*e) for e in events]
    taken = {e.i for e in events}
    samples = [sample(i, 4000 + (seq + i) % 977) for i in range(n) if i not in taken]
    fields = {
        "boot": boot, "seq": seq, "n": n, "low": min(seq, values.get("low", 0)),
        "tick": seq * PERIOD, "utc": start + seq * PERIOD, "src": "ntp",
        "loc": "5.10.A", "fw": "1.0.0", "queued": n, "dropped": 0,
        "samples": samples, "events": events,
    } | values  # fmt: skip
    return Batch(**fields)


def message(seq=0, n=5, *, device=DEVICE, recv=None, start=NOW, **values):
    """The message of a live batch, received a second after its last record."""
    made = batch(seq, n, start=start, **values)
    if recv is None:
        recv = start + (seq + n) * PERIOD + 1_000
    return Message(topic_of(device, "d"), encode_batch(made), recv)


def hello(status, *, device=DEVICE, recv=NOW, retained=False):
    """The message of a status."""
    return Message(topic_of(device, "s"), encode_status(status), recv, retained)
