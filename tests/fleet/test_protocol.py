"""The wire protocol: what goes over it comes back, and nothing else gets in."""

import contextlib
import json
import os
import string
import timeit
from functools import partial
from zlib import crc32

import pytest
from batches_world import BOOT, DEVICE, NOW, batch, sample
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.fleet.protocol import (
    FLAGS,
    MAX_PAYLOAD,
    Ack,
    Batch,
    Command,
    Event,
    Header,
    ProtocolError,
    Sample,
    Status,
    add_crc,
    decode_ack,
    decode_batch,
    decode_command,
    decode_status,
    derive_command_key,
    encode_ack,
    encode_batch,
    encode_command,
    encode_status,
    parse_location,
    parse_topic,
    topic_of,
)

FULL = bool(os.environ.get("TILTH_FULL"))
KEY = bytes(range(32))


def altered(**members):
    """The payload of a good batch with some members replaced or (None) left out."""
    content = json.loads(
        encode_batch(batch(1200, 6, events=[(5, 14_500, "state", {})]))
    )
    del content["crc"]
    for name, value in members.items():
        content.pop(name) if value is ... else content.__setitem__(name, value)
    return add_crc(json.dumps(content, separators=(",", ":")).encode()[:-1])


def reason(payload, decode=decode_batch):
    with pytest.raises(ProtocolError) as caught:
        decode(payload)
    return caught.value.reason


# Batches

labels = st.text(string.ascii_letters + string.digits + ".- ", max_size=32)
int32 = st.integers(-(2**31), 2**31 - 1)
flat = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
flat |= st.floats(allow_nan=False, allow_infinity=False)
body = st.dictionaries(
    st.text(max_size=5), flat | st.lists(flat, max_size=2), max_size=3
)


@st.composite
def batches(draw):
    seq = draw(st.integers(0, 2**32 - 200))
    n = draw(st.integers(1, 12))
    order = draw(st.permutations(range(n)))
    cut = draw(st.integers(0, n))
    value = st.none() | int32
    samples = [
        Sample(
            i,
            draw(st.integers(0, 2**31 - 1)),
            *[draw(value) for _ in range(7)],
            draw(st.integers(0, 255)),
            draw(st.integers(0, 2**15)),
        )
        for i in order[:cut]
    ]
    kind = st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)
    events = [
        Event(i, draw(st.integers(0, 2**31 - 1)), draw(kind), draw(body))
        for i in order[cut:]
    ]
    return Batch(
        draw(st.from_regex(r"[0-9a-f]{1,8}-[0-9a-f]{8}", fullmatch=True)),
        seq,
        n,
        draw(st.integers(0, seq)),
        draw(st.integers(0, 2**53 - 1)),
        draw(st.none() | st.integers(-(2**53) + 1, 2**53 - 1)),
        draw(st.sampled_from(["ntp", "rtc", "none"])),
        draw(labels),
        draw(labels),
        draw(st.integers(0, 2**40)),
        draw(st.integers(0, 2**40)),
        samples,
        events,
    )


@settings(max_examples=2000 if FULL else 40, deadline=None)
@given(batches())
def test_a_batch_comes_back_as_it_was_sent(one):
    assert decode_batch(encode_batch(one)) == one


def test_the_example_of_the_specification_is_read():
    opened = (
        b'{"v":1,"boot":"2a-9f3c1d77","seq":1200,"n":3,"low":1150,"t":3600000,'
        b'"utc":1753000000000,"src":"ntp","loc":"5.10.A","fw":"1.0.0","q":[50,0],'
        b'"s":[[0,0,4391,2724,4881,2561,100653,312,4987,5,0],'
        b"[1,3000,4397,2724,null,2561,100653,311,4987,5,0]],"
        b'"e":[[2,3500,"state",{"to":"opening","cycle":2921666,"why":"normal"}]]'
    )
    one = decode_batch(opened + b',"crc":%d}' % crc32(opened))
    assert one.header == Header("2a-9f3c1d77", 1200, 3)
    assert one.samples[1].co2 == 4397
    assert one.samples[1].rh is None
    assert one.events[0].body["cycle"] == 2921666
    assert encode_batch(one)[:-1] == opened + b',"crc":%d' % crc32(opened)


def test_any_single_bit_flip_in_a_batch_is_refused():
    good = encode_batch(batch(7, 3))
    taken = []
    for k in range(len(good) * 8):
        damaged = bytearray(good)
        damaged[k // 8] ^= 1 << k % 8
        try:
            decode_batch(bytes(damaged))
            taken.append(k)
        except ProtocolError:
            pass
    assert taken == []


def test_a_batch_cut_at_any_byte_is_refused_without_a_header():
    good = encode_batch(batch(7, 3))
    for k in range(len(good)):
        with pytest.raises(ProtocolError) as caught:
            decode_batch(good[:k])
        assert caught.value.header is None


@pytest.mark.parametrize(
    ("why", "members"),
    [
        ("version", {"v": 2}),
        ("version", {"v": True}),
        ("member", {"v": ...}),
        ("member", {"boot": "2A-9f3c1d77"}),
        ("member", {"boot": 5}),
        ("member", {"seq": -1}),
        ("member", {"seq": 1200.0}),
        ("member", {"seq": "1200"}),
        ("member", {"seq": 2**32 - 5}),
        ("member", {"n": 0}),
        ("member", {"n": 201}),
        ("member", {"n": -3}),
        ("member", {"n": True}),
        ("count", {"n": 7}),
        ("member", {"low": ...}),
        ("range", {"low": 1201}),
        ("range", {"low": -1}),
        ("range", {"low": None}),
        ("range", {"t": -1}),
        ("range", {"t": 2**53}),
        ("range", {"t": 1.5}),
        ("range", {"utc": "2025"}),
        ("range", {"utc": 2**53}),
        ("range", {"utc": False}),
        ("range", {"src": "gps"}),
        ("range", {"src": None}),
        ("range", {"loc": 5.1}),
        ("range", {"loc": "x" * 33}),
        ("range", {"loc": "5.1\n"}),
        ("range", {"loc": "\ud800"}),
        ("range", {"fw": None}),
        ("range", {"q": [1]}),
        ("range", {"q": [True, 0]}),
        ("range", {"q": "00"}),
        ("member", {"s": {}}),
        ("member", {"s": ...}),
        ("member", {"e": None}),
        ("count", {"s": []}),
        ("member", {"s": [[]] * 5}),
        ("member", {"s": [list(sample(i))[:10] for i in range(5)]}),
        ("member", {"s": [[*sample(i), 0] for i in range(5)]}),
        ("member", {"s": [list(sample(i, 439.1)) for i in range(5)]}),
        ("member", {"s": [list(sample(i, True)) for i in range(5)]}),
        ("member", {"s": [list(sample(i, "4391")) for i in range(5)]}),
        ("member", {"s": [list(sample(i, dt=None)) for i in range(5)]}),
        ("member", {"s": [list(sample(i, state=None)) for i in range(5)]}),
        ("range", {"s": [list(sample(i, 2**31)) for i in range(5)]}),
        ("range", {"s": [list(sample(i, p=-(2**31) - 1)) for i in range(5)]}),
        ("range", {"s": [list(sample(i, dt=-1)) for i in range(5)]}),
        ("range", {"s": [list(sample(i, state=256)) for i in range(5)]}),
        ("range", {"s": [list(sample(i, flags=-1)) for i in range(5)]}),
        ("cover", {"s": [list(sample(i)) for i in (0, 1, 2, 3, 3)]}),
        ("cover", {"s": [list(sample(i)) for i in (0, 1, 2, 3, 200)]}),
        ("cover", {"s": [list(sample(i)) for i in (0, 1, 2, 3, -1)]}),
        ("cover", {"e": [[4, 0, "state", {}]]}),
        ("cover", {"e": [[True, 0, "state", {}]]}),
        ("member", {"e": [[5, 0, "state"]]}),
        ("member", {"e": [[5, 0, "state", []]]}),
        ("range", {"e": [[5, 0, "State", {}]]}),
        ("range", {"e": [[5, -1, "state", {}]]}),
        ("range", {"e": [[5, 0, 7, {}]]}),
        ("depth", {"e": [[5, 0, "state", {"a": [[[1]]]}]]}),
        ("depth", {"extra": [[[[[[1]]]]]]}),
    ],
)
def test_a_batch_that_breaks_a_rule_is_refused_for_that_rule(why, members):
    assert reason(altered(**members)) == why


def test_the_header_of_poison_is_told_where_it_can_be_trusted():
    for members in ({"s": []}, {"loc": 5.1}, {"e": [[5, 0, "state", []]]}):
        with pytest.raises(ProtocolError) as caught:
            decode_batch(altered(**members))
        assert caught.value.header == Header(BOOT, 1200, 6)
    # Another version may mean anything by these members.
    for members in ({"v": 2}, {"n": 201}, {"seq": 2**32 - 5}):
        with pytest.raises(ProtocolError) as caught:
            decode_batch(altered(**members))
        assert caught.value.header is None


def test_nan_and_bad_text_are_refused_with_their_header():
    good = encode_batch(batch(7, 3))
    opened = good[: good.rfind(b',"crc"')]
    for old, new, why in (
        (b"4007", b"NaN", "json"),
        (b"4007", b"Infinity", "json"),
        (b"4007", b"1e999", "json"),
        (b"4007", b"4" * 5000, "json"),
        (b"5.10.A", b"5.\xff.A", "utf8"),
        (b'"q":[', b'"q":' + b"[" * 30_000, "depth"),
        (b'"q":[3,0]', b'"q":[3,0', "json"),
    ):
        assert old in opened
        with pytest.raises(ProtocolError) as caught:
            decode_batch(add_crc(opened.replace(old, new, 1)))
        assert (caught.value.reason, caught.value.header) == (why, (BOOT, 7, 3))


def test_a_payload_beyond_the_limit_is_not_even_read():
    assert reason(b"[" * 1_000_000) == "size"
    long = altered(extra="x" * MAX_PAYLOAD)
    assert reason(long) == "size"


def test_what_a_sensor_cannot_deliver_is_data_not_an_error():
    rows = [
        list(sample(i, -67_969, lux=-1, flags=FLAGS["light_error"])) for i in range(5)
    ]
    assert decode_batch(altered(s=rows)).samples[0].lux == -1


def test_unknown_members_and_kinds_are_accepted():
    one = decode_batch(altered(extra={"a": 1}, e=[[5, 0, "from_the_future", {"x": 1}]]))
    assert one.events[0].kind == "from_the_future"


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)
_GOOD = json.loads(encode_batch(batch(1200, 6, events=[(5, 14_500, "state", {})])))


@settings(max_examples=40_000 if FULL else 150, deadline=None)
@given(
    st.dictionaries(st.sampled_from([*_GOOD, "x"]), junk, max_size=3),
    st.booleans(),
)
def test_a_batch_of_any_content_is_read_or_refused_never_more(members, closed):
    content = {**_GOOD, **members}
    content.pop("crc")
    text = json.dumps(content, separators=(",", ":")).encode()
    payload = add_crc(text[:-1]) if closed else text
    try:
        one = decode_batch(payload)
    except ProtocolError:
        return
    assert decode_batch(encode_batch(one)) == one
    offsets = sorted([s.i for s in one.samples] + [e.i for e in one.events])
    assert offsets == list(range(one.n))


_DECODERS = (decode_batch, decode_status, decode_ack, partial(decode_command, KEY))


@settings(max_examples=60_000 if FULL else 150, deadline=None)
@given(st.binary(max_size=300) | st.text(max_size=80).map(str.encode), st.booleans())
@example(b"", True)
@example(b"{}", True)
@example(b'{"v":1', True)
def test_any_bytes_are_read_or_refused_never_more(payload, checked):
    for decode in _DECODERS:
        with contextlib.suppress(ProtocolError):
            decode(add_crc(payload) if checked else payload)


def test_a_batch_is_decoded_fast_enough_for_ten_thousand_a_second():
    payload = encode_batch(batch(1200, 5))
    best = min(timeit.repeat(lambda: decode_batch(payload), number=200, repeat=20))
    # 25 us on one core of 2024; the margin is for a busy machine.
    assert best / 200 < 250e-6


# Topics and names


def test_topics_name_a_device_and_nothing_else():
    assert parse_topic(topic_of(DEVICE, "cmd")) == (DEVICE, "cmd")
    for topic in (
        "", "tilth/v1", f"tilth/v2/{DEVICE}/d", f"tilth/v1/{DEVICE}/e",
        f"tilth/v1/{DEVICE.upper()}/d", f"tilth/v1/{DEVICE}/d/",
        f"tilth/v1/{DEVICE}0/d", f"/tilth/v1/{DEVICE}/d", "tilth/v1/+/d",
        f"tilth/v1/{DEVICE}\u0660/d",
        "tilth/v1/a0b76511223\uff13/d",
    ):  # fmt: skip
        assert reason(topic, parse_topic) == "topic"


def test_five_ten_is_not_five_one():
    assert parse_location("5.10.A").variant == "10"
    assert parse_location("5.1.A") != parse_location("5.10.A")
    assert parse_location("5.10.A").code == "5.10.A"
    for code in (
        "5.10",
        "5.10.a",
        "5.10.AA",
        "123.1.A",
        "5..A",
        " 5.1.A",
        "5.1.A\n",
        "",
    ):
        with pytest.raises(InputError, match="location code"):
            parse_location(code)
    with pytest.raises(InputError, match=r"5\.10 turns into 5\.1"):
        parse_location(5.1)


# Small messages


def test_a_status_comes_back_as_it_was_sent():
    one = Status(
        True, BOOT, "1.0.0", "5.10.A", "2001:db8:85a3::8a2e:370:7334", "7",
        [("29-aaaabbbb", 0, 812), (BOOT, 1206, 1205)], 869, 0,
    )  # fmt: skip
    assert decode_status(encode_status(one)) == one
    gone = Status(False, BOOT)
    assert encode_status(gone) == b'{"v":1,"online":false,"boot":"2a-9f3c1d77"}'
    assert decode_status(encode_status(gone)) == gone


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2), ("online", 1), ("online", None), ("boot", "x"), ("boot", None),
        ("fw", 5), ("loc", "\n"), ("ip", "x" * 65), ("pending", {}),
        ("pending", [["29-aaaabbbb", 0]]), ("pending", [["29-aaaabbbb", 5, 3]]),
        ("pending", [["29-aaaabbbb", -1, 3]]), ("pending", [["x", 0, 3]]),
        ("pending", [["29-aaaabbbb", 0, 2**32]]),
        ("pending", [["29-aaaabbbb", 0, True]]),
        ("pending", [[[], 0, 1]]), ("pending", [0]), ("q", [1]), ("q", [-1, 0]),
    ],
)  # fmt: skip
def test_a_status_that_breaks_a_rule_is_refused(name, value):
    content = json.loads(encode_status(Status(True, BOOT)))
    assert reason(json.dumps(content | {name: value}).encode(), decode_status)


def test_an_acknowledgement_comes_back_as_it_was_sent():
    one = Ack(DEVICE, BOOT, 1180, [(1190, 1199), (1300, 1300)])
    assert decode_ack(encode_ack(one), DEVICE) == one
    assert decode_ack(encode_ack(Ack("", BOOT, -1))).seq == -1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("boot", "x"), ("seq", -2), ("seq", 2**32), ("seq", 1.0), ("seq", True),
        ("have", None), ("have", [[1, 2]]), ("have", [[1190, 1189]]),
        ("have", [[1190]]), ("have", [[1190, 2**32]]), ("have", [[1190, 1191]] * 5),
    ],
)  # fmt: skip
def test_an_acknowledgement_that_breaks_a_rule_is_refused(name, value):
    content = json.loads(encode_ack(Ack(DEVICE, BOOT, 1180)))
    assert reason(json.dumps(content | {name: value}).encode(), decode_ack)


def test_a_command_is_believed_only_with_the_key_of_its_device():
    key = derive_command_key(KEY, DEVICE)
    one = Command("c-0123456789abcdef", "calibrate", {"at": NOW, "ppm": 420}, 0, NOW)
    payload = encode_command(key, one)
    assert decode_command(key, payload) == one
    assert len(payload.split(b'"sig":"')[1]) == 64 + 2
    for other in (KEY, derive_command_key(KEY, "a0b765112234"), key[:-1]):
        assert reason(payload, lambda p, k=other: decode_command(k, p)) == "signature"
    for k in range(len(payload) * 8):
        forged = bytearray(payload)
        forged[k // 8] ^= 1 << k % 8
        assert reason(bytes(forged), lambda p: decode_command(key, p))


def test_a_command_key_needs_a_secret_that_is_one():
    # openssl dgst -sha256 -mac HMAC -macopt hexkey:000102...1f
    assert derive_command_key(KEY, DEVICE).hex() == (
        "d083d0cb4b443fef6b279bc388ab06757017108d2de8a22858a3fbe393de6e2a"
    )
    assert derive_command_key(KEY, DEVICE) != derive_command_key(KEY, "a0b765112234")
    with pytest.raises(ProtocolError, match="at least 32"):
        derive_command_key(b"secret", DEVICE)
    with pytest.raises(ProtocolError, match="not the name"):
        derive_command_key(KEY, "chamber 1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", "c-1"), ("id", 5), ("cmd", "Reboot"), ("cmd", None), ("args", []),
        ("after", -1), ("before", None), ("before", 2**53), ("after", 0.5),
    ],
)  # fmt: skip
def test_a_malformed_command_is_not_even_signed(name, value):
    good = {
        "id": "c-0123456789abcdef",
        "cmd": "reboot",
        "args": {},
        "after": 0,
        "before": 1,
    }
    assert reason(KEY, lambda key: encode_command(key, Command(**good | {name: value})))
