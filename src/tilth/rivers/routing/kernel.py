"""The routing kernel: one interval of forcing, for components side by side.

The equations are those of CaMa-Flood v4 (Yamazaki et al. 2011, 2013), see
`tilth.rivers.routing.fluxes` and `tilth.rivers.routing.stage`.
"""

from __future__ import annotations

import numpy as np

from tilth.core.errors import InputError
from tilth.rivers.routing.arrays import Forcing, Geometry, Ledger, State, Totals
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
    raise InputError("not yet")
