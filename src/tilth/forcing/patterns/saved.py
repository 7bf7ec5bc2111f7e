"""Fitted patterns in files: trained once, applied later or elsewhere.

What groups of targets have learnt is of different lengths; each array is laid end to
end over all groups, and read again by the sizes that stand beside it.
"""

from __future__ import annotations

import json
import os
from typing import Any

import numpy as np

from tilth.core.errors import InputError
from tilth.core.files import read_netcdf, write_netcdf
from tilth.core.model import stamp
from tilth.forcing.patterns.downscaling import (
    METHOD,
    Group,
    PatternDownscaling,
    PatternModel,
)
from tilth.forcing.patterns.learners import LinearFit, Ridge
from tilth.forcing.patterns.learners_nonlinear import Nystroem, NystroemFit
from tilth.forcing.patterns.predictors import Field
from tilth.forcing.patterns.ranks import RankMap, SpreadMap
from tilth.forcing.split import ATTRIBUTE

__all__ = ["read_patterns", "save_patterns"]

#: Learners whose fits are arrays.
_LEARNERS = {"Ridge": Ridge, "Nystroem": Nystroem}

#: What a file of another layout would have another of.
_LAYOUT = 1

#: Arrays of `Group`, in order; those of the fit come after.
_OF_GROUP = (
    "targets",
    "columns",
    "mean",
    "deviation",
    "target_mean",
    "target_deviation",
)

#: Attributes of the file with the settings and the fields, as JSON.
_SETTINGS, _FIELDS = "downscaling_settings", "pattern_fields"


def save_patterns(model: PatternModel, path: str | os.PathLike[str]) -> None:
    """Write a fitted pattern to a NetCDF file that `read_patterns` reads.

    Parameters
    ----------
    model : PatternModel
        Of `Ridge` or `Nystroem`.
    path : path
        Where; it appears when it is complete.

    Raises
    ------
    InputError
        If the learner's fits are no arrays (support vectors, forests), or the folder
        does not exist.
    """
    name = type(model.settings.learner).__name__
    if name not in _LEARNERS:
        raise InputError(
            f"a fit of {name} is not saved: its form belongs to a version of "
            f"scikit-learn; fit again, or learn with {' or '.join(_LEARNERS)}"
        )
    arrays = [
        {key: getattr(group, key) for key in _OF_GROUP} | _arrays_of(group.fitted)
        for group in model.groups
    ]
    data = model.template.rename("template").to_dataset()
    for key in arrays[0]:
        parts = [np.asarray(one[key]) for one in arrays]
        data[key] = f"{key}_all", np.concatenate([part.ravel() for part in parts])
        data[f"{key}_size"] = "pattern_group", np.array([p.size for p in parts])
    data["training_days"] = model.template.dims, model.training_days
    for key, part in (("rank", model.ranks), ("spread", model.spread)):
        for field, values in vars(part).items():
            data[f"{key}_{field}"] = ("pattern_target", f"{key}_node"), values
    fields = [
        {
            "name": field.name,
            "units": field.units,
            "same_quantity": field.same_quantity,
            "coords": {str(dim): v.tolist() for dim, v in field.coords.items()},
        }
        for field in model.fields
    ]
    data.attrs = {
        "downscaling_method": METHOD,
        _SETTINGS: model.settings.describe(),
        _FIELDS: json.dumps(fields),
        ATTRIBUTE: model.periods,
        "pattern_layout": _LAYOUT,
    }
    write_netcdf(stamp(data, f"fitted {METHOD}"), path)


def read_patterns(path: str | os.PathLike[str]) -> PatternModel:
    """Read what `save_patterns` wrote.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    PatternModel
        Predicts the same, to the last bit, as the one saved.

    Raises
    ------
    InputError
        If there is no such file, or it is something else.
    """
    data = read_netcdf(path, "a fitted pattern")
    if data.attrs.get("pattern_layout") != _LAYOUT:
        raise InputError(
            f"{path} holds no fitted pattern of this version of tilth: give a file "
            "that PatternModel.save wrote"
        )
    settings = json.loads(data.attrs[_SETTINGS])
    learner = settings.pop("learner")
    kind = _LEARNERS[learner.pop("name")]
    fields = [
        Field(
            one["name"],
            one["units"],
            one["same_quantity"],
            {dim: np.asarray(values) for dim, values in one["coords"].items()},
        )
        for one in json.loads(data.attrs[_FIELDS])
    ]
    sizes = {key: data[f"{key}_size"].values for key in _keys(kind)}
    parts = {
        key: np.split(data[key].values, np.cumsum(size)[:-1])
        for key, size in sizes.items()
    }
    groups = []
    for number in range(data.sizes["pattern_group"]):
        own = {key: parts[key][number] for key in parts}
        of_group = {key: own.pop(key) for key in _OF_GROUP}
        groups.append(Group(**of_group, fitted=_fit_of(own, of_group["columns"].size)))
    return PatternModel(
        settings=PatternDownscaling(kind(**learner), **settings),
        fields=fields,
        groups=groups,
        ranks=RankMap(data["rank_source"].values, data["rank_target"].values),
        spread=SpreadMap(data["spread_source"].values, data["spread_spread"].values),
        training_days=data["training_days"].values,
        periods=data.attrs[ATTRIBUTE],
        template=data["template"],
    )


def _arrays_of(fitted: Any) -> dict[str, Any]:
    """Return what a learner became as arrays."""
    line = fitted.line if isinstance(fitted, NystroemFit) else fitted
    found = {"weights": line.weights, "intercept": line.intercept}
    if isinstance(fitted, NystroemFit):
        found |= {"landmarks": fitted.landmarks, "gamma": fitted.gamma}
    return found


def _keys(kind: type) -> list[str]:
    """Return the names of the arrays of a learner's groups."""
    found = [*_OF_GROUP, "weights", "intercept"]
    return [*found, "landmarks", "gamma"] if kind is Nystroem else found


def _fit_of(own: dict[str, np.ndarray], columns: int) -> LinearFit | NystroemFit:
    """Return what a learner became, from its arrays."""
    targets = own["intercept"].size
    weights = np.ascontiguousarray(own["weights"].reshape(-1, targets))
    line = LinearFit(weights, own["intercept"])
    if "gamma" not in own:
        return line
    landmarks = own["landmarks"].reshape(-1, columns)
    return NystroemFit(landmarks, float(own["gamma"][0]), line)
