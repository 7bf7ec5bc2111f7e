"""
Local rain from the pattern around it
=====================================

A place in the lee of mountains is dry while the coarse cell above it is wet. In this
made-up climate the rain of a place comes from systems some degrees west of it. Learnt
from eight winters, pattern-recognition downscaling (after Yoshikane & Yoshimura) finds
that out; interpolation with quantile mapping cannot.
"""

# %%
# Coarse rain and local rain of the same ten winters; two winters are held out.

import numpy as np
from scipy.stats import spearmanr

from tilth.core import plotting
from tilth.core.errors import InputError
from tilth.core.regrid import bilinear
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.seasons import season_labels
from tilth.forcing.patterns.simulated import simulated_weather
from tilth.forcing.patterns.transfer import Transfer
from tilth.forcing.split import check_not_trained_on

coarse, local = simulated_weather(winters=10, places=12, seed=1)
late = season_labels(local.time) > 1990
truth = local[late].values

# %%
# Learn and predict. The result holds the conditional estimate and the output with the
# observed distribution, and knows what it was trained on.

model = PatternDownscaling().fit(coarse[~late], local[~late])
result = model.predict(coarse[late])
check_not_trained_on(result)


def rank_correlation(values):
    return np.mean([spearmanr(a, b)[0] for a, b in zip(values.T, truth.T, strict=True)])


near = bilinear(coarse, local).apply(coarse[late]).values
print("rank correlation with the rain of winters never seen")
for name, values in (
    ("interpolated", near),
    ("pattern, conditional", result["conditional"].values),
    ("pattern, corrected", result["corrected"].values),
):
    spread = values.std() / truth.std()
    print(f"  {name:22s} {rank_correlation(values):.2f}   spread {spread:.2f}")

# %%
# A climate model has days of its own. Learning from it is refused; its fields, mapped
# onto those that were learnt from, give its climate at the places.

gcm = simulated_weather(winters=10, places=12, seed=1, free_running=True).coarse
try:
    PatternDownscaling().fit(gcm, local)
except InputError as refusal:
    print(f"refused: {str(refusal).split(':')[0]}")
bridge = Transfer.fit(gcm, coarse)
transferred = model.predict(bridge.apply(gcm))["corrected"]
raw = bilinear(gcm, local).apply(gcm)
for name, field in (("interpolated", raw), ("transferred", transferred)):
    error = np.abs(field.mean("time") / local.mean("time") - 1.0).mean()
    print(f"climate model, {name}: error of means {100 * float(error):.0f} %")

# %%
# One winter at one place: the spread belongs to the conditional estimate.

with plotting.style():
    figure, ax = plotting.figure(height=3.2)
    days = slice(0, 60)
    one = result.isel(place=0, time=days)
    middle, spread = one["conditional"].values, one["conditional_spread"].values
    x = np.arange(60)
    ax.fill_between(x, np.maximum(middle - spread, 0.0), middle + spread, alpha=0.3)
    ax.plot(x, middle, label="conditional, with its spread")
    ax.plot(x, one["corrected"].values, label="corrected")
    ax.plot(x, truth[days, 0], "k.", label="observed")
    ax.set(xlabel="days since 1 December 1990", ylabel="rain, mm day$^{-1}$")
    ax.legend()
plotting.save(figure, "forcing_patterns.png")
print("figures: forcing_patterns.png")
