"""The embedded broker passes messages on, and only where it may."""

import contextlib
import inspect
import socket
import threading
import time

import paho.mqtt.client as paho
import pytest
from mqttwire import DISCONNECT, connect, puback, publish
from talk import Talk

from tilth.core.errors import InputError
from tilth.fleet.broker import BrokerSettings, EmbeddedBroker, Limits
from tilth.fleet.broker_rules import Principal

ONE, TWO = "a0b765000001", "a0b765000002"
D, S, ACK, CMD = (f"tilth/v1/{ONE}/{leaf}" for leaf in ("d", "s", "ack", "cmd"))


class Everybody:
    """Lets anybody in whose password is "pw"; a test may change the stamps."""

    def __init__(self):
        self.changed = {}

    def log_in(self, user, password):
        role = {"tilth": "server", "screen": "reader"}.get(user, "device")
        return Principal(user, role) if password == "pw" else None

    def log_in_certified(self, name):
        return Principal(name, "device")

    def stamps(self):
        users = [ONE, TWO, "tilth", "screen"]
        return {u: self.changed.get(u, "1") for u in users if self.changed.get(u) != ""}


@pytest.fixture
def taken():
    return []


@pytest.fixture
def log_ins():
    return Everybody()


@pytest.fixture
def broker(taken, log_ins):
    settings = BrokerSettings(port=0, limits=Limits(connect_s=1.0, watch_s=0.1))
    with EmbeddedBroker(settings, log_ins, lambda *m: taken.append(m)) as broker:
        yield broker


@pytest.fixture
def device(broker):
    with Talk(broker.port) as device:
        assert device.log_in(ONE, "pw") == 0
        yield device


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_what_a_device_publishes_reaches_the_ingest_and_an_answer_the_device(
    broker, device, taken
):
    assert device.subscribe(ACK, CMD) == b"\1\1"
    assert device.publish(D, b"batch")
    assert taken == [(D, b"batch", False)]
    broker.publish(ACK, b"ack")
    broker.publish(CMD, b"order", qos=1)
    assert device.message() == (ACK, b"ack", False)
    assert device.message() == (CMD, b"order", False)


def test_a_device_hears_nothing_that_is_meant_for_another(broker, device):
    device.subscribe(ACK)
    broker.publish(f"tilth/v1/{TWO}/ack", b"not yours")
    broker.publish(ACK, b"yours")
    assert device.message()[1] == b"yours"


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_batch_arrives_at_any_quality_of_service(broker, device, taken, qos):
    if qos < 2:
        device.send(publish(D, b"x", 5 if qos else None))
    else:
        device.send(publish(D, b"x", 5, qos=2))
        assert device.receive() == (0x50, b"\0\5")
        device.send(b"\x62\2\0\5")
        assert device.receive() == (0x70, b"\0\5")
    until(lambda: taken)
    assert taken == [(D, b"x", False)]


def test_other_programs_may_listen_with_wildcards(broker, device, taken):
    with Talk(broker.port) as screen:
        assert screen.log_in("screen", "pw") == 0
        assert screen.subscribe("tilth/v1/+/d", "tilth/v1/+/s") == b"\1\1"
        device.publish(D, bytes(range(256)))
        assert screen.message() == (D, bytes(range(256)), False)
    assert len(taken) == 1


def test_an_ordinary_client_can_be_the_ingest(broker, device):
    """Paho subscribes as a server and answers, as with any other broker."""
    client = paho.Client(
        paho.CallbackAPIVersion.VERSION2,
        client_id="tilth",
        clean_session=False,
        protocol=paho.MQTTv311,
    )
    client.username_pw_set("tilth", "pw")
    subscribed = threading.Event()
    client.on_connect = lambda c, *_: c.subscribe("tilth/v1/+/d", 1)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda c, _, m: c.publish(m.topic[:-1] + "ack", b"ok")
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    try:
        assert subscribed.wait(5)
        device.subscribe(ACK)
        for _ in range(300):
            device.send(publish(D, b"x", 9))
        assert all(device.message() == (ACK, b"ok", False) for _ in range(300))
    finally:
        client.disconnect()
        client.loop_stop()


# Log-in


@pytest.mark.parametrize(
    ("user", "password", "code"),
    [
        (ONE, "wrong", 4),
        (ONE, None, 4),
        (ONE, "", 4),
        ("", "pw", 4),
        (None, None, 4),
        ("a0b765000009", "pw", 4),
    ],
)
def test_nobody_is_let_in_without_a_good_password(broker, user, password, code):
    with Talk(broker.port) as stranger:
        assert stranger.log_in(user, password, client_id=ONE) == code
        assert stranger.is_closed()


def test_a_device_is_its_client_id(broker):
    """Otherwise it could take over the session of another, and read its commands."""
    with Talk(broker.port) as thief:
        assert thief.log_in(ONE, "pw", client_id=TWO) == 2


def test_a_stranger_cannot_end_the_session_of_a_device(broker, device):
    """amqtt deletes a session before it looks at the password."""
    device.subscribe(ACK)
    for user, password in (("x", "y"), (ONE, "wrong"), (TWO, "pw"), (None, None)):
        for clean in (True, False):
            with Talk(broker.port) as stranger:
                assert stranger.log_in(user, password, client_id=ONE, clean=clean)
    broker.publish(ACK, b"still there")
    assert device.message() == (ACK, b"still there", False)


@pytest.mark.parametrize("clean", [True, False])
def test_the_newer_of_two_connections_with_one_credential_stays(broker, taken, clean):
    """amqtt leaves the older alive, or marks the session of the newer as ended."""
    talks = [Talk(broker.port) for _ in range(6)]
    for older, talk in zip([None, *talks], talks, strict=False):
        assert talk.log_in(ONE, "pw", clean=clean) == 0
        assert older is None or older.is_closed()
        talk.subscribe(ACK)
        broker.publish(ACK, b"to the newest")
        assert talk.message() == (ACK, b"to the newest", False)
        assert talk.publish(D, b"works")
    assert taken == [(D, b"works", False)] * 6
    for talk in talks:
        talk.socket.close()


def test_many_at_once_under_one_name_end_as_one(broker):
    talks = [Talk(broker.port) for _ in range(20)]
    for talk in talks:
        talk.send(connect(ONE, ONE, "pw"))
    until(lambda: broker.counts()["connections"] == 1)
    assert broker.clients() == [ONE]
    for talk in talks:
        talk.socket.close()


def test_a_changed_or_withdrawn_credential_ends_the_connection(
    broker, device, log_ins, taken
):
    log_ins.changed[ONE] = "2"
    assert device.is_closed()
    with Talk(broker.port) as again:
        assert again.log_in(ONE, "pw") == 0
        log_ins.changed[ONE] = ""
        assert again.is_closed()
        with Talk(broker.port) as gone:
            assert gone.log_in(ONE, "pw") == 4
    del log_ins.changed[ONE]
    with Talk(broker.port) as back:
        assert back.log_in(ONE, "pw") == 0
        broker.kick(ONE)
        assert back.is_closed(1)


def test_a_broken_control_file_lets_nobody_in_and_throws_nobody_out(
    broker, device, log_ins
):
    def broken():
        raise OSError("disk")

    log_ins.stamps = broken
    time.sleep(0.5)
    assert device.publish(D, b"still")
    with Talk(broker.port) as other:
        assert other.log_in(TWO, "pw") == 3


def test_what_a_connection_left_unfinished_does_not_lock_the_next_one_out(broker):
    """In amqtt a connection that ends while it starts is waited for without end."""
    for _ in range(3):
        with Talk(broker.port) as device:
            assert device.log_in(ONE, "pw", clean=False) == 0
            device.send(publish(D, b"x", 7, qos=2))
            assert device.receive() == (0x50, b"\0\7")
        with Talk(broker.port) as device:
            device.send(connect(ONE, ONE, "pw", clean=False) + b"\xa8\xff\xff\xff\x7f")
            assert device.is_closed()
    with Talk(broker.port) as device:
        assert device.log_in(ONE, "pw", clean=False) == 0
        device.send(b"\x62\2\0\7")
        assert device.receive() == (0x70, b"\0\7")
        assert device.publish(D, b"y")


# What a device may not


@pytest.mark.parametrize(
    "topic",
    [ACK, CMD, f"tilth/v1/{TWO}/d", f"tilth/v1/{TWO}/s", f"tilth/v1/{TWO}/ack",
     "tilth/notice/x", "x", f"tilth/v1/{ONE}/d/x", f"tilth/v1/{ONE}//d",
     "tilth/v1/+/d", "tilth/v1/#", "$SYS/broker", "", "a\0b", f"/{D}", D.upper()],
)  # fmt: skip
def test_a_device_that_writes_elsewhere_is_closed(broker, device, taken, topic):
    with Talk(broker.port) as other:
        other.log_in(TWO, "pw")
        other.subscribe(f"tilth/v1/{TWO}/ack")
        device.send(publish(topic, b"forged", 3))
        assert device.is_closed()
        assert other.message(0.1) is None
    assert taken == []


def test_a_forged_message_of_quality_two_goes_nowhere(broker, device, taken):
    device.subscribe(ACK)
    device.send(publish(ACK, b"forged", 3, qos=2) + b"\x62\2\0\3")
    assert all(first >> 4 != 3 for first, _ in iter(lambda: device.receive(0.5), None))
    assert taken == []


@pytest.mark.parametrize(
    "topic_filter",
    ["#", "+/#", "tilth/#", "tilth/v1/#", "tilth/v1/+/ack", f"tilth/v1/{ONE}/#",
     f"tilth/v1/{ONE}/+", f"tilth/v1/{TWO}/cmd", D, "$SYS/#", "", "a/#/b", "a+/b"],
)  # fmt: skip
def test_a_device_may_not_listen_elsewhere(broker, device, topic_filter):
    assert device.subscribe(topic_filter) in (b"\x80", b"")


@pytest.mark.parametrize("topic", [D.replace(ONE, TWO), ACK, "x", "tilth/v1/#"])
def test_a_last_will_cannot_go_where_the_device_may_not_write(broker, topic, taken):
    with Talk(broker.port) as device:
        assert device.log_in(ONE, "pw", will=(topic, b"forged", 1, False)) == 5
    assert taken == []


def test_a_last_will_reaches_the_ingest_when_the_device_is_cut_off(broker, taken):
    with Talk(broker.port) as device:
        assert device.log_in(ONE, "pw", will=(S, b"offline", 1, True)) == 0
    until(lambda: taken == [(S, b"offline", False)])
    with Talk(broker.port) as device:
        assert device.log_in(ONE, "pw", will=(S, b"offline", 1, True)) == 0
        device.send(DISCONNECT)
        assert device.is_closed()
    assert len(taken) == 1


# Retained messages and those kept for somebody away


def test_only_a_status_is_retained(broker, device):
    device.publish(D, b"batch", retain=True)
    device.publish(S, b"online", retain=True)
    with Talk(broker.port) as screen:
        screen.log_in("screen", "pw")
        screen.subscribe("tilth/v1/+/d", "tilth/v1/+/s")
        assert screen.message() == (S, b"online", True)
        assert screen.message(0.2) is None


def test_a_device_gets_no_retained_message_it_did_not_ask_for(broker, device):
    """amqtt sends every new client what anybody subscribed to."""
    device.publish(S, b"online", retain=True)
    with Talk(broker.port) as screen, Talk(broker.port) as other:
        screen.log_in("screen", "pw")
        screen.subscribe("tilth/v1/+/s")
        other.log_in(TWO, "pw")
        assert other.message(0.3) is None


def test_what_was_kept_for_a_client_is_bounded_and_not_marked_as_retained(log_ins):
    settings = BrokerSettings(port=0, limits=Limits(offline=3))
    with EmbeddedBroker(settings, log_ins) as broker:
        _check_what_is_kept(broker)


def _check_what_is_kept(broker):
    with Talk(broker.port) as device:
        device.log_in(ONE, "pw", clean=False)
        device.subscribe(CMD)
    until(lambda: broker.clients() == [])
    for i in range(5):
        broker.publish(CMD, b"%d" % i, qos=1)
    with Talk(broker.port) as device:
        device.log_in(ONE, "pw", clean=False)
        assert [device.message() for _ in range(3)] == [
            (CMD, b"%d" % i, False) for i in (2, 3, 4)
        ]
        assert device.message(0.2) is None


# Slow, silent and greedy clients


def test_who_does_not_say_connect_is_closed(broker):
    with Talk(broker.port) as silent, Talk(broker.port) as slow:
        slow.send(b"\x10")
        assert silent.is_closed(6)
        assert slow.is_closed(6)


@pytest.mark.parametrize(
    "raw",
    [b"GET / HTTP/1.1\r\n\r\n", b"\x10\xff\xff\xff\x7f", b"\x10\xff\xff\xff\xff\xff",
     b"\x30\5\0\1x", b"\0\0", b"\xf0\0", b"\x10\0", b"\x10\x0a\0\4MQTT\4\2",
     b"\x10\x0c\0\4MQTT\5\2\0\0\0\0", b"\x10\x90\x4e" + b"x" * 10_000],
)  # fmt: skip
def test_what_is_no_connect_is_closed(broker, raw):
    with Talk(broker.port) as stranger:
        stranger.send(raw)
        assert stranger.is_closed()


@pytest.mark.parametrize(
    "raw",
    [b"\x30\xff\xff\xff\x7f", b"\x82\2\0\1", b"\x82\5\0\1\0\4a", b"\x32\3\0\x05a",
     b"\x32\5\0\1x\0\0", b"\x36\5\0\1x\0\1", b"\0\0", b"\xf0\0", b"\x20\2\0\0",
     b"\x30\4\0\2\xff\xfe", b"\x10\0", b"\xa2\1\0", b"\x40\1\0", b"\x62\0"],
)  # fmt: skip
def test_a_broken_packet_ends_one_connection_and_no_other(broker, device, raw):
    with Talk(broker.port) as other:
        other.log_in(TWO, "pw")
        device.send(raw)
        assert device.is_closed()
        assert other.publish(f"tilth/v1/{TWO}/d", b"fine")


def test_a_client_that_does_not_read_is_closed(broker, device):
    device.subscribe(ACK)
    for _ in range(400):
        broker.publish(ACK, b"x" * 20_000)
    until(lambda: broker.clients() == [])


def test_a_client_silent_for_longer_than_it_promised_is_closed(broker):
    with Talk(broker.port) as device:
        device.log_in(ONE, "pw", keepalive=1, will=(S, b"offline", 0, False))
        assert device.is_closed(6)


def test_more_strangers_than_allowed_push_out_the_oldest_not_a_device(log_ins):
    settings = BrokerSettings(port=0, limits=Limits(strangers=10, connections=20))
    with EmbeddedBroker(settings, log_ins) as broker, Talk(broker.port) as device:
        assert device.log_in(ONE, "pw") == 0
        strangers = [Talk(broker.port) for _ in range(40)]
        assert strangers[0].is_closed()
        until(lambda: broker.counts()["connections"] <= 11)
        assert device.publish(D, b"fine")
        with Talk(broker.port) as second:
            assert second.log_in(TWO, "pw") == 0
        for stranger in strangers:
            stranger.socket.close()


def test_a_device_is_not_read_while_the_ingest_is_full(log_ins):
    full, taken = threading.Event(), []
    full.set()

    def take(*message):
        return False if full.is_set() else taken.append(message)

    with (
        EmbeddedBroker(BrokerSettings(port=0), log_ins, take) as broker,
        Talk(broker.port) as device,
    ):
        device.log_in(ONE, "pw")
        device.send(b"".join(publish(D, b"%d" % i, i + 1) for i in range(50)))
        assert device.receive(0.3) is None
        full.clear()
        for i in range(50):
            assert device.receive() == (0x40, puback(i + 1)[2:])
    assert [m[1] for m in taken] == [b"%d" % i for i in range(50)]


def test_an_ingest_that_fails_does_not_cost_the_device_its_connection(log_ins, caplog):
    def take(*message):
        raise RuntimeError("a fault of the ingest")

    with (
        EmbeddedBroker(BrokerSettings(port=0), log_ins, take) as broker,
        Talk(broker.port) as device,
    ):
        device.log_in(ONE, "pw")
        assert device.publish(D, b"x")
        assert device.publish(D, b"y")
    assert "a fault of the ingest" in caplog.text


# Settings, life and the library below


def test_the_broker_listens_to_this_machine_unless_told_otherwise():
    assert BrokerSettings().host == "127.0.0.1"
    with pytest.raises(InputError, match="without TLS"):
        BrokerSettings(host="0.0.0.0")
    with pytest.raises(InputError, match="key"):
        BrokerSettings(certificate="x")
    assert BrokerSettings(host="0.0.0.0", plain_lan=True).plain_lan


def test_it_listens_on_ipv6_too(log_ins):
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
    with EmbeddedBroker(BrokerSettings(host="::1", port=0), log_ins) as broker:
        assert broker.running
        socket.create_connection(("::1", broker.port), 5).close()
    assert not broker.running


def test_a_port_in_use_is_said_so(broker, log_ins):
    with pytest.raises(InputError, match=f"{broker.port}.*in use"):
        EmbeddedBroker(BrokerSettings(port=broker.port), log_ins).start()


def test_it_starts_and_stops_again_and_leaves_nothing_open(log_ins, taken):
    before = threading.active_count()
    broker = EmbeddedBroker(BrokerSettings(port=0), log_ins, lambda *m: taken.append(m))
    for _ in range(3):
        broker.start()
        with Talk(broker.port) as device:
            device.log_in(ONE, "pw", will=(S, b"offline", 1, True))
            broker.stop()
            assert device.is_closed()
        broker.stop()
        broker.publish(ACK, b"to nobody")
        assert broker.clients() == []
    assert taken == [], "a broker that stops sends no last wills"
    assert threading.active_count() == before


def test_amqtt_still_has_what_is_overridden():
    """A newer amqtt with other names would silently be an unguarded broker."""
    from amqtt.broker import Broker
    from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler

    from tilth.fleet.broker_amqtt import FleetBroker
    from tilth.fleet.broker_wire import FleetHandler

    overridden = {
        Broker: (
            FleetBroker,
            "_create_server_instance stream_connected _initialize_client_session"
            " _authenticate _topic_filtering _cleanup_session _broadcast_message"
            " _publish_session_retained_messages retain_message add_subscription"
            " _publish_retained_messages_for_subscription _del_all_subscriptions"
            " _del_subscription shutdown",
        ),
        BrokerProtocolHandler: (
            FleetHandler,
            "_reader_loop start stop wait_disconnect handle_disconnect",
        ),
    }
    for theirs, (ours, names) in overridden.items():
        for name in names.split():
            mine, base = getattr(ours, name), getattr(theirs, name)
            assert mine is not base
            for kind in (inspect.iscoroutinefunction, _parameters):
                assert kind(mine) == kind(base), f"amqtt changed {name}"


def _parameters(function):
    return len(inspect.signature(function).parameters)
