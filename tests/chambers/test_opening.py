"""Files of any known format, opened by what they are."""

import numpy as np
import pandas as pd
import pytest

from tilth.chambers.readers.opening import ReadOptions, name_apart, open_closures
from tilth.chambers.simulate.fleet import simulate_closures
from tilth.core.errors import InputError

MAP = (
    "timezone: UTC\n"
    "columns:\n"
    "  when: {variable: time}\n"
    "  co2: {variable: co2, units: ppm, basis: dry}\n"
)


@pytest.fixture
def record(tmp_path):
    """Write two hours of a chamber that closes for 3 of every 10 minutes."""
    seconds = np.arange(0, 7200, 3.0)
    phase = (seconds + 300) % 600
    rng = np.random.default_rng(0)
    rise = np.where(phase < 180, 0.3 * phase, 54.0 * np.exp(-(phase - 180) / 15.0))
    stamps = pd.Timestamp("2023-07-03") + pd.to_timedelta(seconds, unit="s")
    table = pd.DataFrame(
        {"when": stamps, "co2": 450 + rise + rng.normal(0, 1, rise.size)}
    )
    table.to_csv(tmp_path / "record.csv", index=False)
    (tmp_path / "map.yaml").write_text(MAP)
    starts = pd.Timestamp("2023-07-03T00:05:00") + pd.to_timedelta(
        np.arange(12) * 600, unit="s"
    )
    pd.DataFrame(
        {
            "start": starts,
            "end": starts + pd.Timedelta(seconds=180),
            "closure": [f"cycle {i}" for i in range(12)],
            "pot": ["5.10.A"] * 12,
        }
    ).iloc[:11].to_csv(tmp_path / "closures.csv", index=False)
    return tmp_path


def test_a_record_is_cut_by_a_table_of_closures_with_its_labels(record):
    options = ReadOptions(columns=record / "map.yaml", closures=record / "closures.csv")
    (data,) = open_closures(record / "record.csv", "co2", options)
    assert data["closure"].values[:2].tolist() == ["cycle 0", "cycle 1"]
    assert set(data["pot"].values) == {"5.10.A"}
    slopes = [
        np.polyfit(t[np.isfinite(t)], c[np.isfinite(t)], 1)[0]
        for t, c in zip(data["elapsed"].values, data["co2"].values, strict=True)
    ]
    np.testing.assert_allclose(slopes, 0.3, atol=0.02)


def test_a_record_is_cut_where_its_sawtooth_is_found(record):
    options = ReadOptions(columns=record / "map.yaml", detect=True, period=600.0)
    (data,) = open_closures(record / "record.csv", "co2", options)
    assert 10 <= data.sizes["closure"] <= 12
    minutes = pd.DatetimeIndex(data["time"].values).minute % 10
    assert np.mean((minutes == 4) | (minutes == 5)) > 0.9


def test_a_record_without_either_says_what_is_needed(record):
    options = ReadOptions(columns=record / "map.yaml")
    with pytest.raises(InputError, match="--closures"):
        next(open_closures(record / "record.csv", "co2", options))


def test_a_closure_table_without_ends_is_refused_by_name(record):
    (record / "bad.csv").write_text("start\n2023-07-03T00:05:00\n")
    options = ReadOptions(columns=record / "map.yaml", closures=record / "bad.csv")
    with pytest.raises(InputError, match="no column end"):
        next(open_closures(record / "record.csv", "co2", options))


def test_stored_closures_come_in_blocks(tmp_path):
    simulate_closures(10, 20).to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    blocks = list(open_closures(tmp_path / "c.nc", "co2", ReadOptions(block=4)))
    assert [b.sizes["closure"] for b in blocks] == [4, 4, 2]


def test_a_gas_that_is_not_in_the_file_is_named_with_those_that_are(tmp_path):
    simulate_closures(2, 20).to_netcdf(tmp_path / "c.nc", engine="h5netcdf")
    with pytest.raises(InputError, match="n2o"):
        next(open_closures(tmp_path / "c.nc", "n2o"))


@pytest.mark.parametrize(
    ("name", "content", "needle"),
    [
        ("a.txt", "hello\n", "known are"),
        ("a.pdf", "%PDF-1.7\n", "known are"),
        ("a.csv", "x,y\n1,2\n", "--columns"),
        ("a.dat", ";EGM-4 ...\n;Plot, RecNo\n", "--timezone"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_way_out(
    tmp_path, name, content, needle
):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"(?i){needle}"):
        next(open_closures(tmp_path / name))


def test_an_81x_clock_with_two_offsets_a_year_is_refused(tmp_path):
    (tmp_path / "a.81x").write_text("LI-8100:\nObs#:\t1\n")
    with pytest.raises(InputError, match="two"):
        next(
            open_closures(
                tmp_path / "a.81x", options=ReadOptions(timezone="Europe/Berlin")
            )
        )


def test_closures_of_several_files_are_told_apart():
    data = simulate_closures(2, 20)
    alone, prefixed = name_apart(data, "a.nc", False), name_apart(data, "a.nc", True)
    assert alone["closure"].values.tolist() == data["closure"].values.tolist()
    assert prefixed["closure"].values[0] == f"a.nc:{data['closure'].values[0]}"
    assert set(alone["file"].values) == {"a.nc"}


@pytest.mark.realdata
@pytest.mark.parametrize("file", ["rowNumber.81x.gz", "LI8250.82z"])
def test_a_file_cut_short_is_read_or_refused_by_its_own_reader(dataset, tmp_path, file):
    raw = (dataset("licor-examples") / file).read_bytes()
    path = tmp_path / file
    path.write_bytes(raw[: len(raw) // 2])
    if file.endswith(".82z"):
        with pytest.raises(InputError, match="unpacked"):
            next(open_closures(path))
    else:
        data = next(open_closures(path))
        assert 20 < data.sizes["closure"] < 100


def test_a_quiet_stretch_between_gaps_gives_no_closure(record):
    table = pd.read_csv(record / "record.csv", parse_dates=["when"])
    short = table.iloc[:7].assign(when=lambda x: x["when"] + pd.Timedelta(hours=5))
    pd.concat([table, short]).to_csv(record / "gap.csv", index=False)
    options = ReadOptions(columns=record / "map.yaml", detect=True, period=600.0)
    (data,) = open_closures(record / "gap.csv", "co2", options)
    assert pd.DatetimeIndex(data["time"].values).hour.max() < 3
    assert "detection_flag" in data
