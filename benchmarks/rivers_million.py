"""A continent of a million catchments for a month, its basins spread over Dask.

Peak memory is the largest resident set of a fresh process, network, runoff and all.
"""

from __future__ import annotations

from benchmarks.measure import Row, in_fresh_process

#: What the month may take, MiB.
BAR = 8 * 1024

_CODE = """
import json, time
import numpy as np
import dask.array as da
import pandas as pd
import xarray as xr
from tilth.rivers.network.synthetic import synthetic_network
from tilth.rivers.routing.runs import route
start = time.perf_counter()
network = synthetic_network({size}, basins=300, seed=4)
made = time.perf_counter() - start
depth = np.random.default_rng(0).gamma(0.3, 3.0, size=30) * 1e-3 / 86400
area = da.from_array(network.data["area"].values, chunks={size} // 50)
runoff = xr.DataArray(
    depth[:, None] * area[None, :],
    dims=("time", "catchment"),
    coords={{
        "time": pd.date_range("2001-01-01", periods=30), "catchment": network.ids
    }},
    attrs={{"units": "m3 s-1"}},
    name="runoff",
)
result = route(network, runoff, variables=("discharge", "storage"))
wanted = {wanted}
print(json.dumps({{"network_s": made, "residual": float(wanted["water_residual"].max()),
    "outflow": float(wanted["outflow_volume"].sum())}}))
"""


def run() -> list[Row]:
    """Measure and return the rows."""
    found = in_fresh_process(_CODE.format(size=1_000_000, wanted="result.compute()"))
    return [
        Row("month of a million catchments, peak memory", found["peak_mib"], "MiB",
            "bar", BAR),
        Row("month of a million catchments, wall", found["wall_s"], "s"),
        Row("month of a million catchments, CPU time", found["cpu_s"], "s"),
        Row("its network made, wall", found["network_s"], "s"),
        Row("largest residual of the water of a step", found["residual"], "1"),
    ]  # fmt: skip
