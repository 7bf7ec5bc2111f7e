"""
Soil CO2 flux: from closures to a treatment effect
==================================================

Eight pots stand under robotic chambers, four of them treated so that their soil gives
off 30 % more CO2. Every ten minutes each chamber closes for three minutes or more and a
cheap sensor watches the concentration rise. Here the fleet is simulated, so that what
comes out can be held against the truth.
"""

# %%
# A fleet with known truth
# ------------------------
# Sensors differ in gain and offset, respond slowly and are noisy; now and then a
# chamber does not open or close, or a pot is blocked by water.

import numpy as np

import tilth.chambers as ch
from tilth.chambers.simulate.fleet import Faults, Layout
from tilth.core import plotting
from tilth.core.flags import count_flags

layout = Layout(treatments={"0": 1.0, "2": 1.3}, days=5.0)
faults = Faults(stuck_open=0.05, stuck_closed=0.05, clogged_pot=0.05)
closures = ch.simulate_fleet(layout, faults=faults, seed=3)
print(f"{closures.sizes['closure']} closures of {len(layout.replicas) * 2} pots")

# %%
# What is wrong with a closure
# ----------------------------
# Nothing is dropped: each test raises a bit in ``closure_flag``. By day the plants in
# the pots take up CO2, so the comparison is made at night.

closures = ch.flag_closures(closures)
counts = count_flags(closures["closure_flag"])
print(counts[counts > 0].to_string())

# %%
# Fluxes
# ------
# The sensor lags 20 s behind the air; the delay is part of the curves that are fitted.
# CO2 is measured in moist air and dried point by point on the way. How strongly a
# closure bends is a matter of pot and chamber: one noisy closure cannot tell it, all
# closures of a pot can. They share one curvature, the model ``pooled``.

lag = ch.FluxSettings(response=20.0)
closures = ch.share_kappa(closures, "co2", by="pot", settings=lag)
settings = ch.FluxSettings(
    models=("pooled",), select="pooled", response=20.0, precision=2.0
)
fluxes = ch.fluxes(closures, "co2", settings)
night = fluxes.isel(closure=np.flatnonzero(fluxes["closure_flag"] == 0))
truth = closures["true_flux"].sel(closure=night["closure"])
table = ch.flux_table(night)
print(table[["flux", "flux_se", "mdf", "model", "flux_flag"]].head(3).to_string())
print("\ncomputed over true flux: median and scatter")
for name in ("flux_linear", "flux_hm", "flux_pooled"):
    ratio = night[name] / truth
    low, high = ratio.quantile([0.16, 0.84]).values
    print(f"  {name:<12} {float(ratio.median()):.2f} ± {(high - low) / 2:.2f}")

# %%
# The straight line is steady but too low, since CO2 that gathers slows the flux. The
# exponential of a single closure repairs that at the price of far more noise. Sharing
# the curvature gives both.
#
# One closure
# -----------
# Do the curves describe what the sensor saw? The closure with the largest flux:

largest = table.loc[table["flux"].idxmax(), "closure"]
figure = ch.plot_closure(ch.to_dry(closures, "co2"), fluxes, largest)
plotting.save(figure, "one_closure.png")

# %%
# The effect
# ----------
# Paired by the hour, the ratio of *these* pots is known very well. Whether the
# treatment does the same to any other pot is another question: the pot is the
# replicate, and there are four of each.

paired = ch.paired_effects(night).loc["9.2"]
mixed = ch.mixed_effects(night, "9.0", interval="t").table.loc["9.2"]
rows = {
    "naive": (paired["naive_ratio"], np.nan, np.nan),
    "paired": (paired["ratio"], paired["lower"], paired["upper"]),
    "mixed model": tuple(1 + mixed[["effect_percent", "lower", "upper"]] / 100),
}
print("\ntreated over control (truth 1.30)")
for name, (value, low, high) in rows.items():
    interval = "" if np.isnan(low) else f"  [{low:.2f}, {high:.2f}]"
    print(f"  {name:<12} {value:.2f}{interval}")

# %%
# A picture of the nights
# -----------------------

table["hour"] = table["time"].dt.floor("h")
hourly = table.groupby(["variant", "hour", "pot"])["flux"].mean()
hourly = hourly.groupby(["variant", "hour"]).agg(["mean", "sem"])
with plotting.style():
    figure, ax = plotting.figure(height=2.8)
    for variant, label in (("9.0", "control"), ("9.2", "treated")):
        part = hourly.loc[variant].asfreq("h")
        plotting.band(ax, part.index, part["mean"], part["sem"], label=label)
    ax.set(ylabel="flux (µmol m⁻² s⁻¹)", title="Night fluxes, mean of four pots")
    ax.legend()
plotting.save(figure, "nights.png")
print("\nfigures: one_closure.png, nights.png")
