"""A router: a network with its water, moved on interval by interval."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from tilth.core.errors import InputError, KernelError
from tilth.rivers.network.model import MOUTH, RiverNetwork
from tilth.rivers.routing.arrays import (
    Geometry,
    Ledger,
    State,
    empty_ledger,
    empty_state,
    empty_totals,
    forcing_of,
)
from tilth.rivers.routing.geometry import geometry_of
from tilth.rivers.routing.kernel import advance
from tilth.rivers.routing.levees import Levees
from tilth.rivers.routing.output import (
    VARIABLES,
    Account,
    Interval,
    as_interval,
    combined_ledger,
    interval_values,
)
from tilth.rivers.routing.reservoirs import Reservoirs
from tilth.rivers.routing.settings import Settings
from tilth.rivers.routing.state import state_arrays, state_dataset

#: Fewer catchments than that are not worth a thread of their own.
_PER_THREAD = 1000

#: Groups of components for each thread: the last to end leaves the others idle for
#: that share of the work at most.
_GROUPS = 4


class Router:
    """Rivers with their water, moved on by one interval of runoff after the other.

    For couplings and loops of one's own; `tilth.rivers.routing.runs.route` takes
    whole datasets. Arrays are in the network's order.

    Parameters
    ----------
    network : RiverNetwork
        With channels and floodplains; its catchments in any order.
    settings : Settings, optional
        How water is routed.
    state : xarray.Dataset, optional
        Where to begin: of a run, `Router.state` or `open_state`. Without it, dry.
    sea_level : float or array, optional
        Height of the sea above the bank of the mouths, m, for intervals that give
        none: one number, or one for each of the network's ``terminals``. By default
        the sea stands at the bank, as in CaMa-Flood.
    reservoirs : Reservoirs, optional
        Dams.
    levees : Levees, optional
        Dikes.
    threads : int, optional
        Threads that move components side by side; by default one per processor, fewer
        for small networks. The result does not depend on it, to the last bit.

    Raises
    ------
    InputError
        If the network lacks a variable, or state or tables are of another network.

    Examples
    --------
    >>> import numpy as np
    >>> from tilth.rivers.network.synthetic import synthetic_network
    >>> router = Router(synthetic_network(50, basins=2, seed=3))
    >>> hour = router.advance(np.full(50, 2.0), 3600.0)
    >>> round(hour.ledger["runoff_volume"])
    360000
    """

    def __init__(
        self,
        network: RiverNetwork,
        settings: Settings | None = None,
        state: xr.Dataset | None = None,
        *,
        sea_level: npt.ArrayLike | None = None,
        reservoirs: Reservoirs | None = None,
        levees: Levees | None = None,
        threads: int | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, got {threads}")
        self.network = network
        self.settings = settings or Settings()
        ordered = network.sorted()
        self._order = ordered.data["given_position"].values
        self._geometry = geometry_of(ordered, self.settings, reservoirs, levees)
        # Terminals in the kernel's order, as places among those of the network.
        self._terminals = np.searchsorted(
            network.terminals, self._order[ordered.terminals]
        )
        self._state = empty_state(self._geometry)
        if state is not None:
            self._state = self._sorted_state(state_arrays(state, network))
        self._sea_level = self._sea(0.0 if sea_level is None else sea_level)
        self._totals = empty_totals(self._geometry)
        self._groups = _groups(self._geometry, threads)
        self._pool: ThreadPoolExecutor | None = None
        workers = min(threads or _processors(), len(self._groups))
        if workers > 1:
            self._pool = ThreadPoolExecutor(workers, "rivers")

    @property
    def geometry(self) -> Geometry:
        """The network as arrays, in the kernel's order (not the network's)."""
        return self._geometry

    @property
    def state(self) -> xr.Dataset:
        """The water now: a copy, from which a run goes on as if it had not stopped."""
        return state_dataset(self.arrays, self.network)

    @property
    def arrays(self) -> State:
        """The water now as arrays in the network's order: copies."""
        along = [self.given(values) for values in self._state[:-1]]
        return State(*[*along, self._state.path_flow.copy()])

    def advance(
        self,
        runoff: npt.ArrayLike,
        seconds: float,
        *,
        base_runoff: npt.ArrayLike | None = None,
        evaporation: npt.ArrayLike | None = None,
        infiltration: npt.ArrayLike | None = None,
        sea_level: npt.ArrayLike | None = None,
    ) -> Interval:
        """Move the water on by an interval of constant runoff.

        Parameters
        ----------
        runoff : array, shape (catchment)
            m3 s-1, into channel and floodplain.
        seconds : float
            Length of the interval, s.
        base_runoff : array, shape (catchment), optional
            m3 s-1, by way of the groundwater (`Settings.groundwater_delay`).
        evaporation, infiltration : array, shape (catchment), optional
            From the flooded area, m s-1, at most what is there.
        sea_level : float or array, optional
            Height of the sea above the bank of the mouths, m: one number, one for each
            of the network's ``terminals``, or ``(piece, terminal)`` for equal pieces
            of the interval.

        Returns
        -------
        Interval
            Means, values at the end, and the ledger.

        Raises
        ------
        InputError
            If numbers are no numbers, losses are negative, or shapes are others.
        KernelError
            If the flow becomes unstable.
        """
        account = Account(self._geometry)
        self.step(
            account,
            self._checked("runoff", runoff),
            seconds,
            base_runoff=self._checked("base_runoff", base_runoff),
            evaporation=self._checked("evaporation", evaporation, 0.0),
            infiltration=self._checked("infiltration", infiltration, 0.0),
            sea_level=sea_level,
        )
        values = self.values(account, tuple(VARIABLES))
        ledger = combined_ledger([account.ledger()], self.network.size)
        return as_interval(values, ledger)

    def account(self) -> Account:
        """Return an empty account of an output interval, for `step`.

        Returns
        -------
        Account
            Of this network.
        """
        return Account(self._geometry)

    def step(
        self,
        account: Account,
        runoff: np.ndarray,
        seconds: float,
        *,
        base_runoff: np.ndarray | None = None,
        evaporation: np.ndarray | None = None,
        infiltration: np.ndarray | None = None,
        sea_level: npt.ArrayLike | None = None,
    ) -> None:
        """Move the water on as `advance` does, with checked values, into an account.

        Parameters
        ----------
        account : Account
            What is gathered for the output.
        runoff, seconds, base_runoff, evaporation, infiltration, sea_level
            As for `advance`.
        """

        def ordered(values: np.ndarray | None) -> np.ndarray | None:
            return None if values is None else values[self._order]

        sea = self._sea_level if sea_level is None else self._sea(sea_level)
        forcing = forcing_of(
            self._geometry,
            runoff[self._order],
            base_runoff=ordered(base_runoff),
            evaporation=ordered(evaporation),
            infiltration=ordered(infiltration),
            sea_level=sea,
        )
        ledger: Ledger = empty_ledger(self._geometry, seconds, self.settings)

        def move(group: tuple[int, int]) -> None:
            advance(
                self._geometry,
                self._state,
                forcing,
                seconds,
                self.settings,
                self._totals,
                ledger,
                components=group,
            )

        if self._pool is None:
            move((0, self._geometry.first.size - 1))
        else:
            for done in [self._pool.submit(move, group) for group in self._groups]:
                done.result()
        if not np.isfinite(ledger.after).all():
            self._refuse_lost()
        account.add(self._totals, ledger, seconds)

    def values(self, account: Account, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Return output variables of an account that ends now.

        Parameters
        ----------
        account : Account
            Of the output interval.
        names : tuple of str
            Of `tilth.rivers.routing.output.VARIABLES`.

        Returns
        -------
        dict of str to numpy.ndarray
            ``(catchment,)``.
        """
        values = interval_values(account.means(), self._state, self._geometry, names)
        return {name: self.given(array) for name, array in values.items()}

    def given(self, values: np.ndarray) -> np.ndarray:
        """Return values in the kernel's order as new ones in the network's.

        Parameters
        ----------
        values : numpy.ndarray
            ``(catchment, ...)``.

        Returns
        -------
        numpy.ndarray
            Of the same shape.
        """
        result = np.empty_like(values)
        result[self._order] = values
        return result

    def _refuse_lost(self) -> None:
        """Raise for water that is no number any more."""
        lost = self._order[~np.isfinite(self._state.storage)]
        first = int(lost.min()) if lost.size else 0
        raise KernelError(
            f"the water of {lost.size} catchments is no number any more, the first is "
            f"{self.network.ids[first]}: the flow has become unstable; look for a "
            "channel far shorter or wider than its neighbours, or take a smaller "
            "Settings.courant"
        )

    def _sorted_state(self, state: State) -> State:
        """Return a state in the kernel's order."""
        along = [np.ascontiguousarray(values[self._order]) for values in state[:-1]]
        paths = state.path_flow.reshape(self._geometry.paths.width.shape)
        return State(*[*along, paths])

    def _sea(self, level: npt.ArrayLike) -> np.ndarray:
        """Return the sea level at the kernel's terminals, ``(piece, terminal)``."""
        heights = np.asarray(level, float)
        terminals = self.network.terminals
        if heights.ndim == 0:
            at_sea = self.network.downstream[terminals] == MOUTH
            heights = np.where(at_sea, heights, 0.0)
        heights = np.atleast_2d(heights)
        if heights.ndim != 2 or heights.shape[1] != terminals.size:
            raise InputError(
                f"sea_level has the shape {np.shape(level)}; give one number, or one "
                f"for each of the network's {terminals.size} terminals"
            )
        if not np.isfinite(heights).all():
            raise InputError(
                f"sea_level has {int((~np.isfinite(heights)).sum())} gaps: fill them, "
                "as by interpolation in time"
            )
        return heights[:, self._terminals]

    def _checked(
        self, name: str, values: npt.ArrayLike | None, least: float = -np.inf
    ) -> Any:
        """Return values for the kernel, or say which cannot be."""
        if values is None:
            return None
        numbers = np.asarray(values, float)
        if numbers.shape != (self.network.size,):
            raise InputError(
                f"{name} has the shape {numbers.shape}, the network "
                f"{self.network.size} catchments"
            )
        wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= least)))
        if wrong.size:
            rule = "must be a number" if least < 0 else "must be a number, 0 or more"
            raise InputError(
                f"{name} is {numbers[wrong[0]]} at catchment "
                f"{self.network.ids[wrong[0]]}: it {rule} ({wrong.size} like it)"
            )
        return numbers


def _processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(geometry: Geometry, threads: int | None) -> list[tuple[int, int]]:
    """Return ranges of components of about equal size, the largest first."""
    first = geometry.first
    n = int(first[-1])
    wanted = (threads or _processors()) * _GROUPS
    if threads is None:
        wanted = min(wanted, n // _PER_THREAD)
    cuts = np.searchsorted(first, np.arange(1, wanted) * n / max(wanted, 1))
    edges = np.unique(np.concatenate(([0], cuts, [first.size - 1]))).tolist()
    groups = list(itertools.pairwise(edges))
    return sorted(groups, key=lambda group: first[group[0]] - first[group[1]])
