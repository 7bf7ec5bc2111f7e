"""The wire protocol, version 1, between chambers and server.

A device publishes batches of records on ``tilth/v1/<device>/d``, each covering the
sequence numbers ``seq .. seq+n-1`` of one boot, and its status, retained, on
``.../s``. The server answers on ``.../ack`` once the records are on its disk: the
device deletes what lies at or below the acknowledged number, and nothing else ever
deletes. Commands travel on ``.../cmd``, signed for one device.

This module is the table of contents; the rules of each message are with the
functions that check it.
"""

from tilth.fleet.batches import (
    Batch,
    Event,
    Sample,
    add_crc,
    decode_batch,
    encode_batch,
)
from tilth.fleet.channels import (
    CHANNEL_NAMES,
    CHANNELS,
    FLAGS,
    QUALITIES,
    STATE_NAMES,
    STATES,
    Channel,
    Location,
    parse_location,
)
from tilth.fleet.messages import (
    MAX_HAVE,
    Ack,
    Command,
    Status,
    as_ranges,
    decode_ack,
    decode_command,
    decode_status,
    derive_command_key,
    encode_ack,
    encode_command,
    encode_status,
    sign,
)
from tilth.fleet.wire import (
    MAX_DEPTH,
    MAX_PAYLOAD,
    MAX_RECORDS,
    SEQ_END,
    TIME_END,
    VERSION,
    Header,
    ProtocolError,
    is_boot,
    is_device,
    parse_topic,
    topic_of,
)

__all__ = [
    "CHANNELS",
    "CHANNEL_NAMES",
    "FLAGS",
    "MAX_DEPTH",
    "MAX_HAVE",
    "MAX_PAYLOAD",
    "MAX_RECORDS",
    "QUALITIES",
    "SEQ_END",
    "STATES",
    "STATE_NAMES",
    "TIME_END",
    "VERSION",
    "Ack",
    "Batch",
    "Channel",
    "Command",
    "Event",
    "Header",
    "Location",
    "ProtocolError",
    "Sample",
    "Status",
    "add_crc",
    "as_ranges",
    "decode_ack",
    "decode_batch",
    "decode_command",
    "decode_status",
    "derive_command_key",
    "encode_ack",
    "encode_batch",
    "encode_command",
    "encode_status",
    "is_boot",
    "is_device",
    "parse_location",
    "parse_topic",
    "sign",
    "topic_of",
]
