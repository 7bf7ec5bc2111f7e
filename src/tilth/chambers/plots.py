"""Figures of the chambers room: one function per question."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from tilth.chambers.fits.selection import MODELS, REASONS
from tilth.core.errors import InputError
from tilth.core.flags import flag_masks
from tilth.core.plotting import COLOURS, figure, style
from tilth.core.progress import track
from tilth.core.typeset import units_text
from tilth.core.units import convert

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMES = {
    "linear": "straight line",
    "hm": "exponential (HM)",
    "licor": "LI-COR",
    "pooled": "shared curvature",
}
_COLOURS = {"linear": COLOURS[1], "hm": COLOURS[0], "pooled": COLOURS[2]}


def raised_words(flag: xr.DataArray) -> list[str]:
    """Return the meanings raised in a single flag value."""
    value = int(flag)
    return [word for word, mask in flag_masks(flag).items() if value & mask]


def plot_closure(
    closures: xr.Dataset, fluxes: xr.Dataset, closure: str, gas: str = "co2"
) -> Figure:
    """Show one closure: readings, fitted curves, residuals, flux and flags.

    Answers: do the curves describe what the sensor saw, and why was this one
    chosen? Open points were not fitted (dead-band, after the end).

    Parameters
    ----------
    closures : xarray.Dataset
        A closures dataset; the gas on the basis the fluxes were computed on (dry).
    fluxes : xarray.Dataset
        Result of `tilth.chambers.fluxes` on it.
    closure : str
        Identifier of the closure.
    gas : str
        Variable that was fitted.

    Returns
    -------
    matplotlib.figure.Figure
        Two panels over each other and the numbers beside them.

    Raises
    ------
    InputError
        If the closure is in neither dataset.
    """
    for dataset, name in ((closures, "closures"), (fluxes, "fluxes")):
        if closure not in dataset["closure"].values:
            known = ", ".join(map(str, dataset["closure"].values[:5]))
            raise InputError(
                f"no closure {closure!r} in the {name}; the first are {known}"
            )
    one, fit = closures.sel(closure=closure), fluxes.sel(closure=closure)
    units = fit["c0_hm"].attrs["units"]
    t = convert(one["elapsed"], "s").to_numpy()
    c = convert(one[gas], units).to_numpy()
    known = np.isfinite(t) & np.isfinite(c)
    t, c = t[known], c[known]
    curves = curves_of(fit)
    used = is_fitted(fit, t)
    with style():
        drawn, axes = figure(
            2,
            2,
            height=4.6,
            sharex="col",
            gridspec_kw={"height_ratios": [3, 1], "width_ratios": [1.75, 1]},
        )
        top, low = axes[:, 0]
        for side in axes[:, 1]:
            side.set_axis_off()
        top.plot(t[used], c[used], "o", ms=3.5, color="0.25", label="fitted")
        if (~used).any():
            top.plot(
                t[~used],
                c[~used],
                "o",
                ms=3.5,
                mfc="none",
                color="0.6",
                label="not fitted",
            )
        grid = np.linspace(0.0, t.max(initial=1.0), 300)
        for name, curve in curves.items():
            top.plot(grid, curve(grid), color=_COLOURS[name], label=_NAMES[name])
            low.plot(t[used], c[used] - curve(t[used]), ".", ms=4, color=_COLOURS[name])
        top.axvline(0.0, color="0.5", lw=0.8, ls=":")
        top.set_ylabel(f"{gas.upper()} ({units_text(units)})")
        top.legend(loc="best", fontsize=8)
        top.set_title(_title(fit, closure), loc="left", fontsize=10)
        low.axhline(0.0, color="0.5", lw=0.8)
        low.set_ylabel("residual")
        low.set_xlabel("time since closing (s)")
        axes[0, 1].text(
            0.0,
            1.0,
            _numbers(fit),
            transform=axes[0, 1].transAxes,
            va="top",
            fontsize=8,
            linespacing=1.45,
            in_layout=False,
        )
    return drawn


def curves_of(fit: xr.Dataset) -> dict:
    """Return the fitted curves that exist, as the sensor shows them, in time."""
    amount = float(fit["amount"])
    tau = float(fit.attrs.get("sensor_response", 0.0))

    def lag(t):
        return -tau * np.expm1(-t / tau) if tau else 0.0

    curves: dict = {}
    slope = float(fit["flux_linear"]) / amount if amount else np.nan
    intercept = float(fit["c0_linear"])
    if np.isfinite(slope):
        curves["linear"] = lambda t: intercept + slope * (t - lag(t))
    for name, rate in (("hm", "kappa"), ("pooled", "kappa_pooled")):
        if rate in fit:
            k, c0 = float(fit[rate]), float(fit[f"c0_{name}"])
            s0 = float(fit[f"flux_{name}"]) / amount
            if np.isfinite(k * c0 * s0):
                curves[name] = _exponential(k, c0, s0, tau, lag)
    return curves


def _exponential(k, c0, s0, tau, lag):
    """Return the curve of `tilth.chambers.fits.exponential` as a function of time."""
    return lambda t: c0 + s0 * (-np.expm1(-k * t) / k - lag(t)) / (1.0 - k * tau)


def is_fitted(fit: xr.Dataset, t: np.ndarray) -> np.ndarray:
    """Return which points were fitted: those within the window."""
    return (t >= float(fit["dead_band"])) & (t <= float(fit["fit_end"]))


def _title(fit: xr.Dataset, closure: str) -> str:
    words = [str(closure)]
    for name in ("label", "pot", "device"):
        if name in fit.coords and str(fit[name].item()) not in ("", "nan", closure):
            words.append(str(fit[name].item()))
    if "time" in fit.coords:
        stamp = np.datetime_as_string(fit["time"].values, unit="s")
        words.append(str(stamp).replace("T", " ") + " UTC")
    return "  ·  ".join(words)


def _numbers(fit: xr.Dataset) -> str:
    """Return the column of numbers: fluxes, choice, limits, flags."""
    units = units_text(fit["flux"].attrs["units"])
    chosen = MODELS[int(fit["model"])]
    reason = list(REASONS.values())[int(fit["model_reason"])]
    lines = [
        f"flux  {float(fit['flux']):.4g} ± {float(fit['flux_se']):.2g}",
        f"{units}, ± one standard error",
        "",
        f"chosen: {_NAMES.get(chosen, chosen)}",
        *_wrapped(reason),
        "",
    ]
    for model in MODELS:
        if f"flux_{model}" in fit:
            value, se = float(fit[f"flux_{model}"]), float(fit[f"flux_{model}_se"])
            lines.append(f"{_NAMES.get(model, model)}: {value:.4g} ± {se:.2g}")
    lines += [
        "",
        f"detection limit {float(fit['mdf']):.2g}",
        f"points {int(fit['n_points'])} ({int(fit['n_independent'])} distinct)",
        f"residual autocorrelation {float(fit['autocorrelation']):.2f}",
        f"g-factor {float(fit['g_factor']):.2f}",
        "",
    ]
    words = [*raised_words(fit["flux_flag"]), *raised_words(fit["closure_flag"])]
    lines += ["flags:", *(f"  {w.replace('_', ' ')}" for w in words or ["none"])]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 32)


def plot_closures(
    closures: xr.Dataset,
    fluxes: xr.Dataset,
    path: str | os.PathLike[str],
    gas: str = "co2",
) -> int:
    """Write one page per closure to a PDF.

    Parameters
    ----------
    closures, fluxes, gas
        As in `plot_closure`.
    path : path
        Ends in ``.pdf``; appears when it is complete.

    Returns
    -------
    int
        Number of pages.

    Raises
    ------
    InputError
        If the name does not end in ``.pdf`` or there is no closure.
    """
    return plot_pages([(closures, fluxes)], path, gas)


def plot_pages(
    pairs: Iterable[tuple[xr.Dataset, xr.Dataset]],
    path: str | os.PathLike[str],
    gas: str = "co2",
) -> int:
    """Write the pages of several closures datasets, one pair at a time, to one PDF.

    Parameters
    ----------
    pairs : iterable of (closures, fluxes)
        As in `plot_closure`.
    path, gas
        As in `plot_closures`.

    Returns
    -------
    int
        Number of pages.
    """
    from matplotlib.backends.backend_pdf import PdfPages

    path = Path(path)
    if path.suffix != ".pdf":
        raise InputError(f"one page per closure goes into a .pdf, got {path.name!r}")
    unfinished = path.with_name(f".{path.stem}.{os.getpid()}.unfinished.pdf")
    count = 0
    try:
        with PdfPages(unfinished) as pages:
            for closures, fluxes in pairs:
                names = [str(name) for name in fluxes["closure"].values]
                for name in track(names, "drawing", total=len(names)):
                    pages.savefig(plot_closure(closures, fluxes, name, gas))
                    count += 1
        if not count:
            raise InputError("there is no closure to draw")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count
