"""Every method on winters it has not seen: five folds, and one split for the maps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from tilth.core.progress import track
from tilth.core.regrid import bilinear
from tilth.forcing.patterns.downscaling import PatternDownscaling
from tilth.forcing.patterns.learners import PatternLearner, Ridge
from tilth.forcing.patterns.learners_nonlinear import (
    Nystroem,
    RandomForest,
    SupportVectors,
)
from tilth.forcing.patterns.ranks import fit_ranks
from tilth.forcing.patterns.seasons import season_labels
from tilth.forcing.patterns.transforms import find_transform
from tilth.forcing.split import check_not_trained_on
from tilth.studies.local_weather.cases import Case

#: Interpolation and quantile mapping, which the pattern is compared with.
BASELINE = "bilinear + mapping"

#: The shipped settings.
DEFAULT = "ridge"

#: A day with that much is wet, mm.
_WET = 1.0

FOLDS = 5


@dataclass(frozen=True)
class Contender:
    """A way to learn the pattern.

    Parameters
    ----------
    learner : PatternLearner
        What learns.
    window : int or "all"
        Of `PatternDownscaling`.
    dynamics : bool
        Whether other fields than rain are predictors too.
    slow : bool
        Whether only the full study has it.
    """

    learner: PatternLearner
    window: int | str = "all"
    dynamics: bool = False
    slow: bool = False

    def settings(self) -> PatternDownscaling:
        """Return the settings of the method."""
        return PatternDownscaling(self.learner, self.window)


CONTENDERS = {
    DEFAULT: Contender(Ridge()),
    "ridge, 3 x 3": Contender(Ridge(), 1),
    "ridge, with dynamics": Contender(Ridge(), dynamics=True),
    "support vectors": Contender(SupportVectors(), slow=True),
    "support vectors, default width": Contender(
        SupportVectors(gamma="scale"), slow=True
    ),
    "support vectors, 3 x 3": Contender(SupportVectors(), 1, slow=True),
    "support vectors, with dynamics": Contender(
        SupportVectors(), dynamics=True, slow=True
    ),
    "Nystroem": Contender(Nystroem(), slow=True),
    "forest, with dynamics": Contender(
        RandomForest(trees=50), dynamics=True, slow=True
    ),
}


def contenders(case: Case, full: bool) -> dict[str, Contender]:
    """Return what takes part.

    Parameters
    ----------
    case : Case
        Without dynamics, nothing with dynamics takes part.
    full : bool
        Whether slow ones do.

    Returns
    -------
    dict of str to Contender
        By name.
    """
    return {
        name: one
        for name, one in CONTENDERS.items()
        if (full or not one.slow) and (case.dynamics or not one.dynamics)
    }


def validate(case: Case, observed: xr.DataArray, full: bool) -> pd.DataFrame:
    """Score every method on each fold of winters, learnt from the others.

    Parameters
    ----------
    case : Case
        The coarse fields.
    observed : xarray.DataArray
        Targets, (time, place).
    full : bool
        Whether slow methods take part.

    Returns
    -------
    pandas.DataFrame
        One row per method, stage ("conditional", "corrected"), fold and target.
    """
    rows: list[pd.DataFrame] = []
    for fold, held in track(list(_folds(observed)), "winters held out"):
        for name, result in _predict(case, observed, held, full):
            for stage in ("conditional", "corrected"):
                table = _scores(observed[held], result[stage])
                rows.append(table.assign(method=name, stage=stage, fold=fold))
    return pd.concat(rows, ignore_index=True)


def last_winters(case: Case, observed: xr.DataArray) -> dict[str, xr.DataArray]:
    """Learn from the first six of ten winters, return the rain of the others.

    Parameters
    ----------
    case : Case
        The coarse fields.
    observed : xarray.DataArray
        Targets, (time, place).

    Returns
    -------
    dict of str to xarray.DataArray
        What was observed, interpolated, mapped, and learnt.
    """
    winter = season_labels(observed["time"])
    known = np.unique(winter)
    held = winter >= known[int(0.6 * known.size)]
    results = dict(_predict(case, observed, held, full=False))
    return {
        "observed": observed[held],
        "bilinear": results[BASELINE]["conditional"],
        BASELINE: results[BASELINE]["corrected"],
        f"{DEFAULT}, conditional": results[DEFAULT]["conditional"],
        DEFAULT: results[DEFAULT]["corrected"],
    }


def map_correlations(maps: dict[str, xr.DataArray], name: str) -> tuple[float, ...]:
    """Return correlations in time, of the mean and of wet days over the map.

    Parameters
    ----------
    maps : dict of str to xarray.DataArray
        Of `last_winters`.
    name : str
        Which.

    Returns
    -------
    tuple of float
        Mean correlation in time over places; over places of the means; and of the
        shares of days with 1 mm or more.
    """
    o, s = (np.asarray(maps[key].values, float) for key in ("observed", name))
    whole = np.isfinite(o)
    in_time = [
        np.corrcoef(o[k, j], s[k, j])[0, 1]
        for j, k in enumerate(np.moveaxis(whole, 1, 0))
    ]
    o, s = np.where(whole, o, np.nan), np.where(whole, s, np.nan)
    wet = [
        np.where(whole, x >= _WET, np.nan) for x in (o, s)
    ]  # fmt: skip
    return (
        float(np.mean(in_time)),
        float(np.corrcoef(np.nanmean(o, 0), np.nanmean(s, 0))[0, 1]),
        float(np.corrcoef(*(np.nanmean(x, 0) for x in wet))[0, 1]),
    )


def _folds(observed: xr.DataArray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number of each fold and its days: blocks of winters that follow."""
    winter = season_labels(observed["time"])
    for k, block in enumerate(np.array_split(np.unique(winter), FOLDS), start=1):
        yield k, np.isin(winter, block)


def _predict(
    case: Case, observed: xr.DataArray, held: np.ndarray, full: bool
) -> Iterator[tuple[str, xr.Dataset]]:
    """Yield the results of every method on the days held out."""
    yield BASELINE, interpolate(case.coarse, observed, held)
    for name, one in contenders(case, full).items():
        fields = {"pr": case.coarse} | (case.dynamics if one.dynamics else {})
        model = one.settings().fit(
            {key: field[~held] for key, field in fields.items()}, observed[~held]
        )
        result = model.predict({key: field[held] for key, field in fields.items()})
        check_not_trained_on(result)
        yield name, result


def interpolate(
    coarse: xr.DataArray, observed: xr.DataArray, held: np.ndarray
) -> xr.Dataset:
    """Interpolate, and map onto the distribution of the days not held out.

    Parameters
    ----------
    coarse : xarray.DataArray
        Rain, (time, lat, lon).
    observed : xarray.DataArray
        Targets, (time, place).
    held : numpy.ndarray of bool
        Days to return.

    Returns
    -------
    xarray.Dataset
        ``conditional``, interpolated, and ``corrected``, mapped.
    """
    rain = coarse.clip(min=0.0)
    values = bilinear(rain, observed, reach=np.inf).apply(rain)
    mapped = values[held].copy()
    for j in range(values.shape[1]):
        known = ~held & np.isfinite(observed.values[:, j])
        map_ = fit_ranks(
            values.values[known][:, [j]], observed.values[known][:, [j]].astype(float)
        )
        mapped[:, j] = map_.apply(
            values.values[held][:, [j]], find_transform("none"), "constant"
        )[:, 0]
    return xr.Dataset({"conditional": values[held], "corrected": mapped})


def _scores(observed: xr.DataArray, result: xr.DataArray) -> pd.DataFrame:
    """Return the scores of each target."""
    rows = []
    labels = observed[observed.dims[-1]].values
    for label, o, s in zip(
        labels, observed.values.T.astype(float), result.values.T, strict=True
    ):
        known = np.isfinite(o)
        rows.append({"target": str(label), **_pair(o[known], s[known])})
    return pd.DataFrame(rows)


def _pair(o: np.ndarray, s: np.ndarray) -> dict[str, float]:
    """Return the scores of one series."""
    wet_o, wet_s = o >= _WET, s >= _WET
    a, b = (wet_o & wet_s).sum(), (~wet_o & wet_s).sum()
    c, d = (wet_o & ~wet_s).sum(), (~wet_o & ~wet_s).sum()
    heidke = 2.0 * (a * d - b * c) / ((a + c) * (c + d) + (a + b) * (b + d))
    return {
        "correlation": float(np.corrcoef(o, s)[0, 1]),
        "rank correlation": float(stats.spearmanr(o, s)[0]),
        "RMSE": float(np.sqrt(np.mean((o - s) ** 2))),
        "Heidke score": float(heidke),
        "wet-day error": float(abs(wet_s.mean() - wet_o.mean())),
        "spread ratio": float(s.std() / o.std()),
    }
