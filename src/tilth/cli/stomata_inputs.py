"""Tables of leaves for the commands of ``tilth stomata``: read, mapped, counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import xarray as xr

FILE = typer.Argument(
    help="Workbook or export of an LI-6800, table of an LI-6400, or any CSV."
)

COLUMNS = typer.Option(
    None,
    "--columns",
    metavar="YAML",
    help="Quantity: column, or quantity: {variable: column, units: ...}.",
)

ENCODING = typer.Option("utf-8", "--encoding", help="Of text; old tables: latin-1.")

IGNORED = typer.Option(
    [],
    "--ignore",
    metavar="FLAG",
    help="Use rows in spite of this flag, such as instrument; repeatable.",
)


def read_leaves(file: Path, columns: Path | None, encoding: str) -> xr.Dataset:
    """Read the leaves of a file.

    Parameters
    ----------
    file : path
        Of `tilth.stomata.read_gas_exchange`.
    columns : path, optional
        Map of its columns, YAML.
    encoding : str
        Of text.

    Returns
    -------
    xarray.Dataset
        Of `tilth.stomata.leaf_observations`.

    Raises
    ------
    InputError
        If the file or the map cannot be read.
    """
    from tilth.core.errors import InputError
    from tilth.stomata.readers import read_gas_exchange

    named = None if columns is None else _column_map(columns)
    try:
        return read_gas_exchange(file, named, encoding=encoding)
    except LookupError as error:
        raise InputError(f"--encoding {encoding}: {error}") from error


def usable_rows(observations: xr.Dataset, ignored: list[str]) -> xr.Dataset:
    """Print how many rows each reason takes, and return the others.

    Parameters
    ----------
    observations : xarray.Dataset
        Of `read_leaves`.
    ignored : list of str
        Flags that do not count.

    Returns
    -------
    xarray.Dataset
        Fewer rows.

    Raises
    ------
    InputError
        If none is left, or a flag is unknown.
    """
    from tilth.stomata.observations import FLAGS, flag_counts, usable

    left = usable(observations, ignore=tuple(ignored))
    counts = flag_counts(observations).drop("usable")
    total, used = observations.sizes["observation"], left.sizes["observation"]
    typer.echo(f"{total} observations, {used} used")
    for meaning, count in counts[counts > 0].items():
        name = str(meaning)
        kept = " (used all the same)" if name in ignored else ""
        about = FLAGS.descriptions[name]
        typer.echo(f"{count:>10}  {name}: {about}{kept}")
    return left


def _column_map(path: Path) -> dict[str, str | tuple[str, str]]:
    """Read which column is what."""
    import yaml

    from tilth.core.errors import InputError

    if not path.exists():
        raise InputError(f"there is no {path}")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a YAML file: {error}") from error
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} must hold lines 'quantity: column'")
    return {str(name): _column(path, name, way) for name, way in content.items()}


def _column(path: Path, name: Any, way: Any) -> str | tuple[str, str]:
    """Return a column, with its units where they are given."""
    from tilth.core.errors import InputError

    if isinstance(way, str | int | float):
        return str(way)
    words = set(way) if isinstance(way, dict) else set()
    if "variable" not in words or words - {"variable", "units"}:
        raise InputError(
            f"{path}: {name} is a column, or {{variable: a column, units: its units}}, "
            f"not {way!r}"
        )
    if way.get("units") is None:
        return str(way["variable"])
    return str(way["variable"]), str(way["units"])
