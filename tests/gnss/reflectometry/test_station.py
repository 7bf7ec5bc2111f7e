"""Many days of a station: order, neighbours, cache, threads."""

import shutil

import numpy as np
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf
from tilth.gnss.reflectometry import day_cache
from tilth.gnss.reflectometry.heights import reflector_heights
from tilth.gnss.reflectometry.results_files import read_results, write_arcs
from tilth.gnss.reflectometry.settings import Settings
from tilth.gnss.reflectometry.snr_files import read_snr, write_snr
from tilth.gnss.reflectometry.station import station_heights

SETTINGS = Settings(signals=(1,))


@pytest.fixture
def files(made_day, tmp_path):
    """Return files of five days in July and one after a gap, not in order."""
    paths = []
    for k, day in enumerate((3, 1, 2, 5, 4, 9)):
        table = made_day(
            2.0, satellites=range(1, 9), passes=8, seed=k, noise=3.0,
            first_second=100.0, date=f"2024-07-{day:02d}",
        )  # fmt: skip
        paths.append(write_snr(table, tmp_path))
    return paths


def same(first, second):
    for name in (*first.data_vars, "time"):
        np.testing.assert_array_equal(first[name].values, second[name].values)


def test_many_days_are_the_single_days_with_their_neighbours(files):
    together = station_heights(files, SETTINGS)
    days = {read_snr(path).attrs["date"]: read_snr(path) for path in files}
    dates = sorted(days)
    singles = []
    for k, date in enumerate(dates):
        singles.append(
            reflector_heights(
                days[date],
                previous=days[dates[k - 1]] if 0 < k < 5 else None,
                following=days[dates[k + 1]] if k < 4 else None,
                settings=SETTINGS,
            )
        )
    same(together, xr.concat(singles, "arc", combine_attrs="override"))


def test_results_do_not_depend_on_threads(files):
    same(station_heights(files, SETTINGS, threads=1),
         station_heights(files, SETTINGS, threads=3))  # fmt: skip


def test_a_cache_gives_the_same_and_is_used(files, tmp_path, monkeypatch):
    folder = tmp_path / "kept"
    first = station_heights(files, SETTINGS, cache=folder)
    assert len(list(folder.glob("*.parquet"))) == len(files)
    monkeypatch.setattr(
        "tilth.gnss.reflectometry.station.read_snr",
        lambda path: pytest.fail(f"{path} was read again"),
    )
    same(first, station_heights(files, SETTINGS, cache=folder))


def test_a_cache_older_than_its_file_is_not_used(files, tmp_path, made_day):
    import os

    folder = tmp_path / "kept"
    station_heights(files[:1], SETTINGS, cache=folder)
    kept = next(folder.glob("*.parquet"))
    os.utime(kept, (0, 0))
    day_cache.write_day(made_day(5.0, satellites=[1]), kept)
    os.utime(kept, (0, 0))
    again = station_heights(files[:1], SETTINGS, cache=folder)
    same(again, station_heights(files[:1], SETTINGS))


def test_a_day_that_is_there_twice_is_refused(files, tmp_path):
    (tmp_path / "other").mkdir()
    twice = shutil.copy(files[0], tmp_path / "other")
    with pytest.raises(InputError, match="2024-07-03 is there twice"):
        station_heights([*files, twice], SETTINGS)


def test_files_of_several_stations_are_refused(files, tmp_path):
    other = files[0].with_name(files[0].name.replace("plan", "abcd"))
    shutil.copy(files[0], other)
    with pytest.raises(InputError, match="several stations: abcd, plan"):
        station_heights([files[1], other], SETTINGS)


def test_no_file_at_all_is_refused():
    with pytest.raises(InputError, match="no file"):
        station_heights([], SETTINGS)


@pytest.mark.parametrize("ending", ["nc", "csv", "parquet", "txt"])
def test_tables_of_arcs_are_written_in_every_format(files, tmp_path, ending):
    import pandas as pd

    arcs = station_heights(files[:2], SETTINGS)
    path = tmp_path / f"arcs.{ending}"
    write_arcs(arcs, path)
    good = arcs["quality_flag"].values == 0
    if ending == "nc":
        same(arcs, read_netcdf(path))
        return
    if ending == "txt":
        again = read_results(path)
        heights = arcs["reflector_height"].values[good]
        np.testing.assert_allclose(again["reflector_height"], heights, atol=5.1e-4)
        apart = np.abs(again["time"].values - arcs["time"].values[good])
        assert apart.max() <= np.timedelta64(2, "s")
        return
    read = pd.read_csv if ending == "csv" else pd.read_parquet
    table = read(path, keep_default_na=False) if ending == "csv" else read(path)
    assert len(table) == arcs.sizes["arc"]
    assert ((table["quality_flag"] == "") == good).all()


def test_an_ending_that_is_not_known_is_refused(files, tmp_path):
    arcs = station_heights(files[:1], SETTINGS)
    with pytest.raises(InputError, match="the name ends in"):
        write_arcs(arcs, tmp_path / "arcs.xlsx")


def test_results_of_something_else_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("1 2 3\n")
    with pytest.raises(InputError, match="3 columns"):
        read_results(tmp_path / "a.txt")
    with pytest.raises(InputError, match="holds no results"):
        read_results(tmp_path / "b.txt")


@pytest.mark.realdata
def test_a_day_of_results_from_another_station_is_read(dataset):
    # The file's own last rows: year, doy, height, satellite in front.
    arcs = read_results(dataset("reflection-records") / "lorg_result_2019_102.txt")
    assert float(arcs["reflector_height"][0]) == 2.450
    assert str(arcs["time"].values[0])[:16] == "2019-04-12T14:15"
