"""What leaves show that only make their difference, and whether tests can tell.

Two tests: the gain of R2 beyond that of null worlds, and the slope of conductance on
the difference that stomata did not make. Both are tried first on simulated leaves whose
stomata are known; a test that does not tell these apart says nothing of real ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from tilth.core.progress import track
from tilth.core.report import Figure, Table
from tilth.ml.learners import Learner
from tilth.stomata.evidence import excess_over_null
from tilth.stomata.learners import support_vectors
from tilth.stomata.null_model import LeafWorld, simulate_leaves
from tilth.stomata.plots import plot_excess
from tilth.stomata.sensing import SensingTest, sensing_test
from tilth.studies.leaf_temperature.published import NULL, REAL, SENSING
from tilth.studies.leaf_temperature.scale import Scale
from tilth.studies.leaf_temperature.worlds import FIRST, SEED, SENSITIVITY, Leaves
from tilth.studies.part import Part
from tilth.studies.result import Metric

_GAIN_LABEL = "R² of E4 less E2"
_SLOPE_LABEL = "slope of log conductance (1/K)"


class _Verdict(NamedTuple):
    """Of one simulated world by all tests."""

    sensitivity: float
    slope: SensingTest
    learnt: float
    known: float


def measure(leaves: Leaves, scale: Scale) -> Part:
    """Test the tests on known leaves, then put the question to all worlds."""
    part = Part()
    verdicts = _trials(leaves.base, scale)
    _power(part, verdicts)
    gains = _gains(part, leaves, scale.judged(), scale)
    slopes = _slopes(part, leaves, scale)
    part.figures += [
        Figure.draw(
            "excess",
            plot_excess(gains, _GAIN_LABEL),
            "Gain of R2 by the temperature difference over the interval that holds "
            f"90 % of {scale.draws} null worlds, made in the conditions and with the "
            "scatter of the same leaves. "
            "A point beyond the interval proves little: the table of power says how "
            "often this test finds sensing, and how often where there is none.",
            "Points of gain over grey intervals of null worlds, by learner and split.",
        ),
        Figure.draw(
            "slopes",
            plot_excess({"": slopes}, _SLOPE_LABEL),
            "How conductance, over what the closure says, goes with the difference "
            "that the leaf would have if its stomata did as the closure says. Left of "
            "the grey interval (95 % of null worlds) stomata close with warmth, as in "
            "the sensing world. Slopes with and without light held fixed should agree "
            "where the closure is right.",
            "Points of slopes over grey intervals with 95 % of null worlds.",
        ),
    ]
    part.notes += _limits(leaves, scale)
    return part


def _trials(base: LeafWorld, scale: Scale) -> list[_Verdict]:
    """Put simulated worlds to all tests."""
    jobs = [(b, FIRST + k) for b in scale.sensitivities for k in range(scale.trials)]
    vectors = {"support vectors": support_vectors()}
    limit = np.nan
    verdicts: list[_Verdict] = []
    for sensitivity, seed in track(jobs, "tests on known leaves"):
        data = simulate_leaves(base, seed=seed, sensitivity=sensitivity)
        if not verdicts:
            # The null worlds of stomata that are known are the same for every trial.
            known = excess_over_null(
                data, vectors, draws=scale.draws, world=base, seed=SEED
            )
            limit = float(known["null_high"].iloc[0])
        own = excess_over_null(data, vectors, draws=scale.draws, seed=SEED).iloc[0]
        verdicts.append(
            _Verdict(
                sensitivity,
                sensing_test(data, draws=scale.draws, seed=SEED),
                float(own["excess_low"]),
                float(own["gain"]) - limit,
            )
        )
    return verdicts


def _power(part: Part, verdicts: list[_Verdict]) -> None:
    """Say how often each test finds sensing where it is, and where it is not."""
    rows = []
    for sensitivity in sorted({v.sensitivity for v in verdicts}):
        own = [v for v in verdicts if v.sensitivity == sensitivity]
        found = np.array([v.slope.sensitivity for v in own])
        rows.append(
            {
                "sensitivity": sensitivity,
                "worlds": len(own),
                "found by slope": np.mean([v.slope.found for v in own]),
                "slope says": found.mean(),
                "spread": found.std(ddof=1) if len(own) > 1 else np.nan,
                "found by gain": np.mean([v.learnt > 0 for v in own]),
                "by gain, stomata known": np.mean([v.known > 0 for v in own]),
            }
        )
    table = pd.DataFrame(rows)
    part.tables.append(
        Table(
            "power",
            table,
            "Shares of simulated worlds in which a test finds sensing, by how strongly "
            "stomata do sense: by the slope, by the gain of R2 (support vectors) over "
            "null worlds learnt from the same leaves, and over those of the true "
            "closure and scatter, which nobody has of real leaves.",
            units={"sensitivity": "K-1", "slope says": "K-1", "spread": "K-1"},
            decimals={
                "sensitivity": 2, "found by slope": 2, "slope says": 3, "spread": 3,
                "found by gain": 2, "by gain, stomata known": 2,
            },
        )
    )  # fmt: skip
    none, some = (
        table[np.isclose(table["sensitivity"], b)].iloc[0] for b in (0.0, SENSITIVITY)
    )
    part.metrics += [
        Metric(
            f"slope: sensing worlds found ({SENSITIVITY} K-1), share",
            some["found by slope"],
            bar=">= 0.8",
        ),
        Metric(
            "slope: null worlds taken for sensing, share",
            none["found by slope"],
            bar="<= 0.25",
        ),
        Metric(
            "slope: sensitivity it gives back, mean over the sensing worlds",
            some["slope says"],
            se=some["spread"] / np.sqrt(some["worlds"]),
            unit="K-1",
            published=SENSITIVITY,
            bar="within 0.1",
        ),
        Metric(
            "slope: sensitivity it gives null worlds, mean",
            none["slope says"],
            se=none["spread"] / np.sqrt(none["worlds"]),
            unit="K-1",
            published=0.0,
            bar="within 0.1",
        ),
        Metric("gain: sensing worlds found, share", some["found by gain"]),
        Metric("gain: null worlds taken for sensing, share", none["found by gain"]),
        Metric(
            "gain, stomata known: sensing worlds found, share",
            some["by gain, stomata known"],
            bar=">= 0.8",
        ),
    ]


def _gains(
    part: Part, leaves: Leaves, learners: dict[str, Learner], scale: Scale
) -> dict[str, pd.DataFrame]:
    """Return the gain of every world beside its null worlds', by split."""
    tables, panels = [], {}
    for split in ("shuffled", "by day"):
        rows = []
        for name, data in leaves.worlds.items():
            table = excess_over_null(
                data, learners, draws=scale.draws, split=split, seed=SEED
            )
            for row in table.to_dict("records"):
                part.metrics.append(
                    Metric(
                        f"{name}: gain of R2 beyond null, {row['learner']}, {split}",
                        row["excess"],
                        # Half of the interval that holds 90 %.
                        se=(row["excess_high"] - row["excess_low"]) / (2 * 1.645),
                    )
                )
            table.insert(0, "split", split)
            table.insert(0, "leaves", name)
            tables.append(table)
            own = table.rename(columns={"gain": "value"})
            own["name"] = [f"{name}, {x}" for x in own["learner"]]
            rows.append(own)
        panels[split] = pd.concat(rows, ignore_index=True)
    part.tables.append(
        Table(
            "excess",
            pd.concat(tables, ignore_index=True),
            f"Gain of R2 (E4 less E2), that of {scale.draws} null worlds in the "
            "conditions and with the scatter of these leaves (mean, 5th and 95th "
            "percentile), what is beyond, and the share of worlds with as much.",
            decimals=dict.fromkeys(
                ("gain", "null_mean", "null_low", "null_high", "excess", "excess_low",
                 "excess_high", "rank_p"), 3,
            ),
        )
    )  # fmt: skip
    return panels


def _slopes(part: Part, leaves: Leaves, scale: Scale) -> pd.DataFrame:
    """Return the slope of every world beside its null worlds', also beside light."""
    rows = []
    for name, data in leaves.worlds.items():
        for beside in ((), ("light",)):
            test = sensing_test(data, draws=2 * scale.draws, beside=beside, seed=SEED)
            label = f"{name}, light held fixed" if beside else name
            low, high = test.interval
            rows.append(
                {
                    "name": label,
                    "value": test.slope,
                    "null_mean": test.null.mean(),
                    "null_low": test.slope + low,
                    "null_high": test.slope + high,
                    "sensitivity": test.sensitivity,
                    "low": low,
                    "high": high,
                    "rank p": test.rank_p,
                }
            )
            part.metrics.append(
                Metric(
                    f"{label}: sensitivity by the slope",
                    test.sensitivity,
                    se=float(test.null.std(ddof=1)),
                    unit="K-1",
                    published={NULL: 0.0, SENSING: SENSITIVITY}.get(label),
                    bar=_BARS.get(label),
                )
            )
    table = pd.DataFrame(rows)
    part.tables.append(
        Table(
            "slopes",
            table.rename(columns={"name": "leaves", "value": "slope"}),
            "Slope of the logarithm of observed over expected conductance on the "
            "expected difference, that of null worlds, and the sensitivity that "
            "follows, with the interval in which 95 % of null worlds are.",
            units=dict.fromkeys(
                ("slope", "null_mean", "null_low", "null_high", "sensitivity", "low",
                 "high"), "K-1",
            ),
            decimals=dict.fromkeys(
                ("slope", "null_mean", "null_low", "null_high", "sensitivity", "low",
                 "high", "rank p"), 3,
            ),
        )
    )  # fmt: skip
    return table


#: Known truth, and how far a single world may be from it: twice the spread of worlds.
_BARS = {NULL: "within 0.15", SENSING: "within 0.15"}


def _limits(leaves: Leaves, scale: Scale) -> list[str]:
    """Return what must be said beside the numbers."""
    base = leaves.base
    notes = [
        "Reverse causality: an open stoma lets the leaf evaporate and cool, so a "
        "negative effect, a high rank and a gain of R2 are what the energy balance "
        "makes even if no stoma senses the difference. Deficit, leaf temperature and "
        "difference also share a thermometer.",
        "The gain beyond null worlds cannot tell sensing by itself: null worlds "
        "take their scatter from the residuals of the same leaves, and sensing is in "
        "these residuals. It says that the leaves are not Medlyn's closure with "
        "scatter drawn row by row; real residuals go with day, plant and light.",
        "The slope does tell the simulated worlds apart, as far as the closure is "
        "right. The expected difference is mostly made by light, so a closure that "
        "errs in its response to light has such a slope too. With light held fixed "
        "the simulated worlds can hardly be told apart: few leaves are warm in the "
        "shade.",
        f"The leaf's energy balance explains the measured differences with a "
        f"correlation of {base.agreement:.2f}, at {base.slope:.2f} of their computed "
        f"size; what is left, {base.spread:.2f} K, is taken for noise of the "
        "thermometers and not felt by simulated stomata. In real leaves a part of it "
        "is felt.",
        "Conditions and assimilation of the simulated leaves are those of the leaves "
        "they were made of: assimilation does not answer to conductance, nor does the "
        "chamber's humidity to transpiration.",
        f"Null intervals of the gain are of {scale.draws} draws, between their 5th and "
        f"95th percentile; those of slopes hold 95 % by Student's distribution.",
    ]
    if leaves.measured is not None:
        notes.append(f"{REAL.capitalize()}: {_rows(leaves)}")
    return notes


def _rows(leaves: Leaves) -> str:
    """Return how many rows there are and which were not left out, in words."""
    data: xr.Dataset | None = leaves.measured
    assert data is not None
    flagged = leaves.flagged or {}
    return (
        f"{data.sizes['observation']} spots on Eucalyptus; "
        f"{flagged.get('instrument', 0)} that the operator marked and "
        f"{flagged.get('no_uptake', 0)} without net uptake are used, as the reference "
        "numbers have them. One site and one species: no replication of the published "
        "one on Pinus sylvestris, whose leaves are not open to us. The air temperature "
        "is that of the chamber."
    )
