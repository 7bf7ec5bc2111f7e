"""Fields of a quarter degree on 0.4 degrees and at 587 stations, beside xarray's own.

The peer is ``xarray.DataArray.interp``, linear: the same numbers inside the grid, but
no seam, no poles and no gaps. It interpolates one field after the other as well, and
finds its places anew in every call.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from benchmarks.measure import Row, cpu_seconds, in_fresh_process
from tilth.core.regrid import Regridder, bilinear, conservative, nearest

#: Fields in one call, and stations of the slides' discharge study.
_FIELDS, _STATIONS = 10, 587

_CODE = """
import dask.array as da, json, numpy as np, xarray as xr
from tilth.core.regrid import bilinear
lat, lon = np.arange(89.875, -90, -0.25), np.arange(0.125, 360, 0.25)
to = xr.Dataset(coords={{"lat": lat[1::2], "lon": lon[1::2]}})
values = da.random.random(({steps}, lat.size, lon.size), chunks=(10, -1, -1))
field = xr.DataArray(values, {{"lat": lat, "lon": lon}}, ("time", "lat", "lon"))
mean = float(bilinear(field, to).apply(field).mean())
print(json.dumps({{"mean": mean}}))
"""


def _grid(step: float, west: float = 0.0) -> xr.Dataset:
    """Return a global grid, rows going south."""
    lat = np.arange(90 - step / 2, -90, -step)
    return xr.Dataset(coords={"lat": lat, "lon": west + np.arange(step / 2, 360, step)})


def run() -> list[Row]:
    """Measure and return the rows."""
    source, target = _grid(0.25), _grid(0.4, -180.0)
    rng = np.random.default_rng(0)
    at = xr.Dataset(
        coords={
            "lat": ("station", rng.uniform(-89, 89, _STATIONS)),
            "lon": ("station", rng.uniform(1, 359, _STATIONS)),
        }
    )
    shape = (_FIELDS, source.sizes["lat"], source.sizes["lon"])
    field = xr.DataArray(rng.random(shape), source.coords, ("time", "lat", "lon"))
    gaps = field.where(field[0] > 0.3)
    inside = target.isel(lat=slice(1, -1), lon=slice(1, -1))
    inside = inside.assign_coords(lon=inside["lon"] % 360.0)

    def per_field(regridder: Regridder, values: xr.DataArray = field) -> float:
        return cpu_seconds(lambda: regridder.apply(values)) / _FIELDS * 1e3

    def peer(**places: xr.DataArray) -> float:
        return cpu_seconds(lambda: field.interp(**places)) / _FIELDS * 1e3

    ours, theirs = bilinear(field, at).apply(field), field.interp(at.coords)
    to_grid, to_points = bilinear(source, target), bilinear(source, at)
    on_grid = peer(lat=inside["lat"], lon=inside["lon"])
    at_points = peer(lat=at["lat"], lon=at["lon"])
    few, many = (
        in_fresh_process(_CODE.format(steps=steps))["peak_mib"] for steps in (100, 400)
    )
    return [
        Row("weights to a grid, bilinear, CPU time",
            cpu_seconds(lambda: bilinear(source, target)) * 1e3, "ms"),
        Row("weights to a grid, conservative, CPU time",
            cpu_seconds(lambda: conservative(source, target)) * 1e3, "ms"),
        Row("a field to a grid, bilinear, CPU time", per_field(to_grid), "ms",
            "xarray interp", on_grid),
        Row("a field with gaps to a grid, bilinear, CPU time",
            per_field(to_grid, gaps), "ms"),
        Row("a field to a grid, conservative, CPU time",
            per_field(conservative(source, target)), "ms"),
        Row("a field to a grid, nearest, CPU time",
            per_field(nearest(source, target)), "ms"),
        Row("a field to 587 stations, bilinear, CPU time", per_field(to_points), "ms",
            "xarray interp", at_points),
        Row("largest difference from xarray at the stations",
            float(np.abs(ours - theirs).max()), "1"),
        Row("400 fields of a quarter degree through Dask, peak memory", many, "MiB",
            "100 fields", few),
    ]  # fmt: skip
