"""What people do on the pages happens, once, and is on record with their name."""

import json

import pytest
from generated_fleet import NOW

from tilth.fleet.clock import DAY_MS
from tilth.web.pages.alarms import check_scope
from tilth.web.pages.commands import delays

DEVICE = "a4cf1201017b"
BUNDLE = {"bundle": ("t.bundle", b"signed bytes"), "manifest": ("m.json", b'{"v":1}')}


def audit(control):
    rows = control.rows("SELECT user, action, body FROM audit ORDER BY id")
    return [(row["user"], row["action"], json.loads(row["body"])) for row in rows]


# Alarms


@pytest.fixture
def alarm(fleet):
    fleet.raise_alarm("stuck_closed", DEVICE, "warning", "does not open")
    return fleet.alarms()[0].id


def test_acknowledging_an_alarm_names_who_did_it(
    client, fleet, control, log_in, post, alarm
):
    log_in("operator")
    answer = post("/alarms/acknowledge", {"alarm": alarm})
    assert answer.headers["location"] == "/alarms?said=acknowledged"
    assert fleet.alarms()[0].state == "acknowledged"
    assert "by ada" in client.get("/alarms?said=acknowledged").text
    assert audit(control)[-1] == ("ada", "acknowledge", {"alarm": alarm, "note": ""})


def test_snoozing_lasts_as_long_as_was_said(fleet, log_in, post, alarm, clock):
    log_in("operator")
    assert post("/alarms/snooze", {"alarm": alarm, "span": "4 h"}).status_code == 303
    assert fleet.alarms()[0].state == "snoozed"
    clock.now += 4 * 3_600_000
    assert fleet.alarms()[0].state == "open"
    assert post("/alarms/snooze", {"alarm": alarm, "span": "9 y"}).status_code == 400


def test_maintenance_is_noted_shown_and_ended(client, fleet, log_in, post):
    log_in("operator")
    form = {"scope": "5.1", "end": "2025-07-20T10:00", "reason": "new soil"}
    assert post("/maintenance", form).status_code == 303
    window = fleet.maintenance()[0]
    assert (window.scope, window.start, window.by) == ("5.1", NOW, "ada")
    assert "new soil" in client.get("/alarms").text
    post("/maintenance/end", {"window": window.id})
    assert "new soil" not in client.get("/alarms").text


@pytest.mark.parametrize(
    "form",
    [
        {"scope": "5", "end": "2025-07-20T08:00"},  # over already
        {"scope": "5", "end": "2025-12-20T08:00"},  # for half a year
        {"scope": "five", "end": "2025-07-20T10:00"},
        {"scope": "5", "end": ""},
    ],
)
def test_maintenance_that_makes_no_sense_is_refused(fleet, log_in, post, form):
    log_in("operator")
    assert post("/maintenance", form | {"reason": "x"}).status_code == 400
    assert fleet.maintenance() == []


@pytest.mark.parametrize("scope", ["*", "5", "5.10", "5.10.A", "0123456789ab"])
def test_any_part_of_the_fleet_can_be_under_maintenance(scope):
    check_scope(scope)


def test_the_worst_alarms_come_first(client, fleet):
    for severity in ("info", "critical", "warning"):
        fleet.raise_alarm(f"rule_{severity}", DEVICE, severity, "x")
    text = client.get("/alarms").text
    assert (
        text.index("rule critical")
        < text.index("rule warning")
        < text.index("rule info")
    )


def test_an_alarm_says_what_it_means_and_what_to_do(client, fleet):
    fleet.raise_alarm("device_lost", DEVICE, "critical", "silent for 1200 s")
    text = client.get("/alarms").text
    assert "No message of the device for a quarter of an hour" in text
    assert "Look at its display and its power" in text


# Placement


def test_a_correction_is_a_new_statement_and_nothing_else(client, fleet, log_in, post):
    log_in("operator")
    form = {
        "device": DEVICE, "loc": "9.1.A", "start": "2025-07-18T00:00",
        "end": "2025-07-19T00:00", "note": "mistyped",
    }  # fmt: skip
    assert post("/placement", form).status_code == 303
    rows = fleet.placements(DEVICE)
    assert [row.loc for row in rows] == ["5.1.B", "9.1.A", "5.1.B"]
    assert rows[1].by == "ada"
    assert rows[1].end - rows[1].start == DAY_MS
    assert "mistyped" in client.get(f"/placement?device={DEVICE}").text


def test_what_was_overruled_stays_readable(client, fleet, log_in, post):
    log_in("operator")
    post("/placement", {"device": DEVICE, "loc": "9.1.A", "start": "2025-01-01"})
    post("/placement", {"device": DEVICE, "loc": "9.1.C", "start": "2025-01-01"})
    assert [row.loc for row in fleet.placements(DEVICE) if row.overruled] == ["9.1.A"]
    assert "overruled" in client.get(f"/placement?device={DEVICE}").text


@pytest.mark.parametrize(
    "change",
    [
        {"loc": "5.10"}, {"loc": "5.1.a"}, {"loc": "5,10,A"}, {"start": ""},
        {"start": "yesterday"}, {"end": "2025-07-17T00:00"}, {"device": "0" * 12},
    ],
)  # fmt: skip
def test_an_impossible_placement_is_refused_in_words(fleet, log_in, post, change):
    log_in("operator")
    before = fleet.placements(DEVICE)
    form = {"device": DEVICE, "loc": "9.1.A", "start": "2025-07-18T00:00"} | change
    answer = post("/placement", form, headers={"accept": "application/json"})
    assert answer.status_code == 400
    assert len(answer.json()["error"]) > 10
    assert fleet.placements(DEVICE) == before


# Commands


def test_a_command_is_sent_and_its_state_followed(client, fleet, control, log_in, post):
    log_in("operator")
    assert post("/commands", {"cmd": "identify", "to": DEVICE}).status_code == 303
    device, cmd, args, _, until, name = fleet.sent[0]
    assert (device, cmd, args, until) == (DEVICE, "identify", {}, NOW + 3_600_000)
    assert ">sent<" in client.get("/commands").text
    control.set_command_state(name, "done", {"shown_s": 10})
    text = client.get("/commands").text
    assert ">done<" in text
    assert "shown_s 10" in text


def test_a_broadcast_is_one_command_for_each_device(fleet, log_in, post):
    log_in("operator")
    post("/commands", {"cmd": "report", "to": "table:5"})
    assert len(fleet.sent) == 8
    assert {fleet.places_of[row[0]][:2] for row in fleet.sent} == {"5."}


def test_devices_never_reboot_all_at_once(fleet, log_in, post):
    log_in("operator")
    post("/commands", {"cmd": "reboot", "to": "all", "spread": "0"})
    starts = sorted(row[3] for row in fleet.sent)
    assert len(starts) == len(fleet.places_of)
    assert len(set(starts)) > len(starts) - 3
    assert starts[-1] - starts[0] > 60_000
    assert all(row[4] > row[3] for row in fleet.sent)


def test_the_parts_of_a_broadcast_do_not_overlap():
    for _ in range(20):
        drawn = delays(10, 100)
        assert all(i * 10_000 <= one < (i + 1) * 10_000 for i, one in enumerate(drawn))
    assert delays(3, 0) == [0, 0, 0]
    assert delays(1, 600) == [0]


def test_a_calibration_happens_at_one_moment_for_all(fleet, log_in, post):
    log_in("operator")
    form = {"cmd": "calibrate", "to": "all", "ppm": "420", "at": "2025-07-20T09:00"}
    post("/commands", form)
    assert {json.dumps(row[2]) for row in fleet.sent} == {
        json.dumps({"at": 1_753_002_000_000, "ppm": 420})
    }


@pytest.mark.parametrize(
    "form",
    [
        {"cmd": "explode", "to": DEVICE},
        {"cmd": "update", "to": DEVICE},  # by roll-outs only
        {"cmd": "identify", "to": "0" * 12},
        {"cmd": "identify", "to": "table:77"},
        {"cmd": "calibrate", "to": DEVICE, "ppm": "39"},
        {"cmd": "calibrate", "to": DEVICE, "ppm": "nan"},
        {"cmd": "calibrate", "to": DEVICE, "ppm": "420", "at": "2024-01-01"},
        {"cmd": "label", "to": DEVICE, "loc": "5.10"},
        {"cmd": "label", "to": "all", "loc": "5.10.A"},
        {"cmd": "config", "to": DEVICE, "config": "{"},
        {"cmd": "config", "to": DEVICE, "config": '{"closed_ms": 1.5}'},
        {"cmd": "config", "to": DEVICE, "config": "[" * 900},
        {"cmd": "reboot", "to": DEVICE, "spread": "1e9"},
    ],
)
def test_a_command_that_makes_no_sense_is_not_sent(fleet, log_in, post, form):
    log_in("admin")
    assert post("/commands", form).status_code == 400
    assert fleet.sent == []


def test_settings_are_for_admins(fleet, log_in, post):
    form = {"cmd": "config", "to": DEVICE, "config": '{"closed_ms": 200000}'}
    log_in("operator")
    assert post("/commands", form).status_code == 400
    log_in("admin", "root")
    assert post("/commands", form).status_code == 303
    assert fleet.sent[0][2]["closed_ms"] == 200_000


# Firmware


def test_firmware_is_uploaded_rolled_out_and_fetched(
    client, fleet, control, log_in, post
):
    log_in("admin")
    assert post("/firmware", files=BUNDLE).status_code == 303
    fetched = client.get("/firmware/1.1.0.bundle")
    assert fetched.content == b"signed bytes"
    part = client.get("/firmware/1.1.0.bundle", headers={"range": "bytes=7-"})
    assert (part.status_code, part.content) == (206, b"bytes")
    post("/firmware/rollout", {"action": "start", "version": "1.1.0"})
    assert audit(control)[-1][:2] == ("ada", "rollout")
    fleet.rollouts.step()
    text = client.get("/firmware").text
    assert "Roll-out of 1.1.0" in text
    assert len(fleet.sent) == 1


def test_a_rollout_that_halted_says_why_and_goes_on_when_told(
    client, fleet, control, log_in, post
):
    log_in("admin")
    post("/firmware", files=BUNDLE)
    post("/firmware/rollout", {"action": "start", "version": "1.1.0"})
    fleet.rollouts.step()
    control.set_command_state(fleet.sent[0][5], "failed", {"why": "sha256"})
    fleet.rollouts.step()
    text = client.get("/firmware").text
    assert "1 of 1 devices failed" in text
    assert "failed: sha256" in text
    number = fleet.rollouts.latest()[0].id
    post("/firmware/rollout", {"action": "resume", "rollout": str(number)})
    fleet.rollouts.step()
    fleet.rollouts.step()
    assert len(fleet.sent) == 6
    post("/firmware/rollout", {"action": "cancel", "rollout": str(number)})
    assert fleet.rollouts.latest()[0].state == "cancelled"


@pytest.mark.parametrize(
    "form",
    [
        {"action": "start", "version": "7"},
        {"action": "resume", "rollout": "7"},
        {"action": "halt", "rollout": "x"},
        {"action": "launch", "rollout": "1"},
    ],
)
def test_a_rollout_of_nothing_is_refused(log_in, post, form):
    log_in("admin")
    assert post("/firmware/rollout", form).status_code == 400


def test_a_bundle_that_is_refused_is_not_kept(client, log_in, post):
    log_in("admin")
    files = {"bundle": ("x", b"x"), "manifest": ("m", b"not json")}
    assert post("/firmware", files=files).status_code == 400
    assert post("/firmware").status_code == 400
    assert client.get("/firmware/1.1.0.bundle").status_code == 404


# Scripts and people get the same


def test_a_script_is_told_where_to_go_and_a_person_taken_there(log_in, post, alarm):
    log_in("operator")
    told = post(
        "/alarms/acknowledge", {"alarm": alarm}, headers={"accept": "application/json"}
    )
    assert told.json() == {"location": "/alarms?said=acknowledged"}
