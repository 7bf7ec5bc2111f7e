"""Loading: pairs a second, the Green's table, disc points, cells, and inversions.

Peer numbers are those of `diskload` (LGPL-3) as measured on two shared cores: 0.92 ms a
point by a sum to degree 40000.
"""

from __future__ import annotations

import numpy as np

from benchmarks.measure import Row, cpu_seconds
from tilth.core.geodesy import unit_vectors
from tilth.core.optional import load
from tilth.loading import (
    cell_sources,
    disc_response,
    disc_sum,
    green_functions,
    invert,
    invert_signed,
    pair_table,
    places,
    station_rows,
    sum_points,
)
from tilth.loading.simulated import made_up_earth, made_up_margin, observed_stations
from tilth.loading.simulated import true_displacement as moved_by

#: Pairs of a place and a mass per CPU-second that must be reached.
BAR = 1e7


def run() -> list[Row]:
    """Measure and return the rows."""
    with load("threadpoolctl", "ml").threadpool_limits(1):
        return [*_responses(), *_inversions()]


def _responses() -> list[Row]:
    """Measure point masses, the table and discs."""
    earth = made_up_earth()
    green = green_functions(earth)
    random = np.random.default_rng(0)
    stations, masses = 200, 50_000
    at = places(random.uniform(-80, 80, stations), random.uniform(-180, 180, stations))
    where = unit_vectors(
        random.uniform(-80, 80, masses), random.uniform(0, 360, masses)
    )
    weights = random.normal(size=(masses, 1))
    table = pair_table(green)
    pairs = cpu_seconds(lambda: sum_points(at, where, weights, table), 3)
    whole = cpu_seconds(lambda: green_functions(earth), 3)
    far = np.geomspace(1e-4, 3.0, 20_000)
    discs = cpu_seconds(
        lambda: disc_response(green, far, np.radians(0.1)).up.block_until_ready(), 3
    )
    summed = cpu_seconds(lambda: disc_sum(earth, far[:20], np.radians(0.1)), 3)
    return [
        Row("point masses", stations * masses / pairs, "pairs/s", "bar", BAR),
        Row("Green's functions from Love numbers to degree 4000", whole, "s"),
        Row("exact disc", 1e6 * discs / far.size, "us/point", "diskload", 920.0),
        Row("disc by a sum to degree 40000", 1e6 * summed / 20, "us/point",
            "diskload", 920.0),
    ]  # fmt: skip


def _inversions() -> list[Row]:
    """Measure the matrix of a grid, an inversion with its strength, and limits."""
    green = green_functions(made_up_earth())
    margin = made_up_margin(step=0.1)
    within = margin.basin >= 0
    matrix = cpu_seconds(lambda: cell_sources(within, margin.stations, green), 3)
    moved, sources = moved_by(margin, green, margin.stations)
    seen = observed_stations(moved, margin.gia)
    rows = [station_rows(seen, sources, gia=margin.gia)]
    chosen = cpu_seconds(lambda: invert(rows, sources), 3)
    signed = cpu_seconds(lambda: invert_signed(rows, sources, "loss"), 3)
    cells, count = sources.sizes["source"], seen.sizes["station"]
    return [
        Row(f"responses of {count} stations to 400 cells", matrix, "s"),
        Row(f"inversion for {cells} cells, strength by likelihood", chosen, "s"),
        Row(f"limits by sign, {cells} cells", signed, "s"),
    ]
