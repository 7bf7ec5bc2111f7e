"""The tables of the journal, and the steps from each version to the next.

==============  ===================================================================
``devices``     every device heard of
``boots``       every boot of a device: how far it is, and its clock
``samples``     one row per measurement, as sent; removed once sealed in the archive
``events``      one row per event, the body as JSON; removed likewise
``ranges``      which sequence numbers of a boot are settled, for ever: what makes a
                repeated record recognisable, and gives the watermark
``tombstones``  settled numbers without a record: dropped, quarantined, forgotten
``spans``       numbers and times of a boot's records, hour by hour, for ever
``rollups``     hourly sums of each channel
``counters``    records received, duplicate and late, per device and day
``syncs``       what is known of a boot's clock
``status``      the last status of each device
``quarantine``  messages that could not be read, whole
``conflicts``   second versions of a record, refused
``notices``     what an operator should know
``seals``       files of the archive that hold rows of the journal
``purging``     rows that are sealed and about to be removed
==============  ===================================================================

Times are ms since 1970 UTC, ticks ms since boot; the channels keep the counts of
the wire (`tilth.fleet.channels.CHANNELS`).
"""

from __future__ import annotations

from tilth.fleet.channels import CHANNEL_NAMES

#: First four bytes of an application id: tells a journal from any other SQLite file.
APPLICATION_ID = 0x54696C74  # "Tilt"

#: Columns of a sample, in the order of the table.
_KEY_COLUMNS = ("boot", "seq", "t", "tick", "recv", "loc")
SAMPLE_COLUMNS = (*_KEY_COLUMNS, *CHANNEL_NAMES, "state", "flags", "quality")

#: Columns of an event, in the order of the table.
EVENT_COLUMNS = (*_KEY_COLUMNS, "kind", "body", "quality")

#: What a rollup keeps of each channel.
STATISTICS = ("n", "sum", "min", "max")

_CHANNEL_STATISTICS = ",\n  ".join(
    ", ".join(f"{channel}_{what} INTEGER" for what in STATISTICS)
    for channel in CHANNEL_NAMES
)

_FIRST = f"""
CREATE TABLE devices(
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  first_recv INTEGER NOT NULL,
  last_recv INTEGER NOT NULL
);
-- low: lowest number the device holds; known: highest it ever told of; held: 0 once
-- the device no longer mentions the boot; a record has about the time
-- clock_a + tick + clock_b * tick / 1e9; untimed: rows without a time
CREATE TABLE boots(
  id INTEGER PRIMARY KEY,
  device INTEGER NOT NULL,
  boot TEXT NOT NULL,
  first_recv INTEGER NOT NULL,
  last_recv INTEGER NOT NULL,
  fw TEXT NOT NULL DEFAULT '',
  tick_last INTEGER NOT NULL DEFAULT -1,
  seq_last INTEGER NOT NULL DEFAULT -1,
  low INTEGER NOT NULL DEFAULT 0,
  known INTEGER NOT NULL DEFAULT -1,
  held INTEGER NOT NULL DEFAULT 1,
  clock_a INTEGER,
  clock_b INTEGER NOT NULL DEFAULT 0,
  clock_source TEXT NOT NULL DEFAULT '',
  clock_heard INTEGER,
  untimed INTEGER NOT NULL DEFAULT 0,
  UNIQUE(device, boot)
);
CREATE INDEX boots_untimed ON boots(first_recv) WHERE untimed > 0;
CREATE TABLE samples(
  boot INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  t INTEGER,
  tick INTEGER NOT NULL,
  recv INTEGER NOT NULL,
  loc TEXT NOT NULL,
  co2 INTEGER, st INTEGER, rh INTEGER, at INTEGER, p INTEGER, lux INTEGER, mv INTEGER,
  state INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  quality INTEGER NOT NULL,
  PRIMARY KEY(boot, seq)
) WITHOUT ROWID;
CREATE TABLE events(
  boot INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  t INTEGER,
  tick INTEGER NOT NULL,
  recv INTEGER NOT NULL,
  loc TEXT NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  quality INTEGER NOT NULL,
  PRIMARY KEY(boot, seq)
) WITHOUT ROWID;
CREATE INDEX events_kind ON events(kind, t);
CREATE TABLE ranges(
  boot INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY(boot, first)
) WITHOUT ROWID;
CREATE TABLE tombstones(
  boot INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  reason TEXT NOT NULL,
  recv INTEGER NOT NULL,
  PRIMARY KEY(boot, first)
) WITHOUT ROWID;
CREATE TABLE spans(
  boot INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  n INTEGER NOT NULL,
  seq_first INTEGER NOT NULL,
  seq_last INTEGER NOT NULL,
  t_first INTEGER NOT NULL,
  t_last INTEGER NOT NULL,
  sealed INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(boot, hour)
) WITHOUT ROWID;
CREATE INDEX spans_hour ON spans(hour);
CREATE TABLE rollups(
  device INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  loc TEXT NOT NULL,
  n INTEGER NOT NULL,
  {_CHANNEL_STATISTICS},
  PRIMARY KEY(device, hour, boot, loc)
) WITHOUT ROWID;
CREATE INDEX rollups_hour ON rollups(hour);
CREATE TABLE counters(
  device INTEGER NOT NULL,
  day INTEGER NOT NULL,
  received INTEGER NOT NULL DEFAULT 0,
  duplicate INTEGER NOT NULL DEFAULT 0,
  late INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(device, day)
) WITHOUT ROWID;
CREATE TABLE syncs(
  boot INTEGER NOT NULL,
  tick INTEGER NOT NULL,
  utc INTEGER NOT NULL,
  source TEXT NOT NULL,
  recv INTEGER NOT NULL,
  PRIMARY KEY(boot, tick)
) WITHOUT ROWID;
CREATE TABLE status(
  device INTEGER PRIMARY KEY,
  online INTEGER NOT NULL,
  boot TEXT NOT NULL,
  recv INTEGER NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE quarantine(
  id INTEGER PRIMARY KEY,
  recv INTEGER NOT NULL,
  last_recv INTEGER NOT NULL,
  times INTEGER NOT NULL DEFAULT 1,
  topic TEXT NOT NULL,
  device TEXT NOT NULL,
  reason TEXT NOT NULL,
  detail TEXT NOT NULL,
  boot TEXT,
  seq INTEGER,
  n INTEGER,
  size INTEGER NOT NULL,
  digest BLOB NOT NULL,
  payload BLOB NOT NULL,
  UNIQUE(topic, digest)
);
CREATE TABLE conflicts(
  id INTEGER PRIMARY KEY,
  recv INTEGER NOT NULL,
  boot INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  kept TEXT NOT NULL,
  refused TEXT NOT NULL,
  UNIQUE(boot, seq, refused)
);
CREATE TABLE notices(
  id INTEGER PRIMARY KEY,
  recv INTEGER NOT NULL,
  device TEXT NOT NULL,
  boot TEXT NOT NULL,
  what TEXT NOT NULL,
  body TEXT NOT NULL
);
CREATE TABLE seals(
  id INTEGER PRIMARY KEY,
  day INTEGER NOT NULL,
  file TEXT NOT NULL UNIQUE,
  rows INTEGER NOT NULL DEFAULT 0,
  state TEXT NOT NULL CHECK(state IN ('writing', 'sealed')),
  created INTEGER NOT NULL
);
CREATE TABLE purging(
  boot INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  PRIMARY KEY(boot, first)
) WITHOUT ROWID;
CREATE VIEW hot_samples AS SELECT * FROM samples WHERE NOT EXISTS (
  SELECT 1 FROM purging
  WHERE purging.boot = samples.boot AND samples.seq BETWEEN first AND last
);
CREATE VIEW hot_events AS SELECT * FROM events WHERE NOT EXISTS (
  SELECT 1 FROM purging
  WHERE purging.boot = events.boot AND events.seq BETWEEN first AND last
);
"""

#: One script for each version, the first makes an empty journal. Append only.
MIGRATIONS = (_FIRST,)
