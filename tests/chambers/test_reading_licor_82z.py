"""LI-8250 archives (.82z): units, clock, window; damage refused or flagged."""

import io
import json
import math
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.readers.licor_82z import read_licor_82z
from tilth.core.errors import InputError

HEADS = [
    ("LI-8250", "DATE", "[YYYYMMDD]"),
    ("LI-8250", "TIME", "[HHMMSS]"),
    ("LI-8250", "PA", "[kPa]"),
    ("LI-7810", "DIAGNOSTIC", "[#]"),
    ("LI-7810", "CO2_DRY", "[umol+1mol-1]"),
    ("LI-7810", "H2O", "[mmol+1mol-1]"),
    ("LI-7810", "CH4_DRY", "[nmol+1mol-1]"),
    ("CHAMBER", "TA", "[C]"),
    ("CHAMBER", "STATE", "[#]"),
    ("CHAMBER", "SWC_1", "[m+3m-3]"),
    ("CHAMBER", "TS_1", "[C]"),
    ("CHAMBER", "TS_2", "[C]"),
]


def table(length=90, opening=8, midnight=False):
    """Write data.csv: the chamber closes for some seconds, then observes."""
    start = 86400 - 30 if midnight else 36000
    rows = [list(column) for column in zip(*HEADS, strict=True)]
    for t in range(-opening, length + 1):
        second = (start + t) % 86400
        day = 20240501 + (start + t) // 86400
        clock = f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"
        gas = [410 + 0.5 * max(t, 0), 9.5, 2000 - 0.1 * max(t, 0)]
        rows.append([day, clock, 98.5, 0, *gas, 12.0, 5 if t >= 0 else 1, 0.3, 11, 10])
    return "\n".join(",".join(map(str, row)) for row in rows) + "\n"


def metadata(length=90, start="20240501095952"):
    fit = {
        "DEADBAND": {"UNITS": "s", "VALUE": 20},
        "STOP_TIME": {"UNITS": "s", "VALUE": length},
        "GAS_SOURCE": "LI-7810",
        "TEMPERATURE": "TA",
        "T_SOURCE": "CHAMBER",
    }
    return {
        "CHAMBER": {
            "AREA": {"UNITS": "cm+2", "VALUE": 317.8},
            "SERIAL_NUMBER": "82L-0001",
        },
        "FLUX": [fit | {"GAS": "CO2_DRY"}, fit | {"GAS": "CH4_DRY"}],
        "LI-7810": {"SERIAL_NUMBER": "tg10-00001"},
        "LI-8250": {"SERIAL_NUMBER": "82m-0001", "PORT": 5, "PORT_LABEL": " 5.10 "},
        "METADATA": {
            "TIMESTAMP_START": {"UNITS": "YYYYMMDDHHMMSS", "VALUE": start},
            "VOLUME_TOTAL": {"UNITS": "cm+3", "VALUE": 5997.3},
        },
    }


#: 2024-05-01 07:59:52 UTC: the clock of the archive is two hours ahead.
LOG = (
    "May 01 09:59:52 82m-0001 measurement[1]: _start_closing_chamber 1714550392\n"
    'May 01 10:01:30 82m-0001 measurement[1]: _compose_flux_results \'[ { "Fo" : 12.5,'
    ' "gas" : "CO2", "units" : "[umol+1m-2s-1]" } ]\'\n'
)


def archive(data=None, document=None, log=LOG, drop=()):
    packed = io.BytesIO()
    members = {
        "data.csv": table() if data is None else data,
        "metadata.json": json.dumps(metadata() if document is None else document)
        if not isinstance(document, str)
        else document,
        "log.txt": log,
    }
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            if name not in drop:
                target.writestr(name, content)
    return packed.getvalue()


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return a function that reads an archive given as bytes."""
    path = tmp_path_factory.mktemp("multiplexer") / "file.82z"

    def reading(raw, **options):
        path.write_bytes(raw)
        return read_licor_82z(path, **options)

    return reading


def words(closures):
    flag = int(closures["closure_flag"].item())
    bits = {word: CLOSURE_FLAGS.bit(word) for word in CLOSURE_FLAGS.descriptions}
    return {word for word, bit in bits.items() if flag & bit}


def test_units_of_the_table_become_canonical(read):
    closures = read(archive())
    assert words(closures) == set()
    assert closures["pressure"].values[0, 0] == pytest.approx(98500.0)
    assert closures["area"].item() == pytest.approx(317.8e-4)
    assert closures["volume"].item() == pytest.approx(5997.3e-6)
    assert closures["co2"].attrs["units"] == "umol mol-1"
    assert closures["ch4"].attrs["units"] == "nmol mol-1"
    assert closures["ch4"].attrs["basis"] == "dry"
    assert closures["soil_moisture"].attrs["units"] == "m3 m-3"
    assert closures["soil_temperature_2"].values[0, 0] == 10.0


def test_time_counts_from_the_first_record_of_the_closed_chamber(read):
    closures = read(archive())
    elapsed = closures["elapsed"].values[0]
    np.testing.assert_array_equal(elapsed, np.arange(-8, 91))
    assert closures["co2"].values[0, elapsed == 0] == 410.0


def test_an_observation_over_midnight_has_no_gap(read):
    document = metadata(start="20240501235922")
    closures = read(archive(table(midnight=True), document, log=""))
    assert np.diff(closures["elapsed"].values[0]).max() == 1.0
    assert words(closures) == set()


def test_the_log_tells_the_time_zone(read):
    closures = read(archive())
    assert closures.attrs["utc_offset"] == 2.0
    assert closures.attrs["utc_offset_source"] == "log.txt"
    assert closures["time"].values[0] == np.datetime64("2024-05-01T08:00:00")
    assert closures["instrument_time"].values[0] == np.datetime64("2024-05-01T10:00:00")


def test_without_a_log_the_offset_is_that_of_the_caller(read):
    closures = read(archive(drop=["log.txt"]), utc_offset=-3.5)
    assert closures["time"].values[0] == np.datetime64("2024-05-01T13:30:00")
    closures = read(archive(drop=["log.txt"]))
    assert "taken for UTC" in closures.attrs["utc_offset_source"]
    with pytest.raises(InputError, match="no clock on Earth"):
        read(archive(), utc_offset=7200)


def test_fluxes_of_the_firmware_come_from_the_log(read):
    closures = read(archive())
    assert closures["firmware_flux_co2"].item() == 12.5
    assert closures["firmware_flux_co2"].attrs["units"] == "umol m-2 s-1"
    assert "firmware_flux_ch4" not in closures


def test_identifiers_are_text(read):
    closures = read(archive())
    assert closures["label"].item() == "5.10"
    assert closures["port"].item() == "5"
    assert closures["device"].item() == "82L-0001"
    assert closures["closure"].item() == "82m-0001-20240501095952"


def test_the_dead_band_leaves_out_the_record_at_its_end(read):
    one = read(archive()).isel(closure=0)
    window = (one["elapsed"] >= one["dead_band"]) & (one["elapsed"] <= one["fit_end"])
    assert one["elapsed"].values[window.values][[0, -1]].tolist() == [21.0, 90.0]


def test_a_wet_mole_fraction_says_so(read):
    data = table().replace("CO2_DRY", "CO2").replace("CH4_DRY", "CH4")
    closures = read(archive(data))
    assert closures["co2"].attrs["basis"] == "wet"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "empty file"),
        (b"PK\x03\x04 and no more", "damaged ZIP archive"),
        (archive()[:-400], "damaged ZIP archive"),
        (archive(drop=["data.csv"]), "without data.csv"),
        (archive(drop=["metadata.json"]), "without metadata.json"),
        (archive(document='{"CHAMBER": {'), r"metadata.json .* line 1, column \d+"),
        (archive(document="[]"), "no JSON object"),
        (archive(data=""), "does not begin with rows"),
        (archive(data="a,b\nc,d\ne,f\n"), "does not begin with rows"),
        (archive(table().replace("[C],", "")), "cannot be told apart"),
        (archive(table().replace("STATE", "STAGE")), "no STATE"),
        (archive(table().replace("_DRY", "_")), "no column of a gas"),
        (archive(table().replace("[kPa]", "[furlong+1]")), "furlong"),
        (b"LI-8100:\t 1\t", "LI-8100 file"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_reason(read, raw, says):
    with pytest.raises(InputError, match=says):
        read(raw)


def test_a_member_with_a_wrong_checksum_is_refused(read):
    raw = bytearray(archive())
    raw[90] ^= 0xFF
    with pytest.raises(InputError, match="damaged ZIP archive"):
        read(bytes(raw))


def rows_changed(change):
    lines = table().splitlines()
    return "\n".join(lines[:3] + change(lines[3:])) + "\n"


def replaced(old, new):
    return lambda rows: [row.replace(old, new) for row in rows]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: r[:40], {"truncated"}),
        (lambda r: r[:5], {"no_data", "truncated"}),
        (lambda r: [], {"no_data", "truncated"}),
        (lambda r: r[:50] + r[52:], {"bad_rows"}),
        (lambda r: [*r[:50], r[50][:20], *r[51:]], {"bad_rows"}),
        (lambda r: [*r[:50], r[50], *r[50:]], {"duplicate_times"}),
        (lambda r: [*r[:50], r[51], r[50], *r[52:]], {"non_monotonic_time"}),
        (replaced("20240501,", "99990501,"), {"no_data", "unknown_time"}),
        (replaced(",98.5,", ",,"), {"bad_rows"}),
        (replaced(",12.0,", ",95,"), {"implausible_temperature"}),
        (replaced(",98.5,0,", ",98.5,3,"), {"instrument_warning"}),
    ],
)
def test_damage_of_the_records_is_flagged(read, change, expected):
    closures = read(archive(rows_changed(change)))
    assert expected <= words(closures)
    assert closures.sizes["closure"] == 1


def test_a_chamber_without_thermometer_is_flagged(read):
    closures = read(archive(table().replace(",TA,", ",TX,")))
    assert "damaged_header" in words(closures)
    assert np.isnan(closures["temperature"].values).all()


@pytest.mark.parametrize("member", ["AREA", "VOLUME_TOTAL"])
def test_a_lost_geometry_is_nan_and_flagged(read, member):
    document = metadata()
    for part in document.values():
        if isinstance(part, dict):
            part.pop(member, None)
    closures = read(archive(document=document))
    assert "damaged_header" in words(closures)
    lost = {"AREA": "area", "VOLUME_TOTAL": "volume"}[member]
    assert np.isnan(closures[lost].item())


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    at=st.integers(0, 6000),
    n=st.integers(0, 400),
    junk=st.text(max_size=6),
    member=st.sampled_from(["data", "document"]),
)
def test_no_text_whatever_crashes_the_reader(read, at, n, junk, member):
    data, document = table(), json.dumps(metadata(), indent=1)
    if member == "data":
        data = data[:at] + junk + data[at + n :]
    else:
        at %= len(document)
        document = document[:at] + junk + document[at + n :]
    try:
        closures = read(archive(data, document))
    except InputError:
        return
    assert closures.sizes["closure"] == 1


@pytest.mark.realdata
def test_the_field_file_reads_whole(dataset):
    closures = read_licor_82z(dataset("licor-examples") / "LI8250.82z")
    assert words(closures) == set()
    assert closures["instrument_time"].values[0] == np.datetime64("2023-06-29T00:00:37")
    # Ireland in summer: an hour ahead of UTC, as the log shows.
    assert closures["time"].values[0] == np.datetime64("2023-06-28T23:00:37")
    assert closures["firmware_flux_co2"].item() == pytest.approx(12.110720634460449)
    assert closures["soil_moisture"].values[0, 0] == pytest.approx(0.356)


@pytest.mark.realdata
def test_the_total_volume_holds_collar_analyser_multiplexer_and_both_tubes(dataset):
    with zipfile.ZipFile(dataset("licor-examples") / "LI8250.82z") as packed:
        document = json.loads(packed.read("metadata.json"))
    chamber, analyzer = document["CHAMBER"], document["LI-7810"]
    bore = math.pi / 4 * 0.3175**2  # 1/8 inch, cm2; gas goes there and back
    tubes = chamber["TUBE_LENGTH"]["VALUE"] + analyzer["TUBE_LENGTH"]["VALUE"]
    parts = (
        chamber["VOLUME"]["VALUE"]
        + chamber["AREA"]["VALUE"] * chamber["COLLAR_HEIGHT"]["VALUE"]
        + analyzer["VOLUME"]["VALUE"]
        + document["LI-8250"]["VOLUME"]["VALUE"]
        + 2 * bore * tubes
    )
    total = document["METADATA"]["VOLUME_TOTAL"]["VALUE"]
    assert parts == pytest.approx(total, abs=0.02)


@pytest.mark.realdata
def test_the_linear_methane_flux_of_the_firmware_is_reproduced(dataset):
    one = read_licor_82z(dataset("licor-examples") / "LI8250.82z").isel(closure=0)
    t, c = one["elapsed"].values, one["ch4"].values
    use = (t >= one["dead_band"].item()) & (t <= one["fit_end"].item())
    slope = np.polyfit(t[use], c[use], 1)[0]
    first = int(np.flatnonzero(t == 0.0)[0])  # the log: "using 5.99 and 101.484"
    amount = (
        one["volume"].item()
        * one["pressure"].values[first]
        * (1 - one["h2o"].values[first] / 1e3)
        / (8.314 * one["area"].item() * (one["temperature"].values[first] + 273.15))
    )
    assert amount * slope == pytest.approx(one["firmware_flux_ch4"].item(), rel=1e-4)


def repacked(members, *, encrypted=False, method=None):
    """Return the bytes of a zip archive, its headers changed as asked."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members:
            file.writestr(name, text)
    raw = bytearray(packed.getvalue())
    for mark, flag, kind in ((b"PK\x03\x04", 6, 8), (b"PK\x01\x02", 8, 10)):
        at = raw.find(mark)
        while at >= 0:
            if encrypted:
                raw[at + flag] |= 1
            if method is not None:
                raw[at + kind] = method
            at = raw.find(mark, at + 4)
    return bytes(raw)


@pytest.mark.parametrize("change", [{"encrypted": True}, {"method": 99}])
def test_an_archive_that_cannot_be_unpacked_is_refused(tmp_path, change):
    path = tmp_path / "x.82z"
    path.write_bytes(repacked([("data.csv", "a\n"), ("metadata.json", "{}")], **change))
    with pytest.raises(InputError, match="cannot be unpacked"):
        read_licor_82z(path)


def test_an_archive_of_two_observations_is_not_mixed_into_one(tmp_path):
    path = tmp_path / "x.82z"
    names = [f"{n}/{m}" for n in "ab" for m in ("data.csv", "metadata.json")]
    path.write_bytes(repacked([(name, "{}") for name in names]))
    with pytest.raises(InputError, match="several observations"):
        read_licor_82z(path)
