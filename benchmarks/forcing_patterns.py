"""Pattern-recognition downscaling: targets learnt per CPU-second, by learner.

Fourteen winters of 90 days, 48 predictors, as in the reference case of ten winters.
"""

from __future__ import annotations

import numpy as np

from benchmarks.measure import Row, cpu_seconds
from tilth.core.optional import load
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.learners import PatternLearner, Ridge, fit_out_of_fold
from tilth.forcing.patterns.learners_nonlinear import Nystroem, SupportVectors
from tilth.forcing.patterns.simulated import simulated_weather

#: Targets per CPU-second that a ridge must reach.
BAR = 5000.0

_DAYS, _PREDICTORS = 1264, 48


def run() -> list[Row]:
    """Measure and return the rows."""
    # Threads that wait for each other burn CPU time: one is what is counted.
    with load("threadpoolctl", "ml").threadpool_limits(1):
        return [*_learners(), *_whole()]


def _learners() -> list[Row]:
    """Measure learners on z-scores, with and without the estimates held out."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(_DAYS, _PREDICTORS))
    pattern = features @ generator.normal(size=(_PREDICTORS, 1000)) / 7.0
    targets = pattern + generator.normal(size=pattern.shape)
    fold = np.arange(_DAYS) // 90 % 4
    cases: tuple[tuple[str, PatternLearner, int], ...] = (
        ("ridge", Ridge(), 1000),
        ("Nystroem ridge", Nystroem(), 1000),
        ("support vectors", SupportVectors(), 2),
    )
    rows = []
    for name, learner, count in cases:
        chosen = targets[:, :count]

        def fit(learner=learner, chosen=chosen):
            learner.fit(features, chosen)

        def held_out(learner=learner, chosen=chosen):
            fit_out_of_fold(learner, features, chosen, fold)

        runs = 5 if name == "ridge" else 1
        rate = count / cpu_seconds(fit, runs)
        bar = ("bar", BAR) if name == "ridge" else (None, None)
        rows.append(Row(f"{name}, fit", rate, "targets/s", *bar))
        rate = count / cpu_seconds(held_out, runs)
        rows.append(Row(f"{name}, fit and four folds", rate, "targets/s"))
    return rows


def _whole() -> list[Row]:
    """Measure all of a fit and of a prediction: guards, folds, rank step and spread."""
    count = 5000
    coarse, local = simulated_weather(winters=14, places=count)
    settings = PatternDownscaling()
    model = settings.fit(coarse, local)
    whole = cpu_seconds(lambda: settings.fit(coarse, local), 3)
    applied = cpu_seconds(lambda: model.predict(coarse), 3)
    values = count * coarse.sizes["time"]
    return [
        Row(
            "ridge, all of a fit with rank step and guards", count / whole, "targets/s"
        ),
        Row("ridge, prediction of all three outputs", values / applied, "values/s"),
    ]
