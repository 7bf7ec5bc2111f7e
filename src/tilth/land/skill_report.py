"""A skill card in words, as tables and as a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from tilth.core.typeset import number_text
from tilth.land.skill import VERDICTS

if TYPE_CHECKING:
    import pandas as pd

    from tilth.core.report import Figure

#: Verdict's value -> how it is printed.
_WORDS = {value: name.replace("_", " ") for name, value in VERDICTS.items()}

#: Columns of the tables that hold scores.
_SCORES = ("NSE", "lower", "upper", "KGE'", "correlation", "climatology", "persistence")


def cell_names(card: xr.Dataset) -> list[str]:
    """Return what the cells of a card are called: their names, else their numbers."""
    if "cell" in card.coords:
        return [str(name) for name in card["cell"].values]
    return [str(i) for i in range(card.sizes["cell"])]


def all_accepted(card: xr.Dataset) -> bool:
    """Tell whether no variable of any cell was refused.

    Parameters
    ----------
    card : xarray.Dataset
        Of `tilth.land.skill.skill_card`.

    Returns
    -------
    bool
        True also where series were too quiet to be judged.
    """
    return not bool((card["verdict"] == VERDICTS["not_accepted"]).any())


def card_table(card: xr.Dataset) -> pd.DataFrame:
    """Return one row per variable and cell.

    Parameters
    ----------
    card : xarray.Dataset
        As `tilth.land.skill.skill_card` returns it.

    Returns
    -------
    pandas.DataFrame
        Variable, cell, NSE with its interval, KGE', correlation, bias in the units of
        the variable and in per cent, the baselines' NSE, and the verdict.
    """
    import pandas as pd

    rows = []
    for v, variable in enumerate(card["variable"].values):
        one = card.isel(variable=v)
        for c, cell in enumerate(cell_names(card)):
            at = {str(n): x.values[c] for n, x in one.items() if "cell" in x.dims}
            rows.append(
                {
                    "variable": str(variable),
                    "cell": cell,
                    "NSE": at["nse"],
                    "lower": at["nse_lower"],
                    "upper": at["nse_upper"],
                    "KGE'": at["kge"],
                    "correlation": at["correlation"],
                    "climatology": at["climatology_nse"],
                    "persistence": at["persistence_nse"],
                    "bias": at["bias"],
                    "bias %": 100.0 * at["relative_bias"],
                    "units": str(one["units"].values),
                    "verdict": _WORDS[int(at["verdict"])],
                }
            )
    return pd.DataFrame(rows)


def summary_table(card: xr.Dataset) -> pd.DataFrame:
    """Return one row per variable: medians, the worst cell, and the count.

    Parameters
    ----------
    card : xarray.Dataset
        As `tilth.land.skill.skill_card` returns it.

    Returns
    -------
    pandas.DataFrame
        Variable, median and lowest NSE, the worst cell, median KGE' and bias, the
        baselines' median NSE, how many cells were accepted of those that could be
        judged, and in how many the whole interval of the gain lies above zero.
    """
    import pandas as pd

    names = cell_names(card)
    rows = []
    for v, variable in enumerate(card["variable"].values):
        one = card.isel(variable=v)
        nse = one["nse"].values
        verdict = one["verdict"].values
        judged = ~np.isin(verdict, (VERDICTS["near_constant"], VERDICTS["no_data"]))
        known = np.isfinite(nse)
        rows.append(
            {
                "variable": str(variable),
                "median NSE": _median(nse),
                "lowest": nse[known].min() if known.any() else np.nan,
                "in cell": names[int(np.nanargmin(nse))] if known.any() else "",
                "KGE'": _median(one["kge"].values),
                "bias %": 100.0 * _median(one["relative_bias"].values),
                "climatology": _median(one["climatology_nse"].values),
                "persistence": _median(one["persistence_nse"].values),
                "accepted": f"{int((verdict == 0).sum())} of {int(judged.sum())}",
                "surely": int((one["skill_lower"].values > 0).sum()),
                "near constant": int((verdict == VERDICTS["near_constant"]).sum()),
            }
        )
    return pd.DataFrame(rows)


def _median(values: np.ndarray) -> float:
    """Median of what there is."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")


def card_text(card: xr.Dataset, *, cells: int = 30) -> str:
    """Return the card as text for a terminal.

    Parameters
    ----------
    card : xarray.Dataset
        As `tilth.land.skill.skill_card` returns it.
    cells : int, optional
        With more cells than this, only those that were refused are listed.

    Returns
    -------
    str
        Heading, summary by variable, cells, water residual, verdict.
    """
    attrs = card.attrs
    lines = [
        f"Skill in a free run over {attrs['test_period']}, fitted to "
        f"{attrs['train_period']}.",
        f"Accepted where it beats the climatology of the training years; "
        f"{100 * attrs['interval']:g} % intervals from {attrs['bootstrap_blocks']}.",
        "",
        *_columns(summary_table(card)),
        "",
    ]
    table = card_table(card)
    if card.sizes["cell"] > cells:
        table = table[table["verdict"] == "not accepted"]
        lines.append(f"Not accepted: {len(table)} of variables and cells.")
        table = table.head(cells)
    if len(table):
        lines += [*_columns(table), ""]
    if "water_residual" in card:
        worst = float(np.abs(card["water_residual"]).max())
        lines += [
            f"Water unaccounted for: at most {number_text(worst)} mm per year.",
            "",
        ]
    lines.append(
        "Accepted."
        if all_accepted(card)
        else "Not accepted in every variable and cell."
    )
    return "\n".join(lines)


def _columns(table: pd.DataFrame) -> list[str]:
    """Lay a table out in columns: text to the left, numbers to the right."""
    cells = []
    for name in table:
        column = table[name]
        if column.dtype.kind == "f":
            decimals = 1 if "%" in str(name) else 3
            texts = [number_text(x, decimals) for x in column]
        else:
            texts = [str(x) for x in column]
        width = max(len(str(name)), *map(len, texts)) if texts else len(str(name))
        side = str.rjust if column.dtype.kind in "fi" else str.ljust
        cells.append([side(text, width) for text in (str(name), *texts)])
    return ["  ".join(row).rstrip() for row in zip(*cells, strict=True)]


@dataclass(frozen=True)
class _Accepted:
    """Cells accepted for a variable, as a row of a page."""

    name: str
    value: float
    bar: str
    holds: bool
    se: float | None = None
    unit: str = "1"
    published: float | str | None = None


def _accepted(card: xr.Dataset, variable: str) -> _Accepted:
    """Count the cells of a variable that are accepted, of those that can be judged."""
    verdict = card["verdict"].sel(variable=variable)
    good = int((verdict == VERDICTS["accepted"]).sum())
    bad = int((verdict == VERDICTS["not_accepted"]).sum())
    return _Accepted(
        f"cells where {variable} is accepted", good, f"== {good + bad}", not bad
    )


def write_card(
    card: xr.Dataset,
    path: str | os.PathLike[str],
    figures: Sequence[Figure] = (),
) -> Path:
    """Write the card as one HTML page.

    Parameters
    ----------
    card : xarray.Dataset
        As `tilth.land.skill.skill_card` returns it.
    path : path
        Of the page.
    figures : sequence of Figure, optional
        Such as those of `tilth.land.skill_plots`.

    Returns
    -------
    pathlib.Path
        The page.
    """
    from tilth.core.report import Section, Table, build_page, write_page

    three = dict.fromkeys(_SCORES, 3)
    cells = card_table(card).drop(columns=["bias", "units"])
    summary = summary_table(card)
    numbers = [str(c) for c in summary if summary[c].dtype.kind == "f"]
    tables = [
        Table(
            "summary", summary,
            "By variable, over all cells. Surely: the whole interval of the gain over "
            "climatology lies above zero.",
            decimals={c: 1 if "%" in c else 3 for c in numbers},
        ),
        Table(
            "cells", cells,
            "Every variable and cell; the interval is that of the NSE.",
            decimals={**three, "bias %": 1},
        ),
    ]  # fmt: skip
    attrs = card.attrs
    accepted = all_accepted(card)
    section = Section(
        title="Skill card",
        anchor="skill",
        summary=(
            f"A free run over {attrs['test_period']} of an emulator fitted to "
            f"{attrs['train_period']}. It is accepted for a variable of a cell where "
            "it beats the mean of each day of the year over the training years. "
            "Persistence, the day before, is printed for comparison: it uses what it "
            "forecasts.\n\n"
            + ("Accepted." if accepted else "Not accepted in every variable and cell.")
        ),
        facts={
            "Intervals": f"{100 * attrs['interval']:g} %, from "
            f"{attrs['bootstrap_blocks']}, {attrs['bootstrap_draws']} draws",
            "Seed": str(attrs["seed"]),
        },
        metrics=[_accepted(card, str(name)) for name in card["variable"].values],
        figures=figures,
        tables=tables,
    )
    return write_page(path, build_page("Skill card", [section]))
