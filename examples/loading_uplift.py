"""
The mass of a glacier from the rise of the rock beside it
=========================================================

Ice that melts lets the ground rise by millimetres a year. Twelve stations beside a
made-up outlet glacier watch it do so, beside what the last ice age has left in the
ground. How much ice is lost, and how far is that to be believed?
"""

# %%
# The margin
# ----------
# The Earth is made up, too, so that nothing needs to be downloaded; for a real one:
# ``read_love_numbers()``. The truth lies on cells half as wide and high as those that
# will be inverted for.

import numpy as np

from tilth.core import plotting
from tilth.loading import (
    basin_rows,
    basin_table,
    cell_sources,
    green_functions,
    invert,
    invert_signed,
    observed_ratio,
    plot_strength,
    plot_uplift,
    station_rows,
)
from tilth.loading.simulated import (
    made_up_earth,
    made_up_margin,
    made_up_rebound,
    observed_gravity,
    observed_stations,
    true_displacement,
)

SEED = 3
green = green_functions(made_up_earth().in_frame("CF"))
margin = made_up_margin(step=0.05, seed=SEED)
moved, _ = true_displacement(margin, green, margin.stations)
truth = float(margin.true_mass.sum())
print(f"lost in truth: {-truth:.1f} Gt a year")
print(f"rise of the rock: {1e3 * moved['up'].min():.1f} to ", end="")
print(f"{1e3 * moved['up'].max():.1f} mm a year")

# %%
# What the stations see
# ---------------------
# A decade of positions: 0.2 mm a year sideways and 0.6 upward, and rebound by a model
# that nobody knows. Which way the load lies is in the horizontals, how far in their
# ratio to the vertical.

rebound = made_up_rebound(margin.stations, members=1, seed=100)
seen = observed_stations(moved, rebound, seed=SEED)
pointed = observed_ratio(seen)
for k in (0, 1, 3):
    name = str(seen["station"].values[k])
    print(
        f"  {name}: ratio {float(pointed['ratio'][k]):.2f}, the load lies at "
        f"{float(pointed['azimuth'][k]):.0f} degrees"
    )

# %%
# Weighed
# -------
# Six models of rebound are taken off by their mean; what they differ by is an error
# that all stations share. The strength of the penalty is what makes the observations
# most likely. Two errors come out: that by noise alone, and the one that knows what
# regularisation hides.

coarse = made_up_margin(step=0.1, seed=SEED)
sources = cell_sources(coarse.basin >= 0, margin.stations, green)
upward = station_rows(seen.drop_vars(["east", "north"]), sources, gia=margin.gia)
three = station_rows(seen, sources, gia=margin.gia)
names = np.array(["trunk", "neighbour"])
row, column = sources["row"].values, sources["column"].values
basins = basin_table(sources, list(names[coarse.basin.values[row, column]]))
gravity = basin_rows(observed_gravity(margin, seed=SEED), basins, sources)

print("\n                     total    error  by noise")
kinds = {
    "uplift alone": [upward],
    "three components": [three],
    "and gravity": [three, gravity],
}
found = {
    name: invert(rows, sources, basins=basins, penalty="size")
    for name, rows in kinds.items()
}
for name, estimate in found.items():
    total, se, noise = (
        float(estimate[variable])
        for variable in ("total", "total_se", "total_se_noise")
    )
    print(f"  {name:<17} {total:7.1f} {se:8.1f} {noise:9.1f}")

# %%
# Only loss
# ---------
# Where ice is known to be lost and nowhere gained, the sign alone limits the total,
# without any penalty.

signed = invert_signed(kinds["three components"], sources, "loss")
low, high = float(signed["total_lower"]), float(signed["total_upper"])
print(f"\nany load that only loses: {low:.1f} to {high:.1f} Gt a year")
shares = found["three components"]["recovered"]
print(f"of a cell's mass the total shows {float(shares.min()):.2f} to ", end="")
print(f"{float(shares.max()):.2f}")

# %%
# On the map
# ----------

figure = plot_uplift(seen, found["and gravity"], units="mm per year")
plotting.save(figure, "loading_uplift.png")
figure = plot_strength(found["three components"])
plotting.save(figure, "loading_strength.png")
print("\nfigures: loading_uplift.png, loading_strength.png")
