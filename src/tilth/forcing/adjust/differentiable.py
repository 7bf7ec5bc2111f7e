"""Quantile delta mapping in JAX, so that forcing is trained through what it feeds.

The same numbers as `tilth.forcing.adjust.QDM` without groups, with gradients in the
target, the observations and the model, or in their quantiles alone. Ranks are steps:
their gradient is zero almost everywhere, so a value moves with its own change only.
With a temperature they are smooth, and the gradient also says what happens when a value
rises past its neighbours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError

if TYPE_CHECKING:
    from tilth.forcing.adjust.adjuster import Kind

#: Rows of the comparison of every value with every other that are held at a time.
_ROWS = 256


def node_quantiles(series: Any, quantiles: int = 50) -> Any:
    """Return the quantiles of series at the middles of equal shares.

    Parameters
    ----------
    series : array, shape (..., time)
        Values without gaps.
    quantiles : int
        Number of nodes, at probabilities ``(i - 1/2) / quantiles``.

    Returns
    -------
    jax.Array, shape (..., quantiles)
        In the units of the series; a gradient goes to the values next to each node.

    Raises
    ------
    InputError
        If there are fewer than two nodes.
    """
    if quantiles < 2:
        raise InputError(f"quantiles must be at least 2, got {quantiles}")
    ordered = jnp.sort(jnp.asarray(series, float), axis=-1)
    last = ordered.shape[-1] - 1
    place = (jnp.arange(quantiles) + 0.5) / quantiles * last
    below = place.astype(int)
    above = jnp.minimum(below + 1, last)
    low, high = ordered[..., below], ordered[..., above]
    return low + (place - below) * (high - low)


def ranks(series: Any, temperature: float | None = None) -> Any:
    r"""Return the rank of every value among those of its series, 0 to 1.

    With the number of smaller values :math:`c_i`, equal ones counting half, the rank is
    :math:`(c_i - \min c) / (\max c - \min c)`, and 1/2 where all are equal. With a
    temperature the number is the smooth

    .. math:: c_i = \sum_{j \ne i} \sigma((s_i - s_j) / T) ,

    which approaches the other as the temperature T goes to zero.

    Parameters
    ----------
    series : array, shape (..., time)
        Values without gaps.
    temperature : float, optional
        T in the units of the series: over which difference one value is more or less
        above another. A tenth of the standard deviation is a fair beginning. The cost
        grows with the square of the number of values.

    Returns
    -------
    jax.Array, shape (..., time)
        Ranks; without a temperature their gradient is zero.

    Raises
    ------
    InputError
        If the temperature is not positive.
    """
    values = jnp.asarray(series, float)
    n = values.shape[-1]
    rows = values.reshape(-1, n)
    if temperature is None:
        found = jax.vmap(_steps)(jax.lax.stop_gradient(rows))
    elif temperature > 0.0:
        found = jax.vmap(lambda row: _soft(row, temperature))(rows)
    else:
        raise InputError(f"temperature must be positive, got {temperature}")
    low, high = found.min(axis=-1, keepdims=True), found.max(axis=-1, keepdims=True)
    # Divided by one where all are equal, for a gradient that is a number.
    span = jnp.where(high > low, high - low, 1.0)
    share = jnp.where(high > low, (found - low) / span, 0.5)
    return share.reshape(values.shape)


def _steps(row: Any) -> Any:
    """Return how many values are smaller, equal ones counting half."""
    ordered = jnp.sort(row)
    left = jnp.searchsorted(ordered, row, side="left")
    right = jnp.searchsorted(ordered, row, side="right")
    return (left + right - 1) / 2.0


def _soft(row: Any, temperature: float) -> Any:
    """Return how many values are smaller, nearly equal ones counting partly."""

    # Recomputed backwards: else the comparisons of all pairs would be kept.
    @jax.checkpoint
    def smaller(value: Any) -> Any:
        return jax.nn.sigmoid((value - row) / temperature).sum() - 0.5  # less itself

    return jax.lax.map(smaller, row, batch_size=min(_ROWS, row.size))


def apply_nodes(
    target: Any,
    observed: Any,
    modelled: Any,
    kind: Kind = "+",
    ratio_cap: float = 10.0,
    temperature: float | None = None,
) -> Any:
    r"""Adjust series by observed and modelled quantiles.

    :math:`s' = s + F_o^{-1}(\tau) - F_h^{-1}(\tau)` or, as a ratio,
    :math:`s' = s F_o^{-1}(\tau) / F_h^{-1}(\tau)`, with the rank :math:`\tau` of each
    value in its own series; linear between the nodes and constant beyond them.

    Parameters
    ----------
    target : array, shape (..., time)
        Model values of the period to adjust, without gaps.
    observed, modelled : array, shape (..., quantiles)
        Quantiles of the training period, as `node_quantiles` gives them; they may
        also be what is trained.
    kind : {"+", "*"}
        Difference, or ratio.
    ratio_cap : float
        Largest ratio.
    temperature : float, optional
        Of smooth ranks, see `ranks`.

    Returns
    -------
    jax.Array, shape (..., time)
        Adjusted values in the units of the observations.

    Raises
    ------
    InputError
        If the kind is neither.

    References
    ----------
    Cannon, Sobie & Murdock (2015), J. Climate 28, 6938-6959.
    """
    if kind not in ("+", "*"):
        raise InputError(f"kind must be '+' or '*', got {kind!r}")
    o, h = jnp.asarray(observed, float), jnp.asarray(modelled, float)
    values = jnp.asarray(target, float)
    if kind == "+":
        factors = o - h
    else:
        values, o, h = (jnp.maximum(x, 0.0) for x in (values, o, h))
        # Divided by one where the model is dry, for a gradient that is a number.
        ratio = jnp.minimum(o / jnp.where(h > 0.0, h, 1.0), ratio_cap)
        dry = jnp.where(o > 0.0, ratio_cap, 1.0)
        factors = jnp.where(h > 0.0, ratio, dry)
    n = factors.shape[-1]
    place = jnp.clip(ranks(values, temperature) * n - 0.5, 0.0, n - 1.0)
    below = jnp.minimum(place.astype(int), n - 2)
    factors = jnp.broadcast_to(factors, (*values.shape[:-1], n))
    low = jnp.take_along_axis(factors, below, axis=-1)
    high = jnp.take_along_axis(factors, below + 1, axis=-1)
    factor = low + (place - below) * (high - low)
    return values + factor if kind == "+" else values * factor


def quantile_delta(
    observed: Any,
    modelled: Any,
    target: Any,
    kind: Kind = "+",
    quantiles: int = 50,
    ratio_cap: float = 10.0,
    temperature: float | None = None,
) -> Any:
    """Adjust series by the quantile delta mapping of a training period.

    Parameters
    ----------
    observed, modelled : array, shape (..., time)
        Training period, each with a length of its own, without gaps.
    target : array, shape (..., time)
        Model values to adjust, in the same units. One group of days (a month, a
        season) at a time.
    kind : {"+", "*"}
        Difference, or ratio.
    quantiles : int
        Number of nodes.
    ratio_cap : float
        Largest ratio.
    temperature : float, optional
        Of smooth ranks, see `ranks`.

    Returns
    -------
    jax.Array, shape (..., time)
        Without a temperature, what `tilth.forcing.adjust.QDM` with the same settings
        gives.

    Examples
    --------
    >>> import numpy as np
    >>> days = np.arange(5.0)
    >>> quantile_delta(days + 2.0, days, days + 1.0).tolist()
    [3.0, 4.0, 5.0, 6.0, 7.0]
    """
    return apply_nodes(
        target,
        node_quantiles(observed, quantiles),
        node_quantiles(modelled, quantiles),
        kind,
        ratio_cap,
        temperature,
    )
