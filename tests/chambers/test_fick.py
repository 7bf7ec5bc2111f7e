import numpy as np
import pandas as pd
import pytest

from tilth.chambers.simulate.fleet import Faults, Layout, Soil, simulate_fleet
from tilth.chambers.soil.diffusion import clogged_mask, gradient_flux, millington_quirk
from tilth.chambers.soil.fick import (
    day_blocks,
    fick_predictor,
    fick_regression,
    fit_fick_fill,
    validate_fick_fill,
)
from tilth.core.errors import InputError


def law(seed=0, days=60, slope=1e-4, intercept=0.1, noise=0.05):
    """Two pots a day of one soil, errors in proportion to the flux."""
    rng = np.random.default_rng(seed)
    time = np.repeat(pd.date_range("2023-07-01", periods=days), 2)
    gradient = rng.uniform(2_000, 20_000, 2 * days)
    flux = intercept + slope * gradient * (1 + noise * rng.standard_normal(2 * days))
    return pd.DataFrame(
        {"time": time, "gradient": gradient, "flux": flux, "soil": "loess"}
    )


@pytest.fixture
def pairs(dataset):
    table = pd.read_csv(
        dataset("carbdown-greenhouse") / "derived_daily_pairs_flux_pco2.csv",
        dtype={"expid": str, "table": str},
    ).rename(columns={"day": "time", "dC": "gradient"})
    # Tables 3 and 4 carry another soil in every variant.
    several = table["table"].isin(["3", "4"])
    return table.assign(soil=table["table"].where(~several, table["expid"]))


@pytest.mark.realdata
def test_the_fleets_soils_obey_ficks_law_one_by_one(pairs):
    fit = fick_regression(pairs[~pairs["table"].isin(["3", "4"])], by="table")
    assert fit["n"].to_dict() == {"5": 104, "6": 78, "8": 112}
    np.testing.assert_allclose(fit["r"], [0.796, 0.792, 0.631], atol=5e-4)
    np.testing.assert_allclose(fit["slope"], [4.65e-4, 9.48e-4, 6.09e-4], atol=5e-7)
    assert (fit["slope"] > fit["slope_se"]).all()


@pytest.mark.realdata
def test_pooled_soils_are_refused_and_on_demand_reported(pairs):
    mixed = pairs[pairs["table"].isin(["3", "4"])]
    with pytest.raises(InputError, match="mixes 10 soils"):
        fick_regression(mixed, by="table")
    fit = fick_regression(mixed, by="table", pool=True)
    assert fit["n"].to_dict() == {"3": 270, "4": 208}
    np.testing.assert_allclose(fit["r"], [-0.10, -0.21], atol=5e-3)
    assert fit["soils"].to_dict() == {"3": 10, "4": 8}
    assert (fit["p_one_line"] < 1e-20).all()


@pytest.mark.realdata
@pytest.mark.parametrize("table", ["5", "6", "8"])
def test_soil_co2_fills_gaps_better_than_the_mean_on_days_not_seen(pairs, table):
    soil = pairs[pairs["table"] == table]
    score = validate_fick_fill(
        fick_predictor(soil["gradient"], 0.0), soil["flux"], soil["time"]
    )
    assert score["skill"] > 0.2
    assert 0.9 <= score["coverage"] <= 1.0


@pytest.mark.parametrize("method", ["ols", "theil_sen", "deming"])
def test_every_method_finds_an_exact_law(method):
    exact = law(noise=0.0)
    fit = fick_regression(exact, method=method).loc["loess"]
    assert fit["slope"] == pytest.approx(1e-4)
    assert fit["intercept"] == pytest.approx(0.1)
    assert fit["r"] == pytest.approx(1.0)
    assert fit["slope_se"] == pytest.approx(0.0, abs=1e-12)


def test_theil_sen_stands_what_breaks_least_squares():
    spoiled = law(noise=0.02)
    spoiled.loc[::9, "flux"] = 40.0
    ols, robust = (
        fick_regression(spoiled, method=m)["slope"].iloc[0]
        for m in ("ols", "theil_sen")
    )
    assert robust == pytest.approx(1e-4, rel=0.05)
    assert abs(ols - 1e-4) > 0.2e-4


def test_deming_undoes_the_flattening_by_errors_of_the_gradient():
    table = law(noise=0.0, days=200)
    rng = np.random.default_rng(1)
    blurred = table["gradient"] + 2000 * rng.standard_normal(len(table))
    table = table.assign(
        gradient=blurred, flux=table["flux"] + 0.2 * rng.standard_normal(len(table))
    )
    flat = fick_regression(table).loc["loess", "slope"]
    ratio = 0.2**2 / 2000.0**2
    honest = fick_regression(table, method="deming", error_ratio=ratio)
    assert flat < 0.93e-4
    assert honest.loc["loess", "slope"] == pytest.approx(1e-4, rel=0.04)


def test_standard_errors_from_left_out_blocks_are_the_scatter_over_repeats():
    fits = [fick_regression(law(seed=s, noise=0.2)).iloc[0] for s in range(100)]
    scatter = np.std([f["slope"] for f in fits])
    claimed = np.median([f["slope_se"] for f in fits])
    assert claimed == pytest.approx(scatter, rel=0.25)


def test_two_soils_with_one_slope_are_one_line_and_with_two_they_are_not():
    same = pd.concat([law(1), law(2).assign(soil="clay")]).assign(table="3")
    fit = fick_regression(same, by="table", pool=True)
    assert fit.loc["3", "p_one_line"] > 0.01
    other = pd.concat([law(1), law(2, slope=3e-4).assign(soil="clay")])
    fit = fick_regression(other.assign(table="3"), by="table", pool=True)
    assert fit.loc["3", "p_one_line"] < 1e-10


def test_two_rows_or_a_constant_gradient_give_no_line():
    few = law().iloc[:2]
    flat = law().assign(gradient=5000.0)
    for table in (few, flat):
        row = fick_regression(table).loc["loess"]
        assert np.isnan(row["slope"])
        assert row["n"] == len(table)


def test_missing_numbers_are_left_out_and_counted():
    holed = law()
    holed.loc[:4, "flux"] = np.nan
    assert fick_regression(holed).loc["loess", "n"] == 115


def test_unknown_methods_and_columns_are_named():
    with pytest.raises(InputError, match="no method 'odr'"):
        fick_regression(law(), method="odr")
    with pytest.raises(InputError, match="needs the columns gradient"):
        fick_regression(law().drop(columns="gradient"))


def test_blocks_of_days_are_consecutive_and_at_least_a_day():
    time = pd.date_range("2023-07-01 22:00", periods=6, freq="12h")
    assert day_blocks(time, 1).tolist() == [0, 1, 1, 2, 2, 3]
    assert day_blocks(time, 2).tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(InputError, match="at least one day"):
        day_blocks(time, 0)


def test_the_predictor_over_the_depth_is_ficks_flux():
    options = {"temperature": 15.0, "pressure": 97_000.0}
    x = fick_predictor(8000.0, 450.0, **options, air_filled=0.2, porosity=0.5)
    xi = millington_quirk(0.2, 0.5)
    flux = gradient_flux(8000.0, 450.0, xi, 0.12, **options)
    assert float(x) / 0.12 == pytest.approx(float(flux))


def test_one_porosity_without_the_other_is_refused():
    with pytest.raises(InputError, match="both"):
        fick_predictor(8000.0, 450.0, air_filled=0.2)


def test_intervals_hold_the_nominal_share_of_days_not_seen():
    scores = [
        validate_fick_fill(
            fick_predictor(t["gradient"], 0.0), t["flux"], t["time"], level=0.9
        )
        for t in (law(seed=s, noise=0.2) for s in range(8))
    ]
    coverage = np.mean([s["coverage"] for s in scores])
    assert coverage == pytest.approx(0.9, abs=0.03)
    assert min(s["skill"] for s in scores) > 0.5


def test_a_record_that_says_nothing_has_no_skill():
    table = law()
    skills = [
        validate_fick_fill(
            fick_predictor(rng.permutation(table["gradient"]), 0.0),
            table["flux"],
            table["time"],
        )["skill"]
        for rng in map(np.random.default_rng, range(10))
    ]
    assert np.median(skills) < 0.0


def test_too_short_a_record_is_refused():
    table = law(days=4)
    with pytest.raises(InputError, match="10 rows in 4 blocks"):
        fit_fick_fill(table["gradient"], table["flux"], table["time"])
    with pytest.raises(InputError, match="no row"):
        fit_fick_fill([np.nan], [1.0], ["2023-07-01"])


def daily(closures):
    """Daily means per pot of what a gap filler needs, by night."""
    frame = pd.DataFrame(
        {
            "pot": closures["pot"].values,
            "day": closures["time"].dt.floor("D").values,
            "flux": closures["true_soil_flux"].values,
            "soil": closures["soil_co2"].values,
            "air": closures["co2"].isel(sample=slice(0, 10)).median("sample").values,
            "moisture": closures["soil_moisture"].values,
            "temperature": closures["temperature"].mean("sample").values,
        }
    )
    return frame.groupby(["pot", "day"], as_index=False).mean()


@pytest.fixture(scope="module")
def month():
    # Every pot breathes differently, and watering closes the pores every third day.
    return daily(
        simulate_fleet(
            Layout(replicas=("A", "B"), days=30, period=3600),
            Soil(flux=1.0),
            faults=Faults(clogged_pot=0.02, duration=30),
            seed=2,
        )
    )


def test_moisture_in_the_slope_recovers_the_depth_and_beats_its_absence(month):
    clean = month[~clogged_mask(month["flux"], month["soil"])]
    clean = clean[clean["soil"] < 20_000]
    with_moisture = fick_predictor(
        clean["soil"],
        clean["air"],
        temperature=clean["temperature"],
        pressure=97_200.0,
        air_filled=0.5 - clean["moisture"],
        porosity=0.5,
    )
    without = fick_predictor(clean["soil"], clean["air"])
    wet, dry = (
        validate_fick_fill(x, clean["flux"], clean["day"])
        for x in (with_moisture, without)
    )
    depth = 1 / fit_fick_fill(with_moisture, clean["flux"], clean["day"]).inverse_depth
    assert depth == pytest.approx(0.1, rel=0.1)
    assert wet["skill"] > 0.85
    assert wet["skill"] > dry["skill"] + 0.1


def test_clogged_pots_spoil_the_law_until_they_are_masked(month):
    table = month.rename(columns={"day": "time"}).assign(
        gradient=month["soil"] - month["air"], soil="9"
    )
    blocked = month["soil"] > 20_000
    assert blocked.sum() > 5
    spoiled = fick_regression(table).loc["9", "r"]
    masked = fick_regression(table[~blocked]).loc["9", "r"]
    assert masked > spoiled + 0.2
