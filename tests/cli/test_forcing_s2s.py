"""tilth forcing s2s: from archives to probabilities that say what they learnt from."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main


@pytest.fixture
def archive(tmp_path):
    """Hindcasts of ten years and daily observations: half of the signal is foretold."""
    draws = np.random.default_rng(0)
    days = pd.date_range("2001-01-01", "2011-12-31")
    weather = np.zeros((days.size, 2))
    fresh = draws.normal(size=weather.shape)
    for day in range(1, days.size):
        weather[day] = 0.9 * weather[day - 1] + fresh[day]
    start = [
        pd.Timestamp(year, 1, 5) + pd.Timedelta(days=5 * k)
        for year in range(2001, 2011)
        for k in range(6)
    ]
    first = np.array([days.get_loc(when) for when in start])
    ahead = weather[first[:, None] + np.arange(21)]
    noise = draws.normal(size=(60, 21, 3, 2))
    model = ahead[:, :, None] + 1.5 * noise + 4.0
    lat = ("cell", [10.0, 50.0], {"units": "degrees_north"})
    hindcast = xr.Dataset(
        {"tas": (("S", "L", "M", "cell"), 280.0 + model, {"units": "K"})},
        {"S": start, "L": ("L", np.arange(21) + 0.5, {"units": "days"}), "lat": lat},
    )
    observed = xr.Dataset(
        {"tas": (("time", "cell"), 6.85 + weather, {"units": "degC"})},
        {"time": days + pd.Timedelta(hours=12), "lat": lat},
    )
    hindcast.to_netcdf(tmp_path / "hindcast.nc", engine="h5netcdf")
    observed.to_netcdf(tmp_path / "observed.nc", engine="h5netcdf")
    return tmp_path


def call(folder, *words):
    """Run the command on the archive."""
    given = [
        "forcing",
        "s2s",
        str(folder / "hindcast.nc"),
        str(folder / "observed.nc"),
        "--variable",
        "tas",
        "--windows",
        "week 1=0:7,weeks 2-3=7:21",
        "--out",
        str(folder / "terciles.nc"),
    ]
    return main([*given, *words])


def table(text):
    """Rows of the printed table: lead -> numbers."""
    rows = [line.split() for line in text.splitlines() if line.startswith(" week")]
    return {" ".join(row[:2]): row[2:] for row in rows}


def test_hindcasts_become_probabilities_with_their_provenance(archive, capsys):
    assert call(archive, "--method", "model-edges") == 0
    text = capsys.readouterr().out
    rows = table(text)
    assert rows["week 1"][:2] == ["120", "3"]  # 60 starts at 2 cells, 3 members
    assert float(rows["week 1"][2]) > 0.3
    assert float(rows["week 1"][3]) > float(rows["week 1"][2])
    assert "starts of any date, the target's year left out" in text
    with xr.open_dataset(archive / "terciles.nc", engine="h5netcdf") as found:
        total = found["probability"].sum("category")
        np.testing.assert_allclose(total, 1.0, atol=1e-12)
        assert found.attrs["split_training_years"] == "2001-2010"
        assert "the target's year left out" in found.attrs["split_training"]
        assert "hindcast.nc" in found.attrs["source_sha256"]
        assert found["edges"].attrs["units"] == "K"
        assert 270.0 < float(found["edges"].mean()) < 290.0
        assert found["weight"].dims == ("lead", "start")


def test_the_regression_beats_counting_against_foreign_edges(archive, capsys):
    skill = {}
    for method in ("raw", "regression"):
        assert call(archive, "--method", method, "--no-blend") == 0
        skill[method] = float(table(capsys.readouterr().out)["week 1"][2])
    assert skill["regression"] > 0.5 > skill["raw"]


def test_a_forecast_of_real_time_is_written_and_the_hindcasts_are_scored(
    archive, capsys
):
    with xr.open_dataset(archive / "hindcast.nc", engine="h5netcdf") as file:
        past = file.load()
    now = past.isel(S=[0, 1]).assign_coords(
        S=pd.to_datetime(["2012-01-05", "2012-01-12"])
    )
    now.to_netcdf(archive / "now.nc", engine="h5netcdf")
    assert call(archive, "--forecast", str(archive / "now.nc"), "--window", "20") == 0
    assert len(table(capsys.readouterr().out)) == 2
    with xr.open_dataset(archive / "terciles.nc", engine="h5netcdf") as found:
        assert found["start"].dt.year.values.tolist() == [2012, 2012]
        assert "observed_category" not in found


def test_totals_since_the_start_meet_sums_of_observed_days(archive):
    # Rain of 2 mm a day in the model, 3 in the observations; totals at few leads.
    with xr.open_dataset(archive / "hindcast.nc", engine="h5netcdf") as file:
        past = file.load()
    with xr.open_dataset(archive / "observed.nc", engine="h5netcdf") as file:
        seen = file.load()
    draws = np.random.default_rng(1)
    total = (
        past["tas"].isel(L=[0, 0]).assign_coords(L=("L", [7, 21], {"units": "days"}))
    )
    total = xr.zeros_like(total) + xr.DataArray([14.0, 42.0], dims="L")
    total = total + draws.random(total.shape)
    rain = xr.full_like(seen["tas"], 3.0 / 86400) * draws.uniform(0.9, 1.1, (4017, 2))
    total.assign_attrs(units="mm").rename("tas").to_netcdf(
        archive / "hindcast.nc", engine="h5netcdf"
    )
    rain.assign_attrs(units="kg m-2 s-1").to_netcdf(
        archive / "observed.nc", engine="h5netcdf"
    )
    assert call(archive, "--aggregate", "accumulated", "--method", "mapping-ratio") == 0
    with xr.open_dataset(archive / "terciles.nc", engine="h5netcdf") as found:
        assert found["edges"].attrs["units"] == "mm"
        middle = found["edges"].mean(["cell", "start", "edge"]).values
        np.testing.assert_allclose(middle, [21.0, 42.0], rtol=0.03)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "magic"), "no method 'magic'"),
        (("--leave-out", "none"), "no skill to speak of"),
        (("--windows", "week 1=0-7"), "periods are written like"),
        (("--pool", "lat"), "no dimension lat to pool"),
        (("--observed-variable", "pr"), "has no pr"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(archive, capsys, words, message):
    assert call(archive, *words) == 2
    assert message in capsys.readouterr().err
    assert not (archive / "terciles.nc").exists()


def test_observations_without_units_are_refused_until_they_are_said(archive, capsys):
    with xr.open_dataset(archive / "observed.nc", engine="h5netcdf") as file:
        bare = file.load()
    del bare["tas"].attrs["units"]
    bare.to_netcdf(archive / "observed.nc", engine="h5netcdf")
    assert call(archive) == 2
    assert "say which with --units" in capsys.readouterr().err
    assert call(archive, "--units", "degC") == 0


@pytest.mark.realdata
def test_the_index_of_the_madden_julian_oscillation_from_its_archive(
    dataset, tmp_path, capsys
):
    folder = dataset("rmm1-hindcasts")
    words = [
        "forcing",
        "s2s",
        str(folder / "GMAO-GEOS-V2p1.RMM1.nc"),
        str(folder / "RMM1.observed.interannual.1974-06.2017-07.nc"),
        *("--variable", "RMM1", "--observed-variable", "rmm1"),
        *("--units", "unitless", "--window", "15", "--method", "model-edges"),
        *("--out", str(tmp_path / "rmm1.nc")),
    ]
    assert main(words) == 0
    rows = [
        line.split()
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(" weeks")
    ]
    # Four members against their own edges: weeks 5-6 gain by the blend.
    assert [row[3] for row in rows] == ["4", "4"]
    assert float(rows[1][4]) < 0.05 < float(rows[1][7])
