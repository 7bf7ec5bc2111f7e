"""`tilth score` as a user calls it: forecasts and observations in, scores out."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.cli import main
from tilth.stats.scores import crps_both, kge

DAYS = pd.date_range("2001-01-01", "2006-12-31")
STARTS = pd.date_range("2004-01-01", "2005-12-15", freq="14D")
LEADS = np.array([1, 8, 15])
SITES = ["a", "b", "c", "d", "e", "f"]
BASIN = ("site", ["east", "east", "west", "north", "south", "delta"])


def run(*words):
    return main([str(word) for word in ("score", *words)])


def open_all(path):
    with xr.open_dataset(path, engine="h5netcdf", decode_timedelta=False) as found:
        return found.load()


def save(data, path, name="discharge"):
    data.rename(name).to_dataset().to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture(scope="module")
def observed():
    generator = np.random.default_rng(0)
    season = 50.0 + 20.0 * np.sin(2 * np.pi * DAYS.day_of_year.values / 365.25)
    noise = generator.normal(size=(DAYS.size, len(SITES))) * 8.0
    return xr.DataArray(
        season[:, None] + noise,
        {"time": DAYS, "site": SITES, "basin": BASIN},
        ("time", "site"),
        attrs={"units": "m3 s-1"},
    )


def truth_at(observed):
    valid = STARTS.values[:, None] + LEADS[None, :] * np.timedelta64(1, "D")
    picked = observed.sel(time=xr.DataArray(valid, dims=("start", "lead")))
    return picked.drop_vars("time").assign_coords(
        start=STARTS, lead=("lead", LEADS, {"units": "days"})
    )


def ensemble(observed, error, members=7, seed=1):
    """Members about a centre that is wrong by as much as they spread."""
    generator = np.random.default_rng(seed)
    truth = truth_at(observed)
    centre = truth + error * generator.normal(size=truth.shape)
    spread = error * generator.normal(size=(members, *truth.shape))
    found = centre + xr.DataArray(spread, dims=("member", *truth.dims))
    return found.assign_attrs(units="m3 s-1")


def test_a_perfect_forecast_scores_perfectly(tmp_path, observed, capsys):
    ours = save(ensemble(observed, 0.0), tmp_path / "f.nc")
    theirs = save(observed, tmp_path / "o.nc")
    out = tmp_path / "s.nc"
    assert run(ours, theirs, "--out", out) == 0
    told = capsys.readouterr().out
    assert "6 sites" in told
    assert "the forecast's own year left out" in told
    found = open_all(out)
    for name in ("crps", "crps_fair", "rmse", "bias"):
        np.testing.assert_allclose(found[name], 0.0, atol=1e-6)
        assert found[name].attrs["units"] == "m3 s-1"
    np.testing.assert_allclose(found["kge"], 1.0)
    np.testing.assert_allclose(found["crpss_of_lead"], 1.0)
    assert (found["members"] == 7).all()
    assert (found["cases"] == STARTS.size).all()


def test_scores_are_those_of_the_functions_and_m_stands_beside_both_forms(
    tmp_path, observed, capsys
):
    forecast = ensemble(observed, 4.0)
    out = tmp_path / "s.nc"
    ours = save(forecast, tmp_path / "f.nc")
    theirs = save(observed, tmp_path / "o.nc")
    assert run(ours, theirs, "--out", out) == 0
    found = open_all(out).sel(site="c").isel(lead=1)
    truth = truth_at(observed).sel(site="c").isel(lead=1)
    members = forecast.sel(site="c").isel(lead=1)
    both = crps_both(members, truth)
    assert float(found["crps"]) == pytest.approx(float(both["crps"].mean()))
    assert float(found["crps_fair"]) == pytest.approx(float(both["crps_fair"].mean()))
    assert float(found["kge"]) == pytest.approx(kge(members.mean("member"), truth))
    assert float(found["spread_error"]) == pytest.approx(1.0, abs=0.25)
    header = next(x for x in capsys.readouterr().out.splitlines() if "lead, d" in x)
    for word in (" M ", "CRPS", "fair", "climatology", "fair CRPSS"):
        assert word in header


def test_members_that_are_the_climatology_have_no_skill(tmp_path, observed, capsys):
    truth = truth_at(observed)
    # What was observed on these dates of the five other years.
    members = []
    for k in range(1, 6):
        years = [2001 + (year - 2001 + k) % 6 for year in range(2001, 2007)]
        shift = dict(zip(range(2001, 2007), years, strict=True))
        parts = np.empty(truth.shape)
        for i, start in enumerate(STARTS):
            for j, lead in enumerate(LEADS):
                day = start + pd.Timedelta(days=int(lead))
                parts[i, j] = observed.sel(time=day.replace(year=shift[day.year]))
        members.append(truth.copy(data=parts))
    forecast = xr.concat(members, "member").assign_attrs(units="m3 s-1")
    out = tmp_path / "s.nc"
    ours = save(forecast, tmp_path / "f.nc")
    theirs = save(observed, tmp_path / "o.nc")
    assert run(ours, theirs, "--out", out, "--window", 0) == 0
    found = open_all(out)
    np.testing.assert_allclose(found["crpss_of_lead"], 0.0, atol=1e-12)
    # Five members are punished: the same climatology in the fair form looks better.
    assert (found["crpss_fair_of_lead"] > 0.03).all()
    assert (found["lower_of_lead"] < found["upper_of_lead"]).all()
    assert "dates within 0 days" in found.attrs["climatology"]


def test_a_better_forecast_is_told_from_another_and_an_equal_one_is_not(
    tmp_path, observed, capsys
):
    worse = save(ensemble(observed, 6.0, seed=2), tmp_path / "worse.nc")
    equal = save(ensemble(observed, 4.0, seed=3), tmp_path / "equal.nc")
    ours = save(ensemble(observed, 4.0, seed=4), tmp_path / "f.nc")
    theirs, out = save(observed, tmp_path / "o.nc"), tmp_path / "s.nc"
    options = ("--clusters", "basin", "--out", out)
    assert run(ours, theirs, "--against", worse, *options) == 0
    found = open_all(out)
    assert (found["crps_fair_difference"] < 0).all()
    assert (found["crps_fair_upper"] < 0).all()
    assert (found["crps_fair_p_starts"] < 1e-3).all()
    assert (found["crps_fair_sites_significant"] > 0.5).all()
    told = capsys.readouterr().out
    assert "less worse.nc" in told
    assert "by clusters" in told
    assert run(ours, theirs, "--against", equal, "--out", out) == 0
    assert "give --clusters" in capsys.readouterr().out
    found = open_all(out)
    assert not found["crps_fair_significant"].any()
    assert "crps_fair_p_clusters" not in found
    assert (found["crps_fair_sites_significant"] == 0.0).all()


def test_both_forecasts_are_scored_on_the_cases_that_both_have(tmp_path, observed):
    forecast = ensemble(observed, 4.0)
    gappy = ensemble(observed, 5.0, seed=5).isel(start=slice(3, None))
    gappy = gappy.where(gappy["site"] != "b")
    ours, other = save(forecast, tmp_path / "f.nc"), save(gappy, tmp_path / "g.nc")
    theirs, out = save(observed, tmp_path / "o.nc"), tmp_path / "s.nc"
    assert run(ours, theirs, "--against", other, "--out", out) == 0
    found = open_all(out)
    assert (found["cases"].sel(site="a") == STARTS.size - 3).all()
    assert (found["cases"].sel(site="b") == 0).all()


def test_other_names_units_and_a_single_run_are_read(tmp_path, observed, capsys):
    one = ensemble(observed, 4.0).isel(member=0).transpose("lead", "start", "site")
    one = (1000.0 * one).assign_attrs(units="L s-1").rename(start="init", lead="step")
    ours, out = save(one, tmp_path / "f.nc"), tmp_path / "s.nc"
    theirs = save(observed, tmp_path / "o.nc", "q")
    assert run(ours, theirs, "--out", out) == 0
    found = open_all(out)
    assert (found["members"] == 1).all()
    assert found["crps"].attrs["units"] == "m3 s-1"
    # The CRPS of one member is its mean absolute error; a fair one does not exist.
    assert 3.0 < float(found["crps"].mean()) < 6.5
    assert found["crps_fair"].isnull().all()
    assert "spread_error" not in found
    row = next(x for x in capsys.readouterr().out.splitlines() if "..." in x)
    # The interval stands at the plain skill, before the fair one that is not there.
    assert row.index("...") < row.rindex("–")


def test_a_run_along_time_is_a_forecast_of_lead_zero(tmp_path, observed):
    simulated = observed.isel(time=slice(700, 1500)) + 1.0
    ours = save(simulated.assign_attrs(observed.attrs), tmp_path / "f.nc")
    out = tmp_path / "s.nc"
    assert run(ours, save(observed, tmp_path / "o.nc"), "--out", out, "--sites") == 0
    found = open_all(out)
    assert found["lead"].values.tolist() == [0.0]
    np.testing.assert_allclose(found["bias"], 1.0)
    np.testing.assert_allclose(found["rmse"], 1.0)


def test_a_grid_is_matched_by_its_coordinates(tmp_path, observed):
    grid = {"lat": [10.0, 20.0], "lon": [0.0, 1.0, 2.0]}

    def on_grid(data):
        places = pd.MultiIndex.from_product(grid.values(), names=list(grid))
        places = xr.Coordinates.from_pandas_multiindex(places, "site")
        return data.drop_vars(["site", "basin"]).assign_coords(places).unstack("site")

    forecast, truth = on_grid(ensemble(observed, 0.0)), on_grid(observed)
    flipped = truth.isel(lat=slice(None, None, -1)).transpose("lon", "time", "lat")
    ours = save(forecast.assign_attrs(units="m3 s-1"), tmp_path / "f.nc")
    theirs = save(flipped.assign_attrs(units="m3 s-1"), tmp_path / "o.nc")
    out = tmp_path / "s.nc"
    assert run(ours, theirs, "--out", out) == 0
    found = open_all(out)
    assert found.sizes["site"] == 6
    np.testing.assert_allclose(found["rmse"], 0.0, atol=1e-6)
    assert "10 1" in found["site"].values.tolist()


def test_both_hemispheres_are_scored_whichever_way_longitudes_are_counted(
    tmp_path, observed, capsys
):
    east = np.array([10.1, 100.2, 190.3, 280.4, 350.6])
    data = ensemble(observed, 0.0).isel(site=slice(5)).drop_vars(["site", "basin"])
    ours = data.rename(site="lon").assign_coords(lon=east.astype("float32"))
    truth = observed.isel(site=slice(5)).drop_vars(["site", "basin"])
    truth = truth.rename(site="lon").assign_coords(lon=(east + 180) % 360 - 180)
    truth = truth.sortby("lon").isel(lon=[0, 1, 2, 4])  # without 10.1 E
    ours = save(ours.assign_attrs(units="m3 s-1"), tmp_path / "f.nc")
    theirs, out = save(truth, tmp_path / "o.nc"), tmp_path / "s.nc"
    assert run(ours, theirs, "--out", out) == 0
    found = open_all(out)
    assert found.sizes["site"] == 4
    np.testing.assert_allclose(found["rmse"], 0.0, atol=1e-6)
    assert "that were not observed: 1" in capsys.readouterr().out


def test_starts_without_a_date_are_left_out(tmp_path, observed):
    data = ensemble(observed, 0.0)
    data = data.assign_coords(start=data["start"].where(data["start"] > STARTS[1]))
    out = tmp_path / "s.nc"
    ours = save(data.assign_attrs(units="m3 s-1"), tmp_path / "f.nc")
    assert run(ours, save(observed, tmp_path / "o.nc"), "--out", out) == 0
    found = open_all(out)
    assert (found["cases"] == STARTS.size - 2).all()
    assert "crps_climatology" in found


def test_one_year_of_observations_has_no_climatology_and_says_so(
    tmp_path, observed, capsys
):
    year = observed.sel(time=slice("2004-01-01", "2004-12-31"))
    forecast = ensemble(observed, 4.0).sel(start=slice("2004-01-01", "2004-11-30"))
    out = tmp_path / "s.nc"
    ours = save(forecast, tmp_path / "f.nc")
    assert run(ours, save(year, tmp_path / "o.nc"), "--out", out) == 0
    assert "climatology: none" in capsys.readouterr().out
    assert "crps_climatology" not in open_all(out)


@pytest.mark.parametrize("where", ["variable", "file"])
def test_days_a_forecast_has_learnt_from_are_refused_with_two_ways_out(
    tmp_path, observed, capsys, where
):
    record = {"training_periods": "2001-01-01T00:00:00/2004-12-31T00:00:00"}
    data = ensemble(observed, 4.0).rename("discharge")
    data = data.to_dataset().assign_attrs(record if where == "file" else {})
    data["discharge"].attrs |= record if where == "variable" else {}
    ours, out = tmp_path / "f.nc", tmp_path / "s.nc"
    data.to_netcdf(ours, engine="h5netcdf")
    theirs = save(observed, tmp_path / "o.nc")
    assert run(ours, theirs, "--out", out) == 2
    told = capsys.readouterr().err
    valid = STARTS.values[:, None] + LEADS * np.timedelta64(1, "D")
    learnt = int((valid < np.datetime64("2005-01-01")).sum())
    assert f"learnt from {learnt} of the {valid.size} pairs" in told
    assert "--training-days drop" in told
    assert not out.exists()
    assert run(ours, theirs, "--out", out, "--training-days", "drop") == 0
    assert f"learnt from, left out: {learnt}" in capsys.readouterr().out
    found = open_all(out)
    assert (found["cases"].sum("lead") == valid.size - learnt).all()
    assert found.attrs["pairs_of_training"] == learnt
    assert run(ours, theirs, "--out", out, "--training-days", "keep") == 0
    assert f"scored ALL THE SAME: {learnt}" in capsys.readouterr().out
    found = open_all(out)
    assert (found["cases"] == STARTS.size).all()
    assert found.attrs["training_days"] == "keep"
    # The other forecast of a comparison is looked at too.
    fair = save(ensemble(observed, 4.0), tmp_path / "fair.nc")
    assert run(fair, theirs, "--against", ours) == 2
    assert "f.nc has learnt from" in capsys.readouterr().err
    assert run(fair, theirs, "--training-days", "maybe") == 2


def test_training_days_without_an_observation_are_not_scored_and_do_not_count(
    tmp_path, observed, capsys
):
    record = {"training_periods": "2001/2004"}
    ours = save(ensemble(observed, 4.0).assign_attrs(record), tmp_path / "f.nc")
    later = observed.sel(time=slice("2005-01-01", None))
    assert run(ours, save(later, tmp_path / "o.nc")) == 0
    assert "learnt from" not in capsys.readouterr().out
    always = ensemble(observed, 4.0).assign_attrs(training_periods="1990/2020")
    ours = save(always, tmp_path / "g.nc")
    assert run(ours, tmp_path / "o.nc", "--training-days", "drop") == 2
    assert "every day that could be scored" in capsys.readouterr().err


@pytest.mark.realdata
def test_four_members_of_a_real_index_score_as_computed_elsewhere(dataset, tmp_path):
    folder, out = dataset("rmm1-hindcasts"), tmp_path / "s.nc"
    options = ("--observed-variable", "rmm1", "--window", 7, "--out", out)
    hindcasts = folder / "GMAO-GEOS-V2p1.RMM1.nc"
    observed = folder / "RMM1.observed.interannual.1974-06.2017-07.nc"
    assert run(hindcasts, observed, *options) == 0
    found = open_all(out).isel(site=0)
    # properscoring and scoringrules on the same pairs, without taking the bias out.
    assert float(found["crps"][0]) == pytest.approx(0.35578, abs=5e-6)
    assert float(found["crps_fair"][0]) == pytest.approx(0.35169, abs=5e-6)
    acc = found["correlation"].isel(lead=[0, 6, 13, 20, 27, 34, 41])
    expected = [0.9782, 0.9152, 0.8110, 0.6461, 0.4791, 0.3931, 0.3115]
    np.testing.assert_allclose(acc, expected, atol=5e-5)
    # At four weeks the members' number decides the sign of the skill.
    lead = found.isel(lead=27)
    assert float(lead["crpss_of_lead"]) < 0 < float(lead["crpss_fair_of_lead"])
    assert (found["members"] == 4).all()


def test_files_that_do_not_fit_are_refused_with_the_way_out(tmp_path, observed, capsys):
    ours = save(ensemble(observed, 4.0), tmp_path / "f.nc")
    theirs = save(observed, tmp_path / "o.nc")
    elsewhere = observed.assign_coords(site=[x * 2 for x in SITES])
    cases = [
        ((ours, tmp_path / "no.nc"), "there is no"),
        ((ours, theirs, "--variable", "rain"), "has no rain"),
        ((ours, save(elsewhere, tmp_path / "e.nc")), "no site is in both"),
        ((ours, theirs, "--against", ours, "--clusters", "river"), "basin"),
        ((ours, save(observed.drop_attrs(), tmp_path / "u.nc")), "say which with"),
        ((ours, ours), "needs observations along time"),
        ((ours, save(observed.isel(site=0, drop=True), tmp_path / "p.nc")), "no place"),
        ((ours, save(observed.isel(time=slice(0, 9)), tmp_path / "t.nc")), "observed"),
    ]
    for words, text in cases:
        assert run(*words) == 2
        assert text in capsys.readouterr().err
