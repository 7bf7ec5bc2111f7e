"""Tables of any layout, by a map of their columns."""

import numpy as np
import pandas as pd
import pytest

from tilth.chambers.readers.table import read_table
from tilth.core.errors import InputError, UnitsError
from tilth.core.flags import count_flags, is_flagged

CO2 = {"variable": "co2", "units": "ppm", "basis": "dry"}
ELAPSED = {"variable": "elapsed", "units": "s"}


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_record_comes_out_in_canonical_units_and_utc(tmp_path):
    file = write(
        tmp_path / "a.csv",
        "when,CO2 [ppm],CH4,P,T\n"
        "2024-07-01T12:00:00,420.5,2.0,972,20\n"
        "2024-07-01T12:00:03,421.5,2.1,972,20\n",
    )
    record = read_table(
        file,
        {
            "when": "time",
            "CO2 [ppm]": CO2,
            "CH4": {"variable": "ch4", "units": "ppm", "basis": "wet"},
            "P": {"variable": "pressure", "units": "hPa"},
            "T": {"variable": "temperature", "units": "degC"},
        },
        timezone="Europe/Berlin",
    )
    assert record["time"].values[0] == np.datetime64("2024-07-01T10:00:00")
    assert record["instrument_time"].values[0] == np.datetime64("2024-07-01T12:00:00")
    assert record["co2"].values.tolist() == [420.5, 421.5]
    np.testing.assert_allclose(record["ch4"], [2000.0, 2100.0])
    assert record["ch4"].attrs["basis"] == "wet"
    assert record["pressure"].values[0] == pytest.approx(97200.0)
    assert record.attrs["source_sha256"].startswith("a.csv: ")


def test_identifiers_stay_text_to_the_last_zero(tmp_path):
    rows = "".join(f"5.10,{t},{400 + t}\n5.1,{t},{500 + t}\n" for t in range(3))
    file = write(tmp_path / "a.csv", "pot,s,co2\n" + rows)
    closures = read_table(file, {"pot": "closure", "s": ELAPSED, "co2": CO2})
    assert closures["closure"].values.tolist() == ["5.10", "5.1"]
    assert closures["co2"].sel(closure="5.1").values.tolist() == [500, 501, 502]


def test_a_decimal_comma_and_another_separator_read_the_same_numbers(tmp_path):
    file = write(tmp_path / "a.csv", "id;s;co2\nA;0;420,5\nA;3;421,25\n")
    closures = read_table(
        file, {"id": "closure", "s": ELAPSED, "co2": CO2}, decimal=","
    )
    assert closures["co2"].values[0].tolist() == [420.5, 421.25]


def test_a_number_column_with_words_in_it_is_flagged_where_they_stand(tmp_path):
    file = write(
        tmp_path / "a.csv",
        "id,s,co2\nA,0,420\nA,3,OVER\nA,6,-9999\nB,0,430\nB,3,431\nB,6,\n",
    )
    closures = read_table(
        file, {"id": "closure", "s": ELAPSED, "co2": CO2}, missing=["-9999"]
    )
    assert np.isnan(closures["co2"].values[0]).tolist() == [False, True, True]
    flagged = is_flagged(closures["closure_flag"], "bad_rows")
    assert flagged.values.tolist() == [True, False]


def test_the_decimal_comma_also_holds_beside_words(tmp_path):
    file = write(tmp_path / "a.csv", "id;s;co2\nA;0;420,5\nA;3;err\nA;6;1,5e2\n")
    closures = read_table(
        file, {"id": "closure", "s": ELAPSED, "co2": CO2}, decimal=","
    )
    np.testing.assert_array_equal(closures["co2"].values[0], [420.5, np.nan, 150.0])


def test_lines_with_the_wrong_number_of_fields_are_counted(tmp_path):
    file = write(tmp_path / "a.csv", "id,s,co2\nA,0,420\nA,3\nA,6,421,7\nA,9,422\n")
    closures = read_table(file, {"id": "closure", "s": ELAPSED, "co2": CO2})
    assert closures.attrs["bad_rows"] == 2
    assert closures["elapsed"].values[0].tolist() == [0.0, 9.0]


def test_rows_the_filter_turns_down_are_counted(tmp_path):
    file = write(
        tmp_path / "a.csv", "id,s,co2,flag\nA,-3,1,0\nA,0,420,1\nA,3,421,1.0\n"
    )
    closures = read_table(
        file, {"id": "closure", "s": ELAPSED, "co2": CO2}, where={"flag": 1}
    )
    assert closures.sizes["sample"] == 2
    assert closures.attrs["rows_left_out"] == 1


def test_the_time_since_closing_comes_from_closing_time_or_first_sample(tmp_path):
    file = write(
        tmp_path / "a.csv",
        "id,t,shut,co2\n"
        "A,2024-01-01T00:00:05,2024-01-01T00:00:00,420\n"
        "A,2024-01-01T00:00:08,2024-01-01T00:00:00,421\n",
    )
    columns = {"id": "closure", "t": "time", "co2": CO2}
    first = read_table(file, columns, timezone="UTC")
    assert first["elapsed"].values[0].tolist() == [0.0, 3.0]
    shut = read_table(file, {**columns, "shut": "closing"}, timezone="UTC")
    assert shut["elapsed"].values[0].tolist() == [5.0, 8.0]
    assert shut["time"].values[0] == np.datetime64("2024-01-01")


def test_elapsed_in_hours_becomes_seconds(tmp_path):
    file = write(tmp_path / "a.csv", "id,h,c\nA,0,1\nA,0.5,2\n")
    closures = read_table(
        file, {"id": "closure", "h": {"variable": "elapsed", "units": "h"}, "c": CO2}
    )
    assert closures["elapsed"].values[0].tolist() == [0.0, 1800.0]


def test_area_and_volume_belong_to_the_closure_and_must_not_change_in_it(tmp_path):
    file = write(
        tmp_path / "a.csv",
        "id,s,c,V,A\nA,0,400,5.5,324\nA,3,401,5.5,324\nB,0,400,5.5,324\nB,3,401,6.5,324\n",
    )
    closures = read_table(
        file,
        {
            "id": "closure",
            "s": ELAPSED,
            "c": CO2,
            "V": {"variable": "volume", "units": "L"},
            "A": {"variable": "area", "units": "cm2"},
        },
    )
    assert closures["area"].values == pytest.approx([0.0324, 0.0324])
    assert closures["volume"].values[0] == pytest.approx(0.0055)
    assert np.isnan(closures["volume"].values[1])
    flagged = is_flagged(closures["closure_flag"], "inconsistent_geometry")
    assert flagged.values.tolist() == [False, True]


def test_repeats_and_backward_steps_within_a_closure_are_flagged(tmp_path):
    file = write(
        tmp_path / "a.csv",
        "id,s,c\nA,0,400\nA,0,401\nB,5,400\nB,3,401\nC,-2,400\nC,0,401\nD,0,\n",
    )
    closures = read_table(file, {"id": "closure", "s": ELAPSED, "c": CO2})
    counts = count_flags(closures["closure_flag"])
    for word in ("duplicate_times", "non_monotonic_time", "negative_time", "no_data"):
        assert counts[word] == 1, word


def test_rows_of_one_closure_need_not_stand_together(tmp_path):
    file = write(tmp_path / "a.csv", "id,s,c\nB,0,1\nA,0,2\nB,3,3\nA,3,4\n,9,9\n")
    closures = read_table(file, {"id": "closure", "s": ELAPSED, "c": CO2})
    assert closures["closure"].values.tolist() == ["B", "A"]
    assert closures["co2"].values.tolist() == [[1, 3], [2, 4]]
    assert closures.attrs["rows_without_closure"] == 1


def test_labels_that_differ_within_a_closure_are_left_empty(tmp_path):
    file = write(tmp_path / "a.csv", "id,s,c,plot,op\nA,0,1,5.10,x\nA,3,2,5.10,y\n")
    closures = read_table(
        file,
        {"id": "closure", "s": ELAPSED, "c": CO2, "plot": "plot", "op": "operator"},
    )
    assert closures["plot"].item() == "5.10"
    assert closures["operator"].item() == ""


@pytest.mark.parametrize(
    ("units", "number", "expected"),
    [
        ("seconds since 1970-01-01", "1580515243.5", "2020-02-01T00:00:43.500"),
        ("days since 1899-12-30", "45292.5", "2024-01-01T12:00:00"),
        ("ms since 1970-01-01", "1580515243500", "2020-02-01T00:00:43.500"),
    ],
)
def test_times_that_are_numbers_say_what_they_count(tmp_path, units, number, expected):
    file = write(tmp_path / "a.csv", f"t,c\n{number},400\n")
    time = {"variable": "time", "units": units}
    record = read_table(file, {"t": time, "c": CO2}, timezone="UTC")
    assert record["time"].values[0] == np.datetime64(expected)


def test_a_stated_time_format_is_followed(tmp_path):
    file = write(tmp_path / "a.csv", "t,c\n03.04.2024 05:06:07,400\n??,401\n")
    time = {"variable": "time", "format": "%d.%m.%Y %H:%M:%S"}
    record = read_table(file, {"t": time, "c": CO2}, timezone="UTC")
    assert record["time"].values[0] == np.datetime64("2024-04-03T05:06:07")
    assert record.attrs["bad_rows"] == 1


def test_parquet_and_excel_give_what_csv_gives(tmp_path):
    frame = pd.DataFrame(
        {
            "id": ["5.10", "5.10", "5.1"],
            "t": pd.to_datetime(
                ["2024-01-01", "2024-01-01 00:00:03", "2024-01-02"], format="ISO8601"
            ),
            "c": [400.0, 401.5, 410.0],
        }
    )
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_csv(tmp_path / "a.csv.gz", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    columns = {"id": "closure", "t": "time", "c": CO2}
    csv = read_table(tmp_path / "a.csv", columns, timezone="UTC")
    for name in ("a.csv.gz", "a.parquet", "a.xlsx"):
        other = read_table(tmp_path / name, columns, timezone="UTC")
        assert csv.equals(other), name
        assert other["closure"].values.tolist() == ["5.10", "5.1"]


def test_identifiers_that_a_workbook_keeps_as_numbers_are_refused(tmp_path):
    frame = pd.DataFrame({"id": [5.1, 5.1], "s": [0, 3], "c": [400.0, 401.0]})
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    with pytest.raises(InputError, match=r"'5\.10' and '5\.1' cannot be told apart"):
        read_table(tmp_path / "a.xlsx", {"id": "closure", "s": ELAPSED, "c": CO2})


def test_a_yaml_file_holds_the_map_and_the_options(tmp_path):
    file = write(tmp_path / "a.csv", "# logger 7\nid;s;c\n007;0;400,5\n007;3;-99\n")
    map_file = write(
        tmp_path / "map.yaml",
        "decimal: ','\nmissing: [-99]\npreamble: 1\ncolumns:\n"
        "  id: {variable: closure}\n  s: {variable: elapsed, units: s}\n"
        "  c: {variable: co2, units: ppm, basis: dry}\n",
    )
    closures = read_table(file, map_file)
    assert closures["closure"].item() == "007"
    assert closures["co2"].values[0, 0] == 400.5
    assert np.isnan(closures["co2"].values[0, 1])
    assert count_flags(closures["closure_flag"])["bad_rows"] == 0


def test_errors_teach_what_is_wrong_and_the_way_out(tmp_path):
    file = write(tmp_path / "a.csv", "time,CO2_ppm\n2024-01-01,400\n")
    time = {"time": "time"}
    with pytest.raises(InputError, match=r"no column 'CO2ppm'; did you mean 'CO2_ppm'"):
        read_table(file, {**time, "CO2ppm": CO2}, timezone="UTC")
    with pytest.raises(InputError, match=r"without its units.*umol mol-1"):
        read_table(file, {**time, "CO2_ppm": "co2"}, timezone="UTC")
    with pytest.raises(InputError, match="'dry' or 'wet'"):
        read_table(file, {**time, "CO2_ppm": {"variable": "co2", "units": "ppm"}})
    bad = {"variable": "co2", "units": "parts", "basis": "dry"}
    with pytest.raises(UnitsError, match=r"CO2_ppm.*parts"):
        read_table(file, {**time, "CO2_ppm": bad}, timezone="UTC")
    with pytest.raises(InputError, match="time zone"):
        read_table(file, {**time, "CO2_ppm": CO2})
    with pytest.raises(InputError, match="keys variable, units, basis and format"):
        read_table(file, {**time, "CO2_ppm": {"variable": "co2", "unit": "ppm"}})
    with pytest.raises(InputError, match="both mapped to co2"):
        read_table(file, {"time": CO2, "CO2_ppm": CO2})
    with pytest.raises(InputError, match="no column is mapped to 'time'"):
        read_table(file, {"CO2_ppm": CO2})
    with pytest.raises(InputError, match="'elapsed' or 'time'"):
        read_table(file, {"time": "closure", "CO2_ppm": CO2})


def test_times_that_state_their_own_offset_need_no_zone(tmp_path):
    file = write(
        tmp_path / "a.csv",
        "t,c\n2024-07-01T12:00:00+02:00,400\n2024-07-01T10:00:03Z,401\n",
    )
    record = read_table(file, {"t": "time", "c": CO2})
    seconds = (record["time"].values - np.datetime64("2024-07-01T10:00")).astype(int)
    assert (seconds / 1e9).tolist() == [0, 3]


def test_a_table_in_latin_1_with_a_degree_sign_is_read(tmp_path):
    (tmp_path / "a.csv").write_bytes(
        "t;T (°C);c\n2024-01-01;20,5;400\n".encode("latin-1")
    )
    columns = {
        "t": "time",
        "T (°C)": {"variable": "temperature", "units": "degC"},
        "c": CO2,
    }
    record = read_table(tmp_path / "a.csv", columns, timezone="UTC", decimal=",")
    assert record["temperature"].item() == 20.5


def test_a_date_that_is_not_iso_is_not_guessed(tmp_path):
    file = write(tmp_path / "a.csv", "t,c\n03/04/2024 05:06,400\n")
    with pytest.raises(InputError, match="state its format"):
        read_table(file, {"t": "time", "c": CO2}, timezone="UTC")


def test_what_is_no_table_is_refused_by_name(tmp_path):
    (tmp_path / "x.nc").write_bytes(b"\x89HDF\r\n\x1a\n")
    with pytest.raises(InputError, match="HDF5"):
        read_table(tmp_path / "x.nc", {"t": "time", "c": CO2}, timezone="UTC")


GOFLUX = {
    "UniqueID": "closure",
    "POSIX.time": "time",
    "Etime": ELAPSED,
    "CO2dry_ppm": CO2,
    "H2O_ppm": {"variable": "h2o", "units": "ppm"},
}
GEOMETRY = {
    "Area": {"variable": "area", "units": "cm2"},
    "Tcham": {"variable": "temperature", "units": "degC"},
    "Pcham": {"variable": "pressure", "units": "kPa"},
}
METHANE = {"CH4dry_ppb": {"variable": "ch4", "units": "ppb", "basis": "dry"}}


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "more", "closures", "rows"),
    [
        (
            "manID_UGGA_input.csv",
            {**METHANE, **GEOMETRY, "Vtot": {"variable": "volume", "units": "L"}},
            ["733a_C_S"],
            302,
        ),
        ("manID_G2201i_input.csv", METHANE, None, 1032),
        (
            "imp_LI6400_input.csv",
            {
                **GEOMETRY,
                "Vcham": {"variable": "volume", "units": "L"},
                "plotID": "plot",
            },
            None,
            869,
        ),
        (
            "imp_LI8200_input.csv",
            {
                **METHANE,
                **GEOMETRY,
                "N2Odry_ppb": {"variable": "n2o", "units": "ppb", "basis": "dry"},
                "Vcham": {"variable": "volume", "units": "cm3"},
            },
            None,
            540,
        ),
    ],
)
def test_goflux_tables_are_read_with_their_geometry(
    dataset, name, more, closures, rows
):
    file = dataset("goflux-reference") / name
    data = read_table(file, {**GOFLUX, **more}, timezone="UTC", where={"flag": "1"})
    table = pd.read_csv(file, dtype={"UniqueID": str})
    used = table[table["flag"] == 1]
    assert len(table) == rows
    assert (
        data["closure"].values.tolist() == used["UniqueID"].drop_duplicates().tolist()
    )
    if closures is not None:
        assert data["closure"].values.tolist() == closures
    assert data.attrs["rows_left_out"] == len(table) - len(used)
    for i, (_, group) in enumerate(used.groupby("UniqueID", sort=False)):
        n = len(group)
        np.testing.assert_array_equal(data["co2"].values[i, :n], group["CO2dry_ppm"])
        np.testing.assert_array_equal(data["elapsed"].values[i, :n], group["Etime"])
        np.testing.assert_allclose(
            data["h2o"].values[i, :n], group["H2O_ppm"] / 1000, rtol=1e-12
        )
    if "area" in data:
        # Moles of air per area must be those of a chamber.
        moles = data["volume"] * data["pressure"].mean("sample") / (8.314 * 293.15)
        per_area = moles / data["area"]
        assert ((per_area > 0.5) & (per_area < 50)).all()


@pytest.mark.realdata
def test_gasfluxes_series_are_read_and_their_slopes_are_its_linear_fluxes(dataset):
    folder = dataset("gasfluxes-reference")
    data = read_table(
        folder / "fluxMeas_input.csv",
        {
            "serie": "closure",
            "time": {"variable": "elapsed", "units": "h"},
            "V": {"variable": "volume", "units": "m3"},
            "A": {"variable": "area", "units": "m2"},
            "C": {"variable": "n2o", "units": "ug L-1"},
        },
    )
    flag = data["closure_flag"]
    repeated = data["closure"].values[is_flagged(flag, "duplicate_times")]
    assert repeated.tolist() == ["ID556", "ID580", "ID581", "ID582", "ID614"]
    negative = data["closure"].values[is_flagged(flag, "negative_time")]
    assert negative.tolist() == ["ID582"]
    count = np.isfinite(data["n2o"]).sum("sample")
    assert data["closure"].values[count < 3].tolist() == ["ID280"]
    reference = pd.read_csv(
        folder / "fluxMeas_reference_R_gasfluxes0.7_fdetect0.031.csv",
        dtype={"serie": str},
    ).set_index("serie")
    hours = data["elapsed"] / 3600
    c = data["n2o"]
    assert c.attrs == {"units": "mg m-3"}
    t = hours - hours.mean("sample")
    slope = (t * c).sum("sample") / (t**2).sum("sample")
    flux = (slope * data["volume"] / data["area"]).to_series()
    joined = reference.join(flux.rename("ours"))
    assert len(joined) == 694
    np.testing.assert_allclose(
        joined["ours"], joined["linear.f0"], rtol=1e-8, atol=1e-12
    )


@pytest.mark.realdata
def test_fluxible_concentrations_are_read_with_their_closing_time(dataset):
    data = read_table(
        dataset("fluxible-reference") / "co2_conc.csv",
        {
            "f_fluxid": "closure",
            "datetime": "time",
            "f_start": "closing",
            "conc": {"variable": "co2", "units": "ppm", "basis": "wet"},
            "turfID": "plot",
            "temp_air": {"variable": "temperature", "units": "degC"},
        },
        timezone="UTC",
    )
    assert data["closure"].values.tolist() == list("123456")
    assert data["plot"].values[0] == "156 AN2C 156"
    assert data["elapsed"].values[0, 0] == 0.0
    # fluxible's own linear slopes, three printed digits.
    t = data["elapsed"].where(np.isfinite(data["co2"]))
    t = t - t.mean("sample")
    slope = (t * data["co2"]).sum("sample") / (t**2).sum("sample")
    printed = [0.113, 0.110, 0.115, 0.0431, -0.105, 0.117]
    np.testing.assert_allclose(slope, printed, rtol=0.005)
