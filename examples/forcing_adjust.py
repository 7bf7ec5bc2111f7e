"""
From a climate model's cells to stations: regrid, adjust, look at the change
============================================================================

A climate model is too cool, too calm and drizzles. Its values are brought to stations,
its distribution is made that of the stations, and the warming it says comes out again,
or not, as the method is. The world here is made up, so that the truth is known.
"""

# %%
# A world, and a model of it
# --------------------------
# Thirty years of days at forty stations, higher and lower ones. The model has cells of
# two degrees, weather of its own on every day, summers that are too cool, and days that
# differ too little: three kelvin where five would be right. Between the periods both
# warm by 2.5 K, and rain becomes 15 % more.

import numpy as np
import xarray as xr
from scipy.signal import lfilter

from tilth.core import plotting
from tilth.core.regrid import bilinear
from tilth.forcing.adjust import EQM, QDM, DayWindow

SEED, YEARS, WARMING, WETTING = 1, 30, 2.5, 1.15
rng = np.random.default_rng(SEED)
grid = xr.Dataset(
    coords={"lat": np.arange(48.0, 39, -2), "lon": [356.0, 358, 0, 2, 4, 6, 8]}
)
stations = xr.Dataset(
    coords={
        "station": np.arange(40),
        "lat": ("station", rng.uniform(40.5, 47.5, 40)),
        "lon": ("station", rng.uniform(-3.5, 7.5, 40)),
        "altitude": ("station", rng.gamma(1.5, 300.0, 40)),
    }
)


def weather(days, places):
    """Return normal values that go on for days and differ little between places."""
    noise = rng.standard_normal((days, 1 + places)) * np.sqrt(1 - 0.5**2)
    walks = lfilter([1.0], [1.0, -0.5], noise, axis=0)
    return 0.5 * walks[:, :1] + np.sqrt(0.75) * walks[:, 1:]


def climate(first, on, height, kind, warming=0.0, wetting=1.0):
    """Return temperature and precipitation of thirty years without leap days."""
    mean, summer, spread, drizzle = kind
    days = xr.date_range(
        f"{first}-01-01", periods=YEARS * 365, calendar="noleap", use_cftime=True
    )
    season = -np.cos(2 * np.pi * np.arange(days.size) / 365)[:, None]
    warm = mean - 0.0065 * height + summer * season + warming
    warm = warm + spread * weather(days.size, height.size)
    rain = np.maximum(weather(days.size, height.size) + drizzle - 0.4, 0.0) ** 2
    rain = rain * (6.0 + 0.004 * height) * wetting * (0.5 if drizzle else 1.0)
    fields = {"tas": (warm, "degC"), "pr": (rain, "mm day-1")}
    sizes = (days.size, *on.sizes.values())
    return xr.Dataset(
        {
            name: (("time", *on.sizes), values.reshape(sizes), {"units": units})
            for name, (values, units) in fields.items()
        },
        {"time": days, **on.coords},
    )


# Mean and summer of temperature, its spread from day to day, and drizzle.
TRUTH, MODEL = (13.0, 9.0, 5.0, 0.0), (11.0, 7.0, 3.0, 0.8)
height, flat = stations["altitude"].values, np.full(35, 400.0)
obs = climate(1981, stations, height, TRUTH)
truth_late = climate(2041, stations, height, TRUTH, WARMING, WETTING)
model = climate(1981, grid, flat, MODEL)
late = climate(2041, grid, flat, MODEL, WARMING, WETTING)

# %%
# To the stations
# ---------------
# Bilinear weights are made once. The grid begins at 356 degrees east and the stations
# at -3.5: that is the same side of the meridian.

to_stations = bilinear(grid, stations)
print(to_stations)
raw, raw_late = (
    xr.Dataset({name: to_stations.apply(field) for name, field in data.items()})
    for data in (model, late)
)

# %%
# Learn from one half, look at the other
# --------------------------------------
# Methods learn the first fifteen years. Only the others may judge them: in the years
# of training any mapping is right.

METHODS = {
    "EQM": {"tas": EQM(), "pr": EQM(kind="*", dry_below=0.05)},
    "QDM": {
        "tas": QDM(group=DayWindow(31)),
        "pr": QDM(kind="*", dry_below=0.05, group=DayWindow(31)),
    },
}
learn, judge = slice("1981", "1995"), slice("1996", "2010")


def adjusted(methods, target, years=learn):
    """Return a period of the model, adjusted by what some years taught."""
    return xr.Dataset(
        {
            name: method.fit(
                obs[name].sel(time=years), raw[name].sel(time=years)
            ).apply(target[name])
            for name, method in methods.items()
        }
    )


def wet_share(data):
    """Return the share of days with a millimetre or more."""
    return float((data["pr"] >= 1.0).mean())


seen = obs.sel(time=judge)
held_out = {"raw": raw.sel(time=judge)} | {
    name: adjusted(methods, raw.sel(time=judge)) for name, methods in METHODS.items()
}
print(f"\n1996-2010 at the stations; observed wet days {wet_share(seen):.2f}")
print("        tas bias  tas p99 error  pr bias  wet days")
for name, data in held_out.items():
    bias = (data["tas"] - seen["tas"]).mean("time")
    p99 = data["tas"].quantile(0.99, "time") - seen["tas"].quantile(0.99, "time")
    rain = float(data["pr"].mean() / seen["pr"].mean() - 1)
    print(
        f"  {name:<4} {abs(bias).mean():8.2f} K {abs(p99).mean():10.2f} K "
        f"{100 * rain:8.1f} %  {wet_share(data):7.2f}"
    )

# %%
# The change
# ----------
# Sixty years on, all thirty years of observations are used. EQM reads the warming off
# the line that maps the model's narrow distribution to the wide one observed, and makes
# it larger by as much. QDM keeps the change of each quantile. The world's own change is
# that of other weather than the model's: it differs by chance besides.

print("\n2041-2070 against 1981-2010")
every = slice("1981", "2010")
periods = {"truth": (obs, truth_late), "raw": (raw, raw_late)} | {
    name: tuple(adjusted(methods, data, every) for data in (raw, raw_late))
    for name, methods in METHODS.items()
}
for name, (before, after) in periods.items():
    warming = float(after["tas"].mean() - before["tas"].mean())
    ratio = float(after["pr"].mean() / before["pr"].mean())
    print(f"  {name:<5} {warming:+.2f} K  precipitation x {ratio:.2f}")

# %%
# On the map, and by quantile
# ---------------------------
# The stations' altitudes are what the cells lack. EQM warms up to twice as much as it
# should; among days hotter than any in training, where its factor is constant, no more
# than the model.

with plotting.style():
    figure, axes = plotting.figure(1, 3, sharey=True)
    for axis, (name, data) in zip(axes, held_out.items(), strict=True):
        bias = (data["tas"] - seen["tas"]).mean("time")
        colours = {"c": bias, "cmap": "RdBu_r", "vmin": -5, "vmax": 5}
        dots = axis.scatter(
            stations["lon"], stations["lat"], edgecolors="grey", **colours
        )
        axis.set(title=name, xlabel="longitude / degrees")
    axes[0].set_ylabel("latitude / degrees")
    figure.colorbar(dots, ax=axes, label="error of the mean / K")
plotting.save(figure, "forcing_bias_map.png")

shares = np.arange(0.01, 1.0, 0.01)
with plotting.style():
    figure, axis = plotting.figure()
    for name, both in periods.items():
        before, after = (data["tas"].quantile(shares, "time") for data in both)
        axis.plot(shares, (after - before).mean("station"), label=name)
    axis.set(xlabel="share of days below", ylabel="warming / K", ylim=(0, None))
    axis.legend()
plotting.save(figure, "forcing_change.png")
print("\nfigures: forcing_bias_map.png, forcing_change.png")
