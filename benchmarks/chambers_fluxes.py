"""Complete flux results per CPU second, and a fleet year within bounded memory.

A complete result is the line, the exponential, LI-COR's slope, standard errors with
autocorrelation, detection limit, choice and flags, from 60 points. The peer that can
be run beside it is what scripts in Python do, `scipy.optimize.curve_fit` per curve;
goFlux 0.2.1 (R) took 39 ms per flux on two such cores.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.optimize import curve_fit

from benchmarks.measure import Row, cpu_seconds, in_fresh_process
from tilth.chambers.closures import variable_attrs
from tilth.chambers.fits.fitting import fit_closures
from tilth.chambers.fits.flux import FluxSettings, fluxes
from tilth.chambers.flags import CLOSURE_FLAGS
from tilth.chambers.readers.table import read_table
from tilth.core.datasets import locate
from tilth.core.errors import DatasetError

#: CPU time of a flux in R 4.2 on two such cores: goFlux (line and two HM fits of about
#: 211 points), gasfluxes (four methods on 4 points).
GOFLUX_MS, GASFLUXES_MS = 39.0, 9.0


def closures(n: int, seed: int = 0) -> xr.Dataset:
    """Return noisy saturating closures of 60 points at 3 s."""
    rng = np.random.default_rng(seed)
    t = np.arange(60) * 3.0
    slope = rng.uniform(0.05, 1.0, (n, 1))
    k = rng.uniform(5e-4, 8e-3, (n, 1))
    c = 430 + slope * -np.expm1(-k * t) / k + rng.normal(0, 2.0, (n, t.size))
    both = ("closure", "sample")
    data = xr.Dataset(
        {
            "elapsed": (both, np.broadcast_to(t, c.shape).copy()),
            "co2": (both, c),
            "pressure": ("closure", np.full(n, 97200.0)),
            "temperature": ("closure", np.full(n, 20.0)),
            "area": ("closure", np.full(n, 0.05)),
            "volume": ("closure", np.full(n, 0.00825)),
            "closure_flag": ("closure", np.zeros(n, "int32"), CLOSURE_FLAGS.attrs()),
        },
        {"closure": np.array([f"{seed}-{i}" for i in range(n)], dtype=object)},
    )
    for name in data.data_vars:
        data[name].attrs.update(variable_attrs(str(name)))
    return data


def run() -> list[Row]:
    """Measure and return the rows."""
    data = closures(20_000)
    settings = FluxSettings(dead_band=20.0, precision=2.0)
    whole = cpu_seconds(lambda: fluxes(data, "co2", settings))
    n = data.sizes["closure"]
    arrays = (
        data["elapsed"].values,
        data["co2"].values,
        np.full(n, 20.0),
        np.full(n, np.inf),
        np.zeros(n, bool),
        0.0,
        np.full(n, np.nan),
        np.full(n, np.nan),
        0.5,
        True,
        True,
    )
    kernel = cpu_seconds(lambda: fit_closures(*arrays))
    few = data.isel(closure=slice(0, 300))
    peer = cpu_seconds(lambda: _by_curve_fit(few), runs=3) / 300
    year = in_fresh_process(
        "from benchmarks.chambers_fluxes import fleet_year\n"
        "print(json.dumps(fleet_year()))"
    )
    cold = in_fresh_process(
        "from benchmarks.chambers_fluxes import closures, fluxes\n"
        "fluxes(closures(10))\nprint('{}')"
    )
    return [
        Row("complete results per CPU second", n / whole, "s-1",
            "curve_fit, 3 curves", 1 / peer),
        Row("CPU time per complete result", 1e3 * whole / n, "ms",
            "goFlux 0.2.1 (R), measured", GOFLUX_MS),
        *_real_workloads(),
        Row("fits alone per CPU second", n / kernel, "s-1"),
        Row("first flux of a fresh process, wall", cold["wall_s"], "s"),
        Row("fleet year: closures streamed", year["closures"], "1"),
        Row("fleet year: CPU time", year["cpu_s"], "s",
            "goFlux, extrapolated", GOFLUX_MS / 1e3 * year["closures"]),
        Row("fleet year: peak memory", year["peak_mib"], "MiB"),
    ]  # fmt: skip


def _real_workloads() -> list[Row]:
    """Time the peers' own example data, where the registered datasets are at hand."""
    try:
        goflux = locate("goflux-reference", download=False)
        gasfluxes = locate("gasfluxes-reference", download=False)
    except DatasetError as error:
        print(f"  left out: {error}")
        return []
    columns = {
        "UniqueID": {"variable": "closure"},
        "Etime": {"variable": "elapsed", "units": "s"},
        "CO2dry_ppm": {"variable": "co2", "units": "ppm", "basis": "dry"},
        "H2O_ppm": {"variable": "h2o", "units": "ppm"},
        "Tcham": {"variable": "temperature", "units": "degC"},
        "Pcham": {"variable": "pressure", "units": "kPa"},
        "Area": {"variable": "area", "units": "cm2"},
        "Vcham": {"variable": "volume", "units": "L"},
    }
    five = read_table(goflux / "imp_LI6400_input.csv", columns, where={"flag": 1})
    many = five.isel(closure=np.tile(np.arange(5), 2600))
    many = many.assign_coords(
        closure=np.array([str(i) for i in range(many.sizes["closure"])], dtype=object)
    )
    long = cpu_seconds(lambda: fluxes(many, "co2"), runs=3) / many.sizes["closure"]
    columns = {
        "serie": {"variable": "closure"},
        "time": {"variable": "elapsed", "units": "h"},
        "C": {"variable": "n2o", "units": "mg m-3"},
        "V": {"variable": "volume", "units": "m3"},
        "A": {"variable": "area", "units": "m2"},
    }
    series = read_table(gasfluxes / "fluxMeas_input.csv", columns)
    settings = FluxSettings(models=("robust", "ndfe"), select="kappa_max")
    short = cpu_seconds(lambda: fluxes(series, "n2o", settings), runs=3)
    return [
        Row("5 NEE closures of 174 points, 2,600 times: per flux", 1e3 * long, "ms",
            "goFlux 0.2.1 (R), measured", GOFLUX_MS),
        Row("700 N2O series of 4 points, with robust line and NDFE: per series",
            1e3 * short / series.sizes["closure"], "ms",
            "gasfluxes 0.7 (R), measured", GASFLUXES_MS),
    ]  # fmt: skip


def _by_curve_fit(data: xr.Dataset) -> None:
    """Fit what a script would: a line, the exponential, LI-COR's three parameters."""
    for i in range(data.sizes["closure"]):
        t, c = data["elapsed"].values[i], data["co2"].values[i]
        use = t >= 20
        np.polyfit(t[use], c[use], 1, cov=True)
        start = np.polyval(np.polyfit(t[:4], c[:4], 1), 0.0)
        try:
            curve_fit(_hm, t[use], c[use], (c[-1] + 50, c[0], 0.003), maxfev=2000)
            curve_fit(
                lambda t, cx, a, t0, c0=start: cx + (c0 - cx) * np.exp(-a * (t - t0)),
                t[use], c[use], (c[-1] + 50, 0.003, 0.0), maxfev=2000,
            )  # fmt: skip
        except RuntimeError:
            continue


def _hm(t, c_inf, c0, k):
    return c_inf + (c0 - c_inf) * np.exp(-k * t)


def fleet_year(closures_per_year: int = 50 * 144 * 365, block: int = 50_000) -> dict:
    """Stream one year of 50 chambers (2.63 million closures) into a Parquet file."""
    import tempfile
    from pathlib import Path

    from tilth.chambers.output import write_fluxes

    settings = FluxSettings(dead_band=20.0, precision=2.0)
    firsts = range(0, closures_per_year, block)
    blocks = (
        fluxes(closures(min(block, closures_per_year - a), seed=a), "co2", settings)
        for a in firsts
    )
    with tempfile.TemporaryDirectory() as folder:
        return write_fluxes(blocks, Path(folder) / "year.parquet")
