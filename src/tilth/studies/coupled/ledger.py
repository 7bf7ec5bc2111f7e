"""The books of the whole system: where all precipitation went."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

#: Name -> meaning; volumes in m3 along time.
VOLUMES = {
    "precipitation_volume": "rain and snow on the land that drains into the rivers",
    "land_evaporation_volume": "evaporation of the land",
    "flood_evaporation_volume": "evaporation of flooded areas beyond the land's",
    "outflow_volume": "water that left at the rivers' ends",
    "land_storage_change": "gain of the land's stores",
    "river_storage_change": "gain of channels and floodplains",
    "runoff_volume": "water from the land to the rivers",
    "infiltration_volume": "flood water from the rivers to the land",
}

#: Rows that leave, or stay: what precipitation is spent on.
SPENT = (
    "land_evaporation_volume",
    "flood_evaporation_volume",
    "outflow_volume",
    "land_storage_change",
    "river_storage_change",
)


class Books(NamedTuple):
    """A ledger over a run; see `VOLUMES`.

    Parameters
    ----------
    volumes : dict of str to array
        Along time, m3.
    stored : float
        Water of land and rivers at the beginning, m3.
    """

    volumes: dict[str, np.ndarray]
    stored: float

    @property
    def residual(self) -> np.ndarray:
        """Precipitation less all it was spent on, m3 of each interval."""
        spent = sum(self.volumes[name] for name in SPENT)
        return self.volumes["precipitation_volume"] - spent

    @property
    def relative(self) -> float:
        """Residual of the whole run as a share of its precipitation."""
        wet = float(self.volumes["precipitation_volume"].sum())
        lost = float(self.residual.sum())
        return abs(lost) / wet if wet > 0.0 else float(lost != 0.0)

    def variables(self, time: xr.DataArray) -> dict[str, xr.DataArray]:
        """Return the books as variables along time."""
        result = {}
        for name, values in self.volumes.items():
            attrs = {
                "units": "m3", "long_name": VOLUMES[name], "cell_methods": "time: sum",
            }  # fmt: skip
            result[name] = xr.DataArray(values, {"time": time}, ("time",), attrs=attrs)
        attrs = {
            "units": "m3",
            "long_name": "precipitation less evaporation, outflow and gains of stores",
            "cell_methods": "time: sum",
        }
        result["water_residual"] = xr.DataArray(
            self.residual, {"time": time}, ("time",), attrs=attrs
        )
        return result


def ledger_table(result: xr.Dataset) -> str:
    """Return the ledger of a run as text: where all precipitation went.

    Parameters
    ----------
    result : xarray.Dataset
        Of `tilth.studies.coupled.LandSimulator.run`.

    Returns
    -------
    str
        A row for each volume, in km3 and as a share of the precipitation.
    """
    wet = float(result["precipitation_volume"].sum())
    rows = ["where all precipitation went"]
    names = ("precipitation_volume", *SPENT, "water_residual")
    inner = ("runoff_volume", "infiltration_volume")
    for name in (*names, *inner):
        total = float(result[name].sum())
        share = 100.0 * total / wet if wet else float("nan")
        shown = f"{total / 1e9:14.6f} km3 {share:12.6f} %"
        if name == "water_residual":
            shown = f"{total / 1e9:14.3e} km3 {share:12.3e} %"
        within = "  within: " if name in inner else "  "
        label = result[name].attrs["long_name"]
        rows.append(f"{within}{label}".ljust(66) + shown)
    return "\n".join(rows)
