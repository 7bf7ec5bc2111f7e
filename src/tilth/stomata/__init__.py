"""Stomata: how leaves open, fitted to gas exchange, explained and put to the test."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "leaf_observations": "observations",
    "usable": "observations",
    "flag_counts": "observations",
    "read_gas_exchange": "readers.gas_exchange",
    "fit_medlyn": "fits",
    "fit_ball_berry": "fits",
    "fit_leuning": "fits",
    "StomatalFit": "fits",
    "surface_co2": "surface",
    "surface_humidity": "surface",
    "ball_berry_index": "surface",
    "EXPERIMENTS": "experiments",
    "run_experiments": "experiments",
    "default_splits": "experiments",
    "feature_table": "experiments",
    "default_learners": "learners",
    "MedlynLearner": "learners",
    "random_forest": "learners",
    "support_vectors": "learners",
    "conv_net": "learners",
    "dense_net": "learners",
    "rank_features": "evidence",
    "difference_effect": "evidence",
    "difference_surface": "evidence",
    "errors_by_difference": "evidence",
    "column_orders": "evidence",
    "excess_over_null": "evidence",
    "leaf_world": "null_model",
    "LeafWorld": "null_model",
    "simulate_leaves": "null_model",
    "made_up_leaves": "made_up",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
