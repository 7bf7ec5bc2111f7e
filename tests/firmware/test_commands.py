"""Commands: signed, in time, once, and only when the chamber may be disturbed."""

import itertools
import json

import pytest
from fakes import Reset
from hypothesis import given, settings
from hypothesis import strategies as st
from rig import KEY, Rig
from tilth_chamber import keep
from tilth_chamber.commands import PATH

FIRST = 200_000
CLOSED = FIRST + 100_000
OPEN_AIR = FIRST + 400_000


def results(rig, command_id=None):
    """(state, why) of the results of a command, in order."""
    return [
        (r["state"], r.get("why"))
        for r in rig.of("result")
        if command_id is None or r["id"] == command_id
    ]


def at(when, cmd, args=None, **rest):
    rig = Rig(flux=0.78)
    rig.plan = [(when, lambda rig: rig.send(cmd, args, **rest))]
    return rig


# --- who may command


def test_a_command_is_accepted_carried_out_and_reported():
    rig = at(OPEN_AIR, "report").run(OPEN_AIR + 10_000)
    assert results(rig) == [("accepted", None), ("done", None)]
    report = rig.of("result")[-1]
    assert (report["fw"], report["loc"], report["chamber"]) == (
        "1.0.0",
        "5.10.A",
        "ambient",
    )


def test_a_wrong_signature_is_refused_and_nothing_happens():
    rig = at(CLOSED, "open", key=bytes(32)).run(CLOSED + 10_000)
    assert results(rig) == [("refused", "signature")]
    assert rig.state_at(CLOSED + 9_000) == "closed"


def test_a_device_without_a_key_obeys_nobody():
    rig = Rig(flux=0.78, changes={"command_key": ""})
    rig.plan = [(CLOSED, lambda rig: rig.send("open", key=b""))]
    rig.run(CLOSED + 10_000)
    assert results(rig) == [("refused", "signature")]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_altered_command_is_carried_out(data):
    rig = Rig(flux=0.78, label="")
    rig.run(5_000)
    raw = bytearray(rig.command("open"))
    what = data.draw(st.sampled_from(["flip", "cut", "insert", "append"]))
    where = data.draw(st.integers(0, len(raw) - 1))
    if what == "flip":
        raw[where] ^= 1 << data.draw(st.integers(0, 7))
    elif what == "cut":
        del raw[where:]
    elif what == "insert":
        raw[where:where] = data.draw(st.binary(min_size=1, max_size=9))
    else:
        raw += data.draw(st.binary(min_size=1, max_size=9))
    rig.app.commands.receive(None, bytes(raw))
    assert not [r for r in rig.of("result") if r["state"] != "refused"]


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_the_chamber_raise(raw):
    rig = Rig(label="").run(2_000)
    rig.app.commands.receive(None, raw)
    assert not rig.of("result")


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"},
        {"id": 5},
        {"args": []},
        {"before": "never"},
        {"after": -1},
        {"cmd": ""},
        {"cmd": None},
        {"v": 2},
    ],
)
def test_a_signed_command_that_is_none_is_an_alarm_and_no_more(change):
    rig = Rig(label="").run(2_000)
    body = {"v": 1, "id": "c-" + "0" * 16, "cmd": "open", "args": {}}
    body |= {"after": 0, "before": 2**50} | change
    text = json.dumps(body).encode()[:-1]
    from tilth_chamber.sign import hmac_sha256

    raw = text + b',"sig":"' + hmac_sha256(KEY, text).hex().encode() + b'"}'
    rig.app.commands.receive(None, raw)
    assert [a["what"] for a in rig.of("alarm")] == ["bad_command"]
    assert not rig.of("result")


def test_a_member_smuggled_in_behind_the_signature_is_not_read():
    rig = Rig(label="").run(2_000)
    raw = rig.command("report")[:-1] + b',"cmd":"reboot"}'
    rig.app.commands.receive(None, raw)
    raw = rig.command("report").replace(b'"sig":', b'"cmd":"reboot","sig":')
    rig.app.commands.receive(None, raw)
    assert [r["state"] for r in rig.of("result")] == ["refused", "refused"]


def test_a_flood_of_forgeries_does_not_fill_the_queue():
    rig = Rig(label="").run(2_000)
    for _ in range(1_000):
        rig.send("open", key=b"x" * 32)
        rig.app.commands.receive(None, b"{}")
    assert len(rig.of("result")) + len(rig.of("alarm")) == 10


# --- when


def test_without_a_clock_a_command_is_refused():
    rig = Rig(flux=0.78, clock_known=False)
    rig.plan = [(OPEN_AIR, lambda rig: rig.send("reboot"))]
    rig.run(OPEN_AIR + 10_000)
    assert results(rig) == [("refused", "no_clock")]
    assert len(rig.hw.resets) == 1


def test_a_command_past_its_time_is_expired():
    rig = at(OPEN_AIR, "reboot", before=1_000).run(OPEN_AIR + 10_000)
    assert results(rig) == [("expired", None)]


def test_a_command_for_later_waits_and_one_that_waits_too_long_expires():
    rig = Rig(flux=0.78)
    utc = rig.hw.utc_ms()
    late = {"after": utc + OPEN_AIR + 50_000, "before": utc + OPEN_AIR + 90_000}
    rig.plan = [(OPEN_AIR, lambda rig: rig.send("identify", **late))]
    rig.run(OPEN_AIR + 49_000)
    assert results(rig) == [("accepted", None)]
    rig.run(OPEN_AIR + 60_000)
    assert results(rig) == [("accepted", None), ("done", None)]
    # A test of the servo cannot begin before the lid is open, and then it is too late.
    rig = at(CLOSED, "servo_test", before=utc + CLOSED + 20_000)
    rig.run(OPEN_AIR)
    assert results(rig) == [("accepted", None), ("expired", None)]


@pytest.mark.parametrize("cmd", ["servo_test", "config", "calibrate"])
def test_what_would_disturb_a_closure_waits_for_open_air(cmd):
    utc = Rig().hw.utc_ms()
    args = {"at": utc + 10**8, "ppm": 420} if cmd == "calibrate" else {}
    rig = at(CLOSED, cmd, args).run(FIRST + 600_000)
    assert [c["why"] for c in rig.of("cycle")] == ["normal"]
    began = [
        t for t, _, k, b, _ in rig.events if k == "result" and b["state"] == "running"
    ]
    assert rig.state_at(began[0]) in ("ambient", "service")


@pytest.mark.parametrize("when", [1_000, 7_000, 100_000])
def test_open_is_the_emergency_stop_and_keeps_the_lid_open(when):
    rig = at(FIRST + when, "open", {"hold_ms": 1_500_000})
    rig.run(FIRST + when + 10_000)
    (stopped,) = [t for t, s in rig.states() if s == "opening"]
    assert stopped - (FIRST + when) < 1_501
    assert rig.hw.lid_us == 500
    assert rig.of("cycle")[0]["why"] == "stop"
    assert results(rig) == [("accepted", None), ("done", None)]
    rig.run(FIRST + 2_400_000)
    begun = [t for t, s in rig.states() if s == "exercise"]
    assert begun == [FIRST, FIRST + 1_800_000]


def test_open_in_the_middle_of_a_servo_test_ends_it():
    rig = Rig(flux=0.78)
    rig.plan = [
        (OPEN_AIR, lambda rig: rig.send("servo_test")),
        (OPEN_AIR + 2_000, lambda rig: rig.send("open")),
    ]
    rig.run(OPEN_AIR + 20_000)
    assert rig.hw.lid_us == 500
    assert "opening" in [s for t, s in rig.states() if t > OPEN_AIR]


def test_reboot_interrupts_a_closure_but_opens_the_lid_first():
    rig = at(CLOSED, "reboot", {"jitter_ms": 0}).run(FIRST + 300_000)
    assert rig.of("cycle")[0]["why"] == "reboot"
    assert len(rig.hw.resets) == 2
    when = rig.hw.resets[1][0]
    assert when - CLOSED < 6_000
    assert [s for t, s in rig.states() if CLOSED <= t <= when] == [
        "opening",
        "reboot_pending",
    ]
    assert [r["state"] for r in rig.of("result")] == ["accepted", "running", "done"]


def test_a_broadcast_reboot_spreads_over_a_minute():
    when = []
    for i in range(12):
        rig = Rig(flux=0.78, mac=f"a4cf1200{i:04x}")
        rig.plan = [(OPEN_AIR, lambda rig: rig.send("reboot"))]
        rig.run(OPEN_AIR + 100_000)
        when.append(rig.hw.resets[1][0] - OPEN_AIR)
    assert max(when) < 65_000
    assert max(when) - min(when) > 20_000


# --- once


def test_a_command_delivered_again_is_reported_again_but_not_done_again():
    rig = at(OPEN_AIR, "reboot", {"jitter_ms": 0}, name="c-" + "a" * 16)
    rig.run(OPEN_AIR + 60_000)
    assert len(rig.hw.resets) == 2
    raw = rig.command("reboot", {"jitter_ms": 0}, name="c-" + "a" * 16)
    for _ in range(5):
        rig.app.commands.receive(None, raw)
    rig.run(OPEN_AIR + 120_000)
    assert len(rig.hw.resets) == 2
    again = [r for r in rig.of("result") if r.get("again")]
    assert [r["state"] for r in again] == ["done"] * 5


def test_thirty_two_ids_are_remembered_over_restarts():
    rig = Rig(label="").run(2_000)
    raws = [rig.send("identify") for _ in range(40)]
    rig.app = None
    rig.hw.boot("power")
    rig.run(rig.hw.true_ms + 2_000)
    before = len(rig.of("result"))
    for raw in raws:
        rig.app.commands.receive(None, raw)
    fresh = rig.of("result")[before:]
    # The eight oldest are forgotten, so each is carried out once more; as each pushes
    # out another, none of the last thirty-two can be replayed within its time twice.
    assert sum("again" in r for r in fresh[:3]) == 0
    assert len(keep.load(rig.hw.fs, PATH, [])) == 32


def test_a_restart_that_cannot_be_remembered_is_refused():
    rig = Rig(flux=0.78)

    def full(rig):
        rig.hw.fs.read_only = True
        rig.send("reboot", {"jitter_ms": 0})
        rig.send("identify")

    rig.plan = [(OPEN_AIR, full)]
    rig.run(OPEN_AIR + 60_000)
    assert ("refused", "flash") in results(rig)
    assert results(rig)[-1] == ("done", None)
    assert len(rig.hw.resets) == 1


def test_what_a_power_cut_interrupts_is_reported_as_failed():
    rig = Rig(flux=0.78)

    def cut(rig):
        raise Reset("power")

    rig.plan = [
        (OPEN_AIR, lambda rig: rig.send("servo_test")),
        (OPEN_AIR + 2_000, cut),
    ]
    rig.run(OPEN_AIR + 60_000)
    assert results(rig)[-1] == ("failed", "restarted")


# --- what


def test_a_servo_test_sweeps_twice_and_reports_the_lowest_supply():
    rig = at(OPEN_AIR, "servo_test")
    rig.plan += [
        (OPEN_AIR + 2_000, lambda rig: setattr(rig.hw, "supply", 4_700)),
        (OPEN_AIR + 5_000, lambda rig: setattr(rig.hw, "supply", 5_000)),
    ]
    rig.run(OPEN_AIR + 30_000)
    moves = [us for t, us in rig.hw.servo_log if t >= OPEN_AIR]
    assert moves == [2500, 500, 2500, 500, 500]
    done = rig.of("result")[-1]
    assert (done["state"], done["sweeps"], done["supply"]) == ("done", 2, 4_700)
    assert not any(
        a < t + 1_500 and t < b
        for t, _ in rig.hw.servo_log
        for a, b in rig.fan_stretches()
    )


def test_settings_change_together_or_not_at_all():
    rig = Rig(flux=0.15)
    good = {"rule": "median", "enough": 60, "id": "summer"}
    bad = {"rule": "raw", "enough": 60, "closed_ms": 1}
    rig.plan = [
        (OPEN_AIR, lambda rig: rig.send("config", good)),
        (OPEN_AIR + 10_000, lambda rig: rig.send("config", bad)),
    ]
    rig.run(FIRST + 1_200_000)
    assert [r["state"] for r in rig.of("result")][-1] == "failed"
    assert "closed_ms" in rig.of("result")[-1]["why"]
    assert rig.of("config") == [
        {"id": "summer", "kept": True, "rule": "median", "enough": 60}
    ]
    first, second = rig.of("cycle")
    assert (first["rule"], second["rule"]) == ("raw", "median")
    # And after a power cut too.
    rig.hw.boot("power")
    rig.app, rig.changes = None, {"command_key": KEY.hex()}
    rig.run(rig.hw.true_ms + 2_000)
    s = rig.app.settings
    assert (s["rule"], s["enough"], s["cfg"]) == ("median", 60, "summer")


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"mqtt_password": "x"}, "mqtt_password: cannot be set"),
        ({"command_key": "00"}, "command_key: cannot be set"),
        ({"rule": "mean"}, "rule: one of raw, median"),
        ({"period_ms": 600_000.0}, "period_ms: a whole number"),
        ({"enough": True}, "enough: a whole number"),
        ({"sample_ms": 7_000}, "period_ms: whole samples"),
        ({"flush_ms": 300_000}, "period_ms: at least"),
        ({"lid_closed_us": 520}, "lid_closed_us: is open"),
        ({"fan_pulse_ms": 1_500, "fan_period_ms": 2_000}, "fan_pulse_ms"),
        ({"id": 5}, "id: a text"),
    ],
)
def test_a_setting_out_of_bounds_is_refused_in_words(args, why):
    rig = Rig(label="").run(2_000)
    rig.send("config", args)
    last = rig.of("result")[-1]
    assert last["state"] == "failed"
    assert last["why"].startswith(why)
    assert rig.app.settings["cfg"] == ""


def test_another_sampling_step_holds_from_the_next_sample_on():
    rig = Rig(label="").run(31_000)
    rig.send("config", {"sample_ms": 5_000})
    rig.run(100_000)
    ticks = [tick for _, tick, _, _ in rig.samples]
    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    assert gaps == [3_000] * 10 + [5_000] * 13
    for a, b in rig.fan_stretches():
        assert not any(a <= t <= b for t in ticks)


def test_the_place_can_be_set_from_afar_and_illegal_ones_are_refused():
    rig = Rig(flux=0.78, label="").run(10_000)
    rig.send("label", {"loc": "5.10"})
    rig.send("label", {})
    assert [r["state"] for r in rig.of("result")] == ["accepted", "failed"] * 2
    rig.send("label", {"loc": "5.10.A"})
    assert rig.of("loc") == [{"from": "", "to": "5.10.A", "source": "command"}]
    rig.run(FIRST + 100_000)
    assert rig.state_at(FIRST + 90_000) == "closed"


def test_an_unknown_command_is_refused_and_an_update_without_updater_fails():
    rig = Rig(label="").run(2_000)
    rig.send("dance")
    rig.send("update", {"version": "2.0.0"})
    assert results(rig) == [
        ("refused", "unknown"),
        ("accepted", None),
        ("failed", "no updater"),
    ]


def test_identify_shows_the_place_for_a_minute():
    rig = Rig(flux=0.78).run(100_000)
    rig.send("identify")
    assert rig.hw.screen == ["> > >", "5.10.A", "< < <"]
    rig.run(200_000)
    assert rig.hw.screen[0].startswith("5.10.A")


class Updater:
    """What changes the firmware, played."""

    def __init__(self, refuses=""):
        self.refuses = refuses
        self.asked = []

    def begin(self, manifest, on_end):
        if self.refuses:
            raise ValueError(self.refuses)
        self.asked.append(manifest)
        self.on_end = on_end


def restart(rig, on_trial):
    rig.hw.on_trial = on_trial
    rig.hw.boot("soft")
    rig.app = None
    rig.run(rig.hw.true_ms + 5_000)


def test_an_update_is_done_only_when_the_new_firmware_has_passed_its_test():
    rig = Rig(label="").run(2_000)
    rig.app.updater = updater = Updater()
    rig.send("update", {"version": "1.0.0"})
    assert updater.asked == [{"version": "1.0.0"}]
    assert results(rig) == [("accepted", None), ("running", None)]
    restart(rig, on_trial=True)
    assert results(rig)[-1] == ("running", None)
    rig.app.commands.confirmed()
    assert results(rig)[-1] == ("done", None)
    assert rig.of("result")[-1]["version"] == "1.0.0"


def test_an_update_that_fails_or_falls_back_is_reported_so():
    rig = Rig(label="").run(2_000)
    rig.app.updater = Updater("signature")
    rig.send("update", {"version": "2.0.0"})
    assert results(rig)[-1] == ("failed", "signature")
    rig.app.updater = updater = Updater()
    rig.send("update", {"version": "2.0.0"})
    updater.on_end("failed", {"why": "sha256"})
    assert results(rig)[-1] == ("failed", "sha256")
    rig.send("update", {"version": "2.0.0"})
    restart(rig, on_trial=False)  # the loader has gone back to this one
    assert results(rig)[-1] == ("failed", "still 1.0.0")


def test_a_restart_that_nobody_commanded_waits_for_open_air():
    rig = at(CLOSED, "report")
    wish = ("update", True)
    rig.plan.append((CLOSED, lambda rig: rig.app.chamber.restart(CLOSED, *wish)))
    rig.run(FIRST + 400_000)
    assert rig.of("cycle")[0]["why"] == "normal"
    assert rig.state_at(rig.hw.resets[1][0]) == "reboot_pending"


@pytest.mark.parametrize("clock_known", [True, False])
def test_an_emergency_stop_outlives_a_restart(clock_known):
    rig = at(FIRST + 50_000, "open", {"hold_ms": 3_600_000})
    rig.run(FIRST + 300_000)
    rig.clock_known = clock_known
    restart(rig, on_trial=False)
    rig.run(FIRST + 3_600_000)
    assert [s for _, s in rig.states()].count("exercise") == 1
    rig.run(FIRST + 2 * 3_600_000)
    assert [s for _, s in rig.states()].count("exercise") > 3
    # Over is over: the next start does not hold the lid again.
    restart(rig, on_trial=False)
    rig.run(rig.hw.true_ms + 1_300_000)
    assert rig.states()[-1][0] > rig.hw.true_ms - 600_000


def test_an_emergency_stop_can_be_taken_back():
    rig = at(FIRST + 50_000, "open")
    rig.plan.append((FIRST + 400_000, lambda rig: rig.send("open", {"hold_ms": 0})))
    rig.run(FIRST + 700_000)
    assert rig.state_at(FIRST + 680_000) == "closed"
