"""What Muskingum routing needs, checked: k, x, the sub-step, the inflow, the start."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.errors import InputError
from tilth.core.units import convert
from tilth.rivers.network.model import RiverNetwork

#: The x above which a flood wave would grow on its way.
LARGEST_WEIGHT = 0.5


def parameter(
    network: RiverNetwork, given: npt.ArrayLike | None, name: str
) -> np.ndarray:
    """Return k or x of every reach, from the argument or the network."""
    if given is None:
        network.require(name)
        return network.data[name].values
    if np.ndim(given) > 1 or np.size(given) not in (1, network.size):
        raise InputError(
            f"{name} of the shape {np.shape(given)} does not belong to "
            f"{network.size} reaches"
        )
    return np.broadcast_to(np.asarray(given, float), network.size)


def check_parameters(network: RiverNetwork, k: np.ndarray, x: np.ndarray) -> None:
    """Raise unless 0 < k and 0 <= x <= 0.5 in every reach."""
    rules = (
        ("muskingum_time", k, (k > 0) & np.isfinite(k), "above 0 s"),
        ("muskingum_weight", x, (x >= 0) & (x <= LARGEST_WEIGHT), "from 0 to 0.5"),
    )
    for name, values, right, rule in rules:
        if not right.all():
            raise InputError(
                f"{name} must be {rule}; it is {values[~right][0]:g} in reach "
                f"{_named(network, ~right)}"
            )


def check_time_step(
    network: RiverNetwork, k: np.ndarray, x: np.ndarray, time_step: float, how: str
) -> None:
    """Raise if the sub-step makes coefficients negative and that is not accepted."""
    if not (np.isfinite(time_step) and time_step > 0):
        raise InputError(f"time_step must be above 0 s, got {time_step}")
    if how not in ("refuse", "accept"):
        raise InputError(f"negative_coefficients is refuse or accept, got {how!r}")
    if how == "accept":
        return
    least, most = 2.0 * k * x, 2.0 * k * (1.0 - x)
    faults = []
    if (time_step > most).any():
        faults.append(
            f"at most 2k(1-x) = {most.min():g} s, or outflow swings from step to step, "
            f"in reach {_named(network, time_step > most)}"
        )
    if (time_step < least).any():
        faults.append(
            f"at least 2kx = {least.max():g} s, or outflow first falls when inflow "
            f"rises, in reach {_named(network, time_step < least)}"
        )
    if faults:
        remedy = (
            f"take a time_step from {least.max():g} to {most.min():g} s"
            if least.max() <= most.min()
            else "no one time_step suits all reaches: join short reaches, split long "
            "ones, or lower x"
        )
        raise InputError(
            f"time_step is {time_step:g} s, but must be {'; and '.join(faults)}. "
            f"{remedy[0].upper()}{remedy[1:]}, or give "
            "negative_coefficients='accept', as RAPID does"
        )


def lateral_inflow(network: RiverNetwork, inflow: xr.DataArray) -> xr.DataArray:
    """Return the inflow in m3 s-1 as (time, catchment), reaches as in the network."""
    if not isinstance(inflow, xr.DataArray) or set(inflow.dims) != {
        "time",
        "catchment",
    }:
        found = getattr(inflow, "dims", type(inflow).__name__)
        raise InputError(
            f"the inflow is a DataArray over time and catchment, got {found}"
        )
    ordered = convert(inflow, "m3 s-1").transpose("time", "catchment")
    return _placed(network, ordered, "the inflow")


def _placed(network: RiverNetwork, data: xr.DataArray, what: str) -> xr.DataArray:
    """Return data with its reaches in the order of the network, or raise."""
    index = data.indexes.get("catchment")
    if index is None or data.sizes["catchment"] != network.size:
        raise InputError(
            f"{what} needs the coordinate catchment, with the identifiers of the "
            f"network's {network.size} reaches; it has {data.sizes['catchment']}"
        )
    place = index.get_indexer(network.data.indexes["catchment"])
    if (place < 0).any():
        raise InputError(
            f"{what} lacks reach {_named(network, place < 0)} of the network"
        )
    same = np.array_equal(place, np.arange(network.size))
    return data if same else data.isel(catchment=place)


def initial_flow(
    network: RiverNetwork, state: xr.DataArray | xr.Dataset | None
) -> np.ndarray:
    """Return the flow out of every reach at the start, m3 s-1."""
    if state is None:
        return np.zeros(network.size)
    if isinstance(state, xr.Dataset):
        if "state_discharge" not in state:
            raise InputError(
                "an earlier output has the variable state_discharge; found "
                f"{', '.join(map(str, state.data_vars))}"
            )
        state = state["state_discharge"]
    if state.dims != ("catchment",):
        raise InputError(
            f"the state has the dimensions {', '.join(map(str, state.dims))}; it "
            "needs catchment alone: take one time of it"
        )
    flow = _placed(network, convert(state, "m3 s-1"), "the state").values.astype(float)
    if not np.isfinite(flow).all():
        raise InputError(
            f"the state is not a number in reach {_named(network, ~np.isfinite(flow))}"
        )
    return flow


def interval_of(inflow: xr.DataArray) -> float:
    """Return the length of the inflow's intervals, s, or raise if they differ."""
    time = inflow.indexes.get("time")
    if time is None or len(time) < 2:
        raise InputError(
            "the inflow needs the coordinate time with two times or more: the length "
            "of its intervals is taken from them"
        )
    try:
        seconds = np.asarray((time[1:] - time[:-1]).total_seconds())
    except (AttributeError, TypeError) as error:
        raise InputError(
            f"the times of the inflow must be dates, they are {time.dtype}: decode "
            "them, as in xarray.decode_cf"
        ) from error
    if seconds[0] <= 0 or (seconds != seconds[0]).any():
        other = int(np.flatnonzero((seconds != seconds[0]) | (seconds <= 0))[0])
        raise InputError(
            f"the inflow's intervals must be equally long and in order: {seconds[0]:g} "
            f"s at first, {seconds[other]:g} s after {time[other]}; fill missing times"
        )
    return float(seconds[0])


def multiple(long: float, short: float, name: str, of: str) -> int:
    """Return how many times a length of time goes into another, or raise."""
    count = round(long / short)
    if count < 1 or abs(count * short - long) > 1e-6 * short:
        raise InputError(
            f"{name} ({long:g} s) must be a multiple of {of} ({short:g} s)"
        )
    return count


def check_numbers(values: np.ndarray, inflow: xr.DataArray) -> None:
    """Raise if an inflow is not a number, saying where."""
    if np.isfinite(values).all():
        return
    t, i = (int(at) for at in np.argwhere(~np.isfinite(values))[0])
    raise InputError(
        f"the inflow is {values[t, i]} in reach {inflow['catchment'].values[i]} at "
        f"{inflow['time'].values[t]}: fill gaps before routing, a missing inflow is "
        "not none"
    )


def _named(network: RiverNetwork, chosen: np.ndarray) -> str:
    """Return a few of the chosen reaches as text."""
    ids = network.ids[chosen]
    shown = ", ".join(str(i) for i in ids[:5])
    return shown if ids.size <= 5 else f"{shown}, ... ({ids.size} reaches)"
