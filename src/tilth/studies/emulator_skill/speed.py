"""How fast the emulator runs, beside the published figure."""

from __future__ import annotations

import time

import numpy as np

from tilth.land.emulator.kernel import simulate
from tilth.land.emulator.parameters import bounds
from tilth.land.emulator.variants import VARIANTS, Forcing
from tilth.studies.emulator_skill.simulated import SEED
from tilth.studies.part import Part
from tilth.studies.result import Metric

#: Olson, Nitta & Yoshimura (2024): 0.2 s for a model year on 36 processes, against
#: 1448.19 s of MATSIRO. The article's grid is not known here; 60,000 land cells are
#: those of half a degree.
_PUBLISHED_SECONDS, _PUBLISHED_PROCESSES = 0.2, 36
_GLOBE = 60_000
_CELLS = "60 000"

_DAYS = 365


def measure(full: bool) -> Part:
    """Time a model year in single precision, on one core and on all."""
    part = Part()
    cells = _GLOBE if full else _GLOBE // 10
    forcing, month, fitted, state = _year(cells)

    def run(threads: int | None) -> None:
        simulate(
            forcing, month, fitted, np.array(0.1), np.array(0.0), state,
            VARIANTS["implicit"], threads=threads,
        )  # fmt: skip

    run(1)  # compiles
    one = min(_elapsed(run, 1) for _ in range(3))
    wall = min(_elapsed(run, None) for _ in range(3))
    published = _PUBLISHED_SECONDS * _PUBLISHED_PROCESSES
    part.metrics += [
        Metric("one cell and day on one core", 1e9 * one / cells / _DAYS, unit="ns"),
        Metric(
            f"a model year of {_CELLS} cells, core time",
            one * _GLOBE / cells,
            unit="s",
            published=published,
        ),
        Metric(
            f"a model year of {_CELLS} cells, on this machine",
            wall * _GLOBE / cells,
            unit="s",
            published=_PUBLISHED_SECONDS,
        ),
    ]
    part.notes.append(
        f"Speed: {cells} cells in single precision, from memory to memory, the best of "
        "three. The published figure is 0.2 s on 36 processes (7.2 s of core time); "
        f"its grid is not known to us, and {_CELLS} cells (half a degree) are assumed."
    )
    return part


def _elapsed(run, threads: int | None) -> float:
    """Return the seconds of one run."""
    began = time.perf_counter()
    run(threads)
    return time.perf_counter() - began


def _year(cells: int):
    """Return a year of weather, months, parameters and state, single precision."""
    rng = np.random.default_rng(SEED)
    shape = (_DAYS, cells)
    season = np.cos(2 * np.pi * (np.arange(_DAYS) - 200) / _DAYS)[:, None]
    temperature = 280 + 10 * season + rng.normal(0, 3, shape)
    wet = rng.gamma(0.3, 10.0, shape)
    cold = temperature < 273.15
    fields = (
        np.where(cold, 0.0, wet), np.where(cold, wet, 0.0), temperature,
        np.full(shape, 0.004), np.full(shape, 90000.0),
    )  # fmt: skip
    low, high = bounds()
    middle = low + 0.3 * (high - low)
    fitted = np.broadcast_to(middle[:, None, None], (15, 12, cells))
    month = np.minimum(np.arange(_DAYS) * 12 // _DAYS, 11)
    state = np.zeros((4, cells), np.float32)
    forcing = Forcing(*(field.astype(np.float32) for field in fields))
    return forcing, month, fitted.astype(np.float32), state
