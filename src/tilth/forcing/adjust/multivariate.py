"""MBCn: several variables adjusted together, so that they keep company as observed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.parallel import apply_kernel
from tilth.forcing.adjust.adjuster import Adjuster, Kind
from tilth.forcing.adjust.delta import QDM
from tilth.forcing.adjust.groups import Grouping, TimeGroups, as_grouping, group_times
from tilth.forcing.adjust.rotations import in_rank_order, rotated_mapping
from tilth.forcing.variables import convert_forcing

#: Fewer days with all variables than this say nothing of how they go together.
_FEWEST = 10


@dataclass(frozen=True)
class MBCn:
    """Multivariate adjustment by rotations.

    Each variable is first adjusted by itself with `QDM`. Then the samples of all are
    rotated at random again and again and mapped along each rotated axis, which brings
    their whole joint distribution to that observed, changed as simulated; of this only
    the order in time is kept, and each variable's QDM values are put in that order. So
    every variable has exactly the values QDM gives it (per group of days), and their
    dependence on each other that of the observations. The price is the model's own
    sequence of days, which is disturbed; see Cannon (2018), section 5.

    Parameters
    ----------
    kinds : mapping of str to {"+", "*"}
        Variables to adjust, and whether changes are differences or ratios.
    quantiles : int
        Nodes of the QDM.
    group : {"none", "month"} or DayWindow
        Days that share a distribution. With months the QDM changes smoothly between
        them, the rearrangement is within each.
    iterations : int
        Number of rotations; 20 to 30 are enough for a handful of variables.
    ratio_cap : float
        Largest ratio of the QDM.
    dry_below : mapping of str to float, optional
        As in `QDM`, of variables that have dry days.
    seed : int
        Of the rotations, the same at every place, and of dry days.

    Raises
    ------
    InputError
        If there are fewer than two variables, no rotation, or a window: the windows of
        neighbouring days overlap, and a value cannot be put in the order of several.

    References
    ----------
    Cannon (2018), Climate Dynamics 50, 31-49.
    """

    kinds: Mapping[str, Kind]
    quantiles: int = 50
    group: Grouping = "month"
    iterations: int = 20
    ratio_cap: float = 10.0
    dry_below: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", as_grouping(self.group))
        if len(self.kinds) < 2:
            raise InputError(
                f"MBCn adjusts two or more variables together, got {len(self.kinds)}: "
                "take QDM for one"
            )
        if self.iterations < 1:
            raise InputError(f"iterations must be 1 or more, got {self.iterations}")
        if not isinstance(self.group, str):
            raise InputError(
                "MBCn rearranges days within groups that do not overlap: group is "
                "'none' or 'month'"
            )
        unknown = set(self.dry_below) - set(self.kinds)
        if unknown:
            raise InputError(f"dry_below names {', '.join(unknown)}, kinds does not")

    def univariate(self, variable: str) -> QDM:
        """Return the method a variable is adjusted with by itself.

        Parameters
        ----------
        variable : str
            A name of `kinds`.

        Returns
        -------
        QDM
            With the same groups and nodes.
        """
        return QDM(
            kind=self.kinds[variable],
            quantiles=self.quantiles,
            group=self.group,
            ratio_cap=self.ratio_cap,
            dry_below=self.dry_below.get(variable),
            seed=self.seed,
        )

    def fit(self, observed: xr.Dataset, modelled: xr.Dataset) -> MultivariateAdjuster:
        """Learn from a period for which there are observations and model values.

        Parameters
        ----------
        observed, modelled : xarray.Dataset
            With the variables of `kinds`, each with ``time`` and ``units``; the model
            in any units that convert.

        Returns
        -------
        MultivariateAdjuster
            Ready to apply.

        Raises
        ------
        InputError
            If a variable is absent.
        """
        for data, what in ((observed, "observed"), (modelled, "modelled")):
            _require(data, self.kinds, what)
        adjusters = {
            name: self.univariate(name).fit(observed[name], modelled[name])
            for name in self.kinds
        }
        return MultivariateAdjuster(
            self, adjusters, observed[list(self.kinds)], modelled[list(self.kinds)]
        )

    def settings(self) -> dict[str, Any]:
        """Return the settings as plain values that JSON can hold."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            name: dict(value) if isinstance(value, Mapping) else value
            for name, value in values.items()
        }


@dataclass(frozen=True)
class MultivariateAdjuster:
    """A fitted `MBCn`.

    Parameters
    ----------
    method : MBCn
        The settings.
    adjusters : dict of str to Adjuster
        The fitted QDM of each variable.
    observed, modelled : xarray.Dataset
        What it was fitted to: its joint distribution has no smaller table.
    """

    method: MBCn
    adjusters: Mapping[str, Adjuster]
    observed: xr.Dataset
    modelled: xr.Dataset

    def apply(self, target: xr.Dataset) -> xr.Dataset:
        """Adjust a period of the model.

        Parameters
        ----------
        target : xarray.Dataset
            With the variables of the fit. Days on which one of them is missing keep
            their univariate values.

        Returns
        -------
        xarray.Dataset
            The variables of the fit, with coordinates of the target, in the units of
            the observations.

        Raises
        ------
        InputError
            If a variable is absent.
        """
        names = list(self.method.kinds)
        _require(target, names, "target")
        # Rotations mix variables: a target in other units would outweigh the others.
        target = target.assign(
            {
                name: convert_forcing(target[name], self.modelled[name].attrs["units"])
                for name in names
            }
        )
        alone = {name: self.adjusters[name].apply(target[name]) for name in names}
        columns = [
            _stack(self.observed, names, "time_observed"),
            _stack(self.modelled, names, "time_modelled"),
            _stack(target, names, "time"),
            _stack(xr.Dataset(alone), names, "time"),
        ]
        sources = (self.observed, self.modelled, target)
        groups = tuple(group_times(x["time"], self.method.group) for x in sources)
        found = apply_kernel(
            _rearrange_kernel,
            *columns,
            core_dims=[
                ("time_observed", "variable"),
                ("time_modelled", "variable"),
                ("time", "variable"),
                ("time", "variable"),
            ],
            output_dims=[("time", "variable")],
            options={
                "groups": groups,
                "iterations": self.method.iterations,
                "seed": self.method.seed,
            },
        )
        result = xr.Dataset(attrs=dict(target.attrs))
        note = {
            "adjustment_method": "MBCn",
            "adjustment_settings": json.dumps(self.method.settings()),
        }
        for k, name in enumerate(names):
            own = found.isel(variable=k).transpose(*alone[name].dims)
            own = own.astype(alone[name].dtype).assign_coords(alone[name].coords)
            result[name] = own.assign_attrs({**alone[name].attrs, **note})
        return result


def _require(data: xr.Dataset, names: Mapping[str, Any] | list[str], what: str) -> None:
    """Raise unless the variables are there."""
    absent = [name for name in names if name not in data]
    if absent:
        raise InputError(
            f"{what} lacks {', '.join(absent)}; it has "
            f"{', '.join(map(str, data.data_vars))}"
        )


def _stack(data: xr.Dataset, names: list[str], time: str) -> xr.DataArray:
    """Return variables side by side, without times."""
    arrays = [data[name].reset_coords(drop=True).drop_attrs() for name in names]
    side = xr.concat(
        arrays, "variable", coords="minimal", compat="override", join="exact"
    )
    side = side.drop_vars("time")
    return side if time == "time" else side.rename(time=time)


def _rearrange_kernel(
    observed: np.ndarray,
    modelled: np.ndarray,
    target: np.ndarray,
    alone: np.ndarray,
    groups: tuple[TimeGroups, ...],
    iterations: int,
    seed: int,
) -> np.ndarray:
    """Put univariate values in the order of the multivariate ones, group by group."""
    result = np.array(alone, float)
    for place in np.ndindex(alone.shape[:-2]):
        series = (observed[place], modelled[place], target[place])
        for group in range(len(groups[2].labels)):
            samples, steps = [], np.zeros(0, int)
            for x, of in zip(series, groups, strict=True):
                steps = of.order[slice(*of.window[group])]
                steps = steps[np.isfinite(x[steps]).all(axis=-1)]
                samples.append(x[steps])
            # The last steps are those of the target.
            steps = steps[np.isfinite(result[place][steps]).all(axis=-1)]
            samples[2] = series[2][steps]
            if min(len(sample) for sample in samples) < _FEWEST:
                continue
            pattern = rotated_mapping(
                samples[0], samples[1], samples[2], iterations, seed
            )
            for k in range(pattern.shape[1]):
                values = result[place][steps, k]
                result[place][steps, k] = in_rank_order(values, pattern[:, k])
    return result
