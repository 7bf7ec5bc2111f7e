"""The ingest at a real broker: acknowledged when on disk, connected again, refused."""

import contextlib
import socket
import threading
import time

import pytest
from batches_world import DEVICE, NOW, check, message, one
from mqttwire import CONNACK, Splitter
from talk import Talk

from tilth.fleet.ingest import Ingest
from tilth.fleet.journal import Journal
from tilth.fleet.mqtt import MqttLink
from tilth.fleet.protocol import decode_ack


def until(condition, seconds=15.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal.sqlite", lambda: NOW) as journal:
        yield journal


@contextlib.contextmanager
def service(journal, port, **options):
    """An ingest at a broker, as a service runs it."""
    links = []
    with Ingest(
        journal,
        lambda topic, payload: links[0].publish(topic, payload),
        lambda: NOW,
        settled=lambda tokens: links[0].settle(tokens),
    ) as ingest:
        links.append(MqttLink(ingest.put, "127.0.0.1", port, **options))
        with links[0]:
            yield links[0], ingest


def test_a_batch_over_a_broker_is_stored_and_answered(journal, mosquitto):
    broker = mosquitto()
    with service(journal, broker.port) as (link, ingest), Talk(broker.port) as device:
        until(lambda: link.connected)
        assert device.log_in(DEVICE, None) == 0
        device.subscribe(f"tilth/v1/{DEVICE}/ack", qos=0)
        for seq in (0, 5, 10):
            topic, payload, *_ = message(seq)
            assert device.publish(topic, payload)
            _, answer, retained = device.message()
            assert decode_ack(answer).seq == seq + 4
            assert not retained
        assert ingest.stats()["acks"] == 3
        assert link.problem is None
    check(journal)


def test_what_was_not_committed_is_sent_again_by_the_broker(journal, mosquitto):
    broker = mosquitto()
    taken, first = [], []
    link = MqttLink(lambda *m: taken.append(m) or True, "127.0.0.1", broker.port)
    with link, Talk(broker.port) as device:
        until(lambda: link.connected)
        device.log_in(DEVICE, None)
        for seq in (0, 5, 10):
            topic, payload, *_ = message(seq)
            device.publish(topic, payload)
        until(lambda: len(taken) == 3)
        link.settle([taken[0][4]])  # one is on disk, then the server dies
        time.sleep(0.2)
    link = MqttLink(lambda *m: first.append(m) or True, "127.0.0.1", broker.port)
    with link:
        until(lambda: len(first) == 2)
        assert [m[1] for m in first] == [message(5).payload, message(10).payload]
        # A token of the connection before says nothing to this broker.
        link.settle([(-1, taken[1][4][1], 1)])


def test_the_link_comes_back_after_the_broker_does(journal, mosquitto):
    broker = mosquitto()
    greeted = []
    with service(journal, broker.port) as (link, _):
        link.on_connected(lambda: greeted.append(1))
        until(lambda: link.connected)
        broker.stop()
        until(lambda: not link.connected)
        until(lambda: link.problem is not None)
        assert not link.publish("tilth/v1/x/ack", b"")
        broker.start()
        until(lambda: link.connected)
        with Talk(broker.port) as device:
            device.log_in(DEVICE, None)
            topic, payload, *_ = message(0)
            assert device.publish(topic, payload)
        until(lambda: one(journal, "SELECT count(*) FROM samples") == 5)
        assert link.problem is None
    assert len(greeted) >= 1


def test_a_broker_that_is_not_there_yet_is_waited_for(mosquitto):
    broker = mosquitto()
    broker.stop()
    with MqttLink(lambda *m: True, "127.0.0.1", broker.port) as link:
        until(lambda: link.problem is not None)
        assert "no connection" in link.problem
        broker.start()
        until(lambda: link.connected)


def test_a_broker_that_refuses_the_password_is_named(mosquitto, tmp_path):
    from brokers import Mosquitto

    folder = tmp_path / "closed"
    folder.mkdir()
    closed = "listener {port} 127.0.0.1\nallow_anonymous false\nuser {user}\n"
    with (
        Mosquitto(folder, closed) as broker,
        MqttLink(
            lambda *m: True, "127.0.0.1", broker.port, user="x", password="geheim"
        ) as link,
    ):
        until(lambda: link.problem is not None)
        assert "refuses this client" in link.problem
        assert not any("geheim" in problem for problem in link.problems)
        assert not link.connected


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("topic write tilth/v1/+/ack\n", None),
        ("topic read tilth/v1/+/d\ntopic read tilth/v1/+/s\n", "refuses to pass on"),
    ],
)
def test_what_the_rules_of_a_broker_forbid_surfaces(mosquitto, tmp_path, rules, said):
    from brokers import Mosquitto

    mosquitto  # noqa: B018  skips where there is none
    folder = tmp_path / "ruled"
    folder.mkdir()
    (folder / "acl").write_text(f"user tilth\n{rules}")
    (folder / "acl").chmod(0o600)
    config = (
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser {user}\n"
        "acl_file {folder}/acl\n"
    )
    with (
        Mosquitto(folder, config) as broker,
        MqttLink(
            lambda *m: True, "127.0.0.1", broker.port, user="tilth", password="x"
        ) as link,
    ):
        if said is None:
            until(lambda: link.connected)
            time.sleep(0.3)
            assert link.problem is None
        else:
            until(lambda: link.problem is not None)
            assert said in link.problem


class OldBroker:
    """A broker that knows MQTT 3.1.1 only, and either says so or hangs up."""

    def __init__(self, polite):
        self.polite = polite
        self.levels = []
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.server.accept()
                with client, contextlib.suppress(OSError):
                    self.serve(client)

    def serve(self, client):
        packets = Splitter()
        while data := client.recv(4096):
            for first, body in packets.feed(data):
                if first >> 4 == 1:
                    level = body[6]
                    self.levels.append(level)
                    if level == 4:
                        client.sendall(bytes([CONNACK << 4, 2, 0, 0]))
                    elif self.polite:
                        client.sendall(bytes([CONNACK << 4, 2, 0, 1]))
                        return
                    else:
                        return
                elif first >> 4 == 8:
                    client.sendall(b"\x90\x04" + body[:2] + b"\x01\x01")
                elif first >> 4 == 3:
                    client.sendall(b"\x40\x02" + body[2 + body[1] :][:2])

    def close(self):
        with contextlib.suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        self.thread.join(5)


@pytest.mark.parametrize("polite", [True, False])
def test_a_broker_without_version_5_is_spoken_to_in_3_1_1(polite):
    broker = OldBroker(polite)
    try:
        with MqttLink(lambda *m: True, "127.0.0.1", broker.port) as link:
            until(lambda: link.connected)
            assert broker.levels == [5, 4]
            assert link.problem is None
    finally:
        broker.close()
