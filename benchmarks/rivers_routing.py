"""The router's cost: per catchment and sub-step, per size, per year; derivatives.

The peer is CaMa-Flood v4 (double precision, one thread, gfortran -O3), measured apart
on two such cores: 14.7 s for 120 days of the map of Mozambique, 24,253 sub-steps of
1,475 catchments, while writing its output. Ours is all of `route` in one thread.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.measure import Row, in_fresh_process
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.rivers.network import RiverNetwork
from tilth.rivers.network.cama import read_cama_map
from tilth.rivers.network.cama_runs import read_cama_output
from tilth.rivers.network.synthetic import synthetic_network
from tilth.rivers.routing.runs import route
from tilth.rivers.routing.settings import Settings

#: CPU time of CaMa-Flood for the 120 days, s.
CAMA = 14.7

#: The same for a catchment and sub-step, ns.
CAMA_STEP = 1e9 * CAMA / (24_253 * 1475)

VARIABLES = ("discharge", "storage")


def season(network: RiverNetwork, days: int, seed: int = 0) -> xr.DataArray:
    """Return daily runoff with storms of some days, m3 s-1."""
    rng = np.random.default_rng(seed)
    depth = rng.gamma(0.3, 3.0, size=days)  # mm a day, 0.9 on average
    volume = np.outer(depth, network.data["area"].values * 1e-3 / 86400)
    return xr.DataArray(
        volume,
        dims=("time", "catchment"),
        coords={
            "time": pd.date_range("2001-01-01", periods=days),
            "catchment": network.ids,
        },
        attrs={"units": "m3 s-1"},
        name="runoff",
    )


def timed(network: RiverNetwork, runoff: xr.DataArray, **how: object) -> tuple:
    """Return least CPU time of two runs, s, and sub-steps times catchments."""
    settings = Settings(**how)  # type: ignore[arg-type]
    seconds = []
    for _ in range(2):
        start = time.process_time()
        result = route(
            network, runoff, settings=settings, variables=VARIABLES, threads=1
        )
        seconds.append(time.process_time() - start)
    # The ledger's number is the mean over catchments.
    return min(seconds), float(result["substeps"].sum()) * network.size


def run() -> list[Row]:
    """Measure and return the rows."""
    warm = synthetic_network(100, basins=2)
    route(warm, season(warm, 2))
    return [*_mozambique(), *_sizes(), *_gradient(), *_cold()]


def _mozambique() -> list[Row]:
    """Time the map of Mozambique beside CaMa-Flood's own time."""
    try:
        folder = locate("cama-mozambique", download=False)
    except DatasetError as error:
        print(f"  left out: {error}")
        return []
    network = read_cama_map(folder / "map_moz_06min.nc")
    runoff = read_cama_output(folder / "cama_base_daily2019.nc", network)["runoff"]
    rows = []
    for by in ("globe", "basin"):
        cpu, work = timed(network, runoff, time_step=600.0, steps_by=by)
        name = f"Mozambique, 120 days, steps by {by}"
        rows.append(Row(f"{name}, CPU time", cpu, "s", "CaMa-Flood v4, apart", CAMA))
        rows.append(
            Row(f"{name}, catchment and sub-step", 1e9 * cpu / work, "ns",
                "CaMa-Flood v4, apart", CAMA_STEP)
        )  # fmt: skip
    cpu, _ = timed(network, runoff, time_step=86400.0, steps_by="basin")
    rows.append(Row("Mozambique, 120 days, outer step of a day", cpu, "s"))
    return rows


def _sizes() -> list[Row]:
    """Time synthetic continents of growing size, and a growing number of years."""
    rows = []
    for size in (1_000, 10_000, 100_000):
        network = synthetic_network(size, seed=1)
        cpu, work = timed(network, season(network, 30))
        rows.append(Row(f"month of {size:,} catchments, CPU time", cpu, "s"))
        rows.append(
            Row(f"month of {size:,} catchments, catchment and sub-step",
                1e9 * cpu / work, "ns")
        )  # fmt: skip
    network = synthetic_network(1000, seed=1)
    for years in (1, 4):
        cpu, _ = timed(network, season(network, 365 * years))
        rows.append(
            Row(f"1,000 catchments, {years} y, CPU time per year", cpu / years, "s")
        )
    return rows


_GRADIENT = """
import numpy as np
from benchmarks.rivers_routing import season
from tilth.core.accelerate import jax
from tilth.rivers.network.synthetic import synthetic_network
from tilth.rivers.routing.arrays import empty_state
from tilth.rivers.routing.equations import simulate, substeps_of
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.settings import Settings
import time, json
network = synthetic_network({size}, basins=3, seed=2).sorted()
settings = Settings()
geometry = geometry_of(network, settings)
runoff = season(network, {days}).values
state = empty_state(geometry)
steps = substeps_of(geometry, state, runoff, 86400.0, settings)
most = int(steps.max())
def mean(manning):
    shape = geometry._replace(manning=manning)
    _, means = simulate(shape, state, runoff, steps, 86400.0, settings, most=most{how})
    return (means.river + means.floodplain).mean()
work = jax.jit({task}(mean)).lower(geometry.manning).compile()
memory = work.memory_analysis().temp_size_in_bytes
jax.block_until_ready(work(geometry.manning))
start = time.process_time()
jax.block_until_ready(work(geometry.manning))
print(json.dumps({{"run_s": time.process_time() - start, "temp_mib": memory / 2**20}}))
"""


def _gradient() -> list[Row]:
    """Measure a year forward and backward in JAX: time, and memory of the program."""
    rows, seconds = [], {}
    for name, task, how in (
        ("forward", "", ""),
        ("gradient, root of the days kept", "jax.grad", ""),
        ("gradient, every day kept", "jax.grad", ", block=1"),
    ):
        found = in_fresh_process(
            _GRADIENT.format(size=100, days=365, task=task, how=how)
        )
        seconds[name] = found["run_s"]
        label = f"JAX, 100 catchments, a year, {name}"
        rows.append(Row(f"{label}, CPU time", found["run_s"], "s"))
        rows.append(Row(f"{label}, memory of the program", found["temp_mib"], "MiB"))
        rows.append(Row(f"{label}, peak of the process", found["peak_mib"], "MiB"))
    ratio = seconds["gradient, root of the days kept"] / seconds["forward"]
    rows.append(Row("JAX, gradient over forward", ratio, "1"))
    return rows


def _cold() -> list[Row]:
    """Time the first run of a fresh process, compiled before or not."""
    code = (
        "import os, tempfile\n{}\n"
        "from benchmarks.rivers_routing import route, season, synthetic_network\n"
        "network = synthetic_network(100, basins=2)\n"
        "route(network, season(network, 2))\nprint('{{}}')"
    )
    nowhere = "os.environ['NUMBA_CACHE_DIR'] = tempfile.mkdtemp()"
    warm = in_fresh_process(code.format(""))
    cold = in_fresh_process(code.format(nowhere))
    return [
        Row("first run of a fresh process, CPU time", warm["cpu_s"], "s"),
        Row("the same, nothing compiled before", cold["cpu_s"], "s"),
    ]
