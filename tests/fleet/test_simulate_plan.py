"""Plans of faults: read, refused, drawn."""

import itertools

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.fleet.simulate.faults import FAULT_BITS, FAULT_KINDS, MODES, fault_names
from tilth.fleet.simulate.plan import (
    DAY_MS,
    HOUR_MS,
    WHOLE_FLEET,
    Episode,
    FaultPlan,
    episode_table,
    read_plan,
    utc_ms,
)

START = utc_ms("2026-07-06")
LIST_OF_TROUBLE = """
stuck_closed stuck_open half_open servo_stall clogged offset_drift
gain_drift frozen zero_ppm crc_errors i2c_hang light_saturation light_error
fan_dead wifi_loss ap_flap dns_failure broker_down clock_skew ntp_jump
no_rtc year_2036 duplicate reordered late seq_reset cloned wrong_location
brownout_loop flash_full flash_corrupt ota_truncated person_breathing
"""


def test_every_trouble_a_fleet_has_reported_is_a_kind_of_fault():
    assert list(FAULT_KINDS) == LIST_OF_TROUBLE.split()
    for kind in FAULT_KINDS.values():
        assert set(kind.modes) <= set(MODES)
        assert kind.what
        assert kind.shortest <= kind.hours <= kind.longest


def test_labels_are_sums_of_bits_that_can_be_read_back():
    label = FAULT_BITS["clogged"] | FAULT_BITS["person_breathing"]
    assert fault_names(label) == ("clogged", "person_breathing")
    assert fault_names(np.int64(label)) == ("clogged", "person_breathing")
    assert fault_names(0) == ()
    assert len(set(FAULT_BITS.values())) == len(FAULT_BITS)


def test_a_plan_in_a_file_is_the_plan_in_a_mapping(tmp_path):
    file = tmp_path / "plan.yaml"
    file.write_text(
        "seed: 7\n"
        "base: default\n"
        "faults:\n"
        "  stuck_closed: {rate: 0.5, hours: 2}\n"
        "  wifi_loss: off\n"
        "episodes:\n"
        "  - {device: 3, kind: stuck_open, from: 2026-07-06T10:00, hours: 6}\n"
        "  - {kind: broker_down, from: 2026-07-06 12:00:00, to: 2026-07-06T13:00Z}\n"
    )
    plan = read_plan(file)
    assert plan.seed == 7
    assert plan.faults["stuck_closed"].rate == 0.5
    assert "wifi_loss" not in plan.faults
    assert plan.faults["clogged"].rate == FAULT_KINDS["clogged"].rate
    ten = utc_ms("2026-07-06T10:00")
    assert plan.explicit == (
        Episode(3, "stuck_open", ten, ten + 6 * HOUR_MS, 0.0),
        Episode(WHOLE_FLEET, "broker_down", ten + 2 * HOUR_MS, ten + 3 * HOUR_MS, 0.0),
    )
    assert read_plan(plan) is plan
    assert read_plan(str(file)) == plan
    assert read_plan(None) == read_plan("none") == FaultPlan.none()
    assert read_plan("default").faults.keys() == FAULT_KINDS.keys()


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        ({"fault": {}}, "fault plan has no fault; it has seed, base, faults, episodes"),
        ({"faults": {"stuck": {}}}, "no fault 'stuck'; there are stuck_closed"),
        ({"faults": ["stuck_open"]}, "mapping of kinds"),
        ({"faults": {"ota_truncated": {}}}, "cannot be simulated"),
        ({"faults": {"stuck_open": 3}}, "needs settings such as"),
        ({"faults": {"stuck_open": {"rat": 1}}}, "has no rat; it has rate, hours"),
        ({"faults": {"stuck_open": {"rate": "much"}}}, "must be a number, got 'much'"),
        ({"faults": {"stuck_open": {"rate": float("nan")}}}, "must be a number"),
        ({"faults": {"stuck_open": {"rate": -1}}}, "0 to 1000 episodes per day"),
        ({"faults": {"stuck_open": {"hours": 0}}}, "above 0"),
        ({"faults": {"stuck_open": {"size": 2}}}, "has no size"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"base": "all"}, "'none' or 'default'"),
        ({"episodes": {"kind": "frozen"}}, "list of mappings"),
        ({"episodes": [{"kind": "frozen"}]}, "episode 1 lacks 'from'"),
        ({"episodes": [{"kind": "frozen", "from": 0, "hours": 1}]}, "needs a device"),
        (
            {"episodes": [{"kind": "broker_down", "device": 1, "from": 0, "hours": 1}]},
            "hits all devices",
        ),
        (
            {"episodes": [{"kind": "frozen", "device": 0, "from": 0}]},
            "either 'to' or 'hours'",
        ),
        (
            {"episodes": [{"kind": "frozen", "device": 0, "from": 9, "to": 3}]},
            "ends before it begins",
        ),
        (
            {"episodes": [{"kind": "frozen", "device": 0, "from": "noon", "to": 3}]},
            "'noon' is no time",
        ),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused_in_words(plan, said):
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        read_plan(plan)


def test_files_that_hold_no_plan_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read the fault plan"):
        read_plan(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("faults: {stuck_open: [")
    with pytest.raises(InputError, match="not YAML"):
        read_plan(broken)
    broken.write_text("just words")
    with pytest.raises(InputError, match="holds no plan"):
        read_plan(broken)


def test_the_same_seed_draws_the_same_episodes_and_another_one_others():
    plan = FaultPlan.default(3)
    first = plan.episodes(20, START, 30)
    assert first == plan.episodes(20, START, 30)
    assert first != plan.with_seed(4).episodes(20, START, 30)


def test_a_kind_more_leaves_the_draws_of_the_others_alone():
    few = read_plan({"faults": {"frozen": {"rate": 0.3}}})
    more = read_plan({"faults": {"frozen": {"rate": 0.3}, "late": {"rate": 1}}})
    frozen = [e for e in more.episodes(9, START, 20) if e.kind == "frozen"]
    assert frozen == list(few.episodes(9, START, 20))


def test_a_device_more_leaves_the_faults_of_the_others_alone():
    plan = FaultPlan.default(5)
    small = [e for e in plan.episodes(4, START, 30) if e.device >= 0]
    large = [e for e in plan.episodes(5, START, 30) if 0 <= e.device < 4]
    assert small == large


def test_episodes_come_as_often_and_last_as_long_as_planned():
    plan = read_plan({"faults": {"frozen": {"rate": 0.4, "hours": 3}}, "seed": 1})
    episodes = plan.episodes(85, START, 30)
    expected = 0.4 * 85 * 30
    # Overlapping ones of a kind are left out: a few per cent.
    assert 0.85 * expected < len(episodes) < 1.05 * expected
    hours = np.array([e.t_to - e.t_from for e in episodes]) / HOUR_MS
    assert hours.mean() == pytest.approx(3, rel=0.1)
    assert hours.max() <= FAULT_KINDS["frozen"].longest


def test_signed_sizes_take_both_signs_and_spread_around_their_median():
    plan = read_plan({"faults": {"offset_drift": {"rate": 1, "hours": 1, "size": 25}}})
    sizes = np.array([e.size for e in plan.episodes(85, START, 30)])
    assert 0.4 < (sizes > 0).mean() < 0.6
    assert np.median(abs(sizes)) == pytest.approx(25, rel=0.1)


def test_a_lid_has_one_fault_at_a_time():
    plan = read_plan(
        {
            "faults": {
                name: {"rate": 2, "hours": 6}
                for name, kind in FAULT_KINDS.items()
                if kind.group == "lid"
            }
        }
    )
    episodes = plan.episodes(6, START, 10)
    assert len({e.kind for e in episodes}) >= 4
    for device in range(6):
        mine = [e for e in episodes if e.device == device]
        for before, after in itertools.pairwise(mine):
            assert after.t_from >= before.t_to


def test_an_episode_that_is_asked_for_wins_over_those_drawn():
    wanted = {"device": 0, "kind": "stuck_open", "from": START, "hours": 240}
    plan = read_plan(
        {"faults": {"stuck_closed": {"rate": 5}}, "episodes": [wanted], "seed": 2}
    )
    mine = [e for e in plan.episodes(2, START, 10) if e.device == 0]
    assert [e.kind for e in mine] == ["stuck_open"]


def test_a_plan_for_more_devices_than_there_are_is_refused():
    plan = read_plan(
        {"episodes": [{"device": 7, "kind": "frozen", "from": START, "hours": 1}]}
    )
    with pytest.raises(InputError, match="of device 7, but the fleet has"):
        plan.episodes(7, START, 1)


def test_episodes_outside_the_record_do_not_count():
    plan = read_plan(
        {"episodes": [{"device": 0, "kind": "frozen", "from": START, "hours": 1}]}
    )
    assert plan.episodes(1, START + 2 * HOUR_MS, 1) == ()
    assert plan.episodes(1, START - DAY_MS, 1) == ()
    assert len(plan.episodes(1, START, 1)) == 1


def test_what_only_the_loop_can_do_is_not_labelled_in_the_records():
    plan = FaultPlan.default(1)
    records = {e.kind for e in plan.episodes(85, START, 100, mode="records")}
    loop = {e.kind for e in plan.episodes(85, START, 100, mode="loop")}
    assert {"no_rtc", "seq_reset", "flash_full"} <= loop
    assert not records & {"ntp_jump", "no_rtc", "seq_reset", "flash_full"}
    assert {"late", "stuck_open", "wifi_loss"} <= records & loop


def test_longer_episodes_begin_and_end_on_whole_minutes():
    for episode in FaultPlan.default(2).episodes(40, START, 30):
        if episode.t_to - episode.t_from > 60_000:
            assert episode.t_from % 60_000 == 0
            assert episode.t_to % 60_000 == 0


def test_the_table_of_episodes_names_the_devices():
    episodes = [
        Episode(1, "frozen", START, START + HOUR_MS),
        Episode(WHOLE_FLEET, "person_breathing", START, START + HOUR_MS, 180.0),
    ]
    table = episode_table(episodes, ["a", "b"])
    assert table.device.tolist() == ["b", "all"]
    assert table.unit.tolist() == ["", "ppm"]
    assert table.modes.tolist() == ["records,loop"] * 2
    assert list(episode_table([]).columns) == list(table.columns)
