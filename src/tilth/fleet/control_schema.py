"""The tables of the control file: everything people decide about a fleet.

Measured data never lie here. All times are int milliseconds since 1970 UTC; all JSON
is text; location codes are text ("5.10.A").
"""

#: One script per schema version: append, never change.
MIGRATIONS = (
    """
CREATE TABLE devices(
  device TEXT PRIMARY KEY,               -- 12 lower-case hex digits
  name TEXT NOT NULL DEFAULT '',         -- what people call it
  note TEXT NOT NULL DEFAULT '',
  mqtt_hash TEXT,                        -- of the MQTT password; NULL: cannot log in
  enabled INTEGER NOT NULL DEFAULT 1,
  enrolled_at INTEGER NOT NULL,
  enrolled_by TEXT NOT NULL DEFAULT '',
  changed_at INTEGER NOT NULL
) STRICT;

-- Every statement about where a device stood, in the order it was made; never changed.
CREATE TABLE placement_log(
  id INTEGER PRIMARY KEY,
  device TEXT NOT NULL,
  loc TEXT NOT NULL,                     -- '' : taken away, nowhere
  t_from INTEGER NOT NULL,
  t_to INTEGER,                          -- NULL: until the next statement
  source TEXT NOT NULL CHECK(source IN ('touch', 'web', 'import')),
  firmware TEXT NOT NULL DEFAULT '',
  entered_at INTEGER NOT NULL,
  entered_by TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  CHECK(t_to IS NULL OR t_to > t_from)
) STRICT;
CREATE INDEX placement_log_device ON placement_log(device, id);
-- What follows from them: where superseded IS NULL, intervals that never overlap for
-- one device. A row is never changed, but superseded when something else holds.
CREATE TABLE placements(
  id INTEGER PRIMARY KEY,
  statement INTEGER NOT NULL REFERENCES placement_log(id),
  device TEXT NOT NULL,
  loc TEXT NOT NULL,
  t_from INTEGER NOT NULL,
  t_to INTEGER,                          -- first moment it no longer holds; NULL: open
  source TEXT NOT NULL,
  firmware TEXT NOT NULL DEFAULT '',
  entered_at INTEGER NOT NULL,
  entered_by TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  superseded INTEGER,                    -- when (utc ms) something else came to hold
  CHECK(t_to IS NULL OR t_to > t_from)
) STRICT;
CREATE INDEX placements_device ON placements(device, t_from);
CREATE INDEX placements_loc ON placements(loc, t_from);
-- The codes that exist; empty: every legal code does.
CREATE TABLE locations(
  loc TEXT PRIMARY KEY,
  note TEXT NOT NULL DEFAULT ''
) STRICT;
-- What was spread on a variant ("5.10"), and which variant is its control.
CREATE TABLE variants(
  variant TEXT PRIMARY KEY,
  treatment TEXT NOT NULL DEFAULT '',
  control TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE commands(
  id TEXT PRIMARY KEY,                   -- c-<16 hex>
  device TEXT NOT NULL,
  cmd TEXT NOT NULL,
  args TEXT NOT NULL DEFAULT '{}',
  after INTEGER NOT NULL DEFAULT 0,
  before INTEGER NOT NULL,
  created INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'queued',  -- then sent and the states devices report
  state_at INTEGER NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0,       -- how often it was published
  sent_at INTEGER,
  result TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX commands_device ON commands(device, created);
CREATE INDEX commands_state ON commands(state);
CREATE TABLE command_events(
  id INTEGER PRIMARY KEY,
  command TEXT NOT NULL REFERENCES commands(id),
  t INTEGER NOT NULL,
  state TEXT NOT NULL,
  body TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX command_events_command ON command_events(command, id);

CREATE TABLE alarms(
  id INTEGER PRIMARY KEY,
  rule TEXT NOT NULL,
  subject TEXT NOT NULL,                 -- device, location or 'service'
  grouping TEXT NOT NULL DEFAULT '',     -- such as the table
  severity TEXT NOT NULL,
  state TEXT NOT NULL,                   -- pending, firing, no_data, resolved
  opened INTEGER NOT NULL,
  fired INTEGER,
  resolved INTEGER,
  updated INTEGER NOT NULL,
  value REAL,
  message TEXT NOT NULL DEFAULT '',
  acked_at INTEGER,
  acked_by TEXT,
  snoozed_until INTEGER,
  flaps INTEGER NOT NULL DEFAULT 0,
  notified INTEGER,
  body TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE UNIQUE INDEX alarms_open ON alarms(rule, subject) WHERE resolved IS NULL;
CREATE INDEX alarms_opened ON alarms(opened);
CREATE TABLE alarm_events(
  id INTEGER PRIMARY KEY,
  alarm INTEGER NOT NULL REFERENCES alarms(id),
  t INTEGER NOT NULL,
  kind TEXT NOT NULL,                    -- opened fired acked snoozed note resolved ...
  by TEXT NOT NULL DEFAULT '',
  body TEXT NOT NULL DEFAULT '{}'
) STRICT;
CREATE INDEX alarm_events_alarm ON alarm_events(alarm, id);
CREATE TABLE maintenance(
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,                   -- '*', a table, a location or a device
  t_from INTEGER NOT NULL,
  t_to INTEGER NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  entered_by TEXT NOT NULL DEFAULT '',
  entered_at INTEGER NOT NULL,
  cancelled INTEGER,
  CHECK(t_to > t_from)
) STRICT;

CREATE TABLE users(
  name TEXT PRIMARY KEY,
  password TEXT NOT NULL,                -- scrypt$n$r$p$salt$hash
  role TEXT NOT NULL CHECK(role IN ('viewer', 'operator', 'admin')),
  created INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  disabled INTEGER NOT NULL DEFAULT 0
) STRICT;
-- Only hashes of tokens are kept: who reads this table cannot log in with it.
CREATE TABLE logins(
  token_hash TEXT PRIMARY KEY,
  user TEXT NOT NULL REFERENCES users(name) ON DELETE CASCADE,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  csrf TEXT NOT NULL,
  about TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX logins_user ON logins(user);
-- Who changed what through the web or the command line.
CREATE TABLE audit(
  id INTEGER PRIMARY KEY,
  t INTEGER NOT NULL,
  user TEXT NOT NULL,
  action TEXT NOT NULL,
  body TEXT NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE firmware(
  version TEXT PRIMARY KEY,
  file TEXT NOT NULL,                    -- name under DIR/firmware
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  manifest TEXT NOT NULL,                -- JSON, signed
  added INTEGER NOT NULL,
  added_by TEXT NOT NULL,
  withdrawn INTEGER,
  note TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE rollouts(
  id INTEGER PRIMARY KEY,
  version TEXT NOT NULL REFERENCES firmware(version),
  state TEXT NOT NULL,                   -- running halted done cancelled
  stage INTEGER NOT NULL DEFAULT 0,
  stages TEXT NOT NULL,                  -- JSON, such as [1, 5, null]
  halt_above REAL NOT NULL DEFAULT 0.1,  -- share of failures that stops it
  created INTEGER NOT NULL,
  created_by TEXT NOT NULL,
  updated INTEGER NOT NULL,
  reason TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE rollout_devices(
  rollout INTEGER NOT NULL REFERENCES rollouts(id),
  device TEXT NOT NULL,
  stage INTEGER NOT NULL,
  command TEXT,
  state TEXT NOT NULL,                   -- waiting sent running confirmed failed ...
  updated INTEGER NOT NULL,
  detail TEXT NOT NULL DEFAULT '',
  PRIMARY KEY(rollout, device)
) STRICT, WITHOUT ROWID;

CREATE TABLE settings(
  key TEXT PRIMARY KEY,                  -- such as 'fleet', 'device:<12 hex>'
  value TEXT NOT NULL,                   -- JSON
  changed INTEGER NOT NULL,
  changed_by TEXT NOT NULL DEFAULT ''
) STRICT;
""",
)
