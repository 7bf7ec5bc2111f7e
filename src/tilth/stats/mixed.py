"""Linear mixed model with one random intercept, solved exactly by REML.

For designs of many dates and few pots: the likelihood is profiled down to one
number, the variance ratio, so there is no iteration that could fail to converge and
no boundary that could break it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import linalg, optimize, stats

from tilth.core.errors import InputError


@dataclass(frozen=True)
class MixedModelResult:
    """A fitted mixed model.

    Parameters
    ----------
    contrasts : pandas.DataFrame
        Indexed by level of the factor, without the reference: ``estimate``, ``se``,
        ``lower``, ``upper``, ``p``, ``degrees_of_freedom`` (inf for the normal
        interval), ``observations``, ``groups``.
    reference : str
        Level the contrasts are taken against.
    group_sd, residual_sd : float
        Standard deviation between groups and within, units of the response.
    observations, groups : int
        Number of values and of groups in the fit.
    level : float
        Probability of the intervals.
    notes : tuple of str
        What to beware of; empty if nothing.
    """

    contrasts: pd.DataFrame
    reference: str
    group_sd: float
    residual_sd: float
    observations: int
    groups: int
    level: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Reduced:
    """The model after the fixed effects are projected out.

    With ``X = QR`` and the group indicators Z, the matrix ``S = Z'(I - QQ')Z`` is
    diagonalised once; the likelihood then is a sum over groups for any ratio.
    """

    triangle: np.ndarray  # R, (p, p)
    ordinary: np.ndarray  # Q'y, the least-squares effects times R
    sums: np.ndarray  # Q'Z rotated to the eigenvectors of S, (p, groups)
    values: np.ndarray  # eigenvalues of S
    residual_sums: np.ndarray  # group sums of the residuals, rotated
    square: float  # sum of the squared residuals
    freedom: int  # n - p


def mixed_model(
    response: npt.ArrayLike,
    factor: npt.ArrayLike,
    group: npt.ArrayLike,
    reference: str,
    *,
    categories: Mapping[str, npt.ArrayLike] | None = None,
    interval: Literal["normal", "t"] = "normal",
    level: float = 0.95,
) -> MixedModelResult:
    r"""Contrasts of a factor with groups as random intercepts.

    .. math:: y = X\beta + u_{g} + \epsilon, \quad u \sim N(0, \theta\sigma^2),
       \quad \epsilon \sim N(0, \sigma^2) .

    For a given variance ratio :math:`\theta` the best :math:`\beta` and
    :math:`\sigma^2` are those of generalised least squares; :math:`\theta \ge 0`
    maximises the restricted likelihood

    .. math:: -2\ell_R = (n - p)(1 + \ln 2\pi\hat\sigma^2)
       + \sum_g \ln(1 + n_g\theta) + \ln |X'V^{-1}X| .

    The covariance of the effects is that of generalised least squares plus what the
    uncertainty of :math:`\theta` adds, as the observed information of the joint
    likelihood gives it. Estimates and standard errors agree with the MixedLM of
    statsmodels to 1e-6 where that converges.

    Parameters
    ----------
    response : array_like
        Values, shape (n,); observations with a missing one are left out.
    factor : array_like
        Level of each observation (treatment), as text.
    group : array_like
        Group of each observation (pot): the unit that was treated.
    reference : str
        Level of `factor` the others are compared with.
    categories : mapping of str to array_like, optional
        Further fixed effects (such as the date), one label per observation.
    interval : {"normal", "t"}, optional
        Wald interval: of the normal distribution, as most software prints it, or of
        Student's t with as many degrees of freedom as there are groups less levels.
        With few groups the normal one is too narrow (8 groups, 2 levels: it covers
        about 90 % instead of 95 %).
    level : float, optional
        Probability of the intervals.

    Returns
    -------
    MixedModelResult
        Contrasts in units of the response.

    Raises
    ------
    InputError
        If shapes differ, the reference is absent, no level has two groups, or the
        fixed effects cannot be told apart.

    References
    ----------
    Patterson & Thompson (1971), Biometrika 58, 545-554. Pinheiro & Bates (2000),
    Mixed-Effects Models in S and S-PLUS, section 2.2.
    """
    table = _observations(response, factor, group, categories)
    levels = sorted(table["factor"].unique())
    if reference not in levels:
        raise InputError(f"no observation of the reference {reference!r}; has {levels}")
    others = [name for name in levels if name != reference]
    counts = table.groupby("factor")["group"].agg(["size", "nunique"])
    constant = bool(table.groupby("group")["factor"].nunique().max() == 1)
    if not others or (constant and counts["nunique"].max() < 2):
        raise InputError(
            "a mixed model needs two levels of the factor and, of one of them, two "
            f"groups; got {counts['nunique'].to_dict()} groups per level: one group "
            "per level cannot tell the treatment from the group"
        )
    model = _reduce(table, others, list(categories or {}))
    ratio = _best_ratio(model)
    variance = _residual_square(model, ratio) / model.freedom
    effects, covariance = _effects(model, ratio, variance)
    estimate = effects[-len(others) :]
    se = np.sqrt(np.diag(covariance)[-len(others) :])
    groups = model.values.size
    freedom = np.inf
    if interval == "t":
        freedom = groups - len(levels) if constant else model.freedom - groups + 1
    distribution = stats.norm if np.isinf(freedom) else stats.t(freedom)
    half = distribution.ppf((1.0 + level) / 2.0) * se
    contrasts = pd.DataFrame(
        {
            "estimate": estimate,
            "se": se,
            "lower": estimate - half,
            "upper": estimate + half,
            "p": 2.0 * distribution.sf(np.abs(estimate) / se),
            "degrees_of_freedom": float(freedom),
            "observations": counts.loc[others, "size"],
            "groups": counts.loc[others, "nunique"],
        },
        index=pd.Index(others, name="level"),
    )
    notes = []
    if ratio == 0.0:
        notes.append("no variance between groups beyond that within: set to zero")
    if constant and (counts["nunique"] < 2).any():
        single = list(counts.index[counts["nunique"] < 2])
        notes.append(f"one group only: {', '.join(single)}; its spread is borrowed")
    return MixedModelResult(
        contrasts=contrasts,
        reference=reference,
        group_sd=float(np.sqrt(ratio * variance)),
        residual_sd=float(np.sqrt(variance)),
        observations=len(table),
        groups=groups,
        level=level,
        notes=tuple(notes),
    )


def _observations(
    response: npt.ArrayLike,
    factor: npt.ArrayLike,
    group: npt.ArrayLike,
    categories: Mapping[str, npt.ArrayLike] | None,
) -> pd.DataFrame:
    """Return the complete observations as one table."""
    columns = {
        "response": np.asarray(response, float),
        "factor": np.asarray(factor, object),
        "group": np.asarray(group, object),
        **{name: np.asarray(values) for name, values in (categories or {}).items()},
    }
    shapes = {name: values.shape for name, values in columns.items()}
    if len(set(shapes.values())) > 1 or columns["response"].ndim != 1:
        raise InputError(f"a mixed model needs one value per observation, got {shapes}")
    table = pd.DataFrame(columns).dropna()
    return table[np.isfinite(table["response"])]


def _reduce(table: pd.DataFrame, others: list[str], categories: list[str]) -> _Reduced:
    """Project the fixed effects out, or refuse what they cannot separate."""
    # The factor comes last: a level that the categories already explain is named.
    terms = [(name, sorted(table[name].unique())[1:]) for name in categories]
    terms.append(("factor", others))
    names = ["1"] + [f"{name} {level}" for name, levels in terms for level in levels]
    columns = [table[name] == level for name, levels in terms for level in levels]
    x = np.column_stack([np.ones(len(table)), *columns]).astype(float)
    y = table["response"].to_numpy()
    freedom = len(table) - x.shape[1]
    q, triangle = np.linalg.qr(x) if freedom > 0 else (x, np.zeros((1, x.shape[1])))
    size = np.abs(np.diag(triangle)) / np.linalg.norm(x, axis=0)[: len(triangle)]
    if freedom < 1 or size.min() < 1e-8:
        lost = [names[i] for i in np.flatnonzero(size < 1e-8)]
        raise InputError(
            f"{len(table)} observations cannot separate {x.shape[1]} fixed effects "
            f"(explained by the others: {', '.join(lost[:5])}): leave out levels that "
            "share no category with the others"
        )
    ordinary = q.T @ y
    residuals = y - q @ ordinary
    codes, groups = pd.factorize(table["group"])
    sums = np.zeros((len(groups), x.shape[1]))
    np.add.at(sums, codes, q)
    matrix = np.diag(np.bincount(codes).astype(float)) - sums @ sums.T
    values, vectors = np.linalg.eigh(matrix)
    return _Reduced(
        triangle=triangle,
        ordinary=ordinary,
        sums=sums.T @ vectors,
        values=np.maximum(values, 0.0),
        residual_sums=np.bincount(codes, residuals) @ vectors,
        square=float(residuals @ residuals),
        freedom=freedom,
    )


def _residual_square(model: _Reduced, ratio: float) -> float:
    """Return the residual sum of squares, weighted by the inverse covariance."""
    shrink = ratio / (1.0 + ratio * model.values)
    return model.square - float(np.sum(shrink * model.residual_sums**2))


def _minus_two_log(model: _Reduced, ratio: float) -> float:
    """Return -2 log restricted likelihood, up to a constant of the design."""
    variance = _residual_square(model, ratio) / model.freedom
    constant = 1.0 + np.log(2.0 * np.pi * variance)
    return float(model.freedom * constant + np.sum(np.log1p(ratio * model.values)))


def _score(model: _Reduced, ratio: float) -> float:
    """Return the derivative of -2 log restricted likelihood by the ratio."""
    spread = 1.0 + ratio * model.values
    variance = _residual_square(model, ratio) / model.freedom
    pull = (model.residual_sums / spread) ** 2 / variance
    return float(np.sum(model.values / spread - pull))


def _best_ratio(model: _Reduced) -> float:
    """Return the variance ratio of highest restricted likelihood, zero included."""
    grid = [0.0, *np.geomspace(1e-6, 1e8, 57)]
    i = int(np.argmin([_minus_two_log(model, ratio) for ratio in grid]))
    low, high = grid[max(i - 1, 0)], grid[min(i + 1, len(grid) - 1)]
    if _score(model, low) >= 0.0 or _score(model, high) <= 0.0:
        return float(grid[i])  # no turning point inside: the optimum is at a bound
    root = optimize.brentq(
        lambda ratio: _score(model, ratio), low, high, xtol=1e-16, rtol=1e-14
    )
    return float(root)


def _effects(
    model: _Reduced, ratio: float, variance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the fixed effects and their covariance.

    To the covariance of generalised least squares comes what the uncertainty of the
    ratio adds, to first order (Kackar & Harville 1984): the derivative of the effects
    by the ratio, squared, times the variance of the ratio, two over the derivative
    of the score.
    """
    spread = 1.0 + ratio * model.values
    back = linalg.solve_triangular(model.triangle, np.eye(model.ordinary.size))
    rotated = back @ model.sums
    effects = back @ model.ordinary - rotated @ (ratio / spread * model.residual_sums)
    covariance = variance * (back @ back.T + (rotated * ratio / spread) @ rotated.T)
    if ratio > 0.0:  # at its bound the ratio has no such variance
        step = 1e-5 * ratio
        bend = (_score(model, ratio + step) - _score(model, ratio - step)) / (2 * step)
        slope = rotated @ (model.residual_sums / spread**2)
        covariance += 2.0 * np.outer(slope, slope) / bend
    return effects, covariance
