"""Pattern downscaling on Iberian winters, beside reference results in all digits."""

import numpy as np
import pandas as pd
import pytest

from tilth.core.regrid import bilinear
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.ranks import fit_ranks
from tilth.forcing.patterns.transforms import find_transform

pytestmark = pytest.mark.realdata

#: Reference name -> settings and fields; steps of expected/pattern_pr_*.csv.
CASES = {
    "ridge_all": (PatternDownscaling(), ["pr"]),
    "ridge_w3": (PatternDownscaling(window=1), ["pr"]),
    "ridge_all+dyn": (PatternDownscaling(), ["pr", "psl", "hus850", "ta850"]),
    "ridge_dyn": (PatternDownscaling(), ["psl", "hus850", "ta850"]),
}

#: Scores of both stages of a method over all folds, computed once per target set.
_CACHE = {}


def validated(iberia, method, observed):
    key = method, observed.dims[-1]
    if key not in _CACHE:
        settings, names = CASES[method]
        tables = []
        for fold in range(1, 6):
            held = iberia.in_fold(fold)
            fields = {name: iberia.predictors[name] for name in names}
            model = settings.fit(
                {name: field[~held] for name, field in fields.items()}, observed[~held]
            )
            result = model.predict({name: f[held] for name, f in fields.items()})
            for stage, name in (("raw", "conditional"), ("qm", "corrected")):
                tables.append(iberia.table(observed[held], result[name], fold, stage))
        _CACHE[key] = iberia.beside(pd.concat(tables), method)
    return _CACHE[key]


def baseline(iberia, observed):
    """Bilinear values and the same rank step: interpolation with quantile mapping."""
    key = "bilin", observed.dims[-1]
    if key not in _CACHE:
        coarse = iberia.predictors["pr"].clip(min=0.0)
        values = bilinear(coarse, observed, reach=np.inf).apply(coarse)
        tables = []
        for fold in range(1, 6):
            held = iberia.in_fold(fold)
            mapped = values[held].copy()
            for j in range(values.shape[1]):
                known = ~held & np.isfinite(observed.values[:, j])
                map_ = fit_ranks(
                    values.values[known][:, [j]], observed.values[known][:, [j]]
                )
                mapped[:, j] = map_.apply(
                    values.values[held][:, [j]], find_transform("none"), "constant"
                )[:, 0]
            for stage, result in (("raw", values[held]), ("qm", mapped)):
                tables.append(iberia.table(observed[held], result, fold, stage))
        _CACHE[key] = iberia.beside(pd.concat(tables), "bilin")
    return _CACHE[key]


@pytest.mark.parametrize("method", CASES)
@pytest.mark.parametrize("kind", ["stations", "cells"])
def test_every_target_and_fold_agrees_with_the_reference(iberia, method, kind):
    table = validated(iberia, method, getattr(iberia, kind))
    for score in ("r", "rho", "hss"):
        difference = (table[score] - table[f"{score}_reference"]).abs()
        # The gate is .005; with the reference's steps nothing but rounding is left,
        # but for ties in the ranks of predictors that are constant.
        assert difference.max() < 5e-4, score


@pytest.mark.parametrize("kind", ["stations", "cells"])
def test_interpolation_with_mapping_agrees_with_the_reference(iberia, kind):
    table = baseline(iberia, getattr(iberia, kind))
    corrected = table[table.stage == "qm"]
    for score in ("r", "rho", "hss"):
        difference = (corrected[score] - corrected[f"{score}_reference"]).abs()
        assert difference.max() < 5e-4, score


def means(table, stage="qm"):
    return table[table.stage == stage].mean(numeric_only=True)


def per_fold(table, score):
    return table[table.stage == "qm"].groupby("fold")[score].mean()


def test_the_shipped_default_meets_its_thresholds_at_stations(iberia):
    ours = validated(iberia, "ridge_all", iberia.stations)
    found = means(ours)
    assert found["rho"] >= 0.68
    assert found["hss"] >= 0.575
    assert found["r"] >= 0.60
    assert found["rmse"] <= 6.4
    assert found["wet"] <= 0.045
    gain = per_fold(ours, "rho") - per_fold(baseline(iberia, iberia.stations), "rho")
    assert gain.mean() >= 0.01


def test_the_shipped_default_meets_its_thresholds_on_cells(iberia):
    ours = validated(iberia, "ridge_all", iberia.cells)
    found = means(ours)
    assert found["rho"] >= 0.73
    assert found["hss"] >= 0.64
    assert found["r"] >= 0.70
    gain = per_fold(ours, "rho") - per_fold(baseline(iberia, iberia.cells), "rho")
    assert (gain >= 0.03).all(), "in every fold"


def test_the_conditional_estimate_varies_too_little_and_errs_least(iberia):
    table = validated(iberia, "ridge_all", iberia.stations)
    raw, corrected = means(table, "raw"), means(table, "qm")
    # Published with the reference results: standard deviation ratio .48, RMSE 5.187
    # against 5.666 after the rank step.
    assert raw["sdr"] == pytest.approx(0.48, abs=0.005)
    assert raw["rmse"] == pytest.approx(5.187, abs=0.001)
    assert corrected["rmse"] == pytest.approx(5.666, abs=0.001)
    assert 0.9 < corrected["sdr"] < 1.3
