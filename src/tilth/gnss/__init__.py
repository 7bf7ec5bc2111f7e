"""GNSS: what reflected signals and positions tell of ground, snow, ice and water."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it: the table of contents of this room.
_CONTENTS: dict[str, str] = {}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
