"""Where the chambers' firmware is, and how it is loaded beside everything else."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from tilth.core.errors import TilthError

#: Name of the firmware's package, on the chip and here.
PACKAGE = "tilth_chamber"


def firmware_path() -> Path:
    """Return the folder that holds the firmware's package.

    Returns
    -------
    Path
        The copy that comes with an installed tilth; in a checkout, ``firmware``.

    Raises
    ------
    TilthError
        If there is neither.
    """
    fleet = Path(__file__).resolve().parents[1]
    for folder in (fleet / "_firmware", fleet.parents[2] / "firmware"):
        if (folder / PACKAGE / "app.py").is_file():
            return folder
    raise TilthError(
        "the chambers' firmware is not here: it comes with the package (in "
        f"{fleet / '_firmware'}) or with a checkout of the repository (in 'firmware')"
    )


def load_firmware(path: Path | None = None) -> ModuleType:
    """Import the firmware's package, without a change of the search path.

    Its modules have plain names (queue, app): inside their package they hide nothing
    of the standard library.

    Parameters
    ----------
    path : Path, optional
        Folder that holds the package; `firmware_path()` by default.

    Returns
    -------
    module
        The package; its modules are attributes once imported with `firmware_module`.
    """
    folder = (path or firmware_path()) / PACKAGE
    loaded = sys.modules.get(PACKAGE)
    if loaded is not None:
        where = Path(loaded.__file__ or "").resolve().parent
        if where != folder.resolve():
            raise TilthError(
                f"another firmware is loaded already, from {where}: one process runs "
                f"one firmware, not also that of {folder}"
            )
        return loaded
    spec = importlib.util.spec_from_file_location(
        PACKAGE, folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise TilthError(f"no firmware in {folder}")
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)
    return package


def firmware_module(name: str) -> ModuleType:
    """Import one module of the firmware, such as ``"app"``."""
    load_firmware()
    return importlib.import_module(f"{PACKAGE}.{name}")
