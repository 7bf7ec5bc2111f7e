"""PP Systems files: small ones written here in the instruments' own format."""

import numpy as np
import pytest

from tilth.chambers.readers.egm import read_egm
from tilth.chambers.readers.records import cut_closures
from tilth.core.errors import InputError
from tilth.core.flags import count_flags

HEADER = (
    "Plot\tRecNo\tDay\tMonth\tHour\tMin\tCO2 Ref\tmb Ref\tmbR Temp\tInput A\tInput B\t"
    "Input C\tInput D\tInput E\tInput F\tInput G\tInput H\tATMP\tProbe Type"
)


def egm4_row(
    plot, number, day, month, hour, minute, co2, elapsed, probe="08", mb="15.7"
):
    return (
        f"{plot}\t{number:04d}\t{day:02d}\t{month:02d}\t{hour:02d}\t{minute:02d}\t"
        f"{co2:05d}\t{mb}\t+27.3\t0000\t043.4\t000.0\t0000\t{elapsed:04d}\t+00.00\t00\t"
        f"00\t0981\t{probe}"
    )


def egm4_file(path, rows):
    head = [";EGM-4 Data", ";SoftwareVersion=1.05", f";{HEADER}"]
    lines = [*head, *rows, f";Received {len(rows)} record(s)"]
    path.write_text("\r\n".join(lines) + "\r\n", encoding="latin-1")
    return path


def closure(plot, start, seconds, co2=414, minute0=43):
    """One closure as the analyser logs it: minute stamps, whole elapsed seconds."""
    return [
        egm4_row(plot, i + 1, 7, 6, 11, minute0 + (start + e) // 60, co2 + i, e)
        for i, e in enumerate(seconds)
    ]


def test_the_minute_stamps_and_elapsed_seconds_pin_the_closing_time(tmp_path):
    # Closing at 11:43:37 true time, a record every 5 s: two minute changes seen.
    file = egm4_file(tmp_path / "e.dat", closure("40", 37, range(0, 125, 5)))
    record = read_egm(file, timezone="UTC", year=2021)
    truth = np.datetime64("2021-06-07T11:43:37")
    error = (record["time"].values[0] - truth) / np.timedelta64(1, "s")
    assert abs(error) <= record.attrs["clock_uncertainty"] <= 2.5
    steps = np.diff(record["time"].values) / np.timedelta64(1, "s")
    assert (steps == 5.0).all()
    assert record["instrument_time"].values[0] == np.datetime64("2021-06-07T11:43:00")


def test_each_closure_of_the_soil_chamber_is_numbered_and_can_be_cut(tmp_path):
    rows = closure("40", 10, range(0, 60, 5)) + closure(
        "41", 5, range(0, 60, 5), 420, 49
    )
    record = read_egm(egm4_file(tmp_path / "e.dat", rows), timezone="UTC", year=2021)
    number = record["chamber_closure"].values
    assert number[[0, 11, 12, 23]].tolist() == [1, 1, 2, 2]
    t = record["time"].values
    closures = cut_closures(record, t[[0, 12]], t[[11, 23]])
    assert closures["plot"].values.tolist() == ["40", "41"]
    assert closures["elapsed"].values[1, -1] == 55.0


def test_egm_vapour_is_its_pressure_over_the_pressure_of_the_air(tmp_path):
    record = read_egm(
        egm4_file(tmp_path / "e.dat", closure("40", 0, [0, 5])),
        timezone="UTC",
        year=2021,
    )
    assert record["h2o"].values[0] == pytest.approx(15.7 / 981 * 1e3)
    assert record["pressure"].values[0] == pytest.approx(98100.0)
    assert record["co2"].attrs["basis"] == "wet"


def test_a_missing_vapour_sensor_gives_no_vapour_rather_than_zero(tmp_path):
    rows = [egm4_row("67", 1, 13, 2, 16, 50, 507, 0, probe="01", mb="00.0")]
    record = read_egm(egm4_file(tmp_path / "e.dat", rows), timezone="UTC", year=2014)
    assert "h2o" not in record
    assert record["chamber_closure"].item() == 0


def test_records_without_seconds_stay_on_the_minute_and_are_flagged_as_repeats(
    tmp_path,
):
    rows = [egm4_row("67", 1, 13, 2, 16, 51, 500 + i, 0, probe="01") for i in range(3)]
    record = read_egm(egm4_file(tmp_path / "e.dat", rows), timezone="UTC", year=2014)
    assert count_flags(record["record_flag"])["duplicate_time"] == 2
    assert record.attrs["clock_uncertainty"] == 30.0


def test_the_year_is_asked_for_and_turns_over_at_new_year(tmp_path):
    rows = [
        egm4_row("1", 1, 31, 12, 23, 59, 400, 0, probe="01"),
        egm4_row("1", 2, 1, 1, 0, 0, 400, 0, probe="01"),
    ]
    file = egm4_file(tmp_path / "e.dat", rows)
    with pytest.raises(InputError, match="year=2024"):
        read_egm(file, timezone="UTC")
    record = read_egm(file, timezone="UTC", year=2023)
    years = record["time"].values.astype("datetime64[Y]").astype(str)
    assert years.tolist() == ["2023", "2024"]


def test_a_file_with_decimal_commas_reads_the_same(tmp_path):
    rows = closure("40", 0, [0, 5, 10])
    point = read_egm(egm4_file(tmp_path / "p.dat", rows), timezone="UTC", year=2021)
    comma = egm4_file(tmp_path / "c.dat", [row.replace(".", ",") for row in rows])
    np.testing.assert_array_equal(
        read_egm(comma, timezone="UTC", year=2021)["h2o"], point["h2o"]
    )


def test_damaged_egm_records_are_counted(tmp_path):
    rows = closure("40", 0, [0, 5, 10])
    rows[1] = rows[1][:30]
    rows.append(egm4_row("40", 9, 99, 6, 11, 44, 414, 15))  # day 99
    record = read_egm(egm4_file(tmp_path / "e.dat", rows), timezone="UTC", year=2021)
    assert record.sizes["time"] == 2
    assert record.attrs["bad_rows"] == 2


EGM5_HEADER = (
    "Tag(M3),Date,Time,Plot_No,Rec_No,CO2,Pressure,Flow,H2O,Tsen,O2,Error,Aux_V,PAR,"
    "Tsoil,Tair,Msoil,x1,x2,x3,x4,x5"
)


def egm5_row(second, co2, tag="M5", plot=6):
    return (
        f"{tag},11/10/23,09:28:{second:02d},{plot:6d},{828 + second:6d},{co2:6d},"
        "  954.3, 300, 12.0, 23.0, 0.0,  0, 0.0000,    15,23.3,25.0,35.5,"
        f" {co2 - 423},{second:6d}, 0.0000, 0.0000"
    )


def egm5_file(path, lines):
    path.write_text("\n".join([EGM5_HEADER, "", *lines]) + "\n")
    return path


def test_egm5_dates_are_day_month_as_its_manual_says(tmp_path):
    lines = ["Zero", "Start", egm5_row(6, 423), egm5_row(7, 424), "End"]
    record = read_egm(egm5_file(tmp_path / "e.TXT", lines), timezone="UTC")
    assert record["time"].values[0] == np.datetime64("2023-10-11T09:28:06")
    assert record["plot"].values[0] == "6"
    assert record["temperature"].values[0] == 25.0
    assert record["h2o"].values[0] == pytest.approx(12.0 / 954.3 * 1e3)


def test_egm5_closures_run_from_start_to_end_and_results_are_not_samples(tmp_path):
    lines = [egm5_row(1, 420), "Start", egm5_row(6, 423), egm5_row(7, 424)]
    lines += [egm5_row(7, 424, tag="R5"), "End", "Start", egm5_row(20, 423), "End"]
    record = read_egm(egm5_file(tmp_path / "e.TXT", lines), timezone="UTC")
    assert record["chamber_closure"].values.tolist() == [0, 1, 1, 2]


def test_egm5_formats_without_a_date_are_refused(tmp_path):
    lines = ["M2, 1094, 1004.2, 327, 0.0, 00.0, 20.41, 00", egm5_row(6, 423)]
    with pytest.raises(InputError, match="M1, M3 or M5"):
        read_egm(egm5_file(tmp_path / "e.TXT", lines), timezone="UTC")


def test_a_shorter_egm5_format_is_read_and_cut_lines_are_counted(tmp_path):
    row = "M1,03/06/15,09:32:15, 1, 0003, 1094, 1004.2, 327, 0.0, 00.0, 20.41, 00"
    file = egm5_file(tmp_path / "e.TXT", [row, row[:40]])
    record = read_egm(file, timezone="UTC")
    assert record["co2"].item() == 1094
    assert "par" not in record
    assert record.attrs["bad_rows"] == 1


def test_another_kind_of_file_is_refused_by_name(tmp_path):
    (tmp_path / "x.csv").write_text("time,co2\n1,2\n")
    with pytest.raises(InputError, match=r"delimited table \(time, co2\)"):
        read_egm(tmp_path / "x.csv", timezone="UTC")
