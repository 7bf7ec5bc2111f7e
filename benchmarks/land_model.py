"""The process model's speed, and how much faster its emulator is, in one run.

Bar: the emulator at least 1,000 times faster than the process model, per cell and year.
VIC 5 took 1.7 s per cell and year on a core like these when the reference output was
made (full energy, 3-h step, five snow bands); it is not run again here, so its figure
stands beside ours as a peer's and not as one of the same run.
"""

from __future__ import annotations

from benchmarks.measure import Row, in_fresh_process

#: Measured once, on two shared cores, when the reference output of VIC was computed, s.
VIC_SECONDS = 1.7

CELLS = (1, 100, 2000)
_DAYS = {1: 365, 100: 30, 2000: 4}

_MODEL = """
import json, time
{cache}
import numpy as np, xarray as xr
from tilth.land.simulate import simulated_weather
from tilth.land.model import parameter_dataset, run
weather = simulated_weather((2001, 2001), step_minutes=30, seed=1).squeeze("cell")
weather = weather.isel(time=slice(0, 48 * {days})).expand_dims(cell={cells})
weather = weather.assign_coords(
    lat=("cell", np.full({cells}, 45.0)), lon=("cell", np.zeros({cells}))
)
numbers = parameter_dataset("mixed_forest", "loam")
begin = time.perf_counter()
run(weather, numbers)
first = time.perf_counter() - begin
begin, cpu = time.perf_counter(), time.process_time()
run(weather, numbers)
print(json.dumps({{
    "first": first,
    "wall": time.perf_counter() - begin,
    "cpu": time.process_time() - cpu,
}}))
"""

_EMULATOR = """
import json, time
import numpy as np
from tilth.land.emulator.kernel import simulate
from tilth.land.emulator.parameters import PARAMETERS
from tilth.land.emulator.variants import Forcing, VARIANTS
cells, days = 20000, 365
rng = np.random.default_rng(1)
day = np.arange(days)
def field(values):
    return np.broadcast_to(
        np.asarray(values, np.float32).reshape(days, 1), (days, cells)
    ).copy()
temperature = 283 + 12 * np.sin(day / 58.1 - 1.9)
rain = rng.exponential(2.5, days) * (temperature > 274)
snow = rng.exponential(2.5, days) * (temperature <= 274)
weather = Forcing(
    field(rain), field(snow), field(temperature), field(np.full(days, 5e-3)),
    field(np.full(days, 9.5e4)),
)
low = np.array([p.lower for p in PARAMETERS])
high = np.array([p.upper for p in PARAMETERS])
middle = (low + 0.4 * (high - low)).astype(np.float32)
parameters = np.broadcast_to(middle[:, None, None], (15, 12, cells)).copy()
month = np.minimum(day // 31, 11)
state = np.zeros((4, cells), np.float32)
reference = np.zeros(cells, np.float32)
share = np.full(cells, 0.3, np.float32)
def go():
    return simulate(
        weather, month, parameters, share, reference, state, VARIANTS["implicit"]
    )
go()
times, cpus = [], []
for _ in range(5):
    begin, cpu = time.perf_counter(), time.process_time()
    go()
    times.append(time.perf_counter() - begin)
    cpus.append(time.process_time() - cpu)
print(json.dumps({{"wall": sorted(times)[2], "cpu": sorted(cpus)[2], "cells": cells}}))
"""

_NO_CACHE = "import tempfile, os; os.environ['TILTH_CACHE'] = tempfile.mkdtemp()"


def run() -> list[Row]:
    """Measure."""
    rows = []
    per_year = {}
    for cells in CELLS:
        days = _DAYS[cells]
        code = _MODEL.format(cells=cells, days=days, cache="")
        found = in_fresh_process(code)
        per_year[cells] = found["cpu"] / cells * 365.0 / days
        rows += [
            Row(f"{cells} cells: CPU per cell and year", per_year[cells], "s"),
            Row(
                f"{cells} cells: cell-steps per second",
                cells * 48 * days / found["wall"],
                "1/s",
            ),
            Row(f"{cells} cells: peak memory", found["peak_mib"], "MiB"),
        ]
    cold = in_fresh_process(_MODEL.format(cells=1, days=1, cache=_NO_CACHE))
    rows.append(Row("first run on a machine, with compilation", cold["first"], "s"))
    warm = in_fresh_process(_MODEL.format(cells=1, days=1, cache=""))
    rows.append(Row("first run of a later process", warm["first"], "s"))
    fast = in_fresh_process(_EMULATOR.replace("{{", "{").replace("}}", "}"))
    emulator = fast["cpu"] / fast["cells"]
    rows += [
        Row("emulator: CPU per cell and year", emulator, "s", "VIC 5", VIC_SECONDS),
        Row("process model over emulator, CPU", per_year[CELLS[-1]] / emulator, "1"),
        Row("VIC 5 (measured apart) over emulator, CPU", VIC_SECONDS / emulator, "1"),
    ]
    return rows
