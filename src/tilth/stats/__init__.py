"""Statistics every room shares, each figure with a standard error or an interval.

Thin over scipy; nothing here knows about soils or chambers.
"""

from importlib import import_module
from typing import Any

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
    "compare_levels": "comparisons",
    "mixed_model": "mixed",
    "MixedModelResult": "mixed",
    "lag1_autocorrelation": "autocorrelation",
    "effective_sample_size": "autocorrelation",
    "se_inflation": "autocorrelation",
    "allan_deviation": "autocorrelation",
}

__all__ = sorted(_CONTENTS)


def __getattr__(name: str) -> Any:
    try:
        module = import_module(f"{__name__}.{_CONTENTS[name]}")
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
