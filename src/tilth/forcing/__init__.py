"""Forcing: from coarse climate fields to the weather at a place, and how good it is."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS = {
    "VARIABLES": "variables",
    "ForcingVariable": "variables",
    "find_variable": "variables",
    "identify": "variables",
    "as_variable": "variables",
    "convert_forcing": "variables",
    "deaccumulate": "variables",
    "open_forcing": "files",
    "open_variables": "files",
    "write_forcing": "files",
    "pick": "files",
    "days_of": "files",
    "check_not_trained_on": "split",
    "training_periods": "split",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
