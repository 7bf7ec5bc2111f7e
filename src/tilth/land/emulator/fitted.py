"""Fitted parameters as a dataset: what it must hold, and how it is kept in files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.core.model import require_variables, stamp
from tilth.land.emulator.parameters import table
from tilth.land.emulator.variants import VARIANTS, Variant

#: What has no place on the ground.
_OWN = ("member", "parameter", "month", "store")

STORES = ("snow", "soil", "wetland", "deep")


def fitted_dataset(
    parameters: np.ndarray,
    runoff_share: np.ndarray | float,
    soil_reference: np.ndarray | float,
    variant: str,
    *,
    dims: tuple[str, ...] = ("cell",),
    coords: Mapping[str, Any] | None = None,
    **provenance: Any,
) -> xr.Dataset:
    r"""Return parameters as the dataset that an `Emulator` is made of.

    Parameters
    ----------
    parameters : array, shape (15, 12, \*space) or (member, 15, 12, \*space)
        In the order of `tilth.land.emulator.parameters.PARAMETERS`; NaN where there is
        no land.
    runoff_share, soil_reference : array, shape (\*space), or float
        Share of refused water that runs off at once; soil water that the parameters
        are relative to, mm. With ``member`` in front where it differs.
    variant : str
        Name in `tilth.land.emulator.variants.VARIANTS`.
    dims : tuple of str
        Names of the dimensions in space, such as ``("lat", "lon")``.
    coords : mapping, optional
        Coordinates of the cells.
    **provenance
        Attributes: what was imitated, years, settings.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        If shapes, bounds of meaning or the variant are wrong; see `check_fitted`.
    """
    values = np.asarray(parameters)
    front = ("member",) * (values.ndim - 2 - len(dims))
    space = values.shape[len(front) + 2 :]

    def on_ground(data: Any) -> tuple[tuple[str, ...], np.ndarray]:
        array = np.asarray(data, float)
        with_members = array.ndim > len(space)
        shape = (*values.shape[: len(front)], *space) if with_members else space
        return (
            (*front, *dims) if with_members else dims,
            np.broadcast_to(array, shape),
        )

    fitted = xr.Dataset(
        {
            "parameters": ((*front, "parameter", "month", *dims), values),
            "runoff_share": on_ground(runoff_share),
            "soil_reference": on_ground(soil_reference),
        },
        {"month": np.arange(1, 13), **(coords or {})},
        {"variant": variant, **provenance},
    )
    rows = table(variant_of(fitted).closed)
    if values.shape[len(front)] == len(rows):
        fitted = fitted.assign_coords(
            parameter=[row.name for row in rows],
            units=("parameter", [row.unit for row in rows]),
        )
    fitted["runoff_share"].attrs["units"] = "1"
    fitted["soil_reference"].attrs["units"] = "mm"
    return check_fitted(fitted)


def variant_of(fitted: xr.Dataset) -> Variant:
    """Return the form of the equations that a fit was made for."""
    name = fitted.attrs.get("variant")
    if name not in VARIANTS:
        raise InputError(
            f"the parameters are for the variant {name!r}: the attribute 'variant' "
            f"must be one of {', '.join(VARIANTS)}"
        )
    return VARIANTS[name]


def check_fitted(fitted: xr.Dataset) -> xr.Dataset:
    """Return fitted parameters in the order of the kernel, if they are complete.

    Parameters
    ----------
    fitted : xarray.Dataset
        ``parameters`` (parameter, month, space, and ``member`` of an ensemble),
        ``runoff_share`` and ``soil_reference`` (space), attribute ``variant``.

    Returns
    -------
    xarray.Dataset
        The same with the dimensions of ``parameters`` in the order member, parameter,
        month, space, and those of the other two in the order member, space.

    Raises
    ------
    InputError
        If something is absent, the parameters are others or in another order, a
        dimension is missing, or a value cannot be.
    """
    needed = ("parameters", "runoff_share", "soil_reference")
    require_variables(fitted, needed, "a dataset of fitted parameters")
    rows = table(variant_of(fitted).closed)
    values = fitted["parameters"]
    for dim, size in (("parameter", len(rows)), ("month", 12)):
        if values.sizes.get(dim) != size:
            raise InputError(
                f"parameters need the dimension {dim} with {size} values, they have "
                f"{dict(values.sizes)}"
            )
    wanted = [row.name for row in rows]
    names = fitted["parameter"].values.tolist() if "parameter" in fitted else wanted
    if names != wanted:
        raise InputError(
            f"the variant {fitted.attrs['variant']} has the parameters "
            f"{', '.join(wanted)}, in this order; got {', '.join(map(str, names))}"
        )
    months = fitted["month"].values.tolist() if "month" in fitted.coords else None
    if months is not None and months != list(range(1, 13)):
        raise InputError(f"month must run from 1 to 12, got {months}")
    space = space_dims(fitted)
    front = [dim for dim in ("member",) if dim in values.dims]
    for name in ("runoff_share", "soil_reference"):
        extra = set(map(str, fitted[name].dims)) - {*space, *front}
        if extra:
            raise InputError(f"{name} has the dimension {', '.join(sorted(extra))} too")
        absent = set(space) - set(fitted[name].dims)
        if absent:
            raise InputError(
                f"{name} lacks the dimension {', '.join(sorted(absent))}: every cell "
                "needs a value of its own; xarray.broadcast repeats one"
            )
    share = fitted["runoff_share"]
    if bool(((share < 0) | (share > 1)).any()):
        raise InputError(
            "runoff_share is a share, 0 to 1; it runs from "
            f"{float(share.min()):g} to {float(share.max()):g}"
        )
    return fitted.assign(
        {"parameters": values.transpose(*front, "parameter", "month", *space)}
        | {
            name: fitted[name].transpose("member", *space, missing_dims="ignore")
            for name in needed[1:]
        }
    )


def space_dims(fitted: xr.Dataset) -> tuple[str, ...]:
    """Return the dimensions of the cells, such as ``("lat", "lon")``; none for one."""
    return tuple(str(d) for d in fitted["parameters"].dims if d not in _OWN)


def write_fitted(fitted: xr.Dataset, path: str | os.PathLike[str]) -> Path:
    """Write fitted parameters to NetCDF (``.nc``) or Zarr (any other ending).

    Parameters
    ----------
    fitted : xarray.Dataset
        See `check_fitted`.
    path : path
        A NetCDF file appears under its name when it is complete; a Zarr store is a
        folder that must not exist.

    Returns
    -------
    pathlib.Path
        The path.

    Raises
    ------
    InputError
        If the folder is not there, or the Zarr store is.
    """
    path = Path(path)
    stamped = stamp(fitted, f"emulator written to {path.name}")
    if path.suffix == ".nc":
        write_netcdf(stamped, path)
        return path
    if path.exists():
        raise InputError(f"{path} exists: choose another name or remove it first")
    # Format 3 has no settled way to keep text yet.
    stamped.to_zarr(path, mode="w-", consolidated=False, zarr_format=2)
    return path


def read_fitted(path: str | os.PathLike[str]) -> xr.Dataset:
    """Read fitted parameters that `write_fitted` wrote.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or it holds something else.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"there is no {path}")
    if path.suffix == ".nc":
        return check_fitted(read_netcdf(path, "an emulator"))
    try:
        fitted = xr.load_dataset(path, engine="zarr", consolidated=False)
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read as a Zarr store: it is damaged, was not copied to "
            f"its end, or is something else ({str(error).splitlines()[0]})"
        ) from error
    return check_fitted(fitted)
