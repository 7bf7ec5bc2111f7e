"""The ground floor: what every room stands on. Modules load when they are used.

===============  ===========================================================
module           what it holds
===============  ===========================================================
`constants`      physical constants, each with its source
`datasets`       registry of datasets: where they lie, their terms, checksums
`errors`         errors that name the value, the limit and the way out
`files`          files that are whole or not there
`flags`          quality flags as CF bit masks
`geodesy`        places on the sphere as vectors
`intervals`      steps of time and intervals of output
`model`          checks of the data model; provenance
`optional`       libraries that an extra brings
`parallel`       one kernel, in memory or on Dask
`plotting`       style of figures, uncertainty drawn
`progress`       bar on a terminal, log lines elsewhere
`regrid`         values of one grid on another, or on regions
`report`         one-page HTML reports
`typeset`        numbers, units and errors as people read them
`uncertainty`    first-order and Monte Carlo propagation, shared errors
`units`          UDUNITS spelling, converted or refused
===============  ===========================================================
"""

import importlib
from types import ModuleType

__all__ = [
    "constants",
    "datasets",
    "errors",
    "files",
    "flags",
    "geodesy",
    "intervals",
    "lazy",
    "model",
    "optional",
    "parallel",
    "plotting",
    "progress",
    "regrid",
    "report",
    "typeset",
    "uncertainty",
    "units",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"tilth.core.{name}")
    raise AttributeError(f"module 'tilth.core' has no attribute {name!r}")
