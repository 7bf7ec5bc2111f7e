"""What each test says of two systems, lead by lead, and how often it is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import wilcoxon

from tilth.stats import (
    cluster_bootstrap,
    compare_correlations,
    effective_sample_size,
    false_discovery,
    lag1_autocorrelation,
    paired_t,
)
from tilth.stats.scores import score_sums, scores_from_sums
from tilth.studies.discharge_skill_by_lead.world import Scale, Truth, World, make_world

#: Score -> whether more is better.
SCORES = {"KGE": True, "R2": True, "nRMSE": False}

#: The tests, the slides' first.
TESTS = ("paired t", "Wilcoxon", "cluster bootstrap")

#: Years whose means the last test compares.
YEARS = 10

LEVEL = 0.05

#: Draws of a cluster bootstrap within a world.
_DRAWS = 499


def site_scores(forecast: np.ndarray, observed: np.ndarray) -> dict[str, np.ndarray]:
    """Score a system over its starts.

    Parameters
    ----------
    forecast, observed : numpy.ndarray, shape (..., start)
        Discharge, m3 s-1.

    Returns
    -------
    dict of str to numpy.ndarray
        Keys `SCORES`: KGE of 2012, the squared Pearson correlation, and the root
        mean square error over the observed mean.
    """
    found = scores_from_sums(score_sums(forecast, observed))
    return {
        "KGE": found["kge"],
        "R2": found["correlation"] ** 2,
        "nRMSE": found["rmse"] / observed.mean(axis=-1),
    }


def gains(world: World) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return the scores of both systems, per score, each (lead, site).

    Parameters
    ----------
    world : World
        A year.

    Returns
    -------
    dict of str to tuple
        Score of the second system and of the first.
    """
    first, second = (
        site_scores(forecast, world.observed)
        for forecast in (world.first, world.second)
    )
    return {name: (second[name], first[name]) for name in SCORES}


def p_values(world: World, seed: int) -> dict[str, dict[str, np.ndarray]]:
    """Return what every test says of a year.

    Parameters
    ----------
    world : World
        A year.
    seed : int
        Of the bootstrap.

    Returns
    -------
    dict of str to dict of str to numpy.ndarray
        Test -> score -> p-value per lead.
    """
    tests: dict[str, Callable] = {
        "paired t": lambda a, b: paired_t(a, b).p_value,
        "Wilcoxon": lambda a, b: wilcoxon(a - b, axis=-1).pvalue,
        "cluster bootstrap": lambda a, b: (
            cluster_bootstrap(a, b, world.basin, draws=_DRAWS, seed=seed).p_value
        ),
    }
    pairs = gains(world)
    return {
        test: {name: run(*pairs[name]) for name in SCORES}
        for test, run in tests.items()
    }


def alarms(
    scale: Scale, truth: Truth, step: Callable[[], None]
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, np.ndarray]]:
    """Let the tests judge many years of a truth.

    Parameters
    ----------
    scale : Scale
        How large and how many.
    truth : Truth
        How the systems differ.
    step : callable
        Called after every year.

    Returns
    -------
    dict of (test, score) to numpy.ndarray, shape (world, lead)
        p-values.
    dict of score to numpy.ndarray, shape (world, lead)
        Mean differences over the sites.
    """
    p: dict[tuple[str, str], list] = {(t, s): [] for t in TESTS for s in SCORES}
    means: dict[str, list] = {name: [] for name in SCORES}
    for seed in range(scale.worlds):
        world = make_world(scale, truth, seed)
        for test, by_score in p_values(world, seed).items():
            for name, values in by_score.items():
                p[test, name].append(values)
        for name, (second, first) in gains(world).items():
            means[name].append((second - first).mean(axis=-1))
        step()
    return (
        {key: np.array(rows) for key, rows in p.items()},
        {key: np.array(rows) for key, rows in means.items()},
    )


def rates(p: np.ndarray) -> dict[str, float]:
    """Return how often tests of one kind reject.

    Parameters
    ----------
    p : numpy.ndarray, shape (world, lead)
        p-values.

    Returns
    -------
    dict of str to float
        ``one lead``: share of single tests below 5 %; ``any lead``: share of years
        in which at least one is; ``any lead, FDR``: the same with false discoveries
        among the leads held down.
    """
    below = p < LEVEL
    # A dozen leads are no smooth field: the rate is not doubled.
    held = [false_discovery(r, level=LEVEL, correlated=False).anywhere for r in p]
    return {
        "one lead": float(below.mean()),
        "any lead": float(below.any(axis=1).mean()),
        "any lead, FDR": float(np.mean(held)),
    }


def over_years(means: np.ndarray, groups: int = 200) -> float:
    """Return how often a test over ten years' means rejects.

    Parameters
    ----------
    means : numpy.ndarray, shape (world, lead)
        Mean difference over the sites, one year a row.
    groups : int, optional
        Times that ten of the years are drawn.

    Returns
    -------
    float
        Share of tests (Student's t of ten years) below 5 %.
    """
    generator = np.random.default_rng(groups)
    drawn = np.stack(
        [
            means[generator.choice(means.shape[0], YEARS, replace=False)]
            for _ in range(groups)
        ]
    ).swapaxes(1, 2)
    return float((paired_t(drawn, np.zeros_like(drawn)).p_value < LEVEL).mean())


def sites_that_differ(world: World) -> dict[str, float]:
    """Test every site and lead on its own: correlations that share observations.

    Parameters
    ----------
    world : World
        A year.

    Returns
    -------
    dict of str to float
        Share of sites and leads below 5 %: as if weekly starts were independent;
        with the number of starts that the memory leaves; and of these what is left
        with false discoveries held down.
    """
    o, a, b = (x - x.mean(-1, keepdims=True) for x in
               (world.observed, world.second, world.first))  # fmt: skip

    def correlation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))

    r = correlation(a, o), correlation(b, o), correlation(a, b)
    starts = o.shape[-1]
    memory = lag1_autocorrelation(o).value * lag1_autocorrelation(b).value
    left = np.maximum(effective_sample_size(starts, np.maximum(memory, 0.0)), 4.0)
    plain = compare_correlations(*r, starts).p_value
    honest = compare_correlations(*r, left).p_value
    return {
        "as if starts were independent": float((plain < LEVEL).mean()),
        "with the starts that the memory leaves": float((honest < LEVEL).mean()),
        "false discoveries held down": float(
            false_discovery(honest, level=LEVEL).significant.mean()
        ),
    }
