import numpy as np
import pandas as pd
import pytest

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.quality.filterrates import filter_rates
from tilth.chambers.quality.filters import flag_closures
from tilth.chambers.simulate.fleet import (
    Faults,
    Layout,
    simulate_closures,
    simulate_fleet,
)
from tilth.core.errors import InputError


def counted(flags, times, pots):
    closures = simulate_closures(len(flags), 5)
    bits = [
        sum(CLOSURE_FLAGS.bit(meaning) for meaning in meanings.split())
        for meanings in flags
    ]
    closures["closure_flag"].values[:] = bits
    labels = {
        "pot": np.array(pots, object),
        "table": np.array([p.split(".")[0] for p in pots], object),
        "variant": np.array([p.rpartition(".")[0] for p in pots], object),
    }
    closures = closures.assign_coords({k: ("closure", v) for k, v in labels.items()})
    return closures.assign_coords(
        time=("closure", pd.DatetimeIndex(times).as_unit("ns"))
    )


def test_shares_by_hand():
    closures = counted(
        ["", "stuck_open", "stuck_open outlier", "daylight", "daylight outlier", ""],
        ["2023-07-03 01:00"] * 6,
        ["9.2.A", "9.2.A", "9.2.B", "9.2.A", "9.2.B", "9.2.B"],
    )
    rates = filter_rates(closures)
    row = rates.loc[("2023-07-03", "9")]
    assert row["n"] == 4
    assert row["filtered"] == 0.5
    assert row["stuck_open"] == 0.5
    assert row["outlier"] == 0.25
    assert "daylight" not in rates
    assert "clogged_pot" not in rates
    whole = filter_rates(closures, night_only=False).loc[("2023-07-03", "9")]
    assert whole["n"] == 6


def test_weeks_begin_on_monday_and_5_10_is_not_5_1():
    closures = counted(
        [""] * 4,
        ["2023-07-02 23:59", "2023-07-03 00:00", "2023-07-09 23:59", "2023-07-10"],
        ["5.1.A", "5.10.A", "5.1.A", "5.1.A"],
    )
    rates = filter_rates(closures, by="variant")
    index = [(str(week.date()), variant) for week, variant in rates.index]
    assert index == [
        ("2023-06-26", "5.1"),
        ("2023-07-03", "5.1"),
        ("2023-07-03", "5.10"),
        ("2023-07-10", "5.1"),
    ]


def test_a_quarter_filtered_is_one_replica_of_four_lost():
    pots = [f"9.2.{r}" for r in "ABCD"] * 10
    flags = ["clogged_pot" if p.endswith("B") else "" for p in pots]
    closures = counted(flags, ["2023-07-04 02:00"] * 40, pots)
    row = filter_rates(closures).iloc[0]
    assert row["filtered"] == 0.25
    assert (row["replicas"], row["replicas_left"]) == (4, 3)


def test_the_rates_of_a_simulated_fleet_are_those_of_its_true_faults():
    fleet = simulate_fleet(
        Layout(days=10, start="2023-07-06"),
        faults=Faults(stuck_open=0.1, clogged_pot=0.1, light_errors=0.01),
        seed=4,
    )
    rates = filter_rates(flag_closures(fleet))
    night = (fleet["true_flux"] == fleet["true_soil_flux"]).values
    truth = pd.DataFrame(
        {
            "week": pd.DatetimeIndex(fleet["time"].values)
            .to_period("W-SUN")
            .start_time,
            "failed": (fleet["fault"] != "none").values,
        }
    )[night]
    expected = truth.groupby("week")["failed"].mean()
    assert len(expected) == 2
    np.testing.assert_allclose(
        rates["filtered"].droplevel("table"), expected, atol=0.03
    )


def test_numeric_identifiers_and_a_day_without_night_are_refused():
    closures = counted(["daylight"], ["2023-07-04"], ["9.2.A"])
    with pytest.raises(InputError, match="no closure is left"):
        filter_rates(closures)
    wrong = closures.assign_coords(table=("closure", [9.0]))
    with pytest.raises(InputError, match="stored as float64"):
        filter_rates(wrong)
