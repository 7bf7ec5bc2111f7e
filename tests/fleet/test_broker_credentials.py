"""A device has a password and a command key of its own, and no log ever shows them."""

import contextlib
import json
import logging
import ssl
import stat
import subprocess
import time

import pytest
from mqttwire import publish
from talk import Talk

from tilth.core.errors import InputError
from tilth.fleet.broker import BrokerSettings, EmbeddedBroker, Limits
from tilth.fleet.broker_rules import Principal
from tilth.fleet.certificates import create_authority, issue_device, issue_server
from tilth.fleet.credentials import (
    ITERATIONS,
    hash_password,
    password_matches,
    provisioning,
    write_provisioning,
)
from tilth.fleet.messages import derive_command_key

ONE, TWO = "a0b765000001", "a0b765000002"


def test_each_device_has_its_own_password_and_command_key(credentials, tmp_path):
    one, two = credentials.enrol(ONE), credentials.enrol(TWO)
    assert one.password != two.password
    assert one.command_key != two.command_key
    assert len(one.password) == 32
    secret = bytes.fromhex((tmp_path / "secret.key").read_text())
    assert one.command_key == derive_command_key(secret, ONE).hex()
    assert credentials.log_in(ONE, one.password) == Principal(ONE, "device")
    assert credentials.log_in(ONE, two.password) is None
    assert credentials.log_in("a0b765000003", one.password) is None


def test_a_new_password_replaces_the_old_and_keeps_the_command_key(credentials):
    old = credentials.enrol(ONE)
    stamp = credentials.stamps()[ONE]
    new = credentials.enrol(ONE)
    assert credentials.log_in(ONE, old.password) is None
    assert credentials.log_in(ONE, new.password)
    assert new.command_key == old.command_key
    assert credentials.stamps()[ONE] != stamp


def test_a_revoked_device_cannot_log_in(credentials):
    enrolment = credentials.enrol(ONE)
    credentials.revoke(ONE)
    assert credentials.log_in(ONE, enrolment.password) is None
    assert credentials.log_in_certified(ONE) is None
    assert credentials.stamps() == {}
    with pytest.raises(InputError, match=TWO):
        credentials.revoke(TWO)


@pytest.mark.parametrize("name", ["", "A0B765000001", "a0:b7:65:00:00:01", "x" * 12])
def test_only_an_address_can_be_enrolled(credentials, name):
    with pytest.raises(InputError, match="12 hexadecimal"):
        credentials.enrol(name)


def test_programs_have_roles_and_cannot_pose_as_devices(credentials):
    password = credentials.add_user("grafana", "reader")
    assert credentials.log_in("grafana", password) == Principal("grafana", "reader")
    assert credentials.users() == {"grafana": "reader"}
    for name in (ONE, "a-b", "", "x" * 33, "ä", "a b"):
        with pytest.raises(InputError, match="name for a program"):
            credentials.add_user(name, "reader")
    with pytest.raises(InputError, match="reader and server"):
        credentials.add_user("x", "device")
    credentials.remove_user("grafana")
    assert credentials.log_in("grafana", password) is None
    with pytest.raises(InputError, match="grafana"):
        credentials.remove_user("grafana")


def test_an_unknown_name_takes_as_long_as_a_wrong_password(credentials, monkeypatch):
    credentials.enrol(ONE)
    made = []
    import tilth.fleet.credentials as module

    real = module.hashlib.pbkdf2_hmac
    monkeypatch.setattr(
        module.hashlib, "pbkdf2_hmac", lambda *a: made.append(a[3]) or real(*a)
    )
    for user in (ONE, TWO, "nobody", "", "x" * 1000, "ä"):
        made.clear()
        assert credentials.log_in(user, "wrong") is None
        assert made == [ITERATIONS]


@pytest.mark.parametrize(
    "stored", ["", "certificate", "$7$1000$x$y", "$6$abc", "$7$1000$" + "A" * 16]
)
def test_what_is_no_hash_matches_nothing(stored):
    assert not password_matches("", stored)
    assert not password_matches(stored, stored)


def test_mosquitto_reads_our_hashes_and_we_read_its(tmp_path, mosquitto):
    """The same device moves between the brokers without another password."""
    folder = tmp_path / "m"
    folder.mkdir()
    theirs = folder / "theirs"
    theirs.touch(mode=0o600)
    subprocess.run(
        ["mosquitto_passwd", "-b", str(theirs), "x", "p ä"],
        check=True,
        capture_output=True,
    )
    stored = theirs.read_text().strip().split(":")[1]
    assert password_matches("p ä", stored)
    assert not password_matches("p a", stored)
    assert len(hash_password("x").split("$")) == len(stored.split("$"))


def test_the_file_for_a_device_is_complete_and_private(credentials, tmp_path):
    enrolment = credentials.enrol(ONE)
    content = provisioning(
        enrolment, "10.0.0.2", ca="-----BEGIN...", wifi={"greenhouse": "pass phrase"}
    )
    path = tmp_path / "chamber.json"
    write_provisioning(path, content)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = json.loads(path.read_text())
    assert read["mqtt_user"] == ONE
    assert read["mqtt_password"] == enrolment.password
    assert read["wifi"] == [["greenhouse", "pass phrase"]]
    with pytest.raises(InputError, match="ca"):
        provisioning(enrolment, "10.0.0.2")
    assert provisioning(enrolment, "10.0.0.2", tls=False)["mqtt_tls"] is False


def test_the_file_for_a_device_is_what_its_firmware_expects(credentials):
    from tilth_chamber.settings import SECRETS

    content = provisioning(credentials.enrol(ONE), "h", ca="x")
    assert set(SECRETS) <= set(content)
    for name, default in SECRETS.items():
        assert type(content[name]) is type(default), name


# On a live broker


def test_rotation_and_revocation_end_a_live_connection(credentials):
    old = credentials.enrol(ONE)
    settings = BrokerSettings(port=0, limits=Limits(watch_s=0.1))
    with EmbeddedBroker(settings, credentials) as broker:
        with Talk(broker.port) as device:
            assert device.log_in(ONE, old.password) == 0
            time.sleep(0.3)
            assert device.publish(f"tilth/v1/{ONE}/d", b"x")
            new = credentials.enrol(ONE)
            assert device.is_closed()
        with Talk(broker.port) as device:
            assert device.log_in(ONE, old.password) == 4
        with Talk(broker.port) as device:
            assert device.log_in(ONE, new.password) == 0
            credentials.revoke(ONE)
            assert device.is_closed()
        with Talk(broker.port) as device:
            assert device.log_in(ONE, new.password) == 4


def test_no_secret_is_ever_logged(credentials, tmp_path, caplog):
    """Everything that happens around a log-in, at the most talkative level."""
    for name in (None, "amqtt", "transitions"):
        caplog.set_level(logging.DEBUG, name)
    enrolment = credentials.enrol(ONE)
    reader = credentials.add_user("screen", "reader")
    settings = BrokerSettings(port=0, limits=Limits(watch_s=0.1))
    with EmbeddedBroker(settings, credentials) as broker:
        for user, password in (
            (ONE, enrolment.password),
            (ONE, enrolment.password + "x"),
            ("screen", reader),
            (TWO, enrolment.password),
        ):
            with Talk(broker.port) as device:
                device.log_in(user, password)
                with contextlib.suppress(OSError):
                    device.send(publish(f"tilth/v1/{ONE}/d", b"x"))
                    device.send(b"\x30\xff\xff\xff\x7f")
                device.is_closed(1)
        with Talk(broker.port) as device:
            # A password where another packet is expected, and a broken CONNECT.
            device.send(
                b"\x10\x30\0\4MQTT\4\xc2\0\0\0\1x" + enrolment.password.encode()
            )
            device.send(enrolment.password.encode())
        write_provisioning(tmp_path / "x.json", provisioning(enrolment, "h", tls=False))
        credentials.revoke(ONE)
        time.sleep(0.3)
    text = "\n".join(r.getMessage() + str(r.exc_text) for r in caplog.records)
    text += repr(enrolment) + repr(credentials) + repr(broker)
    assert "refused" in text
    assert len(caplog.records) > 50, "the log is at its most talkative"
    master = (tmp_path / "secret.key").read_text().strip()
    for secret in (enrolment.password, enrolment.command_key, reader, master):
        assert len(secret) >= 32
        assert secret not in text


# TLS


def context(authority, device=None, folder=None):
    made = ssl.create_default_context(cafile=authority / "ca.pem")
    if device:
        made.load_cert_chain(folder / f"{device}.pem", folder / f"{device}.key")
    return made


def test_tls_carries_a_device_and_refuses_plain_talk(credentials, authority):
    enrolment = credentials.enrol(ONE)
    settings = BrokerSettings(
        port=0,
        certificate=authority / "server.pem",
        key=authority / "server.key",
        limits=Limits(connect_s=1.0, watch_s=0.1),
    )
    taken = []
    with EmbeddedBroker(settings, credentials, lambda *m: taken.append(m)) as broker:
        with Talk(broker.port, context(authority)) as device:
            assert device.socket.version() in ("TLSv1.2", "TLSv1.3")
            assert device.log_in(ONE, enrolment.password) == 0
            assert device.publish(f"tilth/v1/{ONE}/d", b"x")
        with Talk(broker.port) as plain:
            assert plain.log_in(ONE, enrolment.password) is None
        with pytest.raises(ssl.SSLCertVerificationError):
            Talk(broker.port, ssl.create_default_context())
    assert len(taken) == 1


def test_a_certificate_can_stand_for_a_password(credentials, authority, tmp_path):
    credentials.enrol(ONE)
    credentials.enrol(TWO)
    issue_device(authority, ONE)
    foreign = tmp_path / "foreign"
    create_authority(foreign)
    issue_device(foreign, TWO)
    settings = BrokerSettings(
        port=0,
        certificate=authority / "server.pem",
        key=authority / "server.key",
        ca=authority / "ca.pem",
        client_certificates="required",
        limits=Limits(watch_s=0.1),
    )
    with EmbeddedBroker(settings, credentials) as broker:
        certified = context(authority, ONE, authority)
        with Talk(broker.port, certified) as device:
            assert device.log_in(None, None, client_id=ONE) == 0
            credentials.revoke(ONE)
            assert device.is_closed()
        with Talk(broker.port, certified) as device:
            assert device.log_in(None, None, client_id=ONE) == 4
        with Talk(broker.port, certified) as device:
            password = credentials.enrol(TWO).password
            assert device.log_in(TWO, password) == 5, "one identity, not two"
        for bad in (context(authority), context(authority, TWO, foreign)):
            assert not _works(broker.port, bad)


def test_an_expired_certificate_is_refused_by_both_sides(credentials, tmp_path):
    """Time is what devices lack at boot: they take it from NTP before TLS."""
    long_ago = int(1000 * (time.time() - 100 * 86_400))
    create_authority(tmp_path)
    issue_server(tmp_path, ["localhost"], days=30, clock=lambda: long_ago)
    issue_device(tmp_path, ONE, days=30, clock=lambda: long_ago)
    credentials.enrol(ONE)

    def broker():
        settings = BrokerSettings(
            port=0,
            certificate=tmp_path / "server.pem",
            key=tmp_path / "server.key",
            ca=tmp_path / "ca.pem",
            client_certificates="required",
        )
        return EmbeddedBroker(settings, credentials)

    with broker() as expired, pytest.raises(ssl.SSLCertVerificationError, match="exp"):
        Talk(expired.port, context(tmp_path))
    issue_server(tmp_path, ["localhost"])
    with broker() as good:
        assert not _works(good.port, context(tmp_path, ONE, tmp_path))


def _works(port, tls):
    try:
        with Talk(port, tls) as device:
            return device.log_in(None, None, client_id=ONE) == 0
    except (ssl.SSLError, ConnectionError):
        return False


def test_a_certificate_that_cannot_be_used_is_said_so(credentials, tmp_path, authority):
    for certificate, key in (("nowhere.pem", "x"), ("server.pem", "ca.key")):
        settings = BrokerSettings(
            port=0, certificate=authority / certificate, key=authority / key
        )
        with pytest.raises(InputError, match=certificate):
            EmbeddedBroker(settings, credentials).start()


def test_an_authority_is_not_replaced_by_accident(authority, tmp_path):
    with pytest.raises(InputError, match="every device refuse"):
        create_authority(authority)
    with pytest.raises(InputError, match="no authority"):
        issue_server(tmp_path, ["x"])
    with pytest.raises(InputError, match="12 hexadecimal"):
        issue_device(authority, "x")
    assert stat.S_IMODE((authority / "ca.key").stat().st_mode) == 0o600
