"""Smart Chamber files (JSON): footers reproduced, damage flagged per repetition."""

import copy
import gzip
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.readers.smart_chamber import read_smart_chamber
from tilth.core.errors import InputError

GASES = {"co2": (410.0, 0.3), "ch4": (2000.0, -0.02)}


def repetition(number=1, length=60, slope_factor=1.0):
    """Write one repetition as the firmware does, footer and summary included."""
    t = np.arange(length, dtype=float)
    header = {
        "Chamber": "82s-1000",
        "Version": "1.18",
        "InstrumentModel": "LI-7810",
        "InstrumentSerialNumber": "TG10-00001",
        "Date": f"2024-07-01 12:{number:02d}:00",
        "RepNum": number,
        "DeadBand": 5,
        "Area": 318,
        "Offset": 8,
        "ChamVolume": 4244.1,
        "IrgaVolume": 46.96,
        "TotalVolume": 6835.06,
        "gps_time": 1719828000 + 60 * number,
        "latitude": 52.1,
        "longitude": 9.9,
        "altitude": 80.0,
        "gps_sats": 9,
        "TimeZone": "Europe/Berlin",
    }
    data = {
        "timestamp": t.astype(int).tolist(),
        "chamber_p": [100.0] * length,
        "chamber_t": (20.0 + 0.01 * t).tolist(),
        "soil_t": [9999] * length,
        "soilp_t": [12.5] * length,
        "soilp_m": [0.3] * length,
        "h2o": (15.0 + 0.005 * t).tolist(),
        "err": [0] * length,
    }
    slopes = {g: s * slope_factor for g, (_, s) in GASES.items()}
    data |= {g: (c + slopes[g] * t).tolist() for g, (c, _) in GASES.items()}
    amount = 10 * 6835.06 * 100.0 * (1 - 15.0 / 1e3) / (8.314 * 318 * (20 + 273.15))
    footer = {"P_o": 100.0, "T_o": 20.0, "W_o": 15.0, "fluxes": []}
    for gas, (start, _) in GASES.items():
        footer["fluxes"].append(
            {
                "name": gas,
                "F_o": amount * slopes[gas],
                "F_cv": 1.1,
                "t_o": 0,
                "C_o": start,
            }
            | {"a": 1e-7, "C_x": 1e6, "iter": 10, "ses": 0.001, "r2": 0.99}
            | {"slope": slopes[gas], "domain": length - 7, "n": length - 6}
        )
    summary = {
        name: [values[0], float(np.mean(values)), float(np.ptp(values))]
        for name, values in data.items()
    }
    return {"header": header, "data": data, "summary": summary, "footer": footer}


def document():
    return {
        "name": "made-up",
        "datasets": [
            {
                "5.10": {
                    "remark": "",
                    "reps": {f"REP_{i}": repetition(i) for i in (1, 2)},
                }
            },
            {"5.1": {"remark": "dry", "reps": {"REP_1": repetition(3)}}},
        ],
    }


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return a function that reads a document (or bytes) as a file."""
    path = tmp_path_factory.mktemp("smart") / "file.json"

    def reading(content):
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        path.write_bytes(raw)
        return read_smart_chamber(path)

    return reading


def words(closures, i=0):
    flag = int(closures["closure_flag"].values[i])
    return {
        word for word in CLOSURE_FLAGS.descriptions if flag & CLOSURE_FLAGS.bit(word)
    }


def amount_of_air(closures):
    return (
        closures["volume"]
        * closures["initial_pressure"]
        * (1 - closures["initial_h2o"] / 1e3)
        / (8.314 * closures["area"] * (closures["initial_temperature"] + 273.15))
    )


def test_every_repetition_is_a_closure_named_in_text(read):
    closures = read(document())
    assert list(closures["closure"].values) == ["5.10/1", "5.10/2", "5.1/1"]
    assert list(closures["label"].values) == ["5.10", "5.10", "5.1"]
    assert list(closures["remark"].values) == ["", "", "dry"]
    assert [words(closures, i) for i in range(3)] == [set()] * 3


def test_local_time_becomes_utc_by_the_zone_of_the_file(read):
    closures = read(document())
    assert closures["instrument_time"].values[0] == np.datetime64("2024-07-01T12:01:00")
    assert closures["time"].values[0] == np.datetime64("2024-07-01T10:01:00")


@pytest.mark.parametrize("zone", [None, "Mars/Olympus", ""])
def test_without_a_usable_zone_the_gps_tells_the_offset(read, zone):
    content = document()
    content["datasets"][0]["5.10"]["reps"]["REP_1"]["header"]["TimeZone"] = zone
    assert read(content)["time"].values[0] == np.datetime64("2024-07-01T10:01:00")
    content["datasets"][0]["5.10"]["reps"]["REP_1"]["header"]["gps_time"] = 0
    closures = read(content)
    assert np.isnat(closures["time"].values[0])
    assert words(closures) == {"unknown_time"}


def test_units_are_canonical_and_the_absent_probe_is_no_temperature(read):
    closures = read(document())
    assert closures["area"].values[0] == pytest.approx(318e-4)
    assert closures["volume"].values[0] == pytest.approx(6835.06e-6)
    assert closures["pressure"].values[0, 0] == pytest.approx(1e5)
    assert closures["ch4"].attrs["units"] == "nmol mol-1"
    assert closures["firmware_flux_ch4"].attrs["units"] == "nmol m-2 s-1"
    assert closures["soil_temperature"].values.max() == 12.5
    assert "soil_t" not in closures


def test_the_dead_band_leaves_out_the_record_at_its_end(read):
    one = read(document()).isel(closure=0)
    window = (one["elapsed"] >= one["dead_band"]) & (one["elapsed"] <= one["fit_end"])
    assert int(window.sum()) == one["firmware_samples_co2"].item()
    assert one["elapsed"].values[window.values][0] == 6.0


def test_a_repetition_without_a_fit_has_nan_not_zero(read):
    content = document()
    for flux in content["datasets"][0]["5.10"]["reps"]["REP_2"]["footer"]["fluxes"]:
        flux.update(dict.fromkeys(set(flux) - {"name"}, 0))
    closures = read(content)
    assert words(closures, 1) == {"no_data", "missing_footer"}
    for name, variable in closures.data_vars.items():
        if str(name).startswith("firmware_"):
            assert np.isnan(variable.values[1]), name
    assert np.isfinite(closures["co2"].values[1]).all()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "empty file"),
        (b"PK\x03\x04", "ZIP archive"),
        (b"LI-8100:\t 1\t", "LI-8100 file"),
        (b'{"datasets": 3}', "no Smart Chamber file"),
        (b'{"datasets": []}', "no repetition"),
        (b"[1, 2]", "no Smart Chamber file"),
    ],
)
def test_a_file_of_another_kind_is_refused_and_told_what_it_is(read, raw, says):
    with pytest.raises(InputError, match=says):
        read(raw)


def test_a_transfer_cut_short_says_where_it_breaks_off(read):
    raw = json.dumps(document(), indent=1).encode()
    with pytest.raises(InputError, match=r"line \d+, column \d+.*download it again"):
        read(raw[: len(raw) // 2])


def test_gzip_is_unpacked(read):
    raw = json.dumps(document()).encode()
    assert read(gzip.compress(raw)).sizes == read(raw).sizes


def changed(path, value):
    """Return the document with one member of its second repetition changed."""
    content = document()
    *parents, last = ["datasets", 0, "5.10", "reps", "REP_2", *path]
    node = content
    for key in parents:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (["header"], None, {"damaged_header", "unknown_time"}),
        (["header", "Area"], None, {"damaged_header"}),
        (["header", "Area"], -3, {"damaged_header"}),
        (["header", "TotalVolume"], 683.5, {"damaged_header"}),
        (["header", "TotalVolume"], "much", {"damaged_header"}),
        (["header", "DeadBand"], None, {"damaged_header"}),
        (["header", "Date"], "yesterday", {"unknown_time"}),
        (["header", "Date"], "9999-12-31 23:59:59", {"unknown_time"}),
        (["data"], None, {"no_data", "truncated"}),
        (["data", "timestamp"], None, {"no_data"}),
        (["data", "co2"], list(range(300, 320)), {"bad_rows"}),
        (["data", "timestamp"], [0, 1, 2], {"bad_rows", "truncated"}),
        (["data", "timestamp"], [*range(30), 29, *range(31, 60)], {"duplicate_times"}),
        (
            ["data", "timestamp"],
            [*range(30), 31, 30, *range(32, 60)],
            {"non_monotonic_time"},
        ),
        (["data", "chamber_t"], ["warm"] * 60, {"bad_rows"}),
        (["data", "chamber_t"], [90.0] * 60, {"implausible_temperature"}),
        (["data", "co2"], [0.0] * 60, {"implausible_concentration"}),
        (["data", "co2"], [410.0] * 60, {"summary_mismatch"}),
        (["data", "err"], [0] * 59 + [4], {"instrument_warning"}),
        (["footer"], None, {"missing_footer"}),
        (["footer", "fluxes"], [], {"missing_footer"}),
        (["footer", "fluxes", 0, "F_o"], 9.9, {"summary_mismatch"}),
        (["footer", "fluxes", 0, "n"], 540, {"truncated"}),
    ],
)
def test_what_a_repetition_lacks_is_flagged_and_the_others_are_whole(
    read, path, value, expected
):
    closures, clean = read(changed(path, value)), read(document())
    assert expected <= words(closures, 1)
    for i in (0, 2):
        assert words(closures, i) == set()
        np.testing.assert_array_equal(closures["co2"].values[i], clean["co2"].values[i])


def test_values_at_closing_are_regressed_where_the_file_lacks_them(read):
    content = changed(["footer"], None)
    del content["datasets"][0]["5.10"]["reps"]["REP_2"]["summary"]
    closures = read(content)
    assert closures["initial_temperature"].values[1] == pytest.approx(20.0)
    assert closures["initial_co2"].values[1] == pytest.approx(410.0)


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    st.just(10**400),
    st.just("9" * 20),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(choices=st.lists(st.integers(0, 10**6), min_size=2, max_size=7), junk=JUNK)
def test_no_member_whatever_crashes_the_reader(read, choices, junk):
    content = document()
    node, parent, last = content, content, "datasets"
    for choice in choices:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = keys[choice % len(keys)]
        if not isinstance(node[key], (dict, list)) or not node[key]:
            break
        parent, last, node = node, key, node[key]
    parent[last] = copy.deepcopy(junk)
    try:
        closures = read(content)
    except InputError:
        return
    assert closures.sizes["closure"] >= 1


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "fluxes"),
    [
        (
            "fluxfinder_LI8200-01S.json",
            {
                "co2": [6.6457, 2.78851, np.nan, 5.72601],
                "ch4": [-0.120484, -0.104297, np.nan, -0.239531],
            },
        ),
        ("goFlux_LI8200.json", {"n2o": [0.0107354]}),
    ],
)
def test_firmware_fluxes_follow_from_geometry_and_slope(dataset, name, fluxes):
    closures = read_smart_chamber(dataset("licor-examples") / name)
    amount = amount_of_air(closures)
    for gas, printed in fluxes.items():
        ours = amount * closures[f"firmware_slope_{gas}"]
        np.testing.assert_allclose(closures[f"firmware_flux_{gas}"], printed)
        np.testing.assert_allclose(ours, printed, rtol=1e-5)


@pytest.mark.realdata
def test_linear_fluxes_of_the_field_file_are_those_of_least_squares(dataset):
    closures = read_smart_chamber(
        dataset("licor-examples") / "fluxfinder_LI8200-01S.json"
    )
    assert words(closures, 2) == {"no_data", "missing_footer"}
    assert all(words(closures, i) == set() for i in (0, 1, 3))
    amount = amount_of_air(closures).values
    for gas, status in (("co2", "Lin"), ("ch4", "Lin")):
        for i in np.flatnonzero(closures[f"firmware_status_{gas}"] == status):
            one = closures.isel(closure=i)
            t, c = one["elapsed"].values, one[gas].values
            use = (t >= one["dead_band"].item()) & (t <= one["fit_end"].item())
            assert use.sum() == one[f"firmware_samples_{gas}"]
            flux = amount[i] * np.polyfit(t[use], c[use], 1)[0]
            assert flux == pytest.approx(one[f"firmware_flux_{gas}"].item(), abs=0.0051)


@pytest.mark.realdata
def test_field_times_agree_with_the_satellites(dataset):
    closures = read_smart_chamber(dataset("licor-examples") / "goFlux_LI8200.json")
    gps = np.datetime64(1664787796, "s")
    assert abs(closures["time"].values[0] - gps) < np.timedelta64(10, "s")
