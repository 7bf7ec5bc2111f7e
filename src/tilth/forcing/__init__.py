"""Forcing: from coarse climate fields to the weather at a place, and how good it is."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS: dict[str, str] = {}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
