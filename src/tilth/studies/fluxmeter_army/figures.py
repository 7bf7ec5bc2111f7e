"""Figures of the study, each the answer to one question."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tilth.core.plotting import COLOURS, figure, style
from tilth.core.report import Figure
from tilth.core.typeset import units_text

_FLUX = f"CO$_2$ flux ({units_text('umol m-2 s-1')})"


def dynamic_closure(table: pd.DataFrame) -> Figure:
    """Draw how many closures stay below detection, by season and rule."""
    seasons = list(dict.fromkeys(table["season"]))
    with style():
        drawn, ax = figure()
        x = np.arange(len(seasons))
        for i, (rule, label) in enumerate(
            (
                ("fixed", "always three minutes"),
                ("raw", "until two readings differ by 5 ppm (article)"),
                ("median", "until medians of five differ by 5 ppm"),
            )
        ):
            rows = table[table["rule"] == rule].set_index("season").loc[seasons]
            heights = 100 * rows["below_detection"]
            bars = ax.bar(
                x + 0.27 * (i - 1), heights, 0.25, color=COLOURS[i], label=label
            )
            ax.bar_label(bars, fmt="%.0f", fontsize=8)
        fluxes = table.drop_duplicates("season").set_index("season")["true_flux"]
        ax.set_xticks(x, [f"{s}\n{fluxes[s]:.2f}" for s in seasons])
        ax.set_xlabel(f"season and its mean flux ({units_text('umol m-2 s-1')})")
        ax.set_ylabel("closures below detection (%)")
        ax.margins(y=0.12)
        ax.legend()
    return Figure.draw(
        "dynamic_closure",
        drawn,
        "Night closures that cannot be told from no flux, with a fixed closure and "
        "with the rule of firmware 6, taken in two ways (simulated).",
        "Bars per season; in winter only the rule on medians lowers the share much.",
    )


def sensor_spread(
    curves: Mapping[str, tuple], published: Mapping[float, float | str]
) -> Figure:
    """Draw how far calibrated sensors differ over the concentration."""
    with style():
        drawn, ax = figure()
        for colour, (name, (air, spread)) in zip(COLOURS, curves.items(), strict=False):
            order = np.argsort(air)
            ax.plot(
                air[order], spread[order], color=colour, label=f"span of the {name}"
            )
        ax.vlines(450, 14, 17, color="0.2", lw=4)
        exact = {c: v for c, v in published.items() if not isinstance(v, str)}
        ax.plot(list(exact), list(exact.values()), "D", color="0.2", label="article")
        ax.set_xlabel("CO$_2$ in the room (ppm)")
        ax.set_ylabel("standard deviation of 85 sensors (ppm)")
        ax.set_ylim(bottom=0)
        ax.legend()
    return Figure.draw(
        "sensor_spread",
        drawn,
        "Spread of 85 sensors after a common calibration at 420 ppm: simulated with "
        "two spans, and the article's numbers.",
        "Two rising curves; the article's points at 450, 500 and 1800 ppm.",
    )


def arrivals(records: pd.DataFrame, live: pd.Series) -> Figure:
    """Draw when records arrived that were measured in each half hour."""
    begin = records["t"].min()
    slot = (records["t"] - begin) // 1_800_000
    per = live.groupby(slot).agg(["sum", "size"])
    hours = per.index.to_numpy() / 2.0
    live_share = 100 * per["sum"].to_numpy() / per["size"].to_numpy()
    with style():
        drawn, ax = figure(height=2.8)
        ax.fill_between(
            hours, live_share, 100, step="post", color=COLOURS[1], lw=0,
            label="later, from the chambers' memory",
        )  # fmt: skip
        ax.fill_between(
            hours, 0, live_share, step="post", color=COLOURS[0], lw=0, label="live"
        )
        ax.set_ylim(0, 100)
        ax.set_xlim(0, hours.max())
        ax.set_xlabel("hours since the start")
        ax.set_ylabel("records stored (%)")
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2)
    return Figure.draw(
        "arrivals",
        drawn,
        "Records of a fleet whose links are down a quarter of the time: what arrived "
        "within five minutes and what the chambers kept and sent later. Nothing is "
        "missing above.",
        "Two areas that add up to one hundred percent in every half hour.",
    )


def live_fluxes(night: pd.DataFrame) -> Figure:
    """Draw the live fluxes of the night against the true ones."""
    with style():
        drawn, ax = figure()
        top = float(night["true_flux"].quantile(0.995)) * 1.3
        ax.plot([0, top], [0, top], color="0.4", lw=1, label="one to one")
        ax.errorbar(
            night["true_flux"], night["flux"], night["se_total"], fmt=".", ms=3,
            lw=0.4, color=COLOURS[0], alpha=0.5,
        )  # fmt: skip
        ax.set_xlim(0, top)
        ax.set_ylim(0, top)
        ax.set_xlabel(f"true {_FLUX}")
        ax.set_ylabel(f"live {_FLUX}")
        ax.legend(loc="upper left")
    return Figure.draw(
        "live_fluxes",
        drawn,
        "Fluxes of the nights as the service computed them, with one standard error, "
        "against the truth.",
        "A cloud of points about the one-to-one line.",
    )


def confusion(truth: np.ndarray, found: np.ndarray) -> Figure:
    """Draw what each true state was taken for."""
    known = ("ok", "leaky", "stuck_open", "clogged", "stuck_closed", "frozen")
    rows = [name for name in known if (truth == name).any()]
    columns = ["ok", "leaky", "stuck_open", "no_exchange", "clogged", "stuck_closed",
               "frozen"]  # fmt: skip
    counts = np.array(
        [[((truth == r) & (found == c)).sum() for c in columns] for r in rows], float
    )
    total = counts.sum(axis=1, keepdims=True)
    share = 100 * np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    with style():
        drawn, ax = figure(height=3.6)
        ax.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
        for i in range(len(rows)):
            for j in range(len(columns)):
                if counts[i, j]:
                    dark = share[i, j] > 50
                    ax.text(
                        j, i, f"{share[i, j]:.1f}", ha="center", va="center",
                        color="white" if dark else "black", fontsize=8,
                    )  # fmt: skip
        ax.set_xticks(range(len(columns)), [c.replace("_", "\n") for c in columns])
        ax.set_yticks(
            range(len(rows)),
            [
                f"{r.replace('_', ' ')} ({int(n):,})"
                for r, n in zip(rows, total[:, 0], strict=True)
            ],
        )
        ax.set_xlabel("found (%)")
        ax.set_ylabel("true state (cycles)")
        ax.grid(False)
    return Figure.draw(
        "confusion",
        drawn,
        "What each true state of a cycle was taken for, in percent of its row. "
        "no exchange: stuck open or clogged, and nothing tells which.",
        "A matrix whose diagonal holds nearly everything.",
    )
