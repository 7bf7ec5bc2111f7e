"""Curved learners beside reference results, on one fold of winters (they are slow)."""

import pytest

from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.learners_nonlinear import Nystroem, SupportVectors

pytestmark = pytest.mark.realdata

#: Reference name -> learner and window.
CASES = {
    "nys_all": (Nystroem(), "all"),
    "svr_03_all": (SupportVectors(), "all"),
    "svr_scale_all": (SupportVectors(gamma="scale"), "all"),
    "svr_03_w3": (SupportVectors(), 1),
    "svr_scale_w3": (SupportVectors(gamma="scale"), 1),
}

FOLD = 3


def stations(iberia, method, targets=slice(None)):
    learner, window = CASES[method]
    held = iberia.in_fold(FOLD)
    coarse, observed = iberia.predictors["pr"], iberia.stations[:, targets]
    model = PatternDownscaling(learner, window).fit(coarse[~held], observed[~held])
    result = model.predict(coarse[held])["corrected"]
    return iberia.beside(iberia.table(observed[held], result, FOLD, "qm"), method)


@pytest.mark.parametrize("method", CASES)
def test_curved_learners_agree_with_the_reference(iberia, method):
    table = stations(iberia, method, slice(0, 4))
    for score in ("r", "rho", "hss"):
        difference = (table[score] - table[f"{score}_reference"]).abs()
        assert difference.max() < 0.005, score


def test_support_vectors_are_not_better_than_ridge_where_both_were_tried(iberia):
    """What the reference says of itself: nobody may claim the contrary."""
    rows = iberia.reference[iberia.reference.stage == "qm"]
    rows = rows.assign(kind=rows.target.str.startswith("cell"))
    folds = rows.groupby(["method", "kind", "fold"])[["r", "rmse"]].mean()
    for window in ("all", "w3"):
        ridge = folds.loc[f"ridge_{window}"]
        default = folds.loc[f"svr_scale_{window}"]
        assert (default["r"] < ridge["r"]).all()
        assert (default["rmse"] > ridge["rmse"]).all()
    tuned = folds.loc["svr_03_all"]
    assert (tuned["rmse"] > folds.loc["ridge_all", "rmse"]).all()
