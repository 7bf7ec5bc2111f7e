"""Commands on their way: queued, signed, sent again until answered, ended."""

import pytest

from tilth.core.errors import InputError
from tilth.fleet.commands import AGAIN_MS, GRACE_MS, Dispatcher, queue_command
from tilth.fleet.control import Control, master_secret
from tilth.fleet.messages import decode_command, derive_command_key

DEVICE, OTHER = "0123456789ab", "0123456789cd"


class Clock:
    now = 1_753_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def fleet(tmp_path):
    clock = Clock()
    with Control(tmp_path / "control.sqlite", clock) as control:
        for device in (DEVICE, OTHER):
            control.enrol(device, mqtt_hash=None)
        sent = []
        secret = master_secret(tmp_path)
        dispatcher = Dispatcher(control, secret, lambda *m: sent.append(m), clock)
        yield control, dispatcher, sent, clock, secret


def test_a_command_is_signed_for_its_device_alone(fleet):
    control, dispatcher, sent, _, secret = fleet
    name = queue_command(control, DEVICE, "calibrate", {"ppm": 420}, by="ada")
    assert dispatcher.step() == 1
    topic, payload = sent[0]
    assert topic == f"tilth/v1/{DEVICE}/cmd"
    key = derive_command_key(secret.reveal(), DEVICE)
    assert decode_command(key, payload).id == name
    with pytest.raises(ValueError, match="not signed for this device"):
        decode_command(derive_command_key(secret.reveal(), OTHER), payload)


def test_a_command_without_an_answer_is_sent_again_and_with_one_is_not(fleet):
    control, dispatcher, sent, clock, _ = fleet
    name = queue_command(control, DEVICE, "reboot")
    dispatcher.step()
    assert dispatcher.step() == 0
    clock.now += AGAIN_MS
    assert dispatcher.step() == 1
    dispatcher.hello(DEVICE)
    dispatcher.hello(OTHER)
    assert len(sent) == 3
    assert dispatcher.result(DEVICE, {"id": name, "cmd": "reboot", "state": "accepted"})
    clock.now += AGAIN_MS
    assert dispatcher.step() == 0
    dispatcher.hello(DEVICE)
    assert len(sent) == 3
    done = {"id": name, "cmd": "reboot", "state": "done", "slot": "b"}
    assert dispatcher.result(DEVICE, done)
    assert control.command(name)["result"] == {"slot": "b"}
    # It has ended: a late, contradicting word changes nothing.
    assert not dispatcher.result(DEVICE, done | {"state": "failed"})
    assert control.command(name)["state"] == "done"


def test_another_device_cannot_answer_for_it(fleet):
    control, dispatcher, *_ = fleet
    name = queue_command(control, DEVICE, "reboot")
    assert not dispatcher.result(OTHER, {"id": name, "state": "done"})
    assert control.command(name)["state"] == "queued"


def test_an_answer_through_the_queue_of_an_offline_device_still_counts(fleet):
    control, dispatcher, _, clock, _ = fleet
    early = queue_command(control, DEVICE, "report")
    never = queue_command(control, OTHER, "report")
    dispatcher.step()
    clock.now += 600_001
    dispatcher.step()
    assert control.command(early)["state"] == "sent"
    clock.now += GRACE_MS - 1000
    assert dispatcher.result(DEVICE, {"id": early, "state": "done"})
    clock.now += 2000
    dispatcher.step()
    assert control.command(early)["state"] == "done"
    assert control.command(never)["state"] == "expired"


@pytest.mark.parametrize(
    ("device", "cmd", "args", "before", "told"),
    [
        ("0123456789ef", "reboot", {}, None, "no device '0123456789ef' is enrolled"),
        ("nonsense", "reboot", {}, None, "no device 'nonsense'"),
        (DEVICE, "format", {}, None, "no command 'format'; there are reboot"),
        (DEVICE, "reboot", {}, 5, "would have expired"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_before_it_is_entered(
    fleet, device, cmd, args, before, told
):
    control, *_ = fleet
    with pytest.raises(InputError, match=told):
        queue_command(control, device, cmd, args, before=before)
    assert control.commands() == []
