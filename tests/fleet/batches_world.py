"""Batches, messages and a naive model of a store, for tests of protocol and journal."""

from tilth.fleet.channels import CHANNEL_NAMES
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


def rows(journal, sql, *values):
    reader = journal.reader()
    try:
        return reader.execute(sql, values).fetchall()
    finally:
        reader.close()


def one(journal, sql, *values):
    found = rows(journal, sql, *values)
    assert len(found) == 1
    return found[0][0] if len(found[0]) == 1 else found[0]


def notices(journal):
    return [what for (what,) in rows(journal, "SELECT what FROM notices ORDER BY id")]


def check(journal):
    """Raise unless ranges, spans, counters and rollups all say what the rows say."""
    stored = one(
        journal, "SELECT (SELECT count(*) FROM samples) + (SELECT count(*) FROM events)"
    )
    settled = one(journal, "SELECT ifnull(sum(last - first + 1), 0) FROM ranges")
    stones = one(journal, "SELECT ifnull(sum(last - first + 1), 0) FROM tombstones")
    assert stored == settled - stones
    untimed = one(journal, "SELECT ifnull(sum(untimed), 0) FROM boots")
    assert stored == untimed + one(journal, "SELECT ifnull(sum(n), 0) FROM spans")
    assert stored == untimed + one(
        journal, "SELECT ifnull(sum(received), 0) FROM counters"
    )
    records = (
        "(SELECT boot, seq, t FROM samples WHERE t IS NOT NULL "
        "UNION ALL SELECT boot, seq, t FROM events WHERE t IS NOT NULL)"
    )
    assert rows(
        journal, "SELECT boot, hour, n, seq_first, seq_last, t_first, t_last FROM spans"
    ) == rows(
        journal,
        "SELECT boot, t / 3600000 AS hour, count(*), min(seq), max(seq), "
        f"min(t), max(t) FROM {records} GROUP BY boot, hour ORDER BY boot, hour",
    )
    wanted, made = [], []
    for name in CHANNEL_NAMES:
        value = name
        if name in ("co2", "st", "rh"):
            value = f"CASE WHEN flags & 14 = 0 THEN {name} END"
        made.append(
            f"count({value}), ifnull(sum({value}), 0), min({value}), max({value})"
        )
        wanted.append(f"{name}_n, {name}_sum, {name}_min, {name}_max")
    assert rows(
        journal,
        f"SELECT device, hour, boot, loc, n, {', '.join(wanted)} FROM rollups "
        "ORDER BY device, hour, boot, loc",
    ) == rows(
        journal,
        "SELECT b.device, t / 3600000 AS hour, s.boot, loc, count(*), "
        f"{', '.join(made)} FROM samples s JOIN boots b ON b.id = s.boot "
        "WHERE t IS NOT NULL GROUP BY b.device, hour, s.boot, loc "
        "ORDER BY b.device, hour, s.boot, loc",
    )
