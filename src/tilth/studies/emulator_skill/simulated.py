"""HBV on simulated weather: a land model of another kind, to be imitated."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.land.readers import ModelOutput, read_forcing
from tilth.land.simulate import simulated_weather

#: Of every draw of the weather.
SEED = 20240607

#: Elevation, m, and yearly precipitation, mm, of the simulated cells.
CELLS = ((600.0, 900.0), (1100.0, 1500.0))

#: Parameters of the land model (HBV), within the ranges of Seibert (1997, Nordic
#: Hydrology 28, 247-262): threshold and width of snow, K; degree-day factor, mm day-1
#: K-1; refreezing; field capacity, mm; share of it below which evaporation falls;
#: shape; percolation, mm day-1; outflow of the two boxes, day-1; threshold of the
#: upper, mm.
HBV = {
    "melt_temperature": 273.15,
    "degree_day": 3.5,
    "refreezing": 0.05,
    "held": 0.1,
    "capacity": 180.0,
    "evaporation_limit": 0.7,
    "shape": 2.5,
    "percolation": 1.5,
    "quick": 0.25,
    "slow": 0.04,
    "upper_limit": 20.0,
}


def weather(years: tuple[int, int], seed: int = SEED) -> xr.Dataset:
    """Return simulated daily weather of a mountain side, one cell per row of `CELLS`.

    Parameters
    ----------
    years : (int, int)
        First and last year.
    seed : int
        Of the draws.

    Returns
    -------
    xarray.Dataset
        Forcing of the emulator, (time, cell).
    """
    sites = [
        simulated_weather(
            years,
            mean_temperature=280.0 - 0.0065 * (height - CELLS[0][0]),
            rain=rain,
            elevation=height,
            step_minutes=360,
            seed=seed,
        )
        for height, rain in CELLS
    ]
    both = xr.concat(sites, dim="cell", combine_attrs="override")
    return read_forcing(both, "tilth")


def hbv(forcing: xr.Dataset) -> xr.Dataset:
    """Run HBV over the weather: snow that holds melt water, soil, two boxes of water.

    Parameters
    ----------
    forcing : xarray.Dataset
        As `weather` returns it.

    Returns
    -------
    xarray.Dataset
        ``snow``, ``soil``, ``groundwater`` (mm), ``runoff`` and ``evaporation`` (mm
        day-1).

    References
    ----------
    Bergstrom (1976), SMHI RHO 7; formulated as in Lindstrom et al. (1997), J. Hydrol.
    201, 272-288.
    """
    p = HBV
    arrays = [forcing[name].values for name in forcing.data_vars]
    rain, snowfall, temperature, humidity, pressure = arrays
    cells = rain.shape[1]
    pack, liquid = np.zeros(cells), np.zeros(cells)
    soil = np.full(cells, 0.6 * p["capacity"])
    upper, lower = np.zeros(cells), np.full(cells, 20.0)
    names = ("snow", "soil", "runoff", "evaporation", "groundwater")
    out = {name: np.empty_like(rain) for name in names}
    celsius = temperature - 273.15
    saturation = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    deficit = np.maximum(saturation - humidity * pressure / 0.622, 0.0)
    # Dalton's law with 0.5 mm day-1 hPa-1 of open ground.
    demand = 0.005 * deficit
    for t in range(rain.shape[0]):
        above = temperature[t] - p["melt_temperature"]
        melt = np.minimum(p["degree_day"] * np.maximum(above, 0.0), pack)
        frozen = np.minimum(
            p["refreezing"] * p["degree_day"] * np.maximum(-above, 0.0), liquid
        )
        pack = pack + snowfall[t] - melt + frozen
        liquid = liquid + melt - frozen + np.where(pack > 0, rain[t], 0.0)
        free = np.maximum(liquid - p["held"] * pack, 0.0)
        liquid = liquid - free
        supply = free + np.where(pack > 0, 0.0, rain[t])
        recharge = supply * np.minimum(soil / p["capacity"], 1.0) ** p["shape"]
        wetness = np.minimum(soil / (p["capacity"] * p["evaporation_limit"]), 1.0)
        taken = np.minimum(
            np.where(pack > 0, 0.0, demand[t]) * wetness, soil + supply - recharge
        )
        soil = soil + supply - recharge - taken
        spill = np.maximum(soil - p["capacity"], 0.0)
        soil = soil - spill
        upper = upper + recharge + spill
        down = np.minimum(p["percolation"], upper)
        upper = upper - down
        fast = p["quick"] * np.maximum(upper - p["upper_limit"], 0.0) + 0.1 * upper
        upper = upper - fast
        lower = lower + down
        slow = p["slow"] * lower
        lower = lower - slow
        values = (pack + liquid, soil, fast + slow, taken, upper + lower)
        for series, value in zip(out.values(), values, strict=True):
            series[t] = value
    units = dict.fromkeys(("snow", "soil", "groundwater"), "mm")
    return xr.Dataset(
        {
            name: (("time", "cell"), values, {"units": units.get(name, "mm day-1")})
            for name, values in out.items()
        },
        coords=forcing.coords,
    )


def simulated_output(years: tuple[int, int], seed: int = SEED) -> ModelOutput:
    """Return forcing and targets whose land model is known."""
    forcing = weather(years, seed)
    return ModelOutput(forcing, hbv(forcing))
