"""Where on the sphere the values of data are: on a grid, on a bent grid, at points."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.regrid_weights import Places

#: Short name, standard name and units of the two coordinates.
LATITUDE = ("lat", "latitude", "degrees_north")
LONGITUDE = ("lon", "longitude", "degrees_east")


@dataclass(frozen=True)
class Positions:
    """Latitude and longitude of places.

    Parameters
    ----------
    lat, lon : numpy.ndarray
        Degrees; they broadcast to the shape of the places.
    places : tilth.core.regrid_weights.Places
        Dimensions and coordinates; areas are NaN, since values belong to points.
    rectilinear : bool
        Whether rows follow parallels and columns meridians.
    names : tuple of str
        What latitude and longitude are called.
    """

    lat: np.ndarray
    lon: np.ndarray
    places: Places
    rectilinear: bool
    names: tuple[Hashable, Hashable]

    def bare(self) -> Places:
        """Return the places with nothing beside them but their positions."""
        beside = {n: c for n, c in self.places.beside.items() if n in self.names}
        return Places(self.places.coords, self.places.area, beside)

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Return latitude and longitude of every place, in one row."""
        lat, lon = np.broadcast_arrays(self.lat, self.lon)
        return lat.ravel(), lon.ravel()


def geographic_coordinate(
    data: xr.DataArray | xr.Dataset, kind: tuple[str, str, str]
) -> xr.DataArray:
    """Return the latitude or the longitude of data.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        With one coordinate of the kind, known by its name, ``standard_name`` or
        units; or, in a dataset, a variable of that name.
    kind : tuple of str
        `LATITUDE` or `LONGITUDE`.

    Returns
    -------
    xarray.DataArray
        The coordinate.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    short, long, units = kind
    found = [
        coordinate
        for name, coordinate in data.coords.items()
        if str(name).lower() in (short, long)
        or coordinate.attrs.get("standard_name") == long
        or coordinate.attrs.get("units") == units
    ]
    if not found and isinstance(data, xr.Dataset):
        found = [v for n, v in data.items() if str(n).lower() in (short, long)]
    if len(found) != 1:
        raise InputError(
            f"a latitude-longitude grid needs one coordinate of {long}; found "
            f"{', '.join(str(c.name) for c in found) or 'none'} among "
            f"{', '.join(map(str, data.coords)) or 'no coordinates'}"
        )
    return found[0]


def positions(data: xr.DataArray | xr.Dataset) -> Positions:
    """Return where the values of data are.

    Parameters
    ----------
    data : xarray.DataArray or xarray.Dataset
        With latitude and longitude, degrees: one dimension each (a grid), the same two
        dimensions (a bent grid, such as that of a regional model), the same one
        (stations, cells), or none (a point).

    Returns
    -------
    Positions
        Of a grid, latitudes of the shape (row, 1) and longitudes of (1, column).

    Raises
    ------
    InputError
        If there are no such coordinates, or latitudes lie beyond the poles.
    """
    lat = geographic_coordinate(data, LATITUDE)
    lon = geographic_coordinate(data, LONGITUDE)
    apart = lat.dims == (lat.name,) and lon.dims == (lon.name,)
    if not apart and lat.dims != lon.dims:
        raise InputError(
            f"{lat.name} has the dimensions {_said(lat.dims)} and {lon.name} has "
            f"{_said(lon.dims)}: places need one each, or both the same"
        )
    here, there = (c.values.astype(float) for c in (lat, lon))
    beyond = np.abs(here[np.isfinite(here)]) > 90.0
    if beyond.any():
        raise InputError(
            f"{lat.name} must lie between the poles, -90 and 90 degrees; it reaches "
            f"{np.nanmin(here):g} to {np.nanmax(here):g}"
        )
    if apart:
        here, there = here[:, None], there[None, :]
    dims = lat.dims + lon.dims if apart else lat.dims
    shape = np.broadcast_shapes(here.shape, there.shape)
    coords = {
        name: data[name].reset_coords(drop=True)
        if name in data.coords
        else xr.DataArray(np.arange(size), dims=str(name), name=name)
        for name, size in zip(dims, shape, strict=True)
    }
    beside = _beside(data, coords) | {
        c.name: c.reset_coords(drop=True) for c in (lat, lon) if c.name not in coords
    }
    places = Places(coords, np.full(shape, np.nan), beside)
    return Positions(here, there, places, apart, (lat.name, lon.name))


def _beside(
    data: xr.DataArray | xr.Dataset, coords: dict[Hashable, xr.DataArray]
) -> dict[Hashable, xr.DataArray]:
    """Return what else is said of the places: names, altitudes."""
    return {
        name: c.reset_coords(drop=True)
        for name, c in data.coords.items()
        if name not in coords and c.dims and set(c.dims) <= set(coords)
    }


def _said(dims: tuple[Hashable, ...]) -> str:
    """Return the names of dimensions."""
    return ", ".join(map(str, dims)) or "none"
