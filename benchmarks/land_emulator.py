"""The emulator's cost per cell and day: kernel, JAX, derivatives, grid and site.

CPU time is that of this process, all threads together, and includes reading five
forcings and writing four outputs in memory. The slides of the published emulator give
0.2 s per model year on 36 processes; its grid is not stated. That it is half a degree,
some 60,000 cells, is inferred from its years (those of GSWP3).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from benchmarks.measure import Row, cpu_seconds, in_fresh_process
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError
from tilth.land.emulator import Emulator, bounds, fitted_dataset, kernel
from tilth.land.emulator.variants import VARIANTS, Forcing

YEAR = np.repeat(np.arange(12), [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])

#: Core-seconds of a model year of the published emulator (slides): 0.2 s x 36.
PUBLISHED = 0.2 * 36

#: CPU time of VIC 5 per cell and year (full energy, 3-h step, five snow bands),
#: measured on two such cores, s.
VIC = 1.7

IMPLICIT = VARIANTS["implicit"]


def weather(cells: int, kind: str = "float32", days: int = 365) -> Forcing:
    """Return mid-latitude weather."""
    rng = np.random.default_rng(0)
    size = min(cells, 1000)
    day = np.arange(days)[:, None]
    t = (
        279
        + 13 * np.sin(2 * np.pi * (day - 110) / 365)
        + rng.normal(0, 4, (days, size))
    )
    wet = rng.random((days, size)) < 0.4
    water = np.where(wet, rng.exponential(7.0, (days, size)), 0.0)
    frozen = np.clip((274.5 - t) / 2, 0, 1)
    es = 611.2 * np.exp(17.67 * (t - 273.15) / (t - 29.65))
    q = 0.622 * es / (9e4 - 0.378 * es) * rng.uniform(0.5, 1.0, (days, size))
    fields = (water * (1 - frozen), water * frozen, t, q, np.full((days, size), 9e4))
    pick = np.arange(cells) % size
    return Forcing(*(np.take(field.astype(kind), pick, axis=1) for field in fields))


def parameters(cells: int, kind: str = "float32") -> np.ndarray:
    """Return parameters anywhere within their bounds."""
    low, high = (limit[:, None, None] for limit in bounds())
    draws = np.random.default_rng(1).random((15, 12, min(cells, 1000)))
    grid = (low + (high - low) * draws).astype(kind)
    return grid[:, :, np.arange(cells) % grid.shape[2]]


def best(task: Callable[[], object], runs: int = 5) -> tuple[float, float]:
    """Return the least CPU and wall time of several runs after a warm-up, s."""
    task()
    cpu, wall = [], []
    for _ in range(runs):
        start = time.process_time(), time.perf_counter()
        task()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return min(cpu), min(wall)


def grid_year(cells: int, kind: str = "float32", threads: int = 1) -> tuple:
    """Return least CPU and wall time of a year of a grid in the kernel, s."""
    arguments = (
        weather(cells, kind), YEAR, parameters(cells, kind), np.full(cells, 0.1, kind),
        np.zeros(cells, kind), np.zeros((4, cells), kind), IMPLICIT,
    )  # fmt: skip
    return best(lambda: kernel.simulate(*arguments, threads=threads))


def run() -> list[Row]:
    """Measure and return the rows."""
    return [*_kernel(), *_object(), *_jax(), *_site(), *_cold()]


def _kernel() -> list[Row]:
    """Time grids of several sizes, both precisions, one thread and two."""
    rows = []
    for cells in (512, 15_000, 60_000):
        cpu, _ = grid_year(cells)
        rows.append(_per_day(f"kernel, float32, {cells:,} cells", cpu, cells))
    rows.append(Row("year of 60,000 cells, CPU time", cpu, "s",
                    "published, 36 processes; grid inferred", PUBLISHED))  # fmt: skip
    rows.append(Row("year of one cell of these, CPU time", 1e6 * cpu / 60_000, "us",
                    "VIC 5, measured", 1e6 * VIC))  # fmt: skip
    for threads in (1, 2):
        _, wall = grid_year(60_000, threads=threads)
        rows.append(Row(f"year of 60,000 cells, wall, threads: {threads}", wall, "s"))
    cpu, _ = grid_year(15_000, "float64")
    rows.append(_per_day("kernel, float64, 15,000 cells", cpu, 15_000))
    return rows


def _per_day(name: str, seconds: float, cells: int, days: int = 365) -> Row:
    return Row(f"{name}: per cell-day", 1e9 * seconds / cells / days, "ns")


def _object() -> list[Row]:
    """Time the whole of `Emulator.run`, in memory and on Dask."""
    cells = 15_000
    axis = pd.date_range("2001-01-01", periods=365)
    forcing = _dataset(weather(cells), axis)
    model = Emulator(fitted_dataset(parameters(cells), 0.1, 100.0, "implicit"))
    memory, _ = best(lambda: model.run(forcing, threads=1), runs=3)
    chunked = forcing.chunk(cell=3000)
    dask, _ = best(lambda: model.run(chunked).compute(scheduler="single-threaded"), 3)
    return [
        _per_day("Emulator.run, float32, 15,000 cells", memory, cells),
        _per_day("Emulator.run on Dask, 5 chunks", dask, cells),
    ]


def _dataset(fields: Forcing, axis: pd.DatetimeIndex) -> xr.Dataset:
    units = ("mm day-1", "mm day-1", "K", "kg kg-1", "Pa")
    named = zip(Forcing._fields, fields, units, strict=True)
    data = {name: (("time", "cell"), x, {"units": unit}) for name, x, unit in named}
    return xr.Dataset(data, {"time": axis})


def _jax() -> list[Row]:
    """Time JAX forward, and the reverse derivative of a misfit to all parameters."""
    from tilth.core.accelerate import jax, jnp
    from tilth.land.emulator.equations import State, simulate

    rows = []
    for cells, years in ((2000, 1), (50, 10)):
        days = 365 * years
        fields = Forcing(*map(jnp.asarray, weather(cells, "float64", days)))
        grid, start = jnp.asarray(parameters(cells, "float64")), jnp.zeros((4, cells))

        def forward(grid, start=start, fields=fields, years=years):
            month = np.tile(YEAR, years)
            return simulate(State(*start), fields, month, grid, 0.1, IMPLICIT)[1:]

        def misfit(grid, forward=forward):
            states, fluxes = forward(grid)
            runoff = fluxes.surface_runoff + fluxes.base_runoff
            return sum(jnp.mean(jnp.square(x)) for x in (*states[:3], runoff))

        done = {}
        for name, task in {"forward": forward, "gradient": jax.grad(misfit)}.items():
            compiled = jax.jit(task)
            done[name] = cpu_seconds(
                lambda f=compiled, x=grid: jax.block_until_ready(f(x)), runs=3
            )
            label = f"JAX {name}, float64, {cells:,} cells x {years} y"
            rows.append(_per_day(label, done[name], cells, days))
        ratio = done["gradient"] / done["forward"]
        label = f"JAX gradient over forward, {cells:,} cells x {years} y"
        rows.append(Row(label, ratio, "1"))
    return rows


def site_weather(path) -> tuple[Forcing, pd.DatetimeIndex]:
    """Return the daily weather of the site US-Bi1, 1981 to 2021; one cell."""
    table = pd.read_csv(path)
    days = pd.to_datetime(table["TIMESTAMP"].astype(str))
    celsius, p = table["TA_ERA"].to_numpy(), table["PA_ERA"].to_numpy() * 1e3
    es = 611.2 * np.exp(17.67 * celsius / (celsius + 243.5))
    e = np.maximum(es - table["VPD_ERA"].to_numpy() * 100, 0.0)
    water = table["P_ERA"].to_numpy()
    frozen = np.clip(0.5 - celsius, 0, 1)
    fields = (water * (1 - frozen), water * frozen, celsius + 273.15,
              0.622 * e / (p - 0.378 * e), p)  # fmt: skip
    columns = Forcing(*(field[:, None] for field in fields))
    return columns, pd.DatetimeIndex(days.to_numpy())


def _site() -> list[Row]:
    """Time 41 years of real weather, one cell and many."""
    try:
        folder = locate("fluxnet-sites", download=False)
    except DatasetError as error:
        print(f"  left out: {error}")
        return []
    fields, axis = site_weather(folder / "US-Bi1_ERA5_DD_1981-2021.csv.gz")
    rows = []
    for cells in (1, 1000):
        wide = Forcing(*(np.repeat(f.astype("float32"), cells, axis=1) for f in fields))
        forcing = _dataset(wide, axis)
        model = Emulator(fitted_dataset(parameters(cells), 0.1, 100.0, "implicit"))
        cpu, _ = best(lambda f=forcing, m=model: m.run(f, threads=1), runs=3)
        label = f"US-Bi1, 41 years, cells: {cells:,}"
        rows.append(Row(f"{label}, CPU time", cpu, "s"))
        rows.append(_per_day(label, cpu, cells, axis.size))
    return rows


def _cold() -> list[Row]:
    """Time the first run of a fresh process, compiled before or not."""
    code = (
        "import os, tempfile\n"
        "{}\n"
        "from benchmarks.land_emulator import grid_year\n"
        "grid_year(10)\nprint('{{}}')"
    )
    nowhere = "os.environ['NUMBA_CACHE_DIR'] = tempfile.mkdtemp()"
    warm = in_fresh_process(code.format(""))
    cold = in_fresh_process(code.format(nowhere))
    return [
        Row("first run of a fresh process, CPU time", warm["cpu_s"], "s"),
        Row("the same, nothing compiled before", cold["cpu_s"], "s"),
    ]
