"""Roll-outs of firmware, in virtual time, with devices that behave and that do not."""

import itertools
import json

import pytest

from tilth.core.errors import InputError
from tilth.fleet.control import Control
from tilth.fleet.rollout import CONFIRM_MS, LATE_MS, DeviceNow, Rollouts

MINUTE = 60_000


class Fleet:
    """Devices that take a command when told to, and a clock."""

    def __init__(self, control, n=20):
        self.control = control
        self.devices = {f"{i:012x}": DeviceNow("1.0.0", True) for i in range(n)}
        self.sent = []
        self.bad = set()

    def send(self, device, cmd, args, not_before, not_after, by):
        name = f"c-{len(self.sent):016x}"
        self.control.add_command(
            name, device, cmd, dict(args), after=not_before, before=not_after, by=by
        )
        self.sent.append((device, name, args))
        return name

    def obey(self):
        """Let every device that was told to update do so, or fail."""
        for device, name, args in self.sent:
            if self.control.command(name)["state"] != "queued":
                continue
            if device in self.bad:
                self.control.set_command_state(name, "failed", {"why": "sha256"})
            else:
                self.control.set_command_state(name, "done")
                self.devices[device] = DeviceNow(args["version"], True)


class Clock:
    now = 1_753_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def control(tmp_path):
    clock = Clock()
    with Control(tmp_path / "control.sqlite", clock) as control:
        manifest = json.dumps({"version": "1.1.0", "size": 4, "sig": "ab"})
        control.write(
            "INSERT INTO firmware(version, file, size, sha256, manifest, added,"
            " added_by) VALUES ('1.1.0', 'f', 4, 's', ?, 0, 'ada')",
            manifest,
        )
        yield control


@pytest.fixture
def fleet(control):
    return Fleet(control)


@pytest.fixture
def rollouts(control, fleet):
    return Rollouts(control, fleet.send, lambda: fleet.devices, control.clock)


def run(rollouts, fleet, minutes):
    """Step every minute, with devices that obey at once."""
    for _ in range(minutes):
        rollouts.step()
        fleet.obey()
        fleet.control.clock.now += MINUTE
    rollouts.step()
    return rollouts.latest()[0]


def test_a_good_version_goes_to_one_then_five_then_all(rollouts, fleet, control):
    rollouts.start("1.1.0", "ada")
    seen = []
    for _ in range(60):
        rollouts.step()
        seen.append(len(fleet.sent))
        fleet.obey()
        control.clock.now += MINUTE
    assert rollouts.latest()[0].state == "done"
    assert sorted(device for device, _, _ in fleet.sent) == sorted(fleet.devices)
    assert seen[0] == 1
    assert [n for n in dict.fromkeys(seen) if n <= 6] == [1, 6]
    # The last stage goes out in groups, too: 5 at a time of 20.
    assert all(b - a <= 5 for a, b in itertools.pairwise(seen))


def test_the_next_stage_waits_until_the_version_has_lasted(rollouts, fleet, control):
    rollouts.start("1.1.0", "ada")
    run(rollouts, fleet, CONFIRM_MS // MINUTE - 1)
    assert len(fleet.sent) == 1
    rollout = run(rollouts, fleet, 3)
    assert rollout.stage == 1
    assert len(fleet.sent) == 6


def test_one_failure_in_the_first_stage_halts_everything(rollouts, fleet):
    fleet.bad = set(fleet.devices)
    rollouts.start("1.1.0", "ada")
    rollout = run(rollouts, fleet, 5)
    assert rollout.state == "halted"
    assert "1 of 1" in rollout.reason
    assert len(fleet.sent) == 1
    assert rollout.devices[0].detail == "failed: sha256"


def test_a_version_that_kills_halts_before_a_tenth_of_the_fleet_has_it(
    rollouts, fleet, control
):
    fleet.devices = {f"{i:012x}": DeviceNow("1.0.0", True) for i in range(100)}
    rollouts.start("1.1.0", "ada")
    good = run(rollouts, fleet, 16)
    assert good.stage == 2
    fleet.bad = set(fleet.devices)
    rollout = run(rollouts, fleet, 30)
    assert rollout.state == "halted"
    assert len(fleet.sent) <= 6 + 10 + 10


def test_a_device_that_returns_to_the_old_version_has_failed(rollouts, fleet, control):
    rollouts.start("1.1.0", "ada")
    run(rollouts, fleet, 2)
    device = fleet.sent[0][0]
    fleet.devices[device] = DeviceNow("1.0.0", True)
    rollouts.step()
    rollout = rollouts.latest()[0]
    assert rollout.state == "halted"
    assert rollout.devices[0].detail == "went back to 1.0.0"


def test_a_device_not_heard_of_again_has_failed(rollouts, fleet, control):
    rollouts.start("1.1.0", "ada")
    rollouts.step()
    control.set_command_state(fleet.sent[0][1], "running")
    fleet.devices[fleet.sent[0][0]] = DeviceNow("1.0.0", False)
    rollouts.step()
    assert rollouts.latest()[0].devices[0].state == "running"
    control.clock.now += LATE_MS
    rollouts.step()
    rollout = rollouts.latest()[0]
    assert rollout.state == "halted"
    assert "within 45 min" in rollout.devices[0].detail


def test_resuming_excuses_what_failed_and_goes_on(rollouts, fleet):
    first = min(fleet.devices)
    fleet.bad = {first}
    number = rollouts.start("1.1.0", "ada")
    assert run(rollouts, fleet, 3).state == "halted"
    rollouts.resume(number)
    rollout = run(rollouts, fleet, 60)
    assert rollout.state == "done"
    assert rollout.count("excused") == 1
    assert rollout.count("confirmed") == len(fleet.devices) - 1


def test_halted_means_that_nothing_more_is_sent(rollouts, fleet):
    number = rollouts.start("1.1.0", "ada")
    rollouts.step()
    rollouts.halt(number, "wait")
    run(rollouts, fleet, 30)
    assert len(fleet.sent) == 1
    assert rollouts.latest()[0].reason == "wait"


def test_a_restart_of_the_service_goes_on_where_it_was(rollouts, fleet, control):
    rollouts.start("1.1.0", "ada")
    run(rollouts, fleet, 8)
    again = Rollouts(control, fleet.send, lambda: fleet.devices, control.clock)
    assert run(again, fleet, 60).state == "done"
    assert len(fleet.sent) == len(fleet.devices)  # none twice


def test_devices_that_are_away_neither_hold_up_a_stage_nor_count(rollouts, fleet):
    away = sorted(fleet.devices)[:3]
    rollouts.start("1.1.0", "ada")
    for device in away:
        fleet.devices[device] = DeviceNow("1.0.0", False)
    rollout = run(rollouts, fleet, 60)
    assert rollout.state == "running"
    assert [one.device for one in rollout.devices if one.state == "waiting"] == away
    for device in away:
        fleet.devices[device] = DeviceNow("1.0.0", True)
    assert run(rollouts, fleet, 20).state == "done"


def test_one_rollout_at_a_time_and_only_of_what_is_held(rollouts, fleet):
    with pytest.raises(InputError, match="not held"):
        rollouts.start("9.9.9", "ada")
    number = rollouts.start("1.1.0", "ada")
    with pytest.raises(InputError, match="not over"):
        rollouts.start("1.1.0", "ada")
    rollouts.cancel(number)
    assert rollouts.start("1.1.0", "ada") > number


def test_devices_that_have_the_version_are_left_out(rollouts, fleet):
    for device in sorted(fleet.devices)[5:]:
        fleet.devices[device] = DeviceNow("1.1.0", True)
    rollouts.start("1.1.0", "ada")
    assert len(rollouts.latest()[0].devices) == 5
    for device in fleet.devices:
        fleet.devices[device] = DeviceNow("1.1.0", True)
    run(rollouts, fleet, 30)
    with pytest.raises(InputError, match="already"):
        rollouts.start("1.1.0", "ada")


@pytest.mark.parametrize("stages", [(), (1, 5), (0, None), (1, None, 5)])
def test_stages_that_make_no_sense_are_refused(rollouts, stages):
    with pytest.raises(InputError, match="stages"):
        rollouts.start("1.1.0", "ada", stages=stages)
