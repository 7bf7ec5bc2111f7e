"""The routing kernel: one interval of forcing, for components side by side.

The equations are those of CaMa-Flood v4 (Yamazaki et al. 2011, 2013): see
`tilth.rivers.routing.fluxes` and `tilth.rivers.routing.stage`. In every sub-step the
flows are found from the levels now and one sub-step before, limited so that no
catchment gives more than it has, and moved; then runoff comes in, evaporation and
infiltration go out, and the levels follow from the storages.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tilth.core.errors import InputError
from tilth.rivers.routing.arrays import Forcing, Geometry, Ledger, State, Totals
from tilth.rivers.routing.kernel_step import (
    Work,
    flows,
    moves,
    path_flows,
    path_moves,
    settle,
)
from tilth.rivers.routing.settings import Constants, Settings

__all__ = ["advance"]

#: Least depth for the speed of a wave, m (CaMa-Flood v4).
LEAST_DEPTH = 0.01

_compiled = njit(cache=True, nogil=True, error_model="numpy")


def advance(
    geometry: Geometry,
    state: State,
    forcing: Forcing,
    seconds: float,
    settings: Settings,
    totals: Totals,
    ledger: Ledger,
    *,
    components: tuple[int, int] | None = None,
    substeps: np.ndarray | None = None,
) -> None:
    """Advance components of a network through one interval of constant forcing.

    The interval is cut into equal outer steps of at most `Settings.time_step`. At the
    beginning of each, every component finds the number of its sub-steps: the time a
    wave needs to the next catchment, times `Settings.courant`, must not be shorter.
    The lock of the interpreter is released: threads may advance different components
    of the same arrays at the same time.

    Parameters
    ----------
    geometry : Geometry
        Of `tilth.rivers.routing.geometry.geometry_of`. With ``steps_by="globe"`` the
        whole network is its one component.
    state : State
        Changed in place.
    forcing : Forcing
        Of `tilth.rivers.routing.arrays.forcing_of`.
    seconds : float
        Length of the interval, s.
    settings : Settings
        The same that made the geometry.
    totals : Totals
        Means of the interval are written into it, over the components' catchments.
    ledger : Ledger
        Account of the interval, of `empty_ledger` for the same seconds and settings;
        the components' rows are written.
    components : (first, last), optional
        Components to advance, the last not included; by default all.
    substeps : array of int64, shape (outer step), optional
        Number of sub-steps to take in each outer step in place of each component's
        own.

    Raises
    ------
    InputError
        If arrays do not belong together.
    """
    outer = settings.outer_steps(seconds)
    whole = (0, geometry.first.size - 1)
    first, last = whole if components is None else components
    if not whole[0] <= first <= last <= whole[1]:
        raise InputError(
            f"components {first} to {last} are not among the {whole[1]} of the network"
        )
    given = np.zeros(outer, np.int64) if substeps is None else np.asarray(substeps)
    if given.shape != (outer,) or (substeps is not None and (given < 1).any()):
        raise InputError(
            f"substeps must be {outer} numbers above zero, one for each outer step of "
            f"{seconds / outer:g} s, got {substeps}"
        )
    if ledger.substeps.shape != (whole[1], outer):
        raise InputError(
            f"the ledger has room for {ledger.substeps.shape} components and outer "
            f"steps, the interval has {(whole[1], outer)}: see empty_ledger"
        )
    if state.storage.size != geometry.area.size:
        raise InputError(
            f"the state has {state.storage.size} catchments, the network "
            f"{geometry.area.size}"
        )
    _advance(
        geometry,
        state,
        forcing,
        float(seconds),
        settings.constants(),
        given.astype(np.int64),
        totals,
        ledger,
        int(first),
        int(last),
    )


@_compiled
def _advance(
    geometry: Geometry,
    state: State,
    forcing: Forcing,
    seconds: float,
    constants: Constants,
    given: np.ndarray,
    totals: Totals,
    ledger: Ledger,
    first: int,
    last: int,
) -> None:
    """Advance components first ... last - 1; compiled."""
    n = geometry.area.size
    low, high = geometry.first[first], geometry.first[last]
    dammed = n if geometry.reservoirs.row.size else 0
    # Pages of the arrays that other threads' components own are never touched.
    work = Work(
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.empty(n),
        np.zeros(dammed),
    )
    settle(low, high, geometry, state.storage, work)
    for i in range(low, high):
        work.level_before[i] = geometry.bed[i] + state.river_depth[i]
        work.demand[i] = 0.0
        work.net[i] = 0.0
        totals.river[i] = 0.0
        totals.floodplain[i] = 0.0
        totals.path[i] = 0.0
        totals.evaporation[i] = 0.0
        totals.infiltration[i] = 0.0
    account = np.zeros(5)
    for c in range(first, last):
        _advance_component(
            c, geometry, state, forcing, seconds, constants, given, totals, ledger,
            work, account,
        )  # fmt: skip
    for i in range(low, high):
        totals.river[i] /= seconds
        totals.floodplain[i] /= seconds
        totals.path[i] /= seconds
        totals.evaporation[i] /= seconds
        totals.infiltration[i] /= seconds


@_compiled
def _advance_component(
    c, geometry, state, forcing, seconds, constants, given, totals, ledger, work,
    account,
):  # fmt: skip
    """Advance one component through the interval, and keep its account; compiled."""
    low, high = geometry.first[c], geometry.first[c + 1]
    path, path_end = geometry.paths.first[c], geometry.paths.first[c + 1]
    pieces = forcing.sea_level.shape[0]
    outer = given.size
    long = seconds / outer
    runoff = 0.0
    for i in range(low, high):
        runoff += forcing.runoff[i] + forcing.base_runoff[i]
    before = _held(low, high, state)
    ledger.before[c] = before
    ledger.residual[c] = 0.0
    account_sum = np.zeros(5)
    for o in range(outer):
        account[:] = 0.0
        nt = given[o]
        if nt == 0:
            nt = _substeps(low, high, long, geometry, constants, work)
        ledger.substeps[c, o] = nt
        dt = long / nt
        for s in range(nt):
            now = o * long + s * dt
            piece = min(int(now / seconds * pieces + 1e-9), pieces - 1)
            flows(low, high, dt, geometry, state, forcing, piece, constants, work)
            if path_end > path:
                path_flows(path, path_end, dt, geometry, state, constants, work)
                path_moves(path, path_end, dt, geometry, state, totals, work)
            moves(low, high, dt, geometry, state, forcing, totals, work, account)
        after = _held(low, high, state)
        came = runoff * long + account[3]
        change = came - account[0] - account[1] - account[2]
        whole = max(before, after) + abs(runoff * long) + abs(account[0])
        if whole > 0.0:
            share = abs(after - before - change) / whole
            ledger.residual[c] = max(ledger.residual[c], share)
        before = after
        account_sum += account
    ledger.after[c] = before
    ledger.runoff[c] = runoff * seconds + account_sum[3]
    ledger.outflow[c] = account_sum[0]
    ledger.evaporation[c] = account_sum[1]
    ledger.infiltration[c] = account_sum[2]
    ledger.shortfall[c] = account_sum[3]
    ledger.clipped[c] = account_sum[4]


@_compiled
def _held(low, high, state):
    """Return the water in a component, m3; compiled."""
    total = 0.0
    for i in range(low, high):
        total += state.storage[i] + state.groundwater[i]
    return total


@_compiled
def _substeps(low, high, long, geometry, constants, work):
    """Return how many sub-steps an outer step needs; compiled.

    None may be longer than `courant` times distance over the speed of a wave,
    sqrt(g d), at any catchment: n = int(long / shortest - 0.01) + 1.
    """
    swiftest = 0.0
    for i in range(low, high):
        depth = max(work.level[i] - geometry.bed[i], LEAST_DEPTH)
        distance = geometry.distance[i]
        swiftest = max(swiftest, depth / (distance * distance))
    shortest = constants.courant / math.sqrt(constants.gravity * swiftest)
    return int(long / min(shortest, long) - 0.01) + 1
