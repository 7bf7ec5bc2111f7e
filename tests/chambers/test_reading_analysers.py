"""Laser analysers' files: small ones written here in the instruments' own format."""

import gzip
import zipfile

import numpy as np
import pytest

from tilth.chambers.readers.analysers import read_lgr, read_li7810, read_picarro
from tilth.chambers.readers.clock import parse_dates, time_zone, to_utc
from tilth.chambers.readers.textfile import recognise
from tilth.core.errors import InputError
from tilth.core.flags import count_flags, is_flagged

LICOR_COLUMNS = (
    "SECONDS NANOSECONDS NDX DIAG REMARK DATE TIME H2O CO2 CH4 CAVITY_P CAVITY_T "
    "LASER_T RESIDUAL RING_DOWN_TIME CHK"
)


def licor_row(second, co2=450.0, diag=0, nanosecond=500000000, clock="13:00:00"):
    cells = [
        "DATA",
        second,
        nanosecond,
        100,
        diag,
        '""',
        "2022-12-05",
        clock,
        6000.5,
        co2,
        2090.25,
        39.8,
        54.93,
        37.05,
        0.0018,
        11.862,
        " 59",
    ]
    return "\t".join(map(str, cells))


def licor_file(path, rows):
    head = [
        "Model:\tLI-7810",
        "SN:\tTG10-09999",
        "Software Version:\t2.3.3",
        "Timestamp:\t2022-12-05 13:00:00",
        "Timezone:\tEurope/Copenhagen",
        "DATAH\t" + "\t".join(LICOR_COLUMNS.split()),
        "DATAU\tsecs\tnsecs\tindex\tdiag\t\tdate\ttime\tppm\tppm\tppb\tkPa\t°C\t°C\t\tµsecs\tCHK",
    ]
    path.write_text("\n".join(head + rows) + "\n", encoding="utf-8")
    return path


def test_licor_times_are_utc_and_its_local_clock_is_kept(tmp_path):
    # 1670241600 is 2022-12-05 12:00:00 UTC, 13:00 in Copenhagen.
    file = licor_file(tmp_path / "a.data", [licor_row(1670241600, clock="13:00:00")])
    record = read_li7810(file)
    assert record["time"].values[0] == np.datetime64("2022-12-05T12:00:00.500000000")
    assert record["instrument_time"].values[0] == np.datetime64("2022-12-05T13:00:00")
    assert record.attrs["instrument_timezone"] == "Europe/Copenhagen"
    assert record.attrs["serial_number"] == "TG10-09999"


def test_licor_gases_are_dry_and_in_the_canonical_units(tmp_path):
    record = read_li7810(licor_file(tmp_path / "a.data", [licor_row(1670241600)]))
    assert record["co2"].attrs["basis"] == "dry"
    assert record["co2"].attrs["units"] == "umol mol-1"
    assert record["co2"].item() == 450.0
    assert record["ch4"].attrs["units"] == "nmol mol-1"
    assert record["ch4"].item() == 2090.25
    assert record["h2o"].item() == pytest.approx(6.0005)


def test_the_cavity_pressure_is_not_taken_for_the_pressure_of_the_chamber(tmp_path):
    record = read_li7810(licor_file(tmp_path / "a.data", [licor_row(1670241600)]))
    assert "pressure" not in record
    assert "temperature" not in record
    # In the file's own unit: the cell is nobody's air.
    assert record["cell_pressure"].item() == 39.8
    assert record["cell_pressure"].attrs["units"] == "kPa"


def test_licor_damage_is_counted_and_what_can_be_read_is_kept(tmp_path):
    rows = [
        licor_row(1670241600),
        licor_row(1670241601)[:40],  # cut off: no sample
        licor_row(1670241602, co2="4#9.1"),  # one unreadable cell
        licor_row(1670241603, co2="nan"),  # missing, not damaged
        licor_row(1670241604, diag=18),  # warming up
        licor_row(1670241604),  # the same second twice
        licor_row(1670241602),  # the clock goes back
    ]
    record = read_li7810(licor_file(tmp_path / "a.data", rows))
    assert record.sizes["time"] == 6
    assert record.attrs["bad_rows"] == 1
    counts = count_flags(record["record_flag"])
    assert counts["bad_value"] == 1
    assert counts["instrument_diagnostic"] == 1
    assert counts["duplicate_time"] == 1
    assert counts["backward_time"] == 1
    assert np.isnan(record["co2"].values[1:3]).all()
    assert is_flagged(record["record_flag"], "bad_value").values.tolist()[1:3] == [
        True,
        False,
    ]


def test_the_nitrous_oxide_sibling_is_read_by_the_same_reader(tmp_path):
    text = (
        "Model:\tLI-7820\nSN:\tTG20-1\nTimezone:\tUTC\n"
        "DATAH\tSECONDS\tNANOSECONDS\tNDX\tDIAG\tREMARK\tDATE\tTIME\tH2O\tN2O\tCAVITY_P\tCHK\n"
        "DATAU\tsecs\tnsecs\tindex\tdiag\t\tdate\ttime\tppm\tppb\tkPa\tCHK\n"
        'DATA\t1664361470\t0\t7\t0\t""\t2022-09-28\t10:37:50\t11476\t347.7\t39.8\t93\n'
    )
    with gzip.open(tmp_path / "b.data.gz", "wt", encoding="utf-8") as stream:
        stream.write(text)
    record = read_li7810(tmp_path / "b.data.gz")
    assert record["n2o"].item() == pytest.approx(347.7)
    assert "co2" not in record


LGR_COLUMNS = (
    "Time,[CH4]_ppm,[CH4]_ppm_sd,[H2O]_ppm,[H2O]_ppm_sd,[CO2]_ppm,[CO2]_ppm_sd,"
    "[CH4]d_ppm,[CH4]d_ppm_sd,[CO2]d_ppm,[CO2]d_ppm_sd,GasP_torr,GasP_torr_sd,"
    "GasT_C,GasT_C_sd,AmbT_C,AmbT_C_sd,RD0_us,RD0_us_sd,Fit_Flag,MIU_VALVE,MIU_DESC"
)


def lgr_row(stamp, co2=430.0, fit=3):
    numbers = [2.0, 0, 12000.0, 0, co2, 0, 2.0243, 0, co2 / 0.988, 0]
    numbers += [140.0, 0, 34.9, 0, 36.7, 0, 11.7, 0]
    cells = [f"{x:.6e}" for x in numbers] + [str(fit), "-1", "Disabled"]
    return "  " + ",   ".join([stamp, *cells])


def lgr_file(path, rows):
    lines = [
        "VC:904M BD:May 23 2013 SN:LGR-13-0171",
        ",".join(f"{name:>15}" for name in LGR_COLUMNS.split(",")),
        *rows,
        "-----BEGIN PGP MESSAGE-----",
        "Version: GnuPG v2.0.14 (GNU/Linux)",
        "",
        "hQEOA8N2QTEB4GCTEAP+K,3=",
        "-----END PGP MESSAGE-----",
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_los_gatos_dry_gases_are_taken_and_the_settings_block_is_not_data(tmp_path):
    file = lgr_file(tmp_path / "gga.txt", [lgr_row("28/09/2022 12:05:00.068")])
    record = read_lgr(file, timezone="UTC")
    assert record.sizes["time"] == 1
    assert record.attrs["bad_rows"] == 0
    assert record["co2"].attrs["basis"] == "dry"
    assert record["co2"].item() == pytest.approx(430.0 / 0.988, rel=1e-6)
    assert record["ch4"].item() == pytest.approx(2024.3)
    assert record["h2o"].item() == pytest.approx(12.0)
    assert record["time"].values[0] == np.datetime64("2022-09-28T12:05:00.068")
    assert "temperature" not in record
    assert record.attrs["serial_number"] == "LGR-13-0171"


def test_los_gatos_dry_and_wet_fractions_differ_by_the_vapour(tmp_path):
    file = lgr_file(tmp_path / "gga.txt", [lgr_row("28/09/2022 12:05:00.068")])
    wet = file.read_text().replace("[CO2]d_ppm", "[CO2]x_ppm")
    (tmp_path / "wet.txt").write_text(wet)
    dry_record = read_lgr(file, timezone="UTC")
    wet_record = read_lgr(tmp_path / "wet.txt", timezone="UTC")
    assert wet_record["co2"].attrs["basis"] == "wet"
    w = wet_record["h2o"].item() * 1e-3
    assert dry_record["co2"].item() * (1 - w) == pytest.approx(wet_record["co2"].item())


def test_a_zip_as_the_analyser_writes_it_is_read(tmp_path):
    file = lgr_file(tmp_path / "gga.txt", [lgr_row("28/09/2022 12:05:00.068")])
    with zipfile.ZipFile(tmp_path / "gga.txt.zip", "w") as archive:
        archive.write(file, "gga.txt")
    assert read_lgr(tmp_path / "gga.txt.zip", timezone="UTC").sizes["time"] == 1


def test_a_bad_spectral_fit_is_flagged(tmp_path):
    rows = [
        lgr_row("28/09/2022 12:05:00.068", fit=2),
        lgr_row("28/09/2022 12:05:01.068"),
    ]
    record = read_lgr(lgr_file(tmp_path / "g.txt", rows), timezone="UTC")
    flagged = is_flagged(record["record_flag"], "instrument_diagnostic")
    assert flagged.values.tolist() == [True, False]


def test_a_trailing_comma_and_a_repeated_header_are_no_damage(tmp_path):
    file = lgr_file(tmp_path / "gga.txt", [lgr_row("28/09/2022 12:05:00.068") + ","])
    file.write_text(file.read_text().replace("RD0_us_sd", "   RD0_us"))
    record = read_lgr(file, timezone="UTC")
    assert record.sizes["time"] == 1
    assert record.attrs["bad_rows"] == 0


def test_an_ambiguous_date_is_refused_and_the_error_shows_both_readings(tmp_path):
    file = lgr_file(tmp_path / "gga.txt", [lgr_row("03/04/2022 12:05:00.068")])
    with pytest.raises(InputError, match=r"03 April 2022.*04 March 2022.*day_first"):
        read_lgr(file, timezone="UTC")
    record = read_lgr(file, timezone="UTC", day_first=True)
    assert record["time"].values[0].astype("datetime64[D]") == np.datetime64(
        "2022-04-03"
    )


def test_a_date_in_the_file_name_settles_the_order():
    stamps = ["03/04/2022 12:05:00.068", "03/04/2022 12:05:01.068"]
    named = parse_dates(stamps, file_name="gga_2022-03-04_f0001.txt")
    assert named[0].month == 3
    assert parse_dates(stamps, file_name="gga03Apr2022_f0000.txt")[0].month == 4


def test_a_file_over_midnight_spans_two_days_not_two_months():
    stamps = ["03/04/2022 23:59:59.5", "04/04/2022 00:00:00.5"]
    parsed = parse_dates(stamps)
    assert parsed[0].month == 4
    assert (parsed[1] - parsed[0]).total_seconds() == 1.0


def test_a_date_that_reads_alike_both_ways_needs_no_order():
    assert parse_dates(["05/05/2022 10:00:00"])[0].month == 5


def test_los_gatos_needs_the_zone_of_its_clock(tmp_path):
    file = lgr_file(tmp_path / "gga.txt", [lgr_row("2022/07/01 12:00:00.000")])
    record = read_lgr(file, timezone="Europe/Berlin")
    assert record["time"].values[0] == np.datetime64("2022-07-01T10:00:00")
    assert record["instrument_time"].values[0] == np.datetime64("2022-07-01T12:00:00")
    with pytest.raises(InputError, match=r"Europe/Berlin.*\+01:00"):
        read_lgr(file, timezone="Berlin/Summer")


def test_a_clock_in_the_hour_that_summer_time_skips_is_refused(tmp_path):
    file = lgr_file(tmp_path / "gga.txt", [lgr_row("2022/03/27 02:30:00.000")])
    with pytest.raises(InputError, match="fixed offset"):
        read_lgr(file, timezone="Europe/Berlin")
    record = read_lgr(file, timezone="+01:00")
    assert record["time"].values[0] == np.datetime64("2022-03-27T01:30:00")


@pytest.mark.parametrize(
    ("name", "hours"), [("+01:00", 1), ("-0530", -5.5), ("UTC+2", 2)]
)
def test_fixed_offsets_are_understood(name, hours):
    assert time_zone(name).utcoffset(None).total_seconds() == hours * 3600


def test_the_hour_repeated_in_autumn_is_settled_by_the_order_of_the_records():
    import pandas as pd

    clock = pd.DatetimeIndex(
        ["2022-10-30 02:30", "2022-10-30 02:59", "2022-10-30 02:01"]
    )
    utc = to_utc(clock, "Europe/Berlin")
    assert (utc[1:] > utc[:-1]).all()


PICARRO_COLUMNS = (
    "DATE TIME FRAC_DAYS_SINCE_JAN1 FRAC_HRS_SINCE_JAN1 JULIAN_DAYS EPOCH_TIME "
    "ALARM_STATUS INST_STATUS CavityPressure CavityTemp species CO2 CO2_dry CH4 "
    "CH4_dry H2O"
)


def picarro_row(epoch="1673165810.161", alarm=0, co2_dry="4.2500000000E+02"):
    cells = ["2023-01-08", "09:16:50.161", "7.38669168", "177.280600", "8.38669168"]
    cells += [epoch, str(alarm), "963", "1.4000256307E+02", "4.5E+01", "4.7E+01"]
    cells += ["4.2075E+02", co2_dry, "2.00E+00", "2.02E+00", "1.0E+00"]
    return "".join(f"{cell:<26}" for cell in cells)


def picarro_file(path, rows):
    header = "".join(f"{name:<26}" for name in PICARRO_COLUMNS.split())
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_picarro_time_is_its_epoch_not_the_clock_it_shows(tmp_path):
    record = read_picarro(picarro_file(tmp_path / "p.dat", [picarro_row()]))
    # The same instant, shown in the analyser's zone (UTC+1) and in UTC.
    assert record["time"].values[0] == np.datetime64("2023-01-08T08:16:50.161")
    assert record["instrument_time"].values[0] == np.datetime64(
        "2023-01-08T09:16:50.161"
    )


def test_picarro_water_is_in_percent_and_methane_in_ppm(tmp_path):
    record = read_picarro(picarro_file(tmp_path / "p.dat", [picarro_row()]))
    assert record["h2o"].item() == pytest.approx(10.0)
    assert record["ch4"].item() == pytest.approx(2020.0)
    assert record["co2"].item() == pytest.approx(425.0)
    assert record["co2"].attrs["basis"] == "dry"


def test_picarro_damage_is_counted_and_alarms_are_flagged(tmp_path):
    rows = [
        picarro_row(),
        picarro_row("1673165811.161", alarm=2),
        picarro_row("1673165812.161")[:200],
        picarro_row("1673165813.161", co2_dry="4.25E+"),
        picarro_row("--------------"),
    ]
    record = read_picarro(picarro_file(tmp_path / "p.dat", rows))
    assert record.sizes["time"] == 3
    assert record.attrs["bad_rows"] == 2
    counts = count_flags(record["record_flag"])
    assert counts["instrument_diagnostic"] == 1
    assert counts["bad_value"] == 1


def test_picarro_without_epoch_needs_a_zone(tmp_path):
    file = picarro_file(tmp_path / "p.dat", [picarro_row()])
    text = file.read_text().replace("EPOCH_TIME", "EPOCH_NONE")
    file.write_text(text)
    with pytest.raises(InputError, match="time zone"):
        read_picarro(file)
    record = read_picarro(file, timezone="+01:00")
    assert record["time"].values[0] == np.datetime64("2023-01-08T08:16:50.161")


def test_the_wrong_reader_says_what_the_file_is_and_which_reader_fits(tmp_path):
    picarro = picarro_file(tmp_path / "p.dat", [picarro_row()])
    licor = licor_file(tmp_path / "l.data", [licor_row(1670241600)])
    with pytest.raises(InputError, match=r"Picarro \.dat table: use read_picarro"):
        read_li7810(picarro)
    with pytest.raises(InputError, match=r"LI-COR trace gas analyser.*read_li7810"):
        read_picarro(licor)
    with pytest.raises(InputError, match="use read_li7810"):
        read_lgr(licor, timezone="UTC")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n", "hdf5"),
        (b"PAR1\x15\x04", "parquet"),
        (b"\x00\x01\x02\x03", "binary"),
        (b"time;co2\n1;2\n", "table"),
        (b'{"datasets": []}', "smartchamber"),
        (b'"TOA5","CR1000X","CR1000X"\n', "toa5"),
        (b"hello there\n", "text"),
        (b"LI-8100\nFile Name:\tx\n", "81x"),
        (b"M5,11/10/23,09:28:06,     6,   828,   423\n", "egm5"),
    ],
)
def test_files_are_recognised_by_what_is_in_them(tmp_path, content, kind):
    (tmp_path / "unnamed").write_bytes(content)
    assert recognise(tmp_path / "unnamed").name == kind


def test_a_header_without_a_single_sample_is_refused(tmp_path):
    with pytest.raises(InputError, match="no sound sample"):
        read_li7810(licor_file(tmp_path / "a.data", ["DATA\t1\t2"]))
    with pytest.raises(InputError, match="there is no file"):
        read_picarro(tmp_path / "absent.dat")
