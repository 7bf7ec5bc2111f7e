"""The tables and views of the archive in PostgreSQL."""

from __future__ import annotations

from tilth.fleet.channels import CHANNELS, STATES

#: Version of the tables.
SCHEMA_VERSION = 1

_CHANNELS = ", ".join(f'"{channel.name}" integer' for channel in CHANNELS)

_KEY = (
    "device integer NOT NULL, boot integer NOT NULL, seq bigint NOT NULL,"
    " t bigint NOT NULL, tick bigint NOT NULL, recv bigint NOT NULL, loc text NOT NULL"
)

#: In order; " PARTED" stands for how a table is parted. Times are utc ms and channels
#: counts of the wire, as everywhere; the views have them in physical units.
TABLES = (
    "CREATE TABLE devices("
    "id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE)",
    "CREATE TABLE boots("
    "id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE)",
    "CREATE TABLE seals("
    "number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    " file text NOT NULL UNIQUE, kind text NOT NULL, day integer NOT NULL,"
    " rows bigint NOT NULL, aside boolean NOT NULL DEFAULT false,"
    " created timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE placements("
    "device text NOT NULL, loc text NOT NULL, t_from bigint NOT NULL,"
    " t_to bigint NOT NULL)",
    "CREATE INDEX placements_device ON placements(device, t_from)",
    f"CREATE TABLE samples({_KEY}, {_CHANNELS}, state smallint NOT NULL,"
    " flags integer NOT NULL, quality smallint NOT NULL, seal integer NOT NULL) PARTED",
    # Rows of one seal are in this order, so the index grows at few places.
    "CREATE INDEX samples_device_t ON samples(device, t)",
    f"CREATE TABLE events({_KEY}, kind text NOT NULL, body text NOT NULL,"
    " quality smallint NOT NULL, seal integer NOT NULL) PARTED",
    "CREATE INDEX events_device_t ON events(device, t)",
)

_VALUES = ", ".join(
    f'r."{channel.name}" * {channel.scale}::float8 AS "{channel.name}"'
    for channel in CHANNELS
)

_STATE = " ".join(f"WHEN {code} THEN '{name}'" for name, code in STATES.items())

_PLACED = (
    "JOIN devices d ON d.id = r.device JOIN boots b ON b.id = r.boot"
    " JOIN seals ON seals.number = r.seal AND NOT seals.aside"
    " LEFT JOIN placements p ON p.device = d.name AND r.t >= p.t_from AND r.t < p.t_to"
)

#: What people and Grafana read: time with time zone, names, places, physical units.
VIEWS = (
    "CREATE VIEW readings AS SELECT to_timestamp(r.t / 1000.0) AS time, r.t,"
    " d.name AS device, b.name AS boot, r.seq, coalesce(p.loc, r.loc) AS location,"
    f" {_VALUES}, CASE r.state {_STATE} END AS state, r.flags, r.quality"
    f" FROM samples r {_PLACED}",
    "CREATE VIEW happenings AS SELECT to_timestamp(r.t / 1000.0) AS time, r.t,"
    " d.name AS device, b.name AS boot, r.seq, coalesce(p.loc, r.loc) AS location,"
    f" r.kind, r.body, r.quality FROM events r {_PLACED}",
)
