"""Asking journal and archive: exact values, right places, text codes that stay text."""

import sqlite3

import duckdb
import numpy as np
import pandas as pd
import pytest
from archive_world import DAY, T0, World

from tilth.core.errors import InputError
from tilth.core.flags import is_flagged
from tilth.fleet.archive.query import Archive
from tilth.fleet.archive.seal import Sealer
from tilth.fleet.archive.tables import IDENTIFIERS, SAMPLE_FLAGS, plain_text
from tilth.fleet.channels import CHANNEL_NAMES, FLAGS
from tilth.fleet.control import open_control
from tilth.fleet.journal import Journal, Message
from tilth.fleet.placement import place
from tilth.fleet.protocol import Batch, Event, Sample, encode_batch

A, B = "0123456789ab", "ba9876543210"
HOUR = 3_600_000


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def seal(world, now=T0 + 40 * DAY, keep_days=2):
    with Sealer(world.folder, clock=lambda: now, keep_days=keep_days) as work:
        return work.seal_pending()


def test_samples_have_physical_units_and_flags(world):
    row = (1, 0, T0, 5, T0 + 9, "5.10.A", 4391, 2724, 4881, -512, 100653, 312, 4987)
    odd = (1, 1, T0 + 3000, 5, T0 + 9, "5.10.A", 400_001, None, 0, 0, 0, -1, 4987)
    world.insert(A, "1-0000000a", [(*row, 5, 0, 0), (*odd, 5, 8 | 256, 2)], [])
    with Archive(world.folder) as archive:
        data = archive.samples(A, T0, T0 + DAY)
    assert data["co2"].values.tolist() == [439.1, 40_000.1]
    assert data["at"].values[0] == -5.12
    assert data["p"].attrs["units"] == "Pa"
    assert np.isnan(data["st"].values[1])
    assert data["state"].values.tolist() == ["closed", "closed"]
    assert data["time"].values[1] == np.datetime64("2025-07-20T00:00:03")
    flag = data["flag"]
    for word in ("co2_out_of_range", "p_out_of_range", "lux_out_of_range", "warmup"):
        assert is_flagged(flag, word).values.tolist() == [False, True], word
    assert is_flagged(flag, "fan_on", "clock_mapped").values.tolist() == [False, True]
    assert is_flagged(flag, "label_only").all()
    assert not is_flagged(flag, "st_out_of_range", "rh_out_of_range").any()


def test_the_flags_of_the_wire_keep_their_bits():
    assert {name: SAMPLE_FLAGS.bit(name) for name in FLAGS} == FLAGS


def test_journal_and_archive_answer_as_one(world):
    world.days([A, B], 3)
    with Archive(world.folder) as archive:
        before = archive.frame(A, T0 + HOUR, T0 + 3 * DAY)
        seal(world, T0 + 3 * DAY, keep_days=1)
        after = archive.frame(A, T0 + HOUR, T0 + 3 * DAY)
        world_rows = world.journal.execute("SELECT count(*) FROM samples").fetchone()
    assert 0 < world_rows[0] < len(before) * 2
    pd.testing.assert_frame_equal(before, after)
    assert set(before["device"]) == {A}
    assert before["t"].is_monotonic_increasing


def test_the_end_of_an_interval_does_not_belong_to_it(world):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 10_000, 1000))
    with Archive(world.folder) as archive:
        for _ in range(2):
            assert len(archive.frame(A, T0 + 1000, T0 + 3000)) == 2
            assert len(archive.frame(A, T0 + 1001, T0 + 3001)) == 2
            assert len(archive.frame(B, T0, T0 + DAY)) == 0
            assert len(archive.frame([A, B], T0, T0 + DAY)) == 10
            seal(world)


def test_an_empty_fleet_gives_empty_answers(world):
    with Archive(world.folder) as archive:
        assert archive.samples(None, T0, T0 + DAY).sizes == {"sample": 0}
        assert len(archive.events(T0, T0 + DAY)) == 0
        assert archive.hourly_means(T0, T0 + DAY).sizes == {"variant": 0, "time": 24}
        assert archive.closure_rows(T0, T0 + DAY).sizes == {"sample": 0}


def test_a_folder_without_a_journal_is_no_fleet(tmp_path):
    with pytest.raises(InputError, match="no fleet's data"):
        Archive(tmp_path)


def test_a_channel_that_does_not_exist_is_refused(world):
    with Archive(world.folder) as archive:
        with pytest.raises(InputError, match="no channel ch4"):
            archive.samples(A, T0, T0 + DAY, ["co2", "ch4"])
        data = archive.samples(A, T0, T0 + DAY, ["co2"])
    assert "rh" not in data


def test_a_corrected_label_changes_every_answer_and_no_data(world):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 2 * HOUR, 60_000), "5.1.A")
    rows = world.journal.execute("SELECT * FROM samples").fetchall()
    with open_control(world.folder) as control, Archive(world.folder) as archive:
        assert list(archive.hourly_means(T0, T0 + DAY)["variant"]) == ["5.1"]
        place(control, A, "5.10.A", T0, source="web")
        for _ in range(2):
            data = archive.samples(A, T0, T0 + DAY, ["co2"])
            assert set(data["location"].values) == {"5.10.A"}
            assert set(data["variant"].values) == {"5.10"}
            assert set(data["label"].values) == {"5.1.A"}
            assert not is_flagged(data["flag"], "label_only").any()
            for raw in (False, True):
                means = archive.hourly_means(T0, T0 + DAY, from_raw=raw)
                assert list(means["variant"]) == ["5.10"]
            if rows is not None:
                assert world.journal.execute("SELECT * FROM samples").fetchall() == rows
                rows = None
                seal(world)


def direct(world, t_from, t_to, located):
    """Hourly means by hand, straight from the truth."""
    sums = {}
    for (device, _, _), row in world.truth.items():
        t, loc, flags = row[0], row[3], row[-2]
        if len(row) != 14 or not t_from <= t < t_to:
            continue
        loc = located(device, t, loc)
        key = (".".join(loc.split(".")[:2]), t // HOUR)
        for name, value in zip(CHANNEL_NAMES, row[4:11], strict=True):
            if value is None or (name in ("co2", "st", "rh") and flags & 14):
                continue
            sums.setdefault((*key, name), []).append(value)
    return {key: np.mean(values) for key, values in sums.items()}


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("from_raw", [False, True])
def test_hourly_means_are_those_of_the_samples(world, sealed, from_raw):
    world.days([A, B], 2, step=240_000)
    world.days(["c" * 12], 2, step=240_000, replica="B")
    moved = T0 + 10 * HOUR + 1_234_567  # within an hour
    with open_control(world.folder) as control:
        place(control, A, "3.7.A", moved, source="touch")
        place(control, B, "3.7.B", T0 + 20 * HOUR, source="touch")
    if sealed:
        seal(world, T0 + 2 * DAY, keep_days=1)
    with Archive(world.folder) as archive:
        means = archive.hourly_means(T0, T0 + 2 * DAY, from_raw=from_raw)

    def located(device, t, loc):
        if device == A and t >= moved:
            return "3.7.A"
        return "3.7.B" if device == B and t >= T0 + 20 * HOUR else loc

    expected = direct(world, T0, T0 + 2 * DAY, located)
    scales = dict(zip(CHANNEL_NAMES, (10, 100, 100, 100, 1, 1, 1), strict=True))
    got = {
        (str(v), T0 // HOUR + h, name): value * scales[name]
        for name in CHANNEL_NAMES
        for v, row in zip(means["variant"].values, means[name].values, strict=True)
        for h, value in enumerate(row)
        if np.isfinite(value)
    }
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        assert got[key] == pytest.approx(value, rel=1e-12)
    assert list(means["variant"].values) == ["3.7", "5.1", "5.2"]
    assert int(means["samples"].sum()) == sum(
        len(r) == 14 for r in world.truth.values()
    )
    assert int(means["chambers"].max()) == 2


def test_hourly_means_want_full_hours(world):
    with (
        Archive(world.folder) as archive,
        pytest.raises(InputError, match="full hours"),
    ):
        archive.hourly_means(T0 + 1, T0 + DAY)


def test_variants_are_ordered_by_number_not_by_text(world):
    for i, loc in enumerate(("5.10.A", "5.2.A", "12.1.A", "5.1.A")):
        world.add(A, f"{i}-0000000a", 0, [T0 + i], loc)
    with Archive(world.folder) as archive:
        means = archive.hourly_means(T0, T0 + HOUR)
    assert list(means["variant"].values) == ["5.1", "5.2", "5.10", "12.1"]


@pytest.mark.parametrize("form", ["csv", "parquet", "json", "xlsx", "sql"])
def test_5_10_and_5_1_stay_apart_in_every_format(world, tmp_path, form):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 3000, 1000), "5.10.A")
    world.add(B, "1-0000000b", 0, range(T0, T0 + 3000, 1000), "5.1.A")
    with Archive(world.folder) as archive:
        frame = plain_text(archive.frame(None, T0, T0 + DAY, ["co2"]))
    path = tmp_path / f"export.{form}"
    words = dict.fromkeys(IDENTIFIERS, str)
    if form == "csv":
        frame.to_csv(path, index=False)
        back = pd.read_csv(path, dtype=words)
    elif form == "parquet":
        frame.to_parquet(path)
        back = pd.read_parquet(path)
    elif form == "json":
        frame.to_json(path, orient="records", date_format="iso")
        back = pd.read_json(path, dtype=words)
    elif form == "xlsx":
        frame.to_excel(path, index=False)
        back = pd.read_excel(path, dtype=words)
    else:
        with sqlite3.connect(path) as connection:
            frame.to_sql("samples", connection, index=False)
            back = pd.read_sql("SELECT * FROM samples", connection)
        connection.close()
    for name in IDENTIFIERS:
        assert list(back[name].astype(str)) == list(frame[name]), name
    assert set(back["variant"]) == {"5.10", "5.1"}


def test_sealed_files_can_be_read_without_tilth(world):
    world.add(A, "1-0000000a", 0, range(T0, T0 + 3000, 1000), "5.10.A")
    seal(world)
    pattern = f"{world.folder}/archive/samples/*/*.parquet"
    rows = duckdb.sql(f"SELECT device, loc, t FROM '{pattern}' ORDER BY t").fetchall()
    assert rows[0] == (A, "5.10.A", T0)
    frame = pd.read_parquet(world.folder / "archive" / "samples")
    assert frame["loc"].astype(str).tolist() == ["5.10.A"] * 3


def test_a_folder_with_brackets_in_its_name_is_no_pattern(tmp_path):
    folder = tmp_path / "fleet [1] * a?"
    folder.mkdir()
    world = World(folder)
    world.add(A, "1-0000000a", 0, range(T0, T0 + 3000, 1000))
    seal(world)
    with Archive(folder) as archive:
        assert len(archive.frame(A, T0, T0 + DAY)) == 3
    world.close()


def message(device, seq, samples, events, loc="5.10.A"):
    n = len(samples) + len(events)
    batch = Batch(
        boot="1-0000000a", seq=seq, n=n, low=0, tick=1_000 * seq, utc=T0 + 1_000 * seq,
        src="ntp", loc=loc, fw="1.0.0", queued=n, dropped=0,
        samples=samples, events=events,
    )  # fmt: skip
    return Message(f"tilth/v1/{device}/d", encode_batch(batch), T0 + 1_000 * seq + n)


def test_closures_come_with_their_samples(tmp_path):
    """From payloads through the real journal, before and after sealing."""
    now = [T0 + HOUR]
    with Journal(tmp_path / "journal.sqlite", clock=lambda: now[0]) as journal:
        samples = [
            Sample(i, i * 3000, 4000 + i, 2500, 5000, 2400, 101_300, 5, 4900, 5, 0)
            for i in range(60)
        ]
        cycle = {"cycle": 7, "close": 30_000, "open": 90_000, "why": "normal"}
        events = [Event(60, 91_000, "cycle", cycle)]
        journal.commit([message(A, 0, samples, events)])
        with Archive(tmp_path) as archive:
            for _ in range(2):
                rows = archive.closure_rows(T0, T0 + DAY)
                assert set(rows["closure"].values) == {f"{A}-1-0000000a-7"}
                assert rows["elapsed"].values.tolist() == list(range(0, 61, 3))
                assert rows["co2"].values[0] == 401.0
                with Sealer(tmp_path, clock=lambda: T0 + 9 * DAY) as work:
                    work.seal_pending()


def test_records_that_come_again_after_sealing_are_not_stored_twice(tmp_path):
    now = [T0 + HOUR]
    samples = [
        Sample(i, i * 3000, 4000, 2500, 5000, 2400, 101_300, 5, 4900, 9, 0)
        for i in range(100)
    ]
    again = message(A, 0, samples, [])
    with Journal(tmp_path / "journal.sqlite", clock=lambda: now[0]) as journal:
        first = journal.commit([again])
        with Sealer(tmp_path, clock=lambda: T0 + 9 * DAY) as work:
            (done,) = work.seal_pending()
            assert done.rows == 100
            assert [a.seq for a in journal.commit([again])] == [a.seq for a in first]
            late = [s._replace(i=s.i) for s in samples[:5]]
            journal.commit([message(A, 100, late, [])])
            assert [s.rows for s in work.seal_pending()] == [5]
        with Archive(tmp_path) as archive:
            frame = archive.frame(A, T0 - DAY, T0 + DAY)
            means = archive.hourly_means(T0, T0 + DAY)
    assert sorted(frame["seq"]) == list(range(105))
    assert int(means["samples"].sum()) == 105
