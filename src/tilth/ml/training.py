"""One loop that trains any network, compiled whole: epochs, batches, early stopping."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.core.optional import load

eqx = load("equinox", "ml")
optax = load("optax", "ml")

__all__ = [
    "Rows",
    "Trained",
    "TrainingSettings",
    "predict_members",
    "rows_of",
    "train",
]

#: Networks trained side by side: more are not faster on processors, and slower where
#: one of them trains on alone.
CHUNK = 16

#: Rows are filled up to a multiple of this, so that folds of nearly the same size
#: share one compiled program.
BLOCK = 64


@dataclass(frozen=True)
class TrainingSettings:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
        Passes through the rows at most.
    patience : int
        Passes without a better validation after which training ends.
    batch : int
        Rows of a step.
    learning_rate : float
        Of Adam (Kingma & Ba 2015).
    weight_decay : float
        Decoupled, of AdamW (Loshchilov & Hutter 2019); per step, times the rate.
    """

    epochs: int = 500
    patience: int = 50
    batch: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be 1 at least: {getattr(self, name)}")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise InputError(
                "learning_rate must be above zero and weight_decay not below; got "
                f"{self.learning_rate} and {self.weight_decay}"
            )


class Rows(NamedTuple):
    """Rows to learn from; see `rows_of`.

    Parameters
    ----------
    inputs : array, shape (n, ...)
        Standardised.
    targets : array, shape (n, ...)
        Standardised; zero where missing.
    weight : array, like targets
        Zero where a target is missing.
    """

    inputs: Any
    targets: Any
    weight: Any


class Trained(NamedTuple):
    """Networks as they were at their best, all members side by side.

    Parameters
    ----------
    networks : equinox.Module
        Arrays with members first, as `predict_members` takes them.
    best_epoch : numpy.ndarray of int, shape (member)
        Passes behind each.
    history : numpy.ndarray, shape (member, epoch, 2)
        Mean square of training and of validation after each pass; NaN after the end.
    """

    networks: Any
    best_epoch: np.ndarray
    history: np.ndarray


def rows_of(inputs: np.ndarray, targets: np.ndarray) -> Rows:
    """Return rows for training, filled up to whole blocks without weight.

    Parameters
    ----------
    inputs : array, shape (n, ...)
        Standardised; all finite.
    targets : array, shape (n, k) or, for sequences, (n, step, k)
        Standardised; NaN where missing.

    Returns
    -------
    Rows
        Of single precision.

    Raises
    ------
    InputError
        If inputs are missing, or no target is there.
    """
    x, y = np.asarray(inputs, np.float32), np.asarray(targets, np.float32)
    if len(x) != len(y) or y.ndim < 2:
        raise InputError(
            f"inputs of the shape {x.shape} do not go with targets of the shape "
            f"{y.shape}: rows first, targets last"
        )
    if not np.isfinite(x).all():
        raise InputError("an input is missing or infinite: a network cannot learn that")
    known = np.isfinite(y)
    if not known.any():
        raise InputError("no target is there to learn from")
    extra = -len(x) % BLOCK
    filled = (
        np.concatenate([array, np.zeros((extra, *array.shape[1:]), np.float32)])
        for array in (x, np.where(known, y, 0.0), known.astype(np.float32))
    )
    return Rows(*filled)


def train(
    build: Callable[..., Any],
    rows: Rows,
    validation: Rows | None = None,
    *,
    settings: TrainingSettings | None = None,
    members: int = 1,
    seed: int = 0,
    member_weight: np.ndarray | None = None,
    chunk: int = CHUNK,
) -> Trained:
    """Train networks from different first weights, each to its best validation.

    Parameters
    ----------
    build : callable
        ``build(key=key) -> network``, which takes a row and ``key=``.
    rows, validation : Rows
        Without validation every network trains through all epochs.
    settings : TrainingSettings, optional
        How.
    members : int, default 1
        Number of networks.
    seed : int, default 0
        Of first weights, batches and dropout; a member's does not depend on how many
        there are.
    member_weight : array, shape (member, n), optional
        How often each row counts for each member, such as draws of a bootstrap.
    chunk : int, default 16
        Members trained side by side.

    Returns
    -------
    Trained
        At their best.
    """
    settings = settings or TrainingSettings()
    if members < 1 or chunk < 1:
        raise InputError(f"{members} members in chunks of {chunk}: take one at least")
    weights = np.ones((members, len(rows.inputs)), np.float32)
    if member_weight is not None:
        given = np.asarray(member_weight, np.float32)
        if (
            given.ndim != 2
            or len(given) != members
            or given.shape[1] > weights.shape[1]
        ):
            raise InputError(
                f"member_weight has the shape {given.shape}; it needs a row for each "
                f"of {members} members and a column for each row"
            )
        weights[:, : given.shape[1]] = given
    keys = jax.vmap(lambda k: jax.random.fold_in(jax.random.key(seed), k))(
        jnp.arange(members)
    )
    parts = []
    for start in range(0, members, chunk):
        stop = min(start + chunk, members)
        parts.append(
            _train_chunk(
                build, rows, validation, settings, keys[start:stop], weights[start:stop]
            )
        )
    arrays = [eqx.partition(part[0], eqx.is_array) for part in parts]
    joined = jax.tree.map(lambda *a: jnp.concatenate(a), *(a for a, _ in arrays))
    return Trained(
        eqx.combine(joined, arrays[0][1]),
        np.concatenate([np.asarray(part[1]) for part in parts]),
        np.concatenate([np.asarray(part[2]) for part in parts]),
    )


@eqx.filter_jit
def predict_members(networks: Any, inputs: Any) -> Any:
    """Return what each network of a training says to each row.

    Parameters
    ----------
    networks : equinox.Module
        Of `Trained`.
    inputs : array, shape (n, ...)
        Standardised as for the training.

    Returns
    -------
    jax array, shape (member, n, ...)
        Standardised targets.
    """
    rows = jnp.asarray(inputs, jnp.float32)
    return eqx.filter_vmap(lambda network: jax.vmap(network)(rows))(networks)


@eqx.filter_jit
def _train_chunk(
    build: Any, rows: Any, validation: Any, settings: Any, keys: Any, weights: Any
) -> tuple[Any, Any, Any]:
    """Build and train the networks of some keys side by side."""

    def one(key: Any, weight: Any) -> tuple[Any, Any, Any]:
        first, later = jax.random.split(key)
        network = build(key=first)
        shape = (-1,) + (1,) * (rows.weight.ndim - 1)
        own = rows._replace(weight=rows.weight * weight.reshape(shape))
        return _train_one(network, own, validation, settings, later)

    return eqx.filter_vmap(one)(keys, weights)


def _train_one(
    network: Any, rows: Rows, validation: Rows | None, settings: Any, key: Any
) -> tuple[Any, Any, Any]:
    """Return a network at its best, the epochs behind it and the history of losses."""
    parameters, rest = eqx.partition(network, eqx.is_inexact_array)
    optimiser = optax.adamw(settings.learning_rate, weight_decay=settings.weight_decay)
    count = len(rows.inputs)
    batch = min(settings.batch, count)
    steps = math.ceil(count / batch)

    def loss(parameters: Any, some: Rows, key: Any) -> Any:
        whole = eqx.combine(parameters, rest)
        if key is None:
            predicted = jax.vmap(whole)(some.inputs)
        else:
            keys = jax.random.split(key, len(some.inputs))
            predicted = jax.vmap(lambda x, k: whole(x, key=k))(some.inputs, keys)
        square = some.weight * (predicted - some.targets) ** 2
        return square.sum() / jnp.maximum(some.weight.sum(), 1e-12)

    def step(carry: Any, inputs: Any) -> tuple[Any, Any]:
        parameters, optimum = carry
        places, key = inputs
        some = Rows(*(array[places] for array in rows))
        weight = some.weight.sum()
        value, slope = jax.value_and_grad(loss)(parameters, some, key)
        update, moved = optimiser.update(slope, optimum, parameters)
        new = (optax.apply_updates(parameters, update), moved)
        # A batch of filling only must not move anything: Adam would, by its momentum.
        kept = jax.tree.map(lambda a, b: jnp.where(weight > 0, a, b), new, carry)
        return kept, (value * weight, weight)

    def epoch(carry: Any) -> Any:
        parameters, optimum, best, least, at, done, history = carry
        order, drop = jax.random.split(jax.random.fold_in(key, done))
        filled = rows.weight.reshape(count, -1).sum(axis=1) > 0
        place = jnp.argsort(jnp.where(filled, jax.random.uniform(order, (count,)), 2.0))
        # The last batch is filled up from the end, where rows have no weight, if any.
        place = jnp.concatenate([place, jnp.repeat(place[-1:], steps * batch - count)])
        (parameters, optimum), (sums, weight) = jax.lax.scan(
            step,
            (parameters, optimum),
            (place.reshape(steps, batch), jax.random.split(drop, steps)),
        )
        learnt = sums.sum() / weight.sum()
        if validation is None:
            judged, better = jnp.float32(jnp.nan), jnp.bool_(True)
        else:
            judged = loss(parameters, validation, None)
            better = judged < least
        best = jax.tree.map(lambda a, b: jnp.where(better, a, b), parameters, best)
        least = jnp.where(better, judged, least)
        history = history.at[done].set(jnp.stack([learnt, judged]))
        done = done + 1
        return (
            parameters,
            optimum,
            best,
            least,
            jnp.where(better, done, at),
            done,
            history,
        )

    def go_on(carry: Any) -> Any:
        at, done = carry[4], carry[5]
        return (done < settings.epochs) & (done - at < settings.patience)

    start = (
        parameters,
        optimiser.init(parameters),
        parameters,
        jnp.float32(jnp.inf),
        jnp.int32(0),
        jnp.int32(0),
        jnp.full((settings.epochs, 2), jnp.nan, jnp.float32),
    )
    _, _, best, _, at, _, history = jax.lax.while_loop(go_on, epoch, start)
    return eqx.combine(best, rest), at, history
