"""Simulated records as Parquet files in the archive's layout, the truth beside them."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from tilth.core.errors import InputError
from tilth.fleet.archive.files import make_table, write_file
from tilth.fleet.channels import CHANNEL_NAMES
from tilth.fleet.simulate.batches import event_body
from tilth.fleet.simulate.layouts import EVENT_KINDS, NULL
from tilth.fleet.simulate.records import DeviceDay, FleetRecords, cycle_table

#: Rows of samples in one file, about.
_ROWS = 250_000


def write_archive(records: FleetRecords, folder: str | os.PathLike[str]) -> list[str]:
    """Write a simulated fleet straight to Parquet.

    For analyses of the records alone: it takes seconds where the way through broker
    and journal takes minutes, but there is no journal, and so nothing that
    `tilth serve` could go on with; see `tilth.fleet.fill.fill_simulated` for that.

    Parameters
    ----------
    records : FleetRecords
        From `simulate_fleet_records`.
    folder : path
        Made when absent. Gets ``samples/day=.../*.parquet`` and
        ``events/day=.../*.parquet`` with the columns of the archive, and
        ``truth/{cycles,devices,episodes}.parquet``.

    Returns
    -------
    list of str
        Paths of the samples and events, relative to the folder.

    Raises
    ------
    InputError
        If the folder holds records already.
    """
    root = Path(folder)
    if any((root / kind).exists() for kind in ("samples", "events", "truth")):
        raise InputError(f"{root} holds records already: give another folder")
    written: list[str] = []
    cycles: list[pd.DataFrame] = []
    with ThreadPoolExecutor(2) as pool:
        waiting: deque[Future[list[str]]] = deque()
        for number, blocks in enumerate(_groups(records)):
            cycles.append(cycle_table(blocks))
            waiting.append(pool.submit(_write, root, f"simulated-{number:06d}", blocks))
            if len(waiting) > 2:
                written += waiting.popleft().result()
        for future in waiting:
            written += future.result()
    truth = root / "truth"
    truth.mkdir(parents=True)
    pd.concat(cycles, ignore_index=True).to_parquet(truth / "cycles.parquet")
    records.devices().to_parquet(truth / "devices.parquet")
    records.episode_table().to_parquet(truth / "episodes.parquet")
    about = {"seed": records.world.seed, "start": records.world.start}
    (truth / "about.json").write_text(json.dumps(about | {"days": records.world.days}))
    return sorted(written)


def _groups(records: FleetRecords) -> Iterator[list[DeviceDay]]:
    """Yield blocks of one day that make about one file."""
    group: list[DeviceDay] = []
    rows = 0
    for block in records:
        if group and (block.day != group[0].day or rows + len(block) > _ROWS):
            yield group
            group, rows = [], 0
        group.append(block)
        rows += len(block)
    if group:
        yield group


def _write(root: Path, token: str, blocks: list[DeviceDay]) -> list[str]:
    """Write the files of some blocks of one day."""
    day = blocks[0].day
    names = [write_file(root, "samples", day, token, sample_columns(blocks))]
    if any(len(block.events) for block in blocks):
        names.append(write_file(root, "events", day, token, event_columns(blocks)))
    return names


def sample_columns(blocks: list[DeviceDay]) -> pa.Table:
    """Return the samples of some blocks with the columns of the archive."""

    def times(name: str) -> np.ndarray:
        return np.concatenate([block.times[name] for block in blocks])

    columns: dict[str, object] = {n: times(n) for n in ("t", "tick", "seq", "recv")}
    for name in (*CHANNEL_NAMES, "state", "flags"):
        values = np.concatenate([block.values[name] for block in blocks])
        columns[name] = pa.array(values, mask=values == NULL)
    columns["quality"] = pa.array(np.zeros(len(columns["t"]), np.int8))  # type: ignore[arg-type]
    columns |= _labels(blocks, [block.values for block in blocks])
    return make_table("samples", columns)


def event_columns(blocks: list[DeviceDay]) -> pa.Table:
    """Return the events of some blocks with the columns of the archive."""
    events = np.concatenate([block.events for block in blocks])
    columns: dict[str, object] = {n: events[n] for n in ("t", "tick", "seq")}
    columns["recv"] = events["t"] + 20_000
    columns["kind"] = [EVENT_KINDS[kind] for kind in events["kind"]]
    columns["body"] = [
        json.dumps(event_body(event, block), separators=(",", ":"))
        for block in blocks
        for event in block.events
    ]
    columns["quality"] = pa.array(np.zeros(len(events), np.int8))
    told = [
        {"boot": block.events["boot"], "misplaced": np.zeros(len(block.events), int)}
        for block in blocks
    ]
    columns |= _labels(blocks, told)
    return make_table("events", columns)


def _labels(blocks: list[DeviceDay], columns: list[dict]) -> dict[str, object]:
    """Return device, boot and location code as coded text."""
    words: dict[str, list[str]] = {"device": [], "boot": [], "loc": []}
    codes: dict[str, list[np.ndarray]] = {"device": [], "boot": [], "loc": []}
    for block, values in zip(blocks, columns, strict=True):
        number = np.asarray(values["boot"])
        codes["device"].append(np.full(len(number), len(words["device"]), np.int32))
        words["device"].append(block.name)
        known, which = np.unique(number, return_inverse=True)
        codes["boot"].append((which + len(words["boot"])).astype(np.int32))
        words["boot"] += [block.boots[int(boot)] for boot in known]
        wrong = np.asarray(values["misplaced"]).astype(np.int32)
        codes["loc"].append(wrong + len(words["loc"]))
        words["loc"] += block.shown
    # The codes of two devices may be the same word: a pot's true and another's wrong.
    coded: dict[str, object] = {}
    for name, texts in words.items():
        unique, again = np.unique(np.array(texts, object), return_inverse=True)
        indices = again.astype(np.int32)[np.concatenate(codes[name])]
        coded[name] = pa.DictionaryArray.from_arrays(
            indices, pa.array(unique.tolist(), pa.string())
        )
    return coded
