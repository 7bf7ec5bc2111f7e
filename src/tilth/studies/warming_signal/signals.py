"""How every method changes a change: tables and numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.progress import track
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table
from tilth.studies.warming_signal.cases import (
    IBERIA,
    MODEL_SPREAD,
    REAL_SPREAD,
    SIMULATED,
    WARMING,
    WETTING,
    Case,
)
from tilth.studies.warming_signal.methods import METHODS, Scale, method
from tilth.studies.warming_signal.published import BARS, XSDBA

#: Probabilities at which changes of quantiles are compared.
PROBABILITIES = np.array([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])

#: Columns of changes.
_CHANGES = ("simulated change", "adjusted change", "lowest", "highest")

#: The change of a mean kept by QDM without groups, K; 0.01 is asked for.
_KEPT = "-0.01..0.01"


class Signal(NamedTuple):
    """The change of a case by a method."""

    case: Case
    method: str
    group: str
    simulated: np.ndarray
    adjusted: np.ndarray
    from_observed: np.ndarray
    quantiles: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """Adjusted less simulated change, or their ratio less one, per place."""
        if self.case.kind == "+":
            return self.adjusted - self.simulated
        return self.adjusted / self.simulated - 1.0


def measure(cases: list[Case], scale: Scale) -> list[Signal]:
    """Adjust every case by every method and grouping.

    Parameters
    ----------
    cases : list of Case
        Simulated and measured.
    scale : Scale
        Which groupings.

    Returns
    -------
    list of Signal
        Changes per place.
    """
    jobs = [
        (case, name, group)
        for case in cases
        for name in METHODS
        for group in scale.groups
        # Five winters are too few days for months or windows.
        if case.name != IBERIA or group == "none"
    ]
    found = []
    for case, name, group in track(jobs, "changes"):
        adjuster = method(name, case, group).fit(case.observed, case.modelled)
        before, after = (adjuster.apply(x) for x in (case.before, case.after))
        found.append(
            Signal(
                case,
                name,
                group,
                case.change(case.before, case.after),
                case.change(before, after),
                case.change(case.observed, after),
                quantile_changes(case, before, after),
            )
        )
    return found


def quantile_changes(
    case: Case, before: xr.DataArray, after: xr.DataArray
) -> np.ndarray:
    """Return the change of quantiles, mean of all places.

    Parameters
    ----------
    case : Case
        Whose kind of change it is.
    before, after : xarray.DataArray
        With ``time`` and ``place``.

    Returns
    -------
    numpy.ndarray, shape (len(PROBABILITIES),)
        Differences, or ratios; NaN where the first quantile is below 0.1 mm a day.
    """
    first, second = (
        x.quantile(PROBABILITIES, "time").values.astype(float) for x in (before, after)
    )
    if case.kind == "+":
        return (second - first).mean(axis=-1)
    if "s-1" in str(before.attrs["units"]):
        first, second = 86400.0 * first, 86400.0 * second
    wet = (first >= 0.1).all(axis=-1)
    ratio = second / np.where(first >= 0.1, first, np.nan)
    return np.where(wet, ratio.mean(axis=-1), np.nan)


def tell(signals: list[Signal]) -> Part:
    """Return the numbers and the table of the changes.

    Parameters
    ----------
    signals : list of Signal
        Of `measure`.

    Returns
    -------
    Part
        Metrics and one table.
    """
    part = Part()
    rows = []
    for s in signals:
        known = s.case.name == SIMULATED
        # Places of the measured cases are few, and neighbours: no standard error.
        n = s.adjusted.size
        se = float(s.excess.std(ddof=1) / np.sqrt(n)) if known else None
        rows.append(
            {
                "case": s.case.label,
                "method": s.method,
                "days grouped by": s.group,
                "simulated change": float(s.simulated.mean()),
                "adjusted change": float(s.adjusted.mean()),
                "lowest": float(s.adjusted.min()),
                "highest": float(s.adjusted.max()),
            }
        )
        part.metrics += _against_another_program(s)
        if known:
            bar = _KEPT if (s.method, s.group) == ("QDM", "none") else None
            part.metrics.append(
                Metric(
                    f"{s.case.label}: change by {s.method} ({s.group}) beyond that "
                    "simulated",
                    float(s.excess.mean()),
                    se,
                    s.case.unit,
                    bar=bar,
                )
            )
    part.tables.append(
        Table(
            "signals",
            pd.DataFrame(rows),
            "Change of the mean between two periods, by the model and after "
            "adjustment: differences of temperature (K), ratios of precipitation. "
            "Lowest and highest of the places.",
            decimals=dict.fromkeys(_CHANGES, 3),
        )
    )
    part.tables.append(_truths(signals))
    return part


def _against_another_program(signal: Signal) -> list[Metric]:
    """Return the changes that xsdba has numbers for."""
    case = signal.case
    key = (case.name, case.variable, signal.method, signal.group)
    if key not in XSDBA:
        return []
    what, bar = "change", BARS[case.kind == "+", signal.group]
    places = [str(place) for place in case.observed["place"].values]
    found = [float(value) for value in signal.adjusted]
    if case.name == IBERIA:
        what = "change from the observations in training"
        places, found = ["seven stations"], [float(signal.from_observed.mean())]
    return [
        Metric(
            f"{case.label}: {what} at {place} by {signal.method} ({signal.group})",
            value,
            None,
            case.unit,
            reference,
            bar,
        )
        for place, value, reference in zip(places, found, XSDBA[key], strict=True)
    ]


def _truths(signals: list[Signal]) -> Table:
    """Return by how much each method misses the change, in two worlds of one truth."""
    truths = {
        "tas": {
            "as the model says": WARMING,
            "in proportion to the spread": WARMING * REAL_SPREAD / MODEL_SPREAD,
        },
        "pr": {"as the model says": WETTING},
    }
    rows = [
        {
            "variable": s.case.variable,
            "reality changes": how,
            "method": s.method,
            "days grouped by": s.group,
            "true change": truth,
            "error": float(s.adjusted.mean()) - truth,
        }
        for s in signals
        if s.case.name == SIMULATED
        for how, truth in truths[s.case.variable].items()
    ]
    return Table(
        "truth",
        pd.DataFrame(rows),
        "The simulated model, and two realities it may belong to: one that changes by "
        "as much as the model says, and one that changes more because all it does is "
        "larger than in the model. No method can tell them apart from training data; "
        "errors in K, or in the ratio.",
        decimals={"true change": 2, "error": 3},
    )
