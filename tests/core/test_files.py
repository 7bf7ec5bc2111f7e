"""Files that are read whole or refused, and intervals of time."""

import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, whole_file, write_netcdf
from tilth.core.intervals import interval_seconds, steps_of_interval


def test_what_was_written_is_read_and_the_file_is_closed(tmp_path):
    path = tmp_path / "a.nc"
    with whole_file(path) as half:
        xr.Dataset({"x": ("t", [1.0, 2.0])}).to_netcdf(half, engine="h5netcdf")
    assert read_netcdf(path)["x"].values.tolist() == [1.0, 2.0]
    path.unlink()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_torn_file_is_named_with_what_it_should_be(share, tmp_path):
    path = tmp_path / "a.nc"
    xr.Dataset({"x": ("t", [1.0] * 5000)}).to_netcdf(path, engine="h5netcdf")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"a\.nc cannot be read as a state: it is dam"):
        read_netcdf(path, "a state")


def test_a_file_that_is_not_there_and_one_of_text_are_told(tmp_path):
    with pytest.raises(InputError, match="there is no "):
        read_netcdf(tmp_path / "a.nc")
    (tmp_path / "a.nc").write_text("x,y")
    with pytest.raises(InputError, match="something else"):
        read_netcdf(tmp_path / "a.nc")


@pytest.mark.parametrize(
    ("step", "output", "count"),
    [(1800.0, "1D", 48), (3600.0, "3h", 3), (86400.0, "1D", 1), (0.1, "1min", 600)],
)
def test_an_interval_is_so_many_steps(step, output, count):
    assert steps_of_interval(step, output) == count
    assert steps_of_interval(step, "step") == 1


@pytest.mark.parametrize(
    ("step", "output", "words"),
    [
        (7000.0, "1D", "no multiple of the step of 7000 s"),
        (86400.0, "3h", "no multiple"),
        (3600.0, "monthly", "no interval: write '1D', '3h'.*'step'"),
    ],
)
def test_an_interval_that_does_not_fit_is_refused(step, output, words):
    with pytest.raises(InputError, match=words):
        steps_of_interval(step, output)
    with pytest.raises(InputError, match="exchange='x' is no interval"):
        interval_seconds("x", "exchange")


def test_a_file_that_cannot_be_written_leaves_the_old_one_as_it_was(tmp_path):
    path = tmp_path / "a.nc"
    write_netcdf(xr.Dataset({"x": ("t", [1.0])}), path)
    bad = xr.Dataset({"x": ("t", [2.0]), "y": ("t", [object()])})
    with pytest.raises((TypeError, ValueError)):
        write_netcdf(bad, path)
    assert read_netcdf(path)["x"].values.tolist() == [1.0]
    assert [p.name for p in tmp_path.iterdir()] == ["a.nc"]
