"""Open whatever a fleet exported: the reader is found by what is in the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.readers.fleet_columns import find_columns
from tilth.chambers.readers.fleet_soil import read_soil_pco2
from tilth.chambers.readers.fleet_table import read_fleet_efflux
from tilth.core.errors import InputError
from tilth.core.flags import count_flags
from tilth.fleet.importers.derived import read_pot_table
from tilth.fleet.importers.fluxbot import read_fluxbot_fluxes, read_fluxbot_log
from tilth.fleet.importers.thingsboard import is_export, read_thingsboard
from tilth.fleet.importers.weather import read_ecowitt

#: Readers of one file each, tried in this order; the name is for messages.
_READERS: tuple[tuple[str, Callable[[str | os.PathLike[str]], xr.Dataset]], ...] = (
    ("the fleet's daily soil CO2", read_soil_pco2),
    ("weekly means per pot", read_pot_table),
    ("fluxbot fluxes", read_fluxbot_fluxes),
    ("a fluxbot's log", read_fluxbot_log),
    ("an Ecowitt weather station", read_ecowitt),
)


def import_files(
    paths: Sequence[str | os.PathLike[str]],
    quantity: str | Mapping[int, str] | None = None,
    *,
    repair: bool = False,
) -> xr.Dataset:
    """Read exports of a fleet or of fluxbots, whichever they are.

    Parameters
    ----------
    paths : sequence of path
        Several exports of ThingsBoard are read as one; of any other kind, one file.
    quantity : str or mapping of int to str, optional
        For exports of ThingsBoard whose labels and name do not tell what they hold.
    repair : bool, default False
        For the fleet's published hourly fluxes: correct their known defects (codes
        stored as numbers, fluxes times three) instead of refusing the file.

    Returns
    -------
    xarray.Dataset
        Of the reader that knew the file; identifiers are text, nothing is removed,
        doubts are in the flag variables.

    Raises
    ------
    InputError
        If no reader knows the file; the text has what each of them says.
    """
    if not paths:
        raise InputError("name at least one file to import")
    for path in paths:
        if not Path(path).is_file():
            raise InputError(f"{path} does not exist")
    if all(is_export(path) for path in paths):
        return read_thingsboard(paths, quantity)
    if len(paths) > 1:
        other = next(path for path in paths if not is_export(path))
        raise InputError(
            f"{Path(other).name} is no export of ThingsBoard: only those are read "
            "together; import other files one by one"
        )
    if _has_fluxes(paths[0]):
        return read_fleet_efflux(paths[0], repair=repair)
    reasons = ["  not the fleet's hourly fluxes"]
    for kind, reader in _READERS:
        try:
            return reader(paths[0])
        except (InputError, ValueError, KeyError, pd.errors.ParserError) as error:
            reasons.append(f"  not {kind}: {str(error).splitlines()[0]}")
    raise InputError(
        f"{Path(paths[0]).name} is not known:\n  not an export of ThingsBoard\n"
        + "\n".join(reasons)
    )


def _has_fluxes(path: str | os.PathLike[str]) -> bool:
    try:
        find_columns(path)
    except (InputError, ValueError):
        return False
    return True


def describe(data: xr.Dataset) -> pd.DataFrame:
    """Return what was read: values, range and doubts of each variable.

    Returns
    -------
    pandas.DataFrame
        By variable: ``units``, ``values``, ``least``, ``greatest``, ``flagged`` and
        ``why`` (each meaning with its count).
    """
    rows = {}
    for name in map(str, data.data_vars):
        if name.endswith("flag") or data[name].dtype.kind not in "if":
            continue
        flag = next((f for f in (f"{name}_flag", "record_flag") if f in data), None)
        counts = count_flags(data[flag]) if flag else pd.Series(dtype="int64")
        raised = counts[counts > 0].drop(["total", "clean"], errors="ignore")
        rows[name] = {
            "units": data[name].attrs.get("units", ""),
            "values": int(np.isfinite(data[name].values).sum()),
            "least": float(data[name].min()),
            "greatest": float(data[name].max()),
            "flagged": int(counts.get("total", 0) - counts.get("clean", 0)),
            "why": ", ".join(f"{word} {count}" for word, count in raised.items()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")
