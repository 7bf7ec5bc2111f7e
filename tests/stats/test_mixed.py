"""The mixed model against statsmodels, a published table and simulated truth."""

import warnings

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf

from tilth.core.errors import InputError
from tilth.stats import mixed_model
from tilth.stats.mixed import _best_ratio, _minus_two_log, _observations, _reduce


def pots(generator, per_level=4, dates=12, between=0.3, effect=0.0, levels="abc"):
    """Log fluxes of pots under levels of a treatment, with gaps."""
    names = [f"{level}{i}" for level in levels for i in range(per_level)]
    table = pd.DataFrame(
        [(name[0], name, f"d{d:02d}") for name in names for d in range(dates)],
        columns=["treatment", "pot", "date"],
    )
    pot = dict(zip(names, generator.normal(0, between, len(names)), strict=True))
    day = dict(
        zip(table["date"].unique(), generator.normal(0, 0.5, dates), strict=True)
    )
    table["y"] = (
        table["pot"].map(pot)
        + table["date"].map(day)
        + effect * (table["treatment"] == "b")
        + generator.normal(0, 0.3, len(table))
    )
    return table.sample(frac=0.85, random_state=3)


def fit(table, **options):
    return mixed_model(
        table["y"],
        table["treatment"],
        table["pot"],
        "a",
        categories={"date": table["date"]},
        **options,
    )


def test_estimates_and_errors_are_those_of_statsmodels():
    table = pots(np.random.default_rng(0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = smf.mixedlm("y ~ treatment + C(date)", table, groups=table["pot"]).fit(
            reml=True, gtol=1e-10
        )
    ours = fit(table)
    names = ["treatment[T.b]", "treatment[T.c]"]
    for column, theirs in (
        ("estimate", peer.params),
        ("se", peer.bse),
        ("p", peer.pvalues),
        ("lower", peer.conf_int()[0]),
        ("upper", peer.conf_int()[1]),
    ):
        np.testing.assert_allclose(ours.contrasts[column], theirs[names], rtol=1e-6)
    assert ours.residual_sd**2 == pytest.approx(peer.scale, rel=1e-6)
    assert ours.group_sd**2 == pytest.approx(peer.cov_re.iloc[0, 0], rel=1e-6)


@pytest.mark.realdata
def test_alkalinity_effects_are_the_published_table(dataset):
    folder = dataset("carbdown-xxl")
    table = pd.read_csv(
        folder / "xxl_lysimeter_TA_timeseries.csv",
        dtype={"treatment": str, "variant": str},
    )
    table = table[table["TA_umol_per_l"] > 0]
    result = mixed_model(
        np.log(table["TA_umol_per_l"]),
        table["treatment"],
        table["variant"],
        "000",
        categories={"date": table["date"]},
    )
    assert (result.observations, result.groups) == (442, 20)
    published = pd.read_csv(
        folder / "xxl_lysimeter_mixedmodel_vs_control.csv", dtype={"treatment": str}
    ).set_index("treatment")
    ours = result.contrasts.loc[published.index]
    for column, name in (
        ("estimate", "effect_pct"),
        ("lower", "ci_lo_pct"),
        ("upper", "ci_hi_pct"),
    ):
        # The published fit stopped 1.6e-6 short of the best variance ratio.
        np.testing.assert_allclose(
            100 * np.expm1(ours[column]), published[name], atol=6e-6
        )
    np.testing.assert_allclose(ours["p"], published["p"], atol=5e-7)


@pytest.mark.parametrize("between", [0.0, 0.02, 0.1, 1.0, 30.0])
def test_no_variance_ratio_has_a_higher_likelihood(between):
    table = pots(np.random.default_rng(4), between=between)
    observations = _observations(
        table["y"], table["treatment"], table["pot"], {"date": table["date"]}
    )
    model = _reduce(observations, ["b", "c"], ["date"])
    best = _minus_two_log(model, _best_ratio(model))
    ratios = np.concatenate([[0.0], np.geomspace(1e-6, 1e6, 400)])
    assert best <= min(_minus_two_log(model, r) for r in ratios) + 1e-9


def test_pots_that_do_not_differ_give_a_note_and_no_warning():
    notes = [
        fit(pots(np.random.default_rng(seed), between=0.0)).notes for seed in range(8)
    ]
    assert any("set to zero" in " ".join(note) for note in notes)


def test_t_intervals_cover_with_four_pots_where_normal_ones_are_too_narrow():
    generator = np.random.default_rng(5)
    hits = {"normal": 0, "t": 0}
    for _ in range(120):
        table = pots(generator, levels="ab", dates=8, effect=0.2)
        for interval in hits:
            row = fit(table, interval=interval).contrasts.loc["b"]
            hits[interval] += row["lower"] <= 0.2 <= row["upper"]
    assert 0.90 <= hits["t"] / 120 <= 0.99
    assert hits["normal"] < hits["t"]


def test_more_cycles_of_the_same_pots_do_not_narrow_the_contrast():
    few = fit(pots(np.random.default_rng(6), dates=10, between=1.0))
    many = fit(pots(np.random.default_rng(6), dates=160, between=1.0))
    assert many.observations > 10 * few.observations
    assert many.contrasts["se"].min() > 0.7 * few.contrasts["se"].max()


def test_one_pot_per_level_is_refused_as_confounded():
    table = pots(np.random.default_rng(7), per_level=1)
    with pytest.raises(InputError, match="cannot tell the treatment from the group"):
        fit(table)


def test_a_level_with_a_single_pot_is_noted():
    table = pots(np.random.default_rng(8))
    table = table[~table["pot"].isin(["b1", "b2", "b3"])]
    assert "one group only: b" in " ".join(fit(table).notes)


def test_a_level_that_shares_no_date_with_the_others_is_refused_by_name():
    table = pots(np.random.default_rng(9))
    table.loc[table["treatment"] == "c", "date"] += " later"
    with pytest.raises(InputError, match="share no category"):
        fit(table)


def test_the_reference_must_be_there():
    with pytest.raises(InputError, match="reference 'zero'"):
        mixed_model([1.0, 2.0], ["a", "b"], ["p", "q"], "zero")
