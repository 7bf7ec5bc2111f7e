"""From a continuous record to closures: by given times, by a state, by the sawtooth."""

import gzip

import numpy as np
import pandas as pd
import pytest

from tilth.chambers.readers.closure_detection import detect_closures
from tilth.chambers.readers.records import (
    RECORD_FLAGS,
    Series,
    cut_closures,
    make_record,
)
from tilth.core.errors import InputError, UnitsError
from tilth.core.flags import is_flagged

DAY = np.datetime64("2023-10-01T00:00:00", "ns")


def at(seconds):
    return DAY + np.round(np.asarray(seconds) * 1e9).astype("timedelta64[ns]")


def record_of(seconds, co2, **more):
    series = {"co2": Series(co2, "ppm", "wet"), **more}
    return make_record(at(seconds), series)


def fleet_day(noise, seed=0, cycles=144, period=600.0, closed=180.0, flush=25.0):
    """A day of a robotic chamber: 10 min cycle, 3 min closed, a sample every 3 s.

    Ambient air wanders (AR(1), 3 ppm, 10 min), fluxes are lognormal around
    0.4 umol m-2 s-1, curves bend, cycles jitter by a few seconds.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(0, cycles * period, 3.0)
    flux = np.exp(rng.normal(-1.0, 0.9, cycles))
    k = rng.uniform(0.0003, 0.003, cycles)
    start = np.arange(cycles) * period + 200 + rng.uniform(-5, 5, cycles)
    rise = np.zeros(len(t))
    for f, rate, t0 in zip(flux, k, start, strict=True):
        top = f / 6.48 / rate  # phi of the fleet's chambers, mol m-2
        inside = (t >= t0) & (t < t0 + closed)
        after = (t >= t0 + closed) & (t < t0 + period)
        rise[inside] += top * -np.expm1(-rate * (t[inside] - t0))
        rise[after] += (
            top * -np.expm1(-rate * closed) * np.exp(-(t[after] - t0 - closed) / flush)
        )
    wander = np.zeros(len(t))
    kick = rng.normal(0, 3 * np.sqrt(-np.expm1(-2 * 3 / 600)), len(t))
    for i in range(1, len(t)):
        wander[i] = np.exp(-3 / 600) * wander[i - 1] + kick[i]
    co2 = 430 + wander + rise + rng.normal(0, noise, len(t))
    return record_of(t, co2), start, flux


def distance(found, start):
    """Return the distance of each true start to the next found one, s."""
    got = (found["start"].values - DAY) / np.timedelta64(1, "s")
    return np.abs(got[None, :] - np.asarray(start)[:, None]).min(axis=1)


def test_a_closure_holds_exactly_its_samples_with_time_since_closing():
    t = np.arange(0, 600, 3.0)
    record = record_of(t, 400 + t)
    closures = cut_closures(record, at([100.0]), at([280.0]), ["pot 1"], device=["d7"])
    elapsed = closures["elapsed"].values[0]
    assert elapsed[0] == 2.0
    assert elapsed[-1] == 179.0
    np.testing.assert_allclose(closures["co2"].values[0], 500 + elapsed)
    assert closures["co2"].attrs["basis"] == "wet"
    assert closures["device"].item() == "d7"
    assert closures["time"].values[0] == at(100.0)


def test_samples_before_closing_have_negative_time():
    t = np.arange(0, 600, 1.0)
    closures = cut_closures(record_of(t, 400 + t), at([100.0]), at([200.0]), before=10)
    assert closures["elapsed"].values[0, 0] == -10.0
    assert closures.sizes["sample"] == 111


def test_an_empty_closure_stays_and_says_why():
    t = np.arange(0, 600, 3.0)
    closures = cut_closures(record_of(t, 400 + t), at([100, 9000]), at([280, 9100]))
    assert is_flagged(closures["closure_flag"], "no_data").values.tolist() == [
        False,
        True,
    ]


def test_what_is_wrong_with_the_samples_is_said_of_their_closure():
    t = np.arange(0.0, 400.0)
    t[150] = t[149]  # a repeat in the first closure
    t[350] = 348.5  # a step back in the second
    co2 = 400 + t
    co2[360] = -7.0
    closures = cut_closures(record_of(t, co2), at([100, 300]), at([200, 399]))
    flag = closures["closure_flag"]
    assert is_flagged(flag, "duplicate_times").values.tolist() == [True, False]
    assert is_flagged(flag, "non_monotonic_time").values.tolist() == [False, True]
    assert is_flagged(flag, "implausible_concentration").values.tolist() == [
        False,
        True,
    ]


def test_a_record_whose_clock_was_reset_is_cut_in_file_order():
    t = np.concatenate([np.arange(0.0, 100), np.arange(50.0, 150)])
    record = record_of(t, np.arange(400.0, 600.0))
    closure = cut_closures(record, at([60.0]), at([69.0]))
    # Both passes of the clock are there, the earlier pass first.
    assert closure["co2"].values[0].tolist() == [*range(460, 470), *range(510, 520)]


def test_repeated_closing_times_get_names_of_their_own():
    t = np.arange(0, 600, 3.0)
    closures = cut_closures(record_of(t, 400 + t), at([90, 90]), at([200, 300]))
    assert closures["closure"].values.tolist() == [
        "2023-10-01T00:01:30",
        "2023-10-01T00:01:30 (2)",
    ]


def test_starts_without_ends_and_ends_before_starts_are_refused():
    record = record_of(np.arange(10.0), np.full(10, 400.0))
    with pytest.raises(InputError, match="2 starts but 1 ends"):
        cut_closures(record, at([1, 2]), at([3]))
    with pytest.raises(InputError, match="before it starts"):
        cut_closures(record, at([5]), at([3]))


def test_a_gas_without_a_basis_or_with_a_wrong_unit_is_refused():
    with pytest.raises(InputError, match=r"dry.*wet"):
        make_record(at([0]), {"co2": Series([400.0], "ppm")})
    with pytest.raises(UnitsError, match="co2"):
        make_record(at([0]), {"co2": Series([400.0], "kPa", "dry")})
    with pytest.raises(InputError, match="3 values for 2 times"):
        make_record(at([0, 1]), {"co2": Series([1.0, 2.0, 3.0], "ppm", "dry")})


def test_impossible_air_is_flagged_not_removed():
    series = {
        "co2": Series([420_000.0, 420.0], "ppm", "dry"),
        "pressure": Series([970.0, 97_000.0], "Pa"),
        "temperature": Series([61.6, 20.0], "degC"),
        "h2o": Series([-0.1, 12.0], "mmol mol-1"),
    }
    record = make_record(at([0, 1]), series)
    flag = record["record_flag"].values
    for word in ("concentration", "pressure", "temperature", "humidity"):
        assert flag[0] & RECORD_FLAGS.bit(f"implausible_{word}")
    assert flag[1] == 0
    assert record["co2"].values[0] == 420_000.0


@pytest.mark.parametrize("noise", [2.0, 5.0, 10.0])
def test_every_cycle_of_an_automatic_chamber_is_found_by_its_period(noise):
    record, start, _ = fleet_day(noise)
    found = detect_closures(record, duration=(180, 180), period=600.0)
    near = distance(found, start)
    assert found.sizes["closure"] == len(start)
    assert (near <= 30).all()
    assert (near <= 15).mean() >= 0.95
    # Weak closures under strong noise do not pretend to have been seen.
    weak = is_flagged(found["detection_flag"], "below_threshold").mean()
    assert weak < 0.2 if noise == 2.0 else weak > 0.1


def test_without_a_period_clear_closures_are_found_and_weak_ones_are_not_invented():
    record, start, flux = fleet_day(2.0)
    near = distance(detect_closures(record), start)
    assert (near[flux > 0.3] <= 30).mean() >= 0.98
    record, start, flux = fleet_day(10.0)
    found = detect_closures(record)
    # 0.3 umol m-2 s-1 is 8 ppm in three minutes: below the noise, mostly unseen.
    assert found.sizes["closure"] < 0.6 * len(start)
    assert (distance(found, start)[flux > 1.0] <= 45).mean() >= 0.9


def test_the_common_duration_is_found_with_the_closures():
    record, _, _ = fleet_day(2.0, closed=240.0)
    found = detect_closures(record, duration=(120, 300))
    length = (found["end"] - found["start"]) / np.timedelta64(1, "s")
    assert abs(float(length.median()) - 240) <= 10


def test_noise_alone_holds_no_closure():
    rng = np.random.default_rng(3)
    t = np.arange(0, 86400, 3.0)
    counts = [
        detect_closures(record_of(t, 430 + rng.normal(0, 10, len(t)))).sizes["closure"]
        for _ in range(5)
    ]
    assert sum(counts) <= 1


def test_a_record_without_closures_is_cut_into_none():
    rng = np.random.default_rng(0)
    t = np.arange(0, 3600, 3.0)
    record = record_of(t, 430 + rng.normal(0, 1, len(t)))
    found = detect_closures(record)
    assert found.sizes["closure"] == 0
    assert cut_closures(record, found["start"], found["end"]).sizes["closure"] == 0


def test_uptake_is_found_only_where_it_is_looked_for():
    record, start, flux = fleet_day(2.0)
    record["co2"] = 860 - record["co2"]
    assert (distance(detect_closures(record), start)[flux > 0.5] <= 30).mean() < 0.2
    both = detect_closures(record, direction="both")
    assert (distance(both, start)[flux > 0.5] <= 30).mean() > 0.95


def test_a_gap_in_the_record_is_not_bridged():
    record, start, _ = fleet_day(2.0, cycles=12)
    t = (record["time"].values - DAY) / np.timedelta64(1, "s")
    holes = (t > start[4] - 30) & (t < start[4] + 400)
    found = detect_closures(record.isel(time=~holes), duration=(180, 180), period=600.0)
    assert distance(found, start[[4]])[0] > 60
    assert (distance(found, start[[1, 2, 7, 8]]) <= 30).all()


def test_a_lid_column_decides_where_there_is_one():
    t = np.arange(0.0, 100.0)
    lid = np.zeros(100)
    lid[10:30] = 1
    lid[30:40] = 2  # the next closure follows without an open chamber between
    lid[60:90] = 1
    record = record_of(t, 400 + t, lid=Series(lid, "1"))
    found = detect_closures(record, state=record["lid"], duration=(15, 25))
    start = (found["start"].values - DAY) / np.timedelta64(1, "s")
    end = (found["end"].values - DAY) / np.timedelta64(1, "s")
    assert start.tolist() == [10, 30, 60]
    assert end.tolist() == [29, 39, 89]
    assert is_flagged(found["detection_flag"], "short").values.tolist() == [0, 1, 0]
    assert is_flagged(found["detection_flag"], "long").values.tolist() == [0, 0, 1]


def test_settings_that_cannot_be_are_refused():
    record, _, _ = fleet_day(2.0, cycles=3)
    with pytest.raises(InputError, match="shortest and the longest"):
        detect_closures(record, duration=(300, 120))
    with pytest.raises(InputError, match="no room"):
        detect_closures(record, duration=(180, 180), period=200.0)
    with pytest.raises(InputError, match="'rise', 'fall' or 'both'"):
        detect_closures(record, direction="up")
    with pytest.raises(InputError, match="too short"):
        detect_closures(record.isel(time=slice(0, 50)))


@pytest.mark.realdata
def test_half_of_the_hand_held_closures_on_a_mountain_are_found_and_little_else(
    dataset,
):
    folder = dataset("fluxible-reference")
    with gzip.open(folder / "co2_liahovden.csv.gz") as stream:
        table = pd.read_csv(stream, parse_dates=["datetime"])
    with gzip.open(folder / "record_liahovden.csv.gz") as stream:
        field = pd.read_csv(stream, parse_dates=["start"])
    record = make_record(
        table["datetime"], {"co2": Series(table["conc"], "ppm", "wet")}
    )
    found = detect_closures(
        record,
        duration=(210, 210),
        open_time=30,
        flush_time=5,
        direction="both",
        false_alarms=5,
    )
    start = field["start"].to_numpy().astype("datetime64[ns]")
    near = np.abs(found["start"].values[None] - start[:, None]).min(axis=1)
    seconds = near / np.timedelta64(1, "s")
    # Transparent and dark closures by hand, breath in the air, hardly an open chamber
    # between: a hard case. Measured: 52 and 46 %, and 13 strangers.
    assert len(start) == 138
    assert (seconds <= 60).mean() >= 0.50
    assert (seconds <= 30).mean() >= 0.44
    strangers = np.abs(found["start"].values[:, None] - start[None]).min(axis=1)
    assert (strangers > np.timedelta64(60, "s")).sum() <= 15


@pytest.mark.realdata
def test_the_fluxbot_lid_state_cuts_its_bench_test_despite_the_clock_resets(dataset):
    table = pd.read_csv(
        dataset("fluxbot") / "kitchen_test_2020-02-01.csv", skipinitialspace=True
    )
    seconds = table["Unix Epoch Time"].to_numpy()
    record = make_record(
        seconds.astype("datetime64[s]"),
        {
            "co2": Series(table["Raw CO2 PPM"], "ppm", "wet"),
            "lid": Series(table["ActuatorState"], "1"),
        },
    )
    found = detect_closures(record, state=record["lid"] == 0)
    resets = int(is_flagged(record["record_flag"], "backward_time").sum())
    long_runs = (found["end"] - found["start"]) > np.timedelta64(120, "s")
    assert resets >= 1
    assert int(long_runs.sum()) == 2
