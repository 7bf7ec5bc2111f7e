"""Whose terciles: nine real members against the observed edges and their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.report import Table
from tilth.forcing.s2s import (
    METHODS,
    MemberCount,
    Training,
    blend_forecast,
    score_terciles,
    tercile_forecast,
)
from tilth.stats.scores import ensemble_penalty
from tilth.studies.part import Part
from tilth.studies.result import Metric
from tilth.studies.s2s_terciles.cases import Pair

#: First winter -> RPS of climatology; RPSS with observed and with the model's edges,
#: in sample: computed apart from Tilth from the same files.
REFERENCE = {1984: (0.44444, -0.65515, 0.10447), 1983: (0.45556, -0.51192, 0.02486)}

#: RPSS_D of the winters 1984-1992 with the model's edges.
REFERENCE_D = 0.19402

#: Of what differs in the last printed digit only.
_WITHIN = "within 0.00001"
_IN_SAMPLE = Training(leave_out="none")


def measure(iberia: Pair) -> Part:
    """Score in sample as the reference does, and then without the own winter."""
    part = Part()
    area = np.cos(np.deg2rad(iberia.model["lat"]))
    options = {"dim": ("start", "cell"), "weights": area}
    rows = []
    for first, (usual, *wanted) in REFERENCE.items():
        pair = _from(iberia, first)
        for edges, published in zip(("observed", "model"), wanted, strict=True):
            found = tercile_forecast(
                pair.model,
                pair.observed,
                method=MemberCount(edges),
                training=_IN_SAMPLE,
            )
            skill = score_terciles(found, members=pair.members, **options)
            label = f"winters {first}-1992, {edges} edges, in sample"
            part.metrics.append(
                Metric(
                    f"RPSS, {label}",
                    float(skill["rpss"]),
                    published=published,
                    bar=_WITHIN,
                )
            )
            rows.append((label, *_numbers(skill)))
        part.metrics.append(
            Metric(
                f"RPS of climatology, winters {first}-1992",
                float(skill["rps_reference"]),
                published=usual,
                bar=_WITHIN,
            )
        )
        if first == 1984:
            part.metrics.append(
                Metric(
                    "RPSS_D (nine members), winters 1984-1992, model edges, in sample",
                    float(skill["rpss_d"]),
                    published=REFERENCE_D,
                    bar=_WITHIN,
                )
            )
    for name in ("raw", "model-edges", "mapping-ratio", "regression-root"):
        found = tercile_forecast(iberia.model, iberia.observed, method=METHODS[name])
        counted = None if name.startswith("regression") else iberia.members
        skill = score_terciles(found, members=counted, **options)
        blend = blend_forecast(found, pool=("cell",), weights=area)
        rows.append((f"{name}, own winter left out", *_numbers(skill)))
        drawn = score_terciles(blend, **options)
        rows.append((f"{name}, own winter left out, blended", *_numbers(drawn)))
        if name == "model-edges":
            part.metrics += [
                Metric(
                    f"RPSS, ten winters, {name}, own winter left out", skill["rpss"]
                ),
                Metric(
                    f"RPSS, ten winters, {name}, own winter left out, blended",
                    drawn["rpss"],
                ),
            ]
    part.tables.append(
        Table(
            "iberia",
            pd.DataFrame(rows, columns=["forecast", "RPSS", "RPSS_D", "RPS", "RPS_c"]),
            "Winter precipitation of Iberia, nine members of CFSv2 at 19 cells of "
            "E-OBS: skill over thirds, weighted by the cosine of the latitude.",
        )
    )
    penalty = ensemble_penalty(iberia.members)
    part.notes.append(
        f"A reliable ensemble of {iberia.members} members without skill loses "
        f"D = {penalty:.4f} of RPS by its size alone. In the winters 1983-1992 "
        "(n - 1)/3 is whole: linear edges are values themselves, the categories hold "
        "3, 3 and 4 winters, and the climatology scores 41/90 instead of 4/9. Ten "
        "winters in sample show arithmetic, not skill of CFSv2; and they are too few "
        "to fit a blend on: leaving a winter out makes the others look better where "
        "it was bad, so that the blend of the model's edges ends a little below zero "
        "although the forecast itself is above. A second round of leaving out, to "
        "switch the blend off where it does not pay, was tried and made this worse."
    )
    return part


def _from(pair: Pair, first: int) -> Pair:
    """Return the winters from a year on; a winter starts in December before."""
    chosen = slice(f"{first - 1}-12-01", None)
    return Pair(pair.model.sel(start=chosen), pair.observed.sel(start=chosen))


def _numbers(skill: xr.Dataset) -> tuple[float, ...]:
    """Return what the table says of a skill."""
    names = ("rpss", "rpss_d", "rps", "rps_reference")
    return tuple(float(skill[name]) for name in names)
