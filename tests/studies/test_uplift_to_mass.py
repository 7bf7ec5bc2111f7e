"""The study of mass from uplift: a known glacier, on an Earth that needs no data."""

import numpy as np
import pytest

from tilth.loading.simulated import made_up_earth
from tilth.studies.registry import find_study
from tilth.studies.uplift_to_mass import run, study
from tilth.studies.uplift_to_mass.findings import summarised
from tilth.studies.uplift_to_mass.world import KINDS, RULES, Scale, World, observe

TINY = Scale(draws=6, step=0.2)


@pytest.fixture(scope="module")
def world():
    return World.of(made_up_earth(), TINY)


@pytest.fixture(scope="module")
def table(world):
    return summarised(world, observe(world, TINY))


def test_the_truth_is_finer_than_what_is_inverted_for(world):
    assert world.truth.basin.size > 3 * world.cells.sizes["source"]
    assert (world.moved["up"] > 0.0).all()
    # The pattern that is right weighs what the truth does but for the coarser cells.
    mass = float(world.patterns[1.0]["mass"].sum())
    assert mass == pytest.approx(world.total, rel=0.1)


def test_every_kind_is_weighed_and_more_data_err_less(table):
    assert list(table.loc["kind"].index) == list(KINDS)
    assert len(table.loc["rule"]) == len(RULES)
    se = table.loc["kind", "se"]
    assert se["all together"] < se["and line of sight"] <= se["three components"] * 1.1
    assert se["three components"] < se["uplift alone"]
    assert (table["se_noise"].dropna() <= table["se"].dropna() * (1 + 1e-6)).all()


def test_coverage_is_counted_against_the_truth(world, table):
    draws = observe(world, Scale(draws=2, step=0.2))
    shifted = draws.assign(total=world.total, se=1.0, se_noise=1e-9)
    shifted["lower"], shifted["upper"] = world.total + 1.0, world.total + 2.0
    told = summarised(world, shifted)
    np.testing.assert_allclose(told["error"], 0.0)
    assert (told["held"] == 0.0).all()
    assert (told["held by noise"] == 1.0).all()


def test_the_study_says_what_it_found_and_is_registered():
    result = study(made_up_earth(), Scale(draws=3, step=0.2))
    assert find_study("uplift_to_mass").load() is run
    assert "made up" in result.data_source
    assert {f.name for f in result.figures} == {"margin", "by-kind", "by-rule"}
    assert [t.name for t in result.tables] == ["ways"]
    assert "Gt a year" in result.summary
    assert sum(m.bar is not None for m in result.metrics) == len(KINDS) + 3
