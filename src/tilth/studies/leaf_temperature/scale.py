"""How large the study is: quick, or with all repeats, members and draws."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from tilth.ml.learners import Learner
from tilth.stomata.learners import conv_net, dense_net, random_forest, support_vectors


@dataclass(frozen=True)
class Scale:
    """Numbers of everything that is repeated.

    Parameters
    ----------
    trees : int
        Of the forest.
    members, epochs : int
        Of the networks.
    repeats : int
        Shuffles of the importance.
    refits : int
        Of the band of effects.
    orders : int
        Of the conv net's columns.
    draws : int
        Null worlds of a test.
    trials : int
        Simulated worlds, of each sensitivity, on which the tests are tested.
    sensitivities : tuple of float
        Of these worlds, K-1; zero is the null world.
    null_trees : int
        Of the forest that goes through null worlds; zero for none.
    everywhere : bool
        Whether all learners and experiments go through all splits, worlds and
        figures, or only what the questions need.
    """

    trees: int
    members: int
    epochs: int
    repeats: int
    refits: int
    orders: int
    draws: int
    trials: int
    sensitivities: tuple[float, ...]
    null_trees: int
    everywhere: bool

    def shallow(self) -> dict[str, Learner]:
        """Return forest and support vectors."""
        return {
            "forest": random_forest(trees=self.trees),
            "support vectors": support_vectors(),
        }

    def networks(self) -> dict[str, Learner]:
        """Return the conv net, and the dense one that is blind to order."""
        return dict(_networks(self.members, self.epochs))

    def judged(self) -> dict[str, Learner]:
        """Return the learners that go through null worlds."""
        learners: dict[str, Learner] = {"support vectors": support_vectors()}
        if self.null_trees:
            learners["forest"] = random_forest(trees=self.null_trees)
        return learners


@functools.cache
def _networks(members: int, epochs: int) -> dict[str, Learner]:
    """Return always the same networks, so that their training is compiled once."""
    return {
        "conv net": conv_net(members=members, epochs=epochs),
        "dense net": dense_net(members=members, epochs=epochs),
    }


#: Within a minute on two cores.
QUICK = Scale(
    trees=50,
    members=2,
    epochs=100,
    repeats=20,
    refits=8,
    orders=3,
    draws=8,
    trials=3,
    sensitivities=(0.0, 0.3),
    null_trees=0,
    everywhere=False,
)

#: Trees, networks and repeats as in the default learners and on the slides.
FULL = Scale(
    trees=300,
    members=3,
    epochs=300,
    repeats=50,
    refits=100,
    orders=5,
    draws=40,
    trials=20,
    sensitivities=(0.0, 0.15, 0.3, 0.5),
    null_trees=100,
    everywhere=True,
)
