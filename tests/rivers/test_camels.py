"""Readers of CAMELS-US basins and USGS discharge: units, flags, traps, bad files."""

import gzip

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.land.emulator.weather import find_weather
from tilth.rivers.readers import (
    read_camels_attributes,
    read_camels_basin,
    read_usgs_daily,
)
from tilth.rivers.readers.camels import snow_share
from tilth.rivers.readers.usgs import FLAGS

WEATHER, FLOW = "01234567_daymet.txt", "01234567_usgs_q_cfs.txt"

GAUGES = ("01022500", "01547700", "02064000", "03015500")

HEADER = (
    "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)"
)
DAYS = (
    "2000 02 28 12\t36000.00\t10.00\t200.00\t0.00\t12.00\t2.00\t600.00",
    "2000 02 29 12\t36000.00\t8.00\t180.00\t0.00\t3.00\t-1.00\t500.00",
    "2000 03 01 12\t36000.00\t4.00\t150.00\t0.00\t-3.00\t-3.00\t400.00",
)
FLOWS = (
    "01234567 2000 02 28   100.00 A",
    "01234567 2000 02 29  -999.00 M",
    "01234567 2000 03 01    35.00 A:e",
)
TOPO = (
    "gauge_id;gauge_lat;gauge_lon;elev_mean;slope_mean;area_gages2;area_geospa_fabric\n"
    "01234567;44.6;-67.9;92.68;17.8;573.6;620.4\n"
)


@pytest.fixture
def folder(tmp_path):
    """Return a folder with one basin of three days, and functions to spoil it."""
    weather = "\n".join([" 44.80", " 1000.00", " 587675987", HEADER, *DAYS]) + "\n"
    (tmp_path / "01234567_daymet.txt").write_text(weather)
    (tmp_path / "01234567_usgs_q_cfs.txt").write_text("\n".join(FLOWS) + "\n")
    (tmp_path / "attr_topo.txt").write_text(TOPO)
    return tmp_path


def change(folder, name, old, new):
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_weather_is_in_the_emulators_units_and_named_as_there(folder):
    basin = read_camels_basin(folder, "01234567")
    np.testing.assert_allclose(basin["temperature"], [280.15, 274.15, 270.15])
    np.testing.assert_allclose(basin["snowfall"], [0.0, 4.0, 4.0])
    np.testing.assert_allclose(basin["rain"] + basin["snowfall"], [10.0, 8.0, 4.0])
    # ICAO standard atmosphere at 1000 m: 898.75 hPa.
    np.testing.assert_allclose(basin["pressure"], 89875.0, rtol=1e-4)
    vapour = np.array([600.0, 500.0, 400.0])
    pressure = basin["pressure"].values
    np.testing.assert_allclose(
        basin["humidity"], 0.622 * vapour / (pressure - 0.378 * vapour), rtol=1e-4
    )
    fields, seconds = find_weather(basin)
    assert seconds == 86400.0
    assert fields.rain.attrs["units"] == "mm day-1"


def test_discharge_is_converted_from_cubic_feet_and_its_codes_are_kept(folder):
    basin = read_camels_basin(folder, "01234567")
    np.testing.assert_allclose(
        basin["discharge"], [2.8316846592, np.nan, 0.99108963072], rtol=1e-12
    )
    meanings = basin["discharge_flag"].attrs["flag_meanings"].split()
    assert [meanings[i] for i in basin["discharge_flag"].values] == [
        "approved", "missing", "approved_estimated",
    ]  # fmt: skip
    assert basin["discharge"].attrs["units"] == "m3 s-1"


def test_days_without_a_row_of_discharge_are_flagged_and_not_left_out(folder):
    change(folder, "01234567_usgs_q_cfs.txt", FLOWS[1] + "\n", "")
    change(folder, "01234567_usgs_q_cfs.txt", "\n" + FLOWS[2], "")
    basin = read_camels_basin(folder, "01234567")
    assert basin.sizes["time"] == 3
    flags = [FLAGS[i] for i in basin["discharge_flag"].values]
    assert flags == ["approved", "no_record", "no_record"]
    assert np.isnan(basin["discharge"].values[1:]).all()


def test_a_negative_discharge_is_no_discharge_and_flagged(folder):
    change(folder, "01234567_usgs_q_cfs.txt", "  35.00", " -35.00")
    series = read_usgs_daily(folder / "01234567_usgs_q_cfs.txt", gauge="01234567")
    assert FLAGS[int(series["discharge_flag"][2])] == "negative"
    assert np.isnan(series["discharge"][2])


def test_a_day_with_only_a_mean_temperature_is_flagged(folder):
    basin = read_camels_basin(folder, "01234567")
    assert basin["temperature_flag"].values.tolist() == [0, 0, 1]


def test_snow_falls_in_the_share_of_the_day_below_one_degree():
    np.testing.assert_allclose(
        snow_share([-4.0, -3.0, 2.0, -10.0], [6.0, 1.0, 9.0, 0.0]), [0.5, 1.0, 0.0, 1.0]
    )
    # Where only the mean is known, snow turns to rain between 0 and 2 degC.
    mean = np.array([-0.1, 0.0, 0.5, 1.0, 2.0, 2.1])
    np.testing.assert_allclose(snow_share(mean, mean), [1, 1, 0.75, 0.5, 0, 0])


def test_the_three_areas_are_kept_and_that_of_the_gauge_is_used(folder):
    basin = read_camels_basin(folder, "01234567")
    assert float(basin["area"]) == 587675987.0
    assert float(basin["area_gages"]) == pytest.approx(573.6e6)
    assert float(basin["area_fabric"]) == pytest.approx(620.4e6)
    assert float(basin["mean_slope"]) == pytest.approx(0.0178)
    assert basin["area"].attrs["units"] == "m2"


def test_compressed_files_and_the_names_of_the_whole_data_set_are_found(folder):
    plain = read_camels_basin(folder, "01234567")
    below = folder / "basin_mean_forcing" / "daymet" / "01"
    below.mkdir(parents=True)
    text = (folder / "01234567_daymet.txt").read_text()
    (folder / "01234567_daymet.txt").unlink()
    name = "01234567_lump_cida_forcing_leap.txt.gz"
    with gzip.open(below / name, "wt") as stream:
        stream.write(text)
    (folder / "01234567_usgs_q_cfs.txt").rename(folder / "01234567_streamflow_qc.txt")
    (folder / "attr_topo.txt").rename(folder / "camels_topo.txt")
    found = read_camels_basin(folder, "01234567")
    assert found.drop_attrs().equals(plain.drop_attrs())
    assert name in found.attrs["source_sha256"]


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (WEATHER, " 44.80\n", "", "in place of the area in m2 stands"),
        (WEATHER, "tmax(C) tmin(C)", "tmin(C) tmax(C)", "the columns are"),
        (WEATHER, "vp(Pa)", "vp(kPa)", "expected dayl"),
        (WEATHER, "\t-3.00\t400.00", "\t-3.", "line 7: 10 of 11 columns"),
        (WEATHER, DAYS[1] + "\n", "", "after 2000-02-28 comes 2000-03-01"),
        (WEATHER, "8.00\t180", "-9999\t180", "prcp is -9999 mm/day on 2000-02"),
        (WEATHER, "12.00\t2.00", "2.00\t12.00", "tmin is above tmax"),
        (WEATHER, "2000 03 01", "2000 02 28", "follows 2000-02-29"),
        (WEATHER, "2000 02 29", "2000 02 30", "date that does not exist"),
        (WEATHER, "600.00", "n/a", "no number"),
        (WEATHER, " 44.80", " 12.00", "the file is of another basin"),
        (FLOW, "35.00 A:e", "35.00 Ice", "code 'Ice' is unknown"),
        (FLOW, "35.00 A:e", "35", "line 3: 5 columns"),
        (FLOW, "35.00", "Eqp", "a discharge is no number"),
        (FLOW, "01234567", "07654321", "not 01234567"),
        ("attr_topo.txt", "01234567", "1234567", "text with leading zeros"),
        ("attr_topo.txt", "gauge_id;", "gauge;", "no column gauge_id"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_with_the_reason(folder, name, old, new, words):
    change(folder, name, old, new)
    with pytest.raises(InputError, match=words.replace("(", r"\(")):
        read_camels_basin(folder, "01234567")


def test_files_that_are_empty_cut_off_or_absent_are_refused(folder):
    with pytest.raises(InputError, match="no weather of the gauge 01234567"):
        read_camels_basin(folder, "01234567", weather="nldas")
    with pytest.raises(InputError, match="weather is one of"):
        read_camels_basin(folder, "01234567", weather="era5")
    with pytest.raises(InputError, match="there is no file"):
        read_usgs_daily(folder / "absent.txt")
    with pytest.raises(InputError, match=r"no attr_clim.txt or camels_clim.txt"):
        read_camels_attributes(folder, "01234567")
    whole = gzip.compress((folder / "01234567_daymet.txt").read_bytes())
    (folder / "01234567_daymet.txt.gz").write_bytes(whole[:-30])
    with pytest.raises(InputError, match="more than once"):
        read_camels_basin(folder, "01234567")
    (folder / "01234567_daymet.txt").unlink()
    with pytest.raises(InputError, match="cut off or is of another kind"):
        read_camels_basin(folder, "01234567")
    (folder / "01234567_usgs_q_cfs.txt").write_text("")
    with pytest.raises(InputError, match="not one day"):
        read_usgs_daily(folder / "01234567_usgs_q_cfs.txt")


@pytest.mark.realdata
@pytest.mark.parametrize("gauge", GAUGES)
def test_every_day_of_the_four_basins_has_weather_and_discharge(dataset, gauge):
    basin = read_camels_basin(dataset("camels-four-basins"), gauge)
    basin = basin.sel(time=slice("2000", "2002"))
    assert basin.sizes["time"] == 1096
    assert int(basin["discharge"].isnull().sum()) == 0
    assert not (basin["temperature_flag"] == 1).all()
    # The published drainage areas are 227, 44.1, 165 and 321 square miles.
    miles = float(basin["area"]) / 2.588881e6
    assert miles == pytest.approx(round(miles, 1), abs=1e-6)
    assert float(basin["area_fabric"] / basin["area_gages"]) < 1.09
    water = (basin["rain"] + basin["snowfall"]).sum("time") * 1e-3 * basin["area"]
    share = float(basin["discharge"].sum("time") * 86400.0 / water)
    assert 0.1 < share < 0.7


@pytest.mark.realdata
def test_nldas_has_but_the_mean_temperature_and_less_rain_than_daymet(dataset):
    folder = dataset("camels-four-basins")
    days = slice("2000", "2002")
    for gauge in GAUGES:
        daymet, nldas = (
            read_camels_basin(folder, gauge, weather=name).sel(time=days)
            for name in ("daymet", "nldas")
        )
        assert (nldas["temperature_flag"] == 1).all()
        wet, dry = (float((b["rain"] + b["snowfall"]).mean()) for b in (daymet, nldas))
        assert 0.7 < dry / wet < 1.0
        np.testing.assert_allclose(
            daymet["temperature"].mean(), nldas["temperature"].mean(), atol=1.5
        )


@pytest.mark.realdata
def test_the_attributes_of_all_tables_are_those_of_the_gauge(dataset):
    found = read_camels_attributes(dataset("camels-four-basins"), "01547700")
    assert found["area_gages2"] == 113.54
    assert found["dom_land_cover"].strip() == "Deciduous Broadleaf Forest"
    assert found["p_mean"] == pytest.approx(3.135013)
    assert found.name == "01547700"
