"""Displacement from spherical harmonics of the gravity field, as GRACE observes it."""

from __future__ import annotations

import numba
import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import require_variables
from tilth.core.regrid_cells import latlon_grid
from tilth.loading.geometry import station_places
from tilth.loading.grids import DISPLACEMENTS, surface_density
from tilth.loading.love import Frame, LoveNumbers

#: Cosine of latitude is not let below this, so that directions at a pole stay defined.
_POLE = 1e-7

#: Gauss's rule across a cell, in sine of latitude.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(4)


def harmonic_displacement(
    coefficients: xr.Dataset,
    stations: xr.Dataset,
    love: LoveNumbers,
    *,
    coefficients_frame: Frame = "CF",
) -> xr.Dataset:
    r"""Return the displacement of stations by the load behind a change of gravity.

    .. math::

        u &= a \sum_{lm} \frac{h_l}{1 + k_l} \bar P_{lm}(\sin\phi)
             (C_{lm} \cos m\lambda + S_{lm} \sin m\lambda) \\
        (n, e) &= a \sum_{lm} \frac{l_l}{1 + k_l}
             \Big(\frac{\partial}{\partial\phi},
             \frac{1}{\cos\phi}\frac{\partial}{\partial\lambda}\Big)
             \bar P_{lm} (C_{lm} \cos m\lambda + S_{lm} \sin m\lambda)

    Parameters
    ----------
    coefficients : xarray.Dataset
        Changes ``C`` and ``S`` of Stokes coefficients, fully normalised (4 pi), without
        units, along ``degree`` from 0 and ``order`` from 0 and any others (months).
        Smooth and correct them before (degree 1 and C20 replaced, stripes removed).
    stations : xarray.Dataset
        With `lat` and `lon`, degrees, along one dimension.
    love : LoveNumbers
        In the frame that displacements are wanted in.
    coefficients_frame : {"CF", "CE", "CM"}
        Frame of the coefficients of degree 1. In CM they are 0 whatever the load, so
        that its displacement of degree 1 cannot be known from them.

    Returns
    -------
    xarray.Dataset
        ``east``, ``north``, ``up`` and ``geoid``, m, along the stations and the other
        dimensions of the coefficients.

    Raises
    ------
    InputError
        If coefficients are missing, of degrees that do not begin with 0, or more than
        there are Love numbers of.

    References
    ----------
    Davis, Elosegui, Mitrovica & Tamisiea (2004), Geophysical Research Letters 31,
    L24605; Wahr, Molenaar & Bryan (1998), Journal of Geophysical Research 103, 30205.
    """
    highest = _check(coefficients, love)
    if coefficients_frame == "CM" and bool((abs(coefficients["C"][1:2]) > 0).any()):
        raise InputError(
            "coefficients of degree 1 in the frame CM are 0 by definition; these are "
            "not: say in which frame they are"
        )
    at, dim = station_places(stations)
    theirs = love.in_frame(coefficients_frame)
    degree = np.arange(highest + 1)
    potential = 1.0 + theirs.k[degree]
    potential[np.abs(potential) < 1e-12] = np.inf  # degree 1 in CM: nothing to be known
    factors = np.stack(
        [
            love.l[degree] / potential,
            love.l[degree] / potential,
            love.h[degree] / potential,
            (1.0 + love.k[degree]) / potential,
        ]
    )
    sine = np.clip(at.up[:, 2], -1.0, 1.0)
    longitude = np.arctan2(at.east[:, 1], at.east[:, 0]) - np.pi / 2.0
    cosine, sines = _basis(sine, longitude, highest)
    weights = love.radius * factors[:, None, :, None]
    names = ("component", dim, "degree", "order")
    along_c = xr.DataArray(cosine * weights, dims=names)
    along_s = xr.DataArray(sines * weights, dims=names)
    bare = coefficients[["C", "S"]].drop_vars(
        [n for n in ("degree", "order") if n in coefficients.coords]
    )
    over = ["degree", "order"]
    moved = xr.dot(along_c, bare["C"], dim=over) + xr.dot(along_s, bare["S"], dim=over)
    result = xr.Dataset(
        {
            name: moved.isel(component=k).assign_attrs(units="m", long_name=text)
            for k, (name, text) in enumerate(DISPLACEMENTS.items())
        }
    )
    known = {name: c for name, c in stations.coords.items() if c.dims == (dim,)}
    return result.assign_coords(known | {n: stations[n] for n in ("lat", "lon")})


def stokes_coefficients(
    load: xr.DataArray, love: LoveNumbers, highest_degree: int
) -> xr.Dataset:
    r"""Return the change of gravity that a gridded load makes.

    .. math::

        C_{lm} = \frac{a^2}{M} \frac{1 + k_l}{2 l + 1}
                 \int \sigma \, \bar P_{lm}(\sin\phi) \cos m\lambda \, d\Omega

    and S with the sine; the load is even in each cell.

    Parameters
    ----------
    load : xarray.DataArray
        Mass per area on cells of latitude and longitude, and any other dimensions.
    love : LoveNumbers
        In the frame wanted.
    highest_degree : int
        Last degree.

    Returns
    -------
    xarray.Dataset
        ``C`` and ``S`` along ``degree`` and ``order``, for `harmonic_displacement`.

    Raises
    ------
    InputError
        If there are no Love numbers of so high a degree, or the load has gaps.
    """
    if not 1 <= highest_degree <= love.highest_degree:
        raise InputError(
            f"highest_degree is from 1 to that of the Love numbers, "
            f"{love.highest_degree}, got {highest_degree}"
        )
    grid = latlon_grid(load)
    density = surface_density(load)
    low, high = (np.sin(np.radians(x)) for x in (grid.lat.low, grid.lat.high))
    inner = (low[:, None] + high[:, None]) / 2 + _NODES * (high - low)[:, None] / 2
    legendre = _legendre(inner.ravel(), highest_degree)[0]
    shape = (low.size, _NODES.size, highest_degree + 1, highest_degree + 1)
    by_row = np.einsum("rnlm,n->rlm", legendre.reshape(shape), _WEIGHTS / 2.0)
    by_row *= (high - low)[:, None, None]
    order = np.arange(highest_degree + 1)
    west, east = np.radians(grid.lon.low), np.radians(grid.lon.high)
    # The integral of cos(m lambda) over a cell: of its middle, times sinc.
    middle, half = (west + east) / 2.0, (east - west) / 2.0
    width = 2.0 * half[:, None] * np.sinc(np.outer(half, order) / np.pi)
    degree = np.arange(highest_degree + 1)
    scale = love.radius**2 / love.mass * (1.0 + love.k[degree]) / (2 * degree + 1)
    rows = xr.DataArray(
        by_row * scale[:, None], dims=(grid.lat.name, "degree", "order")
    )
    bare = density.drop_vars(
        [n for n in (grid.lat.name, grid.lon.name) if n in density.coords]
    )
    result = {}
    for name, wave in (("C", np.cos), ("S", np.sin)):
        columns = xr.DataArray(
            wave(np.outer(middle, order)) * width, dims=(grid.lon.name, "order")
        )
        along = xr.dot(bare, columns, dim=[grid.lon.name])
        result[name] = xr.dot(along, rows, dim=[grid.lat.name]).transpose(
            ..., "degree", "order"
        )
    return xr.Dataset(result, {"degree": degree, "order": order})


def _check(coefficients: xr.Dataset, love: LoveNumbers) -> int:
    """Return the highest degree of coefficients that can be used."""
    require_variables(coefficients, ("C", "S"), "the coefficients")
    for name in ("C", "S"):
        missing = {"degree", "order"} - set(coefficients[name].dims)
        if missing:
            raise InputError(f"{name} lacks the dimension {', '.join(sorted(missing))}")
        if bool(coefficients[name].isnull().any()):
            raise InputError(
                f"{name} has missing values: put 0 where there is no order"
            )
    for name in ("degree", "order"):
        count = coefficients.sizes[name]
        given = coefficients.coords.get(name, xr.DataArray(np.arange(count)))
        if not np.array_equal(given.values, np.arange(count)):
            raise InputError(f"{name} must go from 0 up by one")
    if coefficients.sizes["degree"] != coefficients.sizes["order"]:
        raise InputError(
            f"there are {coefficients.sizes['degree']} degrees and "
            f"{coefficients.sizes['order']} orders: give as many, zero above the degree"
        )
    highest = coefficients.sizes["degree"] - 1
    if highest > love.highest_degree:
        raise InputError(
            f"coefficients go to degree {highest}, the Love numbers to "
            f"{love.highest_degree}"
        )
    return highest


def _basis(
    sine: np.ndarray, longitude: np.ndarray, highest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return east, north, up and geoid of each C and S (component, place, l, m)."""
    value, slope = _legendre(sine, highest)
    cosine = np.maximum(np.sqrt(1.0 - sine**2), _POLE)[:, None, None]
    order = np.arange(highest + 1)
    cos, sin = (
        wave(np.outer(longitude, order))[:, None, :] for wave in (np.cos, np.sin)
    )
    east = order * value / cosine
    along_c = np.stack([-east * sin, slope * cos, value * cos, value * cos])
    along_s = np.stack([east * cos, slope * sin, value * sin, value * sin])
    return along_c, along_s


@numba.njit(cache=True)
def _legendre(sine: np.ndarray, highest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return fully normalised Legendre functions and their slopes with latitude.

    Forward columns of Holmes & Featherstone (2002), Journal of Geodesy 76, 279-299.
    """
    shape = (sine.size, highest + 1, highest + 1)
    value, slope = np.zeros(shape), np.zeros(shape)
    for i in range(sine.size):
        t = sine[i]
        u = max(np.sqrt(max(0.0, 1.0 - t * t)), _POLE)
        for m in range(highest + 1):
            if m == 0:
                value[i, 0, 0] = 1.0
            else:
                grown = np.sqrt(3.0) if m == 1 else np.sqrt((2 * m + 1) / (2 * m))
                value[i, m, m] = u * grown * value[i, m - 1, m - 1]
            for n in range(m + 1, highest + 1):
                a = np.sqrt((2 * n - 1) * (2 * n + 1) / ((n - m) * (n + m)))
                value[i, n, m] = a * t * value[i, n - 1, m]
                if n > m + 1:
                    b = np.sqrt(
                        (2 * n + 1)
                        * (n + m - 1)
                        * (n - m - 1)
                        / ((n - m) * (n + m) * (2 * n - 3))
                    )
                    value[i, n, m] -= b * value[i, n - 2, m]
            for n in range(m, highest + 1):
                slope[i, n, m] = -n * t * value[i, n, m] / u
                if n > m:
                    f = np.sqrt((n * n - m * m) * (2 * n + 1) / (2 * n - 1))
                    slope[i, n, m] += f * value[i, n - 1, m] / u
    return value, slope
