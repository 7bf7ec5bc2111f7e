"""Scores of a series, of an ensemble and of categories, each with its small print."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of the scores.
_CONTENTS = {
    "SUMS": "deterministic",
    "SCORES": "deterministic",
    "score_sums": "deterministic",
    "scores_from_sums": "deterministic",
    "nse": "deterministic",
    "kge": "deterministic",
    "bias": "deterministic",
    "nrmse": "deterministic",
    "r_squared": "deterministic",
    "score_intervals": "deterministic",
    "skill_score": "skill",
    "crps": "ensembles",
    "crps_both": "ensembles",
    "energy_score": "ensembles",
    "observed_rank": "dispersion",
    "rank_histogram": "dispersion",
    "rank_flatness": "dispersion",
    "spread_error": "dispersion",
    "category_probabilities": "categories",
    "observed_category": "categories",
    "rps": "categories",
    "rpss": "categories",
    "ensemble_penalty": "categories",
    "brier": "events",
    "roc": "events",
    "reliability": "calibration",
    "plot_reliability": "plots",
    "plot_roc": "plots",
    "plot_rank_histograms": "plots",
    "plot_skill_by_lead": "plots",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
