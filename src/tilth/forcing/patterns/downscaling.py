"""Pattern-recognition downscaling after Yoshikane & Yoshimura: settings, fit, predict.

One regression per target from the coarse field around it, then the rank step. Settings
become a `PatternModel` by `PatternDownscaling.fit`; it gives the conditional estimate
and the distribution-corrected output side by side, never one for the other::

    model = PatternDownscaling().fit(reanalysis, stations)
    local = model.predict(later)
    local["corrected"], local["conditional"]
    model.save("fitted.nc")  # and later: model = read_patterns("fitted.nc")
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError, UnitsError
from tilth.core.parallel import apply_kernel
from tilth.core.progress import track
from tilth.core.regrid_places import positions
from tilth.forcing.patterns.guards import LEAST_DAYS, check_training
from tilth.forcing.patterns.learners import (
    Fitted,
    PatternLearner,
    Ridge,
    fit_out_of_fold,
)
from tilth.forcing.patterns.predictors import (
    Field,
    Fields,
    describe_fields,
    feature_table,
    windows_of,
)
from tilth.forcing.patterns.ranks import (
    RankMap,
    SpreadMap,
    fit_ranks,
    fit_spread,
)
from tilth.forcing.patterns.seasons import common_times, season_folds, season_labels
from tilth.forcing.patterns.transforms import Transform, find_transform
from tilth.forcing.split import ATTRIBUTE, training_periods

__all__ = ["METHOD", "PatternDownscaling", "PatternModel"]

#: What the method is called; "after" is exact, since its authors published no settings.
METHOD = "pattern-recognition downscaling after Yoshikane & Yoshimura"

#: Targets that are solved for together; bounds the memory.
_TOGETHER = 1000

_OUTPUT = {
    "conditional": "conditional estimate: most likely, varies too little",
    "corrected": "estimate of the same rank in the observed distribution",
    "conditional_spread": "root mean square difference of observed and conditional "
    "on training days of like estimate that were not learnt from",
}


@dataclass(frozen=True)
class PatternDownscaling:
    """Settings of the method.

    Parameters
    ----------
    learner : PatternLearner, optional
        By default `Ridge`, which no other learner beat where they were compared.
    window : int or "all", default "all"
        Cells of every coarse field each side of the one nearest to the target (1 is
        three by three), or the whole field.
    transform : {"cube_root", "none"}
        Scale of learning: the cube root for precipitation, none for temperature.
    folds : int, default 4
        Of whole seasons or years, for the estimates the rank step is learnt from.
    extrapolation : {"constant", "delta"}
        What estimates beyond all of the training become: the outermost observed
        quantile, or it and the difference.

    Raises
    ------
    InputError
        If a setting is not one.

    References
    ----------
    Yoshikane & Yoshimura (2022), PLOS Water 1(5), e0000016; (2023), Sci. Rep. 13, 9412.
    Theirs: the simulated field around a place as predictor without reduction, one
    support vector regression per target, quantile mapping afterwards. Ours: the cube
    root, z-scores, widths and penalties, ridge as the default, the out-of-fold rank
    step.
    """

    learner: PatternLearner = field(default_factory=Ridge)
    window: int | str = "all"
    transform: str = "cube_root"
    folds: int = 4
    extrapolation: str = "constant"

    def __post_init__(self) -> None:
        find_transform(self.transform)
        if self.extrapolation not in ("constant", "delta"):
            raise InputError(
                f'extrapolation is "constant" or "delta", got {self.extrapolation!r}'
            )
        if self.window != "all" and not isinstance(self.window, int | np.integer):
            raise InputError(
                f'window is "all" or a number of cells, got {self.window!r}'
            )

    def describe(self) -> str:
        """Return the settings as one line of JSON."""
        learner = {"name": type(self.learner).__name__, **vars(self.learner)}
        return json.dumps({**vars(self), "learner": learner}, default=str)

    def fit(
        self, predictors: Fields, observed: xr.DataArray, *, guards: str = "raise"
    ) -> PatternModel:
        """Learn every target from the coarse fields of the same times.

        Parameters
        ----------
        predictors : DataArray, Dataset or mapping of str to DataArray
            Coarse fields with ``time``, dimensions of space and units; a mapping where
            grids differ. They must follow the real weather day by day: a reanalysis, a
            nudged run, a forecast of the first days.
        observed : xarray.DataArray
            Targets with ``time``, any dimensions of space and units; NaN is missing.
            Coordinates of latitude and longitude are needed for a window.
        guards : {"raise", "warn"}
            What to do if the predictors do not follow the observed weather, series of
            different places are identical, a target lies outside of the fields, or
            amounts differ as units do.

        Returns
        -------
        PatternModel
            Ready to predict. Targets with fewer than 50 days, or with days in fewer
            seasons than folds, are not learnt: their output is NaN, and
            ``training_days`` is zero.

        Raises
        ------
        InputError
            If a guard speaks, no target can be learnt, or times do not match.
        UnitsError
            If units are missing.
        """
        units = observed.attrs.get("units")
        if not units:
            raise UnitsError(
                f"{observed.name or 'the observed'} has no units: set its attribute "
                "'units', such as 'mm day-1'"
            )
        transform = find_transform(self.transform)
        fields = describe_fields(predictors, observed)
        table = feature_table(predictors, fields, transform)
        if table.dims != ("time", "predictor"):
            extra = ", ".join(
                str(d) for d in table.dims if d not in ("time", "predictor")
            )
            raise InputError(
                f"training needs one series per cell, the predictors also have {extra}:"
                f" select one, such as isel({extra}=0); members that run freely cannot "
                "be learnt from; all of them can be predicted from afterwards"
            )
        table, observed = common_times(table, observed)
        dims = [dim for dim in observed.dims if dim != "time"]
        if not dims:
            observed, dims = observed.expand_dims("target"), ["target"]
        observed = observed.transpose("time", *dims)
        y = np.asarray(observed.values, float).reshape(observed.sizes["time"], -1)
        lat, lon = _places(observed)
        number, windows = windows_of(
            fields, predictors, self.window, lat, lon, y.shape[1]
        )
        x = np.asarray(table.values, float)
        # Cells that never have a value, such as the sea of a field of the land.
        known = np.isfinite(x).any(axis=0)
        windows = [columns[known[columns]] for columns in windows]
        labels = season_labels(observed["time"])
        check_training(
            fields, predictors, x, observed, labels, transform, (lat, lon),
            number, windows, guards,
        )  # fmt: skip
        fitted = _fit(self, transform, x, y, labels, number, windows)
        return PatternModel(
            settings=self,
            fields=fields,
            groups=fitted.groups,
            ranks=fitted.ranks,
            spread=fitted.spread,
            training_days=fitted.days.reshape([observed.sizes[d] for d in dims]),
            periods=training_periods(observed["time"]),
            template=observed.isel(time=0, drop=True),
        )


@dataclass(frozen=True)
class Group:
    """Targets that share predictors and training days.

    Parameters
    ----------
    targets, columns : numpy.ndarray of int
        Which, and the columns of the table they are learnt from.
    mean, deviation : numpy.ndarray, shape (p,)
        Of the columns in training.
    target_mean, target_deviation : numpy.ndarray, shape (m,)
        Of the targets in training, on their scale.
    fitted : Fitted
        Of z-scores.
    """

    targets: np.ndarray
    columns: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    target_mean: np.ndarray
    target_deviation: np.ndarray
    fitted: Fitted

    def estimate(self, table: np.ndarray) -> np.ndarray:
        """Return the estimates (n, m) for rows of the table, on the targets' scale."""
        z = (table[:, self.columns] - self.mean) / self.deviation
        result = np.full((len(table), self.targets.size), np.nan)
        whole = np.isfinite(z).all(axis=1)
        if whole.any():
            result[whole] = self.fitted.predict(z[whole])
        return result * self.target_deviation + self.target_mean


@dataclass(frozen=True)
class PatternModel:
    """A fitted pattern: predicts its targets from coarse fields of any time.

    Parameters
    ----------
    settings : PatternDownscaling
        What it was fitted with.
    fields : list of Field
        Its predictors: units and cells.
    groups : list of Group
        What was learnt.
    ranks : RankMap
        The rank step of every target; NaN where it was not learnt.
    spread : SpreadMap
        Distance of observations from estimates, of every target.
    training_days : numpy.ndarray of int
        Days learnt from, of the shape of the targets; zero where it was not learnt.
    periods : str
        When it was trained.
    template : xarray.DataArray
        The targets at one time: dimensions, coordinates, units.
    """

    settings: PatternDownscaling
    fields: list[Field]
    groups: list[Group]
    ranks: RankMap
    spread: SpreadMap
    training_days: np.ndarray
    periods: str
    template: xr.DataArray

    def predict(self, predictors: Fields) -> xr.Dataset:
        """Estimate the targets from coarse fields.

        Parameters
        ----------
        predictors : DataArray, Dataset or mapping of str to DataArray
            The fields that were learnt from, on the same cells, in any units that
            convert; in memory or on Dask. Members and leads stay apart.

        Returns
        -------
        xarray.Dataset
            ``conditional`` (the estimate of smallest error on the scale of learning,
            which varies too little), ``corrected`` (that of its rank in the observed
            distribution) and ``conditional_spread``, with the time of the predictors,
            their members, and the dimensions of the targets, in the units observed;
            and ``training_days``.
            NaN where a predictor is missing that had values in training. Not changed
            in a bit by how the predictors are chunked along time.

        Raises
        ------
        InputError
            If a field is missing or lies on other cells.
        """
        table = feature_table(
            predictors, self.fields, find_transform(self.settings.transform)
        )
        dims = tuple(map(str, self.template.dims))
        found = apply_kernel(
            self._kernel,
            table,
            core_dims=[("predictor",)],
            output_dims=[dims] * len(_OUTPUT),
            output_dtypes=[float] * len(_OUTPUT),
            output_sizes=dict(zip(dims, self.template.shape, strict=True)),
        )
        units = self.template.attrs["units"]
        coords = {
            name: c for name, c in self.template.coords.items() if "time" not in c.dims
        }
        result = xr.Dataset(
            {
                name: values.transpose("time", ...).assign_attrs(
                    units=units, long_name=text, **self._provenance()
                )
                for (name, text), values in zip(_OUTPUT.items(), found, strict=True)
            }
        ).assign_coords(coords)
        result["training_days"] = (
            dims,
            self.training_days,
            {"units": "1", "long_name": "times learnt from"},
        )
        return result.assign_attrs(self._provenance())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to a NetCDF file that `read_patterns` reads.

        Parameters
        ----------
        path : path
            Where; it appears when it is complete.

        Raises
        ------
        InputError
            If the learner is neither ridge nor Nystroem ridge, or the folder does not
            exist.
        """
        from tilth.forcing.patterns.saved import save_patterns

        save_patterns(self, path)

    def _kernel(self, table: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return conditional, corrected and spread for rows of the table."""
        transform = find_transform(self.settings.transform)
        rows = table.reshape(-1, table.shape[-1])
        estimate = np.full((len(rows), self.training_days.size), np.nan)
        for group in self.groups:
            estimate[:, group.targets] = group.estimate(rows)
        parts = (
            transform.inverse(estimate),
            self.ranks.apply(estimate, transform, self.settings.extrapolation),
            self.spread.apply(estimate),
        )
        shape = (*table.shape[:-1], *self.training_days.shape)
        return tuple(part.reshape(shape) for part in parts)

    def _provenance(self) -> dict[str, Any]:
        """Return the attributes that say where numbers come from."""
        return {
            "downscaling_method": METHOD,
            "downscaling_settings": self.settings.describe(),
            "predictors": ", ".join(f.name for f in self.fields),
            ATTRIBUTE: self.periods,
        }


@dataclass(frozen=True)
class _Learnt:
    """What a fit found for all targets."""

    groups: list[Group]
    ranks: RankMap
    spread: SpreadMap
    days: np.ndarray


def _fit(
    settings: PatternDownscaling,
    transform: Transform,
    x: np.ndarray,
    y: np.ndarray,
    labels: np.ndarray,
    number: np.ndarray,
    windows: list[np.ndarray],
) -> _Learnt:
    """Fit all targets, those of equal predictors and days together."""
    targets = y.shape[1]
    groups: list[Group] = []
    days = np.zeros(targets, int)
    tables: dict[str, np.ndarray] = {}
    jobs = list(_alike(np.isfinite(y), number))
    for members in track(jobs, "downscaling: fitting"):
        columns = windows[number[members[0]]]
        if not columns.size:
            continue
        rows = np.isfinite(y[:, members[0]]) & np.isfinite(x[:, columns]).all(axis=1)
        seasons = np.unique(labels[rows])
        if rows.sum() < LEAST_DAYS or seasons.size < settings.folds:
            continue
        fold = season_folds(labels[rows], settings.folds)
        one, oof = _fit_group(
            settings, transform, x[rows], y[rows], fold, members, columns
        )
        groups.append(one)
        days[members] = rows.sum()
        observed = y[np.ix_(rows, members)]
        ranks = fit_ranks(oof, observed)
        spread = fit_spread(oof, observed, transform)
        for name, values in (
            ("source", ranks.source),
            ("target", ranks.target),
            ("centre", spread.source),
            ("spread", spread.spread),
        ):
            if name not in tables:
                tables[name] = np.full((targets, values.shape[1]), np.nan)
            tables[name][members] = values
    if not groups:
        raise InputError(
            f"none of {targets} targets has {LEAST_DAYS} days with all predictors in "
            f"{settings.folds} seasons or years: give a longer training, fewer folds, "
            "or fields without gaps in time"
        )
    return _Learnt(
        groups,
        RankMap(tables["source"], tables["target"]),
        SpreadMap(tables["centre"], tables["spread"]),
        days,
    )


def _fit_group(
    settings: PatternDownscaling,
    transform: Transform,
    x: np.ndarray,
    y: np.ndarray,
    fold: np.ndarray,
    members: np.ndarray,
    columns: np.ndarray,
) -> tuple[Group, np.ndarray]:
    """Fit targets with the same predictors and days; return out-of-fold estimates."""
    features, amounts = x[:, columns], transform.forward(y[:, members])
    mean, deviation = features.mean(axis=0), _positive(features.std(axis=0))
    target_mean, target_deviation = amounts.mean(axis=0), _positive(amounts.std(axis=0))
    z = (features - mean) / deviation
    wanted = (amounts - target_mean) / target_deviation
    fitted, held_out = fit_out_of_fold(settings.learner, z, wanted, fold)
    group = Group(
        members, columns, mean, deviation, target_mean, target_deviation, fitted
    )
    return group, held_out * target_deviation + target_mean


def _positive(deviation: np.ndarray) -> np.ndarray:
    """Return deviations, one in the place of zero: such a column says nothing."""
    return np.where(deviation > 0.0, deviation, 1.0)


def _alike(present: np.ndarray, number: np.ndarray) -> list[np.ndarray]:
    """Return the targets that share window and days, a thousand at a time at most."""
    packed = np.packbits(present, axis=0).T
    found: dict[Hashable, list[int]] = {}
    for target, (window, days) in enumerate(zip(number, packed, strict=True)):
        found.setdefault((int(window), days.tobytes()), []).append(target)
    return [
        np.array(members[start : start + _TOGETHER])
        for members in found.values()
        for start in range(0, len(members), _TOGETHER)
    ]


def _places(observed: xr.DataArray) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Return latitudes and longitudes of the targets, where they are known."""
    try:
        lat, lon = positions(observed).all()
    except InputError:
        return None, None
    size = int(np.prod([observed.sizes[d] for d in observed.dims if d != "time"]))
    return (lat, lon) if lat.size == size else (None, None)
