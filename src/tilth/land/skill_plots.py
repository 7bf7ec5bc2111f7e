"""Figures of a skill card: where an emulator is good, when, and how it fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.plotting import COLOURS, WIDTH, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text
from tilth.land.climatology import climatology_forecast, day_of_year_climatology
from tilth.land.skill import VERDICTS
from tilth.land.skill_report import cell_names

#: Up to so many cells each is a point with its interval; more are a map.
STRIP_CELLS = 40

#: How variables are called in a figure.
NAMES = {
    "snow": "snow water equivalent",
    "soil": "soil water",
    "wetland": "wetland store",
    "runoff": "runoff",
    "evaporation": "evaporation",
}

_EMULATOR, _CLIMATE, _PERSISTENCE = COLOURS[0], COLOURS[1], "0.55"


def plot_skill(card: xr.Dataset) -> Figure:
    """Draw the skill of every cell, beside climatology and persistence.

    Parameters
    ----------
    card : xarray.Dataset
        As `tilth.land.skill.skill_card` returns it. With more than `STRIP_CELLS`
        cells it needs ``lat`` and ``lon`` and becomes a map.

    Returns
    -------
    Figure
        One panel per variable.
    """
    if card.sizes["cell"] <= STRIP_CELLS:
        return _strip(card)
    if "lat" in card.coords and "lon" in card.coords:
        return _map(card)
    return _ranks(card)


def _strip(card: xr.Dataset) -> Figure:
    """Draw each cell as a point with its interval."""
    names = list(card["variable"].values)
    x = np.arange(card.sizes["cell"])
    label = f"emulator, {100 * card.attrs['interval']:g} % interval"
    with style():
        drawn, axes = figure(
            len(names), height=1.75 * len(names) + 0.6, sharex=True, squeeze=False
        )
        for ax, name in zip(axes[:, 0], names, strict=True):
            one = card.sel(variable=name)
            ax.plot(
                x, one["persistence_nse"], "_", ms=9, color=_PERSISTENCE,
                label="persistence (uses the target)",
            )  # fmt: skip
            ax.plot(x, one["climatology_nse"], "s", ms=4, color=_CLIMATE,
                    label="climatology")  # fmt: skip
            ax.vlines(x, one["nse_lower"], one["nse_upper"], color=_EMULATOR, lw=1.4)
            ax.plot(x, one["nse"], "o", ms=5, color=_EMULATOR, label=label)
            refused = one["verdict"].values == VERDICTS["not_accepted"]
            if refused.any():
                ax.plot(
                    x[refused], one["nse"].values[refused], "o", ms=10, mfc="none",
                    mec="black", label="not accepted",
                )  # fmt: skip
            shown = np.concatenate(
                [one[f].values for f in ("nse", "climatology_nse", "nse_lower")]
            )
            known = shown[np.isfinite(shown)]
            low = max(min(float(known.min()), 0.9), -1.0) if known.size else 0.0
            ax.set_ylim(low - 0.05, 1.02)
            ax.set_title(NAMES.get(str(name), str(name)))
            ax.set_ylabel("NSE")
        axes[-1, 0].set_xticks(x, cell_names(card))
        axes[-1, 0].set_xlabel("cell")
        drawn.legend(
            *_labels(axes[:, 0]), loc="outside lower center", ncols=2, fontsize=8
        )
    refused = int((card["verdict"] == VERDICTS["not_accepted"]).sum())
    return Figure.draw(
        "skill",
        drawn,
        f"Nash-Sutcliffe efficiency of the free run over {card.attrs['test_period']} "
        f"in every cell, fitted to {card.attrs['train_period']}. It must lie above the "
        "climatology of the training years.",
        f"Strips of {len(names)} variables over {card.sizes['cell']} cells; {refused} "
        "points lie below climatology.",
    )


def _labels(axes):
    """Return the handles and labels of several axes, each label once."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def _map(card: xr.Dataset) -> Figure:
    """Draw the gain over climatology where each cell lies."""
    names = list(card["variable"].values)
    columns = 2 if len(names) > 1 else 1
    rows = -(-len(names) // columns)
    lat, lon = card["lat"].values, card["lon"].values
    spread = max(np.ptp(lat) / max(np.ptp(lon), 1e-9), 0.2)
    side = WIDTH / columns
    with style():
        drawn, axes = figure(
            rows, columns, height=rows * (side * min(spread, 1.2) + 0.5), squeeze=False
        )
        size = max(1.0, min(36.0, 9e4 / card.sizes["cell"] / columns))
        for ax in axes.flat[len(names) :]:
            ax.set_axis_off()
        for ax, name in zip(axes.flat, names, strict=False):
            one = card.sel(variable=name)
            gain = one["skill"].values
            seen = ax.scatter(
                lon, lat, c=np.clip(gain, -1, 1), s=size, marker="s", cmap="RdBu",
                vmin=-1, vmax=1, linewidths=0,
            )  # fmt: skip
            still = one["verdict"].values == VERDICTS["near_constant"]
            ax.scatter(
                lon[still], lat[still], c="0.7", s=size, marker="s", linewidths=0
            )
            ax.set_title(NAMES.get(str(name), str(name)))
            ax.set_xlabel("longitude (°)")
            ax.set_ylabel("latitude (°)")
            ax.grid(False)
        bar = drawn.colorbar(seen, ax=axes, shrink=0.7, extend="min")
        bar.set_label("1 - error / error of climatology")
    worse = int((card["verdict"] == VERDICTS["not_accepted"]).sum())
    return Figure.draw(
        "skill",
        drawn,
        "Squared error saved over the climatology of the training years: blue beats "
        "it, red does not; grey cells are nearly constant.",
        f"Maps of {len(names)} variables; {worse} cells are not accepted.",
    )


def _ranks(card: xr.Dataset) -> Figure:
    """Draw sorted efficiencies of cells that have no place."""
    with style():
        drawn, ax = figure()
        for colour, name in zip(COLOURS, card["variable"].values, strict=False):
            for field, dashes in (("nse", "-"), ("climatology_nse", ":")):
                values = np.sort(card[field].sel(variable=name).values)
                values = values[np.isfinite(values)]
                share = (np.arange(values.size) + 0.5) / max(values.size, 1)
                label = NAMES.get(str(name), str(name)) if dashes == "-" else None
                ax.plot(100 * share, values, dashes, color=colour, label=label)
        ax.set_ylim(-1, 1)
        ax.set_xlabel("share of the cells with a lower efficiency (%)")
        ax.set_ylabel("NSE")
        ax.legend(title="dotted: climatology")
    return Figure.draw(
        "skill",
        drawn,
        "Efficiency of the free run over all cells, sorted; dotted, that of the "
        "climatology of the training years.",
        "Rising curves, one per variable, and dotted ones for climatology.",
    )


def plot_hydrographs(
    output: xr.Dataset,
    targets: xr.Dataset,
    train_targets: xr.Dataset | None = None,
    *,
    cell: int = 0,
    variables: tuple[str, ...] = ("snow", "soil", "runoff"),
) -> Figure:
    """Draw the run of a cell over time, with the land model and climatology.

    Parameters
    ----------
    output, targets : xarray.Dataset
        Over the same days, (time, cell).
    train_targets : xarray.Dataset, optional
        Of the training years, for the climatology.
    cell : int, optional
        Position of the cell.
    variables : tuple of str, optional
        One panel each.

    Returns
    -------
    Figure
        The land model as a wide line, the emulator over it.
    """
    names = [n for n in variables if n in output and n in targets]
    if not names:
        raise InputError(f"none of {', '.join(variables)} is in both run and targets")
    if not -targets.sizes["cell"] <= cell < targets.sizes["cell"]:
        raise InputError(f"there is no cell {cell}: {targets.sizes['cell']} cells")
    days = _plain_time(targets["time"])
    with style():
        drawn, axes = figure(
            len(names), height=1.9 * len(names) + 0.5, sharex=True, squeeze=False
        )
        for ax, name in zip(axes[:, 0], names, strict=True):
            ax.plot(days, targets[name].isel(cell=cell), color="0.65", lw=3,
                    label="land model")  # fmt: skip
            if train_targets is not None:
                mean = day_of_year_climatology(train_targets[name].isel(cell=cell))
                ax.plot(days, climatology_forecast(mean, targets["time"]),
                        color=_CLIMATE, lw=0.9, label="climatology")  # fmt: skip
            ax.plot(days, output[name].isel(cell=cell), color=_EMULATOR, lw=1,
                    label="emulator")  # fmt: skip
            units = units_text(str(targets[name].attrs.get("units", "")))
            ax.set_ylabel(f"{name} ({units})" if units else name)
        axes[-1, 0].set_xlabel("year" if days.dtype.kind == "f" else "")
        drawn.legend(
            *_labels(axes[:, 0]), loc="outside upper center", ncols=3, fontsize=8
        )
    name = cell_names(targets)[cell]
    return Figure.draw(
        f"hydrographs_{name}" if name.isalnum() else "hydrographs",
        drawn,
        f"Cell {name}: the emulator's free run over the land model it imitates.",
        f"Series of {', '.join(names)}; emulator, land model and climatology.",
    )


def _plain_time(time: xr.DataArray) -> np.ndarray:
    """Return dates for an axis: as they are, or years of a model's calendar."""
    if time.dtype.kind == "M":
        return time.values
    length = {"360_day": 360, "noleap": 365}.get(time.dt.calendar, 366)
    return time.dt.year.values + (time.dt.dayofyear.values - 1.0) / length


def plot_scatter(
    output: xr.Dataset,
    targets: xr.Dataset,
    *,
    variables: tuple[str, ...] = ("snow", "soil", "runoff"),
) -> Figure:
    """Draw the run against the land model, all days and cells.

    Parameters
    ----------
    output, targets : xarray.Dataset
        Over the same days, (time, cell).
    variables : tuple of str, optional
        One panel each.

    Returns
    -------
    Figure
        Counts of days on a logarithmic scale, with the line of identity.
    """
    names = [n for n in variables if n in output and n in targets]
    if not names:
        raise InputError(f"none of {', '.join(variables)} is in both run and targets")
    with style():
        drawn, axes = figure(1, len(names), height=2.6, squeeze=False)
        for ax, name in zip(axes[0], names, strict=True):
            x = targets[name].transpose("time", "cell").values.ravel()
            y = output[name].transpose("time", "cell").values.ravel()
            there = np.isfinite(x) & np.isfinite(y)
            x, y = x[there], y[there]
            low, high = min(x.min(), y.min()), max(x.max(), y.max())
            ax.hexbin(
                x, y, gridsize=45, bins="log", mincnt=1, linewidths=0.1,
                extent=(low, high, low, high), cmap="viridis",
            )  # fmt: skip
            ax.axline((low, low), slope=1, color="black", lw=0.8)
            ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
            units = units_text(str(targets[name].attrs.get("units", "")))
            ax.set_title(f"{name} ({units})")
            ax.set_xlabel("land model")
        axes[0, 0].set_ylabel("emulator")
    return Figure.draw(
        "scatter",
        drawn,
        "Every day and cell of the free run against the land model; brighter is more "
        "days (logarithmic).",
        f"Clouds along the line of identity for {', '.join(names)}.",
    )


def plot_training(effect: xr.Dataset) -> Figure:
    """Draw how the efficiency grows with the years of the fit.

    Parameters
    ----------
    effect : xarray.Dataset
        As `tilth.land.training.training_effect` returns it.

    Returns
    -------
    Figure
        One panel per variable: each cell, the median, and the climatology of the
        same training years.
    """
    names = list(effect["variable"].values)
    years = effect["years"].values
    order = np.argsort(years, kind="stable")
    with style():
        drawn, axes = figure(1, len(names), height=2.8, sharex=True, squeeze=False)
        for ax, name in zip(axes[0], names, strict=True):
            one = effect.sel(variable=name).isel(training=order)
            nse = one["nse"].transpose("training", "cell").values
            climate = one["climatology_nse"].transpose("training", "cell").values
            x = years[order]
            ax.plot(x, nse, color=_EMULATOR, lw=0.5, alpha=0.5)
            ax.plot(x, np.nanmedian(nse, axis=1), "o-", color=_EMULATOR,
                    label="emulator, median")  # fmt: skip
            ax.plot(x, np.nanmedian(climate, axis=1), "s-", ms=3.5, color=_CLIMATE,
                    label="climatology, median")  # fmt: skip
            low = min(np.nanmin(nse), np.nanmin(np.nanmedian(climate, axis=1)))
            ax.set_ylim(max(low, -1.0) - 0.05, 1.02)
            ax.set_xscale("log")
            ticks = sorted({round(float(v), 1) for v in x})
            ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
            ax.minorticks_off()
            ax.set_title(str(name))
            ax.set_xlabel("years of the fit")
        axes[0, 0].set_ylabel("NSE of the test years")
        drawn.legend(*_labels(axes[0]), loc="outside lower center", ncols=2, fontsize=8)
    return Figure.draw(
        "training",
        drawn,
        "Efficiency over the same test years after fits to fewer years; thin lines are "
        "cells.",
        f"Rising curves for {', '.join(map(str, names))} against the years of the fit.",
    )
