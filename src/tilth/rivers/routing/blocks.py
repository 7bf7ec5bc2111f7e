"""Networks cut into blocks of whole basins, each routed as one task of Dask."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.rivers.network.model import RiverNetwork
from tilth.rivers.routing import output as out
from tilth.rivers.routing.plan import Plan, Results, walk
from tilth.rivers.routing.state import variables_of

#: Catchments of a block where nobody says otherwise: its arrays of a month in daily
#: values are some hundred MB, and a basin larger than that is a block of its own.
_SIZE = 50_000


def cut(component: npt.ArrayLike, blocks: int) -> list[np.ndarray]:
    """Cut a network into blocks of whole components of about equal size.

    Parameters
    ----------
    component : array of int, shape (n)
        Number of the component of each catchment, as `RiverNetwork.component`.
    blocks : int
        How many; fewer where there are fewer components, or where one alone is
        larger than its share.

    Returns
    -------
    list of numpy.ndarray
        Positions of each block's catchments, ascending; the first block holds the
        largest component.

    Raises
    ------
    InputError
        If `blocks` is not positive.

    Examples
    --------
    >>> cut([0, 0, 1, 2, 2, 2], 2)
    [array([3, 4, 5]), array([0, 1, 2])]
    """
    if blocks < 1:
        raise InputError(f"blocks must be at least 1, got {blocks}")
    number = np.asarray(component, np.int64)
    sizes = np.bincount(number)
    # The largest component goes to the block that has least so far.
    loads = np.zeros(min(blocks, sizes.size), np.int64)
    owner = np.empty(sizes.size, np.int64)
    for one in np.argsort(-sizes, kind="stable"):
        block = int(np.argmin(loads))
        owner[one] = block
        loads[block] += sizes[one]
    home = owner[number]
    order = np.argsort(home, kind="stable")
    edges = np.searchsorted(home[order], np.arange(loads.size + 1))
    parts = [order[a:b] for a, b in itertools.pairwise(edges)]
    return [part for part in parts if part.size]


def on_dask(plan: Plan, blocks: int | None) -> Results:
    """Return the lazy results of a run, each block of the network one task.

    Parameters
    ----------
    plan : Plan
        The run.
    blocks : int or None
        How many blocks; by default as large as the runoff's chunks.

    Returns
    -------
    Results
        Arrays of Dask, the catchments block by block.

    Raises
    ------
    InputError
        If all basins shall share their sub-steps: then they are no blocks.
    MissingDependencyError
        If Dask is not installed.
    """
    dask = load("dask", "dask")
    array = load("dask.array", "dask")
    if plan.settings.steps_by == "globe":
        raise InputError(
            "steps_by='globe' lets the whole network share its sub-steps, so it cannot "
            "be routed in blocks: use steps_by='basin', or runoff in memory "
            "(runoff.load()) without blocks"
        )
    network = plan.network
    parts = cut(network.component, _default_blocks(plan) if blocks is None else blocks)
    done = _tasks(dask, array, plan, parts)
    periods = plan.periods

    def joined(key: str, name: str, shape: Any) -> Any:
        """Return one variable of all blocks, along the catchments."""
        return array.concatenate(
            [
                array.from_delayed(one[key][name], shape(part), float)
                for one, part in zip(done, parts, strict=True)
            ],
            axis=1 if key == "values" else 0,
        )

    values = {
        name: joined("values", name, lambda part: (periods, part.size))
        for name in plan.names
    }
    state = {
        name: joined("state", name, lambda part: (part.size,))
        if dims == ("catchment",)
        else _path_flow(array, network, parts, [one["state"][name] for one in done])
        for name, (dims, _, _) in variables_of(network).items()
    }
    combined = dask.delayed(out.combined_ledger, pure=False)
    ledger = array.from_delayed(
        combined([one["ledger"] for one in done], network.size),
        (periods, len(out.LEDGER)),
        float,
    )
    return Results(values, ledger, state, network.ids[np.concatenate(parts)])


def _default_blocks(plan: Plan) -> int:
    """Return how many blocks there are where nobody says."""
    values = plan.drive.inputs["runoff"].values
    along = getattr(values, "chunks", ((), ()))[1]
    size = max(along) if len(along) > 1 else _SIZE
    return max(1, round(plan.network.size / size))


def _tasks(dask: Any, array: Any, plan: Plan, parts: list[np.ndarray]) -> list[Any]:
    """Return the delayed result of each block."""
    work = dask.delayed(_block, pure=False)
    inputs = {
        # In one chunk where it is in memory: a block then takes its own when it runs.
        name: given
        if given.lazy
        else replace(
            given, values=array.from_array(given.values, chunks=-1, name=False)
        )
        for name, given in plan.drive.inputs.items()
    }
    plan = replace(plan, drive=replace(plan.drive, inputs=inputs))
    tasks = []
    for part in parts:
        own = plan.subset(part)
        values = {name: given.values for name, given in own.drive.inputs.items()}
        # The plan is not looked into for Dask's arrays: they go beside it.
        tasks.append(work(dask.delayed(_with(own, {}), traverse=False), values))
    return tasks


def _with(plan: Plan, values: dict[str, Any]) -> Plan:
    """Return the plan with these values of its forcing, or with none."""
    inputs = {
        name: replace(given, values=values.get(name))
        for name, given in plan.drive.inputs.items()
    }
    return replace(plan, drive=replace(plan.drive, inputs=inputs))


def _block(plan: Plan, values: dict[str, np.ndarray]) -> dict[str, Any]:
    """Route one block: a task."""
    output, ledger, state = walk(_with(plan, values), threads=1)
    return {"values": output, "ledger": ledger, "state": state}


def _path_flow(
    array: Any, network: RiverNetwork, parts: list[np.ndarray], flows: list[Any]
) -> Any:
    """Return the flow of all paths from those of the blocks, in their order."""
    starts = network.data["path_from"].values
    levels = network.data.sizes["path_level"]
    own = [np.flatnonzero(np.isin(starts, part)) for part in parts]
    pieces = [
        array.from_delayed(flow, (rows.size, levels), float)
        for flow, rows in zip(flows, own, strict=True)
    ]
    return array.concatenate(pieces, axis=0)[np.argsort(np.concatenate(own))]
