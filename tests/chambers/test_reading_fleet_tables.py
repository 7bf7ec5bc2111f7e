"""The fleet's published tables, with and without their defects."""

import itertools

import numpy as np
import openpyxl
import pandas as pd
import pytest

from tilth.chambers.readers.fleet_soil import read_soil_pco2
from tilth.chambers.readers.fleet_table import read_fleet_efflux
from tilth.core.errors import InputError
from tilth.core.flags import count_flags, is_flagged

VARIANTS = ("3.0", "3.1", "3.11", "5.10")


def rows(seed=0, hours=30):
    """True fluxes of four variants: four decimals, none below 0.1, as the fleet's."""
    rng = np.random.default_rng(seed)
    out = []
    for variant, hour in itertools.product(VARIANTS, range(hours)):
        stamp = pd.Timestamp("2023-10-01T18:00") + pd.Timedelta(hours=hour)
        low = round(float(rng.uniform(0.1, 0.2)), 4)
        flux = round(low + float(rng.uniform(0.1, 0.5)), 4)
        out.append((variant, stamp, flux, low, round(flux + 0.3, 4)))
    return out


def workbook(path, table, *, numeric_ids, factor, unit, title=True, replica=""):
    """Write a workbook in the layout of the published one."""
    book = openpyxl.Workbook()
    book.active.title = "read me"
    book.active["A1"] = "Hourly averages per variant"
    sheet = book.create_sheet("data")
    if title:
        sheet.append(["CO2 efflux data 2023 (hourly averages per variant)"])
    headers = ["expid", "time_expid_key", "first received (UTC)", "RH at start (%)"]
    headers += ["T at start (°C)", "P at start (hPa)", "light (lux)"]
    headers += ["CO2 at start (ppm)", f"CO2 efflux avg [{unit}]", f"stddev [{unit}]"]
    headers += [f"min [{unit}]", f"max [{unit}]", "number of measurements"]
    sheet.append(headers)
    for i, (variant, stamp, flux, low, high) in enumerate(table):
        key = (
            f"{variant}{replica}-{stamp.year}.{stamp.month}.{stamp.day}-{stamp.hour}:00"
        )
        # Stored as a number with one decimal, as the published file did: 3.11 is 3.1.
        cells = [float(variant[:3]) if numeric_ids else variant, key]
        cells += [(stamp + pd.Timedelta(minutes=3)).to_pydatetime(), 66, 20, 968]
        cells += [-1 if i == 0 else 2, 450]
        cells += [round(x * factor, 4) for x in (flux, 0.1, low, high)]
        sheet.append([*cells, 12])
    book.save(path)
    return path


def defective(path, **changes):
    settings = {"numeric_ids": True, "factor": 3, "unit": "mmol/s/m2"} | changes
    return workbook(path, rows(), **settings)


def test_both_defects_are_refused_with_their_evidence(tmp_path):
    with pytest.raises(InputError) as error:
        read_fleet_efflux(defective(tmp_path / "f.xlsx"))
    text = str(error.value)
    assert "60 of 120 variants lost digits" in text
    assert "'3.1', key '3.11'" in text
    assert "100.0% of the fluxes are exact multiples of 0.0003" in text
    assert "'mmol/s/m2'" in text
    assert "repair=True" in text


def test_repair_gives_back_the_true_fluxes_and_variants(tmp_path):
    data = read_fleet_efflux(defective(tmp_path / "f.xlsx"), repair=True)
    truth = rows()
    assert data["variant"].values.tolist() == [row[0] for row in truth]
    np.testing.assert_allclose(data["efflux"], [row[2] for row in truth], rtol=1e-12)
    np.testing.assert_allclose(
        data["efflux_min"], [row[3] for row in truth], rtol=1e-12
    )
    np.testing.assert_allclose(data["efflux_as_published"], 3 * data["efflux"])
    assert set(data["variant_as_published"].values) == {"3.0", "3.1", "5.1"}
    assert data["efflux"].attrs["units"] == "umol m-2 s-1"
    assert data.attrs["variants_restored"] == 60
    assert data.attrs["variants_restored_by_id"] == "3.11: 30; 5.10: 30"
    assert data.attrs["fraction_exact_multiples"] == 1.0
    assert data.attrs["unit_as_published"] == "mmol/s/m2"
    restored = is_flagged(data["efflux_flag"], "variant_restored")
    assert set(data["variant"].values[restored]) == {"3.11", "5.10"}


def test_each_defect_alone_is_found_and_only_it_is_repaired(tmp_path):
    only_ids = defective(tmp_path / "i.xlsx", factor=1, unit="umol/s/m2")
    with pytest.raises(InputError, match="lost digits") as error:
        read_fleet_efflux(only_ids)
    assert "multiples" not in str(error.value)
    data = read_fleet_efflux(only_ids, repair=True)
    assert data.attrs["scale_factor_applied"] == 1.0
    np.testing.assert_array_equal(data["efflux"], data["efflux_as_published"])

    only_scale = defective(tmp_path / "s.xlsx", numeric_ids=False)
    with pytest.raises(InputError, match=r"multiples of 0\.0003") as error:
        read_fleet_efflux(only_scale)
    assert "lost digits" not in str(error.value)
    data = read_fleet_efflux(only_scale, repair=True)
    assert data.attrs["variants_restored"] == 0
    assert data.attrs["scale_factor_applied"] == pytest.approx(1 / 3)


def test_a_wrong_label_on_right_numbers_is_a_defect_of_its_own(tmp_path):
    file = defective(tmp_path / "l.xlsx", numeric_ids=False, factor=1)
    with pytest.raises(InputError, match="no soil reaches") as error:
        read_fleet_efflux(file)
    assert "multiples" not in str(error.value)
    data = read_fleet_efflux(file, repair=True)
    assert data.attrs["unit_label_corrected"] == 1
    np.testing.assert_array_equal(data["efflux"], data["efflux_as_published"])


@pytest.mark.parametrize("repair", [False, True])
def test_a_sound_file_is_read_as_it_is_with_or_without_repair(tmp_path, repair):
    file = defective(
        tmp_path / "ok.xlsx", numeric_ids=False, factor=1, unit="µmol/s/m2"
    )
    data = read_fleet_efflux(file, repair=repair)
    np.testing.assert_allclose(data["efflux"], [row[2] for row in rows()])
    assert data.attrs["variants_restored"] == 0
    assert data.attrs["scale_factor_applied"] == 1.0
    assert data.attrs["unit_label_corrected"] == 0
    assert (
        data["variant"].values.tolist() == data["variant_as_published"].values.tolist()
    )


def test_a_true_millimole_is_converted_not_repaired(tmp_path):
    table = [(v, t, f, a, b) for v, t, f, a, b in rows()]
    file = workbook(
        tmp_path / "m.xlsx", table, numeric_ids=False, factor=1, unit="umol/s/m2"
    )
    book = openpyxl.load_workbook(file)
    sheet = book["data"]
    for column in range(9, 13):
        head = sheet.cell(2, column)
        head.value = str(head.value).replace("umol", "mmol")
        for i in range(3, sheet.max_row + 1):
            sheet.cell(i, column).value /= 1000
    book.save(file)
    data = read_fleet_efflux(file)
    np.testing.assert_allclose(data["efflux"], [row[2] for row in table])


def test_whole_numbers_are_variants_with_a_zero(tmp_path):
    file = defective(tmp_path / "f.xlsx", factor=1, unit="umol/s/m2")
    book = openpyxl.load_workbook(file)
    sheet = book["data"]
    for i in range(3, sheet.max_row + 1):
        if sheet.cell(i, 1).value == 3.0:
            sheet.cell(i, 1).value = 3
    book.save(file)
    data = read_fleet_efflux(file, repair=True)
    lost = is_flagged(data["efflux_flag"], "variant_restored").values
    assert not lost[data["variant"].values == "3.0"].any()


def test_the_error_code_of_the_light_sensor_is_missing_and_said_so(tmp_path):
    data = read_fleet_efflux(defective(tmp_path / "f.xlsx"), repair=True)
    assert np.isnan(data["light"].values[0])
    flag = is_flagged(data["efflux_flag"], "light_error_code").values
    assert flag.tolist() == [True] + [False] * (len(flag) - 1)
    assert data["pressure"].values[0] == 96800.0
    assert data["time"].values[0] == np.datetime64("2023-10-01T18:00")
    assert not is_flagged(data["efflux_flag"], "hour_mismatch").any()


def test_values_that_cannot_be_are_flagged_and_kept(tmp_path):
    file = defective(tmp_path / "f.xlsx")
    book = openpyxl.load_workbook(file)
    sheet = book["data"]
    for column, value in ((4, 120), (5, 70), (6, 101325), (7, 40), (8, 143), (13, 1)):
        sheet.cell(4, column).value = value
    sheet.cell(5, 3).value = pd.Timestamp("2023-10-02T23:10").to_pydatetime()
    sheet.cell(6, 9).value = 1012.5  # a cycle gone wild: a multiple of 0.0003 still
    sheet.cell(6, 12).value = 1012.5
    sheet.cell(7, 9).value = "n/a"
    sheet.append(["note: sensor 7 replaced"])
    book.save(file)
    data = read_fleet_efflux(file, repair=True)
    flag = data["efflux_flag"]
    for word in (
        "implausible_humidity",
        "implausible_temperature",
        "implausible_pressure",
        "daylight",
        "implausible_concentration",
        "single_cycle",
    ):
        assert np.flatnonzero(is_flagged(flag, word)).tolist() == [1], word
    assert np.flatnonzero(is_flagged(flag, "hour_mismatch")).tolist() == [2]
    assert np.flatnonzero(is_flagged(flag, "outlier")).tolist() == [3]
    assert np.flatnonzero(is_flagged(flag, "bad_value")).tolist() == [4]
    assert data["efflux"].values[3] == pytest.approx(337.5)
    assert data["relative_humidity"].values[1] == 120
    assert data.attrs["bad_rows"] == 1


def test_the_same_table_as_csv_reads_the_same(tmp_path):
    book = defective(tmp_path / "f.xlsx", title=False)
    frame = pd.read_excel(book, sheet_name="data")
    frame.to_csv(tmp_path / "point.csv", index=False)
    frame.to_csv(tmp_path / "comma.csv", index=False, sep=";", decimal=",")
    expected = read_fleet_efflux(book, repair=True)
    for name in ("point.csv", "comma.csv"):
        data = read_fleet_efflux(tmp_path / name, repair=True)
        np.testing.assert_allclose(data["efflux"], expected["efflux"])
        assert data["variant"].values.tolist() == expected["variant"].values.tolist()
        np.testing.assert_array_equal(data["efflux_flag"], expected["efflux_flag"])


def test_keys_with_a_replica_give_it_as_an_identifier(tmp_path):
    file = workbook(
        tmp_path / "f.xlsx",
        rows(),
        numeric_ids=False,
        factor=1,
        unit="umol/s/m2",
        replica=".B",
    )
    data = read_fleet_efflux(file)
    assert set(data["replica"].values) == {"B"}
    assert set(data["variant"].values) == set(VARIANTS)


def test_other_files_and_too_few_rows_are_refused(tmp_path):
    (tmp_path / "x.csv").write_text("time,co2\n1,2\n")
    with pytest.raises(InputError, match="time_expid_key"):
        read_fleet_efflux(tmp_path / "x.csv")
    (tmp_path / "x.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match="HDF5"):
        read_fleet_efflux(tmp_path / "x.h5")
    few = workbook(
        tmp_path / "few.xlsx", rows()[:3], numeric_ids=False, factor=3, unit="mmol/s/m2"
    )
    with pytest.raises(InputError, match="too few"):
        read_fleet_efflux(few)
    unstated = defective(tmp_path / "u.xlsx", numeric_ids=False, factor=1, unit="?")
    with pytest.raises(InputError, match="states no unit"):
        read_fleet_efflux(unstated)


@pytest.fixture
def published(dataset):
    return dataset("carbdown-greenhouse") / "efflux_2023_hourly_per_variant.csv"


@pytest.mark.realdata
def test_the_published_table_is_refused_unless_it_may_be_repaired(published):
    with pytest.raises(InputError, match=r"403 of 14246 variants.*0\.0003"):
        read_fleet_efflux(published)


@pytest.mark.realdata
def test_the_repaired_table_has_the_published_size_and_quartiles(published):
    data = read_fleet_efflux(published, repair=True)
    assert data.sizes["row"] == 14_246
    assert len(set(data["variant"].values)) == 62
    assert len(set(data["variant_as_published"].values)) == 59
    assert int(data["n_cycles"].sum()) == 206_845
    assert data.attrs["variants_restored_by_id"] == "5.10: 239; 3.11: 97; 6.10: 67"
    quartiles = np.quantile(data["efflux"], [0.25, 0.5, 0.75])
    np.testing.assert_allclose(quartiles, [0.348, 0.529, 0.980], atol=5e-4)
    counts = count_flags(data["efflux_flag"])
    assert counts["light_error_code"] == 70
    assert counts["single_cycle"] == 694
    assert counts["hour_mismatch"] == 0
    assert counts["repeated_key"] == 0
    assert float(data["light"].min()) >= 0


@pytest.mark.realdata
def test_every_impossible_hour_of_the_published_table_is_an_outlier(published):
    data = read_fleet_efflux(published, repair=True)
    flagged = is_flagged(data["efflux_flag"], "outlier").values
    variant, time = data["variant"].values, data["time"].values
    for name, hour in (
        ("3.1", "2023-07-03T12"),
        ("3.9", "2023-12-11T17"),
        ("3.9", "2023-12-11T18"),
        ("3.9", "2023-12-11T19"),
        ("3.9", "2023-12-11T22"),
        ("3.0", "2023-09-08T19"),
        ("2.7", "2023-12-15T19"),
    ):
        here = (variant == name) & (time == np.datetime64(hour))
        assert here.sum() == 1
        assert flagged[here].all(), (name, hour)
    # And it leaves the rest alone: less than one hour in a hundred.
    assert flagged.mean() < 0.01


def test_soil_co2_identifiers_keep_their_zeros_and_bad_values_their_place(tmp_path):
    file = tmp_path / "soil.csv"
    file.write_text(
        "timestamp,column,pco2_ppm,month,expid,replica\n"
        "2023-01-28 13:00:00,5.10.A.Steel.40,2273.67,1,5.10,5.10.A\n"
        "2023-01-29 13:00:00,5.10.A.Steel.40,-67969.5,1,5.10,5.10.A\n"
        "2023-01-30 13:00:00,5.10.A.Steel.40,0,1,5.10,5.10.A\n"
        "2023-01-31 13:00:00,5.10.A.Steel.40,40000,1,5.10,5.10.A\n"
        "2023-02-01 13:00:00,5.10.A.Steel.40,,2,5.10,5.10.A\n"
        "2023-02-01 14:00:00,5.10.A.Steel.40,90,2,5.10,5.10.A\n"
        "2023-02-01 13:00:00,5.1.B.Steel.40,x,2,5.1.,5.1.B.\n"
    )
    data = read_soil_pco2(file)
    assert data["variant"].values.tolist() == ["5.10"] * 6 + ["5.1"]
    assert data["pot"].values[0] == "5.10.A"
    assert data["treatment"].values[0] == "Steel.40"
    assert data["time"].values[0] == np.datetime64("2023-01-28")
    assert data["soil_co2"].values[1] == -67969.5
    counts = count_flags(data["soil_co2_flag"])
    for word in ("negative", "zero", "at_sensor_limit", "missing", "bad_value"):
        assert counts[word] == 1, word
    assert counts["below_outdoor_air"] == 1
    assert counts["repeated_day"] == 2
    assert counts["clean"] == 1


def test_soil_co2_reads_from_one_column_per_pot_too(tmp_path):
    frame = pd.DataFrame(
        {
            "timestamp": pd.to_datetime(["2023-01-28 13:00", "2023-01-29 13:00"]),
            "5.10.A.Steel.40": [2273.67, 3000.0],
            "5.1.B.Olivin.40": [4000.0, None],
        }
    )
    frame.to_excel(tmp_path / "wide.xlsx", index=False)
    data = read_soil_pco2(tmp_path / "wide.xlsx")
    assert data["pot"].values.tolist() == ["5.10.A", "5.10.A", "5.1.B", "5.1.B"]
    assert count_flags(data["soil_co2_flag"])["missing"] == 1


def test_soil_tables_that_are_something_else_are_refused(tmp_path):
    (tmp_path / "a.csv").write_text("timestamp,column,pco2_ppm\n2023-01-01,Pot 7,400\n")
    with pytest.raises(InputError, match="'Pot 7' is no pot label"):
        read_soil_pco2(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="no column timestamp, column, pco2_ppm"):
        read_soil_pco2(tmp_path / "b.csv")


@pytest.mark.realdata
def test_the_published_soil_co2_is_complete_and_its_faults_are_counted(dataset):
    data = read_soil_pco2(
        dataset("carbdown-greenhouse") / "soil_pco2_2023_daily_per_replica.csv.gz"
    )
    assert data.sizes["row"] == 22_926
    assert len(set(data["pot"].values)) == 73
    assert "5.10" in set(data["variant"].values)
    counts = count_flags(data["soil_co2_flag"])
    assert counts["missing"] == 1188
    assert counts["negative"] == 1
    assert counts["zero"] == 20
    assert counts["at_sensor_limit"] == 464
    assert float(data["soil_co2"].min()) == -67969.5
