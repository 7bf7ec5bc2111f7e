"""Cost of the scores: CRPS of many ensembles, RPSS of a global forecast, reliability.

Peers are xskillscore and properscoring in an environment of their own, and scoringrules
and scores, which the package itself stands on.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from benchmarks.measure import Row, cpu_seconds, in_fresh_process
from benchmarks.peers import run_in_peer
from tilth.stats import crps_both, rank_histogram, reliability, rps, rpss

#: Cases and members of the CRPS.
CASES, MEMBERS = 200_000, 51

#: Starts, lead times, latitudes, longitudes of a global forecast on 1.5 degrees.
GLOBE = (53, 2, 121, 240)

_DIMS = ("start", "lead", "lat", "lon")


def _ensemble() -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(0)
    ensemble = xr.DataArray(rng.normal(size=(CASES, MEMBERS)), dims=("case", "member"))
    return ensemble, xr.DataArray(rng.normal(size=CASES), dims="case")


def _globe() -> tuple[xr.DataArray, xr.DataArray]:
    """Return probabilities of three classes and the class observed."""
    rng = np.random.default_rng(1)
    shares = rng.dirichlet([2, 2, 2], size=GLOBE)
    forecast = xr.DataArray(shares, dims=(*_DIMS, "category"))
    return forecast, xr.DataArray(rng.integers(0, 3, GLOBE).astype(float), dims=_DIMS)


_PEER_CRPS = f"""
import json, statistics, time, numpy as np, properscoring
rng = np.random.default_rng(0)
ensemble, seen = rng.normal(size=({CASES}, {MEMBERS})), rng.normal(size={CASES})
found = properscoring.crps_ensemble(seen, ensemble)
times = []
for _ in range(5):
    start = time.process_time()
    properscoring.crps_ensemble(seen, ensemble)
    times.append(time.process_time() - start)
print(json.dumps({{"cpu": statistics.median(times), "mean": float(found.mean())}}))
"""

_PEER_RPSS = f"""
import json, statistics, time, numpy as np, xarray as xr, xskillscore
rng = np.random.default_rng(1)
dims = {_DIMS}
shares = rng.dirichlet([2, 2, 2], size={GLOBE})
forecast = xr.DataArray(shares, dims=(*dims, "category"))
seen = xr.DataArray(rng.integers(0, 3, {GLOBE}), dims=dims)
ones = (seen == xr.DataArray([0, 1, 2], dims="category")).astype(float)
climate = xr.full_like(ones, 1 / 3)
def work():
    score = [
        xskillscore.rps(
            ones, p, category_edges=None, dim="start", input_distributions="p"
        )
        for p in (forecast, climate)
    ]
    return 1 - score[0] / score[1]
found = work()
times = []
for _ in range(3):
    start = time.process_time()
    work()
    times.append(time.process_time() - start)
print(json.dumps({{"cpu": statistics.median(times), "mean": float(found.mean())}}))
"""


def run() -> list[Row]:
    """Measure and return the rows."""
    return [*_crps(), *_rpss(), *_others(), *_cold()]


def _crps() -> list[Row]:
    import scoringrules

    ensemble, seen = _ensemble()
    ours = cpu_seconds(lambda: crps_both(ensemble, seen))
    mean = float(crps_both(ensemble, seen)["crps"].mean())
    name = f"CRPS, {CASES:,} x {MEMBERS}, standard and fair"
    rows = []
    for estimator in ("qd", "fair"):
        theirs = partial(
            scoringrules.crps_ensemble, seen.values, ensemble.values,
            estimator=estimator, backend="numba",
        )  # fmt: skip
        cpu = cpu_seconds(theirs)
        rows.append(Row(name, ours, "s", f"scoringrules numba, {estimator}", cpu))
    peer = run_in_peer("forcing", _PEER_CRPS)
    if peer:
        _same(mean, peer["mean"], "CRPS")
        rows.append(Row(name, ours, "s", "properscoring, standard", peer["cpu"]))
    holes = ensemble.where(np.random.default_rng(2).uniform(size=ensemble.shape) > 0.01)
    with_holes = cpu_seconds(lambda: crps_both(holes, seen))
    rows.append(Row("the same, 1 % of the members missing", with_holes, "s"))
    return rows


def _rpss() -> list[Row]:
    forecast, seen = _globe()
    thirds = xr.DataArray([1 / 3] * 3, dims="category")

    def work() -> xr.Dataset:
        return rpss(rps(forecast, seen), rps(thirds, seen), dim="start", members=51)

    ours = cpu_seconds(work, runs=3)
    name = f"RPSS of {' x '.join(map(str, GLOBE))} cases, per cell"
    peer = run_in_peer("forcing", _PEER_RPSS)
    if not peer:
        return [Row(name, ours, "s")]
    _same(float(work()["rpss"].mean()), peer["mean"], "RPSS")
    return [Row(name, ours, "s", "xskillscore", peer["cpu"])]


def _others() -> list[Row]:
    from scores.probability import isotonic_fit

    ensemble, seen = _ensemble()
    ranks = cpu_seconds(lambda: rank_histogram(ensemble, seen), runs=3)
    rng = np.random.default_rng(3)
    share = xr.DataArray(rng.integers(0, 52, 20_000) / 51, dims="case")
    event = xr.DataArray(rng.uniform(size=20_000) < share, dims="case")
    how = {"draws": 100, "band": "confidence"}
    ours = cpu_seconds(lambda: reliability(share, event, **how), runs=3)
    theirs = cpu_seconds(
        lambda: isotonic_fit(share, event.astype(float), bootstraps=100), runs=1
    )
    drawn = cpu_seconds(lambda: reliability(share, event), runs=3)
    return [
        Row(f"rank histogram, {CASES:,} x {MEMBERS}", ranks, "s"),
        Row("reliability of 20,000 cases, 100 refits of drawn cases", ours, "s",
            "scores.isotonic_fit", theirs),
        Row("the same, 1,000 refits of drawn events", drawn, "s"),
    ]  # fmt: skip


def _cold() -> list[Row]:
    """Time the first CRPS of a fresh process."""
    code = (
        "import numpy as np, xarray as xr\nfrom tilth.stats import crps\n"
        "crps(xr.DataArray(np.ones((2, 3)), dims=('case', 'member')),"
        " xr.DataArray(np.ones(2), dims='case'))\nprint('{}')"
    )
    return [Row("first CRPS of a fresh process", in_fresh_process(code)["cpu_s"], "s")]


def _same(ours: float, theirs: float, what: str) -> None:
    """Raise unless the peer computed the same thing."""
    if abs(ours - theirs) > 1e-9:
        raise RuntimeError(f"the {what} of the peer is {theirs}, ours {ours}")
