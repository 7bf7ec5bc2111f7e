"""Ten winters over Iberia, and the scores of reference results on them."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.stats import spearmanr

#: Folds of the reference: two winters each, named by the year of their January.
WINTERS = [(1983 + 2 * k, 1984 + 2 * k) for k in range(5)]


def read(folder, name):
    with xr.open_dataset(folder / f"{name}.nc", engine="h5netcdf") as data:
        return data.load()[name.split("_")[-1]]


def scores(observed, simulated):
    """Return correlations and the Heidke score of 1 mm, as the reference has them."""
    o, s = observed >= 1.0, simulated >= 1.0
    a, b, c, d = (o & s).sum(), (~o & s).sum(), (o & ~s).sum(), (~o & ~s).sum()
    return {
        "r": np.corrcoef(observed, simulated)[0, 1],
        "rho": spearmanr(observed, simulated)[0],
        "rmse": np.sqrt(np.mean((observed - simulated) ** 2)),
        "hss": 2 * (a * d - b * c) / ((a + c) * (c + d) + (a + b) * (b + d)),
        "wet": abs(s.mean() - o.mean()),
        "sdr": simulated.std() / observed.std(),
    }


@dataclass
class Iberia:
    """The data, read once."""

    predictors: dict
    stations: xr.DataArray
    cells: xr.DataArray
    gcm: xr.DataArray
    seasonal: xr.DataArray
    reference: pd.DataFrame

    @property
    def winter(self):
        time = self.stations.time
        return time.dt.year.values + (time.dt.month.values == 12)

    def in_fold(self, fold):
        return np.isin(self.winter, WINTERS[fold - 1])

    def table(self, observed, result, fold, stage):
        """Return the scores of each target on the days of a fold."""
        names = (
            [str(s) for s in observed.station.values]
            if "station" in observed.dims
            else [f"cell{c}" for c in observed.cell.values]
        )
        rows = []
        for name, o, s in zip(
            names, observed.values.T.astype(float), result.values.T, strict=True
        ):
            known = np.isfinite(o)
            rows.append(
                {"target": name, "fold": fold, "stage": stage}
                | scores(o[known], s[known])
            )
        return pd.DataFrame(rows)

    def beside(self, table, method):
        """Return our scores and the reference's in one row."""
        rows = self.reference[self.reference.method == method]
        merged = table.merge(
            rows, on=["target", "fold", "stage"], suffixes=("", "_reference")
        )
        assert len(merged) == len(table), "every row has its reference"
        return merged


@pytest.fixture(scope="session")
def iberia():
    from tilth.core.datasets import locate
    from tilth.core.errors import DatasetError

    try:
        folder = locate("iberia-winters", download=False)
        expected = locate("pattern-reference", download=False)
    except DatasetError as error:
        import os

        if os.environ.get("TILTH_REQUIRE_DATA"):
            raise
        pytest.skip(str(error))
    return Iberia(
        {name: read(folder, f"NCEP_Iberia_{name}") for name in
         ("pr", "psl", "hus850", "ta850")},
        read(folder, "VALUE_Iberia_pr"),
        read(folder, "EOBS_Iberia_pr"),
        read(folder, "CMIP5_Iberia_pr"),
        read(folder, "CFS_Iberia_pr"),
        pd.concat(
            pd.read_csv(expected / f"pattern_pr_{kind}.csv", dtype={"target": str})
            for kind in ("stations", "cells")
        ),
    )  # fmt: skip
