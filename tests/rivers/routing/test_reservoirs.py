"""A reservoir's release: limits, continuity, growth, and the paper's numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.rivers.routing.reservoirs import Reservoirs, reservoir_release

DAM = (1e9, 0.75, 100.0, 500.0)
HOUR = 3600.0

storages = st.floats(0.0, 1.5e9)
inflows = st.floats(-200.0, 5000.0)
dams = st.tuples(
    st.floats(1e6, 1e11),
    st.floats(0.05, 0.95),
    st.floats(0.1, 5e3),
    st.floats(1.01, 50.0),
).map(lambda dam: (dam[0], dam[1], dam[2], dam[2] * dam[3]))


@pytest.mark.parametrize(
    ("storage", "inflow", "release"),
    [
        (0.0, 400.0, 0.0),
        (0.1875e9, 50.0, 25.0),  # half of what is withheld
        (0.375e9, 50.0, 50.0),  # V_c: Q_n / 2
        # (0.75 - 0.375) / (0.95 - 0.375) of the way to an emergency, squared.
        (0.75e9, 50.0, 50.0 + (0.375 / 0.575) ** 2 * 450.0),
        (0.75e9, 500.0, 500.0),
        (0.5625e9, 800.0, 275.0),  # half way between V_c and V_f
        (0.85e9, 900.0, 700.0),  # half way between V_f and V_e
        (0.95e9, 50.0, 500.0),
        (0.95e9, 900.0, 900.0),
        (0.97e9, 900.0, 900.0),
        (1e9 + 3.6e6, 900.0, 1900.0),  # what does not fit passes within the hour
    ],
)
def test_release_is_that_of_the_paper_at_its_marks(storage, inflow, release):
    assert reservoir_release(storage, inflow, HOUR, *DAM) == pytest.approx(
        release, rel=1e-12
    )


@given(storages, inflows, st.floats(1.0, 86400.0), dams)
def test_release_never_exceeds_what_the_storage_gives(storage, inflow, seconds, dam):
    release = reservoir_release(storage, inflow, seconds, *dam)
    assert 0.0 <= release <= storage / seconds


@given(st.floats(0.0, 1.0), st.floats(0.0, 5e3), st.floats(1.0, 86400.0), dams)
def test_a_reservoir_within_its_capacity_stays_within_it(fill, inflow, seconds, dam):
    capacity = dam[0]
    storage = fill * capacity
    release = reservoir_release(storage, inflow, seconds, *dam)
    if release < storage / seconds:  # else the inflow of one step is larger than it
        assert storage + (inflow - release) * seconds <= capacity * (1 + 1e-12)


@given(storages, st.floats(0.0, 1e8), inflows, dams)
def test_release_grows_with_storage(storage, more, inflow, dam):
    lower = reservoir_release(storage, inflow, HOUR, *dam)
    upper = reservoir_release(storage + more, inflow, HOUR, *dam)
    assert upper >= lower * (1 - 1e-12)


@given(storages, inflows, st.floats(0.0, 1e3), dams)
def test_release_grows_with_inflow(storage, inflow, more, dam):
    lower = reservoir_release(storage, inflow, HOUR, *dam)
    upper = reservoir_release(storage, inflow + more, HOUR, *dam)
    assert upper >= lower * (1 - 1e-12)


@pytest.mark.parametrize("mark", [0.375e9, 0.75e9, 0.95e9, 1e9])
@pytest.mark.parametrize("inflow", [0.0, 100.0, 300.0, 499.0, 500.0, 3000.0])
def test_release_has_no_jump_where_the_regime_of_storage_changes(mark, inflow):
    below = reservoir_release(mark * (1 - 1e-9), inflow, HOUR, *DAM)
    above = reservoir_release(mark * (1 + 1e-9), inflow, HOUR, *DAM)
    # The steepest slope is that above the capacity: 1 / 3600 s.
    assert above - below == pytest.approx(0.0, abs=2e-9 * mark / HOUR + 1e-4)


@pytest.mark.parametrize("inflow", [100.0, 500.0])
@pytest.mark.parametrize("storage", [0.2e9, 0.5e9, 0.8e9, 0.96e9])
def test_release_has_no_jump_where_the_regime_of_inflow_changes(storage, inflow):
    below = reservoir_release(storage, inflow - 1e-6, HOUR, *DAM)
    above = reservoir_release(storage, inflow + 1e-6, HOUR, *DAM)
    assert above == pytest.approx(below, abs=1e-5)


def test_a_flood_wave_leaves_the_reservoir_lower_and_later_and_whole():
    hours = np.arange(24 * 60)
    inflow = 80.0 + 900.0 * np.exp(-(((hours - 240) / 60.0) ** 2))
    storage, out = 0.3e9, np.empty(hours.size)
    for hour in hours:
        out[hour] = reservoir_release(storage, inflow[hour], HOUR, *DAM)
        storage += (inflow[hour] - out[hour]) * HOUR
    assert out.max() < 0.7 * inflow.max()
    assert out.argmax() > inflow.argmax() + 24
    assert storage - 0.3e9 == pytest.approx((inflow - out).sum() * HOUR, rel=1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"capacity": 0.0}, "capacity of catchment 3 is 0"),
        ({"capacity": float("nan")}, "finite"),
        ({"normal_share": 75.0}, "share of the capacity, not of 100"),
        ({"flood_flow": 30.0}, "above the normal flow"),
        ({"normal_flow": [10.0, 20.0, 30.0]}, "3 values for 2 reservoir rows"),
        ({"catchment": [3, 3]}, "catchment 3 has more than one reservoir"),
        ({"capacity": "big"}, "must be a number"),
    ],
)
def test_impossible_reservoirs_are_refused_by_name(change, words):
    table = {
        "catchment": [3, 8],
        "capacity": 1e8,
        "normal_flow": 40.0,
        "flood_flow": 200.0,
    }
    Reservoirs(**table)
    with pytest.raises(InputError, match=words):
        Reservoirs(**(table | change))


def test_a_table_of_reservoirs_cannot_be_changed_behind_a_run():
    table = Reservoirs([3], capacity=1e8, normal_flow=40.0, flood_flow=200.0)
    with pytest.raises(ValueError, match="read-only"):
        table.capacity[0] = 1.0
