"""Levels against a reference: published tables and simulated truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from tilth.core.errors import InputError
from tilth.stats import compare_levels, holm


@pytest.mark.realdata
def test_alkalinity_table_of_the_lysimeters_is_reproduced(dataset):
    folder = dataset("carbdown-xxl")
    table = pd.read_csv(
        folder / "xxl_lysimeter_TA_timeseries.csv",
        dtype={"treatment": str, "variant": str},
    )
    # The published window: the three samplings from August 2024 to February 2025.
    table = table[
        (table["TA_umol_per_l"] > 0) & table["date"].between("2024-08-29", "2025-02-19")
    ]
    pots = table.groupby(["treatment", "variant"], as_index=False)[
        "TA_umol_per_l"
    ].mean()
    ours = compare_levels(pots["TA_umol_per_l"], pots["treatment"], "000")
    ours = ours.set_index("level").loc[["100", "200", "400"]]
    published = pd.read_csv(
        folder / "xxl_lysimeter_significance_vs_control.csv", dtype={"treatment": str}
    )
    published = published[published["variable"].str.startswith("Alkalinity")]
    published = published.set_index("treatment")
    for column, name, digits in (
        ("p_welch", "p_welch", 1e-12),
        ("p_welch_holm", "p_welch_holm", 1e-12),
        ("p_mann_whitney", "p_mwu", 1e-12),
        ("mean_reference", "mean_ctrl", 0.05),
        ("mean", "mean_treat", 0.05),
        ("difference", "diff", 0.05),
        ("effect_percent", "pct_vs_ctrl", 0.05),
    ):
        np.testing.assert_allclose(ours[column], published[name], atol=digits)
    assert list(ours["n"]) == list(published["n_treat"])


@pytest.mark.realdata
def test_holm_column_of_every_published_variable_follows_from_its_family(dataset):
    published = pd.read_csv(
        dataset("carbdown-xxl") / "xxl_lysimeter_significance_vs_control.csv"
    )
    for _, part in published.groupby("variable"):
        # The fourth member (FINE) is not in this table; its p was the largest.
        family = np.append(part["p_welch"], 1.0)
        np.testing.assert_allclose(holm(family)[:3], part["p_welch_holm"], rtol=1e-12)


def test_tests_are_those_of_scipy_in_every_window():
    generator = np.random.default_rng(0)
    values = generator.normal(10, 1, 32)
    factor = np.tile(np.repeat(["a", "b"], 8), 2)
    window = np.repeat(["spring", "summer"], 16)
    table = compare_levels(values, factor, "a", window=window).set_index("window")
    for name in ("spring", "summer"):
        a, b = (values[(window == name) & (factor == k)] for k in "ab")
        peer = stats.ttest_ind(b, a, equal_var=False)
        limits = peer.confidence_interval(0.95)
        row = table.loc[name]
        assert row["p_welch"] == pytest.approx(peer.pvalue)
        assert row["difference_lower"] == pytest.approx(limits.low)
        assert row["difference_upper"] == pytest.approx(limits.high)
        assert row["p_mann_whitney"] == pytest.approx(stats.mannwhitneyu(b, a).pvalue)


def test_logarithms_and_plain_values_agree_on_a_small_effect():
    generator = np.random.default_rng(1)
    values = np.exp(generator.normal(3, 0.02, 40)) * np.repeat([1.0, 1.2], 20)
    factor = np.repeat(["a", "b"], 20)
    plain = compare_levels(values, factor, "a").iloc[0]
    logs = compare_levels(np.log(values), factor, "a", log=True).iloc[0]
    assert plain["effect_percent"] == pytest.approx(20.0, abs=1.5)
    assert logs["effect_percent"] == pytest.approx(plain["effect_percent"], abs=0.2)
    assert logs["effect_upper"] == pytest.approx(plain["effect_upper"], abs=0.3)


@pytest.mark.parametrize("log", [True, False])
def test_the_effect_interval_covers_the_truth_for_four_pots_each(log):
    generator = np.random.default_rng(2)
    hits = []
    for _ in range(600):
        values = generator.normal(0, 0.2, 8)
        values[4:] += np.log(1.3)
        values = values if log else np.exp(values)
        row = compare_levels(values, ["c"] * 4 + ["t"] * 4, "c", log=log).iloc[0]
        hits.append(row["effect_lower"] <= 30.0 <= row["effect_upper"])
    assert 0.93 <= np.mean(hits) <= 0.98


def test_a_single_unit_is_reported_without_a_test_and_outside_the_family():
    values = [1.0, 1.1, 0.9, 2.0, 2.1, 1.9, 5.0]
    table = compare_levels(values, list("cccttts"), "c").set_index("level")
    assert np.isnan(table.loc["s", "p_welch"])
    assert "two of each are needed" in table.loc["s", "note"]
    assert table.loc["t", "p_welch_holm"] == table.loc["t", "p_welch"]


def test_an_absent_reference_is_refused_with_the_levels_there_are():
    with pytest.raises(InputError, match=r"'x'.*\['a', 'b'\]"):
        compare_levels([1, 2, 3, 4], list("aabb"), "x")
