"""Figures of loads: the map of uplift with its load, and how a strength was chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.plotting import COLOURS, figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_uplift(
    moved: xr.Dataset,
    load: xr.DataArray | xr.Dataset | None = None,
    *,
    units: str = "mm",
    scale: float = 1e3,
) -> Figure:
    """Draw stations with their uplift and horizontal motion over the load.

    Parameters
    ----------
    moved : xarray.Dataset
        ``east``, ``north``, ``up``, ``lat`` and ``lon`` along the stations; ``_se``
        of ``east`` and ``north``, where given, are drawn as ellipses of 95 %.
    load : xarray.DataArray or xarray.Dataset, optional
        On cells of latitude and longitude; or an estimate of `tilth.loading.invert` of
        cells, whose ``load`` is drawn.
    units : str
        Of a displacement as drawn.
    scale : float, default 1000
        What displacements are multiplied with to be in these units.

    Returns
    -------
    matplotlib.figure.Figure
        One map; the length of an arrow of the key is printed beside it.

    Raises
    ------
    InputError
        If no station moves.
    """
    east, north, up = (scale * moved[n].values for n in ("east", "north", "up"))
    lat, lon = moved["lat"].values, moved["lon"].values
    longest = float(np.nanmax(np.hypot(east, north)))
    if not longest > 0.0:
        raise InputError("no station moves sideways: there is nothing to draw")
    with style():
        drawn, ax = figure(height=5.2)
        if load is not None:
            _draw_load(drawn, ax, load)
        limit = np.nanmax(np.abs(up))
        dots = ax.scatter(
            lon, lat, c=up, cmap="PuOr_r", vmin=-limit, vmax=limit, s=46,
            edgecolors="black", linewidths=0.7, zorder=4,
        )  # fmt: skip
        drawn.colorbar(dots, ax=ax, label=f"uplift ({units})", shrink=0.8)
        every = np.concatenate([lat, lon * np.cos(np.radians(lat.mean()))])
        reach = 0.18 * max(np.ptp(lat), np.ptp(every[lat.size :]), 1e-6)
        per_degree = longest / reach
        squeeze = np.cos(np.radians(lat.mean()))
        across = east / per_degree / squeeze
        ax.quiver(
            lon, lat, across, north / per_degree, angles="xy", scale_units="xy",
            scale=1.0, width=0.004, color=COLOURS[6], zorder=5,
        )  # fmt: skip
        if "east_se" in moved and "north_se" in moved:
            _draw_ellipses(ax, moved, scale / per_degree, across, north / per_degree)
        ax.set_xlim(*_around(ax.get_xlim(), lon + across))
        ax.set_ylim(*_around(ax.get_ylim(), lat + north / per_degree))
        ax.set_aspect(1.0 / squeeze)
        ax.set(xlabel="longitude (°)", ylabel="latitude (°)")
        ax.set_title(f"longest arrow: {longest:.2g} {units}")
    return drawn


def plot_strength(estimate: xr.Dataset) -> Figure:
    """Draw what the strength of a penalty was chosen by.

    Parameters
    ----------
    estimate : xarray.Dataset
        Of `tilth.loading.invert` with a strength chosen.

    Returns
    -------
    matplotlib.figure.Figure
        Three panels: the L-curve, generalised cross-validation and the likelihood, each
        with its own best and the strength that was used.

    Raises
    ------
    InputError
        If the strength was given.
    """
    if "strength" not in estimate.dims:
        raise InputError("the strength of this estimate was given, not chosen")
    used = estimate.attrs["strength"]
    tried = estimate["strength"].values
    at = int(np.argmin(np.abs(np.log(tried / used))))
    with style():
        drawn, axes = figure(1, 3, height=2.7)
        misfit, size = (np.sqrt(estimate[n].values) for n in ("misfit_curve", "size"))
        axes[0].loglog(misfit, size)
        axes[0].plot(misfit[at], size[at], "o", color=COLOURS[1], label="used")
        axes[0].xaxis.set_minor_formatter("")
        axes[0].set(xlabel="norm of the misfit", ylabel="norm of the penalty")
        axes[0].legend()
        for ax, name, label, best in (
            (axes[1], "gcv", "cross-validation", np.nanargmin),
            (axes[2], "log_likelihood", "log-likelihood", np.nanargmax),
        ):
            values = estimate[name].values
            values = np.where(np.isfinite(values), values, np.nan)
            ax.semilogx(tried, values)
            k = int(best(values))
            ax.plot(tried[k], values[k], "s", color=COLOURS[2], label="best")
            ax.axvline(used, color=COLOURS[1], ls="--", lw=1.0)
            ax.set(xlabel="strength", ylabel=label)
            if name == "log_likelihood":
                ax.set_ylim(values[k] - 40.0, values[k] + 4.0)
            else:
                ax.set_yscale("log")
            ax.legend()
    return drawn


def _around(limits: tuple[float, float], ends: np.ndarray) -> tuple[float, float]:
    """Return limits that hold the points of all arrows."""
    room = 0.02 * (limits[1] - limits[0])
    return (
        min(limits[0], float(np.nanmin(ends)) - room),
        max(limits[1], float(np.nanmax(ends)) + room),
    )


def _draw_load(drawn: Any, ax: Any, load: xr.DataArray | xr.Dataset) -> None:
    """Draw cells of load."""
    if isinstance(load, xr.Dataset):
        label = f"load ({load['load'].attrs.get('units', '')})"
        lat, lon = load["source_lat"].values, load["source_lon"].values
        rows, row = np.unique(load["row"].values, return_inverse=True)
        columns, column = np.unique(load["column"].values, return_inverse=True)
        field = np.full((rows.size, columns.size), np.nan)
        field[row, column] = load["load"].values
        y, x = np.full(rows.size, np.nan), np.full(columns.size, np.nan)
        y[row], x[column] = lat, lon
    else:
        label = f"load ({load.attrs.get('units', '')})"
        names = ("lat", "lon")
        field = load.transpose(*names).values.astype(float)
        field = np.where(field == 0.0, np.nan, field)
        y, x = (load[n].values for n in names)
    limit = np.nanmax(np.abs(field))
    cells = ax.pcolormesh(
        x, y, field, cmap="RdBu", vmin=-limit, vmax=limit, shading="nearest", zorder=1
    )
    drawn.colorbar(cells, ax=ax, label=label, shrink=0.8)


def _draw_ellipses(
    ax: Any, moved: xr.Dataset, scale: float, across: np.ndarray, along: np.ndarray
) -> None:
    """Draw the 95 % ellipses of horizontal motion at the points of the arrows."""
    turn = np.linspace(0.0, 2.0 * np.pi, 40)
    squeeze = np.cos(np.radians(moved["lat"].values.mean()))
    wide = 2.4477  # square root of the 95 % quantile of chi-squared, two degrees
    for k in range(across.size):
        ax.plot(
            moved["lon"].values[k]
            + across[k]
            + wide * scale * moved["east_se"].values[k] * np.cos(turn) / squeeze,
            moved["lat"].values[k]
            + along[k]
            + wide * scale * moved["north_se"].values[k] * np.sin(turn),
            color=COLOURS[6],
            lw=0.6,
            zorder=5,
        )
