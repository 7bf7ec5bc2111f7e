"""The vectorised simulator: a fleet's records, their cycle, their truth."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tilth.fleet
from tilth.chambers.quality.cycle import keep_closed
from tilth.core.errors import InputError
from tilth.fleet.archive.files import SCHEMAS
from tilth.fleet.archive.parquet import ParquetStore
from tilth.fleet.channels import CHANNELS, FLAGS, STATES
from tilth.fleet.protocol import decode_batch, parse_topic
from tilth.fleet.simulate import (
    FAULT_BITS,
    NULL,
    CycleTiming,
    cycle_table,
    fleet_batches,
    simulate_fleet_records,
    write_archive,
)
from tilth.fleet.simulate.climate import greenhouse
from tilth.fleet.simulate.layouts import EVENT_KINDS
from tilth.fleet.simulate.plan import DAY_MS, HOUR_MS, MINUTE_MS, utc_ms
from tilth.fleet.simulate.pots import SENSOR, draw_fleet

START = utc_ms("2026-07-06")


@pytest.fixture(scope="module")
def healthy():
    """Three devices over two and a half days without faults."""
    records = simulate_fleet_records(3, 2.5, seed=11)
    return records, list(records)


def joined(blocks, device, name):
    return np.concatenate(
        [
            b.times[name] if name in b.times else b.values[name]
            for b in blocks
            if b.device == device
        ]
    )


def test_every_device_and_day_is_a_block_in_the_order_of_days(healthy):
    _, blocks = healthy
    day = START // DAY_MS
    assert [(b.day, b.device) for b in blocks] == [
        (day + d, i) for d in range(3) for i in range(3)
    ]
    for block in blocks:
        assert block.times["t"].min() >= block.day * DAY_MS
        assert block.times["t"].max() < (block.day + 1) * DAY_MS
    # A restart every six hours costs a few samples, nothing else does.
    full = [len(b) for b in blocks[:6]]
    assert min(full) > 28_770
    assert max(full) <= 28_800


def test_samples_lie_on_the_grid_of_their_boot(healthy):
    _, blocks = healthy
    for device in range(3):
        boot, tick = joined(blocks, device, "boot"), joined(blocks, device, "tick")
        t = joined(blocks, device, "t")
        assert (np.diff(t) > 0).all()
        for number in np.unique(boot):
            mine = tick[boot == number]
            assert 2_000 <= mine[0] < 5_000
            np.testing.assert_array_equal(np.diff(mine), 3_000)


def test_samples_and_events_share_one_gapless_count(healthy):
    _, blocks = healthy
    for device in range(3):
        mine = [b for b in blocks if b.device == device]
        events = np.concatenate([b.events for b in mine])
        boot = np.append(joined(blocks, device, "boot"), events["boot"])
        seq = np.append(joined(blocks, device, "seq"), events["seq"])
        for number in np.unique(boot):
            count = np.sort(seq[boot == number])
            np.testing.assert_array_equal(count, np.arange(len(count)))


def test_a_device_restarts_every_six_hours_after_its_own_delay(healthy):
    records, blocks = healthy
    for device in range(3):
        boot, tick = joined(blocks, device, "boot"), joined(blocks, device, "tick")
        jitter = int(records.timing.record(blocks[device].name)["jitter"][0])
        for number in np.unique(boot)[:-1]:
            last = tick[boot == number].max()
            due = 21_600_000 + jitter
            assert due - 3_000 <= last <= due + 600_000 + 61_500
        assert len({b for x in blocks if x.device == device for b in x.boots}) > 8


def test_boot_ids_are_those_of_the_protocol_and_never_repeat(healthy):
    _, blocks = healthy
    ids = [b for block in blocks[-3:] for b in block.boots.values()]
    assert len(set(ids)) == len(ids)


def test_every_cycle_begins_next_to_its_ten_minutes(healthy):
    _, blocks = healthy
    cycles = cycle_table(blocks)
    late = cycles.close - cycles.cycle * 600_000
    # 9 s of exercise and closing, and half a sampling step either way; after a start
    # up to 30 s more.
    assert late.between(7_400, 10_600).mean() > 0.97
    assert late.between(7_400, 40_600).all()
    for _, mine in cycles.groupby("device"):
        assert mine.cycle.is_unique
        # At most one in six hours is missed, by the restart.
        assert len(mine) >= 2.5 * 144 - 10


def test_the_lid_opens_when_the_rule_says_so(healthy):
    _, blocks = healthy
    cycles = cycle_table(blocks)
    assert set(cycles.why) == {"normal", "enough"} or "longest" in set(cycles.why)
    checked = 0
    for block in blocks[:3]:
        tick, co2 = block.times["tick"], block.values["co2"]
        for cycle in block.cycles:
            own = (block.values["boot"] == cycle["boot"]) & (
                (tick >= cycle["close_tick"]) & (tick <= cycle["open_tick"])
            )
            read, at = co2[own].astype(int), tick[own] - cycle["close_tick"]
            change = read - read[0]
            # Readings are rounded to 0.1 ppm, the rule takes thousandths.
            if (abs(abs(change[at >= 180_000]) - 50) <= 1).any():
                continue
            for elapsed, gathered in zip(at[:-1], change[:-1], strict=True):
                assert keep_closed(elapsed, gathered, enough_change=50)
            assert not keep_closed(at[-1], change[-1], enough_change=50)
            checked += 1
    assert checked > 300


def test_the_state_of_every_sample_is_that_of_the_cycle(healthy):
    _, blocks = healthy
    block = blocks[4]
    tick, state = block.times["tick"], block.values["state"]
    cycle = next(c for c in block.cycles if c["why"] == 1)
    own = block.values["boot"] == cycle["boot"]
    told = {
        int(k - cycle["close_tick"]): int(v)
        for k, v in zip(tick[own], state[own], strict=True)
    }
    expected = {
        -9_000: "ambient", -6_000: "exercise", -3_000: "closing", 0: "closed",
        90_000: "closed", 180_000: "closed", 183_000: "flush", 240_000: "flush",
        243_000: "ambient", 300_000: "ambient",
    }  # fmt: skip
    assert {k: told[k] for k in expected} == {k: STATES[v] for k, v in expected.items()}


def test_values_stay_within_what_the_sensors_can_say(healthy):
    _, blocks = healthy
    for block in blocks:
        for channel in CHANNELS:
            values = block.values[channel.name]
            known = values[values != NULL]
            assert len(known) > 0.99 * len(values)
            assert known.min() >= channel.low
            assert known.max() <= channel.high


def test_only_the_first_two_samples_of_a_boot_warm_up(healthy):
    _, blocks = healthy
    for block in blocks[:3]:
        warm = block.values["flags"] & FLAGS["warmup"] > 0
        assert (block.values["co2"][warm] == NULL).all()
        assert (block.values["co2"][~warm] != NULL).all()
        for number in np.unique(block.values["boot"]):
            assert warm[block.values["boot"] == number].sum() == 2


def test_records_arrive_after_they_were_taken_in_batches_of_fifteen_seconds(healthy):
    _, blocks = healthy
    delay = blocks[0].times["recv"] - blocks[0].times["t"]
    assert delay.min() > 0
    assert delay.max() < 16_000
    counts = np.unique(blocks[0].times["recv"], return_counts=True)[1]
    assert np.bincount(counts).argmax() == 5


def test_the_same_seed_gives_the_same_records_and_another_one_others():
    first = [b.values["co2"] for b in simulate_fleet_records(2, 0.3, "default", seed=4)]
    again = [b.values["co2"] for b in simulate_fleet_records(2, 0.3, "default", seed=4)]
    other = [b.values["co2"] for b in simulate_fleet_records(2, 0.3, "default", seed=5)]
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a[:1000], c[:1000])


def test_iterating_again_repeats_the_records(healthy):
    records, blocks = healthy
    again = next(iter(records))
    for name, values in blocks[0].values.items():
        np.testing.assert_array_equal(again.values[name], values)
    np.testing.assert_array_equal(again.events, blocks[0].events)
    np.testing.assert_array_equal(again.times["recv"], blocks[0].times["recv"])


def test_a_longer_record_begins_as_the_shorter_one():
    short = next(iter(simulate_fleet_records(1, 0.5, seed=6)))
    # Weather is drawn for the whole length: only what is not weather is the same.
    long = next(iter(simulate_fleet_records(1, 1.5, seed=6)))
    n = 1000
    np.testing.assert_array_equal(short.times["tick"][:n], long.times["tick"][:n])
    np.testing.assert_array_equal(short.values["mv"][:n], long.values["mv"][:n])


def test_the_slope_of_a_closure_is_the_flux_that_was_true():
    exact = {"noise": 0.0, "ar_noise": 0.0, "gain_spread": 0.0, "drift_spread": 0.0}
    from dataclasses import replace

    records = simulate_fleet_records(
        4, 0.4, seed=2, sensor=replace(SENSOR, **exact, response=0.5, quantum=0.1)
    )
    errors = []
    for block in records:
        co2, tick = block.values["co2"], block.times["tick"]
        for cycle in block.cycles:
            own = (block.values["boot"] == cycle["boot"]) & (
                (tick > cycle["close_tick"] + 6_000)
                & (tick <= cycle["close_tick"] + 120_000)
            )
            seconds = (tick[own] - cycle["close_tick"]) / 1000.0
            # Dry air: the sensor's ppm are of moist air, a per cent or two less.
            rise = np.polyfit(seconds, co2[own] / 10.0, 2)[1]
            errors.append(rise * cycle["moles"] - cycle["flux"])
    assert abs(np.mean(errors)) < 0.05
    assert np.std(errors) < 0.15


def test_fluxes_at_night_spread_as_those_of_the_fleet():
    # July to December 2023: quartiles 0.35, 0.53 and 0.98 umol m-2 s-1. Six tables are
    # few: one fleet deviates, the mean of some does not.
    quartiles = []
    for seed in range(3):
        climate = greenhouse(utc_ms("2026-07-01"), 180, seed=seed)
        fluxes = draw_fleet(85, climate, seed=seed).soil_flux
        night = climate.slow["light"] <= 10
        quartiles.append(np.percentile(fluxes[:, night], [25, 50, 75]))
    np.testing.assert_allclose(
        np.mean(quartiles, axis=0), [0.35, 0.53, 0.98], rtol=0.25
    )


def test_the_house_has_the_air_of_the_real_one():
    year = greenhouse(utc_ms("2026-01-01"), 365, seed=3)
    daily = {
        name: getattr(year, name)[: 365 * 1440].reshape(365, 1440).mean(axis=1)
        for name in ("co2", "temperature", "humidity")
    }
    assert daily["co2"].min() > 380
    assert daily["co2"].max() < 600
    assert daily["temperature"].min() >= 4
    assert daily["temperature"].max() < 35
    assert daily["humidity"].min() > 32
    assert daily["humidity"].max() < 92
    assert year.light.max() <= 28_000
    assert year.light.max() > 20_000
    assert (year.light == 0).mean() > 0.3


def test_treated_soils_breathe_more_or_less_by_their_factor():
    climate = greenhouse(START, 10, seed=1)
    fleet = draw_fleet(80, climate, seed=8)
    table = fleet.table()
    level = np.log(fleet.soil_flux).mean(axis=1)
    spread = level.std()
    for variant, factor in (("4", 1.35), ("10", 0.75)):
        ratio = (
            level[table.variant == variant].mean() - level[table.variant == "1"].mean()
        )
        assert ratio == pytest.approx(np.log(factor), abs=spread / 2)
    assert table.device.is_unique
    assert table.location.is_unique
    assert "5.1.A" in set(table.location)
    assert "5.10.A" in set(table.location)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"devices": 0}, "at least one device"),
        ({"devices": 2000}, "do not fit"),
        ({"days": 0}, "days must be above 0"),
        ({"days": float("nan")}, "days must be above 0"),
        ({"start": "2026-07-06T00:00:30"}, "full minute"),
        ({"start": "yesterday"}, "is no time"),
        ({"faults": {"faults": {"x": {}}}}, "no fault 'x'"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(InputError, match=said):
        simulate_fleet_records(**({"devices": 1, "days": 1} | settings))


def test_a_record_may_begin_and_end_within_a_day():
    blocks = list(simulate_fleet_records(1, 0.5, start="2026-07-06T18:00", seed=1))
    assert [b.day for b in blocks] == [START // DAY_MS, START // DAY_MS + 1]
    assert len(blocks[0]) + len(blocks[1]) == pytest.approx(14_400, abs=20)
    assert blocks[0].times["t"].min() >= START + 18 * HOUR_MS


def test_other_settings_of_the_firmware_change_the_cycle():
    timing = CycleTiming(period=900_000, closed=120_000, extend=60_000, reboot=10**9)
    block = next(iter(simulate_fleet_records(1, 0.5, seed=1, timing=timing)))
    assert len(block.boots) == 1
    closed = block.cycles["open_tick"] - block.cycles["close_tick"]
    assert set(closed) <= set(range(120_000, 180_001, 3_000))
    np.testing.assert_array_equal(np.diff(block.cycles["cycle"]), 1)
    assert len(block.cycles) in (47, 48)


def test_batches_are_those_of_the_protocol_and_hold_every_record_once():
    arrivals = list(fleet_batches(simulate_fleet_records(2, 0.3, seed=11)))
    assert [a.recv for a in arrivals] == sorted(a.recv for a in arrivals)
    seen, kinds, last = {}, set(), START
    for arrival in arrivals:
        device, leaf = parse_topic(arrival.topic)
        assert leaf == "d"
        batch = decode_batch(arrival.payload)
        assert batch.low <= batch.seq
        assert arrival.recv > batch.utc >= last - DAY_MS
        numbers = seen.setdefault((device, batch.boot), [])
        numbers += range(batch.seq, batch.seq + batch.n)
        kinds |= {event.kind for event in batch.events}
    for numbers in seen.values():
        assert sorted(numbers) == list(range(len(numbers)))
    assert kinds == {"boot", "sync", "state", "cycle", "sensor"}


def test_batches_come_late_twice_and_out_of_order_where_the_plan_says_so():
    hour = {"from": START + HOUR_MS, "hours": 1, "device": 0}
    plan = {
        "episodes": [
            {"kind": "duplicate", "size": 0.5, **hour},
            {"kind": "reordered", "size": 0.3, **hour},
        ]
    }
    arrivals = list(fleet_batches(simulate_fleet_records(1, 0.15, plan, seed=1)))
    headers = [decode_batch(a.payload).header for a in arrivals]
    assert 100 < len(headers) - len(set(headers)) < 140
    seqs = [h.seq for h in headers]
    assert seqs != sorted(seqs)
    assert {s for h in headers for s in range(h.seq, h.seq + h.n)} == set(
        range(max(h.seq + h.n for h in headers))
    )


def test_an_outage_holds_records_back_and_loses_none():
    begin = START + 2 * HOUR_MS
    plan = {
        "episodes": [{"device": 0, "kind": "wifi_loss", "from": begin, "hours": 1.5}]
    }
    cut, free = simulate_fleet_records(2, 0.25, plan, seed=3)
    delay = cut.times["recv"] - cut.times["t"]
    inside = (cut.times["t"] >= begin) & (cut.times["t"] < begin + 1.4 * HOUR_MS)
    assert (cut.times["recv"][inside] >= begin + 1.5 * HOUR_MS).all()
    assert delay[~inside & (cut.times["t"] < begin - MINUTE_MS)].max() < 16_000
    assert (free.times["recv"] - free.times["t"]).max() < 16_000
    np.testing.assert_array_equal(
        np.sort(np.append(cut.times["seq"], cut.events["seq"])),
        np.arange(len(cut) + len(cut.events)),
    )


def test_events_say_what_the_firmware_says():
    arrivals = fleet_batches(simulate_fleet_records(1, 0.02, seed=1))
    events = [e for a in arrivals for e in decode_batch(a.payload).events]
    boot = events[0]
    assert boot.kind == "boot"
    assert boot.body["reason"] == "power"
    cycle = next(e.body for e in events if e.kind == "cycle")
    assert cycle["open"] - cycle["close"] >= 180_000
    assert (cycle["rule"], cycle["sweeps"], cycle["mixed"]) == ("raw", 2, False)
    assert abs(cycle["change"]) >= 49
    states = [e.body["to"] for e in events if e.kind == "state"][:7]
    assert states[:4] == ["idle", "exercise", "closing", "closed"]


def test_the_simulator_and_the_detector_share_no_code():
    root = Path(tilth.fleet.__file__).parent
    detectors = [*root.glob("detection*.py"), *root.glob("alarms/*.py")]
    assert detectors
    for file in [*detectors, *root.glob("simulate/*.py")]:
        detector = file in detectors
        for node in ast.walk(ast.parse(file.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                other = "simulate" if detector else "detection"
                assert other not in name, f"{file.name} imports {name}"


def test_every_kind_of_event_can_be_told():
    assert EVENT_KINDS.index("cycle") != EVENT_KINDS.index("state")
    assert all(bit > 0 for bit in FAULT_BITS.values())


def test_the_parquet_files_hold_the_same_records(tmp_path):
    hour = {"from": START + HOUR_MS, "hours": 1, "device": 1, "kind": "wrong_location"}
    records = simulate_fleet_records(3, 1.2, {"episodes": [hour]}, seed=11)
    names = write_archive(records, tmp_path / "fleet")
    store = ParquetStore(tmp_path / "fleet")
    columns = [field.name for field in SCHEMAS["samples"]]
    files = [name for name in names if name.startswith("samples")]
    assert {name.split("/")[1] for name in files} == {
        "day=2026-07-06",
        "day=2026-07-07",
    }
    for block in records:
        span = (block.day * DAY_MS, (block.day + 1) * DAY_MS)
        table = store.read("samples", files, *span, [block.name], columns)
        frame = table.to_pandas().sort_values("t")
        assert len(frame) == len(block)
        for name in ("t", "tick", "seq", "recv"):
            np.testing.assert_array_equal(frame[name], block.times[name])
        co2 = block.values["co2"]
        assert frame.co2.isna().sum() == (co2 == NULL).sum()
        np.testing.assert_array_equal(frame.co2.dropna(), co2[co2 != NULL])
        assert set(frame.boot) <= set(block.boots.values())
        wrong = frame["loc"] != block.location
        np.testing.assert_array_equal(wrong, block.values["misplaced"] == 1)
        files_of_events = [name for name in names if name.startswith("events")]
        events = store.read(
            "events", files_of_events, *span, [block.name], ["seq", "kind", "body"]
        )
        assert len(events) == len(block.events)
    store.close()
    truth = pd.read_parquet(tmp_path / "fleet" / "truth" / "cycles.parquet")
    pd.testing.assert_frame_equal(
        truth.sort_values(["device", "close"], ignore_index=True),
        cycle_table(records).sort_values(["device", "close"], ignore_index=True),
        check_dtype=False,
    )
    with pytest.raises(InputError, match="holds records already"):
        write_archive(records, tmp_path / "fleet")
