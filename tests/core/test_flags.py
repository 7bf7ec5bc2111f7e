import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.flags import (
    FlagTable,
    add_flag,
    count_flags,
    flag_masks,
    is_flagged,
)

TABLE = FlagTable(
    {"daylight": "light above the limit", "clogged": "no flux", "outlier": "far off"}
)


def flag_variable(values=(0, 1, 6, 7), name="closure_flag"):
    return xr.DataArray(
        np.array(values, "int32"),
        dims="closure",
        coords={"closure": [f"obs {i}" for i in range(len(values))]},
        attrs=TABLE.attrs(),
        name=name,
    )


def test_the_attributes_follow_the_cf_conventions_on_bit_masks():
    attrs = TABLE.attrs()
    assert attrs["flag_meanings"] == "daylight clogged outlier"
    np.testing.assert_array_equal(attrs["flag_masks"], [1, 2, 4])
    # CF 1.11, 3.5: same type as the variable, and masks that are not zero
    assert attrs["flag_masks"].dtype == np.dtype("int32")
    assert flag_masks(flag_variable()) == {"daylight": 1, "clogged": 2, "outlier": 4}


def test_several_reasons_can_hold_for_one_value():
    flags = TABLE.variable(
        {"daylight": [True, False, True], "outlier": [[True], [False]]}, (2, 3)
    )
    np.testing.assert_array_equal(flags, [[5, 4, 5], [1, 0, 1]])
    assert flags.dtype == np.dtype("int32")


def test_a_missing_value_is_not_taken_for_a_raised_flag():
    with pytest.raises(InputError, match="say what a missing value means"):
        TABLE.variable({"daylight": np.array([np.nan, 0.0])}, (2,))
    with pytest.raises(InputError, match="say what a missing value means"):
        add_flag(
            flag_variable(), "daylight", xr.full_like(flag_variable(), np.nan, float)
        )


def test_a_value_is_flagged_if_any_of_the_reasons_holds():
    flag = flag_variable()
    assert is_flagged(flag).values.tolist() == [False, True, True, True]
    assert is_flagged(flag, "daylight").values.tolist() == [False, True, False, True]
    both = is_flagged(flag, "clogged", "outlier")
    assert both.values.tolist() == [False, False, True, True]
    assert "flag_masks" not in both.attrs


def test_asking_for_a_reason_twice_changes_nothing():
    flag = flag_variable([2, 4])
    twice = is_flagged(flag, "clogged", "clogged")
    assert twice.values.tolist() == [True, False]


def test_adding_a_flag_keeps_the_others_and_the_original():
    flag = flag_variable()
    raised = add_flag(flag, "clogged", xr.ones_like(flag, bool))
    assert raised.values.tolist() == [2, 3, 6, 7]
    assert flag.values.tolist() == [0, 1, 6, 7]
    assert raised.dtype == np.dtype("int32")
    raised.attrs["comment"] = "mine"
    assert "comment" not in flag.attrs


def test_adding_a_flag_by_closure_holds_for_all_its_samples():
    flag = flag_variable().expand_dims(sample=3, axis=1)
    flag.attrs = TABLE.attrs()
    where = xr.DataArray([True, False, False, False], dims="closure")
    raised = add_flag(flag, "outlier", where)
    assert raised.dims == ("closure", "sample")
    assert raised.values[:, 2].tolist() == [4, 1, 6, 7]


def test_a_flag_on_other_rows_is_refused_instead_of_losing_rows():
    flag = flag_variable()
    with pytest.raises(InputError, match="do not have the same coordinates"):
        add_flag(flag, "clogged", xr.ones_like(flag, bool)[:2])
    with pytest.raises(InputError, match="has the dimensions"):
        add_flag(flag, "clogged", xr.ones_like(flag, bool).expand_dims("gas"))


def test_counts_are_per_reason_and_overlap():
    counts = count_flags(flag_variable())
    assert counts.to_dict() == {
        "total": 4,
        "clean": 1,
        "daylight": 2,
        "clogged": 2,
        "outlier": 2,
    }


@pytest.mark.parametrize("table", [TABLE, FlagTable({"only": "one reason"})])
def test_flags_survive_a_netcdf_file(tmp_path, table):
    flag = xr.DataArray(
        np.array([0, 1], "int32"), dims="closure", attrs=table.attrs(), name="x_flag"
    )
    flag.to_dataset().to_netcdf(tmp_path / "flags.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "flags.nc", engine="h5netcdf") as back:
        assert back["x_flag"].dtype == np.dtype("int32")
        assert flag_masks(back["x_flag"]) == flag_masks(flag)
        xr.testing.assert_equal(is_flagged(back["x_flag"]), is_flagged(flag))
        assert (
            back["x_flag"]
            .attrs["flag_descriptions"]
            .startswith(next(iter(table.descriptions)))
        )


def test_the_last_of_31_flags_fits_and_a_32nd_is_refused():
    words = {f"reason_{i}": "text" for i in range(31)}
    table = FlagTable(words)
    flags = table.variable({"reason_30": True, "reason_0": True}, ())
    assert flags == 2**30 + 1
    assert table.attrs()["flag_masks"].min() > 0
    with pytest.raises(InputError, match="holds 31"):
        FlagTable({**words, "one_more": "text"})


def test_unknown_and_unwritable_words_are_refused():
    with pytest.raises(InputError, match="known flags: daylight, clogged, outlier"):
        TABLE.bit("wet")
    with pytest.raises(InputError, match="it has daylight, clogged, outlier"):
        is_flagged(flag_variable(), "wet")
    with pytest.raises(InputError, match="it has"):
        add_flag(flag_variable(), "wet", is_flagged(flag_variable()))
    with pytest.raises(InputError, match="one word"):
        FlagTable({"two words": "text"})


def test_a_variable_without_flag_attributes_or_integers_is_refused():
    with pytest.raises(InputError, match="is not a flag variable"):
        is_flagged(xr.DataArray([1], name="count"))
    widened = flag_variable().reindex(closure=["obs 0", "obs 9"])
    with pytest.raises(InputError, match="stored as float64"):
        count_flags(widened)
