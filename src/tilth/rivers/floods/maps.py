"""Maps of catchments: numbers laid out on the grid they come from, drawn in colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.core.plotting import WIDTH, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text
from tilth.rivers.network.model import RiverNetwork

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Water grows from white to dark blue; both are read by everyone, and on paper.
WATER = "Blues"

#: Differences: red and blue, which every kind of colour vision tells apart.
DIFFERENCE = "RdBu"

#: Catchments without a number, and what is no catchment: the sea, other basins.
_NO_DATA, _OUTSIDE = "0.72", "0.9"

#: Share of the largest upstream area from which on a river is drawn, to find one's way.
_RIVER_SHARE = 0.02


def on_grid(network: RiverNetwork, values: xr.DataArray) -> xr.DataArray:
    """Lay out numbers of catchments on the grid of the network's map.

    Parameters
    ----------
    network : tilth.rivers.network.RiverNetwork
        With ``row`` and ``column``, counted from 0, such as one from a CaMa-Flood map.
    values : xarray.DataArray, shape (..., catchment)
        Of every catchment, in the network's order.

    Returns
    -------
    xarray.DataArray, shape (..., row, column)
        NaN where the grid has no catchment; with ``lat`` and ``lon`` of rows and
        columns where the network knows them.

    Raises
    ------
    InputError
        If the network has no grid or other catchments.
    """
    network.require("row", "column")
    if values.sizes.get("catchment") != network.size:
        raise InputError(
            f"a map needs the network's {network.size} catchments, got "
            f"{dict(values.sizes)}"
        )
    row, column = (network.data[name].values for name in ("row", "column"))
    rows = int(network.data.attrs.get("grid_rows", row.max() + 1))
    columns = int(network.data.attrs.get("grid_columns", column.max() + 1))
    extra = [dim for dim in values.dims if dim != "catchment"]
    given = values.transpose(*extra, "catchment")
    grid = np.full((*given.shape[:-1], rows, columns), np.nan)
    grid[..., row, column] = given.values
    coords: dict[Any, Any] = {d: given[d] for d in extra if d in given.coords}
    for name, dim, place in (("lat", "row", row), ("lon", "column", column)):
        if name in network.data.coords:
            coords[name] = (dim, _axis(network.data[name].values, place, grid, dim))
    return xr.DataArray(
        grid, coords, (*extra, "row", "column"), name=values.name, attrs=values.attrs
    )


def plot_maps(
    network: RiverNetwork,
    panels: Mapping[str, xr.DataArray],
    *,
    name: str,
    label: str,
    caption: str,
    difference: tuple[str, str] | None = None,
    highest: float | None = None,
) -> Figure:
    """Draw maps of a quantity side by side, on one scale.

    Parameters
    ----------
    network : tilth.rivers.network.RiverNetwork
        With ``lat`` and ``lon``.
    panels : mapping of str to xarray.DataArray, shape (catchment,)
        Title -> values.
    name : str
        Of the figure's file.
    label : str
        What the colours are; the units are taken from the values.
    caption : str
        What the reader should see.
    difference : tuple of str, optional
        Titles of two panels whose difference, first less second, is drawn beside
        them on a scale of its own.
    highest : float, optional
        End of the scale; by default the largest value.

    Returns
    -------
    Figure
        The larger rivers are thin lines; what is no catchment is light grey, a
        catchment without a number darker.

    Raises
    ------
    InputError
        If the network does not say where it lies, or a panel is of another one.
    """
    _check_places(network)
    shown = {title: values.reset_coords(drop=True) for title, values in panels.items()}
    for title, values in shown.items():
        if values.dims != ("catchment",) or values.size != network.size:
            raise InputError(
                f"the panel {title!r} needs one value per catchment, {network.size}, "
                f"got {dict(values.sizes)}"
            )
    top = highest or max(float(values.max()) for values in shown.values()) or 1.0
    count = len(shown) + (difference is not None)
    lat, lon = network.data["lat"].values, network.data["lon"].values
    tall = np.ptp(lat) / max(np.ptp(lon) * np.cos(np.radians(lat.mean())), 1e-9)
    units = units_text(str(next(iter(shown.values())).attrs.get("units", "")))
    with style():
        drawn, axes = figure(
            1, count, height=WIDTH / count * min(tall, 2.0) + 1.1, squeeze=False,
            sharex=True, sharey=True,
        )  # fmt: skip
        for ax, (title, values) in zip(axes[0], shown.items(), strict=False):
            seen = draw_map(ax, network, values, (0.0, top), WATER)
            ax.set_title(title)
        bar = drawn.colorbar(
            seen, ax=list(axes[0, : len(shown)]), location="bottom", shrink=0.7,
            extend="max" if highest else "neither",
        )  # fmt: skip
        bar.set_label(_with_units(label, units))
        if difference is not None:
            first, second = (shown[title] for title in difference)
            gap = first.copy(data=first.values - second.values)
            power = int(np.floor(np.log10(float(abs(gap).max()) or 1.0)))
            power = 0 if -2 <= power <= 3 else power
            gap = gap / 10.0**power
            most = float(abs(gap).max()) or 1.0
            ax = axes[0, -1]
            seen = draw_map(ax, network, gap, (-most, most), DIFFERENCE)
            ax.set_title("difference")
            bar = drawn.colorbar(seen, ax=ax, location="bottom", shrink=0.9)
            scale = f"10$^{{{power}}}$ {units}".strip() if power else units
            bar.set_label(_with_units("first less second", scale))
        for ax in axes[0]:
            ax.set_xlabel("longitude (°)")
        axes[0, 0].set_ylabel("latitude (°)")
    return Figure.draw(
        name,
        drawn,
        caption,
        f"{count} maps of {label}: {', '.join(shown)}"
        f"{' and their difference' if difference else ''}; the highest value is "
        f"{top:.3g} {units}.",
    )


def draw_map(
    ax: Axes,
    network: RiverNetwork,
    values: xr.DataArray,
    limits: tuple[float, float],
    colours: str,
) -> Any:
    """Draw the numbers of catchments where they lie.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    network : tilth.rivers.network.RiverNetwork
        With ``lat`` and ``lon``; on a grid each cell is filled, else each catchment
        is a square.
    values : xarray.DataArray, shape (catchment,)
        Of every catchment.
    limits : tuple of float
        Ends of the scale.
    colours : str
        Matplotlib's name of a colour map.

    Returns
    -------
    matplotlib.collections.Collection
        For a colour bar; ``set_array`` of the values takes another day's.
    """
    lat, lon = network.data["lat"].values, network.data["lon"].values
    colour_map = (
        load("matplotlib", "plot").colormaps[colours].with_extremes(bad=_NO_DATA)
    )
    size = _spacing(lat), _spacing(lon)
    corners = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5]])
    boxes = np.stack([lon, lat], -1)[:, None] + corners * (size[1], size[0])
    collections = load("matplotlib.collections", "plot")
    filled = collections.PolyCollection(
        boxes, array=np.ma.masked_invalid(values.values), cmap=colour_map,
        clim=limits, edgecolors="face", linewidths=0.2,
    )  # fmt: skip
    ax.add_collection(filled)
    ax.add_collection(
        collections.LineCollection(_rivers(network), colors="0.35", linewidths=0.5)
    )
    ax.set_aspect(1.0 / np.cos(np.radians(lat.mean())))
    ax.set_xlim(lon.min() - size[1], lon.max() + size[1])
    ax.set_ylim(lat.min() - size[0], lat.max() + size[0])
    ax.grid(False)
    ax.set_facecolor(_OUTSIDE)
    return filled


def _rivers(network: RiverNetwork) -> np.ndarray:
    """Return the lines of the larger rivers, shape (line, 2, 2)."""
    if "area" not in network.data:
        return np.zeros((0, 2, 2))
    drained = network.accumulate(network.data["area"].values)
    after = network.downstream
    large = (drained >= _RIVER_SHARE * drained.max()) & (after >= 0)
    place = np.stack([network.data["lon"].values, network.data["lat"].values], -1)
    lines = np.stack([place[large], place[after[large]]], axis=1)
    # A river across the date line would be drawn around the world.
    return lines[abs(lines[:, 0, 0] - lines[:, 1, 0]) < 180.0]


def _spacing(degrees: np.ndarray) -> float:
    """Return the typical distance of neighbouring places, degrees."""
    steps = np.diff(np.unique(degrees.round(9)))
    return float(np.median(steps)) if steps.size else 1.0


def _axis(degrees: np.ndarray, place: np.ndarray, grid: np.ndarray, dim: str) -> Any:
    """Return the degrees of all rows or columns; NaN where there is no catchment."""
    axis = np.full(grid.shape[-2 if dim == "row" else -1], np.nan)
    axis[place] = degrees
    return axis


def _with_units(label: str, units: str) -> str:
    """Return a label with its units, where it has any."""
    return f"{label} ({units})" if units and units != "1" else label


def _check_places(network: RiverNetwork) -> None:
    """Raise unless the network says where it lies."""
    missing = [name for name in ("lat", "lon") if name not in network.data.coords]
    if missing:
        raise InputError(
            f"a map needs the network's {' and '.join(missing)} along catchment: "
            "assign them as coordinates"
        )
