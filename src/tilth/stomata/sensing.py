"""Whether conductance goes with the temperature difference that stomata did not make.

A measured difference is partly their own work, and no learner can take that out of it.
The difference that a leaf *would* have if its stomata did as the closure says is made
by light, air and boundary layer alone. Stomata that sense it are more closed than the
closure says where it is large; those that only make it are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy.stats import t as student

from tilth.core.errors import InputError
from tilth.core.progress import track
from tilth.stomata.null_model import LeafWorld, leaf_world, simulate_leaves

__all__ = ["SensingTest", "expected_leaves", "sensing_slope", "sensing_test"]


@dataclass(frozen=True)
class SensingTest:
    """A slope beside those of leaves that do not sense their difference.

    Parameters
    ----------
    slope : float
        Of the logarithm of observed over expected conductance on the expected
        difference, K-1.
    null : numpy.ndarray
        The same of simulated leaves without sensing.
    """

    slope: float
    null: np.ndarray

    @property
    def sensitivity(self) -> float:
        """What the slope says beyond the null worlds' mean, K-1; closing is above 0."""
        return float(self.null.mean() - self.slope)

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %, of another world like the null ones, by Student, K-1."""
        count = self.null.size
        reach = student.ppf(0.975, count - 1) * np.sqrt(1 + 1 / count)
        width = float(reach * self.null.std(ddof=1))
        return self.sensitivity - width, self.sensitivity + width

    @property
    def rank_p(self) -> float:
        """Share of worlds, counting this one, as far from the null's mean."""
        away = np.abs(self.null - self.null.mean())
        extreme = away >= abs(self.slope - self.null.mean())
        return float((1 + extreme.sum()) / (1 + self.null.size))

    @property
    def found(self) -> bool:
        """Whether the interval leaves zero out."""
        low, high = self.interval
        return low > 0.0 or high < 0.0


def expected_leaves(world: LeafWorld) -> xr.Dataset:
    """Return the leaves as they would be if stomata did as the closure says.

    Parameters
    ----------
    world : LeafWorld
        Of `tilth.stomata.null_model.leaf_world`.

    Returns
    -------
    xarray.Dataset
        Of `tilth.stomata.leaf_observations`: ``conductance`` of the closure and the
        ``temperature_difference`` that belongs to it, without scatter and noise.
    """
    return simulate_leaves(world._replace(scatter=np.zeros(1), spread=0.0))


def sensing_slope(
    observations: xr.Dataset,
    *,
    beside: Sequence[str] = (),
    world: LeafWorld | None = None,
) -> float:
    r"""Return how conductance goes with the difference that stomata did not make.

    .. math:: \ln \frac{g_s}{\hat g_s} = c - \beta\, \widehat{\Delta T} + e

    by least squares; hats are those of `expected_leaves`.

    Parameters
    ----------
    observations : xarray.Dataset
        Rows to use, with what `tilth.stomata.null_model.leaf_world` needs.
    beside : sequence of str, optional
        Quantities in the regression besides, such as ``("light",)``.
    world : LeafWorld, optional
        By default learnt from the observations.

    Returns
    -------
    float
        :math:`-\beta`, K-1.

    Raises
    ------
    InputError
        If a quantity is absent, or the expected difference does not vary beside the
        others.
    """
    absent = [name for name in beside if name not in observations]
    if absent:
        raise InputError(f"the observations lack {', '.join(absent)}")
    expected = expected_leaves(world or leaf_world(observations))
    seen = observations["conductance"].values
    positive = seen > 0.0
    ratio = np.log(seen[positive] / expected["conductance"].values[positive])
    columns = [expected["temperature_difference"].values]
    columns += [observations[name].values for name in beside]
    table = np.stack([column[positive] for column in columns], axis=1)
    spread = table.std(axis=0)
    if not (spread > 1e-12 * np.abs(table).max(axis=0)).all():
        raise InputError(
            "the expected temperature difference, or what stands beside it, is the "
            "same in every row: nothing can be learnt of it"
        )
    scaled = (table - table.mean(axis=0)) / spread
    # Standardised columns, so that the rank does not depend on their units.
    found, _, rank, _ = np.linalg.lstsq(scaled, ratio - ratio.mean(), rcond=1e-8)
    if rank < table.shape[1]:
        raise InputError(
            f"the expected temperature difference follows from {', '.join(beside)}: "
            "their effects cannot be told apart"
        )
    return float(found[0] / spread[0])


def sensing_test(
    observations: xr.Dataset,
    *,
    draws: int = 20,
    beside: Sequence[str] = (),
    seed: int = 0,
) -> SensingTest:
    """Compare that slope with those of leaves that only make their difference.

    Parameters
    ----------
    observations : xarray.Dataset
        Rows to use, real or simulated.
    draws : int, default 20
        Null worlds, in the conditions and with the scatter of these observations.
    beside : sequence of str, optional
        As in `sensing_slope`.
    seed : int, default 0
        Of the first draw; the others follow.

    Returns
    -------
    SensingTest
        The slope beside those of the null worlds.

    Raises
    ------
    InputError
        If there are fewer than two draws, or as in `sensing_slope`.

    Notes
    -----
    A closure that errs in its response to light or dryness has such a slope too: it
    is evidence of sensing as far as the closure is right. Slopes that change much when
    light stands beside say that it is not, or that the leaves cannot tell.
    """
    if draws < 2:
        raise InputError(f"{draws} draws say nothing of their spread: take ten or more")
    world = leaf_world(observations)
    null = [
        sensing_slope(simulate_leaves(world, seed=seed + k), beside=beside)
        for k in track(range(draws), "null worlds")
    ]
    slope = sensing_slope(observations, beside=beside, world=world)
    return SensingTest(slope, np.array(null))
