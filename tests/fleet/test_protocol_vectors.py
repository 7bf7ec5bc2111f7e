"""The vectors of the specification, tried on this side of the wire."""

import json

import pytest
from batches_world import NOW, message
from make_vectors import FILE, make

from tilth.fleet.journal import Journal
from tilth.fleet.protocol import (
    ProtocolError,
    decode_ack,
    decode_batch,
    decode_command,
    decode_status,
    derive_command_key,
    encode_batch,
)

VECTORS = json.loads(FILE.read_text("utf-8"))


def each(kind):
    return pytest.mark.parametrize("case", VECTORS[kind], ids=lambda case: case["name"])


def payload_of(case):
    if "payload_hex" in case:
        return bytes.fromhex(case["payload_hex"])
    return case["payload"].encode()


def test_the_file_is_what_its_maker_makes():
    assert make() == VECTORS


@each("batches")
def test_a_batch_gets_its_verdict(case):
    payload = payload_of(case)
    if case["verdict"] == "accepted":
        batch = decode_batch(payload)
        assert list(batch.header) == case["header"]
        if "unknown member" not in case["name"]:
            assert encode_batch(batch) == payload
        return
    with pytest.raises(ProtocolError) as caught:
        decode_batch(payload)
    assert caught.value.reason == case["reason"]
    header = caught.value.header
    assert (None if header is None else list(header)) == case["header"]


@each("statuses")
def test_a_status_gets_its_verdict(case):
    if case["verdict"] == "accepted":
        assert decode_status(payload_of(case)).boot == "2a-9f3c1d77"
        return
    with pytest.raises(ProtocolError) as caught:
        decode_status(payload_of(case))
    assert caught.value.reason == case["reason"]


@each("acks")
def test_an_acknowledgement_deletes_no_more_than_it_says(case):
    """The rule of the specification, in a few lines."""
    deletes, alarm = {}, False
    try:
        ack = decode_ack(payload_of(case))
    except ProtocolError:
        ack = None
    if ack is not None:
        first, last = case["held"].get(ack.boot, (0, -2))
        if ack.seq > last:
            alarm = True
        elif ack.seq >= first:
            deletes = {ack.boot: [first, ack.seq]}
    assert (deletes, alarm) == (case["deletes"], case["alarm"])


@each("commands")
def test_a_command_gets_its_verdict(case):
    key = bytes.fromhex(VECTORS["command_key_hex"])
    secret = bytes.fromhex(VECTORS["secret_hex"])
    assert derive_command_key(secret, VECTORS["device"]) == key
    try:
        command = decode_command(key, payload_of(case))
    except ProtocolError:
        state = "refused"
    else:
        if command.id in case.get("executed", ()):
            state = "repeated"
        elif case["utc"] is None:
            state = "refused"
        else:
            state = "accepted" if case["utc"] <= command.before else "expired"
    assert state == case["state"]


@each("conversations")
def test_a_conversation_has_its_watermarks(case, tmp_path):
    with Journal(tmp_path / "journal.sqlite", lambda: NOW) as journal:
        for (boot, seq, n, low), (of, watermark, have) in case["steps"]:
            (ack,) = journal.commit([message(seq, n, boot=boot, low=low)])
            assert (ack.boot, ack.seq) == (of, watermark)
            assert [list(pair) for pair in ack.have] == have
