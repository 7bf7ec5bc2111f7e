"""Which sources a compiled function was made of, so that none outlives them.

Numba keeps compiled code beside a module and makes it anew when that module's text
changes, but not when the text of a function it calls does. A function that encloses a
number made of all those texts is told apart by it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from tilth.core.errors import InputError

__all__ = ["edition_of"]


def edition_of(*names: str) -> int:
    """Return a number that changes with the text of modules beside this one.

    Parameters
    ----------
    *names : str
        Names of modules of this package, such as "fluxes".

    Returns
    -------
    int
        Of 60 bits.

    Raises
    ------
    InputError
        If there is no such module.

    Examples
    --------
    >>> edition_of("fluxes") != edition_of("stage")
    True
    """
    digest = hashlib.sha256()
    for name in names:
        path = Path(__file__).with_name(f"{name}.py")
        if not path.is_file():
            raise InputError(f"there is no module {name} beside {__file__}")
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:8], "big") >> 4
