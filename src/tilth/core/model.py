"""Checks of the data model: dimensions, variables, identifiers and time."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from tilth import __version__
from tilth.core.errors import InputError


def require_variables(dataset: xr.Dataset, names: Iterable[str], what: str) -> None:
    """Raise unless every name is a variable of the dataset.

    Parameters
    ----------
    dataset : xarray.Dataset
        To be checked.
    names : iterable of str
        Variables or coordinates that must be there.
    what : str
        What the dataset should be, for the message ("a closures dataset").
    """
    missing = [name for name in names if name not in dataset.variables]
    if missing:
        raise InputError(
            f"{what} needs the variable{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)}; found {', '.join(map(str, dataset.variables))}"
        )


def require_dims(data: xr.DataArray, dims: Iterable[str]) -> None:
    """Raise unless the array has exactly these dimensions, in any order."""
    wanted = set(dims)
    if set(data.dims) != wanted:
        raise InputError(
            f"{data.name} needs the dimensions {sorted(wanted)}, "
            f"it has {list(data.dims)}"
        )


def require_text(data: xr.DataArray) -> None:
    """Raise unless an identifier is stored as text ("5.10" is not 5.1)."""
    if data.dtype.kind not in "OUT":
        raise InputError(
            f"the identifier {data.name} is stored as {data.dtype}: numbers lose "
            "trailing zeros ('5.10' becomes 5.1); read the column as text"
        )
    kind = pd.api.types.infer_dtype(np.ravel(data.values), skipna=False)
    if kind not in ("string", "empty"):
        raise InputError(
            f"the identifier {data.name} holds {kind} values beside text: read the "
            "column as text and give every row an identifier"
        )


def require_increasing(values: np.ndarray, name: str) -> None:
    """Raise unless the values rise strictly, naming the first that does not."""
    values = np.asarray(values)
    # Compared, not subtracted: differences of unsigned integers wrap around.
    wrong = np.flatnonzero(~(values[1:] > values[:-1]))
    if wrong.size:
        i = int(wrong[0]) + 1
        raise InputError(
            f"{name} must increase: value {i} ({values[i]}) follows {values[i - 1]}"
        )


def file_checksum(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file as hexadecimal text."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def stamp(
    dataset: xr.Dataset, step: str, sources: Iterable[str | os.PathLike[str]] = ()
) -> xr.Dataset:
    """Return the dataset with one more line of provenance.

    Parameters
    ----------
    dataset : xarray.Dataset
        Result of a step; not changed.
    step : str
        What was done, with its settings, in one line.
    sources : iterable of path
        Files the step read; ``name: checksum`` of each becomes a line of
        ``source_sha256``, after those of earlier steps.

    Returns
    -------
    xarray.Dataset
        With ``history`` (newest last), ``tilth_version``, ``Conventions`` and
        ``source_sha256`` attributes.
    """
    stamped = dataset.copy(deep=False)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    line = f"{now} tilth {__version__}: {step}"
    before = dataset.attrs.get("history")
    stamped.attrs["history"] = f"{before}\n{line}" if before else line
    stamped.attrs["tilth_version"] = __version__
    stamped.attrs["Conventions"] = "CF-1.11"
    known = dataset.attrs.get("source_sha256", "").splitlines()
    added = [f"{Path(path).name}: {file_checksum(path)}" for path in sources]
    if known or added:
        stamped.attrs["source_sha256"] = "\n".join(dict.fromkeys([*known, *added]))
    return stamped


@dataclass(frozen=True)
class OutputVariable:
    """A variable that a model puts out.

    Parameters
    ----------
    units, long_name, standard_name : str
        CF attributes; no standard name where CF has none.
    method : {"mean", "point", "sum", "maximum"}
        Mean over an interval, value at its end, sum, or largest absolute value in it.
    """

    units: str
    long_name: str
    standard_name: str = ""
    method: str = "mean"

    @property
    def attributes(self) -> dict[str, str]:
        """CF attributes."""
        result = {
            "units": self.units,
            "long_name": self.long_name,
            "cell_methods": f"time: {self.method}",
        }
        if self.standard_name:
            result["standard_name"] = self.standard_name
        return result
