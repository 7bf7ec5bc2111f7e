"""What learns stomatal conductance: forest, support vectors, networks, a closure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tilth.core.errors import InputError
from tilth.core.optional import load
from tilth.ml.learners import Learner
from tilth.stomata.fits import LEAST_DEFICIT, StomatalFit, fit_medlyn

__all__ = [
    "MedlynLearner",
    "conv_net",
    "default_learners",
    "dense_net",
    "random_forest",
    "support_vectors",
]


@dataclass
class MedlynLearner:
    """Medlyn's closure as a learner: two parameters from assimilation, CO2 and deficit.

    Parameters
    ----------
    features : sequence of str
        Names of the columns it will be given; ``deficit``, ``assimilation`` and
        ``surface_co2`` must be among them, others are not looked at.
    """

    features: Sequence[str]
    fitted: StomatalFit | None = field(default=None, init=False, repr=False)

    def fit(self, features: npt.ArrayLike, target: npt.ArrayLike) -> MedlynLearner:
        """Fit g0 and g1.

        Parameters
        ----------
        features : array_like, shape (n, p)
            Columns as named.
        target : array_like, shape (n)
            Conductance, mol m-2 s-1.

        Returns
        -------
        MedlynLearner
            This one.
        """
        self.fitted = fit_medlyn(target, *self._columns(features))
        return self

    def predict(self, features: npt.ArrayLike) -> np.ndarray:
        """Return conductance, mol m-2 s-1.

        Parameters
        ----------
        features : array_like, shape (n, p)
            Columns as named.

        Returns
        -------
        numpy.ndarray, shape (n)
            mol m-2 s-1.
        """
        if self.fitted is None:
            raise InputError("this closure was not fitted yet")
        return self.fitted.predict(*self._columns(features))

    def _columns(self, features: npt.ArrayLike) -> list[np.ndarray]:
        """Return assimilation, CO2 and deficit."""
        table = np.asarray(features, float)
        names = list(self.features)
        wanted = ("assimilation", "surface_co2", "deficit")
        absent = [name for name in wanted if name not in names]
        if absent:
            raise InputError(f"Medlyn's closure needs {', '.join(absent)} too")
        found = [table[:, names.index(name)] for name in wanted]
        found[2] = np.maximum(found[2], LEAST_DEFICIT)
        return found


def random_forest(*, trees: int = 300, seed: int = 0) -> Learner:
    """Return a random forest of full trees (Breiman 2001).

    Parameters
    ----------
    trees : int, default 300
        Number of them.
    seed : int, default 0
        Of rows and splits.

    Returns
    -------
    Learner
        Unfitted.
    """
    ensemble = load("sklearn.ensemble", "stomata")
    return ensemble.RandomForestRegressor(trees, min_samples_leaf=1, random_state=seed)


def support_vectors(*, cost: float = 1.0, tube: float = 0.01) -> Learner:
    """Return support vector regression, Gaussian kernel, on standardised features.

    Parameters
    ----------
    cost : float, default 1
        C: what an error outside the tube costs.
    tube : float, default 0.01
        Errors smaller than this cost nothing, mol m-2 s-1.

    Returns
    -------
    Learner
        Unfitted.
    """
    pipeline = load("sklearn.pipeline", "stomata")
    preprocessing = load("sklearn.preprocessing", "stomata")
    svm = load("sklearn.svm", "stomata")
    return pipeline.make_pipeline(
        preprocessing.StandardScaler(), svm.SVR(C=cost, epsilon=tube, gamma="scale")
    )


def conv_net(*, members: int = 3, epochs: int = 300, seed: int = 0) -> Learner:
    """Return convolutions along the row of features, then dense layers.

    The slides' network is not described further. Two convolutions (32 and 64 channels,
    2 features each), a dense layer of 64, dropout 0.1; AdamW with a rate of 2e-3 and a
    decay of 1e-2; conductance and features standardised; no rows held back, since a
    few hundred are few. Neighbouring columns meet first, so their order matters.

    Parameters
    ----------
    members : int, default 3
        Networks whose mean is the prediction.
    epochs : int, default 300
        Passes through the rows.
    seed : int, default 0
        Of weights, batches and dropout.

    Returns
    -------
    Learner
        Unfitted.
    """
    from tilth.ml.networks import ConvNet

    return _network(partial(ConvNet), members, epochs, seed)


def dense_net(*, members: int = 3, epochs: int = 300, seed: int = 0) -> Learner:
    """Return dense layers (2 of 64): blind to the order of columns.

    Parameters
    ----------
    members : int, default 3
        Networks whose mean is the prediction.
    epochs : int, default 300
        Passes through the rows.
    seed : int, default 0
        Of weights, batches and dropout.

    Returns
    -------
    Learner
        Unfitted.
    """
    from tilth.ml.networks import MLP

    return _network(partial(MLP, dropout=0.1), members, epochs, seed)


def _network(
    network: Callable[..., Any], members: int, epochs: int, seed: int
) -> Learner:
    """Return an ensemble of networks with the settings of this room."""
    from tilth.ml.regressor import NetworkRegressor
    from tilth.ml.training import TrainingSettings

    settings = TrainingSettings(
        epochs=epochs, patience=epochs, learning_rate=2e-3, weight_decay=1e-2
    )
    return NetworkRegressor(
        network, settings, members=members, validation=0.0, seed=seed
    )


def default_learners(*, seed: int = 0) -> Mapping[str, Learner]:
    """Return the learners of the experiment: forest, support vectors, networks.

    Parameters
    ----------
    seed : int, default 0
        Of all of them.

    Returns
    -------
    dict of str to Learner
        ``forest``, ``support vectors``, ``conv net``, ``dense net``.
    """
    return {
        "forest": random_forest(seed=seed),
        "support vectors": support_vectors(),
        "conv net": conv_net(seed=seed),
        "dense net": dense_net(seed=seed),
    }
