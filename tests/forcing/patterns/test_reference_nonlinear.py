"""Curved learners beside reference results, on one fold of winters (they are slow)."""

import pytest

from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.learners_nonlinear import Nystroem, SupportVectors

pytestmark = pytest.mark.realdata

RAIN, DYNAMICS = ["pr"], ["pr", "psl", "hus850", "ta850"]

#: Reference name -> learner, window and fields: every curved one of the reference.
CASES = {
    "nys_all": (Nystroem(), "all", RAIN),
    "svr_03_all": (SupportVectors(), "all", RAIN),
    "svr_scale_all": (SupportVectors(gamma="scale"), "all", RAIN),
    "svr_03_w3": (SupportVectors(), 1, RAIN),
    "svr_scale_w3": (SupportVectors(gamma="scale"), 1, RAIN),
    "svr_03_all+dyn": (SupportVectors(), "all", DYNAMICS),
}

FOLD = 3


def scored(iberia, method, observed):
    learner, window, names = CASES[method]
    held = iberia.in_fold(FOLD)
    fields = {name: iberia.predictors[name] for name in names}
    model = PatternDownscaling(learner, window).fit(
        {name: field[~held] for name, field in fields.items()}, observed[~held]
    )
    result = model.predict({name: field[held] for name, field in fields.items()})
    table = iberia.table(observed[held], result["corrected"], FOLD, "qm")
    return iberia.beside(table, method)


@pytest.mark.parametrize("method", CASES)
@pytest.mark.parametrize(("kind", "targets"), [("stations", 4), ("cells", 2)])
def test_curved_learners_agree_with_the_reference(iberia, method, kind, targets):
    table = scored(iberia, method, getattr(iberia, kind)[:, :targets])
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
