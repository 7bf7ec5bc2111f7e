"""How strongly coefficients are drawn to the defaults: chosen within training years.

One training year of the reported split is fitted and the other one judged, and the
other way round, for several weights. The held-out year takes no part. (The second
split holds out 2000, which did take part here: of the two, only the reported one is
blind in this respect.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.progress import Work
from tilth.stats.scores import kge
from tilth.studies.calibrate_by_gauge.chain import compiled_linear, reaches_of
from tilth.studies.calibrate_by_gauge.fitting import descend
from tilth.studies.calibrate_by_gauge.problem import SPLITS, Split, lay_out
from tilth.studies.calibrate_by_gauge.values import SIZE

#: Weights that are tried.
WEIGHTS = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8)


def compare_weights(
    basins: Sequence[xr.Dataset], steps: int, *, work: Work | None = None
) -> pd.DataFrame:
    """Judge the weights of the prior by one training year after the other.

    Parameters
    ----------
    basins : sequence of xarray.Dataset
        As for `tilth.studies.calibrate_by_gauge.problem.lay_out`.
    steps : int
        Of each descent, from the default, with linear rivers.
    work : Work, optional
        Told of every step.

    Returns
    -------
    pandas.DataFrame
        By weight: mean over basins and years of the KGE of the year fitted
        (``fitted``) and of the other (``judged``), and the least of the latter.
    """
    years = SPLITS[0].train
    folds = [Split(f"fit {a}", (a,), b) for a, b in (years, years[::-1])]
    problem = lay_out(basins, folds, len(WEIGHTS))
    chain = compiled_linear(problem, reaches_of(problem))
    prior = np.array([WEIGHTS[column.start] for column in problem.columns])
    start = np.zeros((SIZE, problem.size))
    fit = descend(chain, problem, start, steps, prior=prior, work=work)
    flow = np.asarray(chain(fit.coefficients))
    rows = []
    for weight in WEIGHTS:
        own = [i for i, c in enumerate(problem.columns) if WEIGHTS[c.start] == weight]
        scores = np.array(
            [
                [
                    kge(flow[days[:, i], i], problem.observed[days[:, i], i])
                    for days in (problem.fitted, problem.tested)
                ]
                for i in own
            ]
        )
        rows.append(
            {
                "weight": weight,
                "fitted": scores[:, 0].mean(),
                "judged": scores[:, 1].mean(),
                "least": scores[:, 1].min(),
            }
        )
    return pd.DataFrame(rows)
