"""Skill cards: what is accepted, against which baselines, and how surely."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.core.errors import InputError
from tilth.land.climatology import (
    climatology_forecast,
    day_of_year_climatology,
    persistence_forecast,
)
from tilth.land.skill import VERDICTS, bootstrap_blocks, skill_card, water_residual
from tilth.land.skill_report import (
    all_accepted,
    card_table,
    card_text,
    summary_table,
    write_card,
)
from tilth.land.training import last_years, training_effect
from tilth.stats import nse

CELLS = 3


def series(start, end, calendar="standard", seed=0):
    """Make targets with a season that differs between years and cells."""
    time = xr.date_range(
        start, end, calendar=calendar, use_cftime=calendar != "standard"
    )
    axis = xr.DataArray(time, dims="time")
    day, year = axis.dt.dayofyear.values, axis.dt.year.values
    rng = np.random.default_rng(seed)
    height = {
        y: rng.uniform(0.5, 1.5, CELLS) for y in range(year.min(), year.max() + 1)
    }
    season = np.clip(np.cos(2 * np.pi * (day - 60) / 365), 0, None)[:, None]
    size = np.array([height[y] for y in year])
    units = {"snow": "mm", "soil": "mm", "runoff": "mm day-1"}
    fields = {
        "snow": 400 * season * size,
        "soil": 80 + 30 * season * size + rng.normal(0, 3, (day.size, CELLS)),
        "runoff": 2 * size * (1 - season) + rng.gamma(0.5, 2, (day.size, CELLS)),
    }
    data = {n: (("time", "cell"), v, {"units": units[n]}) for n, v in fields.items()}
    return xr.Dataset(data, coords={"time": time, "cell": np.arange(CELLS)})


@pytest.fixture(scope="module")
def years():
    """Ten years to fit, five to test."""
    whole = series("1991-01-01", "2005-12-31")
    return whole.sel(time=slice(None, "2000")), whole.sel(time=slice("2001", None))


def climate_of(train, test):
    return climatology_forecast(day_of_year_climatology(train), test["time"])


# ---------------------------------------------------------------- baselines


def test_the_climatology_is_the_mean_of_each_day_of_the_year():
    time = pd.date_range("2000-01-01", "2003-12-31")
    value = xr.DataArray(time.year - 2000.0, coords={"time": time}, dims="time")
    mean = day_of_year_climatology(value)
    assert mean.sizes["dayofyear"] == 366
    # Day 1 of 0, 1, 2, 3; day 366 only of the leap year 2000.
    assert float(mean.sel(dayofyear=1)) == 1.5
    assert float(mean.sel(dayofyear=366)) == 0.0


def test_the_climatology_knows_nothing_of_the_test_years(years):
    train, test = years
    before = climate_of(train, test)
    changed = climate_of(train, test * 100)
    xr.testing.assert_identical(before, changed)


def test_day_366_of_years_that_never_leapt_is_day_365():
    time = pd.date_range("2001-01-01", "2003-12-31")
    value = xr.DataArray(
        np.asarray(time.day_of_year, float), coords={"time": time}, dims="time"
    )
    mean = day_of_year_climatology(value)
    leap = xr.DataArray(pd.date_range("2004-12-30", "2004-12-31"), dims="time")
    assert climatology_forecast(mean, leap).values.tolist() == [365.0, 365.0]


@pytest.mark.parametrize(("calendar", "days"), [("360_day", 360), ("noleap", 365)])
def test_a_models_calendar_has_its_own_year(calendar, days):
    data = series("2001-01-01", "2004-12-30", calendar)
    mean = day_of_year_climatology(data)
    assert mean.sizes["dayofyear"] == days
    forecast = climatology_forecast(mean, data["time"])
    assert not forecast["snow"].isnull().any()
    gregorian = xr.DataArray(pd.date_range("2005-01-01", periods=3), dims="time")
    with pytest.raises(InputError, match="one calendar"):
        climatology_forecast(mean, gregorian)


def test_less_than_a_year_gives_no_climatology(years):
    with pytest.raises(InputError, match="lack 265 days"):
        day_of_year_climatology(years[0].isel(time=slice(0, 100)))


def test_persistence_is_the_day_before_across_the_border_too(years):
    train, test = years
    shifted = persistence_forecast(test, train)
    np.testing.assert_array_equal(shifted["snow"][1:], test["snow"][:-1])
    np.testing.assert_array_equal(shifted["snow"][0], train["snow"][-1])
    alone = persistence_forecast(test)
    assert alone["snow"][0].isnull().all()
    far = persistence_forecast(test, train.isel(time=slice(0, 100)))
    assert far["snow"][0].isnull().all()


# ---------------------------------------------------------------- verdicts


def test_a_perfect_run_is_accepted_with_every_score_at_its_best(years):
    train, test = years
    card = skill_card(test.copy(deep=True), test, train, draws=50)
    for name in ("nse", "kge", "kge_2009", "correlation", "skill"):
        np.testing.assert_allclose(card[name], 1.0)
    np.testing.assert_allclose(card["bias"], 0.0, atol=1e-12)
    assert (card["verdict"] == VERDICTS["accepted"]).all()
    assert all_accepted(card)
    assert card_text(card).endswith("\nAccepted.")


def test_climatology_itself_is_not_accepted(years):
    train, test = years
    card = skill_card(climate_of(train, test), test, train, draws=50)
    np.testing.assert_allclose(card["skill"], 0.0, atol=1e-12)
    np.testing.assert_allclose(card["nse"], card["climatology_nse"])
    # Its efficiency of snow is above the threshold that is often used.
    assert (card["nse"].sel(variable="snow") > 0.4).all()
    assert (card["verdict"] == VERDICTS["not_accepted"]).all()
    assert card_text(card).endswith("Not accepted in every variable and cell.")


def test_a_run_a_little_nearer_than_climatology_is_accepted_and_a_little_worse_not(
    years,
):
    train, test = years
    climate = climate_of(train, test)
    for share, verdict in ((0.02, "accepted"), (-0.02, "not_accepted")):
        run = climate + share * (test - climate)
        card = skill_card(run, test, train, draws=50)
        assert (card["verdict"] == VERDICTS[verdict]).all()
        np.testing.assert_allclose(card["skill"], 1 - (1 - share) ** 2, atol=1e-9)


def test_one_bad_cell_of_one_variable_is_the_only_one_refused(years):
    train, test = years
    run = test.copy(deep=True)
    run["soil"][:, 1] = float(test["soil"][:, 1].mean()) - 40
    card = skill_card(run, test, train, draws=50)
    refused = card["verdict"].where(card["verdict"] == 1, drop=True)
    assert refused.coords["variable"].values.tolist() == ["soil"]
    assert refused.coords["cell"].values.tolist() == [1]
    assert float(card["bias"].sel(variable="soil")[1]) == pytest.approx(-40)
    table = card_table(card).set_index(["variable", "cell"])
    assert table.loc[("soil", "1"), "verdict"] == "not accepted"
    assert (table["verdict"] == "not accepted").sum() == 1
    assert summary_table(card)["accepted"].tolist() == ["3 of 3", "2 of 3", "3 of 3"]


def test_scores_are_those_of_the_plain_functions_and_baselines_too(years):
    train, test = years
    rng = np.random.default_rng(5)
    run = test + 10 * rng.normal(size=test["snow"].shape)
    card = skill_card(run, test, train, draws=50)
    for name in ("snow", "soil", "runoff"):
        one = card.sel(variable=name)
        o = test[name].values.T
        np.testing.assert_allclose(one["nse"], nse(run[name].values.T, o))
        climate = climate_of(train, test)[name].values.T
        np.testing.assert_allclose(one["climatology_nse"], nse(climate, o))
        late = persistence_forecast(test, train)[name].values.T
        np.testing.assert_allclose(one["persistence_nse"], nse(late, o))
        np.testing.assert_allclose(one["target_mean"], o.mean(axis=1))
        np.testing.assert_allclose(one["target_deviation"], o.std(axis=1))


def test_a_series_that_hardly_moves_is_called_so_and_gets_no_efficiency(years):
    train, test = (part.copy(deep=True) for part in years)
    for part in (train, test):
        part["runoff"][:, 2] = 0.001  # a desert
        part["runoff"][5::97, 2] = 0.002
    run = test.copy(deep=True)
    run["runoff"][:, 2] = 0.0
    card = skill_card(run, test, train, draws=50)
    desert = card.sel(variable="runoff").isel(cell=2)
    assert desert["verdict"] == VERDICTS["near_constant"]
    assert np.isnan(desert["nse"])
    assert np.isnan(desert["nse_lower"])
    assert float(desert["bias"]) == pytest.approx(-0.00101, abs=2e-5)
    assert all_accepted(card)
    assert (
        summary_table(card).set_index("variable").loc["runoff", "accepted"] == "2 of 2"
    )
    # A run that makes floods in the desert is refused.
    run["runoff"][50:60, 2] = 5.0
    wild = skill_card(run, test, train, draws=50).sel(variable="runoff").isel(cell=2)
    assert wild["verdict"] == VERDICTS["not_accepted"]


def test_missing_days_are_left_out_and_an_empty_cell_is_no_data(years):
    train, test = (part.copy(deep=True) for part in years)
    run = test.copy(deep=True)
    test["snow"][100:200, 0] = np.nan
    run["snow"][:50, 1] = np.nan
    test["snow"][:, 2] = np.nan
    one = skill_card(run, test, train, draws=50).sel(variable="snow")
    np.testing.assert_allclose(one["nse"][:2], 1.0)
    assert one["verdict"].values.tolist() == [0, 0, VERDICTS["no_data"]]


# ---------------------------------------------------------------- intervals


def test_the_interval_of_the_gain_tells_a_sure_gain_from_an_unsure_one(years):
    train, test = years
    climate = climate_of(train, test)
    sure = climate + 0.5 * (test - climate)
    # In one season far better than climatology, in the others a little worse.
    share = xr.where(test["time"].dt.year == 2003, 0.9, -0.05)
    unsure = climate + share * (test - climate)
    surely = skill_card(sure, test, train, draws=300)
    perhaps = skill_card(unsure, test, train, draws=300)
    assert (surely["skill_lower"] > 0).all()
    assert summary_table(surely)["surely"].tolist() == [3, 3, 3]
    assert sum(summary_table(perhaps)["surely"]) < 9
    width = lambda card: card["skill_upper"] - card["skill_lower"]  # noqa: E731
    assert (width(perhaps) > 3 * width(surely)).all()


def test_blocks_are_years_of_water_where_there_are_ten_and_seasons_otherwise():
    long = xr.DataArray(pd.date_range("1990-10-01", "2001-09-30"), dims="time")
    labels, kind = bootstrap_blocks(long)
    assert kind == "years"
    assert labels[0] == 1991
    assert np.unique(labels).size == 11
    short = xr.DataArray(pd.date_range("2001-01-01", "2005-12-31"), dims="time")
    labels, kind = bootstrap_blocks(short)
    assert kind == "seasons"
    assert np.unique(labels).size == 20
    spring = labels[(short >= np.datetime64("2003-04-01")).values][0]
    same = np.unique(short.values[labels == spring].astype("datetime64[M]"))
    assert same.astype(str).tolist() == ["2003-04", "2003-05", "2003-06"]


def test_the_same_seed_gives_the_same_card_and_chunks_change_nothing(years):
    pytest.importorskip("dask")
    train, test = years
    train, test = train[["runoff"]], test[["runoff"]]
    run = test * 1.1
    first = skill_card(run, test, train, draws=50, seed=3)
    again = skill_card(
        run.chunk(cell=1), test.chunk(cell=1), train.chunk(cell=1), draws=50, seed=3
    )
    again.attrs["history"] = first.attrs["history"]
    xr.testing.assert_allclose(first, again, rtol=1e-12)
    other = skill_card(run, test, train, draws=50, seed=4)
    assert (other["nse_lower"] != first["nse_lower"]).any()


# ---------------------------------------------------------------- mistakes


def test_days_that_were_fitted_are_not_scored(years):
    train, test = years
    whole = xr.concat([train, test.isel(time=slice(0, 10))], "time")
    with pytest.raises(InputError, match="10 of the days to score were fitted"):
        skill_card(test, test, whole)


def test_other_days_or_cells_are_refused(years):
    train, test = years
    with pytest.raises(InputError, match="different days"):
        skill_card(test.isel(time=slice(1, None)), test, train)
    with pytest.raises(InputError, match="has 2 cells"):
        skill_card(test.isel(cell=[0, 1]), test, train)
    with pytest.raises(InputError, match="nothing to score"):
        skill_card(test[["snow"]], test[["soil"]], train)


# ---------------------------------------------------------------- water


def test_water_that_a_run_makes_or_loses_is_found():
    time = pd.date_range("2001-01-01", periods=731)
    n = np.arange(731.0)[:, None] * np.ones(2)
    flux = lambda x: (("time", "cell"), np.full((731, 2), x))  # noqa: E731
    forcing = xr.Dataset({"rain": flux(3.0), "snowfall": flux(1.0)}, {"time": time})
    run = xr.Dataset(
        {
            "snow": (("time", "cell"), 0.5 * n),
            "soil": (("time", "cell"), 0.25 * n),
            "runoff": flux(2.0),
            "evaporation": flux(1.25),
        },
        {"time": time},
    )
    np.testing.assert_allclose(water_residual(run, forcing), 0.0, atol=1e-9)
    # A tenth of a millimetre a day of base runoff out of nothing.
    run["runoff"] = run["runoff"] + 0.1
    np.testing.assert_allclose(water_residual(run, forcing), -36.525, rtol=1e-9)


# ---------------------------------------------------------------- training


def test_more_training_years_bring_a_known_estimator_nearer(years):
    # The imitation is the mean of the training years by day of year: its error falls
    # with their number, and it equals the baseline exactly.
    targets = series("1971-01-01", "2005-12-31", seed=2)
    forcing = targets.rename(snow="rain")

    def imitate(past_forcing, past, weather):
        return climate_of(past, weather)

    periods = last_years(targets, "2000-12-31", [1, 3, 10, 30, 90])
    assert list(periods) == ["1 year", "3 years", "10 years", "30 years"]
    effect = training_effect(
        imitate, forcing, targets, periods, slice("2001", "2005"), draws=20
    )
    late = targets.sel(time=slice("1971-05-01", None))
    assert list(last_years(late, "2000-12-31", [1, 29, 30])) == ["1 year", "29 years"]
    assert effect["nse"].dims == ("training", "variable", "cell")
    np.testing.assert_allclose(effect["years"], [1, 3, 10, 30], rtol=3e-3)
    np.testing.assert_allclose(effect["skill"], 0.0, atol=1e-9)
    median = effect["nse"].median("cell").sel(variable="runoff").values
    assert (np.diff(median) > 0).all()


# ---------------------------------------------------------------- pages


def test_the_page_of_a_card_holds_its_verdict_and_every_cell(years, tmp_path):
    train, test = years
    card = skill_card(climate_of(train, test), test, train, draws=50)
    page = write_card(card, tmp_path / "card.html").read_text()
    assert "Not accepted in every variable and cell." in page
    assert page.count("not accepted</td>") == 9
    assert "does not hold" in page or "missed" in page
    good = write_card(skill_card(test, test, train, draws=50), tmp_path / "good.html")
    assert "all bars hold" in good.read_text()


def test_a_large_card_lists_only_what_was_refused(years):
    train, test = years
    run = test.copy(deep=True)
    run["soil"][:, 1] = 0.0
    text = card_text(skill_card(run, test, train, draws=20), cells=2)
    assert "Not accepted: 1 of variables and cells." in text
    assert len([line for line in text.splitlines() if line.startswith("soil ")]) == 2


@pytest.mark.realdata
def test_baselines_of_stehekin_are_those_computed_independently(dataset):
    from tilth.land.readers import read_land_model

    file = dataset("vic-stehekin") / "vic5_stehekin_daily_1961_2005.nc"
    _, targets = read_land_model(file, "vic")
    train = targets.sel(time=slice("1961", "2000"))
    test = targets.sel(time=slice("2001", "2005"))
    card = skill_card(climate_of(train, test), test, train, draws=20)
    # NSE of the unsmoothed climatology 1961-2000 over 2001-2005, cells 0 to 8.
    known = {
        "snow": [0.752, 0.775, 0.777, 0.724, 0.711, 0.721, 0.716, 0.731, 0.685],
        "soil": [0.640, 0.641, 0.735, 0.586, 0.758, 0.609, 0.642, 0.571, 0.620],
        "runoff": [0.565, 0.614, 0.648, 0.575, 0.343, 0.622, 0.622, 0.607, 0.621],
    }
    for name, values in known.items():
        found = card["climatology_nse"].sel(variable=name)
        np.testing.assert_allclose(found, values, atol=6e-4)
    late = card["persistence_nse"]
    np.testing.assert_allclose(late.sel(variable="snow"), 0.999, atol=6e-4)
    soil, runoff = (late.sel(variable=n) for n in ("soil", "runoff"))
    assert (float(soil.min()), float(soil.max())) == pytest.approx(
        (0.975, 0.987), abs=1e-3
    )
    ends = (float(runoff.min()), float(runoff.max()))
    assert ends == pytest.approx((0.63, 0.86), abs=5e-3)
