"""Reflected signals: from the signal-to-noise ratio to the height of the antenna."""

from tilth.core.lazy import table_of_contents

#: What -> the module that holds it.
_CONTENTS: dict[str, str] = {}

__getattr__, __dir__, __all__ = table_of_contents(__name__, _CONTENTS)
