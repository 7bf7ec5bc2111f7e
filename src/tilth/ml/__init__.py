"""Learning without Earth science: networks, training, splits, importance, effects."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "Learner": "learners",
    "fresh": "learners",
    "out_of_fold": "learners",
    "Split": "splits",
    "shuffled_folds": "splits",
    "grouped_folds": "splits",
    "blocked_folds": "splits",
    "shared_groups": "splits",
    "Importance": "importance",
    "permutation_importance": "importance",
    "draw_permutations": "importance",
    "conditional_strata": "importance",
    "Effect": "effects",
    "EffectSurface": "effects",
    "accumulated_effect": "effects",
    "accumulated_surface": "effects",
    "refit_band": "effects",
    "binned_errors": "tables",
    "MLP": "networks",
    "ConvNet": "networks",
    "LSTM": "networks",
    "TrainingSettings": "training",
    "Rows": "training",
    "Trained": "training",
    "rows_of": "training",
    "train": "training",
    "predict_members": "training",
    "NetworkRegressor": "regressor",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
