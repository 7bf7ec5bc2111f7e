"""River networks: one object, brought in from maps and tables or built from terrain."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS = {
    "INLAND": "model",
    "MOUTH": "model",
    "RiverNetwork": "model",
}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
