"""Faults of simulated fleets that the detector has never seen are found."""

import os
from functools import cache

import numpy as np
import pandas as pd
import pytest

from tilth.chambers.simulate.world import Soil
from tilth.core.errors import InputError
from tilth.fleet.detection import judge, scores
from tilth.fleet.detection_habits import DetectionSettings
from tilth.fleet.detection_names import SIGNS, STATES, VERDICTS
from tilth.fleet.detection_signs import signs_of_cycles
from tilth.fleet.simulate import simulate_fleet_records
from tilth.studies.fluxmeter_army.detection import GROUPS, labelled_cycles

#: Seeds on which nothing was tuned; the parameters were set on 1 to 118.
HELD_OUT = (1001, 1002, 1003)
FULL = bool(os.environ.get("TILTH_FULL"))


def plan(seed, rate):
    kinds = ("stuck_closed", "stuck_open", "clogged", "half_open")
    faults = {kind: {"rate": rate} for kind in kinds}
    return {"seed": seed, "base": "default", "faults": faults}


@cache
def fleet(seed, devices=85 if FULL else 24, days=5.0 if FULL else 2.0):
    start = ("2023-06-10", "2023-09-25", "2023-11-20")[seed % 3]
    rate = 0.06 if FULL else 0.25
    cycles = labelled_cycles(
        simulate_fleet_records(devices, days, plan(seed, rate), start=start, seed=seed)
    )
    return cycles, judge(cycles)


#: One episode of seed 1002 misses the bar, and is not to be tuned away: 39 cycles with
#: the lid stuck open pass for stuck closed, whose precision is 0.949.
CONFUSED = pytest.mark.xfail(strict=True, reason="stuck open taken for stuck closed")
TOLD_APART = [1001, pytest.param(1002, marks=CONFUSED), 1003] if FULL else [1001]


def scored(seed):
    cycles, verdict = fleet(seed)
    truth, found = (x.to_numpy(str) for x in (cycles["truth"], verdict["state"]))
    table = scores(truth, found, GROUPS)
    print(f"\nseed {seed}\n{table.round(4)}")
    print(pd.crosstab(truth, found))
    return table


@pytest.mark.parametrize("seed", HELD_OUT if FULL else HELD_OUT[:1])
def test_stuck_and_clogged_chambers_are_found(seed):
    found = scored(seed).loc["stuck_or_clogged"]
    assert found["cycles"] > 100
    assert found["recall"] >= 0.95
    assert found["precision"] >= 0.95


@pytest.mark.parametrize("seed", TOLD_APART)
def test_stuck_and_clogged_chambers_are_told_apart(seed):
    table = scored(seed)
    for name in ("stuck_closed", "stuck_open", "clogged"):
        assert table.loc[name, "cycles"] > 100
        assert table.loc[name, "recall"] >= 0.95
        assert table.loc[name, "precision"] >= 0.95


@pytest.mark.parametrize("seed", HELD_OUT if FULL else HELD_OUT[:1])
def test_they_are_found_as_they_happen_too(seed):
    cycles, verdict = fleet(seed)
    now = verdict[[f"now_{name}" for name in STATES]].to_numpy()
    found = np.array(STATES)[now.argmax(axis=1)]
    table = scores(cycles["truth"].to_numpy(str), found, GROUPS)
    print(f"\nseed {seed}, up to now\n{table.round(4)}")
    assert (table.loc["stuck_or_clogged", ["recall", "precision"]] >= 0.95).all()


def test_a_probability_is_what_it_says():
    cycles, verdict = fleet(HELD_OUT[0])
    for name in ("stuck_closed", "stuck_open", "clogged"):
        p = verdict[f"p_{name}"].to_numpy()
        true = (cycles["truth"] == name).to_numpy()
        assert abs(p.mean() - true.mean()) < 0.01
        assert true[p > 0.99].mean() > 0.97


def test_probabilities_sum_to_one_and_none_is_missing():
    _, verdict = fleet(HELD_OUT[0])
    assert set(VERDICTS) <= set(verdict)
    for prefix in ("p_", "now_"):
        columns = verdict[[prefix + name for name in STATES]]
        np.testing.assert_allclose(columns.sum(axis=1), 1.0, atol=1e-9)
        assert (columns.to_numpy() >= 0).all()


def test_low_fluxes_are_not_taken_for_faults():
    cycles = labelled_cycles(
        simulate_fleet_records(8, 1.5, None, seed=77, soil=Soil(flux=0.05))
    )
    verdict = judge(cycles)
    assert (verdict["state"] == "ok").mean() > 0.99


@pytest.mark.parametrize("devices", [1, 2])
def test_a_lone_chamber_is_judged_by_its_own_habits(devices):
    episode = {"device": 0, "kind": "stuck_closed", "from": "2023-07-04T00:00",
               "hours": 12}  # fmt: skip
    faults = {"episodes": [episode]}
    records = simulate_fleet_records(devices, 3.0, faults, start="2023-07-03", seed=5)
    cycles = labelled_cycles(records)
    verdict = judge(cycles)
    sick = (cycles["truth"] == "stuck_closed").to_numpy()
    assert (verdict["p_ok"][sick] < 0.5).mean() > 0.9
    assert (verdict["p_ok"][~sick] > 0.5).mean() > 0.9


def signs(n=6, **values):
    t = np.arange(n) * 600_000 + 1_753_000_000_000
    usual = dict.fromkeys(SIGNS, np.nan) | {"n": 51.0, "seconds": 180.0, "same": 1.0}
    return pd.DataFrame({"device": "a0b765000001", "t": t, **(usual | values)})


def test_ten_identical_values_are_a_frozen_sensor():
    verdict = judge(signs(same=[1.0, 2.0, 9.0, 10.0, 200.0, 1.0]))
    assert verdict["p_frozen"].tolist() == [0, 0, 0, 1, 1, 0]
    assert verdict["state"].tolist() == ["ok", "ok", "ok", "frozen", "frozen", "ok"]


def test_a_chamber_nothing_is_known_of_is_held_for_good():
    verdict = judge(signs())
    assert (verdict["p_ok"] > 0.9).all()
    assert (verdict["state"] == "ok").all()


def test_the_order_of_the_rows_does_not_matter():
    cycles, _ = fleet(HELD_OUT[0])
    part = cycles[cycles["device"].isin(cycles["device"].unique()[:6])]
    shuffled = part.sample(frac=1.0, random_state=0)
    again = judge(shuffled).loc[part.index]
    pd.testing.assert_frame_equal(again, judge(part))


def test_what_is_known_now_does_not_look_ahead():
    cycles, _ = fleet(HELD_OUT[0])
    settings = DetectionSettings()
    early = cycles["t"] < cycles["t"].median()
    whole = judge(cycles, settings)[early]
    part = judge(cycles[early], settings)
    # What is usual is learnt from all cycles, so a few in doubt may differ.
    columns = [f"now_{name}" for name in STATES]
    same = np.abs(whole[columns] - part[columns]).max(axis=1) < 0.2
    assert same.mean() > 0.98


def test_no_cycles_give_no_verdicts():
    empty = judge(signs(0))
    assert len(empty) == 0
    assert set(VERDICTS) <= set(empty)


def test_a_table_without_the_signs_is_refused():
    with pytest.raises(InputError, match="needs the columns"):
        judge(signs().drop(columns=["slope", "same"]))


def test_signs_bear_gaps_and_nonsense():
    tick = np.arange(0, 500_000, 3_000)
    rng = np.random.default_rng(0)
    samples = {"tick": tick, "flags": rng.integers(0, 512, len(tick))}
    for name in ("co2", "st", "rh", "at", "p", "lux", "mv"):
        values = rng.normal(0, 1e5, len(tick))
        values[rng.random(len(tick)) < 0.5] = np.nan
        samples[name] = values
    close = np.array([0, 100_000, 490_000, 10**9])
    table = signs_of_cycles(samples, close, close + 180_000, close + 600_000)
    assert list(table) == list(SIGNS)
    verdict = judge(table.assign(device="x", t=close))
    assert np.isfinite(verdict[list(VERDICTS)].to_numpy()).all()


def test_the_rise_of_a_plain_closure_is_its_slope():
    tick = np.arange(0, 400_000, 3_000)
    inside = np.clip(tick - 60_000, 0, 180_000) / 1000.0
    samples = {
        "tick": tick, "flags": np.zeros(len(tick), int), "co2": 450.0 + 0.1 * inside,
        "st": np.full(len(tick), 21.5), "rh": np.full(len(tick), 50.0),
        "at": np.full(len(tick), 20.0), "p": np.full(len(tick), 97_200.0),
        "lux": np.where(inside > 0, 85.0, 100.0), "mv": np.full(len(tick), 5000.0),
    }  # fmt: skip
    at = np.array([60_000])
    row = signs_of_cycles(samples, at, at + 180_000, at + 320_000).iloc[0]
    assert row["slope"] == pytest.approx(0.1, rel=1e-6)
    assert row["before"] == pytest.approx(450.0)
    assert row["end"] == pytest.approx(450.0 + 0.1 * 172.5, abs=0.3)
    assert row["light_before"] == pytest.approx(100.0)
    assert row["self_heating"] == pytest.approx(1.5)
    assert row["seconds"] == 180.0
