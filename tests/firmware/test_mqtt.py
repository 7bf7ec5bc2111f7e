"""The MQTT client: what it sends, what it survives, and that it never blocks."""

import itertools
import os
import random

import pytest
from fakes import FakeHardware
from fakes_broker import FakeBroker, message, remaining_length
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tilth_chamber import mqtt
from tilth_chamber.mqtt import OFF, UP, Client

FULL = bool(os.environ.get("TILTH_FULL"))
SETTINGS = {
    "mqtt_host": "broker",
    "mqtt_port": 8883,
    "mqtt_tls": True,
    "mqtt_user": "",
    "mqtt_password": "secret",
}


class Bench:
    """A client, its broker and virtual time."""

    def __init__(self, seed=1):
        self.hw = FakeHardware(seed=seed)
        self.broker = FakeBroker(self.hw)
        self.hw.net.peers[("broker", 8883)] = self.broker
        self.got, self.ups = [], 0
        self.client = Client(
            self.hw.net,
            self.hw.random32,
            SETTINGS,
            "a4cf12000001",
            ("tilth/v1/a4cf12000001/s", b'{"online":false}'),
            ["t/ack", "t/cmd"],
            self._up,
            lambda *what: self.got.append(what),
        )

    def _up(self):
        self.ups += 1

    def run(self, ms, most=200_000):
        """Let time pass, waking the client when it wants to be."""
        end = self.hw.true_ms + ms
        steps = 0
        while self.hw.true_ms < end:
            wake = self.client.step(self.hw.true_ms)
            steps += 1
            assert steps < most, "it wakes without end"
            arrival = self.hw.net.next_arrival()
            when = max(wake, self.hw.true_ms + 1)
            if arrival is not None:
                when = min(when, max(arrival, self.hw.true_ms + 1))
            self.hw.true_ms = min(when, end)
        return steps


def test_it_connects_subscribes_and_leaves_a_will():
    bench = Bench()
    bench.run(1000)
    [session] = bench.broker.sessions
    assert bench.client.state == UP
    assert bench.ups == 1
    assert session.name == "a4cf12000001"
    assert session.user == b"a4cf12000001"
    assert session.password == b"secret"
    assert session.will == (b"tilth/v1/a4cf12000001/s", b'{"online":false}')
    assert session.topics == ["t/ack", "t/cmd"]
    connect = bench.broker.packets[0][1]
    assert connect[7] == 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02


@pytest.mark.parametrize("segment", [None, 1, 7])
def test_messages_pass_both_ways_in_pieces_of_any_size(segment):
    bench = Bench()
    bench.hw.net.segment = segment
    heard = []
    bench.broker.listeners.append(lambda *what: heard.append(what))
    bench.run(2000)
    payload = bytes(random.Random(0).randbytes(3000))
    assert bench.client.publish("t/d", payload, 1, False, bench.hw.true_ms)
    assert bench.client.publish("t/s", b"x", 0, True, bench.hw.true_ms) == 0
    bench.broker.send("t/ack", payload)
    bench.broker.send("t/cmd", b"go", qos=1)
    bench.broker.send("t/cmd", b"old", retain=True)
    bench.run(20_000)
    assert heard == [("t/d", payload, False), ("t/s", b"x", True)]
    assert bench.got == [
        ("t/ack", payload, False),
        ("t/cmd", b"go", False),
        ("t/cmd", b"old", True),
    ]
    assert (4, b"\0\1") in bench.broker.packets  # its own PUBACK
    assert bench.client.failures == 0


def test_packet_ids_stay_within_16_bits_and_skip_those_in_use():
    bench = Bench()
    bench.run(1000)
    bench.broker.pubacks = False
    first = bench.client.publish("t/d", b"", 1, False, 10**9)
    bench.client.step(bench.hw.true_ms)
    bench.broker.pubacks = True
    bench.client._id = 65533
    ids = []
    for _ in range(5):
        ids.append(bench.client.publish("t/d", b"", 1, False, 10**9))
        bench.client.step(bench.hw.true_ms)
    assert first == 1
    assert ids == [65534, 65535, 2, 3, 4]


def test_a_hundred_thousand_messages_with_acknowledgements_do_not_hang_it():
    bench = Bench()
    bench.run(1000)
    sent = 0
    while sent < 100_000:
        for _ in range(mqtt.WINDOW):
            sent += bench.client.publish("t/d", b"x", 1, False, 0) is not None
        bench.client.step(bench.hw.true_ms)
        bench.broker.packets.clear()
    assert bench.client.state == UP
    assert max(bench.broker.ids) == 65535
    assert min(bench.broker.ids) == 1


def test_the_window_is_bounded_and_lost_acknowledgements_free_it_again():
    bench = Bench()
    bench.run(1000)
    bench.broker.pubacks = False
    now = bench.hw.true_ms
    taken = [bench.client.publish("t/d", b"x", 1, False, now) for _ in range(20)]
    assert taken[mqtt.WINDOW :] == [None] * 4
    bench.run(mqtt.PUBACK_MS + 40_000)
    assert bench.client.publish("t/d", b"x", 1, False, bench.hw.true_ms)
    assert bench.client.failures == 0


def test_output_is_bounded():
    bench = Bench()
    bench.run(1000)
    bench.hw.net.blackhole = False
    big = bytes(20_000)
    taken = [bench.client.publish("t/d", big, 0) for _ in range(4)]
    assert taken == [0, 0, None, None]


def test_a_quiet_connection_is_kept_alive():
    bench = Bench()
    bench.run(3_600_000)
    assert bench.client.state == UP
    assert bench.client.failures == 0
    assert 100 < sum(kind == 12 for kind, _ in bench.broker.packets) < 130


def test_a_half_open_connection_is_noticed_although_it_sends():
    bench = Bench()
    bench.run(1000)
    bench.hw.net.blackhole = True
    start = bench.hw.true_ms
    while bench.client.state == UP:
        bench.client.publish("t/d", b"x", 1, False, bench.hw.true_ms)
        bench.run(1000)
    assert bench.hw.true_ms - start < 45_000
    assert bench.client.reason == "silent"
    bench.hw.net.blackhole = False
    bench.run(90_000)
    assert bench.client.state == UP


def test_a_broker_that_answers_no_pings_is_left():
    bench = Bench()
    bench.broker.answers_pings = False
    bench.run(60_000)
    assert bench.client.failures >= 1


@pytest.mark.parametrize("fault", ["offline", "nobody", "blackhole", "deaf"])
def test_it_comes_back_by_itself_after_an_hour(fault):
    bench = Bench()
    bench.run(60_000)
    if fault == "offline":
        bench.hw.net.online = False
        bench.hw.net.cut()
    elif fault == "nobody":
        bench.hw.net.peers.clear()
        bench.hw.net.cut()
    elif fault == "blackhole":
        bench.hw.net.blackhole = True
    else:
        bench.broker.deaf = True
    bench.run(3_600_000)
    assert bench.client.state != UP
    bench.hw.net.online, bench.hw.net.blackhole = True, False
    bench.hw.net.peers[("broker", 8883)] = bench.broker
    bench.broker.deaf = False
    bench.run(120_000)
    assert bench.client.state == UP


def test_attempts_back_off_to_a_minute_with_jitter():
    starts = []
    for seed in range(3):
        bench = Bench(seed)
        bench.hw.net.peers.clear()
        times = []
        connect = bench.hw.net.connect

        def counted(*args, _times=times, _connect=connect, _bench=bench):
            _times.append(_bench.hw.true_ms)
            return _connect(*args)

        bench.hw.net.connect = counted
        bench.run(1_800_000)
        gaps = [b - a for a, b in itertools.pairwise(times)]
        assert gaps[0] < 2000
        assert all(60_000 <= gap <= 91_000 for gap in gaps[8:])
        starts.append(times)
    assert len({tuple(t) for t in starts}) == 3


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_a_refusal_is_named_and_not_hammered(code):
    bench = Bench()
    bench.broker.refuse = code
    bench.run(600_000)
    assert bench.client.reason == f"refused by the broker, code {code}"
    assert bench.client.failures < 20
    bench.broker.refuse = 0
    bench.run(100_000)
    assert bench.client.state == UP


def test_a_denied_subscription_is_named():
    bench = Bench()
    bench.broker.grant = 0x80
    bench.run(10_000)
    assert bench.client.reason == "subscription denied"
    assert bench.ups == 0


@pytest.mark.parametrize(
    "packet",
    [
        b"\x30\xff\xff\xff\xff\x01",
        b"\x30" + remaining_length(mqtt.MAX_IN + 1),
        b"\x30\x02\x00\x05",
        b"\x30\x00",
        b"\x34\x07\x00\x01t\x00\x01xx",
        b"\x32\x04\x00\x01tx",
        b"\x30\x05\x00\x02\xff\xfex",
        b"\x20\x02\x00\x00",
        b"\x90\x04\x00\x01\x01\x01",
        b"\x40\x03\x00\x01\x01",
        b"\x41\x02\x00\x01",
        b"\xd0\x01\x00",
        b"\x00\x00",
        b"\xf0\x00",
        b"\x10\x00",
        message("t/ack", bytes(mqtt.MAX_IN)),
    ],
)
def test_a_packet_that_breaks_the_rules_ends_the_connection(packet):
    bench = Bench()
    bench.run(1000)
    bench.broker.sessions[0].conn.deliver(packet)
    bench.run(10)
    assert bench.client.failures == 1
    assert bench.got == []
    bench.run(10_000)
    assert bench.client.state == UP


CONNACK, SUBACK = b"\x20\x02\x00\x00", b"\x90\x04\x00\x01\x01\x01"


class Garbage:
    """A peer that sends given bytes, whatever it gets."""

    def __init__(self, chunks):
        self.chunks = list(chunks)

    def opened(self, conn):
        self.received(conn, b"")

    def received(self, conn, data):
        if self.chunks:
            conn.deliver(self.chunks.pop(0))


@settings(max_examples=20_000 if FULL else 120, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([CONNACK, SUBACK, b"\xd0\0", message("t/ack", b"x" * 200)]),
            st.builds(
                lambda data, cut: data[:cut],
                st.sampled_from([CONNACK, SUBACK, message("t/cmd", b"y" * 300, 1)]),
                st.integers(0, 300),
            ),
        ),
        max_size=12,
    ),
    st.sampled_from([None, 1, 3]),
)
@example([CONNACK + SUBACK + b"\x30\x80\x80\x80\x80"], None)
def test_whatever_a_peer_sends_step_returns_and_does_not_raise(chunks, segment):
    bench = Bench()
    bench.hw.net.segment = segment
    bench.hw.net.peers[("broker", 8883)] = lambda: Garbage(chunks)
    for _ in range(300):
        wake = bench.client.step(bench.hw.true_ms)
        assert wake > bench.hw.true_ms
        bench.client.publish("t/d", b"data", 1, False, bench.hw.true_ms)
        bench.hw.true_ms += 250
    assert len(bench.client._in) <= mqtt.MAX_IN + mqtt.CHUNK + 5


def test_no_more_than_a_bounded_amount_is_read_in_one_step():
    bench = Bench()
    bench.run(1000)
    conn = bench.broker.sessions[0].conn
    for _ in range(1000):
        conn.deliver(message("t/ack", bytes(500)))
    bench.client.step(bench.hw.true_ms)
    assert len(bench.got) <= mqtt.READS
    bench.run(1000)
    assert len(bench.got) == 1000


class Stingy:
    """A network whose sends fail with MemoryError."""

    def __init__(self, net):
        self._net = net

    def up(self):
        return True

    def connect(self, *args):
        raise MemoryError


def test_no_memory_is_a_reason_to_try_later():
    bench = Bench()
    bench.client._net = Stingy(bench.hw.net)
    bench.run(10_000)
    assert bench.client.reason == "memory"
    assert bench.client.state == OFF
    bench.client._net = bench.hw.net
    bench.run(60_000)
    assert bench.client.state == UP
