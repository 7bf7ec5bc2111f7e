"""
A season of storms, the floods it makes, and what the floodplain holds back
===========================================================================

Made-up storms over a made-up continent go through the rivers twice: with floodplains,
and between walls. With your own map and runoff only the first step is another one.
"""

# %%
# A network and its runoff
# ------------------------
# `read_cama_map`, `read_nhd_routelink` or `build_network` would bring a real one in.

from pathlib import Path

from tilth.rivers import route
from tilth.rivers.floods import (
    annual_maxima,
    plot_maps,
    plot_return_levels,
    retention,
    return_levels,
    walled,
)
from tilth.rivers.network import made_up_runoff, synthetic_network

network = synthetic_network(300, basins=3, seed=4)
runoff = made_up_runoff(network, days=12 * 365, seed=4)
print(network)

# %%
# Discharge and stage
# -------------------
# Twelve years with hourly outer steps. The ledger closes in every one of them.

rivers = route(network, runoff, variables=["discharge", "flood_fraction"])
print("largest residual of a step:", f"{float(rivers['water_residual'].max()):.1e}")
flooded = rivers["flood_fraction"].mean("catchment")
worst = flooded["time"][int(flooded.argmax("time"))].dt.strftime("%Y-%m-%d").item()
print("most of the land under water on", worst)

figure = plot_maps(
    network,
    {
        "at the worst": rivers["flood_fraction"].sel(time=worst).squeeze(),
        "on average": rivers["flood_fraction"].mean("time", keep_attrs=True),
    },
    name="flood_fraction",
    label="flooded share",
    caption="Where the rivers leave their channels.",
)
Path("flood_fraction.png").write_bytes(figure.png)

# %%
# How often
# ---------
# Yearly maxima at the largest mouth, and what twelve years can say of a hundred.

mouth = network.ids[network.accumulate(network.data["area"]).argmax()]
maxima = annual_maxima(rivers["discharge"].sel(catchment=mouth))
levels = return_levels(maxima, [1.2, 2, 5, 10, 20, 50, 100])
for period in (10, 100):
    at = levels.sel(period=period)
    print(
        f"every {period} years: {float(at['return_level']):.0f} m3 s-1",
        f"[{float(at['lower']):.0f}, {float(at['upper']):.0f}]",
    )
Path("return_levels.png").write_bytes(plot_return_levels(maxima, levels).png)

# %%
# What the floodplain holds back
# ------------------------------
# The same water between walls: no room beside the channel.

between_walls = route(walled(network), runoff, variables=["discharge"])
held = retention(rivers["discharge"], between_walls["discharge"])
at_mouth = held.sel(catchment=mouth)
print(f"peak saved at the mouth: {100 * float(at_mouth['peak_reduction']):.0f} %")
print(f"delay of the peak: {float(at_mouth['peak_delay']) / 86400:.0f} days")
print("figures: flood_fraction.png, return_levels.png")
