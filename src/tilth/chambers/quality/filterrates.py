"""How much of the data each filter takes, week by week."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from tilth.chambers.flags import REMARKS
from tilth.core.errors import InputError
from tilth.core.flags import flag_masks, is_flagged
from tilth.core.model import require_text, require_variables

#: Reasons that say when a closure was made, not whether it failed.
NOT_NIGHT = ("daylight", "light_unknown")


def filter_rates(
    closures: xr.Dataset,
    *,
    by: str = "table",
    replica: str = "pot",
    night_only: bool = True,
) -> pd.DataFrame:
    """Share of the closures that each filter took, per week and table or variant.

    A filter rate of 25 % with four replicas means that one of them is lost.

    Parameters
    ----------
    closures : xarray.Dataset
        Closures or fluxes with ``time``, ``closure_flag`` and the text coordinates
        `by` and `replica`.
    by : str
        Coordinate of the rows beside the week: ``table`` or ``variant``.
    replica : str
        Coordinate that tells the replicas apart.
    night_only : bool
        Count the night's closures only, as the fleet does: those by day or without
        a light reading are no failures.

    Returns
    -------
    pandas.DataFrame
        Index ``week`` (its Monday) and `by`; columns ``n``, ``filtered`` (share
        taken by any filter), one share per reason that occurs, ``replicas`` and
        ``replicas_left`` (those with at least half of their closures left).

    Raises
    ------
    InputError
        If an identifier is not text.
    """
    require_variables(
        closures, [by, replica, "time", "closure_flag"], "the filter-rate table"
    )
    for name in (by, replica):
        require_text(closures[name])
    flag = closures["closure_flag"]
    reasons = [r for r in flag_masks(flag) if r not in (*NOT_NIGHT, *REMARKS)]
    table = pd.DataFrame(
        {reason: is_flagged(flag, reason).values for reason in reasons}
        | {
            "week": pd.DatetimeIndex(closures["time"].values)
            .to_period("W-SUN")
            .start_time,
            by: closures[by].values,
            "replica_": closures[replica].values,
        }
    )
    table.insert(0, "filtered", table[reasons].any(axis=1))
    if night_only:
        known = [name for name in NOT_NIGHT if name in flag_masks(flag)]
        if known:
            table = table[~is_flagged(flag, *known).values]
    if table.empty:
        raise InputError("no closure is left to count: none was made at night")
    reasons = [reason for reason in reasons if table[reason].any()]
    groups = table.groupby(["week", by])
    rates = groups[["filtered", *reasons]].mean()
    rates.insert(0, "n", groups.size())
    lost = table.groupby(["week", by, "replica_"])["filtered"].mean()
    rates["replicas"] = lost.groupby(["week", by]).size()
    rates["replicas_left"] = (lost <= 0.5).groupby(["week", by]).sum()
    return rates
