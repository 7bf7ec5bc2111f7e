"""Mosquitto as deploy/mosquitto configures it: nobody forges, nobody listens."""

import contextlib
import re
import shutil
import ssl
import threading
import time

import paho.mqtt.client as paho
import pytest
from brokers import DEPLOY
from devices import Device, names
from mqttwire import publish
from paho.mqtt.enums import CallbackAPIVersion
from talk import Talk

from tilth.fleet.certificates import create_authority, issue_device, issue_server
from tilth.fleet.ingest import Ingest
from tilth.fleet.journal import Journal
from tilth.fleet.mqtt import MqttLink

ONE, TWO = names(2)
D, S, ACK, CMD = (f"tilth/v1/{ONE}/{leaf}" for leaf in ("d", "s", "ack", "cmd"))


@pytest.fixture
def deployed(tmp_path, mosquitto, credentials, authority):
    """Return the broker and the passwords of two devices, the ingest and a reader."""
    folder = tmp_path / "deployed"
    folder.mkdir()
    for name in ("ca.pem", "server.pem", "server.key"):
        shutil.copy(authority / name, folder / name)
    passwords = {name: credentials.enrol(name).password for name in (ONE, TWO)}
    passwords["tilth"] = credentials.add_user("tilth", "server")
    credentials.write_mosquitto_passwords(folder / "passwords")
    broker = mosquitto("deployed", folder)
    broker.passwords = passwords
    broker.tls = ssl.create_default_context(cafile=authority / "ca.pem")
    return broker


def log_in(broker, user, **options):
    talk = Talk(broker.tls_port, broker.tls)
    assert talk.log_in(user, broker.passwords[user], **options) == 0
    return talk


class Five:
    """A client of MQTT 5, which is told why."""

    def __init__(self, broker, user):
        self.reasons = {}
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=user, protocol=paho.MQTTv5
        )
        self.client.username_pw_set(user, broker.passwords[user])
        self.client.tls_set_context(broker.tls)
        self.client.on_publish = lambda c, u, mid, reason, p: self.reasons.update(
            {mid: reason.value}
        )
        self.client.on_subscribe = lambda c, u, mid, reasons, p: self.reasons.update(
            {mid: reasons[0].value}
        )
        self.client.connect("localhost", broker.tls_port)
        self.client.loop_start()

    def reason_of(self, mid):
        for _ in range(300):
            if mid in self.reasons:
                return self.reasons[mid]
            time.sleep(0.01)
        raise AssertionError("no answer")

    def publish(self, topic, payload=b"x"):
        return self.reason_of(self.client.publish(topic, payload, qos=1).mid)

    def subscribe(self, topic_filter):
        return self.reason_of(self.client.subscribe(topic_filter, 1)[1])

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def five(deployed):
    client = Five(deployed, ONE)
    yield client
    client.close()


NOT_AUTHORIZED = 0x87


def test_the_rules_name_every_topic_and_never_a_wildcard_for_devices():
    rules = (DEPLOY / "acl").read_text()
    patterns = re.findall(r"^pattern (\w+) (\S+)$", rules, re.M)
    assert sorted(patterns) == [
        ("read", "tilth/v1/%u/ack"),
        ("read", "tilth/v1/%u/cmd"),
        ("write", "tilth/v1/%u/d"),
        ("write", "tilth/v1/%u/s"),
    ]
    assert "#" not in "".join(re.sub(r"^#.*", "", rules, flags=re.M))


def test_version_five_says_not_authorized_to_every_forgery(five):
    assert five.publish(D) in (0, 16)  # 16: nobody has subscribed
    assert five.publish(S) in (0, 16)
    for topic in (
        ACK,
        CMD,
        f"tilth/v1/{TWO}/d",
        f"tilth/v1/{TWO}/s",
        f"tilth/v1/{TWO}/ack",
        f"{D}/x",
        "tilth/notice/x",
        "x",
    ):
        assert five.publish(topic) == NOT_AUTHORIZED, topic
    assert five.subscribe(ACK) == 1
    assert five.subscribe(CMD) == 1


@pytest.mark.parametrize(
    "topic_filter",
    ["#", "tilth/#", "tilth/v1/+/d", f"tilth/v1/{TWO}/ack", f"tilth/v1/{ONE}/#"],
)
def test_what_a_device_subscribes_to_elsewhere_gives_it_nothing(deployed, topic_filter):
    """Mosquitto grants some such subscriptions, but delivers nothing over them."""
    with log_in(deployed, ONE) as spy, log_in(deployed, TWO) as victim:
        spy.subscribe(topic_filter)
        assert victim.publish(f"tilth/v1/{TWO}/d", b"secret")
        assert victim.publish(f"tilth/v1/{TWO}/s", b"secret", retain=True)
        assert spy.message(0.5) is None


def test_in_version_3_a_forgery_is_taken_and_goes_nowhere(deployed):
    """PUBACK says success: only the watermark, which stands still, tells."""
    with log_in(deployed, ONE) as victim, log_in(deployed, TWO) as forger:
        victim.subscribe(ACK)
        assert forger.publish(ACK, b'{"v":1,"boot":"1-00000000","seq":9,"have":[]}')
        assert victim.publish(ACK, b"forged by itself")
        assert victim.message(0.5) is None


def test_a_denied_batch_shows_as_a_watermark_that_stands_still(deployed, tmp_path):
    device = Device(ONE)
    device.power_on()
    device.generate(10)
    batch = device.due(0.0)[0]
    with (
        Journal(tmp_path / "journal.sqlite") as journal,
        Ingest(journal, lambda t, p: link.publish(t, p), group_ms=1) as ingest,
        MqttLink(
            ingest.put,
            "127.0.0.1",
            deployed.port,
            user="tilth",
            password=deployed.passwords["tilth"],
        ) as link,
    ):
        until(lambda: link.connected)
        with log_in(deployed, ONE) as honest, log_in(deployed, TWO) as forger:
            honest.subscribe(ACK)
            assert forger.publish(D, batch), "PUBACK, yet nothing"
            assert honest.message(0.5) is None
            assert honest.publish(D, batch)
            topic, ack, _ = honest.message()
            assert topic == ACK
            assert device.acknowledge(ack) == 10
        assert journal.tally.batches == 1
        assert link.problem is None


def test_nobody_comes_in_without_a_password_or_in_plain(deployed):
    for user, password in ((None, None), (ONE, "x"), ("nobody", "x"), ("tilth", "")):
        with Talk(deployed.tls_port, deployed.tls) as stranger:
            assert stranger.log_in(user, password, client_id="x") in (4, 5)
    with Talk(deployed.tls_port) as plain:
        assert plain.log_in(ONE, deployed.passwords[ONE]) is None


def test_nobody_takes_over_the_session_of_another(deployed):
    with log_in(deployed, ONE) as victim, log_in(deployed, TWO, client_id=ONE):
        victim.subscribe(ACK)
        assert victim.publish(D, b"still connected")


def test_a_changed_password_file_ends_the_connection_of_who_is_no_longer_in_it(
    deployed, credentials
):
    with log_in(deployed, ONE) as device, log_in(deployed, TWO) as other:
        credentials.revoke(ONE)
        credentials.write_mosquitto_passwords(deployed.folder / "passwords")
        deployed.reload()
        assert device.is_closed()
        assert other.publish(f"tilth/v1/{TWO}/d", b"x")
    with Talk(deployed.tls_port, deployed.tls) as device:
        assert device.log_in(ONE, deployed.passwords[ONE]) in (4, 5)


def test_a_certificate_stands_for_a_password(deployed, authority, tmp_path):
    issue_device(authority, ONE)
    foreign = tmp_path / "foreign"
    create_authority(foreign)
    issue_device(foreign, ONE)

    def answer(*certificate):
        return _answer_to(deployed, authority, *certificate)

    assert answer(authority / f"{ONE}.pem", authority / f"{ONE}.key") == 0
    assert answer() is None
    assert answer(foreign / f"{ONE}.pem", foreign / f"{ONE}.key") is None


def _answer_to(broker, authority, *certificate):
    """Return the code a client certificate gets, None if it is hung up on."""
    tls = ssl.create_default_context(cafile=authority / "ca.pem")
    if certificate:
        tls.load_cert_chain(*certificate)
    try:
        with Talk(broker.certificate_port, tls) as device:
            return device.log_in(None, None, client_id="whatever")
    except (ssl.SSLError, ConnectionError):
        return None


def test_an_expired_certificate_is_refused(deployed, authority, tmp_path):
    long_ago = int(1000 * (time.time() - 100 * 86_400))
    shutil.copy(authority / "ca.pem", tmp_path)
    shutil.copy(authority / "ca.key", tmp_path)
    issue_device(tmp_path, ONE, days=30, clock=lambda: long_ago)
    expired = (tmp_path / f"{ONE}.pem", tmp_path / f"{ONE}.key")
    assert _answer_to(deployed, authority, *expired) is None
    issue_server(tmp_path, ["localhost"], days=30, clock=lambda: long_ago)
    deployed.stop()
    for name in ("server.pem", "server.key"):
        shutil.copy(tmp_path / name, deployed.folder / name)
    deployed.start()
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        Talk(deployed.tls_port, deployed.tls)


def test_a_message_beyond_the_protocol_is_not_passed_on(deployed):
    with log_in(deployed, ONE) as device, Talk(deployed.port) as ingest:
        assert ingest.log_in("tilth", deployed.passwords["tilth"]) == 0
        ingest.subscribe("tilth/v1/+/d")
        with contextlib.suppress(OSError):  # it may hang up at once
            device.send(publish(D, b"x" * 70_000, 1))
            device.send(publish(D, b"y" * 1000, 2))
        found = ingest.message(1.0)
        assert found is None or found[1][:1] == b"y"


def test_the_ingest_may_do_what_it_must_and_talks_plainly_on_this_machine_only(
    deployed,
):
    with Talk(deployed.port) as ingest, log_in(deployed, ONE) as device:
        assert ingest.log_in("tilth", deployed.passwords["tilth"]) == 0
        assert ingest.subscribe("tilth/v1/+/d", "tilth/v1/+/s") == b"\1\1"
        device.subscribe(ACK, CMD)
        device.publish(D, b"batch")
        assert ingest.message() == (D, b"batch", False)
        ingest.publish(ACK, b"ack")
        assert device.message() == (ACK, b"ack", False)
        ingest.publish(CMD, b"order")
        assert device.message() == (CMD, b"order", False)
    text = (DEPLOY / "mosquitto.conf").read_text()
    assert re.search(r"^listener 1883 127\.0\.0\.1$", text, re.M)
    assert "allow_anonymous false" in text


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        threading.Event().wait(0.01)
