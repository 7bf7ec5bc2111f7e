"""
Thaw settlement by reflected signals
====================================

Permafrost that loses ice sinks, by millimetres a year, beneath a surface that goes up
and down by centimetres with every summer's thaw. An antenna sees both by the height of
what reflects. This example draws a record whose trend is known, fits it in two ways,
and asks which of them knows how wrong it is.
"""

from tilth.core import plotting
from tilth.gnss.surface import (
    ThawSite,
    annual_trend,
    fit_thaw,
    plot_thaw,
    simulated_thaw,
    surface_change,
)

# %%
# Twelve summers above ground that sinks by 2.6 mm a year. The antenna's monument heaves
# by 1 mm a year, which its positions tell.

site = ThawSite(trend=-0.0026, monument=0.001)
record = simulated_thaw(site, seed=5)
change = surface_change(record.heights, record.position)
fit = fit_thaw(change, record.temperature)
low, high = fit.interval()
print(f"truth {1e3 * site.trend:.2f} mm/yr")
print(
    f"trend {1e3 * fit.trend:.2f} mm/yr, 95 % from {1e3 * low:.2f} to {1e3 * high:.2f}"
)

# %%
# Seasons follow the root of the thaw index: Stefan's law. What the ground does by the
# end of an average summer is known here.

sunk = fit.years["subsidence"]
truth = record.truth["subsidence"]
print(
    f"subsidence {1e3 * float(sunk.mean()):.0f} "
    f"+- {1e3 * float(fit.years['subsidence_se'].mean()):.0f} mm, "
    f"truth {1e3 * float(truth.mean()):.0f} mm"
)

# %%
# Means of summers, with errors as if each day were independent, say less than half of
# what they should. Without positions the heave of the monument is in the trend.

trend, se = annual_trend(change)
print(f"annual means {1e3 * trend:.2f} +- {1e3 * se:.2f} mm/yr")
print(f"errors that remember {1e3 * fit.trend:.2f} +- {1e3 * fit.trend_se:.2f} mm/yr")
alone = fit_thaw(surface_change(record.heights), record.temperature)
print(f"without positions {1e3 * alone.trend:.2f} mm/yr")

# %%
# The figure shows daily surface, seasons, trend and what is left.

plotting.save(plot_thaw(fit, record.truth["surface"]), "gnss_thaw.png")
print("figures: gnss_thaw.png")
