"""What a routing run gives: variables with CF attributes, and the ledger of its water.

Flows are means over an interval, stores and levels are at its end, so that the books
can be closed with the output alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.model import OutputVariable
from tilth.rivers.routing.arrays import Geometry, Ledger, State, Totals
from tilth.rivers.routing.stage import stages

_FLOW = "m3 s-1"

#: Name -> what it is, along time and catchment.
VARIABLES: dict[str, OutputVariable] = {
    "discharge": OutputVariable(
        _FLOW,
        "flow to the next catchment, in the channel and over the floodplain",
        "water_volume_transport_in_river_channel",
    ),
    "river_discharge": OutputVariable(_FLOW, "flow in the channel"),
    "floodplain_discharge": OutputVariable(_FLOW, "flow over the floodplain"),
    "path_discharge": OutputVariable(
        _FLOW, "flow out through bifurcations, less that in"
    ),
    "evaporation": OutputVariable(_FLOW, "evaporation from the flooded area"),
    "infiltration": OutputVariable(_FLOW, "infiltration from the flooded area"),
    "storage": OutputVariable("m3", "water in channel and floodplain", "", "point"),
    "river_depth": OutputVariable("m", "depth of the channel's water", "", "point"),
    "flood_depth": OutputVariable(
        "m", "depth of the flood above the bank, on the river side of levees", "",
        "point",
    ),
    "water_level": OutputVariable(
        "m", "elevation of the channel's surface",
        "water_surface_height_above_reference_datum", "point",
    ),
    "flood_fraction": OutputVariable(
        "1", "share of the catchment that is flooded", "", "point"
    ),
    "flooded_area": OutputVariable("m2", "area that is flooded", "", "point"),
}  # fmt: skip

_MEANS = tuple(name for name, row in VARIABLES.items() if row.method == "mean")

_VOLUME = "m3"

#: Name -> what it is, along time: the water of the whole network.
LEDGER: dict[str, OutputVariable] = {
    "runoff_volume": OutputVariable(_VOLUME, "runoff that came", "", "sum"),
    "outflow_volume": OutputVariable(
        _VOLUME, "water that left at terminals, less what the sea pushed in", "", "sum"
    ),
    "evaporation_volume": OutputVariable(_VOLUME, "water that evaporated", "", "sum"),
    "infiltration_volume": OutputVariable(_VOLUME, "water that seeped away", "", "sum"),
    "storage_change": OutputVariable(
        _VOLUME, "water stored at the end less that at the beginning", "", "sum"
    ),
    "shortfall_volume": OutputVariable(
        _VOLUME, "negative runoff that found no water to take, not in runoff_volume",
        "", "sum",
    ),
    "clipped_volume": OutputVariable(
        _VOLUME, "water made by setting storages below zero to zero", "", "sum"
    ),
    "storage_volume": OutputVariable(
        _VOLUME, "water stored, groundwater too", "", "point"
    ),
    "water_residual": OutputVariable(
        "1", "largest imbalance of a step and basin against its water", "", "maximum"
    ),
    "substeps": OutputVariable(
        "1", "sub-steps taken, mean over the catchments", "", "sum"
    ),
}  # fmt: skip

#: Volumes of the ledger that are sums over steps.
_ADDED = tuple(
    name
    for name, row in LEDGER.items()
    if name.endswith("_volume") and row.method == "sum"
)

#: Rows of the ledger that are not sums over blocks.
_LARGEST = list(LEDGER).index("water_residual")
_SUBSTEPS = list(LEDGER).index("substeps")


class Account:
    """Means and ledger of one output interval, gathered from its steps.

    Parameters
    ----------
    geometry : Geometry
        Of the network.
    """

    def __init__(self, geometry: Geometry) -> None:
        self._sizes = np.diff(geometry.first)
        self._seconds = 0.0
        self._sums: Totals | None = None
        self._before = self._after = np.empty(0)
        # A ledger is long where basins are many: of each step only sums are kept.
        self._pairs: dict[str, list[float]] = {name: [] for name in _ADDED}
        self._residual = 0.0
        self._substeps = 0

    def add(self, totals: Totals, ledger: Ledger, seconds: float) -> None:
        """Add a step.

        Parameters
        ----------
        totals : Totals
            Means of the step; they may be overwritten afterwards.
        ledger : Ledger
            Of the step, not to be changed afterwards.
        seconds : float
            Its length.
        """
        if self._sums is None:
            self._sums = Totals(*(values * seconds for values in totals))
            self._before = ledger.before
        else:
            for total, values in zip(self._sums, totals, strict=True):
                total += values * seconds
        self._after = ledger.after
        self._seconds += seconds
        for name, terms in self._pairs.items():
            terms += _pair(getattr(ledger, name.removesuffix("_volume")).tolist())
        self._residual = max(self._residual, float(ledger.residual.max()))
        self._substeps += int(ledger.substeps.sum(axis=1) @ self._sizes)

    def means(self) -> Totals:
        """Return the means over the interval.

        Returns
        -------
        Totals
            m3 s-1, ``(catchment,)`` in the order of the geometry.

        Raises
        ------
        InputError
            If no step was added.
        """
        if self._sums is None:
            raise InputError("an interval without steps has no means")
        return Totals(*(values / self._seconds for values in self._sums))

    def ledger(self) -> np.ndarray:
        """Return the network's ledger in exact pairs, see `combined_ledger`.

        Returns
        -------
        numpy.ndarray
            ``(len(LEDGER), 2)``: the sums over components as a number and the small
            rest that it lacks; of the sub-steps, those of all catchments.
        """
        after = self._after.tolist()
        pairs = {name: _pair(terms) for name, terms in self._pairs.items()} | {
            "storage_change": _pair([*after, *(-self._before).tolist()]),
            "storage_volume": _pair(after),
            "water_residual": (self._residual, 0.0),
            "substeps": (float(self._substeps), 0.0),
        }
        return np.array([pairs[name] for name in LEDGER])


def _pair(terms: Sequence[float]) -> tuple[float, float]:
    """Return the sum of numbers as the nearest number and what it lacks."""
    total = math.fsum(terms)
    return total, math.fsum([*terms, -total])


def combined_ledger(blocks: Sequence[np.ndarray], catchments: int) -> np.ndarray:
    """Return the ledger of a network from those of its blocks.

    The sums of blocks are kept in two numbers each, so that the result does not
    depend on how the network was cut.

    Parameters
    ----------
    blocks : sequence of numpy.ndarray
        ``(..., len(LEDGER), 2)``, of `Account.ledger`.
    catchments : int
        Of the whole network.

    Returns
    -------
    numpy.ndarray
        ``(..., len(LEDGER))``.
    """
    stacked = np.stack(blocks)
    result = np.empty(stacked.shape[1:-1])
    for place in np.ndindex(result.shape):
        result[place] = math.fsum(stacked[(slice(None), *place)].ravel().tolist())
    result[..., _LARGEST] = stacked[..., _LARGEST, 0].max(axis=0)
    result[..., _SUBSTEPS] /= catchments
    return result


def interval_values(
    means: Totals, state: State, geometry: Geometry, names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Return output variables of an interval that has just ended.

    Parameters
    ----------
    means : Totals
        Over the interval.
    state : State
        At its end.
    geometry : Geometry
        Of the network.
    names : sequence of str
        Of `VARIABLES`.

    Returns
    -------
    dict of str to numpy.ndarray
        ``(catchment,)`` in the order of the geometry.
    """
    values = {
        "discharge": means.river + means.floodplain,
        "river_discharge": means.river,
        "floodplain_discharge": means.floodplain,
        "path_discharge": means.path,
        "evaporation": means.evaporation,
        "infiltration": means.infiltration,
        "storage": state.storage.copy(),
    }
    if any(name not in values for name in names):
        stand = stages(geometry, state.storage)
        values |= {
            "river_depth": stand.river_depth,
            "flood_depth": stand.flood_depth,
            "water_level": stand.water_level,
            "flood_fraction": stand.flood_fraction,
            "flooded_area": stand.flood_fraction * geometry.area,
        }
    return {name: values[name] for name in names}


def check_names(variables: Sequence[str] | None) -> tuple[str, ...]:
    """Return names of output variables, all by default.

    Parameters
    ----------
    variables : sequence of str or None
        Of `VARIABLES`.

    Returns
    -------
    tuple of str
        In the order they were given.

    Raises
    ------
    InputError
        If there is no such variable.
    """
    names = tuple(VARIABLES) if variables is None else tuple(variables)
    unknown = [name for name in names if name not in VARIABLES]
    if unknown:
        raise InputError(
            f"no output variable {', '.join(unknown)}; there are {', '.join(VARIABLES)}"
        )
    return names


def ledger_variables(ledger: object) -> dict[str, xr.DataArray]:
    """Return a ledger as variables along time.

    Parameters
    ----------
    ledger : array
        ``(time, len(LEDGER))``, in memory or on Dask.

    Returns
    -------
    dict of str to xarray.DataArray
        By the names of `LEDGER`.
    """
    rows = xr.DataArray(ledger, dims=("time", "row"))
    return {
        name: rows.isel(row=row).assign_attrs(what.attributes)
        for row, (name, what) in enumerate(LEDGER.items())
    }


class Interval(NamedTuple):
    """What happened in an interval, by the names of `VARIABLES` and `LEDGER`.

    Parameters
    ----------
    means : dict of str to numpy.ndarray
        Flows, m3 s-1, ``(catchment,)`` in the network's order.
    ends : dict of str to numpy.ndarray
        Stores and levels at its end, ``(catchment,)``.
    ledger : dict of str to float
        Volumes in m3, the residual, the sub-steps.
    """

    means: dict[str, np.ndarray]
    ends: dict[str, np.ndarray]
    ledger: dict[str, float]


def as_interval(values: dict[str, np.ndarray], ledger: np.ndarray) -> Interval:
    """Return the values and the ledger of an interval as one.

    Parameters
    ----------
    values : dict of str to numpy.ndarray
        Of all variables.
    ledger : numpy.ndarray
        ``(len(LEDGER),)``, of `combined_ledger`.

    Returns
    -------
    Interval
        Means, ends and ledger told apart.
    """
    return Interval(
        {name: array for name, array in values.items() if name in _MEANS},
        {name: array for name, array in values.items() if name not in _MEANS},
        dict(zip(LEDGER, ledger.tolist(), strict=True)),
    )
