"""A land model of another kind, on simulated weather: something to imitate."""

from __future__ import annotations

import numpy as np
import xarray as xr

from tilth.land.readers.output import ModelOutput

#: Of every draw of the weather.
SEED = 20240607

#: Elevation above the first, m, and yearly precipitation, mm, of the simulated cells.
CELLS = ((0.0, 900.0), (500.0, 1500.0))

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
    """Return simulated daily weather of a mid-latitude mountain side.

    Wet and dry days follow a Markov chain with gamma amounts, temperature a season
    with red noise that is cooler on wet days (Richardson 1981, Water Resour. Res. 17,
    182-190).

    Parameters
    ----------
    years : (int, int)
        First and last year.
    seed : int
        Of the draws.

    Returns
    -------
    xarray.Dataset
        Forcing of the emulator, (time, cell) with one cell per row of `CELLS`.
    """
    time = xr.date_range(f"{years[0]}-01-01", f"{years[1]}-12-31", unit="ns")
    n = len(time)
    day = xr.DataArray(time, dims="time").dt.dayofyear.values
    rng = np.random.default_rng(seed)
    season = np.cos(2 * np.pi * (day - 200) / 365.25)
    chance = rng.random(n)
    wet = np.zeros(n, bool)
    for t in range(1, n):
        wet[t] = chance[t] < (0.65 if wet[t - 1] else 0.30) - 0.08 * season[t]
    amount = wet * rng.gamma(0.75, 1.0, n)
    noise = np.zeros(n)
    draw = rng.normal(0.0, 2.4, n)
    for t in range(1, n):
        noise[t] = 0.75 * noise[t - 1] + draw[t]
    base = 279.0 + 10.5 * season + noise - 2.0 * wet
    height = np.array([z for z, _ in CELLS])
    yearly = np.array([p for _, p in CELLS])
    temperature = base[:, None] - 0.0065 * height
    precipitation = amount[:, None] * yearly / (amount.sum() / n * 365.25)
    share = np.clip(0.5 - (temperature - 273.15) / 2.0, 0.0, 1.0)
    pressure = np.broadcast_to(90000.0 * np.exp(-height / 8000.0), temperature.shape)
    celsius = temperature - 273.15
    saturation = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    moist = np.clip(0.65 + 0.2 * wet - 0.08 * season + rng.normal(0, 0.06, n), 0.2, 1.0)
    vapour = moist[:, None] * saturation
    humidity = 0.622 * vapour / (pressure - 0.378 * vapour)
    fields = {
        "rain": (precipitation * (1.0 - share), "mm day-1"),
        "snowfall": (precipitation * share, "mm day-1"),
        "temperature": (temperature, "K"),
        "humidity": (humidity, "kg kg-1"),
        "pressure": (pressure, "Pa"),
    }
    return xr.Dataset(
        {
            name: (("time", "cell"), np.ascontiguousarray(values), {"units": units})
            for name, (values, units) in fields.items()
        },
        coords={"time": time, "cell": np.arange(len(CELLS))},
        attrs={"seed": seed},
    )


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
