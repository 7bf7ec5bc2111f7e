"""Readers: LI-COR's own files, plain tables, and files that are none of these."""

import numpy as np
import pandas as pd
import pytest

from tilth.core.errors import InputError
from tilth.stomata.fits import fit_medlyn
from tilth.stomata.observations import flag_counts, usable
from tilth.stomata.readers import read_gas_exchange


@pytest.mark.realdata
def test_a_workbook_and_its_export_are_the_same(dataset):
    folder = dataset("photogea-ball-berry")
    book = read_gas_exchange(folder / "photogea_ball_berry_1.xlsx")
    text = read_gas_exchange(folder / "photogea_ball_berry_1.csv")
    assert text.sizes["observation"] == 28
    assert set(book.data_vars) == set(text.data_vars)
    for name in text.data_vars:
        assert book[name].values == pytest.approx(text[name].values, rel=1e-9), name
    assert sorted(set(text["species"].values)) == ["soybean", "tobacco"]


@pytest.mark.realdata
@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_units_written_in_a_file_are_used(ending, dataset):
    # Of this file, a column in mmol and one in umol of water per leaf: both convert.
    path = dataset("photogea-ball-berry") / f"photogea_ball_berry_1.{ending}"
    usual = read_gas_exchange(path)
    other = read_gas_exchange(path, {"transpiration": "Emm"})
    assert other["transpiration"].values == pytest.approx(
        usual["transpiration"].values, rel=1e-6
    )


@pytest.mark.realdata
def test_a_curve_read_from_a_file_gives_photogeas_fit(dataset):
    # g0, g1 of soybean 1a as PhotoGEA 1.3.2 prints them.
    leaves = read_gas_exchange(
        dataset("photogea-ball-berry") / "photogea_ball_berry_1.csv"
    )
    here = (leaves["species"] == "soybean") & (leaves["curve"] == "1a")
    one = leaves.isel(observation=here.values)
    found = fit_medlyn(
        one["conductance"], one["assimilation"], one["surface_co2"], one["deficit"]
    )
    assert found.values == pytest.approx([0.1035, 0.9325], abs=1e-4)


@pytest.mark.realdata
def test_tumbarumba_gives_its_parameters(dataset):
    # All 376 rows, as the reference was computed: g0 0.09098 +- 0.00842, g1 2.1798 +-
    # 0.1701, R2 0.4768, RMSE 0.08702; g0 fixed at zero: g1 3.7330, R2 0.3136.
    leaves = read_gas_exchange(dataset("tumbarumba-spot") / "tumbarumba_spot.csv")
    assert leaves.sizes["observation"] == 376
    columns = [
        leaves[name].values
        for name in ("conductance", "assimilation", "surface_co2", "deficit")
    ]
    found = fit_medlyn(*columns)
    assert found.values == pytest.approx([0.09098, 2.1798], abs=1e-3)
    assert found.standard_errors == pytest.approx([0.00842, 0.1701], abs=1e-4)
    assert found.r_squared == pytest.approx(0.4768, abs=1e-4)
    assert found.rmse == pytest.approx(0.08702, abs=1e-5)
    fixed = fit_medlyn(*columns, g0=0.0)
    assert fixed["g1"] == pytest.approx(3.7330, abs=1e-3)
    assert fixed.r_squared == pytest.approx(0.3136, abs=1e-4)


@pytest.mark.realdata
def test_tumbarumbas_rows_keep_their_reasons(dataset):
    leaves = read_gas_exchange(dataset("tumbarumba-spot") / "tumbarumba_spot.csv")
    counts = flag_counts(leaves)
    assert counts["instrument"] == 5
    assert counts["no_uptake"] > 0
    assert len(set(leaves["plant"].values)) == 10
    assert len(set(leaves["day"].values)) == 13
    assert (usable(leaves)["assimilation"] > 0).all()


def plain(path, **change):
    rng = np.random.default_rng(0)
    columns = {
        "gs": rng.uniform(100, 300, 8),
        "An": rng.uniform(5, 15, 8),
        "VPD": rng.uniform(0.5, 2, 8),
        "Cs": rng.uniform(350, 400, 8),
        "Tree": ["5.10", "5.1"] * 4,
    }
    pd.DataFrame({**columns, **change}).to_csv(path, index=False)
    return path


NAMES = {
    "conductance": ("gs", "mmol m-2 s-1"),
    "assimilation": "An",
    "deficit": "VPD",
    "surface_co2": "Cs",
}


def test_any_table_is_read_by_its_columns(tmp_path):
    found = read_gas_exchange(plain(tmp_path / "a.csv"), NAMES)
    assert found["conductance"].max() < 0.31
    assert found["plant"].values.tolist() == ["5.10", "5.1"] * 4
    assert "a.csv" in found.attrs["source_sha256"]


def test_semicolons_and_old_letters_are_read(tmp_path):
    path = tmp_path / "b.csv"
    text = plain(tmp_path / "a.csv").read_text().replace(",", ";")
    path.write_bytes(text.replace("Tree", "Baum-Nr °").encode("latin-1"))
    with pytest.raises(InputError, match="try encoding='latin-1'"):
        read_gas_exchange(path, NAMES)
    found = read_gas_exchange(path, NAMES, encoding="latin-1")
    assert found.sizes["observation"] == 8


def test_minus_9999_is_missing(tmp_path):
    numbers = np.where(np.arange(8) == 3, -9999, 1.0 + np.arange(8) / 10)
    found = read_gas_exchange(plain(tmp_path / "a.csv", VPD=numbers), NAMES)
    assert flag_counts(found)["missing"] == 1


def test_two_columns_of_one_name_must_agree(tmp_path):
    path = plain(tmp_path / "a.csv")
    rows = [line.split(",") for line in path.read_text().splitlines()]
    for changed, refused in (("", False), ("1", True)):
        twice = [
            [*row, row[2] if k == 0 else row[2] + changed] for k, row in enumerate(rows)
        ]
        path.write_text("\n".join(",".join(row) for row in twice))
        if refused:
            with pytest.raises(InputError, match="two columns are called VPD"):
                read_gas_exchange(path, NAMES)
        else:
            assert read_gas_exchange(path, NAMES).sizes["observation"] == 8


def test_a_column_without_any_number_left_is_flagged(tmp_path):
    found = read_gas_exchange(plain(tmp_path / "a.csv", VPD=[-9999] * 8), NAMES)
    assert flag_counts(found)["missing"] == 8
    with pytest.raises(InputError, match="'missing': 8"):
        usable(found)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (None, "name its columns"),
        ({**NAMES, "deficit": "D"}, "no column 'D' for deficit"),
        ({**NAMES, "height": "Cs"}, "no quantity 'height'"),
        ({**NAMES, "deficit": "Tree2"}, "holds no number"),
    ],
)
def test_columns_that_cannot_be_told_are_named(columns, words, tmp_path):
    path = plain(tmp_path / "a.csv", Tree2=["oak"] * 8)
    with pytest.raises(InputError, match=words):
        read_gas_exchange(path, columns)


def test_files_that_are_none_are_refused(tmp_path):
    with pytest.raises(InputError, match="there is no"):
        read_gas_exchange(tmp_path / "absent.csv")
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    with pytest.raises(InputError, match="empty"):
        read_gas_exchange(empty)
    torn = tmp_path / "torn.xlsx"
    torn.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match="cannot be read as a workbook"):
        read_gas_exchange(torn)


def test_a_workbook_of_something_else_is_named(tmp_path):
    import openpyxl

    book = openpyxl.Workbook()
    book.active.title = "Sheet"
    book.save(tmp_path / "a.xlsx")
    with pytest.raises(InputError, match="no sheet Measurements; it has Sheet"):
        read_gas_exchange(tmp_path / "a.xlsx")
    book.active.title = "Measurements"
    book.active.append(["nothing"])
    book.save(tmp_path / "b.xlsx")
    with pytest.raises(InputError, match="begins with obs"):
        read_gas_exchange(tmp_path / "b.xlsx")
