"""Treatment effects: published ratios and tables, and simulated pots."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from tilth.chambers.effects import compare_pots, mixed_effects, paired_effects
from tilth.chambers.hourly import hourly_fluxes, hourly_pairs
from tilth.core.errors import InputError


def fleet(generator, effect=1.3, pots=4, nights=25, pot_sd=0.25, cycles=3):
    """Cycles of two variants: nights differ, pots differ, the effect is known."""
    names = [f"{v}.{r}" for v in ("5.0", "5.7") for r in "ABCDEFGH"[:pots]]
    grid = np.meshgrid(
        np.arange(2 * pots), np.arange(nights), np.arange(4), np.arange(cycles)
    )
    pot, day, hour, cycle = (axis.ravel() for axis in grid)
    level = generator.normal(np.log(1.5), pot_sd, 2 * pots)
    level[pots:] += np.log(effect)
    log_flux = level[pot] + generator.normal(0, 0.4, nights)[day]
    log_flux = log_flux + generator.normal(0, 0.1, pot.size)
    minutes = 1440 * day + 60 * hour + 20 * cycle
    return pd.DataFrame(
        {
            "variant": np.array([name[:3] for name in names], object)[pot],
            "pot": np.array(names, object)[pot],
            "time": pd.Timestamp("2023-09-01 18:00") + pd.to_timedelta(minutes, "min"),
            "flux": np.exp(log_flux),
        }
    ).sort_values(["variant", "pot", "time"], ignore_index=True)


def published_hours(dataset):
    table = pd.read_csv(
        dataset("carbdown-greenhouse") / "efflux_2023_hourly_per_variant.csv",
        dtype={"expid": str, "expid_as_published": str},
    )
    table["time"] = pd.to_datetime(table["first_received_utc"], utc=True)
    table = table[table["flux_max"] < 50]
    names = {"value": "flux_published", "variant": "expid", "count": "n_meas"}
    return hourly_fluxes(table, **names)


@pytest.mark.realdata
def test_paired_ratios_of_all_variants_are_the_published_ones(dataset):
    name = "derived_paired_treatment_control_2023.csv"
    expected = pd.read_csv(
        dataset("carbdown-greenhouse") / name, dtype={"expid": str, "control": str}
    ).set_index("expid")
    ours = paired_effects(published_hours(dataset))
    both = ours.loc[expected.index]
    assert len(both) == 55
    assert list(both["control"]) == list(expected["control"])
    assert list(both["n_pairs"]) == list(expected["n_pairs"])
    assert list(both["n_days"]) == list(expected["n_days"])
    for column, theirs, tolerance in (
        ("ratio", "ratio_geo", 5e-6),
        ("naive_ratio", "unpaired_ratio", 5e-6),
        ("mean", "mean_trt", 5e-6),
        ("mean_control", "mean_ctl", 5e-6),
        ("lower", "lo", 0.03),
        ("upper", "hi", 0.03),
    ):
        np.testing.assert_allclose(both[column], expected[theirs], rtol=tolerance)
    flips = ours.index[ours["naive_flips_sign"]]
    assert list(flips) == ["3.5", "4.2", "4.3", "6.1", "8.6"]
    # Variant 5.4 was never on the bench in the same hour as its control.
    left = ours.drop(index=expected.index)
    assert list(left.index) == ["5.4"]
    assert left.loc["5.4", "note"] == "no pairs: no hour in common with 5.0"


@pytest.mark.realdata
def test_lysimeter_effects_are_the_published_table(dataset):
    folder = dataset("carbdown-xxl")
    table = pd.read_csv(
        folder / "xxl_lysimeter_TA_timeseries.csv",
        dtype={"treatment": str, "variant": str},
        parse_dates=["date"],
    )
    published = pd.read_csv(
        folder / "xxl_lysimeter_mixedmodel_vs_control.csv", dtype={"treatment": str}
    ).set_index("treatment")
    result = mixed_effects(
        table,
        "000",
        value="TA_umol_per_l",
        variant="treatment",
        pot="variant",
        time="date",
    )
    ours = result.table.loc[published.index]
    np.testing.assert_allclose(
        ours["effect_percent"], published["effect_pct"], atol=1e-6
    )
    np.testing.assert_allclose(ours["lower"], published["ci_lo_pct"], atol=1e-5)
    np.testing.assert_allclose(ours["upper"], published["ci_hi_pct"], atol=1e-5)
    np.testing.assert_allclose(ours["p"], published["p"], atol=1e-6)
    assert result.model.observations == 442
    assert "left out" in " ".join(result.notes)  # ten samples without alkalinity


@pytest.mark.realdata
def test_season_adjusted_soil_co2_is_the_published_comparison(dataset):
    table = pd.read_csv(
        dataset("carbdown-xxl") / "soil_co2_by_pot_daily.csv.gz",
        dtype={"tr": str},
        parse_dates=["date"],
    )
    result = compare_pots(
        table,
        "000",
        value="soil_co2_ppm",
        variant="tr",
        pot="pot_id",
        time="date",
        adjust="month",
    )
    ratio = 1 + result["effect_percent"] / 100
    assert ratio["400"] == pytest.approx(0.8222, abs=5e-5)
    assert ratio["100"] == pytest.approx(1.0320, abs=5e-5)
    assert ratio["200"] == pytest.approx(0.9842, abs=5e-5)
    assert result.loc["400", "p_welch"] == pytest.approx(0.3300, abs=5e-5)


def test_pairing_by_the_hour_removes_the_nights_that_mislead_the_naive_ratio():
    table = fleet(np.random.default_rng(0), effect=1.2, pot_sd=0.0)
    night = table["time"].dt.floor("D")
    last = night.isin(sorted(night.unique())[-12:])
    # Warm nights on which the control alone was on the bench.
    table.loc[last, "flux"] *= 3.0
    table = table[~last | (table["variant"] == "5.0")]
    row = paired_effects(table).loc["5.7"]
    assert row["ratio"] == pytest.approx(1.2, abs=0.02)
    assert row["naive_ratio"] < 1.0
    assert row["naive_flips_sign"]
    assert row["pots"] == row["pots_control"] == 4


def test_swapping_treatment_and_control_inverts_the_ratio():
    table = fleet(np.random.default_rng(1))
    there = paired_effects(table, {"5.7": "5.0"}).loc["5.7"]
    back = paired_effects(table, {"5.0": "5.7"}).loc["5.0"]
    assert there["ratio"] * back["ratio"] == pytest.approx(1.0)
    assert there["lower"] * back["upper"] == pytest.approx(1.0)


def test_only_intervals_over_pots_cover_a_treatment_of_pots_that_differ():
    generator = np.random.default_rng(2)
    hits = dict.fromkeys(["paired", "pots", "mixed"], 0)
    for run in range(60):
        table = fleet(generator, nights=8, cycles=1)
        paired = paired_effects(table, seed=run, draws=300).loc["5.7"]
        pots = compare_pots(table, "5.0").loc["5.7"]
        mixed = mixed_effects(table, "5.0", interval="t").table.loc["5.7"]
        hits["paired"] += paired["lower"] <= 1.3 <= paired["upper"]
        hits["pots"] += pots["effect_lower"] <= 30.0 <= pots["effect_upper"]
        hits["mixed"] += mixed["lower"] <= 30.0 <= mixed["upper"]
    assert hits["pots"] >= 53
    assert hits["mixed"] >= 53
    assert hits["paired"] < 36


def test_many_cycles_do_not_make_the_mixed_model_surer_than_few():
    few = fleet(np.random.default_rng(3), cycles=1)
    many = pd.concat([few] * 5)
    a, b = (mixed_effects(t, "5.0").model.contrasts["se"].iloc[0] for t in (few, many))
    assert a == pytest.approx(b)


def test_a_dataset_of_fluxes_gives_what_its_table_gives():
    table = fleet(np.random.default_rng(4), nights=6)
    fluxes = xr.Dataset(
        {"flux": ("closure", table["flux"].to_numpy())},
        coords={
            "closure": np.arange(len(table)).astype(str).astype(object),
            "time": ("closure", table["time"].to_numpy()),
            "pot": ("closure", table["pot"].to_numpy(object)),
            "variant": ("closure", table["variant"].to_numpy(object)),
        },
    )
    ours, theirs = paired_effects(fluxes), paired_effects(table)
    pd.testing.assert_frame_equal(ours, theirs)
    assert compare_pots(fluxes, "5.0").equals(compare_pots(table, "5.0"))


def test_hours_of_a_single_cycle_are_flagged_and_counted():
    table = fleet(np.random.default_rng(5), nights=3, pots=1)
    late = (table["time"].dt.hour == 21) & (table["time"].dt.minute > 0)
    table = table[~late]
    hourly = hourly_fluxes(table)
    assert hourly.loc[hourly["single"], "hour"].dt.hour.unique().tolist() == [21]
    assert hourly_pairs(table, "5.7", "5.0")["single"].sum() == 3
    assert paired_effects(table, min_pairs=5).loc["5.7", "n_single"] == 3


def test_pots_weigh_alike_however_many_cycles_they_have():
    stamp = pd.Timestamp("2023-09-01 20:00")
    minutes = pd.to_timedelta([0, 10, 20, 30, 0], "min")
    table = pd.DataFrame(
        {
            "variant": ["1.1"] * 4 + ["1.0"],
            "pot": ["1.1.A"] * 3 + ["1.1.B", "1.0.A"],
            "time": stamp + minutes,
            "flux": [1.0, 1.0, 1.0, 5.0, 1.0],
        }
    )
    assert hourly_pairs(table, "1.1", "1.0")["flux_treatment"].item() == 3.0


def test_fluxes_without_a_logarithm_and_missing_ones_are_counted_not_hidden():
    table = fleet(np.random.default_rng(6), nights=8, pots=1, cycles=1)
    table.loc[table.index[:3], "flux"] = [0.0, -0.2, np.nan]
    assert hourly_fluxes(table).attrs["left_out"]["without a flux"] == 1
    row = paired_effects(table).loc["5.7"]
    assert (row["n_not_positive"], row["n_pairs"]) == (2, 29)


def test_too_few_common_hours_give_a_ratio_without_an_interval():
    table = fleet(np.random.default_rng(7), nights=4, pots=1)
    row = paired_effects(table).loc["5.7"]
    assert np.isfinite(row["ratio"])
    assert np.isnan(row["lower"])
    assert row["note"] == "no interval: 16 common hours on 4 day(s)"


def test_a_control_that_was_never_measured_is_reported():
    table = fleet(np.random.default_rng(8), nights=4)
    row = paired_effects(table[table["variant"] == "5.7"]).loc["5.7"]
    assert row["note"] == "no pairs: no fluxes of 5.0"
    assert row["n_pairs"] == 0


def test_cycles_without_a_pot_are_refused_as_replicates():
    table = fleet(np.random.default_rng(9), nights=2).drop(columns="pot")
    with pytest.raises(InputError, match="cycles are not replicates"):
        paired_effects(table)
    with pytest.raises(InputError, match="the pot is the replicate"):
        mixed_effects(table, "5.0")


def test_one_pot_per_treatment_is_refused_however_many_cycles():
    table = fleet(np.random.default_rng(10), pots=1)
    for method in (mixed_effects, compare_pots):
        with pytest.raises(InputError, match="pseudo-replication"):
            method(table, "5.0")


def test_a_variant_with_one_pot_among_replicated_ones_has_no_test():
    table = fleet(np.random.default_rng(11), nights=5)
    single = table[table["pot"] == "5.7.A"].assign(variant="5.8", pot="5.8.A")
    result = compare_pots(pd.concat([table, single]), "5.0")
    assert np.isnan(result.loc["5.8", "p_welch"])
    assert "two of each are needed" in result.loc["5.8", "note"]
    assert np.isfinite(result.loc["5.7", "p_welch"])


@pytest.mark.parametrize("column", ["variant", "pot"])
def test_identifiers_that_are_not_text_are_refused(column):
    table = fleet(np.random.default_rng(12), nights=2)
    table[column] = 5.1
    with pytest.raises(InputError, match=r"'5\.10' becomes 5\.1"):
        paired_effects(table)
    with pytest.raises(InputError, match=r"'5\.10' becomes 5\.1"):
        mixed_effects(table, "5.0")


def test_times_that_are_not_utc_are_refused():
    table = fleet(np.random.default_rng(13), nights=2)
    local = table.assign(time=table["time"].dt.tz_localize("Europe/Berlin"))
    with pytest.raises(InputError, match="Europe/Berlin"):
        paired_effects(local)
    with pytest.raises(InputError, match="not datetimes"):
        paired_effects(table.assign(time=table["time"].astype(str)))
    with pytest.raises(InputError, match="not datetimes"):
        paired_effects(table.assign(time=45170.75))  # a spreadsheet's day


def test_a_zone_aware_utc_time_pairs_the_same_hours():
    table = fleet(np.random.default_rng(14), nights=3)
    aware = table.assign(time=table["time"].dt.tz_localize("UTC"))
    assert hourly_fluxes(aware).equals(hourly_fluxes(table))


def test_unknown_names_are_refused_with_what_there_is():
    table = fleet(np.random.default_rng(15), nights=2)
    with pytest.raises(InputError, match=r"no fluxes of the variant '5\.9'"):
        hourly_pairs(table, "5.9", "5.0")
    with pytest.raises(InputError, match=r"no values of the control '9\.0'"):
        compare_pots(table, "9.0")
    with pytest.raises(InputError, match="no column flux"):
        hourly_fluxes(table.drop(columns="flux"))
    with pytest.raises(InputError, match="adjust must be"):
        compare_pots(table, "5.0", adjust="week")
    table["variant"] = table["variant"].str.replace(".", "-")
    with pytest.raises(InputError, match=r"'table\.number'"):
        paired_effects(table)
