"""Quantile delta mapping of daily temperature, 32 years trained and 32 adjusted.

The same made-up series go through tilth, xsdba and ibicus, one after the other on this
machine; times are CPU time, so that threads do not count as speed. A cell-year is a
year adjusted at one place, its training included. The first call of a process loads or
compiles the kernels. xsdba is timed with the interpolation between nodes that ours has,
and with its default, the nearest node, which is less work.
"""

from __future__ import annotations

from benchmarks.measure import Row, in_fresh_process
from benchmarks.peers import run_in_peer

YEARS = 32

#: Series of n cells and a stopwatch; the same text here and among the peers.
_SERIES = """
import json, time, warnings
import numpy as np, xarray as xr
warnings.simplefilter("ignore")
def series(n, years, start, warmer, seed):
    days = 365 * years
    rng = np.random.default_rng(seed)
    season = 12 * np.sin(2 * np.pi * (np.arange(days) % 365) / 365)
    values = 10 + warmer + season + 4 * rng.normal(size=(n, days))
    times = xr.date_range(start, periods=days, calendar="noleap", use_cftime=True)
    return xr.DataArray(values.astype("f4"), {"cell": np.arange(n), "time": times},
        ("cell", "time"), "tasmax", {"units": "degC"})
def case(n, years):
    return (series(n, years, "1950-01-01", 0, 1), series(n, years, "1950-01-01", 2, 2),
        series(n, years, "1982-01-01", 4, 3))
def cpu(task, *arguments, runs=1):
    found = []
    for _ in range(runs):
        start = time.process_time()
        task(*arguments)
        found.append(time.process_time() - start)
    return sorted(found)[len(found) // 2]
"""

_OURS = """
from tilth.forcing.adjust import QDM
def adjust(observed, modelled, target, group):
    QDM(group=group).fit(observed, modelled).apply(target).values
"""

_XSDBA = """
import os, sys
import xsdba
def adjust(observed, modelled, target, group):
    window = {"31 days": ("time.dayofyear", 31), "month": ("time.month", 1),
        "none": ("time", 1)}[group]
    trained = xsdba.QuantileDeltaMapping.train(observed, modelled, nquantiles=50,
        kind="+", group=xsdba.Grouper(*window))
    trained.adjust(target, interp={interp}).values
"""

_IBICUS = """
import logging
from ibicus.debias import QuantileDeltaMapping
logging.disable(logging.CRITICAL)
def adjust(observed, modelled, target, group):
    import datetime
    names = ["time_obs", "time_cm_hist", "time_cm_future"]
    given, times = [], {}
    for name, data in zip(names, (observed, modelled, target)):
        given.append(data.transpose("time", "cell").values[:, :, None].astype(float))
        times[name] = np.array([datetime.date(t.year, t.month, t.day)
            for t in data.indexes["time"]])
    debiaser = QuantileDeltaMapping.from_variable("tasmax")
    debiaser.apply(*given, **times, progressbar=False)
"""

_TIMED = """
found = {{"cold": cpu(adjust, *case(1, 2), {groups}[0])}}
for group in {groups}:
    adjust(*case(1, 2), group)
    for n in {cells}:
        found[f"{{group}} {{n}}"] = cpu(adjust, *case(n, {years}), group, runs={runs})
print(json.dumps(found))
"""

_LABELS = {"31 days": "31-day window", "month": "months", "none": "no grouping"}


def run() -> list[Row]:
    """Measure and return the rows."""
    groups = ["31 days", "month", "none"]
    ours = in_fresh_process(_code(_OURS, groups, [3, 30, 300], 5))
    linear = _XSDBA.replace("{interp}", "'linear'")
    nearest = _XSDBA.replace("{interp}", "'nearest'")
    few = run_in_peer("forcing", _code(linear, ["31 days"], [3, 30], 1)) or {}
    fast = run_in_peer("forcing", _code(nearest, ["31 days"], [3, 30], 1)) or {}
    grouped = run_in_peer("forcing", _code(linear, ["month", "none"], [3, 30], 3)) or {}
    ibicus = run_in_peer("forcing", _code(_IBICUS, ["31 days"], [3], 1)) or {}
    peers = {"xsdba": {**few, **grouped}, "xsdba, nearest": fast, "ibicus": ibicus}
    rows = [Row("first call of a process, QDM of 31-day windows", ours["cold"], "s",
                "xsdba", few.get("cold"))]  # fmt: skip
    for group in groups:
        for n in (3, 30, 300):
            key, name = f"{group} {n}", f"QDM, {_LABELS[group]}, {n} cells"
            speed = n * YEARS / ours[key]
            measured = {
                peer: n * YEARS / found[key]
                for peer, found in peers.items()
                if key in found
            }
            if not measured:
                rows.append(Row(name, speed, "cell-years/CPU-s"))
            for peer, peer_speed in measured.items():
                rows.append(Row(name, speed, "cell-years/CPU-s", peer, peer_speed))
    return rows


def _code(adjust: str, groups: list[str], cells: list[int], runs: int) -> str:
    """Return a text that times one program."""
    timed = _TIMED.format(groups=groups, cells=cells, years=YEARS, runs=runs)
    return _SERIES + adjust + timed
