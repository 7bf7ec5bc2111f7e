"""Parameters of the land model: one table of them, and the arrays a run is given.

Every number of the model that a user may want to change, to fit or to perturb is a
row of the table. A run takes them as a dataset over its cells (`parameter_dataset`);
inside, they are a PyTree of arrays with the cells last (`LandParameters`), so that the
gradient of anything with respect to all of them is one call of ``jax.grad``.
"""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import numpy as np
import xarray as xr

from tilth.core.accelerate import jnp
from tilth.core.errors import InputError
from tilth.land.model.land_classes import C4_CLASSES, LEAF_AREA, land_class
from tilth.physics.soil_hydraulics import TEXTURES

#: Dimensions of parameters that have more than one number per cell.
DIMENSIONS = {"month": 12, "band": 2, "snow_band": 3}

#: Height of the weather above the canopy where none is given, m.
ABOVE_CANOPY = 10.0


@dataclass(frozen=True)
class Row:
    """A parameter.

    Parameters
    ----------
    name, symbol : str
        Its name in datasets and its symbol in the papers.
    default : float, list of float or None
        None where it comes with the land class or the soil texture.
    lower, upper : float
        Bounds within which the model is meant to be used.
    units, meaning, source : str
        Units in UDUNITS spelling, what it is, where the default is from.
    dimension : str
        Of `DIMENSIONS`, or empty.
    """

    name: str
    symbol: str
    default: float | list[float] | None
    lower: float
    upper: float
    units: str
    meaning: str
    source: str
    dimension: str = ""


@functools.cache
def table() -> dict[str, Row]:
    """Return the parameters by name, in the order of `LandParameters`.

    Returns
    -------
    dict of str to Row
        Read from ``parameters.yaml`` beside this module.
    """
    import yaml

    source = importlib.resources.files("tilth.land.model") / "parameters.yaml"
    entries = yaml.safe_load(source.read_text(encoding="utf-8"))
    return {
        name: Row(
            name=name,
            lower=float(entry["bounds"][0]),
            upper=float(entry["bounds"][1]),
            **{key: value for key, value in entry.items() if key != "bounds"},
        )
        for name, entry in entries.items()
    }


class LandParameters(eqx.Module):
    """The parameters of the table as arrays, cells last, and which plants are C4.

    `leaf_area` is (12, n), what has bands (2, n) or (3, n), all others (n,). `c4` is a
    mask of the cells with C4 plants.
    """

    leaf_area: Any
    height: Any
    base: Any
    cover: Any
    leaf_reflectance: Any
    leaf_transmissivity: Any
    carboxylation: Any
    stomatal_slope: Any
    stomatal_intercept: Any
    medlyn_slope: Any
    quantum_efficiency: Any
    heat_inhibition: Any
    cold_inhibition: Any
    root_depth: Any
    critical_head: Any
    leaf_drag: Any
    leaf_heat: Any
    soil_albedo: Any
    longwave_albedo: Any
    ground_roughness: Any
    ground_heat_roughness: Any
    snow_roughness: Any
    snow_heat_roughness: Any
    evaporation_resistance: Any
    snow_albedo_new: Any
    snow_albedo_old: Any
    snow_dirt: Any
    snow_full_cover: Any
    snow_conductivity: Any
    snow_variation: Any
    saturation: Any
    head_saturated: Any
    conductivity_saturated: Any
    exponent: Any
    dry_heat_capacity: Any
    dry_conductivity: Any
    slope: Any
    relief: Any
    decay_depth: Any
    macropores: Any
    runoff_share: Any
    wetland_days: Any
    reference_height: Any
    c4: Any


def parameter_dataset(
    land_class: xr.DataArray | str,
    texture: xr.DataArray | str,
    *,
    latitude: xr.DataArray | float = 45.0,
    **others: Any,
) -> xr.Dataset:
    """Return the parameters of cells from their land class and soil texture.

    Parameters
    ----------
    land_class : str or DataArray of str
        Keys of `tilth.land.model.land_classes.CLASSES`.
    texture : str or DataArray of str
        Keys of `tilth.physics.soil_hydraulics.TEXTURES`.
    latitude : float or DataArray
        In degrees north; leaves of the southern hemisphere are half a year later.
    **others
        Numbers or DataArrays in place of the defaults, by name; a list of 12 months,
        2 bands or 3 snow bands where the parameter has them.

    Returns
    -------
    xarray.Dataset
        One variable per row of the table and ``c4``, with units and meaning.

    Raises
    ------
    InputError
        If a class or a name is unknown or a number is out of its bounds.

    Examples
    --------
    >>> site = parameter_dataset("crop", "silty clay loam", root_depth=1.2)
    >>> float(site["root_depth"]), float(site["height"])
    (1.2, 1.0)
    """
    unknown = set(others) - set(table())
    if unknown:
        raise InputError(
            f"no parameter {', '.join(sorted(unknown))}; there are {', '.join(table())}"
        )
    classes, textures, north = (
        value if isinstance(value, xr.DataArray) else xr.DataArray(value)
        for value in (land_class, texture, latitude)
    )
    grown = _class_columns(classes, north)
    ground = _texture_columns(textures)
    result: dict[str, xr.DataArray] = {}
    for row in table().values():
        value = others.get(row.name)
        if value is None:
            value = grown.get(row.name, ground.get(row.name, row.default))
        if value is None:  # the height of the weather
            value = result["height"] + ABOVE_CANOPY
        if not isinstance(value, xr.DataArray):
            numbers = np.asarray(value, float)
            value = xr.DataArray(numbers, dims=(row.dimension,) * numbers.ndim)
        result[row.name] = _checked(row, value)
    result["c4"] = grown["c4"]
    inside = result["reference_height"] <= result["height"]
    if bool(inside.any()):
        raise InputError(
            f"reference_height = {float(result['reference_height'].min()):g} m is "
            f"inside a canopy of {float(result['height'].max()):g} m: give the height "
            "at which wind and temperature stand for the air above the plants"
        )
    return xr.Dataset(result)


def _class_columns(classes: xr.DataArray, latitude: xr.DataArray) -> dict[str, Any]:
    """Return what comes with the land classes, by the name of the parameter."""
    names = [str(name) for name in np.unique(classes.values)]
    rows = {name: land_class(name) for name in names}

    def column(values: dict[str, Any], dimension: str = "") -> xr.DataArray:
        table = np.array([values[name] for name in names])
        index = xr.DataArray(np.searchsorted(names, classes.values), dims=classes.dims)
        dims = ("row", dimension) if dimension else ("row",)
        picked = xr.DataArray(table, dims=dims).isel(row=index)
        return picked.assign_coords(classes.coords)

    result = {
        name: column({key: row[name] for key, row in rows.items()})
        for name in rows[names[0]]
        if name in table()
    }
    for name in ("leaf_reflectance", "leaf_transmissivity"):
        result[name] = column(
            {
                key: (row[f"{name}_visible"], row[f"{name}_infrared"])
                for key, row in rows.items()
            },
            "band",
        )
    leaf_area = column({key: LEAF_AREA[key] for key in rows}, "month")
    later = leaf_area.roll(month=6, roll_coords=False)
    result["leaf_area"] = leaf_area.where(latitude >= 0.0, later).astype(float)
    result["c4"] = column({key: key in C4_CLASSES for key in rows})
    return result


def _texture_columns(textures: xr.DataArray) -> dict[str, xr.DataArray]:
    """Return what comes with the soil textures, by the name of the parameter."""
    wrong = sorted(set(np.unique(textures.values).tolist()) - set(TEXTURES))
    if wrong:
        raise InputError(
            f"no soil texture {', '.join(map(str, wrong))}; the twelve of the USDA are "
            f"{', '.join(TEXTURES)}"
        )
    table = np.array([TEXTURES[name] for name in textures.values.ravel()])
    columns = table.T.reshape(4, *textures.shape)
    exponent, saturation, head, conductivity = (
        xr.DataArray(values, dims=textures.dims, coords=textures.coords)
        for values in columns
    )
    # Johansen (1975) with mineral grains of 2700 kg m-3.
    bulk = 2700.0 * (1.0 - saturation)
    return {
        "saturation": saturation,
        "head_saturated": head,
        "conductivity_saturated": conductivity,
        "exponent": exponent,
        "dry_heat_capacity": 2.0e6 * (1.0 - saturation),
        "dry_conductivity": (0.135 * bulk + 64.7) / (2700.0 - 0.947 * bulk),
    }


def _checked(row: Row, value: xr.DataArray) -> xr.DataArray:
    """Return a parameter with its attributes, if it is within its bounds."""
    outside = ~((value >= row.lower) & (value <= row.upper))
    if bool(outside.any()):
        first = float(value.values[outside.values].ravel()[0])
        raise InputError(
            f"{row.name} = {first:g} {row.units} is outside {row.lower:g} to "
            f"{row.upper:g}: {row.meaning}; check its units"
        )
    if row.dimension and row.dimension not in value.dims:
        raise InputError(
            f"{row.name} needs the dimension {row.dimension} of length "
            f"{DIMENSIONS[row.dimension]}, it has {list(value.dims)}"
        )
    value = value.astype(float)
    value.attrs = {"units": row.units, "long_name": row.meaning, "source": row.source}
    return value


def parameter_arrays(
    dataset: xr.Dataset, dims: Iterable[Hashable] = ()
) -> list[xr.DataArray]:
    """Return the variables of a parameter dataset in the order of `LandParameters`.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of `parameter_dataset`.
    dims : iterable of str
        Cell dimensions; each variable is expanded to all of them, in this order.

    Returns
    -------
    list of DataArray
        With the dimension of bands or months last.
    """
    missing = [name for name in (*table(), "c4") if name not in dataset]
    if missing:
        raise InputError(
            f"the parameters lack {', '.join(missing)}: make them with "
            "parameter_dataset(land_class, texture, ...)"
        )
    dims = tuple(dims)
    template = xr.Dataset(coords={d: dataset[d] for d in dims if d in dataset.coords})
    sizes = {d: dataset.sizes[d] for d in dims if d in dataset.sizes}
    result = []
    for name in (*table(), "c4"):
        value = dataset[name].expand_dims(
            {d: n for d, n in sizes.items() if d not in dataset[name].dims}
        )
        result.append(value.assign_coords(template.coords).transpose(*dims, ...))
    return result


def from_dataset(dataset: xr.Dataset, dims: Iterable[Hashable] = ()) -> LandParameters:
    """Return the PyTree of a parameter dataset, its cells in one axis.

    Parameters
    ----------
    dataset : xarray.Dataset
        Of `parameter_dataset`, held in memory.
    dims : iterable of str
        Cell dimensions, flattened in this order; none for a single site.

    Returns
    -------
    LandParameters
        With cells last.
    """
    return from_blocks(
        [array.values for array in parameter_arrays(dataset, dims)], len(tuple(dims))
    )


def from_blocks(blocks: list[np.ndarray], loops: int) -> LandParameters:
    """Return the PyTree of arrays whose first `loops` axes are the cells.

    Parameters
    ----------
    blocks : list of array
        In the order of `LandParameters`, bands or months last.
    loops : int
        Number of leading cell axes; they are flattened.

    Returns
    -------
    LandParameters
        With cells last.
    """
    return LandParameters(
        *(
            jnp.asarray(np.moveaxis(block.reshape(-1, *block.shape[loops:]), 0, -1))
            for block in blocks
        )
    )
