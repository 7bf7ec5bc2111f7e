import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.fields.quality import (
    check_stations,
    flag_counts,
    flag_table,
)


def records(days=30, **changes):
    rng = np.random.default_rng(0)
    mean = rng.normal(10.0, 4.0, (days, 2))
    data = xr.Dataset(
        {
            "tmin": (("time", "station"), mean - 3.0, {"units": "degC"}),
            "tmean": (("time", "station"), mean, {"units": "degC"}),
            "tmax": (("time", "station"), mean + 4.0, {"units": "degC"}),
            "precip": (
                ("time", "station"),
                rng.exponential(2.0, (days, 2)),
                {"units": "mm day-1"},
            ),
            "hurs": (("time", "station"), np.full((days, 2), 70.0), {"units": "%"}),
            "cloud": (("time", "station"), np.full((days, 2), 8.0)),
        },
        coords={
            "time": pd.date_range("1990", periods=days),
            "station": ["005", "010"],
        },
    )
    for name, value in changes.items():
        data[name][4, 1] = value
    return data


def test_plausible_records_are_clean():
    counts = flag_counts(check_stations(records()))
    assert counts["clean"] == counts["total"] == 60
    assert flag_table(check_stations(records())).empty


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"tmin": 35.1, "tmean": 36.0, "tmax": 44.0}, "tasmin_too_high"),
        ({"tmax": 45.1}, "tasmax_too_high"),
        ({"tmin": 9.0, "tmax": 8.9, "tmean": np.nan}, "tasmin_above_tasmax"),
        ({"tmin": 1.0, "tmean": 0.9, "tmax": 3.0}, "mean_outside"),
        ({"tmin": 1.0, "tmean": 3.1, "tmax": 3.0}, "mean_outside"),
        ({"precip": -0.1}, "negative"),
        ({"precip": 1900.0}, "too_much_rain"),
        ({"hurs": 101.0}, "humidity_too_high"),
        ({"hurs": -1.0}, "negative"),
    ],
)
def test_each_rule_flags_the_day_that_breaks_it_and_no_other(changes, reasons):
    table = flag_table(check_stations(records(**changes)))
    assert table["reasons"].tolist() == [reasons]
    assert table["station"].tolist() == ["010"]
    assert table["time"].tolist() == [pd.Timestamp("1990-01-05")]


def test_readings_in_tenths_may_be_a_rounding_out_of_order():
    quality = check_stations(records(tmin=5.04, tmean=5.0, tmax=5.0))
    assert int((quality != 0).sum()) == 0


def test_a_gap_is_not_flagged():
    quality = check_stations(records(tmin=np.nan, tmax=np.nan, precip=np.nan))
    assert int((quality != 0).sum()) == 0


def test_a_value_that_stays_for_ten_days_is_stuck_and_for_nine_is_not():
    data = records()
    data["tmin"][10:19, 0] = 2.0
    assert flag_counts(check_stations(data))["stuck"] == 0
    data["tmin"][10:20, 0] = 2.0
    data["tmean"][10:20, 0] = np.arange(10) + 3.0
    data["tmax"][10:20, 0] = np.arange(10) + 14.0
    table = flag_table(check_stations(data))
    assert table["reasons"].tolist() == ["stuck"] * 10
    assert (table["station"] == "005").all()


def test_units_decide_and_not_numbers():
    data = records(tmax=46.0)
    for name in ("tmin", "tmean", "tmax"):
        data[name] = (data[name] + 273.15).assign_attrs(units="K")
    assert flag_counts(check_stations(data))["tasmax_too_high"] == 1
    assert flag_counts(check_stations(data, highest_tasmax=50.0))["clean"] == 60


def test_records_that_cannot_be_judged_are_refused():
    with pytest.raises(InputError, match="they hold cloud"):
        check_stations(records()[["cloud"]])
    with pytest.raises(InputError, match="stand for tasmin"):
        check_stations(records().assign(tn=records()["tmin"]))
    bare = records()
    del bare["tmin"].attrs["units"]
    with pytest.raises(InputError, match="units"):
        check_stations(bare)
    with pytest.raises(InputError, match="stuck_days"):
        check_stations(records(), stuck_days=1)


def temperatures(path):
    data = xr.open_dataset(path, engine="h5netcdf")[["tmin", "tmean", "tmax"]].load()
    for name in data.data_vars:
        data[name].attrs["units"] = "degC"
    return data


@pytest.mark.realdata
def test_two_days_of_german_stations_have_a_mean_outside_their_extremes(dataset):
    # The archive's two known cases, of 30 years and eleven stations.
    folder = dataset("germany-stations")
    data = temperatures(folder / "VALUE_11_Germany_multivar_1979-2008.nc")
    assert data.sizes == {"time": 10958, "station": 11}
    quality = check_stations(data)
    table = flag_table(quality)
    found = {
        (row.station, str(row.time.date()), row.reasons) for row in table.itertuples()
    }
    assert found == {
        ("000058", "1980-10-23", "mean_outside"),
        ("000048", "2001-12-01", "mean_outside"),
    }
    counts = flag_counts(quality)
    others = ["tasmin_too_high", "tasmax_too_high", "tasmin_above_tasmax"]
    assert counts[others].sum() == 0
    values = data.sel(station="000058", time="1980-10-23")
    degrees = [float(values[name]) for name in ("tmin", "tmean", "tmax")]
    np.testing.assert_allclose(degrees, [-0.8, -5.2, 0.7])


@pytest.mark.realdata
def test_the_larger_archive_has_blanked_what_was_wrong(dataset):
    folder = dataset("germany-stations")
    data = temperatures(folder / "VALUE_52_Germany_1979-2008.nc")
    quality = check_stations(data)
    assert quality.shape == (10958, 52)
    assert int((quality != 0).sum()) == 0
