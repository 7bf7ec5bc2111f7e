"""`tilth gnss rinex2snr` and `daily` as a user calls them: files in, files out."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.core.files import write_netcdf
from tilth.gnss.reflectometry.snr_files import read_snr

SKY = Path(__file__).parents[1] / "gnss" / "rinex" / "conftest.py"
#: Noon of the made-up day, seconds of the GPS week.
NOON = 4 * 86400.0 + 43200.0


def run(*words):
    return main([str(word) for word in ("gnss", *words)])


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    """Two hours of two satellites under a made-up sky, and its orbits."""
    spec = importlib.util.spec_from_file_location("made_up_sky", SKY)
    made_up = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made_up)
    sky = made_up.Sky()
    folder = tmp_path_factory.mktemp("receiver")
    second = np.arange(NOON, NOON + 7200.0, 60.0)
    text = made_up.header(
        f"{3.03:9.2f}           OBSERVATION DATA    M (MIXED)", made_up.LABEL
    )
    text += made_up.header("MADE", "MARKER NAME")
    text += made_up.header(
        "".join(f"{v:14.4f}" for v in sky.station), "APPROX POSITION XYZ"
    )
    text += made_up.header("G    2 S1C S2W", "SYS / # / OBS TYPES")
    text += made_up.header("", "END OF HEADER")
    elevation = {s: sky.sight(s, second)[0] for s in (1, 9)}
    for k, moment in enumerate(second):
        text += made_up.epoch_line(sky.moment(moment), [1, 9, 31], False)
        for s in (1, 9, 31):
            text += f"{made_up.name_of(s)}{44.0:14.3f}  {30.25 + k % 3:14.3f}\n"
    path = folder / "made.rnx"
    path.write_text(text)
    return path, sky.write_sp3(folder / "made.sp3"), elevation


def test_observations_and_orbits_become_an_snr_file(receiver, tmp_path, capsys):
    rinex, orbits, elevation = receiver
    assert (
        run("rinex2snr", rinex, "--orbits", orbits, "--out", tmp_path, "--kind", 88)
        == 0
    )
    day = read_snr(tmp_path / "made2000.18.snr88.gz")
    for satellite in (1, 9):
        own = day["satellite"].values == satellite
        np.testing.assert_allclose(
            day["elevation"].values[own], elevation[satellite], atol=6e-5
        )
    assert set(np.unique(day["s1"])) == {44.0}
    told = capsys.readouterr().out
    assert "rows without an orbit: G31:120" in told
    assert "second_band_semicodeless: 240 rows" in told
    assert "GPS s2: S2W of 3" in told


def test_two_files_of_one_day_and_wrong_numbers_are_refused(receiver, tmp_path, capsys):
    rinex, orbits, _ = receiver
    how = ("--orbits", orbits, "--out", tmp_path)
    assert run("rinex2snr", rinex, rinex, *how) == 2
    assert "join them to one file" in capsys.readouterr().err
    assert run("rinex2snr", rinex, *how, "--kind", 77) == 2
    assert "--kind is one of 66, 99, 88, 50" in capsys.readouterr().err
    assert run("rinex2snr", rinex, *how, "--position", "1,2") == 2
    assert "write it as x,y,z" in capsys.readouterr().err
    assert run("rinex2snr", rinex, *how, "--date", "2018-08-01") == 2
    error = capsys.readouterr().err
    assert str(rinex.name) in error.replace("\n", "")
    assert "no observation is of" in error


def arcs(days=20, seed=0):
    rng = np.random.default_rng(seed)
    day, track, code = (
        c.ravel() for c in np.meshgrid(np.arange(days), np.arange(20), [1, 20, 5])
    )
    shift = np.select([code == 20, code == 5], [0.02, 0.03], 0.0)
    # Half-way L5 is lost: the mean falls by a third of its offset and half of L2C's.
    kept = (code != 5) | (day < days // 2)
    variables = {
        "satellite": (track + 1).astype("int16"),
        "signal": code.astype("int16"),
        "rise": np.ones(day.size, "int8"),
        "azimuth": 18.0 * track,
        "reflector_height": 2.0 + shift + rng.normal(0.0, 0.01, day.size),
        "amplitude": np.full(day.size, 12.0),
        "quality_flag": np.zeros(day.size, "int32"),
    }
    time = np.datetime64("2019-07-01", "ns") + (
        (day * 24.0 + 0.5 + track) * 3600e9
    ).astype("timedelta64[ns]")
    table = xr.Dataset({n: ("arc", v) for n, v in variables.items()})
    table = table.assign_coords(time=("arc", time)).assign_attrs(station="made")
    return table.isel(arc=np.flatnonzero(kept))


def test_arcs_of_several_files_become_a_daily_series(tmp_path, capsys):
    table = arcs()
    half = table.sizes["arc"] // 2
    write_netcdf(table.isel(arc=slice(None, half)), tmp_path / "a.nc")
    write_netcdf(table.isel(arc=slice(half, None)), tmp_path / "b.nc")
    out, plot = tmp_path / "daily.csv", tmp_path / "daily.png"
    files = (tmp_path / "a.nc", tmp_path / "b.nc")
    assert run("daily", *files, "--out", out, "--plot", plot) == 0
    assert "20 of 20 days have a height" in capsys.readouterr().out
    plain = pd.read_csv(out)
    assert plot.stat().st_size > 5_000
    assert (
        run("daily", *files, "--out", out, "--offsets", "signals", "--reference", 1)
        == 0
    )
    told = capsys.readouterr().out
    assert "GPS L2C" in told
    clean = pd.read_csv(out)

    def step(rows):
        height = rows["reflector_height"].to_numpy()
        return height[10:].mean() - height[:10].mean()

    assert step(plain) == pytest.approx(0.010 - 0.05 / 3, abs=0.002)
    assert abs(step(clean)) < 0.002
    assert (clean["reflector_height"] - 2.0).abs().max() < 0.006


def test_a_series_of_each_signal_goes_to_netcdf(tmp_path):
    write_netcdf(arcs(), tmp_path / "a.nc")
    out = tmp_path / "daily.nc"
    assert run("daily", tmp_path / "a.nc", "--out", out, "--by-signal") == 0
    with xr.open_dataset(out, engine="h5netcdf") as found:
        assert found["signal"].values.tolist() == [1, 5, 20]
        assert found["count"].sel(signal=5).values[15] == 0


def test_arcs_of_two_stations_and_unknown_words_are_refused(tmp_path, capsys):
    write_netcdf(arcs(), tmp_path / "a.nc")
    write_netcdf(arcs().assign_attrs(station="other"), tmp_path / "b.nc")
    out = ("--out", tmp_path / "d.nc")
    assert run("daily", tmp_path / "a.nc", tmp_path / "b.nc", *out) == 2
    assert "several stations, made, other" in capsys.readouterr().err
    assert run("daily", tmp_path / "a.nc", *out, "--offsets", "some") == 2
    assert "none, signals or tracks" in capsys.readouterr().err
    assert run("daily", tmp_path / "a.nc", "--out", tmp_path / "d.txt") == 2
    assert "ends in .nc or .csv" in capsys.readouterr().err


@pytest.mark.realdata
def test_results_of_gnssrefl_give_its_own_daily_mean(dataset, tmp_path):
    folder = dataset("mchl-reflections") / "expected"
    out = tmp_path / "daily.csv"
    assert (
        run("daily", folder / "gps_010.txt", folder / "gps_011.txt", "--out", out) == 0
    )
    rows = pd.read_csv(out)
    # daily_avg 0.25 10 of gnssrefl 4.2.3.
    assert rows["count"].tolist() == [102, 110]
    np.testing.assert_allclose(rows["reflector_height"], 1.694, atol=5.1e-4)
    np.testing.assert_allclose(rows["scatter"], 0.046, atol=5.1e-4)
