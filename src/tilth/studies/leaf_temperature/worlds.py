"""The leaves of the study: measured, without sensing, and with it."""

from __future__ import annotations

from dataclasses import dataclass

import xarray as xr

from tilth.core.datasets import info, locate
from tilth.core.errors import DatasetError
from tilth.stomata.made_up import made_up_leaves
from tilth.stomata.null_model import LeafWorld, leaf_world, simulate_leaves
from tilth.stomata.observations import flag_counts, usable
from tilth.stomata.readers.gas_exchange import read_gas_exchange
from tilth.studies.leaf_temperature.published import NULL, REAL, SENSING

#: Of every draw.
SEED = 0

#: Seed of the simulated worlds shown, the first of those that are tested.
FIRST = 1000

#: How strongly stomata of the sensing world sense the difference, K-1: a leaf warmer
#: than the air by a kelvin has three quarters of the conductance.
SENSITIVITY = 0.3

_DATASET = "tumbarumba-spot"

#: The reference numbers were made with rows that these flags speak against.
_KEPT = ("instrument", "no_uptake")


@dataclass(frozen=True)
class Leaves:
    """The worlds side by side.

    Parameters
    ----------
    worlds : dict of str to xarray.Dataset
        Measured leaves, where they are at hand; leaves without and with sensing.
    base : LeafWorld
        What the latter two were made of.
    source : str
        For the page.
    why : str
        Why none are measured; empty if some are.
    flagged : dict of str to int
        Rows that were used although a flag speaks against them, by flag.
    """

    worlds: dict[str, xr.Dataset]
    base: LeafWorld
    source: str
    why: str = ""
    flagged: dict[str, int] | None = None

    @property
    def measured(self) -> xr.Dataset | None:
        """The measured leaves, if there are."""
        return self.worlds.get(REAL)

    @property
    def first(self) -> str:
        """Name of the world that is shown where only one is."""
        return next(iter(self.worlds))


def load() -> Leaves:
    """Return the worlds, made from measured leaves or from made-up conditions."""
    try:
        folder = locate(_DATASET)
    except DatasetError as error:
        made = usable(made_up_leaves(plants=8, days=12, per_day=30, seed=SEED))
        base = leaf_world(made)
        return Leaves(_pair(base), base, "simulated: known truth", str(error))
    file = folder / next(iter(info(_DATASET).files)).path
    read = read_gas_exchange(file)
    measured = usable(read, ignore=_KEPT)
    counts = flag_counts(read)
    base = leaf_world(measured)
    return Leaves(
        {REAL: measured, **_pair(base)},
        base,
        f"{_DATASET} ({info(_DATASET).citation})",
        flagged={name: int(counts[name]) for name in _KEPT},
    )


def _pair(base: LeafWorld) -> dict[str, xr.Dataset]:
    """Return leaves that do not sense their difference, and leaves that do."""
    return {
        NULL: simulate_leaves(base, seed=FIRST),
        SENSING: simulate_leaves(base, seed=FIRST, sensitivity=SENSITIVITY),
    }
