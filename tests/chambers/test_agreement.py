"""Comparison with a reference chamber: a negative control and simulated devices."""

import numpy as np
import pandas as pd
import pytest

from tilth.chambers.sensors.agreement import (
    compare_with_reference,
    pair_with_reference,
    replica_means,
)
from tilth.core.errors import InputError


def fluxes(generator, n=120):
    """True fluxes of a season, umol m-2 s-1."""
    return np.exp(generator.normal(0.3, 0.6, n))


@pytest.mark.realdata
def test_fluxbot_against_ciras_is_called_poor_agreement(dataset):
    table = pd.read_csv(dataset("fluxbot") / "ciras_fluxbot_calval_2.csv")
    table = table[table["qaqc_flags"] == 0]
    report = compare_with_reference(table["flux_umol_m2_sec"], table["CIRASFLX_L"])
    assert report.n == 198
    assert report.ols.slope == pytest.approx(0.957, abs=5e-4)
    assert report.ols.correlation**2 == pytest.approx(0.054, abs=5e-4)
    assert report.median_ratio.ratio == pytest.approx(1.19, abs=5e-3)
    assert 100 * report.within.fraction == pytest.approx(6.6, abs=0.05)
    assert report.grade == "poor"
    assert report.verdict.startswith("poor agreement: concordance 0.10")


def test_a_good_device_is_called_substantial_and_a_perfect_one_almost_perfect():
    generator = np.random.default_rng(0)
    truth = fluxes(generator)
    good = truth * np.exp(generator.normal(0, 0.07, truth.size))
    assert compare_with_reference(good, truth).grade == "substantial"
    assert compare_with_reference(truth * 1.001, truth).grade == "almost perfect"


def test_a_device_that_reads_a_third_too_high_is_poor_however_well_correlated():
    truth = fluxes(np.random.default_rng(1))
    report = compare_with_reference(1.33 * truth, truth)
    assert report.ols.correlation == pytest.approx(1.0)
    assert report.grade == "poor"
    assert report.deming.slope == pytest.approx(1.33)
    assert report.median_ratio.ratio == pytest.approx(1.33)


def test_a_wide_range_does_not_hide_that_most_pairs_miss_the_band():
    generator = np.random.default_rng(2)
    truth = np.concatenate([fluxes(generator, 80), [60.0, 80.0, 100.0]])
    device = truth + generator.normal(0, 0.8, truth.size)
    report = compare_with_reference(device, truth)
    assert report.concordance.coefficient > 0.99
    assert report.within.fraction < 0.5
    assert report.grade == "poor"


def test_few_pairs_do_not_show_what_many_do():
    generator = np.random.default_rng(3)
    truth = fluxes(generator, 6)
    device = truth * np.exp(generator.normal(0, 0.07, 6))
    report = compare_with_reference(device, truth)
    assert report.concordance.coefficient > 0.95
    assert report.grade in ("poor", "moderate")
    assert "more pairs needed" in report.verdict


def test_every_figure_of_the_report_lies_within_its_interval():
    generator = np.random.default_rng(4)
    truth = fluxes(generator)
    table = compare_with_reference(truth * 1.05 + 0.02, truth).table()
    noisy = compare_with_reference(
        truth + generator.normal(0, 0.1, truth.size), truth
    ).table()
    for figures in (table, noisy):
        inside = figures["value"].between(
            figures["lower"] - 1e-9, figures["upper"] + 1e-9
        )
        assert inside.all()
    assert "within 15 %" in table.index


def test_the_deming_line_of_the_report_is_unbiased_where_least_squares_is_not():
    generator = np.random.default_rng(5)
    truth = generator.normal(2.0, 0.5, 4000)
    reference = truth + generator.normal(0, 0.3, truth.size)
    device = truth + generator.normal(0, 0.3, truth.size)
    report = compare_with_reference(device, reference)
    assert report.ols.slope == pytest.approx(0.25 / 0.34, abs=0.03)
    assert report.deming.slope == pytest.approx(1.0, abs=0.05)
    assert report.bisector.slope == pytest.approx(1.0, abs=0.05)


def cycles(factor, replicas="ABCD", hours=5):
    """Four pots measured three times an hour."""
    rows = [
        (
            "9.2",
            f"9.2.{r}",
            pd.Timestamp(f"2023-10-01 {h:02d}:{m:02d}"),
            factor * (h + 1),
        )
        for r in replicas
        for h in range(hours)
        for m in (5, 25, 45)
    ]
    return pd.DataFrame(rows, columns=["variant", "pot", "time", "flux"])


def test_hourly_means_of_replicas_carry_the_spread_of_the_pots():
    table = cycles(1.0)
    table.loc[table["pot"] == "9.2.A", "flux"] += 0.4
    means = replica_means(table)
    assert list(means["replicas"]) == [4] * 5
    assert list(means["n"]) == [12] * 5
    np.testing.assert_allclose(means["flux"], np.arange(1, 6) + 0.1)
    np.testing.assert_allclose(means["flux_se"], 0.2 / np.sqrt(4))


def test_replicas_and_reference_are_paired_by_variant_and_utc_hour():
    reference = cycles(1.1, replicas="R", hours=4)
    pairs = pair_with_reference(cycles(1.0), reference)
    np.testing.assert_allclose(pairs["reference"] / pairs["flux"], 1.1)
    assert pairs.attrs["unpaired"] == 1


def test_a_reference_of_other_hours_is_refused_with_both_times():
    reference = cycles(1.0)
    reference["time"] += pd.Timedelta(days=30)
    with pytest.raises(InputError, match=r"2023-10-01.*2023-10-31"):
        pair_with_reference(cycles(1.0), reference)


def test_a_reference_without_positive_fluxes_gives_no_ratio():
    with pytest.raises(InputError, match="positive values of the reference"):
        compare_with_reference([1.0, 2.0, 3.0, 4.0], [-1.0, -2.0, -3.5, -4.0])
