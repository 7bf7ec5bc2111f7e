"""Observation files are read as they stand: both versions, every oddity, or refused."""

import gzip

import hatanaka
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.core.errors import InputError
from tilth.gnss.rinex.header import read_header
from tilth.gnss.rinex.observations import read_observations

T0 = np.datetime64("2018-07-19T00:00:00", "ns")
NAMES = {"G": ["C1C", "S1C", "S2W", "S2L"], "E": ["S1C", "C5Q", "S5Q"]}


def at(second):
    return T0 + np.timedelta64(round(second * 1e9), "ns")


@pytest.mark.realdata
def test_a_day_in_hatanakas_compression_has_all_epochs_and_gps_satellites(dataset):
    folder = dataset("rinex-examples")
    day = read_observations(folder / "CEBR00ESP_R_20182000000_01D_30S_MO.crx.gz")
    satellite = day["satellite"].values
    assert np.unique(day["time"].values).size == 2880
    assert np.unique(satellite[satellite < 100]).size == 32
    assert day["time"].values[0] == T0
    # First lines of the unpacked file: G28 S1C 42.750 S1W 26.000, G15 S2L 32.250.
    assert satellite[:3].tolist() == [28, 209, 15]
    assert day["S1C"].values[:3].tolist() == [42.75, 39.0, 39.75]
    assert day["S1W"].values[0] == 26.0
    assert day["S2L"].values[2] == 32.25
    assert np.isnan(day["S2L"].values[0])
    np.testing.assert_allclose(
        day.attrs["position"], [4846664.918, -370195.2, 4116929.526]
    )
    assert day.attrs["glonass_channels"].startswith("1:1 2:-4 3:5")


@pytest.mark.realdata
def test_rows_agree_with_a_plain_reading_of_the_lines(dataset):
    """Every S of every line, by slices of Python: no field is shifted or lost."""
    path = dataset("rinex-examples") / "CEBR00ESP_R_20182000000_01D_30S_MO.crx.gz"
    day = read_observations(path)
    header = read_header(path)
    lines = hatanaka.decompress(path).decode()[header.length :].splitlines()
    total, rows = {}, 0
    for line in lines:
        names = header.observables.get(line[0], ()) if line[0] in "GREC" else ()
        found = False
        for k, name in enumerate(names):
            field = line[3 + 16 * k : 17 + 16 * k].strip()
            if name[0] == "S" and field:
                total[name] = total.get(name, 0.0) + float(field)
                found = True
        rows += found
    assert day.sizes["observation"] == rows
    for name, value in total.items():
        assert float(day[name].sum()) == pytest.approx(value, rel=1e-12)


@pytest.mark.realdata
def test_a_file_of_two_constellations_has_its_epochs_and_satellites(dataset):
    day = read_observations(
        dataset("rinex-examples") / "CEDA00USA_R_20182100000_23H_15S_MO.rnx.gz", "CS"
    )
    assert np.unique(day["time"].values).size == 4675
    assert np.unique(day["satellite"].values).size == 19
    first = day.isel(observation=0)
    assert int(first["satellite"]) == 211
    assert float(first["S1C"]) == 37.25
    assert float(first["C1C"]) == 47309988.776


@pytest.mark.realdata
def test_rinex_2_tells_that_its_snr_is_mapped_to_digits(dataset):
    day = read_observations(dataset("rinex-examples") / "york0440.15d")
    assert "digits" in day.attrs["snr_in_digits"]
    assert np.unique(day["time"].values).size == 2880
    # Second epoch of G07 in the unpacked file: 41 and 27.
    assert day["S1"].values[[0, 10]].tolist() == [42.0, 41.0]
    assert day["S2"].values[[0, 10]].tolist() == [28.0, 27.0]
    assert day["satellite"].values[:3].tolist() == [7, 27, 19]


@settings(deadline=None)  # the first reading compiles
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([1, 12, 32, 201, 236]),
            st.lists(
                st.none() | st.integers(1, 99_999).map(lambda n: n / 1000),
                min_size=4,
                max_size=4,
            ),
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda row: row[0],
    ),
    version=st.sampled_from([2.11, 3.04]),
    crlf=st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, write_rinex, rows, version, crlf):
    path = tmp_path_factory.mktemp("rinex") / "made.rnx"
    names = (
        ["S1", "S2", "S5", "C1"]
        if version < 3
        else {letter: ["S1C", "S2W", "S5Q", "C1C"] for letter in "GE"}
    )
    write_rinex(path, names, [(at(30), rows), (at(60.5), rows)], version=version)
    if crlf:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    kept = [row for row in rows if any(v is not None for v in row[1])]
    if not kept:
        with pytest.raises(InputError, match="no observation"):
            read_observations(path, "SC")
        return
    day = read_observations(path, "SC")
    assert day["satellite"].values.tolist() == [s for s, _ in kept] * 2
    assert list(np.unique(day["time"].values)) == [at(30), at(60.5)]
    columns = names if version < 3 else names["G"]
    for k, name in enumerate(columns):
        wanted = [np.nan if values[k] is None else values[k] for _, values in kept]
        np.testing.assert_array_equal(day[name].values[: len(kept)], wanted)


def test_more_than_twelve_satellites_take_another_line_in_rinex_2(
    tmp_path, write_rinex
):
    rows = [(n, [40.0 + n / 100] + [None] * 6) for n in range(1, 27)]
    names = ["S1", "S2", "C1", "P1", "L1", "L2", "D1"]
    path = write_rinex(tmp_path / "a.18o", names, [(at(0), rows)], version=2.11)
    day = read_observations(path)
    assert day["satellite"].values.tolist() == list(range(1, 27))
    assert day["S1"].values[25] == 40.26


def test_a_zero_is_no_observation(tmp_path, write_rinex):
    path = write_rinex(
        tmp_path / "a.rnx", NAMES, [(at(0), [(5, [2e7, 0.0, 40.0, None])])]
    )
    day = read_observations(path)
    assert np.isnan(day["S1C"].values[0])
    assert day["S2W"].values[0] == 40.0


def test_events_are_passed_and_new_lists_of_observables_followed(tmp_path, write_rinex):
    path = write_rinex(
        tmp_path / "a.rnx", NAMES, [(at(0), [(5, [2e7, 41.0, 30.0, None])])]
    )
    comment = f"{'a remark':<60}COMMENT\n"
    changed = f"{'G    3 S5Q S2L S1C':<60}SYS / # / OBS TYPES\n"
    slip = "G05   20000000.000\n"
    with path.open("a") as file:
        file.write(f">{'':30}4  1\n{comment}")
        file.write("> 2018 07 19 00 00 15.0000000  6  1\n" + slip)
        file.write("> 2018 07 19 00 00 30.0000000  0  1\n")
        file.write(f"G05{2.1e7:14.3f}  {42.0:14.3f}\n")
        file.write(f">{'':30}4  1\n{changed}")
        file.write("> 2018 07 19 00 01  0.0000000  1  1\n")
        file.write(f"G05{50.0:14.3f}  {43.0:14.3f}  {44.0:14.3f}\n")
    day = read_observations(path)
    np.testing.assert_array_equal(day["S1C"].values, [41.0, 42.0, 44.0])
    np.testing.assert_array_equal(day["S2W"].values, [30.0, np.nan, np.nan])
    np.testing.assert_array_equal(day["S2L"].values, [np.nan, np.nan, 43.0])
    np.testing.assert_array_equal(day["S5Q"].values, [np.nan, np.nan, 50.0])
    seconds = (day["time"].values - T0) / np.timedelta64(1, "s")
    assert seconds.tolist() == [0, 30, 60]


def test_other_constellations_are_passed_over(tmp_path, write_rinex):
    path = write_rinex(
        tmp_path / "a.rnx", NAMES, [(at(0), [(5, [2e7, 41.0, 30.0, None])])]
    )
    text = path.read_text().replace("  0  1\nG05", "  0  2\nJ02      99.000\nG05")
    path.write_text(text)
    assert read_observations(path)["satellite"].values.tolist() == [5]


def test_scaled_observables_are_divided_by_their_factor(tmp_path, write_rinex):
    scale = ("G   10   1 S1C", "SYS / SCALE FACTOR")
    rows = [(5, [2e7, 410.0, 30.0, None]), (205, [41.0, None, None])]
    path = write_rinex(tmp_path / "a.rnx", NAMES, [(at(0), rows)], extra=[scale])
    assert read_observations(path)["S1C"].values.tolist() == [41.0, 41.0]


@pytest.mark.parametrize(("system", "ahead"), [("GPS", 0), ("GLO", 18), ("BDT", 14)])
def test_epochs_become_gps_time(tmp_path, write_rinex, system, ahead):
    first = (
        "  2018     7    19     0     0    0.0000000     " + system,
        "TIME OF FIRST OBS",
    )
    rows = [(5, [2e7, 41.0, 30.0, None])]
    path = write_rinex(tmp_path / "a.rnx", NAMES, [(at(0), rows)], extra=[first])
    assert read_observations(path)["time"].values[0] == at(ahead)


def test_only_the_observables_asked_for_are_kept(tmp_path, write_rinex):
    path = write_rinex(
        tmp_path / "a.rnx", NAMES, [(at(0), [(5, [2e7, 41.0, 30.0, None])])]
    )
    day = read_observations(path, ["S2W"])
    assert set(day.data_vars) == {"satellite", "time", "S2W"}
    with pytest.raises(InputError, match=r"none of the observables.*C1C"):
        read_observations(path, ["S9Z"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: text[: text.rindex("G06")], "ends within an epoch"),
        (
            lambda text: text.replace("41.000", "4x.000"),
            r"line 9: an observation is no",
        ),
        (lambda text: text.replace("> 2018 07", "> 2018 17"), "no epoch begins"),
        (lambda text: text.replace("> 2018", "2018"), "line 8: no epoch begins"),
        (lambda text: text.replace("G06", "?06"), "no satellite is named"),
        (lambda text: text.replace("END OF HEADER", ""), "END OF HEADER"),
        (
            lambda text: text.replace("OBSERVATION", "NAVIGATION "),
            "no RINEX observation",
        ),
        (lambda text: text.replace("3.03", "5.03"), "versions 2.10 to 4"),
        (lambda text: text.replace("G    4", "G    9"), "announces 9 observables"),
        (lambda text: "", "is empty"),
    ],
)
def test_a_damaged_file_is_refused_with_the_reason(
    tmp_path, write_rinex, change, reason
):
    rows = [(5, [2e7, 41.0, 30.0, None]), (6, [2e7, 41.0, 30.0, None])]
    path = write_rinex(
        tmp_path / "a.rnx", NAMES, [(at(0), rows)], position=[1.2e6, -4.7e6, 4e6],
        extra=[("a comment", "COMMENT")],
    )  # fmt: skip
    text = path.read_text()
    assert change(text) != text
    path.write_text(change(text))
    with pytest.raises(InputError, match=reason):
        read_observations(path)


@pytest.mark.realdata
def test_a_cut_archive_is_refused(dataset, tmp_path):
    name = "CEBR00ESP_R_20182000000_01D_30S_MO.crx.gz"
    content = (dataset("rinex-examples") / name).read_bytes()
    cut = tmp_path / name
    cut.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damaged or was not copied"):
        read_observations(cut)
    cut.write_bytes(gzip.compress(gzip.decompress(content)[:5_000]))
    with pytest.raises(InputError):
        read_observations(cut)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"there is no file .*none\.rnx"):
        read_observations(tmp_path / "none.rnx")
