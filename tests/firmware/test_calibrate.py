"""Recalibration at a set time: steady first, stored for certain, reported."""

import itertools

import pytest
from fakes import Reset
from rig import Rig
from tilth_chamber.scd30 import RECALIBRATE

FIRST = 200_000
# In the open time of the second cycle.
AT = FIRST + 900_000
HOUR = 3_600_000


def planned(ppm=420, at=AT, when=10_000, **kwargs):
    rig = Rig(flux=0.78, **kwargs)
    rig.hw.scd30.offset = 17.0
    rig.hw.scd30.noise = 1.0
    args = {"at": rig.hw.utc_ms() + at, "ppm": ppm}
    rig.plan = [(when, lambda rig: rig.send("calibrate", args))]
    return rig


def issued(rig):
    """True times at which the sensor was told a reference."""
    return [
        t for t, c, v in rig.hw.scd30.commands if c == RECALIBRATE and v is not None
    ]


def states(rig):
    return [r["state"] for r in rig.of("result")]


def test_it_is_done_at_the_set_time_and_reported_before_and_after():
    rig = planned().run(AT + 600_000)
    (when,) = issued(rig)
    assert AT <= when < AT + 3_000
    assert states(rig) == ["accepted", "running", "done"]
    (event,) = rig.of("calibrate")
    assert (event["ref"], event["stored"]) == (4_200, 420)
    assert abs(event["before"] - 4_370) < 10
    assert abs(event["after"] - 4_200) < 10
    assert event["spread"] < 100
    last = [row[0] for _, _, row, _ in rig.samples if row[7] == 9][-20:]
    assert abs(sum(last) / 20 - 4_200) < 15


def test_the_lid_is_open_and_the_fan_full_two_minutes_before():
    rig = planned().run(AT + 600_000)
    (when,) = issued(rig)
    assert rig.state_at(when - 120_000) == "calibrate"
    assert rig.hw.lid_us == 500
    assert any(a <= when - 120_000 and when < b for a, b in rig.fan_stretches())


def test_cycles_make_room_and_go_on_afterwards():
    rig = planned().run(FIRST + 3_000_000)
    begun = [t for t, s in rig.states() if s == "exercise"]
    # The second would still run when the lid has to be open.
    assert begun == [FIRST, *(FIRST + 600_000 * i for i in (2, 3, 4))]
    gaps = {b - a for (_, a, *_), (_, b, *_) in itertools.pairwise(rig.samples)}
    assert gaps == {3_000}


@pytest.mark.parametrize(
    "at", [FIRST, FIRST + 60_000, FIRST + 100_000, FIRST + 599_000]
)
def test_it_waits_for_a_closure_that_had_begun_before_the_plan(at):
    rig = planned(at=at, when=FIRST + 20_000).run(FIRST + 1_200_000)
    assert rig.of("cycle")[0]["why"] == "normal"
    assert states(rig)[-1] == "done"
    (when,) = issued(rig)
    assert when >= max(at, FIRST + 189_000 + 60_000 + 120_000) or at > FIRST + 400_000


def test_air_that_is_not_steady_is_never_taken_for_a_reference():
    rig = planned()
    base = rig.hw.air.at
    # Somebody breathes nearby: 30 ppm up and down each minute.
    rig.hw.air.at = lambda t: (
        base(t)[0] + (30 if t // 30_000 % 2 else 0),
        *base(t)[1:],
    )
    rig.run(AT + 2 * HOUR)
    assert not issued(rig)
    assert states(rig)[-1] == "failed"
    last = rig.of("result")[-1]
    assert (last["why"], last["spread"] > 250) == ("unsteady", True)
    assert not rig.of("calibrate")


def test_it_waits_until_the_air_has_been_steady_for_two_minutes():
    rig = planned()
    base = rig.hw.air.at
    calm = AT + 200_000
    rig.hw.air.at = lambda t: (
        base(t)[0] + (30 if t < calm and t // 30_000 % 2 else 0),
        *base(t)[1:],
    )
    rig.run(AT + HOUR)
    (when,) = issued(rig)
    assert calm + 117_000 <= when <= calm + 126_000


def test_a_gap_in_the_readings_is_not_steady():
    rig = planned()
    rig.plan.append((AT - 30_000, lambda rig: rig.hw.bus.corrupt.update({0x61: 2})))
    rig.run(AT + 600_000)
    (when,) = issued(rig)
    assert when >= AT - 30_000 + 120_000


def test_no_restart_comes_between_the_correction_and_its_storage():
    rig = planned()
    # Commanded to reboot one second after the correction.
    sent = []

    def reboot(app):
        if issued(rig) and not sent:
            sent.append(rig.hw.true_ms)
            rig.send("reboot", {"jitter_ms": 0})

    rig.checks.append(reboot)
    rig.run(AT + 600_000)
    assert rig.hw.scd30.frc_pending is None
    assert abs(rig.hw.scd30.offset) < 5
    restart = rig.hw.resets[1][0]
    readings = [t for t, *_ in rig.samples if sent[0] < t < restart]
    assert len(readings) >= 2
    assert "done" in states(rig)


def test_a_power_cut_after_the_correction_loses_it_and_says_so():
    rig = planned()

    def cut(app):
        if issued(rig) and len(rig.hw.resets) == 1:
            raise Reset("power")

    rig.checks.append(cut)
    rig.run(AT + 30_000)
    # The sensor has forgotten; the plan has not: it is done again.
    assert abs(rig.hw.scd30.offset - 17.0) < 1e-6
    rig.run(AT + 900_000)
    assert len(issued(rig)) == 2
    assert states(rig)[-1] == "done"
    assert abs(rig.hw.scd30.offset) < 5


def test_a_plan_outlives_a_restart():
    rig = planned(at=AT + HOUR)
    rig.plan.append((AT, lambda rig: rig.send("reboot", {"jitter_ms": 0})))
    rig.run(AT + 2 * HOUR)
    assert len(rig.hw.resets) == 2
    assert len(issued(rig)) == 1
    assert states(rig)[-1] == "done"


def test_a_plan_that_was_missed_is_expired_and_not_done_late():
    rig = planned()

    def off(rig):
        rig.hw.advance(HOUR)
        raise Reset("power")

    rig.plan.append((AT - 300_000, off))
    rig.run(AT + 2 * HOUR)
    assert not issued(rig)
    assert states(rig)[-1] == "expired"


@pytest.mark.parametrize(
    ("args", "why"),
    [
        ({"at": 10**6, "ppm": 399}, "ppm: 400 to 2000"),
        ({"at": 10**6, "ppm": 2001}, "ppm: 400 to 2000"),
        ({"at": 10**6, "ppm": 420.0}, "ppm: 400 to 2000"),
        ({"at": 10**6, "ppm": True}, "ppm: 400 to 2000"),
        ({"at": -(10**7), "ppm": 420}, "at: not in the coming 31 days"),
        ({"at": 10**11, "ppm": 420}, "at: not in the coming 31 days"),
        ({"ppm": 420}, "at"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused_in_words(args, why):
    rig = Rig(label="").run(10_000)
    if "at" in args:
        args = {**args, "at": rig.hw.utc_ms() + args["at"]}
    rig.send("calibrate", args)
    assert states(rig)[-1] == "failed"
    assert why in rig.of("result")[-1]["why"]


def test_a_new_plan_replaces_the_one_that_waits():
    rig = planned()
    args = {"at": rig.hw.utc_ms() + AT + HOUR, "ppm": 450}
    rig.plan.append((20_000, lambda rig: rig.send("calibrate", args)))
    rig.run(AT + 2 * HOUR)
    (when,) = issued(rig)
    assert when >= AT + HOUR
    assert rig.hw.scd30.frc == 450
    last = {r["id"]: (r["state"], r.get("why")) for r in rig.of("result")}
    assert list(last.values()) == [("failed", "replaced"), ("done", None)]


def test_eighty_five_chambers_are_corrected_within_one_sample_of_each_other():
    when = []
    for i in range(6):
        rig = planned(mac=f"a4cf1200{i:04x}", seed=i, skew_ppm=50 * i).run(AT + 60_000)
        when += issued(rig)
    assert len(when) == 6
    assert max(when) - min(when) <= 3_000


def test_a_sensor_that_does_not_store_the_reference_is_reported():
    rig = planned()
    rig.hw.scd30.__class__ = type(
        "Stubborn",
        (type(rig.hw.scd30),),
        {"write": lambda self, data: _without_frc(self, data)},
    )
    rig.run(AT + 600_000)
    last = rig.of("result")[-1]
    assert (last["state"], last["why"], last["stored"]) == ("failed", "not stored", 400)


def _without_frc(chip, data):
    if data[:2] == b"\x52\x04" and len(data) == 5:
        return
    super(type(chip), chip).write(data)


def test_an_exception_while_calibrating_ends_it_as_failed():
    rig = planned()

    def boom(rig):
        whole = rig.app.sensors.sample

        def raises():
            rig.app.sensors.sample = whole
            raise ValueError("boom")

        rig.app.sensors.sample = raises

    rig.plan.append((AT - 60_000, boom))
    rig.run(AT + 600_000)
    last = [r for r in rig.of("result") if r["cmd"] == "calibrate"][-1]
    assert (last["state"], last["why"]) == ("failed", "interrupted")
    assert rig.states()[-1][1] != "calibrate"
