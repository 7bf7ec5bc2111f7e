"""Sub-seasonal forecasts: aligned, made fit by hindcasts, and scored as categories."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "align_observations": "alignment",
    "as_forecast": "layout",
    "lead_windows": "alignment",
    "same_day_starts": "alignment",
    "valid_times": "alignment",
    "start_groups": "training",
    "lead_climatology": "climatology",
    "without_bias": "climatology",
    "CATEGORIES": "terciles",
    "tercile_edges": "terciles",
    "QuantileMapping": "mapping",
    "map_quantiles": "mapping",
    "NormalRegression": "regression",
    "normal_categories": "regression",
    "normal_members": "regression",
    "predictive_normal": "regression",
    "blend_weights": "blend",
    "blended": "blend",
    "METHODS": "postprocess",
    "MemberCount": "postprocess",
    "Training": "postprocess",
    "blend_forecast": "postprocess",
    "score_terciles": "skill",
    "skill_interval": "skill",
    "tercile_forecast": "postprocess",
    "CHALLENGE_WINDOWS": "challenge",
    "LEADERBOARD": "challenge",
    "challenge_periods": "challenge",
    "challenge_score": "challenge",
    "dry_mask": "challenge",
    "plot_size_penalty": "plots",
    "plot_tercile_skill": "plots",
    "simulated_hindcasts": "simulate",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
