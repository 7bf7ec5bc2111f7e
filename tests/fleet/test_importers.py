"""Exports with their traps: read in full, flagged, and refused where they mislead."""

import datetime as dt

import numpy as np
import openpyxl
import pandas as pd
import pytest

from tilth.core.errors import InputError
from tilth.core.flags import count_flags, is_flagged
from tilth.fleet.importers.derived import (
    daily_soil_co2,
    placements_of,
    read_pot_table,
    sensors_alive,
)
from tilth.fleet.importers.fluxbot import (
    hourly_completeness,
    read_fluxbot_fluxes,
    read_fluxbot_log,
)
from tilth.fleet.importers.labels import parse_labels
from tilth.fleet.importers.opening import describe, import_files
from tilth.fleet.importers.placement_list import read_placements
from tilth.fleet.importers.quantities import quantity_of
from tilth.fleet.importers.thingsboard import read_thingsboard
from tilth.fleet.importers.weather import read_ecowitt
from tilth.fleet.placement import Placement
from tilth.fleet.placement_problems import problems

DAY = dt.datetime(2023, 5, 1, 12)


def workbook(path, headers, rows):
    book = openpyxl.Workbook()
    book.active.append(headers)
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


def export(path, labels, rows, time="Timestamp"):
    """Write an export: rows of (days, serial, {label: value})."""
    return workbook(
        path,
        [time, "Entity Name", *labels],
        [
            [
                DAY + dt.timedelta(days=day),
                serial,
                *(values.get(name) for name in labels),
            ]
            for day, serial, values in rows
        ],
    )


# Labels


def test_labels_of_real_files_are_taken_apart():
    texts = [
        "1.0.A.Moisture (was 8.0.A in 2023)",
        "1.0.A.Moisture (was 8.0.A in 2023)2",
        "5.10.A.pH.Steel.40",
        "EC.30.FINE-200.A (aka 000.E)",
        " SoilCO2.000.A",
        "temp_SOIL",
        "LUX.2 (Oben)",
        "3.2.B.Environment",
        "3.2.B.Environment2",
        "3.2.B.Environment3",
        "SoilCO2.MIXED",
        "8.3.A.pH.Basalt.100",
        "Greenhouse Outside Ambient",
    ]
    labels = dict(zip(texts, parse_labels(texts), strict=True))
    moved = labels["1.0.A.Moisture (was 8.0.A in 2023)2"]
    assert (moved.place, moved.former, moved.until) == ("1.0.A", "8.0.A", "2023")
    assert (moved.sensor, moved.channel) == ("Moisture", 2)
    steel = labels["5.10.A.pH.Steel.40"]
    assert (steel.place, steel.sensor, steel.treatment) == ("5.10.A", "pH", "Steel.40")
    fine = labels["EC.30.FINE-200.A (aka 000.E)"]
    assert (fine.place, fine.alias, fine.depth) == ("FINE-200.A", "000.E", "30")
    assert labels[" SoilCO2.000.A"].place == "000.A"
    assert labels["temp_SOIL"].place == ""
    assert (labels["LUX.2 (Oben)"].channel, labels["LUX.2 (Oben)"].place) == (1, "")
    assert [labels[f"3.2.B.Environment{n}"].channel for n in ("", "2", "3")] == [
        1,
        2,
        3,
    ]
    assert labels["SoilCO2.MIXED"].place == "MIXED"
    assert labels["8.3.A.pH.Basalt.100"].channel == 1
    assert labels["Greenhouse Outside Ambient"].place == ""


def test_a_digit_belongs_to_the_label_unless_its_sibling_is_there():
    (alone,) = parse_labels(["pH.Steel.402"])
    assert (alone.channel, alone.text) == (1, "pH.Steel.402")


def test_5_10_and_5_1_are_two_places():
    places = [label.place for label in parse_labels(["5.10.A.pH", "5.1.A.pH"])]
    assert places == ["5.10.A", "5.1.A"]


# What a column holds


def test_a_label_and_a_file_name_that_disagree_are_not_guessed_about(tmp_path):
    path = export(
        tmp_path / "soil_moisture_30cm.xlsx",
        ["EC.30.000.A"],
        [(0, "S1", {"EC.30.000.A": 20.0})],
    )
    with pytest.raises(InputError, match="quantity='soil_moisture'"):
        read_thingsboard(path)
    data = read_thingsboard(path, "soil_moisture")
    assert data["soil_moisture"].attrs["units"] == "%"
    with pytest.raises(InputError, match="no quantity 'water'"):
        read_thingsboard(path, "water")


def test_a_label_that_tells_nothing_is_asked_about(tmp_path):
    path = export(tmp_path / "export.xlsx", ["X"], [(0, "S1", {"X": 1})])
    with pytest.raises(InputError, match=r"say quantity=\.\.\."):
        read_thingsboard(path)


def test_the_channels_of_a_sensor_are_different_quantities():
    file = "Greenhouse Environment 2023.xlsx"
    found = [quantity_of("Environment", n, file) for n in (1, 2, 3)]
    assert found == ["air_co2", "relative_humidity", "air_temperature"]
    assert quantity_of("Moisture", 2, "Greenhouse Soil Moisture2024.xlsx") == "soil_ec"
    assert quantity_of("pH", 1, "x.xlsx", {1: "soil_temperature"}) == "soil_temperature"


# Reading


def test_overlapping_exports_count_once(tmp_path):
    label = "SoilCO2.000.A"
    rows = [(day, "S1", {label: 500.0 + day}) for day in range(10)]
    first = export(tmp_path / "a.xlsx", [label], rows[:7])
    second = export(tmp_path / "b.xlsx", [label, "SoilCO2.100.A"], rows[4:])
    data = read_thingsboard([first, second])
    assert data["soil_co2"].values.tolist() == [500.0 + day for day in range(10)]
    assert (data.attrs["values_read"], data.attrs["repeated_collapsed"]) == (13, 3)
    assert set(data["pot"].values) == {"000.A"}


def test_values_that_contradict_each_other_are_both_kept_and_flagged(tmp_path):
    label = "SoilCO2.000.A"
    first = export(tmp_path / "a.xlsx", [label], [(0, "S1", {label: 500.0})])
    second = export(tmp_path / "b.xlsx", [label], [(0, "S1", {label: 501.0})])
    data = read_thingsboard([first, second])
    assert data["soil_co2"].values.tolist() == [500.0, 501.0]
    assert is_flagged(data["soil_co2_flag"], "contradicted").all()


def test_impossible_values_are_flagged_and_none_is_dropped(tmp_path):
    label = "SoilCO2.000.A"
    values = [0, 399.9, 400, 40_000, 40_000.1, 576_440, -67_969.5, "abc", "1,5"]
    rows = [(day, "S1", {label: value}) for day, value in enumerate(values)]
    data = read_thingsboard(export(tmp_path / "a.xlsx", [label], rows))
    assert data.sizes["row"] == len(values)
    counts = count_flags(data["soil_co2_flag"])
    assert counts["zero"] == 1
    assert counts["below_range"] == 4
    assert counts["above_range"] == 2
    assert counts["at_sensor_limit"] == 1
    assert counts["negative"] == 1
    assert counts["bad_value"] == 1
    assert data["soil_co2"].values[-1] == 1.5  # a decimal comma


def test_an_error_code_of_the_light_sensor_is_no_negative_light(tmp_path):
    label = "LUX.1 (Unten)"
    rows = [(0, "S1", {label: -1}), (1, "S1", {label: 0}), (2, "S1", {label: 900})]
    data = read_thingsboard(export(tmp_path / "light.xlsx", [label], rows))
    flag = data["light_flag"]
    assert is_flagged(flag, "error_code").values.tolist() == [True, False, False]
    assert not is_flagged(flag, "negative", "zero", "below_range").any()


def test_a_german_export_is_an_export(tmp_path):
    path = export(
        tmp_path / "a.xlsx", ["temp_SOIL"], [(0, "S1", {"temp_SOIL": 9})], "Zeitstempel"
    )
    assert read_thingsboard(path)["soil_temperature"].values.tolist() == [9.0]


def test_a_csv_export_is_read_like_a_workbook(tmp_path):
    path = tmp_path / "soil.csv"
    path.write_text(
        "Timestamp;Entity Name;5.10.A.pH.Steel.40\n"
        "2023-05-01 12:00:00;24E124126B224674;7,1\n"
        "2023-05-02 12:00:00;24E124126B224674;\n"
    )
    data = read_thingsboard(path)
    assert data["soil_ph"].values.tolist() == [7.1]
    assert data["pot"].values.tolist() == ["5.10.A"]


def test_a_serial_stored_as_a_number_is_refused(tmp_path):
    path = export(tmp_path / "a.xlsx", ["temp_SOIL"], [(0, 24e124, {"temp_SOIL": 9})])
    with pytest.raises(InputError, match="stored as a number"):
        read_thingsboard(path)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\x00\x01\x02" * 50])
def test_other_files_are_refused_with_what_each_reader_says(tmp_path, content):
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(InputError):
        read_thingsboard(path)
    with pytest.raises(InputError, match="is not known"):
        import_files([path])


def test_what_was_read_is_described(tmp_path):
    label = "SoilCO2.000.A"
    rows = [(0, "S1", {label: 0}), (1, "S1", {label: 900})]
    data = import_files([export(tmp_path / "a.xlsx", [label], rows)])
    (row,) = describe(data).to_dict("records")
    assert (row["values"], row["least"], row["greatest"]) == (2, 0.0, 900.0)
    assert (row["flagged"], row["why"]) == (1, "zero 1, below_range 1")


def test_only_exports_are_read_together(tmp_path):
    first = export(tmp_path / "a.xlsx", ["SoilCO2.000.A"], [(0, "S", {})])
    other = tmp_path / "b.csv"
    other.write_text("date,pot,soil_ph_30cm\n2023-01-01,000.A,7\n")
    with pytest.raises(InputError, match="one by one"):
        import_files([first, other])
    assert import_files([other])["soil_ph_30cm"].values.tolist() == [7.0]


# What follows from them


def test_a_relabelled_sensor_stood_in_both_places_one_after_the_other(tmp_path):
    label = "1.0.A.Moisture (was 8.0.A in 2023)"
    rows = [(day, "S1", {label: 20.0}) for day in (0, 200, 244, 245, 300)]
    data = read_thingsboard(export(tmp_path / "soil_moisture.xlsx", [label], rows))
    first, second = placements_of(data)
    assert (first.loc, second.loc) == ("8.0.A", "1.0.A")
    year_end = np.datetime64("2024-01-01", "ms").astype(int)
    assert first.t_to <= year_end <= second.t_from
    assert problems([first, second]) == []


def test_two_sensors_under_one_label_are_reported(tmp_path):
    label = "5.10.A.pH.Steel.40"
    rows = [(day, serial, {label: 7}) for day in range(3) for serial in ("S1", "S2")]
    data = read_thingsboard(export(tmp_path / "a.xlsx", [label], rows))
    (found,) = problems(placements_of(data))
    assert found.kind == "two_devices_one_code"


def test_a_month_without_values_is_missing_not_zero(tmp_path):
    path = tmp_path / "weekly.csv"
    path.write_text(
        "date,pot,soil_ph_30cm,soil_ec_30cm\n"
        "2023-01-04,000.A,7,\n2023-01-04,000.B,7,5\n2023-01-11,000.A,7,\n"
        "2023-03-01,000.A,,6\n"
    )
    alive = sensors_alive([read_pot_table(path)])
    assert alive.index.tolist() == ["2023-01", "2023-02", "2023-03"]
    assert alive["soil_ph_30cm"].tolist() == [2, pd.NA, pd.NA]
    assert alive["soil_ec_30cm"].tolist() == [1, pd.NA, 1]


# Fluxbots

LOG = (
    "{clock}, Raw CO2 PPM, Filter CO2 PPM, Temp, Pressure, Humidity,"
    " ActuatorState, ERR\n"
    "{t},541,909,21.37,1016.71,62.9,0.75,1\n"
)


def log(path, clock, *times):
    head, row = LOG.splitlines()
    rows = [row.format(t=t) for t in times]
    path.write_text("\n".join([head.format(clock=clock), *rows]) + "\n")
    return path


@pytest.mark.parametrize(
    ("clock", "seconds", "says"),
    [
        ("Sec since 2000", 1_563_678_840, "although it is called"),
        ("Unix Epoch Time", 1_563_678_840, "as 'unix epoch time' says"),
        ("Sec since 2000", 616_994_040, "as 'sec since 2000' says"),
    ],
)
def test_a_clock_that_lies_about_its_epoch_is_found_out(tmp_path, clock, seconds, says):
    data = read_fluxbot_log(log(tmp_path / "a.csv", clock, seconds))
    assert data["time"].values[0] == np.datetime64("2019-07-21T03:14:00")
    assert says in data.attrs["clock"]
    assert data["pressure"].values[0] == pytest.approx(101_671)
    assert is_flagged(data["record_flag"], "sensor_error").all()


@pytest.mark.parametrize("seconds", [5, 99_999_999_999])
def test_a_clock_that_makes_no_sense_is_refused(tmp_path, seconds):
    with pytest.raises(InputError, match="no time between 2018 and today"):
        read_fluxbot_log(log(tmp_path / "a.csv", "Sec since 2000", seconds))


def test_a_clock_that_stands_still_is_flagged(tmp_path):
    begin = 1_563_678_840
    path = log(
        tmp_path / "a.csv", "Unix Epoch Time", begin, begin, begin + 1, begin - 9
    )
    flag = read_fluxbot_log(path)["record_flag"]
    assert is_flagged(flag, "clock_step").values.tolist() == [False, True, False, True]


def test_completeness_counts_hours_between_the_first_and_the_last(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "id,hour_of_obs,final_flux_umolm2sec\n"
        "fluxes_bot7,2023-10-02 22:00:00,1\nfluxes_bot7,2023-10-03,3\n"
        "fluxes_bot7,2023-10-03 02:00:00,NA\nfluxes_bot7,2023-10-03 03:00:00,2\n"
    )
    (row,) = hourly_completeness(read_fluxbot_fluxes(path)).to_dict("records")
    assert (row["hours"], row["span"], row["median_flux"]) == (3, 6, 2.0)


# Lists of placements


def test_a_list_of_placements_keeps_its_codes(tmp_path):
    path = workbook(
        tmp_path / "list.xlsx",
        ["Device", "Location", "From", "To"],
        [
            ["01:23:45:67:89:AB", "5.10.A", dt.datetime(2023, 5, 1), None],
            ["ba9876543210", "5.1.A", "2023-05-01 12:00", dt.datetime(2023, 6, 1)],
        ],
    )
    first, second = read_placements(path)
    may = 1_682_899_200_000
    assert first == Placement("0123456789ab", "5.10.A", may, None, "import")
    assert (second.loc, second.t_from) == ("5.1.A", may + 12 * 3_600_000)
    assert second.t_to == 1_685_577_600_000


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (["0123456789ab", 5.1, "2023-05-01"], "row 2: .*5.10 turns into 5.1"),
        ([123456789012, "5.10.A", "2023-05-01"], "is no device"),
        (["0123456789ab", "5.10", "2023-05-01"], "no location code"),
        (["0123456789ab", "5.10.A", 45047], "is no time"),
        (["0123456789ab", "5.10.A", None], "is missing"),
    ],
)
def test_a_row_that_will_not_do_is_named(tmp_path, row, says):
    path = workbook(tmp_path / "list.xlsx", ["device", "location", "from"], [row])
    with pytest.raises(InputError, match=says):
        read_placements(path)


def test_a_list_without_a_column_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("device,from\nx,y\n")
    with pytest.raises(InputError, match="no column location"):
        read_placements(path)


# The real files


@pytest.mark.realdata
def test_the_exports_of_twenty_sensors_give_the_published_soil_co2(dataset):
    folder = dataset("carbdown-fleet-xxl") / "soil_co2_by_pot_raw"
    published = pd.read_csv(
        dataset("carbdown-xxl") / "soil_co2_by_pot_daily.csv.gz", dtype={"pot_id": str}
    )
    files = sorted(folder.glob("*.xlsx"))
    data = read_thingsboard(files)
    assert len(files) == 12
    assert data.attrs["values_read"] == 16_682
    pairs = set(zip(data["label"].values, data["device"].values, strict=True))
    assert len(pairs) == len({p[0] for p in pairs}) == len({p[1] for p in pairs}) == 20
    # The lysimeters' pots are no codes of the greenhouse; nothing else is wrong.
    assert {p.kind for p in problems(placements_of(data))} == {"illegal_code"}
    clean = daily_soil_co2(data)
    # The authors call the sensor SoilCO2.MIXED by the pot it is in.
    pot = np.where(clean["pot"] == "MIXED", "FINE200.MIXED", clean["pot"])
    ours = pd.DataFrame(
        {
            "date": clean["time"].values.astype("datetime64[D]").astype(str),
            "pot_id": pot.astype(object),
            "value": clean["soil_co2"].values,
        }
    )
    both = published.merge(ours, on=["date", "pot_id"])
    assert len(both) == len(published) == len(ours) == 11_864
    assert both["pot_id"].nunique() == 20
    assert np.abs(both["value"] - both["soil_co2_ppm"]).max() <= 0.05 + 1e-9
    by_pot = published.groupby("pot_id")["soil_co2_ppm"].agg(["size", "median"])
    assert by_pot.loc["100.A"].tolist() == [803, 2489.6]
    assert by_pot.loc["200.D"].tolist() == [359, 1645.9]
    mine = ours[ours["pot_id"] == "000.A"]
    assert (len(mine), mine["date"].max()) == (393, "2023-09-21")


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "rows", "zeros", "low", "high"),
    [
        ("control_dotted_vs._100_t_ha", 2180, 2, 80, 0),
        ("control_dotted_vs._100_t_ha_1", 2378, 16, 17, 28),
        ("control_dotted_vs._100_t_ha_2", 352, 0, 0, 35),
        ("control_dotted_vs._400_t_ha_1", 2322, 62, 51, 36),
    ],
)
def test_each_export_has_its_known_traps(dataset, name, rows, zeros, low, high):
    folder = dataset("carbdown-fleet-xxl") / "soil_co2_by_pot_raw"
    data = read_thingsboard(folder / f"timeseries_line_chart_{name}.xlsx")
    counts = count_flags(data["soil_co2_flag"])
    assert data.sizes["row"] == rows
    assert counts["zero"] == zeros
    assert counts["below_range"] - zeros == low
    assert counts["above_range"] == high


#: Pots with a living sensor: moisture, EC and pH at 30 and 60 cm, as published
#: (monitoring_sensor_survivorship.csv, version 1.4, CC-BY-4.0).
ALIVE = {
    "2022-05": (18, 20, 18, 20, 19, 20),
    "2022-10": (19, 20, 19, 20, 17, 20),
    "2023-06": (13, 15, 13, 15, 15, 17),
    "2023-12": (8, 12, 8, 12, 17, 16),
    "2024-09": (5, 8, 5, 8, 13, 9),
    "2025-05": (4, 8, 4, 8, 11, 9),
}


@pytest.mark.realdata
def test_the_dying_of_the_sensors_is_as_published(dataset):
    folder = dataset("carbdown-fleet-xxl")
    soil = daily_soil_co2(
        read_thingsboard(sorted((folder / "soil_co2_by_pot_raw").glob("*.xlsx")))
    )
    weekly = read_pot_table(folder / "sensor_potlevel_weekly.csv")
    alive = sensors_alive([weekly, soil])
    columns = [f"soil_{q}_{d}cm" for q in ("moisture", "ec", "ph") for d in (30, 60)]
    for month, expected in ALIVE.items():
        assert tuple(alive.loc[month, columns]) == expected, month
    assert alive.loc["2025-09", columns].isna().sum() == 5
    # Soil CO2: nobody measured before August 2022 or after March 2025.
    assert pd.isna(alive.loc["2022-07", "soil_co2"])
    assert alive.loc["2022-08", "soil_co2"] == 4
    assert alive["soil_co2"].max() == 20
    assert not (alive == 0).any().any()


@pytest.mark.realdata
def test_a_file_whose_columns_are_called_ec_holds_moisture(dataset):
    folder = dataset("carbdown-fleet-xxl")
    path = folder / "soil_moisture_30cm.xlsx"
    with pytest.raises(InputError, match="soil_ec, the file soil_moisture"):
        read_thingsboard(path)
    data = read_thingsboard(path, "soil_moisture")
    weekly = read_pot_table(folder / "sensor_potlevel_weekly.csv")
    greatest = float(data["soil_moisture"].max())
    assert greatest == pytest.approx(float(weekly["soil_moisture_30cm"].max()))
    assert greatest == pytest.approx(34.07, abs=0.005)
    alias = dict(zip(data["pot"].values, data["alias"].values, strict=True))
    assert alias["FINE-200.A"] == "000.E"


@pytest.mark.realdata
def test_one_label_for_nineteen_sensors_names_no_place(dataset):
    path = dataset("carbdown-fleet-xxl") / "soil_temperature_30cm.xlsx"
    data = read_thingsboard(path)
    assert len(set(data["device"].values)) == 19
    assert set(data["pot"].values) == {""}
    assert placements_of(data) == []


@pytest.mark.realdata
def test_impossible_values_of_the_real_files_are_flagged(dataset):
    xxl, house = dataset("carbdown-fleet-xxl"), dataset("carbdown-fleet-greenhouse")
    co2 = read_thingsboard(xxl / "co2_concentrations.xlsx")
    assert float(co2["soil_co2"].max()) == pytest.approx(576_440.48, abs=0.01)
    assert count_flags(co2["soil_co2_flag"])["above_range"] == 6
    soil = read_thingsboard(
        house / "greenhouse_soil_temperature_2023.xlsx", "soil_temperature"
    )
    hot = soil.isel(row=is_flagged(soil["soil_temperature_flag"], "above_range").values)
    worst = hot["soil_temperature"].to_series().groupby(hot["pot"].values).max()
    assert worst["8.2.A"] == pytest.approx(91.6, abs=0.01)
    assert worst["9.0.D"] == pytest.approx(65.9, abs=0.02)
    assert "5.10.A" in set(soil["pot"].values)
    assert "5.1.A" not in set(soil["pot"].values)
    moisture = read_thingsboard(house / "greenhouse_soil_moisture_ec_2023.xlsx")
    assert count_flags(moisture["soil_ec_flag"])["zero"] == 30
    light = read_thingsboard(house / "greenhouse_light_2023.xlsx")
    assert float(light["light"].max()) == pytest.approx(28_077.65)


@pytest.mark.realdata
def test_the_published_tables_of_codes_stored_as_numbers_are_refused(dataset):
    folder = dataset("carbdown-greenhouse")
    path = folder / "efflux_2023_hourly_per_variant.csv"
    with pytest.raises(InputError, match="lost digits"):
        import_files([path])
    data = import_files([path], repair=True)
    assert {"5.10", "5.1"} <= set(data["variant"].values)
    assert is_flagged(data["efflux_flag"], "variant_restored").sum() == 403


@pytest.mark.realdata
def test_soil_co2_far_below_zero_and_on_the_rail_is_flagged(dataset):
    path = dataset("carbdown-greenhouse") / "soil_pco2_2023_daily_per_replica.csv.gz"
    data = import_files([path])
    assert float(data["soil_co2"].min()) == -67_969.5
    assert float(data["soil_co2"].max()) == 40_000.0
    counts = count_flags(data["soil_co2_flag"])
    assert (counts["negative"], counts["at_sensor_limit"]) == (1, 464)


@pytest.mark.realdata
def test_the_weather_station_is_read_through_its_two_headers(dataset):
    data = read_ecowitt(dataset("carbdown-fleet-xxl") / "onsite_ecowitt_raw.xlsx")
    assert data.sizes["time"] == 709
    first = data.isel(time=0)
    assert float(first["outdoor_temperature"]) == 18.7
    assert float(first["pressure_absolute"]) == 982.4
    assert data["outdoor_temperature"].attrs["units"] == "degC"
    assert np.isnan(float(first["indoor_feels_like"]))


@pytest.mark.realdata
def test_the_completeness_of_the_fluxbots_is_counted_again(dataset):
    counted = hourly_completeness(
        read_fluxbot_fluxes(dataset("fluxbot") / "HF_fluxbot_estimates_fall2023.csv.gz")
    )
    path = dataset("fluxbot-completeness") / "fluxbot_completeness.csv"
    listed = pd.read_csv(path, dtype={"bot": str}).set_index("bot")
    ours = counted.loc[listed.index]
    assert ours["hours"].tolist() == listed["n_hours_with_flux"].tolist()
    assert ours["span"].tolist() == listed["span_h"].tolist()
    assert np.abs(ours["completeness"] - listed["completeness"]).max() <= 0.005 + 1e-9
    assert listed["completeness"].median() == 0.73
    assert round(ours["completeness"].median(), 2) in (0.73, 0.74)


@pytest.mark.realdata
def test_the_clock_of_a_real_log_is_found_out(dataset):
    folder = dataset("fluxbot")
    lying = read_fluxbot_log(folder / "airtightness_nolip.csv")
    assert lying["time"].values[0] == np.datetime64("2019-07-21T03:14:00")
    assert "although it is called 'sec since 2000'" in lying.attrs["clock"]
    honest = read_fluxbot_log(folder / "kitchen_test_2020-02-01.csv")
    assert honest["time"].values[0] == np.datetime64("2020-02-01T00:00:43")
