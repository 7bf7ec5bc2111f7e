"""A flood that moves: days of a map, one after the other, in a single image file."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.files import whole_file
from tilth.core.optional import load
from tilth.core.plotting import COLOURS, WIDTH, figure, style
from tilth.core.progress import track
from tilth.core.report import Figure
from tilth.core.typeset import units_text
from tilth.rivers.floods.maps import WATER, draw_map
from tilth.rivers.network.model import RiverNetwork

#: Milliseconds that a frame is shown, and the last one before it begins anew.
FRAME, LAST_FRAME = 160, 1500

#: Colours of all frames together; a map of one scale and its text need no more.
_COLOURS = 200

_FORMATS = {".gif": "GIF", ".png": "PNG"}


def animate_flood(
    network: RiverNetwork,
    fraction: xr.DataArray,
    *,
    discharge: xr.DataArray | None = None,
    highest: float | None = None,
    dpi: int = 90,
) -> Figure:
    """Draw the flood of every day as an animation that a page shows like any figure.

    Parameters
    ----------
    network : tilth.rivers.network.RiverNetwork
        With ``lat`` and ``lon``.
    fraction : xarray.DataArray, shape (time, catchment)
        Share of each catchment that is flooded.
    discharge : xarray.DataArray, shape (time,), optional
        Of one place; drawn below the map with a mark at the day.
    highest : float, optional
        End of the scale; by default the largest share.
    dpi : int, optional
        Resolution, pixels per inch.

    Returns
    -------
    Figure
        An animated PNG: programs that know no animation show its first frame, the day
        of the largest flood; `write_animation` makes a GIF of it.

    Raises
    ------
    InputError
        If there are fewer than two days, or other ones of the discharge.
    """
    if set(fraction.dims) != {"time", "catchment"} or fraction.sizes["time"] < 2:
        raise InputError(
            f"an animation needs a time and a catchment, and two times at least; got "
            f"{dict(fraction.sizes)}"
        )
    fraction = fraction.transpose("time", "catchment")
    if discharge is not None and not np.array_equal(
        discharge["time"].values, fraction["time"].values
    ):
        raise InputError("discharge and flood fraction must be of the same times")
    frames = _frames(network, fraction, discharge, highest, dpi)
    flooded = fraction.fillna(0.0).values @ network.data["area"].values
    peak = int(np.argmax(flooded))
    # One palette of a dry and the wettest day holds the colours of all.
    both = load("PIL.Image", "plot").fromarray(
        np.concatenate([frames[0], frames[peak]])
    )
    palette = both.quantize(_COLOURS, dither=0)
    image = load("PIL.Image", "plot")
    pictures = [image.fromarray(f).quantize(palette=palette, dither=0) for f in frames]
    buffer = io.BytesIO()
    pictures[peak].save(
        buffer,
        format="PNG",
        save_all=True,
        append_images=pictures,
        default_image=True,  # seen where nothing moves, and not part of the film
        duration=[FRAME] * (len(pictures) - 1) + [LAST_FRAME],
        loop=0,
    )
    begin, end = (str(fraction["time"].values[i])[:10] for i in (0, -1))
    return Figure(
        "flood_animation",
        buffer.getvalue(),
        f"Share of each catchment under water, {begin} to {end} (animated; a still "
        "image shows the day of the largest flooded area).",
        f"Map of the flood, largest on {str(fraction['time'].values[peak])[:10]} with "
        f"{flooded[peak] / 1e6:.0f} square kilometres under water.",
    )


def write_animation(drawn: Figure, path: str | os.PathLike[str]) -> Path:
    """Write an animation to a file.

    Parameters
    ----------
    drawn : Figure
        Of `animate_flood`.
    path : path
        Ends in ``.gif``, which every program plays, or ``.png`` (animated).

    Returns
    -------
    pathlib.Path
        The file; it appears when it is complete.

    Raises
    ------
    InputError
        If the suffix is another one, or the folder does not exist.
    """
    path = Path(path)
    if path.suffix not in _FORMATS:
        raise InputError(
            f"cannot write {path.name}: an animation's name ends in .gif or .png"
        )
    with whole_file(path) as half:
        if path.suffix == ".png":
            half.write_bytes(drawn.png)
        else:
            pictures = _pictures(drawn.png)
            pictures[0].save(
                half,
                format="GIF",
                save_all=True,
                append_images=pictures[1:],
                duration=[FRAME] * (len(pictures) - 1) + [LAST_FRAME],
                loop=0,
            )
    return path


def _pictures(png: bytes) -> list[Any]:
    """Return the frames of an animated PNG without its still image."""
    with load("PIL.Image", "plot").open(io.BytesIO(png)) as film:
        found = []
        for i in range(film.n_frames):
            film.seek(i)
            found.append(film.convert("RGB"))
        return found[1:] if film.default_image else found


def _frames(
    network: RiverNetwork,
    fraction: xr.DataArray,
    discharge: xr.DataArray | None,
    highest: float | None,
    dpi: int,
) -> list[np.ndarray]:
    """Draw every time as an image, shape (height, width, 3)."""
    times = fraction["time"].values
    top = highest or float(fraction.max()) or 1.0
    lat, lon = network.data["lat"].values, network.data["lon"].values
    tall = np.ptp(lat) / max(np.ptp(lon) * np.cos(np.radians(lat.mean())), 1e-9)
    below = discharge is not None
    found = []
    with style():
        wide = 0.7 * WIDTH
        high = 0.72 * wide * min(tall, 2.0)  # the bar beside the map takes the rest
        drawn, axes = figure(
            1 + below, 1, height=high + 0.7 + 1.3 * below, squeeze=False,
            height_ratios=[high + 0.7, 1.3] if below else None,
        )  # fmt: skip
        drawn.set_size_inches(wide, drawn.get_size_inches()[1])
        ax = axes[0, 0]
        seen = draw_map(ax, network, fraction[0], (0.0, top), WATER)
        ax.set_xlabel("longitude (°)")
        ax.set_ylabel("latitude (°)")
        drawn.colorbar(seen, ax=ax, shrink=0.8).set_label("share under water")
        mark = None
        if discharge is not None:
            flow = axes[1, 0]
            flow.plot(times, discharge.values, color=COLOURS[0])
            units = units_text(str(discharge.attrs.get("units", "m3 s-1")))
            flow.set_ylabel(f"discharge\n({units})")
            dates = load("matplotlib.dates", "plot")
            locator = dates.AutoDateLocator(maxticks=6)
            flow.xaxis.set_major_locator(locator)
            flow.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))
            mark = flow.axvline(times[0], color=COLOURS[1])
        for i in track(range(times.size), "drawing days", total=times.size):
            seen.set_array(np.ma.masked_invalid(fraction.values[i]))
            ax.set_title(str(times[i])[:10])
            if mark is not None:
                mark.set_xdata([times[i], times[i]])
            drawn.set_dpi(dpi)
            canvas: Any = drawn.canvas
            canvas.draw()
            found.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return found
