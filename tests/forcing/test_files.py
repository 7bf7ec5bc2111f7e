import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.forcing.files import (
    days_of,
    open_forcing,
    open_variables,
    pick,
    write_forcing,
)

CALENDARS = ["standard", "noleap", "360_day", "julian", "proleptic_gregorian"]


def field(calendar="noleap", year=2001, days=60, name="tas"):
    time = xr.date_range(
        f"{year}-01-01", periods=days, freq="D", calendar=calendar, use_cftime=None
    )
    values = 280.0 + np.arange(days, dtype=float)[:, None] / 10 + np.arange(3)
    return xr.Dataset(
        {name: (("time", "cell"), values, {"units": "K"})},
        coords={"time": time, "cell": ["a", "b", "c"]},
    )


@pytest.mark.parametrize("calendar", CALENDARS)
@pytest.mark.parametrize("suffix", ["nc", "zarr"])
def test_what_is_written_is_read_in_any_calendar(tmp_path, calendar, suffix):
    data = field(calendar)
    path = tmp_path / f"tas.{suffix}"
    write_forcing(data, path, step="made up", split={"training": "1981/2000"})
    back = open_forcing(path)
    xr.testing.assert_equal(back.load(), data)
    assert back["time"].dt.calendar == data["time"].dt.calendar
    assert back.attrs["split_training"] == "1981/2000"
    assert "made up" in back.attrs["history"]
    assert list(tmp_path.iterdir()) == [path]


def test_files_are_put_in_order_of_time(tmp_path):
    paths = []
    for year in (2003, 2001, 2002):
        paths.append(tmp_path / f"{9 - year % 10}.nc")
        write_forcing(field(year=year, days=365), paths[-1], step="x")
    data = open_forcing(paths)
    assert data.sizes["time"] == 3 * 365
    assert (np.diff(data["time"].dt.year.values) >= 0).all()


def test_a_file_given_twice_and_mixed_calendars_are_refused(tmp_path):
    for calendar in ("noleap", "standard"):
        write_forcing(field(calendar), tmp_path / f"{calendar}.nc", step="x")
    with pytest.raises(InputError, match="overlap"):
        open_forcing([tmp_path / "noleap.nc"] * 2)
    with pytest.raises(InputError, match="calendars noleap, "):
        open_forcing([tmp_path / "noleap.nc", tmp_path / "standard.nc"])


def test_a_classic_netcdf_file_is_read(tmp_path):
    data = field("standard").drop_vars("cell")
    data.to_netcdf(tmp_path / "old.nc", engine="scipy", format="NETCDF3_64BIT")
    with open_forcing(tmp_path / "old.nc") as opened:
        np.testing.assert_array_equal(opened["tas"].values, data["tas"].values)


@pytest.mark.parametrize(
    "content", [b"", b"CDF", b"no such thing", b"\x89HDF\r\n\x1a\n"]
)
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / "bad.nc"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.nc"):
        open_forcing(path)
    with pytest.raises(InputError, match="there is no"):
        open_forcing(tmp_path / "absent.nc")
    with pytest.raises(InputError, match="no file"):
        open_forcing([])


def test_packing_of_the_source_does_not_round_what_is_written(tmp_path):
    packed = {"tas": {"dtype": "int16", "scale_factor": 0.1, "_FillValue": -9999}}
    (field() - 273.15 * 0).to_netcdf(
        tmp_path / "packed.nc", engine="h5netcdf", encoding=packed
    )
    data = open_forcing(tmp_path / "packed.nc").load()
    fine = data + 0.0123
    fine["tas"].encoding = data["tas"].encoding
    write_forcing(fine, tmp_path / "fine.nc", step="x")
    back = open_forcing(tmp_path / "fine.nc")
    np.testing.assert_array_equal(back["tas"].values, fine["tas"].values)


def test_uneven_chunks_are_written_to_zarr(tmp_path):
    data = field().chunk(time=(7, 40, 13))
    write_forcing(data, tmp_path / "x.zarr", step="x")
    lazy = open_forcing(tmp_path / "x.zarr", chunks={})
    assert lazy["tas"].chunks is not None
    xr.testing.assert_equal(lazy.load(), field())


def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "x.zarr"
    write_forcing(field(), path, step="first")

    def fails(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(xr.Dataset, "to_zarr", fails)
    with pytest.raises(OSError, match="disk full"):
        write_forcing(field(days=5), path, step="second")
    assert open_forcing(path).sizes["time"] == 60
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="folder"):
        write_forcing(field(), tmp_path / "no" / "x.zarr", step="x")


def test_sources_and_their_checksums_are_noted(tmp_path):
    write_forcing(field()["tas"], tmp_path / "a.nc", step="first")
    write_forcing(field(), tmp_path / "b.zarr", step="second")
    write_forcing(
        field(),
        tmp_path / "c.nc",
        step="third",
        sources=[tmp_path / "a.nc", tmp_path / "b.zarr"],
    )
    attrs = open_forcing(tmp_path / "c.nc").attrs
    assert attrs["source_sha256"].startswith("a.nc: ")
    assert "read b.zarr" in attrs["history"]
    with pytest.raises(InputError, match="no name"):
        write_forcing(xr.DataArray([1.0]), tmp_path / "d.nc", step="x")


def test_truth_and_absence_can_be_attributes(tmp_path):
    data = field()
    data["tas"].attrs.update(detrended=True, cap=None)
    write_forcing(data, tmp_path / "x.nc", step="x")
    attrs = open_forcing(tmp_path / "x.nc")["tas"].attrs
    assert (attrs["detrended"], attrs["cap"]) == (1, "none")


def test_the_only_variable_of_the_forcing_is_picked_by_itself():
    data = field(name="t2m").assign(orog=("cell", [1.0, 2.0, 3.0]))
    assert pick(data).name == "tas"
    assert pick(data, "tas").name == "tas"
    assert pick(data, "t2m").name == "tas"
    both = data.assign(sp=data["t2m"] * 300)
    with pytest.raises(InputError, match="name the one"):
        pick(both)
    with pytest.raises(InputError, match="0 variables"):
        pick(data, "rsds")


@pytest.mark.parametrize("calendar", ["standard", "noleap"])
def test_noon_stamps_become_the_days_they_lie_in(calendar):
    midnight = field(calendar)
    noon = midnight.assign_coords(
        time=midnight["time"].values + pd.Timedelta("12h").to_pytimedelta()
        if calendar == "noleap"
        else midnight["time"].values + np.timedelta64(12, "h")
    )
    xr.testing.assert_equal(days_of(noon), midnight)
    hourly = xr.concat([midnight, noon], "time").sortby("time")
    with pytest.raises(InputError, match="not daily"):
        days_of(hourly)


def test_variables_of_different_files_are_put_side_by_side(tmp_path):
    for year in (2001, 2002):
        write_forcing(field(year=year, days=365), tmp_path / f"t{year}.nc", step="x")
    noon = field(days=500, name="ps")
    shift = pd.Timedelta("12h").to_pytimedelta()
    noon = noon.assign_coords(time=noon["time"].values + shift)
    write_forcing(noon, tmp_path / "p.zarr", step="x")
    paths = [tmp_path / name for name in ("t2002.nc", "p.zarr", "t2001.nc")]
    data = open_variables(paths)
    assert set(data.data_vars) == {"tas", "ps"}
    assert data.sizes == {"time": 500, "cell": 3}
    np.testing.assert_array_equal(
        data["tas"][:365].values, field(days=365)["tas"].values
    )


def test_variables_that_share_no_day_or_place_are_refused(tmp_path):
    write_forcing(field(), tmp_path / "t.nc", step="x")
    write_forcing(field(year=1950, name="ps"), tmp_path / "p.nc", step="x")
    with pytest.raises(InputError, match="share no day"):
        open_variables([tmp_path / "t.nc", tmp_path / "p.nc"])
    elsewhere = field(name="pr").assign_coords(cell=["a", "b", "x"])
    write_forcing(elsewhere, tmp_path / "r.nc", step="x")
    with pytest.raises(InputError, match="do not fit"):
        open_variables([tmp_path / "t.nc", tmp_path / "r.nc"])
    write_forcing(field().isel(time=0, drop=True), tmp_path / "o.nc", step="x")
    with pytest.raises(InputError, match="no times"):
        open_variables([tmp_path / "o.nc"])
    with pytest.raises(InputError, match="no file"):
        open_variables([])
