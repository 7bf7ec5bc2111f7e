"""LI-8100 files (.81x): physics of a clean file, and damage of every kind."""

import gzip
import random
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.readers.licor_81x import read_licor_81x
from tilth.core.errors import InputError

LABELS = [
    "Type",
    "Etime",
    "Date",
    "Tcham",
    "Pressure",
    "H2O",
    "CO2",
    "Cdry",
    "Tbench",
    "RH",
    "CO2ABS",
    "Annotation",
]
#: With one of these an observation must not get a flux.
BLOCKING = ("truncated", "damaged_header", "no_data", "summary_mismatch")


def observation(
    number=1,
    slope=0.2,
    length=60,
    dead_band=10,
    opening=5,
    label="plot 5.10",
    header=(),
    real_times=False,
):
    """Write one undamaged observation as the firmware does, checks included."""
    rng = np.random.default_rng(number)
    elapsed = np.arange(length)
    vapour = np.round(8.0 + 0.02 * elapsed, 3)
    dry = np.round(405.0 + slope * elapsed + rng.normal(0, 0.05, length), 2)
    wet = np.round(dry * (1 - vapour / 1e3), 2)
    warm = np.round(15.0 + 0.005 * elapsed, 2)
    humid = np.round(60.0 + 0.01 * elapsed, 2)
    start = pd.Timestamp("2024-05-01 10:00:00") + pd.Timedelta(minutes=10 * number)

    def row(kind, t, when, values):
        fields = [f"{kind}", f"{t:g}", when.strftime("%Y-%m-%d %H:%M:%S")]
        return "\t".join([*fields, *(f"{v:g}" for v in values)])

    rows = []
    for i in range(-opening, 0):
        values = [15.0, 98.5, 8.0, 401.2, round(401.2 / 0.992, 2), 50.0, 60.0, 0.08]
        t = i if real_times else -1
        rows.append(row(1, t, start + pd.Timedelta(seconds=i), values))
    for t in elapsed:
        values = [warm[t], 98.5, vapour[t], wet[t], dry[t], 50.0, humid[t], 0.08]
        rows.append(row(1, t, start + pd.Timedelta(seconds=int(t)), values))
    early = elapsed < 10
    columns = [warm, np.full(length, 98.5), vapour, wet, dry]
    initial = [np.polyval(np.polyfit(elapsed[early], c[early], 1), 0) for c in columns]
    summary = []
    for kind, t, numbers in (
        (2, 0, [*initial, 50.0, 60.0 + 1e-9, 0.08]),
        (3, elapsed.mean(), [*(c.mean() for c in columns), 50.0, humid.mean(), 0.08]),
        (4, length - 1, [*(np.ptp(c) for c in columns), 0.0, np.ptp(humid), 0.0]),
    ):
        digits = (2, 2, 3, 2, 2, 2, 2, 5)
        values = [round(v, d) for v, d in zip(numbers, digits, strict=True)]
        summary.append(row(kind, t, start, values))
    t0, w0 = round(initial[0], 2), round(initial[2], 3)
    fit = elapsed >= dead_band
    found = np.polyfit(elapsed[fit], dry[fit], 1)[0]
    flux = 10 * 8020.9 * 98.5 * (1 - w0 / 1e3) / (8.314 * 317.8 * (t0 + 273.15)) * found
    footer = [
        "CrvFitStatus:\tLin",
        "Exp_Flux:\t2.340000",
        "Exp_FluxCV:\t1.5",
        "Exp_dCdry/dt:\t0.21",
        "Exp_R2:\t0.99",
        "Exp_SE:\t0.01",
        "Exp_a:\t1.0e-03",
        "Exp_Co:\t405.1",
        "Exp_Cx:\t600.2",
        "Exp_t0:\t1.5",
        "Exp_Iter:\t7",
        f"Lin_Flux:\t{flux:.2f}",
        "Lin_FluxCV:\t1.3",
        f"Lin_dCdry/dt:\t{found:.3f}",
        "Lin_R2:\t0.99",
        "Lin_SE:\t0.01",
        f"Crv_Domain:\t{length - dead_band}",
        f"Crv_#Smp:\t{length - dead_band}",
        f"Dead Band:\t00:{dead_band:02d}",
        f"TimeClosing:\t{opening}",
    ]
    said = {
        "File Name": "made-up",
        "Serial Number": "81A-0001",
        "Comments": "",
        "Obs#": str(number),
        "Port#": "3",
        "Label": label,
        "Observation Length": f"{length // 60:02d}:{length % 60:02d}",
        "TSource": "Tcham",
        "Virga": "19",
        "Vext": "0",
        "Vcham": "4823.9",
        "Offset": "10",
        "Area": "317.8",
        "Vtotal": "8020.9",
        "Labels_01": str(len(LABELS)),
    } | dict(header)
    lines = [f"{key}:\t{value}" for key, value in said.items()]
    parts = [lines, ["\t".join(LABELS)], rows, summary, footer]
    sizes = [sum(len(line.encode("latin-1")) + 1 for line in part) for part in parts]
    # The first line counts itself: "LI-8100:", five fields and the line end.
    sizes[0] += len("LI-8100:") + 5 * 9 + 1
    first = "LI-8100:" + "".join(f"\t{size:8x}" for size in sizes)
    return "\n".join([first, *(line for part in parts for line in part)]) + "\n\n"


def three():
    return "".join(observation(n, slope=0.1 * n) for n in (1, 2, 3)).encode("latin-1")


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Return a function that reads bytes as a file."""
    folder = tmp_path_factory.mktemp("licor")

    def reading(raw, name="file.81x", **options):
        path = folder / name
        path.write_bytes(raw)
        return read_licor_81x(path, **options)

    return reading


def words(closures, i=0):
    flag = int(closures["closure_flag"].values[i])
    return {
        word for word in CLOSURE_FLAGS.descriptions if flag & CLOSURE_FLAGS.bit(word)
    }


def linear_flux(closures, gas_constant=8.314):
    """Linear flux of every closure by least squares, umol m-2 s-1, from scratch."""
    fluxes = []
    for i in range(closures.sizes["closure"]):
        one = closures.isel(closure=i)
        t, c = one["elapsed"].values, one["co2"].values
        start, end = (
            np.nan_to_num(one["dead_band"]),
            np.nan_to_num(one["fit_end"], nan=1e9),
        )
        use = (t >= start) & (t <= end) & np.isfinite(c)
        slope = np.polyfit(t[use], c[use], 1)[0] if use.sum() > 2 else np.nan
        amount = (
            one["volume"]
            * one["initial_pressure"]
            * (1 - one["initial_h2o"] / 1e3)
            / (gas_constant * one["area"] * (one["initial_temperature"] + 273.15))
        )
        fluxes.append(float(amount) * slope)
    return np.array(fluxes)


def same(a, b, i, j, rtol=0.0, firmware=True):
    """Compare closure i of one dataset with closure j of another, number by number."""
    for name, variable in a.data_vars.items():
        if str(name).startswith("firmware_") and not firmware:
            continue
        x, y = variable.values[i], b[name].values[j]
        if np.ndim(x):
            x = x[np.isfinite(a["elapsed"].values[i])]
            y = y[np.isfinite(b["elapsed"].values[j])]
        if np.shape(x) != np.shape(y):
            return False
        if not np.allclose(x, y, rtol=rtol, atol=0.0, equal_nan=True):
            return False
    return bool(a["time"].values[i] == b["time"].values[j])


# --- a clean file ---------------------------------------------------------------


def test_an_undamaged_file_raises_no_flag(read):
    assert [words(read(three()), i) for i in range(3)] == [set(), set(), set()]


def test_numbers_come_out_in_canonical_units(read):
    closures = read(observation().encode())
    assert closures["area"].item() == pytest.approx(317.8e-4)
    assert closures["volume"].item() == pytest.approx(8020.9e-6)
    assert closures["pressure"].values[0, 0] == pytest.approx(98500.0)
    assert closures["initial_pressure"].item() == pytest.approx(98500.0)
    assert closures["dead_band"].item() == 10.0
    assert closures["fit_end"].item() == 59.0
    assert closures["co2"].attrs["units"] == "umol mol-1"
    assert closures["co2"].attrs["basis"] == "dry"
    assert closures["firmware_exponential_a"].attrs["units"] == "s-1"


def test_flux_from_the_read_records_is_the_one_written(read):
    closures = read(three())
    printed = closures["firmware_linear_flux"].values
    assert np.abs(linear_flux(closures) - printed).max() <= 0.0051
    # Three times the slope is three times the flux.
    assert printed[2] / printed[0] == pytest.approx(3.0, abs=0.02)


def test_identifiers_stay_text(read):
    closures = read(observation(label="5.10").encode())
    assert closures["label"].item() == "5.10"
    assert closures["port"].item() == "3"
    assert closures["closure"].item() == "1"
    assert closures["firmware_status"].item() == "Lin"


def test_closing_time_is_utc_and_the_instrument_clock_is_kept(read):
    closures = read(observation().encode(), utc_offset=2.0)
    assert closures["instrument_time"].values[0] == np.datetime64("2024-05-01T10:10:00")
    assert closures["time"].values[0] == np.datetime64("2024-05-01T08:10:00")
    with pytest.raises(InputError, match="hours the instrument is ahead"):
        read(observation().encode(), utc_offset=3600.0)


def test_records_before_closing_are_kept_only_with_a_time_of_their_own(read):
    assert read(observation().encode())["elapsed"].values[0, 0] == 0.0
    closures = read(observation(real_times=True).encode())
    np.testing.assert_array_equal(closures["elapsed"].values[0, :6], range(-5, 1))


@pytest.mark.parametrize(
    "rewrite",
    [
        lambda raw: raw.replace(b"\n", b"\r\n"),
        lambda raw: raw.replace(b"\n", b"\r"),
        lambda raw: raw.rstrip(b"\n"),
        lambda raw: b"\xef\xbb\xbf" + raw,
        gzip.compress,
        lambda raw: gzip.compress(raw[:5000]) + gzip.compress(raw[5000:]),
    ],
    ids=["crlf", "cr", "no-last-line-end", "bom", "gzip", "gzip-in-two-members"],
)
def test_line_ends_and_packing_change_nothing(read, rewrite):
    clean, other = read(three()), read(rewrite(three()))
    assert all(same(clean, other, i, i) for i in range(3))


def test_a_comment_that_looks_like_a_header_line_is_a_comment(read):
    text = observation(header={"Comments": "see below\nArea: shaded"}.items())
    closures = read(text.encode())
    assert closures["area"].item() == pytest.approx(317.8e-4)
    assert words(closures) == set()


def test_a_clock_beyond_belief_is_no_time(read):
    closures = read(observation().replace("2024-05-01", "9024-05-01").encode())
    assert np.isnat(closures["time"].values[0])
    assert {"unknown_time", "damaged_header"} <= words(closures)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_labels_are_read_in_either_encoding(read, encoding):
    closures = read(observation(label="Gräser Süd").encode(encoding))
    assert closures["label"].item() == "Gräser Süd"
    assert words(closures) == set()


def test_flux_temperature_is_that_of_the_sensor_the_firmware_used(read):
    text = observation().replace("TSource:\tTcham", "TSource:\tTbench")
    closures = read(text.encode())
    assert closures["temperature_source"].item() == "Tbench"
    assert closures["initial_temperature"].item() == 50.0
    # The printed flux was not made with the temperature of the bench.
    assert "summary_mismatch" in words(closures)


def test_observations_of_different_layouts_share_a_file(read):
    lines = observation(2).split("\n")
    wide = [
        "\t".join([*f[:8], "12.1", *f[8:]]) if len(f := line.split("\t")) > 8 else line
        for line in lines
    ]
    wide = "\n".join(wide).replace("Cdry\t12.1", "Cdry\tT1")
    closures = read((observation(1) + wide).encode())
    alone = read(observation(2).encode())
    np.testing.assert_array_equal(closures["co2"].values[1], alone["co2"].values[0])
    assert words(closures, 0) == set()


def test_annotations_are_no_damage(read):
    text = re.sub(r"(?m)^(1\t30\t.*)$", r"\1\tgust, lid moved", observation())
    assert words(read(text.encode())) <= {"altered"}


# --- files of another kind ------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "empty file"),
        (b"  \n\n", "empty file"),
        (b"PK\x03\x04rest", "ZIP archive"),
        (b'{"datasets": []}', "Smart Chamber"),
        (b"\x00\x01\x02\xff" * 99, "binary file"),
        (b"Model:\tLI-7810\nSN:\tTG10\n", "LI-78xx"),
        (b"time,co2\n1,400\n", "begins with 'time,co2'"),
    ],
)
def test_a_file_of_another_kind_is_refused_and_told_what_it_is(read, raw, says):
    with pytest.raises(InputError, match=says):
        read(raw)


def test_a_missing_file_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="cannot open"):
        read_licor_81x(tmp_path / "nothing.81x")


def test_a_gzip_cut_short_gives_the_observations_before_the_cut(read):
    whole = gzip.compress(three())
    closures = read(whole[: len(whole) * 2 // 3])
    clean = read(three())
    assert same(clean, closures, 0, 0)
    assert words(closures, closures.sizes["closure"] - 1) & {*BLOCKING}


# --- damage, kind by kind -------------------------------------------------------


def lines_of(text, change):
    """Apply a change to the lines of an observation that begin with "1<tab>"."""
    count = iter(range(10**6))
    return "\n".join(
        change(next(count), line) if line.startswith("1\t") else line
        for line in text.split("\n")
    )


def without(text, pattern, count=0):
    return re.sub(rf"(?m)^{pattern}.*\n", "", text, count=count)


DAMAGE = {
    "stops in a record, next header on the same line": (
        lambda t: t[: t.index("1\t40\t") + 30],
        {"truncated", "missing_footer"},
    ),
    "half an observation": (lambda t: t[: len(t) // 2], {"truncated"}),
    "header only": (lambda t: t[: t.index("1\t-1")], {"no_data", "truncated"}),
    "first line and nothing else": (lambda t: t[: t.index("Port#")], {"no_data"}),
    "no footer": (lambda t: t[: t.index("CrvFit")], {"missing_footer"}),
    "no summary records": (lambda t: without(t, "[234]\t"), {"missing_footer"}),
    "no initial values": (lambda t: without(t, "2\t"), {"missing_footer"}),
    "label line lost": (lambda t: without(t, "Type"), {"damaged_header", "no_data"}),
    "area lost": (lambda t: without(t, "Area"), {"damaged_header"}),
    "volume lost": (lambda t: without(t, "Vtotal"), {"damaged_header"}),
    "volume of another chamber": (
        lambda t: t.replace("Vtotal:\t8020.9", "Vtotal:\t8120.9"),
        {"damaged_header"},
    ),
    "label dropped": (lambda t: t.replace("\tCO2\t", "\t"), {"damaged_header"}),
    "gas label unreadable": (lambda t: t.replace("\tCdry", "\tC?ry"), {"no_data"}),
    "columns swapped": (
        lambda t: t.replace("Tcham\tPressure", "Pressure\tTcham"),
        {"implausible_pressure", "implausible_temperature"},
    ),
    "two different label lines": (
        lambda t: t.replace("Type\t", "Type\tEtime\tDate\tCdry\nType\t", 1),
        {"damaged_header"},
    ),
    "label line of another layout among the records": (
        lambda t: t.replace("1\t30\t", "Type\tEtime\tDate\tCdry\tV1\n1\t30\t", 1),
        {"truncated"},
    ),
    "every record lacks a column": (
        lambda t: lines_of(t, lambda i, r: r.rsplit("\t", 3)[0]),
        {"damaged_header", "no_data"},
    ),
    "some records lack columns": (
        lambda t: lines_of(t, lambda i, r: r.rsplit("\t", 3)[0] if i == 30 else r),
        {"bad_rows"},
    ),
    "cells that are no numbers": (
        lambda t: lines_of(
            t, lambda i, r: re.sub(r"\t98.5\t", "\tNaN\t", r) if i == 30 else r
        ),
        {"bad_rows"},
    ),
    "blank gas cells": (
        lambda t: lines_of(
            t, lambda i, r: re.sub(r"\t\d+\.?\d*\t50\t", "\t\t50\t", r) if i > 60 else r
        ),
        {"bad_rows"},
    ),
    "decimal comma": (
        lambda t: lines_of(t, lambda i, r: r.replace(".", ",")),
        {"bad_rows", "truncated"},
    ),
    "a record twice": (
        lambda t: re.sub(r"(?m)^(1\t30\t.*\n)", r"\1\1", t),
        {"duplicate_times"},
    ),
    "records out of order": (
        lambda t: re.sub(r"(?m)^(1\t30\t.*\n)(1\t31\t.*\n)", r"\2\1", t),
        {"non_monotonic_time"},
    ),
    "a record lost": (lambda t: without(t, "1\t30\t"), {"bad_rows"}),
    "a tenth of the records lost": (
        lambda t: without(t, "1\t[1234]1\t|^1\t[1234]3\t|^1\t[1234]5\t"),
        {"truncated"},
    ),
    "elapsed time starts again": (
        lambda t: re.sub(
            r"(?m)^1\t(3\d|4\d|5\d)\t", lambda m: f"1\t{int(m[1]) - 30}\t", t
        ),
        {"truncated"},
    ),
    "more records promised than present": (
        lambda t: t.replace("Crv_#Smp:\t50", "Crv_#Smp:\t500"),
        {"truncated"},
    ),
    "fewer records promised than fitted": (
        lambda t: t.replace("Crv_#Smp:\t50", "Crv_#Smp:\t5"),
        {"summary_mismatch"},
    ),
    "footer of another observation": (
        lambda t: re.sub(r"Lin_Flux:\t.*", "Lin_Flux:\t9.87", t),
        {"summary_mismatch"},
    ),
    "footer twice with other results": (
        lambda t: t.replace("TimeClosing", "Lin_Flux:\t9.87\nTimeClosing"),
        {"missing_footer"},
    ),
    "one concentration wrong": (
        lambda t: lines_of(
            t,
            lambda i, r: r.replace("\t4", "\t5", 1) if i == 30 else r,
        ),
        {"bad_rows"},
    ),
    "binary junk among the records": (
        lambda t: t.replace("1\t30\t", "\0\x01\x02\xff\n1\t30\t", 1),
        {"bad_rows"},
    ),
    "a warning of the instrument": (
        lambda t: t.replace("1\t30\t", "-1\tThe chamber did not close\n1\t30\t", 1),
        {"instrument_warning"},
    ),
    "the whole observation twice": (lambda t: t + t, {"duplicate_times"}),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_flagged_and_leaves_the_neighbours_alone(read, kind):
    change, expected = DAMAGE[kind]
    before, after = observation(1, 0.1), observation(3, 0.3)
    raw = (before + change(observation(2, 0.2)) + after).encode("latin-1")
    closures, clean = read(raw), read(three())
    last = closures.sizes["closure"] - 1
    assert same(clean, closures, 0, 0)
    assert same(clean, closures, 2, last)
    between = set().union(*(words(closures, i) for i in range(1, last)))
    assert expected <= between
    # What has no blocking flag gives the true flux, whatever else is wrong with it.
    flux, truth = linear_flux(closures), linear_flux(clean)[1]
    for i in range(1, last):
        if not words(closures, i) & {*BLOCKING, "implausible_pressure"}:
            assert flux[i] == pytest.approx(truth, rel=0.05)


def test_values_at_closing_are_regressed_where_their_record_is_lost(read):
    clean = read(observation().encode())
    closures = read(without(observation(), "2\t").encode())
    for name in ("co2", "h2o", "temperature"):
        value = closures[f"initial_{name}"].item()
        assert value == pytest.approx(clean[f"initial_{name}"].item(), abs=0.006)


def test_an_observation_whose_header_was_cut_off_is_still_counted(read):
    second = observation(2)
    raw = observation(1) + second[second.index("Obs#") :] + observation(3)
    closures = read(raw.encode())
    assert closures.sizes["closure"] == 3
    assert words(closures, 1) == {"altered"}  # the serial number was lost, no data
    raw = observation(1) + second[second.index("1\t20\t") :] + observation(3)
    closures = read(raw.encode())
    assert list(closures["closure"].values) == ["1", "after 1", "3"]
    assert {"damaged_header", "no_data"} <= words(closures, 1)


def test_repeated_observation_numbers_stay_apart(read):
    raw = observation(1) + observation(2, header={"Obs#": "1"}.items())
    assert list(read(raw.encode())["closure"].values) == ["1", "1 (2)"]


# --- damage at random -----------------------------------------------------------

JUNK = [b"\0\0\xff", b"foo bar", b"\t", b"\n", b"9", b"-", b"NaN", b"LI-8100"]
JUNK += [
    b"Area:\t1\n",
    b"1\t2\t3\n",
    bytes(range(200, 230)),
    b",",
    b"\r",
    b"Obs#:\t7\n",
]


def corrupt(raw, rng):
    """Return damaged bytes and the span of the original that was touched."""
    starts = [0, *(m.end() for m in re.finditer(b"\n", raw))]
    k = rng.randrange(len(starts) - 2)
    a, b, c = starts[k : k + 3]
    kind = rng.choice(["delete", "double", "cut", "swap", "bytes", "junk", "column"])
    if kind == "delete":
        return raw[:a] + raw[b:], a, b
    if kind == "double":
        return raw[:b] + raw[a:b] + raw[b:], a, b
    if kind == "cut":
        at = rng.randrange(a, b)
        return raw[:at] + b"\n" + raw[b:], a, b
    if kind == "swap":
        return raw[:a] + raw[b:c] + raw[a:b] + raw[c:], a, c
    at = rng.randrange(len(raw))
    if kind == "bytes":
        n = rng.choice([1, 2, 5, 20, 80, 400, 2000, 6000])
        return raw[:at] + raw[at + n :], at, min(at + n, len(raw))
    if kind == "junk":
        return raw[:at] + rng.choice(JUNK) + raw[at:], max(at - 1, 0), at + 1
    edges = [*(m.start() for m in re.finditer(rb"(?m)^LI-8100:", raw)), len(raw)]
    i = rng.randrange(len(edges) - 1)
    place, share = rng.randrange(12), rng.choice([0.1, 1.0])
    rows = []
    for row in raw[edges[i] : edges[i + 1]].split(b"\n"):
        fields = row.split(b"\t")
        if row.startswith((b"1\t", b"Type")) and rng.random() < share:
            del fields[place : place + 1]
        rows.append(b"\t".join(fields))
    return raw[: edges[i]] + b"\n".join(rows) + raw[edges[i + 1] :], *edges[i : i + 2]


def assert_damage_shows(read, raw, seed, tolerance):
    """The promise of the reader, for one random damage.

    An observation that was not touched reads as before. One that was is flagged, or
    its data are unaffected; and where no flag blocks it, its flux is near the truth.
    """
    damaged, a, b = corrupt(raw, random.Random(seed))
    clean = read(raw, "clean.81x")
    edges = [*(m.start() for m in re.finditer(rb"(?m)^LI-8100:", raw)), len(raw)]
    try:
        closures = read(damaged, "damaged.81x")
    except InputError:
        assert b"LI-8100:\t" not in damaged
        return
    flux, truth = linear_flux(closures), linear_flux(clean)
    twins = {}
    for j in range(closures.sizes["closure"]):
        known = np.flatnonzero(clean["time"].values == closures["time"].values[j])
        twins[j] = int(known[0]) if known.size else -1
    for i in range(clean.sizes["closure"]):
        if b <= edges[i] or a >= edges[i + 1]:
            assert any(same(clean, closures, i, j) for j in twins), f"lost {i}"
    for j, i in twins.items():
        if not words(closures, j):
            assert i >= 0, "silent stranger"
            # All that goes unseen is a last digit of the firmware's fit.
            assert same(clean, closures, i, j, 1e-3, firmware=False), "silent damage"
        elif not words(closures, j) & {*BLOCKING} and i >= 0 and np.isfinite(flux[j]):
            assert flux[j] == pytest.approx(truth[i], rel=tolerance, abs=0.02)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_damage_is_flagged_or_harmless(read, seed):
    assert_damage_shows(read, three(), seed, tolerance=0.05)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(raw=st.binary(max_size=400), at=st.integers(0, 7000), n=st.integers(0, 9000))
def test_no_bytes_whatever_crash_the_reader(read, raw, at, n):
    whole = three()
    for damaged in (raw, whole[:at] + raw + whole[at + n :]):
        try:
            closures = read(damaged)
        except InputError:
            continue
        assert closures.sizes["closure"] > 0


# --- real files -----------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "count"),
    [("rowNumber.81x.gz", 100), ("goFlux_LI8100.81x", 1), ("goFlux_LI8150.81x", 1)],
)
def test_firmware_fluxes_are_reproduced_to_their_printed_digits(dataset, name, count):
    closures = read_licor_81x(dataset("licor-examples") / name)
    assert closures.sizes["closure"] == count
    gap = np.abs(linear_flux(closures) - closures["firmware_linear_flux"].values)
    assert gap.max() <= 0.0051


@pytest.mark.realdata
def test_undamaged_field_files_raise_no_flag_but_the_broken_thermistor(dataset):
    folder = dataset("licor-examples")
    hundred = read_licor_81x(folder / "rowNumber.81x.gz")
    assert not hundred["closure_flag"].values.any()
    assert words(read_licor_81x(folder / "goFlux_LI8150.81x")) == set()
    broken = read_licor_81x(folder / "goFlux_LI8100.81x")
    assert words(broken) == {"implausible_temperature"}
    assert broken["initial_temperature"].item() == pytest.approx(61.56)


@pytest.mark.realdata
def test_footers_are_read_as_another_program_read_them(dataset):
    folder = dataset("licor-examples")
    closures = read_licor_81x(folder / "rowNumber.81x.gz")
    table = pd.read_csv(folder / "licor_81x_footers_and_refit.csv", dtype={"obs": str})
    table = table[table["file"] == "rowNumber.81x"]
    for ours, theirs, scale in (
        ("area", "S", 1e4),
        ("volume", "V", 1e6),
        ("initial_temperature", "T", 1.0),
        ("initial_pressure", "P", 1e-3),
        ("initial_h2o", "W", 1.0),
        ("dead_band", "deadband", 1.0),
        ("observation_length", "obs_len", 1.0),
        ("firmware_samples", "nsmp", 1.0),
        ("firmware_exponential_flux", "Exp_Flux", 1.0),
        ("firmware_exponential_flux_cv", "Exp_FluxCV", 1.0),
        ("firmware_exponential_a", "Exp_a", 1.0),
        ("firmware_exponential_cx", "Exp_Cx", 1.0),
        ("firmware_exponential_c0", "Exp_Co", 1.0),
        ("firmware_exponential_t0", "Exp_t0", 1.0),
        ("firmware_exponential_iterations", "Exp_Iter", 1.0),
        ("firmware_linear_flux", "Lin_Flux", 1.0),
        ("firmware_linear_slope", "Lin_dCdry/dt", 1.0),
        ("firmware_linear_flux_cv", "Lin_FluxCV", 1.0),
    ):
        np.testing.assert_allclose(closures[ours] * scale, table[theirs], rtol=1e-9)
    assert list(closures["closure"].values) == list(table["obs"])
    assert list(closures["label"].values) == list(table["label"])
    assert list(closures["firmware_status"].values) == list(table["status"])


@pytest.mark.realdata
def test_field_observations_of_old_firmware_keep_their_times_before_closing(dataset):
    closures = read_licor_81x(dataset("licor-examples") / "goFlux_LI8150.81x")
    assert closures["elapsed"].values[0, 0] == -62.0
    assert closures["dead_band"].item() == 25.0
    assert closures["fit_end"].item() == 119.0
    assert closures["gas_column"].item() == "Cdry"
    assert closures["instrument_time"].values[0] == np.datetime64("2005-09-26T15:13:55")


@pytest.mark.realdata
def test_random_damage_of_a_field_file_is_flagged_or_harmless(read, dataset):
    raw = gzip.decompress((dataset("licor-examples") / "rowNumber.81x.gz").read_bytes())
    # Observations 2 to 5: the first is so noisy that any lost record moves its flux.
    edges = [m.start() for m in re.finditer(rb"(?m)^LI-8100:", raw)]
    for seed in range(25):
        assert_damage_shows(read, raw[edges[1] : edges[5]], seed, tolerance=0.15)
