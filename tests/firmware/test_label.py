"""Codes on the touch screen: typed, refused, kept, and changed in mid-cycle."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig import Rig
from tilth_chamber import keep
from tilth_chamber.label import DIGITS, KEYS, LETTERS, PATH, Label, key_at, problem

FIRST = 200_000
LEGAL = re.compile(r"(\d{1,2})\.(\d{1,3})\.([A-Z])")
CODES = ["5.10.A", "5.1.A", "0.1.A", "99.999.Z", "9.0.X", "05.010.A"]


def typed(rig, text):
    return [*text, "ok"] if text else ["ok"]


@pytest.mark.parametrize("code", CODES)
def test_a_chamber_without_a_place_waits_until_one_is_typed_and_then_works(code):
    rig = Rig(flux=0.78, label="")
    rig.plan = [(100_000, lambda rig: rig.hw.tap(["ok", *code, "ok"]))]
    rig.run(FIRST + 300_000)
    assert rig.states()[0][1] == "config"
    assert [s for _, s in rig.states()][1:4] == ["idle", "exercise", "closing"]
    assert rig.of("loc") == [{"from": "", "to": code, "source": "touch"}]
    assert rig.app.label.loc == code
    assert rig.samples[5][3] == ""
    assert rig.samples[-1][3] == code
    assert rig.of("cycle")[0]["loc"] == code


def test_the_place_outlives_a_power_cut():
    rig = Rig(label="")
    rig.hw.tap([*"5.10.A", "ok"])
    rig.run(60_000)
    rig.hw.boot("power")
    rig.app = None
    rig.run(120_000)
    assert rig.app.label.loc == "5.10.A"
    assert rig.states()[-1][1] == "idle"


@given(st.text(alphabet="0123456789.ABZa -X", max_size=9))
def test_only_what_the_protocol_calls_a_code_is_one(text):
    assert (problem(text) is None) == bool(LEGAL.fullmatch(text))


@given(st.lists(st.sampled_from(sorted(KEYS)), max_size=40))
def test_no_sequence_of_keys_makes_an_illegal_code(keys):
    rig = Rig(label="")
    label = Label(rig.hw)
    label.open(0)
    for i, key in enumerate(keys):
        code = label.touch(key, i)
        if code is not None:
            assert LEGAL.fullmatch(code)
        assert len(rig.hw.screen) == 5


@pytest.mark.parametrize(
    ("keys", "remark"),
    [
        ("5.10", "needs 3 parts"),
        ("5.", "needs 3 parts"),
        ("", "needs 3 parts"),
        ("5.10.", "replica: one A-Z"),
        ("123", "not here: 3"),
        ("5.1234", "not here: 4"),
        (".", "not here: ."),
        ("5..", "not here: ."),
        ("5.10.AB", "not here: B"),
        ("A", "not here: A"),
    ],
)
def test_partial_and_illegal_codes_are_refused_on_the_screen(keys, remark):
    rig = Rig(label="7.7.B")
    label = Label(rig.hw)
    label.open(0)
    for key in keys:
        label.touch(key, 1)
    if not remark.startswith("not here"):
        assert label.touch("ok", 2) is None
    assert remark in rig.hw.screen[0]
    assert label.loc == "7.7.B"


def test_a_mistyped_key_can_be_taken_back():
    rig = Rig(label="")
    rig.hw.tap([*"5.1", "del", *"2.A", "ok"])
    rig.run(30_000)
    assert rig.app.label.loc == "5.2.A"


def test_a_keypad_left_alone_closes_and_changes_nothing():
    rig = Rig(flux=0.78)
    rig.plan = [(50_000, lambda rig: rig.hw.tap(["ok", "9", ".", "9"]))]
    rig.run(60_000)
    assert rig.app.label.typing
    rig.run(100_000)
    assert not rig.app.label.typing
    assert rig.app.label.loc == "5.10.A"
    assert "5.10.A" in rig.hw.screen[0]
    assert not rig.of("loc")


@pytest.mark.parametrize(
    ("when", "mixed"),
    [
        (-10_000, False),
        (2_000, True),
        (100_000, True),
        (187_000, True),
        (200_000, False),
    ],
)
def test_a_place_changed_in_mid_cycle_makes_the_cycle_mixed(when, mixed):
    rig = Rig(flux=0.78)
    rig.plan = [(FIRST + when, lambda rig: rig.hw.tap(["ok", *"5.11.A", "ok"]))]
    rig.run(FIRST + 1_200_000)
    first, second = rig.of("cycle")
    assert first["mixed"] is mixed
    # The place it was closed over.
    assert first["loc"] == ("5.11.A" if when < 0 else "5.10.A")
    assert (second["mixed"], second["loc"]) == (False, "5.11.A")
    labels = [loc for *_, loc in rig.samples]
    change = labels.index("5.11.A")
    assert set(labels[:change]) == {"5.10.A"}
    assert set(labels[change:]) == {"5.11.A"}


def test_the_same_code_again_is_no_change():
    rig = Rig(flux=0.78)
    rig.plan = [(FIRST + 50_000, lambda rig: rig.hw.tap(["ok", *"5.10.A", "ok"]))]
    rig.run(FIRST + 600_000)
    assert not rig.of("loc")
    assert rig.of("cycle")[0]["mixed"] is False


def test_samples_go_on_every_three_seconds_while_somebody_types():
    rig = Rig(label="")
    rig.plan = [(t, lambda rig: rig.hw.tap("1")) for t in range(1_000, 60_000, 700)]
    rig.run(60_000)
    assert len(rig.samples) == 20


@pytest.mark.parametrize("kept", [b"", b"garbage", b'00000000"5.10.A"', b'"5.10.A"'])
def test_a_damaged_code_in_flash_is_no_code(kept):
    rig = Rig()
    rig.hw.fs.put(PATH, kept)
    assert Label(rig.hw).loc == ""


def test_an_illegal_code_in_flash_is_no_code():
    rig = Rig()
    for value in ("5.10", 5.1, None, ["5.10.A"]):
        keep.save(rig.hw.fs, PATH, value)
        assert Label(rig.hw).loc == ""


def test_a_flash_that_refuses_still_lets_the_place_hold_until_the_restart():
    rig = Rig(label="")
    rig.hw.fs.read_only = True
    rig.hw.tap([*"5.10.A", "ok"])
    rig.run(60_000)
    assert rig.app.label.loc == "5.10.A"


@pytest.mark.parametrize("torn", ["none", "prefix", "garbage"])
def test_power_cut_at_any_write_keeps_the_old_code_or_the_new_one(torn):
    for k in range(1, 8):
        rig = Rig(label="1.1.A")
        fs = rig.hw.fs
        fs.torn = torn
        fs.crash_at = fs.writes + k
        label = Label(rig.hw)
        try:
            label.set("2.2.B")
            done = True
        except BaseException:
            done = False
        fs.power_cycle()
        assert Label(rig.hw).loc in (("2.2.B",) if done else ("1.1.A", "2.2.B"))
    assert done


def test_every_key_is_under_a_finger_s_width_of_the_screen():
    for page in (DIGITS, LETTERS):
        lines = ["place _", *page]
        seen = {
            key_at(lines, x, y) for x in range(0, 320, 20) for y in range(48, 240, 16)
        }
        assert seen == set(" ".join(page).split())
        assert key_at(lines, 100, 5) is None
    assert key_at(["5.10.A  ambient", "CO2 420 ppm"], 10, 200) == "ok"
    assert key_at([], 10, 10) == "ok"
