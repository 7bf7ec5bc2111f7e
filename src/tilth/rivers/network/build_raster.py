"""Rasters of terrain: read, checked, and laid north first, as networks need them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.regrid import EARTH_RADIUS
from tilth.core.regrid_cells import latlon_grid
from tilth.core.units import convert

#: Suffixes that rasterio reads here.
_TIFF = (".tif", ".tiff")

#: Ground is not lower or higher than this, m (Challenger Deep -10 935, Everest 8 849):
#: what is, stands for no data.
_LOWEST, _HIGHEST = -12_000.0, 9_000.0

#: Steps of a regular grid may differ by this share of a step (rounded coordinates).
_UNEVEN = 1e-2

_METRES = ("m", "metre", "metres", "meter", "meters")

#: Codes of the eight neighbours and of none, row by row from the north-west.
_ESRI = (32, 64, 128, 16, 0, 1, 8, 4, 2)
_LDD = (7, 8, 9, 4, 5, 6, 1, 2, 3)

#: ESRI's codes with what MERIT Hydro adds: a river that ends inland, and no data.
ESRI_INLAND, ESRI_NONE = 255, 247

ENCODINGS = ("esri", "ldd")


@dataclass(frozen=True)
class Raster:
    """A regular raster, its first row in the north and first column in the west.

    Parameters
    ----------
    values : numpy.ndarray, shape (row, column)
        Numbers, meaningless where not `valid`.
    valid : numpy.ndarray of bool, shape (row, column)
        Where there are data.
    coords : dict of str to xarray.DataArray
        Coordinates of rows and columns, as they were given.
    area : numpy.ndarray, shape (row, column)
        Area of the cells, m2.
    height, width : numpy.ndarray, shape (row)
        Distance between neighbours along a column and along a row, m.
    geographic : bool
        Whether the coordinates are latitude and longitude.
    """

    values: np.ndarray
    valid: np.ndarray
    coords: dict[str, xr.DataArray]
    area: np.ndarray
    height: np.ndarray
    width: np.ndarray
    geographic: bool

    def located(self, values: np.ndarray, name: str, **attrs: Any) -> xr.DataArray:
        """Return values of the cells as an array in the given raster's own order."""
        rows, columns = self.coords.values()
        flips = tuple(
            slice(None, None, -1 if wrong else 1)
            for wrong in (rows[0] < rows[-1], columns[0] > columns[-1])
        )
        return xr.DataArray(
            values[flips], self.coords, tuple(self.coords), name=name, attrs=attrs
        )


def read_raster(
    path: str | os.PathLike[str], variable: str | None = None
) -> xr.DataArray:
    """Read elevations or flow directions from a file.

    Parameters
    ----------
    path : path
        GeoTIFF (one band) or NetCDF.
    variable : str, optional
        Which variable of a NetCDF file with more than one of two dimensions.

    Returns
    -------
    xarray.DataArray
        Along ``lat`` and ``lon`` (degrees) or ``y`` and ``x`` (m); NaN where there are
        no data, or for integers their code of it in the attribute ``nodata``.

    Raises
    ------
    InputError
        If the file is something else, or does not say where it lies.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no {path}")
    if path.suffix.lower() in _TIFF:
        return _read_tiff(path)
    if path.suffix.lower() not in (".nc", ".nc4"):
        raise InputError(
            f"a raster is a GeoTIFF (.tif) or NetCDF (.nc) file, not {path}"
        )
    try:
        with xr.open_dataset(path, engine="h5netcdf") as file:
            flat = [str(name) for name, v in file.data_vars.items() if v.ndim == 2]
            if variable is None and len(flat) == 1:
                variable = flat[0]
            if variable not in file.data_vars:
                raise InputError(
                    f"{path} has the rasters {', '.join(flat) or '(none)'}: say which "
                    f"variable is meant{f', not {variable!r}' if variable else ''}"
                )
            return file[variable].load()
    except OSError as error:
        raise InputError(f"{path} cannot be read as NetCDF: {error}") from error


def _read_tiff(path: Path) -> xr.DataArray:
    """Read the one band of a GeoTIFF."""
    import rasterio

    try:
        with rasterio.open(path) as file:
            values = file.read(1)
            bands, crs, transform, nodata = (
                file.count,
                file.crs,
                file.transform,
                file.nodata,
            )
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path} cannot be read as a GeoTIFF: {error}") from error
    if bands != 1:
        raise InputError(f"{path} has {bands} bands: a raster of terrain has one")
    if crs is None:
        raise InputError(
            f"{path} has no coordinate reference system: it must be known whether its "
            "cells are degrees or metres (gdal_edit.py -a_srs EPSG:4326 writes it)"
        )
    if transform.b or transform.d:
        raise InputError(f"{path} is rotated: warp it to a grid that goes north first")
    attrs: dict[str, Any] = {"crs": crs.to_string()}
    if values.dtype.kind == "f":
        if nodata is not None:
            values = np.where(values == nodata, np.nan, values)
    elif nodata is not None:
        attrs["nodata"] = int(nodata)
    names, units, scale = ("lat", "lon"), ("degrees_north", "degrees_east"), 1.0
    if not crs.is_geographic:
        names, units = ("y", "x"), ("m", "m")
        scale = crs.linear_units_factor[1]
    rows, columns = values.shape
    y = (transform.f + (np.arange(rows) + 0.5) * transform.e) * scale
    x = (transform.c + (np.arange(columns) + 0.5) * transform.a) * scale
    coords = {
        name: (name, values, {"units": unit})
        for name, values, unit in zip(names, (y, x), units, strict=True)
    }
    return xr.DataArray(values, coords, names, name=path.stem, attrs=attrs)


def terrain_raster(data: xr.DataArray, what: str) -> Raster:
    """Check a raster and lay it north and west first.

    Parameters
    ----------
    data : xarray.DataArray
        Two dimensions: latitude and longitude in degrees, or ``y`` and ``x`` in m with
        square cells. NaN, or the code in its attribute ``nodata`` or ``_FillValue``,
        stands for no data.
    what : str
        What it is ("elevation"), for messages.

    Returns
    -------
    Raster
        Checked.

    Raises
    ------
    InputError
        If it is no such raster or has no data at all.
    """
    if not isinstance(data, xr.DataArray):
        raise InputError(f"{what} must be a DataArray, got {type(data).__name__}")
    data = data.squeeze(drop=True)
    if data.ndim != 2 or min(data.shape) < 2:
        raise InputError(
            f"{what} must be a raster of two dimensions, two cells long at least; it "
            f"has {dict(data.sizes)}"
        )
    if data.dtype.kind not in "iuf":
        raise InputError(f"{what} must hold numbers, not {data.dtype}")
    geographic = not {"y", "x"} <= set(data.dims)
    if geographic:
        grid = latlon_grid(data)
        rows, columns = grid.lat.coordinate, grid.lon.coordinate
    else:
        rows, columns = (_metric(data, name, what) for name in ("y", "x"))
    steps = [_regular_step(c, what) for c in (rows, columns)]
    data = data.transpose(rows.name, columns.name)
    flips = tuple(
        slice(None, None, -1 if wrong else 1) for wrong in (steps[0] > 0, steps[1] < 0)
    )
    values = data.values[flips]
    valid = np.isfinite(values)
    for code in {data.attrs.get("nodata"), data.attrs.get("_FillValue")} - {None}:
        valid &= values != code
    if not valid.any():
        raise InputError(f"{what} has no data anywhere in its {data.sizes}")
    if geographic:
        area = latlon_grid(data).area()[flips]
        lat = np.radians(rows.values.astype(float)[flips[0]])
        height = np.full(lat.size, EARTH_RADIUS * np.radians(abs(steps[0])))
        width = EARTH_RADIUS * np.radians(abs(steps[1])) * np.cos(lat)
    else:
        if abs(abs(steps[0] / steps[1]) - 1.0) > _UNEVEN:
            raise InputError(
                f"the cells of {what} must be square, they are {abs(steps[1]):g} m "
                f"wide and {abs(steps[0]):g} m high: flow to one of eight neighbours "
                "is meant for square ones; resample it"
            )
        area = np.full(values.shape, abs(steps[0] * steps[1]))
        height = np.full(values.shape[0], abs(steps[0]))
        width = np.full(values.shape[0], abs(steps[1]))
    coords = {
        str(c.name): c.reset_coords(drop=True).drop_attrs().assign_attrs(c.attrs)
        for c in (rows, columns)
    }
    return Raster(values, valid, coords, area, height, width, geographic)


def elevation_raster(data: xr.DataArray) -> Raster:
    """Check a raster of elevations; its values become float64 in m.

    Parameters
    ----------
    data : xarray.DataArray
        As for `terrain_raster`; with units, m is meant without.

    Returns
    -------
    Raster
        Elevations.

    Raises
    ------
    InputError
        If it is no such raster, or numbers are no elevations of the Earth.
    """
    if isinstance(data, xr.DataArray) and data.attrs.get("units", "m") not in _METRES:
        data = convert(data, "m")
    raster = terrain_raster(data, "elevation")
    values = np.where(raster.valid, raster.values.astype(float), np.nan)
    wrong = (values < _LOWEST) | (values > _HIGHEST)
    if wrong.any():
        raise InputError(
            f"elevation has {int(wrong.sum())} values like {values[wrong][0]:g} m, "
            "which no ground has: if they stand for no data, make them NaN or name the "
            "code in the attribute nodata"
        )
    return Raster(**{**vars(raster), "values": values})


def direction_raster(data: xr.DataArray, encoding: str | None = None) -> Raster:
    """Check a raster of flow directions; its codes become ESRI's, as uint8.

    Parameters
    ----------
    data : xarray.DataArray
        As for `terrain_raster`: ESRI's codes (1 east, 2 south-east, 4 ... 128
        north-east; 0 no outflow, 255 none inland, 247 no data) or those of a local
        drain direction (keys of a number block: 6 east, 3 south-east, ... 5 no
        outflow, 255 no data).
    encoding : {"esri", "ldd"}, optional
        Which codes; by default recognised.

    Returns
    -------
    Raster
        ESRI's codes, 247 where there are no data.

    Raises
    ------
    InputError
        If it is no such raster, or codes are unknown or could be either.
    """
    if encoding is not None and encoding not in ENCODINGS:
        raise InputError(
            f"encoding is one of {', '.join(ENCODINGS)}, or left out; got {encoding!r}"
        )
    raster = terrain_raster(data, "flow_direction")
    given = raster.values[raster.valid]
    if (given != np.round(given)).any():
        raise InputError(
            "flow_direction must hold whole codes, one is "
            f"{given[given != np.round(given)][0]:g}: is it an angle, or interpolated?"
        )
    found = set(np.unique(given).astype(np.int64).tolist())
    kind = encoding or _recognised(found)
    allowed = {*_ESRI, ESRI_INLAND, ESRI_NONE} if kind == "esri" else {*_LDD, 255}
    if found - allowed:
        raise InputError(
            f"flow_direction has the codes {_few(found - allowed)}, which {kind} does "
            f"not have (it has {_few(allowed)}): if they stand for no data, name the "
            "code in the attribute nodata; other encodings must be translated first"
        )
    codes = np.full(raster.values.shape, ESRI_NONE, np.uint8)
    codes[raster.valid] = given.astype(np.uint8)
    if kind == "ldd":
        table = np.full(256, ESRI_NONE, np.uint8)
        table[list(_LDD)] = _ESRI
        codes[raster.valid] = table[codes[raster.valid]]
    valid = codes != ESRI_NONE
    if not valid.any():
        raise InputError("flow_direction has no data anywhere")
    return Raster(**{**vars(raster), "values": codes, "valid": valid})


def _recognised(found: set[int]) -> str:
    """Return the encoding that has these codes, if it is only one."""
    esri = found <= {*_ESRI, ESRI_INLAND, ESRI_NONE}
    ldd = found <= {*_LDD, 255}
    if esri == ldd:
        raise InputError(
            f"flow_direction has the codes {_few(found)}, which "
            f"{'both ESRI and LDD have' if esri else 'neither ESRI nor LDD has'}: "
            f"{'say which with encoding' if esri else 'ESRI has'}"
            f"{'' if esri else f' {_few(set(_ESRI))}, LDD {_few(set(_LDD))}'}"
        )
    return "esri" if esri else "ldd"


def _few(codes: set[int]) -> str:
    """Return codes as text."""
    ordered = sorted(codes)
    return ", ".join(map(str, ordered[:12])) + (" ..." if len(ordered) > 12 else "")


def _metric(data: xr.DataArray, name: str, what: str) -> xr.DataArray:
    """Return a projected coordinate, which must be in metres."""
    if name not in data.coords:
        raise InputError(f"{what} has no coordinate {name}: its cells have no size")
    units = data[name].attrs.get("units")
    if units not in _METRES:
        raise InputError(
            f"the coordinate {name} of {what} must be in m, its units are {units!r}: "
            f"set {what}[{name!r}].attrs['units'] = 'm' if it is, or rename y and x to "
            "lat and lon if they are degrees"
        )
    return data[name]


def _regular_step(coordinate: xr.DataArray, what: str) -> float:
    """Return the step of a coordinate, which must be even."""
    steps = np.diff(coordinate.values.astype(float))
    step = float(steps.mean())
    if step == 0 or (np.abs(steps - step) > _UNEVEN * abs(step)).any():
        raise InputError(
            f"{coordinate.name} of {what} must go in even steps: they are from "
            f"{steps.min():g} to {steps.max():g}; is it a Gaussian grid, or sorted?"
        )
    return step
