"""Treatment effects on fluxes: what a pot does against its control.

Three answers, from the narrowest claim to the widest: `paired_effects` compares the
hours of one set of pots, `compare_pots` and `mixed_effects` take the pot as what was
treated and replicated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from tilth.chambers.hourly import (
    UNKNOWN_POT,
    columns_of,
    hourly_fluxes,
    hourly_pairs,
    require_text_column,
    utc_times,
)
from tilth.core.errors import InputError
from tilth.stats.comparisons import compare_levels
from tilth.stats.mixed import MixedModelResult, mixed_model
from tilth.stats.multiple import holm
from tilth.stats.resampling import block_bootstrap

#: Fewer common hours give no interval (rule of the published 2023 ratios).
MIN_PAIRS = 20


@dataclass(frozen=True)
class MixedEffects:
    """Treatment effects of a mixed model.

    Parameters
    ----------
    table : pandas.DataFrame
        Per variant: ``effect_percent``, ``lower``, ``upper``, ``p``, ``p_holm``,
        ``pots``, ``observations``.
    model : MixedModelResult
        The model on the logarithm.
    notes : tuple of str
        What to beware of; empty if nothing.
    """

    table: pd.DataFrame
    model: MixedModelResult
    notes: tuple[str, ...]


def paired_effects(
    fluxes: xr.Dataset | pd.DataFrame,
    controls: Mapping[str, str] | None = None,
    *,
    min_pairs: int = MIN_PAIRS,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Ratio of each variant to its control, paired by the hour.

    .. math:: R = \exp\left(\frac1H \sum_h \ln\frac{F_{t,h}}{F_{c,h}}\right)

    The interval is a bootstrap of whole UTC days. It tells how steady the ratio of
    *these pots* is from night to night. It does not hold the differences between pots
    of one treatment: with four pots each that differ by 25 %, it covers the effect of
    the treatment in 10 % of simulated trials, `compare_pots` in 95 %.

    Parameters
    ----------
    fluxes : xarray.Dataset or pandas.DataFrame
        As for `tilth.chambers.hourly.hourly_fluxes`.
    controls : mapping of str to str, optional
        Variant to its control. By default the ``x.0`` of each table: "5.0" for "5.7".
    min_pairs : int, optional
        Fewer common hours give a ratio without an interval, and a note.
    draws, level, seed : int, float, int, optional
        Of the bootstrap; see `tilth.stats.resampling.block_bootstrap`.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``variant``: ``control``, ``n_pairs``, ``n_days``, ``n_single``
        (hours in which either side rests on one cycle), ``n_not_positive`` (common
        hours without a logarithm, left out), ``pots``, ``pots_control`` (0: unknown),
        ``mean``, ``mean_control`` (over the paired hours), ``log_ratio``, ``ratio``,
        ``lower``, ``upper``, ``naive_ratio`` (of all hours, unpaired),
        ``naive_flips_sign`` (the naive ratio claims the opposite effect), ``note``.

    Raises
    ------
    InputError
        If a control cannot be derived from a variant's name, or as in
        `tilth.chambers.hourly.hourly_fluxes`.
    """
    hourly = hourly_fluxes(fluxes)
    variants = sorted(hourly["variant"].unique())
    if controls is None:
        derived = {name: _table_control(name) for name in variants}
        controls = {name: own for name, own in derived.items() if own != name}
    rows = []
    for name, control in controls.items():
        row = {
            "variant": name,
            "control": control,
            **_paired_row(hourly, name, control),
        }
        if row["n_pairs"] >= max(min_pairs, 1) and row["n_days"] > 1:
            pairs = hourly_pairs(hourly, name, control).dropna(subset=["log_ratio"])
            interval = block_bootstrap(
                pairs["log_ratio"], pairs["day"], draws=draws, level=level, seed=seed
            )
            row["lower"], row["upper"] = np.exp([interval.lower, interval.upper])
        elif row["n_pairs"]:
            row["note"] = (
                f"no interval: {row['n_pairs']} common hours on {row['n_days']} day(s)"
            )
        rows.append(row)
    result = pd.DataFrame(rows, columns=_PAIRED_COLUMNS).set_index("variant")
    result.attrs.update(seed=seed, draws=draws, level=level)
    return result


#: Columns of the table of paired effects, in their order.
_PAIRED_COLUMNS = [
    "variant",
    "control",
    "n_pairs",
    "n_days",
    "n_single",
    "n_not_positive",
    "pots",
    "pots_control",
    "mean",
    "mean_control",
    "log_ratio",
    "ratio",
    "lower",
    "upper",
    "naive_ratio",
    "naive_flips_sign",
    "note",
]


def _table_control(variant: str) -> str:
    table, dot, _ = variant.rpartition(".")
    if not dot:
        raise InputError(
            f"the variant {variant!r} is not of the form 'table.number': give the "
            "control of each variant in `controls`"
        )
    return f"{table}.0"


def _paired_row(hourly: pd.DataFrame, name: str, control: str) -> dict[str, Any]:
    """Return the paired and the naive ratio of one variant, without an interval."""
    sides = [hourly[hourly["variant"] == side] for side in (name, control)]
    row: dict[str, Any] = {
        "n_pairs": 0,
        "n_days": 0,
        "n_single": 0,
        "n_not_positive": 0,
        "pots": sides[0].loc[sides[0]["pot"] != UNKNOWN_POT, "pot"].nunique(),
        "pots_control": sides[1].loc[sides[1]["pot"] != UNKNOWN_POT, "pot"].nunique(),
        "naive_flips_sign": False,
        "note": "",
    }
    for side, label in zip(sides, (name, control), strict=True):
        if side.empty:
            row["note"] = f"no pairs: no fluxes of {label}"
            return row
    naive = sides[0]["flux"].mean() / sides[1]["flux"].mean()
    row["naive_ratio"] = naive
    pairs = hourly_pairs(hourly, name, control)
    usable = pairs.dropna(subset=["log_ratio"])
    row["n_not_positive"] = len(pairs) - len(usable)
    if usable.empty:
        row["note"] = (
            f"no pairs: no positive flux in the hours common with {control}"
            if len(pairs)
            else f"no pairs: no hour in common with {control}"
        )
        return row
    log_ratio = usable["log_ratio"].mean()
    row.update(
        n_pairs=len(usable),
        n_days=usable["day"].nunique(),
        n_single=int(usable["single"].sum()),
        mean=usable["flux_treatment"].mean(),
        mean_control=usable["flux_control"].mean(),
        log_ratio=log_ratio,
        ratio=np.exp(log_ratio),
        naive_flips_sign=bool(naive > 0 and np.log(naive) * log_ratio < 0),
    )
    return row


def compare_pots(
    table: xr.Dataset | pd.DataFrame,
    control: str,
    *,
    value: str = "flux",
    variant: str = "variant",
    pot: str = "pot",
    time: str = "time",
    adjust: Literal["hour", "day", "month", "none"] = "hour",
    log: bool = True,
    level: float = 0.95,
) -> pd.DataFrame:
    r"""Compare the pot means of each variant with those of a control.

    Every pot gives one number: the mean of its (logarithmic) values after the mean of
    all pots in the same hour, day or month of the year is taken off,

    .. math:: m_p = \frac{1}{n_p} \sum_i \left(\ln F_{p,i}
       - \overline{\ln F}_{w(i)}\right) ,

    so that a pot measured on warmer nights is not mistaken for a better one. Welch and
    Mann-Whitney tests then have as many values as there are pots.

    Parameters
    ----------
    table : xarray.Dataset or pandas.DataFrame
        One row per measurement, with its pot and its time in UTC.
    control : str
        Variant the others are compared with.
    value, variant, pot, time : str, optional
        Names of the columns.
    adjust : {"hour", "day", "month", "none"}, optional
        Period whose mean over all pots is taken off; "month" is the month of the
        year, over all years.
    log : bool, optional
        Whether to compare logarithms: effects that multiply. Rows that are not
        positive are left out, and counted in ``attrs["left_out"]``.
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        As `tilth.stats.comparisons.compare_levels` gives it, indexed by ``variant``;
        n counts pots. A variant with one pot is there without a test.

    Raises
    ------
    InputError
        If a column is absent, identifiers are not text, times are not UTC, or no two
        variants have two pots: a treatment then cannot be told from its pot.
    """
    rows, left_out = _pot_rows(table, control, value, variant, pot, time, log)
    stamps = rows["time"]
    if adjust == "month":
        period = stamps.dt.month
    elif adjust in ("hour", "day"):
        period = stamps.dt.floor(adjust[0] if adjust == "hour" else "D")
    elif adjust == "none":
        period = pd.Series(0, index=rows.index)
    else:
        raise InputError(f"adjust must be hour, day, month or none, got {adjust!r}")
    if adjust != "none":
        rows["value"] -= rows.groupby(period)["value"].transform("mean")
    means = rows.groupby(["variant", "pot"], as_index=False)["value"].mean()
    result = compare_levels(
        means["value"], means["variant"], control, log=log, level=level
    )
    result = result.rename(columns={"level": "variant"}).drop(columns="window")
    result = result.set_index("variant")
    result.attrs["left_out"] = left_out
    return result


def mixed_effects(
    table: xr.Dataset | pd.DataFrame,
    control: str,
    *,
    value: str = "flux",
    variant: str = "variant",
    pot: str = "pot",
    time: str = "time",
    interval: Literal["normal", "t"] = "normal",
    level: float = 0.95,
) -> MixedEffects:
    r"""Treatment effects from a mixed model with the pot as random effect.

    .. math:: \ln F = \mu + \beta_\mathrm{variant} + \gamma_\mathrm{date}
       + u_\mathrm{pot} + \epsilon, \qquad \mathrm{effect} = 100 (e^\beta - 1)\ \%

    by REML, on the mean of each pot and UTC day: the cycles of a night repeat one
    another and do not count as measurements of their own.

    Parameters
    ----------
    table : xarray.Dataset or pandas.DataFrame
        One row per measurement, with its pot and its time in UTC.
    control : str
        Variant the others are compared with.
    value, variant, pot, time : str, optional
        Names of the columns.
    interval : {"normal", "t"}, optional
        See `tilth.stats.mixed.mixed_model`; "t" is wider and right for few pots.
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    MixedEffects
        Effects in percent with Wald intervals; p-values also adjusted by Holm.

    Raises
    ------
    InputError
        As for `compare_pots`, and if dates and variants cannot be told apart.
    """
    rows, left_out = _pot_rows(table, control, value, variant, pot, time, log=False)
    positive = rows["value"] > 0
    rows = rows[positive].assign(date=rows["time"].dt.floor("D"))
    days = rows.groupby(["variant", "pot", "date"], as_index=False)["value"].mean()
    model = mixed_model(
        np.log(days["value"]),
        days["variant"],
        days["pot"],
        control,
        categories={"date": days["date"]},
        interval=interval,
        level=level,
    )
    contrasts = model.contrasts
    effects = pd.DataFrame(
        {
            "effect_percent": 100.0 * np.expm1(contrasts["estimate"]),
            "lower": 100.0 * np.expm1(contrasts["lower"]),
            "upper": 100.0 * np.expm1(contrasts["upper"]),
            "p": contrasts["p"],
            "p_holm": holm(contrasts["p"]),
            "pots": contrasts["groups"],
            "observations": contrasts["observations"],
        }
    ).rename_axis("variant")
    notes = list(model.notes)
    dropped = int((~positive).sum())
    if dropped:
        notes.append(f"{dropped} values not positive, without a logarithm: left out")
    if left_out:
        notes.append(f"{left_out} rows without a value or a time: left out")
    return MixedEffects(effects, model, tuple(notes))


def _pot_rows(
    table: xr.Dataset | pd.DataFrame,
    control: str,
    value: str,
    variant: str,
    pot: str,
    time: str,
    log: bool,
) -> tuple[pd.DataFrame, int]:
    """Return complete rows of value, variant, pot, time and how many were left out."""
    names = {"value": value, "variant": variant, "pot": pot, "time": time}
    rows = columns_of(table, names)
    rows["time"] = utc_times(rows["time"])
    for name in ("variant", "pot"):
        require_text_column(rows[name])
    if log:
        rows["value"] = np.log(rows["value"].where(rows["value"] > 0))
    complete = rows[np.isfinite(rows["value"]) & rows["time"].notna()].copy()
    if control not in set(complete["variant"]):
        known = sorted(complete["variant"].unique())
        raise InputError(f"no values of the control {control!r}; variants: {known}")
    pots = complete.groupby("variant")["pot"].nunique()
    if pots.max() < 2:
        raise InputError(
            "every variant has one pot only: the treatment cannot be told from its "
            "pot, and more cycles of the same pot do not help (pseudo-replication); "
            "replicate the pots, or use paired_effects for these pots alone"
        )
    return complete, len(rows) - len(complete)
