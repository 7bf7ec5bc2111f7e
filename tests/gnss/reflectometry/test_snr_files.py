"""Days of signal-to-noise ratios, their files and their cache."""

import datetime
import gzip

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.gnss.reflectometry.day_cache import read_day, write_day
from tilth.gnss.reflectometry.signals import BANDS
from tilth.gnss.reflectometry.snr_days import (
    channels_of,
    check_day,
    snr_day,
    snr_resolution,
)
from tilth.gnss.reflectometry.snr_files import date_in_name, read_snr, write_snr

LINE = " 25    5.1234  100.0000      30.0  0.001000   0.00  41.20  38.00   0.00\n"


def a_day(**about):
    given = {"station": "abcd", "date": "2025-01-11"} | about
    return snr_day([5, 105], [6.0, 7.0], [10, 350], [0, 0], {"s1": [44.1, 0]}, **given)


@pytest.mark.realdata
def test_every_number_of_a_real_file_is_read_to_the_last_bit(dataset):
    path = dataset("mchl-reflections") / "mchl0110.25.snr66.gz"
    day = read_snr(path)
    with gzip.open(path) as stream:
        slow = np.loadtxt(stream)
    names = ["satellite", "elevation", "azimuth", "second", "elevation_rate", *BANDS]
    for column, name in enumerate(names):
        np.testing.assert_array_equal(np.nan_to_num(day[name].values), slow[:, column])
    assert (day.attrs["station"], day.attrs["date"]) == ("mchl", "2025-01-11")
    assert day["s1"].attrs["resolution"] == 0.1


@pytest.mark.realdata
def test_a_real_file_is_written_again_byte_by_byte(dataset, tmp_path):
    path = dataset("mchl-reflections") / "mchl0110.25.snr66.gz"
    again = write_snr(read_snr(path), tmp_path)
    assert again.name == path.name
    assert gzip.decompress(again.read_bytes()) == gzip.decompress(path.read_bytes())


@pytest.mark.realdata
def test_a_kept_day_is_the_same_in_every_value_and_attribute(dataset, tmp_path):
    day = read_snr(dataset("mchl-reflections") / "mchl0110.25.snr66.gz")
    day.attrs["glonass_channels"] = "1:1 2:-4"
    day["satellite"].attrs["flag_masks"] = np.array([1, 2], "int32")
    write_day(day, tmp_path / "day.parquet")
    again = read_day(tmp_path / "day.parquet")
    assert again.identical(day)
    assert again["satellite"].attrs["flag_masks"].dtype == "int32"


def test_kinds_of_files_keep_their_elevations(tmp_path):
    e = [-1.0, 3.0, 5.0, 8.0, 20.0, 30.0, 60.0]
    ones = np.ones(7)
    day = snr_day(
        ones, e, 90 * ones, np.arange(7), {"s1": 40 * ones}, station="abcd",
        date="2025-01-11",
    )  # fmt: skip
    kept = {
        kind: read_snr(write_snr(day, tmp_path, kind))["elevation"].values.tolist()
        for kind in (66, 99, 88, 50)
    }
    assert kept == {66: e[:-1], 99: [8.0, 20.0, 30.0], 88: e, 50: e[:4]}


def test_a_ratio_of_zero_is_none(tmp_path):
    (tmp_path / "abcd0010.24.snr66").write_text(LINE)
    day = read_snr(tmp_path / "abcd0010.24.snr66")
    assert np.isnan(day["s6"].values).all()
    assert day["s1"].values.tolist() == [41.2]
    assert np.isnan(day["s8"].values).all()  # a file without the last columns


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("% a header\n" + LINE, "line 1: not a row of numbers"),
        (LINE + LINE.replace("41.20", "nan"), "line 2: not a row of numbers"),
        (LINE + LINE.replace("41.20", "41.2.0"), "line 2: not a row of numbers"),
        (LINE + "25 5.1 100.0\n", "line 2: 3 columns"),
        ("1 2 3\n", "line 1: 3 columns"),
        ("", "not a row of numbers"),
        (LINE.replace("100.0000", "500.0000"), "azimuth of observation 0 is 500"),
        (LINE.replace("30.0", "99999.0"), "second of observation 0 is 99999"),
        (LINE.replace("41.20", "341.20"), "s1 of observation 0 is 341.2"),
        (LINE.replace(" 25 ", "900 "), "satellite of observation 0 is 900"),
    ],
)
def test_files_that_are_something_else_are_refused(tmp_path, content, message):
    path = tmp_path / "abcd0010.24.snr66"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_snr(path)


def test_a_file_cut_off_in_the_middle_is_refused(tmp_path):
    path = tmp_path / "abcd0010.24.snr66.gz"
    path.write_bytes(gzip.compress(LINE.encode() * 1000)[:-20])
    with pytest.raises(InputError, match="damaged or was not copied to its end"):
        read_snr(path)


def test_a_name_tells_station_and_day_or_is_refused():
    assert date_in_name("SG270600.99.snr88") == ("sg27", datetime.date(1999, 3, 1))
    assert date_in_name("mchl0120_first2h.25.snr66.gz")[1].isoformat() == "2025-01-12"
    for name in ("data.txt", "mchl0000.25.snr66", "mchl.25.snr66"):
        with pytest.raises(InputError, match="does not tell station and day"):
            date_in_name(name)


def test_a_day_without_a_telling_name_can_be_named(tmp_path):
    (tmp_path / "rows.txt").write_text(LINE)
    day = read_snr(tmp_path / "rows.txt", station="abcd", date="2024-01-01")
    assert day.attrs["date"] == "2024-01-01"


def test_a_parquet_file_of_something_else_is_refused(tmp_path):
    import pandas as pd

    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(InputError, match="not kept by write_day"):
        read_day(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"nothing")
    with pytest.raises(InputError, match="damaged or no Parquet file"):
        read_day(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([42.0, 36.0, 54.0], 6.0),
        ([42.0, 37.0], 1.0),
        ([42.5, 37.0], 0.5),
        ([42.25, 37.5], 0.25),
        ([42.1, 37.5], 0.1),
        ([42.13, 37.5], 0.0),
    ],
)
def test_the_step_of_rounded_ratios_is_found(values, step):
    assert snr_resolution([*values, np.nan]) == step


def test_channels_of_glonass_come_back_as_given():
    day = a_day(glonass_channels={2: -4, 1: 1})
    assert channels_of(day) == {1: 1, 2: -4}
    assert channels_of(a_day()) == {}


def test_columns_must_be_of_one_length_and_bands_known():
    with pytest.raises(InputError, match="elevation has the shape"):
        snr_day([1, 2], [5.0], [0, 0], [0, 0], {}, station="abcd", date="2025-01-11")
    with pytest.raises(InputError, match="no band s3"):
        snr_day([1], [5], [0], [0], {"s3": [4]}, station="abcd", date="2025-01-11")
    with pytest.raises(InputError, match="a day is written like"):
        a_day(date="11.1.2025")
    with pytest.raises(InputError, match="needs the attribute date"):
        check_day(a_day().assign_attrs(date=1).drop_attrs().assign_attrs(station="a"))
