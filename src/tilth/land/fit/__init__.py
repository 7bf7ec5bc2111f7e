"""Fits of the emulator to a land model: each month, then all together, then doubt."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "fit_emulator": "driver",
    "as_members": "driver",
    "FitSettings": "settings",
    "FIT_FLAGS": "flags",
    "fit_cell": "cell",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
