"""
Heights from reflected signals
==============================

A receiver hears each satellite twice: directly, and by way of the ground. As the
satellite rises the two beat against each other, the faster the higher the antenna. This
example makes up a day of signal-to-noise ratios over a plane two metres below, finds
the height in every arc, and shows which arcs were refused and where the others look.
"""

import numpy as np

from tilth.core import plotting
from tilth.gnss.reflectometry import (
    Refraction,
    Settings,
    accepted,
    cut_arcs,
    plot_arc,
    plot_fresnel_map,
    reflector_heights,
    snr_day,
    wavelength,
)

# %%
# Twenty satellites rise through 5 to 25 degrees on all sides. To the north a building
# hides the ground: noise is all that comes from there.

HEIGHT = 2.0
rng = np.random.default_rng(4)
seconds = np.arange(0.0, 3900.0, 30.0)
elevation = 3.0 + 28.0 * seconds / seconds[-1]
rows = []
for satellite in range(1, 21):
    azimuth = 18.0 * satellite
    hidden = azimuth < 40.0 or azimuth > 320.0
    turns = 2.0 * np.sin(np.radians(elevation)) / wavelength(satellite, 1)
    beat = np.cos(2 * np.pi * HEIGHT * turns + rng.uniform(0.0, 6.28))
    ratio = 80.0 + 6.0 * elevation - 0.08 * elevation**2
    ratio += (0.0 if hidden else 14.0) * beat + 5.0 * rng.standard_normal(seconds.size)
    start = 3600.0 * (1 + satellite)
    rows.append(
        np.stack(
            [
                np.full(seconds.size, satellite),
                elevation,
                np.full(seconds.size, azimuth % 360.0),
                start + seconds,
                20.0 * np.log10(np.maximum(ratio, 1.2)),
            ]
        )
    )
satellites, elevations, azimuths, times, strength = np.concatenate(rows, axis=1)
day = snr_day(
    satellites.astype(int),
    elevations,
    azimuths,
    times,
    {"s1": strength},
    station="demo",
    date="2024-07-01",
)

# %%
# One call from the day to heights. Arcs that were refused stay, with their reasons. The
# made-up signals went straight, so refraction is left out.

settings = Settings(signals=(1,), refraction=Refraction("none"))
arcs = reflector_heights(day, settings=settings)
good = accepted(arcs)
height, error = good["reflector_height"], good["reflector_height_se"]
print(f"arcs {arcs.sizes['arc']}, accepted {good.sizes['arc']}")
print(f"mean height {float(height.mean()):.4f} m, truth {HEIGHT} m")
print(
    f"scatter {float(height.std()):.4f} m, standard error {float(error.mean()):.4f} m"
)

# %%
# An arc with its periodogram, and a map of the first Fresnel zones.

pieces = cut_arcs(day, settings)
here = pieces.samples(9)
figure = plot_arc(
    pieces.elevation[here], pieces.residual[here], int(pieces.satellite[9]), signal=1
)
plotting.save(figure, "gnss_arc.png")
plotting.save(plot_fresnel_map(arcs, HEIGHT), "gnss_fresnel.png")
print("figures: gnss_arc.png, gnss_fresnel.png")
