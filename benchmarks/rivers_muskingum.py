"""Muskingum routing of RAPID's five reaches, and of as many copies as 100,000 reaches.

Ten days in steps of 900 s, three-hourly output.
"""

from __future__ import annotations

import time

import numpy as np
import xarray as xr

from benchmarks.measure import Row
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.rivers.network import RiverNetwork
from tilth.rivers.network.rapid import read_rapid_flow, read_rapid_network
from tilth.rivers.routing.muskingum import route_muskingum


def tiled(network: RiverNetwork, copies: int) -> RiverNetwork:
    """Return copies of a network side by side, numbered from zero."""
    n = network.size
    data = xr.concat([network.data.reset_coords(drop=True)] * copies, "catchment")
    first = np.repeat(np.arange(copies) * n, n)
    after = data["downstream"].values
    data["downstream"] = ("catchment", np.where(after >= 0, after + first, after))
    return RiverNetwork(data.assign_coords(catchment=np.arange(copies * n)))


def run() -> list[Row]:
    """Measure and return the rows."""
    try:
        folder = locate("rapid-five-reaches", download=False)
    except DatasetError as error:
        print(f"  left out: {error}")
        return []
    five = read_rapid_network(
        folder / "rapid_connect.csv", folder / "k.csv", folder / "x.csv"
    )
    inflow = read_rapid_flow(folder / "qext_19700101_19700110.nc", five)
    rows = []
    for copies in (1, 2_000, 20_000):
        network = tiled(five, copies)
        wide = xr.DataArray(
            np.tile(inflow.transpose("time", "catchment").values, copies),
            dims=("time", "catchment"),
            coords={"time": inflow["time"].values, "catchment": network.ids},
            attrs=inflow.attrs,
            name=inflow.name,
        )
        seconds = []
        for _ in range(3):
            start = time.process_time()
            route_muskingum(
                network, wide, time_step=900.0, negative_coefficients="accept"
            )
            seconds.append(time.process_time() - start)
        cpu, steps = min(seconds), 10 * 96
        label = f"ten days of {network.size:,} reaches"
        rows.append(Row(f"{label}, CPU time", cpu, "s"))
        rows.append(
            Row(f"{label}, reach and step", 1e9 * cpu / steps / network.size, "ns")
        )
    return rows
