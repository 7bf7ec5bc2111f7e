"""Adjustment: what a model's climate gets wrong, its mean, distribution, wet days."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "Adjuster": "adjuster",
    "Method": "adjuster",
    "read_adjuster": "adjuster",
    "DayWindow": "groups",
    "group_times": "groups",
    "Scaling": "linear",
    "LOCI": "linear",
    "DQM": "detrended",
    "EQM": "mapping",
    "QuantileMethod": "mapping",
    "QDM": "delta",
    "CDFt": "transform",
    "ISIMIP3": "isimip",
    "MBCn": "multivariate",
    "lowest_and_highest": "isimip",
    "range_and_skew": "isimip",
    "apply_by_periods": "periods",
    "pool_members": "periods",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
