"""The mean of values that come in clusters, such as sites in basins: test, interval."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.stats.paired import PairedTest, check_level, paired_differences


def cluster_bootstrap(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    clusters: npt.ArrayLike,
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedTest:
    r"""Test the mean difference of paired scores of sites that come in basins.

    Sites of one basin share rain, rivers and the errors of both forecasts: what is
    independent is the basin. With the sums :math:`S_g` and numbers :math:`n_g` of
    differences in each of G basins, the mean and its cluster-robust error are

    .. math::

        \bar d = \frac{\sum_g S_g}{\sum_g n_g}, \qquad
        u^2 = \frac{G}{G - 1}
        \frac{\sum_g (S_g - n_g \bar d)^2}{(\sum_g n_g)^2} .

    Basins are drawn with replacement, and each draw gives
    :math:`t^* = (\bar d^* - \bar d) / u^*`. The p-value is the share of draws whose
    :math:`|t^*|` reaches the observed :math:`|\bar d / u|`; the interval is
    :math:`\bar d \pm u` times the quantile of :math:`|t^*|`. Studentising is what
    makes it hold with few basins, where the quantiles of the means themselves are
    too narrow.

    Parameters
    ----------
    first, second : array_like, shape (..., n)
        Scores of two forecasts at the same sites; pairs with a missing value are
        left out.
    clusters : array_like, shape (n,)
        Label of the basin of each site; or of the year, the storm, whatever is
        independent.
    draws : int, optional
        Number of draws; the smallest p-value is one in ``draws + 1``.
    level : float, optional
        Probability of the interval.
    seed : int, optional
        Of the draws, the same for every series.

    Returns
    -------
    PairedTest
        One per series; ``count`` is the number of basins with a pair. NaN below
        three of them; of three, every ninth draw is one basin alone, and no p-value
        is below 0.11.

    Raises
    ------
    InputError
        If shapes differ, labels do not match or `level` is not between 0 and 1.

    Notes
    -----
    In simulated worlds without a difference, of basins with 1 to 50 sites, it finds
    one in 5 % from twelve basins on and in up to 7 % with six; Student's t of the same
    :math:`\bar d / u` does in 10 and 13 %. Below about ten basins, or where one holds
    most of the sites, look at the basins one by one. What all sites share, such as
    the one year that was forecast, no resampling of basins can see.

    References
    ----------
    Cameron, Gelbach & Miller (2008), Rev. Econ. Stat. 90, 414-427, section III.
    Davison & Hinkley (1997), Bootstrap Methods and their Application, section 5.2.

    Examples
    --------
    >>> gain = [0.1, 0.2, 0.1, 0.0, 0.1, 0.3, 0.2, 0.1]
    >>> basin = ["a", "a", "b", "b", "c", "c", "d", "d"]
    >>> found = cluster_bootstrap(gain, [0.0] * 8, basin)
    >>> print(f"{found.difference:.4f} +- {found.se:.4f} from {found.count} basins")
    0.1375 +- 0.0315 from 4 basins
    """
    d = paired_differences(first, second)
    check_level(level)
    labels = np.asarray(clusters)
    if labels.shape != d.shape[-1:]:
        raise InputError(
            f"clusters need one label per site: {d.shape[-1:]} sites, labels of shape "
            f"{labels.shape}"
        )
    sums, numbers = _totals(d, labels)
    present = (numbers > 0).sum(axis=-1)
    total = numbers.shape[-1]
    # All basins are drawn from, as many as there are: one that holds no pair of a
    # series counts for nothing in it.
    generator = np.random.default_rng(seed)
    drawn = generator.multinomial(total, np.full(total, 1.0 / total), size=draws)
    mean, error = _mean_and_error(sums, numbers, np.ones((1, total)))
    mean, error = mean[..., 0], error[..., 0]
    means, errors = _mean_and_error(sums, numbers, drawn.astype(float))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = mean / error
        size = np.abs((means - mean[..., None]) / errors)
    p, reach = _against(np.abs(t), size, level)
    known = (present >= 3) & (error > 0)
    error, t, p, reach = (np.where(known, x, np.nan) for x in (error, t, p, reach))
    name = "cluster bootstrap of t"
    return PairedTest.of(mean, error, t, p, reach * error, present, level, name)


def _totals(d: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sum and number of the differences of each cluster, (..., cluster)."""
    _, codes = np.unique(labels, return_inverse=True)
    member = np.eye(codes.max() + 1 if codes.size else 0)[codes]
    present = np.isfinite(d)
    return np.where(present, d, 0.0) @ member, present.astype(float) @ member


def _mean_and_error(
    sums: np.ndarray, numbers: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and cluster-robust error for each row of weights, (..., draws)."""
    drawn = (numbers > 0).astype(float) @ weights.T
    total = numbers @ weights.T
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (sums @ weights.T) / total
        square = (
            (sums**2) @ weights.T
            - 2.0 * mean * ((sums * numbers) @ weights.T)
            + mean**2 * ((numbers**2) @ weights.T)
        )
        # The difference of like numbers: below this it is rounding.
        floor = 1e-13 * ((sums**2) @ weights.T)
        square = np.where(square > floor, square, 0.0)
        error = np.sqrt(drawn / (drawn - 1.0) * square) / total
    return mean, error


def _against(
    t: np.ndarray, size: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return p-value and quantile of the draws' |t|, without draws that have none."""
    # A draw of one basin alone has no error: it is as far out as can be.
    far = np.where(np.isfinite(size), size, np.inf)
    draws = far.shape[-1]
    p = (1.0 + (far >= t[..., None]).sum(axis=-1)) / (draws + 1.0)
    place = min(int(np.ceil(level * (draws + 1.0))), draws) - 1
    reach = np.partition(far, place, axis=-1)[..., place]
    return p, np.where(np.isfinite(reach), reach, np.nan)
