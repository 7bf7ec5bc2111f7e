"""A running service for fleets of autonomous chambers, with nothing lost.

The table of contents below is the public face of the room; modules load when a name
is used.

>>> import tilth.fleet as fleet
>>> fleet.parse_location("5.10.A").variant
'10'
"""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    # The service
    "FleetService": "service",
    "FleetConfig": "config",
    "read_config": "config",
    # From messages to records on disk
    "Ingest": "ingest",
    "Journal": "journal",
    "Message": "journal_messages",
    "EmbeddedBroker": "broker",
    "BrokerSettings": "broker",
    "MqttLink": "mqtt",
    # The protocol
    "Batch": "batches",
    "encode_batch": "batches",
    "decode_batch": "batches",
    "encode_ack": "messages",
    "encode_command": "messages",
    "parse_location": "channels",
    "CHANNELS": "channels",
    # What was stored
    "Archive": "archive.query",
    "Sealer": "archive.seal",
    "device_days": "ledger",
    "prove": "ledger",
    "ledger_frame": "ledger",
    "completeness": "summary",
    "recounted": "summary",
    "make_backup": "backup",
    "restore_backup": "backup",
    "replay": "fill",
    # People, places, orders
    "Control": "control",
    "Credentials": "credentials",
    "place": "placement",
    "intervals": "placement",
    "queue_command": "commands",
    "queue_calibration": "calibration",
    "Rollouts": "rollout",
    "add_release": "releases",
    # Fluxes as they come
    "LiveFluxes": "live",
    "LiveSettings": "live_settings",
    # Known truth
    "run_trial": "trial",
    "fill_simulated": "fill",
    "simulate_fleet_records": "simulate.records",
    "run_fleet": "simulate.runner",
    "FaultPlan": "simulate.plan",
    "read_plan": "simulate.plan",
    "cycle_table": "simulate.records",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
