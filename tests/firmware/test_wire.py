"""Messages of the device: the server reads each; what strangers send is refused."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tilth_chamber import wire

from tilth.fleet.protocol import (
    Ack,
    Command,
    decode_batch,
    decode_status,
    encode_ack,
    encode_command,
)

BOOT = "2a-9f3c1d77"
CELLS = st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1))


@st.composite
def records_of_a_batch(draw):
    seq = draw(st.integers(0, 2**32 - 201))
    loc = draw(st.sampled_from(["", "5.10.A", "1.1.Z", 'a"\\ü']))
    out, tick = [], draw(st.integers(0, 2**52))
    for i in range(draw(st.integers(1, 200))):
        tick += draw(st.integers(0, 4000)) if i < 10 else 3000
        if draw(st.booleans()) if i < 10 else i % 7:
            row = [4391 + i, draw(CELLS) if i < 10 else None, *range(5), 5, 0]
            text = json.dumps(row)[1:-1].replace(" ", "")
            out.append((seq + i, tick, 1, text, loc))
        else:
            out.append((seq + i, tick, 2, '"state",{"to": "closed"}', loc))
    return out


@settings(max_examples=40, deadline=None)
@given(records_of_a_batch(), st.one_of(st.none(), st.integers(0, 2**40)))
def test_the_server_reads_every_batch_as_it_was_meant(records, offset):
    payload = wire.batch(
        BOOT,
        records,
        records[0][0],
        lambda tick: None if offset is None else tick + offset,
        "ntp",
        "1.0.0",
        50,
        3,
    )
    batch = decode_batch(payload)
    assert (batch.boot, batch.seq, batch.n) == (BOOT, records[0][0], len(records))
    assert batch.loc == records[0][4]
    assert (batch.utc is None) == (batch.src == "none") == (offset is None)
    assert (batch.queued, batch.dropped) == (50, 3)
    ticks = {batch.seq + s.i: batch.tick + s.dt for s in batch.samples}
    ticks.update({batch.seq + e.i: batch.tick + e.dt for e in batch.events})
    assert ticks == {r[0]: r[1] for r in records}
    for sample in batch.samples:
        text = records[sample.i][3]
        assert list(sample[2:]) == json.loads("[" + text + "]")


def test_events_whose_ticks_run_back_still_make_a_batch():
    records = [(0, 500, 2, '"a",{}', ""), (1, 400, 2, '"b",{}', "")]
    batch = decode_batch(
        wire.batch(BOOT, records, 0, lambda t: None, "none", "1", 2, 0)
    )
    assert batch.tick == 400
    assert [e.dt for e in batch.events] == [100, 0]


def test_the_server_reads_the_status_and_the_last_will():
    pending = [["29-aaaabbbb", 0, 812], [BOOT, 0, -1]]
    status = decode_status(
        wire.hello(BOOT, "1.0.0", "5.10.A", "10.0.0.7", pending, 5, 1, "c1")
    )
    assert status.online
    assert status.pending == [("29-aaaabbbb", 0, 812), (BOOT, 0, -1)]
    assert (status.queued, status.dropped, status.cfg) == (5, 1, "c1")
    assert not decode_status(wire.will(BOOT)).online


def test_the_acknowledgements_of_the_server_are_read():
    ack = Ack("a4cf12000001", BOOT, 1180, [(1190, 1199), (1210, 1210)])
    assert wire.read_ack(encode_ack(ack)) == (BOOT, 1180, [(1190, 1199), (1210, 1210)])
    assert wire.read_ack(encode_ack(Ack("a4cf12000001", BOOT, -1))) == (BOOT, -1, [])


GOOD_ACK = {"v": 1, "boot": BOOT, "seq": 5, "have": [[7, 9]]}


@pytest.mark.parametrize(
    "change",
    [
        {"v": 2},
        {"v": True},
        {"v": None},
        {"boot": "2A-9f3c1d77"},
        {"boot": "-9f3c1d77"},
        {"boot": "123456789-9f3c1d77"},
        {"boot": 7},
        {"seq": -2},
        {"seq": 2**32},
        {"seq": 1.0},
        {"seq": True},
        {"seq": "5"},
        {"have": None},
        {"have": [[5, 9]]},
        {"have": [[9, 7]]},
        {"have": [[7, 9, 9]]},
        {"have": [[7, 2**32]]},
        {"have": [[7, 7], [9, 9], [11, 11], [13, 13], [15, 15]]},
    ],
)
def test_an_acknowledgement_with_a_wrong_member_is_refused(change):
    wire.read_ack(json.dumps(GOOD_ACK).encode())
    with pytest.raises(wire.Refused):
        wire.read_ack(json.dumps({**GOOD_ACK, **change}).encode())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"{",
        b"[" * 10000,
        b'{"v":' * 3000,
        b'{"v":1}' + b" " * 20000,
    ],
)
def test_what_is_no_message_is_refused(payload):
    for read in (wire.read_ack, wire.read_command):
        with pytest.raises(wire.Refused):
            read(payload)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused(payload):
    for read in (wire.read_ack, wire.read_command):
        with pytest.raises(wire.Refused):
            read(payload)


def test_the_commands_of_the_server_are_read():
    command = Command("c-0123456789abcdef", "label", {"loc": "5.10.A"}, 0, 2**50)
    message = wire.read_command(encode_command(bytes(32), command))
    assert message["id"] == command.id
    assert message["args"] == {"loc": "5.10.A"}
    assert (message["after"], message["before"]) == (0, 2**50)


@pytest.mark.parametrize(
    "change",
    [
        {"id": "c-0123"},
        {"id": "x-0123456789abcdef"},
        {"id": "c-0123456789ABCDEF"},
        {"id": 5},
        {"cmd": ""},
        {"cmd": "x" * 33},
        {"cmd": None},
        {"args": []},
        {"after": None},
        {"before": -1},
        {"before": 1e12},
        {"before": 2**53},
    ],
)
def test_a_command_with_a_wrong_member_is_refused(change):
    good = {"v": 1, "id": "c-0123456789abcdef", "cmd": "reboot", "args": {}}
    good.update({"after": 0, "before": 1})
    wire.read_command(json.dumps(good).encode())
    with pytest.raises(wire.Refused):
        wire.read_command(json.dumps({**good, **change}).encode())
