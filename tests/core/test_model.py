import hashlib

import numpy as np
import pytest
import xarray as xr

from tilth import __version__
from tilth.core.errors import InputError
from tilth.core.model import (
    file_checksum,
    require_dims,
    require_increasing,
    require_text,
    require_variables,
    stamp,
)


def test_a_missing_variable_is_named_beside_what_is_there():
    data = xr.Dataset({"co2": ("sample", [1.0])})
    require_variables(data, ["co2"], "a closures dataset")
    with pytest.raises(
        InputError, match="needs the variables elapsed, time; found co2"
    ):
        require_variables(data, ["elapsed", "co2", "time"], "a closures dataset")


def test_dimensions_may_come_in_any_order_but_all_must_be_there():
    data = xr.DataArray(np.zeros((2, 3)), dims=("sample", "closure"), name="co2")
    require_dims(data, ["closure", "sample"])
    with pytest.raises(InputError, match="co2 needs the dimensions"):
        require_dims(data, ["closure"])


@pytest.mark.parametrize(
    "values",
    [
        np.array(["5.1", "5.10"]),
        np.array(["5.1", "5.10"], dtype=object),
        np.array(["5.1"], dtype=np.dtypes.StringDType()),
        np.array([], dtype=object),
    ],
)
def test_text_identifiers_pass_however_they_are_stored(values):
    require_text(xr.DataArray(values, dims="pot", name="pot"))


@pytest.mark.parametrize(
    "values",
    [
        np.array([5.1, 5.1]),
        np.array([5, 6]),
        np.array(["5.1", 5.1], dtype=object),
        np.array(["5.1", np.nan], dtype=object),
        np.array([5.1, 5.1], dtype=object),
    ],
)
def test_an_identifier_that_is_or_holds_a_number_is_refused(values):
    with pytest.raises(InputError, match="identifier pot"):
        require_text(xr.DataArray(values, dims="pot", name="pot"))


@pytest.mark.parametrize(
    ("values", "where"),
    [
        (np.array([0.0, 1.0, 1.0]), "value 2"),
        (np.array([0.0, np.nan, 2.0]), "value 1"),
        (np.array([5, 3], "uint8"), "value 1"),  # 3 - 5 wraps around to 254
        (np.array(["2023-07-03", "2023-07-02"], "datetime64[ns]"), "value 1"),
        (np.array(["2023-07-03", "NaT"], "datetime64[ns]"), "value 1"),
    ],
)
def test_the_first_value_that_does_not_increase_is_named(values, where):
    with pytest.raises(InputError, match=f"elapsed must increase: {where} "):
        require_increasing(values, "elapsed")


def test_increasing_values_of_any_type_pass():
    require_increasing(np.array([3, 5], "uint8"), "elapsed")
    require_increasing(np.array(["2023-07-03", "2023-07-04"], "datetime64[s]"), "time")
    require_increasing(np.array([1.0]), "elapsed")
    require_increasing(np.array([]), "elapsed")


def test_the_checksum_is_the_sha256_of_the_bytes(tmp_path):
    path = tmp_path / "raw.81x"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert file_checksum(path) == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_every_step_adds_a_line_and_no_source_is_forgotten(tmp_path):
    raw, geometry = tmp_path / "raw data.81x", tmp_path / "geometry.yaml"
    raw.write_bytes(b"raw")
    geometry.write_bytes(b"area: 1")
    start = xr.Dataset({"co2": ("sample", [1.0])})
    read = stamp(start, "read", [raw])
    fitted = stamp(read, "fit model=linear", [geometry, raw])
    assert start.attrs == {}
    lines = fitted.attrs["history"].splitlines()
    assert [line.split(": ", 1)[1] for line in lines] == ["read", "fit model=linear"]
    assert fitted.attrs["tilth_version"] == __version__
    assert fitted.attrs["source_sha256"].splitlines() == [
        f"raw data.81x: {hashlib.sha256(b'raw').hexdigest()}",
        f"geometry.yaml: {hashlib.sha256(b'area: 1').hexdigest()}",
    ]


def test_a_step_without_files_claims_none():
    assert "source_sha256" not in stamp(xr.Dataset(), "simulated, seed 0").attrs
