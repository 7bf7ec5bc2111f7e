"""Models of other days: what the guard says of them, and what a transfer gives."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.report import Table
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.seasons import season_labels
from tilth.forcing.patterns.synchrony import Synchrony, synchrony_test
from tilth.forcing.patterns.transfer import Transfer
from tilth.studies.local_weather.cases import Case
from tilth.studies.part import Part
from tilth.studies.result import Metric


def measure(case: Case) -> Part:
    """Ask the guard about every model, and bring the first over to the places.

    Parameters
    ----------
    case : Case
        Targets and models.

    Returns
    -------
    Part
        Correlations and bounds; the climate of the transferred model.
    """
    part = Part()
    observed = case.observed[case.mapped]
    rows = [("reanalysis", 1, _ask(case.coarse, observed))]
    for name, field in case.free.items():
        members = field if "member" in field.dims else field.expand_dims("member")
        for k in range(members.sizes["member"]):
            one = members.isel(member=k)
            rows.append((name, k + 1, _ask(one, observed)))
    table = pd.DataFrame(
        [
            {
                "source": name,
                "member": member,
                "correlation": found.correlation,
                "bound": found.bound,
                "let through": "yes" if found.synchronous else "no",
            }
            for name, member, found in rows
        ]
    )
    part.tables.append(
        Table(
            "guard",
            table,
            "Smoothed correlation of the best cell with each target, its bound from "
            "seasons paired wrongly (0.3 or more), and whether it may be learnt from.",
            decimals={"correlation": 2, "bound": 2},
        )
    )
    passed = [found.synchronous for _, _, found in rows]
    part.metrics += [
        Metric("guard: reanalysis let through", float(passed[0]), bar="== 1"),
        Metric(
            "guard: members of other days let through",
            float(sum(passed[1:])),
            bar="== 0",
        ),
    ]
    name, model = next(iter(case.free.items()))
    _transfer(part, case, name, model)
    return part


def _ask(field: xr.DataArray, observed: xr.DataArray) -> Synchrony:
    """Return what the synchrony test says."""
    cells = np.cbrt(field.clip(min=0.0).values.reshape(field.sizes["time"], -1))
    labels = season_labels(observed["time"])
    return synchrony_test(cells, np.cbrt(observed.values), labels)


def _transfer(part: Part, case: Case, name: str, model: xr.DataArray) -> None:
    """Learn from the reanalysis, apply to the model's fields mapped onto it."""
    observed = case.observed[case.mapped]
    winter = season_labels(observed["time"])
    known = np.unique(winter)
    early = winter < known[known.size // 2]
    fitted = PatternDownscaling().fit(case.coarse[early], observed[early])
    bridge = Transfer.fit(model[early], case.coarse[early])
    result = fitted.predict(bridge.apply(model[~early]))["corrected"]
    truth = observed[~early].mean("time").values
    ours = result.mean("time").values
    error = float(np.mean(np.abs(ours / truth - 1.0)))
    half = float(np.mean(np.abs(observed[early].mean("time").values / truth - 1.0)))
    daily = np.corrcoef(
        result.values.ravel(), np.nan_to_num(observed[~early].values).ravel()
    )[0, 1]
    part.metrics += [
        Metric(f"{name} transferred: error of means, later half", error),
        Metric("climate of the earlier half: error of means, later half", half),
        Metric(
            f"{name} transferred: correlation with observed days",
            float(daily),
            bar="-0.15..0.15",
        ),
    ]
