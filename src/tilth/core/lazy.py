"""Tables of contents: a package names what it offers and imports it when used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def table_of_contents(
    package: str, contents: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return the ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    contents : mapping of str to str
        What it offers -> the module below it that holds it.

    Returns
    -------
    callable, callable, list of str
        For the names of the same kind in the package.

    Examples
    --------
    >>> get, _, names = table_of_contents("tilth.core", {"convert": "units"})
    >>> get("convert").__module__, names
    ('tilth.core.units', ['convert'])
    """
    names = sorted(contents)

    def get(name: str) -> Any:
        if name in contents:
            return getattr(import_module(f"{package}.{contents[name]}"), name)
        raise AttributeError(
            f"{package} has no attribute {name!r}; it has {', '.join(names)}"
        )

    return get, lambda: names, names
