"""Raw rows read per CPU second: a table of a fleet, and LI-COR's own format.

The peer for the table is `pandas.read_csv` alone, which is the floor: it makes no
closures, checks no units and keeps no identifiers as text.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.measure import Row, cpu_seconds
from tilth.chambers.readers.licor_81x import read_licor_81x
from tilth.chambers.readers.table import read_table

_COLUMNS = {
    "id": {"variable": "closure"},
    "s": {"variable": "elapsed", "units": "s"},
    "co2": {"variable": "co2", "units": "ppm", "basis": "dry"},
    "p": {"variable": "pressure", "units": "hPa"},
    "t": {"variable": "temperature", "units": "degC"},
}


def run() -> list[Row]:
    """Measure and return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        table, n = _table(Path(folder) / "fleet.csv", closures=10_000)
        file, m = _licor(Path(folder) / "many.81x", observations=400)
        ours = cpu_seconds(lambda: read_table(table, _COLUMNS), runs=3)
        floor = cpu_seconds(lambda: pd.read_csv(table), runs=3)
        licor = cpu_seconds(lambda: read_licor_81x(file), runs=3)
    return [
        Row("CSV rows to closures per CPU second", n / ours, "s-1",
            "pandas.read_csv alone", n / floor),
        Row(".81x records to closures per CPU second", m / licor, "s-1"),
    ]  # fmt: skip


def _table(path: Path, closures: int) -> tuple[Path, int]:
    """Write a CSV of closures with 60 rows each."""
    rng = np.random.default_rng(0)
    n = closures * 60
    pd.DataFrame(
        {
            "id": np.repeat([f"5.{i}" for i in range(closures)], 60),
            "s": np.tile(np.arange(60) * 3, closures),
            "co2": np.round(450 + rng.normal(0, 2, n), 1),
            "p": np.round(972 + rng.normal(0, 0.1, n), 2),
            "t": np.round(20 + rng.normal(0, 0.1, n), 2),
        }
    ).to_csv(path, index=False)
    return path, n


def _licor(path: Path, observations: int) -> tuple[Path, int]:
    """Write observations in LI-COR's layout, 120 records each, without a footer."""
    labels = "Type\tEtime\tDate\tTcham\tPressure\tH2O\tCO2\tCdry"
    lines = []
    for i in range(observations):
        lines += [f"Obs#:\t{i + 1}", f"Label:\tpot {i}", "Observation Length:\t02:00"]
        lines += ["Vtotal:\t8020.9", "Area:\t317.8", "Dead Band:\t00:10", labels]
        for s in range(120):
            stamp = pd.Timestamp("2023-07-03") + pd.Timedelta(seconds=600 * i + s)
            dry = 405 + 0.2 * s
            lines.append(
                f"1\t{s}\t{stamp:%Y-%m-%d %H:%M:%S}\t20.1\t98.31\t8.00\t"
                f"{dry * 0.992:.2f}\t{dry:.2f}"
            )
    path.write_text("\n".join(lines) + "\n", "latin-1")
    return path, observations * 120
