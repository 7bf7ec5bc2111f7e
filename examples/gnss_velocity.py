"""
A station beside a glacier: velocity, an unknown step, and a transient
======================================================================

A station rises because ice goes. In its fourth year the ice goes faster, for a year; an
antenna was changed, and nobody wrote it down; the noise is coloured. The world here is
made up, so that the truth is known.
"""

# %%
# A station
# ---------
# White and flicker noise as stations have them, seasons, gaps; a step of 8 mm east and
# -6 mm north; and 12 mm of uplift in one year on top of 5 mm per year.

import numpy as np
import xarray as xr

from tilth.core import plotting
from tilth.gnss.positions.noise import NoiseValues, simulate_noise
from tilth.gnss.positions.steps import find_steps
from tilth.gnss.positions.trajectory import Trajectory
from tilth.gnss.positions.transients import separate_positions
from tilth.gnss.positions.year_slopes import midas_velocity

SEED, DAYS = 4, 2000
RATES = {"east": 3.0, "north": 12.0, "up": 5.0}
STEP_DAY, STEP = 700, {"east": 8.0, "north": -6.0, "up": 0.0}
time = np.datetime64("2010-01-01T12", "ns") + np.arange(DAYS) * np.timedelta64(1, "D")
years = np.arange(DAYS) / 365.25
faster = 12.0 * np.clip(years - 3.5, 0.0, 1.0)

station = xr.Dataset({"time": time}, attrs={"station": "ICE1"})
for number, (name, rate) in enumerate(RATES.items()):
    size = 3.0 if name == "up" else 1.0
    noise = simulate_noise(
        NoiseValues(white=1.2 * size, amplitude=[2.0 * size], index=[1.0]),
        DAYS,
        seed=SEED + number,
    )
    values = rate * years + 2.0 * size * np.cos(2 * np.pi * years) + noise
    values += STEP[name] * (np.arange(DAYS) >= STEP_DAY)
    station[name] = ("time", 1e-3 * (values + faster * (name == "up")))
rng = np.random.default_rng(SEED)
station = station.isel(time=np.flatnonzero(rng.random(DAYS) > 0.05))

# %%
# The step
# --------
# It is found, on its day, with its size and error. A velocity beside it that does not
# know of it would be wrong by some millimetres per year.

steps = find_steps(station)
print(f"steps found: {len(steps)}, the true one on {str(time[STEP_DAY])[:10]}")
for row in steps.to_dict("records"):
    print(
        f"  {row['time']:%Y-%m-%d}  east {1e3 * row['east']:.1f} ± "
        f"{1e3 * row['east_se']:.1f}  north {1e3 * row['north']:.1f} ± "
        f"{1e3 * row['north_se']:.1f} mm"
    )

# %%
# The velocity
# ------------
# MIDAS is a median of slopes over one year: seasons do not touch it. The faster year
# does: two of the five years of slopes have a part of it, and the median goes along.

found = midas_velocity(station, steps["time"].values)
print("\nMIDAS, mm per year")
for name, rate in RATES.items():
    own = found.sel(component=name)
    print(
        f"  {name:<5} {1e3 * float(own['velocity']):6.2f} ± "
        f"{1e3 * float(own['velocity_se']):.2f}  truth {rate:.1f}"
    )

# %%
# What it did besides
# -------------------
# The state space has a random walk beside the line. Trend and transient trade off, so
# their sum is what is known well; its rise above the true rate, through the faster
# year, is the transient.

parts = separate_positions(station, Trajectory(steps=list(steps["time"])))
up = parts.sel(component="up")
first, last = np.searchsorted(up["time"].values, time[[1278, 1644]])
rise = (
    1e3 * float(up["motion"][last] - up["motion"][first]) - RATES["up"] * 366 / 365.25
)
error = 1e3 * float(np.hypot(up["motion_se"][first], up["motion_se"][last]))
print(f"\nuplift beyond the rate in the faster year: {rise:.1f} ± {error:.1f} mm")

with plotting.style():
    figure, axis = plotting.figure()
    axis.plot(station["time"], 1e3 * station["up"], ".", ms=1, color="grey")
    low, high = (
        1e3 * (up["motion"] + sign * 1.96 * up["motion_se"]) for sign in (-1, 1)
    )
    axis.fill_between(up["time"].values, low, high, alpha=0.4, label="95 %")
    axis.plot(up["time"], 1e3 * up["motion"], label="motion")
    axis.plot(time, RATES["up"] * years + faster, "k--", label="truth")
    axis.set(ylabel="up / mm")
    axis.legend()
plotting.save(figure, "gnss_transient.png")
print("\nfigures: gnss_transient.png")
