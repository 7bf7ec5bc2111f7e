"""Fluxes in files: whole, streamed, and never half written."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.chambers.closures import make_closures
from tilth.chambers.fits.flux import fluxes
from tilth.chambers.output import FORMATS, flux_table, write_fluxes
from tilth.core.errors import InputError

T = np.arange(30) * 6.0


def block(first, n=4):
    rng = np.random.default_rng(first)
    closures = make_closures(
        [f"{first + i}" for i in range(n)],
        {
            "elapsed": [T] * n,
            "co2": [450 + 0.2 * T + rng.normal(0, 1, T.size) for _ in range(n)],
        },
        time=pd.date_range("2023-07-03T22:00", periods=n, freq="10min")
        + pd.Timedelta(hours=first),
        labels={"pot": ["5.10.A"] * n},
        per_closure={
            "pressure": [97200.0] * n,
            "temperature": [20.0] * n,
            "area": [0.05] * n,
            "volume": [0.00825] * n,
        },
    )
    return fluxes(closures)


def read(path):
    if path.suffix == ".nc":
        with xr.open_dataset(path, engine="h5netcdf") as data:
            return flux_table(data.load())
    kinds = {"closure": str, "pot": str}
    if path.suffix == ".csv":
        return pd.read_csv(
            path, dtype=kinds, parse_dates=["time"], keep_default_na=False
        )
    return pd.read_parquet(path)


@pytest.mark.parametrize("suffix", FORMATS)
def test_blocks_written_one_by_one_read_back_as_one_table(tmp_path, suffix):
    # The first block is empty, as of a file without a closure.
    parts = [block(0).isel(closure=slice(0, 0)), block(0), block(4), block(8, n=1)]
    path = tmp_path / f"fluxes{suffix}"
    counts = write_fluxes(iter(parts), path)
    assert counts == {"closures": 9, "fluxes": 9}
    back = read(path)
    assert back["closure"].tolist() == [str(i) for i in range(9)]
    assert back["pot"].tolist() == ["5.10.A"] * 9
    whole = pd.concat([flux_table(p) for p in parts], ignore_index=True)
    np.testing.assert_allclose(back["flux"].astype(float), whole["flux"], rtol=1e-12)
    np.testing.assert_array_equal(
        pd.to_datetime(back["time"]).to_numpy("datetime64[us]"),
        whole["time"].to_numpy("datetime64[us]"),
    )
    assert set(back["model"]) <= {"linear", "hm"}


def test_a_streamed_netcdf_keeps_units_flags_and_provenance(tmp_path):
    write_fluxes([block(0)], tmp_path / "f.nc")
    back = xr.open_dataset(tmp_path / "f.nc", engine="h5netcdf")
    assert back["flux"].attrs["units"] == "umol m-2 s-1"
    assert back["flux_flag"].attrs["flag_meanings"].startswith("too_few_points")
    assert "chambers.fluxes" in back.attrs["history"]
    assert back["time"].dtype.kind == "M"
    assert "pot" in back.coords


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_failure_on_the_way_leaves_no_file_and_spares_the_old_one(tmp_path, suffix):
    path = tmp_path / f"fluxes{suffix}"
    path.write_text("old")

    def failing():
        yield block(0)
        raise InputError("the second file is damaged")

    with pytest.raises(InputError, match="damaged"):
        write_fluxes(failing(), path)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_unknown_ending_a_missing_folder_and_nothing_to_write_are_refused(tmp_path):
    with pytest.raises(InputError, match="must end in"):
        write_fluxes([block(0)], tmp_path / "fluxes.xlsx")
    with pytest.raises(InputError, match="does not exist"):
        write_fluxes([block(0)], tmp_path / "nowhere" / "fluxes.nc")
    with pytest.raises(InputError, match="no closure"):
        write_fluxes([], tmp_path / "fluxes.csv")


def test_blocks_with_different_variables_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match="mdf"):
        write_fluxes([block(0), block(4).drop_vars("mdf")], tmp_path / "f.csv")


def test_the_table_spells_codes_and_flags_out():
    part = block(0, n=2)
    part["flux_flag"].values[:] = [0, 1 | 2]
    table = flux_table(part)
    assert table["flux_flag"].tolist() == ["", "too_few_points;constant_concentration"]
    assert set(table["model_reason"]) <= {"aicc_not_lower", "no_curvature", "aicc"}
