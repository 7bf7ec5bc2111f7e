"""The interface for programs, exports, and readings drawn to the width of a screen."""

import csv
import io

import numpy as np
import pyarrow.parquet as pq
import pytest
from generated_fleet import NOW
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.fleet.clock import DAY_MS
from tilth.web.api import ENDPOINTS
from tilth.web.decimate import columns_of

DEVICE = "a4cf1201017b"


def test_every_address_of_the_interface_answers_with_json_and_is_described(
    client, fleet
):
    cycle = fleet.cycles(NOW - 3_600_000, NOW, DEVICE)[0]
    for one in ENDPOINTS:
        path = one.path.replace("{device}", DEVICE).replace("{boot}", cycle.boot)
        answer = client.get(path.replace("{seq:int}", str(cycle.seq)))
        assert answer.status_code == 200, path
        assert answer.json()
        assert one.about
    listed = client.get("/api/", headers={"accept": "application/json"}).json()
    assert len(listed) == len(ENDPOINTS)
    assert all(
        one.path.replace(":int", "") in client.get("/api/").text for one in ENDPOINTS
    )


def test_what_is_not_known_is_null_never_nan(client, fleet):
    series = fleet.variants(NOW - DAY_MS, NOW)
    series[0].flux[:] = np.nan
    fleet.variants = lambda *span: series
    assert client.get("/api/variants").json()["variants"][0]["flux"][0] is None


def test_a_location_stays_text_in_every_form(client):
    fleet = client.get("/api/fleet").json()["devices"]
    assert {"5.1.A", "5.10.A"} <= {tile["loc"] for tile in fleet}
    text = client.get("/export/fluxes.csv?span=3h").text
    assert '"5.10.A"' in text


def test_a_day_of_readings_is_reduced_to_the_width_of_the_screen(client):
    query = f"channels=co2,at&columns=600&start={NOW - DAY_MS}&end={NOW}"
    answer = client.get(f"/api/devices/{DEVICE}/trace?{query}").json()
    trace = answer["traces"]["co2"]
    assert trace["count"] == 28_800
    assert len(trace["t"]) == 600
    assert all(
        low <= high for low, high in zip(trace["low"], trace["high"], strict=True)
    )
    assert len(answer["closures"]) == 144


@pytest.mark.parametrize(
    "query",
    [
        "channels=secret",
        "columns=many",
        "start=x",
        "start=5&end=4",
        "end=99999999999999999",
    ],
)
def test_a_bad_question_is_answered_400_with_a_sentence(client, query):
    answer = client.get(f"/api/devices/{DEVICE}/trace?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_an_unknown_device_or_closure_is_404_in_json(client):
    for path in (
        "/api/devices/0123456789ab",
        f"/api/devices/{DEVICE}/cycles/2a-9f3c1d77/999999",
        f"/api/devices/{DEVICE}/cycles/nonsense/1",
    ):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"]


# Decimation


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 9_999), st.floats(-1e6, 1e6) | st.just(np.nan)),
        max_size=300,
    ),
    st.integers(1, 50),
)
def test_no_extreme_is_lost_and_none_is_invented(points, columns):
    t = np.array([point[0] for point in points], np.int64)
    values = np.array([point[1] for point in points], float)
    at, low, high = columns_of(t, values, 0, 10_000, columns)
    known = values[np.isfinite(values)]
    drawn = np.isfinite(low)
    assert np.all(np.diff(at) >= 0)
    assert drawn.sum() <= max(columns, 1)
    assert drawn.any() == bool(len(known))
    if len(known):
        assert np.nanmin(low) == known.min()
        assert np.nanmax(high) == known.max()
        assert np.all(low[drawn] <= high[drawn])


def test_a_single_spike_of_one_sample_in_a_day_is_seen():
    t = np.arange(0, DAY_MS, 3_000)
    values = np.full(len(t), 430.0)
    values[12_345] = 4_000.0
    _, _, high = columns_of(t, values, 0, DAY_MS, 800)
    assert high.max() == 4_000.0
    assert (high > 430.0).sum() == 1


def test_no_line_is_drawn_across_a_gap():
    t = np.concatenate(
        [np.arange(0, 3_600_000, 3_000), np.arange(7_200_000, DAY_MS, 3_000)]
    )
    at, low, _ = columns_of(t, np.ones(len(t)), 0, DAY_MS, 500)
    gaps = at[np.isnan(low)]
    assert len(gaps) == 1
    assert 3_600_000 < gaps[0] < 7_200_000


def test_few_readings_are_drawn_as_they_are():
    t = np.array([100, 200, 300])
    at, low, high = columns_of(t, np.array([1.0, 5.0, 2.0]), 0, 1000, 100)
    assert at.tolist() == [100, 200, 300]
    assert low.tolist() == high.tolist() == [1.0, 5.0, 2.0]


def test_two_minutes_of_a_large_fleet_take_milliseconds():
    import time

    t = np.arange(0, 30 * DAY_MS, 3_000)
    values = np.random.default_rng(0).normal(430, 5, len(t))
    begun = time.perf_counter()
    columns_of(t, values, 0, 30 * DAY_MS, 1200)
    assert time.perf_counter() - begun < 1.0


# Export


def test_exported_readings_are_those_that_are_asked_for(client):
    start, end = NOW - 3_600_000, NOW
    text = client.get(
        f"/export/samples.csv?device={DEVICE}&start={start}&end={end}"
    ).text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 1200
    assert {row["device"] for row in rows} == {DEVICE}
    assert rows[0]["location"] == "5.1.B"
    assert rows[0]["time"].endswith("Z")


def test_parquet_and_csv_hold_the_same(client):
    query = f"device={DEVICE}&start={NOW - DAY_MS}&end={NOW}"
    answer = client.get(f"/export/fluxes.parquet?{query}")
    assert "attachment" in answer.headers["content-disposition"]
    table = pq.read_table(io.BytesIO(answer.content))
    rows = list(
        csv.DictReader(io.StringIO(client.get(f"/export/fluxes.csv?{query}").text))
    )
    assert table.num_rows == len(rows)
    assert table["flux"].to_pylist() == [float(row["flux"]) for row in rows]
    assert table.schema.field("location").type == "string"


def test_a_long_export_is_sent_while_it_is_made(client, fleet):
    made = []
    whole = fleet.sample_batches

    def watched(*span):
        for batch in whole(*span):
            made.append(batch.num_rows)
            yield batch

    fleet.sample_batches = watched
    query = f"start={NOW - 8 * DAY_MS}&end={NOW}&device={DEVICE}"
    parts = client.get(f"/export/samples.parquet?{query}")
    assert len(made) == 8
    assert pq.read_table(io.BytesIO(parts.content)).num_rows == sum(made)


def test_parquet_leaves_in_groups_while_more_is_read():
    import pyarrow as pa

    from tilth.web.export import parquet_chunks

    read = []

    def batches():
        for i in range(8):
            read.append(i)
            yield pa.record_batch({"x": np.arange(100_000) + i})

    chunks = parquet_chunks(batches())
    first = next(chunks)
    assert len(read) == 2
    rest = b"".join(chunks)
    table = pq.read_table(io.BytesIO(first + rest))
    assert table.num_rows == 800_000


def test_an_empty_export_is_a_file_all_the_same(client, fleet):
    fleet.sample_batches = lambda *span: iter(())
    assert client.get("/export/samples.csv").status_code == 200
    content = client.get("/export/samples.parquet").content
    assert pq.read_table(io.BytesIO(content)).num_rows == 0


def test_only_so_many_exports_at_a_time(client):
    room = client.app.state.room
    room.exports = 3
    assert client.get("/export/samples.csv").status_code == 429
    room.exports = 0
    assert client.get("/export/fluxes.csv").status_code == 200
    assert room.exports == 0
