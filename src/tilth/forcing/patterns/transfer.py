"""Transfer: fields of a climate model made into predictors of a trained pattern.

A pattern learnt from a reanalysis knows the reanalysis' rain, not the model's. Each
field of the model is brought to the grid of the training and mapped, cell by cell, onto
the distribution that the training source has there; then the pattern applies. Days of
the model stay the model's own: only distributions and changes of what comes out have a
meaning, and a change is the difference between two periods, both transferred::

    bridge = Transfer.fit(historical, reanalysis)
    past, future = (model.predict(bridge.apply(gcm)) for gcm in (historical, scenario))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import xarray as xr

from tilth.core.errors import InputError
from tilth.core.regrid import bilinear
from tilth.forcing.adjust.adjuster import Adjuster, Method
from tilth.forcing.adjust.mapping import EQM
from tilth.forcing.patterns.predictors import Fields, as_fields
from tilth.forcing.variables import identify

__all__ = ["Transfer"]

#: As many quantiles as the mapping of predictors takes, by default.
_QUANTILES = 50


@dataclass(frozen=True)
class Transfer:
    """Fitted maps of every field onto the grid and the distribution of the training.

    Parameters
    ----------
    adjusters : dict of str to Adjuster
        Of every field.
    grids : dict of str to xarray.DataArray
        Training source of every field at one time: its grid.
    """

    adjusters: dict[str, Adjuster]
    grids: dict[str, xr.DataArray]

    @classmethod
    def fit(
        cls,
        historical: Fields,
        source: Fields,
        methods: Mapping[str, Method] | None = None,
    ) -> Transfer:
        """Learn the maps from a period of both; their days need not be the same.

        Parameters
        ----------
        historical : DataArray, Dataset or mapping of str to DataArray
            The climate model, with the names of the fields of `source`, over the same
            years and the same part of the year; in any units that convert.
        source : DataArray, Dataset or mapping of str to DataArray
            What the pattern was learnt from.
        methods : mapping of str to tilth.forcing.adjust method, optional
            Of fields that shall be mapped differently. By default quantile mapping
            with 50 nodes; by ratio for variables of `tilth.forcing.variables` whose
            biases multiply, such as precipitation.

        Returns
        -------
        Transfer
            Ready to `apply`.

        Raises
        ------
        InputError
            If a field is missing, or a field of the model does not reach over the grid
            of the source.

        Notes
        -----
        Quantile mapping does not keep the model's changes (it inflates or damps them
        by the ratio of the two spreads). Give ``methods={"pr": QDM(kind="*")}`` where
        they matter more than the range the pattern was learnt in.
        """
        ours, theirs = as_fields(historical), as_fields(source)
        missing = [name for name in theirs if name not in ours]
        if missing:
            raise InputError(
                f"the model lacks the fields {', '.join(missing)} that were learnt "
                f"from; it has {', '.join(ours)}: rename what is there"
            )
        adjusters, grids = {}, {}
        for name, target in theirs.items():
            moved = _on_grid(ours[name], target)
            method = (methods or {}).get(name) or _default(target, name)
            adjusters[name] = method.fit(target, moved)
            grids[name] = target.isel(time=0, drop=True)
        return cls(adjusters, grids)

    def apply(self, model: Fields) -> dict[str, xr.DataArray]:
        """Return the fields of the model as predictors.

        Parameters
        ----------
        model : DataArray, Dataset or mapping of str to DataArray
            Any period of the model that was fitted; members stay apart, each mapped by
            the same maps if `fit` saw none.

        Returns
        -------
        dict of str to xarray.DataArray
            On the grid and in the units of the training source.

        Raises
        ------
        InputError
            If a field is missing.
        """
        given = as_fields(model)
        missing = [name for name in self.adjusters if name not in given]
        if missing:
            raise InputError(
                f"the model lacks the fields {', '.join(missing)}; it has "
                f"{', '.join(given)}"
            )
        return {
            name: adjuster.apply(_on_grid(given[name], self.grids[name]))
            for name, adjuster in self.adjusters.items()
        }


def _on_grid(field: xr.DataArray, grid: xr.DataArray) -> xr.DataArray:
    """Return the field between its own cells at the cells of the grid."""
    regridder = bilinear(field, grid)
    outside = int((~(regridder.covered_share > 0.5)).sum())
    if outside:
        raise InputError(
            f"{field.name or 'the field'} does not reach {outside} cells of the grid "
            "that was learnt from: take a larger cut of the model, or train on a "
            "smaller one"
        )
    moved = regridder.apply(field)
    same = {d: grid[d] for d in grid.dims if d in moved.dims and d in grid.coords}
    return moved.assign_coords(same)


def _default(source: xr.DataArray, name: str) -> Method:
    """Return quantile mapping, by ratio where the variable is known to need it."""
    try:
        kind = identify(source.rename(name)).kind
    except InputError:
        kind = "+"
    return EQM(kind=kind, quantiles=_QUANTILES)
