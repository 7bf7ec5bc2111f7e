"""Contrasts from live fluxes: right, honest about replication, and quick."""

import os
import time

import numpy as np
import pandas as pd
import pytest

from tilth.chambers.effects import compare_pots, paired_effects
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.core.errors import InputError
from tilth.fleet.clock import DAY_MS, HOUR_MS
from tilth.fleet.effects_live import COLUMNS, LiveEffects
from tilth.fleet.live_store import COLUMNS as ROW
from tilth.fleet.live_store import LIVE_FLAGS, FluxStore

#: 2025-07-20T00:00:00Z.
START = 1_752_969_600_000


def rows(days, pots, *, seed=0, effect=1.5, per_hour=2, hours=range(0, 5), **more):
    """Night cycles of pots; ``x.0`` is the control, ``x.7`` flows `effect` times."""
    rng = np.random.default_rng(seed)
    out = []
    night = rng.normal(0, 0.3, days)
    for p, pot in enumerate(pots):
        own = np.exp(rng.normal(0, 0.1))
        scale = 0.6 * own * (effect if pot.split(".")[1] == "7" else 1.0)
        for day in range(days):
            for hour in hours:
                for k in range(per_hour):
                    t = START + day * DAY_MS + hour * HOUR_MS + k * 600_000
                    flux = scale * np.exp(night[day] + rng.normal(0, 0.1))
                    out.append(row(f"{p:012x}", t, pot, flux, **more))
    return out


def row(device, t, pot, flux, **more):
    return dict.fromkeys(ROW) | {
        "device": device, "boot": "1-00000001", "cycle_seq": (t - START) // 1000,
        "t": t, "close_tick": 0, "open_tick": 180_000, "loc": pot, "loc_sent": pot,
        "flux": flux, "se": 0.05, "night": 1, "closure_flag": 0, "flux_flag": 0,
        "live_flag": 0, "note": "", "settings": "x", "computed": t,
    } | more  # fmt: skip


POTS = [f"5.{v}.{r}" for v in (0, 7, 10) for r in "ABCD"]


@pytest.fixture
def store(tmp_path):
    store = FluxStore(tmp_path / "fluxes.sqlite")
    yield store
    store.close()


def span(days):
    return START, START + days * DAY_MS


def test_a_treatment_is_found_with_its_size_and_its_interval(store):
    store.put(rows(10, POTS, seed=1))
    table = LiveEffects(store).effects(*span(10)).table
    assert tuple(table.columns) == COLUMNS
    treated = table.loc["5.7"]
    assert treated["control"] == "5.0"
    assert treated["lower"] < treated["ratio"] < treated["upper"]
    assert treated["pots_lower"] < 1.5 < treated["pots_upper"]
    assert (treated["n_pairs"], treated["n_days"]) == (50, 10)
    assert (treated["pots"], treated["pots_control"]) == (4, 4)
    assert 0.02 < treated["ratio_systematic"] / treated["ratio"] < 0.05
    untreated = table.loc["5.10"]
    assert untreated["pots_lower"] < 1.0 < untreated["pots_upper"]


def test_it_is_what_the_room_of_chambers_computes(store):
    data = rows(8, POTS, seed=3, per_hour=6)
    store.put(data)
    live = LiveEffects(store).effects(*span(8)).table
    frame = pd.DataFrame(data).assign(
        time=lambda d: pd.to_datetime(d["t"], unit="ms"),
        pot=lambda d: d["loc"],
        variant=lambda d: d["loc"].str.rpartition(".")[0],
    )[["time", "pot", "variant", "flux"]]
    whole = paired_effects(frame)
    assert live.loc["5.7", "ratio"] == pytest.approx(whole.loc["5.7", "ratio"])
    assert live.loc["5.7", "lower"] == pytest.approx(whole.loc["5.7", "lower"])
    hours = LiveEffects(store).hourly(*span(8))
    pots = compare_pots(hours, "5.0", time="hour")
    assert live.loc["5.7", "pots_ratio"] == pytest.approx(
        1 + pots.loc["5.7", "effect_percent"] / 100
    )


def test_one_pot_on_a_side_is_called_what_it_is(store):
    store.put(rows(10, ["5.0.A", "5.7.A", "5.7.B"]))
    treated = LiveEffects(store).effects(*span(10)).table.loc["5.7"]
    assert treated["ratio"] > 1
    assert np.isnan(treated["pots_ratio"])
    assert "cannot be told from its pot" in treated["note"]


def test_few_pots_and_few_days_are_said(store):
    store.put(rows(3, [p for p in POTS if p[-1] in "AB"]))
    found = LiveEffects(store).effects(*span(3))
    assert "2 pots on a side" in found.table.loc["5.7", "note"]
    assert found.notes == ("3 days: intervals from so few days are rough",)


@pytest.mark.parametrize(
    "doubt",
    [
        {"night": 0},
        {"live_flag": LIVE_FLAGS.bit("mixed")},
        {"live_flag": LIVE_FLAGS.bit("incomplete")},
        {"closure_flag": CLOSURE_FLAGS.bit("stuck_closed")},
        {"closure_flag": CLOSURE_FLAGS.bit("clogged_pot")},
        {"flux": None},
        {"loc": ""},
        {"loc": "somewhere"},
        {"t": None},
    ],
)
def test_cycles_in_doubt_are_in_no_average(store, doubt):
    store.put(rows(4, POTS))
    before = LiveEffects(store).effects(*span(4)).table
    odd = [
        {**row("ffff00000000", START + DAY_MS + k * 600_000, "5.7.A", 99.0), **doubt}
        for k in range(30)
    ]
    store.put(odd)
    pd.testing.assert_frame_equal(LiveEffects(store).effects(*span(4)).table, before)


def test_a_late_flag_is_only_a_remark(store):
    store.put(rows(4, POTS, live_flag=LIVE_FLAGS.bit("late")))
    assert len(LiveEffects(store).hourly(*span(4))) == 4 * 5 * len(POTS)


def test_an_impossible_hour_is_left_out_and_counted(store):
    store.put(rows(10, POTS))
    spoilt = row("000000000004", START + 4 * DAY_MS, "5.7.A", 300.0)
    store.put([spoilt])
    found = LiveEffects(store).effects(*span(10))
    assert found.left_out == {"outliers": 1}
    assert found.table.loc["5.7", "ratio"] < 2


def test_what_changes_is_averaged_again_and_nothing_else(store):
    store.put(rows(6, POTS))
    effects = LiveEffects(store)
    before = effects.effects(*span(6)).table.loc["5.7", "ratio"]
    assert len(effects._days) == 6
    store.put(
        [{**r, "flux": 2 * r["flux"]} for r in rows(6, POTS)
         if r["loc"].startswith("5.7.") and r["t"] // DAY_MS == START // DAY_MS + 3]
    )  # fmt: skip
    assert len(effects._days) == 3
    after = effects.effects(*span(6)).table.loc["5.7", "ratio"]
    assert after > 1.05 * before
    assert effects.effects(*span(6)).table.equals(
        LiveEffects(store).effects(*span(6)).table
    )


def test_a_corrected_label_moves_its_fluxes_at_once(store):
    data = rows(4, ["5.0.A", "5.0.B", "5.7.A", "5.1.B"])
    store.put(data)
    effects = LiveEffects(store)
    assert "5.1" in effects.effects(*span(4)).table.index
    keys = [(r["device"], r["boot"], r["cycle_seq"]) for r in data
            if r["loc"] == "5.1.B"]  # fmt: skip
    store.amend((key, {"loc": "5.7.B"}) for key in keys)
    table = effects.effects(*span(4)).table
    assert "5.1" not in table.index
    assert table.loc["5.7", "pots"] == 2


def test_a_verdict_takes_its_cycles_out(store):
    data = rows(3, POTS)
    store.put(data)
    effects = LiveEffects(store)
    before = len(effects.hourly(*span(3)))
    hour = [r for r in data if r["loc"] == "5.7.A" and r["t"] < START + HOUR_MS]
    verdict = dict.fromkeys(_verdicts()) | {"state": "stuck_open"}
    store.put_verdicts(
        [{**{k: r[k] for k in ("device", "boot", "cycle_seq", "t")}, **verdict}
         for r in hour],
        [((r["device"], r["boot"], r["cycle_seq"]), CLOSURE_FLAGS.bit("stuck_open"))
         for r in hour],
    )  # fmt: skip
    assert len(effects.hourly(*span(3))) == before - 1


def _verdicts():
    from tilth.fleet.detection_names import VERDICTS

    return VERDICTS


def test_stated_controls_go_before_the_usual_ones(store):
    store.put(rows(4, [f"5.{v}.{r}" for v in (1, 7) for r in "ABC"]))
    effects = LiveEffects(store, lambda: {"5.7": "5.1"})
    table = effects.effects(*span(4)).table
    assert list(table.index) == ["5.7"]
    assert table.loc["5.7", "control"] == "5.1"
    usual = LiveEffects(store).effects(*span(4)).table
    assert usual.loc["5.7", "note"] == "no pairs: no fluxes of 5.0"


def test_without_fluxes_there_are_words_and_no_table(store):
    found = LiveEffects(store).effects(*span(3))
    assert found.table.empty
    assert found.notes == ("no usable flux in this time",)
    store.put(rows(2, ["5.0.A"]))
    found = LiveEffects(store).effects(*span(2))
    assert found.table.empty
    assert "no variant has a control" in found.notes[0]


def test_hours_of_a_pair_can_be_drawn(store):
    store.put(rows(2, POTS))
    pairs = LiveEffects(store).pairs(*span(2), "5.7")
    assert len(pairs) == 10
    assert np.exp(pairs["log_ratio"].mean()) == pytest.approx(1.5, rel=0.2)
    with pytest.raises(InputError, match="is a control"):
        LiveEffects(store).pairs(*span(2), "5.0")


def test_the_mixed_model_agrees(store):
    store.put(rows(8, POTS, per_hour=2, hours=range(2)))
    table = LiveEffects(store).mixed(*span(8), "5.0")
    assert table.loc["5.7", "lower"] < 50 < table.loc["5.7", "upper"]


def test_only_the_hours_asked_for_are_used(store):
    store.put(rows(3, POTS))
    hours = LiveEffects(store).hourly(START + 90 * 60_000, START + 3 * HOUR_MS)
    assert hours["hour"].nunique() == 2


def test_a_month_of_85_pots_is_quick_the_second_time(store):
    pots = [f"{t}.{v}.{r}" for t in range(5, 12) for v in (0, 7, 10) for r in "ABCD"]
    days = 30 if os.environ.get("TILTH_FULL") else 10
    for day in range(0, days, 10):
        data = rows(10, pots, per_hour=1, hours=range(8), seed=day)
        later = {"t": day * DAY_MS, "cycle_seq": day * 86_400}
        store.put({**r, **{name: r[name] + by for name, by in later.items()}}
                  for r in data)  # fmt: skip
    effects = LiveEffects(store)
    effects.effects(*span(days))
    store.put([row("000000000001", START + (days - 1) * DAY_MS, "5.0.B", 0.6)])
    begin = time.thread_time()
    table = effects.effects(*span(days)).table
    used = time.thread_time() - begin
    print(f"\neffects of {len(table)} variants over {days} days: {used:.2f} s")
    assert used < 1.5
