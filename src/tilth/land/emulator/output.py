"""What a run of the emulator gives: ALMA names, CF attributes, mean and spread."""

from __future__ import annotations

from typing import NamedTuple

import xarray as xr

from tilth.core.constants import SECONDS_PER_DAY
from tilth.core.model import require_variables


class Variable(NamedTuple):
    """A variable of the output.

    ``target`` is its name among what an emulator is fitted to
    (`tilth.land.readers.output.TARGETS`), ``standard_name`` of CF where it has one.
    """

    target: str
    units: str
    long_name: str
    cell_methods: str
    standard_name: str | None = None


_STORE, _FLUX = "time: point", "time: mean"

#: Name -> what it is. ALMA knows total runoff only as Qs and Qsb.
VARIABLES = {
    "SWE": Variable(
        "snow", "kg m-2", "snow mass at the end of the day", _STORE,
        "surface_snow_amount",
    ),
    "SoilMoist": Variable(
        "soil", "kg m-2", "soil water at the end of the day", _STORE,
        "mass_content_of_water_in_soil_layer",
    ),
    "SurfStor": Variable(
        "wetland", "kg m-2", "water in wetlands at the end of the day", _STORE
    ),
    "Qtot": Variable(
        "runoff", "kg m-2 s-1", "surface and base runoff", _FLUX, "runoff_flux"
    ),
    "Evap": Variable(
        "evaporation", "kg m-2 s-1",
        "evaporation of soil, and what leaves and snow withhold", _FLUX,
        "water_evapotranspiration_flux",
    ),
}  # fmt: skip


def attributes(name: str) -> dict[str, str]:
    """Return the CF attributes of a variable, or of its spread.

    Parameters
    ----------
    name : str
        In `VARIABLES`, or one of them with ``_spread``.

    Examples
    --------
    >>> attributes("Qtot_spread")["long_name"]
    'surface and base runoff, standard deviation over members'
    """
    base, _, spread = name.partition("_")
    row = VARIABLES[base]
    attrs = {
        "units": row.units,
        "long_name": row.long_name,
        "cell_methods": row.cell_methods,
    }
    if spread:
        attrs["long_name"] += ", standard deviation over members"
    elif row.standard_name:
        attrs["standard_name"] = row.standard_name
    return attrs


def as_targets(output: xr.Dataset) -> xr.Dataset:
    """Return a run under the names and in the units of what emulators are fitted to.

    Parameters
    ----------
    output : xarray.Dataset
        Of `tilth.land.emulator.Emulator.run`.

    Returns
    -------
    xarray.Dataset
        ``snow``, ``soil``, ``wetland`` in mm, ``runoff`` and, where it was asked for,
        ``evaporation`` in mm day-1: to be held against a land model's with
        `tilth.land.skill.skill_card`.

    Raises
    ------
    InputError
        If the variables of a run are not there.
    """
    needed = [name for name in VARIABLES if name != "Evap"]
    require_variables(output, needed, "the output of a run")
    targets = xr.Dataset(coords=output.coords)
    for name, row in VARIABLES.items():
        if name not in output:
            continue
        store = row.cell_methods == _STORE
        values = output[name] if store else output[name] * SECONDS_PER_DAY
        units = "mm" if store else "mm day-1"
        targets[row.target] = values.assign_attrs(units=units, long_name=row.long_name)
    return targets
