"""Where the study looks: winters over Iberia, or a made-up climate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from tilth.core.datasets import info, locate
from tilth.core.errors import DatasetError
from tilth.core.files import read_netcdf
from tilth.forcing.patterns.simulated import simulated_weather

#: Of every draw.
SEED = 0

_DATASET = "iberia-winters"
_DYNAMICS = ("psl", "hus850", "ta850")


@dataclass(frozen=True)
class Case:
    """Targets, and the coarse fields they are learnt from.

    Parameters
    ----------
    observed : dict of str to xarray.DataArray
        Name -> targets, (time, place).
    coarse : xarray.DataArray
        Rain of the reanalysis.
    dynamics : dict of str to xarray.DataArray
        Its other fields.
    free : dict of str to xarray.DataArray
        Name -> rain of models that run freely, or are too far ahead to have the days.
    mapped : str
        Name of the targets that make a map.
    source : str
        For the page.
    why : str
        Why nothing is measured; empty if it is.
    """

    observed: dict[str, xr.DataArray]
    coarse: xr.DataArray
    dynamics: dict[str, xr.DataArray]
    free: dict[str, xr.DataArray]
    mapped: str
    source: str
    why: str = ""

    @property
    def measured(self) -> bool:
        """Whether anything is measured."""
        return not self.why


def load() -> Case:
    """Return the measured winters, or a made-up climate where they are not at hand."""
    try:
        folder = locate(_DATASET)
    except DatasetError as error:
        return made_up(str(error))

    def read(name: str) -> xr.DataArray:
        return read_netcdf(Path(folder) / f"{name}.nc")[name.split("_")[-1]]

    return Case(
        observed={
            "stations": read("VALUE_Iberia_pr"),
            "cells": read("EOBS_Iberia_pr"),
        },
        coarse=read("NCEP_Iberia_pr"),
        dynamics={name: read(f"NCEP_Iberia_{name}") for name in _DYNAMICS},
        free={"CNRM-CM5": read("CMIP5_Iberia_pr"), "CFSv2": _daily(read)},
        mapped="cells",
        source=f"{_DATASET} ({info(_DATASET).citation})",
    )


def _daily(read) -> xr.DataArray:
    """Return the seasonal hindcasts, means of six-hourly amounts, per day."""
    rain = read("CFS_Iberia_pr")
    return (4.0 * rain).assign_attrs(units="mm day-1")


def made_up(why: str, winters: int = 10, places: int = 16) -> Case:
    """Return a climate whose reasons are known.

    Parameters
    ----------
    why : str
        Why it takes the place of measurements.
    winters, places : int
        Its size.

    Returns
    -------
    Case
        Without other fields than rain.
    """
    coarse, local = simulated_weather(winters=winters, places=places, seed=SEED)
    model = simulated_weather(
        winters=winters, places=places, seed=SEED, free_running=True
    ).coarse
    return Case(
        observed={"places": local},
        coarse=coarse,
        dynamics={},
        free={"free-running model": model},
        mapped="places",
        source="simulated: known truth",
        why=why,
    )
