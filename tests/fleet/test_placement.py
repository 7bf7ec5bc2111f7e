"""Placements: intervals that are corrected by saying more, never by rewriting."""

import itertools

import numpy as np
import pytest
from archive_world import T0, World
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.fleet.control import Control
from tilth.fleet.placement import (
    Placement,
    as_frame,
    intervals,
    locate,
    place,
    place_event,
    place_retimed,
    resolve,
    statements,
)
from tilth.fleet.placement_problems import place_many, problems, set_known_codes

A, B = "0123456789ab", "ba9876543210"


class Clock:
    def __init__(self):
        self.now = 1000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def control(tmp_path, clock):
    with Control(tmp_path / "control.sqlite", clock) as opened:
        yield opened


def shown(control, device=None, **options):
    return [
        (p.device, p.loc, p.t_from, p.t_to)
        for p in intervals(control, device, **options)
    ]


def test_a_label_holds_until_the_next_one(control):
    place(control, A, "5.10.A", 100, source="touch")
    place(control, A, "5.1.A", 200, source="touch")
    assert shown(control) == [(A, "5.10.A", 100, 200), (A, "5.1.A", 200, None)]


def test_labels_that_arrive_in_any_order_give_the_same_intervals(tmp_path):
    said = [("5.10.A", 100), ("5.1.A", 200), ("3.2.B", 300), ("3.2.C", 150)]
    found = []
    for i, order in enumerate(itertools.permutations(said)):
        with Control(tmp_path / f"{i}.sqlite", lambda: 1) as control:
            for loc, t in order:
                place(control, A, loc, t, source="touch")
            found.append(shown(control))
    assert all(f == found[0] for f in found)
    assert found[0][1] == (A, "3.2.C", 150, 200)


def test_a_correction_leaves_what_was_believed_readable(control, clock):
    place(control, A, "5.1.A", 100, source="touch")
    clock.now = 2000
    place(control, A, "5.10.A", 100, source="web", by="anna")
    assert shown(control) == [(A, "5.10.A", 100, None)]
    assert shown(control, known_at=1999) == [(A, "5.1.A", 100, None)]
    assert [p.loc for p in statements(control, A)] == ["5.1.A", "5.10.A"]
    # Nothing of the first row changed but the moment it was superseded.
    old = control.row("SELECT * FROM placements WHERE loc = '5.1.A'")
    assert (old["t_from"], old["t_to"], old["superseded"]) == (100, None, 2000)


def test_a_correction_with_an_end_outlasts_late_touches_inside_it(control):
    place(control, A, "5.1.A", 0, source="touch")
    place(control, A, "5.10.A", 100, t_to=300, source="web")
    place(control, A, "9.9.Z", 200, source="touch")  # arrives late from the backlog
    assert shown(control) == [
        (A, "5.1.A", 0, 100),
        (A, "5.10.A", 100, 300),
        (A, "9.9.Z", 300, None),
    ]


def test_a_person_overrules_an_earlier_correction(control):
    place(control, A, "5.10.A", 0, t_to=100, source="web")
    place(control, A, "5.11.A", 50, source="web")
    assert shown(control) == [(A, "5.10.A", 0, 50), (A, "5.11.A", 50, None)]


def test_a_chamber_taken_away_is_nowhere(control):
    place(control, A, "5.10.A", 0, source="touch")
    place(control, A, "", 100, source="web")
    loc, placed = locate(
        intervals(control), np.array([A] * 3, object), np.array([-1, 50, 150])
    )
    assert list(loc) == ["", "5.10.A", ""]
    assert list(placed) == [False, True, True]


def test_a_repeated_event_changes_nothing(control):
    body = {"from": "", "to": "5.10.A", "source": "touch"}
    assert place_event(control, A, 100, body, "1.0.0")
    assert not place_event(control, A, 100, body, "1.0.0")
    assert len(statements(control)) == 1
    assert intervals(control)[0].firmware == "1.0.0"


def test_an_event_whose_time_is_unknown_says_nothing_yet(control):
    assert not place_event(control, A, None, {"to": "5.10.A"})
    assert not place_event(control, A, 100, {"to": 5.1})
    assert intervals(control) == []


def test_an_event_counts_once_its_time_is_known(control, tmp_path):
    world = World(tmp_path)
    number, _ = world.boot(A, "1-0000000a")
    body = '{"from":"","to":"5.10.A","source":"touch"}'
    event = (number, 7, T0, 5, T0, "", "loc", body, 2)
    world.insert(A, "1-0000000a", [], [event])
    retimed = (control, world.journal, A, "1-0000000a")
    assert place_retimed(*retimed, 8, 9) == 0
    assert place_retimed(*retimed, 0, 9) == 1
    assert place_retimed(*retimed, 0, 9) == 0
    assert shown(control) == [(A, "5.10.A", T0, None)]
    world.close()


def test_a_person_may_go_back_to_the_first_code(control):
    for loc in ("5.1.A", "5.10.A", "5.1.A"):
        assert place(control, A, loc, 0, source="web")
    assert shown(control) == [(A, "5.1.A", 0, None)]


@pytest.mark.parametrize("code", [5.1, 5, "5.1", "5.10.a", "5.1.A ", "105.1.A"])
def test_an_illegal_code_is_refused_from_people(control, code):
    with pytest.raises(InputError, match="location code"):
        place(control, A, code, 0, source="web")
    assert statements(control) == []


def test_an_illegal_code_of_a_device_is_kept_and_reported(control):
    place(control, A, "5..A", 0, source="touch")
    (found,) = problems(intervals(control))
    assert found.kind == "illegal_code"
    assert A in found.text


def test_an_unknown_code_is_reported(control):
    set_known_codes(control, ["5.10.A", "5.1.A"])
    place(control, A, "5.10.B", 0, source="touch")
    place(control, B, "5.10.A", 0, source="touch")
    (found,) = problems(intervals(control), frozenset({"5.10.A", "5.1.A"}))
    assert (found.kind, found.loc, found.devices) == ("unknown_code", "5.10.B", (A,))


def test_two_devices_on_one_code_are_reported_for_the_time_they_share(control):
    place(control, A, "5.10.A", 0, source="touch")
    place(control, B, "5.10.A", 100, source="touch")
    place(control, A, "5.11.A", 150, source="touch")
    (found,) = problems(intervals(control))
    assert found.kind == "two_devices_one_code"
    assert (found.devices, found.t_from, found.t_to) == ((A, B), 100, 150)


def test_codes_that_a_number_would_merge_do_not_collide(control):
    place(control, A, "5.1.A", 0, source="touch")
    place(control, B, "5.10.A", 0, source="touch")
    assert problems(intervals(control)) == []


def test_a_list_that_puts_one_device_on_two_codes_is_refused_whole(control):
    rows = [
        Placement(B, "3.1.A", 0, None),
        Placement(A, "5.10.A", 0, 100),
        Placement(A, "5.1.A", 50, 200),
    ]
    with pytest.raises(InputError, match=r"both 5\.10\.A and 5\.1\.A"):
        place_many(control, rows)
    assert statements(control) == []


def test_a_list_reports_two_devices_on_one_code(control):
    rows = [Placement(A, "5.10.A", 0, None), Placement(B, "5.10.A", 0, 50)]
    assert [p.kind for p in place_many(control, rows)] == ["two_devices_one_code"]
    assert len(intervals(control)) == 2


def test_samples_without_a_placement_keep_the_label_they_came_with(control):
    place(control, A, "5.10.A", 100, t_to=200, source="web")
    device = np.array([A, A, A, B], object)
    loc, placed = locate(
        intervals(control),
        device,
        np.array([99, 100, 200, 150]),
        np.array(["5.1.A"] * 4, object),
    )
    assert list(loc) == ["5.1.A", "5.10.A", "5.1.A", "5.1.A"]
    assert list(placed) == [False, True, False, False]


def test_placements_survive_a_restart(tmp_path):
    with Control(tmp_path / "c.sqlite", lambda: 5) as control:
        place(control, A, "5.10.A", 0, source="touch")
    with Control(tmp_path / "c.sqlite", lambda: 5) as control:
        assert shown(control) == [(A, "5.10.A", 0, None)]


def test_codes_stay_text_in_the_table_of_placements(control):
    place(control, A, "5.10.A", 0, source="touch")
    frame = as_frame(intervals(control))
    assert frame["loc"].tolist() == ["5.10.A"]
    assert frame["t_to"].isna().all()


said = st.lists(
    st.tuples(
        st.sampled_from(["5.1.A", "5.10.A", "3.2.B", ""]),
        st.integers(0, 20),
        st.none() | st.integers(1, 20),
        st.sampled_from(["touch", "web"]),
    ),
    max_size=8,
)


def made(rows):
    return [
        Placement(A, loc, t, None if d is None else t + d, source, statement=i)
        for i, (loc, t, d, source) in enumerate(rows)
    ]


@settings(max_examples=150, deadline=None)
@given(said)
def test_intervals_never_overlap_and_leave_no_stated_time_out(rows):
    given_ = made(rows)
    found = resolve(given_)
    for before, after in itertools.pairwise(found):
        assert before.end <= after.t_from
    for t in range(42):
        stated = any(p.t_from <= t < p.end for p in given_)
        held = [p for p in found if p.t_from <= t < p.end]
        assert len(held) == stated
        for p in held:
            assert any(
                q.statement == p.statement and q.t_from <= t < q.end for q in given_
            )


@settings(max_examples=100, deadline=None)
@given(said, st.randoms(use_true_random=False))
def test_the_order_in_which_touches_arrive_does_not_matter(rows, rng):
    touches = list({row[1]: row for row in rows if row[2] is None}.values())
    touches = [(loc, t, None, "touch") for loc, t, _, _ in touches]
    mixed = list(touches)
    rng.shuffle(mixed)

    def shape(rows):
        return [(p.loc, p.t_from, p.t_to) for p in resolve(made(rows))]

    assert shape(touches) == shape(mixed)
