"""Readers of positions: carries, exchanged columns, repeated epochs, codes, NaN."""

import gzip

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.core.flags import count_flags, is_flagged
from tilth.gnss.positions import (
    decimal_year,
    position_series,
    read_positions,
    read_steps,
    usable,
)

#: Made-up rows of tenv3: day, easting, northing and up in whole and part, sigma.
HEADER = (
    "site YYMMMDD yyyy.yyyy __MJD week d reflon _e0(m) __east(m) ____n0(m) _north(m) "
    "u0(m) ____up(m) _ant(m) sig_e(m) sig_n(m) sig_u(m) __corr_en __corr_eu __corr_nu "
    "_latitude(deg) _longitude(deg) __height(m)"
)


def row(
    mjd=55000, east=(-3815, -0.41548), north=(4276712, 0.86481), up=(1687, 0.35637),
    reflon="-112.8", sigma="0.00065 0.00067 0.00328", site="ABCD", more=True,
):  # fmt: skip
    year = 2000 + (mjd - 51544) / 365.25
    cells = [site, "09JUN18", f"{year:.4f}", str(mjd), "1536", "4", reflon]
    for whole, part in (east, north, up):
        cells += [str(whole), str(part)]
    cells += ["0.0083", sigma, "0.05829 -0.56488 0.04405"]
    if more:
        cells.append("38.62 -472.84 1687.35637")
    return " ".join(cells)


def write(tmp_path, *rows, name="ABCD.IGS14.tenv3"):
    path = tmp_path / name
    path.write_text("\n".join(rows) + "\n")
    return path


def test_a_carry_from_fraction_to_whole_leaves_no_step(tmp_path):
    path = write(
        tmp_path,
        HEADER,
        row(55000, east=(-3815, -0.999), up=(1687, 0.9995)),
        row(55001, east=(-3816, -0.001), up=(1688, 0.0005)),
        row(55002, east=(-3815, -1.003), up=(1687, 1.0015)),
    )
    data = read_positions(path)
    np.testing.assert_allclose(data["east"], [0, -0.002, -0.004], atol=1e-12)
    np.testing.assert_allclose(data["up"], [0, 0.001, 0.002], atol=1e-12)


def test_a_tenv3_file_without_a_header_and_with_20_columns_is_read(tmp_path):
    data = read_positions(write(tmp_path, row(more=False), row(55001, more=False)))
    assert data.attrs["station"] == "ABCD"
    assert data.attrs["frame"] == "IGS14"
    assert data.attrs["reference_easting_m"] == -3815.41548
    assert "latitude" not in data.attrs
    assert data["correlation_east_up"].values[0] == -0.56488
    assert data["antenna_height"].values[0] == 0.0083


def test_days_are_given_at_noon_and_the_printed_year_is_kept(tmp_path):
    data = read_positions(write(tmp_path, row(49856), row(49857)))
    assert data["time"].values[0] == np.datetime64("1995-05-19T12:00")
    assert data["decimal_year"].values[0] == 1995.3785
    np.testing.assert_allclose(
        decimal_year(data["time"]), data["decimal_year"], atol=5e-5
    )


def test_longitudes_below_minus_180_are_wrapped(tmp_path):
    data = read_positions(write(tmp_path, row()))
    assert data.attrs["longitude"] == pytest.approx(-472.84 + 360, abs=1e-9)


def test_of_a_repeated_epoch_the_last_row_is_used_and_the_other_says_why(tmp_path):
    path = write(
        tmp_path, row(55000), row(55001, up=(1687, 0.1)), row(55001, up=(1687, 0.2))
    )
    data = read_positions(path)
    assert is_flagged(data["quality_flag"], "repeated_epoch").values.tolist() == [
        False,
        True,
        False,
    ]
    assert usable(data)["up"].values[1] == pytest.approx(0.2 - 0.35637)


def test_a_repeated_epoch_without_a_number_does_not_displace_a_good_one(tmp_path):
    data = read_positions(
        write(tmp_path, row(55000), row(55001), row(55001, up=(1687, "nan")))
    )
    assert count_flags(data["quality_flag"])[
        ["no_position", "repeated_epoch"]
    ].tolist() == [1, 0]
    assert usable(data).sizes["time"] == 2


def test_rows_of_another_meridian_and_marks_of_overflow_are_flagged(tmp_path):
    data = read_positions(
        write(
            tmp_path,
            row(55000),
            row(55001, reflon="-112.9", east=(4900, 0.1)),
            row(55002, sigma="9.99999 0.001 0.003"),
            row(55003),
        )
    )
    counts = count_flags(data["quality_flag"])
    assert counts[["other_meridian", "out_of_range", "clean"]].tolist() == [1, 1, 2]


def test_north_in_the_place_of_east_is_refused(tmp_path):
    path = write(tmp_path, row(east=(4276712, 0.86481), north=(-3815, -0.41548)))
    with pytest.raises(InputError, match=r"easting reaches 4276\.7 km"):
        read_positions(path)


def test_a_header_with_north_before_east_is_refused(tmp_path):
    swapped = HEADER.replace(
        "_e0(m) __east(m) ____n0(m) _north(m)", "n0(m) _north(m) _e0(m) __east(m)"
    )
    with pytest.raises(InputError, match="n0, north, e0, east, u0, up"):
        read_positions(write(tmp_path, swapped, row()))


def test_damaged_files_are_refused_with_the_row_named(tmp_path):
    with pytest.raises(InputError, match="row 2 of the data has 8 columns"):
        read_positions(write(tmp_path, row(), row()[:45]))
    with pytest.raises(InputError, match="stations ABCD, EFGH"):
        read_positions(write(tmp_path, row(), row(55001, site="EFGH")))
    with pytest.raises(InputError, match="fits none of tenv3, tenv, pbo, jpl"):
        read_positions(write(tmp_path, "a b c"))
    with pytest.raises(InputError, match="number"):
        read_positions(write(tmp_path, row(), row(up=("12a", "0.1"))))
    with pytest.raises(InputError, match="none of 1 rows can be used"):
        read_positions(write(tmp_path, row(up=("nan", "nan"))))
    with pytest.raises(InputError, match="is empty"):
        read_positions(write(tmp_path, ""))
    with pytest.raises(InputError, match="there is no file"):
        read_positions(tmp_path / "none.tenv3")
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(row().encode() * 50)[:-20])
    with pytest.raises(InputError, match="was cut"):
        read_positions(cut)


def test_rows_out_of_order_are_sorted_by_time():
    time = np.array(["2020-01-03", "2020-01-01", "2020-01-02"], "datetime64[ns]")
    data = position_series(time, np.arange(9).reshape(3, 3), np.ones((3, 3)))
    assert data["east"].values.tolist() == [3, 6, 0]
    with pytest.raises(InputError, match=r"shape \(3, 2\)"):
        position_series(time, np.ones((3, 2)), np.ones((3, 3)))


TENV = (
    "ABCD 15JUL27 2015.5674 57230 1855 1 {} {} {} 0.0083 0.0005 0.0006 0.0019 "
    "0.08 -0.11 -0.05"
)


def test_positions_of_99_m_in_a_tenv_file_are_marks_and_not_positions(tmp_path):
    rows = [
        TENV.format(0.1, 0.2, 0.3),
        TENV.format(*[99.999999] * 3).replace("57230", "57231"),
    ]
    data = read_positions(write(tmp_path, *rows, name="ABCD.tenv"))
    assert data["north"].values[0] == 0.2
    assert is_flagged(data["quality_flag"], "out_of_range").values.tolist() == [
        False,
        True,
    ]


PBO_HEADER = """PBO Station Position Time Series. Reference Frame : IGS08
4-character ID: ABCD
NEU Reference position :     30.0 271.0 100.0 (IGS08/WGS84)
*YYYYMMDD HHMMSS JJJJJ.JJJJ X Y Z
"""


def pbo(rows):
    return PBO_HEADER + "\n".join(rows)


def pbo_row(mjd, north, east, up, kind="final"):
    from math import cos, radians, sin

    latitude, longitude = radians(30.0), radians(271.0)
    x = -sin(latitude) * cos(longitude) * north - sin(longitude) * east
    y = -sin(latitude) * sin(longitude) * north + cos(longitude) * east
    z = cos(latitude) * north
    x += cos(latitude) * cos(longitude) * up
    y += cos(latitude) * sin(longitude) * up
    z += sin(latitude) * up
    return (
        f"20090618 120000 {mjd}.5000 {x:.5f} {y:.5f} {z:.5f} .001 .001 .001 0 0 0 "
        f"30.0 271.0 100.0 {north} {east} {up} 0.002 0.001 0.005 0.1 0.2 0.3 {kind}"
    )


def test_a_pbo_file_gives_east_before_north_and_final_before_rapid(tmp_path):
    rows = [
        pbo_row(55000, 0.0, 0.0, 0.0),
        pbo_row(55001, 0.01, 0.05, 0.02, "final"),
        pbo_row(55001, 0.01, 0.06, 0.02, "rapid"),
    ]
    path = tmp_path / "ABCD.pos"
    path.write_text(pbo(rows))
    data = usable(read_positions(path))
    assert data["east"].values.tolist() == [0.0, 0.05]
    assert data["north"].values.tolist() == [0.0, 0.01]
    assert (data["east_se"].values[0], data["north_se"].values[0]) == (0.001, 0.002)
    assert data["correlation_east_north"].values[0] == 0.1
    assert data["correlation_east_up"].values[0] == 0.3
    assert data["correlation_north_up"].values[0] == 0.2
    assert data.attrs["longitude"] == -89.0


def test_a_pbo_file_with_east_before_north_is_refused(tmp_path):
    rows = [pbo_row(55000, 0.0, 0.0, 0.0), pbo_row(55001, 0.01, 0.05, 0.02)]
    exchanged = [r.replace(" 0.01 0.05 ", " 0.05 0.01 ") for r in rows]
    path = tmp_path / "ABCD.pos"
    path.write_text(pbo(exchanged))
    with pytest.raises(InputError, match="north before east"):
        read_positions(path)


def test_steps_are_read_from_both_layouts(tmp_path):
    path = tmp_path / "steps.txt"
    path.write_text(
        "DUTC  2015.5674  15JUL27  2\nDUTC 15JUL27 2 100.0 6.9 us1\n"
        "ABCD 99DEC31 1 Antenna_Type\n"
    )
    table = read_steps(path)
    assert table["station"].tolist() == ["ABCD", "DUTC"]
    assert table["kind"].tolist() == ["equipment", "earthquake"]
    assert table["decimal_year"].tolist() == [1999.9973, 2015.5674]
    assert table["time"].tolist()[1] == np.datetime64("2015-07-27")
    assert len(read_steps(path, "DUTC")) == 1
    path.write_text("DUTC somewhere\n")
    with pytest.raises(InputError, match="is no step"):
        read_steps(path)


@pytest.mark.realdata
def test_the_pbo_layout_agrees_with_tenv3_to_the_printed_digits(dataset):
    folder = dataset("station-positions")
    three = read_positions(folder / "LHAS.tenv3").isel(time=slice(300))
    pos = read_positions(folder / "LHAS_pbo_layout.pos")
    np.testing.assert_array_equal(three["time"], pos["time"])
    for name in ("east", "north", "up"):
        np.testing.assert_allclose(pos[name], three[name], atol=1e-5)
        np.testing.assert_allclose(pos[f"{name}_se"], three[f"{name}_se"], atol=1e-5)


@pytest.mark.realdata
def test_two_centres_see_the_same_station_move(dataset):
    """East goes 45 mm a year in both: exchanged components would show."""
    folder = dataset("station-positions")
    for name in ("LHAS.tenv3", "LHAS.jpl.series"):
        data = usable(read_positions(folder / name))
        moved = data["east"].values[-30:].mean() - data["east"].values[:30].mean()
        years = np.diff(data["decimal_year"].values[[0, -1]])[0]
        assert 0.043 < moved / years < 0.048, name


@pytest.mark.realdata
def test_every_row_of_the_real_files_is_used(dataset):
    folder = dataset("station-positions")
    for name, rows in (
        ("LHAS.tenv3", 3631),
        ("MPRA.IGS08.tenv.txt", 5981),
        ("LHAS.jpl.series", 3762),
        ("midas_dutc/DUTC.IGS08.tenv", 545),
    ):
        assert usable(read_positions(folder / name)).sizes["time"] == rows
