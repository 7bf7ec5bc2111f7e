"""Statistics every room shares, each figure with a standard error or an interval.

Thin over scipy; nothing here knows about soils or chambers.
"""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "block_bootstrap": "resampling",
    "BootstrapResult": "resampling",
    "weighted_mean": "resampling",
    "LineFit": "lines",
    "ols": "regression",
    "theil_sen": "regression",
    "huber": "regression",
    "huber_line": "regression",
    "deming": "regression",
    "bisector": "regression",
    "york": "errors_in_variables",
    "YorkFit": "errors_in_variables",
    "bland_altman": "agreement",
    "BlandAltman": "agreement",
    "concordance": "agreement",
    "Concordance": "agreement",
    "within_fraction": "agreement",
    "Fraction": "agreement",
    "median_ratio": "agreement",
    "MedianRatio": "agreement",
    "holm": "multiple",
    "false_discovery": "multiple",
    "FalseDiscovery": "multiple",
    "PairedTest": "paired",
    "paired_t": "paired",
    "wilcoxon_signed_rank": "paired",
    "fisher_z": "correlations",
    "correlation_interval": "correlations",
    "compare_correlations": "correlations",
    "diebold_mariano": "paired",
    "cluster_bootstrap": "clusters",
    "compare_levels": "comparisons",
    "mixed_model": "mixed",
    "MixedModelResult": "mixed",
    "lag1_autocorrelation": "autocorrelation",
    "effective_sample_size": "autocorrelation",
    "se_inflation": "autocorrelation",
    "allan_deviation": "autocorrelation",
    "nse": "scores.deterministic",
    "kge": "scores.deterministic",
    "bias": "scores.deterministic",
    "score_intervals": "scores.deterministic",
    "independent_peaks": "hydrographs",
    "block_peaks": "hydrographs",
    "peak_errors": "hydrographs",
    "PeakErrors": "hydrographs",
    "peak_intervals": "hydrographs",
    "hydrograph_scores": "hydrographs",
    "log_nse": "hydrographs",
    "flow_duration": "flow_durations",
    "flow_duration_bias": "flow_durations",
    "flow_duration_intervals": "flow_durations",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
