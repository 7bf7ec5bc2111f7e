"""Can stuck chambers be told from clogged pots? Scored against simulated labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tilth.fleet.channels import CHANNELS
from tilth.fleet.detection import judge, scores
from tilth.fleet.detection_signs import signs_of_cycles
from tilth.fleet.simulate import (
    FAULT_BITS,
    NULL,
    cycle_table,
    simulate_fleet_records,
)
from tilth.studies.fluxmeter_army import figures
from tilth.studies.part import Part
from tilth.studies.result import Metric, Table

if TYPE_CHECKING:
    from tilth.fleet.simulate import DeviceDay

#: Nothing was tuned on seeds from here on.
HELD_OUT = 2001

#: What is scored -> the states that count as it.
GROUPS = {
    "stuck_closed": ("stuck_closed",),
    "stuck_open": ("stuck_open",),
    "clogged": ("clogged",),
    "stuck_or_clogged": ("stuck_closed", "stuck_open", "clogged", "no_exchange"),
    "leaky": ("leaky",),
}

_SEASONS = ("2023-06-10", "2023-09-25", "2023-11-20")


def labelled_cycles(records: Iterable[DeviceDay]) -> pd.DataFrame:
    """Return the signs of every cycle of a simulated fleet, with its true state.

    Parameters
    ----------
    records : iterable of DeviceDay
        Such as a `tilth.fleet.simulate.FleetRecords`.

    Returns
    -------
    pandas.DataFrame
        One row per cycle, as `tilth.fleet.detection.judge` takes it, with ``truth``:
        the state at closing.
    """
    blocks: dict[str, list[DeviceDay]] = {}
    for block in records:
        blocks.setdefault(block.name, []).append(block)
    cycles = pd.concat(
        [part for own in blocks.values() for part in _of_device(own)],
        ignore_index=True,
    ).rename(columns={"close": "t"})
    state = np.full(len(cycles), "ok", object)
    state[~cycles["opened"].to_numpy()] = "stuck_closed"
    faults = cycles["faults"].to_numpy()
    for kind, name in (
        ("half_open", "leaky"),
        ("clogged", "clogged"),
        ("stuck_open", "stuck_open"),
        ("stuck_closed", "stuck_closed"),
        ("frozen", "frozen"),
    ):
        state[(faults & FAULT_BITS[kind]) > 0] = name
    return cycles.assign(truth=state)


def _of_device(own: list[DeviceDay]) -> Iterable[pd.DataFrame]:
    """Yield the cycles of each boot of one device."""
    truth = cycle_table(own)
    columns = {}
    for channel in CHANNELS:
        raw = np.concatenate([b.values[channel.name] for b in own])
        columns[channel.name] = np.where(raw == NULL, np.nan, raw * channel.scale)
    columns["flags"] = np.concatenate([b.values["flags"] for b in own])
    columns["tick"] = np.concatenate([b.times["tick"] for b in own])
    boots = np.concatenate([b.values["boot"] for b in own])
    for number, boot in {n: name for b in own for n, name in b.boots.items()}.items():
        mine = truth[(truth["boot"] == boot) & (truth["why"] != "")]
        here = boots == number
        if mine.empty or not here.any():
            continue
        samples = {name: values[here] for name, values in columns.items()}
        close, opened = (mine[c].to_numpy() for c in ("close_tick", "open_tick"))
        end = max(samples["tick"][-1], opened[-1])
        until = np.minimum(np.append(close[1:], end), opened + 600_000)
        signs = signs_of_cycles(samples, close, opened, until)
        yield mine.reset_index(drop=True).join(signs)


def detection(full: bool) -> Part:
    """Score the detector on fleets it has not seen, in three seasons."""
    devices, days = (85, 5.0) if full else (24, 2.0)
    cycles, states = [], []
    for i, start in enumerate(_SEASONS if full else _SEASONS[1:2]):
        seed = HELD_OUT + i
        kinds = ("stuck_closed", "stuck_open", "clogged", "half_open")
        rates = {kind: {"rate": 0.06 if full else 0.25} for kind in kinds}
        plan = {"seed": seed, "base": "default", "faults": rates}
        one = labelled_cycles(
            simulate_fleet_records(devices, days, plan, start=start, seed=seed)
        )
        cycles.append(one)
        states.append(judge(one)["state"].to_numpy(str))
    truth = np.concatenate([one["truth"].to_numpy(str) for one in cycles])
    found = np.concatenate(states)
    table = scores(truth, found, GROUPS)
    part = Part()
    names = {"stuck_or_clogged": "stuck or clogged, told apart or not"}
    for group in ("stuck_or_clogged", "stuck_closed", "stuck_open", "clogged"):
        for score in ("recall", "precision"):
            part.metrics.append(
                Metric(
                    f"{names.get(group, group.replace('_', ' '))}, {score}",
                    float(table.to_dict("index")[group][score]),
                    bar=">= 0.95",
                )
            )
    part.tables.append(
        Table(
            "detection",
            table.reset_index(names="state"),
            "Scores per cycle on fleets the detector has not seen, against the labels "
            "of the simulator.",
            decimals={"recall": 3, "precision": 3},
        )
    )
    part.figures.append(figures.confusion(truth, found))
    part.notes.append(
        "The detector shares no code with the simulator's faults, but both were "
        "written by people who know the same physics: scores on a real greenhouse "
        "may be lower."
    )
    return part
