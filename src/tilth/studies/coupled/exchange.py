"""What cells of the land give to catchments, and get back: areas that they share."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy import sparse

from tilth.core.constants import WATER_DENSITY
from tilth.core.errors import InputError
from tilth.core.regrid import Regridder
from tilth.rivers.network.model import RiverNetwork

__all__ = ["Exchange"]


class Exchange:
    """Conservative ways from cells of the land to catchments and back.

    The area of a cell that counts is that which lies in catchments: what leaves the
    cells is what the catchments receive, to rounding, whatever their shapes.

    Parameters
    ----------
    areas : scipy.sparse matrix, shape (catchment, cell)
        Area that each catchment shares with each cell, m2.

    Raises
    ------
    InputError
        If an area is negative or not a number, or nothing overlaps.
    """

    def __init__(self, areas: Any) -> None:
        self.areas = sparse.csr_matrix(areas, dtype=float)
        data = self.areas.data
        if not np.isfinite(data).all() or data.min(initial=0.0) < 0.0:
            raise InputError("areas that catchments share with cells are 0 m2 or more")
        if not data.sum() > 0.0:
            raise InputError(
                "the land and the catchments have no area in common: are longitudes "
                "from 0 to 360 in one and from -180 to 180 in the other?"
            )
        self._turned = self.areas.T.tocsr()
        #: Area of each cell that lies in catchments, m2.
        self.cell_area = np.asarray(self._turned.sum(axis=1)).ravel()
        #: Area of each catchment that lies in cells of the land, m2.
        self.catchment_area = np.asarray(self.areas.sum(axis=1)).ravel()

    @classmethod
    def of(
        cls, regridder: Regridder | Any, network: RiverNetwork, cells: xr.Dataset
    ) -> Exchange:
        """Return the exchange between the cells of a forcing and a network.

        Parameters
        ----------
        regridder : Regridder or sparse matrix
            Of `tilth.core.regrid.conservative_regions` from the land's grid to the
            network's catchments; or the areas in m2, (catchment, cell), in the order
            of both.
        network : RiverNetwork
            Where the water goes.
        cells : xarray.Dataset
            ``lat`` and ``lon`` of the land's cells; they may be some of the grid's.

        Returns
        -------
        Exchange

        Raises
        ------
        InputError
            If the regridder is of other catchments or other cells.
        """
        if not isinstance(regridder, Regridder):
            return cls(_fitting(regridder, network, cells["lat"].size))
        ids = next(iter(regridder.target.coords.values())).values
        if not np.array_equal(ids, network.ids):
            raise InputError(
                "the regridder is not to the network's catchments, or in another "
                "order: build it with conservative_regions(grid, labels, network.ids)"
            )
        columns = _columns(regridder, cells)
        return cls(_fitting(regridder.weights[:, columns], network, columns.size))

    def inflow(self, runoff: np.ndarray) -> np.ndarray:
        """Return the water that catchments receive, m3 s-1.

        Parameters
        ----------
        runoff : array (cell,)
            kg m-2 s-1.

        Returns
        -------
        numpy.ndarray (catchment,)
        """
        return self.areas @ runoff / WATER_DENSITY

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return means over catchments of values per area; 0 where there is no land.

        Parameters
        ----------
        values : array (cell,)
            Any units.

        Returns
        -------
        numpy.ndarray (catchment,)
        """
        total = self.areas @ values
        empty = np.zeros_like(total)
        has_land = self.catchment_area > 0.0
        return np.divide(total, self.catchment_area, out=empty, where=has_land)

    def back(self, totals: np.ndarray) -> np.ndarray:
        """Hand totals of catchments to their cells, in the shares of area.

        Parameters
        ----------
        totals : array (catchment,)
            Such as flooded area in m2, or water in m3.

        Returns
        -------
        numpy.ndarray (cell,)
            With the same sum, but for catchments without land.
        """
        empty = np.zeros_like(self.catchment_area)
        has_land = self.catchment_area > 0.0
        return self._turned @ np.divide(
            totals, self.catchment_area, out=empty, where=has_land
        )

    def volume(self, amount: np.ndarray) -> float:
        """Return the water of all cells, m3, of amounts in kg m-2."""
        return float(self.cell_area @ amount) / WATER_DENSITY


def _fitting(areas: Any, network: RiverNetwork, cells: int) -> Any:
    """Return areas if they are of the network and of so many cells."""
    if areas.shape != (network.size, cells):
        raise InputError(
            f"areas of the shape {areas.shape} do not join {network.size} catchments "
            f"and {cells} cells"
        )
    return areas


def _columns(regridder: Regridder, cells: xr.Dataset) -> np.ndarray:
    """Return where the cells lie in the grid of the regridder, flattened."""
    source = regridder.source
    lat, lon = (np.asarray(c.values, float) for c in source.coords.values())
    if cells["lat"].dims != cells["lon"].dims:  # a grid, its rows first
        y, x = np.meshgrid(cells["lat"].values, cells["lon"].values, indexing="ij")
    else:
        y, x = cells["lat"].values, cells["lon"].values
    y, x = np.ravel(y).astype(float), np.ravel(x).astype(float)
    row = np.abs(lat[:, None] - y).argmin(axis=0)
    turn = np.abs((lon[:, None] - x + 180.0) % 360.0 - 180.0)
    column = turn.argmin(axis=0)
    step = min(np.abs(np.diff(axis)).min(initial=360.0) for axis in (lat, lon))
    off = np.maximum(np.abs(lat[row] - y), turn[column, np.arange(x.size)])
    if off.max() > 0.01 * step:
        k = int(off.argmax())
        raise InputError(
            f"the land's cell at {y[k]:g} N, {x[k]:g} E is none of the grid that the "
            "regridder was made for"
        )
    flat = row * lon.size + column
    if np.unique(flat).size != flat.size:
        raise InputError("two of the land's cells lie in one of the regridder's grid")
    return flat
