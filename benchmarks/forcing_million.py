"""Thirty years of daily values in a million cells, adjusted by QDM through Dask.

Observations, model in training and model to be adjusted are made block by block, as a
store of fields would give them; the adjusted field is 41 GiB of single precision, of
which each cell's mean change and its days above a threshold are kept. Peak memory is
the largest resident set of a fresh process. Smaller fields show that it does not grow
with the number of cells, and the smallest is also written to Zarr, whole.
"""

from __future__ import annotations

import tempfile

from benchmarks.measure import Row, in_fresh_process

#: What the field may take, MiB.
BAR = 4 * 1024

_YEARS = 30

_CODE = """
import json, pathlib
import dask, dask.array as da, numpy as np, xarray as xr
from tilth.forcing.adjust.delta import QDM
from tilth.forcing.adjust.groups import DayWindow

rows, columns, group, store = {rows}, {columns}, {group}, {store!r}
days = xr.date_range("1981-01-01", periods={years} * 365, calendar="noleap",
                     use_cftime=True)
season = (10 * np.sin(2 * np.pi * np.arange(days.size) / 365)).astype("float32")
chunks = (min(rows, 25), min(columns, 20))

def made(field, shift, spread):
    def block(block_info):
        where = block_info[None]
        seed = (field, *where["chunk-location"])
        rng = np.random.Generator(np.random.SFC64(seed))
        values = rng.standard_normal(where["chunk-shape"], dtype="float32")
        values *= spread
        values += season
        values += np.float32(shift)
        return values
    shape = (rows, columns, days.size)
    array = da.map_blocks(block, dtype="float32",
        chunks=da.core.normalize_chunks((*chunks, -1), shape=shape))
    return xr.DataArray(array, dims=("lat", "lon", "time"), name="tas",
        coords={{"time": days, "lat": np.linspace(-60, 60, rows),
                "lon": np.arange(columns) * 360 / columns}}, attrs={{"units": "degC"}})

observed, modelled, target = made(0, 8, 3), made(1, 11, 4), made(2, 13, 4)
adjusted = QDM(kind="+", group=group).fit(observed, modelled).apply(target)
wanted = xr.Dataset({{
    "change": adjusted.mean("time") - observed.mean("time"),
    "hot_days": (adjusted > 25).sum("time") / {years},
}})
with dask.config.set(scheduler="threads", num_workers=2):
    if store:
        adjusted.to_dataset().to_zarr(store, consolidated=False)
    result = wanted.compute()
print(json.dumps({{"change": float(result["change"].mean()),
                  "finite": bool(result.notnull().all().to_array().all())}}))
"""


def measured(
    rows: int, columns: int, *, window: bool = False, store: str | None = None
) -> dict:
    """Return what one field took: ``peak_mib``, ``cpu_s``, ``wall_s``."""
    group = "DayWindow(31)" if window else "'none'"
    found = in_fresh_process(
        _CODE.format(rows=rows, columns=columns, group=group, store=store, years=_YEARS)
    )
    # The model's own change, 13 - 11 degC, is what QDM keeps.
    if not (found["finite"] and abs(found["change"] - 2.0) < 0.05):
        raise RuntimeError(f"the adjusted change is {found['change']}, not 2 degC")
    return found


def run() -> list[Row]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        written = measured(1000, 10, store=f"{folder}/adjusted.zarr")
    windows = measured(100, 20, window=True)
    tenth = measured(1000, 100)
    whole = measured(1000, 1000)
    return [
        Row("30 years of daily QDM, 1,000,000 cells, peak memory", whole["peak_mib"],
            "MiB", "bar", BAR),
        Row("the same of 100,000 cells, peak memory", tenth["peak_mib"], "MiB"),
        Row("the same of 10,000 cells, written to Zarr, peak memory",
            written["peak_mib"], "MiB"),
        Row("the same of 2,000 cells in 31-day windows, peak memory",
            windows["peak_mib"], "MiB"),
        Row("1,000,000 cells, wall", whole["wall_s"], "s"),
        Row("1,000,000 cells, CPU time, fields made and all", whole["cpu_s"], "s"),
        Row("cell-years per CPU-second, fields made and all",
            1e6 * _YEARS / whole["cpu_s"], "1/s"),
    ]  # fmt: skip
