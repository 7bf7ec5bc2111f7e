"""The study of skill by lead: worlds of known skill, and tests that must not err."""

from dataclasses import replace

import numpy as np
import pytest

from tilth.core.errors import InputError
from tilth.stats.scores import score_sums, scores_from_sums
from tilth.studies.discharge_skill_by_lead import study
from tilth.studies.discharge_skill_by_lead.verdicts import (
    SCORES,
    gains,
    over_years,
    rates,
    site_scores,
    sites_that_differ,
)
from tilth.studies.discharge_skill_by_lead.world import (
    FULL,
    QUICK,
    TRUTHS,
    Scale,
    basins_of,
    known_r_squared,
    make_world,
    weather_skill,
)

TINY = Scale(sites=60, basins=12, starts=30, members=5, leads=(2, 15, 30), worlds=40)


@pytest.fixture(scope="module")
def result():
    return study(TINY)


@pytest.mark.parametrize("scale", [QUICK, FULL])
def test_every_basin_has_a_site_and_some_have_many(scale):
    size = np.bincount(basins_of(scale))
    assert size.size == scale.basins
    assert size.sum() == scale.sites
    assert size.min() >= 1
    assert size.max() > 3 * size.mean()


def test_the_full_study_has_the_sites_starts_and_members_of_the_slides():
    assert (FULL.sites, FULL.starts, FULL.members) == (587, 53, 51)
    assert FULL.worlds >= QUICK.worlds


def test_more_basins_than_sites_are_refused():
    with pytest.raises(InputError, match="basins"):
        basins_of(replace(TINY, basins=61))


def test_the_skill_that_is_found_is_the_one_by_construction():
    sums = 0.0
    for seed in range(30):
        world = make_world(TINY, TRUTHS[0], seed, logarithms=True)
        sums = sums + score_sums(world.second, world.observed).sum(axis=-1)
    leads = np.array(TINY.leads)
    known = known_r_squared(leads, weather_skill(leads), TINY.members)
    found = scores_from_sums(sums)["correlation"] ** 2
    np.testing.assert_allclose(found, known, atol=0.02)


def test_known_skill_has_its_limits():
    assert known_r_squared([0.0], [0.3], 5)[0] == pytest.approx(1.0)
    assert known_r_squared([10.0], [1.0], 5)[0] == pytest.approx(1.0)
    assert known_r_squared([1000.0], [0.0], 5)[0] == pytest.approx(0.0, abs=1e-12)
    ensemble = [known_r_squared([15.0], [0.3], m)[0] for m in (1, 5, 51, 10**6)]
    assert ensemble == sorted(ensemble)


def test_observed_discharge_has_its_mean_and_sites_of_a_basin_are_alike():
    world = make_world(QUICK, TRUTHS[0], 3)
    assert world.observed.mean() == pytest.approx(100.0, rel=0.1)
    series = np.log(world.observed[0])
    r = np.corrcoef(series)
    same = world.basin[:, None] == world.basin[None, :]
    np.fill_diagonal(same, False)
    apart = world.basin[:, None] != world.basin[None, :]
    assert r[same].mean() > 0.55
    assert abs(r[apart].mean()) < 0.1


def test_a_better_system_scores_better_and_the_same_seed_gives_the_same_year():
    years = [gains(make_world(QUICK, TRUTHS[-1], seed)) for seed in range(20)]
    for name, more in SCORES.items():
        gain = np.mean([second - first for second, first in (y[name] for y in years)])
        assert (gain > 0) == more
    again = make_world(QUICK, TRUTHS[-1], 1)
    np.testing.assert_array_equal(again.first, make_world(QUICK, TRUTHS[-1], 1).first)


def test_scores_of_a_perfect_system():
    observed = np.random.default_rng(0).gamma(2.0, 50.0, size=(3, 40))
    found = site_scores(observed, observed)
    np.testing.assert_allclose(found["KGE"], 1.0)
    np.testing.assert_allclose(found["R2"], 1.0)
    np.testing.assert_allclose(found["nRMSE"], 0.0, atol=1e-9)
    doubled = site_scores(2.0 * observed, observed)
    # 2012: correlation 1, ratio of means 2, ratio of variation coefficients 1.
    np.testing.assert_allclose(doubled["KGE"], 0.0, atol=1e-12)


def test_shares_of_rejections_are_counted_one_by_one_and_by_the_year():
    p = np.array([[0.01, 0.5, 0.5], [0.04, 0.5, 0.6], [0.9, 0.8, 0.7], [0.2, 0.3, 0.4]])
    found = rates(p)
    assert found["one lead"] == pytest.approx(2 / 12)
    assert found["any lead"] == 0.5
    assert found["any lead, FDR"] == 0.25  # 0.04 is above a third of 0.05


def test_ten_years_that_always_gain_are_found_and_chance_is_not():
    generator = np.random.default_rng(2)
    noise = generator.normal(size=(60, 3))
    assert over_years(noise) < 0.12
    assert over_years(noise + 3.0) == 1.0


def test_single_sites_differ_nowhere_once_starts_and_sites_are_counted_rightly():
    found = sites_that_differ(make_world(QUICK, TRUTHS[0], 5))
    assert found["as if starts were independent"] > 0.08
    assert found["with the starts that the memory leaves"] < 0.06
    assert found["false discoveries held down"] < 0.01


def test_where_both_are_the_same_only_the_paired_t_test_cries_wolf(result):
    metrics = {metric.name: metric for metric in result.metrics}
    # Five sites a basin make it err twice as often, not five times as in the study.
    assert metrics["same: paired t, one lead"].value > 0.1
    assert metrics["basins: paired t, one lead"].value > 0.1
    # Forty years: three binomial errors above 5 %.
    for truth in ("same", "basins"):
        assert metrics[f"{truth}: cluster bootstrap, one lead"].value < 0.15
    assert (
        metrics["years: cluster bootstrap, one lead"].value
        > metrics["years: t of ten years, one lead"].value
    )
    assert (
        metrics["better: cluster bootstrap, one lead"].value
        > metrics["same: cluster bootstrap, one lead"].value + 0.1
    )


def test_the_page_says_what_was_found_and_that_nothing_is_measured(result):
    assert result.data_source == "simulated: known truth"
    assert "60 sites in 12 basins" in " ".join(result.summary.split())
    assert {f.name for f in result.figures} == {
        "skill-same", "skill-better", "false-alarms",
    }  # fmt: skip
    alarms = next(t for t in result.tables if t.name == "alarms").frame
    assert len(alarms) == 4 * 3 * 3
    assert alarms["one lead"].between(0, 1).all()
