"""The service under hostile clients: it stays up, and honest devices lose nothing."""

import asyncio
import contextlib
import json
import os
import random
import socket
import sqlite3
import threading
import time
import zlib

import pytest
from devices import Device, batch_of, names
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lives import FULL
from mqttwire import connect, packet, publish, subscribe, text
from oracle import verify
from radios import Fleet, Radio, percentile
from talk import Talk
from zygote import LetIn

from tilth.fleet.broker import BrokerSettings, EmbeddedBroker, Limits
from tilth.fleet.ingest import Ingest
from tilth.fleet.journal import Journal

CASES = 100_000 if FULL else 1000
HOSTILE = "b0000000000b"
BOOT = "1-0badcafe"


class Service:
    """Broker, ingest and journal in this process."""

    def __init__(self, folder, **limits):
        self.path = folder / "journal.sqlite"
        self.journal = Journal(self.path)
        self.ingest = Ingest(
            self.journal, lambda t, p: self.broker.publish(t, p), group_ms=2
        )
        self.broker = EmbeddedBroker(
            BrokerSettings(port=0, limits=Limits(**limits)), LetIn(), self.ingest.put
        )
        self.broker.start()

    def settle(self):
        """Wait until all that was put is on disk."""
        while self.ingest.stats()["waiting"] or (
            self.ingest.stats()["committed"] + self.ingest.stats()["dropped"]
            < self.ingest.stats()["received"]
        ):
            time.sleep(0.01)

    def close(self):
        self.ingest.close()
        self.broker.stop()
        self.journal.close()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()


@pytest.fixture
def service(tmp_path):
    with Service(tmp_path) as service:
        yield service


def honest(service, n=3, seconds=1.0, story=None):
    """Let honest devices work beside a story; return their latencies."""
    devices = [Device(name, retry=0.5) for name in names(n)]
    for device in devices:
        device.power_on()
    address = ("127.0.0.1", service.broker.port)
    fleet = Fleet([Radio(d, "pw", lambda: address) for d in devices], rate=50)

    async def run():
        await fleet.connected()
        task = asyncio.ensure_future(asyncio.to_thread(story) if story else _nothing())
        begin = time.monotonic()
        await fleet.run(
            600, done=lambda: task.done() and time.monotonic() - begin > seconds
        )
        await task
        assert await fleet.run(0, drain=30)
        await fleet.leave()

    asyncio.run(run())
    service.settle()
    return devices, [x for d in devices for x in d.latencies]


async def _nothing():
    pass


# Payloads


def good(seq, n=3):
    """Return a batch as it should be."""
    return batch_of(HOSTILE, BOOT, seq, n, seq, 1_753_000_000_000)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)
    ),
    max_leaves=20,
)


@st.composite
def spoiled(draw):
    """Draw a good batch with something wrong, its checksum mended or not."""
    seq = draw(st.integers(0, 2**33))
    payload = bytearray(good(seq, draw(st.integers(1, 6))))
    kind = draw(st.sampled_from(["member", "bytes", "cut", "repeat", "raw"]))
    if kind == "member":
        content = json.loads(payload)
        name = draw(st.sampled_from(sorted(content)))
        content[name] = draw(JSON)
        if draw(st.booleans()):
            content[draw(st.text(max_size=5))] = draw(JSON)
        content.pop("crc", None)
        body = json.dumps(content, separators=(",", ":")).encode("utf-8")[:-1]
        return body + b',"crc":%d}' % zlib.crc32(body)
    if kind == "raw":
        return draw(st.binary(max_size=300))
    if kind == "cut":
        return bytes(payload[: draw(st.integers(0, len(payload)))])
    if kind == "repeat":
        return bytes(payload) * draw(st.integers(2, 3))
    for _ in range(draw(st.integers(1, 4))):
        payload[draw(st.integers(0, len(payload) - 1))] = draw(st.integers(0, 255))
    if draw(st.booleans()):
        body = bytes(payload).rsplit(b',"crc":', 1)[0]
        return body + b',"crc":%d}' % zlib.crc32(body)
    return bytes(payload)


NASTY = [
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"{" * 60_000,
    b"[" * 60_000 + b"]" * 1000,
    b'{"v":1' + b',"a":{' * 10_000,
    b"x" * 65_000,
    b'{"v":NaN,"boot":"1-0badcafe","seq":0,"n":1}',
    b'{"v":1,"boot":"1-0badcafe","seq":1e400,"n":1}',
    b'{"v":1,"boot":"1-0badcafe","seq":' + b"9" * 5000 + b',"n":1}',
    '{"v":1,"boot":"\ud83d\ude00"}'.encode("utf-8", "surrogatepass"),
    b'{"v":1,"boot":"1-0badcafe\\u0000","seq":0,"n":1}',
]


def test_poison_goes_to_quarantine_and_everything_else_goes_on(
    tmp_path, record_property
):
    """Fuzzed payloads against the running service, beside honest devices."""
    sent = 0
    with Service(tmp_path, ahead=10_000) as service:  # else fuzzing takes for ever
        with Talk(service.broker.port) as hostile:
            assert hostile.log_in(HOSTILE, "pw") == 0

            def post(payload, leaf):
                nonlocal sent
                hostile.send(publish(f"tilth/v1/{HOSTILE}/{leaf}", payload))
                sent += 1
                if sent % 500 == 0:
                    assert hostile.publish(f"tilth/v1/{HOSTILE}/d", good(2**31 + sent))

            @settings(
                max_examples=CASES,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(spoiled(), st.sampled_from("ddds"))
            def fuzz(payload, leaf):
                post(payload, leaf)

            def story():
                for payload in NASTY:
                    for leaf in "ds":
                        post(payload, leaf)
                fuzz()

            devices, latencies = honest(service, story=story)
            assert hostile.publish(f"tilth/v1/{HOSTILE}/d", good(2**32 - 10))
        service.settle()
        assert service.ingest.trouble is None
        tally = service.journal.tally
        stats = service.ingest.stats()
    assert sent >= CASES
    assert stats["dropped"] == 0
    assert tally.quarantined > sent / 4
    record_property("summary", f"{sent} sent, {tally}")
    print(sent, tally, f"honest p99 {percentile(latencies, 0.99):.2f} s")
    _check_honest(service.path, devices)
    assert percentile(latencies, 0.99) < 5.0


def _check_honest(path, devices):
    """The honest devices' records are there, once, whatever else is."""
    connection = sqlite3.connect(path)
    known = {device.name for device in devices}
    ids = [
        key
        for key, name in connection.execute("SELECT id, name FROM devices")
        if name not in known
    ]
    for key in ids:
        for table in ("samples", "events", "ranges", "tombstones", "conflicts"):
            connection.execute(
                f"DELETE FROM {table} WHERE boot IN"
                " (SELECT id FROM boots WHERE device = ?)",
                (key,),
            )
        connection.execute("DELETE FROM boots WHERE device = ?", (key,))
    connection.execute("DELETE FROM quarantine")
    connection.execute("DELETE FROM conflicts")
    connection.execute("DELETE FROM tombstones")
    connection.commit()
    connection.close()
    count = verify(path, devices)
    assert count.deleted == count.stored == count.generated > 0


# Topics and packets


@settings(max_examples=CASES // 10, deadline=None, database=None)
@given(st.text(max_size=40) | st.from_regex(r"tilth/v1/[0-9a-f]{12}/[a-z]{1,3}"))
def test_no_topic_but_its_own_two_is_a_device_allowed_to_write(topic):
    from tilth.fleet.broker_rules import Principal, may_publish, may_subscribe

    device = Principal(HOSTILE, "device")
    own = {f"tilth/v1/{HOSTILE}/{leaf}" for leaf in ("d", "s")}
    assert may_publish(device, topic) == (topic in own)
    assert may_subscribe(device, topic) == (
        topic in {f"tilth/v1/{HOSTILE}/{leaf}" for leaf in ("cmd", "ack")}
    )


def test_random_topics_and_packets_reach_nobody_and_break_nothing(service):
    """Raw bytes on hundreds of connections, logged in and not."""
    chance = random.Random(51)
    seen = []

    def story():
        for k in range(5000 if FULL else 600):
            with Talk(service.broker.port) as hostile:
                if chance.random() < 0.7:
                    hostile.log_in(HOSTILE, "pw", clean=chance.random() < 0.5)
                with contextlib.suppress(OSError):
                    hostile.send(_noise(chance))
                    if k % 10 == 0:
                        hostile.is_closed(0.05)
        with Talk(service.broker.port) as hostile:
            assert hostile.log_in(HOSTILE, "pw") == 0, "its name is not stuck"
        seen.append(service.broker.counts()["refused"])

    devices, _ = honest(service, story=story)
    assert seen[0] > 50
    service.close()
    _check_honest(service.path, devices)


def _noise(chance):
    """Return one to four packets, some broken."""
    out = b""
    for _ in range(chance.randrange(1, 5)):
        kind = chance.randrange(7)
        topic = chance.choice(
            ["", "#", "+", "$SYS/x", "tilth/v1/a0b765000000/d", "x" * 300, "\0",
             f"tilth/v1/{HOSTILE}/d", f"tilth/v1/{HOSTILE}/ack"]
        )  # fmt: skip
        if kind == 0:
            out += chance.randbytes(chance.randrange(1, 40))
        elif kind == 1:
            out += publish(topic, chance.randbytes(20), 1, qos=chance.randrange(4))
        elif kind == 2:
            out += subscribe([topic] * chance.randrange(1, 50), qos=chance.randrange(4))
        elif kind == 3:
            out += packet(chance.randrange(256), chance.randbytes(chance.randrange(9)))
        elif kind == 4:
            out += connect(HOSTILE, HOSTILE, "pw", will=(topic, b"x", 1, True))
        elif kind == 5:
            out += bytes([chance.randrange(256)]) + b"\xff\xff\xff\x7f"
        else:
            out += packet(0xA2, b"\0\1" + text(topic))
    return out


# Many, slow, greedy


def test_thousands_of_strangers_do_not_keep_the_devices_out(tmp_path, record_property):
    """They connect and say nothing, or one byte a second, or log in wrongly."""
    n = 10_000 if FULL else 600
    limits = {"strangers": n // 10, "connections": n // 2, "connect_s": 2.0}
    with Service(tmp_path, **limits) as service:
        port = service.broker.port
        stop = threading.Event()

        def story():
            crowd = []
            for k in range(n):
                try:
                    stranger = socket.create_connection(("127.0.0.1", port), 2)
                except OSError:
                    continue
                crowd.append(stranger)
                with contextlib.suppress(OSError):
                    stranger.send((b"", b"\x10", connect("x", "x", "no"))[k % 3])
                if len(crowd) > n // 4:
                    crowd.pop(0).close()
            for _ in range(3):
                for stranger in crowd:
                    with contextlib.suppress(OSError):
                        stranger.send(b"\0")
                stop.wait(0.2)
            for stranger in crowd:
                stranger.close()

        devices, latencies = honest(service, story=story)
        with Talk(port) as newcomer:
            assert newcomer.log_in("a0b7650000ff", "pw") == 0
    p99 = percentile(latencies, 0.99)
    record_property("summary", f"{n} strangers, honest p99 {p99:.2f} s")
    print(f"{n} strangers, honest p99 {p99:.2f} s")
    _check_honest(tmp_path / "journal.sqlite", devices)
    assert p99 < 5.0


def test_a_device_that_floods_slows_itself_not_the_others(tmp_path):
    """Good batches as fast as it can, and a status with each: it is held back."""
    sent = 0
    with Service(tmp_path) as service, Talk(service.broker.port) as greedy:
        greedy.log_in(HOSTILE, "pw")
        stop = time.monotonic() + (20 if FULL else 1)

        def story():
            nonlocal sent
            greedy.socket.settimeout(30)
            while time.monotonic() < stop:
                batches = [good(200 * k, 200) for k in range(sent, sent + 10)]
                topic = f"tilth/v1/{HOSTILE}/d"
                greedy.send(b"".join(publish(topic, batch) for batch in batches))
                sent += 10

        devices, latencies = honest(service, story=story)
    assert sent > 100
    _check_honest(tmp_path / "journal.sqlite", devices)
    p99 = percentile(latencies, 0.99)
    print(f"{sent} batches of 200 from one device, honest p99 {p99:.2f} s")
    assert p99 < 5.0


def test_a_cloned_device_is_noticed_and_takes_nothing_from_the_first(service):
    """Two devices with one name and password, alive at once."""
    first, second = Device(names(1)[0], seed=1), Device(names(1)[0], seed=2)
    now = time.time_ns() // 1_000_000
    for device in (first, second):
        device.power_on(now - 600_000)
        device.generate(100)
        device.reconnected()

    def deliver(device):
        with Talk(service.broker.port) as talk:
            assert talk.log_in(device.name, "pw") == 0
            talk.subscribe(f"tilth/v1/{device.name}/ack")
            talk.publish(f"tilth/v1/{device.name}/s", device.hello(), retain=True)
            for payload in device.due(time.monotonic()):
                talk.publish(f"tilth/v1/{device.name}/d", payload)
            while device.held:
                device.acknowledge(talk.message()[1])

    for _ in range(4):
        for device in (first, second):
            device.generate(40)
            device.reconnected()
            deliver(device)
    assert first.forged == second.forged == 0, "no answer was for a foreign boot"
    service.close()
    connection = sqlite3.connect(service.path)
    noticed = [row[0] for row in connection.execute("SELECT what FROM notices")]
    connection.close()
    assert "clone" in noticed
    both = Device(first.name)
    both.boots = {**first.boots, **second.boots}
    count = verify(service.path, [both])
    assert count.deleted == count.stored == count.generated == 2 * (100 + 160)


def test_the_data_folder_is_nobody_elses(service, tmp_path):
    assert os.stat(service.path).st_mode & 0o077 == 0
