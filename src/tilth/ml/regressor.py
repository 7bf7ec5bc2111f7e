"""Networks as a learner: standardised inside, an ensemble, a spread beside the mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.ml.learners import check_table
from tilth.ml.networks import MLP
from tilth.ml.training import (
    Rows,
    Trained,
    TrainingSettings,
    predict_members,
    rows_of,
    train,
)

__all__ = ["NetworkRegressor"]


@dataclass
class NetworkRegressor:
    """An ensemble of networks that fits and predicts like a scikit-learn estimator.

    Features and target are standardised by the rows of the fit. A part of the rows is
    held back to tell when to stop.

    Parameters
    ----------
    network : callable
        ``network(inputs, outputs, key=key)``, such as `tilth.ml.MLP` or
        ``functools.partial(tilth.ml.ConvNet, width=32)``.
    settings : TrainingSettings
        How it is trained.
    members : int
        Networks in the ensemble; the prediction is their mean.
    validation : float
        Share of rows (or groups) held back; 0 trains through all epochs.
    seed : int
        Of first weights, batches, dropout and what is held back.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> short = TrainingSettings(epochs=60, learning_rate=1e-2)
    >>> fitted = NetworkRegressor(settings=short).fit(x, 3 * x[:, 0])
    >>> bool(np.abs(fitted.predict(x) - 3 * x[:, 0]).max() < 0.5)
    True
    """

    network: Callable[..., Any] = MLP
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    members: int = 1
    validation: float = 0.15
    seed: int = 0
    trained: Trained | None = field(default=None, init=False, repr=False)

    def fit(
        self,
        features: npt.ArrayLike,
        target: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
    ) -> NetworkRegressor:
        """Learn.

        Parameters
        ----------
        features : array_like, shape (n, p)
            Numbers without gaps.
        target : array_like, shape (n)
            Numbers without gaps.
        groups : array_like, shape (n), optional
            Groups that are held back whole.

        Returns
        -------
        NetworkRegressor
            This one.

        Raises
        ------
        InputError
            If a number is missing, nothing varies, or too few rows are there to hold
            some back.
        """
        x, y = check_table(features, target)
        self._x = _Scale.of(x)
        self._y = _Scale.of(y[:, None])
        if not self._y.varies.all():
            raise InputError(f"the target is {y[0]:g} in every row: nothing to learn")
        held = self._held_back(y.size, groups)

        def rows(chosen: np.ndarray) -> Rows:
            return rows_of(self._x(x[chosen]), self._y(y[chosen, None]))

        self.trained = train(
            _Build(self.network, x.shape[1]),
            rows(~held),
            rows(held) if held.any() else None,
            settings=self.settings,
            members=self.members,
            seed=self.seed,
        )
        return self

    def predict(self, features: npt.ArrayLike) -> np.ndarray:
        """Return the mean prediction of the members.

        Parameters
        ----------
        features : array_like, shape (n, p)
            As in the fit.

        Returns
        -------
        numpy.ndarray, shape (n)
            In units of the target.
        """
        return self.predict_members(features).mean(axis=0)

    def predict_members(self, features: npt.ArrayLike) -> np.ndarray:
        """Return the prediction of every member.

        Parameters
        ----------
        features : array_like, shape (n, p)
            As in the fit.

        Returns
        -------
        numpy.ndarray, shape (member, n)
            In units of the target.

        Raises
        ------
        InputError
            If nothing was fitted, or the number of features is another.
        """
        if self.trained is None:
            raise InputError("this network has not learnt anything yet: fit it first")
        x, _ = check_table(features)
        if x.shape[1] != self._x.mean.size:
            raise InputError(
                f"{x.shape[1]} features, but the fit had {self._x.mean.size}"
            )
        # Filled up to a power of two: few programs serve every number of rows.
        size = 1 << max(len(x) - 1, 63).bit_length()
        filled = np.zeros((size, x.shape[1]), np.float32)
        filled[: len(x)] = self._x(x)
        scaled = np.asarray(predict_members(self.trained.networks, filled), float)
        return scaled[:, : len(x), 0] * self._y.sd[0] + self._y.mean[0]

    def __sklearn_clone__(self) -> NetworkRegressor:
        """Return an unfitted copy with the very same `network`: compiled only once."""
        return replace(self)

    def _held_back(self, count: int, groups: npt.ArrayLike | None) -> np.ndarray:
        """Return which rows tell when to stop."""
        if not 0.0 <= self.validation < 1.0:
            raise InputError(
                f"validation is a share of the rows from 0 to below 1, got "
                f"{self.validation}"
            )
        label = np.arange(count)
        if groups is not None:
            label = np.unique(np.asarray(groups), return_inverse=True)[1]
        names = np.random.default_rng(self.seed).permutation(label.max() + 1)
        chosen = round(self.validation * names.size)
        if self.validation and not 1 <= chosen < names.size:
            raise InputError(
                f"of {names.size} rows or groups a share of {self.validation} cannot "
                "be held back to tell when to stop: give more, or set validation=0"
            )
        return np.isin(label, names[:chosen])


@dataclass(frozen=True)
class _Scale:
    """Mean and standard deviation of columns."""

    mean: np.ndarray
    sd: np.ndarray
    varies: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> _Scale:
        """Take them from rows; a column that does not vary is only shifted."""
        sd = values.std(axis=0)
        varies = sd > 1e-12 * np.abs(values).max(axis=0)
        return cls(values.mean(axis=0), np.where(varies, sd, 1.0), varies)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return standardised values."""
        return (values - self.mean) / self.sd


@dataclass(frozen=True)
class _Build:
    """Builds a network of one target; equal ones share a compiled program."""

    network: Callable[..., Any]
    inputs: int

    def __call__(self, key: Any) -> Any:
        return self.network(self.inputs, 1, key=key)
