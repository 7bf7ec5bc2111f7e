"""Scores of a simulated series against an observed one, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.stats.resampling import BootstrapResult, block_bootstrap

#: Sums that every score is a function of, in the order of `score_sums`.
SUMS = ("count", "o", "s", "oo", "ss", "os")

#: What `scores_from_sums` returns, in its order.
SCORES = ("nse", "kge", "kge_2009", "bias", "relative_bias", "correlation", "rmse")


def score_sums(simulated: npt.ArrayLike, observed: npt.ArrayLike) -> np.ndarray:
    r"""Return the sums over a series from which all scores follow.

    Sums of blocks of days add up to the sums of the whole, so a bootstrap over blocks
    needs the series only once.

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out. Values far
        from zero compared with their spread should be shifted (both alike) first.

    Returns
    -------
    numpy.ndarray, shape (6, ...)
        :math:`n, \sum o, \sum s, \sum o^2, \sum s^2, \sum o s`.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    s, o = np.asarray(simulated, float), np.asarray(observed, float)
    if s.shape != o.shape:
        raise InputError(
            f"simulated and observed series differ in shape: {s.shape} and {o.shape}"
        )
    both = np.isfinite(s) & np.isfinite(o)
    s, o = np.where(both, s, 0.0), np.where(both, o, 0.0)
    terms = (both.astype(float), o, s, o * o, s * s, o * s)
    return np.stack([term.sum(axis=-1) for term in terms])


def scores_from_sums(
    sums: np.ndarray, shift: npt.ArrayLike = 0.0
) -> dict[str, np.ndarray]:
    r"""Return the scores that belong to the sums of `score_sums`.

    .. math::

        \mathrm{NSE} &= 1 - \frac{\sum (s - o)^2}{\sum (o - \bar o)^2} \\
        \mathrm{KGE} &= 1 - \sqrt{(r - 1)^2 + (\beta - 1)^2 + (\gamma - 1)^2}, \qquad
        \beta = \bar s / \bar o

    with :math:`\gamma` the ratio of the coefficients of variation (2012) or of the
    standard deviations (2009).

    Parameters
    ----------
    sums : numpy.ndarray, shape (6, ...)
        As `score_sums` returns.
    shift : array_like, optional
        What was subtracted from both series before, in their units.

    Returns
    -------
    dict of str to numpy.ndarray
        Keys `SCORES`; ``kge`` is the form of 2012, ``bias`` is simulated less
        observed in their units, ``relative_bias`` the same over the observed mean.
        NaN where a score has no meaning: no pair, or a series that does not vary.

    References
    ----------
    Nash & Sutcliffe (1970), J. Hydrol. 10, 282-290. Gupta, Kling, Yilmaz & Martinez
    (2009), J. Hydrol. 377, 80-91, eq. 9. Kling, Fuchs & Paulin (2012), J. Hydrol.
    424-425, 264-277, eq. 2.
    """
    n, o, s, oo, ss, os = np.asarray(sums, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.where(n > 0, n, np.nan)
        mean_o, mean_s = o / n, s / n
        var_o, var_s = _spread(oo / n, mean_o), _spread(ss / n, mean_s)
        covariance = os / n - mean_o * mean_s
        error = np.maximum((ss - 2.0 * os + oo) / n, 0.0)
        r = covariance / np.sqrt(var_o * var_s)
        bias = mean_s - mean_o
        level_o, level_s = mean_o + np.asarray(shift), mean_s + np.asarray(shift)
        beta = _finite(level_s / level_o)
        alpha = np.sqrt(var_s / var_o)
        distance = (r - 1.0) ** 2 + (beta - 1.0) ** 2
        return {
            "nse": 1.0 - error / var_o,
            "kge": 1.0 - np.sqrt(distance + (_finite(alpha / beta) - 1.0) ** 2),
            "kge_2009": 1.0 - np.sqrt(distance + (alpha - 1.0) ** 2),
            "bias": bias,
            "relative_bias": _finite(bias / level_o),
            "correlation": r,
            "rmse": np.sqrt(error),
        }


def _spread(square: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Variance from the mean square; NaN where it is only rounding."""
    variance = square - mean * mean
    # The difference of two like numbers: below this it holds no digit.
    return np.where(variance > 1e-13 * square, variance, np.nan)


def _finite(ratio: np.ndarray) -> np.ndarray:
    """NaN in the place of a ratio to zero."""
    return np.where(np.isfinite(ratio), ratio, np.nan)


def _score(name: str, simulated: npt.ArrayLike, observed: npt.ArrayLike):
    """Return one score, the series centred first so that no digit is lost."""
    s, o = np.asarray(simulated, float), np.asarray(observed, float)
    shift = _centre(o)
    sums = score_sums(s - shift[..., None], o - shift[..., None])
    value = scores_from_sums(sums, shift)[name]
    return float(value) if np.ndim(value) == 0 else value


def _centre(observed: np.ndarray) -> np.ndarray:
    """Mean of each series without missing values; zero where there is none."""
    present = np.isfinite(observed)
    total = np.where(present, observed, 0.0).sum(axis=-1)
    return total / np.maximum(present.sum(axis=-1), 1)


def nse(simulated: npt.ArrayLike, observed: npt.ArrayLike):
    r"""Nash-Sutcliffe efficiency: one less the error over the observed variance.

    .. math:: \mathrm{NSE} = 1 - \sum (s - o)^2 / \sum (o - \bar o)^2

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.

    Returns
    -------
    float or numpy.ndarray
        Without the last axis: 1 is perfect, 0 as good as the observed mean, NaN
        where the observed series does not vary.

    References
    ----------
    Nash & Sutcliffe (1970), J. Hydrol. 10, 282-290, eq. 3.

    Examples
    --------
    >>> nse([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])
    0.5
    """
    return _score("nse", simulated, observed)


def kge(
    simulated: npt.ArrayLike,
    observed: npt.ArrayLike,
    *,
    form: Literal["2012", "2009"] = "2012",
):
    r"""Kling-Gupta efficiency: correlation, bias and variability in one number.

    .. math:: 1 - \sqrt{(r - 1)^2 + (\beta - 1)^2 + (\gamma - 1)^2}

    with the ratio of the means :math:`\beta` and, for :math:`\gamma`, the ratio of
    the coefficients of variation (form of 2012, often written KGE') or of the
    standard deviations (2009).

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.
    form : {"2012", "2009"}
        Which of the two.

    Returns
    -------
    float or numpy.ndarray
        Without the last axis: 1 is perfect; the observed mean as a forecast has
        1 - sqrt(2) in the form of 2009. NaN where a series does not vary or the
        observed mean is zero.

    Raises
    ------
    InputError
        If the form is another one.

    References
    ----------
    Gupta, Kling, Yilmaz & Martinez (2009), J. Hydrol. 377, 80-91, eq. 9. Kling,
    Fuchs & Paulin (2012), J. Hydrol. 424-425, 264-277, eq. 2.
    """
    if form not in ("2012", "2009"):
        raise InputError(f"there is no form {form!r} of KGE: '2012' or '2009'")
    return _score("kge" if form == "2012" else "kge_2009", simulated, observed)


def bias(simulated: npt.ArrayLike, observed: npt.ArrayLike, *, relative: bool = False):
    """Mean of simulated less observed.

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.
    relative : bool, default False
        Over the observed mean.

    Returns
    -------
    float or numpy.ndarray
        Without the last axis; in the units of the series, or a share.

    Examples
    --------
    >>> bias([2.0, 4.0], [1.0, 3.0]), bias([2.0, 4.0], [1.0, 3.0], relative=True)
    (1.0, 0.5)
    """
    return _score("relative_bias" if relative else "bias", simulated, observed)


def nrmse(
    simulated: npt.ArrayLike,
    observed: npt.ArrayLike,
    *,
    norm: Literal["mean", "sd", "range", "iqr"],
):
    r"""Root mean square error over a size of the observed series, which must be named.

    .. math:: \sqrt{\overline{(s - o)^2}} / N(o)

    There is no default: published values differ by their norm.

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.
    norm : {"mean", "sd", "range", "iqr"}
        Mean, standard deviation (n in its divisor, so that the square is 1 - NSE),
        largest less smallest, or third less first quartile (linear between values) of
        the observations of the pairs.

    Returns
    -------
    float or numpy.ndarray
        Without the last axis: 0 is perfect. NaN where the norm is not positive.

    Raises
    ------
    InputError
        If the norm is another one or the shapes differ.

    Examples
    --------
    >>> round(nrmse([1.0, 2.0, 5.0], [1.0, 2.0, 3.0], norm="range"), 4)
    0.5774
    """
    if norm not in _NORMS:
        raise InputError(f"norm is one of {', '.join(_NORMS)}, got {norm!r}")
    s, o = np.asarray(simulated, float), np.asarray(observed, float)
    error = np.asarray(_score("rmse", s, o))
    seen = np.where(np.isfinite(s) & np.isfinite(o), o, np.nan)
    sizes = np.full(error.shape, np.nan)
    some = np.isfinite(error)
    sizes[some] = _NORMS[norm](seen[some])
    value = error / np.where(sizes > 0, sizes, np.nan)
    return float(value) if value.ndim == 0 else value


#: Norm -> its value for series along the last axis, each with some value.
_NORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "mean": lambda o: np.nanmean(o, axis=-1),
    "sd": lambda o: np.nanstd(o, axis=-1),
    "range": lambda o: np.nanmax(o, axis=-1) - np.nanmin(o, axis=-1),
    "iqr": lambda o: np.subtract(*np.nanquantile(o, [0.75, 0.25], axis=-1)),
}


def r_squared(
    simulated: npt.ArrayLike,
    observed: npt.ArrayLike,
    *,
    definition: Literal["correlation", "explained"],
):
    r"""R squared, of which there are two: which one must be said.

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.
    definition : {"correlation", "explained"}
        ``"correlation"``: the square of Pearson's r, which forgives any bias and any
        wrong amplitude. ``"explained"``: one less the squared error over the variance
        of the observations, the same as `nse`; it forgives nothing and may be negative.

    Returns
    -------
    float or numpy.ndarray
        Without the last axis; NaN where a series (for ``"explained"`` the observed one)
        does not vary.

    Raises
    ------
    InputError
        If the definition is another one or the shapes differ.

    Examples
    --------
    >>> round(r_squared([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], definition="correlation"), 9)
    1.0
    >>> round(r_squared([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], definition="explained"), 9)
    -6.0
    """
    if definition == "explained":
        return nse(simulated, observed)
    if definition == "correlation":
        return _score("correlation", simulated, observed) ** 2
    raise InputError(
        "R squared is 'correlation' (Pearson's, squared) or 'explained' (1 - SSE/SST), "
        f"got {definition!r}"
    )


def score_intervals(
    simulated: npt.ArrayLike,
    observed: npt.ArrayLike,
    blocks: npt.ArrayLike,
    *,
    draws: int = 1000,
    level: float = 0.90,
    seed: int = 0,
) -> dict[str, BootstrapResult]:
    """Return all scores with their block-bootstrap intervals.

    Parameters
    ----------
    simulated, observed : array_like, shape (..., n)
        Same shape and units; pairs with a missing value are left out.
    blocks : array_like, shape (n,)
        Label of the block of each value, such as its year: values of different
        blocks should be close to independent.
    draws, level, seed : optional
        As in `tilth.stats.block_bootstrap`.

    Returns
    -------
    dict of str to BootstrapResult
        One per name in `SCORES`; estimates shaped as the series without their last
        axis.

    Raises
    ------
    InputError
        If the shapes differ, labels do not match or there are fewer than two blocks.

    References
    ----------
    Clark et al. (2021), Water Resour. Res. 57, e2020WR029001: the sampling
    uncertainty of NSE and KGE is large and should be shown.
    """
    s, o = np.asarray(simulated, float), np.asarray(observed, float)
    labels = np.asarray(blocks)
    if labels.shape != o.shape[-1:]:
        raise InputError(
            f"blocks need one label per value: {o.shape[-1:]} values, labels of "
            f"shape {labels.shape}"
        )
    shift = _centre(o)
    s, o = s - shift[..., None], o - shift[..., None]
    _, codes = np.unique(labels, return_inverse=True)
    parts = [
        score_sums(s[..., codes == code], o[..., codes == code])
        for code in range(codes.max() + 1)
    ]
    sums = np.stack(parts, axis=-1)

    def statistic(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        drawn = values @ weights.T
        found = scores_from_sums(drawn, shift[..., None])
        return np.stack([found[name] for name in SCORES])

    result = block_bootstrap(
        sums, np.arange(sums.shape[-1]), statistic, draws=draws, level=level, seed=seed
    )
    return {name: _row(result, i) for i, name in enumerate(SCORES)}


def _row(result: BootstrapResult, i: int) -> BootstrapResult:
    """Take one score out of the result of all."""

    def pick(array):
        value = array[i]
        return float(value) if np.ndim(value) == 0 else value

    return BootstrapResult(
        estimate=pick(result.estimate),
        se=pick(result.se),
        lower=pick(result.lower),
        upper=pick(result.upper),
        level=result.level,
        draws=result.draws,
        blocks=result.blocks,
        seed=result.seed,
        method=result.method,
    )
