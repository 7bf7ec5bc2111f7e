"""Runoff from the cells of a grid to catchments, by areas they have in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from scipy import sparse

from tilth.core.errors import InputError
from tilth.core.units import convert
from tilth.rivers.network.cama_binary import read_records
from tilth.rivers.network.model import RiverNetwork

__all__ = ["InputMatrix", "read_input_matrix", "runoff_to_catchments"]

#: Density of water by which kg m-2 become m, as everywhere in land models.
_WATER_DENSITY = 1000.0

_ROW_NAMES = {"lat", "latitude", "y", "row", "rlat"}
_COLUMN_NAMES = {"lon", "longitude", "x", "column", "rlon"}


@dataclass(frozen=True)
class InputMatrix:
    """Areas that catchments have in common with the cells of a grid.

    Parameters
    ----------
    areas : scipy.sparse.csr_array, shape (catchments, rows times columns)
        m2; the cells of the grid row by row.
    rows, columns : int
        Size of the grid.
    catchment : numpy.ndarray
        Identifiers of the catchments.
    latitude : numpy.ndarray, optional
        Of the catchments, degrees, to see whether a grid stands upside down.
    """

    areas: Any
    rows: int
    columns: int
    catchment: np.ndarray
    latitude: np.ndarray | None = None

    def __post_init__(self) -> None:
        shape = (len(self.catchment), self.rows * self.columns)
        if self.areas.shape != shape:
            raise InputError(
                f"areas of the shape {self.areas.shape} do not join {shape[0]} "
                f"catchments with {self.rows} x {self.columns} cells"
            )

    @property
    def area(self) -> np.ndarray:
        """Area that is fed with runoff in each catchment, m2."""
        return np.asarray(self.areas.sum(axis=1)).ravel()


def read_input_matrix(
    path: str | os.PathLike[str],
    dimensions: str | os.PathLike[str],
    network: RiverNetwork,
    byte_order: str = "little",
) -> InputMatrix:
    """Read a CaMa-Flood input matrix (``inpmat-*.bin``).

    Parameters
    ----------
    path : path
        Binary of three blocks (n, rows, columns) on the grid of the map: column and
        row of up to n input cells (int32, counted from 1, 0 where there is none), and
        the area in common (float32, m2).
    dimensions : path
        Its text (``diminfo_*.txt``): columns, rows, layers of the map, columns, rows
        of the input, and n, one number at the start of each line.
    network : RiverNetwork
        From the same map, or a part of it.
    byte_order : str, default "little"
        Or "big".

    Returns
    -------
    InputMatrix
        For `runoff_to_catchments`. The areas of a catchment need not add up to its
        own: it is they that are multiplied with runoff.

    Raises
    ------
    InputError
        If sizes do not agree, indices leave the input grid, or areas are negative.
    """
    columns, rows, input_columns, input_rows, count = _dimensions(dimensions)
    network.require("row", "column")
    size = tuple(network.data.attrs.get(f"grid_{n}") for n in ("rows", "columns"))
    if size != (rows, columns):
        raise InputError(
            f"{dimensions} is for a map of {rows} rows and {columns} columns, the "
            f"network's has {size[0]} and {size[1]}"
        )
    shape = (3, count, rows, columns)
    blocks = read_records(path, "i", shape, byte_order)
    cell = (
        slice(None),
        network.data["row"].values,
        network.data["column"].values,
    )
    x, y = blocks[0][cell], blocks[1][cell]
    area = blocks[2].view(np.float32)[cell].astype(float)
    used = x > 0
    wrong = used & ((x > input_columns) | (y < 1) | (y > input_rows))
    if wrong.any() or (x < 0).any():
        raise InputError(
            f"{path}: {int(wrong.sum() + (x < 0).sum())} indices lie outside of an "
            f"input grid of {input_columns} columns and {input_rows} rows: the matrix "
            "is of another grid, or in the other byte order"
        )
    if not ((area[used] >= 0) & (area[used] < 1e16)).all():
        raise InputError(
            f"{path}: areas are negative or beyond all measure: it is damaged, or in "
            "the other byte order"
        )
    catchment = np.broadcast_to(np.arange(network.size), x.shape)
    areas = sparse.csr_array(
        (
            area[used],
            (catchment[used], (y[used] - 1) * input_columns + x[used] - 1),
        ),
        shape=(network.size, input_rows * input_columns),
    )
    areas.eliminate_zeros()
    latitude = network.data["lat"].values if "lat" in network.data.coords else None
    return InputMatrix(areas, input_rows, input_columns, network.ids, latitude)


def runoff_to_catchments(
    matrix: InputMatrix,
    runoff: xr.DataArray,
    units: str | None = None,
    *,
    negative: str = "keep",
    missing: float | None = None,
) -> xr.DataArray:
    r"""Return the runoff of catchments from runoff on a grid.

    .. math:: R_c = \sum_g A_{cg} r_g

    with the area :math:`A_{cg}` catchment c shares with cell g.

    Parameters
    ----------
    matrix : InputMatrix
        Areas in common.
    runoff : xarray.DataArray, dims (..., lat, lon)
        Depth per time ("m day-1", "mm day-1") or mass per area and time
        ("kg m-2 s-1"), on the grid of the matrix; Dask arrays stay lazy.
    units : str, optional
        Where `runoff` has no ``units``, or wrong ones.
    negative : {"keep", "zero"}
        "zero": catchments with a negative sum get none, as in CaMa-Flood; the water
        taken away is then missing from the balance. By default negative runoff stays.
    missing : float, optional
        Stands for missing cells, such as 0.0 for those of the sea, as CaMa-Flood
        takes them; by default a catchment that needs one is missing itself.

    Returns
    -------
    xarray.DataArray, dims (..., catchment)
        m3 s-1.

    Raises
    ------
    InputError
        If the grid or its row order is another one, or units are not runoff's.
    """
    if negative not in ("keep", "zero"):
        raise InputError(f"negative is 'keep' or 'zero', not {negative!r}")
    high, wide = _grid_dims(runoff, matrix)
    if units is not None:
        runoff = runoff.assign_attrs(units=units)
    depth = _as_depth(runoff)
    _check_latitude(depth, high, matrix)
    if missing is not None:
        depth = depth.fillna(missing)
    fed = matrix.areas

    def feed(values: np.ndarray) -> np.ndarray:
        flat = values.reshape(-1, matrix.rows * matrix.columns).astype(float)
        sums = (fed @ flat.T).T  # a missing cell spoils what it feeds, no more
        if negative == "zero":
            sums = np.maximum(sums, 0.0)
        return sums.reshape(*values.shape[:-2], len(matrix.catchment))

    if depth.chunks is not None:
        depth = depth.chunk({high: -1, wide: -1})
    sums = xr.apply_ufunc(
        feed,
        depth,
        input_core_dims=[[high, wide]],
        output_core_dims=[["catchment"]],
        dask="parallelized",
        dask_gufunc_kwargs={"output_sizes": {"catchment": len(matrix.catchment)}},
        output_dtypes=[float],
    )
    sums = sums.assign_coords(catchment=matrix.catchment).rename("runoff")
    sums.attrs = {
        "units": "m3 s-1",
        "long_name": "runoff of the catchment",
        "cell_methods": "time: mean",
    }
    return sums


def _as_depth(runoff: xr.DataArray) -> xr.DataArray:
    """Return runoff in m s-1."""
    from tilth.core.errors import UnitsError

    try:
        return convert(runoff, "m s-1")
    except UnitsError:
        if "units" not in runoff.attrs:
            raise
    try:
        return convert(runoff, "kg m-2 s-1") / _WATER_DENSITY
    except UnitsError as error:
        raise UnitsError(
            f"{runoff.name} in {runoff.attrs['units']!r} is no runoff: that is a depth "
            "or a mass per area, per time, such as 'mm day-1', 'm day-1' or "
            "'kg m-2 s-1'; divide amounts by their interval first"
        ) from error


def _grid_dims(runoff: xr.DataArray, matrix: InputMatrix) -> tuple[str, str]:
    """Return the names of rows and columns of the grid."""
    high = [d for d in runoff.dims if str(d).lower() in _ROW_NAMES]
    wide = [d for d in runoff.dims if str(d).lower() in _COLUMN_NAMES]
    if len(high) != 1 or len(wide) != 1:
        raise InputError(
            f"{runoff.name} needs a dimension lat and a dimension lon; it has "
            f"{', '.join(map(str, runoff.dims)) or 'none'}"
        )
    found = runoff.sizes[high[0]], runoff.sizes[wide[0]]
    if found != (matrix.rows, matrix.columns):
        raise InputError(
            f"{runoff.name} has {found[0]} rows and {found[1]} columns, the input "
            f"matrix is for {matrix.rows} and {matrix.columns}: it belongs to another "
            "grid"
        )
    return str(high[0]), str(wide[0])


def _check_latitude(depth: xr.DataArray, high: str, matrix: InputMatrix) -> None:
    """Raise if the catchments would lie right with the rows the other way round."""
    if matrix.latitude is None or high not in depth.coords or matrix.rows < 2:
        return
    degrees = np.repeat(depth[high].values.astype(float), matrix.columns)
    fed = matrix.area > 0
    if not fed.any():
        return
    share = matrix.areas[fed] / matrix.area[fed][:, None]

    def off(of_cells: np.ndarray) -> float:
        return float(np.abs(share @ of_cells - matrix.latitude[fed]).mean())  # type: ignore[index]

    upright, turned = off(degrees), off(degrees[::-1])
    step = abs(degrees[-1] - degrees[0]) / (matrix.rows - 1)
    if upright > step / 2 and turned < upright / 2:
        raise InputError(
            f"the rows of {depth.name} stand the other way round than the input matrix "
            f"expects: catchments lie {upright:.3g} degrees from their runoff, and "
            f"{turned:.3g} with the rows turned; use runoff.isel({high}=slice(None, "
            "None, -1))"
        )


def _dimensions(path: str | os.PathLike[str]) -> tuple[int, int, int, int, int]:
    """Return columns, rows of the map, columns, rows of the input, and cells each."""
    if not Path(path).is_file():
        raise InputError(f"there is no {path}")
    numbers = []
    for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines():
        word = line.split("!")[0].strip()
        if word.isdigit():
            numbers.append(int(word))
    if len(numbers) < 6 or min(numbers[:6]) < 1:
        raise InputError(
            f"{path} needs six whole numbers, each at the start of a line: columns, "
            "rows, layers of the map, columns, rows of the input, cells per catchment"
        )
    columns, rows, _, input_columns, input_rows, count = numbers[:6]
    return columns, rows, input_columns, input_rows, count
