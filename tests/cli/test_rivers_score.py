"""`tilth rivers score` as a user calls it: a run and gauges in, scores out."""

import gzip

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.stats import hydrograph_scores

TIME = pd.date_range("2001-01-01", periods=200)


def run(*words):
    return main([str(word) for word in ("rivers", "score", *words)])


def open_all(path):
    with xr.open_dataset(path, engine="h5netcdf") as found:
        return found.load()


def flows(values, ids, time=TIME, units="m3 s-1"):
    return xr.Dataset(
        {"discharge": (("time", "catchment"), np.asarray(values), {"units": units})},
        {"time": time, "catchment": ids},
    )


def hydrograph(seed=0):
    """Three floods on a slowly falling flow."""
    day = np.arange(200.0)
    base = 20.0 * np.exp(-day / 90.0) + np.random.default_rng(seed).random(200)
    for start, height in ((30, 200.0), (90, 120.0), (150, 300.0)):
        rising = np.clip((day - start + 3) / 3, 0, 1)
        base += height * np.where(day < start, rising, np.exp(-(day - start) / 4.0))
    return base


@pytest.fixture
def folder(tmp_path):
    observed = hydrograph()
    late = np.roll(observed, 2) * 1.1
    simulated = np.stack([observed, late], axis=1)
    flows(simulated, [7, 9]).to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    both = np.stack([observed, observed], axis=1)
    flows(both, [9, 7]).to_netcdf(tmp_path / "gauges.nc", engine="h5netcdf")
    return tmp_path


def test_a_perfect_run_scores_one_and_a_late_high_one_is_late_and_high(folder, capsys):
    out = folder / "scores.nc"
    assert run(folder / "run.nc", folder / "gauges.nc", "--out", out) == 0
    told = capsys.readouterr().out
    assert "NSE" in told
    assert "2001-01-01 to 2001-07-19" in told
    found = open_all(out)
    same, late = found.sel(catchment=7), found.sel(catchment=9)
    for name in ("nse", "kge", "log_nse", "correlation"):
        assert float(same[name]) == pytest.approx(1.0, abs=1e-12)
    for name in ("bias", "rmse", "peak_size_error", "peak_delay", "high_flow_bias"):
        assert float(same[name]) == pytest.approx(0.0, abs=1e-12)
    assert int(late["peaks"]) == 2  # above what 2 % of 200 days exceed
    assert float(late["peak_delay"]) == 2.0
    assert float(late["peak_size_error"]) == pytest.approx(0.1, rel=1e-9)
    assert float(late["relative_bias"]) == pytest.approx(0.1, abs=2e-3)
    observed = open_all(folder / "gauges.nc")["discharge"].sel(catchment=9)
    simulated = open_all(folder / "run.nc")["discharge"].sel(catchment=9)
    expected = hydrograph_scores(simulated, observed)
    for name in ("nse", "kge", "log_nse"):
        assert float(late[name]) == pytest.approx(float(expected[name]), rel=1e-12)


def test_a_curve_of_how_long_flows_are_exceeded_is_written(folder):
    out = folder / "scores.nc"
    assert run(folder / "run.nc", folder / "gauges.nc", "--out", out) == 0
    found = open_all(out).sel(catchment=7)
    curve = found["observed_duration"].values
    assert (np.diff(curve) <= 0).all()
    np.testing.assert_array_equal(found["simulated_duration"], curve)
    middle = float(found["observed_duration"].sel(exceeded=0.5))
    observed = open_all(folder / "gauges.nc")["discharge"].sel(catchment=7).values
    assert middle == pytest.approx(np.median(observed), rel=1e-9)


def test_gauges_come_as_csv_in_other_units_and_with_gaps(folder):
    observed = hydrograph() / 0.3048**3
    observed[10:20] = np.nan
    table = pd.DataFrame({"9": observed, "5": observed}, index=TIME)
    table.to_csv(folder / "gauges.csv", index_label="day")
    out = folder / "scores.nc"
    words = ("--units", "ft3 s-1", "--out", out)
    assert run(folder / "run.nc", folder / "gauges.csv", *words) == 0
    found = open_all(out)
    assert found["catchment"].values.tolist() == [9]
    assert int(found["count"][0]) == 190
    assert float(found["relative_bias"][0]) == pytest.approx(0.1, abs=0.01)


def test_a_usgs_file_stands_for_the_catchment_that_is_named(folder, capsys):
    rows = [
        f"01022500 {day.year} {day.month:02d} {day.day:02d} {flow:8.2f} A"
        for day, flow in zip(TIME, hydrograph() / 0.3048**3, strict=True)
    ]
    path = folder / "01022500_usgs_q_cfs.txt.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode()))
    assert run(folder / "run.nc", path) == 2
    assert "give --catchment once" in capsys.readouterr().err
    out = folder / "scores.nc"
    assert run(folder / "run.nc", path, "--catchment", 7, "--out", out) == 0
    assert float(open_all(out)["nse"][0]) == pytest.approx(1.0, abs=1e-6)


def test_many_catchments_are_printed_as_their_spread(folder, capsys):
    many = np.repeat(hydrograph()[:, None], 40, axis=1)
    ids = np.arange(40)
    flows(many * 1.2, ids).to_netcdf(folder / "many.nc", engine="h5netcdf")
    flows(many, ids).to_netcdf(folder / "gauged.nc", engine="h5netcdf")
    assert run(folder / "many.nc", folder / "gauged.nc") == 0
    told = capsys.readouterr().out
    assert "40 catchments" in told
    assert "median" in told
    line = next(row for row in told.splitlines() if row.strip().startswith("bias"))
    assert line.split()[1:] == ["40", *["0.2"] * 5]


def test_a_dry_river_has_no_efficiency_and_says_why(folder, capsys):
    dry = flows(np.zeros((200, 1)), [7])
    dry.to_netcdf(folder / "dry.nc", engine="h5netcdf")
    out = folder / "scores.nc"
    assert run(folder / "run.nc", folder / "dry.nc", "--out", out) == 0
    assert "–" in capsys.readouterr().out
    found = open_all(out)
    assert np.isnan(found["nse"][0])
    meanings = found["reason"].attrs["flag_meanings"].split()
    assert meanings[int(found["reason"][0])] == "no_flow"
    assert int(found["peaks"][0]) == 0


@pytest.mark.parametrize(
    ("observed", "words", "message"),
    [
        ("none.nc", (), "there is no none.nc"),
        ("hours.nc", (), "the run has steps of 86400 s, the gauges of 3600 s"),
        ("later.nc", (), "no time is common"),
        ("other.nc", (), "no catchment is both in the run and among the gauges"),
        ("gauges.nc", ("--catchment", "5"), "no catchment is both"),
        ("gauges.nc", ("--catchment", "five"), "are whole numbers: five"),
        ("gauges.nc", ("--variable", "storage"), "has no storage of catchments"),
        ("depth.nc", (), "not the same kind"),
        ("gauges.nc", ("--first", "2003-01-01"), "no time lies between"),
        ("bad.csv", (), "cannot read bad.csv as discharge"),
        ("cut.nc", (), "cannot read cut.nc as discharge of gauges"),
    ],
)
def test_what_cannot_be_scored_is_one_clear_line(
    folder, observed, words, message, capsys, monkeypatch
):
    monkeypatch.chdir(folder)
    good = open_all("gauges.nc")

    def write(data, name):
        data.to_netcdf(name, engine="h5netcdf")

    hours = pd.date_range("2001-01-01", periods=200, freq="h")
    write(good.assign_coords(time=hours), "hours.nc")
    write(good.assign_coords(time=TIME + pd.Timedelta("400D")), "later.nc")
    write(good.assign_coords(catchment=[1, 2]), "other.nc")
    write(flows(good["discharge"].values, [7, 9], units="m"), "depth.nc")
    (folder / "bad.csv").write_text("day,7\nyesterday,3.0\n")
    (folder / "cut.nc").write_bytes((folder / "gauges.nc").read_bytes()[:900])
    assert run("run.nc", observed, *words, "--out", "scores.nc") == 2
    assert message in capsys.readouterr().err
    assert not (folder / "scores.nc").exists()
