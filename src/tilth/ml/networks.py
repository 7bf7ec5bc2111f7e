"""Networks: dense, one-dimensional convolution, long short-term memory (Equinox).

Each takes one row and, for dropout while it is trained, a key; `jax.vmap` does many.
Numbers are in single precision, which is what learning needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tilth.core.accelerate import jax, jnp
from tilth.core.errors import InputError
from tilth.core.optional import load

if TYPE_CHECKING:
    import equinox as eqx
else:
    eqx = load("equinox", "ml")

__all__ = ["LSTM", "MLP", "ConvNet"]

_KIND = jnp.float32


class MLP(eqx.Module):
    """Dense layers with rectified linear units: blind to the order of features.

    Parameters
    ----------
    inputs, outputs : int
        Number of features and of targets.
    width, depth : int
        Units of a hidden layer, and number of them.
    dropout : float
        Share of hidden units left out at random while training.
    key : jax key
        Of the first weights.
    """

    layers: list[Any]
    dropout: Any

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: int = 64,
        depth: int = 2,
        dropout: float = 0.0,
        key: Any,
    ) -> None:
        sizes = [inputs, *[width] * depth, outputs]
        keys = jax.random.split(key, len(sizes) - 1)
        self.layers = [
            eqx.nn.Linear(a, b, dtype=_KIND, key=k)
            for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=True)
        ]
        self.dropout = eqx.nn.Dropout(dropout)

    def __call__(self, row: Any, key: Any = None) -> Any:
        """Return the targets (outputs) of one row (inputs)."""
        keys = _keys(key, len(self.layers))
        for layer, k in zip(self.layers[:-1], keys, strict=False):
            row = _drop(self.dropout, jax.nn.relu(layer(row)), k)
        return self.layers[-1](row)


class _Convolution(eqx.Module):
    """A convolution along a short row, as one product of matrices.

    Equal to `equinox.nn.Conv1d` without padding; on processors, with many networks
    side by side, several times as fast.
    """

    weight: Any
    bias: Any

    def __init__(self, inputs: int, outputs: int, kernel: int, *, key: Any) -> None:
        first, second = jax.random.split(key)
        limit = (inputs * kernel) ** -0.5
        shape = (outputs, inputs, kernel)
        self.weight = jax.random.uniform(first, shape, _KIND, -limit, limit)
        self.bias = jax.random.uniform(second, (outputs, 1), _KIND, -limit, limit)

    def __call__(self, field: Any) -> Any:
        """Return (outputs, length - kernel + 1) of a field (inputs, length)."""
        kernel = self.weight.shape[2]
        length = field.shape[1] - kernel + 1
        windows = jnp.stack([field[:, k : k + length] for k in range(kernel)], axis=1)
        return jnp.tensordot(self.weight, windows, axes=2) + self.bias


class ConvNet(eqx.Module):
    """Convolutions along the row of features, then a dense layer.

    Neighbouring features meet first, so the order of columns matters: try others.

    Parameters
    ----------
    inputs, outputs : int
        Number of features and of targets.
    channels : sequence of int
        Of each convolution.
    kernel : int
        Features that one convolution sees.
    width : int
        Units of the dense layer.
    dropout : float
        Share of them left out at random while training.
    key : jax key
        Of the first weights.
    """

    convolutions: list[Any]
    dense: Any
    last: Any
    dropout: Any

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        channels: Sequence[int] = (32, 64),
        kernel: int = 2,
        width: int = 64,
        dropout: float = 0.1,
        key: Any,
    ) -> None:
        left = inputs - len(channels) * (kernel - 1)
        if left < 1:
            raise InputError(
                f"{len(channels)} convolutions of {kernel} features each need "
                f"{len(channels) * (kernel - 1) + 1} features at least, got {inputs}"
            )
        sizes = [1, *channels]
        keys = jax.random.split(key, len(channels) + 2)
        self.convolutions = [
            _Convolution(a, b, kernel, key=k)
            for a, b, k in zip(sizes[:-1], sizes[1:], keys, strict=False)
        ]
        self.dense = eqx.nn.Linear(sizes[-1] * left, width, dtype=_KIND, key=keys[-2])
        self.last = eqx.nn.Linear(width, outputs, dtype=_KIND, key=keys[-1])
        self.dropout = eqx.nn.Dropout(dropout)

    def __call__(self, row: Any, key: Any = None) -> Any:
        """Return the targets (outputs) of one row (inputs)."""
        field = row[None, :]
        for convolution in self.convolutions:
            field = jax.nn.relu(convolution(field))
        hidden = jax.nn.relu(self.dense(field.ravel()))
        return self.last(_drop(self.dropout, hidden, key))


class LSTM(eqx.Module):
    """Long short-term memory over a sequence, then a dense layer.

    Parameters
    ----------
    inputs, outputs : int
        Number of features of a step, and of targets.
    width : int
        Size of the memory.
    every : bool
        Whether targets are wanted for every step, or for the last one.
    key : jax key
        Of the first weights.
    """

    cell: Any
    last: Any
    every: bool = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        width: int = 24,
        every: bool = False,
        key: Any,
    ) -> None:
        first, second = jax.random.split(key)
        self.cell = eqx.nn.LSTMCell(inputs, width, dtype=_KIND, key=first)
        self.last = eqx.nn.Linear(width, outputs, dtype=_KIND, key=second)
        self.every = every

    def __call__(self, sequence: Any, key: Any = None) -> Any:
        """Return the targets of a sequence (step, inputs)."""
        nothing = jnp.zeros(self.cell.hidden_size, _KIND)

        def step(memory: Any, row: Any) -> tuple[Any, Any]:
            memory = self.cell(row, memory)
            return memory, memory[0]

        (hidden, _), states = jax.lax.scan(step, (nothing, nothing), sequence)
        return jax.vmap(self.last)(states) if self.every else self.last(hidden)


def _keys(key: Any, count: int) -> Any:
    return [None] * count if key is None else jax.random.split(key, count)


def _drop(dropout: Any, values: Any, key: Any) -> Any:
    """Leave units out while training, none without a key."""
    return dropout(values, key=key, inference=key is None)
