"""Pattern-recognition downscaling: how local weather follows the wide-area pattern."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "PatternDownscaling": "downscaling",
    "PatternModel": "downscaling",
    "read_patterns": "saved",
    "save_patterns": "saved",
    "Ridge": "learners",
    "Nystroem": "learners_nonlinear",
    "SupportVectors": "learners_nonlinear",
    "RandomForest": "learners_nonlinear",
    "Transfer": "transfer",
    "synchrony_test": "synchrony",
    "Synchrony": "synchrony",
    "identical_series": "guards",
    "check_distinct": "guards",
    "season_labels": "seasons",
    "season_folds": "seasons",
    "simulated_weather": "simulated",
    "SimulatedWeather": "simulated",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
