"""Column maps of known land models: VIC, Noah-MP, ecLand, MATSIRO and ALMA names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tilth.core.errors import InputError
from tilth.land.readers.columns import ColumnMap, parse_map, read_map

#: Names of the ALMA convention, version 3, then CF standard names. Our own land model
#: writes these; so do many others.
ALMA = parse_map(
    {
        "name": "alma",
        "rain": ["Rainf", "rainfall_flux"],
        "snowfall": ["Snowf", "snowfall_flux"],
        "precipitation": ["Precip", "precipitation_flux"],
        "temperature": ["Tair", "air_temperature"],
        "humidity": ["Qair", "specific_humidity"],
        "pressure": ["PSurf", "Psurf", "surface_air_pressure"],
        "snow": ["SWE", "surface_snow_amount", "lwe_thickness_of_surface_snow_amount"],
        "soil": ["SoilMoist", "mass_content_of_water_in_soil_layer"],
        "wetland": ["Wetland", "WetlandStor", "SurfStor"],
        "runoff": [{"sum": ["Qs", "Qsb"]}, "Qtot", "runoff_flux"],
        "evaporation": ["Evap", "water_evapotranspiration_flux"],
        "missing": [1e20],
    }
)

#: Our own land model, with its layers (those of MATSIRO6).
TILTH = ALMA.changed(name="tilth", thickness=[0.05, 0.2, 0.75, 1.0, 2.0, 10.0])

#: VIC 5, classic and image driver: variables ``OUT_*`` as the user's configuration
#: chooses them. Water fluxes are amounts per output step unless MULT-ed to a rate;
#: "C" is degrees Celsius there; stamps open their interval. The thickness of the
#: layers is in the parameter file, not in the output.
VIC = parse_map(
    {
        "name": "vic",
        "rain": {"variable": "OUT_RAINF", "amount": "step"},
        "snowfall": {"variable": "OUT_SNOWF", "amount": "step"},
        "precipitation": {"variable": "OUT_PREC", "amount": "step"},
        "temperature": "OUT_AIR_TEMP",
        "humidity": "OUT_QAIR",
        "vapour_pressure": "OUT_VP",
        "vapour_pressure_deficit": "OUT_VPD",
        "pressure": "OUT_PRESSURE",
        "snow": "OUT_SWE",
        "soil": [
            "OUT_SOIL_MOIST",
            {"layers": [f"OUT_SOIL_MOIST_{i}" for i in range(3)]},
        ],
        "runoff": {"sum": ["OUT_RUNOFF", "OUT_BASEFLOW"], "amount": "step"},
        "evaporation": {"variable": "OUT_EVAP", "amount": "step"},
    }
)

#: Noah-MP in HRLDAS or WRF-Hydro: LDASOUT for states and runoff, LDASIN for the
#: weather (the RAINRATE of LDASOUT is per step of the model, whose length no file
#: tells). Runoff grows from the start of the run, over the passes of a spin-up, too;
#: -9999 stands for nothing; a stamp closes its interval. Evaporation is three parts.
#: Layers as in the tables of the model. Rain and snow are one: the user says at which
#: temperatures they part.
NOAHMP = parse_map(
    {
        "name": "noahmp",
        "precipitation": "RAINRATE",
        "temperature": ["T2D", "FORCTLSM"],
        "humidity": ["Q2D", "FORCQLSM"],
        "pressure": ["PSFC", "FORCPLSM"],
        "snow": "SNEQV",
        "soil": "SOIL_M",
        "runoff": {"sum": ["SFCRNOFF", "UGDRNOFF"], "amount": "run"},
        "evaporation": [
            {"sum": ["ECAN", "ETRAN", "EDIR"]},
            {"variable": "ACCET", "amount": "run"},
        ],
        "thickness": [0.1, 0.3, 0.6, 1.0],
        "stamp": "end",
        "missing": [-9999.0],
    }
)

#: ecLand offline (``o_wat.nc``, ``o_gg.nc`` and the forcing file): ALMA names, but
#: what leaves the column counts as negative. Rates, whatever the namelist's words for
#: accumulation say. Layers of H-TESSEL (Balsamo et al. 2009).
ECLAND = ALMA.changed(
    name="ecland",
    runoff={"sum": ["Qs", "Qsb"], "scale": -1},
    evaporation={"variable": "Evap", "scale": -1},
    thickness=[0.07, 0.21, 0.72, 1.89],
    stamp="end",
)

#: MATSIRO in the Integrated Land Simulator: one file per variable, its own short
#: names, found by the ALMA or CF name in the attributes. Layers of MATSIRO6.
MATSIRO = ALMA.changed(
    name="matsiro",
    thickness=[0.05, 0.2, 0.75, 1.0, 2.0, 10.0],
    stamp="end",
    missing=[1e20, -999.0],
)

#: ERA5-Land, hourly: amounts grow from midnight, evaporation counts as negative, the
#: layers are those of H-TESSEL (Munoz-Sabater et al. 2021).
ERA5_LAND = parse_map(
    {
        "name": "era5-land",
        "precipitation": {"variable": "tp", "amount": "day"},
        "snowfall": {"variable": "sf", "amount": "day"},
        "temperature": "t2m",
        "dewpoint": "d2m",
        "pressure": "sp",
        "snow": "sd",
        "soil": {"layers": [f"swvl{i}" for i in range(1, 5)]},
        "runoff": {"variable": "ro", "amount": "day"},
        "evaporation": {"variable": "e", "amount": "day", "scale": -1},
        "thickness": [0.07, 0.21, 0.72, 1.89],
        "stamp": "end",
    }
)

#: Model -> its map.
MODELS: dict[str, ColumnMap] = {
    columns.name: columns
    for columns in (ALMA, TILTH, VIC, NOAHMP, ECLAND, MATSIRO, ERA5_LAND)
}


def column_map(
    model: str | os.PathLike[str] | ColumnMap | Mapping[str, Any],
) -> ColumnMap:
    """Return the column map that is meant.

    Parameters
    ----------
    model : str, path, mapping or ColumnMap
        Name of a known model, a YAML file, a dictionary, or a map itself.

    Returns
    -------
    ColumnMap
        The map.

    Raises
    ------
    InputError
        If there is no such model or file, or a word in it is not known.

    Examples
    --------
    >>> column_map("vic").columns["snow"][0].variables
    ('OUT_SWE',)
    """
    if isinstance(model, ColumnMap):
        return model
    if isinstance(model, Mapping):
        return parse_map(model, MODELS)
    name = os.fspath(model)
    if name in MODELS:
        return MODELS[name]
    if name.lower().endswith((".yaml", ".yml")):
        return read_map(name, MODELS)
    raise InputError(
        f"no column map for {name!r}: take one of {', '.join(MODELS)}, or a .yaml file "
        "with lines such as 'rain: RAINF'"
    )
