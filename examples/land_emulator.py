"""
A land model run, imitated, and the imitation judged
====================================================

A forest in simulated weather goes through the process model; an emulator learns from
some years of it, runs freely through a year it has not seen, and is held against the
mean of each day of the year. With real output of VIC or Noah-MP only the first step is
another one.
"""

# %%
# A land model's output
# ---------------------
# Six years of hourly weather. The soil settles for two years. The books
# of the model close in every step; here is the worst one.

from pathlib import Path

from tilth.land import (
    free_run,
    plot_hydrographs,
    simulated_weather,
    skill_card,
    summary_table,
)
from tilth.land.fit import fit_emulator
from tilth.land.model import final_state, parameter_dataset, run
from tilth.land.readers import read_land_model

weather = simulated_weather((2001, 2006), rain=900.0, mean_temperature=281.0, seed=2)
forest = parameter_dataset("mixed_forest", "sandy loam", slope=0.2, relief=50.0)
early = weather.sel(time=slice("2001", "2002"))
state = final_state(run(early, forest, wetness=0.8, variables=()))
output = run(weather, forest, state)
for books in ("EnergyResidual", "WaterResidual"):
    print(books, f"{float(output[books].max()):.1e}", output[books].attrs["units"])

# %%
# An emulator of it
# -----------------
# Its daily forcing and its targets come out of the same reader as for any other land
# model. Five years are for the fit, the sixth for the verdict.

forcing, targets = read_land_model([output, weather], "tilth", soil_depth=0.25)
targets = targets[["snow", "soil", "runoff"]]
fitted = fit_emulator(forcing, targets, years=(2001, 2005))
year = slice("2006-01-01", "2006-12-31")
imitation = free_run(fitted, forcing, targets, year)

# %%
# Is it any good?
# ---------------
# An efficiency means little by itself: the mean of each day of the year has one too. A
# variable is accepted where the free run beats it.

truth, training = targets.sel(time=year), targets.sel(time=slice("2001", "2005"))
card = skill_card(imitation, truth, training)
table = summary_table(card)
print(
    table[["variable", "median NSE", "climatology", "accepted"]].to_string(index=False)
)

figure = plot_hydrographs(imitation, truth, training, cell=0)
Path("hydrographs.png").write_bytes(figure.png)
print("figures: hydrographs.png")
