"""Draws the picture of the README: one closure, one week of a fleet, one effect.

Run ``python docs/make_picture.py``. Everything on it is simulated: the truth is known.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import tilth.chambers as ch
from tilth.chambers.simulate.fleet import Layout
from tilth.core import plotting
from tilth.core.flags import is_flagged

HERE = Path(__file__).parent
CONTROL, TREATED = plotting.COLOURS[0], plotting.COLOURS[1]
EFFECT = 1.3


def main() -> None:
    """Compute everything and write ``_static/tilth.png``."""
    closure = ch.simulate_closures(1, 61, flux=2.0, k=6e-3, noise=1.5, seed=4)
    one = ch.fluxes(closure, "co2", ch.FluxSettings(dead_band=20.0))

    layout = Layout(treatments={"0": 1.0, "2": EFFECT}, days=7.0)
    week = ch.flag_closures(ch.simulate_fleet(layout, seed=7))
    settings = ch.FluxSettings(models=("pooled",), select="pooled", response=20.0)
    week = ch.share_kappa(week, settings=ch.FluxSettings(response=20.0))
    fluxes = ch.fluxes(week, "co2", settings)

    with plotting.style():
        figure, axes = plotting.figure(
            1, 3, height=3.1, gridspec_kw={"width_ratios": [1.0, 1.75, 0.75]}
        )
        figure.set_size_inches(11.5, 3.3)
        draw_closure(axes[0], closure, one)
        draw_week(axes[1], week, fluxes)
        draw_effects(axes[2], fluxes)
        plotting.save(figure, HERE / "_static" / "tilth.png", dpi=130)


def draw_closure(ax, closure: xr.Dataset, fluxes: xr.Dataset) -> None:
    """Draw the readings of one closure, the line and the curve through them."""
    t, c = closure["elapsed"].values[0], closure["co2"].values[0]
    amount = float(fluxes["amount"][0])
    grid = np.linspace(0.0, t.max(), 200)
    line = (
        float(fluxes["c0_linear"][0]) + float(fluxes["flux_linear"][0]) / amount * grid
    )
    k, s = float(fluxes["kappa"][0]), float(fluxes["flux_hm"][0]) / amount
    curve = float(fluxes["c0_hm"][0]) - s * np.expm1(-k * grid) / k
    ax.axvspan(0.0, 20.0, color="0.93", lw=0)
    ax.plot(t, c, "o", ms=3.2, color="0.45")
    ax.plot(grid, line, color=plotting.COLOURS[4], lw=1.6)
    ax.plot(grid, curve, color=plotting.COLOURS[2], lw=2.2)
    for name, text, height, colour in (
        ("flux_linear", "line", 0.20, plotting.COLOURS[4]),
        ("flux_hm", "exponential", 0.11, plotting.COLOURS[2]),
    ):
        value, se = float(fluxes[name][0]), float(fluxes[f"{name}_se"][0])
        ax.text(
            0.97, height, f"{text} {value:.2f} ± {se:.2f}", transform=ax.transAxes,
            ha="right", color=colour, weight="bold", fontsize=9,
        )  # fmt: skip
    ax.text(
        0.97, 0.03, "truth 2.00 µmol m⁻² s⁻¹", transform=ax.transAxes,
        ha="right", fontsize=9,
    )  # fmt: skip
    ax.set(xlabel="time since closing (s)", ylabel="CO₂ (ppm)", title="One closure")


def draw_week(ax, week: xr.Dataset, fluxes: xr.Dataset) -> None:
    """Draw the hourly mean of both variants with the spread of their pots."""
    table = ch.flux_table(fluxes)[["time", "variant", "pot", "flux"]]
    table["hour"] = table["time"].dt.floor("2h")
    pots = table.groupby(["variant", "hour", "pot"])["flux"].mean()
    stats = pots.groupby(["variant", "hour"]).agg(["mean", "sem"])
    for variant, colour, text in (
        ("9.0", CONTROL, "control"),
        ("9.2", TREATED, "treated"),
    ):
        rows = stats.loc[variant]
        plotting.band(
            ax, rows.index, rows["mean"], rows["sem"], color=colour, label=text
        )
    night = ~is_flagged(week["closure_flag"], "daylight")
    hours = pd.Series(night.values, pd.DatetimeIndex(week["time"].values))
    for start in (
        hours.groupby(hours.index.floor("2h")).mean().loc[lambda x: x > 0.5].index
    ):
        ax.axvspan(start, start + pd.Timedelta("2h"), color="0.91", lw=0, zorder=0)
    ax.axhline(0.0, color="0.4", lw=0.8)
    ax.xaxis.set_major_formatter(_days())
    ax.margins(x=0)
    ax.set_ylim(-3.9, 1.9)
    ax.legend(loc="lower center", ncols=2)
    ax.set(ylabel="flux (µmol m⁻² s⁻¹)", title="A week of eight robotic chambers")


def draw_effects(ax, fluxes: xr.Dataset) -> None:
    """Draw the treatment effect as two methods see it, and the truth."""
    night = fluxes.isel(closure=np.flatnonzero(fluxes["closure_flag"].values == 0))
    paired = ch.paired_effects(night).loc["9.2"]
    mixed = ch.mixed_effects(night, "9.0", interval="t").table.loc["9.2"]
    rows = [
        ("paired by hour\n(these pots)", *(paired[["ratio", "lower", "upper"]])),
        (
            "mixed model\n(any pots)",
            *(1 + mixed[["effect_percent", "lower", "upper"]] / 100),
        ),
    ]
    for y, (_, value, low, high) in zip((1, 0), rows, strict=True):
        change = 100 * (np.array([low, value, high]) - 1)
        ax.plot(change[[0, 2]], [y, y], color=TREATED, lw=2)
        ax.plot(change[1], y, "o", ms=7, color=TREATED)
    ax.axvline(0.0, color="0.4", lw=0.8)
    ax.axvline(100 * (EFFECT - 1), color="0.4", lw=1.2, ls="--")
    ax.text(100 * (EFFECT - 1), 1.42, " truth", fontsize=9, color="0.3")
    ax.set_yticks([1, 0], [name for name, *_ in rows], fontsize=9)
    ax.set_ylim(-0.6, 1.6)
    ax.grid(axis="y", visible=False)
    ax.set(xlabel="effect on flux (%)", title="The claim")


def _days():
    from matplotlib.dates import DateFormatter

    return DateFormatter("%-d %b")


if __name__ == "__main__":
    main()
