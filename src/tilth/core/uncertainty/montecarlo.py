"""Uncertainty by Monte Carlo: any function, independent and shared errors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tilth.core.errors import InputError
from tilth.core.uncertainty.inputs import Input, correlation_matrix

#: Draws by default: the standard error is then good to 0.5 % (1 / sqrt(2 M)), the
#: limits of a 95 % interval to 1 % of it.
DRAWS = 20_000


@dataclass(frozen=True)
class MonteCarloResult:
    """The distribution of a quantity, and the parts of its spread.

    Parameters
    ----------
    value : float or array
        The function at the best estimates of the inputs.
    mean, se : float or array
        Mean and standard deviation of the draws.
    lower, upper : float or array
        Limits of the interval that holds `confidence` of the draws, with the same
        share on either side.
    contributions : dict of str to float or array
        Input -> the standard error if it alone were uncertain.
    levels : dict of str to float or array
        Level -> the standard error if the inputs of that level alone were.
    samples : array, shape (n_draws, ...)
        The draws. Anything computed from them keeps what its elements share.
    confidence : float
        Share of the draws in the interval.
    seed : int
        Seed of the draws.
    """

    value: Any
    mean: Any
    se: Any
    lower: Any
    upper: Any
    contributions: dict[str, Any]
    levels: dict[str, Any]
    samples: np.ndarray
    confidence: float
    seed: int


def propagate_monte_carlo(
    function: Callable[..., Any],
    inputs: Mapping[str, Input],
    *,
    shape: tuple[int, ...] | None = None,
    groups: Mapping[str, Any] | None = None,
    covariance: Any = None,
    n_draws: int = DRAWS,
    confidence: float = 0.95,
    seed: int = 0,
) -> MonteCarloResult:
    """Propagate the uncertainty of inputs through a function by random draws.

    Every draw takes one error per element for an input of level ``"cycle"``, one per
    group for any other level, and a single one for level ``"common"``. So an average
    of 100 cycles of a device, computed in the function, keeps the error of the device,
    and in a ratio of two groups the common error cancels.

    Parameters
    ----------
    function : callable
        Called with arrays of shape ``(n_draws, *shape)`` by name, and with
        ``(1, *shape)`` for the best estimate. It may reduce the trailing axes, such
        as ``lambda flux, gain: (flux * gain).mean(axis=-1)``, never the first.
    inputs : mapping of str to Input
        By argument name; values and uncertainties broadcast to `shape`.
    shape : tuple of int, optional
        Elements of the inputs, such as ``(n_cycles,)``; by default what values,
        uncertainties and groups broadcast to.
    groups : mapping of str to array_like, optional
        Level -> label of the group of each element, broadcast to `shape`, such as
        ``{"device": ["a", "a", "b"]}``.
    covariance : array_like, shape (k, k), optional
        Covariance of the k inputs in their order, as in
        `propagate_linear`; correlated inputs must be normal.
    n_draws : int, default 20000
        Number of draws.
    confidence : float, default 0.95
        Share of the draws in the interval.
    seed : int, default 0
        Same seed, same result.

    Returns
    -------
    MonteCarloResult
        Value, mean, standard error, interval, contributions and draws.

    Raises
    ------
    InputError
        If a level has no groups, the function reduces the draws, or an argument is
        out of its range.

    References
    ----------
    JCGM 101:2008 (GUM Supplement 1), 5.9 and 7.

    Examples
    --------
    >>> result = propagate_monte_carlo(
    ...     lambda flux, gain: (flux * gain).mean(axis=-1),
    ...     {"flux": Input(1.0, 0.2), "gain": Input(1.0, 0.05, level="common")},
    ...     shape=(100,),
    ... )
    >>> round(float(result.se), 2)  # 0.2 / sqrt(100) and 0.05
    0.05
    """
    if n_draws < 2:
        raise InputError(f"Monte Carlo needs at least 2 draws, got {n_draws}")
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence}")
    if not inputs:
        raise InputError("nothing to propagate: give at least one input")
    shape = _common_shape(inputs, groups, shape)
    numbers = {x.level: _group_numbers(x.level, shape, groups) for x in inputs.values()}
    rng = np.random.default_rng(seed)
    drawn = _draw(inputs, numbers, shape, covariance, n_draws, rng)
    best = {
        n: np.broadcast_to(np.asarray(x.value, float), shape) for n, x in inputs.items()
    }

    def evaluate(varied: frozenset[str], rows: int) -> np.ndarray:
        arguments = {
            name: drawn[name] if name in varied else np.broadcast_to(x, (rows, *shape))
            for name, x in best.items()
        }
        result = np.asarray(function(**arguments), float)
        if result.ndim == 0 or result.shape[0] != rows:
            raise InputError(
                f"the function made an array of shape {result.shape} from {rows} "
                "draws: it must keep the first axis (axis=-1 averages over elements)"
            )
        return result

    @functools.cache
    def spread(varied: frozenset[str]) -> Any:
        return evaluate(varied, n_draws).std(axis=0, ddof=1)[()]

    samples = evaluate(frozenset(inputs), n_draws)
    tail = (1 - confidence) / 2
    lower, upper = np.quantile(samples, [tail, 1 - tail], axis=0)
    members = {
        level: frozenset(name for name, x in inputs.items() if x.level == level)
        for level in numbers
    }
    return MonteCarloResult(
        value=evaluate(frozenset(), 1)[0],
        mean=samples.mean(axis=0)[()],
        se=samples.std(axis=0, ddof=1)[()],
        lower=lower,
        upper=upper,
        contributions={name: spread(frozenset([name])) for name in inputs},
        levels={level: spread(names) for level, names in members.items()},
        samples=samples,
        confidence=confidence,
        seed=seed,
    )


def _common_shape(
    inputs: Mapping[str, Input],
    groups: Mapping[str, Any] | None,
    shape: tuple[int, ...] | None,
) -> tuple[int, ...]:
    """Return the shape of the elements, or raise if the arguments do not fit it."""
    for level in {"cycle", "common"} & set(groups or {}):
        raise InputError(f"level {level!r} takes no groups: name yours otherwise")
    shapes = {f"groups[{level!r}]": np.shape(g) for level, g in (groups or {}).items()}
    for name, x in inputs.items():
        shapes[name] = np.broadcast_shapes(np.shape(x.value), np.shape(x.sd))
    try:
        common = np.broadcast_shapes(*shapes.values())
        if shape is not None and np.broadcast_shapes(common, shape) != shape:
            raise ValueError
    except ValueError:
        listed = ", ".join(f"{name} {size}" for name, size in shapes.items() if size)
        target = "each other" if shape is None else f"the shape {shape}"
        raise InputError(f"these do not broadcast to {target}: {listed}") from None
    return common if shape is None else shape


def _group_numbers(
    level: str, shape: tuple[int, ...], groups: Mapping[str, Any] | None
) -> np.ndarray:
    """Return the number of the group of each element, counted from zero."""
    if level == "common":
        return np.zeros(shape, int)
    if level == "cycle":
        return np.arange(math.prod(shape)).reshape(shape)
    labels = (groups or {}).get(level)
    if labels is None:
        raise InputError(
            f"which elements share the error of level {level!r}? Give "
            f"groups={{{level!r}: [...]}} with one label per element, or use the level "
            "'cycle' (nobody) or 'common' (all)"
        )
    _, numbers = np.unique(np.broadcast_to(labels, shape), return_inverse=True)
    return numbers.reshape(shape)


def _draw(
    inputs: Mapping[str, Input],
    numbers: Mapping[str, np.ndarray],
    shape: tuple[int, ...],
    covariance: Any,
    n_draws: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draw every input: arrays of shape (n_draws, *shape) by name."""
    standard = {}
    for name, x in inputs.items():
        n_groups = int(numbers[x.level].max(initial=-1)) + 1
        standard[name] = _standard_draws(x.distribution, (n_draws, n_groups), rng)
    if covariance is not None:
        _correlate(standard, inputs, correlation_matrix(inputs, covariance))
    drawn = {}
    for name, x in inputs.items():
        if x.level == "common":  # one column does: kept as a view of it
            errors = standard[name].reshape(n_draws, *(1 for _ in shape))
        else:
            errors = standard[name][:, numbers[x.level]]
        drawn[name] = np.broadcast_to(_scaled(x, errors), (n_draws, *shape))
    return drawn


def _correlate(
    standard: dict[str, np.ndarray],
    inputs: Mapping[str, Input],
    correlation: np.ndarray,
) -> None:
    """Mix independent standard draws, in place, so that they have this correlation."""
    names = list(inputs)
    for level in {x.level for x in inputs.values()}:
        rows = [
            i
            for i, (name, row) in enumerate(zip(names, correlation, strict=True))
            if inputs[name].level == level and np.count_nonzero(row) > 1
        ]
        for i in rows:
            kind = inputs[names[i]].distribution
            if kind != "normal":
                raise InputError(
                    f"{names[i]} is correlated and {kind}: only normal inputs can be "
                    "drawn with a covariance"
                )
        if not rows:
            continue
        # Eigenvectors, not Cholesky factors: a covariance may be singular.
        spread, axes = np.linalg.eigh(correlation[np.ix_(rows, rows)])
        root = axes * np.sqrt(np.clip(spread, 0.0, None))
        mixed = np.tensordot(root, [standard[names[i]] for i in rows], axes=1)
        for i, errors in zip(rows, mixed, strict=True):
            standard[names[i]] = errors


def _standard_draws(
    distribution: str, size: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray:
    """Draw from a distribution of mean 0 and standard deviation 1."""
    if distribution == "rectangular":
        return math.sqrt(3) * rng.uniform(-1, 1, size)
    if distribution == "triangular":
        return math.sqrt(6) * rng.triangular(-1, 0, 1, size)
    return rng.standard_normal(size)


def _scaled(x: Input, errors: np.ndarray) -> np.ndarray:
    """Give standard draws the location and scale of an input."""
    value, sd = np.asarray(x.value, float), np.asarray(x.sd, float)
    if x.distribution == "lognormal":
        # Of mean `value`: sigma and mu from its first two moments.
        sigma = np.sqrt(np.log1p((sd / value) ** 2))
        return value * np.exp(sigma * errors - sigma**2 / 2)
    return value + sd * errors
