"""Fluxes to a file, block by block: a fleet year never has to fit into memory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import whole_file

#: File name endings `write_fluxes` knows.
FORMATS = (".nc", ".csv", ".parquet")


def flux_table(fluxes: xr.Dataset) -> pd.DataFrame:
    """Return fluxes as a table for people: words for codes, reasons for flags.

    Parameters
    ----------
    fluxes : xarray.Dataset
        Result of `tilth.chambers.fluxes`.

    Returns
    -------
    pandas.DataFrame
        One row per closure: identifiers, time, then every variable; ``model`` and
        ``model_reason`` as words, flags as semicolon-separated words (empty:
        nothing is wrong).
    """
    first = ["closure", *(str(c) for c in fluxes.coords if c != "closure")]
    columns: dict[str, Any] = {name: fluxes[name].values for name in first}
    for variable in fluxes.data_vars:
        name = str(variable)
        data = fluxes[name]
        if data.dims != ("closure",):
            continue
        if "flag_meanings" not in data.attrs:
            columns[name] = data.values
        elif "flag_masks" in data.attrs:
            columns[name] = _mask_words(data)
        else:
            words = np.array(str(data.attrs["flag_meanings"]).split(), dtype=object)
            columns[name] = words[data.values]
    return pd.DataFrame(columns)


def _mask_words(flag: xr.DataArray) -> np.ndarray:
    """Each distinct mask as its words; few masks occur, so each is spelt out once."""
    words = str(flag.attrs["flag_meanings"]).split()
    masks = np.atleast_1d(flag.attrs["flag_masks"])
    values, where = np.unique(flag.values, return_inverse=True)
    spelt = [
        ";".join(w for w, m in zip(words, masks, strict=True) if value & m)
        for value in values
    ]
    return np.array(spelt, dtype=object)[where]


def write_fluxes(
    blocks: Iterable[xr.Dataset], path: str | os.PathLike[str]
) -> dict[str, int]:
    """Write blocks of fluxes to one NetCDF, CSV or Parquet file.

    The file appears under its name only when everything is in it; an error leaves
    an existing file as it was.

    Parameters
    ----------
    blocks : iterable of xarray.Dataset
        Results of `tilth.chambers.fluxes`, all with the same variables. Taken one
        at a time.
    path : path
        Ends in ``.nc``, ``.csv`` or ``.parquet``.

    Returns
    -------
    dict of str to int
        Number of ``closures`` and of ``fluxes`` that are not missing.

    Raises
    ------
    InputError
        If the ending is unknown, there is no block, or blocks differ in variables.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise InputError(
            f"cannot write {path.name!r}: the name must end in {', '.join(FORMATS)}"
        )
    counts = {"closures": 0, "fluxes": 0}
    append = {".nc": _append_netcdf, ".csv": _append_csv, ".parquet": _append_parquet}
    with whole_file(path) as half:
        append[path.suffix](half, _counted(blocks, counts))
        if not counts["closures"]:
            raise InputError("there is no closure to write")
    return counts


def _counted(
    blocks: Iterable[xr.Dataset], counts: dict[str, int]
) -> Iterator[xr.Dataset]:
    """Pass on the blocks that hold closures, counted and with the same variables."""
    expected: set | None = None
    for block in blocks:
        if not block.sizes["closure"]:
            continue
        names = set(block.variables)
        if expected is not None and names != expected:
            raise InputError(
                "files with different variables cannot share one table: "
                f"{', '.join(sorted(map(str, names ^ expected)))} is not in all of "
                "them; write them to separate outputs"
            )
        expected = names
        counts["closures"] += block.sizes["closure"]
        counts["fluxes"] += int(np.isfinite(block["flux"]).sum())
        yield block


def _append_csv(path: Path, blocks: Iterable[xr.Dataset]) -> None:
    for i, block in enumerate(blocks):
        flux_table(block).to_csv(path, mode="a", header=i == 0, index=False)


def _append_parquet(path: Path, blocks: Iterable[xr.Dataset]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    try:
        for block in blocks:
            table = pa.Table.from_pandas(flux_table(block), preserve_index=False)
            if writer is None:
                notes = {k: str(v) for k, v in block.attrs.items()}
                schema = table.schema.with_metadata(
                    {**(table.schema.metadata or {}), **notes}
                )
                writer = pq.ParquetWriter(path, schema)
            writer.write_table(table.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _append_netcdf(path: Path, blocks: Iterable[xr.Dataset]) -> None:
    """Append along an unlimited ``closure`` dimension."""
    import h5netcdf
    import h5py

    text = h5py.string_dtype()
    with h5netcdf.File(path, "w") as file:
        start = 0
        for block in blocks:
            if start == 0:
                file.dimensions = {"closure": None}
                file.attrs.update({str(k): v for k, v in block.attrs.items()})
                coordinates = " ".join(str(c) for c in block.coords if c != "closure")
                for name, data in block.variables.items():
                    kind = _stored_kind(data, text)
                    made = file.create_variable(
                        str(name), ("closure",), kind, chunks=(16384,),
                        fillvalue=np.nan if kind == np.float64 else None,
                        compression="gzip" if kind is not text else None,
                        compression_opts=1 if kind is not text else None,
                    )  # fmt: skip
                    made.attrs.update(_stored_attrs(data))
                    if name not in block.coords and coordinates:
                        made.attrs["coordinates"] = coordinates
            stop = start + block.sizes["closure"]
            file.resize_dimension("closure", stop)
            for name, data in block.variables.items():
                values = data.values
                if values.dtype.kind == "M":
                    values = values.astype("datetime64[us]").astype("int64")
                elif values.dtype.kind in "OUT":
                    values = values.astype(object)
                file[str(name)][start:stop] = values
            start = stop


def _stored_kind(data: xr.Variable, text: Any) -> Any:
    """Type of a variable in the file: text, microseconds since 1970, or a number."""
    if data.dtype.kind in "OUT":
        return text
    return np.dtype("int64") if data.dtype.kind == "M" else data.dtype


def _stored_attrs(data: xr.Variable) -> dict[str, Any]:
    attrs = {str(k): v for k, v in data.attrs.items()}
    if data.dtype.kind == "M":
        attrs |= {
            "units": "microseconds since 1970-01-01",
            "calendar": "proleptic_gregorian",
        }
    return attrs
