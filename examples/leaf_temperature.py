"""
Do leaves sense their temperature difference?
=============================================

Learners of stomatal conductance make much of the difference between leaf and air. That
looks like a sense of warmth. But open stomata cool the leaf: the difference follows
from conductance, whatever stomata sense. Here are made-up leaves that sense nothing,
and others that do. Most of what is taken for evidence is the same in both.
"""

# %%
# Leaves whose stomata are known
# ------------------------------
# Both follow Medlyn's closure with some scatter, and the energy balance of a leaf in a
# stirred chamber makes their temperatures. Stomata of the second kind close besides by
# 30 % for every kelvin.

from tilth.core import plotting
from tilth.stomata.evidence import difference_effect, rank_features
from tilth.stomata.experiments import default_splits, run_experiments
from tilth.stomata.learners import random_forest
from tilth.stomata.made_up import made_up_leaves
from tilth.stomata.plots import plot_effects
from tilth.stomata.sensing import sensing_test

worlds = {
    name: made_up_leaves(
        plants=6,
        days=14,
        scatter=0.05,
        noise=0.15,
        sensitivity=sensitivity,
        seed=5,
    )
    for name, sensitivity in {"not sensing": 0.0, "sensing": 0.3}.items()
}
forest = {"forest": random_forest(trees=100)}

# %%
# What the difference adds
# ------------------------
# E2 knows deficit, uptake, carbon dioxide and light; E4 the temperature difference
# besides. Rows of one day resemble each other, so whole days are left out as well.

for name, leaves in worlds.items():
    splits = default_splits(leaves)
    two = {kind: splits[kind] for kind in ("shuffled", "by day")}
    result = run_experiments(leaves, forest, splits=two, experiments=("E2", "E4"))
    print(f"{name}: R2 without and with the difference")
    for kind in two:
        scores = result["r_squared"].sel(split=kind, learner="forest")
        without, added = (float(scores.sel(experiment=e)) for e in ("E2", "E4"))
        print(f"  {kind:<9} {without:.2f} {added:.2f}")
print(result.attrs["warning"])

# %%
# Its rank and its effect
# -----------------------
# How much worse does a forest predict when one feature is shuffled? And how does its
# prediction change with the difference, all else being alike?

effects = {}
for name, leaves in worlds.items():
    ranked = rank_features(leaves, forest, repeats=10)["forest"]["train"].table()
    place = ranked.set_index("feature").loc["temperature_difference", "rank"]
    effects[name] = difference_effect(leaves, forest["forest"])
    fall = effects[name].effect[0] - effects[name].effect[-1]
    print(f"{name}: rank {place}, effect falls by {fall:.2f} mol m-2 s-1")

# %%
# Leaves that sense nothing have it all: a difference that ranks second, that adds to
# the score on days never seen, and whose effect falls.
#
# A question that can tell
# ------------------------
# The difference a leaf *would* have if its stomata did as the closure says is made by
# light, air and boundary layer alone. Leaves that sense it are more closed than the
# closure says where it is large. Beside it stand worlds without sensing, made of
# each kind's own closure and scatter.

print("\nclosing per kelvin, 1/K, and 90 % interval")
for name, leaves in worlds.items():
    found = sensing_test(leaves, draws=20)
    low, high = found.interval
    print(f"  {name:<12} {found.sensitivity:.2f}  [{low:.2f}, {high:.2f}]")

# %%
# This is as good as the closure: a real leaf whose response to dryness is not quite
# Medlyn's would seem to sense warmth too.

figure = plot_effects({"E4": effects})
plotting.save(figure, "effect_of_the_difference.png")
print("\nfigures: effect_of_the_difference.png")
