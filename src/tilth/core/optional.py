"""Libraries that an extra brings, loaded where they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from tilth.core.errors import MissingDependencyError


def load(module: str, extra: str) -> ModuleType:
    """Import an optional library, or say how to install it.

    Parameters
    ----------
    module : str
        Name to import, such as ``"matplotlib.figure"``.
    extra : str
        Extra of the package that brings it, such as ``"plot"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    MissingDependencyError
        If it is not installed; the text gives the command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise  # installed, but broken: its own message is the useful one
        raise MissingDependencyError(
            f"this needs {library}, which is not installed: "
            f"pip install 'tilth[{extra}]'"
        ) from error
