"""The routing kernel: one interval of forcing, for components side by side.

The equations are those of CaMa-Flood v4 (Yamazaki et al. 2011, 2013): see
`tilth.rivers.routing.fluxes` and `tilth.rivers.routing.stage`. In every sub-step the
flows are found from the levels now and one sub-step before, limited so that no
catchment gives more than it has, and moved; then runoff comes in, evaporation and
infiltration go out, and the levels follow from the storages.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit

from tilth.core.errors import InputError
from tilth.rivers.routing.arrays import Forcing, Geometry, Ledger, State, Totals
from tilth.rivers.routing.kernel_edition import edition_of
from tilth.rivers.routing.kernel_step import Work, advance_components
from tilth.rivers.routing.settings import Settings

__all__ = ["advance"]


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
    for name, values in state._asdict().items():
        if values.dtype != np.float64 or not values.flags.carray:
            raise InputError(
                f"{name} of the state must be float64 in C order, and such that it may "
                "be written to: see tilth.rivers.routing.arrays.plain"
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


def _compiled_advance(edition: int) -> Callable[..., int]:
    """Return the function that advances, compiled for these sources.

    It makes the memory ready, advances components, and turns totals into means.
    """

    @njit(cache=True, nogil=True, error_model="numpy")
    def run(
        geometry, state, forcing, seconds, constants, given, totals, ledger, first, last
    ):
        n = geometry.area.size
        low, high = geometry.first[first], geometry.first[last]
        # Memory that is not touched costs nothing: only these components' is cleared.
        work = Work(
            np.empty(n),
            np.empty(n),
            np.empty(n),
            np.empty(n),
            np.empty(n),
            np.empty(n),
            np.empty(n),
            np.empty(n),
            np.zeros(n if geometry.reservoirs.row.size else 0),
        )
        for i in range(low, high):
            work.level_before[i] = geometry.bed[i] + state.river_depth[i]
            work.demand[i] = 0.0
            work.net[i] = 0.0
        for total in totals:
            total[low:high] = 0.0
        advance_components(
            first, last, geometry, state, forcing, seconds, constants, given, totals,
            ledger, work,
        )  # fmt: skip
        for total in totals:
            total[low:high] /= seconds
        return edition

    return run


_advance = _compiled_advance(
    edition_of(
        "fluxes",
        "kernel_paths",
        "kernel_roots",
        "kernel_step",
        "levees",
        "reservoirs",
        "stage",
    )
)
